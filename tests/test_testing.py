"""What tests of users' own code import: that all of it is there, and that it costs others nothing."""

import subprocess
import sys
import unittest

from rxsocket import testing, websocket
from rxsocket.testing import Client, emits, no_open_sessions, proxy, serve


def test_it_exports_what_it_has():
    assert sorted(testing.__all__) == testing.__all__
    for name in testing.__all__:
        assert f":func:`{name}`" in (testing.__doc__ or "") or getattr(testing, name).__doc__


def test_it_is_no_part_of_the_package():
    code = """
import sys, rxsocket
ours = "testing", "emitted", "fake", "leftovers", "marbles", "passage", "proxy", "scripted", "script_client"
print({name for name in ours if f"rxsocket.{name}" in sys.modules})
from rxsocket.testing import serve
print({name for name in ("pytest", "unittest", "websockets") if name in sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603
    assert done.stdout.split() == ["set()", "set()"]


def test_all_of_it_works_together_under_unittest():
    def echo(client: Client) -> None:
        for message in client:
            client.send(message)

    class Case(unittest.TestCase):
        def test_an_echo(self) -> None:
            with no_open_sessions(), serve(echo) as url, proxy(url) as faults:  # noqa: SIM117 the session closes first
                with websocket(faults.url).connect() as session, emits(session.messages.body, "a", "b"):
                    session.send("a")
                    session.send("b")

    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Case).run(result)
    assert result.testsRun == 1
    assert result.wasSuccessful(), result.errors + result.failures
