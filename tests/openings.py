"""Connections that a test makes itself, without a session, and what can be read from them."""

from __future__ import annotations

import contextlib
import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from peers import DEADLINE

from rxsocket.connection import Connection
from rxsocket.errors import ConnectionException
from rxsocket.opening import Opening
from rxsocket.options import Options
from rxsocket.urls import check_url


def opening(url: str, *protocols: str, **options: Any) -> Opening:
    return Opening(check_url(url), protocols, Options(**{"connect_timeout": DEADLINE, **options}))


@contextmanager
def connected(url: str, *protocols: str, **options: Any) -> Iterator[Connection]:
    connection = opening(url, *protocols, **options).run()
    try:
        yield connection
    finally:
        connection.close()


def read_until(connection: Connection, *, size: int) -> bytes:
    """Read at least so many bytes, or to the stream's end."""
    received = bytearray()
    while len(received) < size:
        data = connection.receive()
        if data is None:
            wait_for(connection, reading=True)
        elif data:
            received += data
        else:
            break
    return bytes(received)


def assert_ended(connection: Connection) -> None:
    """Show that nothing more can come: the stream's end, or, where the peer still had something to say, a reset."""
    with contextlib.suppress(ConnectionException):
        assert read_until(connection, size=1) == b""


def wait_for(connection: Connection, *, reading: bool) -> None:
    poll = select.poll()
    poll.register(connection.descriptor, select.POLLIN if reading else select.POLLOUT)
    assert poll.poll(DEADLINE * 1000)
