"""CPU time as Lambda Insights records it beside durations: with it, one memory size is enough to estimate the others.

Source: "Example telemetry data" of Lambda Insights in the CloudWatch user guide, event of 2020-11. Its extension reads
CPU time from the kernel, which counts in steps of 10 ms, so that only means over many runs are any good.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from powertune.aws_lambda.calibration import Work
from powertune.aws_lambda.cpu import RUNTIME_OVERHEAD_MS, mean_wall_time_ms
from powertune.aws_lambda.memory import MAX_MEMORY_MB, MIN_MEMORY_MB
from powertune.aws_lambda.report_record import DamagedRecordError, checked_number
from powertune.model.invocation import Invocation
from powertune.sources.digest import microseconds

CPU_RESOLUTION_MS = 10.0
"""What the kernel counts CPU time in: USER_HZ is 100 on Linux."""


@dataclass(slots=True)
class CpuTimes:
    """What warm runs at one memory size took, added up; whole microseconds, so that sums merge exactly."""

    count: int = 0
    cpu_us: int = 0
    duration_us: int = 0
    threads: dict[int, int] = field(default_factory=dict)
    """How many runs had so many threads at most."""

    def add(self, cpu_ms: float, duration_ms: float, threads: int) -> None:
        """Add a run."""
        self.count += 1
        self.cpu_us += microseconds(cpu_ms)
        self.duration_us += microseconds(duration_ms)
        self.threads[threads] = self.threads.get(threads, 0) + 1

    def merge(self, other: "CpuTimes") -> None:
        """Add the runs of another."""
        self.count += other.count
        self.cpu_us += other.cpu_us
        self.duration_us += other.duration_us
        for threads, runs in other.threads.items():
            self.threads[threads] = self.threads.get(threads, 0) + runs

    def work_at(self, memory_mb: int) -> Work:
        """Return what a mean run takes apart from the memory size, which all these had.

        Threads are most often idle ones of runtime and SDK, so the CPU time is taken to be of one thread, unless it
        exceeds what one can use in that duration. What the CPU law does not explain of the duration is waiting.
        """
        cpu_ms, duration_ms = self.cpu_us / 1000 / self.count, self.duration_us / 1000 / self.count
        threads = 1
        most = max(self.threads, default=1)
        while threads < most and cpu_ms > threads * (duration_ms + CPU_RESOLUTION_MS):
            threads += 1
        computing_ms = mean_wall_time_ms([(cpu_ms, 0.0)], memory_mb, threads=threads)
        return Work(max(0.0, cpu_ms - RUNTIME_OVERHEAD_MS), max(0.0, duration_ms - computing_ms), threads)


def is_performance_event(document: Mapping[str, Any]) -> bool:
    """Tell whether a JSON object is a performance event of Lambda Insights."""
    return document.get("event_type") == "performance" and "function_name" in document and "total_memory" in document


def read_performance_event(document: Mapping[str, Any]) -> tuple[str, Invocation, float | None, int]:
    """Return function, run, CPU time in ms (None where it is not there), and number of threads.

    Raises DamagedRecordError.
    """
    function, request_id = document.get("function_name"), document.get("request_id")
    if not isinstance(function, str) or not function:
        raise DamagedRecordError("no function name")
    memory_mb = checked_number(document.get("total_memory"))
    if not memory_mb.is_integer() or not MIN_MEMORY_MB <= memory_mb <= MAX_MEMORY_MB:
        raise DamagedRecordError("a memory size that is none")
    timed_out = document.get("timeout") is True or document.get("shutdown_reason") == "Timeout"
    cold = document.get("cold_start") is True
    cpu_ms = _optional(document, "cpu_total_time")
    threads = _optional(document, "threads_max")
    run = Invocation(
        int(memory_mb),
        checked_number(document.get("duration")),
        billed_ms=_optional(document, "billed_duration"),
        init_ms=_optional(document, "init_duration") if cold else None,
        max_memory_used_mb=_optional(document, "used_memory_max"),
        cold=cold,
        request_id=request_id if isinstance(request_id, str) else None,
        error="timeout" if timed_out else None,
        status="timed-out" if timed_out else "ok",
        extra={} if cpu_ms is None else {"cpu_ms": f"{cpu_ms:g}"},
    )
    return function, run, cpu_ms, int(threads or 1)


def _optional(document: Mapping[str, Any], key: str) -> float | None:
    return None if document.get(key) is None else checked_number(document[key])
