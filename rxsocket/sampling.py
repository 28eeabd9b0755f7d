"""A value that is looked at now and again, as a stream."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, SerialDisposable
from reactivex.scheduler import TimeoutScheduler

from .checks import MAX_SECONDS, check_number
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
        scheduler: In whose time, and on whose thread; None for that of who subscribes, or else RxPY's
            ``TimeoutScheduler``.

    Raises:
        TypeError: The interval is no number, or the scheduler none.
        ValueError: The interval is out of its range.
    """
    check_number("seconds", seconds, float, 0, MAX_SECONDS, above=True)
    if scheduler is not None and not isinstance(scheduler, abc.SchedulerBase):
        raise TypeError(f"scheduler is one of reactivex's, or None, not {type(scheduler).__name__}")

    def subscribe(observer: abc.ObserverBase[T], given: abc.SchedulerBase | None = None) -> abc.DisposableBase:
        clock = scheduler or given
        by = clock or TimeoutScheduler.singleton()
        # The end comes on another thread than the samples.
        samples = SerialQueue()
        timer = SerialDisposable()

        def now() -> float:
            return time.monotonic() if clock is None else clock.to_seconds(clock.now)

        def take() -> None:
            observer.on_next(sample())

        def take_last() -> None:
            take()
            observer.on_completed()

        def wait(due: float) -> None:
            def go_on(_scheduler: abc.SchedulerBase, _state: object = None) -> None:
                samples.run(take)
                if timer.is_disposed:
                    return
                # Who was held up for longer than an interval does not make up for it.
                wait(max(due + seconds, now()))

            timer.disposable = by.schedule_relative(max(0.0, due - now()), go_on)

        samples.run(take)
        wait(now() + seconds)
        return CompositeDisposable(timer, life.subscribe(on_completed=lambda: samples.run(take_last)))

    return Observable(subscribe)
