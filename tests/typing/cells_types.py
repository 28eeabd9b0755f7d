"""What type-checkers know of notebooks' cells, and of the sessions that are open; it is checked, and never run."""

from __future__ import annotations

from typing import Any, assert_type

import reactivex.operators as ops
from reactivex import Observable

from rxsocket.cells import here
from rxsocket.roster import Sessions, sessions
from rxsocket.session import Session


def operators(session: Session) -> None:
    assert_type(session.messages.body.pipe(here()), Observable[str])
    assert_type(session.messages.body.pipe(ops.map(len), here()), Observable[int])


def open_ones() -> None:
    assert_type(sessions(), Sessions)
    assert_type(sessions()[0], Session[Any])
    assert_type(sessions()[0].name, str | None)
