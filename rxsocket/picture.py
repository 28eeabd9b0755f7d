"""What all pictures of a notebook have in common: a source, which only leaves what came, and a shape to be drawn."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar

import msgspec
from reactivex import Observable, abc

from .drawing import Note, Sheet, note_html, sheet_html
from .tables import shown

__all__ = ["Frame", "Picture", "SheetPicture", "Source"]

T = TypeVar("T")

Frame = tuple[dict[str, Any], list[bytes]]
"""What a browser is sent: what JSON can say, and buffers."""


class Source(Generic[T]):
    """The newest items of a stream, each with the time at which it came, for who looks at them now and again.

    Args:
        stream: Is subscribed to by :meth:`start`.
        bound: How many wait at the most to be looked at; the oldest are let go.
    """

    def __init__(self, stream: Observable[T], bound: int) -> None:
        self._stream = stream
        self._waiting: deque[tuple[float, T]] = deque(maxlen=bound)  # appended to by who delivers
        self.count = 0  # how many came; written by who delivers
        self.end: Note | None = None  # written once, by who delivers

    def start(self, touch: Callable[[], None]) -> abc.DisposableBase:
        """Subscribe; ``touch`` is called after each item, and at the end, on the thread that delivers."""

        def on_next(item: T) -> None:
            self._waiting.append((time.time(), item))
            self.count += 1
            touch()

        def on_error(error: Exception) -> None:
            text = str(error)
            self.end = Note(f"ended with {type(error).__name__}" + (f": {shown(text)}" if text else ""), "bad")
            touch()

        def on_completed() -> None:
            self.end = Note("completed", "over")
            touch()

        return self._stream.subscribe(on_next, on_error, on_completed)

    def take(self) -> list[tuple[float, T]]:
        """Return what came since the last call. On one thread at a time."""
        # One by one, since another thread may append meanwhile.
        found: list[tuple[float, T]] = []
        for _ in range(len(self._waiting)):
            found.append(self._waiting.popleft())  # noqa: PERF401 what the loop's end hangs on is not what it goes over
        return found


class Picture(ABC):
    """What a view shows of its source. All but :meth:`start` is called by one thread at a time, and under no lock.

    Attributes:
        kind: What draws it in the browser.
        fps: How many frames a second it has, unless told.
        polls: Whether it changes without a touch.
        note: What it says about itself, where it goes on no more; written by the view, which is its only owner.
    """

    kind: ClassVar[str]
    fps: ClassVar[float] = 10.0
    polls = False

    def __init__(self) -> None:
        self.note: Note | None = None

    @abstractmethod
    def start(self, touch: Callable[[], None]) -> abc.DisposableBase:
        """Begin to listen; ``touch`` says that something is new."""

    @abstractmethod
    def absorb(self) -> None:
        """Take in what is new. This alone calls functions of the user's."""

    @property
    @abstractmethod
    def end(self) -> Note | None:
        """How the source has ended; None while it goes on."""

    @abstractmethod
    def frame(self, *, whole: bool) -> Frame | None:
        """Return what a browser is to be told next, or all; None if nothing has changed."""

    @abstractmethod
    def html(self) -> str:
        """Return it as it is now, as HTML that stands still."""

    @abstractmethod
    def text(self) -> str:
        """Return what it is, in a line."""

    def press(self) -> None:
        """Do what its button says. On the thread that hears it."""
        raise NotImplementedError(f"{type(self).__name__} has no button")


class SheetPicture(Picture):
    """A picture in texts, all of which are in each frame."""

    kind = "sheet"

    def __init__(self) -> None:
        super().__init__()
        self._shown: Sheet | None = None

    @abstractmethod
    def sheet(self) -> Sheet:
        """Return it as it is now."""

    def frame(self, *, whole: bool) -> Frame | None:
        """Return the sheet, unless it was the last one, too."""
        sheet = self.sheet()
        if sheet == self._shown and not whole:
            return None
        self._shown = sheet
        return msgspec.to_builtins(sheet), []

    def html(self) -> str:
        """Return the sheet as HTML."""
        return sheet_html(self.sheet()) + note_html(self.note)

    def text(self) -> str:
        """Return the head of the sheet."""
        sheet = self.sheet()
        facts = ", ".join(f"{name} {text}" for name, text in sheet.facts)
        return f"{sheet.word} {sheet.title}" + (f" ({facts})" if facts else "")
