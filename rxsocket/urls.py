"""URLs and sub-protocols of an endpoint: which can work, and how they are shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from .errors import EndpointException

__all__ = ["check_protocols", "check_url", "show", "without_login"]

ALPHANUMERIC = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
TOKEN = frozenset("!#$%&'*+-.^_`|~" + ALPHANUMERIC)  # RFC 9110, section 5.6.2
HOST = frozenset("-._" + ALPHANUMERIC)


def check_url(url: str) -> SplitResult:
    """Return a URL in parts, percent-encoded and with an ASCII host, if a connection to it could work.

    Raises:
        EndpointException: It can't; the cause is chained.
    """
    try:
        parts = urlsplit(url)
        name = parts.hostname or ""
        host = name if ":" in name else name.encode("idna").decode()
        problem = _problem(url, parts, host)
    except ValueError as error:
        # What it says may quote the password.
        cause = ValueError("user, password, host or port is not as it must be") if "@" in url else error
        raise EndpointException(f"the URL {without_login(url)!r} can't work: {cause}") from cause
    if problem:
        raise EndpointException(f"the URL {without_login(url)!r} can't work: {problem}") from ValueError(problem)
    userinfo, at, _ = parts.netloc.rpartition("@")
    netloc = userinfo + at + (f"[{host}]" if ":" in host else host) + (f":{parts.port}" if parts.port else "")
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~")
    return SplitResult(parts.scheme, netloc, path, quote(parts.query, safe="/?%:@!$&'()*+,;=~"), "")


def _problem(url: str, parts: SplitResult, host: str) -> str:
    # urlsplit lets go of some of these without a word.
    if url != url.strip() or re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", url):
        return "it has a control character, a lone surrogate, or a space at an end"
    if parts.scheme not in {"ws", "wss"}:
        return f"its scheme is {parts.scheme!r}, and only ws and wss are spoken: begin it with ws:// or wss://"
    if not host:
        return "it has no host"
    if ":" not in host and not HOST.issuperset(host):
        return f"it has the host {host!r}, with a character that no host has"
    if parts.port == 0:  # raises ValueError where it is none at all
        return "it has the port 0"
    return "it has a fragment, and RFC 6455, section 3, allows none" if "#" in url else ""


def without_login(url: str) -> str:
    """Return a URL, whether it can work or not, without user and password."""
    try:
        _ = urlsplit(url).port
    except ValueError:
        # A password with a slash in it, say: its end is not where a valid URL would have it.
        return re.sub(r"(?s)//.*@", "//", url)
    return re.sub(r"//[^/?#]*@", "//", url)


def check_protocols(protocols: Sequence[str]) -> None:
    """Raise an EndpointException if sub-protocols can't be offered (section 4.1, item 10): each a token, and once."""
    for protocol in protocols:
        if not protocol or not TOKEN.issuperset(protocol):
            cause = ValueError("it is no token as RFC 6455, section 4.1, wants it: letters, digits and !#$%&'*+-.^_`|~")
            raise EndpointException(f"the sub-protocol {protocol!r} can't be offered: {cause}") from cause
        if protocols.count(protocol) > 1:
            cause = ValueError("it is there twice")
            raise EndpointException(f"the sub-protocol {protocol!r} can't be offered: {cause}") from cause


def show(url: SplitResult) -> str:
    """Return a checked URL without user and password."""
    return urlunsplit(url._replace(netloc=url.netloc.rpartition("@")[2]))
