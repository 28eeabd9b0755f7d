"""Threads that run at once, and threads that wait."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rxsocket.session import Session

SECONDS = 20


def in_threads(*targets: Callable[[], object]) -> None:
    """Call each in a thread of its own, all from the same moment on, and wait until all have returned."""
    start = threading.Barrier(len(targets))

    def run(target: Callable[[], object]) -> None:
        start.wait(SECONDS)
        target()

    threads = [threading.Thread(target=run, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()


def waits_to_send(session: Session) -> threading.Event:
    """Return an event that is set when another thread's send waits, with the session's lock held until it does."""
    waits = threading.Event()
    wait_for = session._changed.wait_for

    def watched(settled: Callable[[], bool], timeout: float | None = None) -> bool:
        if not settled():
            waits.set()
        return wait_for(settled, timeout)

    session._changed.wait_for = watched
    return waits
