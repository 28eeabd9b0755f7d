"""What rxsocket's operators do, done over its sessions by RxPY's and msgspec alone."""

from __future__ import annotations

import asyncio

from reactivex import Observable
from reactivex import operators as ops
from reactivex.scheduler import EventLoopScheduler
from reactivex.scheduler.eventloop import AsyncIOThreadSafeScheduler

from rxsocket import websocket

from .measures import Backlog, Feed, Resumptions, Task, decoder


def receive(task: Task, feed: Feed) -> None:
    session = websocket(task.url).prepare()
    session.opens.subscribe(lambda _: feed.opened())
    decode, consume = decoder(), feed.function()
    session.messages.data.subscribe(lambda message: consume(decode(message)))
    session.start()
    session.closes.run()


def drain(items: int, backlog: Backlog) -> None:  # noqa: ARG001 it has no bound
    backlog.subscribe(backlog.source.pipe(ops.observe_on(EventLoopScheduler(exit_if_empty=True))))


async def _first(stream: Observable[int]) -> int:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[int] = loop.create_future()
    scheduler = AsyncIOThreadSafeScheduler(loop)
    stream.pipe(ops.first(), ops.observe_on(scheduler)).subscribe(future.set_result, future.set_exception)
    return await future


def resume(resumptions: Resumptions) -> None:
    resumptions.run(_first)
