"""Marble diagrams of sessions: what they play, what they hold streams to, and what is said of a difference."""

import msgspec
import pytest
import reactivex.operators as ops

from rxsocket import Gap, codec_of
from rxsocket.marbles import marbles


class Price(msgspec.Struct, frozen=True):
    value: float


def test_messages_come_at_their_times():
    with marbles() as test:
        session = test.session("                   O-a---(b,c)-X--O-d--|", {"b": "text b", "c": b"bytes"})
        test.expect(session.messages.body, "       --a---b----------d--|", {"b": "text b"})
        test.expect(session.messages.blob, "       ------c-------------|", {"c": b"bytes"})
        test.expect(session.messages.data, "       --a---(b,c)------d--|", {"b": "text b", "c": b"bytes"})


def test_the_lifecycle_has_its_letters():
    with marbles() as test:
        session = test.session("                                  --O---X---X---O--#")
        test.expect(session.is_open, "                            f-t---f-------t--(f,|)", {"f": False, "t": True})
        test.expect(session.opens.pipe(ops.map(lambda event: event.connection)), "--1-----------2--|")
        test.expect(session.retries.pipe(ops.map(lambda state: state.attempt)), " ------1---2------|")
        test.expect(session.closes.pipe(ops.map(lambda event: event.code)), "     ------1006-------(1006,|)")


def test_without_a_policy_a_loss_is_the_end():
    with marbles() as test:
        session = test.session("             O--X", reconnect=None)
        test.expect(session.messages.body, " ---|")


def test_operators_work_in_its_time():
    with marbles() as test:
        session = test.session("O-1-2---3--------|")
        quiet = session.messages.body.pipe(ops.debounce(3.0, scheduler=test.scheduler), ops.map(int))
        test.expect(quiet, "    -------2---3-----|")
        test.expect(session.messages.body.pipe(ops.timeout(5.0), ops.map(int)), "--1-2---3----#")


def test_values_go_by_the_codec():
    with marbles() as test:
        session = test.session("                        O-p-x-|", {"p": Price(1.5)}, codec=codec_of(Price))
        test.expect(session.received, "                 --p---|", {"p": Price(1.5)})
        test.expect(
            session.errors.pipe(ops.map(lambda error: type(error).__name__)), "----d-|", {"d": "DecodeException"}
        )


def test_two_sessions_meet():
    with marbles() as test:
        left = test.session("                                                O-a---b---|")
        right = test.session("                                               O---1---2---|")
        test.expect(left.messages.body.pipe(ops.merge(right.messages.body)), "--a-1-b-2---|", {1: "1", 2: "2"})


def test_gaps_stand_where_messages_may_be_missing():
    with marbles() as test:
        session = test.session("     O-a-X-O-b-|")
        items = session.messages.with_gaps().pipe(
            ops.map(lambda item: "gap" if isinstance(item, Gap) else str(item.data))
        )
        test.expect(items, "         --a---g-b-|", {"g": "gap"})


def test_a_difference_is_shown_in_both_diagrams():
    test = marbles()
    session = test.session("O-a-b-(c,d)|", {"c": "a - b"})
    test.expect(session.messages.body, "--a--b-|")
    with pytest.raises(AssertionError) as failure:
        test.run()
    assert str(failure.value).splitlines() == [
        "the stream did not emit what the diagram says",
        "expected: --a--b-|",
        "got:      --a-b-(?1,d)|",
        "  ?1 is 'a - b'",
    ]


@pytest.mark.parametrize("diagram", ["--b|", "--a-|", "--a", "--(a,a)|", "", "--a#"])
def test_each_difference_counts(diagram: str):
    test = marbles()
    session = test.session("O-a|")
    test.expect(session.messages.body, diagram)
    with pytest.raises(AssertionError, match="got:      --a\\|"):
        test.run()


def test_what_comes_between_the_seconds_is_told_with_its_time():
    test = marbles()
    session = test.session("O-a---|")
    test.expect(session.messages.body.pipe(ops.delay(0.5, scheduler=test.scheduler)), "---a---|")
    with pytest.raises(AssertionError, match=r"a came at 2\.5"):
        test.run()


def test_an_error_has_to_be_of_its_kind():
    def fail(text: str) -> int:
        raise KeyError(text)

    for kind in (KeyError, Exception):
        with marbles() as test:
            test.expect(test.session("O-a-").messages.body.pipe(ops.map(fail)), "--#", error=kind)
    test = marbles()
    test.expect(test.session("O-a-").messages.body.pipe(ops.map(fail)), "--#", error=ValueError)
    with pytest.raises(AssertionError, match=r"# is KeyError\('a'\)"):
        test.run()


def test_nothing_that_has_no_end_holds_it_up():
    with marbles() as test:
        session = test.session("O----")
        ticks = session.stats_every(2.0, scheduler=test.scheduler).pipe(ops.map(lambda stats: stats.connections))
        test.expect(ticks, "    0-1-1")


def test_what_is_no_diagram_is_told_of():
    test = marbles()
    with pytest.raises(ValueError, match="Comma"):
        test.session("O,a")
    with pytest.raises(ValueError, match="after a # or"):
        test.expect(test.session("O").messages, "a|b")
    test = marbles()
    test.session("a")
    with pytest.raises(RuntimeError, match=r"receive\(\.\.\.\) is for a session of which a connection is open"):
        test.run()


def test_what_the_block_raises_goes_on():
    test = marbles()
    test.expect(test.session("O").messages, "a")
    with pytest.raises(KeyError), test:
        raise KeyError
