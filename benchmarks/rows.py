"""What is measured: the rows of the table, and the bars that rxsocket is held to."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlencode

from .peers import BY_HAND, OURS, with_subjects

__all__ = ["CPU", "P50", "ROWS", "Bar", "Metric", "Row"]

KIB = 1024
MIB = 1024 * KIB

PYTHON = (
    OURS,
    "picows",
    "aiohttp",
    "websockets-asyncio",
    "websockets-sync",
    "websocket-client",
    "websocketapp",
)
BARE = (OURS, "picows", "rxjs", *PYTHON[2:])
COMPRESSING = (OURS, "rxjs", "aiohttp", "websockets-asyncio", "websockets-sync")
THREADED = (OURS, "websockets-sync", "websocket-client", "websocketapp")
MASKING = (OURS, "picows", "rxjs", "aiohttp", "websockets-asyncio", "websockets-sync", "websocket-client")


class Metric(NamedTuple):
    """A figure of a client's."""

    name: str  # in what the client prints
    unit: str
    lower: bool = False  # whether less of it is better


class Bar(NamedTuple):
    """What rxsocket is held to.

    Attributes:
        limit: A ratio of rxsocket's figure to a peer's; or the figure itself, where there is no peer. Where less is
            better, it is the most that there may be.
        peer: The peer's name.
        metric: Of which figure.
    """

    limit: float
    peer: str | None
    metric: Metric


class Row(NamedTuple):
    """One row of the table: a measurement of several peers.

    Attributes:
        name: For the command line.
        title: For people.
        kind: One of those of the clients' measures, or "import", which the runner has.
        peers: Whom it is measured of, by name.
        metrics: The figures to show; the first is what ratios are told of.
        bars: What rxsocket is held to.
        options: Fields of the clients' task.
    """

    name: str
    title: str
    kind: str
    peers: tuple[str, ...]
    metrics: tuple[Metric, ...]
    bars: tuple[Bar, ...] = ()
    options: Mapping[str, int | bool] = MappingProxyType({})

    @property
    def takes_turns(self) -> bool:
        """Whether client and server only ever work in turn, and so run on one CPU.

        To wake another, which sleeps, takes longer than all that a client does in a round trip, and now less and now
        more.
        """
        return self.kind == "round trip"

    def target(self, seconds: float) -> str:
        """Return the path and query of the server's URL."""
        path = {"receive": "/flood", "answer": "/echo", "round trip": "/echo", "send": "/sink"}.get(self.kind, "/echo")
        query: dict[str, float] = {"size": 100, "text": 1}
        query.update({name: int(value) for name, value in self.options.items() if name in _OF_THE_SERVER})
        if self.kind not in {"connect", "gather"}:
            query["seconds"] = seconds
        if self.takes_turns:
            query["pinned"] = 1
        return f"{path}?{urlencode(query)}"


_OF_THE_SERVER = {"size", "text", "json", "deflate", "in_flight", "burst"}

RATE = Metric("rate", "messages/s")
CPU = Metric("cpu", "CPU, µs each", lower=True)
P50 = Metric("p50", "p50, µs", lower=True)
P99 = Metric("p99", "p99, µs", lower=True)
CONNECTIONS = Metric("rate", "connections/s")
RSS = Metric("rss", "RSS, kB each", lower=True)
PSS = Metric("pss", "PSS, kB each", lower=True)
PRIVATE = Metric("private", "private, kB each", lower=True)
SECONDS = Metric("seconds", "all served, s", lower=True)
FAILURES = Metric("failures", "failures", lower=True)
UPDATES = Metric("rate", "updates/s")
GROWTH = Metric("growth", "growth", lower=True)
IMPORT = Metric("milliseconds", "ms", lower=True)


def _against(metric: Metric, limits: Mapping[str, float]) -> tuple[Bar, ...]:
    return tuple(Bar(limit, peer, metric) for peer, limit in limits.items())


_SIZES = {16: "16", 100: "100", KIB: "1k", 16 * KIB: "16k", MIB: "1m"}
_SIZE_NAMES = {16: "16 B", 100: "100 B", KIB: "1 KiB", 16 * KIB: "16 KiB", MIB: "1 MiB"}
_OF_PICOWS = {16: 0.8, 100: 0.8, KIB: 0.8, 16 * KIB: 0.8, MIB: 0.7}


def _floods() -> tuple[Row, ...]:
    rows: list[Row] = []
    for size, short in _SIZES.items():
        limits = {"picows": _OF_PICOWS[size], "aiohttp": 1.0}
        if size == 100:  # noqa: PLR2004 what most feeds are like has more bars
            limits |= {"websocketapp": 15, "aiohttp": 2, "rxjs": 1.2, "picows+subject": 1.5}
        name = _SIZE_NAMES[size]
        peers = (*with_subjects(*BARE), "raw")
        rows += (
            Row(
                f"receive-text-{short}",
                f"receive {name} texts",
                "receive",
                peers,
                (RATE, CPU),
                _against(RATE, limits),
                {"size": size, "text": True},
            ),
            Row(
                f"receive-binary-{short}",
                f"receive {name} binary messages",
                "receive",
                peers,
                (RATE, CPU),
                options={"size": size, "text": False},
            ),
            Row(
                f"receive-tls-{short}",
                f"receive {name} texts over TLS",
                "receive",
                peers,
                (RATE, CPU),
                options={"size": size, "text": True, "tls": True},
            ),
            Row(
                f"receive-deflate-{short}",
                f"receive {name} of JSON, deflated",
                "receive",
                with_subjects(*COMPRESSING),
                (RATE, CPU),
                _against(RATE, {"websockets-sync": 1, "websockets-asyncio": 1} if size == KIB else {}),
                {"size": size, "text": True, "json": True, "deflate": True},
            ),
        )
    return tuple(rows)


_FEEDING = tuple(name for name in with_subjects(*BARE) if name not in BARE)
_SENDERS = ("websocket-client", "websockets-sync", "websockets-asyncio", "aiohttp")

_TABLE = (
    *sorted(_floods(), key=lambda row: row.name.split("-")[1] != "text"),
    Row(
        "receive-chain",
        "receive 100 B texts through map and filter",
        "receive",
        (OURS, "rxjs", *_FEEDING),
        (RATE, CPU),
        _against(RATE, {"websocketapp+subject": 10}),
        {"chain": True},
    ),
    Row(
        "receive-decode",
        "receive 100 B of JSON and decode it to a msgspec Struct (RxJS: to an object)",
        "receive",
        with_subjects(*BARE),
        (RATE, CPU),
        options={"json": True, "decode": True},
    ),
    Row(
        "send-one-thread",
        "send 100 B texts from one thread",
        "send",
        (*BARE, "raw"),
        (RATE, CPU),
        _against(RATE, dict.fromkeys(_SENDERS, 1.2)),
        {"burst": 100},
    ),
    Row(
        "send-eight-threads",
        "send 100 B texts from eight threads",
        "send",
        THREADED,
        (RATE, CPU),
        options={"burst": 100, "threads": 8},
    ),
    Row(
        "send-bursts",
        "send 100 B texts from a subscriber, 100 for each that comes",
        "answer",
        (*BARE, "raw"),
        (RATE, CPU),
        _against(RATE, {"picows": 1.2}),
        {"burst": 100, "in_flight": 4},
    ),
    Row(
        "send-1m",
        "send 1 MiB binary messages",
        "send",
        (*MASKING, "raw"),
        (RATE, CPU),
        _against(RATE, {"websockets-sync": 1, "websockets-asyncio": 1}),
        {"size": MIB, "text": False},
    ),
    Row(
        "send-1m-without-numpy",
        "send 1 MiB binary messages, numpy not installed",
        "send",
        MASKING,
        (RATE, CPU),
        _against(RATE, {"websockets-sync": 0.3, "websockets-asyncio": 0.3}),
        {"size": MIB, "text": False, "numpy": False},
    ),
    Row(
        "echo",
        "send back 100 B texts, 1,000 in flight",
        "answer",
        (*BARE, "raw"),
        (RATE, CPU),
        _against(RATE, {"websockets-sync": 2}),
        {"in_flight": 1000},
    ),
    Row(
        "echo-deflate",
        "send back 1 KiB of JSON, deflated both ways, 100 in flight",
        "answer",
        COMPRESSING,
        (RATE, CPU),
        _against(RATE, {"websockets-sync": 1, "websockets-asyncio": 1}),
        {"size": KIB, "json": True, "deflate": True, "in_flight": 100},
    ),
    Row(
        "roundtrip",
        "round trip of a 100 B text",
        "round trip",
        (*BARE, "raw"),
        (P50, P99, CPU),
        _against(P50, {"websocket-client": 0.8, "picows": 1.1}),
        {"in_flight": 1},
    ),
    Row("connect", "connect and close", "connect", (*BARE, "raw"), (CONNECTIONS, CPU), options={"burst": 10}),
    Row(
        "idle",
        "memory of an idle session, one of 200",
        "gather",
        BARE,
        (RSS, PSS, PRIVATE),
        (Bar(100, None, RSS),),
        {"sessions": 200},
    ),
    Row(
        "sessions",
        "1,000 sessions, each sends and receives a message",
        "gather",
        BARE,
        (SECONDS, RSS, FAILURES),
        (Bar(100, None, RSS), Bar(0, None, FAILURES)),
        {"sessions": 1000},
    ),
    Row(
        "store",
        "changes of a store that reach another, through a hub",
        "synchronize",
        (OURS,),
        (UPDATES, CPU),
        options={"burst": 100},
    ),
    Row(
        "compose-decode",
        "receive 100 B of JSON as msgspec Structs: messages.decode, and msgspec in a subscriber",
        "receive",
        (OURS, BY_HAND),
        (CPU, RATE),
        _against(CPU, {BY_HAND: 1.3}),
        {"json": True, "typed": True},
    ),
    Row(
        "compose-ask",
        "reply to one of 10,000 open asks, by a key function",
        "ask",
        (OURS,),
        (P50, P99),
        (Bar(50, None, P50),),
        {"items": 10_000},
    ),
    Row(
        "compose-buffered",
        "deliver 100,000 items that wait in a queue: buffered, and observe_on",
        "drain",
        (OURS, BY_HAND),
        (RATE, GROWTH),
        _against(RATE, {BY_HAND: 5}),
        {"items": 100_000},
    ),
    Row(
        "compose-buffered-1m",
        "deliver 1,000,000 items that wait in a queue: buffered",
        "drain",
        (OURS,),
        (RATE, GROWTH),
        (Bar(1.5, None, GROWTH),),
        {"items": 1_000_000},
    ),
    Row(
        "compose-first",
        "resume a coroutine that awaits a stream's first item",
        "resume",
        (OURS, BY_HAND),
        (P99, P50),
        (Bar(2000, None, P99),),
        {"items": 2000},
    ),
    Row(
        "import",
        "import (in a new interpreter)",
        "import",
        (OURS, "dependencies", "picows", "aiohttp", "websockets-asyncio", "websockets-sync", "websocket-client"),
        (IMPORT,),
    ),
)

ROWS = {row.name: row for row in _TABLE}
