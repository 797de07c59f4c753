"""The doubles of AWS behave as the tests of powertune take it, seen through boto3."""

import base64
import io
import json
import os
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import boto3
import pytest
from believable_lambda import BelievableLambda, Failure, FailureKind, Fault, Work, matches_pattern
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError
from ministack_server import Ministack

from powertune.aws_lambda.cpu import RUNTIME_OVERHEAD_MS, wall_time_ms
from powertune.aws_lambda.report_record import ReportRecord, iter_reports

NAME = "thumbnails"


def client(service: str = "lambda", **more: Any) -> Any:
    config = Config(retries={"total_max_attempts": 1}, max_pool_connections=32, **more)
    return boto3.client(service, config=config)


@pytest.fixture
def aws(believable: BelievableLambda) -> Any:
    """A Lambda client in an account with one function of 512 MB, where no time passes."""
    believable.time_scale = 0
    believable.create_function(NAME)
    return client()


def report_of(answer: Any) -> ReportRecord:
    (report,) = iter_reports(tail_of(answer).splitlines())
    assert isinstance(report, ReportRecord)
    return report


def tail_of(answer: Any) -> str:
    return base64.b64decode(answer["LogResult"]).decode()


def error_of(call: Callable[[], Any]) -> tuple[int, str]:
    """Return the HTTP status and the code of the error that a call ends with."""
    with pytest.raises(ClientError) as caught:
        call()
    response: Any = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def events_of(pattern: str = "", **more: Any) -> list[dict[str, Any]]:
    pages = client("logs").get_paginator("filter_log_events")
    wanted = {"logGroupName": f"/aws/lambda/{NAME}", "filterPattern": pattern, **more}
    return [event for page in pages.paginate(**wanted) for event in page["events"]]


# Invocations.


def test_a_cold_start_reports_its_init_and_bills_it(aws: Any) -> None:
    report = report_of(aws.invoke(FunctionName=NAME, LogType="Tail"))
    assert report.init_ms is not None
    assert report.billed_ms == pytest.approx(report.duration_ms + report.init_ms, abs=1.01)
    assert report.memory_mb == 512


def test_an_environment_serves_one_invocation_after_the_other(believable: BelievableLambda, aws: Any) -> None:
    for _ in range(3):
        aws.invoke(FunctionName=NAME)
    assert [execution.cold for execution in believable.invocations] == [True, False, False]
    assert len({execution.environment for execution in believable.invocations}) == 1


def test_invocations_at_once_get_environments_of_their_own_on_hosts_of_unlike_speed(
    believable: BelievableLambda, aws: Any
) -> None:
    believable.time_scale = 0.2
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: aws.invoke(FunctionName=NAME), range(8)))
    factors = {execution.host_factor for execution in believable.invocations}
    assert believable.max_concurrency_seen == len(factors) == 8
    assert all(0.85 <= factor <= 1.2 for factor in factors)


@pytest.mark.parametrize("memory_mb", [128, 512, 1769])
def test_durations_follow_the_cpu_law(believable: BelievableLambda, aws: Any, memory_mb: int) -> None:
    believable.host_spread = 0
    believable.work = Work(cpu_ms=300, wait_ms=50)
    believable.deploy(NAME, memory_mb=memory_mb)
    for _ in range(20):
        aws.invoke(FunctionName=NAME)
    durations_ms = [execution.duration_ms for execution in believable.invocations]
    law_ms = wall_time_ms([(300, 50)], memory_mb) + RUNTIME_OVERHEAD_MS
    assert fmean(durations_ms) == pytest.approx(law_ms, rel=0.02)
    assert len(set(durations_ms)) == 20


def test_work_can_depend_on_the_payload(believable: BelievableLambda, aws: Any) -> None:
    believable.host_spread = believable.noise = 0
    believable.work = lambda payload: Work(cpu_ms=0, wait_ms=float(json.loads(payload)["ms"]))
    for wait_ms in (5, 500):
        aws.invoke(FunctionName=NAME, Payload=json.dumps({"ms": wait_ms}))
    assert [execution.duration_ms - RUNTIME_OVERHEAD_MS for execution in believable.invocations] == [5, 500]
    assert json.loads(believable.invocations[1].payload) == {"ms": 500}


def test_invocations_take_scaled_time(believable: BelievableLambda, aws: Any) -> None:
    believable.work = Work(cpu_ms=0, wait_ms=1000, init_ms=0)
    believable.time_scale = 0.1
    began = time.monotonic()
    report = report_of(aws.invoke(FunctionName=NAME, LogType="Tail"))
    assert 0.08 < time.monotonic() - began < 0.9
    assert report.duration_ms > 800


def test_the_request_id_of_the_answer_is_that_of_the_log(aws: Any) -> None:
    answer = aws.invoke(FunctionName=NAME, LogType="Tail")
    request_id = answer["ResponseMetadata"]["RequestId"]
    assert report_of(answer).request_id == request_id
    assert [event["message"].split()[2] for event in events_of('"REPORT RequestId"')] == [request_id]


@pytest.mark.parametrize("how", ["qualifier", "qualified name", "qualified arn", "alias"])
def test_a_qualifier_reaches_its_version_however_it_is_given(believable: BelievableLambda, aws: Any, how: str) -> None:
    arn = aws.publish_version(FunctionName=NAME)["FunctionArn"]
    aws.create_alias(FunctionName=NAME, Name="live", FunctionVersion="1")
    believable.deploy(NAME, memory_mb=1024)
    names: dict[str, dict[str, str]] = {
        "qualifier": {"FunctionName": NAME, "Qualifier": "1"},
        "qualified name": {"FunctionName": f"{NAME}:1"},
        "qualified arn": {"FunctionName": arn},
        "alias": {"FunctionName": NAME, "Qualifier": "live"},
    }
    answer = aws.invoke(LogType="Tail", **names[how])
    assert answer["ExecutedVersion"] == "1"
    assert report_of(answer).memory_mb == 512
    assert aws.get_function_configuration(**names[how])["MemorySize"] == 512


@pytest.mark.parametrize("named", ["nobody", f"{NAME}:7", f"{NAME}:nowhere"])
def test_what_does_not_exist_is_not_found(aws: Any, named: str) -> None:
    assert error_of(lambda: aws.invoke(FunctionName=named)) == (404, "ResourceNotFoundException")
    assert error_of(lambda: aws.get_function(FunctionName=named)) == (404, "ResourceNotFoundException")


def test_a_dry_run_executes_nothing(believable: BelievableLambda, aws: Any) -> None:
    assert aws.invoke(FunctionName=NAME, InvocationType="DryRun")["StatusCode"] == 204
    assert not believable.invocations


def test_an_event_is_answered_at_once_and_executed_later(believable: BelievableLambda, aws: Any) -> None:
    believable.time_scale = 0.2
    answer = aws.invoke(FunctionName=NAME, InvocationType="Event", LogType="Tail")
    assert (answer["StatusCode"], "LogResult" in answer, len(believable.invocations)) == (202, False, 0)
    _wait_for(lambda: len(believable.invocations) == 1)


def test_the_tail_is_sent_to_those_who_ask_for_it(aws: Any) -> None:
    assert "LogResult" not in aws.invoke(FunctionName=NAME)
    assert tail_of(aws.invoke(FunctionName=NAME, LogType="Tail")).startswith("START RequestId: ")


def test_the_tail_can_lack_the_report(believable: BelievableLambda, aws: Any) -> None:
    believable.app_lines = ["resizing", "done"]
    believable.tail = "no-report"
    shown = tail_of(aws.invoke(FunctionName=NAME, LogType="Tail"))
    assert "resizing\ndone\nEND RequestId: " in shown
    assert "REPORT" not in shown
    believable.tail = "cut"
    assert set(tail_of(aws.invoke(FunctionName=NAME, LogType="Tail"))) == {"x", "\n"}
    believable.tail = "absent"
    assert "LogResult" not in aws.invoke(FunctionName=NAME, LogType="Tail")
    assert len(events_of("REPORT")) == 3


def test_x_ray_adds_a_second_line_to_the_report(believable: BelievableLambda, aws: Any) -> None:
    believable.xray = True
    assert "\t\nXRAY TraceId: " in tail_of(aws.invoke(FunctionName=NAME, LogType="Tail"))
    (event,) = events_of("REPORT")
    assert "\t\nXRAY TraceId: " in event["message"]


def test_json_logs_report_unless_the_level_hides_it(believable: BelievableLambda, aws: Any) -> None:
    believable.create_function("json", log_format="JSON")
    believable.create_function("quiet", log_format="JSON", system_log_level="WARN")
    assert report_of(aws.invoke(FunctionName="json", LogType="Tail")).init_ms is not None
    assert "platform" not in tail_of(aws.invoke(FunctionName="quiet", LogType="Tail"))
    believable.failures[512] = Failure("timeout")
    assert report_of(aws.invoke(FunctionName="quiet", LogType="Tail")).status == "timeout"


def test_payloads_have_to_be_json_of_6_mb_at_most(aws: Any) -> None:
    assert error_of(lambda: aws.invoke(FunctionName=NAME, Payload=b"{")) == (400, "InvalidRequestContentException")
    huge = json.dumps("x" * 6 * 1024 * 1024).encode()
    assert error_of(lambda: aws.invoke(FunctionName=NAME, Payload=huge)) == (413, "RequestTooLargeException")


# Failures of the function.


@pytest.mark.parametrize(
    ("kind", "error_type", "status"),
    [
        ("out-of-memory", "Runtime.OutOfMemory", "out-of-memory"),
        ("killed", "Runtime.ExitError", "out-of-memory"),
        ("timeout", "Sandbox.Timedout", "timed-out"),
        ("exception", "KeyError", "ok"),
    ],
)
def test_a_memory_size_can_fail_in_every_way_that_lambda_knows(
    believable: BelievableLambda, aws: Any, kind: FailureKind, error_type: str, status: str
) -> None:
    believable.failures[512] = Failure(kind, error_type="KeyError", error_message="'size'")
    answer = aws.invoke(FunctionName=NAME, LogType="Tail")
    assert answer["FunctionError"] == "Unhandled"
    assert json.loads(answer["Payload"].read())["errorType"] == error_type
    assert report_of(answer).to_invocation().status == status
    believable.deploy(NAME, memory_mb=1024)
    assert "FunctionError" not in aws.invoke(FunctionName=NAME)


def test_failures_can_be_rare(believable: BelievableLambda, aws: Any) -> None:
    believable.failures[512] = Failure("exception", every=3, times=2)
    failed = ["FunctionError" in aws.invoke(FunctionName=NAME) for _ in range(9)]
    assert failed == [False, False, True, False, False, True, False, False, False]


def test_too_little_memory_or_time_makes_work_fail_by_itself(believable: BelievableLambda, aws: Any) -> None:
    believable.work = Work(cpu_ms=10, memory_used_mb=600)
    out_of_memory = report_of(aws.invoke(FunctionName=NAME, LogType="Tail"))
    assert (out_of_memory.error_type, out_of_memory.max_memory_used_mb) == ("Runtime.OutOfMemory", 512)
    believable.work = Work(cpu_ms=0, wait_ms=40_000)
    timed_out = report_of(aws.invoke(FunctionName=NAME, LogType="Tail"))
    assert (timed_out.status, timed_out.duration_ms) == ("timeout", 30_000)


# Updates and versions.


def test_an_update_leaves_invocations_the_old_memory_until_it_is_done(believable: BelievableLambda, aws: Any) -> None:
    believable.time_scale = 0.001
    believable.update_s = (400, 400)
    believable.work = Work(cpu_ms=0)
    updated = aws.update_function_configuration(FunctionName=NAME, MemorySize=1024)
    assert (updated["LastUpdateStatus"], updated["MemorySize"]) == ("InProgress", 1024)
    conflict = (409, "ResourceConflictException")
    assert error_of(lambda: aws.update_function_configuration(FunctionName=NAME, MemorySize=256)) == conflict
    assert error_of(lambda: aws.update_function_code(FunctionName=NAME, ZipFile=b"")) == conflict
    assert error_of(lambda: aws.publish_version(FunctionName=NAME)) == conflict
    aws.invoke(FunctionName=NAME)
    aws.get_waiter("function_updated").wait(FunctionName=NAME, WaiterConfig={"Delay": 0.02, "MaxAttempts": 100})
    aws.invoke(FunctionName=NAME)
    assert [(one.memory_mb, one.cold) for one in believable.invocations] == [(512, True), (1024, True)]
    (_, before_mb), (changed_at, after_mb) = believable.memory_history(NAME)
    assert (before_mb, after_mb) == (512, 1024)
    assert changed_at == pytest.approx(believable.calls[0].time + 0.4, abs=0.2)


def test_the_revision_changes_with_an_update_when_it_is_done_and_by_publishing(aws: Any) -> None:
    revisions = [aws.get_function_configuration(FunctionName=NAME)["RevisionId"]]
    revisions.append(aws.update_function_configuration(FunctionName=NAME, Description="new")["RevisionId"])
    revisions.append(aws.get_function_configuration(FunctionName=NAME)["RevisionId"])
    aws.publish_version(FunctionName=NAME, RevisionId=revisions[-1])
    revisions.append(aws.get_function_configuration(FunctionName=NAME)["RevisionId"])
    assert len(set(revisions)) == 4


def test_what_has_changed_meanwhile_is_noticed_by_revision_and_by_code(aws: Any) -> None:
    wrong = {"FunctionName": NAME, "RevisionId": "somebody-else-was-here"}
    assert error_of(lambda: aws.update_function_configuration(**wrong)) == (412, "PreconditionFailedException")
    assert error_of(lambda: aws.publish_version(**wrong)) == (412, "PreconditionFailedException")
    assert error_of(lambda: aws.publish_version(FunctionName=NAME, CodeSha256="other")) == (
        400,
        "InvalidParameterValueException",
    )


def test_publishing_what_is_published_returns_the_version_there_is(aws: Any) -> None:
    first = aws.publish_version(FunctionName=NAME, Description="first")
    again = aws.publish_version(FunctionName=NAME, Description="again")
    assert [(one["Version"], one["Description"]) for one in (first, again)] == [("1", "first"), ("1", "first")]
    aws.update_function_configuration(FunctionName=NAME, MemorySize=1024)
    other = aws.publish_version(FunctionName=NAME)
    assert (other["Version"], other["Description"], other["MemorySize"]) == ("2", "", 1024)


def test_no_number_of_a_version_is_given_twice(aws: Any) -> None:
    aws.publish_version(FunctionName=NAME)
    aws.delete_function(FunctionName=NAME, Qualifier="1")
    assert aws.publish_version(FunctionName=NAME)["Version"] == "2"


def test_a_new_version_can_be_pending_for_a_while(believable: BelievableLambda, aws: Any) -> None:
    believable.time_scale = 0.001
    believable.version_pending_s = 100
    assert aws.publish_version(FunctionName=NAME)["State"] == "Pending"
    assert error_of(lambda: aws.invoke(FunctionName=f"{NAME}:1")) == (409, "ResourceConflictException")
    _wait_for(lambda: aws.get_function_configuration(FunctionName=f"{NAME}:1")["State"] == "Active")
    assert aws.invoke(FunctionName=f"{NAME}:1")["ExecutedVersion"] == "1"


def test_publishing_can_take_long(believable: BelievableLambda, aws: Any) -> None:
    believable.time_scale = 0.001
    believable.publish_s = 100
    began = time.monotonic()
    aws.publish_version(FunctionName=NAME)
    assert time.monotonic() - began > 0.09


def test_a_version_keeps_its_settings_when_the_function_changes(believable: BelievableLambda, aws: Any) -> None:
    believable.create_function("snap", SnapStart={"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"})
    aws.publish_version(FunctionName="snap")
    aws.update_function_configuration(
        FunctionName="snap", SnapStart={"ApplyOn": "None"}, Environment={"Variables": {"SIZE": "4"}}
    )
    latest, version = aws.list_versions_by_function(FunctionName="snap")["Versions"]
    assert (latest["SnapStart"]["ApplyOn"], latest["Environment"]["Variables"]) == ("None", {"SIZE": "4"})
    assert version["SnapStart"]["ApplyOn"] == "PublishedVersions"
    assert "Environment" not in version


def test_functions_can_be_created_and_deployed_over_the_api(believable: BelievableLambda) -> None:
    aws = client()
    role = client("iam").create_role(RoleName="any", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    created = aws.create_function(
        FunctionName="mine",
        Role=role,
        Runtime="python3.12",
        Handler="app.handler",
        Code={"ZipFile": _zipped("pass")},
        LoggingConfig={"LogFormat": "JSON"},
        EphemeralStorage={"Size": 1024},
    )
    assert (created["LoggingConfig"]["LogFormat"], created["EphemeralStorage"]["Size"]) == ("JSON", 1024)
    deployed = aws.update_function_code(FunctionName="mine", ZipFile=_zipped("return"))
    assert deployed["LastUpdateStatus"] == "InProgress"
    found = aws.get_function(FunctionName="mine")["Configuration"]
    assert (found["LastUpdateStatus"], found["CodeSha256"]) == ("Successful", deployed["CodeSha256"])
    assert found["CodeSha256"] != created["CodeSha256"]
    elsewhere = boto3.client("lambda", region_name="eu-west-1")
    assert error_of(lambda: elsewhere.get_function(FunctionName="mine")) == (404, "ResourceNotFoundException")
    assert believable.snapshot("mine")["versions"] == []


def test_versions_come_in_pages_of_fifty(believable: BelievableLambda, aws: Any) -> None:
    for memory_mb in range(128, 188):
        believable.deploy(NAME, memory_mb=memory_mb)
        aws.publish_version(FunctionName=NAME)
    pages = list(aws.get_paginator("list_versions_by_function").paginate(FunctionName=NAME))
    assert [len(page["Versions"]) for page in pages] == [50, 11]


@pytest.mark.parametrize(("memory_mb", "limit_mb"), [(4096, 3008), (10_241, None)])
def test_memory_has_bounds(believable: BelievableLambda, aws: Any, memory_mb: int, limit_mb: int | None) -> None:
    believable.account_memory_limit_mb = limit_mb
    with pytest.raises(ClientError, match=f"less than or equal to {limit_mb or 10_240}") as caught:
        aws.update_function_configuration(FunctionName=NAME, MemorySize=memory_mb)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert aws.get_function_configuration(FunctionName=NAME)["MemorySize"] == 512


def test_deleting_a_version_never_deletes_the_function(aws: Any) -> None:
    aws.publish_version(FunctionName=NAME)
    aws.create_alias(FunctionName=NAME, Name="live", FunctionVersion="1")
    assert error_of(lambda: aws.delete_function(FunctionName=NAME, Qualifier="1")) == (409, "ResourceConflictException")
    aws.delete_alias(FunctionName=NAME, Name="live")
    for _ in range(2):
        aws.delete_function(FunctionName=f"{NAME}:1")
    assert [one["Version"] for one in aws.list_versions_by_function(FunctionName=NAME)["Versions"]] == ["$LATEST"]
    aws.delete_function(FunctionName=NAME)
    assert error_of(lambda: aws.get_function(FunctionName=NAME)) == (404, "ResourceNotFoundException")


def test_aliases_have_revisions_weights_and_versions(believable: BelievableLambda, aws: Any) -> None:
    aws.publish_version(FunctionName=NAME)
    believable.deploy(NAME, memory_mb=1024)
    aws.publish_version(FunctionName=NAME)
    aws.create_alias(
        FunctionName=NAME,
        Name="live",
        FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}},
    )
    versions = {aws.invoke(FunctionName=NAME, Qualifier="live")["ExecutedVersion"] for _ in range(30)}
    assert versions == {"1", "2"}
    wrong = {"FunctionName": NAME, "Name": "live", "FunctionVersion": "2", "RevisionId": "other"}
    assert error_of(lambda: aws.update_alias(**wrong)) == (412, "PreconditionFailedException")
    assert error_of(lambda: aws.get_alias(FunctionName=NAME, Name="none")) == (404, "ResourceNotFoundException")
    for version, names in (("1", ["live"]), ("$LATEST", [])):
        listed = aws.list_aliases(FunctionName=NAME, FunctionVersion=version)["Aliases"]
        assert [alias["Name"] for alias in listed] == names


def test_a_snapshot_is_equal_again_once_everything_is_as_it_was(believable: BelievableLambda, aws: Any) -> None:
    before = believable.snapshot(NAME)
    aws.update_function_configuration(FunctionName=NAME, MemorySize=1024)
    aws.publish_version(FunctionName=NAME)
    assert believable.snapshot(NAME) != before
    aws.update_function_configuration(FunctionName=NAME, MemorySize=512)
    assert believable.snapshot(NAME) != before
    aws.delete_function(FunctionName=NAME, Qualifier="1")
    assert believable.snapshot(NAME) == before


def test_somebody_can_deploy_right_before_a_call(believable: BelievableLambda, aws: Any) -> None:
    found = aws.get_function_configuration(FunctionName=NAME)
    believable.on_call("PublishVersion", 2, lambda: believable.deploy(NAME, code=b"new", memory_mb=256))
    assert aws.publish_version(FunctionName=NAME, CodeSha256=found["CodeSha256"])["MemorySize"] == 512
    assert error_of(lambda: aws.publish_version(FunctionName=NAME, CodeSha256=found["CodeSha256"])) == (
        400,
        "InvalidParameterValueException",
    )
    assert aws.get_function_configuration(FunctionName=NAME)["MemorySize"] == 256


# Limits.


def test_reserved_concurrency_of_zero_switches_a_function_off(aws: Any) -> None:
    assert "ReservedConcurrentExecutions" not in aws.get_function_concurrency(FunctionName=NAME)
    aws.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=0)
    with pytest.raises(aws.exceptions.TooManyRequestsException) as caught:
        aws.invoke(FunctionName=NAME)
    assert caught.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"


def test_invocations_above_the_account_s_concurrency_are_throttled(believable: BelievableLambda, aws: Any) -> None:
    believable.time_scale = 0.3
    believable.concurrency_limit = 2
    with ThreadPoolExecutor(6) as pool:
        running = [pool.submit(aws.invoke, FunctionName=NAME) for _ in range(6)]
    errors = [error for error in (one.exception() for one in running) if error is not None]
    assert (len(errors), believable.max_concurrency_seen) == (4, 2)
    for error in errors:
        assert isinstance(error, aws.exceptions.TooManyRequestsException)
        assert error.response["Reason"] == "ConcurrentInvocationLimitExceeded"
        assert error.response["retryAfterSeconds"] == "1"


def test_the_control_plane_can_have_a_rate(believable: BelievableLambda, aws: Any) -> None:
    believable.control_plane_rps = 2
    for _ in range(2):
        aws.get_function_configuration(FunctionName=NAME)
    with pytest.raises(aws.exceptions.TooManyRequestsException) as caught:
        aws.get_function_configuration(FunctionName=NAME)
    assert caught.value.response["Reason"] == "CallerRateLimitExceeded"
    aws.invoke(FunctionName=NAME)
    time.sleep(0.6)
    aws.get_function_configuration(FunctionName=NAME)


def test_provisioned_concurrency_is_what_the_test_says(believable: BelievableLambda, aws: Any) -> None:
    assert aws.list_provisioned_concurrency_configs(FunctionName=NAME)["ProvisionedConcurrencyConfigs"] == []
    asked = {"FunctionName": NAME, "Qualifier": "live"}
    assert error_of(lambda: aws.get_provisioned_concurrency_config(**asked)) == (
        404,
        "ProvisionedConcurrencyConfigNotFoundException",
    )
    believable.provisioned_concurrency = {f"{NAME}:live": 3}
    assert aws.get_provisioned_concurrency_config(**asked)["Status"] == "READY"
    (listed,) = aws.list_provisioned_concurrency_configs(FunctionName=NAME)["ProvisionedConcurrencyConfigs"]
    assert listed["FunctionArn"].endswith(f"{NAME}:live")


# Faults of the API.


def test_every_error_that_invoking_can_have_arrives_as_boto3_s_exception(
    believable: BelievableLambda, aws: Any
) -> None:
    shapes = aws.meta.service_model.operation_model("Invoke").error_shapes
    assert len(shapes) > 40
    for shape in shapes:
        believable.faults = [Fault("Invoke", shape.metadata["error"]["httpStatusCode"], shape.name, "as ordered")]
        with pytest.raises(getattr(aws.exceptions, shape.name), match="as ordered"):
            aws.invoke(FunctionName=NAME)
    assert not believable.invocations


@pytest.mark.parametrize("code", ["ExpiredTokenException", "AccessDeniedException"])
def test_faults_can_be_such_as_every_service_has(believable: BelievableLambda, aws: Any, code: str) -> None:
    believable.faults = [Fault("*", 403, code, times=None)]
    assert error_of(lambda: aws.publish_version(FunctionName=NAME)) == (403, code)
    assert error_of(lambda: client("logs").filter_log_events(logGroupName="x")) == (403, code)
    assert error_of(lambda: client("sts").get_caller_identity()) == (403, code)
    assert error_of(lambda: client("s3").get_object(Bucket="bucket", Key="x")) == (403, code)


def test_faults_come_when_and_as_often_as_asked(believable: BelievableLambda, aws: Any) -> None:
    believable.faults = [Fault("Invoke", after=1, times=2, execute=True)]
    outcomes = []
    for _ in range(4):
        try:
            aws.invoke(FunctionName=NAME)
            outcomes.append("ok")
        except aws.exceptions.ServiceException:
            outcomes.append("fault")
    assert outcomes == ["ok", "fault", "fault", "ok"]
    assert len(believable.invocations) == 4
    assert [call.status for call in believable.calls] == [200, 500, 500, 200]


@pytest.mark.parametrize("execute", [False, True])
def test_a_connection_can_break_before_or_after_the_work(
    believable: BelievableLambda, aws: Any, *, execute: bool
) -> None:
    believable.faults = [Fault("Invoke", drop=True, execute=execute)]
    with pytest.raises(ConnectionClosedError):
        aws.invoke(FunctionName=NAME)
    assert len(believable.invocations) == execute
    aws.invoke(FunctionName=NAME)


def test_answers_can_be_late(believable: BelievableLambda, aws: Any) -> None:
    believable.faults = [Fault("GetFunction", delay_s=0.5)]
    with pytest.raises(ReadTimeoutError):
        client(read_timeout=0.1).get_function(FunctionName=NAME)
    believable.latency_s = 0.05
    began = time.monotonic()
    aws.get_function(FunctionName=NAME)
    assert time.monotonic() - began >= 0.05


# Logs.


def test_log_events_can_be_found_once_they_are_old_enough(believable: BelievableLambda, aws: Any) -> None:
    believable.ingestion_lag_s = 0.6
    aws.publish_version(FunctionName=NAME)
    aws.invoke(FunctionName=f"{NAME}:1")
    with pytest.raises(ClientError, match="does not exist"):
        events_of()
    _wait_for(lambda: _groups() == [f"/aws/lambda/{NAME}"])
    streams = {event["logStreamName"] for event in events_of()}
    assert streams == {believable.invocations[0].environment}
    assert "/[1]" in streams.pop()
    assert [event["message"].split()[0] for event in events_of()] == ["INIT_START", "START", "END", "REPORT"]


def test_log_events_come_in_pages_that_may_be_empty(believable: BelievableLambda, aws: Any) -> None:
    believable.log_page_size = 3
    for _ in range(4):
        aws.invoke(FunctionName=NAME)
    pages = list(
        client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=f"/aws/lambda/{NAME}", filterPattern="INIT_START")
    )
    assert [len(page["events"]) for page in pages] == [1, 0, 0, 0, 0]
    assert len(events_of("REPORT")) == 4
    assert not events_of("REPORT", startTime=int(time.time() * 1000) + 60_000)
    assert not events_of("REPORT", logStreamNamePrefix="2001/")


def test_logs_can_be_left_out(believable: BelievableLambda, aws: Any) -> None:
    believable.write_logs = False
    assert "REPORT" in tail_of(aws.invoke(FunctionName=NAME, LogType="Tail"))
    assert _groups() == []


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("", True),
        ("REPORT", True),
        ("report", False),
        ("REPORT START", False),
        ("REPORT Duration", True),
        ('"REPORT RequestId"', True),
        ('"REPORT Duration"', False),
        ('?"REPORT RequestId" ?"platform.report"', True),
        ("?START ?END", False),
        ("REPORT -Duration", False),
        ('{ $.type = "platform.report" }', False),
    ],
)
def test_filter_patterns_are_honoured(pattern: str, *, found: bool) -> None:
    assert matches_pattern("REPORT RequestId: 7\tDuration: 1 ms", pattern) == found


def test_filter_patterns_look_into_json() -> None:
    message = '{"type":"platform.report","record":{"status":"timeout"}}'
    assert matches_pattern(message, '{ $.type = "platform.report" }')
    assert matches_pattern(message, "{$.record.status=timeout}")
    assert not matches_pattern(message, '{ $.type = "platform.start" }')


# The server.


def test_one_connection_serves_many_requests(believable: BelievableLambda, aws: Any) -> None:
    for _ in range(10):
        aws.invoke(FunctionName=NAME)["Payload"].read()  # or botocore keeps the connection to itself
        aws.get_function_configuration(FunctionName=NAME)
    assert believable.connections_seen == 1


def test_s3_and_sts_answer_at_the_same_address(believable: BelievableLambda) -> None:
    bucket = client("s3")
    bucket.create_bucket(Bucket="payloads")
    bucket.put_object(Bucket="payloads", Key="events/one.json", Body=b'{"n": 1}')
    assert bucket.get_object(Bucket="payloads", Key="events/one.json")["Body"].read() == b'{"n": 1}'
    assert error_of(lambda: bucket.get_object(Bucket="payloads", Key="none")) == (404, "NoSuchKey")
    assert client("sts").get_caller_identity()["Account"] == "123456789012"
    assert {call.operation for call in believable.calls} >= {"PutObject", "GetObject", "GetCallerIdentity"}


def test_a_reset_forgets_everything(believable: BelievableLambda, aws: Any) -> None:
    aws.invoke(FunctionName=NAME)
    believable.tail = "absent"
    believable.reset()
    assert (believable.calls, believable.invocations, believable.tail) == ([], [], "normal")
    assert error_of(lambda: aws.get_function(FunctionName=NAME)) == (404, "ResourceNotFoundException")
    believable.create_function(NAME)
    assert aws.publish_version(FunctionName=NAME)["Version"] == "1"


def test_a_reset_does_not_hear_of_what_still_runs(believable: BelievableLambda, aws: Any) -> None:
    believable.time_scale = 0.3
    aws.invoke(FunctionName=NAME, InvocationType="Event")
    believable.reset()
    believable.create_function(NAME)
    time.sleep(0.4)
    assert not believable.invocations
    assert _groups() == []
    believable.concurrency_limit = 0
    assert error_of(lambda: aws.invoke(FunctionName=NAME)) == (429, "TooManyRequestsException")


def test_the_same_hosts_are_drawn_again(believable: BelievableLambda) -> None:
    drawn = []
    for _ in range(2):
        believable.reset()
        believable.time_scale = 0
        believable.create_function(NAME)
        for memory_mb in (128, 256, 512):
            believable.deploy(NAME, memory_mb=memory_mb)
            client().invoke(FunctionName=NAME)
        drawn.append([execution.duration_ms for execution in believable.invocations])
    assert drawn[0] == drawn[1]
    assert all(slower > faster for slower, faster in pairwise(drawn[0]))


# ministack.


@pytest.mark.usefixtures("on_ministack")
def test_ministack_runs_handlers_and_reports_in_its_logs() -> None:
    aws = client()
    aws.create_function(
        FunctionName=NAME,
        Runtime="python3.12",
        Handler="app.handler",
        Role="arn:aws:iam::123456789012:role/any",
        Code={"ZipFile": _zipped("return context.memory_limit_in_mb")},
        MemorySize=384,
    )
    aws.get_waiter("function_active_v2").wait(FunctionName=NAME, WaiterConfig={"Delay": 0.1, "MaxAttempts": 100})
    answer = aws.invoke(FunctionName=NAME, LogType="Tail")
    assert json.loads(answer["Payload"].read()) == 384
    assert "LogResult" not in answer
    (event,) = events_of("REPORT")
    (report,) = iter_reports([event["message"]])
    assert isinstance(report, ReportRecord)
    assert report.memory_mb == 384
    assert "/[$LATEST]" in event["logStreamName"]


def test_ministack_leaves_no_process_behind() -> None:
    with Ministack() as server:
        pid = server.pid
        os.killpg(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.killpg(pid, 0)
    assert not Path(server.home).exists()


def _zipped(body: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("app.py", f"def handler(event, context):\n    {body}\n")
    return archive.getvalue()


def _groups() -> list[str]:
    return [group["logGroupName"] for group in client("logs").describe_log_groups()["logGroups"]]


def _wait_for(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)
