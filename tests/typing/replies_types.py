"""What type-checkers know of topics, replies, JSON-RPC and gaps; it is checked, and never run."""

from __future__ import annotations

from typing import Any, assert_type

import msgspec
import reactivex.operators as ops
from reactivex import Observable

from rxsocket.gaps import Gap
from rxsocket.jsonrpc import JsonRpc, Request
from rxsocket.messages import MessageEvent
from rxsocket.session import Session


class Event(msgspec.Struct):
    id: int


def is_event(event: Event) -> bool:
    return event.id > 0


def id_of(event: Event) -> int:
    return event.id


def topics(session: Session, events: Observable[Event]) -> None:
    assert_type(session.topic(subscribe="+", matches=lambda _: True), Observable[str | bytes])
    assert_type(session.topic(subscribe=lambda: b"+", unsubscribe="-", matches=bool), Observable[str | bytes])
    assert_type(session.topic(subscribe="+", matches=is_event, messages=events), Observable[Event])
    session.topic(subscribe=1, matches=bool)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    session.topic(matches=bool)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


def replies(session: Session, events: Observable[Event]) -> None:
    assert_type(session.ask("?", reply=bool), Observable[str | bytes])
    assert_type(session.ask(lambda: "?", reply=len, key=3, timeout=None), Observable[str | bytes])
    assert_type(session.ask("?", reply=id_of, key=3, messages=events), Observable[Event])
    session.ask("?", reply=bool, timeout="1")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


def calls(rpc: JsonRpc) -> None:
    assert_type(rpc.call("x"), Observable[Any])
    assert_type(rpc.call("x", [1]), Observable[Any])
    assert_type(rpc.call("x", {"a": 1}, Event), Observable[Event])
    assert_type(rpc.call("x", result_type=list[Event], timeout=1, sessionId="S"), Observable[list[Event]])
    assert_type(rpc.call("x", Event(1), Event).pipe(ops.map(id_of)), Observable[int])
    assert_type(rpc.notifications("x"), Observable[Any])
    assert_type(rpc.notifications("x", Event, sessionId="S"), Observable[Event])
    assert_type(rpc.requests("x"), Observable[Request[Any]])
    assert_type(rpc.requests("x", Event), Observable[Request[Event]])
    rpc.call("x", "text")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


def answers(request: Request[Event]) -> None:
    assert_type(request.params, Event)
    request.reply([1])
    request.refuse(-32602, "no")


def gaps(session: Session) -> None:
    assert_type(session.messages.with_gaps(), Observable[MessageEvent | Gap])
    assert_type(session.messages.windows(), Observable[Observable[MessageEvent]])
