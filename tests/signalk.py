"""A boat's instruments over Signal K, by hand: ``unshare -n python tests/signalk.py FOLDER``, as root.

In FOLDER is what ``npm install signalk-server@2.23.0`` has made. It listens on all addresses, whatever it is told: so
it needs a network namespace. Prints how many typed values came, of which paths, before and after a restart of it, and
the gap between them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import reactivex.operators as ops
from feeds import Program
from msgspec import Struct
from servers import Seen

from rxsocket import Backoff, Gap, MessageEvent, codec_of, websocket

PORT = 3000
DELTAS = 100
"""How many are waited for on each connection."""


class Value(Struct):
    path: str
    value: Any


class Update(Struct):
    values: list[Value] = []
    timestamp: str = ""


class Delta(Struct):
    """A delta; and the greeting that comes first, which has no updates."""

    updates: list[Update] = []
    context: str = ""


def paths(deltas: list[Delta]) -> Counter[str]:
    return Counter(value.path for delta in deltas for update in delta.updates for value in update.values)


def main(installed: Path) -> None:
    node = shutil.which("node")
    assert node is not None, "Node is not installed"
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)  # noqa: S607 of the system

    with tempfile.TemporaryDirectory() as folder:

        def serve() -> Program:
            script = installed / "node_modules" / "signalk-server" / "bin" / "signalk-server"
            environment = {"SIGNALK_NODE_CONFIG_DIR": folder, "PORT": str(PORT)}
            command = [node, script, "--sample-nmea0183-data"]
            return Program(command, "signalk-server running at", Path(folder), environment=environment)

        deltas = codec_of(Delta)
        socket = websocket(f"ws://127.0.0.1:{PORT}/signalk/v1/stream?subscribe=all", reconnect=Backoff(initial=0.1))
        server = serve()
        with socket.connect() as session:
            typed, errors = Seen(session.messages.decode(Delta)), Seen(session.errors)
            marked: Seen[Delta | Gap] = Seen(
                session.messages.with_gaps().pipe(
                    ops.map(lambda each: deltas.decode(each.data) if isinstance(each, MessageEvent) else each)
                )
            )
            before = paths(typed.wait(DELTAS))
            server.stop()
            with serve():
                Seen(session.opens.pipe(ops.filter(lambda event: event.connection > 1))).wait()
                all_in_all = typed.wait(len(typed.items) + DELTAS)
                (gap,) = (item for item in marked.wait(len(all_in_all)) if isinstance(item, Gap))
        after = paths(all_in_all) - before
        for when, found in (("before", before), ("after", after)):
            sys.stdout.write(f"{when}: {found.total()} values of {len(found)} paths, most of {found.most_common(3)}\n")
        sys.stdout.write(f"the gap: {gap.closed.code} {gap.closed.reason!r}, then connection {gap.opened.connection}\n")
        decoding = [error for error in errors.items if type(error).__name__ == "DecodeException"]
        sys.stdout.write(f"errors: {len(errors.items)}, of which of decoding: {len(decoding)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
