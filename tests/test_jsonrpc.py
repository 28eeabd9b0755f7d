"""JSON-RPC 2.0: calls, notifications, and requests of the peer, against servers that a script plays."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import reactivex.operators as ops
from msgspec import Raw
from reactivex import Observable
from servers import DEADLINE, EchoServer, Seen, Wire

import rxsocket.deadlines
import rxsocket.jsonrpc
from rxsocket.errors import (
    DecodeException,
    JsonRpcException,
    ReplyException,
    ReplyTimeoutException,
    RxSocketException,
    SubscriberException,
)
from rxsocket.frames import Close
from rxsocket.jsonrpc import JsonRpc, Request


@pytest.fixture(autouse=True)
def _ends_soon(monkeypatch) -> None:
    """Let the deadlines' thread look more often, for tests that wait for its end."""
    monkeypatch.setattr(rxsocket.deadlines, "PERIOD", 0.01)


class Point(msgspec.Struct):
    x: int
    y: int = 0


class Peer:
    """A script that answers each call by a function, and keeps what came."""

    def __init__(self, answer: Callable[[dict[str, Any]], object]) -> None:
        self.heard: list[dict[str, Any]] = []
        self._answer = answer

    def __call__(self, wire: Wire) -> None:
        while not isinstance(text := wire.next(), Close):
            if text is None:
                return
            message = json.loads(str(text))
            self.heard.append(message)
            answers = self._answer(message)
            for answer in answers if isinstance(answers, tuple) else (answers,):
                if answer is not None:
                    wire.send(answer if isinstance(answer, str) else json.dumps(answer))
        wire.close(text)


def served(message: dict[str, Any]) -> object:
    """Answer as a server does; what is called says says with what."""
    number, method, params = message.get("id"), message.get("method"), message.get("params")
    match method:
        case "add":
            return {"jsonrpc": "2.0", "id": number, "result": sum(params)}
        case "echo":
            return {"jsonrpc": "2.0", "id": number, "result": params}
        case "say":
            return tuple(params)
        case "fail":
            return {"jsonrpc": "2.0", "id": number, "error": {"code": -32000, "message": "broken", **(params or {})}}
        case _:
            return None


def connected(connect, play, answer: Callable[[dict[str, Any]], object] = served, **options: Any):
    peer = Peer(answer)
    session = connect(play(peer))
    session.opens.pipe(ops.first()).run()
    return session, JsonRpc(session, **options), peer


def failed(stream: Observable[Any], kind: type[Exception]) -> Exception:
    with pytest.raises(kind) as found:
        stream.run()
    return found.value


# --- calls


def test_a_call_gives_the_result_as_its_type(connect, play) -> None:
    _, rpc, peer = connected(connect, play)
    assert rpc.call("add", [1, 2], int).run() == 3
    assert rpc.call("echo", Point(1, 2), Point).run() == Point(1, 2)
    assert rpc.call("echo", {"x": 1}, result_type=Point).run() == Point(1)
    assert rpc.call("echo", {"a": [None]}).run() == {"a": [None]}
    assert rpc.call("echo").run() is None
    first, *_, last = peer.heard
    assert first == {"jsonrpc": "2.0", "id": first["id"], "method": "add", "params": [1, 2]}
    assert last == {"jsonrpc": "2.0", "id": last["id"], "method": "echo"}


def test_a_call_can_be_awaited_also_to_its_timeout(connect, play) -> None:
    rpc = JsonRpc(connect(play(Peer(served))))

    async def main() -> None:
        async with asyncio.timeout(DEADLINE):
            assert await rpc.call("add", [1, 2], int) == 3
            with pytest.raises(ReplyTimeoutException):
                await rpc.call("unknown", timeout=0.01)

    asyncio.run(main())


def test_each_subscription_makes_a_call_with_an_id_of_its_own_also_in_two_that_share_a_session(connect, play) -> None:
    session, rpc, peer = connected(connect, play)
    other = JsonRpc(session)
    call = rpc.call("add", (1, 1), int)
    assert [call.run(), call.run(), other.call("add", [2], int).run()] == [2, 2, 2]
    assert len({message["id"] for message in peer.heard}) == 3


def test_results_that_come_in_another_order_go_to_their_calls_and_each_text_is_decoded_once(
    connect, play, monkeypatch
) -> None:
    waiting: list[dict[str, Any]] = []

    def answer(message: dict[str, Any]) -> object:
        waiting.append({"id": message["id"], "result": message["params"]})
        return tuple(reversed(waiting)) if len(waiting) == 20 else None

    decoded: list[object] = []
    decode = rxsocket.jsonrpc._decode_one
    monkeypatch.setattr(rxsocket.jsonrpc, "_decode_one", lambda raw: decoded.append(raw) or decode(raw))
    _, rpc, _ = connected(connect, play, answer)
    rpc.notifications("other").subscribe()
    results = [Seen(rpc.call("x", [number])) for number in range(20)]
    assert [seen.one() for seen in results] == [[number] for number in range(20)]
    assert len(decoded) == 20


def test_a_request_of_the_peer_with_the_same_id_is_no_answer(connect, play) -> None:
    def answer(message: dict[str, Any]) -> object:
        return {"id": message["id"], "method": "x", "params": 1}, {"id": message["id"], "result": 2}

    _, rpc, _ = connected(connect, play, answer)
    assert rpc.call("x").run() == 2


def test_an_error_object_is_an_exception_with_its_members(connect, play) -> None:
    _, rpc, _ = connected(connect, play)
    error = failed(rpc.call("fail", {"data": {"why": [1]}}), JsonRpcException)
    assert (error.args[0], error.code, error.data) == ("broken", -32000, {"why": [1]})
    assert failed(rpc.call("fail"), JsonRpcException).data is None


@pytest.mark.parametrize("error", ["boom", {"code": "E_X"}, {"code": -1, "message": None}, [1]])
def test_an_error_object_that_is_none_fails_its_call_all_the_same(error, connect, play) -> None:
    _, rpc, _ = connected(connect, play, lambda message: {"id": message["id"], "error": error})
    failure = failed(rpc.call("x"), DecodeException)
    assert str(failure).startswith("not the error object of JSON-RPC: ")
    assert failure.raw == json.dumps(error, separators=(", ", ": "))


def test_a_result_of_another_type_is_an_error_of_that_call_alone(connect, play) -> None:
    session, rpc, _ = connected(connect, play)
    errors = Seen(session.errors)
    error = failed(rpc.call("echo", {"x": "one"}, Point), DecodeException)
    assert str(error) == "not the result of echo: Expected `int`, got `str` - at `$.x`"
    assert (error.raw, error.path) == ('{"x": "one"}', "$.x")
    assert rpc.call("add", [1], int).run() == 1
    assert errors.items == []


def test_an_answer_without_result_and_error_is_none(connect, play) -> None:
    _, rpc, _ = connected(connect, play, lambda message: {"id": message["id"]})
    error = failed(rpc.call("x"), DecodeException)
    assert str(error) == "not the result of x: the answer has neither a result nor an error"


def test_a_call_ends_as_an_ask_does(connect, play) -> None:
    session, rpc, _ = connected(connect, play)
    assert "silent" in str(failed(rpc.call("silent", timeout=0.02), ReplyTimeoutException))
    seen = Seen(rpc.call("silent", timeout=None))
    session.close()
    assert type(seen.error) is ReplyException


def test_what_the_peer_could_not_read_is_in_errors(connect, play) -> None:
    answer = {"id": None, "error": {"code": -32700, "message": "no JSON"}}
    session, rpc, _ = connected(connect, play, lambda _: answer)
    errors = Seen(session.errors)
    rpc.notifications("a").subscribe()
    rpc.notifications("b").subscribe()
    rpc.notify("x")
    session.send('"x"')
    assert [str(error) for error in errors.wait(2)] == ["no JSON (-32700)"] * 2


def test_a_batch_that_comes_is_taken_apart(connect, play) -> None:
    waiting: list[dict[str, Any]] = []

    def answer(message: dict[str, Any]) -> object:
        waiting.append({"id": message["id"], "result": message["params"]})
        event = {"method": "tick", "params": [7]}
        return "\n " + json.dumps([waiting[1], event, {"id": []}, waiting[0]]) if len(waiting) == 2 else None

    session, rpc, _ = connected(connect, play, answer)
    errors, ticks = Seen(session.errors), Seen(rpc.notifications("tick", list[int]))
    results = [Seen(rpc.call("x", [number])) for number in range(2)]
    assert [seen.one() for seen in results] == [[0], [1]]
    assert ticks.items == [[7]]
    assert [type(error) for error in errors.items] == [DecodeException]


# --- notifications


def test_a_notification_is_sent_without_an_id(connect, play) -> None:
    session, rpc, peer = connected(connect, play)
    rpc.notify("log", {"text": "x"})
    rpc.notify("ping")
    session.close()
    assert peer.heard == [
        {"jsonrpc": "2.0", "method": "log", "params": {"text": "x"}},
        {"jsonrpc": "2.0", "method": "ping"},
    ]


def test_notifications_of_a_method_come_as_the_type_of_their_params_and_complete_at_the_close(connect, play) -> None:
    session, rpc, _ = connected(connect, play)
    points, nothing = Seen(rpc.notifications("moved", Point)), Seen(rpc.notifications("done"))
    messages = [
        {"method": "moved", "params": {"x": 1}},
        {"method": "other", "params": {"x": 2}},
        {"method": "moved", "id": 3, "params": {"x": 3}},
        {"method": "done"},
        {"jsonrpc": "2.0", "method": "moved", "params": {"x": 4, "y": 5}, "more": 1},
    ]
    rpc.call("say", messages, timeout=0.2).subscribe(on_error=lambda _: None)
    assert points.wait(2) == [Point(1), Point(4, 5)]
    session.close()
    assert points.all() == [Point(1), Point(4, 5)]
    assert nothing.all() == [None]


def test_what_does_not_decode_is_in_errors_and_the_next_comes(connect, play) -> None:
    session, rpc, _ = connected(connect, play)
    errors, points = Seen(session.errors), Seen(rpc.notifications("moved", Point))
    rpc.notify("say", ["{", '{"method": 1}', '{"method": "moved", "params": {"y": 1}}', "[1]", "[", '"x"'])
    rpc.notify("say", ['{"method": "moved", "params": {"x": 1}}'])
    assert points.wait() == [Point(1)]
    texts = [str(error) for error in errors.items]
    assert [text.partition(":")[0] for text in texts] == [
        "not a JSON-RPC message",
        "not a JSON-RPC message",
        "not the params of moved",
        "not a JSON-RPC message",
        "not a JSON-RPC message",
        "not a JSON-RPC message",
    ]
    assert [error.raw for error in errors.items] == ["{", '{"method": 1}', '{"y": 1}', "[1]", "[", '"x"']


def test_a_subscriber_that_raises_is_reported_with_the_streams_name_and_gets_the_rest_of_a_batch(connect, play) -> None:
    session, rpc, _ = connected(connect, play)
    errors = Seen(session.errors)
    seen: list[int] = []

    def subscriber(number: int) -> None:
        seen.append(number)
        raise ValueError("mine")

    rpc.notifications("tick", int).subscribe(subscriber)
    rpc.notify("say", ['[{"method": "tick", "params": 1}, {"method": "tick", "params": 2}]'])
    assert [error.stream for error in errors.wait(2) if isinstance(error, SubscriberException)] == [
        "notifications('tick')"
    ] * 2
    assert seen == [1, 2]


# --- other members, as of DevTools


def test_other_members_go_with_a_message_and_pick_the_notifications(connect, play) -> None:
    _, rpc, peer = connected(connect, play, version=None)
    events, all_events = Seen(rpc.notifications("Page.x", int, sessionId="S")), Seen(rpc.notifications("Page.x", int))
    assert rpc.call("echo", {"a": 1}, sessionId="S").run() == {"a": 1}
    assert peer.heard == [{"id": peer.heard[0]["id"], "method": "echo", "params": {"a": 1}, "sessionId": "S"}]
    said = [{"method": "Page.x", "params": number, **more} for number, more in enumerate(({}, {"sessionId": "S"}))]
    rpc.notify("say", [*said, {"method": "Page.x", "params": 2, "sessionId": "T"}], sessionId="S")
    assert all_events.wait(3) == [0, 1, 2]
    assert events.items == [1]
    assert "id" not in peer.heard[1]


# --- requests of the peer


def test_a_request_of_the_peer_is_answered_by_a_result_or_an_error(connect, play) -> None:
    session, rpc, peer = connected(connect, play)

    def answer(request: Request[Point]) -> None:
        if request.params.x:
            request.reply(request.params)
        else:
            request.refuse(-32602, "no x", [1])
            request.refuse(1, "again")

    rpc.requests("move", Point).subscribe(answer)
    requests = Seen(rpc.requests("move"))
    rpc.notify("say", [{"id": f"n{x}", "method": "move", "params": {"x": x}} for x in (1, 0)])
    assert str(requests.wait(2)[0]) == "<Request move {'x': 1}>"
    session.close()
    assert peer.heard[1:] == [
        {"jsonrpc": "2.0", "id": "n1", "result": {"x": 1, "y": 0}},
        {"jsonrpc": "2.0", "id": "n0", "error": {"code": -32602, "message": "no x", "data": [1]}},
        {"jsonrpc": "2.0", "id": "n0", "error": {"code": 1, "message": "again"}},
    ]


# --- what can never work


@pytest.mark.parametrize(
    ("use", "kind", "problem"),
    [
        (lambda rpc: rpc.call(1), TypeError, "a method is a str, not int"),
        (lambda rpc: rpc.notify(None), TypeError, "a method is a str"),
        (lambda rpc: rpc.notifications(1), TypeError, "a method is a str"),
        (lambda rpc: rpc.requests(1), TypeError, "a method is a str"),
        (lambda rpc: rpc.call("x", "text"), TypeError, "params are a Struct or dict"),
        (lambda rpc: rpc.call("x", [object()]), TypeError, "object"),
        (lambda rpc: rpc.call("x", id=1), ValueError, "a message has its own id"),
        (lambda rpc: rpc.call("x", timeout=-1), ValueError, "timeout"),
        (lambda rpc: rpc.call("x", [], 7), TypeError, "7"),
        (lambda rpc: rpc.notifications("x", 7), TypeError, "7"),
    ],
)
def test_what_can_never_work_is_told_of_at_the_call(connect, server: EchoServer, use, kind, problem: str) -> None:
    rpc = JsonRpc(connect(server.url))
    with pytest.raises(kind, match=problem):
        use(rpc)


def test_it_takes_a_session_and_a_version(connect, server: EchoServer) -> None:
    with pytest.raises(TypeError, match="JsonRpc takes a Session"):
        JsonRpc(server.url)
    with pytest.raises(TypeError, match="version is a str"):
        JsonRpc(connect(server.url), version=2.0)


def test_all_that_it_raises_is_the_packages_own() -> None:
    assert issubclass(JsonRpcException, RxSocketException)
    assert not Raw()
