"""Handlers: what updates a store when it is called, or at each value of a stream. fritz2: ``Handler``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Generic, TypeVar, overload

from reactivex import Observable, abc

__all__ = ["EmittingHandler", "Handler", "handled_by", "takes_action"]

A = TypeVar("A")
A_contra = TypeVar("A_contra", contravariant=True)
E_co = TypeVar("E_co", covariant=True)


class Handler(abc.ObserverBase[A_contra]):
    """Updates a store at each action: call it with one, or subscribe it to a stream of them. fritz2: ``Handler``.

    :meth:`Store.handle` makes one. A handler that needs no action is a ``Handler[object]``: it is called with nothing,
    or subscribed to any stream. A stream's error goes to the store's ``error_handler``; its completion does nothing.

    Example:
        >>> store.update(Person("Ada", 36))
        >>> people.subscribe(store.update)
    """

    def __init__(self, run: Callable[..., None], fail: Callable[[Exception], None]) -> None:
        super().__init__()
        self._run = run
        self._fail = fail

    @overload
    def __call__(self: Handler[object]) -> None: ...
    @overload
    def __call__(self, action: A_contra, /) -> None: ...
    def __call__(self, *action: object) -> None:
        """Queue the update, and apply what is queued unless that is being done already.

        Raises:
            TypeError: An action is missing, or there is more than one.
        """
        if len(action) > 1:
            raise TypeError(f"a handler takes one action, not {len(action)}")
        self._run(*action)

    def on_next(self, value: A_contra) -> None:
        """Handle an action of the stream."""
        self._run(value)

    def on_error(self, error: Exception) -> None:
        """Hand the stream's error to the store's error_handler."""
        self._fail(error)

    def on_completed(self) -> None:
        """Do nothing: other streams, and calls, may go on."""


class EmittingHandler(Handler[A_contra], Observable[E_co], Generic[A_contra, E_co]):
    """A handler that also emits values of its own, and so is a stream of them. fritz2: ``EmittingHandler``.

    :meth:`Store.handle_and_emit` makes one.
    """

    def __init__(self, run: Callable[..., None], fail: Callable[[Exception], None], emitted: Observable[E_co]) -> None:
        super().__init__(run, fail)
        self._emitted = emitted

    def _subscribe_core(
        self, observer: abc.ObserverBase[E_co], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        return self._emitted.subscribe(observer, scheduler=scheduler)


def handled_by(stream: Observable[A], handler: Handler[A]) -> abc.DisposableBase:
    """Handle each value of a stream as an action. fritz2: ``handledBy``.

    Returns:
        Dispose it to stop.
    """
    return stream.subscribe(handler)


def takes_action(fn: Callable[..., object], *more: str) -> bool:
    """Tell whether a handler's function takes an action after the state, and before what is passed to it anyway."""
    with_action, without = ("state", "action", *more), ("state", *more)
    signs = f"({', '.join(with_action)}) or ({', '.join(without)})"
    if inspect.iscoroutinefunction(fn):
        raise TypeError(f"a handler returns the next state: make {fn!r} a plain function {signs}, not a coroutine's")
    try:
        signature = inspect.signature(fn)
    except ValueError:
        raise TypeError(f"can't tell how many arguments {fn!r} takes: wrap it in a function {signs}") from None
    for arguments in (with_action, without):
        try:
            signature.bind(*arguments)
        except TypeError:
            continue
        return arguments is with_action
    raise TypeError(f"a handler takes {signs}, but {fn!r} takes {signature}")
