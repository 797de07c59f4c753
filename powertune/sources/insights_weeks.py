"""What a function's runs come to over all weeks of a query's answer, and whether the weeks agree. Pure."""

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from powertune import text
from powertune.model.invocation import Aggregate
from powertune.model.run_warning import RunWarning
from powertune.sources.insights_query import Row

_DRIFT = 0.10
"""Difference between the means of two weeks, as a share of the mean, from which the weeks do not agree."""
_NOISE = 3.0
"""How many standard errors a difference has to be, too: two would be beyond noise once in twenty functions."""
_FEWEST_RUNS = 20
"""Runs below which a week says too little to be held against another."""
_STEPS = 60
"""Halvings of an interval after which floats have no digits left."""


def pool(rows: Sequence[Row]) -> list[Aggregate]:
    """Return the rows of one function as one summary for each memory size, cold or warm, and ending.

    Means are weighted by runs, spreads hold what lies within weeks and between them. Percentiles are those of the
    weeks' mixture, each week taken to be straight between the percentiles that are known of it: a pooled one lies
    between the lowest and the highest of the weeks' own, and is the week's own where there is one week.
    """
    alike: dict[tuple[int, bool, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        alike[row.memory_mb, row.cold, row.status, row.error or ""].append(row)
    return [_pooled(found) for _, found in sorted(alike.items())]


def _pooled(rows: Sequence[Row]) -> Aggregate:
    first = rows[0]
    runs = sum(row.runs for row in rows)
    mean_ms = _mean([(row.mean_ms, row.runs) for row in rows])
    p50, p95, p99 = pooled_percentiles(rows, (50, 95, 99)) or (None, None, None)
    used = [row.max_memory_used_mb for row in rows if row.max_memory_used_mb is not None]
    billed = [(row.billed_ms, row.runs) for row in rows if row.billed_ms is not None]
    inits = [(row.init_ms, row.runs) for row in rows if row.init_ms is not None]
    return Aggregate(
        memory_mb=first.memory_mb,
        mean_ms=mean_ms,
        count=runs,
        stddev_ms=_pooled_stddev(rows, mean_ms, runs),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        init_ms=_mean(inits) if inits else None,
        max_memory_used_mb=max(used, default=None),
        cold=first.cold,
        # What is billed for a cold start holds its init.
        billed_ms=_mean(billed) if len(billed) == len(rows) and not first.cold else None,
        status=first.status,
        error=first.error,
    )


def _mean(values: Sequence[tuple[float, int]]) -> float:
    return math.fsum(value * runs for value, runs in values) / sum(runs for _, runs in values)


def _pooled_stddev(rows: Sequence[Row], mean_ms: float, runs: int) -> float | None:
    """Return the standard deviation of all runs, None where that of a week with several is not known."""
    if runs < 2 or any(row.stddev_ms is None for row in rows if row.runs > 1):  # noqa: PLR2004 - one run has none
        return None
    squares = math.fsum(
        (row.stddev_ms or 0.0) ** 2 * (row.runs - 1) + (row.mean_ms - mean_ms) ** 2 * row.runs for row in rows
    )
    return math.sqrt(squares / (runs - 1))


def pooled_percentiles(rows: Sequence[Row], ranks: Sequence[int]) -> tuple[float, ...] | None:
    """Return percentiles in ms of the runs of all rows, as `pool` has them; None where a row lacks its own."""
    known = [(row.ranks, row.runs) for row in rows if row.ranks]
    if len(known) < len(rows):
        return None
    return tuple(_percentile(known, rank) for rank in ranks)


def _percentile(known: Sequence[tuple[Mapping[int, float], int]], rank: int) -> float:
    low = min(ranks[rank] for ranks, _ in known)
    high = max(ranks[rank] for ranks, _ in known)
    wanted = sum(runs for _, runs in known) * rank / 100
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if math.fsum(runs * _share_up_to(ranks, middle) for ranks, runs in known) < wanted:
            low = middle
        else:
            high = middle
    return high


def _share_up_to(ranks: Mapping[int, float], duration_ms: float) -> float:
    """Return the share of runs that took no longer than `duration_ms`, by straight lines between percentiles."""
    shares, values = list(ranks), list(ranks.values())
    above = bisect_right(values, duration_ms)
    if above in (0, len(values)):
        return 0.0 if above == 0 else 1.0
    low, high = values[above - 1], values[above]
    return (shares[above - 1] + (shares[above] - shares[above - 1]) * (duration_ms - low) / (high - low)) / 100


def weekly_doubts(rows: Sequence[Row]) -> Iterator[RunWarning]:
    """Yield what the weeks of one function's rows say against pooling them, or against comparing its sizes."""
    warm = [row for row in rows if row.status == "ok" and not row.cold and row.week]
    sizes: dict[int, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in warm:
        sizes[row.memory_mb][row.week].append(row)
    for memory_mb, weeks in sorted(sizes.items()):
        yield from _drift(memory_mb, {week: _pooled(found) for week, found in sorted(weeks.items())})
    if len(sizes) > 1 and not any(first.keys() & second.keys() for first, second in combinations(sizes.values(), 2)):
        yield RunWarning(
            "sizes-in-different-weeks",
            "no two memory sizes ran in the same week: whatever else changed between the weeks, such as code or input,"
            " counts here as the work of memory",
            "look into what changed, or measure the sizes side by side with powertune tune",
        )


def _drift(memory_mb: int, weeks: Mapping[str, Aggregate]) -> Iterator[RunWarning]:
    telling = {week: found for week, found in weeks.items() if found.count >= _FEWEST_RUNS}
    if len(telling) < 2:  # noqa: PLR2004 - one week has none to differ from
        return
    fast = min(telling, key=lambda week: (telling[week].mean_ms, week))
    slow = max(telling, key=lambda week: (telling[week].mean_ms, week))
    mean_ms = _mean([(found.mean_ms, found.count) for found in telling.values()])
    gap_ms = telling[slow].mean_ms - telling[fast].mean_ms
    error_ms = math.hypot(
        *((found.stddev_ms or 0.0) / math.sqrt(found.count) for found in (telling[fast], telling[slow]))
    )
    if gap_ms > _DRIFT * mean_ms and gap_ms > _NOISE * error_ms:
        yield RunWarning(
            "weeks-differ",
            f"durations at {memory_mb} MB differ between weeks: {text.duration(telling[fast].mean_ms)} on average in"
            f" that of {fast}, {text.duration(telling[slow].mean_ms)} in that of {slow}",
            "code or input has changed: narrow --since and --until to weeks that are alike",
            memory_mb,
        )
