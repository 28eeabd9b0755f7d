"""The relay of a proxy: how it waits, accepts, and finds its server."""

import contextlib
import errno
import socket
import sys
from collections.abc import Callable, Iterator

import pytest
from proxies import dialled, echoed

import rxsocket.relay
from rxsocket import websocket
from rxsocket.proxy import Faults, proxy


@pytest.fixture
def faults(server):
    with proxy(server.url) as faults:
        yield faults


@pytest.mark.parametrize("fault", [Faults.stall, Faults.half_open])
def test_the_proxy_is_idle_while_nothing_goes_on(faults: Faults, monkeypatch, fault: Callable[[Faults], None]):
    relay = faults._relay
    turns = []
    turn = relay.turn
    monkeypatch.setattr(relay, "turn", lambda: [turns.append(1), turn()])
    with websocket(faults.url, close_timeout=0.2).connect() as session:
        echoed(session, "here")
        fault(faults)
        session.send("into the void")
        faults.delay(0)
        before = len(turns)
        session.close()  # which takes its timeout, since no answer comes
        assert len(turns) - before <= 10


def test_it_looks_after_those_alone_that_have_something_to_do(faults: Faults, monkeypatch):
    relay = faults._relay
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(dialled(faults))
        session = stack.enter_context(websocket(faults.url).connect())
        echoed(session, "here")
        looked_after = set()
        write = relay._write
        monkeypatch.setattr(relay, "_write", lambda passage, now: [looked_after.add(passage), write(passage, now)])
        echoed(session, "again")
        assert len(looked_after) == 1


class Failing:
    """A listener that can't accept, some times, as where no descriptor is left."""

    def __init__(self, listener: socket.socket, times: int) -> None:
        self._listener = listener
        self._times = times

    def accept(self) -> tuple[socket.socket, object]:
        if self._times:
            self._times -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return self._listener.accept()

    def fileno(self) -> int:
        return self._listener.fileno()

    def close(self) -> None:
        self._listener.close()


@pytest.mark.parametrize("times", [2, sys.maxsize])
def test_while_nobody_can_be_accepted_it_tries_again_now_and_then(faults: Faults, monkeypatch, times: int):
    relay = faults._relay
    turns = []
    turn = relay.turn
    monkeypatch.setattr(relay, "turn", lambda: [turns.append(1), turn()])
    relay._listener = Failing(relay._listener, times)  # type: ignore[assignment, arg-type]
    with websocket(faults.url, connect_timeout=0.2).connect() as session:
        if times == 2:
            echoed(session, "here")
        else:
            assert "0.2 s" in session.closes.run().reason
            assert len(turns) < 200  # it does not spin
            faults.refuse()
            faults.go_on()
            with websocket(faults.url).connect() as other:
                echoed(other, "here")


def test_where_the_server_can_not_be_reached_by_any_address_the_connection_is_broken_off(faults: Faults):
    relay = faults._relay
    addresses, relay._addresses = relay._addresses, [(socket.AddressFamily.AF_INET, ("127.0.0.1", 0))]
    with pytest.raises(ConnectionResetError), dialled(faults) as sock:
        sock.recv(1)
    relay._addresses = [(12345, ("127.0.0.1", 0))]  # type: ignore[list-item]  # no family of this system
    with pytest.raises(ConnectionResetError), dialled(faults) as sock:
        sock.recv(1)
    relay._addresses = addresses
    with websocket(faults.url).connect() as session:
        echoed(session, "here")


def test_all_addresses_of_the_server_are_tried(server, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        dead = listener.getsockname()
    found = socket.getaddrinfo(*server.url.removeprefix("ws://").split(":"), type=socket.SOCK_STREAM)
    entry = found[0]
    several = [(*entry[:4], dead), (12345, *entry[1:]), (*entry[:4], dead), entry]
    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", lambda *_, **__: several)
        faults = proxy(server.url).__enter__()
    with faults_block(faults), websocket(faults.url).connect() as session:
        echoed(session, "here")


@contextlib.contextmanager
def faults_block(faults: Faults) -> Iterator[None]:
    yield
    faults.__exit__(None, None, None)


def test_that_it_can_not_listen_again_is_told_to_who_wants_it(faults: Faults, monkeypatch):
    def full(port: int) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    faults.refuse()
    with monkeypatch.context() as patched:
        patched.setattr(rxsocket.relay, "_bound", full)
        with pytest.raises(OSError, match="Too many open files"):
            faults.go_on()
    faults.go_on()
    with websocket(faults.url).connect() as session:
        echoed(session, "here")
