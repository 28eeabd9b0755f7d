"""A store and a server kept the same, against a server whose answers the tests decide."""

import queue
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import msgspec
import pytest
from peers import switching
from reactivex import operators as ops
from servers import ScriptedPeer, Wire, in_turn
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from rxsocket import (
    Backoff,
    ConnectionException,
    DecodeException,
    Resource,
    RootStore,
    RxSocketException,
    SendException,
    Store,
    Sync,
    sync_with,
    websocket,
)
from rxsocket.encoding import encode_pong
from rxsocket.frames import Ping
from rxsocket.hub import Hub

SECONDS = 5.0


class Address(msgspec.Struct, frozen=True):
    city: str


class Person(msgspec.Struct, frozen=True):
    name: str
    age: int = 0
    address: Address = Address("")
    id: str = "1"


NOBODY = Person("")
people = Resource(Person, id=lambda person: person.id, empty=NOBODY)


class Peer:
    """A server with one connection: the test says what it sends, and sees what it received."""

    def __init__(self) -> None:
        self.received: queue.Queue[str | bytes] = queue.Queue()
        self.url = ""
        self._connected = threading.Event()
        self._connection: ServerConnection | None = None

    def handle(self, connection: ServerConnection) -> None:
        self._connection = connection
        self._connected.set()
        try:
            for message in connection:
                self.received.put(message)
        except ConnectionClosed:
            return

    @property
    def connection(self) -> ServerConnection:
        assert self._connected.wait(SECONDS)
        assert self._connection is not None
        return self._connection

    def send(self, person: Person) -> None:
        self.connection.send(people.encode(person))

    def person(self) -> Person:
        return people.decode(self.received.get(timeout=SECONDS))

    def is_quiet(self) -> bool:
        """Whether nothing more came. Ends the connection, so that nothing can come after."""
        self.connection.close()
        return self.received.empty()


@contextmanager
def serving(peer: Peer) -> Iterator[Peer]:
    with serve(peer.handle, "127.0.0.1", 0, compression=None) as server:
        peer.url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield peer
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def peer() -> Iterator[Peer]:
    with serving(Peer()) as running:
        yield running


@pytest.fixture
def syncs() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def synced(syncs: ExitStack, store: Store[Person], url: str) -> Sync:
    sync = sync_with(store, websocket(url), people)
    syncs.callback(sync.dispose)
    wait_for(sync, "synchronized")
    return sync


def wait_for(sync: Sync, status: str) -> None:
    reached = threading.Event()
    with sync.status.pipe(ops.filter(lambda now: now == status)).subscribe(lambda _: reached.set()):
        assert reached.wait(SECONDS)


def wait_until(store: Store[Person], person: Person) -> None:
    reached = threading.Event()
    with store.data.pipe(ops.filter(lambda now: now == person)).subscribe(lambda _: reached.set()):
        assert reached.wait(SECONDS), f"{store.current} is not {person}"


def test_a_local_update_is_on_the_server(peer, syncs):
    store = RootStore(NOBODY)
    synced(syncs, store, peer.url)
    store.update(Person("Ada", 36))
    assert peer.person() == Person("Ada", 36)


def test_the_update_of_a_sub_store_is_sent(peer, syncs):
    store = RootStore(Person("Ada", 36))
    synced(syncs, store, peer.url)
    store.sub(lambda person: person.address.city).update("London")
    assert peer.person() == Person("Ada", 36, Address("London"))


def test_an_entity_that_the_server_changed_is_in_the_store_and_its_sub_stores(peer, syncs):
    store = RootStore(NOBODY)
    city = store.sub(lambda person: person.address.city)
    synced(syncs, store, peer.url)
    store.update(Person("Ada", 36))
    changed = msgspec.structs.replace(peer.person(), age=37, address=Address("Paris"))
    cities: queue.Queue[str] = queue.Queue()
    city.data.subscribe(cities.put)
    peer.send(changed)
    wait_until(store, changed)
    assert city.current == "Paris"
    assert [cities.get(timeout=SECONDS), cities.get(timeout=SECONDS)] == ["", "Paris"]


def test_the_initial_value_is_not_sent(peer, syncs):
    synced(syncs, RootStore(Person("Ada")), peer.url)
    assert peer.is_quiet()


def test_the_initial_value_is_sent_when_it_is_pushed(peer, syncs):
    sync = synced(syncs, RootStore(Person("Ada")), peer.url)
    sync.push()
    assert peer.person() == Person("Ada")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(("ws://host", people), "takes a Socket"), ((websocket("ws://host"), Person), "takes a Resource")],
)
def test_what_is_no_socket_or_no_resource_is_a_type_error(arguments, says):
    with pytest.raises(TypeError, match=says):
        RootStore(NOBODY).sync_with(*arguments)


def test_what_the_server_sent_is_not_sent_back(peer, syncs):
    store = RootStore(NOBODY)
    synced(syncs, store, peer.url)
    peer.send(Person("Grace"))
    wait_until(store, Person("Grace"))
    assert peer.is_quiet()


def test_an_edit_back_to_the_value_last_received_is_sent(peer, syncs):
    store = RootStore(NOBODY)
    synced(syncs, store, peer.url)
    peer.send(Person("A"))
    wait_until(store, Person("A"))
    store.update(Person("B"))
    store.update(Person("A"))
    assert [peer.person(), peer.person()] == [Person("B"), Person("A")]
    assert store.current == Person("A")


def test_two_quick_edits_whose_echoes_come_late_end_equal(peer, syncs):
    store = RootStore(NOBODY)
    synced(syncs, store, peer.url)
    store.update(Person("A"))
    store.update(Person("B"))
    first, second = peer.person(), peer.person()
    assert (first, second) == (Person("A"), Person("B"))
    seen: queue.Queue[Person] = queue.Queue()
    store.changes.subscribe(lambda change: seen.put(change.value))
    peer.send(first)
    peer.send(second)
    assert [seen.get(timeout=SECONDS), seen.get(timeout=SECONDS)] == [first, second]
    assert store.current == second
    assert peer.is_quiet()


def test_each_of_many_updates_is_sent_in_order(peer, syncs):
    store = RootStore(NOBODY)
    synced(syncs, store, peer.url)
    for age in range(1, 501):
        store.update(Person("Ada", age))
    assert [peer.person().age for _ in range(500)] == list(range(1, 501))


def test_updates_from_many_threads_are_sent_in_the_order_in_which_they_were_applied(peer, syncs):
    store = RootStore(NOBODY)
    applied: list[int] = []
    store.changes.subscribe(lambda change: applied.append(change.value.age))
    synced(syncs, store, peer.url)
    older = store.handle(lambda person: msgspec.structs.replace(person, age=person.age + 1))
    threads = [threading.Thread(target=lambda: [older() for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [peer.person().age for _ in range(400)] == list(range(1, 401)) == applied


def test_the_status_tells_where_it_stands(peer, syncs):
    statuses: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sync = sync_with(RootStore(NOBODY), websocket(f"ws://127.0.0.1:{silent.getsockname()[1]}"), people)
        sync.status.subscribe(statuses.append)
        sync.dispose()
    assert statuses == ["synchronizing", "offline"]
    sync = synced(syncs, RootStore(NOBODY), peer.url)
    sync.status.subscribe(statuses.append)
    assert statuses[2:] == ["synchronized"]


def test_of_the_changes_made_while_connecting_the_last_is_sent(syncs):
    peer = Peer()
    accept = threading.Event()

    def hold(_connection: ServerConnection, _request: object) -> None:
        accept.wait(SECONDS)

    with serve(peer.handle, "127.0.0.1", 0, process_request=hold) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        store = RootStore(NOBODY)
        sync = sync_with(store, websocket(f"ws://127.0.0.1:{server.socket.getsockname()[1]}"), people)
        store.update(Person("A"))
        store.update(Person("B"))
        assert peer.received.empty()
        accept.set()
        assert peer.person() == Person("B")
        store.update(Person("C"))
        assert peer.person() == Person("C")
        sync.dispose()
        server.shutdown()
        thread.join()


def test_what_is_not_the_entity_is_told_with_the_raw_message_and_the_store_stays(peer, syncs):
    store = RootStore(Person("Ada"))
    sync = synced(syncs, store, peer.url)
    errors: queue.Queue[RxSocketException] = queue.Queue()
    sync.errors.subscribe(errors.put)
    for bad in ('{"name": 1}', "no json", b"\x00"):
        peer.connection.send(bad)
        error = errors.get(timeout=SECONDS)
        assert isinstance(error, DecodeException)
        assert error.raw == bad
    assert store.current == Person("Ada")
    peer.send(Person("Grace"))
    wait_until(store, Person("Grace"))


def test_the_error_names_the_field_at_fault(peer, syncs):
    sync = synced(syncs, RootStore(NOBODY), peer.url)
    errors: queue.Queue[RxSocketException] = queue.Queue()
    sync.errors.subscribe(errors.put)
    peer.connection.send('{"name": "Ada", "address": {"city": 5}}')
    assert "$.address.city" in str(errors.get(timeout=SECONDS))


def test_a_change_after_the_end_is_told_not_lost_silently(peer, syncs, caplog):
    store = RootStore(NOBODY)
    sync = synced(syncs, store, peer.url)
    peer.connection.close()
    sync.session.closes.run()
    caplog.clear()
    store.update(Person("Ada"))
    assert store.current == Person("Ada")
    assert "the message was not sent: the session is closed" in caplog.text


def test_a_list_of_entities_is_kept_the_same(peer, syncs):
    store: RootStore[list[Person]] = RootStore([])
    sync = store.sync_with(websocket(peer.url), people)
    syncs.callback(sync.dispose)
    wait_for(sync, "synchronized")
    store.update([Person("Ada"), Person("Grace", id="2")])
    assert people.decode_list(peer.received.get(timeout=SECONDS)) == [Person("Ada"), Person("Grace", id="2")]
    came: queue.Queue[list[Person]] = queue.Queue()
    store.changes.subscribe(lambda change: came.put(change.value))
    peer.connection.send(people.encode_list([Person("Alan")]))
    assert came.get(timeout=SECONDS) == [Person("Alan")]


def test_messagepack_goes_as_binary(peer, syncs):
    packed = Resource(Person, id=lambda person: person.id, empty=NOBODY, format="msgpack")
    store = RootStore(NOBODY)
    sync = store.sync_with(websocket(peer.url), packed)
    syncs.callback(sync.dispose)
    wait_for(sync, "synchronized")
    store.update(Person("Ada"))
    message = peer.received.get(timeout=SECONDS)
    assert isinstance(message, bytes)
    assert packed.decode(message) == Person("Ada")
    peer.connection.send(packed.encode(Person("Grace")))
    wait_until(store, Person("Grace"))


def test_a_sub_store_can_be_kept_the_same_with_a_server(peer, syncs):
    store = RootStore({"person": NOBODY, "other": Person("Alan")})
    synced(syncs, store.sub(lambda value: value["person"]), peer.url)
    store.sub(lambda value: value["other"]).update(Person("Alonzo"))
    store.sub(lambda value: value["person"]).update(Person("Ada"))
    assert peer.person() == Person("Ada")
    peer.send(Person("Grace"))
    wait_until(store.sub(lambda value: value["person"]), Person("Grace"))
    assert store.current["other"] == Person("Alonzo")
    assert peer.is_quiet()


def test_after_dispose_nothing_is_sent_and_nothing_follows(peer, syncs, caplog):
    store = RootStore(NOBODY)
    sync = synced(syncs, store, peer.url)
    store.update(Person("Ada"))
    assert peer.person() == Person("Ada")
    sync.dispose()
    sync.dispose()
    store.update(Person("Grace"))
    assert sync.session.current_state.event.code == 1000
    assert peer.is_quiet()
    assert "not sent" not in caplog.text  # it does not follow the store any more


def test_a_change_that_was_not_sent_before_dispose_is_told(syncs, caplog):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = RootStore(NOBODY)
        sync = sync_with(store, websocket(f"ws://127.0.0.1:{silent.getsockname()[1]}"), people)
        store.update(Person("Ada"))
        sync.dispose()
    assert "the message was not sent: the session is closed" in caplog.text


def test_a_value_that_cannot_be_encoded_is_told(peer, syncs):
    store: RootStore[object] = RootStore(NOBODY)
    sync = sync_with(store, websocket(peer.url), people)
    syncs.callback(sync.dispose)
    errors: queue.Queue[RxSocketException] = queue.Queue()
    sync.errors.subscribe(errors.put)
    wait_for(sync, "synchronized")
    store.update(threading.Lock())
    error = errors.get(timeout=SECONDS)
    assert isinstance(error, SendException)
    assert isinstance(error.__cause__, TypeError)
    peer.send(Person("Ada"))  # and the server is heard as before
    reached = threading.Event()
    store.data.subscribe(lambda value: reached.set() if value == Person("Ada") else None)
    assert reached.wait(SECONDS)


def test_a_url_that_cannot_work_raises_and_leaves_the_store_alone():
    store = RootStore(NOBODY)
    with pytest.raises(ConnectionException, match="ftp"):
        sync_with(store, websocket("ftp://nowhere"), people)
    store.update(Person("Ada"))


def test_two_stores_keep_each_other_the_same_through_the_hub(syncs):
    with Hub() as hub:
        ada, grace = RootStore(NOBODY), RootStore(NOBODY)
        for store in (ada, grace):
            synced(syncs, store, hub.url)
        ada.update(Person("Ada"))
        wait_until(grace, Person("Ada"))
        grace.sub(lambda person: person.address.city).update("Arlington")
        wait_until(ada, Person("Ada", address=Address("Arlington")))
        syncs.close()


def test_a_newcomer_gets_the_last_entity(syncs):
    with Hub() as hub:
        first, second = RootStore(NOBODY), RootStore(NOBODY)
        syncs.callback(first.sync_with(websocket(hub.url), people).dispose)
        first.update(Person("Ada"))
        with hub_has(hub, Person("Ada")):
            syncs.callback(second.sync_with(websocket(hub.url), people).dispose)
            wait_until(second, Person("Ada"))


@contextmanager
def hub_has(hub: Hub, person: Person) -> Iterator[None]:
    witness = RootStore(NOBODY)
    sync = witness.sync_with(websocket(hub.url), people)
    try:
        wait_until(witness, person)
        yield
    finally:
        sync.dispose()


def test_an_edit_that_crosses_with_what_the_hub_sends_ends_the_same_on_both_sides():
    with Hub() as hub:
        first = RootStore(Person("old"))
        sync = first.sync_with(websocket(hub.url), people)
        sync.push()
        with hub_has(hub, Person("old")):
            pass
        for age in range(20):
            late = RootStore(NOBODY)
            joined = late.sync_with(websocket(hub.url), people)
            late.update(Person("new", age))  # on its way while the hub's own is
            wait_until(first, Person("new", age))
            joined.session.ping().run()  # so what the hub had sent before has come
            wait_until(late, Person("new", age))
            joined.dispose()
        sync.dispose()


def test_a_change_that_came_through_one_sync_goes_on_through_another(syncs):
    with serving(Peer()) as left, serving(Peer()) as right:
        store = RootStore(NOBODY)
        for peer in (left, right):
            synced(syncs, store, peer.url)
        left.send(Person("Ada"))
        assert right.person() == Person("Ada")
        right.send(Person("Grace"))
        assert left.person() == Person("Grace")
        store.update_from("somebody")(Person("Alan"))
        assert left.person() == right.person() == Person("Alan")
        syncs.close()


def test_a_server_that_does_not_read_does_not_hold_the_store_up(syncs):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        store = RootStore(b"")
        raw = Resource(bytes, id=lambda value: value, empty=b"", format="msgpack")
        sync = store.sync_with(websocket(f"ws://127.0.0.1:{listener.getsockname()[1]}", close_timeout=0.1), raw)
        connection, _ = listener.accept()
        with connection:
            request = connection.recv(1 << 16).decode()
            key = request.partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0]
            connection.sendall("\r\n".join(("HTTP/1.1 101 Go", *switching(key), "", "")).encode())
            wait_for(sync, "synchronized")
            begin = time.monotonic()
            for number in range(32):
                store.update(bytes([number]) * (1 << 20))
            assert store.current[0] == 31
            assert time.monotonic() - begin < SECONDS
            sync.dispose()


def test_two_stores_bridged_over_two_sockets_settle(syncs):
    with Hub() as hub:
        left, right = RootStore(NOBODY), RootStore(NOBODY)
        changes: dict[Store[Person], list[int]] = {left: [], right: []}
        for store, ages in changes.items():
            store.changes.subscribe(lambda change, ages=ages: ages.append(change.value.age))
        bridge = [synced(syncs, store, hub.url) for store in changes]
        for age in range(1, 201):
            left.update(Person("Ada", age))
        wait_until(right, Person("Ada", 200))
        for age in range(201, 401):
            right.update(Person("Grace", age))
        wait_until(left, Person("Grace", 400))
        left.update(Person("Alan", 401))
        wait_until(right, Person("Alan", 401))
        for sync in bridge:
            sync.session.close()  # what is still on its way, or runs in circles, comes before the end
        assert left.current == right.current == Person("Alan", 401)
        assert changes[left] == list(range(1, 402))
        # The hub has sent back what crossed with an edit of the other side.
        assert sorted(set(changes[right])) == list(range(1, 402))
        assert len(changes[right]) < 2 * 401
        syncs.close()


def test_an_edit_goes_once_around_a_ring_of_two_stores_and_two_sockets_each(syncs):
    with Hub() as hub:
        left, right = RootStore(NOBODY), RootStore(NOBODY)
        changes: dict[Store[Person], list[Person]] = {left: [], right: []}
        for store, seen in changes.items():
            store.changes.subscribe(lambda change, seen=seen: seen.append(change.value))
            for path in ("a", "b"):
                synced(syncs, store, f"{hub.url}/{path}")
        left.update(Person("Ada"))
        wait_until(right, Person("Ada"))
        syncs.close()
        assert changes[left] == changes[right] == [Person("Ada")]


# --- losses


SOON = Backoff(initial=0)


def entities(wire: Wire, number: int) -> list[Person]:
    """What comes next, each confirmed by a pong to the ping behind it."""
    found: list[Person] = []
    while len(found) < number:
        frame = wire.next()
        if isinstance(frame, Ping):
            wire.raw(encode_pong(frame.payload, masked=False))
        else:
            assert isinstance(frame, str)
            found.append(people.decode(frame))
    return found


def test_of_the_changes_made_during_a_loss_the_last_is_sent_when_there_is_a_connection_again(syncs):
    received: list[Person] = []
    lost, again = threading.Event(), threading.Event()

    def first(wire: Wire) -> None:
        assert lost.wait(SECONDS)

    def second(wire: Wire) -> None:
        received.extend(entities(wire, 1))
        again.set()
        wire.answer_close()

    with ScriptedPeer(in_turn(first, second)) as peer:
        store = RootStore(NOBODY)
        delayed = Backoff(initial=0.05, jitter=0)
        sync = sync_with(store, websocket(peer.url, reconnect=delayed, close_timeout=1), people)
        syncs.callback(sync.dispose)
        statuses: queue.Queue[str] = queue.Queue()
        sync.status.subscribe(statuses.put)
        wait_for(sync, "synchronized")
        lost.set()
        wait_for(sync, "offline")
        for age in range(3):
            store.update(Person("Ada", age))
        assert again.wait(SECONDS)
        syncs.close()
    assert received == [Person("Ada", 2)]
    found = [statuses.get(timeout=SECONDS) for _ in range(4)]
    assert found == ["synchronizing", "synchronized", "offline", "synchronized"]


def test_a_change_that_the_server_did_not_confirm_is_sent_again_and_a_confirmed_one_is_not(syncs):
    received: list[list[Person]] = []
    confirmed, done = threading.Event(), threading.Event()

    def confirming(wire: Wire) -> None:
        received.append(entities(wire, 1))
        frame = wire.next()
        assert isinstance(frame, Ping)
        wire.raw(encode_pong(frame.payload, masked=False))
        confirmed.set()
        # It reads this, but confirms it no more.
        text = wire.next()
        assert isinstance(text, str)
        received.append([people.decode(text)])

    def after_it(wire: Wire) -> None:
        received.append(entities(wire, 1))
        frame = wire.next()
        assert isinstance(frame, Ping)
        wire.raw(encode_pong(frame.payload, masked=False))
        wire.send(people.encode(Person("of the server")))
        assert done.wait(SECONDS)

    def last(wire: Wire) -> None:
        received.append([])
        wire.send(people.encode(Person("end")))
        wire.answer_close()

    with ScriptedPeer(in_turn(confirming, after_it, last)) as peer:
        store = RootStore(NOBODY)
        sync = sync_with(store, websocket(peer.url, reconnect=SOON, close_timeout=1), people)
        syncs.callback(sync.dispose)
        wait_for(sync, "synchronized")
        store.update(Person("confirmed"))
        assert confirmed.wait(SECONDS)
        store.update(Person("not confirmed"))
        wait_until(store, Person("of the server"))
        done.set()
        wait_until(store, Person("end"))
        syncs.close()
    assert received == [[Person("confirmed")], [Person("not confirmed")], [Person("not confirmed")], []]


def test_changes_made_when_the_loss_was_not_yet_seen_are_sent_on_the_next_connection(syncs):
    received: list[Person] = []
    reset, again = threading.Event(), threading.Event()

    def first(wire: Wire) -> None:
        wire.send(people.encode(Person("of the server")))
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.sock.close()
        reset.set()

    def second(wire: Wire) -> None:
        received.extend(entities(wire, 1))
        again.set()
        wire.answer_close()

    with ScriptedPeer(in_turn(first, second)) as peer:
        store = RootStore(NOBODY)

        def edit(person: Person) -> None:
            if person == Person("of the server"):
                assert reset.wait(SECONDS)
                editor.start()
                editor.join()

        def change() -> None:
            for age in range(3):
                store.update(Person("edited", age))

        editor = threading.Thread(target=change)
        sync = sync_with(store, websocket(peer.url, reconnect=SOON, close_timeout=1), people)
        syncs.callback(sync.dispose)
        sync.session.messages.body.subscribe(lambda text: edit(people.decode(text)))
        assert again.wait(SECONDS)
        syncs.close()
    assert received == [Person("edited", 2)]


def test_a_hub_that_starts_again_finds_its_clients_again_and_all_end_the_same(syncs):
    with Hub() as hub:
        port = urlsplit(hub.url).port
        assert port is not None
        stores = [RootStore(NOBODY) for _ in range(3)]
        for store in stores:
            sync = sync_with(store, websocket(hub.url, reconnect=Backoff(initial=0.01)), people)
            syncs.callback(sync.dispose)
            wait_for(sync, "synchronized")
        stores[0].update(Person("before"))
        for store in stores:
            wait_until(store, Person("before"))
    stores[1].update(Person("meanwhile"))
    with Hub(port=port):
        for store in stores:
            wait_until(store, Person("meanwhile"))
        syncs.close()


def test_a_sync_connects_again_unless_its_socket_says_otherwise(syncs):
    with ScriptedPeer(lambda wire: wire.send(people.encode(Person("here")))) as peer:
        sync = sync_with(RootStore(NOBODY), websocket(peer.url, close_timeout=1), people)
        retried = threading.Event()
        sync.session.retries.subscribe(lambda _: retried.set())
        assert retried.wait(SECONDS)
        sync.dispose()
        once = sync_with(RootStore(NOBODY), websocket(peer.url, reconnect=Backoff(attempts=0)), people)
        wait_for(once, "offline")
        once.session.closes.run()
        assert once.session.closes.run().connection == 1
