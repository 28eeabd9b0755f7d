"""Stores: a value that changes by handlers only, one at a time, and that is a stream. fritz2: ``Store``.

A store's values are never changed in place: a handler returns a new one. Whether it is a change is decided by ``==``; a
comparison that raises, or whose result has no truth value (as of numpy arrays), counts as a change.

Threads: any thread may call anything here. The updates of a root store and all its sub-stores form one queue. Whoever
finds it idle applies what is queued, in order, each update to the result of the one before, and holds no lock while it
does; handlers and subscribers run on that thread. So when the call of a handler returns, its update has been applied,
unless the call came from within another update, or while another thread was at work: then it is applied in its turn.

Errors: what a handler raises goes to the store's ``error_handler``, and the value stays. So does what a subscriber of
one of its streams raises, wrapped in a ``SubscriberException`` that names the stream.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from reactivex import Observable, abc

from .handlers import EmittingHandler, Handler, takes_action
from .history import History, Tracker
from .lenses import Lens, path, same
from .markup import plain, shown, table, values
from .resource import Resource
from .subjects import Subject, guarded
from .updates import Change, Updates

if TYPE_CHECKING:  # they stand above; sync_with alone speaks of them
    from .socket import Socket
    from .sync import Sync

__all__ = ["RootStore", "Store", "SubStore", "handler"]

T = TypeVar("T")
A = TypeVar("A")
E = TypeVar("E")
I = TypeVar("I")  # noqa: E741 an entity's id, as in Resource[T, I]
S = TypeVar("S")
X = TypeVar("X")

_log = logging.getLogger("rxsocket")
_numbers = itertools.count(1)


class Store(Generic[T]):
    """What a :class:`RootStore` and a :class:`SubStore` have in common.

    Attributes:
        id: Names the store; a sub-store's is its parent's, a dot, and its lens' id.
        path: Where its value lies in the root's: empty for the root; a sub-store's is made as its id is.
    """

    def __init__(self, updates: Updates[Any], lens: Lens[Any, T], id: str, path: str) -> None:  # noqa: A002
        self.id = id
        self.path = path
        self._updates = updates  # shared by a root and its sub-stores
        self._lens = lens  # from the root's value to this store's
        self._update: Handler[T] = self.update_from(None)

    def __repr__(self) -> str:
        value = self._picture()
        return f"<{self._title} {value if isinstance(value, _Gone) else shown(value)}>"

    def _repr_html_(self) -> str:
        value = self._picture()
        return table(self._title, [("value", str(value))] if isinstance(value, _Gone) else values(value))

    @property
    def _title(self) -> str:
        return f"{type(self).__name__} {plain(self.id)}"

    def _picture(self) -> object:
        """Return the current value, or why there is none; a lens may be the user's, and raise anything."""
        try:
            return self.current
        except Exception as error:  # noqa: BLE001 as said
            return _Gone(f"gone: {type(error).__name__}")

    @property
    def current(self) -> T:
        """The current value.

        Raises:
            LookupError: Of a sub-store, if what its lens points at is gone.
        """
        return self._lens.get(self._updates.states.value.value)

    @property
    def data(self) -> Observable[T]:
        """The values: the current one at once, then each new one; equal ones in a row are one. It never ends."""
        return self._changes(replay=True).map(_value).pipe(guarded(f"{self.id}.data", self._updates.report))

    @property
    def changes(self) -> Observable[Change[T]]:
        """Each new value from now on, with its origin. A sub-store's fires only when its own part has changed."""
        return self._changes(replay=False).pipe(guarded(f"{self.id}.changes", self._updates.report))

    @property
    def update(self) -> Handler[T]:
        """A handler that makes the action the new value."""
        return self._update

    def error_handler(self, error: Exception) -> None:
        """Handle what a handler or a subscriber raised, or what a stream ended with, on the thread where it happened.

        A sub-store hands it to its root's. Override it, or give the root store one; else it is logged, with its
        traceback, by the logger ``rxsocket``. What it raises itself is logged.
        """
        self._updates.error_handler(error)

    @overload
    def handle(self, fn: Callable[[T, A], T], *, origin: object = None) -> Handler[A]: ...
    @overload
    def handle(self, fn: Callable[[T], T], *, origin: object = None) -> Handler[object]: ...
    def handle(self, fn: Callable[..., T], *, origin: object = None) -> Handler[Any]:
        """Make a handler from a function that returns the store's next value.

        The function runs outside any lock, on the thread that applies the update. It may call this store's handlers and
        others': those updates come after this one. What it raises goes to :attr:`error_handler`, and the value stays.

        Args:
            fn: Takes the current value and the action; or only the current value, for a handler without an action.
            origin: What :attr:`changes` tell as the origin of the handler's changes.

        Raises:
            TypeError: ``fn`` takes neither one nor two arguments, or is a coroutine function.

        Example:
            >>> add = store.handle(lambda state, name: [*state, name])
            >>> add("Ada")
        """
        return Handler(self._runner(fn, takes_action(fn), (), origin), self._updates.fail)

    @overload
    def handle_and_emit(self, fn: Callable[[T, A, Callable[[E], None]], T]) -> EmittingHandler[A, E]: ...
    @overload
    def handle_and_emit(self, fn: Callable[[T, Callable[[E], None]], T]) -> EmittingHandler[object, E]: ...
    def handle_and_emit(self, fn: Callable[..., T]) -> EmittingHandler[Any, Any]:
        """Make a handler that also emits, from a function that returns the store's next value.

        What is emitted is delivered after the update, so that subscribers find the new value in the store, in order
        and outside any lock. What was emitted before the function raised is delivered too.

        Args:
            fn: Takes the current value, the action and a function that emits; or the first and the last.

        Raises:
            TypeError: ``fn`` takes neither two nor three arguments, or is a coroutine function.

        Example:
            >>> def save(state: Person, name: str, emit: Callable[[str], None]) -> Person:
            ...     emit(f"{name} saved")
            ...     return Person(name, state.age)
            >>> saved = store.handle_and_emit(save)
            >>> saved.subscribe(print)
        """
        emitted: Subject[Any] = Subject(f"{self.id}.{getattr(fn, '__name__', 'handler')}", self._updates.report)

        def emit(value: object) -> None:
            self._updates.queue.run(partial(emitted.on_next, value))

        run = self._runner(fn, takes_action(fn, "emit"), (emit,), None)
        return EmittingHandler(run, self._updates.fail, emitted)

    def update_from(self, origin: object) -> Handler[T]:
        """Return a handler like :attr:`update`, whose changes carry an origin.

        The root, and all sub-stores whose part it changes, tell the origin in their :attr:`changes`: whoever made the
        change can so leave out the echo of it, without comparing values.

        Args:
            origin: Anything; compare it by ``is``.
        """
        return self.handle(_replace, origin=origin)

    def after_updates(self, action: Callable[[], None]) -> None:
        """Have something done in the store's queue, behind the updates that wait there; at once, if there are none.

        Args:
            action: What to do, on the thread that applies the updates. It must not raise.
        """
        self._updates.queue.run(action)

    @overload
    def sub(self, part: Lens[T, X]) -> SubStore[X]: ...
    @overload
    def sub(self, part: Callable[[T], X]) -> SubStore[X]: ...
    def sub(self, part: Lens[T, X] | Callable[[T], X]) -> SubStore[X]:
        """Return the store of a part of this one's value. fritz2: ``map(lens)``.

        It holds nothing: reading it reads the root, and updating it updates the root. While what it points at is gone
        (an element was removed, an optional parent is None), its streams are silent, reading :attr:`current` raises
        ``LookupError``, and updating it hands that error to :attr:`error_handler`. If it comes back, they go on.

        Args:
            part: A lens, or what :func:`lenses.path` makes one of: a function such as ``lambda p: p.address.city``.

        Raises:
            TypeError: The function does something else than access attributes and ``[index or key]`` items.
        """
        lens: Lens[T, X] = part if isinstance(part, Lens) else path(part)
        return SubStore(self._updates, self._lens + lens, _join(self.id, lens.id), _join(self.path, lens.id))

    def sync_by(self, handler: Handler[T]) -> abc.DisposableBase:
        """Call a handler at each new value, from now on. fritz2: ``syncBy``.

        Returns:
            Dispose it to stop.
        """
        return self.changes.map(_value).subscribe(handler)

    def history(self, capacity: int = 0, initial: Iterable[T] = (), *, synced: bool = True) -> History[T]:
        """Return a history of this store's values.

        Args:
            capacity: How many entries are kept at most; 0 for no limit.
            initial: The entries to begin with, the oldest first.
            synced: Whether it gets the current value and each new one by itself, until it is disposed of.

        Raises:
            ValueError: The capacity is negative, or less than there are initial entries.
        """
        history = History(self._updates.report, capacity, initial)
        if synced:
            history.follow(self.data)
        return history

    def tracker(self) -> Tracker:
        """Return a tracker, which tells whether operations are running."""
        return Tracker(self._updates.report)

    @overload
    def sync_with(self: Store[list[E]], socket: Socket[Any], resource: Resource[E, I]) -> Sync: ...
    @overload
    def sync_with(self: Store[E], socket: Socket[Any], resource: Resource[E, I]) -> Sync: ...
    def sync_with(self, socket: Socket[Any], resource: Resource[Any, Any]) -> Sync:
        """Keep this store and a server the same; see :func:`rxsocket.sync.sync_with`. fritz2: ``syncWith``."""
        # Late, since sync stands above this module: it is where stores meet sockets. The method is fritz2's spelling.
        from .sync import sync_with  # noqa: PLC0415

        return sync_with(self, socket, resource)

    def _runner(
        self,
        fn: Callable[..., T],
        with_action: bool,  # noqa: FBT001 of two methods here
        more: tuple[object, ...],
        origin: object,
    ) -> Callable[..., None]:
        name = f"the handler {getattr(getattr(fn, 'func', fn), '__name__', '')!r} of {self.id}"

        def run(action: object = _MISSING) -> None:
            if action is _MISSING:
                raise TypeError(f"{name} takes an action, and was called without one")
            self._enqueue(lambda state: fn(state, action, *more), origin)

        def run_without(_: object = None) -> None:
            self._enqueue(lambda state: fn(state, *more), origin)

        return run if with_action else run_without

    def _enqueue(self, update: Callable[[T], T], origin: object) -> None:
        lens = self._lens
        self._updates.update(lambda whole: lens.set(whole, update(lens.get(whole))), origin)

    def _changes(self, *, replay: bool) -> Observable[Change[T]]:
        """Return this store's part of the root's states, from the next or from the current one on."""

        def subscribe(
            observer: abc.ObserverBase[Change[T]], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            last: object = _GONE
            wanted = replay  # whether the next state is: the first is the current one

            def on_next(state: Change[Any]) -> None:
                nonlocal last, wanted
                tell, wanted = wanted, True
                try:
                    value = self._lens.get(state.value)
                except LookupError:  # gone: last stays, so that nothing is told if it comes back as it was
                    return
                except Exception as error:  # noqa: BLE001 a lens may be the user's
                    self._updates.fail(error)
                    return
                # The root has compared its own already.
                new = isinstance(self, RootStore) or not same(last, value)
                last = value
                if tell and new:
                    observer.on_next(Change(value, state.origin))

            return self._updates.states.subscribe(on_next, scheduler=scheduler)

        return Observable(subscribe)


class RootStore(Store[T]):
    """Holds a value, which handlers change. fritz2: ``RootStore``.

    Use it as it is, or derive from it and give it handlers, by the decorator :func:`handler` or by :meth:`handle`.

    Args:
        initial: The first current value.
        id: Names the store, in errors too; without one its class' name and a number do.
        error_handler: See :meth:`Store.error_handler`.

    Example:
        >>> class Counter(RootStore[int]):
        ...     @handler
        ...     def add(self, state: int, amount: int) -> int:
        ...         return state + amount
        >>> counter = Counter(0)
        >>> counter.add(2)
        >>> counter.current
        2
    """

    def __init__(
        self,
        initial: T,
        *,
        id: str | None = None,  # noqa: A002 it is what fritz2 calls it
        error_handler: Callable[[Exception], None] | None = None,
    ) -> None:
        name = id or f"{type(self).__name__}-{next(_numbers)}"
        self._error_handler = error_handler
        whole: Lens[T, T] = Lens("", lambda value: value, lambda _, value: value)
        super().__init__(Updates(initial, name, self.error_handler), whole, name, "")

    def error_handler(self, error: Exception) -> None:  # noqa: D102 the base's docstring
        if self._error_handler is not None:
            self._error_handler(error)
        else:
            _log.error("in %s: %s", self.id, error, exc_info=error)


class SubStore(Store[T]):
    """The store of a part of a root store's value; :meth:`Store.sub` makes one. fritz2: ``SubStore``."""


class _HandlerMethod(Generic[T, A]):
    """What :func:`handler` puts in the place of a method."""

    def __init__(self, method: Callable[..., T]) -> None:
        self._method = method
        self.__doc__ = method.__doc__
        # Where a store keeps its handler. Not the method's name: super() reaches the one that is overridden.
        self._key = f"_handler {id(self)}"

    @overload
    def __get__(self, store: None, owner: type[Any]) -> Callable[..., T]: ...
    @overload
    def __get__(self, store: Store[Any], owner: type[Any]) -> Handler[A]: ...
    def __get__(self, store: Store[Any] | None, owner: type[Any]) -> Callable[..., T] | Handler[A]:
        if store is None:
            return self._method
        made = vars(store)
        # If two threads make one, both take the one that came first.
        found: Handler[A] = made.get(self._key) or made.setdefault(
            self._key, store.handle(partial(self._method, store))
        )
        return found


@overload
def handler(method: Callable[[S, T, A], T]) -> _HandlerMethod[T, A]: ...
@overload
def handler(method: Callable[[S, T], T]) -> _HandlerMethod[T, object]: ...
def handler(method: Callable[..., T]) -> _HandlerMethod[T, Any]:
    """Make a method of a store a handler: ``store.method`` is a :class:`Handler`, the same one at each access.

    The method takes the current value and the action, or only the current value, and returns the next value. On the
    class it stays a plain function: an override reaches the one it overrides by ``Base.method(self, state, action)``,
    while ``super().method(action)`` queues another update.

    Example:
        >>> class PersonStore(RootStore[Person]):
        ...     @handler
        ...     def rename(self, state: Person, name: str) -> Person:
        ...         return Person(name, state.age)
        >>> names.subscribe(PersonStore(Person("", 0)).rename)
    """
    return _HandlerMethod(method)


_MISSING = object()  # no action
_GONE = object()  # no value yet: equal to none


class _Gone(str):
    """Stands for a value that a sub-store has none of."""

    __slots__ = ()


def _value(change: Change[T]) -> T:
    return change.value


def _replace(_: T, value: T) -> T:
    return value


def _join(parent: str, child: str) -> str:
    return f"{parent}.{child}" if child else parent
