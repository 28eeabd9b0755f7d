"""What a session has done so far, and how things stand, in figures; and how these change in a second."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

from .markup import figures, table

__all__ = ["ConnectionFigures", "Counters", "Rates", "Stats"]


class Rates(Struct, frozen=True):
    """How much went in each second between two moments.

    Attributes:
        seconds: How many lie between them.
        messages_in: Messages received in a second.
        messages_out: Messages sent in a second.
        bytes_in: Bytes read in a second.
        bytes_out: Bytes written in a second.
    """

    seconds: float
    messages_in: float
    messages_out: float
    bytes_in: float
    bytes_out: float


class Stats(Struct, frozen=True, kw_only=True):
    """What a session has done until a moment, through all its connections, and how things stood then.

    Bytes are those of WebSocket frames, as they go through the socket: compressed where that was agreed on, with the
    frames' headers and with pings and pongs; without the opening handshake and what TLS adds. A session without a
    network has none.

    Attributes:
        time: The moment, in seconds of the monotonic clock (``time.monotonic()``).
        messages_in: Messages that came.
        messages_out: Messages that were sent, so that they went out or will.
        bytes_in: Bytes read.
        bytes_out: Bytes that the system took.
        held: Messages held just then, since nobody had subscribed, or by a pause; with the gaps that stand between.
        held_size: Their size: bytes, of texts characters.
        outgoing: Bytes on their way out just then, which the system had not taken yet.
        dropped: Messages that were held and let go, as a HoldException tells.
        decode_errors: Failures to decode a message, each a DecodeException in ``errors``.
        subscriber_errors: Exceptions that subscribers raised, each a SubscriberException in ``errors``.
        tries: Attempts to connect, those that failed, too.
        connections: Connections that were opened.
        losses: Connections that ended without a closing handshake.
        round_trip: The seconds between the last ping that was answered and its pong; None where there was none yet.
        uptime: The seconds since the connection was opened; None where there was none just then.
        idle: The seconds for which nothing had come from the server; None likewise.
    """

    time: float
    messages_in: int
    messages_out: int
    bytes_in: int
    bytes_out: int
    held: int
    held_size: int
    outgoing: int
    dropped: int
    decode_errors: int
    subscriber_errors: int
    tries: int
    connections: int
    losses: int
    round_trip: float | None
    uptime: float | None
    idle: float | None

    def _repr_html_(self) -> str:
        rows = [(name, _figure(getattr(self, name))) for name in self.__struct_fields__ if name != "time"]
        return table("Stats", rows)

    def since(self, earlier: Stats) -> Rates:
        """Return how much went in each second since an earlier moment; nothing, if no time has passed."""
        seconds = self.time - earlier.time

        def rate(later: int, before: int) -> float:
            return (later - before) / seconds if seconds > 0 else 0.0

        return Rates(
            seconds,
            rate(self.messages_in, earlier.messages_in),
            rate(self.messages_out, earlier.messages_out),
            rate(self.bytes_in, earlier.bytes_in),
            rate(self.bytes_out, earlier.bytes_out),
        )


def _figure(value: float | None) -> str:
    """Return a count as it is, and seconds, which are floats, in their unit."""
    if value is None:
        return "none"
    return f"{value:,}" if isinstance(value, int) else figures(value)


class ConnectionFigures(NamedTuple):
    """How things stand with the connection that there is; without one, its defaults.

    Attributes:
        outgoing: Bytes on their way out.
        answers: Frames to come, which have not joined these yet.
        uptime: The seconds since it was opened.
        idle: The seconds for which nothing came.
    """

    outgoing: int = 0
    answers: int = 0
    uptime: float | None = None
    idle: float | None = None


class Counters:
    """What a session counts, each by who has it at hand anyway; any thread may look.

    ``frames_out``, ``controls_out``, ``bytes_out``, ``tries``, ``connections`` and ``losses`` are written under the
    session's lock, ``bytes_in`` by who reads, ``messages_in`` and ``round_trip`` by who delivers, and the others by who
    delivers errors: none of them by two threads at once.
    """

    __slots__ = (
        "bytes_in",
        "bytes_out",
        "connections",
        "controls_out",
        "decode_errors",
        "dropped",
        "frames_out",
        "losses",
        "messages_in",
        "round_trip",
        "subscriber_errors",
        "tries",
    )

    def __init__(self) -> None:
        self.messages_in = 0
        # Frames that have joined what is on its way out, and how many of them are of no message: there are so few that
        # to count them costs nothing, and the messages are the rest.
        self.frames_out = self.controls_out = 0
        self.bytes_in = self.bytes_out = 0
        self.dropped = self.decode_errors = self.subscriber_errors = 0
        self.tries = self.connections = self.losses = 0
        self.round_trip: float | None = None
