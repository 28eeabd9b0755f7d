"""Records what a session tells, as it is told, in a cassette."""

from __future__ import annotations

import atexit
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from os import PathLike, fsdecode, fspath
from types import TracebackType
from typing import Any, BinaryIO, Self

from reactivex import abc
from reactivex.disposable import CompositeDisposable
from reactivex.internal import noop

from .cassette import Binary, Completed, ErrorLine, GapLine, Header, Line, RoundTrip, Text, encode_lines, state_line
from .errors import CassetteException, DecodeException, FunctionException, RxSocketException, SubscriberException
from .gaps import Gap
from .markup import figures, table
from .messages import MessageEvent
from .scopes import inside, owned
from .states import State
from .streams import Streams

__all__ = ["Recording", "record"]

LINGER = 0.25  # seconds for which lines gather, to be written together; a kill loses no more
LIMIT = 32 << 20  # bytes of messages that may wait for the disk; then the session does
LINE_SIZE = 200  # bytes that a line takes, beside its content
AT_ONCE = 1000  # lines that are encoded in one go; other threads have their turn between
LEVEL = 3  # of zlib: half of the time of its default, and nearly its size
EXIT_SECONDS = 1.0  # for a recording to be written, at the interpreter's exit

# Who replays has subscribers, types and functions of its own, which raise again.
_OF_THIS_SIDE = (SubscriberException, DecodeException, FunctionException)

_open_recordings: set[Recording] = set()  # each is added and taken out in one step, which needs no lock


def record(
    session: Streams[Any],
    path: str | PathLike[str],
    *,
    compress: bool | None = None,
    overwrite: bool = False,
) -> Recording:
    """Record what a session tells from now on: its states, messages, errors and round trips, each with its time.

    It listens as the first subscriber does: what was held comes to it, and what is to be heard by others, too, they
    have to subscribe to before (or connect paused, or prepare a session, and let it go on then). It ends with the
    session's streams, or by :meth:`Recording.close`. What the session sends is not recorded, nor what this side's
    subscribers, types and functions raised. The file has the URL with its query, and the headers of the server's
    answer: a token in them, too.

    Args:
        session: A session in any state, or one that is replayed, or simulated.
        path: The file's. The format is that of :mod:`rxsocket.cassette`.
        compress: Whether to compress it (gzip); None for by its name, which ends in ``.gz``.
        overwrite: Whether to begin a file that exists anew.

    Returns:
        The recording, a context manager. A thread of its own writes, four times a second; so what is told just before
        the process is killed is lost, and nothing else. If the disk is slower than the network the session waits for
        it, as for any subscriber.

    Raises:
        FileExistsError: There is such a file.
        OSError: It can't be written.
    """
    return Recording(session, path, compress=compress, overwrite=overwrite)


class Recording(abc.DisposableBase):
    """What goes on from :func:`record` to the session's end. Any thread may ask and close it.

    If the file can't be written any more it ends, with a :class:`~rxsocket.CassetteException` in the session's
    ``errors``; the session goes on.

    Attributes:
        path: The file's.
        messages: How many messages were recorded.
        size: The size of the file in bytes, with what is written.
    """

    def __init__(
        self, session: Streams[Any], path: str | PathLike[str], *, compress: bool | None, overwrite: bool
    ) -> None:
        self.path = fsdecode(fspath(path))
        compresses = self.path.endswith(".gz") if compress is None else compress
        self._deflater = zlib.compressobj(LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16) if compresses else None
        # Unbuffered, since what a buffer could not write it would try again when it is closed.
        self._file: BinaryIO = open(path, "wb" if overwrite else "xb", buffering=0)  # noqa: PTH123, SIM115 the writer's
        self.size = 0  # written by the writer's thread
        self.messages = 0  # written by who delivers messages
        self._came = 0  # their size, with that of their lines; likewise
        self._written = 0  # how much of that is; under _room, by the writer's thread
        self._lines_written = 1  # by the writer's thread
        self._lines: deque[Line] = deque()  # put in by who delivers, taken out by the writer's thread
        self._is_told = False  # whether the writer knows that there are some: set by who delivers, unset by the writer
        self._news = threading.Event()  # there are lines
        self._urgent = threading.Event()  # there are many, or it has ended
        self._room = threading.Condition()
        self._has_ended = False  # written once, under _room
        self._seconds: float | None = None  # how long it took, written by who ends it
        self._to_complete = 4  # streams; under _room
        self._error: CassetteException | None = None  # written once, by the writer's thread
        self._subscriptions = CompositeDisposable()
        self._release: Callable[[], None] = noop  # takes it out of the scope that owns it
        self._session = session
        self._start = time.monotonic_ns()
        try:
            self._write(encode_lines([Header.of(session.url, datetime.now(UTC))]))
            self._thread = threading.Thread(target=self._run, name=f"rxsocket recording {self.path}", daemon=True)
            self._thread.start()
        except BaseException:
            self._file.close()
            raise
        _open_recordings.add(self)
        with inside(None):  # all of it ends with this, and this with the scope
            self._listen()
        self._release = owned(self.dispose)
        if self._has_ended:
            self._release()

    def _listen(self) -> None:
        session = self._session
        # The state first, so that no message comes before that of the connection that it came through.
        for subscribe in (
            partial(session.state.subscribe, self._take_state),
            partial(session.errors.subscribe, self._take_error),
            partial(session.round_trips.subscribe, self._take_round_trip),
        ):
            self._subscriptions.add(subscribe(on_completed=self._complete))
        messages = session.messages.with_gaps()
        self._subscriptions.add(messages.subscribe(self._take_message, on_completed=self._take_completion))

    @property
    def message_bytes(self) -> int:
        """The size of the messages: in bytes, of texts in characters."""
        return self._came - self.messages * LINE_SIZE

    @property
    def seconds(self) -> float:
        """How long it goes on, or went."""
        return (time.monotonic_ns() - self._start) / 1e9 if self._seconds is None else self._seconds

    @property
    def rate(self) -> float:
        """Messages a second, over all of it."""
        return self.messages / max(self.seconds, 1e-6)

    @property
    def is_active(self) -> bool:
        """Whether it goes on."""
        return not self._has_ended

    def close(self) -> None:
        """End it, and return when all is written. Again, it does nothing but to raise again.

        Raises:
            CassetteException: Not all could be written, since the disk is full, say.
        """
        self.dispose()
        if self._error is not None:
            raise self._error

    def dispose(self) -> None:
        """End it, and return when all is written; whether that failed the session's ``errors`` tell."""
        self._end()
        self._subscriptions.dispose()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    @classmethod
    def end_all(cls, timeout: float = EXIT_SECONDS) -> None:
        """End every recording of the process, as happens at the interpreter's exit.

        Args:
            timeout: Seconds after which it returns, whatever is not written by then.
        """
        deadline = time.monotonic() + timeout
        for recording in list(_open_recordings):
            recording._end()  # noqa: SLF001 of the same class
            recording._thread.join(max(0.0, deadline - time.monotonic()))  # noqa: SLF001 of the same class

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        goes_on = "goes on" if self.is_active else "ended"
        return f"<Recording {self.path} {self.messages} messages, {self.size} bytes, {self.seconds:.1f} s, {goes_on}>"

    def _repr_html_(self) -> str:
        state = "goes on" if self.is_active else f"failed: {self._error}" if self._error else "ended"
        rows = [("file", self.path), ("state", state), ("session", self._session.url)]
        rows += [("messages", f"{self.messages:,}"), ("size", f"{self.size:,} bytes"), ("time", figures(self.seconds))]
        return table("Recording", rows, "good" if self.is_active else "bad" if self._error else "over")

    # --- on the threads that deliver

    def _at(self) -> int:
        return (time.monotonic_ns() - self._start) // 1000

    def _take_message(self, event: MessageEvent | Gap) -> None:
        if isinstance(event, Gap):
            self._take(GapLine(self._at(), event))
            return
        # The least that can be done, since a flood comes through here.
        data = event.data
        at = (time.monotonic_ns() - self._start) // 1000
        line = Text(at, data, event.connection) if isinstance(data, str) else Binary(at, data, event.connection)
        self._lines.append(line)
        self.messages += 1
        self._came += len(data) + LINE_SIZE
        if not self._is_told:
            self._tell()
        waiting = self._came - self._written
        if waiting > LIMIT // 2:
            self._urgent.set()
            if waiting > LIMIT:
                with self._room:
                    self._room.wait_for(lambda: self._has_ended or self._came - self._written <= LIMIT)

    def _take_state(self, state: State) -> None:
        self._take(state_line(self._at(), state))

    def _take_error(self, error: RxSocketException) -> None:
        if not isinstance(error, _OF_THIS_SIDE):
            self._take(ErrorLine(self._at(), error))

    def _take_round_trip(self, seconds: float) -> None:
        self._take(RoundTrip(self._at(), seconds))

    def _take_completion(self) -> None:
        self._take(Completed(self._at()))
        self._complete()

    def _take(self, line: Line) -> None:
        self._lines.append(line)
        self._tell()

    def _tell(self) -> None:
        self._is_told = True
        self._news.set()

    def _complete(self) -> None:
        with self._room:
            self._to_complete -= 1
            is_last = not self._to_complete
        if is_last:
            self._end()

    def _end(self) -> None:
        with self._room:
            if self._has_ended:
                return
            self._seconds = self.seconds
            self._has_ended = True
            self._room.notify_all()
        self._release()
        self._urgent.set()
        self._news.set()

    # --- on the writer's thread

    def _run(self) -> None:
        try:
            with self._file:
                is_last = False
                while not is_last:
                    self._news.wait()
                    self._urgent.wait(LINGER)
                    self._news.clear()
                    self._urgent.clear()
                    self._is_told = False
                    is_last = self._has_ended  # what comes after that does not count
                    self._write_lines(is_last=is_last)
        except Exception as error:  # noqa: BLE001 whatever it is, the session must not wait for it any more
            self._fail(error)
        finally:
            _open_recordings.discard(self)

    def _write_lines(self, *, is_last: bool) -> None:
        came = self._came  # all that is counted in it has its line there
        while count := len(self._lines):
            lines = [self._lines.popleft() for _ in range(min(count, AT_ONCE))]
            self._write(encode_lines(lines), flush=len(lines) == count)
            self._lines_written += len(lines)
        if is_last and self._deflater is not None:
            self._write_out(self._deflater.flush())
        with self._room:
            self._written = came
            self._room.notify_all()

    def _write(self, data: bytes, *, flush: bool = True) -> None:
        if self._deflater is not None:
            data = self._deflater.compress(data)
            if flush:  # what a reader finds then, if nothing comes any more
                data += self._deflater.flush(zlib.Z_SYNC_FLUSH)
        self._write_out(data)

    def _write_out(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            written = self._file.write(rest)
            self.size += written
            rest = rest[written:]

    def _fail(self, error: Exception) -> None:
        problem = f"{self.path} can't be written any more ({error}), and the recording has ended, the session not: "
        hint = "record again, to a file where there is room"
        self._error = CassetteException(problem + hint, self.path, self._lines_written)
        self._error.__cause__ = error
        self._end()
        self._subscriptions.dispose()
        self._session.report(self._error)


# Before the first session starts, which registers its own: the last is done first, and the sessions' ends are recorded.
atexit.register(Recording.end_all)
