"""One picture of the results, for the README."""
# ruff: noqa: RUF001 a ratio is written with a multiplication sign

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .peers import OURS, PEERS
from .report import show
from .results import Measured, Results, middle, ratio
from .rows import ROWS, Row

__all__ = ["PANELS", "draw"]

# Read on a white page and on a dark one: the background is the page's.
GREY = "#7d8187"
ACCENT = "#2f81f7"
PANELS = ("receive-text-100", "receive-chain", "echo", "send-bursts", "roundtrip", "idle")
COLUMNS = 2


def draw(results: Results, path: Path) -> None:
    """Draw the rows of the panels, each peer with its figure and what rxsocket's is to it."""
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": OURS, "text.color": GREY, "ytick.color": GREY}):
        figure = Figure(figsize=(11, 9), layout="constrained")
        panels = figure.subplots(-(-len(PANELS) // COLUMNS), COLUMNS)
        for panel, name in zip(panels.flat, PANELS, strict=True):
            _panel(panel, ROWS[name], results.rows[name])
        versions = ", ".join(f"{name} {version}" for name, version in results.versions.items() if name != OURS)
        brackets = "In brackets: rxsocket's figure as a multiple of the peer's."
        figure.text(0, -0.01, f"{brackets} {results.machine}. {versions}.", fontsize=6, va="top", wrap=True)
        figure.savefig(path, transparent=True, bbox_inches="tight", metadata={"Date": results.date})


def _panel(panel: Axes, row: Row, measured: Measured) -> None:
    metric = row.metrics[0]
    found = {peer: middle(rounds, metric) for peer, rounds in measured.rounds.items() if peer != "raw"}
    best_last = sorted(found, key=lambda peer: found[peer], reverse=metric.lower)
    bars = panel.barh(
        [PEERS[peer].label for peer in best_last],
        [found[peer] for peer in best_last],
        color=[ACCENT if peer == OURS else GREY for peer in best_last],
        height=0.7,
    )
    panel.bar_label(bars, [_said(measured, peer, row, found[peer]) for peer in best_last], padding=4, fontsize=8)
    better = "less is better" if metric.lower else "more is better"
    panel.set_title(f"{row.title}\n{metric.unit} ({better})", fontsize=9, loc="left")
    panel.set_xlim(0, max(found.values()) * 1.35)
    panel.set_xticks([])
    panel.tick_params(left=False, labelsize=8)
    panel.spines[:].set_visible(False)
    panel.get_yticklabels()[best_last.index(OURS)].set_color(ACCENT)


def _said(measured: Measured, peer: str, row: Row, figure: float) -> str:
    times = None if peer == OURS else ratio(measured, peer, row.metrics[0])
    return show(figure) if times is None else f"{show(figure)} (rxsocket {times:.2g}×)"
