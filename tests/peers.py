"""Peers to connect to: scripted servers and proxies, all real, on loopback, gone at their block's end."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import ipaddress
import queue
import selectors
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Self

from websockets.asyncio.server import Server as WebSocketServer
from websockets.asyncio.server import ServerConnection, serve

from rxsocket.connection import shut_down
from rxsocket.handshake import GUID

DEADLINE = 10.0
"""Seconds. What takes longer has failed."""

LOOPBACK = "127.0.0.1"


class Request:
    """The head of an HTTP request."""

    def __init__(self, head: str) -> None:
        line, *fields = head.split("\r\n")
        self.method, self.target, _ = line.split(" ")
        self.fields = [(name, value) for name, _, value in (field.partition(": ") for field in fields)]

    @property
    def headers(self) -> dict[str, str]:
        """The headers, names in lower case; one that was sent twice shows."""
        headers: dict[str, str] = {}
        for name, value in self.fields:
            key = name.lower()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        return headers


class Peer:
    """One connection that a server accepted, as its script sees it."""

    def __init__(self, sock: socket.socket, server: Server) -> None:
        self.sock = sock
        self.server = server
        self._received = b""

    def read(self, size: int) -> bytes:
        """Read exactly so many bytes."""
        while len(self._received) < size:
            self._more()
        data, self._received = self._received[:size], self._received[size:]
        return data

    def request(self) -> Request:
        """Read the head of a request, and note it."""
        while b"\r\n\r\n" not in self._received:
            self._more()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        request = Request(head.decode())
        self.server.requests.append(request)
        self.server.requested.set()
        return request

    def respond(self, status: str, *fields: str, body: bytes = b"") -> None:
        """Send an HTTP response, with exactly these header fields."""
        self.sock.sendall("\r\n".join((f"HTTP/1.1 {status}", *fields, "", "")).encode() + body)

    def accept(self, *fields: str, request: Request | None = None) -> Request:
        """Answer the opening handshake."""
        request = request or self.request()
        self.respond("101 Switching Protocols", *switching(request.headers["sec-websocket-key"]), *fields)
        return request

    def redirect(self, location: str, status: str = "302 Found") -> None:
        self.request()
        self.respond(status, f"Location: {location}")

    def wait(self, seconds: float = DEADLINE) -> bool:
        """Let time pass; tell whether it is still wanted then."""
        return not self.server.stopping.wait(seconds)

    def await_word(self) -> None:
        """Wait until the client says something (its close frame, where a test sends nothing), or hangs up."""
        if not self._received:
            self.sock.recv(65536)

    def _more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("the client hung up")
        self._received += data


def switching(key: str) -> list[str]:
    """Return the header fields of a right answer to an opening handshake."""
    digest = hashlib.sha1(key.encode() + GUID, usedforsecurity=False).digest()
    return ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}"]


class Server:
    """A TCP server, which runs a script for each connection, on a thread of its own.

    Attributes:
        requests: What HTTP requests came, in order.
        requested: Is set once one has come.
        connections: How many connections were accepted.
        names: The server names that TLS clients gave.
    """

    def __init__(
        self, script: Callable[[Peer], object], *, context: ssl.SSLContext | None = None, host: str = LOOPBACK
    ) -> None:
        self._script = script
        self._context = context
        self._host = host
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._failures: list[Exception] = []
        self._lock = threading.Lock()
        self.requests: list[Request] = []
        self.requested = threading.Event()
        self.stopping = threading.Event()
        self.connections = 0
        self.names: list[str | None] = []

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'ws' if self._context is None else 'wss'}://{host}:{self.port}"

    def track(self, sock: socket.socket) -> None:
        """End a socket, which a script opened, with the server."""
        with self._lock:
            self._sockets.append(sock)
            if self.stopping.is_set():
                shut_down(sock)

    def __enter__(self) -> Self:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        self._listener = socket.create_server((self._host, 0), family=family)
        self.port: int = self._listener.getsockname()[1]
        if self._context is not None:
            self._context.sni_callback = lambda _sock, name, _context: self.names.append(name)
        self._start(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        shut_down(self._listener)
        with self._lock:
            for sock in self._sockets:
                shut_down(sock)
        while self._threads:
            thread = self._threads.pop(0)  # first the one that starts the others
            thread.join(DEADLINE)
            assert not thread.is_alive()
        for sock in (self._listener, *self._sockets):
            sock.close()
        if self._failures:
            raise self._failures[0]

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name="peer")
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self.track(sock)
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        try:
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                self.track(sock)
                sock.do_handshake()
            self._script(Peer(sock, self))
        except OSError:
            pass  # the client hung up, or did not like the certificate: the test looks at what it says
        except Exception as error:  # noqa: BLE001 the test fails with it
            self._failures.append(error)
        finally:
            # Unread bytes would turn the end into a reset, which may overtake what was sent.
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):
                    pass
            sock.close()


def http_proxy(login: str | None = None) -> Server:
    """Return an HTTP proxy that knows CONNECT; with a login (``user:password``), only who has it."""

    def script(peer: Peer) -> None:
        request = peer.request()
        assert request.method == "CONNECT"
        expected = None if login is None else f"Basic {base64.b64encode(login.encode()).decode()}"
        if request.headers.get("proxy-authorization") != expected:
            peer.respond("407 Proxy Authentication Required", "Proxy-Authenticate: Basic")
            return
        host, _, port = request.target.rpartition(":")
        _tunnel(peer, host, int(port), b"HTTP/1.1 200 Connection established\r\n\r\n")

    return Server(script)


class SocksServer(Server):
    """A SOCKS5 proxy (RFC 1928); with a login (RFC 1929), only for who has it.

    Args:
        login: ``(user, password)``.
        hosts: The names that it knows.

    Attributes:
        asked: The hosts that it was asked for: names, where the client left it to the proxy to look them up.
    """

    def __init__(self, login: tuple[str, str] | None = None, hosts: Mapping[str, str] | None = None) -> None:
        super().__init__(self._talk)
        self._login = login
        self._hosts = hosts or {}
        self.asked: list[str] = []

    def _talk(self, peer: Peer) -> None:
        methods = peer.read(peer.read(2)[1])
        method = 0 if self._login is None else 2
        assert method in methods
        peer.sock.sendall(bytes([5, method]))
        if self._login is not None:
            user = peer.read(peer.read(2)[1]).decode()
            password = peer.read(peer.read(1)[0]).decode()
            accepted = (user, password) == self._login
            peer.sock.sendall(bytes([1, not accepted]))
            if not accepted:
                return
        kind = peer.read(4)[3]
        if kind == 3:
            host = peer.read(peer.read(1)[0]).decode()
        else:
            host = str(ipaddress.ip_address(peer.read(4 if kind == 1 else 16)))
        (port,) = struct.unpack("!H", peer.read(2))
        self.asked.append(host)
        _tunnel(peer, self._hosts.get(host, host), port, b"\5\0\0\1\0\0\0\0\0\0")


def _tunnel(peer: Peer, host: str, port: int, word: bytes) -> None:
    with socket.create_connection((host, port), DEADLINE) as there:
        peer.server.track(there)
        peer.sock.sendall(word)
        other = {peer.sock: there, there: peer.sock}
        with selectors.DefaultSelector() as selector:
            for sock in other:
                selector.register(sock, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select():
                    data = key.fileobj.recv(65536)
                    if data:
                        other[key.fileobj].sendall(data)
                    else:
                        selector.unregister(key.fileobj)
                        with contextlib.suppress(OSError):
                            other[key.fileobj].shutdown(socket.SHUT_WR)


class LoopServer:
    """Serves in an event loop on a thread of its own, until its block's end.

    Attributes:
        url: Where it is, from its block's beginning on.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._started: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name)

    def __enter__(self) -> Self:
        self._thread.start()
        self.url = self._started.get(timeout=DEADLINE)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()

    async def _serve(self) -> None:
        """Listen, say so, and serve until it is to stop."""
        raise NotImplementedError

    def _listens(self, server: asyncio.Server | WebSocketServer, scheme: str = "ws") -> None:
        self._started.put(f"{scheme}://{LOOPBACK}:{next(iter(server.sockets)).getsockname()[1]}")

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())


class _Echo(LoopServer):
    def __init__(self, context: ssl.SSLContext | None, subprotocols: Sequence[str] | None) -> None:
        super().__init__("echo server")
        self._options = {"ssl": context, "subprotocols": subprotocols, "max_size": None, "ping_interval": None}
        self._scheme = "ws" if context is None else "wss"

    async def _serve(self) -> None:
        async with serve(self._echo, LOOPBACK, 0, **self._options) as server:
            self._listens(server, self._scheme)
            await self._stop.wait()

    async def _echo(self, connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)


@contextlib.contextmanager
def echo_server(context: ssl.SSLContext | None = None, subprotocols: Sequence[str] | None = None) -> Iterator[str]:
    """Run a server of the ``websockets`` package that says what it hears; give its URL."""
    with _Echo(context, subprotocols) as server:
        yield server.url
