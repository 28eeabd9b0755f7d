"""A message as one line of a terminal, or a field of it."""

from __future__ import annotations

import base64
import re
from typing import Literal, TypeAlias, cast

import msgspec

__all__ = ["BinaryForm", "Path", "field", "parse_path", "printable", "shown"]

BinaryForm: TypeAlias = Literal["hex", "base64"]
"""How the bytes of a binary message are written."""

Path: TypeAlias = tuple[str | int, ...]
"""Where a field is: keys of objects, and indices of arrays."""

_NOTHING = object()
_STEP = re.compile(r"(?:^|\.)(?P<key>[^.\[\]]+)|\[(?P<index>-?\d+)\]")


def printable(text: str) -> str:
    r"""Return a text as one line that a terminal takes for text: what is not to be seen is escaped, as in ``\x1b``.

    So nobody on the network moves the cursor, sets the title, turns the direction of writing, or adds a line.
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def shown(message: str | bytes, form: BinaryForm = "hex") -> str:
    """Return a message as a line."""
    if isinstance(message, str):
        return printable(message)
    return message.hex() if form == "hex" else base64.b64encode(message).decode()


def parse_path(text: str) -> Path:
    """Read where a field is: ``data.price``, ``items[0].id``, ``[1]``; ``.`` is all of the message.

    Raises:
        ValueError: It is no such path.
    """
    steps: list[str | int] = []
    position = 0
    while text != "." and position < max(len(text), 1):
        step = _STEP.match(text, position)
        if step is None:
            raise ValueError(f"a path is such as data.price, items[0].id or . for all, not {text!r}")
        steps.append(step["key"] if step["index"] is None else int(step["index"]))
        position = step.end()
    return tuple(steps)


def field(message: str | bytes, path: Path) -> str:
    """Return a field of a message in JSON as a line: a text as it is, all else as JSON.

    Raises:
        LookupError: The message has no such field, or is no JSON; the text says what is missing.
    """
    try:
        value: object = msgspec.json.decode(message)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise LookupError(f"it is no JSON ({error})") from None
    for count, step in enumerate(path, 1):
        if isinstance(step, str):
            found = cast("dict[str, object]", value).get(step, _NOTHING) if isinstance(value, dict) else _NOTHING
        else:
            items = cast("list[object]", value) if isinstance(value, list) else []
            found = items[step] if -len(items) <= step < len(items) else _NOTHING
        if found is _NOTHING:
            raise LookupError(f"it has no {_spelled(path[:count])}")
        value = found
    return printable(value if isinstance(value, str) else msgspec.json.encode(value).decode())


def _spelled(path: Path) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
