"""What tests connect to: whole servers, and peers that do what no whole server does; and an eye on streams."""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import socket
import struct
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Generic, Self, TypeVar

from decoding import in_order
from peers import DEADLINE, LOOPBACK, LoopServer, switching
from reactivex import Observable
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from rxsocket.connection import shut_down
from rxsocket.decoding import Decoder
from rxsocket.encoding import encode_close, encode_message
from rxsocket.frames import NO_STATUS_RECEIVED, Close, Control, Message

BURST = 10_000
"""How many texts the route /burst sends, "0" first."""

T = TypeVar("T")


class Seen(Generic[T]):
    """Subscribes to a stream, and keeps what it gives, to wait for."""

    def __init__(self, stream: Observable[T]) -> None:
        self.items: list[T] = []  # appended to under _changed
        self.error: Exception | None = None
        self._changed = threading.Condition()
        self._completed = threading.Event()
        self.subscription = stream.subscribe(self._take, self._fail, self._completed.set)

    @property
    def is_completed(self) -> bool:
        return self._completed.is_set()

    def wait(self, count: int = 1) -> list[T]:
        """Wait until there are that many items; return all that there are then."""
        with self._changed:
            in_time = self._changed.wait_for(lambda: len(self.items) >= count, DEADLINE)
            assert in_time, f"{len(self.items)} of {count} items came, at last {self.items[-3:]}"
            return list(self.items)

    def one(self) -> T:
        """Wait for the stream's end, and return the only item that it gave."""
        items = self.all()
        assert len(items) == 1, items
        return items[0]

    def all(self) -> list[T]:
        """Wait for the stream's end, and return what it gave."""
        assert self._completed.wait(DEADLINE), f"not completed after {len(self.items)} items, error {self.error}"
        return self.items

    def _take(self, item: T) -> None:
        with self._changed:
            self.items.append(item)
            self._changed.notify_all()

    def _fail(self, error: Exception) -> None:
        self.error = error


class EchoServer(LoopServer):
    """A server of the package websockets.

    Routes: /text answers each text with "echo: " before it, /close closes with the code and reason that a text has,
    /burst sends :data:`BURST` texts at once, /ping pings with each message and sends back what the pong has, /terminate
    cuts the connection without a close frame at a message, /json keeps what comes for :attr:`received` and answers
    with what :attr:`answer` makes of it; all else gives back what comes.
    """

    def __init__(self) -> None:
        super().__init__("websockets server")
        self.ends: queue.SimpleQueue[tuple[str, int, str]] = queue.SimpleQueue()
        """The path, code and reason of each connection that ended."""
        self.received: queue.SimpleQueue[object] = queue.SimpleQueue()
        self.answer: Callable[[object], object] = lambda entity: entity

    async def _serve(self) -> None:
        async with serve(
            self._handle,
            LOOPBACK,
            0,
            subprotocols=["chat.v1", "chat.v2"],
            select_subprotocol=_first_offered,
            max_size=None,
            ping_interval=None,
            close_timeout=1,
            backlog=500,
        ) as server:
            self._listens(server)
            await self._stop.wait()
            # asyncio forgets, without closing it, a connection that it has accepted and not yet begun to serve.
            self._loop.remove_reader(server.sockets[0])
            await asyncio.sleep(0)
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)

    async def _handle(self, client: ServerConnection) -> None:
        path = client.request.path if client.request else ""
        try:
            if path == "/burst":
                for number in range(BURST):
                    await client.send(str(number))
            async for message in client:
                await self._answer(client, path, message)
        except ConnectionClosed:
            pass  # as its end says
        await client.wait_closed()
        self.ends.put((path, client.close_code or 0, client.close_reason or ""))

    async def _answer(self, client: ServerConnection, path: str, message: str | bytes) -> None:
        match path:
            case "/text":
                await client.send(f"echo: {message}")
            case "/close":
                code, _, reason = str(message).partition(" ")
                await client.close(int(code), reason)
            case "/ping":
                payload = message.encode() if isinstance(message, str) else message
                await (await client.ping(payload))
                await client.send(payload)
            case "/terminate":
                client.transport.abort()
            case "/json":
                entity = json.loads(message)
                self.received.put(entity)
                await client.send(json.dumps(self.answer(entity)))
            case _:
                await client.send(message)


def _first_offered(connection: ServerConnection, offered: list[str]) -> str | None:
    return next((name for name in ("chat.v1", "chat.v2") if name in offered), None)


class NodeServer:
    """A server of the npm package ws, with the routes of :class:`EchoServer` but /json, in a process of its own."""

    def __init__(self, node: str, script: Path) -> None:
        self.ends: queue.SimpleQueue[tuple[str, int, str]] = queue.SimpleQueue()
        """The path, code and reason of each connection that ended."""
        self._process = subprocess.Popen([node, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 our own script
        assert self._process.stdout is not None
        self._lines = self._process.stdout
        self.url = f"ws://127.0.0.1:{json.loads(self._lines.readline())}"
        self._thread = threading.Thread(target=self._read, name="reader of Node's lines")
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(DEADLINE)
        self._thread.join(DEADLINE)
        self._lines.close()

    def _read(self) -> None:
        for line in self._lines:
            path, code, reason = json.loads(line)
            self.ends.put((path, code, reason))


class Wire:
    """A TCP connection on which a script plays the server, byte by byte where it wants to."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(DEADLINE)
        self.sock = sock
        self.request = b""
        self._decoder = Decoder(1 << 40, masked=True)
        self._frames: deque[Message | Control] = deque()

    def read_request(self) -> None:
        """Read the opening handshake's request."""
        while not self.request.endswith(b"\r\n\r\n"):
            data = self.sock.recv(1 << 16)
            if not data:
                raise ConnectionError("the client hung up before its request was complete")
            self.request += data

    def response(self) -> bytes:
        """What to answer the request with."""
        fields = dict(line.split(": ", 1) for line in self.request.decode().split("\r\n")[1:] if line)
        key = {name.lower(): value for name, value in fields.items()}["sec-websocket-key"]
        return "\r\n".join(("HTTP/1.1 101 Switching Protocols", *switching(key), "", "")).encode()

    def upgrade(self, also: bytes = b"") -> None:
        """Do the opening handshake; what is sent also goes with the answer, in one call."""
        self.read_request()
        self.raw(self.response() + also)

    def raw(self, data: bytes) -> None:
        self.sock.sendall(data)

    def send(self, *messages: str | bytes) -> None:
        self.raw(b"".join(encode_message(message, masked=False) for message in messages))

    def next(self) -> Message | Control | None:
        """Wait for the client's next message or control frame; None at the end of its stream."""
        while not self._frames:
            data = self.sock.recv(1 << 18)
            if not data:
                return None
            self._frames.extend(in_order(self._decoder, data))
        return self._frames.popleft()

    def skip(self, size: int) -> None:
        """Read so many bytes, and let them go."""
        while size:
            size -= len(self.sock.recv(min(size, 1 << 18)))

    def frames(self) -> list[Message | Control]:
        """Wait for the end of the client's stream, and return all that came until then."""
        found: list[Message | Control] = []
        while (frame := self.next()) is not None:
            found.append(frame)
        return found

    def close_frame(self) -> Close:
        """Wait for the client's close frame; what comes before it is not kept."""
        while not isinstance(frame := self.next(), Close):
            assert frame is not None, "the client sent no close frame"
        return frame

    def answer_close(self) -> Close:
        """Wait for the client's close frame, give it back, and end this side of the TCP connection."""
        close = self.close_frame()
        self.close(close)
        return close

    def close(self, close: Close) -> None:
        """Send a close frame, and end this side of the TCP connection."""
        self.raw(encode_close(None if close.code == NO_STATUS_RECEIVED else close, masked=False))
        self.sock.shutdown(socket.SHUT_WR)

    def wait_for_end(self) -> None:
        """Wait until the client has ended the connection, whichever way."""
        with contextlib.suppress(ConnectionError):
            while self.sock.recv(1 << 18):
                pass

    def reset(self) -> None:
        """Break the connection off with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def in_turn(*scripts: Callable[[Wire], object]) -> Callable[[Wire], object]:
    """Return a script that plays another on each connection; the last on all that follow, too."""
    turns = count()

    def script(wire: Wire) -> None:
        scripts[min(next(turns), len(scripts) - 1)](wire)

    return script


class ScriptedPeer:
    """A listening socket that plays a script on each connection, one after the other, in a thread of its own.

    Args:
        script: Plays the server on a connection, which is closed when it returns.
        upgrade: Whether the opening handshake is done before the script begins.
        buffer: The size of the buffer for what the client sends, in bytes; the system's own where it is None.
    """

    def __init__(self, script: Callable[[Wire], object], *, upgrade: bool = True, buffer: int | None = None) -> None:
        self._script = script
        self._upgrade = upgrade
        self._listener = socket.socket()
        if buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(500)
        self._lock = threading.Lock()
        self._wire: Wire | None = None  # under _lock
        self._stopped = False  # under _lock
        self._failure: BaseException | None = None
        self.url = f"ws://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, name="scripted peer")
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End what is still being played. Raises what a script raised before that."""
        with self._lock:
            self._stopped = True
            if self._wire is not None:
                shut_down(self._wire.sock)
        shut_down(self._listener)
        self._thread.join(DEADLINE)
        self._listener.close()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock:
                with self._lock:
                    self._wire = wire = Wire(sock)
                    if self._stopped:
                        return
                self._play(wire)

    def _play(self, wire: Wire) -> None:
        try:
            if self._upgrade:
                try:
                    wire.upgrade()
                except ConnectionError:
                    return  # given up by the client
            self._script(wire)
        except BaseException as error:  # noqa: BLE001 raised again on the thread of the test
            with self._lock:
                if not self._stopped and self._failure is None:
                    self._failure = error


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Hold a block to a number of seconds."""
    start = time.monotonic()
    yield
    taken = time.monotonic() - start
    assert taken < seconds, f"it took {taken:.2f} s"
