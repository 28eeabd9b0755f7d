"""Notebook cells, in a real kernel: what one has begun ends when it is run again, and its output lands in it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from kernels import OLD, Kernel, old_ipykernel
from servers import DEADLINE, EchoServer

import rxsocket
from rxsocket import cells

BEGIN = """
import asyncio, threading, time
import rxsocket
from rxsocket import websocket, RootStore, sync_with, iterate, first
from rxsocket.cells import here
from reactivex import operators as ops
URL = "{url}"
"""
CONNECT = "session = websocket(URL).connect(); session.opens.pipe(ops.first()).run()"


@pytest.fixture(scope="module")
def server() -> Iterator[EchoServer]:
    with EchoServer() as server:
        yield server


@pytest.fixture(scope="module")
def shared() -> Iterator[Kernel]:
    with Kernel() as kernel:
        yield kernel


@pytest.fixture
def kernel(shared: Kernel, server: EchoServer) -> Iterator[Kernel]:
    shared.run(BEGIN.format(url=server.url) + "seen = []")
    yield shared
    shared.run("rxsocket.close_all(5)")
    while not server.ends.empty():
        server.ends.get()


def opened(kernel: Kernel) -> int:
    return int(kernel.value("len(rxsocket.sessions())"))


def echoed(kernel: Kernel, text: str) -> str:
    """Have a text come back, and return what was seen until it had."""
    kernel.run(
        f"""
done = threading.Event()
with rxsocket.scopes.inside(None):
    waiting = session.messages.body.subscribe(lambda text: text == {text!r} and done.set())
session.send({text!r})
assert done.wait(5)
waiting.dispose()
"""
    )
    return kernel.value("seen")


def test_five_runs_of_the_cell_that_connects_leave_one_connection(kernel: Kernel, server: EchoServer) -> None:
    for _ in range(5):
        kernel.run(CONNECT, "connects")
    assert opened(kernel) == 1
    assert [server.ends.get(timeout=5)[1] for _ in range(4)] == [1000] * 4
    assert server.ends.empty()


def test_five_runs_of_a_cell_that_subscribes_have_each_message_come_once(kernel: Kernel) -> None:
    kernel.run(CONNECT, "connects")
    for _ in range(5):
        kernel.run("session.messages.body.pipe(ops.map(str.upper)).subscribe(seen.append)", "subscribes")
    assert echoed(kernel, "one") == "['ONE']"


def test_what_a_deleted_cell_has_begun_ends_with_the_next_run_of_any(kernel: Kernel) -> None:
    kernel.run(CONNECT, "connects")
    kernel.run("session.messages.body.subscribe(seen.append)", "subscribes")
    kernel.run("1 + 1", "other", deleted=["subscribes", "unknown"])
    assert echoed(kernel, "one") == "[]"


def test_other_cells_end_nothing(kernel: Kernel) -> None:
    kernel.run(CONNECT, "connects")
    kernel.run("session.messages.body.subscribe(seen.append)", "subscribes")
    for cell in ("other", None, "another"):
        kernel.run("session.messages.body.subscribe()", cell)
    assert echoed(kernel, "one") == "['one']"


def test_a_named_session_takes_the_place_of_the_one_before_in_any_cell(kernel: Kernel) -> None:
    kernel.run("session = websocket(URL).connect(name='feed')", "one")
    kernel.run("other = websocket(URL).connect(name='feed')", "two")
    assert kernel.value("session.current_state.event.code, len(rxsocket.sessions())") in {"1000 1", "1006 1"}


def test_what_a_message_leads_to_belongs_to_the_cell_that_has_subscribed(kernel: Kernel) -> None:
    kernel.run(CONNECT, "connects")
    flat = "session.messages.body.pipe(ops.filter('begin'.__eq__), ops.flat_map(lambda _: session.messages.body))"
    for _ in range(3):
        kernel.run(f"{flat}.subscribe(seen.append)", "subscribes")
        echoed(kernel, "begin")
    kernel.run("seen.clear()")
    assert echoed(kernel, "one") == "['one']"
    kernel.run("pass", "subscribes")
    kernel.run("seen.clear()")
    assert echoed(kernel, "two") == "[]"


def test_syncs_stores_recordings_and_replays_end_with_their_cell(kernel: Kernel, tmp_path) -> None:
    kernel.run(f"store = RootStore(0); {CONNECT}")
    work = f"""
sync = store.sync_with(websocket(URL), rxsocket.Resource(int, id=id, empty=0))
recorded = rxsocket.record(session, {str(tmp_path / "feed.jsonl")!r}, overwrite=True)
store.data.subscribe(seen.append)
store.handle_and_emit(lambda state, emit: state).subscribe(seen.append)
"""
    kernel.run(work, "works")
    kernel.run("before = sync.session, recorded, rxsocket.replay(recorded.path, start=False).start()", "replays")
    kernel.run(work, "works")
    kernel.run("pass", "replays")
    told = kernel.value("type(before[0].current_state).__name__, before[1].is_active, before[2].current_state")
    assert told.startswith("Closed False Closed(")
    kernel.run("store.update(1)", "works")
    assert kernel.value("seen") == "[0, 0]"
    assert opened(kernel) == 1


def test_the_topics_of_two_cells_are_one_and_it_outlives_the_first(kernel: Kernel) -> None:
    kernel.run(
        f"{CONNECT}\n"
        "topic = session.topic(subscribe='sub', unsubscribe='unsub', matches=lambda text: text.startswith('t'))"
    )
    kernel.run("topic.subscribe(lambda text: seen.append(('one', text)))", "one")
    kernel.run("topic.subscribe(lambda text: seen.append(('two', text)))", "two")
    kernel.run("pass", "one")
    assert echoed(kernel, "t1") == "[('two', 't1')]"


def test_a_session_that_does_not_answer_does_not_hold_up_its_cell_for_long(kernel: Kernel) -> None:
    kernel.run(
        "import socket; listener = socket.create_server(('127.0.0.1', 0))\n"
        "quiet = websocket(f'ws://127.0.0.1:{listener.getsockname()[1]}').connect()",
        "connects",
    )
    start = time.monotonic()
    kernel.run("listener.close(); assert 'Closed' in repr(quiet)", "connects")
    assert time.monotonic() - start < 3


def test_tasks_have_the_scope_of_their_cell_and_end_with_it(kernel: Kernel) -> None:
    kernel.run(CONNECT, "connects")
    kernel.run(
        """
async def consume():
    async for text in iterate(session.messages.body):
        seen.append(text)
    seen.append("over")
async def wait():
    try:
        await first(session.messages.blob)
    except asyncio.CancelledError:
        seen.append("cancelled")
        raise
async def later():
    await asyncio.sleep(0)
    session.messages.body.subscribe(lambda text: seen.append(text.upper()))
tasks = [asyncio.ensure_future(each()) for each in (consume, wait, later)]
await asyncio.sleep(0.01)
""",
        "tasks",
    )
    assert echoed(kernel, "one") == "['ONE', 'one']"
    kernel.run("await asyncio.wait(tasks, timeout=5); del seen[:2]", "tasks")
    assert kernel.value("sorted(seen)") == "['cancelled', 'over']"
    assert echoed(kernel, "two").count("TWO") == 0


def test_a_thread_of_the_users_has_no_scope(kernel: Kernel) -> None:
    kernel.run(CONNECT, "connects")
    work = "t = threading.Thread(target=lambda: session.messages.body.subscribe(seen.append)); t.start(); t.join()"
    kernel.run(work, "threads")
    kernel.run(work, "threads")
    assert echoed(kernel, "one") == "['one', 'one']"


def test_an_interrupt_ends_the_cell_and_nothing_else(kernel: Kernel) -> None:
    kernel.run(CONNECT, "connects")
    kernel.run("session.messages.body.subscribe(seen.append)", "subscribes")
    request = kernel.begin("print('waits', flush=True); time.sleep(30)", "sleeps")
    kernel.until(lambda: "waits" in kernel.output(request))
    kernel.manager.interrupt_kernel()
    assert kernel.end(request).error == "KeyboardInterrupt"
    assert echoed(kernel, "one") == "['one']"


def test_an_interrupt_of_an_async_for_ends_it_and_its_subscription(kernel: Kernel) -> None:
    kernel.run(CONNECT, "connects")
    request = kernel.begin(  # it ends also if no message comes, which would wake the kernel's loop
        "session.send('one')\nasync for text in iterate(session.messages.body):\n    print(text, flush=True)", "loops"
    )
    kernel.until(lambda: "one" in kernel.output(request))
    kernel.manager.interrupt_kernel()
    assert kernel.end(request).status == "error"
    assert kernel.value("session.messages.body.observers") == "()"
    assert opened(kernel) == 1


def test_the_loop_sleeps_when_no_cell_runs(kernel: Kernel) -> None:
    kernel.run("import rxsocket.cells as module; pass")
    request = kernel.begin("print('runs', flush=True); await asyncio.sleep(0.3)\nprint(module._cells._waking is None)")
    assert kernel.output(kernel.end(request).request) == "runs\nFalse\n"
    told = "loop = asyncio.get_running_loop(); await asyncio.sleep(0); print(len(loop._scheduled))"
    assert int(kernel.output(kernel.run(told).request)) <= 2


def test_first_can_be_awaited_at_the_top_level(kernel: Kernel) -> None:
    kernel.run(CONNECT, "connects")
    ran = kernel.run("session.send('one'); print(await first(session.messages.body), flush=True)", "awaits")
    assert kernel.output(ran.request) == "one\n"
    assert kernel.value("session.messages.body.observers") == "()"


def test_without_scopes_all_that_a_cell_has_begun_stays(kernel: Kernel) -> None:
    kernel.run("rxsocket.cells.disable(); rxsocket.cells.disable()")
    try:
        kernel.run(CONNECT, "connects")
        for _ in range(2):
            kernel.run("session.messages.body.subscribe(seen.append)", "subscribes")
        assert echoed(kernel, "one") == "['one', 'one']"
    finally:
        kernel.run("assert rxsocket.cells.enable() and rxsocket.cells.enable()")


def test_the_cell_that_imports_has_its_scope_already(server: EchoServer) -> None:
    work = BEGIN.format(url=server.url) + CONNECT
    with Kernel() as kernel:
        kernel.run(work, "first")
        kernel.run(work, "first")
        assert opened(kernel) == 1
        kernel.run("rxsocket.close_all(5)")


def test_without_a_kernel_there_are_no_scopes_and_here_does_nothing() -> None:
    assert not cells.enable()
    data = rxsocket.RootStore(1).data
    assert cells.here()(data) is data


# --- output


@pytest.fixture(scope="module", params=["new", "old"])
def of_version(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel of the ipykernel that is installed, or of an old one."""
    is_old = request.param == "old"
    path = [old_ipykernel(tmp_path_factory.mktemp("ipykernel"))] if is_old else []
    with Kernel(path) as kernel:
        assert (kernel.value("__import__('ipykernel').__version__") == OLD) == is_old
        yield kernel


@pytest.fixture
def either(of_version: Kernel, server: EchoServer) -> Iterator[Kernel]:
    of_version.run(BEGIN.format(url=server.url) + CONNECT)
    yield of_version
    of_version.run("rxsocket.close_all(5)")


SHOW = """
import sys
from IPython.display import display
def show(name):
    def print_it(text):
        print(name, text, flush=True)
        print(name, text, file=sys.stderr, flush=True)
        display(f"{name} {text}")
    return print_it
"""


def test_what_is_printed_and_displayed_lands_in_the_cell_that_has_subscribed(either: Kernel) -> None:
    either.run(SHOW)
    count = 60
    requests = {
        name: either.run(f"session.messages.body.pipe(here()).subscribe(show({name!r}))", name).request
        for name in ("one", "two")
    }
    sender = f"""
def send():
    for number in range({count}):
        session.send(str(number))
        time.sleep(0.002)
threading.Thread(target=send).start()
"""
    either.run(sender)
    others = [either.run(f"print({number}, flush=True); time.sleep(0.005)", f"other {number}") for number in range(20)]
    for name, request in requests.items():
        expected = [f"{name} {number}" for number in range(count)]
        either.until(lambda request=request: len(either.displayed(request)) >= count)
        assert [text.strip("'") for text in either.displayed(request)] == expected
        assert either.output(request).splitlines() == expected
        assert either.output(request, "stderr").splitlines() == expected
    assert [either.output(ran.request) for ran in others] == [f"{number}\n" for number in range(20)]


def test_what_is_printed_on_the_thread_of_another_cell_lands_where_it_belongs(either: Kernel) -> None:
    either.run(SHOW + "store = RootStore(0)")
    mine = either.run("store.data.pipe(here()).subscribe(show('mine'), on_completed=print)", "subscribes")
    other = either.run("print('before', flush=True); store.update(1); print('after', flush=True)", "updates")
    assert either.output(mine.request) == "mine 0\nmine 1\n"
    assert either.output(other.request) == "before\nafter\n"
    assert either.displayed(other.request) == []


def test_the_end_of_a_stream_lands_there_too_and_an_error_of_a_subscriber_harms_nothing(either: Kernel) -> None:
    ran = either.run(
        "def begin(stream): stream.pipe(here()).subscribe(print, print, lambda: print('end'))\n"
        "from reactivex.subject import Subject\n"
        "one, two, bad = Subject(), Subject(), Subject()\n"
        "begin(one); begin(two)\n"
        "bad.pipe(here()).subscribe(lambda _: 1 / 0)",
        "subscribes",
    )
    other = either.run(
        "one.on_error(ValueError('over')); two.on_completed()\n"
        "try: bad.on_next(1)\n"
        "except ZeroDivisionError: print('raised', flush=True)",
        "ends",
    )
    either.until(lambda: either.output(ran.request) == "over\nend\n")
    assert either.output(other.request) == "raised\n"


# --- the end of a kernel


@pytest.mark.parametrize("how", ["restart", "shutdown", "restart amid a cell"])
def test_at_the_end_of_a_kernel_the_server_hears_of_it(server: EchoServer, how: str) -> None:
    connect = f"from rxsocket import websocket; session = websocket({server.url!r}).connect(); session.send('x')"
    with Kernel() as kernel:
        kernel.run(connect, "connects")
        if how == "restart amid a cell":
            request = kernel.begin("print('waits', flush=True)\nimport time\ntime.sleep(30)")
            kernel.until(lambda: "waits" in kernel.output(request))
        start = time.monotonic()
        if how == "shutdown":
            kernel.manager.shutdown_kernel()
        else:
            kernel.manager.restart_kernel()
        assert server.ends.get(timeout=DEADLINE)[1] in {1000, 1001}
        assert time.monotonic() - start < DEADLINE
