"""Stores: handlers, streams, origins, sub-stores, and that many threads change nothing of what is true for one."""

from __future__ import annotations

import logging
import threading
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from pictures import cells
from reactivex.subject import Subject
from threads import in_threads

from rxsocket.errors import SubscriberException
from rxsocket.handlers import EmittingHandler, Handler, handled_by
from rxsocket.lenses import Lens, element, index, key, or_default
from rxsocket.store import RootStore, Store, SubStore, handler
from rxsocket.updates import Change


class Address(msgspec.Struct, frozen=True):
    city: str
    street: str = ""


class Person(msgspec.Struct, frozen=True):
    name: str
    age: int = 0
    address: Address | None = Address("Oslo")


class PersonStore(RootStore[Person]):
    @handler
    def rename(self, state: Person, name: str) -> Person:
        """Give the person another name."""
        return msgspec.structs.replace(state, name=name)

    @handler
    def grow(self, state: Person) -> Person:
        return msgspec.structs.replace(state, age=state.age + 1)


class LoudStore(PersonStore):
    @handler
    def rename(self, state: Person, name: str) -> Person:
        return PersonStore.rename(self, state, name.upper())

    def rename_quietly(self, name: str) -> None:
        super().rename(name)


def store_of(initial: Any) -> tuple[RootStore[Any], list[Exception]]:
    errors: list[Exception] = []
    return RootStore(initial, id="s", error_handler=errors.append), errors


def seen(store: Store[Any]) -> list[Any]:
    values: list[Any] = []
    store.data.subscribe(values.append)
    return values


class TestValues:
    def test_data_replays_the_current_value_and_leaves_out_equal_ones(self) -> None:
        store = RootStore([1])
        values = seen(store)
        store.update([1])
        store.update([2])
        store.update([2])
        assert values == [[1], [2]]
        assert store.current == [2]
        assert seen(store) == [[2]]

    def test_a_comparison_that_fails_is_a_change(self) -> None:
        class Array:
            def __eq__(self, other: object) -> Any:
                return Odd()

            __hash__ = None  # type: ignore[assignment]

        class Odd:
            def __bool__(self) -> bool:
                raise ValueError("the truth value of an array is ambiguous")

        first, second = Array(), Array()
        store, errors = store_of(first)
        values = seen(store)
        store.update(first)
        store.update(second)
        assert [id(value) for value in values] == [id(first), id(second)]
        assert not errors

    def test_ids_and_paths_are_joined_by_dots(self) -> None:
        store = RootStore(Person("A"), id="person")
        city = store.sub(lambda p: p.address).sub(lambda a: a.city)  # type: ignore[union-attr]
        assert (store.id, store.path) == ("person", "")
        assert (city.id, city.path) == ("person.address.city", ".address.city")
        assert store.sub(or_default(Person(""))).id == "person"  # type: ignore[arg-type]
        assert repr(city) == "<SubStore person.address.city 'Oslo'>"

    def test_without_an_id_a_store_is_named_by_its_class_and_a_number(self) -> None:
        one, two = PersonStore(Person("A")), PersonStore(Person("A"))
        assert one.id.startswith("PersonStore-")
        assert one.id != two.id


class TestHandlers:
    def test_a_handler_is_called_or_subscribed_to_a_stream(self) -> None:
        store, errors = store_of(0)
        add: Handler[int] = store.handle(lambda state, amount: state + amount)
        add(2)
        amounts: Subject[int] = Subject()
        handled_by(amounts, add)
        amounts.on_next(40)
        assert store.current == 42
        amounts.on_error(RuntimeError("stream broke"))
        assert [str(error) for error in errors] == ["stream broke"]
        add(1)
        assert store.current == 43

    def test_an_exception_goes_to_the_error_handler_and_the_value_stays(self) -> None:
        store, errors = store_of(1)
        values = seen(store)
        divide: Handler[int] = store.handle(lambda state, by: state // by)
        divide(0)
        divide(1)
        store.update(5)
        assert values == [1, 5]
        assert [type(error) for error in errors] == [ZeroDivisionError]

    def test_an_exception_is_logged_with_its_traceback_by_default(self, caplog: pytest.LogCaptureFixture) -> None:
        store = RootStore(1, id="counter")
        store.handle(lambda state: state // 0)()
        (record,) = caplog.records
        assert (record.name, record.levelno) == ("rxsocket", logging.ERROR)
        assert "in counter: " in record.getMessage()
        assert "ZeroDivisionError" in caplog.text
        assert "Traceback" in caplog.text

    def test_an_error_handler_that_raises_is_logged_and_the_store_goes_on(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Fragile(RootStore[int]):
            def error_handler(self, error: Exception) -> None:
                raise LookupError("no handler for this") from error

        store = Fragile(1, id="fragile")
        store.handle(lambda state: state // 0)()
        store.update(2)
        assert store.current == 2
        assert "the error_handler of fragile raised, when it was given ZeroDivisionError" in caplog.text
        assert "no handler for this" in caplog.text

    def test_an_interrupt_in_a_handler_passes_and_the_store_goes_on(self) -> None:
        store, errors = store_of(0)

        def interrupted(state: int) -> int:
            store.update(7)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            store.handle(interrupted)()
        add: Handler[int] = store.handle(lambda state, amount: state + amount)
        add(1)
        assert store.current == 8
        assert not errors


class TestDecorator:
    def test_a_method_is_a_handler_of_its_store(self) -> None:
        one, two = PersonStore(Person("A")), PersonStore(Person("B"))
        one.rename("C")
        one.grow()
        assert (one.current, two.current) == (Person("C", 1), Person("B"))
        assert one.rename is one.rename
        assert one.rename is not two.rename
        names: Subject[str] = Subject()
        names.subscribe(two.rename)
        names.subscribe(two.grow)
        names.on_next("D")
        assert two.current == Person("D", 1)

    def test_an_override_reaches_what_it_overrides(self) -> None:
        store = LoudStore(Person("A"))
        store.rename("b")
        assert store.current.name == "B"
        store.rename_quietly("c")
        assert store.current.name == "c"
        store.rename("d")
        assert store.current.name == "D"
        assert PersonStore.rename(store, Person("x", 3), "y") == Person("y", 3)

    def test_threads_get_the_same_handler(self) -> None:
        store = PersonStore(Person("A"))
        found: list[Handler[str]] = []
        in_threads(*[lambda: found.append(store.rename)] * 8)
        assert len({id(one) for one in found}) == 1

    def test_the_docstring_stays(self) -> None:
        assert vars(PersonStore)["rename"].__doc__ == "Give the person another name."


class TestEmitting:
    def test_what_is_emitted_comes_after_the_update_and_in_order(self) -> None:
        store = RootStore(0)
        log: list[object] = []

        def add(state: int, amount: int, emit: Any) -> int:
            emit("adding")
            emit(amount)
            log.append("in the handler")
            return state + amount

        added: EmittingHandler[int, object] = store.handle_and_emit(add)
        added.subscribe(lambda value: log.append((value, store.current)))
        added(2)
        assert log == ["in the handler", ("adding", 2), (2, 2)]

    def test_it_is_a_stream_for_other_stores(self) -> None:
        store, count = RootStore(0), RootStore(0)
        tick = store.handle_and_emit(lambda state, emit: emit(state) or state + 1)  # type: ignore[func-returns-value, var-annotated]
        tick.filter(lambda n: n % 2 == 0).subscribe(count.handle(lambda state: state + 1))
        for _ in range(3):
            tick()
        values: Subject[None] = Subject()
        handled_by(values, tick)
        values.on_next(None)
        assert (store.current, count.current) == (4, 2)

    def test_a_subscriber_that_raises_is_reported_by_the_functions_name(self) -> None:
        store, errors = store_of(0)

        def save(state: int, emit: Any) -> int:
            emit(1)
            return 1

        saved: Any = store.handle_and_emit(save)
        saved.subscribe(lambda _: 1 / 0)
        heard: list[int] = []
        saved.subscribe(heard.append)
        saved()
        assert heard == [1]
        (error,) = errors
        assert isinstance(error, SubscriberException)
        assert error.stream == "s.save"

    def test_emitting_from_many_threads_and_later_is_serialized(self) -> None:
        store = RootStore(0)
        kept: list[Any] = []
        keeper: Any = store.handle_and_emit(lambda state, emit: kept.append(emit) or state)  # type: ignore[func-returns-value]
        inside: list[int] = []
        heard: list[int] = []

        def hear(value: int) -> None:
            inside.append(value)
            assert inside == [value]
            heard.append(value)
            inside.pop()

        keeper.subscribe(hear)
        keeper()
        in_threads(*[lambda: [kept[0](n) for n in range(200)]] * 4)
        assert sorted(heard) == sorted(list(range(200)) * 4)

    def test_a_function_of_another_arity_is_refused(self) -> None:
        with pytest.raises(TypeError, match=r"\(state, action, emit\) or \(state, emit\)"):
            RootStore(0).handle_and_emit(lambda state: state)  # type: ignore[arg-type]


class TestSubscribers:
    def test_one_that_raises_is_reported_by_the_streams_name_and_harms_nobody(self) -> None:
        store, errors = store_of(Person("A"))
        name = store.sub(lambda p: p.name)

        def raises(_: object) -> None:
            raise ValueError("mine")

        name.data.subscribe(raises)
        store.data.subscribe(raises)
        store.changes.subscribe(raises)
        values = seen(name)
        store.update(Person("B"))
        assert values == ["A", "B"]
        assert [error.stream for error in errors if isinstance(error, SubscriberException)] == [
            *("s.name.data", "s.data"),
            *("s.name.data", "s.data", "s.changes"),
        ]
        assert {str(error.__cause__) for error in errors} == {"mine"}

    def test_one_that_updates_the_store_shows_all_others_the_values_in_order(self) -> None:
        store = RootStore(0)
        store.data.subscribe(lambda value: store.update(value + 1) if value < 3 else None)
        values = seen(store)
        assert values == [3]
        store.update(0)
        assert values == [3, 0, 1, 2, 3]


class TestOrigins:
    def test_a_change_tells_where_it_came_from(self) -> None:
        store = RootStore(0)
        store.update(1)
        changes: list[Change[int]] = []
        store.changes.subscribe(changes.append)
        origin = object()
        store.update_from(origin)(2)
        store.update_from(origin)(2)
        store.update(3)
        add: Handler[int] = store.handle(lambda state, amount: state + amount, origin="sync")
        add(1)
        assert changes == [Change(2, origin), Change(3, None), Change(4, "sync")]

    def test_a_change_is_a_value_that_cannot_be_changed_and_can_be_matched(self) -> None:
        change = Change[int](2, "sync")
        assert hash(change) == hash(Change(2, "sync"))
        assert repr(change) == "Change(value=2, origin='sync')"
        with pytest.raises(AttributeError):
            change.value = 3  # type: ignore[misc]
        match change:
            case Change(value, origin):
                assert (value, origin) == (2, "sync")

    def test_it_is_told_up_and_down_and_across_sub_stores(self) -> None:
        store = RootStore(Person("A"))
        name, age = store.sub(lambda p: p.name), store.sub(lambda p: p.age)
        other_name = store.sub(lambda p: p.name)
        log: list[tuple[str, object, object]] = []
        for title, one in (("store", store), ("name", name), ("age", age), ("other", other_name)):
            changes: Any = one.changes
            changes.subscribe(lambda change, title=title: log.append((title, change.value, change.origin)))
        name.update_from("up")("B")
        assert log == [("store", Person("B"), "up"), ("name", "B", "up"), ("other", "B", "up")]
        log.clear()
        store.update_from("down")(Person("B", 5))
        assert log == [("store", Person("B", 5), "down"), ("age", 5, "down")]

    def test_an_echo_is_left_out_by_its_origin_even_where_values_repeat(self) -> None:
        store = RootStore("")
        me = object()
        sent: list[str] = []
        store.changes.filter(lambda change: change.origin is not me).map(lambda change: change.value).subscribe(
            sent.append
        )
        received = store.update_from(me)
        received("A")
        store.update("B")
        store.update("A")
        received("B")
        assert sent == ["B", "A"]

    def test_updates_that_a_change_causes_are_not_of_its_origin(self) -> None:
        store = RootStore(0)
        origins: list[object] = []
        store.changes.subscribe(lambda change: origins.append(change.origin))
        store.changes.filter(lambda change: change.value == 1).subscribe(lambda _: store.update(2))
        store.update_from("me")(1)
        assert origins == ["me", None]


class TestSubStores:
    def test_it_shows_and_updates_a_part(self) -> None:
        store = RootStore(Person("A"))
        city: SubStore[str] = store.sub(lambda p: p.address.city)  # type: ignore[union-attr]
        people, cities = seen(store), seen(city)
        city.update("Rome")
        store.update(Person("B", 0, Address("Rome")))
        store.update(Person("B", 0, Address("Bonn")))
        assert cities == ["Oslo", "Rome", "Bonn"]
        assert len(people) == 4
        assert city.current == "Bonn"
        assert store.current.address == Address("Bonn")

    def test_it_has_handlers_and_sub_stores_of_its_own(self) -> None:
        store, errors = store_of({"people": (Person("A"), Person("B"))})
        second = store.sub(key("people")).sub(lambda people: people[1])
        second.sub(lambda p: p.age).handle(lambda age, more: age + more)(3)
        second.sub(lambda p: p.name).handle(lambda name: name.lower())()
        assert store.current == {"people": (Person("A"), Person("b", 3))}
        second.handle(lambda _: 1 // 0)()
        assert [type(error) for error in errors] == [ZeroDivisionError]

    def test_its_errors_go_to_an_overridden_handler_of_the_root(self) -> None:
        class Careful(RootStore[Person]):
            def __init__(self) -> None:
                super().__init__(Person("A"))
                self.errors: list[Exception] = []

            def error_handler(self, error: Exception) -> None:
                self.errors.append(error)

        store = Careful()
        name = store.sub(lambda p: p.name)
        name.handle(lambda _: str(1 // 0))()
        name.error_handler(ValueError("by hand"))
        assert [type(error) for error in store.errors] == [ZeroDivisionError, ValueError]

    def test_while_its_part_is_gone_it_is_silent_and_nobody_else_is(self) -> None:
        store, errors = store_of([(1, "a"), (2, "b")])
        second = store.sub(element(lambda pair: pair[0], 2))
        whole, values = seen(store), seen(second)
        changes: list[Change[Any]] = []
        second.changes.subscribe(changes.append)
        store.update([(1, "a")])
        assert values == [(2, "b")]
        assert not errors
        assert seen(second) == []
        with pytest.raises(LookupError, match="no element with the id 2"):
            _ = second.current
        second.update((2, "z"))
        assert [str(error) for error in errors] == ["there is no element with the id 2"]
        assert whole == [[(1, "a"), (2, "b")], [(1, "a")]]
        store.update([(2, "b")])
        assert values == [(2, "b")]
        store.update([(2, "c")])
        assert values == [(2, "b"), (2, "c")]
        assert [change.value for change in changes] == [(2, "c")]

    def test_one_whose_part_comes_later_tells_the_first_value(self) -> None:
        store = RootStore(Person("A", 0, None))
        city = store.sub(lambda p: p.address.city)  # type: ignore[union-attr]
        values = seen(city)
        changes: list[Change[str]] = []
        city.changes.subscribe(changes.append)
        calls: list[str] = []
        city.sync_by(RootStore("").handle(lambda _, value: calls.append(value) or value))  # type: ignore[func-returns-value]
        store.update(Person("A", 0, Address("Bonn")))
        assert values == ["Bonn"]
        assert changes == [Change("Bonn", None)]
        assert calls == ["Bonn"]

    def test_a_lens_that_raises_something_else_is_an_error(self) -> None:
        store, errors = store_of(1)
        inverse: Lens[float, float] = Lens("inverse", lambda x: 1 / x, lambda _, x: 1 / x)
        sub = store.sub(inverse)
        values, others = seen(sub), seen(store)
        store.update(0)
        store.update(4)
        assert (values, others) == ([1, 0.25], [1, 0, 4])
        assert [type(error) for error in errors] == [ZeroDivisionError]

    def test_a_default_is_a_sub_store_of_an_optional_value(self) -> None:
        store: RootStore[str | None] = RootStore(None)
        text = store.sub(or_default(""))
        values = seen(text)
        text.update("a")
        assert store.current == "a"
        text.update("")
        assert store.current is None
        assert values == ["", "a", ""]


class TestSyncBy:
    def test_it_calls_at_each_new_value_but_not_for_the_current_one(self) -> None:
        store, copy, count = RootStore(1), RootStore(0), RootStore(0)
        subscription = store.sync_by(copy.update)
        store.sync_by(count.handle(lambda state: state + 1))
        assert (copy.current, count.current) == (0, 0)
        store.update(2)
        store.update(3)
        subscription.dispose()
        store.update(4)
        assert (copy.current, count.current) == (3, 3)


class TestThreads:
    def test_every_update_is_applied_once_each_to_the_result_of_the_one_before(self) -> None:
        """Eight threads update a store; handlers and subscribers update it too, and so does a sub-store."""
        store: RootStore[tuple[tuple[str, int], ...]] = RootStore(())
        first = store.sub(lambda log: log[0])

        def append(state: tuple[tuple[str, int], ...], entry: tuple[str, int]) -> tuple[tuple[str, int], ...]:
            if entry[1] >= 0:
                again((entry[0], -entry[1] - 1))
                assert store.current is state  # not applied inside of this update
            return (*state, entry)

        again = store.handle(append)
        values: list[tuple[tuple[str, int], ...]] = []
        store.data.subscribe(values.append)
        store.update((("start", -1),))
        touched = first.handle(lambda entry: (entry[0], entry[1] - 1))

        def work(name: str) -> None:
            for n in range(50):
                again((name, n))
                touched()

        in_threads(*(lambda name=name: work(name) for name in "abcdefgh"))
        entries = store.current
        assert entries[0] == ("start", -1 - 8 * 50)
        assert len(entries) == 1 + 8 * 100
        for name in "abcdefgh":
            assert [n for who, n in entries if who == name and n >= 0] == list(range(50))
            assert [-n - 1 for who, n in entries if who == name and n < 0] == list(range(50))
        # Each value was made from the one before, and was seen, in order.
        assert len(values) == 2 + 8 * 50 * 3
        assert all(len(after) - len(before) in (0, 1) for before, after in pairwise(values[1:]))

    def test_two_stores_that_update_each_other_do_not_deadlock(self) -> None:
        one, two = RootStore(0), RootStore(0)
        add_one: Handler[int] = one.handle(lambda state, amount: state + amount)
        add_two: Handler[int] = two.handle(lambda state, amount: state + amount)

        meeting = threading.Barrier(2)

        def both_one(state: int) -> int:
            if state == 0:
                meeting.wait(10)  # once, each is in its handler when it calls the other's
            add_two(1)
            return state + 1

        def both_two(state: int) -> int:
            if state == 0:
                meeting.wait(10)
            add_one(1)
            return state + 1

        call_one, call_two = one.handle(both_one), two.handle(both_two)
        in_threads(*[lambda: [call_one() for _ in range(200)], lambda: [call_two() for _ in range(200)]] * 4)
        assert (one.current, two.current) == (1600, 1600)

    def test_who_subscribes_meanwhile_sees_each_value_once_and_in_order(self) -> None:
        store = RootStore(0)
        increment = store.handle(lambda state: state + 1)
        logs: list[list[int]] = []

        def watch() -> None:
            for _ in range(50):
                values: list[int] = []
                logs.append(values)
                store.data.subscribe(values.append)

        in_threads(watch, watch, *[lambda: [increment() for _ in range(300)]] * 2)
        assert store.current == 600
        for values in logs:
            assert values == list(range(values[0], 601))


class TestPictures:
    def test_a_store_shows_its_value(self) -> None:
        store = RootStore([1, 2], id="numbers")
        assert repr(store) == "<RootStore numbers [1, 2]>"
        assert cells(html_of(store)) == [["RootStore numbers"], ["0", "1"], ["1", "2"]]

    def test_a_picture_is_no_subscription_and_has_no_effect(self) -> None:
        store = RootStore({"a": "<script>"}, id="<b>")
        assert cells(html_of(store)) == [["RootStore <b>"], ["'a'", "'<script>'"]]
        assert store._updates.states.observers == ()

    def test_of_a_large_value_there_is_a_part(self) -> None:
        store = RootStore(["x" * 1000] * 1000)
        assert len(html_of(store)) < 4000
        assert cells(html_of(store))[-1] == ["…", "995 more"]
        assert len(repr(store)) < 300

    def test_a_sub_store_whose_part_is_gone_says_so(self) -> None:
        numbers: RootStore[list[int]] = RootStore([], id="numbers")
        first = numbers.sub(index(0))
        assert repr(first) == "<SubStore numbers.0 gone: IndexError>"
        assert cells(html_of(first))[1] == ["value", "gone: IndexError"]


def html_of(store: Store[Any]) -> str:
    return store._repr_html_()
