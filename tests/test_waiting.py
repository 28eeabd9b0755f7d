"""Waiting for a socket: what ends a wait, and what does not."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

import rxsocket.waiting
from rxsocket.waiting import Waiter

LONG = 20.0  # a wait that is not ended in time shows itself by taking that long
SHORT = 0.05  # one that nothing ends has to take that long


@pytest.fixture(params=["poll", "select"])
def waiter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Waiter]:
    """One as the system allows it, and one as for a system that has only select."""
    if request.param == "select":
        monkeypatch.setattr(rxsocket.waiting, "_poll", rxsocket.waiting._SelectPoll)
    made = Waiter()
    yield made
    made.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0)
        theirs.settimeout(0)
        yield ours, theirs


def ends(waiter: Waiter, sock: socket.socket, *, reading: bool = False, writing: bool = False) -> bool:
    """Tell whether a wait would end at once, without waiting for it."""
    return waiter.wait(sock.fileno(), reading=reading, writing=writing, timeout=0)


def fill(sock: socket.socket) -> None:
    while True:
        try:
            sock.send(bytes(1 << 16))
        except BlockingIOError:
            return


def empty(sock: socket.socket) -> None:
    while True:
        try:
            sock.recv(1 << 16)
        except BlockingIOError:
            return


Pair = tuple[socket.socket, socket.socket]


def test_a_wait_ends_when_the_socket_can_be_read(waiter: Waiter, pair: Pair) -> None:
    ours, theirs = pair
    assert not ends(waiter, ours, reading=True)
    theirs.send(b"x")
    assert ends(waiter, ours, reading=True)
    assert ends(waiter, ours, reading=True), "it can be read still"
    ours.recv(1)
    assert not ends(waiter, ours, reading=True)


def test_a_wait_ends_when_the_socket_can_be_written(waiter: Waiter, pair: Pair) -> None:
    ours, theirs = pair
    assert ends(waiter, ours, writing=True)
    fill(ours)
    assert not ends(waiter, ours, writing=True)
    empty(theirs)
    assert ends(waiter, ours, writing=True)


def test_a_wait_ends_for_what_was_asked_for_alone(waiter: Waiter, pair: Pair) -> None:
    ours, theirs = pair
    theirs.send(b"x")
    fill(ours)
    # Each change of what is asked for, there and back.
    for reading, writing, expected in (
        (False, True, False),
        (True, True, True),
        (False, False, False),
        (True, False, True),
        (False, True, False),
        (False, False, False),
        (False, True, False),
        (True, False, True),
    ):
        assert ends(waiter, ours, reading=reading, writing=writing) is expected, (reading, writing)
    empty(theirs)
    assert ends(waiter, ours, writing=True)
    assert not ends(waiter, ours)


def test_an_end_in_both_directions_ends_any_wait_where_the_system_tells(waiter: Waiter, pair: Pair) -> None:
    ours, theirs = pair
    assert not ends(waiter, ours, reading=True)
    theirs.shutdown(socket.SHUT_WR)
    assert ends(waiter, ours, reading=True)
    assert not ends(waiter, ours), "it may still read what is sent to it"
    assert not waiter.has_ended
    theirs.close()
    tells = rxsocket.waiting.ENDED > 0 and not isinstance(waiter._poll, rxsocket.waiting._SelectPoll)
    assert ends(waiter, ours) is tells
    assert waiter.has_ended is tells
    waiter.forget()
    assert not waiter.has_ended


def test_a_wake_from_another_thread_ends_the_wait_under_way(waiter: Waiter, pair: Pair) -> None:
    ended = threading.Event()

    def wait() -> None:
        waiter.wait(pair[0].fileno(), reading=True, writing=False, timeout=LONG)
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not ended.wait(SHORT)
    waiter.wake()
    assert ended.wait(LONG / 2)
    thread.join()


def test_a_wake_before_the_wait_ends_the_next_one_and_no_other(waiter: Waiter, pair: Pair) -> None:
    waiter.wake()
    waiter.wake()
    assert ends(waiter, pair[0], reading=True)
    assert not ends(waiter, pair[0], reading=True)


def test_a_wake_ends_a_wait_that_has_no_interest_in_the_socket(waiter: Waiter, pair: Pair) -> None:
    waiter.wake()
    assert ends(waiter, pair[0])


def test_any_number_of_wakes_neither_blocks_nor_is_left_over_for_good(waiter: Waiter, pair: Pair) -> None:
    for _ in range(100_000):
        waiter.wake()
    assert ends(waiter, pair[0])
    for _ in range(100_000):
        if not ends(waiter, pair[0]):
            return
    pytest.fail("it is woken for ever")


def test_a_wait_without_a_timeout_ends_with_a_wake(waiter: Waiter, pair: Pair) -> None:
    waiter.wake()
    waiter.wait(pair[0].fileno(), reading=True, writing=True, timeout=None)


def test_a_wait_that_nothing_ends_takes_its_timeout_and_one_of_nothing_no_time(waiter: Waiter, pair: Pair) -> None:
    began = time.monotonic()
    waiter.wait(pair[0].fileno(), reading=True, writing=False, timeout=SHORT)
    assert time.monotonic() - began >= SHORT
    for timeout in (0.0, -1.0):
        waiter.wait(pair[0].fileno(), reading=True, writing=False, timeout=timeout)
    assert time.monotonic() - began < LONG / 2


def test_a_closed_waiter_gives_its_descriptors_back_and_a_late_wake_does_nothing() -> None:
    waiter = Waiter()
    ends_of_the_pipe = (waiter._waker, waiter._woken)
    assert all(end.fileno() >= 0 for end in ends_of_the_pipe)
    waiter.close()
    assert [end.fileno() for end in ends_of_the_pipe] == [-1, -1]
    waiter.wake()
    waiter.close()
