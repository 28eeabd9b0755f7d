"""Frames as a server has them: made beforehand, and found many at a time (RFC 6455, section 5.2)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import Final, NamedTuple

__all__ = ["BINARY", "CLOSE", "TEXT", "Run", "close_frame", "deflated", "frame", "frame_size", "runs", "unmasked"]

TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
FIN: Final = 0x80
COMPRESSED: Final = 0x40  # RFC 7692, section 6: RSV1
OPCODE: Final = 0x0F
MASKED: Final = 0x80
KEY: Final = 4  # bytes of a masking key

HAS_NUMPY = find_spec("numpy") is not None


class Run(NamedTuple):
    """Frames of a client that follow each other, and have the same opcode and size."""

    first: int  # the byte with FIN, the reserved bits and the opcode
    start: int  # where the first of them begins
    header: int  # bytes before the masking key
    size: int  # bytes of each, with header and key
    frames: int  # how many there are

    @property
    def opcode(self) -> int:
        """Section 11.8's."""
        return self.first & OPCODE

    @property
    def stop(self) -> int:
        """Where the last of them ends."""
        return self.start + self.frames * self.size


def frame(opcode: int, payload: bytes, *, compressed: bool = False, masked: bool = False) -> bytes:
    """Return a frame: a server's, which is not masked, or a client's, whose key of zeros leaves the payload alone."""
    header = _header(FIN | (COMPRESSED if compressed else 0) | opcode, len(payload))
    if masked:
        return bytes((header[0], header[1] | MASKED)) + header[2:] + bytes(KEY) + payload
    return header + payload


def _header(first: int, length: int) -> bytes:
    if length <= 125:  # noqa: PLR2004 section 5.2
        return bytes((first, length))
    if length < 0x10000:  # noqa: PLR2004
        return bytes((first, 126)) + length.to_bytes(2, "big")
    return bytes((first, 127)) + length.to_bytes(8, "big")


def close_frame(*, masked: bool = False) -> bytes:
    """Return a close frame that says 1000."""
    return frame(CLOSE, (1000).to_bytes(2, "big"), masked=masked)


def deflated(payloads: Iterable[bytes], window_bits: int) -> list[bytes]:
    """Compress messages as one context (RFC 7692, section 7.2.1).

    What begins a context refers to nothing before it, so they may be sent over and over in one connection.
    """
    deflate = zlib.compressobj(wbits=-window_bits)
    return [(deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4] for payload in payloads]


def runs(data: bytes) -> Iterator[Run]:
    """Find the frames of a client that are complete.

    Frames that look alike are found by a look at each byte of their headers, with a stride of their size: so the cost
    is that of the runs, not of the frames.
    """
    position = 0
    end = len(data)
    while end - position >= 2:  # noqa: PLR2004 the shortest header
        header, size = frame_size(data, position)
        count = (end - position) // size
        if not count:
            return
        for offset in range(header) if count > 1 else ():
            same = data[position + offset : position + count * size : size]
            count = len(same) - len(same.lstrip(same[:1]))
        yield Run(data[position], position, header, size, count)
        position += count * size


def frame_size(data: bytes, position: int) -> tuple[int, int]:
    """Return how long a masked frame's header is, without the key, and how long the frame, as far as is known yet."""
    length = data[position + 1] & 0x7F
    extended = 2 if length == 126 else 8 if length == 127 else 0  # noqa: PLR2004 section 5.2
    header = 2 + extended
    if extended and len(data) >= position + header:
        length = int.from_bytes(data[position + 2 : position + header], "big")
    return header, header + KEY + length


def unmasked(data: bytes, run: Run, count: int) -> bytes:
    """Return a server's frames with what the last of a run of a client's say, compressed or not as it is."""
    header = _header(run.first, run.size - run.header - KEY)
    start = run.stop - count * run.size
    if HAS_NUMPY and count > 1:
        from .bulk import unmask_rows  # noqa: PLC0415 it needs numpy

        return unmask_rows(data, start, count, run.size, header)
    frames: list[bytes] = []
    for position in range(start, run.stop, run.size):
        payload = position + run.header + KEY
        frames += (header, _unmask(data[payload : position + run.size], data[payload - KEY : payload]))
    return b"".join(frames)


def _unmask(payload: bytes, key: bytes) -> bytes:
    size = len(payload)
    mask = (key * (size // KEY + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(mask, "little")).to_bytes(size, "little")
