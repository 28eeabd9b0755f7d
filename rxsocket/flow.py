"""How many frames are under way to a browser, and what the next one may be."""

from __future__ import annotations

import math
from typing import Literal

__all__ = ["Flow", "Kind"]

UNDER_WAY = 3  # frames that may be, before what comes waits for the next
HEARD_SECONDS = 2.0  # after which a browser that could answer, and does not, gets another
UNHEARD_SECONDS = 1.0  # between frames that have all, to a browser that can't be heard

Kind = Literal["whole", "news"]
"""Whether a frame has all that the view shows, or only what is new."""


class Flow:
    """Counts frames that were sent and drawn, so that a browser that is slow, hidden or gone costs next to nothing.

    :meth:`next` and :meth:`count` are called by who draws, one at a time; the others by any thread.
    """

    def __init__(self) -> None:
        self._sent = 0  # the number of the last frame; written by who draws
        self._drawn = 0  # the greatest that a browser has told of; written by who hears it
        self._is_asked = True  # for all; set by who hears it, cleared by who draws, before the frame is made
        self._whole_at = -math.inf  # when the last with all was sent; written by who draws

    def drawn(self, number: int) -> None:
        """Note that a browser has drawn a frame."""
        if self._drawn < number <= self._sent:
            self._drawn = number

    def ask(self) -> None:
        """Note that a browser needs all: it has just begun, or has missed a frame. None of before is under way."""
        self._drawn = self._sent
        self._is_asked = True

    def next(self, now: float, *, hears: bool) -> Kind | None:
        """Return what the next frame is to have; None where it has to wait.

        Args:
            now: Monotonic seconds.
            hears: Whether what a browser says would be heard. In a cell that runs it may not be: then its silence says
                nothing. So frames go on, and every now and then one has all, for who has missed some.
        """
        if self._is_asked or self._sent - self._drawn >= UNDER_WAY:
            is_late = now - self._whole_at >= (HEARD_SECONDS if hears else UNHEARD_SECONDS)
            if self._is_asked or is_late:
                self._is_asked = False
                self._whole_at = now
                return "whole"
            return None if hears else "news"
        return "news"

    def count(self) -> int:
        """Return the number of the next frame, which is sent now."""
        self._sent += 1
        return self._sent
