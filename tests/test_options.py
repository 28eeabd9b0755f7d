"""Options: each is checked once, and what is wrong with it is said by its name."""

from __future__ import annotations

import inspect
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from msgspec import structs
from rich.pretty import pretty_repr

from rxsocket.backoff import Backoff
from rxsocket.deflate import Deflate
from rxsocket.errors import ConnectionException, EndpointException
from rxsocket.options import MIB, Options
from rxsocket.socket import Socket, websocket

SECONDS = ("connect_timeout", "send_timeout", "close_timeout")
LIMITS = ("max_size", "max_fragments", "max_handshake", "max_outgoing", "max_held", "max_held_messages")
PAIRS = ("headers", "cookies")
WITHOUT_BEHAVIOUR = ("ping_interval", "ping_timeout", "reconnect")


def made(option: str, value: object) -> Options:
    arguments: dict[str, Any] = {option: value}
    return Options(**arguments)


def refused(option: str, value: object, kind: type[Exception]) -> str:
    with pytest.raises(kind) as raised:
        made(option, value)
    assert type(raised.value) is kind
    return str(raised.value)


def test_without_arguments_the_options_are_the_defaults() -> None:
    options = Options()
    assert (options.headers, options.cookies) == ({}, {})
    assert (options.origin, options.ssl, options.proxy) == (None, None, None)
    assert (options.connect_timeout, options.send_timeout, options.close_timeout) == (10.0, 30.0, 5.0)
    assert (options.max_size, options.max_outgoing) == (64 * MIB, 256 * MIB)
    assert (options.max_fragments, options.max_handshake) == (1_000_000, 65_536)
    assert (options.max_held, options.max_held_messages) == (8 * MIB, 10_000)


def test_every_option_is_tested_here() -> None:
    names = {field.name for field in structs.fields(Options)}
    assert names == {*SECONDS, *LIMITS, *PAIRS, *WITHOUT_BEHAVIOUR, "origin", "ssl", "proxy", "compression", "codec"}


def test_websocket_has_the_same_options_with_the_same_defaults() -> None:
    keywords = {
        name: parameter.default
        for name, parameter in inspect.signature(websocket).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    assert websocket("ws://host") == Socket("ws://host", (), Options())
    # A mapping that is left out is None there, since a default is shared by all calls.
    assert [keywords.pop(name) for name in PAIRS] == [None, None]
    assert keywords == {
        field.name: field.default for field in structs.fields(Options) if field.default is not msgspec.NODEFAULT
    }


def test_options_cannot_be_changed_and_are_equal_by_value() -> None:
    options = Options(headers={"A": "b"})
    assert options == Options(headers={"A": "b"})
    assert options != Options(headers={"A": "c"})
    with pytest.raises(AttributeError):
        options.origin = "x"  # type: ignore[misc]


# --- headers, cookies, origin


@pytest.mark.parametrize("option", PAIRS)
def test_a_mapping_is_taken_as_it_is_now(option: str) -> None:
    given = {"A": "b"}
    options = made(option, given)
    given["A"] = "changed"
    assert getattr(options, option) == {"A": "b"}


class Pairs(Mapping[str, str]):
    def __getitem__(self, key: str) -> str:
        return {"A": "b"}[key]

    def __iter__(self) -> Iterator[str]:
        return iter(("A",))

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize("option", PAIRS)
@pytest.mark.parametrize("given", [MappingProxyType({"A": "b"}), Pairs()])
def test_any_mapping_is_taken(option: str, given: Mapping[str, str]) -> None:
    assert getattr(made(option, given), option) == {"A": "b"}


@pytest.mark.parametrize("option", PAIRS)
@pytest.mark.parametrize("value", [None, "A: b", ["A: b"], [("A", "b")], {"A": 1}, {"A": b"b"}, {"A": None}, {1: "b"}])
def test_anything_but_a_mapping_of_str_to_str_is_a_type_error(option: str, value: object) -> None:
    assert option in refused(option, value, TypeError)


BREAKS = ("\r\nX-Evil: 1", "\r\n\r\nGET /", "\n", "\r", "\x00", "\x0b", "\x0c", "\x7f", "\x85", "\u2028", "\u010a")


@pytest.mark.parametrize("option", PAIRS)
@pytest.mark.parametrize("part", BREAKS, ids=ascii)
def test_a_line_break_or_what_may_become_one_is_refused_in_names_and_values(option: str, part: str) -> None:
    for pairs in (
        {"A": f"b{part}"},
        {"A": part},
        {f"A{part}": "b"},
        {f"{part}A": "b"},
        {"B": "fine", "A": f"b{part}c"},
    ):
        assert option in refused(option, pairs, ValueError)


@pytest.mark.parametrize("part", BREAKS, ids=ascii)
def test_a_line_break_is_refused_in_the_origin(part: str) -> None:
    assert "origin" in refused("origin", f"https://host{part}", ValueError)


@pytest.mark.parametrize("option", PAIRS)
@pytest.mark.parametrize("name", ["", "A B", "A:", ":A", "A;", "A,", "A=", 'A"', "\u00c4", " A", "A\t"], ids=ascii)
def test_a_name_that_would_be_read_as_something_else_is_refused(option: str, name: str) -> None:
    message = refused(option, {name: "b"}, ValueError)
    assert option in message
    assert repr(name) in message


def test_what_may_be_secret_is_shown_neither_by_an_error_nor_by_the_options() -> None:
    hidden = "s3cret"
    for option, value, kind in (
        ("headers", {"Authorization": f"Bearer {hidden}\n"}, ValueError),
        ("headers", {"Authorization": hidden.encode()}, TypeError),
        ("cookies", {"session": f"{hidden}; other"}, ValueError),
        ("cookies", {"session": [hidden]}, TypeError),
        ("proxy", f"ftp://user:{hidden}@host:21", ValueError),
        ("proxy", f"http://user:{hidden}@host:port", ValueError),
    ):
        assert hidden not in refused(option, value, kind)
    options = Options(headers={"A": hidden}, cookies={"B": hidden}, proxy=f"http://user:{hidden}@host:3128", max_size=7)
    for shown in (repr(options), pretty_repr(options)):
        assert hidden not in shown
        assert "max_size=7" in shown


@pytest.mark.parametrize("name", ["Host", "host", "UPGRADE", "Connection", "Content-Length", "Transfer-Encoding"])
@pytest.mark.parametrize("suffix", ["", "Sec-WebSocket-"])
def test_a_header_that_the_handshake_sets_itself_is_refused(name: str, suffix: str) -> None:
    assert "handshake" in refused("headers", {suffix + name: "x"}, ValueError)
    assert Options(cookies={suffix + name: "x"}).cookies == {suffix + name: "x"}


def test_headers_of_an_application_pass() -> None:
    headers = {
        "Authorization": "Bearer a.b=c;d, e",
        "X-Api_Key!": "",
        "User-Agent": 'me "1"\t/ 2',
        "Cookie": "a=b; c=d",
    }
    assert Options(headers=headers).headers == headers


@pytest.mark.parametrize("value", ["b; other=1", ";", "b;"])
def test_a_cookies_value_with_a_semicolon_is_refused_since_it_would_begin_another(value: str) -> None:
    message = refused("cookies", {"name": value}, ValueError)
    assert "cookie" in message
    assert "'name'" in message


def test_cookies_as_servers_set_them_pass() -> None:
    cookies = {"session": "a1%20=|.:_-", "__Host-id": '"quoted"', "empty": ""}
    assert Options(cookies=cookies).cookies == cookies


@pytest.mark.parametrize("value", [1, b"https://host", ["https://host"], True])
def test_an_origin_that_is_no_str_is_a_type_error(value: object) -> None:
    assert "origin" in refused("origin", value, TypeError)


def test_an_origin_passes() -> None:
    assert Options(origin="https://host:8443").origin == "https://host:8443"
    assert Options(origin="null").origin == "null"


# --- ssl and proxy


def test_ssl_is_a_context_or_the_path_of_a_file() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    assert Options(ssl=context).ssl is context
    assert Options(ssl="/a/file.pem").ssl == "/a/file.pem"
    assert Options(ssl=Path("/a/file.pem")).ssl == Path("/a/file.pem")


@pytest.mark.parametrize("value", [True, False, b"file.pem", {"cert_reqs": 0}, ssl.CERT_NONE])
def test_anything_else_for_ssl_is_a_type_error(value: object) -> None:
    assert "ssl" in refused("ssl", value, TypeError)


@pytest.mark.parametrize(
    "proxy",
    [
        None,
        "env",
        "http://host:3128",
        "http://user:pass@host:3128",
        "socks4://host:1080",
        "socks4a://host:1080",
        "socks5://127.0.0.1:1080",
        "socks5h://user:p%40ss@host:1080/",
        "http://[::1]:8080",
    ],
)
def test_a_proxy_is_none_or_that_of_the_environment_or_a_url(proxy: str | None) -> None:
    assert Options(proxy=proxy).proxy == proxy


@pytest.mark.parametrize(
    "proxy",
    [
        "",
        "ENV",
        "host:3128",
        "http://host",
        "http://:3128",
        "http://host:0",
        "http://host:port",
        "http://host:70000",
        "http://host:-1",
        "http://[::1:8080",
        "https://host:3128",
        "socks://host:1080",
        "ftp://host:21",
        "//host:3128",
    ],
)
def test_a_proxy_that_cannot_work_is_a_value_error_that_says_what_can(proxy: str) -> None:
    message = refused("proxy", proxy, ValueError)
    assert message.startswith("proxy is None")
    for scheme in ("http", "socks4", "socks4a", "socks5", "socks5h"):
        assert scheme in message


@pytest.mark.parametrize("proxy", [1, True, False, b"http://host:1", ("host", 1), {"http": "http://host:1"}])
def test_a_proxy_that_is_no_str_is_a_type_error(proxy: object) -> None:
    assert "proxy" in refused("proxy", proxy, TypeError)


# --- numbers


@pytest.mark.parametrize("option", SECONDS)
@pytest.mark.parametrize("value", [None, "1", True, False, 1j, [1]])
def test_seconds_that_are_no_number_are_a_type_error(option: str, value: object) -> None:
    assert option in refused(option, value, TypeError)


@pytest.mark.parametrize("option", SECONDS)
@pytest.mark.parametrize("value", [0, 0.0, -1, -0.001, float("inf"), float("-inf"), float("nan"), 1_000_001, 10**400])
def test_seconds_that_nobody_can_wait_are_a_value_error(option: str, value: float) -> None:
    assert option in refused(option, value, ValueError)


@pytest.mark.parametrize("option", SECONDS)
@pytest.mark.parametrize("value", [1, 0.001, 1e-9, 86_400, 1_000_000])
def test_seconds_pass(option: str, value: float) -> None:
    assert getattr(made(option, value), option) == value


@pytest.mark.parametrize("option", LIMITS)
@pytest.mark.parametrize("value", [None, "1", True, False, 1.0, float("inf")])
def test_a_limit_that_is_no_int_is_a_type_error(option: str, value: object) -> None:
    assert option in refused(option, value, TypeError)


@pytest.mark.parametrize("option", LIMITS)
@pytest.mark.parametrize("value", [0, -1, -(1 << 70)])
def test_a_limit_under_1_is_a_value_error(option: str, value: int) -> None:
    assert option in refused(option, value, ValueError)


@pytest.mark.parametrize("option", LIMITS)
@pytest.mark.parametrize("value", [1, 1 << 40, 1 << 70])
def test_a_limit_passes(option: str, value: int) -> None:
    assert getattr(made(option, value), option) == value


# --- compression


@pytest.mark.parametrize(
    ("compression", "offered"),
    [(False, None), (True, Deflate()), (Deflate(level=1), Deflate(level=1))],
)
def test_compression_is_off_or_on_or_says_how(compression: bool | Deflate, offered: Deflate | None) -> None:  # noqa: FBT001
    assert Options().deflate is None
    assert Options(compression=compression).deflate == offered


@pytest.mark.parametrize("value", [None, 0, 1, "deflate", {"level": 1}, Deflate])
def test_any_other_compression_is_a_type_error(value: object) -> None:
    assert "compression" in refused("compression", value, TypeError)


# --- what has no behaviour yet


@pytest.mark.parametrize("option", ["ping_interval", "ping_timeout"])
def test_pings_may_be_left_out_and_their_seconds_are_checked(option: str) -> None:
    assert getattr(Options(**{option: None}), option) is None
    assert getattr(Options(**{option: 1}), option) == 1
    assert option in refused(option, 0, ValueError)
    assert option in refused(option, "1", TypeError)


def test_reconnect_is_a_backoff_or_none() -> None:
    assert Options().reconnect is None
    assert Options(reconnect=Backoff(initial=1)).reconnect == Backoff(initial=1)
    assert "Backoff" in refused("reconnect", True, TypeError)  # noqa: FBT003 the value in question


def test_headers_may_come_from_a_function_that_is_called_each_time() -> None:
    tokens = iter("ab")
    options = Options(headers=lambda: {"X-Token": next(tokens)})
    assert [options.current_headers(), options.current_headers()] == [{"X-Token": "a"}, {"X-Token": "b"}]
    with pytest.raises(ConnectionException, match=r"gives the headers failed: StopIteration") as raised:
        options.current_headers()
    assert not isinstance(raised.value, EndpointException)  # so it is asked again
    assert isinstance(raised.value.__cause__, StopIteration)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (None, "headers is a mapping of str to str, not NoneType"),
        ({"X-Token": 1}, "headers has str names and str values, not 'X-Token': int"),
        ({"X-Token": "two\nlines"}, r"headers has a value for 'X-Token' with '\\n' in it"),
        ({"Host": "x"}, "headers has 'Host', which the opening handshake sets itself"),
    ],
)
def test_headers_from_a_function_that_can_not_be_sent_can_never_work(given: Any, problem: str) -> None:
    with pytest.raises(EndpointException, match=f"the headers returned what can't be sent: {problem}"):
        Options(headers=lambda: given).current_headers()
