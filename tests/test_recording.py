"""What a session tells, written as it is told: all of it, in order, whatever becomes of the process and the disk."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cassettes import CUT, END, LOST, URL, expected
from pictures import cells
from servers import DEADLINE, Seen, Wire

from rxsocket import Cassette, CassetteException, MessageEvent, Recording, record, recording, replay, websocket
from rxsocket.cassette import Completed, ErrorLine, StateLine, Text
from rxsocket.simulated import SimulatedSession
from rxsocket.states import Closed, Closing, Connecting, Open, OpenEvent

OPEN = Open(OpenEvent(URL, None))


def live(session: SimulatedSession) -> None:
    session._tell_state(OPEN)
    session._tell_message("one")
    session._tell_message(b"\0two")
    session._tell_answer(0.25)
    session._tell_error(CUT)
    session._tell_state(Connecting(1, 0.5, CUT, LOST))
    session._tell_state(Open(OpenEvent(URL, None, 2)))
    session._tell_message("three", 2)
    session._tell_state(Closing("server"))
    session._tell_state(Closed(END))


TOLD = [
    "state Connecting(attempt=0, delay=0.0, cause=None, lost=None)",
    f"state {OPEN!r}",
    "messages MessageEvent(data='one', connection=1)",
    "messages MessageEvent(data=b'\\x00two', connection=1)",
    "round_trips 0.25",
    f"errors {CUT!r}",
    f"state {Connecting(1, 0.5, CUT, LOST)!r}",
    f"state {Open(OpenEvent(URL, None, 2))!r}",
    "messages MessageEvent(data='three', connection=2)",
    "state Closing(initiator='server')",
    f"state {Closed(END)!r}",
]


@pytest.mark.parametrize(
    ("name", "compress", "is_compressed"),
    [("feed.jsonl", None, False), ("feed.gz", None, True), ("feed.jsonl", True, True), ("feed.gz", False, False)],
)
def test_all_that_is_told_is_written_in_order(name, compress, is_compressed, tmp_path):
    session = SimulatedSession(URL)
    path = tmp_path / name
    with record(session, path, compress=compress) as recorded:
        live(session)
    lines = list(Cassette(path))
    assert expected(lines) == TOLD
    assert type(lines[-2]) is Completed
    assert [line.at for line in lines] == sorted(line.at for line in lines)
    assert path.read_bytes().startswith(b"\x1f\x8b") == is_compressed
    assert Cassette(path).is_complete
    assert (recorded.messages, recorded.message_bytes, recorded.size) == (3, 12, path.stat().st_size)
    if is_compressed:
        assert gzip.decompress(path.read_bytes()).count(b"\n") == len(lines) + 1


def test_it_ends_with_the_session_and_says_what_it_has(tmp_path):
    session = SimulatedSession(URL)
    recorded = record(session, tmp_path / "feed.jsonl")
    assert recorded.is_active
    assert " goes on>" in repr(recorded)
    live(session)
    recorded._thread.join(DEADLINE)
    assert not recorded._thread.is_alive()
    assert not recorded.is_active
    seconds = recorded.seconds
    assert recorded.seconds == seconds > 0
    assert recorded.rate == 3 / seconds
    assert repr(recorded) == f"<Recording {recorded.path} 3 messages, {recorded.size} bytes, 0.0 s, ended>"
    recorded.close()
    recorded.close()


def test_it_can_end_before_the_session(tmp_path):
    session = SimulatedSession(URL)
    recorded = record(session, tmp_path / "feed.jsonl")
    session._tell_state(OPEN)
    session._tell_message("one")
    recorded.dispose()
    session._tell_message("two")
    cassette = Cassette(tmp_path / "feed.jsonl")
    assert expected(list(cassette)) == TOLD[:3]
    assert not cassette.is_complete
    assert recorded.messages == 1
    assert not session.messages.observers


def test_it_can_be_closed_by_a_subscriber_and_begun_amid_a_session(tmp_path):
    session = SimulatedSession(URL)
    session._tell_state(OPEN)
    recorded = record(session, tmp_path / "feed.jsonl")
    session.messages.body.subscribe(lambda text: recorded.close() if text == "two" else None)
    for text in ("one", "two", "three"):
        session._tell_message(text)
    first, *texts = Cassette(tmp_path / "feed.jsonl")
    assert isinstance(first, StateLine)
    assert first.state == OPEN
    assert [line.data for line in texts if isinstance(line, Text)] == ["one", "two"]


def test_what_was_held_comes_to_it_as_to_the_first_subscriber(tmp_path):
    session = SimulatedSession(URL)
    session._tell_state(OPEN)
    session._tell_message("early")
    with record(session, tmp_path / "feed.jsonl"):
        pass
    assert [line.data for line in Cassette(tmp_path / "feed.jsonl") if isinstance(line, Text)] == ["early"]


def test_what_a_pause_holds_beyond_the_end_is_recorded_where_it_comes(tmp_path):
    session = SimulatedSession(URL, paused=True)
    with record(session, tmp_path / "feed.jsonl"):
        session._tell_state(OPEN)
        session._tell_message("held")
        session._tell_state(Closed(END))
        session.resume()
    kinds = [type(line).__name__ for line in Cassette(tmp_path / "feed.jsonl")]
    assert kinds == ["ConnectingLine", "OpenLine", "ClosedLine", "Text", "Completed"]


def test_what_a_subscriber_raises_is_its_own(tmp_path, caplog):
    session = SimulatedSession(URL)
    with record(session, tmp_path / "feed.jsonl"):
        session.messages.body.subscribe(lambda text: 1 / 0)
        live(session)
    assert expected(list(Cassette(tmp_path / "feed.jsonl"))) == TOLD
    assert caplog.text.count("ZeroDivisionError") == 2


def test_a_prepared_session_is_recorded_from_its_first_state_on(server, tmp_path):
    session = websocket(f"{server.url}/text?token=1").prepare()
    url = session.url
    with record(session, tmp_path / "feed.jsonl"), session.start():
        seen = Seen(session.messages.body)
        session.send("x")
        seen.wait()
        session.ping().run()
    cassette = Cassette(tmp_path / "feed.jsonl")
    assert cassette.url == url
    found = [type(line).__name__ for line in cassette]
    assert found == ["ConnectingLine", "OpenLine", "Text", "RoundTrip", "ClosingLine", "Completed", "ClosedLine"]


def test_the_login_of_a_url_is_not_written(server, tmp_path):
    session = websocket(server.url.replace("ws://", "ws://ada:secret@")).prepare()
    with record(session, tmp_path / "feed.jsonl"), session.start():
        Seen(session.opens).wait()
    assert b"secret" not in (tmp_path / "feed.jsonl").read_bytes()


def test_a_file_that_exists_is_kept_unless_told_otherwise(tmp_path):
    path = tmp_path / "feed.jsonl"
    path.write_text("precious")
    session = SimulatedSession(URL)
    with pytest.raises(FileExistsError):
        record(session, path)
    assert path.read_text() == "precious"
    assert not session.messages.observers
    record(session, path, overwrite=True).close()
    assert Cassette(path).url == URL


def test_a_folder_that_is_not_there_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError):
        record(SimulatedSession(URL), tmp_path / "none" / "feed.jsonl")


def test_a_full_disk_at_the_start_is_an_oserror():
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(OSError, match="No space left"):
        record(SimulatedSession(URL), "/dev/full", overwrite=True)


# --- a disk that is slow, and one that ends


@pytest.fixture
def pipe(tmp_path):
    """A file that takes no more than is read from it, and the descriptor to read it by."""
    path = tmp_path / "pipe.jsonl"
    os.mkfifo(path)
    descriptors = [os.open(path, os.O_RDONLY | os.O_NONBLOCK)]
    os.set_blocking(descriptors[0], True)
    yield path, descriptors
    for descriptor in descriptors:
        os.close(descriptor)


def test_a_disk_that_ends_ends_the_recording_and_not_the_session(pipe, caplog):
    path, descriptors = pipe
    session = SimulatedSession(URL)
    errors = Seen(session.errors)
    recorded = record(session, path, overwrite=True)
    session._tell_state(OPEN)
    os.close(descriptors.pop())
    session._tell_message("one")
    (error,) = errors.wait()
    assert isinstance(error, CassetteException)
    assert (error.path, error.line) == (str(path), 1)
    assert "can't be written any more ([Errno 32] Broken pipe)" in str(error)
    assert isinstance(error.__cause__, OSError)
    assert not recorded.is_active
    for _ in range(2):
        with pytest.raises(CassetteException):
            recorded.close()
    recorded.dispose()
    body = Seen(session.messages.body)
    session._tell_message("two")
    assert body.items == ["two"]
    assert "can't be written any more" in caplog.text


def test_a_slow_disk_holds_the_session_back_and_loses_nothing(pipe, monkeypatch):
    monkeypatch.setattr(recording, "LIMIT", 1 << 16)
    path, (descriptor,) = pipe
    session = SimulatedSession(URL)
    session._tell_state(OPEN)
    recorded = record(session, path, overwrite=True)
    texts = [f"{n:0100}" for n in range(5000)]
    feeding = threading.Thread(target=lambda: [session._tell_message(text) for text in texts])
    feeding.start()
    # What the pipe takes, what is on its way to it, and what may wait: it has to stop before the end.
    deadline = time.monotonic() + DEADLINE
    with recorded._room:
        while not (waiting := list(recorded._room._waiters)) and time.monotonic() < deadline:
            recorded._room.wait(0.01)
    assert waiting
    assert recorded.messages < len(texts)
    data = bytearray()

    def read() -> None:
        while piece := os.read(descriptor, 1 << 16):
            data.extend(piece)

    reading = threading.Thread(target=read)
    reading.start()
    feeding.join(DEADLINE)
    recorded.close()
    reading.join(DEADLINE)
    (path.parent / "read.jsonl").write_bytes(data)
    assert [line.data for line in Cassette(path.parent / "read.jsonl") if isinstance(line, Text)] == texts


# --- processes that end


CHILD = """
import sys
from rxsocket import record, websocket
session = websocket(sys.argv[1]).prepare()
recorded = record(session, sys.argv[2])
session.start()
"""


def count_until(path: Path, enough: int) -> int:
    """Read what a recording that goes on has written, until it has enough messages; return how many."""
    deadline = time.monotonic() + DEADLINE
    count = 0
    while count < enough:
        assert time.monotonic() < deadline, f"{count} messages"
        if path.exists() and path.stat().st_size > 200:
            count = sum(isinstance(line, Text) for line in Cassette(path))
    return count


@pytest.mark.parametrize("name", ["feed.jsonl", "feed.jsonl.gz"])
def test_what_was_told_a_second_before_a_kill_is_there(name, play, tmp_path):
    sent = []  # a number, and when it was sent

    def flood(wire: Wire) -> None:
        try:
            while True:
                sent.append(time.monotonic())
                wire.send(f"{len(sent) - 1}")
                time.sleep(0.0005)
        except OSError:
            pass  # killed

    url = play(flood)
    path = tmp_path / name
    command = [sys.executable, "-c", CHILD + "session.closes.run()", url, str(path)]
    with subprocess.Popen(command) as child:  # noqa: S603 our own words
        try:
            count_until(path, 300)
        finally:
            killed = time.monotonic()
            child.kill()
    cassette = Cassette(path)
    texts = [line.data for line in cassette if isinstance(line, Text)]
    assert texts == [str(n) for n in range(len(texts))]
    assert len(texts) >= 300
    assert not cassette.is_complete
    assert all(killed - at < 1.0 for at in sent[len(texts) :])


def test_a_script_that_comes_to_its_end_records_the_end_of_its_session(server, tmp_path):
    path = tmp_path / "feed.jsonl"
    more = "session.send('x'); session.ping().run()"
    done = subprocess.run(  # noqa: S603 our own words
        [sys.executable, "-W", "error", "-c", CHILD + more, f"{server.url}/text", str(path)],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    cassette = Cassette(path)
    assert cassette.is_complete
    assert any(isinstance(line, Text) for line in cassette)


def test_recordings_end_together_in_time(tmp_path):
    recorded = [record(SimulatedSession(URL), tmp_path / f"{n}.jsonl") for n in range(3)]
    Recording.end_all()
    assert not any(each._thread.is_alive() for each in recorded)


def test_a_flood_is_recorded_whole(connect, server, tmp_path):
    session = connect(f"{server.url}/burst", paused=True)
    with record(session, tmp_path / "feed.jsonl") as recorded:
        count = Seen(session.messages)
        session.resume()
        count.wait(10_000)
    assert recorded.messages == 10_000
    texts = [line.data for line in Cassette(tmp_path / "feed.jsonl") if isinstance(line, Text)]
    assert texts == [str(n) for n in range(10_000)]
    assert count.items[-1] == MessageEvent("9999", 1)


def test_what_can_not_be_encoded_ends_it_as_a_disk_does(tmp_path):
    session = SimulatedSession(URL)
    errors = Seen(session.errors)
    recorded = record(session, tmp_path / "feed.jsonl")
    session._tell_state(OPEN)
    session._tell_message("\ud800")
    errors.wait()
    with pytest.raises(CassetteException):
        recorded.close()
    assert not any(isinstance(line, Text) for line in Cassette(tmp_path / "feed.jsonl"))


def test_what_this_sides_types_and_functions_raise_is_not_recorded_since_they_raise_again(play, tmp_path):
    def script(wire: Wire) -> None:
        wire.send("1", "one")
        wire.answer_close()

    session = websocket(play(script)).prepare()
    path = tmp_path / "feed.jsonl"
    errors = Seen(session.errors)
    numbers = Seen(session.messages.decode(int))
    with record(session, path), session.start():
        errors.wait()
        session.close()
    assert numbers.all() == [1]
    assert not any(isinstance(line, ErrorLine) for line in Cassette(path))
    with replay(path, speed=None, start=False) as again:
        errors = Seen(again.errors)
        assert Seen(again.messages.decode(int)).items == []
        again.start()
        assert [type(error).__name__ for error in errors.all()] == ["DecodeException"]


def test_a_picture_of_it_says_what_it_has(tmp_path):
    session = SimulatedSession(URL)
    with record(session, tmp_path / "feed.jsonl") as recorded:
        live(session)
    rows = dict(cells(recorded._repr_html_())[1:])
    assert (rows["state"], rows["session"], rows["messages"]) == ("ended", URL, "3")
