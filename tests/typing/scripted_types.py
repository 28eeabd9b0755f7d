"""What type-checkers know of scripted servers and their clients; it is checked, and never run."""

from __future__ import annotations

from typing import assert_type

import msgspec

from rxsocket.codec import codec_of
from rxsocket.script_client import Client
from rxsocket.scripted import ScriptedServer, serve
from rxsocket.served_connection import Refusal


class Price(msgspec.Struct):
    value: float


def texts(client: Client) -> None:
    assert_type(client.receive(), str | bytes)
    client.send("text", b"bytes", bytearray())
    client.send(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def values(client: Client[Price]) -> None:
    assert_type(client.receive(), Price)
    assert_type(list(client), list[Price])
    client.send(Price(1.5), "as it is")
    client.expect(Price(1.5))


def servers() -> None:
    assert_type(serve(texts, Refusal(503)), ScriptedServer)
    assert_type(serve(values, codec=codec_of(Price)), ScriptedServer[Price])
    assert_type(serve(values, codec=codec_of(Price)).clients, list[Client[Price]])
    with serve(lambda client: client.send("text")) as url:
        assert_type(url, str)
    serve(texts, codec=codec_of(Price))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
