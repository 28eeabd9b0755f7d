"""Waiting for a socket, in a way that another thread can end."""

from __future__ import annotations

import contextlib
import selectors
import socket
from typing import Protocol

__all__ = ["Waiter"]

# poll where the system has it: unlike epoll it costs no descriptor, and unlike select it knows no largest one.
_Selector: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.SelectSelector)


class _HasFileno(Protocol):
    def fileno(self) -> int: ...


class Waiter:
    """Lets one thread wait for one socket at a time; :meth:`wake` ends that from any thread."""

    def __init__(self) -> None:
        self._waker, self._woken = socket.socketpair()
        self._waker.settimeout(0)
        self._woken.settimeout(0)
        self._selector = _Selector()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._interest = 0
        self._sock: _HasFileno | None = None  # the one that is registered, while there is an interest

    def wake(self) -> None:
        """End the wait that is under way, or the next one. From any thread."""
        # A full pipe means that it is woken already; a closed one that nobody waits any more.
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")

    def wait(self, sock: _HasFileno, *, reading: bool, writing: bool, timeout: float | None) -> None:
        """Wait until the socket can be read or written, as asked; or for :meth:`wake`; or for some seconds."""
        interest = (selectors.EVENT_READ if reading else 0) | (selectors.EVENT_WRITE if writing else 0)
        if interest != self._interest:
            # A socket without interest is not watched at all: poll would report a hang-up over and over.
            if not self._interest:
                self._selector.register(sock, interest)
            elif not interest:
                self._selector.unregister(sock)
            else:
                self._selector.modify(sock, interest)
            self._interest = interest
            self._sock = sock if interest else None
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._woken:
                self._woken.recv(4096)

    def forget(self) -> None:
        """Wait for another socket from now on; before the last one is closed. On the thread that waits."""
        if self._sock is not None:
            self._selector.unregister(self._sock)
        self._interest = 0
        self._sock = None

    def close(self) -> None:
        """Give its descriptors back. On the thread that waits."""
        self._selector.close()
        self._waker.close()
        self._woken.close()
