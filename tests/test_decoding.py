"""Frames: any stream cut anywhere, each rule of RFC 6455 with its code, and what is encoded."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable
from typing import NamedTuple

import pytest
from decoding import failure, fed, in_order, pieces_of, told
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from rxsocket.decoding import LARGE_PIECE, SMALL_PIECE, Decoder
from rxsocket.deflate import Inflater
from rxsocket.encoding import encode_close, encode_frame, encode_message
from rxsocket.errors import CloseException, ProtocolException
from rxsocket.frames import BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, Close, Control, Message, Ping, Pong

LIMIT = 1 << 24

many = settings(max_examples=200, deadline=None)


def frame(first: int, payload: bytes = b"", *, length: bytes | None = None) -> bytes:
    """Spell an unmasked frame out, whether or not it is a legal one; ``length`` is all between first and payload."""
    return bytes((first,)) + (bytes((len(payload),)) if length is None else length) + payload


# --- conversations: what two sides may say to each other, in frames


class Conversation(NamedTuple):
    messages: list[Message]
    controls: list[Control]
    frames: list[tuple[int, bytes, bool]]  # opcode, payload, final

    def encoded(self, *, masked: bool) -> bytes:
        return b"".join(
            encode_frame(opcode, payload, final=final, masked=masked) for opcode, payload, final in self.frames
        )


SIZES = (0, 1, 2, 124, 125, 126, 127, 128, 65_534, 65_535, 65_536, 65_537)

CONTENTS = st.one_of(
    st.text(max_size=40),
    st.text("e\u0301\u00e9\u20ac\ud7ff\ue000\uffff\U00010000\U0001f469\u200d\U0010ffff", max_size=40),
    st.binary(max_size=40),
    st.sampled_from(SIZES).map(lambda size: "x" * size),
    st.sampled_from(SIZES).map(bytes),
    st.sampled_from((42, 63, 126, 21_846, 32_768)).map(lambda count: "\u20ac" * count),
)

CONTROLS = st.one_of(
    st.builds(Ping, st.binary(max_size=125)),
    st.builds(Pong, st.binary(max_size=125)),
    st.sampled_from((Ping(bytes(125)), Pong(b""))),
)


def cuts_of(size: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, size), max_size=8)


@st.composite
def conversations(draw: st.DrawFn, *, closed: bool = False) -> Conversation:
    messages = draw(st.lists(CONTENTS, max_size=5))
    said = Conversation(list(messages), [], [])

    def some_controls() -> None:
        for control in draw(st.lists(CONTROLS, max_size=2)):
            said.controls.append(control)
            said.frames.append((PING if isinstance(control, Ping) else PONG, control.payload, True))

    for message in messages:
        payload = message.encode() if isinstance(message, str) else message
        fragments = pieces_of(payload, draw(cuts_of(len(payload))) if draw(st.booleans()) else [])
        for number, fragment in enumerate(fragments):
            some_controls()
            opcode = CONTINUATION if number else TEXT if isinstance(message, str) else BINARY
            said.frames.append((opcode, fragment, number == len(fragments) - 1))
    some_controls()
    if closed:
        said.controls.append(Close(1001, "bye \u20ac"))
        said.frames.append((CLOSE, b"\x03\xe9bye \xe2\x82\xac", True))
    return said


@many
@given(conversations(), st.booleans(), st.data())
def test_any_messages_fragmented_and_cut_anywhere_come_out_the_same(
    said: Conversation, masked, data: st.DataObject
) -> None:
    stream = said.encoded(masked=masked)
    pieces = pieces_of(stream, data.draw(cuts_of(len(stream))))
    messages, controls = fed(Decoder(LIMIT, masked=masked), pieces)
    assert messages == said.messages
    assert [type(message) for message in messages] == [type(message) for message in said.messages]
    assert told(controls) == told(said.controls)


FIXED = Conversation(
    ["", "a", "\u20ac\U0001f469", b"\x00\xff" * 70, "x" * 126, b"", "\u00e9" * 3, bytes(300)],
    [Ping(b"1"), Pong(b""), Ping(b"p" * 125), Close(4000, "\U0001f469")],
    [
        (TEXT, b"", True),
        (TEXT, b"a", True),
        (PING, b"1", True),
        (TEXT, b"\xe2", False),
        (PONG, b"", True),
        (CONTINUATION, b"\x82\xac\xf0\x9f", False),
        (CONTINUATION, b"", False),
        (CONTINUATION, b"\x91\xa9", True),
        (BINARY, b"\x00\xff" * 70, True),
        (TEXT, b"x" * 126, True),
        (BINARY, b"", False),
        (PING, b"p" * 125, True),
        (CONTINUATION, b"", True),
        (TEXT, b"\xc3\xa9" * 3, True),
        (BINARY, bytes(150), False),
        (CONTINUATION, bytes(150), True),
        (CLOSE, b"\x0f\xa0\xf0\x9f\x91\xa9", True),
    ],
)


@pytest.mark.parametrize("masked", [False, True])
def test_every_single_cut_of_a_stream_gives_the_same(masked) -> None:
    stream = FIXED.encoded(masked=masked)
    for cut in range(len(stream) + 1):
        messages, controls = fed(Decoder(LIMIT, masked=masked), [stream[:cut], stream[cut:]])
        assert messages == FIXED.messages, cut
        assert told(controls) == told(FIXED.controls), cut


@pytest.mark.parametrize("masked", [False, True])
def test_a_stream_that_comes_byte_by_byte_gives_the_same(masked) -> None:
    stream = FIXED.encoded(masked=masked)
    messages, controls = fed(Decoder(LIMIT, masked=masked), [stream[i : i + 1] for i in range(len(stream))])
    assert messages == FIXED.messages
    assert told(controls) == told(FIXED.controls)


def test_each_message_comes_with_the_piece_that_completes_it() -> None:
    decoder = Decoder(LIMIT)
    first, second = encode_message("first", masked=False), encode_message(bytes(200), masked=False)
    assert decoder.feed(first[:-1]) == ([], [])
    assert decoder.feed(first[-1:] + second[:-1]) == (["first"], [])
    assert decoder.feed(second[-1:]) == ([bytes(200)], [])
    assert decoder.feed(b"") == ([], [])


def test_the_examples_of_rfc_6455_section_5_7() -> None:
    assert Decoder(LIMIT).feed(bytes.fromhex("810548656c6c6f")) == (["Hello"], [])
    assert Decoder(LIMIT, masked=True).feed(bytes.fromhex("818537fa213d7f9f4d5158")) == (["Hello"], [])
    assert Decoder(LIMIT).feed(bytes.fromhex("010348656c 80026c6f")) == (["Hello"], [])
    messages, controls = Decoder(LIMIT).feed(bytes.fromhex("890548656c6c6f"))
    assert (messages, told(controls)) == ([], [(Ping, (b"Hello",))])
    messages, controls = Decoder(LIMIT, masked=True).feed(bytes.fromhex("8a8537fa213d7f9f4d5158"))
    assert (messages, told(controls)) == ([], [(Pong, (b"Hello",))])
    assert Decoder(LIMIT).feed(bytes.fromhex("827e0100") + bytes(256)) == ([bytes(256)], [])
    assert Decoder(LIMIT).feed(bytes.fromhex("827f0000000000010000") + bytes(65536)) == ([bytes(65536)], [])


@many
@given(CONTENTS, st.booleans())
def test_another_implementation_writes_and_reads_the_same_frames(message: Message, masked) -> None:
    text = isinstance(message, str)
    payload = message.encode() if isinstance(message, str) else message
    theirs = Frame(Opcode.TEXT if text else Opcode.BINARY, payload)
    assert Decoder(LIMIT, masked=masked).feed(theirs.serialize(mask=masked)) == ([message], [])
    assert encode_message(message, masked=False) == theirs.serialize(mask=False)


# --- streams that are not legal


def outcome(pieces: Iterable[bytes], *, masked: bool) -> tuple[list[Message], list[tuple[type, object]]]:
    """Feed pieces; hold what is true for any stream, and return what came out."""
    decoder = Decoder(300, masked=masked)
    messages: list[Message] = []
    controls: list[Control] = []
    ended = False
    for piece in pieces:
        some, others = decoder.feed(piece)
        assert not (ended and (some or others)), "something came after the end"
        messages += some
        controls += others
        ended = bool(controls) and isinstance(controls[-1], Close | ProtocolException)
    assert all(type(message) in {str, bytes} for message in messages)
    for control in controls:
        assert type(control) in {Ping, Pong, Close, ProtocolException}
        if isinstance(control, Close | ProtocolException):
            assert control is controls[-1]
        if isinstance(control, ProtocolException):
            assert control.code in {1002, 1007, 1009}
    return messages, told(controls)


# Frames that are often almost right, so that a random stream gets further than its first two bytes.
ALMOST_FRAMES = st.builds(
    lambda first, mask, payload, lie: (
        bytes((first, mask | min(127, max(0, len(payload) + lie)))) + (b"key!" if mask else b"") + payload
    ),
    st.one_of(st.sampled_from((0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x88, 0x89, 0x8A)), st.integers(0, 255)),
    st.sampled_from((0, 0, 0, 0x80)),
    st.one_of(st.binary(max_size=8), st.text(max_size=4).map(str.encode), st.just(b"\x03\xe8")),
    st.sampled_from((0, 0, 0, 0, 0, -1, 1, 120)),
)


@many
@given(st.one_of(st.binary(max_size=80), st.lists(ALMOST_FRAMES, max_size=8).map(b"".join)), st.booleans(), st.data())
def test_random_bytes_give_messages_or_a_documented_error_however_they_are_cut(
    stream: bytes, masked, data: st.DataObject
) -> None:
    pieces = pieces_of(stream, data.draw(cuts_of(len(stream))))
    assert outcome(pieces, masked=masked) == outcome([stream], masked=masked)


@many
@given(conversations(closed=True), st.booleans(), st.data())
def test_mutated_streams_give_messages_or_a_documented_error_however_they_are_cut(
    said: Conversation, masked, data: st.DataObject
) -> None:
    stream = bytearray(said.encoded(masked=masked))
    for place, byte in data.draw(
        st.lists(st.tuples(st.integers(0, min(200, len(stream) - 1)), st.integers(0, 255)), min_size=1, max_size=4)
    ):
        stream[place] = byte
    pieces = pieces_of(bytes(stream), data.draw(cuts_of(len(stream))))
    assert outcome(pieces, masked=masked) == outcome([bytes(stream)], masked=masked)


@pytest.mark.parametrize("end", [frame(0x88), frame(0x88, b"\x03\xe8"), frame(0xF1)], ids=["close", "code", "failure"])
def test_after_an_end_nothing_more_counts(end: bytes) -> None:
    more = frame(0x81, b"more") + frame(0x89, b"ping") + frame(0x88)
    decoder = Decoder(LIMIT)
    messages, controls = decoder.feed(frame(0x81, b"before") + end + more)
    assert messages == ["before"]
    assert len(controls) == 1
    assert decoder.feed(more) == ([], [])


# --- each rule, with its code

OPENED = frame(0x01, b"start")  # a text message that is not finished

RULES = {
    "RSV1": (frame(0xC1), 1002),
    "RSV2": (frame(0xA1), 1002),
    "RSV3": (frame(0x91), 1002),
    "RSV1 of a ping": (frame(0xC9), 1002),
    "RSV1 of a continuation": (OPENED + frame(0xC0), 1002),
    **{f"opcode {opcode:#x}": (frame(FIN | opcode), 1002) for opcode in (*range(0x3, 0x8), *range(0xB, 0x10))},
    "masked by a server": (frame(0x81, b"key!" + bytes(1), length=b"\x81"), 1002),
    "masked ping by a server": (frame(0x89, b"key!", length=b"\x80"), 1002),
    "fragmented ping": (frame(0x09), 1002),
    "fragmented pong": (frame(0x0A), 1002),
    "fragmented close": (frame(0x08), 1002),
    "ping of 126": (frame(0x89, bytes(126), length=b"\x7e\x00\x7e"), 1002),
    "pong of 126, its length alone": (frame(0x8A, length=b"\x7e"), 1002),
    "close of 65536, its length alone": (frame(0x88, length=b"\x7f"), 1002),
    "ping of 5 with a long length": (frame(0x89, b"12345", length=b"\x7e\x00\x05"), 1002),
    "125 in 16 bits": (frame(0x82, bytes(125), length=b"\x7e\x00\x7d"), 1002),
    "0 in 16 bits": (frame(0x82, length=b"\x7e\x00\x00"), 1002),
    "65535 in 64 bits": (frame(0x82, length=b"\x7f" + (65_535).to_bytes(8, "big")), 1002),
    "1 in 64 bits": (frame(0x82, b"1", length=b"\x7f" + (1).to_bytes(8, "big")), 1002),
    "most significant bit of 64": (frame(0x82, length=b"\x7f\x80" + bytes(7)), 1002),
    "all 64 bits": (frame(0x82, length=b"\x7f" + b"\xff" * 8), 1002),
    "continuation of nothing": (frame(0x80), 1002),
    "unfinished continuation of nothing": (frame(0x00), 1002),
    "continuation after a whole message": (frame(0x81, b"a") + frame(0x80), 1002),
    "continuation after a finished message": (OPENED + frame(0x80) + frame(0x80), 1002),
    "text inside of a message": (OPENED + frame(0x81, b"a"), 1002),
    "binary inside of a message": (OPENED + frame(0x82, b"a"), 1002),
    "unfinished text inside of a message": (OPENED + frame(0x01, b"a"), 1002),
    "text inside of a message that is empty so far": (frame(0x01) + frame(0x81), 1002),
    "close with 1 byte": (frame(0x88, b"\x03"), 1002),
    "close reason is not UTF-8": (frame(0x88, b"\x03\xe8\xff"), 1007),
    "close reason ends inside of a code point": (frame(0x88, b"\x03\xe8\xe2\x82"), 1007),
    "close reason with a surrogate": (frame(0x88, b"\x03\xe8\xed\xa0\x80"), 1007),
    "text ends inside of a code point": (frame(0x81, b"\xe2\x82"), 1007),
    "fragmented text ends inside of a code point": (OPENED + frame(0x80, b"\xe2\x82"), 1007),
    "fragmented text ends inside of a code point, with an empty frame": (
        frame(0x01, b"\xe2\x82") + frame(0x80),
        1007,
    ),
    "long text ends inside of a code point": (frame(0x81, bytes(126) + b"\xf0", length=b"\x7e\x00\x7f"), 1007),
    "65 bits of size over fragments": (OPENED + frame(0x80, length=b"\x7f\x7f" + b"\xff" * 7), 1009),
}


@pytest.mark.parametrize(("stream", "code"), RULES.values(), ids=RULES.keys())
def test_a_broken_rule_is_told_with_its_code_after_the_messages_before_it(stream: bytes, code: int) -> None:
    whole, other = frame(0x81, b"before"), frame(0x82, b"it")
    messages, controls = Decoder(LIMIT).feed(whole + frame(0x89, b"ping") + other + stream + frame(0x81, b"after"))
    assert messages[:2] == ["before", b"it"]
    assert "after" not in messages
    assert told(controls) == [(Ping, (b"ping",)), (ProtocolException, code)]
    assert fed(Decoder(LIMIT), [(whole + stream)[i : i + 1] for i in range(len(whole + stream))])[1][-1].code == code  # type: ignore[union-attr]


def test_a_servers_decoder_wants_every_frame_masked() -> None:
    for unmasked in (frame(0x81, b"a"), frame(0x89), frame(0x88, b"\x03\xe8"), frame(0x82, length=b"\x7e")):
        assert failure(Decoder(LIMIT, masked=True).feed(unmasked)[1]).code == 1002
    decoder = Decoder(LIMIT, masked=True)
    decoder.feed(encode_frame(TEXT, b"a", final=False))
    assert failure(decoder.feed(frame(0x80, b"b"))[1]).code == 1002


VALID_CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)
INVALID_CODES = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)


@pytest.mark.parametrize("code", INVALID_CODES)
def test_a_close_code_that_may_not_be_sent_is_refused_both_ways(code: int) -> None:
    assert failure(Decoder(LIMIT).feed(frame(0x88, code.to_bytes(2, "big")))[1]).code == 1002
    assert failure(Decoder(LIMIT).feed(frame(0x88, code.to_bytes(2, "big") + b"reason"))[1]).code == 1002
    with pytest.raises(CloseException, match=str(code)):
        encode_close(Close(code, "reason"))


@pytest.mark.parametrize("code", VALID_CODES)
def test_a_close_code_that_may_be_sent_goes_both_ways(code: int) -> None:
    for close in (Close(code), Close(code, "reason \u20ac"), Close(code, "x" * 123)):
        messages, controls = Decoder(LIMIT).feed(encode_close(close, masked=False))
        assert (messages, told(controls)) == ([], [(Close, tuple(close))])


def test_a_close_without_a_status_is_1005() -> None:
    assert encode_close(None, masked=False) == b"\x88\x00"
    assert told(Decoder(LIMIT).feed(b"\x88\x00")[1]) == [(Close, (1005, ""))]


# --- UTF-8, as soon as it arrives

# Where each sequence is known to be none of UTF-8: at the byte with this index (Unicode, table 3-7).
NOT_UTF8 = {
    b"\x80": 0,
    b"\xbf": 0,
    b"\xc0": 0,
    b"\xc1": 0,
    b"\xf5": 0,
    b"\xff": 0,
    b"\xc3\x28": 1,
    b"\xe0\x80": 1,
    b"\xe0\x9f": 1,
    b"\xed\xa0": 1,
    b"\xed\xa0\x80": 1,
    b"\xed\xbf": 1,
    b"\xf0\x80": 1,
    b"\xf0\x8f": 1,
    b"\xf4\x90": 1,
    b"\xf4\xbf": 1,
    b"\xe2\x82\x28": 2,
    b"\xf0\x9f\x98\x28": 3,
}


@pytest.mark.parametrize("before", [b"", b"text \xe2\x82\xac"], ids=["at the start", "after text"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("bad", "index"), NOT_UTF8.items(), ids=[bad.hex() for bad in NOT_UTF8])
def test_a_text_fails_at_the_byte_that_makes_it_none_of_utf8(bad: bytes, index: int, masked, before: bytes) -> None:
    stream = encode_frame(TEXT, before + bad + bytes(100), masked=masked)
    fails_at = len(stream) - 100 - len(bad) + index
    decoder = Decoder(LIMIT, masked=masked)
    assert fed(decoder, [stream[i : i + 1] for i in range(fails_at)]) == ([], [])
    assert failure(decoder.feed(stream[fails_at : fails_at + 1])[1]).code == 1007
    # In one piece, with all before it, and with the rest of the frame still to come.
    assert failure(Decoder(LIMIT, masked=masked).feed(stream[: fails_at + 1])[1]).code == 1007


@pytest.mark.parametrize(("bad", "index"), NOT_UTF8.items(), ids=[bad.hex() for bad in NOT_UTF8])
def test_a_fragmented_text_fails_at_that_byte_too_before_it_is_finished(bad: bytes, index: int) -> None:
    decoder = Decoder(LIMIT)
    assert decoder.feed(frame(0x01, b"a")) == ([], [])
    for byte in bad[:index]:
        assert decoder.feed(frame(0x00, bytes((byte,)))) == ([], [])
        assert told(decoder.feed(frame(0x89))[1]) == [(Ping, (b"",))]
    assert failure(decoder.feed(frame(0x00, bad[index : index + 1]))[1]).code == 1007


def test_every_pair_of_bytes_fails_exactly_where_no_utf8_can_begin_with_it() -> None:
    def can_begin(lead: int, second: int) -> bool:  # Unicode, table 3-7
        if lead < 0x80:
            return second < 0x80 or 0xC2 <= second <= 0xF4
        low, high = {0xE0: (0xA0, 0xBF), 0xED: (0x80, 0x9F), 0xF0: (0x90, 0xBF), 0xF4: (0x80, 0x8F)}.get(
            lead, (0x80, 0xBF)
        )
        return 0xC2 <= lead <= 0xF4 and low <= second <= high

    wrong = [
        (lead, second)
        for lead in range(256)
        for second in range(256)
        if bool(Decoder(LIMIT).feed(b"\x81\x7d" + bytes((lead, second)))[1]) is can_begin(lead, second)
    ]
    assert wrong == []


# --- the largest message


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("first", [0x81, 0x82, 0x01, 0x02])
@pytest.mark.parametrize("limit", [1, 10, 125, 126, 1000, 65_535, 65_536, 100_000])
def test_a_message_over_max_size_fails_when_its_header_announces_it(first: int, limit: int, masked) -> None:
    stream = encode_frame(first & 0x0F, bytes(limit + 1), final=bool(first & FIN), masked=masked)
    header = stream[: -limit - 1]
    decoder = Decoder(limit, masked=masked)
    assert decoder.feed(header[:-1]) == ([], [])
    assert failure(decoder.feed(header[-1:])[1]).code == 1009
    messages, controls = Decoder(limit, masked=masked).feed(stream)
    assert (messages, told(controls)) == ([], [(ProtocolException, 1009)])


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("limit", [1, 10, 125, 126, 1000, 65_535, 65_536, 100_000])
def test_messages_of_exactly_max_size_pass_each_counted_by_itself(limit: int, masked) -> None:
    half = limit // 2
    stream = (
        encode_frame(BINARY, bytes(limit), masked=masked)
        + encode_frame(PING, bytes(125), masked=masked)
        + encode_frame(TEXT, b"x" * half, final=False, masked=masked)
        + encode_frame(PING, bytes(125), masked=masked)
        + encode_frame(CONTINUATION, b"x" * (limit - half), final=False, masked=masked)
        + encode_frame(CONTINUATION, b"", masked=masked)
        + encode_frame(TEXT, b"x" * limit, masked=masked)
    )
    messages, controls = Decoder(limit, masked=masked).feed(stream)
    assert messages == [bytes(limit), "x" * limit, "x" * limit]
    assert [type(control) for control in controls] == [Ping, Ping]


def test_the_size_is_counted_over_fragments_and_announced_by_each() -> None:
    decoder = Decoder(10)
    assert decoder.feed(frame(0x02, bytes(6)) + frame(0x00, bytes(4)) + frame(0x00)) == ([], [])
    assert failure(decoder.feed(frame(0x80, length=b"\x01"))[1]).code == 1009
    decoder = Decoder(10)
    assert decoder.feed(frame(0x02, bytes(6))) == ([], [])
    assert failure(decoder.feed(frame(0x00, length=b"\x05"))[1]).code == 1009


@pytest.mark.parametrize("inflater", [None, Inflater()])
def test_the_frames_of_a_message_are_counted_each_message_by_itself(inflater: Inflater | None) -> None:
    decoder = Decoder(LIMIT, max_fragments=3, inflater=inflater)
    three = frame(0x01, b"a") + frame(0x89) + frame(0x00) + frame(0x8A) + frame(0x80, b"b")
    whole = frame(0x81, b"whole")
    assert decoder.feed((three + whole + whole + whole) * 2)[0] == ["ab", "whole", "whole", "whole"] * 2
    assert decoder.feed(frame(0x02) + frame(0x00) + frame(0x00)) == ([], [])
    error = failure(decoder.feed(frame(0x80))[1])
    assert error.code == 1009
    assert "max_fragments=3" in str(error)
    decoder = Decoder(LIMIT, max_fragments=1)
    assert decoder.feed(whole + frame(0x02)) == (["whole"], [])
    assert failure(decoder.feed(frame(0x00))[1]).code == 1009


def test_max_size_counts_the_bytes_of_a_text() -> None:
    assert Decoder(6).feed(frame(0x81, b"\xe2\x82\xac" * 2)) == (["\u20ac" * 2], [])
    assert failure(Decoder(5).feed(frame(0x81, b"\xe2\x82\xac" * 2))[1]).code == 1009


def test_the_position_of_each_control_frame_among_the_messages_is_known() -> None:
    decoder = Decoder(100)
    one, two = frame(0x81, b"1"), frame(0x01, b"2")
    decoder.feed(frame(0x89) + one + frame(0x8A) + two + frame(0x89) + frame(0x80) + frame(0x88))
    assert decoder.positions == [0, 1, 1, 2]
    found = in_order(Decoder(100), one + frame(0x89) + two + frame(0x8A) + frame(0x80) + one)
    assert found == ["1", (b"",), (b"",), "2", "1"]
    decoder = Decoder(100)
    decoder.feed(one + one + frame(0x83))
    assert decoder.positions == [2]
    assert decoder.feed(one) == ([], [])
    assert decoder.positions == []


def test_more_is_asked_for_where_more_waits_and_the_messages_are_large() -> None:
    def asked_after(message: bytes, size: int) -> int:
        whole = bytes(encode_frame(BINARY, message, masked=False))
        decoder = Decoder(LIMIT)
        decoder.feed((whole * (size // len(whole) + 1))[:size])
        return decoder.appetite

    assert Decoder(LIMIT).appetite == SMALL_PIECE
    assert asked_after(bytes(100), SMALL_PIECE) == SMALL_PIECE
    assert SMALL_PIECE < asked_after(bytes(1000), SMALL_PIECE) < LARGE_PIECE
    assert asked_after(bytes(10_000), SMALL_PIECE) == LARGE_PIECE
    assert asked_after(bytes(1 << 20), SMALL_PIECE) == LARGE_PIECE
    assert asked_after(bytes(1 << 20), SMALL_PIECE - 1) == SMALL_PIECE


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("fragment", [b"", "\u20ac".encode()])
def test_tiny_fragments_take_little_more_memory_than_what_is_in_them(opcode: int, fragment: bytes) -> None:
    decoder = Decoder(1_000_000)
    decoder.feed(frame(opcode))
    tracemalloc.start()
    try:
        for _ in range(200):
            decoder.feed(frame(0x00, fragment) * 100)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    whole = fragment * 20_000
    assert taken < len(whole) + 200_000  # as a list, the fragments would take over a million
    assert decoder.feed(frame(0x80)) == ([whole.decode() if opcode == TEXT else whole], [])


def test_half_a_status_code_is_told_as_that() -> None:
    assert "half a status code" in str(failure(Decoder(LIMIT).feed(frame(0x88, b"\x03"))[1]))


def test_a_text_that_is_not_utf8_names_its_cause() -> None:
    found = failure(Decoder(LIMIT).feed(frame(0x81, b"\xff"))[1])
    assert isinstance(found.__cause__, UnicodeDecodeError)
    assert "UTF-8" in str(found)
