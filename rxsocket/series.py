"""The points of a plot's lines: what is kept of them, what is new, and as many as a picture can show."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

__all__ = ["Line", "thinned", "ticks"]

SPARE = 1000  # points that are not kept any more, and are not worth a copy
NICE = (1.0, 2.0, 5.0, 10.0)  # steps of an axis, but for powers of ten


class Line:
    """The newest points of a line, in the order in which they came. One thread at a time.

    Args:
        name: As the legend has it.
        points: How many are kept at the most.
        span: By how much the x of a point that is kept may be smaller than that of the newest; None for any.
    """

    def __init__(self, name: str, points: int, span: float | None = None) -> None:
        self.name = name
        self._points = points
        self._span = span
        self._xs = array("d")  # with some that are not kept any more before the others, until that is worth a copy
        self._ys = array("d")
        self._begin = 0  # of those that are kept
        self._told = 0  # how many of the kept ones, from the last, were in no news yet

    def __len__(self) -> int:
        return len(self._xs) - self._begin

    @property
    def xs(self) -> array[float]:
        """Where the points are; a copy."""
        return self._xs[self._begin :]

    @property
    def ys(self) -> array[float]:
        """The values of the points, nan where there is a gap; a copy."""
        return self._ys[self._begin :]

    @property
    def last(self) -> float:
        """The newest value; nan if there is none."""
        return self._ys[-1] if self._ys else math.nan

    def append(self, x: float, y: float) -> None:
        """Add a point, and let go those that are not kept any more."""
        self._xs.append(x)
        self._ys.append(y)
        self._told += 1
        begin = max(self._begin, len(self._xs) - self._points)
        if self._span is not None:
            oldest = x - self._span
            while self._xs[begin] < oldest:
                begin += 1
        self._begin = begin
        if begin > SPARE and begin > len(self):  # so that each point is copied once, or less
            del self._xs[:begin], self._ys[:begin]
            self._begin = 0

    def news(self, *, whole: bool) -> tuple[int, bytes]:
        """Return how many points are new since the last call, or all; and their x, then their y, each eight bytes."""
        count = len(self) if whole else min(self._told, len(self))
        self._told = 0
        start = len(self._xs) - count
        return count, self._xs[start:].tobytes() + self._ys[start:].tobytes()


def thinned(xs: Sequence[float], ys: Sequence[float], columns: int) -> list[tuple[float, float]]:
    """Return as many points as a picture shows: of each column of it the least and the greatest, and the gaps.

    Args:
        xs: Where they are, in order.
        ys: Their values, nan for gaps.
        columns: How many the picture has.
    """
    if len(xs) <= 2 * columns:
        return list(zip(xs, ys, strict=True))
    first = min(xs)
    width = (max(xs) - first) / columns or 1.0
    found: list[tuple[float, float]] = []
    low = high = (math.nan, math.nan)
    column = -1

    def leave() -> None:
        if column >= 0:
            found.extend(sorted({low, high}))

    for point in zip(xs, ys, strict=True):
        at = int((point[0] - first) / width)
        if math.isnan(point[1]):
            leave()
            found.append(point)
            column = -1
        elif at != column:
            leave()
            column, low, high = at, point, point
        elif point[1] < low[1]:
            low = point
        elif point[1] > high[1]:
            high = point
    leave()
    return found


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return the round numbers from one to another, about so many of them.

    Args:
        low: The least that may be one.
        high: The greatest.
        count: How many there may be, two at least.
    """
    rough = (high - low) / count
    if not rough > 0 or math.isinf(rough):
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next((nice for nice in NICE if nice * power >= rough), 10.0)
    first, last = math.ceil(low / step), math.floor(high / step)
    digits = max(0, -math.floor(math.log10(step)))  # of what a sum of steps would be beside the number
    return [round(number * step, digits) for number in range(first, last + 1)]
