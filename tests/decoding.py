"""Streams of frames, cut into pieces, and what a decoder finds in them, in which order."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from rxsocket.decoding import Decoder
from rxsocket.errors import ProtocolException
from rxsocket.frames import Control, Message


def pieces_of(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = [0, *sorted(cuts), len(data)]
    return [data[start:stop] for start, stop in pairwise(places)]


def fed(decoder: Decoder, pieces: Iterable[bytes]) -> tuple[list[Message], list[Control]]:
    messages: list[Message] = []
    controls: list[Control] = []
    for piece in pieces:
        some, others = decoder.feed(piece)
        messages += some
        controls += others
    return messages, controls


def in_order(decoder: Decoder, data: bytes) -> list[Message | Control]:
    """What a decoder finds in some bytes, each control frame between the messages that it came between."""
    messages, controls = decoder.feed(data)
    found: list[Message | Control] = []
    begin = 0
    for control, position in zip(controls, decoder.positions, strict=True):
        found += [*messages[begin:position], control]
        begin = position
    return found + messages[begin:]


def told(controls: Iterable[Control]) -> list[tuple[type, object]]:
    """Controls as what can be compared: a Ping equals a Pong as a tuple, and exceptions never equal."""
    return [
        (type(control), control.code if isinstance(control, ProtocolException) else tuple(control))
        for control in controls
    ]


def failure(controls: list[Control]) -> ProtocolException:
    assert controls, "nothing was found to be wrong"
    assert isinstance(controls[-1], ProtocolException)
    return controls[-1]
