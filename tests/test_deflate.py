"""permessage-deflate: what is offered and agreed on, any message there and back, and data that is none."""

from __future__ import annotations

import hashlib
import sys
import time
import tracemalloc
import zlib
from typing import Any

import pytest
from decoding import failure, fed, pieces_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from rxsocket.decoding import Decoder
from rxsocket.deflate import TAIL, Deflate, Deflater, Inflater
from rxsocket.encoding import content_of, encode_content, encode_frame, encode_ping
from rxsocket.errors import ProtocolException
from rxsocket.frames import BINARY, CONTINUATION, TEXT, Message, Ping

LIMIT = 1 << 20
EMPTY_BLOCK = b"\x00"  # section 7.2.3.6

many = settings(max_examples=150, deadline=None)


def compressed(payload: bytes, *, bits: int = 15, end: int = zlib.Z_SYNC_FLUSH) -> bytes:
    stream = zlib.compressobj(wbits=-bits)
    data = stream.compress(payload) + stream.flush(end)
    return data[:-4] if end == zlib.Z_SYNC_FLUSH else data


def framed(opcode: int, data: bytes, cuts: list[int]) -> bytes:
    """A compressed message, in as many fragments as it is cut into, with a ping between each two."""
    pieces = pieces_of(data, cuts)
    last = len(pieces) - 1
    return encode_ping(b"", masked=False).join(
        encode_frame(
            CONTINUATION if number else opcode, piece, final=number == last, compressed=not number, masked=False
        )
        for number, piece in enumerate(pieces)
    )


def decoder(max_size: int = LIMIT, *, bits: int = 15, takeover: bool = True) -> Decoder:
    return Decoder(max_size, inflater=Inflater(bits, takeover=takeover))


# --- the option


def test_a_deflate_cannot_be_changed_and_is_equal_by_value() -> None:
    assert Deflate() == Deflate(level=6, mem_level=5, client_max_window_bits=12)
    with pytest.raises(AttributeError):
        Deflate().level = 1  # type: ignore[misc]


RANGES = {
    "server_max_window_bits": (8, 15),
    "client_max_window_bits": (8, 15),
    "level": (1, 9),
    "mem_level": (1, 9),
    "min_size": (1, 1 << 40),
}
FLAGS = ("server_no_context_takeover", "client_no_context_takeover")


def made(name: str, value: object) -> Deflate:
    arguments: dict[str, Any] = {name: value}
    return Deflate(**arguments)


def test_every_parameter_is_tested_here() -> None:
    assert {field.name for field in structs.fields(Deflate)} == {*FLAGS, *RANGES}


@pytest.mark.parametrize(("name", "limits"), RANGES.items())
def test_a_number_is_checked(name: str, limits: tuple[int, int]) -> None:
    low, high = limits
    for number in limits:
        assert getattr(made(name, number), name) == number
    for number in (low - 1, -low, *(() if name == "min_size" else (high + 1,))):
        with pytest.raises(ValueError, match=rf"{name} is {low} or more|{name} is from {low} to {high}"):
            made(name, number)
    for value in (None, True, 9.0, "9"):
        with pytest.raises(TypeError, match=rf"{name} is an int, not {type(value).__name__}"):
            made(name, value)


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize("value", [None, 0, 1, "yes"])
def test_a_flag_is_checked(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=rf"{name} is a bool, not {type(value).__name__}"):
        made(name, value)


# --- offer and answer

OFFERS = {
    Deflate(): "permessage-deflate; client_max_window_bits=12",
    Deflate(client_max_window_bits=15): "permessage-deflate; client_max_window_bits",
    Deflate(
        server_no_context_takeover=True,
        client_no_context_takeover=True,
        server_max_window_bits=8,
        client_max_window_bits=9,
        level=1,
    ): "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=8; "
    "client_max_window_bits=9",
}


@pytest.mark.parametrize(("deflate", "offer"), OFFERS.items())
def test_what_is_asked_for_is_offered(deflate: Deflate, offer: str) -> None:
    assert deflate.offer() == offer


ASKING = Deflate(server_no_context_takeover=True, server_max_window_bits=10, client_max_window_bits=11)
ANSWERS = [
    (Deflate(), "permessage-deflate", Deflate()),
    (Deflate(), "permessage-deflate;client_max_window_bits=12", Deflate()),
    (Deflate(), "permessage-deflate; server_max_window_bits=15", Deflate()),
    (Deflate(), "permessage-deflate; client_max_window_bits=15", Deflate()),
    (Deflate(), "permessage-deflate ; server_no_context_takeover", Deflate(server_no_context_takeover=True)),
    (Deflate(), "permessage-deflate; client_no_context_takeover", Deflate(client_no_context_takeover=True)),
    (Deflate(), "permessage-deflate; server_max_window_bits=8", Deflate(server_max_window_bits=8)),
    (Deflate(), 'permessage-deflate; server_max_window_bits = "10"', Deflate(server_max_window_bits=10)),
    (Deflate(level=1), "permessage-deflate; client_max_window_bits=9", Deflate(level=1, client_max_window_bits=9)),
    (Deflate(client_no_context_takeover=True), "permessage-deflate", Deflate(client_no_context_takeover=True)),
    (ASKING, "permessage-deflate; server_max_window_bits=10; server_no_context_takeover", ASKING),
    (
        ASKING,
        "permessage-deflate;client_max_window_bits=8;server_no_context_takeover;"  # noqa: ISC004 one answer
        "client_no_context_takeover;server_max_window_bits=9",
        Deflate(
            server_no_context_takeover=True,
            client_no_context_takeover=True,
            server_max_window_bits=9,
            client_max_window_bits=8,
        ),
    ),
]


@pytest.mark.parametrize(("offered", "answer", "agreed"), ANSWERS)
def test_what_is_agreed_on_is_the_offer_with_what_the_answer_says(
    offered: Deflate, answer: str, agreed: Deflate
) -> None:
    assert offered.accept(answer) == agreed


REFUSED = [
    (Deflate(), "x-webkit-deflate-frame", "the extension 'x-webkit-deflate-frame', which was not offered"),
    (Deflate(), "Permessage-Deflate", "'Permessage-Deflate', which was not offered"),
    (Deflate(), "permessage-deflate, permessage-deflate", "only one was offered"),
    (Deflate(), "permessage-deflate; client_no_context_takeover, other", "only one was offered"),
    (Deflate(), "permessage-deflate; window", "'window', which is none of its parameters"),
    (Deflate(), "permessage-deflate;", "'', which is none of its parameters"),
    (Deflate(), "permessage-deflate; level=6", "'level', which is none of its parameters"),
    (Deflate(), "permessage-deflate; server_no_context_takeover; server_no_context_takeover", "_takeover twice"),
    (
        Deflate(),
        "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
        "server_max_window_bits twice",
    ),
    (Deflate(), "permessage-deflate; server_no_context_takeover=true", "server_no_context_takeover=true"),
    (Deflate(), "permessage-deflate; client_no_context_takeover=", "client_no_context_takeover=, which takes no value"),
    *(
        (Deflate(), f"permessage-deflate; {name}{value}", name)
        for name in ("server_max_window_bits", "client_max_window_bits")
        for value in ("", "=", "=7", "=16", "=08", "=+9", "=9.0", "=nine", '="9', "=9 9", "=\u0669")
    ),
    (
        ASKING,
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=11",
        "server_max_window_bits=11, and 10 was asked for",
    ),
    (ASKING, "permessage-deflate; server_no_context_takeover", "without the server_max_window_bits"),
    (ASKING, "permessage-deflate; server_max_window_bits=10", "without the server_no_context_takeover"),
]


@pytest.mark.parametrize(("offered", "answer", "problem"), REFUSED)
def test_an_answer_that_does_not_fit_the_offer_is_refused_with_the_parameter(
    offered: Deflate, answer: str, problem: str
) -> None:
    with pytest.raises(ValueError, match=r"extension|offer") as raised:
        offered.accept(answer)
    assert problem in str(raised.value)


# --- any message, there and back

CONTENTS = st.one_of(
    st.text(max_size=60),
    st.binary(max_size=60),
    st.sampled_from((0, 1, 127, 128, 300, 33_000, 70_000)).map(bytes),
    st.tuples(st.text(min_size=1, max_size=8), st.integers(1, 9000)).map(lambda pair: pair[0] * pair[1]),
    st.tuples(st.binary(min_size=1, max_size=300), st.integers(1, 300)).map(lambda pair: pair[0] * pair[1]),
    st.randoms(use_true_random=False).map(lambda source: source.randbytes(source.randrange(40_000))),
)
DEFLATES = st.builds(
    Deflate,
    server_no_context_takeover=st.booleans(),
    client_no_context_takeover=st.booleans(),
    server_max_window_bits=st.integers(8, 15),
    client_max_window_bits=st.integers(8, 15),
    level=st.integers(1, 9),
    mem_level=st.integers(1, 9),
    min_size=st.sampled_from((1, 20, 128)),
)


@many
@given(DEFLATES, st.lists(CONTENTS, max_size=5), st.booleans(), st.data())
def test_any_messages_with_any_parameters_cut_anywhere_come_out_the_same(
    deflate: Deflate, contents: list[Message], masked, data: st.DataObject
) -> None:
    deflater = deflate.deflater()
    stream = b"".join(encode_content(*content_of(each), deflater=deflater, masked=masked) for each in contents)
    inflater = Inflater(deflate.client_max_window_bits, takeover=not deflate.client_no_context_takeover)
    other = Decoder(LIMIT, inflater=inflater, masked=masked)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=6))
    assert fed(other, pieces_of(stream, cuts)) == (contents, [])


@many
@given(DEFLATES, st.lists(CONTENTS, max_size=4), st.data())
def test_any_messages_of_a_server_in_any_fragments_come_out_the_same(
    deflate: Deflate, contents: list[Message], data: st.DataObject
) -> None:
    # As a server may do: with every window that zlib can make, and each message compressed or not.
    bits = max(9, deflate.server_max_window_bits)
    deflate = structs.replace(deflate, server_max_window_bits=bits)
    stream = zlib.compressobj(deflate.level, wbits=-bits, memLevel=deflate.mem_level)
    frames = bytearray()
    for content in contents:
        opcode, payload = content_of(content)
        if not payload or data.draw(st.booleans()):
            frames += encode_frame(opcode, payload, masked=False)
            continue
        if deflate.server_no_context_takeover:
            stream = zlib.compressobj(deflate.level, wbits=-bits, memLevel=deflate.mem_level)
        deflated = stream.compress(payload) + stream.flush(
            data.draw(st.sampled_from((zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH)))
        )
        frames += framed(opcode, deflated[:-4], data.draw(st.lists(st.integers(0, len(deflated) - 4), max_size=4)))
    cuts = data.draw(st.lists(st.integers(0, len(frames)), max_size=6))
    messages, controls = fed(Decoder(LIMIT, inflater=deflate.inflater()), pieces_of(bytes(frames), cuts))
    assert messages == contents
    assert all(isinstance(control, Ping) for control in controls)


@many
@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=3))
def test_random_data_gives_messages_or_a_documented_error_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    whole = framed(BINARY, data, [])
    assert len(whole) == len(data) + 2
    messages, controls = decoder(2000).feed(whole)
    cut, others = fed(decoder(2000), pieces_of(whole, [min(cut, len(whole)) for cut in cuts]))
    assert cut == messages
    codes = [control.code for control in controls if isinstance(control, ProtocolException)]
    assert codes == [control.code for control in others if isinstance(control, ProtocolException)]
    assert len(messages) + len(codes) == 1
    assert set(codes) <= {1007, 1009}


# --- what is sent


def test_a_message_that_repeats_the_one_before_is_a_few_bytes_with_context_takeover() -> None:
    text = b"".join(b"%d" % (number * number) for number in range(100))
    taking, none = Deflate().deflater(), Deflate(client_no_context_takeover=True).deflater()
    taken = [taking.deflate(text) for _ in range(2)]
    each = [none.deflate(text) for _ in range(2)]
    assert taken[0] == each[0] == each[1]
    assert taken[1] is not None
    assert len(taken[1]) < 20 < len(taken[0] or b"")


def test_small_messages_and_those_for_a_window_of_8_bits_go_uncompressed() -> None:
    for size, small in ((0, True), (127, True), (128, False)):
        assert (Deflate().deflater().deflate(bytes(size)) is None) is small
    assert Deflate(client_max_window_bits=8).deflater().deflate(bytes(1000)) is None
    frame = encode_content(TEXT, b"small", deflater=Deflate().deflater(), masked=False)
    assert frame == encode_frame(TEXT, b"small", masked=False)


def test_a_message_can_be_any_buffer() -> None:
    for payload in (b"abc" * 100, bytearray(b"abc" * 100), memoryview(b"abc" * 100)):
        data = Deflate().deflater().deflate(payload)
        assert data == compressed(b"abc" * 100, bits=12)


def test_nothing_refers_back_further_than_agreed() -> None:
    source = b"".join(b"%d," % (number * 7919 % 10007) for number in range(2000))
    for bits in range(9, 16):
        deflater = Deflater(Deflate(client_max_window_bits=bits))
        inflater = Inflater(bits)
        for _ in range(3):
            assert inflater.inflate(deflater.deflate(source) or b"", LIMIT) == source
            inflater.finish()


# --- what is received


def test_the_examples_of_rfc_7692_section_7_2_3() -> None:
    hello = "f248cdc9c90700"
    other = decoder()
    assert other.feed(bytes.fromhex(f"c107{hello}")) == (["Hello"], [])
    assert other.feed(bytes.fromhex("4103f248cd 8004c9c90700")) == (["Hello"], [])
    # 7.2.3.2: the second message refers back to the first.
    assert other.feed(bytes.fromhex("c105f200110000")) == (["Hello"], [])
    # 7.2.3.3: a block without compression.
    assert other.feed(bytes.fromhex("c10b000500faff48656c6c6f00")) == (["Hello"], [])
    # 7.2.3.4: BFINAL set.
    assert other.feed(bytes.fromhex("c108f348cdc9c9070000")) == (["Hello"], [])
    # 7.2.3.5: two blocks.
    assert other.feed(bytes.fromhex("c10df248050000 00ffffcac9c90700")) == (["Hello"], [])
    # 7.2.3.6: an empty message.
    assert other.feed(bytes.fromhex("c10100")) == ([""], [])
    assert other.feed(bytes.fromhex(f"c107{hello}")) == (["Hello"], [])


@pytest.mark.parametrize("takeover", [False, True])
def test_behind_a_final_block_the_message_goes_on_or_ends(takeover) -> None:
    one, two = compressed(b"one, ", end=zlib.Z_FINISH), compressed(b"two", end=zlib.Z_FINISH)
    for data in (one + two, one + two + EMPTY_BLOCK, one + EMPTY_BLOCK + TAIL + compressed(b"two")):
        other = decoder(takeover=takeover)
        for cut in range(len(data)):
            assert other.feed(framed(TEXT, data, [cut]))[0] == ["one, two"]
            assert other.feed(framed(TEXT, data, []))[0] == ["one, two"]
        assert other.feed(framed(BINARY, compressed(b"after"), [])) == ([b"after"], [])


def test_many_final_blocks_take_time_in_proportion_to_their_number() -> None:
    def seconds(count: int) -> float:
        data = compressed(b"", end=zlib.Z_FINISH) * count
        start = time.process_time()
        assert Inflater().inflate(data, LIMIT) == b""
        return time.process_time() - start

    few = min(seconds(1 << 15) for _ in range(3))
    assert seconds(1 << 19) < 48 * few  # 16 times as many; with their square, it would be over 100 times as long


def test_an_empty_message_may_be_an_empty_block_or_nothing() -> None:
    other = decoder()
    stream = zlib.compressobj(wbits=-15)
    for text in ("first " * 9, "second " * 9):
        for empty in (b"", EMPTY_BLOCK):
            assert other.feed(framed(TEXT, empty, [])) == ([""], [])
            assert other.feed(framed(BINARY, empty, [0]))[0] == [b""]
        data = stream.compress(text.encode()) + stream.flush(zlib.Z_SYNC_FLUSH)
        assert other.feed(framed(TEXT, data[:-4], [])) == ([text], [])


def test_messages_that_are_compressed_or_not_may_follow_each_other() -> None:
    stream = framed(TEXT, compressed(b"one"), []) + encode_frame(TEXT, b"two", masked=False)
    assert decoder(takeover=False).feed(stream * 2) == (["one", "two"] * 2, [])


NOT_DEFLATE = {
    "a reserved block type": b"\x06",
    "a stored block with a wrong length": b"\x00\x05\x00\x00\x00hello\x00",
    "a distance too far back": compressed(b"abcdefgh" * 50)[5:],
    "data that ends inside of a block": compressed(b"a sentence that ends early")[:-5],
    "the tail, left in": compressed(b"whole") + b"\x00\x00\xff\xff\x07",
}


@pytest.mark.parametrize("data", NOT_DEFLATE.values(), ids=NOT_DEFLATE.keys())
@pytest.mark.parametrize("cuts", [[], [1]])
def test_what_is_no_deflate_data_is_1007_with_its_cause(data: bytes, cuts: list[int]) -> None:
    messages, controls = decoder().feed(encode_frame(TEXT, b"before", masked=False) + framed(TEXT, data, cuts))
    assert messages == ["before"]
    error = failure(controls)
    assert error.code == 1007
    assert "decompressed" in str(error)
    assert isinstance(error.__cause__, zlib.error)


def test_a_server_that_looks_back_without_leave_is_1007() -> None:
    content = bytes(range(256)) * 2 + b"x" * 600
    stream = zlib.compressobj(wbits=-15)
    frames = b"".join(
        framed(BINARY, (stream.compress(content) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4], []) for _ in range(2)
    )
    assert decoder().feed(frames) == ([content] * 2, [])
    for strict in (decoder(takeover=False), decoder(bits=9)):
        messages, controls = strict.feed(frames)
        assert messages == [content]
        assert failure(controls).code == 1007


@pytest.mark.parametrize(
    ("stream", "allowed"),
    [
        (b"\xc9\x00", False),
        (b"\xca\x00", False),
        (b"\xc8\x00", False),
        (b"\x41\x00\xc0\x01\x00", False),
        (b"\x41\x00\x40\x00", False),
        (b"\xe1\x01\x00", False),
        (b"\xd1\x01\x00", False),
        (b"\xa1\x00", False),
        (b"\xc0\x00", False),
        (b"\xc3\x00", False),
        (b"\xc1\x01\x00", True),
        (b"\xc2\x01\x00", True),
        (b"\x41\x01\x00\x80\x00", True),
    ],
)
def test_rsv1_is_for_the_first_frame_of_a_message_where_compression_was_agreed_on(stream: bytes, allowed) -> None:
    assert failure(Decoder(LIMIT).feed(stream)[1]).code == 1002
    messages, controls = decoder().feed(stream)
    assert len(messages) == allowed
    if not allowed:
        assert failure(controls).code == 1002


def test_a_text_is_none_of_utf8_as_soon_as_that_is_decompressed() -> None:
    stream = zlib.compressobj(wbits=-15)
    start = stream.compress(b"fine \xff") + stream.flush(zlib.Z_SYNC_FLUSH)
    _, controls = decoder().feed(encode_frame(TEXT, start, final=False, compressed=True, masked=False))
    error = failure(controls)
    assert error.code == 1007
    assert "UTF-8" in str(error)
    for whole in (b"fine \xff", b"ends \xe2\x82"):
        for cuts in ([], [2]):
            assert failure(decoder().feed(framed(TEXT, compressed(whole), cuts))[1]).code == 1007


# --- the largest message


@pytest.mark.parametrize("limit", [1, 100, 1000, 65_536, 200_000])
@pytest.mark.parametrize("cuts", [[], [1], [3, 3, 4]])
def test_a_message_of_max_size_passes_and_one_byte_more_is_1009(limit: int, cuts: list[int]) -> None:
    for size, passes in ((limit, True), (limit + 1, False), (limit * 50, False)):
        data = compressed(b"x" * size)
        messages, controls = decoder(limit).feed(framed(BINARY, data, [min(cut, len(data)) for cut in cuts]) * 2)
        if passes:
            assert messages == [b"x" * size] * 2
        else:
            assert messages == []
            error = failure(controls)
            assert error.code == 1009
            assert f"max_size is {limit}" in str(error)


@pytest.mark.parametrize("cuts", [[], [100]])
def test_a_message_that_would_be_huge_never_takes_the_memory(cuts: list[int]) -> None:
    stream = zlib.compressobj(1, wbits=-15)
    zeros = bytes(1 << 20)
    data = b"".join(stream.compress(zeros) for _ in range(100)) + stream.flush(zlib.Z_SYNC_FLUSH)[:-4]
    frames = framed(BINARY, data, cuts)
    assert len(frames) < 1 << 19
    tracemalloc.start()
    try:
        _, controls = decoder(1 << 20).feed(frames)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert failure(controls).code == 1009
    assert peak < 4 << 20


def test_compressed_data_may_be_larger_than_max_size_where_the_message_is_not() -> None:
    data = EMPTY_BLOCK + TAIL
    whole = data * 100 + compressed(b"small")
    assert decoder(10).feed(framed(TEXT, whole, [])) == (["small"], [])


COMPRESSED_LIMIT = 16 * 1000 + (1 << 16)  # where max_size is 1000


@pytest.mark.parametrize("cuts", [[], [5], [0, 1, 70_000]])
def test_a_compressed_form_of_its_largest_size_passes_each_message_counted_by_itself(cuts: list[int]) -> None:
    blocks, rest = divmod(COMPRESSED_LIMIT - len(EMPTY_BLOCK), len(EMPTY_BLOCK + TAIL))
    assert rest == 0
    data = (EMPTY_BLOCK + TAIL) * blocks + EMPTY_BLOCK
    assert decoder(1000).feed(framed(BINARY, data, cuts) * 3)[0] == [b""] * 3


@pytest.mark.parametrize("size", [COMPRESSED_LIMIT + 1, 1 << 32, (1 << 63) - 1])
@pytest.mark.parametrize("before", [0, 5, 10_000])
def test_a_larger_compressed_form_is_1009_when_a_header_announces_it_though_it_holds_nothing(
    size: int, before: int
) -> None:
    other = decoder(1000)
    if before:
        nothing = (EMPTY_BLOCK + TAIL) * (before // 5)
        start = encode_frame(BINARY, nothing, final=False, compressed=True, masked=False)
        assert other.feed(start) == ([], [])
    header = bytes((CONTINUATION if before else 0xC2, 0x7F)) + (size - before).to_bytes(8, "big")
    assert other.feed(header[:-1]) == ([], [])
    error = failure(other.feed(header[-1:])[1])
    assert error.code == 1009
    assert f"{size} bytes or more in its compressed form" in str(error)
    assert f"max_size=1000 it may have {COMPRESSED_LIMIT}" in str(error)


FLUSHES = (zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_FINISH)
STRATEGIES = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY, zlib.Z_FIXED)


@settings(max_examples=60, deadline=None)
@given(
    level=st.integers(0, 9),
    strategy=st.sampled_from(STRATEGIES),
    flush=st.sampled_from(FLUSHES),
    step=st.sampled_from((1, 1, 2, 10, 1000)),
    size=st.integers(1, 20_000),
    fragmented=st.booleans(),
)
@example(level=0, strategy=zlib.Z_DEFAULT_STRATEGY, flush=zlib.Z_SYNC_FLUSH, step=1, size=20_000, fragmented=True)
def test_a_message_of_max_size_passes_however_often_its_sender_flushes(
    *, level: int, strategy: int, flush: int, step: int, size: int, fragmented
) -> None:
    content = hashlib.shake_128().digest(size)  # which can't be made smaller
    data = bytearray()
    cuts: list[int] = []
    stream = zlib.compressobj(level, wbits=-15, strategy=strategy)
    for start in range(0, size, step):
        data += stream.compress(content[start : start + step]) + stream.flush(flush)
        cuts.append(len(data))
        if flush == zlib.Z_FINISH:
            stream = zlib.compressobj(level, wbits=-15, strategy=strategy)
    if flush != zlib.Z_FINISH:
        del data[-4:]
    frames = framed(BINARY, bytes(data), cuts[:-1] if fragmented else [])
    assert decoder(size).feed(frames)[0] == [content]


def test_without_a_limit_that_matters_messages_are_decompressed_too() -> None:
    assert decoder(sys.maxsize).feed(framed(TEXT, compressed(b"text"), [])) == (["text"], [])


def test_what_follows_a_message_that_was_too_large_does_not_count() -> None:
    other = decoder(10)
    assert failure(other.feed(framed(TEXT, compressed(bytes(11)), []))[1]).code == 1009
    assert other.feed(framed(TEXT, compressed(b"more"), [])) == ([], [])
