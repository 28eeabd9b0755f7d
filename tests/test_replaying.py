"""What a session told comes again: the same, in the same order, in whatever time."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import reactivex.operators as ops
from cassettes import END, LINES, URL, comparable, expected, told, written
from reactivex.scheduler import HistoricalScheduler, TimeoutScheduler, VirtualTimeScheduler
from reactivex.testing import TestScheduler
from servers import DEADLINE, Seen, Wire, in_turn, within

from rxsocket import (
    Backoff,
    CassetteException,
    Close,
    Gap,
    MessageEvent,
    buffered,
    codec_of,
    iterate,
    record,
    replay,
    replaying,
    websocket,
)
from rxsocket.cassette import ClosedLine, Completed, OpenLine, Text, state_line
from rxsocket.frames import PONG, Ping
from rxsocket.options import Options
from rxsocket.simulated import SimulatedSession
from rxsocket.states import Closed, CloseEvent, Closing, Connecting, Open, OpenEvent

FIVE = [Text(n * 100_000, str(n), 1) for n in range(5)]


def texts(count: int) -> list[Text]:
    return [Text(0, str(n), 1) for n in range(count)]


def without_ends(seen: list[tuple[object, ...]]) -> list[str]:
    return [
        each
        for each in comparable(seen)
        if each not in {f"{name} 'end'" for name in ("state", "errors", "round_trips", "messages")}
    ]


# --- the same sequence as it was live


@pytest.fixture
def recorded(play, tmp_path):
    """What a subscriber of everything saw of a real session, and the file that it was recorded in."""

    def first(wire: Wire) -> None:
        wire.send("one", b"\0two")
        wire.next()
        wire.reset()

    def second(wire: Wire) -> None:
        ping = wire.next()
        assert isinstance(ping, Ping)
        wire.raw(bytes((0x80 | PONG, len(ping.payload))) + ping.payload)
        wire.send(*map(str, range(3000)))
        wire.next()

    def third(wire: Wire) -> None:
        wire.send("held", "and held")
        wire.next()
        wire.raw(b"\xc1\x00")  # a reserved bit
        wire.wait_for_end()

    def fourth(wire: Wire) -> None:
        wire.send("last")
        wire.next()
        wire.close(Close(1000, "bye"))

    url = play(in_turn(first, second, third, fourth))
    path = tmp_path / "feed.jsonl"
    session = websocket(url, reconnect=Backoff(initial=0.001), close_timeout=1.0).prepare()
    # Beside each other on the same streams, so both are told in the same order.
    live = told(session)
    everything = Seen(session.messages)
    opens = Seen(session.opens)
    with record(session, path), session.start():
        everything.wait(2)
        session.send("cut")
        opens.wait(2)
        session.ping().run()
        everything.wait(3002)
        session.pause()
        session.send("cut")
        opens.wait(3)
        session.send("break the protocol")
        opens.wait(4)
        session.resume()
        everything.wait(3005)
        session.send("close")
        session.closes.run()
    return path, live


def test_the_fixture_has_all_kinds(recorded):
    _, live = recorded
    kinds = {type(item).__name__ for _, _, item in live}
    assert kinds >= {"Connecting", "Open", "Closing", "Closed", "MessageEvent", "ConnectionException", "float", "str"}
    assert any(type(item).__name__ == "ProtocolException" for _, _, item in live)
    assert sum(name == "messages" for _, name, _ in live) == 3009
    assert sum(isinstance(item, Gap) for _, _, item in live) == 3


@pytest.mark.parametrize("speed", [None, 1.0, 3.0])
def test_it_is_the_same_sequence_on_a_thread(recorded, speed):
    path, live = recorded
    with replay(path, speed=speed, start=False) as session:
        seen = told(session)
        closes = Seen(session.closes)
        session.start()
        closes.all()
        session.close()
    assert comparable(seen) == comparable(live)
    assert [event.connection for event in closes.items] == [1, 2, 3, 4]


@pytest.mark.parametrize("make", [TestScheduler, VirtualTimeScheduler, HistoricalScheduler])
def test_it_is_the_same_sequence_in_virtual_time(recorded, make):
    path, live = recorded
    scheduler = make()
    session = replay(path, scheduler=scheduler)
    seen = told(session)
    scheduler.start()
    assert comparable(seen) == comparable(live)
    assert session.position == session.duration


# --- times


@pytest.mark.parametrize("speed", [1.0, 4.0, 0.25])
@pytest.mark.parametrize("name", ["feed.jsonl", "feed.jsonl.gz"])
def test_in_virtual_time_each_comes_exactly_at_its_time(name, speed, tmp_path):
    scheduler = TestScheduler()
    session = replay(written(tmp_path / name), scheduler=scheduler, speed=speed)
    seen = told(session, now=lambda: scheduler.now)
    scheduler.start()
    start = datetime(1970, 1, 1, tzinfo=UTC)
    times = [(at - start) / timedelta(microseconds=1) for at, _, item in seen if item != "end"]
    assert times == [int(line.at / speed) for line in LINES if not isinstance(line, Completed)]
    assert without_ends(seen) == expected(LINES)


def test_virtual_time_may_have_begun_before(tmp_path):
    start = datetime(2026, 11, 25, 4, 51, 56, 120934, UTC)
    scheduler = HistoricalScheduler(start)
    session = replay(written(tmp_path / "feed.jsonl"), scheduler=scheduler)
    seen = told(session, now=lambda: scheduler.now)
    scheduler.advance_to(start + timedelta(seconds=1))
    assert session.position == 1.0
    assert [at for at, name, _ in seen if name == "messages"] == [
        start + timedelta(microseconds=at) for at in (2000, 2000, 1_000_000)
    ]
    scheduler.start()
    assert seen[-1][0] == start + timedelta(microseconds=LINES[-1].at)


def test_many_at_one_virtual_time_come_at_that_time(tmp_path):
    scheduler = TestScheduler()
    session = replay(
        written(tmp_path / "feed.jsonl", [*LINES[:2], *[Text(1000, str(n), 1) for n in range(1000)]]),
        scheduler=scheduler,
    )
    seen = told(session, now=lambda: scheduler.clock)
    scheduler.start()
    assert {at for at, name, _ in seen if name == "messages"} == {0.001}


def test_at_once_on_a_scheduler_takes_no_time(tmp_path):
    scheduler = VirtualTimeScheduler()
    session = replay(written(tmp_path / "feed.jsonl"), scheduler=scheduler, speed=None)
    seen = told(session, now=lambda: scheduler.clock)
    scheduler.start()
    assert without_ends(seen) == expected(LINES)
    assert {at for at, _, _ in seen} == {0}


def test_a_scheduler_of_threads_delivers_all_in_order(tmp_path):
    session = replay(written(tmp_path / "feed.jsonl"), scheduler=TimeoutScheduler(), speed=20, start=False)
    seen = told(session)
    session.start()
    session.closes.run()
    assert without_ends(seen) == expected(LINES)


@pytest.mark.parametrize(("speed", "least", "most"), [(1.0, 0.4, 3.0), (8.0, 0.05, 0.39), (None, 0.0, 0.39)])
def test_in_real_time_it_takes_its_time(speed, least, most, tmp_path):
    path = written(tmp_path / "feed.jsonl", [*LINES[:2], *FIVE])
    begin = time.monotonic()
    with replay(path, speed=speed, start=False) as session:
        seen = told(session, now=lambda: time.monotonic() - begin)
        session.start()
        session.closes.run()
    assert least <= seen[-1][0] < most
    if speed:
        arrivals = [at for at, name, item in seen if name == "messages" and item != "end"]
        assert all(at >= n * 0.1 / speed for n, at in enumerate(arrivals))


# --- as a session


def test_it_begins_at_once_and_holds_what_comes_before_anybody_subscribes(tmp_path):
    with replay(written(tmp_path / "feed.jsonl", [*LINES[:2], *texts(100), *LINES[11:]]), speed=None) as session:
        session.closes.run()
        assert Seen(session.messages.body).all() == [str(n) for n in range(100)]


def test_it_stops_to_read_where_a_session_would_let_go(tmp_path):
    bound = Options().max_held_messages
    path = written(
        tmp_path / "feed.jsonl",
        [*LINES[:2], *texts(bound + 5000), *LINES[11:]],
    )
    with replay(path, speed=None) as session:
        errors = Seen(session.errors)
        held = until(lambda: session.messages.held[0] == bound)
        assert held
        assert Seen(session.messages.body).all() == [str(n) for n in range(bound + 5000)]
        assert errors.all() == []


def test_of_large_messages_it_holds_fewer_and_lets_none_go(tmp_path):
    large = [Text(0, "x" * 3_000_000, 1) for _ in range(6)]
    with replay(written(tmp_path / "feed.jsonl", [*LINES[:2], *large]), speed=None) as session:
        assert until(lambda: session.messages.held[0] == 3)
        assert [len(text) for text in Seen(session.messages.body).all()] == [3_000_000] * 6


def until(is_so) -> bool:
    deadline = time.monotonic() + DEADLINE
    while not is_so() and time.monotonic() < deadline:
        threading.Event().wait(0.001)
    return is_so()


@pytest.mark.parametrize("scheduled", [False, True])
def test_a_pause_holds_messages_and_no_states(scheduled, tmp_path):
    scheduler = VirtualTimeScheduler() if scheduled else None
    session = replay(written(tmp_path / "feed.jsonl"), speed=None, paused=True, start=False, scheduler=scheduler)
    body = Seen(session.messages.body)
    session.start()
    if scheduler is not None:
        scheduler.start()
    session.closes.run()
    assert body.items == []
    session.resume()
    assert body.all() == ["one\n\u2028\U0001f600", "two"]
    session.close()


@pytest.mark.parametrize("scheduled", [False, True])
def test_a_full_pause_stops_it_until_it_is_resumed(scheduled, monkeypatch, tmp_path):
    monkeypatch.setattr(replaying, "_BOUND", Options(max_held_messages=10))
    scheduler = VirtualTimeScheduler() if scheduled else None
    path = written(tmp_path / "feed.jsonl", [*LINES[:2], *texts(100), ClosedLine(1, Closed(END))])
    session = replay(path, paused=True, start=False, scheduler=scheduler)
    body = Seen(session.messages.body)
    session.start()

    def run() -> None:
        if scheduler is not None:
            scheduler.start()

    run()
    assert until(lambda: session.messages.held[0] == 10)
    assert body.items == []
    session.resume()
    run()
    assert body.all() == [str(n) for n in range(100)]
    session.close()


def test_all_views_and_streams_are_there(tmp_path):
    with replay(written(tmp_path / "feed.jsonl"), speed=None, start=False) as session:
        views = {name: Seen(getattr(session.messages, name)) for name in ("data", "body", "blob", "array_buffer")}
        streams = {name: Seen(getattr(session, name)) for name in ("is_open", "opens", "closes", "retries")}
        session.start()
        assert [len(view.all()) for view in views.values()] == [3, 2, 1, 1]
        assert streams["is_open"].all() == [False, True, False, True, False]
        assert [event.protocol for event in streams["opens"].all()] == ["chat.v1", None]
        assert [event.code for event in streams["closes"].all()] == [1006, 1000]
        assert [retry.attempt for retry in streams["retries"].all()] == [1, 2]
        assert session.current_state == Closed(END)


def test_with_a_codec_it_has_the_values_that_a_session_would_have(tmp_path):
    numbers = written(tmp_path / "feed.jsonl", texts(3))
    with replay(numbers, codec=codec_of(int), speed=None, start=False) as session:
        received = Seen(session.received)
        session.start()
        assert received.all() == [0, 1, 2]
    with replay(numbers, speed=None, start=False) as session:
        received = Seen(session.received)
        session.start()
        assert received.all() == ["0", "1", "2"]
    with pytest.raises(TypeError, match="codec is a codec"):
        replay(numbers, codec=int)


@pytest.mark.parametrize("lines", [LINES, LINES[:11], [*LINES[:12], LINES[13], Text(3_000_000, "held", 2)]])
def test_it_is_closed_when_its_messages_complete(lines, tmp_path):
    with replay(written(tmp_path / "feed.jsonl", lines), speed=None, start=False) as session:
        states = []
        body = Seen(session.messages.body)
        session.messages.subscribe(on_completed=lambda: states.append(session.current_state))
        session.start()
        end = session.closes.run()
        session.close()
    assert states == [Closed(end)]
    assert body.all()[2:] == ["held"] * (lines[-1].at == 3_000_000)


def test_a_subscriber_that_raises_harms_nobody(tmp_path):
    with replay(written(tmp_path / "feed.jsonl"), speed=None, start=False) as session:
        seen = told(session)
        session.messages.body.subscribe(lambda text: 1 / 0)
        session.start()
        session.closes.run()
    assert [each for each in without_ends(seen) if "SubscriberException" not in each] == expected(LINES)
    assert sum("SubscriberException" in each for each in comparable(seen)) == 2


def test_one_message_is_delivered_at_a_time_whoever_subscribes_meanwhile(tmp_path):
    inside = threading.Lock()

    def slow(text: str) -> None:
        assert inside.acquire(blocking=False)
        inside.release()

    with replay(written(tmp_path / "feed.jsonl", [*LINES[:2], *texts(2000)]), speed=None) as session:
        errors = Seen(session.errors)
        session.messages.body.subscribe(slow)
        session.messages.data.subscribe(slow)
        session.closes.run()
    assert errors.items == []


@pytest.mark.parametrize(
    ("first", "following"),
    [
        (Open(OpenEvent(URL, None, 3)), []),
        (Closing("server"), []),
        (Connecting(2, 0.1), [OpenLine(2, Open(OpenEvent(URL, None)))]),
    ],
)
def test_a_recording_that_began_amid_a_session_begins_in_its_state(first, following, tmp_path):
    path = written(tmp_path / "feed.jsonl", [state_line(1, first), *following, ClosedLine(9, Closed(END))])
    with replay(path, speed=None, start=False) as session:
        assert session.current_state == first
        seen = told(session)
        session.start()
        session.closes.run()
    assert comparable(seen)[0] == f"state {first!r}"


def test_a_recording_of_a_closed_session_is_of_its_end(tmp_path):
    path = tmp_path / "feed.jsonl"
    closed = SimulatedSession(URL)
    closed._tell_state(Closed(END))
    record(closed, path).close()
    with replay(path, speed=None) as session:
        assert repr(session.closes.run()) == repr(END)


def test_a_replay_can_be_recorded(tmp_path):
    path = written(tmp_path / "feed.jsonl")
    with replay(path, speed=None, start=False) as session, record(session, tmp_path / "again.jsonl"):
        session.start()
        session.closes.run()
    with replay(tmp_path / "again.jsonl", speed=None, start=False) as session:
        seen = told(session)
        session.start()
        session.closes.run()
    assert without_ends(seen) == expected(LINES)


def test_position_and_repr_say_where_it_is(tmp_path):
    scheduler = VirtualTimeScheduler()
    path = written(tmp_path / "feed.jsonl")
    session = replay(path, scheduler=scheduler)
    assert (session.position, session.duration, session.is_complete) == (0.0, 2.000002, True)
    scheduler.advance_to(1.2)
    assert session.position == 1.0
    assert repr(session) == f"<Replay {path} Open at 1.0 s>"
    session.close()


def test_the_url_is_that_of_the_connection(tmp_path):
    lines = [OpenLine(1, Open(OpenEvent("ws://elsewhere/feed", None)))]
    with replay(written(tmp_path / "feed.jsonl", [LINES[0], *lines]), speed=None, start=False) as session:
        assert session.url == URL
        session.start()
        session.closes.run()
        assert session.url == "ws://elsewhere/feed"


# --- ends


def test_one_that_was_cut_short_ends_and_says_so(tmp_path):
    path = written(tmp_path / "feed.jsonl", LINES[:10])
    with replay(path, speed=None, start=False) as session:
        seen = told(session)
        errors = Seen(session.errors)
        session.start()
        event = session.closes.run()
        assert not session.is_complete
    assert event == CloseEvent(
        1006, f"{path} ends here, and its session did not", "network", was_clean=False, connection=2
    )
    assert without_ends(seen)[:-1] == expected(LINES[:10])
    assert comparable(seen)[-5] == "messages 'end'"
    assert [str(error) for error in errors.all()] == ["cut"]


@pytest.mark.parametrize("scheduled", [False, True])
def test_a_damaged_line_is_an_error_and_the_cause_of_the_end(scheduled, tmp_path, caplog):
    path = written(tmp_path / "feed.jsonl", LINES[:10], b"nonsense\n")
    scheduler = TestScheduler() if scheduled else None
    session = replay(path, speed=None, start=False, scheduler=scheduler)
    seen = told(session)
    session.start()
    if scheduler is not None:
        scheduler.start()
    event = session.closes.run()
    session.close()
    assert isinstance(event.cause, CassetteException)
    assert (event.code, event.cause.line) == (1006, 12)
    assert without_ends(seen)[:-2] == expected(LINES[:10])
    assert f"errors {event.cause!r}" in comparable(seen)
    assert "line 12 is damaged" in caplog.text


def test_what_is_no_cassette_raises_at_once(tmp_path):
    (tmp_path / "feed.jsonl").write_text("hello\n")
    with pytest.raises(CassetteException, match="no cassette"):
        replay(tmp_path / "feed.jsonl")
    with pytest.raises(FileNotFoundError):
        replay(tmp_path / "none.jsonl")


def test_the_windows_are_those_of_the_connections(tmp_path):
    with replay(written(tmp_path / "feed.jsonl"), speed=None, start=False) as session:
        counts = Seen(session.messages.windows().pipe(ops.flat_map(ops.count())))
        session.start()
        assert counts.all() == [2, 1]


@pytest.mark.parametrize("at", [-1, 10**17])
def test_a_line_at_a_time_that_no_clock_reaches_is_damaged(at, tmp_path):
    with replay(written(tmp_path / "feed.jsonl", [*LINES[:2], Text(at, "late", 1)]), speed=None) as session:
        assert "line 4 is damaged (its time" in session.closes.run().reason


@pytest.mark.parametrize("speed", [0, -1, 1e-320, float("nan")])
def test_a_speed_is_no_less_than_a_hundredth(speed, tmp_path):
    with pytest.raises(ValueError, match=r"speed is 0\.01 or more"):
        replay(written(tmp_path / "feed.jsonl"), speed=speed)


def test_wrong_types_are_refused(tmp_path):
    path = written(tmp_path / "feed.jsonl")
    with pytest.raises(TypeError, match="speed is a number"):
        replay(path, speed="fast")
    with pytest.raises(TypeError, match="scheduler is one of reactivex's"):
        replay(path, scheduler=2)


LONG = [*LINES[:2], Text(2000, "one", 1), Text(3_600_000_000, "much later", 1)]


@pytest.mark.parametrize("how", ["here", "in a subscriber", "before the start", "twice", "paused"])
def test_it_can_be_closed_at_any_time(how, tmp_path):
    path = written(tmp_path / "feed.jsonl", LONG)
    session = replay(path, start=False, paused=how == "paused")
    seen = told(session)
    body = Seen(session.messages.body)
    if how == "in a subscriber":
        session.messages.body.subscribe(lambda text: session.close())
    with within(2.0):
        if how != "before the start":
            session.start()
            if how != "paused":
                body.wait()
        if how != "in a subscriber":
            session.close()
        if how == "twice":
            session.close()
        event = session.closes.run()
    session.start()  # it does not begin again
    assert event == CloseEvent(1006, "the replay was closed", "client", was_clean=False)
    assert comparable(seen)[-1].startswith("errors 'end'") or how == "paused"


def test_one_on_a_scheduler_can_be_closed_at_any_time(tmp_path):
    scheduler = VirtualTimeScheduler()
    session = replay(written(tmp_path / "feed.jsonl", LONG), scheduler=scheduler)
    body = Seen(session.messages.body)
    scheduler.advance_to(1.0)
    session.close()
    scheduler.start()
    assert body.all() == ["one"]
    assert session.closes.run().reason == "the replay was closed"


def test_who_never_starts_or_closes_it_leaves_nothing(tmp_path):
    session = replay(written(tmp_path / "feed.jsonl"), start=False)
    assert session.current_state == Connecting()
    del session


def test_the_messages_say_through_which_connection_they_came(tmp_path):
    with replay(written(tmp_path / "feed.jsonl"), speed=None, start=False) as session:
        seen = Seen(session.messages)
        session.start()
        assert seen.all()[::2] == [MessageEvent("one\n\u2028\U0001f600", 1), MessageEvent("two", 2)]


# --- a close does not wait for who may wait for it


def test_a_coroutine_that_holds_it_up_may_close_it(tmp_path):
    async def some() -> list[str]:
        taken = []
        with replay(written(tmp_path / "feed.jsonl", texts(5000)), speed=None) as session:
            async for text in iterate(session.messages.body):
                taken.append(text)
                if len(taken) == 3:
                    break
        return taken

    with within(DEADLINE):
        assert asyncio.run(some()) == ["0", "1", "2"]


def test_a_buffered_subscriber_that_it_waits_for_may_close_it(tmp_path):
    session = replay(written(tmp_path / "feed.jsonl", texts(5000)), speed=None, start=False)
    closed = threading.Event()

    def close(_: str) -> None:
        session.close()
        closed.set()

    session.messages.body.pipe(buffered(1)).subscribe(close)
    with within(DEADLINE):
        session.start()
        assert closed.wait(DEADLINE)
        session.closes.run()


def test_subscribers_of_two_may_close_each_the_other(tmp_path):
    path = written(tmp_path / "feed.jsonl", texts(5000))
    both = [replay(path, speed=None, start=False) for _ in range(2)]
    meet = threading.Barrier(2)

    def close(_: str, other: replaying.Replay) -> None:
        meet.wait(DEADLINE)
        other.close()

    for session, other in (both, reversed(both)):
        session.messages.body.pipe(ops.take(1)).subscribe(partial(close, other=other))
    with within(DEADLINE):
        for session in both:
            session.start()
        for session in both:
            session.closes.run()
