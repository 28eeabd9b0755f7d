"""The command line, in processes of its own."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
from importlib.metadata import version

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from rxsocket.__main__ import main

DEADLINE = 10
COMMAND = [sys.executable, "-m", "rxsocket"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 of this file
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=DEADLINE, check=False
    )


@contextlib.contextmanager
def started(*arguments: str):
    """A hub in a process of its own, and its URL."""
    command = [*COMMAND, "hub", "--port", "0", *arguments]
    with subprocess.Popen(  # noqa: S603 of this file
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            line = process.stdout.readline()
            (url,) = re.findall(r"ws://\S+", line)
            yield process, url
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_hub_serves_until_a_signal_and_exits_with_0(number):
    with (
        started() as (process, url),
        connect(url, proxy=None) as first,
        connect(url, proxy=None) as second,
    ):
        first.send("one")
        assert second.recv(timeout=DEADLINE) == "one"
        process.send_signal(number)
        with pytest.raises(ConnectionClosed) as raised:
            second.recv(timeout=DEADLINE)
        assert raised.value.rcvd.code == 1001
        with pytest.raises(ConnectionClosed):
            first.recv(timeout=DEADLINE)
        out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out, err) == (0, "rxsocket hub: stopped\n", "")


def test_a_taken_port_is_a_sentence_and_exit_code_1():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("hub", "--port", str(port))
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(f"rxsocket hub: .*cannot listen on 127.0.0.1, port {port}: .+\n", done.stderr)


def test_another_host():
    with started("--host", "127.0.0.2") as (_, url):
        assert url.startswith("ws://127.0.0.2:")


@pytest.mark.parametrize("port", ["-1", "65536", "http", "²"])
def test_a_port_that_is_none_is_a_sentence_and_exit_code_2(port, capsys):
    with pytest.raises(SystemExit) as raised:
        main(["hub", f"--port={port}"])
    assert raised.value.code == 2
    assert "a port is a number from 0 to 65535" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "extra", "missing"),
    [("hub", "hub", "websockets"), ("demo", "demo", "rich"), ("serve", "hub", "websockets")],
)
def test_a_missing_extra_is_named(command, extra, missing, monkeypatch, capsys):
    modules = ("rxsocket.hub", "rxsocket.demo", "rxsocket.serving")
    for name in [name for name in sys.modules if name.startswith(modules)]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    assert main([command, *(["feed.jsonl"] if command == "serve" else [])]) == 1
    assert f"pip install 'rxsocket[{extra}]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["listen"], "required: URL"),
        (["listen", "ws://host", "--header", "X"], "a header is 'Name: value'"),
        (["listen", "ws://host", "--json", "a..b"], "a path is such as"),
        (["listen", "ws://host", "--count", "0"], "a count is 1 or more"),
        (["listen", "ws://host", "--count", "many"], "a count is 1 or more"),
        (["listen", "ws://host", "--binary", "octal"], "invalid choice"),
        (["record", "ws://host"], "required: FILE"),
        (["record", "ws://host", "f", "--seconds", "-1"], "a number over 0"),
        (["record", "ws://host", "f", "--seconds", "nan"], "a number over 0"),
        (["replay", "f", "--speed", "fast"], "a number over 0"),
        (["replay", "f", "--speed", "2", "--at-once"], "not allowed with"),
        (["serve", "f", "--port", "x"], "a port is a number"),
    ],
)
def test_what_can_not_be_meant_is_a_sentence_and_exit_code_2(arguments, said, capsys):
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("options", "save"), [([], None), (["--save", "a.svg"], "a.svg")])
def test_the_demo_is_run_and_gives_the_exit_code(options, save, monkeypatch):
    class Demo:
        run = staticmethod(lambda path: 7 if path == save else 8)

    monkeypatch.setitem(sys.modules, "rxsocket.demo", Demo)
    assert main(["demo", *options]) == 7


def test_version():
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"rxsocket {version('rxsocket')}\n")


def test_no_command_shows_the_help_and_exits_with_2(capsys):
    assert main([]) == 2
    help_text = capsys.readouterr().err
    assert "hub" in help_text
    for command in ("demo", "listen", "record", "replay", "serve"):
        assert command in help_text


@pytest.mark.parametrize("command", [[], ["hub"], ["demo"], ["listen"], ["record"], ["replay"], ["serve"]])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as raised:
        main([*command, "--help"])
    assert raised.value.code == 0
    assert "usage: rxsocket" in capsys.readouterr().out
