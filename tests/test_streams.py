"""The streams of a session, whatever tells of it. The sessions' tests show the same with real servers."""

import logging

from rxsocket import ConnectionException, SendException, SubscriberException
from rxsocket.states import Closed, CloseEvent
from rxsocket.streams import Streams

END = CloseEvent(1000, "", "client", was_clean=True)


def streams() -> Streams:
    return Streams("ws://host/feed", lambda: None, None, max_held=100, max_held_messages=10, paused=False)


def test_an_error_is_delivered_and_logged_with_the_url(caplog):
    heard = streams()
    seen = []
    heard.errors.subscribe(seen.append)
    error = ConnectionException("the line is cut")
    heard.report(error)
    assert seen == [error]
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("rxsocket", "ws://host/feed: the line is cut")
    ]


def test_what_a_subscriber_raises_is_logged_with_its_traceback_but_not_what_a_send_after_the_end_does(caplog):
    heard = streams()
    seen = []
    heard.errors.subscribe(seen.append)
    raised = [ValueError("mine"), SendException("the session is closed")]

    def subscriber(message):
        raise raised.pop(0)

    heard.messages.data.subscribe(subscriber)
    heard.messages.deliver(["one", "two"], 1)
    assert [type(error) for error in seen] == [SubscriberException, SubscriberException]
    assert [record.exc_info is not None for record in caplog.records] == [True, False]
    assert "the session is closed" in caplog.records[1].getMessage()


def test_a_subscriber_of_errors_that_raises_is_logged_and_harms_nobody(caplog):
    heard = streams()
    seen = []
    heard.errors.subscribe(lambda error: 1 / 0)
    heard.errors.subscribe(seen.append)
    with caplog.at_level(logging.ERROR, "rxsocket"):
        heard.report(ConnectionException("cut"))
    assert len(seen) == 1
    assert [record.getMessage() for record in caplog.records] == ["a subscriber of errors raised"]


def test_at_the_end_each_stream_completes_and_messages_do_first():
    heard = streams()
    ends = []
    for name in ("errors", "state", "round_trips", "messages"):
        getattr(heard, name).subscribe(on_completed=lambda name=name: ends.append(name))
    with heard._lock:
        heard._enter(Closed(END))
    heard._complete()
    assert ends == ["messages", "state", "round_trips", "errors"]
