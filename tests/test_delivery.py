"""Delivery: what a subscriber gets, on which thread, what it costs the source, and what is left behind."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import reactivex
import reactivex.operators as ops
from hypothesis import given
from hypothesis import strategies as st
from reactivex import Observable, Subject
from reactivex.scheduler import CurrentThreadScheduler, EventLoopScheduler, ImmediateScheduler
from reactivex.testing import ReactiveTest, TestScheduler
from servers import DEADLINE, Seen, Wire, within

from rxsocket.delivery import TURN, batched, buffered
from rxsocket.encoding import encode_message

on_next, on_completed, on_error = ReactiveTest.on_next, ReactiveTest.on_completed, ReactiveTest.on_error


class Held:
    """A subscriber that is held at its first item until it is let go; it keeps what it is told, in order."""

    def __init__(self, stream: Observable[Any]) -> None:
        self.log: list[Any] = []
        self.reached, self.gate, self.ended = threading.Event(), threading.Event(), threading.Event()
        self.subscription = stream.subscribe(self._take, self._fail, partial(self._end, "completed"))

    def let_go(self) -> list[Any]:
        """Let it go on, wait for the stream's end, and return all that it was told."""
        self.gate.set()
        assert self.ended.wait(DEADLINE)
        return self.log

    def _take(self, item: Any) -> None:
        self.log.append(item)
        self.reached.set()
        assert self.gate.wait(DEADLINE)

    def _fail(self, error: Exception) -> None:
        self._end(type(error).__name__)

    def _end(self, how: str) -> None:
        self.log.append(how)
        self.ended.set()


def held(source: Subject[Any], *args: Any, **options: Any) -> Held:
    """Subscribe through a buffer, and wait until the subscriber is held at the item 0."""
    subscriber = Held(source.pipe(buffered(*args, **options)))
    source.on_next(0)
    assert subscriber.reached.wait(DEADLINE)
    return subscriber


def emit(source: Subject[Any], *items: Any) -> None:
    for item in items:
        source.on_next(item)


# --- what is delivered


@pytest.mark.parametrize(
    ("overflow", "kept", "lost"),
    [
        ("drop_oldest", [0, 4, 5, 6], [3]),
        ("drop_newest", [0, 1, 2, 3], [3]),
        ("latest", [0, 6], [5]),
    ],
)
def test_what_exceeds_the_capacity_is_let_go_by_the_policy_and_counted(overflow, kept, lost):
    source, dropped = Subject[int](), Seen(counts := Subject[int]())
    subscriber = held(source, 3, overflow, dropped=counts.on_next)
    emit(source, *range(1, 7))
    source.on_completed()
    assert subscriber.let_go() == [*kept, "completed"]
    assert dropped.items == lost
    dropped.subscription.dispose()


def test_what_was_let_go_is_told_where_the_gap_is():
    source, log = Subject[int](), []
    subscriber = held(source, 1, "drop_oldest", dropped=lambda count: log.append((count, list(subscriber.log))))
    emit(source, 1, 2, 3)
    source.on_completed()
    subscriber.let_go()
    assert log == [(2, [0])]


def test_an_overflow_ends_the_stream_if_asked_to_after_what_waits():
    source = Subject[int]()
    subscriber = held(source, 2, "error")
    emit(source, 1, 2, 3)
    assert not source.observers, "it is still subscribed"
    emit(source, 4)
    assert subscriber.let_go() == [0, 1, 2, "OverflowException"]


def test_an_error_comes_after_what_waits():
    source = Subject[int]()
    subscriber = held(source, 2)
    emit(source, 1, 2)
    source.on_error(ValueError("lost"))
    assert subscriber.let_go() == [0, 1, 2, "ValueError"]


@given(
    items=st.lists(st.integers(), max_size=50),
    capacity=st.integers(1, 8),
    overflow=st.sampled_from(["block", "drop_oldest", "drop_newest", "latest"]),
)
def test_what_comes_is_in_order_and_with_what_was_let_go_it_is_all(items, capacity, overflow):
    lost: list[int] = []
    numbered = list(enumerate(items))
    source = Subject[tuple[int, int]]()
    seen = Seen(source.pipe(buffered(capacity, overflow, dropped=lost.append)))
    emit(source, *numbered)
    source.on_completed()
    found = seen.all()
    assert all(one < other for (one, _), (other, _) in pairwise(found))
    assert set(found) <= set(numbered)
    assert len(found) + sum(lost) == len(numbered)
    assert all(count > 0 for count in lost)
    if overflow == "block":
        assert found == numbered


# --- threads


def test_each_subscription_has_a_thread_of_its_own_which_ends_with_it():
    threads: list[threading.Thread] = []
    source = Subject[int]()
    stream = source.pipe(buffered(1), ops.do_action(lambda _: threads.append(threading.current_thread())))
    seen = [Seen(stream), Seen(stream)]
    emit(source, 1, 2)
    source.on_completed()
    assert [each.all() for each in seen] == [[1, 2]] * 2
    assert len(set(threads)) == 2
    assert threading.current_thread() not in threads
    for thread in set(threads):
        thread.join(DEADLINE)
        assert not thread.is_alive()


def test_where_there_is_a_scheduler_there_is_no_thread_and_others_get_their_turn():
    scheduler = TestScheduler()
    before = threading.enumerate()
    source, log = Subject[Any](), []
    source.pipe(buffered(3 * TURN, scheduler=scheduler)).subscribe(log.append, None, lambda: log.append("end"))
    emit(source, *range(TURN + 1))
    source.on_completed()
    assert threading.enumerate() == before
    assert log == []
    scheduler.schedule(lambda *_: log.append("another's"))
    scheduler.start()
    assert log == [*range(TURN), "another's", TURN, "end"]


def test_the_sources_thread_waits_until_there_is_room_and_the_queue_never_holds_more():
    source, progress = Subject[int](), []
    subscriber = held(source, 4)

    def flood() -> None:
        for number in range(1, 101):
            source.on_next(number)
            progress.append(number)
        source.on_completed()

    thread = threading.Thread(target=flood)
    waits = waiting(source)
    thread.start()
    assert waits.wait(DEADLINE)
    assert progress == [1, 2, 3, 4]
    assert subscriber.let_go() == [*range(101), "completed"]
    thread.join(DEADLINE)


def waiting(source: Subject[Any]) -> threading.Event:
    """Return an event that is set when the source's thread waits for room in its only subscriber's queue."""
    waits = threading.Event()
    (outer,) = source.observers
    buffer = outer._on_next.__self__
    wait = buffer._wait_for_room

    def watched() -> None:
        waits.set()
        wait()

    buffer._wait_for_room = watched
    return waits


def test_a_dispose_lets_a_source_that_waits_go_on_and_nothing_comes_after_it():
    source = Subject[int]()
    subscriber = held(source, 1)
    waits = waiting(source)
    thread = threading.Thread(target=emit, args=(source, 1, 2, 3))
    thread.start()
    assert waits.wait(DEADLINE)
    subscriber.subscription.dispose()
    thread.join(DEADLINE)
    assert not thread.is_alive()
    subscriber.gate.set()
    assert not source.observers
    assert subscriber.log == [0]


@pytest.mark.parametrize("count", [1, 5])
def test_a_subscriber_may_dispose_inside_of_on_next(count):
    source = Subject[int]()
    seen = Seen(source.pipe(buffered(2), ops.take(count)))
    emit(source, *range(100))
    assert seen.all() == list(range(count))
    assert not source.observers


def test_a_subscriber_that_feeds_its_own_source_exceeds_the_capacity_and_stops_nobody():
    source = Subject[int]()
    seen = Seen(
        source.pipe(buffered(1), ops.do_action(lambda item: emit(source, 1, 2, 3) if item == 0 else None), ops.take(4))
    )
    source.on_next(0)
    assert seen.all() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "scheduler", [CurrentThreadScheduler.singleton(), CurrentThreadScheduler(), ImmediateScheduler()]
)
def test_a_source_on_the_schedulers_thread_delivers_by_itself(scheduler):
    log: list[Any] = []
    reactivex.range(100).pipe(buffered(3, scheduler=scheduler)).subscribe(log.append, None, lambda: log.append("end"))
    assert log == [*range(100), "end"]


def test_a_source_on_a_loops_thread_delivers_by_itself_within_the_capacity():
    loop = EventLoopScheduler()  # which stays, while one that exits when it is empty may be on another thread by then
    source, ahead, emitted = Subject[int](), [], 0

    def flood(*_: object) -> None:
        nonlocal emitted
        for emitted in range(100):
            source.on_next(emitted)
        source.on_completed()

    stream = source.pipe(buffered(3, scheduler=loop), ops.do_action(lambda item: ahead.append(emitted - item)))
    seen = Seen(stream)
    loop.schedule(flood)
    assert seen.all() == list(range(100))
    assert max(ahead) <= 3
    loop.dispose()


# --- exceptions


@pytest.mark.parametrize("operator", [buffered(5), batched(1, 60)], ids=["buffered", "batched"])
def test_what_a_subscriber_raises_is_logged_and_the_next_item_comes(operator, caplog):
    source, log, ended = Subject[int](), [], threading.Event()

    def take(item: Any) -> None:
        log.append(item)
        raise ValueError(item)

    source.pipe(operator).subscribe(take, None, ended.set)
    with caplog.at_level(logging.WARNING, "rxsocket"):
        emit(source, 1, 2)
        source.on_completed()
        assert ended.wait(DEADLINE)
    assert len(log) == 2
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == [str(item) for item in log]


def test_what_the_counter_raises_is_logged_and_the_item_comes(caplog):
    source = Subject[int]()

    def dropped(count: int) -> None:
        raise ValueError(count)

    subscriber = held(source, 1, "latest", dropped=dropped)
    with caplog.at_level(logging.WARNING, "rxsocket"):
        emit(source, 1, 2)
        source.on_completed()
        assert subscriber.let_go() == [0, 2, "completed"]
    assert "dropped" in caplog.text


def test_a_scheduler_that_takes_nothing_ends_the_subscription_with_its_error():
    scheduler = EventLoopScheduler()
    scheduler.dispose()
    seen = Seen(Subject[int]().pipe(buffered(1, scheduler=scheduler)))
    assert seen.error is not None


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: buffered("1"), "capacity is an int, not str"),
        (lambda: buffered(1, scheduler=1), "scheduler is one of reactivex's, or None, not int"),
        (
            lambda: buffered(1, dropped=Subject()),
            "dropped is a function of an int, or None, not Subject: give its on_next",
        ),
        (lambda: buffered(1, dropped=1), "dropped is a function of an int, or None, not int"),
        (lambda: batched(1.5, 1), "max_items is an int, not float"),
        (lambda: batched(1, "1"), "max_seconds is a number, not str"),
        (lambda: batched(1, 1, scheduler="1"), "scheduler is one of reactivex's, or None, not str"),
    ],
)
def test_an_argument_of_another_type_is_named(make, problem):
    with pytest.raises(TypeError) as raised:
        make()
    assert str(raised.value) == problem


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: buffered(0), "capacity is 1 or more, not 0"),
        (
            lambda: buffered(1, "newest"),
            "overflow is one of 'block', 'drop_oldest', 'drop_newest', 'latest', 'error', not 'newest'",
        ),
        (lambda: batched(0, 1), "max_items is 1 or more, not 0"),
        (lambda: batched(1, 0), "max_seconds is over 0, up to 1000000, not 0"),
        (lambda: batched(1, float("nan")), "max_seconds is over 0, up to 1000000, not nan"),
    ],
)
def test_an_argument_out_of_its_range_is_named(make, problem):
    with pytest.raises(ValueError, match=r"^(capacity|overflow|max_)") as raised:
        make()
    assert str(raised.value) == problem


# --- a session


def test_a_subscriber_that_lags_holds_the_server_up_by_tcp_and_loses_nothing(play, connect):
    count, stalled = 400, threading.Event()
    frames = b"".join(encode_message(f"{number:>100000}", masked=False) for number in range(count))
    sent = 0

    def script(wire: Wire) -> None:
        nonlocal sent
        wire.sock.settimeout(0.5)
        while sent < len(frames):
            try:
                sent += wire.sock.send(memoryview(frames)[sent:])
            except TimeoutError:
                stalled.set()
        wire.sock.settimeout(DEADLINE)
        wire.answer_close()

    session = connect(play(script), paused=True, max_held=1 << 20)
    subscriber = Held(session.messages.body.pipe(buffered(2), ops.map(int)))
    session.resume()
    assert stalled.wait(DEADLINE)
    assert sent < len(frames) / 2, "20 MB found room"
    assert subscriber.log == [0]
    subscriber.gate.set()
    seen = Seen(session.messages.body.pipe(ops.filter(lambda text: int(text) == count - 1)))
    seen.wait()
    session.close()
    assert subscriber.let_go() == [*range(count), "completed"]


# --- speed


def drained(operator: Any, count: int) -> float:
    """Queue items for a subscriber that is held; return how many a second it then gets."""
    source = Subject[int]()
    gate, reached, ended = threading.Event(), threading.Event(), threading.Event()

    def take(_: int) -> None:
        reached.set()
        gate.wait()

    source.pipe(operator).subscribe(take, None, ended.set)
    source.on_next(0)
    assert reached.wait(DEADLINE)
    emit(source, *range(1, count))
    source.on_completed()
    start = time.perf_counter()
    gate.set()
    assert ended.wait(2 * DEADLINE)
    return count / (time.perf_counter() - start)


def test_a_million_that_wait_come_five_times_as_fast_as_a_tenth_of_them_by_observe_on():
    def ratio() -> float:
        loop = EventLoopScheduler(exit_if_empty=True)
        return drained(buffered(1_000_000), 1_000_000) / drained(ops.observe_on(loop), 100_000)

    assert is_reached(5, ratio)


def test_the_time_for_what_waits_is_linear():
    def ratio() -> float:
        return drained(buffered(400_000), 400_000) / drained(buffered(40_000), 40_000)

    assert is_reached(0.5, ratio)


def is_reached(limit: float, measure: Callable[[], float]) -> bool:
    """Whether a ratio is reached; what falls short is measured again, since other programs may have disturbed it."""
    return any(measure() >= limit for _ in range(3))


# --- batches


def batches(*messages: Any, count: int = 3, seconds: float = 50, disposed: float = 1000) -> list[Any]:
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(*messages)
    result = scheduler.start(lambda: source.pipe(batched(count, seconds, scheduler=scheduler)), disposed=disposed)
    return result.messages


def test_a_batch_comes_when_it_is_full():
    found = batches(*[on_next(210 + number, number) for number in range(7)], on_completed(220))
    assert found == [on_next(212, [0, 1, 2]), on_next(215, [3, 4, 5]), on_next(220, [6]), on_completed(220)]


def test_a_batch_comes_when_its_first_item_has_waited_long_enough_however_many_came_before():
    found = batches(*[on_next(time, time) for time in (210, 211, 212, 230, 240, 300)], on_completed(900))
    assert found == [
        on_next(212, [210, 211, 212]),
        on_next(280, [230, 240]),
        on_next(350, [300]),
        on_completed(900),
    ]


def test_what_is_left_comes_before_an_error():
    error = ValueError("lost")
    assert batches(on_next(210, 1), on_error(220, error)) == [on_next(220, [1]), on_error(220, error)]


def test_a_dispose_ends_a_batch_without_it():
    assert batches(on_next(210, 1), disposed=220) == []


@given(gaps=st.lists(st.integers(1, 40), max_size=30), count=st.integers(1, 5), seconds=st.integers(1, 60))
def test_batches_hold_all_items_in_order_and_none_is_late_or_too_long(gaps, count, seconds):
    times = [201 + sum(gaps[: number + 1]) for number in range(len(gaps))]
    end = 5000
    found = batches(
        *[on_next(time, time) for time in times], on_completed(end), count=count, seconds=seconds, disposed=9000
    )
    lists = [(message.time, message.value.value) for message in found if message.value.kind == "N"]
    assert [item for _, batch in lists for item in batch] == times
    for time_, batch in lists:
        assert len(batch) <= count
        assert time_ == batch[-1] if len(batch) == count else time_ == min(batch[0] + seconds, end)


def test_a_real_timer_delivers_a_batch_and_none_is_left():
    source = Subject[int]()
    seen = Seen(source.pipe(batched(10, 0.01)))
    emit(source, 1, 2)
    (*_, last) = seen.wait()
    assert last[-1] in {1, 2}
    source.on_next(3)
    source.on_completed()
    assert [item for batch in seen.all() for item in batch] == [1, 2, 3]


def test_a_timer_that_runs_ends_with_the_subscription():
    source = Subject[int]()
    with within(DEADLINE / 2):
        source.pipe(batched(10, 3600)).subscribe().dispose()
        seen = Seen(source.pipe(batched(10, 3600)))
        source.on_next(1)
        source.on_completed()
        assert seen.all() == [[1]]


def test_while_a_timers_thread_delivers_one_list_is_filled_and_then_the_source_waits():
    source = Subject[int]()
    subscriber = Held(source.pipe(batched(2, 0.01)))
    source.on_next(0)
    assert subscriber.reached.wait(DEADLINE)
    emit(source, 1, 2)
    waits = waiting(source)
    thread = threading.Thread(target=emit, args=(source, 3, 4))
    thread.start()
    assert waits.wait(DEADLINE)
    subscriber.gate.set()
    thread.join(DEADLINE)
    source.on_completed()
    log = subscriber.let_go()
    assert log[:2] == [[0], [1, 2]]
    assert [item for batch in log[:-1] for item in batch] == list(range(5))


def test_a_subscriber_closes_a_session_that_waits_for_it(play, connect):
    def script(wire: Wire) -> None:
        for number in range(5):
            wire.send(str(number))
        wire.answer_close()

    session = connect(play(script), paused=True, close_timeout=DEADLINE)
    closed = threading.Event()

    def close(_: object) -> None:
        session.close()
        closed.set()

    session.messages.body.pipe(buffered(1)).subscribe(close)
    session.resume()
    with within(DEADLINE / 2):
        assert closed.wait(DEADLINE)
        assert session.closes.run().was_clean
