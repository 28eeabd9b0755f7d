"""Where views are seen: the widget's messages, the HTML without it, and the widget's script in a real browser."""

import logging
import math
import sys
from collections.abc import Iterator

import pytest
from browser import Page
from comms import RecordingComm, Shell, recorded
from reactivex.subject import Subject

from rxsocket import widget
from rxsocket.drawing import Note
from rxsocket.plotting import Plot
from rxsocket.sheets import Table
from rxsocket.widget import HtmlScreen, WidgetScreen, screen_of

EVIL = "<script>globalThis.faults.push('ran')</script><img src=x onerror=\"globalThis.faults.push('ran')\">"


class Source:
    """A picture of a subject, started."""

    def __init__(self, picture: type, *arguments, **options) -> None:
        self.stream: Subject[object] = Subject()
        self.picture = picture(self.stream, *arguments, **options)
        self.picture.start(lambda: None)

    def take(self, *items: object):
        for item in items:
            self.stream.on_next(item)
        self.picture.absorb()
        return self.picture


def table(**options) -> Source:
    return Source(Table, 10, None, "items", **options)


# --- HTML


def test_html_is_replaced_four_times_a_second_at_the_most(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("rxsocket.widget.time.monotonic", lambda: now[0])
    published: list[tuple[dict[str, str], str, bool]] = []
    screen = HtmlScreen("id", lambda *each: published.append(each))
    source = table()
    shown = []
    for number in range(10):
        now[0] = 100.0 + number * 0.1
        shown.append(screen.show(source.take(number), last=False))
    assert [place for place, done in enumerate(shown) if done] == [0, 3, 6, 9]
    assert [(display_id, update) for _, display_id, update in published] == [("id", True)] * 4
    assert ">9<" in published[-1][0]["text/html"]
    assert published[-1][0]["text/plain"].startswith("Live items")
    assert screen.show(source.take("last"), last=True)
    assert "last" in published[-1][0]["text/html"]
    assert screen.bundle() == {}


def test_html_that_is_the_same_is_not_sent_again():
    published: list[object] = []
    screen = HtmlScreen("id", lambda *each: published.append(each))
    source = table()
    assert screen.show(source.picture, last=True)
    assert screen.show(source.picture, last=True)
    assert len(published) == 1


def test_without_anywidget_a_screen_is_html(monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    widget._widget_class.cache_clear()
    try:
        assert isinstance(screen_of("plot", "id", lambda: None, lambda: None), HtmlScreen)
    finally:
        widget._widget_class.cache_clear()


# --- the widget's messages


class Seen:
    """A screen on a comm that records."""

    def __init__(self, comms: list[RecordingComm], shell: Shell) -> None:
        self.calls: list[str] = []
        self.screen = screen_of("plot", "id", lambda: self.calls.append("refresh"), lambda: self.calls.append("press"))
        assert isinstance(self.screen, WidgetScreen)
        self.comm = comms[-1]
        self.shell = shell


@pytest.fixture
def seen(monkeypatch) -> Iterator[Seen]:
    shell = Shell()
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: shell)
    widget._cells.cache_clear()
    with recorded(monkeypatch) as comms:
        yield Seen(comms, shell)
    widget._cells.cache_clear()


def test_the_widget_brings_its_script_and_its_kind(seen):
    kind, data, _ = seen.comm.published[0]
    assert kind == "comm_open"
    assert data["state"]["kind"] == "plot"
    assert "export default" in data["state"]["_esm"]
    assert ".rxsocket" in data["state"]["_css"]
    model = seen.screen.bundle()["application/vnd.jupyter.widget-view+json"]
    assert model["model_id"] == seen.comm.comm_id


def test_frames_have_numbers_and_buffers_and_the_note(seen):
    source = Source(Plot, lambda item: item)
    assert seen.screen.show(source.take(1.5), last=False)
    assert seen.screen.show(source.take(), last=False)  # there is nothing new, and so nothing is sent
    source.picture.note = Note("stopped", "over")
    assert seen.screen.show(source.take(2.5), last=True)
    first, last = seen.comm.frames
    assert (first["number"], first["whole"], first["note"]) == (1, True, None)
    assert (last["number"], last["whole"], last["note"]) == (2, True, {"text": "stopped", "mood": "over"})
    assert len(first["buffers"][0]) == 16
    assert last["picture"]["names"] == ["y"]


def test_a_browser_that_does_not_answer_gets_few_frames_and_one_that_asks_gets_all(seen):
    seen.shell.tell("post_run_cell")
    source = Source(Plot, lambda item: item)
    shown = [seen.screen.show(source.take(number), last=False) for number in range(6)]
    assert shown == [True, True, True, False, False, False]
    seen.comm.hear({"drawn": 2})
    assert seen.screen.show(source.take(6), last=False)
    assert (seen.comm.frames[-1]["whole"], seen.comm.frames[-1]["picture"]["lines"]) == (False, [(0, 4, 7)])
    seen.comm.hear({"ask": True})
    assert seen.calls == ["refresh"]
    assert seen.screen.show(source.take(7), last=False)
    assert seen.comm.frames[-1]["picture"]["lines"] == [(0, 8, 8)]


def test_while_a_cell_runs_no_answer_is_waited_for(seen):
    source = Source(Plot, lambda item: item)
    assert all(seen.screen.show(source.take(number), last=False) for number in range(20))
    seen.shell.tell("post_run_cell")
    assert not seen.screen.show(source.take(1), last=False)
    seen.shell.tell("pre_run_cell")
    assert seen.screen.show(source.take(1), last=False)


def test_what_a_browser_says_is_heard_if_it_makes_sense(seen):
    for content in ({}, {"drawn": "x"}, {"drawn": None}, {"ask": 1}, {"press": True}):
        seen.comm.hear(content)
    assert seen.calls == ["press"]


# --- its script, in a browser


@pytest.fixture
def open_page(chromium, connect):
    def opened(kind: str, **options) -> Page:
        return Page(connect(chromium.new_page()), kind, **options)

    return opened


def pixels(page: Page) -> list[int]:
    """How many pixels of the canvas have each of the first lines' colours, about."""
    return page.evaluate("""(() => {
      const canvas = document.querySelector("canvas");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const wanted = [[31, 111, 180], [194, 81, 12], [108, 178, 242], [245, 158, 98]];
      const found = wanted.map(() => 0);
      for (let at = 0; at < data.length; at += 4) {
        wanted.forEach((colour, place) => {
          found[place] += data[at + 3] > 60 && colour.every((each, part) => Math.abs(each - data[at + part]) < 12);
        });
      }
      return found;
    })()""")


def test_a_view_asks_for_all_and_tells_what_it_has_drawn(open_page):
    page = open_page("sheet")
    assert page.evaluate("sent") == [{"ask": True}]
    source = table()
    for number in range(3):
        page.draw(source.take(number), whole=number == 0)
    assert page.evaluate("sent.slice(1)") == [{"drawn": 1}, {"drawn": 2}, {"drawn": 3}]
    assert page.evaluate("document.querySelector('.rxsocket').dataset.drawn") == "3"
    assert page.texts("td") == ["2", "1", "0"]
    page.evaluate("leave()")
    page.feed(source.take(3).frame(whole=True), whole=True)
    assert page.texts("td")[0] == "2"


def test_a_view_whose_kernel_is_gone_says_so_until_a_frame_comes(open_page):
    page = open_page("sheet")
    source = table()
    page.draw(source.take(1), whole=True)
    page.evaluate("lose()")
    assert page.texts(".rx-note:not([hidden])") == ["the kernel is gone"]
    page.draw(source.take(2), whole=False)
    assert page.texts(".rx-note:not([hidden])") == []


def test_what_comes_from_the_network_is_never_markup(open_page):
    page = open_page("sheet")
    source = Source(Table, 10, None, EVIL)
    source.take({EVIL: EVIL, "b": "x" * 1_000_000})
    page.draw(source.picture, whole=True)
    page.feed(source.picture.frame(whole=True), whole=True, note={"text": EVIL, "mood": "bad"})
    page.until("document.querySelector('.rx-note').textContent")
    assert page.texts(".rxsocket script, .rxsocket img") == []
    assert page.evaluate("faults") == []
    assert page.texts("th") == [EVIL[:119] + f"… ({len(EVIL)} characters)" if len(EVIL) > 120 else EVIL, "b"]
    assert page.texts(".rx-note") == [EVIL]
    page = open_page("plot")
    page.draw(Source(Plot, {EVIL: float, "b": float}, title=EVIL, unit=EVIL).take(1.0), whole=True)
    assert page.texts(".rxsocket script, .rxsocket img") == []
    assert page.texts(".rx-legend span") == [EVIL, "b"]


@pytest.mark.parametrize("dark", [False, True])
def test_lines_are_drawn_in_the_colours_of_the_page(open_page, dark, tmp_path):
    page = open_page("plot", dark=dark)
    source = Source(Plot, {"sine": lambda x: math.sin(x / 20), "cosine": lambda x: math.cos(x / 20)}, unit="V")
    source.picture._x = float
    page.draw(source.take(*range(100)), whole=True)
    page.draw(source.take(*range(100, 200)), whole=False)
    found = pixels(page)
    shown, hidden = (found[2:], found[:2]) if dark else (found[:2], found[2:])
    assert min(shown) > 200
    assert max(hidden) < 20
    assert page.texts(".rx-legend span") == ["sine", "cosine"]
    assert len(page.picture(tmp_path / "plot.png")) > 5000


def test_a_frame_that_is_missing_has_it_ask_for_all_once(open_page):
    page = open_page("plot")
    source = Source(Plot, float)
    page.draw(source.take(1), whole=True)
    page.feed(source.take(2).frame(whole=False), whole=False, skipped=1)
    page.feed(source.take(3).frame(whole=False), whole=False)
    assert page.evaluate("sent.filter((each) => each.ask).length") == 2
    page.draw(source.take(4), whole=True)
    page.draw(source.take(5), whole=False)
    page.evaluate("document.querySelector('details').open = true")
    page.until("document.querySelector('td')")
    assert page.texts("td") == ["float", "5", "1", "5", "5"]


def test_a_browser_keeps_the_points_that_the_kernel_keeps(open_page):
    page = open_page("plot")
    source = Source(Plot, float, window=300)
    page.evaluate("document.querySelector('details').open = true")
    for start in range(0, 5000, 250):
        page.draw(source.take(*range(start, start + 250)), whole=start == 0)
    page.until("document.querySelector('td').textContent")
    assert page.texts("td") == ["float", "4,999", "4,700", "4,999", "300"]


def test_gaps_and_single_points_are_drawn_and_no_points_say_so(open_page):
    page = open_page("plot")
    source = Source(Plot, lambda item: item, x=lambda _: 1.0)
    page.draw(source.take(), whole=True)
    assert pixels(page)[0] == 0
    source = Source(Plot, lambda item: item)
    page.draw(source.take(1.0), whole=True)
    assert pixels(page)[0] > 0
    page.draw(source.take(None, math.inf, 1.0), whole=False)
    assert page.evaluate("faults") == []


def test_values_are_read_by_pointer_and_by_keys(open_page):
    page = open_page("plot")
    source = Source(Plot, lambda item: item * 10, unit="EUR", title="prices")
    source.picture._x, source.picture._axes = float, source.picture._axes.__class__("prices", "EUR", "place")
    page.draw(source.take(*range(101)), whole=True)
    page.point(400, 150)
    page.until("document.querySelector('.rx-value').textContent")
    (value,) = page.texts(".rx-value")
    assert value.startswith("place 5")
    assert value.endswith(" EUR")
    page.point(5, 450)
    page.until("!document.querySelector('.rx-value').textContent")
    page.evaluate("document.querySelector('canvas').focus()")
    page.key("End")
    page.until("document.querySelector('.rx-value').textContent.endsWith('y 1,000 EUR')")
    for _ in range(5):
        page.key("ArrowLeft")
    page.until("/y 9[0-9]0 EUR$/.test(document.querySelector('.rx-value').textContent)")
    page.key("Home")
    page.until("document.querySelector('.rx-value').textContent.endsWith('y 0 EUR')")
    page.until("document.querySelector('[role=status]').textContent.endsWith('EUR')")
    page.key("Escape")
    page.until("!document.querySelector('.rx-value').textContent")


def test_it_can_be_used_by_keyboard_and_heard(open_page):
    page = open_page("plot")
    page.draw(Source(Plot, float, title="prices", unit="EUR").take(1.5), whole=True)
    canvas = page.evaluate("""(() => {
      const canvas = document.querySelector("canvas");
      return [canvas.tabIndex, canvas.getAttribute("role"), canvas.getAttribute("aria-label")];
    })()""")
    assert canvas == [0, "img", "Plot of prices: float 1.5 EUR. Arrow keys show values."]
    assert page.texts("[role=status]") == ["Plot of prices: float 1.5 EUR"]
    assert page.texts("summary") == ["Values as a table"]
    page = open_page("sheet")
    source = table()
    page.draw(source.take(1), whole=True)
    page.draw(source.take(2), whole=False)
    assert page.texts("[role=status]") == ["Live, items, items 1, rate 0/s"]  # the next only after some seconds
    assert page.evaluate("document.querySelector('.rxsocket').getAttribute('aria-label')") == "Live items"


def test_a_plot_has_the_size_of_its_place_and_the_sharpness_of_the_screen(open_page):
    page = open_page("plot")
    page.draw(Source(Plot, float).take(1, 2, 3), whole=True)
    page.resize(400, 500, 2)
    page.until("document.querySelector('canvas').width === 2 * document.querySelector('canvas').clientWidth")
    assert page.evaluate("document.querySelector('canvas').width") < 800
    assert page.evaluate("document.querySelector('canvas').height") == 560
    page.until("sent.length === 2")  # that it was drawn again for the page is not told as a frame


@pytest.mark.parametrize("width", [320, 760])
def test_nothing_is_wider_than_its_place(open_page, width, caplog):
    caplog.set_level(logging.ERROR)
    page = open_page("sheet", width=width)
    source = table()
    page.draw(source.take(*[{f"a long name {place}": "x" * 200 for place in range(12)}] * 3), whole=True)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page = open_page("plot", width=width)
    page.evaluate("document.querySelector('details').open = true")
    source = Source(Plot, {f"a line with a long name {place}" * 3: float for place in range(12)}, unit="EUR")
    page.draw(source.take(1e300, -1e300), whole=True)
    page.until("document.querySelector('td')")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_button_says_so_and_is_only_there_where_there_is_one(open_page):
    page = open_page("sheet")
    page.draw(table().take(1), whole=True)
    assert page.evaluate("document.querySelector('button').hidden")
    sheet = table().take(1).sheet().__class__("a replay", "good", "Open", portion=0.5, action="Stop")
    content = {name: getattr(sheet, name) for name in sheet.__struct_fields__}
    page.feed((content, []), whole=True)
    page.until("!document.querySelector('button').hidden")
    page.evaluate("document.querySelector('button').click()")
    assert page.evaluate("sent.at(-1)") == {"press": True}
    assert page.evaluate("document.querySelector('progress').value") == 0.5
