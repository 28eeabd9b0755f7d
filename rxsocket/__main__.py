"""The command line: ``rxsocket``, or ``python -m rxsocket``."""

from __future__ import annotations

import argparse
import io
import math
import sys
from collections.abc import Sequence
from importlib.metadata import version

from . import commands
from .backoff import Backoff
from .checks import check_speed
from .lines import Path, parse_path
from .socket import websocket

__all__ = ["main"]

LISTEN = """Print what a server sends, a message a line, until it closes or is interrupted. What a terminal would obey,
and line ends, are escaped. It exits with 1 if the connection could not be made, or did not end in good order."""

RECORD = """Record what a server sends, and what becomes of the connection, until it closes or is interrupted. The file
is lines of JSON, and can be read whenever this is killed. It exits with 1 if it could not be written, or the connection
could not be made, or did not end in good order."""

REPLAY = """Print the messages that were recorded, each when it came. It exits with 1 if the file can't be read, or a
line of it is damaged."""

SERVE = """Play what was recorded as a server: each client that connects gets the next connection of the recording, and
after the last the first again. It runs until it is interrupted. Needs the extra: pip install 'rxsocket[hub]'"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments; those of the process if None.

    Returns:
        The exit code: 0 for success, which is also an end by Ctrl+C or SIGTERM, by a limit, or by who read the output;
        1 when the command could not run, or what it listened to or recorded did not end in good order; 2 when no
        command was given; 130 when Ctrl+C ended the demo.

    Raises:
        SystemExit: From argparse: 0 after ``--help`` and ``--version``, 2 for arguments that it does not know.

    Threads:
        To be called on the main thread: all but ``demo`` set the process's handlers of SIGINT and SIGTERM.

    Example:
        >>> main(["hub", "--port", "3333"])
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what its encoding does not have must not end the command
            stream.reconfigure(errors="backslashreplace")
    parser = _parser()
    arguments = parser.parse_args(argv)
    command: str | None = arguments.command
    try:
        if command == "hub":
            return commands.hub(arguments.host, arguments.port)
        if command == "demo":
            return _demo(arguments.save)
        if command is not None:
            return _of_a_session(command, arguments)
    except ImportError as error:
        extra = "hub" if command == "serve" else command
        commands.say(
            f"rxsocket {command} needs its extra: pip install 'rxsocket[{extra}]', or '.[{extra}]' in a clone "
            f"(no module {error.name})",
            sys.stderr,
        )
        return 1
    parser.print_help(sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rxsocket", description="Live WebSocket data as Rx streams.")
    parser.add_argument("--version", action="version", version=f"rxsocket {version('rxsocket')}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    hub = subparsers.add_parser(
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
    demo = subparsers.add_parser(
        "demo",
        help="show a live demonstration in the terminal",
        description="Show a session's life, two stores kept in sync, a part of a store, and a chat in the terminal: "
        "about ten seconds, over real sockets, with a hub in the same process. It exits with 1 if a step fell short.",
        epilog="Needs the extra: pip install 'rxsocket[demo]'",
    )
    demo.add_argument("--save", metavar="FILE.svg", help="write an SVG picture of what was shown")
    _add_listen(subparsers.add_parser("listen", help="print what a server sends, a message a line", description=LISTEN))
    _add_record(subparsers.add_parser("record", help="record what a server sends, in a file", description=RECORD))
    _add_replay(subparsers.add_parser("replay", help="print what was recorded, in its time", description=REPLAY))
    _add_serve(subparsers.add_parser("serve", help="play what was recorded, as a server", description=SERVE))
    return parser


def _add_listen(parser: argparse.ArgumentParser) -> None:
    _add_endpoint(parser)
    parser.add_argument(
        "--send", metavar="TEXT", action="append", default=[], help="send it, at each opening; repeatable"
    )
    _add_printing(parser)


def _add_record(parser: argparse.ArgumentParser) -> None:
    _add_endpoint(parser)
    parser.add_argument("file", metavar="FILE", help="the file to write; compressed, if it ends in .gz")
    parser.add_argument("--compress", action="store_true", default=None, help="compress it, whatever its name is")
    parser.add_argument("--overwrite", action="store_true", help="begin a file that exists anew")
    parser.add_argument("--seconds", type=_positive, help="end after so many seconds")
    parser.add_argument("--count", type=_count, help="end after so many messages")


def _add_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the file that was recorded")
    _add_speed(parser)
    _add_printing(parser)


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the file that was recorded")
    _add_speed(parser)
    parser.add_argument("--host", default="127.0.0.1", help="name or address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=0, help="port to listen on (default: a free one)")


def _add_endpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL", help="ws:// or wss://")
    parser.add_argument(
        "--protocol", metavar="NAME", action="append", default=[], help="offer a sub-protocol; repeatable"
    )
    parser.add_argument(
        "--header",
        metavar="'NAME: VALUE'",
        type=_header,
        action="append",
        default=[],
        help="send a header of the opening handshake; repeatable",
    )
    parser.add_argument("--reconnect", action="store_true", help="connect again when the connection is lost")


def _add_speed(parser: argparse.ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--speed", type=_speed, default=1.0, help="how many times as fast (default: %(default)g)")
    group.add_argument("--at-once", action="store_true", help="as fast as it is taken")


def _add_printing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json",
        metavar="PATH",
        type=_path,
        help="print a field of each message: data.price, items[0].id, or . for all of it; a message without it is "
        "told on stderr",
    )
    parser.add_argument("--binary", choices=("hex", "base64"), default="hex", help="how binary messages are printed")
    parser.add_argument("--count", type=_count, help="end after so many were printed")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"a header is 'Name: value', not {text!r}")
    return name.strip(), value.strip()


def _path(text: str) -> Path:
    try:
        return parse_path(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"a count is 1 or more, not {text!r}")
    return int(text)


def _speed(text: str) -> float:
    number = _positive(text)
    try:
        check_speed(number)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return number


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"it is a number over 0, not {text!r}")
    return number


def _port(text: str) -> int:
    port = int(text) if text.isdecimal() else -1
    if not 0 <= port <= 65_535:  # noqa: PLR2004 that is what a port is
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, not {text!r}")
    return port


def _demo(save: str | None) -> int:
    from .demo import run  # noqa: PLC0415 it needs the extra

    return run(save)


def _of_a_session(command: str, arguments: argparse.Namespace) -> int:
    if command in {"replay", "serve"}:
        speed: float | None = None if arguments.at_once else arguments.speed
        if command == "serve":
            return commands.serve(arguments.file, arguments.host, arguments.port, speed=speed)
        return commands.replay(
            arguments.file, speed=speed, fields=arguments.json, form=arguments.binary, count=arguments.count
        )
    headers: dict[str, str] = {}
    for name, value in arguments.header:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value  # RFC 9110, section 5.3
    backoff = Backoff() if arguments.reconnect else None
    try:
        endpoint = websocket(arguments.url, *arguments.protocol, headers=headers, reconnect=backoff)
    except ValueError as error:
        commands.say(f"rxsocket {command}: {error}", sys.stderr)
        return 1
    if command == "record":
        return commands.record(
            endpoint,
            arguments.file,
            seconds=arguments.seconds,
            count=arguments.count,
            compress=arguments.compress,
            overwrite=arguments.overwrite,
        )
    return commands.listen(
        endpoint, texts=arguments.send, fields=arguments.json, form=arguments.binary, count=arguments.count
    )


if __name__ == "__main__":
    sys.exit(main())
