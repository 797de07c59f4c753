"""From work seen on one machine to durations on Lambda: one core here is not one core there."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from powertune.aws_lambda.cpu import RUNTIME_OVERHEAD_MS, mean_wall_time_ms

# How far Lambda may be from this machine before it surprises us, as standard deviations of the fit below. CPU: between
# one test host and Lambda, a SHA-256 chain ran 1.3 times slower and a large sort 1.6 times faster, so about 0.4 in
# log ratio. Known durations outweigh all that: they are to be met, not approached.
_LOG_CPU_SCALE_SD = 0.4
_KNOWN_DURATION_SD = 0.005
_WAIT_SD = (0.5, 0.05)
"""Of the waiting seen here, and of the known duration: a mocked service waits for nothing, the real one does."""

_WIDEST_CPU_SCALE = 32.0
_GRIDS = (25, 9, 9, 9, 9)
"""Points of the grid over the CPU scale, and of each finer one around the best point so far."""
_MOST_WORKS, _MOST_SEGMENTS = 5, 60
"""Of works that stand for the rest, and of their segments together: what a second is enough to fit."""
_CORRECTIONS = 16
_SEVERAL = 3
"""Known durations from which on what the fit leaves between them is taken to hold for the sizes around, too."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What turns CPU time and waiting of this machine into Lambda's."""

    cpu_scale: float = 1.0
    wait_shift_ms: float = 0.0
    worst_error: float = 0.0
    """Largest relative difference left between a known duration and the calibrated one."""
    left: tuple[tuple[int, float], ...] = ()
    """Of several known durations: memory size, and the factor between what is known there and what was fitted."""

    def factor_at(self, memory_mb: int) -> float:
        """Return what is left at a memory size: between known ones on a line in log memory, beyond them the nearest."""
        if not self.left:
            return 1.0
        (below, low), (above, high) = self.left[0], self.left[-1]
        for size, factor in self.left:
            if size <= memory_mb:
                below, low = size, factor
        for size, factor in reversed(self.left):
            if size >= memory_mb:
                above, high = size, factor
        if below >= above:
            return low
        share = math.log(memory_mb / below) / math.log(above / below)
        return math.exp((1 - share) * math.log(low) + share * math.log(high))


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of computing, and the waiting that ends it."""

    cpu_ms: float
    """CPU time over all threads and child processes."""
    wait_ms: float
    threads: int = 1
    """How many of them shared the work."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one call of a handler takes, apart from any memory size."""

    cpu_ms: float
    """CPU time over all threads and child processes."""
    wait_ms: float
    """Wall time in which nothing of it was computing or wanted to."""
    threads: int = 1
    waits: int = 1
    """How often it stopped computing to wait: quotas that go by while it waits cost nothing."""
    segments: tuple[Segment, ...] = ()
    """Computing and waiting in their order, where that was seen; they add up to `cpu_ms` and `wait_ms`."""

    def duration_at_ms(self, memory_mb: int, calibration: Calibration | None = None) -> float:
        """Return REPORT's Duration of this call at a memory size, in ms, runtime overhead included.

        Where no order was seen, the work is taken to alternate evenly between computing and waiting.
        """
        fit = calibration or Calibration()
        segments, threads = self._on_lambda(fit)
        return fit.factor_at(memory_mb) * mean_wall_time_ms(segments, memory_mb, threads=threads)

    def without_runtime(self) -> "Work":
        """Return the work without what a runtime computes around it, as far as there is as much."""
        if not self.segments:
            return replace(self, cpu_ms=max(0.0, self.cpu_ms - RUNTIME_OVERHEAD_MS))
        cpu_ms = [one.cpu_ms for one in self.segments]
        for place in (0, -1):
            cpu_ms[place] = max(0.0, cpu_ms[place] - RUNTIME_OVERHEAD_MS / 2)
        segments = tuple(replace(one, cpu_ms=left) for one, left in zip(self.segments, cpu_ms, strict=True))
        return replace(self, cpu_ms=math.fsum(cpu_ms), segments=segments)

    def throttled_here_ms(self, memory_mb: int, cpu_scale: float = 1.0) -> float:
        """Return the mean wall time in ms of this call on this machine, under the quota of a memory size.

        Nothing of Lambda's runtime is in it, nor what going on after a stop costs there, and calls begin at any moment.
        `cpu_scale` is how much more CPU time it takes than was seen.
        """
        segments = [(one.cpu_ms * cpu_scale, one.wait_ms) for one in self._in_order()]
        threads = [one.threads for one in self._in_order()]
        return mean_wall_time_ms(segments, memory_mb, threads=threads, in_step=0.0, resume_ms=0.0)

    def _in_order(self) -> Sequence[Segment]:
        """Return computing and waiting in their order, evenly alternating where that was not seen."""
        if self.segments:
            return self.segments
        return [Segment(self.cpu_ms / self.waits, self.wait_ms / self.waits, self.threads)] * self.waits

    def _on_lambda(self, fit: Calibration) -> tuple[list[tuple[float, float]], list[int]]:
        """Return segments, and how many threads share each, with what the runtime computes."""
        order = self._in_order()
        more_ms = max(-self.wait_ms, fit.wait_shift_ms)
        waiting = 1 + more_ms / self.wait_ms if self.wait_ms > 0 else 1.0
        segments = [(one.cpu_ms * fit.cpu_scale, one.wait_ms * waiting) for one in order]
        threads = [one.threads for one in order]
        if self.segments:
            around = (RUNTIME_OVERHEAD_MS / 2, 0.0)  # to decode the event, and to encode the response
            segments, threads = [around, *segments, around], [1, *threads, 1]
        else:
            segments = [(cpu_ms + RUNTIME_OVERHEAD_MS / self.waits, wait_ms) for cpu_ms, wait_ms in segments]
        if self.wait_ms <= 0 < more_ms:
            segments, threads = [*segments, (0.0, more_ms)], [*threads, 1]
        return segments, threads


def calibrate(works: Sequence[Work], known_ms: Mapping[int, float]) -> Calibration:
    """Return the calibration under which the mean duration of `works` is what is known from production.

    `known_ms` maps a memory size in MB to REPORT's Duration there. One known duration cannot tell a slower core from
    longer waiting, so the least surprising mix is taken: a least-squares fit of CPU scale and waiting with the priors
    above. More waiting than was seen is taken to add to the duration, so for each CPU scale the best waiting has a
    closed form, and only the scale is searched, on a logarithmic grid that is refined around its best point. Of many
    works a few that stand for the rest are taken. What the fit of three and more known durations leaves, in steps of
    20 ms that the law puts a little beside where they are, is kept for the sizes around them. Raises ValueError for no
    works.
    """
    if not works:
        raise ValueError("no work to calibrate")
    if not known_ms:
        return Calibration()
    sample = representatives(works)
    low, high = -math.log(_WIDEST_CPU_SCALE), math.log(_WIDEST_CPU_SCALE)
    best_log = 0.0
    for points in _GRIDS:
        step = (high - low) / (points - 1)
        grid = [low + step * index for index in range(points)]
        best_log = min(grid, key=lambda log_scale: _misfit(sample, known_ms, log_scale)[0])
        low, high = best_log - step, best_log + step
    shift_ms = _misfit(sample, known_ms, best_log)[1]
    if len(known_ms) == 1:
        shift_ms = _corrected(sample, known_ms, Calibration(math.exp(best_log), shift_ms))
    fit = Calibration(math.exp(best_log), shift_ms)
    left = {size: known / fmean(work.duration_at_ms(size, fit) for work in works) for size, known in known_ms.items()}
    worst = max(abs(1 / factor - 1) for factor in left.values())
    kept = tuple(sorted(left.items())) if len(left) >= _SEVERAL else ()
    return Calibration(fit.cpu_scale, fit.wait_shift_ms, worst, kept)


def _corrected(works: Sequence[Work], known_ms: Mapping[int, float], fit: Calibration) -> float:
    """Return the change of waiting that meets the one known duration where throttling hides a part of it."""
    ((size, known),) = known_ms.items()
    shift_ms = fit.wait_shift_ms
    for _ in range(_CORRECTIONS):
        left_ms = known - fmean(work.duration_at_ms(size, Calibration(fit.cpu_scale, shift_ms)) for work in works)
        if abs(left_ms) < _KNOWN_DURATION_SD * known or not any(work.waits > 1 for work in works):
            break
        shift_ms = max(-fmean(work.wait_ms for work in works), shift_ms + left_ms)
    return shift_ms


def representatives(works: Sequence[Work]) -> Sequence[Work]:
    """Return works at even steps through those ordered by CPU time, so that a few stand for all."""
    count = max(1, min(_MOST_WORKS, _MOST_SEGMENTS // max(1, *(len(work.segments) for work in works))))
    if len(works) <= count:
        return works
    ordered = sorted(works, key=lambda work: (work.cpu_ms, work.wait_ms))
    return [ordered[(2 * index + 1) * len(works) // (2 * count)] for index in range(count)]


def _misfit(works: Sequence[Work], known_ms: Mapping[int, float], log_scale: float) -> tuple[float, float]:
    """Return the penalty of a CPU scale and the change of waiting, in ms, that goes best with it."""
    scale = Calibration(math.exp(log_scale))
    left_ms = {
        size: known - fmean(work.duration_at_ms(size, scale) for work in works) for size, known in known_ms.items()
    }
    seen_ms = fmean(work.wait_ms for work in works)
    seen_share, known_share = _WAIT_SD
    wait_sd = seen_share * seen_ms + known_share * fmean(known_ms.values())
    weights = {size: (_KNOWN_DURATION_SD * known) ** -2 for size, known in known_ms.items()}
    weighted = math.fsum(weights[size] * left_ms[size] for size in known_ms)
    shift_ms = max(-seen_ms, weighted / (math.fsum(weights.values()) + wait_sd**-2))
    penalty = math.fsum(weights[size] * (left_ms[size] - shift_ms) ** 2 for size in known_ms)
    penalty += (shift_ms / wait_sd) ** 2 + (log_scale / _LOG_CPU_SCALE_SD) ** 2
    return penalty, shift_ms
