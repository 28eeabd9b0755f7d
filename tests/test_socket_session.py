"""A session's life over real sockets: what it receives, sends, reports, and how it ends."""

from __future__ import annotations

import array
import contextlib
import logging
import os
import queue
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import reactivex.operators as ops
from servers import BURST, DEADLINE, EchoServer, Seen, Wire, within
from threads import waits_to_send

from rxsocket.encoding import encode_close, encode_frame, encode_message, encode_ping, encode_pong
from rxsocket.errors import (
    CloseException,
    ConnectionException,
    HoldException,
    ProtocolException,
    RxSocketException,
    SendException,
    SubscriberException,
)
from rxsocket.frames import BINARY, CONTINUATION, TEXT, Close, Pong
from rxsocket.messages import MORE_HELD
from rxsocket.outgoing import HIGH_WATER
from rxsocket.session import Session
from rxsocket.socket import websocket
from rxsocket.socket_session import close_all
from rxsocket.states import Closed, CloseEvent, Closing, Connecting, Open, OpenEvent

MIB = 1 << 20


def keep_open(wire: Wire) -> None:
    """A peer's script: read to the end, and answer the close."""
    wire.answer_close()


def close_event(session: Session) -> CloseEvent:
    return Seen(session.closes).one()


def is_open(session: Session) -> OpenEvent:
    """Wait until the session is open."""
    return Seen(session.opens).wait()[0]


# --- what arrives before somebody subscribes


def test_what_a_server_sends_with_the_handshake_is_there_for_a_later_subscriber(play, connect):
    texts = [str(number) for number in range(10_000)]
    sent = threading.Event()

    def script(wire: Wire) -> None:
        wire.upgrade(also=b"".join(encode_message(text, masked=False) for text in texts[:9000]))
        wire.send(*texts[9000:])
        wire.raw(encode_ping(b"all read?", masked=False))
        assert wire.next() == Pong(b"all read?")
        sent.set()
        wire.answer_close()

    session = connect(play(script, upgrade=False))
    errors = Seen(session.errors)
    assert sent.wait(DEADLINE)  # the pong says that the session has read, and so holds, all of it
    bodies = Seen(session.messages.body)
    assert bodies.wait(10_000) == texts
    assert not errors.items


def test_a_first_subscription_to_each_view_gets_what_was_held(play, connect):
    def script(wire: Wire) -> None:
        wire.send("text", b"bytes")
        wire.raw(encode_ping(b"", masked=False))
        wire.next()
        held.release()
        wire.answer_close()

    url = play(script)
    held = threading.Semaphore(0)
    for view, expected in (
        (lambda messages: messages.pipe(ops.map(lambda event: event.data)), ["text", b"bytes"]),
        (lambda messages: messages.data, ["text", b"bytes"]),
        (lambda messages: messages.body, ["text"]),
        (lambda messages: messages.blob, [b"bytes"]),
        (lambda messages: messages.array_buffer, [b"bytes"]),
    ):
        session = connect(url)
        assert held.acquire(timeout=DEADLINE)
        seen = Seen(view(session.messages))
        session.close()
        assert seen.all() == expected


def test_paused_from_the_start_all_views_get_everything(play, connect):
    def script(wire: Wire) -> None:
        wire.upgrade(also=encode_message(b"one", masked=False) + encode_message("two", masked=False))
        wire.send(b"three")
        wire.raw(encode_ping(b"", masked=False))
        wire.next()
        sent.set()
        wire.answer_close()

    sent = threading.Event()
    session = connect(play(script, upgrade=False), paused=True)
    assert sent.wait(DEADLINE)
    blobs, buffers = Seen(session.messages.blob), Seen(session.messages.array_buffer)
    events, bodies = Seen(session.messages), Seen(session.messages.body)
    assert not blobs.items
    session.resume()
    assert blobs.wait(2) == [b"one", b"three"]
    assert buffers.wait(2) == [memoryview(b"one"), memoryview(b"three")]
    assert bodies.wait(1) == ["two"]
    assert [event.data for event in events.wait(3)] == [b"one", "two", b"three"]
    assert {event.connection for event in events.items} == {1}


@pytest.mark.parametrize("options", [{"max_held": 64_000}, {"max_held_messages": 64}])
def test_a_pause_stops_reading_at_the_bound_and_loses_nothing(play, connect, options):
    chunks = [bytes([number % 256]) * 1000 for number in range(40_000)]
    blocked = threading.Event()

    def script(wire: Wire) -> None:
        data = b"".join(encode_message(chunk, masked=False) for chunk in chunks)
        sent = 0
        wire.sock.settimeout(0.2)
        with contextlib.suppress(TimeoutError):  # for so long nobody has read
            while sent < len(data):
                sent += wire.sock.send(data[sent : sent + MIB])
        assert sent < len(data), "it was read all the same"
        wire.sock.settimeout(DEADLINE)
        blocked.set()
        wire.raw(data[sent:])
        wire.answer_close()

    session = connect(play(script), paused=True, **options)
    blobs = Seen(session.messages.blob)
    assert blocked.wait(DEADLINE)
    assert not blobs.items
    session.resume()
    assert blobs.wait(len(chunks)) == chunks


@pytest.mark.parametrize(
    ("options", "texts"),
    [({"max_held_messages": 100}, ["x"] * 101), ({"max_held": 10_000}, ["x" * 1000] * 11)],
)
def test_too_many_messages_held_for_nobody_are_let_go_and_the_session_goes_on(play, connect, caplog, options, texts):
    def script(wire: Wire) -> None:
        assert subscribed.wait(DEADLINE)
        wire.send(*texts)
        wire.raw(encode_ping(b"still there?", masked=False))
        assert wire.next() == Pong(b"still there?")
        let_go.set()
        assert wire.next() == "a question"
        wire.send("an answer")
        wire.answer_close()

    subscribed, let_go = threading.Event(), threading.Event()
    session = connect(play(script), **options)
    errors = Seen(session.errors)
    subscribed.set()
    assert let_go.wait(DEADLINE)
    [error] = errors.wait()
    assert isinstance(error, HoldException)
    assert (error.messages, error.size) == (len(texts), sum(map(len, texts)))
    assert f"{len(texts)} messages" in caplog.text
    bodies = Seen(session.messages.body)
    session.send("a question")
    assert bodies.wait() == ["an answer"]
    session.close()
    assert close_event(session).was_clean
    assert errors.all() == [error]


@pytest.mark.parametrize(
    ("options", "texts"),
    [({"max_held_messages": 100}, ["x"] * 100), ({"max_held": 10_000}, ["x" * 1000] * 10)],
)
def test_as_much_as_the_bound_allows_is_held(play, connect, options, texts):
    def script(wire: Wire) -> None:
        wire.send(*texts)
        wire.raw(encode_ping(b"", masked=False))
        wire.next()
        sent.set()
        wire.answer_close()

    sent = threading.Event()
    session = connect(play(script), **options)
    assert sent.wait(DEADLINE)
    assert Seen(session.messages.body).wait(len(texts)) == texts


def test_held_messages_outlive_the_session_and_then_the_streams_complete(play, connect):
    def script(wire: Wire) -> None:
        wire.send("one", "two", b"three")
        wire.close(Close(1000, "done"))
        wire.wait_for_end()

    session = connect(play(script))
    assert close_event(session).reason == "done"
    assert Seen(session.messages.data).all() == ["one", "two", b"three"]
    assert Seen(session.messages.data).all() == []
    assert Seen(session.messages).all() == []


# --- what is received


def test_messages_complete_after_the_last(play, connect):
    def script(wire: Wire) -> None:
        assert subscribed.wait(DEADLINE)
        wire.raw(encode_message("last", masked=False) + encode_close(Close(1000), masked=False))
        wire.sock.shutdown(socket.SHUT_WR)
        wire.wait_for_end()

    subscribed = threading.Event()
    session = connect(play(script))
    views = [Seen(view) for view in (session.messages, session.messages.data, session.messages.body)]
    others = [Seen(view) for view in (session.messages.blob, session.messages.array_buffer)]
    subscribed.set()
    assert [len(view.all()) for view in views] == [1, 1, 1]
    assert [view.all() for view in others] == [[], []]
    assert all(view.error is None for view in (*views, *others))


def test_a_fragmented_message_arrives_as_one_with_pings_between_answered(play, connect):
    def script(wire: Wire) -> None:
        first, second = "grüße"[:3].encode()[:3], "grüße".encode()[3:]  # cut inside of a character
        wire.raw(encode_frame(TEXT, first, final=False, masked=False))
        wire.raw(encode_ping(b"between", masked=False))
        assert wire.next() == Pong(b"between")
        wire.raw(encode_frame(CONTINUATION, b"", final=False, masked=False))
        wire.raw(encode_frame(CONTINUATION, second, masked=False))
        for byte in encode_frame(BINARY, b"a", final=False, masked=False) + encode_frame(
            CONTINUATION, b"b", masked=False
        ):
            wire.raw(bytes([byte]))
        wire.answer_close()

    session = connect(play(script))
    assert Seen(session.messages.data).wait(2) == ["grüße", b"ab"]


def test_pings_are_answered_with_their_payload_and_pongs_are_not(play, connect):
    def script(wire: Wire) -> None:
        answers: list[object] = []
        for payload in (b"", b"\x00\xff", b"x" * 125):
            wire.raw(encode_pong(b"nobody asked", masked=False) + encode_ping(payload, masked=False))
            answers.append(wire.next())
        wire.raw(encode_ping(b"1", masked=False) + encode_ping(b"2", masked=False))
        answers.extend([wire.next(), wire.next()])
        wire.raw(encode_close(Close(1000), masked=False))
        answers.append(wire.next())
        found.put(answers)

    found: queue.SimpleQueue[list[object]] = queue.SimpleQueue()
    session = connect(play(script))  # nobody is subscribed to anything
    payloads = [b"", b"\x00\xff", b"x" * 125, b"1", b"2"]
    assert found.get(timeout=DEADLINE) == [*map(Pong, payloads), Close(1000)]
    assert close_event(session).was_clean


def test_a_peer_that_pings_and_never_reads_does_not_fill_the_memory(play, connect):
    def script(wire: Wire) -> None:
        wire.raw(encode_ping(b"x" * 125, masked=False) * 100_000)
        sent.set()
        assert looked.wait(DEADLINE)
        while wire.next() == Pong(b"x" * 125):
            pass
        wire.raw(encode_ping(b"and now?", masked=False))
        while wire.next() != Pong(b"and now?"):
            pass
        read.set()
        wire.answer_close()

    sent, looked, read = threading.Event(), threading.Event(), threading.Event()
    session = connect(play(script, buffer=4096), max_outgoing=10_000)
    assert sent.wait(DEADLINE)
    assert len(session._outgoing) < 10_000 + 200
    looked.set()
    session.send("all of them")
    assert read.wait(DEADLINE)


def test_an_echo_of_a_hundred_megabytes_to_a_peer_that_does_not_read_meanwhile_does_not_deadlock(play, connect):
    chunks = [number.to_bytes(4, "big") * 16384 for number in range(1600)]

    def script(wire: Wire) -> None:
        wire.send(*chunks)
        came.extend(wire.next() == chunk for chunk in chunks)
        done.set()
        wire.answer_close()

    came: list[bool] = []
    done = threading.Event()
    session = connect(play(script))
    session.messages.blob.subscribe(session.send)
    assert done.wait(20)
    assert all(came)
    assert len(came) == len(chunks)


# --- what is sent


def test_what_threads_send_at_once_arrives_whole_and_in_the_order_of_each(play, connect):
    def script(wire: Wire) -> None:
        for _ in range(8 * 200):
            text = wire.next()
            assert isinstance(text, str)
            came.append(text.split(" "))
        wire.answer_close()

    def send(thread: int) -> None:
        assert start.wait(DEADLINE)
        for number in range(200):
            session.send(f"{thread} {number} {'x' * (number * 97 % 5000)}")

    came: list[list[str]] = []
    start = threading.Event()
    session = connect(play(script))
    with ThreadPoolExecutor(8) as threads:
        sending = [threads.submit(send, thread) for thread in range(8)]
        start.set()
        for future in sending:
            future.result(DEADLINE)
    session.close()
    assert close_event(session).was_clean
    for thread in range(8):
        assert [int(number) for name, number, _ in came if name == str(thread)] == list(range(200))
    assert all(len(filling) == int(number) * 97 % 5000 for _, number, filling in came)


def test_each_type_of_message_goes_as_text_or_binary(play, connect):
    def script(wire: Wire) -> None:
        came.extend(wire.next() for _ in range(6))
        wire.answer_close()

    came: list[object] = []
    session = connect(play(script))
    view = memoryview(b"0123456789")
    for message in ("text", b"bytes", bytearray(b"array"), view[2:5], view[::2], memoryview(array.array("H", [1]))):
        session.send(message)
    session.close()
    assert came == ["text", b"bytes", b"array", b"234", b"02468", array.array("H", [1]).tobytes()]


@pytest.mark.parametrize("message", [None, 1, ["text"], {"a": 1}])
def test_a_message_of_another_type_is_a_type_error_that_names_what_is_accepted(server, connect, message):
    session = connect(server.url)
    with pytest.raises(TypeError, match="a str, bytes, bytearray or memoryview"):
        session.send(message)
    is_open(session)
    with pytest.raises(TypeError, match=type(message).__name__):
        session.send(message)


def test_a_send_while_connecting_waits_and_then_sends(play, connect):
    def script(wire: Wire) -> None:
        wire.read_request()
        assert waits.wait(DEADLINE)
        wire.raw(wire.response())
        came.append(wire.next())
        wire.answer_close()

    came: list[object] = []
    waits = threading.Event()
    session = connect(play(script, upgrade=False))
    sending = waits_to_send(session)
    with ThreadPoolExecutor(1) as threads:
        sent = threads.submit(session.send, "early")
        assert sending.wait(DEADLINE)
        assert not sent.done()
        assert isinstance(session.current_state, Connecting)
        waits.set()
        sent.result(DEADLINE)
    session.close()
    assert came == ["early"]


def test_a_send_while_connecting_raises_when_connecting_fails(play, connect):
    def script(wire: Wire) -> None:
        wire.read_request()
        assert waits.wait(DEADLINE)
        wire.raw(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    waits = threading.Event()
    session = connect(play(script, upgrade=False))
    sending = waits_to_send(session)
    with ThreadPoolExecutor(1) as threads:
        sent = threads.submit(session.send, "early")
        assert sending.wait(DEADLINE)
        waits.set()
        with pytest.raises(SendException, match=r"not sent: the session is closed .*403 Forbidden"):
            sent.result(DEADLINE)


def test_a_send_while_connecting_raises_when_the_session_is_closed_meanwhile(play, connect):
    session = connect(play(Wire.wait_for_end, upgrade=False))
    sending = waits_to_send(session)
    with ThreadPoolExecutor(1) as threads:
        sent = threads.submit(session.send, "early")
        assert sending.wait(DEADLINE)
        session.close(reason="changed my mind")
        with pytest.raises(SendException, match=r"the session is closed .*changed my mind"):
            sent.result(DEADLINE)


def test_a_send_while_connecting_raises_at_send_timeout(play, connect):
    session = connect(play(Wire.wait_for_end, upgrade=False), send_timeout=0.1)
    with pytest.raises(SendException, match=r"no connection to ws://\S+ after send_timeout=0.1 s"):
        session.send("early")
    assert isinstance(session.current_state, Connecting)


def fill(session: Session) -> None:
    while True:
        session.send(bytes(MIB))


def test_a_send_to_a_peer_that_never_reads_raises_at_send_timeout_and_names_it(play, connect):
    def script(wire: Wire) -> None:
        assert done.wait(DEADLINE)

    done = threading.Event()
    session = connect(play(script, buffer=4096), send_timeout=0.1, close_timeout=0.2)
    with pytest.raises(SendException, match=r"the peer does not read after send_timeout=0.1 s"):
        fill(session)
    assert len(session._outgoing) <= HIGH_WATER + MIB + 14  # one more message than where it begins to wait
    assert isinstance(session.current_state, Open)
    with within(1):
        session.close()
    done.set()
    end = close_event(session)
    assert (end.code, end.initiator, end.was_clean) == (1006, "client", False)


def test_a_send_that_waits_for_the_peer_raises_when_the_session_is_closed(play, connect):
    def script(wire: Wire) -> None:
        assert done.wait(DEADLINE)

    done = threading.Event()
    session = connect(play(script, buffer=4096), close_timeout=0.2)
    is_open(session)
    sending = waits_to_send(session)
    with ThreadPoolExecutor(1) as threads:
        filling = threads.submit(fill, session)
        assert sending.wait(DEADLINE)
        session.close()
        done.set()
        with pytest.raises(SendException, match="the session is clos"):
            filling.result(DEADLINE)


def test_two_sessions_that_send_what_the_other_receives_do_not_stop_each_other(play, connect):
    # More than the sockets' buffers and 1 MiB beside them can hold, both ways, before either peer reads.
    count, size = 64, 1 << 17

    def script(wire: Wire) -> None:
        writer = threading.Thread(target=lambda: wire.send(*[bytes(size)] * count))
        writer.start()
        writer.join()
        for _ in range(count):
            found = wire.next()
            assert isinstance(found, bytes)
            assert len(found) == size
        done.release()
        wire.frames()

    done = threading.Semaphore(0)
    one, other = connect(play(script), paused=True), connect(play(script), paused=True)
    one.messages.blob.subscribe(other.send)
    other.messages.blob.subscribe(one.send)
    one.resume()
    other.resume()
    assert done.acquire(timeout=DEADLINE)
    assert done.acquire(timeout=DEADLINE)


def test_a_send_in_a_subscriber_raises_beyond_max_outgoing_and_the_session_goes_on(play, connect):
    def script(wire: Wire) -> None:
        wire.send("go")
        assert raised.wait(DEADLINE)
        found.put([wire.next(), wire.next(), wire.answer_close()])

    def flood(_: str) -> None:
        try:
            fill(session)
        except SendException as error:
            refused.append(error)
            session.close(3000)
            raised.set()

    found: queue.SimpleQueue[list[object]] = queue.SimpleQueue()
    refused: list[SendException] = []
    raised = threading.Event()
    session = connect(play(script), max_outgoing=3 * MIB)
    session.messages.body.subscribe(flood)
    assert raised.wait(DEADLINE)
    assert close_event(session).sent == Close(3000)
    assert "over max_outgoing=3145728 bytes" in str(refused[0])
    assert found.get(timeout=DEADLINE) == [bytes(MIB), bytes(MIB), Close(3000)]


@pytest.mark.parametrize("end", ["client", "server"])
def test_a_send_after_the_end_raises(server, connect, end):
    session = connect(f"{server.url}/close")
    is_open(session)
    if end == "client":
        session.close()
    else:
        session.send("1000 done")
        close_event(session)
    with pytest.raises(SendException, match=r"not sent: the session is closed \(1000"):
        session.send("late")


# --- subscribers that raise


def fail(_: object) -> None:
    raise ZeroDivisionError("a mistake of mine")


@pytest.mark.parametrize("view", ["messages", "messages.data", "messages.body"])
def test_a_subscriber_of_messages_that_raises_is_named_and_harms_nobody(server, connect, caplog, view):
    session = connect(f"{server.url}/text")
    errors = Seen(session.errors)
    stream = session.messages if view == "messages" else getattr(session.messages, view.partition(".")[2])
    stream.subscribe(fail)
    stream.pipe(ops.map(lambda message: message)).subscribe(fail)
    same, other = Seen(stream), Seen(session.messages.body)
    for text in "abc":
        session.send(text)
    assert len(same.wait(3)) == 3
    assert other.wait(3) == ["echo: a", "echo: b", "echo: c"]
    session.close()
    assert close_event(session).was_clean
    assert [type(error) for error in errors.all()] == [SubscriberException] * 6  # they stay subscribed
    assert {error.stream for error in errors.items} == {view}
    assert all(isinstance(error.__cause__, ZeroDivisionError) for error in errors.items)
    assert f"a subscriber of {view} raised" in caplog.text
    assert "a mistake of mine" in caplog.text
    assert 'in fail\n    raise ZeroDivisionError("a mistake of mine")' in caplog.text


@pytest.mark.parametrize("view", ["blob", "array_buffer"])
def test_a_subscriber_of_binary_messages_that_raises_is_named(server, connect, view):
    session = connect(f"{server.url}/echo")
    errors = Seen(session.errors)
    getattr(session.messages, view).subscribe(fail)
    session.send(b"1")
    [error] = errors.wait()
    assert isinstance(error, SubscriberException)
    assert error.stream == f"messages.{view}"


@pytest.mark.parametrize("stream", ["state", "opens", "closes", "is_connecting", "is_open", "is_closed"])
def test_a_subscriber_of_the_lifecycle_that_raises_is_named_and_harms_nobody(play, connect, caplog, stream):
    def script(wire: Wire) -> None:
        wire.read_request()
        assert subscribed.wait(DEADLINE)
        wire.raw(wire.response())
        keep_open(wire)

    subscribed = threading.Event()
    session = connect(play(script, upgrade=False))
    errors = Seen(session.errors)
    getattr(session, stream).subscribe(fail)
    states = Seen(session.state)
    subscribed.set()
    is_open(session)
    session.close()
    assert [type(state) for state in states.all()] == [Connecting, Open, Closing, Closed]
    names = [error.stream for error in errors.all() if isinstance(error, SubscriberException)]
    assert set(names) == {stream}
    assert f"a subscriber of {stream} raised" in caplog.text
    assert "a mistake of mine" in caplog.text


def test_a_subscriber_of_errors_that_raises_is_logged_and_harms_nobody(server, connect, caplog):
    session = connect(f"{server.url}/text")
    session.errors.subscribe(fail)
    errors = Seen(session.errors)
    session.messages.body.subscribe(fail)
    for text in "ab":
        session.send(text)
    assert len(errors.wait(2)) == 2
    session.close()
    assert len(errors.all()) == 2
    records = [record for record in caplog.records if record.getMessage() == "a subscriber of errors raised"]
    assert len(records) == 2
    assert records[0].exc_info[0] is ZeroDivisionError


@pytest.mark.parametrize("leave", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_subscriber_that_raises_what_is_no_exception_is_reported_and_the_session_goes_on(server, connect, leave):
    def go(_: object = None) -> None:
        raise leave

    session = connect(f"{server.url}/text")
    is_open(session)
    session.errors.subscribe(go)
    errors = Seen(session.errors)
    session.messages.body.subscribe(go, on_completed=go)
    session.closes.subscribe(go, on_completed=go)
    bodies, closes = Seen(session.messages.body), Seen(session.closes)
    for text in "ab":
        session.send(text)
    assert bodies.wait(2) == ["echo: a", "echo: b"]
    session.close()
    assert closes.one().code == 1000
    assert bodies.is_completed
    raised = [(error.stream, type(error.__cause__)) for error in errors.all()]
    assert raised == [(f"{stream}", leave) for stream in ("messages.body",) * 3 + ("closes",) * 2]


def test_a_child_process_that_ends_leaves_its_parents_session_alone(server):
    script = f"""if True:
        import os, sys
        from reactivex import operators as ops
        from rxsocket import websocket
        from rxsocket.conversation import session_threads
        session = websocket({server.url!r}).connect()
        session.send("before")
        session.ping().run()
        child = os.fork()
        if child == 0:
            assert not session_threads  # of the parent; a thread of the child may have the same number
            sys.exit()
        assert os.waitpid(child, 0)[1] == 0
        session.send("after")
        print(session.messages.body.pipe(ops.take(2), ops.to_list()).run())
        session.close()
        print(session.current_state.event.code)
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=True)  # noqa: S603
    assert done.stdout == "['before', 'after']\n1000\n"


def test_a_prepared_session_shows_its_whole_life_to_who_subscribed_before_the_start(server):
    session = websocket(server.url).prepare("/burst")
    states, bodies = Seen(session.state), Seen(session.messages.body)
    session.pause()
    assert session.start() is session.start()
    is_open(session)
    session.resume()
    assert bodies.wait(BURST)[:BURST] == [str(number) for number in range(BURST)]
    session.close()
    assert [type(state) for state in states.all()] == [Connecting, Open, Closing, Closed]


def test_where_the_system_has_no_descriptor_left_the_error_says_so():
    script = """if True:
        import resource
        from rxsocket import ConnectionException, websocket
        sessions = [websocket("ws://127.0.0.1:1").prepare()]
        resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
        try:
            for _ in range(20):
                sessions.append(websocket("ws://127.0.0.1:1").prepare())
        except ConnectionException as error:
            print(type(error.__cause__).__name__, error)
        for session in sessions:
            session.close()
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=True)  # noqa: S603
    assert done.stdout.startswith("OSError no session with ws://127.0.0.1:1 could be made: [Errno 24]")
    assert "ulimit -n" in done.stdout


@pytest.mark.parametrize("names", [["rxsocket ws://127.0.0.1:1"], ["rxsocket keeper"]])
def test_where_the_system_has_no_thread_left_the_session_is_closed(monkeypatch, names):
    def fail(thread: threading.Thread) -> None:
        if thread.name in names:
            raise RuntimeError("can't start new thread")
        start(thread)

    start = threading.Thread.start

    session = websocket("ws://127.0.0.1:1").prepare()
    closes, errors = Seen(session.closes), Seen(session.errors)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(ConnectionException, match="no thread could be started") as caught:
            session.start()
    assert closes.one().cause is caught.value
    assert errors.all() == [caught.value]
    assert session.start() is session


def test_a_prepared_session_that_is_closed_never_connects(server):
    session = websocket(server.url).prepare()
    closes = Seen(session.closes)
    session.close(reason="not wanted")
    assert (closes.one().code, closes.one().reason) == (1006, "not wanted")
    session.start()
    assert not session._thread.is_alive()
    with pytest.raises(SendException, match="closed"):
        session.send("x")


def test_a_pong_stands_between_what_crossed_with_a_message_and_what_answers_it(play):
    def script(wire: Wire) -> None:
        fragments = encode_frame(0x1, b"be", final=False, masked=False), encode_frame(0x0, b"low", masked=False)
        before = encode_message("above", masked=False)
        wire.raw(before + fragments[0] + encode_frame(0x9, b"between", masked=False) + fragments[1])
        found.extend(wire.next() for _ in range(4))
        wire.raw(encode_close(Close(1000), masked=False))
        wire.frames()

    def respond(text: str) -> None:
        if text == "above":
            other = threading.Thread(target=session.send, args=("of another thread",))
            other.start()
            other.join()
        session.send(f"re: {text}")

    found: list[object] = []
    session = websocket(play(script)).prepare()
    session.messages.body.subscribe(respond)
    session.start()
    close_event(session)
    assert found == ["of another thread", Pong(b"between"), "re: above", "re: below"]


def test_what_a_subscriber_sent_goes_out_before_what_another_thread_sends_later(play):
    def respond(text: str) -> None:
        session.send("first")
        other = threading.Thread(target=session.send, args=("second",))
        other.start()
        other.join()

    def script(wire: Wire) -> None:
        wire.send("question")
        found.extend((wire.next(), wire.next()))
        wire.close(Close(1000))

    found: list[object] = []
    session = websocket(play(script)).prepare()
    session.messages.body.subscribe(respond)
    session.start()
    close_event(session)
    assert found == ["first", "second"]


def test_what_a_subscriber_sent_goes_out_before_the_close_frame_of_another_thread(play):
    def script(wire: Wire) -> None:
        wire.send("question")
        found.extend((wire.next(), wire.next()))
        wire.close(Close(1000))

    def respond(text: str) -> None:
        session.send("answer")
        closer.start()
        with session._changed:
            assert session._changed.wait_for(lambda: isinstance(session.current_state, Closing), DEADLINE)

    found: list[object] = []
    session = websocket(play(script)).prepare()
    closer = threading.Thread(target=session.close)
    session.messages.body.subscribe(respond)
    session.start()
    assert close_event(session).was_clean
    closer.join()
    assert found == ["answer", Close(1000)]


def test_closing_again_while_the_end_is_told_does_not_wait_for_itself(play, connect):
    session = connect(play(lambda wire: wire.sock.recv(1 << 16), upgrade=False))
    session.closes.subscribe(lambda _: session.close())
    session.messages.subscribe(on_completed=session.close)
    with within(1):
        session.close()


# --- its streams


def test_the_state_is_new_already_when_its_event_is_delivered(server, connect):
    told: dict[str, str] = {}

    def note(stream: str) -> Callable[[object], None]:
        return lambda value: told.update({stream: type(session.current_state).__name__})

    session = connect(f"{server.url}/close")
    ends = [Seen(session.closes), Seen(session.errors)]
    session.opens.subscribe(note("opens"))
    session.closes.subscribe(note("closes"))
    session.is_open.pipe(ops.filter(bool)).subscribe(note("is_open"))
    session.is_closed.pipe(ops.filter(bool)).subscribe(note("is_closed"))
    session.messages.body.subscribe(on_completed=lambda: note("messages")(None))
    session.send("1000 done")
    for end in ends:
        end.all()
    assert told == {
        "opens": "Open",
        "is_open": "Open",
        "messages": "Closed",
        "closes": "Closed",
        "is_closed": "Closed",
    }


def test_each_event_of_the_state_comes_with_that_state_or_a_later_one(server, connect):
    order = (Connecting, Open, Closing, Closed)
    for _ in range(20):
        session = connect(server.url)
        pairs: list[tuple[int, int]] = []
        session.state.subscribe(
            lambda state, session=session, pairs=pairs: pairs.append(
                (order.index(type(state)), order.index(type(session.current_state)))
            )
        )
        is_open(session)
        session.close()
        close_event(session)
        assert [event for event, _ in pairs] == sorted(event for event, _ in pairs)
        assert all(event <= state for event, state in pairs)


def test_a_late_subscriber_gets_what_holds_now(server, connect):
    session = connect(server.url)
    opened = is_open(session)
    assert Seen(session.opens).wait() == [opened]
    assert opened == OpenEvent(f"{server.url}", None, 1)
    assert "websockets" in opened.headers["server"]
    assert Seen(session.state).wait() == [Open(opened)]
    assert [Seen(view).wait() for view in (session.is_connecting, session.is_open, session.is_closed)] == [
        [False],
        [True],
        [False],
    ]
    session.close()
    end = close_event(session)
    assert Seen(session.closes).one() is end
    assert Seen(session.state).all() == [Closed(end)]
    assert Seen(session.opens).all() == []
    assert Seen(session.is_closed).all() == [True]
    assert Seen(session.is_open).all() == [False]
    assert Seen(session.errors).all() == []


def test_all_streams_complete_and_none_errors_when_connecting_fails(play, connect):
    session = connect(play(lambda wire: None, upgrade=False))
    streams = [session.state, session.opens, session.closes, session.is_connecting, session.is_open]
    seen = [Seen(stream) for stream in (*streams, session.is_closed, session.messages, session.messages.body)]
    for stream in seen:
        stream.all()
        assert stream.error is None
    assert [type(state) for state in seen[0].items] in ([Connecting, Closed], [Closed])
    end = close_event(session)
    assert (end.code, end.initiator, end.was_clean) == (1006, "network", False)
    assert isinstance(end.cause, ConnectionException)
    assert end.reason == str(end.cause)


def test_is_open_says_each_change_once(server, connect):
    session = connect(server.url)
    seen = Seen(session.is_open)
    is_open(session)
    session.close()
    assert seen.all() in ([False, True, False], [True, False])


def test_the_url_and_the_repr_show_no_password(server, connect):
    session = connect(server.url.replace("ws://", "ws://me:secret@") + "/room?a=1", "chat.v2")
    shown = f"{server.url}/room?a=1"
    assert session.url == shown
    connecting, opened = f"<Session {shown} Connecting>", f"<Session {shown} Open, 0 messages in, 0 out, "
    assert repr(session).startswith((connecting, opened))
    is_open(session)
    assert (session.url, session.protocol) == (shown, "chat.v2")
    assert repr(session).startswith(opened)
    session.close()
    assert repr(session) == f"<Session {shown} Closed (1000)>"


def test_while_connecting_there_is_no_protocol_yet(play, connect):
    session = connect(play(Wire.wait_for_end, upgrade=False), "chat.v1")
    assert session.protocol is None
    assert repr(session) == f"<Session {session.url} Connecting>"


# --- pausing


def test_pausing_and_resuming_between_messages_loses_nothing(play, connect):
    texts = [str(number) for number in range(2000)]
    session = connect(play(lambda wire: (wire.send(*texts), wire.answer_close())), max_held_messages=50, paused=True)
    bodies = Seen(session.messages.body)

    def pause(text: str) -> None:
        if int(text) % 100 == 7:
            session.pause()
            paused.put(text)

    paused: queue.SimpleQueue[str] = queue.SimpleQueue()
    session.messages.body.subscribe(pause)
    session.resume()
    for number in range(7, 2000, 100):
        assert paused.get(timeout=DEADLINE) == str(number)
        assert bodies.wait(number + 1)[-1] == str(number)  # nothing comes after it
        session.resume()
    assert bodies.wait(2000)[:2000] == texts


def test_resuming_in_a_subscriber_of_another_stream(play, connect):
    session = connect(play(lambda wire: (wire.send("one", "two"), wire.answer_close())), paused=True)
    bodies = Seen(session.messages.body)
    session.opens.subscribe(lambda _: session.resume())
    assert bodies.wait(2) == ["one", "two"]


def test_in_a_pause_pings_are_answered_and_the_close_is_seen(play, connect):
    def script(wire: Wire) -> None:
        wire.send("one")
        wire.raw(encode_ping(b"?", masked=False))
        answers.append(wire.next())
        wire.raw(encode_close(Close(1000, "done"), masked=False))
        answers.append(wire.next())

    answers: list[object] = []
    session = connect(play(script), paused=True)
    bodies = Seen(session.messages.body)
    assert close_event(session).reason == "done"
    assert answers == [Pong(b"?"), Close(1000, "done")]
    assert not bodies.items
    assert not bodies.is_completed
    session.resume()
    assert bodies.all() == ["one"]


def full_pause(session: Session) -> None:
    """Wait until a paused session holds so much that it reads no more."""
    while not session.messages.is_full:
        os.sched_yield()


def test_a_close_in_a_full_pause_sends_what_was_sent_and_holds_what_comes(play, connect):
    received: list[object] = []

    def script(wire: Wire) -> None:
        wire.send(*[bytes(60_000)] * 100)
        received.extend(iter(wire.next, Close(1000)))
        wire.close(Close(1000))

    session = connect(play(script), paused=True, max_held=100_000)
    blobs = Seen(session.messages.blob)
    full_pause(session)
    texts = [f"{number:9000}" for number in range(200)]
    for text in texts:
        session.send(text)
    session.close()
    assert close_event(session).was_clean
    assert received == texts
    session.resume()
    assert blobs.all() == [bytes(60_000)] * 100


def test_at_the_end_of_a_connection_a_pause_holds_no_more_than_some_megabytes_more(play, connect):
    count = 1000

    def script(wire: Wire) -> None:
        wire.send(*[bytes(60_000)] * count)
        wire.answer_close()

    session = connect(play(script), paused=True, max_held=100_000)
    errors, blobs = Seen(session.errors), Seen(session.messages.blob)
    full_pause(session)
    session.close()
    assert close_event(session).was_clean
    error = errors.one()
    assert isinstance(error, HoldException)
    session.resume()
    held = len(blobs.all())
    assert held + error.messages == count
    assert error.size == error.messages * 60_000
    assert 0 <= held * 60_000 - (MORE_HELD + 100_000) < 1 << 20


# --- closing


def test_a_close_has_the_code_and_reason_of_the_peer(play, connect):
    def script(wire: Wire) -> None:
        asked.append(wire.close_frame())
        wire.raw(encode_close(Close(4242, "and good night"), masked=False))

    asked: list[Close] = []
    session = connect(play(script))
    is_open(session)
    session.close(3001, "good bye")
    assert asked == [Close(3001, "good bye")]
    assert close_event(session) == CloseEvent(
        4242,
        "and good night",
        "client",
        was_clean=True,
        sent=Close(3001, "good bye"),
        received=Close(4242, "and good night"),
    )


@pytest.mark.parametrize("close", [Close(1000), Close(4999, "ü" * 61), Close(1001, "going"), Close()])
def test_a_close_of_the_server_is_answered_with_its_own_code(play, connect, close):
    def script(wire: Wire) -> None:
        wire.close(close)
        found.put(wire.frames())

    found: queue.SimpleQueue[list[object]] = queue.SimpleQueue()
    session = connect(play(script))
    end = close_event(session)
    assert (end.code, end.reason, end.initiator, end.was_clean) == (*close, "server", True)
    assert end.received == end.sent == close
    assert found.get(timeout=DEADLINE) == [close]


def test_a_close_from_another_thread_twice_and_in_a_with_block_is_one_close(play, connect):
    def script(wire: Wire) -> None:
        found.put([wire.answer_close(), *wire.frames()])

    found: queue.SimpleQueue[list[object]] = queue.SimpleQueue()
    with connect(play(script)) as session:
        closes = Seen(session.closes)
        is_open(session)
        thread = threading.Thread(target=session.close, args=(3001, "from a thread"))
        thread.start()
        thread.join(DEADLINE)
        assert isinstance(session.current_state, Closed)
        session.close(3002, "again")
    assert closes.one().sent == Close(3001, "from a thread")
    assert found.get(timeout=DEADLINE) == [Close(3001, "from a thread")]


def test_closes_from_many_threads_at_once_are_one_close_and_all_return_when_it_is_closed(play, connect):
    def script(wire: Wire) -> None:
        found.put([wire.answer_close(), *wire.frames()])

    def close(session: Session, number: int) -> None:
        start.wait(DEADLINE)
        session.close(3000 + number)
        assert isinstance(session.current_state, Closed)

    found: queue.SimpleQueue[list[object]] = queue.SimpleQueue()
    url = play(script)
    start = threading.Barrier(8)
    with ThreadPoolExecutor(8) as threads:
        for _ in range(10):
            session = connect(url)
            states, closes = Seen(session.state), Seen(session.closes)
            is_open(session)
            with within(2):
                list(threads.map(lambda number, session=session: close(session, number), range(8)))
            end = closes.one()
            assert end.was_clean
            assert 3000 <= end.code < 3008
            assert [type(state) for state in states.all()].count(Closing) == 1
            assert len(found.get(timeout=DEADLINE)) == 1


@pytest.mark.parametrize("stream", ["messages.body", "opens", "errors"])
def test_a_close_in_a_subscriber_does_not_wait_and_is_one_close(server, connect, stream):
    session = connect(f"{server.url}/text")
    states = Seen(session.state)
    taken: list[float] = []

    def close(_: object) -> None:
        start = time.monotonic()
        session.close(3000, "from a subscriber")
        session.close(3001, "again")
        taken.append(time.monotonic() - start)

    if stream == "errors":
        session.errors.subscribe(close)
        session.messages.body.subscribe(fail)
    elif stream == "opens":
        session.opens.subscribe(close)
    else:
        session.messages.body.subscribe(close)
    if stream != "opens":
        session.send("go")
    end = close_event(session)
    assert (end.code, end.reason, end.initiator, end.was_clean) == (3000, "from a subscriber", "client", True)
    assert [type(state) for state in states.all()][-2:] == [Closing, Closed]
    assert taken
    assert max(taken) < 0.5


def test_a_close_in_a_subscriber_of_the_end_does_nothing(server, connect):
    session = connect(f"{server.url}/close")
    session.closes.subscribe(lambda _: session.close(3001))
    session.state.subscribe(lambda state: isinstance(state, Closing | Closed) and session.close(3002))
    session.send("4000 mine")
    end = close_event(session)
    assert (end.code, end.initiator) == (4000, "server")


def stalled_handshake(stack: ExitStack) -> str:
    """A server that accepts, and never answers."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    return f"ws://127.0.0.1:{listener.getsockname()[1]}"


def unreachable(stack: ExitStack) -> str:
    """A host whose TCP does not answer: its backlog is full."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    address = listener.getsockname()
    for _ in range(3):
        filler = stack.enter_context(socket.socket())
        filler.settimeout(0)
        filler.connect_ex(address)
    return f"ws://127.0.0.1:{address[1]}"


@pytest.mark.parametrize(("host", "connect_timeout"), [(stalled_handshake, 20), (unreachable, 0.5)])
def test_a_close_while_connecting_is_quick_and_gives_one_closed(connect, caplog, host, connect_timeout):
    with ExitStack() as stack:
        session = connect(host(stack), connect_timeout=connect_timeout)
        states, errors = Seen(session.state), Seen(session.errors)
        with within(0.4):
            session.close(3000, "changed my mind")
            session.close()
        end = Seen(session.closes).one()
        assert end == CloseEvent(1006, "changed my mind", "client", was_clean=False)
        assert [type(state) for state in states.all()] == [Connecting, Closed]
        assert errors.all() == []
        assert Seen(session.messages.body).all() == []
        # The attempt ends, too: the handshake at once, the TCP connection that nobody answers at connect_timeout.
        session._thread.join(DEADLINE / 2)
        assert not session._thread.is_alive()
        assert not caplog.records


def test_a_close_right_after_connect_is_quick(server, connect):
    for _ in range(10):
        session = connect(server.url)
        with within(1):
            session.close()
        assert isinstance(session.current_state, Closed)
        assert close_event(session).initiator == "client"


def test_a_close_in_a_subscriber_of_connecting(play, connect):
    session = connect(play(Wire.wait_for_end, upgrade=False))
    states = Seen(session.state)
    session.is_connecting.subscribe(lambda connecting: connecting and session.close(reason="no"))
    end = close_event(session)
    assert (end.reason, end.initiator) == ("no", "client")
    assert [type(state) for state in states.all()] == [Connecting, Closed]


def test_a_close_after_the_peer_has_gone_does_nothing(play, connect):
    session = connect(play(lambda wire: wire.reset()))
    end = close_event(session)
    with within(0.5):
        session.close(3000, "hello?")
    assert close_event(session) is end
    assert (end.code, end.initiator) == (1006, "network")


@pytest.mark.parametrize("reads", [True, False])
def test_a_peer_that_never_answers_the_close_is_cut_at_close_timeout(play, connect, reads):
    def script(wire: Wire) -> None:
        if reads:
            wire.close_frame()
            wire.wait_for_end()
        else:
            assert done.wait(DEADLINE)

    done = threading.Event()
    session = connect(play(script), close_timeout=0.3)
    is_open(session)
    start = time.monotonic()
    session.close(3000, "answer me")
    taken = time.monotonic() - start
    assert isinstance(session.current_state, Closed)
    done.set()
    assert 0.3 <= taken < 1
    end = close_event(session)
    assert (end.code, end.initiator, end.was_clean, end.received) == (1006, "client", False, None)
    assert end.sent == Close(3000, "answer me")
    assert end.reason == str(end.cause)
    assert "did not answer the close frame within close_timeout" in end.reason


def test_a_peer_that_goes_on_sending_instead_of_answering_is_cut_at_close_timeout(play, connect):
    def script(wire: Wire) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                wire.send("x" * 1000)

    session = connect(play(script), close_timeout=0.3)
    session.messages.body.subscribe()
    is_open(session)
    with within(1.5):
        session.close()
    assert close_event(session).code == 1006


def test_a_close_frame_that_could_not_go_out_was_not_sent(play, connect):
    def script(wire: Wire) -> None:
        assert full.wait(DEADLINE)
        wire.raw(encode_close(Close(1000, "done"), masked=False))
        assert done.wait(DEADLINE)

    full, done = threading.Event(), threading.Event()
    session = connect(play(script, buffer=4096), send_timeout=0.1, close_timeout=0.2)
    with pytest.raises(SendException, match="does not read"):
        fill(session)
    full.set()
    end = close_event(session)
    done.set()
    assert end.unsent > 0
    assert end == CloseEvent(1000, "done", "server", was_clean=False, received=Close(1000, "done"), unsent=end.unsent)


def test_messages_between_the_close_frame_and_its_answer_are_delivered(play, connect):
    def script(wire: Wire) -> None:
        close = wire.close_frame()
        wire.send("one", "two")
        wire.raw(encode_close(close, masked=False) + encode_message("too late", masked=False))

    session = connect(play(script))
    bodies = Seen(session.messages.body)
    is_open(session)
    session.close()
    assert bodies.all() == ["one", "two"]


@pytest.mark.parametrize("began", ["client", "server"])
def test_a_peer_that_never_ends_the_tcp_connection_is_left_cleanly_within_about_a_second(play, connect, began):
    def script(wire: Wire) -> None:
        if began == "server":
            assert go.wait(DEADLINE)
            wire.raw(encode_close(Close(1000), masked=False))
            assert wire.next() == Close(1000)
        else:
            wire.answer_close()
        wire.wait_for_end()

    go = threading.Event()
    session = connect(play(script), close_timeout=5)
    is_open(session)
    with within(2):
        if began == "client":
            session.close()
        else:
            go.set()
        end = close_event(session)
    assert (end.code, end.initiator, end.was_clean) == (1000, began, True)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((999,), CloseException),
        ((1004,), CloseException),
        ((1005,), CloseException),
        ((1006,), CloseException),
        ((1015,), CloseException),
        ((2999,), CloseException),
        ((5000,), CloseException),
        ((-1,), CloseException),
        ((1000, "x" * 124), CloseException),
        ((1000, "ü" * 62), CloseException),
        ((1000, "\ud800"), CloseException),
        (("x",), TypeError),
        ((None,), TypeError),
        ((3000.5,), TypeError),
        ((1000, b"bytes"), TypeError),
        ((1000, None), TypeError),
    ],
)
def test_a_close_that_may_not_be_sent_raises_and_the_session_is_as_it_was(server, connect, arguments, error):
    session = connect(f"{server.url}/text")
    bodies = Seen(session.messages.body)
    with pytest.raises(error):
        session.close(*arguments)
    is_open(session)
    with pytest.raises(error):
        session.close(*arguments)
    session.send("still here")
    assert bodies.wait() == ["echo: still here"]
    session.close(1000, "x" * 123)
    assert close_event(session).was_clean
    with pytest.raises(error):
        session.close(*arguments)


def test_a_close_while_a_subscriber_blocks_returns_at_close_timeout(play, connect):
    def script(wire: Wire) -> None:
        wire.send("block")
        found.put(wire.next())
        wire.wait_for_end()

    def block(_: str) -> None:
        blocked.set()
        released.wait(DEADLINE)

    found: queue.SimpleQueue[object] = queue.SimpleQueue()
    blocked, released = threading.Event(), threading.Event()
    session = connect(play(script), close_timeout=0.3)
    closes = Seen(session.closes)
    session.messages.body.subscribe(block)
    assert blocked.wait(DEADLINE)
    with within(1):
        session.close(3000)
    assert found.get(timeout=DEADLINE) == Close(3000)
    with pytest.raises(SendException, match="closing"):
        session.send("late")
    released.set()
    end = closes.one()
    assert (end.code, end.initiator, end.was_clean) == (1006, "client", False)


def test_what_was_sent_before_a_close_arrives_before_it(play, connect):
    def script(wire: Wire) -> None:
        assert closing.wait(DEADLINE)
        found.extend(wire.next() for _ in range(21))
        wire.raw(encode_close(Close(1000), masked=False))

    found: list[object] = []
    closing = threading.Event()
    session = connect(play(script, buffer=4096), send_timeout=DEADLINE)
    is_open(session)
    sending = waits_to_send(session)
    chunk = bytes(MIB)
    with ThreadPoolExecutor(1) as threads:
        sent = threads.submit(lambda: [session.send(chunk) for _ in range(20)])
        assert sending.wait(DEADLINE)
        closing.set()
        sent.result(DEADLINE)
    session.close()
    assert found == [chunk] * 20 + [Close(1000)]
    assert close_event(session).was_clean


def test_what_a_subscriber_sent_before_it_closed_arrives_before_the_close(play, connect):
    def script(wire: Wire) -> None:
        wire.send("go")
        frames: list[object] = [wire.next() for _ in range(100)]
        found.put([*frames, wire.answer_close()])

    def answer(_: str) -> None:
        for number in range(100):
            session.send(str(number))
        session.close(3000)
        with pytest.raises(SendException, match="the session is closing"):
            session.send("late")

    found: queue.SimpleQueue[list[object]] = queue.SimpleQueue()
    session = connect(play(script))
    errors = Seen(session.errors)
    session.messages.body.subscribe(answer)
    assert found.get(timeout=DEADLINE) == [*map(str, range(100)), Close(3000)]
    assert close_event(session).was_clean
    assert errors.all() == []


def test_leaving_a_with_block_closes_also_by_an_exception(server):
    session = websocket(server.url).connect()
    with pytest.raises(ZeroDivisionError), session:
        fail(is_open(session))
    assert isinstance(session.current_state, Closed)
    assert close_event(session).was_clean


# --- losses and failures


@pytest.mark.parametrize("way", ["end", "reset", "half a frame"])
def test_a_lost_peer_is_1006_with_its_cause_after_the_messages_that_came(play, connect, caplog, way):
    def script(wire: Wire) -> None:
        assert subscribed.wait(DEADLINE)
        wire.send("one", "two")
        if way == "half a frame":
            wire.raw(encode_message("three", masked=False)[:-1])
        if way == "reset":
            wire.reset()

    subscribed = threading.Event()
    session = connect(play(script))
    states, errors, bodies = Seen(session.state), Seen(session.errors), Seen(session.messages.body)
    is_open(session)
    subscribed.set()
    end = close_event(session)
    assert (end.code, end.initiator, end.was_clean, end.sent, end.received) == (1006, "network", False, None, None)
    assert isinstance(end.cause, ConnectionException)
    assert end.reason == str(end.cause)
    assert session.url in end.reason
    assert isinstance(end.cause.__cause__, ConnectionResetError) is (way == "reset")
    assert bodies.all() == ["one", "two"]
    assert errors.all() == [end.cause]
    assert [type(state) for state in states.all()][-2:] == [Open, Closed]
    assert end.reason in caplog.text


def test_a_send_to_a_peer_that_was_lost_raises_sooner_or_later(play, connect):
    session = connect(play(lambda wire: wire.reset()))
    with pytest.raises(SendException):
        fill(session)
    end = close_event(session)
    assert (end.code, end.initiator) == (1006, "network")


def test_a_send_that_fails_raises_also_before_the_loss_is_read(play, connect):
    reached, go_on = threading.Event(), threading.Event()

    def hold_up(_: object) -> None:
        reached.set()
        assert go_on.wait(DEADLINE)

    session = connect(play(lambda wire: (wire.send("1"), reached.wait(DEADLINE), wire.reset())))
    session.messages.subscribe(hold_up)
    assert reached.wait(DEADLINE)
    with pytest.raises(SendException, match=r"the connection to .* is lost") as raised:
        fill(session)
    assert isinstance(raised.value.__cause__, ConnectionException)
    assert isinstance(session.current_state, Open)
    go_on.set()
    assert close_event(session).initiator == "network"


def test_a_full_pause_finds_out_that_the_peer_is_gone_and_keeps_all_that_came(play, connect):
    chunks = [b"%1000d" % number for number in range(500)]
    session = connect(play(lambda wire: (wire.send(*chunks), wire.reset())), paused=True, max_held=1000)
    blobs = Seen(session.messages.blob)
    end = close_event(session)
    assert (end.code, end.initiator) == (1006, "network")
    with pytest.raises(SendException, match=r"is closed \(1006 the connection to .* is lost") as raised:
        session.send("x")
    assert raised.value.__cause__ is end.cause
    assert blobs.items == []
    session.resume()
    found = blobs.all()
    assert found == chunks[: len(found)]  # the RST takes along what this side had no room for
    assert len(found) > 1


def test_a_peer_that_goes_while_closing_is_1006_that_the_client_began(play, connect):
    session = connect(play(Wire.close_frame))
    is_open(session)
    with within(1):
        session.close()
    end = close_event(session)
    assert (end.code, end.initiator, end.was_clean) == (1006, "client", False)


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (b"\x81\x81 key?", 1002, "a frame is masked"),
        (b"\xc1\x00", 1002, "reserved bits"),
        (b"\x83\x00", 1002, "reserved opcode"),
        (b"\x09\x00", 1002, "fragmented"),
        (b"\x80\x00", 1002, "no message to continue"),
        (encode_frame(0x8, b"\x03", masked=False), 1002, "half a status code"),
        (encode_frame(0x8, b"\x03\xed", masked=False), 1002, "1005, which may not be sent"),
        (encode_frame(TEXT, b"\xff", masked=False), 1007, "not UTF-8"),
        (encode_frame(TEXT, b"\xed\xa0", final=False, masked=False), 1007, "not UTF-8"),
        (encode_frame(0x8, b"\x03\xe8\xff", masked=False), 1007, "not UTF-8"),
        (encode_message(bytes(1001), masked=False), 1009, "max_size is 1000"),
        (b"\x82\x7f\x00\x00\x00\xff\x00\x00\x00\x00", 1009, "max_size is 1000"),
        (b"\x02\x00" + b"\x00\x00" * 50, 1009, "max_fragments=50"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", 1002, "reserved"),
    ],
)
def test_a_peer_that_breaks_the_protocol_gets_a_close_frame_with_the_code_for_it(play, connect, data, code, says):
    def script(wire: Wire) -> None:
        assert subscribed.wait(DEADLINE)
        wire.raw(encode_message("good", masked=False) + data + encode_message("does not count", masked=False))
        wire.sock.shutdown(socket.SHUT_WR)
        found.put(wire.frames())

    found: queue.SimpleQueue[list[object]] = queue.SimpleQueue()
    subscribed = threading.Event()
    session = connect(play(script), max_size=1000, max_fragments=50)
    errors, bodies = Seen(session.errors), Seen(session.messages.body)
    subscribed.set()
    end = close_event(session)
    assert (end.code, end.initiator, end.was_clean, end.received) == (code, "client", False, None)
    assert isinstance(end.cause, ProtocolException)
    assert end.cause.code == code
    assert says in str(end.cause)
    assert end.reason == str(end.cause)
    assert end.sent is not None
    assert end.sent.code == code
    assert found.get(timeout=DEADLINE) == [end.sent]
    assert bodies.all() == ["good"]
    assert errors.all() == [end.cause]
    with pytest.raises(SendException, match=str(code)):
        session.send("late")


def test_a_protocol_failure_ends_as_soon_as_the_peer_ends_the_connection(play, connect):
    def script(wire: Wire) -> None:
        wire.raw(b"\xff\xff")
        wire.answer_close()

    session = connect(play(script), close_timeout=5)
    with within(0.9):
        assert close_event(session).code == 1002


def test_a_protocol_failure_after_the_own_close_frame_can_send_no_other_code(play, connect):
    def script(wire: Wire) -> None:
        assert wire.close_frame() == Close(1000, "done")
        wire.raw(b"\xff\xff")
        wire.sock.shutdown(socket.SHUT_WR)
        wire.frames()

    session = connect(play(script))
    Seen(session.opens).wait()
    session.close(reason="done")
    end = close_event(session)
    assert (end.code, end.initiator, end.was_clean, end.sent) == (1006, "client", False, Close(1000, "done"))
    assert isinstance(end.cause, ProtocolException)


# --- many lives


def test_closed_at_any_moment_a_session_ends_once_and_leaves_nothing(server):
    chance = random.Random(6455)  # noqa: S311 no secret
    endpoint = websocket(server.url)
    never = threading.Event()

    def live(moment: float) -> list[CloseEvent]:
        session = endpoint.connect()
        closes = Seen(session.closes)
        if moment:
            never.wait(moment)
        session.close()
        return closes.all()

    with ThreadPoolExecutor(4) as threads:
        ends = list(threads.map(live, [chance.choice((0, chance.uniform(0, 0.005))) for _ in range(300)]))
    assert {len(end) for end in ends} == {1}
    assert {end.initiator for [end] in ends} == {"client"}
    assert {(end.code, end.was_clean) for [end] in ends} <= {(1000, True), (1006, False)}


def test_two_hundred_losses_leave_nothing(play):
    endpoint = websocket(play(lambda wire: wire.send("one")))
    sessions = [endpoint.connect() for _ in range(200)]
    for session in sessions:
        assert close_event(session).code == 1006
        assert Seen(session.messages.body).all() == ["one"]


# --- the interpreter's exit


def run_to_exit(script: str, *arguments: str) -> float:
    """Run a script that prints the monotonic time at its end; return the seconds from then to the process' end."""
    done = subprocess.run(  # noqa: S603 our own script
        [sys.executable, "-W", "error", "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )
    end = time.monotonic()
    assert (done.returncode, done.stderr) == (0, "")
    return end - float(done.stdout)


SESSIONS_AT_EXIT = """
import sys, time
from rxsocket.socket import websocket
endpoint = websocket(sys.argv[1])
sessions = [endpoint.connect() for _ in range(int(sys.argv[2]))]
for session in sessions:
    session.send("here")
    session.messages.body.subscribe(lambda _: None)
print(time.monotonic())
"""


@pytest.mark.parametrize("count", [1, 200])
def test_sessions_that_are_open_at_the_interpreters_exit_close_with_1001(server: EchoServer, count):
    assert run_to_exit(SESSIONS_AT_EXIT, f"{server.url}/echo", str(count)) < 2
    ends = [server.ends.get(timeout=DEADLINE) for _ in range(count)]
    assert set(ends) == {("/echo", 1001, "")}


def test_sessions_of_a_script_that_is_interrupted_close_with_1001(server: EchoServer):
    script = """
import sys, threading
from rxsocket.socket import websocket
session = websocket(sys.argv[1]).connect()
session.messages.body.subscribe(lambda text: print(text, flush=True))
session.send("here")
threading.Event().wait()
"""
    command = [sys.executable, "-c", script, f"{server.url}/echo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:  # noqa: S603
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "here\n"
            child.send_signal(signal.SIGINT)
            assert server.ends.get(timeout=DEADLINE) == ("/echo", 1001, "")
            assert child.wait(DEADLINE) == -signal.SIGINT
        finally:
            child.kill()


def test_a_session_that_is_connecting_at_the_interpreters_exit_does_not_hold_it_up():
    script = """
import sys, time
from rxsocket.socket import websocket
session = websocket(sys.argv[1]).connect()
print(time.monotonic())
"""
    for host in (stalled_handshake, unreachable):
        with ExitStack() as stack:
            assert run_to_exit(script, host(stack)) < 2


def test_a_peer_that_never_answers_does_not_hold_up_the_interpreters_exit(play):
    def script(wire: Wire) -> None:
        assert wire.next() == "here"
        frames.append(wire.close_frame())
        wire.wait_for_end()

    frames: list[Close] = []
    assert run_to_exit(SESSIONS_AT_EXIT, play(script), "1") < 2
    assert frames == [Close(1001)]


def test_a_subscriber_that_blocks_does_not_hold_up_the_interpreters_exit(play):
    script = """
import sys, threading, time
from rxsocket.socket import websocket
session = websocket(sys.argv[1]).connect()
blocked = threading.Event()
session.messages.body.subscribe(lambda _: (blocked.set(), threading.Event().wait()))
blocked.wait()
print(time.monotonic())
"""

    def block(wire: Wire) -> None:
        wire.send("go")
        wire.wait_for_end()

    assert run_to_exit(script, play(block)) < 2


def test_close_all_closes_each_session_with_1001_and_returns_at_its_deadline(server, play, connect):
    def script(wire: Wire) -> None:
        wire.close_frame()
        wire.wait_for_end()

    polite, deaf = connect(server.url), connect(play(script), close_timeout=0.5)
    is_open(polite)
    is_open(deaf)
    with within(1):
        close_all(timeout=0.2)
    assert close_event(polite).sent == Close(1001)
    assert close_event(deaf).code == 1006


# --- its log


@pytest.mark.parametrize(("code", "level"), [(1000, logging.INFO), (1001, logging.INFO), (1008, logging.WARNING)])
def test_that_a_server_closed_is_logged_as_a_warning_where_it_has_an_objection(play, connect, caplog, code, level):
    def script(wire: Wire) -> None:
        wire.raw(encode_close(Close(code, "so it is"), masked=False))
        wire.frames()

    caplog.set_level(logging.INFO, logger="rxsocket")
    close_event(connect(play(script)))
    (record,) = caplog.records
    assert record.levelno == level
    assert f"closed by the server with {code} so it is" in record.getMessage()


def test_a_quiet_life_warns_of_nothing(server, connect, caplog):
    caplog.set_level(logging.WARNING, logger="rxsocket")
    session = connect(f"{server.url}/burst")
    Seen(session.messages.body).wait(BURST)
    session.close()
    close_event(session)
    assert not caplog.records


def test_an_error_is_reported_and_logged_with_the_url(server, connect, caplog):
    session = connect(server.url)
    errors = Seen(session.errors)
    error = RxSocketException("of somebody above")
    session.report(error)
    assert errors.wait() == [error]
    assert f"{session.url}: of somebody above" in caplog.text
    assert caplog.records[0].levelno == logging.WARNING
