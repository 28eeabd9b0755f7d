"""rxsocket against servers of other makers: the package websockets, and the npm package ws on Node."""

from __future__ import annotations

import array
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from servers import BURST, DEADLINE, EchoServer, NodeServer, Seen

from rxsocket.deflate import Deflate
from rxsocket.errors import SendException
from rxsocket.frames import Close
from rxsocket.states import Closed, Closing, Connecting, Open

LIFE = [Connecting, Open, Closing, Closed]  # or without the first, if it was open before somebody subscribed


@pytest.fixture(params=["websockets", "ws"])
def foreign(request: pytest.FixtureRequest) -> EchoServer | NodeServer:
    return request.getfixturevalue("server" if request.param == "websockets" else "node_server")


def test_texts_come_back_in_order_and_the_states_follow_each_other(foreign, connect):
    session = connect(f"{foreign.url}/text")
    states = Seen(session.state)
    bodies = Seen(session.messages.body)
    for text in ("one", "two", "grüße, 世界 🎈"):
        session.send(text)
    assert bodies.wait(3) == ["echo: one", "echo: two", "echo: grüße, 世界 🎈"]
    session.close()
    assert [type(state) for state in states.all()] in (LIFE, LIFE[1:])
    assert bodies.all() == bodies.items


def test_after_the_client_closed_with_a_reason_send_raises_and_the_server_knows_the_reason(foreign, connect):
    session = connect(f"{foreign.url}/leave")
    Seen(session.opens).wait()
    session.close(reason="enough, thank you")
    with pytest.raises(SendException, match="the session is closed"):
        session.send("too late")
    end = Seen(session.closes).one()
    assert (end.code, end.reason, end.initiator, end.was_clean) == (1000, "enough, thank you", "client", True)
    assert end.sent == end.received == Close(1000, "enough, thank you")
    assert foreign.ends.get(timeout=DEADLINE) == ("/leave", 1000, "enough, thank you")


def test_after_the_server_closed_closes_has_its_reason_and_send_raises(foreign, connect):
    session = connect(f"{foreign.url}/close")
    states = Seen(session.state)
    session.send("4001 the shop is shut")
    end = Seen(session.closes).one()
    assert (end.code, end.reason, end.initiator, end.was_clean) == (4001, "the shop is shut", "server", True)
    with pytest.raises(SendException, match=r"the session is closed \(4001 the shop is shut"):
        session.send("too late")
    assert [type(state) for state in states.all()] in (LIFE, LIFE[1:])
    assert foreign.ends.get(timeout=DEADLINE) == ("/close", 4001, "the shop is shut")


def test_bytes_and_buffers_come_back_as_they_went(foreign, connect):
    session = connect(f"{foreign.url}/binary")
    blobs = Seen(session.messages.blob)
    buffers = Seen(session.messages.array_buffer)
    bodies = Seen(session.messages.body)
    numbers = array.array("d", [1.5, -2.5])
    went = [
        b"",
        b"\x00\xff",
        bytearray(b"array"),
        memoryview(b"a view of it")[2:6],
        memoryview(numbers),
        bytes(200_000),
    ]
    for message in went:
        session.send(message)
    expected = [bytes(message) for message in went]
    assert blobs.wait(len(went)) == expected
    assert all(type(blob) is bytes for blob in blobs.items)
    assert buffers.wait(len(went)) == expected
    assert all(type(buffer) is memoryview and buffer.readonly for buffer in buffers.items)
    assert not bodies.items


def test_all_that_a_server_sends_at_once_arrives_in_order(foreign, connect):
    session = connect(f"{foreign.url}/burst")
    assert Seen(session.messages.body).wait(BURST) == [str(number) for number in range(BURST)]


def test_what_many_threads_send_comes_back_whole_and_in_the_order_of_each(foreign, connect):
    session = connect(f"{foreign.url}/echo")
    data = Seen(session.messages.data)

    def send(thread: int) -> None:
        for number in range(50):
            session.send(f"{thread} {number} " + "x" * number * 300)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(send, range(8)))
    came = [text.split(" ", 2) for text in data.wait(400)]
    for thread in range(8):
        assert [number for name, number, _ in came if name == str(thread)] == [str(number) for number in range(50)]
    assert all(len(filling) == int(number) * 300 for _, number, filling in came)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 0xFFFF, 0x10000, 5_000_000])
def test_a_message_of_any_length_comes_back(foreign, connect, size):
    session = connect(f"{foreign.url}/echo")
    data = Seen(session.messages.data)
    session.send("ü" * (size // 2))
    session.send(bytes(range(256)) * (size // 256) + bytes(size % 256))
    assert data.wait(2) == ["ü" * (size // 2), bytes(range(256)) * (size // 256) + bytes(size % 256)]


COMPRESSIONS = {
    "by default": True,
    "without context takeover": Deflate(server_no_context_takeover=True, client_no_context_takeover=True),
    "in small windows": Deflate(server_max_window_bits=9, client_max_window_bits=9, min_size=1, level=9),
    "in large windows": Deflate(client_max_window_bits=15, mem_level=9, level=1),
    "with nothing to send that is": Deflate(client_max_window_bits=8),
}


@pytest.mark.parametrize("compression", COMPRESSIONS.values(), ids=COMPRESSIONS.keys())
def test_compressed_messages_come_back_whole_and_in_order(foreign, connect, compression):
    session = connect(f"{foreign.url}/echo", compression=compression)
    assert "permessage-deflate" in Seen(session.opens).wait()[0].headers["sec-websocket-extensions"]
    answers = [f"{number} is what a subscriber answers" for number in range(20)]
    data = Seen(session.messages.data)
    # On the session's thread, while others send: each compressed message may look back to all before it.
    session.messages.body.subscribe(lambda text: session.send(answers[len(text)]) if len(text) < 20 else None)

    def send(thread: int) -> None:
        for number in range(20):
            session.send("x" * number if thread == 1 else f"{thread} {number} " + "grüße, 世界 🎈 " * (number + 1) * 30)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(send, range(4)))
    session.send(bytes(range(256)) * 2000)
    session.send(b"")
    came = data.wait(4 * 20 + 20 + 2)
    assert [text for text in came if text in answers] == answers
    assert [text for text in came if isinstance(text, str) and not text.strip("x")] == ["x" * n for n in range(20)]
    for thread in (0, 2, 3):
        sent = [f"{thread} {number} " + "grüße, 世界 🎈 " * (number + 1) * 30 for number in range(20)]
        assert [text for text in came if text in sent] == sent
    assert [blob for blob in came if isinstance(blob, bytes)] == [bytes(range(256)) * 2000, b""]
    session.close()
    assert Seen(session.closes).one().was_clean


def test_a_compressed_message_over_max_size_is_1009(foreign, connect):
    session = connect(f"{foreign.url}/echo", compression=True, max_size=100_000)
    data = Seen(session.messages.data)
    session.send(bytes(100_000))
    session.send(bytes(100_001))
    end = Seen(session.closes).one()
    assert (end.code, end.initiator) == (1009, "client")
    assert data.items == [bytes(100_000)]


def test_a_ping_is_answered_with_what_it_has(foreign, connect):
    session = connect(f"{foreign.url}/ping")
    blobs = Seen(session.messages.blob)
    session.send(b"\x00 are you there? \xff")
    assert blobs.wait() == [b"\x00 are you there? \xff"]


def test_a_server_that_breaks_off_is_a_loss(foreign, connect):
    session = connect(f"{foreign.url}/terminate")
    errors = Seen(session.errors)
    session.send("break it off")
    end = Seen(session.closes).one()
    assert (end.code, end.initiator, end.was_clean, end.received) == (1006, "network", False, None)
    assert errors.all() == [end.cause]


@pytest.mark.parametrize(("offered", "picked"), [((), None), (("chat.v2", "chat.v1"), "chat.v1"), (("other",), None)])
def test_the_protocol_is_what_the_server_picked(foreign, connect, offered, picked):
    session = connect(foreign.url, *offered)
    assert Seen(session.opens).wait()[0].protocol == session.protocol
    assert session.protocol == picked


def test_many_sessions_of_one_socket_are_independent(foreign, connect):
    sessions = [connect(f"{foreign.url}/text") for _ in range(20)]
    bodies = [Seen(session.messages.body) for session in sessions]
    for number, session in enumerate(sessions):
        session.send(str(number))
    assert [body.wait()[0] for body in bodies] == [f"echo: {number}" for number in range(20)]
    closing = [threading.Thread(target=session.close) for session in sessions]
    for thread in closing:
        thread.start()
    for thread in closing:
        thread.join(DEADLINE)
    assert all(Seen(session.closes).one().was_clean for session in sessions)
