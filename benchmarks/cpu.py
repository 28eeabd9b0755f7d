"""Keeping to one CPU."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["pinned"]


@contextmanager
def pinned() -> Generator[None]:
    """Keep this thread, and the processes that it starts, to the last CPU; on macOS, which can't, it does nothing."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
