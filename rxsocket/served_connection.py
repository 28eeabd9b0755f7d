"""A connection of a scripted server, on the bare socket, from its opening handshake to its end."""

from __future__ import annotations

import contextlib
import math
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final, NoReturn

from msgspec import Struct, field

from .connection import READ_SIZE, shut_down
from .connection import reset as break_off
from .decoding import Decoder
from .encoding import encode_close, encode_pong
from .errors import ProtocolException
from .frames import NO_STATUS_RECEIVED, Close, Control, Message, Ping
from .handshake import HEAD_END, acceptance, parsed
from .waiting import Waiter

__all__ = ["LAST_SECONDS", "Block", "Refusal", "ServedConnection"]

MAX_MESSAGE: Final = 1 << 30  # bytes
MAX_HEAD: Final = 1 << 16  # bytes of an opening handshake
READS: Final = 16  # for a look at whether a client is there, which may send faster than it is read
LAST_SECONDS: Final = 1.0  # from the block's end on, for the ends of the connections
LEAST_SECONDS: Final = 0.1  # for the end of one whose script has come to its own later than that


class Refusal(Struct, frozen=True):
    """A script that refuses the opening handshake.

    Attributes:
        status: The HTTP status to answer with, such as 403.
        headers: The answer's headers.
        body: The answer's body.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""


class Block:
    """The ``with`` block that a server is for.

    Args:
        timeout: For how many seconds a script waits for something at the most.

    Attributes:
        stopping: Is set when the block is over.
        is_cut: Whether it has raised, so that it does not count what its scripts raise. Written by the thread of the
            block, before ``stopping`` is set.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.stopping = threading.Event()
        self.is_cut = False
        self._last = math.inf  # until when the connections may take to end; written as is_cut is

    def stop(self, *, at_once: bool) -> None:
        """Say that the block is over. On its thread.

        Args:
            at_once: Whether it has raised.
        """
        self.is_cut = at_once
        self._last = time.monotonic() + LAST_SECONDS
        self.stopping.set()

    @property
    def is_over(self) -> bool:
        """Whether the block is, and the time in which its connections end."""
        return time.monotonic() >= self._last

    @property
    def patience(self) -> float:
        """For how many seconds the end of a connection is waited for: all of them together, once the block is over."""
        return min(self.timeout, max(LEAST_SECONDS, self._last - time.monotonic()))


class ServedConnection:
    """A connection to a client. For the thread of its script alone, but for what says otherwise.

    Args:
        sock: The client's socket.
        block: The block that its server is for.

    Attributes:
        number: Which connection of its server it is, from 1; 0 before the opening handshake.
        path: The path and the query that the client asked for.
        headers: The headers of its opening handshake, names in lower case.
        protocols: The sub-protocols that it offered.
        protocol: The sub-protocol that was picked, or None.
        received: The client's close frame, once it was taken.
    """

    def __init__(self, sock: socket.socket, block: Block) -> None:
        sock.settimeout(0)
        self._sock = sock
        self._block = block
        self._waiter = Waiter()
        self._decoder = Decoder(MAX_MESSAGE, masked=True)
        self._came: deque[Message | Control] = deque()
        self._is_accepted = False  # the opening handshake is done
        self._is_closing = False  # a close frame was sent
        self._ended: str | None = None  # how the client's stream has
        self._is_aborted = False  # written by the thread of the block
        self.number = 0
        self.path = ""
        self.headers: Mapping[str, str] = {}
        self.protocols: Sequence[str] = ()
        self.protocol: str | None = None
        self.received: Close | None = None

    def write(self, data: bytes) -> None:
        """Send bytes as they are; to a client that is gone they are let go.

        Raises:
            AssertionError: The client has read nothing for the server's timeout.
        """
        __tracebackhide__ = True
        rest = memoryview(data)
        if self._is_aborted:
            self.fail("the block is over")  # to a script that only sends nothing else would say so
        while rest:
            try:
                rest = rest[self._sock.send(rest) :]
            except BlockingIOError:
                seconds = self._block.patience
                if not self._wait(seconds, writing=True):
                    self.fail(f"the client has read nothing for {seconds:.3g} s")
            except OSError as error:
                self._ended = self._ended or f"the client is gone: {error}"
                return

    def close(self, close: Close) -> None:
        """Close the connection: send a close frame, wait for the client's, and end. What comes before it is let go.

        Raises:
            AssertionError: The client does not answer within the server's timeout.
            CloseException: The code or the reason may not be sent.
        """
        __tracebackhide__ = True
        self._send_close(close)
        self.next(self._block.patience, "a close frame", lets_go=True)

    def cut(self) -> None:
        """End the connection with a FIN of TCP and no close frame, as the system does for a server that is killed."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)
        self._ended = "the script has cut the connection"

    def reset(self) -> None:
        """Break the connection off, with a RST of TCP and no close frame, as what stands between may do."""
        break_off(self._sock)
        self._ended = "the script has reset the connection"

    def next(self, timeout: float | None, what: str, *, forever: bool = False, lets_go: bool = False) -> Message | None:
        """Return the next message; None once there will be no more. Pings are answered meanwhile.

        Args:
            timeout: Seconds to wait at the most; None for the server's.
            what: What is waited for, as a failure names it.
            forever: Whether it waits to the end of the block instead.
            lets_go: Whether messages are let go, since an end is what is waited for.

        Raises:
            AssertionError: Nothing came in that time.
        """
        __tracebackhide__ = True
        seconds = self._block.timeout if timeout is None else timeout
        deadline = math.inf if forever else time.monotonic() + seconds
        is_late = False
        while not (forever and self._block.is_over):  # who sends on is heard no more then
            while self._came:
                arrival = self._came.popleft()
                if not isinstance(arrival, str | bytes):
                    self._take(arrival)
                elif not lets_go:
                    return arrival
            if self.received is not None or self._ended is not None:
                return None
            if is_late:
                self.fail(f"expected {what}, and {'none' if lets_go else 'nothing'} came for {seconds:.3g} s")
            # What has come by now still counts.
            is_late = time.monotonic() >= deadline
            if self._read():
                continue
            if forever and self._block.stopping.is_set():
                return None
            self._wait(None if forever else max(0.0, deadline - time.monotonic()))
        return None

    @property
    def is_open(self) -> bool:
        """Whether the client is there: it has not closed, nor gone, and the block is not over. It does not wait."""
        for _ in range(READS):
            if self._ended is not None or not self._read():
                break
        closed = self.received is not None or any(isinstance(each, Close) for each in self._came)
        return not closed and self._ended is None and not self._block.stopping.is_set()

    def stall(self, seconds: float | None) -> None:
        """Read nothing and say nothing for so long; None for all of the block."""
        self._block.stopping.wait(seconds)

    @property
    def end(self) -> str:
        """How it has come to its end, in words."""
        if self.received is not None:
            return f"the client closed with {self.received.code} {self.received.reason}".rstrip()
        return self._ended or "the client is there"

    def fail(self, problem: str) -> NoReturn:
        """Raise an AssertionError that tells of a problem with this connection."""
        __tracebackhide__ = True
        raise AssertionError(f"connection {self.number}: {problem}")

    # --- what is behind that

    def _wait(self, timeout: float | None, *, writing: bool = False) -> bool:
        """Wait for the client, or for the end of the block, or some seconds; return whether it was not the time."""
        return self._waiter.wait(self._sock.fileno(), reading=not writing, writing=writing, timeout=timeout)

    def _read(self) -> bool:
        """Read what is there; return whether something was."""
        try:
            data = self._sock.recv(READ_SIZE)
        except BlockingIOError:
            return False
        except OSError as error:
            self._ended = f"the client is gone: {error}"
            return True
        if not data:
            self._ended = "the client ended the connection without a close frame"
            return True
        self._feed(data)
        return True

    def _feed(self, data: bytes) -> None:
        messages, controls = self._decoder.feed(data)
        begin = 0
        for control, position in zip(controls, self._decoder.positions, strict=True):
            self._came += [*messages[begin:position], control]
            begin = position
        self._came += messages[begin:]

    def _take(self, control: Control) -> None:
        match control:
            case Ping(payload):
                self.write(encode_pong(payload, masked=False))
            case Close():
                self.received = control
                self._send_close(control)
            case ProtocolException():
                self._ended = f"the client broke the protocol: {control}"
            case _:
                pass  # a pong

    def _send_close(self, close: Close) -> None:
        if not self._is_closing:
            self._is_closing = True
            frame = encode_close(None if close.code == NO_STATUS_RECEIVED else close, masked=False)
            self.write(frame)

    # --- for the server

    def wake(self) -> None:
        """End what it waits in, to look whether the block is over. From any thread."""
        self._waiter.wake()

    def abort(self) -> None:
        """Cut the connection, and let the script do nothing more with it. On the thread of the block."""
        self._is_aborted = True
        shut_down(self._sock)

    def upgrade(self, protocols: Sequence[str]) -> str | None:
        """Read the opening handshake's request; return the key to answer, or None where the client has hung up.

        Raises:
            AssertionError: It is none.
        """
        data = b""
        deadline = time.monotonic() + self._block.timeout
        while HEAD_END.search(data) is None:
            if len(data) > MAX_HEAD:
                self._refuse_request(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"{data[:20]!r}...")
            remaining = deadline - time.monotonic()
            if remaining <= 0 or self._block.is_over:
                return None
            try:
                piece = self._sock.recv(READ_SIZE)
            except BlockingIOError:
                if self._block.stopping.is_set():
                    return None
                self._wait(remaining)
                continue
            except OSError:
                return None
            if not piece:
                return None
            data += piece
        line, self.headers, rest = parsed(data)
        match line.split(" "):
            case ["GET", path, _]:
                self.path = path
            case _:
                self._refuse_request(HTTPStatus.BAD_REQUEST, repr(line))
        offered = self.headers.get("sec-websocket-protocol", "")
        self.protocols = [name.strip() for name in offered.split(",") if name.strip()]
        self.protocol = next((name for name in protocols if name in self.protocols), None)
        key = self.headers.get("sec-websocket-key")
        if key is None:
            self._refuse_request(HTTPStatus.UPGRADE_REQUIRED, repr(line))
        self._feed(rest)
        return key

    def _refuse_request(self, status: HTTPStatus, request: str) -> NoReturn:
        __tracebackhide__ = True
        self._respond(status, {"Upgrade": "websocket", "Connection": "close"}, b"")
        self.fail(f"{request} is no opening handshake")

    def accept(self, key: str, headers: Mapping[str, str]) -> None:
        """Answer the opening handshake (RFC 6455, section 4.2.2)."""
        fields = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": acceptance(key.encode()),
            **({} if self.protocol is None else {"Sec-WebSocket-Protocol": self.protocol}),
            **headers,
        }
        self._respond(HTTPStatus.SWITCHING_PROTOCOLS, fields, b"")
        self._is_accepted = True

    def refuse(self, refusal: Refusal) -> None:
        """Answer the opening handshake with another status."""
        fields = {**refusal.headers, "Content-Length": str(len(refusal.body)), "Connection": "close"}
        self._respond(refusal.status, fields, refusal.body)

    def _respond(self, status: int, fields: Mapping[str, str], body: bytes) -> None:
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = "Refused"
        lines = [f"HTTP/1.1 {int(status)} {phrase}", *(f"{name}: {value}" for name, value in fields.items())]
        self.write("\r\n".join((*lines, "", "")).encode("latin-1") + body)

    def finish(self, close: Close) -> None:
        """Close, if the script has not, and give the descriptors back."""
        with contextlib.closing(self._waiter):
            if self._sock.fileno() >= 0:
                with contextlib.suppress(AssertionError):  # what the script says of the client counts, not how it goes
                    if self._is_accepted:
                        self.close(close)
                self.hang_up()

    def hang_up(self) -> None:
        """End this side's stream, and wait for the client to end its own: unread bytes would make it a reset."""
        with contextlib.suppress(OSError), self._sock:
            self._sock.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + self._block.patience
            while (remaining := min(deadline - time.monotonic(), self._block.patience)) > 0:
                try:
                    if not self._sock.recv(READ_SIZE):
                        break
                except BlockingIOError:
                    self._wait(remaining)
