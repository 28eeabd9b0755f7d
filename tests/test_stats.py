"""A session's figures: that each counts what it says, through all its connections, and that rates come of them."""

import threading
from collections.abc import Callable

import pytest
import reactivex.operators as ops
from msgspec import structs
from pictures import cells
from reactivex.testing import TestScheduler
from servers import Seen

from rxsocket import Backoff, Deflate, Session, websocket
from rxsocket.emitted import emits
from rxsocket.fake import FakeSession
from rxsocket.script_client import Client
from rxsocket.scripted import serve
from rxsocket.served_connection import Refusal
from rxsocket.simulated import SimulatedSession
from rxsocket.stats import Counters, Rates, Stats

COUNTS = [name for name in Stats.__struct_fields__ if name not in ("time", "round_trip", "uptime", "idle")]
NONE = Stats(time=0.0, round_trip=None, uptime=None, idle=None, **dict.fromkeys(COUNTS, 0))


def figures(session: Session, *names: str) -> tuple[object, ...]:
    stats = session.stats
    return tuple(getattr(stats, name) for name in names)


def until(session: Session, condition: Callable[[Stats], bool]) -> Stats:
    """Wait until the figures are such."""
    return Seen(session.stats_every(0.005).pipe(ops.first(condition), ops.timeout(5))).one()


def ended(session: Session) -> Session:
    session.closes.run()
    return session


def test_messages_and_bytes_are_counted_both_ways():
    def script(client: Client) -> None:
        client.expect("hello", b"\1\2\3")
        client.send("welcome", b"\1")  # frames of 9 and 3 bytes
        client.expect("bye")

    with serve(script) as url, websocket(url).connect() as session:
        seen = Seen(session.messages.data)
        session.send("hello")  # frames of 11, 9 and 9 bytes
        session.send(b"\1\2\3")
        seen.wait(2)
        assert figures(session, "messages_in", "messages_out", "bytes_in", "bytes_out") == (2, 2, 12, 20)
        session.send("bye")
        seen.all()
        # And the close frames, of 4 and 8 bytes.
        until(session, lambda stats: stats.bytes_out == 20 + 9 + 8)
        assert figures(ended(session), "messages_in", "messages_out", "bytes_in") == (2, 3, 16)


@pytest.mark.parametrize("compression", [False, Deflate()])
def test_what_subscribers_send_counts_and_pings_do_not(server, compression):
    with websocket(server.url, compression=compression).connect() as session:
        answers = Seen(session.messages.body.pipe(ops.filter(lambda text: text == "answer")))
        pongs: list[Seen[float]] = []

        def answer(text: str) -> None:
            if text == "ask":
                pongs.append(Seen(session.ping()))
                session.send("answer")
                session.send("answer")

        session.messages.body.subscribe(answer)
        session.send("ask")
        answers.wait(2)
        pongs[0].one()
        Seen(session.ping()).one()
        assert figures(session, "messages_in", "messages_out") == (3, 3)


def test_bytes_are_those_on_the_wire():
    text = "x" * 10_000
    with serve(lambda client: client.receive()) as url, websocket(url).connect() as session:
        session.send(text)
        ended(session)
        assert session.stats.bytes_out == 8 + 10_000 + 8  # the headers of a frame of that size, and the close frame


def test_what_is_held_and_what_was_let_go():
    def script(client: Client) -> None:
        client.send("abc", "de")
        client.expect("more")
        client.send("f")

    with serve(script) as url, websocket(url, max_held_messages=2).connect() as session:
        until(session, lambda stats: stats.held == 2)
        assert figures(session, "messages_in", "held", "held_size", "dropped") == (2, 2, 5, 0)
        session.send("more")
        assert figures(ended(session), "messages_in", "held", "held_size", "dropped") == (3, 0, 0, 3)


def test_what_goes_wrong_is_counted_by_kind():
    def script(client: Client) -> None:
        client.send("1", "one", "two")

    def fail(number: int) -> None:
        raise ValueError(number)

    with serve(script) as url:
        session = websocket(url).prepare()
        session.messages.decode(int).subscribe(fail)
        ended(session.start())
        assert figures(session, "decode_errors", "subscriber_errors", "dropped") == (2, 1, 0)


def test_connections_losses_and_tries():
    def cut(client: Client) -> None:
        client.cut()

    with serve(cut, Refusal(503), lambda client: client.close(1001), lambda client: client.expect("bye")) as url:
        session = websocket(url, reconnect=Backoff(initial=0.01)).connect()
        with emits(session.opens.pipe(ops.filter(lambda event: event.connection == 3), ops.map(lambda _: 3)), 3):
            pass
        session.send("bye")
        session.close()
        assert figures(session, "tries", "connections", "losses") == (4, 3, 1)
        assert session.stats.messages_out == 1


def test_a_host_that_refuses_takes_a_try_and_no_connection():
    session = websocket("ws://127.0.0.1:1").connect()
    assert figures(ended(session), "tries", "connections", "losses") == (1, 0, 0)


def test_a_prepared_session_has_done_nothing():
    session = websocket("ws://127.0.0.1:1").prepare()
    assert structs.replace(session.stats, time=0.0) == NONE
    session.close()
    assert structs.replace(session.stats, time=0.0) == NONE


def test_how_long_the_connection_is_there_and_quiet():
    def script(client: Client) -> None:
        client.expect("go on")

    with serve(script) as url, websocket(url).connect() as session:
        session.opens.pipe(ops.first()).run()
        assert session.stats.round_trip is None
        seconds = Seen(session.ping()).one()
        first = session.stats
        assert first.round_trip == seconds
        second = session.stats
        assert first.uptime is not None
        assert first.idle is not None
        assert 0 <= first.idle <= first.uptime
        assert second.uptime == pytest.approx(first.uptime + second.time - first.time)
        assert second.idle == pytest.approx(first.idle + second.time - first.time)
        session.send("go on")
        assert figures(ended(session), "uptime", "idle", "round_trip") == (None, None, seconds)


def test_what_waits_to_go_out():
    def script(client: Client) -> None:
        held.wait(5)
        for _ in client:
            pass

    held = threading.Event()
    with serve(script) as url, websocket(url).connect() as session:
        session.opens.pipe(ops.first()).run()
        size = 1 << 24
        session.send(bytes(size))
        stats = session.stats
        assert stats.outgoing > 0
        assert stats.outgoing + stats.bytes_out == size + 14
        held.set()
        Seen(session.ping()).one()
        assert session.stats.outgoing == 0


def test_what_is_sent_and_what_waits_fit_together_whenever_one_looks(server):
    frame = 6 + 100
    stop = threading.Event()
    wrong: list[Stats] = []

    def look() -> None:
        while not stop.is_set():
            stats = session.stats
            if stats.bytes_out + stats.outgoing != stats.messages_out * frame:
                wrong.append(stats)

    with websocket(server.url).connect() as session:
        session.opens.pipe(ops.first()).run()
        looking = threading.Thread(target=look)
        looking.start()
        seen = Seen(session.messages.body)
        for _ in range(3000):
            session.send("x" * 100)
        seen.wait(3000)
        stop.set()
        looking.join()
    assert wrong == []


def test_a_session_without_a_network_has_figures_too():
    session = SimulatedSession("ws://host")
    session._tell_message("one")
    session._tell_answer(0.5)
    stats = session.stats
    assert (stats.messages_in, stats.held, stats.held_size, stats.round_trip, stats.uptime) == (1, 1, 3, 0.5, None)


def test_samples_come_until_the_session_is_closed_and_the_last_has_all():
    def script(client: Client) -> None:
        client.send("a", "b", "c")

    with serve(script) as url:
        session = websocket(url).prepare()
        samples = Seen(session.stats_every(0.01))
        session.messages.subscribe()
        session.start()
        assert samples.all()[0].messages_in == 0
        assert samples.items[-1].messages_in == 3
        late = Seen(session.stats_every(1000))
        assert [stats.messages_in for stats in late.all()] == [3, 3]


def test_a_subscriber_of_samples_that_raises_is_told_of():
    session = SimulatedSession("ws://host")
    errors = Seen(session.errors)

    def fail(_: object) -> None:
        raise ValueError("no")

    session.stats_every(1000).subscribe(fail).dispose()
    assert [type(error.__cause__) for error in errors.items] == [ValueError]
    assert "stats_every()" in str(errors.items[0])


def rates_in_virtual_time(*actions: tuple[float, Callable[[FakeSession], object]]) -> list[tuple[float, float, float]]:
    """Let things happen to a fake session at their times; return when rates came, over how long, of messages in."""
    scheduler = TestScheduler()
    session = FakeSession()
    session.open()
    session.messages.subscribe()
    for time, action in actions:
        scheduler.schedule_absolute(time, lambda *_, action=action: action(session))
    rates: list[tuple[float, float, float]] = []
    session.rates_every(10.0, scheduler=scheduler).subscribe(
        lambda each: rates.append((scheduler.clock, each.seconds, each.messages_in))
    )
    scheduler.advance_to(40)
    return rates


def receive(session: FakeSession, count: int = 5) -> None:
    for _ in range(count):
        session.receive("x")


def test_rates_come_at_each_interval_in_the_time_of_a_scheduler():
    found = rates_in_virtual_time((1, receive), (9, receive), (15, receive), (26, FakeSession.end))
    assert found == [(10, 10, 1.0), (20, 10, 0.5), (26, 6, 0.0)]


def test_a_last_interval_that_is_too_short_is_left_out():
    assert rates_in_virtual_time((1, receive), (12, receive), (14, FakeSession.end)) == [(10, 10, 0.5)]


def test_one_that_is_short_since_the_sample_before_it_was_late_joins_the_next():
    scheduler = TestScheduler()
    session = FakeSession()
    session.open()
    session.messages.subscribe()
    scheduler.schedule_absolute(9, lambda *_: scheduler.sleep(9))
    scheduler.schedule_absolute(19, lambda *_: receive(session, 6))
    rates: list[tuple[float, float, float]] = []
    session.rates_every(10.0, scheduler=scheduler).subscribe(
        lambda each: rates.append((scheduler.clock, each.seconds, each.messages_in))
    )
    scheduler.advance_to(31)
    assert rates == [(18, 18, 0.0), (30, 12, 0.5)]


def test_rates_are_of_real_time_without_a_scheduler():
    with serve(list) as url, websocket(url).connect() as session:
        rates = Seen(session.rates_every(0.01).pipe(ops.first(lambda each: each.messages_out > 0)))
        session.send("x")
        found = rates.one()
    assert found.seconds >= 0.005
    assert found.messages_out * found.seconds == pytest.approx(1)


def test_the_time_of_rates_may_be_that_of_who_subscribes():
    scheduler = TestScheduler()
    session = FakeSession()
    session.open()
    results = scheduler.create_observer()
    session.rates_every(10.0).subscribe(results, scheduler=scheduler)
    scheduler.advance_to(20)
    assert [(message.time, message.value.value.seconds) for message in results.messages] == [(10, 10), (20, 10)]


def test_a_subscriber_of_rates_that_raises_is_told_of():
    session = FakeSession()
    errors = Seen(session.errors)
    scheduler = TestScheduler()
    subscription = session.rates_every(1, scheduler=scheduler).subscribe(lambda _: 1 / 0)
    scheduler.advance_to(1.5)
    subscription.dispose()
    assert "rates_every()" in str(errors.items[0])
    with pytest.raises(ValueError, match="seconds"):
        session.rates_every(0)


@pytest.mark.parametrize(
    ("later", "rates"),
    [
        (structs.replace(NONE, time=2.0, messages_in=4, messages_out=2, bytes_in=40), Rates(2.0, 2.0, 1.0, 20.0, 0.0)),
        (NONE, Rates(0.0, 0.0, 0.0, 0.0, 0.0)),
    ],
)
def test_rates_are_those_of_the_seconds_between(later: Stats, rates: Rates):
    assert later.since(NONE) == rates


def test_counters_begin_with_nothing():
    counters = Counters()
    names: list[str] = list(Counters.__slots__)
    assert {name: getattr(counters, name) for name in names if getattr(counters, name)} == {}


def test_figures_are_shown_with_their_names():
    rows = dict(cells(structs.replace(NONE, bytes_in=12345, round_trip=0.01)._repr_html_())[1:])
    assert (rows["bytes_in"], rows["round_trip"], rows["uptime"]) == ("12,345", "10 ms", "none")
    assert "time" not in rows
