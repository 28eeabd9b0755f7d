"""Masking: new keys, the same result in each way, and numpy where it pays."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from websockets.frames import Frame, Opcode
from websockets.utils import apply_mask

import rxsocket.masking
from rxsocket.encoding import encode_message
from rxsocket.masking import HUGE, LARGE, _numpy


def test_each_frame_is_masked_with_a_new_key_from_the_systems_random_source(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[bytes] = []
    source = os.urandom

    def recorded(size: int) -> bytes:
        given.append(source(size))
        return given[-1]

    monkeypatch.setattr(os, "urandom", recorded)
    monkeypatch.setattr(rxsocket.masking, "_keys", [])
    frames = [encode_message(bytes(8)) for _ in range(3000)]
    keys = [bytes(frame[2:6]) for frame in frames]
    assert [frame[6:] for frame in frames] == [key * 2 for key in keys]  # zeros show the key itself
    source_of_all = b"".join(given)
    at_hand = sorted(source_of_all[place : place + 4] for place in range(0, len(source_of_all), 4))
    for key in rxsocket.masking._keys:
        at_hand.remove(key)
    assert sorted(keys) == at_hand  # each once
    assert len(given) < 10


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_process_does_not_use_its_parents_keys() -> None:
    code = """
import os
from rxsocket.encoding import encode_message
encode_message(b"")
reading, writing = os.pipe()
if os.fork() == 0:
    os.write(writing, encode_message(b""))
    os._exit(0)
os.wait()
print(os.read(reading, 6) != encode_message(b""))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 ours
    assert done.stdout == "True\n"


WAYS = ("numpy is loaded", "numpy is there", "without numpy")


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Whether masking finds numpy, whatever this process has loaded."""
    numpy = importlib.import_module("numpy")
    monkeypatch.setitem(sys.modules, "numpy", numpy)
    if request.param == "numpy is there":
        monkeypatch.setattr(rxsocket.masking, "import_module", lambda name: {"numpy": numpy}[name])
        monkeypatch.delitem(sys.modules, "numpy")
    elif request.param == "without numpy":
        monkeypatch.setitem(sys.modules, "numpy", None)  # type: ignore[arg-type]  importing it raises then
    _numpy.cache_clear()
    yield request.param
    _numpy.cache_clear()


def test_payloads_of_any_size_and_kind_are_masked_in_each_way(way: str) -> None:
    sizes = [*range(20), *range(LARGE - 9, LARGE + 9), 0xFFFF, 0x10000, 100_003, HUGE - 20, HUGE + 1, 1_000_001]
    source = os.urandom(max(sizes))
    for size in sizes:
        for payload in (source[:size], bytearray(source[:size]), memoryview(source)[:size]):
            frame = encode_message(payload)
            start = len(frame) - size
            key = frame[start - 4 : start]
            expected = Frame(Opcode.BINARY, source[:size]).serialize(mask=False)
            assert frame[: start - 4] == bytes((expected[0], expected[1] | 0x80)) + expected[2 : start - 4]
            assert frame[start:] == apply_mask(source[:size], bytes(key))
        assert payload == source[:size]


def test_numpy_is_used_where_it_pays(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[bool] = []
    found = _numpy()
    monkeypatch.setattr(rxsocket.masking, "_numpy", lambda: used.append(found is not None) or found)
    for size in (LARGE - 1, LARGE, HUGE):
        encode_message(bytes(size))
    assert (
        used
        == {
            "numpy is loaded": [True, True],
            "numpy is there": [True],
            "without numpy": [False, False],
        }[way]
    )
