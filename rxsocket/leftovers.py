"""Sessions that a block has left open, for tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from .checks import MAX_SECONDS, check_number
from .session import Session, open_sessions

__all__ = ["no_open_sessions"]


@contextmanager
def no_open_sessions(timeout: float = 1.0) -> Generator[None]:
    """Hold a ``with`` block to closing all sessions that are started in it, on whichever thread.

    Those that are left open are closed then, so that what comes next finds none of them. In a fixture of pytest it
    holds each test to that.

    Args:
        timeout: Seconds for those to end that are about to.

    Raises:
        AssertionError: Some are left: it names each, its state, and the line that started it. If the block raised
            itself, that goes on, with a note of them.
        TypeError: The timeout is no number.
        ValueError: It is out of its range.

    Example:
        >>> @pytest.fixture(autouse=True)
        ... def all_sessions_are_closed():
        ...     with no_open_sessions():
        ...         yield
    """
    check_number("timeout, in seconds,", timeout, float, 0, MAX_SECONDS)
    before = open_sessions()
    try:
        yield
    except BaseException as error:
        problem = _end(before, 0.0)
        if problem:
            error.add_note(problem)
        raise
    problem = _end(before, timeout)
    if problem:
        raise AssertionError(problem)


def _end(before: dict[Session[Any], str], timeout: float) -> str:
    """Close what was opened since, and say what that was; nothing if it has ended by itself."""
    deadline = time.monotonic() + timeout
    opened = {session: line for session, line in open_sessions().items() if session not in before}
    left = [session for session in opened if not _ends(session, deadline - time.monotonic())]
    lines = [f"{session!r}, started at {opened[session]}" for session in left]
    for session in left:
        session.close(wait=False)
    for session in left:
        session.close()
    count = f"{len(left)} sessions are" if len(left) > 1 else "a session is"
    return "\n".join([f"{count} left open, and closed now. Close what a test opens:", *lines]) if left else ""


def _ends(session: Session[Any], timeout: float) -> bool:
    """Wait for a session's end, and return whether it has come."""
    ended = threading.Event()
    with session.state.subscribe(on_completed=ended.set):
        return ended.wait(max(0.0, timeout))
