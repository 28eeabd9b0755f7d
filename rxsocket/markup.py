"""What a notebook shows of a value: short texts, and small tables whose HTML has nothing but escaped text in it.

What came from a network may be anything: long, a tag, a character that turns the text around. So all text is cut, and
characters that are not seen, or that change how others are, are shown as escapes. The tables have no colours of their
own, and so suit light and dark themes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import islice
from reprlib import Repr
from typing import Literal, TypeAlias, cast

__all__ = ["LEFT", "Mood", "dot", "figures", "listed", "plain", "shown", "table", "values"]

TEXT = 200  # characters that are shown of a text
LONG = 2000  # characters that are shown of a text that is the point of the matter
ITEMS = 5  # that are shown of many
MANY = 20  # that are listed

Mood: TypeAlias = Literal["good", "busy", "bad", "over"]
"""How things stand, for the colour of a dot."""

LEFT = ' style="text-align:left"'  # where notebooks have the text of tables at the right

# Each can be read on white and on black.
_COLOURS: dict[Mood, str] = {"good": "#2e9e4f", "busy": "#c98a00", "bad": "#d8443c", "over": "#808080"}

# Controls, what turns text around or has no width, separators of lines, and what is no character in UTF-8.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


class _Short(Repr):
    """Gives the beginning of a value's repr, without making all of it where it is a collection."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxtuple = self.maxlist = self.maxarray = self.maxdict = self.maxset = self.maxfrozenset = ITEMS
        self.maxdeque = ITEMS
        self.maxstring = self.maxother = TEXT

    def repr_dict(self, x: Mapping[object, object], level: int) -> str:
        # In its own order; the base's sorts all of them first.
        if level <= 0 and x:
            return "{...}"
        pairs = [f"{self.repr1(key, level - 1)}: {self.repr1(x[key], level - 1)}" for key in islice(x, self.maxdict)]
        return "{" + ", ".join([*pairs, *(["..."] if len(x) > self.maxdict else [])]) + "}"


_short = _Short()


def plain(text: str, limit: int = TEXT) -> str:
    """Return a text on one line, cut to a length, with escapes for what can't be seen."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return _UNSEEN.sub(_escaped, cut)


def _escaped(match: re.Match[str]) -> str:
    return ascii(match[0])[1:-1]


def shown(value: object, limit: int = TEXT) -> str:
    """Return the beginning of a value's repr, on one line, whatever it is and does."""
    try:
        text = _short.repr(value)
    except Exception as error:  # noqa: BLE001 it is the user's, and a picture of it harms nothing
        text = f"<{type(value).__name__}, whose repr raised {type(error).__name__}>"
    return plain(text, limit)


def figures(seconds: float) -> str:
    """Return a time that has passed, in two figures or so."""
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def dot(mood: Mood) -> str:
    """Return the HTML of a dot that says by its colour how things stand; beside a word that says it, too."""
    return f'<span aria-hidden="true" style="color:{_COLOURS[mood]}">●</span>'


def table(title: str, rows: Iterable[tuple[str, str]], mood: Mood | None = None) -> str:
    """Return the HTML of a small table of names and texts.

    Args:
        title: What it is that they are of.
        rows: The names, each with its text; all are cut and escaped.
        mood: How things stand; None for no dot.
    """
    head = f"{dot(mood)} " if mood else ""
    lines = [f'<th scope="row"{LEFT}>{_text(name)}</th><td{LEFT}>{_text(text, LONG)}</td>' for name, text in rows]
    caption = f'<th colspan="2" scope="colgroup"{LEFT}>{head}{_text(title)}</th>'
    return f"<table><tr>{'</tr><tr>'.join([caption, *lines])}</tr></table>"


def listed(title: str, rows: Sequence[tuple[Mood, str, str]]) -> str:
    """Return the HTML of a small table of many things of a kind: how each stands, its name, and what it is.

    Args:
        title: What they are.
        rows: The things; beyond the first twenty it is only said how many there are.
    """
    lines = [
        f"<td>{dot(each)}</td><td{LEFT}>{_text(name)}</td><td{LEFT}>{_text(text)}</td>"
        for each, name, text in rows[:MANY]
    ]
    if len(rows) > MANY:
        lines.append(f'<td colspan="3"{LEFT}>{len(rows) - MANY:,} more</td>')
    caption = f'<th colspan="3" scope="colgroup"{LEFT}>{_text(title)}</th>'
    return f"<table><tr>{'</tr><tr>'.join([caption, *lines])}</tr></table>"


def _text(text: str, limit: int = TEXT) -> str:
    return escape(plain(text, limit))


def values(value: object) -> list[tuple[str, str]]:
    """Return the rows for a value: of a list or a dict the first few items, and how many more there are."""
    try:
        items, count = _items(value)
        rows = [(name, shown(item)) for name, item in items]
    except Exception:  # noqa: BLE001 it is the user's, and may have an iteration of its own
        rows, count = [], 0
    if not rows:
        return [("value", shown(value))]
    return [*rows, *([("…", f"{count - ITEMS:,} more")] if count > ITEMS else [])]


def _items(value: object) -> tuple[list[tuple[str, object]], int]:
    """Return the first items of a collection, each with its name, and how many there are; of another value none."""
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value)
        return [(shown(key), item) for key, item in islice(pairs.items(), ITEMS)], len(pairs)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview):
        items = cast("Sequence[object]", value)
        return [(str(place), item) for place, item in enumerate(islice(items, ITEMS))], len(items)
    return [], 0
