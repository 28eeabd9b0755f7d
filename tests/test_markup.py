"""What a notebook shows: text is text, whatever it says, and short, whatever it is of."""

from __future__ import annotations

import time
from collections import UserDict, deque
from xml.etree import ElementTree as ET

import pytest
from pictures import cells

from rxsocket.markup import ITEMS, LONG, TEXT, dot, figures, plain, shown, table, values


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "&lt;b&gt;", "'", "</td></table>"]
)
def test_what_is_shown_is_text_and_no_markup(text: str) -> None:
    html = table(text, [(text, text)])
    assert cells(html) == [[text], [text, text]]
    assert {element.tag for element in ET.fromstring(html).iter()} == {"table", "tr", "th", "td"}  # noqa: S314


@pytest.mark.parametrize(
    ("character", "escape"),
    [
        ("\x00", r"\x00"),
        ("\n", r"\n"),
        ("\x1b", r"\x1b"),
        ("\x9b", r"\x9b"),
        ("\u202e", r"\u202e"),
        ("\u2066", r"\u2066"),
        ("\u200b", r"\u200b"),
        ("\u2028", r"\u2028"),
        ("\ufeff", r"\ufeff"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_cant_be_seen_or_turns_text_around_is_an_escape(character: str, escape: str) -> None:
    assert plain(f"a{character}b") == f"a{escape}b"
    html = table("", [("", f"a{character}b")])
    assert html.encode()
    assert cells(html)[1][1] == f"a{escape}b"


def test_letters_of_all_languages_stay_as_they_are() -> None:
    text = "Ä 語 עברית 🚀 é"
    assert plain(text) == text


def test_a_long_text_is_cut() -> None:
    assert plain("a" * TEXT) == "a" * TEXT
    assert plain("a" * (TEXT + 1)) == "a" * (TEXT - 1) + "…"
    assert len(table("t" * 10**6, [("n" * 10**6, "<" * 10**6)])) < 4 * LONG + 2 * TEXT + 500


@pytest.mark.parametrize(
    "value",
    [
        "x" * 10**6,
        b"x" * 10**6,
        ["x" * 10**6] * 9,
        dict.fromkeys(range(9), "x" * 10**6),
        10**5000,
        deque([1] * 10**6),
    ],
    ids=["text", "bytes", "list", "dict", "int", "deque"],
)
def test_a_large_value_is_cut_and_quickly(value: object) -> None:
    start = time.perf_counter()
    assert len(shown(value)) <= TEXT
    assert time.perf_counter() - start < 0.5


def test_a_dict_is_shown_in_its_own_order() -> None:
    assert shown({"b": 1, "a": {"d": 1, "c": 2}}) == "{'b': 1, 'a': {'d': 1, 'c': 2}}"
    assert shown(dict.fromkeys(range(9, 0, -1))).startswith("{9: None, 8: None")
    assert shown({"b": {"a": {"d": {"c": {"e": 1}}}}}).count("...") == 1


def test_a_value_whose_repr_raises_harms_nothing() -> None:
    class Bad:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    class Worse(UserDict[str, str]):
        def __len__(self) -> int:
            raise RuntimeError("no")

        __repr__ = Bad.__repr__

    assert "Bad" in shown(Bad())
    assert "Bad" in values([Bad()])[0][1]
    assert "Worse" in values(Worse())[0][1]


def test_of_many_items_the_first_few_are_shown_and_how_many_more_there_are() -> None:
    assert values([10, 20]) == [("0", "10"), ("1", "20")]
    assert values({"a": 1}) == [("'a'", "1")]
    assert values(list(range(1000)))[-1] == ("…", "995 more")
    assert len(values(list(range(1000)))) == ITEMS + 1
    for other in ("text", b"bytes", 5, None, [], {}):
        assert values(other) == [("value", repr(other))]


def test_a_dot_is_for_the_eye_alone() -> None:
    html = table("Session", [("state", "Open")], "good")
    assert cells(html) == [["● Session"], ["state", "Open"]]
    assert 'aria-hidden="true"' in html
    assert len({dot(mood) for mood in ("good", "busy", "bad", "over")}) == 4


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.00042, "0.42 ms"),
        (0.5, "500 ms"),
        (12.3, "12 s"),
        (119, "119 s"),
        (600, "10 min"),
        (9000, "2 h"),
        (1e6, "12 d"),
    ],
)
def test_a_time_has_its_unit(seconds: float, text: str) -> None:
    assert figures(seconds) == text
