"""Servers that know nothing of rxsocket, whose feeds users listen to: each a program of its own, on loopback."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from peers import DEADLINE

STARTING = 25.0
"""Seconds that a program may take to be ready: more than any takes on a slow machine."""

LINES = 50
"""Of what a program has written, the last are kept, to tell of when it fails."""


class Program:
    """A program that runs as long as the block of this lasts, and no longer than the process that has started it.

    Args:
        command: What to run, without a shell.
        ready: What the line has that says that it is; the groups are then those of :attr:`ready`.
        folder: Is its home, and its working directory: so nothing of the user's is read or written.
        environment: What else is in its environment.
        end: The signal that ends it.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        ready: str,
        folder: Path,
        *,
        environment: Mapping[str, str] | None = None,
        end: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.folder = folder
        self._name = Path(command[0]).name
        self._end = end
        self._lines: deque[str] = deque(maxlen=LINES)  # appended to by _thread alone
        self._ready_line = re.compile(ready)
        self._found: queue.SimpleQueue[re.Match[str] | None] = queue.SimpleQueue()
        self._process = subprocess.Popen(  # noqa: S603 our own words
            [*_bound_to_this_process(), *command],
            cwd=folder,
            env={**os.environ, "HOME": str(folder), "TMPDIR": str(folder), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._thread = threading.Thread(target=self._read, name=f"reader of {self._name}'s lines")
        self._thread.start()
        try:
            found = self._found.get(timeout=STARTING)
        except queue.Empty:
            found = None
        if found is None:
            self.stop()
            raise RuntimeError(f"{self._name} did not come up; it wrote:\n{''.join(self._lines)}")
        self.ready = found.groups()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the program, and wait for its end."""
        self._process.send_signal(self._end)
        try:
            self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join(DEADLINE)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.append(line)
                if found := self._ready_line.search(line):
                    self._found.put(found)
                else:
                    self._heard(line)
        self._found.put(None)

    def _heard(self, line: str) -> None:
        """Take another line than that which says that it is ready. On the thread that reads."""


def _bound_to_this_process() -> list[str]:
    """What a command begins with so that it ends with this process, however that ends, where the system has it."""
    # By the program, not by a function that is run between fork and exec, which must not be done beside threads.
    setpriv = shutil.which("setpriv")
    return [] if setpriv is None else [setpriv, "--pdeathsig", "TERM", "--"]


def rest(url: str, method: str = "GET", body: object = None, headers: Mapping[str, str] | None = None) -> Any:
    """Make an HTTP request, and return the JSON of its answer; None where that is empty."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, dict(headers or {}), method=method)  # noqa: S310 of a server of ours
    with urllib.request.urlopen(request, timeout=DEADLINE) as answer:  # noqa: S310 as above
        text = answer.read()
    return json.loads(text) if text else None


class Chromium(Program):
    """A browser without a window, whose DevTools protocol is spoken over WebSockets.

    Attributes:
        browser_url: That of the browser's own target.
    """

    def __init__(self, chromium: str, folder: Path) -> None:
        super().__init__(
            [
                chromium,
                "--headless=new",
                "--no-sandbox",  # which root can't have
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--remote-debugging-port=0",
                f"--user-data-dir={folder}",
                "about:blank",
            ],
            r"DevTools listening on (ws://(\S+?)/\S+)",
            folder,
        )
        self.browser_url, self._host = self.ready

    def new_page(self) -> str:
        """Open an empty page, and return the URL of its target."""
        page = rest(f"http://{self._host}/json/new?about:blank", "PUT")
        return page["webSocketDebuggerUrl"]


class Jupyter(Program):
    """A Jupyter server with Python kernels, each of which has a channel over a WebSocket."""

    TOKEN = "of-the-tests"  # noqa: S105 of a server on loopback, for as long as a test

    # What it writes by itself it writes before it listens.
    SCRIPT = """
from jupyter_server.serverapp import ServerApp
app = ServerApp()
app.initialize()
app.io_loop.add_callback(lambda: print("listens on", app.port, flush=True))
app.start()
"""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            [
                sys.executable,
                *("-c", self.SCRIPT),
                "--ServerApp.ip=127.0.0.1",
                "--ServerApp.port=0",
                "--ServerApp.open_browser=False",
                "--ServerApp.allow_root=True",
                f"--ServerApp.root_dir={folder}",
                "--ServerApp.jpserver_extensions={}",
                "--AsyncIOLoopKernelRestarter.time_to_dead=0.2",
                "--ZMQChannelsWebsocketConnection.limit_rate=False",
                f"--IdentityProvider.token={self.TOKEN}",
            ],
            r"listens on (\d+)",
            folder,
            environment={
                "JUPYTER_CONFIG_DIR": str(folder / "config"),
                "JUPYTER_DATA_DIR": str(folder / "data"),
                "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
                "IPYTHONDIR": str(folder / "ipython"),
            },
        )
        self._host = f"127.0.0.1:{self.ready[0]}"
        self.headers = {"Authorization": f"token {self.TOKEN}"}

    def start_kernel(self) -> str:
        """Start a kernel, and return its id."""
        return self._ask("POST", "", {"name": "python3"})["id"]

    def interrupt(self, kernel: str) -> None:
        self._ask("POST", f"/{kernel}/interrupt")

    def restart(self, kernel: str) -> None:
        self._ask("POST", f"/{kernel}/restart")

    def channels(self, kernel: str) -> str:
        """Return the URL of a kernel's channels."""
        return f"ws://{self._host}/api/kernels/{kernel}/channels"

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        return rest(f"http://{self._host}/api/kernels{path}", method, body, self.headers)


class GraphQl(Program):
    """A server of the npm package graphql-ws, which tells what its clients do.

    Attributes:
        url: For the sub-protocol "graphql-transport-ws".
        told: What the server has told of: ``["connect", token]``, ``["subscribe", id]``, ``["complete", id]``, and
            ``["close", code, reason]``.
    """

    def __init__(self, node: str, script: Path, folder: Path) -> None:
        self.told: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()
        super().__init__([node, script], r'^\["listens",(\d+)\]', folder)
        self.url = f"ws://127.0.0.1:{self.ready[0]}"

    def _heard(self, line: str) -> None:
        if line.startswith("["):  # else it is an error of Node's
            self.told.put(json.loads(line))
