"""What type-checkers know of codecs, decoded messages and cold streams; it is checked, and never run."""

from __future__ import annotations

from typing import assert_type

import msgspec
import reactivex.operators as ops
from reactivex import Observable

from rxsocket.codec import Codec, codec_of
from rxsocket.delivery import buffered
from rxsocket.fake import FakeSession
from rxsocket.recording import record
from rxsocket.replaying import replay
from rxsocket.resource import Resource
from rxsocket.session import Session
from rxsocket.socket import Socket, websocket
from rxsocket.store import RootStore
from rxsocket.streams import Streams
from rxsocket.sync import sync_with


class Trade(msgspec.Struct, frozen=True, tag=True):
    symbol: str
    price: float


class Quote(msgspec.Struct, frozen=True, tag=True):
    symbol: str
    bid: float


class Order(msgspec.Struct):
    symbol: str


class Upper:
    def encode(self, value: list[str]) -> str:
        return " ".join(value)

    def decode(self, message: str | bytes) -> list[str]:
        return str(message).split()


def codecs(resource: Resource[Trade, str]) -> None:
    assert_type(codec_of(Trade), Codec[Trade])
    assert_type(codec_of(Trade, Quote), Codec[Trade | Quote])
    assert_type(codec_of(Trade, Quote, int, format="msgpack"), Codec[Trade | Quote | int])
    assert_type(codec_of(Trade, Quote, int, str, bytes), Codec[Trade | Quote | int | str | bytes])
    assert_type(codec_of(dict[str, int]), Codec[dict[str, int]])
    assert_type(codec_of(Trade).decode(""), Trade)
    assert_type(codec_of(Trade).encode(Trade("", 0)), str | bytes)
    mine: Codec[list[str]] = Upper()
    theirs: Codec[Trade] = resource
    codec_of(Trade, format="yaml")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    assert_type(mine.decode(""), list[str])
    assert_type(theirs.decode(""), Trade)


def decoded(session: Session, resource: Resource[Trade, str]) -> None:
    messages = session.messages
    assert_type(messages.decode(Trade), Observable[Trade])
    assert_type(messages.decode(Trade, invalid="end"), Observable[Trade])
    assert_type(messages.decode(Trade, Quote), Observable[Trade | Quote])
    assert_type(messages.decode(Trade, Quote, int, str, bytes), Observable[Trade | Quote | int | str | bytes])
    assert_type(messages.decode(dict[str, int]), Observable[dict[str, int]])
    assert_type(messages.decode(int), Observable[int])
    assert_type(messages.decode(codec_of(Trade, Quote)), Observable[Trade | Quote])
    assert_type(messages.decode(resource), Observable[Trade])
    assert_type(messages.decode(Upper()), Observable[list[str]])
    messages.decode(Trade, invalid="stop")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


def sessions(plain: Socket, store: RootStore[Trade], resource: Resource[Trade, str]) -> None:
    assert_type(websocket("ws://host/"), Socket[str | bytes])
    assert_type(plain, Socket[str | bytes])
    assert_type(plain.connect(), Session[str | bytes])
    assert_type(plain.connect().received, Observable[str | bytes])
    plain.connect().send({"price": 0})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    socket = websocket("ws://host/", codec=codec_of(Trade, Quote))
    assert_type(socket, Socket[Trade | Quote])
    assert_type(socket.append("a").protocols("b").reconnecting(None), Socket[Trade | Quote])
    with socket.connect() as session:
        assert_type(session, Session[Trade | Quote])
        assert_type(session.received, Observable[Trade | Quote])
        session.send(Trade("", 0))
        session.send("text")
        session.send(Order(""))
        session.send(b"", wait=False)
        session.send(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(websocket("ws://host/", codec=Upper()).connect(), Session[list[str]])
    websocket("ws://host/", codec=Trade)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    sync_with(store, socket, resource)
    store.sync_with(socket, resource)


def heard(session: Session[Trade], plain: Session) -> None:
    def prices(streams: Streams[Trade]) -> Observable[Trade]:
        return streams.received

    prices(session)
    prices(replay("feed.jsonl", codec=codec_of(Trade)))
    prices(FakeSession(codec=codec_of(Trade)))

    def sends(told: Session[Trade]) -> None:
        told.send(Trade("", 0))

    sends(session)
    sends(FakeSession(codec=codec_of(Trade)))
    sends(replay("feed.jsonl", codec=codec_of(Trade)))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    prices(plain)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(replay("feed.jsonl").received, Observable[str | bytes])
    record(session, "feed.jsonl")


def cold(plain: Socket, socket: Socket[Trade]) -> None:
    assert_type(plain.stream(), Observable[str | bytes])
    assert_type(socket.stream(), Observable[Trade])
    assert_type(plain.stream(Trade), Observable[Trade])
    assert_type(plain.stream(Trade, Quote, invalid="end"), Observable[Trade | Quote])
    assert_type(plain.stream(codec_of(Trade)), Observable[Trade])
    assert_type(plain.stream(Trade, on_open=lambda session: session.send("subscribe")), Observable[Trade])

    def subscribe(session: Session[Trade]) -> None:
        session.send(Trade("", 0))

    assert_type(socket.stream(on_open=subscribe), Observable[Trade])


def is_large(trade: Trade) -> bool:
    return trade.price > 1


def price_of(trade: Trade) -> float:
    return trade.price


def add(total: float, price: float) -> float:
    return total + price


def shown(total: float) -> str:
    return f"{total:.2f}"


def five_operators_in_a_pipe(session: Session) -> None:
    # Of a lambda here pyright knows the types, and mypy does not: it infers each argument of pipe by itself. Nor does
    # it know what pipe gives whose last two operators take no function, such as distinct_until_changed().
    trades = session.messages.decode(Trade)
    assert_type(trades, Observable[Trade])
    assert_type(trades.pipe(buffered(10, "latest")), Observable[Trade])
    assert_type(trades.pipe(buffered(10, "latest"), ops.filter(is_large)), Observable[Trade])
    prices = trades.pipe(buffered(10, "latest"), ops.filter(is_large), ops.map(price_of))
    assert_type(prices, Observable[float])
    totals = trades.pipe(buffered(10, "latest"), ops.filter(is_large), ops.map(price_of), ops.scan(add, 0.0))
    assert_type(totals, Observable[float])
    texts = trades.pipe(
        buffered(10, "latest"), ops.filter(is_large), ops.map(price_of), ops.scan(add, 0.0), ops.map(shown)
    )
    assert_type(texts, Observable[str])


def five_operators_in_a_chain(session: Session) -> None:
    # reactivex's methods keep the type, but for those that only leave items out (filter, take, throttle_first).
    items = session.messages.decode(Trade, Quote)
    assert_type(items, Observable[Trade | Quote])
    prices = items.map(lambda item: item.price if isinstance(item, Trade) else item.bid)
    assert_type(prices, Observable[float])
    totals = prices.scan(lambda total, price: total + price, 0.0)
    assert_type(totals, Observable[float])
    changes = totals.pipe(ops.distinct_until_changed())
    assert_type(changes, Observable[float])
    pairs = changes.pairwise()
    assert_type(pairs, Observable[tuple[float, float]])
    assert_type(pairs.map(lambda pair: pair[1] - pair[0]), Observable[float])
