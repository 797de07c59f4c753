"""Whatever goes wrong: the right rows, the right exit code, all money counted, and the function as it was before."""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import jsonschema
import pytest
from believable_lambda import BelievableLambda, Call, Execution, Failure, Fault
from botocore.httpsession import URLLib3Session
from quick_botocore import make_quick

from powertune.cli.main import main
from powertune.model import run_file
from powertune.sources.aws import clients, measuring, source
from powertune.sources.aws.measuring import Pace

SCHEMA = json.loads(Path(run_file.__file__).with_name("run-1.schema.json").read_text(encoding="utf-8"))
NAME = "orders"
OWN_MB = 512
SIZES_MB = (128, 256, 512, 1024)
SAMPLES, PARALLEL = 4, 2
MEASURING = (
    "--search", "full", "-m", ",".join(map(str, SIZES_MB)), "-n", str(SAMPLES), "--parallel", str(PARALLEL),
)  # fmt: skip
CHANGING = {"Invoke", "UpdateFunctionConfiguration", "PublishVersion", "DeleteFunction"}
EXPIRED = partial(
    Fault, "*", 403, "ExpiredTokenException", "The security token included in the request is expired", times=None
)
DENIED = partial(Fault, status=403, code="AccessDeniedException", message="User is not authorized", times=None)
THROTTLED = partial(
    Fault, "Invoke", 429, "TooManyRequestsException", "Rate Exceeded.", reason="CallerRateLimitExceeded"
)

Arrange = Callable[[BelievableLambda], None]


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def run(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        jsonschema.Draft202012Validator(SCHEMA).validate(document)
        return document

    @property
    def rows(self) -> dict[int, dict[str, Any]]:
        return {size["memory_mb"]: size for size in self.run["sizes"]}

    @property
    def statuses(self) -> dict[int, str]:
        return {memory_mb: size["status"] for memory_mb, size in self.rows.items()}

    @property
    def warnings(self) -> dict[str, str]:
        return {warning["code"]: warning["message"] for warning in self.run["warnings"]}

    @property
    def lost(self) -> int:
        """How many invocations it says it knows nothing of."""
        told = self.warnings.get("lost-answers", "0")
        return int(told.split()[0])


@dataclass(frozen=True, kw_only=True)
class Case:
    """Something that goes wrong, and what is to come of it."""

    arrange: Arrange
    options: tuple[str, ...] = ()
    code: int = 0
    rows: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    """Status, and a part of the reason, by memory size in MB; others are to be ok."""
    warnings: frozenset[str] = frozenset()
    """Codes that are to be among those of the run; all others but about figures are not to be."""
    says: str = ""
    """A part of what is on standard error."""


@dataclass(frozen=True)
class World:
    """A function on the believable Lambda, and powertune at it."""

    server: BelievableLambda
    run_command: Callable[..., Done]
    state: Path

    def tune(self, *options: str, function: str = NAME) -> Done:
        return self.run_command("tune", function, "--yes", "-f", "json", *MEASURING, *options)

    @property
    def executed(self) -> list[Execution]:
        return [one for one in self.server.invocations if one.function == NAME]

    @property
    def journals(self) -> list[Path]:
        return list(self.state.glob("*.json"))

    @property
    def changes(self) -> list[str]:
        return [call.operation for call in self.server.calls if call.operation in CHANGING]

    def assert_accounted(self, done: Done) -> None:
        """Assert that each run that the server made is in the result once, with its bill, and none besides."""
        run = done.run
        pricing = run["pricing"]
        bills = {one.request_id: bill(one, pricing) for one in self.executed}
        ran = [one for one in run["invocations"] if one["billed_ms"] != 0]
        known = [one["request_id"] for one in ran if one["request_id"] is not None]
        assert len(known) == len(set(known))
        assert set(known) <= set(bills)
        unknown = len(ran) - len(known)
        assert unknown == done.lost
        assert run["spent"]["invocations"] == len(ran)
        assert len(bills) <= len(ran)
        assert len(ran) <= len(bills) + done.lost
        told = sum(bills[request_id] for request_id in known)
        if not unknown:
            assert run["spent"]["usd"] == pytest.approx(told, rel=1e-9)
            assert len(bills) == len(known)
        assert run["spent"]["usd"] >= told * (1 - 1e-9)
        by_size = Counter(one["memory_mb"] for one in run["invocations"] if one["status"] == "ok")
        for memory_mb, size in done.rows.items():
            assert size["invocations"]["warm"] + size["invocations"]["cold"] == by_size[memory_mb]

    def assert_restored(self, before: Mapping[str, Any]) -> None:
        assert self.server.snapshot(NAME) == before
        assert not self.journals


def bill(execution: Execution, pricing: Mapping[str, Any]) -> float:
    """Return what Lambda charges for an invocation."""
    gb_seconds = execution.memory_mb / 1024 * execution.billed_ms / 1000
    return float(gb_seconds * pricing["per_gb_second"] + pricing["per_request"])


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert source.__name__, "what takes Pace for a type has to be loaded by now"
    pace = partial(Pace, time_scale=0.01, poll_s=0.002, lost_patience_s=5, throttle_patience_s=30)
    monkeypatch.setattr(measuring, "Pace", pace)
    make_quick(monkeypatch.setattr)


@pytest.fixture
def world(
    believable: BelievableLambda, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> World:
    """An account with a function of 512 MB that has an older version, with an alias on it."""
    believable.time_scale = 0
    create(believable)
    state = tmp_path / "state"
    monkeypatch.setenv("POWERTUNE_STATE_DIR", str(state))

    def run_command(*argv: str) -> Done:
        capfd.readouterr()
        code = main(argv)
        return Done(code, *capfd.readouterr())

    return World(believable, run_command, state)


def create(server: BelievableLambda, **more: Any) -> None:
    server.create_function(NAME, memory_mb=OWN_MB, description="takes orders", **more)
    aws = boto3.client("lambda")
    version = aws.publish_version(FunctionName=NAME, Description="release 1")["Version"]
    aws.create_alias(FunctionName=NAME, Name="live", FunctionVersion=version)
    server.deploy(NAME, code=b"release 2")


def faults(*wanted: Fault) -> Arrange:
    return lambda server: server.faults.extend(replace(fault) for fault in wanted)


def failures(**wanted: Failure) -> Arrange:
    return lambda server: server.failures.update({int(size[1:]): replace(one) for size, one in wanted.items()})


def settings(**wanted: Any) -> Arrange:
    def arrange(server: BelievableLambda) -> None:
        for name, value in wanted.items():
            assert hasattr(server, name)
            setattr(server, name, value)

    return arrange


def both(*arrangements: Arrange) -> Arrange:
    def arrange(server: BelievableLambda) -> None:
        for one in arrangements:
            one(server)

    return arrange


def at_size(memory_mb: int, fault: Fault) -> Arrange:
    """Arrange a fault of the invocations at one size."""

    def arrange(server: BelievableLambda) -> None:
        def is_meant(call: Call) -> bool:
            sizes = {str(number): size for number, _, size, _ in server.snapshot(NAME)["versions"]}
            return sizes.get(call.qualifier or "") == memory_mb

        server.faults.append(replace(fault, when=is_meant))

    return arrange


def in_every_size(status: str, reason: str) -> dict[int, tuple[str, str]]:
    return dict.fromkeys(SIZES_MB, (status, reason))


def many_versions(server: BelievableLambda) -> None:
    aws = boto3.client("lambda")
    for number in range(60):
        server.deploy(NAME, code=f"release {number + 3}".encode())
        aws.publish_version(FunctionName=NAME)


FAILING = {
    "out of memory, as the runtime tells it": Case(
        arrange=failures(_128=Failure("out-of-memory")), rows={128: ("out-of-memory", "")},
    ),
    "out of memory, as the kernel tells it": Case(
        arrange=failures(_128=Failure("killed")), rows={128: ("out-of-memory", "")},
    ),
    "out of memory everywhere": Case(
        arrange=failures(**{f"_{size}": Failure("killed") for size in SIZES_MB}),
        rows=in_every_size("out-of-memory", ""),
        code=5,
        says="fits into none of these sizes",
    ),
    "a timeout": Case(
        arrange=failures(_256=Failure("timeout")), rows={256: ("timed-out", "")},
    ),
    "a function error at one size": Case(
        arrange=failures(_1024=Failure("exception")), rows={1024: ("failed", "ValueError: the handler raised")},
    ),
    "a function error everywhere": Case(
        arrange=failures(**{f"_{size}": Failure("exception") for size in SIZES_MB}),
        rows=in_every_size("failed", "ValueError: the handler raised"),
        code=5,
        says="the function failed at every size: ValueError: the handler raised",
    ),
    "a function error at every fourth call": Case(
        arrange=failures(**{f"_{size}": Failure("exception", every=4) for size in SIZES_MB}),
        warnings=frozenset({"failed-runs"}),
    ),
    "an error that is allowed": Case(
        arrange=failures(**{f"_{size}": Failure("exception", error_type="NotFound") for size in SIZES_MB}),
        options=("--allow-error", "NotFound"),
    ),
    "another error than the one that is allowed": Case(
        arrange=failures(_128=Failure("exception")),
        options=("--allow-error", "NotFound"),
        rows={128: ("failed", "ValueError")},
    ),
}  # fmt: skip

REFUSED = {
    "an account capped at 3,008 MB": Case(
        arrange=settings(account_memory_limit_mb=3008),
        options=("-m", "512,3008,3072,10240"),
        rows={3072: ("unavailable", "at most 3,008 MB"), 10240: ("unavailable", "at most 3,008 MB")},
    ),
    "all sizes but the function's own beyond the cap": Case(
        arrange=settings(account_memory_limit_mb=3008),
        options=("-m", "4096,10240"),
        rows={4096: ("unavailable", "at most 3,008 MB"), 10240: ("unavailable", "at most 3,008 MB")},
    ),
}

THROTTLING = {
    "a few throttles": Case(arrange=faults(THROTTLED(times=5)), warnings=frozenset({"throttled"})),
    "a throttle that says when to come back": Case(
        arrange=faults(THROTTLED(times=1, retry_after_s=1)), warnings=frozenset({"throttled"})
    ),
    "throttles now and then": Case(
        arrange=faults(*(THROTTLED(after=after) for after in (3, 8, 9, 15, 20))), warnings=frozenset({"throttled"})
    ),
    "throttles for ever at one size": Case(
        arrange=at_size(256, THROTTLED(times=None)),
        rows={256: ("throttled", "TooManyRequestsException")},
        warnings=frozenset({"throttled"}),
    ),
    "throttles for ever": Case(
        arrange=faults(THROTTLED(times=None)),
        rows=in_every_size("throttled", "TooManyRequestsException"),
        warnings=frozenset({"throttled"}),
        code=4,
    ),
    "a concurrency limit of three": Case(
        arrange=settings(concurrency_limit=3, time_scale=0.02),
        options=("--parallel", "4"),
        warnings=frozenset({"throttled"}),
    ),
    "a control plane with little to give": Case(arrange=settings(control_plane_rps=15.0)),
    "a control plane that throttles updates": Case(
        arrange=faults(
            *(
                Fault(operation, 429, "TooManyRequestsException", "Rate exceeded", times=4)
                for operation in ("UpdateFunctionConfiguration", "PublishVersion", "DeleteFunction")
            )
        )
    ),
}

LOSING = {
    "a 500 at one invocation that took place": Case(arrange=faults(Fault("Invoke", execute=True, after=5))),
    "a 500 at one invocation that did not take place": Case(
        arrange=faults(Fault("Invoke", after=5)), warnings=frozenset({"lost-answers"})
    ),
    "a dropped connection after the invocation": Case(
        arrange=faults(Fault("Invoke", execute=True, drop=True, after=5))
    ),
    "a dropped connection before the invocation": Case(
        arrange=faults(Fault("Invoke", drop=True, after=5)), warnings=frozenset({"lost-answers"})
    ),
    "connections that drop after all invocations of a size": Case(
        arrange=at_size(128, Fault("Invoke", execute=True, drop=True, times=None))
    ),
    "connections that drop before all invocations of a size": Case(
        arrange=at_size(128, Fault("Invoke", drop=True, times=None)),
        rows={128: ("unavailable", "no answer, and it may have run")},
        warnings=frozenset({"lost-answers"}),
    ),
    "a 500 at every invocation of a size": Case(
        arrange=at_size(128, Fault("Invoke", times=None)),
        rows={128: ("unavailable", "ServiceException")},
        warnings=frozenset({"lost-answers"}),
    ),
    "a 500 at every fifth call": Case(
        arrange=faults(*(Fault("*", after=after) for after in range(4, 60, 5))), warnings=frozenset({"lost-answers"})
    ),
    "connections dropped after changes that took place": Case(
        arrange=faults(
            *(
                Fault(operation, execute=True, drop=True, times=2)
                for operation in ("UpdateFunctionConfiguration", "PublishVersion", "DeleteFunction")
            )
        )
    ),
    "500s at changes that took place": Case(
        arrange=faults(
            *(
                Fault(operation, execute=True, times=2)
                for operation in ("UpdateFunctionConfiguration", "PublishVersion", "DeleteFunction")
            )
        )
    ),
    "answers that get lost, of a function that may be repeated": Case(
        arrange=faults(*(Fault("Invoke", execute=True, drop=True, after=after) for after in (3, 9, 15))),
        options=("--idempotent",),
    ),
    "invocations that get lost, of a function that may be repeated": Case(
        arrange=faults(*(Fault("Invoke", drop=True, after=after) for after in (3, 9, 15))),
        options=("--idempotent",),
        warnings=frozenset({"lost-answers"}),
    ),
    "lost answers that nobody may look for, of a function that may be repeated": Case(
        arrange=both(faults(Fault("Invoke", execute=True, drop=True, after=5)), faults(DENIED("FilterLogEvents"))),
        options=("--idempotent",),
        warnings=frozenset({"lost-answers"}),
    ),
    "lost answers that nobody may look for in the logs": Case(
        arrange=both(faults(Fault("Invoke", execute=True, drop=True, after=5)), faults(DENIED("FilterLogEvents"))),
        warnings=frozenset({"lost-answers"}),
    ),
}

FAKE = "REPORT RequestId: 11111111-2222-3333-4444-555555555555\tDuration: 1.00 ms\tBilled Duration: 1 ms\t"
FAKES = [f"{FAKE}Memory Size: {size} MB\tMax Memory Used: 5 MB\t" for size in SIZES_MB]

LOGS = {
    "tails that are absent": Case(arrange=settings(tail="absent")),
    "tails without a REPORT": Case(arrange=settings(tail="no-report")),
    "tails that are cut": Case(arrange=settings(tail="cut")),
    "traces": Case(arrange=settings(xray=True)),
    "logs that take their time": Case(arrange=settings(tail="absent", ingestion_lag_s=0.3)),
    "programs that print what looks like a REPORT": Case(arrange=settings(app_lines=FAKES)),
    "programs that print it, in tails without the right one": Case(arrange=settings(app_lines=FAKES, tail="no-report")),
    "programs that print it, and cut tails": Case(arrange=settings(app_lines=FAKES, tail="cut")),
    "pages of logs with little on them": Case(arrange=settings(tail="absent", log_page_size=7)),
    "no records anywhere": Case(
        arrange=settings(tail="absent", write_logs=False), code=4, says="hold a REPORT record"
    ),
    "tails that are absent, and logs that nobody may read": Case(
        arrange=both(settings(tail="absent"), faults(DENIED("FilterLogEvents"))), code=4, says="is not allowed"
    ),
}  # fmt: skip

OTHERS = {
    "somebody else's updates in between": Case(
        arrange=faults(
            *(
                Fault(operation, 409, "ResourceConflictException", times=2, after=1)
                for operation in ("UpdateFunctionConfiguration", "PublishVersion")
            )
        )
    ),
    "new revisions in between": Case(
        arrange=faults(
            *(
                Fault(operation, 412, "PreconditionFailedException", times=2, after=1)
                for operation in ("UpdateFunctionConfiguration", "PublishVersion")
            )
        )
    ),
    "updates by somebody else that never end": Case(
        arrange=faults(Fault("PublishVersion", 409, "ResourceConflictException", times=None, after=2)),
        code=4,
        says="is being changed again and again",
    ),
    "no room for further versions": Case(
        arrange=faults(Fault("PublishVersion", 400, "CodeStorageExceededException", times=None, after=2)),
        code=4,
        says="CodeStorageExceededException",
    ),
    "more versions than a page has": Case(arrange=many_versions),
    "a log group of its own": Case(
        arrange=both(
            settings(tail="absent"),
            lambda server: server.deploy(NAME, LoggingConfig={"LogFormat": "Text", "LogGroup": "/shop/orders"}),
        )
    ),
    "sizes one after another, some of which fail": Case(
        arrange=both(failures(_128=Failure("killed"), _256=Failure("timeout")), at_size(512, THROTTLED(times=None))),
        options=("--serial",),
        rows={
            128: ("out-of-memory", ""),
            256: ("timed-out", ""),
            512: ("throttled", "TooManyRequestsException"),
        },
        warnings=frozenset({"throttled"}),
    ),
    "cold starts at sizes some of which fail": Case(
        arrange=failures(_128=Failure("killed"), _256=Failure("exception")),
        options=("--cold-starts", "5", "--max-concurrency", "3"),
        rows={128: ("out-of-memory", ""), 256: ("failed", "ValueError")},
    ),
}

ERRORS = {
    **{
        f"{code}, which passes": Case(
            arrange=faults(Fault("Invoke", status, code, times=2, after=4)),
            warnings=frozenset({"throttled"} if status == 429 else ()),
        )
        for status, code in (
            (429, "TooManyRequestsException"),
            (409, "ResourceConflictException"),
            (409, "SnapStartNotReadyException"),
            (502, "EC2ThrottledException"),
            (502, "ENINotReadyException"),
            (408, "EFSMountTimeoutException"),
        )
    },
    **{
        f"{code} for ever": Case(
            arrange=at_size(256, Fault("Invoke", status, code, times=None)), rows={256: ("unavailable", code)}
        )
        for status, code in ((408, "EFSMountTimeoutException"), (502, "EC2ThrottledException"))
    },
    **{
        code: Case(arrange=faults(Fault("Invoke", status, code, times=None, after=6)), code=4, says=says)
        for status, code, says in (
            (502, "KMSAccessDeniedException", "KMSAccessDeniedException"),
            (502, "InvalidRuntimeException", "InvalidRuntimeException"),
            (413, "RequestTooLargeException", "RequestTooLargeException"),
            (400, "InvalidRequestContentException", "AWS does not take the payload for JSON"),
            (404, "ResourceNotFoundException", "injected by the test"),
        )
    },
}

WAITING = {
    "a snapshot of each version": Case(
        arrange=both(
            settings(time_scale=0.02, version_pending_s=5.0),
            lambda server: server.deploy(NAME, SnapStart={"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}),
        ),
        warnings=frozenset({"snapstart"}),
    ),
    "versions that take their time": Case(arrange=settings(time_scale=0.02, version_pending_s=5.0)),
    "updates that take their time": Case(arrange=settings(time_scale=0.02, update_s=(1.0, 3.0), publish_s=1.0)),
}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=name)
        for table in (FAILING, REFUSED, THROTTLING, LOSING, LOGS, OTHERS, ERRORS, WAITING)
        for name, case in table.items()
    ],
)
def test_what_goes_wrong_becomes_the_right_rows_and_nothing_is_left(world: World, case: Case) -> None:
    case.arrange(world.server)
    before = world.server.snapshot(NAME)
    done = world.tune(*case.options)
    assert done.code == case.code, done.err
    assert case.says in done.err
    world.assert_restored(before)
    if not done.out:
        return
    for memory_mb, row in done.rows.items():
        status, reason = case.rows.get(memory_mb, ("ok", ""))
        assert (memory_mb, row["status"]) == (memory_mb, status), row
        assert reason in (row["reason"] or ""), row
        if status == "ok":
            assert row["invocations"]["warm"] > 0
            assert row["duration_ms"]["mean"] > 20
    assert case.warnings <= set(done.warnings), done.warnings
    for code in {"lost-answers", "throttled", "no-report", "spending-limit"} - case.warnings:
        assert code not in done.warnings
    world.assert_accounted(done)


# Logs in JSON.


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
@pytest.mark.parametrize("tail", ["normal", "absent", "no-report", "cut"])
def test_logs_in_json_tell_durations_too(world: World, level: str, tail: str) -> None:
    world.server.reset()
    settings(time_scale=0, tail=tail)(world.server)
    create(world.server, log_format="JSON", system_log_level=level)
    world.server.app_lines = ['{"level": "INFO", "message": "an order"}', "no JSON at all", *FAKES]
    before = world.server.snapshot(NAME)
    done = world.tune()
    assert done.code == 0, done.err
    assert set(done.statuses.values()) == {"ok"}
    world.assert_accounted(done)
    world.assert_restored(before)


def test_failures_are_told_apart_in_json_too(world: World) -> None:
    world.server.reset()
    world.server.time_scale = 0
    create(world.server, log_format="JSON", system_log_level="INFO")
    failures(_128=Failure("killed"), _256=Failure("timeout"), _1024=Failure("exception"))(world.server)
    done = world.tune()
    assert done.statuses == {128: "out-of-memory", 256: "timed-out", 512: "ok", 1024: "failed"}
    world.assert_accounted(done)


# What is refused before anything is changed.


def hidden_durations(world: World) -> None:
    world.server.reset()
    create(world.server, log_format="JSON", system_log_level="WARN")


def no_concurrency(_: World) -> None:
    boto3.client("lambda").put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=0)


def expired_credentials(world: World) -> None:
    world.server.faults.append(EXPIRED())


@pytest.mark.parametrize(
    ("arrange", "says"),
    [
        (hidden_durations, "system log level WARN"),
        (no_concurrency, "reserved concurrency is 0"),
        (expired_credentials, "does not accept these credentials"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_changed(
    world: World, arrange: Callable[[World], None], says: str
) -> None:
    arrange(world)
    world.server.calls.clear()
    before = world.server.snapshot(NAME)
    done = world.tune()
    assert done.code == 4
    assert says in done.err
    assert not world.changes
    world.assert_restored(before)


def test_an_aws_that_cannot_be_reached_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    done = world.tune()
    assert done.code == 4
    assert "AWS could not be reached" in done.err
    assert not world.journals


# Concurrency.


def test_no_more_runs_at_once_than_are_reserved_for_the_function(world: World) -> None:
    boto3.client("lambda").put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=2)
    world.server.time_scale = 0.02
    before = world.server.snapshot(NAME)
    done = world.tune("--parallel", "4")
    assert done.code == 0
    assert world.server.max_concurrency_seen == 2
    assert "throttled" not in done.warnings
    world.assert_accounted(done)
    world.assert_restored(before)


# Retries that the user has set for other programs.


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
def test_no_invocation_is_repeated_whatever_the_environment_says_of_retries(
    world: World, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("AWS_RETRY_MODE", mode)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")
    for after in (3, 8, 13):
        world.server.faults.append(Fault("Invoke", execute=True, drop=after != 8, after=after))
    done = world.tune()
    assert done.code == 0
    assert [call.operation for call in world.server.calls].count("Invoke") == len(world.executed)
    world.assert_accounted(done)


# Answers that do not come in time.


@pytest.mark.parametrize("executes", [True, False])
def test_an_answer_that_does_not_come_in_time_is_looked_for_in_the_logs(
    world: World, monkeypatch: pytest.MonkeyPatch, *, executes: bool
) -> None:
    monkeypatch.setattr(clients, "_READ_MARGIN_S", -29.7)  # with the function's timeout of 30 s: 0.3 s
    world.server.faults.append(Fault("Invoke", execute=executes, delay_s=0.6, drop=True, times=2, after=5))
    before = world.server.snapshot(NAME)
    done = world.tune()
    assert done.code == 0
    assert done.lost == (0 if executes else 2)
    assert set(done.statuses.values()) == {"ok"}
    world.assert_accounted(done)
    world.assert_restored(before)


# Credentials that expire, and a network that fails, in the middle.


@pytest.mark.parametrize("after", [5, 8, 14, 20, 27, 34, 40, 47])
def test_credentials_that_are_renewed_in_time_leave_nothing(world: World, after: int) -> None:
    world.server.faults.append(replace(EXPIRED(), times=3, after=after))
    before = world.server.snapshot(NAME)
    done = world.tune()
    assert done.code in (0, 4)
    if done.code:
        assert "does not accept these credentials" in done.err
    else:
        world.assert_accounted(done)
    world.assert_restored(before)


@pytest.mark.parametrize("after", [5, 8, 14, 20, 27])
def test_credentials_that_stay_expired_leave_a_journal_and_say_what_to_do(world: World, after: int) -> None:
    world.server.faults.append(replace(EXPIRED(), after=after))
    before = world.server.snapshot(NAME)
    done = world.tune()
    assert done.code == 4
    assert_says_how_to_put_it_back(world, done)

    world.server.faults.clear()
    restored = world.run_command("restore")
    assert restored.code == 0, restored.err
    world.assert_restored(before)


def assert_says_how_to_put_it_back(world: World, done: Done) -> None:
    assert "powertune restore orders" in done.err
    assert "--memory-size 512" in done.err
    assert "aws lambda delete-function" in done.err
    assert len(world.journals) == 1
    assert str(world.journals[0]) in done.err


@pytest.mark.parametrize(
    ("status", "code"),
    [(429, "TooManyRequestsException"), (500, "ServiceException"), (403, "AccessDeniedException")],
)
def test_a_memory_that_cannot_be_put_back_for_good_leaves_a_journal(world: World, status: int, code: str) -> None:
    world.server.faults.append(Fault("UpdateFunctionConfiguration", status, code, times=None, after=2))
    before = world.server.snapshot(NAME)
    done = world.tune()
    assert done.code == 4
    assert_says_how_to_put_it_back(world, done)
    after = world.server.snapshot(NAME)
    assert after["latest"] == {**before["latest"], "MemorySize": 256}
    assert after["versions"] == before["versions"]

    world.server.faults.clear()
    assert world.run_command("restore").code == 0
    world.assert_restored(before)


def test_the_commands_to_do_it_by_hand_put_it_back(world: World) -> None:
    world.server.faults.append(replace(EXPIRED(), after=20))
    before = world.server.snapshot(NAME)
    done = world.tune()
    world.server.faults.clear()
    aws = boto3.client("lambda")
    # What the AWS CLI would do.
    updating, listing, deleting = re.findall(
        r"aws lambda ([a-z-]+) --region us-east-1 --function-name orders", done.err
    )
    assert (updating, listing, deleting) == (
        "update-function-configuration", "list-versions-by-function", "delete-function",
    )  # fmt: skip
    memory_mb, query = re.findall(r'--memory-size (\d+)|--query "([^"]+)"', done.err)
    aws.update_function_configuration(FunctionName=NAME, MemorySize=int(memory_mb[0]))
    pages = aws.get_paginator("list_versions_by_function").paginate(FunctionName=NAME)
    numbers = list(pages.search(query[1]))
    assert numbers
    for number in numbers:
        aws.delete_function(FunctionName=NAME, Qualifier=number)
    assert world.server.snapshot(NAME) == before


def test_a_network_that_is_gone_for_good_leaves_a_journal_and_says_what_to_do(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.server.snapshot(NAME)
    endpoint = world.server.endpoint_url
    send = URLLib3Session.send
    made = iter(range(20))

    def sent(session: URLLib3Session, request: Any) -> Any:
        if next(made, None) is None:
            request.url = request.url.replace(endpoint, "http://127.0.0.1:1")
        return send(session, request)

    with monkeypatch.context() as patch:
        patch.setattr(URLLib3Session, "send", sent)
        done = world.tune()
    assert done.code == 4
    assert "AWS could not be reached" in done.err
    assert_says_how_to_put_it_back(world, done)
    assert world.server.snapshot(NAME) != before
    assert world.run_command("restore", NAME).code == 0
    world.assert_restored(before)


# What is measured when a run has to stop, or cannot be read.


def test_what_was_measured_before_a_run_had_to_stop_is_kept(world: World) -> None:
    world.server.faults.append(replace(DENIED("PublishVersion"), after=3))
    before = world.server.snapshot(NAME)
    done = world.tune()
    assert done.code == 4
    world.assert_restored(before)
    (recording,) = world.state.glob("*.jsonl")
    assert f"powertune estimate {recording}" in done.err
    kept = [json.loads(line) for line in recording.read_text(encoding="utf-8").splitlines()]
    assert kept
    executed = {one.request_id: one.billed_ms for one in world.executed}
    assert all(executed[line["request_id"]] == line["billed_ms"] for line in kept)
    estimated = world.run_command("estimate", str(recording), "-f", "json")
    assert estimated.code == 0, estimated.err
    assert len(estimated.run["invocations"]) == len(kept)


def test_runs_without_a_record_are_left_out_and_counted(world: World) -> None:
    world.server.write_logs = False
    world.server.on_call("Invoke", 8, lambda: setattr(world.server, "tail", "absent"))
    before = world.server.snapshot(NAME)
    done = world.tune()
    assert done.code == 0, done.err
    assert "no-report" in done.warnings
    known = [one for one in done.run["invocations"] if one["status"] == "ok"]
    executed = {one.request_id: one.billed_ms for one in world.executed}
    assert all(executed[one["request_id"]] == one["billed_ms"] for one in known)
    assert done.run["spent"]["invocations"] == len(executed)
    assert done.warnings["no-report"].startswith(f"of {len(executed) - len(known)} invocations ")
    world.assert_restored(before)


# What others do to the function, or to its versions.


def test_a_function_that_is_deleted_meanwhile_does_not_keep_others_from_being_put_back(world: World) -> None:
    aws = boto3.client("lambda")
    world.server.on_call("Invoke", 6, lambda: aws.delete_function(FunctionName=NAME))
    done = world.tune()
    assert done.code == 4
    assert "Function not found" in done.err
    (journal,) = world.journals

    world.server.create_function("others", memory_mb=OWN_MB)
    before = world.server.snapshot("others")
    world.server.faults.append(DENIED("DeleteFunction"))
    assert world.tune(function="others").code == 4
    world.server.faults.clear()
    restored = world.run_command("restore")
    assert restored.code == 4
    assert world.server.snapshot("others") == before
    assert f"delete {journal}" in restored.err
    assert world.journals == [journal]


def test_a_version_that_an_alias_holds_is_told_and_deleted_when_it_lets_go(world: World) -> None:
    aws = boto3.client("lambda")
    world.server.on_call(
        "ListVersionsByFunction", 2, lambda: aws.create_alias(FunctionName=NAME, Name="mine", FunctionVersion="3")
    )
    before = world.server.snapshot(NAME)
    done = world.tune()
    assert done.code == 4
    assert "version 3" in done.err
    assert "alias" in done.err
    assert [version for version, *_ in world.server.snapshot(NAME)["versions"]] == [1, 3]
    assert len(world.journals) == 1
    assert world.run_command("restore").code == 4

    aws.delete_alias(FunctionName=NAME, Name="mine")
    assert world.run_command("restore").code == 0
    world.assert_restored(before)


def test_restore_leaves_a_memory_that_somebody_else_has_set_and_says_so(world: World) -> None:
    world.server.faults.append(replace(EXPIRED(), after=14))
    before = world.server.snapshot(NAME)
    assert world.tune().code == 4
    world.server.faults.clear()
    world.server.deploy(NAME, memory_mb=2048)
    restored = world.run_command("restore")
    assert restored.code == 0
    assert "keeps what somebody else gave it" in restored.out
    after = world.server.snapshot(NAME)
    assert after["latest"] == {**before["latest"], "MemorySize": 2048}
    assert after["versions"] == before["versions"]
    assert not world.journals


# Permissions.


@pytest.mark.parametrize(
    "operation", ["GetFunctionConcurrency", "ListProvisionedConcurrencyConfigs", "FilterLogEvents"]
)
def test_without_a_permission_that_can_be_done_without_it_works(world: World, operation: str) -> None:
    world.server.faults.append(DENIED(operation))
    before = world.server.snapshot(NAME)
    done = world.tune()
    assert done.code == 0, done.err
    assert set(done.statuses.values()) == {"ok"}
    world.assert_accounted(done)
    world.assert_restored(before)


@pytest.mark.parametrize(
    "operation",
    ["GetFunctionConfiguration", "ListVersionsByFunction", "PublishVersion", "UpdateFunctionConfiguration", "Invoke"],
)
def test_without_a_permission_that_is_needed_nothing_is_left(world: World, operation: str) -> None:
    world.server.faults.append(DENIED(operation))
    before = world.server.snapshot(NAME)
    done = world.tune()
    assert done.code == 4
    assert "is not allowed" in done.err
    assert "powertune policy" in done.err
    world.assert_restored(before)


def test_without_the_permission_to_delete_the_memory_is_put_back_and_the_journal_stays(world: World) -> None:
    world.server.faults.append(DENIED("DeleteFunction"))
    before = world.server.snapshot(NAME)
    done = world.tune()
    assert done.code == 4
    assert_says_how_to_put_it_back(world, done)
    after = world.server.snapshot(NAME)
    assert after["latest"] == before["latest"]
    assert len(after["versions"]) == len(before["versions"]) + len(SIZES_MB)

    world.server.faults.clear()
    assert world.run_command("restore").code == 0
    world.assert_restored(before)


def test_the_mark_of_many_large_sizes_fits_into_a_description_and_is_enough_to_go_by(world: World) -> None:
    # The eleventh size is set, and nobody hears of it; from then on nothing can be changed.
    world.server.faults.append(Fault("UpdateFunctionConfiguration", 500, execute=True, times=8, after=10))
    world.server.faults.append(Fault("UpdateFunctionConfiguration", 500, times=None, after=10))
    world.server.faults.append(DENIED("DeleteFunction"))
    before = world.server.snapshot(NAME)
    assert world.tune("-m", "9152..10240:64", "-n", "1", "--parallel", "1").code == 4
    after = world.server.snapshot(NAME)
    marks = [description for _, description, _, _ in after["versions"] if description.startswith("powertune run")]
    assert len(marks) == 11
    assert max(map(len, marks)) <= 256
    assert after["latest"]["MemorySize"] == 9792

    world.server.faults.clear()
    world.journals[0].unlink()
    assert world.run_command("restore", NAME).code == 0
    world.assert_restored(before)


# Deploys in the middle.

DEPLOYS: dict[str, dict[str, Any]] = {
    "code": {"code": b"release 3"},
    "configuration": {"Environment": {"Variables": {"STAGE": "new"}}},
    "timeout": {"timeout_s": 7},
    "memory": {"memory_mb": 2048},
    "code and memory": {"code": b"release 3", "memory_mb": 2048},
    "code and the memory that it had": {"code": b"release 3", "memory_mb": OWN_MB},
}
PLACES = [
    *(("GetFunctionConfiguration", n) for n in range(2, 11)),
    *(("UpdateFunctionConfiguration", n) for n in range(1, 5)),
    *(("PublishVersion", n) for n in range(2, 6)),  # the first is the test's own
    *(("Invoke", n) for n in (1, 4, 12, 18)),
    ("ListVersionsByFunction", 2),
    ("DeleteFunction", 1),
    ("DeleteFunction", 4),
]


@pytest.mark.parametrize("deploy", DEPLOYS.values(), ids=DEPLOYS)
def test_nothing_is_put_back_over_somebody_elses_deploy(
    world: World, deploy: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    stopped = 0
    is_full = request.config.getoption("--every-call") or deploy == DEPLOYS["code"]
    for operation, nth in PLACES if is_full else PLACES[1::3]:
        world.server.reset()
        world.server.time_scale = 0
        create(world.server)
        before = world.server.snapshot(NAME)
        seen: dict[str, Any] = {}

        def deployed(seen: dict[str, Any] = seen) -> None:
            seen["memory_mb"] = world.server.snapshot(NAME)["latest"]["MemorySize"]
            world.server.deploy(NAME, **deploy)
            seen["latest"] = world.server.snapshot(NAME)["latest"]

        world.server.on_call(operation, nth, deployed)
        done = world.tune()
        place = f"before {operation} {nth}: {done.err}"
        assert seen, place
        after = world.server.snapshot(NAME)
        assert (after["versions"], after["aliases"]) == (before["versions"], before["aliases"]), place
        if done.code == 0:
            # Nobody was disturbed: the last size had been published, and the memory put back.
            assert after["latest"] == {**seen["latest"], "MemorySize": deploy.get("memory_mb", OWN_MB)}, place
            assert not world.journals, place
            world.assert_accounted(done)
            continue
        stopped += 1
        assert done.code == 4, place
        assert after["latest"] == seen["latest"], place
        assert "somebody else changed the function" in done.err, place
        assert f"it has {after['latest']['MemorySize']} MB now and had {OWN_MB} MB before" in done.err, place
        is_ours = "memory_mb" not in deploy and after["latest"]["MemorySize"] != OWN_MB
        assert bool(world.journals) == is_ours, place
        if is_ours:
            assert f"--memory-size {OWN_MB}" in done.err, place
            assert world.run_command("restore").code == 4, place
            assert world.run_command("restore", "--force").code == 0, place
            assert world.server.snapshot(NAME)["latest"] == {**seen["latest"], "MemorySize": OWN_MB}, place
        assert not world.journals
    assert stopped >= 4


# Money.


@pytest.mark.parametrize("limit_usd", [0.0005, 0.001, 0.002, 0.004])
@pytest.mark.parametrize(
    "arrange",
    [
        settings(),
        failures(**{f"_{size}": Failure("timeout") for size in SIZES_MB}),
        both(
            failures(**{f"_{size}": Failure("timeout") for size in SIZES_MB}),
            faults(Fault("Invoke", execute=True, drop=True, times=None)),
        ),
        both(
            failures(**{f"_{size}": Failure("timeout", every=3) for size in SIZES_MB}),
            faults(*(Fault("Invoke", execute=True, drop=True, after=after) for after in range(2, 40, 4))),
            settings(write_logs=False),
        ),
    ],
    ids=["as usual", "all time out", "all time out, and all answers get lost", "some do, and leave no trace"],
)
def test_no_more_is_spent_than_allowed(world: World, arrange: Arrange, limit_usd: float) -> None:
    arrange(world.server)
    before = world.server.snapshot(NAME)
    done = world.tune("--max-spend", str(limit_usd))
    world.assert_accounted(done)
    world.assert_restored(before)
    billed = sum(bill(one, done.run["pricing"]) for one in world.executed)
    assert billed <= limit_usd
    if limit_usd <= 0.0005:
        assert "spending-limit" in done.warnings
        assert {row["status"] for row in done.rows.values()} - {"ok"}
    if not world.executed:
        assert done.code == 4


@pytest.mark.parametrize("limit_usd", [0, 0.00005])
def test_a_limit_that_does_not_cover_one_run_is_told_before_anything_is_changed(world: World, limit_usd: float) -> None:
    before = world.changes
    done = world.tune("--max-spend", str(limit_usd))
    assert done.code == 2
    assert "does not cover one run" in done.err
    assert not world.executed
    assert world.changes == before
