"""A session that needs no socket, for tests: a test tells what it hears, and sees what is sent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import NoReturn, Self

from msgspec import Struct
from reactivex import Observable
from reactivex.subject import AsyncSubject

from .backoff import Backoff
from .checks import MAX_SECONDS, check_number
from .codec import Codec, MessageT, Sendable
from .deadlines import DEADLINES
from .encoding import content_of, encode_close
from .errors import ConnectionException, RxSocketException, SendException
from .frames import ABNORMAL_CLOSURE, NORMAL_CLOSURE, TEXT, Close
from .markup import plain
from .session import Session
from .simulated import SimulatedSession
from .states import Closed, CloseEvent, Closing, Connecting, Initiator, Open, OpenEvent
from .subjects import guarded

__all__ = ["FakeSession"]


class FakeSession(SimulatedSession[MessageT], Session[MessageT]):
    """A stand-in for a :class:`~rxsocket.Session`, in state Connecting, as ``socket.connect()`` returns one.

    It has all that a session has, and does in each state what that does, with a server that answers a close at once.
    What happens is told by the test: :meth:`open`, :meth:`receive`, :meth:`pong`, :meth:`lose`, :meth:`reopen`,
    :meth:`end`. What is told is delivered on the thread that tells, before that returns; or, in a subscriber, after it.

    Args:
        url: Where it is said to lead.
        name: What it is named.
        codec: As :func:`~rxsocket.websocket` takes it.
        reconnect: By what policy the states say that it connects again; None for a session that ends at a loss.
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
        send_timeout: float = 1.0,
        paused: bool = False,
    ) -> None:
        check_number("send_timeout", send_timeout, float, 0, MAX_SECONDS)
        super().__init__(url, codec, paused=paused)
        self._name = name
        self._reconnect = reconnect
        self._send_timeout = send_timeout
        self._protocol: str | None = None  # under _lock
        self._number = 0  # under _lock: of the last connection
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
                opened = OpenEvent(self.url, protocol, self._number)
                self._enter(Open(opened))
            if state.lost is not None:
                self._deliveries.run(partial(self.messages.reopen, state.lost, opened))
            self._deliveries.run(self._events.drain)
            self._wake()

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
            if not isinstance(self._state, Open | Closing):
                raise self._wrong("receive(...)", "is open")
            super().receive(content.decode() if opcode == TEXT else content, connection or self._number)

    def pong(self, seconds: float = 0.01) -> None:
        """Let the pong come for all pings that were sent; for one of the session's own, if there are none.

        Args:
            seconds: How long it is to have taken.

        Raises:
            RuntimeError: No connection is open.
        """
        with self._telling():
            with self._lock:
                if not isinstance(self._state, Open | Closing):
                    raise self._wrong("pong()", "is open")
                pings, self._pings = self._pings, []
            for _ in range(max(1, len(pings))):
                self.answer(seconds)
            for ping in pings:
                ping.on_next(seconds)
                ping.on_completed()

    def lose(self, reason: str = "the connection is lost") -> None:
        """Lose the connection, or let the try to make one fail. With a policy the next try is waited with then.

        Args:
            reason: What happened, as the error and the close event say it.

        Raises:
            RuntimeError: It is closed.
        """
        cause = ConnectionException(reason)
        with self._telling():
            with self._lock:
                state = self._state
                if isinstance(state, Closed):
                    raise self._wrong("lose()", "is there")
                event = self._lost(cause)
                if isinstance(state, Connecting):
                    self._counters.tries += 1
                self._enter(self._following(event) or Closed(event))
            self._tell_end(cause)

    def reopen(self, reason: str = "the connection is lost") -> None:
        """Lose the connection, and open another, as a session does that has a policy to connect again.

        Args:
            reason: As :meth:`lose` takes it.

        Raises:
            RuntimeError: It is closed, or has no policy by which it connects again.
        """
        with self._lock:
            if isinstance(self._state, Closed):
                raise self._wrong("reopen()", "is there")
            if self._following(self._lost(ConnectionException(reason))) is None:
                raise RuntimeError("reopen() needs a session that connects again: FakeSession(reconnect=Backoff())")
        self.lose(reason)
        self.open(self._protocol)

    def end(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        """Let the server close the connection, and so the session, whatever its policy is.

        Args:
            code: What the server says; 1006 where it says nothing.
            reason: What it gives as the reason.

        Raises:
            RuntimeError: It is closed.
        """
        with self._telling():
            with self._lock:
                state = self._state
                if isinstance(state, Closed):
                    raise self._wrong("end()", "is there")
                cause = None
                if code == ABNORMAL_CLOSURE or isinstance(state, Connecting):
                    cause = ConnectionException(reason or "the connection is lost")
                    event = self._lost(cause)
                else:
                    event = self._closed("server", Close(code, reason))
                    self._enter(Closing("server"))
                self._enter(Closed(event))
            self._tell_end(cause)

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
                    raise AssertionError(f"expected {message!r}, and nothing was sent for {timeout:g} s")
                sent = self.sent[place]
                self._expected += 1
            if sent != message:
                raise AssertionError(f"expected {message!r}, and {sent!r} was sent")

    # --- what the code under test does

    def start(self) -> Self:
        """Do nothing: it has begun to connect. Returns the session itself."""
        return self

    @property
    def name(self) -> str | None:
        """What it was named; None where it was not."""
        return self._name

    @property
    def _title(self) -> str:
        return "FakeSession" if self._name is None else f"FakeSession {plain(self._name)}"

    @property
    def protocol(self) -> str | None:
        """The sub-protocol that :meth:`open` was told of."""
        return self._protocol

    @property
    def order(self) -> AbstractContextManager[object]:
        """Is held while a message takes its place in what is sent."""
        return self._lock

    def send(self, message: Sendable[MessageT], *, wait: bool = True) -> None:
        """Send a message, which is in :attr:`sent` then. As :meth:`Session.send <rxsocket.Session.send>`.

        Args:
            message: What to send.
            wait: Whether it may wait for ``send_timeout`` until it is open.

        Raises:
            SendException: The session is closed, or not open in time.
            TypeError: The message is of another type, and there is no codec, or it raised.
            ValueError: The text has a lone surrogate, and so can't be UTF-8.
        """
        self._send(message, wait=wait)

    def send_if(self, message: Sendable[MessageT], is_wanted: Callable[[], bool]) -> None:
        """Send a message as :meth:`send` does, if it is wanted still when its turn comes.

        Args:
            message: What to send.
            is_wanted: Is called under the session's lock.

        Raises:
            SendException: As :meth:`send` raises it.
        """
        self._send(message, is_wanted)

    async def asend(self, message: Sendable[MessageT]) -> None:
        """Send a message, as :meth:`send` does, without holding up the loop of asyncio.

        Args:
            message: What to send.

        Raises:
            SendException: As :meth:`send` raises it.
            TypeError: As :meth:`send` raises it.
            ValueError: As :meth:`send` raises it.
        """
        _, payload = content_of(message, self._encode)
        await self._changed.settled(self._is_settled, self._send_timeout)
        with self._lock:
            self._put(message, payload)

    def ping(self) -> Observable[float]:
        """Send a ping, which :meth:`pong` answers. As :meth:`Session.ping <rxsocket.Session.ping>`.

        Raises:
            SendException: The session is not Open.
        """
        answer: AsyncSubject[float] = AsyncSubject()
        with self._lock:
            if not isinstance(self._state, Open):
                self._refuse("ping")
            self._pings.append(answer)
        return answer.pipe(guarded("ping", self.report_subscriber))

    def close(self, code: int = NORMAL_CLOSURE, reason: str = "", *, wait: bool = True) -> None:
        """Close the session; the server answers at once. As :meth:`Session.close <rxsocket.Session.close>`.

        Args:
            code: What the server is told.
            reason: Likewise.
            wait: Whether it may wait, which it does not need to.

        Raises:
            CloseException: The code or the reason may not be sent. The session is as it was.
            TypeError: The code is no int, or the reason no str. The session is as it was.
        """
        close = Close(code, reason)
        encode_close(close)
        with self._telling():
            with self._lock:
                state = self._state
                if isinstance(state, Closed | Closing):
                    return
                if isinstance(state, Open):
                    event = self._closed("client", close)
                    self._enter(Closing("client"))
                else:
                    number = self._number + 1
                    event = CloseEvent(ABNORMAL_CLOSURE, reason, "client", was_clean=False, connection=number)
                self._enter(Closed(event))
            self._tell_end(None)

    async def aclose(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the session, as :meth:`close` does.

        Args:
            code: As :meth:`close` takes it.
            reason: As :meth:`close` takes it.

        Raises:
            CloseException: As :meth:`close` raises it.
            TypeError: As :meth:`close` raises it.
        """
        self.close(code, reason)

    def reconnect(self) -> None:
        """Close the connection that there is, and wait for the next :meth:`open`.

        Raises:
            ConnectionException: The session is closed.
        """
        with self._telling():
            with self._lock:
                state = self._state
                if isinstance(state, Closed):
                    raise ConnectionException(f"{self.url}: the session is closed: connect anew by its socket")
                if not isinstance(state, Open):
                    return
                event = self._closed("client", Close(NORMAL_CLOSURE))
                self._enter(Closing("client"))
                self._enter(Connecting(0, 0.0, None, event))
            self._tell_end(None)

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

    def _is_settled(self) -> bool:
        """Whether a message can be sent, or never will be. Under _lock."""
        return isinstance(self._state, Open | Closed)

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
        if not isinstance(self._state, Open):
            self._refuse("message")
        self._counters.frames_out += 1
        self.sent.append(bytes(payload) if isinstance(message, bytearray | memoryview) else message)
        self._changed.notify_all()

    def _refuse(self, what: str) -> NoReturn:
        state = self._state
        cause: RxSocketException | None = None
        match state:
            case Closed(event):
                problem, cause = f"the session is closed ({f'{event.code} {event.reason}'.strip()})", event.cause
            case Closing():
                problem = "the session is closing"
            case Connecting(cause=cause):
                problem = f"there is no connection to {self.url}: open() the FakeSession first"
            case _:
                problem = "it is open"
        raise SendException(f"the {what} was not sent: {problem}") from cause

    def _tell_end(self, cause: ConnectionException | None) -> None:
        """Tell that a connection has ended, and of the error that has ended it, if one has."""
        with self._lock:
            pings, self._pings = self._pings, []
        for ping in pings:
            ping.on_completed()
        if cause is not None:
            self.fail(cause)
        self._deliveries.run(self._complete if isinstance(self._state, Closed) else self._events.drain)

    def _following(self, event: CloseEvent) -> Connecting | None:
        """Return the state that the policy has follow a loss; None where it makes no try. Under _lock."""
        state, backoff = self._state, self._reconnect
        attempt = state.attempt + 1 if isinstance(state, Connecting) else 1
        if backoff is None or backoff.gives_up(attempt):
            return None
        lost = state.lost if isinstance(state, Connecting) else event
        return Connecting(attempt, backoff.delay(attempt), event.cause, lost)

    def _lost(self, cause: ConnectionException) -> CloseEvent:
        number = self._number + 1 if isinstance(self._state, Connecting) else self._number
        return CloseEvent(ABNORMAL_CLOSURE, str(cause), "network", was_clean=False, cause=cause, connection=number)

    def _closed(self, initiator: Initiator, close: Close) -> CloseEvent:
        return CloseEvent(
            close.code,
            close.reason,
            initiator,
            was_clean=True,
            sent=close,
            received=close,
            connection=self._number,
        )

    def _wrong(self, what: str, needed: str) -> RuntimeError:
        state = self._state
        problem = f"{what} is for a session of which a connection {needed}, and it is {type(state).__name__}"
        if isinstance(state, Closed) and state.event.code == ABNORMAL_CLOSURE and self._reconnect is None:
            problem += ": without a policy, such as reconnect=Backoff(), a loss is the end"
        return RuntimeError(problem)
