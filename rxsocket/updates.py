"""The value of a store, and the one queue of its updates."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from msgspec import Struct

from .errors import SubscriberException
from .lenses import same
from .subjects import BehaviorSubject, SerialQueue

__all__ = ["Change", "Updates"]

T = TypeVar("T")

_log = logging.getLogger("rxsocket")


class Change(Struct, Generic[T], frozen=True):
    """A new value of a store, and where it came from.

    Attributes:
        value: The new value.
        origin: What :meth:`~rxsocket.Store.update_from` or :meth:`~rxsocket.Store.handle` was given; None if nothing.
    """

    value: T
    origin: object = None


class Updates(Generic[T]):
    """The value that a root store and all its sub-stores show, and the queue of its updates."""

    def __init__(self, initial: T, name: str, error_handler: Callable[[Exception], None]) -> None:
        self.name = name
        self.error_handler = error_handler
        self.queue = SerialQueue()
        # Written by _apply only, which runs in the queue only.
        self.states: BehaviorSubject[Change[T]] = BehaviorSubject(Change(initial), f"{name}.data", self.report)

    def update(self, step: Callable[[T], T], origin: object) -> None:
        """Apply a step to the value, in its turn. From any thread."""
        self.queue.run(partial(self._apply, step, origin))

    def fail(self, error: Exception) -> None:
        """Give an error to the handler of errors."""
        try:
            self.error_handler(error)
        except Exception:  # noqa: BLE001 it is the user's
            _log.exception("the error_handler of %s raised, when it was given %r", self.name, error)

    def report(self, stream: str, error: BaseException) -> None:
        """Give what a subscriber of a stream raised to the handler of errors."""
        wrapped = SubscriberException(stream)
        wrapped.__cause__ = error
        self.fail(wrapped)

    def _apply(self, step: Callable[[T], T], origin: object) -> None:
        current = self.states.value.value
        try:
            value = step(current)
        except Exception as error:  # noqa: BLE001 a handler may raise anything
            self.fail(error)
            return
        if not same(current, value):
            self.states.on_next(Change(value, origin))
