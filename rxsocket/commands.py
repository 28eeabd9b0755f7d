"""What the commands ``record``, ``replay``, ``serve``, ``hub`` and ``listen`` do. All are for the main thread."""

from __future__ import annotations

import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import FrameType, TracebackType
from typing import Any, Self, TextIO, TypeAlias, TypeVar

from .errors import CassetteException, RxSocketException
from .frames import GOING_AWAY, NO_STATUS_RECEIVED, NORMAL_CLOSURE
from .lines import BinaryForm, Path, field, printable, shown
from .recording import Recording
from .recording import record as begin_to_record
from .replaying import Replay
from .replaying import replay as begin_to_replay
from .session import Session
from .socket import Socket
from .states import Closed, CloseEvent, OpenEvent
from .streams import Streams

__all__ = ["hub", "listen", "record", "replay", "say", "serve"]

TICK_SECONDS = 0.2  # after which a signal is seen at the latest
PLAIN_SECONDS = 10.0  # between two lines of a recording that goes on, where there is no terminal
WAITING = 1000  # messages that may wait to be printed, or KiB of them; then the session does
GOOD_CODES = {NORMAL_CLOSURE, GOING_AWAY, NO_STATUS_RECEIVED}  # that a server closes with in good order
CLEAR_LINE = "\r\x1b[K"
T = TypeVar("T")
_Handler: TypeAlias = Callable[[int, FrameType | None], Any] | int | None


def record(
    endpoint: Socket, path: str, *, seconds: float | None, count: int | None, compress: bool | None, overwrite: bool
) -> int:
    """Record until the session's end, a limit, or a signal; return the exit code."""
    with _Interrupts() as interrupts, _Log():
        try:
            session = endpoint.prepare()
        except RxSocketException as error:
            return _fail("record", str(error))
        try:
            recording = begin_to_record(session, path, compress=compress, overwrite=overwrite)
        except FileExistsError:
            session.close()
            return _fail("record", f"{path} exists: give another name, or --overwrite")
        except OSError as error:
            session.close()
            return _fail("record", f"{path} can't be written: {error.strerror}")
        done = threading.Event()
        left = count

        def counted(_: object) -> None:
            nonlocal left
            if left is not None:
                left -= 1
                if not left:
                    session.pause()  # at once, so that none comes after it
                    done.set()

        session.messages.subscribe(counted)
        session.state.subscribe(on_completed=done.set)
        show = _Progress(recording)
        try:
            session.start()
            while not interrupts and recording.is_active and not done.wait(TICK_SECONDS):
                show()
                if seconds is not None and recording.seconds >= seconds:
                    break
            event = _ended_by_itself(session)
            session.close()
            recording.close()
        except RxSocketException as error:
            show.end()
            session.close()
            return _fail("record", str(error))
        show.end()
    duration = f"{recording.seconds:.1f} s"
    size = _size(recording.size)
    say(f"rxsocket record: {recording.messages:,} messages in {duration}, {size} in {path}", sys.stdout)
    return 0 if event is None else _code(event)


def replay(path: str, *, speed: float | None, fields: Path | None, form: BinaryForm, count: int | None) -> int:
    """Print the messages of a cassette, in their time; return the exit code."""
    with _Interrupts() as interrupts, _Log():
        try:
            session = begin_to_replay(path, speed=speed, start=False)
        except CassetteException as error:
            return _fail("replay", str(error))
        except OSError as error:
            return _fail("replay", f"{path} can't be read: {error.strerror}")
        event = _Printer("replay", session, fields, form, count).run(interrupts)
    if event is not None and isinstance(event.cause, CassetteException):
        return 1
    if event is not None and event.initiator == "network" and event.cause is None and not session.is_complete:
        say(f"rxsocket replay: {event.reason}", sys.stderr)
    return 0


def listen(
    endpoint: Socket,
    *,
    texts: Sequence[str],
    fields: Path | None,
    form: BinaryForm,
    count: int | None,
) -> int:
    """Print what a server sends, a message a line, until its end, a limit, or a signal; return the exit code."""
    with _Interrupts() as interrupts, _Log():
        try:
            session = endpoint.prepare()
        except RxSocketException as error:
            return _fail("listen", str(error))

        def opened(_: OpenEvent) -> None:
            for text in texts:
                session.send(text)

        session.opens.subscribe(opened)
        event = _Printer("listen", session, fields, form, count).run(interrupts)
    return 0 if event is None else _code(event)


def serve(path: str, host: str, port: int, *, speed: float | None) -> int:
    """Play a cassette as a server, until a signal; return the exit code.

    Raises:
        ImportError: The extra ``hub`` is not installed.
    """
    from .serving import serve as begin_to_serve  # noqa: PLC0415 it needs the extra

    return _run("serve", lambda: begin_to_serve(path, host, port, speed=speed), lambda url: f"playing {path} at {url}")


def hub(host: str, port: int) -> int:
    """Run a hub, until a signal; return the exit code.

    Raises:
        ImportError: The extra ``hub`` is not installed.
    """
    from .hub import Hub  # noqa: PLC0415 it needs the extra

    return _run("hub", lambda: Hub(host, port), lambda running: f"listening on {running.url}")


def _run(command: str, serve: Callable[[], AbstractContextManager[T]], told: Callable[[T], str]) -> int:
    with _Interrupts() as interrupts, _Log():
        try:
            with serve() as server:
                say(f"rxsocket {command}: {told(server)} (Ctrl+C stops it)", sys.stdout)
                while not interrupts:
                    time.sleep(TICK_SECONDS)  # not for good, since a signal that comes just before does not end it
        except CassetteException as error:
            return _fail(command, str(error))
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            return _fail(command, where + (error.strerror or str(error)))
    say(f"rxsocket {command}: stopped", sys.stdout)
    return 0


class _Inbox(queue.Queue[str | bytes | None]):
    """Messages that wait, of which each KiB counts as one more: so a thousand small ones fill it, or a few large."""

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self._size = 0

    def _qsize(self) -> int:
        return super()._qsize() + self._size // 1024

    def _put(self, item: str | bytes | None) -> None:
        super()._put(item)
        self._size += len(item or "")

    def _get(self) -> str | bytes | None:
        item = super()._get()
        self._size -= len(item or "")
        return item


class _Printer:
    """Prints the messages of a session on the main thread, where a reader that has gone, or a signal, is seen.

    Args:
        command: Whose they are, as errors say.
        session: What is to be started.
        fields: Where the field is that is printed; None for all of each message, as it is.
        form: How binary messages are printed.
        count: After how many it ends.
    """

    def __init__(
        self, command: str, session: Session | Replay, fields: Path | None, form: BinaryForm, count: int | None
    ) -> None:
        self._command = command
        self._session = session
        self._fields = fields
        self._form: BinaryForm = form
        self._left = count
        self._inbox = _Inbox(WAITING)
        # A put waits while it is full: so a reader of the output that is slow makes the server wait.
        self._subscription = session.messages.data.subscribe(
            self._inbox.put, on_completed=lambda: self._inbox.put(None)
        )

    def run(self, interrupts: list[int]) -> CloseEvent | None:
        """Print until the end, and close the session; return how it ended, if it was by itself."""
        try:
            self._session.start()
            while not interrupts and self._print_next():
                pass
            sys.stdout.flush()
        except BrokenPipeError:
            _silence(sys.stdout)  # who read has all that it wanted (head, say)
        except OSError as error:
            _silence(sys.stdout)
            _fail(self._command, f"what came can't be printed: {error.strerror}")
        except RxSocketException as error:
            _fail(self._command, str(error))  # its Closed says so, too
        event = _ended_by_itself(self._session)
        self._subscription.dispose()
        while not self._inbox.empty():  # who waits to put one more in
            self._inbox.get()
        self._session.close()
        return event

    def _print_next(self) -> bool:
        try:
            message = self._inbox.get_nowait()
        except queue.Empty:
            sys.stdout.flush()
            try:
                message = self._inbox.get(timeout=TICK_SECONDS)
            except queue.Empty:
                return True
        if message is None:
            return False
        try:
            line = shown(message, self._form) if self._fields is None else field(message, self._fields)
            sys.stdout.write(f"{line}\n")
        except LookupError as error:
            say(f"rxsocket {self._command}: a message is left out: {error.args[0]}", sys.stderr)
            return True
        if self._left is not None:
            self._left -= 1
        return self._left != 0


class _Progress:
    """How a recording goes on: one line that changes, on a terminal, or else a line now and then."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._is_live = sys.stdout.isatty()
        self._last = 0, 0.0  # messages and seconds, when the rate was last taken
        self._rate = 0.0
        self._next_plain = PLAIN_SECONDS

    def __call__(self) -> None:
        recording = self._recording
        messages, seconds = self._last
        if recording.seconds - seconds >= 1:
            self._rate = (recording.messages - messages) / (recording.seconds - seconds)
            self._last = recording.messages, recording.seconds
        text = f"{recording.messages:,} messages, {self._rate:,.0f}/s, {_size(recording.size)}"
        if self._is_live:
            sys.stdout.write(f"{CLEAR_LINE}rxsocket record: {text} (Ctrl+C ends it)")
            sys.stdout.flush()
        elif recording.seconds >= self._next_plain:
            self._next_plain += PLAIN_SECONDS
            say(f"rxsocket record: {text}", sys.stdout)

    def end(self) -> None:
        """Make room for a line."""
        if self._is_live:
            sys.stdout.write(CLEAR_LINE)


class _Interrupts(list[int]):
    """Collects SIGINT and SIGTERM, which only leave a mark: an exception could come in the middle of a close.

    A second one ends the process at once, since a mark is not seen by who waits for a pipe that nobody reads. SIGINT is
    set too, since a shell starts background jobs with it ignored.
    """

    def __enter__(self) -> Self:
        self._before: dict[int, _Handler] = {
            number: signal.signal(number, self._mark) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _mark(self, number: int, _: FrameType | None) -> None:
        self.append(number)
        for each in self._before:
            signal.signal(each, signal.SIG_DFL)


class _Log(logging.Handler):
    """Shows the log's warnings on stderr meanwhile, with nothing in them that a terminal would obey."""

    def __enter__(self) -> Self:
        self._logger = logging.getLogger("rxsocket")
        self._logger.addHandler(self)
        self._propagates, self._logger.propagate = self._logger.propagate, False
        self.setLevel(logging.WARNING)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._logger.propagate = self._propagates
        self._logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        say(f"rxsocket: {record.getMessage()}", sys.stderr)


def say(line: str, stream: TextIO) -> None:
    """Print a line at once: whoever started a server waits for its URL. If nobody can read it, all else goes on."""
    try:
        stream.write(f"{printable(line)}\n")
        stream.flush()
    except OSError:
        _silence(stream)


def _silence(stream: TextIO) -> None:
    """Let what is written, and what is flushed at the exit, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _fail(command: str, problem: str) -> int:
    say(f"rxsocket {command}: {problem}", sys.stderr)
    return 1


def _ended_by_itself(session: Streams[Any]) -> CloseEvent | None:
    state = session.current_state
    return state.event if isinstance(state, Closed) else None


def _code(event: CloseEvent) -> int:
    return 0 if event.was_clean and event.code in GOOD_CODES else 1


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:  # noqa: PLR2004 as these units are meant
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"
