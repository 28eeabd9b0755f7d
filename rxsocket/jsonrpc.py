"""JSON-RPC 2.0 over a session: calls and their results, notifications, and the requests that the peer makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar, overload

import msgspec
import reactivex
import reactivex.operators as ops
from msgspec import UNSET, Raw, Struct
from reactivex import Observable, abc

from .checks import MAX_SECONDS, check_number
from .codec import path_in
from .errors import DecodeException, JsonRpcException
from .session import Session
from .subjects import guarded

__all__ = ["JsonRpc", "Request"]

T = TypeVar("T")
P = TypeVar("P")

Params: TypeAlias = Struct | dict[str, Any] | list[Any] | tuple[Any, ...] | None
"""Of a call or a notification: by name or by position (section 4.2); None for none."""

OWN_MEMBERS = {"jsonrpc", "id", "method", "params", "result", "error"}

# Of all that use it, since two of them may share a session.
_ids = count(1)


class _Error(Struct):
    code: int
    message: str = ""
    data: Any = None


class _Message(Struct):
    """A call, a notification, or what answers a call; of what is absent a Raw is empty."""

    id: int | str | float | None = None
    method: str | None = None
    params: Raw = Raw()
    result: Raw = Raw()
    error: Raw = Raw()

    @property
    def failure(self) -> JsonRpcException | DecodeException | None:
        """What the peer says has failed, if it says so."""
        if not self.error or self.error == NULL:
            return None
        try:
            error = _decoded("error object of JSON-RPC", self.error, _decode_error)
        except DecodeException as failure:
            return failure
        return JsonRpcException(error.message, error.code, error.data)


class _Heard(NamedTuple):
    """A message, and its JSON, for what only few want to know of it."""

    message: _Message
    raw: str | Raw


NULL = Raw(b"null")  # stands for params that are absent

_decode_one = msgspec.json.Decoder(_Message).decode
_decode_error = msgspec.json.Decoder(_Error).decode
_decode_many = msgspec.json.Decoder(list[Raw]).decode
_decode_members = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


class Request(Generic[P]):
    """A request that the peer has made, and waits for an answer to.

    Attributes:
        method: What it asks for.
        params: With what.
    """

    def __init__(self, method: str, params: P, answer: Callable[[dict[str, Any]], None]) -> None:
        self.method = method
        self.params = params
        self._answer = answer

    def reply(self, result: Any = None) -> None:  # noqa: ANN401 whatever msgspec can encode
        """Answer with a result. From any thread.

        Raises:
            SendException: As :meth:`Session.send <rxsocket.Session.send>` raises it.
            TypeError: The result has a value that JSON can't express.
        """
        self._answer({"result": result})

    def refuse(self, code: int, message: str, data: Any = None) -> None:  # noqa: ANN401 whatever msgspec can encode
        """Answer with an error object. From any thread.

        Args:
            code: Says which error, such as -32602 for params that won't do (section 5.1).
            message: Says so in words.
            data: What else there is to say; None for nothing.

        Raises:
            SendException: As :meth:`Session.send <rxsocket.Session.send>` raises it.
            TypeError: The data have a value that JSON can't express.
        """
        error = {"code": code, "message": message}
        self._answer({"error": error if data is None else {**error, "data": data}})

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.params!r}>"


class JsonRpc:
    """Calls by JSON-RPC 2.0 over a session, whose texts are its messages; also that of Chromium's DevTools.

    Batches that the peer sends are taken apart; none are sent. A text that is no message of it is in the session's
    ``errors``, as a :class:`~rxsocket.DecodeException`, while a call is open or anybody is subscribed.

    Args:
        session: It may have others that listen, too.
        version: What the member ``"jsonrpc"`` says; None for messages that have none, as of DevTools.
    """

    def __init__(self, session: Session[Any], *, version: str | None = "2.0") -> None:
        if not isinstance(session, Session):
            raise TypeError(f"JsonRpc takes a Session, such as socket.connect() returns, not {type(session).__name__}")
        if version is not None and not isinstance(version, str):
            raise TypeError(f'version is a str, such as "2.0", or None, not {type(version).__name__}')
        self._session = session
        self._version: dict[str, Any] = {} if version is None else {"jsonrpc": version}
        # The text that came last, and what it says: by who delivers, and so one at a time. All who are subscribed
        # have it in turn, and only for the first it is decoded.
        self._last: tuple[str, tuple[_Heard, ...]] = ("", ())
        self._failures = count(1)  # of the peer's messages
        self._heard: Observable[_Heard] = Observable(self._subscribe)

    @overload
    def call(
        self, method: str, params: Params, result_type: type[T], *, timeout: float | None = 10.0, **members: object
    ) -> Observable[T]: ...

    @overload
    def call(
        self,
        method: str,
        params: Params = None,
        *,
        result_type: type[T],
        timeout: float | None = 10.0,
        **members: object,
    ) -> Observable[T]: ...

    @overload
    def call(
        self, method: str, params: Params = None, *, timeout: float | None = 10.0, **members: object
    ) -> Observable[Any]: ...

    def call(
        self,
        method: str,
        params: Params = None,
        result_type: Any = Any,
        *,
        timeout: float | None = 10.0,
        **members: object,
    ) -> Observable[Any]:
        """Return a cold stream of the result: each subscription makes the call, with an id of its own.

        Args:
            method: What to call.
            params: A Struct or a dict, by name; a list or tuple, by position; None for none.
            result_type: The type of the result: whatever msgspec can decode.
            timeout: Seconds until the result; None for no end.
            **members: What else the message has, such as ``sessionId`` for DevTools.

        Returns:
            A stream of one item, on the session's thread. It errors with a :class:`~rxsocket.JsonRpcException` where
            the peer answers so, with a :class:`~rxsocket.DecodeException` where the result, or the error object, is of
            another type, and else as :meth:`Session.ask <rxsocket.Session.ask>` does.

        Raises:
            TypeError: An argument is of another type, or has a value that JSON can't express.
            ValueError: The timeout is out of its range; or the message has a member with the name of one.
        """
        check_number("timeout", timeout, float, 0, MAX_SECONDS, above=True, optional=True)
        request = self._request(method, params, members)
        decode = _decoder(result_type)

        def result(heard: _Heard) -> Any:  # noqa: ANN401 as the type says
            message = heard.message
            failure = message.failure
            if failure is not None:
                raise failure
            if not message.result:
                text = bytes(heard.raw).decode() if isinstance(heard.raw, Raw) else heard.raw
                raise DecodeException(f"not the result of {method}: the answer has neither a result nor an error", text)
            return _decoded(f"result of {method}", message.result, decode)

        def ask(_: abc.SchedulerBase) -> Observable[_Heard]:
            # Another id each time: a late reply to one that timed out is none to its repetition.
            number = next(_ids)
            text = _encode({**request, "id": number}).decode()
            return self._session.ask(text, reply=_answered, key=number, timeout=timeout, messages=self._heard)

        return reactivex.defer(ask).pipe(ops.map(result), guarded(f"call({method!r})", self._session.report_subscriber))

    def notify(self, method: str, params: Params = None, **members: object) -> None:
        """Send a notification, to which there is no answer. As :meth:`Session.send <rxsocket.Session.send>` does.

        Args:
            method: What it is about.
            params: As :meth:`call` takes them.
            **members: What else the message has.

        Raises:
            SendException: It was not sent.
            TypeError: An argument is of another type, or has a value that JSON can't express.
            ValueError: The message has a member with the name of one.
        """
        self._session.send(_encode(self._request(method, params, members)).decode())

    @overload
    def notifications(self, method: str, **members: object) -> Observable[Any]: ...

    @overload
    def notifications(self, method: str, params_type: type[P], **members: object) -> Observable[P]: ...

    def notifications(self, method: str, params_type: Any = Any, **members: object) -> Observable[Any]:
        """Return the hot stream of the params of the notifications of a method: the events of DevTools, for one.

        Args:
            method: What they are about.
            params_type: The type of their params: whatever msgspec can decode. None where there are no params.
            **members: What else they must have, such as ``sessionId`` for DevTools.

        Returns:
            A stream on the session's thread. What does not decode is in the session's ``errors``, as a
            :class:`~rxsocket.DecodeException`. It completes when the session is closed.

        Raises:
            TypeError: An argument is of another type.
        """

        def is_one(heard: _Heard) -> bool:
            message = heard.message
            if message.method != method or message.id is not None:
                return False
            found: dict[str, Any] = _decode_members(heard.raw) if members else {}
            return all(found.get(name, UNSET) == value for name, value in members.items())

        def params(call: tuple[_Heard, Any]) -> Any:  # noqa: ANN401 as the type says
            return call[1]

        return self._calls(is_one, method, params_type).pipe(
            ops.map(params),
            guarded(f"notifications({method!r})", self._session.report_subscriber),
        )

    @overload
    def requests(self, method: str) -> Observable[Request[Any]]: ...

    @overload
    def requests(self, method: str, params_type: type[P]) -> Observable[Request[P]]: ...

    def requests(self, method: str, params_type: Any = Any) -> Observable[Request[Any]]:
        """Return the hot stream of the requests that the peer makes by a method, each to be answered once.

        Args:
            method: What they ask for. Those that nobody has subscribed to are not answered.
            params_type: The type of their params.

        Returns:
            A stream as :meth:`notifications` returns it.

        Raises:
            TypeError: An argument is of another type.
        """

        def is_one(heard: _Heard) -> bool:
            return heard.message.method == method and heard.message.id is not None

        def request(call: tuple[_Heard, Any]) -> Request[Any]:
            heard, params = call
            return Request(method, params, partial(self._answer, heard.message.id))

        return self._calls(is_one, method, params_type).pipe(
            ops.map(request),
            guarded(f"requests({method!r})", self._session.report_subscriber),
        )

    # --- what is sent

    def _request(self, method: str, params: Params, members: dict[str, object]) -> dict[str, Any]:
        """Return the members of a call or a notification, but for its id."""
        if not isinstance(method, str):
            raise TypeError(f"a method is a str, not {type(method).__name__}")
        if params is not None and not isinstance(params, Struct | dict | list | tuple):
            kind = type(params).__name__
            raise TypeError(f"params are a Struct or dict, by name, or a list or tuple, by position, not {kind}")
        taken = OWN_MEMBERS & members.keys()
        if taken:
            raise ValueError(f"a message has its own {', '.join(sorted(taken))}")
        # What can't be encoded is told of here, and not when the call is made.
        encoded = {name: Raw(_encode(value)) for name, value in members.items()}
        if params is not None:
            encoded["params"] = Raw(_encode(params))
        return {**self._version, "method": method, **encoded}

    def _answer(self, number: object, outcome: dict[str, Any]) -> None:
        self._session.send(_encode({**self._version, "id": number, **outcome}).decode())

    # --- what comes

    def _subscribe(
        self, observer: abc.ObserverBase[_Heard], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        def on_next(text: str) -> None:
            for heard in self._read(text):
                observer.on_next(heard)

        body = self._session.messages.body
        return body.subscribe(on_next, observer.on_error, observer.on_completed, scheduler=scheduler)

    def _read(self, text: str) -> tuple[_Heard, ...]:
        """Return the messages of a text."""
        last, found = self._last
        if text is last:
            return found
        found = tuple(self._messages(text))
        self._last = (text, found)
        for message, _ in found:
            # Section 5: whatever it was that the peer could not read, it can't say whose it is.
            failure = message.failure if message.id is None else None
            if failure is not None:
                self._session.report(failure, next(self._failures))
        return found

    def _messages(self, text: str) -> Iterator[_Heard]:
        try:
            is_batch = text.lstrip()[:1] == "["
            parts: list[str | Raw] = [*_decode_many(text)] if is_batch else [text]
        except Exception as error:  # noqa: BLE001 as below
            self._session.report(_no_message(text, error), next(self._failures))
            return
        for part in parts:
            try:
                yield _Heard(_decode_one(part), part)
            except Exception as error:  # noqa: BLE001 also RecursionError, and UnicodeEncodeError of a lone surrogate
                self._session.report(_no_message(text, error), next(self._failures))

    def _calls(
        self,
        is_one: Callable[[_Heard], bool],
        method: str,
        params_type: Any,  # noqa: ANN401 whatever msgspec can decode
    ) -> Observable[tuple[_Heard, Any]]:
        """Return the calls that the peer makes, with their params."""
        if not isinstance(method, str):
            raise TypeError(f"a method is a str, not {type(method).__name__}")
        decode = _decoder(params_type)

        def subscribe(
            observer: abc.ObserverBase[tuple[_Heard, Any]], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            def on_next(heard: _Heard) -> None:
                if is_one(heard):
                    try:
                        params = _decoded(f"params of {method}", heard.message.params or NULL, decode)
                    except DecodeException as error:
                        self._session.report(error, next(self._failures))
                    else:
                        observer.on_next((heard, params))

            return self._heard.subscribe(on_next, observer.on_error, observer.on_completed, scheduler=scheduler)

        return Observable(subscribe)


def _answered(heard: _Heard) -> object:
    """Return the id of the call that a message answers; None if it answers none."""
    return heard.message.id if heard.message.method is None else None


def _no_message(text: str, error: Exception) -> DecodeException:
    failure = DecodeException(f"not a JSON-RPC message: {error}", text, path_in(str(error)))
    failure.__cause__ = error
    return failure


def _decoder(kind: Any) -> Callable[[Raw], Any]:  # noqa: ANN401 whatever msgspec can decode
    decode: Callable[[Raw], Any] = msgspec.json.Decoder(kind).decode
    return decode


def _decoded(what: str, raw: Raw, decode: Callable[[Raw], T]) -> T:
    try:
        return decode(raw)
    except Exception as error:  # a type's own hooks may raise anything
        raise DecodeException(f"not the {what}: {error}", bytes(raw).decode(), path_in(str(error))) from error
