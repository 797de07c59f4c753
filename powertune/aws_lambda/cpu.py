"""The CPU law: how long work takes under the share of CPU that a memory size buys.

Lambda gives a function memory/1769 of a vCPU by CFS bandwidth control: a quota of CPU time every 20 ms, with overuse
noticed only at the 4 ms ticks of a 250 Hz kernel. So a function runs at full speed for whole ticks and then stands
still until later quotas have repaid what it overran. Short handlers therefore take steps of 20 ms rather than a smooth
1/memory curve. Periods and ticks: Lin, Ma, Shahrad, "Demystifying Serverless Costs on Public Platforms", EuroSys 2026
(arXiv 2506.01283v2, 2025-09-26); memory per vCPU: AWS Lambda quotas page, 2026-11-23. Against 185 sizes measured on
AWS the mean error is 6 %, that of 1/memory 26 % (tests/benchmarks). The published measurements are single-threaded:
several threads and waiting follow the same kernel rules but have not been checked on AWS.
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

_EXACT_CPU_MS = 1000.0
_EPSILON_MS = 1e-9

# Largest memory size in MB with that many vCPUs visible; measured by third parties since December 2020.
_VISIBLE_VCPUS = ((3008, 2), (5307, 3), (7076, 4), (8845, 5))


def visible_vcpus(memory_mb: int) -> int:
    """Return how many vCPUs a function of `memory_mb` sees, and so how many of its threads can run at once."""
    return next((vcpus for largest_mb, vcpus in _VISIBLE_VCPUS if memory_mb <= largest_mb), 6)


def vcpu_share(memory_mb: int) -> float:
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
    at_most = visible_vcpus(memory_mb)
    together = repeat(threads) if isinstance(threads, int) else threads
    steps = [
        (cpu_ms, wait_ms, max(1, min(count, at_most)))
        for (cpu_ms, wait_ms), count in zip(segments, together, strict=False)
    ]
    if all(vcpu_share(memory_mb) >= count for _, _, count in steps):
        return math.fsum(cpu_ms / count + wait_ms for cpu_ms, wait_ms, count in steps)
    bandwidth = _Bandwidth(PERIOD_MS * vcpu_share(memory_mb), phase_ms)
    computing_ms, running = 0.0, 1
    for cpu_ms, wait_ms, count in steps:
        if count != running:
            bandwidth.compute(computing_ms, running)
            computing_ms, running = 0.0, count
        computing_ms += cpu_ms
        if wait_ms:  # without waiting between them two segments are one
            bandwidth.compute(computing_ms, running)
            bandwidth.wait(wait_ms)
            computing_ms = 0.0
    bandwidth.compute(computing_ms, running)
    return bandwidth.now_ms - phase_ms


def shortest_wall_time_ms(cpu_ms: float, memory_mb: int, *, threads: int = 1) -> float:
    """Return the least wall time in ms in which a quota can have granted `cpu_ms`, however the work is parted by waits.

    Each period grants one quota, the first at the start; at the end a core may have overrun by one tick. The simulation
    above notices overuse at ticks alone, and many short computations between waits would slip through it; a kernel
    checks when a thread wakes up, too.
    """
    running_threads = max(1, min(threads, visible_vcpus(memory_mb)))
    share = min(vcpu_share(memory_mb), running_threads)
    return max(cpu_ms / running_threads, (cpu_ms - running_threads * TICK_MS) / share - PERIOD_MS)


class _Bandwidth:
    """CFS bandwidth control of one function: a pool refilled each period, and a local account that may be overdrawn.

    The threads run alike on their cores, so one account stands for all of them.
    """

    def __init__(self, quota_ms: float, phase_ms: float) -> None:
        self.now_ms = phase_ms
        self._quota_ms = quota_ms
        self._pool_ms = quota_ms
        self._account_ms = 0.0
        self._throttled = False

    def compute(self, cpu_ms: float, threads: int) -> None:
        """Let `cpu_ms` of CPU time of so many threads pass, throttled as Lambda would."""
        left_ms = self._skip_periods(cpu_ms, threads)
        while left_ms > _EPSILON_MS:
            refill_at = self._next(PERIOD_MS)
            if self._throttled:
                self.now_ms = refill_at
            else:
                tick_at = self._next(TICK_MS)  # a period is five ticks, so no refill falls between two
                done_ms = min(left_ms, (tick_at - self.now_ms) * threads)
                self.now_ms += done_ms / threads
                left_ms -= done_ms
                self._account_ms -= done_ms
                if left_ms <= _EPSILON_MS:
                    return
                self.now_ms = tick_at
                if self._account_ms <= 0:
                    self._draw(threads * SLICE_MS - self._account_ms)
                    self._throttled = self._account_ms <= 0
            if self.now_ms >= refill_at - _EPSILON_MS:
                self._pool_ms = self._quota_ms
                if self._throttled:
                    # The kernel hands a throttled core just over its debt, so that it may run again.
                    self._draw(1e-6 - self._account_ms)
                    self._throttled = self._account_ms <= 0

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
        if (
            self._quota_ms >= PERIOD_MS * threads and not self._throttled
        ):  # which may be more than so few threads can use
            self.now_ms += cpu_ms / threads
            return 0.0
        periods = max(0, math.floor((cpu_ms - _EXACT_CPU_MS * threads) / self._quota_ms))
        self.now_ms += periods * PERIOD_MS
        return cpu_ms - periods * self._quota_ms

    def _next(self, step_ms: float) -> float:
        return (math.floor(self.now_ms / step_ms + _EPSILON_MS) + 1) * step_ms

    def _draw(self, wanted_ms: float) -> None:
        drawn_ms = min(self._pool_ms, wanted_ms)
        self._pool_ms -= drawn_ms
        self._account_ms += drawn_ms
