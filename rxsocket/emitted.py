"""What a stream emits while a block runs, held to what it should, for tests."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Generic, Self, TypeVar

from reactivex import Observable, abc

from .checks import MAX_SECONDS, check_number

__all__ = ["Emitted", "emits"]

BEFORE, AFTER = 5, 15  # items that are shown about a place

T = TypeVar("T")


class Emitted(Generic[T]):
    """What a stream emits, as :func:`emits` makes it: from the beginning of a ``with`` block on, once.

    Attributes:
        items: What has come, in order.
    """

    def __init__(
        self,
        stream: Observable[T],
        expected: tuple[T, ...],
        *,
        completes: bool,
        error: type[Exception] | None,
        any_order: bool,
        others: bool,
        timeout: float,
        quiet: float,
    ) -> None:
        self._stream = stream
        self._expected = expected
        self._completes = completes
        self._error = error
        self._any_order = any_order
        self._others = others
        self._timeout = timeout
        self._quiet = quiet
        self._subscription: abc.DisposableBase | None = None
        self._changed = threading.Condition()
        self.items: list[T] = []  # under _changed
        self._end: Exception | bool = False  # under _changed: what it failed with, or whether it has completed
        # The block's thread alone: comparing is the items' own code, which may do what it likes.
        self._judged = 0
        self._missing = list(expected)
        self._unexpected: list[T] = []
        self._has_waited = False  # for all of the timeout

    def __repr__(self) -> str:
        return f"<Emitted {len(self.items)} items, and {len(self._expected)} expected>"

    def __enter__(self) -> Self:
        """Subscribe."""
        if self._subscription is not None:
            raise RuntimeError("what is emitted is held to one block; make another with emits(...)")
        self._subscription = self._stream.subscribe(self._take, self._finish, self._finish)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wait for what is missing, and for the quiet, and unsubscribe. If the block raised, nothing is waited for.

        Raises:
            AssertionError: Something else was emitted, or something is missing after the timeout, or when it has ended.
        """
        __tracebackhide__ = True
        try:
            if error is None:
                self._wait()
        finally:
            if self._subscription is not None:
                self._subscription.dispose()
        if error is None and not self._is_fulfilled:
            raise AssertionError(self._failure())

    async def __aenter__(self) -> Self:
        """Subscribe, on the thread of the loop."""
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Do as at the end of a ``with`` block, while the loop goes on.

        Raises:
            AssertionError: As :meth:`__exit__` raises it.
        """
        __tracebackhide__ = True
        await asyncio.to_thread(self.__exit__, kind, error, traceback)

    def _take(self, item: T) -> None:
        with self._changed:
            self.items.append(item)
            self._changed.notify()

    def _finish(self, error: Exception | None = None) -> None:
        with self._changed:
            self._end = True if error is None else error
            self._changed.notify()

    def _wait(self) -> None:
        begin = time.monotonic()
        deadline = begin + self._timeout
        has_all = False
        while True:
            with self._changed:
                new, end = self.items[self._judged :], self._end
            for item in new:
                self._judge(item)
            self._judged += len(new)
            now = time.monotonic()
            self._has_waited = now >= begin + self._timeout
            if self._is_fulfilled and not has_all:
                has_all = True
                deadline = now + self._quiet
            if (self._unexpected and not self._others) or end is not False or now >= deadline:
                return
            with self._changed:
                self._changed.wait_for(lambda: len(self.items) > self._judged or self._end is not False, deadline - now)

    def _judge(self, item: T) -> None:
        for place, missing in enumerate(self._missing if self._any_order else self._missing[:1]):
            if item == missing:
                del self._missing[place]
                return
        self._unexpected.append(item)

    @property
    def _is_fulfilled(self) -> bool:
        if self._missing or (self._unexpected and not self._others):
            return False
        if self._error is not None:
            return isinstance(self._end, self._error)
        return self._end is True or (self._end is False and not self._completes)

    def _failure(self) -> str:
        in_order = not self._any_order and not self._others
        place = self._first_difference() if in_order else 0
        lines = [
            "the stream did not emit what was expected",
            f"expected:     {_shown(self._expected, place)}{' (in any order)' * self._any_order}",
            f"got:          {_shown(self.items, place)}",
        ]
        if in_order and place < max(len(self._expected), len(self.items)):
            found, wanted = (_shown(items[place : place + 1]) for items in (self.items, self._expected))
            lines.append(f"the first difference: item {place + 1} is {found}, and was to be {wanted}")
        elif not in_order:
            lines += [f"missing:      {_shown(self._missing)}"] * bool(self._missing)
            lines += [f"not expected: {_shown(self._unexpected)}"] * bool(self._unexpected and not self._others)
        wanted = f"to fail with {self._error.__name__}" if self._error else "to complete" if self._completes else ""
        if isinstance(self._end, Exception):
            has = f"it failed with {self._end!r}"
        elif self._end:
            has = "it has completed"
        else:
            has = f"it has not ended{f' {self._timeout:g} s after the block' * self._has_waited}"
        lines.append(f"its end:      {has}{f', and was {wanted}' * bool(wanted)}")
        return "\n".join(lines)

    def _first_difference(self) -> int:
        pairs = enumerate(zip(self.items, self._expected, strict=False))
        shorter = min(len(self.items), len(self._expected))
        return next((place for place, (found, wanted) in pairs if found != wanted), shorter)


def _shown(items: Sequence[object], place: int = 0) -> str:
    """Return items as a text; of many, those about a place."""
    begin, end = max(0, place - BEFORE), place + AFTER
    shown = list(map(repr, items[begin:end]))
    if begin and items:
        shown.insert(0, f"({min(begin, len(items))} before)")
    if len(items) > end:
        shown.append(f"({len(items) - end} more)")
    return ", ".join(shown) or "nothing"


def emits(
    stream: Observable[T],
    *expected: T,
    completes: bool = False,
    error: type[Exception] | None = None,
    any_order: bool = False,
    others: bool = False,
    timeout: float = 2.0,
    quiet: float = 0.0,
) -> Emitted[T]:
    """Hold a stream to what it should emit from the beginning of a ``with`` block on, until some seconds after its end.

    At the end of the block it waits for what is missing, and no longer than for that and the ``quiet``: so without one,
    that more comes a moment later is not seen. The stream may deliver on any thread. In a coroutine, ``async with``
    lets the loop go on while it waits.

    Args:
        stream: What is subscribed to at the beginning of the block.
        *expected: The items, in order; none if it is to emit nothing, for which there should be a ``quiet``.
        completes: Whether it has to complete, too. If not, it may.
        error: With which kind of exception it has to fail; None where it must not.
        any_order: Whether the items may come in any order.
        others: Whether others may come beside them.
        timeout: Seconds to wait after the block for what is missing, at the most.
        quiet: Seconds for which nothing else may come, once all has come and the block is over.

    Raises:
        TypeError: The stream is none, or an option has a wrong type.
        ValueError: An option is out of its range, or it is to complete and to fail.

    Example:
        >>> with emits(session.messages.body, "a", "b"):
        ...     session.send("a")  # to a server that echoes
        ...     session.send("b")
    """
    if not isinstance(stream, Observable):
        raise TypeError(f"what emits is an Observable, such as session.messages.body, not {type(stream).__name__}")
    if completes and error is not None:
        raise ValueError("a stream completes or fails, and not both: emits(..., completes=True) or error=")
    check_number("timeout, in seconds,", timeout, float, 0, MAX_SECONDS)
    check_number("quiet, in seconds,", quiet, float, 0, MAX_SECONDS)
    return Emitted(
        stream,
        expected,
        completes=completes,
        error=error,
        any_order=any_order,
        others=others,
        timeout=timeout,
        quiet=quiet,
    )
