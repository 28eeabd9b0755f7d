"""What a stream emits while a block runs, held to what it should, for tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Generic, Self, TypeVar

from reactivex import Observable, abc

from .checks import MAX_SECONDS, check_number

__all__ = ["Emitted", "emits"]

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
    ) -> None:
        self._stream = stream
        self._expected = expected
        self._completes = completes
        self._error = error
        self._any_order = any_order
        self._others = others
        self._timeout = timeout
        self._subscription: abc.DisposableBase | None = None
        self._changed = threading.Condition()
        self.items: list[T] = []  # under _changed
        self._end: Exception | bool = False  # under _changed: what it failed with, or whether it has completed
        # The block's thread alone: comparing is the items' own code, which may do what it likes.
        self._judged = 0
        self._missing = list(expected)
        self._unexpected: list[T] = []

    def __enter__(self) -> Self:
        """Subscribe."""
        if self._subscription is not None:
            raise RuntimeError("what is emitted is held to one block; make another with emits(...)")
        self._subscription = self._stream.subscribe(self._take, self._finish, self._finish)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wait for what is missing, and unsubscribe. If the block raised, that goes on, and nothing is waited for.

        Raises:
            AssertionError: Something else was emitted, or something is missing after the timeout, or when it has ended.
        """
        try:
            if error is None:
                self._wait()
        finally:
            if self._subscription is not None:
                self._subscription.dispose()
        if error is None and not self._is_fulfilled:
            raise AssertionError(self._failure())

    def _take(self, item: T) -> None:
        with self._changed:
            self.items.append(item)
            self._changed.notify()

    def _finish(self, error: Exception | None = None) -> None:
        with self._changed:
            self._end = True if error is None else error
            self._changed.notify()

    def _wait(self) -> None:
        deadline = time.monotonic() + self._timeout
        while True:
            with self._changed:
                new, end = self.items[self._judged :], self._end
            for item in new:
                self._judge(item)
            self._judged += len(new)
            remaining = deadline - time.monotonic()
            if self._is_fulfilled or (self._unexpected and not self._others) or end is not False or remaining <= 0:
                return
            with self._changed:
                self._changed.wait_for(lambda: len(self.items) > self._judged or self._end is not False, remaining)

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
        lines = [
            "the stream did not emit what was expected",
            f"expected:     {_shown(self._expected)}{' (in any order)' * self._any_order}",
            f"got:          {_shown(self.items)}",
        ]
        if self._missing:
            lines.append(f"missing:      {_shown(self._missing)}")
        if self._unexpected and not self._others:
            lines.append(f"not expected: {_shown(self._unexpected)}")
        wanted = f"to fail with {self._error.__name__}" if self._error else "to complete" if self._completes else ""
        if isinstance(self._end, Exception):
            has = f"it failed with {self._end!r}"
        else:
            has = "it has completed" if self._end else f"it has not ended {self._timeout:g} s after the block"
        lines.append(f"its end:      {has}{f', and was {wanted}' * bool(wanted)}")
        return "\n".join(lines)


def _shown(items: Iterable[object]) -> str:
    return ", ".join(map(repr, items)) or "nothing"


def emits(
    stream: Observable[T],
    *expected: T,
    completes: bool = False,
    error: type[Exception] | None = None,
    any_order: bool = False,
    others: bool = False,
    timeout: float = 2.0,
) -> Emitted[T]:
    """Hold a stream to what it should emit from the beginning of a ``with`` block on, until some seconds after its end.

    At the end of the block it waits for what is missing, and no longer than for that: so what comes too much later is
    not seen. The stream may deliver on any thread.

    Args:
        stream: What is subscribed to at the beginning of the block.
        *expected: The items, in order; none if it is to emit nothing in the block.
        completes: Whether it has to complete, too. If not, it may.
        error: With which kind of exception it has to fail; None where it must not.
        any_order: Whether the items may come in any order.
        others: Whether others may come beside them.
        timeout: Seconds to wait after the block, at the most.

    Raises:
        TypeError: The stream is none, or an option has a wrong type.
        ValueError: An option is out of its range, or it is to complete and to fail.

    Example:
        >>> with emits(session.messages.body, "a", "b"):
        ...     client.send("a", "b")
    """
    if not isinstance(stream, Observable):
        raise TypeError(f"what emits is an Observable, such as session.messages.body, not {type(stream).__name__}")
    if completes and error is not None:
        raise ValueError("a stream completes or fails, and not both: emits(..., completes=True) or error=")
    check_number("timeout, in seconds,", timeout, float, 0, MAX_SECONDS)
    return Emitted(
        stream,
        expected,
        completes=completes,
        error=error,
        any_order=any_order,
        others=others,
        timeout=timeout,
    )
