"""A session's states, and the table of the legal transitions between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Self, TypeAlias

from msgspec import Struct

from .backoff import Backoff
from .errors import ConnectionException, ProtocolException, RxSocketException
from .frames import GOING_AWAY, NO_STATUS_RECEIVED, NORMAL_CLOSURE, Close
from .markup import table

__all__ = [
    "TRANSITIONS",
    "CloseEvent",
    "Closed",
    "Closing",
    "Connecting",
    "EndException",
    "Initiator",
    "Open",
    "OpenEvent",
    "State",
    "following",
    "refusal",
    "transition",
]

ORDERLY = {NORMAL_CLOSURE, GOING_AWAY, NO_STATUS_RECEIVED}  # codes that a server closes with in good order

Initiator: TypeAlias = Literal["client", "server", "network"]
"""Who began the end of a connection: this side, the peer, or neither (a lost, or never made, connection)."""


# A dataclass, since of a Struct every field is compared, hashed and shown.
@dataclass(frozen=True, slots=True)
class OpenEvent:
    """A connection was opened.

    Attributes:
        url: Where it leads, after redirects, without user and password.
        protocol: The sub-protocol that the server picked; None where it picked none.
        connection: The connection's number in its session, from 1.
        headers: The headers of the server's answer, names in lower case.
    """

    url: str
    protocol: str | None
    connection: int = 1
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False, compare=False)

    def _repr_html_(self) -> str:
        rows = [("url", self.url), ("sub-protocol", self.protocol or "none"), ("connection", str(self.connection))]
        return table("OpenEvent", rows, "good")


class CloseEvent(Struct, frozen=True):
    """A connection came to its end.

    Attributes:
        code: The code of the peer's close frame (1005: it had none); 1006 where the peer sent no close frame; where
            this side failed the connection, the code that was sent for it (RFC 6455, section 7.1.5).
        reason: The reason in the peer's close frame; what this side failed the connection for, or what the network did;
            where an attempt to connect was given up, the reason that ``close`` was given.
        initiator: Who began: ``"client"`` (this side), ``"server"`` or ``"network"``.
        was_clean: Whether both sides sent a close frame.
        cause: The exception behind an end that was not asked for; None after a close.
        sent: The close frame that this side sent.
        received: The close frame that the peer sent.
        connection: The connection's number in its session, from 1.
        unsent: How many bytes had been sent, but were not yet taken by the system, and so are lost.
    """

    code: int
    reason: str
    initiator: Initiator
    was_clean: bool
    cause: RxSocketException | None = None
    sent: Close | None = None
    received: Close | None = None
    connection: int = 1
    unsent: int = 0

    def _repr_html_(self) -> str:
        rows = [("code", str(self.code)), ("reason", self.reason), ("begun by", self.initiator)]
        rows.append(("clean", "yes" if self.was_clean else "no: not both sides sent a close frame"))
        rows.append(("connection", str(self.connection)))
        if self.unsent:
            rows.append(("lost on the way out", f"{self.unsent:,} bytes"))
        if self.cause is not None:
            rows.append(("cause", f"{type(self.cause).__name__}: {self.cause}"))
        return table("CloseEvent", rows, "over" if self.was_orderly else "bad")

    @property
    def was_orderly(self) -> bool:
        """Whether it is no failure: this side closed it, or the server did with 1000, 1001 or no code."""
        return self.cause is None and (self.initiator == "client" or self.code in ORDERLY)

    @property
    def summary(self) -> str:
        """What it ended by, in words."""
        status = f"{self.code} {self.reason}".rstrip()
        match self.cause:
            case None:
                return f"closed by the {self.initiator} with {status}"
            case ProtocolException():
                return f"failed with {status}"
            case cause:
                return str(cause)


class EndException(ConnectionException):
    """A session ended, and not in good order; ``__cause__`` is the event's cause, where it has one.

    It ends the streams of :meth:`Socket.stream <rxsocket.Socket.stream>`, and those alone.

    Attributes:
        event: How the session ended.
    """

    def __init__(self, message: str, event: CloseEvent) -> None:
        super().__init__(message, event)
        self.event = event

    @classmethod
    def of(cls, event: CloseEvent, url: str) -> Self:
        """Return the exception that tells of an end."""
        error = cls(f"the stream of {url} has failed: {event.summary}", event)
        error.__cause__ = event.cause
        return error


class Connecting(Struct, frozen=True):
    """The opening handshake is under way, or not begun yet, or is waited with until it is tried again.

    Attributes:
        attempt: Which try in a row of the policy it is to connect again, from 1; 0 for the session's first of all, and
            for one that ``session.reconnect()`` asked for.
        delay: Seconds until it begins, from the moment at which the session came into this state.
        cause: Why the last try failed, or the connection before was lost; None where nothing went wrong.
        lost: How the connection before ended; None where there was none.
    """

    attempt: int = 0
    delay: float = 0.0
    cause: RxSocketException | None = None
    lost: CloseEvent | None = None


class Open(Struct, frozen=True):
    """Messages go both ways."""

    event: OpenEvent


class Closing(Struct, frozen=True):
    """A close frame was sent or received, or the connection is being failed: nothing more is sent."""

    initiator: Initiator


class Closed(Struct, frozen=True):
    """The session has ended; the event says how its last connection did, or why there was none."""

    event: CloseEvent


State: TypeAlias = Connecting | Open | Closing | Closed
"""Where a session is in its life."""

TRANSITIONS: Final[dict[type[State], frozenset[type[State]]]] = {
    Connecting: frozenset({Connecting, Open, Closed}),
    Open: frozenset({Connecting, Closing, Closed}),
    Closing: frozenset({Connecting, Closed}),
    Closed: frozenset(),
}
"""From each state, those that may follow. What leads back to Connecting is a reconnect."""


def transition(old: State, new: State) -> State:
    """Return the new state, if it may follow the old one.

    Raises:
        RuntimeError: It may not; the message names both.
    """
    if type(new) not in TRANSITIONS[type(old)]:
        raise RuntimeError(f"a session can't go from {old} to {new}")
    return new


def following(
    state: State, event: CloseEvent, attempt: int, policy: Backoff | None, *, at_once: bool
) -> Connecting | Closed:
    """Return the state that comes after an end, of a session that was not told to close.

    Args:
        state: That in which the end came.
        event: The end, of a connection or of a try to make one.
        attempt: Which try in a row of the policy the next would be, from 1.
        policy: None for one that makes no tries.
        at_once: Whether another connection was asked for, whatever the policy is.
    """
    lost = state.lost if isinstance(state, Connecting) else event
    if at_once:
        return Connecting(0, 0.0, event.cause, lost)
    if policy is None or policy.gives_up(attempt) or policy.is_final(event.code, event.cause):
        return Closed(event)
    return Connecting(attempt, policy.delay(attempt), event.cause, lost)


def refusal(state: State, *, may_go_on: bool) -> str | None:
    """Say why nothing can be sent any more; None where it can, or where another connection may follow.

    Args:
        state: Where the session is.
        may_go_on: Whether one may follow that which is closing.
    """
    match state:
        case Closed(event):
            return f"the session is closed ({f'{event.code} {event.reason}'.strip()})"
        case Closing() if not may_go_on:
            return "the session is closing"
        case _:
            return None
