"""What is known of one memory size: how long runs take there and what they cost."""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from powertune.model.invocation import Status

Basis = Literal["measured", "scaled", "interpolated", "extrapolated"]
"""Where a size's duration comes from: run there, scaled by the CPU law, or read off between or beyond other sizes."""

BASES: tuple[Basis, ...] = ("measured", "scaled", "interpolated", "extrapolated")


@dataclass(frozen=True, slots=True)
class Counts:
    """How many runs stand behind a size."""

    warm: int = 0
    cold: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Distribution:
    """Durations at one size, in milliseconds. None where the recording does not say or one run cannot."""

    mean: float
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    stddev: float | None = None
    ci95: tuple[float, float] | None = None
    """95 % confidence interval of the mean."""
    robust_stddev: float | None = None
    """Spread of the bulk, deaf to outliers: 1.4826 times the median distance from the median, as a normal's."""


@dataclass(frozen=True, slots=True)
class InitTime:
    """Init durations of cold starts, in milliseconds."""

    mean: float
    p95: float | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """Expected cost of one invocation, in `currency`."""

    per_invocation: float
    per_million: float
    ci95_per_million: tuple[float, float] | None = None
    currency: str = "USD"
    per_month: float | None = None
    """Cost of the month's invocations, where their number is known: tiers, free tier and fixed charges included."""
    ci95_per_month: tuple[float, float] | None = None

    @property
    def usd_per_invocation(self) -> float:
        """Cost of one invocation in US dollars. Raises ValueError in another currency."""
        return self._usd(self.per_invocation)

    @property
    def usd_per_million(self) -> float:
        """Cost of a million invocations in US dollars. Raises ValueError in another currency."""
        return self._usd(self.per_million)

    def _usd(self, amount: float) -> float:
        if self.currency != "USD":
            raise ValueError(f"this cost is in {self.currency}, not USD: use per_million and currency")
        return amount


@dataclass(frozen=True, slots=True)
class Outliers:
    """Runs far from the median of their payload. They are billed, so they count in all figures."""

    count: int
    cost_share: float
    """Share of what all runs at the size cost, request fees aside, that these make."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What all sizes together say of one: a size measured once is told apart from noise by its neighbours."""

    duration_ms: float
    duration_ci95_ms: tuple[float, float] | None
    cost_per_invocation: float
    """In the currency of the size's cost."""
    ci95_cost_per_invocation: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Throttled:
    """What calls of a dry run really took under the CPU quota and memory limit of a size, on its own machine."""

    way: str
    """What set the quota, such as `cgroup v2`."""
    calls: int = 0
    """Warm ones."""
    status: Status = "ok"
    reason: str | None = None
    p50_ms: float | None = None
    predicted_ms: float | None = None
    """What the CPU law says of calls on this machine, from those without a quota."""
    cpu_ratio: float | None = None
    """CPU time under the quota over that without: where it is not 1, caches or a busy machine have changed the work."""
    predicted_at_cpu_ms: float | None = None
    """What the CPU law says of the CPU time that the calls under the quota really took."""
    throttled_periods: int = 0
    """Periods in which the kernel made the calls wait: where there are none, no quota was felt."""
    peak_memory_mb: float | None = None


@dataclass(frozen=True, slots=True)
class SizeProfile:
    """One memory size as a row: a size that failed has a status and a reason instead of figures."""

    memory_mb: int
    status: Status = "ok"
    reason: str | None = None
    basis: Basis = "measured"
    invocations: Counts = field(default_factory=Counts)
    duration_ms: Distribution | None = None
    init_ms: InitTime | None = None
    max_memory_used_mb: float | None = None
    cost: Cost | None = None
    expected: Expected | None = None
    """What sizes are compared by where a model was fitted to all of them; None where each stands for itself."""
    outliers: Outliers | None = None
    """None where there are too few runs to tell."""
    limit_odds: float | None = None
    """Probability that the 95th percentile of duration keeps to the limit; None where there is none, or one run."""
    throttled: Throttled | None = None

    def with_common_error(self, share: float) -> "SizeProfile":
        """Return the profile with intervals that allow for an error of up to `share`, which more runs would not cure.

        The two are independent: half widths add up as squares. Where there is no interval, there is none.
        """
        duration, cost = self.duration_ms, self.cost
        if not share or duration is None:
            return self
        duration = replace(duration, ci95=_widened(duration.ci95, share * duration.mean))
        if cost is not None:
            cost = replace(
                cost,
                ci95_per_million=_widened(cost.ci95_per_million, share * cost.per_million),
                ci95_per_month=_widened(cost.ci95_per_month, share * (cost.per_month or 0.0)),
            )
        return replace(self, duration_ms=duration, cost=cost)


def _widened(interval: tuple[float, float] | None, half_width: float) -> tuple[float, float] | None:
    if interval is None:
        return None
    low, high = interval
    middle = (low + high) / 2
    half = math.hypot((high - low) / 2, half_width)
    return max(0.0, middle - half), middle + half
