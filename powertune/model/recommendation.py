"""The answer: which memory size for cost, for speed and balanced, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Strategy = Literal["cost", "speed", "balanced"]
STRATEGIES: tuple[Strategy, ...] = ("cost", "speed", "balanced")

SearchName = Literal["adaptive", "frugal", "full"]
SEARCHES: tuple[SearchName, ...] = ("adaptive", "frugal", "full")
"""Ways to decide which sizes to measure, and how often."""

Confidence = Literal["high", "medium", "low", "inconclusive"]
CONFIDENCES: tuple[Confidence, ...] = ("high", "medium", "low", "inconclusive")


VerdictKind = Literal["tie", "significant", "inconclusive"]
VERDICT_KINDS: tuple[VerdictKind, ...] = ("tie", "significant", "inconclusive")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one size really differs from another, as far as the runs can tell."""

    memory_mb: int
    other_memory_mb: int
    axis: Strategy
    """What is compared: cost, duration (speed), or the score that balances both."""
    kind: VerdictKind
    """`tie`: the interval lies within the tolerance. `significant`: it excludes 0. Else `inconclusive`."""
    difference_pct: float
    """Of the first against the other; negative is cheaper, faster or better balanced."""
    ci95_pct: tuple[float, float] | None = None
    """None where nothing is known of the spread of runs at either size."""
    more_invocations: Mapping[int, int] = field(default_factory=dict)
    """How many more at which memory size would tell, if the figures stay as they are; empty where nobody knows."""


@dataclass(frozen=True, slots=True)
class Change:
    """The recommended size against the current one; negative is faster or cheaper."""

    duration_pct: float
    cost_pct: float
    per_month: float | None = None
    """In the run's currency, where the number of invocations is known."""
    ci95_per_month: tuple[float, float] | None = None
    """None unless both sizes were measured, each with an interval."""
    duration_verdict: Verdict | None = None
    cost_verdict: Verdict | None = None
    """None unless both sizes were measured."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """All three picks and the chosen one. A pick is None where no size qualifies."""

    strategy: Strategy
    memory_mb: int | None
    confidence: Confidence
    cost_memory_mb: int | None
    speed_memory_mb: int | None
    balanced_memory_mb: int | None
    reasons: tuple[str, ...] = ()
    versus_current: Change | None = None
    verdict: Verdict | None = None
    """On the chosen size against the next best, or against the best where another was preferred to it."""
    pareto: tuple[int, ...] = ()
    """Sizes in MB, among those that qualify, to which no other is both cheaper and faster."""
    alternatives: tuple[str, ...] = ()
    """What the other sizes of `pareto` cost and gain against the chosen one, a sentence each."""
    timeout_s: int | None = None
    """Timeout to give the function at the chosen size: 30 % above the slowest that was seen there."""

    def pick(self, strategy: Strategy) -> int | None:
        """Return the memory size picked for `strategy`, in MB."""
        picks = {"cost": self.cost_memory_mb, "speed": self.speed_memory_mb, "balanced": self.balanced_memory_mb}
        return picks[strategy]
