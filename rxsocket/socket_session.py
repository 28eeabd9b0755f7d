"""A session over the network, and all that are open."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from inspect import currentframe
from typing import Any, Self
from urllib.parse import SplitResult

from reactivex import Observable
from reactivex.internal import noop
from reactivex.subject import AsyncSubject

from .backlog import delivering_threads
from .codec import MessageT, Sendable
from .conversation import session_threads
from .deadlines import DEADLINES
from .encoding import content_of, encode_close
from .errors import ConnectionException
from .frames import ABNORMAL_CLOSURE, GOING_AWAY, NORMAL_CLOSURE, PING, Close
from .markup import plain
from .options import Options
from .runner import Runner
from .scopes import inside, owned
from .session import Session
from .states import Closed, CloseEvent, Connecting
from .subjects import guarded

__all__ = ["EXIT_SECONDS", "SocketSession", "close_all", "named", "open_sessions"]

CUT_SECONDS = 0.1  # for the session's thread to cut the connection by itself at a close's deadline
EXIT_SECONDS = 0.8  # for all sessions together to close at the interpreter's exit
# The packages of what stands between a user's code and the start of a session.
NOT_THE_USERS = {"rxsocket", "reactivex", "contextlib", "threading", "concurrent", "asyncio"}

_open_sessions: dict[SocketSession[Any], str] = {}  # under _open_sessions_lock; with the line that has started each
# Re-entrant, since one is named under it.
_open_sessions_lock = threading.RLock()


class SocketSession(Runner[MessageT], Session[MessageT]):
    """A session over the network, with a thread of its own, which connects and reads.

    Args:
        url: As :class:`Runner` takes it.
        find_url: Likewise.
        protocols: Likewise.
        options: Likewise.
        paused: Likewise.
        name: What to name it.
    """

    def __init__(
        self,
        url: str,
        find_url: Callable[[], SplitResult],
        protocols: Sequence[str],
        options: Options,
        *,
        paused: bool,
        name: str | None = None,
    ) -> None:
        super().__init__(url, find_url, protocols, options, paused=paused, forget=self._leave)
        self._name = name
        self._release: Callable[[], None] = noop  # takes it out of the scope that owns it; written by who starts it

    def start(self) -> Self:  # noqa: D102 the base's docstring
        with self._lock:
            if self._has_begun:
                return self
            earlier = _remember(self)
        # Without the lock: a close waits, and an end is told to subscribers.
        try:
            self._release = owned(partial(self.close, wait=False), self.close)
            for session in earlier:
                session.close()
        except BaseException:  # Ctrl-C, in the wait
            self.close(wait=False)
            raise
        with self._lock:
            if self._has_begun:  # by another thread; or it was closed, by one of its name or by the end of its scope
                if isinstance(self._state, Closed):
                    self._release()
                return self
            try:
                self._start_thread()
            except RuntimeError as error:
                cause = ConnectionException(f"no thread could be started for {self._url}: {error}")
                cause.__cause__ = error
                event = CloseEvent(ABNORMAL_CLOSURE, str(cause), "client", was_clean=False, cause=cause)
                self._enter(Closed(event))
            else:
                return self
        self._waiter.close()
        self._finish(event)
        raise cause

    @property
    def name(self) -> str | None:  # noqa: D102 the base's docstring
        return self._name

    @property
    def _title(self) -> str:
        return "Session" if self._name is None else f"Session {plain(self._name)}"

    def _leave(self) -> None:
        _forget(self)
        self._release()

    @property
    def _has_begun(self) -> bool:
        """Whether it was started, or is not to be any more."""
        return self._thread.ident is not None or not isinstance(self._state, Connecting)

    # --- what it is told

    def send(self, message: Sendable[MessageT], *, wait: bool = True) -> None:  # noqa: D102 the base's docstring
        opcode, payload = content_of(message, self._encode)
        with self._lock:
            outgoing = self._outgoing
            if outgoing is None or not outgoing.is_free(len(payload)):
                outgoing = self._joinable(len(payload), wait=wait)
            self._join(outgoing, opcode, payload)

    def send_if(self, message: Sendable[MessageT], is_wanted: Callable[[], bool]) -> None:  # noqa: D102 the base's docstring
        opcode, payload = content_of(message, self._encode)
        with self._lock:
            outgoing = self._joinable(len(payload), wait=True)
            if is_wanted():
                self._join(outgoing, opcode, payload)

    async def asend(self, message: Sendable[MessageT]) -> None:  # noqa: D102 the base's docstring
        content_of(message, self._encode)  # what can't be sent is told of at once

        def sent() -> bool:
            if not self._is_settled():
                return False
            self.send(message)
            return True

        with self._lock:
            if sent():
                return
            self._waits_for_room += 1
        try:
            in_time = await self._changed.settled(sent, self._options.send_timeout)
        finally:
            with self._lock:
                self._waits_for_room -= 1
        if not in_time:
            with self._lock:
                refusal = self._refusal()
                if refusal is not None:
                    self._refuse(refusal)
                self._refuse_place(self._options.send_timeout)

    def ping(self) -> Observable[float]:  # noqa: D102 the base's docstring
        answer: AsyncSubject[float] = AsyncSubject()

        def answered(seconds: float | None) -> None:
            if seconds is not None:
                answer.on_next(seconds)
            answer.on_completed()

        with self._lock:
            refusal = self._refusal()
            channel = self._channel
            if refusal is not None or channel is None or not self._is_open(channel):
                self._refuse(refusal or self._no_connection(), "ping")
            self._counters.controls_out += 1
            self._join(channel.outgoing, PING, channel.keepalive.ping(time.monotonic(), answered))
        return answer.pipe(guarded("ping", self.report_subscriber))

    def close(self, code: int = NORMAL_CLOSURE, reason: str = "", *, wait: bool = True) -> None:  # noqa: D102 the base's docstring
        self._begin_close(Close(code, reason))
        if wait and self._awaits_end() and not self._ended.wait(self._options.close_timeout + CUT_SECONDS):
            self._cut()

    async def aclose(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:  # noqa: D102 the base's docstring
        self._begin_close(Close(code, reason))
        if not self._awaits_end():
            return
        try:
            # Whichever scope it is closed in may have ended.
            with inside(None):
                async with asyncio.timeout(self._options.close_timeout + CUT_SECONDS):
                    await self.state
        except TimeoutError:
            self._cut()

    def _awaits_end(self) -> bool:
        """Whether this thread may wait for the end: what waits for it, or was interrupted on it, has to go on first."""
        thread = threading.get_ident()
        held_up = thread in session_threads or thread in delivering_threads or thread == self._finisher
        held_up = held_up or DEADLINES.is_current
        return not (held_up or self._is_interrupted())

    def _cut(self) -> None:
        """End the connection, although the session's thread is held up by a subscriber."""
        channel = self._channel
        if channel is not None:
            channel.connection.abort()

    def reconnect(self) -> None:  # noqa: D102 the base's docstring
        with self._lock:
            if self._told_to_close or isinstance(self._state, Closed):
                raise ConnectionException(f"{self.url}: the session is closed: connect anew by its socket")
            channel = self._channel
            if channel is not None and self._is_open(channel):
                close = Close(NORMAL_CLOSURE)
                self._enter_closing(channel, "client", close, encode_close(close))
                self._write(channel.outgoing)
            # One that is under way is as good as another.
            if self._awaits_try or not isinstance(self._state, Connecting):
                self._at_once = True
        self._waiter.wake()
        self.start()

    @classmethod
    def close_all(cls, timeout: float = EXIT_SECONDS, *, connecting: bool = True) -> None:
        """Close every session of the process with 1001, as happens to those that are Open at the interpreter's exit.

        Args:
            timeout: Seconds after which it returns, whichever sessions are not Closed by then.
            connecting: Whether to close those that are Connecting, too.
        """
        sessions = list(open_sessions())
        if not connecting:
            sessions = [session for session in sessions if not isinstance(session.current_state, Connecting)]
        for session in sessions:
            session._begin_close(Close(GOING_AWAY))  # noqa: SLF001 of the same class
        deadline = time.monotonic() + timeout
        for session in sessions:
            session._ended.wait(max(0.0, deadline - time.monotonic()))  # noqa: SLF001 of the same class


close_all = SocketSession.close_all


@cache
def _close_at_exit() -> None:
    # Of those that are Connecting no server would hear, and their subscribers, told here, could hold the exit up.
    atexit.register(partial(close_all, connecting=False))


def open_sessions() -> dict[SocketSession[Any], str]:
    """Return all sessions of the process that have started and are not Closed, each with the line that started it."""
    with _open_sessions_lock:
        return dict(_open_sessions)


def named(name: str | None) -> list[SocketSession[Any]]:
    """Return the open sessions of a name: one, or while another takes its place both; of None none."""
    with _open_sessions_lock:
        return [session for session in _open_sessions if name is not None and session.name == name]


def _remember(session: SocketSession[Any]) -> list[SocketSession[Any]]:
    """Add a session; return those of its name that there are, of which it takes the place."""
    line = _users_line()
    with _open_sessions_lock:
        # Not before: of what is registered the last is done first, and recordings end after the sessions.
        _close_at_exit()
        earlier = [other for other in named(session.name) if other is not session]
        _open_sessions[session] = line
        return earlier


def _forget(session: SocketSession[Any]) -> None:
    with _open_sessions_lock:
        _open_sessions.pop(session, None)


def _users_line() -> str:
    """Return the file and the line of the user's code that called rxsocket, by itself or by an operator."""
    frame = currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in NOT_THE_USERS:
        frame = frame.f_back
    if frame is None:  # of an operator: retry, say
        return f"no line of the user's, on the thread {threading.current_thread().name!r}"
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _forget_all() -> None:
    """In a child process: what goes on in its parent, over the same sockets, is not the child's to close."""
    global _open_sessions_lock  # noqa: PLW0603 another thread of the parent may have had it
    _open_sessions_lock = threading.RLock()
    _open_sessions.clear()
    session_threads.clear()
    delivering_threads.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
