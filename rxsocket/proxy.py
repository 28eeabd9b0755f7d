"""A TCP proxy of faults on loopback, for tests of what goes on when a network does not."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit, urlunsplit

from .checks import MAX_SECONDS, check_number
from .leftovers import note_open
from .passage import Direction
from .relay import Relay

__all__ = ["Faults", "proxy"]

SECONDS: Final = 10.0  # for the proxy's thread to do what it is told

PORTS = {"ws": 80, "wss": 443}


class _Command:
    """What the proxy's thread is told, or no more than asked to come around.

    Attributes:
        done: Is set when it is done.
        error: Why it could not be; written before that.
    """

    def __init__(self, action: Callable[[Relay], None] | None) -> None:
        self.done = threading.Event()
        self.error: OSError | None = None
        self._action = action

    @property
    def is_told(self) -> bool:
        """Whether something may go on now, or not any more."""
        return self._action is not None

    def run(self, relay: Relay) -> None:
        """Do it."""
        if self._action is not None:
            try:
                self._action(relay)
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
        # Made by the thread of the block, before the proxy's own is there, which alone touches it from then on.
        self._relay: Relay | None = None
        self._told = threading.Lock()  # so that nothing is told to a thread that has looked for the last time
        self._commands: deque[_Command] = deque()  # put under _told; taken by the proxy's thread
        self._stopping = False  # under _told
        self._is_over = True  # under _told: whether nobody looks for commands

    def __repr__(self) -> str:
        return f"<Faults of {self._host}:{self._server_port}>"

    # --- what it tells

    @property
    def url(self) -> str:
        """The server's URL, with the proxy in its place, within the block."""
        if self._relay is None:
            raise RuntimeError("the proxy has its port within its block alone: with proxy(url) as faults")
        user, at, _ = self._parts.netloc.rpartition("@")
        return urlunsplit(self._parts._replace(netloc=f"{user}{at}127.0.0.1:{self._relay.port}"))

    @property
    def connections(self) -> int:
        """How many connections it has accepted."""
        return self._counted(lambda relay: relay.connections)

    @property
    def open_connections(self) -> int:
        """How many of them there are."""
        return self._counted(lambda relay: relay.open_connections)

    @property
    def bytes_upstream(self) -> int:
        """How many bytes have gone to the server."""
        return self._counted(lambda relay: relay.up.size)

    @property
    def bytes_downstream(self) -> int:
        """How many bytes have gone to the clients."""
        return self._counted(lambda relay: relay.down.size)

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
        self._tell(Relay.swallow)

    def cut(self) -> None:
        """End all connections, with a FIN to both sides. What is on its way is let go."""
        self._tell(Relay.cut)

    def reset(self) -> None:
        """Break all connections off, with a RST to both sides."""
        self._tell(Relay.reset)

    def refuse(self) -> None:
        """Refuse new connections, as where no server listens, until :meth:`go_on`. Those that there are stay."""
        self._tell(Relay.refuse)

    def go_on(self) -> None:
        """Pass all on again: what was stalled, and new connections. A delay stays.

        Raises:
            OSError: The system has no descriptor left to listen by.
        """
        self._tell(Relay.go_on)

    def _tell_directions(self, command: Callable[[Direction], None], *, upstream: bool, downstream: bool) -> None:
        def tell(relay: Relay) -> None:
            for direction in [relay.up] * upstream + [relay.down] * downstream:
                command(direction)

        self._tell(tell)

    def _counted(self, count: Callable[[Relay], int]) -> int:
        """Return a count, of what is done at this moment, too: what has arrived is counted."""
        with contextlib.suppress(RuntimeError):  # after the block it is as it was at its end
            self._have_done(_Command(None))
        return 0 if self._relay is None else count(self._relay)

    def _tell(self, action: Callable[[Relay], None]) -> None:
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
        if self._relay is not None:
            raise RuntimeError("a proxy serves one block; make another with proxy(url)")
        self._waker, self._woken = socket.socketpair()
        try:
            self._relay = relay = Relay(self._host, self._server_port, self._woken)
        except BaseException:
            self._waker.close()
            self._woken.close()
            raise
        self._is_over = False
        self._thread = threading.Thread(target=self._run, args=(relay,), name="rxsocket proxy of faults", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._relay is not None:
            note_open(self._relay.port)
        with self._told:
            self._stopping = True
            if not self._is_over:
                self._waker.send(b"\0")
        self._thread.join()
        self._waker.close()
        self._woken.close()

    # --- on its thread

    def _run(self, relay: Relay) -> None:
        try:
            while not self._stopping:
                relay.turn()
                self._do_commands(relay)
        finally:
            with self._told:
                self._is_over = True
            relay.close()
            for command in self._commands:  # what is told at the end, there is nothing left to do it to
                command.done.set()

    def _do_commands(self, relay: Relay) -> None:
        told = list(self._commands)
        for command in told:
            command.run(relay)
        if any(command.is_told for command in told):
            relay.pass_on()
        for command in told:
            self._commands.popleft()
            command.done.set()


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
