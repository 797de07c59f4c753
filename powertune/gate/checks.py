"""One rule for every limit, and its outcome in words: the checks that judgements are made of.

What lies beyond a limit with all of its interval fails, what lies within it passes. What reaches across is `unknown`: a
difference inside the noise never fails a build.
"""

from collections.abc import Iterator

from powertune import text
from powertune.gate import regression
from powertune.gate.figures import Figure, is_scaled, p95_at, per_million_at
from powertune.gate.sizing import Sizing
from powertune.model.budgets import Budgets
from powertune.model.gate_rules import SEVERITY_OF
from powertune.model.judgement import Check, CheckResult
from powertune.model.size_profile import SizeProfile
from powertune.model.tuning_run import TuningRun

_FAILURES_ALLOWED = 0.05
"""Share of failed runs above which a function is taken to fail."""


def check(
    rule: str,
    result: CheckResult,
    message: str,
    hint: str = "",
    *,
    figure: Figure | None = None,
    limit: float | None = None,
    unit: str = "",
) -> Check:
    """Return the check of a rule with what was measured; whether it fails the gate is settled later."""
    return Check(
        rule,
        result,
        SEVERITY_OF[rule],
        message,
        measured=figure.value if figure else None,
        ci95=figure.ci95 if figure else None,
        limit=limit,
        unit=unit,
        hint=hint,
    )


def in_unit(value: float, unit: str) -> str:
    """Return a figure in the unit of a check, as people write it."""
    if unit == "ms":
        return text.duration(value)
    if unit.startswith("USD"):
        return f"{text.money(value)}{unit.removeprefix('USD')}"
    return f"{value:+.1f} %" if unit == "%" else f"{value:,.0f} {unit}"


def interval_in_words(figure: Figure, unit: str) -> str:
    """Return ` (interval 380 ms to 420 ms)`, or nothing where the figure is exact or its interval unknown."""
    if figure.ci95 is None or figure.ci95[0] == figure.ci95[1]:
        return ""
    low, high = (in_unit(end, unit) for end in figure.ci95)
    return f" (interval {low} to {high})"


def _more_runs(run: TuningRun) -> str:
    """Return what to do where more runs would tell: how depends on where they come from."""
    if is_scaled(run):
        return "more runs would tell: --samples; a dry run is surer with --calibrate"
    if run.source.get("kind") == "aws":
        return "more runs would tell: powertune tune FUNCTION --search full --samples 50"
    return "more recorded runs would tell"


def size_checks(run: TuningRun, sizing: Sizing) -> Iterator[Check]:
    """Yield the checks of the memory size: both that it could break pass where it is optimized."""
    figure, limit = sizing.worse_pct, sizing.margin_pct
    unit = "%" if figure else ""
    match sizing.outcome:
        case "optimized":
            for rule in ("over-provisioned", "under-provisioned"):
                yield check(rule, "pass", sizing.message, figure=figure, limit=limit, unit=unit)
        case "over-provisioned" | "under-provisioned":
            hint = f"set it to {sizing.recommended_memory_mb} MB: powertune apply writes it into the template"
            yield check(sizing.outcome, "fail", sizing.message, hint, figure=figure, limit=limit, unit=unit)
        case "insufficient-data":
            yield check(sizing.outcome, "unknown", sizing.message, _more_runs(run))
        case "inconclusive":
            yield check(
                sizing.outcome, "unknown", sizing.message, _more_runs(run), figure=figure, limit=limit, unit=unit
            )


def failure_checks(run: TuningRun, own: SizeProfile) -> Iterator[Check]:
    """Yield a finding where the function fails at its own size, and not just for want of memory or time there."""
    runs = own.invocations
    every = runs.failed + runs.warm + runs.cold
    helpless = own.status in ("out-of-memory", "timed-out") and not any(size.status == "ok" for size in run.sizes)
    if own.status == "failed" or helpless:
        hint = "mend it or its payload first; powertune dry-run -v shows what a handler prints"
        yield check(
            "function-failed", "fail", f"it fails at {own.memory_mb} MB: {own.reason or 'no reason given'}", hint
        )
    elif own.status == "ok" and runs.failed > _FAILURES_ALLOWED * every:
        message = f"{runs.failed} of {text.count(every, 'run')} failed at {own.memory_mb} MB"
        yield check("function-failed", "fail", message, "mend it first: its figures rest on the other runs")


def budget_checks(run: TuningRun, own: SizeProfile, budgets: Budgets) -> Iterator[Check]:
    """Yield a check of each budget, at the configured size."""
    more = _more_runs(run)
    if budgets.max_p95_ms is not None:
        yield _budget_check("max-p95", "p95", p95_at(run, own), budgets.max_p95_ms, "ms", more)
    if budgets.max_usd_per_million is not None:
        cost = per_million_at(run, own) if run.pricing.currency == "USD" else None
        yield _budget_check(
            "max-usd-per-million", "the cost", cost, budgets.max_usd_per_million, "USD per million", more
        )
    if budgets.max_memory_mb is not None:
        size = float(own.memory_mb)
        yield _budget_check(
            "max-memory", "the memory", Figure(size, (size, size)), float(budgets.max_memory_mb), "MB", more
        )


def _budget_check(rule: str, what: str, figure: Figure | None, limit: float, unit: str, more_runs: str) -> Check:
    if figure is None:
        return check(rule, "unknown", f"{what} is not known at this size", "give runs", limit=limit, unit=unit)
    result, most = figure.above(limit), in_unit(limit, unit)
    verdict, hint = {
        "pass": (f"within {most}", ""),
        "fail": (f"over {most}", "mend the function or its size, or raise the budget"),
        "unknown": (
            f"and whether it is over {most} cannot be told",
            more_runs,
        ),
    }[result]
    message = f"{what} is {in_unit(figure.value, unit)}{interval_in_words(figure, unit)}, {verdict}"
    return check(rule, result, message, hint, figure=figure, limit=limit, unit=unit)


def regression_checks(
    run: TuningRun, memory_mb: int, baseline: TuningRun, limit_pct: float, functions: int
) -> Iterator[Check]:
    """Yield a check of duration and one of cost against the baseline, both at the size configured now.

    `functions` is how many are compared at once.
    """
    found = regression.compare(run, memory_mb, baseline)
    if isinstance(found, str):
        message, hint = f"not compared with the baseline: {found}", "make a new one: powertune gate --save FILE"
        yield check("regression-duration", "unknown", message, hint, limit=limit_pct, unit="%")
        return
    costs = [text.money(cost * 1e6, run.pricing.currency) for cost in (found.before_cost, found.after_cost)]
    for rule, shown, figure in (
        (
            "regression-duration",
            f"{text.duration(found.before_ms)} → {text.duration(found.after_ms)}",
            found.duration_pct(functions),
        ),
        ("regression-cost", f"{' → '.join(costs)} per million", found.cost_pct(functions)),
    ):
        result = "pass" if figure.value <= limit_pct else figure.above(limit_pct)
        hint = {
            "pass": "",
            "fail": "find what made it so, or accept it as the new baseline: powertune gate --save FILE",
            "unknown": _more_runs(run),
        }[result]
        change = f"{in_unit(figure.value, '%')}{interval_in_words(figure, '%')}"
        message = f"at {memory_mb} MB, against the baseline: {shown}, {change}, limit {limit_pct:+g} %"
        yield check(rule, result, message, hint, figure=figure, limit=limit_pct, unit="%")
