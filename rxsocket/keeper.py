"""Looks after those whose thread is held up by a subscriber."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["KEEPER", "Keeper", "Kept"]

logger = logging.getLogger("rxsocket")

PERIOD = 1.0  # seconds; peers ping, and wait for pongs, at longer intervals


class Kept(NamedTuple):
    """What the keeper knows of whoever has a thread that calls subscribers.

    Attributes:
        turn: Returns a number that changes whenever the thread does something else; None while it waits.
        keep: Does what can't wait, on the keeper's thread, since the turn did not change for a while.
        name: For the log.
    """

    turn: Callable[[], int | None]
    keep: Callable[[], None]
    name: str


class Keeper:
    """A thread that runs while there is anybody to look after, and does for each what its own thread can't.

    Looking costs the others nothing: they only count their turns.

    Args:
        period: Seconds from one look to the next.
    """

    def __init__(self, period: float = PERIOD) -> None:
        self._period = period
        self.forget()

    def forget(self) -> None:
        """Look after nobody, and have no thread: so it is in a process that was just forked."""
        self._changed = threading.Condition()
        self._kept: set[Kept] = set()  # under _changed
        self._thread: threading.Thread | None = None  # under _changed

    def add(self, kept: Kept) -> None:
        """Look after somebody from now on."""
        with self._changed:
            self._kept.add(kept)
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="rxsocket keeper", daemon=True)
                try:
                    thread.start()
                except BaseException:
                    self._kept.discard(kept)
                    raise
                self._thread = thread

    def remove(self, kept: Kept) -> None:
        """Look after somebody no more."""
        with self._changed:
            self._kept.discard(kept)
            if not self._kept:
                self._changed.notify_all()

    def _run(self) -> None:
        turns: dict[Kept, int | None] = {}
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: not self._kept, self._period):
                    self._thread = None
                    return
                kept = set(self._kept)
            for each in kept:
                turn = each.turn()
                if turn is not None and turn == turns.get(each):
                    try:
                        each.keep()
                    except Exception:
                        logger.exception("%s could not be looked after while a subscriber holds it up", each.name)
            turns = {each: each.turn() for each in kept}


KEEPER = Keeper()
"""The one of this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=KEEPER.forget)
