"""The items of streams, which any thread delivers, for coroutines.

The loop is woken only when somebody waits there: once, however many items come before it has woken.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

import reactivex.operators as ops
from reactivex import Observable
from reactivex.disposable import SingleAssignmentDisposable
from reactivex.internal import noop

from .backlog import Overflow, checked_capacity
from .errors import OverflowException
from .loops import last, settle, tell
from .scopes import owned

__all__ = ["CLOSED_SECONDS", "AsyncItems", "first", "iterate"]

T = TypeVar("T")

TURN = 64  # items, after which the loop gets its turn: a thread that is faster than it would never let it have one
CLOSED_SECONDS = 1.0  # after which a thread that is held up looks whether the loop is closed, which tells nobody


async def first(stream: Observable[T]) -> T:
    """Wait for a stream's first item, on whichever thread that is delivered.

    The subscription is disposed of at once, also when the waiting is cancelled or times out (``asyncio.timeout``).

    Args:
        stream: What to subscribe to, on the loop's thread.

    Raises:
        SequenceContainsNoElementsError: The stream completed without an item (``reactivex.internal``).
        Exception: What the stream ended with instead.

    Example:
        >>> async def opened(session: Session) -> OpenEvent:
        ...     return await first(session.opens)
    """
    return await last(stream.pipe(ops.first()), owned)


def iterate(stream: Observable[T], *, capacity: int = 1000, overflow: Overflow = "block") -> AsyncItems[T]:
    """Subscribe to a stream at once, and return its items, on whichever threads they are delivered, for ``async for``.

    After the items that wait comes the stream's end: that of the iteration, or the error, which is raised there.

    Args:
        stream: What to subscribe to, on the loop's thread.
        capacity: How many items may wait at the most.
        overflow: What becomes of an item when so many wait. ``"block"``: the thread that delivers it is held up until
            half of them are taken; a session reads on only then, so that its server has to wait. ``"drop_oldest"``
            and ``"drop_newest"``: one is let go. ``"latest"``: only the newest waits, whatever the capacity is.
            ``"error"``: the iteration ends with an :class:`~rxsocket.OverflowException` after the items that wait. So
            does ``"block"`` where the thread is the loop's own, as of a stream that gives all in subscribe: it would
            wait for itself.

    Raises:
        TypeError: The capacity is no int.
        ValueError: The capacity is less than 1, or there is no such overflow.
        RuntimeError: No loop runs on this thread.

    Example:
        >>> async def show(session: Session) -> None:
        ...     async for text in iterate(session.messages.body, capacity=100, overflow="drop_oldest"):
        ...         print(text)
    """
    queue: _Queue[T] = _Queue(checked_capacity(capacity, overflow), overflow)
    items = AsyncItems(queue)
    queue.subscription.disposable = stream.subscribe(queue.put, queue.end, queue.end)
    queue.release = owned(queue.close)
    if queue.is_over:
        queue.release()
    return items


class AsyncItems(Generic[T]):
    """The items of a stream, for ``async for``, in one task at a time. Made by :func:`iterate`.

    As an asynchronous context manager, and by :meth:`aclose` (so by ``contextlib.aclosing``, too), its subscription is
    disposed of at once. Where nothing refers to it any more, as after ``break`` out of ``async for item in
    iterate(stream)``, that is done in the loop's next turn (in CPython; elsewhere, when it is collected).
    """

    def __init__(self, queue: _Queue[T]) -> None:
        # It refers to the queue, and the subscription does; but nothing refers to this, so that its end is seen.
        self._queue = queue

    @property
    def dropped(self) -> int:
        """How many items were let go, for want of room."""
        return self._queue.dropped

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        try:
            return await self._queue.take()
        finally:
            # The traceback of what is raised here keeps this frame; it is not to keep the subscription.
            del self

    async def aclose(self) -> None:
        """Dispose of the subscription, and let go what waits. Whoever waits for an item is told of the end."""
        self._queue.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._queue.close()

    def __del__(self) -> None:
        # Not here: the garbage collector may have interrupted this thread while it holds a lock that is needed for it.
        if not self._queue.is_over:
            self._queue.tell_loop(self._queue.close)


class _Queue(Generic[T]):
    """Between threads that deliver and a coroutine that takes: items, then the end.

    Attributes:
        subscription: To what delivers.
        release: Takes it out of the scope that owns it. Written before the items are returned.
        is_over: Whether nothing is put any more. Written under _lock.
        dropped: How many items were let go. Written under _lock.
    """

    def __init__(self, capacity: int, overflow: Overflow) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._capacity = capacity
        self._overflow = overflow
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)  # is told when half is taken, not for each item
        self._items: deque[T] = deque()  # under _lock
        self._error: Exception | None = None  # under _lock: what the items end with, until it is raised
        self._waiting: asyncio.Future[None] | None = None  # under _lock: of who waits while there are no items
        self._taken = 0  # how many were; by the loop's thread alone
        self.subscription = SingleAssignmentDisposable()
        self.release: Callable[[], None] = noop
        self.is_over = False
        self.dropped = 0

    # --- on any thread

    def put(self, item: T) -> None:
        """Take an item of the stream."""
        if self._loop.is_closed():
            self.close()
            return
        with self._lock:
            if not self.is_over and (len(self._items) < self._capacity or self._make_room()):
                self._items.append(item)
            waiting, self._waiting = self._waiting, None
            is_over = self.is_over
        self._wake(waiting)
        if is_over:
            self.subscription.dispose()
            self.release()

    def _make_room(self) -> bool:
        """Do what is to be done when it is full; return whether the item may still come in. Under _lock."""
        match self._overflow:
            case "drop_oldest" | "latest":
                self._items.popleft()
                self.dropped += 1
                return True
            case "drop_newest":
                self.dropped += 1
                return False
            case "block" if threading.get_ident() != self._loop_thread:
                while len(self._items) >= self._capacity and not self.is_over:
                    self._room.wait(CLOSED_SECONDS)
                    self.is_over = self.is_over or self._loop.is_closed()
                return not self.is_over
            case overflow:
                problem = f"{self._capacity} items wait for a coroutine, and another came"
                if overflow == "block":
                    problem += " on the loop's own thread, which can't wait for itself: subscribe_on another"
                self._error = OverflowException(f"{problem}. Be faster, or raise the capacity", self._capacity)
                self.is_over = True
                return False

    def end(self, error: Exception | None = None) -> None:
        """Take the stream's end."""
        with self._lock:
            if not self.is_over:
                self.is_over = True
                self._error = error
            waiting, self._waiting = self._waiting, None
        self._wake(waiting)
        self.release()

    def close(self) -> None:
        """Let go what waits, and those who do."""
        with self._lock:
            self.is_over = True
            self._error = None
            self._items.clear()
            self._room.notify_all()
            waiting, self._waiting = self._waiting, None
        self._wake(waiting)
        self.subscription.dispose()
        self.release()

    def _wake(self, waiting: asyncio.Future[None] | None) -> None:
        if waiting is not None:
            self.tell_loop(settle, waiting)

    def tell_loop(self, action: Callable[..., None], *arguments: object) -> None:
        """Have the loop do something in its next turn, if it is not closed."""
        tell(self._loop, action, *arguments)

    # --- on the loop's thread

    async def take(self) -> T:
        """Wait for an item, and take it."""
        self._taken += 1
        if self._taken % TURN == 0:
            await asyncio.sleep(0)
        while True:
            with self._lock:
                if self._items:
                    item = self._items.popleft()
                    if len(self._items) == self._capacity // 2:
                        self._room.notify_all()
                    return item  # with no await in between, so that who is cancelled has taken none
                if self.is_over:
                    raise self._take_end()
                if self._waiting is not None and not self._waiting.done():
                    raise RuntimeError("another task waits for these items already: give each its own iterate(stream)")
                self._waiting = waiting = self._loop.create_future()
            await waiting

    def _take_end(self) -> Exception:
        """Return what the iteration ends with; an error once. Under _lock."""
        error, self._error = self._error, None
        return StopAsyncIteration() if error is None else error
