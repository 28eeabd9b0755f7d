"""Topics: what the server is told, when, and how often; and what their subscribers get, against scripted peers."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
import reactivex
import reactivex.operators as ops
from reactivex.subject import Subject
from servers import DEADLINE, EchoServer, Seen, Wire, in_turn
from threads import in_threads

from rxsocket.backoff import Backoff
from rxsocket.errors import FunctionException, SendException, SubscriberException
from rxsocket.fake import FakeSession
from rxsocket.frames import Close
from rxsocket.session import Session
from rxsocket.socket import websocket

AT_ONCE = Backoff(initial=0, jitter=0)
MIB = 1 << 20


class Told:
    """What a server was told, on which connection; and a script that lets it answer, or hang up."""

    def __init__(self, answer: Callable[[Wire, Any], object] = lambda wire, message: None) -> None:
        self.messages: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._answer = answer
        self._connections = count(1)

    def script(self, wire: Wire) -> None:
        connection = next(self._connections)
        while not isinstance(message := wire.next(), Close):
            if message is None or message == "hang up":
                return
            self.messages.put((connection, message))
            self._answer(wire, message)
        wire.close(message)

    def next(self) -> tuple[int, Any]:
        return self.messages.get(timeout=DEADLINE)

    def rest(self) -> list[tuple[int, Any]]:
        """All that it was told by now, of which a session that is closed has sent the last."""
        return list(self._rest())

    def _rest(self) -> Iterator[tuple[int, Any]]:
        while not self.messages.empty():
            yield self.messages.get()


def ticks(session: Session, **options: Any):
    return session.topic(
        **{"subscribe": "+ticks", "unsubscribe": "-ticks", "matches": lambda text: text.startswith("tick"), **options}
    )


def fill(session: Session) -> None:
    """Send until there is no room for another."""
    with contextlib.suppress(SendException):
        while True:
            session.send(bytes(MIB), wait=False)


def is_open(session: Session, connection: int = 1) -> None:
    session.opens.pipe(ops.first(lambda event: event.connection == connection)).run()


# --- what the server is told


def test_it_is_told_once_at_the_first_subscription_and_once_at_the_end_of_the_last(connect, play) -> None:
    told = Told()
    session = connect(play(told.script))
    is_open(session)
    topic = ticks(session)
    subscriptions = [topic.subscribe(), topic.subscribe()]
    assert told.next() == (1, "+ticks")
    subscriptions[0].dispose()
    subscriptions[0].dispose()
    subscriptions.append(topic.subscribe())
    session.send("between")
    assert told.next() == (1, "between")
    subscriptions[1].dispose()
    subscriptions[2].dispose()
    assert told.next() == (1, "-ticks")
    topic.subscribe()
    assert told.next() == (1, "+ticks")
    session.close()
    assert told.rest() == []


def test_where_nothing_ends_a_subscription_it_is_not_told_and_is_told_anew_then(connect, play) -> None:
    told = Told()
    session = connect(play(told.script))
    is_open(session)
    topic = ticks(session, unsubscribe=None)
    for _ in range(2):
        topic.subscribe().dispose()
    session.close()
    assert told.rest() == [(1, "+ticks")] * 2


def test_who_subscribes_while_there_is_no_connection_is_told_of_at_the_opening_before_all_else(play) -> None:
    told = Told()
    with websocket(play(told.script)).prepare() as session:
        ticks(session).subscribe()
        session.opens.subscribe(lambda _: session.send("opened"))
        session.start()
        assert [told.next(), told.next()] == [(1, "+ticks"), (1, "opened")]


def test_nothing_is_kept_for_a_connection_that_nobody_is_subscribed_on(play) -> None:
    told = Told()
    with websocket(play(told.script)).prepare() as session:
        ticks(session).subscribe().dispose()
        session.start()
        is_open(session)
    assert told.rest() == []


def test_it_is_told_again_on_each_further_connection_while_somebody_is_subscribed(connect, play) -> None:
    told = Told()
    session = connect(play(told.script), reconnect=AT_ONCE)
    is_open(session)
    topic, other = ticks(session), session.topic(subscribe="+news", unsubscribe="-news", matches=bool)
    first, second = topic.subscribe(), other.subscribe()
    assert [told.next(), told.next()] == [(1, "+ticks"), (1, "+news")]
    session.send("hang up")
    is_open(session, 2)
    assert [told.next(), told.next()] == [(2, "+ticks"), (2, "+news")]
    first.dispose()
    assert told.next() == (2, "-ticks")
    session.send("hang up")
    is_open(session, 3)
    assert told.next() == (3, "+news")
    second.dispose()
    session.close()
    assert told.rest() == [(3, "-news")]


def test_an_end_while_there_is_no_connection_is_not_told_to_the_next(connect, play) -> None:
    told = Told()
    session = connect(play(told.script), reconnect=Backoff(initial=3600, maximum=3600))
    is_open(session)
    topic = ticks(session)
    subscription = topic.subscribe()
    session.send("hang up")
    session.is_connecting.pipe(ops.first(bool)).run()
    subscription.dispose()
    session.reconnect()
    is_open(session, 2)
    topic.subscribe().dispose()
    session.close()
    assert told.rest() == [(1, "+ticks"), (2, "+ticks"), (2, "-ticks")]


def test_who_comes_and_goes_before_the_server_can_be_told_leaves_it_as_it_is(connect, play) -> None:
    told = Told()
    session = connect(play(told.script), reconnect=Backoff(initial=3600, maximum=3600))
    is_open(session)
    topic = ticks(session)
    subscription = topic.subscribe()
    session.send("hang up")
    session.is_connecting.pipe(ops.first(bool)).run()
    subscription.dispose()
    session.reconnect()
    is_open(session, 2)
    topic._looks.run(lambda: topic.subscribe().dispose())  # as if another thread were at it just then
    session.close()
    assert told.rest() == [(1, "+ticks")]


def test_a_function_that_gives_the_message_is_called_each_time_it_is_sent(connect, play) -> None:
    told = Told()
    session = connect(play(told.script), reconnect=AT_ONCE)
    is_open(session)
    numbers = count(1)
    topic = ticks(session, subscribe=lambda: f"token {next(numbers)}", unsubscribe=lambda: b"bye")
    subscription = topic.subscribe()
    assert told.next() == (1, "token 1")
    session.send("hang up")
    assert told.next() == (2, "token 2")
    subscription.dispose()
    assert told.next() == (2, b"bye")


def test_from_whichever_threads_the_server_ends_where_the_client_does(connect, play) -> None:
    told = Told()
    session = connect(play(told.script))
    is_open(session)
    topic = ticks(session)

    def work() -> None:
        for _ in range(100):
            topic.subscribe().dispose()

    in_threads(work, work, work, work)
    kept = topic.subscribe()
    session.send("end")
    words = [message for _, message in iter(told.next, (1, "end"))]
    assert words == ["+ticks", "-ticks"] * (len(words) // 2) + ["+ticks"]
    kept.dispose()
    assert told.next() == (1, "-ticks")


def test_what_the_outgoing_buffer_has_no_room_for_is_an_error_and_sent_at_the_next_occasion(connect, play) -> None:
    reads = threading.Event()
    told = Told()

    def script(wire: Wire) -> None:
        reads.wait(DEADLINE)
        told.script(wire)

    session = connect(play(script), max_outgoing=MIB)
    is_open(session)
    errors = Seen(session.errors)
    fill(session)
    topic = ticks(session, subscribe="+" * MIB)
    topic.subscribe()
    (error,) = errors.wait()
    assert str(error).startswith("topic('++")
    assert "could not subscribe: the message was not sent: over max_outgoing" in str(error)
    reads.set()
    session.send("read")
    while told.next()[1] != "read":
        pass
    topic.subscribe()
    assert told.next() == (1, "+" * MIB)


def test_a_connection_that_is_lost_just_then_is_no_error(connect, play) -> None:
    told = Told()
    session = connect(play(told.script), reconnect=AT_ONCE)
    is_open(session)
    errors = Seen(session.errors)
    with session.order:  # the session's thread can't find out before
        session._outgoing.error = ConnectionError("lost")
        ticks(session).subscribe()
        session._outgoing.error = None
    session.send("hang up")
    assert told.next() == (2, "+ticks")
    assert not [error for error in errors.items if isinstance(error, SendException)]


# --- what is delivered


def test_only_messages_that_match_come_and_those_right_after_the_subscription_too(connect, play) -> None:
    told = Told(lambda wire, message: wire.send("tick 1", "other", "tick 2"))
    session = connect(play(told.script))
    is_open(session)
    asked: list[str] = []

    def matches(text: str) -> bool:
        asked.append(text)
        return text.startswith("tick")

    topic = ticks(session, matches=matches)
    seen, others = Seen(topic), Seen(topic)
    assert seen.wait(2) == ["tick 1", "tick 2"]
    session.close()
    assert seen.all() == ["tick 1", "tick 2"]
    assert others.is_completed
    assert asked.count("other") == 1


def test_of_another_stream_of_messages_its_items_come(connect, play) -> None:
    told = Told(lambda wire, message: wire.send("1", "2", "3"))
    session = connect(play(told.script))
    is_open(session)
    numbers = session.messages.body.pipe(ops.map(int))
    seen = Seen(session.topic(subscribe="+", matches=lambda number: number % 2, messages=numbers))
    assert seen.wait(2) == [1, 3]


def test_matches_that_raises_costs_one_message_of_this_topic_and_is_reported_once(connect, server: EchoServer) -> None:
    session = connect(server.url)
    is_open(session)
    errors = Seen(session.errors)
    topic = ticks(session, subscribe="tick 0", matches=lambda text: text.startswith("tick") and 1 / int(text[5:]))
    others, seen, second = Seen(session.messages.body), Seen(topic), Seen(topic)
    session.send("tick 2")
    assert seen.wait() == second.wait() == ["tick 2"]
    assert others.wait(2) == ["tick 0", "tick 2"]
    (error,) = errors.items
    assert isinstance(error, FunctionException)
    assert error.function == "matches of topic('tick 0')"
    assert isinstance(error.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("given", [lambda: 1 / 0, lambda: 1], ids=["raises", "gives no message"])
def test_a_function_that_gives_no_message_is_reported_and_called_at_the_next_occasion(connect, play, given) -> None:
    told = Told()
    session = connect(play(told.script))
    is_open(session)
    errors = Seen(session.errors)
    functions = iter([given, lambda: "+ticks"])

    def subscribe() -> object:
        return next(functions)()

    topic = ticks(session, subscribe=subscribe)
    seen = Seen(topic)
    (error,) = errors.wait()
    assert isinstance(error, FunctionException)
    assert error.function.startswith("subscribe of topic(")
    topic.subscribe()
    assert told.next() == (1, "+ticks")
    assert (seen.error, seen.is_completed) == (None, False)


def test_a_subscriber_that_raises_is_reported_with_the_topics_name_and_all_go_on(connect, server: EchoServer) -> None:
    session = connect(server.url)
    is_open(session)
    errors = Seen(session.errors)
    topic = ticks(session, subscribe="tick")
    topic.subscribe(lambda _: 1 / 0)
    seen = Seen(topic)
    session.send("tick")
    assert set(seen.wait()) == {"tick"}
    assert {error.stream for error in errors.items if isinstance(error, SubscriberException)} == {"topic('tick')"}


def test_it_completes_when_the_session_is_closed_and_at_once_after_that(connect, play) -> None:
    session = connect(play(in_turn(Told().script, lambda wire: None)), reconnect=AT_ONCE)
    topic = ticks(session)
    seen = Seen(topic)
    is_open(session)
    session.send("hang up")
    session.closes.pipe(ops.first()).run()
    assert not seen.is_completed
    session.close()
    assert seen.all() == Seen(topic).all() == []


def test_what_the_source_fails_with_ends_the_topic_alone(connect, server: EchoServer) -> None:
    session = connect(server.url)
    is_open(session)
    others = Seen(session.messages.body)
    broken = session.messages.body.pipe(ops.map(int))
    seen = Seen(session.topic(subscribe="x", matches=bool, messages=broken))
    session.send("y")
    assert others.wait(2) == ["x", "y"]
    assert isinstance(seen.error, ValueError)


@pytest.mark.parametrize(
    ("options", "kind", "problem"),
    [
        ({"subscribe": 1}, TypeError, "subscribe is a message"),
        ({"unsubscribe": 1}, TypeError, "unsubscribe is a message"),
        ({"matches": "tick"}, TypeError, "matches is a function"),
        ({"messages": [1]}, TypeError, "messages is an Observable"),
        ({"subscribe": "\ud800"}, ValueError, "subscribe is a message"),
    ],
)
def test_what_can_never_work_is_told_of_at_the_call(
    connect, server: EchoServer, options: dict[str, Any], kind: type[Exception], problem: str
) -> None:
    session = connect(server.url)
    with pytest.raises(kind, match=problem):
        ticks(session, **options)
    session.send("still")
    assert session.messages.body.pipe(ops.first()).run() == "still"


def test_after_an_error_of_its_messages_who_subscribes_again_has_those_that_follow(connect, play) -> None:
    told = Told(lambda wire, message: wire.send("{", "[1]"))
    session = connect(play(told.script))
    messages = session.messages.decode(list[int], invalid="end")
    topic = session.topic(subscribe="subscribe", unsubscribe="unsubscribe", matches=bool, messages=messages)
    seen = Seen(topic.pipe(ops.retry(3), ops.take(1)))
    assert seen.all() == [[1]]


def test_after_an_error_the_next_message_comes_also_while_another_thread_tells_the_server() -> None:
    session = FakeSession()
    session.open()

    def token() -> str:
        if not session.sent:
            in_threads(lambda: (session.receive("{"), session.receive("[1]")))
        return "subscribe"

    messages = session.messages.decode(list[int], invalid="end")
    seen = Seen(session.topic(subscribe=token, matches=bool, messages=messages).pipe(ops.retry(3)))
    session.receive("[2]")
    assert seen.items == [[1], [2]]


def test_a_source_that_fails_at_once_can_be_subscribed_to_again() -> None:
    session = FakeSession()
    session.open()
    tries = count(1)
    source = Subject[str]()
    messages = reactivex.defer(lambda _: reactivex.throw(ValueError()) if next(tries) < 3 else source)
    seen = Seen(session.topic(subscribe="subscribe", matches=bool, messages=messages).pipe(ops.retry(3)))
    source.on_next("one")
    assert seen.items == ["one"]
    assert session.sent == ["subscribe"]
