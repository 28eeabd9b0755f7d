"""A client as its script has it. tests/test_scripted.py has the scripts' server."""

import threading
from collections.abc import Callable

import msgspec
import pytest
import reactivex.operators as ops
from scripts import failure
from servers import Seen, within

from rxsocket import codec_of, websocket
from rxsocket.script_client import Client
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
