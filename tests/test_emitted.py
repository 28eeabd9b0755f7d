"""What a stream is held to, and what is said when it does not keep to it."""

import asyncio
import threading
import time
from threading import Condition

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
        (["a"], {}, ["expected:     'a', 'b'", "got:          'a'", "item 2 is nothing, and was to be 'b'"]),
        (["a"], {}, ["its end:      it has not ended 0 s after the block"]),
        ([], {}, ["got:          nothing", "item 1 is nothing, and was to be 'a'"]),
        (["b", "a"], {}, ["item 1 is 'b', and was to be 'a'"]),
        (["a", "x", "b"], {}, ["item 2 is 'x', and was to be 'b'"]),
        (["a", "b", "b"], {}, ["item 3 is 'b', and was to be nothing"]),
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
    with pytest.raises(AssertionError, match="item 1 is 'a', and was to be nothing"), emits(stream):
        stream.on_next("a")


@pytest.mark.parametrize("expected", [(), ("a",)])
def test_what_comes_in_the_quiet_counts(expected: tuple[str, ...]):
    stream: Subject[str] = Subject()
    later = threading.Event()
    thread = threading.Thread(target=lambda: [later.wait(5), stream.on_next("x")])
    thread.start()

    class Waited(Condition):
        def wait_for(self, predicate, timeout=None):
            later.set()  # it is past the block, and has all
            return super().wait_for(predicate, timeout)

    emitted = emits(stream, *expected, quiet=10)
    emitted._changed = Waited()
    with pytest.raises(AssertionError, match="is 'x', and was to be nothing") as failure, emitted:
        from_iterable(expected).subscribe(stream.on_next)
    assert str(failure.value).endswith("its end:      it has not ended")
    thread.join()


def test_a_quiet_in_which_nothing_comes_or_only_the_end_is_fine():
    stream: Subject[str] = Subject()
    before = time.monotonic()
    with emits(stream, quiet=0.05):
        pass
    assert time.monotonic() - before >= 0.05
    with emits(stream, "a", quiet=1000):
        stream.on_next("a")
        stream.on_completed()


def test_of_many_items_those_about_the_first_difference_are_shown():
    stream: Subject[int] = Subject()
    expected = list(range(1000))
    expected[500] = 7
    with pytest.raises(AssertionError) as failure, emits(stream, *expected):
        from_iterable(range(1000)).subscribe(stream.on_next)
    lines = str(failure.value).splitlines()
    assert lines[1:] == [
        f"expected:     (495 before), 495, 496, 497, 498, 499, 7, {', '.join(map(str, range(501, 515)))}, (485 more)",
        f"got:          (495 before), {', '.join(map(str, range(495, 515)))}, (485 more)",
        "the first difference: item 501 is 500, and was to be 7",
        "its end:      it has not ended",
    ]


def test_in_a_coroutine_the_loop_goes_on_while_it_waits():
    async def use() -> None:
        stream: Subject[str] = Subject()
        async with emits(stream, "a"):
            asyncio.get_running_loop().call_later(0.01, stream.on_next, "a")
        with pytest.raises(AssertionError, match="item 1 is nothing"):
            async with emits(stream, "a", timeout=0):
                pass
        assert not stream.observers

    asyncio.run(use())


def test_pytest_is_told_to_hide_its_own_frames():
    with pytest.raises(AssertionError) as failure, emits(Subject(), "a", timeout=0):
        pass
    assert [entry.path.name for entry in failure.traceback.filter(failure)] == ["test_emitted.py"]


def test_it_shows_how_many_came():
    stream: Subject[str] = Subject()
    with emits(stream, "a") as emitted:
        assert repr(emitted) == "<Emitted 0 items, and 1 expected>"
        stream.on_next("a")
    assert repr(emitted) == "<Emitted 1 items, and 1 expected>"


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
    with pytest.raises(ValueError, match="quiet"):
        emits(Subject(), quiet=-1)
