"""Which of the first calls still warmed up: filled caches, imported what they needed, let a JIT compile."""

import statistics
from collections.abc import Sequence

_FEWEST_CALLS = 6
_LEAST_EXTRA = 0.15
"""By how much more CPU time than the later ones a call must stand out."""
_LEAST_EXTRA_MS = 1.0
_DEVIATIONS = 5.0
_PER_DEVIATION = 1.4826  # of a normal distribution: its standard deviation over its median absolute deviation


def calls_to_warm_up(cpu_ms: Sequence[float]) -> int:
    """Return how many calls at the beginning took more CPU time than the rest, at most half of them.

    They are held against the second half: more than its median by a share, by an amount, and by what its calls differ
    among themselves.
    """
    if len(cpu_ms) < _FEWEST_CALLS:
        return 0
    settled = cpu_ms[len(cpu_ms) // 2 :]
    usual_ms = statistics.median(settled)
    deviation_ms = _PER_DEVIATION * statistics.median(abs(value - usual_ms) for value in settled)
    limit_ms = usual_ms + max(_LEAST_EXTRA * usual_ms, _LEAST_EXTRA_MS, _DEVIATIONS * deviation_ms)
    for place, value in enumerate(cpu_ms[: len(cpu_ms) // 2]):
        if value <= limit_ms:
            return place
    return len(cpu_ms) // 2
