"""An open connection in messages: what is taken in which order, and what another thread reads ahead."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from servers import DEADLINE, within

from rxsocket.channel import Answer, Arrival, Channel
from rxsocket.connection import READ_SIZE, Acknowledgements, Connection
from rxsocket.encoding import encode_close, encode_frame, encode_message, encode_ping, encode_pong
from rxsocket.errors import ConnectionException, ProtocolException
from rxsocket.frames import Close, Ping, Pong
from rxsocket.options import Options
from rxsocket.stats import Counters

MESSAGES = 10


@pytest.fixture
def pair() -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        options = Options(max_held=1000, max_held_messages=MESSAGES)
        yield Channel(Connection(ours, "ws://host", None, {}), 1, options, Counters()), theirs


def said(*messages: str) -> bytes:
    return b"".join(encode_message(message, masked=False) for message in messages)


def timeless(arrival: Arrival | None) -> Arrival | Pong | None:
    return arrival.pong if isinstance(arrival, Answer) else arrival


def all_taken(channel: Channel) -> list[Arrival | Pong | None]:
    found: list[Arrival | Pong | None] = []
    while (arrival := channel.take()) is not None:
        found.append(timeless(arrival))
    return found


def test_messages_and_control_frames_come_in_their_order(pair):
    channel, peer = pair
    ping, pong = encode_ping(b"a", masked=False), encode_pong(b"b", masked=False)
    peer.sendall(ping + said("1", "2") + pong + ping + said("3") + encode_close(Close(1000), masked=False) + said("4"))
    assert channel.take() == Ping(b"a")
    assert channel.has_more
    assert all_taken(channel) == [["1", "2"], Pong(b"b"), Ping(b"a"), ["3"], Close(1000)]
    assert not channel.has_more


def test_the_time_of_a_pong_is_that_at_which_it_was_read(pair):
    channel, peer = pair
    peer.sendall(said("0") + encode_pong(b"a", masked=False))
    before = time.monotonic()
    channel.read_ahead()
    after = time.monotonic()
    assert channel.take() == ["0"]
    answer = channel.take()
    assert isinstance(answer, Answer)
    assert before <= answer.time <= after


def test_what_was_read_with_the_handshake_comes_first():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(said("second"))
        channel = Channel(Connection(ours, "ws://host", None, {}, rest=said("first")), 1, Options(), Counters())
        assert all_taken(channel) == [["first"], ["second"]]


def test_a_part_of_a_message_is_no_message_and_not_nothing(pair):
    channel, peer = pair
    peer.sendall(said("whole")[:3])
    assert channel.take() == []
    assert channel.take() is None
    peer.sendall(said("whole")[3:])
    assert all_taken(channel) == [["whole"]]


def test_a_broken_protocol_comes_after_what_was_right(pair):
    channel, peer = pair
    peer.sendall(said("right") + b"\xff\xff")
    right, wrong = all_taken(channel)
    assert right == ["right"]
    assert isinstance(wrong, ProtocolException)


def test_the_end_of_the_stream_is_an_error_that_names_the_url(pair):
    channel, peer = pair
    peer.sendall(said("last"))
    peer.close()
    assert channel.take() == ["last"]
    with pytest.raises(ConnectionException, match="ws://host ended the connection without a close frame"):
        channel.take()


def test_what_is_read_ahead_is_taken_in_its_order_but_pings_are_given_out_at_once(pair):
    channel, peer = pair
    ping, pong = encode_ping(b"a", masked=False), encode_pong(b"b", masked=False)
    close = encode_close(Close(1001), masked=False)
    peer.sendall(said("0") + ping + said("1"))
    assert channel.take() == ["0"]
    peer.sendall(said("2") + ping + pong + said("3") + close)
    assert channel.read_ahead() == [Ping(b"a"), Close(1001)]
    assert channel.read_ahead() == [Close(1001)]
    peer.close()
    assert channel.read_ahead() == [Close(1001)]
    found = [timeless(channel.take()) for _ in range(5)]
    assert found == [["1"], ["2"], Pong(b"b"), ["3"], Close(1001)]
    with pytest.raises(ConnectionException):
        channel.take()


@pytest.mark.parametrize("encode", [encode_ping, encode_pong])
def test_a_flood_of_control_frames_is_read_ahead_up_to_a_bound(pair, encode):
    channel, peer = pair
    peer.settimeout(DEADLINE)
    flood = encode(b"x", masked=False) * 20_000

    def send() -> None:
        with contextlib.suppress(OSError):
            while True:
                peer.sendall(flood)

    sender = threading.Thread(target=send)
    sender.start()
    with within(5):
        for _ in range(3):
            channel.read_ahead()
    assert len(channel._arrivals) <= MESSAGES + READ_SIZE / 3
    peer.shutdown(socket.SHUT_RDWR)
    sender.join()


@pytest.mark.parametrize("text", ["x", "x" * 700])
def test_no_more_is_read_ahead_than_may_be_held(pair, text):
    channel, peer = pair
    found: list[Arrival | None] = []
    for _ in range(3 * MESSAGES):  # one piece each, so that it could stop after any
        peer.sendall(said(text))
        channel.read_ahead()
    held = 2 if len(text) > 1 else MESSAGES
    while channel.has_more:
        found.append(channel.take())
    assert found == [[text]] * held
    rest = all_taken(channel)
    assert [message for arrival in rest if isinstance(arrival, list) for message in arrival] == [text] * (
        3 * MESSAGES - held
    )


@pytest.mark.parametrize("text", ["x", "x" * 700])
def test_when_all_that_was_read_ahead_is_taken_more_is_read_ahead_again(pair, text):
    channel, peer = pair
    for _ in range(2):
        for _ in range(MESSAGES):
            peer.sendall(said(text))
            channel.read_ahead()
        assert not channel.reads_ahead
        assert [text] in all_taken(channel)
        assert channel.reads_ahead


def test_whatever_comes_is_heard(pair):
    channel, peer = pair
    before = channel.keepalive.remaining(channel.opened)
    peer.sendall(encode_frame(0x1, b"part", final=False, masked=False))
    channel.take()
    after = channel.keepalive.remaining(channel.opened)
    assert before is not None
    assert after is not None
    assert after > before


def test_a_closing_has_the_earliest_of_its_deadlines(pair):
    channel, _ = pair
    assert channel.deadline is None
    for seconds in (5, 1, 3):
        channel.limit_closing(seconds)
    assert channel.deadline is not None
    assert channel.deadline - channel.opened < 3


# --- a peer from which no pong was read


def state(size: int, *, waiting: int = 0, silence: float = 0.0, unanswered: int = 0) -> Acknowledgements:
    return Acknowledgements(size, waiting, silence, unanswered)


@pytest.mark.parametrize(
    ("asked", "now", "expected"),
    [
        # The ping was acknowledged, and no pong came: nobody is there who answers; but it may be there, unread.
        (state(100), state(200, silence=10), (False, True)),
        # Nothing is acknowledged any more.
        (state(100), state(100, waiting=500, silence=10, unanswered=5), (False, False)),
        # Much is on its way, before the ping, and it goes on.
        (state(100, waiting=500), state(200, waiting=500), (True, True)),
        # Much is on its way, but behind the ping, which has arrived.
        (state(100, waiting=500), state(700, waiting=500), (False, True)),
        # It does not read, but its system answers.
        (state(100, waiting=500), state(100, waiting=500, unanswered=1), (False, True)),
        # That it was asked for room just now, after a long time, and has not answered yet, tells nothing.
        (state(100, waiting=500), state(100, waiting=500, silence=60, unanswered=1), (False, True)),
        # The system does not tell.
        (None, None, (False, True)),
    ],
)
def test_what_the_system_tells_of_a_peer_that_sends_no_pong(pair, asked, now, expected):
    channel, _ = pair
    found: list[bool] = []
    for reading in (True, False):
        channel.connection.acknowledgements = lambda: asked
        channel.ask(0)
        channel.outgoing.write()
        channel.connection.acknowledgements = lambda: now
        found.append(channel.sign_of_life(5, reading=reading) is not None)
    assert tuple(found) == expected
