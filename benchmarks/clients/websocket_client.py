"""websocket-client, as a loop around ``recv``, in plain Python."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from websocket import WebSocket, create_connection

from .measures import Crowd, Feed, Stint, Task


def _open(task: Task) -> WebSocket:
    return create_connection(task.url, sslopt={"ca_certs": task.authority})


def _texts(ws: WebSocket) -> Iterator[str | bytes]:
    return iter(ws.recv, "")  # which is what it gives for a close frame


def receive(task: Task, feed: Feed) -> None:
    ws = _open(task)
    feed.opened()
    consume = feed.function()
    for message in _texts(ws):
        consume(message)
    ws.shutdown()


def answer(task: Task, feed: Feed) -> None:
    ws = _open(task)
    feed.opened()
    consume = feed.function()
    send, times = ws.send, range(task.burst)
    for message in _texts(ws):
        consume(message)
        for _ in times:
            send(message)
    ws.shutdown()


def send(task: Task, stint: Stint) -> None:
    ws = _open(task)
    stint.send_by(ws.send if task.text else ws.send_binary, task.threads)
    ws.close()


def connect(task: Task, stint: Stint) -> None:
    for turn in stint.turns():
        for _ in turn:
            _open(task).close()


def gather(task: Task, crowd: Crowd) -> None:
    (message,) = task.messages()
    sessions: list[WebSocket] = []

    def join() -> None:
        ws = _open(task)
        sessions.append(ws)
        ws.send(message)
        for _ in _texts(ws):
            crowd.served()
        ws.shutdown()

    threads = [threading.Thread(target=join) for _ in range(crowd.size)]
    for thread in threads:
        thread.start()
    crowd.wait()
    for ws in sessions:
        ws.send_close()
    for thread in threads:
        thread.join()
