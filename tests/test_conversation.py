"""Peers that vanish, and subscribers that hold a session up: what pings find out, and what the keeper does."""

from __future__ import annotations

import os
import select
import signal
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import reactivex.operators as ops
from peers import Peer, Server, echo_server, switching
from servers import DEADLINE, Seen, Wire, within

import rxsocket.outgoing
import rxsocket.runner
from rxsocket.backoff import Backoff
from rxsocket.encoding import encode_message, encode_ping, encode_pong
from rxsocket.errors import SendException
from rxsocket.frames import Close, Message, Ping, Pong
from rxsocket.keeper import Keeper
from rxsocket.outgoing import Outgoing
from rxsocket.session import Session
from rxsocket.socket import websocket
from rxsocket.states import Closed, Closing
from rxsocket.waiting import Waiter

PERIOD = 0.01


@pytest.fixture
def keeper(monkeypatch) -> Keeper:
    """One that looks often."""
    keeper = Keeper(PERIOD)
    monkeypatch.setattr(rxsocket.runner, "KEEPER", keeper)
    return keeper


@pytest.fixture
def unkept(monkeypatch) -> None:
    """No keeper looks, but when a test calls what it would."""
    monkeypatch.setattr(rxsocket.runner, "KEEPER", Keeper(10 * DEADLINE))


def silent(wire: Wire) -> None:
    """A peer's script: be there, and say nothing."""
    while wire.sock.recv(1 << 16):
        pass


def ping_of(wire: Wire) -> Ping:
    while not isinstance(frame := wire.next(), Ping):
        assert frame is not None
    return frame


def age(session: Session, seconds: float) -> None:
    """Let so much time pass for the pings of a session."""
    with session._lock:
        session._channel.keepalive._heard -= seconds
        session._channel.keepalive._asked -= seconds


# --- pings


def test_a_peer_that_vanished_is_found_within_interval_and_timeout(play, connect):
    session = connect(play(silent), ping_interval=0.2, ping_timeout=0.2)
    Seen(session.opens).wait()
    begin = time.monotonic()
    end = Seen(session.closes).one()
    assert 0.3 <= time.monotonic() - begin < 0.4 + 0.5
    assert (end.code, end.initiator, end.was_clean) == (1006, "network", False)
    assert "nothing came for 0.2 s after a ping" in str(end.cause)


def test_a_peer_that_takes_a_large_message_slowly_is_kept(play, connect):
    size = 3 << 20
    received: list[object] = []

    def script(wire: Wire) -> None:
        count, begin = 0, time.monotonic()
        while (rest := begin + 1.5 - time.monotonic()) > 0:  # longer than interval and timeout together
            count += len(wire.sock.recv(int(size / 2 / 1.5 * min(0.02, rest)) + 1))
            done.wait(0.02)  # the network is slow: no event tells of that
        assert count < size
        wire.skip(size + 14 - count)
        while not isinstance(frame := wire.next(), str):
            received.append(frame)
        arrived.set()
        wire.answer_close()

    done, arrived = threading.Event(), threading.Event()
    session = connect(play(script, buffer=4096), ping_interval=0.5, ping_timeout=0.5)
    Seen(session.opens).wait()
    session.send(bytes(size))
    session.send("the next")
    assert arrived.wait(DEADLINE)
    session.close()
    assert all(isinstance(frame, Ping) for frame in received)
    assert Seen(session.closes).one().was_clean


def test_a_peer_that_talks_and_does_not_read_is_kept(play, connect):
    def script(wire: Wire) -> None:
        for _ in range(20):
            wire.send("still here")
            done.wait(0.05)  # between its messages
        wire.answer_close()

    done = threading.Event()
    session = connect(play(script, buffer=4096), ping_interval=0.2, ping_timeout=0.2)
    bodies = Seen(session.messages.body)
    Seen(session.opens).wait()
    session.send(bytes(8 << 20))
    bodies.wait(20)
    session.close()
    assert Seen(session.closes).one().was_clean


def test_a_peer_that_answers_pings_is_kept_and_the_round_trips_are_told(play, connect):
    def script(wire: Wire) -> None:
        for _ in range(3):
            wire.raw(encode_pong(ping_of(wire).payload, masked=False))
        wire.answer_close()

    session = connect(play(script), ping_interval=0.02, ping_timeout=5)
    seconds = Seen(session.round_trips).wait(3)
    assert all(0 < each < DEADLINE for each in seconds)
    session.close()
    assert Seen(session.closes).one().code == 1000


def test_a_peer_that_says_anything_is_there(play, connect):
    def script(wire: Wire) -> None:
        for _ in range(4):
            ping_of(wire)
            wire.send("no pong, but a message")
        wire.answer_close()

    session = connect(play(script), ping_interval=0.05, ping_timeout=0.5)
    assert len(Seen(session.messages.body).wait(4)) == 4
    session.close()
    assert Seen(session.closes).one().code == 1000


def test_no_pings_are_sent_while_messages_come(play, connect):
    frames: list[object] = []
    asked = threading.Event()

    def script(wire: Wire) -> None:
        for _ in range(5):
            wire.send("x")
            frames.append(wire.next())
        asked.set()
        frames.extend(wire.frames()[:-1])

    def take_long(_: str) -> None:
        age(session, 600)
        session.send("next")

    session = connect(play(script), ping_interval=1000, ping_timeout=1000)
    session.messages.body.subscribe(take_long)
    assert asked.wait(DEADLINE)
    session.close()
    assert frames == ["next"] * 5


def test_in_a_full_pause_pings_go_out_and_their_pongs_are_not_missed(play, connect):
    pinged = threading.Event()

    def script(wire: Wire) -> None:
        wire.send("1", "2", "3")
        for _ in range(3):
            ping_of(wire)
        pinged.set()
        wire.answer_close()

    session = connect(play(script), ping_interval=0.05, ping_timeout=0.05, max_held_messages=2, paused=True)
    bodies = Seen(session.messages.body)
    assert pinged.wait(DEADLINE)
    session.resume()
    assert bodies.wait(3) == ["1", "2", "3"]


def test_a_lost_peer_is_reconnected_to(play, connect):
    def script(wire: Wire) -> None:
        wire.send("here")
        silent(wire)

    session = connect(play(script), ping_interval=0.05, ping_timeout=0.05, reconnect=Backoff(initial=0))
    assert Seen(session.messages.body).wait(3) == ["here"] * 3
    session.close()


def test_an_interrupt_amid_a_write_over_tls_cuts_the_connection(connect, authority, monkeypatch):
    """Since it hides what is gone."""

    def send(sock: ssl.SSLSocket, data: bytes) -> int:
        original(sock, data)
        monkeypatch.undo()
        raise KeyboardInterrupt

    original = ssl.SSLSocket.send
    with echo_server(authority.server()) as url:
        session = connect(url, ssl=authority.file)
        Seen(session.opens).wait()
        bodies = Seen(session.messages.body)
        session.send("before")
        assert bodies.wait() == ["before"]
        with monkeypatch.context() as patch:
            patch.setattr(ssl.SSLSocket, "send", send)
            with pytest.raises(KeyboardInterrupt):
                session.send("once or never")
        end = Seen(session.closes).one()
    assert "an interrupt came amid a TLS write" in str(end.cause)
    assert bodies.all() in (["before"], ["before", "once or never"])


def test_a_ping_by_hand_tells_its_round_trip(server, connect):
    session = connect(server.url)
    Seen(session.opens).wait()
    round_trips = Seen(session.round_trips)
    assert 0 < session.ping().run() < DEADLINE
    assert len(round_trips.wait()) == 1


def test_a_ping_whose_connection_ends_completes_without_an_item(play, connect):
    def script(wire: Wire) -> None:
        ping_of(wire)

    session = connect(play(script))
    Seen(session.opens).wait()
    assert Seen(session.ping()).all() == []


def test_a_ping_is_only_sent_on_an_open_session(play, connect):
    session = connect(play(lambda wire: wire.sock.recv(1), upgrade=False))
    with pytest.raises(SendException, match="the ping was not sent: there is no connection to ws://"):
        session.ping()
    session.close()
    with pytest.raises(SendException, match="the ping was not sent: the session is closed"):
        session.ping()


def test_what_a_subscriber_of_a_ping_raises_is_reported(server, connect):
    session = connect(server.url)
    Seen(session.opens).wait()
    errors = Seen(session.errors)
    session.ping().subscribe(lambda _: 1 / 0)
    assert errors.wait()[0].stream == "ping"


# --- subscribers that hold the session's thread up


@contextmanager
def held_up(session: Session) -> Iterator[None]:
    """Hold the session's thread up in a subscriber of its first message."""
    reached, go_on = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        reached.set()
        assert go_on.wait(DEADLINE)

    session.messages.pipe(ops.take(1)).subscribe(hold)
    session.start()
    assert reached.wait(DEADLINE)
    try:
        yield
    finally:
        go_on.set()


@pytest.mark.usefixtures("keeper")
def test_pings_are_answered_while_a_subscriber_holds_the_session_up_and_nothing_is_lost(play):
    answered = threading.Event()

    def script(wire: Wire) -> None:
        wire.raw(encode_message("0", masked=False) + encode_ping(b"in the same piece", masked=False))
        assert wire.next() == Pong(b"in the same piece")
        for number in range(1, 4):
            wire.send(str(number))
            wire.raw(encode_ping(b"%d" % number, masked=False))
            assert wire.next() == Pong(b"%d" % number)
        answered.set()
        wire.send("4")
        wire.answer_close()

    session = websocket(play(script)).prepare()
    bodies = Seen(session.messages.body)
    with held_up(session):
        assert answered.wait(DEADLINE)
    assert bodies.wait(5) == ["0", "1", "2", "3", "4"]
    session.close()
    assert Seen(session.closes).one().was_clean


@pytest.mark.usefixtures("keeper")
def test_a_subscriber_that_holds_the_session_up_is_told_of_once(play, caplog):
    pinged = threading.Event()

    def script(wire: Wire) -> None:
        wire.send("1")
        for number in range(3):
            wire.raw(encode_ping(b"%d" % number, masked=False))
            assert wire.next() == Pong(b"%d" % number)
        pinged.set()
        wire.answer_close()

    session = websocket(play(script)).prepare()
    with held_up(session):
        assert pinged.wait(DEADLINE)
    session.close()
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "a subscriber takes seconds" in record.message


@pytest.mark.usefixtures("keeper")
def test_what_a_subscriber_sent_goes_out_while_it_holds_the_session_up(play):
    def script(wire: Wire) -> None:
        wire.send("question")
        received.append(wire.next())
        arrived.set()
        wire.answer_close()

    received: list[object] = []
    arrived = threading.Event()
    session = websocket(play(script)).prepare()
    session.messages.subscribe(lambda _: session.send("working on it"))
    with held_up(session):
        assert arrived.wait(DEADLINE)
    session.close()
    assert received == ["working on it"]


@pytest.mark.usefixtures("keeper")
def test_a_close_of_the_server_is_answered_while_a_subscriber_holds_the_session_up(play):
    def script(wire: Wire) -> None:
        wire.send("1", "2")
        wire.close(Close(1001, "bye"))
        received.extend(wire.frames())
        answered.set()

    received: list[Message | object] = []
    answered = threading.Event()
    session = websocket(play(script)).prepare()
    bodies, states = Seen(session.messages.body), Seen(session.state)
    with held_up(session), session._changed:
        assert session._changed.wait_for(lambda: isinstance(session.current_state, Closing), DEADLINE)
    assert answered.wait(DEADLINE)
    assert received == [Close(1001, "bye")]
    assert bodies.all() == ["1", "2"]
    assert isinstance(states.all()[-1], Closed)
    end = Seen(session.closes).one()
    assert (end.code, end.reason, end.initiator, end.was_clean) == (1001, "bye", "server", True)


@pytest.mark.usefixtures("keeper")
def test_a_flood_while_a_subscriber_holds_the_session_up_is_left_to_tcp(play):
    texts, size = 3000, 10_000

    def script(wire: Wire) -> None:
        for number in range(texts):
            wire.send(f"{number:>{size}}")
        wire.answer_close()

    session = websocket(play(script), max_held=1 << 20).prepare()
    bodies = Seen(session.messages.body)
    with held_up(session):
        channel = session._channel
        assert channel is not None
        full = threading.Event()
        while not full.is_set():
            with channel._reading:
                if channel._size_ahead >= 1 << 20:
                    full.set()
                held = sum(len(message) for arrival in channel._arrivals for message in arrival)
            assert held < (1 << 20) + (1 << 18)
    assert [int(body) for body in bodies.wait(texts)] == list(range(texts))
    session.close()


@pytest.mark.usefixtures("keeper")
def test_an_idle_peer_is_pinged_while_a_subscriber_holds_the_session_up(play):
    asked = threading.Event()

    def script(wire: Wire) -> None:
        wire.send("1")
        wire.raw(encode_pong(ping_of(wire).payload, masked=False))
        asked.set()
        wire.answer_close()

    session = websocket(play(script), ping_interval=0.05, ping_timeout=5).prepare()
    round_trips = Seen(session.round_trips)
    with held_up(session):
        assert asked.wait(DEADLINE)
    round_trips.wait()
    session.close()


@pytest.mark.usefixtures("keeper")
def test_a_peer_is_pinged_while_so_much_is_read_ahead_that_no_more_is_read(play):
    pinged = threading.Event()

    def script(wire: Wire) -> None:
        wire.send("1")
        assert reached.wait(DEADLINE)
        wire.send("2", "3")
        for _ in range(3):
            ping_of(wire)
        pinged.set()
        wire.answer_close()

    reached = threading.Event()
    session = websocket(play(script), ping_interval=0.05, ping_timeout=0.05, max_held_messages=2).prepare()
    bodies = Seen(session.messages.body)
    with held_up(session):
        reached.set()
        assert pinged.wait(DEADLINE)
    assert bodies.wait(3) == ["1", "2", "3"]
    session.close()


# --- floods


@pytest.fixture
def flooded(monkeypatch, unkept) -> None:
    """Lets every message count as one amid a flood without an end; no keeper helps out."""
    monkeypatch.setattr(rxsocket.outgoing, "PACE", 1.0)
    monkeypatch.setattr(rxsocket.outgoing, "PAUSE", DEADLINE)


def test_a_flood_arrives_in_order_and_without_another_message(play, connect):
    arrived: list[object] = []
    done = threading.Event()

    def script(wire: Wire) -> None:
        while len(arrived) < 5000:
            arrived.append(wire.next())
        done.set()
        wire.answer_close()

    session = connect(play(script))
    Seen(session.opens).wait()
    for number in range(5000):
        session.send(str(number))
    assert done.wait(DEADLINE)
    assert arrived == [str(number) for number in range(5000)]


def test_a_flood_takes_few_calls_of_the_socket(play, connect, monkeypatch):
    def count(outgoing: Outgoing) -> None:
        writes.append(1)
        write(outgoing)

    writes: list[int] = []
    write = Outgoing.write
    monkeypatch.setattr(Outgoing, "write", count)
    session = connect(play(Wire.answer_close))
    Seen(session.opens).wait()
    for number in range(20_000):
        session.send(str(number))
    assert len(writes) < 10_000


def test_a_single_message_is_written_by_who_sends_it(play, connect, monkeypatch):
    arrived = threading.Event()

    def script(wire: Wire) -> None:
        assert wire.next() == "one"
        arrived.set()
        wire.answer_close()

    session = connect(play(script))
    Seen(session.opens).wait()
    with monkeypatch.context() as patch:
        patch.setattr(Waiter, "wake", lambda _: None)
        session.send("one")
        assert arrived.wait(DEADLINE)


@pytest.mark.usefixtures("flooded")
def test_a_close_right_after_a_flood_sends_all_of_it_first(play):
    for _ in range(20):
        frames: list[object] = []

        def script(wire: Wire, frames: list[object] = frames) -> None:
            while not isinstance(frame := wire.next(), Close):
                frames.append(frame)
            wire.close(frame)

        with websocket(play(script)).connect() as session:
            Seen(session.opens).wait()
            for number in range(500):
                session.send(str(number))
        assert frames == [str(number) for number in range(500)]


@pytest.mark.usefixtures("flooded")
def test_no_message_of_a_flood_waits_while_a_subscriber_holds_the_sessions_thread_up(play):
    arrived = threading.Event()

    def script(wire: Wire) -> None:
        wire.send("hold up")
        assert [wire.next(), wire.next()] == ["one", "two"]
        arrived.set()
        wire.answer_close()

    session = websocket(play(script)).prepare()
    with held_up(session):
        session.send("one")
        session.send("two")
        assert arrived.wait(DEADLINE)
    session.close()


@pytest.mark.usefixtures("flooded")
def test_what_waits_goes_out_before_a_subscriber_holds_the_sessions_thread_up(play, connect, monkeypatch):
    looked, arrived, go_on = (threading.Event() for _ in range(3))

    def script(wire: Wire) -> None:
        assert wire.next() == "one"
        assert looked.wait(DEADLINE)
        wire.send("hold up")
        assert wire.next() == "two"
        arrived.set()
        wire.answer_close()

    def write_waiting(outgoing: Outgoing) -> None:
        write(outgoing)
        # Another message comes just when this thread has looked for what waits, and has to deliver next.
        if not later.ident:
            later.start()
            later.join()
            looked.set()
            assert select.select([session._channel.connection.descriptor], [], [], DEADLINE)[0]

    session = connect(play(script))
    write = session._write_waiting
    monkeypatch.setattr(session, "_write_waiting", write_waiting)
    later = threading.Thread(target=session.send, args=("two",))
    session.messages.subscribe(lambda _: go_on.wait(DEADLINE))
    Seen(session.opens).wait()
    session.send("one")
    assert arrived.wait(DEADLINE)
    go_on.set()


# --- handlers of signals, which come between any two steps of the main thread


@contextmanager
def handling(handler) -> Iterator[None]:
    before = signal.signal(signal.SIGUSR1, lambda *_: handler())
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_handler_that_sends_amid_a_write_does_not_wait_for_room(play, connect, monkeypatch):
    """Which only the write that it interrupts could make."""
    received: list[object] = []

    def script(wire: Wire) -> None:
        received.extend(iter(wire.next, "of the handler"))
        wire.answer_close()

    session = connect(play(script, buffer=4096), send_timeout=DEADLINE)
    Seen(session.opens).wait()
    write = session._channel.connection.send

    def interrupted(*arguments) -> None:
        monkeypatch.undo()
        write(*arguments)
        with within(1):
            session.send("of the handler")

    monkeypatch.setattr(session._channel.connection, "send", interrupted)
    session.send(bytes(8 << 20))
    session.close()
    assert received == [bytes(8 << 20)]


@pytest.mark.usefixtures("flooded")
def test_what_other_threads_send_goes_out_while_a_subscriber_holds_a_session_up_whose_socket_was_full(play):
    arrived, full = threading.Event(), threading.Event()

    def script(wire: Wire) -> None:
        wire.send("hold up")
        assert full.wait(DEADLINE)
        while wire.next() != "last":
            pass
        arrived.set()
        wire.answer_close()

    session = websocket(play(script, buffer=4096)).prepare()
    with held_up(session):
        while not session._channel.outgoing.is_blocked:
            session.send(bytes(1 << 16))
        full.set()
        while not arrived.is_set():
            session.send("last")
    session.close()


@pytest.mark.parametrize("pace", [rxsocket.outgoing.PACE, 1.0], ids=["as it comes", "a flood"])
def test_a_handler_may_send_while_the_main_thread_sends(server, connect, monkeypatch, pace):
    monkeypatch.setattr(rxsocket.outgoing, "PACE", pace)
    assert threading.current_thread() is threading.main_thread()
    session = connect(server.url)
    bodies = Seen(session.messages.body)
    Seen(session.opens).wait()
    of_handler = iter(range(100_000))
    done = threading.Event()
    sent: list[int] = []

    def disturb() -> None:
        while not done.is_set():
            os.kill(os.getpid(), signal.SIGUSR1)
            done.wait(0.0005)

    def send() -> None:
        number = next(of_handler)
        session.send(f"handler {number}")
        sent.append(number)

    with handling(send):
        other = threading.Thread(target=disturb)
        other.start()
        for number in range(3000):
            session.send(f"main {number} {'x' * 2000}")
        done.set()
        other.join()
    found = bodies.wait(3000 + len(sent))
    # One handler may interrupt another, so theirs have no order.
    of_main, of_handlers = (
        [int(text.split()[1]) for text in found if text.startswith(name)] for name in ("main", "handler")
    )
    assert of_main == list(range(3000))
    assert sorted(of_handlers) == sorted(sent)


def test_a_handler_may_close_while_the_main_thread_sends(server, connect):
    for delay in range(20):
        session = connect(server.url, close_timeout=1)
        Seen(session.opens).wait()
        with handling(lambda session=session: session.close(3000, "by a signal")):
            # No event: any moment is what is tested.
            timer = threading.Timer(delay / 2000, os.kill, (os.getpid(), signal.SIGUSR1))
            timer.start()
            with within(DEADLINE), pytest.raises(SendException, match="clos"):
                flood(session)
            timer.join()
        assert Seen(session.closes).one().initiator == "client"


def flood(session: Session) -> None:
    while True:
        session.send(b"x" * 3000)


# --- deadlines, when a subscriber has held the session's thread up


@pytest.mark.usefixtures("unkept")
def test_a_peer_that_answered_meanwhile_is_not_lost(play):
    """More comes than is read ahead, so that its pongs stand unread behind it."""

    def script(wire: Wire) -> None:
        wire.send("0")
        assert reached.wait(DEADLINE)
        wire.send(*(f"{number:>10000}" for number in range(1, 300)))
        wire.raw(encode_pong(b"unasked", masked=False))
        while not isinstance(frame := wire.next(), Close):
            if isinstance(frame, Ping):
                wire.raw(encode_pong(frame.payload, masked=False))
        wire.close(frame)

    reached = threading.Event()
    session = websocket(play(script), ping_interval=1000, ping_timeout=1000, max_held=100_000).prepare()
    bodies = Seen(session.messages.body)
    with held_up(session):
        reached.set()
        channel = session._channel
        while channel.reads_ahead:
            select.select([channel.connection.descriptor], [], [], DEADLINE)
            session._keep()
        age(session, 1001)
        session._keep()  # it asks
        age(session, 1001)
        assert channel.keepalive.is_lost(time.monotonic())
    assert [int(body) for body in bodies.wait(300)] == list(range(300))
    session.close()
    assert Seen(session.closes).one().code == 1000


def test_a_close_that_was_answered_meanwhile_is_clean(play):
    def script(wire: Wire) -> None:
        wire.send("1")
        wire.answer_close()
        answered.set()

    answered = threading.Event()
    session = websocket(play(script), close_timeout=DEADLINE).prepare()
    session.messages.subscribe(lambda _: None)
    with held_up(session):
        session._begin_close(Close(1000))
        assert answered.wait(DEADLINE)
        with session._lock:
            session._channel.limit_closing(-1)  # its time is up
    end = Seen(session.closes).one()
    assert (end.code, end.was_clean) == (1000, True)


def test_over_tls_what_came_with_the_handshake_is_delivered_at_once(authority):
    """Of each of two connections: at the first one, the subscription itself wakes the session."""
    texts = [f"{number:>100}" for number in range(100)]

    def script(peer: Peer) -> None:
        request = peer.request()
        head = "\r\n".join(("HTTP/1.1 101 Go", *switching(request.headers["sec-websocket-key"]), "", "")).encode()
        peer.sock.sendall(head + b"".join(encode_message(text, masked=False) for text in texts))
        peer.await_word()

    with Server(script, context=authority.server()) as server:
        session = websocket(server.url, ssl=authority.file, ping_interval=None, reconnect=Backoff(initial=0)).prepare()
        bodies = Seen(session.messages.body)
        session.start()
        bodies.wait(100)
        session.reconnect()
        assert bodies.wait(200) == texts * 2
        session.close()


@pytest.mark.usefixtures("unkept")
def test_a_pong_that_came_since_the_keeper_asked_is_read_before_the_peer_counts_as_lost(play):
    def script(wire: Wire) -> None:
        wire.send("1")
        while not isinstance(frame := wire.next(), Close):
            if isinstance(frame, Ping):
                wire.raw(encode_pong(frame.payload, masked=False))
                asked.set()
        wire.close(frame)

    asked = threading.Event()
    session = websocket(play(script), ping_interval=1000, ping_timeout=1000).prepare()
    round_trips = Seen(session.round_trips)
    with held_up(session):
        age(session, 1001)
        session._keep()
        assert asked.wait(DEADLINE)
        age(session, 1001)
    round_trips.wait()
    session.close()
    assert Seen(session.closes).one().code == 1000
