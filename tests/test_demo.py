"""The demo: with a real hub, in lines and in a terminal, and with hubs that fall short."""

from __future__ import annotations

import ast
import inspect
import os
import re
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from rxsocket import demo, demo_stage
from rxsocket.hub import Hub, SharedEntity

WITHIN = 15  # seconds, from start to end
TITLES = ["A session's life", "Two stores in sync", "A part of a store", "Two clients in a chat", "The end"]
COMMAND = [sys.executable, "-m", "rxsocket", "demo"]


@pytest.fixture
def hasty(monkeypatch):
    """Whatever does not come is found out about soon."""
    monkeypatch.setattr(demo_stage, "DEADLINE", 0.2)


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("rxsocket")}


def marks(out: str) -> dict[str, str]:
    """The mark of each step in the summary's lines."""
    summary = out.rpartition("\nSummary\n")[2]
    return {title: mark for mark, title in re.findall(r"^ {3}([✓✗]) ([^:]+):", summary, re.MULTILINE)}


def test_in_lines_it_shows_each_step_and_all_went_well(capsys):
    before = threads()
    began = time.monotonic()
    assert demo.run() == 0
    assert time.monotonic() - began < WITHIN
    out, err = capsys.readouterr()
    assert err == ""
    assert marks(out) == dict.fromkeys(TITLES, "✓")
    assert all(f"\n{number}. {title}\n" in out for number, title in enumerate(TITLES, 1))
    assert "\x1b" not in out
    assert threads() == before


@pytest.mark.parametrize(
    "line",
    [
        r"· Ada   Open /hello",
        r"→ Ada   Anybody there\?",
        r"← Ada   Anybody there\? Grace is!",
        r"· Ada   Closed 1000 'finished' by the client /hello",
        r"! Ada   SendException: .*the session is closed.*",
        r"→ Ada   name = Emmy Noether, age = 32, address.city = Erlangen, id = \w{10}",
        r"← Grace name = Emmy Noether, age = 32, address.city = Erlangen, id = \w{10}",
        r"→ Grace age = 33",
        r"← Ada   age = 33",
        r"← Grace address.city = Göttingen",
        r"← Ada   JOINING Grace",
        r"← hub   members: Ada, Grace",
        r"← Grace MESSAGE Ada: Hello, Grace!",
        r"← Ada   LEAVING Grace",
        r"· Ada   Closed 1001 by the server /chat/lounge",
    ],
)
def test_what_is_shown(line, shown):
    assert re.search(rf"^ +\d\.\d{{3}} {line}$", shown, re.MULTILINE)


@pytest.fixture(scope="module")
def shown() -> str:
    done = subprocess.run(  # noqa: S603 of this file
        COMMAND,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        timeout=WITHIN,
        check=True,
    )
    return done.stdout


def test_the_code_that_is_shown_is_the_code_that_runs():
    shown = 0
    for step in demo._STEPS:
        tree = ast.parse(inspect.getsource(step))
        runs = {ast.dump(node) for node in ast.walk(tree) if isinstance(node, ast.stmt | ast.expr)}
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        for call in calls:
            if isinstance(call.func, ast.Attribute) and call.func.attr == "show":
                (line,) = (argument.value for argument in call.args if isinstance(argument, ast.Constant))
                (statement,) = ast.parse(line).body
                code = statement.value if isinstance(statement, ast.Expr) else statement
                assert ast.dump(code) in runs, line
                shown += 1
    assert shown == inspect.getsource(demo).count("stage.show(")


@pytest.mark.usefixtures("hasty")
def test_a_hub_that_does_not_pass_entities_on_falls_short(monkeypatch, capsys):
    def keep(self: SharedEntity, client: Any, entity: str | bytes) -> None: ...

    monkeypatch.setattr(SharedEntity, "receive", keep)
    before = threads()
    assert demo.run() == 1
    out = capsys.readouterr().out
    assert marks(out) == dict(zip(TITLES, "✗✗✗✓✓", strict=True))
    assert "✗ Two stores in sync: Ada's update in Grace's store did not come in time" in out
    assert out.endswith(" s\n")
    assert "\n2 of 5 steps went as they should" in out
    assert threads() == before


@pytest.mark.usefixtures("hasty")
def test_without_a_hub_every_step_falls_short_and_says_why(monkeypatch, capsys):
    class Broken(Hub):
        def start(self):
            raise OSError("no port is left")

    monkeypatch.setattr(demo, "Hub", Broken)
    assert demo.run() == 1
    out = capsys.readouterr().out
    assert marks(out) == dict.fromkeys(TITLES, "✗")
    assert "✗ A session's life: OSError: no port is left" in out
    assert "✗ The end: there is no hub to connect to" in out


@pytest.mark.usefixtures("hasty")
def test_a_hub_that_can_not_be_closed_is_no_reason_not_to_sum_up(monkeypatch, capsys):
    class Stuck(Hub):
        def close(self):
            super().close()
            raise RuntimeError("stuck")

    monkeypatch.setattr(demo, "Hub", Stuck)
    assert demo.run() == 1
    assert marks(capsys.readouterr().out) == dict(zip(TITLES, "✓✓✓✓✗", strict=True))


def test_the_picture_is_an_svg_that_loads_nothing(tmp_path, capsys):
    path = tmp_path / "demo.svg"
    assert demo.run(str(path)) == 0
    svg = path.read_text(encoding="utf-8").replace("&#160;", " ")
    assert svg.startswith("<svg")
    assert not re.search(r"url\((?!#)|@font-face|href", svg)
    for text in (*TITLES, "Göttingen", "Emmy Noether", "Hello, Grace!", "Closed 1001"):
        assert text.replace("'", "&#x27;") in svg
    capsys.readouterr()


def test_a_picture_that_can_not_be_written_is_a_sentence_and_1(tmp_path, capsys):
    path = tmp_path / "missing" / "demo.svg"
    assert demo.run(str(path)) == 1
    assert capsys.readouterr().err == f"rxsocket demo: can't write {path}: No such file or directory\n"


def test_without_rich_the_command_says_which_extra_to_install():
    program = "import sys; sys.modules['rich'] = None; from rxsocket.__main__ import main; sys.exit(main(['demo']))"
    done = subprocess.run(  # noqa: S603 of this file
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=WITHIN, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'rxsocket[demo]'" in done.stderr


def test_an_output_that_is_closed_early_is_no_error():
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 of this file
        assert process.stdout.readline() == "rxsocket demo\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(WITHIN) == 0


def test_an_output_that_knows_only_ascii():
    done = subprocess.run(  # noqa: S603 of this file
        COMMAND, capture_output=True, env=os.environ | {"PYTHONIOENCODING": "ascii"}, timeout=WITHIN, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"? Two stores in sync" in done.stdout


class Terminal:
    """A process of the demo in a terminal of its own."""

    def __init__(self, columns: int, rows: int, **environment: str) -> None:
        pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
        self._fd, end = pty.openpty()
        termios.tcsetwinsize(end, (rows, columns))
        kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
        environment = kept | {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"} | environment
        self.process = subprocess.Popen(COMMAND, stdin=end, stdout=end, stderr=end, env=environment)  # noqa: S603
        os.close(end)

    def read(self, *, until: bytes = b"") -> bytes:
        """What it writes, to its end or until something is in it."""
        read = b""
        while not until or until not in read:
            try:
                piece = os.read(self._fd, 65_536)
            except OSError:  # how Linux tells of the end of a pty
                break
            if not piece:
                break
            read += piece
        return read

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self._fd)


def test_in_a_terminal_it_is_a_live_picture_and_ends_by_itself():
    began = time.monotonic()
    with Terminal(80, 24) as terminal:
        screen = terminal.read().decode()
        assert terminal.process.wait(WITHIN) == 0
    assert time.monotonic() - began < WITHIN
    assert "\x1b[" in screen
    assert "5 of 5 steps went as they should" in screen
    assert all(title in screen for title in TITLES)
    assert screen.count("╭─") > 100  # drawn again and again


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_in_a_plain_terminal_there_are_lines_and_ctrl_c_ends_them_with_130(environment):
    with Terminal(80, 24, **environment) as terminal:
        screen = terminal.read(until=b"Hub().start()")
        terminal.process.send_signal(signal.SIGINT)
        screen += terminal.read()
        assert terminal.process.wait(WITHIN) == 130
    assert b"\x1b" not in screen
    assert screen.endswith(b"rxsocket demo: interrupted\r\n")


def test_ctrl_c_ends_the_live_picture_with_130_and_the_terminal_as_it_was():
    with Terminal(100, 30) as terminal:
        screen = terminal.read(until=b"/hello")
        terminal.process.send_signal(signal.SIGINT)
        screen += terminal.read()
        assert terminal.process.wait(WITHIN) == 130
    assert b"Traceback" not in screen
    assert screen.rindex(b"\x1b[?25h") > screen.rindex(b"\x1b[?25l")  # the cursor is there again
    assert screen.endswith(b"rxsocket demo: interrupted\r\n")
