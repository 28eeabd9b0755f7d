"""What goes wrong between a client and a server: a proxy that harms what passes, and a server that can be stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from peers import DEADLINE, LOOPBACK, LoopServer


class Proxy(LoopServer):
    """A TCP proxy on loopback to a server, which harms what passes.

    Args:
        url: The server's.
        piece: How many bytes pass at once.
        delay: Seconds that each piece takes, in each direction.

    Attributes:
        cut_at: After how many bytes of the server's a connection is cut; None for never. Read at each connection.
        reset: Whether a connection is cut by a RST, not by the end of its streams.
    """

    def __init__(self, url: str, *, piece: int = 1 << 16, delay: float = 0.0) -> None:
        super().__init__("faulty proxy")
        self._server = urlsplit(url)
        self._piece = piece
        self._delay = delay
        self.cut_at: int | None = None
        self.reset = False
        self._upstream = asyncio.Event()  # from here on the loop's thread alone
        self._downstream = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    def stall(self, *, upstream: bool = True, downstream: bool = True) -> None:
        """Let nothing pass any more, to the server or to the client."""
        self._switch([self._upstream] * upstream + [self._downstream] * downstream, asyncio.Event.clear)

    def flow(self) -> None:
        """Let all pass again."""
        self._switch([self._upstream, self._downstream], asyncio.Event.set)

    def cut(self) -> None:
        """Cut all connections."""
        self._loop.call_soon_threadsafe(self._cut)

    def _switch(self, events: list[asyncio.Event], switch) -> None:
        done = threading.Event()
        for event in events:
            self._loop.call_soon_threadsafe(switch, event)
        self._loop.call_soon_threadsafe(done.set)
        assert done.wait(DEADLINE)

    def _cut(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _serve(self) -> None:
        self._upstream.set()
        self._downstream.set()
        listener = await asyncio.start_server(self._accept, LOOPBACK, 0, limit=self._piece)
        async with listener:
            self._listens(listener)
            await self._stop.wait()
            self._cut()
        for writer in self._writers:  # also of those that are closed, and have something left to be read
            writer.transport.abort()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            there, back = await asyncio.open_connection(self._server.hostname, self._server.port, limit=self._piece)
            self._writers += [writer, back]
            try:
                await self._connect(reader, writer, there, back)
            except asyncio.CancelledError:
                pass  # it is cut
            finally:
                _end(back, reset=self.reset)
        finally:
            _end(writer, reset=self.reset)
            self._tasks.discard(task)

    async def _connect(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> None:
        """Let pass what there is to pass, until both streams have ended, or it is cut."""
        up = asyncio.create_task(self._pass(reader, back, self._upstream, None))
        down = asyncio.create_task(self._pass(there, writer, self._downstream, self.cut_at))
        try:
            await down
            if self.cut_at is None:
                await up
        finally:
            for task in (up, down):
                task.cancel()
            await asyncio.wait({up, down})

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flows: asyncio.Event, limit: int | None
    ) -> None:
        passed = 0
        with contextlib.suppress(ConnectionError):  # whoever ended the one side, the other is ended, too
            while limit is None or passed < limit:
                await flows.wait()
                data = await reader.read(self._piece if limit is None else min(self._piece, limit - passed))
                await flows.wait()
                if not data:
                    break
                if self._delay:
                    await asyncio.sleep(self._delay)
                writer.write(data)
                await writer.drain()
                passed += len(data)
            else:
                return
        if not writer.is_closing():
            with contextlib.suppress(OSError):
                writer.write_eof()


def _end(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    if reset:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()


class ServerProcess:
    """An :class:`~servers.EchoServer` in a process of its own, which can be stopped."""

    def __enter__(self) -> Self:
        code = (
            "import sys, servers\nwith servers.EchoServer() as server: print(server.url, flush=True); sys.stdin.read()"
        )
        self._process = subprocess.Popen(  # noqa: S603 our own words
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on()
        self._process.communicate(timeout=DEADLINE)

    def stop(self) -> None:
        """Stop it where it stands; its sockets stay, and the system goes on to accept for it."""
        os.kill(self._process.pid, signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)  # until it stands

    def go_on(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)
