"""What topics and replies need of a session, and of the messages that they are given to send."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import count
from typing import Any, Protocol, TypeAlias, TypeVar

from reactivex import Observable

from .errors import FunctionException, RxSocketException
from .states import State
from .subjects import Report

__all__ = ["Given", "Link", "check_function", "check_given", "check_stream", "content", "failing", "shown"]

T = TypeVar("T")

Given: TypeAlias = T | Callable[[], T]
"""A message to send, or a function that returns one: for a token that expires."""

LENGTH = 60  # characters of a message, for a name or an error


class Link(Protocol):
    """The part of a session on which topics and replies stand."""

    @property
    def current_state(self) -> State:
        """The state now."""
        ...

    @property
    def state(self) -> Observable[State]:
        """The states, the current one first."""
        ...

    @property
    def order(self) -> AbstractContextManager[object]:
        """Is held while a message takes its place in what is sent."""
        ...

    def send(self, message: Any, *, wait: bool) -> None:  # noqa: ANN401 what the session can send is known to that
        """Send a message."""
        ...

    def send_if(self, message: Any, is_wanted: Callable[[], bool]) -> None:  # noqa: ANN401 likewise
        """Send a message, if it is wanted still when its turn comes."""
        ...

    def report(self, error: RxSocketException, count: int = 1) -> None:
        """Log an error, which of its kind it is by its count, and deliver it to the subscribers of ``errors``."""
        ...

    def report_subscriber(self, stream: str, error: BaseException) -> None:
        """Report what a subscriber of a stream raised."""
        ...


def check_given(what: str, given: object, check: Callable[[Any], object]) -> None:
    """Raise if what is given is neither a function nor a message.

    Args:
        what: What it is, as the message begins.
        given: What is given.
        check: Raises a TypeError or a ValueError if a message can't be sent.

    Raises:
        TypeError: It is of another type.
        ValueError: It can't be sent.
    """
    if callable(given):
        return
    problem = f"{what} is a message, or a function that returns one"
    try:
        check(given)
    except TypeError as error:
        raise TypeError(f"{problem}: {error}") from None
    except ValueError as error:
        raise ValueError(f"{problem}: {error}") from None


def check_function(what: str, function: object) -> None:
    """Raise a TypeError if something is not a function."""
    if not callable(function):
        raise TypeError(f"{what} is a function of a message, not {type(function).__name__}")


def check_stream(what: str, stream: object) -> None:
    """Raise a TypeError if something is not an Observable."""
    if not isinstance(stream, Observable):
        raise TypeError(f"{what} is an Observable, such as session.messages.body, not {type(stream).__name__}")


def content(given: Given[Any]) -> Any:  # noqa: ANN401 what the session can send is known to that
    """Return the message that is given, or that the function returns now."""
    return given() if callable(given) else given


def shown(given: object) -> str:
    """Return a message in short, for a name or an error; of a function its own name."""
    if callable(given):
        return f"{getattr(given, '__qualname__', type(given).__qualname__)}()"
    # The whole of a large one would take its time.
    text = repr(given[:LENGTH] if isinstance(given, str | bytes | bytearray) else given)
    return text if len(text) <= LENGTH else f"{text[:LENGTH]}..."


def failing(link: Link, function: str, consequence: str) -> Report:
    """Return what reports that a function raised, whenever it does, and what became of that.

    Args:
        link: Has the stream of errors.
        function: Which it was.
        consequence: What follows, and what to do.
    """
    counts = count(1)

    def report(_name: str, error: BaseException) -> None:
        failure = FunctionException(f"{function} raised {error!r}: {consequence}", function)
        failure.__cause__ = error
        link.report(failure, next(counts))

    return report
