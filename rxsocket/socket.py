"""Endpoints, described once and connected to as often as one likes."""

from __future__ import annotations

import ssl as _ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from os import PathLike
from typing import Any, Generic, TypeAlias, TypeVar, overload
from urllib.parse import SplitResult

import reactivex.operators as ops
from msgspec import Struct, structs
from reactivex import Observable

from .asynchronous import first
from .backoff import Backoff
from .codec import Codec, Invalid, MessageT, check_invalid, to_codec
from .cold import Cold
from .deflate import Deflate
from .errors import ConnectionException, EndpointException
from .markup import table
from .opening import check_needs
from .options import MIB, Headers, Options
from .session import Session
from .socket_session import SocketSession, named
from .states import Closed, Connecting
from .urls import check_protocols, check_url, show, without_login

__all__ = ["Socket", "websocket"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")

URL: TypeAlias = str | Callable[[], str]
"""Of an endpoint: given once, or asked for at each try to connect."""


class Socket(Generic[MessageT]):
    """The immutable description of a WebSocket endpoint: a URL, sub-protocols, options. Made by :func:`websocket`.

    With a codec it is a ``Socket[T]`` of the codec's values; without one, of ``str | bytes``.

    Source: fritz2's ``Socket``.
    """

    __slots__ = ("_options", "_protocols", "_url")

    def __init__(self, url: URL, protocols: tuple[str, ...], options: Options) -> None:
        if not isinstance(url, str) and not callable(url):
            raise TypeError(f"a URL is a str, or a function that returns one, not {type(url).__name__}")
        for protocol in protocols:
            if not isinstance(protocol, str):
                raise TypeError(f"a sub-protocol is a str, not {type(protocol).__name__}: give them one by one")
        self._url = url
        self._protocols = protocols
        self._options = options

    @property
    def url(self) -> str:
        """The URL, as it was given and appended to; where a function gives it, that function's name."""
        return _name(self._url) if callable(self._url) else self._url

    def append(self, sub_url: str) -> Socket[MessageT]:
        """Return a Socket whose URL goes on with another part, with exactly one slash between.

        A query of the part is added to the URL's own: ``ws://host/a?t=1`` and ``b?u=2`` make ``ws://host/a/b?t=1&u=2``.

        Args:
            sub_url: A path, with or without a slash at its start; ``""`` leaves the URL as it is.
        """
        return Socket(_join(self._url, sub_url), self._protocols, self._options)

    def protocols(self, *names: str) -> Socket[MessageT]:
        """Return a Socket that offers other sub-protocols, the preferred first; none if none are named."""
        return Socket(self._url, names, self._options)

    def connect(self, sub_url: str = "", *, paused: bool = False, name: str | None = None) -> Session[MessageT]:
        """Begin to connect, and return at once, with a session in state Connecting.

        Args:
            sub_url: What to append to the URL, as :meth:`append` does.
            paused: Whether to hold messages until :meth:`~rxsocket.Session.resume`, so that several views of
                ``messages`` can be subscribed to and all get everything.
            name: What to name the session. One that has the name already closes first, as by ``close()``, and the new
                one begins to connect when that is done: so a notebook's cell that is run again has one session.

        Raises:
            EndpointException: It can never work as it is described: for its URL, a sub-protocol's name, a CA file that
                is not there, or a SOCKS proxy without the extra ``socks``.
            ConnectionException: The system has no descriptor, or no thread, left for another session.
        """
        return self.prepare(sub_url, paused=paused, name=name).start()

    def prepare(self, sub_url: str = "", *, paused: bool = False, name: str | None = None) -> Session[MessageT]:
        """Return a session that has not begun to connect: ``start()`` does, when all that is wanted is subscribed to.

        Args:
            sub_url: As :meth:`connect` takes it.
            paused: As :meth:`connect` takes it.
            name: As :meth:`connect` takes it; the earlier one closes when this one starts.

        Raises:
            EndpointException: As :meth:`connect` raises it.
            ConnectionException: The system has no descriptor left for another session.
            TypeError: The name is no str.
        """
        if name is not None and not isinstance(name, str):
            raise TypeError(f"a session's name is a str, or None, not {type(name).__name__}")
        check_protocols(self._protocols)
        url = _join(self._url, sub_url)
        if callable(url):
            # Whether by TLS is only known when the function says where to; but who gives ssl= expects it.
            check_needs(self._options, tls=True)
            asked = partial(_asked, url)
            return SocketSession(_name(url), asked, self._protocols, self._options, paused=paused, name=name)
        target = check_url(url)
        check_needs(self._options, tls=target.scheme == "wss")
        return SocketSession(show(target), lambda: target, self._protocols, self._options, paused=paused, name=name)

    @asynccontextmanager
    async def aconnect(
        self, sub_url: str = "", *, paused: bool = False, name: str | None = None
    ) -> AsyncGenerator[Session[MessageT]]:
        """Connect within ``async with``, whose block begins when the session is Open, and closes it at its end.

        Neither holds the loop of asyncio up. Where a :class:`~rxsocket.Backoff` tries again, so it does here. Who is
        cancelled, in the block or before, waits for the close, too (``close_timeout``), but not if cancelled again.

        Args:
            sub_url: As :meth:`connect` takes it.
            paused: As :meth:`connect` takes it.
            name: As :meth:`connect` takes it. One that has the name is closed without holding the loop up.

        Raises:
            EndpointException: As :meth:`connect` raises it.
            ConnectionException: No connection could be made, or the session was closed before there was one.

        Example:
            >>> async def greet(socket: Socket) -> None:
            ...     async with socket.aconnect("room/7") as session:
            ...         await session.asend("hello")
        """
        session = self.prepare(sub_url, paused=paused, name=name)
        try:
            for earlier in named(name):
                await earlier.aclose()
            session.start()
            state = await first(session.state.pipe(ops.filter(lambda state: not isinstance(state, Connecting))))
            if isinstance(state, Closed):
                problem = f"no connection to {session.url} was made: {state.event.reason or 'the session was closed'}"
                cause = state.event.cause
                raise cause if isinstance(cause, ConnectionException) else ConnectionException(problem) from cause
            yield session
        finally:
            await session.aclose()

    @overload
    def stream(
        self, *, invalid: Invalid = ..., on_open: Callable[[Session[MessageT]], object] | None = ...
    ) -> Observable[MessageT]: ...
    @overload
    def stream(
        self, codec: Codec[A], /, *, invalid: Invalid = ..., on_open: Callable[[Session[MessageT]], object] | None = ...
    ) -> Observable[A]: ...
    @overload
    def stream(
        self, a: type[A], /, *, invalid: Invalid = ..., on_open: Callable[[Session[MessageT]], object] | None = ...
    ) -> Observable[A]: ...
    @overload
    def stream(
        self,
        a: type[A],
        b: type[B],
        /,
        *,
        invalid: Invalid = ...,
        on_open: Callable[[Session[MessageT]], object] | None = ...,
    ) -> Observable[A | B]: ...
    @overload
    def stream(
        self,
        a: type[A],
        b: type[B],
        c: type[C],
        /,
        *,
        invalid: Invalid = ...,
        on_open: Callable[[Session[MessageT]], object] | None = ...,
    ) -> Observable[A | B | C]: ...
    @overload
    def stream(
        self,
        a: type[A],
        b: type[B],
        c: type[C],
        d: type[D],
        /,
        *,
        invalid: Invalid = ...,
        on_open: Callable[[Session[MessageT]], object] | None = ...,
    ) -> Observable[A | B | C | D]: ...
    @overload
    def stream(
        self,
        a: type[A],
        b: type[B],
        c: type[C],
        d: type[D],
        e: type[E],
        /,
        *,
        invalid: Invalid = ...,
        on_open: Callable[[Session[MessageT]], object] | None = ...,
    ) -> Observable[A | B | C | D | E]: ...
    @overload
    def stream(
        self, *types: object, invalid: Invalid = ..., on_open: Callable[[Session[MessageT]], object] | None = ...
    ) -> Observable[Any]: ...
    def stream(
        self,
        *types: object,
        invalid: Invalid = "skip",
        on_open: Callable[[Session[MessageT]], object] | None = None,
    ) -> Observable[Any]:
        """Return a cold stream of the messages: it connects when it is subscribed to. RxJS: ``webSocket()``.

        All who are subscribed share one session, which connects when the first subscribes, and is closed with 1000,
        without a wait, when the last disposes; who subscribes after that has another. The stream completes when the
        session ends in good order: closed by this side, or by the server with 1000, 1001 or no code. It fails with an
        EndException, which has the CloseEvent, at any other end: no connection, a loss, another code; and with what the
        socket's :meth:`connect` would raise. So ``retry``, ``repeat``, ``catch`` and ``timeout`` do what their names
        say. A loss that the socket's :class:`~rxsocket.Backoff` covers ends nothing. Since it shares by itself, it
        needs no ``share()``; RxPY's, left and entered again at once from two threads, may give nothing any more.

        Subscribers are called on the session's thread. What goes wrong otherwise is logged, as of any session.

        Args:
            *types: What to decode to, as :meth:`Messages.decode <rxsocket.Messages.decode>` takes it. If there is none,
                by the socket's codec; without one, the contents as they are.
            invalid: At a message that does not decode, ``"skip"`` goes on with the next, and ``"end"`` fails with the
                DecodeException.
            on_open: Is called with the session at each opening, on its thread: to send a subscribe message, or to keep
                the session for what is to be sent later. If it raises, the stream fails with that.

        Raises:
            TypeError: msgspec can't decode a type, or can't tell them apart.
            ValueError: ``invalid`` is something else.

        Example:
            >>> trades = socket.stream(Trade, on_open=lambda session: session.send("subscribe"))
            >>> trades.pipe(ops.retry(3)).subscribe(print)
        """
        codec = to_codec(types) if types else self._options.codec
        check_invalid(invalid)

        def select(session: Session[Any]) -> Observable[Any]:
            return session.messages.data if codec is None else session.messages.decode(codec, invalid=invalid)

        return Cold(self.prepare, select, on_open)

    def reconnecting(self, backoff: Backoff | None) -> Socket[MessageT]:
        """Return a Socket whose sessions connect again, after a loss, by another policy; None for not at all."""
        return Socket(self._url, self._protocols, structs.replace(self._options, reconnect=backoff))

    @property
    def backoff(self) -> Backoff | None:
        """By what policy its sessions connect again after a loss."""
        return self._options.reconnect

    def __repr__(self) -> str:
        return f"<Socket {' '.join((without_login(self.url), *self._protocols))}>"

    def _repr_html_(self) -> str:
        rows = [("url", without_login(self.url)), ("sub-protocols", ", ".join(self._protocols) or "none")]
        return table("Socket", [*rows, *self._options.chosen()])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Socket):
            return NotImplemented
        return (self._url, self._protocols, self._options) == (other._url, other._protocols, other._options)

    def __hash__(self) -> int:
        return hash((self._url, self._protocols))


def _join(url: URL, sub_url: str) -> URL:
    if not isinstance(sub_url, str):
        raise TypeError(f"what is appended to a URL is a str, not {type(sub_url).__name__}")
    if not sub_url:
        return url
    return _Appended(url, sub_url) if callable(url) else _joined(url, sub_url)


def _joined(url: str, sub_url: str) -> str:
    base, base_mark, base_query = url.partition("?")
    path, path_mark, query = sub_url.partition("?")
    joined = f"{base.rstrip('/')}/{path.lstrip('/')}" if path else base
    queries = "&".join(part for part in (base_query, query) if part)
    return joined + (base_mark or path_mark) + queries


class _Appended(Struct, frozen=True):
    """A function that gives a URL, whose result is appended to."""

    url: Callable[[], str]
    sub_url: str

    def __call__(self) -> str:
        given = self.url()
        # What is no URL is told of by who asks, with the others.
        return _joined(given, self.sub_url) if isinstance(given, str) else given


def _asked(url: Callable[[], str]) -> SplitResult:
    """Return what the function that gives a URL says now."""
    try:
        given = url()
    except Exception as error:
        raise ConnectionException(f"the function {_name(url)} that gives the URL failed: {error!r}") from error
    if not isinstance(given, str):
        problem = f"returned {type(given).__name__}, and a URL is a str"
        raise EndpointException(f"the function {_name(url)} that gives the URL {problem}")
    return check_url(given)


def _name(function: Callable[[], str]) -> str:
    if isinstance(function, _Appended):
        return f"{_name(function.url)}/{function.sub_url.lstrip('/')}"
    return f"{getattr(function, '__qualname__', type(function).__qualname__)}()"


def websocket(
    url: URL,
    *protocols: str,
    headers: Headers | None = None,
    cookies: Mapping[str, str] | None = None,
    origin: str | None = None,
    ssl: _ssl.SSLContext | str | PathLike[str] | None = None,
    proxy: str | None = None,
    connect_timeout: float = 10.0,
    send_timeout: float = 30.0,
    close_timeout: float = 5.0,
    ping_interval: float | None = 20.0,
    ping_timeout: float | None = 20.0,
    max_size: int = 64 * MIB,
    max_fragments: int = 1_000_000,
    max_handshake: int = 1 << 16,
    max_outgoing: int = 256 * MIB,
    max_held: int = 8 * MIB,
    max_held_messages: int = 10_000,
    compression: bool | Deflate = False,
    reconnect: Backoff | None = None,
    codec: Codec[MessageT] | None = None,
) -> Socket[MessageT]:
    """Describe a WebSocket endpoint. Nothing is connected until :meth:`Socket.connect`.

    Args:
        url: ``ws://`` or ``wss://``. ``user:password@`` before the host becomes basic authorization. Or a function that
            returns such a URL, and is called at each try to connect, on the session's thread: for a token that expires.
        *protocols: The sub-protocols to offer, the preferred first. A server may pick none:
            :attr:`Session.protocol <rxsocket.Session.protocol>` says what it picked.
        headers: Headers of the opening handshake, beside those that it needs itself. Like cookies and authorization,
            they are not sent to another host that the server redirects to. Or a function that returns them, likewise.
            If such a function raises, that counts as a try that failed; what it returns and can never work is the end.
        cookies: Cookies of the opening handshake.
        origin: The ``Origin`` header; none is sent unless given.
        ssl: How a ``wss://`` server is verified: None by the system's certificate authorities; a path by the
            authorities in that PEM file; or an ``ssl.SSLContext``, for client certificates and all else.
        proxy: None for none, whatever the environment says; ``"env"`` for what ``http_proxy``, ``https_proxy`` and
            ``no_proxy`` say; or a URL, with user and password where needed: ``http://host:3128`` (CONNECT),
            ``socks5://``, ``socks5h://`` (which looks the name up), ``socks4://`` or ``socks4a://`` (extra ``socks``).
        connect_timeout: Seconds for the connection and its handshake. The lookup of the host's name is not counted,
            and each further address of the host has them again, if one refuses.
        send_timeout: Seconds that :meth:`Session.send <rxsocket.Session.send>` may wait, where it does: for a
            connection, or for the server to read.
        close_timeout: Seconds for all steps of a close; then the connection is cut.
        ping_interval: Seconds for which nothing may come before a ping is sent; None for no pings.
        ping_timeout: Seconds for which nothing may come after that ping before the connection counts as lost; None for
            ever. Where the ping stands behind what is still on its way, a peer is kept whose system acknowledges some
            of it in that time (Linux); one whose system has taken the ping, and that needs longer to come to it, is
            lost. While nothing is read, in a full pause, it is lost when its system answers
            nothing any more (Linux).
        max_size: The largest message to receive, in bytes when it is decompressed; a larger one fails the connection
            with 1009, as soon as that is known. So does one whose compressed form takes more than 64 KiB and 16 times
            max_size: however often its sender flushes, none needs that; this is against one that never ends.
        max_fragments: The most frames that a message to receive may come in; more fail the connection with 1009.
            However small they are, they take no more memory than the message; this is against one that never ends.
        max_handshake: How many bytes a server may answer the opening handshake with, each time that it redirects.
        max_outgoing: How many bytes may wait to go out when a message is sent that can't wait for room: on the thread
            of any session, or with ``wait=False``; a further message raises SendException.
        max_held: How many bytes (of texts: characters) are held that arrive before anybody has subscribed, or in a
            pause.
        max_held_messages: How many messages are.
        compression: Whether messages may be compressed (permessage-deflate, RFC 7692), if the server agrees; a
            :class:`Deflate` says how. Not by default: a JSON text of 1 KiB becomes a third of its size, but to receive
            it takes about five times as long as one that is not compressed, and to send it ten times; a connection
            takes up to 80 KiB more. It is for slow networks, and large texts. Nor is it for secrets beside text that
            others choose, who could see from the sizes what is the same in both.
        reconnect: A :class:`~rxsocket.Backoff`, by which to connect again when a connection is lost, or could not be
            made; None for not at all.
        codec: What sessions send other values than str and bytes by, and make values of messages by in ``received``: a
            :class:`Codec`, such as ``codec_of(Trade)``.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: An option has a value that can't work.

    Example:
        >>> socket = websocket("wss://example.org/feed", "chat.v1", headers={"X-Api-Key": "..."})

    Source: fritz2's ``websocket``.
    """
    return Socket(
        url,
        protocols,
        Options(
            headers={} if headers is None else headers,
            cookies={} if cookies is None else cookies,
            origin=origin,
            ssl=ssl,
            proxy=proxy,
            connect_timeout=connect_timeout,
            send_timeout=send_timeout,
            close_timeout=close_timeout,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            max_size=max_size,
            max_fragments=max_fragments,
            max_handshake=max_handshake,
            max_outgoing=max_outgoing,
            max_held=max_held,
            max_held_messages=max_held_messages,
            compression=compression,
            reconnect=reconnect,
            codec=codec,
        ),
    )
