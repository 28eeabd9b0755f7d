"""One connection through a proxy, by sockets in pairs. tests/test_proxy.py has the proxy."""

import socket
import time
from collections.abc import Iterator

import pytest

from rxsocket.passage import Direction, Passage, Way


@pytest.fixture
def pairs() -> Iterator[tuple[socket.socket, Way, socket.socket, Direction]]:
    client, source = socket.socketpair()
    target, server = socket.socketpair()
    for sock in (source, target):
        sock.settimeout(0)
    for sock in (client, server):
        sock.settimeout(10)
    direction = Direction()
    yield client, Way(source, target, direction), server, direction
    for sock in (client, source, target, server):
        sock.close()


def test_what_comes_goes_on_and_then_the_end(pairs):
    client, way, server, direction = pairs
    client.sendall(b"abc")
    way.read()
    way.write(time.monotonic())
    assert (server.recv(10), direction.size, way.is_done) == (b"abc", 3, False)
    client.shutdown(socket.SHUT_WR)
    way.read()
    assert not way.is_done
    way.write(time.monotonic())
    assert (server.recv(10), way.is_done, way.reads) == (b"", True, False)


def test_what_is_delayed_goes_when_it_is_due_in_its_order(pairs):
    client, way, server, direction = pairs
    direction.delay = 5.0
    client.sendall(b"late")
    way.read()
    direction.delay = 0.0
    client.sendall(b" later")
    way.read()
    due = way.due
    assert due is not None
    way.write(due - 0.001)
    assert direction.size == 0
    way.write(due)
    assert server.recv(20) == b"late later"
    assert way.due is None


def test_what_the_target_does_not_take_waits_and_beyond_a_mebibyte_nothing_is_read(pairs):
    client, way, server, direction = pairs
    client.settimeout(0)
    sent = 0
    while way.reads:
        sent += client.send(bytes(1 << 16))
        way.read()
        way.write(time.monotonic())
    assert way.writes
    assert way.due is None
    received = 0
    while received < sent:
        received += len(server.recv(1 << 16))
        while way.reads and sent > direction.size + (1 << 20):
            way.read()
        way.write(time.monotonic())
    assert direction.size == sent


def test_a_stall_neither_reads_nor_writes(pairs):
    client, way, _, direction = pairs
    client.sendall(b"abc")
    way.read()
    direction.is_stalled = True
    way.write(time.monotonic())
    assert (direction.size, way.reads, way.writes, way.due) == (0, False, False, None)


def test_what_is_swallowed_is_gone_and_so_is_the_end(pairs):
    client, way, server, direction = pairs
    client.sendall(b"abc")
    way.read()
    way.swallow()
    client.sendall(b"def")
    client.shutdown(socket.SHUT_WR)
    way.read()
    way.read()
    way.write(time.monotonic())
    assert (direction.size, way.is_done) == (0, True)
    server.settimeout(0)
    with pytest.raises(BlockingIOError):
        server.recv(1)


def test_what_was_blocked_is_swallowed_too(pairs):
    client, way, _, _ = pairs
    client.settimeout(0)
    while not way.writes:
        client.send(bytes(1 << 16))
        way.read()
        way.write(time.monotonic())
    way.swallow()
    assert (way.writes, way.due, way.reads) == (False, None, True)


def test_a_passage_leads_to_another_address_of_the_server():
    (client, source), (tried, _), (target, server) = pairs = [socket.socketpair() for _ in range(3)]
    passage = Passage(source, tried, Direction(), Direction())
    passage.lead_to(target)
    client.sendall(b"up")
    server.sendall(b"down")
    for way in passage.ways:
        way.read()
        way.write(time.monotonic())
    assert (server.recv(10), client.recv(10)) == (b"up", b"down")
    for sock in (sock for pair in pairs for sock in pair):
        sock.close()


def test_nothing_is_due_before_the_server_is_connected():
    client, source = socket.socketpair()
    target, server = socket.socketpair()
    source.settimeout(0)
    passage = Passage(source, target, Direction(), Direction())
    client.sendall(b"abc")
    passage.ways[0].read()
    assert passage.due is None
    assert passage.wishes() == [(source, True, False), (target, False, True)]
    passage.is_connected = True
    assert passage.due is not None
    assert passage.wishes() == [(source, True, False), (target, True, False)]
    passage.close()
    client.close()
    server.close()
