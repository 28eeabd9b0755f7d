"""What goes back and forth through a session: values by its codec, topics, and replies to what is asked."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from typing import Any, TypeVar, overload

from reactivex import Observable

from .codec import MessageT, Sendable
from .encoding import content_of
from .link import Given, check_given
from .replies import Replies
from .streams import Streams
from .topics import Topic

__all__ = ["Exchange"]

R = TypeVar("R")


class Exchange(Streams[MessageT]):
    """The part of a session that stands on its streams and on ``send``, whatever these stand on."""

    def _begin_exchange(self) -> None:
        """By who makes it, once."""
        codec = self._codec
        self._encode = None if codec is None else codec.encode
        self._replies = Replies(self)

    @property
    def order(self) -> AbstractContextManager[object]:
        """Is held while a message takes its place in what is sent: for who must know what was sent before what came."""
        return self._lock

    @abstractmethod
    def send(self, message: Sendable[MessageT], *, wait: bool = True) -> None:
        """Send a message."""

    @abstractmethod
    def send_if(self, message: Sendable[MessageT], is_wanted: Callable[[], bool]) -> None:
        """Send a message, if it is wanted still when its turn comes."""

    def _content_of(self, message: object) -> object:
        return content_of(message, self._encode)

    @overload
    def topic(
        self,
        *,
        subscribe: Given[Sendable[MessageT]],
        unsubscribe: Given[Sendable[MessageT]] | None = None,
        matches: Callable[[MessageT], object],
    ) -> Observable[MessageT]: ...

    @overload
    def topic(
        self,
        *,
        subscribe: Given[Sendable[MessageT]],
        unsubscribe: Given[Sendable[MessageT]] | None = None,
        matches: Callable[[R], object],
        messages: Observable[R],
    ) -> Observable[R]: ...

    def topic(
        self,
        *,
        subscribe: Given[Sendable[MessageT]],
        unsubscribe: Given[Sendable[MessageT]] | None = None,
        matches: Callable[[Any], object],
        messages: Observable[Any] | None = None,
    ) -> Observable[Any]:
        """Return a stream of what the server sends to who has subscribed by a message, once for all its subscribers.

        That message is sent when the first subscribes, or as soon as a connection is open; and on each further
        connection, right after its opening, as long as anybody is subscribed. The other is sent when the last has
        unsubscribed. Nothing waits for a connection: what would be said to one that is lost is not said at all. So
        keep the stream that this returns: each call makes a topic of its own.

        Args:
            subscribe: The message that tells the server to send; or a function that returns it, and is called each
                time, on the thread that subscribes or the session's.
            unsubscribe: That which tells it to stop, likewise; None where there is none.
            matches: Whether a message is one of the topic's; asked once for each, while anybody is subscribed. What it
                raises is in ``errors``, as a :class:`~rxsocket.FunctionException`, and the message is passed over.
            messages: The stream of messages; :attr:`received` unless given. It is subscribed to like any: what was
                held until somebody would, comes then.

        Returns:
            A hot stream, on the session's thread. Completes when the session is closed. A message that the outgoing
            buffer has no room for is in ``errors``, and is sent at the next occasion.

        Raises:
            TypeError: An argument is of another type.
            ValueError: A text has a lone surrogate, and so can't be UTF-8.
        """
        check_given("subscribe", subscribe, self._content_of)
        if unsubscribe is not None:
            check_given("unsubscribe", unsubscribe, self._content_of)
        source = self.received if messages is None else messages
        return Topic(self, source, matches, subscribe=subscribe, unsubscribe=unsubscribe)

    @overload
    def ask(
        self,
        message: Given[Sendable[MessageT]],
        *,
        reply: Callable[[MessageT], Hashable],
        key: Hashable = None,
        timeout: float | None = 10.0,
    ) -> Observable[MessageT]: ...

    @overload
    def ask(
        self,
        message: Given[Sendable[MessageT]],
        *,
        reply: Callable[[R], Hashable],
        key: Hashable = None,
        timeout: float | None = 10.0,
        messages: Observable[R],
    ) -> Observable[R]: ...

    def ask(
        self,
        message: Given[Sendable[MessageT]],
        *,
        reply: Callable[[Any], Hashable],
        key: Hashable = None,
        timeout: float | None = 10.0,
        messages: Observable[Any] | None = None,
    ) -> Observable[Any]:
        """Return a cold stream of the one reply to a message, which each subscription sends: so ``retry`` asks again.

        While there is no connection it waits for one, in its time, and holds nobody up; else it is sent as :meth:`send`
        sends. Who subscribes hears its answer, however quick; who unsubscribes forgets it.

        Args:
            message: What to send; or a function that returns it, and is called at each subscription, or at the opening
                that it has waited for.
            reply: Without a key: whether a message is the reply. With one: a function that returns to which key a
                message is the reply, None for none. It is called once for each message, however many are open with
                the same function and the same stream of messages. What it raises is in ``errors``, as a
                :class:`~rxsocket.FunctionException`, and the message is taken for no reply.
            key: To which key the reply is; None where ``reply`` says yes or no.
            timeout: Seconds for all of it; None for no end.
            messages: The stream of messages; :attr:`received` unless given. It is subscribed to like any: what was
                held until somebody would, comes then.

        Returns:
            A stream of one item, on the session's thread. It errors with a :class:`~rxsocket.ReplyTimeoutException`, on
            a thread that all sessions have for that; with a :class:`~rxsocket.ReplyException` when the connection that
            it was sent on ends, or the session is closed; with a SendException when it could not be sent; with a
            ValueError when another with its key is open already; and with what the function of the message raises.

        Raises:
            TypeError: An argument is of another type, or the key is not hashable.
            ValueError: The timeout is out of its range; or a text has a lone surrogate, and so can't be UTF-8.
        """
        check_given("the message", message, self._content_of)
        source = self.received if messages is None else messages
        return self._replies.ask(message, source, reply, key, timeout)
