"""Subjects: who is told what, in which order, and who pays when an observer raises."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import pytest
from reactivex import Observable, abc
from threads import in_threads

from rxsocket.subjects import BehaviorSubject, SerialQueue, Subject, guarded


class Log(abc.ObserverBase[Any]):
    """Keeps what it is told, and raises it too if asked to."""

    def __init__(self, *, fails: bool = False) -> None:
        self.events: list[Any] = []
        self.fails = fails

    def on_next(self, value: Any) -> None:
        self._keep(value)

    def on_error(self, error: Exception) -> None:
        self._keep(("error", str(error)))

    def on_completed(self) -> None:
        self._keep("completed")

    def _keep(self, event: Any) -> None:
        self.events.append(event)
        if self.fails:
            raise ValueError(event)


class Reports:
    def __init__(self) -> None:
        self.reports: list[tuple[str, Any]] = []

    def __call__(self, stream: str, error: Exception) -> None:
        assert isinstance(error, ValueError), error
        self.reports.append((stream, error.args[0]))


@pytest.fixture
def report() -> Reports:
    return Reports()


class TestSerialQueue:
    def test_an_action_put_by_an_action_runs_after_it(self) -> None:
        queue, log = SerialQueue(), []

        def outer() -> None:
            queue.run(lambda: log.append("inner"))
            log.append("outer")

        queue.run(outer)
        assert log == ["outer", "inner"]

    def test_put_waits_for_drain(self) -> None:
        queue, log = SerialQueue(), []
        queue.put(lambda: log.append(1))
        assert not log
        queue.drain()
        queue.drain()
        assert log == [1]

    def test_two_queues_that_use_each_other_do_not_deadlock(self) -> None:
        one, two = SerialQueue(), SerialQueue()
        done: list[str] = []
        there = partial(one.run, lambda: two.run(lambda: done.append("there")))
        back = partial(two.run, lambda: one.run(lambda: done.append("back")))
        in_threads(*[lambda: [there() for _ in range(200)], lambda: [back() for _ in range(200)]] * 4)
        assert sorted(done) == ["back"] * 800 + ["there"] * 800

    def test_actions_of_many_threads_run_one_at_a_time_and_each_threads_in_order(self) -> None:
        queue = SerialQueue()
        running: list[int] = []
        done: list[tuple[int, int]] = []

        def action(name: int, n: int) -> None:
            running.append(name)
            assert len(running) == 1
            done.append((name, n))
            running.pop()

        in_threads(*[lambda name=name: [queue.run(partial(action, name, n)) for n in range(200)] for name in range(8)])
        assert len(done) == 1600
        for name in range(8):
            assert [n for who, n in done if who == name] == list(range(200))

    def test_after_an_action_that_raises_the_others_wait_for_the_next_call(self) -> None:
        queue, log = SerialQueue(), []

        def fails() -> None:
            queue.run(lambda: log.append("behind"))
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            queue.run(fails)
        assert not log
        queue.run(lambda: log.append("next"))
        assert log == ["behind", "next"]


class TestSubject:
    def test_it_tells_those_who_are_subscribed(self, report: Reports) -> None:
        subject: Subject[int] = Subject("numbers", report)
        first, second = Log(), Log()
        subject.on_next(1)
        subscription = subject.subscribe(first)
        subject.on_next(2)
        subject.subscribe(second)
        subject.on_next(3)
        subscription.dispose()
        subject.on_next(4)
        subject.on_completed()
        assert (first.events, second.events) == ([2, 3], [3, 4, "completed"])

    def test_an_observer_that_raises_harms_neither_the_producer_nor_the_others(self, report: Reports) -> None:
        subject: Subject[int] = Subject("numbers", report)
        bad, good = Log(fails=True), Log()
        subject.subscribe(bad)
        subject.subscribe(good)
        subject.on_next(1)
        subject.on_next(2)
        subject.on_error(ValueError("over"))
        assert good.events == bad.events == [1, 2, ("error", "over")]
        assert report.reports == [("numbers", 1), ("numbers", 2), ("numbers", ("error", "over"))]

    def test_an_interrupt_passes(self, report: Reports) -> None:
        def interrupt(_: int) -> None:
            raise KeyboardInterrupt

        subject: Subject[int] = Subject("numbers", report)
        subject.subscribe(interrupt)
        with pytest.raises(KeyboardInterrupt):
            subject.on_next(1)

    @pytest.mark.parametrize("kind", [Subject, partial(BehaviorSubject, 0)])
    def test_the_end_comes_once_and_is_told_to_who_comes_later(self, kind: Any, report: Reports) -> None:
        for end, event in (
            (lambda subject: subject.on_completed(), "completed"),
            (lambda subject: subject.on_error(ValueError("over")), ("error", "over")),
        ):
            subject = kind("numbers", report)
            early, late = Log(), Log()
            subject.subscribe(early)
            end(subject)
            subject.on_next(1)
            subject.on_error(RuntimeError("second end"))
            subject.on_completed()
            subject.subscribe(late).dispose()
            replayed = [0] if isinstance(subject, BehaviorSubject) else []
            assert early.events == late.events == [*replayed, event]

    @pytest.mark.parametrize("kind", [Subject, partial(BehaviorSubject, 0)])
    def test_an_observer_that_raises_at_a_late_end_is_reported(self, kind: Any, report: Reports) -> None:
        subject = kind("numbers", report)
        subject.on_completed()
        subject.subscribe(Log(fails=True))
        assert report.reports[-1] == ("numbers", "completed")

    def test_one_may_subscribe_and_dispose_while_being_told(self, report: Reports) -> None:
        subject: Subject[int] = Subject("numbers", report)
        log, other = Log(), Log()
        subscriptions: list[abc.DisposableBase] = []

        def once(value: int) -> None:
            log.on_next(value)
            subscriptions[0].dispose()
            subject.subscribe(other)

        subscriptions.append(subject.subscribe(once))
        subject.on_next(1)
        subject.on_next(2)
        assert (log.events, other.events) == ([1], [2])


class TestBehaviorSubject:
    def test_a_newcomer_gets_the_current_value_at_once(self, report: Reports) -> None:
        subject = BehaviorSubject("a", "letters", report)
        early, late = Log(), Log()
        subject.subscribe(early)
        subject.on_next("b")
        subject.subscribe(late)
        subject.on_next("c")
        assert (early.events, late.events, subject.value) == (["a", "b", "c"], ["b", "c"], "c")

    def test_after_the_end_the_last_value_stays_and_is_replayed(self, report: Reports) -> None:
        subject = BehaviorSubject("a", "letters", report)
        subject.on_next("b")
        subject.on_completed()
        subject.on_next("c")
        late = Log()
        subject.subscribe(late)
        assert (late.events, subject.value) == (["b", "completed"], "b")

    def test_a_newcomer_that_raises_is_reported_and_stays(self, report: Reports) -> None:
        subject = BehaviorSubject("a", "letters", report)
        bad = Log(fails=True)
        subject.subscribe(bad)
        subject.on_next("b")
        assert bad.events == ["a", "b"]
        assert report.reports == [("letters", "a"), ("letters", "b")]

    def test_a_value_produced_by_a_newcomer_comes_after_the_one_it_was_told(self, report: Reports) -> None:
        subject = BehaviorSubject(0, "numbers", report)
        events: list[Any] = []

        def first(value: int) -> None:
            if value == 0:
                subject.on_next(1)
            events.append(value)

        subject.subscribe(first)
        assert events == [0, 1]

    def test_a_newcomer_is_called_outside_of_every_lock(self, report: Reports) -> None:
        """While a newcomer is held up in its first value, another thread produces, and a third one subscribes."""
        subject = BehaviorSubject(0, "numbers", report)
        entered, go_on = threading.Event(), threading.Event()
        slow, other = Log(), Log()

        def hold(value: int) -> None:
            slow.on_next(value)
            if value == 0:
                entered.set()
                assert go_on.wait(10)

        thread = threading.Thread(target=subject.subscribe, args=(hold,))
        thread.start()
        assert entered.wait(10)
        subject.on_next(1)
        subject.subscribe(other)
        subject.on_next(2)
        assert (slow.events, other.events) == ([0], [1, 2])
        go_on.set()
        thread.join(10)
        assert slow.events == [0, 1, 2]

    def test_newcomers_see_each_value_once_and_in_order(self, report: Reports) -> None:
        subject = BehaviorSubject(0, "numbers", report)
        logs: list[Log] = []

        def watch() -> None:
            for _ in range(100):
                log = Log()
                logs.append(log)
                subject.subscribe(log)

        in_threads(watch, watch, lambda: [subject.on_next(n) for n in range(1, 500)])
        for log in logs:
            assert log.events == list(range(log.events[0], 500))

    def test_disposing_ends_it_for_that_one_only(self, report: Reports) -> None:
        subject = BehaviorSubject(0, "numbers", report)
        gone, stays = Log(), Log()
        subscription = subject.subscribe(gone)
        subject.subscribe(stays)
        subscription.dispose()
        subject.on_next(1)
        assert (gone.events, stays.events) == ([0], [0, 1])


class TestGuarded:
    def test_what_a_subscriber_of_a_derived_stream_raises_is_reported_by_its_name(self, report: Reports) -> None:
        subject: Subject[int] = Subject("numbers", report)
        even: Observable[int] = subject.filter(lambda n: n % 2 == 0).pipe(guarded("even", report))
        bad, good = Log(fails=True), Log()
        even.subscribe(bad)
        even.subscribe(good)
        for n in range(3):
            subject.on_next(n)
        subject.on_completed()
        assert bad.events == good.events == [0, 2, "completed"]
        assert report.reports == [("even", 0), ("even", 2), ("even", "completed")]

    def test_errors_pass_and_who_raises_at_one_is_reported(self, report: Reports) -> None:
        subject: Subject[int] = Subject("numbers", report)
        bad = Log(fails=True)
        subject.pipe(guarded("same", report)).subscribe(bad)
        subject.on_error(ValueError("over"))
        assert bad.events == [("error", "over")]
        assert report.reports == [("same", ("error", "over"))]
