"""Sessions that are left open: which are told of, and that they are closed then."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from inspect import currentframe

import pytest
import reactivex.operators as ops
from servers import within

from rxsocket import websocket
from rxsocket.leftovers import no_open_sessions
from rxsocket.proxy import proxy
from rxsocket.script_client import Client
from rxsocket.scripted import serve
from rxsocket.states import Closed, Open, State


def here() -> int:
    """Return the number of the line that calls this."""
    frame = currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def listen(client: Client) -> None:
    for _ in client:
        pass


def test_what_is_closed_is_fine_also_if_it_is_about_to():
    with serve(listen, clients=0) as url, no_open_sessions():
        with websocket(url).connect():
            pass
        websocket(url).connect().close(wait=False)


def test_what_is_left_is_named_with_its_line_and_closed():
    with serve(listen, clients=0) as url:
        line = here() + 2
        with pytest.raises(AssertionError) as failure, no_open_sessions(timeout=0):
            session = websocket(url).connect()
        assert "a session is left open" in str(failure.value)
        assert f"<Session {url} " in str(failure.value)
        assert f"started at {__file__}:{line}" in str(failure.value)
        assert isinstance(session.current_state, Closed)
        with no_open_sessions():
            pass


def test_each_is_named_whatever_has_started_it():
    with serve(listen, clients=0) as url:
        line = here() + 2
        with pytest.raises(AssertionError) as failure, no_open_sessions(timeout=0):
            _ = websocket(url).stream().pipe(ops.map(len)).subscribe(), websocket(url).prepare().reconnect()
        assert "2 sessions are left open" in str(failure.value)
        assert str(failure.value).count(f"started at {__file__}:{line}") == 2


def by_a_thread(start: Callable[[], object]) -> None:
    thread = threading.Thread(target=start)
    thread.start()
    thread.join()


def by_a_pool(start: Callable[[], object]) -> None:
    with ThreadPoolExecutor(1) as threads:
        threads.submit(start).result()


def by_a_loop(start: Callable[[], object]) -> None:
    loop = asyncio.new_event_loop()
    loop.call_soon(start)
    loop.call_soon(loop.stop)
    by_a_thread(loop.run_forever)
    loop.close()


@pytest.mark.parametrize("started", [by_a_thread, by_a_pool, by_a_loop])
def test_what_an_operator_has_started_on_a_thread_has_no_line_of_the_users(started: Callable[..., None]):
    with serve(listen, clients=0) as url:
        stream = websocket(url).stream()
        with pytest.raises(AssertionError) as failure, no_open_sessions(timeout=0):
            started(stream.subscribe)
        assert "started at no line of the user's, on the thread '" in str(failure.value)


def test_several_that_are_left_are_closed_at_once():
    def block(url: str) -> None:
        with no_open_sessions(timeout=0):
            for _ in range(4):
                websocket(url, close_timeout=1.0).connect().opens.pipe(ops.first()).run()

    with serve(Client.stall) as url, within(3), pytest.raises(AssertionError, match="4 sessions are left open"):
        block(url)


def test_what_is_closed_and_not_told_of_to_all_yet_is_not_left_open():
    is_told, go_on = threading.Event(), threading.Event()

    def hold_up(state: State) -> None:
        if isinstance(state, Closed):
            is_told.set()
            go_on.wait(10)

    with serve(lambda client: client.close()) as url, no_open_sessions(timeout=0):
        websocket(url).connect().state.subscribe(hold_up)
        assert is_told.wait(10)
    go_on.set()


def test_what_was_open_before_stays_open():
    with serve(listen, clients=0) as url, websocket(url).connect() as session:
        session.opens.pipe(ops.first()).run()
        with no_open_sessions():
            pass
        assert isinstance(session.current_state, Open)


def test_what_only_the_end_of_a_server_has_ended_is_left_open():
    def block() -> int:
        with no_open_sessions(), serve(listen) as url:
            websocket(url).connect().opens.pipe(ops.first()).run()
            return here() - 1

    def block_through_a_proxy() -> int:
        with serve(listen) as url, no_open_sessions(), proxy(url) as faults:
            websocket(faults.url.replace("127.0.0.1", "localhost")).connect().opens.pipe(ops.first()).run()
            return here() - 1

    for held in (block, block_through_a_proxy):
        with pytest.raises(AssertionError, match="a session is left open") as failure:
            held()
        assert f"started at {__file__}:{held.__code__.co_firstlineno + 2}" in str(failure.value)


def test_what_the_script_or_the_block_has_closed_is_not_left_open():
    with no_open_sessions():
        with serve(lambda client: client.close(1001), listen) as url:
            websocket(url).connect().closes.run()
            session = websocket(url).connect()
            session.opens.pipe(ops.first()).run()
            session.close()
        with serve(listen) as url, websocket(url).connect() as session, no_open_sessions(), serve(listen, clients=0):
            session.opens.pipe(ops.first()).run()


def test_what_is_closing_when_a_server_ends_is_not_left_open():
    with no_open_sessions(), serve(Client.stall) as url:
        session = websocket(url).connect()
        session.opens.pipe(ops.first()).run()
        session.close(wait=False)


def test_what_another_block_notes_is_not_told_of_what_was_open_before():
    with serve(listen) as url:
        session = websocket(url).connect()
        session.opens.pipe(ops.first()).run()
        held = no_open_sessions()
        held.__enter__()
    held.__exit__(None, None, None)
    session.close()


def test_what_the_block_raises_goes_on_with_a_note():
    with serve(listen, clients=0) as url:
        session = websocket(url).prepare()
        with pytest.raises(KeyError) as failure, no_open_sessions(timeout=1000):
            _ = {session.start(): 0}[session.url]
        assert any("a session is left open" in note for note in failure.value.__notes__)
        assert isinstance(session.current_state, Closed)
    with pytest.raises(KeyError) as failure, no_open_sessions():
        raise KeyError
    assert not hasattr(failure.value, "__notes__")


def test_the_timeout_is_checked():
    with pytest.raises(ValueError, match="timeout"), no_open_sessions(-1):
        pass
