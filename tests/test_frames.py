"""What frames are made of."""

from __future__ import annotations

import pytest
from websockets.frames import CloseCode, Opcode

from rxsocket import frames
from rxsocket.frames import CONTROL, Close, is_sendable


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (range(1000), False),  # section 7.4.2: not used
        ((1000, 1001, 1002, 1003), True),
        ((1004, 1005, 1006, 1015), False),  # section 7.4.1: reserved, or never sent
        (range(1007, 1015), True),
        (range(1016, 3000), False),
        (range(3000, 5000), True),
        (range(5000, 5100), False),
        ((-1, 65_535), False),
    ],
)
def test_which_close_codes_may_be_sent(codes, expected) -> None:
    assert {is_sendable(code) for code in codes} == {expected}


def test_the_numbers_are_those_of_another_implementation() -> None:
    names = {opcode.name.removesuffix("T"): opcode for opcode in Opcode}
    assert (frames.CONTINUATION, frames.TEXT, frames.BINARY) == (Opcode.CONT, Opcode.TEXT, Opcode.BINARY)
    for name in ("CLOSE", "PING", "PONG"):
        assert getattr(frames, name) == names[name]
        assert getattr(frames, name) & CONTROL
    for name in ("GOING_AWAY", "PROTOCOL_ERROR", "MESSAGE_TOO_BIG", "NORMAL_CLOSURE", "ABNORMAL_CLOSURE"):
        assert getattr(frames, name) == CloseCode[name]


def test_a_close_frame_without_a_status_has_the_code_for_that() -> None:
    assert Close() == (frames.NO_STATUS_RECEIVED, "")
