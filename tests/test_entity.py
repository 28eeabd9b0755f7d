"""A path's entity, over real sockets: who gets which change."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from clients import RawClient, confirm, connect, receive
from servers import DEADLINE, Seen

from rxsocket.encoding import encode_message, encode_pong
from rxsocket.entity import SETTLE_SECONDS
from rxsocket.socket import websocket


def test_a_newcomer_gets_the_last_entity(hub):
    with connect(hub.url + "/person") as first, connect(hub.url + "/person") as second:
        first.send("one")
        assert receive(second) == "one"
        first.send("two")
        assert receive(second) == "two"
        with connect(hub.url + "/person") as newcomer:
            assert receive(newcomer) == "two"


def test_the_last_entity_stays_when_all_have_left(hub):
    with connect(hub.url + "/person") as first, connect(hub.url + "/person") as second:
        first.send("one")
        assert receive(second) == "one"
    with connect(hub.url + "/person") as newcomer:
        assert receive(newcomer) == "one"


def test_a_change_goes_to_the_others_and_not_to_its_sender(hub):
    with connect(hub.url) as first, connect(hub.url) as second, connect(hub.url) as third:
        first.send("of first")
        assert receive(second) == receive(third) == "of first"
        confirm(second)
        second.send("of second")
        assert receive(first) == "of second"  # and not its own, which would have come before
        assert receive(third) == "of second"
        confirm(third)
        third.send("of third")
        assert receive(second) == "of third"


def test_text_stays_text_and_binary_binary(hub):
    with connect(hub.url) as first, connect(hub.url) as second:
        for entity in ("", "Zoë 🎈", b"", b"\x00\xff" * 70_000):
            first.send(entity)
            got = receive(second)
            assert got == entity
            assert type(got) is type(entity)
        with connect(hub.url) as newcomer:
            assert receive(newcomer) == b"\x00\xff" * 70_000


def test_changes_keep_their_order(hub):
    with connect(hub.url) as sender, connect(hub.url) as reader:
        sender.send("ready")
        assert receive(reader) == "ready"
        for number in range(2_000):
            sender.send(str(number))
        assert [receive(reader) for _ in range(2_000)] == [str(number) for number in range(2_000)]


def test_a_newcomer_amid_changes_misses_none_and_sees_none_twice(hub):
    last = 3_000

    def change() -> None:
        for number in range(last + 1):
            sender.send(str(number))

    def read_all() -> list[int]:
        with connect(hub.url) as newcomer:
            numbers = [int(receive(newcomer))]
            while numbers[-1] != last:
                numbers.append(int(receive(newcomer)))
            return numbers

    with connect(hub.url) as sender, ThreadPoolExecutor(5) as pool:
        sending = pool.submit(change)
        readers = [pool.submit(read_all) for _ in range(4)]
        sending.result(DEADLINE)
        for reader in readers:
            numbers = reader.result(DEADLINE)
            assert numbers == list(range(numbers[0], last + 1))


# What crosses


def test_what_was_sent_before_a_change_had_come_is_sent_back(hub):
    with connect(hub.url) as first, RawClient(hub) as second:
        first.send("of first")
        assert second.next() == "of first"
        second.send("crossed")  # no pong came before it
        assert receive(first) == "crossed"
        confirm(first)
        second.pong()
        assert second.message() == "crossed"
        second.pong()
        second.send("an answer")
        assert receive(first) == "an answer"
        confirm(first)
        first.send("last")
        assert second.message() == "last"  # and not its own, which would have come before


def test_what_crossed_is_sent_back_when_its_sender_has_been_quiet_for_a_moment(hub):
    with connect(hub.url) as first, RawClient(hub) as second:
        first.send("of first")
        assert second.next() == "of first"
        begin = time.monotonic()
        second.send("crossed")
        assert receive(first) == "crossed"
        while time.monotonic() < begin + SETTLE_SECONDS * 0.6:
            confirm(first)
        stirred = time.monotonic()
        second.pong()
        assert second.message() == "crossed"
        assert time.monotonic() - stirred >= SETTLE_SECONDS


def test_what_crossed_is_not_sent_back_to_who_has_sent_another_meanwhile(hub):
    with connect(hub.url) as first, RawClient(hub) as second:
        first.send("of first")
        ping = second.ping()
        confirm(first)
        # In one write, so that the hub has read the pong before it comes to the messages.
        second.raw(encode_message("crossed") + encode_pong(ping.payload) + encode_message("an answer"))
        assert [receive(first), receive(first)] == ["crossed", "an answer"]
        confirm(first)
        first.send("last")
        assert second.message() == "last"


@pytest.mark.parametrize("payload", [b"", b"four", bytes(8), b"\xff" * 8, b"over eight"])
def test_a_pong_that_answers_no_entity_confirms_none(hub, payload):
    with connect(hub.url) as first, RawClient(hub) as second:
        first.send("of first")
        assert second.message() == "of first"
        confirm(first)
        second.raw(encode_pong(payload))
        second.send("crossed")
        assert receive(first) == "crossed"
        second.pong()
        assert second.message() == "crossed"


@pytest.mark.parametrize("size", [1, 100_000])
def test_who_answers_each_message_in_a_subscriber_gets_nothing_of_its_own_back(hub, size):
    with websocket(hub.url).connect() as ada, websocket(hub.url).connect() as grace:
        questions, answers = Seen(grace.messages.body), Seen(ada.messages.body)
        grace.messages.body.subscribe(lambda text: grace.send(f"re: {text}"))
        Seen(grace.opens).wait()
        expected = [f"{number} {'?' * size}" for number in range(50)]
        for number, question in enumerate(expected):
            ada.send(question)
            # Its own may come back to Ada, whose next question this thread asks as soon as the answer is here.
            while f"re: {question}" not in answers.wait():
                answers.wait(len(answers.items) + 1)
            assert questions.wait(number + 1)[number] == question
        grace.close()
        assert questions.all() == expected


def test_who_answers_many_messages_at_once_does_not_answer_itself(hub):
    with (
        websocket(hub.url).connect() as ada,
        websocket(hub.url).connect() as grace,
        websocket(hub.url).connect() as alan,
    ):
        questions, answers = Seen(grace.messages.body), Seen(ada.messages.body)
        for session in (grace, alan):
            Seen(session.opens).wait()
        grace.messages.body.subscribe(lambda text: grace.send(f"re: {text}"))
        for number in range(10):
            ada.send(f"a{number}")
            alan.send(f"b{number}")
        end = time.monotonic() + 5 * SETTLE_SECONDS  # in which the hub would have sent her own back
        count = 0
        while time.monotonic() < end:
            ada.send(f"c{count}")
            count += 1
            while f"re: c{count - 1}" not in answers.wait():
                answers.wait(len(answers.items) + 1)
        grace.close()
        assert not [text for text in questions.all() if text.startswith("re: ")]
