"""A session for a long time: ``python tests/soak.py --messages 10000000``, or ``--minutes 60 --rate 1000``.

A server in another process sends numbered texts, as fast as they are read or so many a second. All are checked, and
some are sent back. It prints the memory of the client's process over time, and at last whether that stayed flat; the
exit status is 1 if it did not, or if a message was lost, doubled, or out of order.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import median

from servers import ScriptedPeer, Wire

from rxsocket.encoding import encode_message
from rxsocket.frames import Close
from rxsocket.socket import websocket

CYCLE = 10_000  # texts are numbered up to here, over and over: so they need not be encoded again
SENT_BACK = 100  # one of so many is
MIB = 1 << 20


def serve(messages: int, rate: float) -> None:
    """Serve one client; print the URL, and, when it is gone, how many messages it sent."""
    never, done = threading.Event(), threading.Event()
    heard: list[int] = []

    def listen(wire: Wire) -> None:
        heard.append(sum(isinstance(frame, str) for frame in iter(wire.next, None)))

    def script(wire: Wire) -> None:
        wire.sock.settimeout(None)
        listening = threading.Thread(target=listen, args=(wire,))
        listening.start()
        try:
            send(wire)
        finally:
            listening.join()
            done.set()

    def send(wire: Wire) -> None:
        frames = [encode_message(f"{number:0100}", masked=False) for number in range(CYCLE)]
        batch = max(1, round(rate / 100)) if rate else CYCLE
        start = time.monotonic()
        for first in range(0, messages, batch):
            if rate:
                never.wait(max(0.0, start + first / rate - time.monotonic()))
            place, count = first % CYCLE, min(batch, messages - first)
            wire.raw(b"".join(itertools.islice(itertools.cycle(frames), place, place + count)))
        wire.close(Close(1000, "that was all"))

    with ScriptedPeer(script) as peer:
        sys.stdout.write(peer.url + "\n")
        sys.stdout.flush()
        done.wait()
    sys.stdout.write(f"{sum(heard)}\n")


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Client:
    """A session that checks what it hears, and sends some of it back."""

    def __init__(self, url: str) -> None:
        self.count = 0  # written by the session's thread
        self.wrong = 0  # likewise
        self.ended = threading.Event()
        self.session = websocket(url).prepare()
        self.session.messages.body.subscribe(self._take)
        self.session.closes.subscribe(lambda _: self.ended.set())
        self.session.start()

    def _take(self, text: str) -> None:
        if int(text) != self.count % CYCLE:
            self.wrong += 1
        self.count += 1
        if self.count % SENT_BACK == 0:
            self.session.send(text)


def soak(messages: int, rate: float, interval: float, allowed: float) -> bool:
    """Run it, and tell whether all is well."""
    with subprocess.Popen(  # noqa: S603 this very script
        [sys.executable, __file__, "--serve", "--messages", str(messages), "--rate", str(rate)],
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        client = Client(server.stdout.readline().strip())
        sizes: list[int] = []
        start = time.monotonic()
        while not client.ended.wait(interval):
            sizes.append(resident())
            sys.stdout.write(
                f"{time.monotonic() - start:8.0f} s {client.count:12,} messages {sizes[-1] / MIB:8.1f} MiB\n"
            )
            sys.stdout.flush()
        heard = int(server.stdout.readline())
    # Of the quarters the first is the warming up.
    quarter = len(sizes) // 4
    growth = (median(sizes[-quarter:]) - median(sizes[quarter : 2 * quarter])) / MIB if quarter else float("nan")
    checks = {
        f"{client.count:,} of {messages:,} messages came": client.count == messages,
        f"{client.wrong} were not the next": client.wrong == 0,
        f"{heard:,} of {messages // SENT_BACK:,} came back": heard == messages // SENT_BACK,
        f"from the second quarter to the last, memory grew by {growth:.2f} MiB": growth < allowed,
    }
    for told, well in checks.items():
        sys.stdout.write(f"{'ok ' if well else 'BAD'} {told}\n")
    return all(checks.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=10_000_000)
    parser.add_argument("--minutes", type=float, help="instead of --messages, with a --rate")
    parser.add_argument("--rate", type=float, default=0.0, help="messages a second; 0 for as many as are read")
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between the lines")
    parser.add_argument("--allowed", type=float, default=1.0, help="MiB by which the memory may grow")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    messages = arguments.messages if arguments.minutes is None else int(arguments.minutes * 60 * arguments.rate)
    if arguments.serve:
        serve(messages, arguments.rate)
    else:
        raise SystemExit(not soak(messages, arguments.rate, arguments.interval, arguments.allowed))


if __name__ == "__main__":
    main()
