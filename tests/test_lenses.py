"""Lenses: the three laws on every kind of parent, what a path records, and what they say when nothing is there."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxsocket.lenses import Lens, element, field, index, key, or_default, path, same


class Address(msgspec.Struct, frozen=True):
    city: str
    tags: tuple[str, ...] = ()


class Person(msgspec.Struct, frozen=True):
    name: str
    address: Address | None = None
    _steps: int = 0


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0


class Pair(NamedTuple):
    left: int
    right: int


class Names(list[str]):
    pass


def id_of(pair: tuple[int, str]) -> int:
    return pair[0]


# A lens, a parent, and a value for its part.
CASES: dict[str, tuple[Lens[Any, Any], object, object]] = {
    "struct": (field("city"), Address("Oslo"), "Rome"),
    "dataclass": (field("x"), Point(1), 7),
    "named tuple": (field("right"), Pair(1, 2), 7),
    "index of a list": (index(1), ["a", "b"], "z"),
    "last of a list": (index(-1), ["a", "b"], "z"),
    "index of a tuple": (index(0), ("a", "b"), "z"),
    "index of a named tuple": (index(1), Pair(1, 2), 7),
    "key": (key("k"), {"k": 1, "l": 2}, 7),
    "element of a list": (element(id_of, 2), [(1, "a"), (2, "b")], (2, "z")),
    "element of a tuple": (element(id_of, 2), ((1, "a"), (2, "b")), (2, "z")),
    "default": (or_default("none"), None, "some"),
    "joined": (field("address") + field("city"), Person("A", Address("Oslo")), "Rome"),
    "path": (path(lambda p: p.address.tags[1]), Person("A", Address("Oslo", ("a", "b"))), "z"),
    "path with a key": (path(lambda p: p["a"][0]["b"]), {"a": [{"b": 1}], "c": 2}, 7),
    "whole": (path(lambda p: p), 1, 2),
}


@pytest.mark.parametrize(("lens", "parent", "value"), CASES.values(), ids=CASES.keys())
def test_the_laws_hold_and_the_parent_stays(lens: Lens[Any, Any], parent: object, value: object) -> None:
    before = repr(parent)
    other = lens.get(parent)
    changed = lens.set(parent, value)
    assert lens.get(changed) == value
    assert lens.set(parent, other) == parent
    assert lens.set(changed, other) == parent
    assert lens.set(changed, value) == changed
    assert repr(parent) == before
    assert type(changed) is type(parent) or parent is None


def test_a_lens_is_a_value_that_cannot_be_changed_and_may_be_made_with_its_types() -> None:
    lens = Lens[str, int]("length", len, lambda _, length: "x" * length)
    assert lens == Lens("length", lens.get, lens.set)
    assert hash(lens) == hash(Lens("length", lens.get, lens.set))
    assert lens != Lens("size", lens.get, lens.set)
    with pytest.raises(AttributeError):
        lens.id = "size"  # type: ignore[misc]


@given(st.lists(st.integers(), min_size=1), st.data())
def test_the_laws_hold_for_any_list(parent: list[int], data: st.DataObject) -> None:
    lens: Lens[list[int], int] = index(data.draw(st.integers(-len(parent), len(parent) - 1)))
    one, two = data.draw(st.integers()), data.draw(st.integers())
    before = list(parent)
    assert lens.get(lens.set(parent, one)) == one
    assert lens.set(parent, lens.get(parent)) == parent
    assert lens.set(lens.set(parent, one), two) == lens.set(parent, two)
    assert parent == before


@given(st.dictionaries(st.text(), st.integers(), min_size=1), st.data())
def test_the_laws_hold_for_any_dict(parent: dict[str, int], data: st.DataObject) -> None:
    lens: Lens[dict[str, int], int] = key(data.draw(st.sampled_from(sorted(parent))))
    one, two = data.draw(st.integers()), data.draw(st.integers())
    before = dict(parent)
    assert lens.get(lens.set(parent, one)) == one
    assert list(lens.set(parent, lens.get(parent)).items()) == list(parent.items())
    assert lens.set(lens.set(parent, one), two) == lens.set(parent, two)
    assert parent == before


@given(st.none() | st.text(min_size=1), st.text(), st.text())
def test_the_laws_hold_for_a_default(parent: str | None, one: str, two: str) -> None:
    lens = or_default("")
    assert lens.get(lens.set(parent, one)) == one
    assert lens.set(parent, lens.get(parent)) == parent
    assert lens.set(lens.set(parent, one), two) == lens.set(parent, two)


def test_a_default_is_written_as_none() -> None:
    assert or_default("none").get(None) == "none"
    assert or_default("none").set("some", "none") is None


@pytest.mark.parametrize(
    ("lens", "name"),
    [
        (field("address") + field("city"), "address.city"),
        (path(lambda p: p.address.tags[1]), "address.tags.1"),
        (path(lambda p: p["a"].b), "a.b"),
        (path(lambda p: p._steps), "_steps"),
        (element(id_of, 7), "7"),
        (or_default(0) + field("x") + or_default(0), "x"),
        (path(lambda p: p), ""),
    ],
)
def test_an_id_names_the_part(lens: Lens[Any, Any], name: str) -> None:
    assert lens.id == name


def test_an_attribute_may_be_named_as_the_recorder_names_its_own() -> None:
    assert path(lambda p: p._steps).set(Person("A"), 3) == Person("A", None, 3)


def test_a_subclass_of_list_or_dict_stays_one() -> None:
    assert type(index(0).set(Names(["a"]), "b")) is Names
    assert type(key("a").set(defaultdict(int, a=1), 2)) is defaultdict


@pytest.mark.parametrize(
    "part",
    [
        lambda p: p.age + 1,
        lambda p: len(p.name),
        lambda p: p.name(),
        lambda p: p.name.upper(),
        lambda p: p.a if p.b else p.c,
        lambda p: p.a and p.b,
        lambda p: not p.a,
        lambda p: p.a == 1,
        lambda p: p.a != 1,
        lambda p: p.a < 1,
        lambda p: 1 in p.a,
        lambda p: list(p.a),
        lambda p: {p.a: 1},
        lambda p: p.a[1:2],
        lambda p: p.a[p.b],
        lambda p: p.a[f"{p.b}"],
        lambda p: str(p.a),
        lambda p: p.__class__,
        lambda p: "constant",
        lambda p: None,
        lambda p: 1 / 0,
        lambda: None,
    ],
)
def test_a_path_refuses_a_function_of_anything_else(part: Any) -> None:
    with pytest.raises(TypeError, match=r"does nothing but access attributes and \[index or key\] items"):
        path(part)


GONE: dict[str, tuple[Lens[Any, Any], object, type[LookupError], str]] = {
    "index": (index(2), ["a", "b"], IndexError, r"item \[2\].*2 items"),
    "index of a tuple": (index(-3), ("a", "b"), IndexError, r"item \[-3\].*2 items"),
    "key": (key("z"), {"k": 1}, KeyError, r"item \['z'\]"),
    "element": (element(id_of, 3), [(1, "a")], LookupError, "no element with the id 3"),
    "index of None": (index(2), None, LookupError, "None"),
    "element of None": (element(id_of, 3), None, LookupError, "no element with the id 3.*None"),
    "attribute of None": (path(lambda p: p.address.city), Person("A"), LookupError, "no attribute 'city'.*None"),
}


@pytest.mark.parametrize(("lens", "parent", "error", "says"), GONE.values(), ids=GONE.keys())
def test_what_is_not_there_is_a_lookup_error(
    lens: Lens[Any, Any], parent: object, error: type[LookupError], says: str
) -> None:
    with pytest.raises(error, match=says):
        lens.get(parent)
    with pytest.raises(error, match=says):
        lens.set(parent, (3, "x"))


def test_reading_a_defaultdict_adds_nothing() -> None:
    parent: defaultdict[str, int] = defaultdict(int)
    with pytest.raises(KeyError):
        key("a").get(parent)
    assert not parent


def test_of_several_elements_with_an_id_none_is_set() -> None:
    assert element(id_of, 1).get([(1, "a"), (1, "b")]) == (1, "a")
    with pytest.raises(LookupError, match="2 of the element with the id 1"):
        element(id_of, 1).set([(1, "a"), (1, "b")], (1, "z"))


@pytest.mark.parametrize(
    ("lens", "parent", "says"),
    [
        (field("real"), 3, "'real' of a int"),
        (field("x"), Point, "'x' of a type"),
        (index(0), "text", r"item \[0\] of a str"),
    ],
)
def test_a_parent_of_another_type_is_a_type_error_that_names_it(
    lens: Lens[Any, Any], parent: object, says: str
) -> None:
    with pytest.raises(TypeError, match=says):
        lens.set(parent, 1)


def test_a_comparison_that_fails_means_different() -> None:
    class Odd:
        __hash__ = None

        def __eq__(self, _: object) -> bool:
            raise ValueError("no truth value")

    odd = Odd()
    assert same(odd, odd)
    assert not same(odd, Odd())
    assert not same([odd], [Odd()])
    assert same([1], [1.0])
