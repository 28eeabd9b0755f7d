"""The clients that are measured: a module for each peer, with the functions of :class:`Client`."""

from __future__ import annotations

from typing import Protocol

from .measures import Asks, Backlog, Crowd, Feed, Resumptions, Stint, Task

__all__ = ["Client"]


class Client(Protocol):
    """What the module of a peer offers. It does each in the way that the peer's users do, and as fast as it can."""

    @staticmethod
    def receive(task: Task, feed: Feed) -> None:
        """Connect, call ``feed.opened``, and give each message to the feed, until the server closes."""

    @staticmethod
    def answer(task: Task, feed: Feed) -> None:
        """Do the same, and send each message back, ``task.burst`` times."""

    @staticmethod
    def send(task: Task, stint: Stint) -> None:
        """Connect, send what the stint gives, on ``task.threads`` threads, and close, so that all has arrived."""

    @staticmethod
    def connect(task: Task, stint: Stint) -> None:
        """Connect and close for each message that the stint gives."""

    @staticmethod
    def gather(task: Task, crowd: Crowd) -> None:
        """Open ``crowd.size`` sessions, all at once, send a message on each, and call ``crowd.served`` for each answer.

        They are kept open until the crowd is complete, and closed after ``crowd.measure()``.
        """

    @staticmethod
    def synchronize(task: Task, stint: Stint) -> None:
        """Change a store for each message that the stint gives, until another has it, through a hub; rxsocket alone."""

    @staticmethod
    def drain(items: int, backlog: Backlog) -> None:
        """Subscribe the backlog to its source through a queue that takes so many items; those that have Rx alone."""

    @staticmethod
    def resume(resumptions: Resumptions) -> None:
        """Run the resumptions with a function that awaits a stream's first item; those that have Rx alone."""

    @staticmethod
    def ask(task: Task, asks: Asks) -> None:
        """Open all asks through a hub, at which another client replies to them when all are open; rxsocket alone."""
