"""Where a session stands, now and as streams."""

from __future__ import annotations

import operator
import threading
from functools import cached_property, partial
from typing import cast

import reactivex.operators as ops
from reactivex import Observable

from .loops import Changes
from .states import Closed, CloseEvent, Connecting, Open, OpenEvent, State, transition
from .subjects import BehaviorSubject, Report, SerialQueue, guarded

__all__ = ["Lifecycle"]


class Lifecycle:
    """A state that only makes legal transitions, and its streams, which complete at Closed.

    Args:
        report: Is called with a stream's name and the exception when a subscriber raises.

    Attributes:
        state: Where it stands: begins with the current state.
    """

    def __init__(self, report: Report) -> None:
        self._report_lifecycle = report
        # Guards all that is marked so. Never held while a subscriber is called. Reentrant, for a signal's handler that
        # closes or sends while the main thread sends.
        self._lock = threading.RLock()
        self._changed = Changes(self._lock)  # tells of changes of what _lock guards
        self._state: State = Connecting()  # written under _lock
        # Put under _lock, so in the order of the transitions, and drained without it.
        self._events = SerialQueue()
        self._states: BehaviorSubject[State] = BehaviorSubject(self._state, "state", report)
        self.state: Observable[State] = self._states

    @property
    def current_state(self) -> State:
        """The state now."""
        return self._state

    @cached_property
    def is_connecting(self) -> Observable[bool]:
        """Whether the state is Connecting, now and at each change."""
        return self._is(Connecting)

    @cached_property
    def is_open(self) -> Observable[bool]:
        """Whether the state is Open, now and at each change."""
        return self._is(Open)

    @cached_property
    def is_closed(self) -> Observable[bool]:
        """Whether the state is Closed, now and at each change."""
        return self._is(Closed)

    @cached_property
    def opens(self) -> Observable[OpenEvent]:
        """The event of each opening; who subscribes while it is open gets it at once."""
        return self._states.pipe(
            ops.filter(lambda state: isinstance(state, Open)),
            ops.map(lambda state: cast("Open", state).event),
            guarded("opens", self._report_lifecycle),
        )

    @cached_property
    def closes(self) -> Observable[CloseEvent]:
        """The event of each connection's end; who subscribes before the next opens gets it at once.

        ``closes.run()`` waits for that of the session's end.
        """

        def end(state: State) -> CloseEvent | None:
            return state.event if isinstance(state, Closed) else state.lost if isinstance(state, Connecting) else None

        ends: Observable[CloseEvent | None] = self._states.pipe(ops.map(end))
        return ends.pipe(
            ops.filter(lambda event: event is not None),
            ops.map(lambda event: cast("CloseEvent", event)),
            # All tries to make the next connection have it.
            ops.distinct_until_changed(comparer=operator.is_),
            guarded("closes", self._report_lifecycle),
        )

    @cached_property
    def retries(self) -> Observable[Connecting]:
        """The state of each try of the policy to connect again: which, in how many seconds, and why."""
        return self._states.pipe(
            ops.filter(lambda state: isinstance(state, Connecting) and state.attempt > 0),
            ops.map(lambda state: cast("Connecting", state)),
            guarded("retries", self._report_lifecycle),
        )

    def _is(self, kind: type[State]) -> Observable[bool]:
        def is_kind(state: State) -> bool:
            return isinstance(state, kind)

        kinds: Observable[bool] = self._states.pipe(ops.map(is_kind))
        return kinds.pipe(
            ops.distinct_until_changed(),
            guarded(f"is_{kind.__name__.lower()}", self._report_lifecycle),
        )

    def _is_interrupted(self) -> bool:
        """Tell whether this thread has the lock already, since it is in a signal's handler, amid something else."""
        return bool(getattr(self._lock, "_is_owned")())  # noqa: B009 threading's own, and Condition's

    def _enter(self, state: State) -> None:
        """Make a transition. Under _lock; :meth:`SerialQueue.drain` of the events is due after that."""
        self._state = transition(self._state, state)
        self._events.put(partial(self._states.on_next, state))
        self._changed.notify_all()
