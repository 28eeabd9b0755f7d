"""The proxy of faults: what each does to a session that goes through it, and that nothing of it is left."""

import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from proxies import dialled, echoed
from servers import Seen, within

from rxsocket import Backoff, Session, websocket
from rxsocket.proxy import Faults, proxy
from rxsocket.script_client import Client
from rxsocket.scripted import serve
from rxsocket.states import Open


@pytest.fixture
def faults(server):
    with proxy(server.url) as faults:
        yield faults


def test_all_passes_and_is_counted(faults: Faults):
    with websocket(faults.url).connect() as session:
        echoed(session, "one", "two")
        assert (faults.connections, faults.open_connections) == (1, 1)
        before = faults.bytes_upstream, faults.bytes_downstream
        echoed(session, "x" * 1000)
        assert (faults.bytes_upstream - before[0], faults.bytes_downstream - before[1]) == (1008, 1004)
        session.close()
        assert session.closes.run().was_clean


def test_large_messages_pass_whole_both_ways_at_once(faults: Faults):
    with websocket(faults.url).connect() as session:
        echoed(session, *("x" * (1 << 21) for _ in range(3)))


def test_the_path_and_the_query_of_the_url_stay():
    with proxy("ws://127.0.0.1:1/feed?token=t") as faults:
        assert faults.url.endswith("/feed?token=t")
        assert faults.url.startswith("ws://127.0.0.1:")
        assert ":1/" not in faults.url
    with proxy("ws://me:secret@127.0.0.1:1/feed") as faults:
        assert faults.url == f"ws://me:secret@127.0.0.1:{faults._relay.port}/feed"


def test_a_delay_takes_its_time_in_the_direction_it_is_for(faults: Faults):
    with websocket(faults.url, close_timeout=0.1).connect() as session:
        echoed(session, "soon")
        faults.delay(0.15, downstream=False)
        assert Seen(session.ping()).one() >= 0.15
        faults.delay(0.15)
        assert Seen(session.ping()).one() >= 0.3
        faults.delay(0)
        faults.stall(upstream=False)
        seen = Seen(session.messages.body)
        until_sent(faults, session, "soon")
        faults.delay(1000.0, downstream=False)
        faults.go_on()
        assert seen.wait() == ["soon"]
        faults.delay(0)
        faults.delay(0.15, upstream=False)
        assert Seen(session.ping()).one() >= 0.15
        faults.delay(1000.0, upstream=False)
        until_sent(faults, session, "soon, too")


def until_sent(faults: Faults, session: Session, text: str) -> None:
    """Send a message, and wait until it has gone to the server."""
    before = faults.bytes_upstream
    session.send(text)
    with within(5):
        while faults.bytes_upstream == before:
            time.sleep(0)


def test_a_stall_holds_all_back_until_it_goes_on(faults: Faults):
    with websocket(faults.url).connect() as session:
        seen = Seen(session.messages.body)
        Seen(session.opens).wait()
        faults.stall()
        session.send("later")
        sent = faults.bytes_upstream
        faults.delay(0)  # when it is done, the proxy has come around once more
        assert (faults.bytes_upstream, seen.items) == (sent, [])
        faults.go_on()
        assert seen.wait() == ["later"]


def test_a_stall_of_one_direction_lets_the_other_pass(faults: Faults):
    with websocket(faults.url, close_timeout=0.2).connect() as session:
        Seen(session.opens).wait()
        faults.stall(upstream=False)
        until_sent(faults, session, "there")
        downstream = faults.bytes_downstream
        faults.delay(0)
        assert faults.bytes_downstream == downstream
        faults.go_on()


def test_who_sends_into_a_stall_has_to_wait(faults: Faults):
    with websocket(faults.url, close_timeout=0.5).connect() as session, ThreadPoolExecutor(1) as threads:
        seen = Seen(session.messages.blob)
        Seen(session.opens).wait()
        faults.stall()
        before = faults.bytes_upstream
        sends = threads.submit(lambda: [session.send(bytes(1 << 20)) for _ in range(32)])
        with pytest.raises(TimeoutError):
            sends.result(0.3)
        assert faults.bytes_upstream == before
        faults.go_on()
        sends.result(20)
        assert len(seen.wait(32)) == 32


def test_a_cut_ends_all_connections_with_a_fin(faults: Faults):
    with websocket(faults.url).connect() as session:
        echoed(session, "here")
        faults.cut()
        event = session.closes.run()
    assert (event.code, event.initiator) == (1006, "network")
    assert "ended the connection without a close frame" in event.reason


def test_a_cut_ends_also_what_is_not_connected_to_the_server_yet():
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):  # beyond its backlog the system answers nobody
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(full.getsockname())
        with proxy(f"ws://127.0.0.1:{full.getsockname()[1]}") as faults, dialled(faults) as sock:
            assert faults.open_connections == 1
            faults.cut()
            assert sock.recv(1) == b""
            assert faults.open_connections == 0


def test_who_has_connected_is_found_by_what_it_is_told_next(faults: Faults):
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(dialled(faults)) for _ in range(20)]
        faults.reset()
        assert (faults.connections, faults.open_connections) == (20, 0)
        for sock in socks:
            with pytest.raises(ConnectionResetError):
                sock.recv(1)


def test_a_reset_breaks_all_connections_off(faults: Faults):
    with websocket(faults.url).connect() as session:
        echoed(session, "here")
        faults.reset()
        event = session.closes.run()
        assert faults.open_connections == 0
    assert event.code == 1006
    assert "reset" in event.reason


def test_a_half_open_connection_is_found_by_pings_and_another_one_passes_when_it_goes_on(faults: Faults):
    socket = websocket(
        faults.url,
        ping_interval=0.1,
        ping_timeout=0.1,
        connect_timeout=0.2,
        reconnect=Backoff(initial=0.01, maximum=0.01),
    )
    with socket.connect() as session:
        echoed(session, "here")
        retries = Seen(session.retries)
        faults.half_open()
        causes = [str(each.cause) for each in retries.wait(2)]
        assert "ping_timeout" in causes[0]
        assert "0.2 s" in causes[1]
        faults.go_on()
        Seen(session.opens).wait()
        echoed(session, "again")


def test_the_end_of_one_side_is_swallowed_when_half_open(server, faults: Faults):
    with websocket(faults.url).connect("json") as session:
        Seen(session.opens).wait()
        faults.half_open()
        session._cut()
        session.closes.run()
    assert faults.open_connections == 1
    assert server.ends.empty()


def test_that_one_side_breaks_off_is_swallowed_when_half_open():
    vanished, has_reset = threading.Event(), threading.Event()

    def script(client: Client) -> None:
        vanished.wait(10)
        client.reset()
        has_reset.set()

    with serve(script) as url, proxy(url) as faults, websocket(faults.url, close_timeout=0.1).connect() as session:
        Seen(session.opens).wait()
        faults.half_open()
        vanished.set()
        assert has_reset.wait(10)
        assert [faults.open_connections for _ in range(3)] == [1, 1, 1]
        assert isinstance(session.current_state, Open)


def test_new_connections_are_refused_and_those_that_are_there_stay(faults: Faults):
    with websocket(faults.url).connect() as session:
        echoed(session, "here")
        faults.refuse()
        faults.refuse()
        with websocket(faults.url).connect() as refused:
            assert "refused" in refused.closes.run().reason
        echoed(session, "still here")
        faults.go_on()
        with websocket(faults.url).connect() as other:
            echoed(other, "here, too")


def test_a_server_that_is_not_there_breaks_the_connection_off():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with proxy(f"ws://127.0.0.1:{port}") as faults, websocket(faults.url).connect() as session:
        assert session.closes.run().code == 1006


def test_a_connection_that_the_server_resets_is_reset_for_the_client(server):
    with proxy(server.url) as faults, websocket(faults.url).connect("terminate") as session:
        session.send("now")
        assert session.closes.run().code == 1006


def test_a_block_that_ends_takes_what_waits_with_it(server):
    with proxy(server.url) as faults:
        session = websocket(faults.url).connect()
        Seen(session.opens).wait()
        faults.stall()
        session.send("lost")
    assert session.closes.run().code == 1006


def test_telling_it_while_its_block_ends_neither_hangs_nor_fails_otherwise(server):
    def tell(faults: Faults) -> None:
        told.release()
        while True:
            faults.delay(0)
            assert faults.connections == 0

    told = threading.Semaphore(0)
    with ThreadPoolExecutor(4) as threads, within(8):
        for _ in range(10):
            with proxy(server.url) as faults:
                tells = [threads.submit(tell, faults) for _ in range(4)]
                for _ in tells:
                    told.acquire()
            for each in tells:
                with pytest.raises(RuntimeError, match="only there within its block"):
                    each.result()


def test_what_it_is_told_at_the_last_moment_is_not_waited_for(faults: Faults, monkeypatch):
    def stop_before_it_is_done() -> None:
        faults._woken.recv(1)
        faults._stopping = True

    monkeypatch.setattr(faults._relay, "turn", stop_before_it_is_done)
    with within(5):
        faults.delay(0)  # by the turn that is under way
        faults.delay(0)


def test_what_the_block_raises_goes_on_although_its_thread_has_ended(server):
    faults = proxy(server.url)
    with pytest.raises(KeyError), faults:
        _ = [setattr(faults, "_stopping", True), faults.delay(0), faults._thread.join(5), {}["mine"]]


def test_outside_of_its_block_it_can_be_told_nothing(server):
    faults = proxy(server.url)
    assert repr(faults) == server.url.replace("ws://", "<Faults of ") + ">"
    with pytest.raises(RuntimeError, match="has its port within its block alone"):
        _ = faults.url
    with pytest.raises(RuntimeError, match="within its block"):
        faults.stall()
    with faults:
        pass
    with pytest.raises(RuntimeError, match="within its block"):
        faults.stall()
    with pytest.raises(RuntimeError, match="serves one block"):
        faults.__enter__()


@pytest.mark.parametrize("url", ["http://host", "ws://", "feed"])
def test_what_is_no_url_is_refused(url: str):
    with pytest.raises(ValueError, match="leads to a URL of ws:// or wss://"):
        proxy(url)


def test_a_delay_is_no_less_than_nothing(faults: Faults):
    with pytest.raises(ValueError, match="the delay, in seconds"):
        faults.delay(-1)
