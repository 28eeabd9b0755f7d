"""What a session looks like at a glance: in a line, and in a small table."""

from __future__ import annotations

from .markup import Mood, figures, plain, table
from .states import Closed, Connecting, Open, State
from .stats import Stats

__all__ = ["glance", "glance_html", "mood"]


def mood(state: State) -> Mood:
    """Return how things stand in a state."""
    match state:
        case Open():
            return "good"
        case Closed(event):
            return "over" if event.was_orderly else "bad"
        case _:
            return "busy"


def glance(what: str, url: str, state: State, stats: Stats) -> str:
    """Return a line about a session: ``<Session ws://host Open, 3 messages in, 1 out, 12 s>``.

    Args:
        what: Its class, and its name if it has one.
        url: Where it leads, without user and password.
        state: Where it stands.
        stats: What it has done.
    """
    parts = [f"{what} {plain(url)} {type(state).__name__}"]
    if isinstance(state, Closed):
        parts[0] += f" ({state.event.code})"
    if stats.messages_in or stats.messages_out or isinstance(state, Open):
        parts.append(f"{_count(stats.messages_in)} in, {stats.messages_out:,} out")
    if isinstance(state, Connecting) and state.attempt:
        parts.append(f"try {state.attempt}")
    if stats.held:
        parts.append(f"{stats.held:,} held")
    if stats.uptime is not None:
        parts.append(figures(stats.uptime))
    return f"<{', '.join(parts)}>"


def glance_html(what: str, url: str, state: State, stats: Stats) -> str:
    """Return the same as a table in HTML, with what else there is to know."""
    rows = [("url", url), ("state", _state(state))]
    if stats.uptime is not None:
        rows.append(("open for", figures(stats.uptime)))
    rows.append(("received", _traffic(stats.messages_in, stats.bytes_in)))
    rows.append(("sent", _traffic(stats.messages_out, stats.bytes_out)))
    if stats.round_trip is not None:
        rows.append(("round trip", figures(stats.round_trip)))
    if stats.held:
        rows.append(("held", _count(stats.held)))
    if stats.connections > 1 or stats.losses:
        rows.append(("connections", f"{stats.connections:,}, of which {stats.losses:,} were lost"))
    problems = [
        f"{count:,} {name}"
        for count, name in (
            (stats.decode_errors, "not decoded"),
            (stats.subscriber_errors, "raised by subscribers"),
            (stats.dropped, "let go"),
        )
        if count
    ]
    if problems:
        rows.append(("errors", ", ".join(problems)))
    return table(what, rows, mood(state))


def _state(state: State) -> str:
    name = type(state).__name__
    match state:
        case Closed(event):
            return f"{name}: {event.summary}"
        case Connecting(attempt, cause=cause) if attempt:
            return f"{name}, try {attempt}" + (f": {cause}" if cause else "")
        case Open(event) if event.protocol:
            return f"{name}, {event.protocol}"
        case _:
            return name


def _count(messages: int) -> str:
    return f"{messages:,} message{'' if messages == 1 else 's'}"


def _traffic(messages: int, size: int) -> str:
    return _count(messages) + (f", {size:,} bytes" if size else "")
