"""What type-checkers know of the views of notebooks; it is checked, and never run."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_type

from msgspec import Struct

from rxsocket.notebook import View, live, plot, progress
from rxsocket.replaying import replay
from rxsocket.session import Session
from rxsocket.store import RootStore


class Trade(Struct, frozen=True):
    symbol: str
    price: float


def price_of(trade: Trade) -> float:
    return trade.price


def views(session: Session, store: RootStore[list[Trade]]) -> None:
    trades = session.messages.decode(Trade)
    assert_type(live(session), View)
    live(store, fps=4)
    live(trades, n=5, columns=["price"], title="trades")
    live([1])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(plot(trades, "price"), View)
    plot(trades, price_of, by="symbol", window=timedelta(minutes=1), unit="EUR")
    plot(trades, ["price", price_of], x=price_of, window=500)
    plot(trades, {"price": price_of, "same": "price"}, window=2.5)
    plot(trades, 7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(progress(replay("feed.jsonl")), View)
    progress(session)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    live(session).freeze("enough")
