"""Endpoints: how they are described, what of a description reaches the wire, and what is refused at once."""

from __future__ import annotations

import base64
import inspect
import logging
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from peers import DEADLINE, Peer, Server
from pictures import cells
from reactivex import operators as ops
from websockets.utils import apply_mask

from rxsocket.backoff import Backoff
from rxsocket.codec import codec_of
from rxsocket.deflate import Deflate
from rxsocket.errors import ConnectionException, EndpointException, RxSocketException
from rxsocket.options import Options
from rxsocket.session import Session
from rxsocket.socket import Socket, websocket
from rxsocket.states import CloseEvent, Connecting, Open, OpenEvent

PASSWORD = "correct horse"  # noqa: S105 it is the tests' own
ENCODED_PASSWORD = "correct%20horse"  # noqa: S105 it is the tests' own


def accept(peer: Peer) -> None:
    peer.accept()
    peer.await_word()


def accepting(*fields: str) -> Callable[[Peer], None]:
    def script(peer: Peer) -> None:
        peer.accept(*fields)
        peer.await_word()

    return script


@contextmanager
def opened(endpoint: Socket, sub_url: str = "") -> Iterator[Session]:
    """Connect, and wait until the session is Open."""
    with endpoint.connect(sub_url) as session:
        done = threading.Event()
        session.state.subscribe(lambda state: None if isinstance(state, Connecting) else done.set())
        assert done.wait(DEADLINE)
        assert isinstance(session.current_state, Open), session.current_state
        yield session


def end(endpoint: Socket) -> CloseEvent:
    """Connect, and wait for the session's end."""
    session = endpoint.connect()
    events: list[CloseEvent] = []
    done = threading.Event()
    session.closes.subscribe(events.append, on_completed=done.set)
    assert done.wait(DEADLINE)
    return events[0]


def with_login(url: str, userinfo: str) -> str:
    return url.replace("//", f"//{userinfo}@")


def sent(*, userinfo: str = "", **options: Any) -> Mapping[str, str]:
    """Return the headers with which an endpoint asks."""
    with Server(accept) as server:
        with opened(websocket(with_login(server.url, userinfo) if userinfo else server.url, **options)):
            pass
        return server.requests[0].headers


def session_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("rxsocket")]


# --- the description


def test_append_returns_a_new_socket_and_leaves_the_old_one():
    endpoint = websocket("ws://host/a", "chat", origin="https://o.test")
    longer = endpoint.append("b")
    assert longer is not endpoint
    assert (endpoint.url, longer.url) == ("ws://host/a", "ws://host/a/b")
    assert longer == websocket("ws://host/a/b", "chat", origin="https://o.test")


def test_protocols_returns_a_new_socket_and_leaves_the_old_one():
    endpoint = websocket("ws://host", "chat.v1", origin="https://o.test")
    assert endpoint.protocols("chat.v2", "chat.v3") == websocket(
        "ws://host", "chat.v2", "chat.v3", origin="https://o.test"
    )
    assert endpoint.protocols() == websocket("ws://host", origin="https://o.test")
    assert endpoint == websocket("ws://host", "chat.v1", origin="https://o.test")


@pytest.mark.parametrize("name", ["url", "anything"])
def test_a_socket_can_not_be_changed(name):
    endpoint = websocket("ws://host")
    with pytest.raises(AttributeError):
        setattr(endpoint, name, "ws://other")
    assert endpoint == websocket("ws://host")


def test_a_mapping_that_changes_later_changes_no_socket():
    headers = {"X-A": "1"}
    endpoint = websocket("ws://host", headers=headers)
    headers["X-B"] = "2"
    assert endpoint == websocket("ws://host", headers={"X-A": "1"})


def test_equal_sockets_have_equal_url_protocols_and_options():
    endpoint = websocket("ws://host", "a", "b", headers={"X": "1"})
    same = websocket("ws://host", "a", "b", headers={"X": "1"})
    assert endpoint == same
    assert hash(endpoint) == hash(same)
    assert endpoint != websocket("ws://other", "a", "b", headers={"X": "1"})
    assert endpoint != websocket("ws://host", "b", "a", headers={"X": "1"})
    assert endpoint != websocket("ws://host", "a", "b", headers={"X": "2"})
    assert endpoint != "ws://host"
    assert len({endpoint, same}) == 1


@pytest.mark.parametrize(
    ("url", "part", "joined"),
    [
        ("ws://host", "a", "ws://host/a"),
        ("ws://host/", "a", "ws://host/a"),
        ("ws://host", "/a", "ws://host/a"),
        ("ws://host/", "/a", "ws://host/a"),
        ("ws://host//", "//a", "ws://host/a"),
        ("ws://host/a", "b/c", "ws://host/a/b/c"),
        ("ws://host/a/", "/b/c/", "ws://host/a/b/c/"),
        ("ws://host/a", "", "ws://host/a"),
        ("ws://host/a/", "", "ws://host/a/"),
        ("ws://host/a", "/", "ws://host/a/"),
        ("ws://host/a?t=1", "b", "ws://host/a/b?t=1"),
        ("ws://host/a/?t=1", "/b", "ws://host/a/b?t=1"),
        ("ws://host?t=1", "b?u=2", "ws://host/b?t=1&u=2"),
        ("ws://host/a", "b?u=2", "ws://host/a/b?u=2"),
        ("ws://host/a?t=1", "?u=2", "ws://host/a?t=1&u=2"),
        ("ws://host/a", "?u=2", "ws://host/a?u=2"),
        ("ws://host/a?t=x/", "b?u=/y", "ws://host/a/b?t=x/&u=/y"),
    ],
)
def test_append_joins_with_exactly_one_slash_and_keeps_both_queries(url, part, joined):
    assert websocket(url).append(part).url == joined


@pytest.mark.parametrize(("url", "part", "target"), [("/a/", "/b?u=2", "/a/b?u=2"), ("?t=1", "", "/?t=1")])
def test_connect_appends_as_append_does(url, part, target):
    with Server(accept) as server, opened(websocket(server.url + url), part) as session:
        assert server.requests[0].target == target
        assert session.url == websocket(server.url + url).append(part).url


def test_connect_returns_at_once_in_connecting():
    with Server(lambda peer: (peer.request(), peer.wait())) as server:
        begin = time.monotonic()
        session = websocket(server.url, connect_timeout=DEADLINE).connect()
        assert time.monotonic() - begin < 0.5
        states = []
        session.state.subscribe(states.append)
        assert states == [Connecting()]
        assert server.requested.wait(DEADLINE)
        assert session.current_state == Connecting()
        assert session.protocol is None
        session.close()


def test_one_socket_connects_as_often_as_asked():
    with Server(accept) as server:
        endpoint = websocket(server.url)
        with opened(endpoint, "a"), opened(endpoint, "b"):
            assert [request.target for request in server.requests] == ["/a", "/b"]


# --- what can't work


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://host", "scheme is 'http'"),
        ("https://host", "scheme is 'https'"),
        ("ftp://host", "scheme is 'ftp'"),
        ("host/path", "scheme is ''"),
        ("//host/path", "scheme is ''"),
        ("", "scheme is ''"),
        ("ws:host", "no host"),
        ("ws://", "no host"),
        ("ws:///path", "no host"),
        ("wss://:80/path", "no host"),
        ("ws://user@/path", "no host"),
        ("ws://host:port", "port"),
        ("ws://host:-1", "(?i)port"),
        ("ws://host:65536", "(?i)port"),
        ("ws://host:0", "port 0"),
        ("ws://host/a#part", "fragment"),
        ("ws://host/a#", "fragment"),
        ("ws://[::1", "IPv6"),
        ("ws://[no-address]/", "(?i)address|IPv6"),
        ("ws://" + "a" * 64 + ".test", "label"),
        ("ws://a..test", "label"),
        ("ws://ho st/path", "host"),
        ("ws://ho\\st/path", "host"),
        ("ws://host%20/path", "host"),
        ("ws://host\r\n/path", "control"),
        ("ws://host/path\r\nX-Header: 1", "control"),
        ("ws://host/path\n", "control"),
        ("ws://host/\tpath", "control"),
        ("ws://host/\0", "control"),
        ("ws://host/\x7f", "control"),
        ("ws://us\ner@host/", "control"),
        (" ws://host/", "space"),
        ("ws://host/ ", "space"),
    ],
)
def test_a_url_that_can_not_work_is_refused_there_and_then(url, problem):
    before = session_threads()
    with pytest.raises(EndpointException, match=problem) as caught:
        websocket(url).connect()
    assert isinstance(caught.value.__cause__, ValueError)
    assert session_threads() == before


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "token"),
        (" ", "token"),
        ("chat v1", "token"),
        ("chat,v1", "token"),
        ("chät", "token"),
        ("chat\r\nX: 1", "token"),
        ('"chat"', "token"),
        ("chat/1", "token"),
    ],
)
def test_a_sub_protocol_that_is_no_token_is_refused_there_and_then(name, problem):
    with pytest.raises(EndpointException, match=problem) as caught:
        websocket("ws://host", "first", name).connect()
    assert repr(name) in str(caught.value)
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_sub_protocol_that_is_there_twice_is_refused_there_and_then():
    with pytest.raises(EndpointException, match=r"'chat'.*twice") as caught:
        websocket("ws://host").protocols("chat", "other", "chat").connect()
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_ca_file_that_is_not_there_is_refused_there_and_then_and_may_come_later(authority, tmp_path):
    file = tmp_path / "ca.pem"
    with Server(accept, context=authority.server()) as server:
        endpoint = websocket(server.url, ssl=file, reconnect=Backoff())
        with pytest.raises(EndpointException, match=r"ca\.pem.* is no file of CA certificates"):
            endpoint.connect()
        assert not server.connections
        assert session_threads() == []
        file.write_bytes(Path(authority.file).read_bytes())
        with opened(endpoint):
            pass


def test_a_socks_proxy_without_its_extra_is_refused_there_and_then(monkeypatch):
    monkeypatch.setattr("rxsocket.opening.find_spec", lambda _: None)
    for url in ("ws://host", lambda: "ws://host"):
        with pytest.raises(EndpointException, match=r"pip install 'rxsocket\[socks\]'"):
            websocket(url, proxy="socks5://127.0.0.1:1080").connect()


RETRIES: dict[str, Any] = {"reconnect": Backoff(initial=0, attempts=3)}


def retried(endpoint: Socket) -> tuple[int, RxSocketException | None]:
    """Return how often a session that can't connect tries again, and what it ends by."""
    session = endpoint.prepare()
    retries: list[Connecting] = []
    closes: list[CloseEvent] = []
    done = threading.Event()
    session.retries.subscribe(retries.append)
    session.closes.subscribe(closes.append, on_completed=done.set)
    session.start()
    assert done.wait(DEADLINE)
    return len(retries), closes[-1].cause


@pytest.mark.parametrize("part", ["", "a"])
@pytest.mark.parametrize(
    ("given", "problem"), [(None, "returned NoneType"), (1, "returned int"), ("http://host", "its scheme is 'http'")]
)
def test_a_function_that_returns_no_url_is_not_asked_again(given: Any, problem, part):
    tries, cause = retried(websocket(lambda: given, **RETRIES).append(part))
    assert isinstance(cause, EndpointException)
    assert problem in str(cause)
    assert tries == 0


@pytest.mark.parametrize("given", [None, {"a": 1}, {"a": "b\n"}])
def test_a_function_that_returns_no_headers_is_not_asked_again(given: Any):
    with Server(accept) as server:
        tries, cause = retried(websocket(server.url, headers=lambda: given, **RETRIES))
        assert not server.connections
    assert isinstance(cause, EndpointException)
    assert "returned what can't be sent" in str(cause)
    assert tries == 0


def test_a_ca_file_that_is_away_at_a_try_may_come_back(authority, tmp_path):
    file = tmp_path / "ca.pem"
    file.write_bytes(Path(authority.file).read_bytes())

    def url() -> str:
        file.unlink(missing_ok=True)
        return server.url.replace("ws:", "wss:")

    with Server(accept) as server:
        tries, cause = retried(websocket(url, ssl=file, **RETRIES))
    assert "no file of CA certificates" in str(cause)
    assert tries == 3


def test_a_function_that_raises_is_asked_again():
    def broken() -> Any:
        raise ZeroDivisionError

    with Server(accept) as server:
        for endpoint in (websocket(broken, **RETRIES), websocket(server.url, headers=broken, **RETRIES)):
            tries, cause = retried(endpoint)
            assert tries == 3
            assert isinstance(cause, ConnectionException)
            assert isinstance(cause.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    "call",
    [
        lambda: websocket(None),
        lambda: websocket(b"ws://host"),
        lambda: websocket(("host", 80)),
        lambda: websocket("ws://host").append(7),
        lambda: websocket("ws://host").append(None),
        lambda: websocket("ws://host").append(b"a"),
        lambda: websocket("ws://host").connect(7),
        lambda: websocket("ws://host", 7),
        lambda: websocket("ws://host").protocols(["a", "b"]),
    ],
)
def test_what_is_no_str_is_a_type_error_that_says_what_is_accepted(call):
    with pytest.raises(TypeError, match="a str"):
        call()


# --- options


def test_every_option_is_passed_on():
    values: dict[str, Any] = {
        "headers": {"X-A": "1"},
        "cookies": {"a": "1"},
        "origin": "https://o.test",
        "ssl": ssl.create_default_context(),
        "proxy": "http://proxy.test:3128",
        "connect_timeout": 1.5,
        "send_timeout": 2.5,
        "close_timeout": 3.5,
        "max_size": 11,
        "max_outgoing": 12,
        "max_fragments": 15,
        "max_handshake": 16,
        "max_held": 13,
        "max_held_messages": 14,
        "ping_interval": 4.5,
        "ping_timeout": 5.5,
        "reconnect": Backoff(),
        "compression": True,
        "codec": codec_of(int),
    }
    options = {field.name for field in structs.fields(Options)}
    parameters = {
        name
        for name, parameter in inspect.signature(websocket).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    assert parameters == options == {*values}
    assert websocket("ws://host", **values) == Socket("ws://host", (), Options(**values))
    for name, value in values.items():
        assert websocket("ws://host", **{name: value}) != websocket("ws://host")


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"headers": [("X-A", "1")]}, TypeError),
        ({"headers": {"X-A": 1}}, TypeError),
        ({"headers": {b"X-A": "1"}}, TypeError),
        ({"headers": {"": "1"}}, ValueError),
        ({"headers": {"X A": "1"}}, ValueError),
        ({"headers": {"X-A:": "1"}}, ValueError),
        ({"headers": {"X-A": "1\r\nX-B: 2"}}, ValueError),
        ({"headers": {"X-A": "ü"}}, ValueError),
        ({"headers": {"Host": "other"}}, ValueError),
        ({"headers": {"upgrade": "h2c"}}, ValueError),
        ({"headers": {"Sec-WebSocket-Protocol": "chat"}}, ValueError),
        ({"cookies": "a=1"}, TypeError),
        ({"cookies": {"a": 1}}, TypeError),
        ({"cookies": {"a": "1; b=2"}}, ValueError),
        ({"cookies": {"a=b": "1"}}, ValueError),
        ({"origin": 1}, TypeError),
        ({"origin": "https://o.test\r\nX: 1"}, ValueError),
        ({"ssl": False}, TypeError),
        ({"ssl": b"ca.pem"}, TypeError),
        ({"proxy": 3128}, TypeError),
        ({"proxy": "proxy.test:3128"}, ValueError),
        ({"proxy": "http://proxy.test"}, ValueError),
        ({"proxy": "ftp://proxy.test:21"}, ValueError),
        ({"proxy": "http://:3128"}, ValueError),
        ({"connect_timeout": 0}, ValueError),
        ({"connect_timeout": -1}, ValueError),
        ({"connect_timeout": float("nan")}, ValueError),
        ({"connect_timeout": float("inf")}, ValueError),
        ({"connect_timeout": "1"}, TypeError),
        ({"send_timeout": None}, TypeError),
        ({"close_timeout": True}, TypeError),
        ({"max_size": 0}, ValueError),
        ({"max_held": 1.5}, TypeError),
        ({"max_held_messages": True}, TypeError),
    ],
)
def test_an_option_that_can_not_work_is_refused_by_its_name(options, kind):
    with pytest.raises(kind, match=next(iter(options))):
        websocket("ws://host", **options)


def test_headers_are_sent_as_given():
    headers = sent(headers={"X-Api-Key": "a: b; c", "X-Empty": "", "X-Tab": "a\tb"})
    assert (headers["x-api-key"], headers["x-empty"], headers["x-tab"]) == ("a: b; c", "", "a\tb")


def test_cookies_are_sent_in_one_header():
    assert sent(cookies={"a": "1", "b": "two words"})["cookie"] == "a=1; b=two words"


@pytest.mark.parametrize("name", ["Cookie", "cookie"])
def test_a_cookie_header_and_cookies_are_sent_in_one_header(name):
    assert sent(headers={name: "a=1"}, cookies={"b": "2"})["cookie"] == "a=1; b=2"


def test_nothing_is_sent_that_was_not_asked_for():
    headers = sent()
    host = headers.pop("host")
    assert host.startswith("127.0.0.1:")
    assert len(base64.b64decode(headers.pop("sec-websocket-key"))) == 16
    assert headers == {
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-version": "13",
        "user-agent": "rxsocket",
    }


def test_an_origin_is_sent_if_given():
    assert sent(origin="https://o.test")["origin"] == "https://o.test"


def test_a_given_user_agent_replaces_the_own_one():
    assert sent(headers={"user-agent": "curl/8"})["user-agent"] == "curl/8"


@pytest.mark.parametrize(
    ("userinfo", "login"),
    [
        ("user:secret", "user:secret"),
        ("us%40er:p%3Aa%2Fss%25", "us@er:p:a/ss%"),
        ("%C3%BCser:gr%C3%BC%C3%9F", "üser:grüß"),
        ("user", "user:"),
        ("user:", "user:"),
        (":token", ":token"),
        ("a@b:c@d", "a@b:c@d"),
    ],
)
def test_user_and_password_of_the_url_become_basic_authorization(userinfo, login):
    headers = sent(userinfo=userinfo)
    scheme, _, credentials = headers["authorization"].partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(credentials).decode() == login
    assert userinfo not in headers["host"]


@pytest.mark.parametrize("name", ["Authorization", "authorization"])
def test_an_explicit_authorization_header_wins(name):
    assert sent(userinfo="user:secret", headers={name: "Bearer 1"})["authorization"] == "Bearer 1"


# --- no password is shown


def test_no_password_in_repr_url_events_or_log(caplog):
    caplog.set_level(logging.DEBUG)
    with Server(accept) as server:
        endpoint = websocket(with_login(server.url, f"user:{ENCODED_PASSWORD}"), "chat")
        opens: list[OpenEvent] = []
        closes: list[CloseEvent] = []
        errors: list[RxSocketException] = []
        with opened(endpoint) as session:
            session.opens.subscribe(opens.append)
            session.closes.subscribe(closes.append)
            session.errors.subscribe(errors.append)
            shown = [repr(session), session.url, repr(endpoint)]
            assert session.url == server.url
            assert repr(endpoint) == f"<Socket {server.url} chat>"
    assert opens
    assert closes
    text = "".join((*shown, repr(opens), repr(closes), repr(errors), caplog.text))
    assert PASSWORD not in text
    assert ENCODED_PASSWORD not in text


def test_no_password_in_what_a_failure_says(caplog):
    with Server(lambda peer: (peer.request(), peer.respond("403 Forbidden"))) as server:
        event = end(websocket(with_login(server.url, f"user:{ENCODED_PASSWORD}")))
    assert server.url in event.reason
    assert "403" in caplog.text
    assert PASSWORD not in repr(event) + caplog.text
    assert ENCODED_PASSWORD not in repr(event) + caplog.text


@pytest.mark.parametrize("rest", ["host:0", "host:port", "host/#a", "[::1", "", "host/a b\n", "[no-address]"])
def test_no_password_in_what_a_url_that_can_not_work_says(rest):
    endpoint = websocket(f"ws://user:{ENCODED_PASSWORD}@{rest}")
    with pytest.raises(ConnectionException) as caught:
        endpoint.connect()
    assert ENCODED_PASSWORD not in f"{caught.value} {caught.value.__cause__} {endpoint!r}"


@pytest.mark.parametrize("proxy", ["http://user:secret@host", "user:secret@host:80", "http://user:secret@host:port"])
def test_no_password_in_what_a_proxy_that_can_not_work_says(proxy):
    with pytest.raises(ValueError, match="proxy") as caught:
        websocket("ws://host", proxy=proxy)
    assert "secret" not in str(caught.value)


def test_no_secret_in_what_a_header_that_can_not_be_sent_says():
    with pytest.raises(ValueError, match=r"'Authorization'.*'\\n'") as caught:
        websocket("ws://host", headers={"Authorization": "Bearer secret\n"})
    assert "secret" not in str(caught.value)


def test_the_repr_of_options_shows_no_secret():
    options = Options(headers={"X": "secret"}, cookies={"a": "secret"}, proxy="http://user:secret@host:80")
    assert "secret" not in repr(options)


# --- sub-protocols and extensions


def test_the_sub_protocol_that_the_server_picks_is_the_sessions():
    with Server(accepting("Sec-WebSocket-Protocol: chat.v2")) as server:
        with opened(websocket(server.url, "chat.v1", "chat.v2")) as session:
            assert session.protocol == "chat.v2"
        assert server.requests[0].headers["sec-websocket-protocol"] == "chat.v1, chat.v2"


def test_a_server_may_pick_no_sub_protocol():
    with Server(accept) as server, opened(websocket(server.url, "chat")) as session:
        assert session.protocol is None


@pytest.mark.parametrize("picked", ["other", "CHAT", "chat, chat2", ""])
@pytest.mark.parametrize("offered", [("chat", "chat2"), ()])
def test_a_sub_protocol_that_was_not_offered_is_refused(picked, offered):
    with Server(accepting(f"Sec-WebSocket-Protocol: {picked}")) as server:
        event = end(websocket(server.url, *offered))
    assert isinstance(event.cause, ConnectionException)
    assert f"sub-protocol {picked!r}" in event.reason
    assert (event.code, event.initiator, event.was_clean) == (1006, "network", False)


def test_an_extension_that_was_not_offered_is_refused():
    with Server(accepting("Sec-WebSocket-Extensions: permessage-deflate")) as server:
        event = end(websocket(server.url))
        assert "sec-websocket-extensions" not in server.requests[0].headers
    assert isinstance(event.cause, ConnectionException)
    assert "extension 'permessage-deflate'" in event.reason


@pytest.mark.parametrize("compression", [True, Deflate(client_max_window_bits=10)])
def test_compression_is_offered_and_may_be_declined(compression):
    with Server(accept) as server, opened(websocket(server.url, compression=compression)):
        deflate = Deflate() if compression is True else compression
        assert server.requests[0].headers["sec-websocket-extensions"] == deflate.offer()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("permessage-deflate; server_max_window_bits=16", "server_max_window_bits=16"),
        ("permessage-deflate; client_max_window_bits", "client_max_window_bits="),
        ("permessage-deflate; level=9", "'level'"),
        ("permessage-deflate, permessage-deflate", "only one was offered"),
        ("x-zip", "'x-zip'"),
    ],
)
def test_an_answer_that_does_not_fit_the_offered_compression_is_refused(answer, problem):
    with Server(accepting(f"Sec-WebSocket-Extensions: {answer}")) as server:
        event = end(websocket(server.url, compression=True))
    assert isinstance(event.cause, ConnectionException)
    assert server.url in event.reason
    assert problem in event.reason
    assert (event.code, event.initiator) == (1006, "network")


def test_messages_are_compressed_both_ways_once_that_is_agreed_on():
    text = "to be repeated " * 20

    def script(peer: Peer) -> None:
        peer.accept("Sec-WebSocket-Extensions: permessage-deflate")
        first, length = peer.read(2)
        assert first == 0xC1
        assert length < 0x80 + len(text)
        key, masked = peer.read(4), peer.read(length - 0x80)
        payload = apply_mask(masked, key)
        assert zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff") == text.encode()
        peer.sock.sendall(bytes((0xC1, len(payload))) + payload)
        peer.await_word()

    with Server(script) as server, opened(websocket(server.url, compression=True)) as session:
        session.send(text)
        assert session.messages.body.pipe(ops.first()).run() == text


def test_a_compressed_message_that_never_ends_and_holds_nothing_fails_with_1009():
    def script(peer: Peer) -> None:
        peer.accept("Sec-WebSocket-Extensions: permessage-deflate")
        peer.sock.sendall(b"\xc2\x7f" + ((1 << 63) - 1).to_bytes(8, "big"))
        while True:  # until the client hangs up
            peer.sock.sendall(b"\x00\x00\x00\xff\xff" * 1000)

    with Server(script) as server:
        event = end(websocket(server.url, compression=True))
    assert (event.code, event.initiator) == (1009, "client")
    assert "compressed form" in event.reason


def test_an_extension_in_two_headers_is_refused():
    fields = ("Sec-WebSocket-Extensions: permessage-deflate",) * 2
    with Server(accepting(*fields)) as server:
        assert "only one was offered" in end(websocket(server.url, compression=True)).reason


# --- hosts and paths


def test_a_host_may_be_an_ipv6_address():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no ::1")
    with Server(accept, host="::1") as server, opened(websocket(server.url)) as session:
        assert session.url == f"ws://[::1]:{server.port}"
        assert server.requests[0].headers["host"] == f"[::1]:{server.port}"


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("", "/"),
        ("?", "/"),
        ("/a b", "/a%20b"),
        ("/räume/東京", "/r%C3%A4ume/%E6%9D%B1%E4%BA%AC"),
        ("/a%20b%2Fc", "/a%20b%2Fc"),
        ("/a;p=1/b:c@d!$&'()*+,=~", "/a;p=1/b:c@d!$&'()*+,=~"),
        ('/"<>^`{|}', "/%22%3C%3E%5E%60%7B%7C%7D"),
        ("/?q=a b&r=ü&s=%20", "/?q=a%20b&r=%C3%BC&s=%20"),
        ("//double//slash", "//double//slash"),
    ],
)
def test_a_path_is_percent_encoded_once(path, target):
    with Server(accept) as server, opened(websocket(server.url + path)):
        assert server.requests[0].target == target


def test_a_scheme_and_a_host_may_be_upper_case():
    with Server(accept) as server, opened(websocket(f"WS://LOCALHOST:{server.port}/A")):
        assert server.requests[0].target == "/A"
        assert server.requests[0].headers["host"] == f"localhost:{server.port}"


def test_a_host_that_is_not_ascii_is_looked_up_as_idna_and_named_when_not_found():
    event = end(websocket("ws://bücher.invalid/"))
    assert isinstance(event.cause, ConnectionException)
    assert "xn--bcher-kva.invalid" in event.reason
    assert "could not be found" in event.reason


def test_a_picture_of_a_socket_has_what_was_chosen_and_no_secret():
    socket = websocket(
        "ws://me:secret@host/feed",
        "chat",
        headers={"X": "secret"},
        cookies={"a": "secret"},
        proxy="http://me:secret@host:1",
        close_timeout=2.0,
    )
    assert repr(socket) == "<Socket ws://host/feed chat>"
    assert dict(cells(socket._repr_html_())[1:]) == {
        "url": "ws://host/feed",
        "sub-protocols": "chat",
        "headers": "given",
        "cookies": "given",
        "proxy": "given",
        "close_timeout": "2.0",
    }
