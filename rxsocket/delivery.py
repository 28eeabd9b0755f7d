"""How a stream reaches one of its subscribers: on a thread of its own and by a bounded queue, or in batches."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from reactivex import Observable, abc
from reactivex.disposable import SerialDisposable
from reactivex.scheduler import TimeoutScheduler

from .backlog import Backlog, Overflow, checked_capacity
from .checks import MAX_SECONDS, check_number
from .errors import OverflowException, SubscriberException
from .subjects import guarded, told

__all__ = ["batched", "buffered"]

T = TypeVar("T")

_log = logging.getLogger("rxsocket")

TURN = 1000  # notifications; a scheduler has other work, too


def buffered(
    capacity: int,
    overflow: Overflow = "block",
    *,
    scheduler: abc.SchedulerBase | None = None,
    dropped: Callable[[int], object] | None = None,
) -> Callable[[Observable[T]], Observable[T]]:
    """Make an operator that parts each subscriber from the source by a queue, so that neither has the other's pace.

    Items are delivered in order, and the end of the stream after them. An item that the subscriber raises at is
    logged (logger ``rxsocket``), and the next one comes. After a dispose, from any thread, nothing comes any more.

    Args:
        capacity: How many items may wait.
        overflow: What happens when another comes. ``"block"``: the source's thread waits until half of the queue is
            delivered; so a session reads no more, and TCP holds the server up. ``"drop_oldest"``: it takes the place of
            the one that waits longest. ``"drop_newest"``: it is let go. ``"latest"``: only the newest waits, whatever
            the capacity is. ``"error"``: the stream ends with an :class:`~rxsocket.OverflowException` after what waits.
        scheduler: Where to deliver. None: on a thread for each subscription, which ends with it. In no case does a
            thread wait for itself: what a subscriber adds to its own source exceeds the capacity; a source on the
            scheduler's thread delivers by itself when the queue is full; and until a scheduler has run for the first
            time, it can't be known which its thread is, and so nothing waits. So one that changes its thread, as an
            ``EventLoopScheduler(exit_if_empty=True)`` does, is not for a source that emits on it.
        dropped: Is called with how many items were let go since the last call, before the next item or the end, and
            where that is delivered: so ``subject.on_next`` makes a stream of them, whose sum is the number of all.

    Returns:
        An operator for :meth:`reactivex.Observable.pipe`.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The capacity is under 1, or there is no such overflow.
    """
    places = checked_capacity(capacity, overflow)
    _check_scheduler(scheduler)
    if dropped is not None and not callable(dropped):
        hint = ": give its on_next" if isinstance(dropped, abc.ObserverBase) else ""
        raise TypeError(f"dropped is a function of an int, or None, not {type(dropped).__name__}{hint}")

    def operator(source: Observable[T]) -> Observable[T]:
        def subscribe(observer: abc.ObserverBase[T], inner: abc.SchedulerBase | None = None) -> abc.DisposableBase:
            return _Buffer(observer, places, overflow, scheduler, dropped).subscribe(source, inner)

        stream: Observable[T] = Observable(subscribe)
        return stream.pipe(guarded("buffered", _report))

    return operator


def batched(
    max_items: int, max_seconds: float, *, scheduler: abc.SchedulerBase | None = None
) -> Callable[[Observable[T]], Observable[list[T]]]:
    """Make an operator that delivers items in lists: when one is full, or when its first item has waited long enough.

    What waits at the source's end comes before that. A full list is delivered on the source's thread, one that is due
    on the scheduler's; never two at once. While the scheduler's thread delivers, the next list is filled, and then the
    source's thread waits. A list that the subscriber raises at is logged (logger ``rxsocket``), and the next one comes.

    Args:
        max_items: The most items of a list.
        max_seconds: How long its first item waits at the most, as long as the subscriber is not at another list.
        scheduler: Has the clock. None: that of who subscribes, or else a timer's thread.

    Returns:
        An operator for :meth:`reactivex.Observable.pipe`.

    Raises:
        TypeError: An argument is of another type.
        ValueError: A number is out of its range.
    """
    check_number("max_items", max_items, int, 1)
    check_number("max_seconds", max_seconds, float, 0, MAX_SECONDS, above=True)
    _check_scheduler(scheduler)

    def operator(source: Observable[T]) -> Observable[list[T]]:
        def subscribe(
            observer: abc.ObserverBase[list[T]], inner: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            clock = scheduler or inner or TimeoutScheduler.singleton()
            return _Batches(observer, max_items, max_seconds, clock).subscribe(source, inner)

        stream: Observable[list[T]] = Observable(subscribe)
        return stream.pipe(guarded("batched", _report))

    return operator


def _check_scheduler(scheduler: object) -> None:
    if scheduler is not None and not isinstance(scheduler, abc.SchedulerBase):
        raise TypeError(f"scheduler is one of reactivex's, or None, not {type(scheduler).__name__}")


def _report(stream: str, error: BaseException) -> None:
    _log.warning("%s", SubscriberException(stream), exc_info=error)


class _Buffer(Backlog[T]):
    """The queue of :func:`buffered`, with its parameters."""

    def __init__(
        self,
        observer: abc.ObserverBase[T],
        capacity: int,
        overflow: Overflow,
        scheduler: abc.SchedulerBase | None,
        dropped: Callable[[int], object] | None,
    ) -> None:
        super().__init__(observer, capacity, sys.maxsize if scheduler is None else TURN)
        self._overflow: Overflow = overflow
        self._scheduler = scheduler
        self._dropped = dropped
        self._lost = 0  # under _changed: how many were let go since that was told

    def subscribe(self, source: Observable[T], scheduler: abc.SchedulerBase | None) -> abc.DisposableBase:
        if self._scheduler is None:
            self._thread = threading.Thread(target=self._run, name="rxsocket buffered", daemon=True)
            self._thread.start()
        else:
            self._is_scheduled = True
            self._schedule()  # with nothing to deliver, it shows which the thread is
        return super().subscribe(source, scheduler)

    def on_next(self, value: T) -> None:
        if self._overflow == "block" and self._is_full() and self._thread is threading.current_thread():
            self._deliver()
        with self._changed:
            if self._is_over or self._end is not None:
                return
            if (not self._is_full() or self._make_room()) and not self._is_over:
                self._items.append(value)
            claimed = self._claim()
            overflowed = self._end is not None
        if overflowed:
            self._source.dispose()
        if claimed:
            self._schedule()

    def _is_full(self) -> bool:
        return len(self._items) >= self._capacity

    def _make_room(self) -> bool:
        """Do what the policy says; return whether the new item is to be taken. Under the lock."""
        match self._overflow:
            case "block":
                self._wait_for_room()
            case "drop_oldest" | "latest":
                self._items.popleft()
                self._lost += 1
            case "drop_newest":
                self._lost += 1
                return False
            case "error":
                text = (
                    f"{self._capacity} items wait for a subscriber, and another came. Be faster, or raise the capacity"
                )
                self._finish(partial(self._observer.on_error, OverflowException(text, self._capacity)))
                return False
        return True

    def _schedule(self) -> None:
        if self._scheduler is None:
            with self._changed:
                self._changed.notify_all()
            return
        try:
            self._scheduler.schedule(self._come)
        except Exception:
            self.dispose()  # or the source's thread would wait for one that never comes
            raise

    def _run(self) -> None:
        """Deliver to the end, on the subscription's own thread."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_scheduled or self._is_over)
                if self._is_over:
                    return
            self._come()

    def _has_next(self) -> bool:
        return bool(self._items) or self._end is not None

    def _next(self) -> Callable[[], None] | None:
        notify = self._end
        if self._items:
            notify = partial(self._observer.on_next, self._items.popleft())
            # A switch of threads for each place that is free would cost more than the item.
            if len(self._items) == self._capacity // 2:
                self._changed.notify_all()
        else:
            self._is_over = True
        if self._lost and self._dropped is not None and notify is not None:
            notify = partial(_tell, self._dropped, self._lost, notify)
            self._lost = 0
        return notify


def _tell(dropped: Callable[[int], object], count: int, notify: Callable[[], None]) -> None:
    try:
        dropped(count)
    except BaseException as error:  # noqa: BLE001 it is the user's
        told(error, "buffered's dropped", _report)
    notify()


class _Batches(Backlog[T]):
    """The queue of :func:`batched`, with its parameters."""

    def __init__(
        self, observer: abc.ObserverBase[list[T]], max_items: int, max_seconds: float, clock: abc.SchedulerBase
    ) -> None:
        super().__init__(observer, max_items, sys.maxsize)
        self._max_seconds = max_seconds
        self._clock = clock
        self._timer = SerialDisposable()
        # All of these are written under _changed.
        self._number = 0  # of the list that is being filled
        self._since = clock.now  # when that got its first item
        self._is_due = False
        self._is_timed = False  # a timer runs, for this list or one before

    def dispose(self) -> None:
        super().dispose()
        self._timer.dispose()

    def on_next(self, value: T) -> None:
        with self._changed:
            self._wait_for_room()
            if self._is_over or self._end is not None:
                return
            if not self._items:
                self._since = self._clock.now
            self._items.append(value)
            claimed = self._claim()
            untimed = not claimed and not self._is_timed
            if untimed:
                self._is_timed = True
            number = self._number
        if untimed:
            self._time(number, self._max_seconds)
        if claimed:
            self._schedule()

    def _schedule(self) -> None:
        self._come()

    def _time(self, number: int, seconds: float) -> None:
        self._timer.disposable = self._clock.schedule_relative(seconds, partial(self._elapsed, number))

    def _elapsed(self, number: int, *_: object) -> None:
        """Deliver the list that the timer was started for, or go on timing the one that is filled now."""
        with self._changed:
            seconds = 0.0
            if number == self._number:
                self._is_due = True
            elif self._items:
                # A wall clock that is set back must not let it wait any longer.
                seconds = self._max_seconds - max(0.0, (self._clock.now - self._since).total_seconds())
                self._is_due = seconds <= 0
            self._is_timed = bool(self._items) and not self._is_due
            number = self._number
        if self._is_timed:
            self._time(number, seconds)
        self._deliver_soon()

    def _has_next(self) -> bool:
        return self._end is not None or self._is_due or len(self._items) >= self._capacity

    def _next(self) -> Callable[[], None] | None:
        self._is_due = False
        if not self._items:
            self._is_over = True
            return self._end
        self._number += 1
        batch = [self._items.popleft() for _ in range(min(self._capacity, len(self._items)))]
        self._changed.notify_all()
        return partial(self._observer.on_next, batch)
