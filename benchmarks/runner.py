"""Runs the rows: in rounds, in which each peer has its turn, each measurement in a process of its own."""

from __future__ import annotations

import compileall
import itertools
import json
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import IO

from .cpu import pinned
from .peers import PEERS
from .results import Figures, Measured
from .rows import Row

__all__ = ["Runner", "Unmeasured", "running"]

ROOT = Path(__file__).parent.parent
NODE = Path(__file__).with_name("node")
DEADLINE = 120.0  # seconds for one measurement
IMPORTED = {
    "rxsocket": ("rxsocket",),
    "dependencies": ("reactivex", "reactivex.operators", "websocket", "msgspec"),
    "picows": ("picows",),
    "aiohttp": ("aiohttp",),
    "websockets-asyncio": ("websockets.asyncio.client",),
    "websockets-sync": ("websockets.sync.client",),
    "websocket-client": ("websocket",),
}


class Unmeasured(Exception):
    """A measurement that gave no figures, and why."""


class Service:
    """A server in a process of its own, ``python -m`` what is given, which says in its first line where it is.

    Raises:
        RuntimeError: It ended without that line.
    """

    def __init__(self, *command: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read, args=(self._process.stdout,))
        self._thread.start()
        self.first = self.lines.get()
        if not self.first:
            self.close()
            raise RuntimeError(f"python -m {' '.join(command)} did not start; what it said stands above")

    def _read(self, stdout: IO[str]) -> None:
        with stdout:
            for line in stdout:
                self.lines.put(line)
        self.lines.put("")

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._thread.join()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


class Runner:
    """Measures rows with a server.

    Args:
        server: The server of the benchmarks.
        seconds: How long each measurement takes.
        repeat: How many rounds there are.
        tell: Is called with what is going on.
    """

    def __init__(self, server: Service, seconds: float, repeat: int, tell: Callable[[str], None]) -> None:
        self._server = server
        self._where = json.loads(server.first)
        self._seconds = seconds
        self._repeat = repeat
        self._tell = tell
        self._turns = itertools.count()  # so that each URL is another

    def measure(self, row: Row, peers: Sequence[str]) -> Measured:
        """Measure a row of some peers, in turn and repeated; each round begins with another of them."""
        measured = Measured()
        left = list(peers)
        for number in range(self._repeat):
            turn = number % len(left) if left else 0
            for peer in left[turn:] + left[:turn]:
                self._tell(f"{row.name}: round {number + 1} of {self._repeat}, {peer}")
                try:
                    measured.rounds.setdefault(peer, []).append(self._figures(row, peer))
                except Unmeasured as error:
                    measured.missing[peer] = str(error)
                    measured.rounds.pop(peer, None)
                    left.remove(peer)
        return measured

    def _figures(self, row: Row, peer: str) -> Figures:
        if row.kind == "import":
            return _import(IMPORTED[peer])
        if not PEERS[peer].is_installed:
            raise Unmeasured(f"not installed: pip install {PEERS[peer].package}")
        if row.kind in {"synchronize", "ask"}:
            with running("rxsocket", "hub", "--port", "0") as hub:
                return self._client(row, peer, hub.first.split()[4])
        base = self._where["tls" if row.options.get("tls") else "plain"]
        target = f"{row.target(self._seconds)}&turn={next(self._turns)}"
        figures = self._client(row, peer, base + target)
        for ours, theirs in (("received", "sent"), ("sent", "received")):
            if ours in figures and figures[ours] != (told := self._told(target))[theirs]:
                raise Unmeasured(f"it says {ours} {figures[ours]}, and the server: {told}")
        return figures

    def _told(self, target: str) -> dict[str, object]:
        """Return what the server says of a connection; what it says of others, which failed, is let go."""
        while True:
            line: dict[str, object] = json.loads(self._server.lines.get(timeout=DEADLINE))
            if line["target"] == target:
                return line

    def _client(self, row: Row, peer: str, url: str) -> Figures:
        task = {
            "kind": row.kind,
            "url": url,
            "authority": self._where["authority"],
            "seconds": self._seconds,
            "subject": PEERS[peer].subject,
            **row.options,
        }
        module = PEERS[peer].module
        program = _node() if module == "node" else (sys.executable, "-m", "benchmarks.clients", module)
        with pinned() if row.takes_turns else nullcontext():
            figures = _run(*program, json.dumps(task))
        if "not yet" in figures:
            raise Unmeasured(f"not yet: {figures['not yet']}")
        return figures


@contextmanager
def running(*command: str) -> Generator[Service]:
    """Run a server, ``python -m`` what is given, for a block."""
    service = Service(*command)
    try:
        yield service
    finally:
        service.close()


def _import(modules: Sequence[str]) -> Figures:
    # pip has compiled the others; where PYTHONDONTWRITEBYTECODE is set, nothing compiles what is not installed.
    compileall.compile_dir(ROOT / "rxsocket", quiet=1)
    code = (
        f"import time; start = time.perf_counter(); import {', '.join(modules)}\n"
        "print('{\"milliseconds\":', (time.perf_counter() - start) * 1000, '}')"
    )
    return _run(sys.executable, "-c", code)


def _run(*command: str) -> Figures:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=True, cwd=ROOT)
    except subprocess.TimeoutExpired as error:
        raise Unmeasured(f"not done after {DEADLINE:g} s") from error
    except subprocess.CalledProcessError as error:
        lines = str(error.stderr).strip().splitlines() or [str(error)]
        raise Unmeasured(f"failed: {lines[-1]}") from error
    figures: Figures = json.loads(done.stdout)
    return figures


@cache
def _node() -> tuple[str, str]:
    """Return the command for the client on Node; the first call installs what that needs."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise Unmeasured("not installed: Node and npm, https://nodejs.org")
    command = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=NODE, capture_output=True, text=True, timeout=DEADLINE, check=False)
    if done.returncode:
        raise Unmeasured(f"npm could not install it: {done.stderr.strip()}")
    return node, str(NODE / "client.js")
