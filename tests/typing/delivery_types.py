"""What type-checkers know of the operators for delivery; it is checked, and never run."""

from __future__ import annotations

from typing import assert_type

import reactivex.operators as ops
from reactivex import Observable, Subject

from rxsocket.backlog import Overflow
from rxsocket.delivery import batched, buffered
from rxsocket.session import Session


def is_long(length: int) -> bool:
    return length > 3


def total(lengths: list[int]) -> int:
    return sum(lengths)


def operators(session: Session, policy: Overflow, dropped: Subject[int]) -> None:
    body = session.messages.body
    assert_type(body.pipe(buffered(10)), Observable[str])
    assert_type(body.pipe(buffered(10, policy, dropped=dropped.on_next)), Observable[str])
    assert_type(body.pipe(buffered(10, "latest", dropped=print)), Observable[str])
    assert_type(body.pipe(batched(10, 0.5)), Observable[list[str]])
    chained = body.pipe(ops.map(len), buffered(10, "block"), ops.filter(is_long), batched(10, 1), ops.map(total))
    assert_type(chained, Observable[int])


def mistakes(stream: Observable[int]) -> None:
    stream.pipe(buffered("10"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    stream.pipe(buffered(10, "newest"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    stream.pipe(batched(1.5, 1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
