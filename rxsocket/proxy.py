"""A TCP proxy of faults on loopback, for tests of what goes on when a network does not."""

from __future__ import annotations

import contextlib
import errno
import math
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Final, Self, TypeAlias
from urllib.parse import urlsplit, urlunsplit

from .checks import MAX_SECONDS, check_number
from .connection import reset as break_off
from .leftovers import note_open
from .passage import Direction, Passage

__all__ = ["Faults", "proxy"]

SECONDS: Final = 10.0  # for the proxy's thread to do what it is told
AGAIN_SECONDS: Final = 0.05  # before it tries again to accept, where no descriptor is left
UNDER_WAY: Final = {0, errno.EINPROGRESS, errno.EWOULDBLOCK}  # what connect_ex says where it has not failed

PORTS = {"ws": 80, "wss": 443}

_Address: TypeAlias = tuple[socket.AddressFamily, tuple[Any, ...]]


class _Command:
    """What the proxy's thread is told, or no more than asked to come around.

    Attributes:
        done: Is set when it is done.
        error: Why it could not be; written before that.
    """

    def __init__(self, action: Callable[[], None] | None) -> None:
        self.done = threading.Event()
        self.error: OSError | None = None
        self._action = action

    @property
    def is_told(self) -> bool:
        """Whether something may go on now, or not any more."""
        return self._action is not None

    def run(self) -> None:
        if self._action is not None:
            try:
                self._action()
            except OSError as error:  # of go_on, where no descriptor is left, say
                self.error = error


class Faults:
    """A TCP proxy to a server, as :func:`proxy` makes it: within a ``with`` block, once.

    It passes all on until it is told otherwise, at any moment, from any thread. What it is told holds when the call
    returns, for the connections that there are and for those to come. Upstream is to the server, downstream from it.
    After the block it still tells what there was at its end.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname:
            raise ValueError(f"a proxy leads to a URL of ws:// or wss://, not {url!r}")
        self._parts = parts
        self._host, self._server_port = parts.hostname, parts.port or PORTS[parts.scheme]
        self._thread: threading.Thread | None = None
        self._up, self._down = Direction(), Direction()  # written by the proxy's thread
        self._told = threading.Lock()  # so that nothing is told to a thread that has looked for the last time
        self._commands: deque[_Command] = deque()  # put under _told; taken by the proxy's thread
        self._stopping = False  # under _told
        self._is_over = True  # under _told: whether nobody looks for commands
        # From here on the proxy's thread alone, once that runs.
        self._passages: dict[Passage, Iterator[_Address]] = {}  # each with what it has not tried of the server's
        self._dues: dict[Passage, float] = {}  # of those that wait for a time
        self._accepts_again: float | None = None  # when, if it could not
        self._is_half_open = False  # also of the connections to come
        self._listener: socket.socket | None = None
        self._connections = 0

    def __repr__(self) -> str:
        return f"<Faults of {self._host}:{self._server_port}>"

    # --- what it tells

    @property
    def url(self) -> str:
        """The server's URL, with the proxy in its place, within the block."""
        if self._thread is None:
            raise RuntimeError("the proxy has its port within its block alone: with proxy(url) as faults")
        user, at, _ = self._parts.netloc.rpartition("@")
        return urlunsplit(self._parts._replace(netloc=f"{user}{at}127.0.0.1:{self._port}"))

    @property
    def connections(self) -> int:
        """How many connections it has accepted."""
        return self._counted(lambda: self._connections)

    @property
    def open_connections(self) -> int:
        """How many of them there are."""
        return self._counted(lambda: len(self._passages))

    @property
    def bytes_upstream(self) -> int:
        """How many bytes have gone to the server."""
        return self._counted(lambda: self._up.size)

    @property
    def bytes_downstream(self) -> int:
        """How many bytes have gone to the clients."""
        return self._counted(lambda: self._down.size)

    # --- what it is told

    def delay(self, seconds: float, *, upstream: bool = True, downstream: bool = True) -> None:
        """Let what comes from now on take a time on its way, until another is told, 0 for none.

        Args:
            seconds: How long.
            upstream: Whether to the server.
            downstream: Whether from it.
        """
        check_number("the delay, in seconds,", seconds, float, 0, MAX_SECONDS)

        def delay(direction: Direction) -> None:
            direction.delay = seconds

        self._tell_directions(delay, upstream=upstream, downstream=downstream)

    def stall(self, *, upstream: bool = True, downstream: bool = True) -> None:
        """Let nothing go on, until :meth:`go_on`. The connections stay, and who sends has to wait when all is full.

        Args:
            upstream: Whether to the server.
            downstream: Whether from it.
        """

        def stall(direction: Direction) -> None:
            direction.is_stalled = True

        self._tell_directions(stall, upstream=upstream, downstream=downstream)

    def half_open(self) -> None:
        """Swallow what comes from both sides, and that they end, as where the other side has vanished without a word.

        Only pings find that out: let the socket have short ones, such as ``ping_interval=0.1, ping_timeout=0.1``.
        Connections that come are accepted, and then treated like that, too, until :meth:`go_on`; those that were will
        never pass anything again.
        """

        def swallow() -> None:
            self._is_half_open = True
            for passage in self._passages:
                passage.swallow()

        self._tell(swallow)

    def cut(self) -> None:
        """End all connections, with a FIN to both sides. What is on its way is let go."""

        def cut() -> None:
            for passage in list(self._passages):
                if passage.is_connected:
                    passage.end()
                else:
                    self._close(passage)

        self._tell(cut)

    def reset(self) -> None:
        """Break all connections off, with a RST to both sides."""

        def reset() -> None:
            for passage in list(self._passages):
                self._close(passage, reset=True)

        self._tell(reset)

    def refuse(self) -> None:
        """Refuse new connections, as where no server listens, until :meth:`go_on`. Those that there are stay."""
        self._tell(self._stop_listening)

    def go_on(self) -> None:
        """Pass all on again: what was stalled, and new connections. A delay stays.

        Raises:
            OSError: The system has no descriptor left to listen by.
        """

        def go_on() -> None:
            self._up.is_stalled = self._down.is_stalled = self._is_half_open = False
            self._listen()

        self._tell(go_on)

    def _tell_directions(self, command: Callable[[Direction], None], *, upstream: bool, downstream: bool) -> None:
        def tell() -> None:
            for direction in [self._up] * upstream + [self._down] * downstream:
                command(direction)

        self._tell(tell)

    def _counted(self, count: Callable[[], int]) -> int:
        """Return a count, of what is done at this moment, too: what has arrived is counted."""
        with contextlib.suppress(RuntimeError):  # after the block it is as it was at its end
            self._have_done(_Command(None))
        return count()

    def _tell(self, action: Callable[[], None]) -> None:
        self._have_done(_Command(action))

    def _have_done(self, command: _Command) -> None:
        with self._told:
            if self._is_over:
                raise RuntimeError("the proxy is only there within its block: with proxy(url) as faults")
            self._commands.append(command)
            self._waker.send(b"\0")
        if not command.done.wait(SECONDS):
            raise RuntimeError(f"the proxy's thread did not answer within {SECONDS:g} s")
        if command.error is not None:
            raise command.error

    # --- its life

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise RuntimeError("a proxy serves one block; make another with proxy(url)")
        found = socket.getaddrinfo(self._host, self._server_port, type=socket.SOCK_STREAM)
        self._addresses: list[_Address] = [(family, address) for family, _, _, _, address in found]
        # It is bound and never listens: so the port stays taken while it refuses connections.
        self._placeholder = _bound(0)
        self._port: int = self._placeholder.getsockname()[1]
        self._waker, self._woken = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._listen()
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="rxsocket proxy of faults", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        note_open(self._port)
        with self._told:
            self._stopping = True
            if not self._is_over:
                self._waker.send(b"\0")
        if self._thread is not None:
            self._thread.join()
        self._waker.close()
        self._woken.close()

    # --- on its thread

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        finally:
            with self._told:
                self._is_over = True
            self._stop_listening()
            for passage in list(self._passages):
                self._close(passage)
            self._selector.close()
            self._placeholder.close()
            for command in self._commands:  # what is told at the end, there is nothing left to do it to
                command.done.set()

    def _turn(self) -> None:
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
        told = len(self._commands)
        for number in range(told):
            self._commands[number].run()
        if any(self._commands[number].is_told for number in range(told)):
            self._go_on(list(self._passages), now)
        for _ in range(told):
            self._commands.popleft().done.set()

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
            self._connections += 1
            client.settimeout(0)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            addresses = iter(self._addresses)
            server = _connecting(addresses)
            if server is None:
                break_off(client)
                continue
            passage = Passage(client, server, self._up, self._down)
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

    def _listen(self) -> None:
        if self._listener is None:
            self._listener = _bound(self._port)
            self._listener.settimeout(0)
            self._listener.listen()
            self._watch_listener()

    def _watch_listener(self) -> None:
        if self._listener is not None:
            self._selector.register(self._listener, selectors.EVENT_READ)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            if self._accepts_again is None:
                self._selector.unregister(self._listener)
            self._accepts_again = None
            self._listener.close()
            self._listener = None


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


def proxy(url: str) -> Faults:
    """Make a TCP proxy of faults to a server: a context manager, which gives what makes them.

    Args:
        url: The server's: ``ws://`` or ``wss://``. It passes bytes on, so TLS goes through it as it is; a certificate
            for ``127.0.0.1`` or ``localhost`` holds for the proxy, too.

    Raises:
        ValueError: It is another URL.

    Example:
        >>> with proxy("ws://127.0.0.1:8765/feed") as faults:
        ...     session = websocket(faults.url).connect()
        ...     faults.stall()
    """
    return Faults(url)
