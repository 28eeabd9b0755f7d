"""The floors that modules stand on, what importing costs, what is exported, and that every module has its tests."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

import rxsocket

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "rxsocket"
SOURCES = {path.stem: path for path in sorted(PACKAGE.glob("*.py"))}
MODULES = sorted(set(SOURCES) - {"__init__"})

# A module imports from lower floors alone.
FLOORS = {
    "loops": 0,
    "errors": 0,
    "lenses": 0,
    "handlers": 0,
    "checks": 0,
    "deadlines": 0,
    "masking": 0,
    "waiting": 0,
    "keeper": 0,
    "keepalive": 0,
    "chat": 0,
    "entity": 0,
    "markup": 0,
    "scopes": 0,
    "pump": 0,
    "flow": 0,
    "series": 0,
    "tables": 1,
    "stats": 1,
    "subjects": 1,
    "deflate": 1,
    "backoff": 1,
    "codec": 1,
    "urls": 1,
    "frames": 1,
    "backlog": 1,
    "emitted": 1,
    "cells": 1,
    "sampling": 2,
    "drawing": 2,
    "history": 2,
    "updates": 2,
    "connection": 2,
    "resource": 2,
    "views": 2,
    "options": 2,
    "states": 2,
    "delivery": 3,
    "picture": 3,
    "passage": 3,
    "asynchronous": 3,
    "glance": 3,
    "store": 3,
    "gaps": 3,
    "link": 3,
    "encoding": 3,
    "decoding": 3,
    "handshake": 3,
    "outgoing": 4,
    "cassette": 4,
    "plotting": 4,
    "widget": 4,
    "binding": 4,
    "lifecycle": 4,
    "messages": 4,
    "topics": 4,
    "replies": 4,
    "opening": 4,
    "served_connection": 4,
    "relay": 4,
    "channel": 5,
    "display": 5,
    "streams": 5,
    "script_client": 5,
    "conversation": 6,
    "session": 6,
    "simulated": 6,
    "recording": 6,
    "fake": 7,
    "runner": 7,
    "replaying": 7,
    "socket_session": 8,
    "marbles": 8,
    "cold": 9,
    "demo_view": 9,
    "jsonrpc": 9,
    "leftovers": 9,
    "roster": 9,
    "proxy": 10,
    "scripted": 10,
    "socket": 10,
    "testing": 11,
    "sync": 11,
    "hub": 11,
    "demo_stage": 11,
    "serving": 11,
    "lines": 11,
    "sheets": 11,
    "commands": 12,
    "notebook": 12,
    "demo": 12,
    "__init__": 12,
    "__main__": 13,
}

# Each tower knows nothing of the other; sync, which stands on both, is where they meet.
TOWERS = (
    {"lenses", "handlers", "history", "updates", "store", "resource", "binding"},
    {
        "checks",
        "options",
        "deflate",
        "masking",
        "backoff",
        "keepalive",
        "keeper",
        "channel",
        "script_client",
        "served_connection",
        "relay",
        "scripted",
        "conversation",
        "fake",
        "marbles",
        "runner",
        "urls",
        "waiting",
        "frames",
        "encoding",
        "decoding",
        "connection",
        "handshake",
        "opening",
        "messages",
        "gaps",
        "views",
        "states",
        "lifecycle",
        "streams",
        "glance",
        "simulated",
        "cassette",
        "recording",
        "replaying",
        "outgoing",
        "deadlines",
        "link",
        "topics",
        "replies",
        "session",
        "socket_session",
        "cold",
        "leftovers",
        "roster",
        "proxy",
        "passage",
        "socket",
        "jsonrpc",
    },
)

# What both stand on, and what is beside them: what is for any stream, codecs, the hub's rooms, and the demo's view.
IN_NO_TOWER = {
    "errors",
    "loops",
    "subjects",
    "backlog",
    "delivery",
    "asynchronous",
    "codec",
    "chat",
    "entity",
    "demo_view",
    "emitted",
    "sampling",
    "stats",
    "pump",
    "flow",
    "series",
    "tables",
    "drawing",
    "picture",
    "plotting",
    "widget",
    "display",
    "markup",
    "scopes",
    "cells",
}

# The imports that lead upward, with the reason.
LATE = {
    ("store", "sync"): "store.sync_with(socket, resource) is the page's spelling; it is imported when it is called",
}

# These test no module of their own; benchmarks is a package beside rxsocket, of which no user's code depends.
TESTS_OF_THE_WHOLE = {
    "test_architecture",
    "test_autobahn",
    "test_benchmarks",
    "test_faults",
    "test_feeds",
    "test_fuzz",
    "test_half_open",
    "test_interop",
    "test_readme",
}


class Import(NamedTuple):
    target: str  # a module of rxsocket by its own name, or the whole name of a foreign one
    own: bool
    late: bool  # inside of a function


def imports_of(source: str) -> Iterator[Import]:
    """Give the imports of a module, without those for type-checkers alone."""
    return found_in(ast.parse(source), late=False)


def found_in(node: ast.AST, *, late: bool) -> Iterator[Import]:
    match node:
        case ast.If(test=test, orelse=orelse) if ast.unparse(test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for child in orelse:
                yield from found_in(child, late=late)
        case ast.ImportFrom(module=module, names=names, level=level):
            full = ("rxsocket." if level else "") + (module or "")
            yield from resolved(full.rstrip("."), [alias.name for alias in names], late=late)
        case ast.Import(names=names):
            for alias in names:
                yield from resolved(alias.name, ["__init__"], late=late)
        case _:
            inside = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                yield from found_in(child, late=inside)


def resolved(full: str, names: list[str], *, late: bool) -> Iterator[Import]:
    first, _, rest = full.partition(".")
    if first != "rxsocket":
        yield Import(full, own=False, late=late)
    elif rest:
        yield Import(rest.partition(".")[0], own=True, late=late)
    else:  # of the names in the package some may be its modules
        yield from (Import(name if name in SOURCES else "__init__", own=True, late=late) for name in names)


IMPORTS = {name: list(imports_of(path.read_text(encoding="utf-8"))) for name, path in SOURCES.items()}


def foreign(name: str) -> set[str]:
    return {found.target.partition(".")[0] for found in IMPORTS[name] if not found.own}


def test_imports_are_found_wherever_they_stand() -> None:
    source = """
from __future__ import annotations
import os.path, rxsocket
import rxsocket.socket
from .frames import Close
from . import states, websocket
from rxsocket.store import Store
try:
    from websockets.frames import Frame
except ImportError:
    import json
if TYPE_CHECKING:
    from .sync import Sync
else:
    from .hub import Hub
def function():
    if True:
        from .demo import run
class Class:
    def method(self):
        async def inner():
            from .session import Session
"""
    found = list(imports_of(source))
    assert [each.target for each in found if each.own and not each.late] == [
        "__init__",
        "socket",
        "frames",
        "states",
        "__init__",
        "store",
        "hub",
    ]
    assert [each.target for each in found if each.late] == ["demo", "session"]
    assert [each.target for each in found if not each.own] == ["__future__", "os.path", "websockets.frames", "json"]


def test_every_module_has_its_floor_and_every_floor_its_modules() -> None:
    assert set(FLOORS) == set(SOURCES)
    assert set(FLOORS.values()) == set(range(max(FLOORS.values()) + 1))


@pytest.mark.parametrize("name", SOURCES)
def test_a_module_imports_from_lower_floors_alone(name: str) -> None:
    for found in IMPORTS[name]:
        if found.own and (name, found.target) not in LATE:
            assert FLOORS[found.target] < FLOORS[name], f"{name} imports {found.target}"


def test_what_is_imported_upward_is_imported_late_and_is_still_needed() -> None:
    for name, target in LATE:
        found = [each for each in IMPORTS[name] if each.own and each.target == target]
        assert found, f"{name} does not import {target}: the exception can go"
        assert all(each.late for each in found)


def test_every_module_below_sync_is_in_one_tower_or_named_as_in_none() -> None:
    placed = sorted([*TOWERS[0], *TOWERS[1], *IN_NO_TOWER])
    assert placed == sorted(name for name, floor in FLOORS.items() if floor < FLOORS["sync"])


def test_the_towers_know_nothing_of_each_other() -> None:
    for tower, other in (TOWERS, TOWERS[::-1]):
        for name in tower:
            assert {found.target for found in IMPORTS[name] if found.own} & other == set(), name


def test_the_packages_docstring_has_each_module_on_its_floor() -> None:
    told: dict[str, int] = {}
    floor = None
    for line in (rxsocket.__doc__ or "").splitlines():
        row = re.match(r"(?P<floor>\d*) +(?P<modules>``.*|\S.*)", line)
        if row is None:
            floor = None
            continue
        if row["floor"].isdigit():
            floor = int(row["floor"])
        if floor is not None:
            told.update((name, floor) for name in re.findall(r"``(\w+)``", row["modules"]) if name in SOURCES)
    parts_of_others = {"demo_stage", "demo_view"}  # of demo
    assert {name: FLOORS[name] for name in told} == told
    assert set(MODULES) - parts_of_others <= set(told)


# --- what is imported from elsewhere


def test_only_opening_imports_websocket_client() -> None:
    assert [name for name in SOURCES if "websocket" in foreign(name)] == ["opening"]


@pytest.mark.parametrize("name", ["frames", "deflate", "masking"])
def test_frames_do_no_io(name: str) -> None:
    assert foreign(name) & {"asyncio", "io", "select", "selectors", "socket", "ssl", "threading", "time"} == set()


def test_only_masking_names_numpy_which_it_loads_where_that_pays() -> None:
    found = {name for name, path in SOURCES.items() if '"numpy"' in path.read_text(encoding="utf-8")}
    assert found == {"masking"}


def test_the_core_imports_its_three_dependencies_and_the_standard_library_alone() -> None:
    heavier = {
        "chat",
        "entity",
        "hub",
        "serving",
        "lines",
        "commands",
        "demo",
        "demo_stage",
        "demo_view",
        "display",
        "widget",
        "__main__",
    }  # the extras
    for name in set(SOURCES) - heavier:
        outside = foreign(name) - set(sys.stdlib_module_names)
        assert outside <= {"reactivex", "websocket", "msgspec"}, name
        # Which reactivex imports, too: what waits on a loop is no part of how a session works.
        waits_on_a_loop = name in {"loops", "asynchronous", "socket_session", "subjects", "emitted"}
        assert waits_on_a_loop or "asyncio" not in foreign(name), name


def modules_after(statement: str) -> set[str]:
    """Run a statement in a fresh interpreter; return the names of the modules that are loaded then."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(  # noqa: S603 our own interpreter, and our own words
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_importing_rxsocket_imports_nothing_else_but_its_three_dependencies() -> None:
    dependencies = modules_after("import reactivex, reactivex.operators, websocket, msgspec")
    added = modules_after("import rxsocket") - dependencies
    assert "rxsocket.socket" in added
    assert {name.partition(".")[0] for name in added} - set(sys.stdlib_module_names) == {"rxsocket"} | (
        {"reactivex"} if any(name.startswith("reactivex.") for name in added) else set()
    )
    for heavy in ("asyncio", "http.server", "multiprocessing", "numpy", "rich", "unittest", "websockets"):
        assert heavy not in added
    for extra in (
        "chat",
        "commands",
        "demo",
        "demo_stage",
        "demo_view",
        "hub",
        "lines",
        "notebook",
        "serving",
        "__main__",
    ):
        assert f"rxsocket.{extra}" not in added


# --- what is exported


def order(name: str) -> tuple[int, str]:
    """CONSTANTS, then Classes, then functions: as ruff sorts."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2), name


@pytest.mark.parametrize("name", ["rxsocket", *(f"rxsocket.{module}" for module in MODULES)])
def test_every_module_says_what_it_exports_sorted_and_it_is_there(name: str) -> None:
    module = importlib.import_module(name)
    exported: list[str] = module.__all__
    assert exported == sorted(exported, key=order)
    assert len(set(exported)) == len(exported)
    for each in exported:
        assert hasattr(module, each), each
        assert not each.startswith("_")


def test_a_constant_that_one_module_has_of_another_is_exported_there() -> None:
    found = 0
    for name, path in SOURCES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module is not None:
                constants = {alias.name for alias in node.names if alias.name.isupper()}
                exported: list[str] = importlib.import_module(f"rxsocket.{node.module}").__all__
                assert constants <= set(exported), f"{name} imports from {node.module}"
                found += len(constants)
    assert found


def described_aliases() -> set[str]:
    """The names that are assigned at the top of a module, and have a docstring behind them."""
    found: set[str] = set()
    for path in SOURCES.values():
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for assignment, text in pairwise(body):
            match assignment, text:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]),
                    ast.Expr(value=ast.Constant(value=str())),
                ):
                    found.add(name)
    return found


@pytest.mark.parametrize("name", rxsocket.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    thing = getattr(rxsocket, name)
    if inspect.isclass(thing):
        text = thing.__dict__.get("__doc__") or ""
        # What a dataclass or a tuple says by itself is its signature.
        assert text, name
        assert not re.match(rf"{name}\(", text), name
    elif inspect.isroutine(thing) or inspect.ismodule(thing):
        assert thing.__doc__, name
    else:
        assert name in described_aliases()


def test_the_exceptions_are_all_public() -> None:
    errors = importlib.import_module("rxsocket.errors")
    assert set(errors.__all__) <= set(rxsocket.__all__)


# --- that everything is tested


def test_every_module_has_its_test_file_and_every_test_file_its_module() -> None:
    expected = {f"test_{name.strip('_')}" for name in MODULES}
    found = {path.stem for path in TESTS.glob("test_*.py")}
    assert expected - found == set(), "modules without tests"
    assert found - expected - TESTS_OF_THE_WHOLE == set(), "tests without a module"


def test_the_tests_of_the_whole_are_there() -> None:
    assert {name for name in TESTS_OF_THE_WHOLE if not (TESTS / f"{name}.py").exists()} == set()


# store stands below sync and socket, and its sync_with alone speaks of them.
UNREADABLE = {"sync_with"}


@pytest.mark.parametrize("name", rxsocket.__all__)
def test_what_is_exported_has_annotations_that_can_be_read_at_run_time(name: str) -> None:
    exported = getattr(rxsocket, name)
    if inspect.isfunction(exported):
        typing.get_type_hints(exported)
    elif inspect.isclass(exported):
        typing.get_type_hints(exported)
        for attribute, member in vars(exported).items():
            if inspect.isfunction(member) and attribute not in UNREADABLE:
                typing.get_type_hints(member)
