"""Whether a peer is still there: pings while nothing comes, and the time that their pongs take. Without I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Keepalive"]

Answered: TypeAlias = Callable[[float | None], None]
"""Takes the seconds between a ping and its pong; None if there will be no pong."""


class Keepalive:
    """Knows when a ping is due, and when a peer that does not answer is lost. Not for two threads at once.

    All times are seconds of one monotonic clock. Whatever comes says that the peer is there, not only a pong: that may
    stand behind megabytes of messages.

    Args:
        interval: For how long nothing may come before a ping is due; None for ever.
        timeout: For how long nothing may come after that ping before the peer is lost; None for ever.
        now: The time at which the connection was opened.
    """

    def __init__(self, interval: float | None, timeout: float | None, now: float) -> None:
        self._interval = interval
        self._timeout = timeout
        self._heard = now  # when something came last
        self._asked = float("-inf")  # when the last ping was sent because nothing came
        self._numbers = 0
        self._last = b""  # the payload of the last ping that was sent because nothing came
        self._unanswered: dict[bytes, tuple[float, Answered]] = {}  # by payload, in the order of sending

    def heard(self, now: float) -> None:
        """Take note that something came."""
        self._heard = now

    def silence(self, now: float) -> float:
        """Return for how many seconds nothing came."""
        return now - self._heard

    def is_due(self, now: float) -> bool:
        """Whether nothing came for so long that the peer should be asked."""
        return self._interval is not None and self._asked < self._heard and now - self._heard >= self._interval

    def is_lost(self, now: float) -> bool:
        """Whether the peer was asked, and has said nothing for too long."""
        return self._timeout is not None and self._asked >= self._heard and now - self._asked >= self._timeout

    def remaining(self, now: float) -> float | None:
        """Return the seconds until one of these two will be so, if nothing comes; None for never."""
        if self._asked >= self._heard:
            return None if self._timeout is None else max(0.0, self._asked + self._timeout - now)
        return None if self._interval is None else max(0.0, self._heard + self._interval - now)

    def ask(self, now: float) -> bytes:
        """Return the payload for a ping that is sent now since one is due."""
        self._asked = now
        self._unanswered.pop(self._last, None)  # of a peer that answers none
        self._last = self.ping(now)
        return self._last

    def ping(self, now: float, answered: Answered = lambda _: None) -> bytes:
        """Return the payload for a ping that is sent now, whether one is due or not."""
        self._numbers += 1
        payload = self._numbers.to_bytes(4)
        self._unanswered[payload] = now, answered
        return payload

    def pong(self, payload: bytes, now: float) -> list[tuple[float, Answered]]:
        """Return the times of the pings that a pong answers, and who is to be told: none if it was not asked for.

        A peer may answer only the last of several pings (RFC 6455, section 5.5.3), so those before it are among them.
        """
        answers: list[tuple[float, Answered]] = []
        while payload in self._unanswered:
            first = next(iter(self._unanswered))
            sent, answered = self._unanswered.pop(first)
            answers.append((now - sent, answered))
        return answers

    def end(self) -> list[Answered]:
        """Return who waits for a pong that will not come any more."""
        waiting = [answered for _, answered in self._unanswered.values()]
        self._unanswered.clear()
        return waiting
