"""One session: its thread, its life, its streams."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import NoReturn, Self
from urllib.parse import SplitResult

from reactivex import Observable

from .connection import Connection
from .errors import ConnectionException, ProtocolException, RxSocketException, SendException, SubscriberException
from .frames import (
    ABNORMAL_CLOSURE,
    GOING_AWAY,
    MAX_REASON,
    NO_STATUS_RECEIVED,
    NORMAL_CLOSURE,
    Close,
    Decoder,
    Ping,
    content_of,
    encode_close,
    encode_pong,
)
from .lifecycle import Lifecycle
from .messages import Messages
from .opening import Opening
from .options import Options
from .outgoing import Outgoing
from .states import Closed, CloseEvent, Closing, Connecting, Initiator, Open, OpenEvent
from .subjects import SerialQueue, Subject
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


class _SessionThread(threading.Thread):
    """The thread of some session. It waits for no session's peer to read, or two that send by each other would stop."""


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

    Source: fritz2's ``Session``.
    """

    def __init__(self, url: SplitResult, protocols: Sequence[str], options: Options, *, paused: bool) -> None:
        super().__init__(self._report_subscriber)
        self._options = options
        self._opening = Opening(url, protocols, options)
        self._url = show(url)
        self._connection: Connection | None = None  # written once, under _lock, by the session's thread
        self._outgoing = Outgoing(options.max_outgoing)  # under _lock
        self._deadline: float | None = None  # under _lock: until when a closing may take; monotonic seconds
        self._sent: Close | None = None  # under _lock: the close frame in or past the outgoing buffer
        self._received: Close | None = None  # the session's thread alone
        self._failure: ProtocolException | None = None  # the session's thread alone

        self._reports = SerialQueue()
        self._waiter = Waiter()
        self._errors: Subject[RxSocketException] = Subject("errors", _log_subscriber)
        self.errors: Observable[RxSocketException] = self._errors
        self.messages = Messages(
            self._report_subscriber,
            self._waiter.wake,
            self.report,
            max_held=options.max_held,
            max_held_messages=options.max_held_messages,
            paused=paused,
        )

        self._ended = threading.Event()  # set after the last event was delivered
        self._finisher: int | None = None  # the thread that delivers the end; written by it alone
        # A daemon: a script that ends is not kept alive by a feed. At exit the sessions still open close first.
        self._thread = _SessionThread(target=self._run, name=f"rxsocket {self._url}", daemon=True)

    def start(self) -> Self:
        """Begin to connect, once; :meth:`rxsocket.Socket.connect` has done so already. Returns the session itself."""
        with self._lock:
            if self._thread.ident is None and isinstance(self._state, Connecting):
                with _open_sessions_lock:
                    _open_sessions.add(self)
                try:
                    self._thread.start()
                except BaseException:  # the system has no thread left, say
                    with _open_sessions_lock:
                        _open_sessions.discard(self)
                    self._waiter.close()
                    raise
        return self

    # --- what it tells

    @property
    def url(self) -> str:
        """Where it leads, after redirects, without user and password."""
        connection = self._connection
        return self._url if connection is None else connection.url

    @property
    def protocol(self) -> str | None:
        """The sub-protocol that the server picked; None while Connecting, and where it picked none."""
        connection = self._connection
        return None if connection is None else connection.protocol

    def __repr__(self) -> str:
        return f"<Session {self.url} {type(self._state).__name__}>"

    # --- what it is told

    def send(self, message: str | bytes | bytearray | memoryview, *, wait: bool = True) -> None:
        """Send a text (str), or a binary message (bytes, bytearray, memoryview).

        May be called from any thread: a message is sent whole, and each thread's in order. It waits while Connecting,
        and while over 1 MiB is on its way out; for the latter not on the thread of any session, so in a subscriber.
        That it returns says that the message is on its way, not that it has arrived.

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
            refusal = self._await_room(len(payload), wait=wait) or self._refusal()
            if refusal is not None:
                self._refuse(refusal)
            if self._on_own_thread():
                self._outgoing.answer(opcode, payload)  # what a batch of messages produces is written at its end
                return
            self._outgoing.send(opcode, payload)
            try:
                self._write()
            finally:  # also if Ctrl-C comes: what has joined goes out
                if self._outgoing:
                    self._waiter.wake()
            if self._outgoing.error is not None:
                self._refuse(str(self._outgoing.error))

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
        if isinstance(threading.current_thread(), _SessionThread) or threading.get_ident() == self._finisher:
            return
        if not self._ended.wait(self._options.close_timeout + CUT_SECONDS):
            # The session's thread is held up by a subscriber: the connection ends all the same.
            connection = self._connection
            if connection is not None:
                connection.abort()

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
        logger.warning(
            "%s%s", where, error, exc_info=error.__cause__ if isinstance(error, SubscriberException) else None
        )
        self._reports.run(partial(self._errors.on_next, error))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # --- on any thread

    def _on_own_thread(self) -> bool:
        return threading.current_thread() is self._thread

    def _await_room(self, size: int, *, wait: bool) -> str | None:
        """Wait until a message may join what is on its way out; return why not, if it may not in time. Under _lock."""

        def settled() -> bool:
            return not isinstance(self._state, Connecting)

        def has_room() -> bool:
            return self._refusal() is not None or self._outgoing.has_room

        seconds = self._options.send_timeout if wait else 0.0
        end = time.monotonic() + seconds
        if not self._changed.wait_for(settled, seconds):
            return f"still connecting after send_timeout={seconds:g} s" if wait else "still connecting"
        if wait and not isinstance(threading.current_thread(), _SessionThread):
            if not self._changed.wait_for(has_room, end - time.monotonic()):
                return f"the peer does not read after send_timeout={seconds:g} s"
        elif not self._outgoing.takes(size):
            return f"over max_outgoing={self._options.max_outgoing} bytes would wait for the peer to read"
        return None

    def _refusal(self) -> str | None:
        """Why no message can be sent any more, if none can. Under _lock."""
        match self._state:
            case Closed(event):
                return f"the session is closed ({f'{event.code} {event.reason}'.strip()})"
            case Closing():
                return "the session is closing"
            case _:
                return None if self._outgoing.error is None else str(self._outgoing.error)

    def _refuse(self, refusal: str) -> NoReturn:
        raise SendException(f"the message was not sent: {refusal}") from self._outgoing.error

    def _report_subscriber(self, stream: str, error: BaseException) -> None:
        failure = SubscriberException(stream)
        failure.__cause__ = error
        self.report(failure)

    def _begin_close(self, close: Close) -> None:
        frame = encode_close(close)
        with self._lock:
            if isinstance(self._state, Open):
                self._enter_closing("client", close, frame)
                # From here, too, since the session's own thread may be held up by a subscriber.
                self._write()
                given_up = None
            elif isinstance(self._state, Connecting):
                given_up = CloseEvent(ABNORMAL_CLOSURE, close.reason, "client", was_clean=False)
                self._enter(Closed(given_up))
            else:
                return
        if given_up is None:
            self._waiter.wake()
        else:
            # On this thread, since the session's own may be held up by a host that does not answer.
            self._opening.abort()
            if self._thread.ident is None:  # it will never be started, and so never close this
                self._waiter.close()
            self._finish(given_up)

    def _enter_closing(self, initiator: Initiator, close: Close, frame: bytes) -> None:
        """Make the transition to Closing, with a close frame behind what is on its way out. Under _lock."""
        self._enter(Closing(initiator))
        self._sent = close
        self._outgoing.release()
        self._outgoing.append(frame)
        self._limit_closing(self._options.close_timeout)

    def _limit_closing(self, seconds: float) -> None:
        """Give a closing that many seconds from now at the most. Under _lock."""
        deadline = time.monotonic() + seconds
        self._deadline = deadline if self._deadline is None else min(self._deadline, deadline)

    def _write(self) -> None:
        """Give the socket what it takes of what is on its way out. Under _lock."""
        if self._connection is not None and self._outgoing:
            self._outgoing.write(self._connection)
            if self._outgoing.has_room:
                self._changed.notify_all()

    def _finish(self, event: CloseEvent) -> None:
        """Tell of the end. By who made the transition to Closed."""
        self._finisher = threading.get_ident()
        try:
            if event.cause is not None and not isinstance(event.cause, ProtocolException):
                self.report(event.cause)
            level = logging.INFO if event.code in UNREMARKABLE or event.initiator == "client" else logging.WARNING
            logger.log(level, "%s: closed, %d %s by the %s", self.url, event.code, event.reason, event.initiator)
            self.messages.complete()
            self._events.run(self._states.on_completed)
            self._reports.run(self._errors.on_completed)
        finally:  # a subscriber may raise SystemExit, say
            with _open_sessions_lock:
                _open_sessions.discard(self)
            self._ended.set()

    # --- on the session's thread

    def _run(self) -> None:
        cause: RxSocketException | None
        try:
            cause = self._live()
        except ConnectionException as error:
            cause = error
        except BaseException as error:  # noqa: BLE001 whatever it is (sys.exit() of a subscriber, say), a Closed must come
            cause = ConnectionException(f"{self.url} could not be served any more: {error!r}")
            cause.__cause__ = error
        self._end(cause)

    def _live(self) -> RxSocketException | None:
        connection = self._opening.run()
        with self._lock:
            self._connection = connection
            self._outgoing.deflater = connection.deflater
            if isinstance(self._state, Connecting):
                self._enter(Open(OpenEvent(connection.url, connection.protocol, headers=connection.headers)))
        return self._serve(connection)

    def _serve(self, connection: Connection) -> RxSocketException | None:
        """Read, deliver and write in turn, until the connection's end; return what ended it without being asked."""
        decoder = Decoder(
            self._options.max_size, max_fragments=self._options.max_fragments, inflater=connection.inflater
        )
        while True:
            self._events.drain()
            self.messages.drain()
            full = self.messages.full
            with self._lock:
                self._outgoing.release()
                self._write()
                writing = bool(self._outgoing)
                deadline = self._deadline
            if isinstance(self._state, Closed):
                return None
            if full and deadline is not None and not writing:
                return ConnectionException(f"{self.url} was closed while paused: what it still had to say was not read")
            timeout = None if deadline is None else deadline - time.monotonic()
            if timeout is not None and timeout <= 0:
                return ConnectionException(f"{self.url} did not answer the close frame within close_timeout")
            try:
                data = None if full else connection.receive(decoder.appetite)
            except ConnectionException as error:
                return error
            if data is None:
                self._waiter.wait(connection, reading=not full, writing=writing, timeout=timeout)
            elif data:
                self._take(decoder, data)
            else:
                return ConnectionException(f"{self.url} ended the connection without a close frame")

    def _take(self, decoder: Decoder, data: bytes) -> None:
        messages, controls = decoder.feed(data)
        delivered = 0
        for control, position in zip(controls, decoder.positions, strict=True):
            if isinstance(control, Ping):
                # In the order in which they came: to the peer, a pong says that what it sent before has arrived.
                self.messages.deliver(messages[delivered:position], 1)
                delivered = position
                self._answer(control)
        if delivered < len(messages):
            self.messages.deliver(messages[delivered:] if delivered else messages, 1)
        end = controls[-1] if controls else None
        if isinstance(end, Close):
            self._received = end
            # Section 5.5.1: answered with the same status, unless this side began.
            frame = encode_close(None if end.code == NO_STATUS_RECEIVED else end)
            with self._lock:
                if isinstance(self._state, Open):
                    self._enter_closing("server", end, frame)
                self._limit_closing(LINGER_SECONDS)
        elif isinstance(end, ProtocolException):
            # Section 7.1.7: fail the connection.
            self._failure = end
            close = Close(end.code, str(end)[:MAX_REASON])
            with self._lock:
                if isinstance(self._state, Open):
                    self._enter_closing("client", close, encode_close(close))
                self._limit_closing(LINGER_SECONDS)
            self.report(end)

    def _answer(self, ping: Ping) -> None:
        with self._lock:
            # A peer that pings and never reads has no claim on memory; section 5.5.3: not every ping must be answered.
            if isinstance(self._state, Open) and self._outgoing.has_room:
                self._outgoing.append(encode_pong(ping.payload))
            self._outgoing.release()
            self._write()

    def _close_event(self, cause: RxSocketException | None) -> CloseEvent:
        """Say how the connection ended. Under _lock."""
        received, failure = self._received, self._failure
        # The close frame is the last to go: what is still there, or could not go, is it, or stands before it.
        sent = None if self._outgoing or self._outgoing.error else self._sent
        initiator: Initiator = self._state.initiator if isinstance(self._state, Closing) else "network"
        if failure is not None:
            # After a close frame of this side no other could be sent for the failure.
            code = failure.code if self._sent and self._sent.code == failure.code else ABNORMAL_CLOSURE
            return CloseEvent(code, str(failure), initiator, was_clean=False, cause=failure, sent=sent)
        if received is not None:
            return CloseEvent(
                received.code, received.reason, initiator, was_clean=sent is not None, sent=sent, received=received
            )
        return CloseEvent(ABNORMAL_CLOSURE, str(cause or ""), initiator, was_clean=False, cause=cause, sent=sent)

    def _end(self, cause: RxSocketException | None) -> None:
        """Close the connection, and be Closed, unless another thread has given up the attempt to connect."""
        with self._lock:
            event = None if isinstance(self._state, Closed) else self._close_event(cause)
            if self._connection is not None:
                self._connection.close()
            self._outgoing.clear()
            if event is not None:
                self._enter(Closed(event))
        self._waiter.close()
        if event is not None:
            self._finish(event)


def _log_subscriber(stream: str, error: BaseException) -> None:
    logger.error("a subscriber of %s raised", stream, exc_info=error)


# Of those that are Connecting no server would hear, and their subscribers, told here, could hold the exit up.
atexit.register(Session.close_all, connecting=False)
if hasattr(os, "register_at_fork"):
    # A child process that ends must not close what goes on in its parent, over the same socket.
    os.register_at_fork(after_in_child=_open_sessions.clear)
