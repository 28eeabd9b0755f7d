"""A session that needs no socket, for tests: a test tells what it hears, and sees what is sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Self

from msgspec import Struct
from reactivex import Observable, abc
from reactivex.subject import AsyncSubject

from .backoff import Backoff
from .checks import MAX_SECONDS, check_number
from .codec import Codec, MessageT, Sendable
from .deadlines import DEADLINES
from .encoding import content_of, encode_close
from .errors import ConnectionException, SendException
from .frames import ABNORMAL_CLOSURE, NO_STATUS_RECEIVED, NORMAL_CLOSURE, TEXT, Close
from .markup import plain
from .session import Session
from .simulated import SimulatedSession
from .states import Closed, CloseEvent, Closing, Connecting, Initiator, Open, OpenEvent, following, refusal
from .stats import ConnectionFigures
from .subjects import guarded

__all__ = ["FakeSession"]


class FakeSession(SimulatedSession[MessageT], Session[MessageT]):
    """A stand-in for a :class:`~rxsocket.Session`, in state Connecting, as ``socket.connect()`` returns one.

    It has all that a session has, and does in each state what that does, with a server that answers a close at once.
    What else happens is told by the test: :meth:`open`, :meth:`receive`, :meth:`pong` for all pings, :meth:`lose`,
    :meth:`reopen`, :meth:`end`. What is told is delivered on the thread that tells, before that returns; in a
    subscriber, after it; and while another thread tells, on that one.

    Args:
        url: Where it is said to lead.
        name: What it is named.
        codec: As :func:`~rxsocket.websocket` takes it.
        reconnect: By what policy the states say that it connects again; None for a session that ends at a loss.
        scheduler: By whose clock a connection stays up, for the policy and in ``stats``; None for the system's.
        send_timeout: Seconds for which ``send`` waits for another thread to :meth:`open`; not in a subscriber.
        paused: Whether to begin paused.

    Attributes:
        sent: What was sent, in order, as it was given; a copy of what is neither immutable nor the codec's.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The timeout is out of its range.

    Example:
        >>> session = FakeSession()
        >>> app = App(session)
        >>> session.open()
        >>> session.receive("hello")
        >>> session.expect("welcome")
    """

    def __init__(
        self,
        url: str = "ws://fake",
        *,
        name: str | None = None,
        codec: Codec[MessageT] | None = None,
        reconnect: Backoff | None = None,
        scheduler: abc.SchedulerBase | None = None,
        send_timeout: float = 1.0,
        paused: bool = False,
    ) -> None:
        check_number("send_timeout", send_timeout, float, 0, MAX_SECONDS)
        super().__init__(url, codec, paused=paused)
        self._name = name
        self._reconnect = reconnect
        self._scheduler = scheduler
        self._send_timeout = send_timeout
        self._protocol: str | None = None  # under _lock
        # All of these under _lock.
        self._number = 0  # of the last connection
        self._attempt = 0  # which try in a row of the policy has made it, or is waited with
        self._opened = self._heard = 0.0  # when it was opened, and when something came last
        self._told_to_close = False  # whether it is not to go on, whatever the policy is
        self._at_once = False  # whether another connection was asked for
        self._tellers: set[int] = set()  # threads that deliver; each adds and removes itself
        self._pings: list[AsyncSubject[float]] = []  # under _lock: without a pong
        self._expected = 0  # under _lock: how much of what was sent was expected
        self.sent: list[MessageT | Struct | str | bytes] = []  # under _lock

    # --- what a test tells

    def open(self, protocol: str | None = None) -> None:
        """Open a connection: the first, or the next after a loss.

        Args:
            protocol: The sub-protocol that the server is to have picked.

        Raises:
            RuntimeError: It is open, or closed.
        """
        with self._telling():
            with self._lock:
                state = self._state
                if not isinstance(state, Connecting):
                    raise self._wrong("open()", "is waited for")
                self._counters.tries += 1
                self._number += 1
                self._protocol = protocol
                self._opened = self._heard = self._now()
                opened = OpenEvent(self.url, protocol, self._number)
                self._enter(Open(opened))
                if state.lost is not None:
                    self._deliveries.put(partial(self.messages.reopen, state.lost, opened))
                self._deliveries.put(self._events.drain)
                self._deliveries.put(self.messages.drain)
            self._deliveries.drain()

    def receive(self, message: MessageT | Struct | str | bytes, connection: int | None = None) -> None:
        """Let a message come.

        Args:
            message: A text, a binary message, or a value, of which the codec makes one.
            connection: The number of the connection that it came through; None for the one that there is.

        Raises:
            RuntimeError: No connection is open.
            TypeError: It is of another type, and there is no codec, or that failed.
        """
        opcode, payload = content_of(message, self._encode)
        content = bytes(payload)
        with self._telling():
            with self._lock:
                self._hear("receive(...)")
                number = connection or self._number
            self._tell_message(content.decode() if opcode == TEXT else content, number)

    def pong(self, seconds: float = 0.01) -> None:
        """Let the pong come for all pings that were sent; for one of the session's own, if there are none.

        Args:
            seconds: How long it is to have taken.

        Raises:
            RuntimeError: No connection is open.
        """
        with self._telling():
            with self._lock:
                self._hear("pong()")
                pings, self._pings = self._pings or [AsyncSubject()], []
            for ping in pings:
                self._tell_answer(seconds)
                self._deliveries.run(partial(ping.on_next, seconds))
                self._deliveries.run(ping.on_completed)

    def lose(self, reason: str = "the connection is lost") -> None:
        """Lose the connection, or let the try to make one fail. With a policy the next try is waited with then.

        Args:
            reason: What happened, as the error and the close event say it.

        Raises:
            RuntimeError: It is closed, or closing.
        """
        with self._telling():
            with self._lock:
                event = self._lost(reason, "lose()")
                if isinstance(self._state, Connecting):
                    self._counters.tries += 1
                self._end(event)
            self._deliveries.drain()

    def reopen(self, reason: str = "the connection is lost") -> None:
        """Lose the connection, and open another, as a session does that has a policy to connect again.

        Args:
            reason: As :meth:`lose` takes it.

        Raises:
            RuntimeError: It is closed, or closing, or has no policy by which it connects again.
        """
        with self._lock:
            protocol = self._protocol
            goes_on = isinstance(self._following(self._lost(reason, "reopen()")), Connecting)
        if not goes_on:
            policy = self._reconnect
            has = "FakeSession(reconnect=Backoff())" if policy is None else f"attempts={policy.attempts} are used up"
            raise RuntimeError(f"reopen() needs a session that connects again: {has}")
        self.lose(reason)
        self.open(protocol)

    def end(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        """Let the server close the connection, which is the session's end unless its policy tries again after the code.

        While Connecting it is the end of the tries, whatever the policy is.

        Args:
            code: What the server says: 1005 where it gives no code; 1006 for a loss that is the session's end, whatever
                the policy is.
            reason: What it gives as the reason.

        Raises:
            CloseException: The code or the reason may not be sent. The session is as it was.
            RuntimeError: It is closed, or closing.
            TypeError: The code is no int, or the reason no str. The session is as it was.
        """
        close = Close(code, reason)
        if code != ABNORMAL_CLOSURE:
            encode_close(None if code == NO_STATUS_RECEIVED else close)
        with self._telling():
            with self._lock:
                event = self._lost(reason or "the connection is lost", "end()")
                if code == ABNORMAL_CLOSURE or isinstance(self._state, Connecting):
                    self._told_to_close = True
                    self._end(event)
                else:
                    self._begin_closing("server", close)
            self._deliveries.drain()

    def expect(self, *messages: Sendable[MessageT], timeout: float = 1.0) -> None:
        """Wait for messages to be sent, which must be these, in this order, after those that were expected before.

        Args:
            *messages: What is to be sent, as it is given to ``send``.
            timeout: Seconds to wait for each at the most; not in a subscriber.

        Raises:
            AssertionError: Something else was sent, or nothing.
        """
        __tracebackhide__ = True
        for message in messages:
            with self._lock:
                place = self._expected
                seconds = 0.0 if threading.get_ident() in self._tellers else timeout
                if not self._changed.wait_for(lambda: len(self.sent) > self._expected, seconds):
                    waited = f" for {seconds:g} s" if seconds else ""
                    raise AssertionError(f"expected {message!r}, and nothing was sent{waited}")
                sent = self.sent[place]
                self._expected += 1
            if sent != message:
                raise AssertionError(f"expected {message!r}, and {sent!r} was sent")

    # --- what the code under test does

    def start(self) -> Self:
        """Do nothing: it has begun to connect. Returns the session itself."""
        return self

    @property
    def name(self) -> str | None:  # noqa: D102 the base's docstring
        return self._name

    @property
    def _title(self) -> str:
        return "FakeSession" if self._name is None else f"FakeSession {plain(self._name)}"

    @property
    def protocol(self) -> str | None:
        """The sub-protocol that :meth:`open` was told of; None while Connecting."""
        return self._protocol

    def send(self, message: Sendable[MessageT], *, wait: bool = True) -> None:  # noqa: D102 the base's docstring
        self._send(message, wait=wait)

    def send_if(self, message: Sendable[MessageT], is_wanted: Callable[[], bool]) -> None:  # noqa: D102 the base's docstring
        self._send(message, is_wanted)

    async def asend(self, message: Sendable[MessageT]) -> None:  # noqa: D102 the base's docstring
        _, payload = content_of(message, self._encode)
        await self._changed.settled(self._is_settled, self._send_timeout)
        with self._lock:
            self._put(message, payload)

    def ping(self) -> Observable[float]:  # noqa: D102 the base's docstring
        answer: AsyncSubject[float] = AsyncSubject()
        with self._lock:
            self._check_open("ping")
            self._pings.append(answer)
        return answer.pipe(guarded("ping", self.report_subscriber))

    def close(self, code: int = NORMAL_CLOSURE, reason: str = "", *, wait: bool = True) -> None:  # noqa: D102 the base's docstring
        close = Close(code, reason)
        encode_close(close)
        with self._telling():
            with self._lock:
                self._told_to_close = True
                if isinstance(self._state, Open):
                    self._begin_closing("client", close)
                elif isinstance(self._state, Connecting):
                    number = self._number + 1
                    self._end(CloseEvent(ABNORMAL_CLOSURE, reason, "client", was_clean=False, connection=number))
            self._deliveries.drain()

    async def aclose(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:  # noqa: D102 the base's docstring
        self.close(code, reason)

    def reconnect(self) -> None:  # noqa: D102 the base's docstring
        with self._telling():
            with self._lock:
                if self._told_to_close or isinstance(self._state, Closed):
                    raise ConnectionException(f"{self.url}: the session is closed: connect anew by its socket")
                if isinstance(self._state, Connecting):
                    self._attempt = 0  # the try that is waited with is none of the policy's any more
                else:
                    self._at_once = True
                if isinstance(self._state, Open):
                    self._begin_closing("client", Close(NORMAL_CLOSURE))
            self._deliveries.drain()

    # --- what is behind that

    @contextmanager
    def _telling(self) -> Generator[None]:
        """Mark this thread as the one that delivers, as a session's own: what is sent there does not wait."""
        thread = threading.get_ident()
        if thread in self._tellers:
            yield
            return
        self._tellers.add(thread)
        try:
            yield
        finally:
            self._tellers.discard(thread)

    def _wake(self) -> None:
        with self._telling():  # who subscribes, or resumes, gets what was held
            super()._wake()

    def _now(self) -> float:
        clock = self._scheduler
        return time.monotonic() if clock is None else clock.to_seconds(clock.now)

    def _connection_figures(self, _now: float) -> ConnectionFigures:
        if not isinstance(self._state, Open | Closing):
            return ConnectionFigures()
        now = self._now()
        return ConnectionFigures(uptime=now - self._opened, idle=now - self._heard)

    def _refusal(self) -> str | None:
        """Why nothing can be sent any more, if nothing can. Under _lock."""
        may_go_on = not self._told_to_close and (self._at_once or self._reconnect is not None)
        return refusal(self._state, may_go_on=may_go_on)

    def _is_settled(self) -> bool:
        """Whether a message can be sent, or never will be. Under _lock."""
        return isinstance(self._state, Open) or self._refusal() is not None

    def _send(
        self, message: Sendable[MessageT], is_wanted: Callable[[], bool] = lambda: True, *, wait: bool = True
    ) -> None:
        _, payload = content_of(message, self._encode)
        with self._lock:
            may_wait = wait and threading.get_ident() not in self._tellers and not DEADLINES.is_current
            self._changed.wait_for(self._is_settled, self._send_timeout if may_wait else 0.0)
            if is_wanted():
                self._put(message, payload)

    def _put(self, message: Sendable[MessageT], payload: bytes | bytearray | memoryview) -> None:
        """Send a message now, or refuse it. Under _lock."""
        self._check_open("message")
        self._counters.frames_out += 1
        self.sent.append(bytes(payload) if isinstance(message, bytearray | memoryview) else message)
        self._changed.notify_all()

    def _check_open(self, what: str) -> None:
        """Raise a SendException where nothing can be sent. Under _lock."""
        state = self._state
        if isinstance(state, Open):
            return
        problem = self._refusal() or f"there is no connection to {self.url}: open() the FakeSession first"
        cause = state.event.cause if isinstance(state, Closed) else None
        if isinstance(state, Connecting):
            cause = state.cause
        raise SendException(f"the {what} was not sent: {problem}") from cause

    def _hear(self, what: str) -> None:
        """Note that something comes. Under _lock."""
        if not isinstance(self._state, Open | Closing):
            raise self._wrong(what, "is open")
        self._heard = self._now()

    def _begin_closing(self, initiator: Initiator, close: Close) -> None:
        """Make the transition to Closing; that to what follows comes when it was told of. Under _lock."""
        closing = Closing(initiator)
        event = CloseEvent(
            close.code, close.reason, initiator, was_clean=True, sent=close, received=close, connection=self._number
        )

        def end() -> None:
            with self._lock:
                self._end(event)

        self._enter(closing)
        self._deliveries.put(self._events.drain)
        self._deliveries.put(end)

    def _end(self, event: CloseEvent) -> None:
        """Make the transition that an end leads to, and have it told. Under _lock."""
        state = self._following(event)
        if isinstance(state, Connecting):
            self._attempt = state.attempt
            self._at_once = False
            self._protocol = None
        self._enter(state)
        for ping in self._pings:
            self._deliveries.put(ping.on_completed)
        self._pings = []
        if event.cause is not None:
            self._deliveries.put(partial(self._deliver_error, event.cause))
        self._deliveries.put(self._complete if isinstance(state, Closed) else self._events.drain)

    def _following(self, event: CloseEvent) -> Connecting | Closed:
        """Return the state that comes after an end. Under _lock."""
        policy = self._reconnect
        if self._told_to_close:
            return Closed(event)
        was_open = not isinstance(self._state, Connecting)
        was_stable = was_open and policy is not None and self._now() - self._opened >= policy.stable
        attempt = 1 if was_stable else self._attempt + 1
        return following(self._state, event, attempt, policy, at_once=self._at_once)

    def _lost(self, reason: str, what: str) -> CloseEvent:
        """Return the event of a loss, or of a try that fails. Under _lock.

        Raises:
            RuntimeError: It has come to its end, or does so.
        """
        if isinstance(self._state, Closing | Closed):
            raise self._wrong(what, "is there")
        number = self._number + 1 if isinstance(self._state, Connecting) else self._number
        cause = ConnectionException(reason)
        return CloseEvent(ABNORMAL_CLOSURE, reason, "network", was_clean=False, cause=cause, connection=number)

    def _wrong(self, what: str, needed: str) -> RuntimeError:
        state = self._state
        problem = f"{what} is for a session of which a connection {needed}, and it is {type(state).__name__}"
        if isinstance(state, Closed) and state.event.code == ABNORMAL_CLOSURE and self._reconnect is None:
            problem += ": without a policy, such as reconnect=Backoff(), a loss is the end"
        return RuntimeError(problem)
