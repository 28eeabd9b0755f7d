"""Looking after those whose thread is held up. The sessions' tests show it with real servers."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from servers import DEADLINE

from rxsocket.keeper import Keeper, Kept

PERIOD = 0.005


class Someone:
    """Whose turn the test sets."""

    def __init__(self, turn: int | None, enough: int = 3) -> None:
        self.turn = turn
        self.known = Kept(lambda: self.turn, self.keep, "somebody")
        self.kept = 0
        self.threads: set[str] = set()
        self._enough = enough
        self.enough = threading.Event()

    def keep(self) -> None:
        self.kept += 1
        self.threads.add(threading.current_thread().name)
        if self.kept >= self._enough:
            self.enough.set()


class Busy(Someone):
    """Whose turn is another each time."""

    @property
    def turn(self) -> int | None:
        self.turns += 1
        return self.turns

    @turn.setter
    def turn(self, turn: int | None) -> None:
        self.turns = 0


def test_who_stays_at_a_turn_is_kept_again_and_again_and_who_goes_on_or_waits_is_not() -> None:
    keeper = Keeper(PERIOD)
    stuck, busy, waiting = Someone(7), Busy(0), Someone(None)
    for each in (busy, waiting, stuck):
        keeper.add(each.known)
    assert stuck.enough.wait(DEADLINE)
    for each in (busy, waiting, stuck):
        keeper.remove(each.known)
    assert (busy.kept, waiting.kept) == (0, 0)
    assert stuck.threads == {"rxsocket keeper"}


def test_who_goes_on_after_all_is_left_alone() -> None:
    keeper = Keeper(PERIOD)
    one, other = Someone(1), Someone(1, enough=20)
    keeper.add(one.known)
    assert one.enough.wait(DEADLINE)
    one.turn = None
    keeper.add(other.known)
    assert other.enough.wait(DEADLINE)
    keeper.remove(one.known)
    keeper.remove(other.known)
    assert one.kept < 3 + 3  # one look may have been under way


def test_the_thread_runs_while_there_is_anybody() -> None:
    keeper = Keeper(10**6)
    for _ in range(3):
        someone = Someone(1)
        keeper.add(someone.known)
        thread = keeper._thread
        assert thread is not None
        keeper.remove(someone.known)
        thread.join(DEADLINE)  # without waiting for the period's end
        assert not thread.is_alive()


def test_removing_who_is_not_there_does_nothing() -> None:
    Keeper().remove(Someone(1))


def test_a_forked_process_looks_after_nobody_and_can_begin_anew() -> None:
    script = f"""if True:
        import os
        from rxsocket.keeper import KEEPER
        from test_keeper import DEADLINE, Someone
        KEEPER._period = {PERIOD}
        KEEPER.add(Someone(1).known)
        child = os.fork()
        if child:
            os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        assert not KEEPER._kept
        mine = Someone(1)
        KEEPER.add(mine.known)
        os._exit(0 if mine.enough.wait(DEADLINE) else 1)
    """
    # Python 3.12 and later warn of a fork beside threads, which is what this is about.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=20, check=False)  # noqa: S603 our own
    assert (done.returncode, done.stderr) == (0, "")


def test_one_that_can_not_be_kept_is_logged_and_the_others_are(caplog) -> None:
    class Failing(Someone):
        def keep(self) -> None:
            raise LookupError("broken")

    keeper = Keeper(PERIOD)
    failing, other = Failing(1), Someone(1)
    keeper.add(failing.known)
    keeper.add(other.known)
    assert other.enough.wait(DEADLINE)
    keeper.remove(failing.known)
    keeper.remove(other.known)
    assert "could not be looked after" in caplog.text
    assert "LookupError: broken" in caplog.text


def test_where_the_thread_can_not_be_started_the_next_one_is(monkeypatch) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    keeper = Keeper(PERIOD)
    someone = Someone(1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError):
            keeper.add(someone.known)
        assert not keeper._kept
    keeper.add(someone.known)
    assert someone.enough.wait(DEADLINE)
    keeper.remove(someone.known)
