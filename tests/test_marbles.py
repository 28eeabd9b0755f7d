"""Marble diagrams of sessions: what they play, what they hold streams to, and what is said of a difference."""

import msgspec
import pytest
import reactivex.operators as ops

from rxsocket import Backoff, Gap, codec_of
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


def test_tries_in_a_row_are_counted_and_a_connection_gets_stable_in_its_time():
    policy = Backoff(initial=1.0, jitter=0.0, attempts=2, stable=5.0)
    with marbles() as test:
        session = test.session("O-X-O-X-O-----X-O-X-O-X--", reconnect=policy)
        tries = session.retries.pipe(ops.map(lambda state: state.attempt))
        test.expect(tries, "    --1---2-------1---2---|")


def test_what_is_asked_may_time_out_in_its_time():
    with marbles() as test:
        session = test.session("O--1-----!--")
        asked = session.opens.pipe(
            ops.flat_map(lambda _: session.ask("?", reply=lambda text: text == "!", timeout=None))
        )
        test.expect(asked.pipe(ops.timeout(5.0, scheduler=test.scheduler)), "-----#")


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
        "got:      --a-b-(A,d)|",
        "  A is 'a - b'",
        "the first difference: 'b' at 4, and it was to be 'b' at 5",
    ]


def test_names_are_looked_up_as_they_are_written_and_then_as_numbers():
    with marbles() as test:
        session = test.session("            O-007-1e3-inf-1-2--3--|", {"1": "one", 2: "two"})
        test.expect(session.messages.body, "--a---b---c---d-e--f--|", dict(zip("abcdef", TEXTS, strict=True)))
        numbers = session.messages.body.pipe(ops.skip(5), ops.map(int))
        test.expect(numbers, "              -------------------3--|")
    with marbles() as test:
        session = test.session("           O-1-2-|")
        test.expect(session.messages.body, "--1-2-|", {"1": "1", 2: "2"})

    with marbles() as test:
        test.expect(
            test.session("O-\U0001d7cf-\U00020000|").messages.body, "--a-b|", {"a": "\U0001d7cf", "b": "\U00020000"}
        )


TEXTS = ("007", "1e3", "inf", "one", "two", "3")


@pytest.mark.parametrize(
    ("session", "expected", "said"),
    [
        ("O-1-2|", "--1-2|", "'1' at 2, and it was to be 1 at 2"),
        ("O-a-b|", "--a--|", "'b' at 4, and it was to be | at 5"),
        ("O-a---", "--a-b-", "nothing more, and it was to be 'b' at 4"),
        ("O-a-|-", "--a-#-", "| at 4, and it was to be # (Exception) at 4"),
        ("O-a-|-", "--a---", "| at 4, and it was to be nothing more"),
    ],
)
def test_the_first_difference_is_told_with_its_time(session: str, expected: str, said: str):
    test = marbles()
    test.expect(test.session(session).messages.body, expected)
    with pytest.raises(AssertionError) as failure:
        test.run()
    assert str(failure.value).splitlines()[-1] == f"the first difference: {said}"


def test_a_value_that_is_wider_than_its_marble_gets_a_letter_and_what_the_diagram_can_not_show_its_time():
    test = marbles()
    session = test.session("O-a-b-cA|", {"a": "long text", "b": "wide", "cA": "wider"})
    texts = session.messages.body.pipe(ops.flat_map(lambda text: [text, "B"] if text == "wide" else [text]))
    test.expect(texts, "    ---------|")
    with pytest.raises(AssertionError) as failure:
        test.run()
    assert str(failure.value).splitlines()[2:-1] == [
        "got:      --A-(C,B)D|",
        "  A is 'long text'",
        "  C is 'wide'",
        "  D is 'wider'",
        "  D came at 6",
        "  | came at 8",
    ]


def test_what_stands_side_by_side_is_told_with_its_time():
    test = marbles()
    texts = test.session("O-a--").messages.body
    test.expect(texts.pipe(ops.merge(texts.pipe(ops.delay(1.0, scheduler=test.scheduler)))), "-----")
    with pytest.raises(AssertionError, match="got:      --aa\n  a came at 2\n  a came at 3\n"):
        test.run()


def test_a_name_of_marbles_of_a_session_alone_is_refused_unless_it_has_a_value():
    with pytest.raises(ValueError, match="'XO' at 2 in 'O-XO-a' is one name, of a message"):
        marbles().session("O-XO-a")
    with marbles() as test:
        test.expect(test.session("O-XO-|", {"XO": "kisses"}).messages.body, "--k--|", {"k": "kisses"})


def test_what_a_session_can_not_do_is_told_with_its_marble():
    for diagram, policy in (("O--X-O", None), ("a", Backoff())):
        test = marbles()
        test.session(diagram, reconnect=policy)
        with pytest.raises(RuntimeError) as failure:
            test.run()
        place = len(diagram) - 1
        assert failure.value.__notes__ == [f"It is told by {diagram[-1]!r} at {place} in {diagram!r}"]
        assert ("a loss is the end" in str(failure.value)) == (policy is None)


def test_it_shows_where_it_stands():
    test = marbles()
    test.session("O--|")
    assert repr(test) == "<Marbles at 0 of 4 s>"
    test.run()
    assert repr(test) == "<Marbles at 4 of 4 s>"


@pytest.mark.parametrize("diagram", ["--b|", "--a-|", "--a", "--(a,a)|", "", "--a#"])
def test_each_difference_counts(diagram: str):
    test = marbles()
    session = test.session("O-a|")
    test.expect(session.messages.body, diagram)
    with pytest.raises(AssertionError, match="got:      --a\\|") as failure, test:
        pass
    assert {entry.path.name for entry in failure.traceback.filter(failure)} == {"test_marbles.py"}


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
    with pytest.raises(AssertionError, match=r"# is KeyError\('a'\)") as failure:
        test.run()
    assert str(failure.value).endswith(": # (KeyError('a')) at 2, and it was to be # (ValueError) at 2")


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
