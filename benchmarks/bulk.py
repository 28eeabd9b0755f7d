"""Unmasking of many frames at once, with numpy."""

from __future__ import annotations

import numpy as np

__all__ = ["unmask_rows"]


def unmask_rows(data: bytes, start: int, count: int, size: int, header: bytes) -> bytes:
    """Return a server's frames with the payloads of a client's, which all have the same header and size.

    Args:
        data: What the client sent.
        start: Where the first frame begins.
        count: How many frames there are.
        size: Of each, in bytes, with the masking key (RFC 6455, section 5.3).
        header: Of each that is returned; it is as long as that before the key of a client's.
    """
    frames = np.frombuffer(data, np.uint8, count * size, start).reshape(count, size)
    before = len(header)
    length = size - before - 4
    keys = np.tile(frames[:, before : before + 4], -(-length // 4))[:, :length]
    answer = np.empty((count, before + length), np.uint8)
    answer[:, :before] = np.frombuffer(header, np.uint8)
    np.bitwise_xor(frames[:, before + 4 :], keys, out=answer[:, before:])
    return answer.tobytes()
