"""A value that is looked at now and again, as a stream."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable

from .checks import MAX_SECONDS, check_number
from .deadlines import DEADLINES
from .subjects import SerialQueue

__all__ = ["sampled"]

T = TypeVar("T")


def sampled(
    sample: Callable[[], T], life: Observable[object], seconds: float, scheduler: abc.SchedulerBase | None
) -> Observable[T]:
    """Return a cold stream of samples: one at the subscription, then at equal intervals, and a last one at the end.

    Args:
        sample: Takes one. From any thread.
        life: A stream that completes at the end.
        seconds: The interval.
        scheduler: In whose time, and on whose thread; None for the deadlines' thread.

    Raises:
        TypeError: The interval is no number, or the scheduler none.
        ValueError: The interval is out of its range.
    """
    check_number("seconds", seconds, float, 0, MAX_SECONDS, above=True)
    if scheduler is not None and not isinstance(scheduler, abc.SchedulerBase):
        raise TypeError(f"scheduler is one of reactivex's, or None, not {type(scheduler).__name__}")
    now, at = _clock(scheduler)

    def subscribe(observer: abc.ObserverBase[T], _scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
        # The end comes on another thread than the samples.
        samples = SerialQueue()
        timer = SerialDisposable()

        def take() -> None:
            observer.on_next(sample())

        def take_last() -> None:
            timer.dispose()
            take()
            observer.on_completed()

        def wait(due: float) -> None:
            timer.disposable = at(due, partial(go_on, due))

        def go_on(due: float) -> None:
            samples.run(take)
            # Who was held up for longer than an interval does not make up for it.
            wait(max(due + seconds, now()))

        samples.run(take)
        wait(now() + seconds)
        return CompositeDisposable(timer, life.subscribe(on_completed=lambda: samples.run(take_last)))

    return Observable(subscribe)


def _clock(
    scheduler: abc.SchedulerBase | None,
) -> tuple[Callable[[], float], Callable[[float, Callable[[], None]], abc.DisposableBase]]:
    """Return what tells the time, and what has something done at one."""
    if scheduler is None:

        def at_deadline(due: float, action: Callable[[], None]) -> abc.DisposableBase:
            deadline = DEADLINES.add(max(0.0, due - time.monotonic()), action)
            return Disposable(lambda: DEADLINES.call_off(deadline))

        return time.monotonic, at_deadline

    def at(due: float, action: Callable[[], None]) -> abc.DisposableBase:
        def act(_scheduler: abc.SchedulerBase, _state: object = None) -> None:
            action()

        return scheduler.schedule_absolute(due, act)

    return lambda: scheduler.to_seconds(scheduler.now), at
