"""The chat of fritz2's websocket page: its message, and the room that passes messages on.

Members talk in JSON texts, each a :class:`ChatMessage`. A client becomes a member by sending JOINING, which the other
members get to see. Each MESSAGE goes to all members but its sender. Who sends LEAVING, closes or is lost leaves, and
the rest get a LEAVING notice. The hub (:mod:`rxsocket.hub`) has a room at each path ``/chat/{room}``.

Source: fritz2's Ktor chat, the full working example of its websocket page.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:  # a chat's client needs ChatMessage, and no server
    from websockets.asyncio.server import ServerConnection

__all__ = ["ChatMessage", "MessageType", "Refusal", "Room"]

MessageType: TypeAlias = Literal["MESSAGE", "JOINING", "LEAVING"]
"""What a :class:`ChatMessage` is: something said, or the notice that a member comes or goes."""


class ChatMessage(msgspec.Struct, frozen=True):
    """One message of a chat, on the wire a JSON object with these four fields.

    Attributes:
        content: The text; in a notice it may be empty.
        member: The name of the member who speaks, joins or leaves; not empty.
        type: ``"MESSAGE"``, ``"JOINING"`` or ``"LEAVING"``.
        created: The time of day as ``"HH:mm"``. The hub fills in its own local time where this is empty.

    Example:
        >>> msgspec.json.encode(ChatMessage("Hello", "Ann", "MESSAGE", "09:30"))
        b'{"content":"Hello","member":"Ann","type":"MESSAGE","created":"09:30"}'

    Source: fritz2's Ktor chat.
    """

    content: str
    member: Annotated[str, msgspec.Meta(min_length=1)]
    type: MessageType
    created: str = ""


class Refusal(Exception):
    """A client broke the rules of a chat: its connection is to be closed.

    Attributes:
        code: The close code (RFC 6455, section 7.4.1): 1003, 1007 or 1008.
        reason: What was expected instead.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


_decoder = msgspec.json.Decoder(ChatMessage)


def _decode(message: str | bytes) -> ChatMessage:
    if isinstance(message, bytes):
        raise Refusal(1003, "a chat message is a JSON text, not binary data")
    try:
        return _decoder.decode(message)
    except (msgspec.DecodeError, RecursionError) as error:  # RecursionError: arrays nested thousands deep
        raise Refusal(1007, f"expected JSON of content, member, type and created: {error}") from error


class Room:
    """One room: who is in it, and who gets which message. It lives on the hub's loop, and needs no lock.

    Args:
        send: Sends one message to each of some connections, in order and without waiting.
    """

    def __init__(self, send: Callable[[Iterable[ServerConnection], str], None]) -> None:
        self._send = send
        self._visitors: set[ServerConnection] = set()  # all that are connected, members or not; written on the loop
        self._members: dict[ServerConnection, str] = {}  # their names, in order of joining; written on the loop

    @property
    def members(self) -> list[str]:
        """The names of the members, in order of joining."""
        return list(self._members.values())

    @property
    def idle(self) -> bool:
        """Whether nobody is connected, so that the room may be forgotten."""
        return not self._visitors

    def join(self, visitor: ServerConnection) -> None:
        """Let a connection in. It is no member before it sends JOINING."""
        self._visitors.add(visitor)

    def leave(self, visitor: ServerConnection) -> None:
        """Take a connection that has ended out; if it was a member, the others get a LEAVING notice."""
        self._visitors.discard(visitor)
        member = self._members.pop(visitor, None)
        if member is not None:
            self._tell_others(visitor, ChatMessage("", member, "LEAVING"))

    def receive(self, visitor: ServerConnection, data: str | bytes) -> None:
        """Take in what a connection sent, and pass it on to the other members.

        Raises:
            Refusal: It is no chat message, or one that the visitor may not send now.
        """
        message = _decode(data)
        if message.type == "JOINING":
            self._admit(visitor, message.member)
        else:
            self._identify(visitor, message)
        if message.type == "LEAVING":
            del self._members[visitor]
        self._tell_others(visitor, message)

    def _admit(self, visitor: ServerConnection, member: str) -> None:
        if visitor in self._members:
            raise Refusal(1008, f"this connection has joined already, as {self._members[visitor]}")
        if member in self._members.values():
            raise Refusal(1008, f"the name {member} is taken in this room; join with another")
        self._members[visitor] = member

    def _identify(self, visitor: ServerConnection, message: ChatMessage) -> None:
        member = self._members.get(visitor)
        if member is None:
            raise Refusal(1008, f"send JOINING before {message.type}")
        if message.member != member:  # nobody speaks, or leaves, in the name of another
            raise Refusal(1008, f"this connection has joined as {member}, so its messages must be from {member}")

    def _tell_others(self, visitor: ServerConnection, message: ChatMessage) -> None:
        if not message.created:
            message = msgspec.structs.replace(message, created=time.strftime("%H:%M"))
        others = [member for member in self._members if member is not visitor]
        self._send(others, msgspec.json.encode(message).decode())
