"""How a Lambda function is named: by its name, a part of its ARN or all of it, each with or without a qualifier.

Source: parameters FunctionName and Qualifier of the Lambda API reference, and the partitions of the AWS SDK, read
2026-11-23.
"""

import re
from dataclasses import dataclass

from powertune.errors import UsageError
from powertune.text import printable

MAX_NAME_LENGTH = 64

_REGION = r"[a-z]{2,4}(?:-[a-z0-9]+)+-[0-9]"
_FUNCTION = re.compile(
    rf"""
    (?:(?:(?:arn:(?P<partition>aws(?:-[a-z]+)*):lambda:)?(?P<region>{_REGION}):)?(?P<account>[0-9]{{12}}):)?
    (?P<word>function:)?
    (?P<name>[a-zA-Z0-9_-]+)
    (?::(?P<qualifier>\$LATEST|[a-zA-Z0-9_-]{{1,128}}))?
    """,
    re.VERBOSE,
)
_ALIAS = re.compile(r"(?![0-9]+\Z)[a-zA-Z0-9_-]{1,128}")
_PARTITIONS = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "eusc-": "aws-eusc",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eu-isoe-": "aws-iso-e",
    "us-isof-": "aws-iso-f",
}
_FORMS = "give a name, ACCOUNT:function:NAME, or the function's ARN; each may end in :VERSION or :ALIAS"


@dataclass(frozen=True, slots=True)
class FunctionName:
    """A function as somebody named it; None for what they left out."""

    name: str
    qualifier: str | None = None
    """`$LATEST`, the number of a version, or an alias."""
    account: str | None = None
    """Twelve digits."""
    region: str | None = None
    partition: str | None = None

    @property
    def arn_pattern(self) -> str:
        """The function's ARN without its qualifier, `*` in place of a region or an account that is not known."""
        partition = self.partition or partition_of(self.region)
        return f"arn:{partition}:lambda:{self.region or '*'}:{self.account or '*'}:function:{self.name}"


def parse_function(spec: str) -> FunctionName:
    """Return the function that `spec` names: in any form that the Lambda API takes for a FunctionName.

    The forms are `NAME`, `function:NAME`, `ACCOUNT:function:NAME`, `REGION:ACCOUNT:function:NAME` and
    `arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME`, each with or without `:QUALIFIER`. Raises UsageError.
    """
    matched = _FUNCTION.fullmatch(spec)
    if matched is None or (matched["account"] and not matched["word"]):
        raise UsageError(f"{printable(spec, limit=100)!r} does not name a Lambda function", hint=_hint(spec))
    if len(matched["name"]) > MAX_NAME_LENGTH:
        raise UsageError(
            f"the function name {printable(matched['name'], limit=80)!r} is longer than {MAX_NAME_LENGTH} characters",
            hint="no Lambda function has such a name: check for a slip in copying",
        )
    return FunctionName(
        name=matched["name"],
        qualifier=matched["qualifier"],
        account=matched["account"],
        region=matched["region"],
        partition=matched["partition"],
    )


def checked_alias(name: str) -> str:
    """Return `name` if an alias can have it: letters, digits, - and _, not digits alone. Raises UsageError."""
    if not _ALIAS.fullmatch(name):
        raise UsageError(
            f"{printable(name, limit=60)!r} is not a name for an alias",
            hint="use letters, digits, - and _, but not digits alone, which are versions",
        )
    return name


def checked_region(name: str) -> str:
    """Return `name` if it is written as regions are: `eu-central-1`. It need not exist. Raises UsageError."""
    if not re.fullmatch(_REGION, name):
        raise UsageError(
            f"{printable(name, limit=60)!r} is not the name of an AWS region", hint="give one such as eu-central-1"
        )
    return name


def partition_of(region: str | None) -> str:
    """Return the partition that a region belongs to; `aws` where the region is not known."""
    return next((name for start, name in _PARTITIONS.items() if region and region.startswith(start)), "aws")


def _hint(spec: str) -> str:
    if spec.startswith("arn:"):
        return "the ARN of a function is arn:aws:lambda:REGION:ACCOUNT:function:NAME"
    module, colon, _ = spec.partition(":")
    if "." in spec and "/" not in spec and (not colon or "." in module):
        return "to run a Python handler on this machine: powertune dry-run HANDLER"
    return _FORMS
