"""A session without a network: its streams tell what it is told."""

from __future__ import annotations

from functools import partial

from .codec import Codec, MessageT
from .errors import RxSocketException
from .gaps import Gap
from .options import Options
from .states import Closed, State
from .streams import Streams
from .subjects import SerialQueue

__all__ = ["SimulatedSession"]


class SimulatedSession(Streams[MessageT]):
    """The streams of a session, which deliver what it is told, one after the other, on the thread that tells.

    It is told from any thread, from its subscribers, too: what comes while it delivers is delivered after that.

    Args:
        url: Where it is said to lead.
        codec: Makes :attr:`received` of the messages; None for what they are.
        paused: Whether to begin paused.
        limits: How much it holds; None for as much as a session does.
    """

    def __init__(
        self,
        url: str,
        codec: Codec[MessageT] | None = None,
        *,
        paused: bool = False,
        limits: Options | None = None,
    ) -> None:
        self._deliveries = SerialQueue()
        limits = limits or Options()
        super().__init__(
            url,
            self._wake,
            codec,
            max_held=limits.max_held,
            max_held_messages=limits.max_held_messages,
            paused=paused,
        )

    # --- by what tells, which says more of it to its users

    def _tell_state(self, state: State) -> None:
        """Make a transition, and tell of it; that to Closed ends all streams.

        Raises:
            RuntimeError: The state may not follow the current one.
        """
        with self._lock:
            self._enter(state)
        self._deliveries.run(self._complete if isinstance(state, Closed) else self._events.drain)

    def _tell_message(self, message: str | bytes, connection: int = 1) -> None:
        """Deliver a message, or hold it.

        Args:
            message: A text, or a binary one.
            connection: The number of the connection that it came through.
        """
        self._deliveries.run(partial(self.messages.deliver, [message], connection))

    def _tell_gap(self, gap: Gap) -> None:
        """Deliver a gap among the messages, or hold it."""
        self._deliveries.run(partial(self.messages.reopen, gap.closed, gap.opened, gap.dropped))
        self._deliveries.run(self.messages.drain)

    def _tell_error(self, error: RxSocketException) -> None:
        """Deliver an error, without a line in the log."""
        self._deliveries.run(partial(self._deliver_error, error))

    def _tell_answer(self, seconds: float) -> None:
        """Tell how long a pong took."""
        self._deliveries.run(partial(self._tell_round_trip, seconds))

    def _wake(self) -> None:
        self._deliveries.run(self.messages.drain)
