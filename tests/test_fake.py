"""A fake session: that it has all that a session has, and does in each state what that does."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
import reactivex.operators as ops
from pictures import cells
from reactivex.scheduler import VirtualTimeScheduler
from servers import Seen, within

from rxsocket import Backoff, CloseException, ConnectionException, Gap, SendException, Session, codec_of, websocket
from rxsocket.fake import FakeSession
from rxsocket.frames import Close
from rxsocket.script_client import Client
from rxsocket.scripted import serve
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


def states(session: Session) -> Seen[State]:
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


def tell(session: Session, name: str, *arguments: object) -> None:
    """Tell a fake session what a script does with a real one."""
    if isinstance(session, FakeSession):
        getattr(session, name)(*arguments)


def open_next(session: Session, number: int = 1) -> None:
    tell(session, "open")
    session.opens.pipe(ops.filter(lambda event: event.connection == number), ops.first()).run()


def await_try(session: Session, connection: int) -> None:
    session.closes.pipe(ops.filter(lambda event: event.connection == connection), ops.first()).run()


def at_closing(session: Session, react: Callable[[], None]) -> None:
    session.state.subscribe(lambda state: react() if isinstance(state, Closing) else None)


def close_at_once(session: Session) -> None:
    session.close(3000, "enough")


def close_when_open(session: Session) -> None:
    open_next(session)
    session.close(3000, "enough")


def close_by_the_server(session: Session) -> None:
    open_next(session)
    session.send("bye")
    tell(session, "end", 4000, "come again")


def lose(session: Session) -> None:
    open_next(session)
    session.send("bye")
    tell(session, "lose")


def close_from_a_subscriber(session: Session) -> None:
    session.is_open.subscribe(lambda is_open: session.close(3000, "enough") if is_open else None)
    tell(session, "open")


def close_when_the_server_closes(session: Session) -> None:
    at_closing(session, lambda: session.close(3000, "enough"))
    close_by_the_server(session)


def reconnect_when_the_server_closes(session: Session) -> None:
    at_closing(session, session.reconnect)
    close_by_the_server(session)
    open_next(session, 2)
    session.close(3000, "enough")


def reconnect(session: Session) -> None:
    open_next(session)
    session.reconnect()
    open_next(session, 2)
    session.close(3000, "enough")


def reconnect_by_the_policy(session: Session) -> None:
    close_by_the_server(session)
    open_next(session, 2)
    session.send("bye")
    tell(session, "end", 1008, "no more")


def flap(session: Session) -> None:
    for _ in range(3):
        tell(session, "open")
        tell(session, "lose")


def reconnect_in_a_wait(session: Session) -> None:
    for number in (1, 2):
        open_next(session, number)
        session.send("bye")
        tell(session, "lose")
        await_try(session, number)
        session.reconnect()
    open_next(session, 3)
    session.send("bye")
    tell(session, "lose")
    await_try(session, 3)
    session.close(3000, "enough")


def close_after_the_next_was_asked_for(session: Session) -> None:
    def react() -> None:
        session.reconnect()
        session.close(3000, "enough")
        with pytest.raises(ConnectionException, match="connect anew by its socket"):
            session.reconnect()

    at_closing(session, react)
    close_by_the_server(session)


def stay(client: Client) -> None:
    for _ in client:
        pass


def close(client: Client) -> None:
    client.expect("bye")
    if client.number == 1:
        client.close(4000, "come again")
    else:
        client.close(1008, "no more")


def cut(client: Client) -> None:
    client.expect("bye")
    client.cut()


def close_the_first(client: Client) -> None:
    (close if client.number == 1 else stay)(client)


class Told:
    """All that is the same of a real session and of a fake one: no URL, no header, and no text of a system's error."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.told: list[object] = []
        self.errors = Seen(session.errors)
        self.states = Seen(session.state.pipe(ops.do_action(self._take)))
        session.messages.subscribe(on_completed=lambda: self.told.append("end of messages"))

    def _take(self, state: State) -> None:
        match state:
            case Connecting():
                lost = None if state.lost is None else self._end(state.lost)
                self.told.append((Connecting, state.attempt, state.delay, type(state.cause), lost))
            case Open(event):
                self.told.append((Open, event.connection, self.session.protocol))
            case Closing():
                assert self.session.current_state is state
                self.told.append(state)
            case Closed(event):
                self.told.append((Closed, self._end(event)))

    @staticmethod
    def _end(event: CloseEvent) -> tuple[object, ...]:
        reason = event.reason if event.cause is None else None
        was = event.connection, event.was_clean, event.initiator
        return event.code, reason, type(event.cause), event.sent, event.received, *was

    def all(self) -> list[object]:
        self.states.all()
        names = ("messages_in", "messages_out", "connections", "losses", "tries", "uptime", "idle")
        figures = [getattr(self.session.stats, name) for name in names]
        return [*self.told, [type(error) for error in self.errors.all()], figures]


QUICK = Backoff(initial=0.01, maximum=0.01, jitter=0.0, attempts=2)
PATIENT = Backoff(initial=1000.0, maximum=1000.0, jitter=0.0)


@pytest.mark.parametrize(
    ("use", "script", "policy"),
    [
        (close_at_once, stay, None),
        (close_when_open, stay, None),
        (close_when_open, stay, QUICK),
        (close_by_the_server, close, None),
        (lose, cut, None),
        (close_from_a_subscriber, stay, None),
        (close_when_the_server_closes, close, QUICK),
        (reconnect_when_the_server_closes, close_the_first, None),
        (reconnect, stay, None),
        (reconnect, stay, QUICK),
        (reconnect_by_the_policy, close, QUICK),
        (flap, Client.cut, QUICK),
        (reconnect_in_a_wait, cut, PATIENT),
        (close_after_the_next_was_asked_for, close, QUICK),
    ],
)
def test_its_states_errors_and_ends_are_those_of_a_real_one(
    use: Callable[[Session], None], script: Callable[[Client], None], policy: Backoff | None
):
    with serve(script, clients=0) as url:
        real, fake = websocket(url, reconnect=policy).prepare(), FakeSession(reconnect=policy)
        told = Told(real), Told(fake)
        if use is not close_at_once:
            real.start()
        for session in (real, fake):
            use(session)
        assert told[1].all() == told[0].all()
        for session in (real, fake):
            with pytest.raises(SendException, match="the message was not sent: the session is closed"):
                session.send("late")
            with pytest.raises(SendException, match="the ping was not sent: the session is closed"):
                session.ping()
            with pytest.raises(ConnectionException, match="connect anew by its socket"):
                session.reconnect()
            session.close()


@pytest.mark.parametrize("policy", [None, QUICK])
def test_what_is_sent_while_it_closes_is_refused_as_by_a_real_one(policy: Backoff | None):
    def sends(session: Session) -> list[str]:
        def send() -> None:
            for attempt in (lambda: session.send("late"), session.ping):
                with pytest.raises(SendException) as refused:
                    attempt()
                found.append(str(refused.value).replace(session.url, "").partition(": open()")[0])

        found: list[str] = []
        at_closing(session, send)
        open_next(session)
        session.send("bye")
        tell(session, "end", 1008, "no more")
        session.closes.run()
        assert found
        return found

    with serve(lambda client: [client.expect("bye"), client.close(1008, "no more")]) as url:
        real = sends(websocket(url, reconnect=policy).connect())
    assert sends(FakeSession(reconnect=policy)) == real


# --- what it is told, and when


def test_a_loss_is_followed_by_a_try_where_there_is_a_policy():
    session = FakeSession(reconnect=Backoff(initial=1.0, jitter=0.0, attempts=3))
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
    session.lose()
    assert isinstance(session.current_state, Closed)
    assert (session.stats.tries, session.stats.connections, session.stats.losses) == (4, 3, 3)


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
    session.lose()
    assert isinstance(session.current_state, Closed)


def test_a_connection_counts_in_the_row_of_tries_until_it_was_stable_by_its_clock():
    clock = VirtualTimeScheduler()
    session = opened(reconnect=Backoff(jitter=0.0, attempts=2, stable=30.0), scheduler=clock)
    session.reopen()
    session.reopen()
    with pytest.raises(RuntimeError, match="attempts=2 are used up"):
        session.reopen()
    clock.advance_to(30.0)
    session.lose()
    assert session.retries.pipe(ops.first()).run().attempt == 1
    session.lose()
    assert session.retries.pipe(ops.first()).run().attempt == 2
    session.reconnect()  # the intervals begin anew
    session.lose()
    assert session.retries.pipe(ops.first()).run().attempt == 1


def test_its_figures_tell_how_long_it_is_open_and_idle_by_its_clock():
    clock = VirtualTimeScheduler()
    session = FakeSession(reconnect=Backoff(), scheduler=clock)
    assert (session.stats.uptime, session.stats.idle) == (None, None)
    clock.advance_to(10.0)
    session.open("chat.v1")
    clock.advance_to(12.0)
    session.receive("one")
    clock.advance_to(15.0)
    assert (session.stats.uptime, session.stats.idle) == (5.0, 3.0)
    session.pong()
    assert (session.stats.idle, session.protocol) == (0.0, "chat.v1")
    session.lose()
    assert (session.stats.uptime, session.stats.idle, session.protocol) == (None, None, None)
    session.open("chat.v1")
    session.reopen()
    assert session.protocol == "chat.v1"
    assert 0.0 <= (opened().stats.uptime or -1.0) < 5.0


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


def test_what_a_subscriber_tells_of_pings_comes_after_what_it_is_at():
    session = opened(reconnect=Backoff())
    told: list[object] = []
    session.round_trips.subscribe(told.append)

    def answer(text: str) -> None:
        for _ in range(2):
            session.ping().subscribe(told.append, on_completed=lambda: told.append("end"))
            getattr(session, text)()
        told.append(text)
        session.messages.body.subscribe(told.append)

    with session.messages.body.subscribe(answer):
        session.receive("pong")
    assert told == ["pong", *[0.01, 0.01, "end"] * 2]
    told.clear()
    session.messages.body.pipe(ops.take(1)).subscribe(
        lambda text: (
            session.ping().subscribe(on_completed=lambda: told.append("end")),
            session.lose(),
            told.append(text),
        )
    )
    session.receive("lose")
    assert told == ["lose", "lose", "end"]


def test_what_was_held_is_delivered_as_by_a_session_so_that_what_is_sent_there_does_not_wait():
    session = FakeSession(reconnect=Backoff(), send_timeout=1000, paused=True)
    failures = Seen(session.errors)
    session.open()
    session.receive("one")
    session.lose()
    session.messages.body.subscribe(session.send)
    with within(5):
        session.resume()
    held = opened(reconnect=Backoff(), send_timeout=1000)
    failures_of_the_other = Seen(held.errors)
    held.receive("one")
    held.lose()
    with within(5):
        held.messages.body.subscribe(held.send)
    for error in (failures.items[-1], failures_of_the_other.items[-1]):
        assert isinstance(error.__cause__, SendException)


def test_a_send_waits_for_another_thread_to_open_it():
    session = FakeSession(send_timeout=5)
    thread = threading.Thread(target=lambda: session.send("hello"))
    thread.start()
    session.open()
    session.expect("hello", timeout=5)
    thread.join()


def test_a_send_that_waits_is_refused_when_the_session_is_closed():
    session = FakeSession(send_timeout=20)
    with ThreadPoolExecutor(1) as threads, within(5):
        sends = threads.submit(session.send, "hello")
        session.close()
        with pytest.raises(SendException, match="the session is closed"):
            sends.result()


def test_what_is_not_wanted_any_more_is_not_sent():
    session = opened()
    session.send_if("wanted", lambda: True)
    session.send_if("unwanted", lambda: False)
    assert session.sent == ["wanted"]


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
    for code, reason in ((999, ""), (1015, ""), (4000, "x" * 124)):
        with pytest.raises(CloseException):
            session.end(code, reason)
    assert isinstance(session.current_state, Open)
    session.end(1005)
    assert session.closes.run().received == Close(1005)


def test_a_loss_that_ends_it_is_final_whatever_the_policy_is():
    session = opened(reconnect=Backoff())
    session.end(1006)
    event = session.closes.run()
    assert (event.code, event.initiator, type(event.cause)) == (1006, "network", ConnectionException)
    waiting = FakeSession(reconnect=Backoff())
    waiting.end()
    assert waiting.closes.run().code == 1006


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
    failures = Seen(session.errors)
    session.messages.body.subscribe(lambda text: session.expect(text, timeout=1000))
    with within(5):
        session.receive("two")
    assert str(failures.items[0].__cause__) == "expected 'two', and nothing was sent"
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
    refused: list[str] = []

    def refuse() -> None:
        for tell in (session.lose, session.end, session.reopen, session.open):
            with pytest.raises(RuntimeError, match="and it is Closing"):
                tell()
            refused.append(tell.__name__)
        session.receive("late")

    at_closing(session, refuse)
    session.end()
    assert len(refused) == 4
    for tell in (session.open, session.lose, session.reopen, session.end, lambda: session.receive("one")):
        with pytest.raises(RuntimeError, match="and it is Closed"):
            tell()


@pytest.mark.parametrize("policy", [None, Backoff(attempts=0)])
def test_it_is_not_reopened_without_a_policy_that_connects_again_and_stays_as_it_is(policy: Backoff | None):
    session = opened(reconnect=policy)
    needed = r"attempts=0 are used up" if policy else r"FakeSession\(reconnect=Backoff\(\)\)"
    with pytest.raises(RuntimeError, match=f"connects again: {needed}"):
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
