"""What live views cost a kernel: its share of a core, and how many of the frames that were asked for are sent.

Run as ``python -m benchmarks.views``. The kernel's side is all there, up to the comm, which counts what it is given and
answers as a browser that draws at once; a front end, and the network to it, are not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NamedTuple

import comm
import msgspec
from comm.base_comm import BaseComm
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display  # pyright: ignore[reportUnknownVariableType]
from reactivex.subject import Subject

from rxsocket import notebook
from rxsocket.display import View
from rxsocket.fake import FakeSession

SECONDS = 5.0
BATCH_SECONDS = 0.01  # between two batches of messages, as a network brings them


class Trade(msgspec.Struct):
    """What the messages say."""

    symbol: str
    price: float
    size: int


class Browser(BaseComm):
    """Answers each frame at once."""

    frames = 0
    size = 0

    def publish_msg(
        self,
        msg_type: str,
        data: Any = None,  # noqa: ANN401 as its base has it
        metadata: Any = None,  # noqa: ANN401 as its base has it
        buffers: list[bytes] | None = None,
        **keys: Any,  # noqa: ANN401 as its base has it
    ) -> None:
        """Take a message, at the cost of its JSON."""
        text = msgspec.json.encode(data)
        content: Any = None if data is None else data.get("content")
        if content is None:
            return
        Browser.frames += 1
        Browser.size += len(text) + sum(map(len, buffers or []))
        answer: Any = {"method": "custom", "content": {"drawn": content["number"]}}
        self.handle_msg({"content": {"data": answer}, "buffers": []})


class Nowhere(DisplayPublisher):
    """Shows nothing."""

    def publish(self, *_arguments: object, **_keys: object) -> None:
        """Do nothing."""


class Figures(NamedTuple):
    """Of one load."""

    cpu: float  # of a core, with the feed
    feed: float  # of a core, by the feed alone
    frames: float  # of those asked for
    kilobytes: float  # a second


@contextmanager
def fed(session: FakeSession, rate: int) -> Generator[None]:
    """Have a session told messages, so many a second, while the block lasts."""
    ended = threading.Event()
    texts = [f'{{"symbol":"{name}","price":{price}.5,"size":7}}' for price in range(100) for name in "ABCDE"]

    def feed() -> None:
        told, begin = 0, time.monotonic()
        while not ended.wait(BATCH_SECONDS):
            while told < (time.monotonic() - begin) * rate:
                session.receive(texts[told % len(texts)])
                told += 1

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def share() -> float:
    """Return which share of a core this process takes, over some seconds."""
    cpu, begin = time.process_time(), time.monotonic()
    time.sleep(SECONDS)
    return (time.process_time() - cpu) / (time.monotonic() - begin)


def measured(rate: int, sets: int) -> Figures:
    """Feed sets of a badge, a table and a plot, and return what that costs."""
    session = FakeSession()
    session.open()
    trades = session.messages.decode(Trade)
    subscription = trades.subscribe(lambda _: None)
    with fed(session, rate):
        feed = share()
        views: list[View] = []
        for _ in range(sets):
            views += [
                notebook.live(session),
                notebook.live(trades),
                notebook.plot(trades, "price", by="symbol"),
            ]
        for view in views:
            display(view)  # type: ignore[no-untyped-call]
        asked = sum(2 if place % 3 == 0 else 10 for place in range(len(views))) * SECONDS
        Browser.frames = Browser.size = 0
        cpu = share()
        frames, size = Browser.frames, Browser.size
    for view in views:
        view.freeze()
    subscription.dispose()
    session.close()
    return Figures(cpu, feed, frames / asked, size / SECONDS / 1000)


def main() -> None:
    """Print the figures of some loads."""
    comm.create_comm = Browser
    shell = InteractiveShell.instance()
    shell.display_pub = Nowhere(parent=shell)  # type: ignore[no-untyped-call]
    stream: Subject[object] = Subject()
    notebook.live(stream).stop()  # so that all is imported
    print("messages/s  views  of a core  the feed's part  frames of those asked  kB/s")
    for rate, sets in ((100, 1), (1000, 1), (100, 7), (1000, 7)):
        cpu, feed, frames, kilobytes = measured(rate, sets)
        print(f"{rate:10,}  {3 * sets:5}  {cpu:9.1%}  {feed:15.1%}  {frames:21.1%}  {kilobytes:4,.0f}")


if __name__ == "__main__":
    main()
