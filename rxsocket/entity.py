"""One path's entity, which the clients of a hub share. On websockets' asyncio server, and on its loop."""

from __future__ import annotations

from collections import deque
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.frames import DATA_OPCODES, Frame, Opcode
from websockets.protocol import Event, State

__all__ = ["Client", "SharedEntity"]

TOKEN_SIZE = 8  # bytes of the pings behind entities; those of websockets' own keepalive have four


class Client(ServerConnection):
    """A client's connection, which knows what the client had received when it sent a message.

    All of it happens on the hub's loop.
    """

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 as websockets makes it
        super().__init__(*args, **options)
        self._told = 0  # how many entities were sent to it
        self._received = 0  # how many of them it has received, as the pong to the ping behind each says
        self._arrivals: deque[int] = deque()  # _received when each message came that nobody has taken yet
        self._taken = 0  # _received when the message came that was taken last

    @property
    def crossed(self) -> bool:
        """Whether the message that was taken last was sent before its sender had received all that it was told."""
        return self._taken < self._told

    def tell(self, entity: str | bytes) -> None:
        """Send an entity, without waiting."""
        if self.state is not State.OPEN:
            return
        self._told += 1
        if isinstance(entity, str):
            self.protocol.send_text(entity.encode())
        else:
            self.protocol.send_binary(entity)
        self.protocol.send_ping(self._told.to_bytes(TOKEN_SIZE))
        # In one write, so that both are read at once, and an answer to the entity leaves after the pong.
        self.transport.write(b"".join(self.protocol.data_to_send()))

    def take(self) -> None:
        """Say that the next message was taken."""
        self._taken = self._arrivals.popleft()

    def process_event(self, event: Event) -> None:
        """Note in which order messages and pongs come: websockets keeps the messages until they are taken."""
        if isinstance(event, Frame):
            if event.opcode is Opcode.PONG and len(event.data) == TOKEN_SIZE:
                self._received = max(self._received, int.from_bytes(event.data))
            elif event.opcode in DATA_OPCODES and event.fin:
                self._arrivals.append(self._received)
        super().process_event(event)


class SharedEntity:
    """One path's entity: the last one is kept and sent to a newcomer; each change is sent to all but its sender.

    The sender gets it too where the two crossed: if it sent it before it had received what the hub sent it last, it
    would go on with that in the end, and all others with its own.

    It lives on the hub's loop, where nothing comes between its steps, so it needs no lock: a newcomer gets an entity
    and then each later one, in the order in which they came to the hub.
    """

    def __init__(self) -> None:
        self._entity: str | bytes | None = None  # as it came: the hub does not know its schema; written on the loop
        self._clients: set[Client] = set()  # written on the loop

    @property
    def idle(self) -> bool:
        """Whether there is nobody and nothing here, so that the path may be forgotten."""
        return self._entity is None and not self._clients

    def join(self, client: Client) -> None:
        """Let a connection in, and send it the entity if there is one."""
        self._clients.add(client)
        if self._entity is not None:
            client.tell(self._entity)

    def leave(self, client: Client) -> None:
        """Take a connection that has ended out."""
        self._clients.discard(client)

    def receive(self, client: Client, entity: str | bytes) -> None:
        """Keep what a connection sent as the entity, and send it to the others."""
        self._entity = entity
        for other in self._clients if client.crossed else self._clients - {client}:
            other.tell(entity)
