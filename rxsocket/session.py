"""One session: its thread, its life, its streams."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import NoReturn, Self
from urllib.parse import SplitResult

from reactivex import Observable, abc
from reactivex.subject import AsyncSubject

from .channel import Channel
from .errors import ConnectionException, ProtocolException, RxSocketException, SendException, SubscriberException
from .frames import (
    ABNORMAL_CLOSURE,
    GOING_AWAY,
    MAX_REASON,
    NO_STATUS_RECEIVED,
    NORMAL_CLOSURE,
    PING,
    Close,
    Payload,
    Ping,
    Pong,
    content_of,
    encode_close,
    encode_ping,
    encode_pong,
)
from .keeper import KEEPER
from .lifecycle import Lifecycle
from .messages import Messages
from .opening import Opening
from .options import Options
from .outgoing import Outgoing
from .states import Closed, CloseEvent, Closing, Connecting, Initiator, Open, OpenEvent, State
from .subjects import SerialQueue, Subject, guarded
from .urls import show
from .waiting import Waiter

__all__ = ["Session"]

logger = logging.getLogger("rxsocket")

LINGER_SECONDS = 1.0  # for the peer to end the TCP connection after the closing handshake (section 7.1.1)
CUT_SECONDS = 0.1  # for the session's thread to cut the connection by itself at a close's deadline
UNREMARKABLE = {NORMAL_CLOSURE, GOING_AWAY, NO_STATUS_RECEIVED}  # codes that a server closes with in good order
EXIT_SECONDS = 0.8  # for all sessions together to close at the interpreter's exit

_open_sessions: set[Session] = set()  # under _open_sessions_lock
_open_sessions_lock = threading.Lock()
# The identifiers of all sessions' threads, each written by its thread. None of them waits for any session's peer to
# read, or two sessions that send by each other would stop.
_session_threads: set[int] = set()


class Session(Lifecycle):
    """A connection to a server and what it says, from Connecting to Closed.

    Made by :meth:`rxsocket.Socket.connect`. A thread of its own connects, reads, and calls the subscribers of its
    streams. On another thread come only the current value, for who subscribes; the end, if that thread has given up the
    attempt to connect; and errors, if that thread found them. As a context manager it closes at the end of the block.

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
        url: SplitResult | Callable[[], SplitResult],
        protocols: Sequence[str],
        options: Options,
        *,
        paused: bool,
    ) -> None:
        super().__init__(self._report_subscriber)
        self._options = options
        self._find_url = url if callable(url) else lambda: url
        self._protocols = protocols
        self._url = "a URL that is not known yet" if callable(url) else show(url)  # the session's thread alone
        self._opening: Opening | None = None  # under _lock; of the try that is under way
        self._channel: Channel | None = None  # written under _lock, by the session's thread: there from Open on
        self._outgoing: Outgoing | None = None  # under _lock: of the channel, while the state is Open
        self._waits_for_room = 0  # under _lock: how many threads do
        self._number = 1  # the session's thread alone: of the connection that there is, or is to be
        self._backoff = options.reconnect  # under _lock: how to go on after an end; None once it is closed by close()
        self._at_once = False  # under _lock: whether the next try is due, by reconnect() or by a scheduler

        self._reports = SerialQueue()
        try:
            self._waiter = Waiter()
        except OSError as error:
            problem = f"no session with {self._url} could be made: {error}. Each takes three descriptors (ulimit -n)"
            raise ConnectionException(problem) from error
        self._errors: Subject[RxSocketException] = Subject("errors", _log_subscriber)
        self.errors: Observable[RxSocketException] = self._errors
        self._round_trips: Subject[float] = Subject("round_trips", self._report_subscriber)
        self.round_trips: Observable[float] = self._round_trips
        self.messages = Messages(
            self._report_subscriber,
            self._waiter.wake,
            self.report,
            max_held=options.max_held,
            max_held_messages=options.max_held_messages,
            paused=paused,
        )

        self._turns = 0  # how often the session's thread came around; written by it alone
        self._waiting = True  # whether it waits, and so is held up by nobody; written by it alone
        self._ended = threading.Event()  # set after the last event was delivered
        self._finisher: int | None = None  # the thread that delivers the end; written by it alone
        # A daemon: a script that ends is not kept alive by a feed. At exit the sessions still open close first.
        self._thread = threading.Thread(target=self._run, name=f"rxsocket {self._url}", daemon=True)

    def start(self) -> Self:
        """Begin to connect, once; :meth:`rxsocket.Socket.connect` has done so already. Returns the session itself.

        Raises:
            ConnectionException: The system has no thread left for it. The session is Closed.
        """
        with self._lock:
            if self._thread.ident is not None or not isinstance(self._state, Connecting):
                return self
            _remember(self)
            try:
                self._thread.start()
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

    # --- what it tells

    @property
    def url(self) -> str:
        """Where it leads, after redirects, without user and password."""
        channel = self._channel
        return self._url if channel is None else channel.connection.url

    @property
    def protocol(self) -> str | None:
        """The sub-protocol that the server picked; None while Connecting, and where it picked none."""
        channel = self._channel
        return None if channel is None else channel.connection.protocol

    def __repr__(self) -> str:
        return f"<Session {self.url} {type(self._state).__name__}>"

    # --- what it is told

    def send(self, message: str | bytes | bytearray | memoryview, *, wait: bool = True) -> None:
        """Send a text (str), or a binary message (bytes, bytearray, memoryview).

        May be called from any thread: a message is sent whole, and each thread's in order. It waits while Connecting,
        and while over 1 MiB is on its way out; for the latter not on the thread of any session, so in a subscriber.
        That it returns says that the message is on its way, not that it has arrived. What a subscriber sends goes to
        the network when all that came with its message is delivered; or with what another thread sends; or, if that
        takes seconds, meanwhile.

        Args:
            message: What to send.
            wait: Whether it may wait. False: it raises while Connecting, and else takes up to ``max_outgoing`` bytes.

        Raises:
            SendException: The session is closing or closed, or could not connect; ``send_timeout`` passed while
                waiting; or, where it does not wait, over ``max_outgoing`` bytes are on their way out.
            TypeError: The message is of another type.
            ValueError: The text has a lone surrogate, and so can't be UTF-8.
        """
        opcode, payload = content_of(message)
        with self._lock:
            outgoing = self._outgoing
            if outgoing is None or not outgoing.is_free(len(payload)):
                outgoing = self._joinable(len(payload), wait=wait)
            self._join(outgoing, opcode, payload)

    def ping(self) -> Observable[float]:
        """Send a ping now.

        Returns:
            A stream of one item, on the session's thread: the seconds until its pong came, which says that the peer has
            received all that was sent before. It ends without one if the connection ends first.

        Raises:
            SendException: The session is not Open.
        """
        answer: AsyncSubject[float] = AsyncSubject()

        def answered(seconds: float | None) -> None:
            if seconds is not None:
                answer.on_next(seconds)
            answer.on_completed()

        with self._lock:
            channel = self._channel
            if channel is None or not isinstance(self._state, Open):
                self._refuse(self._refusal() or "the session is still connecting")
            self._join(channel.outgoing, PING, channel.keepalive.ping(time.monotonic(), answered))
        return answer.pipe(guarded("ping", self._report_subscriber))

    def close(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the session: what was sent goes out first, then the close frame; then the peer's is awaited.

        From any thread, in any state, any number of times; only the first has an effect. While Connecting the attempt
        is given up. It returns when the session is Closed, or shortly after ``close_timeout``, when the connection has
        been cut: if a subscriber holds the session's thread up, it is Closed once that returns. On the thread of any
        session, so in a subscriber, it returns at once.

        Args:
            code: 1000, or 3000 to 4999 for your own; or another that RFC 6455, section 7.4, lets an endpoint send.
            reason: At most 123 bytes of UTF-8.

        Raises:
            CloseException: The code or the reason may not be sent. The session is as it was.
            TypeError: The code is no int, or the reason no str. The session is as it was.
        """
        self._begin_close(Close(code, reason))
        thread = threading.get_ident()
        if thread in _session_threads or thread == self._finisher or self._is_interrupted():
            return  # what waits for this thread, or was interrupted on it, has to go on first
        if not self._ended.wait(self._options.close_timeout + CUT_SECONDS):
            # The session's thread is held up by a subscriber: the connection ends all the same.
            channel = self._channel
            if channel is not None:
                channel.connection.abort()

    def reconnect(self) -> None:
        """Connect anew, now, whatever :class:`~rxsocket.Backoff` says, and also without one. From any thread.

        A connection that is open is closed first, after what was sent on it. A try that is waited with is
        made; one that is under way goes on.

        Raises:
            ConnectionException: The session is closed, or was told to close: connect by the socket.
        """
        with self._lock:
            match self._state:
                case Connecting():
                    pass
                case Open():
                    close = Close(NORMAL_CLOSURE)
                    self._enter_closing("client", close, encode_close(close))
                    self._write()
                case Closing("server" | "network"):
                    pass
                case _:
                    raise ConnectionException(f"{self.url}: the session is closed: connect anew by its socket")
            self._hurry()
        self._waiter.wake()

    @classmethod
    def close_all(cls, timeout: float = EXIT_SECONDS, *, connecting: bool = True) -> None:
        """Close every session of the process with 1001, as happens to those that are Open at the interpreter's exit.

        Args:
            timeout: Seconds after which it returns, whichever sessions are not Closed by then.
            connecting: Whether to close those that are Connecting, too.
        """
        with _open_sessions_lock:
            sessions = list(_open_sessions)
        if not connecting:
            sessions = [session for session in sessions if not isinstance(session.current_state, Connecting)]
        for session in sessions:
            session._begin_close(Close(GOING_AWAY))  # noqa: SLF001 of the same class
        deadline = time.monotonic() + timeout
        for session in sessions:
            session._ended.wait(max(0.0, deadline - time.monotonic()))  # noqa: SLF001 of the same class

    def pause(self) -> None:
        """Hold messages from now on. When ``max_held`` is reached reading stops, so that the server has to wait."""
        self.messages.pause()

    def resume(self) -> None:
        """Deliver what was held, and go on."""
        self.messages.resume()

    def report(self, error: RxSocketException) -> None:
        """Log an error, and deliver it to the subscribers of :attr:`errors`. From any thread."""
        where = "" if self.url in str(error) else f"{self.url}: "
        raised = error.__cause__ if isinstance(error, SubscriberException) else None
        if isinstance(raised, SendException):  # of a subscriber that answers, after a close: it needs no traceback
            logger.warning("%s%s (%s)", where, error, raised)
        else:
            logger.warning("%s%s", where, error, exc_info=raised)
        self._reports.run(partial(self._errors.on_next, error))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # --- on any thread

    def _on_own_thread(self) -> bool:
        return threading.get_ident() == self._thread.ident

    def _enter(self, state: State) -> None:
        super()._enter(state)
        channel = self._channel
        self._outgoing = channel.outgoing if channel is not None and isinstance(state, Open) else None

    def _joinable(self, size: int, *, wait: bool) -> Outgoing:
        """Return what is on its way out, once a message of that size may join it. Under _lock."""
        waits_for_room = wait and threading.get_ident() not in _session_threads

        def settled() -> bool:
            outgoing = self._outgoing
            return self._refusal() is not None or (outgoing is not None and (outgoing.has_room or not waits_for_room))

        self._waits_for_room += 1
        try:
            in_time = self._changed.wait_for(
                settled, self._options.send_timeout if wait and not self._on_own_thread() else 0.0
            )
        finally:
            self._waits_for_room -= 1
        refusal = self._refusal()
        outgoing = self._outgoing
        if refusal is not None:
            self._refuse(refusal)
        if outgoing is None or not in_time:
            problem = "still connecting" if outgoing is None else "the peer does not read"
            self._refuse(f"{problem} after send_timeout={self._options.send_timeout:g} s" if wait else problem)
        if not waits_for_room and not outgoing.takes(size):
            self._refuse(f"over max_outgoing={self._options.max_outgoing} bytes would wait for the peer to read")
        return outgoing

    def _join(self, outgoing: Outgoing, opcode: int, payload: Payload) -> None:
        """Let a message, or a ping, join what is on its way out, behind all that was sent before. Under _lock."""
        if self._on_own_thread():
            outgoing.answer(opcode, payload)  # what a batch of messages produces is written at its end
            return
        if outgoing.send(opcode, payload):
            return  # who was woken when the socket took no more will write it together with what waits already
        try:
            self._write()
        finally:  # also if Ctrl-C comes: what has joined goes out
            if outgoing:
                self._waiter.wake()
        if outgoing.error is not None:
            self._refuse(str(outgoing.error))

    def _refusal(self) -> str | None:
        """Why no message can be sent any more, if none can. Under _lock."""
        match self._state:
            case Closed(event):
                return f"the session is closed ({f'{event.code} {event.reason}'.strip()})"
            case Closing():
                return "the session is closing"
            case _:
                error = self._outgoing.error if self._outgoing is not None else None
                return None if error is None else str(error)

    def _refuse(self, refusal: str) -> NoReturn:
        cause = None if self._channel is None else self._channel.outgoing.error
        raise SendException(f"the message was not sent: {refusal}") from cause

    def _report_subscriber(self, stream: str, error: BaseException) -> None:
        failure = SubscriberException(stream)
        failure.__cause__ = error
        self.report(failure)

    def _begin_close(self, close: Close) -> None:
        frame = encode_close(close)
        given_up = CloseEvent(ABNORMAL_CLOSURE, close.reason, "client", was_clean=False, connection=self._number)
        opening = None
        try:
            with self._lock:
                self._backoff = None
                self._at_once = False
                opening = self._opening
                if isinstance(self._state, Open):
                    self._enter_closing("client", close, frame)
                    # From here, too, since the session's own thread may be held up by a subscriber.
                    self._write()
                elif isinstance(self._state, Connecting):
                    self._enter(Closed(given_up))
        finally:  # also if Ctrl-C comes
            if isinstance(self._state, Closed) and self._state.event is given_up:
                # On this thread, since the session's own may be held up by a host that does not answer.
                if opening is not None:
                    opening.abort()
                if self._thread.ident is None:  # it will never be started, and so never close this
                    self._waiter.close()
                self._finish(given_up)
            else:
                self._waiter.wake()

    def _enter_closing(self, initiator: Initiator, close: Close, frame: bytes) -> None:
        """Make the transition from Open to Closing, with a close frame behind what is on its way out. Under _lock."""
        channel = self._channel
        assert channel is not None  # noqa: S101 it is there from Open on
        channel.limit_closing(self._options.close_timeout)
        self._enter(Closing(initiator))
        channel.sent = close
        channel.outgoing.release()
        channel.outgoing.append(frame)

    def _write(self) -> None:
        """Give the socket what it takes of what is on its way out. Under _lock."""
        channel = self._channel
        if channel is not None and channel.outgoing:
            channel.outgoing.write()
            if self._waits_for_room and channel.outgoing.has_room:
                self._changed.notify_all()

    def _answer(self, channel: Channel, ping: Ping) -> None:
        with self._lock:
            # A peer that pings and never reads has no claim on memory; section 5.5.3: not every ping must be answered.
            if isinstance(self._state, Open) and channel.outgoing.has_room:
                channel.outgoing.append(encode_pong(ping.payload))
            channel.outgoing.release()
            self._write()

    def _take_close(self, channel: Channel, close: Close) -> None:
        # Section 5.5.1: answered with the same status, unless this side began.
        frame = encode_close(None if close.code == NO_STATUS_RECEIVED else close)
        with self._lock:
            channel.received = close
            if isinstance(self._state, Open):
                self._enter_closing("server", close, frame)
            channel.limit_closing(LINGER_SECONDS)

    def _ask_if_due(self, channel: Channel) -> None:
        """Ping a peer from which nothing comes. Under _lock."""
        now = time.monotonic()
        if isinstance(self._state, Open) and channel.keepalive.is_due(now):
            channel.outgoing.append(encode_ping(channel.keepalive.ask(now)))
            self._write()

    def _finish(self, event: CloseEvent) -> None:
        """Tell of the session's end. By who made the transition to Closed."""
        self._finisher = threading.get_ident()
        with ExitStack() as stack:  # each is done, the last first, whatever a subscriber raises: SystemExit, say
            stack.callback(self._ended.set)
            stack.callback(_forget, self)
            stack.callback(self._reports.run, self._errors.on_completed)
            stack.callback(self._reports.run, self._round_trips.on_completed)
            stack.callback(self._events.run, self._states.on_completed)
            stack.callback(self.messages.complete)
            stack.callback(self._tell, event)

    def _tell(self, event: CloseEvent) -> None:
        if event.cause is not None and not isinstance(event.cause, ProtocolException):
            self.report(event.cause)
        unremarkable = event.code in UNREMARKABLE or event.initiator == "client" or event.cause is not None
        level = logging.INFO if unremarkable else logging.WARNING
        logger.log(level, "%s: closed, %d %s by the %s", self.url, event.code, event.reason, event.initiator)

    # --- on the keeper's thread, while a subscriber holds the session's thread up

    @property
    def turn(self) -> int | None:
        """How often the session's thread came around; None while it waits, and so is held up by nobody."""
        return None if self._waiting else self._turns

    def keep(self) -> None:
        """Read ahead, answer pings and a close frame, and write, as the session's thread would."""
        channel = self._channel
        if channel is None:
            return
        for arrival in channel.read_ahead():
            if isinstance(arrival, Ping):
                self._answer(channel, arrival)
            else:
                self._take_close(channel, arrival)
        with self._lock:
            self._ask_if_due(channel)
            channel.outgoing.release()
            self._write()

    # --- on the session's thread

    def _run(self) -> None:
        _session_threads.add(threading.get_ident())
        try:
            attempt = 0
            going_on = True
            while going_on:
                cause = self._try()
                channel = self._channel
                backoff = self._options.reconnect
                if channel is not None and backoff is not None and time.monotonic() - channel.opened >= backoff.stable:
                    attempt = 0
                attempt += 1
                going_on = self._goes_on(cause, attempt)
        finally:
            _session_threads.discard(threading.get_ident())

    def _try(self) -> RxSocketException | None:
        """Make a connection, and live with it to its end; return what ended it, or kept it away, unasked for."""
        self._channel = None
        try:
            url = self._find_url()
            self._url = show(url)
            with self._lock:
                if not isinstance(self._state, Connecting):
                    return None
                self._opening = opening = Opening(url, self._protocols, self._options)
            connection = opening.run()
            if self._options.ping_interval is not None and self._options.ping_timeout is not None:
                connection.expect_acknowledgements(self._options.ping_interval + self._options.ping_timeout)
            with self._lock:
                self._channel = channel = Channel(connection, self._number, self._options)
                if isinstance(self._state, Connecting):
                    self._at_once = False
                    self._enter(Open(OpenEvent(connection.url, connection.protocol, self._number, connection.headers)))
            return self._serve(channel)
        except ConnectionException as error:
            return error
        except BaseException as error:  # noqa: BLE001 whatever it is (sys.exit() of a subscriber, say), a Closed must come
            with self._lock:
                self._backoff = None
            cause = ConnectionException(f"{self.url} could not be served any more: {error!r}")
            cause.__cause__ = error
            return cause

    def _serve(self, channel: Channel) -> RxSocketException | None:
        """Read, deliver and write in turn, until the connection's end; return what ended it unasked for."""
        if isinstance(self._state, Closed):
            return None  # it was given up at the last moment
        outgoing = channel.outgoing
        cut = False
        drained = False
        KEEPER.add(self)
        self._waiting = False
        try:
            while True:
                self._turns += 1
                if self._events:
                    self._events.drain()
                self.messages.drain()
                full = self.messages.full
                # Where a read ended at its limit, a ping that belongs to the last message may be in the next.
                cut = channel.is_cut and not cut
                if outgoing:
                    with self._lock:
                        if not cut:
                            outgoing.release()
                        self._write()
                if channel.deadline is not None:
                    self._check_deadline(channel, full=full)
                if (full or drained) and not cut:
                    self._wait(channel, reading=not full, writing=bool(outgoing))
                drained = full or not self._take(channel) or not channel.is_cut
        except ConnectionException as error:
            return error
        finally:
            self._waiting = True
            KEEPER.remove(self)

    def _check_deadline(self, channel: Channel, *, full: bool) -> None:
        """Raise a ConnectionException when a closing took too long, or can't end."""
        deadline, writing = channel.deadline, bool(channel.outgoing)
        if full and not writing:
            raise ConnectionException(f"{self.url} was closed while paused: what it still had to say was not read")
        if deadline is not None and time.monotonic() >= deadline:
            problem = "did not read all that was sent to it" if writing else "did not answer the close frame"
            raise ConnectionException(f"{self.url} {problem} within close_timeout")

    def _take(self, channel: Channel) -> bool:
        """Read, and deliver what came; return whether anything did."""
        arrival = channel.take()
        while arrival is not None:
            if isinstance(arrival, list):
                self.messages.deliver(arrival, channel.number)
            elif isinstance(arrival, Ping):
                # In the order in which they came: to the peer, a pong says that what it sent before has arrived.
                self._answer(channel, arrival)
            elif isinstance(arrival, Pong):
                self._take_pong(channel, arrival)
            elif isinstance(arrival, Close):
                self._take_close(channel, arrival)
            else:
                self._fail(channel, arrival)
            if not channel.has_more:
                return True
            arrival = channel.take()
        return False

    def _wait(self, channel: Channel, *, reading: bool, writing: bool) -> None:
        """Wait until there is something to do."""
        now = time.monotonic()
        timeout = channel.keepalive.remaining(now)
        if timeout is not None and timeout <= 0:
            timeout = self._ask(channel, now, reading=reading)
        if channel.deadline is not None:
            timeout = max(0.0, channel.deadline - now)
        self._waiting = True
        self._waiter.wait(channel.connection, reading=reading, writing=writing, timeout=timeout)
        self._waiting = False

    def _ask(self, channel: Channel, now: float, *, reading: bool) -> float | None:
        """Ping a peer of which nothing was heard, or find it lost; return the seconds until it is time for the next."""
        with self._lock:
            if not reading:
                channel.keepalive.heard(now)  # it may say what it likes: nobody listens
            elif channel.keepalive.is_lost(now):
                raise ConnectionException(
                    f"{self.url} is lost: nothing came for {self._options.ping_timeout:g} s after a ping (ping_timeout)"
                )
            self._ask_if_due(channel)
            return channel.keepalive.remaining(now)

    def _take_pong(self, channel: Channel, pong: Pong) -> None:
        with self._lock:
            answers = channel.keepalive.pong(pong.payload, time.monotonic())
        for seconds, answered in answers:
            self._round_trips.on_next(seconds)
            answered(seconds)

    def _fail(self, channel: Channel, failure: ProtocolException) -> None:
        # Section 7.1.7: fail the connection.
        close = Close(failure.code, str(failure)[:MAX_REASON])
        with self._lock:
            channel.failure = failure
            if isinstance(self._state, Open):
                self._enter_closing("client", close, encode_close(close))
            channel.limit_closing(LINGER_SECONDS)
        self.report(failure)

    def _goes_on(self, cause: RxSocketException | None, attempt: int) -> bool:
        """End what a try has left; then wait until the next is due, or be Closed, and return False."""
        with self._lock:
            channel = self._channel
            unanswered = [] if channel is None else channel.keepalive.end()
            event = None if isinstance(self._state, Closed) else self._close_event(channel, cause)
            state = None if event is None else self._following(event, attempt)
            if channel is not None:
                self._waiter.forget()
                channel.connection.close()
                channel.outgoing.clear()
                self._number += 1
            if state is not None:
                self._enter(state)
        for answered in unanswered:
            answered(None)
        if event is not None and isinstance(state, Connecting):
            self._tell(event)
            self._await_try(state)
            return True
        self._waiter.close()
        if event is not None:
            self._finish(event)
        return False

    def _following(self, event: CloseEvent, attempt: int) -> Connecting | Closed:
        """Return the state that comes after an end. Under _lock."""
        lost = self._state.lost if isinstance(self._state, Connecting) else event
        backoff = self._backoff
        if self._at_once:
            return Connecting(attempt, 0.0, event.cause, lost)
        if backoff is None or backoff.gives_up(attempt) or backoff.is_final(event.code, event.cause):
            return Closed(event)
        return Connecting(attempt, backoff.delay(attempt), event.cause, lost)

    def _await_try(self, state: Connecting) -> None:
        """Wait until a try is due, or the session is closed."""
        backoff = self._options.reconnect
        scheduler = None if backoff is None else backoff.scheduler
        logger.info("%s: try %d to connect again, in %.1f s", self._url, state.attempt, state.delay)
        timer = None if scheduler is None else scheduler.schedule_relative(state.delay, self._on_time)
        # When the timer stands: who sees the event may be the one who makes a virtual time go on.
        self._events.drain()
        with self._lock:
            self._changed.wait_for(
                lambda: self._at_once or isinstance(self._state, Closed), state.delay if timer is None else None
            )
            self._at_once = False
        if timer is not None:
            timer.dispose()

    def _on_time(self, scheduler: abc.SchedulerBase, state: object = None) -> None:
        self._hurry()

    def _hurry(self) -> None:
        with self._lock:
            self._at_once = True
            self._changed.notify_all()

    def _close_event(self, channel: Channel | None, cause: RxSocketException | None) -> CloseEvent:
        """Say how a connection ended, or why there was none. Under _lock."""
        number = self._number
        if channel is None:
            return CloseEvent(
                ABNORMAL_CLOSURE, str(cause or ""), "network", was_clean=False, cause=cause, connection=number
            )
        received, failure, unsent = channel.received, channel.failure, channel.outgoing.unsent
        # The close frame is the last to go: what is still there, or could not go, is it, or stands before it.
        sent = None if unsent else channel.sent
        initiator: Initiator = self._state.initiator if isinstance(self._state, Closing) else "network"
        code, reason, was_clean = ABNORMAL_CLOSURE, str(cause or ""), False
        if failure is not None:
            # After a close frame of this side no other could be sent for the failure.
            code = failure.code if channel.sent and channel.sent.code == failure.code else ABNORMAL_CLOSURE
            reason, cause, received = str(failure), failure, None
        elif received is not None:
            code, reason, was_clean, cause = received.code, received.reason, sent is not None, None
        return CloseEvent(code, reason, initiator, was_clean, cause, sent, received, number, unsent)


def _remember(session: Session) -> None:
    with _open_sessions_lock:
        _open_sessions.add(session)


def _forget(session: Session) -> None:
    with _open_sessions_lock:
        _open_sessions.discard(session)


def _forget_all() -> None:
    """In a child process: what goes on in its parent, over the same sockets, is not the child's to close."""
    global _open_sessions_lock  # noqa: PLW0603 another thread of the parent may have had it
    _open_sessions_lock = threading.Lock()
    _open_sessions.clear()


def _log_subscriber(stream: str, error: BaseException) -> None:
    logger.error("a subscriber of %s raised", stream, exc_info=error)


# Of those that are Connecting no server would hear, and their subscribers, told here, could hold the exit up.
atexit.register(Session.close_all, connecting=False)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
