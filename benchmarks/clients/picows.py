"""picows, in Cython, on asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from .measures import Crowd, Feed, Stint, Task

CLOSE = WSMsgType.CLOSE
MAX_FRAME = 1 << 27


class _Texts(WSListener):
    """Gives texts to a function, and answers a close frame, which picows leaves to its users."""

    def __init__(self, consume: Callable[[Any], object]) -> None:
        self.consume = consume
        self.writable = asyncio.Event()
        self.writable.set()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == CLOSE:
            self.leave(transport, frame)
        else:
            self.consume(frame.get_payload_as_utf8_text())

    def leave(self, transport: WSTransport, frame: WSFrame) -> None:
        transport.send_close(frame.get_close_code())
        transport.disconnect()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()


class _Blobs(_Texts):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == CLOSE:
            self.leave(transport, frame)
        else:
            self.consume(frame.get_payload_as_bytes())


async def _open(task: Task, consume: Callable[[Any], object]) -> tuple[WSTransport, _Texts]:
    listener = _Texts(consume) if task.text else _Blobs(consume)
    transport, _ = await ws_connect(lambda: listener, task.url, ssl_context=task.context(), max_frame_size=MAX_FRAME)
    return transport, listener


async def _close(transport: WSTransport) -> None:
    transport.send_close()
    await transport.wait_disconnected()


def receive(task: Task, feed: Feed) -> None:
    async def run() -> None:
        transport, _ = await _open(task, feed.function())
        feed.opened()
        await transport.wait_disconnected()

    asyncio.run(run())


def answer(task: Task, feed: Feed) -> None:
    consume = feed.function()
    times = range(task.burst)
    kind = WSMsgType.TEXT if task.text else WSMsgType.BINARY

    class Answering(_Texts):
        def on_ws_connected(self, transport: WSTransport) -> None:
            feed.opened()

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type == CLOSE:
                self.leave(transport, frame)
                return
            message = frame.get_payload_as_utf8_text()
            consume(message)
            payload = message.encode()
            for _ in times:
                transport.send(kind, payload)

    async def run() -> None:
        transport, _ = await ws_connect(lambda: Answering(consume), task.url, ssl_context=task.context())
        await transport.wait_disconnected()

    asyncio.run(run())


def send(task: Task, stint: Stint) -> None:
    async def run() -> None:
        transport, listener = await _open(task, lambda _: None)
        kind = WSMsgType.TEXT if task.text else WSMsgType.BINARY
        for messages in stint.turns():
            for message in messages:
                transport.send(kind, message.encode() if task.text else message)
            await listener.writable.wait()
        await _close(transport)

    asyncio.run(run())


def connect(task: Task, stint: Stint) -> None:
    async def run() -> None:
        for turn in stint.turns():
            for _ in turn:
                transport, _ = await _open(task, lambda _: None)
                await _close(transport)

    asyncio.run(run())


def gather(task: Task, crowd: Crowd) -> None:
    (message,) = task.messages()
    payload = message.encode() if isinstance(message, str) else message
    kind = WSMsgType.TEXT if task.text else WSMsgType.BINARY

    async def join() -> WSTransport:
        transport, _ = await _open(task, crowd.served)
        transport.send(kind, payload)
        return transport

    async def run() -> None:
        transports = await asyncio.gather(*(join() for _ in range(crowd.size)))
        while crowd.is_waiting:  # noqa: ASYNC110 it is no asyncio.Event, since it is that of all peers
            await asyncio.sleep(0.001)
        crowd.measure()
        for transport in transports:
            transport.send_close()
        for transport in transports:
            await transport.wait_disconnected()

    asyncio.run(run())
