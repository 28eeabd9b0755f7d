"""Live WebSocket data as Rx streams: sockets, sessions, stores, and stores kept in sync with a server.

The modules stand on floors, and each imports only from floors below its own. Two towers, of the store and of the wire,
meet only in ``sync``:

===== =================================================================================================================
floor modules
===== =================================================================================================================
13    ``__main__``: the command line
12    ``demo``: what the command shows (extra ``demo``)
11    ``sync``: a store and a server kept the same; ``hub``: a server to sync with and to chat on (extra ``hub``);
      ``demo_stage``: where the demo's steps play
10    ``socket``: an endpoint, described
9     ``cold``: a session while somebody is subscribed; ``demo_view``: the demo in a terminal, or in plain lines
8     ``session``: a connection to a server, as its user has it
7     ``runner``: a session's thread, through all its connections
6     ``conversation``: what a session says and hears on one of them, from any thread
5     ``channel``: an open connection in messages
4     ``opening``: makes a connection, by websocket-client; ``lifecycle``: where a session stands, as streams;
      ``outgoing``: what is on its way out
3     ``handshake``: RFC 6455's opening one, as text; ``messages``: what a session receives, as streams; ``states``: the
      table of a session's life; ``encoding``: RFC 6455 from messages to bytes; ``decoding``: from bytes to messages;
      ``store``: values that change by handlers
2     ``resource``: the codec of entities; ``options``: of an endpoint; ``connection``: an open socket; ``views``: of
      messages, as they are and decoded
1     ``updates``: of a store, one at a time; ``history``: of its values; ``urls``: which can work; ``frames``: RFC
      6455's; ``deflate``: RFC 7692, without I/O; ``backoff``: when to try again; ``delivery``: of a stream to a
      subscriber, by a queue or in batches; ``codec``: of values that go as messages
0     ``errors``; ``lenses``; ``subjects``; ``handlers``: of a store; ``checks``: of numbers that are chosen;
      ``masking``: of frames; ``waiting``: for a socket; ``keepalive``: of a connection; ``keeper``: of sessions that
      are held up; ``chat``: the hub's rooms; ``entity``: what clients of a hub's path share
===== =================================================================================================================
"""

from .backoff import Backoff
from .codec import Codec, codec_of
from .deflate import Deflate
from .delivery import Overflow, batched, buffered
from .errors import (
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
from .resource import Resource, next_id
from .session import Session
from .socket import Socket, websocket
from .states import Closed, CloseEvent, Closing, Connecting, EndException, Initiator, Open, OpenEvent, State
from .store import RootStore, Store, SubStore, handler
from .sync import Sync, SyncStatus, sync_with
from .updates import Change

__all__ = [
    "Backoff",
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
    "codec_of",
    "element",
    "field",
    "handled_by",
    "handler",
    "index",
    "key",
    "next_id",
    "or_default",
    "path",
    "sync_with",
    "websocket",
]
