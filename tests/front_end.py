"""What a front end has to do with the widgets of a kernel: it hears their frames, and answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kernels import Kernel

Message = dict[str, Any]


class FrontEnd(Kernel):
    """A kernel, with what a front end hears of it and says to it."""

    def told_by(self, code: str, cell: str | None = None) -> list[Message]:
        """Run a cell, which must go well, and return what was told meanwhile."""
        start = len(self._seen)
        self.run(code, cell)
        return self._seen[start:]

    def next(self, wanted: Callable[[Message], object]) -> Message:
        """Listen until something is told, and return that."""
        start = len(self._seen)
        self.until(lambda: any(map(wanted, self._seen[start:])))
        return next(filter(wanted, self._seen[start:]))

    def say(self, comm_id: str, content: object) -> None:
        """Tell a widget something."""
        data = {"comm_id": comm_id, "data": {"method": "custom", "content": content}}
        self._client.shell_channel.send(self._client.session.msg("comm_msg", data))

    def shut_down(self) -> None:
        """Ask the kernel to end."""
        self._client.shutdown()


def frame_of(message: Message) -> dict[str, Any] | None:
    """Return the frame that a message has for a widget; None if it has none."""
    if message["msg_type"] != "comm_msg":
        return None
    return message["content"]["data"].get("content")
