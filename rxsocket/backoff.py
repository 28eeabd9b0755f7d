"""When to try again, after a connection was lost or could not be made."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection

from msgspec import Struct
from reactivex import abc

from .checks import MAX_SECONDS, check_number
from .errors import CertificateException, EndpointException, HandshakeException, RxSocketException

__all__ = ["Backoff"]

TRANSIENT = {408, 429}  # of the statuses 4xx: the request took too long; there were too many
FINAL_CODES = frozenset({1000, 1008})  # RFC 6455, section 7.4.1: all was done; what was sent is against a policy


class Backoff(Struct, frozen=True, kw_only=True):
    """A policy of reconnecting: tries that come at longer and longer intervals, until one succeeds.

    What it does not try again, since it would end in the same way: a connection that the server closed with one of
    ``final_codes``, a handshake that it refused with a status 4xx (but 408 and 429), a certificate that is not
    accepted, and an endpoint that can never work (:class:`~rxsocket.EndpointException`), since a function returned no
    URL, say; but one that raised is asked again. Nor one that this side closed. A try that ``session.reconnect()`` asks
    for is none of its own: the intervals, and ``attempts``, begin anew with it.

    Attributes:
        initial: Seconds before the first try; ``maximum``, if that is less.
        factor: How many times as long it waits before each further one.
        maximum: Seconds that it waits at the most.
        jitter: Which part of these seconds is random, from 0 to 1, so that the clients of a server that was away do not
            all come back at once.
        attempts: After how many tries in a row it gives up; None for never. One counts that made a connection which was
            lost before it was ``stable``.
        stable: For how many seconds a connection must have stayed up for the intervals, and ``attempts``, to begin
            anew.
        final_codes: Close codes of a server that are not tried again.
        scheduler: On whose time it waits, such as reactivex's ``VirtualTimeScheduler``; None for the system's.
            A virtual one is to be advanced after the event of the try has been seen in ``session.retries``.

    Raises:
        TypeError: An attribute has a wrong type.
        ValueError: A number is out of its range.

    Example:
        >>> socket = websocket("wss://host/feed", reconnect=Backoff(maximum=30, attempts=10))
    """

    initial: float = 0.5
    factor: float = 2.0
    maximum: float = 60.0
    jitter: float = 0.5
    attempts: int | None = None
    stable: float = 30.0
    final_codes: Collection[int] = FINAL_CODES
    scheduler: abc.SchedulerBase | None = None

    def __post_init__(self) -> None:
        for name, low, high in (
            ("initial", 0, MAX_SECONDS),
            ("factor", 1, 1000),
            ("maximum", 0, MAX_SECONDS),
            ("jitter", 0, 1),
            ("stable", 0, MAX_SECONDS),
        ):
            check_number(f"{name} of a Backoff", getattr(self, name), float, low, high)
        check_number("attempts of a Backoff", self.attempts, int, 0, optional=True)
        codes: Collection[object] = self.final_codes
        if not isinstance(codes, Collection) or any(isinstance(c, bool) or not isinstance(c, int) for c in codes):
            raise TypeError(f"final_codes of a Backoff is a collection of int, not {codes!r}")
        if not isinstance(self.scheduler, abc.SchedulerBase | None):
            raise TypeError(f"scheduler of a Backoff is one of reactivex, or None, not {self.scheduler!r}")

    def delay(self, attempt: int, fraction: Callable[[], float] = random.random) -> float:
        """Return how many seconds to wait before a try.

        Args:
            attempt: Which in a row it is, from 1.
            fraction: A source of random numbers from 0 to 1.
        """
        # The exponent is bounded, since a float is.
        grown = self.initial * self.factor ** min(attempt - 1, 64)
        return min(self.maximum, grown) * (1 - self.jitter * fraction())

    def gives_up(self, attempt: int) -> bool:
        """Tell whether a try is one too many.

        Args:
            attempt: Which in a row it is, from 1.
        """
        return self.attempts is not None and attempt > self.attempts

    def is_final(self, code: int, cause: RxSocketException | None) -> bool:
        """Tell whether another try would end in the same way.

        Args:
            code: Of the end's close event.
            cause: Of the end's close event.
        """
        match cause:
            case HandshakeException(status=status):
                return 400 <= status < 500 and status not in TRANSIENT  # noqa: PLR2004 RFC 9110, section 15.5
            case CertificateException() | EndpointException():
                return True
            case _:
                return code in self.final_codes
