"""The tables."""

from __future__ import annotations

from collections.abc import Iterator

from .peers import OURS, PEERS
from .results import Measured, Results, holds, middle, ratio
from .rows import Bar, Metric, Row

__all__ = ["reached", "show", "table"]

LABELS = {"dependencies": "reactivex, websocket-client, msgspec"}
LABEL_WIDTH = 42
STEPS = ((1e6, "M"), (1e3, "k"))


def show(number: float) -> str:
    """Return a number with three digits that count: 2.35 M, 84.1 k, 0.512."""
    for step, letter in STEPS:
        if abs(number) >= step:
            return f"{number / step:.3g} {letter}" if abs(number) < 999.5 * step else f"{number / step:.0f} {letter}"
    return f"{number:.3g}"


def table(row: Row, measured: Measured) -> Iterator[str]:
    """Give the lines of a row's table: who, what, the ratio of rxsocket to it, and the bar if there is one."""
    yield f"{row.title}  [{row.name}]"
    first = row.metrics[0]
    for peer in row.peers:
        label = LABELS.get(peer) or PEERS[peer].label
        rounds = measured.rounds.get(peer)
        if rounds:
            shown = [metric for metric in row.metrics if metric.name in rounds[0]]
            figures = ", ".join(f"{show(middle(rounds, metric))} {metric.unit}" for metric in shown)
            bars = [bar for bar in row.bars if (bar.peer or OURS) == peer]
            against = "" if peer == OURS else _ratio(measured, peer, first)
            yield f"  {label:{LABEL_WIDTH}}{figures:32}{against:>8}  {_bars(bars, measured)}".rstrip()
        elif peer in measured.missing:
            yield f"  {label:{LABEL_WIDTH}}{measured.missing[peer]}"


def _ratio(measured: Measured, peer: str, metric: Metric) -> str:
    times = ratio(measured, peer, metric)
    return "" if times is None else f"{show(times)}×"


def _bars(bars: list[Bar], measured: Measured) -> str:
    words = {True: "pass", False: "SHORT", None: "not measured"}
    parts: list[str] = []
    for bar in bars:
        sign = "≤" if bar.metric.lower else "≥"
        unit = f" {bar.metric.unit}" if bar.peer is None else "×"
        parts.append(f"bar {sign} {bar.limit:g}{unit}: {words[holds(bar, measured)]}")
    return ", ".join(parts)


def reached(rows: list[Row], results: Results) -> str:
    """Return how many bars are reached, in a line."""
    verdicts = [
        holds(bar, results.rows[row.name]) for row in rows if row.name in results.rows for bar in row.bars
    ]
    passed, short = verdicts.count(True), verdicts.count(False)
    return f"Bars: {passed} pass, {short} short, {verdicts.count(None)} not measured."
