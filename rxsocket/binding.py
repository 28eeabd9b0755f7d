"""A widget's trait and a store kept the same."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

from reactivex import abc

from .markup import shown
from .scopes import inside, owned
from .store import Store

__all__ = ["bind"]

T = TypeVar("T")


class HasTraits(Protocol):
    """What has traits: a ``traitlets.HasTraits``, as far as it is needed here."""

    def has_trait(self, name: str) -> bool:
        """Whether it has a trait of that name."""
        ...

    def trait_names(self) -> Iterable[str]:
        """The names of all."""
        ...

    def observe(self, handler: Callable[..., Any], names: str) -> None:
        """Call a function at each change of a trait."""
        ...

    def unobserve(self, handler: Callable[..., Any], names: str) -> None:
        """Call it no more."""
        ...


def bind(widget: HasTraits, trait: str, store: Store[T]) -> abc.DisposableBase:
    """Keep a trait of a widget and a store the same, both ways, from now on; at first the store's value counts.

    Whichever threads move the widget and update the store, both have the same value when they have come to rest, and
    none goes back to an older one of the other. The store gets each move; the widget may leave out values that it is
    too late for. What the trait makes of a value, such as a slider that ends below it, the store does not take over.

    Args:
        widget: One of ipywidgets, or anything that has traits (``traitlets.HasTraits``).
        trait: The trait's name, such as ``"value"``.
        store: A root store or a sub-store; while a sub-store's part is gone, the widget stays as it is.

    Returns:
        Dispose it to part them; a notebook's cell that is run again does so by itself.

    Raises:
        TypeError: The widget has no traits, or the store is none.
        ValueError: There is no such trait, or it does not take the store's value. Of a later value that is told to the
            store's ``error_handler``.

    Example:
        >>> bind(ipywidgets.IntSlider(), "value", store.sub(lambda settings: settings.volume))
    """
    if not callable(getattr(widget, "observe", None)) or not callable(getattr(widget, "has_trait", None)):
        raise TypeError(f"bind takes a widget, which has traits, not {type(widget).__name__}")
    if not isinstance(store, Store):
        raise TypeError(f"bind takes a RootStore or a SubStore, not {type(store).__name__}")
    if not widget.has_trait(trait):
        names = ", ".join(sorted(name for name in widget.trait_names() if not name.startswith("_")))
        raise ValueError(f"{type(widget).__name__} has no trait {trait!r}; it has {names}")
    return _Binding(widget, trait, store)


class _Binding(abc.DisposableBase):
    """A trait and a store that are kept the same."""

    def __init__(self, widget: HasTraits, trait: str, store: Store[Any]) -> None:
        self._widget = widget
        self._trait = trait
        self._store = store
        self._lock = threading.Lock()
        self._waiting = 0  # moves that the store has not applied yet; under _lock
        self._is_over = False  # written once, under _lock
        # The threads that set the trait just now, each added and removed by itself. It hears of that itself, at once.
        self._setting: set[int] = set()
        self._show_current()
        widget.observe(self._moved, names=trait)
        with inside(None):  # it ends with this, and this with the scope
            self._subscription = store.data.subscribe(self._updated)
        self._release = owned(self.dispose)

    def dispose(self) -> None:
        """Part them. From any thread, any number of times."""
        with self._lock:
            was_over, self._is_over = self._is_over, True
        if was_over:
            return
        self._widget.unobserve(self._moved, names=self._trait)
        self._subscription.dispose()
        self._release()

    def _moved(self, change: dict[str, Any]) -> None:
        """Hand a move to the store. On whichever thread sets the trait."""
        if threading.get_ident() in self._setting:
            return
        with self._lock:
            self._waiting += 1
        self._store.update(change["new"])
        self._store.after_updates(self._settled)

    def _settled(self) -> None:
        """Have the widget show what the store has made of the last move. In the store's queue, behind the update."""
        with self._lock:
            self._waiting -= 1
        if self._is_free():
            try:
                self._show_current()
            except ValueError as error:
                self._store.error_handler(error)

    def _updated(self, value: object) -> None:
        """Have the widget show a value of the store; not if a move is behind it, which the store is about to take."""
        if self._is_free():
            self._show(value)

    def _is_free(self) -> bool:
        return not self._waiting and not self._is_over

    def _show_current(self) -> None:
        try:
            current = self._store.current
        except LookupError:
            return  # what the store is of is gone
        self._show(current)

    def _show(self, value: object) -> None:
        thread = threading.get_ident()
        is_inner = thread in self._setting
        self._setting.add(thread)
        try:
            setattr(self._widget, self._trait, value)
        except Exception as error:
            trait = f"{type(self._widget).__name__}.{self._trait}"
            raise ValueError(f"{self._store.id} has {shown(value)}, which {trait} does not take: {error}") from error
        finally:
            if not is_inner:
                self._setting.discard(thread)
