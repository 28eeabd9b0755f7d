"""The chat of the websocket page, over real sockets."""

from __future__ import annotations

import json
import re
import socket
import time

import msgspec
import pytest
from clients import closing, connect, get
from servers import DEADLINE
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from rxsocket.chat import ChatMessage
from rxsocket.hub import Hub


def enter(hub: Hub, room: str = "room") -> ClientConnection:
    return connect(f"{hub.url}/chat/{room}")


def say(client: ClientConnection, content: str, member: str, kind: str, created: str = "09:30") -> None:
    client.send(json.dumps({"content": content, "member": member, "type": kind, "created": created}))


def join(client: ClientConnection, member: str, *others: ClientConnection) -> None:
    """Join, and wait until each of the others has seen it."""
    say(client, "", member, "JOINING")
    for other in others:
        assert heard(other) == ("", member, "JOINING", "09:30")


def heard(client: ClientConnection) -> tuple[str, str, str, str]:
    text = client.recv(timeout=DEADLINE)
    assert isinstance(text, str)
    message = json.loads(text)
    assert list(message) == ["content", "member", "type", "created"]
    return tuple(message.values())


def get_members(hub: Hub, room: str = "room") -> tuple[int, str, str]:
    return get(hub, f"/members/{room}")


def await_members(hub: Hub, *members: str, room: str = "room") -> None:
    """Ask until the room has these members: for what no other member is told of."""
    deadline = time.monotonic() + DEADLINE
    while True:
        status, _, body = get_members(hub, room)
        now = json.loads(body) if status == 200 else []
        if now == list(members):
            return
        assert time.monotonic() < deadline, now


def test_the_whole_flow(hub):
    with enter(hub) as ann, enter(hub) as bob, enter(hub) as cid:
        join(ann, "Ann")
        await_members(hub, "Ann")
        join(bob, "Bob", ann)
        join(cid, "Cid", ann, bob)
        say(ann, "Hello", "Ann", "MESSAGE", "10:00")
        assert heard(bob) == heard(cid) == ("Hello", "Ann", "MESSAGE", "10:00")
        say(bob, "Hi Ann", "Bob", "MESSAGE", "10:01")
        assert heard(ann) == ("Hi Ann", "Bob", "MESSAGE", "10:01")  # and not its own
        assert heard(cid) == ("Hi Ann", "Bob", "MESSAGE", "10:01")
        bob.close()
        for client in (ann, cid):
            content, member, kind, created = heard(client)
            assert (content, member, kind) == ("", "Bob", "LEAVING")
            assert re.fullmatch(r"\d\d:\d\d", created)
        assert get_members(hub)[2] == '["Ann","Cid"]'


def test_a_lost_session_makes_a_leaving_notice(hub):
    with enter(hub) as ann, enter(hub) as bob:
        join(ann, "Ann")
        await_members(hub, "Ann")
        join(bob, "Bob", ann)
        bob.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        bob.socket.shutdown(socket.SHUT_RDWR)  # without a close frame
        assert heard(ann)[:3] == ("", "Bob", "LEAVING")


def test_leaving_with_the_connection_open_and_joining_again(hub):
    with enter(hub) as ann, enter(hub) as bob:
        join(ann, "Ann")
        await_members(hub, "Ann")
        join(bob, "Bob", ann)
        say(bob, "bye", "Bob", "LEAVING", "11:00")
        assert heard(ann) == ("bye", "Bob", "LEAVING", "11:00")
        say(ann, "anyone?", "Ann", "MESSAGE")  # to nobody
        await_members(hub, "Ann")
        join(bob, "Robert", ann)
        say(ann, "there you are", "Ann", "MESSAGE")
        assert heard(bob)[0] == "there you are"
        bob.close()
        assert heard(ann)[1:3] == ("Robert", "LEAVING")  # one notice, under the new name


def test_who_has_not_joined_hears_nothing(hub):
    with enter(hub) as ann, enter(hub) as bob, enter(hub) as guest:
        join(ann, "Ann")
        await_members(hub, "Ann")
        join(bob, "Bob", ann)
        say(ann, "one", "Ann", "MESSAGE")
        assert heard(bob)[0] == "one"
        join(guest, "Guest", ann, bob)
        say(ann, "two", "Ann", "MESSAGE")
        assert heard(guest)[0] == "two"


def test_rooms_are_independent_and_their_names_decoded(hub):
    with enter(hub, "caf%C3%A9%20%3F") as ann, enter(hub, "other") as bob:
        join(ann, "Ann")
        join(bob, "Ann")  # a name is taken in one room only
        await_members(hub, "Ann", room="caf%c3%a9%20%3F?x=1")
        await_members(hub, "Ann", room="other")
        assert get_members(hub, "caf")[0] == 400


def test_an_empty_created_is_filled_in(hub):
    with enter(hub) as ann, enter(hub) as bob:
        join(ann, "Ann")
        await_members(hub, "Ann")
        join(bob, "Bob", ann)
        bob.send('{"content":"x","member":"Bob","type":"MESSAGE","created":""}')
        bob.send('{"content":"x","member":"Bob","type":"MESSAGE"}')
        for _ in range(2):
            assert re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", heard(ann)[3])


def test_the_members_are_listed_in_order_of_joining(hub):
    with enter(hub) as ann, enter(hub) as zoe, enter(hub) as bob:
        join(zoe, "Zoë")
        await_members(hub, "Zoë")
        join(ann, "Ann", zoe)
        join(bob, "Bob", zoe, ann)
        assert get_members(hub) == (200, "application/json", '["Zoë","Ann","Bob"]')


def test_an_unknown_room_is_a_400_and_so_is_one_that_the_last_has_left(hub):
    status, _, body = get_members(hub)
    assert (status, "no room 'room'" in body) == (400, True)
    with enter(hub) as ann:
        assert get_members(hub)[0] == 400  # nobody has joined
        join(ann, "Ann")
        await_members(hub, "Ann")
        say(ann, "", "Ann", "LEAVING")
        await_members(hub)
        assert get_members(hub)[0] == 400
        join(ann, "Ann")
        await_members(hub, "Ann")
    await_members(hub)
    assert get_members(hub)[0] == 400


def test_a_room_needs_a_name(hub):
    with pytest.raises(InvalidStatus) as raised:
        enter(hub, "")
    assert raised.value.response.status_code == 400
    assert get_members(hub, "")[0] == 400


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        ("{", 1007, "expected JSON of content, member, type and created: "),
        ("[]", 1007, "Expected `object`, got `array`"),
        ('{"content":"x","member":"Ann"}', 1007, "missing required field `type`"),
        ('{"content":1,"member":"Ann","type":"MESSAGE"}', 1007, "Expected `str`, got `int` - at `$.content`"),
        ('{"content":"","member":"","type":"JOINING"}', 1007, "at `$.member`"),
        ('{"content":"","member":"Ann","type":"' + "é" * 200 + '"}', 1007, "Invalid enum value"),
        ('{"x":' + "[" * 100_000, 1007, "expected JSON"),
        (b'{"content":"","member":"Ann","type":"JOINING"}', 1003, "a JSON text, not binary"),
        ('{"content":"x","member":"Ann","type":"MESSAGE"}', 1008, "send JOINING before MESSAGE"),
        ('{"content":"","member":"Ann","type":"LEAVING"}', 1008, "send JOINING before LEAVING"),
        ('{"content":"","member":"Bob","type":"JOINING"}', 1008, "the name Bob is taken"),
    ],
)
def test_a_message_that_is_none_closes_its_connection_only(hub, message, code, reason):
    with enter(hub) as bob, enter(hub) as cid, enter(hub) as ann:
        join(bob, "Bob")
        await_members(hub, "Bob")
        join(cid, "Cid", bob)
        ann.send(message)
        got = closing(ann)
        assert got[0] == code
        assert reason in got[1]
        assert len(got[1].encode()) <= 123
        say(cid, "still here", "Cid", "MESSAGE")
        assert heard(bob)[0] == "still here"  # and nothing of Ann before


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (ChatMessage("x", "Bob", "MESSAGE"), "has joined as Ann"),
        (ChatMessage("x", "Bob", "LEAVING"), "has joined as Ann"),
        (ChatMessage("", "Ann", "JOINING"), "has joined already, as Ann"),
        (ChatMessage("", "Dan", "JOINING"), "has joined already, as Ann"),
    ],
)
def test_a_member_that_breaks_the_rules_is_closed_and_the_others_see_it_leave(hub, message, reason):
    with enter(hub) as bob, enter(hub) as ann:
        join(bob, "Bob")
        await_members(hub, "Bob")
        join(ann, "Ann", bob)
        ann.send(msgspec.json.encode(message).decode())
        code, got = closing(ann)
        assert (code, reason in got) == (1008, True)
        assert heard(bob)[:3] == ("", "Ann", "LEAVING")


def test_a_name_is_free_again_when_its_member_has_left(hub):
    with enter(hub) as ann:
        join(ann, "Ann")
        await_members(hub, "Ann")
        with enter(hub) as bob:
            join(bob, "Bob", ann)
        assert heard(ann)[1:3] == ("Bob", "LEAVING")
        with enter(hub) as bob:
            join(bob, "Bob", ann)
        assert heard(ann)[1:3] == ("Bob", "LEAVING")


def test_a_chat_message_on_the_wire():
    message = ChatMessage("Hello", "Ann", "MESSAGE", "09:30")
    assert msgspec.json.encode(message) == b'{"content":"Hello","member":"Ann","type":"MESSAGE","created":"09:30"}'
    assert msgspec.json.decode(msgspec.json.encode(message), type=ChatMessage) == message
