"""What type-checkers know of stores, lenses and resources; it is checked, and never run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, assert_type

import msgspec
from reactivex import Observable

from rxsocket.handlers import EmittingHandler, Handler, handled_by
from rxsocket.history import History
from rxsocket.lenses import Lens, element, field, index, key, or_default, path
from rxsocket.resource import Resource
from rxsocket.store import RootStore, Store, SubStore, handler
from rxsocket.updates import Change

if TYPE_CHECKING:
    from rxsocket.socket import Socket
    from rxsocket.sync import Sync


class Address(msgspec.Struct, frozen=True):
    city: str


class Person(msgspec.Struct, frozen=True):
    name: str
    address: Address
    id: int = 0


class PersonStore(RootStore[Person]):
    @handler
    def rename(self, state: Person, name: str) -> Person:
        return Person(name, state.address)

    @handler
    def reset(self, state: Person) -> Person:
        return Person("", state.address)


class LoudStore(PersonStore):
    @handler
    def rename(self, state: Person, name: str) -> Person:
        return PersonStore.rename(self, state, name.upper())


def stores(store: PersonStore, loud: LoudStore, names: Observable[str], clicks: Observable[int]) -> None:
    assert_type(store.current, Person)
    assert_type(store.data, Observable[Person])
    assert_type(store.changes, Observable[Change[Person]])
    assert_type(store.update, Handler[Person])
    assert_type(store.update_from(store), Handler[Person])
    assert_type(store.history(), History[Person])
    assert_type(store.history().current, tuple[Person, ...])
    assert_type(store.rename, Handler[str])
    assert_type(store.reset, Handler[object])
    assert_type(loud.rename, Handler[str])
    store.rename("A")
    store.reset()
    store.rename(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    store.rename()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    names.subscribe(store.rename)
    clicks.subscribe(store.reset)
    handled_by(names, store.rename)
    handled_by(clicks, store.reset)
    clicks.subscribe(store.rename)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    store.sync_by(store.update)
    store.sync_by(store.reset)


def handlers(store: RootStore[int]) -> None:
    def add(state: int, amount: int) -> int:
        return state + amount

    def tell(state: int, amount: int, emit: Callable[[str], None]) -> int:
        emit("telling")
        return state + amount

    def tick(state: int, emit: Callable[[str], None]) -> int:
        emit("tick")
        return state + 1

    assert_type(store.handle(add), Handler[int])
    assert_type(store.handle(lambda state: state + 1), Handler[object])
    assert_type(store.handle_and_emit(tell), EmittingHandler[int, str])
    store.handle_and_emit(tell).subscribe(print)
    told: Observable[str] = store.handle_and_emit(tell)
    ticked: Observable[str] = store.handle_and_emit(tick)
    assert_type(told.map(len), Observable[int])
    assert_type(ticked.map(len), Observable[int])


def sub_stores(
    store: Store[Person], people: Store[list[Person]], ages: Store[dict[str, int]], name: Store[str | None]
) -> None:
    assert_type(store.sub(lambda p: p.address.city), SubStore[str])
    assert_type(store.sub(lambda p: p.address).sub(lambda a: a.city), SubStore[str])
    assert_type(people.sub(lambda some: some[0].name), SubStore[str])
    city: Lens[Person, str] = field("address") + field("city")
    assert_type(store.sub(city), SubStore[str])
    first: Lens[list[Person], Person] = index(0)
    assert_type(people.sub(first), SubStore[Person])
    assert_type(people.sub(first + city), SubStore[str])
    age: Lens[dict[str, int], int] = key("Ada")
    assert_type(ages.sub(age), SubStore[int])
    assert_type(name.sub(or_default("")), SubStore[str])

    def id_of(person: Person) -> int:
        return person.id

    assert_type(people.sub(element(id_of, 7)), SubStore[Person])
    recorded: Lens[Person, str] = path(lambda p: p.address.city)
    assert_type(recorded.get(store.current), str)
    assert_type(recorded.set(store.current, ""), Person)


def resources(store: Store[Person], people: Store[list[Person]], socket: Socket) -> None:
    resource = Resource(Person, id=lambda p: p.id, empty=Person("", Address("")))
    assert_type(resource, Resource[Person, int])
    assert_type(resource.decode("{}"), Person)
    assert_type(resource.decode_list("[]"), list[Person])
    assert_type(resource.encode(resource.empty), str | bytes)
    assert_type(store.sync_with(socket, resource), Sync)
    assert_type(people.sync_with(socket, resource), Sync)
    numbers: Store[int] = RootStore(0)
    numbers.sync_with(socket, resource)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def anything(store: Store[Any]) -> None:
    assert_type(store.current, Any)
