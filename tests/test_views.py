"""The streams that decode, one by one. Those of a session together are tested in test_messages."""

import msgspec
import pytest

from rxsocket.codec import codec_of
from rxsocket.errors import DecodeException
from rxsocket.views import Decoded, View


class Trade(msgspec.Struct):
    price: float


class Strict:
    def encode(self, value: object) -> str:
        return str(value)

    def decode(self, message: str | bytes) -> str:
        raise LookupError(message)


def fail(name: str, error: BaseException) -> None:
    pytest.fail(f"a subscriber of {name} raised {error!r}")


def decoded(codec, invalid="skip"):
    failures = []
    stream = Decoded(
        codec,
        invalid,
        fail=lambda error, number: failures.append((number, error)),
        report=fail,
        subscribed=lambda: None,
        unsubscribed=lambda: None,
    )
    return stream, failures


def test_a_view_tells_of_each_subscription_and_of_its_end():
    told = []
    view = View("view", fail, lambda: told.append("subscribed"), lambda: told.append("unsubscribed"))
    subscription = view.subscribe()
    assert told == ["subscribed"]
    subscription.dispose()
    assert told == ["subscribed", "unsubscribed"]


def test_a_message_is_decoded_once_for_all_who_are_subscribed():
    stream, failures = decoded(codec_of(Trade))
    first, second = [], []
    stream.subscribe(first.append)
    stream.subscribe(second.append)
    stream.deliver('{"price": 1.5}')
    stream.deliver(msgspec.msgpack.encode(Trade(2.5)))
    assert first == [Trade(1.5), Trade(2.5)]
    assert all(mine is other for mine, other in zip(first, second, strict=True))
    assert failures == []


@pytest.mark.parametrize(
    ("codec", "message", "path"),
    [
        (codec_of(Trade), '{"price": "low"}', "$.price"),
        (codec_of(Trade), "{}", "$.price"),
        (codec_of(Trade), "no JSON", ""),
        (Strict(), b"any", ""),
    ],
)
def test_what_does_not_decode_is_told_with_the_message_and_its_number_and_the_stream_goes_on(codec, message, path):
    stream, failures = decoded(codec)
    seen = []
    stream.subscribe(seen.append, seen.append)
    stream.deliver(message)
    stream.deliver(message)
    assert [number for number, _ in failures] == [1, 2]
    error = failures[0][1]
    assert isinstance(error, DecodeException)
    assert (error.raw, error.path) == (message, path)
    assert seen == []


def test_it_ends_with_that_if_asked_to_for_those_who_are_subscribed_then():
    stream, failures = decoded(codec_of(Trade), "end")
    seen, later = [], []
    stream.subscribe(seen.append, seen.append)
    stream.deliver("[]")
    assert seen == [failures[0][1]]
    stream.subscribe(later.append, later.append)
    stream.deliver('{"price": 1}')
    assert later == [Trade(1.0)]


def test_one_stream_is_that_of_equal_types_and_of_the_same_codec():
    stream, _ = decoded(codec_of(Trade))
    assert stream.is_of(codec_of(Trade), "skip")
    assert stream.is_of(codec_of(Trade, format="msgpack"), "skip")
    assert not stream.is_of(codec_of(Trade), "end")
    assert not stream.is_of(codec_of(int), "skip")
    strict = Strict()
    mine, _ = decoded(strict)
    assert mine.is_of(strict, "skip")
    assert not mine.is_of(Strict(), "skip")
