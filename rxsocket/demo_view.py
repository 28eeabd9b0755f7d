"""What the demo shows, and the two ways to show it: a picture that changes, or lines (extra ``demo``).

A :class:`Board` is told all that happens, from any thread. Its view shows that: :class:`LiveView` draws the board again
and again, in a terminal; :class:`LineView` writes a line for each thing that happens, wherever that goes. Texts that
came over the network are never taken for markup or for codes that drive a terminal.
"""

from __future__ import annotations

import io
import os
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol, Self

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

__all__ = ["Board", "LineView", "LiveView", "Step", "View", "open_view", "save_picture"]

_SMALLEST = (72, 22)  # columns and rows that the picture needs
_MOST_ROWS = 37
_STYLES = {"Ada": "cyan", "Grace": "magenta", "hub": "yellow"}
_ARROWS = {"→": "green", "←": "blue", "!": "bold red"}
_MARKS = {None: ("○", "dim"), True: ("✓", "bold green"), False: ("✗", "bold red")}


@dataclass
class Step:
    """A step of the demo, and how it went.

    Attributes:
        name: One word.
        title: What it shows.
        ok: Whether it went as it should; None before its end.
        seen: What was seen, or what fell short.
    """

    name: str
    title: str
    ok: bool | None = None
    seen: str = ""


class View(Protocol):
    """Shows a board from the start of a ``with`` block to its end, and what it came to after that."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...

    def tell(self, line: str) -> None:
        """Take note that something happened, which this line says."""

    def sum_up(self) -> None:
        """Show how each step went."""


@dataclass
class _Paper:
    """A store, as it is shown: its values by path, and which of them the last change was to."""

    values: Mapping[str, str]
    changed: frozenset[str] = frozenset()


@dataclass
class Board:
    """All that the demo has to show. It is told by any thread.

    Attributes:
        steps: All steps, in order.
        view: Where it is shown.
    """

    steps: list[Step]
    view: View | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)  # held while the view is told, to keep the order
    _started: float = field(default_factory=time.monotonic)
    _stopped: float | None = None
    _current: Step | None = None
    _code: list[str] = field(default_factory=list[str])
    _papers: dict[str, _Paper] = field(default_factory=dict[str, _Paper])
    _said: list[tuple[str, str, str, bool]] = field(default_factory=list[tuple[str, str, str, bool]])
    _members: str = ""
    _events: list[tuple[float, str, str, str]] = field(default_factory=list[tuple[float, str, str, str]])

    @property
    def seconds(self) -> float:
        """The time since the start, up to the end."""
        return (self._stopped or time.monotonic()) - self._started

    def begin(self, step: Step) -> None:
        """Tell that a step begins."""
        with self._lock:
            self._current = step
            self._tell(f"\n{self.steps.index(step) + 1}. {step.title}")

    def end(self, step: Step, seen: str, *, ok: bool) -> None:
        """Tell how a step ended."""
        with self._lock:
            step.ok, step.seen = ok, _printable(seen)
            if not ok:
                self._events.append((self.seconds, "!", "", step.seen))
            self._tell(f"   {_MARKS[ok][0]} {step.seen}")

    def stop(self) -> None:
        """Tell that this was all."""
        self._stopped = time.monotonic()

    def code(self, line: str) -> None:
        """Show the line of code that runs next."""
        with self._lock:
            self._code.append(line)
            self._tell(f"   >>> {line}")

    def event(self, arrow: str, who: str, text: str) -> None:
        """Tell what somebody sent (→), received (←), went through (·) or suffered (!)."""
        with self._lock:
            seconds, text = self.seconds, _printable(text)
            self._events.append((seconds, arrow, who, text))
            self._tell(f"   {seconds:6.3f} {arrow} {who:<5} {text}")

    def paper(self, owner: str, values: Mapping[str, str]) -> frozenset[str]:
        """Show a store's values by their paths, with those marked that are new; return the paths of these."""
        with self._lock:
            shown = {path: _printable(value) for path, value in values.items()}
            old = self._papers.get(owner, _Paper(shown)).values
            changed = frozenset(path for path, value in shown.items() if old.get(path) != value)
            self._papers[owner] = _Paper(shown, changed)
            return changed

    def said(self, created: str, member: str, text: str, *, notice: bool) -> None:
        """Show what was heard in the chat: what a member said, or the notice that one comes or goes."""
        with self._lock:
            self._said.append((_printable(created), _printable(member), _printable(text), notice))

    def members(self, names: list[str]) -> None:
        """Show who is in the chat's room."""
        with self._lock:
            self._members = _printable(", ".join(names))
            self.event("←", "hub", f"members: {self._members}")

    def _tell(self, line: str) -> None:
        if self.view is not None:
            self.view.tell(line)

    # --- the picture

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = min(max(options.size.height - 1, _SMALLEST[1] - 1), _MOST_ROWS)
        with self._lock:
            papers = max((len(paper.values) for paper in self._papers.values()), default=1) + 2
            code = min(max(rows - 23, 4), 14) + 2  # so much that the rest is worth to be looked at, too
            rest = max(rows - 1 - code - papers, 3)
            layout = Layout()
            layout.split_column(
                Layout(self._header(), size=1),
                Layout(self._code_panel(code - 2), size=code),
                Layout(name="papers", size=papers),
                Layout(name="rest", size=rest),
            )
            layout["papers"].split_row(*(Layout(self._paper_panel(owner)) for owner in self._papers))
            layout["rest"].split_row(
                Layout(self._chat_panel(rest - 2), ratio=3), Layout(self._events_panel(rest - 2), ratio=5)
            )
            yield from console.render(layout, options.update(height=rows))

    def summary(self) -> Table:
        """Return a table of how each step went."""
        table = Table(box=box.ROUNDED, expand=True, border_style="dim", title_justify="left", header_style="bold")
        table.add_column("step", no_wrap=True)
        table.add_column("")
        table.add_column("what was seen", ratio=1)
        for step in self.steps:
            table.add_row(Text(step.title), Text(*_MARKS[step.ok]), Text(step.seen, "" if step.ok else "red"))
        return table

    def verdict(self) -> Text:
        """Return one line that says how the demo went."""
        ok = sum(1 for step in self.steps if step.ok)
        style = "bold green" if ok == len(self.steps) else "bold red"
        return Text(f"{ok} of {len(self.steps)} steps went as they should, in {self.seconds:.1f} s", style)

    def _header(self) -> RenderableType:
        steps = Text()
        for step in self.steps:
            mark, style = ("●", "bold yellow") if step is self._current and step.ok is None else _MARKS[step.ok]
            steps.append(f"{mark} ", style).append(step.name, "bold" if step is self._current else style).append("  ")
        header = Table.grid(expand=True)
        header.add_column(ratio=1)
        header.add_column(justify="right")
        header.add_row(Text(" rxsocket demo", "bold"), steps.append(f"{self.seconds:5.1f} s ", "dim"))
        return header

    def _code_panel(self, rows: int) -> RenderableType:
        syntax = Syntax("", "python", theme="ansi_dark", background_color="default")
        lines = Table.grid(padding=(0, 1, 0, 0))
        lines.add_column(style="bold yellow")
        lines.add_column(no_wrap=True, overflow="ellipsis")
        first = max(len(self._code) - rows, 0)
        for number, line in enumerate(self._code[first:], first + 1):
            highlighted = syntax.highlight(line)
            highlighted.rstrip()
            lines.add_row("❯" if number == len(self._code) else "", highlighted)  # noqa: RUF001 a prompt
        return _panel(lines, "" if self._current is None else self._current.title, "yellow")

    def _paper_panel(self, owner: str) -> RenderableType:
        paper = self._papers[owner]
        style = _STYLES.get(owner, "white")
        rows = Table.grid(padding=(0, 2, 0, 0), expand=True)
        rows.add_column(style="dim", no_wrap=True)
        rows.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for path, value in paper.values.items():
            if path in paper.changed:
                rows.add_row(Text(path), Text(f" {value} ", f"bold reverse {style}"))
            else:
                rows.add_row(Text(path), Text(f" {value}") if value else Text(" –", "dim"))  # noqa: RUF001 it stands for nothing
        return _panel(rows, f"{owner}'s store", style)

    def _chat_panel(self, rows: int) -> RenderableType:
        lines = Table.grid(padding=(0, 1, 0, 0))
        lines.add_column(style="dim", no_wrap=True)
        lines.add_column(no_wrap=True, overflow="ellipsis")
        for created, member, text, notice in self._said[-rows:]:
            style = _STYLES.get(member, "white")
            spoken = Text(member, f"bold {style}").append(f" {text}", "dim italic" if notice else "not bold default")
            lines.add_row(Text(created), spoken)
        return _panel(lines, "chat", "green", f"GET /members: {self._members}" if self._members else None)

    def _events_panel(self, rows: int) -> RenderableType:
        lines = Table.grid(padding=(0, 1, 0, 0), expand=True)
        lines.add_column(style="dim", justify="right", no_wrap=True)
        lines.add_column(no_wrap=True)
        lines.add_column(no_wrap=True)
        lines.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for seconds, arrow, who, text in self._events[-rows:]:
            style = _ARROWS.get(arrow, "dim")
            lines.add_row(f"{seconds:.2f}", Text(arrow, style), Text(who, _STYLES.get(who, "")), Text(text))
        return _panel(lines, "events", "blue")


class LineView:
    """Writes each thing that happens as a line, without any control codes.

    Args:
        board: What it shows.
        out: Where to.
    """

    def __init__(self, board: Board, out: IO[str]) -> None:
        self._board = board
        self._out = out

    def __enter__(self) -> Self:
        self.tell("rxsocket demo")
        return self

    def __exit__(self, *_: object) -> None: ...

    def tell(self, line: str) -> None:
        """Write the line, with a ``?`` for each sign that the output's encoding lacks."""
        encoding = getattr(self._out, "encoding", None) or "utf-8"
        try:
            print(line.encode(encoding, "replace").decode(encoding), file=self._out, flush=True)
        except BrokenPipeError:  # whoever read it has had enough; the interpreter's own flush must not fail on it
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._out.fileno())

    def sum_up(self) -> None:
        """Write a line for each step, and one for all."""
        self.tell("\nSummary")
        for step in self._board.steps:
            self.tell(f"   {_MARKS[step.ok][0]} {step.title}: {step.seen}")
        self.tell(f"\n{self._board.verdict()}")


class LiveView:
    """Draws the board in a terminal, ten times a second; the last picture stays.

    Args:
        board: What it shows.
        console: Where to.
    """

    def __init__(self, board: Board, console: Console) -> None:
        self._board = board
        self._console = console
        self._live = Live(board, console=console, refresh_per_second=10)

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def tell(self, line: str) -> None:
        """Do nothing: the next picture shows it."""

    def sum_up(self) -> None:
        """Print a table of the steps, and one line for all."""
        self._console.print(self._board.summary(), self._board.verdict(), sep="\n")


def open_view(board: Board, out: IO[str]) -> View:
    """Return the view that fits an output, and make it the board's.

    It is live in a terminal that is large enough, knows Unicode, and is not told to be plain (``NO_COLOR``,
    ``TERM=dumb``).
    """
    console = Console(file=out)
    live = (
        console.is_terminal
        and not (console.is_dumb_terminal or console.no_color)
        and console.encoding.startswith("utf")
        and console.width >= _SMALLEST[0]
        and console.height >= _SMALLEST[1]
    )
    view: View = LiveView(board, console) if live else LineView(board, out)
    board.view = view
    return view


def save_picture(board: Board, path: str, columns: int = 100) -> None:
    """Write the board and its summary as an SVG picture, which loads nothing from elsewhere.

    Raises:
        OSError: The file can't be written.
    """
    console = Console(
        record=True,
        file=io.StringIO(),
        width=columns,
        height=_MOST_ROWS + 1,
        force_terminal=True,
        color_system="truecolor",
        no_color=False,
        legacy_windows=False,
    )
    console.print(Group(board, board.summary(), board.verdict()))
    svg = console.export_svg(title="rxsocket demo", unique_id="rxsocket")
    # rich's picture fetches its font from the network: one in a README should not.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL).replace(
        "Fira Code, monospace", "Fira Code, ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace"
    )
    # Whatever font is found is stretched to the columns, so that the lines of the boxes meet.
    svg = svg.replace(" textLength=", ' lengthAdjust="spacingAndGlyphs" textLength=')
    Path(path).write_text(svg, encoding="utf-8")


def _panel(content: RenderableType, title: str, style: str, subtitle: str | None = None) -> Panel:
    return Panel(
        content,
        title=Text(title, f"bold {style}"),
        title_align="left",
        subtitle=None if subtitle is None else Text(subtitle, "dim"),
        subtitle_align="right",
        border_style=f"dim {style}",
        box=box.ROUNDED,
    )


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
