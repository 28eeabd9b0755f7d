"""A connection of a scripted server: its opening handshake, its time, and clients that flood it or read nothing."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from scripts import failure
from servers import within

from rxsocket import websocket
from rxsocket.script_client import Client
from rxsocket.scripted import serve
from rxsocket.served_connection import Refusal

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Key: x\r\n\r\n"


@contextlib.contextmanager
def sending(url: str, frame: bytes, first: bytes = REQUEST) -> Iterator[None]:
    """Have a client that does nothing but send, the same again and again, as long as it can."""

    def send() -> None:
        with contextlib.suppress(OSError):
            while not over.is_set():
                sock.sendall(frame)

    over = threading.Event()
    host, port = url.removeprefix("ws://").split(":")
    with socket.create_connection((host, int(port))) as sock:
        sock.sendall(first)
        thread = threading.Thread(target=send)
        thread.start()
        yield
        over.set()
        with contextlib.suppress(OSError):  # its server may have cut it off
            sock.shutdown(socket.SHUT_RDWR)
        thread.join(10)


TEXTS = b"\x81\x81\0\0\0\0a" * 10_000
PINGS = b"\x89\x80\0\0\0\0" * 10_000


@pytest.mark.parametrize(
    ("script", "frame", "said"),
    [
        (Client.close, TEXTS, "expected a close frame, and none came for 0.3 s"),
        (Client.close, PINGS, "expected a close frame, and none came for 0.3 s"),
        (lambda client: client.receive(timeout=0.2), PINGS, "expected a message, and nothing came for 0.2 s"),
    ],
)
def test_who_floods_holds_up_nothing_for_longer_than_its_timeout(
    script: Callable[[Client], object], frame: bytes, said: str
):
    def played(client: Client) -> None:
        try:
            with within(5):
                script(client)
        finally:
            has_ended.set()

    def talk(url: str) -> None:
        with sending(url, frame):
            assert has_ended.wait(10)

    has_ended = threading.Event()
    assert failure(played, talk, timeout=0.3) == said


def test_a_look_at_who_floods_comes_to_an_end():
    def script(client: Client) -> None:
        with within(5):
            looks.append(client.is_open)
        looked.set()

    looks: list[bool] = []
    looked = threading.Event()
    with serve(script, timeout=1) as url, sending(url, TEXTS):
        assert looked.wait(10)
    assert looks == [True]


def test_a_loop_over_the_messages_of_who_floods_ends_soon_after_the_block():
    def script(client: Client) -> None:
        for _ in client:
            heard.set()

    heard = threading.Event()
    with within(8), contextlib.ExitStack() as stack:
        url = stack.enter_context(serve(script, timeout=20))
        flood = contextlib.ExitStack()
        flood.enter_context(sending(url, TEXTS))
        assert heard.wait(10)
        stack.close()
        flood.close()


def test_what_breaks_the_protocol_is_told_of():
    def talk(url: str) -> None:
        host, port = url.removeprefix("ws://").split(":")
        with socket.create_connection((host, int(port))) as sock:
            sock.sendall(REQUEST + b"\x81\x01a")
            while sock.recv(1000):
                pass

    assert "the client broke the protocol: " in failure(Client.receive, talk)


@pytest.mark.parametrize("request_line", ["garbage", "", "GET /", "GET / two HTTP/1.1", "POST / HTTP/1.1"])
def test_what_is_no_request_is_no_opening_handshake(request_line: str):
    def talk(url: str) -> None:
        host, port = url.removeprefix("ws://").split(":")
        with socket.create_connection((host, int(port))) as sock:
            sock.sendall(f"{request_line}\r\n\r\n".encode())
            assert sock.recv(1000).startswith(b"HTTP/1.1 400 Bad Request\r\n")

    assert failure(lambda client: None, talk) == f"connection 0: {request_line!r} is no opening handshake"


def test_a_request_without_end_is_no_opening_handshake():
    def talk(url: str) -> None:
        host, port = url.removeprefix("ws://").split(":")
        with socket.create_connection((host, int(port)), 5) as sock, contextlib.suppress(ConnectionError):
            sock.sendall(b"GET / HTTP/1.1\r\n")
            while True:  # until the server hangs up
                sock.sendall(b"a" * 1000)

    server = serve(lambda client: None, clients=0, timeout=0.5)
    refused = r"b'GET / HTTP/1\.1.*'\.\.\. is no opening handshake"
    with within(5), pytest.raises(AssertionError, match=refused), server as url:
        talk(url)
    assert server.clients == []


def test_a_request_that_is_slow_has_the_timeout_for_all_of_it():
    def talk(url: str) -> None:
        host, port = url.removeprefix("ws://").split(":")
        with socket.create_connection((host, int(port))) as sock:
            sock.settimeout(0.01)
            with within(5), contextlib.suppress(ConnectionError):
                is_open = True
                while is_open:
                    sock.sendall(b"a")
                    with contextlib.suppress(TimeoutError):
                        is_open = sock.recv(1) != b""

    server = serve(lambda client: None, clients=0, timeout=0.2)
    with server as url:
        talk(url)
    assert server.clients == []


def test_who_is_refused_is_told_that_nothing_more_comes():
    with serve(Refusal(403)) as url, within(3):
        host, port = url.removeprefix("ws://").split(":")
        with socket.create_connection((host, int(port))) as sock:
            sock.sendall(REQUEST)
            while sock.recv(1000):
                pass


def test_what_goes_to_who_does_not_read_ends_with_the_block():
    def script(client: Client) -> None:
        started.set()
        for _ in range(200):
            client.send(bytes(1 << 20))

    def talk(url: str) -> None:
        host, port = url.removeprefix("ws://").split(":")
        sock = stack.enter_context(socket.create_connection((host, int(port))))
        sock.sendall(REQUEST)
        assert started.wait(10)

    started = threading.Event()
    with contextlib.ExitStack() as stack, within(5):
        assert failure(script, talk, timeout=20).startswith("the client has read nothing for ")


def test_who_reads_nothing_is_told_of_after_the_timeout():
    def flood(client: Client) -> None:
        client.send("first")
        try:
            client.send(bytes(1 << 25))
        finally:
            failed.set()

    def talk(url: str) -> None:
        with websocket(url, max_held_messages=1).connect(paused=True):
            assert failed.wait(10)

    failed = threading.Event()
    assert failure(flood, talk, timeout=0.1) == "the client has read nothing for 0.1 s"
