"""Scopes: what was begun in one ends with it, such as what a notebook's cell has subscribed to when it is run again.

Which is the current one, a context variable says: so code of the scope has it, with the coroutines that it starts, and
other threads have none. What is delivered to a subscriber runs in the scope that it has subscribed in, whichever thread
delivers it; so what it subscribes to meanwhile belongs there, too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import TypeVar, cast

from reactivex import abc
from reactivex.disposable import SingleAssignmentDisposable
from reactivex.internal import default_error, noop

__all__ = ["Member", "Scope", "current", "enter", "inside", "owned"]

T = TypeVar("T")


class Scope:
    """Owns things that end together. Any thread may use it."""

    def __init__(self) -> None:
        # Re-entrant, since what is let go under it may have a finalizer, which disposes of another.
        self._lock = threading.RLock()
        self._is_over = False  # written once, under _lock
        # Under _lock: how each ends, and what waits for that; in the order in which they came.
        self._owned: dict[object, tuple[Callable[[], object], Callable[[], object]]] = {}

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or is about to."""
        return self._is_over

    def __len__(self) -> int:
        """How much it owns."""
        return len(self._owned)

    def add(self, end: Callable[[], object], wait: Callable[[], object] = noop) -> Callable[[], None]:
        """Own something. If the scope has ended already, so does this, at once.

        Args:
            end: Ends it, and does not wait long.
            wait: Waits until it has ended, for a bounded time; is called when all others are told to end, too.

        Returns:
            A function that takes it out again. It may be called at any time, and more than once.
        """
        key = object()
        with self._lock:
            if not self._is_over:
                self._owned[key] = end, wait
                return lambda: self._release(key)
        end()
        return noop

    def _release(self, key: object) -> None:
        with self._lock:
            self._owned.pop(key, None)

    def end(self) -> None:
        """End all that it owns, the newest first, and return when it has ended; a second time, it does nothing."""
        with self._lock:
            self._is_over = True
            owned, self._owned = self._owned, {}
        with ExitStack() as stack:  # each is done, the last first, whatever one raises
            for _, wait in owned.values():
                stack.callback(wait)
            for end, _ in owned.values():
                stack.callback(end)


_current: ContextVar[Scope | None] = ContextVar("rxsocket scope", default=None)

current = _current.get
"""Returns the current scope; None if there is none."""


def enter(scope: Scope | None) -> None:
    """Make a scope the current one, until another is, in this thread or task; None for none."""
    _current.set(scope)


@contextmanager
def inside(scope: Scope | None) -> Generator[None]:
    """Make a scope the current one in the block; None for none."""
    token = _current.set(scope)
    try:
        yield
    finally:
        _current.reset(token)


def owned(end: Callable[[], object], wait: Callable[[], object] = noop) -> Callable[[], None]:
    """Have the current scope own something, if there is one; as :meth:`Scope.add`."""
    scope = current()
    return noop if scope is None else scope.add(end, wait)


class Member(abc.ObserverBase[T], abc.DisposableBase):
    """A subscriber that belongs to a scope, and runs in it; as a disposable, its subscription.

    Args:
        scope: To which it belongs, until it is disposed of, or the stream ends.
        on_next: As ``subscribe`` takes it: a function, or an observer; then the others do not count.
        on_error: Likewise.
        on_completed: Likewise.
    """

    __slots__ = ("_on_completed", "_on_error", "_on_next", "_release", "_scope", "_subscription")

    def __init__(
        self,
        scope: Scope,
        on_next: abc.ObserverBase[T] | abc.OnNext[T] | None,
        on_error: abc.OnError | None,
        on_completed: abc.OnCompleted | None,
    ) -> None:
        if hasattr(on_next, "on_next"):  # as reactivex tells them
            observer = cast("abc.ObserverBase[T]", on_next)
            self._on_next: Callable[[T], object] = observer.on_next
            self._on_error: Callable[[Exception], object] = observer.on_error
            self._on_completed: Callable[[], object] = observer.on_completed
        else:
            self._on_next = cast("abc.OnNext[T]", on_next or noop)
            self._on_error = on_error or default_error
            self._on_completed = on_completed or noop
        self._scope = scope
        self._subscription = SingleAssignmentDisposable()
        self._release = scope.add(self._subscription.dispose)

    def subscribe(self, subscribe: Callable[..., abc.DisposableBase], scheduler: abc.SchedulerBase | None) -> None:
        """Subscribe. What the stream subscribes to for that is its own, and others may share it."""
        if self._scope.is_over:
            return
        token = _current.set(None)
        try:
            self._subscription.disposable = subscribe(self, scheduler=scheduler)
        finally:
            _current.reset(token)

    def dispose(self) -> None:
        """Unsubscribe, and leave the scope."""
        self._subscription.dispose()
        self._release()

    def on_next(self, value: T) -> None:
        """Hand an item on, in the scope."""
        token = _current.set(self._scope)
        try:
            self._on_next(value)
        finally:
            _current.reset(token)

    def on_error(self, error: Exception) -> None:
        """Leave the scope, and hand the error on in it."""
        self._release()
        with inside(self._scope):
            self._on_error(error)

    def on_completed(self) -> None:
        """Leave the scope, and hand the end on in it."""
        self._release()
        with inside(self._scope):
            self._on_completed()
