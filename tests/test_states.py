"""States: every pair of the table, and the events that states carry."""

from __future__ import annotations

import copy
import pickle
from itertools import product
from typing import get_args

import pytest
from msgspec import structs
from pictures import cells

from rxsocket.backoff import Backoff
from rxsocket.errors import ConnectionException
from rxsocket.frames import Close
from rxsocket.states import (
    TRANSITIONS,
    Closed,
    CloseEvent,
    Closing,
    Connecting,
    Open,
    OpenEvent,
    State,
    following,
    refusal,
    transition,
)

EVENT = CloseEvent(1000, "bye", "client", was_clean=True, sent=Close(1000, "bye"), received=Close(1000, "bye"))
STATES = (Connecting(), Open(OpenEvent("ws://host/", "chat")), Closing("server"), Closed(EVENT))

LEGAL = {
    (Connecting, Connecting),
    (Connecting, Open),
    (Connecting, Closed),
    (Open, Connecting),
    (Open, Closing),
    (Open, Closed),
    (Closing, Connecting),
    (Closing, Closed),
}

PAIRS = list(product(STATES, repeat=2))
NAMES = [f"{type(old).__name__} to {type(new).__name__}" for old, new in PAIRS]


@pytest.mark.parametrize(("old", "new"), PAIRS, ids=NAMES)
def test_a_legal_pair_gives_the_new_state_and_any_other_raises_naming_both(old: State, new: State) -> None:
    if (type(old), type(new)) in LEGAL:
        assert transition(old, new) is new
    else:
        with pytest.raises(RuntimeError) as raised:
            transition(old, new)
        assert f"from {old} to {new}" in str(raised.value)


def test_the_table_has_every_state_and_the_legal_pairs_alone() -> None:
    assert set(TRANSITIONS) == set(get_args(State)) == {type(state) for state in STATES}
    assert {(old, new) for old, following in TRANSITIONS.items() for new in following} == LEGAL


def test_every_state_leads_to_closed_and_closed_to_none() -> None:
    assert TRANSITIONS[Closed] == frozenset()
    assert all(Closed in following for old, following in TRANSITIONS.items() if old is not Closed)


@pytest.mark.parametrize(
    "value", [*STATES, EVENT, OpenEvent("ws://host/", None)], ids=lambda value: type(value).__name__
)
def test_states_and_events_are_values_that_cannot_be_changed(value: State | CloseEvent | OpenEvent) -> None:
    for same in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):  # noqa: S301 our own
        assert same == value
        assert hash(same) == hash(value)
        assert repr(same) == repr(value)
    for name in type(value).__match_args__:
        with pytest.raises(AttributeError):
            setattr(value, name, None)
    assert value == copy.copy(value)


def test_states_can_be_matched_with_what_they_carry() -> None:
    found: list[object] = []
    for state in STATES:
        match state:
            case Connecting():
                found.append("connecting")
            case Open(OpenEvent(url, protocol, connection)):
                found.append((url, protocol, connection))
            case Closing(initiator):
                found.append(initiator)
            case Closed(CloseEvent(code, reason)):
                found.append((code, reason))
    assert found == ["connecting", ("ws://host/", "chat", 1), "server", (1000, "bye")]


def test_the_headers_of_an_open_event_are_neither_compared_nor_shown() -> None:
    event = OpenEvent("ws://host/", "chat", 2, {"set-cookie": "s3cret"})
    other = OpenEvent("ws://host/", "chat", 2)
    assert (event, hash(event), repr(event)) == (other, hash(other), repr(other))
    assert (dict(event.headers), dict(other.headers)) == ({"set-cookie": "s3cret"}, {})
    assert repr(event) == "OpenEvent(url='ws://host/', protocol='chat', connection=2)"
    assert event != OpenEvent("ws://host/", "chat", 3)


def test_a_close_event_says_by_itself_only_what_it_must() -> None:
    event = CloseEvent(1006, "", "network", was_clean=False)
    assert (event.cause, event.sent, event.received, event.connection, event.unsent) == (None, None, None, 1, 0)
    cause = ConnectionException("lost")
    assert structs.replace(event, cause=cause).cause is cause


def test_the_events_of_a_connection_are_shown_as_text():
    event = CloseEvent(1011, "<b>", "server", was_clean=True, cause=ConnectionException("<i>"), unsent=2000)
    rows = cells(event._repr_html_())
    assert rows[0] == ["● CloseEvent"]
    assert dict(rows[1:]) == {
        "code": "1011",
        "reason": "<b>",
        "begun by": "server",
        "clean": "yes",
        "connection": "1",
        "lost on the way out": "2,000 bytes",
        "cause": "ConnectionException: <i>",
    }
    rows = cells(OpenEvent("ws://host/", "<b>", 2, {"set-cookie": "secret"})._repr_html_())
    assert rows[1:] == [["url", "ws://host/"], ["sub-protocol", "<b>"], ["connection", "2"]]


def test_what_follows_an_end_is_for_the_policy_and_for_who_asks_to_say():
    lost = structs.replace(EVENT, code=1006, cause=ConnectionException("cut"))
    policy = Backoff(initial=2.0, jitter=0.0, attempts=2)
    opened, trying = Open(OpenEvent("ws://host/", None)), Connecting(1, 2.0, lost.cause, EVENT)
    assert following(opened, lost, 1, None, at_once=False) == Closed(lost)
    assert following(opened, lost, 1, None, at_once=True) == Connecting(0, 0.0, lost.cause, lost)
    assert following(opened, lost, 2, policy, at_once=False) == Connecting(2, 4.0, lost.cause, lost)
    assert following(opened, lost, 3, policy, at_once=False) == Closed(lost)
    assert following(opened, EVENT, 1, policy, at_once=False) == Closed(EVENT)
    assert following(trying, lost, 2, policy, at_once=False) == Connecting(2, 4.0, lost.cause, EVENT)


def test_what_is_over_and_what_does_not_go_on_refuses_what_is_sent():
    assert [refusal(state, may_go_on=True) for state in STATES[:3]] == [None] * 3
    assert refusal(STATES[2], may_go_on=False) == "the session is closing"
    assert refusal(STATES[3], may_go_on=True) == "the session is closed (1000 bye)"
