"""What type-checkers know of sockets, sessions and their streams; it is checked, and never run."""

from __future__ import annotations

import ssl
from typing import assert_type

import reactivex.operators as ops
from reactivex import Observable

from rxsocket.errors import RxSocketException
from rxsocket.frames import Close
from rxsocket.messages import MessageEvent, Messages
from rxsocket.session import Session
from rxsocket.socket import Socket, websocket
from rxsocket.states import Closed, CloseEvent, Closing, Connecting, Initiator, Open, OpenEvent, State
from rxsocket.stats import Rates, Stats


def sockets() -> None:
    socket = websocket("ws://host/", "chat.v1", "chat.v2", headers={"A": "b"}, ssl=ssl.create_default_context())
    assert_type(socket, Socket)
    assert_type(socket.url, str)
    assert_type(socket.append("room"), Socket)
    assert_type(socket.protocols("a", "b"), Socket)
    assert_type(socket.connect("room", paused=True), Session)
    with socket.connect() as session:
        assert_type(session, Session)
    websocket(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    websocket("ws://host/", max_size=1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    websocket("ws://host/", headers={"A": 1})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    websocket("ws://host/", max=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def calls(session: Session, buffer: bytearray) -> None:
    assert_type(session.url, str)
    assert_type(session.protocol, str | None)
    assert_type(session.current_state, State)
    session.send("text")
    session.send(b"binary")
    session.send(buffer)
    session.send(memoryview(buffer))
    session.send(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    session.close()
    session.close(4000, "reason")
    session.close(code=1000, reason="finished")
    session.close("finished")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def lifecycle(session: Session) -> None:
    assert_type(session.state, Observable[State])
    assert_type(session.is_connecting, Observable[bool])
    assert_type(session.is_open, Observable[bool])
    assert_type(session.is_closed, Observable[bool])
    assert_type(session.opens, Observable[OpenEvent])
    assert_type(session.closes, Observable[CloseEvent])
    assert_type(session.errors, Observable[RxSocketException])


def messages(session: Session) -> None:
    assert_type(session.messages, Messages)
    events: Observable[MessageEvent] = session.messages
    assert_type(events.map(lambda event: event.data), Observable[str | bytes])
    assert_type(session.messages.map(lambda event: event.connection), Observable[int])
    assert_type(session.messages.data, Observable[str | bytes])
    assert_type(session.messages.body, Observable[str])
    assert_type(session.messages.blob, Observable[bytes])
    assert_type(session.messages.array_buffer, Observable[memoryview])


def counters(session: Session) -> None:
    assert_type(session.stats, Stats)
    assert_type(session.stats.round_trip, float | None)
    assert_type(session.stats_every(0.5), Observable[Stats])
    assert_type(session.rates_every(), Observable[Rates])
    assert_type(session.rates_every(0.5).map(lambda rates: rates.messages_in), Observable[float])


def operators(session: Session) -> None:
    def long(text: str) -> bool:
        return len(text) > 3

    def first(view: memoryview) -> int:
        return view[0]

    assert_type(session.messages.body.pipe(ops.filter(long), ops.map(len)), Observable[int])
    assert_type(session.messages.body.pipe(ops.map(str.upper), ops.filter(long)), Observable[str])
    assert_type(session.messages.array_buffer.pipe(ops.map(first)), Observable[int])
    assert_type(session.messages.pipe(ops.map(MessageEvent.__repr__)), Observable[str])
    assert_type(session.closes.map(lambda event: event.code), Observable[int])
    session.messages.body.subscribe(print)
    session.messages.body.subscribe(first)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def states(state: State) -> None:
    match state:
        case Connecting():
            assert_type(state, Connecting)
        case Open(opened):
            assert_type(opened, OpenEvent)
            assert_type(opened.protocol, str | None)
        case Closing(initiator):
            assert_type(initiator, Initiator)
        case Closed(closed):
            assert_type(closed, CloseEvent)
            assert_type(closed.cause, RxSocketException | None)
            assert_type(closed.received, Close | None)
            assert_type(closed.received.reason if closed.received else "", str)
