"""Resources: both formats there and back, and a value or a DecodeException whatever comes in."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import cells

from rxsocket.errors import DecodeException
from rxsocket.resource import Resource, next_id

Format = Literal["json", "msgpack"]
FORMATS: tuple[Format, ...] = ("json", "msgpack")


class Person(msgspec.Struct, frozen=True):
    name: str
    age: int = 0
    friends: tuple[Person, ...] = ()
    id: str = msgspec.field(default_factory=next_id)

    def __post_init__(self) -> None:
        if self.name == "nobody":
            raise RuntimeError("a person is somebody")


def resource_of(format: Format) -> Resource[Person, str]:  # noqa: A002 as in Resource
    return Resource(Person, id=lambda person: person.id, empty=Person("", id=""), format=format)


JSON, MSGPACK = (resource_of(format_) for format_ in FORMATS)
ANYTHING = Resource(object, id=lambda value: value, empty=None)
people = st.recursive(
    st.builds(Person, st.text(), st.integers(-(2**63), 2**63 - 1), id=st.text()),
    lambda friends: st.builds(Person, st.text(), friends=st.lists(friends, max_size=2).map(tuple), id=st.text()),
    max_leaves=4,
)


@pytest.mark.parametrize("resource", [JSON, MSGPACK], ids=FORMATS)
@given(st.lists(people, max_size=3))
def test_entities_come_back_as_they_went(resource: Resource[Person, str], entities: list[Person]) -> None:
    assert resource.decode_list(resource.encode_list(entities)) == entities
    for entity in entities:
        assert resource.decode(resource.encode(entity)) == entity


def test_json_goes_as_text_and_messagepack_as_bytes() -> None:
    assert JSON.encode(Person("Ä", 1, id="7")) == '{"name":"Ä","age":1,"friends":[],"id":"7"}'
    assert JSON.encode_list([]) == "[]"
    assert isinstance(MSGPACK.encode(Person("A")), bytes)
    assert MSGPACK.encode_list(()) == b"\x90"


def test_it_tells_what_it_was_made_of_and_does_not_change() -> None:
    assert JSON.entity_type is Person
    assert JSON.id(Person("A", id="7")) == "7"
    assert JSON.empty == Person("", id="")
    assert JSON.format == "json"
    with pytest.raises(AttributeError):
        JSON.format = "msgpack"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ('{"name":1}', r"not a Person: Expected `str`, got `int` - at `\$\.name`"),
        ('{"name":"A","friends":[{"age":1}]}', r"not a Person: .*`name` - at `\$\.friends\[0\]`"),
        ("{", "not a Person: .*truncated"),
        ("", "not a Person"),
        ("\ud800", "not a Person"),
        ('{"name":"nobody"}', "not a Person: RuntimeError: a person is somebody"),
        (b'{"name":"A"}', "not a Person: its json comes as a text, not as bytes"),
        (None, "not as NoneType"),
    ],
)
def test_what_is_no_json_entity_is_a_decode_exception_with_the_message(message: Any, says: str) -> None:
    with pytest.raises(DecodeException, match=says) as caught:
        JSON.decode(message)
    assert caught.value.raw is message


def test_what_is_no_messagepack_entity_is_a_decode_exception() -> None:
    with pytest.raises(DecodeException, match="not a Person: its msgpack comes as bytes, not as str"):
        MSGPACK.decode("text")
    with pytest.raises(DecodeException, match="not a Person") as caught:
        MSGPACK.decode(b"\x81")
    assert caught.value.raw == b"\x81"
    assert isinstance(caught.value.__cause__, msgspec.DecodeError)


def test_what_is_no_list_is_a_decode_exception_that_says_so() -> None:
    with pytest.raises(DecodeException, match=r"not a list of Person: .*at `\$\[1\]\.name`"):
        JSON.decode_list('[{"name":"A"},{"name":2}]')
    with pytest.raises(DecodeException, match="not a list of Person"):
        JSON.decode_list('{"name":"A"}')


def test_deep_nesting_is_a_decode_exception() -> None:
    with pytest.raises(DecodeException) as caught:
        ANYTHING.decode("[" * 100_000)
    assert isinstance(caught.value.__cause__, RecursionError)


@pytest.mark.parametrize("read", [JSON.decode, JSON.decode_list, MSGPACK.decode, MSGPACK.decode_list, ANYTHING.decode])
@given(message=st.text() | st.binary() | st.text(alphabet='[]{}":,0123456789.eE-+nulltrsfa\\ud8'))
def test_decoding_gives_a_value_or_a_decode_exception(read: Any, message: str | bytes) -> None:
    try:
        read(message)
    except DecodeException as error:
        assert error.raw is message  # noqa: PT017 either outcome is right


@pytest.mark.parametrize("resource", [JSON, MSGPACK], ids=FORMATS)
@given(entity=people, place=st.floats(0, 1), sign=st.integers(0, 255))
def test_a_damaged_message_gives_a_value_or_a_decode_exception(
    resource: Resource[Person, str], entity: Person, place: float, sign: int
) -> None:
    message = resource.encode(entity)
    at = int(place * (len(message) - 1))
    for damaged in (
        message[:at],
        message[:at] + (chr(sign) if isinstance(message, str) else bytes([sign])) + message[at + 1 :],
    ):  # type: ignore[operator]
        try:
            assert isinstance(resource.decode(damaged), Person)
        except DecodeException as error:
            assert error.raw is damaged  # noqa: PT017 either outcome is right


@pytest.mark.parametrize("format_", FORMATS)
def test_what_cannot_be_encoded_is_a_type_error_that_says_why(format_: Format) -> None:
    resource = Resource(object, id=id, empty=None, format=format_)
    circle: list[object] = []
    circle.append(circle)
    for value in (object(), 2**70 if format_ == "msgpack" else {1j: 1}, "\ud800", circle):
        with pytest.raises(TypeError, match=f"can't encode a {type(value).__name__} as {format_}: "):
            resource.encode(value)
    with pytest.raises(TypeError, match="can't encode a list"):
        resource.encode_list([object()])


def test_a_wrong_option_is_refused() -> None:
    with pytest.raises(TypeError, match=r"lambda p: p\.id, not 'id'"):
        Resource(Person, id="id", empty=Person(""))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not 'yaml'"):
        Resource(Person, id=id, empty=Person(""), format="yaml")  # type: ignore[arg-type]


def test_other_types_than_structs_are_entities_too() -> None:
    times = Resource(dt.date, id=str, empty=dt.date.min)
    assert times.decode(times.encode(dt.date(2024, 2, 29))) == dt.date(2024, 2, 29)


def test_next_ids_are_short_and_differ() -> None:
    ids = {next_id() for _ in range(10_000)}
    assert len(ids) == 10_000
    assert {len(one) for one in ids} == {10}
    assert "".join(ids).isalnum()
    assert Person("A").id != Person("A").id


def test_it_shows_what_it_is_of() -> None:
    empty = "Person(name='', age=0, friends=(), id='')"
    assert repr(JSON) == f"<Resource Person as json, empty {empty}>"
    rows = dict(cells(JSON._repr_html_())[1:])
    assert (rows["entity"], rows["format"], rows["empty"]) == ("Person", "json", empty)
