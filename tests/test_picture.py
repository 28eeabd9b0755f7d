"""What leaves items for a picture, and what all pictures in texts have in common."""

import threading

import pytest
import reactivex
from reactivex.disposable import Disposable
from reactivex.subject import Subject

from rxsocket.drawing import Note, Sheet
from rxsocket.picture import Picture, SheetPicture, Source


class Word(SheetPicture):
    """Shows a word."""

    word = "one"

    def start(self, touch):
        return Disposable()

    def absorb(self):
        pass

    @property
    def end(self):
        return None

    def sheet(self):
        return Sheet("<title>", "good", self.word, [("n", "1")])


def test_items_wait_until_they_are_taken_with_the_time_at_which_they_came():
    stream: Subject[int] = Subject()
    touched: list[int] = []
    source = Source(stream, 10)
    source.start(lambda: touched.append(source.count))
    stream.on_next(1)
    stream.on_next(2)
    (before, first), (after, second) = source.take()
    assert (first, second) == (1, 2)
    assert before <= after
    assert source.take() == []
    assert touched == [1, 2]


def test_more_than_may_wait_lets_the_oldest_go_and_all_are_counted():
    stream: Subject[int] = Subject()
    source = Source(stream, 3)
    source.start(lambda: None)
    for number in range(100):
        stream.on_next(number)
    assert [item for _, item in source.take()] == [97, 98, 99]
    assert source.count == 100


def test_the_end_is_told_after_the_items():
    source = Source(reactivex.of(1), 3)
    source.start(lambda: None)
    assert source.end == Note("completed", "over")
    assert len(source.take()) == 1


@pytest.mark.parametrize(
    ("error", "text"),
    [(ValueError("<b>bad\n</b>"), r"ended with ValueError: <b>bad\n</b>"), (KeyError(), "ended with KeyError")],
)
def test_an_error_is_the_end_too(error, text):
    touched: list[int] = []
    source = Source(reactivex.throw(error), 3)
    source.start(lambda: touched.append(1))
    assert source.end == Note(text, "bad")
    assert touched == [1]


def test_who_takes_and_who_delivers_are_two_threads_and_nothing_is_lost_or_doubled():
    stream: Subject[int] = Subject()
    source = Source(stream, 1_000_000)
    source.start(lambda: None)
    producer = threading.Thread(target=lambda: [stream.on_next(number) for number in range(20_000)])
    producer.start()
    found = []
    while producer.is_alive():
        found += source.take()
    producer.join()
    found += source.take()
    assert [item for _, item in found] == list(range(20_000))


def test_a_sheet_that_was_sent_is_not_sent_again_unless_it_is_asked_for():
    word = Word()
    content, buffers = word.frame(whole=False) or ({}, [b""])
    assert (content["word"], content["portion"], buffers) == ("one", None, [])
    assert word.frame(whole=False) is None
    assert word.frame(whole=True) == (content, [])
    word.word = "two"
    assert (word.frame(whole=False) or ({},))[0]["word"] == "two"


def test_it_has_a_line_of_text_and_a_note_below_its_html():
    word = Word()
    assert word.text() == "one <title> (n 1)"
    word.note = Note("stopped", "over")
    assert "&lt;title&gt;" in word.html()
    assert word.html().endswith("stopped</p>")


def test_a_picture_without_a_button_says_so():
    with pytest.raises(NotImplementedError, match="Word has no button"):
        Word().press()
    assert issubclass(Word, Picture)
