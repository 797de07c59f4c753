"""The CPU law: how long work takes under the share of CPU that a memory size buys.

Lambda gives a function memory/1769 of a vCPU by CFS bandwidth control: a quota of CPU time every 20 ms, with overuse
noticed only at the 4 ms ticks of a 250 Hz kernel. So a function runs at full speed for whole ticks and then stands
still until later quotas have repaid what it overran. Short handlers therefore take steps of 20 ms rather than a smooth
1/memory curve. Periods and ticks: Lin, Ma, Shahrad, "Demystifying Serverless Costs on Public Platforms", EuroSys 2026
(arXiv 2506.01283v2, 2025-09-26); memory per vCPU: AWS Lambda quotas page, 2026-11-23. Against 185 sizes measured on
AWS the mean error is 6 %, that of 1/memory 26 % (tests/benchmarks). The published measurements are single-threaded:
several threads and waiting follow the same kernel rules but have not been checked on AWS.

`wall_time_ms` is the plain simulation of one run. `mean_wall_time_ms` is what to expect of many: it also heeds what a
kernel does when work sleeps and wakes (kernel/sched/fair.c, since 3.2; checked against control groups of Linux 6.18),
what a stop itself costs, and that calls begin anywhere in a period.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import repeat

MB_PER_VCPU = 1769
PERIOD_MS = 20.0
TICK_MS = 4.0
SLICE_MS = 5.0
"""Quota that a core takes from the shared pool at a time: the kernel's sched_cfs_bandwidth_slice."""

RUNTIME_OVERHEAD_MS = 1.3
"""CPU that the runtime adds to the handler's own in REPORT's Duration (same source: 1.1 to 1.4 ms)."""

KEPT_MS = 1.0
"""Quota that a core keeps when its last thread goes to sleep; the rest goes back to the pool: min_cfs_rq_runtime."""

RESUME_MS = 0.15
"""CPU that going on after a stop costs: caches and clocks to catch up. Calls of the AWS sweep end 1.45, 1.6, 1.9, 1.9
and 2.1 ms after the last refill where there were 1, 2, 3, 4 and 9 stops: 0.1 to 0.2 ms more for each."""

# When calls begin. A client that calls again a fixed time after each answer falls in step with the quota: most calls of
# the AWS sweep began just after a refill, 160 ms, or eight periods, after the end of the one before. Others begin at
# any moment, here at seven, a number that has nothing to do with the five ticks. Who calls is not known, so each kind
# counts for half.
_IN_STEP = 0.5
_MOMENTS = 7
_ANY_PHASES_MS = tuple(PERIOD_MS * (moment + 0.5) / _MOMENTS for moment in range(_MOMENTS))

_EXACT_CPU_MS = 1000.0
_NEARLY_EXACT_CPU_MS = 150.0
_MANY_STEPS = 20
_EPSILON_MS = 1e-9
_HAIR_MS = 1e-6

# Largest memory size in MB with that many vCPUs visible; measured by third parties since December 2020.
_VISIBLE_VCPUS = ((3008, 2), (5307, 3), (7076, 4), (8845, 5))


def visible_vcpus(memory_mb: int) -> int:
    """Return how many vCPUs a function of `memory_mb` sees, and so how many of its threads can run at once."""
    return next((vcpus for largest_mb, vcpus in _VISIBLE_VCPUS if memory_mb <= largest_mb), 6)


def vcpu_share(memory_mb: float) -> float:
    """Return the vCPU-seconds a function of `memory_mb` may use per second."""
    return memory_mb / MB_PER_VCPU


def wall_time_ms(
    segments: Iterable[tuple[float, float]],
    memory_mb: int,
    *,
    threads: int | Sequence[int] = 1,
    phase_ms: float = 0.0,
) -> float:
    """Return the wall time in ms of work at one memory size.

    `segments` are (CPU ms over all threads, waiting ms) in order. `threads` is how many threads share the CPU work
    evenly: one number, or one for each segment. `phase_ms` is where in a 20 ms period the work begins. A segment's last
    1000 ms of CPU per thread are simulated event by event; what comes before is skipped in whole periods at their
    average, which is off by less than 0.8 %.
    """
    steps = _steps(segments, memory_mb, threads)
    if _never_waits(steps, memory_mb):
        return _at_full_speed_ms(steps)
    return _run(_Bandwidth(PERIOD_MS * vcpu_share(memory_mb), phase_ms), steps)


def mean_wall_time_ms(
    segments: Iterable[tuple[float, float]],
    memory_mb: int,
    *,
    threads: int | Sequence[int] = 1,
    in_step: float = _IN_STEP,
    resume_ms: float = RESUME_MS,
) -> float:
    """Return the mean wall time in ms of many runs of the same work at one memory size.

    `segments` and `threads` are those of `wall_time_ms`. The share `in_step` of the runs begins with a refill of the
    quota, the others at any moment, after what the runtime has computed to hand them their event. `resume_ms` is the
    CPU time that going on after a stop costs. Long computations are simulated event by event only at their end, and
    what comes before is skipped in whole periods at their average, which is off by less than 2 %.
    """
    steps = _steps(segments, memory_mb, threads)
    if _never_waits(steps, memory_mb):
        return _at_full_speed_ms(steps)
    quota_ms = PERIOD_MS * vcpu_share(memory_mb)

    def one_run_ms(phase_ms: float, drawn_ms: float) -> float:
        return _run(_Kernel(quota_ms, phase_ms, drawn_ms, resume_ms), steps)

    is_long = len(steps) > _MANY_STEPS or math.fsum(cpu_ms for cpu_ms, _, _ in steps) > _EXACT_CPU_MS
    phases_ms = _ANY_PHASES_MS[:: 3 if is_long else 1]  # how it begins matters little to long work
    anywhere_ms = math.fsum(one_run_ms(phase_ms, RUNTIME_OVERHEAD_MS) for phase_ms in phases_ms) / len(phases_ms)
    in_step_ms = one_run_ms(0.0, 0.0) if in_step else 0.0
    return in_step * in_step_ms + (1 - in_step) * anywhere_ms


_Step = tuple[float, float, int]
"""CPU time over all threads, waiting, and how many threads can run at once."""


def _steps(segments: Iterable[tuple[float, float]], memory_mb: int, threads: int | Sequence[int]) -> list[_Step]:
    at_most = visible_vcpus(memory_mb)
    together = repeat(threads) if isinstance(threads, int) else threads
    return [
        (cpu_ms, wait_ms, max(1, min(count, at_most)))
        for (cpu_ms, wait_ms), count in zip(segments, together, strict=False)
    ]


def _never_waits(steps: Sequence[_Step], memory_mb: int) -> bool:
    return all(vcpu_share(memory_mb) >= threads for _, _, threads in steps)


def _at_full_speed_ms(steps: Sequence[_Step]) -> float:
    return math.fsum(cpu_ms / threads + wait_ms for cpu_ms, wait_ms, threads in steps)


def _run(bandwidth: "_Bandwidth", steps: Sequence[_Step]) -> float:
    """Return how long the steps take under a quota."""
    began_ms = bandwidth.now_ms
    computing_ms, running = 0.0, 1
    for cpu_ms, wait_ms, threads in steps:
        if threads != running:
            bandwidth.compute(computing_ms, running)
            computing_ms, running = 0.0, threads
        computing_ms += cpu_ms
        if wait_ms:  # without waiting between them two segments are one
            bandwidth.compute(computing_ms, running)
            bandwidth.wait(wait_ms)
            computing_ms = 0.0
    bandwidth.compute(computing_ms, running)
    return bandwidth.now_ms - began_ms


def longest_cpu_time_ms(wall_ms: float, memory_mb: int) -> float:
    """Return the most CPU time in ms that a single thread can have used within `wall_ms` of wall time.

    Each period grants one quota, the first at the start; at the end a core may have overrun by one tick.
    """
    return min(wall_ms, (wall_ms + PERIOD_MS) * vcpu_share(memory_mb) + TICK_MS)


def wall_times_ms(cpu_times_ms: Sequence[float], memory_mb: float) -> list[float]:
    """Return the wall time in ms of each of several single-threaded computations, in ascending order of CPU time in ms.

    As `wall_time_ms` of each, at the price of the longest: a shorter one is its beginning.
    """
    if vcpu_share(memory_mb) >= 1:
        return list(cpu_times_ms)
    bandwidth = _Bandwidth(PERIOD_MS * vcpu_share(memory_mb), 0.0)
    reached_ms, found = 0.0, []
    for cpu_ms in cpu_times_ms:
        # A hair less, so that none ends right at a tick: the next one would go on as if that tick had not been.
        bandwidth.compute(cpu_ms - _HAIR_MS - reached_ms, 1)
        reached_ms = cpu_ms - _HAIR_MS
        found.append(bandwidth.now_ms + _HAIR_MS)
    return found


class _Bandwidth:
    """CFS bandwidth control of one function: a pool refilled each period, and a local account that may be overdrawn.

    The threads run alike on their cores, so one account stands for all of them.
    """

    _exact_cpu_ms = _EXACT_CPU_MS
    _resume_ms = 0.0

    def __init__(self, quota_ms: float, phase_ms: float) -> None:
        self.now_ms = phase_ms
        self._quota_ms = quota_ms
        self._pool_ms = quota_ms
        self._account_ms = 0.0
        self._throttled = False

    def compute(self, cpu_ms: float, threads: int) -> None:
        """Let `cpu_ms` of CPU time of so many threads pass, throttled as Lambda would."""
        left_ms = self._skip_periods(cpu_ms, threads)
        # Local names: in this loop a dry run over all sizes spends its time.
        now_ms, pool_ms, account_ms, throttled = self.now_ms, self._pool_ms, self._account_ms, self._throttled
        while left_ms > _EPSILON_MS:
            refill_at = (math.floor(now_ms / PERIOD_MS + _EPSILON_MS) + 1) * PERIOD_MS
            if throttled:
                now_ms = refill_at
            else:
                # A period is five ticks, so no refill falls between two.
                tick_at = (math.floor(now_ms / TICK_MS + _EPSILON_MS) + 1) * TICK_MS
                possible_ms = (tick_at - now_ms) * threads
                if left_ms - possible_ms <= _EPSILON_MS:
                    done_ms = min(left_ms, possible_ms)
                    now_ms += done_ms / threads
                    account_ms -= done_ms
                    break
                now_ms = tick_at
                left_ms -= possible_ms
                account_ms -= possible_ms
                if account_ms <= 0:
                    drawn_ms = min(pool_ms, threads * SLICE_MS - account_ms)
                    pool_ms -= drawn_ms
                    account_ms += drawn_ms
                    throttled = account_ms <= 0
            if now_ms >= refill_at - _EPSILON_MS:
                pool_ms = self._quota_ms
                if throttled:
                    # The kernel hands a throttled core just over its debt, so that it may run again.
                    drawn_ms = min(pool_ms, _HAIR_MS - account_ms)
                    pool_ms -= drawn_ms
                    account_ms += drawn_ms
                    throttled = account_ms <= 0
                    left_ms += 0.0 if throttled else threads * self._resume_ms
        self.now_ms, self._pool_ms, self._account_ms, self._throttled = now_ms, pool_ms, account_ms, throttled

    def wait(self, wait_ms: float) -> None:
        """Let `wait_ms` pass without work: quotas go on repaying what was overdrawn."""
        end_at = self.now_ms + wait_ms
        while self._pool_ms < self._quota_ms or self._account_ms < 0 or self._throttled:
            refill_at = self._next(PERIOD_MS)
            if refill_at > end_at:
                break
            self.now_ms = refill_at
            self._pool_ms = self._quota_ms
            if self._account_ms < 0:
                self._draw(-self._account_ms)
            self._throttled = self._throttled and self._account_ms < 0
        self.now_ms = end_at

    def _skip_periods(self, cpu_ms: float, threads: int) -> float:
        """Jump over whole periods of a long computation, each worth one quota, and return the CPU time left to run."""
        if self._quota_ms >= PERIOD_MS * threads and not self._throttled:  # more than so few threads can use
            self.now_ms += cpu_ms / threads
            return 0.0
        periods = max(0, math.floor((cpu_ms - self._exact_cpu_ms * threads) / self._quota_ms))
        self.now_ms += periods * PERIOD_MS
        stops = periods * min(1.0, self._quota_ms / (TICK_MS * threads))
        return cpu_ms - periods * self._quota_ms + stops * threads * self._resume_ms

    def _next(self, step_ms: float) -> float:
        return (math.floor(self.now_ms / step_ms + _EPSILON_MS) + 1) * step_ms

    def _draw(self, wanted_ms: float) -> None:
        drawn_ms = min(self._pool_ms, wanted_ms)
        self._pool_ms -= drawn_ms
        self._account_ms += drawn_ms


class _Kernel(_Bandwidth):
    """The same with what happens when the last thread goes to sleep, and when the first wakes up."""

    _exact_cpu_ms = _NEARLY_EXACT_CPU_MS

    def __init__(self, quota_ms: float, phase_ms: float, drawn_ms: float, resume_ms: float) -> None:
        super().__init__(quota_ms, phase_ms)
        self._account_ms = -drawn_ms
        self._resume_ms = resume_ms
        self._threads = 1

    def compute(self, cpu_ms: float, threads: int) -> None:
        if cpu_ms > 0:
            self._threads = threads
            self._settle()
            super().compute(cpu_ms, threads)

    def wait(self, wait_ms: float) -> None:
        self._settle()
        spare_ms = self._account_ms - KEPT_MS * self._threads
        if spare_ms > 0:
            self._account_ms -= spare_ms
            self._pool_ms = min(self._quota_ms, self._pool_ms + spare_ms)
        super().wait(wait_ms)

    def _settle(self) -> None:
        """Look at the account, as at a tick."""
        if self._account_ms <= 0 and not self._throttled:
            self._draw(self._threads * SLICE_MS - self._account_ms)
            self._throttled = self._account_ms <= 0
