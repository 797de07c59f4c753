"""One run of a function, and what a recording says of many runs at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["ok", "out-of-memory", "timed-out", "failed", "throttled", "unavailable"]
"""How a run or a whole size ended. `unavailable` is for sizes that could not be offered at all."""

STATUSES: tuple[Status, ...] = ("ok", "out-of-memory", "timed-out", "failed", "throttled", "unavailable")


@dataclass(frozen=True, slots=True)
class Invocation:
    """One run of the function at one memory size."""

    memory_mb: int
    duration_ms: float
    """Handler time without init, as REPORT's `Duration`."""
    billed_ms: float | None = None
    """As logged; None where the source does not know. Includes init on a cold start since 2025-08-01."""
    init_ms: float | None = None
    max_memory_used_mb: float | None = None
    cold: bool = False
    request_id: str | None = None
    payload: str | None = None
    """Name or hash of the payload; never its text."""
    error: str | None = None
    status: Status = "ok"
    extra: Mapping[str, str] = field(default_factory=dict)
    """Further columns of a recording, kept as they were."""
    environment: str | None = None
    """Name of the execution environment (its log stream) that ran it; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Many runs at one memory size that ended alike, of which only summary figures were recorded."""

    memory_mb: int
    mean_ms: float
    count: int = 1
    stddev_ms: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    init_ms: float | None = None
    max_memory_used_mb: float | None = None
    cold: bool = False
    extra: Mapping[str, str] = field(default_factory=dict)
    billed_ms: float | None = None
    """Mean of what was billed for the handler alone, without init; None where the source does not know."""
    status: Status = "ok"
    error: str | None = None
    init_p95_ms: float | None = None
    """95th percentile of the init times whose mean is `init_ms`."""
