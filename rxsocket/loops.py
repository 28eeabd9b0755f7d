"""From threads to asyncio: what coroutines wait for, and any thread tells them.

What delivers is any thread, and what waits is a loop that sleeps until it is woken; so all that is told to it goes by
``call_soon_threadsafe``.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable
from reactivex.internal import SequenceContainsNoElementsError

__all__ = ["Changes", "last", "settle", "tell"]

T = TypeVar("T")


async def last(stream: Observable[T], owned: Callable[[Callable[[], object]], Callable[[], None]]) -> T:
    """Wait for a stream's end, and return its last item.

    The subscription is disposed of at once, also when the waiting is cancelled or times out.

    Args:
        stream: What to subscribe to.
        owned: Takes a function that gives the waiting up, and returns one to call when it is over.

    Raises:
        CancelledError: The waiting was given up.
        SequenceContainsNoElementsError: The stream completed without an item.
        Exception: What the stream ended with instead.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    items: list[T] = []  # the last, if any; and what it ended with; both written by who delivers, before that is told
    errors: list[Exception] = []

    def on_next(item: T) -> None:
        items[:] = (item,)

    def on_error(error: Exception) -> None:
        errors.append(error)
        tell(loop, settle, ended)

    subscription = stream.subscribe(on_next, on_error, lambda: tell(loop, settle, ended))
    release = owned(lambda: tell(loop, ended.cancel))
    try:
        await ended
    finally:
        release()
        subscription.dispose()
    if errors:
        raise errors.pop()
    if not items:
        raise SequenceContainsNoElementsError
    return items.pop()


class Changes(threading.Condition):
    """A condition that coroutines wait for, too, beside threads."""

    def __init__(self, lock: threading.RLock) -> None:
        super().__init__(lock)
        self._futures: dict[asyncio.Future[None], None] = {}  # under the lock; in the order in which they came

    def notify_all(self) -> None:
        """Wake all who wait, threads and coroutines. Under the lock."""
        super().notify_all()
        futures, self._futures = self._futures, {}
        for future in futures:
            tell(future.get_loop(), settle, future)

    async def settled(self, predicate: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is true, as :meth:`wait_for` does, without holding the loop up.

        Args:
            predicate: Is called under the lock, on the loop's thread, now and after each change.
            seconds: How long to wait at the most.

        Returns:
            Whether it is true; False after that time.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                while True:
                    with self:
                        if predicate():
                            return True
                        future: asyncio.Future[None] = loop.create_future()
                        self._futures[future] = None
                    try:
                        await future
                    finally:
                        with self:
                            self._futures.pop(future, None)
        except TimeoutError:
            return False


def settle(future: asyncio.Future[None]) -> None:
    """Let who awaits a future go on. In its loop's turn."""
    if not future.done():  # it may have been cancelled meanwhile
        future.set_result(None)


def tell(loop: asyncio.AbstractEventLoop, action: Callable[..., object], *arguments: object) -> None:
    """Have a loop do something in its next turn. From any thread."""
    try:
        loop.call_soon_threadsafe(action, *arguments)
    except RuntimeError:
        if not loop.is_closed():
            raise
        # Nobody waits in a loop that is closed.


def is_in_coroutine() -> bool:
    """Whether this is called on a thread where a loop runs, so that its tasks wait for what waits here."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
