"""What the messages of the benchmarks say."""

from __future__ import annotations

import json
import random
import string

__all__ = ["contents"]

VARIANTS = 64  # of a JSON message: what is the same each time would deflate to nothing
FLOOR = 60  # bytes of JSON under which no trade fits


def contents(size: int, *, as_json: bool) -> list[bytes]:
    """Return messages of the same size, all ASCII.

    Args:
        size: Of each, in bytes.
        as_json: Whether they are JSON texts, no two the same: one trade up to 127 bytes, lists of trades beyond.
    """
    if not as_json:
        letters = string.ascii_letters.encode()
        return [(letters * (size // len(letters) + 1))[:size]]
    source = random.Random(size)  # noqa: S311 the same numbers at each run are what is wanted
    return [_json(source, size) for _ in range(max(1, min(VARIANTS, (1 << 22) // size)))]


def _json(source: random.Random, size: int) -> bytes:
    if size < FLOOR:
        return json.dumps("".join(source.choices(string.ascii_letters, k=size - 2))).encode()
    if size < 2 * FLOOR + 8:
        text = _trade(source)
        return (text[:-1] + " " * (size - len(text)) + "}").encode()
    parts: list[str] = []
    length = 2
    while length < size - 2 * FLOOR:
        parts.append(_trade(source))
        length += len(parts[-1]) + 1
    text = "[" + ",".join(parts)
    return (text + " " * (size - len(text) - 1) + "]").encode()


def _trade(source: random.Random) -> str:
    trade = {
        "symbol": source.choice(("BTC-EUR", "ETH-EUR", "SOL-USD", "ADA-USD")),
        "side": source.choice(("buy", "sell")),
        "price": round(source.uniform(1, 99_999), 2),
        "size": round(source.random(), 4),
        "id": source.randrange(10**9),
    }
    return json.dumps(trade, separators=(",", ":"))
