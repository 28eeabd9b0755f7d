"""A session with a server, as its user has it, whatever it goes over."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from reactivex import Observable

from .codec import Codec, MessageT, Sendable
from .encoding import content_of
from .frames import NORMAL_CLOSURE
from .link import Given, check_given
from .replies import Replies
from .streams import Streams
from .topics import Topic

__all__ = ["Session"]

R = TypeVar("R")


class Session(Streams[MessageT], ABC):
    """A connection to a server and what it says, from Connecting to Closed.

    Made by :meth:`rxsocket.Socket.connect`; for tests there is one without a network, ``rxsocket.testing.FakeSession``,
    which delivers on the thread that tells it. A thread of its own connects, reads, and calls the subscribers of its
    streams. On another thread come only the current value, for who subscribes; what was held, for who subscribes or
    resumes after the end; the end, if that thread has given up the attempt to connect; and errors, if that thread found
    them. As a context manager it closes at the end of the block.

    With a codec it is a ``Session[T]`` of the codec's values; without one, of ``str | bytes``. What there is to hear of
    it, :class:`~rxsocket.Streams` has: ``messages``, ``errors``, ``round_trips`` and its life.

    Source: fritz2's ``Session``.
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
        super().__init__(url, wake, codec, max_held=max_held, max_held_messages=max_held_messages, paused=paused)
        self._encode = None if codec is None else codec.encode
        self._replies = Replies(self)

    @property
    @abstractmethod
    def name(self) -> str | None:
        """What it was named; None where it was not."""

    @property
    @abstractmethod
    def protocol(self) -> str | None:
        """The sub-protocol that the server picked; None while Connecting, and where it picked none. On any thread."""

    # --- what it is told

    @abstractmethod
    def start(self) -> Self:
        """Begin to connect, once; :meth:`rxsocket.Socket.connect` has done so already. Returns the session itself.

        A session that was started before under the same name closes first, as :meth:`close` does it.

        Raises:
            ConnectionException: The system has no thread left for it. The session is Closed.
        """

    @abstractmethod
    def send(self, message: Sendable[MessageT], *, wait: bool = True) -> None:
        """Send a text (str), a binary message (bytes, bytearray, memoryview), or what the codec makes one of.

        May be called from any thread: a message is sent whole, and each thread's in order. It waits for
        ``send_timeout`` at the most: for a connection, also for the next one where a :class:`~rxsocket.Backoff` makes
        it; and while over 1 MiB is on its way out. On the session's own thread, which has to connect, it waits for
        neither; on the thread of another session, so in its subscribers, only for the first connection; and where it is
        told that there was no reply in time, for nothing.

        That it returns says that the message is on its way, not that it has arrived. What a subscriber sends goes to
        the network when all that came with its message is delivered; or with what another thread sends; or, if that
        takes seconds, meanwhile. What another thread sends goes there at once. Only in a flood, of a hundred messages
        and more without a pause, do small ones wait for each other: for a millisecond, or until the interpreter lets
        the session's thread run (``sys.getswitchinterval()``).

        Args:
            message: What to send; what is a str or bytes goes as it is, also with a codec.
            wait: Whether it may wait. False: it raises where there is no connection, and else takes up to
                ``max_outgoing`` bytes.

        Raises:
            SendException: The session is closed, is closing for good, or was prepared and not started; the connection
                was found lost; ``send_timeout`` passed while waiting; or, where it does not wait, there is no
                connection, or over ``max_outgoing`` bytes are on their way out.
            TypeError: The message is of another type, and there is no codec, or it raised; ``__cause__`` has what.
            ValueError: The text has a lone surrogate, and so can't be UTF-8.
        """

    @abstractmethod
    def send_if(self, message: Sendable[MessageT], is_wanted: Callable[[], bool]) -> None:
        """Send a message as :meth:`send` does, if it is wanted still when its turn comes, which may be late.

        Args:
            message: What to send.
            is_wanted: Is called under the session's lock.

        Raises:
            SendException: As :meth:`send` raises it.
        """

    @abstractmethod
    async def asend(self, message: Sendable[MessageT]) -> None:
        """Send a text or a binary message, as :meth:`send` does, without holding up the loop of asyncio.

        At once where there is room; where it has to wait, for a connection or for room, other tasks go on. Who is
        cancelled meanwhile has sent nothing. A task's messages go out in its order.

        Args:
            message: What to send. It is not to be changed until it is sent.

        Raises:
            SendException: As :meth:`send` raises it.
            TypeError: The message is of another type.
            ValueError: The text has a lone surrogate, and so can't be UTF-8.
        """

    @abstractmethod
    def ping(self) -> Observable[float]:
        """Send a ping now.

        Returns:
            A stream of one item, on the session's thread: the seconds until its pong was read, which says that the peer
            has received all that was sent before. It ends without one if the connection ends first.

        Raises:
            SendException: The session is not Open, or its connection was found lost.
        """

    @abstractmethod
    def close(self, code: int = NORMAL_CLOSURE, reason: str = "", *, wait: bool = True) -> None:
        """Close the session: what was sent goes out first, then the close frame; then the peer's is awaited.

        From any thread, in any state, any number of times; only the first has an effect. While Connecting the attempt
        is given up. It returns when the session is Closed, or shortly after ``close_timeout``, when the connection has
        been cut: if subscribers hold the session's thread up, it is Closed once they have had what was read before. On
        the thread of any session, so in a subscriber, and in one that is ``buffered``, it returns at once. In a pause
        what comes meanwhile is held, too, up to some megabytes more.

        Args:
            code: 1000, or 3000 to 4999 for your own; or another that RFC 6455, section 7.4, lets an endpoint send.
            reason: At most 123 bytes of UTF-8.
            wait: Whether it may wait. False: it returns at once; the session's thread does the rest.

        Raises:
            CloseException: The code or the reason may not be sent. The session is as it was.
            TypeError: The code is no int, or the reason no str. The session is as it was.
        """

    @abstractmethod
    async def aclose(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the session, as :meth:`close` does, without holding up the loop of asyncio while it waits.

        Who is cancelled meanwhile only does not wait: the session closes all the same.

        Args:
            code: As :meth:`close` takes it.
            reason: As :meth:`close` takes it.

        Raises:
            CloseException: The code or the reason may not be sent. The session is as it was.
            TypeError: The code is no int, or the reason no str. The session is as it was.
        """

    @abstractmethod
    def reconnect(self) -> None:
        """Connect anew, now, whatever :class:`~rxsocket.Backoff` says, and also without one. From any thread.

        A connection that is open is closed first, after what was sent on it; while a subscriber holds the session's
        thread up, that is not finished before it returns. A try that is waited with is made; one that is under way goes
        on, and counts as before; otherwise the policy's intervals and ``attempts`` begin anew. A session that was
        prepared is started.

        Raises:
            ConnectionException: The session is closed, or was told to close: connect by the socket.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # --- what goes back and forth

    @property
    def order(self) -> AbstractContextManager[object]:
        """Is held while a message takes its place in what is sent: for who must know what was sent before what came."""
        return self._lock

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
