"""A client of a scripted server, as the script has it, on the bare socket."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import math
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Final, Generic, NoReturn, cast

from msgspec import Struct, field

from .codec import Codec, MessageT, Sendable
from .connection import READ_SIZE, shut_down
from .connection import reset as break_off
from .decoding import Decoder
from .encoding import content_of, encode_close, encode_content, encode_ping, encode_pong
from .errors import ProtocolException
from .frames import NO_STATUS_RECEIVED, NORMAL_CLOSURE, Close, Control, Message, Ping
from .handshake import GUID, HEAD_END
from .waiting import Waiter

__all__ = ["LAST_SECONDS", "Block", "Client", "Refusal"]

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


class Client(Generic[MessageT]):
    """A client that has connected, as a script has it. For the script's thread alone.

    Pings of the client are answered while the script waits for something. Where its server has a codec it is a
    ``Client[T]`` of the codec's values; without one, of ``str | bytes``.

    Attributes:
        number: Which connection of its server it is, from 1.
        path: The path and the query that it asked for.
        headers: The headers of its opening handshake, names in lower case.
        protocols: The sub-protocols that it offered.
        protocol: The sub-protocol that was picked, or None.
    """

    def __init__(self, sock: socket.socket, block: Block, codec: Codec[MessageT] | None) -> None:
        sock.settimeout(0)
        self._sock = sock
        self._block = block
        self._codec = codec
        self._waiter = Waiter()
        self._decoder = Decoder(MAX_MESSAGE, masked=True)
        self._came: deque[Message | Control] = deque()
        self._received: Close | None = None
        self._is_accepted = False  # the opening handshake is done
        self._is_closing = False  # a close frame was sent
        self._ended: str | None = None  # how the client's stream has
        self._is_aborted = False  # written by the thread of the block
        self.number = 0
        self.path = ""
        self.headers: Mapping[str, str] = {}
        self.protocols: Sequence[str] = ()
        self.protocol: str | None = None

    def __repr__(self) -> str:
        return f"<Client {self.number} {self.path or 'before its opening handshake'}>"

    # --- what a script says

    def send(self, *messages: Sendable[MessageT]) -> None:
        """Send messages: a text for a str, a binary one for bytes, or what the codec makes of a value.

        What is sent to a client that is gone is let go.

        Raises:
            AssertionError: The client has read nothing for the server's timeout.
            TypeError: A message is of another type, and there is no codec, or it raised.
        """
        __tracebackhide__ = True
        encode = None if self._codec is None else self._codec.encode
        frames = [encode_content(*content_of(message, encode), masked=False) for message in messages]
        self.send_raw(b"".join(frames))

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are: half a frame, say, or a wrong one.

        Raises:
            AssertionError: As :meth:`send` raises it.
        """
        __tracebackhide__ = True
        rest = memoryview(data)
        if self._is_aborted:
            self._fail("the block is over")  # to a script that only sends nothing else would say so
        while rest:
            try:
                rest = rest[self._sock.send(rest) :]
            except BlockingIOError:
                seconds = self._block.patience
                if not self._wait(seconds, writing=True):
                    self._fail(f"the client has read nothing for {seconds:.3g} s")
            except OSError as error:
                self._ended = self._ended or f"the client is gone: {error}"
                return

    def ping(self, payload: bytes = b"") -> None:
        """Send a ping, whose pong is not told of.

        Raises:
            AssertionError: As :meth:`send` raises it.
        """
        self.send_raw(encode_ping(payload, masked=False))

    def close(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the connection: send a close frame, wait for the client's, and end. What comes before it is let go.

        Raises:
            AssertionError: The client does not answer within the server's timeout.
            CloseException: The code or the reason may not be sent.
        """
        __tracebackhide__ = True
        self._send_close(Close(code, reason))
        self._next(self._block.patience, "a close frame", lets_go=True)

    def cut(self) -> None:
        """End the connection with a FIN of TCP and no close frame, as the system does for a server that is killed."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)
        self._ended = "the script has cut the connection"

    def reset(self) -> None:
        """Break the connection off, with a RST of TCP and no close frame, as what stands between may do."""
        break_off(self._sock)
        self._ended = "the script has reset the connection"

    # --- what a script waits for

    def receive(self, timeout: float | None = None) -> MessageT:
        """Wait for the client's next message, and return it, or the value that the codec makes of it.

        Args:
            timeout: Seconds to wait at the most; None for the server's.

        Raises:
            AssertionError: None came in that time, or the client closed, or is gone; or what came does not decode.
        """
        __tracebackhide__ = True
        return self._value(self._receive("a message", timeout))

    def expect(self, *messages: Sendable[MessageT], timeout: float | None = None) -> None:
        """Wait for messages of the client, which must be these, in this order.

        Args:
            *messages: What must come next, a message or a value. Values are compared by what the codec decodes.
            timeout: Seconds to wait for each at the most; None for the server's.

        Raises:
            AssertionError: Something else came; or nothing, as :meth:`receive` raises it.
        """
        __tracebackhide__ = True
        for message in messages:
            received = self._receive(repr(message), timeout)
            is_as_it_is = isinstance(message, str | bytes | bytearray | memoryview)
            if message != (received if is_as_it_is else self._value(received)):
                self._fail(f"expected {message!r}, and the client sent {received!r}")

    def expect_close(self, code: int | None = None, *, timeout: float | None = None) -> Close:
        """Wait for the client's close frame, answer it, and return it.

        Args:
            code: The code that it must have; None for any.
            timeout: Seconds to wait at the most; None for the server's.

        Raises:
            AssertionError: A message came, or another code; or nothing, as :meth:`receive` raises it.
        """
        __tracebackhide__ = True
        message = self._next(timeout, "a close frame")
        if message is not None:
            self._fail(f"expected a close frame, and the client sent {message!r}")
        close = self._received
        if close is None or code not in {None, close.code}:
            self._fail(f"expected a close frame{'' if code is None else f' with {code}'}, and {self._end()}")
        return close

    def __iter__(self) -> Iterator[MessageT]:
        """Give one message, or value, after the other, until the client closes or is gone, or the block is over."""
        __tracebackhide__ = True
        while (message := self._next(None, "a message", forever=True)) is not None:
            yield self._value(message)

    @property
    def is_open(self) -> bool:
        """Whether the client is there: it has not closed, nor gone, and the block is not over. It does not wait."""
        for _ in range(READS):
            if self._ended is not None or not self._read():
                break
        closed = self._received is not None or any(isinstance(each, Close) for each in self._came)
        return not closed and self._ended is None and not self._block.stopping.is_set()

    def stall(self, seconds: float | None = None) -> None:
        """Read nothing and say nothing, as a server does that hangs.

        Args:
            seconds: For how long; None for all of the block.
        """
        self._block.stopping.wait(seconds)

    # --- what is behind that

    def _value(self, message: Message) -> MessageT:
        __tracebackhide__ = True
        if self._codec is None:
            return cast("MessageT", message)
        try:
            return self._codec.decode(message)
        except Exception as error:  # noqa: BLE001 a codec may raise anything
            self._fail(f"the client sent {message!r}, which does not decode: {error}")

    def _receive(self, what: str, timeout: float | None) -> Message:
        __tracebackhide__ = True
        message = self._next(timeout, what)
        if message is None:
            self._fail(f"expected {what}, and {self._end()}")
        return message

    def _next(
        self, timeout: float | None, what: str, *, forever: bool = False, lets_go: bool = False
    ) -> Message | None:
        """Return the next message; None once there will be no more.

        Args:
            timeout: Seconds to wait at the most; None for the server's.
            what: What is waited for, as a failure names it.
            forever: Whether it waits to the end of the block instead.
            lets_go: Whether messages are let go, since an end is what is waited for.
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
            if self._received is not None or self._ended is not None:
                return None
            if is_late:
                self._fail(f"expected {what}, and {'none' if lets_go else 'nothing'} came for {seconds:.3g} s")
            # What has come by now still counts.
            is_late = time.monotonic() >= deadline
            if self._read():
                continue
            if forever and self._block.stopping.is_set():
                return None
            self._wait(None if forever else max(0.0, deadline - time.monotonic()))
        return None

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
                self.send_raw(encode_pong(payload, masked=False))
            case Close():
                self._received = control
                self._send_close(control)
            case ProtocolException():
                self._ended = f"the client broke the protocol: {control}"
            case _:
                pass  # a pong

    def _send_close(self, close: Close) -> None:
        if not self._is_closing:
            self._is_closing = True
            frame = encode_close(None if close.code == NO_STATUS_RECEIVED else close, masked=False)
            self.send_raw(frame)

    def _end(self) -> str:
        if self._received is not None:
            return f"the client closed with {self._received.code} {self._received.reason}".rstrip()
        return self._ended or "the client is there"

    def _fail(self, problem: str) -> NoReturn:
        __tracebackhide__ = True
        raise AssertionError(f"connection {self.number}: {problem}")

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
        while (end := HEAD_END.search(data)) is None:
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
        lines = data[: end.start()].decode("latin-1").splitlines() or [""]
        match lines[0].split(" "):
            case ["GET", path, _]:
                self.path = path
            case _:
                self._refuse_request(HTTPStatus.BAD_REQUEST, repr(lines[0]))
        pairs = [line.partition(":") for line in lines[1:]]
        self.headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        offered = self.headers.get("sec-websocket-protocol", "")
        self.protocols = [name.strip() for name in offered.split(",") if name.strip()]
        self.protocol = next((name for name in protocols if name in self.protocols), None)
        key = self.headers.get("sec-websocket-key")
        if key is None:
            self._refuse_request(HTTPStatus.UPGRADE_REQUIRED, repr(lines[0]))
        self._feed(data[end.end() :])
        return key

    def _refuse_request(self, status: HTTPStatus, request: str) -> NoReturn:
        __tracebackhide__ = True
        self._respond(status, {"Upgrade": "websocket", "Connection": "close"}, b"")
        self._fail(f"{request} is no opening handshake")

    def accept(self, key: str, headers: Mapping[str, str]) -> None:
        """Answer the opening handshake (RFC 6455, section 4.2.2)."""
        digest = hashlib.sha1(key.encode() + GUID, usedforsecurity=False).digest()
        fields = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": base64.b64encode(digest).decode(),
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
        self.send_raw("\r\n".join((*lines, "", "")).encode("latin-1") + body)

    def finish(self, close: Close) -> None:
        """Close, if the script has not, and give the descriptors back."""
        with contextlib.closing(self._waiter):
            if self._sock.fileno() >= 0:
                with contextlib.suppress(AssertionError):  # what the script says of the client counts, not how it goes
                    if self._is_accepted:
                        self.close(close.code, close.reason)
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
