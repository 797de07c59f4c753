"""Runs far from the rest: counted and shown, never dropped, because they are billed."""

import math
from collections import defaultdict
from collections.abc import Sequence

from powertune.model.invocation import Invocation
from powertune.model.size_profile import Outliers

_TO_NORMAL = 1.4826
"""Median distance from the median to the standard deviation of a normal distribution (Rousseeuw and Croux, 1993)."""
_FAR = 5.0
"""Robust standard deviations, of the logarithm of duration, beyond which a run is an outlier: one normal in 2 million,
and even with the spread of eight runs, less than one sample in a hundred."""
_HOSTS_DIFFER = math.log(1.25)
"""What is nearer to the median than this may just be a host: these differ by -20 % to +15 %."""
_ENOUGH = 8
"""Runs of a payload without which nobody can say what is usual."""


def robust_stddev(values: Sequence[float]) -> float:
    """Return the spread of the bulk of two values or more, in their unit: 0 where over half of them are the same."""
    import numpy as np  # noqa: PLC0415 - late: what it takes in memory would hide what a dry run's handler imports

    array = np.asarray(values, dtype=np.float64)
    return _TO_NORMAL * float(np.median(np.abs(array - np.median(array))))


def find_outliers(runs: Sequence[Invocation]) -> Outliers | None:
    """Return how many runs at one memory size are far from the median of their payload, on a logarithmic scale.

    None where no payload ran often enough to tell.
    """
    import numpy as np  # noqa: PLC0415 - see robust_stddev

    durations: dict[str | None, list[float]] = defaultdict(list)
    for run in runs:
        durations[run.payload].append(run.duration_ms)
    told = [np.sort(np.asarray(values)) for values in durations.values() if len(values) >= _ENOUGH]
    if not told:
        return None
    count, far_ms = 0, 0.0
    for values in told:
        logs = np.log(np.maximum(values, 0.001))
        away = np.abs(logs - np.median(logs))
        far = away > max(_HOSTS_DIFFER, _FAR * _TO_NORMAL * float(np.median(away)))
        count += int(far.sum())
        far_ms += float(values[far].sum())
    total_ms = math.fsum(run.duration_ms for run in runs)
    return Outliers(count, far_ms / total_ms if total_ms else 0.0)
