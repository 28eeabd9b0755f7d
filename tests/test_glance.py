"""A session at a glance: a line and a table, of each state."""

from __future__ import annotations

import pytest
from msgspec import structs
from pictures import cells
from test_stats import NONE

from rxsocket.errors import ConnectionException
from rxsocket.glance import glance, glance_html, mood
from rxsocket.states import Closed, CloseEvent, Closing, Connecting, Open, OpenEvent, State
from rxsocket.stats import Stats

URL = "ws://host/feed"
BUSY = structs.replace(
    NONE, messages_in=3, messages_out=1, bytes_in=1200, held=2, uptime=12.0, round_trip=0.0004, connections=2, losses=1
)
LOST = CloseEvent(1006, "lost", "network", was_clean=False, cause=ConnectionException("the connection is lost"))
OPEN = Open(OpenEvent(URL, None))


@pytest.mark.parametrize(
    ("state", "stats", "line"),
    [
        (Connecting(), NONE, "<Session ws://host/feed Connecting>"),
        (OPEN, BUSY, "<Session ws://host/feed Open, 3 messages in, 1 out, 2 held, 12 s>"),
        (OPEN, structs.replace(NONE, messages_in=1), "<Session ws://host/feed Open, 1 message in, 0 out>"),
        (Connecting(attempt=3, lost=LOST), NONE, "<Session ws://host/feed Connecting, try 3>"),
        (Closing("client"), NONE, "<Session ws://host/feed Closing>"),
        (Closed(LOST), NONE, "<Session ws://host/feed Closed (1006)>"),
    ],
)  # fmt: skip
def test_a_line_says_where_it_stands(state: State, stats: Stats, line: str) -> None:
    assert glance("Session", URL, state, stats) == line


def test_a_table_says_what_there_is_to_know_and_nothing_else() -> None:
    rows = dict(cells(glance_html("Session feed", URL, Open(OpenEvent(URL, "chat")), BUSY))[1:])
    assert rows == {
        "url": URL,
        "state": "Open, chat",
        "open for": "12 s",
        "received": "3 messages, 1,200 bytes",
        "sent": "1 message",
        "round trip": "0.4 ms",
        "held": "2 messages",
        "connections": "2, of which 1 were lost",
    }
    failed = structs.replace(NONE, decode_errors=1, subscriber_errors=2, dropped=3)
    rows = dict(cells(glance_html("Session", URL, Connecting(2, cause=LOST.cause), failed))[1:])
    assert rows["state"] == "Connecting, try 2: the connection is lost"
    assert rows["errors"] == "1 not decoded, 2 raised by subscribers, 3 let go"
    rows = dict(cells(glance_html("Session", URL, Closed(LOST), NONE))[1:])
    assert rows["state"] == "Closed: the connection is lost"


def test_the_dot_tells_a_failure_from_an_end_in_good_order() -> None:
    ended = CloseEvent(1000, "", "client", was_clean=True)
    states = [Connecting(), Open(OpenEvent(URL, None)), Closing("client"), Closed(ended), Closed(LOST)]
    assert [mood(state) for state in states] == ["busy", "good", "busy", "over", "bad"]
    assert cells(glance_html("Session", URL, states[1], NONE))[0] == ["● Session"]
