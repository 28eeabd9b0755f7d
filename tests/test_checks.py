"""The check of a number that is chosen: its type, its range, and what is said of it."""

from __future__ import annotations

from typing import Any

import pytest

from rxsocket.checks import check_number

NAN = float("nan")


@pytest.mark.parametrize(
    ("number", "kind", "options"),
    [
        (1, int, {}),
        (5, int, {}),
        (5, int, {"high": 5}),
        (1, float, {}),
        (1.0, float, {}),
        (4.5, float, {"high": 5}),
        (1.001, float, {"above": True}),
        (None, int, {"optional": True}),
        (None, float, {"optional": True, "above": True, "high": 5}),
        (10**400, float, {}),
    ],
)
def test_what_fits_passes(number: object, kind: type[int | float], options: dict[str, Any]) -> None:
    check_number("size", number, kind, 1, **options)


@pytest.mark.parametrize(
    ("number", "kind", "options", "problem"),
    [
        ("1", int, {}, "size is an int, not str"),
        (1.0, int, {}, "size is an int, not float"),
        (True, int, {}, "size is an int, not bool"),
        (None, int, {}, "size is an int, not NoneType"),
        (1.0, int, {"optional": True}, "size is an int, or None, not float"),
        ("1", float, {}, "size is a number, not str"),
        (True, float, {}, "size is a number, not bool"),
        (1j, float, {"optional": True}, "size is a number, or None, not complex"),
    ],
)
def test_what_is_of_another_type_is_named(
    number: object, kind: type[int | float], options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(TypeError) as raised:
        check_number("size", number, kind, 1, **options)
    assert str(raised.value) == problem


@pytest.mark.parametrize(
    ("number", "kind", "options", "problem"),
    [
        (0, int, {}, "size is 1 or more, not 0"),
        (0, int, {"high": 5}, "size is from 1 to 5, not 0"),
        (6, int, {"high": 5}, "size is from 1 to 5, not 6"),
        (5.5, float, {"high": 5}, "size is from 1 to 5, not 5.5"),
        (1, float, {"above": True}, "size is over 1, not 1"),
        (6, float, {"above": True, "high": 5}, "size is over 1, up to 5, not 6"),
        (0, int, {"optional": True}, "size is 1 or more, or None, not 0"),
        (NAN, float, {}, "size is 1 or more, not nan"),
        (NAN, float, {"above": True, "high": 5}, "size is over 1, up to 5, not nan"),
        (float("inf"), float, {"high": 5}, "size is from 1 to 5, not inf"),
    ],
)
def test_what_is_out_of_range_is_named_with_the_range(
    number: object, kind: type[int | float], options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValueError, match=r"^size is") as raised:
        check_number("size", number, kind, 1, **options)
    assert str(raised.value) == problem
