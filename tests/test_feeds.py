"""rxsocket against feeds of other makers, each in its own protocol: DevTools, a Jupyter kernel, and graphql-ws."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
import reactivex
import reactivex.operators as ops
from feeds import GraphQl, Jupyter
from msgspec import Raw, Struct
from peers import DEADLINE
from reactivex import Observable
from servers import Seen

from rxsocket import (
    Backoff,
    DecodeException,
    EndException,
    HandshakeException,
    JsonRpc,
    JsonRpcException,
    ReplyException,
    ReplyTimeoutException,
    Session,
    websocket,
)

pytestmark = pytest.mark.timeout(60)  # the first test of a server waits until that is up, too


# --- Chromium's DevTools: JSON-RPC without a version, and events of domains that are enabled


class Remote(Struct):
    """What a script made."""

    type: str
    value: Any = None


class Evaluated(Struct, rename="camel"):
    result: Remote
    exception_details: dict[str, Any] | None = None


class Logged(Struct):
    """The params of Runtime.consoleAPICalled."""

    type: str
    args: list[Remote]


class Event(Struct):
    """Any event, and what is none has no method."""

    method: str = ""
    params: Raw = Raw()


@pytest.fixture
def page(chromium, connect) -> Session:
    return connect(chromium.new_page())


@pytest.fixture
def rpc(page) -> JsonRpc:
    return JsonRpc(page, version=None)


def evaluate(rpc: JsonRpc, script: str, **members: object) -> Observable[Evaluated]:
    params = {"expression": script, "returnByValue": True, "awaitPromise": True}
    return rpc.call("Runtime.evaluate", params, Evaluated, **members)


def value_of(rpc: JsonRpc, script: str, **members: object) -> Any:
    return evaluate(rpc, script, **members).run().result.value


def test_a_call_to_the_browser_has_a_typed_result(rpc):
    assert value_of(rpc, "6 * 7") == 42
    assert value_of(rpc, "[...'grüße 🎈'].reverse().join('')") == "🎈 eßürg"


def test_calls_that_are_answered_in_another_order_have_each_its_own_result(rpc):
    waiting = [Seen(evaluate(rpc, f"new Promise(done => globalThis.done{number} = done)")) for number in range(3)]
    for number in (2, 0, 1):
        assert value_of(rpc, f"done{number}('the answer to {number}')") is None
        assert waiting[number].one().result.value == f"the answer to {number}"


def test_five_hundred_calls_at_once_have_each_its_own_result(rpc):
    calls = [Seen(evaluate(rpc, f"{number} * {number}")) for number in range(500)]
    assert [call.one().result.value for call in calls] == [number * number for number in range(500)]


def test_messages_of_megabytes_go_both_ways(rpc):
    size = 3_000_000
    assert value_of(rpc, f"'x'.repeat({size})") == "x" * size
    assert value_of(rpc, f"'{'ü' * size}'.length") == size


def test_an_error_object_is_raised_as_such_and_what_a_script_throws_is_none(rpc, page):
    errors = Seen(page.errors)
    with pytest.raises(JsonRpcException, match="wasn't found") as caught:
        rpc.call("Runtime.doesNotExist").run()
    assert caught.value.code == -32601
    with pytest.raises(JsonRpcException, match="Invalid parameters") as caught:
        rpc.call("Runtime.evaluate", {"expression": 7}).run()
    assert caught.value.code == -32602
    assert "expression" in caught.value.data
    thrown = evaluate(rpc, "null.nothing").run()
    assert thrown.exception_details is not None
    assert errors.items == []


def test_a_result_of_another_type_than_was_asked_for_fails_its_call_alone(rpc):
    class Mistaken(Struct):
        result: list[str]

    with pytest.raises(DecodeException, match="result"):
        rpc.call("Runtime.evaluate", {"expression": "1"}, Mistaken).run()
    assert value_of(rpc, "1") == 1


def test_a_call_that_is_not_answered_in_its_time_fails_and_its_late_answer_is_nobodys(rpc, page):
    errors = Seen(page.errors)
    params = {"expression": "new Promise(done => globalThis.done = done)", "awaitPromise": True}
    with pytest.raises(ReplyTimeoutException, match=r"Runtime\.evaluate"):
        rpc.call("Runtime.evaluate", params, timeout=0.1).run()
    assert value_of(rpc, "done('too late')") is None
    assert value_of(rpc, "'and on it goes'") == "and on it goes"
    assert errors.items == []


def test_events_come_typed_as_notifications(rpc):
    logged = Seen(rpc.notifications("Runtime.consoleAPICalled", Logged))
    rpc.call("Runtime.enable").run()
    value_of(rpc, "console.log('one', 1); console.warn({two: 2}); 0")
    first, second = logged.wait(2)
    assert (first.type, [arg.value for arg in first.args]) == ("log", ["one", 1])
    assert (second.type, second.args[0].type) == ("warning", "object")


def test_a_notification_that_does_not_decode_is_an_error_of_the_session_and_the_next_one_comes(rpc, page):
    class Strict(Struct, forbid_unknown_fields=True):
        timestamp: float
        name: str = ""

    errors = Seen(page.errors)
    loads = Seen(rpc.notifications("Page.loadEventFired", Strict))
    mistaken = Seen(rpc.notifications("Page.frameStartedLoading", Strict))
    rpc.call("Page.enable").run()
    for text in ("one", "two"):
        rpc.call("Page.navigate", {"url": f"data:text/html,{text}"}).run()
        loads.wait(1 if text == "one" else 2)
    assert mistaken.items == []
    assert {type(error) for error in errors.items} == {DecodeException}
    assert "frameId" in errors.items[0].raw


def test_a_domain_is_enabled_while_anybody_is_subscribed_to_its_topic(rpc, page):
    # The ids of these messages are theirs alone; a JsonRpc counts from 1 up.
    answers = Seen(page.messages.body.pipe(ops.filter(lambda text: re.match(r'\{"id":7700[12],', text) is not None)))
    navigated = page.topic(
        subscribe='{"id": 77001, "method": "Page.enable"}',
        unsubscribe='{"id": 77002, "method": "Page.disable"}',
        matches=lambda event: event.method == "Page.frameNavigated",
        messages=page.messages.decode(Event),
    )

    def navigate(text: str) -> None:
        rpc.call("Page.navigate", {"url": f"data:text/html,{text}"}).run()

    first, second = Seen(navigated), Seen(navigated)
    answers.wait()  # navigating is another process' matter, which may be quicker
    navigate("one")
    assert first.wait() == second.wait()
    assert len(answers.items) == 1  # it was enabled once for both
    first.subscription.dispose()
    navigate("two")
    assert b"two" in bytes(second.wait(2)[1].params)
    second.subscription.dispose()
    assert answers.wait(2)[1].startswith('{"id":77002')
    navigate("three")
    third = Seen(navigated)
    answers.wait(3)
    navigate("four")
    assert b"four" in bytes(third.wait()[0].params)
    assert (len(first.items), len(second.items), len(answers.items)) == (1, 2, 3)


def test_pages_that_share_a_session_are_told_apart_by_a_member_of_their_own(chromium, connect):
    browser = connect(chromium.browser_url)
    rpc = JsonRpc(browser, version=None)
    attached: list[str] = []
    for _ in range(2):
        target = rpc.call("Target.createTarget", {"url": "about:blank"}).run()["targetId"]
        attached.append(rpc.call("Target.attachToTarget", {"targetId": target, "flatten": True}).run()["sessionId"])
    logged = [Seen(rpc.notifications("Runtime.consoleAPICalled", Logged, sessionId=each)) for each in attached]
    for number, each in enumerate(attached):
        rpc.call("Runtime.enable", sessionId=each).run()
        value_of(rpc, f"globalThis.number = {number}; console.log('page', {number}); 0", sessionId=each)
    assert [value_of(rpc, "number", sessionId=each) for each in attached] == [0, 1]
    for number, seen in enumerate(logged):
        assert [arg.value for arg in seen.wait()[0].args] == ["page", number]
        assert len(seen.items) == 1


def test_a_page_that_is_closed_ends_its_session_and_fails_what_was_asked_of_it(chromium, connect, page, rpc):
    target = page.url.rpartition("/")[2]
    ends = Seen(page.closes)
    pending = Seen(evaluate(rpc, "new Promise(() => {})"))
    value_of(rpc, "1")
    browser = JsonRpc(connect(chromium.browser_url), version=None)
    assert browser.call("Target.closeTarget", {"targetId": target}).run() == {"success": True}
    end = ends.one()
    assert (end.code, end.initiator) == (1006, "network")
    assert isinstance(pending.error, ReplyException)
    with pytest.raises(ReplyException, match="closed"):
        evaluate(rpc, "1").run()


def test_devtools_refuse_a_page_of_another_origin_and_that_is_told(chromium, connect):
    session = connect(chromium.new_page(), origin="http://elsewhere.example", reconnect=Backoff())
    cause = Seen(session.closes).one().cause
    assert isinstance(cause, HandshakeException)
    assert cause.status == 403
    assert "--remote-allow-origins" in cause.body.decode()


def test_a_cold_stream_of_events_enables_what_it_needs_and_leaves_nothing_behind(chromium):
    url = chromium.new_page()

    def enable(session: Session) -> None:
        session.send('{"id": 1, "method": "Runtime.enable"}')
        session.send('{"id": 2, "method": "Runtime.evaluate", "params": {"expression": "console.log(\'cold\')"}}')

    logged = (
        websocket(url)
        .stream(Event, on_open=enable)
        .pipe(
            ops.filter(lambda event: event.method == "Runtime.consoleAPICalled"),
            ops.map(lambda event: msgspec.json.decode(event.params, type=Logged)),
            ops.map(lambda params: params.args[0].value),
            ops.take(1),
        )
    )
    assert logged.run() == "cold"
    assert logged.run() == "cold"  # over a connection of its own


# --- a kernel of Jupyter's: requests, their replies, and what they put out meanwhile, each naming what it is about


class Header(Struct):
    msg_id: str
    msg_type: str
    session: str
    username: str = "tests"
    version: str = "5.3"
    date: str = ""


class Parent(Struct):
    """The header of what a message is about, if there is such."""

    msg_id: str = ""


class Printed(Struct):
    text: str


class Result(Struct):
    data: dict[str, Any]
    execution_count: int


class Status(Struct):
    execution_state: str


class Failed(Struct):
    ename: str
    evalue: str


class Done(Struct):
    """The content of an execute_reply, whatever came of it."""

    status: str
    execution_count: int = 0
    ename: str = ""


class Prompt(Struct):
    prompt: str


CONTENTS: dict[str, Any] = {
    "stream": Printed,
    "execute_result": Result,
    "status": Status,
    "error": Failed,
    "execute_reply": Done,
    "input_request": Prompt,
}
"""Of which type a message's content is, by the type of the message; of others it is a dict."""


class KernelMessage(Struct):
    channel: str
    header: Header
    content: Any
    parent_header: Parent = msgspec.field(default_factory=Parent)
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


class Incoming(Struct):
    """A message as it comes in JSON, the content not decoded yet."""

    channel: str
    header: Header
    parent_header: Parent
    content: Raw


class JsonCodec:
    """Messages as JSON texts, which is what a kernel speaks without a sub-protocol."""

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(Incoming)

    def encode(self, message: KernelMessage, /) -> str:
        return msgspec.json.encode(message).decode()

    def decode(self, data: str | bytes, /) -> KernelMessage:
        found = self._decoder.decode(data)
        return KernelMessage(found.channel, found.header, content_of(found.header, found.content), found.parent_header)


class BinaryCodec:
    """Messages as the sub-protocol v1.kernel.websocket.jupyter.org has them.

    That is the number of offsets, and the offsets, as 64 bits each, little-endian; then the channel's name, and the
    header, the parent's header, the metadata and the content, in JSON each, and the buffers.
    """

    NAME = "v1.kernel.websocket.jupyter.org"

    def encode(self, message: KernelMessage, /) -> bytes:
        parts = [
            message.channel.encode(),
            *map(
                msgspec.json.encode,
                (message.header, message.parent_header, message.metadata, message.content),
            ),
        ]
        offsets = [8 * (len(parts) + 2)]
        for part in parts:
            offsets.append(offsets[-1] + len(part))
        return b"".join(number.to_bytes(8, "little") for number in (len(offsets), *offsets)) + b"".join(parts)

    def decode(self, data: str | bytes, /) -> KernelMessage:
        if isinstance(data, str):
            raise TypeError("a message of this sub-protocol is binary")
        numbers = [
            int.from_bytes(data[at : at + 8], "little")
            for at in range(0, 8 * (int.from_bytes(data[:8], "little") + 1), 8)
        ]
        offsets = numbers[1 : numbers[0] + 1]
        channel, header, parent, _, content = (data[start:end] for start, end in pairwise(offsets))
        found = msgspec.json.decode(header, type=Header)
        return KernelMessage(
            channel.decode(), found, content_of(found, content), msgspec.json.decode(parent, type=Parent)
        )


def content_of(header: Header, content: bytes | Raw) -> Any:
    return msgspec.json.decode(content, type=CONTENTS.get(header.msg_type, dict[str, Any]))


Channels = Session[KernelMessage]


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory) -> Iterator[Jupyter]:
    pytest.importorskip(
        "jupyter_server", reason="the package jupyter-server is not installed: pip install -e '.[test]'"
    )
    with Jupyter(tmp_path_factory.mktemp("jupyter")) as jupyter:
        yield jupyter


@pytest.fixture(scope="module")
def kernel(jupyter) -> str:
    """The id of a kernel, which tests may restart."""
    return jupyter.start_kernel()


@pytest.fixture(params=["json", "binary"])
def channels(jupyter, kernel, connect, request) -> Channels:
    """A session with the kernel, by either of its protocols."""
    codec, protocols = (JsonCodec(), []) if request.param == "json" else (BinaryCodec(), [BinaryCodec.NAME])
    session = connect(jupyter.channels(kernel), *protocols, headers=jupyter.headers, codec=codec)
    assert Seen(session.opens).wait()[0].protocol == (protocols[0] if protocols else None)
    return session


def execution(code: str, *, stdin: bool = False) -> KernelMessage:
    header = Header(uuid.uuid4().hex, "execute_request", "the session of a test")
    content = {"code": code, "silent": False, "allow_stdin": stdin, "stop_on_error": False}
    return KernelMessage("shell", header, content)


def replied_to(message: KernelMessage) -> str | None:
    """Return the id of the request that a message is the reply to."""
    return message.parent_header.msg_id if message.header.msg_type == "execute_reply" else None


def reply_to(session: Channels, request: KernelMessage) -> Observable[Done]:
    replies = session.ask(request, reply=replied_to, key=request.header.msg_id)
    return replies.pipe(ops.map(lambda message: message.content))


def outputs_of(session: Channels, request: KernelMessage) -> Observable[Any]:
    """Return the stream of what a request puts out, to its end."""
    about_it = session.received.pipe(
        ops.filter(lambda message: message.channel == "iopub"),
        ops.filter(lambda message: message.parent_header.msg_id == request.header.msg_id),
        ops.map(lambda message: message.content),
    )
    return about_it.pipe(
        ops.take_while(lambda content: content != Status("idle")),
        ops.filter(lambda content: isinstance(content, Printed | Result | Failed)),
    )


def test_an_execution_puts_out_what_it_prints_and_its_result_and_is_replied_to(channels):
    request = execution("print('one'); print('zwei ü 🎈'); 6 * 7")
    outputs = Seen(outputs_of(channels, request))
    done = reply_to(channels, request).run()
    assert done.status == "ok"
    *printed, result = outputs.all()
    assert "".join(each.text for each in printed) == "one\nzwei ü 🎈\n"
    assert result == Result({"text/plain": "42"}, done.execution_count)


def test_an_execution_that_raises_puts_out_its_error(channels):
    request = execution("1 / 0")
    outputs = Seen(outputs_of(channels, request))
    done = reply_to(channels, request).run()
    assert (done.status, done.ename) == ("error", "ZeroDivisionError")
    assert outputs.all() == [Failed("ZeroDivisionError", "division by zero")]


def test_a_hundred_executions_at_once_have_each_its_own_reply_and_outputs(channels):
    requests = [execution(f"print({number}); {number} ** 2") for number in range(100)]
    outputs = [Seen(outputs_of(channels, request)) for request in requests]
    replies = [Seen(reply_to(channels, request)) for request in requests]
    counts = [reply.one().execution_count for reply in replies]
    assert counts == list(range(counts[0], counts[0] + 100))
    for number, (seen, execution_count) in enumerate(zip(outputs, counts, strict=True)):
        *printed, result = seen.all()
        assert "".join(each.text for each in printed) == f"{number}\n"
        assert result == Result({"text/plain": str(number**2)}, execution_count)


def test_a_kernel_puts_out_megabytes(channels):
    request = execution("print('x' * 3_000_000)")
    outputs = Seen(outputs_of(channels, request))
    assert reply_to(channels, request).run().status == "ok"
    assert sum(len(each.text) for each in outputs.all()) == 3_000_001


def test_a_kernel_asks_for_input_and_gets_it(channels):
    prompts = channels.received.pipe(ops.filter(lambda message: isinstance(message.content, Prompt)))
    subscription = prompts.subscribe(
        lambda message: channels.send(
            KernelMessage(
                "stdin",
                Header(uuid.uuid4().hex, "input_reply", "the session of a test"),
                {"value": message.content.prompt.upper()},
                Parent(message.header.msg_id),
            )
        )
    )
    request = execution("input('your name? ')", stdin=True)
    outputs = Seen(outputs_of(channels, request))
    assert reply_to(channels, request).run().status == "ok"
    assert outputs.all()[-1].data == {"text/plain": "'YOUR NAME? '"}
    subscription.dispose()


ENDLESS = "import time\nprint('it runs', flush=True)\nwhile True: time.sleep(0.01)"


def test_an_interrupt_ends_an_execution_and_the_next_one_goes_on(channels, jupyter, kernel):
    request, following = execution(ENDLESS), execution("'on it goes'")
    outputs = Seen(outputs_of(channels, request))
    replies = [Seen(reply_to(channels, each)) for each in (request, following)]
    outputs.wait()
    jupyter.interrupt(kernel)
    assert (replies[0].one().status, replies[0].one().ename) == ("error", "KeyboardInterrupt")
    assert replies[1].one().status == "ok"
    assert outputs.all()[-1] == Failed("KeyboardInterrupt", "")


def test_a_restart_lets_a_kernel_begin_anew_and_the_session_goes_on(channels, jupyter, kernel):
    request = execution("known = 1")
    assert reply_to(channels, request).run().status == "ok"
    jupyter.restart(kernel)
    done = reply_to(channels, execution("known")).run()
    assert (done.ename, done.execution_count) == ("NameError", 1)
    assert [event.connection for event in Seen(channels.opens).items] == [1]


def test_a_kernel_that_dies_leaves_what_was_asked_without_a_reply_and_the_session_goes_on(channels):
    deaths = channels.received.pipe(ops.filter(lambda message: message.content == Status("restarting")))
    last = Seen(reply_to(channels, execution("import os; os._exit(1)")).pipe(ops.take_until(deaths)))
    assert last.all() == []
    assert reply_to(channels, execution("'anew'")).run() == Done("ok", 1)
    assert [event.connection for event in Seen(channels.opens).items] == [1]


# --- graphql-ws: a handshake of its own before anything else, subscriptions by id, and close codes of its own

PROTOCOL = "graphql-transport-ws"


class Answer(Struct):
    """Any message of the server's."""

    type: str
    id: str = ""
    payload: Any = None


@pytest.fixture
def graphql(node, tmp_path) -> Iterator[GraphQl]:
    with GraphQl(node, Path(__file__).with_name("node") / "graphql.js", tmp_path) as server:
        yield server


def graphql_message(type: str, id: str | None = None, payload: object = None) -> str:  # noqa: A002 the members' names
    members = {"type": type, "id": id, "payload": payload}
    return json.dumps({name: value for name, value in members.items() if value is not None})


def init(token: str = "") -> str:
    return graphql_message("connection_init", payload={"token": token})


def run(id: str, query: str) -> str:  # noqa: A002 as above
    return graphql_message("subscribe", id, {"query": query})


def complete(id: str) -> str:  # noqa: A002 as above
    return graphql_message("complete", id)


def acknowledged(session: Session) -> Observable[Answer]:
    """Return the server's answer to connection_init, which is sent when this is subscribed to."""
    answers = session.messages.decode(Answer)
    return session.ask(init(), reply=lambda answer: answer.type == "connection_ack", messages=answers)


def about(id: str) -> Callable[[Answer], bool]:  # noqa: A002 as above
    return lambda answer: answer.id == id


def data_of(session: Session, query: str, id: str) -> dict[str, Any]:  # noqa: A002 as above
    """Run a query or a mutation, and wait for its result."""
    answers = session.messages.decode(Answer)
    answer = session.ask(run(id, query), reply=lambda answer: answer.id or None, key=id, messages=answers).run()
    assert answer.type == "next", answer
    return answer.payload["data"]


def say(session: Session, room: str, text: str) -> int:
    """Say something in a room; return how many subscriptions there are to it."""
    query = f"mutation {{ say(room: {json.dumps(room)}, text: {json.dumps(text)}) }}"
    return data_of(session, query, uuid.uuid4().hex)["say"]


def room_of(session: Session, room: str) -> Observable[str]:
    """Return what is said in a room, as a topic."""
    answers = session.topic(
        subscribe=run(room, f"subscription {{ said(room: {json.dumps(room)}) {{ text }} }}"),
        unsubscribe=complete(room),
        matches=about(room),
        messages=session.messages.decode(Answer),
    )
    return answers.pipe(ops.map(lambda answer: answer.payload["data"]["said"]["text"]))


def told(server: GraphQl, *expected: str) -> list[list[Any]]:
    """Wait for so many things that the server tells of, and check of which kind they are."""
    found = [server.told.get(timeout=DEADLINE) for _ in expected]
    assert [each[0] for each in found] == list(expected)
    return found


def test_many_subscribers_of_a_topic_are_one_subscription_to_the_server(graphql, connect):
    listener, speaker = connect(graphql.url, PROTOCOL), connect(graphql.url, PROTOCOL)
    for session in (listener, speaker):
        acknowledged(session).run()
    told(graphql, "connect", "connect")
    kitchen = room_of(listener, "kitchen")
    heard = [Seen(kitchen) for _ in range(20)]
    assert told(graphql, "subscribe")[0] == ["subscribe", "kitchen"]
    assert say(speaker, "kitchen", "dinner is ready") == 1
    assert say(speaker, "cellar", "nobody hears this") == 0
    told(graphql, *["subscribe", "complete"] * 2)  # of the two mutations
    for seen in heard[:-1]:
        assert seen.wait() == ["dinner is ready"]
        seen.subscription.dispose()
    assert say(speaker, "kitchen", "dessert") == 1
    told(graphql, "subscribe", "complete")
    assert heard[-1].wait(2) == ["dinner is ready", "dessert"]
    heard[-1].subscription.dispose()
    assert told(graphql, "complete")[0] == ["complete", "kitchen"]
    assert [len(seen.items) for seen in heard] == [1] * 19 + [2]
    assert say(speaker, "kitchen", "is anybody there?") == 0


def test_two_topics_of_a_session_get_each_its_own(graphql, connect):
    session = connect(graphql.url, PROTOCOL)
    acknowledged(session).run()
    rooms = {name: Seen(room_of(session, name)) for name in ("kitchen", "cellar")}
    for name in rooms:
        assert say(session, name, f"in the {name}") == 1
    assert {name: seen.wait() for name, seen in rooms.items()} == {
        "kitchen": ["in the kitchen"],
        "cellar": ["in the cellar"],
    }


def test_a_subscription_that_the_server_completes_ends_its_stream(graphql, connect):
    session = connect(graphql.url, PROTOCOL)
    acknowledged(session).run()
    countdown = session.topic(
        subscribe=run("1", "subscription { countdown(from: 3) }"),
        unsubscribe=complete("1"),
        matches=about("1"),
        messages=session.messages.decode(Answer),
    ).pipe(
        ops.take_while(lambda answer: answer.type == "next"),
        ops.map(lambda answer: answer.payload["data"]["countdown"]),
    )
    assert Seen(countdown).all() == [3, 2, 1]
    assert Seen(countdown).all() == [3, 2, 1]  # by a subscribe message of its own


def test_a_hundred_queries_at_once_have_each_its_own_answer(graphql, connect):
    session = connect(graphql.url, PROTOCOL)
    acknowledged(session).run()
    answers = session.messages.decode(Answer)

    def key_of(answer: Answer) -> str | None:
        return answer.id if answer.type == "next" else None

    asked = [
        Seen(
            session.ask(
                run(str(number), f'{{ greeting(name: "{number}") }}'),
                reply=key_of,
                key=str(number),
                messages=answers,
            )
        )
        for number in range(100)
    ]
    for number, seen in enumerate(asked):
        assert seen.one().payload == {"data": {"greeting": f"Hello, {number}"}}


def test_after_a_reconnect_a_topic_is_subscribed_to_again_once_the_server_has_acknowledged(graphql, connect):
    tokens = count(1)
    session = connect(graphql.url, PROTOCOL, reconnect=Backoff(initial=0.01), paused=True)
    answers = session.messages.decode(Answer)
    acks = answers.pipe(ops.filter(lambda answer: answer.type == "connection_ack"))
    # What comes before the acknowledgement the server refuses with 4401: so a topic is subscribed to from there on to
    # the connection's end.
    kitchen = room_of(session, "kitchen")
    ready = acks.pipe(ops.map(lambda _: kitchen))
    lost = session.closes.pipe(ops.map(lambda _: reactivex.never()))
    heard = ready.pipe(ops.merge(lost), ops.switch_latest(), ops.share())
    seen = [Seen(heard) for _ in range(5)]
    session.opens.subscribe(lambda _: session.send(init(f"token {next(tokens)}")))
    session.resume()
    assert told(graphql, "connect", "subscribe") == [["connect", "token 1"], ["subscribe", "kitchen"]]
    say(session, "kitchen", "before")
    told(graphql, "subscribe", "complete")
    session.send(run("cut", "mutation { cut }"))
    opened = told(graphql, "subscribe", *["complete"] * 2, "close", "connect", "subscribe")
    assert [each for each in opened if each[-1] != "cut"] == [
        ["complete", "kitchen"],
        ["close", 1006, ""],
        ["connect", "token 2"],
        ["subscribe", "kitchen"],
    ]
    assert say(session, "kitchen", "after") == 1
    for each in seen:
        assert each.wait(2) == ["before", "after"]
    assert [event.connection for event in Seen(session.opens).wait()] == [2]


def test_a_topic_that_is_subscribed_to_before_the_acknowledgement_is_refused(graphql, connect):
    session = connect(graphql.url, PROTOCOL)
    Seen(room_of(session, "kitchen"))
    end = Seen(session.closes).one()
    assert (end.code, end.reason, end.initiator, end.was_clean) == (4401, "Unauthorized", "server", True)


def not_json(session: Session) -> None:
    session.send("this is no message")


def nothing(session: Session) -> None:
    pass


def init_with_an_old_token(session: Session) -> None:
    session.send(init("expired"))


def init_twice(session: Session) -> None:
    session.send(init())
    session.send(init())


def use_an_id_twice(session: Session) -> None:
    acknowledged(session).subscribe(
        lambda _: [session.send(run("1", 'subscription { said(room: "hall") { text } }')) for _ in range(2)]
    )


REFUSALS = [
    (not_json, 4400, "Invalid message received"),
    (init_with_an_old_token, 4403, "Forbidden"),
    (nothing, 4408, "Connection initialisation timeout"),
    (use_an_id_twice, 4409, "Subscriber for 1 already exists"),
    (init_twice, 4429, "Too many initialisation requests"),
]


@pytest.mark.parametrize(("mistake", "code", "reason"), REFUSALS, ids=[str(code) for _, code, _ in REFUSALS])
def test_what_the_server_refuses_it_closes_with_a_code_of_its_own(graphql, connect, mistake, code, reason):
    session = connect(graphql.url, PROTOCOL)
    errors = Seen(session.errors)
    mistake(session)
    end = Seen(session.closes).one()
    assert (end.code, end.reason, end.initiator, end.was_clean) == (code, reason, "server", True)
    assert errors.items == []


def test_a_client_that_names_no_sub_protocol_is_refused(graphql, connect):
    session = connect(graphql.url)
    end = Seen(session.closes).one()
    assert (end.code, end.reason, end.initiator) == (4406, "Subprotocol not acceptable", "server")


@pytest.mark.parametrize(("final_codes", "tokens"), [({4403}, 1), ({1000, 1008}, 3)])
def test_which_of_the_servers_codes_are_final_is_the_policys_choice(graphql, connect, final_codes, tokens):
    given = iter(["expired", "expired", "fresh", "fresher"])
    policy = Backoff(initial=0.01, final_codes=final_codes)
    session = connect(graphql.url, PROTOCOL, reconnect=policy, paused=True)
    acks = Seen(session.messages.decode(Answer))
    closes = Seen(session.closes)
    session.opens.subscribe(lambda _: session.send(init(next(given))))
    session.resume()
    if tokens == 1:
        assert [end.code for end in closes.all()] == [4403]
        assert acks.all() == []
    else:
        assert acks.wait() == [Answer("connection_ack")]
        assert [end.code for end in closes.items] == [4403, 4403]
    came = [graphql.told.get(timeout=DEADLINE) for _ in range(2 * tokens - 1)]
    assert [each[0] for each in came] == ["connect", *["close", "connect"] * (tokens - 1)]


def test_a_cold_stream_fails_with_the_servers_code_and_is_tried_again_with_another_token(graphql):
    given = iter(["expired", "expired", "fresh"])
    stream = websocket(graphql.url, PROTOCOL).stream(Answer, on_open=lambda session: session.send(init(next(given))))
    first = stream.pipe(ops.take(1))
    with pytest.raises(EndException, match="Forbidden") as caught:
        first.run()
    assert (caught.value.event.code, caught.value.event.was_clean) == (4403, True)
    assert first.pipe(ops.retry(2)).run() == Answer("connection_ack")
    assert next(given, None) is None


def test_a_query_that_is_cut_off_fails_and_is_asked_again_on_the_next_connection(graphql, connect):
    session = connect(graphql.url, PROTOCOL, reconnect=Backoff(initial=0.01), paused=True)
    answers = session.messages.decode(Answer)
    acks = Seen(answers.pipe(ops.filter(lambda answer: answer.type == "connection_ack")))
    session.opens.subscribe(lambda _: session.send(init()))
    session.resume()
    acks.wait()
    given = iter(["mutation { cut }", '{ greeting(name: "again") }'])
    asked = session.ask(lambda: run("1", next(given)), reply=lambda answer: answer.id == "1", messages=answers)
    failures: list[Exception] = []

    def again(error: Exception, _: Observable[Answer]) -> Observable[Answer]:
        failures.append(error)
        return acks_after_loss.pipe(ops.flat_map(lambda _: asked))

    acks_after_loss = answers.pipe(ops.filter(lambda answer: answer.type == "connection_ack"), ops.take(1))
    answer = asked.pipe(ops.catch(again)).run()
    assert answer.payload == {"data": {"greeting": "Hello, again"}}
    assert [type(failure) for failure in failures] == [ReplyException]


def test_a_session_that_is_closed_ends_its_topics_and_subscriptions(graphql, connect):
    session = connect(graphql.url, PROTOCOL)
    acknowledged(session).run()
    heard = Seen(room_of(session, "kitchen"))
    told(graphql, "connect", "subscribe")
    session.close(reason="good night")
    assert heard.all() == []
    assert sorted(told(graphql, "complete", "close"), key=str) == [
        ["close", 1000, "good night"],
        ["complete", "kitchen"],
    ]
