"""Scripted servers: what a test of a user's own does with one, and what it is told when things go wrong."""

import errno
import http.client
import socket
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import reactivex.operators as ops
from servers import Seen, within

from rxsocket import Backoff, HandshakeException, Session, websocket
from rxsocket.script_client import Client
from rxsocket.scripted import Script, _notes, serve
from rxsocket.served_connection import Refusal


def greeter(client: Client) -> None:
    client.expect("hello")
    client.send("welcome", b"\1\2")


def test_a_script_talks_with_a_session_and_closes_with_1000_when_it_returns():
    with serve(greeter) as url, websocket(url).connect() as session:
        seen = Seen(session.messages.data)
        session.send("hello")
        assert seen.all() == ["welcome", b"\1\2"]
        assert session.closes.run().code == 1000


def test_each_connection_has_a_call_of_the_script_and_a_number():
    server = serve(lambda client: client.send(f"{client.number} {client.path}"))
    with server as url:
        for number in (1, 2, 3):
            session = websocket(url).connect(f"path?n={number}")
            assert Seen(session.messages.body).all() == [f"{number} /path?n={number}"]
            session.close()
    assert [client.number for client in server.clients] == [1, 2, 3]
    assert repr(server.clients[0]) == "<Client 1 /path?n=1>"


def test_the_second_script_is_for_the_second_connection_and_the_last_for_all_others():
    def first(client: Client) -> None:
        client.send("one")
        client.cut()

    def then(client: Client) -> None:
        client.send("more")
        client.close(1000 if client.number == 3 else 1001)

    with serve(first, then) as url:
        session = websocket(url, reconnect=Backoff(initial=0.01)).connect(paused=True)
        bodies, closes = Seen(session.messages.body), Seen(session.closes)
        session.resume()
        assert bodies.all() == ["one", "more", "more"]
        assert [(event.code, event.was_clean) for event in closes.all()] == [(1006, False), (1001, True), (1000, True)]


def until_closed(session: Session) -> None:
    session.closes.run()


def played(script: Script, talk: Callable[[Session], object], **options) -> None:
    with serve(script, **options) as url, websocket(url, close_timeout=0.2).connect() as session:
        Seen(session.opens).wait()
        talk(session)


def test_an_unexpected_message_is_raised_at_the_blocks_end():
    def talk(session: Session) -> None:
        session.send("bye")
        assert session.closes.run().code == 1011

    with pytest.raises(AssertionError, match="connection 1: expected 'hello', and the client sent 'bye'"):
        played(greeter, talk)


def test_what_never_came_is_raised_after_the_timeout():
    with pytest.raises(AssertionError, match=r"expected 'hello', and nothing came for 0\.05 s"):
        played(greeter, until_closed, timeout=0.05)


def test_what_a_client_that_closed_did_not_say_is_raised_at_once():
    with within(2), pytest.raises(AssertionError, match="expected 'hello', and the client closed with 4001 tired"):
        played(greeter, lambda session: session.close(4001, "tired"), timeout=5)


def test_a_message_that_was_sent_just_before_the_blocks_end_still_counts():
    server = serve(lambda client: client.expect("hello"))
    with server as url:
        session = websocket(url).connect()
        session.send("hello")
    session.close()
    assert server.clients[0].number == 1


def broken(client: Client) -> None:
    raise LookupError("mine")


def test_what_a_script_raises_is_raised_itself():
    with pytest.raises(LookupError, match="mine") as raised:
        played(broken, until_closed)
    assert not hasattr(raised.value, "__notes__")


def test_what_the_block_raises_goes_on_with_a_note_of_what_the_script_raised():
    def talk(session: Session) -> None:
        session.closes.run()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as raised:
        played(broken, talk)
    line = broken.__code__.co_firstlineno + 1
    assert raised.value.__notes__ == [f"A script of the server raised LookupError('mine') at {__file__}:{line}"]


def test_failures_that_are_alike_are_noted_once():
    def script(client: Client) -> None:
        if client.number > 3:
            raise LookupError("mine")
        client.expect("hello", timeout=0.01)

    def block() -> None:
        with serve(script) as url:
            for _ in range(4):
                websocket(url).connect().closes.run()

    with pytest.raises(AssertionError, match="nothing came for") as raised:
        block()
    first = script.__code__.co_firstlineno
    notes = [note.removeprefix("A script of the server raised ") for note in raised.value.__notes__]
    expected = f"""AssertionError("connection 1: expected 'hello', and nothing came for 0.01 s") at {__file__}:"""
    assert notes == [
        f"{expected}{first + 3} (and 2 more connections)",
        f"LookupError('mine') at {__file__}:{first + 2}",
    ]


def test_pytest_is_told_to_hide_its_own_frames():
    with pytest.raises(AssertionError) as failure:
        played(lambda client: client.expect("hello", timeout=0.01), until_closed)
    assert {entry.path.name for entry in failure.traceback.filter(failure)} == {"test_scripted.py"}


def test_when_the_block_raises_the_connections_end_and_nothing_is_waited_for():
    sessions = []

    def block() -> None:
        with serve(Client.receive, timeout=20) as url:
            sessions.append(websocket(url).connect())
            Seen(sessions[0].opens).wait()
            raise ZeroDivisionError

    with within(2), pytest.raises(ZeroDivisionError) as raised:
        block()
    assert not hasattr(raised.value, "__notes__")
    assert sessions[0].closes.run().code in {1001, 1006}


def test_a_client_that_never_came_is_missed_unless_told():
    with pytest.raises(AssertionError, match="0 of 1 clients came"), serve(greeter):
        pass
    with serve(greeter, clients=0):
        pass


def test_a_script_that_goes_on_is_told_of_by_the_number_of_its_client():
    def talk(session: Session) -> None:
        host, port = session.url.removeprefix("ws://").split(":")
        socket.create_connection((host, int(port))).close()
        session.close()

    go_on = threading.Event()
    with pytest.raises(AssertionError, match="the script of connection 1 goes on after the block"):
        played(lambda client: go_on.wait(), talk, timeout=0.05)
    go_on.set()


@pytest.mark.parametrize("has_failed", [True, False])
def test_the_connection_of_a_script_that_never_ends_is_cut(has_failed: object):
    def script(client: Client) -> None:
        while True:
            client.send("more")
            client.is_open  # noqa: B018

    def block() -> None:
        with serve(script, timeout=0.1) as url:
            websocket(url).connect().opens.pipe(ops.first()).run()
            assert not has_failed, "mine"

    with within(5), pytest.raises(AssertionError, match="mine" if has_failed else "goes on after the block"):
        block()


def test_that_a_client_could_not_be_accepted_is_told_and_the_next_is_served():
    class Failing:
        """A listener that fails once, as where no descriptor is left."""

        def __init__(self, listener: socket.socket) -> None:
            self.listener = listener

        def accept(self) -> tuple[socket.socket, object]:
            server._listener = self.listener
            raise OSError(errno.EMFILE, "Too many open files")

        def fileno(self) -> int:
            return self.listener.fileno()

    def block() -> None:
        with server as url:
            websocket(url).connect().closes.run()
            server._listener = Failing(server._listener)  # type: ignore[assignment]
            with websocket(url).connect() as session:
                assert Seen(session.messages.body).all() == ["here"]

    server = serve(lambda client: client.send("here"))
    with pytest.raises(OSError, match="Too many open files"):
        block()
    assert _notes([OSError("full")]) == ["The server raised OSError('full')"]


def test_a_refusal_is_told_with_its_status_and_what_it_says_and_the_next_is_accepted():
    refusal = Refusal(503, {"Retry-After": "1"}, b"later")
    with serve(refusal, lambda client: client.send("here")) as url:
        session = websocket(url, reconnect=Backoff(initial=0.01)).prepare()
        retries = Seen(session.retries)
        bodies = Seen(session.messages.body)
        session.start()
        assert bodies.all() == ["here"]
        cause = retries.items[0].cause
    assert isinstance(cause, HandshakeException)
    assert (cause.status, cause.headers["retry-after"], cause.body) == (503, "1", b"later")


def test_the_sub_protocol_and_the_headers_of_both_sides_are_told():
    server = serve(lambda client: client.close(), protocols=["b", "a"], headers={"X-Server": "yes"})
    with server as url, websocket(url, "a", "b", headers={"X-Token": "t"}).connect() as session:
        opened = Seen(session.opens).wait()[0]
        session.closes.run()
    client = server.clients[0]
    assert (client.protocols, client.protocol, client.headers["x-token"]) == (["a", "b"], "b", "t")
    assert (opened.protocol, opened.headers["x-server"]) == ("b", "yes")


def test_what_is_no_opening_handshake_is_answered_with_426():
    def get(url: str) -> None:
        connection = http.client.HTTPConnection(url.removeprefix("ws://"))
        connection.request("GET", "/")
        statuses.append(connection.getresponse().status)
        connection.close()

    statuses = []
    with pytest.raises(AssertionError, match=r"'GET / HTTP/1\.1' is no opening handshake"), serve(greeter) as url:
        get(url)
    assert statuses == [426]


def test_who_hangs_up_before_the_handshake_counts_as_nobody():
    server = serve(greeter, clients=0)
    with server as url:
        host, port = url.removeprefix("ws://").split(":")
        socket.create_connection((host, int(port))).close()
    assert server.clients == []


def test_a_server_serves_one_block():
    server = serve(greeter, clients=0)
    assert repr(server) == "<ScriptedServer before its block>"
    with pytest.raises(RuntimeError, match="has its port within its block alone"):
        _ = server.url
    with server as url:
        assert repr(server) == f"<ScriptedServer {url}>"
    with pytest.raises(RuntimeError, match="serves one block"):
        server.__enter__()


@pytest.mark.parametrize(
    ("scripts", "options", "error"),
    [
        ((), {}, ValueError),
        (("hello",), {}, TypeError),
        ((greeter,), {"timeout": 0}, ValueError),
        ((greeter,), {"clients": "one"}, TypeError),
        ((greeter,), {"codec": "json"}, TypeError),
    ],
)
def test_what_can_not_work_is_refused(scripts, options, error):
    with pytest.raises(error):
        serve(*scripts, **options)


async def later(client: Client) -> None:
    client.send("never")


class Later:
    async def __call__(self, client: Client) -> None:
        client.send("never")


@pytest.mark.parametrize("script", [later, partial(later), Later()])
def test_a_coroutine_is_no_script(script: Script):
    with pytest.raises(TypeError, match="not an async def"):
        serve(script)


def test_who_has_a_file_to_play_is_told_by_what():
    with pytest.raises(TypeError, match=r"rxsocket\.serving\.serve\(.*'feed\.jsonl'\)+ plays a file"):
        serve(Path("feed.jsonl"))  # type: ignore[arg-type]
