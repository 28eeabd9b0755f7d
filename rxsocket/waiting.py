"""Waiting for a socket, in a way that another thread can end."""

from __future__ import annotations

import contextlib
import math
import select
import socket

__all__ = ["Waiter"]


class _SelectPoll:
    """What a Waiter needs of select.poll, for systems that have only select."""

    def __init__(self) -> None:
        self._events: dict[int, int] = {}

    def register(self, descriptor: int, events: int) -> None:
        self._events[descriptor] = events

    def unregister(self, descriptor: int) -> None:
        del self._events[descriptor]

    def poll(self, milliseconds: float | None) -> list[tuple[int, int]]:
        readers = [each for each, events in self._events.items() if events & READABLE]
        writers = [each for each, events in self._events.items() if events & WRITABLE]
        ready = select.select(readers, writers, [], None if milliseconds is None else milliseconds / 1000)
        return [(each, READABLE) for each in ready[0]] + [(each, WRITABLE) for each in ready[1]]


# poll where the system has it: unlike epoll it costs no descriptor, and unlike select it knows no largest one.
_poll = getattr(select, "poll", _SelectPoll)
READABLE: int = getattr(select, "POLLIN", 1)
WRITABLE: int = getattr(select, "POLLOUT", 4)
ENDED: int = getattr(select, "POLLERR", 0) | getattr(select, "POLLHUP", 0)


class Waiter:
    """Lets one thread wait for one socket at a time; :meth:`wake` ends that from any thread.

    Attributes:
        has_ended: Whether the socket was found to have ended in both directions: it can be read to its end. Where the
            system has only select, that is not known. Written by the thread that waits.
    """

    def __init__(self) -> None:
        self._waker, self._woken = socket.socketpair()
        self._waker.settimeout(0)
        self._woken.settimeout(0)
        self._poll = _poll()
        self._wake_descriptor = self._woken.fileno()
        self._poll.register(self._wake_descriptor, READABLE)
        self._registered: tuple[int, int] | None = None  # the descriptor that is waited for, and for what
        self.has_ended = False

    def wake(self) -> None:
        """End the wait that is under way, or the next one. From any thread."""
        # A full pipe means that it is woken already; a closed one that nobody waits any more.
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")

    def wait(self, descriptor: int | None, *, reading: bool, writing: bool, timeout: float | None) -> bool:
        """Wait until a socket can be read or written, as asked, or has ended; or for :meth:`wake`; or some seconds.

        Returns:
            Whether it was not the time that ended it.
        """
        events = (READABLE if reading else 0) | (WRITABLE if writing else 0)
        wanted = None if descriptor is None else (descriptor, events)
        if wanted != self._registered:
            self._unregister()
            if wanted is not None:
                self._poll.register(*wanted)
            self._registered = wanted
        ready = self._poll.poll(None if timeout is None else max(0, math.ceil(timeout * 1000)))
        for each, found in ready:
            if each == self._wake_descriptor:
                self._woken.recv(4096)
            elif found & ENDED:
                self.has_ended = True
        return bool(ready)

    def forget(self) -> None:
        """Wait for another socket from now on; before the last one is closed. On the thread that waits."""
        self._unregister()
        self.has_ended = False

    def _unregister(self) -> None:
        if self._registered is not None:
            self._poll.unregister(self._registered[0])
            self._registered = None

    def close(self) -> None:
        """Give its descriptors back. On the thread that waits."""
        self._waker.close()
        self._woken.close()
