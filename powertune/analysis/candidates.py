"""Sizes that may be chosen: what the user wants of one, whether it qualifies, and the figures it is compared by."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from powertune import text
from powertune.aws_lambda.memory import MEMORY_HEADROOM
from powertune.errors import UsageError
from powertune.model.recommendation import STRATEGIES, Strategy
from powertune.model.size_profile import Cost, Distribution, SizeProfile

_FAILURES_ALLOWED = 0.05
"""Share of failed runs above which a size is not recommended, however fast and cheap the others were."""
_PER_MILLION = 1_000_000

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user wants of the recommendation."""

    strategy: Strategy = "balanced"
    balanced_weight: float = 0.5
    """Weight of cost against duration under `balanced`: 1 is all cost."""
    tolerance: float = 0.02
    """How much worse than the best a size may be on its own axis, as a share, to win on the other axis."""
    max_duration_ms: float | None = None
    max_cost_per_million: float | None = None
    current_memory_mb: int | None = None
    allow_unmeasured: bool = True
    """False where a size has to be measured before it is recommended: where it can be, as in live tuning."""
    calibrated: bool = True

    def __post_init__(self) -> None:
        """Raise UsageError for wishes that make no sense."""
        if self.strategy not in STRATEGIES:
            near = text.nearest(self.strategy, STRATEGIES) or f"choose from {', '.join(STRATEGIES)}"
            raise UsageError(f"there is no strategy {text.printable(self.strategy, limit=40)!r}", hint=near)
        if not 0 <= self.balanced_weight <= 1:
            raise UsageError(f"a balanced weight of {self.balanced_weight} is not between 0 and 1", hint="0.5 is even")
        if not 0 <= self.tolerance < math.inf:
            raise UsageError(f"a tolerance of {self.tolerance} is no share", hint="0.02 is 2 %, 0 the plain best")


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean with its 95 % interval, and the number of runs that it rests on."""

    value: float
    ci95: Interval | None
    runs: int
    is_modelled: bool
    """Whether all sizes together gave it, so that the interval is not that of the mean of `runs`."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A size that has figures."""

    profile: SizeProfile
    duration: Distribution
    cost: Cost

    @property
    def memory_mb(self) -> int:
        """Memory size in MB."""
        return self.profile.memory_mb

    @property
    def judged_ms(self) -> float:
        """The duration that sizes are compared by: what all of them together say, where a model was fitted to them."""
        expected = self.profile.expected
        return expected.duration_ms if expected else self.duration.mean

    @property
    def judged_cost(self) -> float:
        """The cost of one invocation that sizes are compared by."""
        expected = self.profile.expected
        return expected.cost_per_invocation if expected else self.cost.per_invocation

    @property
    def judged_ms_ci95(self) -> Interval | None:
        """The 95 % interval of `judged_ms`."""
        expected = self.profile.expected
        return expected.duration_ci95_ms if expected else self.duration.ci95

    @property
    def judged_cost_ci95(self) -> Interval | None:
        """The 95 % interval of `judged_cost`."""
        if self.profile.expected:
            return self.profile.expected.ci95_cost_per_invocation
        interval = self.cost.ci95_per_million
        return interval and (interval[0] / _PER_MILLION, interval[1] / _PER_MILLION)

    @property
    def runs(self) -> int:
        """Runs that the figures rest on: cold ones where there are no warm ones."""
        return self.profile.invocations.warm or self.profile.invocations.cold

    @property
    def has_own_samples(self) -> bool:
        """Whether its interval says something of a difference; scaled and interpolated sizes share their samples."""
        return self.profile.basis == "measured" or self.profile.expected is not None


def candidates(sizes: Iterable[SizeProfile]) -> list[Candidate]:
    """Return the sizes that have figures, whether they qualify or not."""
    return [Candidate(size, size.duration_ms, size.cost) for size in sizes if size.duration_ms and size.cost]


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What a strategy minimises: cost, duration, or the weighted sum of both as shares of the highest."""

    axis: Strategy
    weight: float = 0.5
    highest_cost: float = 0.0
    longest_ms: float = 0.0

    @classmethod
    def among(cls, options: Iterable[Candidate], axis: Strategy, weight: float) -> "Yardstick":
        """Return the yardstick for choosing among `options`, of which there is one at least."""
        pairs = [(option.judged_cost, option.judged_ms) for option in options]
        return cls(axis, weight, max(cost for cost, _ in pairs), max(ms for _, ms in pairs))

    def value(self, option: Candidate) -> float:
        """Return what there is to minimise."""
        return self._value(option.judged_cost, option.judged_ms)

    def other_value(self, option: Candidate) -> float:
        """Return what decides among equals: duration for cost, cost for speed and balanced."""
        return option.judged_ms if self.axis == "cost" else option.judged_cost

    def figure(self, option: Candidate) -> Figure:
        """Return what there is to minimise with its interval; cost and duration rise and fall together."""
        cost_ci95, ms_ci95 = option.judged_cost_ci95, option.judged_ms_ci95
        ci95: Interval | None = None
        if cost_ci95 and ms_ci95:
            ci95 = (self._value(cost_ci95[0], ms_ci95[0]), self._value(cost_ci95[1], ms_ci95[1]))
        elif self.axis != "balanced":
            ci95 = cost_ci95 if self.axis == "cost" else ms_ci95
        return Figure(self.value(option), ci95, option.runs, option.profile.expected is not None)

    def _value(self, cost: float, duration_ms: float) -> float:
        if self.axis == "cost":
            return cost
        if self.axis == "speed":
            return duration_ms
        cost_share, duration_share = _share(cost, self.highest_cost), _share(duration_ms, self.longest_ms)
        return self.weight * cost_share + (1 - self.weight) * duration_share


def _share(value: float, highest: float) -> float:
    return value / highest if highest else 0.0


def objection(profile: SizeProfile, choice: Choice) -> str | None:
    """Return why a size cannot be recommended, or None if it can.

    `max_duration_ms` is held against the 95th percentile where it is known, else against the mean.
    """
    if profile.status != "ok" or profile.duration_ms is None or profile.cost is None:
        return profile.reason or profile.status
    runs = profile.invocations
    if profile.basis == "extrapolated":  # nobody should be sent to a size that lies beyond all that was measured
        return "beyond the recorded sizes"
    if runs.failed > _FAILURES_ALLOWED * (runs.failed + runs.warm + runs.cold):
        return f"{runs.failed} of {runs.failed + runs.warm + runs.cold} runs failed"
    used_mb = profile.max_memory_used_mb
    if used_mb is not None and used_mb > (1 - MEMORY_HEADROOM) * profile.memory_mb:
        free = max(0.0, 1 - used_mb / profile.memory_mb)
        return f"only {free:.0%} memory free"
    return _broken_limit(Candidate(profile, profile.duration_ms, profile.cost), choice)


def _broken_limit(option: Candidate, choice: Choice) -> str | None:
    p95 = option.duration.p95
    name, slow_ms = ("mean", option.judged_ms) if p95 is None else ("p95", p95)
    if choice.max_duration_ms is not None and slow_ms > choice.max_duration_ms:
        return f"{name} {text.duration(slow_ms)} > {text.duration(choice.max_duration_ms)}"
    expected = option.profile.expected
    per_million = expected.cost_per_invocation * _PER_MILLION if expected else option.cost.per_million
    if choice.max_cost_per_million is not None and per_million > choice.max_cost_per_million:
        return f"over {text.money(choice.max_cost_per_million, option.cost.currency)}"
    return None
