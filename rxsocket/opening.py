# websocket-client is typed, but not throughout.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
"""The one seam to websocket-client, which makes the connection.

URL, proxy, TLS, redirects, headers and the opening handshake go through websocket-client. What it raises is translated
here, once.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from importlib.util import find_spec
from io import BytesIO
from os import PathLike
from typing import cast
from urllib.parse import SplitResult, unquote, urlsplit

from websocket import (
    WebSocket,
    WebSocketAddressException,
    WebSocketConnectionClosedException,
    WebSocketException,
    WebSocketProxyException,
    WebSocketTimeoutException,
)

from .connection import Connection, shut_down
from .errors import CertificateException, ConnectionException, EndpointException
from .handshake import HEAD_END, accepted, parsed, redirected, refusal, request_headers
from .options import Options
from .urls import show

__all__ = ["Opening", "check_needs"]

MAX_REDIRECTS = 5
PIECE = 1 << 12  # bytes that an answer is read in
TLS_ALERT = b"\x15\x03"  # RFC 8446, section 5.1: how a record of this type begins

# What to do, by OpenSSL's codes of what is wrong with a certificate (X509_V_ERR_...).
CERTIFICATE_ADVICE = {
    9: ". It is not valid yet: see whether the clock of this machine is right",
    10: ". It has to be renewed",
    **dict.fromkeys(
        range(18, 22), ". If it is right, pass ssl= the file of the authority that signed it, or an SSLContext"
    ),
    **dict.fromkeys((62, 64), ". Connect by a name that it has"),
}


class _GuardedSocket:
    """The socket that websocket-client does a handshake over: with one deadline, and a limit on what is read.

    It keeps websocket-client's cookie jar out, which is one for the whole process: a cookie that a server set would be
    sent by any later connection, and one that can't be parsed would fail the handshake.

    Args:
        sock: A connected socket.
        opening: The attempt that it belongs to, which knows the deadline.
        last: The last header of the request that is ours; behind it come the jar's cookies.
        request: Where what is sent is kept.
        answer: Where all that is read is kept.
    """

    def __init__(self, sock: socket.socket, opening: Opening, last: str, request: bytearray, answer: bytearray) -> None:
        self.raw = sock
        self._opening = opening
        self._last = f"\r\n{last}\r\n".encode()
        self._request = request
        self._answer = answer
        self._head: BytesIO | None = None
        self._body = BytesIO()  # what was read of it together with the head

    def recv(self, size: int) -> bytes:
        if self._head is None:
            end = self._read_head()
            self._head = BytesIO(re.sub(rb"(?im)^set-cookie *:.*\n", b"", self._answer[:end]))
            self._body = BytesIO(self._answer[end:])
        return self._head.read(size) or self._body.read(size) or self._read(size)

    def send(self, data: bytes) -> int:
        self.raw.settimeout(self._opening.remaining())
        own, last, _ = data.rpartition(self._last)
        self._request += own + last + b"\r\n"
        self.raw.sendall(self._request)
        return len(data)

    def gettimeout(self) -> float | None:
        return self.raw.gettimeout()

    def fileno(self) -> int:
        return self.raw.fileno()

    def close(self) -> None:
        self.raw.close()

    def _read_head(self) -> int:
        """Read until the head is complete, or to the stream's end; return where it ends."""
        begin = 0
        while not (end := HEAD_END.search(self._answer, max(0, begin - 3))):
            begin = len(self._answer)
            if not self._read(PIECE):
                return begin
        return end.end()

    def _read(self, size: int) -> bytes:
        limit = self._opening.max_handshake
        room = limit - len(self._answer)
        if room <= 0:
            raise ConnectionException(f"the server's answer to the handshake has more than max_handshake={limit} bytes")
        self.raw.settimeout(self._opening.remaining())
        data = self.raw.recv(min(size, room))
        self._answer += data
        return data


class _Client(WebSocket):
    """websocket-client's WebSocket, which shows each socket as soon as it has it, and keeps what a server answers."""

    def __init__(self, opening: Opening, context: _Context, headers: list[str]) -> None:
        self._opening = opening
        self._last = headers[-1]
        self._guarded: _GuardedSocket | None = None
        self.request = bytearray()
        self.answer = bytearray()
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
        if sock is None:
            self._guarded = None
        else:
            self._opening.guard(sock)
            self._guarded = _GuardedSocket(sock, self._opening, self._last, self.request, self.answer)


class _Context:
    """An SSLContext, as far as websocket-client uses one, which shows the socket before the TLS handshake begins."""

    def __init__(self, opening: Opening, choice: ssl.SSLContext | str | PathLike[str] | None) -> None:
        self._opening = opening
        self._choice = choice

    def wrap_socket(self, sock: socket.socket, *, server_hostname: str, **_: object) -> ssl.SSLSocket:
        # Only here, since to read the system's authorities takes longer than all else of a ws:// connection.
        try:
            context = _tls_context(self._choice)
        except EndpointException as error:  # it was there at connect(), so it may come back
            raise ConnectionException(str(error)) from error
        tls = context.wrap_socket(sock, server_hostname=server_hostname, do_handshake_on_connect=False)
        self._opening.guard(tls)
        try:
            tls.settimeout(self._opening.remaining())
            tls.do_handshake()
        except OSError:
            tls.close()
            raise
        return tls


class Opening:
    """One attempt to make a connection, which another thread can abort.

    Args:
        url: As :func:`~rxsocket.urls.check_url` returned it.
        protocols: The sub-protocols to offer.
        options: The endpoint's options.

    Attributes:
        max_handshake: How many bytes a server may answer with.
    """

    def __init__(self, url: SplitResult, protocols: Sequence[str], options: Options) -> None:
        self._url = url
        self._protocols = protocols
        self._options = options
        self.max_handshake = options.max_handshake
        self._deadline = 0.0
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None  # under _lock
        self._aborted = False  # under _lock

    def run(self) -> Connection:
        """Make the connection, in ``connect_timeout``; see :func:`rxsocket.websocket` for what is not counted.

        Raises:
            ConnectionException: It could not be made.
        """
        self._deadline = time.monotonic() + self._options.connect_timeout
        url = self._url
        for _ in range(MAX_REDIRECTS + 1):
            headers = request_headers(url, self._url, self._protocols, self._options)
            client = _Client(self, _Context(self, self._options.ssl), headers)
            try:
                self._handshake(client, url, headers)
            except Exception as error:
                refused = refusal(client.answer, url)
                if refused is None and isinstance(error, ConnectionException):
                    raise
                raise refused or _translated(error, url, self._options, client) from error
            line, answered, rest = parsed(client.answer)
            if client.raw is None:
                url = redirected(url, answered)
                continue
            try:
                deflate = accepted(client.request, line, answered, self._protocols, self._options)
            except ValueError as error:
                client.raw.close()
                raise ConnectionException(f"{show(url)} {error}") from error
            protocol = answered.get("sec-websocket-protocol")
            return Connection(client.raw, show(url), protocol, answered, deflate=deflate, rest=rest)
        raise ConnectionException(f"{show(self._url)} redirected more than {MAX_REDIRECTS} times")

    def abort(self) -> None:
        """Cut the attempt short, from another thread.

        What can't be cut is the lookup of a name, and the TCP connection to a host that does not answer: these end by
        themselves, within ``connect_timeout``.
        """
        with self._lock:
            self._aborted = True
            if self._sock is not None:
                shut_down(self._sock)

    def guard(self, sock: socket.socket) -> None:
        """Know a socket, so that it can be aborted."""
        with self._lock:
            self._sock = sock
            if self._aborted:
                shut_down(sock)

    def remaining(self) -> float:
        """Return the seconds that are left; raise a TimeoutError where none are, as a socket would."""
        seconds = self._deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds

    def _handshake(self, client: _Client, url: SplitResult, headers: list[str]) -> None:
        """Do the opening handshake. After a redirect the client has no socket."""
        with self._lock:
            if self._aborted:
                raise ConnectionException(f"the attempt to connect to {show(url)} was given up")
        try:
            client.connect(
                show(url),
                timeout=self.remaining(),
                header=headers,
                origin=self._options.origin,
                suppress_origin=self._options.origin is None,
                redirect_limit=0,  # websocket-client would refuse one to https://, and send headers to any host
                **_proxy(self._options),
            )
        except WebSocketException:
            if client.handshake_response is None:  # else it is the redirect
                raise


def check_needs(options: Options, *, tls: bool) -> None:
    """Raise an EndpointException if what the options need is not there: a CA file, for TLS, or the extra ``socks``.

    The system's own authorities are not read, which takes long; nor is anything kept, since the file may change.
    """
    _proxy(options)
    if tls and options.ssl is not None:
        _tls_context(options.ssl)


def _translated(error: Exception, url: SplitResult, options: Options, client: _Client) -> ConnectionException:
    """Say in a sentence, and as one of our own, what websocket-client, or what it uses, raised."""
    where = show(url) + _through(options.proxy)
    match error:
        case ssl.SSLCertVerificationError():
            problem = f"the certificate of {url.hostname} was not accepted: {error.verify_message.rstrip('.')}"
            return CertificateException(problem + CERTIFICATE_ADVICE.get(error.verify_code, ""))
        case ssl.SSLError():
            problem = f"TLS with {where} failed: {error.reason or error}. A server without TLS wants ws://"
        case WebSocketAddressException():
            problem = f"no connection to {where}: a name could not be found: {error}"
        case (
            WebSocketTimeoutException()
            | TimeoutError()
            | WebSocketProxyException(__context__=WebSocketTimeoutException())
        ):
            problem = f"{where} did not answer within connect_timeout={options.connect_timeout:g} s"
        case (
            WebSocketConnectionClosedException() | ConnectionResetError() | ConnectionAbortedError() | BrokenPipeError()
        ):
            problem = f"{where} hung up during the handshake"
            if url.scheme == "ws" and client.request and (not client.answer or client.answer.startswith(TLS_ALERT)):
                problem += ". A server with TLS wants wss://"
        case WebSocketException() if not isinstance(error, WebSocketProxyException):
            problem = f"{where} does not answer as RFC 6455, section 4.2.2, wants it: {error}"
        case _:
            problem = f"no connection to {where}: {error}"
    return ConnectionException(problem)


def _through(proxy: str | None) -> str:
    if proxy is None:
        return ""
    return " through the environment's proxy" if proxy == "env" else f" through the proxy {show(urlsplit(proxy))}"


def _tls_context(choice: ssl.SSLContext | str | PathLike[str] | None) -> ssl.SSLContext:
    if isinstance(choice, ssl.SSLContext):
        return choice
    try:
        return ssl.create_default_context(cafile=choice)
    except (OSError, ValueError) as error:
        raise EndpointException(f"ssl={choice!r} is no file of CA certificates: {error}") from error


def _proxy(options: Options) -> dict[str, object]:
    if options.proxy is None:
        # Without a proxy's name websocket-client would look into the environment; this one is for no host at all.
        return {"http_proxy_host": "none.invalid", "http_proxy_port": 1, "http_no_proxy": ["*"]}
    if options.proxy == "env":
        return {}
    proxy = urlsplit(options.proxy)
    if proxy.scheme != "http" and find_spec("python_socks") is None:
        raise EndpointException(
            "a SOCKS proxy needs the extra socks: pip install 'rxsocket[socks]', or '.[socks]' in a clone"
        )
    return {
        "proxy_type": proxy.scheme,
        "http_proxy_host": proxy.hostname,
        "http_proxy_port": proxy.port,
        "http_proxy_auth": (unquote(proxy.username), unquote(proxy.password or "")) if proxy.username else None,
        "http_proxy_timeout": options.connect_timeout,
        # Not the variable no_proxy of the environment: it was this proxy that was asked for.
        "http_no_proxy": ["-"],
    }
