"""Where a view is seen: a widget in the browser (extra ``notebook``), or HTML that is replaced."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from .flow import Flow
from .picture import Picture

__all__ = ["HtmlScreen", "Screen", "WidgetScreen", "publish", "screen_of"]

STATIC = Path(__file__).with_name("static")
HTML_SECONDS = 0.25  # between two pictures of HTML, which a notebook takes longer to show

Bundle = dict[str, Any]
Publish = Callable[[Bundle, str, bool], None]


def publish(bundle: Bundle, display_id: str, update: bool) -> None:  # noqa: FBT001 as a Publish is called
    """Show something in the cell that runs, or instead of what was shown by that id."""
    from IPython.display import (  # noqa: PLC0415 it is there where notebooks are
        publish_display_data,  # pyright: ignore[reportUnknownVariableType]
    )

    publish_display_data(bundle, transient={"display_id": display_id}, update=update)  # type: ignore[no-untyped-call]


class Screen(ABC):
    """Where a picture is seen, by as many as look at it."""

    @abstractmethod
    def bundle(self) -> Bundle:
        """Return what a notebook needs to show it, beside the picture as it is."""

    @abstractmethod
    def show(self, picture: Picture, *, last: bool) -> bool:
        """Show a picture; return whether it has done so: it may be too early. The last one is shown in any case."""


class HtmlScreen(Screen):
    """A piece of HTML in the output of a cell, which is replaced by the next."""

    def __init__(self, display_id: str, publish: Publish) -> None:
        self._display_id = display_id
        self._publish = publish
        self._shown = ""
        self._at = 0.0

    def bundle(self) -> Bundle:
        """Return nothing."""
        return {}

    def show(self, picture: Picture, *, last: bool) -> bool:
        """Replace what was shown, four times a second at the most."""
        now = time.monotonic()
        if now - self._at < HTML_SECONDS and not last:
            return False
        html = picture.html()
        if html != self._shown:
            self._at = now
            self._shown = html
            self._publish({"text/html": html, "text/plain": picture.text()}, self._display_id, True)  # noqa: FBT003
        return True


class _Cells:
    """Knows whether a cell runs, so that the thread which hears browsers is busy."""

    def __init__(self, shell: Any) -> None:  # noqa: ANN401 IPython's, which has no types
        self.is_running = True  # written by the main thread; who makes this does so in a cell
        shell.events.register("pre_run_cell", self._begin)
        shell.events.register("post_run_cell", self._end)

    def _begin(self, _info: object) -> None:
        self.is_running = True

    def _end(self, _result: object) -> None:
        self.is_running = False


@cache
def _cells() -> _Cells:
    from IPython.core.getipython import get_ipython  # noqa: PLC0415 it is there where notebooks are

    return _Cells(get_ipython())


@cache
def _widget_class() -> type[Any] | None:
    """The class of all widgets; None where the extra is not installed."""
    try:
        import anywidget  # noqa: PLC0415 heavy, and an extra
        import traitlets  # noqa: PLC0415 it comes with that
    except ImportError:
        return None

    class View(anywidget.AnyWidget):
        _esm = STATIC / "view.js"
        _css = STATIC / "view.css"
        kind = traitlets.Unicode().tag(sync=True)

    return View


class WidgetScreen(Screen):
    """A widget, which draws frames in the browser and tells which it has drawn.

    Args:
        widget: Is sent them.
        refresh: Is called when a browser needs all, on the thread that hears it.
        press: Is called when somebody pressed the picture's button, likewise.
        is_busy: Says whether the thread that hears browsers has something else to do.
    """

    def __init__(
        self,
        widget: Any,  # noqa: ANN401 ipywidgets has no types
        refresh: Callable[[], None],
        press: Callable[[], None],
        is_busy: Callable[[], bool],
    ) -> None:
        self._widget = widget
        self._refresh = refresh
        self._press = press
        self._is_busy = is_busy
        self._flow = Flow()
        widget.on_msg(self._hear)

    def bundle(self) -> Bundle:
        """Return the widget."""
        model = {"version_major": 2, "version_minor": 0, "model_id": self._widget.model_id}
        return {"application/vnd.jupyter.widget-view+json": model}

    def show(self, picture: Picture, *, last: bool) -> bool:
        """Send what is new, unless browsers lag behind."""
        kind = "whole" if last else self._flow.next(time.monotonic(), hears=not self._is_busy())
        if kind is None:
            return False
        frame = picture.frame(whole=kind == "whole")
        if frame is not None:
            content, buffers = frame
            note = None if picture.note is None else msgspec.to_builtins(picture.note)
            head = {"number": self._flow.count(), "whole": kind == "whole", "note": note}
            self._widget.send({**head, "picture": content}, buffers)
        return True

    def _hear(self, _widget: object, content: Mapping[str, object], _buffers: object) -> None:
        match content:
            case {"drawn": int(number)}:
                self._flow.drawn(number)
            case {"ask": True}:
                self._flow.ask()
                self._refresh()
            case {"press": True}:
                self._press()
            case _:
                pass


def screen_of(
    kind: str, display_id: str, refresh: Callable[[], None], press: Callable[[], None], publish: Publish = publish
) -> Screen:
    """Make a screen for a picture of a kind: a widget, where that is installed. In a cell."""
    widget_class = _widget_class()
    if widget_class is None:
        return HtmlScreen(display_id, publish)
    cells = _cells()
    return WidgetScreen(widget_class(kind=kind), refresh, press, lambda: cells.is_running)
