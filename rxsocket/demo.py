"""What ``rxsocket demo`` shows: a session's life, stores in sync, a part of a store, and a chat (extra ``demo``).

The hub runs in the process, and everything goes over real sockets. Each step runs the lines of code that it shows, and
is checked: what is shown comes from the streams, and what a step waits for has to come before a deadline.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPConnection
from urllib.parse import urlsplit

import msgspec

from .chat import ChatMessage, MessageType
from .demo_stage import FellShort, Stage, ended, logged, told
from .demo_view import Board, Step, open_view, save_picture
from .errors import SendException
from .hub import Hub
from .resource import Resource, next_id
from .socket import Socket, websocket
from .store import RootStore, handler
from .sync import Sync

__all__ = ["run"]


class Address(msgspec.Struct, frozen=True):
    """Where a person lives."""

    city: str


class Person(msgspec.Struct, frozen=True):
    """The entity that the two stores share."""

    name: str
    age: int
    address: Address
    id: str = msgspec.field(default_factory=next_id)


class PersonStore(RootStore[Person]):
    """A person, as somebody knows them."""

    @handler
    def birthday(self, person: Person) -> Person:
        """Make the person a year older."""
        return msgspec.structs.replace(person, age=person.age + 1)


class Transcript(RootStore[list[ChatMessage]]):
    """What a member of the chat has heard."""

    @handler
    def hear(self, messages: list[ChatMessage], text: str) -> list[ChatMessage]:
        """Add a message, which comes as JSON."""
        return [*messages, msgspec.json.decode(text, type=ChatMessage)]


person_resource = Resource(Person, id=lambda person: person.id, empty=Person("", 0, Address(""), id=""))


def json(message: ChatMessage) -> str:
    """Return a message of the chat as it goes over the wire."""
    return msgspec.json.encode(message).decode()


class _Demo(Stage):
    """The stage, with a hub, and with two stores of the same person: one that Ada keeps, and one that Grace keeps."""

    def __init__(self, board: Board, *, paced: bool) -> None:
        super().__init__(board, paced=paced)
        self.ada = PersonStore(person_resource.empty)
        self.grace = PersonStore(person_resource.empty)
        self.syncs: list[Sync] = []
        self._hub: Hub | None = None
        self.watch("Ada", self.ada)
        self.watch("Grace", self.grace)

    @property
    def hub(self) -> Hub:
        """The hub, which the first step starts."""
        if self._hub is None:
            raise FellShort("there is no hub to connect to")
        return self._hub

    @hub.setter
    def hub(self, hub: Hub) -> None:
        self._hub = hub
        self.at_the_end(hub.close)
        self.board.event("·", "hub", f"listens on {hub.url}")

    @property
    def socket(self) -> Socket:
        """Where the hub is."""
        return websocket(self.hub.url, close_timeout=1)

    def get(self, path: str) -> list[str]:
        """Ask the hub for a list by plain HTTP."""
        connection = HTTPConnection(urlsplit(self.hub.url).netloc, timeout=1)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        # 400: there is no such room, since nobody is in it.
        return [] if response.status == HTTPStatus.BAD_REQUEST else msgspec.json.decode(body, type=list[str])


# --- the steps: each returns what was seen


def _session(stage: _Demo) -> str:
    stage.show("hub = Hub().start()")
    hub = Hub().start()
    stage.hub = hub
    stage.show("socket = websocket(hub.url, close_timeout=1)")
    socket = websocket(hub.url, close_timeout=1)

    grace = socket.connect("hello")  # who answers
    stage.follow("Grace", grace)
    grace.messages.body.subscribe(lambda text: stage.board.event("←", "Grace", text))
    grace.messages.body.subscribe(lambda text: grace.send(f"{text} Grace is!"))

    stage.show('ada = socket.connect("hello")')
    ada = socket.connect("hello")
    states = stage.follow("Ada", ada)
    stage.look()

    answer = RootStore("")
    answer.changes.subscribe(lambda change: stage.board.event("←", "Ada", change.value))
    stage.show("ada.messages.body.subscribe(answer.update)")
    ada.messages.body.subscribe(answer.update)
    stage.show('ada.send("Anybody there?")')
    stage.board.event("→", "Ada", "Anybody there?")
    ada.send("Anybody there?")
    stage.expect(answer.data, bool, "an answer")
    stage.look()

    stage.show('ada.close(reason="finished")')
    ada.close(reason="finished")
    end = stage.expect(ada.closes, lambda _: True, "the close event")
    stage.look()
    stage.show('ada.send("too late")')
    try:
        ada.send("too late")
    except SendException as error:
        stage.board.event("!", "Ada", told(error))
    else:
        raise FellShort("a closed session has taken a message")
    stage.look()
    grace.close()
    return f"{' → '.join(states)}; heard {answer.current!r}; closed with {ended(end)}"


def _stores(stage: _Demo) -> str:
    socket, ada, grace, syncs = stage.socket, stage.ada, stage.grace, stage.syncs
    stage.show('ada.sync_with(socket.append("person"), person_resource)')
    syncs.append(ada.sync_with(socket.append("person"), person_resource))
    stage.follow("Ada", syncs[-1].session)
    stage.show('grace.sync_with(socket.append("person"), person_resource)')
    syncs.append(grace.sync_with(socket.append("person"), person_resource))
    stage.follow("Grace", syncs[-1].session)
    stage.look()

    stage.show('ada.update(Person("Emmy Noether", 32, Address("Erlangen")))')
    ada.update(Person("Emmy Noether", 32, Address("Erlangen")))
    there = stage.expect(grace.data, lambda person: person == ada.current, "Ada's update in Grace's store")
    stage.look()
    stage.show("grace.birthday()")
    grace.birthday()
    back = stage.expect(ada.data, lambda person: person == grace.current, "Grace's update in Ada's store")
    stage.look()
    return f"Ada → Grace: {there.name}, {there.age}; Grace → Ada: {back.name}, {back.age}"


def _part(stage: _Demo) -> str:
    ada, grace = stage.ada, stage.grace
    cities: list[str] = []
    city = grace.sub(lambda p: p.address.city)
    city.data.subscribe(cities.append)
    stage.show('ada.sub(lambda p: p.address.city).update("Göttingen")')
    ada.sub(lambda p: p.address.city).update("Göttingen")
    stage.expect(grace.data, lambda person: person == ada.current, "Ada's city in Grace's store")
    stage.look()
    return f"the city in Grace's store: {' → '.join(cities)}"


def _chat(stage: _Demo) -> str:
    socket, get = stage.socket, stage.get
    ada_heard, grace_heard = Transcript([]), Transcript([])
    stage.overhear("Ada", ada_heard)
    stage.overhear("Grace", grace_heard)
    stage.show('ada = socket.connect("chat/lounge")')
    ada = socket.connect("chat/lounge")
    stage.follow("Ada", ada)
    ada.messages.body.subscribe(ada_heard.hear)
    stage.show('ada.send(json(ChatMessage("", "Ada", "JOINING")))')
    stage.board.event("→", "Ada", "JOINING")
    ada.send(json(ChatMessage("", "Ada", "JOINING")))
    stage.until(lambda: get("/members/lounge") == ["Ada"], "Ada among the members")  # nobody is told that she joins

    grace = socket.connect("chat/lounge")
    stage.follow("Grace", grace)
    grace.messages.body.subscribe(grace_heard.hear)
    stage.show('grace.send(json(ChatMessage("", "Grace", "JOINING")))')
    stage.board.event("→", "Grace", "JOINING")
    grace.send(json(ChatMessage("", "Grace", "JOINING")))
    stage.expect(ada_heard.data, _last("Grace", "JOINING"), "the notice that Grace joins")
    stage.show('members = get("/members/lounge")')
    members = get("/members/lounge")
    stage.board.members(members)
    stage.look()

    stage.show('ada.send(json(ChatMessage("Hello, Grace!", "Ada", "MESSAGE")))')
    stage.board.event("→", "Ada", "MESSAGE Hello, Grace!")
    ada.send(json(ChatMessage("Hello, Grace!", "Ada", "MESSAGE")))
    stage.expect(grace_heard.data, _last("Ada", "MESSAGE"), "Ada's message")
    stage.look()
    stage.show('grace.send(json(ChatMessage("Ada! Tea?", "Grace", "MESSAGE")))')
    stage.board.event("→", "Grace", "MESSAGE Ada! Tea?")
    grace.send(json(ChatMessage("Ada! Tea?", "Grace", "MESSAGE")))
    stage.expect(ada_heard.data, _last("Grace", "MESSAGE"), "Grace's message")
    stage.look()
    stage.show('grace.close(reason="tea is ready")')
    grace.close(reason="tea is ready")
    stage.expect(ada_heard.data, _last("Grace", "LEAVING"), "the notice that Grace leaves")
    left = get("/members/lounge")
    stage.board.members(left)
    stage.look()
    if (members, left) != (["Ada", "Grace"], ["Ada"]):
        raise FellShort(f"the members were {members}, then {left}")
    heard = ", ".join(message.type for message in ada_heard.current)
    return f"members {' and '.join(members)}; Ada heard {heard}; Grace heard {grace_heard.current[-1].content!r}"


def _end(stage: _Demo) -> str:
    hub, syncs = stage.hub, stage.syncs
    stage.show("for sync in syncs: sync.dispose()")
    for sync in syncs:
        sync.dispose()
    stage.look()
    stage.show("hub.close()")
    hub.close()
    ends = stage.closes()
    stage.look()
    stage.until(lambda: not stage.threads(), "the end of all threads")
    began = Counter(f"{end.code} by the {end.initiator}" for end in ends)
    kinds = ", ".join(f"{number} with {kind}" for kind, number in began.items())
    return f"{len(ends)} sessions closed: {kinds}; no thread is left"


_STEPS: dict[Callable[[_Demo], str], tuple[str, str]] = {
    _session: ("session", "A session's life"),
    _stores: ("sync", "Two stores in sync"),
    _part: ("part", "A part of a store"),
    _chat: ("chat", "Two clients in a chat"),
    _end: ("end", "The end"),
}


def run(save: str | None = None) -> int:
    """Show the demo on the standard output: live in a terminal, and as plain lines elsewhere.

    It takes about ten seconds in a terminal, where it leaves time to look, and at most 15; elsewhere less than one.

    Args:
        save: Where to write an SVG picture of what was shown; None for nowhere.

    Returns:
        The exit code: 0, 1 if any step fell short or the picture could not be written, 130 after Ctrl+C.

    Threads:
        To be called on the main thread, the one that Ctrl+C interrupts.
    """
    board = Board([Step(name, title) for name, title in _STEPS.values()])
    paced = sys.stdout.isatty()  # before the view puts its own in that place
    view = open_view(board, sys.stdout)
    try:
        with view, logged(board):
            stage = _Demo(board, paced=paced)
            try:
                for step, play in zip(board.steps, _STEPS, strict=True):
                    _play(play, step, stage)
            finally:
                stage.close()
                board.stop()
    except KeyboardInterrupt:
        sys.stderr.write("rxsocket demo: interrupted\n")
        return 130
    view.sum_up()
    if save is not None:
        try:
            save_picture(board, save)
        except OSError as error:
            sys.stderr.write(f"rxsocket demo: can't write {save}: {error.strerror}\n")
            return 1
    return 0 if all(step.ok for step in board.steps) else 1


def _play(play: Callable[[_Demo], str], step: Step, stage: _Demo) -> None:
    stage.board.begin(step)
    try:
        seen = play(stage)
    except Exception as error:  # noqa: BLE001 the next steps are to be seen all the same
        stage.board.end(step, told(error), ok=False)
    else:
        stage.board.end(step, seen, ok=True)


def _last(member: str, kind: MessageType) -> Callable[[list[ChatMessage]], bool]:
    """Return a condition: the last message heard is of this member and type."""
    return lambda messages: bool(messages) and (messages[-1].member, messages[-1].type) == (member, kind)
