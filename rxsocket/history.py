"""What a store was, and what it is busy with: a history of values, and a tracker of running operations."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from functools import partial
from typing import Generic, TypeVar

from reactivex import Observable
from reactivex.disposable import SerialDisposable

from .lenses import same
from .subjects import BehaviorSubject, Report, SerialQueue, guarded

__all__ = ["History", "Tracker"]

T = TypeVar("T")


class _Cell(Generic[T]):
    """A value that any thread may change by a function of it, and a stream that shows each value once and in order."""

    def __init__(self, value: T, name: str, report: Report) -> None:
        self.value = value  # written under _lock
        self.data = BehaviorSubject(value, name, report)
        # Reentrant, since a step compares values, and their own == may look at this one.
        self._lock = threading.RLock()
        self._queue = SerialQueue()

    def change(self, step: Callable[[T], T]) -> T:
        """Apply a function, under the lock, and return the new value."""
        with self._lock:
            value = step(self.value)
            if value is not self.value:
                self.value = value
                self._queue.put(partial(self.data.on_next, value))
        self._queue.drain()
        return value


class History(Generic[T]):
    """Keeps the last values of a store, the current one included, and goes back over them. fritz2: ``History``.

    :meth:`Store.history` makes one. Any thread may use it.

    Args:
        report: Is called with a stream's name and the exception when a subscriber raises.
        capacity: How many entries are kept at most, the oldest go first; 0 for no limit.
        initial: The entries to begin with, the oldest first.

    Raises:
        ValueError: ``capacity`` is negative, or less than there are initial entries.

    Example:
        >>> history = store.history(capacity=10)
        >>> undo.subscribe(lambda _: store.update(history.back()))
    """

    def __init__(self, report: Report, capacity: int = 0, initial: Iterable[T] = ()) -> None:
        entries = tuple(initial)
        if capacity < 0:
            raise ValueError(f"a history's capacity is 0 (no limit) or more, not {capacity}")
        if capacity and len(entries) > capacity:
            raise ValueError(f"a history of {len(entries)} initial entries is over its capacity of {capacity}")
        self._capacity = capacity
        self._cell = _Cell(entries, "history.data", report)
        self._report = report
        self._following = SerialDisposable()

    @property
    def current(self) -> tuple[T, ...]:
        """The entries, the latest last."""
        return self._cell.value

    @property
    def data(self) -> Observable[tuple[T, ...]]:
        """The entries, the latest last; replays what they are now."""
        return self._cell.data

    @property
    def available(self) -> Observable[bool]:
        """Whether there is an entry to go :meth:`back` to; replays what holds now."""
        available = self._cell.data.map(_goes_back).distinct_until_changed()
        return available.pipe(guarded("history.available", self._report))

    def push(self, entry: T) -> None:
        """Append an entry, unless it equals the latest. A history that follows a store does this by itself."""

        def append(entries: tuple[T, ...]) -> tuple[T, ...]:
            if entries and same(entries[-1], entry):
                return entries
            kept = entries[1:] if len(entries) == self._capacity else entries
            return (*kept, entry)

        self._cell.change(append)

    def back(self) -> T:
        """Remove the latest entry, and return the one before it, which is now the latest.

        The store is not changed: hand it the entry, ``store.update(history.back())``.

        Raises:
            IndexError: There is no entry before the latest.
        """

        def drop(entries: tuple[T, ...]) -> tuple[T, ...]:
            if not _goes_back(entries):
                raise IndexError("there is nothing to go back to in this history")
            return entries[:-1]

        return self._cell.change(drop)[-1]

    def clear(self) -> None:
        """Forget all entries but the latest."""
        self._cell.change(lambda entries: entries[-1:] if _goes_back(entries) else entries)

    def follow(self, stream: Observable[T]) -> None:
        """Push each value of a stream, in place of the one that was followed before."""
        self._following.disposable = stream.subscribe(self.push)

    def dispose(self) -> None:
        """Stop following; the entries stay."""
        self._following.dispose()


class Tracker:
    """Tells whether operations are running. fritz2: ``Tracker``, which waits 100 ms before it tells.

    :meth:`Store.tracker` makes one. Any thread may use it; operations may nest and overlap. To leave out short ones,
    use ``tracker.data.pipe(operators.debounce(0.1))``.

    Args:
        report: Is called with a stream's name and the exception when a subscriber raises.

    Example:
        >>> with tracker.track("saving"):
        ...     save()
    """

    def __init__(self, report: Report) -> None:
        self._cell = _Cell[tuple[str, ...]]((), "tracker.data", report)
        self._report = report

    @property
    def current(self) -> bool:
        """Whether any operation is running."""
        return bool(self._cell.value)

    @property
    def running(self) -> tuple[str, ...]:
        """The names of the operations that are running, the first begun first."""
        return self._cell.value

    @property
    def data(self) -> Observable[bool]:
        """Whether any operation is running; replays what holds now."""
        return self._cell.data.map(_any).distinct_until_changed().pipe(guarded("tracker.data", self._report))

    @contextmanager
    def track(self, operation: str = "") -> Generator[None]:
        """Count the ``with`` block as a running operation, until it ends or raises.

        Args:
            operation: Its name, which :attr:`running` tells.
        """

        def end(running: tuple[str, ...]) -> tuple[str, ...]:
            place = running.index(operation)
            return running[:place] + running[place + 1 :]

        self._cell.change(lambda running: (*running, operation))
        try:
            yield
        finally:
            self._cell.change(end)


def _goes_back(entries: tuple[object, ...]) -> bool:
    return len(entries) > 1


def _any(running: tuple[str, ...]) -> bool:
    return bool(running)
