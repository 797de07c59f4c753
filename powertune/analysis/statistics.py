"""From runs at one memory size to its profile: durations with an interval, cold starts, memory used, cost."""

import math
from collections import Counter
from collections.abc import Sequence

from powertune.aws_lambda.pricing import Rates, billed_duration_ms
from powertune.model.invocation import Aggregate, Invocation
from powertune.model.size_profile import Basis, Cost, Counts, Distribution, InitTime, SizeProfile

# Two-sided 95 % quantiles of Student's t for 1, 2, ... degrees of freedom (standard tables); beyond them 1.96 plus the
# first term of its expansion in 1/degrees is right to 0.003.
_T95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip

_PER_MILLION = 1_000_000
_MEAN_ROUNDING_MS = 0.5
"""What rounding up to 1 ms adds to a mean on average, where only the mean was recorded."""


def t95(degrees: int) -> float:
    """Return the two-sided 95 % quantile of Student's t distribution with `degrees` >= 1 degrees of freedom."""
    return _T95[degrees - 1] if degrees <= len(_T95) else 1.96 + 2.4 / degrees


def summarise(durations_ms: Sequence[float]) -> Distribution:
    """Return mean, percentiles (linear between order statistics), spread and the 95 % interval of the mean.

    Spread, tail and interval (Student's t) need two durations and are None for one. Raises ValueError for none.
    """
    import numpy as np  # noqa: PLC0415 - late: what it takes in memory would hide what a dry run's handler imports

    if not len(durations_ms):
        raise ValueError("no durations to summarise")
    values = np.sort(np.asarray(durations_ms, dtype=np.float64))  # sorted, so that the order of runs cannot matter
    mean = float(values.mean())
    if len(values) == 1:
        return Distribution(mean, p50=mean)
    p50, p95, p99 = (float(value) for value in np.percentile(values, [50, 95, 99]))
    stddev = float(values.std(ddof=1))
    return Distribution(mean, p50, p95, p99, stddev, _interval(mean, stddev, len(values)))


def _interval(mean: float, stddev: float, count: int) -> tuple[float, float]:
    half = t95(count - 1) * stddev / math.sqrt(count)
    return max(0.0, mean - half), mean + half


def profile_size(
    memory_mb: int,
    invocations: Sequence[Invocation],
    aggregates: Sequence[Aggregate] = (),
    *,
    rates: Rates,
    basis: Basis = "measured",
) -> SizeProfile:
    """Return what the runs and recorded summaries of one memory size say about it.

    Warm runs count; where only cold ones were seen their handler time stands in, which excludes init. Failed runs are
    counted and give no duration. A size at which nothing succeeded has the status of its most frequent failure.
    """
    succeeded = [invocation for invocation in invocations if invocation.status == "ok"]
    failed = [invocation for invocation in invocations if invocation.status != "ok"]
    warm = [invocation for invocation in succeeded if not invocation.cold]
    warm_aggregates = [aggregate for aggregate in aggregates if not aggregate.cold]
    cold_count = len(succeeded) - len(warm) + sum(item.count for item in aggregates if item.cold)
    counts = Counts(len(warm) + sum(item.count for item in warm_aggregates), cold_count, len(failed))
    everything: list[Invocation | Aggregate] = [*invocations, *aggregates]
    used = [item.max_memory_used_mb for item in everything if item.max_memory_used_mb is not None]
    max_memory_used_mb = max(used) if used else None
    if not succeeded and not aggregates:
        return _failed_profile(memory_mb, failed, counts, max_memory_used_mb, basis)

    counted = warm or ([] if warm_aggregates else succeeded)
    counted_aggregates = warm_aggregates or ([] if warm else list(aggregates))
    duration = _pooled(counted, counted_aggregates)
    started: list[Invocation | Aggregate] = [*succeeded, *aggregates]
    inits = [item.init_ms for item in started if item.init_ms is not None]
    init = _init_time(inits) if inits else None
    return SizeProfile(
        memory_mb=memory_mb,
        basis=basis,
        invocations=counts,
        duration_ms=duration,
        init_ms=init,
        max_memory_used_mb=max_memory_used_mb,
        cost=expected_cost(memory_mb, _mean_billed_ms(counted, counted_aggregates), duration, init, rates),
    )


def _init_time(inits_ms: Sequence[float]) -> InitTime:
    found = summarise(inits_ms)
    return InitTime(found.mean, found.p95)


def _failed_profile(
    memory_mb: int, failed: Sequence[Invocation], counts: Counts, max_memory_used_mb: float | None, basis: Basis
) -> SizeProfile:
    if not failed:
        return SizeProfile(memory_mb, "unavailable", "nothing was recorded at this size", basis, counts)
    (status, reason), _ = Counter((item.status, item.error) for item in failed).most_common(1)[0]
    return SizeProfile(memory_mb, status, reason, basis, counts, max_memory_used_mb=max_memory_used_mb)


def _pooled(invocations: Sequence[Invocation], aggregates: Sequence[Aggregate]) -> Distribution:
    """Return the distribution of runs and summaries together.

    A single summary keeps its recorded percentiles; of several only the mean and the spread can be pooled.
    """
    if not aggregates:
        return summarise([invocation.duration_ms for invocation in invocations])
    parts = [_as_distribution(aggregate) for aggregate in aggregates]
    counts = [aggregate.count for aggregate in aggregates]
    if invocations:
        parts.append(summarise([invocation.duration_ms for invocation in invocations]))
        counts.append(len(invocations))
    if len(parts) == 1:
        return parts[0]
    total = sum(counts)
    mean = math.fsum(part.mean * count for part, count in zip(parts, counts, strict=True)) / total
    if any(part.stddev is None for part in parts):
        return Distribution(mean)
    squares = math.fsum(
        (part.stddev or 0.0) ** 2 * (count - 1) + (part.mean - mean) ** 2 * count
        for part, count in zip(parts, counts, strict=True)
    )
    stddev = math.sqrt(squares / (total - 1))
    return Distribution(mean, stddev=stddev, ci95=_interval(mean, stddev, total))


def _as_distribution(aggregate: Aggregate) -> Distribution:
    known_spread = aggregate.stddev_ms is not None and aggregate.count > 1
    interval = _interval(aggregate.mean_ms, aggregate.stddev_ms or 0.0, aggregate.count) if known_spread else None
    return Distribution(
        aggregate.mean_ms, aggregate.p50_ms, aggregate.p95_ms, aggregate.p99_ms, aggregate.stddev_ms, interval
    )


def _mean_billed_ms(invocations: Sequence[Invocation], aggregates: Sequence[Aggregate]) -> float:
    billed = [(_handler_billed_ms(invocation), 1) for invocation in invocations]
    for item in aggregates:
        rounding = _MEAN_ROUNDING_MS if item.count > 1 else billed_duration_ms(item.mean_ms) - item.mean_ms
        billed.append((max(1.0, item.mean_ms + rounding), item.count))
    return math.fsum(value * count for value, count in billed) / sum(count for _, count in billed)


def _handler_billed_ms(invocation: Invocation) -> float:
    """Return the milliseconds billed for the handler alone under today's rules.

    The logged figure is right to the last microsecond where it only rounds Duration up. Otherwise it holds init or
    comes from the time of 100 ms steps.
    """
    logged = invocation.billed_ms
    if logged is not None and 0 <= logged - invocation.duration_ms < 1.02:  # noqa: PLR2004 - 1 ms and printed digits
        return logged
    return billed_duration_ms(invocation.duration_ms)


def profile_prediction(
    memory_mb: int, duration_ms: float, basis: Basis, like: SizeProfile, *, rates: Rates
) -> SizeProfile:
    """Return the profile of a size at which nothing ran: a predicted mean, init and memory as at the size `like`.

    Init hardly depends on memory, as it runs unthrottled (third-party measurements, 2022), and is not scaled.
    """
    duration = Distribution(duration_ms)
    billed_ms = max(1.0, duration_ms + _MEAN_ROUNDING_MS)
    return SizeProfile(
        memory_mb=memory_mb,
        basis=basis,
        duration_ms=duration,
        init_ms=like.init_ms,
        max_memory_used_mb=like.max_memory_used_mb,
        cost=expected_cost(memory_mb, billed_ms, duration, like.init_ms, rates),
    )


def expected_cost(
    memory_mb: int, mean_billed_ms: float, duration: Distribution, init: InitTime | None, rates: Rates
) -> Cost:
    """Return the expected cost of one invocation: billed time at this size's rate, cold-start share, request fee.

    The interval follows the duration's: cost is linear in billed time.
    """
    if init:
        mean_billed_ms += rates.cold_start_rate * init.mean
    per_ms = float(rates.per_ms(memory_mb))
    per_invocation = float(rates.bill(memory_mb, mean_billed_ms))
    interval = None
    if duration.ci95:
        low, high = ((per_invocation + per_ms * (bound - duration.mean)) * _PER_MILLION for bound in duration.ci95)
        interval = (max(0.0, low), high)
    return Cost(per_invocation, per_invocation * _PER_MILLION, interval, rates.prices.currency)
