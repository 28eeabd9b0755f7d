"""How values go to and from messages: what a codec is, and the one that msgspec makes of types."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from types import UnionType
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeAlias, Union, get_args, get_origin, overload

import msgspec

from .errors import DecodeException

if TYPE_CHECKING:
    # Only type-checkers need the default (PEP 696), by which Session and Socket alone stand for those without a codec.
    from typing_extensions import TypeVar

    MessageT = TypeVar("MessageT", default=str | bytes)
else:
    from typing import TypeVar

    MessageT = TypeVar("MessageT")

__all__ = [
    "Codec",
    "Format",
    "Invalid",
    "MessageT",
    "Sendable",
    "TypesCodec",
    "check_codec",
    "check_invalid",
    "codec_of",
    "path_in",
    "to_codec",
    "undecodable",
]

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")

Sendable: TypeAlias = MessageT | msgspec.Struct | str | bytes | bytearray | memoryview
"""What a session can be told to send: what it receives, and any other Struct, by its codec; or a message as it is."""

Format: TypeAlias = Literal["json", "msgpack"]
"""Of the messages that are sent: JSON as text, or MessagePack as binary."""

Invalid: TypeAlias = Literal["skip", "end"]
"""What a stream does at a message that does not decode."""

# How msgspec's messages end, and the one that names a field apart from the path of what it is missing in.
_PATH = re.compile(r" - at (?:`key` in )?`(\$.*)`$")
_FIELD = re.compile(r"^Object (?:missing required|contains unknown) field `(.*?)`")


class Codec(Protocol[T]):
    """Takes values to messages and back. Anything with these two methods is one, such as a :class:`Resource`.

    Sessions call ``encode`` on the thread that sends, and ``decode`` on their own. What either raises harms nobody: it
    becomes a TypeError of ``send``, and a DecodeException in ``session.errors``.
    """

    def encode(self, value: T, /) -> str | bytes:
        """Return the message for a value: a str goes as text, bytes as binary."""
        ...

    def decode(self, message: str | bytes, /) -> T:
        """Return the value of a message."""
        ...


class TypesCodec(Generic[T]):
    """A codec of msgspec's. Made by :func:`codec_of`.

    It is immutable, and any thread may use it; two of the same types and format are equal.

    Attributes:
        type: What it decodes to; of several types their union.
        format: How it encodes.
        name: The type's, for people.
        from_text: Decodes JSON, and raises whatever msgspec, or a type's own hook, does.
        from_binary: Decodes MessagePack, likewise.
    """

    __slots__ = ("_encode", "format", "from_binary", "from_text", "name", "type")

    def __init__(self, type: object, format: Format) -> None:  # noqa: A002 the attributes' names
        if format not in ("json", "msgpack"):
            raise ValueError(f"format is 'json' or 'msgpack', not {format!r}")
        self.type: Any = type
        self.format = format
        self.name = _name(type)
        self.from_text: Callable[[str], T] = msgspec.json.Decoder(self.type).decode
        self.from_binary: Callable[[bytes], T] = msgspec.msgpack.Decoder(self.type).decode
        self._encode: Callable[[object], bytes] = (
            (msgspec.json if format == "json" else msgspec.msgpack).Encoder().encode
        )

    def encode(self, value: T, /) -> str | bytes:
        """Return the message for a value: a text for JSON, bytes for MessagePack.

        Raises:
            TypeError: It has a part that the format can't express.
        """
        try:
            data = self._encode(value)
        except Exception as error:  # msgspec has several, and a value's own hooks may raise anything
            raise TypeError(f"can't encode a {type(value).__name__} as {self.format}: {error}") from error
        return data.decode() if self.format == "json" else data

    def decode(self, message: str | bytes, /) -> T:
        """Return the value of a message: of JSON from a text, of MessagePack from bytes.

        Raises:
            DecodeException: It is none, whatever it is instead. Nothing else is raised.
        """
        try:
            return self.from_text(message) if isinstance(message, str) else self.from_binary(message)
        # Also RecursionError (deep nesting), UnicodeEncodeError (a lone surrogate), and what a type's own
        # __post_init__ may raise.
        except Exception as error:
            raise undecodable(self.name, message, error) from error

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TypesCodec):
            return NotImplemented
        return (self.format, self.type) == (other.format, other.type)

    def __hash__(self) -> int:
        return hash((self.format, self.name))  # not the type, which may have what can't be hashed

    def __repr__(self) -> str:
        return f"codec_of({self.name}, format={self.format!r})"


@overload
def codec_of(a: type[A], /, *, format: Format = ...) -> Codec[A]: ...
@overload
def codec_of(a: type[A], b: type[B], /, *, format: Format = ...) -> Codec[A | B]: ...
@overload
def codec_of(a: type[A], b: type[B], c: type[C], /, *, format: Format = ...) -> Codec[A | B | C]: ...
@overload
def codec_of(a: type[A], b: type[B], c: type[C], d: type[D], /, *, format: Format = ...) -> Codec[A | B | C | D]: ...
@overload
def codec_of(
    a: type[A], b: type[B], c: type[C], d: type[D], e: type[E], /, *, format: Format = ...
) -> Codec[A | B | C | D | E]: ...
@overload
def codec_of(*types: object, format: Format = ...) -> Codec[Any]: ...
def codec_of(*types: object, format: Format = "json") -> Codec[Any]:  # noqa: A002 as in Resource
    """Make a codec of types, by msgspec: from texts by JSON, from binary messages by MessagePack.

    Args:
        *types: What msgspec can decode, such as a ``msgspec.Struct``, a dataclass, or ``dict[str, int]``. Of several
            a message is any one; Structs are told apart by their tags (``class Trade(Struct, tag=True)``).
            Type-checkers follow up to five. A union (``Trade | Quote``) works as well, but most take it for Any.
        format: How to encode: ``"json"``, which goes as text, or ``"msgpack"``, which goes as binary.

    Raises:
        TypeError: There is no type, or msgspec can't decode one, or can't tell them apart.
        ValueError: The format is another.

    Example:
        >>> codec_of(Trade, Quote).decode('{"type":"Trade","price":4.5}')
        Trade(price=4.5)
    """
    if not types:
        raise TypeError("name a type to decode, such as a msgspec.Struct of your own")
    return TypesCodec(Union[types], format)  # noqa: UP007 of as many as there are


def to_codec(given: tuple[Any, ...]) -> Codec[Any]:
    """Return the one codec that is given, or make one of the types that are.

    Raises:
        TypeError: As :func:`codec_of` raises it.
    """
    return given[0] if len(given) == 1 and _is_codec(given[0]) else codec_of(*given)


def check_codec(option: str, codec: object) -> None:
    """Raise a TypeError for what is no codec."""
    if not _is_codec(codec):
        raise TypeError(f"{option} is a codec, such as codec_of(Trade), not {codec!r}")


def check_invalid(invalid: object) -> None:
    """Raise a ValueError for what is not ``"skip"`` or ``"end"``."""
    if invalid not in get_args(Invalid):
        raise ValueError(f"invalid is 'skip' or 'end', not {invalid!r}")


def _is_codec(thing: object) -> bool:
    # A class whose values have such methods has them, too, and so has what a generic one gives for a parameter.
    if isinstance(thing, type) or get_origin(thing) is not None:
        return False
    return callable(getattr(thing, "encode", None)) and callable(getattr(thing, "decode", None))


def undecodable(name: str, message: str | bytes, error: BaseException) -> DecodeException:
    """Return the exception that tells of a message what a codec raised for it.

    Args:
        name: What the message should have been.
        message: As it came.
        error: What the codec raised.
    """
    if isinstance(error, DecodeException):
        return error
    text = str(error) if isinstance(error, msgspec.MsgspecError) else _described(error)
    failure = DecodeException(f"not a {name}: {text}", message, path_in(text))
    failure.__cause__ = error
    return failure


def path_in(text: str) -> str:
    """Return the path of the field at fault that a text of msgspec's names; nothing if it names none."""
    found = _PATH.search(text)
    path = found[1] if found else ""
    if field := _FIELD.match(text):
        path = f"{path or '$'}.{field[1]}"
    return path


def _described(error: BaseException) -> str:
    # A codec's own exceptions may raise when they are asked for their text.
    return "".join(traceback.format_exception_only(error)).strip()


def _name(type: object) -> str:  # noqa: A002 as in TypesCodec
    origin = get_origin(type)
    if origin is list:
        return f"list of {_name(*get_args(type))}"
    if origin is Union or origin is UnionType:
        return " | ".join(map(_name, get_args(type)))
    return str(getattr(type, "__name__", type) if origin is None else type)
