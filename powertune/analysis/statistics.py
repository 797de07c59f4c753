"""From runs at one memory size to its profile: durations with an interval, cold starts, memory used, cost."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from powertune.analysis.intervals import interval, mean_interval, skewness_of_mean, spreads_ms
from powertune.analysis.limits import odds_of_keeping
from powertune.analysis.outliers import find_outliers, robust_stddev
from powertune.analysis.strata import Stratum, stratify, weights_of
from powertune.aws_lambda.bill import month_lines, total
from powertune.aws_lambda.pricing import Rates, billed_duration_ms
from powertune.model.invocation import Aggregate, Invocation, Status
from powertune.model.size_profile import Basis, Cost, Counts, Distribution, InitTime, SizeProfile

_PER_MILLION = 1_000_000
MEAN_ROUNDING_MS = 0.5
"""What rounding up to 1 ms adds to a mean on average, where only the mean was recorded."""


def load_numpy() -> None:
    """Load what the rest of this loads late, for those who have the time now."""
    import numpy.ma  # noqa: F401, PLC0415 - see summarise; median and percentile load this at their first call


def summarise(durations_ms: Sequence[float]) -> Distribution:
    """Return mean, percentiles (linear between order statistics), spreads and the 95 % interval of the mean.

    Spreads, tail and interval need two durations and are None for one. Raises ValueError for none.
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
    skewness = skewness_of_mean([(1.0, values.tolist())])
    ci95 = interval(mean, stddev / math.sqrt(len(values)), len(values) - 1, skewness)
    return Distribution(mean, p50, p95, p99, stddev, ci95, robust_stddev(values.tolist()))


def _plain_interval(mean: float, stddev: float, count: int) -> tuple[float, float]:
    return interval(mean, stddev / math.sqrt(count), count - 1)


def weighted_percentiles(values: Sequence[float], weights: Sequence[float], ranks: Sequence[float]) -> list[float]:
    """Return the percentiles of `values` at `ranks` (0 to 1), each value standing for its weight.

    Values and weights are equally many; weights are at least 0 and their sum is positive. Equal weights give the
    percentiles that are linear between order statistics, as numpy's: Akinshin, Weighted quantile estimators, 2023
    (arXiv 2304.07265), type 7, in which Kish's effective number of values takes the place of their number.
    """
    import numpy as np  # noqa: PLC0415 - see summarise

    pairs = np.array(sorted(zip(values, weights, strict=True)), dtype=np.float64)
    shares = pairs[:, 1] / pairs[:, 1].sum()
    reached = np.concatenate(([0.0], np.cumsum(shares)))
    effective = 1 / float((shares**2).sum())
    found = []
    for rank in ranks:
        # A percentile is the mean over a window as wide as one typical value, which moves from end to end with rank.
        window = np.clip(reached * effective - rank * (effective - 1), 0.0, 1.0)
        found.append(float(np.diff(window) @ pairs[:, 0] / (window[-1] - window[0])))
    return found


def profile_size(
    memory_mb: int,
    invocations: Sequence[Invocation],
    aggregates: Sequence[Aggregate] = (),
    *,
    rates: Rates,
    basis: Basis = "measured",
    payload_weights: Mapping[str, float] = {},
    trim: float = 0.0,
    limit_ms: float | None = None,
) -> SizeProfile:
    """Return what the runs and recorded summaries of one memory size say about it.

    Warm runs count; where only cold ones were seen their handler time stands in, which excludes init. Failed runs are
    counted and give no duration. A size at which nothing succeeded has the status of its most frequent failure.

    With `payload_weights` for two payloads or more, durations and cost are those of the mixture in which each payload
    that ran has its weight, however often it ran. `trim` is the share of runs of each payload, 0 <= trim < 0.5, that is
    dropped at either end by duration; the same runs are dropped from the cost, and none from counts, init and memory.
    Runs that are known to share an execution environment widen the interval by what environments differ. `limit_ms` is
    the limit on the 95th percentile of duration whose odds are wanted. Raises ValueError for another `trim`.
    """
    succeeded = [invocation for invocation in invocations if invocation.status == "ok"]
    # Runs of which nothing is known say nothing about the function: they count only where there is nothing else.
    known = [invocation for invocation in invocations if invocation.status != "unavailable"] or invocations
    everything: list[Invocation | Aggregate] = [*invocations, *aggregates]
    ended: list[Invocation | Aggregate] = [*known, *aggregates]
    failed = [item for item in ended if item.status != "ok"]
    aggregates = [aggregate for aggregate in aggregates if aggregate.status == "ok"]
    warm = [invocation for invocation in succeeded if not invocation.cold]
    warm_aggregates = [aggregate for aggregate in aggregates if not aggregate.cold]
    cold_count = len(succeeded) - len(warm) + sum(item.count for item in aggregates if item.cold)
    counts = Counts(len(warm) + sum(item.count for item in warm_aggregates), cold_count, sum(map(_runs, failed)))
    used = [item.max_memory_used_mb for item in everything if item.max_memory_used_mb is not None]
    max_memory_used_mb = max(used) if used else None
    if not succeeded and not aggregates:
        return _failed_profile(memory_mb, failed, counts, max_memory_used_mb, basis)

    counted = warm or ([] if warm_aggregates else succeeded)
    counted_aggregates = warm_aggregates or ([] if warm else list(aggregates))
    strata = stratify(counted, payload_weights, trim)
    duration = _pooled(strata, counted_aggregates)
    started: list[Invocation | Aggregate] = [*succeeded, *aggregates]
    init = _init_time([item for item in started if item.init_ms is not None])
    return SizeProfile(
        memory_mb=memory_mb,
        basis=basis,
        invocations=counts,
        duration_ms=duration,
        init_ms=init,
        max_memory_used_mb=max_memory_used_mb,
        cost=expected_cost(memory_mb, mean_billed_ms(strata, counted_aggregates), duration, init, rates),
        outliers=None if counted_aggregates else find_outliers(counted),
        limit_odds=None if limit_ms is None or counted_aggregates else _odds(strata, limit_ms),
    )


def _odds(strata: Sequence[Stratum], limit_ms: float) -> float | None:
    weighted = [(run.duration_ms, stratum.share / len(stratum.kept)) for stratum in strata for run in stratum.kept]
    return odds_of_keeping([value for value, _ in weighted], [weight for _, weight in weighted], limit_ms)


def missing_payloads(invocations: Sequence[Invocation], payload_weights: Mapping[str, float]) -> list[str]:
    """Return the names of weighted payloads without a run that counts at a size, though others have some there.

    Durations and cost at that size leave these payloads out, and do not compare with those at sizes where they ran.
    """
    succeeded = [invocation for invocation in invocations if invocation.status == "ok"]
    counted = [invocation for invocation in succeeded if not invocation.cold] or succeeded
    there = weights_of((invocation.payload for invocation in counted), payload_weights)
    return [name for name in weights_of(payload_weights, payload_weights) if there and name not in there]


def _init_time(started: Sequence[Invocation | Aggregate]) -> InitTime | None:
    """Return the init time of what has one; a summary of cold starts counts as often as it has runs."""
    if not started:
        return None
    inits = [(item.init_ms or 0.0, _runs(item) if item.cold else 1) for item in started]
    if all(count == 1 for _, count in inits):
        found = summarise([init_ms for init_ms, _ in inits])
        return InitTime(found.mean, found.p95)
    alone = started[0] if len(started) == 1 else None
    return InitTime(
        math.fsum(init_ms * count for init_ms, count in inits) / sum(count for _, count in inits),
        alone.init_p95_ms if isinstance(alone, Aggregate) else None,
    )


def _failed_profile(
    memory_mb: int,
    failed: Sequence[Invocation | Aggregate],
    counts: Counts,
    max_memory_used_mb: float | None,
    basis: Basis,
) -> SizeProfile:
    if not failed:
        return SizeProfile(memory_mb, "unavailable", "nothing was recorded at this size", basis, counts)
    kinds: Counter[tuple[Status, str | None]] = Counter()
    for item in failed:
        kinds[item.status, item.error] += _runs(item)
    (status, reason), _ = kinds.most_common(1)[0]
    return SizeProfile(memory_mb, status, reason, basis, counts, max_memory_used_mb=max_memory_used_mb)


def _runs(item: Invocation | Aggregate) -> int:
    return item.count if isinstance(item, Aggregate) else 1


def _pooled(strata: Sequence[Stratum], aggregates: Sequence[Aggregate]) -> Distribution:
    """Return the distribution of runs and summaries together.

    A single summary keeps its recorded percentiles; of several only the mean and the spread can be pooled.
    """
    if not aggregates:
        return _distribution(strata)
    parts = [_as_distribution(aggregate) for aggregate in aggregates]
    counts = [aggregate.count for aggregate in aggregates]
    if strata:
        parts.append(_distribution(strata))
        counts.append(_kept_count(strata))
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
    return Distribution(mean, stddev=stddev, ci95=_plain_interval(mean, stddev, total))


def _distribution(strata: Sequence[Stratum]) -> Distribution:
    """Return the distribution of the mixture of `strata`, which is that of their runs where there is one."""
    parts = [summarise([run.duration_ms for run in stratum.kept]) for stratum in strata]
    if len(strata) == 1:
        return replace(parts[0], ci95=mean_interval(parts[0].mean, strata))
    mean = math.fsum(stratum.share * part.mean for stratum, part in zip(strata, parts, strict=True))
    durations = [run.duration_ms for stratum in strata for run in stratum.kept]
    weights = [stratum.share / len(stratum.kept) for stratum in strata for _ in stratum.kept]
    p50, p95, p99 = weighted_percentiles(durations, weights, [0.5, 0.95, 0.99])
    spreads = spreads_ms([part.stddev for part in parts], strata)
    if spreads is None:
        return Distribution(mean, p50, p95, p99)
    squares = (
        stratum.share * (spread**2 + (part.mean - mean) ** 2)
        for stratum, spread, part in zip(strata, spreads, parts, strict=True)
    )
    return Distribution(mean, p50, p95, p99, math.sqrt(math.fsum(squares)), mean_interval(mean, strata))


def _kept_count(strata: Sequence[Stratum]) -> int:
    return sum(len(stratum.kept) for stratum in strata)


def _as_distribution(aggregate: Aggregate) -> Distribution:
    known_spread = aggregate.stddev_ms is not None and aggregate.count > 1
    ci95 = _plain_interval(aggregate.mean_ms, aggregate.stddev_ms or 0.0, aggregate.count) if known_spread else None
    return Distribution(
        aggregate.mean_ms, aggregate.p50_ms, aggregate.p95_ms, aggregate.p99_ms, aggregate.stddev_ms, ci95
    )


def mean_billed_ms(strata: Sequence[Stratum], aggregates: Sequence[Aggregate] = ()) -> float:
    """Return the mean of the milliseconds billed for the handler alone under today's rules."""
    billed: list[tuple[float, float]] = []
    for stratum in strata:
        weight = stratum.share * _kept_count(strata) / len(stratum.kept)
        billed += [(_handler_billed_ms(run), weight) for run in stratum.kept]
    billed += [(_mean_handler_billed_ms(item), item.count) for item in aggregates]
    return math.fsum(value * weight for value, weight in billed) / math.fsum(weight for _, weight in billed)


def _handler_billed_ms(invocation: Invocation) -> float:
    """Return the milliseconds billed for the handler alone under today's rules.

    The logged figure is right to the last microsecond where it only rounds Duration up. Otherwise it holds init or
    comes from the time of 100 ms steps.
    """
    logged = invocation.billed_ms
    if logged is not None and 0 <= logged - invocation.duration_ms < 1.02:  # noqa: PLR2004 - 1 ms and printed digits
        return logged
    return billed_duration_ms(invocation.duration_ms)


def _mean_handler_billed_ms(aggregate: Aggregate) -> float:
    """Return the mean of the milliseconds billed for the handler alone under today's rules."""
    logged = aggregate.billed_ms
    if logged is not None and 0 <= logged - aggregate.mean_ms < 1.02:  # noqa: PLR2004 - as in _handler_billed_ms
        return logged
    many = aggregate.count > 1
    rounding_ms = MEAN_ROUNDING_MS if many else billed_duration_ms(aggregate.mean_ms) - aggregate.mean_ms
    return max(1.0, aggregate.mean_ms + rounding_ms)


def profile_prediction(
    memory_mb: int, duration: Distribution, basis: Basis, like: SizeProfile, *, rates: Rates
) -> SizeProfile:
    """Return the profile of a size at which nothing ran: a predicted duration, init and memory as at the size `like`.

    Init hardly depends on memory, as it runs unthrottled (third-party measurements, 2022), and is not scaled.
    """
    billed_ms = max(1.0, duration.mean + MEAN_ROUNDING_MS)
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

    Where the rates know the invocations of a month, that of the month, too. Intervals follow the duration's: cost is
    linear in billed time, and a month's only rises with it.
    """
    if init:
        mean_billed_ms += rates.cold_start_rate * init.mean

    def per_month(billed_ms: float) -> float:
        return float(total(month_lines(rates, memory_mb, max(0.0, billed_ms))))

    per_ms = float(rates.per_ms(memory_mb))
    per_invocation = float(rates.bill(memory_mb, mean_billed_ms))
    is_monthly = rates.invocations_per_month is not None
    ci95 = ci95_per_month = None
    if duration.ci95:
        low_ms, high_ms = (bound - duration.mean for bound in duration.ci95)
        low, high = ((per_invocation + per_ms * difference_ms) * _PER_MILLION for difference_ms in (low_ms, high_ms))
        ci95 = (max(0.0, low), high)
        if is_monthly:
            ci95_per_month = (per_month(mean_billed_ms + low_ms), per_month(mean_billed_ms + high_ms))
    return Cost(
        per_invocation,
        per_invocation * _PER_MILLION,
        ci95,
        rates.prices.currency,
        per_month(mean_billed_ms) if is_monthly else None,
        ci95_per_month,
    )
