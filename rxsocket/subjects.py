"""Hot subjects that deliver fast, and that guard each observer from the others.

They differ from reactivex's own in five ways. An observer that raises harms no other and not the producer: its
exception is reported. Delivering takes no lock and copies nothing. A newcomer to a :class:`BehaviorSubject` is called
outside of every lock, and sees each value once and in order, whichever threads are at work. What a BehaviorSubject
held last is replayed after its end too. And they can be awaited, whichever thread delivers.

Producers must not call ``on_next`` from two threads at once (the Rx contract): a :class:`SerialQueue` gives that.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from .loops import last
from .scopes import Member, current, owned

__all__ = ["BehaviorSubject", "Report", "SerialQueue", "Stream", "Subject", "guarded", "told"]

T = TypeVar("T")

Report = Callable[[str, BaseException], None]
"""Takes the name of a stream, and what a subscriber of it raised."""


class SerialQueue:
    """Runs actions one at a time and in order, on whichever thread finds it idle, and never under a lock.

    An action that is put while another runs (from that action itself, too) runs after it, on the same thread or on one
    that comes just then. So two queues whose actions use each other can neither deadlock nor overtake.
    """

    __slots__ = ("_actions", "_lock", "_running")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._actions: deque[Callable[[], None]] = deque()  # under _lock
        self._running: Callable[[], None] | None = None  # set under _lock; ended by the thread that runs it

    def __bool__(self) -> bool:
        """Whether an action waits."""
        return bool(self._actions)

    def put(self, action: Callable[[], None]) -> None:
        """Append an action for the next :meth:`drain`. May be called under the caller's own lock."""
        with self._lock:
            self._actions.append(action)

    def drain(self) -> None:
        """Run what is queued, unless another call, on this thread or another, is at it already.

        Raises:
            BaseException: What an action raises. The actions after it stay queued for the next call.
        """
        while True:
            action = None
            try:
                with self._lock:
                    if self._running is not None or not self._actions:
                        return
                    self._running = action = self._actions.popleft()
                action()
            finally:
                # Wherever Ctrl-C came in between, the queue does not stay at an action that nobody runs.
                if action is not None and self._running is action:
                    self._running = None

    def run(self, action: Callable[[], None]) -> None:
        """Append an action and :meth:`drain`."""
        self.put(action)
        self.drain()


def told(error: BaseException, name: str, report: Report) -> None:
    """Report what a subscriber raised; but the main thread's Ctrl-C, and its sys.exit, go on."""
    if not isinstance(error, Exception) and threading.current_thread() is threading.main_thread():
        raise error
    report(name, error)


class Stream(Observable[T]):
    """An Observable whose subscriptions belong to the current scope, and whose last item can be awaited.

    That is so whichever thread delivers it; reactivex's own resume on none.
    """

    def subscribe(  # noqa: D102 the base's docstring
        self,
        on_next: abc.ObserverBase[T] | abc.OnNext[T] | None = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        scope = current()
        if scope is None:
            return super().subscribe(on_next, on_error, on_completed, scheduler=scheduler)
        member = Member(scope, on_next, on_error, on_completed)
        member.subscribe(super().subscribe, scheduler)
        return member

    def __await__(self) -> Generator[Any, None, T]:
        return last(self, owned).__await__()


class _Guard(abc.ObserverBase[T]):
    """An observer whose exceptions are reported, not raised."""

    __slots__ = ("_name", "_observer", "_report")

    def __init__(self, observer: abc.ObserverBase[T], name: str, report: Report) -> None:
        self._observer = observer
        self._name = name
        self._report = report

    def on_next(self, value: T) -> None:
        try:
            self._observer.on_next(value)
        except BaseException as error:  # noqa: BLE001 a subscriber may raise anything
            told(error, self._name, self._report)

    def on_error(self, error: Exception) -> None:
        try:
            self._observer.on_error(error)
        except BaseException as raised:  # noqa: BLE001 a subscriber may raise anything
            told(raised, self._name, self._report)

    def on_completed(self) -> None:
        try:
            self._observer.on_completed()
        except BaseException as error:  # noqa: BLE001 a subscriber may raise anything
            told(error, self._name, self._report)


def guarded(name: str, report: Report) -> Callable[[Observable[T]], Stream[T]]:
    """Make the last operator of a derived stream, so that what its subscribers raise is reported under its name.

    Args:
        name: The stream's name, as a user would write it.
        report: Is called with the name and the exception, on the thread that delivered.

    Returns:
        An operator for :meth:`reactivex.Observable.pipe`.
    """

    def operator(source: Observable[T]) -> Stream[T]:
        def subscribe(observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
            return source.subscribe(_Guard(observer, name, report), scheduler=scheduler)

        return Stream(subscribe)

    return operator


class Subject(Stream[T], abc.SubjectBase[T]):
    """A hot stream: what ``on_next`` is given goes to those who are subscribed at that moment.

    Args:
        name: The stream's name, as a user would write it.
        report: Is called with the name and the exception when an observer raises, on the thread that delivered.
    """

    def __init__(self, name: str, report: Report) -> None:
        super().__init__()
        self.name = name
        self._report = report
        self._lock = threading.Lock()
        # Replaced under _lock, never changed in place: who delivers iterates, without a lock, over what it found.
        self.observers: tuple[abc.ObserverBase[T], ...] = ()
        # How the stream ended, for who comes later. Written once, under _lock.
        self._end: Callable[[abc.ObserverBase[T]], None] | None = None

    def _subscribe_core(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        with self._lock:
            end = self._end
            if end is None:
                self.observers = (*self.observers, observer)
        if end is not None:
            end(_Guard(observer, self.name, self._report))
            return Disposable()
        return Disposable(partial(self._remove, observer))

    def _remove(self, observer: abc.ObserverBase[T]) -> None:
        with self._lock:
            self.observers = tuple(other for other in self.observers if other is not observer)

    def on_next(self, value: T) -> None:
        """Deliver a value to every observer, on this thread."""
        for observer in self.observers:
            try:
                observer.on_next(value)
            except BaseException as error:  # noqa: BLE001 a subscriber may raise anything, and is one of many
                told(error, self.name, self._report)

    def on_error(self, error: Exception) -> None:
        """End the stream with an error, for those subscribed now and later. A second end does nothing."""
        self._finish(lambda observer: observer.on_error(error))

    def fail_subscribers(self, error: Exception) -> None:
        """End the stream with an error for those subscribed now; for who comes later it goes on."""
        with self._lock:
            observers, self.observers = self.observers, ()
        for observer in observers:
            _Guard(observer, self.name, self._report).on_error(error)

    def on_completed(self) -> None:
        """Complete the stream, for those subscribed now and later. A second end does nothing."""
        self._finish(lambda observer: observer.on_completed())

    def _finish(self, end: Callable[[abc.ObserverBase[T]], None]) -> None:
        with self._lock:
            if self._end is not None:
                return
            self._end = end
            observers, self.observers = self.observers, ()
        for observer in observers:
            end(_Guard(observer, self.name, self._report))


class _Newcomer(abc.ObserverBase[T]):
    """Keeps what a subject delivers behind the replay of the current value, which another thread may be at."""

    __slots__ = ("_observer", "_queue")

    def __init__(self, observer: abc.ObserverBase[T]) -> None:
        self._observer = observer
        self._queue = SerialQueue()

    def on_next(self, value: T) -> None:
        self._queue.run(partial(self._observer.on_next, value))

    def on_error(self, error: Exception) -> None:
        self._queue.run(partial(self._observer.on_error, error))

    def on_completed(self) -> None:
        self._queue.run(self._observer.on_completed)

    def expect(self, value: T) -> None:
        self._queue.put(partial(self._observer.on_next, value))

    def catch_up(self) -> None:
        self._queue.drain()


class BehaviorSubject(Subject[T]):
    """A stream with a current value, which a newcomer gets at once, on its own thread.

    Args:
        value: The first current value.
        name: The stream's name, as a user would write it.
        report: Is called with the name and the exception when an observer raises, on the thread that delivered.
    """

    def __init__(self, value: T, name: str, report: Report) -> None:
        super().__init__(name, report)
        self._value = value  # written under _lock, together with the choice of who is told

    @property
    def value(self) -> T:
        """The current value; after the end, the last one."""
        return self._value

    def _subscribe_core(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        newcomer = _Newcomer(_Guard(observer, self.name, self._report))
        with self._lock:
            newcomer.expect(self._value)
            end = self._end
            if end is None:
                self.observers = (*self.observers, newcomer)
        newcomer.catch_up()
        if end is not None:
            end(newcomer)
            return Disposable()
        return Disposable(partial(self._remove, newcomer))

    def on_next(self, value: T) -> None:
        """Make a value the current one, and deliver it to every observer, on this thread."""
        with self._lock:
            if self._end is not None:
                return
            self._value = value
            observers = self.observers
        for observer in observers:
            observer.on_next(value)
