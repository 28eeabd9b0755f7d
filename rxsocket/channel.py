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

__all__ = ["Answer", "Arrival", "Channel"]


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
    """

    def __init__(self, connection: Connection, number: int, options: Options) -> None:
        self.connection = connection
        self.number = number
        self.opened = time.monotonic()
        self.outgoing = Outgoing(connection, options.max_outgoing)  # under the session's lock
        # Under the session's lock; but by _reading alone it is told that something was heard.
        self.keepalive = Keepalive(options.ping_interval, options.ping_timeout, self.opened)
        # Until when a closing may take; monotonic. Written under the session's lock; its own thread reads it without.
        self.deadline: float | None = None
        self.sent: Close | None = None  # under the session's lock: the close frame in or past outgoing
        self.is_late = False  # whether that was put off once; the session's thread alone
        self.received: Close | None = None  # under the session's lock
        self.lost: ConnectionException | None = None  # why it is to end when all is read; the session's thread alone
        self._acknowledged = 0  # under the session's lock: bytes, when the last ping was sent, or looked after
        self.failure: ProtocolException | None = None  # under the session's lock
        self._max_ahead = options.max_held
        self._max_messages_ahead = options.max_held_messages
        self._reading = threading.Lock()  # who has it reads; the session's own lock may be taken inside, not around it
        self._decoder = Decoder(  # under _reading
            options.max_size, max_fragments=options.max_fragments, inflater=connection.inflater
        )
        self._arrivals: deque[Arrival] = deque()  # under _reading
        self._size_ahead = 0  # under _reading: of the messages in _arrivals that were read ahead
        self._messages_ahead = 0  # under _reading: how many these are
        # Whether the last read may have ended before the end of what was there; the session's thread alone.
        self.is_cut = connection.may_have_more(connection.rest, len(connection.rest) + 1)
        self._feed(connection.rest)

    def limit_closing(self, seconds: float) -> None:
        """Give a closing that many seconds from now at the most. Under the session's lock."""
        deadline = time.monotonic() + seconds
        self.deadline = deadline if self.deadline is None else min(self.deadline, deadline)

    def ask(self, now: float) -> None:
        """Let a ping join what goes out, since one is due. Under the session's lock."""
        acknowledgements = self.connection.acknowledgements()
        self._acknowledged = 0 if acknowledgements is None else acknowledgements.size
        self.outgoing.append(encode_ping(self.keepalive.ask(now)))

    def is_there(self, timeout: float, *, reading: bool) -> bool:
        """Whether the peer's system shows that it is there, though no pong was read. Under the session's lock.

        Args:
            timeout: The seconds since the ping.
            reading: Whether all was read that came.
        """
        acknowledgements = self.connection.acknowledgements()
        if acknowledgements is None:
            return not reading  # where nothing tells, its pong may be there
        size, is_complete, silence, unanswered = acknowledgements
        has_taken = size > self._acknowledged
        self._acknowledged = size
        if reading:  # the ping stands behind what is on its way, and the peer takes that
            return has_taken and (bool(self.outgoing) or not is_complete)
        return silence < timeout or unanswered < LOST_AFTER

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
                    raise ConnectionException(f"{self.connection.url} ended the connection without a close frame")
                self.is_cut = self.connection.may_have_more(data, size)
                self._feed(data)
            return self._arrivals.popleft() if self._arrivals else []

    def read_ahead(self) -> list[Ping | Close]:
        """Read what is there, but not more than may be held, while the session's thread is held up. On another thread.

        Returns:
            What came and can't wait: pings, which :meth:`take` will not return any more, and a close frame, which it
            will.
        """
        with self._reading:
            with contextlib.suppress(ConnectionException):  # the session's thread will find the same
                while self.reads_ahead and (data := self.connection.receive(min(self._decoder.appetite, READ_SIZE))):
                    messages = self._feed(data)
                    self._size_ahead += sum(map(len, messages))
                    self._messages_ahead += len(messages)
            urgent = [arrival for arrival in self._arrivals if isinstance(arrival, Ping | Close)]
            self._arrivals = deque(each for each in self._arrivals if not isinstance(each, Ping))
        return urgent

    def _feed(self, data: bytes) -> list[Message]:
        """Let what comes from some bytes join the arrivals; return the messages among it."""
        now = time.monotonic()
        self.keepalive.heard(now)
        messages, controls = self._decoder.feed(data)
        begin = 0
        for control, position in zip(controls, self._decoder.positions, strict=True):
            if begin < position:
                self._arrivals.append(messages[begin:position])
                begin = position
            self._arrivals.append(Answer(control, now) if isinstance(control, Pong) else control)
        if begin < len(messages):
            self._arrivals.append(messages[begin:] if begin else messages)
        return messages
