"""Threads that run at once."""

from __future__ import annotations

import threading
from collections.abc import Callable

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
