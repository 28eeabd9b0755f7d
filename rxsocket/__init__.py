"""Live WebSocket data as Rx streams: sockets, sessions, stores, and stores kept in sync with a server.

The modules stand on floors, and each imports only from floors below its own. Two towers, of the store and of the wire,
meet only in ``sync``:

===== =================================================================================================================
floor modules
===== =================================================================================================================
12    ``__main__``: the command line
11    ``demo``: what the command shows (extra ``demo``); ``commands``: record, replay, serve, listen
10    ``sync``: a store and a server kept the same; ``hub``: a server to sync with and to chat on (extra ``hub``);
      ``serving``: plays a cassette to clients (extra ``hub``); ``lines``: messages for a terminal; ``demo_stage``:
      where the demo's steps play
9     ``socket``: an endpoint, described; ``demo_view``: the demo in a terminal, or in plain lines
8     ``session``: a connection to a server, as its user has it
7     ``runner``: a session's thread, through all its connections; ``replaying``: plays what a session told
6     ``conversation``: what a session says and hears on one of them, from any thread; ``simulated``: a session
      without a network; ``recording``: of what a session tells
5     ``channel``: an open connection in messages; ``streams``: what there is to hear of a session
4     ``opening``: makes a connection, by websocket-client; ``lifecycle``: where a session stands, as streams;
      ``outgoing``: what is on its way out; ``cassette``: what a session told, in a file
3     ``handshake``: RFC 6455's opening one, as text; ``messages``: what a session receives, as streams; ``states``: the
      table of a session's life; ``encoding``: RFC 6455 from messages to bytes; ``decoding``: from bytes to messages;
      ``store``: values that change by handlers; ``delivery``: of a stream to a subscriber, by a queue or in batches;
      ``asynchronous``: to a coroutine
2     ``updates``: of a store, one at a time; ``history``: of its values; ``options``: of an endpoint; ``connection``:
      an open socket
1     ``subjects``; ``resource``: the codec of entities; ``urls``: which can work; ``frames``: RFC 6455's; ``deflate``:
      RFC 7692, without I/O; ``backoff``: when to try again; ``backlog``: what waits for a subscriber
0     ``errors``; ``lenses``; ``loops``: of asyncio, told by threads; ``handlers``: of a store; ``checks``: of numbers
      that are chosen; ``masking``: of frames; ``waiting``: for a socket; ``keepalive``: of a connection; ``keeper``: of
      sessions that are held up; ``chat``: the hub's rooms; ``entity``: what clients of a hub's path share
===== =================================================================================================================
"""

from .asynchronous import AsyncItems, first, iterate
from .backlog import Overflow
from .backoff import Backoff
from .cassette import Cassette
from .deflate import Deflate
from .delivery import batched, buffered
from .errors import (
    CassetteException,
    CertificateException,
    CloseException,
    ConnectionException,
    DecodeException,
    EndpointException,
    HandshakeException,
    HoldException,
    OverflowException,
    ProtocolException,
    RxSocketException,
    SendException,
    SubscriberException,
)
from .frames import Close
from .handlers import EmittingHandler, Handler, handled_by
from .history import History, Tracker
from .lenses import Lens, element, field, index, key, or_default, path
from .messages import MessageEvent, Messages
from .recording import Recording, record
from .replaying import Replay, replay
from .resource import Resource, next_id
from .session import Session
from .socket import Socket, websocket
from .states import Closed, CloseEvent, Closing, Connecting, Initiator, Open, OpenEvent, State
from .store import RootStore, Store, SubStore, handler
from .sync import Sync, SyncStatus, sync_with
from .updates import Change

__all__ = [
    "AsyncItems",
    "Backoff",
    "Cassette",
    "CassetteException",
    "CertificateException",
    "Change",
    "Close",
    "CloseEvent",
    "CloseException",
    "Closed",
    "Closing",
    "Connecting",
    "ConnectionException",
    "DecodeException",
    "Deflate",
    "EmittingHandler",
    "EndpointException",
    "Handler",
    "HandshakeException",
    "History",
    "HoldException",
    "Initiator",
    "Lens",
    "MessageEvent",
    "Messages",
    "Open",
    "OpenEvent",
    "Overflow",
    "OverflowException",
    "ProtocolException",
    "Recording",
    "Replay",
    "Resource",
    "RootStore",
    "RxSocketException",
    "SendException",
    "Session",
    "Socket",
    "State",
    "Store",
    "SubStore",
    "SubscriberException",
    "Sync",
    "SyncStatus",
    "Tracker",
    "batched",
    "buffered",
    "element",
    "field",
    "first",
    "handled_by",
    "handler",
    "index",
    "iterate",
    "key",
    "next_id",
    "or_default",
    "path",
    "record",
    "replay",
    "sync_with",
    "websocket",
]
