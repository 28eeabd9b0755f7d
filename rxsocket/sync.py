"""A store and a server kept the same, over a session. fritz2: ``syncWith``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar, overload

import reactivex.operators as ops
from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable
from reactivex.internal import noop

from .backoff import Backoff
from .errors import DecodeException, RxSocketException, SendException
from .resource import Resource
from .scopes import inside, owned
from .session import Session
from .socket import Socket
from .states import Closed, Connecting, Open, State
from .store import Store
from .subjects import SerialQueue
from .updates import Change

__all__ = ["Sync", "SyncStatus", "sync_with"]

E = TypeVar("E")
I = TypeVar("I")  # noqa: E741 an entity's id, as in Resource[E, I]

SyncStatus: TypeAlias = Literal["offline", "synchronizing", "synchronized"]
"""Where a sync stands: without a connection; connecting for the first time; or sending and receiving each change."""


class _Unconfirmed(NamedTuple):
    """A change that was sent, but may not have arrived."""

    number: int
    value: object
    connection: int  # by which it was sent


class Sync(abc.DisposableBase):
    """Keeps a store and a server the same, until it is disposed of. Made by :func:`sync_with`.

    Each text or binary message is one value of the store. What came from the server is not sent back to it: a change
    carries its origin, and no values are compared for that. Of the changes that are made without a connection the last
    is sent when there is one again; so is one that was sent, but that the server had not confirmed by a pong when the
    connection was lost. The store's value at the start is not sent. A change that can't be sent, and a message that is
    not what it should be, is told by :attr:`errors`, and after the session's end by the log; the store keeps its value.

    Attributes:
        session: The session that it runs over.
        status: Where it stands, now and at each change; completes when the session is Closed.
        errors: The session's errors, with those of the sync.
    """

    def __init__(
        self,
        store: Store[Any],
        socket: Socket[Any],
        encode: Callable[[Any], str | bytes],
        decode: Callable[[str | bytes], object],
    ) -> None:
        self._store = store
        self._encode = encode
        self._decode = decode
        self._receive = store.handle(self._accepted, origin=self)
        self._failures = count(1)  # of the server's messages; by who delivers
        self._made = 0  # how many changes are not the server's; written in the store's own queue alone
        # Which of them was the last to be sent; written in the actions of _sends alone, under the session's order.
        self._sent = 0
        # Sends go out in the order of the changes, whichever threads make them. In its actions alone:
        self._sends = SerialQueue()
        self._unsent: tuple[int, object] | None = None  # the last change, if no connection has taken it
        self._unconfirmed: _Unconfirmed | None = None  # the last change, if a server may not have it
        self._asking = False  # whether a pong is awaited
        self._release: Callable[[], None] = noop  # takes it out of the scope that owns it
        with inside(None):  # all of it ends with this, and this with the scope
            self._begin(socket)
        self._release = owned(self.dispose)

    def _begin(self, socket: Socket[Any]) -> None:
        # Begins to connect when all is subscribed to: a pong says that what came before it is in the store.
        self.session: Session = (socket if socket.backoff else socket.reconnecting(Backoff())).prepare()
        self.errors: Observable[RxSocketException] = self.session.errors
        self.status: Observable[SyncStatus] = self.session.state.pipe(ops.map(_status), ops.distinct_until_changed())
        self._subscriptions = CompositeDisposable(
            self._store.changes.subscribe(self._changed),
            self.session.messages.data.subscribe(self._received),
        )
        # Not disposed of: it completes with the session, and tells then of what could not be sent.
        self.session.state.subscribe(self._state_changed)
        self.session.start()

    def push(self) -> None:
        """Send the store's current value, as if it had just changed: the one at the start, say. From any thread."""
        self._sends.run(lambda: self._send(self._made, self._store.current))

    def dispose(self) -> None:
        """Stop, and close the session; what was sent before goes out. From any thread, any number of times."""
        self._subscriptions.dispose()
        self.session.close()
        self._release()

    def __repr__(self) -> str:
        return f"<Sync {_status(self.session.current_state)} {self.session.url}>"

    def _received(self, message: str | bytes) -> None:
        with self.session.order:
            # What was sent until now the server takes for older than this message, or for what crossed with it; what
            # is sent from now on may go out behind the pong that says that this has come, and is newer.
            sent = self._sent
        try:
            value = self._decode(message)
        except DecodeException as error:
            self.session.report(error, next(self._failures))
        else:
            self._receive((sent, value))

    def _accepted(self, state: Any, received: tuple[int, Any]) -> Any:  # noqa: ANN401 the store's own type
        """Return the value after one of the server's came, which may have waited while another thread edited."""
        sent, value = received
        # A change that went out after it came is newer, to the server too.
        return state if self._made > sent else value

    def _changed(self, change: Change[Any]) -> None:
        if change.origin is not self:
            self._made += 1
            self._sends.run(partial(self._send, self._made, change.value))

    def _state_changed(self, state: State) -> None:
        if isinstance(state, Open):
            self._sends.run(partial(self._send_again, state.event.connection))
        elif isinstance(state, Closed):
            self._sends.run(partial(self._end, was_clean=state.event.was_clean))

    def _send(self, number: int, value: object) -> None:
        self._unsent = number, value
        self._unconfirmed = None
        self._send_unsent()

    def _send_again(self, connection: int) -> None:
        unconfirmed = self._unconfirmed
        self._asking = False  # of the connection before
        if unconfirmed is not None and unconfirmed.connection != connection:
            self._unsent = unconfirmed.number, unconfirmed.value
        self._send_unsent()

    def _end(self, *, was_clean: bool) -> None:
        """Tell of what has not reached the server, and will not any more."""
        self._send_unsent()
        if self._unconfirmed is not None and not was_clean:
            self._unconfirmed = None
            self.session.report(SendException("the last change may not have reached the server: it did not confirm it"))

    def _send_unsent(self) -> None:
        """Send the last change, if no connection has taken it; what none takes now, the next one may."""
        state = self.session.current_state
        if self._unsent is None or not isinstance(state, Open | Closed):
            return
        number, value = self._unsent
        try:
            message = self._encode(value)
        except Exception as error:  # noqa: BLE001 an entity may have an encoder hook, or a property that raises
            failure = SendException(f"a change was not sent, since it can't be encoded: {error}")
            failure.__cause__ = error
            self.session.report(failure)
            self._unsent = None
        else:
            try:
                with self.session.order:
                    # Without waiting, since it happens while the store applies the change that it sends.
                    self.session.send(message, wait=False)
                    self._sent = max(self._sent, number)
            except SendException as error:
                if isinstance(state, Open) and error.__cause__ is not None:
                    return  # the connection is lost, which the session is about to find
                failure = SendException(f"the store's last change was not sent: {error}")
                failure.__cause__ = error
                self.session.report(failure)
                self._unsent = None if isinstance(state, Closed) else self._unsent
            else:
                self._unsent = None
                self._unconfirmed = _Unconfirmed(number, value, state.event.connection)
        self._sent = max(self._sent, number)
        self._ask()

    def _ask(self) -> None:
        """Have the server confirm what was sent."""
        if self._unconfirmed is None or self._asking:
            return
        number = self._unconfirmed.number
        with contextlib.suppress(SendException):  # the connection has gone, and the next will ask again
            pong = self.session.ping()
            self._asking = True
            with inside(None):  # whichever scope the change was made in
                pong.subscribe(lambda _: self._sends.run(partial(self._confirm, number)))

    def _confirm(self, number: int) -> None:
        self._asking = False
        if self._unconfirmed is not None and self._unconfirmed.number <= number:
            self._unconfirmed = None
        self._ask()


def _status(state: State) -> SyncStatus:
    if isinstance(state, Open):
        return "synchronized"
    return "synchronizing" if state == Connecting() else "offline"


@overload
def sync_with(store: Store[list[E]], socket: Socket[Any], resource: Resource[E, I]) -> Sync: ...
@overload
def sync_with(store: Store[E], socket: Socket[Any], resource: Resource[E, I]) -> Sync: ...
def sync_with(store: Store[Any], socket: Socket[Any], resource: Resource[Any, Any]) -> Sync:
    """Connect, and keep a store and the server the same from then on.

    Args:
        store: A store of one entity, or of a list of them; a root store or a sub-store. Its current value tells which:
            it is a list, and the resource's empty entity is none.
        socket: Where to connect to.
        resource: How an entity, and a list of them, goes to and from a message.

    Returns:
        A Sync, which runs until it is disposed of. The server's values come into the store on the session's thread.
        It connects again after a loss, by the socket's own :class:`~rxsocket.Backoff`, or by one with the usual values.

    Raises:
        EndpointException: The socket can never work as it is described.
        ConnectionException: The system has no descriptor, or no thread, left for another session.
        LookupError: The store is a sub-store, and what it is a part of has no such part now.
        TypeError: The socket or the resource is none.

    Example:
        >>> sync = sync_with(store, websocket("ws://127.0.0.1:3333/person"), person_resource)

    Source: fritz2's ``syncWith(socket, resource)``.
    """
    if not isinstance(socket, Socket):
        raise TypeError(f"sync_with takes a Socket, as websocket(url) makes one, not {type(socket).__name__}")
    if not isinstance(resource, Resource):
        raise TypeError(f"sync_with takes a Resource, not {resource!r}: Resource(Person, id=..., empty=...)")
    if isinstance(store.current, list) and not isinstance(resource.empty, list):
        return Sync(store, socket, resource.encode_list, resource.decode_list)
    return Sync(store, socket, resource.encode, resource.decode)
