"""What a view shows, and the same as HTML and SVG that stand still: for where no script draws it."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from datetime import datetime
from html import escape
from itertools import chain, groupby

from msgspec import Struct

from .markup import LEFT, Mood, dot
from .series import Line, thinned, ticks

__all__ = [
    "Axes",
    "Note",
    "Row",
    "Sheet",
    "as_image",
    "note_html",
    "number",
    "plot_svg",
    "sheet_html",
]

LINES = ("#1f6fb4", "#c2510c", "#2e8540", "#8e44ad", "#a6761d", "#0b8a8f", "#c0267e", "#5a6b7b")
DASHES = ("", "6 3", "2 3")  # of the lines beyond so many: no two look the same

WIDTH, HEIGHT = 720, 280
INSET, RIGHT, TOP, BOTTOM = 64, 14, 12, 30  # between the picture and the lines
LEGEND = 22  # pixels of a row of the legend
LEAST, MOST = 1e-4, 1e6  # numbers that are written out
NAME = 24  # characters of a line's name
CHARACTER = 7.2  # pixels that one takes, at the most, in the mean


class Note(Struct, frozen=True):
    """Why a view goes on no more, or what went wrong."""

    text: str
    mood: Mood


class Row(Struct, frozen=True):
    """A row of a sheet's table.

    Attributes:
        cells: The text of each column.
        is_changed: Whether it is to be marked as new.
    """

    cells: list[str]
    is_changed: bool = False


class Sheet(Struct, frozen=True):
    """What a view that is no plot shows: texts alone, none of which is markup.

    Attributes:
        title: What it is of.
        mood: How that is.
        word: The word for it.
        facts: Figures, each with what it is.
        portion: How far something is that has an end, from 0 to 1; None for nothing such.
        action: The label of a button; none if empty.
        columns: The heads of the table; empty for no table.
        rows: Its rows.
        remarks: What is to be read below, such as errors.
    """

    title: str
    mood: Mood
    word: str
    facts: list[tuple[str, str]] = []
    portion: float | None = None
    action: str = ""
    columns: list[str] = []
    rows: list[Row] = []
    remarks: list[str] = []


class Axes(Struct, frozen=True):
    """How the axes of a plot are read.

    Attributes:
        title: What it is of.
        unit: Of the values; empty for none.
        x: What stands below; empty for times.
    """

    title: str
    unit: str = ""
    x: str = ""


# --- HTML


def sheet_html(sheet: Sheet) -> str:
    """Return a sheet as HTML that needs no script and no style of the page's."""
    parts = [f"<p>{dot(sheet.mood)} <b>{escape(sheet.word)}</b> {escape(sheet.title)}</p>"]
    if sheet.portion is not None:
        parts.append(f"<p><progress max='1' value='{sheet.portion:.3f}'>{sheet.portion:.0%}</progress></p>")
    if sheet.facts:
        parts.append("<p>" + " · ".join(f"{escape(name)} <b>{escape(text)}</b>" for name, text in sheet.facts) + "</p>")
    if sheet.columns:
        heads = "".join(f"<th{LEFT}>{escape(each)}</th>" for each in sheet.columns)
        rows = "".join(
            "<tr>" + "".join(f"<td{LEFT}>{_marked(cell, row)}</td>" for cell in row.cells) + "</tr>"
            for row in sheet.rows
        )
        parts.append(f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>")
    parts += [f"<p>{escape(each)}</p>" for each in sheet.remarks]
    return "<div>" + "".join(parts) + "</div>"


def note_html(note: Note | None) -> str:
    """Return a note as HTML; nothing for none."""
    return "" if note is None else f"<p>{dot(note.mood)} {escape(note.text)}</p>"


def as_image(svg: str, text: str) -> str:
    """Return a picture as HTML, which a notebook shows that is not trusted, too, with the text for who can't see it."""
    data = base64.b64encode(svg.encode()).decode()
    return f'<img src="data:image/svg+xml;base64,{data}" alt="{escape(text)}" width="{WIDTH}">'


def _marked(cell: str, row: Row) -> str:
    return f"<b>{escape(cell)}</b>" if row.is_changed else escape(cell)


# --- SVG


def plot_svg(axes: Axes, lines: Sequence[Line]) -> str:
    """Return lines as SVG, on a ground of its own, so that it is read on a dark page, too."""
    named = [(line.name, _colour(place), _dash(place)) for place, line in enumerate(lines)]
    legend = _legend(named) if len(lines) > 1 else []
    top = TOP + LEGEND * len({y for *_, y in legend}) + (16 if axes.unit else 0)
    points = [thinned(line.xs, line.ys, WIDTH - INSET - RIGHT) for line in lines]
    xs = [x for x, _ in chain.from_iterable(points) if math.isfinite(x)]
    ys = [y for _, y in chain.from_iterable(points) if math.isfinite(y)]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"',
        ' font-family="system-ui, sans-serif" font-size="12" fill="#24292f">',
        f"<title>{escape(axes.title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="4" fill="#ffffff"/>',
        *(_swatch(*each) for each in legend),
    ]
    if not xs or not ys:
        parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT / 2}" text-anchor="middle">nothing to draw yet</text></svg>')
        return "".join(parts)
    across = _Scale(min(xs), max(xs), INSET, WIDTH - RIGHT)
    low, high = _roomy(min(ys), max(ys))
    up = _Scale(low, high, HEIGHT - BOTTOM, top)
    if axes.unit:
        parts.append(f'<text x="{INSET}" y="{top - 6}" fill="#57606a">{escape(axes.unit)}</text>')
    for value in ticks(low, high, 5):
        y = up(value)
        parts.append(f'<path d="M{INSET} {y:.1f}H{WIDTH - RIGHT}" stroke="#d8dee4"/>')
        parts.append(f'<text x="{INSET - 8}" y="{y + 4:.1f}" text-anchor="end">{number(value)}</text>')
    parts += [
        f'<text x="{x:.1f}" y="{HEIGHT - 10}" text-anchor="middle">{escape(text)}</text>'
        for x, text in _below(axes, across)
    ]
    for (_, colour, dash), found in zip(named, points, strict=True):
        path = "".join(_path(found, across, up))
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5"{dashed}/>')
    return "".join(parts) + "</svg>"


class _Scale:
    """From values to pixels."""

    def __init__(self, low: float, high: float, begin: float, end: float) -> None:
        self.low, self.high = low, high
        self._begin = begin
        self._factor = (end - begin) / (high - low) if high > low else 0.0

    def __call__(self, value: float) -> float:
        return self._begin + (value - self.low) * self._factor


def _roomy(low: float, high: float) -> tuple[float, float]:
    """A range with some room at both ends, also of values that are all the same."""
    room = (high - low) * 0.06 or abs(high) * 0.05 or 1.0
    return low - room, high + room


def number(value: float) -> str:
    """Return a number as an axis has it."""
    if value != 0 and not LEAST <= abs(value) < MOST:
        return f"{value:.6g}"
    return f"{value:,.6f}".rstrip("0").rstrip(".")


def _below(axes: Axes, across: _Scale) -> list[tuple[float, str]]:
    """The texts of the lower axis, each with the middle of where it stands."""
    if axes.x:
        found = [(across(value), number(value)) for value in ticks(across.low, across.high, 6)]
        return [(x, text) for x, text in found if INSET + 10 < x < WIDTH - 60] + [(WIDTH - 34, axes.x[:10])]
    ends = dict.fromkeys((across.low, (across.low + across.high) / 2, across.high))
    places = (INSET + 26, (INSET + WIDTH - RIGHT) / 2, WIDTH - RIGHT - 28)
    return [(x, _clock(value)) for x, value in zip(places, ends, strict=False)]


def _clock(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds):%H:%M:%S}"  # noqa: DTZ006 the reader's own time
    except (OverflowError, OSError, ValueError):
        return number(seconds)


def _path(points: Sequence[tuple[float, float]], across: _Scale, up: _Scale) -> list[str]:
    """The steps of a line, which begins anew after each gap."""
    found: list[str] = []
    for is_there, run in groupby(points, lambda point: math.isfinite(point[0]) and math.isfinite(point[1])):
        if is_there:
            steps = [f"{across(x):.1f} {up(y):.1f}" for x, y in run]
            # Of a single point a line has no length, so that nothing would be seen.
            found.append(f"M{'L'.join(steps)}" if len(steps) > 1 else f"M{steps[0]}h0.1")
    return found


def _colour(place: int) -> str:
    return LINES[place % len(LINES)]


def _dash(place: int) -> str:
    return DASHES[place // len(LINES) % len(DASHES)]


def _legend(named: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str, float, float]]:
    """Where each line's name stands, in as many rows as they need."""
    found: list[tuple[str, str, str, float, float]] = []
    x, y = float(INSET), TOP + LEGEND / 2
    for name, colour, dash in named:
        text = name if len(name) <= NAME else name[: NAME - 1] + "…"
        width = 34 + CHARACTER * len(text)
        if x + width > WIDTH - RIGHT and x > INSET:
            x, y = float(INSET), y + LEGEND
        found.append((text, colour, dash, x, y))
        x += width
    return found


def _swatch(name: str, colour: str, dash: str, x: float, y: float) -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    line = f'<path d="M{x:.0f} {y:.0f}h16" stroke="{colour}" stroke-width="2.5"{dashed}/>'
    return f'{line}<text x="{x + 21:.0f}" y="{y + 4:.0f}">{escape(name)}</text>'
