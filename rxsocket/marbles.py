"""Tests of what is made of a session's streams, in marble diagrams and virtual time."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import count, zip_longest
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeAlias, cast

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
PRIVATE: Final = 0xF0000  # the first of Unicode's plane for private use


_Told: TypeAlias = tuple[float, Notification[Any]]


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

    def __repr__(self) -> str:
        return f"<Marbles at {self.scheduler.clock:g} of {self._end:g} s>"

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
        server close it with 1000, which is the session's end, and ``#`` ends the session by a loss that is final. All
        else are messages, by names, which are as long as no other sign comes between: ``O--a-b--X---O-(c,d)|``. The
        rest is RxPY's: ``-`` is a second, ``( , )`` is one moment, but takes its width, and spaces are nothing.

        Args:
            diagram: What happens.
            values: The messages that the names stand for. A name is looked up as it is written, then as the number that
                it may be; one that is not there is the text itself.
            codec: As :func:`~rxsocket.websocket` takes it.
            reconnect: As :func:`~rxsocket.websocket` takes it. The diagram says when the tries are made; how many in a
                row there are is counted as by a session, and a connection is ``stable`` in the virtual time.

        Raises:
            ValueError: It is no diagram; or ``O`` and ``X`` stand side by side, which is one name.
        """
        session: FakeSession[MessageT] = FakeSession(
            codec=codec, reconnect=reconnect, scheduler=self.scheduler, send_timeout=0.0
        )
        for time, name in self._parsed(diagram):
            where = f"{name!r} at {time:g} in {diagram.replace(' ', '')!r}"
            self._steps.append((time, self._step(session, name, values or {}, where)))
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
            values: The values that the names stand for, as :meth:`session` looks them up; a name that is not in it is
                a number, or the text itself.
            error: Of which kind the error is that ``#`` stands for.

        Raises:
            ValueError: It is no diagram.
        """
        self._parsed(diagram)
        observer: MockObserver[Any] = self.scheduler.create_observer()
        self._expectations.append(_Expectation(stream, diagram, values or {}, error, observer))

    def run(self) -> None:
        """Let the time pass, and compare. At the end of the block it is done so.

        Raises:
            AssertionError: A stream emitted something else; it shows both diagrams, and the first difference.
            RuntimeError: A session can't do what its diagram says; a note has the marble, and its time.
        """
        __tracebackhide__ = True
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
        __tracebackhide__ = True
        if error is None:
            self.run()

    def _parsed(self, diagram: str) -> list[tuple[float, str]]:
        self._end = max(self._end, float(len(diagram.replace(" ", ""))))
        return _marbles(diagram)

    @staticmethod
    def _step(
        session: FakeSession[MessageT], name: str, values: Mapping[Any, MessageT | str | bytes], where: str
    ) -> Callable[[], object]:
        told: dict[str, Callable[[], object]] = {
            "|": session.end,
            "#": partial(session.end, ABNORMAL_CLOSURE),
            "O": session.open,
            "X": session.lose,
        }
        if len(name) > 1 and set(name) <= {"O", "X"} and name not in values:
            raise ValueError(f"{where} is one name, of a message: let each have its own second, -O-X-")
        step = told.get(name) or partial(session.receive, _meant(name, values, name))

        def take() -> None:
            try:
                step()
            except RuntimeError as error:
                error.add_note(f"It is told by {where}")
                raise

        return take

    def _at(self, time: float, action: Callable[[], object]) -> None:
        def act(_scheduler: abc.SchedulerBase, _state: object = None) -> None:
            action()

        self.scheduler.schedule_absolute(time, act)

    def _failure(self, expectation: _Expectation) -> str:
        values = expectation.values
        expected = [(time, _notification(name, values)) for time, name in _marbles(expectation.diagram)]
        got = [(float(each.time), cast("Notification[Any]", each.value)) for each in expectation.observer.messages]
        pairs = list(zip_longest(expected, got))
        difference = next((pair for pair in pairs if not _is_same(*pair, expectation.error)), None)
        if difference is None:
            return ""
        wanted, found = difference
        names = _Names(values, got)
        drawn = _drawn(got, names)
        shown = _marbles(drawn)
        named = [(time, names.of(each)) for time, each in got]
        lines = [
            "the stream did not emit what the diagram says",
            f"expected: {expectation.diagram.replace(' ', '') or 'nothing'}",
            f"got:      {drawn or 'nothing'}",
            *(f"  {name} is {value!r}" for name, value in names.made.items()),
            *(f"  {name} came at {time:g}" for time, name in named if (time, name) not in shown),
            f"the first difference: {_told(found)}, and it was to be {_told(wanted, expectation.error)}",
        ]
        return "\n".join(lines)


def _marbles(diagram: str) -> list[tuple[float, str]]:
    """Return what a diagram has, as it is written, each with its time: names, ``|`` and ``#``."""
    # RxPY's parse makes numbers of what looks like one, "007" and "inf", too: so it is shown their places.
    signs = diagram.replace(" ", "")
    hidden = "".join(sign if sign in SPECIAL else chr(PRIVATE + place) for place, sign in enumerate(signs))
    marbles: list[tuple[float, str]] = []
    for time, notification in parse(hidden, 1.0, raise_stopped=True):
        match notification:
            case OnNext(value=name):
                text = "".join(signs[ord(sign) - PRIVATE] for sign in name)
            case OnError():
                text = "#"
            case _:
                text = "|"
        marbles.append((cast("float", time), text))
    return marbles


def _meant(name: str, values: Mapping[Any, Any], default: object) -> Any:  # noqa: ANN401 whatever it stands for
    """Return what a name stands for, as it is written, or as a number."""
    return values[name] if name in values else values.get(_number(name), default)


def _number(name: str) -> float | str:
    """Return the number that a name is, as RxPY's diagrams have it, or the name."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(name)
    return name


def _notification(name: str, values: Mapping[Any, Any]) -> Notification[Any]:
    match name:
        case "|":
            return OnCompleted()
        case "#":
            return OnError(Exception())
        case _:
            return OnNext(_meant(name, values, _number(name)))


def _is_same(wanted: _Told | None, found: _Told | None, error: type[Exception]) -> bool:
    return wanted is not None and found is not None and wanted[0] == found[0] and _is_as(found[1], wanted[1], error)


def _is_as(found: Notification[Any], wanted: Notification[Any], error: type[Exception]) -> bool:
    if isinstance(found, OnError) and isinstance(wanted, OnError):
        return isinstance(found.exception, error)
    return found.kind == wanted.kind and bool(found.kind != "N" or found.value == wanted.value)


def _told(told: _Told | None, kind: type[Exception] | None = None) -> str:
    match told:
        case None:
            return "nothing more"
        case (time, OnNext(value=value)):
            return f"{value!r} at {time:g}"
        case (time, OnError(exception=error)):
            return f"# ({kind.__name__ if kind else repr(error)}) at {time:g}"
        case (time, _):
            return f"| at {time:g}"


class _Names:
    """What the values of a stream are called in a diagram.

    Attributes:
        made: The values that had no name, or too long a one, by those that they were given; and the error.
    """

    def __init__(self, values: Mapping[Any, Any], told: Iterable[_Told]) -> None:
        self._known: list[tuple[str, object]] = [(str(name), value) for name, value in values.items()]
        self.made: dict[str, object] = {}
        taken = {name for name, _ in self._known} | {str(each.value) for _, each in told if isinstance(each, OnNext)}
        letters = filter(str.isalpha, map(chr, count(ord("A"))))
        self._letters = (letter for letter in letters if letter not in taken)

    def of(self, notification: Notification[Any]) -> str:
        match notification:
            case OnCompleted():
                return "|"
            case OnError(exception=error):
                self.made["#"] = error
                return "#"
            case _:
                value = notification.value
        for name, known in (*self.made.items(), *self._known):
            if known == value:
                return name
        if isinstance(value, str | int | float) and str(value) and not SPECIAL & set(str(value)):
            return str(value)
        return self.letter(value)

    def letter(self, value: object) -> str:
        """Call a value by one letter from now on, and return that."""
        name = next(self._letters)
        self.made[name] = value
        return name


def _drawn(told: Sequence[_Told], names: _Names) -> str:
    """Return the diagram of what came, as far as one can: what came in the width of a group stands behind it."""
    columns: dict[int, list[Notification[Any]]] = defaultdict(list)
    for time, notification in told:
        columns[int(time)].append(notification)
    diagram = ""
    for column, following in zip_longest(columns, list(columns)[1:]):
        notifications = columns[column]
        diagram += "-" * (column - len(diagram))
        if following is not None and len(diagram) + len(_grouped(notifications, names)) > following:
            for each in notifications:
                if isinstance(each, OnNext) and len(names.of(each)) > 1:
                    names.letter(each.value)
        diagram += _grouped(notifications, names)
    return diagram


def _grouped(notifications: Sequence[Notification[Any]], names: _Names) -> str:
    marbles = [names.of(each) for each in notifications]
    return marbles[0] if len(marbles) == 1 else f"({','.join(marbles)})"


def marbles() -> Marbles:
    """Begin a test in marble diagrams: a context manager, at whose end the virtual time passes, and all is compared.

    What goes by the clock and not by a scheduler passes no virtual time: the ``timeout`` of an ``ask``, that of a
    ``send``, and operators to which no scheduler is given. So let an ``ask`` have ``timeout=None`` there, and have an
    ``ops.timeout(5, scheduler=test.scheduler)`` behind it.

    Example:
        >>> with marbles() as test:
        ...     session = test.session(" O-1---2-X--O-3--|")
        ...     prices = session.messages.body.pipe(ops.map(int))
        ...     test.expect(prices, "      --1---2------3--|")
    """
    return Marbles()
