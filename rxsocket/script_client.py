"""A client of a scripted server, as the script has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, cast

from .codec import Codec, MessageT, Sendable
from .encoding import content_of, encode_content, encode_ping
from .frames import NORMAL_CLOSURE, Close, Message
from .served_connection import ServedConnection

__all__ = ["Client"]


class Client(Generic[MessageT]):
    """A client that has connected, as a script has it. For the script's thread alone.

    Pings of the client are answered while the script waits for something. Where its server has a codec it is a
    ``Client[T]`` of the codec's values; without one, of ``str | bytes``.

    Args:
        connection: The connection to it.
        codec: Takes values to messages and back; None for texts and bytes.
    """

    def __init__(self, connection: ServedConnection, codec: Codec[MessageT] | None) -> None:
        self._connection = connection
        self._codec = codec

    def __repr__(self) -> str:
        return f"<Client {self.number} {self.path}>"

    @property
    def number(self) -> int:
        """Which connection of its server it is, from 1."""
        return self._connection.number

    @property
    def path(self) -> str:
        """The path and the query that it asked for."""
        return self._connection.path

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of its opening handshake, names in lower case."""
        return self._connection.headers

    @property
    def protocols(self) -> Sequence[str]:
        """The sub-protocols that it offered."""
        return self._connection.protocols

    @property
    def protocol(self) -> str | None:
        """The sub-protocol that was picked, or None."""
        return self._connection.protocol

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
        self._connection.write(b"".join(frames))

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are: half a frame, say, or a wrong one.

        Raises:
            AssertionError: As :meth:`send` raises it.
        """
        __tracebackhide__ = True
        self._connection.write(data)

    def ping(self, payload: bytes = b"") -> None:
        """Send a ping, whose pong is not told of.

        Raises:
            AssertionError: As :meth:`send` raises it.
        """
        self._connection.write(encode_ping(payload, masked=False))

    def close(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the connection: send a close frame, wait for the client's, and end. What comes before it is let go.

        Raises:
            AssertionError: The client does not answer within the server's timeout.
            CloseException: The code or the reason may not be sent.
        """
        __tracebackhide__ = True
        self._connection.close(Close(code, reason))

    def cut(self) -> None:
        """End the connection with a FIN of TCP and no close frame, as the system does for a server that is killed."""
        self._connection.cut()

    def reset(self) -> None:
        """Break the connection off, with a RST of TCP and no close frame, as what stands between may do."""
        self._connection.reset()

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
                self._connection.fail(f"expected {message!r}, and the client sent {received!r}")

    def expect_close(self, code: int | None = None, *, timeout: float | None = None) -> Close:
        """Wait for the client's close frame, answer it, and return it.

        Args:
            code: The code that it must have; None for any.
            timeout: Seconds to wait at the most; None for the server's.

        Raises:
            AssertionError: A message came, or another code; or nothing, as :meth:`receive` raises it.
        """
        __tracebackhide__ = True
        message = self._connection.next(timeout, "a close frame")
        if message is not None:
            self._connection.fail(f"expected a close frame, and the client sent {message!r}")
        close = self._connection.received
        if close is None or code not in {None, close.code}:
            self._connection.fail(
                f"expected a close frame{'' if code is None else f' with {code}'}, and {self._connection.end}"
            )
        return close

    def __iter__(self) -> Iterator[MessageT]:
        """Give one message, or value, after the other, until the client closes or is gone, or the block is over."""
        __tracebackhide__ = True
        while (message := self._connection.next(None, "a message", forever=True)) is not None:
            yield self._value(message)

    @property
    def is_open(self) -> bool:
        """Whether the client is there: it has not closed, nor gone, and the block is not over. It does not wait."""
        return self._connection.is_open

    def stall(self, seconds: float | None = None) -> None:
        """Read nothing and say nothing, as a server does that hangs.

        Args:
            seconds: For how long; None for all of the block.
        """
        self._connection.stall(seconds)

    # --- what is behind that

    def _value(self, message: Message) -> MessageT:
        __tracebackhide__ = True
        if self._codec is None:
            return cast("MessageT", message)
        try:
            return self._codec.decode(message)
        except Exception as error:  # noqa: BLE001 a codec may raise anything
            self._connection.fail(f"the client sent {message!r}, which does not decode: {error}")

    def _receive(self, what: str, timeout: float | None) -> Message:
        __tracebackhide__ = True
        message = self._connection.next(timeout, what)
        if message is None:
            self._connection.fail(f"expected {what}, and {self._connection.end}")
        return message
