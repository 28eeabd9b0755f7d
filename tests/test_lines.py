"""A message as one line, which no terminal obeys, and a field of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxsocket.lines import field, parse_path, printable, shown


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain, and größer 🙂", "plain, and größer 🙂"),
        ("\x1b[2J\x07", r"\x1b[2J\x07"),
        ("a\nb\r\tc\x7f", r"a\nb\r\tc\x7f"),
        ("\x9b2J\u202e\u2028\u2066", r"\x9b2J\u202e\u2028\u2066"),
        ("\U000e0001", r"\U000e0001"),
        ("", ""),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text, line):
    assert printable(text) == shown(text) == line


@given(st.text())
def test_any_text_is_one_line_of_what_can_be_seen(text):
    assert printable(text).isprintable()


def test_binary_is_hex_or_base64():
    assert (shown(b"\0\xff"), shown(b"\0\xff", "base64")) == ("00ff", "AP8=")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (".", ()),
        ("price", ("price",)),
        (".price", ("price",)),
        ("data.price", ("data", "price")),
        ("items[0].id", ("items", 0, "id")),
        ("[1][-1]", (1, -1)),
        ("a b.c-d", ("a b", "c-d")),
        ("0", ("0",)),
    ],
)
def test_a_path_is_of_keys_and_indices(text, path):
    assert parse_path(text) == path


@pytest.mark.parametrize("text", ["", "a.", "a..b", "a[", "a[]", "a[x]", "a]b", "[0]a", "a[1.5]"])
def test_what_is_no_path_says_what_one_is(text):
    with pytest.raises(ValueError, match=r"a path is such as data\.price"):
        parse_path(text)


MESSAGE = json.dumps({"data": {"price": 1.5, "name": "a\nb", "none": None}, "items": [{"id": 7}, "x"]})


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("data.price", "1.5"),
        ("data.name", r"a\nb"),
        ("data.none", "null"),
        ("items[0].id", "7"),
        ("items[-1]", "x"),
        ("items[0]", '{"id":7}'),
        (".", '{"data":{"price":1.5,"name":"a\\nb","none":null},"items":[{"id":7},"x"]}'),
    ],
)
def test_a_field_is_found(path, line):
    assert field(MESSAGE, parse_path(path)) == field(MESSAGE.encode(), parse_path(path)) == line


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ("data.size", "data.size"),
        ("data.price.x", "data.price.x"),
        ("data[0]", "data[0]"),
        ("items[2].id", "items[2]"),
        ("items[-3]", "items[-3]"),
        ("items.id", "items.id"),
    ],
)
def test_a_field_that_is_not_there_is_named(path, missing):
    with pytest.raises(LookupError) as raised:
        field(MESSAGE, parse_path(path))
    assert raised.value.args == (f"it has no {missing}",)


@pytest.mark.parametrize("message", ["hello", "", b"\xff", '"\ud800', "[" * 100_000, '"' + "x" * 9])
def test_what_is_no_json_says_so(message):
    with pytest.raises(LookupError, match="it is no JSON"):
        field(message, ())
