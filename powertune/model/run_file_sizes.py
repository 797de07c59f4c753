"""A memory size in the run file, and back."""

from dataclasses import asdict
from typing import Any

from powertune.model.invocation import STATUSES
from powertune.model.json_node import Node
from powertune.model.recommendation import Change
from powertune.model.size_profile import (
    BASES,
    Cost,
    Counts,
    Distribution,
    Expected,
    InitTime,
    Outliers,
    SizeProfile,
    Throttled,
)

_PER_MILLION = 1_000_000


def size_to_dict(size: SizeProfile, code: str) -> dict[str, Any]:
    """Return a size as plain JSON values; `code` is the currency's, in lower case."""
    duration, init, cost = size.duration_ms, size.init_ms, size.cost
    document: dict[str, Any] = {
        "memory_mb": size.memory_mb,
        "status": size.status,
        "reason": size.reason,
        "basis": size.basis,
        "invocations": {
            "warm": size.invocations.warm,
            "cold": size.invocations.cold,
            "failed": size.invocations.failed,
        },
        "duration_ms": duration
        and {
            "mean": duration.mean,
            "p50": duration.p50,
            "p95": duration.p95,
            "p99": duration.p99,
            "stddev": duration.stddev,
            "ci95": duration.ci95 and list(duration.ci95),
            **({} if duration.robust_stddev is None else {"robust_stddev": duration.robust_stddev}),
        },
        "init_ms": init and {"mean": init.mean, "p95": init.p95},
        "max_memory_used_mb": size.max_memory_used_mb,
        "cost": cost
        and {
            f"{code}_per_invocation": cost.per_invocation,
            f"{code}_per_million": cost.per_million,
            f"ci95_{code}_per_million": cost.ci95_per_million and list(cost.ci95_per_million),
            **month_to_dict(cost, code),
        },
    }
    if size.expected is not None:
        document["expected"] = _expected_to_dict(size.expected, code)
    if size.outliers is not None:
        document["outliers"] = {"count": size.outliers.count, "cost_share": size.outliers.cost_share}
    if size.limit_odds is not None:
        document["limit_odds"] = size.limit_odds
    if size.throttled is not None:
        document["throttled"] = asdict(size.throttled)
    return document


def _expected_to_dict(expected: Expected, code: str) -> dict[str, Any]:
    """Return what a size is compared by; the figures of a million are for readers, and not read back."""
    interval = expected.ci95_cost_per_invocation
    return {
        "duration_ms": expected.duration_ms,
        "ci95_duration_ms": expected.duration_ci95_ms and list(expected.duration_ci95_ms),
        f"{code}_per_invocation": expected.cost_per_invocation,
        f"ci95_{code}_per_invocation": interval and list(interval),
        f"{code}_per_million": expected.cost_per_invocation * _PER_MILLION,
        f"ci95_{code}_per_million": interval and [end * _PER_MILLION for end in interval],
    }


def month_to_dict(item: Cost | Change, code: str) -> dict[str, Any]:
    """Return the keys of the monthly view, which are there only where it was asked for."""
    if item.per_month is None:
        return {}
    interval = item.ci95_per_month
    return {f"{code}_per_month": item.per_month, f"ci95_{code}_per_month": interval and list(interval)}


def read_size(node: Node, currency: str) -> SizeProfile:
    """Return the size at `node`. Raises RunFileError."""
    counts = node.child("invocations")
    duration = node.optional_child("duration_ms")
    init = node.optional_child("init_ms")
    cost = node.optional_child("cost")
    outliers = node.optional_child("outliers")
    code = currency.lower()
    return SizeProfile(
        memory_mb=node.get("memory_mb", Node.memory),
        status=node.get("status", Node.choice(STATUSES)),
        reason=node.get_optional("reason", Node.text),
        basis=node.get("basis", Node.choice(BASES)),
        invocations=Counts(
            warm=counts.get("warm", Node.count),
            cold=counts.get("cold", Node.count),
            failed=counts.get("failed", Node.count),
        ),
        duration_ms=duration
        and Distribution(
            mean=duration.get("mean", Node.amount),
            p50=duration.get_optional("p50", Node.amount),
            p95=duration.get_optional("p95", Node.amount),
            p99=duration.get_optional("p99", Node.amount),
            stddev=duration.get_optional("stddev", Node.amount),
            ci95=duration.get_optional("ci95", Node.interval),
            robust_stddev=duration.get_optional("robust_stddev", Node.amount),
        ),
        init_ms=init and InitTime(init.get("mean", Node.amount), init.get_optional("p95", Node.amount)),
        max_memory_used_mb=node.get_optional("max_memory_used_mb", Node.amount),
        cost=cost
        and Cost(
            per_invocation=cost.get(f"{code}_per_invocation", Node.number),
            per_million=cost.get(f"{code}_per_million", Node.number),
            ci95_per_million=cost.get_optional(f"ci95_{code}_per_million", Node.interval),
            currency=currency,
            per_month=cost.get_optional(f"{code}_per_month", Node.number),
            ci95_per_month=cost.get_optional(f"ci95_{code}_per_month", Node.interval),
        ),
        expected=_read_expected(node.optional_child("expected"), code),
        outliers=outliers and Outliers(outliers.get("count", Node.count), outliers.get("cost_share", Node.number)),
        limit_odds=node.get_optional("limit_odds", Node.number),
        throttled=_read_throttled(node.optional_child("throttled")),
    )


def _read_throttled(node: Node | None) -> Throttled | None:
    return node and Throttled(
        way=node.get("way", Node.text),
        calls=node.get("calls", Node.count),
        status=node.get("status", Node.choice(STATUSES)),
        reason=node.get_optional("reason", Node.text),
        p50_ms=node.get_optional("p50_ms", Node.amount),
        predicted_ms=node.get_optional("predicted_ms", Node.amount),
        cpu_ratio=node.get_optional("cpu_ratio", Node.amount),
        predicted_at_cpu_ms=node.get_optional("predicted_at_cpu_ms", Node.amount),
        throttled_periods=node.get("throttled_periods", Node.count),
        peak_memory_mb=node.get_optional("peak_memory_mb", Node.amount),
    )


def _read_expected(node: Node | None, code: str) -> Expected | None:
    return node and Expected(
        duration_ms=node.get("duration_ms", Node.amount),
        duration_ci95_ms=node.get_optional("ci95_duration_ms", Node.interval),
        cost_per_invocation=node.get(f"{code}_per_invocation", Node.number),
        ci95_cost_per_invocation=node.get_optional(f"ci95_{code}_per_invocation", Node.interval),
    )
