"""RFC 6455 from messages to bytes, without any I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from .deflate import Deflater
from .errors import CloseException
from .frames import (
    BINARY,
    CLOSE,
    COMPRESSED,
    CONTROL,
    FIN,
    MASKED,
    MAX_CONTROL_PAYLOAD,
    MAX_REASON,
    PING,
    PONG,
    TEXT,
    Close,
    Frame,
    Payload,
    is_sendable,
)
from .masking import LARGE, mask_in_place, masked_by, new_key

__all__ = [
    "content_of",
    "encode_close",
    "encode_content",
    "encode_contents",
    "encode_frame",
    "encode_message",
    "encode_ping",
    "encode_pong",
]


def encode_frame(
    opcode: int,
    payload: Payload,
    *,
    final: bool = True,
    compressed: bool = False,
    masked: bool = True,
) -> Frame:
    """Encode one frame (section 5.2).

    Args:
        opcode: One of section 11.8.
        payload: Any number of bytes, one-dimensional.
        final: Whether it is the last frame of its message.
        compressed: Whether it is the first frame of a message that is compressed (RFC 7692, section 6).
        masked: Whether it is masked, with a key from the system's random source: True for a client's (section 5.1).

    Raises:
        ValueError: It is a control frame with over 125 bytes of payload (section 5.5).
    """
    length = len(payload)
    if opcode & CONTROL and length > MAX_CONTROL_PAYLOAD:
        raise ValueError(f"a control frame has at most {MAX_CONTROL_PAYLOAD} bytes of payload, not {length}")
    first = (FIN if final else 0) | (COMPRESSED if compressed else 0) | opcode
    mask = MASKED if masked else 0
    if length <= 125:  # noqa: PLR2004 section 5.2
        header = bytes((first, mask | length))
    elif length < 0x10000:  # noqa: PLR2004
        header = bytes((first, mask | 126)) + length.to_bytes(2, "big")
    else:
        header = bytes((first, mask | 127)) + length.to_bytes(8, "big")
    if not masked:
        return header + payload
    key = new_key()
    if length < LARGE:
        return header + key + masked_by(key, payload)
    frame = bytearray(header + key)
    frame += payload
    mask_in_place(frame, len(header) + len(key), key)
    return frame


def content_of(message: object, encode: Callable[[Any], str | bytes] | None = None) -> tuple[int, Payload]:
    """Return opcode and payload of a message: text for a str, binary for anything that is bytes.

    Args:
        message: A str, bytes, bytearray or memoryview, or what encode makes one of.
        encode: A codec's.

    Raises:
        TypeError: The message is none of these, or encode raised.
        ValueError: The text has lone surrogates, so it can't be UTF-8.
    """
    if isinstance(message, str):
        return TEXT, message.encode()
    if isinstance(message, bytes | bytearray):
        return BINARY, message
    if isinstance(message, memoryview):
        # A view of no bytes, or with gaps, can't be cast.
        return BINARY, message.cast("B") if message.nbytes and message.c_contiguous else message.tobytes()
    kind = type(message).__name__
    if encode is None:
        raise TypeError(f"a message is a str, bytes, bytearray or memoryview, not {kind}: that needs a codec=")
    try:
        encoded = encode(message)
    except Exception as error:
        raise TypeError(f"the {kind} was not sent, since the codec failed: {error!r}") from error
    if not isinstance(encoded, str | bytes):
        raise TypeError(
            f"the {kind} was not sent, since the codec made {type(encoded).__name__} of it, not str or bytes"
        )
    return content_of(encoded)


def encode_content(
    opcode: int,
    payload: Payload,
    *,
    deflater: Deflater | None = None,
    masked: bool = True,
) -> Frame:
    """Encode a data message as one frame.

    Args:
        opcode: As :func:`content_of` returned it.
        payload: As :func:`content_of` returned it.
        deflater: Compresses messages, where that was agreed on: this one has to be sent before the next is encoded.
        masked: As for :func:`encode_frame`.
    """
    deflated = None if deflater is None else deflater.deflate(payload)
    if deflated is None:
        return encode_frame(opcode, payload, masked=masked)
    return encode_frame(opcode, deflated, compressed=True, masked=masked)


def encode_contents(contents: Sequence[tuple[int, bytes]]) -> list[Frame]:
    """Encode data messages as frames of a client, of which small ones in a row are one piece, masked all at once.

    Args:
        contents: Opcode and payload of each, as :func:`content_of` returned them; pings will do, too.
    """
    frames: list[Frame] = []
    parts: list[bytes] = []
    masks: list[bytes] = []
    for opcode, payload in contents:
        length = len(payload)
        if length > 125:  # noqa: PLR2004 section 5.2
            if parts:
                frames.append(_masked(parts, masks))
            frames.append(encode_content(opcode, payload))
        else:
            key = new_key()
            parts += (bytes((FIN | opcode, MASKED | length)), key, payload)
            masks += (UNMASKED, (key * 32)[:length])
    if parts:
        frames.append(_masked(parts, masks))
    return frames


UNMASKED: Final = bytes(6)  # a short header, and a key, which are not masked


def _masked(parts: list[bytes], masks: list[bytes]) -> bytes:
    """Return all parts masked as one number, and forget them."""
    data, mask = b"".join(parts), b"".join(masks)
    parts.clear()
    masks.clear()
    return (int.from_bytes(data, "little") ^ int.from_bytes(mask, "little")).to_bytes(len(data), "little")


def encode_message(message: str | bytes | bytearray | memoryview, *, masked: bool = True) -> Frame:
    """Encode a data message as one frame that is not compressed; see :func:`content_of`."""
    return encode_content(*content_of(message), masked=masked)


def encode_ping(payload: bytes, *, masked: bool = True) -> bytes:
    """Encode a ping of at most 125 bytes."""
    return bytes(encode_frame(PING, payload, masked=masked))


def encode_pong(payload: bytes, *, masked: bool = True) -> bytes:
    """Encode a pong, with the payload of the ping that it answers."""
    return bytes(encode_frame(PONG, payload, masked=masked))


def encode_close(close: Close | None, *, masked: bool = True) -> bytes:
    """Encode a close frame; None gives one without a status.

    Raises:
        CloseException: The code may not be sent (section 7.4), or the reason has over 123 bytes of UTF-8.
        TypeError: The code is no int, or the reason no str.
    """
    if close is None:
        return bytes(encode_frame(CLOSE, b"", masked=masked))
    code, reason = close
    if not isinstance(code, int) or not isinstance(reason, str):
        kinds = f"{type(code).__name__} and {type(reason).__name__}"
        raise TypeError(f"a close code is an int and a reason a str, not {kinds}: close(1000, reason='finished')")
    if not is_sendable(code):
        raise CloseException(f"the close code {code} may not be sent: use 1000, or 3000 to 4999 for your own")
    try:
        encoded = reason.encode()
    except UnicodeEncodeError as error:
        raise CloseException(f"the close reason {reason!r} can't be UTF-8") from error
    if len(encoded) > MAX_REASON:
        raise CloseException(f"the close reason has {len(encoded)} bytes of UTF-8, and {MAX_REASON} may be sent")
    return bytes(encode_frame(CLOSE, code.to_bytes(2, "big") + encoded, masked=masked))
