"""RFC 6455 from bytes to messages, without any I/O. What frames carry may be compressed as RFC 7692 has it."""

from __future__ import annotations

import codecs
import sys
import zlib
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from .deflate import Inflater
from .errors import ProtocolException
from .frames import (
    BINARY,
    COMPRESSED,
    CONTINUATION,
    CONTROL,
    FIN,
    INVALID_PAYLOAD,
    MASKED,
    MAX_CONTROL_PAYLOAD,
    MESSAGE_TOO_BIG,
    PING,
    PONG,
    PROTOCOL_ERROR,
    RESERVED,
    TEXT,
    Close,
    Control,
    Message,
    Ping,
    Pong,
    is_sendable,
)
from .masking import masked_by

__all__ = ["SMALL_PIECE", "Decoder"]

S = TypeVar("S", str, bytes)

# How many times max_size the compressed form of a message may take, and how many bytes more. Else one made of blocks
# that hold nothing could go on for ever, and never be too large. A message may have any number of blocks (RFC 7692,
# section 7.2.1), but of a byte that is flushed by itself zlib makes 11 at the most, so that whoever sends something
# with each flush stays below. The bytes more are for flushes that have nothing to send.
COMPRESSED_TIMES: Final = 16
COMPRESSED_MORE: Final = 1 << 16

SMALL_PIECE: Final = 1 << 16  # bytes
COMPRESSED_PIECE: Final = 1 << 14  # which can become a thousand times as much
LARGE_PIECE: Final = 1 << 19
BATCH: Final = 256  # messages in a piece, if it is larger than a small one
MANY: Final = 1024  # so many small pieces of a message are joined to one; a piece of so many bytes is a large one


class _Pieces(Generic[S]):
    """The payload of a message, as it comes. It takes the memory of the payload, however small the pieces are.

    A list of them would be many times as large; a buffer that grows would copy large messages over and over.
    """

    __slots__ = ("_join", "_large", "_small")

    def __init__(self, join: Callable[[list[S]], S]) -> None:
        self._join: Callable[[list[S]], S] = join
        self._large: list[S] = []
        self._small: list[S] = []

    def append(self, piece: S) -> None:
        if len(piece) >= MANY:
            self._gather()
            self._large.append(piece)
        elif piece:
            self._small.append(piece)
            if len(self._small) >= MANY:
                self._gather()

    def take(self) -> S:
        self._gather()
        pieces, self._large = self._large, []
        return pieces[0] if len(pieces) == 1 else self._join(pieces)

    def _gather(self) -> None:
        if self._small:
            self._large.append(self._join(self._small))
            self._small.clear()


class Decoder:
    """Finds the messages and control frames in a stream of bytes.

    Args:
        max_size: The largest message, in bytes of its payload; a larger one is a ProtocolException of code 1009 as
            soon as a frame's header announces it. Of a compressed one it is the decompressed size that counts, while
            it is decompressed: no more is made of it. Its compressed form may take 64 KiB and 16 times max_size,
            which is enough however often its sender flushes; beyond it a frame's header is refused, too.
        max_fragments: The most frames that a message may come in; one more is a ProtocolException of code 1009, too.
        inflater: Decompresses messages, where compression was agreed on.
        masked: Whether the peer's frames must be masked: False for a client's decoder, True for a server's
            (section 5.1).

    Attributes:
        positions: For each control frame that :meth:`feed` returned last, how many of the messages came before it.
        appetite: How many bytes to read for the next :meth:`feed`. In large pieces, large messages take less time each;
            many small ones in one piece would keep what answers them waiting.
    """

    def __init__(
        self,
        max_size: int,
        *,
        max_fragments: int = sys.maxsize,
        inflater: Inflater | None = None,
        masked: bool = False,
    ) -> None:
        self.positions: list[int] = []
        self.appetite = SMALL_PIECE if inflater is None else COMPRESSED_PIECE
        self._max_size = min(max_size, sys.maxsize - 1)  # zlib takes no larger number than one more
        self._max_compressed = COMPRESSED_TIMES * max_size + COMPRESSED_MORE
        self._max_fragments = max_fragments
        self._inflater = inflater
        self._masked = masked
        self._header = b""  # the start of a frame whose header (or control frame) is not complete yet
        self._ended = False  # after a close frame, or a failure: nothing that follows counts (section 5.5.1)
        # The data message that is being collected. Its size grows when a frame's header is read, before its payload; of
        # a compressed message, when it is decompressed, and what grows with the header is its compressed size.
        self._opcode = 0
        self._size = 0
        self._compressed = 0
        self._fragments = 0
        self._inflating: Inflater | None = None  # if it is compressed
        self._texts: _Pieces[str] = _Pieces("".join)
        self._chunks: _Pieces[bytes] = _Pieces(b"".join)
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        # The frame of it that is being read.
        self._final = False
        self._remaining = 0
        self._key = b""

    def feed(self, data: bytes) -> tuple[list[Message], list[Control]]:
        """Take the next bytes of the stream.

        Returns:
            The data messages that are complete now, and the control frames, each in order. Where the peer broke the
            protocol, a ProtocolException is the last control; nothing that follows it, or a close frame, counts.
        """
        messages: list[Message] = []
        controls: list[Control] = []
        self.positions = []
        if not self._ended:
            try:
                self._parse(data, messages, controls)
            except (ProtocolException, UnicodeDecodeError, zlib.error) as error:
                self._ended = True
                controls.append(_failure(error))
                self.positions.append(len(messages))
        if self._inflater is not None:
            self.appetite = COMPRESSED_PIECE
        elif len(data) < SMALL_PIECE:
            self.appetite = SMALL_PIECE
        else:  # more may wait than was read
            self.appetite = max(SMALL_PIECE, min(LARGE_PIECE, len(data) // (len(messages) + 1) * BATCH))
        return messages, controls

    def _parse(self, data: bytes, messages: list[Message], controls: list[Control]) -> None:  # noqa: C901 one loop, without calls
        if self._header:
            data = self._header + data
            self._header = b""
        position = 0
        end = len(data)
        if self._remaining:
            position = self._collect(data, 0, messages)
        # The short way, for what is common: unmasked, not fragmented, under 64 KiB, and complete in this piece.
        append = messages.append
        whole_text, whole_binary = FIN | TEXT, FIN | BINARY
        limit = -1 if self._masked or self._opcode else self._max_size
        while end - position >= 2:  # noqa: PLR2004 the shortest header
            length = data[position + 1]
            start = position + 2
            if length > 125:  # noqa: PLR2004 section 5.2
                start = position + 4
                # What is not in its shortest form goes the long way, as the longest do, to be refused there.
                if length > 126 or start > end or (length := data[position + 2] << 8 | data[position + 3]) < 126:  # noqa: PLR2004
                    start = end + 1
            if (stop := start + length) <= end and length <= limit:
                first = data[position]
                if first == whole_text:
                    append(data[start:stop].decode())
                    position = stop
                    continue
                if first == whole_binary:
                    append(data[start:stop])
                    position = stop
                    continue
                if self._inflater is not None and first in {COMPRESSED | whole_text, COMPRESSED | whole_binary}:
                    content = self._inflate(self._inflater, data[start:stop], finished=True)
                    self._size = 0
                    append(content.decode() if first & TEXT else content)
                    position = stop
                    continue
            following = self._frame(data, position, messages, controls)
            if following < 0:
                break
            position = following
            if self._ended:
                return
            limit = -1 if self._masked or self._opcode else self._max_size
        if position < end and not self._remaining:
            self._header = data[position:]

    def _frame(self, data: bytes, position: int, messages: list[Message], controls: list[Control]) -> int:
        """Read the frame at a position; return where what was read of it ends, or -1 where more bytes must come."""
        first = data[position]
        second = data[position + 1]
        opcode = first & 0x0F
        length = second & 0x7F
        self._check_header(first, second)
        position += 2
        extended = 2 if length == 126 else 8 if length == 127 else 0  # noqa: PLR2004 section 5.2
        payload = position + extended + (4 if self._masked else 0)
        if payload > len(data):
            return -1
        if extended:
            length = int.from_bytes(data[position : position + extended], "big")
            # Section 5.2: the minimal number of bytes must be used, and the most significant bit must be 0.
            if length < (126 if extended == 2 else 0x10000) or length >> 63:  # noqa: PLR2004
                raise ProtocolException(f"a frame's length {length} is not in its shortest form", PROTOCOL_ERROR)
        key = data[payload - 4 : payload] if self._masked else b""
        if opcode & CONTROL:
            stop = payload + length
            if stop > len(data):
                return -1
            content = data[payload:stop]
            controls.append(self._control(opcode, masked_by(key, content) if key else content))
            self.positions.append(len(messages))
            return stop
        if opcode != CONTINUATION:
            self._opcode = opcode
            self._compressed = self._fragments = 0
            self._inflating = self._inflater if first & COMPRESSED else None
        self._fragments += 1
        if self._fragments > self._max_fragments:
            raise ProtocolException(
                f"a message comes in more than max_fragments={self._max_fragments} frames", MESSAGE_TOO_BIG
            )
        if self._inflating is None:
            self._grow(length)
        else:
            self._compressed += length
            if self._compressed > self._max_compressed:
                raise ProtocolException(
                    f"a message has {self._compressed} bytes or more in its compressed form, and with "
                    f"max_size={self._max_size} it may have {self._max_compressed}",
                    MESSAGE_TOO_BIG,
                )
        self._final = bool(first & FIN)
        self._remaining = length
        self._key = key
        return self._collect(data, payload, messages)

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > self._max_size:
            raise ProtocolException(
                f"a message has {self._size} bytes or more, and max_size is {self._max_size}", MESSAGE_TOO_BIG
            )

    def _check_header(self, first: int, second: int) -> None:
        opcode = first & 0x0F
        # Section 5.2: bits that no extension defines; RFC 7692, section 6, defines one, for a message's first frame.
        if first & RESERVED and (
            self._inflater is None or first & RESERVED != COMPRESSED or opcode not in {TEXT, BINARY}
        ):
            raise ProtocolException("a frame has reserved bits set", PROTOCOL_ERROR)
        if bool(second & MASKED) is not self._masked:  # section 5.1
            raise ProtocolException(f"a frame is {'not ' if self._masked else ''}masked", PROTOCOL_ERROR)
        if opcode & CONTROL:
            if opcode > PONG:
                raise ProtocolException(f"a frame has the reserved opcode {opcode:#x}", PROTOCOL_ERROR)
            if not first & FIN:  # section 5.5
                raise ProtocolException("a control frame is fragmented", PROTOCOL_ERROR)
            if second & 0x7F > MAX_CONTROL_PAYLOAD:  # section 5.5
                raise ProtocolException("a control frame has more than 125 bytes of payload", PROTOCOL_ERROR)
        elif opcode > BINARY:
            raise ProtocolException(f"a frame has the reserved opcode {opcode:#x}", PROTOCOL_ERROR)
        elif opcode == CONTINUATION and not self._opcode:  # section 5.4
            raise ProtocolException("a continuation frame has no message to continue", PROTOCOL_ERROR)
        elif opcode != CONTINUATION and self._opcode:  # section 5.4
            raise ProtocolException("a message begins inside of another that is not finished", PROTOCOL_ERROR)

    def _collect(self, data: bytes, position: int, messages: list[Message]) -> int:
        """Add to the message what the data has of the current frame's payload; return where that ends."""
        stop = min(len(data), position + self._remaining)
        chunk = data[position:stop]
        self._remaining -= len(chunk)
        if self._key:
            key = self._key
            turn = len(chunk) % 4
            self._key = key[turn:] + key[:turn]
            chunk = masked_by(key, chunk)
        finished = self._final and not self._remaining
        if self._inflating is not None:
            chunk = self._inflate(self._inflating, chunk, finished=finished)
        if self._opcode == TEXT:
            # Decoded piece by piece: what is not UTF-8 fails the connection as soon as it arrives (section 8.1).
            self._texts.append(self._utf8.decode(chunk))
            pending, _ = self._utf8.getstate()
            if len(pending) > 1 and pending[0] == 0xED and pending[1] >= 0xA0:  # noqa: PLR2004 U+D800 to U+DFFF
                # CPython's decoder waits for the third byte of a surrogate before it says that it is none of UTF-8.
                self._utf8.decode(b"", final=True)
        else:
            self._chunks.append(chunk)
        if finished:
            if self._opcode == TEXT:
                self._utf8.decode(b"", final=True)
                messages.append(self._texts.take())
            else:
                messages.append(self._chunks.take())
            self._opcode = self._size = 0
        return stop

    def _inflate(self, inflater: Inflater, chunk: bytes, *, finished: bool) -> bytes:
        content = inflater.inflate(chunk, self._max_size - self._size)
        self._grow(len(content))
        if finished:
            inflater.finish()
        return content

    def _control(self, opcode: int, payload: bytes) -> Control:
        if opcode == PING:
            return Ping(payload)
        if opcode == PONG:
            return Pong(payload)
        self._ended = True
        if not payload:
            return Close()
        if len(payload) == 1:  # section 5.5.1
            raise ProtocolException("a close frame has half a status code", PROTOCOL_ERROR)
        code = int.from_bytes(payload[:2], "big")
        if not is_sendable(code):
            raise ProtocolException(f"a close frame has the code {code}, which may not be sent", PROTOCOL_ERROR)
        try:
            return Close(code, payload[2:].decode())
        except UnicodeDecodeError as error:  # section 8.1
            raise ProtocolException(f"a close reason is not UTF-8: {error.reason}", INVALID_PAYLOAD) from error


def _failure(error: ProtocolException | UnicodeDecodeError | zlib.error) -> ProtocolException:
    if isinstance(error, ProtocolException):
        return error
    if isinstance(error, UnicodeDecodeError):  # section 8.1
        failure = ProtocolException(f"a text message is not UTF-8: {error.reason}", INVALID_PAYLOAD)
    else:
        failure = ProtocolException(f"a message can't be decompressed: {error}", INVALID_PAYLOAD)
    failure.__cause__ = error
    return failure
