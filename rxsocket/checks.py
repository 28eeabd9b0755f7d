"""What a number may be that is chosen: for an endpoint, its compression, or its tries to connect again."""

from __future__ import annotations

__all__ = ["MAX_SECONDS", "check_number", "check_speed"]

MAX_SECONDS = 1_000_000  # over a week; some systems can't wait for more than 24 days at once


def check_number(
    name: str,
    number: object,
    kind: type[int | float],
    low: float,
    high: int | None = None,
    *,
    above: bool = False,
    optional: bool = False,
) -> None:
    """Raise if something is not a number of a kind and in a range; a bool is none.

    Args:
        name: What it is, as the message begins.
        number: What is given.
        kind: int, or float for an int as well.
        low: The least.
        high: The most; None where there is no such limit.
        above: Whether it must be more than ``low``.
        optional: Whether it may be None, too.

    Raises:
        TypeError: It is of another type.
        ValueError: It is out of the range.
    """
    if optional and number is None:
        return
    or_none = ", or None" if optional else ""
    if isinstance(number, bool) or not isinstance(number, int | float if kind is float else int):
        a_kind = "a number" if kind is float else "an int"
        raise TypeError(f"{name} is {a_kind}{or_none}, not {type(number).__name__}")
    # As it is put, nan is in no range.
    if not (low < number if above else low <= number) or not (high is None or number <= high):
        if above:
            limits = f"over {low}" if high is None else f"over {low}, up to {high}"
        else:
            limits = f"{low} or more" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name} is {limits}{or_none}, not {number}")


def check_speed(speed: object) -> None:
    """Raise if something is no speed to play at: a number from 0.01, since no clock waits for ever, or None."""
    check_number("speed", speed, float, 0.01, optional=True)
