"""What a session told, in a file: its format, and how it is read.

A cassette is a text in UTF-8, of one JSON value a line. The first says what it is, and when it began::

    {"format":"rxsocket cassette","version":1,"url":"ws://host/feed","started":"2026-11-25T04:51:56.120934Z"}

``url`` is the session's, without user and password. Each further line is an array: a kind, how many microseconds after
the beginning it was told, by a clock that nobody sets, and what it was::

    ["connecting",0,{"attempt":0,"delay":0.0,"cause":null,"lost":null}]
    ["open",1840,{"event":{"url":"ws://host/feed","protocol":null,"connection":1,"headers":{"server":"..."}}}]
    ["text",2031,"Hello",1]
    ["gap",12031,{"closed":{"code":1006,...},"opened":{"url":...},"dropped":0}]
    ["binary",2450,"AAEC",1]
    ["round_trip",20004311,0.00042]
    ["error",30120000,{"class":"ConnectionException","args":["..."]}]
    ["closing",31000000,{"initiator":"server"}]
    ["completed",31000911]
    ["closed",31000930,{"event":{"code":1000,"reason":"","initiator":"server","was_clean":true,...}}]

A message has its text, or its bytes in base64, and the number of the connection that it came through; a state has the
fields of its class in :mod:`rxsocket.states`; an exception has the name of its class and its arguments, where bytes are
``{"base64":"..."}`` and a mapping is ``{"mapping":{...}}``. A ``gap`` stands among the messages where a reconnect may
have lost some. ``completed`` is the end of ``messages``, which comes after ``closed`` where a pause still held some.
Lines of a kind that a reader does not know it passes over: so what was sent may have lines of its own in a later
version. It has none in this one.

A file may be compressed by gzip. A last line without its end was being written when the writer was killed: it does not
count.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from os import PathLike, fsdecode, fspath
from typing import Any, TypeAlias, cast, get_args

import msgspec
from msgspec import Struct, structs

from . import errors
from .errors import CassetteException, RxSocketException
from .gaps import Gap
from .markup import table
from .states import Closed, CloseEvent, Closing, Connecting, Open, OpenEvent, State, transition

__all__ = [
    "Binary",
    "Cassette",
    "ClosedLine",
    "ClosingLine",
    "Completed",
    "ConnectingLine",
    "ErrorLine",
    "GapLine",
    "Header",
    "Line",
    "OpenLine",
    "RoundTrip",
    "StateLine",
    "Text",
    "encode_lines",
    "state_line",
]

FORMAT = "rxsocket cassette"
VERSION = 1
GZIP_MAGIC = b"\x1f\x8b"  # RFC 1952, section 2.3.1
PIECE = 1 << 18  # bytes that are read at once
MAX_AT = 10**14  # microseconds, three years: what is said to be later is damaged, and no clock could wait for it


class Header(Struct, frozen=True):
    """The first line of a cassette.

    Attributes:
        url: Where its session led, without user and password.
        started: When it began, by the wall's clock.
    """

    format: str
    version: int
    url: str
    started: datetime

    @classmethod
    def of(cls, url: str, started: datetime) -> Header:
        """Return that of a cassette that begins now."""
        return cls(FORMAT, VERSION, url, started)


class Text(Struct, frozen=True, array_like=True, gc=False, tag="text"):
    """A text message."""

    at: int
    data: str
    connection: int


class Binary(Struct, frozen=True, array_like=True, gc=False, tag="binary"):
    """A binary message."""

    at: int
    data: bytes
    connection: int


class ConnectingLine(Struct, frozen=True, array_like=True, tag="connecting"):
    """The state became Connecting, again."""

    at: int
    state: Connecting


class OpenLine(Struct, frozen=True, array_like=True, tag="open"):
    """The state became Open."""

    at: int
    state: Open


class ClosingLine(Struct, frozen=True, array_like=True, tag="closing"):
    """The state became Closing."""

    at: int
    state: Closing


class ClosedLine(Struct, frozen=True, array_like=True, tag="closed"):
    """The state became Closed."""

    at: int
    state: Closed


class ErrorLine(Struct, frozen=True, array_like=True, tag="error"):
    """Something went wrong."""

    at: int
    error: RxSocketException


class RoundTrip(Struct, frozen=True, array_like=True, gc=False, tag="round_trip"):
    """A pong came."""

    at: int
    seconds: float


class Completed(Struct, frozen=True, array_like=True, gc=False, tag="completed"):
    """The stream of messages ended."""

    at: int


class GapLine(Struct, frozen=True, array_like=True, tag="gap"):
    """Messages may be missing here, between two connections."""

    at: int
    gap: Gap


class _Any(Struct, array_like=True):
    kind: str
    at: int


StateLine: TypeAlias = ConnectingLine | OpenLine | ClosingLine | ClosedLine
"""A line that tells of a state."""

Line: TypeAlias = Text | Binary | GapLine | StateLine | ErrorLine | RoundTrip | Completed
"""A line after the first; ``at`` is in microseconds since the beginning."""

_KINDS = {cast("str", kind.__struct_config__.tag) for kind in get_args(Line)}


def state_line(at: int, state: State) -> StateLine:
    """Return the line of a state."""
    match state:
        case Connecting():
            return ConnectingLine(at, state)
        case Open():
            return OpenLine(at, state)
        case Closing():
            return ClosingLine(at, state)
        case Closed():
            return ClosedLine(at, state)


def _encode_exception(value: object) -> object:
    if isinstance(value, RxSocketException):
        return {"class": type(value).__name__, "args": [_encode_argument(each) for each in value.args]}
    # As msgspec asks of its hooks; no line has another.
    raise NotImplementedError(f"a {type(value).__name__} has no place in a cassette")


def _encode_argument(value: object) -> object:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return value.encode("utf-8", "backslashreplace").decode()  # a lone surrogate can't be written
        case bytes():
            return {"base64": base64.b64encode(value).decode()}
        case Mapping():
            items = cast("Mapping[object, object]", value).items()
            return {"mapping": {str(key): str(each) for key, each in items}}
        case _:
            return repr(value)


class _Exception(Struct):
    name: str = msgspec.field(name="class")
    args: list[Any]


def _decode_exception(_: type, value: object) -> object:
    found = msgspec.convert(value, _Exception)
    arguments = [_decode_argument(each) for each in found.args]
    known = getattr(errors, found.name, None)
    if isinstance(known, type) and issubclass(known, RxSocketException):
        return known(*arguments)
    return RxSocketException(f"{found.name}: {arguments[0] if arguments else ''}")


def _decode_argument(value: object) -> object:
    if not isinstance(value, dict):
        return value
    items = cast("dict[str, object]", value)
    match items.get("base64"), items.get("mapping"):
        case str(text), _:
            return base64.b64decode(text, validate=True)
        case _, mapping:
            return mapping


_encoder = msgspec.json.Encoder(enc_hook=_encode_exception)
_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line, dec_hook=_decode_exception)
_header_decoder = msgspec.json.Decoder(Header)
_any_decoder = msgspec.json.Decoder(_Any)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def encode_lines(lines: list[Line] | list[Header]) -> bytes:
    """Return lines as they stand in a file, each with its end."""
    return _encoder.encode_lines(lines)


class Cassette:
    """A file that has what a session told; iterating reads it, from its first line on, piece by piece.

    Args:
        path: The file's.

    Attributes:
        path: The file's.
        url: Where its session led, without user and password.
        started: When it began, by the wall's clock.

    Raises:
        CassetteException: It is no cassette, or one of a version that is not known. From the iteration, and of what
            has to read all of it: a line is damaged.
        OSError: It can't be read.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = fsdecode(fspath(path))
        header = self._read_header()
        self.url = header.url
        self.started = header.started

    @property
    def duration(self) -> float:
        """Seconds from the beginning to the last line that there is; it is read through for that, once."""
        return self._survey[0]

    @property
    def is_complete(self) -> bool:
        """Whether it has the session's end, Closed. If not, its writer was killed, or was told to end before."""
        return self._survey[1]

    def openings(self) -> list[OpenEvent]:
        """Return the event of each connection, in order; it is read through for that."""
        lines = (self._decoded(number, text) for number, text in self._lines() if text.startswith(b'["open"'))
        return [line.state.event for line in lines if isinstance(line, OpenLine)]

    def __repr__(self) -> str:
        return f"<Cassette {self.path} {self.url} {self.started:%Y-%m-%d %H:%M:%S}>"

    def _repr_html_(self) -> str:
        # Its length is not known without reading all of it.
        return table(
            "Cassette", [("file", self.path), ("url", self.url), ("began", f"{self.started:%Y-%m-%d %H:%M:%S}")]
        )

    def __iter__(self) -> Iterator[Line]:
        """Read the lines, as they are asked for."""
        state: State | None = None
        lost: CloseEvent | None = None
        for number, text in self._lines():
            line = self._decoded(number, text) if number > 1 else None
            if line is None:
                continue
            if isinstance(line, ConnectingLine):
                # All tries to make the next connection have the same event, as whoever compares them sees.
                if _is_same(line.state.lost, lost):
                    line = ConnectingLine(line.at, structs.replace(line.state, lost=lost))
                lost = line.state.lost
            if isinstance(line, StateLine):
                try:
                    state = line.state if state is None else transition(state, line.state)
                except RuntimeError as error:
                    raise self._damaged(number, error) from None
            yield line

    def _read_header(self) -> Header:
        first = next(self._lines(), None)
        if first is None:
            raise CassetteException(
                f"{self.path} is no cassette, or has nothing: it has no whole first line", self.path, 1
            )
        try:
            header = _header_decoder.decode(first[1])
        except _UNREADABLE as error:
            raise CassetteException(
                f"{self.path} is no cassette: its first line is not that of one ({error}); record() makes one",
                self.path,
                1,
            ) from error
        if header.format != FORMAT:
            raise CassetteException(f"{self.path} is no cassette, but a {header.format!r}", self.path, 1)
        if header.version != VERSION:
            raise CassetteException(
                f"{self.path} is a cassette of version {header.version}, and this rxsocket reads version {VERSION}: "
                "a later one may read it (pip install --upgrade rxsocket)",
                self.path,
                1,
            )
        return header

    @cached_property
    def _survey(self) -> tuple[float, bool]:
        last: tuple[int, bytes] | None = None
        is_complete = False
        for number, text in self._lines():
            if number > 1:
                last = number, text
                is_complete = is_complete or text.startswith(b'["closed"')
        return (self._undamaged(*last).at / 1e6 if last else 0.0), is_complete

    def _decoded(self, number: int, text: bytes) -> Line | None:
        """Return a line; None for one of a kind that is not known."""
        try:
            line = _decoder.decode(text)
        except _UNREADABLE as error:
            if self._undamaged(number, text).kind in _KINDS:
                raise self._damaged(number, error) from error
            return None
        if not 0 <= line.at <= MAX_AT:
            raise self._damaged(number, ValueError(f"its time, {line.at} microseconds, is not from 0 to {MAX_AT}"))
        return line

    def _undamaged(self, number: int, text: bytes) -> _Any:
        try:
            return _any_decoder.decode(text)
        except _UNREADABLE as error:
            raise self._damaged(number, error) from error

    def _damaged(self, number: int, error: Exception) -> CassetteException:
        return CassetteException(
            f"{self.path}, line {number} is damaged ({error}): take that line out, or keep what is before it "
            f"(head -n {number - 1}, of a compressed one behind gzip -dc)",
            self.path,
            number,
        )

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Read the whole lines, each with its number."""
        number = 0
        parts: list[bytes] = []
        try:
            for piece in self._pieces():
                first, *others = piece.split(b"\n")
                parts.append(first)
                for other in others:
                    number += 1
                    yield number, b"".join(parts)
                    parts = [other]
        except zlib.error as error:
            raise self._damaged(number + 1, error) from error

    def _pieces(self) -> Iterator[bytes]:
        """Read what the lines are made of. One that is compressed is read as far as there is any of it."""
        with open(self.path, "rb") as file:  # noqa: PTH123 as its writer opens it
            data = file.read(PIECE)
            if not data.startswith(GZIP_MAGIC):
                while data:
                    yield data
                    data = file.read(PIECE)
                return
            while data:
                inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
                while data and not inflater.eof:
                    yield inflater.decompress(data, PIECE)  # what is much shorter than that can have much in it
                    data = inflater.unconsumed_tail or inflater.unused_data or file.read(PIECE)


def _is_same(lost: CloseEvent | None, other: CloseEvent | None) -> bool:
    return lost is not None and other is not None and _encoder.encode(lost) == _encoder.encode(other)
