"""The sessions of the process: which there are."""

from __future__ import annotations

from typing import Any

from .glance import mood
from .markup import Mood, listed
from .session import Session
from .socket_session import open_sessions

__all__ = ["Sessions", "sessions"]


class Sessions(tuple[Session[Any], ...]):
    """The sessions that there were when :func:`sessions` was called, in the order in which they were started."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "\n".join(map(repr, self)) or "no session is open"

    def _repr_html_(self) -> str:
        rows: list[tuple[Mood, str, str]] = [
            (mood(session.current_state), session.name or "", repr(session)) for session in self
        ]
        return listed(f"{len(self)} open session{'' if len(self) == 1 else 's'}", rows)


def sessions() -> Sessions:
    """Return all sessions of the process that have started and are not Closed. From any thread.

    Example:
        >>> websocket("ws://127.0.0.1:3333/feed").connect(name="feed")
        >>> sessions()
        <Session feed ws://127.0.0.1:3333/feed Open, 3 messages in, 0 out, 2 s>
    """
    return Sessions(open_sessions())
