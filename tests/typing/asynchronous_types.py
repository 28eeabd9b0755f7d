"""What type-checkers know of what coroutines wait for; it is checked, and never run."""

from __future__ import annotations

from contextlib import aclosing
from typing import assert_type

import reactivex.operators as ops

from rxsocket.asynchronous import AsyncItems, first, iterate
from rxsocket.session import Session
from rxsocket.socket import Socket
from rxsocket.states import OpenEvent


async def items(session: Session) -> None:
    assert_type(await first(session.opens), OpenEvent)
    assert_type(await first(session.messages.body.pipe(ops.map(len))), int)
    assert_type(iterate(session.messages.body), AsyncItems[str])
    async for text in iterate(session.messages.body, capacity=10, overflow="drop_oldest"):
        assert_type(text, str)
    async with iterate(session.messages.blob) as blobs:
        assert_type(blobs, AsyncItems[bytes])
        assert_type(await anext(blobs), bytes)
    async with aclosing(iterate(session.round_trips)) as seconds:
        assert_type([each async for each in seconds], list[float])
    iterate(session.messages, overflow="drop")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def sessions(socket: Socket) -> None:
    async with socket.aconnect("room", paused=True) as session:
        assert_type(session, Session)
        await session.asend("text")
        await session.asend(b"binary")
        await session.asend(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await session.aclose(4000, "reason")
