"""Histories and trackers: what they keep, what they tell, and that threads may share them."""

from __future__ import annotations

import threading

import pytest

from rxsocket.errors import SubscriberException
from rxsocket.history import History, Tracker
from rxsocket.store import RootStore


def report(stream: str, error: Exception) -> None:
    raise AssertionError(stream) from error


def test_a_history_follows_its_store_and_goes_back() -> None:
    store = RootStore("A")
    history = store.history()
    entries: list[tuple[str, ...]] = []
    available: list[bool] = []
    history.data.subscribe(entries.append)
    history.available.subscribe(available.append)
    for value in "BCD":
        store.update(value)
    assert history.current == ("A", "B", "C", "D")
    store.update(history.back())
    store.update(history.back())
    assert store.current == "B"
    assert history.current == ("A", "B")
    history.clear()
    history.clear()
    assert entries == [
        ("A",),
        ("A", "B"),
        ("A", "B", "C"),
        ("A", "B", "C", "D"),
        ("A", "B", "C"),
        ("A", "B"),
        ("B",),
    ]
    assert available == [False, True, False]
    with pytest.raises(IndexError, match="nothing to go back to"):
        history.back()
    assert history.current == ("B",)


def test_an_empty_history_has_nothing_to_go_back_to() -> None:
    history = History[int](report)
    history.clear()
    with pytest.raises(IndexError):
        history.back()
    history.push(1)
    history.push(1)
    assert history.current == (1,)
    with pytest.raises(IndexError):
        history.back()


def test_over_its_capacity_the_oldest_entries_go() -> None:
    store = RootStore("")
    history = store.history(capacity=4)
    for value in "ABCDEFG":
        store.update(value)
    assert history.current == ("D", "E", "F", "G")


def test_initial_entries_come_first_and_must_fit() -> None:
    history = RootStore("c").history(3, ["a", "b"])
    assert history.current == ("a", "b", "c")
    with pytest.raises(ValueError, match="5 initial entries is over its capacity of 4"):
        History(report, 4, "abcde")
    with pytest.raises(ValueError, match="not -1"):
        History[int](report, -1)


def test_it_may_be_fed_by_hand_or_left_alone() -> None:
    store = RootStore(1)
    by_hand, followed = store.history(synced=False), store.history()
    by_hand.push(7)
    followed.dispose()
    store.update(2)
    assert by_hand.current == (7,)
    assert followed.current == (1,)


def test_a_sub_store_has_a_history_of_its_part() -> None:
    store = RootStore((1, "a"))
    history = store.sub(lambda pair: pair[1]).history()
    store.update((2, "a"))
    store.update((2, "b"))
    assert history.current == ("a", "b")


def test_a_subscriber_that_raises_is_reported_to_the_store() -> None:
    errors: list[Exception] = []
    store = RootStore(1, error_handler=errors.append)
    history, tracker = store.history(), store.tracker()
    for stream in (history.data, history.available, tracker.data):
        stream.subscribe(lambda _: 1 / 0)
    assert [error.stream for error in errors if isinstance(error, SubscriberException)] == [
        "history.data",
        "history.available",
        "tracker.data",
    ]


def test_threads_share_a_history() -> None:
    history = History[int](report)
    shown: list[tuple[int, ...]] = []
    history.data.subscribe(shown.append)
    start = threading.Barrier(4)

    def work(first: int) -> None:
        start.wait(10)
        for n in range(first, first + 100):
            history.push(n)

    threads = [threading.Thread(target=work, args=(1000 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(history.current) == 400
    assert [len(entries) for entries in shown] == list(range(401))


def test_a_tracker_counts_nested_operations() -> None:
    tracker = Tracker(report)
    told: list[bool] = []
    tracker.data.subscribe(told.append)
    with tracker.track("saving"):
        assert tracker.current
        with tracker.track("saving"), tracker.track():
            assert tracker.running == ("saving", "saving", "")
        assert tracker.running == ("saving",)
    assert not tracker.current
    assert told == [False, True, False]


def test_a_tracked_operation_that_raises_has_ended() -> None:
    tracker = Tracker(report)
    with pytest.raises(KeyboardInterrupt), tracker.track("loading"):
        raise KeyboardInterrupt
    assert not tracker.current


def test_a_tracker_counts_operations_of_several_threads() -> None:
    tracker = Tracker(report)
    told: list[bool] = []
    tracker.data.subscribe(told.append)
    all_run, may_end = threading.Barrier(4), threading.Event()

    def work(name: str) -> None:
        with tracker.track(name):
            all_run.wait(10)
            may_end.wait(10)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    all_run.wait(10)
    running = tracker.running
    may_end.set()
    for thread in threads:
        thread.join(10)
    assert sorted(running) == ["a", "b", "c"]
    assert not tracker.current
    assert told == [False, True, False]
