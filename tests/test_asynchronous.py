"""Coroutines that take what threads deliver: items, ends, room to send; and nothing is left of it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import time
from collections.abc import Callable, Iterator
from statistics import median, quantiles

import pytest
import reactivex
import reactivex.operators as ops
from reactivex.internal.exceptions import SequenceContainsNoElementsError
from servers import BURST, DEADLINE, EchoServer, Wire, in_turn, within

from rxsocket import asynchronous
from rxsocket.asynchronous import CLOSED_SECONDS, AsyncItems, first, iterate
from rxsocket.backoff import Backoff
from rxsocket.errors import CloseException, ConnectionException, HandshakeException, OverflowException, SendException
from rxsocket.frames import Close
from rxsocket.options import MIB
from rxsocket.session import Session
from rxsocket.socket import websocket
from rxsocket.socket_session import close_all
from rxsocket.states import Closed, Open
from rxsocket.subjects import BehaviorSubject, Subject


def fail(name: str, error: BaseException) -> None:
    pytest.fail(f"a subscriber of {name} raised {error!r}")


@pytest.fixture
def subject() -> Subject[int]:
    return Subject("numbers", fail)


@contextlib.contextmanager
def thread(target: Callable[[], object]) -> Iterator[None]:
    """Run something on another thread, which has to come to its end with the block."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            target()
        except BaseException as error:  # noqa: BLE001 told on the thread of the test
            failures.append(error)

    worker = threading.Thread(target=run)
    worker.start()
    try:
        yield
    finally:
        worker.join(DEADLINE)
    assert not worker.is_alive()
    assert failures == []


def deliver(subject: Subject[int], *numbers: int, end: bool = False) -> Callable[[], None]:
    def run() -> None:
        for number in numbers:
            subject.on_next(number)
        if end:
            subject.on_completed()

    return run


def elsewhere(action: Callable[[], object]) -> None:
    """Do something on another thread, while the loop of this one waits for it."""
    with thread(action):
        pass


async def turn() -> None:
    """Let the loop do what it has to."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop go round until something is so."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 it is another thread that makes it so
            await asyncio.sleep(0)


def holds_up(items: AsyncItems[int]) -> Callable[[], object]:
    """Tell whether a thread that delivers is held up."""
    return lambda: items._queue._room._waiters


async def nothing_is_left(subject: Subject[int]) -> None:
    await turn()
    assert subject.observers == ()
    assert asyncio.all_tasks() == {asyncio.current_task()}


# --- the first item


def test_the_first_item_comes_from_another_thread(subject):
    async def main() -> None:
        waiting = asyncio.create_task(first(subject))
        await turn()
        elsewhere(deliver(subject, 1, 2, 3))
        assert subject.observers == ()  # before the loop has had its turn
        assert await waiting == 1
        await nothing_is_left(subject)

    asyncio.run(main())


def test_the_loop_is_woken_when_nothing_else_wakes_it(subject):
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(DEADLINE, lambda: None)  # when it would wake by itself
        sleeps = threading.Event()
        loop.call_soon(sleeps.set)  # nearly: it has nothing else to do
        with within(DEADLINE / 2), thread(lambda: (sleeps.wait(DEADLINE), subject.on_next(1))):
            assert await first(subject) == 1

    asyncio.run(main())


def test_a_current_value_is_the_first_item():
    asyncio.run(_current_value())


async def _current_value() -> None:
    subject = BehaviorSubject(7, "number", fail)
    assert await first(subject) == 7
    assert subject.observers == ()


def test_what_a_stream_ends_with_is_raised(subject):
    async def main() -> None:
        with pytest.raises(SequenceContainsNoElementsError):
            await first(reactivex.empty())
        with pytest.raises(ZeroDivisionError):
            await first(reactivex.throw(ZeroDivisionError()))
        with pytest.raises(RuntimeError, match="StopIteration"):  # as Python has it, of any coroutine
            await first(reactivex.throw(StopIteration()))
        waiting = asyncio.create_task(first(subject))
        await turn()
        elsewhere(lambda: subject.on_error(KeyError("lost")))
        with pytest.raises(KeyError, match="lost"):
            await waiting

    asyncio.run(main())


def test_who_times_out_or_is_cancelled_is_not_subscribed_any_more(subject):
    async def main() -> None:
        with pytest.raises(TimeoutError) as raised:
            async with asyncio.timeout(0.01):
                await first(subject)
        assert subject.observers == ()
        waiting = asyncio.create_task(first(subject))
        await turn()
        assert len(subject.observers) == 1
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await nothing_is_left(subject)
        assert raised.value is not None

    asyncio.run(main())


def test_a_loop_that_is_closed_does_no_harm_to_who_delivers(subject):
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(first(subject))
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.run_until_complete(asyncio.sleep(0))
    assert len(subject.observers) == 1
    loop.close()
    elsewhere(deliver(subject, 1, 2))
    assert subject.observers == ()
    waiting._log_destroy_pending = False  # what asyncio would say of it, rightly
    waiting.get_coro().close()


def test_a_loop_that_is_closed_at_that_moment_does_no_harm_either(subject, monkeypatch):
    async def main() -> AsyncItems[int]:
        items = iterate(subject)
        waiting = asyncio.create_task(anext(items))
        await turn()
        waiting.cancel()
        return items

    loop = asyncio.new_event_loop()
    items = loop.run_until_complete(main())
    loop.run_until_complete(turn())
    loop.close()
    monkeypatch.setattr(loop, "is_closed", iter([False, True, True, True, True]).__next__)
    items._queue._waiting = asyncio.Future(loop=loop)
    elsewhere(deliver(subject, 1))
    monkeypatch.undo()
    del items
    elsewhere(deliver(subject, 2))
    assert subject.observers == ()


def test_it_resumes_within_milliseconds_of_the_delivery(subject, record_property):
    count = 1000
    taken: list[float] = []

    async def main() -> None:
        sleeps = threading.Semaphore(0)

        def run() -> None:
            for _ in range(count):
                assert sleeps.acquire(timeout=DEADLINE)
                subject.on_next(time.perf_counter_ns())

        with thread(run):
            for _ in range(count):
                asyncio.get_running_loop().call_soon(sleeps.release)  # when it waits for the item, and for nothing else
                delivered = await first(subject)
                taken.append((time.perf_counter_ns() - delivered) / 1e6)

    asyncio.run(main())
    p99 = quantiles(taken, n=100)[98]
    record_property("first_ms_p50", median(taken))
    record_property("first_ms_p99", p99)
    assert p99 < 20  # it is 2 on a machine that does nothing else
    assert median(taken) < 2


# --- items, one after the other


@pytest.mark.parametrize("capacity", [1, 2, 7, 1000, 100_000])
def test_ten_thousand_items_lose_nothing_and_leave_nothing(subject, capacity):
    async def main() -> None:
        items = iterate(subject, capacity=capacity)
        threads = threading.active_count()
        with thread(deliver(subject, *range(10_000), end=True)):
            assert [item async for item in items] == list(range(10_000))
        assert threading.active_count() == threads
        assert items.dropped == 0
        with pytest.raises(StopAsyncIteration):
            await anext(items)
        await nothing_is_left(subject)

    asyncio.run(main())


def test_ten_thousand_iterations_leave_nothing(subject):
    async def main() -> None:
        for number in range(10_000):
            items = iterate(subject)
            subject.on_next(number)
            async for item in items:
                assert item == number
                break
            del items
            await asyncio.sleep(0)
            assert subject.observers == ()
        await nothing_is_left(subject)

    asyncio.run(main())


def test_many_items_wake_the_loop_once(subject, monkeypatch):
    async def main() -> None:
        loop = asyncio.get_running_loop()
        items = iterate(subject)
        waiting = asyncio.create_task(anext(items))
        await turn()
        wakes: list[object] = []
        call = loop.call_soon_threadsafe
        monkeypatch.setattr(
            loop, "call_soon_threadsafe", lambda *arguments: (wakes.append(arguments), call(*arguments))
        )
        elsewhere(deliver(subject, *range(500)))
        assert len(wakes) == 1
        assert await waiting == 0
        assert [await anext(items) for _ in range(499)] == list(range(1, 500))
        assert len(wakes) == 1
        await items.aclose()

    asyncio.run(main())


def test_the_loop_has_its_turn_while_items_are_always_there(subject):
    async def main() -> None:
        async def go_round(items: AsyncItems[int]) -> None:
            async for item in items:
                subject.on_next(item + 1)

        async with iterate(subject) as items:
            subject.on_next(0)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(go_round(items), 0.01)

    asyncio.run(main())


def test_what_waits_comes_before_the_error_which_comes_once(subject):
    async def main() -> None:
        items = iterate(subject)
        elsewhere(lambda: (deliver(subject, 1, 2)(), subject.on_error(KeyError("lost"))))
        assert [await anext(items), await anext(items)] == [1, 2]
        with pytest.raises(KeyError, match="lost"):
            await anext(items)
        assert [item async for item in items] == []

    asyncio.run(main())


def test_who_waits_is_told_of_the_end(subject):
    async def main() -> None:
        items = iterate(subject)
        waiting = asyncio.create_task(anext(items, None))
        await turn()
        elsewhere(subject.on_completed)
        assert await waiting is None

    asyncio.run(main())


# --- when there is no room


def test_block_holds_the_thread_up_until_there_is_room(subject):
    async def main() -> None:
        delivered: list[int] = []

        def run() -> None:
            for number in range(10):
                subject.on_next(number)
                delivered.append(number)

        async with iterate(subject, capacity=4) as items:
            with thread(run):
                await until(holds_up(items))
                assert delivered == [0, 1, 2, 3]
                assert await anext(items) == 0
                assert holds_up(items)()  # it is not woken for each item
                assert await anext(items) == 1
                assert not holds_up(items)()
                assert [await anext(items) for _ in range(8)] == list(range(2, 10))

    asyncio.run(main())


@pytest.mark.parametrize(
    ("overflow", "left", "dropped"),
    [("drop_oldest", [7, 8, 9], 7), ("drop_newest", [0, 1, 2], 7), ("latest", [9], 9)],
)
def test_what_there_is_no_room_for_is_let_go(subject, overflow, left, dropped):
    async def main() -> None:
        items = iterate(subject, capacity=3, overflow=overflow)
        elsewhere(deliver(subject, *range(10), end=True))
        assert items.dropped == dropped
        assert [item async for item in items] == left

    asyncio.run(main())


@pytest.mark.parametrize("overflow", ["error", "block"])
def test_what_can_not_wait_ends_after_what_waits(subject, overflow):
    async def main() -> None:
        items = iterate(subject, capacity=3, overflow=overflow)
        deliver(subject, *range(10))()  # on the loop's own thread
        assert subject.observers == ()
        assert [await anext(items) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(OverflowException, match="3 items wait") as raised:
            await anext(items)
        assert ("subscribe_on" in str(raised.value)) == (overflow == "block")
        with pytest.raises(StopAsyncIteration):
            await anext(items)

    asyncio.run(main())


def test_a_stream_that_gives_all_in_subscribe_is_bounded_too():
    async def main() -> None:
        assert [item async for item in iterate(reactivex.range(0, 10), capacity=10)] == list(range(10))
        items = iterate(reactivex.range(0, 11), capacity=10)
        with pytest.raises(OverflowException):
            assert [item async for item in items] == []

    asyncio.run(main())


def test_what_can_not_work_is_refused(subject):
    async def main() -> None:
        with pytest.raises(ValueError, match="capacity is 1 or more"):
            iterate(subject, capacity=0)
        with pytest.raises(TypeError, match="capacity is an int"):
            iterate(subject, capacity=1.5)
        with pytest.raises(ValueError, match="overflow is one of 'block', 'drop_oldest'"):
            iterate(subject, overflow="drop")
        assert subject.observers == ()

    asyncio.run(main())
    with pytest.raises(RuntimeError, match="no running event loop"):
        iterate(subject)


def test_two_tasks_do_not_wait_for_the_same_items(subject):
    async def main() -> None:
        async with iterate(subject) as items:
            waiting = asyncio.create_task(anext(items))
            await turn()
            with pytest.raises(RuntimeError, match="another task waits"):
                await anext(items)
            subject.on_next(1)
            assert await waiting == 1

    asyncio.run(main())


# --- when the iteration ends before the stream does


def test_a_break_leaves_no_subscription(subject):
    async def main() -> None:
        subject_items = iterate(subject)
        elsewhere(deliver(subject, 1, 2))
        async for item in subject_items:
            assert item == 1
            break
        assert len(subject.observers) == 1  # it is referred to, and can go on
        assert await anext(subject_items) == 2
        del subject_items
        await nothing_is_left(subject)
        asyncio.get_running_loop().call_soon(subject.on_next, 1)
        async for _ in iterate(subject):
            break
        await nothing_is_left(subject)

    asyncio.run(main())


def test_an_exception_that_is_kept_keeps_no_subscription(subject):
    async def main() -> None:
        kept: list[BaseException] = []
        try:
            async with asyncio.timeout(0.01):
                async for _ in iterate(subject):
                    pass
        except TimeoutError as error:
            kept.append(error)
        await nothing_is_left(subject)

    asyncio.run(main())


@pytest.mark.parametrize("manage", [lambda items: items, contextlib.aclosing])
def test_a_block_leaves_no_subscription_at_its_end(subject, manage):
    async def main() -> None:
        async with manage(iterate(subject)) as items:
            deliver(subject, 1, 2)()
            assert await anext(items) == 1
        assert subject.observers == ()
        assert [item async for item in items] == []

    asyncio.run(main())


def test_what_is_closed_lets_go_those_who_wait(subject):
    async def main() -> None:
        items = iterate(subject, capacity=1)
        with within(CLOSED_SECONDS / 2), thread(deliver(subject, 1, 2, 3)):
            await until(holds_up(items))
            await items.aclose()
        assert subject.observers == ()
        items = iterate(subject)
        waiting = asyncio.create_task(anext(items, None))
        await turn()
        await items.aclose()
        assert await waiting is None
        await items.aclose()

    asyncio.run(main())


def test_who_is_let_go_of_lets_the_thread_go_that_it_holds_up(subject):
    async def main() -> None:
        items = iterate(subject, capacity=1)
        assert items.dropped == 0
        with within(CLOSED_SECONDS / 2), thread(deliver(subject, 1, 2, 3)):
            await until(holds_up(items))
            del items
            await turn()
        await nothing_is_left(subject)

    asyncio.run(main())


def test_a_thread_that_is_held_up_goes_on_when_the_loop_is_closed(subject, monkeypatch):
    monkeypatch.setattr(asynchronous, "CLOSED_SECONDS", 0.01)

    async def main() -> AsyncItems[int]:
        return iterate(subject, capacity=1)

    loop = asyncio.new_event_loop()
    items = loop.run_until_complete(main())
    with thread(deliver(subject, 1, 2, 3)):
        loop.close()
    assert subject.observers == ()
    del items
    gc.collect()


def test_who_is_cancelled_has_taken_no_item(subject):
    async def main() -> None:
        seen: list[int] = []
        async with iterate(subject) as items:
            with thread(deliver(subject, *range(2000), end=True)):
                while True:
                    waiting = asyncio.create_task(anext(items))
                    await asyncio.sleep(0)
                    if len(seen) % 3:
                        waiting.cancel()
                    try:
                        seen.append(await waiting)
                    except asyncio.CancelledError:
                        seen.append(await anext(items))
                    if seen[-1] == 1999:
                        break
        assert seen == list(range(2000))

    asyncio.run(main())


def test_an_item_may_come_when_nobody_waits_for_it_any_more(subject, caplog):
    async def main() -> None:
        async with iterate(subject) as items:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(items), 0.01)
            subject.on_next(1)
            await turn()
            assert await anext(items) == 1

    asyncio.run(main())
    assert caplog.records == []  # asyncio logs what fails in a loop's turn


# --- sessions


def test_a_session_is_open_in_its_block_and_closed_behind_it(server: EchoServer):
    async def main() -> Session:
        async with websocket(server.url).aconnect("text") as session:
            assert isinstance(session.current_state, Open)
            async with iterate(session.messages.body) as texts:
                for number in range(100):
                    await session.asend(str(number))
                    assert await anext(texts) == f"echo: {number}"
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return session

    state = asyncio.run(main()).current_state
    assert isinstance(state, Closed)
    assert state.event.was_clean
    assert server.ends.get(timeout=DEADLINE) == ("/text", 1000, "")


def test_a_burst_goes_through_an_iteration_that_holds_the_session_up(server: EchoServer):
    async def main() -> list[str]:
        async with websocket(server.url).aconnect("burst") as session:
            texts = session.messages.body.pipe(ops.take(BURST))
            return [text async for text in iterate(texts, capacity=10)]

    assert asyncio.run(main()) == [str(number) for number in range(BURST)]


def test_a_session_that_an_iteration_held_up_closes_all_the_same(server: EchoServer):
    async def main() -> Session:
        async with websocket(server.url).aconnect("burst") as session:
            with contextlib.suppress(ZeroDivisionError):
                async for text in iterate(session.messages.body, capacity=10):
                    assert 1 // int(text)
        return session

    with within(2):
        session = asyncio.run(main())
    assert isinstance(session.current_state, Closed)


def test_what_could_not_be_connected_is_raised(play):
    def refuse(wire: Wire) -> None:
        wire.read_request()
        wire.raw(b"HTTP/1.1 403 Forbidden\r\n\r\n")

    async def main(url: str) -> None:
        async with websocket(url).aconnect():
            pytest.fail("it is not open")

    with pytest.raises(HandshakeException) as raised:
        asyncio.run(main(play(refuse, upgrade=False)))
    assert raised.value.status == 403


def test_what_is_closed_before_it_opens_is_raised(play):
    asked = threading.Event()

    def hang(wire: Wire) -> None:
        asked.set()
        wire.wait_for_end()

    async def main(url: str) -> None:
        def close() -> None:
            assert asked.wait(DEADLINE)
            close_all()

        with thread(close), pytest.raises(ConnectionException, match="no connection to ws://"):
            async with websocket(url).aconnect():
                pytest.fail("it is not open")

    asyncio.run(main(play(hang, upgrade=False)))


def test_a_policy_tries_again_until_it_is_open(play):
    def ended(wire: Wire) -> None:
        wire.sock.close()

    def opened(wire: Wire) -> None:
        wire.upgrade()
        wire.answer_close()

    async def main(url: str) -> None:
        async with websocket(url, reconnect=Backoff(initial=0.01)).aconnect() as session:
            assert (await first(session.opens)).url.startswith("ws://")

    asyncio.run(main(play(in_turn(ended, opened), upgrade=False)))


def test_who_is_cancelled_while_it_connects_gives_the_attempt_up(play):
    async def main(url: str) -> None:
        async with asyncio.timeout(0.05):
            async with websocket(url).aconnect():
                pytest.fail("it is not open")

    url = play(lambda wire: wire.wait_for_end(), upgrade=False)
    with within(2), pytest.raises(TimeoutError):
        asyncio.run(main(url))


def test_who_is_cancelled_in_the_block_has_closed_the_session(play):
    closed: list[Close] = []
    sessions: list[Session] = []

    async def main(url: str) -> None:
        async with asyncio.timeout(0.05):
            async with websocket(url).aconnect() as session:
                sessions.append(session)
                await first(session.messages)

    with pytest.raises(TimeoutError):
        asyncio.run(main(play(lambda wire: closed.append(wire.answer_close()))))
    assert closed == [Close(1000)]
    assert isinstance(sessions[0].current_state, Closed)


def test_the_loop_goes_on_while_a_session_closes(play):
    async def main(url: str) -> None:
        async with websocket(url, close_timeout=0.2).aconnect() as session:
            closing = asyncio.create_task(session.aclose(4000, "enough"))
            longest, last = 0.0, time.monotonic()
            while not closing.done():
                await asyncio.sleep(0)
                longest, last = max(longest, time.monotonic() - last), time.monotonic()
            assert longest < 0.15  # and not until the time for closing is over
            with pytest.raises(CloseException):
                await session.aclose(1)

    asyncio.run(main(play(lambda wire: wire.frames())))


def test_a_subscriber_that_hangs_does_not_hold_a_close_up(play):
    hangs, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def hang(message: object) -> None:
        hangs.set()
        assert go_on.wait(DEADLINE)

    def script(wire: Wire) -> None:
        wire.send("hang")
        wire.wait_for_end()
        ended.set()

    async def main(url: str) -> None:
        async with websocket(url, close_timeout=0.1).aconnect() as session:
            session.messages.subscribe(hang)
            await asyncio.to_thread(hangs.wait, DEADLINE)
        is_cut = await asyncio.to_thread(ended.wait, 1)
        go_on.set()
        assert is_cut

    with within(3):
        asyncio.run(main(play(script)))


# --- what waits for room, and what does not


def test_what_has_room_is_sent_at_once(server: EchoServer):
    async def main() -> None:
        async with websocket(server.url).aconnect() as session:
            sending = session.asend("at once")
            with pytest.raises(StopIteration):  # it has come to its end without waiting
                sending.send(None)
            assert await first(session.messages.body) == "at once"

    asyncio.run(main())


def test_it_waits_for_a_connection_and_for_room_while_the_loop_goes_on(play):
    read = threading.Event()
    messages: list[object] = []

    def script(wire: Wire) -> None:
        wire.upgrade()
        assert read.wait(DEADLINE)
        messages.extend(wire.next() for _ in range(16))
        wire.answer_close()

    async def main(url: str) -> None:
        session = websocket(url).connect()
        tasks = [asyncio.create_task(session.asend(bytes([n]) * MIB)) for n in range(16)]
        await first(session.opens)
        await until(lambda: session._waits_for_room)
        assert not all(task.done() for task in tasks)
        read.set()
        await asyncio.gather(*tasks)
        assert session._waits_for_room == 0
        assert session._changed._futures == {}
        await session.aclose()

    asyncio.run(main(play(script, upgrade=False, buffer=1 << 16)))
    assert messages == [bytes([n]) * MIB for n in range(16)]


def test_who_is_cancelled_while_it_waits_for_room_has_sent_nothing(play):
    read = threading.Event()
    kinds: list[object] = []

    def script(wire: Wire) -> None:
        assert read.wait(DEADLINE)
        kinds.append(type(wire.next()))
        frame = wire.next()
        assert isinstance(frame, Close)
        wire.close(frame)

    async def main(url: str) -> None:
        async with websocket(url).aconnect() as session:
            await session.asend(bytes(16 * MIB))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await session.asend("late")
            assert session._waits_for_room == 0
            assert session._changed._futures == {}
            read.set()

    asyncio.run(main(play(script, buffer=1 << 16)))
    assert kinds == [bytes]


def test_what_send_raises_is_raised(play):
    async def main(url: str) -> None:
        async with websocket(url, send_timeout=0.05, close_timeout=0.1).aconnect() as session:
            with pytest.raises(TypeError):
                await session.asend(1)
            with pytest.raises(ValueError, match="surrogate"):
                await session.asend("\ud800")
            await session.asend(bytes(16 * MIB))
            with pytest.raises(SendException, match=r"the peer does not read after send_timeout=0\.05 s"):
                await session.asend("late")
            waiting = asyncio.create_task(session.asend("late"))
            await turn()
            session._begin_close(Close(1000))
            with pytest.raises(SendException, match="the session is closing"):
                await waiting
        with pytest.raises(SendException, match="the session is closed"):
            await session.asend("late")
        with websocket(url).prepare() as session, pytest.raises(SendException, match="was not called"):
            await session.asend("early")

    stop = threading.Event()
    url = play(lambda wire: stop.wait(DEADLINE), buffer=1 << 16)
    try:
        asyncio.run(main(url))
    finally:
        stop.set()


def test_there_was_no_connection_in_time(play):
    async def main(url: str) -> None:
        session = websocket(url, send_timeout=0.05).connect()
        with pytest.raises(TypeError):
            await session.asend(1)
        with pytest.raises(SendException, match=r"there is no connection to .* after send_timeout=0\.05 s"):
            await session.asend("early")
        await session.aclose()

    asyncio.run(main(play(lambda wire: wire.wait_for_end(), upgrade=False)))
