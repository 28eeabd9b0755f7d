"""What is of use in Jupyter: live views of sessions, streams, stores and replays, output in its cell, bound widgets.

Without the extra ``notebook`` the views are plain HTML, four times a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from reactivex import Observable

from .binding import bind
from .cells import here
from .checks import check_number
from .display import View
from .plotting import By, Plot, Ys
from .replaying import Replay
from .sheets import Badge, Progress, Table, Value
from .store import Store
from .streams import Streams

__all__ = ["View", "bind", "here", "live", "plot", "progress"]

MOST_ROWS = 100


def live(
    source: Streams | Store[Any] | Observable[Any],
    *,
    n: int = 10,
    columns: Sequence[str] | None = None,
    title: str = "",
    fps: float | None = None,
) -> View:
    """Show a session, a store, or the newest items of a stream, as it goes on.

    Of a session: its state, what goes in and out, how far away the server is, and the last errors. Of a store: its
    value, in which what has changed last is marked. Of a stream: a row for each of the last items. All is shown as
    text, cut to what fits.

    Args:
        source: A session, a fake one, a replay, a store, or any stream. It is subscribed to at once.
        n: Of a stream, how many items.
        columns: Of a stream, which fields of an item; None for all, the first 12.
        title: Of a stream, what stands above.
        fps: How many times a second it is drawn, up to 20; 10 unless told, and 2 for a session.

    Returns:
        The view, which is shown where it is the value of a cell.

    Raises:
        TypeError: An argument is of another type.
        ValueError: A number is out of its range.
    """
    match source:
        case Streams():
            return View(Badge(source), fps)
        case Store():
            return View(Value(source), fps)
        case Observable():
            check_number("n", n, int, 1, MOST_ROWS)
            if isinstance(columns, str):
                raise TypeError(f"columns is a list of names, not one: [{columns!r}]")
            return View(Table(source, n, columns, title), fps)
        case _:
            raise TypeError(f"live shows a session, a store or a stream, not {type(source).__name__}")


def plot(
    source: Observable[Any],
    y: Ys,
    *,
    by: By | None = None,
    x: By | None = None,
    window: float | timedelta = 2000,
    unit: str = "",
    title: str = "",
    fps: float | None = None,
) -> View:
    """Draw lines of a stream's newest items.

    Args:
        source: The stream, which is subscribed to at once.
        y: What is drawn of an item: the name of a field, or a function; or several of them, or a dict of them by the
            names that the lines are to have. A number; or None, or nan, for a gap. Functions are called on the thread
            that draws.
        by: A field's name or a function, for a line for each value that it has; 12 lines at the most.
        x: A field's name or a function, which gives a number or a datetime; None for the time at which an item came.
        window: How many points of each line (an int), or over how long (a float of seconds, or a timedelta, where
            ``x`` is a time): 60,000 points in all, 5,000 of each line with ``by``.
        unit: Of the values.
        title: What stands above; the names of the lines unless told.
        fps: How many times a second it is drawn, up to 20.

    Returns:
        The view, which is shown where it is the value of a cell. What a function raises stops it, and is shown there.

    Raises:
        TypeError: An argument is of another type.
        ValueError: A number is out of its range.
    """
    if not isinstance(source, Observable):
        raise TypeError(f"plot draws a stream, not {type(source).__name__}")
    return View(Plot(source, y, by=by, x=x, window=window, unit=unit, title=title), fps)


def progress(replay: Replay, *, fps: float | None = None) -> View:
    """Show how far a replay is, with a button that ends it.

    Args:
        replay: The replay. Its file is read through, for its length.
        fps: How many times a second it is drawn, up to 20.

    Returns:
        The view, which is shown where it is the value of a cell.

    Raises:
        OSError: The file can't be read.
        TypeError: An argument is of another type.
        ValueError: The number is out of its range.
    """
    if not isinstance(replay, Replay):
        raise TypeError(f"progress shows a replay, not {type(replay).__name__}")
    return View(Progress(replay), fps)
