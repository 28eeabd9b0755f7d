"""A Python kernel of Jupyter's, and what its cells tell a front end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Self

from jupyter_client.manager import KernelManager
from peers import DEADLINE

STARTING = 25.0  # seconds
Message = dict[str, Any]


class Kernel:
    """A kernel, as long as the block of this lasts.

    Attributes:
        heard: What it has told so far.
    """

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self._manager = KernelManager()
        self._manager.start_kernel()
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=STARTING)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop_channels()
        if self._manager.has_kernel:
            self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()

    def begin(self, code: str) -> str:
        """Run a cell, and return the id of the request."""
        return self._client.execute(code)

    def run(self, code: str) -> list[Message]:
        """Run a cell to its end, and return what was told meanwhile."""
        start = len(self.heard)
        request = self.begin(code)
        self.until(lambda message: is_idle(message, request))
        errors = [each["content"]["evalue"] for each in self.heard[start:] if each["msg_type"] == "error"]
        assert not errors, errors
        return self.heard[start:]

    def until(self, wanted: Callable[[Message], object]) -> Message:
        """Listen until something is told, and return that."""
        end = time.monotonic() + DEADLINE
        while True:
            message: Message = self._client.get_iopub_msg(timeout=max(0.0, end - time.monotonic()))
            self.heard.append(message)
            if wanted(message):
                return message

    def say(self, comm_id: str, content: object) -> None:
        """Tell a widget something, as a front end does."""
        data = {"comm_id": comm_id, "data": {"method": "custom", "content": content}}
        self._client.shell_channel.send(self._client.session.msg("comm_msg", data))

    def shut_down(self) -> None:
        """Ask it to end."""
        self._client.shutdown()


def is_idle(message: Message, request: str) -> bool:
    """Whether a request is done with."""
    is_state = message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"
    return is_state and message["parent_header"].get("msg_id") == request


def frame_of(message: Message) -> dict[str, Any] | None:
    """Return the frame that a message has for a widget; None if it has none."""
    if message["msg_type"] != "comm_msg":
        return None
    return message["content"]["data"].get("content")
