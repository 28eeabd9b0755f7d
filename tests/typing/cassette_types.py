"""What type-checkers know of recordings and replays; it is checked, and never run."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

import reactivex.operators as ops
from reactivex import Observable
from reactivex.scheduler import VirtualTimeScheduler

from rxsocket.cassette import Cassette, Line
from rxsocket.errors import RxSocketException
from rxsocket.messages import MessageEvent, Messages
from rxsocket.recording import Recording, record
from rxsocket.replaying import Replay, replay
from rxsocket.serving import serve
from rxsocket.session import Session
from rxsocket.states import CloseEvent, OpenEvent, State


def recordings(session: Session, path: Path) -> None:
    assert_type(record(session, path, compress=True, overwrite=True), Recording)
    with record(session, "feed.jsonl") as recording:
        assert_type(recording, Recording)
        assert_type(recording.messages, int)
        assert_type(recording.rate, float)
    record(path, path)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def replays(path: Path) -> None:
    session = replay(path, speed=None, scheduler=VirtualTimeScheduler(), start=False)
    assert_type(session, Replay)
    assert_type(session.start(), Replay)
    assert_type(session.state, Observable[State])
    assert_type(session.opens, Observable[OpenEvent])
    assert_type(session.closes, Observable[CloseEvent])
    assert_type(session.errors, Observable[RxSocketException])
    assert_type(session.round_trips, Observable[float])
    assert_type(session.messages, Messages)
    assert_type(session.messages.pipe(ops.map(MessageEvent.__repr__)), Observable[str])
    assert_type(session.messages.body, Observable[str])
    assert_type(session.position, float)
    record(session, path)
    replay(path, speed="fast")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def cassettes(path: Path) -> None:
    with serve(path, speed=2) as url:
        assert_type(url, str)
    for line in Cassette(path):
        assert_type(line, Line)
