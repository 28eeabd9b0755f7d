"""An open connection: a socket that never blocks, read and written in large pieces."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from functools import cache
from typing import NamedTuple

from .deflate import Deflate
from .errors import ConnectionException

try:
    import fcntl
    import termios
except ImportError:  # on Windows, which has no TCP_INFO either
    pass

__all__ = ["READ_SIZE", "Acknowledgements", "Connection", "reset", "shut_down"]

READ_SIZE = 1 << 16
KEEP_SIZE = 1 << 22
WRITE_SIZE = 1 << 18


# Of Linux's struct tcp_info: retransmits, probes, last_ack_recv, bytes_acked.
_TCP_INFO = struct.Struct("=2xBB52xI60xQ")
_INT = struct.Struct("=i")
_NO_TIME = struct.pack("ii", 1, 0)  # of SO_LINGER: nothing is waited for at the end, so it is a RST


class Acknowledgements(NamedTuple):
    """What the peer's system has acknowledged of what was sent.

    Attributes:
        size: How many bytes.
        waiting: How many more this side's system was given.
        silence: For how many seconds it has acknowledged nothing.
        unanswered: How often this side's system has sent something since, or asked for room, and got no answer.
    """

    size: int
    waiting: int
    silence: float
    unanswered: int


class Connection:
    """An open connection: a socket that never blocks. One thread reads; writers take turns by a lock of theirs.

    Args:
        sock: A connected socket, at the first byte after the handshake.
        url: Where it leads, without user and password.
        protocol: The sub-protocol that the server picked, or None.
        headers: The headers of the server's answer, names in lower case.
        deflate: How messages may be compressed, or None where that was not agreed on.
        rest: What was read together with the server's answer, and comes before all that is received.

    Attributes:
        descriptor: The socket's, for waiting.
        inflater: Decompresses what the server sends; for who reads.
        deflater: Compresses what is sent; for who writes.
        broken: Why this side has cut it, if it has for a reason of its own. Written by who writes.
    """

    def __init__(
        self,
        sock: socket.socket,
        url: str,
        protocol: str | None,
        headers: dict[str, str],
        *,
        deflate: Deflate | None = None,
        rest: bytes = b"",
    ) -> None:
        sock.settimeout(0)
        self._sock = sock
        self.descriptor = sock.fileno()
        self.url = url
        self.protocol = protocol
        self.headers = headers
        self.rest = rest
        self.broken: ConnectionException | None = None
        self.inflater = None if deflate is None else deflate.inflater()
        self.deflater = None if deflate is None else deflate.deflater()
        # OpenSSL's state of one connection is not for two threads at once; a plain socket has no such state.
        self._tls = threading.Lock() if isinstance(sock, ssl.SSLSocket) else None

    def receive(self, size: int = READ_SIZE) -> bytes | None:
        """Read what is there: up to ``size`` bytes, none at the stream's end, or None where there is nothing yet.

        Raises:
            ConnectionException: The connection is lost.
        """
        try:
            if size > READ_SIZE:
                _keep_memory()
            if self._tls is None:
                return self._sock.recv(size)
            with self._tls:
                return self._sock.recv(size)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError as error:
            problem = f"the connection to {self.url} is lost: {error}"
            raise self.broken or ConnectionException(problem) from error

    def may_have_more(self, data: bytes, size: int) -> bool:
        """Whether more may be there than what :meth:`receive` just gave, which waiting would not tell."""
        return len(data) == size or self._tls is not None

    def send(self, data: bytes | bytearray | memoryview, taken: list[int]) -> None:
        """Write what the socket takes of some bytes, and append to a list how many that were, if any.

        In one step of the interpreter: a Ctrl-C that comes just then must not hide that they are gone. Over TLS the
        standard library hides it, so the connection is cut then, where a second try could double or tear a message.

        Raises:
            ConnectionException: The connection is lost.
        """
        if self.broken is not None:
            raise self.broken
        piece = data if len(data) <= WRITE_SIZE else memoryview(data)[:WRITE_SIZE]
        try:
            if self._tls is None:
                taken.extend(map(self._sock.send, (piece,)))
            else:
                with self._tls:
                    self._send_by_tls(piece, taken)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            if _is_of_a_handler(error):
                raise
            raise ConnectionException(f"the connection to {self.url} is lost: {error}") from error

    def _send_by_tls(self, piece: bytes | bytearray | memoryview, taken: list[int]) -> None:
        try:
            taken.append(self._sock.send(piece))
        except BaseException as error:
            if not isinstance(error, OSError) or _is_of_a_handler(error):
                problem = "was cut, since an interrupt came amid a TLS write, and left unknown what was sent"
                self.cut(ConnectionException(f"the connection to {self.url} {problem}"))
            raise

    def acknowledgements(self) -> Acknowledgements | None:
        """Return what the peer's system has acknowledged, where ours tells (Linux)."""
        # Not by TCP_USER_TIMEOUT, which also ends a connection whose peer answers, and only does not read.
        with contextlib.suppress(OSError, AttributeError, struct.error):
            info = self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
            retransmits, probes, last_ack_recv, bytes_acked = _TCP_INFO.unpack(info)
            # Where there are no such modules, there was no TCP_INFO.
            queue = fcntl.ioctl(self._sock, termios.TIOCOUTQ, bytes(_INT.size))  # pyright: ignore[reportPossiblyUnboundVariable]
            (waiting,) = _INT.unpack(queue)
            return Acknowledgements(bytes_acked, waiting, last_ack_recv / 1000, retransmits + probes)
        return None

    def cut(self, reason: ConnectionException) -> None:
        """Cut the connection, since nothing can be sent any more. By who writes."""
        self.broken = self.broken or reason
        self.abort()

    def abort(self) -> None:
        """Cut the connection, from any thread; who waits for it wakes."""
        shut_down(self._sock)

    def close(self) -> None:
        """Give the socket back to the system. On the thread that reads."""
        self._sock.close()


def _is_of_a_handler(error: OSError) -> bool:
    """Whether a signal's handler raised it, such as a TimeoutError: the system's own, and OpenSSL's, have a number."""
    return error.errno is None


@cache
def _keep_memory() -> None:
    """Let the C library keep what is freed, for the next message, where it would give it back to the system each time.

    glibc learns from the largest block that was freed how much to keep; this one is never touched, so it takes no
    memory. It makes large messages two to three times as fast, and is without effect elsewhere.
    """
    bytes(KEEP_SIZE)


def shut_down(sock: socket.socket) -> None:
    """Cut a connection from any thread; its descriptor stays until it is closed."""
    try:
        # Past SSLSocket's own method, which would forget the TLS state that another thread may be using.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        return  # not connected any more, which is what was wanted


def reset(sock: socket.socket) -> None:
    """Break a connection off, with a RST of TCP, and give its descriptor back."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_TIME)
    sock.close()
