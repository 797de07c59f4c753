"""Profiles of memory sizes: from the runs at each, and read off where nothing ran."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from powertune.analysis.beliefs import evidence_of_profiles
from powertune.analysis.duration_model import Prediction, predict
from powertune.analysis.recommendation import Choice, objection
from powertune.analysis.statistics import missing_payloads, profile_prediction, profile_size
from powertune.aws_lambda.pricing import Rates
from powertune.model.invocation import Aggregate, Invocation
from powertune.model.size_profile import Basis, Distribution, Expected, SizeProfile
from powertune.model.source import SourceFacts

_FEWEST_TO_PREDICT = 2


def profiles_of(
    sizes: Iterable[int],
    invocations: Iterable[Invocation],
    facts: SourceFacts,
    rates: Rates,
    *,
    trim: float,
    limit_ms: float | None,
) -> dict[int, SizeProfile]:
    """Return the profiles of measured sizes, by memory size in MB."""
    runs: dict[int, list[Invocation]] = defaultdict(list)
    for invocation in invocations:
        runs[invocation.memory_mb].append(invocation)
    summaries: dict[int, list[Aggregate]] = defaultdict(list)
    for aggregate in facts.aggregates:
        summaries[aggregate.memory_mb].append(aggregate)
    return {
        size: SizeProfile(size, "unavailable", facts.unavailable[size], facts.basis)
        if size in facts.unavailable
        else profile_size(
            size,
            runs[size],
            summaries[size],
            rates=rates,
            basis=facts.basis,
            payload_weights=facts.payload_weights,
            trim=trim,
            limit_ms=limit_ms,
        )
        for size in sizes
    }


def missing_payloads_of(invocations: Iterable[Invocation], facts: SourceFacts) -> dict[int, list[str]]:
    """Return the payloads that have a weight but no run that counts, by memory size in MB."""
    runs: dict[int, list[Invocation]] = defaultdict(list)
    for invocation in invocations if facts.payload_weights else ():
        runs[invocation.memory_mb].append(invocation)
    return {size: missing_payloads(found, facts.payload_weights) for size, found in runs.items()}


def with_environments(invocations: tuple[Invocation, ...], facts: SourceFacts) -> tuple[Invocation, ...]:
    """Return the runs with the environments that became known after they ended."""
    if not facts.environments:
        return invocations
    return tuple(
        replace(invocation, environment=invocation.environment or facts.environments.get(invocation.request_id or ""))
        for invocation in invocations
    )


def with_objection(profile: SizeProfile, choice: Choice) -> SizeProfile:
    """Return the profile with the reason why it is not recommended, where there is one."""
    return replace(profile, reason=objection(profile, choice)) if profile.status == "ok" else profile


def predicted(
    sizes_mb: Sequence[int],
    profiles: Mapping[int, SizeProfile],
    rates: Rates,
    by_cpu_law: Callable[[int], float] | None,
    expected: Mapping[int, Expected],
    not_told: str,
) -> dict[int, SizeProfile]:
    """Return the profiles of sizes that were never measured, or why there can be none.

    `by_cpu_law` gives durations in ms, where CPU time was recorded: then one measured size is enough. `expected` is
    what the search makes of sizes; `not_told` is the reason where nothing tells of them.
    """
    known = {size: profile for size, profile in profiles.items() if profile.status == "ok" and profile.duration_ms}
    if len(known) < (1 if by_cpu_law else _FEWEST_TO_PREDICT):
        return {size: SizeProfile(size, "unavailable", not_told, "extrapolated") for size in sizes_mb}
    modelled: Mapping[int, Expected | Prediction] = expected
    if not by_cpu_law and not expected:
        modelled = predict(evidence_of_profiles(known.values()), sizes_mb)
    found = {}
    for size in sizes_mb:
        nearest = known[min(known, key=lambda other: (abs(other - size), other))]
        used_mb = nearest.max_memory_used_mb
        if used_mb is not None and used_mb > size:
            reason = f"never recorded, and {nearest.memory_mb} MB used {used_mb:.0f} MB"
            found[size] = SizeProfile(size, "unavailable", reason, "extrapolated", max_memory_used_mb=used_mb)
            continue
        basis: Basis = "scaled"
        if by_cpu_law:
            duration = Distribution(by_cpu_law(size))
        else:
            duration = Distribution(modelled[size].duration_ms, ci95=modelled[size].duration_ci95_ms)
            basis = "interpolated" if min(known) < size < max(known) else "extrapolated"
        found[size] = profile_prediction(size, duration, basis, nearest, rates=rates)
    return found
