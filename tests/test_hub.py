"""The hub over real sockets: shared entities, the handshake, plain HTTP, and how it starts and ends."""

from __future__ import annotations

import errno
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from clients import RawClient, closing, confirm, connect, get, receive
from servers import DEADLINE
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode

import rxsocket.hub
from rxsocket.hub import Hub


def seconds_to_close(hub: Hub) -> float:
    start = time.monotonic()
    hub.close()
    return time.monotonic() - start


# Paths and clients


def test_paths_are_independent_and_known_by_their_decoded_name(hub):
    with (
        connect(hub.url + "/a") as a,
        connect(hub.url + "/%61?token=secret") as a_too,
        connect(hub.url + "/b") as b,
        connect(hub.url + "/b/") as b_slash,
    ):
        a.send("for a")
        assert receive(a_too) == "for a"
        b_slash.send("for b/")
        b.send("for b")
        with connect(hub.url + "/b/") as newcomer:
            assert receive(newcomer) == "for b/"
        a.send("again for a")
        assert receive(a_too) == "again for a"


def test_a_path_without_clients_and_entity_is_forgotten(hub):
    with (
        connect(hub.url + "/a") as a,
        connect(hub.url + "/a") as second,
        connect(hub.url + "/b"),
        connect(hub.url + "/chat/room"),
    ):
        a.send("kept")
        receive(second)
    hub.close()
    assert list(hub._endpoints) == ["/a"]


def test_a_client_that_vanishes_is_of_no_concern_to_the_others(hub, caplog):
    with connect(hub.url) as first, connect(hub.url) as second, RawClient(hub) as raw:
        raw.send("of raw")
        assert receive(first) == receive(second) == "of raw"
        raw.reset()
        confirm(first)
        first.send("one")
        assert receive(second) == "one"
        second.socket.shutdown(socket.SHUT_RDWR)
        with connect(hub.url) as third:
            assert receive(third) == "one"
            confirm(third)
            third.send("two")
            assert receive(first) == "two"
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (Frame(Opcode.TEXT, b"\xff").serialize(mask=True), 1007),
        (b"\xff" * 20, 1002),
        (Frame(Opcode.TEXT, b"not masked").serialize(mask=False), 1002),
    ],
    ids=["no UTF-8", "no frame", "not masked"],
)
def test_a_client_that_breaks_the_protocol_is_closed_and_changes_nothing(hub, caplog, frame, code):
    with connect(hub.url) as first, connect(hub.url) as second, RawClient(hub) as raw:
        raw.socket.sendall(frame)
        answer = raw.socket.recv(4)
        assert (answer[0], int.from_bytes(answer[2:4], "big")) == (0x88, code)
        first.send("one")
        assert receive(second) == "one"
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_message_over_the_limit_closes_its_connection():
    with Hub(max_size=1_000) as hub, connect(hub.url) as first, connect(hub.url) as second:
        first.send("x" * 1_000)
        assert receive(second) == "x" * 1_000
        first.send("x" * 1_001)
        assert closing(first)[0] == 1009
        second.send("still here")
        with connect(hub.url) as newcomer:
            assert receive(newcomer) == "still here"


# The handshake, and plain HTTP


def test_offered_sub_protocols_and_compression_are_accepted_with_none_picked(hub):
    with connect(hub.url, subprotocols=["rxsync.1", "chat.v1"]) as client:
        assert client.subprotocol is None
        assert client.protocol.extensions == []
        assert "Sec-WebSocket-Protocol" not in client.response.headers


def test_plain_http_says_that_a_websocket_is_expected(hub):
    status, _, body = get(hub, "/person")
    assert status == 426
    assert "WebSocket client" in body
    assert "/members/{room}" in body


def test_another_method_and_garbage_get_no_traceback(hub, caplog):
    with RawClient(hub, path=None) as raw:
        raw.socket.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        while raw.socket.recv(1_000):
            pass
    with RawClient(hub, path=None) as raw:
        raw.socket.sendall(b"POST /members/room HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 200 " not in raw.socket.recv(1_000)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_fault_of_the_hub_is_logged_and_ends_only_that_connection(hub, caplog, monkeypatch):
    def fail(*_: object) -> None:
        raise LookupError("on purpose")

    with connect(hub.url) as first, connect(hub.url) as second:
        first.send("one")
        assert receive(second) == "one"
        with monkeypatch.context() as patch:
            patch.setattr(rxsocket.hub.SharedEntity, "receive", fail)
            first.send("two")
            assert closing(first)[0] == 1011
        with connect(hub.url) as third:
            assert receive(third) == "one"
            third.send("three")
            assert receive(second) == "three"
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.name == "rxsocket.hub"
    assert record.exc_info is not None


# Start and end


def test_the_url_tells_address_and_port(hub):
    assert re.fullmatch(r"ws://127\.0\.0\.1:\d+", hub.url)


def test_there_is_no_url_before_the_start():
    with pytest.raises(RuntimeError, match="started"):
        _ = Hub().url


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    with Hub("::1") as hub, connect(hub.url) as first, connect(hub.url) as second:
        assert hub.url.startswith("ws://[::1]:")
        first.send("one")
        assert receive(second) == "one"


def test_a_taken_port_is_an_error_that_names_it(hub):
    port = urlsplit(hub.url).port
    second = Hub(port=port)
    with pytest.raises(OSError, match="cannot listen") as raised:
        second.start()
    assert raised.value.errno == errno.EADDRINUSE
    assert raised.value.strerror == (
        f"the hub cannot listen on 127.0.0.1, port {port}: {os.strerror(errno.EADDRINUSE)}"
    )
    second.close()
    hub.close()
    with second:  # what failed to start can be started when the port is free
        assert second.url == hub.url


def test_a_host_that_does_not_exist_is_an_error_that_names_it():
    with pytest.raises(OSError, match=r"cannot listen on no-such-host\.invalid, port 0: \w+"):
        Hub("no-such-host.invalid").start()


@pytest.mark.parametrize("options", [{"port": -1}, {"port": 65_536}, {"max_size": 0}])
def test_options_out_of_range(options):
    with pytest.raises(ValueError, match=r"not -?\d+"):
        Hub(**options)


def test_an_error_on_the_hubs_thread_is_raised_by_start(monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise LookupError("on purpose")

    monkeypatch.setattr(rxsocket.hub, "serve", fail)
    hub = Hub()
    with pytest.raises(LookupError, match="on purpose"):
        hub.start()
    hub.close()


def test_a_hub_runs_once(hub):
    with pytest.raises(RuntimeError, match="only once"):
        hub.start()
    hub.close()
    with pytest.raises(RuntimeError, match="only once"):
        hub.start()


def test_close_tells_every_client_that_the_hub_goes_away(hub):
    with (
        connect(hub.url) as first,
        connect(hub.url + "/b") as second,
        connect(hub.url + "/chat/room") as third,
        ThreadPoolExecutor(3) as pool,
    ):
        codes = [pool.submit(closing, client) for client in (first, second, third)]
        assert seconds_to_close(hub) < 1
        assert [code.result(DEADLINE) for code in codes] == [(1001, "")] * 3
    with pytest.raises(ConnectionRefusedError):
        connect(hub.url)


def test_close_may_come_again_from_many_threads_and_before_the_start(hub):
    Hub().close()
    with ThreadPoolExecutor(8) as pool:
        for closed in [pool.submit(hub.close) for _ in range(8)]:
            closed.result(DEADLINE)
    hub.close()
    assert "rxsocket-hub" not in {thread.name for thread in threading.enumerate()}


def test_close_on_the_hubs_own_thread_does_not_wait_for_itself(hub, caplog):
    handled = threading.Event()

    class Closing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("closing a connection"):
                assert threading.current_thread().name == "rxsocket-hub"
                hub.close()
                handled.set()

    caplog.set_level(logging.INFO, logger="rxsocket.hub")
    handler = Closing()
    logging.getLogger("rxsocket.hub").addHandler(handler)
    try:
        with connect(hub.url + "/chat/room") as client:
            client.send("not a chat message")
            assert handled.wait(DEADLINE)
            assert closing(client)[0] in {1001, 1007}
    finally:
        logging.getLogger("rxsocket.hub").removeHandler(handler)


def test_a_client_that_does_not_answer_is_cut_within_a_second(hub):
    with RawClient(hub), RawClient(hub, path=None):
        assert seconds_to_close(hub) < 2


def test_a_client_that_is_refused_and_does_not_answer_is_cut_within_a_second(hub):
    with RawClient(hub, "/chat/room") as raw:
        raw.send("no chat message")
        raw.socket.settimeout(3)
        assert raw.socket.recv(1)[0] == 0x88  # a close frame
        while raw.socket.recv(1_000):
            pass


def test_a_client_that_reads_nothing_is_cut_within_a_second(hub):
    with connect(hub.url) as first, connect(hub.url) as second, RawClient(hub):
        first.send(bytes(12 * 2**20))
        assert len(receive(second)) == 12 * 2**20
        with ThreadPoolExecutor(2) as pool:
            codes = [pool.submit(closing, client) for client in (first, second)]
            assert seconds_to_close(hub) < 2
            assert [code.result(DEADLINE)[0] for code in codes] == [1001, 1001]


def run(script: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", script]
    return subprocess.run(  # noqa: S603 of this file
        command, capture_output=True, text=True, timeout=DEADLINE, check=False
    )


def test_a_hub_that_nobody_closed_is_closed_at_exit():
    script = """
import atexit
from rxsocket.hub import Hub
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

@atexit.register  # before the hub starts, so that it runs after the hub's own
def tell():
    try:
        client.recv(timeout=5)
    except ConnectionClosed as closed:
        print(closed.rcvd.code)

hub = Hub().start()
client = connect(hub.url, proxy=None).__enter__()
"""
    done = run(script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1001\n", "")


def test_without_websockets_the_error_names_the_extra():
    script = """
import sys
sys.modules["websockets"] = None
from rxsocket.chat import ChatMessage  # which a client needs, and no server
from rxsocket.hub import Hub
"""
    done = run(script)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ImportError: the hub needs websockets, 15 or later: pip install 'rxsocket[hub]'"
    )


def test_the_members_are_no_path_for_a_websocket(hub):
    with pytest.raises(InvalidStatus) as raised:
        connect(hub.url + "/members/room")
    assert raised.value.response.status_code == 400
