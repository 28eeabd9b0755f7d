"""Deadlines: what is done in its time, and what was called off. The replies' tests show it with real servers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import pytest
from servers import DEADLINE, within
from threads import in_threads

import rxsocket.deadlines
from rxsocket.deadlines import FEW, Deadlines


class Done:
    """Keeps what was done, in order, to wait for."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._changed = threading.Condition()

    def action(self, name: str) -> Callable[[], None]:
        def act() -> None:
            with self._changed:
                self.names.append(name)
                self._changed.notify_all()

        return act

    def wait(self, count: int) -> list[str]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.names) >= count, DEADLINE), self.names
            return list(self.names)


def test_actions_are_done_in_the_order_of_their_times_and_not_before() -> None:
    deadlines, done = Deadlines(), Done()
    start = time.monotonic()
    deadlines.add(0.06, done.action("third"))
    deadlines.add(0.02, done.action("first"))
    deadlines.add(0.04, done.action("second"))
    assert done.wait(3) == ["first", "second", "third"]
    assert time.monotonic() - start >= 0.06


def test_one_that_is_sooner_than_what_is_waited_for_wakes_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rxsocket.deadlines, "PERIOD", 3600)
    deadlines, done = Deadlines(), Done()
    waits = threading.Event()
    wait = deadlines._changed.wait

    def watched(timeout: float | None = None) -> bool:
        waits.set()
        return wait(timeout)

    monkeypatch.setattr(deadlines._changed, "wait", watched)
    later = deadlines.add(3600, done.action("later"))
    assert waits.wait(DEADLINE)
    with within(DEADLINE):
        deadlines.add(0.01, done.action("sooner"))
        assert done.wait(1) == ["sooner"]
    deadlines.call_off(later)
    deadlines.add(0, done.action("last"))
    assert done.wait(2) == ["sooner", "last"]


def test_what_was_called_off_is_not_done_and_once_is_enough() -> None:
    deadlines, done = Deadlines(), Done()
    off = deadlines.add(0.01, done.action("off"))
    deadlines.add(0.02, done.action("on"))
    deadlines.call_off(off)
    deadlines.call_off(off)
    assert done.wait(1) == ["on"]


def test_the_thread_ends_when_there_is_nothing_to_wait_for_and_another_begins() -> None:
    deadlines, done = Deadlines(), Done()
    for name in ("one", "two"):
        off = deadlines.add(3600, done.action("off"))
        deadlines.add(0, done.action(name))
        thread = deadlines._thread
        assert thread is not None
        deadlines.call_off(off)
        thread.join(DEADLINE)
        assert not thread.is_alive()
        assert deadlines._thread is None
        assert not deadlines._heap
    assert done.names == ["one", "two"]


def test_what_is_called_off_takes_no_room_for_long() -> None:
    deadlines, done = Deadlines(), Done()
    kept = deadlines.add(3600, done.action("kept"))
    for _ in range(50 * FEW):
        deadlines.call_off(deadlines.add(3600, done.action("off")))
        assert len(deadlines._heap) <= 2 * FEW + 3
    assert [each for _, _, each in deadlines._heap if each.action is not None] == [kept]
    deadlines.call_off(kept)


def test_an_action_that_raises_is_logged_and_the_next_is_done(caplog: pytest.LogCaptureFixture) -> None:
    deadlines, done = Deadlines(), Done()

    def fail() -> None:
        raise ValueError("mine")

    with caplog.at_level(logging.ERROR):
        deadlines.add(0, fail)
        deadlines.add(0.01, done.action("next"))
        assert done.wait(1) == ["next"]
    assert "a deadline failed" in caplog.text
    assert "mine" in caplog.text


def test_an_action_knows_that_it_is_on_the_deadlines_thread_and_may_add_another() -> None:
    deadlines, done = Deadlines(), Done()
    found: list[bool] = []

    def again() -> None:
        found.append(deadlines.is_current)
        deadlines.add(0, done.action("again"))

    deadlines.add(0, again)
    assert done.wait(1) == ["again"]
    assert found == [True]
    assert not deadlines.is_current


def test_many_threads_may_add_and_call_off() -> None:
    deadlines, done = Deadlines(), Done()

    def work() -> None:
        for number in range(300):
            off = deadlines.add(0.2, done.action("off"))
            if number % 3 == 0:
                deadlines.add(0.001, done.action("on"))
            deadlines.call_off(off)

    in_threads(work, work, work, work)
    assert done.wait(400).count("on") == 400
    assert "off" not in done.names


def test_where_the_system_has_no_thread_left_nothing_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines, done = Deadlines(), Done()

    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError, match="new thread"):
            deadlines.add(0, done.action("never"))
    deadlines.add(0, done.action("later"))
    assert done.wait(1) == ["later"]
