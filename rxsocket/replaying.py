"""Replays what a session told, from a cassette."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from os import PathLike
from types import TracebackType
from typing import Self, TypeAlias

from reactivex import abc
from reactivex.disposable import SerialDisposable
from reactivex.internal import noop

from .backlog import delivering_threads
from .cassette import (
    Binary,
    Cassette,
    ClosedLine,
    Completed,
    ErrorLine,
    GapLine,
    Line,
    OpenLine,
    RoundTrip,
    StateLine,
    Text,
)
from .checks import check_speed
from .codec import Codec, MessageT, check_codec
from .conversation import session_threads
from .errors import CassetteException
from .frames import ABNORMAL_CLOSURE
from .loops import is_in_coroutine
from .options import Options
from .scopes import owned
from .simulated import SimulatedSession
from .states import Closed, CloseEvent, Initiator
from .subjects import SerialQueue

__all__ = ["Replay", "replay"]

MICROSECOND = timedelta(microseconds=1)
CLOSE_SECONDS = 5.0  # for which a close waits, as a session's does: a subscriber may hold the thread up
_UNBOUNDED = Options(max_held=sys.maxsize, max_held_messages=sys.maxsize)
_BOUND = Options()  # where it stops to read, instead


def replay(
    path: str | PathLike[str],
    *,
    codec: Codec[MessageT] | None = None,
    speed: float | None = 1.0,
    scheduler: abc.SchedulerBase | None = None,
    paused: bool = False,
    start: bool = True,
) -> Replay[MessageT]:
    """Replay what a session told, in its own streams, as :func:`~rxsocket.record` has written it.

    It tells the same in the same order: states, messages, errors, round trips, and the end of each stream. As with a
    session that connects, what comes before anybody has subscribed to ``messages`` is held; but where a session would
    let go what is held, a replay stops to read until somebody subscribes, or resumes. What is late then comes at once.

    Args:
        path: The file's.
        codec: Makes ``received`` of the messages, as that of :func:`~rxsocket.websocket` does.
        speed: How many times as fast as it was; None for as fast as the subscribers are.
        scheduler: Where to deliver, at the recorded times after the start: by one of virtual time, say. None for a
            thread of its own, which ends with the replay.
        paused: Whether to hold messages until :meth:`Replay.resume`.
        start: Whether it begins at once, as ``connect`` does; False for :meth:`Replay.start`, as ``prepare`` does.

    Raises:
        CassetteException: The file is no cassette, or one of a version that is not known. Where a further line is
            damaged, that is in ``errors``, and the ``cause`` of the end.
        OSError: The file can't be read.
        TypeError: An argument is of another type.
        ValueError: The speed is under 0.01.
    """
    check_speed(speed)
    if scheduler is not None and not isinstance(scheduler, abc.SchedulerBase):
        raise TypeError(f"scheduler is one of reactivex's, or None, not {type(scheduler).__name__}")
    if codec is not None:
        check_codec("codec", codec)
    made = Replay(Cassette(path), codec, speed, scheduler, paused=paused)
    return made.start() if start else made


class Replay(SimulatedSession[MessageT]):
    """A recorded session that comes again, made by :func:`replay`: its streams, as those of a session.

    As a context manager it closes at the end of the block. It begins in the state that its session was in when the
    recording began. Where the cassette has no end of the session, the replay's is 1006, and its reason says so.
    """

    def __init__(
        self,
        cassette: Cassette,
        codec: Codec[MessageT] | None,
        speed: float | None,
        scheduler: abc.SchedulerBase | None,
        *,
        paused: bool,
    ) -> None:
        super().__init__(cassette.url, codec, paused=paused, limits=_UNBOUNDED)
        self._cassette = cassette
        self._speed = speed
        self._lines: Iterator[Line] = iter(cassette)
        self._told_to_close = False  # set by any thread
        self._release: Callable[[], None] = noop  # takes it out of the scope that owns it; by who starts it
        # These are written by the thread that delivers.
        self._damage: CassetteException | None = None
        self._at = 0  # of the last line that was told, in microseconds
        self._connection = 1
        self._has_all = False  # whether all messages were told
        self._line = self._read()  # the next one
        if isinstance(self._line, StateLine) and not isinstance(self._line, ClosedLine):
            self._tell_first(self._line)
        self._player = (
            _Thread(self._advance, f"rxsocket {self}") if scheduler is None else _Scheduled(self._advance, scheduler)
        )

    def _tell_first(self, line: StateLine) -> None:
        """Begin in the state that the session was in."""
        self._state = line.state
        self._states.on_next(line.state)
        self._note(line)
        self._line = self._read()

    @property
    def position(self) -> float:
        """Seconds from the recording's beginning to what was told last."""
        return self._at / 1e6

    @property
    def duration(self) -> float:
        """Seconds from the recording's beginning to the last of what it has. The file is read through for that, once.

        Raises:
            CassetteException: Its last line is damaged.
        """
        return self._cassette.duration

    @property
    def is_complete(self) -> bool:
        """Whether the recording has the session's end. The file is read through for that, once."""
        return self._cassette.is_complete

    def start(self) -> Self:
        """Begin, once; :func:`replay` has done so already, unless it was told not to. Returns the replay itself."""
        self._release()
        self._release = owned(self.close)
        if isinstance(self._state, Closed):
            self._release()
        self._player.start()
        return self

    def close(self) -> None:
        """End it, from any thread: what was told stays told, and then its streams end, with 1006 by the client.

        On the thread of any replay or session, so in a subscriber, in one that is ``buffered``, and in a coroutine, it
        returns at once; elsewhere when its thread has ended, or after 5 seconds. Again, or after the end, it does
        nothing.
        """
        self._told_to_close = True
        self._player.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Replay {self._cassette.path} {type(self._state).__name__} at {self.position:.1f} s>"

    @property
    def _title(self) -> str:
        return f"Replay of {self._cassette.path} at {self.position:.1f} s"

    # --- by the player, one call at a time

    def _advance(self, elapsed: Callable[[], int]) -> float | None:
        """Tell all that is due.

        Args:
            elapsed: Says how many microseconds after the start it is.

        Returns:
            After how many microseconds, from the start, the next is due; infinity where it waits for a subscriber, or
            to be resumed; None at the end.
        """
        while not self._told_to_close and self._line is not None:
            self.messages.drain()
            count, size = self.messages.held
            if count >= _BOUND.max_held_messages or size >= _BOUND.max_held:
                return math.inf
            due = 0 if self._speed is None else int(self._line.at / self._speed)
            if due and due > elapsed():
                return due
            line, self._line = self._line, self._read()
            self._tell(line)
        self._finish()
        return None

    def _read(self) -> Line | None:
        try:
            return next(self._lines, None)
        except CassetteException as error:
            self._damage = error
        except OSError as error:
            path = self._cassette.path
            self._damage = CassetteException(f"{path} can't be read any more: {error}", path, 0)
            self._damage.__cause__ = error
        return None

    def _note(self, line: Line) -> None:
        self._at = max(self._at, line.at)
        if isinstance(line, OpenLine):
            self._url = line.state.event.url
            self._connection = line.state.event.connection

    def _tell(self, line: Line) -> None:
        self._note(line)
        match line:
            case Text() | Binary():
                self._tell_message(line.data, line.connection)
            case GapLine():
                self._tell_gap(line.gap)
            case ErrorLine():
                self._tell_error(line.error)
            case RoundTrip():
                self._tell_answer(line.seconds)
            case Completed():
                self._has_all = True
                # With the end of the session, as there: the state is Closed by then.
                if not isinstance(self._line, ClosedLine):
                    self._deliveries.run(self.messages.complete)
            case _:
                self._tell_state(line.state)

    def _complete(self) -> None:
        self._release()
        super()._complete()

    def _complete_messages(self) -> None:
        if self._has_all:  # a pause of the session may have held some beyond its end
            super()._complete_messages()

    def _finish(self) -> None:
        """End what the cassette has not ended."""
        self._lines = iter(())
        self._line = None
        self._has_all = True
        if isinstance(self._state, Closed):
            self._deliveries.run(self.messages.complete)
            return
        initiator: Initiator = "network"
        if self._told_to_close:
            reason, initiator = "the replay was closed", "client"
        elif self._damage is not None:
            reason = str(self._damage)
            self.report(self._damage)
        else:
            reason = f"{self._cassette.path} ends here, and its session did not"
        event = CloseEvent(
            ABNORMAL_CLOSURE, reason, initiator, was_clean=False, cause=self._damage, connection=self._connection
        )
        self._tell_state(Closed(event))

    def _wake(self) -> None:
        self._player.wake()


_Advance: TypeAlias = Callable[[Callable[[], int]], float | None]  # Replay._advance


class _Thread:
    """Plays a replay on a thread of its own, in real time."""

    def __init__(self, advance: _Advance, name: str) -> None:
        self._advance = advance
        self._woken = threading.Event()
        self._lock = threading.Lock()
        self._is_over = False  # under _lock: whether it is not to begin any more
        # A daemon, as a session's: a script that ends is not kept alive by it.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        with self._lock:
            if self._thread.ident is None and not self._is_over:
                self._thread.start()

    def wake(self) -> None:
        self._woken.set()

    def end(self) -> None:
        with self._lock:
            self._is_over = True
        self._woken.set()
        if self._thread.ident is None:
            self._advance(lambda: 0)
        elif not _is_waited_for():
            self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        thread = threading.get_ident()
        delivering_threads.add(thread)
        try:
            self._play()
        finally:
            delivering_threads.discard(thread)

    def _play(self) -> None:
        start = time.monotonic_ns()

        def elapsed() -> int:
            return (time.monotonic_ns() - start) // 1000

        while (due := self._advance(elapsed)) is not None:
            seconds = max(0.0, (due - elapsed()) / 1e6)
            self._woken.wait(None if due == math.inf else min(seconds, threading.TIMEOUT_MAX))
            self._woken.clear()


def _is_waited_for() -> bool:
    """Whether a replay's thread may wait for this one: for room in what a coroutine iterates over, say."""
    thread = threading.get_ident()
    return thread in session_threads or thread in delivering_threads or is_in_coroutine()


class _Scheduled:
    """Plays a replay on a scheduler, by its clock."""

    def __init__(self, advance: _Advance, scheduler: abc.SchedulerBase) -> None:
        self._advance = advance
        self._scheduler = scheduler
        self._turns = SerialQueue()  # a scheduler may have several threads
        self._timer = SerialDisposable()
        self._lock = threading.Lock()
        self._start: datetime | None = None  # written once, under _lock

    def start(self) -> None:
        with self._lock:
            if self._start is not None:
                return
            self._start = self._scheduler.now
        self.wake()

    def wake(self) -> None:
        if self._start is not None:
            self._scheduler.schedule(self._turn)

    def end(self) -> None:
        self._timer.dispose()
        self._turns.run(self._take_turn)

    def _turn(self, scheduler: abc.SchedulerBase, state: object = None) -> None:
        self._turns.run(self._take_turn)

    def _take_turn(self) -> None:
        due = self._advance(self._elapsed)
        if due is not None and due != math.inf and self._start is not None:
            # All that is due at the same time comes in one turn: virtual time goes on by itself after 100 at one.
            time = self._start + due * MICROSECOND
            self._timer.disposable = self._scheduler.schedule_absolute(time, self._turn)

    def _elapsed(self) -> int:
        return 0 if self._start is None else (self._scheduler.now - self._start) // MICROSECOND
