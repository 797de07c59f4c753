"""One invocation: what each error of AWS leads to, and what answers and REPORT records tell together."""

import base64
import io
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, cast

import botocore.session
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    ProxyConnectionError,
    ReadTimeoutError,
    ResponseStreamingError,
    SSLError,
)

from powertune.aws_lambda.report_record import ReportRecord, format_report
from powertune.errors import AwsError, PowertuneError
from powertune.sources.aws import invoker as module
from powertune.sources.aws.clients import Aws, CredentialsError, DeniedError, NotFoundError
from powertune.sources.aws.invoker import Answer, Gate, Invoker, report_of
from powertune.sources.aws.target import Target

REQUEST_ID = "8f5a8b1e-0000-4000-8000-000000000001"
SECRET = "hunter2"  # noqa: S105 - stands for what must not be repeated
RECORD = ReportRecord(REQUEST_ID, 19.53, 20, 512, 60)
PATIENCE_S = 100.0
TARGET = Target(
    name="orders",
    arn="arn:aws:lambda:eu-central-1:123456789012:function:orders",
    region="eu-central-1",
    qualifier=None,
    config={"MemorySize": 512, "Timeout": 3},
    current_memory_mb=512,
)


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.pauses: list[float] = []
        self.on_sleep: Callable[[], None] = lambda: None

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        self.on_sleep()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


class Body(io.BytesIO):
    """A streamed answer that may break off."""

    problem: Exception | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        if self.problem:
            raise self.problem
        return super().read(size)


class Client:
    """Answers invocations with what it is given, one after the other; the last of it for ever."""

    def __init__(self, *outcomes: Exception | dict[str, Any], takes_s: float = 0.0, clock: Clock | None = None) -> None:
        self._outcomes = list(outcomes)
        self._takes_s = takes_s
        self._clock = clock
        self.requests: list[dict[str, Any]] = []

    def invoke(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        if self._clock:
            self._clock.now += self._takes_s
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def invoking(self, timeout_s: int, connections: int) -> "Client":
        assert (timeout_s, connections) == (3, 8)
        return self


def invoker(client: Client, **options: Any) -> Invoker:
    settings = {"connections": 8, "patience_s": PATIENCE_S, **options}
    return Invoker(cast("Aws", client), settings.pop("target", TARGET), **settings)


def send(client: Client, **options: Any) -> Answer:
    return invoker(client, **options).invoke("7", 512, f'{{"password": "{SECRET}"}}', "usual")


def error(name: str, status: int, message: str = "AWS says so", headers: dict[str, str] | None = None) -> ClientError:
    metadata: Any = {"HTTPStatusCode": status, "HTTPHeaders": headers or {}}
    return ClientError({"Error": {"Code": name, "Message": message}, "ResponseMetadata": metadata}, "Invoke")


def tail(*lines: str) -> str:
    return base64.b64encode("\n".join(lines).encode()).decode()


def answered(
    record: ReportRecord | None = RECORD, *, body: str = "{}", function_error: str | None = None, **more: Any
) -> dict[str, Any]:
    response: dict[str, Any] = {
        "StatusCode": 200,
        "ResponseMetadata": {"RequestId": REQUEST_ID},
        "Payload": Body(body.encode()),
    }
    if record is not None:
        response["LogResult"] = tail("START", "END", format_report(record))
    if function_error is not None:
        response["FunctionError"] = function_error
    return response | more


# What errors lead to.

WAITS = "waits and sends it again, as long as there is patience"
FEW = "sends it again three times"
ONCE = "takes it for lost, and never sends it again"
STOPS = "stops the run"

# The table of the errors of Invoke in the reference (botocore 1.44.5, 2026-11): name -> status, what to do.
ERRORS: dict[str, tuple[int, str]] = {
    "TooManyRequestsException": (429, WAITS),
    "ServiceException": (500, ONCE),
    **dict.fromkeys(
        ("ResourceNotReadyException", "ENINotReadyException", "EC2ThrottledException", "EC2UnexpectedException"),
        (502, WAITS),
    ),
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
        (502, STOPS),
    ),
    **dict.fromkeys(
        ("ResourceConflictException", "SnapStartNotReadyException", "CodeArtifactUserPendingException"), (409, WAITS)
    ),
    **dict.fromkeys(
        (
            "SnapStartRegenerationFailureException",
            "RuntimeVersionDeletedException",
            "RuntimeAliasDeletedException",
            "CodeArtifactUserDeletedException",
            "CodeArtifactUserFailedException",
            "DurableExecutionAlreadyStartedException",
        ),
        (409, STOPS),
    ),
    **dict.fromkeys(
        (
            "SnapStartTimeoutException",
            "EFSMountConnectivityException",
            "EFSMountTimeoutException",
            "S3FilesMountConnectivityException",
            "S3FilesMountTimeoutException",
        ),
        (408, FEW),
    ),
    **dict.fromkeys(("EFSMountFailureException", "S3FilesMountFailureException"), (403, STOPS)),
    "EFSIOException": (410, STOPS),
    **dict.fromkeys(
        (
            "InvalidParameterValueException",
            "InvalidRequestContentException",
            "SnapStartException",
            "RecursiveInvocationException",
            "ModeNotSupportedException",
            "NoPublishedVersionException",
        ),
        (400, STOPS),
    ),
    "ServiceQuotaExceededException": (402, STOPS),
    "ResourceNotFoundException": (404, STOPS),
    **dict.fromkeys(("RequestTooLargeException", "SerializedRequestEntityTooLargeException"), (413, STOPS)),
    "UnsupportedMediaTypeException": (415, STOPS),
}


def test_every_error_that_aws_documents_for_invocations_is_in_the_table() -> None:
    model = botocore.session.get_session().get_service_model("lambda").operation_model("Invoke")
    statuses = {shape.name: shape.metadata["error"]["httpStatusCode"] for shape in model.error_shapes}
    assert len(statuses) >= 43
    unknown = sorted(set(statuses) - set(ERRORS))
    assert not unknown, "decide whether these may have run, here and in invoker.py"
    assert statuses == {name: ERRORS[name][0] for name in statuses}


def reaction(problem: Exception) -> str:
    """Return what an error that never passes leads to."""
    client, answer = Client(problem), None
    with suppress(PowertuneError):
        answer = send(client)
    if answer is None:
        assert len(client.requests) == 1
        return STOPS
    assert answer.invocation.payload == "usual"
    assert SECRET not in str(answer)
    if answer.is_lost:
        assert len(client.requests) == 1
        assert not answer.is_final
        return ONCE
    assert answer.is_final
    assert answer.invocation.billed_ms == 0.0
    return WAITS if len(client.requests) > 4 else FEW if len(client.requests) == 4 else "?"


@pytest.mark.parametrize(("name", "status", "action"), [(name, *rest) for name, rest in ERRORS.items()])
def test_every_error_leads_to_what_the_reference_says(name: str, status: int, action: str) -> None:
    assert reaction(error(name, status)) == action


@pytest.mark.parametrize(
    ("name", "status", "action"),
    [
        ("BrandNewThrottleException", 429, WAITS),
        ("BrandNewException", 500, ONCE),
        ("BrandNewException", 502, ONCE),
        ("503", 503, ONCE),
        ("504", 504, ONCE),
        ("BrandNewException", 400, STOPS),
        ("BrandNewException", 408, STOPS),
        ("BrandNewException", 409, STOPS),
        ("ThrottlingException", 400, WAITS),
    ],
)
def test_an_error_that_nobody_knows_follows_its_status(name: str, status: int, action: str) -> None:
    assert reaction(error(name, status)) == action


@pytest.mark.parametrize(
    "problem",
    [
        ReadTimeoutError(endpoint_url="https://lambda"),
        ConnectionClosedError(endpoint_url="https://lambda"),
        HTTPClientError(error=ValueError("odd")),
        ResponseStreamingError(error=ValueError("odd")),
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
        ConnectionResetError("reset"),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_a_connection_that_breaks_after_sending_may_have_run_the_function(problem: Exception) -> None:
    assert reaction(problem) == ONCE
    client = Client(answered(Payload=broken(problem)))
    answer = send(client)
    assert answer.is_lost
    assert len(client.requests) == 1
    assert answer.invocation.status == "unavailable"
    assert answer.invocation.error == f"no answer, and it may have run: {type(problem).__name__}"


def broken(problem: Exception) -> Body:
    body = Body()
    body.problem = problem
    return body


@pytest.mark.parametrize(
    "problem",
    [
        EndpointConnectionError(endpoint_url="https://lambda"),
        ConnectTimeoutError(endpoint_url="https://lambda"),
        ProxyConnectionError(proxy_url="http://proxy"),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_a_connection_that_does_not_come_about_is_tried_a_few_times_and_then_stops_the_run(problem: Exception) -> None:
    client = Client(problem)
    with pytest.raises(AwsError, match="could not be reached") as caught:
        send(client)
    assert len(client.requests) == 4
    assert "proxy" in caught.value.hint
    passing = Client(problem, problem, problem, answered())
    assert send(passing).invocation.status == "ok"


def test_a_connection_that_is_not_trusted_stops_the_run() -> None:
    client = Client(SSLError(endpoint_url="https://lambda", error="self-signed certificate"))
    with pytest.raises(AwsError, match=r"could not be reached.*self-signed certificate") as caught:
        send(client)
    assert len(client.requests) == 1
    assert "proxy" in caught.value.hint


@pytest.mark.parametrize(
    ("problem", "kind"),
    [
        (NoCredentialsError(), CredentialsError),
        (error("ExpiredTokenException", 403), CredentialsError),
        (error("AccessDeniedException", 403), DeniedError),
        (error("ResourceNotFoundException", 404), NotFoundError),
    ],
)
def test_what_stops_the_run_says_what_it_is(problem: Exception, kind: type[PowertuneError]) -> None:
    with pytest.raises(kind) as caught:
        send(Client(problem))
    assert caught.value.hint


def test_what_aws_quotes_of_a_payload_is_not_repeated() -> None:
    quoting = f'Could not parse request body into json: Unexpected character at [Source: (byte[])"{SECRET}"; line: 1]'
    with pytest.raises(AwsError, match="payload") as caught:
        send(Client(error("InvalidRequestContentException", 400, quoting)))
    assert SECRET not in caught.value.message + caught.value.hint


# Waiting.


def test_what_passes_is_sent_again_and_measured() -> None:
    client = Client(error("TooManyRequestsException", 429), error("ENINotReadyException", 502), answered())
    assert send(client).invocation.duration_ms == 19.53
    assert len(client.requests) == 3


def test_patience_ends_what_does_not_pass(clock: Clock) -> None:
    began = clock.now
    answer = send(Client(error("TooManyRequestsException", 429, "Rate exceeded")))
    assert PATIENCE_S < clock.now - began <= PATIENCE_S + 20
    assert answer.invocation.status == "throttled"
    assert answer.invocation.error == "never run: TooManyRequestsException: Rate exceeded"
    assert answer.invocation.duration_ms == 0.0
    assert send(Client(error("SnapStartNotReadyException", 409))).invocation.status == "unavailable"


def test_pauses_grow_to_a_limit_and_are_spread(clock: Clock) -> None:
    send(Client(error("TooManyRequestsException", 429)), patience_s=300.0)
    for pause, longest in zip(clock.pauses, [0.5, 1, 2, 4, 8, 16, 20, 20, 20, 20], strict=False):
        assert longest / 2 <= pause <= longest
    assert len(clock.pauses) > 10
    assert len(set(clock.pauses)) == len(clock.pauses)


@pytest.mark.parametrize(
    ("asked", "least", "most"), [("7", 7, 7), ("2.5", 2.5, 2.5), ("3600", 20, 20), ("\u00b2", 0.25, 0.5)]
)
def test_the_time_that_aws_asks_for_is_waited_within_reason(
    asked: str, least: float, most: float, clock: Clock
) -> None:
    send(Client(error("TooManyRequestsException", 429, headers={"retry-after": asked}), answered()))
    assert len(clock.pauses) == 1
    assert least <= clock.pauses[0] <= most


@pytest.mark.parametrize("asked", ["", "soon", "Fri, 31 Dec 1999 23:59:59 GMT", "-1", "1.2.3"])
def test_a_time_to_wait_that_is_none_is_left_alone(asked: str, clock: Clock) -> None:
    send(Client(error("TooManyRequestsException", 429, headers={"retry-after": asked}), answered()))
    assert clock.pauses[0] <= 0.5


def test_pauses_and_patience_shrink_with_time(clock: Clock) -> None:
    began = clock.now
    send(Client(error("TooManyRequestsException", 429)), time_scale=0.01)
    assert PATIENCE_S / 100 < clock.now - began <= (PATIENCE_S + 20) / 100


def test_a_run_that_is_being_stopped_sends_nothing_again(clock: Clock) -> None:
    client = Client(error("TooManyRequestsException", 429))
    assert send(client, is_stopped=lambda: True).invocation.status == "throttled"
    assert len(client.requests) == 1
    assert not clock.pauses


def test_a_run_that_is_stopped_during_a_pause_sends_nothing_again(clock: Clock) -> None:
    stopped = threading.Event()
    clock.on_sleep = stopped.set
    client = Client(error("TooManyRequestsException", 429))
    assert send(client, is_stopped=stopped.is_set).invocation.status == "throttled"
    assert len(client.requests) == 1


# The request, and the answer.


def test_a_request_names_the_version_and_asks_for_the_tail_of_the_log() -> None:
    client = Client(answered())
    invoker(client).invoke("7", 512, '{"word": "caf\u00e9 \ud800"}')
    assert client.requests == [
        {
            "FunctionName": TARGET.arn,
            "Qualifier": "7",
            "LogType": "Tail",
            "Payload": b'{"word": "caf\xc3\xa9 \xed\xa0\x80"}',
        }
    ]


def test_a_function_that_isolates_tenants_is_told_which() -> None:
    client = Client(answered())
    send(client, target=replace(TARGET, tenant_id="test"))
    assert client.requests[0]["TenantId"] == "test"


def test_an_answer_tells_of_a_run_by_its_report(clock: Clock) -> None:
    began = clock.now
    answer = send(Client(answered(replace(RECORD, init_ms=150.5)), takes_s=0.25, clock=clock))
    assert answer.is_final
    assert not answer.is_lost
    assert (answer.version, answer.sent_at, answer.ended_at) == ("7", began, began + 0.25)
    assert answer.response == b"{}"
    run = answer.invocation
    assert (run.memory_mb, run.duration_ms, run.billed_ms, run.init_ms) == (512, 19.53, 20.0, 150.5)
    assert (run.cold, run.max_memory_used_mb, run.request_id, run.payload) == (True, 60.0, REQUEST_ID, "usual")


def test_an_answer_without_a_report_leaves_it_to_the_logs(clock: Clock) -> None:
    answer = send(Client(answered(None), takes_s=0.25, clock=clock))
    assert not answer.is_final
    assert not answer.is_lost
    assert answer.function_error is None
    assert answer.invocation.request_id == REQUEST_ID
    assert answer.invocation.status == "ok"
    assert answer.invocation.duration_ms == pytest.approx(250)


def test_a_failure_without_a_report_is_a_failure(clock: Clock) -> None:
    body = '{"errorType": "KeyError", "errorMessage": "it is\\nnot there"}'
    answer = send(Client(answered(None, body=body, function_error="Unhandled"), takes_s=0.25, clock=clock))
    assert not answer.is_final
    assert answer.function_error == "KeyError"
    assert answer.invocation.status == "failed"
    assert answer.invocation.error == "KeyError: it is not there"


def test_a_lost_run_is_not_reckoned_to_have_cost_more_than_a_run_can(clock: Clock) -> None:
    answer = send(Client(ReadTimeoutError(endpoint_url="https://lambda"), takes_s=63, clock=clock))
    assert answer.invocation.duration_ms == 63_000
    assert answer.invocation.billed_ms == 3_000 + 10_000
    answer = send(Client(ReadTimeoutError(endpoint_url="https://lambda"), takes_s=2.0005, clock=clock))
    assert answer.invocation.billed_ms == 2_001


@pytest.mark.parametrize("outcome", [ReadTimeoutError(endpoint_url="https://lambda"), answered(None)])
def test_a_clock_that_is_set_back_makes_no_run_free(outcome: Exception | dict[str, Any], clock: Clock) -> None:
    answer = send(Client(outcome, takes_s=-3600, clock=clock))
    assert answer.invocation.duration_ms == 1.0
    assert answer.invocation.billed_ms in (1.0, None)


@dataclass(frozen=True, slots=True)
class Case:
    """What a REPORT and an answer say, and what that means."""

    id: str
    record: ReportRecord
    error_type: str | None
    message: str
    status: str
    error: str | None
    allowed: tuple[str, ...] = ()


def report(status: str = "success", error_type: str | None = None, used_mb: float = 60) -> ReportRecord:
    return replace(RECORD, status=status, error_type=error_type, max_memory_used_mb=used_mb)


KILLED = "RequestId: 1 Error: Runtime exited with error: signal: killed"
CASES = [
    Case("success", report(), None, "", "ok", None),
    Case("an exception leaves no trace in a text REPORT", report(), "KeyError", "no", "failed", "KeyError: no"),
    Case("an exception without a message", report(), "KeyError", "", "failed", "KeyError"),
    Case("an exception in JSON", report("error", "KeyError"), "KeyError", "no", "failed", "KeyError: no"),
    Case("an error that is allowed", report(), "KeyError", "no", "ok", None, ("KeyError",)),
    Case("an allowed error in JSON", report("error", "KeyError"), "KeyError", "no", "ok", None, ("KeyError",)),
    Case("another error is allowed", report(), "KeyError", "no", "failed", "KeyError: no", ("ValueError",)),
    Case(
        "out of memory",
        report("error", "Runtime.OutOfMemory", 512),
        "Runtime.OutOfMemory",
        "no",
        "out-of-memory",
        "Runtime.OutOfMemory",
    ),
    Case(
        "killed at the limit",
        report("error", "Runtime.ExitError", 512),
        "Runtime.ExitError",
        KILLED,
        "out-of-memory",
        "Runtime.ExitError",
    ),
    Case(
        "killed, in an old REPORT without a status",
        report(),
        "Runtime.ExitError",
        KILLED,
        "out-of-memory",
        f"Runtime.ExitError: {KILLED}",
    ),
    Case(
        "an exit below the limit",
        report("error", "Runtime.ExitError"),
        "Runtime.ExitError",
        "exit status 3",
        "failed",
        "Runtime.ExitError: exit status 3",
    ),
    Case("a timeout", report("timeout"), "Sandbox.Timedout", "no", "timed-out", "timeout"),
    Case(
        "a timeout in an old REPORT without a status",
        report(),
        "Unhandled",
        "2026 1 Task timed out after 3.00 seconds",
        "timed-out",
        "Unhandled: 2026 1 Task timed out after 3.00 seconds",
    ),
    Case(
        "a timeout that REPORT calls an error",
        report("error", "Unknown"),
        "Sandbox.Timedout",
        "late",
        "timed-out",
        "Sandbox.Timedout: late",
    ),
    Case("a failure that only REPORT tells of", report("error", "Odd"), None, "", "failed", "Odd"),
    Case("a failure without a type", report("failure"), None, "", "failed", "failure"),
    Case(
        "running out of memory is never allowed",
        report("error", "Runtime.OutOfMemory", 512),
        "Runtime.OutOfMemory",
        "no",
        "out-of-memory",
        "Runtime.OutOfMemory",
        ("Runtime.OutOfMemory",),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_report_and_answer_tell_together_how_a_run_ended(case: Case) -> None:
    body = "{}"
    if case.error_type is not None:
        body = f'{{"errorType": "{case.error_type}", "errorMessage": "{case.message}"}}'
    response = answered(case.record, body=body, function_error=case.error_type and "Unhandled")
    answer = send(Client(response), allowed_errors=case.allowed)
    assert (answer.invocation.status, answer.invocation.error) == (case.status, case.error)
    assert answer.invocation.billed_ms == 20.0
    assert answer.invocation.payload == "usual"


@pytest.mark.parametrize("body", ["", "no JSON", "[1]", '"text"', "null", "{}"])
def test_a_failure_that_explains_nothing_is_called_what_aws_calls_it(body: str) -> None:
    answer = send(Client(answered(body=body, function_error="Unhandled")))
    assert (answer.invocation.status, answer.invocation.error) == ("failed", "Unhandled")
    assert answer.function_error == "Unhandled"


# The tail of the log.

LINE = format_report(RECORD)
FOREIGN = format_report(replace(RECORD, request_id="another", duration_ms=1.0))
JSON_LINE = (
    '{"time":"2026-10-08T07:30:29.470Z","type":"platform.report","record":{"requestId":"' + REQUEST_ID + '","metrics":'
    '{"durationMs":19.53,"billedDurationMs":20,"memorySizeMB":512,"maxMemoryUsedMB":60},"status":"success"}}'
)


@pytest.mark.parametrize(
    "lines",
    [
        (LINE,),
        ("START RequestId: x Version: 7", "END RequestId: x", LINE, ""),
        (LINE, "XRAY TraceId: 1-6a7a67c2-0701d869329bf462748bc57c\tSegmentId: 1\tSampled: true\t"),
        (JSON_LINE,),
        ("plain words", '{"level": "INFO", "message": "a line of its own"}', JSON_LINE),
        ("tail of a line that was cut REPORT Reque", LINE),
        ('metrics":{"durationMs":1},"status":"success"}}', JSON_LINE),
        (FOREIGN, LINE),
        (LINE, FOREIGN),
        (format_report(replace(RECORD, duration_ms=1.0)), LINE),
        (LINE, format_report(replace(RECORD, memory_mb=128))),
        (f"the program prints {FOREIGN}", LINE),
        (f"REPORT RequestId: {REQUEST_ID}\tDuration: 1.00 ms", LINE),
        ("{", LINE),
        ("\u0000\u001b[31m\u2028", LINE),
        (LINE.replace("\t", "  "),),
    ],
)
def test_the_record_of_the_request_is_found_in_the_tail(lines: tuple[str, ...]) -> None:
    found = report_of(tail(*lines), REQUEST_ID, 512)
    assert found is not None
    assert (found.request_id, found.duration_ms, found.memory_mb) == (REQUEST_ID, 19.53, 512)


def test_where_the_request_id_is_unknown_the_last_record_counts() -> None:
    lines = (LINE, FOREIGN, format_report(replace(RECORD, memory_mb=128, duration_ms=2.0)))
    for request_id in (None, ""):
        found = report_of(tail(*lines), request_id, 512)
        assert found is not None
        assert found.duration_ms == 1.0


@pytest.mark.parametrize(
    "log_result",
    [
        None,
        "",
        "====",
        "A",
        tail("no record"),
        tail(format_report(replace(RECORD, memory_mb=513))),
        tail(LINE[: LINE.index("Max")]),
        base64.b64encode(b"\xff\xfe\x00").decode(),
        tail('{"type": "platform.report", "record": {}}'),
    ],
)
def test_a_tail_without_a_whole_record_of_this_size_holds_none(log_result: str | None) -> None:
    assert report_of(log_result, REQUEST_ID, 512) is None


def test_a_tail_that_is_cut_at_4_kb_still_ends_with_the_record() -> None:
    cut = ("\u00e9" * 4096 + "\n" + LINE).encode()[-4096:]
    assert cut[:1] == "\u00e9".encode()[1:], "cut within a character"
    found = report_of(base64.b64encode(cut).decode(), REQUEST_ID, 512)
    assert found is not None
    assert found.duration_ms == 19.53


# The gate.


class WouldWaitError(Exception):
    """A thread came to a gate that is full."""


@pytest.fixture
def _nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(_condition: threading.Condition, _timeout: float | None = None) -> bool:
        raise WouldWaitError

    monkeypatch.setattr(threading.Condition, "wait", wait)


def places(gate: Gate) -> int:
    """Return how many a gate with nobody inside lets in."""
    for count in range(100):
        try:
            gate.__enter__()
        except WouldWaitError:
            for _ in range(count):
                gate.__exit__()
            return count
    raise AssertionError("the gate lets in anybody")


@pytest.fixture
def gate(_nobody_waits: None) -> Iterator[Gate]:
    gate = Gate(16)
    assert places(gate) == 16
    yield gate
    assert 1 <= places(gate) <= 16


def inside(gate: Gate, count: int) -> None:
    for _ in range(count):
        gate.__enter__()


def test_a_throttle_halves_the_gate(gate: Gate) -> None:
    inside(gate, 16)
    gate.__exit__()
    gate.throttled()
    assert gate.throttles == 1
    for _ in range(15):
        gate.__exit__()
    assert places(gate) == 8


def test_a_throttle_halves_what_was_in_use_rather_than_what_was_allowed(gate: Gate) -> None:
    inside(gate, 3)
    gate.throttled()
    for _ in range(3):
        gate.__exit__()
    assert places(gate) == 2


def test_a_gate_is_never_shut(gate: Gate) -> None:
    for _ in range(50):
        gate.throttled()
    assert gate.throttles == 50
    assert places(gate) == 1


def test_successes_widen_a_gate_by_a_place_for_about_as_many_as_it_lets_in(gate: Gate) -> None:
    for _ in range(10):
        gate.throttled()
    needed = []
    while places(gate) < 16:
        before, count = places(gate), 0
        while places(gate) == before:
            gate.succeeded()
            count += 1
            assert count < 100
        needed.append(count)
    assert len(needed) == 15
    assert all(width <= count <= width + 2 for width, count in enumerate(needed, 1)), needed


def test_a_gate_does_not_grow_beyond_its_width(gate: Gate) -> None:
    for _ in range(1000):
        gate.succeeded()
    assert places(gate) == 16


def test_errors_give_their_place_back() -> None:
    sender = invoker(Client(SSLError(endpoint_url="https://lambda", error="no")))
    for _ in range(20):
        with pytest.raises(AwsError):
            sender.invoke("7", 512, "{}")


def test_threads_wait_at_a_gate_and_all_get_through() -> None:
    gate, lock = Gate(3), threading.Lock()
    now_inside, most_inside, done = 0, 0, []

    def work(number: int) -> None:
        nonlocal now_inside, most_inside
        order = random.Random(number)  # noqa: S311 - the same in every run
        for _ in range(50):
            with gate:
                with lock:
                    now_inside += 1
                    most_inside = max(most_inside, now_inside)
                if order.random() < 0.5:
                    gate.succeeded()
                with lock:
                    now_inside -= 1
            if order.random() < 0.2:
                gate.throttled()
        done.append(number)

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(done) == list(range(12))
    assert most_inside <= 3
