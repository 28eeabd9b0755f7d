"""The exceptions: one tree, which is the module's docstring, and what each carries."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from rxsocket import errors
from rxsocket.errors import (
    DecodeException,
    FunctionException,
    HandshakeException,
    HoldException,
    JsonRpcException,
    OverflowException,
    ProtocolException,
    RxSocketException,
    SubscriberException,
)

CLASSES = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, Exception)}


def tree_of(docstring: str) -> dict[str, str]:
    """Read a drawn tree; return each exception with the one that it stands under."""
    parents: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for line in docstring.splitlines():
        found = re.match(r"(?P<drawing>[ │├└─]+)(?P<name>[A-Z]\w*Exception)\b", line)
        if found is None:
            continue
        column = len(found["drawing"])
        while path and path[-1][0] >= column:
            path.pop()
        parents[found["name"]] = path[-1][1] if path else "Exception"
        path.append((column, found["name"]))
    return parents


def test_the_tree_in_the_docstring_is_that_of_the_classes() -> None:
    assert tree_of(errors.__doc__ or "") == {name: kind.__bases__[0].__name__ for name, kind in CLASSES.items()}


def test_a_drawn_tree_is_read_as_it_is_meant() -> None:
    drawn = "Text.\n\n    AException\n    ├── BException  b\n    │   └── CException  c\n    └── DException  d\n"
    assert tree_of(drawn) == {
        "AException": "Exception",
        "BException": "AException",
        "CException": "BException",
        "DException": "AException",
    }


def test_each_has_one_base_and_all_have_one_in_common() -> None:
    assert all(len(kind.__bases__) == 1 for kind in CLASSES.values())
    assert all(issubclass(kind, RxSocketException) for kind in CLASSES.values())
    assert RxSocketException.__bases__ == (Exception,)


def test_all_of_them_are_exported() -> None:
    assert sorted(CLASSES) == errors.__all__


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_each_says_what_it_is_and_what_it_carries(name: str) -> None:
    kind = CLASSES[name]
    documentation = inspect.cleandoc(kind.__dict__.get("__doc__") or "")
    assert documentation
    attributes = set(re.findall(r"^ {4}(\w+):", documentation, flags=re.MULTILINE))
    signature = set(inspect.signature(kind.__init__).parameters) if "__init__" in kind.__dict__ else set[str]()
    assert attributes == signature - {"self", "message"}


def test_what_each_carries_can_be_read_and_its_message_is_its_text() -> None:
    handshake = HandshakeException("refused", 403, {"server": "x"}, b"no")
    assert (str(handshake), handshake.status, handshake.headers, handshake.body) == (
        "refused",
        403,
        {"server": "x"},
        b"no",
    )
    protocol = ProtocolException("too big", 1009)
    assert (str(protocol), protocol.code) == ("too big", 1009)
    decode = DecodeException("no name - at `$.name`", b"\xff")
    assert (str(decode), decode.raw) == ("no name - at `$.name`", b"\xff")
    hold = HoldException("let go", 3, 7)
    assert (str(hold), hold.messages, hold.size) == ("let go", 3, 7)
    overflow = OverflowException("too many", 5)
    assert (str(overflow), overflow.capacity) == ("too many", 5)
    refused = JsonRpcException("no such method", -32601, ["x"])
    assert (str(refused), refused.code, refused.data) == ("no such method (-32601): ['x']", -32601, ["x"])
    assert str(JsonRpcException("no such method", -32601)) == "no such method (-32601)"
    function = FunctionException("matches raised", "matches")
    assert (str(function), function.function) == ("matches raised", "matches")


@pytest.mark.parametrize(
    "error",
    [
        HandshakeException("refused", 403, {"server": "x"}, b"no"),
        ProtocolException("too big", 1009),
        DecodeException("no name", b"\xff"),
        HoldException("let go", 3, 7),
        OverflowException("too many", 5),
        JsonRpcException("no such method", -32601, ["x"]),
        FunctionException("matches raised", "matches"),
        SubscriberException("messages.body"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_each_can_go_to_another_process(error: RxSocketException) -> None:
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301 our own
    assert (type(copied), str(copied), vars(copied)) == (type(error), str(error), vars(error))


def test_a_subscribers_exception_names_the_stream() -> None:
    error = SubscriberException("messages.body")
    assert error.stream == "messages.body"
    assert "messages.body" in str(error)
