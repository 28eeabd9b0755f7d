"""What is on its way out, to a real socket that takes as much as its buffers hold."""

import socket
from collections.abc import Iterator

import pytest

from rxsocket.connection import Connection
from rxsocket.outgoing import HIGH_WATER, Outgoing


@pytest.fixture
def pair() -> Iterator[tuple[Connection, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Connection(ours, "ws://host", None, {}), theirs


def received(sock: socket.socket) -> bytes:
    sock.settimeout(0)
    pieces: list[bytes] = []
    try:
        while piece := sock.recv(1 << 20):
            pieces.append(piece)
    except BlockingIOError:
        pass
    return b"".join(pieces)


def test_frames_go_out_in_order_and_whole_however_little_the_socket_takes(pair):
    connection, peer = pair
    outgoing = Outgoing(1 << 30)
    frames = [bytes([number]) * 100_000 for number in range(50)]
    for frame in frames:
        outgoing.append(frame)
    arrived = b""
    while outgoing:
        before = len(outgoing)
        outgoing.write(connection)
        assert len(outgoing) < before
        arrived += received(peer)
    assert arrived == b"".join(frames)
    assert outgoing.error is None


def test_it_has_room_up_to_the_high_water_and_takes_up_to_its_limit():
    outgoing = Outgoing(HIGH_WATER + 10)
    outgoing.append(bytes(HIGH_WATER))
    assert outgoing.has_room
    assert outgoing.takes(bytes(10))
    assert not outgoing.takes(bytes(11))
    outgoing.append(b"x")
    assert not outgoing.has_room


def test_answers_join_behind_what_comes_before_their_release(pair):
    connection, peer = pair
    outgoing = Outgoing(100)
    outgoing.answer(b"an answer, ")
    outgoing.answer(b"and another")
    outgoing.append(b"a pong, ")
    outgoing.write(connection)
    assert received(peer) == b"a pong, "
    outgoing.release()
    outgoing.write(connection)
    assert received(peer) == b"an answer, and another"
    outgoing.release()
    assert len(outgoing) == 0


def test_answers_count_for_the_limit_and_leave_room_for_pongs():
    outgoing = Outgoing(100)
    outgoing.answer(bytes(100))
    assert len(outgoing) == 100
    assert not outgoing.takes(b"x")
    assert outgoing.has_room
    outgoing.release()
    outgoing.append(b"x")
    assert not outgoing.has_room


def test_a_lost_peer_is_kept_as_the_error_and_nothing_waits_any_more(pair):
    connection, peer = pair
    outgoing = Outgoing(1 << 30)
    peer.close()
    outgoing.append(b"x")
    outgoing.write(connection)
    assert "ws://host" in str(outgoing.error)
    assert len(outgoing) == 0


def test_an_interrupt_right_after_the_socket_took_bytes_sends_none_of_them_twice(pair):
    connection, peer = pair
    outgoing = Outgoing(100)
    outgoing.append(b"gone, still here")
    # As Ctrl-C leaves it when it comes before the bytes are removed.
    connection.send(b"gone, ", outgoing._taken)
    outgoing.write(connection)
    assert received(peer) == b"gone, still here"
    assert len(outgoing) == 0


def test_what_waits_can_be_forgotten():
    outgoing = Outgoing(100)
    outgoing.append(b"x")
    outgoing.answer(b"x")
    outgoing.clear()
    assert len(outgoing) == 0
