# websocket-client is typed, but not throughout.
# pyright: reportUnknownMemberType=false
"""websocket-client's ``WebSocketApp``, in plain Python."""

from __future__ import annotations

import threading

from websocket import WebSocketApp

from .measures import Crowd, Feed, Stint, Task


def _run(app: WebSocketApp, task: Task) -> None:
    app.run_forever(sslopt={"ca_certs": task.authority})


def receive(task: Task, feed: Feed) -> None:
    consume = feed.function()
    _run(
        WebSocketApp(task.url, on_open=lambda _: feed.opened(), on_message=lambda _, message: consume(message)),
        task,
    )


def answer(task: Task, feed: Feed) -> None:
    consume = feed.function()
    times = range(task.burst)

    def give_back(app: WebSocketApp, message: str) -> None:
        consume(message)
        for _ in times:
            app.send(message)

    _run(WebSocketApp(task.url, on_open=lambda _: feed.opened(), on_message=give_back), task)


def send(task: Task, stint: Stint) -> None:
    def run(app: WebSocketApp) -> None:
        stint.send_by(app.send if task.text else app.send_bytes, task.threads)
        app.close()

    _run(WebSocketApp(task.url, on_open=run), task)


def connect(task: Task, stint: Stint) -> None:
    for turn in stint.turns():
        for _ in turn:
            _run(WebSocketApp(task.url, on_open=lambda app: app.close()), task)


def gather(task: Task, crowd: Crowd) -> None:
    (message,) = task.messages()
    apps = [
        WebSocketApp(task.url, on_open=lambda app: app.send(message), on_message=lambda _, answer: crowd.served(answer))
        for _ in range(crowd.size)
    ]
    threads = [threading.Thread(target=_run, args=(app, task)) for app in apps]
    for thread in threads:
        thread.start()
    crowd.wait()
    for app in apps:
        app.close()
    for thread in threads:
        thread.join()
