"""The life of a view: from the cell that shows it to its last picture."""

from __future__ import annotations

import atexit
import logging
import threading
import time
import uuid
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from reactivex.disposable import SerialDisposable
from reactivex.internal import noop

from .checks import check_number
from .drawing import Note
from .picture import Picture
from .pump import PUMP, Pump
from .scopes import owned
from .subjects import SerialQueue
from .tables import shown
from .widget import Screen, publish, screen_of

__all__ = ["View", "freeze_all"]

MOST_FPS = 20
TURN_SECONDS = 2.0  # that a call waits for its turn, after a drawing that is under way
EXIT_SECONDS = 0.5  # for all views together to freeze at the interpreter's exit

_log = logging.getLogger("rxsocket")
_shown_views: dict[View, None] = {}  # under _shown_views_lock: those that were displayed, and are not frozen
_shown_views_lock = threading.Lock()


class View:
    """A live picture in the output of a cell: it is shown where it is a cell's value, or by ``display(view)``.

    It is drawn on a thread that all views share, at a pace of its own, whether a cell runs or not. What delivers only
    leaves its items. When its source ends, it says how, and its last picture stays.

    Args:
        picture: What is drawn.
        fps: How many frames a second at the most, up to 20; None for the picture's own.
        pump: Draws it.

    Raises:
        TypeError: The frames are no number.
        ValueError: They are out of their range.
    """

    def __init__(self, picture: Picture, fps: float | None = None, pump: Pump = PUMP) -> None:
        check_number("fps", fps, float, 0, MOST_FPS, above=True, optional=True)
        self._picture = picture
        self._pump = pump
        self._display_id = uuid.uuid4().hex
        self._turns = SerialQueue()  # of all that looks at the picture, which may call functions of the user's
        self._subscription = SerialDisposable()
        self._screen: Screen | None = None  # written once, by who displays it
        self._is_over = False  # written in a turn
        self._is_frozen = False  # written in a turn
        self._release: Callable[[], None] = noop  # from the cell's scope
        self._turn = pump.add(partial(self._turns.run, self._draw), 1 / (fps or picture.fps))
        try:
            self._subscription.disposable = picture.start(self._turn.touch)
        except BaseException:
            self._turn.end()
            raise
        again = Note("its cell was run again", "over")
        self._release = owned(partial(self._turns.run, partial(self._freeze, again)))

    def stop(self) -> None:
        """End its subscription; the last picture stays, as long as the kernel does. From any thread, again, too."""
        self._in_turn(partial(self._end, Note("stopped", "over")))

    def freeze(self, why: str = "frozen") -> None:
        """Stop, and replace the output by a picture that needs neither a kernel nor trust. From any thread, again, too.

        So it is in the notebook that is saved, and in what ``nbconvert`` makes of it. After the page was loaded anew
        the page does not know the output any more: what is saved then is the picture of its first showing.

        Args:
            why: Is told below the picture.
        """
        self._in_turn(partial(self._freeze, Note(why, "over")))

    def __repr__(self) -> str:
        return f"<View {type(self._picture).__name__}{' stopped' if self._is_over else ''}>"

    def _ipython_display_(self) -> None:
        if self._screen is None:
            self._screen = screen_of(self._picture.kind, self._display_id, self._refresh, self._picture.press)
        if not self._is_frozen:
            with _shown_views_lock:
                _freeze_at_exit()
                _shown_views[self] = None
        bundle: dict[str, Any] = {"text/plain": repr(self)}
        self._in_turn(lambda: bundle.update(self._still()))
        if not self._is_frozen:
            bundle.update(self._screen.bundle())
        publish(bundle, self._display_id, False)  # noqa: FBT003
        self._turn.touch()

    # --- in turn

    def _in_turn(self, action: Callable[[], None]) -> None:
        """Do something after what is being done with the picture, and wait for that; not in a drawing itself."""
        done = threading.Event()

        def act() -> None:
            try:
                action()
            finally:
                done.set()

        self._turns.run(act)
        if not self._pump.is_here:
            done.wait(TURN_SECONDS)

    def _still(self) -> dict[str, Any]:
        if not self._is_over:
            self._absorb()
        return {"text/plain": self._picture.text(), "text/html": self._picture.html()}

    def _draw(self) -> None:
        if self._is_over or self._absorb():
            return
        try:
            is_shown = self._show(last=False)
        except Exception as error:  # noqa: BLE001 it may be a kernel that is about to end
            self._fail(error)
            return
        if self._picture.polls or not is_shown:
            self._turn.touch()

    def _absorb(self) -> bool:
        """Take in what is new; return whether that was the end."""
        try:
            self._picture.absorb()
        except Exception as error:  # noqa: BLE001 it calls functions of the user's
            self._fail(error)
            return True
        end = self._picture.end
        if end is not None:
            self._finish(end)
        return end is not None

    def _fail(self, error: Exception) -> None:
        _log.warning("a view was stopped, since it raised", exc_info=error)
        self._finish(Note(shown(f"stopped, since it raised {type(error).__name__}: {error}"), "bad"))

    def _show(self, *, last: bool) -> bool:
        return self._screen is None or self._screen.show(self._picture, last=last)

    def _show_last(self) -> None:
        try:
            self._show(last=True)
        except Exception:  # noqa: BLE001 it may be the screen that raises, and this the end of it
            _log.warning("the last picture of a view can't be shown", exc_info=True)

    def _end(self, note: Note) -> None:
        if not self._is_over and not self._absorb():
            self._finish(note)

    def _finish(self, note: Note) -> None:
        self._is_over = True
        self._picture.note = note
        self._turn.end()
        self._subscription.dispose()
        self._release()
        self._show_last()

    def _freeze(self, note: Note) -> None:
        self._end(note)
        if self._is_frozen:
            return
        self._is_frozen = True
        with _shown_views_lock:
            _shown_views.pop(self, None)
        # The widget stays, too, without news: a page that was loaded anew does not know the output, and shows that.
        if self._screen is not None:
            publish(self._still(), self._display_id, True)  # noqa: FBT003

    def _refresh(self) -> None:
        """Draw all for a browser that needs it, also after the end."""
        if self._is_over:
            self._turns.run(self._show_last)
        else:
            self._turn.touch()


@cache
def _freeze_at_exit() -> None:
    # What is registered last is done first: so the views freeze before the sessions close, and say nothing of that.
    atexit.register(freeze_all)


def freeze_all(timeout: float = EXIT_SECONDS) -> None:
    """Freeze all views that are shown, as happens at the interpreter's exit.

    Args:
        timeout: Seconds after which no further one is begun.
    """
    deadline = time.monotonic() + timeout
    with _shown_views_lock:
        views = list(_shown_views)
    for view in views:
        if time.monotonic() > deadline:
            return
        view.freeze("the kernel has ended")
