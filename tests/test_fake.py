"""A fake session: that it has all that a session has, and does in each state what that does."""

import asyncio
import threading
from collections.abc import Callable

import msgspec
import pytest
from pictures import cells
from servers import Seen

from rxsocket import Backoff, CloseException, ConnectionException, Gap, SendException, Session, codec_of, websocket
from rxsocket.fake import FakeSession
from rxsocket.scripted import serve
from rxsocket.served import Client
from rxsocket.states import Closed, CloseEvent, Closing, Connecting, Open, OpenEvent, State

OF_THE_PROCESS = {"close_all"}  # of no session


class Price(msgspec.Struct):
    value: float


def public(owner: object) -> set[str]:
    return {name for name in dir(owner) if not name.startswith("_")}


def opened(**options: object) -> FakeSession:
    session = FakeSession(**options)  # type: ignore[arg-type]
    session.open()
    return session


def states(session: Session | FakeSession) -> Seen[State]:
    return Seen(session.state)


def test_it_has_every_public_name_of_a_session():
    real = websocket("ws://127.0.0.1:1").prepare()
    assert public(real) - OF_THE_PROCESS <= public(FakeSession())
    real.close()


def test_it_begins_as_connect_returns_one():
    session = FakeSession("ws://host/feed")
    assert (session.url, session.protocol, session.current_state) == ("ws://host/feed", None, Connecting())
    assert session.start() is session
    assert repr(session) == "<FakeSession ws://host/feed Connecting>"
    assert session.name is None
    named = FakeSession("ws://host/feed", name="<b>")
    assert (named.name, repr(named)) == ("<b>", "<FakeSession <b> ws://host/feed Connecting>")
    assert cells(named._repr_html_())[0] == ["● FakeSession <b>"]


def test_messages_come_and_go():
    session = FakeSession()
    data, events = Seen(session.messages.data), Seen(session.messages)
    session.open("chat.v1")
    session.receive("one")
    session.receive(b"two")
    session.send("three")
    piece = bytearray(b"four")
    session.send(piece)
    piece.clear()
    session.send(memoryview(b"five"))
    assert data.items == ["one", b"two"]
    assert [event.connection for event in events.items] == [1, 1]
    assert session.sent == ["three", b"four", b"five"]
    assert session.protocol == "chat.v1"
    assert (session.stats.messages_in, session.stats.messages_out) == (2, 3)


def test_values_go_by_the_codec():
    session = FakeSession(codec=codec_of(Price))
    seen = Seen(session.received)
    session.open()
    session.receive(Price(1.5))
    session.receive('{"value": 2}')
    session.send(Price(3.0))
    session.expect(Price(3.0))
    assert seen.items == [Price(1.5), Price(2.0)]
    with pytest.raises(TypeError, match="not int"):
        FakeSession().send(1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="codec failed"):
        session.send(object())  # type: ignore[arg-type]


def test_what_comes_before_a_subscription_is_held():
    session = opened()
    session.receive("one")
    assert Seen(session.messages.body).items == ["one"]
    paused = opened(paused=True)
    seen = Seen(paused.messages.body)
    paused.receive("one")
    assert seen.items == []
    paused.resume()
    assert seen.items == ["one"]


# --- the same as a real one


def close_at_once(session: Session | FakeSession) -> None:
    session.close(3000, "enough")


def close_when_open(session: Session | FakeSession) -> None:
    session.send("bye")
    session.close(3000, "enough")


def close_by_the_server(session: Session | FakeSession) -> None:
    session.send("bye")
    if isinstance(session, FakeSession):
        session.end(4000, "come again")
    session.closes.run()


def lose(session: Session | FakeSession) -> None:
    session.send("bye")
    if isinstance(session, FakeSession):
        session.lose()
    session.closes.run()


def close_from_a_subscriber(session: Session | FakeSession) -> None:
    session.is_open.subscribe(lambda is_open: session.close(3000, "enough") if is_open else None)
    session.closes.run()


def stay(client: Client) -> None:
    for _ in client:
        pass


def close(client: Client) -> None:
    client.expect("bye")
    client.close(4000, "come again")


def cut(client: Client) -> None:
    client.expect("bye")
    client.cut()


def known(items: list[State]) -> list[object]:
    """What is the same of a real session and of a fake one: no URL, no header, and no text of a system's error."""

    def of(event: CloseEvent) -> tuple[object, ...]:
        reason = event.reason if event.cause is None else None
        return event.code, reason, event.initiator, event.was_clean, type(event.cause), event.sent, event.received

    found: list[object] = []
    for state in items:
        match state:
            case Open(event):
                found.append((Open, event.connection))
            case Closed(event):
                found.append((Closed, of(event)))
            case _:
                found.append(state)
    return found


@pytest.mark.parametrize(
    ("use", "script"),
    [
        (close_at_once, stay),
        (close_when_open, stay),
        (close_by_the_server, close),
        (lose, cut),
        (close_from_a_subscriber, stay),
    ],
)
def test_its_states_errors_and_ends_are_those_of_a_real_one(
    use: Callable[[Session | FakeSession], None], script: Callable[[Client], None]
):
    with serve(script, clients=0) as url:
        real = websocket(url).prepare()
        real_states, real_errors = states(real), Seen(real.errors)
        if use is not close_at_once:
            real.start()
        use(real)
        fake = FakeSession()
        fake_states, fake_errors = states(fake), Seen(fake.errors)
        opening = threading.Thread(target=fake.open)
        if use is close_from_a_subscriber:
            opening.start()  # while it waits for the end
        elif use is not close_at_once:
            opening.run()
        use(fake)
        if opening.ident is not None:
            opening.join()
        assert known(fake_states.all()) == known(real_states.all())
        assert [type(error) for error in fake_errors.all()] == [type(error) for error in real_errors.all()]
        names = ("messages_in", "messages_out", "connections", "losses")
        assert [getattr(fake.stats, name) for name in names] == [getattr(real.stats, name) for name in names]
        for session in (real, fake):
            with pytest.raises(SendException, match="the message was not sent: the session is closed"):
                session.send("late")
            with pytest.raises(SendException, match="the ping was not sent: the session is closed"):
                session.ping()
            with pytest.raises(ConnectionException, match="connect anew by its socket"):
                session.reconnect()
            session.close()


# --- what it is told, and when


def test_a_loss_is_followed_by_a_try_where_there_is_a_policy():
    session = FakeSession(reconnect=Backoff(initial=1.0, jitter=0.0, attempts=2))
    seen, closes, errors = states(session), Seen(session.closes), Seen(session.errors)
    gaps = Seen(session.messages.with_gaps())
    session.open()
    session.receive("one")
    session.lose("cut")
    assert session.current_state == Connecting(1, 1.0, errors.items[0], closes.items[0])
    session.lose("refused")
    assert session.current_state == Connecting(2, 2.0, errors.items[1], closes.items[0])
    session.open()
    session.receive("two")
    assert [str(error) for error in errors.items] == ["cut", "refused"]
    assert seen.items[-1] == Open(OpenEvent("ws://fake", None, 2))
    event, gap, after = gaps.items
    assert isinstance(gap, Gap)
    assert (gap.closed, gap.opened.connection) == (closes.items[0], 2)
    assert [getattr(each, "connection", None) for each in (event, after)] == [1, 2]
    session.reopen()
    assert [event.connection for event in closes.items] == [1, 2]
    for _ in range(3):
        session.lose()
    assert isinstance(session.current_state, Closed)
    assert (session.stats.tries, session.stats.connections, session.stats.losses) == (6, 3, 3)


def test_state_is_new_when_the_error_of_a_loss_comes():
    session = opened()
    seen: list[State] = []
    session.errors.subscribe(lambda _: seen.append(session.current_state))
    session.lose()
    assert [type(state) for state in seen] == [Closed]


def test_reconnect_waits_for_the_next_opening_also_without_a_policy():
    session = opened()
    session.reconnect()
    state = session.current_state
    assert isinstance(state, Connecting)
    assert state.lost is not None
    assert state.lost.was_clean
    session.reconnect()
    assert session.current_state is state
    session.open()
    assert session.current_state == Open(OpenEvent("ws://fake", None, 2))


def test_pings_are_answered_by_pongs_and_end_with_their_connection():
    session = opened()
    times = Seen(session.round_trips)
    first, second = Seen(session.ping()), Seen(session.ping())
    session.pong(0.5)
    session.pong(0.25)
    assert (first.one(), second.one(), times.items) == (0.5, 0.5, [0.5, 0.5, 0.25])
    assert session.stats.round_trip == 0.25
    third = Seen(session.ping())
    session.lose()
    assert third.all() == []


def test_a_send_waits_for_another_thread_to_open_it():
    session = FakeSession(send_timeout=5)
    thread = threading.Thread(target=lambda: session.send("hello"))
    thread.start()
    session.open()
    session.expect("hello", timeout=5)
    thread.join()


@pytest.mark.parametrize("wait", [True, False])
def test_a_send_that_is_not_opened_in_time_is_refused(wait: object):
    session = FakeSession(send_timeout=0.01 if wait else 1000)
    with pytest.raises(SendException, match=r"no connection to ws://fake: open\(\) the FakeSession first"):
        session.send("hello", wait=bool(wait))
    assert session.sent == []


def test_in_a_subscriber_nothing_waits():
    session = FakeSession(reconnect=Backoff(), send_timeout=1000)
    failures = Seen(session.errors)
    session.retries.subscribe(lambda _: session.send("hello"))
    session.messages.body.subscribe(lambda text: session.send(text + "!"))
    session.open()
    session.receive("one")
    session.lose()
    session.expect("one!")
    assert [type(error.__cause__) for error in failures.items] == [type(None), SendException]


def test_a_coroutine_may_use_it():
    async def use(session: FakeSession) -> None:
        sending = asyncio.create_task(session.asend("hello"))
        await asyncio.sleep(0)
        session.open()
        await sending
        await session.aclose(3000)
        with pytest.raises(SendException):
            await session.asend("late")

    session = FakeSession()
    asyncio.run(use(session))
    assert session.sent == ["hello"]
    assert session.closes.run().code == 3000


def test_what_may_not_be_sent_leaves_it_as_it_was():
    session = opened()
    with pytest.raises(CloseException):
        session.close(1005)
    with pytest.raises(TypeError):
        session.close("1000")  # type: ignore[arg-type]
    assert isinstance(session.current_state, Open)


def test_a_with_block_closes_it():
    with opened() as session:
        pass
    assert isinstance(session.current_state, Closed)


def test_what_is_expected_comes_in_order_and_once():
    session = opened()
    session.send("one")
    session.send("two")
    session.expect("one", "two")
    with pytest.raises(AssertionError, match=r"expected 'two', and nothing was sent for 0.01 s"):
        session.expect("two", timeout=0.01)
    session.send("three")
    with pytest.raises(AssertionError, match="expected 'four', and 'three' was sent") as failure:
        session.expect("four")
    assert {entry.path.name for entry in failure.traceback.filter(failure)} == {"test_fake.py"}


def test_what_does_not_fit_its_state_is_told_of():
    session = FakeSession()
    for tell in (lambda: session.receive("one"), session.pong):
        with pytest.raises(RuntimeError, match="is open, and it is Connecting"):
            tell()
    session.open()
    with pytest.raises(RuntimeError, match=r"open\(\) is for a session of which a connection is waited for"):
        session.open()
    session.end()
    for tell in (session.open, session.lose, session.reopen, session.end, lambda: session.receive("one")):
        with pytest.raises(RuntimeError, match="and it is Closed"):
            tell()


@pytest.mark.parametrize("policy", [None, Backoff(attempts=0)])
def test_it_is_not_reopened_without_a_policy_that_connects_again_and_stays_as_it_is(policy: Backoff | None):
    session = opened(reconnect=policy)
    with pytest.raises(RuntimeError, match=r"connects again: FakeSession\(reconnect=Backoff\(\)\)"):
        session.reopen()
    assert isinstance(session.current_state, Open)
    session.lose()
    with pytest.raises(RuntimeError, match="and it is Closed") as failure:
        session.open()
    assert ("a loss is the end" in str(failure.value)) == (policy is None)


def test_the_timeout_is_checked():
    with pytest.raises(ValueError, match="send_timeout"):
        FakeSession(send_timeout=-1)


def test_a_close_that_is_told_within_another_does_nothing():
    session = opened()
    seen = states(session)
    session.state.subscribe(lambda state: session.close(3001) if isinstance(state, Closing) else None)
    session.close(3000)
    assert [type(state) for state in seen.all()] == [Open, Closing, Closed]
    assert session.closes.run().code == 3000
