"""A plain socket that speaks as little of the protocol as can be: the most that the server, and the machine, can do."""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import urlsplit

from benchmarks.content import contents
from benchmarks.wire import BINARY, TEXT, close_frame, frame

from .measures import Feed, Stint, Task

READ = 1 << 18


@contextmanager
def _open(task: Task) -> Generator[socket.socket]:
    parts = urlsplit(task.url)
    extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if task.deflate else ""
    request = (
        f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{extension}\r\n"
    )
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = task.context()
        sock = plain if context is None else context.wrap_socket(plain, server_hostname=parts.hostname)
        sock.sendall(request.encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += sock.recv(1)
        yield sock


def _frame(task: Task, *, masked: bool) -> bytes:
    (payload,) = contents(task.size, as_json=task.json)
    return frame(TEXT if task.text else BINARY, payload, masked=masked)


def _read(sock: socket.socket, buffer: memoryview) -> int:
    """Read some bytes; answer and leave out the server's close frame. None come after it."""
    size = sock.recv_into(buffer)
    close = close_frame()
    if bytes(buffer[max(0, size - len(close)) : size]) == close:
        sock.sendall(close_frame(masked=True))
        return size - len(close)
    return size


def receive(task: Task, feed: Feed) -> None:
    total = 0
    with _open(task) as sock, memoryview(bytearray(READ)) as buffer:
        feed.opened()
        while size := _read(sock, buffer):
            total += size
        feed.closed()
    take = feed.function()
    for _ in range(total // len(_frame(task, masked=False))):
        take(None)


def answer(task: Task, feed: Feed) -> None:
    reply = _frame(task, masked=True)
    length = len(_frame(task, masked=False))
    take = feed.function()
    total = 0
    with _open(task) as sock, memoryview(bytearray(READ)) as buffer:
        feed.opened()
        while size := _read(sock, buffer):
            count = (total + size) // length - total // length
            total += size
            for _ in range(count):
                take(None)
            sock.sendall(reply * (count * task.burst))


def send(task: Task, stint: Stint) -> None:
    with _open(task) as sock, memoryview(bytearray(READ)) as buffer:
        block = b""
        for messages in stint.turns():
            block = block or _frame(task, masked=True) * len(messages)
            sock.sendall(block)
        sock.sendall(close_frame(masked=True))
        while sock.recv_into(buffer):
            pass


def connect(task: Task, stint: Stint) -> None:
    for turn in stint.turns():
        for _ in turn:
            with _open(task) as sock:
                sock.sendall(close_frame(masked=True))
                while sock.recv(READ):
                    pass
