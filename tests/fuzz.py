"""Random and mutated streams of bytes: ``python tests/fuzz.py --streams 100000 --seed 1``.

Each goes through a client's and a server's decoder, and to a live session over a real socket, some with a mutated
answer to its handshake. What may come of it is messages, and an error that is documented; all else is told with the
stream's number (``--first NUMBER --streams 1`` plays it again), and the exit status is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import logging
import queue
import random
import socket
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import NamedTuple, Self

from decoding import told
from servers import DEADLINE, ScriptedPeer, Seen, Wire

from rxsocket.decoding import Decoder
from rxsocket.encoding import encode_frame
from rxsocket.errors import ConnectionException, ProtocolException, SendException
from rxsocket.frames import Close, Message, Ping, Pong
from rxsocket.session import Session
from rxsocket.socket import websocket
from rxsocket.states import TRANSITIONS, Closed, CloseEvent, Connecting, Open, State

MAX_SIZE = 70_000
CODES = {1002, 1007, 1009}
UNEXPECTED = "could not be served any more"  # what a session says of an exception of its own

EDGES = (0, 1, 0x7D, 0x7E, 0x7F, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A, 0xC0, 0xFE, 0xFF)
TEXTS = ("", "a", "grüße", "世界", "🎈", "x" * 125, "ü" * 63, "\u07ff\ud7ff\ue000\U0010ffff", "€" * 21_846)
CLOSES = (
    b"",
    b"\x03",
    b"\x03\xe8",
    b"\x03\xe9bye",
    b"\x0f\xa0" + "grüße".encode(),
    b"\x03\xed",
    b"\x03\xe8\xff",
    b"\0\0",
)


# --- streams


def stream(chance: random.Random, *, masked: bool) -> bytes:
    """Make a stream: of noise, of frames that are wrong one by one, or of a right conversation, which is mutated."""
    kind = chance.random()
    if kind < 0.1:
        return chance.randbytes(chance.choice((2, 20, 200, 2000)))
    parts = chance.randrange(1, 12)
    if kind < 0.4:
        data = b"".join(_wrong_frame(chance, masked=masked) for _ in range(parts))
    else:
        data = b"".join(_right_message(chance, masked=masked) for _ in range(parts))
    return mutated(chance, data, chance.choice((0, 0, 1, 1, 2, 5)))


def _right_message(chance: random.Random, *, masked: bool) -> bytes:
    def control() -> bytes:
        if chance.random() < 0.8:
            return b""
        return encode_frame(chance.choice((0x9, 0xA)), chance.randbytes(chance.choice((0, 3, 125))), masked=masked)

    if chance.random() < 0.05:
        return encode_frame(0x8, chance.choice(CLOSES), masked=masked)
    is_text = chance.random() < 0.5
    payload = (
        chance.choice(TEXTS).encode() if is_text else chance.randbytes(chance.choice((0, 1, 125, 126, 300, 65_536)))
    )
    cuts = sorted(chance.randrange(len(payload) + 1) for _ in range(chance.choice((0, 0, 0, 1, 3))))
    data = b""
    for number, (start, stop) in enumerate(zip([0, *cuts], [*cuts, len(payload)], strict=True)):
        opcode = 0 if number else 1 if is_text else 2
        data += control() + encode_frame(opcode, payload[start:stop], final=number == len(cuts), masked=masked)
    return data


def _wrong_frame(chance: random.Random, *, masked: bool) -> bytes:
    payload = chance.choice((b"", b"a", "ü".encode()[:1], *CLOSES, chance.randbytes(chance.randrange(200))))
    length = chance.choice((len(payload), len(payload), len(payload) + 1, 126, 0xFFFF, 1 << 16, 1 << 31, 1 << 63))
    width = chance.choice((0, 0, 0, 2, 8))
    mask = 0x80 if masked is (chance.random() < 0.95) else 0
    if width:
        size = bytes((mask | (126 if width == 2 else 127),)) + (length % (1 << 8 * width)).to_bytes(width, "big")
    else:
        size = bytes((mask | length % 126,))
    first = chance.choice((0x01, 0x02, 0x00, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A, chance.randrange(256)))
    return bytes((first,)) + size + (chance.randbytes(4) if mask else b"") + payload


def mutated(chance: random.Random, data: bytes, times: int) -> bytes:
    """Harm some bytes so many times: change, remove, repeat, insert or swap some."""
    changed = bytearray(data)
    for _ in range(times):
        place = chance.randrange(len(changed) + 1)
        some = slice(place, place + chance.choice((1, 1, 2, 4, 50)))
        match chance.randrange(6):
            case 0:
                changed[some] = bytes(byte ^ 1 << chance.randrange(8) for byte in changed[some])
            case 1:
                changed[some] = bytes(chance.choice(EDGES) for _ in changed[some])
            case 2:
                del changed[some]
            case 3:
                changed[place:place] = changed[some]
            case 4:
                changed[place:place] = chance.randbytes(chance.choice((1, 2, 10)))
            case _:
                del changed[place:]
    return bytes(changed)


def pieces(chance: random.Random, data: bytes) -> list[bytes]:
    """Cut a stream: not at all, at some places, or everywhere near its beginning."""
    some = sorted(chance.randrange(len(data) + 1) for _ in range(5))
    cuts = chance.choice(([], some, range(min(len(data), 100))))
    return [data[start:stop] for start, stop in pairwise([0, *cuts, len(data)])]


# --- what may come of them


class Found(NamedTuple):
    """What a decoder finds in a stream."""

    messages: list[Message]
    controls: list[tuple[type, object]]  # comparable: of a ProtocolException only the code

    @property
    def end(self) -> tuple[type, object] | None:
        """The failure, or the close frame, that ends the stream, if there is one."""
        last = self.controls[-1] if self.controls else None
        return last if last and last[0] in {Close, ProtocolException} else None


def decoded(parts: list[bytes], *, masked: bool) -> Found:
    """Feed a decoder, and check that it gives nothing but what it may give."""
    decoder = Decoder(MAX_SIZE, masked=masked)
    found = Found([], [])
    for part in parts:
        messages, controls = decoder.feed(part)
        assert not (found.end and (messages or controls)), "something came after the end"
        assert len(decoder.positions) == len(controls)
        assert decoder.positions == sorted(decoder.positions)
        assert all(0 <= position <= len(messages) for position in decoder.positions)
        for message in messages:
            size = len(message.encode()) if isinstance(message, str) else len(message)
            assert type(message) in {str, bytes}
            assert size <= MAX_SIZE
        for control in controls:
            assert found.end is None, "a control came after the end"
            assert type(control) in {Ping, Pong, Close, ProtocolException}
            assert not isinstance(control, ProtocolException) or control.code in CODES
            found.controls.extend(told([control]))
        found.messages.extend(messages)
    return found


def check_decoders(seed: str) -> None:
    """Put a stream through both sides' decoders, cut and uncut: it must be the same."""
    for masked in (False, True):
        chance = random.Random(seed)  # noqa: S311 no secret
        data = stream(chance, masked=masked)
        assert decoded(pieces(chance, data), masked=masked) == decoded([data], masked=masked)


class Target:
    """A server that sends what it is told to, and the sessions that hear it."""

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[tuple[list[bytes], Callable[[bytes], bytes], bool]] = queue.SimpleQueue()
        self._peer = ScriptedPeer(self._play, upgrade=False)
        self._endpoint = websocket(
            self._peer.url,
            max_size=MAX_SIZE,
            connect_timeout=DEADLINE,
            close_timeout=DEADLINE / 2,
            send_timeout=DEADLINE,
        )

    def __enter__(self) -> Self:
        self._peer.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._peer.__exit__(*error)

    def _play(self, wire: Wire) -> None:
        parts, change, reset = self._orders.get(timeout=DEADLINE)
        with contextlib.suppress(OSError):  # whatever the client makes of it, it may hang up
            wire.read_request()
            wire.raw(change(wire.response()))
            for part in parts:
                wire.raw(part)
            if reset:
                wire.reset()
                return
            wire.sock.shutdown(socket.SHUT_WR)
            wire.wait_for_end()

    def check(self, seed: str) -> CloseEvent:
        """Let a session live through a stream, and check that it tells nothing but what it may."""
        chance = random.Random(seed)  # noqa: S311 no secret
        data = stream(chance, masked=False)
        expected = decoded([data], masked=False)
        right = chance.random() < 0.8
        reset = chance.random() < 0.2
        change = bytes if right else partial(mutated, chance, times=2)
        self._orders.put((pieces(chance, data), change, reset))

        session = self._endpoint.prepare()
        states, errors, messages = Seen(session.state), Seen(session.errors), Seen(session.messages.data)
        session.messages.data.subscribe(partial(_answer, session))
        session.start()
        try:
            event = _end(states)
        finally:
            session.close()
        for error in errors.all():
            assert isinstance(error, ConnectionException | ProtocolException), repr(error)
        if event.cause is not None:
            assert errors.items == [event.cause]
            assert UNEXPECTED not in str(event.cause), repr(event.cause.__cause__)
        heard = messages.all()
        if Open in map(type, states.items) and right and not reset:
            assert heard == expected.messages
            self._check_end(event, expected)
        elif right:  # a RST takes along what is still under way
            assert heard == expected.messages[: len(heard)]
        return event

    def _check_end(self, event: CloseEvent, expected: Found) -> None:
        match expected.end:
            case None:
                assert (event.code, event.initiator, event.was_clean) == (1006, "network", False)
                assert type(event.cause) is ConnectionException
            case (kind, code) if kind is ProtocolException:
                assert (event.code, event.initiator, event.was_clean) == (code, "client", False)
                assert isinstance(event.cause, ProtocolException)
            case (_, close):
                assert event.received == close
                assert (event.initiator, event.was_clean, event.cause) == ("server", True, None)


def _answer(session: Session, message: Message) -> None:
    if len(message) < MAX_SIZE // 2:
        with contextlib.suppress(SendException):  # the peer is gone
            session.send(message)


def _end(states: Seen[State]) -> CloseEvent:
    """Wait for the end, and check that the states before it follow each other as they may."""
    kinds = [type(state) for state in states.all()]
    assert kinds[0] is Connecting
    for old, new in pairwise(kinds):
        assert new in TRANSITIONS[old]
    end = states.items[-1]
    assert isinstance(end, Closed)
    return end.event


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the number of the first stream")
    arguments = parser.parse_args()
    logging.getLogger("rxsocket").setLevel(logging.CRITICAL)
    start = time.monotonic()
    ends: Counter[str] = Counter()
    failures = 0
    with Target() as target:
        for number in range(arguments.first, arguments.first + arguments.streams):
            seed = f"{arguments.seed} {number}"
            faulthandler.dump_traceback_later(60, exit=True)  # no stream may take so long
            try:
                check_decoders(seed)
                event = target.check(seed)
                ends[f"{event.code} by the {event.initiator}"] += 1
            except Exception:  # noqa: BLE001 each is told
                failures += 1
                sys.stdout.write(f"stream {number} of seed {arguments.seed}:\n{traceback.format_exc()}\n")
    faulthandler.cancel_dump_traceback_later()
    taken = time.monotonic() - start
    sys.stdout.write(f"{arguments.streams} streams of seed {arguments.seed} in {taken:.0f} s: {failures} failures\n")
    sys.stdout.write("".join(f"{count:8} ended with {end}\n" for end, count in ends.most_common()))
    raise SystemExit(failures > 0)


if __name__ == "__main__":
    main()
