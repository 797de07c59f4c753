"""How runs differ from runs: two versions of the code, two architectures, before and after. B against A throughout."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from powertune.model.tuning_run import TuningRun

At = Literal["current", "recommended"]
"""Sizes at which functions are compared although A and B may have other ones."""
ATS: tuple[At, ...] = ("current", "recommended")


@dataclass(frozen=True, slots=True)
class Delta:
    """One figure in A and in B, and what changed in per cent of A's."""

    before: float
    after: float
    change_pct: float
    ci95_pct: tuple[float, float] | None = None
    """Holds for all comparisons that are shown at once. None where the runs cannot tell."""

    @property
    def is_significant(self) -> bool:
        """Whether B really differs from A, as far as the runs can tell."""
        return self.ci95_pct is not None and not self.ci95_pct[0] <= 0 <= self.ci95_pct[1]


@dataclass(frozen=True, slots=True)
class SizeComparison:
    """A function at a memory size of A and one of B, mostly the same."""

    before_mb: int
    after_mb: int
    before_runs: int = 0
    after_runs: int = 0
    duration_ms: Delta | None = None
    """None where either did not work at its size."""
    cost_per_million: Delta | None = None
    """None also where A and B are paid for in unlike currencies."""
    currency: str = "USD"
    not_judged: str | None = None
    """Why the runs cannot tell whether there is a difference."""


@dataclass(frozen=True, slots=True)
class FunctionComparison:
    """One function in A and B."""

    name: str
    before: TuningRun
    after: TuningRun
    sizes: tuple[SizeComparison, ...]
    """Those that both have, by memory."""
    at: Mapping[At, SizeComparison]
    """At the sizes that A and B have now, and at those that are recommended; what is not known is left out."""
    notes: tuple[str, ...] = ()
    """What else differs, and what the durations rest on."""


@dataclass(frozen=True, slots=True)
class Mean:
    """Geometric mean of the changes of functions, in per cent; each function counts the same."""

    functions: int
    duration: Delta
    cost: Delta


@dataclass(frozen=True, slots=True)
class RunsComparison:
    """All functions of A and B."""

    functions: tuple[FunctionComparison, ...]
    only_before: tuple[str, ...] = ()
    """Names of functions that A alone has."""
    only_after: tuple[str, ...] = ()
    means: Mapping[At, Mean] = field(default_factory=dict)
    """Over functions; empty where fewer than two can be compared."""
