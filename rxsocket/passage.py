"""A connection through a proxy of faults, both ways, as far as the faults let it pass."""

from __future__ import annotations

import contextlib
import socket
import time
from collections import deque
from typing import Final

from .connection import READ_SIZE
from .connection import reset as break_off

__all__ = ["Direction", "Passage", "Way"]

MAX_WAITING: Final = 1 << 20  # bytes on their way in one direction, beyond which it reads no more


class Direction:
    """What goes one way, through all connections.

    Attributes:
        delay: Seconds that each piece takes.
        is_stalled: Whether nothing goes on.
        size: How many bytes have gone.
    """

    def __init__(self) -> None:
        self.delay = 0.0
        self.is_stalled = False
        self.size = 0


class Way:
    """One direction of one connection: reads of a socket, and writes to another, as far as they go.

    Args:
        source: Where it reads.
        target: Where it writes.
        direction: What holds for all connections.

    Attributes:
        is_swallowed: Whether what comes is let go, and the end of the source is not told.
        has_ended: Whether the source has.
    """

    def __init__(self, source: socket.socket, target: socket.socket, direction: Direction) -> None:
        self.source = source
        self.target = target
        self._direction = direction
        self._waiting: deque[tuple[float, memoryview]] = deque()  # with the time from which on each may go
        self._size = 0
        self._is_blocked = False  # the target took nothing more
        self.is_swallowed = False
        self.has_ended = False

    @property
    def reads(self) -> bool:
        """Whether it wants to read."""
        if self.has_ended:
            return False
        return self.is_swallowed or (not self._direction.is_stalled and self._size < MAX_WAITING)

    @property
    def writes(self) -> bool:
        """Whether it waits for the target to take more."""
        return self._is_blocked and not self._direction.is_stalled

    @property
    def due(self) -> float | None:
        """When the next piece may go, if it waits for that."""
        has_next = self._waiting and not self._is_blocked and not self._direction.is_stalled
        return self._waiting[0][0] if has_next else None

    def read(self) -> None:
        """Read what is there.

        Raises:
            OSError: The source has broken off.
        """
        try:
            data = self.source.recv(READ_SIZE)
        except BlockingIOError:
            return
        self.has_ended = not data
        if not self.is_swallowed:
            # An end is a piece of no bytes.
            self._waiting.append((time.monotonic() + self._direction.delay, memoryview(data)))
            self._size += len(data)

    def write(self, now: float) -> None:
        """Write what may go.

        Raises:
            OSError: The target has broken off.
        """
        self._is_blocked = False
        while self._waiting and self._waiting[0][0] <= now and not self._direction.is_stalled:
            due, piece = self._waiting[0]
            if not piece:
                self._waiting.popleft()
                self.target.shutdown(socket.SHUT_WR)
                continue
            try:
                taken = self.target.send(piece)
            except BlockingIOError:
                self._is_blocked = True
                return
            self._direction.size += taken
            self._size -= taken
            if taken == len(piece):
                self._waiting.popleft()
            else:
                self._waiting[0] = due, piece[taken:]

    def swallow(self) -> None:
        """Let go what is on its way, and what comes."""
        self.is_swallowed = True
        self._waiting.clear()
        self._size = 0
        self._is_blocked = False

    @property
    def is_done(self) -> bool:
        """Whether all went on that will."""
        return self.has_ended and not self._waiting


class Passage:
    """A connection of a client's, and that to the server that belongs to it.

    Args:
        client: The socket of the one.
        server: The socket of the other, which need not be connected yet.
        up: What goes from the client to the server.
        down: What goes from the server to the client.

    Attributes:
        sockets: Both.
        ways: Both directions, that to the server first.
        is_connected: Whether the server is.
    """

    def __init__(self, client: socket.socket, server: socket.socket, up: Direction, down: Direction) -> None:
        self.sockets = client, server
        self.is_connected = False
        self.ways = Way(client, server, up), Way(server, client, down)

    @property
    def is_done(self) -> bool:
        """Whether all went on that will."""
        return all(way.is_done for way in self.ways)

    @property
    def due(self) -> float | None:
        """When its next piece may go, if one waits for that."""
        dues = [due for way in self.ways if (due := way.due) is not None]
        return min(dues) if dues and self.is_connected else None

    def lead_to(self, server: socket.socket) -> None:
        """Lead to another address of the server's, since the one that was tried does not answer."""
        up, down = self.ways
        client, _ = self.sockets
        self.sockets = client, server
        up.target = down.source = server

    def swallow(self) -> None:
        """Let go what is on its way both ways, and what comes."""
        for way in self.ways:
            way.swallow()

    def end(self) -> None:
        """Send a FIN to both sides, and let go what is on its way, and what comes until they have ended, too."""
        self.swallow()
        for sock in self.sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_WR)

    def wishes(self) -> list[tuple[socket.socket, bool, bool]]:
        """Return for each socket whether it is to be waited for until it can be read, and until it can be written."""
        up, down = self.ways
        client, server = self.sockets
        # That it can be written to says that it is connected.
        connecting = not self.is_connected
        return [
            (client, up.reads, down.writes),
            (server, down.reads and not connecting, up.writes or connecting),
        ]

    def close(self, *, reset: bool = False) -> None:
        """Give the sockets back; with a RST, if told so."""
        for sock in self.sockets:
            break_off(sock) if reset else sock.close()
