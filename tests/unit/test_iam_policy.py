"""The IAM policy: enough for tuning, and nothing that could harm the function or another one."""

import json
import re
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from powertune.aws_lambda.iam_policy import Feature, policy_document
from powertune.cli.policy import policy
from powertune.errors import UsageError

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:orders"
EVERYTHING: frozenset[Feature] = frozenset({"tune", "apply", "doctor", "alias", "logs"})
POLICIES: dict[str, dict[str, Any]] = {
    "by name": policy_document("orders"),
    "by arn": policy_document(ARN),
    "by qualified arn": policy_document(f"{ARN}:prod"),
    "everything": policy_document(
        ARN,
        features=EVERYTHING,
        log_group="/shop/orders",
        payload_s3="s3://my-bucket/events/order.json",
        processors=["reset", f"{ARN}-after:2"],
    ),
    "insights": policy_document(ARN, features={"insights"}),
    "insights beside tuning": policy_document(ARN, features={"tune", "insights"}, log_group="/shop/orders"),
    "in china": policy_document("orders", region="cn-north-1", features=EVERYTHING, payload_s3="s3://my-bucket/key"),
}
every_policy = pytest.mark.parametrize("document", POLICIES.values(), ids=POLICIES)
TUNING = {name: document for name, document in POLICIES.items() if name != "insights"}
every_tuning_policy = pytest.mark.parametrize("document", TUNING.values(), ids=TUNING)


def statement(document: dict[str, Any], sid: str) -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in document["Statement"] if item["Sid"] == sid)
    return found


def actions(document: dict[str, Any]) -> list[str]:
    return [action for item in document["Statement"] for action in item["Action"]]


@every_policy
def test_a_policy_has_the_form_that_iam_takes(document: dict[str, Any]) -> None:
    assert json.loads(json.dumps(document)) == document
    assert document["Version"] == "2012-10-17"
    sids = [item["Sid"] for item in document["Statement"]]
    assert len(set(sids)) == len(sids)
    for item in document["Statement"]:
        assert set(item) == {"Sid", "Effect", "Action", "Resource"}
        assert re.fullmatch("[A-Za-z0-9]+", item["Sid"])
        assert item["Effect"] == "Allow"
        assert item["Action"]
        assert item["Resource"]


@every_policy
def test_no_action_is_a_pattern_and_no_resource_is_everything(document: dict[str, Any]) -> None:
    assert all(re.fullmatch("[a-z0-9]+:[A-Z][A-Za-z]+", action) for action in actions(document))
    for item in document["Statement"]:
        if item["Sid"] == "FollowQueries":  # queries are no resources: nothing else is possible
            assert item["Resource"] == ["*"]
            assert item["Action"] == ["logs:GetQueryResults", "logs:StopQuery"]
        else:
            assert all(resource.startswith("arn:aws") for resource in item["Resource"])


@every_tuning_policy
def test_versions_can_be_deleted_and_the_function_cannot(document: dict[str, Any]) -> None:
    deleting = [item for item in document["Statement"] if "lambda:DeleteFunction" in item["Action"]]
    assert [item["Sid"] for item in deleting] == ["DeleteVersionsNeverTheFunction"]
    assert deleting[0]["Action"] == ["lambda:DeleteFunction"]
    for resource in deleting[0]["Resource"]:
        assert re.fullmatch(r"arn:[a-z-]+:lambda:[^:]+:[^:]+:function:orders:\*", resource)


@every_tuning_policy
def test_tuning_reads_changes_and_measures_the_function_and_its_versions(document: dict[str, Any]) -> None:
    assert {
        "lambda:GetAlias",
        "lambda:GetFunctionConcurrency",
        "lambda:GetFunctionConfiguration",
        "lambda:InvokeFunction",
        "lambda:ListProvisionedConcurrencyConfigs",
        "lambda:ListVersionsByFunction",
        "lambda:PublishVersion",
        "lambda:UpdateFunctionConfiguration",
    } <= set(actions(document))
    for sid in ("Read", "ChangeMemoryAndPublishVersions", "Measure"):
        unqualified, qualified = statement(document, sid)["Resource"]
        assert unqualified.endswith(":function:orders")
        assert qualified == f"{unqualified}:*"


def test_applying_and_checking_need_no_more_than_tuning() -> None:
    assert policy_document(ARN, features={"tune", "apply", "doctor"}) == policy_document(ARN)


def test_an_alias_can_be_pointed_only_where_asked() -> None:
    document = policy_document(ARN, features={"tune", "alias"})
    added = set(actions(document)) - set(actions(policy_document(ARN)))
    assert added == {"lambda:CreateAlias", "lambda:UpdateAlias"}


def test_logs_are_those_of_the_function_or_the_group_that_was_named() -> None:
    usual = policy_document(ARN, features={"logs"})
    assert statement(usual, "ReadLogs") == {
        "Sid": "ReadLogs",
        "Effect": "Allow",
        "Action": ["logs:FilterLogEvents"],
        "Resource": ["arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/orders:*"],
    }
    own = statement(POLICIES["everything"], "ReadLogs")
    assert own["Resource"] == ["arn:aws:logs:eu-west-1:123456789012:log-group:/shop/orders:*"]


def test_estimating_from_cloudwatch_reads_and_does_nothing_else() -> None:
    document = POLICIES["insights"]
    assert set(actions(document)) == {
        "lambda:GetFunctionConfiguration",
        "logs:DescribeLogGroups",
        "logs:GetQueryResults",
        "logs:StartQuery",
        "logs:StopQuery",
    }
    group = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/orders"
    assert statement(document, "QueryLogs")["Resource"] == [group, f"{group}:*"]
    beside = POLICIES["insights beside tuning"]
    assert statement(beside, "QueryLogs")["Resource"][0].endswith(":log-group:/shop/orders")


def test_a_payload_is_one_object_whatever_its_key_holds() -> None:
    document = policy_document(ARN, payload_s3="s3://my-bucket/a%20b/*?$.json")
    assert statement(document, "ReadPayload")["Resource"] == ["arn:aws:s3:::my-bucket/a b/${*}${?}${$}.json"]
    assert statement(document, "ReadPayload")["Action"] == ["s3:GetObject"]


def test_processors_are_where_the_function_is_unless_they_say_otherwise() -> None:
    processors = ["reset", "reset", "check:2", "arn:aws:lambda:us-east-1:210987654321:function:after"]
    document = policy_document(ARN, processors=processors)
    assert statement(document, "InvokeProcessors")["Resource"] == [
        "arn:aws:lambda:eu-west-1:123456789012:function:reset",
        "arn:aws:lambda:eu-west-1:123456789012:function:check:2",
        "arn:aws:lambda:us-east-1:210987654321:function:after",
    ]


@pytest.mark.parametrize(
    ("function", "given", "arn"),
    [
        ("orders", {}, "arn:aws:lambda:*:*:function:orders"),
        ("orders:prod", {"region": "eu-west-1"}, "arn:aws:lambda:eu-west-1:*:function:orders"),
        ("orders", {"region": "us-gov-west-1"}, "arn:aws-us-gov:lambda:us-gov-west-1:*:function:orders"),
        ("orders", {"account": "123456789012"}, "arn:aws:lambda:*:123456789012:function:orders"),
        ("orders", {"partition": "aws-cn"}, "arn:aws-cn:lambda:*:*:function:orders"),
        ("123456789012:function:orders", {"region": "eu-west-1"}, ARN),
        (ARN, {"region": "eu-west-1", "account": "123456789012", "partition": "aws"}, ARN),
    ],
)
def test_what_is_not_known_of_the_function_is_a_star(function: str, given: dict[str, str], arn: str) -> None:
    document = policy_document(function, **given)  # type: ignore[arg-type] # only names and text are given
    assert statement(document, "Read")["Resource"] == [arn, f"{arn}:*"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"function": "orders*"}, "does not name a Lambda function"),
        ({"region": "us-east-1"}, "region eu-west-1"),
        ({"account": "210987654321"}, "account 123456789012"),
        ({"account": "1234"}, "not an AWS account"),
        ({"partition": "aws-cn"}, "partition aws"),
        ({"features": {"logs"}, "log_group": "*"}, "log group"),
        ({"features": {"logs"}, "log_group": "a:b"}, "log group"),
        ({"payload_s3": "event.json"}, "object in S3"),
        ({"payload_s3": "s3://*/key"}, "object in S3"),
        ({"payload_s3": "s3://my-bucket/"}, "object in S3"),
        ({"processors": ["*"]}, "does not name a Lambda function"),
    ],
)
def test_what_could_widen_a_policy_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        policy_document(**{"function": ARN, **given})
    assert caught.value.hint


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.command()(policy)
    return app


def test_the_command_prints_the_policy_and_nothing_else(app: typer.Typer) -> None:
    shown = CliRunner().invoke(app, [ARN, "--no-logs"])
    assert shown.exit_code == 0
    assert json.loads(shown.stdout) == policy_document(ARN)
    assert shown.stderr == ""


def test_the_command_takes_all_that_a_policy_can_hold(app: typer.Typer) -> None:
    options = ["--region", "eu-west-1", "--apply", "--alias", "prod", "--log-group", "/shop/orders"]
    options += ["-p", "s3://my-bucket/events/order.json", "--pre-processor", "reset"]
    shown = CliRunner().invoke(app, [ARN, *options, "--post-processor", f"{ARN}-after:2"])
    assert json.loads(shown.stdout) == POLICIES["everything"]


def test_the_command_prints_what_estimating_needs(app: typer.Typer) -> None:
    shown = CliRunner().invoke(app, [ARN, "--insights"])
    assert json.loads(shown.stdout) == POLICIES["insights"]
    refused = CliRunner().invoke(app, [ARN, "--insights", "--apply"])
    assert isinstance(refused.exception, UsageError)


@pytest.mark.parametrize("arguments", [["orders", "--alias", "1"], ["orders", "--region", "europe"], ["or ders"]])
def test_the_command_refuses_what_is_malformed(app: typer.Typer, arguments: list[str]) -> None:
    shown = CliRunner().invoke(app, arguments)
    assert isinstance(shown.exception, UsageError)
    assert shown.stdout == ""
