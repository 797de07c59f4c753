"""From work seen on one machine to durations on Lambda: one core here is not one core there."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from powertune.aws_lambda.cpu import RUNTIME_OVERHEAD_MS, wall_time_ms

# How far Lambda may be from this machine before it surprises us, as standard deviations of the fit below. CPU: between
# one test host and Lambda, a SHA-256 chain ran 1.3 times slower and a large sort 1.6 times faster, so about 0.4 in
# log ratio. Known durations outweigh all that: they are to be met, not approached.
_LOG_CPU_SCALE_SD = 0.4
_KNOWN_DURATION_SD = 0.005
_WAIT_SD = (0.5, 0.05)
"""Of the waiting seen here, and of the known duration: a mocked service waits for nothing, the real one does."""

_WIDEST_CPU_SCALE = 8.0
_GRID_POINTS = 97
_REFINEMENTS = 3


@dataclass(frozen=True, slots=True)
class Calibration:
    """What turns CPU time and waiting of this machine into Lambda's."""

    cpu_scale: float = 1.0
    wait_shift_ms: float = 0.0
    worst_error: float = 0.0
    """Largest relative difference left between a known duration and the calibrated one."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one call of a handler takes, apart from any memory size."""

    cpu_ms: float
    """CPU time over all threads and child processes."""
    wait_ms: float
    """Wall time in which nothing of it was computing or wanted to."""
    threads: int = 1

    def duration_at_ms(self, memory_mb: int, calibration: Calibration | None = None) -> float:
        """Return REPORT's Duration of this call at a memory size, in ms, runtime overhead included."""
        fit = calibration or Calibration()
        cpu_ms = self.cpu_ms * fit.cpu_scale + RUNTIME_OVERHEAD_MS
        return wall_time_ms([(cpu_ms, max(0.0, self.wait_ms + fit.wait_shift_ms))], memory_mb, threads=self.threads)


def calibrate(work: Work, known_ms: Mapping[int, float]) -> Calibration:
    """Return the calibration under which `work` takes the durations known from production.

    `known_ms` maps a memory size in MB to REPORT's Duration there. One known duration cannot tell a slower core from
    longer waiting, so the least surprising mix is taken: a least-squares fit of CPU scale and waiting with the priors
    above. Waiting comes after computing and adds to it, so for each CPU scale the best waiting has a closed form, and
    only the scale is searched, on a logarithmic grid that is refined around its best point.
    """
    if not known_ms:
        return Calibration()
    low, high = -math.log(_WIDEST_CPU_SCALE), math.log(_WIDEST_CPU_SCALE)
    best_log = 0.0
    for _ in range(1 + _REFINEMENTS):
        step = (high - low) / (_GRID_POINTS - 1)
        grid = [low + step * index for index in range(_GRID_POINTS)]
        best_log = min(grid, key=lambda log_scale: _misfit(work, known_ms, log_scale)[0])
        low, high = best_log - step, best_log + step
    _, wait_ms = _misfit(work, known_ms, best_log)
    fit = Calibration(math.exp(best_log), wait_ms - work.wait_ms)
    worst = max(abs(work.duration_at_ms(size, fit) / known - 1) for size, known in known_ms.items())
    return Calibration(fit.cpu_scale, fit.wait_shift_ms, worst)


def _misfit(work: Work, known_ms: Mapping[int, float], log_scale: float) -> tuple[float, float]:
    """Return the penalty of a CPU scale and the waiting in ms that goes best with it."""
    computing = Work(work.cpu_ms, 0.0, work.threads)
    left_ms = {
        size: known - computing.duration_at_ms(size, Calibration(math.exp(log_scale)))
        for size, known in known_ms.items()
    }
    seen_share, known_share = _WAIT_SD
    wait_sd = seen_share * work.wait_ms + known_share * math.fsum(known_ms.values()) / len(known_ms)
    weights = {size: (_KNOWN_DURATION_SD * known) ** -2 for size, known in known_ms.items()}
    weighted = math.fsum(weights[size] * left_ms[size] for size in known_ms) + work.wait_ms / wait_sd**2
    wait_ms = max(0.0, weighted / (math.fsum(weights.values()) + wait_sd**-2))
    penalty = math.fsum(weights[size] * (left_ms[size] - wait_ms) ** 2 for size in known_ms)
    penalty += ((wait_ms - work.wait_ms) / wait_sd) ** 2 + (log_scale / _LOG_CPU_SCALE_SD) ** 2
    return penalty, wait_ms
