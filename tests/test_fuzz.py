"""Random and mutated streams give messages and documented errors, nothing else; ``fuzz.py`` is for long runs."""

from __future__ import annotations

from itertools import pairwise

from fuzz import Target, check_decoders, decoded
from hypothesis import given, settings
from hypothesis import strategies as st

many = settings(max_examples=300, deadline=None)

# Any first byte, any length, told in any way, and then as many bytes as it says, or others.
FRAMES = st.tuples(
    st.sampled_from((0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A)) | st.integers(0, 255),
    st.binary(max_size=130),
    st.sampled_from((0, 0, 0, 1, -1, 1 << 15, 1 << 62)),
    st.sampled_from((1, 1, 1, 2, 8)),
).map(lambda parts: _frame(*parts))

STREAMS = st.lists(FRAMES | st.binary(max_size=20), max_size=8).map(b"".join)


def _frame(first: int, payload: bytes, lie: int, width: int) -> bytes:
    length = len(payload) + lie
    if width == 1:
        size = bytes((length & 0x7F,))
    else:
        size = bytes((126 if width == 2 else 127,)) + (length % (1 << 8 * width)).to_bytes(width, "big")
    return bytes((first,)) + size + payload


def _masked(stream: bytes) -> bytes:
    """Set the bit that says that the first frame is masked."""
    return stream[:1] + bytes(byte | 0x80 for byte in stream[1:2]) + stream[2:]


@many
@given(STREAMS, st.lists(st.integers(0, 1000), max_size=5))
def test_any_stream_cut_anywhere_gives_messages_and_documented_errors(stream, cuts):
    places = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    for masked, data in ((False, stream), (True, stream), (True, _masked(stream))):
        pieces = [data[start:stop] for start, stop in pairwise(places)]
        assert decoded(pieces, masked=masked) == decoded([data], masked=masked)


def test_some_thousand_random_and_mutated_streams_through_the_decoders():
    for number in range(3000):
        check_decoders(f"decoders {number}")


def test_some_hundred_random_and_mutated_streams_through_live_sessions():
    with Target() as target:
        ends = {target.check(f"sessions {number}").code for number in range(300)}
    assert ends >= {1000, 1002, 1006, 1007}
