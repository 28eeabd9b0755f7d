"""Sessions that a block has left open, for tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from .checks import MAX_SECONDS, check_number
from .socket_session import SocketSession, open_sessions
from .states import Closed, Connecting, Open

__all__ = ["no_open_sessions", "note_open"]

_Lines: TypeAlias = dict[SocketSession[Any], str]  # sessions, each with the line that started it

_blocks: list[_Lines] = []  # under _blocks_lock: for each block that is held, what was noted in it
_blocks_lock = threading.Lock()


@contextmanager
def no_open_sessions(timeout: float = 1.0) -> Generator[None]:
    """Hold a ``with`` block to closing all sessions that are started in it, on whichever thread.

    Those that are left open are closed then, so that what comes next finds none of them. In a fixture of pytest it
    holds each test to that. Left open are also those that only the end of a block of ``serve`` or ``proxy`` has ended:
    where a server's going is what is tested, let its script close. A FakeSession holds nothing, and may stay open.

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
    noted: _Lines = {}
    with _blocks_lock:
        _blocks.append(noted)
    try:
        yield
    except BaseException as error:
        problem = _end(before, noted, 0.0)
        if problem:
            error.add_note(problem)
        raise
    else:
        problem = _end(before, noted, timeout)
    if problem:
        raise AssertionError(problem)


def note_open(port: int) -> None:
    """Let the blocks that are held count as left open what leads to a server, and is open, just before that ends it.

    Args:
        port: The server's, on this machine, by whichever name it was reached.
    """
    opened = {
        session: line
        for session, line in open_sessions().items()
        if urlsplit(session.url).port == port and isinstance(session.current_state, Connecting | Open)
    }
    with _blocks_lock:
        for noted in _blocks:
            noted.update(opened)


def _end(before: _Lines, noted: _Lines, timeout: float) -> str:
    """Close what was opened since, and say what that was; nothing if it has ended by itself."""
    with _blocks_lock:
        _blocks[:] = [each for each in _blocks if each is not noted]
    deadline = time.monotonic() + timeout
    opened = {session: line for session, line in {**noted, **open_sessions()}.items() if session not in before}
    left = [session for session in opened if session in noted or not _ends(session, deadline - time.monotonic())]
    lines = [f"{session!r}, started at {opened[session]}" for session in left]
    for session in left:
        session.close(wait=False)
    for session in left:
        session.close()
    count = f"{len(left)} sessions are" if len(left) > 1 else "a session is"
    return "\n".join([f"{count} left open, and closed now. Close what a test opens:", *lines]) if left else ""


def _ends(session: SocketSession[Any], timeout: float) -> bool:
    """Wait for a session's end, and return whether it has come, also if it is not told to all yet."""
    ended = threading.Event()
    with session.state.subscribe(on_completed=ended.set):
        return ended.wait(max(0.0, timeout)) or isinstance(session.current_state, Closed)
