"""The short form: a few rows beside websocket-client, held to ratios that were recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from . import report
from .peers import OURS
from .results import advantage, has_fallen, ratio
from .rows import CPU, P50, ROWS, Metric
from .runner import Runner, running

__all__ = ["SHORT", "Held", "hold", "read_recorded", "run"]

RECORDED = Path(__file__).with_name("recorded.json")
SECONDS: Final = 0.4
REPEAT: Final = 3


class Held(NamedTuple):
    """What a row of the short form is held by: a figure, beside that of a peer."""

    peer: str
    metric: Metric


# By CPU time where a client does nothing but work: so other programs on the machine disturb the ratios little.
SHORT = {
    "receive-text-100": Held("websocketapp", CPU),
    "receive-text-1k": Held("websocketapp", CPU),
    "receive-chain": Held("websocketapp+subject", CPU),
    "roundtrip": Held("websocket-client", P50),
    "send-one-thread": Held("websocket-client", CPU),
}
"""By the name of the row."""


def run(*, record: bool) -> int:
    """Measure how many times better than its peer rxsocket is, and record it, or compare it with what is recorded.

    Returns:
        The exit code: 1 if a row has fallen by a third or more.
    """
    with running("benchmarks.server") as server:
        runner = Runner(server, SECONDS, REPEAT, lambda _: None)
        if record:
            found = {name: _measure(runner, name) for name in SHORT}
            RECORDED.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
            print(f"recorded: {RECORDED}")
            return 0
        recorded = read_recorded()
        fallen = hold(recorded, lambda name: _measure(runner, name))
    for name, times in fallen.items():
        print(f"FALLEN BY A THIRD: {name} is {times:.2f} times as good, and {recorded[name]:.2f} is recorded")
    return 1 if fallen else 0


def read_recorded() -> dict[str, float]:
    """Return what is recorded: for each row how many times better than its peer rxsocket is."""
    return msgspec.json.decode(RECORDED.read_bytes(), type=dict[str, float])


def hold(recorded: Mapping[str, float], measure: Callable[[str], float]) -> dict[str, float]:
    """Return the rows that have fallen by a third or more, with what they are now.

    Each that falls short is measured once more before it counts, since other programs may have disturbed it.
    """
    fallen: dict[str, float] = {}
    for name, before in recorded.items():
        if has_fallen(before, measure(name)) and has_fallen(before, again := measure(name)):
            fallen[name] = again
    return fallen


def _measure(runner: Runner, name: str) -> float:
    row = ROWS[name]
    peer, metric = SHORT[name]
    measured = runner.measure(row, (OURS, peer))
    print(*report.table(row, measured), sep="\n")
    times = ratio(measured, peer, metric)
    if times is None:
        raise SystemExit(f"{name} could not be measured: {measured.missing}")
    times = advantage(metric, times)
    print(f"  By {metric.unit}: rxsocket is {times:.2f} times as good.\n", flush=True)
    return times
