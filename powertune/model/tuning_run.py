"""A whole run: all that a renderer, the gate or `apply` sees, and the file on disk. Its layout is in run_file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from powertune.model.function_facts import FunctionFacts
from powertune.model.invocation import Invocation
from powertune.model.recommendation import Recommendation
from powertune.model.run_warning import RunWarning
from powertune.model.size_profile import SizeProfile

_DAYS_A_MONTH = 730 / 24
"""AWS's month has 730 hours."""


@dataclass(frozen=True, slots=True)
class PricesUsed:
    """The prices that every cost in the run rests on."""

    region: str
    architecture: str
    currency: str
    as_of: str | None
    """Date of the price list; None for prices that the user gave."""
    per_gb_second: float
    per_request: float
    basis: str
    """`list`, `override` or `refreshed`."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What the run itself cost, in the currency of its prices."""

    invocations: int = 0
    amount: float = 0.0


@dataclass(frozen=True, slots=True)
class TuningRun:
    """The run: where it came from, what was found at each size, and the recommendation."""

    tool_version: str
    created_at: str
    """ISO 8601, UTC."""
    source: Mapping[str, object]
    function: FunctionFacts
    pricing: PricesUsed
    sizes: tuple[SizeProfile, ...]
    recommendation: Recommendation
    choice: Mapping[str, float | None] = field(default_factory=dict)
    """What the recommendation was to weigh and to keep to: tolerance, weight, limits, usage; None for no limit."""
    spent: Spent = field(default_factory=Spent)
    warnings: tuple[RunWarning, ...] = ()
    invocations: tuple[Invocation, ...] = ()

    def size(self, memory_mb: int) -> SizeProfile:
        """Return the profile of one memory size. Raises KeyError if the run has no such size."""
        for profile in self.sizes:
            if profile.memory_mb == memory_mb:
                return profile
        raise KeyError(memory_mb)

    @property
    def payback_days(self) -> float | None:
        """Days of production after which the recommended size has saved what measuring it cost.

        None where nothing was spent, where nobody knows what a month costs, and where it saves nothing.
        """
        change = self.recommendation.versus_current
        if change is None or change.per_month is None or change.per_month >= 0 or self.spent.amount <= 0:
            return None
        return self.spent.amount / -change.per_month * _DAYS_A_MONTH

    def to_dict(self) -> dict[str, Any]:
        """Return the run as plain JSON values, in the layout of the run file."""
        # Imported here because the run file's room knows this one.
        from powertune.model.run_file import to_dict  # noqa: PLC0415

        return to_dict(self)

    def to_json(self) -> str:
        """Return the run file: JSON text, ASCII only, ending in a newline."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"
