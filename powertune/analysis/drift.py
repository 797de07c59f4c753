"""Whether runs became faster or slower while they were measured: caches that warm, a JIT at work, a busy neighbour."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from powertune.analysis.intervals import t95
from powertune.analysis.outliers import robust_stddev
from powertune.model.invocation import Invocation

_FEWEST_DEGREES = 8
_FAR = 4.0
"""Robust standard deviations beyond which a run is drawn in: far enough for a drift to be seen whole."""
_WORTH_TELLING = 0.03
"""Change below which nobody needs to care: hosts differ by more."""


@dataclass(frozen=True, slots=True)
class Drift:
    """The second half of the runs against the first, over all sizes; negative is faster."""

    change: float
    """As a share of the duration."""
    ci95: tuple[float, float]


def find_drift(invocations: Iterable[Invocation]) -> Drift | None:
    """Return how warm runs changed from the first half to the second, in the order given; None where they did not.

    Halves are compared within each size and payload, and within each execution environment where these are known, so
    that none of these passes for drift; the logarithms of the ratios are then pooled. Runs far from the median of their
    group are drawn in to it, lest one of them hide or feign a drift. Drift is told where its 95 % interval excludes
    none, and it is large enough to matter.
    """
    import numpy as np  # noqa: PLC0415 - late: what it takes in memory would hide what a dry run's handler imports

    groups: dict[tuple[int, str | None, str | None], list[float]] = defaultdict(list)
    for run in invocations:
        if run.status == "ok" and not run.cold and run.duration_ms > 0:
            groups[run.memory_mb, run.payload, run.environment].append(math.log(run.duration_ms))
    residuals = [np.asarray(logs) - np.median(logs) for logs in groups.values() if len(logs) > 1]
    if not residuals:
        return None
    reach = _FAR * robust_stddev(np.concatenate(residuals).tolist())
    weight = degrees = 0
    sum_of_changes = squares = 0.0
    for group in residuals:
        half = len(group) // 2
        drawn_in = np.clip(group, -reach, reach)
        first, second = drawn_in[:half], drawn_in[-half:]
        sum_of_changes += half * float(second.mean() - first.mean())
        squares += half * float(first.var() + second.var())
        weight += half
        degrees += 2 * (half - 1)
    if degrees < _FEWEST_DEGREES:
        return None
    change = sum_of_changes / weight
    # Of a group's change the variance is 2 s² / half; weighted by half, they add up to this.
    margin = t95(degrees) * math.sqrt(squares / degrees * 2 / weight)
    if abs(change) <= margin or abs(math.expm1(change)) < _WORTH_TELLING:
        return None
    return Drift(math.expm1(change), (math.expm1(change - margin), math.expm1(change + margin)))
