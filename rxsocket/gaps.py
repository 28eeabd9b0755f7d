"""Gaps: where a reconnect may have lost messages, and the messages of each connection as a stream of its own."""

from __future__ import annotations

from typing import TypeVar

from msgspec import Struct
from reactivex import Observable, abc
from reactivex.disposable import RefCountDisposable, SingleAssignmentDisposable
from reactivex.internal.utils import add_ref

from .states import CloseEvent, OpenEvent
from .subjects import Report, Subject, guarded

__all__ = ["Gap", "windowed"]

T = TypeVar("T")


class Gap(Struct, frozen=True):
    """A place among a session's messages where some may be missing: one connection ended, and another was opened.

    Attributes:
        closed: How the connection before it ended.
        opened: The connection after it.
        dropped: How many messages came before it, in a pause that held enough already, and were let go (see
            :class:`~rxsocket.HoldException`). How many the server sent meanwhile, nobody knows.
    """

    closed: CloseEvent
    opened: OpenEvent
    dropped: int = 0


def windowed(source: Observable[T | Gap], name: str, report: Report) -> Observable[Observable[T]]:
    """Return a stream of windows: one begins with the subscription, and with each gap one ends and another begins.

    Args:
        source: Items, with gaps among them. Its end is that of the last window, too.
        name: The stream's name, as a user would write it.
        report: Is called with the name and the exception when a subscriber raises.
    """

    def subscribe(
        observer: abc.ObserverBase[Observable[T]], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        # Who has a window has it to its end, also when no further ones are wanted.
        subscription = SingleAssignmentDisposable()
        shared = RefCountDisposable(subscription)
        window: Subject[T] = Subject(name, report)

        def begin() -> None:
            # Guarded as one, so that what ends its subscription, such as a scope, lets go of the share, too.
            observer.on_next(add_ref(window, shared).pipe(guarded(name, report)))

        def on_next(item: T | Gap) -> None:
            nonlocal window
            if isinstance(item, Gap):
                window.on_completed()
                window = Subject(name, report)
                begin()
            else:
                window.on_next(item)

        def on_error(error: Exception) -> None:
            window.on_error(error)
            observer.on_error(error)

        def on_completed() -> None:
            window.on_completed()
            observer.on_completed()

        begin()
        subscription.disposable = source.subscribe(on_next, on_error, on_completed, scheduler=scheduler)
        return shared

    stream: Observable[Observable[T]] = Observable(subscribe)
    return stream.pipe(guarded(name, report))
