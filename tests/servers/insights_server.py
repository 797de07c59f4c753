"""CloudWatch Logs with Logs Insights, for tests, over HTTP on 127.0.0.1: queries are evaluated over the test's events.

Written after the API reference of CloudWatch Logs and its quotas (read 2026-11-25): limits are enforced, queries take
time, and tests may have calls throttled and queries fail. Lambda's GetFunctionConfiguration is answered, too. Nothing
was checked against live AWS.
"""

import http.server
import json
import math
import re
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from insights_language import MalformedQueryError, Query, Record, discovered, written

ACCOUNT = "123456789012"
REGION = "us-east-1"

_DAY_S = 86_400
_EVENT_OVERHEAD_BYTES = 26
_MOST_GROUPS = 50
_MOST_LIMIT = 100_000
_MILLISECONDS_FROM = 10**11
"""Times beyond this are milliseconds that somebody took for seconds."""


@dataclass(frozen=True, slots=True)
class Event:
    """A log event."""

    at: float
    """Seconds since the epoch."""
    message: str
    stream: str = "2026/11/20/[$LATEST]5b1105a6d1f24c7c9e3b2b9e2a6f1d00"


@dataclass(slots=True)
class Group:
    """A log group."""

    name: str
    events: list[Event] = field(default_factory=list)
    created_at: float = 0.0
    retention_days: int | None = None
    log_class: str = "STANDARD"
    stored_bytes: int | None = None
    """What DescribeLogGroups says; the bytes of its events without it."""


@dataclass(slots=True)
class Fault:
    """An answer in place of the right one, `times` times."""

    operation: str
    code: str
    message: str = "injected by the test"
    status: int = 400
    times: int | None = 1
    drop: bool = False
    """Whether the connection is closed instead."""
    after: int = 0
    """How many calls go well first."""


@dataclass(slots=True)
class StartedQuery:
    """A query that was started."""

    query_id: str
    request: dict[str, Any]
    rows: list[list[dict[str, str]]]
    scanned: int
    matched: int
    bytes_scanned: int
    ends_at: float
    """Of `time.monotonic()`."""
    ending: str
    stopped: bool = False

    @property
    def status(self) -> str:
        if self.stopped:
            return "Cancelled"
        if time.monotonic() < self.ends_at:
            return "Running"
        return self.ending


class _ApiError(Exception):
    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class _DroppedError(Exception):
    pass


class InsightsServer:
    """The server. Its attributes are switches that a test may set at any time; `reset` puts all of them back."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.insights = self  # type: ignore[attr-defined]
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.reset()

    def reset(self) -> None:
        with self._lock:
            self.groups: dict[str, Group] = {}
            self.functions: dict[str, dict[str, Any]] = {}
            """What GetFunctionConfiguration answers, by name."""
            self.faults: list[Fault] = []
            self.calls: list[tuple[str, dict[str, Any]]] = []
            self.queries: list[StartedQuery] = []
            self.query_s = 0.0
            """How long a query takes."""
            self.endings: deque[str] = deque()
            """How the next queries end; Complete where nothing is said."""
            self.page_size = 10_000
            self.most_rows = 100_000
            self.most_at_once = 100
            self.most_at_once_seen = 0
            self.starts_per_second: float | None = None
            self.tells_result_count = True
            self._starts: list[float] = []

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(self, name: str, *events: Event, **more: Any) -> Group:
        """Add events to a log group, which is made if need be. `more` are further attributes of the group."""
        group = self.groups.setdefault(name, Group(name))
        group.events.extend(events)
        for key, value in more.items():
            setattr(group, key, value)
        return group

    def add_function(self, name: str, **more: Any) -> None:
        """Add a function; `more` is as GetFunctionConfiguration has it."""
        self.functions[name] = {
            "FunctionName": name,
            "FunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}",
            "Runtime": "python3.12",
            "MemorySize": 512,
            "Architectures": ["x86_64"],
            **more,
        }

    def called(self, operation: str) -> list[dict[str, Any]]:
        """Return the requests of one operation, refused ones included."""
        return [request for name, request in self.calls if name == operation]

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.calls.append((operation, request))
            self._fail(operation)
            answers = {
                "StartQuery": self._start_query,
                "GetQueryResults": self._get_query_results,
                "StopQuery": self._stop_query,
                "DescribeLogGroups": self._describe_log_groups,
                "GetFunctionConfiguration": self._get_function_configuration,
            }
            if operation not in answers:
                raise _ApiError("UnknownOperationException", operation)
            return answers[operation](request)

    def _fail(self, operation: str) -> None:
        for fault in self.faults:
            if fault.operation != operation or fault.times == 0:
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            fault.times = None if fault.times is None else fault.times - 1
            if fault.drop:
                raise _DroppedError
            raise _ApiError(fault.code, fault.message, fault.status)

    def _start_query(self, request: dict[str, Any]) -> dict[str, Any]:
        now = time.time()
        groups = self._groups_of(request)
        since, until = request["startTime"], request["endTime"]
        if since > until or until > _MILLISECONDS_FROM:
            raise _ApiError("InvalidParameterException", "startTime and endTime are seconds, the one before the other")
        if not 1 <= request.get("limit", 10_000) <= _MOST_LIMIT:
            raise _ApiError("InvalidParameterException", "limit")
        for group in groups:
            oldest = now - group.retention_days * _DAY_S if group.retention_days else 0
            if until < max(group.created_at, oldest):
                raise _ApiError(
                    "MalformedQueryException",
                    "Query's end date and time is either before the log groups creation time or exceeds the log groups"
                    " log retention settings",
                )
        self._throttle(now)
        running = sum(query.status == "Running" for query in self.queries)
        if running >= self.most_at_once:
            raise _ApiError("LimitExceededException", "too many concurrent queries")
        self.most_at_once_seen = max(self.most_at_once_seen, running + 1)
        try:
            query = Query(request["queryString"])
        except MalformedQueryError as error:
            raise _ApiError("MalformedQueryException", str(error)) from None
        events = [(group, event) for group in groups for event in group.events if since <= event.at < until + 1]
        rows = query.run([_record(group, event) for group, event in events])
        started = StartedQuery(
            query_id=str(uuid.uuid4()),
            request=request,
            rows=[written(row) for row in rows][: min(request.get("limit", 10_000), self.most_rows)],
            scanned=len(events),
            matched=len(rows),
            bytes_scanned=sum(_size(event) for _, event in events),
            ends_at=time.monotonic() + self.query_s,
            ending=self.endings.popleft() if self.endings else "Complete",
        )
        self.queries.append(started)
        return {"queryId": started.query_id}

    def _groups_of(self, request: Mapping[str, Any]) -> list[Group]:
        names = request.get("logGroupNames") or request.get("logGroupIdentifiers") or [request.get("logGroupName")]
        if len(names) > _MOST_GROUPS:
            raise _ApiError("InvalidParameterException", f"{len(names)} log groups, at most {_MOST_GROUPS} are allowed")
        missing = [name for name in names if name not in self.groups]
        if missing:
            raise _ApiError("ResourceNotFoundException", f"Log group '{missing[0]}' does not exist")
        groups = [self.groups[name] for name in names]
        if len({group.log_class for group in groups}) > 1 or groups[0].log_class == "DELIVERY":
            raise _ApiError("InvalidParameterException", "log groups of these classes cannot be queried together")
        return groups

    def _throttle(self, now: float) -> None:
        if self.starts_per_second is None:
            return
        self._starts = [start for start in self._starts if start > now - 1]
        if len(self._starts) >= self.starts_per_second:
            raise _ApiError("ThrottlingException", "Rate exceeded")
        self._starts.append(now)

    def _get_query_results(self, request: dict[str, Any]) -> dict[str, Any]:
        query = self._query(request)
        status = query.status
        # What has been found so far: a client that takes it for the answer is wrong.
        rows = query.rows if status == "Complete" else query.rows[: len(query.rows) // 2]
        first = int(request.get("nextToken", "0"))
        last = first + self.page_size
        done = 1.0 if status != "Running" else 0.5
        statistics = {
            "recordsMatched": float(query.matched),
            "recordsScanned": math.floor(query.scanned * done),
            "bytesScanned": math.floor(query.bytes_scanned * done),
        }
        if self.tells_result_count:
            statistics["resultCount"] = float(query.matched)
        answer: dict[str, Any] = {"status": status, "results": rows[first:last], "statistics": statistics}
        if status == "Complete" and last < len(rows):
            answer["nextToken"] = str(last)
        return answer

    def _stop_query(self, request: dict[str, Any]) -> dict[str, Any]:
        query = self._query(request)
        if query.status != "Running":
            raise _ApiError("InvalidParameterException", "the query has already ended")
        query.stopped = True
        return {"success": True}

    def _query(self, request: Mapping[str, Any]) -> StartedQuery:
        for query in self.queries:
            if query.query_id == request["queryId"]:
                return query
        raise _ApiError("ResourceNotFoundException", "no such query")

    def _describe_log_groups(self, request: dict[str, Any]) -> dict[str, Any]:
        limit = request.get("limit", 50)
        if not 1 <= limit <= 50:
            raise _ApiError("InvalidParameterException", "limit")
        names = sorted(name for name in self.groups if name.startswith(request.get("logGroupNamePrefix", "")))
        first = int(request.get("nextToken", "0"))
        answer: dict[str, Any] = {"logGroups": [_described(self.groups[name]) for name in names[first : first + limit]]}
        if first + limit < len(names):
            answer["nextToken"] = str(first + limit)
        return answer

    def _get_function_configuration(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["FunctionName"] not in self.functions:
            raise _ApiError("ResourceNotFoundException", f"Function not found: {request['FunctionName']}", 404)
        return self.functions[request["FunctionName"]]


def _record(group: Group, event: Event) -> Record:
    found = discovered(event.message) if group.log_class == "STANDARD" else {}
    return found | {
        "@timestamp": math.floor(event.at * 1000) / 1.0,
        "@message": event.message,
        "@logStream": event.stream,
        "@log": f"{ACCOUNT}:{group.name}",
    }


def _size(event: Event) -> int:
    return len(event.message.encode()) + _EVENT_OVERHEAD_BYTES


def _described(group: Group) -> dict[str, Any]:
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group.name}"
    described: dict[str, Any] = {
        "logGroupName": group.name,
        "creationTime": int(group.created_at * 1000),
        "metricFilterCount": 0,
        "arn": f"{arn}:*",
        "logGroupArn": arn,
        "storedBytes": sum(map(_size, group.events)) if group.stored_bytes is None else group.stored_bytes,
        "logGroupClass": group.log_class,
    }
    if group.retention_days is not None:
        described["retentionInDays"] = group.retention_days
    return described


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        self._answer(self.headers.get("X-Amz-Target", "").rpartition(".")[2], body)

    def do_GET(self) -> None:
        matched = re.fullmatch(r"/2015-03-31/functions/([^/?]+)/configuration(?:\?Qualifier=(.*))?", self.path)
        self._answer("GetFunctionConfiguration", {"FunctionName": matched[1] if matched else self.path})

    def _answer(self, operation: str, request: dict[str, Any]) -> None:
        server: InsightsServer = self.server.insights  # type: ignore[attr-defined]
        status, headers = 200, {}
        try:
            answer = server.answer(operation, request)
        except _DroppedError:
            self.close_connection = True
            return
        except _ApiError as error:
            status, headers = error.status, {"x-amzn-ErrorType": error.code}
            answer = {"__type": error.code, "message": error.message}
        body = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class has it
        """Keep quiet."""


__all__ = ["ACCOUNT", "Event", "Fault", "Group", "InsightsServer", "StartedQuery"]
