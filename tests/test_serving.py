"""A cassette that is played as a server, to clients of more than one make."""

from __future__ import annotations

import socket
import sys
import time
from types import SimpleNamespace

import pytest
from cassettes import CUT, LINES, LOST, URL, written
from clients import RawClient
from servers import DEADLINE, Seen, within
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as plain

from rxsocket import Backoff, CassetteException, CloseEvent, MessageEvent, record, websocket
from rxsocket.cassette import Binary, ClosedLine, Completed, ConnectingLine, OpenLine, Text
from rxsocket.frames import Close
from rxsocket.serving import serve
from rxsocket.states import Closed, Connecting, Open, OpenEvent


def opened(at: int, connection: int = 1, protocol: str | None = None) -> OpenLine:
    return OpenLine(at, Open(OpenEvent(URL, protocol, connection)))


def closed(at: int, code: int, reason: str = "", connection: int = 1) -> ClosedLine:
    return ClosedLine(at, Closed(CloseEvent(code, reason, "server", was_clean=True, connection=connection)))


def received(url: str) -> tuple[list[str | bytes], Close | None]:
    """What another make of client is sent, and the close frame that it gets."""
    messages = []
    with plain(url, proxy=None, close_timeout=DEADLINE) as client:
        try:
            while True:
                messages.append(client.recv(timeout=DEADLINE))
        except ConnectionClosed as error:
            return messages, None if error.rcvd is None else Close(error.rcvd.code, error.rcvd.reason)


@pytest.mark.parametrize("name", ["feed.jsonl", "feed.jsonl.gz"])
def test_each_connection_gets_the_next_one_and_after_the_last_the_first(name, tmp_path):
    first = ["one\n\u2028\U0001f600", bytes(range(256))]
    with serve(written(tmp_path / name), speed=None) as url:
        assert received(url) == (first, None)
        assert received(url) == (["two"], Close(1000, "bye"))
        assert received(f"{url}/any/path") == (first, None)


def test_a_client_that_sends_too_much_is_told(tmp_path):
    path = written(tmp_path / "feed.jsonl", [*LINES[:2], Text(3_600_000_000, "late", 1)])
    with serve(path) as url, websocket(url).connect() as session:
        session.send(bytes(17 << 20))
        assert session.closes.run().code == 1009


def test_a_session_that_connects_again_gets_all_and_records_the_same(tmp_path):
    with serve(written(tmp_path / "feed.jsonl"), speed=None) as url:
        session = websocket(url, "chat.v1", reconnect=Backoff(initial=0.001)).prepare()
        messages, opens, closes = Seen(session.messages), Seen(session.opens), Seen(session.closes)
        with record(session, tmp_path / "again.jsonl"):
            session.start()
            messages.all()
            closes.all()
    assert messages.items == [
        MessageEvent(line.data, line.connection) for line in LINES if isinstance(line, Text | Binary)
    ]
    assert [event.protocol for event in opens.items] == ["chat.v1", None]
    lost, end = closes.items
    assert (lost.code, lost.initiator) == (1006, "network")
    assert "reset" in lost.reason
    assert (end.code, end.reason, end.was_clean) == (1000, "bye", True)
    with serve(tmp_path / "again.jsonl", speed=None) as url:
        assert len(received(url)[0]) == 2
        assert received(url) == (["two"], Close(1000, "bye"))


@pytest.mark.parametrize("protocols", [(), ("other",), ("other", "chat.v1")])
def test_the_recorded_protocol_is_picked_where_it_is_offered(protocols, tmp_path):
    path = written(tmp_path / "feed.jsonl", [opened(1, protocol="chat.v1"), closed(2, 1000)])
    with serve(path, speed=None) as url, websocket(url, *protocols).connect() as session:
        event = Seen(session.opens).one()
    assert event.protocol == ("chat.v1" if "chat.v1" in protocols else None)


@pytest.mark.parametrize(("speed", "least", "most"), [(1.0, 0.4, 3.0), (8.0, 0.05, 0.39), (None, 0.0, 0.39)])
def test_messages_come_in_their_time_after_the_opening(speed, least, most, tmp_path):
    lines = [opened(5_000_000), *[Text(5_000_000 + n * 100_000, str(n), 1) for n in range(5)], closed(5_400_001, 1000)]
    with serve(written(tmp_path / "feed.jsonl", lines), speed=speed) as url, plain(url, proxy=None) as client:
        begin = time.monotonic()
        assert [client.recv(timeout=DEADLINE) for _ in range(5)] == list("01234")
        assert least - 0.05 <= time.monotonic() - begin < most


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (4000, "own", Close(4000, "own")),
        (1001, "", Close(1001, "")),
        (1005, "", Close(1000, "")),
        (1009, "ü" * 200, Close(1009, "ü" * 61)),
    ],
)
def test_the_close_code_is_that_of_the_recording(code, reason, expected, tmp_path):
    with serve(written(tmp_path / "feed.jsonl", [opened(1), closed(2, code, reason)]), speed=None) as url:
        assert received(url) == ([], expected)


def test_a_reset_comes_after_all_that_was_sent(tmp_path):
    texts = [f"{n:01000}" for n in range(3000)]
    lines = [opened(1), *[Text(2, text, 1) for text in texts], ConnectingLine(3, Connecting(1, 0.0, CUT, LOST))]
    with serve(written(tmp_path / "feed.jsonl", lines), speed=None) as url:
        assert received(url) == (texts, None)


def test_what_a_pause_had_held_comes_before_the_end_of_its_connection(tmp_path):
    lost = ConnectingLine(2, Connecting(1, 0.0, CUT, LOST))
    lines = [
        opened(1),
        lost,
        opened(3, 2),
        Text(4, "held", 1),
        Text(5, "two", 2),
        closed(6, 1000, connection=2),
        Text(7, "held, too", 2),
        Completed(8),
    ]
    with serve(written(tmp_path / "feed.jsonl", lines), speed=None) as url:
        assert received(url) == (["held"], None)
        assert received(url) == (["two", "held, too"], Close(1000, ""))


def test_a_recording_that_ends_before_the_connection_closes_it_with_1001(tmp_path):
    with serve(written(tmp_path / "feed.jsonl", [opened(1), Text(2, "one", 1)]), speed=None) as url:
        assert received(url) == (["one"], Close(1001, "the recording ends here"))


def test_a_damaged_line_closes_with_1011_and_is_logged(tmp_path, caplog):
    path = written(tmp_path / "feed.jsonl", [opened(1), Text(2, "one", 1)], b"nonsense\n")
    with serve(path, speed=None) as url:
        assert received(url) == (["one"], Close(1011, "the cassette can't be played on"))
    assert "line 4 is damaged" in caplog.text


def test_what_clients_send_is_let_go(tmp_path):
    lines = [opened(1), Text(2, "one", 1), Text(300_000, "two", 1), closed(300_001, 1000)]
    with serve(written(tmp_path / "feed.jsonl", lines)) as url, websocket(url).connect() as session:
        body = Seen(session.messages.body)
        for _ in range(1000):
            session.send(bytes(10_000))
        assert body.all() == ["one", "two"]


LONG = [opened(1), Text(2, "one", 1), closed(3_600_000_000, 1000)]


def test_clients_that_close_or_vanish_harm_nobody(tmp_path, caplog):
    with serve(written(tmp_path / "feed.jsonl", LONG)) as url:
        with within(2.0), plain(url, proxy=None) as client:
            assert client.recv(timeout=DEADLINE) == "one"

        with RawClient(SimpleNamespace(url=url)) as raw:
            raw.message()
            raw.reset()
        with plain(url, proxy=None) as client:
            assert client.recv(timeout=DEADLINE) == "one"
    assert caplog.text == ""


def test_the_end_of_the_block_closes_what_is_open_with_1001(connect, tmp_path):
    with serve(written(tmp_path / "feed.jsonl", LONG)) as url:
        sessions = [connect(url) for _ in range(3)]
        for session in sessions:
            Seen(session.messages).wait()
    assert [session.closes.run().code for session in sessions] == [1001] * 3
    again = connect(url)
    assert "refused" in again.closes.run().reason


def test_the_end_of_the_block_waits_for_nobody(tmp_path):
    """Neither for who does not read, nor for who never sends a handshake."""
    lines = [opened(1), *[Text(2, "x" * 1_000_000, 1) for _ in range(30)], closed(3, 1000)]
    with within(4.0), serve(written(tmp_path / "feed.jsonl", lines), speed=None) as url:
        port = int(url.rpartition(":")[2])
        silent = socket.create_connection(("127.0.0.1", port))

        deaf = RawClient(SimpleNamespace(url=url))
    silent.close()
    deaf.socket.close()


def test_an_address_that_is_taken_is_an_oserror(tmp_path):
    path = written(tmp_path / "feed.jsonl")
    with serve(path) as url, pytest.raises(OSError, match="in use"), serve(path, port=int(url.rpartition(":")[2])):
        pass


def test_ipv6(tmp_path):
    with serve(written(tmp_path / "feed.jsonl"), "::1", speed=None) as url:
        assert url.startswith("ws://[::1]:")
        assert len(received(url)[0]) == 2


def test_what_can_not_be_served_raises_at_once(tmp_path):
    with pytest.raises(CassetteException, match="has no connection to play"), serve(written(tmp_path / "a", LINES[:1])):
        pass
    with pytest.raises(FileNotFoundError), serve(tmp_path / "none"):
        pass
    with pytest.raises(ValueError, match=r"speed is 0\.01 or more"), serve(written(tmp_path / "b"), speed=0):
        pass


def test_without_the_extra_its_name_is_said(monkeypatch):
    monkeypatch.delitem(sys.modules, "rxsocket.serving")
    monkeypatch.setitem(sys.modules, "websockets.asyncio.server", None)
    with pytest.raises(ImportError, match=r"pip install 'rxsocket\[hub\]'"):
        __import__("rxsocket.serving")
