"""What holds for all tests: nothing is left behind, no skip goes unseen; and the servers that they share."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from feeds import Chromium
from servers import DEADLINE, EchoServer, NodeServer, ScriptedPeer, Wire

from benchmarks.certificate import Authority
from rxsocket.hub import Hub
from rxsocket.session import Session
from rxsocket.socket import websocket

NODE = Path(__file__).with_name("node")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background of a shell; the programs that tests start and interrupt would ignore it, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)

NO_SKIPS = os.environ.get("RXSOCKET_NO_SKIPS") == "1"


# --- a skip is a failure where all that tests need is installed


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    # An expected failure is reported as a skip, too, and is none.
    if NO_SKIPS and report.skipped and not hasattr(report, "wasxfail"):
        _fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    report = yield
    if NO_SKIPS and report.skipped:
        _fail(report)
    return report


def _fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"RXSOCKET_NO_SKIPS=1 allows no skip, and {report.nodeid} was skipped: {reason}"


# --- nothing is left behind


@pytest.fixture(autouse=True)
def _no_leaks():
    """Fail a test that leaves a thread or an open socket, by name."""
    threads = set(threading.enumerate())
    sockets = _sockets()
    yield
    deadline = time.monotonic() + DEADLINE / 2
    for thread in set(threading.enumerate()) - threads:
        thread._started.wait(deadline - time.monotonic())  # one may be about to begin
        thread.join(max(0.0, deadline - time.monotonic()))
    left = [thread.name for thread in threading.enumerate() if thread not in threads]
    assert not left, f"threads are left: {left}"
    if _sockets().keys() - sockets.keys():
        gc.collect()
    left = [_named(number, descriptor) for number, descriptor in _sockets().items() if number not in sockets]
    assert not left, f"sockets are left open: {left}"


def _sockets() -> dict[str, int]:
    """The open sockets of this process, each with its descriptor; none where the system has no /proc."""
    found: dict[str, int] = {}
    folder = Path("/proc/self/fd")
    for descriptor in folder.iterdir() if folder.is_dir() else ():
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue  # the one that the folder was read through
        if target.startswith("socket:"):
            found[target] = int(descriptor.name)
    return found


def _named(number: str, descriptor: int) -> str:
    with socket.socket(fileno=os.dup(descriptor)) as sock:
        try:
            return f"{number} from {sock.getsockname()!r} to {sock.getpeername()!r}"
        except OSError:
            return f"{number} at {sock.getsockname()!r}, not connected"


# --- servers and sessions


@pytest.fixture
def server() -> Iterator[EchoServer]:
    with EchoServer() as server:
        yield server


@pytest.fixture(scope="session")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub


@pytest.fixture
def play() -> Iterator[Callable[..., str]]:
    """Starts a scripted peer, and returns its URL."""
    with ExitStack() as peers:

        def start(script: Callable[[Wire], object], **options) -> str:
            return peers.enter_context(ScriptedPeer(script, **options)).url

        yield start


@pytest.fixture
def connect() -> Iterator[Callable[..., Session]]:
    """Connects to a URL; the session is closed at the test's end."""
    sessions: list[Session] = []

    def start(url: str, *protocols: str, paused: bool = False, **options) -> Session:
        session = websocket(url, *protocols, **{"close_timeout": 2.0, **options}).connect(paused=paused)
        sessions.append(session)
        return session

    yield start
    for session in sessions:
        session.close()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory) -> Iterator[Chromium]:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("the program chromium is not installed: it comes with the package chromium")
    with Chromium(program, tmp_path_factory.mktemp("chromium")) as chromium:
        yield chromium


@pytest.fixture(scope="session")
def node() -> str:
    """The program node, with the packages of its servers where their scripts find them."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip(f"the program {'npm' if node else 'node'} is not installed: it comes with Node, https://nodejs.org")
    fcntl = pytest.importorskip("fcntl", reason="this system has no fcntl, which keeps two installations apart")
    wanted = json.loads((NODE / "package.json").read_text())["dependencies"]
    folder = os.open(NODE, os.O_RDONLY)
    try:
        # Of two test processes that come here at once the second waits, and finds it done.
        fcntl.flock(folder, fcntl.LOCK_EX)
        if any(_installed(package) != version for package, version in wanted.items()):
            _install(npm)
    finally:
        os.close(folder)
    return node


def _installed(package: str) -> str | None:
    """The version of a package that is installed; None where it is not."""
    found = NODE / "node_modules" / package / "package.json"
    return json.loads(found.read_text())["version"] if found.is_file() else None


def _install(npm: str) -> None:
    command = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(command, cwd=NODE, capture_output=True, text=True, timeout=20, check=False)  # noqa: S603 fixed
    except (OSError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"the npm packages could not be installed: {error}")
    if done.returncode:
        pytest.skip(f"the npm packages could not be installed: {done.stderr.strip()}")


@pytest.fixture
def node_server(node: str) -> Iterator[NodeServer]:
    with NodeServer(node, NODE / "server.js") as server:
        yield server
