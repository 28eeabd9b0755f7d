"""Messages: what is held and when it goes, the views, pauses, and the end."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import msgspec
import pytest
from reactivex import Observable
from reactivex import operators as ops
from threads import in_threads

from rxsocket.codec import codec_of
from rxsocket.errors import DecodeException, HoldException
from rxsocket.frames import Message
from rxsocket.gaps import Gap
from rxsocket.messages import MessageEvent, Messages
from rxsocket.states import CloseEvent, OpenEvent
from rxsocket.stats import Counters

VIEWS = ("messages", "data", "body", "blob", "array_buffer", "decode(Plain)")
MIXED: list[Message] = ["a", b"b", "", b"", "\u20ac"]


class Plain:
    """A codec that leaves all as it is."""

    def encode(self, value: Message) -> Message:
        return value

    def decode(self, message: Message) -> Message:
        return message


PLAIN = Plain()


class Source:
    """Messages, with what they tell the session; the test is the session's thread."""

    def __init__(self, *, max_held: int = 1 << 20, max_held_messages: int = 1000, paused: bool = False) -> None:
        self.reports: list[tuple[str, Exception]] = []
        self.wakes = 0
        self.failures: list[HoldException] = []
        self.undecodable: list[tuple[DecodeException, int]] = []
        self.messages = Messages(
            lambda stream, error: self.reports.append((stream, error)),
            self._wake,
            self._fail,
            Counters(),
            max_held=max_held,
            max_held_messages=max_held_messages,
            paused=paused,
        )

    def _wake(self) -> None:
        self.wakes += 1

    def _fail(self, error: HoldException | DecodeException, count: int) -> None:
        if isinstance(error, DecodeException):
            self.undecodable.append((error, count))
        else:
            self.failures.append(error)

    def deliver(self, *messages: Message, connection: int = 1) -> None:
        self.messages.deliver(list(messages), connection)

    def drain(self) -> None:
        """What the session's thread does when it was woken."""
        self.messages.drain()

    def view(self, name: str) -> Observable[Any]:
        if name == "decode(Plain)":
            return self.messages.decode(PLAIN)
        return self.messages if name == "messages" else getattr(self.messages, name)

    def listen(self, name: str = "data") -> list[Any]:
        """Subscribe to a view; return what comes, and the word completed at the end."""
        seen: list[Any] = []
        self.view(name).subscribe(seen.append, seen.append, lambda: seen.append("completed"))
        return seen


def expected(name: str, messages: list[Message]) -> list[Any]:
    texts = [message for message in messages if isinstance(message, str)]
    binaries = [message for message in messages if isinstance(message, bytes)]
    return {
        "messages": [MessageEvent(message, 1) for message in messages],
        "data": messages,
        "body": texts,
        "blob": binaries,
        "array_buffer": binaries,
        "decode(Plain)": messages,
    }[name]


# --- the views


@pytest.mark.parametrize("name", VIEWS)
def test_each_view_gets_its_content_in_order(name: str) -> None:
    source = Source()
    seen = source.listen(name)
    source.deliver(*MIXED)
    source.deliver("later", b"later")
    assert seen == expected(name, [*MIXED, "later", b"later"])


def test_a_message_event_has_the_content_and_the_number_of_the_connection() -> None:
    source = Source()
    seen = source.listen("messages")
    source.deliver("a", connection=1)
    source.deliver(b"b", connection=2)
    assert [(event.data, event.connection) for event in seen] == [("a", 1), (b"b", 2)]
    assert seen[0] == MessageEvent("a", 1)
    with pytest.raises(AttributeError):
        seen[0].data = "x"


def test_a_blob_is_bytes_and_an_array_buffer_a_memoryview_that_cannot_be_written() -> None:
    source = Source()
    blobs, buffers = source.listen("blob"), source.listen("array_buffer")
    source.deliver(b"ab")
    assert type(blobs[0]) is bytes
    assert type(buffers[0]) is memoryview
    assert buffers[0].readonly
    assert bytes(buffers[0]) == b"ab"


def test_every_subscriber_of_every_view_gets_a_message_before_the_next_one() -> None:
    source = Source()
    seen: list[tuple[str, object]] = []
    for name in VIEWS[1:]:
        source.view(name).subscribe(lambda value, name=name: seen.append((name, value)))
    source.deliver("a", b"b")
    decoded = VIEWS[-1]
    assert seen[:3] == [("data", "a"), ("body", "a"), (decoded, "a")]
    assert seen[3:] == [("data", b"b"), ("blob", b"b"), ("array_buffer", b"b"), (decoded, b"b")]


def test_who_unsubscribes_gets_nothing_more_and_what_comes_then_is_not_held() -> None:
    source = Source()
    seen: list[Message] = []
    subscription = source.messages.data.subscribe(seen.append)
    source.deliver("a")
    subscription.dispose()
    source.deliver("b")
    later = source.listen()
    source.drain()
    source.deliver("c")
    assert (seen, later) == (["a"], ["c"])


def test_who_unsubscribes_in_the_middle_of_a_batch_gets_nothing_more_of_it() -> None:
    source = Source()
    seen: list[Message] = []

    def once(message: Message) -> None:
        seen.append(message)
        subscription.dispose()

    subscription = source.messages.data.subscribe(once)
    others = source.listen()
    source.deliver("a", "b", "c")
    assert (seen, others) == (["a"], ["a", "b", "c"])


# --- before the first subscription


@pytest.mark.parametrize("name", VIEWS)
def test_what_comes_before_the_first_subscription_to_any_view_is_held_for_it(name: str) -> None:
    source = Source()
    source.deliver(*MIXED[:2])
    source.drain()
    source.deliver(*MIXED[2:])
    seen = source.listen(name)
    assert seen == [], "only the session's thread delivers"
    assert source.wakes == 1
    source.drain()
    assert seen == expected(name, MIXED)
    source.deliver("hot")
    assert seen == expected(name, [*MIXED, "hot"])


def test_held_messages_keep_the_number_of_their_connection() -> None:
    source = Source()
    source.deliver("a", connection=1)
    source.deliver("b", connection=2)
    seen = source.listen("messages")
    source.drain()
    assert seen == [MessageEvent("a", 1), MessageEvent("b", 2)]


def test_what_comes_between_the_subscription_and_the_wake_stays_behind_what_is_held() -> None:
    source = Source()
    source.deliver("a", "b")
    seen = source.listen()
    source.deliver("c", "d")
    assert seen == ["a", "b", "c", "d"]
    source.drain()
    source.deliver("e")
    assert seen == ["a", "b", "c", "d", "e"]


def test_a_subscription_made_while_held_messages_go_out_gets_those_that_are_left() -> None:
    source = Source()
    source.deliver("a", "b", "c")
    late: list[list[Any]] = []
    source.messages.data.subscribe(lambda message: late.append(source.listen()) if message == "b" else None)
    source.drain()
    assert late == [["c"]]


@pytest.mark.parametrize(
    ("limits", "fits", "too_much", "counts"),
    [
        ({"max_held_messages": 3}, ["a", "b", "c"], ["d"], (4, 4)),
        ({"max_held_messages": 3}, ["a"], ["b", "c", b"d", b""], (5, 4)),
        ({"max_held_messages": 1}, ["a"], [""], (2, 1)),
        ({"max_held": 5}, ["ab", b"cde"], ["f"], (3, 6)),
        ({"max_held": 5}, ["abcde", "", b""], ["f"], (4, 6)),
        ({"max_held": 5}, [], ["abcdef"], (1, 6)),
        ({"max_held": 2}, ["\u20ac\u20ac"], ["\u20ac"], (2, 3)),
    ],
)
def test_over_the_bound_with_nobody_listening_what_was_held_is_let_go_and_counted_and_it_goes_on_hot(
    limits: dict[str, int], fits: list[Message], too_much: list[Message], counts: tuple[int, int]
) -> None:
    source = Source(**limits)
    source.deliver(*fits)
    assert source.failures == []
    source.deliver(*too_much)
    [failure] = source.failures
    assert (failure.messages, failure.size) == counts
    assert str(counts[0]) in str(failure)
    source.deliver("to nobody")
    assert not source.messages.is_full
    seen = source.listen()
    source.drain()
    assert seen == []
    source.deliver("hot")
    assert seen == ["hot"]
    source.deliver(*["more"] * 10)
    assert seen == ["hot", *["more"] * 10]
    assert len(source.failures) == 1


def test_after_messages_were_let_go_a_pause_holds_as_much_as_ever() -> None:
    source = Source(max_held_messages=3, max_held=3)
    source.deliver(*"abcd")
    seen = source.listen()
    source.messages.pause()
    source.deliver("e", "f")
    assert not source.messages.is_full
    source.deliver("g")
    assert source.messages.is_full
    source.messages.resume()
    source.drain()
    assert seen == ["e", "f", "g"]


@pytest.mark.parametrize("limits", [{"max_held_messages": 3}, {"max_held": 3}])
def test_as_much_as_may_be_held_is_held(limits: dict[str, int]) -> None:
    source = Source(**limits)
    source.deliver("a", "b", "c")
    seen = source.listen()
    source.drain()
    assert seen == ["a", "b", "c"]
    assert source.failures == []


def test_the_bound_counts_what_is_held_now() -> None:
    source = Source(max_held_messages=3, max_held=3)
    source.listen()
    for _ in range(5):
        source.messages.pause()
        source.deliver("a", "b")
        assert not source.messages.is_full
        source.messages.resume()
        source.drain()
    assert source.failures == []


# --- pauses


def test_a_pause_holds_and_a_resume_delivers_in_order_on_the_sessions_thread() -> None:
    source = Source()
    seen = source.listen()
    source.deliver("a")
    source.messages.pause()
    source.deliver("b", b"c")
    source.drain()
    assert seen == ["a"]
    wakes = source.wakes
    source.messages.resume()
    assert (seen, source.wakes) == (["a"], wakes + 1)
    source.deliver("d")
    source.drain()
    source.deliver("e")
    assert seen == ["a", "b", b"c", "d", "e"]


def test_beginning_paused_lets_several_views_subscribe_and_all_get_everything() -> None:
    source = Source(paused=True)
    source.deliver(*MIXED[:3])
    seen = {name: source.listen(name) for name in VIEWS}
    source.drain()
    source.deliver(*MIXED[3:])
    assert all(values == [] for values in seen.values())
    source.messages.resume()
    source.drain()
    assert seen == {name: expected(name, MIXED) for name in VIEWS}


def test_a_resume_with_nobody_listening_goes_on_holding() -> None:
    source = Source(paused=True, max_held_messages=3)
    source.deliver("a")
    source.messages.resume()
    source.drain()
    source.deliver("b")
    seen = source.listen()
    source.drain()
    assert seen == ["a", "b"]


def test_a_subscriber_that_pauses_in_the_middle_of_a_batch_gets_the_rest_after_resuming() -> None:
    source = Source()
    seen: list[Message] = []

    def pausing(message: Message) -> None:
        seen.append(message)
        if message in {"b", "d"}:
            source.messages.pause()

    source.messages.data.subscribe(pausing)
    source.deliver("a", "b", "c", "d", "e")
    source.deliver("f")
    assert seen == ["a", "b"]
    source.messages.resume()
    source.drain()
    assert seen == ["a", "b", "c", "d"], "a pause holds what was held, too"
    source.deliver("g")
    source.messages.resume()
    source.drain()
    assert seen == ["a", "b", "c", "d", "e", "f", "g"]


@pytest.mark.parametrize("name", ["messages", "data", "body", "array_buffer", "decode(Plain)"])
def test_a_subscription_made_in_the_middle_of_a_batch_gets_the_rest_of_it(name: str) -> None:
    source = Source()
    others: list[list[Any]] = []
    source.messages.body.subscribe(lambda text: others.append(source.listen(name)) if text == "b" else None)
    source.deliver("a", "b", b"1", "c")
    assert others == [expected(name, [b"1", "c"])]


def test_only_texts_go_to_a_lone_subscriber_of_texts_and_only_bytes_to_one_of_bytes() -> None:
    for name in ("body", "blob", "data"):
        source = Source()
        seen = source.listen(name)
        source.deliver("a", b"1", "b", b"2")
        assert seen == expected(name, ["a", b"1", "b", b"2"])


def test_a_subscriber_that_pauses_and_resumes_in_one_message_loses_and_reorders_nothing() -> None:
    source = Source(max_held_messages=2)
    seen: list[Message] = []

    def blinking(message: Message) -> None:
        seen.append(message)
        source.messages.pause()
        source.messages.resume()

    source.messages.data.subscribe(blinking)
    source.deliver(*"abcdef")
    source.deliver("g")
    source.drain()
    assert seen == list("abcdefg")
    assert source.failures == []


@pytest.mark.parametrize("limits", [{"max_held_messages": 3}, {"max_held": 3}])
def test_reading_must_stop_at_the_bound_in_a_pause_alone_and_nothing_is_let_go(limits: dict[str, int]) -> None:
    source = Source(**limits)
    seen = source.listen()
    source.messages.pause()
    source.deliver("a", "b")
    assert not source.messages.is_full
    source.deliver("c")
    assert source.messages.is_full
    source.deliver(*"defgh")  # what was read already
    assert source.messages.is_full
    source.messages.resume()
    assert not source.messages.is_full
    source.drain()
    assert seen == list("abcdefgh")
    source.deliver(*"ijkl")
    assert not source.messages.is_full
    assert source.failures == []


def test_without_a_pause_it_is_never_full() -> None:
    source = Source(max_held_messages=3)
    source.deliver("a", "b", "c")
    assert not source.messages.is_full


def test_a_pause_from_the_start_lets_nothing_go_though_nobody_listens() -> None:
    source = Source(paused=True, max_held_messages=2)
    source.deliver(*"abcde")
    assert source.messages.is_full
    seen = source.listen()
    source.messages.resume()
    source.drain()
    assert seen == list("abcde")
    assert source.failures == []


def test_a_resume_at_any_moment_of_a_delivery_lets_nothing_go_that_somebody_listens_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = Source(max_held_messages=2)
    seen = source.listen()
    source.messages.pause()
    drain = source.messages.drain

    def drain_and_then_another_thread_resumes() -> None:
        drain()
        source.messages.resume()

    monkeypatch.setattr(source.messages, "drain", drain_and_then_another_thread_resumes)
    source.deliver(*"abcd")
    monkeypatch.undo()
    source.drain()
    assert source.failures == []
    assert seen == list("abcd")


# --- gaps


def ended(connection: int) -> tuple[CloseEvent, OpenEvent]:
    """What the session says when a connection is there after another."""
    closed = CloseEvent(1006, "", "network", was_clean=False, connection=connection)
    return closed, OpenEvent("ws://host/", None, connection + 1)


def test_a_gap_comes_in_its_place_among_the_messages_and_only_where_it_is_asked_for() -> None:
    source = Source()
    plain, seen = source.listen("messages"), []
    source.messages.with_gaps().subscribe(seen.append, on_completed=lambda: seen.append("completed"))
    source.deliver("a")
    source.messages.reopen(*ended(1))
    source.drain()
    source.deliver("b", connection=2)
    source.messages.complete()
    a, b = MessageEvent("a", 1), MessageEvent("b", 2)
    assert seen == [a, Gap(*ended(1)), b, "completed"]
    assert plain == [a, b, "completed"]


def test_gaps_alone_are_held_and_delivered_in_order_and_to_who_comes_after_the_end_too() -> None:
    source = Source()
    source.deliver("a")
    source.messages.reopen(*ended(1))
    source.messages.reopen(*ended(2))
    source.messages.complete()
    seen: list[Any] = []
    source.messages.with_gaps().subscribe(seen.append, on_completed=lambda: seen.append("completed"))
    assert seen == [MessageEvent("a", 1), Gap(*ended(1)), Gap(*ended(2)), "completed"]


def test_a_gap_says_how_many_messages_before_it_were_let_go() -> None:
    source = Source(paused=True)
    source.deliver("a")
    source.messages.drop(["b", "c"])
    source.messages.tell_dropped()
    source.messages.tell_dropped()
    source.messages.reopen(*ended(1))
    source.messages.reopen(*ended(2))
    seen: list[Any] = []
    source.messages.with_gaps().subscribe(seen.append)
    source.messages.resume()
    source.drain()
    assert seen == [MessageEvent("a", 1), Gap(*ended(1), 2), Gap(*ended(2), 0)]
    assert [failure.messages for failure in source.failures] == [2]
    assert source.messages._counters.messages_in == 3


def test_gaps_take_room_but_are_no_messages_that_were_let_go() -> None:
    source = Source(max_held_messages=3)
    for connection in range(1, 5):
        source.messages.reopen(*ended(connection))
    assert not source.failures
    assert not source.messages._held
    source = Source(max_held_messages=3)
    source.deliver("a", "b")
    source.messages.reopen(*ended(1))
    source.deliver("c", connection=2)
    assert [(failure.messages, failure.size) for failure in source.failures] == [(3, 3)]


def test_who_unsubscribes_gets_no_gaps_either() -> None:
    source = Source()
    seen: list[Any] = []
    source.messages.with_gaps().subscribe(seen.append).dispose()
    source.messages.reopen(*ended(1))
    source.drain()
    assert not seen
    assert not source.messages._gaps.observers


# --- the end


@pytest.mark.parametrize("name", VIEWS)
def test_every_stream_completes_after_the_last_message(name: str) -> None:
    source = Source()
    seen = source.listen(name)
    source.deliver(*MIXED)
    source.messages.complete()
    assert seen == [*expected(name, MIXED), "completed"]


@pytest.mark.parametrize("name", VIEWS)
def test_a_late_subscriber_gets_what_is_held_still_on_its_own_thread_and_then_the_end(name: str) -> None:
    source = Source()
    source.deliver(*MIXED)
    source.messages.complete()
    seen: list[Any] = []
    threads: set[threading.Thread] = set()

    def subscribe() -> None:
        def note(value: object) -> None:
            seen.append(value)
            threads.add(threading.current_thread())

        source.view(name).subscribe(note, on_completed=partial(note, "completed"))

    wakes = source.wakes
    thread = threading.Thread(target=subscribe)
    thread.start()
    thread.join()
    assert seen == [*expected(name, MIXED), "completed"]
    assert threads == {thread}
    assert source.wakes == wakes, "there is no thread any more that could be woken"


@pytest.mark.parametrize("name", VIEWS)
def test_who_subscribes_after_the_completion_gets_it_alone(name: str) -> None:
    source = Source()
    source.listen()
    source.deliver(*MIXED)
    source.messages.complete()
    assert source.listen(name) == ["completed"]
    assert source.listen(name) == ["completed"]


def test_messages_that_a_pause_holds_at_the_end_go_when_it_is_resumed_on_that_thread_and_then_comes_the_end() -> None:
    source = Source()
    seen = source.listen()
    source.messages.pause()
    source.deliver("a", "b")
    source.messages.complete()
    late = source.listen("body")
    assert (seen, late) == ([], [])
    thread = threading.Thread(target=source.messages.resume)
    thread.start()
    thread.join()
    assert seen == late == ["a", "b", "completed"]


def test_a_pause_after_the_end_holds_too() -> None:
    source = Source()
    source.deliver("a", "b", "c")
    source.messages.complete()
    seen: list[Any] = []

    def pausing(message: Message) -> None:
        seen.append(message)
        source.messages.pause()

    source.messages.data.subscribe(pausing, on_completed=lambda: seen.append("completed"))
    assert seen == ["a"]
    source.messages.resume()
    assert seen == ["a", "b"]
    source.messages.resume()
    assert seen == ["a", "b", "c", "completed"]


def test_it_completes_once_however_often_it_is_told() -> None:
    source = Source()
    seen = source.listen()
    source.messages.complete()
    source.messages.complete()
    source.messages.resume()
    assert seen == ["completed"]


def test_a_subscriber_of_held_messages_after_the_end_may_subscribe_another_view() -> None:
    source = Source()
    source.deliver("a", "b", "c")
    source.messages.complete()
    inner: list[list[Any]] = []

    def subscribing(message: Message) -> None:
        if message == "a":
            inner.append(source.listen("body"))

    source.messages.data.subscribe(subscribing)
    [seen] = inner
    assert seen[-3:] == ["b", "c", "completed"]


# --- subscribers that raise


@pytest.mark.parametrize("name", VIEWS)
def test_a_subscriber_that_raises_is_reported_with_the_streams_name_and_it_and_all_others_go_on(name: str) -> None:
    source = Source()
    before = source.listen(name)
    raising: list[object] = []
    problem = RuntimeError("mine")

    def subscriber(value: object) -> None:
        raising.append(value)
        raise problem

    source.view(name).subscribe(subscriber)
    after = source.listen(name)
    others = {other: source.listen(other) for other in VIEWS}
    source.deliver(*MIXED)
    source.deliver(*MIXED)
    values = expected(name, MIXED * 2)
    assert before == raising == after == values
    assert others == {other: expected(other, MIXED * 2) for other in VIEWS}
    stream = "messages" if name == "messages" else f"messages.{name}"
    assert source.reports == [(stream, problem)] * len(values)


def test_a_subscriber_that_raises_while_held_messages_go_out_after_the_end_holds_up_nobody() -> None:
    source = Source()
    source.deliver("a", "b")
    source.messages.complete()
    seen: list[Message] = []

    def subscriber(value: Message) -> None:
        seen.append(value)
        raise RuntimeError(value)

    def completed() -> None:
        raise RuntimeError("at the end")

    source.messages.data.subscribe(subscriber, on_completed=completed)
    assert seen == ["a", "b"]
    assert [(stream, str(error)) for stream, error in source.reports] == [
        ("messages.data", "a"),
        ("messages.data", "b"),
        ("messages.data", "at the end"),
    ]
    assert source.listen("body") == ["completed"]


# --- values


class Trade(msgspec.Struct, frozen=True, tag=True):
    price: float


class Quote(msgspec.Struct, frozen=True, tag=True):
    bid: float


class Counting:
    """A codec that counts, and raises what it is told to."""

    def __init__(self) -> None:
        self.decoded: list[Message] = []
        self.error: BaseException | None = None

    def encode(self, value: int) -> str:
        return str(value)

    def decode(self, message: str | bytes) -> int:
        self.decoded.append(message)
        if self.error is not None:
            raise self.error
        return int(message)


TRADE = Trade(4.5)
QUOTE = Quote(4.25)
BAD = '{"type":"Trade","price":"high"}'


@pytest.mark.parametrize("listeners", [1, 2], ids=["alone", "with another"])
def test_values_are_json_of_texts_and_messagepack_of_binary_messages(listeners: int) -> None:
    source = Source()
    seen: list[object] = []
    for _ in range(listeners):
        source.messages.decode(Trade, Quote).subscribe(seen.append)
    for codec in (msgspec.json, msgspec.msgpack):
        messages = [codec.encode(value) for value in (TRADE, QUOTE)]
        source.deliver(*(message.decode() if codec is msgspec.json else message for message in messages))
    assert seen == [value for value in (TRADE, QUOTE) * 2 for _ in range(listeners)]


def test_builtins_and_unions_are_decoded_too() -> None:
    source = Source()
    numbers: list[object] = []
    source.messages.decode(dict[str, int]).subscribe(numbers.append)
    source.deliver('{"a":1}')
    either: list[object] = []
    source.messages.decode(int | str).subscribe(either.append)
    source.deliver("2", '"b"')
    assert (numbers, either) == ([{"a": 1}], [2, "b"])
    assert [error.raw for error, _ in source.undecodable] == ["2", '"b"']


def test_a_message_is_decoded_once_however_many_listen_by_however_many_calls_and_not_at_all_for_nobody() -> None:
    source = Source()
    codec = Counting()
    stream = source.messages.decode(codec)
    source.messages.data.subscribe()
    source.deliver("1")
    assert codec.decoded == []
    seen: list[int] = []
    first, second = stream.subscribe(seen.append), source.messages.decode(codec).subscribe(seen.append)
    source.deliver("2")
    assert (codec.decoded, seen) == (["2"], [2, 2])
    first.dispose()
    source.deliver("3")
    second.dispose()
    source.deliver("4")
    assert (codec.decoded, seen) == (["2", "3"], [2, 2, 3])


def test_the_same_stream_is_returned_for_equal_types_and_another_for_others() -> None:
    messages = Source().messages
    assert messages.decode(Trade) is messages.decode(Trade)
    assert messages.decode(Trade, Quote) is messages.decode(Quote, Trade) is messages.decode(Trade | Quote)
    assert (
        messages.decode(Trade) is messages.decode(codec_of(Trade)) is messages.decode(codec_of(Trade, format="msgpack"))
    )
    assert messages.decode(list[int]) is messages.decode(list[int])
    assert messages.decode(list[int]) is not messages.decode(list[float])
    assert messages.decode(Trade) is not messages.decode(Quote)
    assert messages.decode(Trade) is not messages.decode(Trade, invalid="end")
    assert messages.decode(PLAIN) is messages.decode(PLAIN)
    assert messages.decode(PLAIN) is not messages.decode(Plain())


def test_many_threads_that_ask_for_the_same_at_once_get_the_same_stream() -> None:
    for _ in range(50):
        messages = Source().messages
        start = threading.Barrier(4)
        found: list[object] = []

        def ask(messages: Messages = messages, start: threading.Barrier = start, found: list[object] = found) -> None:
            start.wait()
            found.append(messages.decode(Trade))

        in_threads(*[ask] * 4)
        assert len(found) == 4
        assert all(stream is found[0] for stream in found)


@pytest.mark.parametrize("listeners", [1, 2], ids=["alone", "with another"])
@pytest.mark.parametrize(
    ("message", "path"),
    [
        (BAD, "$.price"),
        ('{"type":"Trade"}', "$.price"),
        ('{"type":"Order"}', "$.type"),
        ("[]", ""),
        ("{", ""),
        (b"\xc1", ""),
    ],
)
def test_what_does_not_decode_is_told_once_with_the_message_and_the_path_and_the_stream_goes_on(
    message: Message, path: str, listeners: int
) -> None:
    source = Source()
    seen = [source.listen("data") for _ in range(listeners - 1)]
    values: list[Any] = []
    for _ in range(listeners):
        source.messages.decode(Trade, Quote).subscribe(values.append, values.append)
    source.deliver('{"type":"Trade","price":1}', message, '{"type":"Quote","bid":2}')
    assert values == [value for value in (Trade(1), Quote(2)) for _ in range(listeners)]
    [(error, count)] = source.undecodable
    assert (error.raw, error.path, count) == (message, path, 1)
    assert str(error).startswith("not a Trade | Quote: ")
    assert all(len(messages) == 3 for messages in seen)
    assert source.reports == []


def test_failures_are_counted_for_each_stream() -> None:
    source = Source()
    source.messages.decode(int).subscribe()
    source.deliver("x", "y")
    source.messages.decode(float).subscribe()
    source.deliver("z")
    assert [count for _, count in source.undecodable] == [1, 2, 3, 1]


@pytest.mark.parametrize("listeners", [1, 2], ids=["alone", "with another"])
def test_a_stream_that_ends_at_the_first_failure_ends_for_those_who_are_subscribed_then(listeners: int) -> None:
    source = Source()
    stream = source.messages.decode(Trade, invalid="end")
    seen: list[list[Any]] = [[] for _ in range(listeners)]
    for each in seen:
        stream.subscribe(each.append, each.append)
    later: list[Any] = []
    stream.subscribe(on_error=lambda _: stream.subscribe(later.append))
    going_on = source.listen("data")
    source.deliver('{"type":"Trade","price":1}', BAD, '{"type":"Trade","price":2}')
    [(error, _)] = source.undecodable
    assert seen == [[Trade(1), error]] * listeners
    assert later == [Trade(2)]
    assert len(going_on) == 3


def test_alone_it_ends_in_the_middle_of_a_batch_and_a_retry_goes_on_with_the_next_message() -> None:
    source = Source()
    seen: list[Any] = []
    source.messages.decode(int, invalid="end").pipe(ops.retry()).subscribe(seen.append)
    source.deliver("1", "x", "y", "2")
    assert seen == [1, 2]
    assert len(source.undecodable) == 2
    ended: list[Any] = []
    source.messages.decode(float, invalid="end").subscribe(ended.append, lambda error: ended.append(error.raw))
    source.deliver("1", "z", "2")
    assert ended == [1.0, "z"]


@pytest.mark.parametrize("listeners", [1, 2], ids=["alone", "with another"])
@pytest.mark.parametrize("error", [KeyError("price"), SystemExit(), StopIteration(), DecodeException("mine", "raw")])
def test_whatever_a_codec_raises_harms_nobody(error: BaseException, listeners: int) -> None:
    source = Source()
    codec = Counting()
    codec.error = error
    seen: list[int] = []
    others: list[object] = []
    for _ in range(listeners):
        source.messages.decode(codec).subscribe(seen.append)
    if listeners > 1:
        source.messages.body.subscribe(others.append)

    def session() -> None:  # on a thread that is not the main one, whose sys.exit() is its own
        source.deliver("1", "2")
        codec.error = None
        source.deliver("3")

    in_threads(session)
    assert seen == [3] * listeners
    assert others == ["1", "2", "3"] * (listeners - 1)
    told = [failure for failure, _ in source.undecodable]
    if isinstance(error, DecodeException):
        assert told == [error, error]
    else:
        assert [failure.raw for failure in told] == ["1", "2"]
        assert all(
            failure.__cause__ is error and str(failure).startswith("not a message of Counting: ") for failure in told
        )


def test_ctrl_c_in_a_codec_on_the_main_thread_goes_on() -> None:
    source = Source()
    codec = Counting()
    codec.error = KeyboardInterrupt()
    source.messages.decode(codec).subscribe()
    with pytest.raises(KeyboardInterrupt):
        source.deliver("1")


def test_a_stream_that_is_made_after_the_end_completes_and_gets_what_is_held() -> None:
    source = Source()
    source.deliver("1", "2")
    source.messages.complete()
    seen: list[Any] = []
    for _ in range(2):
        source.messages.decode(int).subscribe(seen.append, on_completed=lambda: seen.append("completed"))
    source.messages.decode(str).subscribe(on_completed=lambda: seen.append("another"))
    assert seen == [1, 2, "completed", "completed", "another"]


def test_what_cannot_be_decoded_to_is_refused_at_once() -> None:
    class Untagged(msgspec.Struct):
        pass

    messages = Source().messages
    with pytest.raises(TypeError, match="name a type"):
        messages.decode()
    with pytest.raises(TypeError, match="tagged"):
        messages.decode(Untagged, Trade)
    with pytest.raises(TypeError, match="lambda"):
        messages.decode(lambda text: text)
    with pytest.raises(ValueError, match="'skip' or 'end', not 'stop'"):
        messages.decode(Trade, invalid="stop")  # type: ignore[call-overload]


# --- threads


def test_whenever_the_first_subscriber_comes_it_gets_every_message_in_order_and_one_end() -> None:
    expected_values = [str(number) for number in range(40)]
    for round_ in range(200):
        source = Source()
        start = threading.Barrier(2)
        seen: list[Any] = []

        def session(source: Source = source, start: threading.Barrier = start) -> None:
            start.wait()
            for number in range(0, 40, 4):
                source.drain()
                source.deliver(*(str(n) for n in range(number, number + 4)))
            source.drain()
            source.messages.complete()

        def subscriber(
            source: Source = source, start: threading.Barrier = start, seen: list[Any] = seen, spins: int = round_
        ) -> None:
            start.wait()
            for _ in range(spins * 5):
                pass
            source.messages.body.subscribe(seen.append, on_completed=lambda: seen.append("completed"))

        in_threads(session, subscriber)
        assert seen == [*expected_values, "completed"]


def test_pauses_and_resumes_from_another_thread_lose_and_reorder_nothing() -> None:
    source = Source(max_held_messages=5)
    seen = source.listen()
    done = threading.Event()

    def session() -> None:
        for number in range(3000):
            source.drain()
            source.deliver(str(number), str(number) + "!")
        done.set()

    def switching() -> None:
        while not done.is_set():
            source.messages.pause()
            source.messages.resume()

    in_threads(session, switching)
    source.messages.complete()
    assert seen == [text for number in range(3000) for text in (str(number), f"{number}!")] + ["completed"]
    assert source.failures == []
