"""What was measured, and the arithmetic of it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import msgspec

from .peers import OURS
from .rows import Bar, Metric

__all__ = ["Figures", "Measured", "Results", "advantage", "has_fallen", "holds", "middle", "ratio"]

FALL = 2 / 3  # of what is recorded is left

Figures = dict[str, float]
"""What a client said in one round, by the names of metrics."""


class Measured(msgspec.Struct):
    """A row of figures.

    Attributes:
        rounds: By peer, the figures of each round, in order.
        missing: By peer, why there are none.
    """

    rounds: dict[str, list[Figures]] = {}
    missing: dict[str, str] = {}


class Results(msgspec.Struct):
    """All that one run measured.

    Attributes:
        date: When, in UTC.
        machine: On what.
        versions: Of Python, Node and the peers.
        repeat: How many rounds.
        seconds: How long each measurement.
        rows: By the row's name.
    """

    date: str
    machine: str
    versions: dict[str, str]
    repeat: int
    seconds: float
    rows: dict[str, Measured] = {}


def middle(rounds: Sequence[Figures], metric: Metric) -> float:
    """Return the median of a figure over the rounds."""
    return median(figures[metric.name] for figures in rounds)


def ratio(measured: Measured, peer: str, metric: Metric) -> float | None:
    """Return the median of rxsocket's figure over a peer's, each pair of one round; None if either has none.

    Not the ratio of the medians: what disturbs the machine disturbs both figures of a round alike.
    """
    ours, theirs = measured.rounds.get(OURS), measured.rounds.get(peer)
    if not ours or not theirs:
        return None
    return median(our[metric.name] / their[metric.name] for our, their in zip(ours, theirs, strict=True))


def holds(bar: Bar, measured: Measured) -> bool | None:
    """Tell whether a bar is reached; None if that was not measured."""
    if bar.peer is None:
        rounds = measured.rounds.get(OURS)
        reached = middle(rounds, bar.metric) if rounds else None
    else:
        reached = ratio(measured, bar.peer, bar.metric)
    if reached is None:
        return None
    return reached <= bar.limit if bar.metric.lower else reached >= bar.limit


def advantage(metric: Metric, ratio: float) -> float:
    """Return how many times better than a peer a ratio says that rxsocket is."""
    return 1 / ratio if metric.lower else ratio


def has_fallen(recorded: float, now: float) -> bool:
    """Tell whether an advantage has fallen by a third or more."""
    return now <= recorded * FALL
