"""What is on its way out, to a real socket that takes as much as its buffers hold."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import NoReturn

import pytest

import rxsocket.outgoing
from rxsocket.connection import Connection
from rxsocket.decoding import Decoder
from rxsocket.deflate import Deflate, Inflater
from rxsocket.encoding import encode_pong
from rxsocket.frames import BINARY, TEXT, Frame, Message
from rxsocket.outgoing import HIGH_WATER, JOINED, Outgoing
from rxsocket.stats import Counters

Start = Callable[..., tuple[Outgoing, socket.socket]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Makes what is on its way out of a connection, with a limit, and the other end of that."""
    with ExitStack() as stack:

        def begin(limit: int, deflate: Deflate | None = None) -> tuple[Outgoing, socket.socket]:
            ours, theirs = map(stack.enter_context, socket.socketpair())
            return Outgoing(Connection(ours, "ws://host", None, {}, deflate=deflate), limit, Counters()), theirs

        yield begin


def received(sock: socket.socket) -> bytes:
    sock.settimeout(0)
    pieces: list[bytes] = []
    try:
        while piece := sock.recv(1 << 20):
            pieces.append(piece)
    except BlockingIOError:
        pass
    return b"".join(pieces)


def messages_of(frames: bytes, inflater: Inflater | None = None) -> list[Message]:
    messages, _ = Decoder(1 << 20, inflater=inflater, masked=True).feed(frames)
    return messages


def test_frames_go_out_in_order_and_whole_however_little_the_socket_takes(start):
    outgoing, peer = start(1 << 30)
    frames = [bytes([number]) * 100_000 for number in range(50)]
    for frame in frames:
        outgoing.append(frame)
    arrived = b""
    while outgoing:
        before = len(outgoing)
        outgoing.write()
        assert len(outgoing) < before
        arrived += received(peer)
    assert arrived == b"".join(frames)
    assert outgoing.error is None


def test_it_has_room_up_to_the_high_water_and_takes_up_to_its_limit(start):
    outgoing, _ = start(HIGH_WATER + 10)
    outgoing.append(bytes(HIGH_WATER))
    assert outgoing.has_room
    assert outgoing.takes(10)
    assert not outgoing.takes(11)
    outgoing.append(b"x")
    assert not outgoing.has_room


def test_answers_join_behind_what_comes_before_their_release(start):
    outgoing, peer = start(100)
    answer = bytearray(b"answer")
    outgoing.answer(BINARY, answer)
    answer.clear()  # it goes as it was when it was given
    outgoing.answer(TEXT, b"another")
    outgoing.append(b"a pong, ")
    outgoing.write()
    assert received(peer) == b"a pong, "
    outgoing.release()
    outgoing.write()
    assert messages_of(received(peer)) == [b"answer", "another"]
    outgoing.release()
    assert len(outgoing) == 0


def test_messages_are_compressed_in_the_order_in_which_they_go_out(start):
    deflate = Deflate(min_size=1)
    outgoing, peer = start(10_000, deflate)
    texts = [
        f"{name}, which repeats what was said before" for name in ("an answer", "another", "a message", "the last")
    ]
    outgoing.answer(TEXT, texts[0].encode())
    outgoing.answer(TEXT, texts[1].encode())
    outgoing.send(TEXT, texts[2].encode())
    outgoing.answer(TEXT, texts[3].encode())
    outgoing.release()
    outgoing.write()
    sent = received(peer)
    assert len(sent) < len("".join(texts))
    assert messages_of(sent, Inflater(deflate.client_max_window_bits)) == texts


def test_answers_count_for_the_limit_and_leave_room_for_pongs(start):
    outgoing, _ = start(100)
    outgoing.answer(BINARY, bytes(100))
    assert len(outgoing) == 100
    assert not outgoing.takes(1)
    assert outgoing.has_room
    outgoing.release()
    outgoing.append(b"x")
    assert not outgoing.has_room


def test_a_lost_peer_is_kept_as_the_error_and_nothing_waits_any_more(start):
    outgoing, peer = start(1 << 30)
    peer.close()
    outgoing.append(b"x")
    outgoing.write()
    assert "ws://host" in str(outgoing.error)
    assert (len(outgoing), outgoing.unsent) == (0, 1)


def test_an_interrupt_right_after_the_socket_took_bytes_sends_none_of_them_twice(start):
    outgoing, peer = start(100)
    outgoing.append(b"gone, still here")
    # As Ctrl-C leaves it when it comes before the bytes are removed.
    outgoing._connection.send(memoryview(b"gone, "), outgoing._taken)
    outgoing.write()
    assert received(peer) == b"gone, still here"
    assert len(outgoing) == 0


def test_what_waits_can_be_forgotten(start):
    outgoing, _ = start(100)
    outgoing.append(b"x")
    outgoing.answer(BINARY, b"x")
    outgoing.clear()
    assert len(outgoing) == 0
    outgoing.release()
    assert len(outgoing) == 0


def test_a_handler_that_sends_amid_a_write_leaves_it_to_that(start):
    outgoing, peer = start(100)
    send = outgoing._connection.send

    def interrupted(piece: memoryview, taken: list[int]) -> None:
        outgoing._connection.send = send
        outgoing.send(BINARY, b"of the handler")
        outgoing.write()
        assert received(peer) == b""
        send(piece, taken)

    outgoing._connection.send = interrupted
    outgoing.send(BINARY, b"of the main thread")
    outgoing.write()
    assert messages_of(received(peer)) == [b"of the main thread", b"of the handler"]


def test_small_frames_go_out_together(start):
    outgoing, peer = start(10_000)
    send = outgoing._connection.send
    pieces: list[int] = []

    def counted(piece: memoryview, taken: list[int]) -> None:
        pieces.append(len(piece))
        send(piece, taken)

    outgoing._connection.send = counted
    for number in range(100):
        outgoing.append(bytes([number]) * 10)
    outgoing.write()
    assert pieces == [1000]
    assert received(peer) == b"".join(bytes([number]) * 10 for number in range(100))


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_while_a_message_is_compressed_spoils_no_later_one(start, interruption):
    deflate = Deflate(min_size=1)
    outgoing, peer = start(10_000, deflate)
    outgoing.send(TEXT, b"what is sent before, to refer back to")
    deflater = outgoing._connection.deflater
    assert deflater is not None
    compress = deflater.deflate

    def interrupted(payload: bytes) -> bytes | None:
        compress(payload)
        raise interruption

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deflater, "deflate", interrupted)
        with pytest.raises(interruption):
            outgoing.send(TEXT, b"what is never sent, to refer back to")
    outgoing.send(TEXT, b"what is never sent, to refer back to, but now is")
    outgoing.write()
    found = messages_of(received(peer), Inflater(deflate.client_max_window_bits))
    assert found == ["what is sent before, to refer back to", "what is never sent, to refer back to, but now is"]


def test_a_handler_that_sends_while_a_message_is_compressed_spoils_none(start):
    deflate = Deflate(min_size=1)
    outgoing, peer = start(10_000, deflate)
    deflater = outgoing._connection.deflater
    assert deflater is not None
    compress = deflater.deflate

    def interrupted(payload: bytes) -> bytes | None:
        deflater.deflate = compress
        compressed = compress(payload)
        outgoing.send(TEXT, b"of the handler, much as of the main thread")
        return compressed

    deflater.deflate = interrupted
    outgoing.send(TEXT, b"of the main thread")
    outgoing.send(TEXT, b"of the main thread, later")
    outgoing.write()
    found = messages_of(received(peer), Inflater(deflate.client_max_window_bits))
    expected = ["of the handler, much as of the main thread", "of the main thread", "of the main thread, later"]
    assert found == expected


def test_after_an_error_nothing_joins_and_what_was_lost_stays_counted(start):
    outgoing, peer = start(1 << 30)
    peer.close()
    outgoing.append(bytes(5000))
    outgoing.write()
    outgoing.append(b"a pong")
    outgoing.write()
    assert (len(outgoing), outgoing.unsent) == (0, 5000)


def test_a_handler_that_sends_while_answers_are_released_doubles_and_loses_none(start, monkeypatch):
    outgoing, peer = start(1 << 30)
    for number in range(10):
        outgoing.answer(BINARY, bytes([number]))
    encode = rxsocket.outgoing.encode_contents

    def interrupted(contents: list[tuple[int, bytes]]) -> list[Frame]:
        monkeypatch.setattr(rxsocket.outgoing, "encode_contents", encode)
        frames = encode(contents)
        outgoing.send(BINARY, b"of the handler")
        return frames

    monkeypatch.setattr(rxsocket.outgoing, "encode_contents", interrupted)
    outgoing.release()
    outgoing.write()
    assert messages_of(received(peer)) == [*(bytes([number]) for number in range(10)), b"of the handler"]
    assert len(outgoing) == 0


@pytest.mark.parametrize(("deflate", "encode"), [(None, "encode_contents"), (Deflate(), "encode_content")])
def test_an_interrupt_while_answers_are_released_leaves_them_there(start, monkeypatch, deflate, encode):
    outgoing, peer = start(1 << 30, deflate)
    for answer in (b"1", b"2"):
        outgoing.answer(BINARY, answer)

    def interrupted(*arguments: object, **options: object) -> NoReturn:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rxsocket.outgoing, encode, interrupted)
        with pytest.raises(KeyboardInterrupt):
            outgoing.release()
    outgoing.release()
    outgoing.write()
    assert messages_of(received(peer)) == [b"1", b"2"]
    assert len(outgoing) == 0


def test_it_knows_whether_the_socket_takes_more(start):
    outgoing, peer = start(1 << 30)
    assert not outgoing.is_blocked
    while not outgoing.is_blocked:
        outgoing.send(BINARY, bytes(1 << 20))
        outgoing.write()
    while outgoing:
        received(peer)
        outgoing.write()
    assert not outgoing.is_blocked


# --- floods, at a virtual time


class Clock:
    """What the module has of the time."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rxsocket.outgoing, "time", clock)
    return clock


def floods(outgoing: Outgoing, count: int) -> list[bool]:
    """Send some messages at a stroke; return after each whether it belongs to a flood."""
    found: list[bool] = []
    for _ in range(count):
        outgoing.send(BINARY, b"x")
        found.append(outgoing.is_flooded)
    return found


@pytest.mark.usefixtures("clock")
def test_it_is_a_flood_once_it_has_lasted(start):
    outgoing, _ = start(1 << 30)
    assert floods(outgoing, 100) == [False] * 64 + [True] * 36


def test_what_is_sent_slower_is_no_flood(start, clock):
    outgoing, _ = start(1 << 30)
    for _ in range(1000):
        clock.now += 30e-6
        assert floods(outgoing, 1) == [False]


def test_a_flood_is_over_after_a_pause(start, clock):
    outgoing, _ = start(1 << 30)
    floods(outgoing, 10_000)
    clock.now += 0.9e-3
    assert floods(outgoing, 2) == [True] * 2
    clock.now += 1.1e-3
    assert floods(outgoing, 2) == [False] * 2


@pytest.mark.parametrize(("limit", "little"), [(1 << 30, JOINED), (1600, 100)])
def test_little_may_wait_and_less_where_little_may_be_there(start, limit, little):
    outgoing, _ = start(limit)
    while len(outgoing) < little:
        assert outgoing.is_little
        outgoing.append(b"x" * (little // 10))
    assert not outgoing.is_little


@pytest.mark.parametrize("deflate", [None, Deflate()])
def test_messages_are_counted_also_those_that_a_lost_connection_could_not_take(deflate: Deflate | None) -> None:
    counters = Counters()
    ours, theirs = socket.socketpair()
    outgoing = Outgoing(Connection(ours, "ws://host", None, {}, deflate=deflate), 1 << 20, counters)
    with ours, theirs:
        outgoing.send(TEXT, b"one")
        outgoing.answer(TEXT, b"two")
        outgoing.answer(TEXT, b"three")
        assert counters.frames_out + outgoing.answers == 3
        outgoing.control(encode_pong(b""))
        outgoing.release()
        outgoing.write()
        assert (counters.frames_out, counters.controls_out, outgoing.answers) == (4, 1, 0)
        assert counters.bytes_out == len(theirs.recv(1 << 16))
        theirs.close()
        outgoing.answer(TEXT, b"four")
        outgoing.append(b"five")
        outgoing.write()
        assert outgoing.error is not None
        outgoing.answer(TEXT, b"six")
        outgoing.control(encode_pong(b""))
        outgoing.release()
        assert (counters.frames_out + outgoing.answers, counters.controls_out) == (8, 2)
