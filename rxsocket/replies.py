"""Replies: which of the messages answers what was asked, in time and on the same connection."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable
from functools import partial
from typing import Any, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from .checks import MAX_SECONDS, check_number
from .deadlines import DEADLINES, Deadline
from .errors import ReplyException, ReplyTimeoutException
from .link import Given, Link, check_function, check_stream, content, failing, shown
from .states import Closed, Connecting, Open, State
from .subjects import Report, guarded, told

__all__ = ["Replies"]

T = TypeVar("T")


class _Ask:
    """Something that was asked, and not answered yet."""

    __slots__ = ("connection", "deadline", "group", "is_open", "key", "message", "observer")

    def __init__(self, message: Given[Any], key: Hashable, group: _Group, observer: abc.ObserverBase[Any]) -> None:
        self.message = message
        self.key = key
        self.group = group
        self.observer = observer
        self.is_open = False  # under the lock of the Replies: whether it waits for its reply
        self.deadline: Deadline | None = None  # written before it is open
        self.connection: int | None = None  # under the link's order: on which it was sent; None: not yet


class _Group:
    """Those that have the same messages and the same key function, which is called once for all of them."""

    __slots__ = ("asks", "key_of", "reading", "report", "source")

    def __init__(self, source: Observable[Any], key_of: Callable[[Any], Hashable], report: Report) -> None:
        self.source = source
        self.key_of = key_of
        self.report = report  # what the function raises
        # Both are written under the lock of the Replies.
        self.asks: dict[Hashable, _Ask] = {}  # none has the key None
        self.reading: abc.DisposableBase | None = None  # of the source; None as well until that is subscribed to


class Replies:
    """All that a session has asked, and was not answered yet.

    Args:
        link: The session.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        # Re-entrant, since what is let go under it may have a finalizer, which disposes of another.
        self._lock = threading.RLock()
        # Under _lock, by source and key function: those that have asks.
        self._groups: dict[tuple[Observable[Any], Callable[[Any], Hashable]], _Group] = {}
        self._watching: abc.DisposableBase | None = None  # under _lock; of the session's states, from the first ask on

    def ask(
        self,
        message: Given[Any],
        source: Observable[T],
        reply: Callable[[T], Hashable],
        key: Hashable,
        timeout: float | None,
    ) -> Observable[T]:
        """Return a cold stream, of which each subscription sends the message, gives the reply, and completes.

        Args:
            message: What to send.
            source: Has the messages.
            reply: Says to which key a message is the reply, None for none; without a key whether it is the reply.
            key: Of this ask; no other with the same source and function may be open with it. None for none.
            timeout: Seconds that the reply may take; None for ever.

        Raises:
            TypeError: An argument is of another type, or the key is not hashable.
            ValueError: The timeout is out of its range.
        """
        check_function("reply", reply)
        check_stream("messages", source)
        check_number("timeout", timeout, float, 0, MAX_SECONDS, above=True, optional=True)
        hash(key)

        def says_yes(message: T) -> bool:
            return bool(reply(message))

        # A function of its own for each that has no key: so none is in another's way.
        consequence = "the message is taken for no reply, and nothing else is affected"
        report = failing(self._link, f"reply={shown(reply)}", consequence)
        key_of, wanted = (says_yes, True) if key is None else (reply, key)

        def subscribe(observer: abc.ObserverBase[T], _scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
            group = _Group(source, key_of, report)
            ask = _Ask(message, wanted, group, observer)
            if timeout is not None:
                ask.deadline = DEADLINES.add(timeout, partial(self._overdue, ask, timeout))
            if not self._add(ask):
                self._call_off(ask)
                observer.on_error(ValueError(f"an ask with the key {key!r} is open already, and has no reply yet"))
                return Disposable()
            # Not before its answer can be heard, and the loss of what it was sent on.
            self._read(ask.group)
            self._watch()
            self._send(ask)
            return Disposable(lambda: self._forget(ask))

        stream: Observable[T] = Observable(subscribe)
        return stream.pipe(guarded(f"ask({shown(message)})", self._link.report_subscriber))

    # --- which are open

    def _add(self, ask: _Ask) -> bool:
        """Open an ask; return False if another has its key."""
        with self._lock:
            ask.group = self._groups.setdefault((ask.group.source, ask.group.key_of), ask.group)
            ask.is_open = ask.group.asks.setdefault(ask.key, ask) is ask
            return ask.is_open

    def _remove(self, ask: _Ask) -> bool:
        """Forget an ask; return whether it was open, so that only one can say how it ended."""
        group = ask.group
        reading = None
        with self._lock:
            if not ask.is_open:
                return False
            ask.is_open = False
            del group.asks[ask.key]
            if not group.asks:
                del self._groups[group.source, group.key_of]
                reading, group.reading = group.reading, None
        self._call_off(ask)
        if reading is not None:
            reading.dispose()
        return True

    def _forget(self, ask: _Ask) -> None:
        self._remove(ask)

    @staticmethod
    def _call_off(ask: _Ask) -> None:
        if ask.deadline is not None:
            DEADLINES.call_off(ask.deadline)

    def _asks_of(self, group: _Group) -> list[_Ask]:
        with self._lock:
            return list(group.asks.values())

    def _open_asks(self) -> list[_Ask]:
        with self._lock:
            return [ask for group in self._groups.values() for ask in group.asks.values()]

    def _read(self, group: _Group) -> None:
        """Subscribe to a group's messages, unless somebody has. When this returns that stands."""
        if group.reading is not None:
            return
        # Another thread may be at the same, and neither waits for the other: so messages may come twice for a moment,
        # of which the second finds nobody.
        reading = group.source.subscribe(
            partial(self._take, group),
            lambda error: self._fail_all(self._asks_of(group), "the messages failed", error),
            partial(self._complete, group),
        )
        with self._lock:
            is_needed = group.reading is None and bool(group.asks)
            if is_needed:
                group.reading = reading
        if not is_needed:
            reading.dispose()

    def _watch(self) -> None:
        """Subscribe to the session's states, unless somebody has. When this returns that stands."""
        if self._watching is not None:
            return
        watching = self._link.state.subscribe(self._changed)
        with self._lock:
            is_first = self._watching is None
            if is_first:
                self._watching = watching
        if not is_first:
            watching.dispose()

    # --- how one ends

    def _take(self, group: _Group, message: Any) -> None:  # noqa: ANN401 whatever the source has
        try:
            ask = group.asks.get(group.key_of(message))
        except BaseException as error:  # noqa: BLE001 it is the user's
            told(error, "ask", group.report)
            return
        if ask is not None and self._remove(ask):
            ask.observer.on_next(message)
            ask.observer.on_completed()

    def _changed(self, state: State) -> None:
        match state:
            case Open():
                for ask in self._open_asks():
                    self._send(ask)
            case Connecting(lost=event) if event is not None:
                # What was asked, and not sent yet, is sent on the next connection; which may be there, if this is late.
                number = event.connection
                lost = [ask for ask in self._open_asks() if ask.connection is not None and ask.connection <= number]
                self._fail_all(lost, f"the connection ended ({_status(event.code, event.reason)})", event.cause)
            case Closed():
                self._close(self._open_asks(), state)
            case _:
                pass

    def _complete(self, group: _Group) -> None:
        asks, state = self._asks_of(group), self._link.current_state
        if isinstance(state, Closed):
            self._close(asks, state)
        else:
            self._fail_all(asks, "no more messages come", None)

    def _close(self, asks: Iterable[_Ask], state: Closed) -> None:
        event = state.event
        self._fail_all(asks, f"the session is closed ({_status(event.code, event.reason)})", event.cause)

    def _fail_all(self, asks: Iterable[_Ask], reason: str, cause: BaseException | None) -> None:
        for ask in asks:
            self._fail(ask, ReplyException, reason, cause)

    def _fail(self, ask: _Ask, kind: type[ReplyException], reason: str, cause: BaseException | None = None) -> None:
        if self._remove(ask):
            error = kind(f"no reply came to {shown(ask.message)}: {reason}")
            error.__cause__ = cause
            ask.observer.on_error(error)

    def _overdue(self, ask: _Ask, timeout: float) -> None:
        where = "" if ask.connection is not None else ", and it was not sent: no connection was open"
        self._fail(ask, ReplyTimeoutException, f"not within {timeout:g} s{where}")

    # --- how it is sent

    def _send(self, ask: _Ask) -> None:
        """Send what asks, if it was not sent yet and there is a connection; otherwise the next opening does."""
        state = self._link.current_state
        if isinstance(state, Closed):
            self._close([ask], state)
        is_heard = ask.group.reading is not None  # otherwise who has opened it sends it in a moment
        if not is_heard or ask.connection is not None or not isinstance(state, Open):
            return
        try:
            message = content(ask.message)
            # So that it is known by which connection's end it is lost, and that only one sends it.
            with self._link.order:
                state = self._link.current_state
                if ask.connection is not None or not isinstance(state, Open) or not ask.is_open:
                    return
                ask.connection = state.event.connection
                self._link.send_if(message, partial(self._is_wanted, ask))
        except Exception as error:  # noqa: BLE001 a SendException, or whatever the user's function raises
            if self._remove(ask):
                ask.observer.on_error(error)

    def _is_wanted(self, ask: _Ask) -> bool:
        """Whether an ask is open, and the connection there that it counts with: who waited for room may be late."""
        state = self._link.current_state
        is_there = isinstance(state, Open) and state.event.connection == ask.connection
        return is_there and ask.is_open


def _status(code: int, reason: str) -> str:
    return f"{code} {reason}".rstrip()
