"""The function as it stands: how it may be named, what makes it another one, and what cannot be tuned."""

import copy
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from powertune.aws_lambda.function_name import FunctionName, parse_function
from powertune.errors import AwsError, PowertuneError, UsageError
from powertune.sources.aws import target as module
from powertune.sources.aws.clients import Aws, DeniedError, NotFoundError
from powertune.sources.aws.target import (
    DEPLOYED_FIELDS,
    Target,
    connect,
    differences,
    inspect,
    plain,
    reference_to,
    settled_configuration,
)

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:orders"

# As AWS answers for a function that uses all that a function can.
FULL: Mapping[str, Any] = {
    "FunctionName": "orders",
    "FunctionArn": ARN,
    "Runtime": "python3.13",
    "Role": "arn:aws:iam::123456789012:role/orders",
    "Handler": "app.handler",
    "CodeSize": 1234,
    "Description": "takes orders",
    "Timeout": 30,
    "MemorySize": 512,
    "LastModified": "2026-11-20T10:00:00.000+0000",
    "CodeSha256": "YmVsaWV2YWJsZQ==",
    "Version": "$LATEST",
    "VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"], "VpcId": "vpc-1"},
    "DeadLetterConfig": {"TargetArn": "arn:aws:sqs:eu-central-1:123456789012:dead"},
    "Environment": {"Variables": {"TABLE": "orders", "TOKEN": "hunter2"}},
    "KMSKeyArn": "arn:aws:kms:eu-central-1:123456789012:key/1",
    "TracingConfig": {"Mode": "Active"},
    "RevisionId": "11111111-1111-1111-1111-111111111111",
    "Layers": [{"Arn": "arn:aws:lambda:eu-central-1:123456789012:layer:one:1", "CodeSize": 10}],
    "State": "Active",
    "LastUpdateStatus": "Successful",
    "FileSystemConfigs": [{"Arn": "arn:aws:elasticfilesystem:1", "LocalMountPath": "/mnt/a"}],
    "PackageType": "Zip",
    "ImageConfigResponse": {"ImageConfig": {"Command": ["app.handler"]}},
    "Architectures": ["arm64"],
    "EphemeralStorage": {"Size": 1024},
    "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
    "RuntimeVersionConfig": {"RuntimeVersionArn": "arn:aws:lambda:eu-central-1::runtime:1"},
    "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/orders"},
    "TenancyConfig": {"TenantIsolationMode": "PER_TENANT"},
}
PLAIN: Mapping[str, Any] = {
    "FunctionName": "orders",
    "FunctionArn": ARN,
    "Runtime": "python3.13",
    "Timeout": 3,
    "MemorySize": 512,
    "CodeSha256": "YmVsaWV2YWJsZQ==",
}


def error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "AWS says so"}}, "GetFunctionConfiguration")


class Control:
    """A Lambda that only answers questions."""

    def __init__(
        self,
        latest: Mapping[str, Any],
        *,
        versions: Mapping[str, Mapping[str, Any]] | None = None,
        reserved: int | Exception | None = None,
        provisioned: list[dict[str, Any]] | Exception | None = None,
    ) -> None:
        self.latest = dict(latest)
        self.versions = versions or {}
        self.reserved = reserved
        self.provisioned: list[dict[str, Any]] | Exception = provisioned or []
        self.names: list[str] = []

    def get_function_configuration(
        self,
        FunctionName: str,  # noqa: N803 - as in boto3
        Qualifier: str | None = None,  # noqa: N803 - as in boto3
    ) -> dict[str, Any]:
        self.names.append(FunctionName)
        if Qualifier is None:
            return copy.deepcopy(self.latest)
        if Qualifier not in self.versions:
            raise error("ResourceNotFoundException")
        return copy.deepcopy(dict(self.versions[Qualifier]))

    def get_function_concurrency(self, FunctionName: str) -> dict[str, Any]:  # noqa: N803 - as in boto3
        self.names.append(FunctionName)
        if isinstance(self.reserved, Exception):
            raise self.reserved
        return {} if self.reserved is None else {"ReservedConcurrentExecutions": self.reserved}

    def list_provisioned_concurrency_configs(self, FunctionName: str) -> dict[str, Any]:  # noqa: N803 - as in boto3
        self.names.append(FunctionName)
        if isinstance(self.provisioned, Exception):
            raise self.provisioned
        return {"ProvisionedConcurrencyConfigs": self.provisioned}


def seen(control: Control, spec: str = "orders", **options: Any) -> Target:
    aws = SimpleNamespace(control=control, region="eu-central-1")
    return inspect(cast("Aws", aws), parse_function(spec), **options)


# What makes a function another one.


def changed(name: str) -> Any:
    """Return a field as a deploy may leave it."""
    value = FULL[name]
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, int):
        return value + 1
    if isinstance(value, list):
        return [*value, *value]
    key = next(iter(value))
    return {**value, key: "another"}


@pytest.mark.parametrize("name", DEPLOYED_FIELDS)
def test_a_deploy_shows_in_each_field_that_it_may_change(name: str) -> None:
    assert differences(FULL, {**FULL, name: changed(name)}) == [name]
    without = {key: value for key, value in FULL.items() if key != name}
    assert differences(FULL, without) == differences(without, FULL) == [name]


@pytest.mark.parametrize("name", sorted(set(FULL) - set(DEPLOYED_FIELDS)))
def test_what_lambda_and_powertune_change_themselves_is_no_deploy(name: str) -> None:
    assert differences(FULL, {**FULL, name: changed(name)}) == []


def test_what_lambda_computes_within_a_field_is_no_deploy() -> None:
    other = copy.deepcopy(dict(FULL))
    other["VpcConfig"]["VpcId"] = "vpc-2"
    other["Layers"][0]["CodeSize"] = 99
    assert differences(FULL, other) == []


@pytest.mark.parametrize("variable", ["VpcId", "CodeSize", "OptimizationStatus"])
def test_environment_variables_may_have_the_names_of_what_lambda_computes(variable: str) -> None:
    one = {"Environment": {"Variables": {variable: "a"}}}
    assert differences(one, {"Environment": {"Variables": {variable: "b"}}}) == ["Environment"]
    assert differences(one, {}) == ["Environment"]


def test_the_value_of_an_environment_variable_is_part_of_the_function() -> None:
    one = {"Environment": {"Variables": {"A": "1", "B": ""}}}
    assert differences(one, {"Environment": {"Variables": {"A": "2", "B": ""}}}) == ["Environment"]
    assert differences(one, {"Environment": {"Variables": {"A": "1"}}}) == ["Environment"]


@pytest.mark.parametrize(
    "empty",
    [
        None,
        "",
        [],
        {},
        {"Variables": {}},
        {"SubnetIds": [], "SecurityGroupIds": [], "VpcId": "", "Ipv6AllowedForDualStack": False},
        {"OptimizationStatus": "Off"},
        {"ImageConfig": {"Command": []}},
    ],
)
def test_empty_and_absent_are_the_same(empty: object) -> None:
    assert plain(empty) is None
    assert all(differences({name: empty}, {}) == [] for name in DEPLOYED_FIELDS)


def test_the_order_of_keys_does_not_matter_and_that_of_layers_does() -> None:
    one = {"LoggingConfig": {"LogFormat": "JSON", "SystemLogLevel": "INFO"}}
    assert differences(one, {"LoggingConfig": {"SystemLogLevel": "INFO", "LogFormat": "JSON"}}) == []
    layers = [{"Arn": "a"}, {"Arn": "b"}]
    assert differences({"Layers": layers}, {"Layers": layers[::-1]}) == ["Layers"]


# How it is named.


@pytest.mark.parametrize(
    ("spec", "reference"),
    [
        ("orders", "orders"),
        ("function:orders", "orders"),
        ("orders:live", "orders"),
        ("123456789012:function:orders", "123456789012:function:orders"),
        ("123456789012:function:orders:7", "123456789012:function:orders"),
        ("eu-central-1:123456789012:function:orders", ARN),
        (ARN, ARN),
        (f"{ARN}:$LATEST", ARN),
        ("cn-north-1:123456789012:function:orders", "arn:aws-cn:lambda:cn-north-1:123456789012:function:orders"),
    ],
)
def test_requests_name_the_function_as_far_as_it_was_named_and_without_its_qualifier(spec: str, reference: str) -> None:
    assert reference_to(parse_function(spec)) == reference
    control = Control(PLAIN, versions={"live": PLAIN, "7": PLAIN})
    seen(control, spec)
    assert set(control.names) == {reference}


def test_the_region_of_an_arn_counts_and_must_not_contradict_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    regions: list[str | None] = []

    def record(region: str | None, profile: str | None = None) -> SimpleNamespace:
        regions.append(region)
        return SimpleNamespace(profile=profile)

    monkeypatch.setattr(module, "Aws", record)
    connect(ARN)
    connect(ARN, region="eu-central-1")
    connect("orders", region="us-east-1")
    aws, named = connect("orders:live", profile="work")
    assert regions == ["eu-central-1", "eu-central-1", "us-east-1", None]
    assert aws == SimpleNamespace(profile="work")
    assert named == FunctionName("orders", "live")
    with pytest.raises(UsageError, match="the ARN names eu-central-1, --region us-east-1") as caught:
        connect(ARN, region="us-east-1")
    assert caught.value.hint


def test_a_qualifier_may_be_given_once() -> None:
    control = Control(PLAIN, versions={"live": {**PLAIN, "MemorySize": 1024}})
    for spec, qualifier in (("orders:live", None), ("orders", "live"), ("orders:live", "live")):
        target = seen(control, spec, qualifier=qualifier)
        assert (target.qualifier, target.current_memory_mb, target.memory_mb) == ("live", 1024, 512)
    with pytest.raises(UsageError, match="--qualifier 7") as caught:
        seen(control, "orders:live", qualifier="7")
    assert caught.value.hint


def test_latest_is_no_qualifier() -> None:
    target = seen(Control({**PLAIN, "FunctionArn": f"{ARN}:$LATEST"}), "orders:$LATEST")
    assert target.qualifier is None
    assert target.arn == ARN


# What it is.


def test_a_function_says_what_there_is_to_know() -> None:
    target = seen(Control(FULL, reserved=5), tenant_id="test")
    assert target.name == "orders"
    assert (target.memory_mb, target.timeout_s, target.architecture) == (512, 30, "arm64")
    assert (target.ephemeral_storage_mb, target.log_group, target.logs_json) == (1024, "/aws/lambda/orders", False)
    assert (target.reserved_concurrency, target.code_sha256) == (5, "YmVsaWV2YWJsZQ==")
    assert target.details == {"qualifier": None, "code_sha256": "YmVsaWV2YWJsZQ=="}
    assert (target.facts.runtime, target.facts.timeout_s) == ("python3.13", 30)
    assert not target.warnings


def test_what_it_does_not_say_is_what_lambda_takes_it_for() -> None:
    target = seen(Control({"FunctionName": "orders", "FunctionArn": ARN, "MemorySize": 128, "PackageType": "Image"}))
    assert (target.timeout_s, target.architecture, target.ephemeral_storage_mb) == (3, "x86_64", 512)
    assert (target.log_group, target.code_sha256) == ("/aws/lambda/orders", "")
    assert target.facts.runtime == "container image"


def test_logs_in_json_are_recognised() -> None:
    logging = {"LogFormat": "JSON", "SystemLogLevel": "INFO", "LogGroup": "/one/for/all"}
    target = seen(Control({**PLAIN, "LoggingConfig": logging}))
    assert (target.logs_json, target.log_group) == (True, "/one/for/all")


@pytest.mark.parametrize(
    ("config", "code", "words"),
    [
        ({"SnapStart": {"ApplyOn": "PublishedVersions"}}, "snapstart", "billed for at least three hours"),
        ({"DurableConfig": {"ExecutionTimeout": 60}}, "durable-function", "replays"),
    ],
)
def test_what_makes_figures_less_than_the_whole_truth_is_a_warning(
    config: dict[str, Any], code: str, words: str
) -> None:
    (warning,) = seen(Control({**PLAIN, **config})).warnings
    assert warning.code == code
    assert words in warning.message
    assert warning.hint


def test_snapshots_of_java_cost_nothing() -> None:
    config = {**PLAIN, "SnapStart": {"ApplyOn": "PublishedVersions"}, "Runtime": "java21"}
    (warning,) = seen(Control(config)).warnings
    assert "billed" not in warning.message


def test_provisioned_concurrency_is_a_warning_where_it_may_be_known() -> None:
    (warning,) = seen(Control(PLAIN, provisioned=[{"FunctionArn": f"{ARN}:live"}])).warnings
    assert warning.code == "provisioned-concurrency"
    assert not seen(Control(PLAIN, provisioned=error("AccessDeniedException"))).warnings


def test_reserved_concurrency_may_be_unknown() -> None:
    assert seen(Control(PLAIN, reserved=error("AccessDeniedException"))).reserved_concurrency is None
    with pytest.raises(AwsError, match="reading the reserved concurrency"):
        seen(Control(PLAIN, reserved=error("ServiceException")))


# What cannot be tuned.


@pytest.mark.parametrize(
    ("config", "message", "hint"),
    [
        ({"CapacityProviderConfig": {"x": 1}}, "Managed Instances", "utilisation"),
        ({"MasterArn": ARN}, "Lambda@Edge", "us-east-1"),
        ({"TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}}, "isolates tenants", "--tenant-id"),
        ({"State": "Failed", "StateReason": "no ENI left"}, "in state Failed: no ENI left", "Active"),
        ({"State": "Deactivating"}, "in state Deactivating: AWS gives no reason", "Active"),
        ({"State": "Deactivated"}, "in state Deactivated", "Active"),
        ({"State": "ActiveNonInvocable"}, "in state ActiveNonInvocable", "Active"),
        ({"State": "Deleting"}, "in state Deleting", "Active"),
        (
            {"LastUpdateStatus": "Failed", "LastUpdateStatusReason": "bad image"},
            "last update of orders failed: bad image",
            "deploy",
        ),
        ({"LoggingConfig": {"LogFormat": "JSON", "SystemLogLevel": "WARN"}}, "level WARN", "SystemLogLevel=INFO"),
    ],
)
def test_what_cannot_be_tuned_is_refused_with_a_way_out(config: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(AwsError) as caught:
        seen(Control({**PLAIN, **config}))
    assert message in caught.value.message
    assert "orders" in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "config",
    [
        {"State": "Inactive"},
        {"LoggingConfig": {"LogFormat": "JSON", "SystemLogLevel": "DEBUG"}},
        {"LoggingConfig": {"LogFormat": "Text", "SystemLogLevel": "WARN"}},
        {"TenancyConfig": {"TenantIsolationMode": "SHARED"}},
    ],
)
def test_what_only_looks_like_it_is_tuned(config: dict[str, Any]) -> None:
    assert seen(Control({**PLAIN, **config})).memory_mb == 512


def test_a_disabled_function_is_refused() -> None:
    with pytest.raises(AwsError, match="reserved concurrency is 0") as caught:
        seen(Control(PLAIN, reserved=0))
    assert "delete-function-concurrency --function-name orders" in caught.value.hint


def test_a_version_that_holds_other_code_is_refused_unless_that_is_accepted() -> None:
    control = Control(PLAIN, versions={"live": {**PLAIN, "CodeSha256": "other", "Timeout": 9, "MemorySize": 256}})
    with pytest.raises(AwsError, match=r"live of orders is not what \$LATEST holds: CodeSha256, Timeout") as caught:
        seen(control, "orders:live")
    assert "--latest" in caught.value.hint
    target = seen(control, "orders:live", tune_latest=True)
    assert target.current_memory_mb == 256
    (warning,) = target.warnings
    assert warning.code == "other-code"
    assert "CodeSha256, Timeout" in warning.message


def test_a_version_may_have_a_description_of_its_own() -> None:
    assert not seen(Control(PLAIN, versions={"7": {**PLAIN, "Description": "release 7"}}), "orders:7").warnings


@pytest.mark.parametrize(
    ("code", "kind"), [("ResourceNotFoundException", NotFoundError), ("AccessDenied", DeniedError)]
)
def test_what_aws_refuses_to_tell_is_explained(code: str, kind: type[PowertuneError]) -> None:
    def refused(**_: str) -> dict[str, Any]:
        raise error(code)

    aws = SimpleNamespace(control=SimpleNamespace(get_function_configuration=refused))
    with pytest.raises(kind, match="reading the function") as caught:
        inspect(cast("Aws", aws), parse_function("orders"))
    assert caught.value.hint


def test_a_version_that_is_not_there_is_named() -> None:
    with pytest.raises(NotFoundError, match="reading 99 of the function"):
        seen(Control(PLAIN), "orders:99")


# Waiting for an update to end.


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.mark.parametrize("busy", [{"LastUpdateStatus": "InProgress"}, {"State": "Pending"}])
def test_an_update_in_progress_is_waited_for(busy: dict[str, Any], clock: Clock) -> None:
    answers = [{**PLAIN, **busy}, {**PLAIN, **busy}, PLAIN]
    control = SimpleNamespace(get_function_configuration=lambda **_: answers.pop(0))
    aws = cast("Aws", SimpleNamespace(control=control))
    assert settled_configuration(aws, "orders", poll_s=0.25) == PLAIN
    assert clock.pauses == [0.25, 0.25]


def test_an_update_that_does_not_end_is_told(clock: Clock) -> None:
    control = SimpleNamespace(get_function_configuration=lambda **_: {**PLAIN, "LastUpdateStatus": "InProgress"})
    with pytest.raises(AwsError, match="an update of orders has been in progress") as caught:
        settled_configuration(cast("Aws", SimpleNamespace(control=control)), "orders", poll_s=0.25)
    assert caught.value.hint
    assert max(clock.pauses) == 1.0, "seldom, to leave others their share of requests"
    assert sorted(clock.pauses) == clock.pauses
