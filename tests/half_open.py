"""A session whose peer vanishes without a word. To be run in a network namespace of its own, as root.

``unshare -n python tests/half_open.py SCENE OPTIONS``, where OPTIONS are those of ``websocket``, as JSON. It prints as
JSON what came of it. The scenes:

- ``connect``: the host does not answer at all, and the session is left to it;
- ``give up``: the same, and the session is closed;
- ``close``: once it is open the peer vanishes, a message is sent, and the session is closed;
- ``idle``: once it is open the peer vanishes, and the session is left to it;
- ``send``: the same, after a message was sent;
- ``full``: the same as ``idle``, but the session is paused, and holds so much that nothing is read.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from urllib.parse import urlsplit

from servers import EchoServer, Seen

from rxsocket.socket import websocket


def system(*command: str) -> None:
    subprocess.run(command, check=True)  # noqa: S603 our own words


def drop(port: int) -> None:
    """Let every packet from and to a port be lost, without a word to either side."""
    for side in ("--dport", "--sport"):
        system("iptables", "-A", "INPUT", "-p", "tcp", side, str(port), "-j", "DROP")


def play(scene: str, options: dict[str, object]) -> dict[str, object]:
    with EchoServer() as server:
        port = urlsplit(server.url).port
        assert port is not None
        held = {"max_held_messages": 1} if scene == "full" else {}
        session = websocket(server.url, **options, **held).prepare(paused=scene == "full")
        bodies, errors, closes = Seen(session.messages.body), Seen(session.errors), Seen(session.closes)
        if scene in {"connect", "give up"}:
            drop(port)
            start = time.monotonic()
            session.start()
        else:
            session.start().send("hello")
            if scene == "full":
                while not session.messages.is_full:
                    os.sched_yield()
            else:
                bodies.wait()
            drop(port)
            start = time.monotonic()
            if scene in {"close", "send"}:
                session.send("are you there?")
        if scene in {"close", "give up"}:
            session.close()
        [event] = closes.wait()
        seconds = time.monotonic() - start
        system("iptables", "-F", "INPUT")
        session.resume()
        session.close()
        return {
            "seconds": seconds,
            "messages": bodies.all(),
            "errors": list(map(str, errors.all())),
            "code": event.code,
            "initiator": event.initiator,
            "reason": event.reason,
            "was_clean": event.was_clean,
        }


def main() -> None:
    scene, options = sys.argv[1:]
    logging.getLogger("rxsocket").setLevel(logging.CRITICAL)
    system("ip", "link", "set", "lo", "up")
    system("ip", "link", "set", "lo", "mtu", "1500")
    sys.stdout.write(json.dumps(play(scene, json.loads(options))))


if __name__ == "__main__":
    main()
