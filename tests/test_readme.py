"""The README's examples, run in order as a reader would, and its claims about names."""

import contextlib
import inspect
import io
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import rxsocket
from rxsocket.hub import Hub

README = (Path(__file__).parent.parent / "README.rst").read_text(encoding="utf-8")
SECONDS = 5.0


class Block:
    def __init__(self, language: str, text: str, line: int) -> None:
        self.language = language
        self.text = text
        self.line = line


def blocks() -> Iterator[Block]:
    for match in re.finditer(r"^\.\. code-block:: (\w+)\n\n((?:(?:   .*)?\n)+)", README, re.MULTILINE):
        text = re.sub(r"^   ", "", match[2], flags=re.MULTILINE).strip("\n") + "\n"
        yield Block(match[1], text, README.count("\n", 0, match.start(2)) + 1)


class Shown(io.TextIOBase):
    """Takes what is printed, on any thread, and waits for it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._text = ""

    def write(self, text: str) -> int:
        with self._changed:
            self._text += text
            self._changed.notify_all()
        return len(text)

    def take(self, expected: str) -> str:
        """Return what was printed, once it is as long as what is expected, and forget it."""
        deadline = time.monotonic() + SECONDS
        with self._changed:
            while len(self._text) < len(expected) and self._changed.wait(deadline - time.monotonic()):
                pass
            text, self._text = self._text, ""
            return text


def test_every_example_shows_what_stands_below_it():
    listed = list(blocks())
    pairs = list(zip(listed, [*listed[1:], None], strict=True))
    namespace: dict[str, object] = {"__name__": "__main__"}
    shown = Shown()
    with Hub() as hub, contextlib.redirect_stdout(shown):
        try:
            for block, following in pairs:
                if block.language != "python":
                    continue
                code = block.text.replace("127.0.0.1:3333", hub.url.removeprefix("ws://"))
                exec(compile("\n" * (block.line - 1) + code, "README.rst", "exec"), namespace)  # noqa: S102 our own
                expected = following.text if following is not None and following.language == "text" else ""
                expected = expected.replace("127.0.0.1:3333", hub.url.removeprefix("ws://"))
                assert shown.take(expected) == expected, f"README.rst, line {block.line}"
        finally:
            rxsocket.close_all()


def test_the_first_program_has_at_most_ten_lines():
    first = next(block for block in blocks() if block.language == "python")
    assert len(first.text.splitlines()) <= 10


@pytest.mark.parametrize("command", [block.text.strip() for block in blocks() if block.language == "sh"])
def test_a_command_is_one_line(command: str):
    assert "\n" not in command


def test_the_table_of_fritz2s_names_has_only_names_that_exist():
    table = README[README.index("From fritz2\n") : README.index("What is guaranteed\n")]
    column = "\n".join(line[50:] for line in table.splitlines())
    for name in set(re.findall(r"(?:session\.messages|session|store|socket)\.(\w+)", column)):
        owners = (rxsocket.Session, rxsocket.Store, rxsocket.Socket)
        views = {"data", "body", "blob", "array_buffer", "messages"}
        assert name in views or any(hasattr(owner, name) for owner in owners), name


def test_the_table_of_options_names_each_with_its_default():
    """All but None, which is no figure."""

    def figure(default: float) -> str:
        for unit, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
            if default % size == 0:
                return f"{default // size} {unit}"
        return f"{default:,g}" if isinstance(default, float) else f"{default:,}"

    parameters = inspect.signature(rxsocket.websocket).parameters.values()
    defaults = {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}
    table = README[README.index("\nOptions\n") : README.index("\nExceptions\n")]
    rows = re.findall(r"^((?:``\w+``(?:, )?)+)  +(.*)$", table, re.MULTILINE)
    named = [re.findall(r"\w+", names) for names, _ in rows]
    assert sorted(name for names in named for name in names) == sorted(defaults)
    for names, (_, text) in zip(named, rows, strict=True):
        values = [defaults[name] for name in names if defaults[name] is not None]
        expected = [str(each) if isinstance(each, bool) else figure(each) for each in dict.fromkeys(values)]
        found = re.findall(r"\bFalse\b|\bTrue\b|\b\d[\d,]*(?: [MK]iB)?\b", text)
        assert found[: len(expected)] == expected, text


def test_the_table_of_exceptions_names_each():
    table = README[README.index("\nExceptions\n") : README.index("\nSpeed\n")]
    named = re.findall(r"^``(\w+)``", table, re.MULTILINE)
    assert sorted(named) == sorted(name for name in rxsocket.__all__ if name.endswith("Exception"))
