"""Topics: what a server sends only to who has subscribed to it by a message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, SerialDisposable, SingleAssignmentDisposable

from .errors import SendException
from .link import Given, Link, check_function, check_stream, content, failing, shown
from .scopes import inside
from .states import Open
from .subjects import SerialQueue, Subject, told

__all__ = ["Topic"]

T = TypeVar("T")


class Topic(Subject[T]):
    """A stream of the messages that match; the server is told while anybody is subscribed, once for all of them.

    Args:
        link: The session.
        source: Has the messages.
        matches: Whether a message is one of the topic's.
        subscribe: What tells the server to send.
        unsubscribe: What tells it to send no more; None where nothing does.

    Raises:
        TypeError: An argument is of another type.
    """

    def __init__(
        self,
        link: Link,
        source: Observable[T],
        matches: Callable[[T], object],
        *,
        subscribe: Given[Any],
        unsubscribe: Given[Any] | None,
    ) -> None:
        check_function("matches", matches)
        check_stream("messages", source)
        super().__init__(f"topic({shown(subscribe)})", link.report_subscriber)
        self._link = link
        self._source = source
        self._subscribe_message = subscribe
        self._unsubscribe_message = unsubscribe
        self._matches = matches
        self._report_matches = failing(
            link, f"matches of {self.name}", "the message is passed over, and nothing else is affected"
        )
        # Each subscription, end of one, and opening puts a look at where things stand: so the server is told one thing
        # after the other, whichever threads are at work. Only these actions touch the two below.
        self._looks = SerialQueue()
        self._reading: CompositeDisposable | None = None  # of the messages, and of the openings
        # Of the messages alone; also who delivers them replaces what is in it.
        self._messages = SerialDisposable()
        self._subscribed_on: int | None = None  # the connection whose server was told to send, and not to stop

    def _subscribe_core(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        subscription = super()._subscribe_core(observer, scheduler)
        self._looks.run(self._look)
        return subscription

    def _remove(self, observer: abc.ObserverBase[T]) -> None:
        super()._remove(observer)
        self._looks.run(self._look)

    def _look(self) -> None:
        """Make of where things stand what they should be."""
        wanted = bool(self.observers)
        if wanted and self._reading is None:
            self._messages = SerialDisposable()
            self._reading = reading = CompositeDisposable(self._messages)
            # Before the server is told: it may answer at once.
            self._read(self._messages)
            with inside(None):
                reading.add(self._link.state.subscribe(lambda _: self._looks.run(self._look)))
            return  # the state that there is brings another look
        if not wanted:
            self._stop_reading()
        state = self._link.current_state
        if not isinstance(state, Open):
            return  # and so does the next opening
        if wanted and self._subscribed_on != state.event.connection:
            sent_on = self._tell(self._subscribe_message, "subscribe")
            if sent_on is not None:
                self._subscribed_on = sent_on
        elif not wanted and self._subscribed_on == state.event.connection:
            message = self._unsubscribe_message
            if message is None or self._tell(message, "unsubscribe") is not None:
                self._subscribed_on = None

    def _fail(self, error: Exception) -> None:
        # Those who are subscribed then have it; who comes later begins anew, as with the source.
        messages = self._messages
        self.fail_subscribers(error)
        if self.observers:
            # Here, and not by a look, which may have to wait for another thread's: the next message comes at once.
            self._read(messages)
        else:
            self._looks.run(self._stop_reading)
        self._looks.run(self._look)

    def _read(self, messages: SerialDisposable) -> None:
        # One that fails at once has another in its place before this has it.
        messages.disposable = reading = SingleAssignmentDisposable()
        with inside(None):  # it is for all subscribers, in whichever scopes
            reading.disposable = self._source.subscribe(self._take, self._fail, self.on_completed)

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.dispose()
            self._reading = None

    def _take(self, message: T) -> None:
        try:
            is_one = self._matches(message)
        except BaseException as error:  # noqa: BLE001 it is the user's
            told(error, self.name, self._report_matches)
            return
        if is_one:
            self.on_next(message)

    def _tell(self, given: Given[Any], what: str) -> int | None:
        """Send a message, and return the number of the connection; None if it was not sent."""
        try:
            message = content(given)
            # So that another connection can't take the place of the one that is told.
            with self._link.order:
                if not isinstance(self._link.current_state, Open):
                    return None
                self._link.send(message, wait=False)
                state = self._link.current_state
                return state.event.connection if isinstance(state, Open) else None
        except SendException as error:
            # After a loss there is no server to tell, and the next is told when it is there.
            if error.__cause__ is None and isinstance(self._link.current_state, Open):
                failure = SendException(f"{self.name} could not {what}: {error}")
                failure.__cause__ = error
                self._link.report(failure)
        except BaseException as error:  # noqa: BLE001 it is the user's
            consequence = "the server was not told, and is at the next change of who is subscribed, or opening"
            told(error, self.name, failing(self._link, f"{what} of {self.name}", consequence))
        return None
