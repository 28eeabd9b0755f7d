"""Items of all kinds as rows: their columns, and texts that are cut and in one line."""

import time
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import pytest

from rxsocket.messages import MessageEvent
from rxsocket.tables import ONLY, cells, columns_of, field_of, in_words, keyed, shown


class Trade(msgspec.Struct):
    symbol: str
    price: float


@dataclass
class Quote:
    symbol: str
    bid: float


class Pair(NamedTuple):
    left: object
    right: object


class Evil:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (Trade("A", 1.5), {"symbol": "A", "price": "1.5"}),
        (Quote("A", 1.5), {"symbol": "A", "bid": "1.5"}),
        ({"symbol": "A", 3: None}, {"symbol": "A", "3": "None"}),
        (Pair(1, "x"), {"left": "1", "right": "x"}),
        ((1, 2.5), {"0": "1", "1": "2.5"}),
        ("text", {ONLY: "text"}),
        (7, {ONLY: "7"}),
        ({}, {ONLY: "{}"}),
        (MessageEvent("hello", 2), {"data": "hello", "connection": "2"}),
    ],
)
def test_an_items_fields_are_its_columns(item, expected):
    assert cells(item) == expected


def test_columns_that_are_asked_for_are_those_and_what_has_none_is_empty():
    assert cells(Trade("A", 1.5), ["price", "size"]) == {"price": "1.5", "size": ""}
    assert cells(("a", "b"), ["1", "5", "no"]) == {"1": "b", "5": "", "no": ""}
    assert cells({"a": 1}, ["a", "b"]) == {"a": "1", "b": ""}


def test_of_many_fields_the_first_are_shown():
    wide = {f"field {number}": number for number in range(10_000)}
    assert list(cells(wide)) == [f"field {number}" for number in range(12)]
    assert columns_of([{"a": ""}, {"b": "", "a": ""}, cells(wide)])[:3] == ["a", "b", "field 0"]
    assert len(columns_of([{"a": ""}, cells(wide)])) == 12


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x" * 1_000_000, "x" * 119 + "… (1,000,000 characters)"),
        (b"\x00" * 1_000_000, repr(b"\x00" * 30) + "… (1,000,000 bytes)"),
        (bytearray(b"ab"), "b'ab'"),
        (memoryview(bytes(1_000_000)), "<memory of 1,000,000 bytes>"),
        ("two\nlines\x00 \u202e and \ud800", "two\\nlines\\x00 \\u202e and \\ud800"),
        (0.1 + 0.2, "0.3"),
        (float("nan"), "nan"),
        ([1] * 1000, "[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, ...]"),
        (Trade("A", 2.0), "Trade(symbol='A', price=2.0)"),
    ],
)
def test_a_text_is_one_line_and_cut(value, expected):
    assert shown(value) == expected


def test_what_has_no_repr_is_shown_all_the_same():
    assert shown(Evil()).startswith("<Evil instance at ")
    assert shown([Evil()]).startswith("[<Evil instance at ")
    assert shown(10**5000).startswith(("<a int, whose repr raised ValueError>", "<int instance"))


def test_large_values_within_others_cost_little():
    large = {"text": "x" * 10_000_000, "data": bytes(10_000_000), "list": [Trade("y" * 10_000_000, 1.0)] * 100_000}
    begin = time.process_time()
    for _ in range(100):
        text = shown(large)
    assert time.process_time() - begin < 1.0
    assert len(text) < 300


def test_fields_of_items():
    assert field_of(Trade("A", 1.5), "price") == 1.5
    assert field_of({"price": 2}, "price") == 2
    assert field_of(("a", "b"), "1") == "b"
    assert field_of(Pair(1, 2), "right") == 2
    for item, error in ((Trade("A", 1), AttributeError), ({}, LookupError), ((), LookupError), ([1], LookupError)):
        with pytest.raises(error):
            field_of(item, "9")


def test_parts_of_values_are_known_by_keys_ids_places_or_fields():
    class Entity(msgspec.Struct):
        id: int
        name: str

    assert keyed({"a": 1, "b": 2}, 1) == ([("a", 1)], 2)
    assert keyed([Entity(7, "x")], 5) == ([("7", Entity(7, "x"))], 1)
    assert keyed([{"id": "k"}, {}], 5) == ([("k", {"id": "k"}), ("1", {})], 2)
    assert keyed(["x", "y"], 5) == ([("0", "x"), ("1", "y")], 2)
    assert keyed(Trade("A", 1.0), 5) == ([("symbol", "A"), ("price", 1.0)], 2)
    assert keyed(Pair(1, 2), 5) == ([("left", 1), ("right", 2)], 2)
    assert keyed(17, 5) == ([("", 17)], 1)
    assert keyed([], 5) == ([("", [])], 1)


def test_counts_in_words():
    assert [in_words(1, "part"), in_words(1200, "part"), in_words(2, "other", "others")] == [
        "1 part",
        "1,200 parts",
        "2 others",
    ]
