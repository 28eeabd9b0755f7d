"""A plain socket that speaks as little of the protocol as can be: what the server, and the machine, can at most."""

from __future__ import annotations

import os
import socket
from urllib.parse import urlsplit

from benchmarks.wire import BINARY, TEXT, frame

from .measures import Feed, Stint, Task
