"""What topics and replies are given: messages, functions that return them, and what is neither."""

from __future__ import annotations

from functools import partial

import pytest
import reactivex

from rxsocket.encoding import content_of
from rxsocket.errors import FunctionException, RxSocketException
from rxsocket.link import LENGTH, check_function, check_given, check_stream, content, failing, shown


def token() -> str:
    return "secret"


@pytest.mark.parametrize("given", ["text", b"bytes", bytearray(b"bytes"), token, lambda: 1])
def test_a_message_or_a_function_may_be_given(given: object) -> None:
    check_given("subscribe", given, content_of)


def test_what_is_neither_is_told_of_with_its_name() -> None:
    with pytest.raises(TypeError, match=r"subscribe is a message, or a function that returns one: .* not int"):
        check_given("subscribe", 1, content_of)
    with pytest.raises(ValueError, match=r"the message is a message, or a function .* surrogates"):
        check_given("the message", "\ud800", content_of)


def test_a_function_and_a_stream_are_told_from_others() -> None:
    check_function("matches", token)
    check_stream("messages", reactivex.never())
    with pytest.raises(TypeError, match="matches is a function of a message, not str"):
        check_function("matches", "x")
    with pytest.raises(TypeError, match=r"messages is an Observable, .* not function"):
        check_stream("messages", token)


def test_the_content_is_the_message_or_what_the_function_returns_now() -> None:
    assert (content("text"), content(token)) == ("text", "secret")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("ticks", "'ticks'"),
        (b"\0", r"b'\x00'"),
        (token, "token()"),
        (partial(int), "partial()"),
        ("x" * 1000, "'" + "x" * (LENGTH - 1) + "..."),
        (range(10**LENGTH), "range(0, 1" + "0" * (LENGTH - 10) + "..."),
    ],
    ids=["text", "bytes", "function", "object", "long", "other"],
)
def test_a_message_is_shown_in_short(given: object, expected: str) -> None:
    assert shown(given) == expected


def test_what_a_function_raised_is_reported_with_its_name_and_what_follows() -> None:
    class Session:
        def __init__(self) -> None:
            self.errors: list[RxSocketException] = []
            self.counts: list[int] = []

        def report(self, error: RxSocketException, count: int) -> None:
            self.errors.append(error)
            self.counts.append(count)

    session = Session()
    raised = KeyError("price")
    report = failing(session, "matches of topic('ticks')", "the message is passed over")
    for _ in range(3):
        report("", raised)
    assert session.counts == [1, 2, 3]
    error = session.errors[0]
    assert isinstance(error, FunctionException)
    assert error.function == "matches of topic('ticks')"
    assert str(error) == "matches of topic('ticks') raised KeyError('price'): the message is passed over"
    assert error.__cause__ is raised
