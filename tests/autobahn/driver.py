"""What the Autobahn testsuite judges: a session that says what it hears. It adds no check that rxsocket does not do."""

from __future__ import annotations

import queue

from rxsocket.socket import websocket
from rxsocket.states import CloseEvent


def echo(url: str, seconds: float, *, compression: bool = False) -> CloseEvent | None:
    """Echo every message until the server closes; None if it has not come to that in time, and was given up."""
    session = websocket(url, compression=compression).prepare()
    ends: queue.SimpleQueue[CloseEvent] = queue.SimpleQueue()
    session.closes.subscribe(ends.put)
    session.messages.data.subscribe(session.send)
    session.start()
    try:
        return ends.get(timeout=seconds)
    except queue.Empty:
        session.close()
        return None
