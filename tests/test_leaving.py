"""The end of a process: servers hear of it, however it comes, and it ends as it would have."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from kernels import Kernel
from servers import DEADLINE, EchoServer

SCRIPT = """
import signal, sys, threading, time
from rxsocket import websocket
session = websocket({url!r}).connect()
heard = threading.Event()
session.messages.body.subscribe(lambda text: [print(text, flush=True), heard.set()])
session.send("ready")
heard.wait()
{then}
"""
WAIT = "time.sleep(30)"


@contextmanager
def running(server: EchoServer, then: str) -> Iterator[subprocess.Popen[str]]:
    """A script that is connected, and then does something."""
    command = [sys.executable, "-c", SCRIPT.format(url=server.url, then=then)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as script:  # noqa: S603
        try:
            assert script.stdout is not None
            assert script.stdout.readline() == "ready\n"
            yield script
        finally:
            script.kill()


def code_of_end(server: EchoServer) -> int:
    return server.ends.get(timeout=DEADLINE)[1]


def test_at_the_interpreters_exit(server: EchoServer) -> None:
    with running(server, "") as script:
        assert code_of_end(server) == 1001
        assert script.wait(DEADLINE) == 0


@pytest.mark.parametrize(
    "then", [WAIT, "while True: pass", "threading.Event().wait()", "lock = threading.Lock()\nwith lock: lock.acquire()"]
)
def test_at_a_sigterm(server: EchoServer, then: str) -> None:
    with running(server, then) as script:
        start = time.monotonic()
        script.send_signal(signal.SIGTERM)
        assert code_of_end(server) == 1001
        assert script.wait(DEADLINE) == -signal.SIGTERM
        assert time.monotonic() - start < 2  # on a busy machine; else a tenth of that


def test_at_a_sigint(server: EchoServer) -> None:
    with running(server, WAIT) as script:
        script.send_signal(signal.SIGINT)
        assert code_of_end(server) == 1001
        assert script.wait(DEADLINE) == -signal.SIGINT


def test_a_handler_of_the_users_stays(server: EchoServer) -> None:
    mine = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"
    begun = "other = websocket(session.url).connect()\nprint('begun', flush=True)\n"
    with running(server, f"{mine}{begun}{WAIT}") as script:
        assert script.stdout is not None
        assert script.stdout.readline() == "begun\n"
        script.send_signal(signal.SIGTERM)
        assert script.wait(DEADLINE) == 3


def test_what_holds_locks_does_not_keep_it_from_its_end(server: EchoServer) -> None:
    lock = "from rxsocket.session import _open_sessions_lock as lock"
    hold = f"{lock}\nwith lock:\n    print('held', flush=True)\n    time.sleep(30)"
    with running(server, hold) as script:
        assert script.stdout is not None
        assert script.stdout.readline() == "held\n"
        start = time.monotonic()
        script.send_signal(signal.SIGTERM)
        assert script.wait(DEADLINE) == -signal.SIGTERM
        assert time.monotonic() - start < 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks on this system")
def test_a_forked_child_ends_nothing_of_its_parents(server: EchoServer) -> None:
    fork = """
import os
child = os.fork()
if not child:
    time.sleep(10)
    os._exit(1)
os.kill(child, signal.SIGTERM)
print(os.waitpid(child, 0)[1], flush=True)
session.send("still here")
time.sleep(30)
"""
    with running(server, fork) as script:
        assert script.stdout is not None
        assert [script.stdout.readline() for _ in range(2)] == [f"{int(signal.SIGTERM)}\n", "still here\n"]
        script.kill()
        assert code_of_end(server) == 1006


def test_on_another_thread_a_session_leaves_the_signal_alone(server: EchoServer) -> None:
    code = f"""
import signal, threading
from rxsocket import websocket
def work():
    websocket({server.url!r}).connect().close()
thread = threading.Thread(target=work); thread.start(); thread.join()
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
websocket({server.url!r}).connect().close()
assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=DEADLINE)  # noqa: S603 our own words


@pytest.mark.parametrize("how", ["restart", "shutdown", "restart amid a cell"])
def test_at_the_end_of_a_kernel(server: EchoServer, how: str) -> None:
    connect = f"from rxsocket import websocket; session = websocket({server.url!r}).connect(); session.send('x')"
    with Kernel() as kernel:
        kernel.run(connect, "connects")
        if how == "restart amid a cell":
            request = kernel.begin("print('waits', flush=True)\nimport time\ntime.sleep(30)")
            kernel.until(lambda: "waits" in kernel.output(request))
        start = time.monotonic()
        if how == "shutdown":
            kernel.manager.shutdown_kernel()
        else:
            kernel.manager.restart_kernel()
        assert code_of_end(server) in {1000, 1001}
        assert time.monotonic() - start < DEADLINE
