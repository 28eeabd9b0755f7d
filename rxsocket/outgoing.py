"""What is on its way out of a connection: frames that its socket has not taken yet."""

from __future__ import annotations

from .connection import Connection
from .errors import ConnectionException

__all__ = ["Outgoing"]

HIGH_WATER = 1 << 20  # bytes that wait, above which who can wait should
JOINED = 1 << 16  # bytes of small frames that are given to the socket as one piece


class Outgoing:
    """Frames in the order in which they go out. Not for two threads at once: it is used under its session's lock.

    Answers, which subscribers send while messages are delivered to them, are kept apart until :meth:`release`: so the
    pong for a ping that came behind a message goes out before what answers the message, and a peer can tell that from
    what was sent before the message had arrived.

    The main thread may be interrupted between any two steps, by a Ctrl-C or by a signal's handler that sends, too: a
    frame goes out once, and whole, all the same.

    Args:
        limit: How many bytes may wait at the most, for those who can't wait for room.

    Attributes:
        error: Why nothing can be written any more, once that is so.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._frames: list[bytes] = []
        self._released = 0  # how many of them, from the first on, may be written; behind them are answers
        self._offset = 0  # how much of the first is gone
        self._taken: list[int] = []  # how much more is gone, and was not taken off yet
        self._size = 0  # of those that may be written
        self._answers_size = 0
        self._forgotten = 0
        self._writing = False  # whether a call of write is interrupted by this one
        self.error: ConnectionException | None = None

    def __len__(self) -> int:
        return self._size + self._answers_size

    def __bool__(self) -> bool:
        return bool(self._frames)

    @property
    def unsent(self) -> int:
        """How many bytes wait, or had to be forgotten when nothing could be written any more."""
        return len(self) or self._forgotten

    @property
    def has_room(self) -> bool:
        """Whether so little waits that another frame may join at once; answers don't count, which joined last."""
        return self._size <= min(HIGH_WATER, self._limit)

    def takes(self, frame: bytes) -> bool:
        """Whether a frame may join, of who can't wait for room."""
        return len(self) + len(frame) <= self._limit

    def append(self, frame: bytes) -> None:
        """Let a frame join before the answers."""
        self._frames.insert(self._released, frame)
        self._released += 1
        self._size += len(frame)

    def answer(self, frame: bytes) -> None:
        """Let a frame join as an answer."""
        self._frames.append(frame)
        self._answers_size += len(frame)

    def release(self) -> None:
        """Let the answers join the others."""
        self._released = len(self._frames)
        self._size += self._answers_size
        self._answers_size = 0

    def write(self, connection: Connection) -> None:
        """Give the socket what it takes."""
        if self._writing:
            return  # the call that was interrupted will go on with this
        self._writing = True
        try:
            while True:
                self._take_off()
                if not self._released:
                    return
                connection.send(self._piece(), self._taken)
                if not self._taken:
                    return
        except ConnectionException as error:
            # What the peer sent before may still be there to be read, so the reader finds the end by itself.
            self.error = error
            self._forgotten = len(self)
            self.clear()
        finally:
            self._writing = False

    def clear(self) -> None:
        """Forget what waits."""
        self._frames.clear()
        self._taken.clear()
        self._released = self._offset = self._size = self._answers_size = 0

    def _take_off(self) -> None:
        if self._taken:
            # No step calls anything before the next, so there is no moment in between in which Ctrl-C could come.
            self._offset += self._taken[0]
            self._size -= self._taken[0]
            del self._taken[0]
        while self._released and self._offset >= len(self._frames[0]):
            self._offset -= len(self._frames[0])
            self._released -= 1
            del self._frames[0]

    def _piece(self) -> memoryview:
        count, size = 1, len(self._frames[0])
        while count < self._released and size < JOINED:
            size += len(self._frames[count])
            count += 1
        piece = self._frames[0] if count == 1 else b"".join(self._frames[:count])
        return memoryview(piece)[self._offset :]
