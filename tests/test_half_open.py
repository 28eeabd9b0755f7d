"""Peers that vanish without a word, by a packet filter in a network namespace of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def half_open() -> Callable[..., dict[str, object]]:
    """Plays a scene of half_open.py, whose options are given, in a network namespace of its own."""
    for program, package in (("unshare", "util-linux"), ("ip", "iproute2"), ("iptables", "iptables")):
        if shutil.which(program) is None:
            pytest.skip(f"the program {program} is not installed: it comes with the package {package}")
    able = subprocess.run(["unshare", "-n", "true"], capture_output=True, text=True, check=False)  # noqa: S607 found above
    if able.returncode:
        pytest.skip(f"no network namespace can be made, which root can: {able.stderr.strip()}")

    def play(scene: str, **options) -> dict[str, object]:
        script = Path(__file__).with_name("half_open.py")
        done = subprocess.run(  # noqa: S603 our own script
            ["unshare", "-n", sys.executable, script, scene, json.dumps(options)],  # noqa: S607 found above
            capture_output=True,
            text=True,
            timeout=25,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return play


def test_a_host_that_never_answers_is_given_up_at_connect_timeout(half_open):
    came = half_open("connect", connect_timeout=0.5)
    assert 0.5 <= came["seconds"] < 0.5 + 0.5
    assert (came["code"], came["initiator"], came["was_clean"]) == (1006, "network", False)
    assert came["errors"] == [came["reason"]]
    assert "connect_timeout=0.5 s" in came["reason"]


def test_a_close_while_a_host_never_answers_is_immediate(half_open):
    came = half_open("give up", connect_timeout=20)
    assert came["seconds"] < 0.5
    assert (came["code"], came["initiator"], came["was_clean"]) == (1006, "client", False)
    assert came["errors"] == []


def test_a_close_after_the_peer_has_vanished_returns_at_close_timeout(half_open):
    came = half_open("close", close_timeout=0.5)
    assert 0.5 <= came["seconds"] < 0.5 + 0.5
    assert came["messages"] == ["hello"]
    assert (came["code"], came["initiator"], came["was_clean"]) == (1006, "client", False)
    assert "close_timeout" in came["reason"]


def test_a_peer_that_has_vanished_is_found_in_a_full_pause_too_and_what_came_is_delivered(half_open):
    came = half_open("full", ping_interval=0.5, ping_timeout=1.0)
    assert came["seconds"] < 0.5 + 1.0 + 0.5
    assert came["messages"] == ["hello"]
    assert (came["code"], came["initiator"], came["was_clean"]) == (1006, "network", False)


@pytest.mark.parametrize("scene", ["idle", "send"])
def test_a_peer_that_has_vanished_is_found_within_ping_interval_and_ping_timeout(half_open, scene):
    came = half_open(scene, ping_interval=0.5, ping_timeout=1.0)
    assert came["seconds"] < 0.5 + 1.0 + 0.5
    assert came["messages"] == ["hello"]
    assert (came["code"], came["initiator"], came["was_clean"]) == (1006, "network", False)
    assert came["errors"] == [came["reason"]]
    assert "ping_timeout" in came["reason"]
