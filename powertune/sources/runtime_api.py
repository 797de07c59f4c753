"""Lambda's side of the Runtime API: an HTTP server on the loopback address that a runtime asks for events.

Protocol, status codes and headers: AWS Lambda developer guide, "Using the Lambda runtime API for custom runtimes",
version 2018-06-01, read 2026-11-26. What is refused in which state, and the words for it, follow AWS's Runtime
Interface Emulator (as in aws-sam-cli 1.170). One invocation at a time; no extensions; what comes with calls of mobile
SDKs alone (client context, Cognito identity) is never sent.
"""

import asyncio
import base64
import binascii
import json
import re
import secrets
import time
import uuid
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Self

from powertune import text
from powertune.aws_lambda.memory import MAX_PAYLOAD_BYTES
from powertune.sources.http_requests import BUFFER_BYTES, RefusedError, Request, read_request

MAX_STREAM_BYTES = 200 * 1024 * 1024
"""Of a streamed response (AWS Lambda quotas page, read 2026-11-23)."""

_ROUTE = re.compile(
    r"/2018-06-01/runtime/(?:(?P<plain>invocation/next|init/error)|invocation/(?P<id>[^/]+)/(?P<end>response|error))"
)
_CLOSING_S = 1.0
_MOST_MISUSES = 8
"""Kinds of wrong requests that are told apart."""
_ERROR_TYPE = "lambda-runtime-function-error-type"
_ERROR_BODY = "lambda-runtime-function-error-body"
_TOO_LARGE = "Function.ResponseSizeTooLarge"
_UNKNOWN_ERROR = "Runtime.UnknownReason"


@dataclass(frozen=True, slots=True)
class Task:
    """An event to hand out, and what goes with it."""

    payload: bytes
    arn: str
    deadline_ms: int
    """When the function's timeout is over, in Unix time."""
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def headers(self) -> dict[str, str]:
        """Return what the runtime is told about the event."""
        trace = f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)};Parent={secrets.token_hex(8)};Sampled=0"
        return {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": self.request_id,
            "Lambda-Runtime-Deadline-Ms": str(self.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": self.arn,
            "Lambda-Runtime-Trace-Id": trace,
        }


@dataclass(frozen=True, slots=True)
class FunctionError:
    """An error that a runtime reports, safe to show."""

    kind: str
    message: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}" if self.message else self.kind


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an invocation."""

    size_bytes: int
    error: FunctionError | None = None

    @property
    def is_too_large(self) -> bool:
        """Whether it was refused for its size."""
        return self.error is not None and self.error.kind == _TOO_LARGE


@dataclass(slots=True, eq=False)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    event: asyncio.Future[Task] | None = None
    """What it waits for after asking for an event."""

    @property
    def is_asking(self) -> bool:
        """Whether it waits for an event, and somebody is still there to take it."""
        return self.event is not None and not (self.event.done() or self.reader.at_eof() or self.writer.is_closing())


class RuntimeApi:
    """The server, and what the runtime has told it. Used within one event loop, as an asynchronous context manager."""

    def __init__(self) -> None:
        self.port = 0
        self.answer: Answer | None = None
        """Of the task handed out last, as soon as there is one."""
        self.init_error: FunctionError | None = None
        self.asked_at_s = 0.0
        """When the runtime last asked for an event, by time.perf_counter."""
        self.misuse: Counter[str] = Counter()
        """Requests that no runtime should send, in words, and how often they came."""
        self._task: Task | None = None
        self._known_ids: set[str] = set()
        self._connections: set[_Connection] = set()
        self._changed = asyncio.Event()
        self._bug: Exception | None = None

    async def __aenter__(self) -> Self:
        """Listen on a free port of 127.0.0.1."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=BUFFER_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop listening and drop all connections."""
        self._server.close()
        self.forget()
        while self._connections:
            await self.change(_CLOSING_S)

    @property
    def is_asked(self) -> bool:
        """Whether a runtime waits for an event; so an invocation, if there was one, is over."""
        return any(connection.is_asking for connection in self._connections)

    @property
    def is_talking(self) -> bool:
        """Whether there are connections on which a request may be on its way."""
        return any(connection.event is None for connection in self._connections)

    def hand_out(self, task: Task) -> None:
        """Give the runtime that asks its next event."""
        asking = next(connection for connection in self._connections if connection.is_asking)
        self._task, self.answer = task, None
        self._known_ids.add(task.request_id)
        if asking.event is not None:
            asking.event.set_result(task)

    def forget(self) -> None:
        """Drop what the runtime said and its connections: it has been killed."""
        for connection in self._connections:
            connection.writer.transport.abort()
            if connection.event is not None and not connection.event.done():
                connection.event.set_exception(ConnectionAbortedError())
        self._task = self.answer = self.init_error = None

    async def change(self, timeout_s: float) -> None:
        """Wait until the runtime has said something, for `timeout_s` at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        self._changed.clear()
        if self._bug is not None:
            raise self._bug

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(reader, writer)
        self._connections.add(connection)
        try:
            while await self._answer_one(connection):
                pass
        except (OSError, EOFError):  # it hung up, perhaps in the middle of a request
            pass
        except Exception as error:  # noqa: BLE001 - raised where somebody waits
            self._bug = error
        finally:
            self._connections.discard(connection)
            writer.close()
            self._changed.set()

    async def _answer_one(self, connection: _Connection) -> bool:
        """Read a request, answer it and return whether another may follow."""
        headers = {"Content-Type": "application/json"}
        try:
            request = await read_request(connection.reader, connection.writer)
            is_last = request.headers.get("connection", "").lower() == "close"
            status, headers, body = await self._handled(request, connection, headers)
        except RefusedError as refusal:
            self._note_misuse(refusal)
            status, is_last = refusal.status, refusal.closing
            body = json.dumps({"errorType": refusal.kind, "errorMessage": str(refusal)}).encode()
        head = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
        head += [f"Content-Length: {len(body)}", *(["Connection: close"] if is_last else []), "", ""]
        connection.writer.write("\r\n".join(head).encode() + body)
        self._changed.set()
        await connection.writer.drain()
        return not is_last

    def _note_misuse(self, refusal: RefusedError) -> None:
        if refusal.is_misuse:
            is_one_too_many = len(self.misuse) >= _MOST_MISUSES and str(refusal) not in self.misuse
            self.misuse["it sent other requests that make no sense" if is_one_too_many else str(refusal)] += 1

    async def _handled(
        self, request: Request, connection: _Connection, headers: dict[str, str]
    ) -> tuple[HTTPStatus, dict[str, str], bytes]:
        route = _ROUTE.fullmatch(request.path)
        if route is None:
            raise RefusedError(
                HTTPStatus.NOT_FOUND, "NotFound", f"it asked for {text.printable(request.path, limit=80)}"
            )
        method = "GET" if route["plain"] == "invocation/next" else "POST"
        if request.method != method:
            raise RefusedError(
                HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", f"it sent {request.method} where {method} belongs"
            )
        if method == "GET":
            task = await self._next(connection)
            return HTTPStatus.OK, task.headers(), task.payload
        if route["plain"]:
            self._note_init_error(request)
        else:
            self._note_answer(request, route["id"], is_error=route["end"] == "error")
        return HTTPStatus.ACCEPTED, headers, b'{"status":"OK"}\n'

    async def _next(self, connection: _Connection) -> Task:
        if self._task is not None and self.answer is None:
            raise RefusedError(
                HTTPStatus.FORBIDDEN, "InvalidStateTransition", "it asked for an event before it had answered the last"
            )
        self.asked_at_s = time.perf_counter()
        connection.event = asyncio.get_running_loop().create_future()
        self._changed.set()
        try:
            return await connection.event
        finally:
            connection.event = None

    def _note_init_error(self, request: Request) -> None:
        if self._task is not None:
            raise RefusedError(HTTPStatus.FORBIDDEN, "InvalidStateTransition", "it reported an init error after init")
        self.init_error = _error_of(request.body, request.headers.get(_ERROR_TYPE))

    def _note_answer(self, request: Request, request_id: str, *, is_error: bool) -> None:
        if request_id not in self._known_ids:
            raise RefusedError(
                HTTPStatus.BAD_REQUEST, "InvalidRequestID", "it answered an invocation that there never was"
            )
        if self._task is None or request_id != self._task.request_id or self.answer is not None:
            is_excused = self.answer is not None and self.answer.is_too_large  # it reports that it was refused
            raise RefusedError(
                HTTPStatus.FORBIDDEN,
                "InvalidStateTransition",
                "it answered an invocation that was over",
                is_misuse=not is_excused,
            )
        error = _error_of(request.body, request.headers.get(_ERROR_TYPE)) if is_error else _error_in_trailers(request)
        largest = MAX_STREAM_BYTES if _is_streamed(request) else MAX_PAYLOAD_BYTES
        if request.size > largest:
            message = f"it returned {request.size / 1e6:.1f} MB; Lambda takes {largest // 1024**2} MB"
            self.answer = Answer(request.size, FunctionError(_TOO_LARGE, message))
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestEntityTooLarge", message, is_misuse=False)
        self.answer = Answer(request.size, error)


def _is_streamed(request: Request) -> bool:
    return request.headers.get("lambda-runtime-function-response-mode", "").lower() == "streaming"


def _error_in_trailers(request: Request) -> FunctionError | None:
    """Return the error that ended a response while it was being streamed."""
    kind = request.headers.get(_ERROR_TYPE)
    if kind is None:
        return None
    try:
        body = base64.b64decode(request.headers.get(_ERROR_BODY, ""))
    except binascii.Error:
        body = b""
    return _error_of(body, kind)


def _error_of(body: bytes, kind: str | None) -> FunctionError:
    """Return the error in the body of a request, its type from the header where the body has none."""
    found: object = None
    with suppress(ValueError, RecursionError):
        found = json.loads(body)
    told = found if isinstance(found, dict) else {}
    name = text.printable(told.get("errorType") or kind or _UNKNOWN_ERROR, limit=80)
    return FunctionError(name, text.printable(told.get("errorMessage") or ""))
