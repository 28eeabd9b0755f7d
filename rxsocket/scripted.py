"""A WebSocket server on loopback that plays scripts, for tests of what connects to it."""

from __future__ import annotations

import contextlib
import inspect
import os
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Final, Generic, TypeAlias

from .checks import MAX_SECONDS, check_number
from .codec import Codec, MessageT, check_codec
from .frames import GOING_AWAY, NORMAL_CLOSURE, Close
from .leftovers import note_open
from .script_client import Client
from .served_connection import LAST_SECONDS, Block, Refusal, ServedConnection
from .waiting import Waiter

__all__ = ["Script", "ScriptedServer", "serve"]

INTERNAL_ERROR: Final = 1011  # RFC 6455, section 7.4.1, by IANA's registry
AGAIN_SECONDS: Final = 0.05  # before it tries again to accept a client

Script: TypeAlias = Callable[[Client[MessageT]], object] | Refusal
"""What a server does on one connection: a function of the client, or a refusal of its opening handshake."""


class ScriptedServer(Generic[MessageT]):
    """A WebSocket server that plays scripts, as :func:`serve` makes it: within a ``with`` block, once.

    Attributes:
        clients: Who has connected, in order, those that were refused as well; complete after the block.
    """

    def __init__(
        self,
        scripts: Sequence[Script[MessageT]],
        *,
        codec: Codec[MessageT] | None,
        protocols: Sequence[str],
        headers: Mapping[str, str],
        clients: int | None,
        timeout: float,
    ) -> None:
        self._scripts = scripts
        self._codec = codec
        self._protocols = protocols
        self._headers = headers
        self._expected = len(scripts) if clients is None else clients
        self._lock = threading.Lock()
        # These three are written by the thread of the block, before any other is there.
        self._waiter: Waiter | None = None
        self._listener: socket.socket
        self._listening: threading.Thread
        # Written by the thread that listens, and read when that has ended.
        self._threads: dict[ServedConnection, threading.Thread] = {}
        self._failures: list[BaseException] = []  # under _lock
        self._block = Block(timeout)
        self.clients: list[Client[MessageT]] = []  # under _lock

    @property
    def url(self) -> str:
        """Where it listens, within the block."""
        if self._waiter is None:
            raise RuntimeError("a scripted server has its port within its block alone: with serve(...) as url")
        return f"ws://127.0.0.1:{self._port}"

    def __repr__(self) -> str:
        return f"<ScriptedServer {'before its block' if self._waiter is None else self.url}>"

    def __enter__(self) -> str:
        """Begin to listen; return the URL."""
        if self._waiter is not None:
            raise RuntimeError("a scripted server serves one block; make another with serve(...)")
        self._waiter = waiter = Waiter()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0)
        self._port: int = self._listener.getsockname()[1]
        self._listening = _thread("rxsocket: scripted server", self._listen, waiter)
        self._listening.start()
        return self.url

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let the scripts come to their ends, and end all connections.

        Raises:
            BaseException: What a script raised first, with notes of what others did. If the block raised itself, that
                goes on, with notes of all.
            AssertionError: Fewer clients came than were expected, or a script goes on for twice the timeout; then its
                connection is cut.
            OSError: A client could not be accepted.
        """
        __tracebackhide__ = True
        note_open(self._port)
        self._end(at_once=error is not None)
        if error is not None:
            for note in _notes(self._failures):
                error.add_note(note)
            return
        if self._failures:
            first, *others = self._failures
            for note in _notes(self._failures) if others else ():
                first.add_note(note)
            raise first
        if len(self.clients) < self._expected:
            came = f"{len(self.clients)} of {self._expected} clients came"
            raise AssertionError(f"{came}. Let the block wait for them, or tell serve(..., clients=...) how many come")

    def _end(self, *, at_once: bool) -> None:
        self._block.stop(at_once=at_once)
        if self._waiter is not None:
            self._waiter.wake()
        self._listening.join()  # from here on no more come
        for connection in self._threads:
            connection.wake()
            if at_once:
                connection.abort()
        deadline = time.monotonic() + 2 * self._block.timeout
        late: list[threading.Thread] = []
        for connection, thread in self._threads.items():
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                late.append(thread)
                connection.abort()
        deadline = time.monotonic() + LAST_SECONDS
        for thread in late:
            with self._lock:
                self._failures.append(AssertionError(f"{thread.name} goes on after the block: let its script end"))
            thread.join(max(0.0, deadline - time.monotonic()))  # as far as it is the client that it waits for

    def _listen(self, waiter: Waiter) -> None:
        with contextlib.closing(waiter), self._listener:
            while not self._block.stopping.is_set():
                try:
                    connection = self._accepted()
                except BlockingIOError:
                    waiter.wait(self._listener.fileno(), reading=True, writing=False, timeout=None)
                except OSError as error:  # no descriptor is left, say
                    self._note(error)
                    self._block.stopping.wait(AGAIN_SECONDS)
                else:
                    thread = _thread("rxsocket: a client before its opening handshake", self._serve, connection)
                    thread.start()
                    self._threads[connection] = thread
            waiter.forget()

    def _accepted(self) -> ServedConnection:
        sock, _ = self._listener.accept()
        try:
            return ServedConnection(sock, self._block)
        except OSError:
            sock.close()
            raise

    def _note(self, failure: BaseException) -> None:
        with self._lock:
            if not self._block.is_cut:
                self._failures.append(failure)

    def _serve(self, connection: ServedConnection) -> None:
        __tracebackhide__ = True
        close = Close(NORMAL_CLOSURE)
        try:
            key = connection.upgrade(self._protocols)
            if key is not None:
                self._play(connection, key)
        except BaseException as error:  # noqa: BLE001 raised again on the thread of the block
            close = Close(INTERNAL_ERROR, "the script failed")
            self._note(error)
        finally:
            connection.finish(Close(GOING_AWAY) if self._block.stopping.is_set() else close)

    def _play(self, connection: ServedConnection, key: str) -> None:
        __tracebackhide__ = True
        client = Client(connection, self._codec)
        with self._lock:
            self.clients.append(client)
            connection.number = len(self.clients)
            script = self._scripts[min(connection.number, len(self._scripts)) - 1]
        threading.current_thread().name = f"rxsocket: the script of connection {connection.number}"
        if isinstance(script, Refusal):
            connection.refuse(script)
            connection.hang_up()
        else:
            connection.accept(key, self._headers)
            script(client)


def _thread(name: str, target: Callable[..., None], argument: object) -> threading.Thread:
    # A daemon: a script that never ends fails its test, and does not keep the interpreter from its exit.
    return threading.Thread(target=target, args=(argument,), name=name, daemon=True)


def _notes(failures: Iterable[BaseException]) -> list[str]:
    """Say what scripts raised, and where; once of those that raised alike."""
    alike: dict[tuple[type[BaseException], str], list[BaseException]] = {}
    for failure in failures:
        alike.setdefault((type(failure), _place(failure)), []).append(failure)
    return [
        f"{'A script of the server' if place else 'The server'} raised {each[0]!r}{place}"
        + f" (and {len(each) - 1} more connections)" * (len(each) > 1)
        for (_, place), each in alike.items()
    ]


def _place(failure: BaseException) -> str:
    """Return the file and the line of the script that a failure came from, if it has one."""
    lines = [
        f" at {frame.f_code.co_filename}:{number}"
        for frame, number in traceback.walk_tb(failure.__traceback__)
        if not frame.f_globals.get("__name__", "").startswith("rxsocket.")
    ]
    return lines[-1] if lines else ""


def _check_script(script: object) -> None:
    if isinstance(script, str | os.PathLike):
        raise TypeError(
            f"a script is a function of a Client, or a Refusal; rxsocket.serving.serve({script!r}) plays a file"
        )
    if not callable(script) and not isinstance(script, Refusal):
        raise TypeError(f"a script is a function of a Client, or a Refusal, not {type(script).__name__}")
    if inspect.iscoroutinefunction(script) or inspect.iscoroutinefunction(getattr(script, "__call__", None)):  # noqa: B004
        raise TypeError("a script has a thread of its own, and so is a def, not an async def")


def serve(
    *scripts: Script[MessageT],
    codec: Codec[MessageT] | None = None,
    protocols: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
    clients: int | None = None,
    timeout: float = 5.0,
) -> ScriptedServer[MessageT]:
    """Make a WebSocket server on loopback that plays scripts: a context manager, which gives its URL.

    Each connection has a thread of its own, which does the opening handshake and calls the script; when that returns,
    the connection is closed with 1000, which is final for a session with a Backoff, too. A script that has no more to
    say, and is to stay, ends with ``for _ in client: pass``. The first script is for the first connection, the second
    for the second, and so on; the last for all that follow, too.

    At the end of the block the scripts have to come to theirs. What one raised (an ``AssertionError``, if the client
    did something else than was expected) is raised there. That end waits, and holds up a loop of asyncio: so in a
    coroutine let the block await all that the scripts wait for.

    Args:
        *scripts: Each a function of a :class:`Client`, or a :class:`Refusal`.
        codec: Takes the values to messages and back that scripts send, receive and expect; None for texts and bytes.
        protocols: The sub-protocols that it speaks, of which it picks the first that a client offers.
        headers: Further headers of its answers to the opening handshake.
        clients: How many connections have to come at least; None for one for each script.
        timeout: For how many seconds a script waits for something at the most.

    Raises:
        TypeError: A script is neither a function nor a Refusal, or is a coroutine's, or an option has a wrong type.
        ValueError: There is no script, or an option is out of its range.

    Example:
        >>> def greeter(client: Client) -> None:
        ...     client.expect("hello")
        ...     client.send("welcome")
    """
    if not scripts:
        raise ValueError("a server needs a script: serve(lambda client: client.send('welcome'))")
    for script in scripts:
        _check_script(script)
    if codec is not None:
        check_codec("codec", codec)
    check_number("clients", clients, int, 0, optional=True)
    check_number("timeout, in seconds,", timeout, float, 0, MAX_SECONDS, above=True)
    return ScriptedServer(
        scripts, codec=codec, protocols=protocols, headers=headers or {}, clients=clients, timeout=timeout
    )
