"""Scopes: what is begun in one belongs to it, ends with it, and leaves it when it ends by itself."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import queue
import threading
import weakref
from collections.abc import Callable

import pytest
import reactivex
import reactivex.operators as ops
from reactivex import Observable
from reactivex.subject import Subject as PlainSubject
from servers import DEADLINE, Seen

from rxsocket import Resource, RootStore, Session, batched, buffered, first, iterate, websocket
from rxsocket.scopes import Member, Scope, current, enter, inside, owned
from rxsocket.subjects import BehaviorSubject, Subject
from rxsocket.testing import FakeSession


def subject() -> Subject[int]:
    return Subject("numbers", lambda *_: None)


# --- a scope


def test_it_ends_all_the_newest_first_and_then_waits() -> None:
    told: list[str] = []
    scope = Scope()
    scope.add(lambda: told.append("end 1"), lambda: told.append("wait 1"))
    scope.add(lambda: told.append("end 2"), lambda: told.append("wait 2"))
    scope.end()
    scope.end()
    assert told == ["end 2", "end 1", "wait 2", "wait 1"]
    assert scope.is_over


def test_what_is_taken_out_does_not_end_with_it() -> None:
    told: list[str] = []
    scope = Scope()
    release = scope.add(lambda: told.append("end"))
    assert len(scope) == 1
    release()
    release()
    scope.end()
    assert (told, len(scope)) == ([], 0)


def test_what_comes_to_one_that_has_ended_ends_at_once() -> None:
    told: list[str] = []
    scope = Scope()
    scope.end()
    scope.add(lambda: told.append("end"))()
    assert told == ["end"]


def test_one_that_raises_does_not_keep_the_others_from_their_end() -> None:
    told: list[str] = []
    scope = Scope()
    scope.add(lambda: told.append("end"))
    scope.add(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        scope.end()
    assert told == ["end"]


# --- the current one


def test_the_current_one_is_of_the_thread_or_the_task() -> None:
    scope = Scope()
    with inside(scope):
        assert current() is scope
        with inside(None):
            assert current() is None
        found: list[Scope | None] = []
        thread = threading.Thread(target=lambda: found.append(current()))
        thread.start()
        thread.join()
        assert found == [None]
    assert current() is None


def test_one_can_be_entered_for_good() -> None:
    scope = Scope()

    def work() -> Scope | None:
        enter(scope)
        return current()

    assert contextvars.copy_context().run(work) is scope
    assert current() is None


def test_without_one_nothing_is_owned() -> None:
    owned(lambda: 1 / 0)()


# --- subscriptions


def test_a_subscription_ends_with_its_scope_and_others_go_on() -> None:
    numbers, scope = subject(), Scope()
    mine, others = [], []
    with inside(scope):
        numbers.subscribe(mine.append)
        numbers.pipe(ops.map(lambda number: -number)).subscribe(mine.append)
    numbers.subscribe(others.append)
    numbers.on_next(1)
    scope.end()
    numbers.on_next(2)
    assert (mine, others) == ([1, -1], [1, 2])
    assert len(numbers.observers) == 1


@pytest.mark.parametrize("end", ["on_completed", "on_error", "dispose"])
def test_a_subscription_that_ends_leaves_its_scope(end: str) -> None:
    numbers, scope = subject(), Scope()
    seen: list[object] = []
    with inside(scope):
        subscription = numbers.subscribe(seen.append, seen.append, lambda: seen.append("end"))
    assert isinstance(subscription, Member)
    assert len(scope) == 1
    error = ValueError("over")
    {
        "on_completed": numbers.on_completed,
        "on_error": lambda: numbers.on_error(error),
        "dispose": subscription.dispose,
    }[end]()
    assert len(scope) == 0
    assert seen == {"on_completed": ["end"], "on_error": [error], "dispose": []}[end]


def test_what_ends_amid_its_subscription_leaves_no_trace() -> None:
    value, scope = BehaviorSubject(1, "value", lambda *_: None), Scope()
    seen: list[int] = []
    with inside(scope):
        value.pipe(ops.first()).subscribe(seen.append)
    assert (seen, len(scope), value.observers) == ([1], 0, ())


def test_in_a_scope_that_has_ended_nothing_is_subscribed_to() -> None:
    value, scope = BehaviorSubject(1, "value", lambda *_: None), Scope()
    scope.end()
    seen: list[int] = []
    with inside(scope):
        value.subscribe(seen.append).dispose()
    assert (seen, value.observers) == ([], ())


def test_a_subscriber_runs_in_its_scope_whichever_thread_delivers() -> None:
    numbers, scope = subject(), Scope()
    found: list[Scope | None] = []

    def note(*_: object) -> None:
        found.append(current())

    with inside(scope):
        numbers.subscribe(note, note, note)
    with inside(Scope()):
        thread = threading.Thread(target=lambda: [numbers.on_next(1), numbers.on_completed()])
        thread.start()
        thread.join()
        value = BehaviorSubject(1, "value", lambda *_: None)
    with inside(scope):
        value.subscribe(note)
    assert found == [scope, scope, scope]
    assert current() is None


def test_an_observer_is_told_as_without_a_scope() -> None:
    numbers, told = subject(), PlainSubject[int]()
    seen: list[object] = []
    told.subscribe(seen.append, None, lambda: seen.append("end"))
    with inside(Scope()):
        numbers.subscribe(told)
        numbers.subscribe()
    numbers.on_next(1)
    numbers.on_completed()
    assert seen == [1, "end"]


def test_an_error_that_nobody_takes_is_reported_as_without_a_scope() -> None:
    reports: list[BaseException] = []
    numbers = Subject[int]("numbers", lambda _, error: reports.append(error))
    with inside(Scope()):
        numbers.subscribe()
    error = ValueError("over")
    numbers.on_error(error)
    assert reports == [error]


def test_what_is_subscribed_to_while_it_delivers_belongs_to_the_outer_one() -> None:
    numbers, others, scope = subject(), subject(), Scope()
    seen: list[int] = []
    with inside(scope):
        numbers.pipe(ops.flat_map(lambda _: others)).subscribe(seen.append)
    thread = threading.Thread(target=numbers.on_next, args=(0,))
    thread.start()
    thread.join()
    others.on_next(1)
    scope.end()
    others.on_next(2)
    assert (seen, others.observers) == ([1], ())


def test_many_that_come_and_go_leave_nothing() -> None:
    numbers, scope = subject(), Scope()
    value = BehaviorSubject(1, "value", lambda *_: None)
    with inside(scope):
        numbers.pipe(ops.flat_map(lambda _: value.pipe(ops.first()))).subscribe()
    for number in range(100):
        numbers.on_next(number)
    assert len(scope) == 1


def test_a_scope_keeps_no_subscriber_that_has_gone() -> None:
    numbers, scope = subject(), Scope()

    class Subscriber:
        def take(self, _: int) -> None:
            pass

    subscriber = Subscriber()
    gone = weakref.ref(subscriber)
    with inside(scope):
        numbers.subscribe(subscriber.take).dispose()
    del subscriber
    gc.collect()
    assert gone() is None


# --- what subscribes to more than it says: all of it ends


def ask(session: FakeSession[str]) -> Observable[object]:
    return session.ask("?", reply="yes".__eq__, timeout=None)


STREAMS: dict[str, Callable[[FakeSession[str]], Observable[object]]] = {
    "state": lambda session: session.state,
    "opens": lambda session: session.opens,
    "errors": lambda session: session.errors,
    "messages": lambda session: session.messages,
    "decode": lambda session: session.messages.decode(int),
    "with_gaps": lambda session: session.messages.with_gaps(),
    "windows": lambda session: session.messages.windows().pipe(ops.flat_map(lambda window: window)),
    "buffered": lambda session: session.messages.body.pipe(buffered(10)),
    "batched": lambda session: session.messages.body.pipe(batched(10, 10)),
    "topic": lambda session: session.topic(subscribe="+", unsubscribe="-", matches=bool),
    "ask": ask,
    "stats_every": lambda session: session.stats_every(10),
}


@pytest.mark.parametrize("name", STREAMS)
def test_each_stream_of_a_session_is_left_as_it_was(name: str) -> None:
    session = FakeSession[str]()
    session.open()
    # What a session watches once and for all is its own.
    ask(session).subscribe().dispose()
    session.sent.clear()

    def observed() -> list[int]:
        messages = session.messages
        subjects = [messages, messages.data, messages.body, session.errors, session._states, messages._gaps]
        return [len(each.observers) for each in subjects] + [len(view.observers) for view in messages._decoded]

    stream = STREAMS[name](session)
    before = observed()
    scope = Scope()
    for _ in range(3):
        with inside(scope):
            stream.subscribe() if name != "ask" else stream.pipe(ops.catch(reactivex.empty())).subscribe()
        assert observed() != before
        assert len(scope) > 0
        scope.end()
        scope = Scope()
        assert observed() == before


def test_a_topic_of_two_scopes_ends_with_the_last() -> None:
    session = FakeSession[str]()
    session.open()
    topic = session.topic(subscribe="+", unsubscribe="-", matches=bool)
    one, two = Scope(), Scope()
    seen: list[str] = []
    with inside(one):
        topic.subscribe()
    with inside(two):
        topic.subscribe(seen.append)
    one.end()
    session.receive("hello")
    assert (seen, session.sent) == (["hello"], ["+"])
    two.end()
    assert session.sent == ["+", "-"]


def test_asks_of_two_scopes_share_what_they_listen_to_and_harm_none() -> None:
    session = FakeSession[str]()
    session.open()
    one, two = Scope(), Scope()
    seen: list[str] = []

    def key(text: str) -> str:
        return text

    with inside(one):
        session.ask("?", reply=key, key="1", timeout=None).subscribe()
    with inside(two):
        session.ask("?", reply=key, key="2", timeout=None).subscribe(seen.append)
    one.end()
    session.receive("2")
    assert seen == ["2"]


def test_a_stores_streams_handlers_and_history_end() -> None:
    store = RootStore({"a": 1})
    other, scope = RootStore(0), Scope()
    seen: list[object] = []
    with inside(scope):
        part = store.sub(lambda value: value["a"])
        part.data.subscribe(other.update)
        store.changes.subscribe(seen.append)
        emits = store.handle_and_emit(lambda state, emit: [emit(1), state][1])
        emits.subscribe(seen.append)
        history = store.history()
    emits()
    store.update({"a": 2})
    assert (len(seen), other.current, len(history.current)) == (2, 2, 2)
    scope.end()
    emits()
    store.update({"a": 3})
    assert (len(seen), other.current, len(history.current)) == (2, 2, 2)
    assert store._updates.states.observers == ()


# --- sessions


def test_a_session_closes_with_the_scope_in_which_it_was_started(server) -> None:
    one, two = Scope(), Scope()
    socket = websocket(server.url)
    with inside(one):
        session = socket.connect()
        prepared = socket.prepare()
    with inside(two):
        prepared.start()
    session.opens.pipe(ops.first()).run()
    one.end()
    assert "Closed (1000)" in repr(session)
    assert "Closed" not in repr(prepared)
    two.end()
    assert "Closed" in repr(prepared)


def test_a_session_that_has_ended_leaves_its_scope(server) -> None:
    scope = Scope()
    with inside(scope):
        session = websocket(server.url).connect()
    session.close()
    assert len(scope) == 0


def test_in_a_scope_that_has_ended_no_session_connects(server) -> None:
    scope = Scope()
    scope.end()
    with inside(scope):
        session = websocket(server.url).connect()
    assert "Closed" in repr(session)
    assert session._thread.ident is None
    assert server.ends.empty()


def test_a_cold_stream_is_shared_between_scopes(server) -> None:
    sessions: list[Session] = []
    opened: queue.SimpleQueue[None] = queue.SimpleQueue()
    stream = websocket(server.url).stream(on_open=lambda session: [sessions.append(session), opened.put(None)])
    one, two = Scope(), Scope()
    with inside(one):
        Seen(stream)
    with inside(two):
        seen = Seen(stream)
    opened.get(timeout=DEADLINE)
    one.end()
    sessions[0].send("hello")
    assert seen.wait() == ["hello"]
    two.end()
    sessions[0].closes.run()


# --- coroutines


def test_who_awaits_is_cancelled_and_who_iterates_comes_to_the_end() -> None:
    value, scope = BehaviorSubject(0, "value", lambda *_: None), Scope()
    numbers = subject()

    async def wait() -> str:
        try:
            await first(numbers)
        except asyncio.CancelledError:
            return "cancelled"
        return "?"

    async def wait_for_last() -> str:
        try:
            await numbers
        except asyncio.CancelledError:
            return "cancelled"
        return "?"

    async def loop() -> list[int]:
        return [number async for number in iterate(value)]

    async def main() -> list[object]:
        with inside(scope):
            tasks = [asyncio.ensure_future(each()) for each in (wait, wait_for_last, loop)]
        await asyncio.sleep(0)  # until each waits
        assert len(scope) == 6
        threading.Thread(target=scope.end).start()
        return list(await asyncio.gather(*tasks))

    assert asyncio.run(main()) == ["cancelled", "cancelled", [0]]
    assert (value.observers, numbers.observers) == ((), ())


def test_who_awaits_and_iterates_leaves_the_scope() -> None:
    value, scope = BehaviorSubject(0, "value", lambda *_: None), Scope()

    async def main() -> None:
        with inside(scope):
            assert await first(value) == 0
            async with iterate(value) as numbers:
                assert await anext(numbers) == 0
            assert len(scope) == 0
            ends = iterate(value.pipe(ops.take(1)))
            assert [number async for number in ends] == [0]
            assert len(scope) == 0
            flood = iterate(reactivex.of(1, 2, 3), capacity=1, overflow="error")
            assert len(scope) == 0
            await flood.aclose()

    asyncio.run(main())


def test_a_session_can_be_closed_in_a_scope_that_has_ended(server) -> None:
    session, scope = websocket(server.url).connect(), Scope()
    session.opens.pipe(ops.first()).run()
    scope.end()

    async def main() -> None:
        with inside(scope):
            await session.aclose()

    asyncio.run(main())
    assert "Closed" in repr(session)


# --- what is for all, whichever scope it happens in


class Empty(Scope):
    """A scope to which nothing is to belong."""

    def add(self, *_: object) -> Callable[[], None]:
        raise AssertionError("something belongs to a scope that it is no part of")


def test_what_a_topic_reads_is_of_no_scope_though_one_has_it_look() -> None:
    session = FakeSession[str]()
    session.open()
    topic = session.topic(subscribe="+", matches=bool)
    # As when another thread's newcomer waits for its turn, and who disposes in a scope finds that.
    topic.observers = (reactivex.Observer(),)  # type: ignore[attr-defined]
    with inside(Empty()):
        topic._look()  # type: ignore[attr-defined]
    assert session.sent == ["+"]


def test_that_a_server_confirms_an_update_is_of_no_scope(server) -> None:
    errors: list[Exception] = []
    store = RootStore(0, error_handler=errors.append)
    with store.sync_with(websocket(server.url), Resource(int, id=lambda number: number, empty=0)) as sync:
        Seen(sync.status.pipe(ops.first("synchronized".__eq__))).one()
        with inside(Empty()):
            store.update(1)
    assert not errors
