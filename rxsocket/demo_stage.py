"""What the demo's steps stand on: how they wait, what they show, and what is closed after them (extra ``demo``)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from reactivex import Observable

from .chat import ChatMessage
from .demo_view import Board
from .session import Session
from .states import Closed, CloseEvent, Closing, Open, State
from .store import Store
from .updates import Change

__all__ = ["FellShort", "Stage", "ended", "logged", "told"]

T = TypeVar("T")

DEADLINE = 1.5  # seconds for what a step waits for
LIMIT = 12.0  # seconds after which nothing waits any more, so that the end comes within 15
READ = 0.25  # seconds to read a line of code before it runs
LOOK = 0.3  # seconds to look at what came of it


class FellShort(Exception):
    """A step did not show what it should; the message says what was missing."""


class Stage:
    """What the steps have in common: the board, how they wait, and what is to be closed after them."""

    def __init__(self, board: Board, *, paced: bool) -> None:
        self.board = board
        self._others = set(threading.enumerate())
        self._sessions: list[Session] = []
        self._ends: list[Callable[[], None]] = []
        self._paced = paced
        self._limit = time.monotonic() + LIMIT
        self._never = threading.Event()

    def show(self, code: str) -> None:
        """Show a line of code that is about to run, and leave the time to read it."""
        self.board.code(code)
        self._pause(READ)

    def look(self) -> None:
        """Leave the time to look at what has happened."""
        self._pause(LOOK)

    def expect(self, stream: Observable[T], wanted: Callable[[T], bool], what: str) -> T:
        """Return the first value of a stream that is wanted.

        Raises:
            FellShort: It did not come in time.
        """
        found: Future[T] = Future()

        def compare(value: T) -> None:
            if not found.done() and wanted(value):
                found.set_result(value)

        with stream.subscribe(compare):
            try:
                return found.result(self._at_most(DEADLINE))
            except TimeoutError:
                raise FellShort(f"{what} did not come in time") from None

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until a condition holds that no stream tells of.

        Raises:
            FellShort: It did not in time.
        """
        end = time.monotonic() + self._at_most(DEADLINE)
        while not holds():
            if time.monotonic() > end:
                raise FellShort(f"{what} did not come in time")
            self._never.wait(0.02)

    def follow(self, who: str, session: Session) -> list[str]:
        """Show a session's life, wait until it is Open, and return the names of its states, which go on to grow."""
        states: list[str] = []
        self._sessions.append(session)
        self.at_the_end(session.close)

        def changed(state: State) -> None:
            states.append(type(state).__name__)
            self.board.event("·", who, f"{_described(state)} {urlsplit(session.url).path}")

        session.state.subscribe(changed)
        self.expect(session.opens, lambda _: True, f"{who}'s connection")
        return states

    def watch(self, owner: str, store: Store[Any]) -> None:
        """Show a store's values from now on, and for each change whether it came over the network."""

        def changed(change: Change[Any]) -> None:
            values = dict(_by_path(change.value))
            new = self.board.paper(owner, values)
            arrow = "→" if change.origin is None else "←"  # the origin of what came in is the sync
            self.board.event(arrow, owner, ", ".join(f"{path} = {values[path]}" for path in values if path in new))

        self.board.paper(owner, dict(_by_path(store.current)))
        store.changes.subscribe(changed)

    def overhear(self, listener: str, heard: Store[list[ChatMessage]]) -> None:
        """Show each message of the chat that a listener hears."""

        def changed(change: Change[list[ChatMessage]]) -> None:
            message = change.value[-1]
            notice = {"JOINING": "joins", "LEAVING": "leaves"}.get(message.type)
            self.board.said(message.created, message.member, notice or message.content, notice=notice is not None)
            self.board.event("←", listener, f"{message.type} {message.member}: {message.content}".rstrip(": "))

        heard.changes.subscribe(changed)

    def threads(self) -> list[threading.Thread]:
        """Return the threads of the hub and the sessions that are still alive."""
        return [t for t in threading.enumerate() if t.name.startswith("rxsocket") and t not in self._others]

    def at_the_end(self, close: Callable[[], None]) -> None:
        """Have something closed at the end, whatever the steps come to; what was told first is closed last."""
        self._ends.append(close)

    def close(self) -> None:
        """Close whatever is still open."""
        for close in reversed(self._ends):
            try:
                close()
            except Exception as error:  # noqa: BLE001 the others are to be closed all the same
                self.board.event("!", "", told(error))

    def closes(self) -> list[CloseEvent]:
        """Wait until all sessions are Closed, and return how they ended.

        Raises:
            FellShort: One did not in time.
        """
        return [self.expect(session.closes, lambda _: True, f"the end of {session}") for session in self._sessions]

    def _pause(self, seconds: float) -> None:
        if self._paced:
            self._never.wait(self._at_most(seconds))

    def _at_most(self, seconds: float) -> float:
        return max(0.0, min(seconds, self._limit - time.monotonic()))


class _BoardHandler(logging.Handler):
    def __init__(self, board: Board) -> None:
        super().__init__(logging.WARNING)
        self._board = board

    def emit(self, record: logging.LogRecord) -> None:
        self._board.event("!", "", record.getMessage())


@contextmanager
def logged(board: Board) -> Generator[None]:
    """Show what rxsocket logs, so what went wrong, on the board for the time of a ``with`` block."""
    logger = logging.getLogger("rxsocket")
    on_board, propagated = _BoardHandler(board), logger.propagate
    logger.addHandler(on_board)
    logger.propagate = False  # it would be written over the picture
    try:
        yield
    finally:
        logger.propagate = propagated
        logger.removeHandler(on_board)


def _described(state: State) -> str:
    match state:
        case Open(event):
            return "Open" if event.protocol is None else f"Open ({event.protocol})"
        case Closing(initiator):
            return f"Closing by the {initiator}"
        case Closed(event):
            return f"Closed {ended(event)}"
        case _:
            return type(state).__name__


def ended(event: CloseEvent) -> str:
    """Return how a session ended, in words."""
    reason = f" {event.reason!r}" if event.reason else ""
    return f"{event.code}{reason} by the {event.initiator}"


def told(error: Exception) -> str:
    """Return an error, in words."""
    return str(error) if isinstance(error, FellShort) else f"{type(error).__name__}: {error}"


def _by_path(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Give each value that is none of further ones, as a text, with the path that leads to it."""
    if not isinstance(value, msgspec.Struct):
        yield path, str(value)
        return
    for name in value.__struct_fields__:
        yield from _by_path(getattr(value, name), f"{path}.{name}" if path else name)
