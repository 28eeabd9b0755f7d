"""Streams as lines: what is drawn of their items, and what a browser is told of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from html import escape
from typing import Any, TypeAlias

import msgspec
from reactivex import Observable, abc

from .checks import MAX_SECONDS, check_number
from .drawing import Axes, Note, as_image, note_html, number, plot_svg
from .picture import Frame, Picture, Source
from .series import Line
from .tables import field_of, in_words, shown

__all__ = ["By", "Plot", "Ys"]

By: TypeAlias = str | Callable[[Any], object]
"""The name of a field, or a function of an item."""

Ys: TypeAlias = By | Sequence[By] | Mapping[str, By]
"""One of them, several, or several with their names."""

LINES = 12  # that a plot has at the most
POINTS = (
    60_000  # of all lines together: so all of them are less than the megabyte that a server lets through in a second
)
WAITING = 10_000  # items that wait to be drawn, at the most


class Plot(Picture):
    """Lines of what came last.

    Args:
        stream: Of the items.
        y: What is drawn of an item.
        by: Which line it belongs to; None for one that all have in common.
        x: Where it stands; None for the time at which it came.
        window: How many points of each line, or of how many seconds.
        unit: Of the values.
        title: What it is of.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The window is out of its range.
    """

    kind = "plot"

    def __init__(
        self,
        stream: Observable[Any],
        y: Ys,
        *,
        by: By | None = None,
        x: By | None = None,
        window: float | timedelta = 2000,
        unit: str = "",
        title: str = "",
    ) -> None:
        super().__init__()
        self._source = Source(stream, WAITING)
        self._ys = _named(y)
        self._by = None if by is None else _getter("by", by)
        self._x = None if x is None else _getter("x", x)
        bound = POINTS // (len(self._ys) if by is None else LINES)
        self._points, self._span = _extent(window, bound)
        self._axes = Axes(title or shown(", ".join(self._ys)), unit, "" if x is None else _label(x) or "x")
        self._lines: dict[str, Line] = {}
        self._beyond: set[str] = set()  # names of lines for which there was no room; bounded, too
        if by is None:
            for name in self._ys:
                self._line(name)

    def start(self, touch: Callable[[], None]) -> abc.DisposableBase:
        """Listen to the stream."""
        return self._source.start(touch)

    def absorb(self) -> None:
        """Make points of the new items.

        Raises:
            Exception: What ``y``, ``by`` or ``x`` raises.
        """
        for at, item in self._source.take():
            x = at if self._x is None else self._where(self._x(item))
            group = None if self._by is None else shown(self._by(item))
            for name, get in self._ys.items():
                line = self._line(name if group is None else group if len(self._ys) == 1 else f"{group} {name}")
                if line is not None:
                    line.append(x, _value(get(item), name))

    def _line(self, name: str) -> Line | None:
        line = self._lines.get(name)
        if line is None:
            if len(self._lines) < LINES:
                line = self._lines[name] = Line(name, self._points, self._span)
            elif len(self._beyond) < WAITING:
                self._beyond.add(name)
        return line

    def _where(self, x: object) -> float:
        if isinstance(x, datetime):
            self._axes = msgspec.structs.replace(self._axes, x="")
            return x.timestamp()
        return _value(x, "x")

    @property
    def end(self) -> Note | None:
        """How the stream has ended."""
        return self._source.end

    def frame(self, *, whole: bool) -> Frame | None:
        """Return the new points of the lines that have some; their count, and how many of a line are kept."""
        told: list[tuple[int, int, int]] = []
        buffers: list[bytes] = []
        for place, line in enumerate(self._lines.values()):
            count, points = line.news(whole=whole)
            if count:
                told.append((place, count, len(line)))
                buffers.append(points)
        if not told and not whole:
            return None
        return {
            "axes": msgspec.to_builtins(self._axes),
            "names": list(self._lines),
            "lines": told,
            "remark": self._remark,
        }, [b"".join(buffers)]

    @property
    def _remark(self) -> str:
        if not self._beyond:
            return ""
        some = "" if len(self._beyond) < WAITING else "over "
        return f"the first {LINES} lines are drawn; for {some}{in_words(len(self._beyond), 'other')} there is no room"

    def html(self) -> str:
        """Return it as a picture."""
        remark = f"<p>{self._remark}</p>" if self._remark else ""
        image = as_image(plot_svg(self._axes, list(self._lines.values())), self.text())
        return f"<p><b>{escape(self._axes.title)}</b></p>{image}{remark}{note_html(self.note)}"

    def text(self) -> str:
        """Return its lines' last values."""
        unit = f" {self._axes.unit}" if self._axes.unit else ""
        last = [f"{name} {number(line.last)}{unit}" for name, line in self._lines.items() if not math.isnan(line.last)]
        return f"plot of {self._axes.title}" + (f": {', '.join(last)}" if last else "")


def _named(y: Ys) -> dict[str, Callable[[Any], object]]:
    if isinstance(y, str) or callable(y):
        y = [y]
    found: dict[str, Callable[[Any], object]]
    if isinstance(y, Mapping):
        found = {str(name): _getter("y", each) for name, each in y.items()}
    elif isinstance(y, Sequence):
        found = {}
        for each in y:
            name = _label(each) or "y"
            found[name if name not in found else f"{name} {len(found) + 1}"] = _getter("y", each)
    else:
        raise TypeError(f"y is a field's name, a function, or several of them, not {type(y).__name__}")
    if not 0 < len(found) <= LINES:
        raise ValueError(f"y is from 1 to {LINES} names or functions, not {len(found)}")
    return found


def _label(by: By) -> str:
    name = by if isinstance(by, str) else getattr(by, "__name__", "")
    return "" if name == "<lambda>" else name


def _getter(role: str, by: object) -> Callable[[Any], object]:
    if isinstance(by, str):
        return partial(_field, role, by)
    if callable(by):
        return by
    raise TypeError(f"{role} is a field's name, or a function of an item, not {type(by).__name__}")


def _field(role: str, name: str, item: object) -> object:
    try:
        return field_of(item, name)
    except (AttributeError, LookupError, ValueError) as error:
        raise LookupError(f"{role}={name!r}: there is no such field in {shown(item)}") from error


def _value(value: object, name: str) -> float:
    """A number, or nan for None, which is a gap."""
    if value is None:
        return math.nan
    try:
        return float(value)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] what is none raises
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} is a number, or None for a gap, not {shown(value)}") from error


def _extent(window: float | timedelta, bound: int) -> tuple[int, float | None]:
    """Return how many points a line has at the most, and over how many seconds."""
    if isinstance(window, timedelta):
        window = window.total_seconds()
    if isinstance(window, int):
        check_number("window", window, int, 2, bound)
        return window, None
    check_number("window", window, float, 0, MAX_SECONDS, above=True)
    return bound, window
