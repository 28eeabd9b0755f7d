"""What is done before the process ends: at the interpreter's exit, and when the process is told to terminate."""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

__all__ = ["before_end", "heed_termination"]

TERMINATION_SECONDS = 0.9  # for all that is to be done, at a SIGTERM

_actions: list[Callable[[], object]] = []  # appended to, each once


def before_end(action: Callable[[], object]) -> None:
    """Have something done before the process ends; what was registered last is done first.

    Args:
        action: What to do, in well under a second; at a SIGTERM on a thread of its own.
    """
    atexit.register(action)
    _actions.append(action)


def heed_termination() -> None:
    """Have it done at a SIGTERM, too, if nothing else handles that; the process ends by the signal all the same.

    On the main thread, which alone may say so; on another it does nothing.
    """
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)


def _terminate(number: int, _: FrameType | None) -> None:
    done = _thread.allocate_lock()
    done.acquire()
    try:
        # On another thread, since this one may hold a lock that is needed; by the least that can start one, likewise.
        _thread.start_new_thread(_do_all, (done,))
        done.acquire(timeout=TERMINATION_SECONDS)
    finally:
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)


def _do_all(done: _thread.LockType) -> None:
    try:
        for action in reversed(_actions):
            action()
    finally:
        done.release()


_is_aside = False  # whether the handler is set aside for a fork; written by the main thread


def _set_aside() -> None:
    # What is sent to a child before it runs Python again would be lost to a handler of Python, and not end it.
    global _is_aside  # noqa: PLW0603 the main thread's alone
    is_main = threading.current_thread() is threading.main_thread()
    _is_aside = is_main and signal.getsignal(signal.SIGTERM) is _terminate
    if _is_aside:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _put_back() -> None:
    if _is_aside:
        signal.signal(signal.SIGTERM, _terminate)


if hasattr(os, "register_at_fork"):
    # A child has none, until it starts a session of its own.
    os.register_at_fork(before=_set_aside, after_in_parent=_put_back)
