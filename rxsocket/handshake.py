"""The opening handshake (section 4), without any I/O: what is asked for, and what the answer must be."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

from .deflate import Deflate
from .errors import ConnectionException, EndpointException, HandshakeException
from .options import Options
from .urls import check_url, show, without_login

__all__ = ["GUID", "HEAD_END", "acceptance", "accepted", "parsed", "redirected", "refusal", "request_headers"]

HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # section 1.3


def request_headers(url: SplitResult, given: SplitResult, protocols: Sequence[str], options: Options) -> list[str]:
    """Return the headers of the request, beside those that every opening handshake needs.

    Args:
        url: Where it goes.
        given: Where it was to go, before redirects.
        protocols: The sub-protocols to offer.
        options: The endpoint's options.

    Raises:
        ConnectionException: The function that gives the headers raised.
        EndpointException: It returned what can't be sent.
    """
    headers: dict[str, str] = {}
    # What was given for one server, another that it redirects to does not get.
    if _server(url) == _server(given):
        cookies = [f"{name}={value}" for name, value in options.cookies.items()]
        for name, value in options.current_headers().items():
            if name.lower() == "cookie":  # RFC 6265, section 5.4: there is one such header at the most
                cookies.insert(0, value)
            else:
                headers[name] = value
        if cookies:
            headers["Cookie"] = "; ".join(cookies)
        user, password = given.username, given.password
        if (user or password) and "authorization" not in {name.lower() for name in headers}:
            login = f"{unquote(user or '')}:{unquote(password or '')}"
            headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    if protocols:
        # As a plain header: offered its own way, websocket-client refuses a server that picks none.
        headers["Sec-WebSocket-Protocol"] = ", ".join(protocols)
    if options.deflate is not None:
        headers["Sec-WebSocket-Extensions"] = options.deflate.offer()
    if "user-agent" not in {name.lower() for name in headers}:
        headers["User-Agent"] = "rxsocket"
    return [f"{name}: {value}" for name, value in headers.items()]


def parsed(answer: bytes | bytearray) -> tuple[str, dict[str, str], bytes]:
    """Return status line, headers and the body as far as it was read: all empty while the head is not complete."""
    head, *body = HEAD_END.split(answer, maxsplit=1)
    if not body:
        return "", {}, b""
    line, *fields = re.split(r"\r?\n", head.decode(errors="replace"))
    headers: dict[str, str] = {}
    for field in fields:
        name, _, value = field.partition(":")
        key = name.strip().lower()
        # RFC 9110, section 5.3: the values of a header that comes twice are one list.
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    return line, headers, bytes(body[0])


def refusal(answer: bytes | bytearray, url: SplitResult) -> HandshakeException | None:
    """Return the server's refusal, if there is one: also where the body was too large, or did not come."""
    line, headers, body = parsed(answer)
    status = re.match(r"HTTP/[\d.]+ (\d{3})\b", line)
    if status is None or status[1] == "101":
        return None
    text = " ".join(body[:200].decode(errors="replace").split())
    message = line.partition(" ")[2].strip() + (f": {text}" if text else "")
    return HandshakeException(f"{show(url)} refused the handshake: {message}", int(status[1]), headers, body)


def acceptance(key: bytes) -> str:
    """Return what a server accepts a client with that has sent a key (section 4.2.2, item 5.4)."""
    return base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest()).decode()


def accepted(
    request: bytes | bytearray, line: str, headers: Mapping[str, str], protocols: Sequence[str], options: Options
) -> Deflate | None:
    """Check of an answer what a client must (section 4.1), where websocket-client is lenient: items 4, 5 and 6.

    Args:
        request: All that was sent.
        line: The answer's status line.
        headers: The answer's headers, names in lower case.
        protocols: The sub-protocols that were offered.
        options: The endpoint's options.

    Returns:
        How messages may be compressed, if that was agreed on.

    Raises:
        ValueError: The connection must be failed. The message goes on after the server's name.
    """
    key = re.search(rb"\r\nSec-WebSocket-Key: (.*)\r\n", request)
    accept = acceptance(key[1] if key else b"")
    protocol = headers.get("sec-websocket-protocol")
    extensions = headers.get("sec-websocket-extensions")
    if not line.startswith("HTTP/1.1 "):
        raise ValueError(f"answers with {line!r}, which is not HTTP/1.1")
    if headers.get("sec-websocket-accept", "") != accept:
        given = headers.get("sec-websocket-accept")
        raise ValueError(f"accepts with {given!r}, which is not for the key that it was sent")
    if protocol is not None and protocol not in protocols:
        raise ValueError(f"picked the sub-protocol {protocol!r}, which was not offered")
    if not extensions:
        return None
    if options.deflate is None:
        raise ValueError(f"uses the extension {extensions!r}, which was not offered")
    return options.deflate.accept(extensions)


def redirected(url: SplitResult, headers: Mapping[str, str]) -> SplitResult:
    """Return where an answer leads to, which is a redirect.

    Raises:
        ConnectionException: Nowhere, or where it must not.
    """
    if "location" not in headers:
        raise ConnectionException(f"{show(url)} redirects without saying where to")
    base = urlunsplit(url._replace(scheme="https" if url.scheme == "wss" else "http"))
    try:
        location = urlsplit(urljoin(base, headers["location"]))
        scheme = {"http": "ws", "https": "wss"}.get(location.scheme, location.scheme)
        target = check_url(urlunsplit(location._replace(scheme=scheme, fragment="")))
    except (ValueError, EndpointException) as error:
        # Not for ever: it is the server that may lead elsewhere at another try.
        problem = f"{show(url)} redirects to {without_login(headers['location'])!r}, which can't work"
        cause = error if isinstance(error, ValueError) else error.__cause__
        raise ConnectionException(f"{problem}: {cause}") from error
    if url.scheme == "wss" and target.scheme == "ws":
        raise ConnectionException(f"{show(url)} redirects to {show(target)}, which gives up TLS: not followed")
    return target


def _server(url: SplitResult) -> tuple[str | None, int | None]:
    """Return what tells a server from others: one that goes over to TLS on the usual ports is the same."""
    return url.hostname, None if url.port == {"ws": 80, "wss": 443}[url.scheme] else url.port
