"""The benchmarks' own arithmetic, their server's frames, and a measurement with real processes."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import zlib
from dataclasses import fields

import pytest

from benchmarks.__main__ import main
from benchmarks.clients.measures import MEASURES, Task
from benchmarks.content import contents
from benchmarks.cpu import pinned
from benchmarks.peers import OURS, PEERS, with_subjects
from benchmarks.report import show, table
from benchmarks.results import Measured, advantage, has_fallen, holds, middle, ratio
from benchmarks.rows import ROWS, Bar, Metric
from benchmarks.runner import IMPORTED, Runner, running
from benchmarks.server import Handshake, Plan
from benchmarks.short import SHORT, hold, read_recorded
from benchmarks.wire import BINARY, CLOSE, TEXT, Run, close_frame, deflated, frame, runs, unmasked
from rxsocket.decoding import Decoder
from rxsocket.encoding import encode_close, encode_message
from rxsocket.frames import Close

RATE = Metric("rate", "messages/s")
TIME = Metric("time", "s", lower=True)


def rates(ours: list[float], theirs: list[float], name: str = "rate") -> Measured:
    return Measured({OURS: [{name: each} for each in ours], "aiohttp": [{name: each} for each in theirs]})


# --- arithmetic


def test_a_ratio_is_the_median_of_those_within_a_round_not_the_ratio_of_the_medians():
    # The machine was ten times slower in the second round, and a hundred times in the third.
    measured = rates([300, 20, 3], [100, 10, 1])
    assert ratio(measured, "aiohttp", RATE) == 3
    assert middle(measured.rounds[OURS], RATE) == 20


@pytest.mark.parametrize("measured", [Measured(), rates([1], []), rates([], [1])])
def test_where_one_of_two_was_not_measured_there_is_no_ratio(measured):
    assert ratio(measured, "aiohttp", RATE) is None
    assert holds(Bar(1, "aiohttp", RATE), measured) is None


@pytest.mark.parametrize(("limit", "verdict"), [(1.9, True), (2, True), (2.1, False)])
def test_a_bar_is_the_least_that_a_ratio_may_be(limit, verdict):
    assert holds(Bar(limit, "aiohttp", RATE), rates([20], [10])) is verdict


@pytest.mark.parametrize(("limit", "verdict"), [(1.9, False), (2, True), (2.1, True)])
def test_where_less_is_better_a_bar_is_the_most_that_a_ratio_may_be(limit, verdict):
    assert holds(Bar(limit, "aiohttp", TIME), rates([20], [10], "time")) is verdict


@pytest.mark.parametrize(("limit", "verdict"), [(19, False), (20, True)])
def test_a_bar_without_a_peer_is_of_the_figure_itself(limit, verdict):
    assert holds(Bar(limit, None, TIME), rates([20], [10], "time")) is verdict


def test_an_advantage_says_how_many_times_better():
    assert advantage(RATE, 4) == 4
    assert advantage(TIME, 0.25) == 4


def test_a_fall_is_one_by_a_third():
    assert not has_fallen(3, 2.01)
    assert has_fallen(3, 2)
    assert not has_fallen(3, 6)


def test_what_falls_short_is_measured_once_more_before_it_counts():
    script = {"steady": [10], "disturbed": [5, 9], "fallen": [5, 6], "better": [30]}
    left = {name: iter(times) for name, times in script.items()}
    assert hold(dict.fromkeys(script, 10.0), lambda name: next(left[name])) == {"fallen": 6}
    assert [next(times, None) for times in left.values()] == [None] * 4


def test_numbers_are_shown_with_the_digits_that_count():
    assert [show(number) for number in (2_345_678, 84_123, 2_750, 99.94, 0.51234, 0)] == [
        "2.35 M",
        "84.1 k",
        "2,750",
        "99.9",
        "0.512",
        "0",
    ]


# --- the tables


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_row_can_be_measured(row):
    assert row.peers[0] == OURS
    assert set(row.peers) <= set(IMPORTED if row.kind == "import" else PEERS)
    assert {bar.peer for bar in row.bars} <= {*row.peers, None}
    assert row.kind in {*MEASURES, "import"}
    assert set(row.options) <= {field.name for field in fields(Task)}
    assert Plan.of(row.target(0.5)).frames()


def test_what_is_recorded_is_what_is_held():
    assert read_recorded().keys() == SHORT.keys()
    assert all(held.peer in ROWS[name].peers and held.metric in ROWS[name].metrics for name, held in SHORT.items())


def test_a_peer_without_rx_is_followed_by_itself_feeding_a_subject():
    assert with_subjects(OURS, "rxjs", "picows") == (OURS, "rxjs", "picows", "picows+subject")


def test_a_table_says_who_and_what_and_whether_the_bars_are_reached():
    row = ROWS["receive-text-100"]
    measured = rates([20, 20], [5, 5])
    measured.missing["picows"] = "not installed"
    lines = list(table(row, measured))
    assert len(lines) == 5
    assert lines[2].split() == ["rxsocket", "20"]
    assert lines[3].split() == ["picows", "not", "installed"]
    assert lines[4].split() == ["aiohttp", "5", "4×", "bar", "≥", "2×:", "pass"]  # noqa: RUF001 a ratio's sign


def test_a_selection_of_nothing_is_told(capsys):
    assert main(["--rows", "nonsense"]) == 2
    assert "--list" in capsys.readouterr().err


def test_a_peer_that_there_is_not_is_told(capsys):
    with pytest.raises(SystemExit):
        main(["--peers", "picows,nonsense"])
    assert "no peer is called nonsense" in capsys.readouterr().err


def test_the_list_has_every_row(capsys):
    assert main(["--list"]) == 0
    assert set(ROWS) <= set(capsys.readouterr().out.split())


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system keeps nobody to a CPU")
def test_who_is_pinned_keeps_to_one_cpu_and_so_do_the_processes_that_it_starts():
    before = os.sched_getaffinity(0)
    with pinned():
        code = "import os; print(*os.sched_getaffinity(0))"
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout  # noqa: S603 ours
        assert os.sched_getaffinity(0) == {max(before)} == {int(told)}
    assert os.sched_getaffinity(0) == before


# --- what is said


@pytest.mark.parametrize("size", [16, 100, 127, 128, 1024, 16_384])
def test_messages_have_the_size_that_is_asked_for_and_json_is_json(size):
    (plain,) = contents(size, as_json=False)
    texts = contents(size, as_json=True)
    assert {len(text) for text in (plain, *texts)} == {size}
    assert len(set(texts)) == len(texts) > 1
    for text in texts:
        json.loads(text)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_servers_frames_are_those_that_rxsocket_reads(size, opcode):
    payload = b"x" * size
    messages, controls = Decoder(1 << 20).feed(frame(opcode, payload) + close_frame())
    assert messages == [payload.decode() if opcode == TEXT else payload]
    assert controls == [Close(1000)]


@pytest.mark.parametrize("size", [0, 5, 100, 126, 1000, 70_000])
def test_a_run_of_a_clients_frames_is_found_wherever_it_is_cut_and_unmasked(size):
    payloads = [os.urandom(size) for _ in range(5)]
    data = b"".join(map(encode_message, payloads))
    each = len(data) // 5
    for whole in range(6):
        for cut in {0, 1, min(7, each - 1), each - 1}:
            piece = data[: whole * each + cut]
            found = list(runs(piece))
            assert sum(run.frames for run in found) == min(5, whole)
            assert len(found) <= 1, "all look alike"
    (run,) = runs(data)
    assert Decoder(1 << 20).feed(unmasked(data, run, 5))[0] == payloads
    assert Decoder(1 << 20).feed(unmasked(data, run, 2))[0] == payloads[-2:]


def test_runs_end_where_frames_differ():
    messages = [b"ab", b"cd", "ef", "g", "h", bytes(200), bytes(201)]
    data = b"".join(map(encode_message, messages)) + encode_close(Close(1000))
    found = list(runs(data))
    assert [(run.opcode, run.frames) for run in found] == [
        (BINARY, 2),
        (TEXT, 1),
        (TEXT, 2),
        (BINARY, 1),
        (BINARY, 1),
        (CLOSE, 1),
    ]
    assert [one.stop for one in found[:-1]] == [other.start for other in found[1:]]
    assert found[0] == Run(0x82, 0, 2, 8, 2)


def test_what_is_deflated_once_may_be_sent_over_and_over():
    payloads = contents(1024, as_json=True)
    inflate = zlib.decompressobj(wbits=-12)
    for _ in range(3):
        for payload, compressed in zip(payloads, deflated(payloads, 12), strict=True):
            assert inflate.decompress(compressed + b"\x00\x00\xff\xff") == payload


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ("permessage-deflate", "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
        (
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
        ),
        ("permessage-deflate; server_max_window_bits=12", "permessage-deflate; server_max_window_bits=12"),
    ],
)
def test_the_windows_of_both_directions_are_the_same(offer, answer):
    handshake = Handshake("/", {"sec-websocket-key": "", "sec-websocket-extensions": offer})
    assert f"Sec-WebSocket-Extensions: {answer}\r\n" in handshake.answer(deflate=True).decode()
    assert "Extensions" not in handshake.answer(deflate=False).decode()


# --- with real processes


@pytest.fixture(scope="module")
def measuring():
    with running("benchmarks.server") as server:
        yield server


@pytest.mark.parametrize(
    ("name", "peer"),
    [
        ("receive-text-100", "websocketapp+subject"),
        ("receive-tls-16k", "websockets-asyncio"),
        ("send-one-thread", "websocket-client"),
        ("send-bursts", "raw"),
        ("roundtrip", "websockets-sync"),
    ],
)
def test_what_a_client_counts_is_what_the_server_counts(measuring, name, peer):
    measured = Runner(measuring, 0.05, 2, print).measure(ROWS[name], (OURS, peer))
    assert measured.missing == {}
    assert {who: len(rounds) for who, rounds in measured.rounds.items()} == {OURS: 2, peer: 2}
    for figures in itertools.chain.from_iterable(measured.rounds.values()):
        assert figures["messages"] > 0
        assert all(figures[metric.name] > 0 for metric in ROWS[name].metrics)


def test_what_is_imported_was_compiled_before_as_the_others_were(measuring, monkeypatch, tmp_path):
    package = tmp_path / "rxsocket"
    package.mkdir()
    (package / "__init__.py").write_text("import os\nassert os.path.exists(__spec__.cached)\n")
    monkeypatch.setattr("benchmarks.runner.ROOT", tmp_path)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert Runner(measuring, 0.05, 1, print).measure(ROWS["import"], (OURS,)).missing == {}


def test_a_server_that_does_not_start_is_told():
    with pytest.raises(RuntimeError, match="/nowhere did not start"), running("json.tool", "/nowhere"):
        raise AssertionError("it runs")


def test_who_can_not_be_measured_is_missing_with_the_reason_and_the_others_go_on(measuring):
    told: list[str] = []
    row = ROWS["receive-deflate-1k"]
    measured = Runner(measuring, 0.05, 2, told.append).measure(row, ("websocket-client", "websockets-sync"))
    assert measured.missing.keys() == {"websocket-client"}
    assert measured.missing["websocket-client"].startswith("failed: ")
    assert len(measured.rounds["websockets-sync"]) == 2
    assert len(told) == 3, "it is not tried again"
