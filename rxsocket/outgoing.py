"""What is on its way out of a session: bytes that its socket has not taken yet."""

from __future__ import annotations

from .connection import Connection
from .deflate import Deflater
from .errors import ConnectionException
from .frames import Frame, Payload, encode_content

__all__ = ["Outgoing"]

HIGH_WATER = 1 << 20  # bytes that wait, above which who can wait should


class Outgoing:
    """Frames in the order in which they go out. Not for two threads at once: it is used under its session's lock.

    Answers, which subscribers send while messages are delivered to them, are kept apart until :meth:`release`: so the
    pong for a ping that came behind a message goes out before what answers the message, and a peer can tell that from
    what was sent before the message had arrived.

    A message becomes a frame when it takes its place, since what is compressed may refer back to what is sent before
    it. So a large one holds the lock up for as long as it takes to compress it, which is 20 ms/MiB of JSON; other
    sessions, and the subscribers of this one, go on meanwhile.

    Args:
        limit: How many bytes may wait at the most, for those who can't wait for room.

    Attributes:
        deflater: Compresses messages, once there is a connection on which that was agreed.
        error: Why nothing can be written any more, once that is so.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = bytearray()
        self._taken: list[int] = []  # how much of them is gone, by each call
        self._answers: list[tuple[int, bytes]] = []
        self._answers_size = 0
        self.deflater: Deflater | None = None
        self.error: ConnectionException | None = None

    def __len__(self) -> int:
        return self._waiting + self._answers_size

    @property
    def has_room(self) -> bool:
        """Whether so little waits that more may join at once."""
        return self._waiting <= min(HIGH_WATER, self._limit)

    @property
    def _waiting(self) -> int:
        return len(self._bytes) - sum(self._taken)

    def takes(self, size: int) -> bool:
        """Whether a message of so many bytes may join, of who can't wait for room."""
        return len(self) + size <= self._limit

    def append(self, frame: Frame) -> None:
        """Let a frame join; a message does by :meth:`send`."""
        if isinstance(frame, bytearray) and not self._bytes:
            self._bytes = frame  # to copy a large one would take longer than all else that is done with it
        else:
            self._bytes += frame

    def send(self, opcode: int, payload: Payload) -> None:
        """Let a message join, as :func:`~rxsocket.frames.content_of` returned it."""
        self.append(encode_content(opcode, payload, deflater=self.deflater))

    def answer(self, opcode: int, payload: Payload) -> None:
        """Let a message join at the next :meth:`release`."""
        answer = bytes(payload)  # a copy of what may be changed until then
        self._answers.append((opcode, answer))
        self._answers_size += len(answer)

    def release(self) -> None:
        """Let the answers join."""
        if self._answers:
            for opcode, payload in self._answers:
                self.send(opcode, payload)
            self._answers.clear()
            self._answers_size = 0

    def write(self, connection: Connection) -> None:
        """Give the socket what it takes."""
        try:
            while self._bytes:
                gone = sum(self._taken)
                if gone >= min(len(self._bytes), HIGH_WATER):
                    # Without a call in between, so without a moment in which Ctrl-C could come.
                    del self._bytes[:gone]
                    del self._taken[:]
                    continue
                connection.send(self._bytes, self._taken)
                if sum(self._taken) == gone:
                    return
        except ConnectionException as error:
            # What the peer sent before may still be there to be read, so the reader finds the end by itself.
            self.error = error
            self.clear()

    def clear(self) -> None:
        """Forget what waits."""
        self._bytes.clear()
        self._answers.clear()
        self._answers_size = 0
        self._taken.clear()
