"""What a run says to conditions of `--fail-if`."""

from powertune.gate import regression
from powertune.gate.checks import check, in_unit, interval_in_words
from powertune.gate.conditions import Condition
from powertune.gate.figures import Figure, duration_at, p95_at, per_million_at, profile_at
from powertune.gate.sizing import Sizing
from powertune.model.judgement import Check
from powertune.model.size_profile import SizeProfile
from powertune.model.tuning_run import TuningRun


def condition_check(
    condition: Condition, run: TuningRun, memory_mb: int | None, sizing: Sizing, baseline: TuningRun | None, family: int
) -> Check:
    """Return the check of one condition at the configured size. `family` is how many are compared at once."""
    figure: Figure | str = "there are no figures at the configured size"
    own = profile_at(run, memory_mb)
    if own is not None and condition.relative:
        figure = _change(condition, run, own, baseline, family)
    elif own is not None:
        figure = _figure(condition, run, own, sizing) or f"{condition.field} is not known"
    limit = condition.value
    if limit is None and sizing.outcome not in ("insufficient-data", "inconclusive"):
        # A size that is as good as the recommended one, as far as can be told, is recommended as well.
        best_mb = memory_mb if sizing.outcome == "optimized" else sizing.recommended_memory_mb
        limit = None if best_mb is None else float(best_mb)
    if isinstance(figure, str) or limit is None:
        why = figure if isinstance(figure, str) else "which size is best cannot be told"
        return check("fail-if", "unknown", f"{condition.text}: {why}", unit=condition.unit)
    result = condition.holds(figure, limit)
    verdict = {"fail": "holds", "pass": "does not hold", "unknown": "may hold"}[result]
    shown = f"{in_unit(figure.value, condition.unit)}{interval_in_words(figure, condition.unit)}"
    message = f"{condition.text} {verdict}: {shown}"
    return check("fail-if", result, message, figure=figure, limit=limit, unit=condition.unit)


def _figure(condition: Condition, run: TuningRun, own: SizeProfile, sizing: Sizing) -> Figure | None:
    """Return the figure that a condition is about; None where it is not known well enough to judge."""
    figure: Figure | None = None
    match condition.field:
        case "memory":
            size = float(own.memory_mb)
            figure = Figure(size, (size, size))
        case "duration":
            figure = duration_at(run, own)
        case "p95":
            figure = p95_at(run, own)
        case "saving" if sizing.outcome == "optimized":
            figure = Figure(0.0, (0.0, 0.0))
        case "saving":
            figure = sizing.saving_pct
        case "usd_per_month" if run.pricing.currency == "USD" and own.cost and own.cost.per_month is not None:
            figure = Figure(own.cost.per_month, own.cost.ci95_per_month)
        case "cost" | "usd_per_million" if run.pricing.currency == "USD":
            figure = per_million_at(run, own)
    return figure if figure and figure.ci95 else None


def _change(
    condition: Condition, run: TuningRun, own: SizeProfile, baseline: TuningRun | None, family: int
) -> Figure | str:
    """Return the change in per cent against the baseline as that was configured, or why it cannot be told."""
    if baseline is None:
        return "the baseline does not know this function"
    before_mb = baseline.function.current_memory_mb or own.memory_mb
    if condition.field == "memory":
        change_pct = (own.memory_mb / before_mb - 1) * 100
        return Figure(change_pct, (change_pct, change_pct))
    found = regression.compare(run, own.memory_mb, baseline, before_mb)
    if isinstance(found, str):
        return found
    return found.duration_pct(family) if condition.field == "duration" else found.cost_pct(family)
