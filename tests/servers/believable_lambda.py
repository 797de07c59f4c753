"""An AWS Lambda for tests: its control plane, its invocations and its logs, over HTTP on 127.0.0.1.

moto keeps the functions, aliases, concurrency settings and CloudWatch Logs, and answers for S3, STS and IAM. What moto
leaves out is added here: updates that take time, revisions, versions as AWS numbers them, execution environments with
cold starts and hosts of unlike speed, durations by the CPU law, REPORT records in the tail and in the logs, failures
of functions, and faults of the API. Nothing was checked against live AWS.

Times: `latency_s`, `ingestion_lag_s` and `Fault.delay_s` are real seconds. What takes Lambda time (durations, init,
`update_s`, `publish_s`, `version_pending_s`) is multiplied by `time_scale`; REPORT prints unscaled milliseconds.
"""

import base64
import copy
import hashlib
import http.server
import io
import json
import math
import random
import re
import socket
import threading
import time
import uuid
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus
from typing import IO, Any, Literal, Self, cast
from urllib.parse import parse_qs, unquote, urlsplit

from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.models import LambdaAlias, LambdaFunction
from moto.awslambda_simple.models import lambda_simple_backends
from moto.core.config import default_user_config
from moto.iam.models import iam_backends
from moto.logs.models import logs_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import DechunkedInput, make_server

from powertune.aws_lambda.cpu import RUNTIME_OVERHEAD_MS, wall_time_ms

ACCOUNT = "123456789012"
LATEST = "$LATEST"

_MIN_MEMORY_MB = 128
_MAX_MEMORY_MB = 10_240
_TAIL_BYTES = 4096
_MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
_PAGE = 50
_ROLE = "believable"

FailureKind = Literal["out-of-memory", "killed", "timeout", "exception"]
Status = Literal["ok", "out-of-memory", "killed", "timeout", "exception"]


@dataclass(frozen=True, slots=True)
class Work:
    """What one invocation of the function takes, whatever the memory size."""

    cpu_ms: float = 100.0
    wait_ms: float = 0.0
    init_ms: float = 150.0
    memory_used_mb: int = 60
    threads: int = 1


@dataclass(slots=True)
class Failure:
    """How invocations at a memory size fail: every nth of them, `times` at most."""

    kind: FailureKind
    every: int = 1
    times: int | None = None
    error_type: str = "ValueError"
    error_message: str = "the handler raised"
    happened: int = 0


@dataclass(slots=True)
class Fault:
    """An answer in place of the right one. `operation` is an API operation, or `*`; the first fault that fits wins."""

    operation: str
    status: int = 500
    code: str = "ServiceException"
    message: str = "injected by the test"
    reason: str | None = None
    times: int | None = 1
    """None for ever."""
    after: int = 0
    """How many calls go well first."""
    execute: bool = False
    """Whether the operation takes place nevertheless, and only its answer is lost."""
    drop: bool = False
    """Whether the connection is closed without any answer."""
    delay_s: float = 0.0
    retry_after_s: int | None = None
    when: Callable[["Call"], bool] | None = None
    """Which calls it is for; None for all."""
    seen: int = 0
    happened: int = 0


@dataclass(slots=True)
class Call:
    """One API call, in the order in which they came in."""

    operation: str
    function: str
    qualifier: str | None
    time: float
    """Of `time.monotonic()`."""
    status: int = 0
    """0 until it is answered, and for ever if the connection was dropped."""


@dataclass(frozen=True, slots=True)
class Execution:
    """One executed invocation."""

    function: str
    version: str
    memory_mb: int
    request_id: str
    status: Status
    duration_ms: float
    billed_ms: int
    init_ms: float | None
    max_memory_used_mb: int
    environment: str
    """The name of its log stream: one for each execution environment."""
    host_factor: float
    payload: bytes
    began: float
    """Of `time.monotonic()`."""

    @property
    def cold(self) -> bool:
        return self.init_ms is not None


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class _ApiError(Exception):
    def __init__(
        self, status: int, code: str, message: str, *, reason: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.reason = reason
        self.retry_after_s = retry_after_s


class _DroppedError(Exception):
    """The connection is to be closed without an answer."""


@dataclass(slots=True)
class _Request:
    handler: "_Handler"
    method: str
    query: Mapping[str, list[str]]
    body: bytes
    service: str
    region: str
    operation: str
    function: str = ""
    qualifier: str | None = None
    rest: str = ""
    """What follows the name of the function, or of a collection within it."""

    def parameter(self, name: str) -> str | None:
        return next(iter(self.query.get(name, ())), None)

    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body or b"{}")
        return document


@dataclass(frozen=True, slots=True)
class _Settings:
    """What invocations of a version run with."""

    memory_mb: int
    timeout_s: int
    json_logs: bool
    system_log_level: str
    log_group: str
    arn: str


@dataclass(slots=True)
class _Environment:
    """An execution environment: it serves one invocation at a time and stays warm."""

    stream: str
    generation: int
    host_factor: float
    random: random.Random
    served: int = 0


@dataclass(slots=True)
class _Version:
    overlay: dict[str, Any]
    revision_id: str
    ready_at: float
    settings: _Settings


@dataclass(slots=True)
class _Function:
    """What moto does not keep of a function."""

    overlay: dict[str, Any]
    settings: _Settings
    history: list[tuple[float, int]]
    revision_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    updating_until: float | None = None
    generation: int = 0
    last_version: int = 0
    published_state: str = ""
    versions: dict[str, _Version] = field(default_factory=dict)
    idle: dict[str, list[_Environment]] = field(default_factory=lambda: defaultdict(list))
    environments: int = 0
    running: int = 0


@dataclass(frozen=True, slots=True)
class _Started:
    """An invocation on its way."""

    state: _Function
    environment: _Environment
    settings: _Settings
    execution: Execution
    failure: Failure | None
    log_type: str
    asynchronous: bool
    resets: int
    """How often the server had been reset when it started."""


class BelievableLambda:
    """The server. Its attributes are switches that a test may set at any time; `reset` puts all of them back."""

    def __init__(self, *, seed: int = 0) -> None:
        self._lock = threading.RLock()
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._seed = seed
        self._resets = 0
        self._server = make_server("127.0.0.1", 0, self._moto, threaded=True, request_handler=_Handler)
        self._server.believable = self  # type: ignore[attr-defined]
        self._connections: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._handlers: Mapping[str, Callable[[_Request], Answer]] = {
            "Invoke": self._invoke,
            "CreateFunction": self._create_function,
            "GetFunction": self._get_function,
            "GetFunctionConfiguration": self._get_function_configuration,
            "UpdateFunctionConfiguration": self._update_function_configuration,
            "UpdateFunctionCode": self._update_function_code,
            "DeleteFunction": self._delete_function,
            "PublishVersion": self._publish_version,
            "ListVersionsByFunction": self._list_versions,
            "CreateAlias": self._create_alias,
            "GetAlias": self._get_alias,
            "UpdateAlias": self._update_alias,
            "DeleteAlias": self._delete_alias,
            "ListAliases": self._list_aliases,
            "GetProvisionedConcurrencyConfig": self._get_provisioned_concurrency,
            "ListProvisionedConcurrencyConfigs": self._list_provisioned_concurrency,
            "GetAccountSettings": self._get_account_settings,
            "FilterLogEvents": self._filter_log_events,
        }
        self._set_defaults()

    def _set_defaults(self) -> None:
        self.region = "us-east-1"
        """Where `create_function`, `deploy`, `snapshot` and `memory_history` look."""

        self.time_scale = 1.0
        self.latency_s = 0.0
        self.update_s: tuple[float, float] | Callable[[], float] = (0.0, 0.0)
        self.publish_s = 0.0
        self.version_pending_s = 0.0
        self.control_plane_rps: float | None = None

        self.work: Work | Callable[[bytes], Work] = Work()
        """Of all functions; or by the payload."""
        self.response = b'{"ok": true}'
        self.host_spread = 0.1
        """0.1 lets hosts run 15 % faster to 20 % slower; 0 makes all alike."""
        self.noise = 0.01
        """Standard deviation of the durations within one environment, relative."""
        self.failures: dict[int, Failure] = {}
        """By memory size in MB."""
        self.faults: list[Fault] = []

        self.app_lines: Sequence[str] = ()
        self.xray = False
        self.tail: Literal["normal", "absent", "no-report", "cut"] = "normal"
        self.write_logs = True
        self.ingestion_lag_s = 0.0
        self.log_page_size = 10_000
        """How many events a page of FilterLogEvents looks through; those that do not match are left out of it."""

        self.account_memory_limit_mb: int | None = None
        self.concurrency_limit: int | None = None
        self.provisioned_concurrency: dict[str, int] = {}
        """By `NAME:QUALIFIER`."""

        self.calls: list[Call] = []
        self.invocations: list[Execution] = []
        self.max_concurrency_seen = 0
        self.connections_seen = 0

        self._functions: dict[tuple[str, str], _Function] = {}
        self._callbacks: dict[tuple[str, int], list[Callable[[], None]]] = defaultdict(list)
        self._counts: Counter[str] = Counter()
        self._counts_at: Counter[int] = Counter()
        self._running = 0
        self._tokens = 0.0
        self._tokens_at: float | None = None
        self._random = random.Random(self._seed)  # noqa: S311  # tests want the same numbers again
        self._logs = _Logs()

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._moto_settings_before = default_user_config.get("lambda")
        default_user_config["lambda"] = {"use_docker": False}
        self.reset()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for connection in list(self._connections):
            _close(connection)
        if self._moto_settings_before is None:
            default_user_config.pop("lambda", None)
        else:
            default_user_config["lambda"] = self._moto_settings_before

    def reset(self) -> None:
        """Forget all functions, logs, buckets, calls and switches."""
        with self._lock:
            for backends in (lambda_simple_backends, iam_backends, logs_backends, s3_backends):
                for backend in backends.values():
                    backend.reset()
            self._resets += 1
            self._set_defaults()

    # What tests do behind the back of the program under test.

    def create_function(
        self,
        name: str,
        *,
        memory_mb: int = 512,
        timeout_s: int = 30,
        architecture: str = "x86_64",
        description: str = "",
        log_format: str = "Text",
        system_log_level: str | None = None,
        **more: Any,
    ) -> str:
        """Create a function and return its ARN. `more` is as in the answer of GetFunctionConfiguration."""
        iam = iam_backends[ACCOUNT]["aws"]
        if _ROLE not in {role.name for role in iam.get_roles()}:
            iam.create_role(_ROLE, "{}", "/", None, "", [], "3600")
        logging: dict[str, Any] = {"LogFormat": log_format}
        if system_log_level is not None:
            logging["SystemLogLevel"] = system_log_level
        with self._lock:
            function = lambda_simple_backends[ACCOUNT][self.region].create_function(
                {
                    "FunctionName": name,
                    "MemorySize": memory_mb,
                    "Timeout": timeout_s,
                    "Description": description,
                    "Architectures": [architecture],
                    "Runtime": more.pop("Runtime", "python3.12"),
                    "Handler": more.pop("Handler", "app.handler"),
                    "Role": f"arn:aws:iam::{ACCOUNT}:role/{_ROLE}",
                    "Code": {"ZipFile": base64.b64encode(_zip(b"def handler(event, context): pass")).decode()},
                    "Tags": more.pop("Tags", {}),
                }
            )
            self._adopt(self.region, function, {"LoggingConfig": logging, **more})
            return function.function_arn

    def deploy(
        self,
        name: str,
        *,
        memory_mb: int | None = None,
        code: bytes | None = None,
        timeout_s: int | None = None,
        **more: Any,
    ) -> None:
        """Change the function as somebody else would: at once, and with a new revision. `more` as for creating."""
        with self._lock:
            state, function = self._find(self.region, name)
            if state.updating_until is not None:
                self._complete_update(state, function)
            if memory_mb is not None:
                function.memory_size = memory_mb
            if timeout_s is not None:
                function.timeout = timeout_s
            if code is not None:
                function.code_sha_256 = base64.b64encode(hashlib.sha256(code).digest()).decode()
                function.code_size = len(code)
            state.overlay |= more
            function.last_modified = _iso(time.time())
            state.updating_until = time.monotonic()
            self._complete_update(state, function)

    def on_call(self, operation: str, n: int, callback: Callable[[], None]) -> None:
        """Run `callback` before the nth call of an operation since the last reset is looked at, counted from 1."""
        self._callbacks[operation, n].append(callback)

    def memory_history(self, name: str) -> list[tuple[float, int]]:
        """Return since when (`time.monotonic()`) which memory in MB invocations of `$LATEST` have got."""
        with self._lock:
            state, _ = self._find(self.region, name)
            return list(state.history)

    def snapshot(self, name: str) -> dict[str, Any]:
        """Return what can be seen of a function, to compare: its settings, versions, aliases and concurrency."""
        with self._lock:
            state, latest = self._find(self.region, name)
            settings = self._configuration(state, latest)
            versions = [self._configuration(state, version) for version in self._versions(self.region, name)]
            return {
                "latest": {key: settings[key] for key in sorted(settings) if key not in ("RevisionId", "LastModified")},
                "versions": [
                    (int(one["Version"]), one.get("Description", ""), one["MemorySize"], one["CodeSha256"])
                    for one in versions
                ],
                "aliases": {
                    alias.name: (alias.function_version, alias.description or "", alias.routing_config or None)
                    for alias in self._backend(self.region).list_aliases(name)
                },
                "reserved_concurrency": latest.reserved_concurrency,
            }

    # From a request to its answer.

    def answer(self, request: _Request) -> Answer:
        """Return the answer to one request, whichever it is. Raises _DroppedError."""
        call = Call(request.operation, request.function, request.qualifier, time.monotonic())
        with self._lock:
            self.calls.append(call)
            self._counts[request.operation] += 1
            callbacks = self._callbacks.pop((request.operation, self._counts[request.operation]), ())
        for callback in callbacks:
            callback()
        if self.latency_s > 0:
            time.sleep(self.latency_s)
        with self._lock:
            fault = self._fault(call)
        if fault is None:
            answer = self._right_answer(request)
        else:
            if fault.execute:
                self._right_answer(request)
            if fault.delay_s > 0:
                time.sleep(fault.delay_s)
            if fault.drop:
                raise _DroppedError
            answer = _error_answer(
                request,
                _ApiError(
                    fault.status, fault.code, fault.message, reason=fault.reason, retry_after_s=fault.retry_after_s
                ),
            )
        call.status = answer.status
        return answer

    def _right_answer(self, request: _Request) -> Answer:
        try:
            if request.service == "lambda" and request.operation not in ("Invoke", "GetFunction"):
                self._take_token()
            handler = self._handlers.get(request.operation, self._ask_moto)
            return handler(request)
        except _ApiError as error:
            return _error_answer(request, error)
        except LambdaClientError as error:
            return _error_answer(request, _ApiError(error.code, error.error_type, error.message))

    def _fault(self, call: Call) -> Fault | None:
        for fault in self.faults:
            if fault.operation not in (call.operation, "*") or (fault.when is not None and not fault.when(call)):
                continue
            fault.seen += 1
            if fault.seen > fault.after and (fault.times is None or fault.happened < fault.times):
                fault.happened += 1
                return fault
        return None

    def _take_token(self) -> None:
        rate = self.control_plane_rps
        if rate is None:
            return
        with self._lock:
            now = time.monotonic()
            since = rate if self._tokens_at is None else (now - self._tokens_at) * rate
            self._tokens = min(rate, self._tokens + since)
            self._tokens_at = now
            if self._tokens < 1:
                raise _ApiError(429, "TooManyRequestsException", "Rate exceeded", reason="CallerRateLimitExceeded")
            self._tokens -= 1

    def _ask_moto(self, request: _Request, *, body: bytes | None = None) -> Answer:
        if request.service == "logs":
            self._logs.write()
        environ = request.handler.make_environ()
        if request.service == "lambda" and request.function:
            # moto takes names and whole ARNs, and stumbles over what lies between.
            for key in ("PATH_INFO", "RAW_URI", "REQUEST_URI"):
                environ[key] = re.sub(r"(?<=/functions/)[^/?]+", request.function, environ.get(key, ""), count=1)
        sent = request.body if body is None else body
        environ["wsgi.input"] = io.BytesIO(sent)
        environ["CONTENT_LENGTH"] = str(len(sent))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        answered: list[Any] = []
        chunks = self._moto(environ, lambda status, headers, *_: answered.extend((status, headers)))
        content = b"".join(chunks)
        status, headers = answered
        kept = {key: value for key, value in headers if key.lower() not in ("connection", "server", "date")}
        return Answer(int(status.split()[0]), content, kept)

    # The control plane.

    def _backend(self, region: str) -> Any:
        return lambda_simple_backends[ACCOUNT][region]

    def _adopt(self, region: str, function: LambdaFunction, overlay: dict[str, Any]) -> _Function:
        settings = self._settings(function, overlay)
        state = _Function(overlay, settings, [(time.monotonic(), settings.memory_mb)])
        self._functions[region, function.function_name] = state
        return state

    def _find(self, region: str, name: str) -> tuple[_Function, LambdaFunction]:
        """Return a function and its `$LATEST`, after finishing an update whose time has come."""
        held = self._backend(region)._lambdas._functions.get(name)  # noqa: SLF001  # moto has no way to ask
        if held is None:
            arn = f"arn:aws:lambda:{region}:{ACCOUNT}:function:{name}"
            raise _ApiError(404, "ResourceNotFoundException", f"Function not found: {arn}")
        function: LambdaFunction = held["latest"]
        state = self._functions.get((region, name)) or self._adopt(region, function, {})
        if state.updating_until is not None and time.monotonic() >= state.updating_until:
            self._complete_update(state, function)
        return state, function

    def _versions(self, region: str, name: str) -> list[LambdaFunction]:
        versions: list[LambdaFunction] = self._backend(region)._lambdas._functions[name]["versions"]  # noqa: SLF001
        return versions

    def _resolve(self, request: _Request, *, route: bool = False) -> tuple[_Function, LambdaFunction]:
        """Return the function and the version that the request means; `route` follows an alias's weights."""
        state, latest = self._find(request.region, request.function)
        wanted = request.qualifier or LATEST
        alias = self._aliases(request).get(wanted)
        if alias is not None:
            wanted = self._routed(alias) if route else alias.function_version
        if wanted == LATEST:
            return state, latest
        for version in self._versions(request.region, request.function):
            if str(version.version) == wanted:
                return state, version
        raise _ApiError(
            404, "ResourceNotFoundException", f"Function not found: {latest.function_arn}:{request.qualifier}"
        )

    def _routed(self, alias: LambdaAlias) -> str:
        drawn = self._random.random()
        routing: Any = alias.routing_config or {}
        for version, weight in (routing.get("AdditionalVersionWeights") or {}).items():
            drawn -= weight
            if drawn < 0:
                return str(version)
        return alias.function_version

    def _settings(self, function: LambdaFunction, overlay: Mapping[str, Any]) -> _Settings:
        logging = overlay.get("LoggingConfig", {})
        return _Settings(
            memory_mb=int(function.memory_size),
            timeout_s=int(function.timeout),
            json_logs=logging.get("LogFormat") == "JSON",
            system_log_level=logging.get("SystemLogLevel", "INFO"),
            log_group=logging.get("LogGroup", f"/aws/lambda/{function.function_name}"),
            arn=function.function_arn,
        )

    def _configuration(
        self, state: _Function, function: LambdaFunction, qualifier: str | None = None
    ) -> dict[str, Any]:
        version = state.versions.get(str(function.version))
        overlay = state.overlay if version is None else version.overlay
        settings = function.get_configuration() | overlay
        logging: dict[str, Any] = {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{function.function_name}"}
        logging |= overlay.get("LoggingConfig", {})
        if logging["LogFormat"] == "JSON":
            logging = {"ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"} | logging
        settings["LoggingConfig"] = logging
        if version is None:
            settings["Version"] = LATEST
            settings["RevisionId"] = state.revision_id
            updating = state.updating_until is not None
            settings["LastUpdateStatus"] = "InProgress" if updating else "Successful"
            if updating:
                settings["LastUpdateStatusReason"] = "The function is being updated."
                settings["LastUpdateStatusReasonCode"] = "Updating"
            base_arn = settings["FunctionArn"]
        else:
            settings["RevisionId"] = version.revision_id
            if time.monotonic() < version.ready_at:
                settings |= {"State": "Pending", "StateReason": "The function is being created."}
                settings["StateReasonCode"] = "Creating"
            base_arn = settings["FunctionArn"].rpartition(":")[0]
        if qualifier:
            settings["FunctionArn"] = f"{base_arn}:{qualifier}"
        return {key: value for key, value in settings.items() if value is not None}

    def _complete_update(self, state: _Function, function: LambdaFunction) -> None:
        at = state.updating_until or time.monotonic()
        state.updating_until = None
        state.revision_id = str(uuid.uuid4())
        state.settings = self._settings(function, state.overlay)
        state.generation += 1
        state.idle.pop(LATEST, None)
        if state.settings.memory_mb != state.history[-1][1]:
            state.history.append((at, state.settings.memory_mb))

    def _begin_update(self, state: _Function, function: LambdaFunction) -> None:
        takes_s = self.update_s() if callable(self.update_s) else self._random.uniform(*self.update_s)
        state.updating_until = time.monotonic() + takes_s * self.time_scale
        state.revision_id = str(uuid.uuid4())
        function.last_modified = _iso(time.time())

    def _check_free(self, state: _Function, function: LambdaFunction) -> None:
        if state.updating_until is not None:
            raise _ApiError(
                409,
                "ResourceConflictException",
                "The operation cannot be performed at this time. An update is in progress for resource: "
                + function.function_arn,
            )

    def _check_memory(self, memory_mb: int) -> None:
        bound = ""
        highest_mb = min(_MAX_MEMORY_MB, self.account_memory_limit_mb or _MAX_MEMORY_MB)
        if memory_mb > highest_mb:
            bound = f"less than or equal to {highest_mb}"
        elif memory_mb < _MIN_MEMORY_MB:
            bound = f"greater than or equal to {_MIN_MEMORY_MB}"
        if bound:
            raise _ApiError(
                400,
                "ValidationException",
                f"1 validation error detected: Value '{memory_mb}' at 'memorySize' failed to satisfy constraint: "
                f"Member must have value {bound}",
            )

    def _create_function(self, request: _Request) -> Answer:
        wanted = request.json()
        self._check_memory(wanted.get("MemorySize", _MIN_MEMORY_MB))
        with self._lock:
            answer = self._ask_moto(request)
            if answer.status >= HTTPStatus.BAD_REQUEST:
                return answer
            name = wanted["FunctionName"].rpartition(":")[2]
            function = self._backend(request.region).get_function(name)
            overlay = {key: wanted[key] for key in _OVERLAID if key in wanted}
            state = self._adopt(request.region, function, _as_answered(overlay))
            return _json_answer(201, self._configuration(state, function))

    def _get_function_configuration(self, request: _Request) -> Answer:
        with self._lock:
            state, function = self._resolve(request)
            return _json_answer(200, self._configuration(state, function, request.qualifier))

    def _get_function(self, request: _Request) -> Answer:
        with self._lock:
            state, function = self._resolve(request)
            found: dict[str, Any] = function.get_code()
            found["Configuration"] = self._configuration(state, function, request.qualifier)
            return _json_answer(200, found)

    def _update_function_configuration(self, request: _Request) -> Answer:
        wanted = request.json()
        if "MemorySize" in wanted:
            self._check_memory(wanted["MemorySize"])
        with self._lock:
            state, function = self._find(request.region, request.function)
            self._check_free(state, function)
            _check_revision(wanted, state.revision_id)
            for key, attribute in _KEPT_BY_MOTO.items():
                if key in wanted:
                    setattr(function, attribute, wanted[key])
            state.overlay = state.overlay | _as_answered({key: wanted[key] for key in _OVERLAID if key in wanted})
            self._begin_update(state, function)
            return _json_answer(200, self._configuration(state, function))

    def _update_function_code(self, request: _Request) -> Answer:
        wanted = request.json()
        with self._lock:
            state, function = self._find(request.region, request.function)
            self._check_free(state, function)
            _check_revision(wanted, state.revision_id)
            function.update_function_code(wanted)
            if not wanted.get("DryRun"):
                self._begin_update(state, function)
            return _json_answer(200, self._configuration(state, function))

    def _publish_version(self, request: _Request) -> Answer:
        wanted = request.json()
        with self._lock:
            state, latest = self._find(request.region, request.function)
            self._check_free(state, latest)
            if wanted.get("CodeSha256") not in (None, "", latest.code_sha_256):
                raise _ApiError(
                    400,
                    "InvalidParameterValueException",
                    f"CodeSHA256 ({wanted['CodeSha256']}) is different from current CodeSHA256 in $LATEST "
                    f"({latest.code_sha_256}). Please try again with the CodeSHA256 in $LATEST.",
                )
            _check_revision(wanted, state.revision_id)
            function = self._publish(request, state, latest, wanted.get("Description"))
            answer = _json_answer(201, self._configuration(state, function))
        if self.publish_s * self.time_scale > 0:
            time.sleep(self.publish_s * self.time_scale)
        return answer

    def _publish(
        self, request: _Request, state: _Function, latest: LambdaFunction, description: str | None
    ) -> LambdaFunction:
        """Return the version that `$LATEST` is already, or a new one."""
        seen = self._configuration(state, latest)
        published_state = json.dumps({key: seen[key] for key in sorted(seen) if key not in _CHANGES_BY_ITSELF})
        versions = self._versions(request.region, request.function)
        if published_state == state.published_state and versions and versions[-1].version == state.last_version:
            return versions[-1]
        state.last_version += 1
        function = copy.copy(latest)
        function.code = dict(latest.code)
        function.set_version(state.last_version)
        if description is not None:
            function.description = description
        versions.append(function)
        state.versions[str(state.last_version)] = _Version(
            overlay=dict(state.overlay),
            revision_id=str(uuid.uuid4()),
            ready_at=time.monotonic() + self.version_pending_s * self.time_scale,
            settings=self._settings(function, state.overlay),
        )
        state.published_state = published_state
        state.revision_id = str(uuid.uuid4())
        return function

    def _delete_function(self, request: _Request) -> Answer:
        with self._lock:
            state, latest = self._find(request.region, request.function)
            if request.qualifier is None:
                self._versions(request.region, request.function).clear()  # moto never heard of them
                self._backend(request.region).delete_function(request.function)
                del self._functions[request.region, request.function]
                return Answer(204)
            if not request.qualifier.isdigit():
                raise _ApiError(
                    400,
                    "InvalidParameterValueException",
                    f"{request.qualifier} cannot be deleted without deleting the function: {latest.function_arn}",
                )
            users = [
                alias.name
                for alias in self._aliases(request).values()
                if request.qualifier in (alias.function_version, *_weights(alias.routing_config))
            ]
            if users:
                raise _ApiError(
                    409,
                    "ResourceConflictException",
                    f"Cannot delete version {request.qualifier}: it is referenced by alias {', '.join(users)}",
                )
            versions = self._versions(request.region, request.function)
            versions[:] = [one for one in versions if str(one.version) != request.qualifier]
            state.versions.pop(request.qualifier, None)
            state.idle.pop(request.qualifier, None)
            return Answer(204)

    def _list_versions(self, request: _Request) -> Answer:
        with self._lock:
            state, latest = self._find(request.region, request.function)
            listed = [self._configuration(state, latest, LATEST)]
            listed += [
                self._configuration(state, version) for version in self._versions(request.region, request.function)
            ]
        return _page_answer(request, "Versions", listed)

    def _aliases(self, request: _Request) -> dict[str, LambdaAlias]:
        return {alias.name: alias for alias in self._backend(request.region).list_aliases(request.function)}

    def _alias(self, request: _Request) -> LambdaAlias:
        _, latest = self._find(request.region, request.function)
        alias = self._aliases(request).get(request.rest)
        if alias is None:
            raise _ApiError(
                404, "ResourceNotFoundException", f"Cannot find alias arn: {latest.function_arn}:{request.rest}"
            )
        return alias

    def _check_version(self, request: _Request, version: str) -> None:
        self._resolve(
            _Request(
                request.handler, "GET", {}, b"", "lambda", request.region, "GetFunction", request.function, version
            )
        )

    def _create_alias(self, request: _Request) -> Answer:
        wanted = request.json()
        with self._lock:
            _, latest = self._find(request.region, request.function)
            if wanted["Name"] in self._aliases(request):
                raise _ApiError(
                    409, "ResourceConflictException", f"Alias already exists: {latest.function_arn}:{wanted['Name']}"
                )
            self._check_version(request, wanted["FunctionVersion"])
            alias = self._backend(request.region).create_alias(
                wanted["Name"],
                request.function,
                wanted["FunctionVersion"],
                wanted.get("Description", ""),
                wanted.get("RoutingConfig"),
            )
            return _json_answer(201, _alias_answer(alias))

    def _get_alias(self, request: _Request) -> Answer:
        with self._lock:
            return _json_answer(200, _alias_answer(self._alias(request)))

    def _update_alias(self, request: _Request) -> Answer:
        wanted = request.json()
        with self._lock:
            alias = self._alias(request)
            _check_revision(wanted, alias.revision_id)
            if "FunctionVersion" in wanted:
                self._check_version(request, wanted["FunctionVersion"])
            alias.update(wanted.get("Description"), wanted.get("FunctionVersion"), wanted.get("RoutingConfig"))
            alias.revision_id = str(uuid.uuid4())
            return _json_answer(200, _alias_answer(alias))

    def _delete_alias(self, request: _Request) -> Answer:
        with self._lock:
            self._find(request.region, request.function)
            self._backend(request.region).delete_alias(request.rest, request.function)
            return Answer(204)

    def _list_aliases(self, request: _Request) -> Answer:
        with self._lock:
            self._find(request.region, request.function)
            version = request.parameter("FunctionVersion")
            aliases = [
                _alias_answer(alias)
                for alias in self._aliases(request).values()
                if version in (None, alias.function_version, *_weights(alias.routing_config))
            ]
        return _page_answer(request, "Aliases", aliases)

    def _provisioned(self, request: _Request) -> dict[str, dict[str, Any]]:
        _, latest = self._find(request.region, request.function)
        return {
            qualifier: {
                "FunctionArn": f"{latest.function_arn}:{qualifier}",
                "RequestedProvisionedConcurrentExecutions": amount,
                "AvailableProvisionedConcurrentExecutions": amount,
                "AllocatedProvisionedConcurrentExecutions": amount,
                "Status": "READY",
                "LastModified": latest.last_modified,
            }
            for name, _, qualifier, amount in (
                (*key.partition(":"), amount) for key, amount in self.provisioned_concurrency.items()
            )
            if name == request.function
        }

    def _get_provisioned_concurrency(self, request: _Request) -> Answer:
        with self._lock:
            found = self._provisioned(request).get(request.qualifier or "")
        if found is None:
            raise _ApiError(
                404,
                "ProvisionedConcurrencyConfigNotFoundException",
                "No Provisioned Concurrency Config found for this function",
            )
        return _json_answer(200, found)

    def _list_provisioned_concurrency(self, request: _Request) -> Answer:
        with self._lock:
            found = list(self._provisioned(request).values())
        return _page_answer(request, "ProvisionedConcurrencyConfigs", found)

    def _get_account_settings(self, request: _Request) -> Answer:
        limit = self.concurrency_limit or 1000
        reserved = sum(
            int(function.reserved_concurrency or 0) for function in self._backend(request.region).list_functions()
        )
        return _json_answer(
            200,
            {
                "AccountLimit": {
                    "TotalCodeSize": 300 * 1024**3,
                    "CodeSizeUnzipped": 250 * 1024**2,
                    "CodeSizeZipped": 50 * 1024**2,
                    "ConcurrentExecutions": limit,
                    "UnreservedConcurrentExecutions": limit - reserved,
                },
                "AccountUsage": {"TotalCodeSize": 1000, "FunctionCount": len(self._functions)},
            },
        )

    # Invocations.

    def _invoke(self, request: _Request) -> Answer:
        headers = request.handler.headers
        kind = headers.get("X-Amz-Invocation-Type", "RequestResponse")
        if len(request.body) > _MAX_PAYLOAD_BYTES:
            raise _ApiError(
                413,
                "RequestTooLargeException",
                f"Request must be smaller than {_MAX_PAYLOAD_BYTES} bytes for the InvokeFunction operation",
            )
        try:
            json.loads(request.body or b"{}")
        except ValueError as error:
            raise _ApiError(
                400, "InvalidRequestContentException", f"Could not parse request body into json: {error}"
            ) from error
        if kind == "DryRun":
            with self._lock:
                self._resolve(request)
            return Answer(204, headers={"x-amzn-RequestId": str(uuid.uuid4())})
        started = self._start(request, headers.get("X-Amz-Log-Type", "None"), asynchronous=kind == "Event")
        if kind == "Event":
            threading.Thread(target=self._run_later, args=(started,), daemon=True).start()
            return Answer(202, headers={"x-amzn-RequestId": started.execution.request_id})
        return self._run(started)

    def _start(self, request: _Request, log_type: str, *, asynchronous: bool) -> _Started:
        work = self.work(request.body) if callable(self.work) else self.work
        with self._lock:
            state, function = self._resolve(request, route=True)
            key = LATEST if str(function.version) not in state.versions else str(function.version)
            settings = state.settings if key == LATEST else state.versions[key].settings
            if key != LATEST and time.monotonic() < state.versions[key].ready_at:
                raise _ApiError(
                    409,
                    "ResourceConflictException",
                    "The operation cannot be performed at this time. The function is currently in the following "
                    "state: Pending",
                )
            self._check_concurrency(request, state)
            state.running += 1
            self._running += 1
            self.max_concurrency_seen = max(self.max_concurrency_seen, self._running)
            idle = state.idle[key]
            environment = idle.pop() if idle else self._open_environment(request, state, key)
            self._counts_at[settings.memory_mb] += 1
            failure = self._failure(settings, work)
            execution = self._plan(request, key, settings, work, environment, failure)
            environment.served += 1
            return _Started(state, environment, settings, execution, failure, log_type, asynchronous, self._resets)

    def _check_concurrency(self, request: _Request, state: _Function) -> None:
        _, latest = self._find(request.region, request.function)
        reserved = latest.reserved_concurrency
        if reserved is not None and state.running >= int(reserved):
            raise _ApiError(
                429,
                "TooManyRequestsException",
                "Rate Exceeded.",
                reason="ReservedFunctionConcurrentInvocationLimitExceeded",
            )
        if self.concurrency_limit is not None and self._running >= self.concurrency_limit:
            raise _ApiError(
                429,
                "TooManyRequestsException",
                "Rate Exceeded.",
                reason="ConcurrentInvocationLimitExceeded",
                retry_after_s=1,
            )

    def _open_environment(self, request: _Request, state: _Function, key: str) -> _Environment:
        state.environments += 1
        # By its place in the order of opening, so that threads racing each other draw the same hosts again.
        drawn = random.Random(f"{self._seed}/{request.function}/{key}/{state.environments}")  # noqa: S311
        day = datetime.now(UTC).strftime("%Y/%m/%d")
        return _Environment(
            stream=f"{day}/[{key}]{drawn.getrandbits(128):032x}",
            generation=state.generation,
            host_factor=1 + self.host_spread * drawn.triangular(-1.5, 2.0, 0.0),
            random=drawn,
        )

    def _failure(self, settings: _Settings, work: Work) -> Failure | None:
        failure = self.failures.get(settings.memory_mb)
        if (
            failure is not None
            and self._counts_at[settings.memory_mb] % failure.every == 0
            and (failure.times is None or failure.happened < failure.times)
        ):
            failure.happened += 1
            return failure
        return Failure("out-of-memory") if work.memory_used_mb > settings.memory_mb else None

    def _plan(
        self,
        request: _Request,
        version: str,
        settings: _Settings,
        work: Work,
        environment: _Environment,
        failure: Failure | None,
    ) -> Execution:
        noise = max(0.5, environment.random.gauss(1.0, self.noise)) if self.noise > 0 else 1.0
        duration_ms = _duration_ms(work.cpu_ms, work.wait_ms, work.threads, settings.memory_mb)
        duration_ms *= environment.host_factor * noise
        init_ms = work.init_ms * environment.host_factor * noise if environment.served == 0 else None
        status: Status = "ok" if failure is None else failure.kind
        used_mb = min(work.memory_used_mb, settings.memory_mb)
        if status in ("out-of-memory", "killed"):
            used_mb = settings.memory_mb
            duration_ms *= 0.7
        if status == "timeout" or duration_ms > settings.timeout_s * 1000:
            status = "timeout"
            duration_ms = settings.timeout_s * 1000.0
        return Execution(
            function=request.function,
            version=version,
            memory_mb=settings.memory_mb,
            request_id=str(uuid.uuid4()),
            status=status,
            duration_ms=duration_ms,
            billed_ms=math.ceil(duration_ms + (init_ms or 0.0) - 1e-9),
            init_ms=init_ms,
            max_memory_used_mb=used_mb,
            environment=environment.stream,
            host_factor=environment.host_factor,
            payload=request.body,
            began=time.monotonic(),
        )

    def _run_later(self, started: _Started) -> None:
        with suppress(_DroppedError):
            self._run(started)

    def _run(self, started: _Started) -> Answer:
        execution, environment, state = started.execution, started.environment, started.state
        began = time.time()
        takes_s = (execution.duration_ms + (execution.init_ms or 0.0)) / 1000 * self.time_scale
        if takes_s > 0:
            time.sleep(takes_s)
        ended = time.time()
        with self._lock:
            if started.resets != self._resets:
                raise _DroppedError
            state.running -= 1
            self._running -= 1
            self.invocations.append(execution)
            current = execution.version != LATEST or environment.generation == state.generation
            if current and execution.status in ("ok", "exception"):
                state.idle[execution.version].append(environment)
        headers = {
            "Content-Type": "application/json",
            "x-amzn-RequestId": execution.request_id,
            "x-amz-executed-version": execution.version,
        }
        if execution.status != "ok":
            headers["x-amz-function-error"] = "Unhandled"
        wants_tail = started.log_type == "Tail" and not started.asynchronous and self.tail != "absent"
        if self.write_logs or wants_tail:
            lines = _log_lines(started, self.app_lines, began, ended, xray=self.xray)
            if self.tail == "cut":
                lines.append((ended, "x" * (_TAIL_BYTES + 1000) + "\n", "app"))
            if self.write_logs:
                region = started.settings.arn.split(":")[3]
                visible_at = time.monotonic() + self.ingestion_lag_s
                self._logs.add(region, started.settings.log_group, execution.environment, visible_at, lines)
            if wants_tail:
                headers["x-amz-log-result"] = _tail(lines, report=self.tail != "no-report")
        body = self.response if execution.status == "ok" else _error_payload(execution, started.failure, ended)
        return Answer(200, body, headers)

    # Logs.

    def _filter_log_events(self, request: _Request) -> Answer:
        """Let moto page through the events, and leave out those that do not match: it ignores most filter patterns."""
        wanted = request.json()
        pattern = wanted.pop("filterPattern", None) or ""
        prefix = wanted.pop("logStreamNamePrefix", None) or ""
        wanted["interleaved"] = True
        wanted["limit"] = min(wanted.get("limit", 10_000), self.log_page_size)
        answer = self._ask_moto(request, body=json.dumps(wanted).encode())
        if answer.status != HTTPStatus.OK:
            return answer
        page = json.loads(answer.body)
        page["events"] = [
            event
            for event in page["events"]
            if event["logStreamName"].startswith(prefix) and matches_pattern(event["message"], pattern)
        ]
        if page["nextToken"] is None:
            del page["nextToken"]
        return Answer(
            200,
            json.dumps(page | {"searchedLogStreams": []}).encode(),
            {"Content-Type": "application/x-amz-json-1.1", "x-amzn-RequestId": str(uuid.uuid4())},
        )


class _Logs:
    """Log events on their way to moto's CloudWatch Logs: kept here until they are old enough and somebody looks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[tuple[float, str, str, str, int, str]] = []

    def add(
        self, region: str, group: str, stream: str, visible_at: float, lines: Iterable[tuple[float, str, str]]
    ) -> None:
        with self._lock:
            self._pending.extend(
                (visible_at, region, group, stream, int(at * 1000), message) for at, message, _ in lines
            )

    def write(self) -> None:
        """Hand moto the events that can be seen by now."""
        with self._lock:
            now = time.monotonic()
            due: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
            waiting = []
            for event in self._pending:
                if event[0] <= now:
                    due[event[1:4]].append({"timestamp": event[4], "message": event[5]})
                else:
                    waiting.append(event)
            self._pending = waiting
            for (region, group, stream), events in due.items():
                backend = logs_backends[ACCOUNT][region]
                if group not in backend.groups:
                    backend.create_log_group(group, {})
                if stream not in backend.groups[group].streams:
                    backend.create_log_stream(group, stream)
                backend.put_log_events(group, stream, sorted(events, key=lambda event: event["timestamp"]))


class _Handler(MotoRequestHandler):
    """Answers any number of requests over one connection, which werkzeug's own handler does not."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def _believable(self) -> BelievableLambda:
        server: BelievableLambda = self.server.believable  # type: ignore[attr-defined]
        return server

    def setup(self) -> None:
        super().setup()
        self._believable.connections_seen += 1
        self._believable._connections.add(self.connection)  # noqa: SLF001

    def finish(self) -> None:
        self._believable._connections.discard(self.connection)  # noqa: SLF001
        super().finish()

    def run_wsgi(self) -> None:
        try:
            answer = self._believable.answer(self._request())
        except _DroppedError:
            self.close_connection = True
            _close(self.connection)
            return
        except Exception as error:  # noqa: BLE001  # whatever is wrong here, the client is to hear of it
            answer = Answer(500, repr(error).encode(), {"x-amzn-ErrorType": "TheDoubleIsBroken"})
        lines = [f"HTTP/1.1 {answer.status} {_phrase(answer.status)}"]
        lines += [f"{key}: {value}" for key, value in answer.headers.items()]
        if not any(key.lower() == "content-length" for key in answer.headers):
            lines.append(f"Content-Length: {len(answer.body)}")
        body = b"" if self.command == "HEAD" else answer.body
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def _request(self) -> _Request:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = DechunkedInput(cast("IO[bytes]", self.rfile)).readall()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        query = parse_qs(url.query, keep_blank_values=True)
        credential = re.search(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/", self.headers.get("Authorization", ""))
        region, service = credential.groups() if credential else ("us-east-1", "s3")
        request = _Request(self, self.command, query, body, service, region, f"{service}:{self.command}")
        target = self.headers.get("X-Amz-Target")
        if target:
            request.operation = target.rpartition(".")[2]
            request.function = _log_group(body).rpartition("/")[2] if service == "logs" else ""
        elif service == "lambda":
            _read_lambda_path(request, unquote(url.path))
        elif service == "s3":
            request.operation = _S3_OPERATIONS.get(self.command, request.operation)
        elif body.startswith(b"Action="):
            request.operation = parse_qs(body.decode())["Action"][0]
        return request

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        """Say nothing of clients that have gone."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  # as the base class has it
        """Keep quiet."""

    def address_string(self) -> str:
        return http.server.BaseHTTPRequestHandler.address_string(self)


_S3_OPERATIONS = {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject", "DELETE": "DeleteObject"}

_LAMBDA_OPERATIONS = {
    ("GET", ""): "GetFunction",
    ("DELETE", ""): "DeleteFunction",
    ("GET", "configuration"): "GetFunctionConfiguration",
    ("PUT", "configuration"): "UpdateFunctionConfiguration",
    ("PUT", "code"): "UpdateFunctionCode",
    ("GET", "versions"): "ListVersionsByFunction",
    ("POST", "versions"): "PublishVersion",
    ("POST", "invocations"): "Invoke",
    ("GET", "aliases"): "ListAliases",
    ("POST", "aliases"): "CreateAlias",
    ("GET", "concurrency"): "GetFunctionConcurrency",
    ("PUT", "concurrency"): "PutFunctionConcurrency",
    ("DELETE", "concurrency"): "DeleteFunctionConcurrency",
    ("GET", "provisioned-concurrency"): "GetProvisionedConcurrencyConfig",
}
_ALIAS_OPERATIONS = {"GET": "GetAlias", "PUT": "UpdateAlias", "DELETE": "DeleteAlias"}

_LAMBDA_PATH = re.compile(r"/\d{4}-\d\d-\d\d/functions(?:/(?P<function>[^/]+)(?:/(?P<rest>.*?))?)?/?")
_FUNCTION = re.compile(r"(?:(?:.*:)?function:)?(?P<name>[^:]+)(?::(?P<qualifier>.+))?")

_KEPT_BY_MOTO = {
    "Description": "description",
    "Handler": "handler",
    "MemorySize": "memory_size",
    "Role": "role",
    "Runtime": "run_time",
    "Timeout": "timeout",
}
_OVERLAID = (
    "CapacityProviderConfig",
    "DeadLetterConfig",
    "DurableConfig",
    "Environment",
    "EphemeralStorage",
    "FileSystemConfigs",
    "ImageConfig",
    "KMSKeyArn",
    "Layers",
    "LoggingConfig",
    "SnapStart",
    "TenancyConfig",
    "TracingConfig",
    "VpcConfig",
)
"""Settings that moto ignores in whole or in part."""

_CHANGES_BY_ITSELF = (
    "LastModified",
    "LastUpdateStatus",
    "LastUpdateStatusReason",
    "LastUpdateStatusReasonCode",
    "RevisionId",
)


def _read_lambda_path(request: _Request, path: str) -> None:
    """Find the operation, the function and its qualifier in the path of a Lambda request."""
    matched = _LAMBDA_PATH.fullmatch(path)
    if matched is None:
        if path.rstrip("/").endswith("/account-settings"):
            request.operation = "GetAccountSettings"
        return
    if matched["function"] is None:
        request.operation = "CreateFunction" if request.method == "POST" else "ListFunctions"
        return
    named = _FUNCTION.fullmatch(matched["function"])
    request.function = named["name"] if named else matched["function"]
    request.qualifier = (named and named["qualifier"]) or request.parameter("Qualifier")
    collection, _, request.rest = (matched["rest"] or "").partition("/")
    if collection == "aliases" and request.rest:
        request.operation = _ALIAS_OPERATIONS[request.method]
    else:
        request.operation = _LAMBDA_OPERATIONS.get(
            (request.method, collection), f"lambda:{request.method} {collection}"
        )
    if request.operation == "GetProvisionedConcurrencyConfig" and request.parameter("List"):
        request.operation = "ListProvisionedConcurrencyConfigs"


def _log_group(body: bytes) -> str:
    try:
        return str(json.loads(body or b"{}").get("logGroupName", ""))
    except ValueError:
        return ""


def _close(connection: socket.socket) -> None:
    with suppress(OSError):  # the other side may have been faster
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"


def _json_answer(status: int, document: Mapping[str, Any]) -> Answer:
    headers = {"Content-Type": "application/json", "x-amzn-RequestId": str(uuid.uuid4())}
    return Answer(status, json.dumps(document).encode(), headers)


def _page_answer(request: _Request, key: str, items: Sequence[Any]) -> Answer:
    """Return a page of a list: 50 items at most, whatever is asked for, as Lambda has it."""
    first = int(request.parameter("Marker") or 0)
    last = first + min(_PAGE, int(request.parameter("MaxItems") or _PAGE))
    document: dict[str, Any] = {key: items[first:last]}
    if last < len(items):
        document["NextMarker"] = str(last)
    return _json_answer(200, document)


def _alias_answer(alias: LambdaAlias) -> dict[str, Any]:
    return {key: value for key, value in alias.to_json().items() if value is not None}


def _weights(routing: Any) -> Iterable[str]:
    return (routing or {}).get("AdditionalVersionWeights") or ()


def _check_revision(wanted: Mapping[str, Any], revision_id: str) -> None:
    if wanted.get("RevisionId") not in (None, "", revision_id):
        raise _ApiError(
            412,
            "PreconditionFailedException",
            "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to "
            "retrieve the latest Revision Id",
        )


def _as_answered(wanted: dict[str, Any]) -> dict[str, Any]:
    """Return settings as asked for in the form in which Lambda tells of them."""
    answered = dict(wanted)
    if "Layers" in answered:
        answered["Layers"] = [{"Arn": arn, "CodeSize": 1000} for arn in answered["Layers"]]
    if "SnapStart" in answered:
        answered["SnapStart"] = answered["SnapStart"] | {"OptimizationStatus": "Off"}
    if answered.get("VpcConfig", {}).get("SubnetIds"):
        answered["VpcConfig"] = answered["VpcConfig"] | {"VpcId": "vpc-123abc"}
    if "ImageConfig" in answered:
        answered["ImageConfigResponse"] = {"ImageConfig": answered.pop("ImageConfig")}
    return answered


def _error_answer(request: _Request, error: _ApiError) -> Answer:
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if request.service == "lambda":
        document: dict[str, Any] = {
            "Type": "User" if error.status < HTTPStatus.INTERNAL_SERVER_ERROR else "Service",
            # The service model spells it either way, by the exception.
            "Message": error.message,
            "message": error.message,
        }
        if error.reason is not None:
            document["Reason"] = error.reason
        headers |= {"Content-Type": "application/json", "x-amzn-ErrorType": error.code}
        return Answer(error.status, json.dumps(document).encode(), headers)
    if request.service in ("s3", "sts"):
        inner = f"<Error><Code>{error.code}</Code><Message>{error.message}</Message></Error>"
        body = inner if request.service == "s3" else f"<ErrorResponse>{inner}</ErrorResponse>"
        return Answer(error.status, body.encode(), headers | {"Content-Type": "text/xml"})
    document = {"__type": error.code, "message": error.message}
    return Answer(error.status, json.dumps(document).encode(), headers | {"Content-Type": "application/x-amz-json-1.1"})


@lru_cache(maxsize=4096)
def _duration_ms(cpu_ms: float, wait_ms: float, threads: int, memory_mb: int) -> float:
    return wall_time_ms([(cpu_ms, wait_ms)], memory_mb, threads=threads) + RUNTIME_OVERHEAD_MS


def _zip(source: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("app.py"), source)
    return packed.getvalue()


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


_INIT_START = (
    "INIT_START Runtime Version: python:3.12.mainlinev2.v27\tRuntime Version ARN: "
    "arn:aws:lambda:us-east-1::runtime:fb4a5cbb4aeb1909cf946882192e0e708d8756b3a866c3ab89a3cfcfffeca7bc"
)
_ERROR_TYPES: Mapping[Status, str] = {"out-of-memory": "Runtime.OutOfMemory", "killed": "Runtime.ExitError"}


def _error_payload(execution: Execution, failure: Failure | None, ended: float) -> bytes:
    document: dict[str, Any]
    if execution.status == "exception" and failure is not None:
        document = {
            "errorMessage": failure.error_message,
            "errorType": failure.error_type,
            "requestId": execution.request_id,
            "stackTrace": ['  File "/var/task/app.py", line 1, in handler\n'],
        }
    elif execution.status == "timeout":
        told = f"{_iso(ended)} {execution.request_id} Task timed out after {execution.duration_ms / 1000:.2f} seconds"
        document = {"errorType": "Sandbox.Timedout", "errorMessage": told}
    else:
        document = {
            "errorType": _ERROR_TYPES[execution.status],
            "errorMessage": f"RequestId: {execution.request_id} Error: Runtime exited with error: signal: killed",
        }
    return json.dumps(document).encode()


def _log_lines(
    started: _Started, app_lines: Sequence[str], began: float, ended: float, *, xray: bool
) -> list[tuple[float, str, str]]:
    """Return the events that an invocation logs, oldest first: epoch seconds, message, and what it is."""
    execution = started.execution
    lines = [(began, f"{line}\n", "app") for line in app_lines]
    if execution.status == "exception" and started.failure is not None:
        lines.append(
            (ended, f"[ERROR] {started.failure.error_type}: {started.failure.error_message}\nTraceback …\n", "app")
        )
    elif execution.status in ("out-of-memory", "killed"):
        told = f"RequestId: {execution.request_id} Error: Runtime exited with error: signal: killed\n"
        lines += [(ended, told, "app"), (ended, f"{_ERROR_TYPES[execution.status]}\n", "app")]
    if started.settings.json_logs:
        return _json_lines(started, lines, began, ended, xray=xray)
    first = [(began, f"START RequestId: {execution.request_id} Version: {execution.version}\n", "start")]
    if execution.cold:
        first.insert(
            0,
            (
                began,
                f"{_INIT_START}\n",
                "init",
            ),
        )
    return [
        *first,
        *lines,
        (ended, f"END RequestId: {execution.request_id}\n", "end"),
        (ended, _text_report(execution, xray=xray), "report"),
    ]


def _text_report(execution: Execution, *, xray: bool) -> str:
    fields = [
        f"REPORT RequestId: {execution.request_id}",
        f"Duration: {execution.duration_ms:.2f} ms",
        f"Billed Duration: {execution.billed_ms} ms",
        f"Memory Size: {execution.memory_mb} MB",
        f"Max Memory Used: {execution.max_memory_used_mb} MB",
    ]
    if execution.init_ms is not None:
        fields.append(f"Init Duration: {execution.init_ms:.2f} ms")
    if execution.status == "timeout":
        fields.append("Status: timeout")
    elif execution.status in _ERROR_TYPES:
        fields += ["Status: error", f"Error Type: {_ERROR_TYPES[execution.status]}"]
    else:
        fields.append("")
    report = "\t".join(fields) + "\n"
    if xray:
        report += "XRAY TraceId: 1-6a7a67c2-0701d869329bf462748bc57c\tSegmentId: 5c329dc27d8c8ba1\tSampled: true\t\n"
    return report


def _json_lines(
    started: _Started, app_lines: Iterable[tuple[float, str, str]], began: float, ended: float, *, xray: bool
) -> list[tuple[float, str, str]]:
    execution, level = started.execution, started.settings.system_log_level
    status = {"ok": "success", "timeout": "timeout"}.get(execution.status, "error")
    error_type = _ERROR_TYPES.get(execution.status)
    if execution.status == "exception" and started.failure is not None:
        error_type = started.failure.error_type

    def record(at: float, kind: str, content: Mapping[str, Any]) -> tuple[float, str, str]:
        event = {"time": _iso(at), "type": f"platform.{kind}", "record": content}
        return at, json.dumps(event, separators=(",", ":")) + "\n", kind

    shown: list[tuple[float, str, str]] = []
    if level != "WARN":
        version = {"version": execution.version}
        if execution.cold:
            shown.append(
                record(began, "initStart", {"initializationType": "on-demand", "phase": "init"} | version),
            )
        arn = started.settings.arn
        shown.append(record(began, "start", {"requestId": execution.request_id, "functionArn": arn} | version))
    shown += app_lines
    metrics: dict[str, Any] = {
        "durationMs": round(execution.duration_ms, 3),
        "billedDurationMs": execution.billed_ms,
        "memorySizeMB": execution.memory_mb,
        "maxMemoryUsedMB": execution.max_memory_used_mb,
    }
    if execution.init_ms is not None:
        metrics["initDurationMs"] = round(execution.init_ms, 3)
    report: dict[str, Any] = {"requestId": execution.request_id, "metrics": metrics, "status": status}
    if error_type is not None:
        report["errorType"] = error_type
    if xray:
        report["tracing"] = {"spanId": "24cd7d670fa455f0", "type": "X-Amzn-Trace-Id", "value": "Root=1-6352a70e"}
    if level == "DEBUG":
        done = {"requestId": execution.request_id, "status": status, "metrics": {"durationMs": metrics["durationMs"]}}
        shown.append(record(ended, "runtimeDone", done))
    if level != "WARN" or status != "success":
        shown.append(record(ended, "report", report))
    return shown


def _tail(lines: Iterable[tuple[float, str, str]], *, report: bool) -> str:
    text = "".join(message for _, message, kind in lines if kind != "init" and (report or kind != "report"))
    return base64.b64encode(text.encode()[-_TAIL_BYTES:]).decode()


_TERM = re.compile(r'(?P<sign>[?-]?)(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<word>\S+))')
_JSON_PATTERN = re.compile(r"""\{\s*\$\.(?P<path>[\w.]+)\s*=\s*"?(?P<value>[^"}]*?)"?\s*\}""")


def matches_pattern(message: str, pattern: str) -> bool:
    """Return whether CloudWatch Logs would find `message` by a filter pattern: terms, or one equation of JSON."""
    equation = _JSON_PATTERN.fullmatch(pattern.strip())
    if equation:
        try:
            value = json.loads(message)
            for key in equation["path"].split("."):
                value = value[key]
        except (ValueError, KeyError, TypeError):
            return False
        return str(value) == equation["value"]
    terms: dict[str, list[str]] = {"": [], "?": [], "-": []}
    for term in _TERM.finditer(pattern):
        text = term["word"] if term["quoted"] is None else re.sub(r"\\(.)", r"\1", term["quoted"])
        terms[term["sign"]].append(text)
    return (
        all(term in message for term in terms[""])
        and not any(term in message for term in terms["-"])
        # CloudWatch Logs ignores ?terms beside terms that have to be there.
        and (not terms["?"] or bool(terms[""]) or any(term in message for term in terms["?"]))
    )


__all__ = [
    "ACCOUNT",
    "LATEST",
    "Answer",
    "BelievableLambda",
    "Call",
    "Execution",
    "Failure",
    "Fault",
    "Work",
    "matches_pattern",
]
