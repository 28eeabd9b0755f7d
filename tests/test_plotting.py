"""Plots: which points items make, which lines, and what a browser is told."""

import math
from array import array
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from reactivex.subject import Subject

from rxsocket.drawing import Note
from rxsocket.plotting import LINES, Plot


class Trade(msgspec.Struct, frozen=True):
    symbol: str
    price: float | None
    at: float = 0.0


class Drawn:
    """A plot of a subject."""

    def __init__(self, y, **options) -> None:
        self.stream: Subject[object] = Subject()
        self.plot = Plot(self.stream, y, **options)
        self.plot.start(lambda: None)

    def of(self, *items: object) -> dict[str, tuple[list[float], list[float]]]:
        """Send items, and return the points of all lines."""
        for item in items:
            self.stream.on_next(item)
        self.plot.absorb()
        content, (data,) = self.plot.frame(whole=True) or ({}, [b""])
        numbers = array("d")
        numbers.frombytes(data)
        found = {}
        for place, count, kept in content["lines"]:
            assert count == kept
            found[content["names"][place]] = (list(numbers[:count]), list(numbers[count : 2 * count]))
            numbers = numbers[2 * count :]
        return found


def test_a_field_is_drawn_over_the_time_at_which_items_came(monkeypatch):
    now = iter((10.0, 11.5))
    monkeypatch.setattr("rxsocket.picture.time.time", lambda: next(now))
    assert Drawn("price").of(Trade("A", 1), Trade("B", 2)) == {"price": ([10.0, 11.5], [1.0, 2.0])}


def test_y_is_a_field_a_function_or_several_with_their_names():
    def double(item: Trade) -> float:
        return 2 * item.price

    trade = Trade("A", 3.0, 4.0)
    assert list(Drawn(double).of(trade)) == ["double"]
    assert list(Drawn(lambda item: item.price).of(trade)) == ["y"]
    found = Drawn(["price", "at", lambda item: -item.price, lambda item: item.at]).of(trade)
    assert {name: ys for name, (_, ys) in found.items()} == {"price": [3], "at": [4], "y": [-3], "y 4": [4]}
    assert list(Drawn({"a": "price", "b": double}).of(trade)) == ["a", "b"]


def test_by_makes_a_line_for_each_value():
    found = Drawn("price", by="symbol").of(Trade("A", 1), Trade("B", 2), Trade("A", 3))
    assert {name: ys for name, (_, ys) in found.items()} == {"A": [1, 3], "B": [2]}
    found = Drawn(["price", "at"], by=lambda item: item.symbol).of(Trade("A", 1), Trade("B", 2))
    assert list(found) == ["A price", "A at", "B price", "B at"]


def test_there_are_only_so_many_lines_and_the_rest_is_told():
    drawn = Drawn("price", by="symbol")
    found = drawn.of(*(Trade(str(number), 1) for number in [*range(LINES + 2), 1, LINES]))
    assert list(found) == [str(number) for number in range(LINES)]
    content, _ = drawn.plot.frame(whole=True) or ({}, [])
    assert content["remark"] == "the first 12 lines are drawn; for 2 others there is no room"
    assert content["remark"] in drawn.plot.html()


def test_x_is_a_number_or_a_time():
    drawn = Drawn("price", x="at")
    assert drawn.of(Trade("A", 1, 7.0), Trade("A", 2, 5.0))["price"][0] == [7.0, 5.0]
    assert drawn.plot.frame(whole=True)[0]["axes"]["x"] == "at"
    drawn = Drawn("price", x=lambda item: datetime.fromtimestamp(item.at, UTC))
    assert drawn.of(Trade("A", 1, 1e9))["price"][0] == [1e9]
    assert drawn.plot.frame(whole=True)[0]["axes"]["x"] == ""


def test_none_and_nan_are_gaps():
    ys = Drawn("price").of(Trade("A", None), Trade("A", math.nan), Trade("A", 1))["price"][1]
    assert [math.isnan(each) for each in ys] == [True, True, False]


def test_the_window_is_points_or_seconds():
    items = [Trade("A", number, number) for number in range(50)]
    assert Drawn("price", window=5).of(*items)["price"][1] == [45, 46, 47, 48, 49]
    for window in (2.0, timedelta(seconds=2)):
        assert Drawn("price", x="at", window=window).of(*items)["price"][1] == [47, 48, 49]


@pytest.mark.parametrize("options", [{"window": 60_001}, {"by": "symbol", "window": 5001}, {"window": 1}])
def test_a_window_is_bounded(options):
    with pytest.raises(ValueError, match="window is from 2 to"):
        Plot(Subject(), "price", **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"y": 7}, TypeError, "y is a field's name, a function, or several"),
        ({"y": [7]}, TypeError, "y is a field's name, or a function of an item, not int"),
        ({"y": []}, ValueError, "y is from 1 to 12"),
        ({"y": "a", "by": 7}, TypeError, "by is a field's name"),
        ({"y": "a", "x": 7}, TypeError, "x is a field's name"),
        ({"y": "a", "window": 0.0}, ValueError, "window is over 0"),
        ({"y": "a", "window": timedelta(-1)}, ValueError, "window is over 0"),
        ({"y": "a", "window": "long"}, TypeError, "window is a number"),
    ],
)
def test_arguments_are_checked(options, error, message):
    with pytest.raises(error, match=message):
        Plot(Subject(), **options)


@pytest.mark.parametrize(
    ("y", "item", "message"),
    [
        ("size", Trade("A", 1), r"y='size': there is no such field in Trade\(symbol='A'"),
        ("size", {}, "y='size': there is no such field in {}"),
        ("symbol", Trade("<b>", 1), "symbol is a number, or None for a gap, not <b>"),
        (lambda item: item / 0, 1, "division by zero"),
    ],
)
def test_what_is_no_value_raises_and_says_what(y, item, message):
    with pytest.raises((LookupError, TypeError, ZeroDivisionError), match=message):
        Drawn(y).of(item)


def test_a_frame_has_only_what_is_new_and_there_is_none_without():
    drawn = Drawn("price", by="symbol", title="trades", unit="EUR")
    drawn.of(Trade("A", 1), Trade("B", 2))
    assert drawn.plot.frame(whole=False) is None
    drawn.stream.on_next(Trade("B", 3))
    drawn.plot.absorb()
    content, (data,) = drawn.plot.frame(whole=False) or ({}, [b""])
    assert content["lines"] == [(1, 1, 2)]
    assert len(data) == 16
    assert content["axes"] == {"title": "trades", "unit": "EUR", "x": ""}


def test_a_frame_with_all_is_no_more_than_a_server_lets_through_in_a_second():
    drawn = Drawn({str(number): float for number in range(LINES)}, window=5000)
    for _ in range(6000):
        drawn.stream.on_next(1)
        if len(drawn.plot._source._waiting) == 1000:
            drawn.plot.absorb()
    drawn.plot.absorb()
    assert 900_000 < len(drawn.plot.frame(whole=True)[1][0]) < 1_000_000


def test_its_words_are_the_last_values_and_its_html_an_image():
    drawn = Drawn("price", by="symbol", title="<b>", unit="EUR")
    assert drawn.plot.text() == "plot of <b>"
    drawn.of(Trade("A", 1.25), Trade("<i>", None))
    assert drawn.plot.text() == "plot of <b>: A 1.25 EUR"
    drawn.plot.note = Note("stopped", "over")
    html = drawn.plot.html()
    assert html.startswith("<p><b>&lt;b&gt;</b></p><img src=")
    assert html.endswith("stopped</p>")


def test_its_end_is_its_streams():
    drawn = Drawn("price")
    assert drawn.plot.end is None
    drawn.stream.on_completed()
    assert drawn.plot.end == Note("completed", "over")
