"""A session without a network, in which the order of all that is told is that of its telling."""

import threading

import pytest

from rxsocket import ConnectionException, MessageEvent
from rxsocket.options import Options
from rxsocket.simulated import SimulatedSession
from rxsocket.states import Closed, CloseEvent, Closing, Connecting, Open, OpenEvent

URL = "ws://host/feed"
OPEN = Open(OpenEvent(URL, None))
LOST = CloseEvent(1006, "cut", "network", was_clean=False)
END = CloseEvent(1000, "", "server", was_clean=True)


def told(session: SimulatedSession) -> list[object]:
    seen = []
    for name in ("state", "messages", "errors", "round_trips"):
        getattr(session, name).subscribe(seen.append, on_completed=lambda name=name: seen.append(f"end of {name}"))
    return seen


def test_its_streams_tell_what_it_is_told_in_that_order():
    session = SimulatedSession(URL)
    seen = told(session)
    error = ConnectionException("cut")
    again = Connecting(1, 0.5, error, LOST)
    session._tell_state(OPEN)
    session._tell_message("one")
    session._tell_answer(0.25)
    session._tell_error(error)
    session._tell_state(again)
    session._tell_state(OPEN)
    session._tell_message(b"two", 2)
    session._tell_state(Closing("server"))
    session._tell_state(Closed(END))
    assert seen == [
        Connecting(),
        OPEN,
        MessageEvent("one", 1),
        0.25,
        error,
        again,
        OPEN,
        MessageEvent(b"two", 2),
        Closing("server"),
        "end of messages",
        Closed(END),
        "end of state",
        "end of round_trips",
        "end of errors",
    ]


def test_what_comes_before_anybody_subscribes_and_in_a_pause_is_held():
    session = SimulatedSession(URL)
    seen = []
    session._tell_state(OPEN)
    session._tell_message("early")
    session.messages.body.subscribe(seen.append)
    assert seen == ["early"]
    session.pause()
    session._tell_message("held")
    assert seen == ["early"]
    session.resume()
    assert seen == ["early", "held"]


def test_it_holds_as_much_as_it_is_told_to():
    session = SimulatedSession(URL, limits=Options(max_held_messages=2))
    errors = []
    session.errors.subscribe(errors.append)
    for text in ("one", "two"):
        session._tell_message(text)
    assert session.messages.held == (2, 6)
    assert errors == []
    session._tell_message("three")
    assert session.messages.held == (0, 0)
    assert [error.messages for error in errors] == [3]


def test_what_a_subscriber_makes_it_tell_comes_after_what_it_is_at():
    session = SimulatedSession(URL)
    session._tell_state(OPEN)
    seen = []

    error = ConnectionException("cut")
    session.errors.subscribe(seen.append)
    session.round_trips.subscribe(seen.append)

    def subscriber(text: str) -> None:
        if text == "first":
            session._tell_error(error)
            session._tell_answer(0.5)
            session._tell_message("second")
        seen.append(text)

    session.messages.body.subscribe(subscriber)
    session._tell_message("first")
    assert seen == ["first", error, 0.5, "second"]


def test_threads_that_tell_at_once_are_told_one_after_the_other():
    session = SimulatedSession(URL)
    session._tell_state(OPEN)
    seen = []
    inside = threading.Lock()

    def subscriber(text: str) -> None:
        assert inside.acquire(blocking=False)
        seen.append(text)
        inside.release()

    session.messages.body.subscribe(subscriber)
    threads = [
        threading.Thread(target=lambda n=n: [session._tell_message(f"{n} {i}") for i in range(1000)]) for n in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == sorted(f"{n} {i}" for n in range(3) for i in range(1000))


def test_a_state_that_may_not_follow_is_refused():
    session = SimulatedSession(URL)
    with pytest.raises(RuntimeError, match="can't go from"):
        session._tell_state(Closing("client"))
    assert session.current_state == Connecting()
