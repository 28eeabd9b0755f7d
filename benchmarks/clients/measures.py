"""What is measured of a client, whichever peer it is of. Imports the standard library alone, until more is needed."""

from __future__ import annotations

import gc
import itertools
import json
import re
import resource
import ssl
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.content import contents

if TYPE_CHECKING:
    from reactivex import Observable

    from . import Client

__all__ = ["MEASURES", "Asks", "Backlog", "Clock", "Crowd", "Feed", "Resumptions", "Stint", "Task", "decoder", "trade"]

WARM_UP = 100  # round trips that do not count
PATIENCE = 30.0  # seconds for a crowd to be served
KIB = 1024

Consume = Callable[[Any], None]
"""Takes a message, or what was made of it."""


@dataclass(frozen=True)
class Task:
    """What a client is to do. The fields are those of the rows' tasks, and what the runner knows."""

    kind: str
    url: str
    authority: str
    tls: bool = False
    deflate: bool = False
    text: bool = True
    json: bool = False
    size: int = 100
    seconds: float = 0.5
    burst: int = 1
    threads: int = 1
    sessions: int = 1
    subject: bool = False
    chain: bool = False
    decode: bool = False
    numpy: bool = True
    in_flight: int = 0
    items: int = 0
    typed: bool = False

    @classmethod
    def of(cls, text: str) -> Task:
        """Read it from JSON."""
        return cls(**json.loads(text))

    def messages(self) -> list[bytes] | list[str]:
        """Return what to send, one after the other."""
        payloads = contents(self.size, as_json=self.json)
        return [payload.decode() for payload in payloads] if self.text else payloads

    def context(self) -> ssl.SSLContext | None:
        """Return how the server is verified; None where there is no TLS."""
        return ssl.create_default_context(cafile=self.authority) if self.tls else None


@dataclass
class Clock:
    """Takes wall time, and the CPU time of all threads of the process."""

    seconds: float = 0.0
    cpu: float = 0.0
    _start: tuple[float, float] | None = None

    def start(self) -> None:
        """Start; again, it does nothing."""
        if self._start is None:
            self._start = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        """Stop; again, it does nothing."""
        if self._start is None:
            raise ConnectionError("the client never opened its connection")
        if self.seconds:
            return
        self.seconds = time.perf_counter() - self._start[0]
        self.cpu = time.process_time() - self._start[1]

    def figures(self, messages: int) -> dict[str, float]:
        """Return what is known of that many messages: the CPU time is in µs for each."""
        return {
            "messages": messages,
            "seconds": self.seconds,
            "rate": messages / self.seconds,
            "cpu": self.cpu / messages * 1e6,
        }


class Feed:
    """Where a client's messages go: into a function, or through operators into one.

    Args:
        task: Says which operators there are, and whether a function is fed through a Subject of reactivex.
        consume: The function at the end.
        clock: Runs from ``opened`` to ``closed``, or to the client's end.
    """

    def __init__(self, task: Task, consume: Consume, clock: Clock) -> None:
        self.opened = clock.start
        self.closed = clock.stop
        self._task = task
        self._consume = consume

    def function(self) -> Consume:
        """Return what a peer without Rx is to call with each message."""
        if self._task.subject:
            from reactivex import Subject  # noqa: PLC0415 not in the memory of a peer that is measured bare

            subject: Subject[Any] = Subject()
            self.subscribe(subject)
            return subject.on_next
        if self._task.decode:
            decode, consume = decoder(), self._consume
            return lambda message: consume(decode(message))
        return self._consume

    def subscribe(self, stream: Observable[Any]) -> None:
        """Subscribe to a peer's own stream."""
        import reactivex.operators as ops  # noqa: PLC0415 likewise

        if self._task.decode:
            stream = stream.pipe(ops.map(decoder()))
        elif self._task.chain:
            stream = stream.pipe(ops.map(len), ops.filter(bool))
        stream.subscribe(self._consume)


def trade() -> type[Any]:
    """Return the type of what is received."""
    import msgspec  # noqa: PLC0415 likewise

    class Trade(msgspec.Struct):
        symbol: str
        side: str
        price: float
        size: float
        id: int

    return Trade


def decoder() -> Callable[[Any], object]:
    """Return msgspec's own function that makes one of a message."""
    import msgspec  # noqa: PLC0415 likewise

    return msgspec.json.Decoder(trade()).decode


class Counter:
    """Counts what it takes."""

    def __init__(self) -> None:
        self.count = 0

    def take(self, _: object) -> None:
        """Count one."""
        self.count += 1


@dataclass
class Stint:
    """What a client sends, until its time is up.

    Attributes:
        messages: What to send in one turn.
        sent: How many messages were.
    """

    clock: Clock
    duration: float
    messages: list[Any]
    sent: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)  # for sent

    def turns(self) -> Iterator[list[Any]]:
        """Give the messages over and over. The clock starts at the first; each thread has turns of its own."""
        self.clock.start()
        end = time.perf_counter() + self.duration
        turns = 0
        while time.perf_counter() < end:
            yield self.messages
            turns += 1
        with self._lock:
            self.sent += turns * len(self.messages)

    def send_by(self, send: Callable[[Any], object], threads: int) -> None:
        """Send all by a function, which may be called from any thread."""

        def work() -> None:
            for messages in self.turns():
                for message in messages:
                    send(message)

        others = [threading.Thread(target=work) for _ in range(threads - 1)]
        for thread in others:
            thread.start()
        work()
        for thread in others:
            thread.join()


class Crowd:
    """Many sessions of one process."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.complete = threading.Event()
        self.memory: dict[str, int] = {}
        self.seconds = 0.0
        self.count = 0  # under _lock
        self._lock = threading.Lock()
        self._start = time.perf_counter()

    def served(self, _: object = None) -> None:
        """Count a session that was answered. From any thread."""
        with self._lock:
            self.count += 1
            self.seconds = time.perf_counter() - self._start
            if self.count == self.size:
                self.complete.set()

    def wait(self) -> None:
        """Wait until all are served, and measure."""
        self.complete.wait(PATIENCE)
        self.measure()

    @property
    def is_waiting(self) -> bool:
        """Whether some may still be served: for those who must not block."""
        return not self.complete.is_set() and time.perf_counter() - self._start < PATIENCE

    def measure(self) -> None:
        """Keep what memory the process has now."""
        gc.collect()
        self.memory = memory()


class Backlog:
    """Items that gather while their subscriber is held up, and all that it does when it is let go is take them.

    Attributes:
        source: Where they come from.
    """

    def __init__(self) -> None:
        from reactivex import Subject  # noqa: PLC0415 not in the memory of a peer that is measured bare

        self.source: Subject[int] = Subject()
        self._let_go = threading.Event()
        self._done = threading.Event()
        self._count = 0

    def subscribe(self, stream: Observable[int]) -> None:
        """Subscribe to what an operator makes of the source."""
        stream.subscribe(self._take, on_completed=self._done.set)

    def _take(self, _: int) -> None:
        if not self._count:
            self._let_go.wait()
        self._count += 1

    def drain(self, items: int, clock: Clock) -> None:
        """Let so many gather, and take the time in which they are delivered."""
        for item in range(items):
            self.source.on_next(item)
        self.source.on_completed()
        clock.start()
        self._let_go.set()
        self._done.wait()
        clock.stop()
        if self._count != items:
            raise RuntimeError(f"{self._count} of {items} items came")


class Asks:
    """Many asks that are open at once, each with the key of its reply.

    Attributes:
        keys: Of the asks.
        times: How long after a reply was there its ask had it, in ns.
        replied: Is set when all have.
    """

    def __init__(self, count: int) -> None:
        self.keys = range(count)
        self.times: list[int] = []
        self.replied = threading.Event()
        self._arrived = 0

    def arrived(self, _: object) -> None:
        """Note that a reply is there. By the first subscriber of the replies."""
        self._arrived = time.perf_counter_ns()

    def resolved(self, _: object) -> None:
        """Note that its ask has it."""
        self.times.append(time.perf_counter_ns() - self._arrived)
        if len(self.times) == len(self.keys):
            self.replied.set()


class Resumptions:
    """Items that a thread delivers while a loop has nothing else to do than to wait for them.

    Args:
        count: How many.

    Attributes:
        source: Where they come from; each is the time at which it was delivered.
        times: How long after that a coroutine had each, in ns.
    """

    def __init__(self, count: int) -> None:
        from reactivex import Subject  # noqa: PLC0415 not in the memory of a peer that is measured bare

        self.source: Subject[int] = Subject()
        self.times: list[int] = []
        self._count = count
        self._idle = threading.Semaphore(0)

    def run(self, first: Callable[[Observable[int]], Awaitable[int]]) -> None:
        """Await item after item by a coroutine's function."""
        import asyncio  # noqa: PLC0415 likewise

        async def take() -> None:
            loop = asyncio.get_running_loop()
            for _ in range(self._count):
                loop.call_soon(self._idle.release)
                delivered = await first(self.source)
                self.times.append(time.perf_counter_ns() - delivered)

        thread = threading.Thread(target=self._deliver)
        thread.start()
        asyncio.run(take())
        thread.join()

    def _deliver(self) -> None:
        for _ in range(self._count):
            self._idle.acquire()
            self.source.on_next(time.perf_counter_ns())


def memory() -> dict[str, int]:
    """Return the process's memory in bytes: RSS, and on Linux PSS and what is private to it."""
    smaps = Path("/proc/self/smaps_rollup")
    if not smaps.exists():
        return {"rss": peak_rss()}
    found = {name: int(size) * KIB for name, size in re.findall(r"(\w+): +(\d+) kB", smaps.read_text())}
    return {
        "rss": found["Rss"],
        "pss": found["Pss"],
        "private": found["Private_Clean"] + found["Private_Dirty"],
    }


def peak_rss() -> int:
    """Return the most memory that the process had, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * KIB


# --- the kinds of measurement


def _receive(client: Client, task: Task) -> dict[str, float]:
    clock, counter = Clock(), Counter()
    client.receive(task, Feed(task, counter.take, clock))
    clock.stop()
    return {**clock.figures(counter.count), "received": counter.count}


def _answer(client: Client, task: Task) -> dict[str, float]:
    clock, counter = Clock(), Counter()
    client.answer(task, Feed(task, counter.take, clock))
    clock.stop()
    return {**clock.figures(counter.count * task.burst), "received": counter.count}


def _round_trip(client: Client, task: Task) -> dict[str, float]:
    clock = Clock()
    times: list[int] = []
    now, append = time.perf_counter_ns, times.append
    client.answer(task, Feed(task, lambda _: append(now()), clock))
    clock.stop()
    trips = [later - earlier for earlier, later in itertools.pairwise(times[WARM_UP:])]
    return {**clock.figures(len(times)), "received": len(times), **_percentiles(trips)}


def _send(client: Client, task: Task) -> dict[str, float]:
    clock = Clock()
    messages = list(itertools.islice(itertools.cycle(task.messages()), task.burst))
    stint = Stint(clock, task.seconds, messages)
    client.send(task, stint)
    clock.stop()
    return {**clock.figures(stint.sent), "sent": stint.sent}


def _connect(client: Client, task: Task) -> dict[str, float]:
    clock = Clock()
    stint = Stint(clock, task.seconds, [None] * task.burst)
    client.connect(task, stint)
    clock.stop()
    return clock.figures(stint.sent)


def _synchronize(client: Client, task: Task) -> dict[str, float]:
    clock = Clock()
    stint = Stint(clock, task.seconds, [None] * task.burst)
    client.synchronize(task, stint)
    clock.stop()
    return clock.figures(stint.sent)


def _gather(client: Client, task: Task) -> dict[str, float]:
    client.gather(task, Crowd(1))  # what the first session loads once, the others do not cost
    gc.collect()
    before = memory()
    crowd = Crowd(task.sessions)
    client.gather(task, crowd)
    each = {name: (crowd.memory[name] - size) / task.sessions / KIB for name, size in before.items()}
    return {**each, "seconds": crowd.seconds, "failures": task.sessions - crowd.count}


def _drain(client: Client, task: Task) -> dict[str, float]:
    def seconds_each(items: int) -> float:
        clocks.append(Clock())
        backlog = Backlog()
        client.drain(items, backlog)
        backlog.drain(items, clocks[-1])
        return clocks[-1].seconds / items

    clocks: list[Clock] = []
    few, many = seconds_each(task.items // 10), seconds_each(task.items)
    return {**clocks[-1].figures(task.items), "growth": many / few}


def _ask(client: Client, task: Task) -> dict[str, float]:
    clock, asks = Clock(), Asks(task.items)
    clock.start()
    client.ask(task, asks)
    clock.stop()
    if len(asks.times) != task.items:
        raise RuntimeError(f"{len(asks.times)} of {task.items} were replied to")
    return {**clock.figures(task.items), **_percentiles(asks.times)}


def _resume(client: Client, task: Task) -> dict[str, float]:
    clock, resumptions = Clock(), Resumptions(task.items)
    clock.start()
    client.resume(resumptions)
    clock.stop()
    return {**clock.figures(len(resumptions.times)), **_percentiles(resumptions.times)}


def _percentiles(times: list[int]) -> dict[str, float]:
    """Return what is told of times in ns, in µs."""
    times = sorted(times)
    return {"p50": times[len(times) // 2] / 1000, "p99": times[len(times) * 99 // 100] / 1000}


MEASURES: dict[str, Callable[[Client, Task], dict[str, float]]] = {
    "receive": _receive,
    "answer": _answer,
    "round trip": _round_trip,
    "send": _send,
    "connect": _connect,
    "gather": _gather,
    "synchronize": _synchronize,
    "drain": _drain,
    "resume": _resume,
    "ask": _ask,
}
"""What a client's process does for each kind of row, and the figures that come of it."""
