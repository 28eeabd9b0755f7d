"""What sessions, streams, stores and replays look like in a notebook, as texts."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from .drawing import Note, Row, Sheet
from .errors import CassetteException, FunctionException, RxSocketException, SubscriberException
from .glance import mood
from .picture import SheetPicture, Source
from .replaying import Replay
from .states import Closed, Connecting, State
from .stats import Stats
from .store import Store
from .streams import Streams
from .tables import ONLY, cells, columns_of, in_words, keyed, shown

__all__ = ["Badge", "Progress", "Table", "Value"]

ERRORS = 3  # that a badge shows
SPAN = 2.0  # seconds that a rate is of
LEAST_SPAN = 0.5  # seconds of which a rate says anything
PARTS = 50  # rows of a store's value


class Badge(SheetPicture):
    """How a session stands: its state, what goes through it, and what went wrong last."""

    fps = 2.0
    polls = True

    def __init__(self, session: Streams) -> None:
        super().__init__()
        self._session = session
        self._errors = Source(session.errors, ERRORS)
        self._told: deque[str] = deque(maxlen=ERRORS)
        self._samples = deque((session.stats,))  # of the last SPAN seconds
        self._state: State = session.current_state

    def start(self, touch: Callable[[], None]) -> abc.DisposableBase:
        """Listen to the session's errors and states; all else is looked at."""
        states = self._session.state.subscribe(lambda _: touch())
        return CompositeDisposable(states, self._errors.start(touch))

    def absorb(self) -> None:
        """Look at the session, and take in its errors."""
        self._state = self._session.current_state
        self._samples.append(self._session.stats)
        while len(self._samples) > 2 and self._samples[-1].time - self._samples[1].time >= SPAN:  # noqa: PLR2004 a pair
            self._samples.popleft()
        for at, error in self._errors.take():
            self._told.append(f"{datetime.fromtimestamp(at):%H:%M:%S} {_error(error)}")  # noqa: DTZ006 the reader's own

    @property
    def end(self) -> Note | None:
        """The session's end."""
        state = self._state
        if not isinstance(state, Closed):
            return None
        return Note(shown(state.event.summary), mood(state))

    def sheet(self) -> Sheet:
        """Return it as it was found last."""
        stats = self._samples[-1]
        rates = stats.since(self._samples[0])
        facts = [
            ("in", f"{stats.messages_in:,} ({rates.messages_in:,.0f}/s)"),
            ("out", f"{stats.messages_out:,} ({rates.messages_out:,.0f}/s)"),
            ("round trip", "none yet" if stats.round_trip is None else f"{stats.round_trip * 1000:,.1f} ms"),
            ("losses", f"{stats.losses:,}"),
        ]
        facts += [(name, f"{count:,}") for name, count in _troubles(stats) if count]
        return Sheet(shown(self._session.url), mood(self._state), _word(self._state), facts, remarks=list(self._told))


def _word(state: State) -> str:
    match state:
        case Connecting(attempt=attempt) if attempt:
            return f"Connecting, try {attempt}"
        case Closed(event):
            return f"Closed {event.code}"
        case _:
            return type(state).__name__


def _troubles(stats: Stats) -> list[tuple[str, int]]:
    return [
        ("held", stats.held),
        ("let go", stats.dropped),
        ("not decoded", stats.decode_errors),
        ("subscribers' errors", stats.subscriber_errors),
    ]


def _error(error: RxSocketException) -> str:
    is_users = isinstance(error, SubscriberException | FunctionException)
    return shown(f"{type(error).__name__}: {repr(error.__cause__) if is_users else error}")


class Table(SheetPicture):
    """The newest items of a stream, as rows, the newest first."""

    def __init__(self, stream: Observable[Any], count: int, columns: Sequence[str] | None, title: str) -> None:
        super().__init__()
        self._source = Source(stream, count)
        self._columns = columns
        self._title = title
        self._rows: deque[dict[str, str]] = deque(maxlen=count)
        self._new = 0  # how many of the rows came last
        self._rate = _Rate()

    def start(self, touch: Callable[[], None]) -> abc.DisposableBase:
        """Listen to the stream."""
        return self._source.start(touch)

    def absorb(self) -> None:
        """Make rows of the new items."""
        found = self._source.take()
        if found:
            self._new = len(found)
        self._rows.extendleft(cells(item, self._columns) for _, item in found)
        self._rate.count(self._source.count)

    @property
    def end(self) -> Note | None:
        """How the stream has ended."""
        return self._source.end

    def sheet(self) -> Sheet:
        """Return the rows that there are."""
        columns = columns_of(self._rows) if self._columns is None else self._columns
        end = self._source.end
        new = self._new if self._new < len(self._rows) else 0  # where all are, none stands out
        return Sheet(
            self._title,
            "good" if end is None else end.mood,
            "Live" if end is None else "Ended",
            [("items", f"{self._source.count:,}"), ("rate", self._rate.text)],
            columns=["item" if name == ONLY else name for name in columns],
            rows=[Row([row.get(name, "") for name in columns], place < new) for place, row in enumerate(self._rows)],
        )


class _Rate:
    """How much is counted in a second, over the last SPAN seconds."""

    def __init__(self) -> None:
        self._samples = deque(((time.monotonic(), 0),))

    def count(self, total: int) -> None:
        now = time.monotonic()
        self._samples.append((now, total))
        while len(self._samples) > 2 and now - self._samples[1][0] >= SPAN:  # noqa: PLR2004 a pair is needed
            self._samples.popleft()

    @property
    def value(self) -> float:
        (begin, before), (end, after) = self._samples[0], self._samples[-1]
        return (after - before) / (end - begin) if end - begin >= LEAST_SPAN else 0.0

    @property
    def text(self) -> str:
        return f"{self.value:,.0f}/s"


class Value(SheetPicture):
    """A store's value, in parts of which those are marked that have changed last."""

    def __init__(self, store: Store[Any]) -> None:
        super().__init__()
        self._source = Source(store.data, 1)
        self._title = store.id
        self._parts: dict[str, dict[str, str]] = {}
        self._changed: set[str] = set()
        self._count = 0

    def start(self, touch: Callable[[], None]) -> abc.DisposableBase:
        """Listen to the store's values, of which the current one comes at once."""
        return self._source.start(touch)

    def absorb(self) -> None:
        """Compare the newest value with the one that was shown, by what both look like."""
        for _, value in self._source.take():
            pairs, self._count = keyed(value, PARTS)
            parts = {key: cells(part) for key, part in pairs}
            if self._parts:
                self._changed = {key for key, part in parts.items() if self._parts.get(key) != part}
            self._parts = parts

    @property
    def end(self) -> Note | None:
        """How the values have ended, which those of a store do not by themselves."""
        return self._source.end

    def sheet(self) -> Sheet:
        """Return the parts of the value."""
        columns = columns_of(self._parts.values())
        facts = [("changes", f"{max(0, self._source.count - 1):,}")]
        beyond = self._count - len(self._parts)
        return Sheet(
            self._title,
            "good",
            "Store",
            facts,
            columns=["", *("value" if name == ONLY else name for name in columns)],
            rows=[
                Row([key, *(part.get(name, "") for name in columns)], key in self._changed)
                for key, part in self._parts.items()
            ],
            remarks=[f"and {in_words(beyond, 'part')} more"] if beyond > 0 else [],
        )


class Progress(SheetPicture):
    """How far a replay is."""

    fps = 4.0
    polls = True

    def __init__(self, replay: Replay) -> None:
        super().__init__()
        self._replay = replay
        self._speed = _Rate()
        self._state: State = replay.current_state
        try:
            self._duration = replay.duration
        except CassetteException:  # whose damaged line the replay tells of when it comes there
            self._duration = 0.0
        self.absorb()

    def start(self, touch: Callable[[], None]) -> abc.DisposableBase:
        """Listen to nothing, since all of it is looked at."""
        return Disposable()

    def absorb(self) -> None:
        """Look at the replay."""
        self._state = self._replay.current_state
        self._at = self._replay.position
        self._messages = self._replay.stats.messages_in
        self._speed.count(int(self._at * 1e6))

    @property
    def end(self) -> Note | None:
        """The replay's end."""
        state = self._state
        return Note(shown(state.event.summary), "over") if isinstance(state, Closed) else None

    def sheet(self) -> Sheet:
        """Return how far it was when it was looked at last."""
        facts = [
            ("at", f"{self._at:,.1f} of {self._duration:,.1f} s" if self._duration else f"{self._at:,.1f} s"),
            ("messages", f"{self._messages:,}"),
        ]
        is_over = isinstance(self._state, Closed)
        if not is_over:
            facts.append(("speed", f"{self._speed.value / 1e6:,.1f} times"))
        return Sheet(
            shown(self._replay.url),
            mood(self._state),
            _word(self._state),
            facts,
            min(1.0, self._at / self._duration) if self._duration else None,
            "" if is_over else "Stop",
        )

    def press(self) -> None:
        """End the replay."""
        self._replay.close()
