"""What a stream is held to, and what is said when it does not keep to it."""

import threading

import pytest
from reactivex import from_iterable
from reactivex.subject import Subject

from rxsocket.emitted import emits


def test_it_holds_when_the_items_come_in_the_block():
    stream: Subject[str] = Subject()
    with emits(stream, "a", "b") as emitted:
        stream.on_next("a")
        stream.on_next("b")
    assert emitted.items == ["a", "b"]
    assert not stream.observers


def test_it_waits_after_the_block_for_what_another_thread_emits():
    stream: Subject[int] = Subject()
    go = threading.Event()

    def emit() -> None:
        go.wait(5)
        for number in range(1000):
            stream.on_next(number)

    thread = threading.Thread(target=emit)
    thread.start()
    with emits(stream, *range(1000), timeout=10):
        go.set()
    thread.join()


@pytest.mark.parametrize(
    ("came", "options", "said"),
    [
        (["a"], {}, ["expected:     'a', 'b'", "got:          'a'", "missing:      'b'", "has not ended 0 s after"]),
        ([], {}, ["got:          nothing", "missing:      'a', 'b'"]),
        (["b", "a"], {}, ["not expected: 'b'", "missing:      'b'"]),
        (["a", "x", "b"], {}, ["not expected: 'x'"]),
        (["a", "b", "b"], {}, ["not expected: 'b'"]),
        (["b", "b"], {"any_order": True}, ["(in any order)", "missing:      'a'", "not expected: 'b'"]),
        (["b", "a"], {"others": True}, ["missing:      'b'"]),
        (["a", "b"], {"completes": True}, ["and was to complete"]),
        (["a", "b"], {"error": ValueError}, ["has not ended 0 s after the block, and was to fail with ValueError"]),
    ],
)
def test_it_says_what_was_expected_and_what_came(came: list[str], options: dict[str, bool], said: list[str]):
    stream: Subject[str] = Subject()
    with pytest.raises(AssertionError) as failure, emits(stream, "a", "b", timeout=0, **options):  # type: ignore[arg-type]
        from_iterable(came).subscribe(stream.on_next)
    for part in said:
        assert part in str(failure.value)
    assert ("not expected" in str(failure.value)) == any(part.startswith("not expected") for part in said)
    assert not stream.observers


@pytest.mark.parametrize(
    ("came", "options"),
    [
        (["b", "a"], {"any_order": True}),
        (["x", "a", "y", "b", "z"], {"others": True}),
        (["x", "b", "y", "a"], {"others": True, "any_order": True}),
    ],
)
def test_it_may_be_less_strict(came: list[str], options: dict[str, bool]):
    stream: Subject[str] = Subject()
    with emits(stream, "a", "b", **options):  # type: ignore[arg-type]
        for item in came:
            stream.on_next(item)


def test_nothing_is_expected_where_nothing_is_named():
    stream: Subject[str] = Subject()
    with emits(stream):
        pass
    with pytest.raises(AssertionError, match="not expected: 'a'"), emits(stream):
        stream.on_next("a")


def test_a_stream_may_complete_and_has_to_if_it_is_told():
    for completes in (False, True):
        stream: Subject[str] = Subject()
        with emits(stream, "a", completes=completes):
            stream.on_next("a")
            stream.on_completed()


def test_an_end_is_not_waited_after():
    stream: Subject[str] = Subject()
    with pytest.raises(AssertionError, match="its end:      it has completed"), emits(stream, "a", timeout=1000):
        stream.on_completed()


def test_a_stream_must_not_fail_unless_it_is_told_how():
    stream: Subject[str] = Subject()
    with pytest.raises(AssertionError, match=r"it failed with ValueError\('no'\)"), emits(stream, timeout=1000):
        stream.on_error(ValueError("no"))
    for kind in (ValueError, Exception):
        stream = Subject()
        with emits(stream, error=kind):
            stream.on_error(ValueError("no"))
    stream = Subject()
    with pytest.raises(AssertionError, match="and was to fail with TypeError"), emits(stream, error=TypeError):
        stream.on_error(ValueError("no"))


def test_what_the_block_raises_goes_on_at_once():
    stream: Subject[str] = Subject()
    with pytest.raises(KeyError), emits(stream, "a", timeout=1000):
        raise KeyError
    assert not stream.observers


def test_it_is_for_one_block():
    emitted = emits(Subject())
    with emitted:
        pass
    with pytest.raises(RuntimeError, match="one block"), emitted:
        pass


def test_arguments_are_checked():
    with pytest.raises(TypeError, match="not list"):
        emits([1])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not both"):
        emits(Subject(), completes=True, error=ValueError)
    with pytest.raises(ValueError, match="timeout"):
        emits(Subject(), timeout=-1)
