"""Log groups on AWS: found by name or prefix, and what a query over them may scan and cost."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from powertune.errors import UsageError
from powertune.sources.aws.clients import Aws, DeniedError, NotFoundError, told
from powertune.text import printable

USD_PER_GB = 0.005
"""What Logs Insights takes for a GB scanned in us-east-1 (CloudWatch pricing page, 2026-11); other regions differ."""
PRICED_IN = "us-east-1, 2026-11"

_BYTES_PER_GB = 1e9
_MOST_COMPRESSED = 1 / 0.15
"""AWS stores logs at about 15 % of their size (its pricing calculator, 2026) and bills scans by the full size. Whether
`storedBytes` is before or after that is not documented, so an estimate has to span both."""
_DAY_S = 86_400

_NAME = re.compile(r"[a-zA-Z0-9_./#-]{1,512}")
_ARN = re.compile(r"arn:aws[a-z-]*:logs:(?P<region>[^:]*):[0-9]*:log-group:(?P<name>[^:]+)(?::\*)?")


@dataclass(frozen=True, slots=True)
class LogGroup:
    """A log group as DescribeLogGroups tells of it; None for what is not known."""

    name: str
    stored_bytes: int | None = None
    created_at: float | None = None
    """Seconds since the epoch."""
    retention_days: int | None = None
    """None where events never expire, or where nothing is known."""
    log_class: str = "STANDARD"

    def oldest_at(self, now: float) -> float | None:
        """Return the earliest moment of which it can hold events, in seconds since the epoch."""
        kept_since = None if self.retention_days is None else now - self.retention_days * _DAY_S
        known = [moment for moment in (self.created_at, kept_since) if moment is not None]
        return max(known, default=None)

    def bytes_between(self, since: float, until: float, now: float) -> tuple[float, float] | None:
        """Return from how many to how many bytes it may hold of that time, taken to be even; None if unknown."""
        if self.stored_bytes is None:
            return None
        oldest = self.oldest_at(now)
        share = 1.0
        if oldest is not None and now > oldest:
            share = min(1.0, max(0.0, (min(until, now) - max(since, oldest)) / (now - oldest)))
        return self.stored_bytes * share, self.stored_bytes * share * _MOST_COMPRESSED


def scan_cost(scanned_bytes: float) -> float:
    """Return what scanning so many bytes costs in us-east-1, in USD."""
    return scanned_bytes / _BYTES_PER_GB * USD_PER_GB


def checked_group(written: str, region: str) -> str:
    """Return the name of a log group written as a name or an ARN. Raises UsageError."""
    matched = _ARN.fullmatch(written)
    if matched and matched["region"] != region:
        raise UsageError(
            f"{printable(written, limit=100)} is in {matched['region'] or 'no region'}, and {region} is asked",
            hint="give its region with --region",
        )
    name = matched["name"] if matched else written
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{printable(name, limit=80)!r} is not the name of a log group", hint="give one such as /aws/lambda/orders"
        )
    return name


def find_log_groups(aws: Aws, names: Sequence[str], prefixes: Sequence[str] = ()) -> list[LogGroup]:
    """Return the log groups of these names, and all whose names begin with a prefix, each once, by name.

    A named group that may not be described is taken to exist, with nothing known of it. Raises NotFoundError for one
    that does not exist, and PowertuneError where AWS refuses otherwise.
    """
    found = {name: _named(aws, checked_group(name, aws.region)) for name in dict.fromkeys(names)}
    groups = {group.name: group for group in found.values()}
    for prefix in prefixes:
        groups |= {group.name: group for group in _described(aws, checked_group(prefix, aws.region))}
    return [group for _, group in sorted(groups.items())]


def _named(aws: Aws, name: str) -> LogGroup:
    try:
        # Results are sorted by name, and no name with this prefix comes before the one that is nothing else.
        first = next(iter(_described(aws, name, most=1)), None)
    except DeniedError:
        return LogGroup(name)
    if first is None or first.name != name:
        raise NotFoundError(
            f"there is no log group {name} in {aws.region}",
            hint="check its name and --region; a function has one once it has run",
        )
    return first


def _described(aws: Aws, prefix: str, most: int | None = None) -> list[LogGroup]:
    pages = aws.logs.get_paginator("describe_log_groups")
    with told("listing log groups"):
        answers = pages.paginate(logGroupNamePrefix=prefix, PaginationConfig={"MaxItems": most, "PageSize": most or 50})
        return [_group(described) for page in answers for described in page.get("logGroups", [])]


def _group(described: dict[str, Any]) -> LogGroup:
    created_ms = described.get("creationTime")
    return LogGroup(
        name=described["logGroupName"],
        stored_bytes=described.get("storedBytes"),
        created_at=None if created_ms is None else created_ms / 1000,
        retention_days=described.get("retentionInDays"),
        log_class=described.get("logGroupClass") or "STANDARD",
    )
