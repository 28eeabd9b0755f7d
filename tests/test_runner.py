"""Connecting again after a loss, against servers that go away."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import threading
from collections.abc import Callable
from datetime import timedelta
from itertools import count, pairwise
from typing import Any

import pytest
import reactivex.operators as ops
from reactivex.scheduler import VirtualTimeScheduler
from servers import DEADLINE, EchoServer, ScriptedPeer, Seen, Wire, in_turn, within
from threads import waits_to_send

import rxsocket.runner
from rxsocket.backoff import Backoff
from rxsocket.decoding import SMALL_PIECE
from rxsocket.encoding import encode_close, encode_message, encode_ping
from rxsocket.errors import ConnectionException, EndpointException, HandshakeException, SendException
from rxsocket.frames import Close, Message, Pong
from rxsocket.keeper import Keeper
from rxsocket.messages import MessageEvent
from rxsocket.session import Session
from rxsocket.socket import websocket
from rxsocket.states import Closed, CloseEvent, Closing, Connecting, Open

AT_ONCE = Backoff(initial=0)


def saying(*texts: str, code: int | None = None) -> Callable[[Wire], object]:
    """Return a script that sends some texts, and then a close frame, or nothing more."""

    def script(wire: Wire) -> None:
        wire.send(*texts)
        if code is not None:
            wire.raw(encode_close(Close(code), masked=False))
            wire.next()

    return script


def staying(*texts: str) -> Callable[[Wire], object]:
    """Return a script that sends some texts, and stays until the client closes."""

    def script(wire: Wire) -> None:
        wire.send(*texts)
        wire.answer_close()

    return script


def refusing(status: str) -> Callable[[Wire], object]:
    """Return a script, for a peer without upgrade, that refuses the handshake."""

    def script(wire: Wire) -> None:
        wire.read_request()
        wire.raw(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

    return script


def accepting(script: Callable[[Wire], object]) -> Callable[[Wire], object]:
    """Return a script, for a peer without upgrade, that accepts the handshake, and goes on with another."""

    def accepted(wire: Wire) -> None:
        wire.upgrade()
        script(wire)

    return accepted


def kinds(states: list[Any]) -> list[type]:
    return [type(state) for state in states]


def test_messages_go_on_over_a_loss_and_every_loss_is_an_event(play):
    session = websocket(play(in_turn(saying("1", "2"), saying("3"), staying("4"))), reconnect=AT_ONCE).prepare()
    messages, states = Seen(session.messages), Seen(session.state)
    opens, closes, errors = Seen(session.opens), Seen(session.closes), Seen(session.errors)
    session.start()
    assert messages.wait(4) == [
        MessageEvent("1", 1),
        MessageEvent("2", 1),
        MessageEvent("3", 2),
        MessageEvent("4", 3),
    ]
    assert not messages.is_completed
    session.close()
    assert messages.all() == messages.items
    assert kinds(states.all()) == [Connecting, Open, Connecting, Open, Connecting, Open, Closing, Closed]
    assert [event.connection for event in opens.all()] == [1, 2, 3]
    assert [(event.connection, event.code) for event in closes.all()] == [(1, 1006), (2, 1006), (3, 1000)]
    assert [type(error) for error in errors.all()] == [ConnectionException] * 2


def test_events_of_an_old_connection_never_come_after_a_new_one_began(play):
    rounds = 50
    url = play(in_turn(*[saying(*"abc") for _ in range(rounds)], staying("end")))
    session = websocket(url, reconnect=AT_ONCE).prepare()
    log: list[int] = []
    session.opens.subscribe(lambda event: log.append(event.connection))
    session.messages.subscribe(lambda event: log.append(event.connection))
    session.closes.subscribe(lambda event: log.append(event.connection))
    ends = Seen(session.messages.body.pipe(ops.filter(lambda text: text == "end")))
    session.start()
    ends.wait()
    session.close()
    assert log == sorted(log)
    assert [log.count(number) for number in range(1, rounds + 2)] == [5] * rounds + [3]


def test_without_a_policy_a_loss_is_the_end(play, connect):
    session = connect(play(saying("1")))
    assert kinds(Seen(session.state).all())[-1] is Closed


@pytest.mark.parametrize(("code", "goes_on"), [(1000, False), (1008, False), (1001, True), (1011, True), (4000, True)])
def test_a_close_of_the_server_is_final_or_not_by_its_code(play, connect, code, goes_on):
    session = connect(play(in_turn(saying("1", code=code), staying("2"))), reconnect=AT_ONCE)
    closes = Seen(session.closes)
    assert closes.wait()[0].code == code
    if goes_on:
        assert Seen(session.messages.body.pipe(ops.filter(lambda text: text == "2"))).wait() == ["2"]
        session.close()
    assert len(closes.all()) == 1 + goes_on


@pytest.mark.parametrize(("status", "goes_on"), [("403 Forbidden", False), ("503 Busy", True), ("429 Slow", True)])
def test_a_refused_handshake_is_final_or_not_by_its_status(play, connect, status, goes_on):
    url = play(in_turn(refusing(status), accepting(staying("1"))), upgrade=False)
    session = connect(url, reconnect=AT_ONCE)
    if goes_on:
        assert Seen(session.messages.body).wait() == ["1"]
        retry = Seen(session.closes)
        session.close()
        assert retry.one().code == 1000
    else:
        cause = Seen(session.closes).one().cause
        assert isinstance(cause, HandshakeException)


def test_each_try_is_an_event_before_it_is_made(play):
    url = play(in_turn(*[refusing("503 Busy")] * 3, accepting(staying("1"))), upgrade=False)
    session = websocket(url, reconnect=Backoff(initial=0.001, factor=2, jitter=0)).prepare()
    retries, errors = Seen(session.retries), Seen(session.errors)
    bodies = Seen(session.messages.body)
    session.start()
    assert bodies.wait() == ["1"]
    session.close()
    found = retries.all()
    assert [(retry.attempt, retry.delay, retry.lost) for retry in found] == [
        (1, 0.001, None),
        (2, 0.002, None),
        (3, 0.004, None),
    ]
    assert [retry.cause for retry in found] == errors.all()


def test_the_attempts_come_to_an_end(play, connect):
    url = play(in_turn(accepting(saying("1")), refusing("503 Busy")), upgrade=False)
    session = connect(url, reconnect=Backoff(initial=0, attempts=3))
    retries, closes = Seen(session.retries), Seen(session.closes)
    assert closes.all()[-1].connection == 2
    assert isinstance(closes.items[-1].cause, HandshakeException)
    assert [retry.attempt for retry in retries.all()] == [1, 2, 3]


@pytest.mark.parametrize(("stable", "attempts"), [(0, [1, 1, 1, 1]), (1000, [1, 2, 3, 4])])
def test_a_connection_that_stayed_up_long_enough_lets_the_intervals_begin_anew(play, stable, attempts):
    url = play(in_turn(*[saying("x")] * 4, staying("end")))
    session = websocket(url, reconnect=Backoff(initial=0, stable=stable)).prepare()
    retries = Seen(session.retries)
    ends = Seen(session.messages.body.pipe(ops.filter(lambda text: text == "end")))
    session.start()
    ends.wait()
    session.close()
    assert [retry.attempt for retry in retries.all()] == attempts


def test_tests_can_take_virtual_time(play):
    url = play(in_turn(saying("1"), staying("2")))
    scheduler = VirtualTimeScheduler()
    session = websocket(url, reconnect=Backoff(initial=3600, maximum=3600, jitter=0, scheduler=scheduler)).prepare()
    bodies, retries = Seen(session.messages.body), Seen(session.retries)
    session.start()
    assert retries.wait()[0].delay == 3600
    scheduler.advance_by(3599)
    assert isinstance(session.current_state, Connecting)
    with within(DEADLINE):
        scheduler.advance_by(1)
        assert bodies.wait(2) == ["1", "2"]
    assert scheduler.now - scheduler.to_datetime(0) == timedelta(hours=1)
    session.close()


def test_url_and_headers_are_asked_for_at_each_try(play):
    requests: list[bytes] = []

    def note(wire: Wire) -> None:
        requests.append(wire.request)

    def stay(wire: Wire) -> None:
        note(wire)
        wire.answer_close()

    base = play(in_turn(note, note, stay))
    numbers, tokens = count(1), count(1)
    socket = websocket(
        lambda: f"{base}/{next(numbers)}",
        headers=lambda: {"Authorization": f"Bearer {next(tokens)}"},
        reconnect=AT_ONCE,
    )
    session = socket.connect("feed?v=1")
    Seen(session.opens).wait(3)
    session.close()
    for number, request in enumerate(requests, 1):
        assert request.startswith(f"GET /{number}/feed?v=1 ".encode())
        assert f"Authorization: Bearer {number}\r\n".encode() in request


def test_a_url_that_can_not_be_had_now_is_an_error_that_is_tried_again(server):
    urls = iter([ValueError("no token"), server.url])

    def url() -> str:
        given = next(urls)
        if isinstance(given, Exception):
            raise given
        return given

    session = websocket(url, reconnect=AT_ONCE).prepare()
    assert "url()" in repr(websocket(url))
    assert "url()" in repr(session)
    errors = Seen(session.errors)
    session.start()
    Seen(session.opens).wait()
    session.close()
    assert "no token" in str(errors.one())


@pytest.mark.parametrize(
    ("given", "says"), [(7, "returned int, and a URL is a str"), ("ftp://host", "scheme is 'ftp'")]
)
def test_a_url_that_can_never_work_is_not_tried_again(connect, given, says):
    def url() -> Any:
        return given

    session = connect(url, reconnect=AT_ONCE)
    end = Seen(session.closes).one()
    assert isinstance(end.cause, EndpointException)
    assert says in str(end.cause)


# --- what is sent


def fill(session: Session) -> None:
    """Send until the peer takes nothing more."""
    while True:
        session.send(b"x" * 100_000)


def test_what_was_not_sent_when_the_connection_was_lost_is_told_and_not_sent_on_the_next(play, connect):
    received: list[Message | object] = []
    lost = threading.Event()

    def lose(wire: Wire) -> None:
        assert lost.wait(DEADLINE)

    def keep(wire: Wire) -> None:
        received.append(wire.next())
        wire.answer_close()

    session = connect(play(in_turn(lose, keep), buffer=4096), reconnect=AT_ONCE, send_timeout=0.1)
    closes = Seen(session.closes)
    Seen(session.opens).wait()
    with pytest.raises(SendException, match="does not read"):
        fill(session)
    lost.set()
    assert closes.wait()[0].unsent > 0
    Seen(session.opens.pipe(ops.filter(lambda event: event.connection == 2))).wait()
    session.send("new")
    session.close()
    assert received == ["new"]


def test_a_send_during_a_loss_waits_for_the_next_connection(play, connect):
    received: list[Message | object] = []

    def keep(wire: Wire) -> None:
        received.append(wire.next())
        wire.answer_close()

    session = connect(play(in_turn(saying("1"), keep)), reconnect=Backoff(initial=0.05, jitter=0))
    Seen(session.retries).wait()
    session.send("waited")
    session.close()
    assert received == ["waited"]


def test_two_sessions_that_send_by_each_other_both_come_back(play):
    count = 300

    def flood_and_reset(wire: Wire) -> None:
        wire.send(*map(str, range(count)))
        assert down.wait(DEADLINE)
        wire.reset()

    down = threading.Event()
    urls = [play(in_turn(flood_and_reset, staying())) for _ in range(2)]
    sessions = [websocket(url, reconnect=AT_ONCE, send_timeout=DEADLINE).prepare() for url in urls]
    barrier = threading.Barrier(2, timeout=DEADLINE)

    def relay(to: Session) -> Callable[[object], None]:
        def send(message: object) -> None:
            if message == "0":
                barrier.wait()
                down.set()
            ends = Seen(to.closes)
            with contextlib.suppress(SendException):
                while message == "0" and not ends.items:
                    to.send(str(message))
            with contextlib.suppress(SendException):
                to.send(str(message))

        return send

    for one, other in (sessions, reversed(sessions)):
        one.messages.data.subscribe(relay(other))
    seconds = [Seen(session.opens.pipe(ops.filter(lambda event: event.connection == 2))) for session in sessions]
    with within(DEADLINE / 2), sessions[0], sessions[1]:
        for session in sessions:
            session.start()
        for opened in seconds:
            opened.wait()


def test_a_session_that_was_not_started_sends_nothing_and_says_so(server):
    session = websocket(server.url).prepare()
    with within(1), pytest.raises(SendException, match=r"start\(\) was not called"):
        session.send("x")
    with pytest.raises(SendException, match=r"start\(\) was not called"):
        session.ping()
    session.reconnect()
    Seen(session.opens).wait()
    session.close()


def test_a_send_that_may_not_wait_raises_during_a_loss(play, connect):
    session = connect(play(saying("1")), reconnect=Backoff(initial=1000, maximum=1000))
    Seen(session.retries).wait()
    with pytest.raises(
        SendException, match=r"there is no connection to ws://\S+ \(.* ended the connection without a close frame\)"
    ):
        session.send("x", wait=False)
    session.close()


def test_a_send_while_the_server_closes_waits_for_the_next_connection(play, connect):
    received: list[Message | object] = []

    def close(wire: Wire) -> None:
        wire.raw(encode_close(Close(1001), masked=False))
        wire.frames()

    def keep(wire: Wire) -> None:
        received.append(wire.next())
        wire.answer_close()

    session = connect(play(in_turn(close, keep)), reconnect=AT_ONCE)
    sending = waits_to_send(session)
    sender = threading.Thread(target=session.send, args=("waited",))

    def send(state: object) -> None:
        if isinstance(state, Closing):  # before the next state, so that the send finds just this one
            sender.start()
            waited.append(sending.wait(DEADLINE))

    waited: list[bool] = []
    session.state.subscribe(send)
    Seen(session.opens.pipe(ops.filter(lambda event: event.connection == 2))).wait()
    sender.join(DEADLINE)
    session.close()
    assert waited == [True]
    assert received == ["waited"]


def test_a_send_that_waits_for_a_next_connection_is_refused_when_the_session_is_closed(play, connect):
    session = connect(play(saying("1")), reconnect=Backoff(initial=10_000, maximum=10_000))
    Seen(session.retries).wait()
    refused = threading.Event()

    def send() -> None:
        with pytest.raises(SendException, match="the session is closed"):
            session.send("waits")
        refused.set()

    sending = waits_to_send(session)
    sender = threading.Thread(target=send)
    sender.start()
    assert sending.wait(DEADLINE)
    session.close()
    assert refused.wait(DEADLINE)
    sender.join()


# --- the limit of one read


def reading(play, monkeypatch, data: bytes, script: Callable[[Wire], object]) -> Session:
    """A session, not started, whose first message is "all", and then data, which is all there to be read at once."""

    def send(wire: Wire) -> None:
        wire.send("all")
        assert reached.wait(DEADLINE)
        wire.raw(data)
        script(wire)

    def wait_for_all(text: str) -> None:
        if text == "all":
            reached.set()
            sock = session._channel.connection._sock
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, len(data))
            readable, _, _ = select.select([sock], [], [], DEADLINE)
            assert readable
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)

    reached = threading.Event()
    monkeypatch.setattr(rxsocket.runner, "KEEPER", Keeper(10 * DEADLINE))  # no keeper helps out
    session = websocket(play(script=send)).prepare()
    session.messages.body.subscribe(wait_for_all)
    return session


def piece(text: str) -> bytes:
    """Small messages, so that the reads do not grow, that fill one read; the last has a text."""
    small, last = encode_message("x" * 30, masked=False), encode_message(text, masked=False)
    count, rest = divmod(SMALL_PIECE - len(last), len(small))
    return small * (count - 1) + encode_message("x" * (30 + rest), masked=False) + last


def test_a_ping_right_behind_the_limit_of_one_read_is_answered_before_what_answers_the_messages(play, monkeypatch):
    def script(wire: Wire) -> None:
        found.extend((wire.next(), wire.next()))
        answered.set()
        wire.answer_close()

    found: list[object] = []
    answered = threading.Event()
    session = reading(play, monkeypatch, piece("last") + encode_ping(b"behind", masked=False), script)
    session.messages.body.subscribe(lambda text: session.send("answer") if text == "last" else None)
    session.start()
    assert answered.wait(DEADLINE)
    session.close()
    assert found == [Pong(b"behind"), "answer"]


def test_an_answer_waits_for_no_more_than_one_further_read(play, monkeypatch):
    def script(wire: Wire) -> None:
        assert wire.next() == "answer"
        answered.set()
        wire.answer_close()

    def respond(text: str) -> None:
        if text == "first":
            session.send("answer")
        elif text == "third":
            in_time.append(answered.wait(DEADLINE / 2))

    answered = threading.Event()
    in_time: list[bool] = []
    session = reading(play, monkeypatch, piece("first") + piece("second") + piece("third"), script)
    session.messages.body.subscribe(respond)
    session.start()
    assert answered.wait(DEADLINE)
    session.close()
    assert in_time == [True]


# --- by hand


def test_reconnect_makes_a_new_connection_now_also_without_a_policy(server, connect):
    session = connect(f"{server.url}/text")
    bodies, states, closes = Seen(session.messages.body), Seen(session.state), Seen(session.closes)
    session.send("before")
    bodies.wait()
    session.reconnect()
    Seen(session.opens.pipe(ops.filter(lambda event: event.connection == 2))).wait()
    session.send("after")
    assert bodies.wait(2) == ["echo: before", "echo: after"]
    session.close()
    assert kinds(states.all()) == [Connecting, Open, Closing, Connecting, Open, Closing, Closed]
    assert [(event.code, event.connection) for event in closes.all()] == [(1000, 1), (1000, 2)]


def test_reconnect_ends_the_waiting_for_a_try(play, connect):
    session = connect(play(in_turn(saying("1"), staying("2"))), reconnect=Backoff(initial=10_000, maximum=10_000))
    bodies = Seen(session.messages.body)
    Seen(session.retries).wait()
    session.reconnect()
    assert bodies.wait(2) == ["1", "2"]
    session.close()


def test_reconnect_goes_on_where_a_close_of_the_server_would_be_final(play, connect):
    session = connect(play(in_turn(saying("1", code=1000), staying("2"))))
    session.state.subscribe(lambda state: session.reconnect() if isinstance(state, Closing) else None)
    bodies = Seen(session.messages.body)
    assert bodies.wait(2) == ["1", "2"]
    session.close()


def test_a_reconnect_by_hand_does_not_outlive_its_connection(play, connect):
    session = connect(play(in_turn(staying("1"), saying("2"))))
    Seen(session.messages).wait()
    session.reconnect()
    assert [event.code for event in Seen(session.closes).all()][-1] == 1006
    assert isinstance(session.current_state, Closed)


def test_a_reconnect_by_hand_is_no_try_of_the_policy(play, connect):
    rounds = 5
    session = connect(
        play(in_turn(*[staying("x")] * rounds, saying("x"))), reconnect=Backoff(initial=3, jitter=0, attempts=1)
    )
    bodies, retries = Seen(session.messages.body), Seen(session.retries)
    for number in range(1, rounds + 1):
        bodies.wait(number)
        session.reconnect()
    assert [(retry.attempt, retry.delay) for retry in retries.wait()] == [(1, 3.0)]
    session.close()


def test_with_a_reconnect_by_hand_the_tries_are_counted_anew(play, connect):
    rounds = 5
    url = play(in_turn(*[refusing("503 Busy")] * rounds, accepting(staying("1"))), upgrade=False)
    session = connect(url, reconnect=Backoff(initial=3600, jitter=0, maximum=10_000, attempts=2))
    bodies, retries = Seen(session.messages.body), Seen(session.retries)
    for number in range(1, rounds + 1):
        retries.wait(number)
        session.reconnect()
    bodies.wait()
    session.close()
    assert [(retry.attempt, retry.delay) for retry in retries.all()] == [(1, 3600.0)] * rounds


def test_a_closed_session_can_not_be_reconnected(server, connect):
    session = connect(server.url)
    session.close()
    with pytest.raises(ConnectionException, match="closed: connect anew"):
        session.reconnect()


# --- closing


def test_a_close_during_the_waiting_is_at_once_and_the_end(play, connect):
    session = connect(play(saying("1")), reconnect=Backoff(initial=10_000, maximum=10_000))
    Seen(session.retries).wait()
    closes = Seen(session.closes)
    with within(1):
        session.close(reason="enough")
    assert [(event.reason, event.connection) for event in closes.all()][-1] == ("enough", 2)


def test_a_close_while_the_server_closes_is_the_end(play, connect):
    session = connect(play(in_turn(saying("1", code=1001), staying("2"))), reconnect=AT_ONCE)
    session.state.subscribe(lambda state: session.close() if isinstance(state, Closing) else None)
    assert Seen(session.closes).one().code == 1001


def test_closing_at_every_moment_leaves_one_end(play):
    def leave(wire: Wire) -> None:
        with contextlib.suppress(OSError):  # the client may have left before
            wire.send("x")

    url = play(leave)
    for moment in range(1, 30):
        session = websocket(url, reconnect=AT_ONCE, close_timeout=1).prepare()
        states = Seen(session.state)
        reached = Seen(session.state.pipe(ops.take(moment)))
        session.start()
        reached.all()
        session.close()
        found = kinds(states.all())
        assert found.count(Closed) == 1
        assert found[-1] is Closed
        assert all((old, new) != (Closing, Open) for old, new in pairwise(found))


def logged(caplog) -> list[tuple[int, str]]:
    return [(record.levelno, record.message) for record in caplog.records]


def test_a_loss_is_a_warning_further_tries_are_not_and_the_next_connection_is_logged(play, connect, caplog):
    caplog.set_level(logging.INFO, "rxsocket")
    scripts = accepting(saying("1")), refusing("503 Busy"), refusing("503 Busy"), accepting(staying("2"))
    session = connect(play(in_turn(*scripts), upgrade=False), reconnect=AT_ONCE)
    Seen(session.messages.body).wait(2)
    session.close()
    expected = (
        (logging.WARNING, "without a close frame; try 1 to connect again in 0 s"),
        (logging.INFO, "503 Busy; try 2 to connect again in 0 s"),
        (logging.INFO, "503 Busy; try 3 to connect again in 0 s"),
        (logging.INFO, "connected again, at try 3"),
        (logging.INFO, "closed by the client with 1000"),
    )
    for (level, text), (expected_level, part) in zip(logged(caplog), expected, strict=True):
        assert level == expected_level
        assert part in text


def test_each_loss_is_a_warning(play, connect, caplog):
    caplog.set_level(logging.WARNING, "rxsocket")
    session = connect(play(in_turn(saying("1"), saying("2"), staying("3"))), reconnect=AT_ONCE)
    Seen(session.messages.body).wait(3)
    session.close()
    assert ["try 1 to" in text or "try 2 to" in text for _, text in logged(caplog)] == [True, True]


def test_a_peer_that_breaks_a_limit_is_one_warning_that_says_what_follows(play, connect, caplog):
    caplog.set_level(logging.WARNING, "rxsocket")
    session = connect(play(in_turn(saying("123456"), staying("1"))), max_size=5, reconnect=AT_ONCE)
    Seen(session.messages.body).wait()
    session.close()
    ((_, text),) = logged(caplog)
    assert "failed with 1009 a message has 6 bytes or more, and max_size is 5; try 1 to connect again" in text


def test_a_server_that_goes_away_is_a_warning_where_it_is_connected_to_again(play, connect, caplog):
    caplog.set_level(logging.WARNING, "rxsocket")
    session = connect(play(in_turn(saying("1", code=1001), staying("2"))), reconnect=AT_ONCE)
    Seen(session.messages.body).wait(2)
    session.close()
    ((_, text),) = logged(caplog)
    assert "closed by the server with 1001; try 1 to connect again" in text


@pytest.mark.parametrize("code", [1000, 1008])
def test_that_no_further_try_follows_is_a_warning(play, connect, caplog, code):
    caplog.set_level(logging.WARNING, "rxsocket")
    session = connect(play(saying("1", code=code)), reconnect=AT_ONCE)
    Seen(session.closes).all()
    ((_, text),) = logged(caplog)
    assert f"closed by the server with {code}; not tried again" in text


def test_that_the_policy_gives_up_is_a_warning(play, connect, caplog):
    caplog.set_level(logging.WARNING, "rxsocket")
    session = connect(play(refusing("503 Busy"), upgrade=False), reconnect=Backoff(initial=0, attempts=2))
    Seen(session.closes).all()
    assert [text.rpartition("; ")[2] for _, text in logged(caplog)] == [
        "try 1 to connect again in 0 s",
        "given up after attempts=2",
    ]


def test_what_the_user_asks_for_is_no_warning(play, connect, caplog):
    caplog.set_level(logging.INFO, "rxsocket")
    session = connect(play(staying("x")), reconnect=AT_ONCE)
    bodies = Seen(session.messages.body)
    bodies.wait()
    session.reconnect()
    bodies.wait(2)
    session.close()
    assert [(level, text.partition(": ")[2]) for level, text in logged(caplog)] == [
        (logging.INFO, "closed by the client with 1000; connecting again"),
        (logging.INFO, "connected again"),
        (logging.INFO, "closed by the client with 1000"),
    ]


def test_a_thousand_losses_lose_double_and_reorder_nothing():
    """A counter in every message: of each connection, what was sent before its end has come, in order, and once."""
    sent: list[list[int]] = []
    numbers = count()

    def script(wire: Wire) -> None:
        batch = [next(numbers) for _ in range(1 + len(sent) % 7)]
        sent.append(batch)
        wire.send(*map(str, batch))
        if len(sent) % 3 == 0:
            wire.raw(b"\x81\x7e")  # and the loss comes amid a frame

    with ScriptedPeer(script) as peer:
        session = websocket(peer.url, reconnect=AT_ONCE, close_timeout=1).prepare()
        messages, closes = Seen(session.messages), Seen(session.closes)
        session.start()
        losses = closes.wait(1000)
        session.close()
        found = messages.all()
    for number in range(1, len(losses) + 1):
        assert [int(event.data) for event in found if event.connection == number] == sent[number - 1]
    assert [event.connection for event in losses] == list(range(1, len(losses) + 1))


def test_an_endpoint_says_how_its_sessions_connect_again():
    socket = websocket("ws://host")
    assert socket.backoff is None
    assert socket.reconnecting(AT_ONCE).backoff is AT_ONCE
    assert socket.reconnecting(AT_ONCE).reconnecting(None) == socket


def test_a_close_event_of_a_loss_keeps_its_number(server: EchoServer, connect):
    session = connect(f"{server.url}/terminate", reconnect=AT_ONCE)
    closes = Seen(session.closes)
    for number in (1, 2):
        Seen(session.opens.pipe(ops.filter(lambda event, number=number: event.connection == number))).wait()
        session.send("end")
        closes.wait(number)
    session.close()
    assert [event.connection for event in closes.all()][:2] == [1, 2]
    assert all(isinstance(event, CloseEvent) for event in closes.items)


# --- telling it to close, and to connect again, at once


def closing_by_the_server(play, then: Callable[[Wire], object]) -> str:
    """A server that begins to close its first connection, and does something else on the next."""

    def first(wire: Wire) -> None:
        wire.raw(encode_close(Close(1001), masked=False))
        wire.frames()

    return play(in_turn(first, then))


def test_a_close_is_not_undone_by_a_reconnect(play, connect):
    session = connect(closing_by_the_server(play, staying("2")), reconnect=AT_ONCE)
    refused: list[Exception] = []

    def close_and_reconnect(state: object) -> None:
        if isinstance(state, Closing):
            session.close()
            with pytest.raises(ConnectionException, match="closed"):
                session.reconnect()
            refused.append(ConnectionException())

    session.state.subscribe(close_and_reconnect)
    assert Seen(session.closes).one().code == 1001
    assert len(refused) == 1


def test_reconnecting_twice_in_a_row_makes_one_new_connection(play, connect):
    def close_late(wire: Wire) -> None:
        close = wire.close_frame()
        assert told_twice.wait(DEADLINE)
        wire.close(close)

    told_twice = threading.Event()
    session = connect(play(in_turn(close_late, saying("2"))))
    opens = Seen(session.opens)
    opens.wait()
    session.reconnect()
    session.reconnect()
    told_twice.set()
    assert [event.connection for event in opens.all()] == [1, 2]


def test_a_reconnect_during_a_try_makes_no_second_try(play, connect):
    asked, go_on = threading.Event(), threading.Event()

    def refuse(wire: Wire) -> None:
        wire.read_request()
        asked.set()
        assert go_on.wait(DEADLINE)
        wire.raw(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")

    session = connect(play(refuse, upgrade=False))
    retries = Seen(session.retries)
    assert asked.wait(DEADLINE)
    session.reconnect()
    go_on.set()
    assert retries.all() == []


def test_what_is_held_is_delivered_while_a_try_is_waited_with(play, connect):
    session = connect(play(saying("1", "2")), reconnect=Backoff(initial=10_000, maximum=10_000))
    Seen(session.retries).wait()
    assert Seen(session.messages.body).wait(2) == ["1", "2"]
    session.pause()
    session.resume()
    session.close()


def test_a_url_is_not_asked_for_after_the_close(play):
    base = play(saying("1"))
    asked: list[int] = []

    def url() -> str:
        asked.append(1)
        return base

    session = websocket(url, reconnect=Backoff(initial=10_000, maximum=10_000)).connect()
    Seen(session.retries).wait()
    session.close()
    session._thread.join(DEADLINE)
    assert len(asked) == 1


def test_a_scheduler_that_raises_ends_the_session_with_that_as_the_cause(play, connect):
    class Broken(VirtualTimeScheduler):
        def schedule_relative(self, *_: object) -> Any:
            raise LookupError("no time")

    session = connect(play(saying("1")), reconnect=Backoff(scheduler=Broken()))
    end = Seen(session.closes).all()[-1]
    assert isinstance(end.cause, ConnectionException)
    assert isinstance(end.cause.__cause__, LookupError)


def test_while_a_try_is_waited_with_there_is_no_protocol(server, connect):
    session = connect(f"{server.url}/terminate", "chat.v1", reconnect=Backoff(initial=10_000, maximum=10_000))
    Seen(session.opens).wait()
    assert session.protocol == "chat.v1"
    session.send("end")
    Seen(session.retries).wait()
    assert session.protocol is None
    session.close()


def test_the_end_is_told_of_before_a_close_returns(play, connect):
    """Also where a subscriber on another thread is still at the event before it."""
    reached, go_on = threading.Event(), threading.Event()
    told: list[object] = []

    def slowly(state: object) -> None:
        told.append(type(state))
        if isinstance(state, Closing):
            reached.set()
            assert go_on.wait(DEADLINE)

    session = connect(play(staying("1")), close_timeout=DEADLINE)
    Seen(session.messages.body).wait()
    session.state.subscribe(slowly)
    closer = threading.Thread(target=session.close)
    closer.start()
    assert reached.wait(DEADLINE)
    go_on.set()
    closer.join()
    assert told[-2:] == [Closing, Closed]


def test_a_close_amid_what_was_held_lets_the_sessions_thread_deliver_it_all(play, connect) -> None:
    def script(wire: Wire) -> None:
        wire.send(*map(str, range(100)))
        wire.next()  # and cut

    session = connect(play(script), paused=True, reconnect=Backoff(initial=60, jitter=0))
    told: list[tuple[str, int]] = []
    amid, go_on = threading.Event(), threading.Event()

    def take(text: str) -> None:
        told.append((text, threading.get_ident()))
        if text == "20":
            amid.set()
            assert go_on.wait(DEADLINE)

    ended = threading.Event()
    session.messages.body.subscribe(take, on_completed=ended.set)
    Seen(session.opens).wait()
    session.send("cut")
    Seen(session.retries).wait()
    session.resume()
    assert amid.wait(DEADLINE)
    session.close()
    go_on.set()
    assert ended.wait(DEADLINE)
    assert [text for text, _ in told] == [str(number) for number in range(100)]
    assert len({thread for _, thread in told}) == 1
