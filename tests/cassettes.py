"""Cassettes to read, and what is told by who plays them."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rxsocket.cassette import (
    Binary,
    ClosedLine,
    ClosingLine,
    Completed,
    ConnectingLine,
    ErrorLine,
    GapLine,
    Header,
    Line,
    OpenLine,
    RoundTrip,
    Text,
    encode_lines,
)
from rxsocket.errors import ConnectionException
from rxsocket.frames import Close
from rxsocket.gaps import Gap
from rxsocket.states import Closed, CloseEvent, Closing, Connecting, Open, OpenEvent
from rxsocket.streams import Streams

URL = "ws://host/feed"
STARTED = datetime(2026, 11, 25, 4, 51, 56, 120934, UTC)
CUT = ConnectionException("cut")
LOST = CloseEvent(1006, "cut", "network", was_clean=False, cause=CUT, unsent=3)
END = CloseEvent(1000, "bye", "server", was_clean=True, sent=Close(1000), received=Close(1000, "bye"), connection=2)

LINES: list[Line] = [
    ConnectingLine(0, Connecting()),
    OpenLine(1000, Open(OpenEvent(URL, "chat.v1", 1, {"server": "x"}))),
    Text(2000, "one\n\u2028\U0001f600", 1),
    Binary(2000, bytes(range(256)), 1),
    RoundTrip(3000, 0.25),
    ErrorLine(4000, CUT),
    ConnectingLine(4001, Connecting(1, 0.5, CUT, LOST)),
    ConnectingLine(5000, Connecting(2, 1.0, CUT, LOST)),
    OpenLine(1_000_000, Open(OpenEvent(URL, None, 2))),
    GapLine(1_000_000, Gap(LOST, OpenEvent(URL, None, 2), 7)),
    Text(1_500_001, "two", 2),
    ClosingLine(2_000_000, Closing("server")),
    Completed(2_000_001),
    ClosedLine(2_000_002, Closed(END)),
]
"""Two connections, and a loss between them."""


def written(path: Path, lines: Sequence[Line] = LINES, more: bytes = b"") -> Path:
    """Write a cassette, compressed if its name says so; return its path."""
    data = encode_lines([Header.of(URL, STARTED)]) + encode_lines(list(lines)) + more
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def told(session: Streams, *, now=lambda: None) -> list[tuple[object, ...]]:
    """Subscribe to all of a session; return the list to which all that it tells is appended."""
    seen: list[tuple[object, ...]] = []
    streams = (session.state, session.errors, session.round_trips, session.messages.with_gaps())
    for name, stream in zip(("state", "errors", "round_trips", "messages"), streams, strict=True):
        stream.subscribe(
            lambda item, name=name: seen.append((now(), name, item)),
            on_completed=lambda name=name: seen.append((now(), name, "end")),
        )
    return seen


def comparable(notifications: Sequence[tuple[object, ...]]) -> list[str]:
    """Return notifications so that equal ones are equal: an exception is the same by its class and its message."""
    return [f"{name} {item!r}" for _, name, item in notifications]


def expected(lines: Sequence[Line]) -> list[str]:
    """Return what a replay of lines tells, without the ends of streams."""
    found = []
    for line in lines:
        match line:
            case Text() | Binary():
                found.append(f"messages MessageEvent(data={line.data!r}, connection={line.connection})")
            case GapLine():
                found.append(f"messages {line.gap!r}")
            case RoundTrip():
                found.append(f"round_trips {line.seconds!r}")
            case ErrorLine():
                found.append(f"errors {line.error!r}")
            case Completed():
                pass
            case _:
                found.append(f"state {line.state!r}")
    return found
