"""websockets, its client with threads; it masks in C."""

from __future__ import annotations

import threading

from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as open_connection

from .measures import Crowd, Feed, Stint, Task


def _open(task: Task) -> ClientConnection:
    return open_connection(
        task.url,
        ssl=task.context(),
        compression="deflate" if task.deflate else None,
        proxy=None,
        open_timeout=60,
        max_size=None,
    )


def receive(task: Task, feed: Feed) -> None:
    consume = feed.function()
    with _open(task) as connection:
        feed.opened()
        for message in connection:
            consume(message)


def answer(task: Task, feed: Feed) -> None:
    consume = feed.function()
    times = range(task.burst)
    with _open(task) as connection:
        feed.opened()
        send = connection.send
        for message in connection:
            consume(message)
            for _ in times:
                send(message)


def send(task: Task, stint: Stint) -> None:
    with _open(task) as connection:
        stint.send_by(connection.send, task.threads)


def connect(task: Task, stint: Stint) -> None:
    for turn in stint.turns():
        for _ in turn:
            _open(task).close()


def gather(task: Task, crowd: Crowd) -> None:
    (message,) = task.messages()
    sessions: list[ClientConnection] = []

    def join() -> None:
        connection = _open(task)
        sessions.append(connection)
        connection.send(message)
        for _ in connection:
            crowd.served()

    threads = [threading.Thread(target=join) for _ in range(crowd.size)]
    for thread in threads:
        thread.start()
    crowd.wait()
    for session in sessions:
        session.close()
    for thread in threads:
        thread.join()
