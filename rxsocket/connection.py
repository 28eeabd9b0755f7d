# websocket-client is typed, but not throughout.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
"""The one seam to websocket-client: it makes the connection; then the socket is ours, and never blocks.

URL, proxy, TLS, redirects, headers and the opening handshake go through websocket-client. What it raises is translated
here, once.
"""

from __future__ import annotations

import base64
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from typing import cast
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit, urlunsplit

from websocket import (
    WebSocket,
    WebSocketAddressException,
    WebSocketBadStatusException,
    WebSocketConnectionClosedException,
    WebSocketException,
    WebSocketProxyException,
    WebSocketTimeoutException,
)

from .errors import CertificateException, ConnectionException, HandshakeException
from .options import Options

__all__ = ["Connection", "Opening", "check_protocols", "check_url"]

MAX_HANDSHAKE = 1 << 16  # bytes that a server may answer with
MAX_REDIRECTS = 5
READ_SIZE = 1 << 16
WRITE_SIZE = 1 << 18

# RFC 9110, section 5.6.2.
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def check_url(url: str) -> SplitResult:
    """Return a URL in parts, percent-encoded and with an ASCII host, if a connection to it could work.

    Raises:
        ConnectionException: It can't; the cause is chained.
    """
    try:
        parts = urlsplit(url)
        name = parts.hostname or ""
        host = name if ":" in name else name.encode("idna").decode()
        problem = _problem(parts, "#" in url)
    except ValueError as error:
        raise ConnectionException(f"the URL {url!r} can't work: {error}") from error
    if problem:
        raise ConnectionException(f"the URL {url!r} can't work: {problem}") from ValueError(problem)
    userinfo, at, _ = parts.netloc.rpartition("@")
    netloc = userinfo + at + (f"[{host}]" if ":" in host else host) + (f":{parts.port}" if parts.port else "")
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~")
    return SplitResult(parts.scheme, netloc, path, quote(parts.query, safe="/?%:@!$&'()*+,;=~"), "")


def _problem(parts: SplitResult, has_fragment: bool) -> str:  # noqa: FBT001 the one call says what it is
    if parts.scheme not in {"ws", "wss"}:
        return f"its scheme is {parts.scheme!r}, and only ws and wss are spoken"
    if not parts.hostname:
        return "it has no host"
    if parts.port == 0:  # raises ValueError where it is none at all
        return "it has the port 0"
    return "it has a fragment, and RFC 6455, section 3, allows none" if has_fragment else ""


def check_protocols(protocols: Sequence[str]) -> None:
    """Raise a ConnectionException if sub-protocols can't be offered (section 4.1, item 10): each a token, and once."""
    for protocol in protocols:
        if not protocol or not _TOKEN.issuperset(protocol):
            cause = ValueError("it is no token as RFC 6455, section 4.1, wants it: letters, digits and !#$%&'*+-.^_`|~")
            raise ConnectionException(f"the sub-protocol {protocol!r} can't be offered: {cause}") from cause
        if protocols.count(protocol) > 1:
            cause = ValueError("it is there twice")
            raise ConnectionException(f"the sub-protocol {protocol!r} can't be offered: {cause}") from cause


class _GuardedSocket:
    """The socket that websocket-client reads a handshake from: with one deadline, and a limit on what is read."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self.raw = sock
        self._deadline = deadline
        self._budget = MAX_HANDSHAKE

    def recv(self, size: int) -> bytes:
        self._limit_time()
        data = self.raw.recv(size)
        self._budget -= len(data)
        if self._budget < 0:
            raise ConnectionException(f"the server's answer to the handshake has more than {MAX_HANDSHAKE} bytes")
        return data

    def send(self, data: bytes) -> int:
        self._limit_time()
        return self.raw.send(data)

    def gettimeout(self) -> float | None:
        return self.raw.gettimeout()

    def fileno(self) -> int:
        return self.raw.fileno()

    def close(self) -> None:
        self.raw.close()

    def _limit_time(self) -> None:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self.raw.settimeout(remaining)


class _Client(WebSocket):
    """websocket-client's WebSocket, which shows each socket as soon as it has it."""

    def __init__(self, opening: Opening, context: _Context) -> None:
        self._opening = opening
        self._guarded: _GuardedSocket | None = None
        super().__init__(sslopt={"context": context}, enable_multithread=False)

    @property
    def raw(self) -> socket.socket | None:
        return None if self._guarded is None else self._guarded.raw

    @property
    def sock(self) -> socket.socket | None:
        # A socket as far as websocket-client uses one.
        return cast("socket.socket | None", self._guarded)

    @sock.setter
    def sock(self, sock: socket.socket | None) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._guarded = None if sock is None else self._opening.guard(sock)


class _Context:
    """An SSLContext, as far as websocket-client uses one, which shows the socket before the TLS handshake begins."""

    def __init__(self, opening: Opening, context: ssl.SSLContext) -> None:
        self._opening = opening
        self._context = context

    def wrap_socket(self, sock: socket.socket, *, server_hostname: str, **_: object) -> ssl.SSLSocket:
        tls = self._context.wrap_socket(sock, server_hostname=server_hostname, do_handshake_on_connect=False)
        self._opening.guard(tls)
        try:
            tls.do_handshake()
        except OSError:
            tls.close()
            raise
        return tls


class Opening:
    """One attempt to make a connection, which another thread can abort.

    Args:
        url: As :func:`check_url` returned it.
        protocols: The sub-protocols to offer.
        options: The endpoint's options.
    """

    def __init__(self, url: SplitResult, protocols: Sequence[str], options: Options) -> None:
        self._url = url
        self._protocols = protocols
        self._options = options
        self._deadline = 0.0
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None  # under _lock
        self._aborted = False  # under _lock

    def run(self) -> Connection:
        """Make the connection; takes up to ``connect_timeout``, and that again for each further address of the host.

        Raises:
            ConnectionException: It could not be made.
        """
        self._deadline = time.monotonic() + self._options.connect_timeout
        url = self._url
        for _ in range(MAX_REDIRECTS + 1):
            client = _Client(self, _Context(self, _tls_context(self._options.ssl)))
            try:
                headers = self._handshake(client, url)
            except ConnectionException:
                raise
            except Exception as error:
                raise _translated(error, url, self._options) from error
            if client.raw is not None:
                return self._checked(client.raw, url, headers)
            url = _redirected(url, headers)
        raise ConnectionException(f"{_show(self._url)} redirected more than {MAX_REDIRECTS} times")

    def abort(self) -> None:
        """Cut the attempt short, from another thread.

        What can't be cut is the lookup of a name, and the TCP connection to a host that does not answer: these end by
        themselves, within ``connect_timeout``.
        """
        with self._lock:
            self._aborted = True
            if self._sock is not None:
                _shut_down(self._sock)

    def guard(self, sock: socket.socket) -> _GuardedSocket:
        """Know a socket, so that it can be aborted."""
        with self._lock:
            self._sock = sock
            if self._aborted:
                _shut_down(sock)
        return _GuardedSocket(sock, self._deadline)

    def _handshake(self, client: _Client, url: SplitResult) -> dict[str, str]:
        """Do the opening handshake; return the answer's headers. After a redirect the client has no socket."""
        cookies = self._own(url, self._options.cookies)
        try:
            client.connect(
                urlunsplit(url._replace(netloc=url.netloc.rpartition("@")[2])),
                timeout=self._options.connect_timeout,
                header=self._headers(url),
                cookie="; ".join(f"{name}={value}" for name, value in cookies.items()) or None,
                origin=self._options.origin,
                suppress_origin=self._options.origin is None,
                redirect_limit=0,  # websocket-client would refuse one to https://, and send headers to any host
                **_proxy(self._options),
            )
        except WebSocketException:
            if client.handshake_response is None:  # else it is the redirect
                raise
        response = client.handshake_response
        return {} if response is None else dict(response.headers)

    def _headers(self, url: SplitResult) -> list[str]:
        headers = self._own(url, self._options.headers)
        given = {name.lower() for name in headers}
        if "user-agent" not in given:
            headers["User-Agent"] = "rxsocket"
        if url.username and "authorization" not in given:
            login = f"{unquote(url.username)}:{unquote(url.password or '')}"
            headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
        if self._protocols:
            # As a plain header: offered its own way, websocket-client refuses a server that picks none.
            headers["Sec-WebSocket-Protocol"] = ", ".join(self._protocols)
        return [f"{name}: {value}" for name, value in headers.items()]

    def _own(self, url: SplitResult, secrets: Mapping[str, str]) -> dict[str, str]:
        """Headers and cookies were given for one host: a redirect to another does not get them."""
        return dict(secrets) if (url.hostname, url.port) == (self._url.hostname, self._url.port) else {}

    def _checked(self, sock: socket.socket, url: SplitResult, headers: dict[str, str]) -> Connection:
        protocol = headers.get("sec-websocket-protocol")
        extensions = headers.get("sec-websocket-extensions")
        # Section 4.1: what a client must check of the answer, items 6 and 5.
        if protocol is not None and protocol not in self._protocols:
            problem = f"picked the sub-protocol {protocol!r}, which was not offered"
        elif extensions:
            problem = f"uses the extension {extensions!r}, which was not offered"
        else:
            return Connection(sock, _show(url), protocol, headers)
        sock.close()
        raise ConnectionException(f"{_show(url)} {problem}")


def _redirected(url: SplitResult, headers: dict[str, str]) -> SplitResult:
    if "location" not in headers:
        raise ConnectionException(f"{_show(url)} redirects without saying where to")
    base = urlunsplit(url._replace(scheme="https" if url.scheme == "wss" else "http"))
    location = urlsplit(urljoin(base, headers["location"]))
    scheme = {"http": "ws", "https": "wss"}.get(location.scheme, location.scheme)
    target = check_url(urlunsplit(location._replace(scheme=scheme, fragment="")))
    if url.scheme == "wss" and target.scheme == "ws":
        raise ConnectionException(f"{_show(url)} redirects to {_show(target)}, which gives up TLS: not followed")
    return target


def _translated(error: Exception, url: SplitResult, options: Options) -> ConnectionException:
    """Say in a sentence, and as one of our own, what websocket-client, or what it uses, raised."""
    where = _show(url)
    match error:
        case WebSocketBadStatusException():
            body = error.resp_body or b""
            text = body[:200].decode(errors="replace").strip()
            answer = f"{error.status_code} {error.status_message or ''}".strip() + (f": {text}" if text else "")
            headers = dict(error.resp_headers or {})
            return HandshakeException(f"{where} refused the handshake: {answer}", error.status_code, headers, body)
        case ssl.SSLCertVerificationError():
            return CertificateException(
                f"the certificate of {url.hostname} was not accepted: {error.verify_message}. If it is right, pass "
                f"ssl= the file of the authority that signed it, or an SSLContext"
            )
        case ssl.SSLError():
            problem = f"TLS with {where} failed: {error.reason or error}"
        case WebSocketAddressException():
            problem = f"the host of {where} could not be found: {error}"
        case WebSocketTimeoutException() | TimeoutError():
            problem = f"{where} did not answer within connect_timeout={options.connect_timeout:g} s"
        case WebSocketConnectionClosedException():
            problem = f"{where} hung up during the handshake"
        case WebSocketException() if "Python Socks" in str(error):
            problem = "a SOCKS proxy needs the extra socks: pip install 'rxsocket[socks]'"
        case _ if isinstance(error, WebSocketProxyException) or type(error).__module__.startswith("python_socks"):
            problem = f"the proxy made no way to {where}: {error}"
        case _:
            problem = f"no connection to {where}: {error}"
    return ConnectionException(problem)


class Connection:
    """An open connection: a socket that never blocks. One thread reads, any may write, with :attr:`lock` held.

    Args:
        sock: A connected socket, at the first byte after the handshake.
        url: Where it leads, without user and password.
        protocol: The sub-protocol that the server picked, or None.
        headers: The headers of the server's answer, names in lower case.
    """

    def __init__(self, sock: socket.socket, url: str, protocol: str | None, headers: dict[str, str]) -> None:
        sock.settimeout(0)
        self._sock = sock
        self.url = url
        self.protocol = protocol
        self.headers = headers
        # OpenSSL's state of one connection is not for two threads at once; a plain socket has no such state.
        self._tls = threading.Lock() if isinstance(sock, ssl.SSLSocket) else None

    def fileno(self) -> int:
        """Return the socket's descriptor, for waiting."""
        return self._sock.fileno()

    def receive(self) -> bytes | None:
        """Read what is there: some bytes, none at the stream's end, or None where there is nothing yet.

        Raises:
            ConnectionException: The connection is lost.
        """
        try:
            if self._tls is None:
                return self._sock.recv(READ_SIZE)
            with self._tls:
                return self._sock.recv(READ_SIZE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError as error:
            raise ConnectionException(f"the connection to {self.url} is lost: {error}") from error

    def send(self, data: bytes | bytearray) -> int:
        """Write what the socket takes of some bytes; return how many that were.

        Raises:
            ConnectionException: The connection is lost.
        """
        with memoryview(data) as view:
            try:
                if self._tls is None:
                    return self._sock.send(view[:WRITE_SIZE])
                with self._tls:
                    return self._sock.send(view[:WRITE_SIZE])
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return 0
            except OSError as error:
                raise ConnectionException(f"the connection to {self.url} is lost: {error}") from error

    def abort(self) -> None:
        """Cut the connection, from any thread; who waits for it wakes."""
        _shut_down(self._sock)

    def close(self) -> None:
        """Give the socket back to the system. On the thread that reads."""
        self._sock.close()


def _shut_down(sock: socket.socket, how: int = socket.SHUT_RDWR) -> None:
    try:
        # Past SSLSocket's own method, which would forget the TLS state that another thread may be using.
        socket.socket.shutdown(sock, how)
    except OSError:
        return  # not connected any more, which is what was wanted


def _show(url: SplitResult) -> str:
    return urlunsplit(url._replace(netloc=url.netloc.rpartition("@")[2]))


def _tls_context(choice: ssl.SSLContext | str | None) -> ssl.SSLContext:
    if isinstance(choice, ssl.SSLContext):
        return choice
    try:
        return ssl.create_default_context(cafile=choice)
    except OSError as error:
        raise ConnectionException(f"ssl={choice!r} is no file of CA certificates: {error}") from error


def _proxy(options: Options) -> dict[str, object]:
    if options.proxy is None:
        return {"http_no_proxy": ["*"]}
    if options.proxy == "env":
        return {}
    proxy = urlsplit(options.proxy)
    return {
        "proxy_type": proxy.scheme,
        "http_proxy_host": proxy.hostname,
        "http_proxy_port": proxy.port,
        "http_proxy_auth": (unquote(proxy.username), unquote(proxy.password or "")) if proxy.username else None,
        "http_proxy_timeout": options.connect_timeout,
        # Not the variable no_proxy of the environment: it was this proxy that was asked for.
        "http_no_proxy": ["-"],
    }
