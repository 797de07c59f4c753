"""Looks whether tuning would work, without changing or spending anything."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from powertune.errors import PowertuneError
from powertune.sources.aws.clients import Aws, error_code, told
from powertune.sources.aws.source import AwsSource
from powertune.sources.aws.target import LATEST, Target

_NO_REVISION = "00000000-0000-0000-0000-000000000000"
_NO_CODE = "A" * 43 + "="
_BEYOND_VERSIONS = 1_000_000

# What a call answers that was allowed, but asked for something that is not there.
_ALLOWED_CODES = frozenset(
    {"PreconditionFailedException", "InvalidParameterValueException", "ResourceNotFoundException",
     "ResourceConflictException", "ProvisionedConcurrencyConfigNotFoundException"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that tuning needs, and whether it is given."""

    name: str
    is_good: bool
    detail: str = ""
    hint: str = ""
    is_needed: bool = True
    """False for what makes the answer better and is not indispensable."""


def examine(source: AwsSource, *, alias: str | None = None) -> Iterator[Check]:
    """Yield what tuning this function needs, one after the other.

    Permissions to change are tried with calls that AWS has to refuse for another reason: with a revision that the
    function does not have, and for a version that does not exist. Neither changes anything.
    """
    aws = source.aws
    try:
        with told("asking who we are"):
            identity = aws.sts.get_caller_identity()
        yield Check("credentials", is_good=True, detail=f"{identity['Arn']} in {aws.region}")
    except PowertuneError as error:
        yield Check("credentials", is_good=False, detail=error.message, hint=error.hint)
        return
    try:
        target = source.inspect()
    except PowertuneError as error:
        yield Check("function", is_good=False, detail=error.message, hint=error.hint)
        return
    facts = target.facts
    yield Check(
        "function",
        is_good=True,
        detail=f"{target.name}: {facts.runtime}, {facts.architecture}, {target.memory_mb} MB, timeout"
        f" {target.timeout_s} s",
    )
    for warning in target.warnings:
        yield Check(warning.code, is_good=False, detail=warning.message, hint=warning.hint, is_needed=False)
    yield _logging(target)
    for name, is_needed, call in _permissions(aws, target, alias):
        yield _tried(name, call, is_needed=is_needed)


def _logging(target: Target) -> Check:
    logging = target.config.get("LoggingConfig") or {}
    words = f"{logging.get('LogFormat', 'Text')} in {target.log_group}"
    level = logging.get("SystemLogLevel")
    return Check("log format", is_good=True, detail=f"{words}, system log level {level}" if level else words)


def _permissions(aws: Aws, target: Target, alias: str | None) -> Iterator[tuple[str, bool, Callable[[], Any]]]:
    control, arn = aws.control, target.arn
    yield "lambda:GetFunctionConfiguration", True, lambda: control.get_function_configuration(FunctionName=arn)
    yield "lambda:GetFunctionConcurrency", False, lambda: control.get_function_concurrency(FunctionName=arn)
    yield (
        "lambda:ListProvisionedConcurrencyConfigs",
        False,
        lambda: control.list_provisioned_concurrency_configs(FunctionName=arn),
    )
    yield "lambda:ListVersionsByFunction", True, lambda: control.list_versions_by_function(FunctionName=arn, MaxItems=1)
    tenant = {"TenantId": target.tenant_id} if target.tenant_id else {}
    yield (
        "lambda:InvokeFunction",
        True,
        lambda: control.invoke(FunctionName=arn, Qualifier=LATEST, InvocationType="DryRun", **tenant),
    )
    yield (
        "lambda:UpdateFunctionConfiguration",
        True,
        lambda: control.update_function_configuration(FunctionName=arn, RevisionId=_NO_REVISION),
    )
    yield (
        "lambda:PublishVersion",
        True,
        lambda: control.publish_version(FunctionName=arn, RevisionId=_NO_REVISION, CodeSha256=_NO_CODE),
    )
    yield "lambda:DeleteFunction (versions only)", True, lambda: _delete_no_version(aws, arn)
    if alias:
        yield "lambda:GetAlias", True, lambda: control.get_alias(FunctionName=arn, Name=alias)
        yield (
            "lambda:UpdateAlias",
            True,
            lambda: control.update_alias(FunctionName=arn, Name=alias, RevisionId=_NO_REVISION),
        )
    yield "logs:FilterLogEvents", False, lambda: aws.logs.filter_log_events(logGroupName=target.log_group, limit=1)


def _delete_no_version(aws: Aws, arn: str) -> None:
    """Ask for the deletion of a version far beyond the newest."""
    newest = 0
    for page in aws.control.get_paginator("list_versions_by_function").paginate(FunctionName=arn):
        newest = max([newest, *(int(item["Version"]) for item in page["Versions"] if item["Version"] != LATEST)])
    aws.control.delete_function(FunctionName=arn, Qualifier=str(newest + _BEYOND_VERSIONS))


def _tried(name: str, call: Callable[[], Any], *, is_needed: bool) -> Check:
    try:
        with told("trying it"):
            try:
                call()
            except ClientError as error:
                if error_code(error) not in _ALLOWED_CODES:
                    raise
    except PowertuneError as error:
        return Check(name, is_good=False, detail=error.message, hint=error.hint, is_needed=is_needed)
    return Check(name, is_good=True, detail="allowed", is_needed=is_needed)
