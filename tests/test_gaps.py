"""Windows between gaps; where a session puts the gaps is shown with its messages, and here with real servers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import reactivex.operators as ops
from reactivex import Observable, Subject
from servers import Seen, in_turn

from rxsocket.backoff import Backoff
from rxsocket.gaps import Gap, windowed
from rxsocket.messages import MessageEvent
from rxsocket.socket import websocket
from rxsocket.states import CloseEvent, OpenEvent

AT_ONCE = Backoff(initial=0, jitter=0)
GAP = Gap(CloseEvent(1006, "", "network", was_clean=False), OpenEvent("ws://host/", None, 2))


class Windows:
    """Subscribes to each window as it comes, and keeps what they give."""

    def __init__(self, source: Observable[Any]) -> None:
        self.reports: list[tuple[str, BaseException]] = []
        self.stream: Observable[Observable[Any]] = windowed(
            source, "messages.windows()", lambda name, error: self.reports.append((name, error))
        )
        self.found: list[list[Any]] = []

    def subscribe(self):
        return self.stream.subscribe(self._begin, self._end_all("failed"), self._end_all("completed"))

    def _begin(self, window: Observable[Any]) -> None:
        items: list[Any] = []
        self.found.append(items)
        window.subscribe(items.append, lambda _: items.append("error"), lambda: items.append("end"))

    def _end_all(self, word: str) -> Callable[..., None]:
        return lambda *_: self.found.append([word])


def test_one_window_begins_at_once_and_another_at_each_gap_where_the_one_before_completes() -> None:
    source: Subject[Any] = Subject()
    windows = Windows(source)
    windows.subscribe()
    assert windows.found == [[]]
    for item in ("a", "b", GAP, GAP, "c"):
        source.on_next(item)
    assert windows.found == [["a", "b", "end"], ["end"], ["c"]]
    source.on_completed()
    assert windows.found == [["a", "b", "end"], ["end"], ["c", "end"], ["completed"]]


def test_an_error_of_the_source_ends_the_window_and_the_stream() -> None:
    source: Subject[Any] = Subject()
    windows = Windows(source)
    windows.subscribe()
    source.on_next("a")
    source.on_error(ValueError("mine"))
    assert windows.found == [["a", "error"], ["failed"]]


def test_who_wants_one_window_alone_has_it_to_its_end_and_then_nothing_is_subscribed() -> None:
    source: Subject[Any] = Subject()
    windows = Windows(source)
    items: list[Any] = []
    windows.stream.pipe(ops.take(1), ops.merge_all()).subscribe(items.append, on_completed=lambda: items.append("end"))
    source.on_next("a")
    assert source.observers
    for item in ("b", GAP, "c"):
        source.on_next(item)
    assert items == ["a", "b", "end"]
    assert not source.observers


def test_a_dispose_unsubscribes() -> None:
    source: Subject[Any] = Subject()
    windows = Windows(source)
    windows.stream.subscribe().dispose()
    assert not source.observers


def test_a_subscriber_of_a_window_that_raises_is_reported_and_harms_no_other() -> None:
    source: Subject[Any] = Subject()
    windows = Windows(source)
    items: list[Any] = []

    def both(window: Observable[Any]) -> None:
        window.subscribe(lambda item: 1 / 0)
        window.subscribe(items.append)

    windows.stream.subscribe(both)
    source.on_next("a")
    source.on_next("b")
    assert items == ["a", "b"]
    assert [(name, type(error)) for name, error in windows.reports] == [
        ("messages.windows()", ZeroDivisionError),
        ("messages.windows()", ZeroDivisionError),
    ]


# --- of a session


def sending(*texts: str, stays: bool = False):
    def script(wire) -> None:
        wire.send(*texts)
        if stays:
            wire.answer_close()

    return script


def test_a_reconnect_is_a_gap_after_the_opening_and_before_the_first_message(play) -> None:
    url = play(in_turn(sending("a", "b"), sending("c", stays=True)))
    with websocket(url, reconnect=AT_ONCE).prepare() as session:
        order: list[Any] = []
        session.opens.subscribe(lambda event: order.append(f"open {event.connection}"))
        session.messages.with_gaps().subscribe(order.append)
        plain = Seen(session.messages.data)
        session.start()
        assert plain.wait(3) == ["a", "b", "c"]
    (gap,) = [item for item in order if isinstance(item, Gap)]
    assert (gap.closed.connection, gap.closed.code, gap.opened.connection, gap.dropped) == (1, 1006, 2, 0)
    a, b, c = MessageEvent("a", 1), MessageEvent("b", 1), MessageEvent("c", 2)
    assert order == ["open 1", a, b, "open 2", gap, c]


def test_gaps_that_a_pause_holds_stay_among_their_messages(connect, play) -> None:
    url = play(in_turn(sending("a"), sending("b"), sending("c", stays=True)))
    session = connect(url, reconnect=AT_ONCE, paused=True)
    session.opens.pipe(ops.first(lambda event: event.connection == 3)).run()
    seen = Seen(session.messages.with_gaps())
    windows = Windows(session.messages.with_gaps().pipe(ops.map(lambda item: getattr(item, "data", item))))
    windows.subscribe()
    session.resume()
    kinds = [item.data if isinstance(item, MessageEvent) else item.opened.connection for item in seen.wait(5)]
    assert kinds == ["a", 2, "b", 3, "c"]
    session.close()
    assert windows.found == [["a", "end"], ["b", "end"], ["c", "end"], ["completed"]]
    assert seen.all()


def test_each_connection_has_a_window(connect, play) -> None:
    url = play(in_turn(sending("a", "b"), sending("c", stays=True)))
    session = connect(url, reconnect=AT_ONCE)
    lists = Seen(session.messages.windows().pipe(ops.flat_map(lambda window: window.pipe(ops.to_list()))))
    session.opens.pipe(ops.first(lambda event: event.connection == 2)).run()
    session.close()
    assert lists.all() == [[MessageEvent("a", 1), MessageEvent("b", 1)], [MessageEvent("c", 2)]]
