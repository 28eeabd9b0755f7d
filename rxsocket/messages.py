"""What a session receives, as streams: the message events, and their views by content."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import msgspec
from reactivex import Observable, abc
from reactivex.observer import AutoDetachObserver

from .errors import HoldException
from .frames import Message
from .subjects import Report, SerialQueue, Subject, told

__all__ = ["MessageEvent", "Messages"]

T = TypeVar("T")

# What a pause holds beyond its limits, of a connection that ends: what the system may still have of it.
MORE_HELD = 8 << 20  # bytes
MORE_HELD_MESSAGES = 100_000


class MessageEvent(msgspec.Struct, frozen=True, gc=False):
    """A message that a session received.

    Attributes:
        data: A str for a text message, bytes for a binary one.
        connection: The number, from 1, of the session's connection that it came through.
    """

    data: str | bytes
    connection: int


class _View(Subject[T]):
    """One of the streams of :class:`Messages`, which wants to know of a subscription once it stands, and of its end."""

    def __init__(
        self, name: str, report: Report, subscribed: Callable[[], None], unsubscribed: Callable[[], None]
    ) -> None:
        super().__init__(name, report)
        self._subscribed = subscribed
        self._unsubscribed = unsubscribed

    def _subscribe_core(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        subscription = super()._subscribe_core(observer, scheduler)
        self._subscribed()
        return subscription

    def _remove(self, observer: abc.ObserverBase[T]) -> None:
        super()._remove(observer)
        self._unsubscribed()


class _Listener(NamedTuple):
    """Who is subscribed to a stream of contents.

    Attributes:
        name: The stream's.
        kind: Of the contents that it wants.
        observer: As reactivex makes one of each who subscribes.
    """

    name: str
    kind: type
    observer: AutoDetachObserver[Any]


class Messages(_View[MessageEvent]):
    """A hot stream of the messages of a session, which itself gives the events, with four views by content.

    What arrives before the first subscription to any of the five is held, and delivered in order when it comes. They
    complete after the last message. Subscribers are called on the session's thread; when that has ended already, on
    the thread that subscribes or resumes.

    Args:
        report: Is called with a stream's name and the exception when a subscriber raises.
        wake: Asks the session's thread to call :meth:`drain` soon.
        fail: Is called with a HoldException.
        max_held: How many bytes (characters, of texts) are held at the most.
        max_held_messages: How many messages are held at the most.
        paused: Whether to begin paused.

    Attributes:
        data: The content of every message, a str or bytes.
        body: The text messages.
        blob: The binary messages, as bytes.
        array_buffer: The binary messages, as a read-only memoryview.

    Source: fritz2's ``Session.messages``, and its ``data``, ``body``, ``blob`` and ``arrayBuffer``.
    """

    def __init__(
        self,
        report: Report,
        wake: Callable[[], None],
        fail: Callable[[HoldException], None],
        *,
        max_held: int,
        max_held_messages: int,
        paused: bool,
    ) -> None:
        # Another object after each subscription, end of one, pause or resumption, by whoever made it: so who delivers
        # need only look at this from one message to the next.
        self._arrangement = object()
        super().__init__("messages", report, self._arrived, self._rearrange)
        self._data: _View[str | bytes] = _View("messages.data", report, self._arrived, self._rearrange)
        self._body: _View[str] = _View("messages.body", report, self._arrived, self._rearrange)
        self._blob: _View[bytes] = _View("messages.blob", report, self._arrived, self._rearrange)
        self._array_buffer: _View[memoryview] = _View("messages.array_buffer", report, self._arrived, self._rearrange)
        self.data: Observable[str | bytes] = self._data
        self.body: Observable[str] = self._body
        self.blob: Observable[bytes] = self._blob
        self.array_buffer: Observable[memoryview] = self._array_buffer
        self._wake = wake
        self._fail = fail
        self._max_held = max_held
        self._max_held_messages = max_held_messages
        # Two flags that any thread may set, without a lock: who delivers looks at them again when it is woken.
        self._paused = paused
        self._listening = False  # somebody has subscribed once, or holding was given up
        # Only who delivers touches these: the session's thread, and once it has _ended, who runs _after_the_end.
        self._listener: _Listener | None = None  # who is the only one to listen, in this arrangement
        self._listener_of: object = None
        self._held: deque[MessageEvent] = deque()
        self._held_size = 0
        self._dropped = 0  # how many were let go since that was told
        self._dropped_size = 0
        self._ended = False  # written once, under _handover
        self._handover = threading.Lock()
        self._after_the_end = SerialQueue()

    @property
    def held(self) -> tuple[int, int]:
        """How many messages are held, and their size. On the session's thread."""
        return len(self._held), self._held_size

    @property
    def is_full(self) -> bool:
        """Whether so much is held by a pause that reading must stop. On the session's thread."""
        return self._paused and (self._held_size >= self._max_held or len(self._held) >= self._max_held_messages)

    @property
    def is_overfull(self) -> bool:
        """Whether a pause holds so much that the end of a connection is not held any more. On the session's thread."""
        return self._paused and (
            self._held_size >= self._max_held + MORE_HELD
            or len(self._held) >= self._max_held_messages + MORE_HELD_MESSAGES
        )

    def drop(self, messages: list[Message]) -> None:
        """Let messages go. On the session's thread."""
        self._dropped += len(messages)
        self._dropped_size += sum(map(len, messages))

    def tell_dropped(self) -> None:
        """Say how many messages were let go, if any were. On the session's thread."""
        count, size = self._dropped, self._dropped_size
        self._dropped = self._dropped_size = 0
        if count:
            self._fail(
                HoldException(
                    f"{count} messages (of size {size}) came at a connection's end, in a pause that held enough, "
                    f"and were let go. Resume sooner, or raise max_held and max_held_messages",
                    count,
                    size,
                )
            )

    def pause(self) -> None:
        """Hold messages from now on; when the bound is reached, reading stops, and TCP holds the rest."""
        self._paused = True
        self._rearrange()

    def resume(self) -> None:
        """Deliver what was held, and go on."""
        self._paused = False
        self._rearrange()
        self._changed()

    def deliver(self, messages: list[Message], connection: int) -> None:
        """Deliver messages, or hold them. On the session's thread."""
        rest = iter(messages)
        while True:
            arrangement = self._arrangement
            if self._held or self._paused or not self._listening:
                self._hold(list(rest), connection)
                return
            if self._listener_of is not arrangement:
                self._listener, self._listener_of = self._only_listener(), arrangement
            listener = self._listener
            if listener is not None:
                if self._deliver_to(listener, rest, arrangement):
                    return
                continue
            for message in rest:
                self._emit(message, connection)
                if self._arrangement is not arrangement:
                    break
            else:
                return

    def _only_listener(self) -> _Listener | None:
        """Return the one who is subscribed to a stream of contents, if nobody else is to anything."""
        found: _Listener | None = None
        if self.observers or self._array_buffer.observers:
            return None
        for view, kind in ((self._data, object), (self._body, str), (self._blob, bytes)):
            for observer in view.observers:
                if found is not None or type(observer) is not AutoDetachObserver:
                    return None
                found = _Listener(view.name, kind, observer)
        return found

    def _deliver_to(self, listener: _Listener, rest: Iterator[Message], arrangement: object) -> bool:
        """Deliver to the only one, past all that is there for several; return False if that has changed meanwhile."""
        name, kind, observer = listener
        # What its own on_next calls, as long as it is subscribed, which the arrangement tells.
        on_next = observer._on_next  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        for message in rest:
            if isinstance(message, kind):
                try:
                    on_next(message)
                except BaseException as error:  # noqa: BLE001 a subscriber may raise anything
                    told(error, name, self._report)
                if self._arrangement is not arrangement:
                    return False
        return True

    def drain(self) -> None:
        """Deliver what was held, if somebody listens and it is not paused. On the session's thread."""
        while self._held and self._listening and not self._paused:
            event = self._held.popleft()
            self._held_size -= len(event.data)
            self._emit(event.data, event.connection)

    def _hold(self, messages: list[Message], connection: int) -> None:
        for message in messages:
            self._held.append(MessageEvent(message, connection))
            self._held_size += len(message)
        self.drain()
        # Looked at in this order, since who began paused subscribes first and resumes then, maybe at this moment.
        unheard = not self._paused and not self._listening
        if unheard and (self._held_size > self._max_held or len(self._held) > self._max_held_messages):
            self._let_go()

    def _emit(self, message: Message, connection: int) -> None:
        if self.observers:
            self.on_next(MessageEvent(message, connection))
        if self._data.observers:
            self._data.on_next(message)
        if isinstance(message, str):
            if self._body.observers:
                self._body.on_next(message)
        else:
            if self._blob.observers:
                self._blob.on_next(message)
            if self._array_buffer.observers:
                self._array_buffer.on_next(memoryview(message))

    def complete(self) -> None:
        """Complete all streams after what is still held, whenever that goes. On the thread that ends the session."""
        with self._handover:
            self._ended = True
        self._after_the_end.run(self._drain_and_complete)

    def _arrived(self) -> None:
        self._listening = True
        self._rearrange()
        self._changed()

    def _rearrange(self) -> None:
        self._arrangement = object()

    def _changed(self) -> None:
        with self._handover:
            ended = self._ended
        if ended:
            self._after_the_end.run(self._drain_and_complete)
        else:
            self._wake()

    def _drain_and_complete(self) -> None:
        self.drain()
        if not self._held:
            for stream in (self, self._data, self._body, self._blob, self._array_buffer):
                stream.on_completed()

    def _let_go(self) -> None:
        messages, size = len(self._held), self._held_size
        self._held.clear()
        self._held_size = 0
        self._listening = True
        self._fail(
            HoldException(
                f"{messages} messages (of size {size}) came before anybody had subscribed, and were let go; what comes "
                f"goes to who is subscribed then. Subscribe sooner, or connect(paused=True) and resume()",
                messages,
                size,
            )
        )
