"""An embedded server that shares entities and chats between websocket clients (extra ``hub``).

:class:`Hub` runs in the background of a script, a test or a notebook, and ``rxsocket hub`` runs one from the command
line. It is what ``store.sync_with`` and the chat of fritz2's websocket page need at the other end:

- ``/chat/{room}``: a room of the chat (:mod:`rxsocket.chat`).
- ``/members/{room}``: by plain HTTP GET the JSON list of a room's members; 400 where there is no such room.
- any other path: one entity, shared by all clients of that path.

Names in a path are URL-decoded, and a query is ignored.

What it does not do yet, and later versions will:

- Everything is in memory: when the hub ends, the entities are gone.
- What is sent to a client that reads slowly is buffered without bound.
- A client that answers pings before it has looked at the messages before them, as browsers do, can still end with
  another entity than the rest when its edit and another's cross on the way.
- A member of a chat whose connection is lost without a sign stays one until the hub's pings find out, within 40 s.
- It asks nobody who they are. On the default host only this machine reaches it, though that includes any web page
  that is open in a browser there.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from http import HTTPStatus
from types import TracebackType
from typing import Self, TypeAlias
from urllib.parse import unquote

import msgspec

from .chat import Refusal, Room

try:
    from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
    from websockets.exceptions import ConnectionClosedError
    from websockets.http11 import Request, Response
except ImportError as error:
    raise ImportError(
        "the hub needs websockets, 15 or later: pip install 'rxsocket[hub]'", name="websockets"
    ) from error

from .entity import Client, SharedEntity

__all__ = ["Hub"]

logger = logging.getLogger("rxsocket.hub")

_CLOSE_SECONDS = 1.0
"""How long a client has to answer a close frame, before its connection is cut."""

_CHAT = "/chat/"
_MEMBERS = "/members/"

_Endpoint: TypeAlias = SharedEntity | Room


class Hub:
    """A websocket server in a background thread: a shared entity at each path, and chats under ``/chat/``.

    The module's docstring says what its paths are, and what its limits. It speaks plain RFC 6455 to any client: it
    picks none of the sub-protocols a client offers, and no compression.

    Args:
        host: The name or address to listen on. The default can be reached from this machine only.
        port: The port to listen on; 0 takes a free one, which :attr:`url` tells.
        max_size: The size of the largest message taken, in bytes. A larger one closes its connection with 1009.

    Raises:
        ValueError: ``port`` or ``max_size`` is out of range.

    Threads:
        ``start``, ``close`` and ``url`` may be used from any thread. The thread of the hub is a daemon, and an open
        hub is closed when the interpreter exits.

    Example:
        >>> with Hub() as hub:
        ...     session = websocket(hub.url).connect("person")

    Source: the server that fritz2's websocket page expects at ``ws://myserver:3333``.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, max_size: int = 16 * 2**20) -> None:
        if not 0 <= port <= 65_535:  # noqa: PLR2004 that is what a port is
            raise ValueError(f"a port is a number from 0 to 65535, not {port}")
        if max_size <= 0:
            raise ValueError(f"max_size is a number of bytes above 0, not {max_size}")
        self._host = host
        self._port = port
        self._max_size = max_size
        self._lock = threading.Lock()
        self._url: str | None = None  # written once, by start, under _lock
        self._thread: threading.Thread | None = None  # written once, by start, under _lock
        self._stop: Callable[[], object] | None = None  # written by start, taken by the first close, under _lock
        self._endpoints: dict[str, _Endpoint] = {}  # by decoded path; used on the loop only

    @property
    def url(self) -> str:
        """Where the hub listens, such as ``"ws://127.0.0.1:3333"``, without a slash at the end.

        Raises:
            RuntimeError: The hub has not been started.
        """
        if self._url is None:
            raise RuntimeError("the hub has no URL before it is started: use `with Hub() as hub:` or hub.start()")
        return self._url

    def start(self) -> Self:
        """Start to listen. On return clients can connect.

        Returns:
            The hub itself.

        Raises:
            OSError: The address is not to be had, for instance since the port is taken.
            RuntimeError: The hub was started before. A hub runs once.
        """
        with self._lock:
            if self._thread is not None:
                raise RuntimeError("a hub can be started only once; make a new one")
            listener = _listen(self._host, self._port)
            try:
                started: Future[Callable[[], object]] = Future()
                thread = threading.Thread(target=self._run, args=(listener, started), name="rxsocket-hub", daemon=True)
                thread.start()
                self._stop = started.result()
            except BaseException:
                listener.close()
                raise
            self._thread = thread
            self._url = _url(listener)
        atexit.register(self.close)
        logger.info("listening on %s", self._url)
        return self

    def close(self) -> None:
        """Close every connection with 1001, stop to listen, and wait until that is done. Again, it does nothing.

        A client that does not answer within a second is cut. On the hub's own thread it does not wait.
        """
        with self._lock:
            if self._stop is not None:
                self._stop()
                self._stop = None
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, listener: socket.socket, started: Future[Callable[[], object]]) -> None:
        try:
            asyncio.run(self._serve(listener, started))
        except BaseException as error:
            if started.done():
                raise  # to threading.excepthook, since start has long returned
            started.set_exception(error)

    async def _serve(self, listener: socket.socket, started: Future[Callable[[], object]]) -> None:
        """Be the server, until the function that ``started`` is given is called."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        alive: set[ServerConnection] = set()  # written on the loop

        class Connection(Client):
            """Counts as alive from the first byte on: websockets knows of a connection only after its handshake."""

            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                alive.add(self)
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                alive.discard(self)

        server = await serve(
            self._converse,
            sock=listener,
            create_connection=Connection,
            process_request=self._answer,
            compression=None,
            max_size=self._max_size,
            close_timeout=_CLOSE_SECONDS,
            logger=_websockets_logger(),
        )

        def stop_soon() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended: it was asked before
                loop.call_soon_threadsafe(stop.set)

        started.set_result(stop_soon)
        await stop.wait()
        await _shut_down(server, alive)

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer a plain HTTP request; None lets the opening handshake of a websocket go on."""
        if getattr(request, "method", "GET") != "GET":  # 15 and 16 have no such attribute, and refuse all but GET
            return None  # websockets answers 405
        path = _path(request)
        if path.startswith(_MEMBERS):
            return self._list_members(connection, path.removeprefix(_MEMBERS))
        if path == _CHAT:
            return connection.respond(HTTPStatus.BAD_REQUEST, "The room has no name: expected /chat/{room}.\n")
        if "Upgrade" not in request.headers:
            response = connection.respond(
                HTTPStatus.UPGRADE_REQUIRED,
                "This is an rxsocket hub: connect to this path with a WebSocket client. "
                "By plain HTTP there is only GET /members/{room}.\n",
            )
            response.headers["Upgrade"] = "websocket"  # RFC 9110, section 15.5.22
            return response
        return None

    def _list_members(self, connection: ServerConnection, name: str) -> Response:
        room = self._endpoints.get(_CHAT + name)
        members = room.members if isinstance(room, Room) else []
        if not members:
            return connection.respond(HTTPStatus.BAD_REQUEST, f"There is no room {name!a}: nobody has joined it.\n")
        response = connection.respond(HTTPStatus.OK, msgspec.json.encode(members).decode())
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json"
        return response

    async def _converse(self, connection: ServerConnection) -> None:
        """Serve one client, from the end of its opening handshake on."""
        assert isinstance(connection, Client)  # noqa: S101 as serve was told
        assert connection.request is not None  # noqa: S101 the opening handshake is done
        path = _path(connection.request)
        endpoint = self._endpoint(path)
        endpoint.join(connection)
        refusal: Refusal | None = None
        try:
            async for message in connection:
                connection.take()
                endpoint.receive(connection, message)
        except Refusal as error:
            refusal = error
        except ConnectionClosedError as error:
            logger.debug("a client of %s ended without a clean close: %s", path, error)
        except Exception:
            logger.exception("the hub failed while it served a client of %s, whose connection it closes", path)
            raise
        finally:
            endpoint.leave(connection)
            if endpoint.idle:
                del self._endpoints[path]
        if refusal is not None:  # only now, since the others need not wait for this client's answer
            logger.info("closing a connection to %s with %d: %s", path, refusal.code, refusal.reason)
            await connection.close(refusal.code, _shortened(refusal.reason))

    def _endpoint(self, path: str) -> _Endpoint:
        endpoint = self._endpoints.get(path)
        if endpoint is None:
            endpoint = Room(broadcast) if path.startswith(_CHAT) else SharedEntity()
            self._endpoints[path] = endpoint
        return endpoint


def _listen(host: str, port: int) -> socket.socket:
    """Bind on the caller's thread, so that the caller gets the error."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        code = error.errno or 0
        cause = os.strerror(code) if code > 0 else "there is no such host"  # those of getaddrinfo are below 0
        raise OSError(code, f"the hub cannot listen on {host}, port {port}: {cause}") from error


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"ws://[{host}]:{port}" if listener.family == socket.AF_INET6 else f"ws://{host}:{port}"


def _path(request: Request) -> str:
    return unquote(request.path.partition("?")[0])


def _shortened(reason: str) -> str:
    """Cut a reason to what a close frame holds: 123 bytes of UTF-8 (RFC 6455, section 5.5)."""
    return reason.encode()[:123].decode(errors="ignore")


def _websockets_logger() -> logging.Logger:
    """Give websockets a logger that shows what it says only to those who ask for INFO.

    It reports a client that vanishes, or that sends garbage, as an error with a traceback. That is no error of the
    hub, and whoever uses one need not see it.
    """
    quiet = logging.getLogger("rxsocket.hub.websockets")
    quiet.addFilter(_is_wanted)
    return quiet


def _is_wanted(record: logging.LogRecord) -> bool:
    return logging.getLogger(record.name).isEnabledFor(logging.INFO)


async def _shut_down(server: Server, alive: set[ServerConnection]) -> None:
    """Close all connections with 1001, and after a second cut those that are still there.

    The cut is needed: websockets waits without end for a client that does not read what was sent to it, and up to ten
    seconds for one that has not sent its handshake.
    """
    server.close()
    closed = asyncio.ensure_future(server.wait_closed())
    await asyncio.wait([closed], timeout=_CLOSE_SECONDS)
    for connection in list(alive):
        connection.transport.abort()
    await closed
