"""What waits for a subscriber, whatever the operator is. Those are tested in test_delivery."""

import threading
from collections.abc import Callable

import pytest
import reactivex
from reactivex import Observable

from rxsocket.backlog import Backlog, checked_capacity, delivering_threads
from rxsocket.subjects import Subject


class Kept(Backlog[int]):
    """Keeps all, and delivers where it is told to, by ``deliver``."""

    def __init__(self, observer, turn: int = 1000) -> None:
        super().__init__(observer, 1000, turn)
        self.due: list[Callable[[], None]] = []

    def on_next(self, value: int) -> None:
        with self._changed:
            self._items.append(value)
        self._deliver_soon()

    def deliver(self) -> None:
        self.due.pop(0)()

    def _schedule(self) -> None:
        self.due.append(self._come)

    def _has_next(self) -> bool:
        return bool(self._items) or self._end is not None

    def _next(self) -> Callable[[], None] | None:
        if self._items:
            item = self._items.popleft()
            return lambda: self._observer.on_next(item)
        self._is_over = True
        return self._end


def kept(source: Observable[int], on_next: Callable[[int], object], end=lambda *_: None, turn: int = 1000) -> Kept:
    backlogs = []

    def subscribe(observer, scheduler=None):
        backlogs.append(Kept(observer, turn))
        return backlogs[0].subscribe(source, scheduler)

    Observable(subscribe).subscribe(on_next, end, end)
    return backlogs[0]


def fail(name: str, error: BaseException) -> None:
    pytest.fail(f"a subscriber of {name} raised {error!r}")


def test_what_waits_comes_in_order_and_the_end_behind_it_when_a_thread_comes_for_it_once():
    log = []
    backlog = kept(reactivex.of(1, 2, 3), log.append, lambda *error: log.append(error))
    assert log == []
    assert len(backlog.due) == 1
    backlog.deliver()
    assert log == [1, 2, 3, ()]
    assert backlog.due == []


def test_after_its_turn_a_thread_is_asked_for_anew():
    log = []
    backlog = kept(reactivex.of(1, 2, 3), log.append, turn=2)
    backlog.deliver()
    assert log == [1, 2]
    backlog.deliver()
    assert log == [1, 2, 3]


def test_what_a_subscriber_adds_comes_after_what_it_is_at():
    source = Subject[int]("numbers", fail)
    log = []

    def subscriber(item: int) -> None:
        if item < 3:
            source.on_next(item + 1)
        log.append(item)

    backlog = kept(source, subscriber)
    source.on_next(1)
    backlog.deliver()
    assert log == [1, 2, 3]


def test_a_thread_is_known_as_delivering_while_it_delivers_also_when_it_does_within():
    source = Subject[int]("numbers", fail)
    log = []

    def is_known() -> bool:
        return threading.get_ident() in delivering_threads

    inner = kept(source, lambda item: log.append(is_known()))

    def subscriber(item: int) -> None:
        inner.deliver()
        log.append(is_known())

    outer = kept(source, subscriber)
    source.on_next(1)
    outer.deliver()
    assert log == [True, True]
    assert not is_known()


def test_after_a_dispose_nothing_comes_any_more():
    source = Subject[int]("numbers", fail)
    log = []
    backlog = kept(source, log.append)
    source.on_next(1)
    backlog.dispose()
    backlog.deliver()
    source.on_next(2)
    assert log == []
    assert source.observers == ()


def test_the_newest_alone_takes_one_place():
    assert checked_capacity(7, "latest") == 1
    assert checked_capacity(7, "block") == 7
