"""A session's thread: it makes one connection after the other, and serves each to its end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from urllib.parse import SplitResult

from reactivex import abc

from .channel import Answer, Channel
from .codec import MessageT
from .connection import Connection
from .conversation import Conversation, session_threads
from .encoding import encode_close
from .errors import ConnectionException, ProtocolException, RxSocketException
from .frames import ABNORMAL_CLOSURE, Close, Ping
from .keeper import KEEPER
from .opening import Opening
from .options import Options
from .outgoing import Outgoing
from .states import Closed, CloseEvent, Closing, Connecting, Open, OpenEvent, State, following
from .urls import show

__all__ = ["Runner"]

LATE_SECONDS = 0.1  # to read what came in time, when a subscriber has held the session's thread up beyond a deadline
WATCH_SECONDS = 1e-3  # for which messages of a flood may wait for each other


class Runner(Conversation[MessageT]):
    """The part of a session that lives on a thread of its own, from Connecting to Closed.

    Args:
        url: Where it is to lead, as it is shown.
        find_url: Says where it leads, at each try to connect. Raises a ConnectionException if that is not known.
        protocols: The sub-protocols to offer.
        options: The endpoint's options.
        paused: Whether to begin paused.
        forget: Is called at the end, after which nothing of it is delivered any more.
    """

    def __init__(
        self,
        url: str,
        find_url: Callable[[], SplitResult],
        protocols: Sequence[str],
        options: Options,
        *,
        paused: bool,
        forget: Callable[[], None],
    ) -> None:
        super().__init__(url, options, paused=paused)
        self._find_url = find_url
        self._protocols = protocols
        self._forget = forget
        self._opening: Opening | None = None  # under _lock; of the try to connect that is under way
        self._number = 1  # written under _lock, by the session's thread: of the connection that there is, or is to be
        self._is_due = False  # under _lock: whether it is time for the next try, as a policy's scheduler says
        self._awaits_try = False  # under _lock: whether one is waited with
        self._ended = threading.Event()  # set after the last event was delivered
        self._finisher: int | None = None  # the thread that delivers the end; written by it alone
        # A daemon: a script that ends is not kept alive by a feed. At exit the sessions still open close first.
        self._thread = threading.Thread(target=self._run, name=f"rxsocket {self._url}", daemon=True)

    def _begin_close(self, close: Close) -> None:
        frame = encode_close(close)
        given_up: CloseEvent | None = None
        opening = None
        try:
            with self._lock:
                self._told_to_close = True
                self._changed.notify_all()  # who waits for a connection to send on
                opening, channel = self._opening, self._channel
                if channel is not None and self._is_open(channel):
                    self._enter_closing(channel, "client", close, frame)
                    # From here, too, since the session's own thread may be held up by a subscriber.
                    self._write(channel.outgoing)
                elif isinstance(self._state, Connecting):
                    given_up = CloseEvent(
                        ABNORMAL_CLOSURE, close.reason, "client", was_clean=False, connection=self._number
                    )
                    self._enter(Closed(given_up))
        finally:  # also if Ctrl-C comes
            if given_up is not None and isinstance(self._state, Closed) and self._state.event is given_up:
                # On this thread, since the session's own may be held up by a host that does not answer.
                if opening is not None:
                    opening.abort()
                if self._thread.ident is None:  # it will never be started, and so never close this
                    self._waiter.close()
                else:
                    self._waiter.wake()
                self._finish(given_up)
            else:
                self._waiter.wake()

    def _refusal(self) -> str | None:
        if self._thread.ident is None and isinstance(self._state, Connecting):
            return f"the session was prepared for {self.url}, and start() was not called"
        return super()._refusal()

    def _finish(self, event: CloseEvent, outlook: str = "") -> None:
        """Tell of the session's end. By who made the transition to Closed."""
        self._finisher = threading.get_ident()
        with ExitStack() as stack:  # each is done, the last first, whatever a subscriber raises: SystemExit, say
            stack.callback(self._forget)
            stack.callback(self._events.run, self._ended.set)  # by whoever is at the events before it
            stack.callback(self._complete)
            stack.callback(self._tell, event, outlook)

    def _tell(self, event: CloseEvent, outlook: str, *, is_news: bool = True) -> None:
        """Log how a connection ended, and what follows; deliver what it ended by. On the thread that ended it."""
        # A server may end a session in good order, but not one that is to go on.
        asked = event.was_orderly and (event.initiator == "client" or not outlook)
        self._log(logging.WARNING if is_news and not asked else logging.INFO, event.summary + outlook)
        if event.cause is not None and not isinstance(event.cause, ProtocolException):
            self._deliver_error(event.cause)

    def _on_time(self, scheduler: abc.SchedulerBase, state: object = None) -> None:
        with self._lock:
            self._is_due = self._awaits_try
        self._waiter.wake()

    def _start_thread(self) -> None:
        """Start the session's thread, and have it looked after. Raise a RuntimeError where the system has none left."""
        KEEPER.add(self._kept)
        try:
            self._thread.start()
        except BaseException:
            KEEPER.remove(self._kept)
            raise

    # --- on the session's thread

    def _run(self) -> None:
        self._ident = threading.get_ident()
        session_threads.add(self._ident)
        self._waiting = False
        try:
            cause = self._try(0)
            attempt = 1
            while (awaited := self._end(cause, attempt)) is not None:
                try:
                    attempt = awaited.attempt if self._await_try(awaited) else 0
                except Exception as error:  # noqa: BLE001 a policy's scheduler may raise anything
                    cause = self._unserved(error)
                    continue
                cause = self._try(attempt)
                attempt = 1 if self._was_stable() else attempt + 1
        finally:
            KEEPER.remove(self._kept)
            session_threads.discard(self._ident)

    def _was_stable(self) -> bool:
        """Whether there was a connection that stayed up for so long that the intervals begin anew."""
        channel, backoff = self._channel, self._options.reconnect
        return channel is not None and backoff is not None and time.monotonic() - channel.opened >= backoff.stable

    def _try(self, attempt: int) -> RxSocketException | None:
        """Make a connection, and live with it to its end; return what ended it, or kept it away, unasked for."""
        try:
            connection = self._connection()
            if connection is None:
                return None
            with self._lock:
                self._channel = channel = Channel(connection, self._number, self._options, self._counters)
                lost = None
                opened = OpenEvent(connection.url, connection.protocol, self._number, connection.headers)
                if isinstance(self._state, Connecting):
                    lost = self._state.lost
                    self._opening = None
                    self._enter(Open(opened))
            if lost is not None:
                self.messages.reopen(lost, opened)
            if channel.number > 1:
                self._log(logging.INFO, "connected again" + (f", at try {attempt}" if attempt else ""))
            return self._serve(channel)
        except ConnectionException as error:
            return error
        except BaseException as error:  # noqa: BLE001 whatever it is (sys.exit() of a subscriber, say), a Closed must come
            return self._unserved(error)

    def _connection(self) -> Connection | None:
        """Make a connection; return None if the session was closed before."""
        self._waiting = True
        try:
            if not isinstance(self._state, Connecting):
                return None
            with self._lock:
                self._counters.tries += 1
            url = self._find_url()
            self._url = show(url)
            with self._lock:
                if not isinstance(self._state, Connecting):
                    return None
                self._opening = opening = Opening(url, self._protocols, self._options)
            return opening.run()
        finally:
            self._turns += 1
            self._waiting = False

    def _unserved(self, error: BaseException) -> ConnectionException:
        with self._lock:
            self._told_to_close = True
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
        try:
            while True:
                self._turns += 1
                if self._events:
                    self._events.drain()
                self.messages.drain()
                full = self.messages.is_full and not self._is_ending(channel)
                # Where a read ended at its limit, a ping that belongs to the last message may be in the next.
                cut = channel.is_cut and not cut
                if outgoing:
                    with self._lock:
                        if not cut:
                            outgoing.release()
                        self._write(outgoing)
                if channel.deadline is not None:
                    self._check_deadline(channel)
                if (full or drained) and not cut:
                    self._wait(channel, reading=not full)
                drained = full or not self._take(channel) or not channel.is_cut
        except ConnectionException as error:
            return self._overdue(channel) if channel.is_late else error

    def _is_ending(self, channel: Channel) -> bool:
        """Whether a connection comes to its end, so that all is read that there is of it, in a pause, too."""
        return (
            channel.deadline is not None
            or channel.lost is not None
            or channel.outgoing.error is not None
            or self._waiter.has_ended
        )

    def _check_deadline(self, channel: Channel) -> None:
        """Raise a ConnectionException when a closing took too long."""
        deadline, now = channel.deadline, time.monotonic()
        if deadline is None or now < deadline:
            return
        if now - deadline <= LATE_SECONDS or channel.is_late:
            raise self._overdue(channel)
        # A subscriber has held this thread up: what the peer has said in time may be there to be read.
        channel.is_late = True
        with self._lock:
            channel.deadline = now + LATE_SECONDS

    def _overdue(self, channel: Channel) -> ConnectionException:
        has_all = channel.outgoing.unsent == 0
        problem = "did not answer the close frame" if has_all else "did not read all that was sent to it"
        return ConnectionException(f"{self.url} {problem} within close_timeout")

    def _take(self, channel: Channel) -> bool:
        """Read, and deliver what came; return whether anything did."""
        arrival = channel.take()
        while arrival is not None:
            if isinstance(arrival, list):
                if self.messages.is_overfull and self._is_ending(channel):
                    self.messages.drop(arrival)
                else:
                    self.messages.deliver(arrival, channel.number)
            elif isinstance(arrival, Ping):
                # In the order in which they came: to the peer, a pong says that what it sent before has arrived.
                self._answer(channel, arrival)
            elif isinstance(arrival, Answer):
                self._take_pong(channel, arrival)
            elif isinstance(arrival, Close):
                self._take_close(channel, arrival)
            else:
                self._fail(channel, arrival)
            if not channel.has_more:
                return True
            arrival = channel.take()
        return False

    def _wait(self, channel: Channel, *, reading: bool) -> None:
        """Wait until there is something to do."""
        now = time.monotonic()
        timeout = channel.keepalive.remaining(now)
        if channel.lost is not None or (timeout is not None and timeout <= 0):
            # Not before all is read that is there: a subscriber may have held this thread up meanwhile.
            if reading and self._waiter.wait(channel.connection.descriptor, reading=True, writing=False, timeout=0):
                return
            if channel.lost is not None:
                raise channel.lost
            timeout = self._ask(channel, now, reading=reading)
        if channel.deadline is not None:
            timeout = max(0.0, channel.deadline - now)
        outgoing = channel.outgoing
        if outgoing.is_flooded:
            self._watching = True
            timeout = WATCH_SECONDS if timeout is None else min(timeout, WATCH_SECONDS)
        self._waiting = True
        self._waiter.wait(channel.connection.descriptor, reading=reading, writing=outgoing.is_blocked, timeout=timeout)
        if self._watching:
            # Twice: while this thread watches, who sends does not write; and what joined until it said that it watches
            # no more, nobody else would write.
            self._write_waiting(outgoing)
            self._watching = False
            self._write_waiting(outgoing)
        self._waiting = False

    def _write_waiting(self, outgoing: Outgoing) -> None:
        if outgoing:
            with self._lock:
                self._write(outgoing)

    def _ask(self, channel: Channel, now: float, *, reading: bool) -> float | None:
        """Ping a peer that was not heard, or find it lost; return the seconds until it is time for the next."""
        timeout = self._options.ping_timeout
        with self._lock:
            if timeout is not None and channel.keepalive.is_lost(now):
                silence = channel.sign_of_life(timeout, reading=reading)
                if silence is None:
                    problem = f"is lost: nothing came for {timeout:g} s after a ping (ping_timeout)"
                    channel.lost = ConnectionException(f"{self.url} {problem}")
                    return 0.0
                channel.keepalive.heard(now - silence)
            self._ask_if_due(channel, now)
            return channel.keepalive.remaining(now)

    def _end(self, cause: RxSocketException | None, attempt: int) -> Connecting | None:
        """End what a try has left; return the state in which the next is waited with, or be Closed, and return None."""
        with self._lock:
            channel = self._channel
            unanswered = [] if channel is None else channel.keepalive.end()
            event = None if isinstance(self._state, Closed) else self._close_event(channel, cause)
            state = None if event is None else self._following(event, attempt)
            outlook = self._outlook(state, attempt)
            if channel is not None:
                self._waiter.forget()
                channel.connection.close()
                channel.outgoing.clear()
                self._number += 1
            if state is not None:
                self._enter(state)
            if isinstance(state, Connecting):
                self._channel = None
                self._awaits_try = True
                self._is_due = False
        for answered in unanswered:
            answered(None)
        self.messages.tell_dropped()
        if event is not None and isinstance(state, Connecting):
            # A loss is news, and that nothing could be made of a try is only the first time.
            self._tell(event, outlook, is_news=channel is not None or attempt == 1)
            return state
        self._waiter.close()
        if event is not None:
            self._finish(event, outlook)
        return None

    def _outlook(self, state: State | None, attempt: int) -> str:
        """Say what follows an end, where a policy or the user makes something follow. Under _lock."""
        backoff = self._options.reconnect
        if isinstance(state, Connecting):
            seconds = f"{state.delay:.2g}" if state.delay < 10 else f"{state.delay:.0f}"  # noqa: PLR2004 two digits
            return f"; try {attempt} to connect again in {seconds} s" if state.attempt else "; connecting again"
        if backoff is None or self._told_to_close:
            return ""
        return f"; given up after attempts={backoff.attempts}" if backoff.gives_up(attempt) else "; not tried again"

    def _following(self, event: CloseEvent, attempt: int) -> Connecting | Closed:
        """Return the state that comes after an end. Under _lock."""
        if self._told_to_close:
            return Closed(event)
        return following(self._state, event, attempt, self._options.reconnect, at_once=self._at_once)

    def _await_try(self, state: Connecting) -> bool:
        """Wait until a try is due, or the session is closed; who subscribes meanwhile gets what is held.

        Returns:
            Whether it was the policy's, and not asked for by hand.
        """
        due = time.monotonic() + state.delay
        backoff = self._options.reconnect
        scheduler = None if backoff is None else backoff.scheduler
        timer = None if scheduler is None else scheduler.schedule_relative(state.delay, self._on_time)
        # When the timer stands: who sees the event may be the one who makes a virtual time go on.
        self._events.drain()
        while True:
            self._turns += 1
            self.messages.drain()
            remaining = due - time.monotonic() if timer is None else None
            with self._lock:
                by_hand = self._at_once
                is_due = by_hand or self._is_due or (remaining is not None and remaining <= 0)
                if is_due or isinstance(self._state, Closed):
                    self._at_once = self._awaits_try = False
                    break
            self._waiting = True
            self._waiter.wait(None, reading=False, writing=False, timeout=remaining)
            self._waiting = False
        if timer is not None:
            timer.dispose()
        return not by_hand

    def _close_event(self, channel: Channel | None, cause: RxSocketException | None) -> CloseEvent:
        """Say how a connection ended, or why there was none. Under _lock."""
        if channel is None:
            reason, number = str(cause or ""), self._number
            return CloseEvent(ABNORMAL_CLOSURE, reason, "network", was_clean=False, cause=cause, connection=number)
        return channel.close_event(self._state.initiator if isinstance(self._state, Closing) else "network", cause)
