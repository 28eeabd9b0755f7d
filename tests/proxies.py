"""What goes through a proxy of faults."""

import contextlib
import socket
from collections.abc import Iterator

from servers import Seen

from rxsocket import Session
from rxsocket.proxy import Faults


def echoed(session: Session, *messages: str) -> None:
    """Send messages, and wait until they are back."""
    seen = Seen(session.messages.body)
    for message in messages:
        session.send(message)
    assert seen.wait(len(messages)) == list(messages)
    seen.subscription.dispose()


@contextlib.contextmanager
def dialled(faults: Faults) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", faults._relay.port), timeout=10) as sock:
        yield sock
