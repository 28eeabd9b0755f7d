"""Handlers, as a store makes them: what they take, and what is refused."""

from typing import Any

import pytest
from reactivex.subject import Subject

from rxsocket.handlers import handled_by
from rxsocket.store import RootStore


def test_a_missing_action_is_a_type_error_for_the_caller() -> None:
    errors: list[Exception] = []
    store = RootStore(0, error_handler=errors.append)
    with pytest.raises(TypeError, match="takes an action"):
        store.update()  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        store.update(1, 2)  # type: ignore[call-overload]
    assert store.current == 0
    assert not errors


@pytest.mark.parametrize("fn", [lambda: 0, lambda a, b, c: 0, lambda a, *, b: 0])
def test_a_function_of_another_arity_is_refused(fn: Any) -> None:
    with pytest.raises(TypeError, match=r"a handler takes \(state, action\) or \(state\), but .* takes \("):
        RootStore(0).handle(fn)


def test_a_function_that_hides_its_arity_is_refused() -> None:
    with pytest.raises(TypeError, match="wrap it in a function"):
        RootStore({"a": 1}).handle(dict.pop)


def test_a_coroutine_function_is_refused() -> None:
    async def later(state: int) -> int:
        return state

    with pytest.raises(TypeError, match="not a coroutine's"):
        RootStore(0).handle(later)  # type: ignore[arg-type]


def test_a_bound_method_and_a_builtin_are_handlers_too() -> None:
    store = RootStore((1, 2))
    store.handle(tuple[int, ...].__add__)((3,))
    assert store.current == (1, 2, 3)


def test_disposing_ends_the_handling() -> None:
    store = RootStore(0)
    values: Subject[int] = Subject()
    subscription = handled_by(values, store.update)
    values.on_next(1)
    subscription.dispose()
    values.on_next(2)
    assert store.current == 1


def test_a_handler_of_no_action_takes_nothing_or_any_stream() -> None:
    store = RootStore(0)
    increment = store.handle(lambda state: state + 1)
    increment()
    clicks: Subject[str] = Subject()
    subscription = handled_by(clicks, increment)
    clicks.on_next("click")
    clicks.on_completed()
    increment()
    subscription.dispose()
    assert store.current == 3
