"""What a session receives, as streams: the message events, their views by content, and the values decoded of it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar, overload

import msgspec
from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable
from reactivex.observer import AutoDetachObserver

from .codec import Codec, Invalid, to_codec
from .errors import DecodeException, HoldException
from .frames import Message
from .gaps import Gap, windowed
from .states import CloseEvent, OpenEvent
from .stats import Counters
from .subjects import Report, SerialQueue, Subject, guarded, told
from .views import Decoded, View

__all__ = ["MessageEvent", "Messages"]

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")

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


class _Listener(NamedTuple):
    """Who is subscribed to a stream of contents, or of values.

    Attributes:
        view: The stream.
        kind: Of the contents that it wants.
        observer: As reactivex makes one of each who subscribes.
    """

    view: View[Any]
    kind: type
    observer: AutoDetachObserver[Any]


class Messages(View[MessageEvent]):
    """A hot stream of the messages of a session, which itself gives the events, with views by content, and of values.

    What arrives before the first subscription to any of them is held, and delivered in order when it comes. They
    complete after the last message. Subscribers are called on the session's thread; when that has ended already, on
    the thread that subscribes or resumes.

    Args:
        report: Is called with a stream's name and the exception when a subscriber raises.
        wake: Asks the session's thread to call :meth:`drain` soon.
        fail: Is called with a HoldException or a DecodeException, and which of its kind it is, from 1.
        counters: Count what comes.
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
        fail: Callable[[HoldException | DecodeException, int], None],
        counters: Counters,
        *,
        max_held: int,
        max_held_messages: int,
        paused: bool,
    ) -> None:
        # Another object after each subscription, end of one, pause or resumption, by whoever made it: so who delivers
        # need only look at this from one message to the next.
        self._arrangement = object()
        super().__init__("messages", report, self._arrived, self._rearrange)
        self._data: View[str | bytes] = View("messages.data", report, self._arrived, self._rearrange)
        self._body: View[str] = View("messages.body", report, self._arrived, self._rearrange)
        self._blob: View[bytes] = View("messages.blob", report, self._arrived, self._rearrange)
        self._array_buffer: View[memoryview] = View("messages.array_buffer", report, self._arrived, self._rearrange)
        self.data: Observable[str | bytes] = self._data
        self.body: Observable[str] = self._body
        self.blob: Observable[bytes] = self._blob
        self.array_buffer: Observable[memoryview] = self._array_buffer
        self._gaps: Subject[Gap] = Subject("messages.with_gaps()", report)
        # Replaced under _lock, never changed in place, as observers are.
        self._decoded: tuple[Decoded[Any], ...] = ()
        self._wake = wake
        self._fail = fail
        self._counters = counters
        self._max_held = max_held
        self._max_held_messages = max_held_messages
        # Two flags that any thread may set, without a lock: who delivers looks at them again when it is woken.
        self._paused = paused
        self._listening = False  # somebody has subscribed once, or holding was given up
        # Only who delivers touches these: the session's thread, and once it has _ended, who runs _drains.
        self._listener: _Listener | None = None  # who is the only one to listen, in this arrangement
        self._listener_of: object = None
        self._held: deque[MessageEvent | Gap] = deque()
        self._held_size = 0
        self._dropped = 0  # how many were let go since that was told
        self._dropped_size = 0
        self._missing = 0  # how many were let go since the last gap
        self._ended = False  # written once, under _handover
        self._handover = threading.Lock()
        self._drains = SerialQueue()

    def with_gaps(self) -> Observable[MessageEvent | Gap]:
        """Return the stream of the messages, with a :class:`Gap` wherever a reconnect may have lost some.

        A gap comes in its place among the messages, also if these are held; when it comes, ``opens`` has told of the
        new connection already, and no message of that has come. For an aggregate that has to begin anew then, say.
        """

        def subscribe(
            observer: abc.ObserverBase[MessageEvent | Gap], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            # First the gaps: that somebody subscribes to the messages lets both go.
            gaps = self._gaps.subscribe(observer.on_next, scheduler=scheduler)
            return CompositeDisposable(gaps, self.subscribe(observer, scheduler=scheduler))

        stream: Observable[MessageEvent | Gap] = Observable(subscribe)
        return stream.pipe(guarded("messages.with_gaps()", self._report))

    def windows(self) -> Observable[Observable[MessageEvent]]:
        """Return a stream with a window for each connection: the stream of its messages, which completes at its end.

        The first comes at the subscription, at once, and each further one with the opening of a connection, which is
        when the one before completes; the last completes with the messages. A window is hot: subscribe to it when it
        comes. Who has subscribed to one gets it to its end, also if no further windows are wanted.
        """
        return windowed(self.with_gaps(), "messages.windows()", self._report)

    @overload
    def decode(self, codec: Codec[A], /, *, invalid: Invalid = ...) -> Observable[A]: ...
    @overload
    def decode(self, a: type[A], /, *, invalid: Invalid = ...) -> Observable[A]: ...
    @overload
    def decode(self, a: type[A], b: type[B], /, *, invalid: Invalid = ...) -> Observable[A | B]: ...
    @overload
    def decode(self, a: type[A], b: type[B], c: type[C], /, *, invalid: Invalid = ...) -> Observable[A | B | C]: ...
    @overload
    def decode(
        self, a: type[A], b: type[B], c: type[C], d: type[D], /, *, invalid: Invalid = ...
    ) -> Observable[A | B | C | D]: ...
    @overload
    def decode(
        self, a: type[A], b: type[B], c: type[C], d: type[D], e: type[E], /, *, invalid: Invalid = ...
    ) -> Observable[A | B | C | D | E]: ...
    @overload
    def decode(self, *types: object, invalid: Invalid = ...) -> Observable[Any]: ...
    def decode(self, *types: object, invalid: Invalid = "skip") -> Observable[Any]:
        """Return the stream of the values of the messages: of JSON from texts, of MessagePack from binary messages.

        It is hot, as the other views are. Each message is decoded once, on the session's thread, however many are
        subscribed, also by other calls for the same: they return the same stream. While nobody is, none is decoded.

        A message that does not decode is a DecodeException in :attr:`Session.errors <rxsocket.Session.errors>`, with
        the message and the path of the field at fault. Of many, the log has the first, second, fourth, and so on.

        Args:
            *types: What to decode to, as :func:`rxsocket.codec_of` takes it; or one :class:`~rxsocket.Codec`.
            invalid: At a message that does not decode, ``"skip"`` goes on with the next, and ``"end"`` ends the stream
                with the DecodeException for those who are subscribed then. Who subscribes later gets what comes later.

        Raises:
            TypeError: There is no type, or msgspec can't decode one, or can't tell them apart.
            ValueError: ``invalid`` is something else.
        """
        codec = to_codec(types)
        new: Decoded[Any] = Decoded(
            codec,
            invalid,
            fail=self._fail,
            report=self._report,
            subscribed=self._arrived,
            unsubscribed=self._rearrange,
        )
        while True:
            # Compared without the lock, since types may have an __eq__ of their own.
            known = self._decoded
            for view in known:
                if view.is_of(codec, invalid):
                    return view
            with self._lock:
                if self._decoded is known:
                    self._decoded = (*known, new)
                    return new

    @property
    def held(self) -> tuple[int, int]:
        """How many messages are held, with the gaps between them, and their size. From any thread."""
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
        self._counters.messages_in += len(messages)
        self._dropped += len(messages)
        self._dropped_size += sum(map(len, messages))

    def tell_dropped(self) -> None:
        """Say how many messages were let go, if any were. On the session's thread."""
        count, size = self._dropped, self._dropped_size
        self._dropped = self._dropped_size = 0
        self._missing += count
        if count:
            self._fail(
                HoldException(
                    f"{count} messages (of size {size}) came at a connection's end, in a pause that held enough, "
                    f"and were let go. Resume sooner, or raise max_held and max_held_messages",
                    count,
                    size,
                ),
                1,
            )

    def reopen(self, closed: CloseEvent, opened: OpenEvent, dropped: int = 0) -> None:
        """Mark where one connection's messages end and another's begin; :meth:`drain` is due after that.

        On the session's thread.

        Args:
            closed: How the one ended.
            opened: The other.
            dropped: How many messages were let go there, beside those that it knows of.
        """
        self._held.append(Gap(closed, opened, self._missing + dropped))
        self._missing = 0
        self._bound()

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
        self._counters.messages_in += len(messages)
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
        """Return the one who is subscribed to a stream of contents or values, if nobody else is to anything."""
        found: _Listener | None = None
        if self.observers or self._array_buffer.observers:
            return None
        streams: list[tuple[View[Any], type]] = [(self._data, object), (self._body, str), (self._blob, bytes)]
        streams += ((view, object) for view in self._decoded)
        for view, kind in streams:
            for observer in view.observers:
                if found is not None or type(observer) is not AutoDetachObserver:
                    return None
                found = _Listener(view, kind, observer)
        return found

    def _deliver_to(self, listener: _Listener, rest: Iterator[Message], arrangement: object) -> bool:
        """Deliver to the only one, past all that is there for several; return False if that has changed meanwhile."""
        view, kind, observer = listener
        # What its own on_next calls, as long as it is subscribed, which the arrangement tells.
        on_next = observer._on_next  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        if isinstance(view, Decoded):
            return self._decode_for(view, on_next, rest, arrangement)
        for message in rest:
            if isinstance(message, kind):
                try:
                    on_next(message)
                except BaseException as error:  # noqa: BLE001 a subscriber may raise anything
                    told(error, view.name, self._report)
                if self._arrangement is not arrangement:
                    return False
        return True

    def _decode_for(
        self, view: Decoded[T], on_next: Callable[[T], None], rest: Iterator[Message], arrangement: object
    ) -> bool:
        """Do the same for who is subscribed to values."""
        from_text, from_binary = view.from_text, view.from_binary
        for message in rest:
            try:
                value = from_text(message) if isinstance(message, str) else from_binary(message)
            except BaseException as error:  # noqa: BLE001 a codec may raise anything
                view.fail(message, error)
            else:
                try:
                    on_next(value)
                except BaseException as error:  # noqa: BLE001 a subscriber may raise anything
                    told(error, view.name, self._report)
            if self._arrangement is not arrangement:
                return False
        return True

    def drain(self) -> None:
        """Deliver what was held, if somebody listens and it is not paused; or have it done by who is at that.

        On the session's thread.
        """
        if self._held:
            self._drains.run(self._drain)

    def _drain(self) -> None:
        """As :meth:`drain`, in its turn."""
        while self._held and self._listening and not self._paused:
            event = self._held.popleft()
            if isinstance(event, Gap):
                self._gaps.on_next(event)
                continue
            self._held_size -= len(event.data)
            self._emit(event.data, event.connection)

    def _hold(self, messages: list[Message], connection: int) -> None:
        for message in messages:
            self._held.append(MessageEvent(message, connection))
            self._held_size += len(message)
        self.drain()
        self._bound()

    def _bound(self) -> None:
        """Let go what is held, if that is too much and nobody seems to listen."""
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
        for view in self._decoded:
            if view.observers:
                view.deliver(message)

    def complete(self) -> None:
        """Complete all streams after what is still held, whenever that goes. On the thread that ends the session."""
        with self._handover:
            self._ended = True
        self._drains.run(self._drain_and_complete)

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
            self._drains.run(self._drain_and_complete)
        else:
            self._wake()

    def _drain_and_complete(self) -> None:
        self._drain()
        if not self._held:
            streams: list[View[Any]] = [self, self._data, self._body, self._blob, self._array_buffer, *self._decoded]
            for stream in streams:
                stream.on_completed()

    def _let_go(self) -> None:
        messages = sum(isinstance(event, MessageEvent) for event in self._held)
        size = self._held_size
        self._held.clear()
        self._held_size = 0
        self._listening = True
        if not messages:
            return  # of gaps alone; but they take room, too
        self._fail(
            HoldException(
                f"{messages} messages (of size {size}) came before anybody had subscribed, and were let go; what comes "
                f"goes to who is subscribed then. Subscribe sooner, or connect(paused=True) and resume()",
                messages,
                size,
            ),
            1,
        )
