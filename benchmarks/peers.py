"""Who is measured."""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple

__all__ = ["BY_HAND", "OURS", "PEERS", "Peer", "with_subjects"]

OURS = "rxsocket"
BY_HAND = "by-hand"  # over a session of rxsocket, what its operators do


class Peer(NamedTuple):
    """A library, in one of the ways in which it is used."""

    name: str
    label: str
    module: str  # of benchmarks.clients; for Node "node"
    package: str  # what has to be installed, by its distribution's name
    imported: str  # by the name that it is imported by
    subject: bool = False  # whether it feeds a Subject of reactivex

    @property
    def base(self) -> str:
        """The name without the Subject."""
        return self.name.partition("+")[0]

    @property
    def is_installed(self) -> bool:
        """Whether it can be measured; that of Node is installed when it is wanted."""
        return self.module == "node" or find_spec(self.imported) is not None


_BARE = (
    Peer(OURS, "rxsocket", "rxsocket", "rxsocket", "rxsocket"),
    Peer("picows", "picows", "picows", "picows", "picows"),
    Peer("rxjs", "RxJS + ws (Node)", "node", "rxjs", ""),
    Peer("aiohttp", "aiohttp", "aiohttp", "aiohttp", "aiohttp"),
    Peer("websockets-asyncio", "websockets, asyncio", "websockets_asyncio", "websockets", "websockets"),
    Peer("websockets-sync", "websockets, sync", "websockets_sync", "websockets", "websockets"),
    Peer("websocket-client", "websocket-client, recv()", "websocket_client", "websocket-client", "websocket"),
    Peer("websocketapp", "websocket-client, WebSocketApp", "websocket_app", "websocket-client", "websocket"),
    Peer("raw", "a plain socket: the limit", "raw", "rxsocket", "rxsocket"),
    Peer(BY_HAND, "by RxPY and msgspec alone", "by_hand", "rxsocket", "rxsocket"),
)
_HAS_RX = {OURS, BY_HAND, "rxjs"}
_FEEDING = tuple(
    peer._replace(name=f"{peer.name}+subject", label=f"{peer.label} → Subject", subject=True)
    for peer in _BARE
    if peer.name not in _HAS_RX | {"raw"}
)

PEERS = {peer.name: peer for peer in (*_BARE, *_FEEDING)}


def with_subjects(*names: str) -> tuple[str, ...]:
    """Return the names of peers, and behind each that has no Rx that of the one that feeds a Subject."""
    return tuple(each for name in names for each in (name, f"{name}+subject") if each in PEERS)
