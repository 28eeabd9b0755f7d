"""A trait and a store kept the same: whoever moves, whoever updates, on whichever threads."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest
from msgspec import Struct
from threads import in_threads
from traitlets import CInt, HasTraits, Int, TraitError, Unicode, validate

from rxsocket import RootStore, SubscriberException, index
from rxsocket.binding import bind
from rxsocket.scopes import Scope, inside


class Slider(HasTraits):
    value = Int()
    description = Unicode()


class Settings(Struct, frozen=True):
    volume: int
    name: str


def bound(initial: int = 0) -> tuple[Slider, RootStore[int], list[Exception]]:
    errors: list[Exception] = []
    slider, store = Slider(), RootStore(initial, id="volume", error_handler=errors.append)
    return slider, store, errors


def test_at_first_the_stores_value_counts_and_then_both_ways() -> None:
    slider, store, errors = bound(5)
    bind(slider, "value", store)
    assert slider.value == 5
    slider.value = 6
    assert store.current == 6
    store.update(7)
    assert slider.value == 7
    assert not errors


def test_a_sub_store_is_bound_and_what_is_beside_it_stays() -> None:
    store = RootStore(Settings(1, "a"))
    slider = Slider()
    bind(slider, "value", store.sub(lambda settings: settings.volume))
    bind(slider, "description", store.sub(lambda settings: settings.name))
    slider.value = 2
    store.update(Settings(3, "b"))
    assert (slider.value, slider.description) == (3, "b")
    slider.description = "c"
    assert store.current == Settings(3, "c")


def test_each_end_hears_of_a_value_once() -> None:
    slider, store, _ = bound()
    bind(slider, "value", store)
    moves, updates = [], []
    slider.observe(lambda change: moves.append(change["new"]), "value")
    store.changes.subscribe(lambda change: updates.append(change.value))
    slider.value = 1
    store.update(2)
    slider.value = 2
    store.update(2)
    assert moves == updates == [1, 2]


def test_disposed_of_each_goes_its_way() -> None:
    slider, store, _ = bound()
    binding = bind(slider, "value", store)
    binding.dispose()
    binding.dispose()
    slider.value = 1
    assert store.current == 0
    store.update(2)
    assert slider.value == 1
    assert store._updates.states.observers == ()
    assert not slider.has_trait("other")


def test_it_ends_with_its_scope() -> None:
    slider, store, _ = bound()
    scope = Scope()
    with inside(scope):
        bind(slider, "value", store)
        gone = bind(slider, "description", RootStore("a"))
    gone.dispose()
    assert len(scope) == 1
    scope.end()
    slider.value = 1
    assert store.current == 0


def test_a_handler_that_makes_something_else_of_a_move_is_shown() -> None:
    slider, store, _ = bound()
    even = store.handle(lambda _, value: value // 2 * 2)
    bind(slider, "value", store)
    store.changes.subscribe(lambda change: even(change.value))
    slider.value = 5
    assert (slider.value, store.current) == (4, 4)


def test_what_a_trait_makes_of_a_value_the_store_does_not_take_over() -> None:
    class Clamped(HasTraits):
        value = CInt()

        @validate("value")
        def _clamp(self, proposal: dict[str, Any]) -> int:
            return min(10, proposal["value"])

    slider, store = Clamped(), RootStore(200)
    bind(slider, "value", store)
    assert (slider.value, store.current) == (10, 200)
    slider.value = 3
    assert store.current == 3


# --- what is wrong


def test_what_is_not_bound_can_be_told() -> None:
    slider, store, _ = bound()
    with pytest.raises(ValueError, match="Slider has no trait 'valeu'; it has description, value"):
        bind(slider, "valeu", store)
    with pytest.raises(TypeError, match="bind takes a widget, which has traits, not int"):
        bind(5, "value", store)
    with pytest.raises(TypeError, match="bind takes a RootStore or a SubStore, not int"):
        bind(slider, "value", 5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"has 'loud', which Slider\.value does not take: ") as caught:
        bind(slider, "value", RootStore("loud"))
    assert isinstance(caught.value.__cause__, TraitError)
    slider.value = 1
    assert store.current == 0


def test_a_later_value_that_the_trait_does_not_take_is_an_error_of_the_stores() -> None:
    slider, store, errors = bound()
    bind(slider, "value", store)
    store.update("loud")  # type: ignore[arg-type]
    assert isinstance(errors[0], SubscriberException)
    assert "volume has 'loud', which Slider.value does not take" in str(errors[0].__cause__)
    assert slider.value == 0
    store.update(2)
    assert slider.value == 2


def test_what_a_move_leads_to_and_the_trait_does_not_take_is_told_too() -> None:
    slider, store, errors = bound()
    bind(slider, "value", store)
    store.changes.subscribe(lambda change: store.update("loud") if change.value == 1 else None)  # type: ignore[arg-type]
    slider.value = 1
    assert errors
    assert all("does not take" in str(error) + str(error.__cause__) for error in errors)
    slider.value = 2
    assert store.current == 2


def test_while_a_part_is_gone_the_widget_stays_and_then_goes_on() -> None:
    errors: list[Exception] = []
    store: RootStore[list[int]] = RootStore([], error_handler=errors.append)
    slider = Slider(value=3)
    bind(slider, "value", store.sub(index(0)))
    assert slider.value == 3
    slider.value = 4
    assert [type(error) for error in errors] == [IndexError]
    store.update([8])
    assert slider.value == 8
    slider.value = 9
    assert store.current == [9]


# --- threads


@pytest.fixture
def _quick_switches():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_quick_switches")
@pytest.mark.parametrize("_", range(5))
def test_of_500_moves_and_500_updates_none_steps_back_and_both_ends_are_equal(_: int) -> None:
    slider, store, errors = bound()
    bind(slider, "value", store)
    updates: list[int] = []
    store.changes.subscribe(lambda change: updates.append(change.value))

    def move() -> None:
        for value in range(1, 501):
            slider.value = value

    def update() -> None:
        for value in range(1001, 1501):
            store.update(value)

    in_threads(move, update)
    assert slider.value == store.current
    assert not errors
    # Each once, in order, and nothing that was there before: a store that is rolled back has a value twice.
    assert [value for value in updates if value <= 500] == list(range(1, 501))
    assert [value for value in updates if value > 500] == list(range(1001, 1501))
    assert not store._updates.queue


def test_while_a_move_waits_for_its_turn_the_widget_is_not_set_back() -> None:
    slider, store, _ = bound()
    entered, leave = threading.Event(), threading.Event()

    def hold(value: object) -> None:
        if value == 100:
            entered.set()
            leave.wait(5)

    store.data.subscribe(hold)
    bind(slider, "value", store)
    shown: list[int] = []
    slider.observe(lambda change: shown.append(change["new"]), "value")
    thread = threading.Thread(target=store.update, args=(100,))
    thread.start()
    assert entered.wait(5)
    slider.value = 1
    slider.value = 2
    leave.set()
    thread.join()
    assert (shown, slider.value, store.current) == ([1, 2], 2, 2)


@pytest.mark.usefixtures("_quick_switches")
def test_of_moves_by_several_threads_the_ends_are_equal() -> None:
    slider, store, _ = bound()
    bind(slider, "value", store)

    def move(start: int) -> None:
        for value in range(start, start + 300):
            slider.value = value

    in_threads(*[lambda start=start: move(start) for start in (0, 1000, 2000)])
    assert slider.value == store.current


@pytest.mark.usefixtures("_quick_switches")
def test_two_widgets_and_a_store_come_to_rest_equal() -> None:
    slider, store, _ = bound()
    other = Slider()
    bind(slider, "value", store)
    bind(other, "value", store)

    def move(widget: Slider, start: int) -> None:
        for value in range(start, start + 300):
            widget.value = value

    in_threads(lambda: move(slider, 1), lambda: move(other, 1001))
    assert slider.value == other.value == store.current
