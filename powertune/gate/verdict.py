"""The gate: everything that is found out about each function, and which of it fails a build."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from powertune.gate import regression
from powertune.gate.checks import budget_checks, check, failure_checks, regression_checks, size_checks
from powertune.gate.condition_checks import condition_check
from powertune.gate.conditions import Condition
from powertune.gate.figures import profile_at
from powertune.gate.rules import FailOn
from powertune.gate.sizing import MARGIN_PCT, Sizing, judge_size
from powertune.gate.waivers import Waivers
from powertune.model.budgets import Budgets
from powertune.model.configured import Place
from powertune.model.judgement import Check, CheckResult, GateResult, Judgement
from powertune.model.run_warning import RunWarning
from powertune.model.tuning_run import TuningRun


@dataclass(frozen=True, slots=True)
class Demands:
    """What a function has to keep to, and what fails the gate if it does not."""

    budgets: Budgets = field(default_factory=Budgets)
    conditions: Sequence[Condition] = ()
    fail_on: FailOn = field(default_factory=FailOn)
    functions: int = 1
    """How many are judged at once: the more there are, the wider the intervals of changes against the baseline, so that
    none of them exceeds its limit by chance alone."""

    @property
    def need_baseline(self) -> bool:
        """Whether they ask for what only a baseline can tell."""
        relative = any(condition.relative for condition in self.conditions)
        return relative or self.fail_on.needs_baseline or self.budgets.max_regression_pct is not None


@dataclass(frozen=True, slots=True)
class Subject:
    """A function and what is configured for it."""

    name: str
    memory_mb: int | None
    """None where it could not be resolved."""
    place: Place | None = None
    unresolved: str = "nothing says which memory size is configured"
    """Why there is no memory size, where there is none."""


def judge(subject: Subject, run: TuningRun, demands: Demands, baseline: TuningRun | None = None) -> Judgement:
    """Return what a run says of a function as it is configured, held against what is demanded and a baseline.

    Every figure is held against its limit by one rule: it fails where all of its interval lies beyond the limit, and is
    unknown where the interval reaches across.
    """
    memory_mb, budgets = subject.memory_mb, demands.budgets
    checks: list[Check] = []
    if memory_mb is None:
        why = f"the configured memory is unknown: {subject.unresolved}"
        sizing = Sizing("insufficient-data", why, run.recommendation.memory_mb)
        checks.append(check("unresolved", "unknown", why, "give it with --parameter NAME=VALUE, or --current MB"))
    else:
        margin_pct = MARGIN_PCT if budgets.min_saving_pct is None else budgets.min_saving_pct
        sizing = judge_size(run, memory_mb, margin_pct=margin_pct, max_memory_mb=budgets.max_memory_mb)
        checks += size_checks(run, sizing)
        own = profile_at(run, memory_mb)
        if own is not None:
            checks += failure_checks(run, own)
            checks += budget_checks(run, own, budgets)
        if baseline is not None:
            given = budgets.max_regression_pct
            limit_pct = regression.LIMIT_PCT if given is None else given
            checks += regression_checks(run, memory_mb, baseline, limit_pct, demands.functions)
    checks += [
        condition_check(condition, run, memory_mb, sizing, baseline, demands.functions)
        for condition in demands.conditions
    ]
    return Judgement(
        function=subject.name,
        outcome=sizing.outcome,
        current_memory_mb=memory_mb,
        recommended_memory_mb=sizing.recommended_memory_mb,
        checks=tuple(demands.fail_on.settle(found) for found in checks),
        place=subject.place,
        run=run,
        baseline=baseline,
    )


def regression_result(
    subject: Subject, run: TuningRun, demands: Demands, baseline: TuningRun | None
) -> CheckResult | None:
    """Return whether a run is slower than the baseline: `unknown` where more runs could tell, None where none would."""
    checks = judge(subject, run, demands, baseline).checks
    found = (check for check in checks if check.rule == "regression-duration" and check.ci95)
    return next((check.result for check in found), None)


def regression_width(subject: Subject, run: TuningRun, baseline: TuningRun | None) -> float:
    """Return how unsure the change against the baseline is; infinite where it cannot be told at all."""
    if baseline is None or subject.memory_mb is None:
        return math.inf
    found = regression.compare(run, subject.memory_mb, baseline)
    return math.inf if isinstance(found, str) else found.error


def failed(subject: Subject, message: str, hint: str, demands: Demands) -> Judgement:
    """Return the judgement on a function that could not be run because it fails."""
    return _without_run(subject, check("function-failed", "fail", message, hint), demands)


def unresolved(subject: Subject, message: str, hint: str, demands: Demands) -> Judgement:
    """Return the judgement on a function that could not be run because it is not known how."""
    return _without_run(subject, check("unresolved", "unknown", message, hint), demands)


def _without_run(subject: Subject, found: Check, demands: Demands) -> Judgement:
    return Judgement(
        function=subject.name,
        outcome="insufficient-data",
        current_memory_mb=subject.memory_mb,
        recommended_memory_mb=None,
        checks=(demands.fail_on.settle(found),),
        place=subject.place,
    )


def gate(judgements: Sequence[Judgement], waivers: Waivers, warnings: Sequence[RunWarning] = ()) -> GateResult:
    """Return the whole result: judgements with what is waived, and doubts about the gate itself."""
    waived = tuple(waivers.apply(judgement) for judgement in judgements)
    return GateResult(waived, (*warnings, *waivers.doubts(waived)))


def is_open(result: GateResult) -> bool:
    """Tell whether anything could not be told."""
    return any(
        judgement.outcome in ("insufficient-data", "inconclusive")
        or any(found.result == "unknown" for found in judgement.checks)
        for judgement in result.judgements
    )


def only_functions_fail(result: GateResult) -> bool:
    """Tell whether the gate fails for functions that fail and for nothing else."""
    failing = [found for judgement in result.judgements for found in judgement.checks if found.fails_gate]
    return bool(failing) and all(found.rule == "function-failed" for found in failing)
