"""Live WebSocket data as Rx streams: sockets, sessions, stores, and stores kept in sync with a server.

The modules stand on floors, and each imports only from floors below its own. Two towers, of the store and of the wire,
meet only in ``sync``:

===== =================================================================================================================
floor modules
===== =================================================================================================================
13    ``__main__``: the command line
12    ``demo``: what the command shows (extra ``demo``); ``commands``: record, replay, serve, listen; ``notebook``: live
      views in Jupyter (extra ``notebook``)
11    ``sync``: a store and a server kept the same; ``hub``: a server to sync with and to chat on (extra ``hub``);
      ``serving``: plays a cassette to clients (extra ``hub``); ``lines``: messages for a terminal; ``testing``: what
      tests of users' own code need; ``demo_stage``: where the demo's steps play; ``sheets``: what a
      notebook's views say of sessions, streams, stores and replays
10    ``socket``: an endpoint, described; ``scripted``: a server that plays scripts; ``proxy``: of faults
9     ``cold``: a session while somebody is subscribed; ``jsonrpc``: calls over a session; ``leftovers``: sessions left
      open; ``roster``: those that are open; ``demo_view``: the demo in a terminal, or in plain lines
8     ``socket_session``: a session over the network, and all that are open; ``marbles``: diagrams of fake ones
7     ``runner``: a session's thread, through all its connections; ``replaying``: plays what a session told; ``fake``:
      a session that a test tells what to tell
6     ``conversation``: what a session says and hears on one of them, from any thread; ``session``: as its
      user has it, with topics and replies; ``simulated``: one without a network; ``recording``: of what one tells
5     ``channel``: an open connection in messages; ``streams``: what there is to hear of a session; ``display``: the
      life of a view in a notebook; ``script_client``: who has connected to it, as a script has it
4     ``opening``: makes a connection, by websocket-client; ``lifecycle``: where a session stands, as streams;
      ``outgoing``: what is on its way out; ``messages``: what a session receives, as streams; ``cassette``: what it
      told, in a file; ``topics``: that a server is told of; ``replies``: to what was asked; ``binding``: of a widget to
      a store; ``served_connection``: one of a scripted server; ``relay``: of a proxy of faults; ``plotting``: streams
      as lines; ``widget``: where a view is seen
3     ``handshake``: RFC 6455's opening one, as text; ``encoding``: RFC 6455 from messages to bytes; ``decoding``: from
      bytes to messages; ``gaps``: where messages may be missing; ``link``: what topics and replies need of a session;
      ``store``: values that change by handlers; ``delivery``: of a stream to a subscriber, by a queue or in batches;
      ``asynchronous``: to a coroutine; ``glance``: a session in a line, and in a table;
      ``picture``: of a source, in a view; ``passage``: through a proxy of faults
2     ``states``: the table of a session's life; ``updates``: of a store, one at a time; ``history``: of its values;
      ``options``: of an endpoint; ``connection``: an open socket; ``resource``: the codec of entities; ``views``: of
      messages, as they are and decoded; ``sampling``: of a value, now and again; ``drawing``: sheets and plots as HTML
      and SVG
1     ``subjects``; ``codec``: of values that go as messages; ``urls``: which can work; ``frames``: RFC 6455's;
      ``deflate``: RFC 7692, without I/O; ``backoff``: when to try again; ``backlog``: what waits for a subscriber;
      ``emitted``: what a stream emits, held to what it should; ``stats``: what a session counts; ``cells``: of a
      notebook, each with its scope; ``tables``: items as rows of text
0     ``errors``; ``lenses``; ``loops``: of asyncio, told by threads; ``handlers``: of a store; ``checks``: of numbers
      that are chosen; ``masking``: of frames; ``waiting``: for a socket; ``keepalive``: of a connection; ``keeper``: of
      sessions that are held up; ``deadlines``: many, on one thread; ``chat``: the hub's rooms; ``entity``: what clients
      of a hub's path share; ``markup``: what a notebook shows of a value;
      ``scopes``: of what ends together; ``pump``: draws views, on one thread; ``flow``: of frames to a
      browser; ``series``: the points of lines
===== =================================================================================================================
"""

from . import cells
from .asynchronous import AsyncItems, first, iterate
from .backlog import Overflow
from .backoff import Backoff
from .cassette import Cassette
from .codec import Codec, codec_of
from .deflate import Deflate
from .delivery import batched, buffered
from .errors import (
    CassetteException,
    CertificateException,
    CloseException,
    ConnectionException,
    DecodeException,
    EndpointException,
    FunctionException,
    HandshakeException,
    HoldException,
    JsonRpcException,
    OverflowException,
    ProtocolException,
    ReplyException,
    ReplyTimeoutException,
    RxSocketException,
    SendException,
    SubscriberException,
)
from .frames import Close
from .gaps import Gap
from .handlers import EmittingHandler, Handler, handled_by
from .history import History, Tracker
from .jsonrpc import JsonRpc, Request
from .lenses import Lens, element, field, index, key, or_default, path
from .messages import MessageEvent, Messages
from .recording import Recording, record
from .replaying import Replay, replay
from .resource import Resource, next_id
from .roster import Sessions, sessions
from .session import Session
from .socket import Socket, websocket
from .socket_session import close_all
from .states import Closed, CloseEvent, Closing, Connecting, EndException, Initiator, Open, OpenEvent, State
from .stats import Rates, Stats
from .store import RootStore, Store, SubStore, handler
from .streams import Streams
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
    "Codec",
    "Connecting",
    "ConnectionException",
    "DecodeException",
    "Deflate",
    "EmittingHandler",
    "EndException",
    "EndpointException",
    "FunctionException",
    "Gap",
    "Handler",
    "HandshakeException",
    "History",
    "HoldException",
    "Initiator",
    "JsonRpc",
    "JsonRpcException",
    "Lens",
    "MessageEvent",
    "Messages",
    "Open",
    "OpenEvent",
    "Overflow",
    "OverflowException",
    "ProtocolException",
    "Rates",
    "Recording",
    "Replay",
    "ReplyException",
    "ReplyTimeoutException",
    "Request",
    "Resource",
    "RootStore",
    "RxSocketException",
    "SendException",
    "Session",
    "Sessions",
    "Socket",
    "State",
    "Stats",
    "Store",
    "Streams",
    "SubStore",
    "SubscriberException",
    "Sync",
    "SyncStatus",
    "Tracker",
    "batched",
    "buffered",
    "close_all",
    "codec_of",
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
    "sessions",
    "sync_with",
    "websocket",
]

cells.enable()
