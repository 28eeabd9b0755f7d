"""aiohttp, on asyncio; it reads and masks in Cython."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, TCPConnector

from .measures import Crowd, Feed, Stint, Task


def _session() -> ClientSession:
    return ClientSession(connector=TCPConnector(limit=0))


async def _open(session: ClientSession, task: Task) -> ClientWebSocketResponse:
    return await session.ws_connect(
        task.url, ssl=task.context() or True, compress=15 if task.deflate else 0, max_msg_size=0
    )


def receive(task: Task, feed: Feed) -> None:
    async def run() -> None:
        consume = feed.function()
        async with _session() as session:
            ws = await _open(session, task)
            feed.opened()
            async for message in ws:
                consume(message.data)

    asyncio.run(run())


def answer(task: Task, feed: Feed) -> None:
    async def run() -> None:
        consume = feed.function()
        times = range(task.burst)
        async with _session() as session:
            ws = await _open(session, task)
            feed.opened()
            send = _sender(ws, task)
            async for message in ws:
                data = message.data
                consume(data)
                for _ in times:
                    await send(data)

    asyncio.run(run())


def send(task: Task, stint: Stint) -> None:
    async def run() -> None:
        async with _session() as session:
            ws = await _open(session, task)
            send = _sender(ws, task)
            for messages in stint.turns():
                for message in messages:
                    await send(message)
            await ws.close()

    asyncio.run(run())


def _sender(ws: ClientWebSocketResponse, task: Task) -> Callable[[Any], Awaitable[None]]:
    return ws.send_str if task.text else ws.send_bytes


def connect(task: Task, stint: Stint) -> None:
    async def run() -> None:
        async with _session() as session:
            for turn in stint.turns():
                for _ in turn:
                    await (await _open(session, task)).close()

    asyncio.run(run())


def gather(task: Task, crowd: Crowd) -> None:
    (message,) = task.messages()

    async def run() -> None:
        async with _session() as session:

            async def join() -> ClientWebSocketResponse:
                ws = await _open(session, task)
                await _sender(ws, task)(message)
                crowd.served(await ws.receive())
                return ws

            sockets = await asyncio.gather(*(join() for _ in range(crowd.size)))
            crowd.measure()
            for ws in sockets:
                await ws.close()

    asyncio.run(run())
