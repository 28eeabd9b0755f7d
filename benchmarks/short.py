"""The short form: a few rows beside websocket-client, held to ratios that were recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from . import report
from .peers import OURS
from .results import advantage, has_fallen, ratio
from .rows import ROWS
from .runner import Runner, running

__all__ = ["run"]

RECORDED = Path(__file__).with_name("recorded.json")
SECONDS: Final = 0.4
REPEAT: Final = 3
SHORT = {
    "receive-text-100": "websocketapp",
    "receive-text-1k": "websocketapp",
    "receive-chain": "websocketapp+subject",
    "roundtrip": "websocket-client",
    "send-one-thread": "websocket-client",
}
"""The peer of each row."""


def run(*, record: bool) -> int:
    """Measure, and record how many times better than the peer rxsocket is, or compare with what is recorded.

    A row that falls short is measured once more before it counts, since other programs may have disturbed it.

    Returns:
        The exit code: 1 if a row has fallen by a third or more.
    """
    recorded: dict[str, float] = {} if record else msgspec.json.decode(RECORDED.read_bytes(), type=dict[str, float])
    found: dict[str, float] = {}
    with running("benchmarks.server") as server:
        runner = Runner(server, SECONDS, REPEAT, lambda _: None)
        for name in SHORT:
            found[name] = _measure(runner, name)
            if not record and has_fallen(recorded[name], found[name]):
                print(f"  {found[name]:.2f} times as good, and {recorded[name]:.2f} is recorded: once more\n")
                found[name] = _measure(runner, name)
    if record:
        RECORDED.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
        print(f"recorded: {RECORDED}")
        return 0
    fallen = [name for name in SHORT if has_fallen(recorded[name], found[name])]
    for name in SHORT:
        verdict = "FALLEN BY A THIRD" if name in fallen else "holds"
        print(f"{name:20} {found[name]:6.2f} times as good, recorded {recorded[name]:6.2f}: {verdict}")
    return 1 if fallen else 0


def _measure(runner: Runner, name: str) -> float:
    row = ROWS[name]
    measured = runner.measure(row, (OURS, SHORT[name]))
    print(*report.table(row, measured), "", sep="\n", flush=True)
    metric = row.metrics[0]
    times = ratio(measured, SHORT[name], metric)
    if times is None:
        raise SystemExit(f"{name} could not be measured: {measured.missing}")
    return advantage(metric, times)
