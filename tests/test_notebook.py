"""The views of a notebook, in a real kernel: while cells run and between them, to the end."""

import re
from collections.abc import Iterator

import msgspec
import pytest
import reactivex
from front_end import FrontEnd, frame_of
from reactivex.subject import Subject

from rxsocket import RootStore, record, replay
from rxsocket.fake import FakeSession
from rxsocket.notebook import View, live, plot, progress
from rxsocket.sheets import Badge, Progress, Table, Value

pytestmark = pytest.mark.timeout(60)  # the first waits until the kernel is up, too

WIDGET = "application/vnd.jupyter.widget-view+json"


class Trade(msgspec.Struct):
    price: float


# --- which view of what


@pytest.mark.parametrize(
    ("source", "kind"),
    [(FakeSession(), Badge), (RootStore(1), Value), (FakeSession().messages.body, Table), (Subject(), Table)],
)
def test_live_shows_what_it_is_given(source, kind):
    view = live(source)
    assert isinstance(view, View)
    assert isinstance(view._picture, kind)
    view.stop()


def test_a_replay_is_a_session_and_has_a_progress(tmp_path):
    session = FakeSession()
    with record(session, tmp_path / "feed.jsonl"):
        session.open()
    with replay(tmp_path / "feed.jsonl", start=False) as again:
        views = live(again), progress(again)
        assert [type(view._picture) for view in views] == [Badge, Progress]
        for view in views:
            view.stop()


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda: live([1]), TypeError, "live shows a session, a store or a stream, not list"),
        (lambda: live(Subject(), n=0), ValueError, "n is from 1 to 100"),
        (lambda: live(Subject(), columns="price"), TypeError, r"columns is a list of names, not one: \['price'\]"),
        (lambda: plot([1], "y"), TypeError, "plot draws a stream, not list"),
        (lambda: plot(Subject(), "y", fps=30), ValueError, "fps"),
        (lambda: progress(FakeSession()), TypeError, "progress shows a replay, not FakeSession"),
    ],
)
def test_arguments_are_checked(wrong, error, message):
    with pytest.raises(error, match=message):
        wrong()


def test_a_plot_ends_with_its_stream():
    view = plot(reactivex.of(Trade(1.0), Trade(2.0)), "price")
    view.stop()
    assert "price 2" in view._picture.text()


# --- in a kernel


@pytest.fixture(scope="module")
def kernel() -> Iterator[FrontEnd]:
    with FrontEnd() as kernel:
        kernel.run(
            "import sys, threading, time\n"
            "from reactivex.subject import Subject\n"
            "from rxsocket import notebook as nb\n"
            "stream = Subject()"
        )
        yield kernel


def shown(messages) -> dict[str, object]:
    """The only output among messages."""
    (message,) = (each for each in messages if each["msg_type"] == "display_data")
    return message["content"]["data"]


def model(messages) -> str:
    return shown(messages)[WIDGET]["model_id"]


def test_a_cells_value_is_shown_by_a_widget_or_else_by_html_or_text(kernel):
    messages = kernel.told_by("view = nb.live(stream, title='<b>')\nview")
    data = shown(messages)
    assert set(data) == {"text/plain", "text/html", WIDGET}
    assert data["text/plain"].startswith("Live <b>")
    assert "&lt;b&gt;" in data["text/html"]
    opened = [each["content"]["comm_id"] for each in messages if each["msg_type"] == "comm_open"]
    assert data[WIDGET]["model_id"] in opened
    assert not any(each["msg_type"] == "execute_result" for each in messages)
    kernel.run("view.stop()")


def test_frames_come_while_a_cell_runs_and_all_of_them_again_every_second(kernel):
    kernel.run("view = nb.plot(stream, lambda item: item)\nview")
    messages = kernel.told_by("for number in range(25):\n    stream.on_next(number)\n    time.sleep(0.06)")
    frames = [frame for message in messages if (frame := frame_of(message)) is not None]
    assert len(frames) >= 8
    assert 1 <= sum(frame["whole"] for frame in frames) <= 3
    numbers = [frame["number"] for frame in frames]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    kernel.run("view.stop()")


def test_between_cells_frames_wait_for_those_that_were_drawn(kernel):
    messages = kernel.told_by(
        "view = nb.plot(stream, lambda item: item, fps=20)\n"
        "ended = threading.Event()\n"
        "def feed():\n"
        "    while not ended.wait(0.01):\n"
        "        stream.on_next(1)\n"
        "thread = threading.Thread(target=feed)\n"
        "thread.start()\n"
        "view"
    )
    comm_id = model(messages)
    kernel.say(comm_id, {"ask": True})
    first = frame_of(kernel.next(lambda message: (frame_of(message) or {}).get("whole")))
    last = first["number"]
    for _ in range(10):
        kernel.say(comm_id, {"drawn": last})
        last = frame_of(kernel.next(lambda message, last=last: (frame_of(message) or {}).get("number", 0) > last))[
            "number"
        ]
    kernel.run("ended.set()\nthread.join()")
    frames = [frame for message in kernel.told_by("view.stop()") if (frame := frame_of(message))]
    assert frames[-1]["note"]["text"] == "stopped"
    kernel.say(comm_id, {"ask": True})
    again = frame_of(kernel.next(frame_of))
    assert (again["whole"], again["note"]) == (True, {"text": "stopped", "mood": "over"})


def test_freeze_replaces_the_output_by_an_image(kernel):
    messages = kernel.told_by("view = nb.plot(stream, lambda item: item, unit='EUR')\nview")
    display_id = next(each for each in messages if each["msg_type"] == "display_data")["content"]["transient"][
        "display_id"
    ]
    messages = kernel.told_by("stream.on_next(1)\nstream.on_next(2)\nview.freeze()")
    (update,) = (each for each in messages if each["msg_type"] == "update_display_data")
    assert update["content"]["transient"]["display_id"] == display_id
    data = update["content"]["data"]
    assert set(data) == {"text/plain", "text/html"}
    assert re.search(r'<img src="data:image/svg\+xml;base64,[^"]+" alt="[^"]*y 2 EUR"', data["text/html"])
    frames = [frame for message in messages if (frame := frame_of(message))]
    assert frames[-1]["note"] == {"text": "frozen", "mood": "over"}


def test_without_the_widget_html_is_replaced(kernel):
    kernel.run("from rxsocket import widget\nmade = widget._widget_class\nwidget._widget_class = lambda: None")
    messages = kernel.told_by("view = nb.live(stream)\nview")
    assert set(shown(messages)) == {"text/plain", "text/html"}
    messages = kernel.told_by("for number in range(20):\n    stream.on_next(number)\n    time.sleep(0.05)")
    updates = [each["content"]["data"] for each in messages if each["msg_type"] == "update_display_data"]
    assert 3 <= len(updates) <= 6
    assert "<td" in updates[-1]["text/html"]
    kernel.run("view.stop()\nwidget._widget_class = made")


def test_a_cell_that_is_run_again_has_one_view_and_others_say_why_theirs_has_ended(kernel):
    kernel.run("views = []")
    for _ in range(5):
        kernel.run("views.append(nb.live(stream))\nviews[-1]", cell="one")
    assert kernel.value("len(stream.observers)") == "1"
    assert kernel.value("[repr(each) for each in views]").count("stopped") == 4
    kernel.run("display(views[-1])", cell="two")
    messages = kernel.told_by("views.append(nb.live(stream))\nviews[-1]", cell="one")
    updates = [each["content"]["data"]["text/html"] for each in messages if each["msg_type"] == "update_display_data"]
    assert [each.endswith("its cell was run again</p>") for each in updates] == [True]
    kernel.run("views[-1].stop()")


def test_the_pump_ends_with_the_last_view(kernel):
    kernel.run("pump = [each for each in threading.enumerate() if each.name == 'rxsocket views']")
    kernel.run("for each in pump:\n    each.join(5)\n    assert not each.is_alive()")


def test_at_its_end_the_kernel_leaves_the_last_pictures():
    with FrontEnd() as kernel:
        kernel.run(
            "from reactivex.subject import Subject\n"
            "from rxsocket import notebook as nb\n"
            "stream = Subject()\n"
            "view = nb.plot(stream, lambda item: item)\n"
            "display(view)\n"
            "stream.on_next(1)"
        )
        kernel.shut_down()
        update = kernel.next(lambda message: message["msg_type"] == "update_display_data")
        assert "the kernel has ended" in update["content"]["data"]["text/html"]
