"""Every exception that rxsocket raises or reports.

::

    RxSocketException
    ├── ConnectionException      no connection could be made, or it was lost
    │   ├── EndpointException    the endpoint can never work as it is described
    │   ├── HandshakeException   the server answered with something else than 101
    │   └── CertificateException the server's certificate was not accepted
    ├── ProtocolException        the peer broke RFC 6455, or a limit
    ├── SendException            a message, or a ping, was not sent, or may have been lost
    ├── CloseException           a close code or reason that may not be sent
    ├── CassetteException        a recorded session can't be read, or not be written any more
    ├── DecodeException          a message is not the value that was expected
    ├── HoldException            messages that nobody had subscribed to, or that came in a pause, were let go
    ├── OverflowException        more items waited for a subscriber than may
    ├── ReplyException           no reply came to what was asked
    │   └── ReplyTimeoutException not in time
    ├── JsonRpcException         a JSON-RPC peer answered with an error
    ├── FunctionException        a function that was given raised, such as the matches of a topic
    └── SubscriberException      a subscriber raised

Beside :class:`~rxsocket.CloseEvent`, which it carries, stands another ``ConnectionException``:
:class:`~rxsocket.EndException`, of a session that ended, and not in good order.

``ConnectionException``, ``SendException`` and ``CloseException`` keep fritz2's names. A wrong type of an argument is a
plain ``TypeError``, a wrong value of an option a plain ``ValueError``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "CassetteException",
    "CertificateException",
    "CloseException",
    "ConnectionException",
    "DecodeException",
    "EndpointException",
    "FunctionException",
    "HandshakeException",
    "HoldException",
    "JsonRpcException",
    "OverflowException",
    "ProtocolException",
    "ReplyException",
    "ReplyTimeoutException",
    "RxSocketException",
    "SendException",
    "SubscriberException",
]


class RxSocketException(Exception):
    """The base of all of rxsocket's own exceptions. The first of their ``args`` is the message; they can be pickled."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class ConnectionException(RxSocketException):
    """No connection could be made, or it was lost; ``__cause__`` has the reason where there is one.

    So it is where the system has no descriptor, or no thread, left for a session, and where a session is to connect
    again that is closed.
    """


class EndpointException(ConnectionException):
    """The endpoint can never work as it is described, whatever the server does; the message says why.

    Its URL is another scheme's, a sub-protocol's name is no token, or its CA file is not there, say. What can be known
    is raised when the socket connects; what a function returns ends the session, whatever its policy is.
    """


class HandshakeException(ConnectionException):
    """The server answered the opening handshake with something else than 101 Switching Protocols.

    Attributes:
        status: The HTTP status, such as 403.
        headers: The response's headers, names in lower case.
        body: The start of the response's body, empty where it had none.
    """

    def __init__(self, message: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(message, status, headers, body)
        self.status = status
        self.headers = headers
        self.body = body


class CertificateException(ConnectionException):
    """The server's certificate was not accepted; the message names the check that failed."""


class ProtocolException(RxSocketException):
    """The peer broke RFC 6455, or exceeded a limit, so that the connection had to be failed (section 7.1.7).

    Attributes:
        code: The close code that was sent for it: 1002, 1007 or 1009.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message, code)
        self.code = code


class SendException(RxSocketException):
    """A message, or a ping, was not sent; ``__cause__`` has what ended the connection, if that is why.

    The session is closing or closed, or was prepared and not started; the connection was lost just now; there was none
    within ``send_timeout``, or at the moment where nothing may wait (``wait=False``, a ping, and on a session's own
    thread); or the peer did not read, so that what is on its way out left no room. A :class:`~rxsocket.Sync` reports a
    change that it could not send, and at its end a last one that was sent, but may not have reached the server.
    """


class CloseException(RxSocketException):
    """The close code or the reason given may not be sent (RFC 6455, sections 5.5 and 7.4)."""


class CassetteException(RxSocketException):
    """A file is no cassette that can be read, a line of it is damaged, or it can't be written any more.

    Attributes:
        path: The file's.
        line: The number of the line, from 1; of the last one that was written, where it can't be.
    """

    def __init__(self, message: str, path: str, line: int) -> None:
        super().__init__(message, path, line)
        self.path = path
        self.line = line


class DecodeException(RxSocketException):
    """A message is not the value that was expected; the text names the field at fault.

    Attributes:
        raw: The message as it came.
        path: Of the field at fault, such as ``"$.price"`` or ``"$.legs[1].price"``, where ``$`` is the whole; empty
            where it is no field's fault, or a codec other than msgspec's does not say.
    """

    def __init__(self, message: str, raw: str | bytes, path: str = "") -> None:
        super().__init__(message, raw, path)
        self.raw = raw
        self.path = path


class HoldException(RxSocketException):
    """Messages that arrived before anybody had subscribed, or in a pause, were let go, since too many had gathered.

    Attributes:
        messages: How many.
        size: Their size in bytes (for texts: in characters).
    """

    def __init__(self, message: str, messages: int, size: int) -> None:
        super().__init__(message, messages, size)
        self.messages = messages
        self.size = size


class OverflowException(RxSocketException):
    """More items came than may wait for who asked for an end then: ``buffered`` or ``iterate`` with ``"error"``.

    So it is where ``iterate`` would have its own loop wait for itself.

    Attributes:
        capacity: How many may wait.
    """

    def __init__(self, message: str, capacity: int) -> None:
        super().__init__(message, capacity)
        self.capacity = capacity


class ReplyException(RxSocketException):
    """No reply came to what was asked: the connection that it was sent on, or the session, ended before.

    ``__cause__`` has what ended it, if that was not asked for.
    """


class ReplyTimeoutException(ReplyException):
    """No reply came to what was asked in its time."""


class JsonRpcException(RxSocketException):
    """The peer answered a call with an error object (JSON-RPC 2.0, section 5.1); the first of ``args`` is its message.

    Attributes:
        code: Its code, such as -32601 for a method that the peer does not have.
        data: What else it has; None where it has nothing.
    """

    def __init__(self, message: str, code: int, data: Any = None) -> None:  # noqa: ANN401 whatever the peer sends
        super().__init__(message, code, data)
        self.code = code
        self.data = data

    def __str__(self) -> str:
        return f"{self.args[0]} ({self.code})" + ("" if self.data is None else f": {self.data}")


class FunctionException(RxSocketException):
    """A function that rxsocket was given raised; ``__cause__`` is what it raised.

    Attributes:
        function: Which, such as ``"matches of topic('ticks')"``.
    """

    def __init__(self, message: str, function: str) -> None:
        super().__init__(message, function)
        self.function = function


class SubscriberException(RxSocketException):
    """A subscriber raised; ``__cause__`` is what it raised.

    It stays subscribed if it was its own function that raised; an operator that raises ends what is behind it.

    Attributes:
        stream: The stream that it had subscribed to, such as ``"messages.body"``.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.stream = stream

    def __str__(self) -> str:
        return (
            f"a subscriber of {self.stream} raised, and nobody else is affected. If it was one of its operators that "
            f"raised, it has ended: subscribe again"
        )
