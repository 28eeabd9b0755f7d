"""What can be chosen for an endpoint, checked once."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any, TypeAlias, cast
from urllib.parse import urlsplit

from msgspec import Struct, field, structs

from .backoff import Backoff
from .checks import MAX_SECONDS, check_number
from .codec import Codec, check_codec
from .deflate import Deflate
from .errors import ConnectionException, EndpointException
from .markup import shown

__all__ = ["MIB", "Headers", "Options"]

Headers: TypeAlias = Mapping[str, str] | Callable[[], Mapping[str, str]]
"""Of the opening handshake: given once, or asked for at each try."""

PROXY_SCHEMES = ("http", "socks4", "socks4a", "socks5", "socks5h")

MIB = 1 << 20

MAYBE_SECRET = {"headers", "cookies", "proxy"}

OWN_HEADERS = {"connection", "content-length", "host", "transfer-encoding", "upgrade"}


class Options(Struct, frozen=True, kw_only=True):
    """The options of :func:`rxsocket.websocket`, which documents each.

    Raises:
        TypeError: An option has a wrong type.
        ValueError: An option has a value that can't work.
    """

    headers: Headers = field(default_factory=dict[str, str])
    cookies: Mapping[str, str] = field(default_factory=dict[str, str])
    origin: str | None = None
    ssl: ssl.SSLContext | str | PathLike[str] | None = None
    proxy: str | None = None
    connect_timeout: float = 10.0
    send_timeout: float = 30.0
    close_timeout: float = 5.0
    ping_interval: float | None = 20.0
    ping_timeout: float | None = 20.0
    max_size: int = 64 * MIB
    max_fragments: int = 1_000_000
    max_handshake: int = 1 << 16
    max_outgoing: int = 256 * MIB
    max_held: int = 8 * MIB
    max_held_messages: int = 10_000
    compression: bool | Deflate = False
    reconnect: Backoff | None = None
    codec: Codec[Any] | None = None

    def __post_init__(self) -> None:
        if not callable(self.headers):
            structs.force_setattr(self, "headers", _checked_pairs("headers", self.headers))
        structs.force_setattr(self, "cookies", _checked_pairs("cookies", self.cookies))
        if self.origin is not None:
            _check_header("origin", "Origin", self.origin)
        if not isinstance(self.ssl, ssl.SSLContext | str | PathLike | None):
            raise TypeError(f"ssl is an ssl.SSLContext, or the path of a CA file, not {type(self.ssl).__name__}")
        _check_proxy(self.proxy)
        for name in ("connect_timeout", "send_timeout", "close_timeout"):
            check_number(f"{name}, in seconds,", getattr(self, name), float, 0, MAX_SECONDS, above=True)
        for name in ("max_size", "max_fragments", "max_handshake", "max_outgoing", "max_held", "max_held_messages"):
            check_number(name, getattr(self, name), int, 1)
        for name in ("ping_interval", "ping_timeout"):
            seconds = getattr(self, name)
            check_number(f"{name}, in seconds,", seconds, float, 0, MAX_SECONDS, above=True, optional=True)
        if not isinstance(self.reconnect, Backoff | None):
            raise TypeError(f"reconnect is a Backoff, or None, not {type(self.reconnect).__name__}")
        if self.codec is not None:
            check_codec("codec", self.codec)
        if not isinstance(self.compression, bool | Deflate):
            raise TypeError(f"compression is True, False or a Deflate, not {type(self.compression).__name__}")

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [(name, getattr(self, name)) for name in self.__struct_fields__ if name not in MAYBE_SECRET]

    def __repr__(self) -> str:
        return f"Options({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def chosen(self) -> list[tuple[str, str]]:
        """Return what is not as by default, each with its name; of what may be secret only that there is some."""
        usual = Options()
        mine = [(name, getattr(self, name)) for name in self.__struct_fields__]
        chosen = [(name, value) for name, value in mine if value != getattr(usual, name)]
        return [(name, "given" if name in MAYBE_SECRET else shown(value)) for name, value in chosen]

    def current_headers(self) -> Mapping[str, str]:
        """Return the headers for one opening handshake.

        Raises:
            ConnectionException: The function that was given for them raised.
            EndpointException: It returned what can't be sent.
        """
        if not callable(self.headers):
            return self.headers
        try:
            given = self.headers()
        except Exception as error:
            raise ConnectionException(f"the function that gives the headers failed: {error!r}") from error
        try:
            return _checked_pairs("headers", given)
        except Exception as error:
            raise EndpointException(
                f"the function that gives the headers returned what can't be sent: {error}"
            ) from error

    @property
    def deflate(self) -> Deflate | None:
        """The compression to offer, if any."""
        if isinstance(self.compression, bool):
            return Deflate() if self.compression else None
        return self.compression


def _checked_pairs(option: str, pairs: object) -> dict[str, str]:
    if not isinstance(pairs, Mapping):
        raise TypeError(f"{option} is a mapping of str to str, not {type(pairs).__name__}")
    checked = cast("Mapping[str, str]", pairs)
    for name, value in checked.items():
        _check_header(option, name, value)
    return dict(checked)


def _check_header(option: str, name: object, value: object) -> None:
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError(f"{option} has str names and str values, not {name!r}: {type(value).__name__}")
    # A line break would begin another header; what is not printable ASCII has no meaning there (RFC 9110, section 5.5).
    if not name or any(not "!" <= character <= "~" or character in ':;,="' for character in name):
        raise ValueError(f"{option} has a name that can't be sent: {name!r}")
    for character in value:
        if not " " <= character <= "~" and character != "\t":
            # Not the value, which may be a secret: a token with the line break of its file, say.
            raise ValueError(f"{option} has a value for {name!r} with {character!r} in it, which is no printable ASCII")
    if option == "headers" and (name.lower() in OWN_HEADERS or name.lower().startswith("sec-websocket-")):
        raise ValueError(f"headers has {name!r}, which the opening handshake sets itself")
    if option == "cookies" and ";" in value:
        raise ValueError(f"cookies has a value for {name!r} with a semicolon, which would begin another cookie")


def _check_proxy(proxy: object) -> None:
    if proxy is None or proxy == "env":
        return
    if not isinstance(proxy, str):
        raise TypeError(f'proxy is None, "env" or a URL, not {type(proxy).__name__}')
    try:
        parts = urlsplit(proxy)
        usable = parts.scheme in PROXY_SCHEMES and parts.hostname and parts.port
    except ValueError:  # a port that is no number, say
        usable = False
    if not usable:
        raise ValueError(
            f'proxy is None, "env" or a URL such as socks5h://user:password@host:1080 '
            f"({', '.join(PROXY_SCHEMES)}, with a port), not {proxy.rpartition('@')[2]!r}"
        )
