"""Items of any kind as rows of text, which is cut: so whatever comes costs little to show."""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, cast

import msgspec

from .markup import plain

__all__ = ["ONLY", "cells", "columns_of", "field_of", "in_words", "keyed", "shown"]

CELL = 120  # characters of an item, or of one of its fields
FIELDS = 12  # columns of a table
ONLY = ""
"""The column of items that have no fields."""


class _Repr(reprlib.Repr):
    """The beginning of a repr, which looks at no more of a large value than it shows."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = CELL
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxdeque = self.maxarray = FIELDS
        self.maxlevel = 4

    def repr1(self, x: Any, level: int) -> str:  # noqa: ANN401 as its base has it
        match x:
            case bytes() | bytearray():
                return _bytes(x)
            case memoryview():
                return f"<memory of {x.nbytes:,} bytes>"
            case msgspec.Struct():
                return self._of_fields(x, level)
            case _ if dataclasses.is_dataclass(x) and not isinstance(x, type):
                return self._of_fields(x, level)
            case _:
                return super().repr1(x, level)

    def _of_fields(self, x: object, level: int) -> str:
        if level <= 0:
            return f"{type(x).__name__}({self.fillvalue})"
        found = [f"{name}={self.repr1(value, level - 1)}" for name, value in islice(_pairs(x), FIELDS)]
        return f"{type(x).__name__}({', '.join(found)})"


_repr = _Repr()


def shown(value: object) -> str:
    """Return some text for a value, of about 120 characters at the most; also where its repr raises."""
    if isinstance(value, str):
        text = plain(value, CELL)
        return f"{text} ({len(value):,} characters)" if len(value) > CELL else text
    if isinstance(value, bytes | bytearray):
        return _bytes(value)
    if isinstance(value, float):
        return f"{value:.10g}"
    try:
        text = _repr.repr(value)
    except Exception as error:  # noqa: BLE001 a repr of the user's may raise anything
        text = f"<a {type(value).__name__}, whose repr raised {type(error).__name__}>"
    return plain(text, CELL)


def _bytes(data: bytes | bytearray) -> str:
    begin = repr(bytes(data[: CELL // 4]))
    return f"{begin}… ({len(data):,} bytes)" if len(data) > CELL // 4 else begin


def _pairs(item: object) -> Iterator[tuple[str, object]]:
    """The fields of an item with their values; none of one that has no fields."""
    match item:
        case msgspec.Struct():
            return ((name, getattr(item, name)) for name in item.__struct_fields__)
        case Mapping():
            named = cast("Mapping[object, object]", item)
            return ((shown(name), value) for name, value in named.items())
        case tuple() if (names := _names(cast("object", item))) is not None:
            return zip(names, cast("Sequence[object]", item), strict=True)
        case tuple() | list():
            return ((str(place), value) for place, value in enumerate(cast("Sequence[object]", item)))
        case _ if dataclasses.is_dataclass(item) and not isinstance(item, type):
            return ((each.name, getattr(item, each.name)) for each in dataclasses.fields(item))
        case _:
            return iter(())


def _names(item: object) -> Sequence[str] | None:
    """Those of a named tuple; None of all else."""
    return getattr(item, "_fields", None)


def cells(item: object, columns: Sequence[str] | None = None) -> dict[str, str]:
    """Return the text of each of an item's columns; None for its own first 12."""
    if columns is None:
        return {name: shown(value) for name, value in islice(_pairs(item), FIELDS)} or {ONLY: shown(item)}
    return {name: shown(item if name == ONLY else _or_none(item, name)) for name in columns}


def _or_none(item: object, name: str) -> object:
    try:
        return field_of(item, name)
    except (AttributeError, LookupError, ValueError):
        return ""


def field_of(item: object, name: str) -> object:
    """Return a field of an item.

    Raises:
        AttributeError: It has no such attribute.
        LookupError: It is a mapping without such a key, or a sequence without such a place.
        ValueError: It is a sequence, and that is no place.
    """
    match item:
        case Mapping():
            return cast("Mapping[object, object]", item)[name]
        case tuple() | list() if _names(cast("object", item)) is None:
            return cast("Sequence[object]", item)[int(name)]
        case _:
            return getattr(item, name)


def keyed(value: object, count: int) -> tuple[list[tuple[str, object]], int]:
    """Return the first parts of a value, each with what it is known by, and how many there are in all.

    Those of a mapping are known by their keys, of a list by their ``id``, or else their places, of what has fields by
    these. What has no parts is one.
    """
    match value:
        case Mapping() if value:
            named = cast("Mapping[object, object]", value)
            return [(shown(key), part) for key, part in islice(named.items(), count)], len(named)
        case list() | tuple() if value and _names(cast("object", value)) is None:
            parts = cast("Sequence[object]", value)
            return [(_key(part, place), part) for place, part in enumerate(parts[:count])], len(parts)
        case _:
            pairs = list(islice(_pairs(value), count))
            return pairs or [("", value)], len(pairs) or 1


def _key(part: object, place: int) -> str:
    try:
        found = field_of(part, "id")
    except (AttributeError, LookupError, ValueError):
        found = None
    return str(place) if found is None else shown(found)


def in_words(count: int, one: str, many: str | None = None) -> str:
    """Return a count with what is counted."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def columns_of(rows: Iterable[Mapping[str, str]]) -> list[str]:
    """Return the columns of some rows, each once, in the order in which they came, 12 at the most."""
    found = dict.fromkeys(name for row in rows for name in row)
    return list(islice(found, FIELDS))
