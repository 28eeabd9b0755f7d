"""What tests of code that uses rxsocket need: servers that play scripts, faults of a network, and checks.

For pytest, unittest, or none; no part of ``import rxsocket``.

- :func:`serve`: a WebSocket server on loopback that plays scripts, each a function of a :class:`Client`, or a
  :class:`Refusal`.
- :func:`proxy`: a TCP proxy of :class:`Faults`: delays, stalls, cuts, resets, and connections that are half open.
- :class:`FakeSession`: a session without a socket, which a test tells what to hear.
- :func:`marbles`: diagrams of sessions, and of what is made of their streams, in virtual time.
- :func:`emits`: holds a stream to what it should emit in a block.
- :func:`no_open_sessions`: holds a block to closing what it opens.
"""

from .emitted import Emitted, emits
from .fake import FakeSession
from .leftovers import no_open_sessions
from .marbles import Marbles, marbles
from .proxy import Faults, proxy
from .script_client import Client
from .scripted import Script, ScriptedServer, serve
from .served_connection import Refusal

__all__ = [
    "Client",
    "Emitted",
    "FakeSession",
    "Faults",
    "Marbles",
    "Refusal",
    "Script",
    "ScriptedServer",
    "emits",
    "marbles",
    "no_open_sessions",
    "proxy",
    "serve",
]
