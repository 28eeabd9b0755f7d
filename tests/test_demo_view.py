"""What the demo shows, and how: nothing that came over the network is taken for markup or for control codes."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from rxsocket.demo_view import Board, LineView, LiveView, Step, View, open_view, save_picture


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}.items():
        monkeypatch.setenv(name, value)


def board() -> Board:
    return Board([Step("one", "The one"), Step("two", "The two")])


def drawn(shown: Board, width: int = 80, height: int = 24) -> str:
    console = Console(file=io.StringIO(), record=True, width=width, height=height, force_terminal=True)
    console.print(shown)
    return console.export_text()


def filled(text: str) -> Board:
    shown = board()
    first, second = shown.steps
    shown.begin(first)
    shown.code(f"print({text!r})")
    shown.paper("Ada", {"a": "", text: text})
    shown.paper("Ada", {"a": text, text: text})
    shown.paper("Grace", {"a": text})
    shown.said(text, text, text, notice=False)
    shown.said("09:30", "Ada", "joins", notice=True)
    shown.members([text, text])
    shown.event("→", "Ada", text)
    shown.end(first, text, ok=True)
    shown.begin(second)
    shown.end(second, text, ok=False)
    shown.stop()
    return shown


@pytest.mark.parametrize(("width", "height"), [(72, 22), (80, 24), (100, 30), (200, 60)])
def test_the_picture_fits_its_terminal(width, height):
    lines = drawn(filled("Göttingen"), width, height).splitlines()
    assert len(lines) < height
    assert max(map(len, lines)) <= width
    assert any("✓ one" in line and "✗ two" in line for line in lines)


@pytest.mark.parametrize("text", ["[bold red]no[/]", "[/]", "[link=x]", ":smile:"])
def test_a_text_is_no_markup(text):
    shown = filled(text)
    picture = drawn(shown, 160, 40)
    assert picture.count(text) >= 8
    console = Console(file=io.StringIO(), width=160)
    console.print(shown.summary())
    assert console.file.getvalue().count(text) == 2


def test_a_text_has_no_control_codes(capsys):
    shown = board()
    out = io.StringIO()
    with open_view(shown, out) as view:
        shown.event("←", "Ada", "a\x1b[2Jb\r\nc\x07\x9bd")
        shown.end(shown.steps[0], "e\x1b[2J\nf", ok=False)
        view.sum_up()
    assert not set(out.getvalue()) & set("\x1b\r\x07\x9b")
    assert "a�[2Jb��c��d\n" in out.getvalue()
    assert "   ✗ The one: e�[2J�f\n" in out.getvalue()
    assert "\x1b[2J" not in drawn(shown)


def test_what_is_new_is_told_and_marked():
    shown = board()
    assert shown.paper("Ada", {"a": "1", "b": "2"}) == set()
    assert shown.paper("Ada", {"a": "1", "b": "3"}) == {"b"}
    assert shown.paper("Ada", {"a": "2", "b": "3"}) == {"a"}


def test_the_last_lines_stay_to_be_seen():
    shown = board()
    for number in range(100):
        shown.event("→", "Ada", f"event {number}.")
        shown.code(f"code({number})")
    picture = drawn(shown)
    assert "event 99." in picture
    assert "code(99)" in picture
    assert "event 0." not in picture


def test_the_verdict():
    assert filled("x").verdict().plain.startswith("1 of 2 steps went as they should, in 0.0 s")


@pytest.mark.parametrize(
    ("environment", "view"),
    [
        ({}, LiveView),
        ({"NO_COLOR": "1"}, LineView),
        ({"TERM": "dumb"}, LineView),
        ({"COLUMNS": "71"}, LineView),
        ({"LINES": "21"}, LineView),
    ],
)
def test_the_view_that_fits_a_terminal(environment: dict[str, str], view: Any, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    shown = board()
    assert type(open_view(shown, Terminal())) is view
    assert type(shown.view) is view


def test_the_view_of_an_output_that_is_no_terminal():
    assert type(open_view(board(), io.StringIO())) is LineView


def test_a_terminal_that_does_not_know_unicode_gets_lines():
    out = Terminal()
    out.encoding = "latin-1"
    with open_view(board(), out) as view:
        view.tell("a → ü")
    assert out.getvalue() == "rxsocket demo\na ? ü\n"


def test_the_live_view_leaves_its_last_picture_and_the_summary():
    out = Terminal()
    shown = filled("Göttingen")
    view: View = open_view(shown, out)
    with view:
        shown.event("→", "Ada", "the last")
    view.sum_up()
    last = out.getvalue().rpartition("rxsocket demo")[2]
    assert "the last" in last
    assert "what was seen" in last


def test_the_picture_as_a_file(tmp_path):
    path = tmp_path / "a.svg"
    save_picture(filled("<b>&"), str(path))
    svg = path.read_text(encoding="utf-8")
    assert "&lt;b&gt;&amp;" in svg
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "").replace("https://www.textualize.io", "")
