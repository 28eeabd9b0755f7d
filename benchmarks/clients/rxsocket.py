"""rxsocket itself."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import msgspec
from reactivex import Observable
from reactivex import operators as ops

from rxsocket import Resource, RootStore, Session, Socket, buffered, first, websocket

from .measures import PATIENCE, Asks, Backlog, Crowd, Feed, Resumptions, Stint, Task, trade


def _socket(task: Task) -> Socket:
    return websocket(task.url, ssl=task.context(), compression=task.deflate)


def _stream(task: Task, session: Session) -> Observable[Any]:
    if task.typed:
        return session.messages.decode(trade())
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


class Reading(msgspec.Struct, frozen=True):
    """What the synchronized stores hold."""

    number: int = 0
    sensor: str = "temperature"
    value: float = 21.5
    id: str = "7"


def synchronize(task: Task, stint: Stint) -> None:
    resource = Resource(Reading, id=lambda reading: reading.id, empty=Reading())
    here, there = RootStore(resource.empty), RootStore(resource.empty)
    syncs = [store.sync_with(_socket(task), resource) for store in (here, there)]
    for sync in syncs:
        sync.status.pipe(ops.first(lambda status: status == "synchronized")).run()
    arrived = threading.Event()
    numbers = itertools.count(1)
    last = 0

    def look(reading: Reading) -> None:
        if reading.number == last:
            arrived.set()

    there.data.subscribe(look)
    for turn in stint.turns():
        arrived.clear()
        readings = [Reading(number) for number in itertools.islice(numbers, len(turn))]
        last = readings[-1].number
        for reading in readings:
            here.update(reading)
        if not arrived.wait(PATIENCE):
            raise TimeoutError(f"the other store stands at {there.current.number}, not {last}")
    for sync in syncs:
        sync.dispose()


def drain(items: int, backlog: Backlog) -> None:
    backlog.subscribe(backlog.source.pipe(buffered(items)))


def resume(resumptions: Resumptions) -> None:
    resumptions.run(first)


class Numbered(msgspec.Struct, frozen=True):
    """What is asked, and the reply to it."""

    id: int


def number_of(message: Numbered) -> int:
    return message.id


def ask(task: Task, asks: Asks) -> None:
    room = websocket(task.url)
    with room.connect() as asking, room.connect() as replying:
        replies = asking.messages.decode(Numbered)
        replies.subscribe(asks.arrived)
        came: list[str] = []
        all_came = threading.Event()

        def take(text: str) -> None:
            came.append(text)
            if len(came) == len(asks.keys):
                all_came.set()

        replying.messages.body.subscribe(take)
        replying.opens.pipe(ops.first()).run()
        for key in asks.keys:
            asking.ask(
                msgspec.json.encode(Numbered(key)).decode(),
                reply=number_of,
                key=key,
                timeout=PATIENCE,
                messages=replies,
            ).subscribe(asks.resolved)
        all_came.wait(PATIENCE)
        for text in came:
            replying.send(text)
        asks.replied.wait(PATIENCE)
