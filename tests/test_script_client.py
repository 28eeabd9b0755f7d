"""A client as its script has it. tests/test_scripted.py has the scripts' server."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import msgspec
import pytest
import reactivex.operators as ops
from servers import Seen, within

from rxsocket import codec_of, websocket
from rxsocket.script_client import Client, Refusal
from rxsocket.scripted import serve


def test_a_loop_over_its_messages_ends_with_it_and_pings_are_answered_meanwhile():
    heard = []

    def script(client: Client) -> None:
        heard.extend(client)
        heard.append("end")

    with serve(script) as url, websocket(url).connect() as session:
        session.send("one")
        session.send(b"two")
        Seen(session.ping()).one()
        assert heard == ["one", b"two"]
        session.close()
    assert heard == ["one", b"two", "end"]


def test_a_loop_over_the_messages_of_who_stays_ends_with_the_block():
    with within(3):
        with serve(list, timeout=20) as url:
            session = websocket(url).connect()
            Seen(session.opens).wait()
        assert session.closes.run().code == 1001


def test_a_feed_goes_on_as_long_as_the_client_is_there():
    def feed(client: Client) -> None:
        while client.is_open:
            client.send("tick")

    with serve(feed) as url, websocket(url).connect() as session:
        Seen(session.messages.body).wait(100)
        session.close()


def test_a_message_that_came_before_the_close_is_received_after_the_look():
    def script(client: Client) -> None:
        closed.wait(10)
        while client.is_open:
            pass
        client.send("nobody hears this")
        assert client.receive() == "last"
        assert client.expect_close(4000).reason == "done"

    closed = threading.Event()
    with serve(script) as url, websocket(url, close_timeout=5).connect() as session:
        session.closes.subscribe()
        session.send("last")
        threading.Timer(0, closed.set).start()
        session.close(4000, "done")


def test_a_cut_is_an_end_without_a_close_frame_and_a_reset_is_a_reset():
    def cut(client: Client) -> None:
        has_sent.wait(10)
        client.send("last")
        client.cut()
        client.send("nobody hears this")
        with pytest.raises(AssertionError, match="the script has cut the connection"):
            client.receive()

    def reset(client: Client) -> None:
        has_sent.wait(10)
        client.reset()

    for script, reason, expected in ((cut, "ended the connection", ["last"]), (reset, "reset", [])):
        has_sent = threading.Event()
        with serve(script) as url, websocket(url).connect() as session:
            bodies = Seen(session.messages.body)
            session.send("unread")
            has_sent.set()
            event = session.closes.run()
        assert bodies.items == expected
        assert (event.code, event.initiator) == (1006, "network")
        assert reason in event.reason


class Order(msgspec.Struct, tag=True):
    size: int


class Price(msgspec.Struct, tag=True):
    value: float


def test_values_go_by_the_codec_and_messages_as_they_are():
    def script(client: Client[Price]) -> None:
        client.send(Price(1.5), '{"type":"Price","value":2}')
        client.expect(Price(3.0), '{"type":"Price","value":4.0}')
        assert client.receive() == Price(5.0)
        assert list(client) == [Price(6.0)]

    codec = codec_of(Price)
    with serve(script, codec=codec) as url, websocket(url, codec=codec).connect() as session:
        assert Seen(session.received.pipe(ops.take(2))).all() == [Price(1.5), Price(2.0)]
        for value in (3.0, 4.0, 5.0, 6.0):
            session.send(Price(value))


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (Client.receive, """the client sent '{"type":"Order","size":1}', which does not decode: not a Price: """),
        (
            lambda client: client.expect('"1"'),
            """expected '"1"', and the client sent '{"type":"Order","size":1}'""",
        ),
    ],
)
def test_what_is_no_value_of_the_codec_is_told_of(script: Callable[[Client], object], said: str):
    def talk(url: str) -> None:
        with websocket(url, codec=codec_of(Order)).connect() as session:
            session.send(Order(1))
            session.closes.run()

    assert failure(script, talk, codec=codec_of(Price)).startswith(said)


def test_another_value_is_told_of_as_it_came():
    def talk(url: str) -> None:
        with websocket(url, codec=codec_of(Price)).connect() as session:
            session.send(Price(1.0))
            session.closes.run()

    found = failure(lambda client: client.expect(Price(2.0)), talk, codec=codec_of(Price))
    assert found == """expected Price(value=2.0), and the client sent '{"type":"Price","value":1.0}'"""


def test_a_stalled_client_is_neither_heard_nor_answered():
    with serve(lambda client: client.stall()) as url:
        session = websocket(url, ping_interval=0.05, ping_timeout=0.1).connect()
        assert "ping_timeout" in session.closes.run().reason


def test_a_stall_of_some_seconds_ends_by_itself():
    def script(client: Client) -> None:
        client.stall(0.01)
        client.send("back")

    with serve(script) as url, websocket(url).connect() as session:
        assert Seen(session.messages.body).all() == ["back"]


def failure(script: Callable[[Client], object], talk: Callable[[str], object], **options) -> str:
    """Play a block; return what the script says is wrong."""

    def block() -> None:
        with serve(script, **options) as url:
            talk(url)

    with pytest.raises(AssertionError) as raised:
        block()
    return str(raised.value).removeprefix("connection 1: ")


def test_a_close_frame_is_expected_with_its_code():
    def talk(url: str) -> None:
        with websocket(url).connect() as session:
            Seen(session.opens).wait()
            session.close(4000)

    found = failure(lambda client: client.expect_close(1000), talk)
    assert found == "expected a close frame with 1000, and the client closed with 4000"


def test_a_message_is_no_close_frame():
    def talk(url: str) -> None:
        with websocket(url).connect() as session:
            session.send("more")
            session.closes.run()

    assert failure(Client.expect_close, talk) == "expected a close frame, and the client sent 'more'"


def test_pings_and_bytes_as_they_are_reach_the_client():
    def script(client: Client) -> None:
        client.ping(b"there?")
        client.send_raw(b"\x83\x00")  # an opcode that is reserved
        client.expect_close(1002)

    with serve(script) as url, websocket(url).connect() as session:
        assert session.closes.run().code == 1002


def test_what_breaks_the_protocol_is_told_of():
    def talk(url: str) -> None:
        host, port = url.removeprefix("ws://").split(":")
        with socket.create_connection((host, int(port))) as sock:
            sock.sendall(REQUEST + b"\x81\x01a")
            while sock.recv(1000):
                pass

    assert "the client broke the protocol: " in failure(Client.receive, talk)


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
