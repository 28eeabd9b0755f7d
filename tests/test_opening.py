"""Making a connection, and refusing to, against real servers; then its socket."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import websocket._handshake
from openings import assert_ended, connected, opening
from peers import DEADLINE, LOOPBACK, Peer, Server, SocksServer, echo_server, http_proxy, switching

from rxsocket.errors import CertificateException, ConnectionException, EndpointException, HandshakeException
from rxsocket.opening import MAX_REDIRECTS, Opening, check_needs
from rxsocket.options import Options
from rxsocket.socket import websocket as describe

SHORT = 0.3
QUICK = 3.0  # seconds: far under DEADLINE, and enough for a busy machine
RESET = struct.pack("ii", 1, 0)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(autouse=True)
def jar() -> Iterator[dict[str, Any]]:
    """websocket-client's cookies of the whole process."""
    jar = websocket._handshake.CookieJar.jar
    jar.clear()
    yield jar
    jar.clear()


def refused(url: str, *protocols: str, **options: Any) -> ConnectionException:
    """Return the error that a connection fails with; nothing may be left of it."""
    with pytest.raises(ConnectionException) as caught:
        opening(url, *protocols, **options).run()
    return caught.value


def accept(peer: Peer) -> None:
    peer.accept()
    peer.await_word()


def saying(*words: bytes) -> Callable[[Peer], None]:
    """Return a script that answers any request with these bytes, then hangs up."""

    def script(peer: Peer) -> None:
        peer.request()
        for word in words:
            peer.sock.sendall(word)

    return script


def at_path(**scripts: Callable[[Peer, Any], object]) -> Callable[[Peer], None]:
    """Return a script that does what the request's path asks for; it accepts where nothing is."""

    def script(peer: Peer) -> None:
        request = peer.request()
        act = scripts.get(request.target.strip("/"))
        if act is None:
            peer.accept(request=request)
            peer.await_word()
        else:
            act(peer, request)

    return script


def to(location: str, status: str = "302 Found") -> Callable[[Peer, Any], None]:
    return lambda peer, _: peer.respond(status, f"Location: {location}")


# --- refused handshakes


@pytest.mark.parametrize(
    ("status", "number"),
    [("401 Unauthorized", 401), ("403 Forbidden", 403), ("404 Not Found", 404), ("500 Oh no", 500), ("200 OK", 200)],
)
def test_a_refused_handshake_has_status_headers_and_body(status, number):
    body = f"no: {status}".encode()
    word = f"HTTP/1.1 {status}\r\nX-Why: because\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    with Server(saying(word)) as server:
        error = refused(f"{server.url}/a")
    assert isinstance(error, HandshakeException)
    assert error.status == number
    assert error.headers["x-why"] == "because"
    assert error.body == body
    assert f"{server.url}/a" in str(error)
    assert f"{status}: no: {status}" in str(error)


@pytest.mark.parametrize(
    "word",
    [b"HTTP/1.1 403 Forbidden\r\n\r\n", b"HTTP/1.1 403\r\n\r\n", b"HTTP/1.0 403 No\r\nContent-Length: 0\r\n\r\n"],
)
def test_a_refused_handshake_may_have_no_body(word):
    with Server(saying(word)) as server:
        error = refused(server.url)
    assert isinstance(error, HandshakeException)
    assert (error.status, error.body) == (403, b"")


def test_the_body_of_a_refused_handshake_is_read_up_to_the_limit_of_the_handshake():
    limit = Options().max_handshake
    body = b"x" * (1 << 20)
    with Server(saying(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 1000000000000\r\n\r\n" + body)) as server:
        error = refused(server.url)
    assert isinstance(error, HandshakeException)
    assert error.status == 403
    assert 1000 < len(error.body) <= limit + 16384
    assert body.startswith(error.body)


@pytest.mark.parametrize("length", ["100", "many", "-1"])
def test_the_status_of_a_refused_handshake_is_told_where_the_body_is_cut_or_its_length_wrong(length):
    word = f"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: {length}\r\n\r\nno".encode()
    with Server(saying(word)) as server:
        error = refused(server.url)
    assert isinstance(error, HandshakeException)
    assert error.status == 401
    assert error.headers["www-authenticate"] == "Basic"
    assert b"no".startswith(error.body)


def test_the_status_of_a_refused_handshake_is_told_where_the_body_never_comes():
    def script(peer: Peer) -> None:
        peer.request()
        peer.respond("503 Service Unavailable", "Content-Length: 10")
        peer.wait()

    with Server(script) as server:
        error = refused(server.url, connect_timeout=SHORT)
    assert isinstance(error, HandshakeException)
    assert error.status == 503


# --- answers that are none


@pytest.mark.parametrize(
    "word",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"220 mail.test ESMTP\r\n",
        b"\r\n\r\n",
        b"\0\1\2\3\n\n",
        b"\xff\xfe\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nno header\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused(word):
    with Server(saying(word)) as server:
        error = refused(server.url)
    assert type(error) is ConnectionException
    assert server.url in str(error)
    assert error.__cause__ is not None


@pytest.mark.parametrize(
    "fields",
    [
        ["Connection: Upgrade", "Sec-WebSocket-Accept: {}"],
        ["Upgrade: h2c", "Connection: Upgrade", "Sec-WebSocket-Accept: {}"],
        ["Upgrade: websocket", "Sec-WebSocket-Accept: {}"],
        ["Upgrade: websocket", "Connection: close", "Sec-WebSocket-Accept: {}"],
        ["Upgrade: websocket", "Connection: Upgrade"],
        ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: dGhlIHNhbXBsZSBub25jZQ=="],
    ],
)
def test_an_answer_that_is_no_websocket_handshake_is_refused(fields):
    def script(peer: Peer) -> None:
        right = switching(peer.request().headers["sec-websocket-key"])[-1].partition(": ")[2]
        peer.respond("101 Switching Protocols", *(field.format(right) for field in fields))

    with Server(script) as server:
        error = refused(server.url)
    assert type(error) is ConnectionException
    assert server.url in str(error)
    assert "RFC 6455" in str(error)


def test_names_and_values_of_the_answer_may_be_in_any_case():
    def script(peer: Peer) -> None:
        accepted = switching(peer.request().headers["sec-websocket-key"])[-1].partition(": ")[2]
        fields = ("UPGRADE: WebSocket", "connection: keep-alive, UPGRADE", f"SEC-websocket-ACCEPT:{accepted}")
        peer.respond("101 whatever", *fields)
        peer.await_word()

    with Server(script) as server, connected(server.url) as connection:
        assert connection.headers["upgrade"] == "WebSocket"


@pytest.mark.parametrize(
    "word",
    [
        b"",
        b"\x15\x03\x01\0\2\2\x46",
        b"HTTP/1.1 101 Swit",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n",
    ],
)
def test_a_server_that_hangs_up_is_named(word):
    with Server(saying(word)) as server:
        error = refused(server.url)
    assert type(error) is ConnectionException
    assert f"{server.url} hung up" in str(error)
    assert ("wants wss://" in str(error)) is not word.startswith(b"HTTP")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 101 Swit"])
def test_a_server_that_resets_the_connection_is_named(answer):
    def script(peer: Peer) -> None:
        peer.request()
        peer.sock.sendall(answer)
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        peer.sock.close()

    with Server(script) as server:
        error = refused(server.url)
    assert type(error) is ConnectionException
    assert f"{server.url} hung up" in str(error)
    assert isinstance(error.__cause__, OSError)


@pytest.mark.parametrize("scheme", ["http", "socks5"])
@pytest.mark.parametrize("linger", [None, RESET], ids=["end", "reset"])
def test_a_proxy_that_hangs_up_is_not_taken_for_a_server_with_tls(scheme, linger):
    def script(peer: Peer) -> None:
        peer.await_word()
        if linger is not None:
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            peer.sock.close()

    with Server(script) as proxy:
        error = refused(f"ws://{LOOPBACK}:80/", proxy=proxy_url(proxy, scheme))
    assert f"proxy {proxy_url(proxy, scheme)}" in str(error)
    assert "wants wss://" not in str(error)


def test_a_server_that_answers_byte_by_byte_has_connect_timeout_in_all():
    def script(peer: Peer) -> None:
        peer.request()
        for byte in b"HTTP/1.1 101 Switching Protocols\r\nX-Endless: " + b"a" * 10_000:
            peer.sock.sendall(bytes([byte]))
            if not peer.wait(SHORT / 10):
                return

    with Server(script) as server:
        began = time.monotonic()
        error = refused(server.url, connect_timeout=SHORT)
        assert SHORT <= time.monotonic() - began < QUICK
    assert f"{server.url} did not answer within connect_timeout={SHORT} s" in str(error)


def test_a_server_that_never_answers_has_connect_timeout():
    with Server(lambda peer: (peer.request(), peer.wait())) as server:
        began = time.monotonic()
        error = refused(server.url, connect_timeout=SHORT)
        assert SHORT <= time.monotonic() - began < QUICK
    assert f"{server.url} did not answer within connect_timeout={SHORT} s" in str(error)


@pytest.mark.parametrize("stalls", ["server", "tls", "proxy"])
def test_redirects_have_connect_timeout_in_all(authority, stalls):
    timeout, delay = 0.8, 0.6

    def redirect(peer: Peer) -> None:
        peer.request()
        if peer.wait(delay):
            peer.respond("302 Found", f"Location: {'wss' if stalls == 'tls' else 'ws'}://{LOOPBACK}:{there.port}/b")

    tunnel = http_proxy()._script

    def tunnel_once(peer: Peer) -> None:
        tunnel(peer) if proxy.connections == 1 else peer.wait()

    with Server(lambda peer: peer.wait()) as there, Server(redirect) as server, Server(tunnel_once) as proxy:
        options = {"proxy": proxy_url(proxy)} if stalls == "proxy" else {"ssl": authority.file}
        began = time.monotonic()
        error = refused(server.url, connect_timeout=timeout, **options)
        assert time.monotonic() - began < timeout + delay - 0.1
    assert f"connect_timeout={timeout}" in str(error)


def test_a_proxy_and_tls_have_connect_timeout_in_all(authority):
    timeout, delay = 0.8, 0.6
    tunnel = http_proxy()._script

    def tunnel_late(peer: Peer) -> None:
        if peer.wait(delay):
            tunnel(peer)

    with Server(lambda peer: peer.wait()) as server, Server(tunnel_late) as proxy:
        url = server.url.replace("ws:", "wss:")
        began = time.monotonic()
        error = refused(url, connect_timeout=timeout, proxy=proxy_url(proxy), ssl=authority.file)
        assert time.monotonic() - began < timeout + delay - 0.1
    assert f"connect_timeout={timeout}" in str(error)


def test_a_tls_server_that_never_answers_has_connect_timeout(authority):
    with Server(lambda peer: peer.wait()) as server:
        error = refused(server.url.replace("ws:", "wss:"), ssl=authority.file, connect_timeout=SHORT)
    assert f"did not answer within connect_timeout={SHORT} s" in str(error)


def test_a_refused_connection_is_told():
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
    error = refused(f"ws://{LOOPBACK}:{port}/")
    assert f"no connection to ws://{LOOPBACK}:{port}/" in str(error)
    assert isinstance(error.__cause__, ConnectionRefusedError)


def test_an_unknown_host_is_named():
    error = refused("ws://nowhere.invalid/")
    assert "nowhere.invalid" in str(error)
    assert "could not be found" in str(error)


@pytest.mark.parametrize("limit", [1000, 1 << 16, 1 << 18])
def test_a_header_that_never_ends_is_refused_at_the_limit(limit):
    with Server(saying(b"HTTP/1.1 101 Switching Protocols\r\nX-Long: " + b"a" * (limit + 1000))) as server:
        error = refused(server.url, max_handshake=limit)
    assert type(error) is ConnectionException
    assert f"max_handshake={limit}" in str(error)


@pytest.mark.parametrize("limit", [1000, 1 << 16, 1 << 18])
def test_a_long_answer_under_the_limit_is_read(limit):
    long = "a" * (limit - 500)

    def script(peer: Peer) -> None:
        peer.accept(f"X-Long: {long}")
        peer.await_word()

    with Server(script) as server, connected(server.url, max_handshake=limit) as connection:
        assert connection.headers["x-long"] == long


# --- cookies of servers


@pytest.mark.parametrize("cookie", ["a@b=1; Domain=127.0.0.1", "a/b=1", "a[=1", 'a="1', "=;="])
def test_a_cookie_of_the_server_can_not_break_the_handshake(cookie):
    def script(peer: Peer) -> None:
        peer.accept(f"Set-Cookie: {cookie}", f"Set-Cookie: {cookie}")
        peer.await_word()

    with Server(script) as server, connected(server.url) as connection:
        assert cookie in connection.headers["set-cookie"]


@pytest.mark.parametrize("host", [LOOPBACK, "localhost"])
def test_a_cookie_that_a_server_sets_is_not_sent_by_another_connection(host, jar):
    def script(peer: Peer) -> None:
        peer.accept(f"Set-Cookie: session=secret; Domain={host}")
        peer.await_word()

    with Server(script) as server, Server(accept) as other:
        for url in (server.url, server.url, other.url):
            with connected(url.replace(LOOPBACK, host)):
                pass
        assert all("cookie" not in request.headers for request in (*server.requests, *other.requests))
    assert not jar


def test_a_cookie_that_a_refusing_or_redirecting_server_sets_is_not_sent_on():
    def refuse(peer: Peer, _: Any) -> None:
        peer.respond("403 Forbidden", f"Set-Cookie: a=1; Domain={LOOPBACK}")

    def redirect(peer: Peer, _: Any) -> None:
        peer.respond("302 Found", "Location: /b", f"Set-Cookie: a=1; Domain={LOOPBACK}")

    with Server(at_path(no=refuse, a=redirect)) as server:
        assert "a=1" in refused(f"{server.url}/no").headers["set-cookie"]
        with connected(f"{server.url}/a"):
            pass
        assert all("cookie" not in request.headers for request in server.requests)


@pytest.mark.parametrize("cookies", [{}, {"b": "2"}])
@pytest.mark.parametrize("protocols", [(), ("chat",)])
def test_a_cookie_that_other_code_of_the_process_was_given_is_not_sent(cookies, protocols):
    websocket._handshake.CookieJar.set(f"other=secret; Domain={LOOPBACK}")
    with Server(accept) as server:
        with connected(server.url, *protocols, cookies=cookies, headers={"X-A": "1"}):
            pass
        headers = server.requests[0].headers
    assert headers.get("cookie") == ("b=2" if cookies else None)
    assert headers["x-a"] == "1"
    assert headers.get("sec-websocket-protocol") == ("chat" if protocols else None)


# --- redirects


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_followed(status):
    with Server(at_path(a=to("/b", status))) as server, connected(f"{server.url}/a") as connection:
        assert [request.target for request in server.requests] == ["/a", "/b"]
        assert connection.url == f"{server.url}/b"


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("b", "/b"),
        ("/b?c=d", "/b?c=d"),
        ("?c=d", "/a?c=d"),
        ("./x/../b", "/b"),
        ("//127.0.0.1:{port}/b", "/b"),
        ("http://127.0.0.1:{port}/b", "/b"),
        ("ws://127.0.0.1:{port}/b", "/b"),
        ("HTTP://127.0.0.1:{port}/b#part", "/b"),
        ("http://127.0.0.1:{port}", "/"),
        ("/ü b", "/%C3%BC%20b"),
    ],
)
def test_a_location_may_be_relative_or_of_either_scheme(location, target):
    def redirect(peer: Peer, _: Any) -> None:
        peer.respond("302 Found", f"Location: {location.format(port=server.port)}")

    with Server(at_path(a=redirect)) as server, connected(f"{server.url}/a") as connection:
        assert server.requests[-1].target == target
        assert connection.url.startswith(server.url)


@pytest.mark.parametrize("scheme", ["https", "wss"])
def test_a_redirect_may_lead_to_tls(authority, scheme):
    with Server(accept, context=authority.server()) as there:
        with (
            Server(at_path(a=to(f"{scheme}://{LOOPBACK}:{there.port}/b"))) as server,
            connected(f"{server.url}/a", ssl=authority.file) as connection,
        ):
            assert connection.url == f"wss://{LOOPBACK}:{there.port}/b"
        assert there.requests[0].target == "/b"


def test_as_many_redirects_as_the_limit_are_followed():
    steps = {str(step): to(f"/{step + 1}") for step in range(MAX_REDIRECTS)}
    with Server(at_path(**steps)) as server, connected(f"{server.url}/0") as connection:
        assert connection.url == f"{server.url}/{MAX_REDIRECTS}"


@pytest.mark.parametrize("location", ["/a", ""])
def test_redirects_without_an_end_are_told(location):
    with Server(at_path(a=to(location))) as server:
        error = refused(f"{server.url}/a")
        assert len(server.requests) == MAX_REDIRECTS + 1
    assert f"{server.url}/a redirected more than {MAX_REDIRECTS} times" in str(error)


def test_a_redirect_without_a_location_is_told():
    with Server(saying(b"HTTP/1.1 302 Found\r\n\r\n")) as server:
        error = refused(f"{server.url}/a")
    assert f"{server.url}/a redirects without saying where to" in str(error)


@pytest.mark.parametrize(
    "location", ["ftp://host/b", "http://host:port/", "mailto:a@b.test", "http://[::1", "//[no]/", "//a:secret@b:port/"]
)
def test_a_location_that_can_not_work_is_told_and_is_not_the_endpoints_fault(location):
    with Server(at_path(a=to(location))) as server:
        error = refused(f"{server.url}/a")
    assert type(error) is ConnectionException
    assert f"{server.url}/a redirects to" in str(error)
    assert "can't work: " in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_a_redirect_that_gives_up_tls_is_not_followed(authority, scheme):
    with Server(accept) as there:
        location = f"{scheme}://{LOOPBACK}:{there.port}/b"
        with Server(at_path(a=to(location)), context=authority.server()) as server:
            error = refused(f"{server.url}/a", ssl=authority.file)
        assert not there.connections
    assert "gives up TLS" in str(error)


SECRETS: dict[str, Any] = {"headers": {"X-Api-Key": "secret"}, "cookies": {"a": "secret"}}


@pytest.mark.parametrize("host", [LOOPBACK, "localhost"])
def test_secrets_are_not_sent_to_where_another_server_redirects(host):
    with Server(accept) as there:
        with (
            Server(at_path(a=to(f"http://{host}:{there.port}/b"))) as server,
            connected(f"{server.url.replace('//', '//user:secret@')}/a", "chat", origin="https://o.test", **SECRETS),
        ):
            first = server.requests[0].headers
        second = there.requests[0].headers
    assert {"x-api-key", "cookie", "authorization"} <= first.keys()
    assert not {"x-api-key", "cookie", "authorization"} & second.keys()
    assert second["sec-websocket-protocol"] == "chat"
    assert second["origin"] == "https://o.test"
    assert second["user-agent"] == "rxsocket"


@pytest.mark.parametrize("location", ["/b", "http://127.0.0.1:{port}/b", "http://other:login@127.0.0.1:{port}/b"])
def test_secrets_are_sent_to_where_the_same_server_redirects(location):
    def redirect(peer: Peer, _: Any) -> None:
        peer.respond("302 Found", f"Location: {location.format(port=server.port)}")

    with Server(at_path(a=redirect)) as server:
        with connected(f"{server.url.replace('//', '//user:secret@')}/a", **SECRETS):
            pass
        first, second = (request.headers for request in server.requests)
    for name in ("x-api-key", "cookie", "authorization"):
        assert first[name] == second[name]


def test_secrets_are_not_sent_by_a_host_that_sends_back_to_the_first_one_without_them():
    def there_and_back(peer: Peer) -> None:
        peer.request()
        peer.respond("302 Found", f"Location: {server.url}/b")

    with Server(there_and_back) as there, Server(at_path(a=to(f"http://localhost:{there.port}/"))) as server:
        with connected(f"{server.url}/a", **SECRETS):
            pass
        assert "x-api-key" not in there.requests[0].headers
        assert server.requests[1].headers["x-api-key"] == "secret"


# --- TLS


@pytest.mark.parametrize("choice", ["path", "context"])
def test_a_certificate_is_verified_by_a_ca_file_or_a_context(authority, choice):
    chosen = authority.file if choice == "path" else ssl.create_default_context(cafile=authority.file)
    with Server(accept, context=authority.server()) as server, connected(f"{server.url}/a", ssl=chosen) as connection:
        assert connection.url == f"wss://{LOOPBACK}:{server.port}/a"


def test_a_ca_that_the_system_does_not_know_is_not_accepted(authority):
    with Server(accept, context=authority.server()) as server:
        error = refused(server.url)
        assert not server.requests
    assert isinstance(error, CertificateException)
    assert LOOPBACK in str(error)
    assert "unable to get local issuer certificate" in str(error)
    assert isinstance(error.__cause__, ssl.SSLCertVerificationError)


@pytest.mark.parametrize(
    ("host", "certificate", "check", "advice"),
    [
        (LOOPBACK, {"valid": timedelta(seconds=-1)}, "expired", "has to be renewed"),
        (LOOPBACK, {"hosts": ["127.0.0.2"]}, "IP address mismatch", "Connect by a name that it has"),
        ("localhost", {"hosts": ["other.test"]}, "Hostname mismatch", "Connect by a name that it has"),
        (LOOPBACK, {"self_signed": True}, "self-signed certificate", "pass ssl= the file of the authority"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_named_with_what_to_do(authority, host, certificate, check, advice):
    context = authority.server(*certificate.pop("hosts", [host]), **certificate)
    with Server(accept, context=context) as server:
        error = refused(server.url.replace(LOOPBACK, host), ssl=authority.file)
        assert not server.requests
    assert isinstance(error, CertificateException)
    assert check in str(error)
    assert host in str(error)
    assert advice in str(error)
    assert ("pass ssl=" in str(error)) is ("pass ssl=" in advice)
    assert ".." not in str(error)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_may_be_of_either_version(authority, version):
    context = authority.server()
    context.minimum_version = context.maximum_version = version
    with Server(accept, context=context) as server, connected(server.url, ssl=authority.file) as connection:
        assert connection._sock.version() == version.name.replace("_", ".")


def test_the_server_name_is_sent(authority):
    with (
        Server(accept, context=authority.server("localhost")) as server,
        connected(server.url.replace(LOOPBACK, "localhost"), ssl=authority.file),
    ):
        assert server.names == ["localhost"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_comes_with_a_context(authority, version):
    context = authority.server()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)
    context.minimum_version = context.maximum_version = version
    chosen = ssl.create_default_context(cafile=authority.file)
    chosen.load_cert_chain(authority.certificate("client.test"))
    with Server(accept, context=context) as server:
        with connected(server.url, ssl=chosen):
            pass
        error = refused(server.url, ssl=authority.file)
    assert type(error) is ConnectionException
    assert server.url in str(error)


def test_a_server_without_tls_is_told(authority):
    def script(peer: Peer) -> None:
        peer.await_word()
        peer.sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with Server(script) as server:
        url = server.url.replace("ws:", "wss:")
        error = refused(url, ssl=authority.file)
    assert type(error) is ConnectionException
    assert f"TLS with {url} failed" in str(error)


def test_a_server_with_tls_that_is_asked_without_is_told(authority):
    with Server(accept, context=authority.server()) as server:
        error = refused(server.url.replace("wss:", "ws:"))
    assert type(error) is ConnectionException
    assert str(server.port) in str(error)
    assert "A server with TLS wants wss://" in str(error)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_without_certificates_is_named(authority, tmp_path, content):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with Server(accept, context=authority.server()) as server:
        error = refused(server.url, ssl=str(file))
    assert type(error) is ConnectionException
    assert str(file) in str(error)
    assert "no file of CA certificates" in str(error)


def test_certificates_are_not_read_where_there_is_no_tls(tmp_path):
    with Server(accept) as server, connected(server.url, ssl=str(tmp_path / "missing.pem")):
        pass


def test_large_messages_go_both_ways_over_tls(authority):
    text = "ä€x" * ((8 << 20) // 6)
    blob = bytes(range(256)) * (8 << 12)
    received: list[str | bytes] = []
    both = threading.Event()

    def take(message: str | bytes) -> None:
        received.append(message)
        if len(received) == 2:
            both.set()

    with echo_server(authority.server()) as url, describe(url, ssl=authority.file).connect() as session:
        session.messages.data.subscribe(take)
        session.send(text)
        session.send(blob)
        assert both.wait(DEADLINE)
    assert received == [text, blob]


def test_the_needs_of_options_are_checked_where_they_count(tmp_path, monkeypatch):
    file = tmp_path / "ca.pem"
    with pytest.raises(EndpointException, match="no file of CA certificates"):
        check_needs(Options(ssl=str(file)), tls=True)
    check_needs(Options(ssl=str(file)), tls=False)
    monkeypatch.setattr(ssl, "create_default_context", None)  # reads the system's authorities
    check_needs(Options(), tls=True)
    for proxy in (None, "env", "http://host:3128", "socks5h://host:1080"):
        check_needs(Options(proxy=proxy), tls=True)
    monkeypatch.setattr("rxsocket.opening.find_spec", lambda _: None)
    check_needs(Options(proxy="http://host:3128"), tls=True)
    with pytest.raises(EndpointException, match="extra socks"):
        check_needs(Options(proxy="socks5h://host:1080"), tls=False)


# --- proxies


def proxy_url(server: Server, scheme: str = "http", login: str = "") -> str:
    return f"{scheme}://{login}{LOOPBACK}:{server.port}"


def test_an_http_proxy_is_asked_to_connect():
    with Server(accept) as server, http_proxy() as proxy, connected(server.url, proxy=proxy_url(proxy)):
        assert proxy.requests[0].target == f"{LOOPBACK}:{server.port}"
        assert "proxy-authorization" not in server.requests[0].headers


def test_an_http_proxy_is_given_user_and_password():
    with Server(accept) as server, http_proxy("us@er:p:ss word") as proxy:
        with connected(server.url, proxy=proxy_url(proxy, login="us%40er:p%3Ass%20word@")):
            pass
        assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize("login", ["", "user:wrong@"])
def test_an_http_proxy_that_refuses_is_named_with_its_status(login):
    with Server(accept) as server, http_proxy("user:secret") as proxy:
        error = refused(server.url, proxy=proxy_url(proxy, login=login))
        assert not server.connections
    assert type(error) is ConnectionException
    assert f"proxy {proxy_url(proxy)}" in str(error)
    assert "407" in str(error)
    assert "wrong" not in f"{error} {error.__cause__}"


def test_tls_goes_through_an_http_proxy(authority):
    context = authority.server("localhost")
    with Server(accept, context=context) as server, http_proxy() as proxy:
        url = server.url.replace(LOOPBACK, "localhost")
        with connected(url, proxy=proxy_url(proxy), ssl=authority.file):
            assert server.names == ["localhost"]
        assert proxy.requests[0].target == f"localhost:{server.port}"


def test_a_certificate_is_verified_behind_a_proxy(authority):
    with Server(accept, context=authority.server("other.test")) as server, http_proxy() as proxy:
        error = refused(server.url, proxy=proxy_url(proxy), ssl=authority.file)
    assert isinstance(error, CertificateException)


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_that_is_not_there_is_named(scheme):
    with socket.create_server((LOOPBACK, 0)) as gone:
        port = gone.getsockname()[1]
    error = refused(f"ws://{LOOPBACK}:80/", proxy=f"{scheme}://user:secret@{LOOPBACK}:{port}")
    assert type(error) is ConnectionException
    assert f"proxy {scheme}://{LOOPBACK}:{port}" in str(error)
    assert "secret" not in str(error)


def test_a_proxy_whose_name_is_unknown_is_named():
    error = refused(f"ws://{LOOPBACK}:80/", proxy="http://nowhere.invalid:3128")
    assert "nowhere.invalid" in str(error)
    assert "could not be found" in str(error)


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_that_never_answers_has_connect_timeout(scheme):
    with Server(lambda peer: peer.wait()) as proxy:
        error = refused(f"ws://{LOOPBACK}:80/", proxy=proxy_url(proxy, scheme), connect_timeout=SHORT)
    assert f"connect_timeout={SHORT} s" in str(error)
    assert f"proxy {proxy_url(proxy, scheme)}" in str(error)


def test_a_socks5_proxy_is_given_an_address():
    with Server(accept) as server, SocksServer(hosts={"::1": LOOPBACK}) as proxy:
        with connected(server.url.replace(LOOPBACK, "localhost"), proxy=proxy_url(proxy, "socks5")):
            pass
        assert proxy.asked in ([LOOPBACK], ["::1"])


def test_a_socks5h_proxy_looks_the_name_up():
    with Server(accept) as server, SocksServer(hosts={"feed.invalid": LOOPBACK}) as proxy:
        with connected(server.url.replace(LOOPBACK, "feed.invalid"), proxy=proxy_url(proxy, "socks5h")):
            pass
        assert proxy.asked == ["feed.invalid"]
        assert server.requests[0].headers["host"] == f"feed.invalid:{server.port}"


def test_a_socks_proxy_is_given_user_and_password():
    with Server(accept) as server, SocksServer(("us@er", "secret")) as proxy:
        with connected(server.url, proxy=proxy_url(proxy, "socks5", "us%40er:secret@")):
            pass
        error = refused(server.url, proxy=proxy_url(proxy, "socks5", "us%40er:wrong@"))
        assert server.connections == 1
    assert type(error) is ConnectionException
    assert f"proxy {proxy_url(proxy, 'socks5')}" in str(error)
    assert "wrong" not in str(error)


def test_tls_goes_through_a_socks_proxy(authority):
    context = authority.server("feed.invalid")
    with Server(accept, context=context) as server, SocksServer(hosts={"feed.invalid": LOOPBACK}) as proxy:
        url = server.url.replace(LOOPBACK, "feed.invalid")
        with connected(url, proxy=proxy_url(proxy, "socks5h"), ssl=authority.file):
            assert server.names == ["feed.invalid"]


def test_the_extra_that_a_socks_proxy_needs_is_named_where_it_is_missing():
    program = """
import sys
sys.modules["python_socks"] = None
from rxsocket.opening import Opening
from rxsocket.urls import check_url
from rxsocket.errors import EndpointException
from rxsocket.options import Options
for scheme in sys.argv[1:]:
    try:
        Opening(check_url("ws://127.0.0.1:80/"), (), Options(proxy=f"{scheme}://127.0.0.1:1")).run()
    except EndpointException as error:
        print(error)
"""
    command = [sys.executable, "-c", program, "socks4", "socks4a", "socks5", "socks5h"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=25)  # noqa: S603 our own
    assert done.stdout.count("pip install 'rxsocket[socks]'") == 4


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "https_proxy"])
def test_the_environments_proxy_is_not_asked_unless_told(monkeypatch, authority, variable):
    secure = variable == "https_proxy"
    with Server(accept, context=authority.server() if secure else None) as server, http_proxy() as proxy:
        monkeypatch.setenv(variable, proxy_url(proxy))
        with connected(server.url, ssl=authority.file):
            pass
        assert not proxy.connections
        with connected(server.url, ssl=authority.file, proxy="env"):
            pass
        assert proxy.requests[0].target == f"{LOOPBACK}:{server.port}"


@pytest.mark.parametrize("value", [LOOPBACK, "*", "other.test, 127.0.0.0/8"])
def test_the_environment_may_except_hosts(monkeypatch, value):
    with Server(accept) as server, http_proxy() as proxy:
        monkeypatch.setenv("http_proxy", proxy_url(proxy))
        monkeypatch.setenv("no_proxy", value)
        with connected(server.url, proxy="env"):
            pass
        assert not proxy.connections


def test_a_given_proxy_is_asked_whatever_the_environment_excepts(monkeypatch):
    with Server(accept) as server, http_proxy() as proxy:
        monkeypatch.setenv("http_proxy", f"http://{LOOPBACK}:1")
        monkeypatch.setenv("no_proxy", "*")
        with connected(server.url, proxy=proxy_url(proxy)):
            assert proxy.connections == 1


def test_the_environment_may_name_no_proxy():
    with Server(accept) as server, connected(server.url, proxy="env"):
        pass


# --- aborting


def aborted(attempt: Opening, reached: threading.Event) -> ConnectionException:
    """Run an attempt, and abort it when it has come so far."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(attempt.run)
        assert reached.wait(DEADLINE)
        began = time.monotonic()
        attempt.abort()
        error = future.exception(DEADLINE)
        assert time.monotonic() - began < QUICK
    assert isinstance(error, ConnectionException)
    return error


def test_an_attempt_is_aborted_while_the_server_does_not_answer():
    with Server(lambda peer: (peer.request(), peer.wait())) as server:
        aborted(opening(server.url), server.requested)


def test_an_attempt_is_aborted_while_the_server_answers():
    half = threading.Event()

    def script(peer: Peer) -> None:
        peer.request()
        peer.sock.sendall(b"HTTP/1.1 101 Switching Pro")
        half.set()
        peer.wait()

    with Server(script) as server:
        aborted(opening(server.url), half)


def test_an_attempt_is_aborted_during_a_tls_handshake(authority):
    hello = threading.Event()

    def script(peer: Peer) -> None:
        peer.await_word()
        hello.set()
        peer.wait()

    with Server(script) as server:
        aborted(opening(server.url.replace("ws:", "wss:"), ssl=authority.file), hello)


def test_an_attempt_is_aborted_before_it_began():
    with Server(lambda peer: peer.wait()) as server:
        attempt = opening(server.url)
        attempt.abort()
        with pytest.raises(ConnectionException, match="given up"):
            attempt.run()


def test_an_attempt_that_was_aborted_follows_no_redirect():
    def script(peer: Peer) -> None:
        peer.request()
        attempt.abort()
        peer.respond("302 Found", f"Location: {there.url}")

    with Server(accept) as there, Server(script) as server:
        attempt = opening(server.url)
        with pytest.raises(ConnectionException):
            attempt.run()
        assert not there.connections


def test_a_socket_that_is_there_only_after_the_abort_is_cut():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        attempt = opening("ws://host")
        attempt.abort()
        attempt.guard(ours)
        theirs.settimeout(DEADLINE)
        assert theirs.recv(1) == b""


@pytest.mark.parametrize("secure", [False, True])
def test_an_abort_after_the_end_of_the_attempt_cuts_the_connection(authority, secure):
    with Server(accept, context=authority.server() if secure else None) as server:
        attempt = opening(server.url, ssl=authority.file)
        with contextlib.closing(attempt.run()) as connection:
            attempt.abort()
            attempt.abort()
            assert_ended(connection)
        attempt.abort()
