"""One path's entity, which the clients of a hub share. On websockets' asyncio server, and on its loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from websockets.asyncio.server import Server, ServerConnection
from websockets.frames import DATA_OPCODES, Frame, Opcode
from websockets.protocol import Event, State
from websockets.server import ServerProtocol

__all__ = ["Client", "SharedEntity"]

TOKEN_SIZE = 8  # bytes of the pings behind entities; those of websockets' own keepalive have four
SETTLE_SECONDS = 0.05  # from a change that crossed, or a pong, for what its sender sent right behind it to come


class Client(ServerConnection):
    """A client's connection, which knows what the client had received when it sent a message.

    All of it happens on the hub's loop. Who takes a message from it calls :meth:`take` before the next.
    """

    def __init__(self, protocol: ServerProtocol, server: Server, **options: object) -> None:
        super().__init__(protocol, server, **options)  # type: ignore[arg-type]  # those of websockets' own
        self.confirmed: Callable[[], None] = lambda: None  # is called when it has received all that it was told
        self._told = 0  # how many entities were sent to it
        self._received = 0  # how many of them it has received, as the pong to the ping behind each says
        self._arrivals: deque[int] = deque()  # _received when each message came that nobody has taken yet
        self._taken = 0  # _received when the message came that was taken last

    @property
    def is_behind(self) -> bool:
        """Whether it has not yet received all that it was told."""
        return self._received < self._told

    @property
    def crossed(self) -> bool:
        """Whether the message that was taken last was sent before its sender had received all that it was told."""
        return self._taken < self._told

    def tell(self, entity: bytes, *, text: bool) -> None:
        """Send an entity, without waiting."""
        if self.state is not State.OPEN:
            return
        self._told += 1
        send = self.protocol.send_text if text else self.protocol.send_binary
        send(entity)
        self.protocol.send_ping(self._told.to_bytes(TOKEN_SIZE))
        # In one write, so that both are read at once, and an answer to the entity leaves after the pong.
        self.transport.write(b"".join(self.protocol.data_to_send()))

    def take(self) -> None:
        """Say that the next message was taken."""
        self._taken = self._arrivals.popleft()

    def process_event(self, event: Event) -> None:
        """Note in which order messages and pongs come: websockets keeps the messages until they are taken."""
        if isinstance(event, Frame):
            if event.opcode in DATA_OPCODES and event.fin:
                self._arrivals.append(self._received)
            elif event.opcode is Opcode.PONG and len(event.data) == TOKEN_SIZE:
                token = int.from_bytes(event.data)
                if self._received < token <= self._told:  # else it is another's: any pong may come unasked
                    self._received = token
                    if token == self._told:
                        self.confirmed()
        super().process_event(event)


class SharedEntity:
    """One path's entity: the last one is kept and sent to a newcomer; each change is sent to all but its sender.

    A change that its sender sent before it had received what the hub sent it last has crossed with that: all others
    end with the change, and its sender with the other. So it is sent back to its sender, too, once that has received
    all; unless another change came meanwhile, from whomever.

    It lives on the hub's loop, where nothing comes between its steps, so it needs no lock: a newcomer gets an entity
    and then each later one, in the order in which they came to the hub.
    """

    def __init__(self) -> None:
        # As it came: the hub does not know its schema. These are written on the loop.
        self._entity: str | bytes | None = None
        self._clients: set[Client] = set()
        self._owed: Client | None = None  # to whom the entity is to be sent back
        self._stirred = 0.0  # when a change, or a pong that makes its sender up to date, came last, on the loop's clock
        self._settling: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Whether there is nobody and nothing here, so that the path may be forgotten."""
        return self._entity is None and not self._clients

    def join(self, client: Client) -> None:
        """Let a connection in, and send it the entity if there is one."""
        self._clients.add(client)
        client.confirmed = self._settle_soon
        self._tell([client])

    def leave(self, client: Client) -> None:
        """Take a connection that has ended out."""
        self._clients.discard(client)
        if self._owed is client:
            self._owed = None

    def receive(self, client: Client, entity: str | bytes) -> None:
        """Keep what a connection sent as the entity, and send it to the others."""
        self._entity = entity
        self._owed = client if client.crossed else None
        self._tell(self._clients - {client})
        self._settle_soon()

    def _tell(self, clients: Iterable[Client]) -> None:
        entity = self._entity
        if entity is not None:
            data = entity.encode() if isinstance(entity, str) else entity
            for client in clients:
                client.tell(data, text=isinstance(entity, str))

    def _settle_soon(self) -> None:
        if self._owed is not None:
            loop = asyncio.get_running_loop()
            self._stirred = loop.time()
            if self._settling is None:
                self._settling = loop.call_later(SETTLE_SECONDS, self._settle)

    def _settle(self) -> None:
        self._settling = None
        if self._owed is None or self._owed.is_behind:
            return
        loop = asyncio.get_running_loop()
        quiet = self._stirred + SETTLE_SECONDS
        if loop.time() < quiet:
            self._settling = loop.call_at(quiet, self._settle)
        else:
            self._tell([self._owed])
            self._owed = None
