"""Replies: which message answers what was asked, and how it ends where none does, against real servers."""

from __future__ import annotations

import gc
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import pytest
import reactivex
import reactivex.operators as ops
from reactivex import Observable
from servers import DEADLINE, EchoServer, Seen, Wire, in_turn, within
from threads import in_threads, waits_to_send

import rxsocket.deadlines
import rxsocket.replies
from rxsocket.backoff import Backoff
from rxsocket.deadlines import DEADLINES
from rxsocket.errors import (
    ConnectionException,
    FunctionException,
    ReplyException,
    ReplyTimeoutException,
    SendException,
    SubscriberException,
)
from rxsocket.fake import FakeSession
from rxsocket.frames import Close
from rxsocket.session import Session
from rxsocket.socket import websocket
from rxsocket.states import CloseEvent, Connecting

AT_ONCE = Backoff(initial=0, jitter=0)
MIB = 1 << 20


@pytest.fixture(autouse=True)
def _ends_soon(monkeypatch) -> None:
    """Let the deadlines' thread look more often, for tests that wait for its end."""
    monkeypatch.setattr(rxsocket.deadlines, "PERIOD", 0.01)


def is_open(session: Session, connection: int = 1) -> None:
    session.opens.pipe(ops.first(lambda event: event.connection == connection)).run()


def first_word(text: str) -> str:
    return text.split(maxsplit=1)[0]


def ask(session: Session, number: object, **options: Any) -> Observable[Any]:
    """Ask what an echo answers; the reply begins with the number."""
    return session.ask(f"{number} asked", **{"reply": first_word, "key": str(number), **options})


def answering(answer: Callable[[Wire, str], object]) -> Callable[[Wire], object]:
    """Return a script that answers each message, until the client closes; at "hang up" it does that."""

    def script(wire: Wire) -> None:
        while not isinstance(message := wire.next(), Close):
            if message is None or message == "hang up":
                return
            answer(wire, str(message))
        wire.close(message)

    return script


silent = answering(lambda wire, message: None)


def failed(stream: Observable[Any], kind: type[Exception]) -> Exception:
    """Wait for a stream's error, and return it."""
    with pytest.raises(kind) as found:
        stream.run()
    return found.value


def nothing_is_left(session: Session) -> bool:
    replies = session._replies
    return not replies._groups and not session.messages._data.observers


# --- the reply


def test_the_reply_is_the_first_message_that_the_predicate_says_yes_to_and_then_it_completes(connect, play) -> None:
    session = connect(play(answering(lambda wire, message: wire.send("other", f"re: {message}", f"re: {message}"))))
    seen = Seen(session.ask("how?", reply=lambda text: text.startswith("re")))
    assert seen.one() == "re: how?"
    assert nothing_is_left(session)


def test_run_on_the_main_thread_waits_for_it(connect, server: EchoServer) -> None:
    session = connect(server.url)
    assert ask(session, 7).run() == "7 asked"


def test_each_subscription_asks_and_none_does_without(connect, server: EchoServer) -> None:
    session = connect(server.url)
    others = Seen(session.messages.data)
    numbers = count(1)
    stream = session.ask(lambda: f"x {next(numbers)}", reply=lambda text: text.startswith("x"))
    is_open(session)
    assert [stream.run(), stream.run()] == ["x 1", "x 2"]
    assert others.items == ["x 1", "x 2"]


def test_many_that_are_open_get_each_its_own_and_the_function_is_called_once_for_each_message(connect, play) -> None:
    asked: list[str] = []

    def answer(wire: Wire, message: str) -> None:
        asked.append(message)
        if len(asked) == 100:
            wire.send("none", *reversed(asked))

    session = connect(play(answering(answer)))
    keyed: list[str] = []

    def key_of(text: str) -> str | None:
        keyed.append(text)
        return None if text == "none" else first_word(text)

    replies = [Seen(ask(session, number, reply=key_of)) for number in range(100)]
    assert [seen.one() for seen in replies] == [f"{number} asked" for number in range(100)]
    assert keyed == ["none", *reversed(asked)]
    assert nothing_is_left(session)


def test_a_reply_that_comes_before_send_returns_counts(connect, server: EchoServer, monkeypatch) -> None:
    session = connect(server.url)
    is_open(session)
    others = Seen(session.messages.data)
    send = session.send_if

    def slow(message: str, is_wanted: Callable[[], bool]) -> None:
        send(message, is_wanted)
        # As if the network had been quicker: on the session's thread, that this one holds up here.
        session.messages._data.on_next(message)

    monkeypatch.setattr(session, "send_if", slow)
    assert ask(session, 1, timeout=None).run() == "1 asked"
    assert others.wait(1)


def test_nothing_is_sent_before_its_answer_can_be_heard(connect, server: EchoServer, monkeypatch) -> None:
    session = connect(server.url)
    is_open(session)
    order: list[str] = []
    send = session.send_if

    def sends(message: str, is_wanted: Callable[[], bool]) -> None:
        order.append("sends")
        send(message, is_wanted)

    def listens(observer: Any, scheduler: Any = None) -> Any:
        # Another that is asked now, and an opening that is told of, send what they find.
        session._replies._changed(session.current_state)
        order.append("listens")
        return session.messages.data.subscribe(observer)

    monkeypatch.setattr(session, "send_if", sends)
    assert ask(session, 1, messages=Observable(listens)).run() == "1 asked"
    assert order == ["listens", "sends"]


def test_the_messages_of_another_stream_may_answer(connect, server: EchoServer) -> None:
    session = connect(server.url)
    lengths = session.messages.body.pipe(ops.map(len))
    assert session.ask("four", reply=lambda length: length, key=4, messages=lengths).run() == 4
    assert nothing_is_left(session)


def test_two_predicates_of_the_same_function_are_in_nobodys_way(connect, server: EchoServer) -> None:
    session = connect(server.url)
    replies = [Seen(session.ask("same", reply=bool)) for _ in range(2)]
    assert [seen.one() for seen in replies] == ["same", "same"]


def test_a_second_with_a_key_that_is_open_is_an_error_and_the_first_is_unharmed(connect, play) -> None:
    session = connect(play(answering(lambda wire, message: message == "go" and wire.send("1 here"))))
    first = Seen(ask(session, 1))
    error = failed(ask(session, 1), ValueError)
    assert str(error) == "an ask with the key '1' is open already, and has no reply yet"
    session.send("go")
    assert first.one() == "1 here"
    assert not DEADLINES._heap or all(each.action is None for _, _, each in DEADLINES._heap)


def test_who_unsubscribes_forgets_it(connect, play) -> None:
    session = connect(play(answering(lambda wire, message: message == "go" and wire.send("1 here", "2 here"))))
    is_open(session)
    seen: list[str] = []
    ask(session, 1).subscribe(seen.append).dispose()
    assert nothing_is_left(session)
    other = Seen(ask(session, 2))
    session.send("go")
    assert other.one() == "2 here"
    assert seen == []


def test_from_whichever_threads_each_gets_its_own(connect, server: EchoServer) -> None:
    session = connect(server.url)
    found: list[bool] = []

    def work(name: str) -> None:
        names = [f"{name}.{number}" for number in range(100)]
        found.extend([ask(session, each).run() == f"{each} asked" for each in names])

    in_threads(*(partial(work, name) for name in "abcd"))
    assert len(found) == 400
    assert all(found)
    assert nothing_is_left(session)


# --- where there is no connection


def test_what_is_asked_before_the_opening_holds_nobody_up_and_is_sent_then(server: EchoServer) -> None:
    with websocket(server.url).prepare() as session:
        seen = Seen(ask(session, 1))
        forgotten = Seen(ask(session, 2))
        forgotten.subscription.dispose()
        others = Seen(session.messages.data)
        session.start()
        assert seen.one() == "1 asked"
        session.send("end")
        assert others.wait(2) == ["1 asked", "end"]


def test_at_the_loss_of_the_connection_that_it_was_sent_on_it_fails_and_says_so(connect, play) -> None:
    session = connect(play(in_turn(silent, answering(Wire.send))), reconnect=AT_ONCE)
    is_open(session)
    seen = Seen(ask(session, 1))
    again = Seen(ask(session, 2).pipe(ops.retry(2)))
    session.send("hang up")
    assert again.one() == "2 asked"
    assert type(seen.error) is ReplyException
    assert str(seen.error).startswith("no reply came to '1 asked': the connection ended (1006")
    assert isinstance(seen.error.__cause__, ConnectionException)


def test_who_waits_for_room_at_a_loss_fails_and_is_not_sent_on_the_next_connection(connect, play) -> None:
    cut = threading.Event()
    heard: list[object] = []

    def stalls(wire: Wire) -> None:
        assert cut.wait(DEADLINE)
        wire.reset()

    def hears(wire: Wire) -> None:
        wire.upgrade()
        heard.append(wire.next())
        wire.close(Close(1000))

    def first(wire: Wire) -> None:
        wire.upgrade()
        stalls(wire)

    session = connect(play(in_turn(first, hears), upgrade=False, buffer=1 << 16), reconnect=AT_ONCE)
    is_open(session)
    while session._outgoing is not None and session._outgoing.has_room:
        session.send(bytes(MIB), wait=False)
    waits = waits_to_send(session)
    asks: list[Seen[Any]] = []
    asking = threading.Thread(target=lambda: asks.append(Seen(ask(session, 1))))
    asking.start()
    assert waits.wait(DEADLINE)
    cut.set()
    asking.join(DEADLINE)
    is_open(session, 2)
    session.send("the only one")
    session.closes.run()
    assert heard == ["the only one"]
    assert isinstance(asks[0].error, ReplyException)


def test_what_was_not_sent_when_a_connection_was_lost_is_sent_on_the_next(connect, play) -> None:
    session = connect(play(in_turn(silent, answering(Wire.send))), reconnect=Backoff(initial=3600, maximum=3600))
    is_open(session)
    session.send("hang up")
    session.is_connecting.pipe(ops.first(bool)).run()
    seen = Seen(ask(session, 1))
    session.reconnect()
    assert seen.one() == "1 asked"


def test_the_loss_of_an_earlier_connection_that_is_told_of_late_ends_nothing(connect, play) -> None:
    session = connect(play(in_turn(lambda wire: None, silent)), reconnect=AT_ONCE)
    is_open(session, 2)
    sent = Seen(ask(session, 1))
    with session.order:
        unsent = Seen(ask(session, 2))
    (open_ask,) = session._replies._open_asks()[1:]
    open_ask.connection = None  # as if there had been no connection
    lost = CloseEvent(1006, "", "network", was_clean=False, connection=1)
    session._replies._changed(Connecting(lost=lost))
    assert (sent.error, unsent.error) == (None, None)


def test_the_close_ends_it_also_where_messages_go_on(connect, play) -> None:
    session = connect(play(silent))
    is_open(session)
    seen = Seen(ask(session, 1, messages=reactivex.never()))
    session.close()
    assert type(seen.error) is ReplyException
    assert type(failed(ask(session, 2, messages=reactivex.never()), ReplyException)) is ReplyException


@pytest.mark.parametrize("kind", [FakeSession, Session])
def test_who_sends_when_there_was_no_reply_in_time_holds_up_no_other(kind: type, connect, play) -> None:
    url, options = "ws://127.0.0.1:1", {"reconnect": Backoff(initial=60), "send_timeout": 60}
    away = FakeSession(url, **options) if kind is FakeSession else connect(url, **options)
    session = connect(play(silent))
    refused = Seen(session.errors.pipe(ops.filter(lambda error: isinstance(error.__cause__, SendException))))
    ask(session, 1, timeout=0.05).subscribe(on_error=lambda _: away.send("no reply"))
    with within(DEADLINE):
        failed(ask(session, 2, timeout=0.1), ReplyTimeoutException)
    refused.wait()
    away.close()


def test_when_the_session_is_closed_it_fails_and_at_once_after_that(connect, play) -> None:
    session = connect(play(silent))
    is_open(session)
    seen = Seen(ask(session, 1))
    session.close(reason="enough")
    assert str(seen.error) == "no reply came to '1 asked': the session is closed (1000 enough)"
    for _ in range(2):
        error = failed(ask(session, 1), ReplyException)
        assert str(error) == "no reply came to '1 asked': the session is closed (1000 enough)"
    assert nothing_is_left(session)


def test_what_was_never_sent_fails_at_the_close_too() -> None:
    session = websocket("ws://127.0.0.1:9").prepare()
    seen = Seen(ask(session, 1, timeout=None))
    session.close()
    assert type(seen.error) is ReplyException


def test_what_cannot_be_sent_fails_with_that(connect, play) -> None:
    read = threading.Event()
    session = connect(play(lambda wire: read.wait(DEADLINE)), send_timeout=0.05)
    is_open(session)
    error: Exception | None = None
    while error is None:
        seen = Seen(session.ask(bytes(MIB), reply=bool, timeout=None))
        error = seen.error
    assert isinstance(error, SendException)
    read.set()


@pytest.mark.parametrize("function", [lambda: 1 / 0, lambda: 7], ids=["raises", "gives no message"])
def test_a_function_that_gives_no_message_fails_that_ask_alone(connect, server: EchoServer, function) -> None:
    session = connect(server.url)
    is_open(session)
    failed(session.ask(function, reply=bool), (ZeroDivisionError, TypeError))
    assert nothing_is_left(session)
    assert ask(session, 1).run() == "1 asked"


# --- in time


def test_with_no_reply_in_its_time_it_fails_and_says_what_was_asked(connect, play) -> None:
    session = connect(play(silent))
    is_open(session)
    start = time.monotonic()
    error = failed(ask(session, 1, timeout=0.05), ReplyTimeoutException)
    assert time.monotonic() - start >= 0.05
    assert str(error) == "no reply came to '1 asked': not within 0.05 s"
    assert nothing_is_left(session)


def test_the_time_goes_on_while_there_is_no_connection() -> None:
    with websocket("ws://127.0.0.1:9").prepare() as session:
        error = failed(ask(session, 1, timeout=0.01), ReplyTimeoutException)
        assert (
            str(error) == "no reply came to '1 asked': not within 0.01 s, and it was not sent: no connection was open"
        )


def test_who_retries_asks_again_each_time_and_may_do_so_at_the_deadline(connect, play) -> None:
    asked: queue.SimpleQueue[str] = queue.SimpleQueue()

    def answer(wire: Wire, message: str) -> None:
        asked.put(message)
        if asked.qsize() == 3:
            wire.send(message)

    session = connect(play(answering(answer)))
    is_open(session)
    assert ask(session, 1, timeout=0.02).pipe(ops.retry(5)).run() == "1 asked"
    assert asked.qsize() == 3


def test_thousands_that_are_open_have_one_thread_and_are_forgotten(connect, play) -> None:
    session = connect(play(silent))
    is_open(session)
    threads = threading.active_count()
    streams = [ask(session, number, timeout=3600) for number in range(3000)]
    subscriptions = [stream.subscribe(on_error=lambda _: None) for stream in streams]
    assert threading.active_count() <= threads + 1
    for subscription in subscriptions:
        subscription.dispose()
    assert nothing_is_left(session)
    assert len(DEADLINES._heap) < 1000
    del streams, subscriptions, subscription
    gc.collect()
    assert not [each for each in gc.get_objects() if isinstance(each, rxsocket.replies._Ask)]


# --- what the user's functions raise


def test_a_key_function_that_raises_costs_one_message_and_is_reported_once(connect, play) -> None:
    session = connect(play(answering(lambda wire, message: message == "go" and wire.send("x", "1", "2"))))
    errors = Seen(session.errors)
    replies = [Seen(session.ask("?", reply=int, key=number)) for number in (1, 2)]
    session.send("go")
    assert [seen.one() for seen in replies] == ["1", "2"]
    (error,) = errors.items
    assert isinstance(error, FunctionException)
    assert error.function == "reply=int()"
    assert isinstance(error.__cause__, ValueError)


def test_a_result_that_is_no_key_is_reported_too(connect, server: EchoServer) -> None:
    session = connect(server.url)
    errors = Seen(session.errors)
    with pytest.raises(ReplyTimeoutException):
        session.ask("a", reply=lambda text: [text], key="a", timeout=0.1).run()
    (error,) = errors.items
    assert isinstance(error.__cause__, TypeError)


def test_a_subscriber_that_raises_is_reported_with_what_it_asked(connect, server: EchoServer) -> None:
    session = connect(server.url)
    errors = Seen(session.errors)
    ask(session, 1).subscribe(lambda _: 1 / 0)
    (error,) = errors.wait()
    assert isinstance(error, SubscriberException)
    assert error.stream == "ask('1 asked')"


@pytest.mark.parametrize("broken", [ops.map(int), ops.take(1)], ids=["fails", "completes"])
def test_the_end_of_the_stream_of_messages_is_that_of_its_asks(connect, server: EchoServer, broken) -> None:
    session = connect(server.url)
    messages = session.messages.body.pipe(broken)
    error = failed(session.ask("x", reply=lambda _: None, key=1, messages=messages), ReplyException)
    assert str(error) in {
        "no reply came to 'x': the messages failed",
        "no reply came to 'x': no more messages come",
    }
    assert nothing_is_left(session)


@pytest.mark.parametrize(
    ("options", "kind", "problem"),
    [
        ({"message": 1}, TypeError, "the message is a message"),
        ({"reply": "x"}, TypeError, "reply is a function"),
        ({"messages": [1]}, TypeError, "messages is an Observable"),
        ({"key": []}, TypeError, "unhashable"),
        ({"timeout": 0}, ValueError, "timeout is over 0"),
        ({"timeout": -1}, ValueError, "timeout is over 0"),
        ({"timeout": "1"}, TypeError, "timeout is a number, or None"),
        ({"message": "\ud800"}, ValueError, "the message is a message"),
    ],
)
def test_what_can_never_work_is_told_of_at_the_call(
    connect, server: EchoServer, options: dict[str, Any], kind: type[Exception], problem: str
) -> None:
    session = connect(server.url)
    with pytest.raises(kind, match=problem):
        session.ask(**{"message": "x", "reply": bool, **options})
    assert ask(session, 1).run() == "1 asked"


def test_a_reply_of_ten_thousand_that_are_open_is_found_at_once(connect, server: EchoServer) -> None:
    session = connect(server.url)
    is_open(session)
    with within(DEADLINE):
        replies = [ask(session, number) for number in range(10_000)]
        left = threading.Semaphore(0)
        for stream in replies:
            stream.subscribe(lambda _: left.release())
        for _ in replies:
            assert left.acquire(timeout=DEADLINE)
