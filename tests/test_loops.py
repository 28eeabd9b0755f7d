"""What coroutines wait for, whichever thread tells it: the last item of a stream. Changes are tested with sessions."""

from __future__ import annotations

import asyncio
import threading

import pytest
import reactivex.operators as ops
from reactivex.internal.exceptions import SequenceContainsNoElementsError
from servers import DEADLINE, EchoServer

from rxsocket import websocket
from rxsocket.loops import last
from rxsocket.scopes import owned
from rxsocket.subjects import BehaviorSubject, Subject, guarded


def fail(name: str, error: BaseException) -> None:
    pytest.fail(f"a subscriber of {name} raised {error!r}")


@pytest.fixture
def subject() -> Subject[int]:
    return Subject("numbers", fail)


def after(*notifications) -> threading.Thread:
    """Deliver on another thread, once the loop has nothing else to do."""
    sleeps = threading.Event()

    def run() -> None:
        assert sleeps.wait(DEADLINE)
        for notify, *arguments in notifications:
            notify(*arguments)

    thread = threading.Thread(target=run)
    thread.start()
    asyncio.get_running_loop().call_soon(sleeps.set)
    return thread


@pytest.mark.parametrize("derive", [lambda stream: stream, lambda stream: stream.pipe(guarded("derived", fail))])
def test_a_stream_of_ours_is_awaited_for_its_last_item_and_wakes_the_loop(subject, derive):
    async def main() -> None:
        thread = after((subject.on_next, 1), (subject.on_next, 2), (subject.on_completed,))
        async with asyncio.timeout(DEADLINE / 2):
            assert await derive(subject) == 2
        thread.join(DEADLINE)
        assert subject.observers == ()

    asyncio.run(main())


def test_what_it_ends_with_is_raised(subject):
    async def main() -> None:
        error = ValueError("ends")
        thread = after((subject.on_next, 1), (subject.on_error, error))
        with pytest.raises(ValueError, match="ends"):
            await subject
        thread.join(DEADLINE)
        empty = Subject[int]("empty", fail)
        empty.on_completed()
        with pytest.raises(SequenceContainsNoElementsError):
            await empty

    asyncio.run(main())


def test_a_current_value_is_the_last_item_of_a_stream_that_has_ended():
    value = BehaviorSubject(1, "value", fail)
    value.on_completed()
    assert asyncio.run(last(value, owned)) == 1


def test_who_is_cancelled_is_not_subscribed_any_more(subject):
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await subject
        assert subject.observers == ()

    asyncio.run(main())


def test_a_sessions_own_streams_are_awaited(server: EchoServer):
    async def main() -> None:
        async with websocket(server.url).aconnect() as session:
            assert 0 < await session.ping() < DEADLINE
            last_text = asyncio.ensure_future(last(session.messages.body.pipe(ops.take(2)), owned))
            await session.asend("one")
            await session.asend("two")
            assert await last_text == "two"
            asyncio.get_running_loop().call_soon(session.close)
            assert (await session.closes).code == 1000
            assert await session.is_closed

    asyncio.run(main())
