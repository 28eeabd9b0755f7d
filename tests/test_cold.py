"""A cold stream: a real server counts its connections."""

import asyncio
import threading

import pytest
import reactivex
from reactivex import operators as ops
from servers import DEADLINE, Seen, Wire, in_turn, within

from rxsocket import Close, DecodeException, EndException, EndpointException, websocket


class Server:
    """Sends what it is given to each connection, and closes it with a code, or waits for the client's close."""

    def __init__(self, play, *texts: str, code: int | None = None) -> None:
        self.connections = 0
        self.closes: list[Close] = []
        self.ended = threading.Semaphore(0)
        self._texts = texts
        self._code = code
        self.url = play(in_turn(*[self._serve] * 10))

    def _serve(self, wire: Wire) -> None:
        self.connections += 1
        wire.send(*self._texts)
        if self._code is None:
            self.closes.append(wire.answer_close())
        else:
            wire.close(Close(self._code, "told"))
            wire.wait_for_end()
        self.ended.release()


def test_it_connects_when_it_is_subscribed_to_and_closes_when_the_last_disposes(play):
    server = Server(play, "a", "b")
    stream = websocket(server.url).stream()
    assert server.connections == 0
    one = Seen(stream)
    assert one.wait(2) == ["a", "b"]
    other = Seen(stream)
    one.subscription.dispose()
    assert server.closes == []
    other.subscription.dispose()
    assert server.ended.acquire(timeout=DEADLINE)
    assert server.connections == 1
    assert server.closes == [Close(1000)]


def test_who_subscribes_after_the_last_has_another_connection(play):
    server = Server(play, "a")
    stream = websocket(server.url).stream()
    for _ in range(2):
        seen = Seen(stream.pipe(ops.take(1)))
        assert seen.all() == ["a"]
        assert server.ended.acquire(timeout=DEADLINE)
    assert server.connections == 2


@pytest.mark.parametrize("code", [1000, 1001])
def test_it_completes_at_an_end_in_good_order(play, code):
    server = Server(play, "a", code=code)
    assert Seen(websocket(server.url).stream()).all() == ["a"]


@pytest.mark.parametrize("code", [1011, 4000])
def test_it_fails_with_the_event_at_another_end(play, code):
    server = Server(play, "a", code=code)
    with pytest.raises(EndException, match="told") as raised:
        websocket(server.url).stream().run()
    assert raised.value.event.code == code


def test_it_fails_where_there_is_no_connection_and_with_what_can_never_work():
    with pytest.raises(EndException) as raised:
        websocket("ws://127.0.0.1:1").stream().run()
    assert raised.value.__cause__ is raised.value.event.cause is not None
    with pytest.raises(EndpointException):
        websocket("http://127.0.0.1").stream().run()


def test_retry_connects_anew_at_a_failure(play):
    server = Server(play, "a", code=1011)
    seen = []
    with pytest.raises(EndException):
        websocket(server.url).stream().pipe(ops.retry(3), ops.do_action(seen.append)).run()
    assert seen == ["a"] * 3
    assert server.connections == 3


def test_repeat_connects_anew_at_a_completion(play):
    server = Server(play, "a", code=1000)
    assert Seen(websocket(server.url).stream().pipe(ops.repeat(3))).all() == ["a"] * 3
    assert server.connections == 3


def test_catch_goes_on_with_another_stream(play):
    server = Server(play, "a", code=1011)
    stream = websocket(server.url).stream().pipe(ops.catch(reactivex.just("instead")))
    assert Seen(stream).all() == ["a", "instead"]


def test_timeout_lets_the_connection_go(play):
    server = Server(play)
    with within(DEADLINE), pytest.raises(Exception, match="Timeout"):
        websocket(server.url).stream().pipe(ops.timeout(0.2)).run()
    assert server.ended.acquire(timeout=DEADLINE)
    assert server.closes == [Close(1000)]


def test_each_opening_calls_on_open_and_what_it_raises_is_the_streams_end(play):
    server = Server(play, "a", code=1011)
    opened = []
    stream = websocket(server.url).stream(on_open=lambda session: opened.append(session.url))
    with pytest.raises(EndException):
        stream.pipe(ops.retry(2)).run()
    assert len(opened) == 2
    with pytest.raises(ZeroDivisionError):
        websocket(Server(play).url).stream(on_open=lambda session: 1 // 0).run()


def test_types_are_decoded_and_what_does_not_is_skipped_or_the_end(play):
    socket = websocket(Server(play, "1", "one", "2", code=1000).url)
    assert Seen(socket.stream(int)).all() == [1, 2]
    with pytest.raises(DecodeException):
        socket.stream(int, invalid="end").run()


def test_it_can_be_awaited(play):
    async def main(url: str) -> str | bytes:
        async with asyncio.timeout(DEADLINE):
            return await websocket(url).stream()

    assert asyncio.run(main(Server(play, "a", "b", code=1000).url)) == "b"
