"""The thread that draws all views: when, for how long, and that one that raises harms no other."""

import logging
import queue
import threading

import pytest
from peers import DEADLINE

from rxsocket.pump import Pump, Turn


class Still(Pump):
    """A pump without a thread, of which a test takes the turns, by its own clock."""

    def add(self, draw, interval) -> Turn:
        turn = Turn(self, draw, interval)
        self._turns[turn] = None
        return turn

    def taken(self, now: float) -> list[Turn]:
        return self.take(now)[0]


def nothing() -> None:
    pass


def test_a_view_is_drawn_at_once_and_then_no_sooner_than_its_interval_after():
    pump = Still()
    turn = pump.add(nothing, 0.1)
    assert pump.taken(50.0) == [turn]
    turn.touch()
    due, seconds = pump.take(50.04)
    assert due == []
    assert seconds == pytest.approx(0.06)
    assert pump.taken(50.1) == [turn]


def test_what_nobody_touches_is_not_drawn_and_waited_for_without_an_end():
    pump = Still()
    turn = pump.add(nothing, 0.1)
    pump.take(1.0)
    assert pump.take(9.0) == ([], None)
    turn.touch()
    assert pump.taken(9.0) == [turn]


def test_the_pace_is_kept_by_the_clock_and_who_was_held_up_does_not_make_up_for_it():
    pump = Still()
    turn = pump.add(nothing, 0.1)
    drawn = []
    for now in (1.0, 1.104, 1.201, 1.302, 1.85, 1.9, 1.951, 2.0):
        turn.touch()
        if pump.taken(now):
            drawn.append(now)
    assert drawn == [1.0, 1.104, 1.201, 1.302, 1.85, 1.951]


def test_each_has_a_pace_of_its_own():
    pump = Still()
    quick, slow = pump.add(nothing, 0.1), pump.add(nothing, 0.5)
    drawn = {quick: 0, slow: 0}
    for tick in range(20):
        quick.touch()
        slow.touch()
        for turn in pump.taken(1 + tick * 0.1001):
            drawn[turn] += 1
    assert drawn == {quick: 20, slow: 4}


def test_its_thread_begins_with_the_first_view_and_ends_with_the_last_and_begins_again():
    pump = Pump()
    for _ in range(2):
        drawn: queue.SimpleQueue[threading.Thread] = queue.SimpleQueue()
        turns = [pump.add(lambda drawn=drawn: drawn.put(threading.current_thread()), 0.001) for _ in range(3)]
        threads = {drawn.get(timeout=DEADLINE) for _ in turns}
        (thread,) = threads
        assert thread.daemon
        assert thread.name == "rxsocket views"
        for turn in turns:
            turn.end()
        thread.join(DEADLINE)
        assert not thread.is_alive()


def test_a_touch_while_it_draws_has_it_drawn_again():
    pump = Pump()
    drawn: queue.SimpleQueue[bool] = queue.SimpleQueue()
    inside, go_on = threading.Event(), threading.Event()

    def draw() -> None:
        drawn.put(pump.is_here)
        inside.set()
        go_on.wait(DEADLINE)

    turn = pump.add(draw, 0.001)
    assert inside.wait(DEADLINE)
    turn.touch()
    go_on.set()
    assert [drawn.get(timeout=DEADLINE) for _ in range(2)] == [True, True]
    assert not pump.is_here
    turn.end()


def test_one_that_raises_is_drawn_no_more_and_the_others_go_on(caplog):
    caplog.set_level(logging.ERROR, "rxsocket")
    pump = Pump()
    drawn: queue.SimpleQueue[int] = queue.SimpleQueue()

    def fail() -> None:
        raise RuntimeError("no ink")

    bad = pump.add(fail, 0.001)
    good = pump.add(lambda: drawn.put(1), 0.001)
    for _ in range(3):
        bad.touch()
        good.touch()
        drawn.get(timeout=DEADLINE)
    good.end()
    assert [record.exc_info[1].args for record in caplog.records] == [("no ink",)]


def test_drawing_holds_no_lock():
    pump = Pump()
    drawn: queue.SimpleQueue[Turn] = queue.SimpleQueue()

    def draw() -> None:
        found: list[Turn] = []
        other = threading.Thread(target=lambda: found.append(pump.add(nothing, 1.0)))
        other.start()
        other.join(DEADLINE)
        drawn.put(found[0])

    turn = pump.add(draw, 1.0)
    drawn.get(timeout=DEADLINE).end()
    turn.end()
