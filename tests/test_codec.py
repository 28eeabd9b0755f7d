"""Codecs: of types, there and back; what is one; and what is told of a message that is no value."""

from __future__ import annotations

import datetime as dt
import typing
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxsocket.codec import Format, TypesCodec, check_codec, check_invalid, codec_of, to_codec, undecodable
from rxsocket.errors import DecodeException
from rxsocket.resource import Resource

FORMATS: tuple[Format, ...] = ("json", "msgpack")


class Trade(msgspec.Struct, frozen=True, tag=True):
    symbol: str
    price: float = 0.0
    legs: tuple[Trade, ...] = ()


class Quote(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    bid: int


@dataclass(frozen=True)
class Point:
    x: int
    y: int


trades = st.recursive(
    st.builds(Trade, st.text(), st.floats(allow_nan=False, allow_infinity=False)),
    lambda legs: st.builds(Trade, st.text(), legs=st.lists(legs, max_size=2).map(tuple)),
    max_leaves=4,
)


@pytest.mark.parametrize("format_", FORMATS)
@given(value=trades | st.builds(Quote, st.integers(-(2**63), 2**63 - 1)))
def test_values_come_back_as_they_went(format_: Format, value: Trade | Quote) -> None:
    codec = codec_of(Trade, Quote, format=format_)
    message = codec.encode(value)
    assert isinstance(message, str if format_ == "json" else bytes)
    assert codec.decode(message) == value
    assert type(codec.decode(message)) is type(value)


@pytest.mark.parametrize("value", [7, "text", None, [1, 2], {"a": [1.5]}, Point(1, 2), dt.date(2024, 2, 29)])
def test_builtins_and_dataclasses_are_values_too(value: Any) -> None:
    kinds: dict[type, Any] = {list: list[int], dict: dict[str, list[float]]}
    codec = codec_of(kinds.get(type(value), type(value)))
    assert codec.decode(codec.encode(value)) == value


def test_both_formats_are_decoded_whichever_is_encoded_to() -> None:
    for format_ in FORMATS:
        codec = codec_of(Quote, format=format_)
        assert codec.decode('{"type":"Quote","bid":1}') == Quote(1)
        assert codec.decode(msgspec.msgpack.encode(Quote(1))) == Quote(1)


@pytest.mark.parametrize(
    ("message", "path", "says"),
    [
        ('{"type":"Trade","symbol":1}', "$.symbol", "Expected `str`, got `int`"),
        ('{"type":"Trade"}', "$.symbol", "missing required field `symbol`"),
        ('{"type":"Trade","symbol":"","legs":[{"symbol":""},{"symbol":"","price":""}]}', "$.legs[1].price", "Expected"),
        ('{"type":"Trade","symbol":"","legs":[{}]}', "$.legs[0].symbol", "missing required field `symbol`"),
        ('{"type":"Quote","bid":1,"ask":2}', "$.ask", "contains unknown field `ask`"),
        ('{"type":"Order"}', "$.type", "Invalid value 'Order'"),
        ('{"symbol":"A"}', "$.type", "missing required field `type`"),
        ("[]", "", "got `array`"),
        ("{", "", "truncated"),
        ("", "", "truncated"),
        ("\ud800", "", "UnicodeEncodeError"),
        (b"\xc1", "", "invalid opcode"),
        (msgspec.msgpack.encode({"type": "Quote", "bid": "1"}), "$.bid", "Expected `int`, got `str`"),
    ],
)
def test_what_is_no_value_is_a_decode_exception_with_message_path_and_cause(
    message: str | bytes, path: str, says: str
) -> None:
    with pytest.raises(DecodeException) as caught:
        codec_of(Trade, Quote).decode(message)
    error = caught.value
    assert (error.raw, error.path) == (message, path)
    assert str(error).startswith("not a Trade | Quote: ")
    assert says in str(error)
    assert error.__cause__ is not None


def test_the_path_of_a_key_is_that_of_its_mapping() -> None:
    with pytest.raises(DecodeException) as caught:
        codec_of(dict[str, dict[int, int]]).decode('{"a":{"x":1}}')
    assert caught.value.path == "$[...]"


def test_deep_nesting_is_a_decode_exception() -> None:
    with pytest.raises(DecodeException) as caught:
        codec_of(object).decode("[" * 100_000)
    assert isinstance(caught.value.__cause__, RecursionError)


@given(message=st.text() | st.binary() | st.text(alphabet='[]{}":,0123456789.eE-+nulltrsfa\\ud8'))
def test_decoding_gives_a_value_or_a_decode_exception(message: str | bytes) -> None:
    for codec in (codec_of(Trade, Quote), codec_of(object)):
        try:
            codec.decode(message)
        except DecodeException as error:
            assert error.raw is message  # noqa: PT017 either outcome is right


@pytest.mark.parametrize("format_", FORMATS)
def test_what_cannot_be_encoded_is_a_type_error_that_says_why(format_: Format) -> None:
    circle: list[object] = []
    circle.append(circle)
    for value in (object(), 2**70 if format_ == "msgpack" else {1j: 1}, "\ud800", circle):
        with pytest.raises(TypeError, match=f"can't encode a {type(value).__name__} as {format_}: "):
            codec_of(object, format=format_).encode(value)


def test_what_msgspec_cannot_decode_to_is_refused_when_it_is_named() -> None:
    class Untagged(msgspec.Struct):
        pass

    with pytest.raises(TypeError, match="name a type"):
        codec_of()
    with pytest.raises(TypeError, match="tagged"):
        codec_of(Trade, Untagged)
    with pytest.raises(TypeError, match="7"):
        codec_of(7)
    with pytest.raises(ValueError, match="'json' or 'msgpack', not 'yaml'"):
        codec_of(Trade, format="yaml")  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Trade, "Trade"),
        (Trade | Quote, "Trade | Quote"),
        (typing.Optional[Trade], "Trade | NoneType"),  # noqa: UP045 the old spelling
        (list[Trade], "list of Trade"),
        (dict[str, int], "dict[str, int]"),
        (Any, "Any"),
        (typing.Literal[1, 2], "typing.Literal[1, 2]"),
    ],
)
def test_a_type_is_named_as_people_would(kind: Any, name: str) -> None:
    assert repr(codec_of(kind)) == f"codec_of({name}, format='json')"


def test_codecs_of_the_same_types_and_format_are_equal() -> None:
    assert codec_of(Trade, Quote) == codec_of(Quote | Trade)
    assert codec_of(Trade) != codec_of(Quote)
    assert codec_of(Trade) != codec_of(Trade, format="msgpack")
    assert codec_of(Trade) != "codec_of(Trade)"
    assert len({codec_of(Trade), codec_of(Trade), codec_of(Quote)}) == 2
    extra = msgspec.Meta(extra={"un": "hashable"})
    assert len({codec_of(Annotated[int, extra]), codec_of(Annotated[int, extra])}) == 1


# --- what is a codec


T = TypeVar("T")


class Words:
    def encode(self, value: list[str]) -> str:
        return " ".join(value)

    def decode(self, message: str | bytes) -> list[str]:
        return str(message).split()


class Wrapped(msgspec.Struct, Generic[T]):
    """A value that has such methods for a use of its own."""

    value: T

    def encode(self) -> str: ...
    def decode(self) -> str: ...


def test_whatever_has_the_two_methods_is_a_codec() -> None:
    words = Words()
    resource = Resource(Point, id=lambda point: point.x, empty=Point(0, 0))
    assert to_codec((words,)) is words
    assert to_codec((resource,)) is resource
    check_codec("codec", resource)


def test_a_type_is_none_whatever_methods_its_values_have() -> None:
    for kind in (Wrapped, Wrapped[int], str, bytes, Trade):
        assert isinstance(to_codec((kind,)), TypesCodec)
        with pytest.raises(TypeError, match=r"^codec is a codec, such as codec_of\(Trade\), not "):
            check_codec("codec", kind)
    for thing in (None, "text", b"binary"):
        with pytest.raises(TypeError, match="is a codec"):
            check_codec("codec", thing)


def test_several_codecs_are_no_types() -> None:
    with pytest.raises(TypeError):
        to_codec((Words(), Trade))


def test_invalid_is_one_of_two_words() -> None:
    check_invalid("skip")
    check_invalid("end")
    with pytest.raises(ValueError, match="'skip' or 'end', not None"):
        check_invalid(None)


# --- what is told


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def test_what_a_codec_raises_is_told_with_its_kind_even_if_it_cannot_be_spoken_of() -> None:
    cause = KeyError("price")
    error = undecodable("Trade", "raw", cause)
    assert (str(error), error.raw, error.path) == ("not a Trade: KeyError: 'price'", "raw", "")
    assert error.__cause__ is cause
    assert "Unspeakable" in str(undecodable("Trade", b"", Unspeakable()))


def test_a_decode_exception_is_told_as_it_is() -> None:
    error = DecodeException("mine", "raw", "$.a")
    assert undecodable("Trade", "other", error) is error
