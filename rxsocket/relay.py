"""A TCP relay between clients and a server, which has the faults that it is told. All of it on one thread."""

from __future__ import annotations

import contextlib
import errno
import math
import selectors
import socket
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

from .connection import reset as break_off
from .passage import Direction, Passage

__all__ = ["Relay"]

AGAIN_SECONDS: Final = 0.05  # before it tries again to accept, where no descriptor is left
UNDER_WAY: Final = {0, errno.EINPROGRESS, errno.EWOULDBLOCK}  # what connect_ex says where it has not failed

_Address: TypeAlias = tuple[socket.AddressFamily, tuple[Any, ...]]


class Relay:
    """Listens on loopback, and passes on what comes. For one thread, which calls :meth:`turn` again and again.

    Args:
        host: The server's.
        port: The server's.
        woken: Can be read when :meth:`turn` is to come back.

    Attributes:
        port: Where it listens. The port stays taken while it refuses connections.
        up: What goes to the server.
        down: What goes from it.
        connections: How many connections it has accepted.

    Raises:
        OSError: The host is not known, or no descriptor is left.
    """

    def __init__(self, host: str, port: int, woken: socket.socket) -> None:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        self._addresses: list[_Address] = [(family, address) for family, _, _, _, address in found]
        # It is bound and never listens.
        self._placeholder = _bound(0)
        self.port: int = self._placeholder.getsockname()[1]
        self.up, self.down = Direction(), Direction()
        self.connections = 0
        self._passages: dict[Passage, Iterator[_Address]] = {}  # each with what it has not tried of the server's
        self._dues: dict[Passage, float] = {}  # of those that wait for a time
        self._accepts_again: float | None = None  # when, if it could not
        self._is_half_open = False  # also of the connections to come
        self._listener: socket.socket | None = None
        self._woken = woken
        self._selector = selectors.DefaultSelector()
        self._selector.register(woken, selectors.EVENT_READ)
        self.listen()

    @property
    def open_connections(self) -> int:
        """How many connections there are."""
        return len(self._passages)

    # --- its faults

    def swallow(self) -> None:
        """Swallow what comes, also of connections to come, and that they end."""
        self._is_half_open = True
        for passage in self._passages:
            passage.swallow()

    def cut(self) -> None:
        """End all connections, with a FIN to both sides."""
        for passage in list(self._passages):
            if passage.is_connected:
                passage.end()
            else:
                self._close(passage)

    def reset(self) -> None:
        """Break all connections off, with a RST to both sides."""
        for passage in list(self._passages):
            self._close(passage, reset=True)

    def refuse(self) -> None:
        """Refuse new connections."""
        if self._listener is not None:
            if self._accepts_again is None:
                self._selector.unregister(self._listener)
            self._accepts_again = None
            self._listener.close()
            self._listener = None

    def go_on(self) -> None:
        """Pass all on, and accept new connections.

        Raises:
            OSError: No descriptor is left to listen by.
        """
        self.up.is_stalled = self.down.is_stalled = self._is_half_open = False
        self.listen()

    def listen(self) -> None:
        """Accept new connections."""
        if self._listener is None:
            self._listener = _bound(self.port)
            self._listener.settimeout(0)
            self._listener.listen()
            self._watch_listener()

    # --- what it does

    def turn(self) -> None:
        """Wait for something to do, or to be woken, and do it."""
        due = min(self._dues.values(), default=math.inf)
        due = due if self._accepts_again is None else min(due, self._accepts_again)
        timeout = None if due == math.inf else max(0.0, due - time.monotonic())
        touched: set[Passage] = set()
        for key, events in self._selector.select(timeout):
            if key.fileobj is self._woken:
                self._woken.recv(4096)
            elif key.data is not None:
                self._serve(key.data, key.fileobj, events)
                touched.add(key.data)
        now = time.monotonic()
        if self._accepts_again is not None and self._accepts_again <= now:
            self._accepts_again = None
            self._watch_listener()
        self._accept()  # also those that a command is to find
        self._go_on(touched.union(passage for passage, due in self._dues.items() if due <= now), now)

    def pass_on(self) -> None:
        """Pass on what may go on now."""
        self._go_on(list(self._passages), time.monotonic())

    def close(self) -> None:
        """End all connections, and give all descriptors back."""
        self.refuse()
        for passage in list(self._passages):
            self._close(passage)
        self._selector.close()
        self._placeholder.close()

    def _accept(self) -> None:
        while self._listener is not None and self._accepts_again is None:
            try:
                client, _ = self._listener.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # it has hung up meanwhile
            except OSError:
                # No descriptor is left: who waits stays there, and would wake this thread without end.
                self._accepts_again = time.monotonic() + AGAIN_SECONDS
                self._selector.unregister(self._listener)
                return
            self.connections += 1
            client.settimeout(0)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            addresses = iter(self._addresses)
            server = _connecting(addresses)
            if server is None:
                break_off(client)
                continue
            passage = Passage(client, server, self.up, self.down)
            self._passages[passage] = addresses
            if self._is_half_open:
                passage.swallow()
            self._go_on([passage], time.monotonic())

    def _serve(self, passage: Passage, sock: object, events: int) -> None:
        if passage not in self._passages:
            return
        if not passage.is_connected and sock is passage.sockets[1]:
            self._end_connecting(passage)
            return
        try:
            for way in passage.ways:
                if events & selectors.EVENT_READ and way.source is sock:
                    way.read()
        except OSError:
            self._broke(passage, sock)

    def _end_connecting(self, passage: Passage) -> None:
        """Note that the server is connected; where that has failed, try its next address, or break off."""
        _, tried = passage.sockets
        has_failed = tried.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
        server = _connecting(self._passages[passage]) if has_failed else None
        if server is not None:
            self._selector.unregister(tried)
            tried.close()
            passage.lead_to(server)
            return
        passage.is_connected = True  # or as much as it ever will be
        if has_failed:
            self._broke(passage, tried)

    def _broke(self, passage: Passage, sock: object) -> None:
        """Tell the one side that the other has broken off, unless nothing is told any more."""
        for way in passage.ways:
            if way.source is sock and way.is_swallowed:
                way.has_ended = True
                return
        self._close(passage, reset=True)

    def _go_on(self, passages: Iterable[Passage], now: float) -> None:
        for passage in passages:
            if passage in self._passages:
                self._write(passage, now)

    def _write(self, passage: Passage, now: float) -> None:
        """Write what may go on, close what is done, and wait for the rest."""
        for way in passage.ways:
            try:
                if passage.is_connected:
                    way.write(now)
            except OSError:
                self._close(passage, reset=True)
                return
        if passage.is_done:
            self._close(passage)
            return
        self._watch(passage)

    def _watch(self, passage: Passage) -> None:
        due = passage.due
        if due is None:
            self._dues.pop(passage, None)
        else:
            self._dues[passage] = due
        for sock, reading, writing in passage.wishes():
            events = (selectors.EVENT_READ if reading else 0) | (selectors.EVENT_WRITE if writing else 0)
            registered = self._selector.get_map().get(sock)
            if registered is None:
                if events:
                    self._selector.register(sock, events, passage)
            elif not events:
                self._selector.unregister(sock)
            elif events != registered.events:
                self._selector.modify(sock, events, passage)

    def _close(self, passage: Passage, *, reset: bool = False) -> None:
        self._passages.pop(passage, None)
        self._dues.pop(passage, None)
        for sock in passage.sockets:
            if sock in self._selector.get_map():
                self._selector.unregister(sock)
        passage.close(reset=reset)

    def _watch_listener(self) -> None:
        if self._listener is not None:
            self._selector.register(self._listener, selectors.EVENT_READ)


def _connecting(addresses: Iterator[_Address]) -> socket.socket | None:
    """Return a socket that connects to the next address that can be tried at all, if there is one."""
    for family, address in addresses:
        with contextlib.suppress(OSError):  # no descriptor is left, or this system does not have the family
            sock = socket.socket(family)
            sock.settimeout(0)
            if sock.connect_ex(address) in UNDER_WAY:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return sock
            sock.close()
    return None


def _bound(port: int) -> socket.socket:
    sock = socket.socket()
    if hasattr(socket, "SO_REUSEPORT"):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    return sock
