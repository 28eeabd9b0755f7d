"""Notebook cells: each has a scope, which ends before the cell is run again; and what is printed for one lands there.

What a cell has begun ends when it is run again, and when it was deleted, with the next run of any: its subscriptions,
sessions, syncs, recordings and replays. So a cell that subscribes may be run any number of times, and each message
comes once. It is so from ``import rxsocket`` on where an IPython kernel runs, until :func:`disable`; what is begun
without an id of a cell, as in a console, or on a thread of the user's, just stays.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeAlias, TypeVar, cast

from reactivex import Observable, abc

from .scopes import Scope, enter

__all__ = ["disable", "enable", "here"]

T = TypeVar("T")

AWAKE_SECONDS = 0.2  # after which an interrupt is noticed at the latest

Undo: TypeAlias = Callable[[], object]


def _kernels_shell() -> Any:  # noqa: ANN401 IPython's, which is not imported here
    """Return the IPython shell of the kernel that this process is; None if it is none."""
    ipython = sys.modules.get("IPython")
    if ipython is None or "ipykernel" not in sys.modules:
        return None
    shell = getattr(ipython, "get_ipython", lambda: None)()
    return shell if hasattr(shell, "kernel") and hasattr(shell, "get_parent") else None


class _Cells:
    """The scopes of a kernel's cells.

    Args:
        shell: The kernel's shell.
    """

    def __init__(self, shell: Any) -> None:  # noqa: ANN401 as above
        self._shell = shell
        self._scopes: dict[str, Scope] = {}  # by the cell's id; changed by who runs a cell, in single steps
        self._waking: object = None  # what wakes the kernel's loop next; of the main thread, as that is
        shell.events.register("pre_run_cell", self._begin)
        shell.events.register("post_run_cell", self._leave)
        # The cell that is running now has begun before.
        self._begin()

    def end(self) -> None:
        """Give up; what the cells have begun goes on."""
        self._shell.events.unregister("pre_run_cell", self._begin)
        self._shell.events.unregister("post_run_cell", self._leave)
        self._leave()

    def _begin(self, _: object = None) -> None:
        """Begin a cell's scope anew. On the thread that runs it, before that."""
        enter(None)
        parent = self._shell.get_parent()
        if parent.get("header", {}).get("msg_type") != "execute_request":
            return  # no cell is running
        self._stay_awake()
        metadata = parent.get("metadata", {})
        cell = metadata.get("cellId")
        with ExitStack() as stack:  # whatever one of them raises, each ends, and the cell has a scope
            if isinstance(cell, str):
                scope = Scope()
                stack.callback(self._enter, cell, scope)
            for ended in [cell, *_ids(metadata.get("deletedCells"))]:
                earlier = self._scopes.pop(ended, None) if isinstance(ended, str) else None
                if earlier is not None:
                    stack.callback(earlier.end)

    def _enter(self, cell: str, scope: Scope) -> None:
        self._scopes[cell] = scope
        enter(scope)

    def _leave(self, _: object = None) -> None:
        # Of a cell that awaits, this is told outside of its task, which has gone.
        enter(None)
        if self._waking is not None and threading.current_thread() is threading.main_thread():
            self._shell.kernel.io_loop.remove_timeout(self._waking)
            self._waking = None

    def _stay_awake(self) -> None:
        """Have the kernel's loop turn now and again while a cell awaits something.

        An interrupt is to cancel that in the loop's next turn, and does not wake it: without this, one of a cell that
        awaits a message has no effect until one comes.
        """
        if threading.current_thread() is threading.main_thread():
            self._waking = self._shell.kernel.io_loop.call_later(AWAKE_SECONDS, self._stay_awake)


def _ids(deleted: object) -> Iterable[object]:
    return cast("Iterable[object]", deleted) if isinstance(deleted, list | tuple) else ()


_cells: _Cells | None = None  # written by who imports, enables and disables


def enable() -> bool:
    """Give each cell of the notebook a scope, from the running one on; ``import rxsocket`` has done so already.

    Returns:
        Whether there is a kernel whose cells can have them.
    """
    global _cells  # noqa: PLW0603 there is one kernel
    shell = _kernels_shell()
    if _cells is None and shell is not None:
        _cells = _Cells(shell)
    return _cells is not None


def disable() -> None:
    """Give cells no scopes any more: what they have begun, and begin from now on, stays until it is ended by name."""
    global _cells
    cells, _cells = _cells, None
    if cells is not None:
        cells.end()


# --- output


def here() -> Callable[[Observable[T]], Observable[T]]:
    """Make an operator that has what is printed for its items, and displayed, land in the cell that is running now.

    Else it is the kernel that decides: it lands in the cell that was run last, or that has connected. What counts is
    what is downstream and on the same thread: so put it last, right before ``subscribe``. Without a kernel it does
    nothing. Needs ipykernel 6.28 or later.

    Returns:
        An operator for :meth:`reactivex.Observable.pipe`.

    Example:
        >>> session.messages.body.pipe(here()).subscribe(print)
    """
    shell = _kernels_shell()
    if shell is None:
        return lambda source: source
    redirect = _redirection(shell, shell.get_parent())

    def operator(source: Observable[T]) -> Observable[T]:
        def subscribe(observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
            return source.subscribe(_Here(observer, redirect), scheduler=scheduler)

        return Observable(subscribe)

    return operator


class _Here(abc.ObserverBase[T]):
    """An observer whose output lands in a cell.

    Args:
        observer: The subscriber.
        redirect: Has this thread's output land there, until what it returns is called.
    """

    __slots__ = ("_observer", "_redirect")

    def __init__(self, observer: abc.ObserverBase[T], redirect: Callable[[], Undo]) -> None:
        self._observer = observer
        self._redirect = redirect

    def on_next(self, value: T) -> None:
        undo = self._redirect()
        try:
            self._observer.on_next(value)
        finally:
            undo()

    def on_error(self, error: Exception) -> None:
        undo = self._redirect()
        try:
            self._observer.on_error(error)
        finally:
            undo()

    def on_completed(self) -> None:
        undo = self._redirect()
        try:
            self._observer.on_completed()
        finally:
            undo()


def _redirection(shell: Any, parent: dict[str, Any]) -> Callable[[], Undo]:  # noqa: ANN401 as above
    """Return what has this thread's output go out as of a request, until what it returns is called."""
    set_parent = getattr(shell, "set_thread_parent", None)
    if set_parent is None:
        return partial(_redirected, shell.display_pub, parent.get("header", parent))
    return lambda: partial(shell.reset_thread_parent, set_parent(parent))


def _redirected(publisher: Any, header: dict[str, Any]) -> Undo:  # noqa: ANN401 as above
    """Do what ``set_thread_parent`` of ipykernel 7.4 does where there is no such thing.

    What is printed goes out as of the request in a context variable of the stream, and else as of another.
    """
    undo = ExitStack()
    variables = [getattr(stream, "_parent_header", None) for stream in (sys.stdout, sys.stderr, publisher)]
    for variable in variables:
        if isinstance(variable, ContextVar):
            of_stream = cast("ContextVar[dict[str, Any]]", variable)
            undo.callback(of_stream.reset, of_stream.set(header))
    if not isinstance(variables[-1], ContextVar):
        # Of what is displayed, only hooks are by thread.
        hook = partial(_readdressed, header)
        publisher.register_hook(hook)
        undo.callback(publisher.unregister_hook, hook)
    return undo.close


def _readdressed(header: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
    message["parent_header"] = header
    return message
