"""RFC 6455, messages and control frames in and bytes out."""

from __future__ import annotations

import array
import ctypes
import os

import pytest
from decoding import fed, told
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rxsocket.decoding import Decoder
from rxsocket.encoding import (
    content_of,
    encode_close,
    encode_contents,
    encode_frame,
    encode_message,
    encode_ping,
    encode_pong,
)
from rxsocket.errors import CloseException
from rxsocket.frames import BINARY, CONTINUATION, TEXT, Close, Message, Ping, Pong

LIMIT = 1 << 24

many = settings(max_examples=200, deadline=None)


@many
@given(st.binary(max_size=300))
@example(b"")
def test_masked_and_unmasked_frames_carry_the_same(payload: bytes) -> None:
    masked = encode_message(payload)
    assert masked[1] & 0x80
    assert Decoder(LIMIT, masked=True).feed(masked) == ([payload], [])
    assert Decoder(LIMIT).feed(encode_message(payload, masked=False)) == ([payload], [])
    for encode, kind in ((encode_ping, Ping), (encode_pong, Pong)):
        control = encode(payload[:125])
        assert told(Decoder(LIMIT, masked=True).feed(control)[1]) == [(kind, (payload[:125],))]
        assert encode(payload[:125], masked=False)[2:] == payload[:125]


def test_a_mebibyte_goes_there_and_back_masked_in_pieces_that_are_no_multiple_of_the_key() -> None:
    payload = os.urandom(1 << 20)
    stream = encode_message(payload)
    messages, controls = fed(
        Decoder(1 << 20, masked=True), [stream[start : start + 65_521] for start in range(0, len(stream), 65_521)]
    )
    assert messages == [payload]
    assert controls == []


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (0, "8200"),
        (125, "827d"),
        (126, "827e007e"),
        (65_535, "827effff"),
        (65_536, "827f0000000000010000"),
    ],
)
def test_lengths_are_written_in_their_shortest_form(size: int, header: str) -> None:
    assert encode_message(bytes(size), masked=False) == bytes.fromhex(header) + bytes(size)
    masked = encode_message(bytes(size))
    assert len(masked) == len(bytes.fromhex(header)) + 4 + size
    assert masked[0] == 0x82
    assert masked[1] == bytes.fromhex(header)[1] | 0x80


def test_a_frame_that_is_not_final_says_so() -> None:
    assert encode_frame(TEXT, b"a", final=False, masked=False) == b"\x01\x01a"
    assert encode_frame(CONTINUATION, b"b", masked=False) == b"\x80\x01b"


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("a\u20ac", "a\u20ac"),
        (Text("sub"), "sub"),
        (b"a", b"a"),
        (bytearray(b"a\x00"), b"a\x00"),
        (memoryview(b""), b""),
        (memoryview(b"abc"), b"abc"),
        (memoryview(b"abcdef")[::2], b"ace"),
        (memoryview(b"abcdef")[::-1], b"fedcba"),
        (memoryview(b"abcdef").cast("B", (2, 3)), b"abcdef"),
        (memoryview(array.array("i", [1, -1])), array.array("i", [1, -1]).tobytes()),
        (memoryview(array.array("d", [])), b""),
        (memoryview((ctypes.c_double * 3 * 0)()), b""),
        (memoryview(array.array("H", [1, 2, 3]))[::2], array.array("H", [1, 3]).tobytes()),
        (memoryview((ctypes.c_int.__ctype_be__ * 2)(1, 2)), b"\x00\x00\x00\x01\x00\x00\x00\x02"),
    ],
    ids=[
        "str",
        "subclass of str",
        "bytes",
        "bytearray",
        "empty view",
        "view",
        "view with a step",
        "view backwards",
        "view of two dimensions",
        "view of ints",
        "empty view of doubles",
        "empty view of two dimensions",
        "view of shorts with a step",
        "view of big-endian ints",
    ],
)
@pytest.mark.parametrize("masked", [False, True])
def test_a_message_goes_as_its_bytes(message: str | bytes, expected: Message, masked) -> None:
    assert Decoder(LIMIT, masked=masked).feed(encode_message(message, masked=masked)) == ([expected], [])


@pytest.mark.parametrize("message", [None, 1, 1.5, [b"a"], {"a": 1}, array.array("i", [1]), object()])
def test_a_message_of_another_type_is_refused_with_the_types_that_are_taken(message: object) -> None:
    with pytest.raises(TypeError) as raised:
        encode_message(message)  # type: ignore[arg-type]
    for name in ("str", "bytes", "bytearray", "memoryview", type(message).__name__):
        assert name in str(raised.value)


def test_a_text_with_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        encode_message("a\ud800")


def test_a_close_reason_may_have_123_bytes_of_utf8_and_no_more() -> None:
    fits = "\u20ac" * 41
    assert told(Decoder(LIMIT).feed(encode_close(Close(1000, fits), masked=False))[1]) == [(Close, (1000, fits))]
    with pytest.raises(CloseException, match=r"124 .* 123"):
        encode_close(Close(1000, fits + "x"))
    with pytest.raises(CloseException, match="126"):
        encode_close(Close(1000, "\u20ac" * 42))


def test_a_close_reason_with_a_surrogate_is_refused_with_its_cause() -> None:
    with pytest.raises(CloseException, match="UTF-8") as raised:
        encode_close(Close(1000, "\udc80"))
    assert isinstance(raised.value.__cause__, UnicodeEncodeError)


@pytest.mark.parametrize(
    ("code", "reason", "kinds"),
    [
        ("1000", "", "str and str"),
        (1000.0, "", "float and str"),
        (None, "", "NoneType and str"),
        (1000, b"", "int and bytes"),
        (1000, None, "int and NoneType"),
    ],
)
def test_a_close_code_or_reason_of_a_wrong_type_is_a_type_error(code: int, reason: str, kinds: str) -> None:
    with pytest.raises(TypeError, match=kinds):
        encode_close(Close(code, reason))


@many
@given(st.lists(st.one_of(st.text(max_size=200), st.binary(max_size=200), st.binary(min_size=2000, max_size=2100))))
def test_messages_that_are_encoded_together_come_out_as_if_each_were_by_itself(messages: list[Message]) -> None:
    frames = encode_contents([(opcode, bytes(payload)) for opcode, payload in map(content_of, messages)])
    found, controls = fed(Decoder(1 << 20, masked=True), frames)
    assert (found, controls) == (messages, [])


def test_small_messages_in_a_row_are_one_piece_each_masked_with_a_key_of_its_own() -> None:
    pieces = encode_contents([(TEXT, b"same")] * 3 + [(BINARY, bytes(3000))] + [(TEXT, b"same")] * 2)
    assert [len(piece) for piece in pieces] == [3 * 10, 3008, 2 * 10]
    assert len({bytes(pieces[0][start : start + 10]) for start in (0, 10, 20)}) == 3
