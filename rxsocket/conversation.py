"""What a session says and hears on its open connection, from whichever thread."""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from typing import NoReturn

from .channel import Answer, Channel
from .codec import MessageT
from .deadlines import DEADLINES
from .encoding import encode_close, encode_pong
from .errors import ConnectionException, ProtocolException, SendException
from .frames import CONTROL, MAX_REASON, NO_STATUS_RECEIVED, PING, Close, Payload, Ping
from .keeper import Kept
from .options import Options
from .outgoing import Outgoing
from .states import Closed, Closing, Connecting, Initiator, Open, State, refusal
from .stats import ConnectionFigures
from .streams import Streams
from .waiting import Waiter

__all__ = ["Conversation", "session_threads"]

LINGER_SECONDS = 1.0  # for the peer to end the TCP connection after the closing handshake (section 7.1.1)

# The identifiers of all sessions' threads, each written by its thread. None of them waits for any session's peer to
# read, or two sessions that send by each other would stop.
session_threads: set[int] = set()


class Conversation(Streams[MessageT]):
    """The part of a session that sends, and answers control frames; it neither connects nor waits.

    Args:
        url: Where it is to lead, as it is shown.
        options: The endpoint's options.
        paused: Whether to begin paused.
    """

    def __init__(self, url: str, options: Options, *, paused: bool) -> None:
        try:
            self._waiter = Waiter()
        except OSError as error:
            problem = f"no session with {url} could be made: {error}. Each takes three descriptors (ulimit -n)"
            raise ConnectionException(problem) from error
        super().__init__(
            url,
            self._waiter.wake,
            options.codec,
            max_held=options.max_held,
            max_held_messages=options.max_held_messages,
            paused=paused,
        )
        self._options = options
        self._ident: int | None = None  # of the session's thread, written by it
        # Written under _lock, by the session's thread: from Open on, until another is waited for.
        self._channel: Channel | None = None
        self._outgoing: Outgoing | None = None  # under _lock: of the channel, while the state is Open
        self._told_to_close = False  # under _lock: whether it is not to go on, whatever the policy is
        self._at_once = False  # under _lock: whether another connection was asked for
        self._waits_for_room = 0  # under _lock: how many threads wait, for it or for a connection
        self._turns = 0  # how often the session's thread came around; written by it alone
        self._waiting = True  # whether it waits, and so is held up by nobody; written by it alone
        self._watching = False  # whether it writes in a moment what waits then, in a flood; written by it alone
        self._kept = Kept(self._turn, self._keep, url)
        self._has_warned = False  # of a subscriber that holds the session up; the keeper's thread alone

    @property
    def url(self) -> str:
        """Where it leads, after redirects, without user and password."""
        channel = self._channel
        return self._url if channel is None else channel.connection.url

    @property
    def protocol(self) -> str | None:
        """As a session's."""
        channel = self._channel
        return None if channel is None else channel.connection.protocol

    # --- what is sent, on any thread

    def _enter(self, state: State) -> None:
        super()._enter(state)
        channel = self._channel
        self._outgoing = channel.outgoing if channel is not None and isinstance(state, Open) else None

    def _connection_figures(self, now: float) -> ConnectionFigures:
        channel = self._channel
        if channel is None or isinstance(self._state, Closed):
            return ConnectionFigures()
        outgoing = channel.outgoing
        return ConnectionFigures(len(outgoing), outgoing.answers, now - channel.opened, channel.keepalive.silence(now))

    def _joinable(self, size: int, *, wait: bool) -> Outgoing:
        """Return what is on its way out, once a message of that size may join it. Under _lock."""
        wait = wait and not DEADLINES.is_current  # all other deadlines of the process would wait as well
        # Nor does a signal's handler wait for a write that it interrupts itself.
        is_interrupting = self._outgoing is not None and self._outgoing.is_writing
        waits_for_room = wait and threading.get_ident() not in session_threads and not is_interrupting

        # The session's own thread is what a wait for the connection would hold up.
        seconds = self._options.send_timeout if wait and threading.get_ident() != self._ident else 0.0
        self._waits_for_room += 1
        try:
            in_time = self._changed.wait_for(partial(self._is_settled, waits_for_room=waits_for_room), seconds)
        finally:
            self._waits_for_room -= 1
        refusal = self._refusal()
        outgoing = self._outgoing
        if refusal is not None:
            self._refuse(refusal)
        if outgoing is None or outgoing.error is not None or not in_time:
            self._refuse_place(0.0 if in_time else seconds)
        if not waits_for_room and not outgoing.takes(size):
            self._refuse(f"over max_outgoing={self._options.max_outgoing} bytes would wait for the peer to read")
        return outgoing

    def _is_settled(self, *, waits_for_room: bool = True) -> bool:
        """Whether a message may join what is on its way out, or is refused, without more waiting. Under _lock."""
        outgoing = self._outgoing
        if outgoing is not None and outgoing.error is None:
            return outgoing.has_room or not waits_for_room
        # Of two sessions' threads that send by each other, neither could make the connection that the other needs; but
        # while a session connects for the first time, its thread calls no subscriber. (It may call the function that
        # gives its URL or its headers; one that sends there waits for send_timeout at the most.)
        is_held_up = not waits_for_room and self._state != Connecting()
        return is_held_up or self._refusal() is not None

    def _refuse_place(self, seconds: float) -> NoReturn:
        """Say that there was no place for a message, for so many seconds. Under _lock."""
        outgoing = self._outgoing
        usable = outgoing is not None and outgoing.error is None
        problem = "the peer does not read" if usable else self._no_connection()
        self._refuse(f"{problem} after send_timeout={seconds:g} s" if seconds else problem)

    def _join(self, outgoing: Outgoing, opcode: int, payload: Payload) -> None:
        """Let a message, or a ping, join what is on its way out, behind all that was sent before. Under _lock."""
        if threading.get_ident() == self._ident:
            outgoing.answer(opcode, payload)  # what a batch of messages produces is written at its end
            return
        outgoing.send(opcode, payload)
        # Asked when it has joined, since the session's thread says that it watches no more, and then writes what waits.
        is_looked_after = self._watching or (outgoing.is_blocked and self._waiting)
        if is_looked_after and outgoing.is_little and not opcode & CONTROL:
            return
        try:
            self._write(outgoing)
        finally:  # also if Ctrl-C comes: what has joined goes out
            if outgoing or (self._waiting and not self._watching and outgoing.is_flooded):
                self._waiter.wake()
        if outgoing.error is not None:
            self._refuse(str(outgoing.error), "ping" if opcode == PING else "message")

    def _refusal(self) -> str | None:
        """Why no message can be sent any more, if none can. Under _lock."""
        outgoing = self._outgoing  # of a connection that is open
        if outgoing is not None and outgoing.error is not None and not self._may_go_on:
            return str(outgoing.error)
        return refusal(self._state, may_go_on=self._may_go_on)

    @property
    def _may_go_on(self) -> bool:
        """Whether another connection may follow the one that there is. Under _lock."""
        return not self._told_to_close and (self._at_once or self._options.reconnect is not None)

    def _no_connection(self) -> str:
        cause = self._state.cause if isinstance(self._state, Connecting) else None
        return f"there is no connection to {self.url}" + (f" ({cause})" if cause is not None else "")

    def _refuse(self, refusal: str, what: str = "message") -> NoReturn:
        match self._state:
            case Closed(event):
                cause = event.cause
            case Connecting(cause=cause):
                pass
            case _:
                cause = None if self._channel is None else self._channel.outgoing.error
        raise SendException(f"the {what} was not sent: {refusal}") from cause

    def _write(self, outgoing: Outgoing) -> None:
        """Give the socket what it takes of what is on its way out. Under _lock."""
        outgoing.write()
        if self._waits_for_room and outgoing.has_room:
            self._changed.notify_all()

    def _enter_closing(self, channel: Channel, initiator: Initiator, close: Close, frame: bytes) -> None:
        """Make the transition from Open to Closing, with a close frame behind what is on its way out. Under _lock."""
        channel.limit_closing(self._options.close_timeout)
        self._enter(Closing(initiator))
        channel.sent = close
        channel.outgoing.release()
        channel.outgoing.control(frame)

    # --- what came, on the session's thread, or on the keeper's, which may be late: its channel may have ended

    def _is_open(self, channel: Channel) -> bool:
        """Whether a channel is the one that is there, and nothing has begun to close it. Under _lock."""
        return self._channel is channel and isinstance(self._state, Open)

    def _answer(self, channel: Channel, ping: Ping) -> None:
        outgoing = channel.outgoing
        with self._lock:
            # A peer that pings and never reads has no claim on memory; section 5.5.3: not every ping must be answered.
            if self._is_open(channel) and outgoing.has_room:
                outgoing.control(encode_pong(ping.payload))
            outgoing.release()
            self._write(outgoing)

    def _take_close(self, channel: Channel, close: Close) -> None:
        # Section 5.5.1: answered with the same status, unless this side began.
        frame = encode_close(None if close.code == NO_STATUS_RECEIVED else close)
        with self._lock:
            channel.received = close
            if self._is_open(channel):
                self._enter_closing(channel, "server", close, frame)
            channel.limit_closing(LINGER_SECONDS)

    def _take_pong(self, channel: Channel, answer: Answer) -> None:
        with self._lock:
            answers = channel.keepalive.pong(answer.pong.payload, answer.time)
        for seconds, answered in answers:
            self._tell_round_trip(seconds)
            answered(seconds)

    def _fail(self, channel: Channel, failure: ProtocolException) -> None:
        # Section 7.1.7: fail the connection.
        close = Close(failure.code, str(failure)[:MAX_REASON])
        with self._lock:
            channel.failure = failure
            if self._is_open(channel):
                self._enter_closing(channel, "client", close, encode_close(close))
            channel.limit_closing(LINGER_SECONDS)
        self._deliver_error(failure)  # logged at the connection's end, with what follows

    def _ask_if_due(self, channel: Channel, now: float) -> None:
        """Ping a peer from which nothing comes. Under _lock."""
        if self._is_open(channel) and channel.keepalive.is_due(now):
            channel.ask(now)
            self._write(channel.outgoing)

    # --- on the keeper's thread, while a subscriber holds the session's thread up

    def _turn(self) -> int | None:
        """How often the session's thread came around; None while it waits, and so is held up by nobody."""
        return None if self._waiting else self._turns

    def _keep(self) -> None:
        """Read ahead, answer pings and a close frame, and write, as the session's thread would."""
        if not self._has_warned:
            self._has_warned = True
            self._log(
                logging.WARNING,
                "a subscriber takes seconds, and nothing else is delivered meanwhile. Let it hand long work to another "
                "thread (buffered); run() of one of the session's own streams would wait for ever there",
            )
        channel = self._channel
        if channel is None:
            return
        for arrival in channel.read_ahead():
            if isinstance(arrival, Ping):
                self._answer(channel, arrival)
            else:
                self._take_close(channel, arrival)
        with self._lock:
            channel.outgoing.release()
            self._write(channel.outgoing)
            now = time.monotonic()
            if not channel.reads_ahead and channel.keepalive.is_lost(now):
                channel.keepalive.heard(now)  # its pong may be there; whether it is lost is for the session's thread
            self._ask_if_due(channel, now)
        self._waiter.wake()  # what was read ahead is not there any more for who waits
