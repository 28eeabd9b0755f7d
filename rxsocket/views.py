"""The streams of a session's messages, one by one: they tell of their subscribers, and some decode."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from reactivex import abc

from .codec import Codec, Invalid, TypesCodec, check_invalid, undecodable
from .errors import DecodeException
from .frames import Message
from .subjects import Report, Subject, told

__all__ = ["Decoded", "View"]

T = TypeVar("T")


class View(Subject[T]):
    """One of the streams of a session's messages, which wants to know of subscriptions and of their ends."""

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


class Decoded(View[T]):
    """What a codec makes of the messages, each decoded once for all who are subscribed.

    Args:
        codec: Decodes.
        invalid: What to do at a message that does not.
        fail: Is called with the exception, and which of this stream it is, from 1.

    Attributes:
        from_text: Decodes a text.
        from_binary: Decodes a binary message.
    """

    def __init__(
        self,
        codec: Codec[T],
        invalid: Invalid,
        *,
        fail: Callable[[DecodeException, int], None],
        report: Report,
        subscribed: Callable[[], None],
        unsubscribed: Callable[[], None],
    ) -> None:
        check_invalid(invalid)
        self._codec = codec
        self._invalid = invalid
        self._fail = fail
        self._failures = 0  # written by who delivers
        if isinstance(codec, TypesCodec):
            name = self._expected = codec.name
            # Past the codec's own method: what it adds would be a tenth of what a small message costs.
            self.from_text, self.from_binary = codec.from_text, codec.from_binary
        else:
            name = type(codec).__name__
            self._expected = f"message of {name}"
            self.from_text = self.from_binary = codec.decode
        super().__init__(f"messages.decode({name})", report, subscribed, unsubscribed)

    def is_of(self, codec: Codec[Any], invalid: Invalid) -> bool:
        """Whether it is the stream for a codec, the same or of equal types, and for what to do at a failure."""
        mine = self._codec
        if isinstance(mine, TypesCodec) and isinstance(codec, TypesCodec):
            return bool(mine.type == codec.type) and invalid == self._invalid  # the format is of what is sent
        return codec is mine and invalid == self._invalid

    def deliver(self, message: Message) -> None:
        """Decode a message, and deliver its value. By who delivers."""
        try:
            value = self.from_text(message) if isinstance(message, str) else self.from_binary(message)
        except BaseException as error:  # noqa: BLE001 a codec may raise anything
            self.fail(message, error)
        else:
            self.on_next(value)

    def fail(self, message: Message, error: BaseException) -> None:
        """Tell what a codec raised for a message. By who delivers."""
        told(error, self.name, partial(self._tell, message))

    def _tell(self, message: Message, _: str, error: BaseException) -> None:
        failure = undecodable(self._expected, message, error)
        self._failures += 1
        self._fail(failure, self._failures)
        if self._invalid == "end":
            self.fail_subscribers(failure)
