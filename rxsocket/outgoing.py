"""What is on its way out of a session: bytes that its socket has not taken yet."""

from __future__ import annotations

from .connection import Connection
from .errors import ConnectionException

__all__ = ["Outgoing"]

HIGH_WATER = 1 << 20  # bytes that wait, above which who can wait should


class Outgoing:
    """Frames in the order in which they go out. Not for two threads at once: it is used under its session's lock.

    Args:
        limit: How many bytes may wait at the most, for those who can't wait for room.

    Attributes:
        error: Why nothing can be written any more, once that is so.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = bytearray()
        self.error: ConnectionException | None = None

    def __len__(self) -> int:
        return len(self._bytes)

    @property
    def has_room(self) -> bool:
        """Whether so little waits that another message may join at once."""
        return len(self._bytes) <= HIGH_WATER

    def takes(self, frame: bytes) -> bool:
        """Whether a frame may join, of who can't wait for room."""
        return len(self._bytes) + len(frame) <= self._limit

    def append(self, frame: bytes) -> None:
        """Let a frame join."""
        self._bytes += frame

    def write(self, connection: Connection) -> None:
        """Give the socket what it takes."""
        try:
            while self._bytes and (taken := connection.send(self._bytes)):
                del self._bytes[:taken]
        except ConnectionException as error:
            # What the peer sent before may still be there to be read, so the reader finds the end by itself.
            self.error = error
            self._bytes.clear()

    def clear(self) -> None:
        """Forget what waits."""
        self._bytes.clear()
