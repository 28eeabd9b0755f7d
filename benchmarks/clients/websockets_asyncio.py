"""websockets, its client on asyncio; it masks in C."""

from __future__ import annotations

import asyncio

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_connection

from .measures import Crowd, Feed, Stint, Task


def _open(task: Task) -> open_connection:
    return open_connection(
        task.url,
        ssl=task.context(),
        compression="deflate" if task.deflate else None,
        proxy=None,
        open_timeout=60,
        max_size=None,
    )


def receive(task: Task, feed: Feed) -> None:
    async def run() -> None:
        consume = feed.function()
        async with _open(task) as connection:
            feed.opened()
            async for message in connection:
                consume(message)

    asyncio.run(run())


def answer(task: Task, feed: Feed) -> None:
    async def run() -> None:
        consume = feed.function()
        times = range(task.burst)
        async with _open(task) as connection:
            feed.opened()
            send = connection.send
            async for message in connection:
                consume(message)
                for _ in times:
                    await send(message)

    asyncio.run(run())


def send(task: Task, stint: Stint) -> None:
    async def run() -> None:
        async with _open(task) as connection:
            for messages in stint.turns():
                for message in messages:
                    await connection.send(message)

    asyncio.run(run())


def connect(task: Task, stint: Stint) -> None:
    async def run() -> None:
        for turn in stint.turns():
            for _ in turn:
                async with _open(task):
                    pass

    asyncio.run(run())


def gather(task: Task, crowd: Crowd) -> None:
    (message,) = task.messages()

    async def join() -> ClientConnection:
        connection = await _open(task)
        await connection.send(message)
        crowd.served(await connection.recv())
        return connection

    async def run() -> None:
        connections = await asyncio.gather(*(join() for _ in range(crowd.size)))
        crowd.measure()
        for connection in connections:
            await connection.close()

    asyncio.run(run())
