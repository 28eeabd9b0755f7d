"""A comm without a kernel, and a shell without one: what a front end would hear, and how it answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import comm
import pytest
from comm.base_comm import BaseComm
from peers import DEADLINE


class RecordingComm(BaseComm):
    """Keeps what is sent through it, and gives what a front end says to the widget."""

    made: list[RecordingComm] = []  # noqa: RUF012 of all, as the package's own

    def __init__(self, *args: Any, **keywords: Any) -> None:
        self.published: list[tuple[str, dict[str, Any], list[bytes]]] = []  # under _changed
        self._changed = threading.Condition()
        self.answer: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda _: None
        super().__init__(*args, **keywords)
        self.made.append(self)

    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys) -> None:
        with self._changed:
            self.published.append((msg_type, data or {}, buffers or []))
            self._changed.notify_all()
        frame = (data or {}).get("content")
        answer = None if frame is None else self.answer(frame)
        if answer is not None:
            self.hear(answer)

    def hear(self, content: dict[str, Any]) -> None:
        """Have the front end say something."""
        self.handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})

    @property
    def frames(self) -> list[dict[str, Any]]:
        """The frames so far, each with its buffers."""
        with self._changed:
            return [{**data["content"], "buffers": buffers} for _, data, buffers in self.published if "content" in data]

    def wait(self, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait for a frame, and return it."""
        with self._changed:
            in_time = self._changed.wait_for(lambda: any(map(wanted, self.frames)), DEADLINE)
        assert in_time, self.frames
        return next(filter(wanted, self.frames))


def drawn_at_once(frame: dict[str, Any]) -> dict[str, Any]:
    """What a quick browser answers."""
    return {"drawn": frame["number"]}


class Shell:
    """IPython's, as far as cells go."""

    def __init__(self) -> None:
        self.events = SimpleNamespace(register=self._register, trigger=lambda *_: None)
        self._callbacks: dict[str, list[Callable[[object], None]]] = {}

    def _register(self, name: str, callback: Callable[[object], None]) -> None:
        self._callbacks.setdefault(name, []).append(callback)

    def tell(self, name: str) -> None:
        for callback in self._callbacks[name]:
            callback(None)


@contextmanager
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[RecordingComm]]:
    """Make the comms of widgets such ones, which are all closed at the end."""
    made: list[RecordingComm] = []
    monkeypatch.setattr(RecordingComm, "made", made)
    monkeypatch.setattr(comm, "create_comm", RecordingComm)
    yield made
    import ipywidgets  # noqa: PLC0415 it is slow to import

    ipywidgets.Widget.close_all()
