"""The command line: ``rxsocket``, or ``python -m rxsocket``."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import TextIO

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments; those of the process if None.

    Returns:
        The exit code: 0 for success, 1 when the command could not run, 2 when no command was given,
        130 when Ctrl+C ended the demo.

    Raises:
        SystemExit: From argparse: 0 after ``--help`` and ``--version``, 2 for arguments that it does not know.

    Threads:
        To be called on the main thread: ``hub`` sets the process's handlers of SIGINT and SIGTERM.

    Example:
        >>> main(["hub", "--port", "3333"])
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    command: str | None = arguments.command
    try:
        if command == "hub":
            return _hub(arguments.host, arguments.port)
        if command == "demo":
            return _demo(arguments.save)
    except ImportError as error:
        _say(
            f"rxsocket {command} needs its extra: pip install 'rxsocket[{command}]', or '.[{command}]' in a clone "
            f"(no module {error.name})",
            sys.stderr,
        )
        return 1
    parser.print_help(sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rxsocket", description="Live WebSocket data as Rx streams.")
    parser.add_argument("--version", action="version", version=f"rxsocket {version('rxsocket')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    hub = commands.add_parser(
        "hub",
        help="run a server that shares entities and chats between clients",
        description="Run a server that shares one entity at each path between its clients, and a chat at each path "
        "/chat/{room}. GET /members/{room} lists who is in a room. It runs until it is interrupted.",
        epilog="Everything is kept in memory. Needs the extra: pip install 'rxsocket[hub]'",
    )
    hub.add_argument(
        "--host",
        default="127.0.0.1",
        help="name or address to listen on (default: %(default)s, which only this machine reaches)",
    )
    hub.add_argument(
        "--port", type=_port, default=3333, help="port to listen on, 0 for a free one (default: %(default)s)"
    )
    demo = commands.add_parser(
        "demo",
        help="show a live demonstration in the terminal",
        description="Show a session's life, two stores kept in sync, a part of a store, and a chat in the terminal: "
        "about ten seconds, over real sockets, with a hub in the same process. It exits with 1 if a step fell short.",
        epilog="Needs the extra: pip install 'rxsocket[demo]'",
    )
    demo.add_argument("--save", metavar="FILE.svg", help="write an SVG picture of what was shown")
    return parser


def _port(text: str) -> int:
    port = int(text) if text.isdecimal() else -1
    if not 0 <= port <= 65_535:  # noqa: PLR2004 that is what a port is
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, not {text!r}")
    return port


def _hub(host: str, port: int) -> int:
    from .hub import Hub  # noqa: PLC0415 it needs the extra

    # The signals only leave a mark: an exception out of a handler could come in the middle of the hub's close. SIGINT
    # is set too, since a shell starts background jobs with it ignored.
    signals: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: signals.append(number))
    try:
        with Hub(host, port) as hub:
            _say(f"rxsocket hub: listening on {hub.url} (Ctrl+C stops it)", sys.stdout)
            while not signals:
                time.sleep(0.2)  # not for good, since a signal that comes just before it does not end it
    except OSError as error:
        _say(f"rxsocket hub: {error.strerror}", sys.stderr)
        return 1
    _say("rxsocket hub: stopped", sys.stdout)
    return 0


def _demo(save: str | None) -> int:
    from .demo import run  # noqa: PLC0415 it needs the extra

    return run(save)


def _say(line: str, stream: TextIO) -> None:
    print(line, file=stream, flush=True)  # at once: whoever started the hub waits for its URL


if __name__ == "__main__":
    sys.exit(main())
