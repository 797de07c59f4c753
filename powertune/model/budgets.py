"""What a team allows a function, and what it has decided to live with for a while."""

from dataclasses import dataclass
from datetime import date

from powertune.model.configured import Place


@dataclass(frozen=True, slots=True)
class Budgets:
    """Limits of one function; None for no limit. Percentages are of what is compared with, 5.0 for 5 %."""

    max_p95_ms: float | None = None
    max_usd_per_million: float | None = None
    max_memory_mb: int | None = None
    min_saving_pct: float | None = None
    """What another memory size must save or gain before the configured one counts as badly sized."""
    max_regression_pct: float | None = None
    """How much slower or dearer than the baseline the function itself may get."""


@dataclass(frozen=True, slots=True)
class Waiver:
    """A finding that shall not fail the gate until a date, that day included."""

    function: str
    """A name, or a pattern with `*`."""
    rule: str
    """Id of a rule, or `*`."""
    reason: str
    until: date
    place: Place | None = None
