"""What is on its way out, to a real socket that takes as much as its buffers hold."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from rxsocket.connection import Connection
from rxsocket.deflate import Deflate, Inflater
from rxsocket.frames import BINARY, TEXT, Decoder, Message
from rxsocket.outgoing import HIGH_WATER, Outgoing

Start = Callable[..., tuple[Outgoing, socket.socket]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Makes what is on its way out of a connection, with a limit, and the other end of that."""
    with ExitStack() as stack:

        def begin(limit: int, deflate: Deflate | None = None) -> tuple[Outgoing, socket.socket]:
            ours, theirs = map(stack.enter_context, socket.socketpair())
            return Outgoing(Connection(ours, "ws://host", None, {}, deflate=deflate), limit), theirs

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
