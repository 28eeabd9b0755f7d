"""The commands that listen, record, replay and serve, in processes of their own, on pipes and on a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import pytest
from cassettes import LINES, written
from servers import Wire, in_turn

from rxsocket import Cassette, Close, commands, websocket
from rxsocket.cassette import Text

DEADLINE = 10
COMMAND = [sys.executable, "-W", "error", "-m", "rxsocket"]


def run(*arguments: str | Path, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 of this file
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=DEADLINE, check=False, **options
    )


@contextlib.contextmanager
def started(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(  # noqa: S603 of this file
        [*COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def sends(*messages: str | bytes, close: Close | None = Close(1000)):  # noqa: B008 it is immutable
    def script(wire: Wire) -> None:
        wire.send(*messages)
        if close is None:
            wire.answer_close()
        else:
            wire.close(close)
            wire.wait_for_end()

    return script


# --- listen


def test_listen_prints_a_message_a_line_until_the_server_closes(play):
    done = run("listen", play(sends("one", "two\nlines \x1b[2J\x9b", b"\0\xff", "größer")))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "one\ntwo\\nlines \\x1b[2J\\x9b\n00ff\ngrößer\n"


def test_listen_prints_binary_as_base64_if_told(play):
    assert run("listen", play(sends(b"\0\xff")), "--binary", "base64").stdout == "AP8=\n"


def test_listen_prints_a_field_and_tells_of_messages_without_it(play):
    feed = [json.dumps({"items": [{"id": n, "name": "x\ny"}]}) for n in (1, 2)]
    url = play(sends(feed[0], "{}", "no json \x1b", feed[1]))
    done = run("listen", url, "--json", "items[0].id")
    assert (done.returncode, done.stdout) == (0, "1\n2\n")
    first, second = done.stderr.splitlines()
    assert first == "rxsocket listen: a message is left out: it has no items"
    assert second.startswith("rxsocket listen: a message is left out: it is no JSON")
    assert run("listen", url, "--json", "items[0].id", "--count", "2").stdout == "1\n2\n"


def test_listen_sends_at_each_opening_and_connects_again(play):
    heard = []

    def first(wire: Wire) -> None:
        heard.extend([wire.next(), wire.next()])
        wire.send("one")
        wire.answer_close() if len(heard) > 2 else wire.reset()

    def second(wire: Wire) -> None:
        heard.extend([wire.next(), wire.next()])
        sends("two")(wire)

    done = run("listen", play(in_turn(first, second)), "--send", "hello", "--send", "again", "--reconnect")
    assert done.returncode == 0
    assert heard == ["hello", "again"] * 2
    assert done.stdout.endswith("two\n")
    assert "is lost" in done.stderr


def test_listen_sends_headers_and_protocols(play):
    requests = []

    def script(wire: Wire) -> None:
        requests.append(wire.request.decode())
        sends()(wire)

    options = ["--header", "X-Key: a:b", "--header", "X-Key:c", "--header", "Y: d", "--protocol", "chat.v1"]
    assert run("listen", play(script), *options, "--protocol", "chat.v2").returncode == 0
    assert "\r\nX-Key: a:b, c\r\n" in requests[0]
    assert "\r\nY: d\r\n" in requests[0]
    assert "\r\nSec-WebSocket-Protocol: chat.v1, chat.v2\r\n" in requests[0].replace(
        "chat.v1,chat.v2", "chat.v1, chat.v2"
    )


def test_listen_ends_after_a_count_with_a_close(play):
    closes = []

    def script(wire: Wire) -> None:
        wire.send(*map(str, range(20_000)))
        closes.append(wire.answer_close())

    done = run("listen", play(script), "--count", "3")
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n1\n2\n", "")
    assert closes == [Close(1000)]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_listen_says_where_its_output_can_not_be_written(play):
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        process = subprocess.run(  # noqa: S603 of this file
            [*COMMAND, "listen", play(sends("one"))],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
    said = "rxsocket listen: what came can't be printed: No space left on device\n"
    assert process.stderr == said


def test_a_second_signal_ends_at_once_also_where_nobody_reads_what_is_printed(play):
    def script(wire: Wire) -> None:
        with contextlib.suppress(OSError):
            while True:
                wire.send("x" * 1000)

    with started("listen", play(script)) as process:
        reading, _, _ = select.select([process.stdout], [], [], DEADLINE)
        assert reading
        process.send_signal(signal.SIGINT)
        for _ in range(100):
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
                break
        assert process.returncode == -signal.SIGINT


@pytest.mark.parametrize("messages", [["x"] * 1000, [b"x" * 1024] * 500, ["x" * (2 << 20)]])
def test_what_waits_to_be_printed_is_bound_by_count_and_by_size(messages):
    inbox = commands._Inbox(commands.WAITING)
    for message in messages:
        assert not inbox.full()
        inbox.put(message, block=False)
    assert inbox.full()
    for message in messages:
        assert not inbox.empty()
        assert inbox.get(block=False) is message
    assert inbox.empty()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_listen_ends_at_a_signal_with_a_close(number, play):
    closes = []

    def script(wire: Wire) -> None:
        wire.send("one")
        closes.append(wire.answer_close())

    with started("listen", play(script)) as process:
        assert process.stdout.readline() == "one\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out, err) == (0, "", "")
    assert closes == [Close(1000)]


@pytest.mark.parametrize("command", ["listen", "replay"])
def test_who_reads_no_more_ends_it_quietly(command, play, tmp_path):
    texts = [str(n) for n in range(50_000)]
    target = (
        play(sends(*texts))
        if command == "listen"
        else written(tmp_path / "f", [*LINES[:2], *[Text(1, text, 1) for text in texts]])
    )
    with started(command, target) as process:
        assert process.stdout.readline() == "0\n"
        process.stdout.close()
        assert process.wait(DEADLINE) == 0
        assert process.stderr.read() == ""


@pytest.mark.parametrize(("code", "expected"), [(1000, 0), (1001, 0), (1011, 1), (4000, 1)])
def test_the_exit_code_says_whether_the_server_closed_in_good_order(code, expected, play):
    done = run("listen", play(sends("one", close=Close(code, "\x1b[31mred"))))
    assert (done.returncode, done.stdout) == (expected, "one\n")
    assert "\x1b" not in done.stderr
    assert (f"{code} \\x1b[31mred" in done.stderr) == bool(expected)


@pytest.mark.parametrize("command", [["listen"], ["record"]])
@pytest.mark.parametrize(
    ("url", "said"), [("http://host", "its scheme is 'http'"), ("ws://127.0.0.1:1", "Connection refused")]
)
def test_what_can_not_be_connected_to_is_a_sentence_and_1(command, url, said, tmp_path):
    done = run(*command, url, *([tmp_path / "feed.jsonl"] if command == ["record"] else []))
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_header_or_protocol_that_can_not_be_sent_is_a_sentence_and_1():
    done = run("listen", "ws://127.0.0.1:1", "--header", "a b: c")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr


def test_an_output_that_has_no_such_letters_gets_them_escaped(play):
    done = run("listen", play(sends("größer")), env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stdout) == (0, "gr\\xf6\\xdfer\n")


# --- record


def test_record_writes_all_and_says_how_much(play, tmp_path):
    path = tmp_path / "feed.jsonl.gz"
    done = run("record", play(sends("one", b"two", "three")), path)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(rf"rxsocket record: 3 messages in \d+\.\d s, \d+ B in {path}\n", done.stdout)
    assert Cassette(path).is_complete
    assert path.read_bytes().startswith(b"\x1f\x8b")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_record_ends_at_a_signal_with_the_end_of_the_session(number, play, tmp_path):
    path = tmp_path / "feed.jsonl"

    def script(wire: Wire) -> None:
        wire.send("one")
        wire.answer_close()

    with started("record", play(script), path) as process:
        wait_for_texts(path, 1)
        process.send_signal(number)
        out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, err) == (0, "")
    assert out.startswith("rxsocket record: 1 messages in ")
    assert Cassette(path).is_complete


def wait_for_texts(path: Path, count: int) -> None:
    deadline = time.monotonic() + DEADLINE
    while not (path.exists() and path.read_bytes().count(b'["text"') >= count):
        assert time.monotonic() < deadline


@pytest.mark.parametrize("limit", ["--count=2", "--seconds=0.5"])
def test_record_ends_at_a_limit(limit, play, tmp_path):
    path = tmp_path / "feed.jsonl"

    def script(wire: Wire) -> None:
        wire.send("one", "two", *["three", "four"] * limit.startswith("--count"))
        wire.answer_close()

    done = run("record", play(script), path, limit)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.data for line in Cassette(path) if isinstance(line, Text)] == ["one", "two"]
    assert Cassette(path).is_complete


def test_record_keeps_a_file_unless_told_otherwise(play, tmp_path):
    path = tmp_path / "feed.jsonl"
    path.write_text("precious")
    url = play(sends("one"))
    done = run("record", url, path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"rxsocket record: {path} exists: give another name, or --overwrite\n"
    assert path.read_text() == "precious"
    assert run("record", url, path, "--overwrite", "--compress").returncode == 0
    assert path.read_bytes().startswith(b"\x1f\x8b")


def test_record_to_where_it_can_not_is_a_sentence_and_1(play, tmp_path):
    done = run("record", "ws://127.0.0.1:1", tmp_path / "none" / "feed.jsonl")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("feed.jsonl can't be written: No such file or directory\n")


def test_record_goes_on_where_nobody_reads_what_it_says(play, tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    path = tmp_path / "feed.jsonl"
    url = play(sends(*map(str, range(100))))
    process = subprocess.run(  # noqa: S603 of this file
        [*COMMAND, "record", url, str(path)], stdout=writer, stderr=subprocess.PIPE, timeout=DEADLINE, check=False
    )
    os.close(writer)
    assert (process.returncode, process.stderr) == (0, b"")
    assert Cassette(path).is_complete


def test_record_with_a_disk_that_ends_says_so_and_1(play, tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def script(wire: Wire) -> None:
        select.select([reader], [], [], DEADLINE)  # the header is there
        os.close(reader)
        wire.send("one")
        wire.answer_close()

    done = run("record", play(script), path, "--overwrite")
    assert done.returncode == 1
    assert "can't be written any more" in done.stderr
    assert "Traceback" not in done.stderr


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._main, side = pty.openpty()
        self.process = subprocess.Popen([*COMMAND, *arguments], stdin=side, stdout=side, stderr=side)  # noqa: S603
        os.close(side)
        self.shown = ""

    def until(self, pattern: str) -> None:
        deadline = time.monotonic() + DEADLINE
        while not re.search(pattern, self.shown):
            assert time.monotonic() < deadline, self.shown
            if select.select([self._main], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(self._main, 1 << 16).decode()
                except OSError:  # the process has ended
                    break
        assert re.search(pattern, self.shown), self.shown

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(DEADLINE)
        os.close(self._main)


def test_record_shows_a_line_that_changes_on_a_terminal(play, tmp_path):
    def script(wire: Wire) -> None:
        wire.send(*["x"] * 1500)
        wire.answer_close()

    path = tmp_path / "feed.jsonl"
    with Terminal(["record", play(script), str(path)]) as terminal:
        terminal.until(r"\r\x1b\[Krxsocket record: 1,500 messages, [1-9][\d,]*/s, \d+\.\d kB \(Ctrl\+C ends it\)")
        assert "\n" not in terminal.shown
        terminal.process.send_signal(signal.SIGINT)
        terminal.until(rf"\r\x1b\[Krxsocket record: 1,500 messages in \d+\.\d s, \d+\.\d kB in {path}\r\n")
        assert terminal.process.wait(DEADLINE) == 0


def test_record_shows_plain_lines_elsewhere(play, tmp_path, monkeypatch, capsys):
    from rxsocket import commands  # noqa: PLC0415 for its constant

    monkeypatch.setattr(commands, "PLAIN_SECONDS", 0.3)
    session = websocket(play(sends("one", close=None)))
    path = str(tmp_path / "feed.jsonl")
    assert commands.record(session, path, seconds=1.5, count=None, compress=None, overwrite=False) == 0
    *plain, last = capsys.readouterr().out.splitlines()
    assert 2 <= len(plain) <= 5
    assert all(re.fullmatch(r"rxsocket record: 1 messages, \d/s, \d+ B", line) for line in plain)
    assert last.startswith("rxsocket record: 1 messages in 1.")


# --- replay


def test_replay_prints_the_messages_in_their_time(tmp_path):
    path = written(tmp_path / "feed.jsonl")
    begin = time.monotonic()
    done = run("replay", path)
    assert time.monotonic() - begin > 2.0
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"one\\n\\u2028🙂\n{bytes(range(256)).hex()}\ntwo\n".replace("🙂", "\U0001f600")


@pytest.mark.parametrize("options", [["--at-once"], ["--speed", "1000"]])
def test_replay_can_be_faster(options, tmp_path):
    begin = time.monotonic()
    done = run("replay", written(tmp_path / "feed.jsonl.gz"), "--count", "1", *options)
    assert time.monotonic() - begin < 2.0
    assert (done.returncode, done.stdout) == (0, "one\\n\\u2028\U0001f600\n")


def test_replay_of_what_was_cut_short_says_so(tmp_path):
    path = written(tmp_path / "feed.jsonl", LINES[:5])
    done = run("replay", path, "--at-once")
    assert done.returncode == 0
    assert done.stderr == f"rxsocket replay: {path} ends here, and its session did not\n"


def test_replay_of_a_damaged_one_says_where_and_1(tmp_path):
    done = run("replay", written(tmp_path / "feed.jsonl", LINES[:3], b"\x1b[2J\n"), "--at-once")
    assert done.returncode == 1
    assert done.stdout.count("\n") == 1
    assert "line 5 is damaged" in done.stderr
    assert "\x1b" not in done.stderr


def test_replay_of_what_is_no_cassette_says_so_and_1(tmp_path):
    (tmp_path / "x").write_text("hello\n")
    assert "is no cassette" in run("replay", tmp_path / "x").stderr
    done = run("replay", tmp_path / "none")
    assert (done.returncode, done.stderr) == (
        1,
        f"rxsocket replay: {tmp_path}/none can't be read: No such file or directory\n",
    )


def test_replay_ends_at_a_signal(tmp_path):
    with started("replay", written(tmp_path / "feed.jsonl", [*LINES[:3], Text(3_600_000_000, "late", 1)])) as process:
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out, err) == (0, "", "")


# --- serve


def test_serve_plays_it_until_a_signal(tmp_path):
    with started("serve", written(tmp_path / "feed.jsonl"), "--at-once") as process:
        line = process.stdout.readline()
        (url,) = re.findall(r"at (ws://127.0.0.1:\d+) \(Ctrl\+C stops it\)", line)
        assert run("listen", url).stdout == f"one\\n\\u2028\U0001f600\n{bytes(range(256)).hex()}\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out, err) == (0, "rxsocket serve: stopped\n", "")


def test_serve_of_what_it_can_not_is_a_sentence_and_1(tmp_path):
    done = run("serve", tmp_path / "none")
    assert (done.returncode, done.stderr) == (1, f"rxsocket serve: {tmp_path / 'none'}: No such file or directory\n")
    done = run("serve", written(tmp_path / "feed.jsonl", LINES[:1]))
    assert done.returncode == 1
    assert "has no connection to play" in done.stderr
