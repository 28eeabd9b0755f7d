"""Where a session stands, as streams. The sessions' tests show the same with real servers."""

from typing import Any

import pytest

from rxsocket.frames import Close
from rxsocket.lifecycle import Lifecycle
from rxsocket.states import Closed, CloseEvent, Closing, Connecting, Open, OpenEvent, State

OPEN = OpenEvent("ws://host", None)
CLOSE = CloseEvent(1000, "done", "client", was_clean=True, sent=Close(1000, "done"), received=Close(1000, "done"))


def raised(stream: str, error: Exception) -> None:
    raise AssertionError(f"a subscriber of {stream} raised") from error


def enter(life: Lifecycle, state: State) -> None:
    with life._changed:
        life._enter(state)


def lived() -> tuple[Lifecycle, dict[str, list[Any]]]:
    """A lifecycle from Connecting to Closed, and what each of its streams gave to who subscribed first."""
    life = Lifecycle(raised)
    given: dict[str, list[Any]] = {}
    for name in ("state", "is_connecting", "is_open", "is_closed", "opens", "closes"):
        seen = given[name] = []
        getattr(life, name).subscribe(seen.append, on_completed=lambda seen=seen: seen.append("completed"))
    for state in (Open(OPEN), Closing("client"), Closed(CLOSE)):
        enter(life, state)
    life._events.run(life._states.on_completed)
    return life, given


def test_each_stream_gives_the_current_value_each_change_and_the_end() -> None:
    _, given = lived()
    assert given == {
        "state": [Connecting(), Open(OPEN), Closing("client"), Closed(CLOSE), "completed"],
        "is_connecting": [True, False, "completed"],
        "is_open": [False, True, False, "completed"],
        "is_closed": [False, True, "completed"],
        "opens": [OPEN, "completed"],
        "closes": [CLOSE, "completed"],
    }


def test_who_comes_after_the_end_gets_the_last_value_and_the_end() -> None:
    life, _ = lived()
    seen: list[Any] = []
    for stream in (life.state, life.is_open, life.opens, life.closes):
        stream.subscribe(seen.append, on_completed=lambda: seen.append("completed"))
    assert seen == [Closed(CLOSE), "completed", False, "completed", "completed", CLOSE, "completed"]


def test_an_event_comes_when_the_state_is_new_already() -> None:
    life = Lifecycle(raised)
    at: list[Any] = []
    life.state.subscribe(lambda state: at.append(life.current_state is state))
    enter(life, Open(OPEN))
    life._events.drain()
    assert at == [True, True]


def test_an_illegal_transition_changes_nothing() -> None:
    life = Lifecycle(raised)
    with pytest.raises(RuntimeError, match="Closing"):
        enter(life, Closing("client"))
    assert life.current_state == Connecting()


def test_what_a_subscriber_raises_is_reported_by_the_streams_name() -> None:
    reported: list[str] = []
    life = Lifecycle(lambda stream, _error: reported.append(stream))
    for name in ("state", "is_open", "closes"):
        getattr(life, name).subscribe(lambda _: 1 / 0)
    enter(life, Closed(CLOSE))
    life._events.drain()
    assert reported == ["state", "is_open", "state", "closes"]
