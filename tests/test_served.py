"""A client as its script has it. tests/test_scripted.py has the scripts' server."""

import socket
import threading
from collections.abc import Callable

import pytest
from servers import Seen, within

from rxsocket import websocket
from rxsocket.scripted import serve
from rxsocket.served import Client


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


def test_a_cut_is_a_reset():
    with serve(lambda client: client.cut()) as url, websocket(url).connect() as session:
        event = session.closes.run()
    assert (event.code, event.initiator) == (1006, "network")
    assert "reset" in event.reason


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
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Key: x\r\n\r\n\x81\x01a")
            while sock.recv(1000):
                pass

    assert "the client broke the protocol: " in failure(Client.receive, talk)


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
