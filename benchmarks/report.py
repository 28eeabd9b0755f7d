"""The tables."""
# ruff: noqa: RUF001 a ratio is written with a multiplication sign

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .peers import OURS, PEERS
from .results import Measured, Results, holds, middle, ratio
from .rows import Bar, Metric, Row

__all__ = ["reached", "show", "table"]

LABELS = {"dependencies": "reactivex, websocket-client, msgspec"}
LABEL_WIDTH = 42
CELL_WIDTH = 18


def show(number: float) -> str:
    """Return a number with the digits that count: 2.35 M, 84.1 k, 2,750, 0.51."""
    if abs(number) >= 1e6:  # noqa: PLR2004
        return f"{number / 1e6:.3g} M"
    if abs(number) >= 1e4:  # noqa: PLR2004
        return f"{number / 1e3:.3g} k"
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"  # noqa: PLR2004


def table(row: Row, measured: Measured) -> Iterator[str]:
    """Give the lines of a row's table: who, what, the ratio of rxsocket to it, and the bar if there is one."""
    metrics = [metric for metric in row.metrics if any(metric.name in rounds[0] for rounds in measured.rounds.values())]
    yield f"{row.title}  [{row.name}]"
    yield _line("", [metric.unit for metric in metrics], "rxsocket is")
    for peer in row.peers:
        label = LABELS.get(peer) or PEERS[peer].label
        rounds = measured.rounds.get(peer)
        if rounds:
            figures = [show(middle(rounds, metric)) if metric.name in rounds[0] else "" for metric in metrics]
            against = "" if peer == OURS else _ratio(measured, peer, row.metrics[0])
            bars = [bar for bar in row.bars if (bar.peer or OURS) == peer]
            yield _line(label, figures, against, _bars(bars, measured))
        elif peer in measured.missing:
            yield f"  {label:{LABEL_WIDTH}}  {measured.missing[peer]}"


def _line(label: str, cells: Iterable[str], against: str, note: str = "") -> str:
    figures = "".join(f"{cell:>{CELL_WIDTH}}" for cell in cells)
    return f"  {label:{LABEL_WIDTH}}{figures}{against:>{CELL_WIDTH}}  {note}".rstrip()


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
    verdicts = [holds(bar, results.rows[row.name]) for row in rows if row.name in results.rows for bar in row.bars]
    passed, short = verdicts.count(True), verdicts.count(False)
    return f"Bars: {passed} pass, {short} short, {verdicts.count(None)} not measured."
