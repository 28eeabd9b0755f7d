"""What it costs to record a session: ``python -m benchmarks.recording``.

A server in a process of its own sends texts of 100 bytes: at a pace, and then as fast as they are taken. A session
takes them, for one subscriber; in every other round it is recorded, too. Printed are the medians of the rates, and of
the processor's time that the client's process takes for a message.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rxsocket import record, websocket

from .server import Handshake
from .wire import TEXT, close_frame, frame

SIZE = 100  # bytes of a text
PACE = 100_000  # texts a second
SLICE_SECONDS = 1e-3  # after which a paced server sends again
BLOCK = 1000  # texts that a server without a pace sends at once


def serve() -> None:
    """Send to each client what its URL asks for: ``/RATE/SECONDS``, where a rate of 0 is as fast as it takes it."""
    text = frame(TEXT, b"x" * SIZE)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            sock, _ = listener.accept()
            with sock:
                handshake = Handshake.read(sock)
                sock.sendall(handshake.answer(deflate=False))
                _, rate, seconds = handshake.target.split("/")
                _send(sock, text, int(rate), float(seconds))
                sock.sendall(close_frame())
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(1 << 16):
                    pass


def _send(sock: socket.socket, text: bytes, rate: int, seconds: float) -> None:
    start = time.perf_counter()
    sent = 0
    while (elapsed := time.perf_counter() - start) < seconds:
        count = int(elapsed * rate) - sent if rate else BLOCK
        sock.sendall(text * count)
        sent += count
        if rate:
            time.sleep(SLICE_SECONDS)


def measure(url: str, path: Path | None) -> tuple[float, float]:
    """Take what a server sends; return messages a second, and the microseconds of the processor for each."""
    count = 0
    first = 0.0

    def take(_: str) -> None:
        nonlocal count, first
        if not count:
            first = time.perf_counter()
        count += 1

    session = websocket(url).prepare()
    session.messages.body.subscribe(take)
    recording = None if path is None else record(session, path, overwrite=True)
    used = time.process_time()
    session.start()
    session.closes.run()
    last = time.perf_counter()
    if recording is not None:
        recording.close()
    return count / (last - first), (time.process_time() - used) / count * 1e6


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recording", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="of each (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round (default: %(default)g)")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve()
        return
    command = [sys.executable, "-m", "benchmarks.recording", "--serve"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        try:
            assert server.stdout is not None  # noqa: S101 as it was started
            port = int(server.stdout.readline())
            for rate in (PACE, 0):
                url = f"ws://127.0.0.1:{port}/{rate}/{arguments.seconds}"
                for name in ("feed.jsonl", "feed.jsonl.gz"):
                    _compare(url, Path(folder, name), arguments.rounds, f"{rate:,}/s" if rate else "flat out")
        finally:
            server.kill()


def _compare(url: str, path: Path, rounds: int, pace: str) -> None:
    plain: list[tuple[float, float]] = []
    recorded: list[tuple[float, float]] = []
    for _ in range(rounds):
        plain.append(measure(url, None))
        recorded.append(measure(url, path))
    rates = [statistics.median(rate for rate, _ in each) for each in (plain, recorded)]
    costs = [statistics.median(cost for _, cost in each) for each in (plain, recorded)]
    print(
        f"{pace:>10} {path.name:<14} {rates[0]:>11,.0f}/s alone {rates[1]:>11,.0f}/s recorded "
        f"({1 - rates[1] / rates[0]:+.1%} less), {costs[0]:.2f} and {costs[1]:.2f} µs of the processor each"
    )


if __name__ == "__main__":
    main()
