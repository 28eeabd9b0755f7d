"""URLs and sub-protocols: which can work, and what of them is shown. Sockets show the rest, with real servers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxsocket.errors import EndpointException
from rxsocket.urls import check_protocols, check_url, show, without_login


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        ("ws://host", "ws://host"),
        ("WSS://HOST:8443/a?b=c", "wss://host:8443/a?b=c"),
        ("ws://host/a b/\u00fc", "ws://host/a%20b/%C3%BC"),
        ("ws://host/a%20b?c=%20", "ws://host/a%20b?c=%20"),
        ("ws://b\u00fccher.example/", "ws://xn--bcher-kva.example/"),
        ("ws://[::1]:80/", "ws://[::1]:80/"),
        ("ws://user:pass%40word@host/", "ws://user:pass%40word@host/"),
    ],
)
def test_a_url_that_can_work_is_encoded_once(url: str, checked: str) -> None:
    assert check_url(url).geturl() == checked
    assert check_url(checked).geturl() == checked


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://host", "scheme"),
        ("host", "scheme"),
        ("ws://", "host"),
        ("ws://host:0", "port 0"),
        ("ws://host:port", "ort"),
        ("ws://host:70000", "ort"),
        ("ws://host/#part", "fragment"),
        ("ws://host/\r\nX: y", "control character"),
        (" ws://host", "space"),
        ("ws://host/\ud800", "surrogate"),
        ("ws://\udfff:p@host/", "surrogate"),
        ("ws://ho st", "host"),
        ("ws://[::1", "IPv6"),
    ],
)
def test_a_url_that_can_not_work_says_why_with_the_cause_chained(url: str, problem: str) -> None:
    with pytest.raises(EndpointException, match=problem) as caught:
        check_url(url)
    assert isinstance(caught.value.__cause__, ValueError)


@given(st.text())
def test_any_text_is_a_url_or_a_connection_exception(url: str) -> None:
    try:
        checked = check_url(url)
    except EndpointException:
        return
    assert checked.scheme in {"ws", "wss"}
    assert checked.geturl().isascii()


@given(st.text(alphabet="abcxyz012:@!$&'()*+,;=%.[] ", max_size=20))
def test_no_password_is_shown_whatever_is_in_it(password: str) -> None:
    url = f"ws://user:s3cret{password}s3cret@host/"
    assert "s3cret" not in without_login(url)
    try:
        shown = show(check_url(url))
    except EndpointException as error:
        shown = str(error)
    assert "s3cret" not in shown


@pytest.mark.parametrize("names", [[""], ["a b"], ["a,b"], ["\u00fc"], ["a", "a"]])
def test_a_sub_protocol_that_can_not_be_offered_says_why(names: list[str]) -> None:
    with pytest.raises(EndpointException, match="can't be offered") as caught:
        check_protocols(names)
    assert isinstance(caught.value.__cause__, ValueError)


def test_sub_protocols_that_can_be_offered_pass() -> None:
    check_protocols(["chat.v1", "v1.kernel.websocket.jupyter.org", "!#$%&'*+-.^_`|~"])
