"""Plain clients of a hub, of another make than rxsocket, and what they see."""

from __future__ import annotations

import http.client
import socket
from collections import deque
from typing import Self
from urllib.parse import urlsplit

import pytest
from decoding import in_order
from servers import DEADLINE
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as _connect

from rxsocket.decoding import Decoder
from rxsocket.encoding import encode_message, encode_pong
from rxsocket.frames import Control, Message, Ping
from rxsocket.hub import Hub


def connect(url: str, **options) -> ClientConnection:
    return _connect(url, proxy=None, max_size=None, open_timeout=DEADLINE, close_timeout=DEADLINE, **options)


def receive(client: ClientConnection) -> str | bytes:
    return client.recv(timeout=DEADLINE)


def confirm(client: ClientConnection) -> None:
    """Let the hub know that the client has received what was sent to it."""
    # The hub's own ping comes before the pong for this one, and is answered before that is seen.
    assert client.ping().wait(DEADLINE)


def closing(client: ClientConnection) -> tuple[int, str]:
    """The code and the reason with which the hub closes a client that waits for a message."""
    with pytest.raises(ConnectionClosed) as raised:
        receive(client)
    close = raised.value.rcvd
    assert close is not None
    return close.code, close.reason


def get(hub: Hub, path: str, method: str = "GET") -> tuple[int, str, str]:
    """The status, the content type and the body of a plain HTTP answer."""
    connection = http.client.HTTPConnection(urlsplit(hub.url).netloc, timeout=DEADLINE)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.headers["Content-Type"], response.read().decode()
    finally:
        connection.close()


class RawClient:
    """A client that does nothing by itself: it reads only when it is asked to, and answers neither pings nor closes."""

    def __init__(self, hub: Hub, path: str | None = "/") -> None:
        """With path None it sends no handshake."""
        self._decoder = Decoder(1 << 30)
        self._found: deque[Message | Control] = deque()
        url = urlsplit(hub.url)
        self.socket = socket.create_connection((url.hostname, url.port), timeout=DEADLINE)
        if path is not None:
            self.socket.sendall(
                f"GET {path} HTTP/1.1\r\nHost: {url.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
            )
            answer = b""
            while not answer.endswith(b"\r\n\r\n"):
                answer += self.socket.recv(1)
            assert answer.startswith(b"HTTP/1.1 101 ")

    def raw(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send(self, text: str) -> None:
        self.raw(encode_message(text))

    def ping(self) -> Ping:
        """Wait for the next ping."""
        while not isinstance(found := self.next(), Ping):
            pass
        return found

    def pong(self) -> None:
        """Answer the next ping."""
        self.raw(encode_pong(self.ping().payload))

    def next(self) -> Message | Control:
        """Wait for the next message or control frame."""
        while not self._found:
            data = self.socket.recv(1 << 16)
            assert data, "the hub has ended the connection"
            self._found.extend(in_order(self._decoder, data))
        return self._found.popleft()

    def message(self) -> Message:
        """Wait for the next message."""
        while not isinstance(found := self.next(), str | bytes):
            pass
        return found

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
