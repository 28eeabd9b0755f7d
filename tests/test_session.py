"""What a session is, whatever it goes over: what goes back and forth by its streams and its send."""

import inspect

import msgspec
import pytest
from servers import Seen

from rxsocket import Session, codec_of
from rxsocket.errors import ReplyException
from rxsocket.fake import FakeSession
from rxsocket.jsonrpc import JsonRpc
from rxsocket.socket_session import SocketSession


class Price(msgspec.Struct, tag=True):
    value: float


@pytest.mark.parametrize("kind", [SocketSession, FakeSession])
def test_there_are_two_kinds_which_differ_in_nothing_that_is_declared(kind: type[Session]):
    assert issubclass(kind, Session)
    names = {name for name in vars(Session) if not name.startswith("_")}
    assert {"send", "close", "topic", "ask"} <= names
    for name in names:
        declared, its = inspect.getattr_static(Session, name), inspect.getattr_static(kind, name)
        assert type(its) is type(declared), name
        if inspect.isfunction(its):
            assert inspect.signature(its) == inspect.signature(declared), name


def test_it_is_no_session_of_its_own():
    with pytest.raises(TypeError, match="abstract"):
        Session("ws://host", lambda: None, None, max_held=1, max_held_messages=1, paused=False)


def test_received_are_the_codecs_values_or_without_one_the_contents():
    plain = FakeSession()
    valued = FakeSession(codec=codec_of(Price))
    seen = Seen(plain.received), Seen(valued.received)
    for session in (plain, valued):
        session.open()
        session.receive('{"type":"Price","value":1.5}')
    assert [each.items for each in seen] == [['{"type":"Price","value":1.5}'], [Price(1.5)]]


def test_a_topic_is_told_of_once_and_again_after_a_loss():
    session = FakeSession()
    topic = session.topic(subscribe="+", unsubscribe="-", matches=lambda message: message != "other")
    session.open()
    seen = [Seen(topic), Seen(topic)]
    session.expect("+")
    session.receive("one")
    session.receive("other")
    assert [each.items for each in seen] == [["one"], ["one"]]
    for each in seen:
        each.subscription.dispose()
    session.expect("-")
    assert session.sent == ["+", "-"]


def test_an_ask_is_answered_or_fails_with_its_connection():
    session = FakeSession()
    session.open()
    seen = Seen(session.ask("ask", reply=lambda message: message == "reply"))
    session.expect("ask")
    session.receive("reply")
    assert seen.all() == ["reply"]
    lost = Seen(session.ask("ask", reply=lambda message: message == "reply"))
    session.end(1006)
    assert isinstance(lost.error, ReplyException)


def test_json_rpc_goes_over_it():
    session = FakeSession()
    session.open()
    seen = Seen(JsonRpc(session).call("add", [1, 2], int))
    (request,) = session.sent
    number = msgspec.json.decode(request)["id"]
    session.receive(f'{{"jsonrpc":"2.0","id":{number},"result":3}}')
    assert seen.all() == [3]


def test_what_can_not_be_sent_is_told_of_at_once():
    with pytest.raises(TypeError, match="subscribe is a message"):
        FakeSession().topic(subscribe=1, matches=bool)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="the message is a message"):
        FakeSession().ask(1, reply=bool)  # type: ignore[call-overload]


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_what_every_message_makes_fail_does_not_fill_the_log(caplog):
    def fail(text: str) -> bool:
        raise KeyError(text)

    for stream in (
        lambda session: session.topic(subscribe="+", matches=fail),
        lambda session: session.ask("?", reply=fail, key="k"),
        lambda session: JsonRpc(session).notifications("tick"),
        lambda session: session.messages.decode(int),
    ):
        caplog.clear()
        session = FakeSession()
        session.open()
        errors = Seen(session.errors)
        stream(session).subscribe()
        for _ in range(100):
            session.receive("nonsense")
        assert len(errors.items) == 100
        assert len(caplog.records) == 7  # 1, 2, 4, ... 64
        assert logged(caplog)[-1].endswith("(64 times so far; not all are logged)")
        assert "times so far" not in logged(caplog)[0]
        session.close()
