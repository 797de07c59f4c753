"""Runs against runs: the same functions before and after, of two commits or on two architectures.

Differences are told from noise by the arithmetic of the gate (`gate/regression.py`), so that both say the same.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from powertune.gate import regression
from powertune.gate.figures import is_scaled, profile_at, runs_at
from powertune.model.run_comparison import ATS, At, Delta, FunctionComparison, Mean, RunsComparison, SizeComparison
from powertune.model.size_profile import SizeProfile
from powertune.model.tuning_run import TuningRun

_MILLION = 1_000_000
_FEWEST_RUNS = 2
"""One run says nothing of how far another would lie from it."""

Judged = tuple[SizeComparison, regression.Comparison | None]


def compare_runs(before: Sequence[TuningRun], after: Sequence[TuningRun]) -> RunsComparison:
    """Return how the runs `after` differ from those `before`, function by function.

    Functions are told by name, and where there are namesakes by architecture, too. Two single runs are compared
    whatever they are called. Intervals hold for all comparisons at once (Bonferroni), so that the more there is to
    compare, the more it takes to be called different.
    """
    pairs = list(_pairs(before, after))
    family = max(1, sum(len(_common_sizes(*pair)) + len(_sizes_at(*pair)) for pair in pairs))
    functions, judged = [], []
    for one, other in pairs:
        sizes = tuple(_compared(one, other, size, size, family)[0] for size in _common_sizes(one, other))
        at = {name: _compared(one, other, *sizes_mb, family) for name, sizes_mb in _sizes_at(one, other).items()}
        judged.append(at)
        shown = {name: compared for name, (compared, _) in at.items()}
        functions.append(FunctionComparison(_name(other), one, other, sizes, shown, tuple(_notes(one, other))))
    paired = [{id(pair[side]) for pair in pairs} for side in (0, 1)]
    return RunsComparison(
        tuple(functions),
        tuple(_name(run) for run in before if id(run) not in paired[0]),
        tuple(_name(run) for run in after if id(run) not in paired[1]),
        dict(_means(judged, family)),
    )


def _name(run: TuningRun) -> str:
    return run.function.name or "(unnamed)"


def _pairs(before: Sequence[TuningRun], after: Sequence[TuningRun]) -> Iterator[tuple[TuningRun, TuningRun]]:
    if len(before) == len(after) == 1:
        yield before[0], after[0]
        return
    left = list(before)
    for other in after:
        namesakes = [one for one in left if one.function.name == other.function.name]
        alike = [one for one in namesakes if one.function.architecture == other.function.architecture]
        if found := alike or namesakes:
            left = [one for one in left if one is not found[0]]
            yield found[0], other


def _common_sizes(before: TuningRun, after: TuningRun) -> list[int]:
    """Return the sizes in MB at which something ran in both."""
    ran = [{size.memory_mb for size in run.sizes if size.basis in ("measured", "scaled")} for run in (before, after)]
    return sorted(ran[0] & ran[1])


def _sizes_at(before: TuningRun, after: TuningRun) -> dict[At, tuple[int, int]]:
    known = {
        "current": (before.function.current_memory_mb, after.function.current_memory_mb),
        "recommended": (before.recommendation.memory_mb, after.recommendation.memory_mb),
    }
    return {at: (one, other) for at in ATS for one, other in [known[at]] if one and other}


def _compared(before: TuningRun, after: TuningRun, before_mb: int, after_mb: int, family: int) -> Judged:
    one, other = profile_at(before, before_mb), profile_at(after, after_mb)
    runs = tuple(runs_at(profile) if profile else 0 for profile in (one, other))
    plain = SizeComparison(before_mb, after_mb, runs[0], runs[1], currency=after.pricing.currency)
    if one is None or one.status != "ok" or not (one.duration_ms and one.cost):
        return replace(plain, not_judged=f"{_failure(one)} in A"), None
    if other is None or other.status != "ok" or not (other.duration_ms and other.cost):
        return replace(plain, not_judged=f"{_failure(other)} in B"), None
    judged = "n = 1" if min(runs) < _FEWEST_RUNS else _judged(before, after, one, other)
    if isinstance(judged, str):
        duration = _delta(one.duration_ms.mean, other.duration_ms.mean)
        cost = _delta(one.cost.per_million, other.cost.per_million)
        return replace(plain, duration_ms=duration, cost_per_million=cost, not_judged=judged), None
    before_cost = _cost_at(before, one, judged.before_ms)
    found = replace(judged, before_cost=before_cost, after_cost=other.cost.per_million)
    told = replace(
        plain,
        duration_ms=_delta(found.before_ms, found.after_ms, found.duration_pct(family).ci95),
        cost_per_million=_delta(
            found.before_cost, found.after_cost, found.cost_pct(family).ci95 if found.before_cost > 0 else None
        ),
    )
    if before.pricing.currency != after.pricing.currency:
        return replace(told, cost_per_million=None), None
    return told, found


def _failure(profile: SizeProfile | None) -> str:
    return "not measured" if profile is None or profile.status == "ok" else profile.status.replace("-", " ")


def _judged(before: TuningRun, after: TuningRun, one: SizeProfile, other: SizeProfile) -> regression.Comparison | str:
    """Return what the gate makes of the two sizes alone, architectures aside, or why it cannot tell."""
    baseline = replace(
        before, sizes=(one,), function=replace(before.function, architecture=after.function.architecture)
    )
    return regression.compare(replace(after, sizes=(other,)), other.memory_mb, baseline, one.memory_mb)


def _cost_at(run: TuningRun, profile: SizeProfile, duration_ms: float) -> float:
    """Return what a million invocations cost that take `duration_ms` instead: what is not billed by time stays."""
    if not (profile.duration_ms and profile.cost and profile.duration_ms.mean):
        return profile.cost.per_million if profile.cost else 0.0
    per_ms = run.pricing.per_gb_second / 1024 / 1000 * profile.memory_mb * _MILLION
    timed = min(profile.cost.per_million, profile.duration_ms.mean * per_ms)
    return profile.cost.per_million + timed * (duration_ms / profile.duration_ms.mean - 1)


def _delta(before: float, after: float, ci95_pct: tuple[float, float] | None = None) -> Delta:
    return Delta(before, after, (after / before - 1) * 100 if before else 0.0, ci95_pct)


def _means(judged: Sequence[Mapping[At, Judged]], family: int) -> Iterator[tuple[At, Mean]]:
    for at in ATS:
        found = [comparison for one in judged if at in one for comparison in [one[at][1]] if comparison]
        found = [one for one in found if min(one.before_cost, one.after_cost) > 0]
        if len(found) > 1:
            both = _geometric(found)
            yield (
                at,
                Mean(
                    len(found),
                    _delta(both.before_ms, both.after_ms, both.duration_pct(family).ci95),
                    _delta(both.before_cost, both.after_cost, both.cost_pct(family).ci95),
                ),
            )


def _geometric(found: Sequence[regression.Comparison]) -> regression.Comparison:
    """Return the geometric means of figures, and what their errors, which are independent, make of the ratio's."""

    def mean(figures: Iterator[float]) -> float:
        return math.exp(math.fsum(map(math.log, figures)) / len(found))

    return regression.Comparison(
        before_ms=mean(one.before_ms for one in found),
        after_ms=mean(one.after_ms for one in found),
        error=math.hypot(*(one.error for one in found)) / len(found),
        before_cost=mean(one.before_cost for one in found),
        after_cost=mean(one.after_cost for one in found),
        cost_error=math.hypot(*(one.cost_error for one in found)) / len(found),
    )


def _notes(before: TuningRun, after: TuningRun) -> Iterator[str]:
    """Yield what differs beside the figures, so that nobody takes one difference for another."""
    if _name(before) != _name(after):
        yield f"A is {_name(before)}, B is {_name(after)}"
    facts = {
        "Architecture": (before.function.architecture, after.function.architecture),
        "Region": (before.function.region, after.function.region),
        "Runtime": (before.function.runtime, after.function.runtime),
        "Kind of run": (before.source.get("kind"), after.source.get("kind")),
        "Version or alias": (before.source.get("qualifier"), after.source.get("qualifier")),
        "Payload": (before.source.get("payload_sha256"), after.source.get("payload_sha256")),
        "Code": (before.source.get("code_sha256"), after.source.get("code_sha256")),
        "Price of a GB-second": (before.pricing.per_gb_second, after.pricing.per_gb_second),
    }
    for name, (one, other) in facts.items():
        if one != other and one is not None and other is not None:
            yield f"{name}: {_short(one)} in A, {_short(other)} in B"
    if is_scaled(before) and is_scaled(after):
        yield "Durations of A are told as the machine of B would have taken"


def _short(value: object) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)[:24]
