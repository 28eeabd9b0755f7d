"""Get, set and compose on immutable data: msgspec Structs, dataclasses, named tuples, tuples, lists and dicts.

A :class:`Lens` points at a part of a larger value. Setting through it never changes what it was given: it returns a new
parent that shares all the rest with the old one. What a lens points at may be gone (an element was removed, an optional
parent is None): then getting and setting raise a ``LookupError`` (``IndexError`` and ``KeyError`` are among them).
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from functools import reduce
from typing import Any, Generic, TypeVar, cast, final

from msgspec import Struct, structs

__all__ = ["Lens", "element", "field", "index", "key", "or_default", "path", "same"]

P = TypeVar("P")
T = TypeVar("T")
X = TypeVar("X")
I = TypeVar("I")  # noqa: E741 an entity's id, as in Resource[T, I]
K = TypeVar("K")


@final
class Lens(Struct, Generic[P, T], frozen=True):
    """Points at a part (a T) of a larger value (a P).

    Lenses are joined by ``+``: ``field("address") + field("city")``. fritz2: ``Lens``; the constructor is ``lensOf``.

    Args:
        id: Names the part, such as ``"city"``; joined lenses have joined ids, such as ``"address.city"``.
        get: Takes the parent and returns the part.
        set: Takes the parent and a new part, and returns a new parent.

    Example:
        >>> celsius = Lens[float, float]("celsius", lambda k: k - 273.15, lambda _, c: c + 273.15)
        >>> celsius.set(0.0, 20.0)
        293.15
    """

    id: str
    get: Callable[[P], T]
    set: Callable[[P, T], P]

    def __add__(self, other: Lens[T, X]) -> Lens[P, X]:
        """Return the lens that points from this one's parent at the other one's part."""

        def get(parent: P) -> X:
            return other.get(self.get(parent))

        def set_(parent: P, value: X) -> P:
            return self.set(parent, other.set(self.get(parent), value))

        return Lens(".".join(filter(None, (self.id, other.id))), get, set_)


def same(one: object, other: object) -> bool:
    """Tell whether two values are equal; a comparison that raises, or has no truth value, counts as different.

    So two numpy arrays of several elements are different, unless they are one object.
    """
    if one is other:
        return True
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001 a comparison of foreign types may raise anything
        return False


def path(part: Callable[[P], T]) -> Lens[P, T]:
    """Return the lens along which a function reaches a part of its argument.

    The function is called once, with a recorder in place of the parent. fritz2 generates such lenses from ``@Lenses``.

    Args:
        part: A function of attribute and ``[index or key]`` accesses only, such as ``lambda p: p.address.city``.

    Raises:
        TypeError: The function does something else.

    Example:
        >>> city: Lens[Person, str] = path(lambda person: person.address.city)
    """
    try:
        end: object = part(cast("P", _Recorder(())))
    except Exception as error:
        raise TypeError(_ACCEPTED) from error
    if not isinstance(end, _Recorder):
        raise TypeError(_ACCEPTED)
    whole: Lens[Any, Any] = Lens("", lambda parent: parent, lambda _, value: value)
    return reduce(lambda lens, step: lens + step, _steps(end), whole)


def field(name: str) -> Lens[Any, Any]:
    """Return the lens for an attribute of a msgspec Struct, a dataclass or a named tuple.

    Args:
        name: The attribute's name. A type-checker can't see the types from it: write them down, as in the example.

    Example:
        >>> city: Lens[Address, str] = field("city")
    """
    what = f"attribute {name!r}"

    def get(parent: object) -> object:
        return getattr(_present(parent, what), name)

    def set_(parent: Any, value: object) -> object:  # noqa: ANN401 of several types
        target = _present(parent, what)
        if isinstance(parent, Struct):
            return structs.replace(parent, **{name: value})
        if dataclasses.is_dataclass(parent) and not isinstance(parent, type):
            return dataclasses.replace(parent, **{name: value})
        if isinstance(parent, tuple) and hasattr(target, "_replace"):  # that is all that a named tuple is known by
            changed: object = target._replace(**{name: value})
            return changed
        raise TypeError(
            f"can't set {name!r} of a {target.__class__.__name__}: only msgspec Structs, dataclasses and named tuples "
            "have attributes that a lens can set"
        )

    return Lens(name, get, set_)


def index(position: int) -> Lens[list[T], T]:
    """Return the lens for the element at a position of a list or a tuple. fritz2: ``lensForElement(index)``."""
    return _item(position)


def key(name: K) -> Lens[dict[K, T], T]:
    """Return the lens for the value at a key of a dict. fritz2: ``lensForElement(key)``."""
    return _item(name)


def element(id_of: Callable[[T], I], id: I) -> Lens[list[T], T]:  # noqa: A002 it is what fritz2 calls it
    """Return the lens for the element of a list or a tuple that has an id. fritz2: ``lensForElement(element, id)``.

    Getting takes the first element that has the id. Setting raises ``LookupError`` where there are several.

    Args:
        id_of: Takes an element and returns its id, as :attr:`Resource.id` does.
        id: The id of the element.
    """
    what = f"element with the id {id!r}"

    def get(parent: list[T]) -> T:
        for entry in _present(parent, what):
            if id_of(entry) == id:
                return entry
        raise LookupError(f"there is no {what}")

    def set_(parent: list[T], value: T) -> list[T]:
        places = [place for place, entry in enumerate(_present(parent, what)) if id_of(entry) == id]
        if len(places) != 1:
            raise LookupError(f"there are {len(places)} of the {what}" if places else f"there is no {what}")
        return _with_item(parent, places[0], value)

    return Lens(str(id), get, set_)


def or_default(default: T) -> Lens[T | None, T]:
    """Return the lens that reads a default where the value is None, and writes None for the default.

    A value that equals the default is so written as None. fritz2: ``mapNull``.
    """
    return Lens(
        "",
        lambda parent: default if parent is None else parent,
        lambda _, value: None if same(value, default) else value,
    )


def _present(parent: T, what: str) -> T:
    if parent is None:
        raise LookupError(f"there is no {what}, since what should have it is None")
    return parent


def _item(at: object) -> Lens[Any, Any]:
    """Return the lens for ``parent[at]``; whether that is an index or a key is known only from the parent."""
    what = f"item [{at!r}]"

    def get(parent: Any) -> object:  # noqa: ANN401 lists, tuples and dicts
        # Not by catching a KeyError: a defaultdict would change when it is only read.
        if isinstance(_present(parent, what), dict) and at not in parent:
            raise KeyError(f"there is no {what}")
        try:
            return parent[at]
        except IndexError:
            raise IndexError(f"there is no {what}, since there are {len(parent)} items") from None

    def set_(parent: Any, value: object) -> object:  # noqa: ANN401 lists, tuples and dicts
        get(parent)
        return _with_item(parent, at, value)

    return Lens(str(at), get, set_)


def _with_item(parent: T, at: Any, value: object) -> T:  # noqa: ANN401 an index or a key
    """Return a copy of a list, tuple or dict of whatever subclass, with another value at an index or a key."""
    changed: Any = parent
    if isinstance(parent, list | dict):
        changed = copy.copy(changed)
        changed[at] = value
    elif isinstance(parent, tuple):
        items = list(changed)
        items[at] = value
        # A named tuple's constructor takes its fields one by one.
        make: Any = getattr(changed, "_make", changed.__class__)
        changed = make(items)
    else:
        raise TypeError(
            f"can't set item [{at!r}] of a {type(parent).__name__}: only lists, tuples and dicts have items "
            "that a lens can set"
        )
    return cast("T", changed)


_ACCEPTED = (
    "a path is recorded from a function that does nothing but access attributes and [index or key] items, "
    "such as lambda person: person.address.city or lambda room: room.members[0]"
)


class _Recorder:
    """Stands in for the parent in the function of a path; each access gives one that knows one more step."""

    __slots__ = ("_steps",)

    def __init__(self, steps: tuple[Lens[Any, Any], ...]) -> None:
        self._steps = steps

    def __getattribute__(self, name: str) -> _Recorder:
        # Not __getattr__: an attribute of the parent may have any name, such as _steps.
        if name.startswith("__"):
            raise TypeError(_ACCEPTED)
        return _Recorder((*_steps(self), field(name)))

    def __getitem__(self, at: object) -> _Recorder:
        if isinstance(at, slice | _Recorder):
            raise TypeError(_ACCEPTED)
        return _Recorder((*_steps(self), _item(at)))

    def _refuse(self, *_: object) -> bool:
        raise TypeError(_ACCEPTED)

    # What every object can do would let a condition or an f-string pass, and record only a part of what it says.
    __bool__ = __contains__ = __eq__ = __ne__ = _refuse
    __hash__ = None  # type: ignore[assignment]
    __iter__ = None

    def __repr__(self) -> str:
        raise TypeError(_ACCEPTED)


def _steps(recorder: _Recorder) -> tuple[Lens[Any, Any], ...]:
    steps: tuple[Lens[Any, Any], ...] = object.__getattribute__(recorder, "_steps")
    return steps
