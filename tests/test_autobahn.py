"""rxsocket before the Autobahn testsuite, which must find nothing, not even what is merely not strict."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from autobahn.run import EVERYDAY, PROBES, run

FOLDER = os.environ.get("RXSOCKET_AUTOBAHN")

pytestmark = [
    pytest.mark.skipif(
        not FOLDER,
        reason="RXSOCKET_AUTOBAHN names no folder with the Autobahn testsuite: "
        "python tests/autobahn/build.py FOLDER makes one",
    ),
    pytest.mark.timeout(100),
]


@pytest.mark.parametrize("group", EVERYDAY)
def test_every_case_is_passed(group):
    results = list(run(Path(str(FOLDER)), [group]))
    assert results
    assert not [str(result) for result in results if not result.passed]


def test_every_probe_of_compression_is_passed():
    results = list(run(Path(str(FOLDER)), list(PROBES), compression=True))
    assert {result.case for result in results} == set(PROBES)
    assert not [str(result) for result in results if not result.passed]
