"""One thread that draws all views of a notebook, each at its own pace."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

__all__ = ["PUMP", "Pump", "Turn"]

_log = logging.getLogger("rxsocket")


class Turn:
    """A view's place in the pump.

    Args:
        pump: Whose.
        draw: Draws, on the pump's thread. If it raises, it is not called again.
        interval: Seconds from one drawing to the next.
    """

    def __init__(self, pump: Pump, draw: Callable[[], None], interval: float) -> None:
        self._pump = pump
        self.draw = draw
        self.interval = interval
        self.due = 0.0  # under the pump's lock: not to be drawn before, in monotonic seconds
        # Set by any thread under the pump's lock, and cleared by the pump before it draws: so what came before a touch
        # that found it set is seen by that drawing.
        self.is_dirty = True

    def touch(self) -> None:
        """Have it drawn when it is due. From any thread; it costs a look where that was asked for already."""
        if not self.is_dirty:
            self._pump.mark(self)

    def end(self) -> None:
        """Draw it no more, from the next turn on. From any thread."""
        self._pump.remove(self)


class Pump:
    """Draws views, on a daemon thread that lives as long as there is one; no lock is held meanwhile."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._turns: dict[Turn, None] = {}  # under the lock; in the order in which they came
        self._thread: threading.Thread | None = None  # under the lock

    def add(self, draw: Callable[[], None], interval: float) -> Turn:
        """Draw a view from now on, at once for the first time. As :class:`Turn` takes them."""
        turn = Turn(self, draw, interval)
        with self._changed:
            self._turns[turn] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="rxsocket views", daemon=True)
                self._thread.start()
            self._changed.notify()
        return turn

    def mark(self, turn: Turn) -> None:
        """Have a view drawn when it is due."""
        with self._changed:
            turn.is_dirty = True
            self._changed.notify()

    def remove(self, turn: Turn) -> None:
        """Draw a view no more."""
        with self._changed:
            self._turns.pop(turn, None)
            self._changed.notify()

    @property
    def is_here(self) -> bool:
        """Whether this is the pump's own thread, which can't wait for what it has to do itself."""
        return self._thread is threading.current_thread()

    def take(self, now: float) -> tuple[list[Turn], float | None]:
        """Return the turns that are due, now that they are taken, and how long to wait if none is. Under the lock."""
        dirty = [turn for turn in self._turns if turn.is_dirty]
        due = [turn for turn in dirty if turn.due <= now]
        for turn in due:
            turn.is_dirty = False
            # At equal intervals; who was held up for longer than one does not make up for it.
            following = turn.due + turn.interval
            turn.due = following if following > now else now + turn.interval
        return due, min((turn.due - now for turn in dirty), default=None)

    def _run(self) -> None:
        while (due := self._await_due()) is not None:
            for turn in due:
                try:
                    turn.draw()
                except Exception:  # noqa: BLE001 the others are to go on
                    self.remove(turn)
                    _log.exception("a view can't be drawn")

    def _await_due(self) -> list[Turn] | None:
        """Wait for turns that are due; None at the end, when there are none left."""
        with self._changed:
            while self._turns:
                due, seconds = self.take(time.monotonic())
                if due:
                    return due
                self._changed.wait(seconds)
            self._thread = None
            return None


PUMP = Pump()
"""The process' own."""
