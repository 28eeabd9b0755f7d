"""Whether a peer is still there, on a clock that the tests set."""

from __future__ import annotations

from typing import Any

from rxsocket.keepalive import Keepalive


def test_a_ping_is_due_when_nothing_came_for_the_interval() -> None:
    keepalive = Keepalive(10, 5, 100)
    assert (keepalive.is_due(109.9), keepalive.remaining(109)) == (False, 1)
    assert (keepalive.is_due(110), keepalive.remaining(110), keepalive.remaining(120)) == (True, 0, 0)
    keepalive.heard(110)
    assert (keepalive.is_due(119), keepalive.is_due(120)) == (False, True)


def test_a_peer_that_says_nothing_after_a_ping_is_lost_at_the_timeout() -> None:
    keepalive = Keepalive(10, 5, 100)
    assert not keepalive.is_lost(10**6)  # it was not asked
    keepalive.ask(110)
    assert (keepalive.is_due(114), keepalive.is_lost(114), keepalive.remaining(114)) == (False, False, 1)
    assert (keepalive.is_lost(115), keepalive.remaining(116)) == (True, 0)


def test_whatever_comes_says_that_the_peer_is_there() -> None:
    keepalive = Keepalive(10, 5, 100)
    keepalive.ask(110)
    keepalive.heard(114)
    assert not keepalive.is_lost(10**6)
    assert (keepalive.is_due(123), keepalive.is_due(124)) == (False, True)


def test_without_an_interval_no_ping_is_ever_due() -> None:
    keepalive = Keepalive(None, 5, 100)
    assert not keepalive.is_due(10**6)
    assert keepalive.remaining(100) is None


def test_without_a_timeout_a_peer_is_asked_once_and_never_lost() -> None:
    keepalive = Keepalive(10, None, 100)
    keepalive.ask(110)
    assert (keepalive.is_due(10**6), keepalive.is_lost(10**6), keepalive.remaining(111)) == (False, False, None)


def test_of_a_peer_that_answers_no_ping_only_the_last_one_is_waited_for() -> None:
    keepalive = Keepalive(10, None, 0)
    by_hand: list[Any] = []
    keepalive.ping(0, by_hand.append)
    for number in range(100):
        keepalive.ask(number)
    assert len(keepalive.end()) == 2  # the other is the one by hand, whose sender is to be told


def answers(keepalive: Keepalive, payload: bytes, now: float) -> list[float]:
    return [seconds for seconds, _ in keepalive.pong(payload, now)]


def test_a_pong_tells_how_long_it_took() -> None:
    keepalive = Keepalive(None, None, 0)
    first, second = keepalive.ping(1), keepalive.ping(2)
    assert answers(keepalive, first, 4) == [3]
    assert answers(keepalive, first, 5) == []
    assert answers(keepalive, second, 5) == [3]


def test_a_pong_to_the_last_of_several_pings_answers_those_before_it() -> None:
    keepalive = Keepalive(None, None, 0)
    keepalive.ping(1)
    second, third = keepalive.ping(2), keepalive.ping(3)
    assert answers(keepalive, second, 4) == [3, 2]
    assert answers(keepalive, third, 4) == [1]


def test_a_pong_that_answers_nothing_is_of_no_account() -> None:
    keepalive = Keepalive(None, None, 0)
    payload = keepalive.ping(1)
    assert answers(keepalive, b"unasked", 2) == []
    assert answers(keepalive, payload, 2) == [1]


def test_who_waits_for_a_pong_is_known_to_the_end() -> None:
    told: list[Any] = []
    keepalive = Keepalive(None, None, 0)
    first = keepalive.ping(1, told.append)
    keepalive.ping(2, told.append)
    for seconds, answered in keepalive.pong(first, 3):
        answered(seconds)
    for answered in keepalive.end():
        answered(None)
    assert told == [2, None]
    assert keepalive.end() == []
