"""Deadlines: what is done after some seconds, unless it is called off. One thread for all of a process."""

from __future__ import annotations

import heapq
import logging
import os
import threading
import time
from collections.abc import Callable
from itertools import count

__all__ = ["DEADLINES", "Deadline", "Deadlines"]

logger = logging.getLogger("rxsocket")

PERIOD = 0.25  # seconds after which the thread looks whether there is still anything to wait for
FEW = 64  # that were called off, and are not worth to be swept out


class Deadline:
    """What is to be done; made by :meth:`Deadlines.add`."""

    __slots__ = ("action",)

    def __init__(self, action: Callable[[], object]) -> None:
        self.action: Callable[[], object] | None = action  # under the lock of the Deadlines; None: done, or called off


class Deadlines:
    """A thread that runs while there are deadlines, and a heap of them.

    Most are called off before they come. So that costs little: it wakes nobody, and what is called off is swept out of
    the heap when it is the most of that.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Have no deadlines, and no thread: so it is in a process that was just forked."""
        # Re-entrant, since an action that is let go under it may have a finalizer, which calls another off.
        self._changed = threading.Condition(threading.RLock())
        # All of these are written under _changed.
        self._heap: list[tuple[float, int, Deadline]] = []
        self._numbers = count()  # of two for the same moment the first goes first
        self._called_off = 0  # how many in the heap are
        self._wakes = 0.0  # when the thread looks again, by the monotonic clock
        self._thread: threading.Thread | None = None

    def add(self, seconds: float, action: Callable[[], object]) -> Deadline:
        """Have an action done on the deadlines' thread. From any thread.

        Raises:
            RuntimeError: The system has no thread left.
        """
        deadline = Deadline(action)
        due = time.monotonic() + seconds
        with self._changed:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="rxsocket deadlines", daemon=True)
                thread.start()
                self._thread = thread
            heapq.heappush(self._heap, (due, next(self._numbers), deadline))
            if due < self._wakes:
                self._changed.notify_all()
        return deadline

    def call_off(self, deadline: Deadline) -> None:
        """Let an action not be done, if it is not being done already. From any thread."""
        with self._changed:
            if deadline.action is None:
                return
            deadline.action = None
            self._called_off += 1
            if self._called_off > FEW and self._called_off > len(self._heap) // 2:
                self._heap = [each for each in self._heap if each[2].action is not None]
                heapq.heapify(self._heap)
                self._called_off = 0

    @property
    def is_current(self) -> bool:
        """Whether this thread is the one of the deadlines, so that whatever waits here lets all others wait."""
        return self._thread is threading.current_thread()

    def _run(self) -> None:
        while True:
            with self._changed:
                actions = self._due()
                if not actions:
                    if self._called_off == len(self._heap):
                        self._heap.clear()
                        self._called_off = 0
                        self._thread = None
                        return
                    now = time.monotonic()
                    self._wakes = min(now + PERIOD, self._heap[0][0])
                    self._changed.wait(max(0.0, self._wakes - now))
            for action in actions:
                try:
                    action()
                except Exception:
                    logger.exception("what was to be done at a deadline failed")

    def _due(self) -> list[Callable[[], object]]:
        """Take what is to be done now. Under the lock."""
        now = time.monotonic()
        actions: list[Callable[[], object]] = []
        while self._heap and self._heap[0][0] <= now:
            deadline = heapq.heappop(self._heap)[2]
            if deadline.action is None:
                self._called_off -= 1
            else:
                actions.append(deadline.action)
                deadline.action = None
        return actions


DEADLINES = Deadlines()
"""Those of this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=DEADLINES.forget)
