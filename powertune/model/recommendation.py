"""The answer: which memory size for cost, for speed and balanced, and why."""

from dataclasses import dataclass
from typing import Literal

Strategy = Literal["cost", "speed", "balanced"]
STRATEGIES: tuple[Strategy, ...] = ("cost", "speed", "balanced")

Confidence = Literal["high", "medium", "low", "inconclusive"]
CONFIDENCES: tuple[Confidence, ...] = ("high", "medium", "low", "inconclusive")


@dataclass(frozen=True, slots=True)
class Change:
    """The recommended size against the current one; negative is faster or cheaper."""

    duration_pct: float
    cost_pct: float
    per_month: float | None = None
    """In the run's currency, where the number of invocations is known."""
    ci95_per_month: tuple[float, float] | None = None
    """None unless both sizes were measured, each with an interval."""


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

    def pick(self, strategy: Strategy) -> int | None:
        """Return the memory size picked for `strategy`, in MB."""
        picks = {"cost": self.cost_memory_mb, "speed": self.speed_memory_mb, "balanced": self.balanced_memory_mb}
        return picks[strategy]
