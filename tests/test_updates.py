"""One writer at a time: the queue of a store's updates. The stores' tests show it with handlers and subscribers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from rxsocket.errors import SubscriberException
from rxsocket.updates import Change, Updates


def test_every_update_is_applied_once_to_the_result_of_the_one_before() -> None:
    errors: list[Exception] = []
    updates = Updates(0, "store", errors.append)
    seen: list[int] = []
    updates.states.subscribe(lambda change: seen.append(change.value))

    def add() -> None:
        for _ in range(1000):
            updates.update(lambda value: value + 1, None)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(add)
    assert seen == list(range(4001))
    assert errors == []


def test_a_step_that_raises_leaves_the_value_and_is_told() -> None:
    errors: list[Exception] = []
    updates = Updates(1, "store", errors.append)
    updates.update(lambda value: value // 0, None)
    updates.update(lambda value: value + 1, "me")
    assert updates.states.value == Change(2, "me")
    assert [type(error) for error in errors] == [ZeroDivisionError]


def test_a_step_that_changes_nothing_is_no_change() -> None:
    updates = Updates([1], "store", lambda _: None)
    seen: list[Change[list[int]]] = []
    updates.states.subscribe(seen.append)
    updates.update(list, None)
    assert len(seen) == 1


def test_a_subscriber_that_raises_is_told_by_the_name_of_the_stream() -> None:
    errors: list[Exception] = []
    updates = Updates(1, "store", errors.append)
    updates.states.subscribe(lambda change: change.value // 0)
    (error,) = errors
    assert isinstance(error, SubscriberException)
    assert error.stream == "store.data"


def test_an_error_handler_that_raises_is_logged(caplog) -> None:
    def fail(error: Exception) -> None:
        raise LookupError("of the handler")

    updates = Updates(1, "store", fail)
    updates.fail(ValueError("first"))
    assert "the error_handler of store raised" in caplog.text
