"""The least that an identity must be allowed to do for `powertune tune` or `powertune estimate`, as an IAM policy.

Source: the pages on Lambda, CloudWatch Logs and S3 of AWS's Service Authorization Reference (resource types of each
action), read 2026-11-23. Keys in KMS are not covered: who encrypts a function's settings or a payload with one of their
own has to add it.
"""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import unquote

from powertune.aws_lambda.function_name import FunctionName, parse_function, partition_of
from powertune.errors import UsageError
from powertune.text import printable

Feature = Literal["tune", "apply", "doctor", "alias", "logs", "insights"]
"""What is to be allowed. `tune` always is, and `apply` and `doctor` need nothing beyond it; `insights` alone is for
estimating from CloudWatch, which only reads."""

_READ = (
    "lambda:GetAlias",
    "lambda:GetFunctionConcurrency",
    "lambda:GetFunctionConfiguration",
    "lambda:ListProvisionedConcurrencyConfigs",
    "lambda:ListVersionsByFunction",
)
_ACCOUNT = re.compile(r"[0-9]{12}")
_LOG_GROUP = re.compile(r"[a-zA-Z0-9_./#-]{1,512}")
_S3_URL = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<key>.+)", re.DOTALL)
_WILDCARDS = re.compile(r"[*?$]")


def policy_document(
    function: str,
    *,
    region: str | None = None,
    account: str | None = None,
    partition: str | None = None,
    features: AbstractSet[Feature] = frozenset({"tune"}),
    log_group: str | None = None,
    payload_s3: str | None = None,
    processors: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the policy for tuning one function: the value that its JSON stands for.

    `function` is named in any way that `parse_function` takes. A region or an account that neither it nor the arguments
    name becomes `*`; the partition follows from the region. `log_group` is the one that the features `logs` and
    `insights` read, if it is not the function's usual one. `payload_s3` is `s3://bucket/key`, the key percent-encoded
    where it has to be. `processors` are functions invoked before or after each run. Raises UsageError for what is
    malformed, and where the function's name and an argument say different things.
    """
    target = _located(parse_function(function), region, account, partition)
    both = [target.arn_pattern, f"{target.arn_pattern}:*"]
    if features == {"insights"}:
        read = _statement("Read", ["lambda:GetFunctionConfiguration"], both)
        return {"Version": "2012-10-17", "Statement": [read, *_insights_statements(target, log_group)]}
    statements = [
        _statement("Read", _READ, both),
        _statement(
            "ChangeMemoryAndPublishVersions", ["lambda:PublishVersion", "lambda:UpdateFunctionConfiguration"], both
        ),
        _statement("Measure", ["lambda:InvokeFunction"], both),
        # Without a version in the ARN the same action deletes the function itself.
        _statement("DeleteVersionsNeverTheFunction", ["lambda:DeleteFunction"], both[1:]),
    ]
    if "alias" in features:
        statements.append(_statement("PointAlias", ["lambda:CreateAlias", "lambda:UpdateAlias"], both))
    if "logs" in features:
        statements.append(_statement("ReadLogs", ["logs:FilterLogEvents"], [_log_group_arn(target, log_group)]))
    if "insights" in features:
        statements += _insights_statements(target, log_group)
    if payload_s3 is not None:
        statements.append(_statement("ReadPayload", ["s3:GetObject"], [_object_arn(target, payload_s3)]))
    if processors:
        arns = list(dict.fromkeys(_processor_arn(target, spec) for spec in processors))
        statements.append(_statement("InvokeProcessors", ["lambda:InvokeFunction"], arns))
    return {"Version": "2012-10-17", "Statement": statements}


def _statement(sid: str, actions: Sequence[str], resources: Sequence[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}


def _located(named: FunctionName, region: str | None, account: str | None, partition: str | None) -> FunctionName:
    """Return the function with what its name leaves open filled in. Raises UsageError where the two disagree."""
    if account is not None and not _ACCOUNT.fullmatch(account):
        raise UsageError(f"{printable(account, limit=40)!r} is not an AWS account", hint="give its twelve digits")
    for what, own, given in (
        ("region", named.region, region),
        ("account", named.account, account),
        ("partition", named.partition, partition),
    ):
        if own is not None and given is not None and own != given:
            raise UsageError(
                f"the function's name says {what} {own}, and {printable(given, limit=40)!r} was given",
                hint="leave one of them out",
            )
    return replace(
        named,
        region=named.region or region,
        account=named.account or account,
        partition=named.partition or partition or partition_of(named.region or region),
    )


def _log_group_arn(target: FunctionName, log_group: str | None) -> str:
    name = log_group or f"/aws/lambda/{target.name}"
    if not _LOG_GROUP.fullmatch(name):
        raise UsageError(
            f"{printable(name, limit=60)!r} is not the name of a log group", hint="give one such as /aws/lambda/orders"
        )
    return f"arn:{target.partition}:logs:{target.region or '*'}:{target.account or '*'}:log-group:{name}:*"


def _insights_statements(target: FunctionName, log_group: str | None) -> list[dict[str, Any]]:
    group = _log_group_arn(target, log_group)
    account = f"arn:{target.partition}:logs:{target.region or '*'}:{target.account or '*'}:log-group"
    return [
        _statement("QueryLogs", ["logs:StartQuery"], [group.removesuffix(":*"), group]),
        _statement("DescribeLogGroups", ["logs:DescribeLogGroups"], [f"{account}:*"]),
        # Queries are no resources: these two cannot be narrowed down.
        _statement("FollowQueries", ["logs:GetQueryResults", "logs:StopQuery"], ["*"]),
    ]


def _object_arn(target: FunctionName, url: str) -> str:
    matched = _S3_URL.fullmatch(url)
    if matched is None:
        raise UsageError(
            f"{printable(url, limit=80)!r} is not the place of an object in S3",
            hint="write it s3://bucket/key; a payload from elsewhere needs no permission",
        )
    # As IAM writes characters that would otherwise stand for others.
    key = _WILDCARDS.sub(lambda character: f"${{{character[0]}}}", unquote(matched["key"]))
    return f"arn:{target.partition}:s3:::{matched['bucket']}/{key}"


def _processor_arn(target: FunctionName, spec: str) -> str:
    named = parse_function(spec)
    arn = replace(
        named,
        region=named.region or target.region,
        account=named.account or target.account,
        partition=named.partition or target.partition,
    ).arn_pattern
    return f"{arn}:{named.qualifier}" if named.qualifier else arn
