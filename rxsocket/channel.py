"""An open connection in messages: what came, what is on its way out, and whether the peer is still there."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from typing import NamedTuple, TypeAlias

from .connection import READ_SIZE, Connection
from .decoding import Decoder
from .encoding import encode_ping
from .errors import ConnectionException, ProtocolException, RxSocketException
from .frames import ABNORMAL_CLOSURE, Close, Message, Ping, Pong
from .keepalive import Keepalive
from .options import Options
from .outgoing import Outgoing
from .states import CloseEvent, Initiator
from .stats import Counters

__all__ = ["Answer", "Arrival", "Channel"]


AHEAD_SECONDS = 0.1  # to read ahead at a time, so that a flood leaves their turn to others that are looked after
LOST_AFTER = 2  # times that the peer's system did not answer: a single one may be lost on the way


class Answer(NamedTuple):
    """A pong, and when it was read, in seconds of the monotonic clock."""

    pong: Pong
    time: float


Arrival: TypeAlias = list[Message] | Ping | Answer | Close | ProtocolException
"""What came: messages in a row, or a control frame, or how the peer broke the protocol."""


class Channel:
    """One of a session's connections, from its opening to its end.

    Args:
        connection: It is closed by its session.
        number: Which of the session's connections it is, from 1.
        options: The endpoint's options.
        counters: Count the session's bytes and messages.
    """

    def __init__(self, connection: Connection, number: int, options: Options, counters: Counters) -> None:
        self.connection = connection
        self.number = number
        self.opened = time.monotonic()
        self._counters = counters  # what was read, under _reading
        self.outgoing = Outgoing(connection, options.max_outgoing, counters)  # under the session's lock
        # Changed under the session's lock, but that something was heard, under _reading alone; the session's thread
        # looks without when a ping is due.
        self.keepalive = Keepalive(options.ping_interval, options.ping_timeout, self.opened)
        # Until when a closing may take; monotonic. Written under the session's lock; its own thread reads it without.
        self.deadline: float | None = None
        self.sent: Close | None = None  # under the session's lock: the close frame in or past outgoing
        self.is_late = False  # whether that was put off once; the session's thread alone
        self.received: Close | None = None  # under the session's lock
        self.lost: ConnectionException | None = None  # why it is to end when all is read; the session's thread alone
        # Under the session's lock: how many bytes were acknowledged when this was last looked at, and how many are when
        # the last ping has arrived.
        self._acknowledged = 0
        self._asked_at = 0
        self.failure: ProtocolException | None = None  # under the session's lock
        self._max_ahead = options.max_held
        self._max_messages_ahead = options.max_held_messages
        self._reading = threading.Lock()  # who has it reads; the session's own lock may be taken inside, not around it
        self._decoder = Decoder(  # under _reading
            options.max_size, max_fragments=options.max_fragments, inflater=connection.inflater
        )
        self._arrivals: deque[Arrival] = deque()  # written under _reading
        self._size_ahead = 0  # written under _reading: of the messages in _arrivals that were read ahead
        self._messages_ahead = 0  # written under _reading: how many these are
        # Whether the last read may have ended before the end of what was there; the session's thread alone.
        self.is_cut = connection.may_have_more(connection.rest, len(connection.rest) + 1)
        self._arrivals.extend(self._decoded(connection.rest))

    def limit_closing(self, seconds: float) -> None:
        """Give a closing that many seconds from now at the most. Under the session's lock."""
        deadline = time.monotonic() + seconds
        self.deadline = deadline if self.deadline is None else min(self.deadline, deadline)

    def ask(self, now: float) -> None:
        """Let a ping join what goes out, since one is due. Under the session's lock."""
        self.outgoing.control(encode_ping(self.keepalive.ask(now)))
        acknowledgements = self.connection.acknowledgements()
        if acknowledgements is not None:
            self._acknowledged = acknowledgements.size
            self._asked_at = acknowledgements.size + acknowledgements.waiting + len(self.outgoing)

    def sign_of_life(self, timeout: float, *, reading: bool) -> float | None:
        """Say what the peer's system tells of a peer of which no pong was read. Under the session's lock.

        Args:
            timeout: The seconds since the ping.
            reading: Whether all was read that came.

        Returns:
            How many seconds ago it showed that the peer is there; None if it is lost.
        """
        acknowledgements = self.connection.acknowledgements()
        if acknowledgements is None:
            return None if reading else 0.0  # where nothing tells, its pong may be there
        size, _, silence, unanswered = acknowledgements
        if reading:  # the ping may stand behind what is on its way, and the peer takes that
            is_there = self._acknowledged < size < self._asked_at
            self._acknowledged = size
        else:
            is_there = silence < timeout or unanswered < LOST_AFTER
        return (silence if silence < timeout else 0.0) if is_there else None

    def close_event(self, initiator: Initiator, cause: RxSocketException | None) -> CloseEvent:
        """Say how the connection ended, which it has. Under the session's lock.

        Args:
            initiator: Who began to close it.
            cause: What ended it, unasked for.
        """
        received, unsent = self.received, self.outgoing.unsent
        # The close frame is the last to go: what is still there, or could not go, is it, or stands before it.
        sent = None if unsent else self.sent
        code, reason, was_clean = ABNORMAL_CLOSURE, str(cause or ""), False
        if self.failure is not None:
            # After a close frame of this side no other could be sent for the failure.
            code = self.failure.code if self.sent and self.sent.code == self.failure.code else ABNORMAL_CLOSURE
            reason, cause, received = str(self.failure), self.failure, None
        elif received is not None:
            code, reason, was_clean, cause = received.code, received.reason, sent is not None, None
        return CloseEvent(code, reason, initiator, was_clean, cause, sent, received, self.number, unsent)

    @property
    def has_more(self) -> bool:
        """Whether something that came was not taken yet."""
        return bool(self._arrivals)

    @property
    def reads_ahead(self) -> bool:
        """Whether more may be read ahead."""
        return self._size_ahead < self._max_ahead and self._messages_ahead < self._max_messages_ahead

    def take(self) -> Arrival | None:
        """Return what came next, maybe no message yet; None where nothing more is there. On the session's thread.

        Raises:
            ConnectionException: The connection has come to its end.
        """
        with self._reading:
            if not self._arrivals:
                self._size_ahead = self._messages_ahead = 0
                size = self._decoder.appetite
                data = self.connection.receive(size)
                if data is None:
                    return None
                if not data:
                    raise self.connection.broken or ConnectionException(
                        f"{self.connection.url} ended the connection without a close frame"
                    )
                self.is_cut = self.connection.may_have_more(data, size)
                self._arrivals.extend(self._decoded(data))
            return self._arrivals.popleft() if self._arrivals else []

    def read_ahead(self) -> list[Ping | Close]:
        """Read what is there, but not more than may be held, while the session's thread is held up. On another thread.

        Returns:
            What came and can't wait: the last ping (section 5.5.3), where :meth:`take` will return none any more; and a
            close frame, which it will.
        """
        with self._reading:
            pings = [each for each in self._arrivals if isinstance(each, Ping)]
            self._arrivals = deque(each for each in self._arrivals if not isinstance(each, Ping))
            until = time.monotonic() + AHEAD_SECONDS
            with contextlib.suppress(ConnectionException):  # the session's thread will find the same
                while time.monotonic() < until and self.reads_ahead and (data := self._receive_ahead()):
                    for arrival in self._decoded(data):
                        if isinstance(arrival, Ping):
                            pings = [arrival]
                        else:
                            self._put_ahead(arrival)
            return [*pings[-1:], *(each for each in self._arrivals if isinstance(each, Close))]

    def _receive_ahead(self) -> bytes | None:
        return self.connection.receive(min(self._decoder.appetite, READ_SIZE))

    def _put_ahead(self, arrival: Arrival) -> None:
        self._arrivals.append(arrival)
        if isinstance(arrival, list):
            self._size_ahead += sum(map(len, arrival))
            self._messages_ahead += len(arrival)
        else:  # a pong takes memory, too
            self._messages_ahead += 1

    def _decoded(self, data: bytes) -> list[Arrival]:
        """Return what comes from some bytes."""
        now = time.monotonic()
        self.keepalive.heard(now)
        self._counters.bytes_in += len(data)
        messages, controls = self._decoder.feed(data)
        arrivals: list[Arrival] = []
        begin = 0
        for control, position in zip(controls, self._decoder.positions, strict=True):
            if begin < position:
                arrivals.append(messages[begin:position])
                begin = position
            arrivals.append(Answer(control, now) if isinstance(control, Pong) else control)
        if begin < len(messages):
            arrivals.append(messages[begin:] if begin else messages)
        return arrivals
