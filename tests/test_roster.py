"""The sessions of the process: which there are, one of each name, and an end to all of them."""

from __future__ import annotations

import asyncio

import pytest
import reactivex.operators as ops
from pictures import cells
from servers import DEADLINE, Wire, within
from threads import in_threads

from rxsocket import Close, Session, Sessions, close_all, sessions, websocket
from rxsocket.socket_session import named


def is_open(session: Session) -> Session:
    session.is_open.pipe(ops.first(bool)).run()
    return session


def test_those_that_have_started_and_are_not_closed_are_there(server, connect) -> None:
    assert sessions() == ()
    one, two = connect(server.url), connect(server.url)
    websocket(server.url).prepare().close()
    assert sessions() == (one, two)
    assert isinstance(sessions(), Sessions)
    one.close()
    assert sessions() == (two,)


def test_their_picture_has_a_line_for_each(server) -> None:
    assert repr(sessions()) == "no session is open"
    assert cells(sessions()._repr_html_()) == [["0 open sessions"]]
    socket = websocket(server.url)
    with socket.connect(name="<b>") as one, socket.connect() as two:
        is_open(one)
        is_open(two)
        lines = repr(sessions()).splitlines()
        assert lines[0].startswith(f"<Session <b> {one.url} Open, ")
        assert lines[1].startswith(f"<Session {two.url} Open, ")
        table = cells(sessions()._repr_html_())
        assert [row[:2] for row in table[1:]] == [["●", "<b>"], ["●", ""]]
        assert table[0] == ["2 open sessions"]
        assert cells(one._repr_html_())[0] == ["● Session <b>"]


def test_of_very_many_the_first_are_listed(server) -> None:
    with websocket(server.url).connect() as session:
        table = cells(Sessions([session] * 30)._repr_html_())
    assert table[-1] == ["10 more"]
    assert len(table) == 22


def test_all_can_be_closed_with_1001(server, connect) -> None:
    for _ in range(2):
        is_open(connect(server.url))
    close_all()
    assert [server.ends.get(timeout=DEADLINE)[1] for _ in range(2)] == [1001, 1001]
    assert sessions() == ()


# --- names


def test_a_name_is_of_one_session_and_the_earlier_closes_first(server) -> None:
    socket = websocket(server.url)
    with is_open(socket.connect(name="feed")) as one:
        with is_open(socket.connect("text", name="feed")) as two:
            assert (one.name, two.name) == ("feed", "feed")
            assert sessions() == (two,)
            assert server.ends.get_nowait()[:2] == ("/", 1000)
            with socket.connect(name="other"), socket.connect():
                assert len(sessions()) == 3
        assert named("feed") == named(None) == []


def test_a_server_hears_of_the_close_before_the_next_handshake_begins(play) -> None:
    order: list[str] = []

    def script(wire: Wire) -> None:
        order.append("opened")
        wire.next()
        order.append("closed")
        wire.close(Close(1000))

    socket = websocket(play(script), close_timeout=0.5)
    with is_open(socket.connect(name="feed")), is_open(socket.connect(name="feed")):
        pass
    assert order == ["opened", "closed", "opened", "closed"]


def test_a_server_that_does_not_answer_is_waited_for_until_the_close_timeout(play) -> None:
    socket = websocket(play(Wire.wait_for_end), close_timeout=0.2)
    with is_open(socket.connect(name="feed")) as one, within(2), socket.connect(name="feed"):
        assert one.current_state.event.code == 1006


def test_in_a_subscriber_of_the_earlier_it_does_not_wait(server) -> None:
    socket = websocket(server.url)
    later: list[Session] = []
    with is_open(socket.connect(name="feed")) as one:
        one.messages.body.subscribe(lambda _: later.append(socket.connect(name="feed")))
        with within(2):
            one.send("again")
            one.closes.run()
        is_open(later[0]).close()


def test_threads_that_connect_by_one_name_leave_one_session(server) -> None:
    socket = websocket(server.url)
    made: list[Session] = []
    in_threads(*[lambda: made.append(socket.connect(name="feed"))] * 8)
    left = sessions()
    assert len(left) == 1
    assert is_open(left[0]) in made
    left[0].close()


def test_a_prepared_one_takes_the_name_when_it_starts(server) -> None:
    socket = websocket(server.url)
    with is_open(socket.connect(name="feed")) as one:
        prepared = socket.prepare(name="feed")
        assert sessions() == (one,)
        prepared.start().start()
        assert sessions() == (prepared,)
        prepared.close()
        assert prepared.start() is prepared
    assert sessions() == ()


def test_a_name_is_a_text() -> None:
    with pytest.raises(TypeError, match="a session's name is a str, or None, not int"):
        websocket("ws://127.0.0.1:1").connect(name=1)  # type: ignore[arg-type]


def test_a_coroutine_does_not_hold_its_loop_up_for_a_name(play, server) -> None:
    async def main() -> int:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.01)

        counting = asyncio.ensure_future(count())
        async with websocket(server.url).aconnect(name="feed") as session:
            assert session.name == "feed"
        counting.cancel()
        return turns

    with is_open(websocket(play(Wire.wait_for_end), close_timeout=0.3).connect(name="feed")):
        assert asyncio.run(main()) > 10
