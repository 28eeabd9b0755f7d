"""Real IPython kernels, whose cells tests run as a notebook does: with the ids of cells, and of those deleted."""

from __future__ import annotations

import asyncio
import os
import queue
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import pytest
from jupyter_client.manager import KernelManager
from jupyter_core.utils import ensure_event_loop
from peers import DEADLINE

OLD = "6.29.5"
"""Of ipykernel: the last version that has a thread's output go out as of the cell that has started the thread."""

ROOT = Path(__file__).parent.parent


class Ran:
    """A cell that was run: which request that was, and how it went."""

    def __init__(self, request: str, reply: dict[str, Any]) -> None:
        self.request = request
        self.status: str = reply["status"]
        self.error: str = reply.get("ename", "")


class Kernel:
    """A kernel, as long as the block of this lasts.

    Args:
        path: Folders that it imports from before all others.
    """

    def __init__(self, path: Sequence[Path] = ()) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*path, ROOT]))}
        self.manager = KernelManager(kernel_name="python3")
        self.manager.shutdown_wait_time = DEADLINE
        self.manager.start_kernel(env=environment, cwd=str(ROOT))
        self._client = self.manager.blocking_client()
        self._client.start_channels()
        try:
            self._client.wait_for_ready(timeout=20)
        except BaseException:
            self.stop()
            raise
        self._seen: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()
        # The loop that jupyter_client runs its coroutines by, of which it makes another when it needs one.
        ensure_event_loop().close()
        asyncio.set_event_loop(None)

    def begin(self, code: str, cell: str | None = None, deleted: Sequence[str] = ()) -> str:
        """Begin to run a cell, and return the id of the request."""
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": False}
        metadata = {"deletedCells": list(deleted)} if cell is None else {"cellId": cell, "deletedCells": list(deleted)}
        message = self._client.session.msg("execute_request", content, metadata=metadata)
        self._client.shell_channel.send(message)
        request: str = message["header"]["msg_id"]
        return request

    def end(self, request: str) -> Ran:
        """Wait until a cell has run; what it and others have put out until then is there."""
        deadline = time.monotonic() + DEADLINE
        while True:
            reply = self._client.get_shell_msg(timeout=deadline - time.monotonic())
            if reply["parent_header"].get("msg_id") == request:
                break
        self._hear(lambda message: message["content"].get("execution_state") == "idle", request)
        return Ran(request, reply["content"])

    def run(self, code: str, cell: str | None = None, deleted: Sequence[str] = ()) -> Ran:
        """Run a cell, which must go well."""
        ran = self.end(self.begin(code, cell, deleted))
        assert ran.status == "ok", self._errors(ran.request)
        return ran

    def value(self, expression: str) -> str:
        """Return what an expression gives, by a cell without an id."""
        ran = self.run(f"print({expression}, flush=True)")
        return self.output(ran.request).strip()

    def output(self, request: str, name: str = "stdout") -> str:
        """Return what has been printed in a cell until now."""
        messages = [each for each in self._seen if each["parent_header"].get("msg_id") == request]
        streams = [each["content"] for each in messages if each["msg_type"] == "stream"]
        return "".join(content["text"] for content in streams if content["name"] == name)

    def displayed(self, request: str) -> list[str]:
        """Return what has been displayed in a cell until now, as text."""
        messages = [each for each in self._seen if each["parent_header"].get("msg_id") == request]
        return [each["content"]["data"]["text/plain"] for each in messages if each["msg_type"] == "display_data"]

    def until(self, condition: Callable[[], bool]) -> None:
        """Take what the kernel puts out, until something is so."""
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < deadline, [(each["msg_type"], each["content"]) for each in self._seen[-9:]]
            try:
                self._seen.append(self._client.get_iopub_msg(timeout=0.05))
            except queue.Empty:
                continue

    def _hear(self, condition: Callable[[dict[str, Any]], bool], request: str) -> None:
        def heard() -> bool:
            mine = (each for each in self._seen if each["parent_header"].get("msg_id") == request)
            return any(condition(message) for message in mine)

        self.until(heard)

    def _errors(self, request: str) -> str:
        messages = [each for each in self._seen if each["parent_header"].get("msg_id") == request]
        return "\n".join("\n".join(each["content"].get("traceback", ())) for each in messages)


def old_ipykernel(folder: Path) -> Path:
    """Install ipykernel as it was, in a folder from which it can be imported."""
    packages = [f"ipykernel=={OLD}", "nest-asyncio"]
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), *packages]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 our own words
    if done.returncode:
        pytest.skip(f"ipykernel {OLD} could not be installed: {done.stderr.strip()}")
    return folder
