"""One invocation: sent once, read from its answer, and never repeated where it may have run."""

import base64
import json
import math
import random
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    IncompleteReadError,
    ProxyConnectionError,
    SSLError,
)

from powertune import text
from powertune.aws_lambda.report_record import DamagedRecordError, ReportRecord, iter_reports
from powertune.errors import AwsError, PowertuneError
from powertune.model.invocation import Invocation, Status
from powertune.sources.aws.clients import Aws, error_code, error_message, explained, is_unreachable
from powertune.sources.aws.spending import longest_ms
from powertune.sources.aws.target import Target

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 20.0
_FEW_TRIES = 3


class _After(Enum):
    """What an error of Invoke means for the invocation."""

    THROTTLED = auto()
    """Not run: wait, and send it again."""
    NOT_READY = auto()
    """Not run, because something is still being set up: wait, and send it again."""
    FEW = auto()
    """Not run, and may pass: send it again a few times."""
    UNCERTAIN = auto()
    """May have run: never sent again."""
    STOP = auto()
    """Every invocation of every size will meet it."""


# The errors of Invoke by what to do with them. Source: the service model of botocore 1.44 and the Invoke API
# reference, read 2026-11-23. What is not listed follows its HTTP status: 5xx may have run, 4xx stops.
_ERRORS = {
    "TooManyRequestsException": _After.THROTTLED,
    "ThrottlingException": _After.THROTTLED,
    "ResourceNotReadyException": _After.NOT_READY,
    "ENINotReadyException": _After.NOT_READY,
    "EC2ThrottledException": _After.NOT_READY,
    "EC2UnexpectedException": _After.NOT_READY,
    "ResourceConflictException": _After.NOT_READY,
    "SnapStartNotReadyException": _After.NOT_READY,
    "CodeArtifactUserPendingException": _After.NOT_READY,
    "SnapStartTimeoutException": _After.FEW,
    "EFSMountConnectivityException": _After.FEW,
    "EFSMountTimeoutException": _After.FEW,
    "S3FilesMountConnectivityException": _After.FEW,
    "S3FilesMountTimeoutException": _After.FEW,
    "ServiceException": _After.UNCERTAIN,
    **dict.fromkeys(
        (
            "EC2AccessDeniedException",
            "ENILimitReachedException",
            "SubnetIPAddressLimitReachedException",
            "InvalidSubnetIDException",
            "InvalidSecurityGroupIDException",
            "KMSAccessDeniedException",
            "KMSDisabledException",
            "KMSInvalidStateException",
            "KMSNotFoundException",
            "InvalidRuntimeException",
            "InvalidZipFileException",
        ),
        _After.STOP,  # 502, but a matter of configuration
    ),
}
_NOT_SENT = (EndpointConnectionError, ConnectTimeoutError, ProxyConnectionError)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one invocation.

    `invocation` is final where `is_final`; otherwise the answer held no REPORT, or never came (`is_lost`), and the
    logs have to tell its durations.
    """

    invocation: Invocation
    version: str
    sent_at: float
    """Seconds since the epoch, as are the logs' times."""
    ended_at: float
    is_final: bool = True
    is_lost: bool = False
    function_error: str | None = None
    """Type of the error that the function ended with, where it is not one that counts as normal."""
    response: bytes = b""


class Gate:
    """How many invocations may run at once: halved when AWS throttles, and slowly widened again.

    What powertune takes of the account's concurrency, production does not get.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open = float(most)
        self._inside = 0
        self._condition = threading.Condition()
        self.throttles = 0

    def __enter__(self) -> None:
        """Wait for a place."""
        with self._condition:
            while self._inside >= max(1, int(self._open)):
                self._condition.wait()
            self._inside += 1

    def __exit__(self, *_exc: object) -> None:
        """Give the place back."""
        with self._condition:
            self._inside -= 1
            self._condition.notify()

    def throttled(self) -> None:
        """Narrow the gate."""
        with self._condition:
            self.throttles += 1
            self._open = max(1.0, min(self._open, self._inside + 1) / 2)

    def succeeded(self) -> None:
        """Widen the gate by a place for about as many successes as it lets in."""
        with self._condition:
            self._open = min(self._most, self._open + 1 / self._open)
            self._condition.notify()


class Invoker:
    """Sends invocations of one function, from any number of threads."""

    def __init__(
        self,
        aws: Aws,
        target: Target,
        *,
        connections: int,
        allowed_errors: Collection[str] = (),
        patience_s: float = 300.0,
        time_scale: float = 1.0,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._client = aws.invoking(target.timeout_s, connections)
        self._target = target
        self._allowed_errors = frozenset(allowed_errors)
        self._patience_s = patience_s
        self._time_scale = time_scale
        self._is_stopped = is_stopped
        self._random = random.Random()  # noqa: S311 - spreads waiting in time, and decides nothing else
        self.gate = Gate(connections)

    def invoke(self, version: str, memory_mb: int, payload: str, name: str | None = None) -> Answer:
        """Run the function once and return what came of it. Raises PowertuneError for what every size would meet.

        `payload` is JSON text, `name` what the run file calls it.
        """
        request: dict[str, Any] = {
            "FunctionName": self._target.arn,
            "Qualifier": version,
            "LogType": "Tail",
            "Payload": payload.encode("utf-8", "surrogatepass"),
        }
        if self._target.tenant_id:
            request["TenantId"] = self._target.tenant_id
        began = time.monotonic()
        tries = 0
        while True:
            with self.gate:
                sent_at = time.time()
                try:
                    response = self._client.invoke(**request)
                    body: bytes = response["Payload"].read()
                except (ClientError, BotoCoreError, OSError) as error:
                    problem: ClientError | BotoCoreError | OSError = error
                else:
                    self.gate.succeeded()
                    return self._read(response, body, version, memory_mb, name, sent_at)
            ended_at = time.time()
            after = _consequence(problem)
            if after is _After.STOP:
                raise _stops(problem) from problem
            if after is _After.UNCERTAIN:
                return self._lost(problem, version, memory_mb, name, sent_at, ended_at)
            tries += 1
            if after is _After.THROTTLED:
                self.gate.throttled()
            waited_s = (time.monotonic() - began) / (self._time_scale or 1.0)
            if isinstance(problem, _NOT_SENT) and tries > _FEW_TRIES:
                raise _stops(problem) from problem
            if self._is_stopped() or (after is _After.FEW and tries > _FEW_TRIES) or waited_s > self._patience_s:
                return _refused(problem, after, version, memory_mb, name, sent_at, ended_at)
            self._pause(tries, problem)
            if self._is_stopped():
                return _refused(problem, after, version, memory_mb, name, sent_at, ended_at)

    def _pause(self, tries: int, problem: Exception) -> None:
        asked_s = 0.0
        if isinstance(problem, ClientError):
            headers = problem.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
            asked = str(headers.get("retry-after", ""))
            asked_s = float(asked) if asked.replace(".", "", 1).isdecimal() else 0.0
        backoff_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(tries - 1, 8)) * self._random.uniform(0.5, 1.0)
        time.sleep(max(min(asked_s, _LONGEST_PAUSE_S), backoff_s) * self._time_scale)

    def _lost(
        self, error: Exception, version: str, memory_mb: int, name: str | None, sent_at: float, ended_at: float
    ) -> Answer:
        elapsed_ms = max(1.0, (ended_at - sent_at) * 1000)  # clocks may be set back
        invocation = Invocation(
            memory_mb,
            elapsed_ms,
            billed_ms=math.ceil(min(elapsed_ms, longest_ms(self._target.timeout_s))),
            payload=name,
            status="unavailable",
            error=f"no answer, and it may have run: {_words(error)}",
        )
        return Answer(invocation, version, sent_at, ended_at, is_final=False, is_lost=True)

    def _read(
        self, response: dict[str, Any], body: bytes, version: str, memory_mb: int, name: str | None, sent_at: float
    ) -> Answer:
        ended_at = time.time()
        request_id = response.get("ResponseMetadata", {}).get("RequestId")
        failure = _Failure.of(response.get("FunctionError"), body, self._allowed_errors)
        error_type = None if failure is None else failure.error_type
        record = report_of(response.get("LogResult"), request_id, memory_mb)
        if record is None:
            elapsed_ms = max(1.0, (ended_at - sent_at) * 1000)  # clocks may be set back
            invocation = Invocation(
                memory_mb,
                elapsed_ms,
                request_id=request_id,
                payload=name,
                error=None if failure is None else failure.words,
                status=failure.status if failure else "ok",
            )
            return Answer(
                invocation, version, sent_at, ended_at, is_final=False,
                function_error=error_type, response=body,
            )  # fmt: skip
        return Answer(
            judged(
                record,
                failure,
                self._allowed_errors,
                name,
                is_allowed=failure is None and bool(response.get("FunctionError")),
            ),
            version,
            sent_at,
            ended_at,
            function_error=error_type,
            response=body,
        )


@dataclass(frozen=True, slots=True)
class _Failure:
    """What a function that failed says of it in its answer."""

    error_type: str
    message: str

    @classmethod
    def of(cls, function_error: str | None, body: bytes, allowed_errors: Collection[str]) -> "_Failure | None":
        """Return the failure that an answer tells of, or None: an error that counts as normal is none."""
        if not function_error:
            return None
        try:
            document = json.loads(body)
        except ValueError:
            document = None
        told = document if isinstance(document, dict) else {}
        error_type = str(told.get("errorType") or function_error)
        return None if error_type in allowed_errors else cls(error_type, str(told.get("errorMessage") or ""))

    @property
    def status(self) -> Status:
        """What became of the run, as far as the answer tells."""
        if self.error_type == "Sandbox.Timedout" or "Task timed out after" in self.message:
            return "timed-out"
        if self.error_type == "Runtime.OutOfMemory" or "signal: killed" in self.message:
            return "out-of-memory"
        return "failed"

    @property
    def words(self) -> str:
        """The failure in one line."""
        return text.printable(f"{self.error_type}: {self.message}" if self.message else self.error_type)


def judged(
    record: ReportRecord,
    failure: "_Failure | None",
    allowed_errors: Collection[str],
    name: str | None,
    *,
    is_allowed: bool = False,
) -> Invocation:
    """Return the run that a REPORT record and the function's answer tell of together.

    `is_allowed` says that the function ended with an error that counts as success.

    A handler's exception leaves no trace in a text REPORT, and running out of memory or time is clearest there.
    """
    invocation = replace(record.to_invocation(), payload=name)
    if invocation.status == "failed" and (is_allowed or record.error_type in allowed_errors):
        return replace(invocation, status="ok", error=None)
    if failure is None:
        return invocation
    if invocation.status == "ok" or (invocation.status == "failed" and failure.status == "timed-out"):
        return replace(invocation, status=failure.status, error=failure.words)
    return replace(invocation, error=failure.words) if invocation.status == "failed" else invocation


def report_of(log_result: str | None, request_id: str | None, memory_mb: int) -> ReportRecord | None:
    """Return the REPORT record in a log tail (base64), or None.

    The tail holds the last 4 KB of one invocation's log, in which the program may have printed such lines itself: the
    record of this request counts; the last one at this memory size where the request is not known.
    """
    if not log_result:
        return None
    try:
        tail = base64.b64decode(log_result).decode("utf-8", "replace")
    except ValueError:
        return None
    records = [
        record
        for record in iter_reports(tail.splitlines())
        if not isinstance(record, DamagedRecordError) and record.memory_mb == memory_mb
    ]
    matching = [record for record in records if not request_id or record.request_id == request_id]
    return matching[-1] if matching else None


def _consequence(error: Exception) -> _After:
    if isinstance(error, ClientError):
        known = _ERRORS.get(error_code(error))
        if known is not None:
            return known
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status == 429:  # noqa: PLR2004 - Too Many Requests
            return _After.THROTTLED
        return _After.UNCERTAIN if status >= 500 else _After.STOP  # noqa: PLR2004 - server errors
    if isinstance(error, SSLError):
        return _After.STOP
    if isinstance(error, _NOT_SENT):
        return _After.FEW
    # What is left of connections breaks while an answer is awaited or read.
    is_cut = is_unreachable(error) or isinstance(error, IncompleteReadError | OSError)
    return _After.UNCERTAIN if is_cut else _After.STOP


def _stops(error: ClientError | BotoCoreError | OSError) -> PowertuneError:
    if isinstance(error, ClientError) and error_code(error) == "InvalidRequestContentException":
        # What AWS says here quotes the payload.
        return AwsError("AWS does not take the payload for JSON", hint="see what a pre-processor makes of it")
    if isinstance(error, ClientError | BotoCoreError):
        return explained(error, "invoking the function")
    return AwsError(f"invoking the function: {error}", hint="check the network")


def _words(error: Exception) -> str:
    if isinstance(error, ClientError):
        return text.printable(f"{error_code(error)}: {error_message(error)}")
    return text.printable(type(error).__name__)


def _refused(
    error: Exception, after: _After, version: str, memory_mb: int, name: str | None, sent_at: float, ended_at: float
) -> Answer:
    status: Status = "throttled" if after is _After.THROTTLED else "unavailable"
    invocation = Invocation(
        memory_mb, 0.0, billed_ms=0.0, payload=name, status=status, error=f"never run: {_words(error)}"
    )
    return Answer(invocation, version, sent_at, ended_at)
