"""What the demo's steps stand on: how they wait, and what it shows."""

from __future__ import annotations

import logging
import time

import msgspec
import pytest
from reactivex.subject import Subject

from rxsocket import demo_stage
from rxsocket.demo_stage import FellShort, Stage, ended, logged, told
from rxsocket.demo_view import Board, Step
from rxsocket.states import CloseEvent
from rxsocket.store import RootStore


class Lines:
    """A view that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __enter__(self):
        return self

    def __exit__(self, *_): ...
    def tell(self, line):
        self.lines.append(line[10:])

    def sum_up(self): ...


class Point(msgspec.Struct, frozen=True):
    x: int
    y: int


class Place(msgspec.Struct, frozen=True):
    name: str
    at: Point


@pytest.fixture
def view():
    return Lines()


@pytest.fixture
def stage(view, monkeypatch):
    monkeypatch.setattr(demo_stage, "DEADLINE", 0.1)
    return Stage(Board([Step("one", "The one")], view), paced=False)


def test_what_is_expected_is_the_first_value_that_is_wanted(stage):
    store = RootStore(1)
    store.sync_by(lambda value: None if value > 5 else store.update(value + 1))
    store.update(2)
    assert stage.expect(store.data, lambda value: value > 2, "more") == 6


def test_what_does_not_come_falls_short(stage):
    with pytest.raises(FellShort, match=r"^a sign did not come in time$"):
        stage.expect(Subject(), lambda _: True, "a sign")
    with pytest.raises(FellShort, match=r"^luck did not come in time$"):
        stage.until(lambda: False, "luck")


def test_pauses_are_for_people_only(stage):
    began = time.monotonic()
    for _ in range(1000):
        stage.show("pass")
        stage.look()
    assert time.monotonic() - began < 5


def test_nothing_waits_after_the_limit(stage, monkeypatch):
    monkeypatch.setattr(demo_stage, "LIMIT", 0)
    late = Stage(stage.board, paced=True)
    began = time.monotonic()
    for _ in range(1000):
        late.look()
    assert time.monotonic() - began < 5


def test_at_the_end_all_is_closed_the_last_first_whatever_fails(stage, view):
    closed: list[int] = []

    def fail() -> None:
        raise RuntimeError("stuck")

    for close in (lambda: closed.append(1), fail, lambda: closed.append(2)):
        stage.at_the_end(close)
    stage.close()
    assert closed == [2, 1]
    assert [line.split() for line in view.lines] == [["!", "RuntimeError:", "stuck"]]


def test_of_a_change_is_shown_what_is_new_by_its_path(stage, view):
    store = RootStore(Place("here", Point(1, 2)))
    stage.watch("Ada", store)
    store.sub(lambda place: place.at.y).update(3)
    store.update(Place("there", Point(0, 3)))
    assert view.lines == ["→ Ada   at.y = 3", "→ Ada   name = there, at.x = 0"]


def test_what_is_logged_is_shown_and_nothing_else_sees_it(stage, view, caplog):
    logger = logging.getLogger("rxsocket")
    with logged(stage.board):
        logger.getChild("hub").error("no %s", "luck")
    assert [line.split() for line in view.lines] == [["!", "no", "luck"]]
    assert not caplog.records
    logger.error("again")
    assert [record.message for record in caplog.records] == ["again"]
    assert len(view.lines) == 1


def test_words_for_ends_and_errors():
    assert ended(CloseEvent(1000, "", "client", was_clean=True)) == "1000 by the client"
    assert ended(CloseEvent(4000, "bye", "server", was_clean=True)) == "4000 'bye' by the server"
    assert told(ValueError("no")) == "ValueError: no"
    assert told(FellShort("no")) == "no"
