"""Let the Autobahn testsuite judge rxsocket: ``python tests/autobahn/run.py FOLDER --cases 1 2 6.4 9.1.6``.

FOLDER is what ``build.py`` built. It prints a table, and every case that was not passed; the exit status is 1 if there
is one. A case is passed if both its behaviour and its close are OK, or of those that the suite only informs about: what
is merely not strict is not passed, nor is what is not implemented.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import queue
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, Self

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest has it

from autobahn.build import PACKAGES, PYTHON
from autobahn.driver import echo

SERVER = Path(__file__).with_name("server.py")

STARTING_SECONDS = 30
CASE_SECONDS = 120
JUDGING_SECONDS = 15  # from the client's end to the server's word on it

GOOD = {"OK", "INFORMATIONAL"}
NOT_RUN = "NOT RUN"

EVERYDAY = ("1", "2", "3", "4", "5", "6", "7", "9", "10")
"""All but compression, which takes many minutes and is only probed."""

PROBES = ("12.1.1", "12.1.18", "12.2.1", "12.3.1", "12.4.1", "12.5.1", "13.1.11", "13.3.1", "13.7.1")
"""Of compression: each kind of content, large messages in fragments, and three of the seven sets of parameters."""


class Result(NamedTuple):
    """The suite's word on a case."""

    case: str
    behavior: str
    close: str
    code: int | None  # of the client's close frame
    end: str  # what the client says of it
    seconds: float

    @property
    def passed(self) -> bool:
        return self.behavior in GOOD and self.close in GOOD

    @property
    def group(self) -> str:
        return self.case.partition(".")[0]

    def __str__(self) -> str:
        return (
            f"{self.case:8} {self.behavior:14} close: {self.close}, code {self.code}; "
            f"the client, after {self.seconds:.1f} s: {self.end}"
        )


class FuzzingServer:
    """The suite's server, in a process of its own, which lives as long as the block."""

    def __init__(self, folder: Path, cases: list[str]) -> None:
        python = folder / PYTHON
        if not python.exists():
            raise SystemExit(f"{folder} has no Autobahn testsuite: python tests/autobahn/build.py {folder}")
        self._command = [python, SERVER, folder / PACKAGES, *cases]
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        self._process = subprocess.Popen(  # noqa: S603 our own words
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._said: list[str] = []
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = [
            threading.Thread(target=lambda out=out, take=take: [take(line) for line in out])
            for out, take in ((self._process.stdout, self._lines.put), (self._process.stderr, self._said.append))
        ]
        for reader in self._readers:
            reader.start()
        try:
            told = json.loads(self._lines.get(timeout=STARTING_SECONDS))
        except queue.Empty:
            self.__exit__()
            raise SystemExit(f"the testsuite's server did not start: {''.join(self._said[-5:])}") from None
        self.url = f"ws://127.0.0.1:{told['port']}"
        self.cases: list[str] = told["cases"]
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(JUDGING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for reader in self._readers:
            reader.join()
        for out in (self._process.stdout, self._process.stderr):
            assert out is not None
            out.close()

    def judgement(self, case: str) -> tuple[str, str, int | None]:
        """Wait for the server's word on a case, which it gives when the TCP connection has ended."""
        deadline = time.monotonic() + JUDGING_SECONDS
        with contextlib.suppress(queue.Empty):
            while True:
                number, behavior, close, code = json.loads(self._lines.get(timeout=max(0, deadline - time.monotonic())))
                if number == case:  # else it comes late, of one that was given up
                    return behavior, close, code
        return NOT_RUN, NOT_RUN, None


def run(folder: Path, cases: list[str], *, compression: bool = False) -> Iterator[Result]:
    """Run cases one after the other, each named by its number or by the beginning of it."""
    with FuzzingServer(folder, cases) as server:
        for number, case in enumerate(server.cases, 1):
            start = time.monotonic()
            end = echo(f"{server.url}/runCase?case={number}&agent=rxsocket", CASE_SECONDS, compression=compression)
            seconds = time.monotonic() - start
            told = f"nothing, it was given up after {CASE_SECONDS} s" if end is None else f"{end.code} {end.reason}"
            yield Result(case, *server.judgement(case), told, seconds)


def table(results: list[Result]) -> str:
    columns = ("OK", "INFORMATIONAL", "NON-STRICT", "UNIMPLEMENTED", "FAILED", NOT_RUN)
    head = f"{'group':6}{'cases':>7}" + "".join(f"{column:>15}" for column in columns)
    rows = [f"{head}{'wrong close':>13}{'seconds':>9}"]
    by_group = [(group, list(members)) for group, members in groupby(results, lambda result: result.group)]
    for name, members in [*by_group, ("all", results)]:
        counted = Counter(result.behavior for result in members)
        wrong = sum(result.close not in GOOD for result in members)
        rows.append(
            f"{name:6}{len(members):7}"
            + "".join(f"{counted[column]:15}" for column in columns)
            + f"{wrong:13}{sum(result.seconds for result in members):9.1f}"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", nargs="+", default=list(EVERYDAY), metavar="CASE")
    parser.add_argument("--compression", action="store_true", help="offer permessage-deflate, for the cases 12 and 13")
    arguments = parser.parse_args()
    logging.getLogger("rxsocket").setLevel(logging.CRITICAL)  # the suite breaks the protocol all the time
    results = list(run(arguments.folder, arguments.cases, compression=arguments.compression))
    lines = [table(results), *(str(result) for result in results if not result.passed)]
    sys.stdout.write("\n".join(lines) + "\n")
    raise SystemExit(not all(result.passed for result in results))


if __name__ == "__main__":
    main()
