"""The life of a view: drawn while it goes on, stopped, frozen, failed; and what stands in the output then."""

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from peers import DEADLINE
from reactivex.subject import Subject

from rxsocket import display
from rxsocket.display import View, freeze_all
from rxsocket.picture import Picture
from rxsocket.plotting import Plot
from rxsocket.pump import Pump
from rxsocket.scopes import Scope, inside
from rxsocket.sheets import Table
from rxsocket.widget import Screen


class Output:
    """The output of cells, and a screen that keeps what it is shown."""

    def __init__(self) -> None:
        self.published: list[tuple[dict[str, Any], str, bool]] = []
        self.threads: list[threading.Thread] = []
        self.screens: list[KeptScreen] = []

    def publish(self, bundle: dict[str, Any], display_id: str, update: bool) -> None:  # noqa: FBT001 as it is called
        self.published.append((bundle, display_id, update))
        self.threads.append(threading.current_thread())

    def screen_of(self, kind: str, display_id: str, refresh: Callable[[], None], press: Callable[[], None]):
        self.screens.append(KeptScreen(refresh))
        return self.screens[-1]


class KeptScreen(Screen):
    def __init__(self, refresh: Callable[[], None]) -> None:
        self.refresh = refresh
        self.is_ready = True
        self.fails = False
        self.notes: list[str | None] = []
        self.frames: list[Any] = []  # under _changed
        self._changed = threading.Condition()

    def bundle(self):
        return {"widget": "model"}

    def show(self, picture: Picture, *, last: bool) -> bool:
        if self.fails:
            raise RuntimeError("no ink")
        if not (self.is_ready or last):
            return False
        with self._changed:
            self.notes.append(None if picture.note is None else picture.note.text)
            self.frames.append(picture.frame(whole=True))
            self._changed.notify_all()
        return True

    def wait(self, condition: Callable[[], object]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, DEADLINE), (self.frames, self.notes)

    @property
    def rows(self) -> list[str]:
        """The first cells of the last table."""
        return [row["cells"][0] for row in self.frames[-1][0]["rows"]] if self.frames else []


@pytest.fixture
def output(monkeypatch) -> Output:
    output = Output()
    monkeypatch.setattr(display, "publish", output.publish)
    monkeypatch.setattr(display, "screen_of", output.screen_of)
    monkeypatch.setattr(display, "_shown_views", {})
    return output


@pytest.fixture
def pump():
    """A pump of the test's own, all of whose views are stopped in the end."""
    pump = Pump()
    yield pump
    for turn in list(pump._turns):
        turn.end()


@pytest.fixture
def stream() -> Subject[Any]:
    return Subject()


@pytest.fixture
def view(stream, pump) -> View:
    return View(Table(stream, 5, None, "items"), 20, pump)


def test_it_is_shown_by_what_it_is_and_by_its_screen(view, output):
    view._ipython_display_()
    ((bundle, _, update),) = output.published
    assert not update
    assert bundle["widget"] == "model"
    assert bundle["text/plain"].startswith("Live items")
    assert "items" in bundle["text/html"]
    assert output.threads == [threading.current_thread()]


def test_what_came_before_it_was_shown_is_in_its_first_picture(view, stream, output):
    stream.on_next("early")
    view._ipython_display_()
    assert "early" in output.published[0][0]["text/html"]


def test_what_comes_is_drawn_on_the_pumps_thread_and_who_delivers_only_leaves_it(view, stream, output):
    view._ipython_display_()
    for number in range(100):
        stream.on_next(number)
    screen = output.screens[0]
    screen.wait(lambda: screen.rows[:1] == ["99"])
    assert len(screen.frames) < 20


def test_shown_twice_it_has_one_screen_and_one_id(view, output):
    view._ipython_display_()
    view._ipython_display_()
    assert len(output.screens) == 1
    assert len({display_id for _, display_id, _ in output.published}) == 1


def test_stop_ends_the_subscription_and_the_last_picture_stays(view, stream, output):
    view._ipython_display_()
    stream.on_next("last")
    view.stop()
    screen = output.screens[0]
    assert screen.rows == ["last"]
    assert not stream.observers
    assert screen.notes[-1] == "stopped"
    assert repr(view) == "<View Table stopped>"
    view.stop()
    assert screen.notes.count("stopped") == 1
    screen.refresh()  # a page that was loaded anew
    assert screen.notes[-2:] == ["stopped", "stopped"]


def test_freeze_leaves_a_picture_that_needs_nothing(view, stream, output):
    view._ipython_display_()
    stream.on_next("<b>")
    view.freeze()
    view.freeze()
    assert output.screens[0].notes[-1] == "frozen"  # for a page that does not know the output any more
    shown, replaced = output.published
    assert replaced[1:] == (shown[1], True)
    assert set(replaced[0]) == {"text/plain", "text/html"}
    assert "&lt;b&gt;" in replaced[0]["text/html"]
    assert replaced[0]["text/html"].endswith("frozen</p>")
    view._ipython_display_()
    assert set(output.published[-1][0]) == {"text/plain", "text/html"}


def test_a_stopped_view_says_so_when_it_is_frozen_and_why_is_told(view, output, stream, pump):
    view._ipython_display_()
    view.stop()
    view.freeze()
    assert output.published[-1][0]["text/html"].endswith("stopped</p>")
    other = View(Table(stream, 5, None, ""), None, pump)
    other._ipython_display_()
    other.freeze("its cell was run again")
    assert output.published[-1][0]["text/html"].endswith("its cell was run again</p>")


def test_a_view_that_was_never_shown_freezes_in_silence(view, output, stream):
    view.freeze()
    assert output.published == []
    assert not stream.observers


@pytest.mark.parametrize(
    ("end", "note"),
    [
        (lambda stream: stream.on_completed(), "completed"),
        (lambda stream: stream.on_error(ValueError("<b>")), "ended with ValueError: <b>"),
    ],
)
def test_the_end_of_the_stream_is_told_and_ends_the_drawing(view, stream, output, end, note):
    view._ipython_display_()
    stream.on_next("last")
    end(stream)
    screen = output.screens[0]
    screen.wait(lambda: screen.notes[-1:] == [note])
    assert screen.rows == ["last"]
    assert repr(view) == "<View Table stopped>"
    with view._pump._changed:
        assert not view._pump._turns


def test_a_view_that_raises_shows_the_error_and_the_others_go_on(stream, output, pump, caplog):
    caplog.set_level(logging.CRITICAL, "rxsocket")
    bad = View(Plot(stream, lambda item: 1 / item), 20, pump)
    good = View(Plot(stream, lambda item: item), 20, pump)
    bad._ipython_display_()
    good._ipython_display_()
    stream.on_next(0)
    first, second = output.screens
    first.wait(lambda: first.notes[-1:] == ["stopped, since it raised ZeroDivisionError: division by zero"])
    stream.on_next(1)
    second.wait(lambda: [frame[0]["lines"] for frame in second.frames][-1:] == [[(0, 2, 2)]])
    assert len(stream.observers) == 1


def test_a_screen_that_raises_ends_its_view_alone(view, stream, output, pump, caplog):
    caplog.set_level(logging.WARNING, "rxsocket")
    other = View(Table(stream, 5, None, ""), 20, pump)
    view._ipython_display_()
    other._ipython_display_()
    first, second = output.screens
    first.fails = True
    stream.on_next(1)
    second.wait(lambda: second.rows == ["1"])
    stream.on_next(2)
    second.wait(lambda: second.rows == ["2", "1"])
    assert "a view was stopped, since it raised" in caplog.text
    assert "the last picture of a view can't be shown" in caplog.text


def test_a_screen_that_is_not_ready_is_shown_later_all_that_came(view, stream, output):
    view._ipython_display_()
    screen = output.screens[0]
    screen.is_ready = False
    stream.on_next(1)
    stream.on_next(2)
    screen.is_ready = True
    screen.wait(lambda: screen.rows == ["2", "1"])


def test_a_drawing_may_stop_and_freeze_its_own_view(stream, output, pump):
    views: list[View] = []
    done = threading.Event()

    def freeze(item: object) -> int:
        views[0].freeze()
        done.set()
        return 1

    views.append(View(Plot(stream, freeze), 20, pump))
    views[0]._ipython_display_()
    stream.on_next(1)
    assert done.wait(DEADLINE)
    output.screens[0].wait(lambda: output.screens[0].notes[-1:] == ["frozen"])


def test_no_lock_is_held_while_functions_of_the_user_run(stream, output, pump):
    inside, go_on = threading.Event(), threading.Event()

    def wait(item: object) -> int:
        inside.set()
        go_on.wait(DEADLINE)
        return 1

    view = View(Plot(stream, wait), 20, pump)
    stream.on_next(1)
    assert inside.wait(DEADLINE)
    stream.on_next(2)  # who delivers is not held up
    other = View(Table(stream, 5, None, ""), 20, pump)
    go_on.set()
    for each in (view, other):
        each.stop()


def test_a_view_ends_with_its_scope_and_leaves_it_with_its_own_end(stream, output, pump):
    scope = Scope()
    with inside(scope):
        view = View(Table(stream, 5, None, ""), 20, pump)
    view._ipython_display_()
    scope.end()
    assert output.published[-1][0]["text/html"].endswith("its cell was run again</p>")
    assert not stream.observers
    scope = Scope()
    with inside(scope):
        View(Table(stream, 5, None, ""), 20, pump).stop()
    assert len(scope) == 0


def test_at_the_exit_those_that_are_shown_freeze(view, stream, output, pump):
    other = View(Table(stream, 5, None, ""), None, pump)
    view._ipython_display_()
    freeze_all()
    assert output.published[-1][0]["text/html"].endswith("the kernel has ended</p>")
    assert len(output.published) == 2
    assert len(stream.observers) == 1
    other.stop()
    freeze_all()
    assert len(output.published) == 2


def test_after_its_time_none_further_is_frozen(view, output):
    view._ipython_display_()
    freeze_all(timeout=-1)
    assert len(output.published) == 1
    view.freeze()


@pytest.mark.parametrize(("fps", "error"), [(0, ValueError), (21, ValueError), ("10", TypeError)])
def test_the_pace_is_checked(stream, pump, fps, error):
    with pytest.raises(error, match="fps"):
        View(Table(stream, 5, None, ""), fps, pump)
    assert not stream.observers


def test_a_source_that_can_not_be_listened_to_leaves_no_turn(pump):
    class Broken(Table):
        def start(self, touch):
            raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        View(Broken(Subject(), 5, None, ""), None, pump)
    with pump._changed:
        assert not pump._turns
