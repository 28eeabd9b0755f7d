"""The opening handshake as text: what is asked for, and what an answer must be."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxsocket.deflate import Deflate
from rxsocket.errors import ConnectionException, HandshakeException
from rxsocket.handshake import accepted, parsed, redirected, refusal, request_headers
from rxsocket.options import Options
from rxsocket.urls import check_url

# Section 1.3's own example.
REQUEST = b"GET /chat HTTP/1.1\r\nHost: host\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
LINE = "HTTP/1.1 101 Switching Protocols"
HOST = check_url("ws://host/chat")


def asked(url: str = "ws://host", *protocols: str, given: str | None = None, **options) -> dict[str, str]:
    lines = request_headers(check_url(url), check_url(given or url), protocols, Options(**options))
    headers = dict(line.split(": ", 1) for line in lines)
    assert len(headers) == len(lines)
    return headers


# --- what is asked for


def test_without_options_only_the_name_of_the_client_is_added() -> None:
    assert asked() == {"User-Agent": "rxsocket"}


def test_what_is_offered_is_in_the_headers() -> None:
    headers = asked("ws://host", "chat.v2", "chat.v1", compression=True, headers={"User-Agent": "mine", "X-Key": "1"})
    assert headers == {
        "User-Agent": "mine",
        "X-Key": "1",
        "Sec-WebSocket-Protocol": "chat.v2, chat.v1",
        "Sec-WebSocket-Extensions": Deflate().offer(),
    }


def test_all_cookies_are_in_one_header() -> None:
    headers = asked(cookies={"a": "1", "b": "2"}, headers={"cookie": "c=3"})
    assert headers["Cookie"] == "c=3; a=1; b=2"
    assert "cookie" not in headers


def test_user_and_password_become_basic_authorization_unless_there_is_another() -> None:
    assert asked("ws://Aladdin:open%20sesame@host")["Authorization"] == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert asked("ws://Aladdin:x@host", headers={"authorization": "Bearer 1"})["authorization"] == "Bearer 1"


@pytest.mark.parametrize(
    ("first", "then", "kept"),
    [
        ("ws://host/a", "ws://host:80/b", True),
        ("ws://host:80/a", "ws://HOST/b", True),
        ("wss://host:443/a", "wss://host/b", True),
        ("ws://host/a", "wss://host/b", True),
        ("ws://host:80/a", "wss://host:443/b", True),
        ("ws://host/a", "ws://host:443/b", False),
        ("ws://host/a", "ws://sub.host/b", False),
        ("ws://host:8080/a", "wss://host/b", False),
    ],
)
def test_secrets_go_to_the_server_that_they_are_for_alone(first: str, then: str, *, kept: bool) -> None:
    secrets = {"headers": {"X-Key": "1"}, "cookies": {"a": "1"}}
    headers = asked(then, given=first.replace("//", "//user:password@"), **secrets)
    assert ({"X-Key", "Cookie", "Authorization"} <= set(headers)) is kept
    assert kept or set(headers) == {"User-Agent"}


def test_a_function_of_headers_that_fails_is_told() -> None:
    def headers() -> dict[str, str]:
        raise LookupError("no token")

    with pytest.raises(ConnectionException, match="no token"):
        asked(headers=headers)


# --- what an answer is


def test_an_answer_has_a_line_headers_and_a_rest() -> None:
    answer = b"HTTP/1.1 101 Fine\r\nUpgrade:websocket\r\nX-A: 1\r\nx-a:  2 \r\n\r\n\x81\x01x\r\n\r\n"
    assert parsed(answer) == (
        "HTTP/1.1 101 Fine",
        {"upgrade": "websocket", "x-a": "1, 2"},
        b"\x81\x01x\r\n\r\n",
    )


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 101 Fine", b"HTTP/1.1 101 Fine\r\nUpgrade: websocket\r\n"])
def test_an_answer_whose_head_is_not_complete_is_none(answer: bytes) -> None:
    assert parsed(answer) == ("", {}, b"")
    assert refusal(answer, HOST) is None


def test_a_refusal_carries_what_the_server_said() -> None:
    error = refusal(b"HTTP/1.1 403 Forbidden\r\nX-Why: because\r\n\r\nno\n  entry", HOST)
    assert isinstance(error, HandshakeException)
    assert str(error) == "ws://host/chat refused the handshake: 403 Forbidden: no entry"
    assert (error.status, error.headers, error.body) == (403, {"x-why": "because"}, b"no\n  entry")


def test_what_is_accepted_is_no_refusal() -> None:
    assert refusal(f"{LINE}\r\n\r\n".encode(), HOST) is None


# --- what a client must check


def test_the_key_of_the_rfc_is_accepted_with_its_value() -> None:
    assert accepted(REQUEST, LINE, {"sec-websocket-accept": ACCEPT}, (), Options()) is None


@pytest.mark.parametrize(
    ("line", "headers", "says"),
    [
        ("HTTP/1.0 101 Fine", {}, "which is not HTTP/1.1"),
        (LINE, {"sec-websocket-accept": "x"}, "'x', which is not for the key"),
        (LINE, {"sec-websocket-accept": ACCEPT.lower()}, "which is not for the key"),
        (LINE, {"sec-websocket-protocol": "chat.v2"}, "the sub-protocol 'chat.v2', which was not offered"),
        (LINE, {"sec-websocket-protocol": ""}, "the sub-protocol '', which was not offered"),
        (LINE, {"sec-websocket-extensions": "permessage-deflate"}, "the extension 'permessage-deflate', which was not"),
    ],
)
def test_what_a_client_must_not_accept(line: str, headers: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        accepted(REQUEST, line, {"sec-websocket-accept": ACCEPT} | headers, ("chat.v1",), Options())


def test_what_is_agreed_on_is_told() -> None:
    headers = {
        "sec-websocket-accept": ACCEPT,
        "sec-websocket-protocol": "chat.v1",
        "sec-websocket-extensions": "permessage-deflate; server_max_window_bits=10",
    }
    deflate = accepted(REQUEST, LINE, headers, ("chat.v2", "chat.v1"), Options(compression=True))
    assert deflate is not None
    assert deflate.server_max_window_bits == 10


# --- where a redirect leads


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/there?a=1", "ws://host/there?a=1"),
        ("there", "ws://host/there"),
        ("http://other:81/", "ws://other:81/"),
        ("https://other/", "wss://other/"),
        ("wss://other/x#y", "wss://other/x"),
    ],
)
def test_a_location_may_be_relative_and_of_either_scheme(location: str, target: str) -> None:
    assert redirected(HOST, {"location": location}).geturl() == target


@pytest.mark.parametrize(
    ("url", "headers", "says"),
    [
        ("ws://host", {}, "without saying where to"),
        ("ws://host", {"location": "http://[::"}, "can't work"),
        ("ws://host", {"location": "ftp://host/"}, "scheme is 'ftp'"),
        ("wss://host", {"location": "http://host/"}, "gives up TLS"),
    ],
)
def test_a_redirect_that_can_not_be_followed_is_told(url: str, headers: dict[str, str], says: str) -> None:
    with pytest.raises(ConnectionException, match=says):
        redirected(check_url(url), headers)


def is_handled(check: Callable[[], object], *kinds: type[Exception]) -> bool:
    try:
        check()
    except kinds as error:
        return bool(str(error))
    return True


@given(st.binary())
def test_any_answer_is_read_without_another_exception(tail: bytes) -> None:
    for answer in (tail, b"HTTP/1.1 302 Found\r\nLocation: " + tail + b"\r\n\r\n", f"{LINE}\r\n".encode() + tail):
        line, headers, _ = parsed(answer)
        assert isinstance(refusal(answer, HOST), HandshakeException | None)
        assert is_handled(partial(accepted, REQUEST, line, headers, (), Options(compression=True)), ValueError)
        assert is_handled(partial(redirected, HOST, headers), ConnectionException)
