"""The codec of an entity, and of a list of them: to and from JSON texts, or MessagePack bytes."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Generic, TypeVar

from .codec import Format, TypesCodec
from .errors import DecodeException
from .markup import plain, shown, table

__all__ = ["Resource", "next_id"]

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 an entity's id
X = TypeVar("X")

# fritz2's alphabet: without the signs that are easily taken for another, such as 0, O, l and I.
_ALPHABET = "123456789abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"
_LENGTH = 10
_random = random.SystemRandom()


def next_id() -> str:
    """Return a random id for a new entity: 10 letters and digits, from the system's random source. fritz2: ``Id.next``.

    Among a million of them, the odds that two are equal are about one in 800,000; among a thousand million, you should
    expect two. Any thread may call it.

    Example:
        >>> class Person(msgspec.Struct, frozen=True):
        ...     name: str
        ...     id: str = msgspec.field(default_factory=next_id)
    """
    return "".join(_random.choices(_ALPHABET, k=_LENGTH))


@dataclass(frozen=True, eq=False, repr=False)
class Resource(Generic[T, I]):
    """How an entity is told from another, how it goes to and from a message, and what an empty one is.

    It is immutable, and any thread may use it. fritz2: ``Resource(idProvider, serializer, emptyEntity)``.

    Args:
        entity_type: The type of an entity: whatever msgspec can decode, such as a ``msgspec.Struct`` or a dataclass.
        id: Takes an entity and returns its id.
        empty: An entity to begin with.
        format: ``"json"``, which goes as text, or ``"msgpack"``, which goes as binary.

    Raises:
        TypeError: ``id`` is not callable, or msgspec can't decode the type.
        ValueError: The format is another.

    Example:
        >>> person_resource = Resource(Person, id=lambda person: person.id, empty=Person("", 0))
        >>> person_resource.encode(Person("Ada", 36, id="1"))
        '{"name":"Ada","age":36,"id":"1"}'
    """

    entity_type: type[T]
    id: Callable[[T], I] = dataclass_field(kw_only=True)
    empty: T = dataclass_field(kw_only=True)
    format: Format = dataclass_field(default="json", kw_only=True)

    # Made once, in __post_init__.
    _one: TypesCodec[T] = dataclass_field(init=False, repr=False)
    _many: TypesCodec[list[T]] = dataclass_field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not callable(self.id):
            raise TypeError(f"id takes a function that returns an entity's id, such as lambda p: p.id, not {self.id!r}")
        # The only way to write an attribute of a frozen dataclass.
        object.__setattr__(self, "_one", TypesCodec(self.entity_type, self.format))
        object.__setattr__(self, "_many", TypesCodec(list[self.entity_type], self.format))  # type: ignore[name-defined]

    def __repr__(self) -> str:
        return f"<Resource {plain(self._one.name)} as {self.format}, empty {shown(self.empty)}>"

    def _repr_html_(self) -> str:
        rows = [("entity", self._one.name), ("format", self.format), ("empty", shown(self.empty))]
        return table("Resource", [*rows, ("id", getattr(self.id, "__qualname__", shown(self.id)))])

    def encode(self, entity: T) -> str | bytes:
        """Return the message for an entity: a text for JSON, bytes for MessagePack.

        Raises:
            TypeError: It has a value that the format can't express.
        """
        return self._one.encode(entity)

    def encode_list(self, entities: Sequence[T]) -> str | bytes:
        """Return the message for a list of entities: a text for JSON, bytes for MessagePack.

        Raises:
            TypeError: One has a value that the format can't express.
        """
        return self._many.encode(list(entities))

    def decode(self, message: str | bytes) -> T:
        """Return the entity of a message.

        Raises:
            DecodeException: It is none, whatever it is instead. Nothing else is raised.
        """
        return self._decode(self._one, message)

    def decode_list(self, message: str | bytes) -> list[T]:
        """Return the list of entities of a message.

        Raises:
            DecodeException: It is none, whatever it is instead. Nothing else is raised.
        """
        return self._decode(self._many, message)

    def _decode(self, codec: TypesCodec[X], message: str | bytes) -> X:
        expected, kind = (str, "a text") if self.format == "json" else (bytes, "bytes")
        if type(message) is not expected:
            raise DecodeException(
                f"not a {codec.name}: its {self.format} comes as {kind}, not as {type(message).__name__}", message
            )
        return codec.decode(message)
