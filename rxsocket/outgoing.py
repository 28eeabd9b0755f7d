"""What is on its way out of a connection: frames that its socket has not taken yet."""

from __future__ import annotations

import time

from .connection import Connection
from .deflate import Deflater
from .encoding import encode_content, encode_contents, encode_frame
from .errors import ConnectionException
from .frames import CONTROL, Frame, Payload
from .stats import Counters

__all__ = ["Outgoing"]

HIGH_WATER = 1 << 20  # bytes that wait, above which who can wait should
JOINED = 1 << 16  # bytes of small frames that are given to the socket as one piece
PACE = 25e-6  # seconds for each message, as long as a few calls of the socket take: who sends faster gets ahead of it
FLOOD = 64 * PACE  # seconds ahead beyond which it is a flood: never before 64 messages, however fast they come
PAUSE = 1e-3  # seconds that who floods may pause and still flood, since the processor has other things to do, too


class Outgoing:
    """Frames in the order in which they go out. Not for two threads at once: it is changed under its session's lock.

    The session's thread looks without that whether there is something to write.

    Answers, which subscribers send while messages are delivered to them, are kept apart until :meth:`release`: so the
    pong for a ping that came behind a message goes out before what answers the message, and a peer can tell that from
    what was sent before the message had arrived.

    A message becomes a frame when it takes its place, since what is compressed may refer back to what is sent before
    it. So a large one holds the lock up for as long as it takes to compress it, which is 20 ms/MiB of JSON; other
    sessions, and the subscribers of this one, go on meanwhile.

    A call of the socket costs several times what all the rest of a small message does. So in a flood messages may wait
    for each other, for a moment; but only when it has lasted, so that single messages and bursts go out at once. It is
    for who sends to see to it that somebody writes what waits.

    The main thread may be interrupted between any two steps, by a Ctrl-C or by a signal's handler that sends, too: a
    frame goes out once, and whole, all the same.

    Args:
        connection: Where they go.
        limit: How many bytes may wait at the most, for those who can't wait for room.
        counters: Count what joins, and what is gone.

    Attributes:
        is_blocked: Whether the socket has not taken all at the last :meth:`write`.
        error: Why nothing can be written any more, once that is so.
    """

    def __init__(self, connection: Connection, limit: int, counters: Counters) -> None:
        self._connection = connection
        self._counters = counters
        self._limit = limit
        self._high = min(HIGH_WATER, limit)
        self._little = min(JOINED, limit // 16)  # what may wait leaves nearly all of the limit to others
        self._frames: list[Frame] = []
        self._size = 0  # of the frames
        self._offset = 0  # how much of the first is gone
        self._taken: list[int] = []  # how much more is gone, and was not taken off yet
        self._answers: list[tuple[int, bytes]] = []
        self._answers_size = 0
        self._paced = 0.0  # when all that was sent would be out, if it went at the PACE
        self._forgotten = 0
        self._writing = False  # whether a call of write is interrupted by this one
        self._deflating = False  # whether a call of _deflate is
        self.is_blocked = False
        self.error: ConnectionException | None = None

    def __len__(self) -> int:
        return self._size + self._answers_size

    def __bool__(self) -> bool:
        return bool(self._frames or self._answers)

    @property
    def unsent(self) -> int:
        """How many bytes wait, or had to be forgotten when nothing could be written any more."""
        return len(self) or self._forgotten

    @property
    def answers(self) -> int:
        """How many answers have not joined yet."""
        return len(self._answers)

    @property
    def is_writing(self) -> bool:
        """Whether a write is under way, which is interrupted by who asks."""
        return self._writing

    @property
    def is_flooded(self) -> bool:
        """Whether so many messages were sent just now, one by one, that they had better wait for each other."""
        return self._paced - time.perf_counter() > FLOOD

    @property
    def is_little(self) -> bool:
        """Whether so little waits that it may wait for more, to be written together."""
        return self._size < self._little

    @property
    def has_room(self) -> bool:
        """Whether so little waits that another frame may join at once; answers don't count, which joined last."""
        return self._size <= self._high

    def is_free(self, size: int) -> bool:
        """Whether a message of so many bytes may join at once, whoever sends it; the usual case."""
        return self.error is None and self._size <= self._high and self._size + self._answers_size + size <= self._limit

    def takes(self, size: int) -> bool:
        """Whether a message of so many bytes may join, of who can't wait for room."""
        return len(self) + size <= self._limit

    def append(self, frame: Frame) -> None:
        """Let a frame join, as it is; nothing does any more after an error."""
        size = len(frame)  # before, since no call may come between the next steps, as in release
        self._counters.frames_out += 1
        if self.error is not None:
            return
        self._frames += [frame]
        self._size += size

    def control(self, frame: bytes) -> None:
        """Let a control frame join, as it is."""
        self._counters.controls_out += 1
        self.append(frame)

    def send(self, opcode: int, payload: Payload) -> None:
        """Let a message, or a ping, join: by :meth:`release` what answers before it, too."""
        now = time.perf_counter()
        self._paced = min(max(self._paced, now) + PACE, now + FLOOD + PAUSE)
        if self._answers:
            self.release()
        if self._connection.deflater is None:
            self.append(encode_frame(opcode, payload))
        else:
            self._deflate(self._connection.deflater, opcode, payload)

    def answer(self, opcode: int, payload: Payload) -> None:
        """Let a message, or a ping, join at the next :meth:`release`."""
        # A copy of what may be changed until then.
        self._answers.append((opcode, payload if isinstance(payload, bytes) else bytes(payload)))
        self._answers_size += len(payload)

    def release(self) -> None:
        """Let the answers join."""
        deflater = self._connection.deflater
        while answers := self._answers:
            if deflater is None:
                frames = encode_contents(answers)
                size, count = sum(map(len, frames)), len(answers)
                # No step from here on calls anything, so there is no moment in between in which Ctrl-C could come.
                if self._answers is answers:  # no signal's handler has released them meanwhile
                    self._frames += frames
                    self._size += size
                    self._counters.frames_out += count
                    self._answers = []
            else:
                answer = self._answers[0]
                del self._answers[0]
                try:
                    self._deflate(deflater, *answer)
                except BaseException:  # Ctrl-C, say, which comes before the frame has joined
                    self._answers = [answer, *self._answers]
                    raise
        self._answers_size = 0

    def write(self) -> None:
        """Give the socket what it takes."""
        if self._writing:
            return  # the call that was interrupted will go on with this
        self._writing = True
        try:
            if self._taken:
                self._take_off()
            while self._frames:
                self._connection.send(self._piece(), self._taken)
                if not self._taken:
                    self.is_blocked = True
                    return
                self._take_off()
            self.is_blocked = False
        except ConnectionException as error:
            # What the peer sent before may still be there to be read, so the reader finds the end by itself.
            self.error = error
            self._connection.cut(error)
            self._forgotten = len(self)
            self.clear()
        finally:
            self._writing = False

    def clear(self) -> None:
        """Forget what waits."""
        self._frames.clear()
        self._taken.clear()
        self._counters.frames_out += len(self._answers)
        self._answers = []
        self._offset = self._size = self._answers_size = 0
        self.is_blocked = False

    def _encoded(self, opcode: int, payload: Payload, deflater: Deflater | None) -> Frame:
        return encode_frame(opcode, payload) if opcode & CONTROL else encode_content(opcode, payload, deflater=deflater)

    def _deflate(self, deflater: Deflater, opcode: int, payload: Payload) -> None:
        """Let a message join compressed, or else nothing that is compressed later may refer back to it."""
        if self._deflating:  # a signal's handler sends amid this: what it sends goes first, and so uncompressed
            self.append(self._encoded(opcode, payload, None))
            return
        self._deflating = True
        try:
            self.append(self._encoded(opcode, payload, deflater))
        except BaseException:  # Ctrl-C, say
            deflater.forget()
            raise
        finally:
            self._deflating = False

    def _take_off(self) -> None:
        # Again without a call in between.
        self._offset += self._taken[0]
        self._size -= self._taken[0]
        self._counters.bytes_out += self._taken[0]
        del self._taken[0]
        while self._frames and self._offset >= (size := len(self._frames[0])):
            self._offset -= size
            del self._frames[0]

    def _piece(self) -> Payload:
        piece: Payload = self._frames[0]
        if len(self._frames) > 1:
            count, size = 1, len(piece)
            while count < len(self._frames) and size < JOINED:
                size += len(self._frames[count])
                count += 1
            piece = b"".join(self._frames[:count])
        return memoryview(piece)[self._offset :] if self._offset else piece
