"""Plays a cassette to clients, as the server did that it was recorded from (extra ``hub``)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import Future
from itertools import cycle
from os import PathLike
from typing import Any

from .cassette import Binary, Cassette, ClosedLine, Completed, ConnectingLine, Line, OpenLine, Text
from .checks import check_speed
from .errors import CassetteException
from .frames import ABNORMAL_CLOSURE, GOING_AWAY, MAX_REASON, NORMAL_CLOSURE, is_sendable
from .states import CloseEvent, OpenEvent

try:
    from websockets.asyncio.server import ServerConnection
    from websockets.asyncio.server import serve as _serve
    from websockets.exceptions import ConnectionClosed
    from websockets.http11 import Request
    from websockets.typing import Subprotocol
except ImportError as error:
    raise ImportError(
        "to serve a cassette needs websockets, 15 or later: pip install 'rxsocket[hub]'", name="websockets"
    ) from error

__all__ = ["serve"]

logger = logging.getLogger("rxsocket.serving")

INTERNAL_ERROR = 1011  # RFC 6455, section 7.4.1
MAX_SIZE = 16 << 20  # bytes of a message of a client, which is let go
CLOSE_SECONDS = 1.0  # for a client to answer a close frame, or to take what was sent before a reset
TURN = 1000  # lines that are passed over before other clients have their turn


@contextlib.contextmanager
def serve(
    path: str | PathLike[str], host: str = "127.0.0.1", port: int = 0, *, speed: float | None = 1.0
) -> Generator[str, None, None]:
    """Play a cassette as a server, on a thread of its own, until the block's end.

    The first client to connect gets the messages of the first connection that was recorded, in their time, and its
    close code; the second those of the second, and so on: so a session that connects again gets what came next. After
    the last it begins anew. Where a connection was lost, it is reset when the client has taken all. What clients send
    is let go, and does not matter. Where the recording ends before the connection does, that is closed with 1001.

    Args:
        path: The file's.
        host: The name or address to listen on. The default can be reached from this machine only.
        port: The port to listen on; 0 takes a free one.
        speed: How many times as fast as it was; None for as fast as a client reads.

    Returns:
        A context manager that gives the URL, such as ``"ws://127.0.0.1:40123"``; any path below it is served.

    Raises:
        CassetteException: The file is no cassette, or has no connection.
        OSError: The file can't be read, or the address is not to be had.
        TypeError: The speed is no number.
        ValueError: The speed is under 0.01.

    Example:
        >>> with serve("feed.jsonl") as url, websocket(url).connect() as session:
        ...     session.messages.body.subscribe(print)
    """
    check_speed(speed)
    stage = _Stage(Cassette(path), speed)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listener:
        host, port = listener.getsockname()[:2]
        started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        thread = threading.Thread(target=stage.run, args=(listener, started), name="rxsocket serve", daemon=True)
        thread.start()
        loop, stop = started.result()
        try:
            yield f"ws://[{host}]:{port}" if family == socket.AF_INET6 else f"ws://{host}:{port}"
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join()


class _Client(ServerConnection):
    """A client; ``opening`` is that of the connection it is played, set before its handshake is answered."""

    opening: OpenEvent


class _Stage:
    """Where the connections of a cassette are played, each to a client. All of it on its loop."""

    def __init__(self, cassette: Cassette, speed: float | None) -> None:
        self._cassette = cassette
        self._speed = speed
        openings = cassette.openings()
        if not openings:
            raise CassetteException(
                f"{cassette.path} has no connection to play: its session was never open", cassette.path, 1
            )
        self._openings = cycle(openings)

    def run(self, listener: socket.socket, started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]) -> None:
        try:
            asyncio.run(self._run(listener, started))
        except BaseException as error:
            if started.done():
                raise  # to threading.excepthook
            started.set_exception(error)

    async def _run(
        self, listener: socket.socket, started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]
    ) -> None:
        stop = asyncio.Event()
        alive: set[asyncio.BaseTransport] = set()

        class Client(_Client):
            """Counts as alive from the first byte on."""

            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                alive.add(transport)
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                alive.discard(self.transport)

        options: dict[str, Any] = {"compression": None, "max_size": MAX_SIZE, "ping_interval": None}
        server = await _serve(
            self._play,
            sock=listener,
            create_connection=Client,
            process_request=self._prepare,
            select_subprotocol=_subprotocol,
            close_timeout=CLOSE_SECONDS,
            logger=_quiet_logger(),
            **options,
        )
        started.set_result((asyncio.get_running_loop(), stop))
        await stop.wait()
        server.close()
        closed = asyncio.ensure_future(server.wait_closed())
        await asyncio.wait([closed], timeout=CLOSE_SECONDS)
        for transport in list(alive):  # who does not read, or has sent no handshake, would be waited for
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()
        await closed

    def _prepare(self, connection: ServerConnection, request: Request) -> None:
        assert isinstance(connection, _Client)  # noqa: S101 as serve was told
        connection.opening = next(self._openings)

    async def _play(self, connection: ServerConnection) -> None:
        assert isinstance(connection, _Client)  # noqa: S101 as serve was told
        playing = asyncio.create_task(self._play_connection(connection, connection.opening.connection))
        hearing = asyncio.create_task(_let_go(connection))
        try:
            await asyncio.wait({playing, hearing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (playing, hearing):
                task.cancel()
            results = await asyncio.gather(playing, hearing, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                logger.error("a cassette can't be played on: %s", result)
                await connection.close(INTERNAL_ERROR, "the cassette can't be played on")

    async def _play_connection(self, client: ServerConnection, number: int) -> None:
        """Send what came through a connection, and end it as it ended."""
        clock = asyncio.get_running_loop().time
        start = clock()
        opened: int | None = None  # when it was, in the cassette's time
        ended: tuple[int, CloseEvent] | None = None

        async def until(at: int) -> None:
            if self._speed is not None and opened is not None:
                await asyncio.sleep(start + (at - opened) / 1e6 / self._speed - clock())

        with contextlib.suppress(ConnectionClosed):
            for count, line in enumerate(self._cassette):
                if count % TURN == 0:
                    await asyncio.sleep(0)
                match line:
                    case OpenLine() if line.state.event.connection == number:
                        opened = line.at
                    case Text() | Binary() if line.connection == number:
                        await until(line.at if ended is None else ended[0])
                        await client.send(line.data)
                    case Text() | Binary() | Completed() if ended is not None:
                        break  # before that a pause may have held some that came before its end
                    case _:
                        ended = ended or _end_of(line, number)
            if ended is None:
                await client.close(GOING_AWAY, "the recording ends here")
            else:
                await until(ended[0])
                await _end(client, ended[1])


def _end_of(line: Line, number: int) -> tuple[int, CloseEvent] | None:
    """Return when and how a connection ended, if a line says so."""
    event = (
        line.state.lost
        if isinstance(line, ConnectingLine)
        else line.state.event
        if isinstance(line, ClosedLine)
        else None
    )
    return (line.at, event) if event is not None and event.connection == number else None


async def _end(client: ServerConnection, event: CloseEvent) -> None:
    if event.code != ABNORMAL_CLOSURE:
        code = event.code if is_sendable(event.code) else NORMAL_CLOSURE
        await client.close(code, event.reason.encode()[:MAX_REASON].decode(errors="ignore"))
        return
    # A reset takes what was not taken before: the pong says that all was.
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(await client.ping(), CLOSE_SECONDS)
    sock = client.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.transport.abort()


async def _let_go(client: ServerConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        async for _ in client:
            pass


def _subprotocol(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    assert isinstance(connection, _Client)  # noqa: S101 as serve was told
    return next((name for name in offered if name == connection.opening.protocol), None)


def _quiet_logger() -> logging.Logger:
    """Give websockets a logger that tells of a client that vanishes only to who asks for INFO."""
    quiet = logging.getLogger("rxsocket.serving.websockets")
    quiet.addFilter(_is_wanted)
    return quiet


def _is_wanted(record: logging.LogRecord) -> bool:
    return logging.getLogger(record.name).isEnabledFor(logging.INFO)
