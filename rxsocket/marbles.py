"""Tests of what is made of a session's streams, in marble diagrams and virtual time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple, Self, cast

from reactivex import Observable, abc
from reactivex.notification import Notification, OnCompleted, OnError, OnNext
from reactivex.observable.marbles import parse
from reactivex.testing import TestScheduler
from reactivex.testing.mockobserver import MockObserver

from .backoff import Backoff
from .codec import Codec, MessageT
from .fake import FakeSession
from .frames import ABNORMAL_CLOSURE

__all__ = ["Marbles", "marbles"]

STEADY = Backoff(initial=1.0, jitter=0.0)
SPECIAL = set("-,()#| ")  # in a diagram


class _Expectation(NamedTuple):
    """A stream, and what it is to emit.

    Attributes:
        stream: Is subscribed to at time 0.
        diagram: What it is to emit.
        values: What the names in it stand for.
        error: What ``#`` stands for.
        observer: Takes down what it emits.
    """

    stream: Observable[Any]
    diagram: str
    values: Mapping[Any, Any]
    error: type[Exception]
    observer: MockObserver[Any]


class Marbles:
    """Sessions that play diagrams and streams that are held to theirs, as :func:`marbles` makes it.

    Attributes:
        scheduler: RxPY's, in whose virtual time all happens: for operators such as ``ops.debounce``. A character of a
            diagram takes a second of it.
    """

    def __init__(self) -> None:
        self.scheduler = TestScheduler()
        self._steps: list[tuple[float, Callable[[], object]]] = []
        self._expectations: list[_Expectation] = []
        self._end = 0.0

    def session(
        self,
        diagram: str,
        values: Mapping[Any, MessageT | str | bytes] | None = None,
        *,
        codec: Codec[MessageT] | None = None,
        reconnect: Backoff | None = STEADY,
    ) -> FakeSession[MessageT]:
        """Return a session that does what a diagram says.

        In the diagram ``O`` opens a connection, ``X`` loses it (or lets the try to make one fail), ``|`` lets the
        server close the session with 1000, and ``#`` ends it by a loss that is final. All else are messages, by names:
        ``O--a-b--X---O-(c,d)|``. The rest is RxPY's: ``-`` is a second, ``( , )`` is one moment, but takes its width,
        and spaces are nothing.

        Args:
            diagram: What happens.
            values: The messages that the names stand for; a name that is not in it is the text itself.
            codec: As :func:`~rxsocket.websocket` takes it.
            reconnect: As :func:`~rxsocket.websocket` takes it.

        Raises:
            ValueError: It is no diagram.
        """
        session: FakeSession[MessageT] = FakeSession(codec=codec, reconnect=reconnect, send_timeout=0.0)
        for time, notification in self._parsed(diagram, {}):
            self._steps.append((time, self._step(session, notification, values or {})))
        return session

    def expect(
        self,
        stream: Observable[Any],
        diagram: str,
        values: Mapping[Any, Any] | None = None,
        *,
        error: type[Exception] = Exception,
    ) -> None:
        """Hold a stream to what a diagram says, from the start of the time to the end of the longest diagram.

        Args:
            stream: Is subscribed to at the start, before anything happens.
            diagram: What it has to emit, and when, ``|`` and ``#`` for its end, in RxPY's notation.
            values: The values that the names stand for; a name that is not in it is a number, or the text itself.
            error: Of which kind the error is that ``#`` stands for.

        Raises:
            ValueError: It is no diagram.
        """
        self._parsed(diagram, {})
        observer: MockObserver[Any] = self.scheduler.create_observer()
        self._expectations.append(_Expectation(stream, diagram, values or {}, error, observer))

    def run(self) -> None:
        """Let the time pass, and compare. At the end of the block it is done so.

        Raises:
            AssertionError: A stream emitted something else; it shows both diagrams.
        """
        subscriptions: list[abc.DisposableBase] = []

        def subscribe(expectation: _Expectation) -> None:
            stream, observer = expectation.stream, expectation.observer
            subscriptions.append(stream.subscribe(observer, scheduler=self.scheduler))

        for expectation in self._expectations:
            self._at(0.0, partial(subscribe, expectation))
        for time, step in self._steps:
            self._at(time, step)
        self.scheduler.advance_to(self._end)
        for subscription in subscriptions:
            subscription.dispose()
        failures = [failure for each in self._expectations if (failure := self._failure(each))]
        if failures:
            raise AssertionError("\n".join(failures))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.run()

    def _parsed(self, diagram: str, values: Mapping[Any, Any]) -> list[tuple[float, Notification[Any]]]:
        self._end = max(self._end, float(len(diagram.replace(" ", ""))))
        parsed = parse(diagram, 1.0, 0.0, dict(values), raise_stopped=True)
        return [(float(time), each) for time, each in parsed if isinstance(time, int | float)]

    def _at(self, time: float, action: Callable[[], object]) -> None:
        def act(_scheduler: abc.SchedulerBase, _state: object = None) -> None:
            action()

        self.scheduler.schedule_absolute(time, act)

    @staticmethod
    def _step(
        session: FakeSession[MessageT], notification: Notification[Any], values: Mapping[Any, MessageT | str | bytes]
    ) -> Callable[[], object]:
        match notification:
            case OnCompleted():
                return session.end
            case OnError():
                return partial(session.end, ABNORMAL_CLOSURE)
            case OnNext(value="O"):
                return session.open
            case OnNext(value="X"):
                return session.lose
            case OnNext(value=name):
                return partial(session.receive, values.get(name, values.get(str(name), str(name))))
            case _:
                raise ValueError(f"{notification} is nothing that a session tells")

    def _failure(self, expectation: _Expectation) -> str:
        expected = self._parsed(expectation.diagram, expectation.values)
        got = [(float(each.time), cast("Notification[Any]", each.value)) for each in expectation.observer.messages]
        same = len(expected) == len(got) and all(
            wanted[0] == found[0] and _is_as(found[1], wanted[1], expectation.error)
            for wanted, found in zip(expected, got, strict=True)
        )
        if same:
            return ""
        names = _Names(expectation.values)
        drawn = _drawn((time, names.of(each)) for time, each in got)
        lines = [
            "the stream did not emit what the diagram says",
            f"expected: {expectation.diagram.replace(' ', '') or 'nothing'}",
            f"got:      {drawn}",
            *(f"  {name} is {value!r}" for name, value in names.made.items()),
            *(f"  {names.of(each)} came at {time:g}" for time, each in got if not time.is_integer()),
        ]
        return "\n".join(lines)


def _is_as(found: Notification[Any], wanted: Notification[Any], error: type[Exception]) -> bool:
    if isinstance(found, OnError) and isinstance(wanted, OnError):
        return isinstance(found.exception, error)
    return found.kind == wanted.kind and bool(found.kind != "N" or found.value == wanted.value)


class _Names:
    """What the values of a stream are called in a diagram.

    Attributes:
        made: The values that had no name, by those that they were given.
    """

    def __init__(self, values: Mapping[Any, Any]) -> None:
        self._values = values
        self.made: dict[str, object] = {}

    def of(self, notification: Notification[Any]) -> str:
        match notification:
            case OnCompleted():
                return "|"
            case OnError(exception=error):
                self.made["#"] = error
                return "#"
            case _:
                value = notification.value
        for name, known in (*self._values.items(), *self.made.items()):
            if known == value:
                return str(name)
        if isinstance(value, str | int | float) and str(value) and not SPECIAL & set(str(value)):
            return str(value)
        name = f"?{len(self.made) + 1}"
        self.made[name] = value
        return name


def _drawn(told: Iterable[tuple[float, str]]) -> str:
    """Return the diagram of what came, as far as one can: what came in the width of a group stands behind it."""
    columns: dict[int, list[str]] = {}
    for time, name in told:
        columns.setdefault(int(time), []).append(name)
    diagram = ""
    for column, names in columns.items():
        diagram += "-" * (column - len(diagram))
        diagram += names[0] if len(names) == 1 else f"({','.join(names)})"
    return diagram or "nothing"


def marbles() -> Marbles:
    """Begin a test in marble diagrams: a context manager, at whose end the virtual time passes, and all is compared.

    Example:
        >>> with marbles() as test:
        ...     session = test.session(" O-1---2-X--O-3--|")
        ...     prices = session.messages.body.pipe(ops.map(int))
        ...     test.expect(prices, "      --1---2------3--|")
    """
    return Marbles()
