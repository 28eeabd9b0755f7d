"""What sessions, streams, stores and replays look like as texts."""

import logging

import msgspec
import pytest
import reactivex
from reactivex.subject import Subject

from rxsocket import Backoff, RootStore, record, replay
from rxsocket.drawing import Note
from rxsocket.fake import FakeSession
from rxsocket.sheets import Badge, Progress, Table, Value


class Trade(msgspec.Struct, frozen=True):
    symbol: str
    price: float


def nothing() -> None:
    pass


def seen(picture):
    picture.absorb()
    return picture.sheet()


# --- sessions


def test_a_badge_says_how_a_session_stands_and_what_goes_through_it():
    session = FakeSession("wss://host/feed", reconnect=Backoff())
    badge = Badge(session)
    badge.start(nothing)
    assert (seen(badge).mood, seen(badge).word, seen(badge).title) == ("busy", "Connecting", "wss://host/feed")
    session.messages.subscribe(lambda _: None)
    session.open()
    session.receive("hello")
    session.send("answer")
    facts = dict(seen(badge).facts)
    assert (seen(badge).mood, seen(badge).word) == ("good", "Open")
    assert facts["in"].startswith("1 (")
    assert facts["out"].startswith("1 (")
    assert facts["losses"] == "0"
    assert facts["round trip"] == "none yet"
    session.ping().subscribe()
    session.pong(0.0123)
    assert dict(seen(badge).facts)["round trip"] == "12.3 ms"
    session.lose()
    assert (seen(badge).mood, seen(badge).word) == ("busy", "Connecting, try 1")
    assert dict(seen(badge).facts)["losses"] == "1"
    assert badge.end is None


def test_a_badge_tells_its_rates_over_the_last_seconds(monkeypatch):
    session = FakeSession()
    session.open()
    now = [100.0]
    monkeypatch.setattr("rxsocket.streams.time.monotonic", lambda: now[0])
    badge = Badge(session)
    session.messages.subscribe(lambda _: None)
    for _ in range(20):
        now[0] += 0.5
        for _ in range(50):
            session.receive("x")
        badge.absorb()
    assert dict(badge.sheet().facts)["in"] == "1,000 (100/s)"
    assert len(badge._samples) < 8


def test_a_badge_has_the_last_errors_and_the_troubles_that_there_are(caplog):
    caplog.set_level(logging.CRITICAL, "rxsocket")
    session = FakeSession()
    badge = Badge(session)
    badge.start(nothing)
    session.open()
    session.messages.body.subscribe(int)
    for text in ("a", "b", "c", "<d>"):
        session.receive(text)
    sheet = seen(badge)
    assert len(sheet.remarks) == 3
    assert "SubscriberException" in sheet.remarks[-1]
    assert "ValueError" in sheet.remarks[-1]
    assert dict(sheet.facts)["subscribers' errors"] == "4"
    assert "held" not in dict(sheet.facts)


def test_a_badge_says_how_a_session_has_ended():
    session = FakeSession()
    badge = Badge(session)
    touched: list[int] = []
    badge.start(lambda: touched.append(1))
    session.open()
    before = len(touched)
    session.end(4000, "come again")
    assert len(touched) > before
    sheet = seen(badge)
    assert (sheet.mood, sheet.word) == ("bad", "Closed 4000")
    assert badge.end == Note("closed by the server with 4000 come again", "bad")
    session = FakeSession()
    badge = Badge(session)
    session.open()
    session.close()
    assert (seen(badge).mood, seen(badge).word) == ("over", "Closed 1000")


# --- streams


def test_a_table_has_the_newest_items_first_by_their_fields():
    stream: Subject[object] = Subject()
    table = Table(stream, 3, None, "trades")
    table.start(nothing)
    for number in range(5):
        stream.on_next(Trade("A", number))
    sheet = seen(table)
    assert (sheet.title, sheet.mood, sheet.word, sheet.columns) == ("trades", "good", "Live", ["symbol", "price"])
    assert [row.cells for row in sheet.rows] == [["A", "4"], ["A", "3"], ["A", "2"]]
    assert dict(sheet.facts)["items"] == "5"
    stream.on_next({"note": "<b>"})
    sheet = seen(table)
    assert sheet.columns == ["note", "symbol", "price"]
    assert [row.cells for row in sheet.rows][:2] == [["<b>", "", ""], ["", "A", "4"]]
    assert [row.is_changed for row in sheet.rows] == [True, False, False]


def test_a_table_of_items_without_fields_has_one_column():
    table = Table(reactivex.of("x", 1), 5, None, "")
    table.start(nothing)
    sheet = seen(table)
    assert (sheet.columns, [row.cells for row in sheet.rows]) == (["item"], [["1"], ["x"]])


def test_a_table_has_the_columns_that_are_asked_for():
    table = Table(reactivex.of(Trade("A", 1.5)), 5, ["price", "size"], "")
    table.start(nothing)
    assert (seen(table).columns, seen(table).rows[0].cells) == (["price", "size"], ["1.5", ""])


def test_a_table_says_how_its_stream_has_ended():
    table = Table(reactivex.throw(ValueError("no")), 5, None, "")
    table.start(nothing)
    assert (seen(table).mood, seen(table).word) == ("bad", "Ended")
    assert table.end == Note("ended with ValueError: no", "bad")


def test_messages_of_megabytes_make_a_small_frame():
    table = Table(reactivex.of(*["<" * 1_000_000] * 200), 100, None, "")
    table.start(nothing)
    table.absorb()
    assert len(msgspec.json.encode(table.frame(whole=True)[0])) < 30_000


def test_the_rate_is_of_the_last_seconds(monkeypatch):
    now = [10.0]
    monkeypatch.setattr("rxsocket.sheets.time.monotonic", lambda: now[0])
    stream: Subject[int] = Subject()
    table = Table(stream, 3, None, "")
    table.start(nothing)
    for _ in range(50):
        now[0] += 0.1
        for _ in range(20):
            stream.on_next(1)
        table.absorb()
    assert dict(table.sheet().facts)["rate"] == "200/s"
    now[0] += 10
    table.absorb()
    assert dict(table.sheet().facts)["rate"] == "0/s"


# --- stores


def test_a_stores_value_is_shown_by_keys_and_what_has_changed_last_is_marked():
    store = RootStore({"a": Trade("A", 1.0), "b": Trade("B", 2.0)}, id="trades")
    value = Value(store)
    value.start(nothing)
    sheet = seen(value)
    assert (sheet.title, sheet.columns) == ("trades", ["", "symbol", "price"])
    assert [(row.cells, row.is_changed) for row in sheet.rows] == [(["a", "A", "1"], False), (["b", "B", "2"], False)]
    store.update({**store.current, "b": Trade("B", 3.0), "c": Trade("C", 0.5)})
    sheet = seen(value)
    assert [(row.cells[0], row.is_changed) for row in sheet.rows] == [("a", False), ("b", True), ("c", True)]
    assert dict(sheet.facts)["changes"] == "1"
    assert [row.is_changed for row in seen(value).rows] == [False, True, True]


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        (17, [["", "17"]]),
        (Trade("A", 1.0), [["symbol", "A"], ["price", "1"]]),
        (["x", "y"], [["0", "x"], ["1", "y"]]),
    ],
)
def test_values_of_all_kinds_have_rows(value, rows):
    picture = Value(RootStore(value))
    picture.start(nothing)
    assert [row.cells for row in seen(picture).rows] == rows
    assert seen(picture).columns == ["", "value"]


def test_of_a_large_value_the_first_parts_are_shown():
    picture = Value(RootStore(list(range(100_000))))
    picture.start(nothing)
    sheet = seen(picture)
    assert len(sheet.rows) == 50
    assert sheet.remarks == ["and 99,950 parts more"]


# --- replays


@pytest.fixture
def cassette(tmp_path):
    session = FakeSession("ws://recorded")
    with record(session, tmp_path / "feed.jsonl"):
        session.open()
        for number in range(5):
            session.receive(str(number))
        session.end(1000)
    return tmp_path / "feed.jsonl"


def test_progress_is_how_far_a_replay_is(cassette):
    with replay(cassette, speed=None, start=False) as session:
        progress = Progress(session)
        sheet = seen(progress)
        assert (sheet.title, sheet.action) == ("ws://recorded", "Stop")
        assert sheet.portion is not None
        assert dict(sheet.facts)["messages"] == "0"
        assert progress.end is None
        session.messages.subscribe(lambda _: None)
        session.start()
        session.closes.run()
        sheet = seen(progress)
        assert (sheet.portion, sheet.word, sheet.action) == (1.0, "Closed 1000", "")
        assert dict(sheet.facts)["messages"] == "5"
        assert progress.end is not None


def test_its_button_ends_the_replay(cassette):
    session = replay(cassette, paused=True)
    progress = Progress(session)
    progress.press()
    session.closes.run()
    assert seen(progress).word.startswith("Closed")


def test_a_replay_that_is_damaged_has_no_length(cassette):
    cassette.write_bytes(cassette.read_bytes() + b"{no line\n")
    with replay(cassette, start=False) as session:
        assert seen(Progress(session)).portion is None
