"""Samples of a value: when they come, in whatever time, and that no timer is left."""

import threading

import pytest
import reactivex.operators as ops
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest, TestScheduler
from servers import Seen

from rxsocket.sampling import sampled
from rxsocket.subjects import SerialQueue

on_next, on_completed = ReactiveTest.on_next, ReactiveTest.on_completed


def test_one_comes_at_once_then_at_equal_intervals_and_the_last_at_the_end():
    scheduler = TestScheduler()
    life = scheduler.create_hot_observable(on_completed(435))
    results = scheduler.start(lambda: sampled(lambda: scheduler.clock, life, 100.0, scheduler))
    assert results.messages == [
        on_next(200, 200.0),
        on_next(300, 300.0),
        on_next(400, 400.0),
        on_next(435, 435.0),
        on_completed(435),
    ]


def test_who_unsubscribes_gets_no_more_and_leaves_no_timer():
    scheduler = TestScheduler()
    life: Subject[object] = Subject()
    taken: list[float] = []
    stream = sampled(lambda: taken.append(scheduler.clock), life, 100.0, scheduler)
    scheduler.start(lambda: stream, disposed=350)
    scheduler.advance_to(2000)
    assert taken == [200.0, 300.0]
    assert not life.observers


def test_who_is_held_up_does_not_make_up_for_it():
    scheduler = TestScheduler()
    life: Subject[object] = Subject()
    taken: list[float] = []

    def take() -> None:
        taken.append(scheduler.clock)
        if scheduler.clock == 300:
            scheduler.sleep(250)

    scheduler.start(lambda: sampled(take, life, 100.0, scheduler), disposed=800)
    assert taken == [200.0, 300.0, 550.0, 650.0, 750.0]


def test_without_a_scheduler_one_that_is_slow_holds_up_no_other():
    life: Subject[object] = Subject()
    go_on = threading.Event()
    slow, quick = (sampled(threading.get_ident, life, 0.005, None) for _ in range(2))
    held_up = Seen(slow.pipe(ops.skip(1), ops.do_action(lambda _: go_on.wait(5)), ops.take(1)))
    seen = Seen(quick)
    seen.wait(4)
    go_on.set()
    held_up.all()
    life.on_completed()
    assert seen.all()[-1] == threading.get_ident()


def test_the_scheduler_of_who_subscribes_counts_too():
    scheduler = TestScheduler()
    life = scheduler.create_hot_observable(on_completed(250))
    results = scheduler.start(lambda: sampled(lambda: scheduler.clock, life, 100.0, None))
    assert results.messages == [on_next(200, 200.0), on_next(250, 250.0), on_completed(250)]


def test_the_end_at_the_same_moment_as_a_sample_is_one_after_the_other():
    life: Subject[object] = Subject()
    inside = threading.Event()
    go_on = threading.Event()
    order = SerialQueue()
    seen: list[object] = []

    def take() -> str:
        if threading.current_thread() is not threading.main_thread():
            inside.set()
            go_on.wait(5)
        return threading.current_thread().name

    completed = threading.Event()
    sampled(take, life, 0.001, None).subscribe(
        lambda name: order.run(lambda: seen.append(name)), on_completed=completed.set
    )
    assert inside.wait(5)
    life.on_completed()
    assert not completed.is_set()
    go_on.set()
    assert completed.wait(5)
    assert seen[0] == "MainThread"
    assert seen[1] == seen[2] != "MainThread"


def test_arguments_are_checked():
    life: Subject[object] = Subject()
    with pytest.raises(ValueError, match="seconds"):
        sampled(int, life, 0, None)
    with pytest.raises(TypeError, match="scheduler"):
        sampled(int, life, 1, "soon")  # type: ignore[arg-type]
