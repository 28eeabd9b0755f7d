"""The server that the clients of the benchmarks talk to, in a process of its own: ``python -m benchmarks.server``.

It does as little as can be, so that it is faster than every client: threads that block on plain sockets, and frames
that are made before they are needed. What a connection is for stands in its URL:

- ``/flood``: sends messages as fast as they are taken, for ``seconds``, then closes.
- ``/echo``: sends ``in_flight`` messages; then, for each ``burst`` messages that come, gives the last of them back.
  After ``seconds``, if that is given, it closes.
- ``/sink``: takes what comes.

Everywhere ``size``, ``text`` and ``json`` say what the messages are, ``deflate=1`` that they are compressed, and
``pinned=1`` that the connection is served on the CPU that :func:`benchmarks.cpu.pinned` takes.

Its first line of output, in JSON, has its ports and the file of its certificate authority. After each connection comes
a line that says what its URL was, how many messages the client sent (``received``), and how many it was sent
(``sent``). It ends with its standard input.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import signal
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from .certificate import Authority
from .content import contents
from .cpu import pinned
from .wire import BINARY, CLOSE, TEXT, close_frame, deflated, frame, frame_size, runs, unmasked

HOST = "127.0.0.1"
BACKLOG = 4096
BLOCK = 1 << 17  # bytes that a flood sends in one call, at least
READ = 1 << 16  # more is slower: memory of that size is got from the system at each call
LONGEST_HEADER = 14
SEND_BUFFER = 1 << 18  # bytes; what is in it when a flood ends, a slow client still has to take
PATIENCE = 60  # seconds for a client to read or to end
WINDOW_BITS = 12  # the least that any client asks for
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


class Plan(NamedTuple):
    """What a connection is for."""

    path: str
    size: int
    text: bool
    json: bool
    deflate: bool
    seconds: float | None
    pinned: bool
    in_flight: int
    burst: int

    @classmethod
    def of(cls, target: str) -> Plan:
        """Read it from the target of a request."""
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query))
        flags = {name: query.get(name) == "1" for name in ("text", "json", "deflate", "pinned")}
        return cls(
            path=parts.path,
            size=int(query["size"]),
            seconds=float(query["seconds"]) if "seconds" in query else None,
            in_flight=int(query.get("in_flight", 0)),
            burst=int(query.get("burst", 1)),
            **flags,
        )

    def frames(self) -> tuple[bytes, ...]:
        """Return the messages, in frames."""
        return _frames(self.size, text=self.text, as_json=self.json, deflate=self.deflate)


@cache
def _frames(size: int, *, text: bool, as_json: bool, deflate: bool) -> tuple[bytes, ...]:
    payloads = contents(size, as_json=as_json)
    if deflate:
        payloads = deflated(payloads, WINDOW_BITS)
    return tuple(frame(TEXT if text else BINARY, payload, compressed=deflate) for payload in payloads)


class Handshake(NamedTuple):
    """A client's opening handshake."""

    target: str
    headers: dict[str, str]

    @classmethod
    def read(cls, sock: socket.socket) -> Handshake:
        """Read it. Clients say nothing more before they are answered."""
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            piece = sock.recv(READ)
            if not piece:
                raise ConnectionError("the client hung up in its handshake")
            data += piece
        first, *lines = data.decode().split("\r\n")
        fields = (line.split(":", 1) for line in lines if line)
        return cls(first.split(" ")[1], {name.lower(): value.strip() for name, value in fields})

    def answer(self, *, deflate: bool) -> bytes:
        """Return what to answer. Raises ConnectionError if compression is wanted, and not offered."""
        digest = hashlib.sha1((self.headers["sec-websocket-key"] + GUID).encode(), usedforsecurity=False).digest()
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}",
        ]
        if deflate:
            lines.append(f"Sec-WebSocket-Extensions: {self._extension()}")
        return "\r\n".join((*lines, "", "")).encode()

    def _extension(self) -> str:
        offer = self.headers.get("sec-websocket-extensions", "").split(",")[0]
        if "permessage-deflate" not in offer:
            raise ConnectionError("the client offers no compression, and its URL asks for it")
        # An echo gives back what the client compressed, so both windows have to be the same (RFC 7692, section 7.1.2).
        asked = re.search(r"server_max_window_bits=(\d+)", offer)
        answer = ["permessage-deflate"]
        if asked:
            answer.append(f"server_max_window_bits={asked[1]}")
            if "client_max_window_bits" in offer:
                answer.append(f"client_max_window_bits={asked[1]}")
        return "; ".join(answer)


class Conversation:
    """One connection, after its handshake."""

    def __init__(self, sock: socket.socket, plan: Plan) -> None:
        self._sock = sock
        self._plan = plan
        self._rest = b""  # a frame that is not complete
        self._buffer = bytearray(READ if plan.size > READ else 0)  # for what is only counted
        self._closing = False  # whether a close frame is sent
        self.sent = 0
        self.received = 0

    def run(self) -> None:
        """Do what it is for, until the client's close frame."""
        {"/flood": self._flood, "/echo": self._echo, "/sink": self._sink}[self._plan.path]()
        self._close()

    def _close(self) -> None:
        if not self._closing:
            self._closing = True
            self._sock.sendall(close_frame())

    def _flood(self) -> None:
        frames = self._plan.frames()
        times = -(-BLOCK // sum(map(len, frames)))
        block = b"".join(frames * times)
        end = time.perf_counter() + (self._plan.seconds or 0)
        while time.perf_counter() < end:
            self._sock.sendall(block)
            self.sent += len(frames) * times
        self._close()
        self._sink()

    def _echo(self) -> None:
        frames = self._plan.frames()
        in_flight, burst = self._plan.in_flight, self._plan.burst
        if in_flight:
            self._sock.sendall(b"".join((frames * (in_flight // len(frames) + 1))[:in_flight]))
        self.sent = in_flight
        end = math.inf if self._plan.seconds is None else time.perf_counter() + self._plan.seconds
        while True:
            data = self._read()
            position = 0
            answer: list[bytes] = []
            answering = time.perf_counter() < end
            for run in runs(data):
                if run.opcode == CLOSE:
                    return
                position = run.stop
                complete = (self.received + run.frames) // burst - self.received // burst
                self.received += run.frames
                if answering:
                    answer.append(unmasked(data, run, complete))
                    self.sent += complete
            self._rest = data[position:]
            if answering:
                self._sock.sendall(b"".join(answer))
            elif self.received == self.sent * burst:  # nothing of the client's is on its way any more
                self._close()
                self._sink()
                return

    def _read(self) -> bytes:
        piece = self._sock.recv(READ)
        if not piece:
            raise ConnectionError("the client hung up without a close frame")
        self._rest += piece
        return self._rest

    def _sink(self) -> None:
        """Count frames until the client's close frame, without collecting those that are large."""
        while True:
            position = 0
            for run in runs(self._rest):
                if run.opcode == CLOSE:
                    return
                self.received += run.frames
                position = run.stop
            self._rest = self._rest[position:]
            if len(self._rest) >= LONGEST_HEADER and (size := frame_size(self._rest, 0)[1]) > READ:
                self._skip(size - len(self._rest))
                self.received += 1
                self._rest = b""
            self._read()

    def _skip(self, missing: int) -> None:
        while missing:
            taken = self._sock.recv_into(self._buffer, min(missing, READ))
            if not taken:
                raise ConnectionError("the client hung up within a message")
            missing -= taken


class Server:
    """Listens on two ports, one of them with TLS, and has a thread for each connection."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._lines = threading.Lock()  # for the standard output
        self.ports: list[int] = []
        for context in (None, tls):
            listener = socket.create_server((HOST, 0), backlog=BACKLOG)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            self.ports.append(listener.getsockname()[1])
            threading.Thread(target=self._accept, args=(listener, context), daemon=True).start()

    def _accept(self, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=self._serve, args=(sock, context), daemon=True).start()

    def _serve(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Not settimeout(), with which Python asks the system before each call whether there is something.
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", PATIENCE, 0))
        target: str | None = None
        conversation: Conversation | None = None
        error: OSError | None = None
        try:
            if context is not None:
                sock = context.wrap_socket(sock, server_side=True)
            handshake = Handshake.read(sock)
            target = handshake.target
            plan = Plan.of(target)
            plan.frames()  # made before the clock starts
            sock.sendall(handshake.answer(deflate=plan.deflate))
            conversation = Conversation(sock, plan)
            with pinned() if plan.pinned else nullcontext():
                conversation.run()
        except OSError as raised:
            error = raised
        finally:
            sock.close()
        self.say(
            target=target,
            sent=conversation.sent if conversation else 0,
            received=conversation.received if conversation else 0,
            error=str(error) if error else None,
        )

    def say(self, **line: object) -> None:
        """Print a line of JSON."""
        with self._lines:
            print(json.dumps(line), flush=True)


def _leave(_number: int, _frame: object) -> None:
    sys.exit()


def main() -> None:
    """Serve until the standard input ends, or a SIGTERM comes."""
    signal.signal(signal.SIGTERM, _leave)  # so that the folder goes, too
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder))
        server = Server(authority.server(HOST))
        plain, tls = server.ports
        server.say(plain=f"ws://{HOST}:{plain}", tls=f"wss://{HOST}:{tls}", authority=authority.file)
        sys.stdin.read()


if __name__ == "__main__":
    main()
