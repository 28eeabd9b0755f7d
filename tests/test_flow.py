"""Frames under way: no more than a browser draws, and all of it for who has missed some."""

from rxsocket.flow import HEARD_SECONDS, UNDER_WAY, UNHEARD_SECONDS, Flow


def send(flow: Flow, now: float, *, hears: bool = True) -> str | None:
    kind = flow.next(now, hears=hears)
    if kind is not None:
        flow.count()
    return kind


def test_the_first_frame_has_all_and_those_after_it_what_is_new():
    flow = Flow()
    kinds = []
    for number in range(1, 5):
        kinds.append(send(flow, number))
        flow.drawn(number)
    assert kinds == ["whole", "news", "news", "news"]


def test_frames_are_numbered_from_one_and_what_is_not_sent_has_no_number():
    flow = Flow()
    assert flow.next(0.0, hears=True) == "whole"
    assert flow.next(0.1, hears=True) == "news"
    assert [flow.count(), flow.count()] == [1, 2]


def test_a_browser_that_does_not_draw_has_few_under_way_and_then_one_now_and_then():
    flow = Flow()
    assert [send(flow, 0.0) for _ in range(6)] == ["whole", *["news"] * (UNDER_WAY - 1), None, None, None]
    assert send(flow, HEARD_SECONDS - 0.01) is None
    assert [send(flow, HEARD_SECONDS), send(flow, HEARD_SECONDS)] == ["whole", None]
    flow.drawn(UNDER_WAY + 1)
    assert send(flow, HEARD_SECONDS) == "news"


def test_one_that_can_not_be_heard_goes_on_and_has_all_once_a_second():
    flow = Flow()
    kinds = [send(flow, tick / 10, hears=False) for tick in range(25)]
    assert None not in kinds
    assert [place for place, kind in enumerate(kinds) if kind == "whole"] == [0, UNHEARD_SECONDS * 10, 20]


def test_who_asks_has_all_and_what_was_under_way_to_another_page_counts_no_more():
    flow = Flow()
    for _ in range(UNDER_WAY):
        send(flow, 0.0)
    assert send(flow, 0.0) is None
    flow.ask()
    assert [send(flow, 0.1) for _ in range(UNDER_WAY + 1)] == ["whole", *["news"] * (UNDER_WAY - 1), None]


def test_numbers_that_were_never_sent_or_come_late_change_nothing():
    flow = Flow()
    for _ in range(UNDER_WAY):
        send(flow, 0.0)
    flow.drawn(99)
    assert send(flow, 0.0) is None
    flow.drawn(3)
    flow.drawn(1)
    assert [send(flow, 0.0) for _ in range(UNDER_WAY)] == ["news"] * UNDER_WAY
