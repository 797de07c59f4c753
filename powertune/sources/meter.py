"""Clocks around one call of a handler: wall time, CPU time, time spent queueing for a core, and memory."""

import math
import os
import resource
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from powertune.aws_lambda.calibration import Work
from powertune.sources.worker import peak_memory_mb

# CPU over wall time that one thread cannot reach, so that a second must have been running.
_SECOND_THREAD_SHARE = 0.2
_SHORTEST_WAIT_MS = 0.5
_MOST_WAITS = 500
_SHORTEST_PARALLEL_MS = 5.0
"""CPU time below which clocks are too coarse to tell threads apart."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Readings at one moment, in ms; memory in MB."""

    wall_ms: float
    cpu_ms: float
    """CPU time of all threads of this process and of the children it has waited for."""
    queued_ms: float
    """Time this thread was ready to run and had no core, on Linux; else 0."""
    blocked: int | None
    """How often this thread has given up its core by itself, on Linux; else None."""
    largest_child_mb: float

    @classmethod
    def read(cls) -> "Clocks":
        """Return the readings of now."""
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        blocked = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw if hasattr(resource, "RUSAGE_THREAD") else None
        return cls(
            wall_ms=time.perf_counter() * 1000,
            cpu_ms=(time.process_time() + children.ru_utime + children.ru_stime) * 1000,
            queued_ms=_queued_ms(),
            blocked=blocked,
            largest_child_mb=children.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024),
        )


def work_between(before: Clocks, after: Clocks) -> Work:
    """Part the wall time between two readings into computing and waiting.

    Waiting is wall time without CPU time, less the time this host let the thread queue for a core. A thread that never
    gave up its core of its own accord has not waited at all, whatever the clocks say.
    """
    cpu_ms, wall_ms = after.cpu_ms - before.cpu_ms, after.wall_ms - before.wall_ms
    ready_ms = max(0.0, wall_ms - (after.queued_ms - before.queued_ms))
    threads = 1
    if cpu_ms > _SHORTEST_PARALLEL_MS:
        threads = max(1, math.ceil(cpu_ms / max(ready_ms, wall_ms / 2) - _SECOND_THREAD_SHARE))
    if before.blocked is None or after.blocked is None:  # elsewhere than on Linux: one wait, as far as one can tell
        return Work(cpu_ms, max(0.0, ready_ms - cpu_ms / threads), threads)
    stops = after.blocked - before.blocked
    if not stops:
        return Work(cpu_ms, 0.0, threads)
    wait_ms = max(0.0, ready_ms - cpu_ms / threads)
    # A stop shorter than this was a lock or a page, no wait worth the name.
    waits = max(1, min(stops, int(wait_ms / _SHORTEST_WAIT_MS), _MOST_WAITS))
    return Work(cpu_ms, wait_ms, threads, waits)


def children_growth_mb(before: Clocks, after: Clocks) -> float:
    """Return the memory of the largest child that ended between two readings, in MB, as far as it can be told.

    The kernel keeps one maximum over all children, and starts each from the size of this process: a child smaller than
    that, or than an earlier one, is not seen.
    """
    seen = after.largest_child_mb > max(before.largest_child_mb, resident_memory_mb())
    return after.largest_child_mb if seen else 0.0


def resident_memory_mb() -> float:
    """Return the memory of this process that is resident now, in MB; elsewhere than on Linux its peak."""
    with suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2
    return peak_memory_mb()


def restart_peak_memory() -> None:
    """Let the peak of resident memory start anew from what is resident now, on Linux; elsewhere it stays."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _queued_ms() -> float:
    with suppress(OSError, IndexError, ValueError):
        return int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1]) / 1e6
    return 0.0
