"""A connection to a server, as its user has it."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from inspect import currentframe
from types import TracebackType
from typing import Any, Self
from urllib.parse import SplitResult

from reactivex import Observable
from reactivex.internal import noop
from reactivex.subject import AsyncSubject

from .backlog import delivering_threads
from .codec import MessageT
from .conversation import session_threads
from .encoding import content_of, encode_close
from .errors import ConnectionException
from .exchange import Exchange
from .frames import ABNORMAL_CLOSURE, GOING_AWAY, NORMAL_CLOSURE, PING, Close
from .leaving import before_end, heed_termination
from .markup import plain
from .options import Options
from .runner import Runner
from .scopes import inside, owned
from .states import Closed, CloseEvent, Connecting
from .subjects import guarded

__all__ = ["EXIT_SECONDS", "Session", "named", "open_sessions"]

CUT_SECONDS = 0.1  # for the session's thread to cut the connection by itself at a close's deadline
EXIT_SECONDS = 0.8  # for all sessions together to close at the interpreter's exit
NOT_THE_USERS = {"rxsocket", "reactivex", "contextlib"}  # between a user's code and the start of a session

_open_sessions: dict[Session[Any], str] = {}  # under _open_sessions_lock; with the line that has started each
# Re-entrant, since one is named under it.
_open_sessions_lock = threading.RLock()


class Session(Runner, Exchange[MessageT]):
    """A connection to a server and what it says, from Connecting to Closed.

    Made by :meth:`rxsocket.Socket.connect`. A thread of its own connects, reads, and calls the subscribers of its
    streams. On another thread come only the current value, for who subscribes; what was held, for who subscribes or
    resumes after the end; the end, if that thread has given up the attempt to connect; and errors, if that thread found
    them. As a context manager it closes at the end of the block.

    With a codec it is a ``Session[T]`` of the codec's values; without one, of ``str | bytes``.

    Attributes:
        messages: What the server sends. Completes after the last message.
        errors: What went wrong, each a :class:`~rxsocket.RxSocketException`: a connection that failed or was lost, a
            subscriber that raised, a message that is not what it should be. It does not end the other streams; it is
            not replayed, but logged too (logger ``rxsocket``).
        round_trips: The seconds between each ping of this side and its pong: those of ``ping_interval``, sent while
            nothing comes, and those of :meth:`ping`.

    Source: fritz2's ``Session``.
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
        self._exchange_by(options.codec)
        self._name = name
        self._release: Callable[[], None] = noop  # takes it out of the scope that owns it; written by who starts it

    def start(self) -> Self:
        """Begin to connect, once; :meth:`rxsocket.Socket.connect` has done so already. Returns the session itself.

        A session that was started before under the same name closes first, as :meth:`close` does it.

        Raises:
            ConnectionException: The system has no thread left for it. The session is Closed.
        """
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
    def name(self) -> str | None:
        """What it was named; None where it was not."""
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

    def send(self, message: MessageT | str | bytes | bytearray | memoryview, *, wait: bool = True) -> None:
        """Send a text (str), a binary message (bytes, bytearray, memoryview), or what the codec makes one of.

        May be called from any thread: a message is sent whole, and each thread's in order. It waits for
        ``send_timeout`` at the most: for a connection, also for the next one where a :class:`~rxsocket.Backoff` makes
        it; and while over 1 MiB is on its way out. On the session's own thread, which has to connect, it waits for
        neither; on the thread of another session, so in its subscribers, only for the first connection.

        That it returns says that the message is on its way, not that it has arrived. What a subscriber sends goes to
        the network when all that came with its message is delivered; or with what another thread sends; or, if that
        takes seconds, meanwhile. What another thread sends goes there at once. Only in a flood, of a hundred messages
        and more without a pause, do small ones wait for each other: for a millisecond, or until the interpreter lets
        the session's thread run (``sys.getswitchinterval()``).

        Args:
            message: What to send; what is a str or bytes goes as it is, also with a codec.
            wait: Whether it may wait. False: it raises where there is no connection, and else takes up to
                ``max_outgoing`` bytes.

        Raises:
            SendException: The session is closed, is closing for good, or was prepared and not started; the connection
                was found lost; ``send_timeout`` passed while waiting; or, where it does not wait, there is no
                connection, or over ``max_outgoing`` bytes are on their way out.
            TypeError: The message is of another type, and there is no codec, or it raised; ``__cause__`` has what.
            ValueError: The text has a lone surrogate, and so can't be UTF-8.
        """
        opcode, payload = content_of(message, self._encode)
        with self._lock:
            outgoing = self._outgoing
            if outgoing is None or not outgoing.is_free(len(payload)):
                outgoing = self._joinable(len(payload), wait=wait)
            self._join(outgoing, opcode, payload)

    def send_if(
        self, message: MessageT | str | bytes | bytearray | memoryview, is_wanted: Callable[[], bool], *, wait: bool
    ) -> None:
        """Send a message as :meth:`send` does, if it is wanted still when its turn comes, which may be late.

        Args:
            message: What to send.
            is_wanted: Is called under the session's lock.
            wait: Whether it may wait.

        Raises:
            SendException: As :meth:`send` raises it.
        """
        opcode, payload = content_of(message, self._encode)
        with self._lock:
            outgoing = self._joinable(len(payload), wait=wait)
            if is_wanted():
                self._join(outgoing, opcode, payload)

    async def asend(self, message: MessageT | str | bytes | bytearray | memoryview) -> None:
        """Send a text or a binary message, as :meth:`send` does, without holding up the loop of asyncio.

        At once where there is room; where it has to wait, for a connection or for room, other tasks go on. Who is
        cancelled meanwhile has sent nothing. A task's messages go out in its order.

        Args:
            message: What to send. It is not to be changed until it is sent.

        Raises:
            SendException: As :meth:`send` raises it.
            TypeError: The message is of another type.
            ValueError: The text has a lone surrogate, and so can't be UTF-8.
        """
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

    def ping(self) -> Observable[float]:
        """Send a ping now.

        Returns:
            A stream of one item, on the session's thread: the seconds until its pong was read, which says that the peer
            has received all that was sent before. It ends without one if the connection ends first.

        Raises:
            SendException: The session is not Open, or its connection was found lost.
        """
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

    def close(self, code: int = NORMAL_CLOSURE, reason: str = "", *, wait: bool = True) -> None:
        """Close the session: what was sent goes out first, then the close frame; then the peer's is awaited.

        From any thread, in any state, any number of times; only the first has an effect. While Connecting the attempt
        is given up. It returns when the session is Closed, or shortly after ``close_timeout``, when the connection has
        been cut: if subscribers hold the session's thread up, it is Closed once they have had what was read before. On
        the thread of any session, so in a subscriber, and in one that is ``buffered``, it returns at once. In a pause
        what comes meanwhile is held, too, up to some megabytes more.

        Args:
            code: 1000, or 3000 to 4999 for your own; or another that RFC 6455, section 7.4, lets an endpoint send.
            reason: At most 123 bytes of UTF-8.
            wait: Whether it may wait. False: it returns at once; the session's thread does the rest.

        Raises:
            CloseException: The code or the reason may not be sent. The session is as it was.
            TypeError: The code is no int, or the reason no str. The session is as it was.
        """
        self._begin_close(Close(code, reason))
        if wait and self._awaits_end() and not self._ended.wait(self._options.close_timeout + CUT_SECONDS):
            self._cut()

    async def aclose(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the session, as :meth:`close` does, without holding up the loop of asyncio while it waits.

        Who is cancelled meanwhile only does not wait: the session closes all the same.

        Args:
            code: As :meth:`close` takes it.
            reason: As :meth:`close` takes it.

        Raises:
            CloseException: The code or the reason may not be sent. The session is as it was.
            TypeError: The code is no int, or the reason no str. The session is as it was.
        """
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
        return not (held_up or self._is_interrupted())

    def _cut(self) -> None:
        """End the connection, although the session's thread is held up by a subscriber."""
        channel = self._channel
        if channel is not None:
            channel.connection.abort()

    def reconnect(self) -> None:
        """Connect anew, now, whatever :class:`~rxsocket.Backoff` says, and also without one. From any thread.

        A connection that is open is closed first, after what was sent on it; while a subscriber holds the session's
        thread up, that is not finished before it returns. A try that is waited with is made; one that is under way goes
        on, and counts as before; otherwise the policy's intervals and ``attempts`` begin anew. A session that was
        prepared is started.

        Raises:
            ConnectionException: The session is closed, or was told to close: connect by the socket.
        """
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


@cache
def _close_at_exit() -> None:
    # Of those that are Connecting no server would hear, and their subscribers, told here, could hold the exit up.
    before_end(partial(Session.close_all, connecting=False))


def open_sessions() -> dict[Session[Any], str]:
    """Return all sessions of the process that have started and are not Closed, each with the line that started it."""
    with _open_sessions_lock:
        return dict(_open_sessions)


def named(name: str | None) -> list[Session[Any]]:
    """Return the open sessions of a name: one, or while another takes its place both; of None none."""
    with _open_sessions_lock:
        return [session for session in _open_sessions if name is not None and session.name == name]


def _remember(session: Session[Any]) -> list[Session[Any]]:
    """Add a session; return those of its name that there are, of which it takes the place."""
    line = _users_line()
    heed_termination()
    with _open_sessions_lock:
        # Not before: of what is registered the last is done first, and recordings end after the sessions.
        _close_at_exit()
        earlier = [other for other in named(session.name) if other is not session]
        _open_sessions[session] = line
        return earlier


def _forget(session: Session[Any]) -> None:
    with _open_sessions_lock:
        _open_sessions.pop(session, None)


def _users_line() -> str:
    """Return the file and the line of the user's code that called rxsocket, by itself or by an operator."""
    frame = currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in NOT_THE_USERS:
        frame = frame.f_back
    return "?" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _forget_all() -> None:
    """In a child process: what goes on in its parent, over the same sockets, is not the child's to close."""
    global _open_sessions_lock  # noqa: PLW0603 another thread of the parent may have had it
    _open_sessions_lock = threading.RLock()
    _open_sessions.clear()
    session_threads.clear()
    delivering_threads.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
