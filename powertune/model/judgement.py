"""What the gate says of functions: verdicts with their evidence. Renderers and the exit code are made from it alone."""

from dataclasses import dataclass
from typing import Literal, get_args

from powertune.model.budgets import Waiver
from powertune.model.configured import Place
from powertune.model.gate_rules import Severity
from powertune.model.run_warning import RunWarning
from powertune.model.tuning_run import TuningRun

Outcome = Literal["optimized", "over-provisioned", "under-provisioned", "insufficient-data", "inconclusive"]
"""On the memory size, in the words of AWS Compute Optimizer."""
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

CheckResult = Literal["pass", "fail", "unknown"]
"""`unknown`: the data cannot tell, or a difference lies inside the noise."""
CHECK_RESULTS: tuple[CheckResult, ...] = get_args(CheckResult)


@dataclass(frozen=True, slots=True)
class Check:
    """One rule applied to one function. Figures are in `unit`; None where a rule has no such figure."""

    rule: str
    """Stable id: `over-provisioned`, `under-provisioned`, `insufficient-data`, `inconclusive`, `max-p95`,
    `max-usd-per-million`, `max-memory`, `regression-duration`, `regression-cost`, `fail-if`, `function-failed`,
    `unresolved`."""
    result: CheckResult
    severity: Severity
    """What a failed check is: `error` fails the gate at default settings."""
    message: str
    """One sentence with the figures in it, without the function's name."""
    fails_gate: bool = False
    """True where the gate fails because of this check: it failed, is asked to (`--fail-on`), and is not waived."""
    measured: float | None = None
    ci95: tuple[float, float] | None = None
    """Of `measured`."""
    limit: float | None = None
    unit: str = ""
    """`ms`, `USD per million`, `MB`, `%`."""
    hint: str = ""
    """What to do about it, ending in a command or flag where there is one."""
    waiver: Waiver | None = None
    """The waiver that keeps a failed check from failing the gate."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """All that the gate found out about one function."""

    function: str
    outcome: Outcome
    current_memory_mb: int | None
    recommended_memory_mb: int | None
    checks: tuple[Check, ...]
    place: Place | None = None
    """Where the memory size is written; else where the function is defined; None without a template."""
    run: TuningRun | None = None
    """None where there is nothing to judge: the function could not be run at all."""
    baseline: TuningRun | None = None

    @property
    def fails(self) -> bool:
        """True if any check fails the gate."""
        return any(check.fails_gate for check in self.checks)

    @property
    def findings(self) -> tuple[Check, ...]:
        """Checks that failed, waived ones included."""
        return tuple(check for check in self.checks if check.result == "fail")


@dataclass(frozen=True, slots=True)
class GateResult:
    """The whole gate: one judgement for each function, in the order of the template or the command line."""

    judgements: tuple[Judgement, ...]
    warnings: tuple[RunWarning, ...] = ()
    """Doubts about the gate itself: expired or unused waivers, no baseline, functions left out."""
    next_command: str = ""
    """The one command to run next, as it would be typed; empty where there is nothing to do."""

    @property
    def fails(self) -> bool:
        """True if any function fails."""
        return any(judgement.fails for judgement in self.judgements)
