"""RFC 6455's frames: what they are made of, and what they carry."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from .errors import ProtocolException

__all__ = [
    "ABNORMAL_CLOSURE",
    "BINARY",
    "CLOSE",
    "COMPRESSED",
    "CONTINUATION",
    "CONTROL",
    "FIN",
    "GOING_AWAY",
    "INVALID_PAYLOAD",
    "MASKED",
    "MAX_CONTROL_PAYLOAD",
    "MAX_REASON",
    "MESSAGE_TOO_BIG",
    "NORMAL_CLOSURE",
    "NO_STATUS_RECEIVED",
    "PING",
    "PONG",
    "PROTOCOL_ERROR",
    "RESERVED",
    "TEXT",
    "Close",
    "Control",
    "Frame",
    "Message",
    "Payload",
    "Ping",
    "Pong",
    "is_sendable",
]

# Section 11.8: the opcodes.
CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

FIN: Final = 0x80
RESERVED: Final = 0x70
COMPRESSED: Final = 0x40  # RFC 7692, section 6: RSV1 of a message's first frame
MASKED: Final = 0x80
CONTROL: Final = 0x8  # section 5.5: the opcodes of control frames have this bit

MAX_CONTROL_PAYLOAD: Final = 125  # section 5.5
MAX_REASON: Final = MAX_CONTROL_PAYLOAD - 2

# Section 7.4.1.
NORMAL_CLOSURE: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
NO_STATUS_RECEIVED: Final = 1005
ABNORMAL_CLOSURE: Final = 1006
INVALID_PAYLOAD: Final = 1007
MESSAGE_TOO_BIG: Final = 1009

Payload: TypeAlias = bytes | bytearray | memoryview
"""The payload of a frame to send, one-dimensional, of bytes."""

Frame: TypeAlias = bytes | bytearray
"""A frame to send."""

Message: TypeAlias = str | bytes
"""A data message: a text, or what a binary message carried."""


class Ping(NamedTuple):
    """A ping (section 5.5.2), with at most 125 bytes of payload."""

    payload: bytes


class Pong(NamedTuple):
    """A pong (section 5.5.3), with the payload of the ping that it answers."""

    payload: bytes


class Close(NamedTuple):
    """A close frame (section 5.5.1). One without a status has the code 1005 (section 7.1.5)."""

    code: int = NO_STATUS_RECEIVED
    reason: str = ""


Control: TypeAlias = Ping | Pong | Close | ProtocolException
"""What a decoder finds between messages; a ProtocolException stands where the peer broke the protocol."""


def is_sendable(code: int) -> bool:
    """Tell whether an endpoint may send a close code (section 7.4; 1012 to 1014 are registered with IANA)."""
    return 3000 <= code < 5000 or (1000 <= code <= 1014 and code not in {1004, NO_STATUS_RECEIVED, ABNORMAL_CLOSURE})  # noqa: PLR2004 the ranges of section 7.4.2
