"""Points of lines: what is kept, what is new, what a picture shows of many, and round numbers."""

import math
import random
from array import array

import pytest

from rxsocket.series import Line, thinned, ticks


class Copy:
    """Keeps what a browser does: appends what is new, and as many as it is told."""

    def __init__(self) -> None:
        self.xs = array("d")
        self.ys = array("d")

    def take(self, line: Line, *, whole: bool = False) -> int:
        count, data = line.news(whole=whole)
        points = array("d")
        points.frombytes(data)
        assert len(points) == 2 * count
        if whole:
            self.xs, self.ys = array("d"), array("d")
        self.xs = (self.xs + points[:count])[-len(line) :]
        self.ys = (self.ys + points[count:])[-len(line) :]
        return count


@pytest.mark.parametrize("span", [None, 40.0])
def test_a_copy_that_is_told_what_is_new_is_the_same(span):
    chance = random.Random(1)  # noqa: S311 no secret
    line, copy = Line("a", 500, span), Copy()
    x = 0.0
    for _ in range(400):
        for _ in range(chance.choice([0, 1, 3, 90])):
            x += chance.random()
            line.append(x, chance.random())
        copy.take(line, whole=chance.random() < 0.01)
        assert (copy.xs, copy.ys) == (line.xs, line.ys)
    assert len(line) == (500 if span is None else sum(each >= x - 40 for each in line.xs))


def test_only_the_newest_points_are_kept():
    line = Line("a", 3)
    for number in range(5000):
        line.append(number, -number)
    assert list(line.xs) == [4997, 4998, 4999]
    assert list(line.ys) == [-4997, -4998, -4999]
    assert line.last == -4999
    assert len(line._xs) < 2100  # the memory of the others is given back
    assert line.news(whole=False)[0] == 3


def test_points_that_are_too_far_behind_the_newest_are_let_go():
    line = Line("a", 100, 10.0)
    for x in (0.0, 5.0, 9.0, 14.0, 19.0):
        line.append(x, x)
    assert list(line.xs) == [9.0, 14.0, 19.0]


def test_what_was_told_is_not_told_again_and_all_are_on_demand():
    line = Line("a", 10)
    assert line.news(whole=True) == (0, b"")
    line.append(1, 2)
    assert line.news(whole=False)[0] == 1
    assert line.news(whole=False)[0] == 0
    assert line.news(whole=True) == (1, array("d", [1, 2]).tobytes())


def test_a_line_without_points_has_no_last_value():
    assert math.isnan(Line("a", 2).last)


def test_of_many_points_each_column_keeps_its_least_and_greatest():
    chance = random.Random(2)  # noqa: S311 no secret
    xs = [number / 100 for number in range(10_000)]
    ys = [chance.random() for _ in xs]
    ys[4321], ys[8765] = 7.0, -7.0
    found = thinned(xs, ys, 100)
    assert len(found) <= 200 + 2
    assert max(found, key=lambda point: point[1]) == (43.21, 7.0)
    assert min(found, key=lambda point: point[1]) == (87.65, -7.0)
    assert found == sorted(found)


def test_gaps_are_kept_and_few_points_are_all_kept():
    xs = list(range(1000))
    ys = [math.nan if number == 500 else float(number) for number in xs]
    found = thinned(xs, ys, 10)
    assert sum(math.isnan(y) for _, y in found) == 1
    assert len(thinned(xs, ys, 500)) == 1000


def test_points_that_all_stand_in_one_place_are_thinned_too():
    assert thinned([1.0] * 100, [float(number) for number in range(100)], 10) == [(1.0, 0.0), (1.0, 99.0)]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (97, 131, [100, 110, 120, 130]),
        (-1e-5, 1e-5, [-1e-5, -5e-6, 0, 5e-6, 1e-5]),
        (0, 5e9, [0, 1e9, 2e9, 3e9, 4e9, 5e9]),
        (3, 3, [3]),
        (0.29, 0.71, [0.3, 0.4, 0.5, 0.6, 0.7]),
    ],
)
def test_ticks_are_round_and_within_the_range(low, high, expected):
    assert ticks(low, high, 5) == expected
