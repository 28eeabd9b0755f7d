"""A cold stream: it has a session while somebody is subscribed to it, one for all."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from .errors import ConnectionException
from .session import Session
from .states import Closed, EndException
from .subjects import Stream

__all__ = ["Cold"]

T = TypeVar("T")


@dataclass(eq=False)
class _Run(Generic[T]):
    """A session, while it is shared."""

    session: Session[Any]
    stream: Observable[T]
    subscribers: int = 0  # under the stream's _lock
    failure: Exception | None = None  # what on_open raised; written on the session's thread, before it closes


class Cold(Stream[T]):
    """Connects when the first subscribes, and closes when the last disposes; who comes after that has another session.

    Args:
        prepare: Returns a session that has not begun to connect.
        select: Returns the stream of a session that is passed on.
        on_open: Is called with the session at each opening, or None.
    """

    def __init__(
        self,
        prepare: Callable[[], Session[Any]],
        select: Callable[[Session[Any]], Observable[T]],
        on_open: Callable[[Session[Any]], object] | None,
    ) -> None:
        super().__init__()
        self._prepare = prepare
        self._select = select
        self._on_open = on_open
        self._lock = threading.Lock()
        self._run: _Run[T] | None = None  # under _lock: what a newcomer shares

    def _subscribe_core(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        try:
            with self._lock:
                run = self._run = self._run or self._prepared()
                run.subscribers += 1
        except ConnectionException as error:
            observer.on_error(error)
            return Disposable()
        subscription = run.stream.subscribe(observer.on_next, observer.on_error, partial(self._ended, run, observer))
        with contextlib.suppress(ConnectionException):  # the session is Closed by it, so the stream has told
            run.session.start()
        return Disposable(partial(self._leave, run, subscription))

    def _prepared(self) -> _Run[T]:
        session = self._prepare()
        run = _Run(session, self._select(session))
        if self._on_open is not None:
            session.opens.subscribe(partial(self._opened, run, self._on_open))
        return run

    def _opened(self, run: _Run[T], on_open: Callable[[Session[Any]], object], _: object) -> None:
        try:
            on_open(run.session)
        except Exception as error:  # noqa: BLE001 it may raise anything, and goes to who is subscribed
            run.failure = error
            run.session.close(wait=False)

    def _ended(self, run: _Run[T], observer: abc.ObserverBase[T]) -> None:
        """Tell a subscriber how the session ended, which its messages do not. On the thread that ended it."""
        # First: who subscribes again when it is told has another session.
        with self._lock:
            if self._run is run:
                self._run = None
        state = run.session.current_state
        if run.failure is not None:
            observer.on_error(run.failure)
        elif isinstance(state, Closed) and not state.event.was_orderly:
            observer.on_error(EndException.of(state.event, run.session.url))
        else:
            observer.on_completed()

    def _leave(self, run: _Run[T], subscription: abc.DisposableBase) -> None:
        subscription.dispose()
        with self._lock:
            run.subscribers -= 1
            is_last = run.subscribers == 0
            if is_last and self._run is run:
                self._run = None
        if is_last:
            # Who disposes does not wait: it may be a timeout, of a server that does not answer a close frame either.
            run.session.close(wait=False)
