"""What waits for one subscriber, bounded, and is delivered by one thread at a time."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, TypeAlias, TypeVar, get_args

from reactivex import Observable, abc
from reactivex.disposable import Disposable, SingleAssignmentDisposable

from .checks import check_number

__all__ = ["Backlog", "Overflow", "checked_capacity", "delivering_threads"]

T = TypeVar("T")

# The identifiers of the threads that deliver what waits, each written by its thread. A source's thread may wait for
# them; so they can't wait for the end of a session, which may be the source.
delivering_threads: set[int] = set()

Overflow: TypeAlias = Literal["block", "drop_oldest", "drop_newest", "latest", "error"]
"""What becomes of an item for which there is no room."""


def checked_capacity(capacity: int, overflow: Overflow) -> int:
    """Return how many items may wait where that many are asked for.

    Raises:
        TypeError: The capacity is no int.
        ValueError: The capacity is under 1, or there is no such overflow.
    """
    check_number("capacity", capacity, int, 1)
    if overflow not in get_args(Overflow):
        raise ValueError(f"overflow is one of {', '.join(map(repr, get_args(Overflow)))}, not {overflow!r}")
    return 1 if overflow == "latest" else capacity


class Backlog(abc.ObserverBase[T]):
    """What waits for one subscriber. One thread at a time delivers it, and calls the subscriber outside of the lock.

    Args:
        observer: The subscriber, guarded.
        capacity: How many items may wait.
        turn: How many notifications a thread delivers before others have their turn.
    """

    def __init__(self, observer: abc.ObserverBase[Any], capacity: int, turn: int) -> None:
        self._observer = observer
        self._capacity = capacity
        self._turn = turn
        self._source = SingleAssignmentDisposable()
        # Re-entrant, since an item that is let go under it may have a finalizer, which disposes.
        self._changed = threading.Condition(threading.RLock())
        # All of these are written under _changed.
        self._items: deque[T] = deque()
        self._end: Callable[[], None] | None = None  # tells the subscriber of the source's, after the items
        self._is_over = False  # that is told, or it was disposed
        self._is_scheduled = False  # a thread will come
        self._is_delivering = False
        self._thread: threading.Thread | None = None  # that delivers, or did so last

    def subscribe(self, source: Observable[T], scheduler: abc.SchedulerBase | None) -> abc.DisposableBase:
        """Subscribe to the source. Returns what ends that, and the delivery."""
        try:
            self._source.disposable = source.subscribe(self, scheduler=scheduler)
        except BaseException:
            self.dispose()
            raise
        return Disposable(self.dispose)

    def dispose(self) -> None:
        """Let go what waits, let the source's thread go on, and unsubscribe. From any thread."""
        with self._changed:
            self._is_over = True
            self._items.clear()
            self._changed.notify_all()
        self._source.dispose()

    def on_error(self, error: Exception) -> None:
        """Take the source's end, which comes after what waits."""
        with self._changed:
            self._finish(partial(self._observer.on_error, error))
        self._deliver_soon()

    def on_completed(self) -> None:
        """Take the source's end, which comes after what waits."""
        with self._changed:
            self._finish(self._observer.on_completed)
        self._deliver_soon()

    def _finish(self, end: Callable[[], None]) -> None:
        """Take no more items. Under the lock."""
        if self._end is None:
            self._end = end

    def _deliver_soon(self) -> None:
        """Have a thread come, if there is something to deliver and none does."""
        with self._changed:
            claimed = self._claim()
        if claimed:
            self._schedule()

    def _claim(self) -> bool:
        """Return whether the caller has to call :meth:`_schedule`. Under the lock."""
        if self._is_scheduled or self._is_delivering or self._is_over or not self._has_next():
            return False
        self._is_scheduled = True
        return True

    def _come(self, *_: object) -> None:
        """Deliver, on the thread that :meth:`_schedule` asked for."""
        with self._changed:
            self._is_scheduled = False
        self._deliver()

    def _deliver(self) -> None:
        """Deliver, unless another thread, or what calls this, is at it: that goes on with what is new."""
        with self._changed:
            if self._is_delivering:
                return
            self._is_delivering = True
            self._thread = threading.current_thread()
        ident = threading.get_ident()
        is_inner = ident in delivering_threads
        delivering_threads.add(ident)
        try:
            for _ in range(self._turn):
                with self._changed:
                    notify = self._next() if self._has_next() and not self._is_over else None
                if notify is None:
                    break
                notify()
        finally:
            if not is_inner:
                delivering_threads.discard(ident)
            with self._changed:
                self._is_delivering = False
            self._deliver_soon()

    def _wait_for_room(self) -> None:
        """Wait while the queue is full, if there is another thread that delivers. Under the lock."""
        if self._thread not in {None, threading.current_thread()}:
            self._changed.wait_for(lambda: len(self._items) < self._capacity or self._is_over)

    @abstractmethod
    def _schedule(self) -> None:
        """Have a thread call :meth:`_come`."""

    @abstractmethod
    def _has_next(self) -> bool:
        """Whether there is something to deliver now. Under the lock."""

    @abstractmethod
    def _next(self) -> Callable[[], None] | None:
        """Take what is to be delivered: items, or else the end. Under the lock."""
