"""The verdict on the memory size: whether another would be better by more than the margin, and surely so."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from powertune import text
from powertune.analysis.candidates import Candidate, Yardstick, candidates
from powertune.analysis.comparison import judge as compare
from powertune.aws_lambda.memory import MEMORY_HEADROOM
from powertune.gate.figures import Figure, for_any_host, p95_at, per_million_at, profile_at, runs_at, views
from powertune.model.judgement import Outcome
from powertune.model.size_profile import SizeProfile
from powertune.model.tuning_run import TuningRun

MARGIN_PCT = 5.0
"""What another size must be better by, unless `min_saving_pct` says otherwise."""
_GATES = 20
"""For how many gates of the same code at once the interval is to hold: a size that is as good as the margin would
else fail one build in forty."""
_FEWEST_RUNS = 2
_MEMORY_ERROR, _MEMORY_ERROR_OF_DRY_RUN = 0.02, 0.05
"""Shares by which the memory that is used differs from run to run, and by which what a dry run needs may be off on
Lambda: its runtime's own share is an average."""
_MEASURE = {"cost": "the cost", "speed": "the duration", "balanced": "the score of cost and duration"}


@dataclass(frozen=True, slots=True)
class Sizing:
    """What is found of the configured size."""

    outcome: Outcome
    message: str
    recommended_memory_mb: int | None = None
    worse_pct: Figure | None = None
    """By how much the configured size is worse than the recommended one on the run's own axis."""
    margin_pct: float | None = None
    saving_pct: Figure | None = None
    """What of its cost the recommended size saves; negative where that is dearer."""


def judge_size(
    run: TuningRun, memory_mb: int, *, margin_pct: float = MARGIN_PCT, max_memory_mb: int | None = None
) -> Sizing:
    """Return the verdict on a configured size in MB, by the strategy and the limits of the run.

    It is badly sized if another that qualifies is better by more than `margin_pct` over the whole 95 % interval of the
    difference; for a dry run, also on cores as much slower and faster as Lambda's may be. `max_memory_mb` is the
    largest size that may be recommended.
    """
    own, options = profile_at(run, memory_mb), _qualified(run, max_memory_mb)
    best_mb = _recommended(run, options)
    broken = None if own is None else _broken(run, own)
    unknown = _why_unknown(run, memory_mb, best_mb, is_broken=broken is not None)
    if unknown is not None or own is None or best_mb is None:
        return Sizing("insufficient-data", unknown or "", best_mb)
    if best_mb == memory_mb:
        return Sizing("optimized", f"{memory_mb} MB is the best size{_at_figures(own)}", best_mb)
    if broken is not None:
        return Sizing(_direction(memory_mb, best_mb), f"{memory_mb} → {best_mb} MB: {broken}", best_mb)
    return _compared(run, memory_mb, best_mb, options, margin_pct)


def _why_unknown(run: TuningRun, memory_mb: int, best_mb: int | None, *, is_broken: bool) -> str | None:
    """Return why there can be no verdict on a size; None where there can."""
    own, best = profile_at(run, memory_mb), profile_at(run, best_mb)
    if own is None:
        return f"the run has no figures at {memory_mb} MB, which is configured"
    if not any(size.status != "unavailable" for size in run.sizes if size is not own):
        return f"nothing is known of other sizes than {memory_mb} MB"
    if own.status != "ok" and (best is None or not is_broken):
        return f"at {memory_mb} MB: {own.reason or own.status}"
    if best is None:
        return "; ".join(run.recommendation.reasons) or "no size qualifies"
    if is_broken and best is not own:
        return None
    too_little = {size.memory_mb: _too_little(size) for size in (own, best)}
    return next((f"{why} at {size_mb} MB" for size_mb, why in too_little.items() if why), None)


def _recommended(run: TuningRun, options: Sequence[Candidate]) -> int | None:
    """Return the run's own recommendation, or the best of the sizes left where that is not among them."""
    wanted_mb = run.recommendation.memory_mb
    if not options or any(option.memory_mb == wanted_mb for option in options):
        return wanted_mb if options else None
    yardstick = _yardstick(run, options)
    return min(options, key=lambda option: (yardstick.value(option), option.memory_mb)).memory_mb


def _qualified(run: TuningRun, max_memory_mb: int | None) -> list[Candidate]:
    """Return the sizes that may be recommended. A size that does not qualify has the reason in its profile."""
    return [
        option
        for option in candidates(run.sizes)
        if option.profile.status == "ok"
        and option.profile.reason is None
        and (max_memory_mb is None or option.memory_mb <= max_memory_mb)
    ]


def _yardstick(run: TuningRun, options: Sequence[Candidate]) -> Yardstick:
    weight = run.choice.get("balanced_weight")
    return Yardstick.among(options, run.recommendation.strategy, 0.5 if weight is None else weight)


def _direction(memory_mb: int, best_mb: int) -> Outcome:
    return "over-provisioned" if best_mb < memory_mb else "under-provisioned"


def _broken(run: TuningRun, own: SizeProfile) -> str | None:
    """Return why a configured size cannot stay whatever it costs; None where it can, or the data cannot tell."""
    if own.status in ("out-of-memory", "timed-out"):
        return own.reason or own.status
    used_mb = own.max_memory_used_mb
    if used_mb is not None:
        sure_mb = used_mb * (1 - (_MEMORY_ERROR_OF_DRY_RUN if own.basis == "scaled" else _MEMORY_ERROR))
        if sure_mb > (1 - MEMORY_HEADROOM) * own.memory_mb:
            return f"{used_mb:.0f} MB are used, which leaves less than {MEMORY_HEADROOM:.0%} free"
    max_ms, max_cost = run.choice.get("max_duration_ms"), run.choice.get("max_cost_per_million")
    slow, dear = p95_at(run, own), per_million_at(run, own)
    if max_ms is not None and slow and slow.above(max_ms) == "fail":
        return f"p95 is {text.duration(slow.value)}, and {text.duration(max_ms)} is the limit"
    if max_cost is not None and dear and dear.above(max_cost) == "fail":
        cost, limit = (text.money(value, run.pricing.currency) for value in (dear.value, max_cost))
        return f"{cost} per million, and {limit} is the limit"
    return None


def _too_little(profile: SizeProfile) -> str | None:
    """Return why the figures of a size are too few to judge by; None where they are enough."""
    if profile.basis == "extrapolated" or not (profile.duration_ms and profile.cost):
        return "nothing was measured"
    if profile.basis == "interpolated" or (profile.expected and runs_at(profile) == 0):
        return None
    runs = runs_at(profile)
    return None if runs >= _FEWEST_RUNS else f"{text.count(runs, 'run')} cannot be told from chance"


def _compared(run: TuningRun, memory_mb: int, best_mb: int, options: Sequence[Candidate], margin_pct: float) -> Sizing:
    def yardstick(found: Sequence[Candidate]) -> Yardstick:
        return _yardstick(run, found)

    worse = _worse_pct(run, memory_mb, best_mb, options, yardstick)
    dearer = _worse_pct(run, memory_mb, best_mb, options, lambda _: Yardstick("cost"))
    what = f"{_MEASURE[run.recommendation.strategy]} at {memory_mb} MB is {worse.value:+.1f} % against {best_mb} MB"
    within = f", interval {worse.ci95[0]:+.1f} to {worse.ci95[1]:+.1f} %" if worse.ci95 else ", of unknown accuracy"
    evidence = f"{change_in_words(run, memory_mb, best_mb)}; {what}{within}, margin {margin_pct:g} %"
    outcome: Outcome = "inconclusive"
    if worse.above(margin_pct) == "fail":
        outcome = _direction(memory_mb, best_mb)
    elif worse.value <= margin_pct:
        outcome = "optimized"
    return Sizing(outcome, evidence, best_mb, worse, margin_pct, _as_saving(dearer))


def _worse_pct(
    run: TuningRun,
    memory_mb: int,
    best_mb: int,
    options: Sequence[Candidate],
    yardstick_of: Callable[[Sequence[Candidate]], Yardstick],
) -> Figure:
    """Return by how many per cent the configured size is worse than the best, by a yardstick."""
    chosen = {option.memory_mb for option in options}
    if any(option.profile.basis == "scaled" for option in options):
        found = []
        for view in views(run):
            known = {option.memory_mb: option for option in candidates(view.sizes)}
            value = yardstick_of([known[size] for size in known if size in chosen]).value
            found.append((value(known[memory_mb]) / value(known[best_mb]) - 1) * 100 if value(known[best_mb]) else 0.0)
        return Figure(found[0], (min(found), max(found)))
    known = {option.memory_mb: option for option in candidates(for_any_host(run, size) for size in run.sizes)}
    # The best of many looks better than it is, and a gate asks again and again: the interval is widened for both.
    rivals = max(1, len(options) - 1) * _GATES
    verdict = compare(known[memory_mb], known[best_mb], yardstick_of(options), tolerance=0.0, rivals=rivals)
    return Figure(verdict.difference_pct, verdict.ci95_pct)


def _as_saving(dearer_pct: Figure) -> Figure:
    """Return as a share of the dearer what is a share of the cheaper: 100 % dearer is a saving of 50 %."""

    def saving(value: float) -> float:
        return 100 * value / (100 + value) if value > -100 else -100.0  # noqa: PLR2004 - free of charge

    ends = dearer_pct.ci95
    return Figure(saving(dearer_pct.value), ends and (saving(ends[0]), saving(ends[1])))


def change_in_words(run: TuningRun, before_mb: int, after_mb: int) -> str:
    """Return `512 → 1024 MB: 412 → 208 ms (-49.5 %), $3.51 → $3.54 per million (+0.9 %)`, and the month if known."""
    before, after = profile_at(run, before_mb), profile_at(run, after_mb)
    sizes = f"{before_mb} → {after_mb} MB"
    if not (before and after and before.duration_ms and after.duration_ms and before.cost and after.cost):
        return sizes
    times = [text.duration(profile.mean) for profile in (before.duration_ms, after.duration_ms)]
    if times[0].split()[1] == times[1].split()[1]:
        times[0] = times[0].split()[0]
    costs = [text.money(cost.per_million, cost.currency) for cost in (before.cost, after.cost)]
    words = (
        f"{sizes}: {' → '.join(times)} ({_percent(before.duration_ms.mean, after.duration_ms.mean)}),"
        f" {' → '.join(costs)} per million ({_percent(before.cost.per_million, after.cost.per_million)})"
    )
    if before.cost.per_month is not None and after.cost.per_month is not None:
        months = [text.money(cost.per_month or 0.0, cost.currency) for cost in (before.cost, after.cost)]
        words += f", {' → '.join(months)} per month"
    return words


def _percent(before: float, after: float) -> str:
    return f"{(after / before - 1) * 100:+.1f} %" if before else "from nothing"


def _at_figures(own: SizeProfile) -> str:
    if not (own.duration_ms and own.cost):
        return ""
    return f": {text.duration(own.duration_ms.mean)}, {text.money(own.cost.per_million, own.cost.currency)} per million"
