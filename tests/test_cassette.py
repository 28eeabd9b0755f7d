"""The format of a cassette, and what becomes of one that is damaged."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from itertools import islice

import pytest
from cassettes import CUT, LINES, LOST, STARTED, URL, written
from hypothesis import given
from hypothesis import strategies as st
from pictures import cells

from rxsocket import Cassette, CassetteException, DecodeException, HandshakeException, RxSocketException
from rxsocket.cassette import Binary, ConnectingLine, ErrorLine, Header, Text, encode_lines, state_line
from rxsocket.states import Connecting

NAMES = ["feed.jsonl", "feed.jsonl.gz"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_read(name, tmp_path):
    cassette = Cassette(written(tmp_path / name))
    assert (cassette.url, cassette.started) == (URL, STARTED)
    assert [repr(line) for line in cassette] == [repr(line) for line in LINES]
    assert (cassette.duration, cassette.is_complete) == (2.000002, True)
    assert [each.connection for each in cassette.openings()] == [1, 2]
    assert repr(cassette) == f"<Cassette {tmp_path / name} {URL} 2026-11-25 04:51:56>"


def test_each_line_is_an_array_of_a_kind_a_time_and_a_content(tmp_path):
    header, *lines = written(tmp_path / "feed.jsonl").read_text().split("\n")[:-1]
    assert json.loads(header) == {
        "format": "rxsocket cassette",
        "version": 1,
        "url": URL,
        "started": "2026-11-25T04:51:56.120934Z",
    }
    found = [json.loads(line) for line in lines]
    assert [each[:2] for each in found] == [[type(line).__struct_config__.tag, line.at] for line in LINES]
    assert found[2] == ["text", 2000, "one\n\u2028\U0001f600", 1]
    assert found[6][2]["lost"]["cause"] == {"class": "ConnectionException", "args": ["cut"]}


@given(st.text(st.characters(exclude_categories=["Cs"])), st.binary())
def test_any_text_and_any_bytes_come_back(tmp_path_factory, text, data):
    lines = [Text(1, text, 1), Binary(2, data, 1)]
    assert list(Cassette(written(tmp_path_factory.getbasetemp() / "any.jsonl", lines))) == lines


@pytest.mark.parametrize(
    "error",
    [
        CUT,
        HandshakeException("no", 403, {"server": "x"}, b"\0body"),
        DecodeException("no entity", b"\xff"),
        DecodeException("no entity", "text"),
        CassetteException("damaged", "feed.jsonl", 3),
        RxSocketException(),
    ],
)
def test_an_exception_comes_back_with_all_that_it_has(error, tmp_path):
    (line,) = Cassette(written(tmp_path / "feed.jsonl", [ErrorLine(1, error)]))
    assert isinstance(line, ErrorLine)
    assert type(line.error) is type(error)
    assert line.error.args == error.args
    assert vars(line.error) == vars(error)


def test_a_lone_surrogate_in_an_exception_is_written_escaped(tmp_path):
    (line,) = Cassette(written(tmp_path / "feed.jsonl", [ErrorLine(1, RxSocketException("odd \udcff"))]))
    assert isinstance(line, ErrorLine)
    assert str(line.error) == "odd \\udcff"


def test_an_exception_of_a_class_that_is_not_known_says_its_name(tmp_path):
    class OddException(RxSocketException):
        pass

    (line,) = Cassette(written(tmp_path / "feed.jsonl", [ErrorLine(1, OddException("what", object))]))
    assert isinstance(line, ErrorLine)
    assert (type(line.error), str(line.error)) == (RxSocketException, "OddException: what")


def test_all_tries_to_make_a_connection_have_the_same_event_of_the_loss_before(tmp_path):
    first, second = (
        line for line in Cassette(written(tmp_path / "feed.jsonl")) if isinstance(line, ConnectingLine) and line.at
    )
    assert first.state.lost is second.state.lost
    assert repr(first.state.lost) == repr(LOST)


def test_lines_of_a_kind_that_is_not_known_are_passed_over(tmp_path):
    path = written(tmp_path / "feed.jsonl", [Text(1, "one", 1)], b'["sent",2,"x",{"to":"come"}]\n["text",3,"two",1]\n')
    assert list(Cassette(path)) == [Text(1, "one", 1), Text(3, "two", 1)]


# --- what is not as it should be


def error_of(path) -> CassetteException:
    with pytest.raises(CassetteException) as raised:
        list(Cassette(path))
    assert raised.value.path == str(path)
    assert str(path) in str(raised.value)
    return raised.value


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has nothing"),
        (b'{"format":"rxsocket cassette"', "no whole first line"),
        (b"hello\n", "is no cassette"),
        (b"\xff\xfe\n", "is no cassette"),
        (b"[1]\n", "is no cassette"),
        (b'{"format":"rxsocket cassette","version":"1"}\n', "is no cassette"),
        (b'{"format":"other","version":1,"url":"","started":"2026-11-25T04:51:56Z"}\n', "but a 'other'"),
        (b"\x1f\x8bno gzip\n", "line 1 is damaged"),
    ],
)
def test_what_is_no_cassette_says_so_in_its_first_line(content, said, tmp_path):
    path = tmp_path / "feed.jsonl"
    path.write_bytes(content)
    error = error_of(path)
    assert error.line == 1
    assert said in str(error)


def test_another_version_is_named_with_what_to_do(tmp_path):
    path = tmp_path / "feed.jsonl"
    path.write_bytes(encode_lines([Header("rxsocket cassette", 2, URL, STARTED)]))
    assert "of version 2, and this rxsocket reads version 1: a later one may read it" in str(error_of(path))


@pytest.mark.parametrize(
    "line",
    [
        b'["text",1,',
        b'["text",1,"\xff",1]',
        b'["text","1","x",1]',
        b'["text",1,2,1]',
        b'["binary",1,"?",1]',
        b'["error",1,{"class":"HandshakeException","args":["m"]}]',
        b'["closing",1,{"initiator":"nobody"}]',
        b'{"kind":"text"}',
        b"[" * 100_000,
        b"",
        b"\0",
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_line_is_named_with_what_to_do(line, name, tmp_path):
    path = written(tmp_path / name, [Text(1, "one", 1)], line + b'\n["text",3,"two",1]\n')
    cassette = iter(Cassette(path))
    assert next(cassette) == Text(1, "one", 1)
    with pytest.raises(CassetteException, match=r"line 3 is damaged \(.+\): take that line out, .*head -n 2") as raised:
        next(cassette)
    assert raised.value.line == 3


def test_a_state_that_may_not_follow_is_damage(tmp_path):
    path = written(tmp_path / "feed.jsonl", [*LINES, state_line(3_000_000, Connecting())])
    error = error_of(path)
    assert error.line == len(LINES) + 2
    assert "can't go from" in str(error)


def test_a_compressed_one_that_is_damaged_in_its_middle_says_so(tmp_path):
    path = written(tmp_path / "feed.jsonl.gz", [Text(n, f"message {n * 7919}", 1) for n in range(100_000)])
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    path.write_bytes(data)
    cassette = iter(Cassette(path))
    for n in range(1000):
        assert next(cassette) == Text(n, f"message {n * 7919}", 1)
    with pytest.raises(CassetteException, match=r"line \d+ is damaged"):
        list(cassette)


@pytest.mark.parametrize("name", NAMES)
def test_one_that_was_cut_short_is_read_to_its_last_whole_line(name, tmp_path):
    whole = written(tmp_path / name, LINES).read_bytes()
    start = len(gzip.compress(encode_lines([Header.of(URL, STARTED)]))) + 40 if name.endswith(".gz") else 200
    path = tmp_path / f"cut {name}"
    for size in range(start, len(whole) - (12 if name.endswith(".gz") else 1)):
        path.write_bytes(whole[:size])
        cassette = Cassette(path)
        lines = list(cassette)
        assert [repr(line) for line in lines] == [repr(line) for line in LINES[: len(lines)]]
        assert cassette.duration == (lines[-1].at / 1e6 if lines else 0.0)
        assert cassette.is_complete == (len(lines) == len(LINES))


def test_compressed_parts_that_were_joined_are_one(tmp_path):
    path = written(tmp_path / "feed.jsonl.gz", LINES[:5])
    path.write_bytes(path.read_bytes() + gzip.compress(encode_lines(LINES[5:])))
    assert [repr(line) for line in Cassette(path)] == [repr(line) for line in LINES]


def test_a_file_that_is_not_there_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError):
        Cassette(tmp_path / "none")


@pytest.mark.parametrize("name", NAMES)
def test_a_large_one_is_not_loaded_whole(name, tmp_path):
    path = written(tmp_path / name, [Text(n, "x" * 1000, 1) for n in range(50_000)])  # 50 MB
    tracemalloc.start()
    try:
        assert sum(1 for _ in Cassette(path)) == 50_000
        assert len(list(islice(Cassette(path), 3))) == 3
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


def test_a_message_that_is_larger_than_a_piece_is_read_in_linear_time(tmp_path):
    data = bytes(1 << 25)
    (line,) = Cassette(written(tmp_path / "feed.jsonl", [Binary(1, data, 1)]))
    assert line == Binary(1, data, 1)


def test_a_picture_of_it_does_not_read_it_through(tmp_path):
    path = written(tmp_path / "feed.jsonl", LINES)
    cassette = Cassette(path)
    path.unlink()
    rows = dict(cells(cassette._repr_html_())[1:])
    assert (rows["file"], rows["url"]) == (str(path), URL)
