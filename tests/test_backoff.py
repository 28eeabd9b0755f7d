"""When to try again: the intervals, and what is not tried again."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reactivex.scheduler import VirtualTimeScheduler

from rxsocket.backoff import Backoff
from rxsocket.errors import (
    CertificateException,
    ConnectionException,
    EndpointException,
    HandshakeException,
    RxSocketException,
)


def test_the_intervals_grow_up_to_the_maximum() -> None:
    backoff = Backoff(initial=1, factor=2, maximum=10, jitter=0)
    assert [backoff.delay(attempt) for attempt in range(1, 7)] == [1, 2, 4, 8, 10, 10]


@pytest.mark.parametrize(("fraction", "delay"), [(0.0, 4.0), (0.5, 3.5), (1.0, 3.0)])
def test_jitter_takes_a_random_part_away(fraction: float, delay: float) -> None:
    assert Backoff(initial=4, jitter=0.25).delay(1, lambda: fraction) == delay


def test_the_random_part_is_not_always_the_same() -> None:
    assert len({Backoff().delay(1) for _ in range(20)}) > 1


@given(
    st.builds(
        Backoff,
        initial=st.floats(0, 1000),
        factor=st.floats(1, 1000),
        maximum=st.floats(0, 1e6),
        jitter=st.floats(0, 1),
    ),
    st.integers(1, 10**9),
)
def test_every_delay_is_from_0_to_the_maximum(backoff: Backoff, attempt: int) -> None:
    assert 0 <= backoff.delay(attempt) <= backoff.maximum


@pytest.mark.parametrize(
    ("attempts", "attempt", "gives_up"), [(None, 10**9, False), (0, 1, True), (2, 2, False), (2, 3, True)]
)
def test_it_gives_up_after_its_attempts(attempts: int | None, attempt: int, gives_up: bool) -> None:  # noqa: FBT001
    assert Backoff(attempts=attempts).gives_up(attempt) is gives_up


def refused(status: int) -> HandshakeException:
    return HandshakeException("refused", status, {}, b"")


@pytest.mark.parametrize(
    ("code", "cause", "final"),
    [
        (1000, None, True),
        (1001, None, False),
        (1006, ConnectionException("lost"), False),
        (1008, None, True),
        (1011, None, False),
        (1012, None, False),
        (4401, None, False),
        (1006, refused(400), True),
        (1006, refused(403), True),
        (1006, refused(408), False),
        (1006, refused(429), False),
        (1006, refused(499), True),
        (1006, refused(500), False),
        (1006, refused(503), False),
        (1006, refused(302), False),
        (1006, CertificateException("expired"), True),
        (1006, EndpointException("no URL"), True),
    ],
)
def test_what_is_final(code: int, cause: RxSocketException | None, final: bool) -> None:  # noqa: FBT001
    assert Backoff().is_final(code, cause) is final


def test_the_final_codes_can_be_chosen() -> None:
    backoff = Backoff(final_codes={4401})
    assert backoff.is_final(4401, None)
    assert not backoff.is_final(1000, None)


@pytest.mark.parametrize(
    "options",
    [
        {"initial": -1},
        {"factor": 0.5},
        {"factor": 1001},
        {"maximum": -1},
        {"jitter": 1.1},
        {"stable": -1},
        {"attempts": -1},
        {"initial": float("nan")},
        {"stable": float("inf")},
        {"initial": 10**400},
    ],
)
def test_a_number_out_of_its_range_is_named(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Backoff(**options)


def test_the_first_interval_is_the_maximum_if_that_is_less() -> None:
    assert Backoff(maximum=0.25, jitter=0).delay(1) == 0.25


@pytest.mark.parametrize("name", ["initial", "factor", "maximum", "jitter", "stable"])
@pytest.mark.parametrize("value", [None, "1", True, 1j, [1]])
def test_what_is_no_number_is_named(name: str, value: object) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises(TypeError, match=f"^{name} of a Backoff is a number, not {type(value).__name__}$"):
        Backoff(**options)


@pytest.mark.parametrize("value", ["1", True, 1.5, 2.0, float("inf"), [1]])
def test_attempts_that_are_no_int_are_named(value: Any) -> None:
    with pytest.raises(TypeError, match=f"^attempts of a Backoff is an int, or None, not {type(value).__name__}$"):
        Backoff(attempts=value)


def test_a_backoff_is_a_value_that_cannot_be_changed_and_is_made_by_keywords() -> None:
    backoff = Backoff(attempts=3, final_codes=frozenset({4401}))
    for same in (Backoff(attempts=3, final_codes=frozenset({4401})), copy.copy(backoff), copy.deepcopy(backoff)):
        assert (same, hash(same)) == (backoff, hash(backoff))
    assert backoff != Backoff(attempts=4, final_codes=frozenset({4401}))
    with pytest.raises(AttributeError):
        backoff.attempts = 4  # type: ignore[misc]
    with pytest.raises(TypeError):
        Backoff(0.5)  # type: ignore[misc]


@pytest.mark.parametrize(
    "options",
    [
        {"final_codes": 4000},
        {"final_codes": ["4000"]},
        {"final_codes": [True]},
        {"scheduler": 1},
        {"scheduler": VirtualTimeScheduler},
    ],
)
def test_an_option_of_a_wrong_type_is_named(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(options))):
        Backoff(**options)
