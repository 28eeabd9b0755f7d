"""The command line: ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from . import report, short
from .peers import OURS, PEERS
from .results import Results
from .rows import ROWS, Row
from .runner import Runner, running

FOLDER = Path(__file__).parent
FIGURE = FOLDER.parent / ".readme" / "benchmarks.svg"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit code: 0 for success, 1 when the short form found that a ratio has fallen, 2 for a selection of
        nothing, and for a figure that can't be drawn.
    """
    arguments = _parser().parse_args(argv)
    if arguments.list:
        _list()
        return 0
    if arguments.short or arguments.record:
        return short.run(record=arguments.record)
    if arguments.figure:
        return _draw(arguments.output)
    rows = [row for name, row in ROWS.items() if not arguments.rows or name.startswith(arguments.rows)]
    if not rows:
        print("no row has such a name: --list shows them", file=sys.stderr)
        return 2
    results = Results(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=f"{platform.system()}, {platform.machine()}, {os.cpu_count()} CPUs",
        versions=_versions(),
        repeat=arguments.repeat,
        seconds=arguments.seconds,
    )
    with running("benchmarks.server") as server:
        runner = Runner(server, arguments.seconds, arguments.repeat, _tell)
        for row in rows:
            results.rows[row.name] = measured = runner.measure(row, _chosen(row, arguments.peers))
            _tell("")
            print(*report.table(row, measured), "", sep="\n", flush=True)
            arguments.output.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1))
    print(report.reached(rows, results))
    print(f"saved: {arguments.output}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure rxsocket side by side with its peers, in turn and repeated. The figures are medians; a "
        "ratio is the median of rxsocket's figure over the peer's, of the same round.",
        epilog="Needs the extra: pip install -e '.[benchmark]'; and Node with npm for RxJS. What is not installed is "
        "left out. The short form needs the extra test alone.",
    )
    parser.add_argument("--list", action="store_true", help="show the rows, and the peers of each")
    parser.add_argument(
        "--rows", type=_names, default=(), metavar="NAME,...", help="only rows whose names begin so (default: all)"
    )
    parser.add_argument(
        "--peers",
        type=_peers,
        default=(),
        metavar="NAME,...",
        help="only these peers, beside rxsocket; picows is picows+subject, too (default: all)",
    )
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="rounds (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=0.5, metavar="S", help="seconds of each measurement (default: %(default)s)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=FOLDER / "results.json",
        metavar="FILE.json",
        help="where the results are (default: benchmarks/results.json)",
    )
    parser.add_argument(
        "--figure", action="store_true", help="measure nothing: draw .readme/benchmarks.svg of the results"
    )
    parser.add_argument(
        "--short",
        action="store_true",
        help="under a minute, beside websocket-client alone; exits with 1 if a ratio has fallen by a third from the "
        "recorded one",
    )
    parser.add_argument("--record", action="store_true", help="record the ratios that the short form is held to")
    return parser


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _peers(text: str) -> tuple[str, ...]:
    names = _names(text)
    if unknown := set(names) - set(PEERS):
        raise argparse.ArgumentTypeError(
            f"no peer is called {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}"
        )
    return names


def _chosen(row: Row, wanted: Sequence[str]) -> list[str]:
    """Return the peers of a row that are to be measured."""
    return [
        peer for peer in row.peers if not wanted or peer == OURS or peer in wanted or peer.partition("+")[0] in wanted
    ]


def _draw(file: Path) -> int:
    try:
        from .figure import PANELS, draw  # noqa: PLC0415 it needs the extra
    except ImportError as error:
        print(f"the figure needs the extra: pip install -e '.[benchmark]' (no module {error.name})", file=sys.stderr)
        return 2
    results = msgspec.json.decode(file.read_bytes(), type=Results) if file.exists() else None
    missing = [name for name in PANELS if results is None or name not in results.rows]
    if results is None or missing:
        print(f"{file} lacks what is drawn: python -m benchmarks --rows {','.join(missing)}", file=sys.stderr)
        return 2
    draw(results, FIGURE)
    print(f"drawn: {FIGURE}")
    return 0


def _list() -> None:
    for row in ROWS.values():
        print(f"{row.name:24} {row.title}\n{'':24} {', '.join(row.peers)}")


def _tell(line: str) -> None:
    """Show what is going on in one line of a terminal, over the last."""
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


def _versions() -> dict[str, str]:
    found = {"Python": platform.python_version()}
    for package in sorted({peer.package for peer in PEERS.values()} | {"reactivex", "numpy"}):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    node = shutil.which("node")
    if node is not None:
        done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
        found["Node"] = done.stdout.strip()
        found |= msgspec.json.decode((FOLDER / "node" / "package.json").read_bytes())["dependencies"]
    return found


if __name__ == "__main__":
    sys.exit(main())
