"""rxsocket itself."""

from __future__ import annotations

from typing import Any

from reactivex import Observable
from reactivex import operators as ops

from rxsocket import Session, Socket, websocket

from .measures import Crowd, Feed, Stint, Task


def _socket(task: Task) -> Socket:
    return websocket(task.url, ssl=task.context(), compression=task.deflate)


def _stream(task: Task, session: Session) -> Observable[Any]:
    return session.messages.body if task.text else session.messages.blob


def receive(task: Task, feed: Feed) -> None:
    session = _socket(task).prepare()
    session.opens.subscribe(lambda _: feed.opened())
    feed.subscribe(_stream(task, session))
    session.start()
    session.closes.run()


def answer(task: Task, feed: Feed) -> None:
    session = _socket(task).prepare()
    session.opens.subscribe(lambda _: feed.opened())
    stream = _stream(task, session)
    feed.subscribe(stream)
    send, times = session.send, range(task.burst)

    def give_back(message: Any) -> None:  # noqa: ANN401 a text or bytes
        for _ in times:
            send(message)

    stream.subscribe(send if task.burst == 1 else give_back)
    session.start()
    session.closes.run()


def send(task: Task, stint: Stint) -> None:
    with _socket(task).connect() as session:
        session.opens.pipe(ops.first()).run()
        stint.send_by(session.send, task.threads)


def connect(task: Task, stint: Stint) -> None:
    socket = _socket(task)
    for turn in stint.turns():
        for _ in turn:
            with socket.connect() as session:
                session.opens.pipe(ops.first()).run()


def gather(task: Task, crowd: Crowd) -> None:
    socket = _socket(task)
    (message,) = task.messages()

    def join() -> Session:
        session = socket.prepare()
        _stream(task, session).subscribe(crowd.served)
        session.opens.subscribe(lambda _: session.send(message))
        return session.start()

    sessions = [join() for _ in range(crowd.size)]
    crowd.wait()
    for session in sessions:
        session.close()
