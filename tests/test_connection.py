"""An open connection, plain and over TLS, to real peers."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from openings import assert_ended, connected, read_until, wait_for
from peers import DEADLINE, Peer, Server, echo_server, switching
from servers import within

from rxsocket.connection import Connection, reset
from rxsocket.decoding import Decoder
from rxsocket.encoding import encode_message
from rxsocket.errors import ConnectionException, SendException
from rxsocket.socket import websocket as describe

SHORT = 0.3
QUICK = 3.0  # seconds: far under DEADLINE, and enough for a busy machine
RESET = struct.pack("ii", 1, 0)


# --- the socket


@pytest.fixture(params=["ws", "wss"])
def link(request, authority) -> Iterator[tuple[Connection, Peer]]:
    """A connection, and its other end."""
    peers: list[Peer] = []
    ready, done = threading.Event(), threading.Event()

    def script(peer: Peer) -> None:
        peer.accept()
        peers.append(peer)
        ready.set()
        assert done.wait(DEADLINE)

    with (
        Server(script, context=authority.server() if request.param == "wss" else None) as server,
        connected(server.url, ssl=authority.file) as connection,
    ):
        assert ready.wait(DEADLINE)
        yield connection, peers[0]
        done.set()


def test_receive_gives_none_where_there_is_nothing_yet(link):
    connection, peer = link
    assert connection.receive() is None
    peer.sock.sendall(b"hello")
    assert read_until(connection, size=5) == b"hello"
    assert connection.receive() is None


def test_receive_gives_no_more_than_is_asked_for(link):
    connection, peer = link
    peer.sock.sendall(bytes(300_000))
    wait_for(connection, reading=True)
    assert connection.receive(7) == bytes(7)
    left = 300_000 - 7
    while left:
        if (data := connection.receive(1 << 19)) is None:
            wait_for(connection, reading=True)
        else:
            left -= len(data)
    assert connection.receive(1 << 19) is None


def test_what_was_sent_right_behind_the_handshake_comes_before_what_is_received():
    def script(peer: Peer) -> None:
        request = peer.request()
        head = "\r\n".join(("HTTP/1.1 101 Go", *switching(request.headers["sec-websocket-key"]), "", "")).encode()
        peer.sock.sendall(head + b"\x81\x05hello")
        peer.await_word()

    with Server(script) as server, connected(server.url) as connection:
        assert connection.rest + read_until(connection, size=7 - len(connection.rest)) == b"\x81\x05hello"


def test_receive_gives_no_bytes_at_the_streams_end(link):
    connection, peer = link
    peer.sock.sendall(b"last")
    peer.sock.shutdown(socket.SHUT_WR)
    assert read_until(connection, size=100) == b"last"
    assert connection.receive() == b""


def sent(connection: Connection, data: bytes) -> int:
    """How much of some bytes the connection took."""
    taken: list[int] = []
    connection.send(data, taken)
    return sum(taken)


def test_send_gives_how_much_the_socket_took_and_0_when_it_is_full(link):
    connection, peer = link
    data = bytearray(range(256)) * (1 << 12)
    total = 0
    while taken := sent(connection, data):
        assert 0 < taken <= len(data)
        total += taken
    with ThreadPoolExecutor(1) as pool:
        assert len(pool.submit(peer.read, total).result(DEADLINE)) == total
    wait_for(connection, reading=False)
    assert sent(connection, data) > 0


def send_for_ever(send: Callable[[bytearray], object], data: bytearray) -> None:
    while True:
        send(data)


def test_a_lost_peer_is_an_error_of_receive_and_send(link):
    connection, peer = link
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    socket.socket.close(peer.sock)
    wait_for(connection, reading=True)
    if connection._tls is None:
        with pytest.raises(ConnectionException, match="is lost") as caught:
            connection.receive()
        assert connection.url in str(caught.value)
        assert isinstance(caught.value.__cause__, OSError)
    else:
        assert_ended(connection)  # to OpenSSL a reset may look like an end
    data = bytearray(1 << 20)
    with pytest.raises(ConnectionException, match="is lost") as caught:
        send_for_ever(lambda piece: sent(connection, piece), data)
    assert isinstance(caught.value.__cause__, OSError)


def test_abort_wakes_who_waits_for_the_connection(link):
    connection, _ = link
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(wait_for, connection, reading=True)
        connection.abort()
        future.result(DEADLINE)
    assert_ended(connection)
    connection.abort()
    connection.close()
    connection.abort()


def test_abort_leaves_what_is_still_read_decrypted(link):
    connection, peer = link
    peer.sock.sendall(b"hello")
    wait_for(connection, reading=True)
    connection.abort()
    with contextlib.suppress(ConnectionException):
        assert read_until(connection, size=5) in {b"hello", b""}


def test_one_thread_reads_and_another_writes_a_tls_connection(authority):
    payload = bytes(range(256)) * 256
    count = 300

    def write(connection: Connection) -> None:
        data = bytearray(b"".join(encode_message(payload) for _ in range(count)))
        while data:
            taken = sent(connection, data)
            del data[:taken]
            if not taken:
                wait_for(connection, reading=False)

    with echo_server(authority.server()) as url, connected(url, ssl=authority.file) as connection:
        decoder = Decoder(1 << 20)
        received = []
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(write, connection)
            while len(received) < count:
                data = connection.receive()
                assert data != b""
                if data is None:
                    wait_for(connection, reading=True)
                else:
                    messages, controls = decoder.feed(data)
                    assert not controls
                    received += messages
            future.result(DEADLINE)
    assert received == [payload] * count


def test_a_session_whose_tls_peer_is_lost_while_it_sends_says_so(authority):
    """The buffer of what is on its way out must be free to be cleared, whatever the error still holds."""

    def script(peer: Peer) -> None:
        peer.accept()
        peer.await_word()
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        socket.socket.close(peer.sock)

    with Server(script, context=authority.server()) as server:
        session = describe(server.url, ssl=authority.file).connect(paused=True)
        with pytest.raises(SendException):
            send_for_ever(session.send, bytearray(100_000))
        session.close()


# --- what the peer's system has acknowledged


def test_what_was_acknowledged_grows_with_what_arrives_and_is_complete_at_last(link):
    connection, peer = link
    before = connection.acknowledgements()
    assert before is not None
    taken: list[int] = []
    connection.send(bytes(1000), taken)
    assert taken == [1000]
    peer.sock.recv(1000)

    with within(DEADLINE):
        while (now := connection.acknowledgements()) is not None and now.size < before.size + 1000:
            os.sched_yield()
    assert now is not None
    assert now.waiting == 0
    assert now.silence < QUICK
    assert now.unanswered == 0


def test_where_the_peer_does_not_read_not_all_is_acknowledged(link):
    connection, _ = link
    taken = [1]
    while taken:
        taken.clear()
        connection.send(bytes(1 << 20), taken)
    now = connection.acknowledgements()
    assert now is not None
    assert now.waiting > 0


def test_where_the_system_does_not_tell_nothing_is_known():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert Connection(ours, "ws://host", None, {}).acknowledgements() is None


# --- a signal's handler that raises


def test_what_a_handler_raises_amid_a_write_is_not_taken_for_the_loss_of_the_connection(link, monkeypatch):
    """A TimeoutError is an OSError, too."""
    connection, peer = link
    kind = type(connection._sock)
    send = kind.send

    def interrupted(sock: socket.socket, data: bytes) -> int:
        send(sock, data)
        raise TimeoutError("of the handler")

    with monkeypatch.context() as patch:
        patch.setattr(kind, "send", interrupted)
        with pytest.raises(TimeoutError, match="of the handler"):
            connection.send(b"hello", [])
    assert peer.sock.recv(5) == b"hello"
    if kind is ssl.SSLSocket:  # which hides what is gone
        with pytest.raises(ConnectionException, match="an interrupt came amid a TLS write"):
            connection.send(b"again", [])
    else:
        connection.send(b"again", [])
        assert peer.sock.recv(5) == b"again"


@pytest.mark.parametrize("link", ["ws"], indirect=True)
def test_what_cut_a_connection_is_why_nothing_can_be_read_when_the_peer_resets_it(link):
    def read_to_the_end() -> None:
        while connection.receive() != b"":
            wait_for(connection, reading=True)

    connection, peer = link
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    peer.sock.close()
    connection.broken = ConnectionException("cut for a reason")
    with pytest.raises(ConnectionException, match="cut for a reason"):
        read_to_the_end()


def test_what_is_reset_ends_by_a_rst():
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as there:
        here, _ = listener.accept()
        reset(here)
        with pytest.raises(ConnectionResetError):
            there.recv(1)
        reset(here)
