"""Masking, as RFC 6455, section 5.3, has it, by the fastest means at hand: most of what a large message costs."""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib import import_module
from typing import Any, Final

__all__ = ["LARGE", "mask_in_place", "masked_by", "new_key"]

LARGE: Final = 1024  # bytes from which on a payload is faster masked in place
HUGE: Final = 1 << 18  # bytes from which on it pays to load numpy
BLOCK: Final = 1 << 14
KEYS: Final = 1024


def new_key() -> bytes:
    """Return a key from the system's random source (section 5.3), which is asked for many at once."""
    try:
        return _keys.pop()
    except IndexError:
        source = os.urandom(4 * KEYS)
        _keys.extend([source[place : place + 4] for place in range(4, 4 * KEYS, 4)])
        return source[:4]


_keys: list[bytes] = []  # any thread adds and takes, each in one step of the interpreter
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keys.clear)  # or a child would use its parent's


def masked_by(key: bytes, payload: bytes | bytearray | memoryview) -> bytes:
    """Return a payload that is XORed with a key of four bytes, over and over: for small ones."""
    size = len(payload)
    mask = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(mask, "little")).to_bytes(size, "little")


def mask_in_place(frame: bytearray, start: int, key: bytes) -> None:
    """XOR what a frame has from ``start`` on with a key: for large payloads, which take long to copy."""
    end = len(frame)
    # Where the program has numpy loaded, it pays at once; to load it does for the first message that is huge.
    numpy = _numpy() if end >= HUGE or "numpy" in sys.modules else None
    if numpy is None:
        tables = [_masking_table(byte) for byte in key]
        for begin in range(start, end, BLOCK):  # small enough to stay in the processor's cache
            for place, table in enumerate(tables, begin):
                part = slice(place, begin + BLOCK, 4)
                frame[part] = frame[part].translate(table)
        return
    turn = -start % 4  # bytes to where numpy finds whole words, as the processor wants them
    words = numpy.frombuffer(frame, numpy.uint32, (end - start - turn) // 4, start + turn)
    words ^= numpy.frombuffer(key[turn:] + key[:turn], numpy.uint32)
    for place in (*range(start, start + turn), *range(start + turn + words.nbytes, end)):
        frame[place] ^= key[(place - start) % 4]


@cache
def _masking_table(byte: int) -> bytes:
    """Return the table that masks each byte with this one."""
    return bytes(byte ^ other for other in range(256))


@cache
def _numpy() -> Any:  # noqa: ANN401 it may not be installed where types are checked
    """Return numpy, which masks a hundred times as fast; None where it is not installed."""
    try:
        return import_module("numpy")
    except ImportError:
        return None
