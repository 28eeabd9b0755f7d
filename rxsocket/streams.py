"""What there is to hear of a session, as streams: its life, its messages, and what went wrong."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property, partial
from typing import Any, Generic, cast

from msgspec import structs
from reactivex import Observable, abc

from .codec import Codec, MessageT
from .errors import (
    DecodeException,
    FunctionException,
    HoldException,
    RxSocketException,
    SendException,
    SubscriberException,
)
from .glance import glance, glance_html
from .lifecycle import Lifecycle
from .messages import Messages
from .sampling import sampled
from .states import Closed, Closing, Connecting, Open, State
from .stats import ConnectionFigures, Counters, Rates, Stats
from .subjects import SerialQueue, Subject, guarded

__all__ = ["Streams"]

logger = logging.getLogger("rxsocket")


class Streams(Lifecycle, Generic[MessageT]):
    """What there is to hear of a session, whatever tells of it: a connection, a recording, or a test.

    A function of this works with a :class:`~rxsocket.Session`, with a :class:`~rxsocket.Replay`, and with a
    ``FakeSession``. With a codec it is a ``Streams[T]`` of the codec's values; without one, of ``str | bytes``.

    Args:
        url: Where it is to lead, as it is shown.
        wake: Asks the thread that delivers the messages to call ``messages.drain()`` soon.
        codec: Makes :attr:`received` of the messages; None for what they are.
        max_held: How many bytes of messages (characters, of texts) are held at the most.
        max_held_messages: How many messages are held at the most.
        paused: Whether to begin paused.

    Attributes:
        messages: What the server sends. Completes after the last message.
        errors: What went wrong, each a :class:`~rxsocket.RxSocketException`: a connection that failed or was lost, a
            subscriber that raised, a message that is not what it should be. It does not end the other streams; it is
            not replayed, but logged too (logger ``rxsocket``).
        round_trips: The seconds between each ping of this side and its pong: those of ``ping_interval``, sent while
            nothing comes, and those of :meth:`~rxsocket.Session.ping`.
    """

    def __init__(
        self,
        url: str,
        wake: Callable[[], None],
        codec: Codec[MessageT] | None,
        *,
        max_held: int,
        max_held_messages: int,
        paused: bool,
    ) -> None:
        super().__init__(self.report_subscriber)
        self._codec = codec
        self._url = url  # written by the thread that delivers
        self._counters = Counters()
        self._reports = SerialQueue()
        self._errors: Subject[RxSocketException] = Subject("errors", _log_subscriber)
        self.errors: Observable[RxSocketException] = self._errors
        self._round_trips: Subject[float] = Subject("round_trips", self.report_subscriber)
        self.round_trips: Observable[float] = self._round_trips
        self.messages = Messages(
            self.report_subscriber,
            wake,
            self.report,
            self._counters,
            max_held=max_held,
            max_held_messages=max_held_messages,
            paused=paused,
        )

    def __repr__(self) -> str:
        return glance(self._title, self.url, self._state, self.stats)

    def _repr_html_(self) -> str:
        return glance_html(self._title, self.url, self._state, self.stats)

    @property
    def _title(self) -> str:
        """What it is, as pictures of it are headed."""
        return type(self).__name__

    @property
    def url(self) -> str:
        """Where it leads, after redirects, without user and password."""
        return self._url

    @cached_property
    def received(self) -> Observable[MessageT]:
        """What the codec makes of the messages, as :meth:`Messages.decode` tells; without one, ``messages.data``."""
        codec = self._codec
        stream: Observable[Any] = self.messages.data if codec is None else self.messages.decode(codec)
        return cast("Observable[MessageT]", stream)

    @property
    def stats(self) -> Stats:
        """What it has done so far, in figures, and how things stand. From any thread.

        It takes the lock that a send takes, for a moment, so that what was sent and what waits fit together.
        """
        counters, messages = self._counters, self.messages
        with self._lock:
            now = time.monotonic()
            connection = self._connection_figures(now)
            messages_in = counters.messages_in  # before the bytes: so none is there without its own
            held, held_size = messages.held
            return Stats(
                time=now,
                messages_in=messages_in,
                messages_out=counters.frames_out + connection.answers - counters.controls_out,
                bytes_in=counters.bytes_in,
                bytes_out=counters.bytes_out,
                held=held,
                held_size=held_size,
                outgoing=connection.outgoing,
                dropped=counters.dropped,
                decode_errors=counters.decode_errors,
                subscriber_errors=counters.subscriber_errors,
                tries=counters.tries,
                connections=counters.connections,
                losses=counters.losses,
                round_trip=counters.round_trip,
                uptime=connection.uptime,
                idle=connection.idle,
            )

    def _connection_figures(self, _now: float) -> ConnectionFigures:
        """Return how things stand with the connection. Under _lock."""
        return ConnectionFigures()

    def stats_every(self, seconds: float = 1.0, *, scheduler: abc.SchedulerBase | None = None) -> Observable[Stats]:
        """Return a cold stream of :attr:`stats`: at the subscription, then at equal intervals, and at Closed.

        It completes after the last. :meth:`rates_every` tells how much went between them.

        Args:
            seconds: The interval.
            scheduler: In whose time, and on whose thread, they come; None for that of who subscribes, or else for
                threads of RxPY's ``TimeoutScheduler``. The last comes on the session's thread.

        Raises:
            TypeError: An argument is of another type.
            ValueError: The interval is out of its range.
        """
        stream = sampled(lambda: self.stats, self.state, seconds, scheduler)
        return stream.pipe(guarded("stats_every()", self.report_subscriber))

    def rates_every(self, seconds: float = 1.0, *, scheduler: abc.SchedulerBase | None = None) -> Observable[Rates]:
        """Return a cold stream of how much goes in each second, over one interval after the other.

        It completes at Closed. Of the last interval, which ends then, it tells only where that is half of one at least:
        in a few milliseconds a close frame alone makes high figures.

        Args:
            seconds: The interval.
            scheduler: As :meth:`stats_every` takes it. Its time is that of the rates, too.

        Raises:
            TypeError: An argument is of another type.
            ValueError: The interval is out of its range.
        """
        samples = sampled(lambda: self.stats, self.state, seconds, scheduler)

        def subscribe(observer: abc.ObserverBase[Rates], given: abc.SchedulerBase | None = None) -> abc.DisposableBase:
            clock = scheduler or given
            earlier: Stats | None = None

            def take(stats: Stats) -> None:
                nonlocal earlier
                if clock is not None:
                    stats = structs.replace(stats, time=clock.to_seconds(clock.now))
                rates = None if earlier is None else stats.since(earlier)
                # One that is too short, since the sample before it was late, is told of with the next.
                if rates is None or rates.seconds >= seconds / 2:
                    earlier = stats
                    if rates is not None:
                        observer.on_next(rates)

            return samples.subscribe(take, observer.on_error, observer.on_completed, scheduler=given)

        return Observable(subscribe).pipe(guarded("rates_every()", self.report_subscriber))

    def _enter(self, state: State) -> None:
        was_open = isinstance(self._state, Open | Closing)
        super()._enter(state)
        end = state.event if isinstance(state, Closed) else state.lost if isinstance(state, Connecting) else None
        if isinstance(state, Open):
            self._counters.connections += 1
        elif was_open and end is not None and not end.was_clean:
            self._counters.losses += 1

    def report(self, error: RxSocketException, count: int = 1) -> None:
        """Log an error, and deliver it to the subscribers of :attr:`errors`. From any thread.

        Args:
            error: What went wrong.
            count: Which of its kind it is, from 1: of many the log has the first, the second, the fourth, and so on.
        """
        # A peer that sends nothing else must not fill the log.
        if count & (count - 1) == 0:
            self._log_error(error, count)
        self._deliver_error(error)

    def _log_error(self, error: RxSocketException, count: int) -> None:
        raised = error.__cause__ if isinstance(error, SubscriberException | FunctionException) else None
        if isinstance(raised, SendException):  # of a subscriber that answers, after a close: it needs no traceback
            self._log(logging.WARNING, f"{error} ({raised})")
        else:
            others = f" ({count} times so far; not all are logged)" if count > 1 else ""
            self._log(logging.WARNING, f"{error}{others}", raised)

    def pause(self) -> None:
        """Hold messages from now on. When ``max_held`` is reached reading stops, so that the server has to wait.

        That a peer is gone is found out all the same (see ``ping_interval``): what it sent is held, too, as much as the
        system has of it. From any thread.
        """
        self.messages.pause()

    def resume(self) -> None:
        """Deliver what was held, and go on. From any thread.

        What was held comes on the session's own thread; once the session is Closed, on this one.
        """
        self.messages.resume()

    def _complete(self) -> None:
        """Tell of the end, and complete all streams. By who made the transition to Closed."""
        with ExitStack() as stack:  # each is done, the last first, whatever a subscriber raises: SystemExit, say
            stack.callback(self._reports.run, self._errors.on_completed)
            stack.callback(self._reports.run, self._round_trips.on_completed)
            stack.callback(self._events.run, self._states.on_completed)
            stack.callback(self._complete_messages)

    def _complete_messages(self) -> None:
        self.messages.complete()

    def report_subscriber(self, stream: str, error: BaseException) -> None:
        """Report what a subscriber of a stream raised. From any thread."""
        failure = SubscriberException(stream)
        failure.__cause__ = error
        self.report(failure)

    def _deliver_error(self, error: RxSocketException) -> None:
        self._reports.run(partial(self._count_and_tell, error))

    def _count_and_tell(self, error: RxSocketException) -> None:
        match error:
            case DecodeException():
                self._counters.decode_errors += 1
            case SubscriberException():
                self._counters.subscriber_errors += 1
            case HoldException():
                self._counters.dropped += error.messages
            case _:
                pass
        self._errors.on_next(error)

    def _tell_round_trip(self, seconds: float) -> None:
        self._counters.round_trip = seconds
        self._round_trips.on_next(seconds)

    def _log(self, level: int, text: str, raised: BaseException | None = None) -> None:
        logger.log(level, "%s%s", "" if self.url in text else f"{self.url}: ", text, exc_info=raised)


def _log_subscriber(stream: str, error: BaseException) -> None:
    logger.error("a subscriber of %s raised", stream, exc_info=error)
