"""RFC 7692's permessage-deflate, without any I/O: what is offered and agreed on, and the content of messages.

An :class:`Inflater` and a :class:`Deflater` are for one direction of one connection each.
"""

from __future__ import annotations

import re
import zlib
from typing import Final, Protocol

from msgspec import Struct, structs

from .checks import check_number

__all__ = ["Deflate", "Deflater", "Inflater"]

NAME: Final = "permessage-deflate"

# What the end of a message leaves out (section 7.2.1), since Z_SYNC_FLUSH always ends with it.
TAIL: Final = b"\x00\x00\xff\xff"

SLICE: Final = 1 << 15  # bytes to decompress at a time

MIN_BITS: Final = 8  # section 7.1.2
MAX_BITS: Final = 15


class Deflate(Struct, frozen=True, kw_only=True):
    """How messages are compressed: what is offered to a server, and then what was agreed on (RFC 7692).

    The first four are the extension's own parameters. A server must keep to what is asked of it, or not compress; it
    may also ask for less by itself. What a window of ``n`` bits takes is given for zlib.

    Attributes:
        server_no_context_takeover: Whether the server compresses each message by itself, without looking back to those
            before it. JSON messages of 1 KiB become a third larger by that.
        client_no_context_takeover: Whether this side does.
        server_max_window_bits: How far the server looks back at the most: 2 to this power bytes, from 8 to 15. That
            much memory is needed to read what it sends, 32 KiB for 15.
        client_max_window_bits: How far this side looks back, from 8 to 15, which takes four times that much memory to
            send, 16 KiB for 12. With 8, which zlib can't do for sending, nothing that is sent is compressed.
        level: How hard to look for what repeats, from 1 (fast) to 9 (small). JSON of 1 KiB takes 12, 26 and 60 µs at
            the levels 1, 6 and 9, and becomes 42, 37 and 36 % of its size.
        mem_level: The memory to look with, from 1 (2 to the power of 10 bytes) to 9 (2 to the power of 18).
        min_size: Messages of fewer bytes go uncompressed. The default is where a message that looks back to nothing
            begins to save more bytes than the headers of the packet have that it travels in.

    Raises:
        TypeError: A parameter has a wrong type.
        ValueError: A parameter is out of its range.
    """

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = MAX_BITS
    client_max_window_bits: int = 12
    level: int = 6
    mem_level: int = 5
    min_size: int = 128

    def __post_init__(self) -> None:
        for name in FLAGS:
            if not isinstance(flag := getattr(self, name), bool):
                raise TypeError(f"{name} is a bool, not {type(flag).__name__}")
        for name, (low, high) in RANGES.items():
            check_number(name, getattr(self, name), int, low, high)

    def offer(self) -> str:
        """Return what the request's ``Sec-WebSocket-Extensions`` says (section 7.1)."""
        parts = [NAME, *(name for name in FLAGS if getattr(self, name))]
        if self.server_max_window_bits < MAX_BITS:
            parts.append(f"server_max_window_bits={self.server_max_window_bits}")
        # Without a value it says that the server may ask for any (section 7.1.2.2).
        limited = self.client_max_window_bits < MAX_BITS
        parts.append(f"client_max_window_bits={self.client_max_window_bits}" if limited else "client_max_window_bits")
        return "; ".join(parts)

    def accept(self, answer: str) -> Deflate:
        """Read what the answer's ``Sec-WebSocket-Extensions`` says; return what is agreed on with it.

        Raises:
            ValueError: It does not answer this offer (section 5.1: the connection must be failed). The message goes on
                after the server's name.
        """
        if "," in answer:
            raise ValueError(f"uses the extensions {answer!r}, and only one was offered")
        extension, *parameters = (part.strip() for part in answer.split(";"))
        if extension != NAME:
            raise ValueError(f"uses the extension {extension!r}, which was not offered")
        agreed: dict[str, int] = {}
        for parameter in parameters:
            name, equals, value = (part.strip() for part in parameter.partition("="))
            if name in agreed:
                raise ValueError(f"answers the offer of {NAME} with {name} twice")
            agreed[name] = self._answered(name, value if equals else None)
        for name in ("server_no_context_takeover", "server_max_window_bits"):
            # Sections 7.1.1.1 and 7.1.2.1: a server that can't do it must decline the offer.
            if name in self.offer() and name not in agreed:
                raise ValueError(f"accepts the offer of {NAME} without the {name} that was asked for")
        return structs.replace(self, **agreed)

    def _answered(self, name: str, value: str | None) -> int:
        """Return the value of one of the answer's parameters."""
        if name in FLAGS:
            if value is not None:
                raise ValueError(f"answers the offer of {NAME} with {name}={value}, which takes no value")
            return True
        if name not in WINDOWS:
            raise ValueError(f"answers the offer of {NAME} with {name!r}, which is none of its parameters")
        # RFC 6455, section 9.1: a value may be quoted. Section 7.1.2: no leading zeros.
        if value is None or not (bits := re.fullmatch(r'([89]|1[0-5])|"([89]|1[0-5])"', value)):
            raise ValueError(f"answers the offer of {NAME} with {name}={value or ''}, which is not from 8 to 15")
        number = int(bits[1] or bits[2])
        if name == "client_max_window_bits":  # section 7.1.2.2: that much this side may use, and need not
            return min(number, self.client_max_window_bits)
        if number > self.server_max_window_bits:  # section 7.1.2.1
            asked = self.server_max_window_bits
            raise ValueError(f"answers the offer of {NAME} with {name}={number}, and {asked} was asked for")
        return number

    def inflater(self) -> Inflater:
        """Return what reads the messages that a server sends on one connection."""
        return Inflater(self.server_max_window_bits, takeover=not self.server_no_context_takeover)

    def deflater(self) -> Deflater:
        """Return what writes the messages that are sent on one connection."""
        return Deflater(self)


FLAGS: Final = ("server_no_context_takeover", "client_no_context_takeover")
WINDOWS: Final = ("server_max_window_bits", "client_max_window_bits")
RANGES: Final[dict[str, tuple[int, int | None]]] = {
    **dict.fromkeys(WINDOWS, (MIN_BITS, MAX_BITS)),
    "level": (1, 9),
    "mem_level": (1, 9),
    "min_size": (1, None),
}


class Inflater:
    """Decompresses the messages of one direction of a connection (section 7.2.2).

    A message's last call is to :meth:`finish`, whatever its frames are.

    Args:
        bits: The agreed size of the sender's window.
        takeover: Whether a message may refer back to those before it.
    """

    def __init__(self, bits: int = MAX_BITS, *, takeover: bool = True) -> None:
        self._bits = bits
        self._takeover = takeover
        self._stream = zlib.decompressobj(-bits)
        self._open = False  # of this message something has come that is not ended by a final block

    def inflate(self, data: bytes, room: int) -> bytes:
        """Decompress the next bytes of a message, to ``room + 1`` bytes at the most: what is more is never made.

        So a result of over ``room`` bytes says that the message is too large; nothing more may come then.

        Raises:
            zlib.error: They are no DEFLATE data.
        """
        pieces: list[bytes] = []
        position = 0
        while position < len(data) and room >= 0:
            # In slices, since zlib copies what is behind a block with BFINAL set, and every two bytes may be one.
            some = data[position : position + SLICE]
            stream = self._stream
            piece = stream.decompress(some, room + 1)
            room -= len(piece)
            pieces.append(piece)
            position += len(some)
            self._open = not stream.eof
            if stream.eof:
                # Behind such a block the data goes on, as a stream of its own (section 7.2.3.4).
                position -= len(stream.unused_data)
                self._stream = zlib.decompressobj(-self._bits)
        return b"".join(pieces)

    def finish(self) -> None:
        """End a message, so that the next may begin.

        Raises:
            zlib.error: It ends inside of a block.
        """
        # Of an empty message some senders leave the block out, too, that it should have (section 7.2.3.6).
        if self._open and (self._stream.decompress(TAIL, 1) or self._stream.eof):
            raise zlib.error("it ends inside of a block")
        self._open = False
        if not self._takeover:
            self._stream = zlib.decompressobj(-self._bits)


class _Compressor(Protocol):
    """What zlib.compressobj returns."""

    def compress(self, data: bytes | bytearray | memoryview, /) -> bytes: ...

    def flush(self, mode: int, /) -> bytes: ...


class Deflater:
    """Compresses the messages that this side sends on a connection (section 7.2.1), in the order of sending.

    Args:
        deflate: What was agreed on.
    """

    def __init__(self, deflate: Deflate) -> None:
        self._deflate = deflate
        self._stream: _Compressor | None = None  # made with the first message, since it is large

    def forget(self) -> None:
        """Let nothing refer back to what was compressed before, which may not be sent."""
        self._stream = None

    def deflate(self, payload: bytes | bytearray | memoryview) -> bytes | None:
        """Compress a message, which has to be sent then; return None where it is to go uncompressed."""
        deflate = self._deflate
        if len(payload) < deflate.min_size or deflate.client_max_window_bits == MIN_BITS:
            return None
        stream = self._stream or zlib.compressobj(
            deflate.level, zlib.DEFLATED, -deflate.client_max_window_bits, deflate.mem_level
        )
        if not deflate.client_no_context_takeover:
            self._stream = stream
        return (stream.compress(payload) + stream.flush(zlib.Z_SYNC_FLUSH))[: -len(TAIL)]
