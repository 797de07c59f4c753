"""The one loop, whatever the source: measure sizes, make profiles of them, recommend, and build the run."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Unpack

from powertune import __version__
from powertune.analysis.beliefs import Bill
from powertune.analysis.doubts import doubts
from powertune.analysis.drift import find_drift
from powertune.analysis.recommendation import Choice, recommend
from powertune.analysis.search import MOST_ROUNDS, Search, hopeless_sizes, new_search
from powertune.analysis.statistics import load_numpy
from powertune.aws_lambda.memory import DEFAULT_SIZES_MB, checked_size
from powertune.aws_lambda.pricing import FREE_STORAGE_MB, Rates
from powertune.charging import (
    Options,
    check_names,
    price_warnings,
    prices_used,
    run_rates,
    settled_rates,
    source_facts,
    spent_on,
    terms_kept,
)
from powertune.errors import UsageError
from powertune.model.invocation import Invocation
from powertune.model.recommendation import SEARCHES, SearchName
from powertune.model.size_profile import SizeProfile
from powertune.model.source import Source, SourceFacts
from powertune.model.tuning_run import Spent, TuningRun
from powertune.profiling import missing_payloads_of, predicted, profiles_of, with_environments, with_objection
from powertune.sources.price_refresh import refreshed_prices
from powertune.text import nearest, printable

_FINEST = 0.001
"""The narrowest precision that can be asked for: hosts differ by more than that from day to day."""

_DOUBTFUL = ("poor-anchor", "stretched-anchor", "wide-calibration")
"""Warnings under which durations may be off in scale, whatever they rest on."""


def tune(
    source: Source,
    *,
    sizes: Iterable[int] | None = None,
    search: SearchName = "adaptive",
    samples: int | None = None,
    precision: float | None = None,
    seed: int | None = None,
    **options: Unpack[Options],
) -> TuningRun:
    """Measure memory sizes with `source` and recommend one.

    `sizes` are in MB; without them, all that the source offers. `search` decides which of them are measured and how
    often: `adaptive` and `frugal` go where the next run tells most, `full` measures each `samples` times; a source
    whose runs cost nothing is always measured in full. `samples` is the most warm runs per size for the first two;
    without it the search or the source decides. With `precision`, runs go on until the 95 % interval of the mean at the
    size to be taken (at every size, with `full`) is no wider than that share of the mean on either side. The same
    `seed` (0 if None) and runs give the same answer. Sizes that were not measured are read off between and beyond those
    that were, and marked so. Raises PowertuneError for options that make no sense and for what stops the source.
    """
    _check_search(search, samples, precision)
    check_names(options)
    refreshed = refreshed_prices()  # before a handler can change where they are
    with source:
        facts = source_facts(source)
        rates, function = settled_rates(facts, options, refreshed)
        rates_of_runs = run_rates(facts, options, refreshed)
        if hasattr(source, "rates"):  # one that has to know what its runs cost
            source.rates = rates_of_runs
        choice = _choice(facts, options, function.current_memory_mb)
        current = [] if function.current_memory_mb is None else [function.current_memory_mb]
        offered = set(source.sizes)
        usual = {*offered, *(DEFAULT_SIZES_MB if facts.duration_at_ms else ())}
        asked = sorted({checked_size(size) for size in (*(usual if sizes is None else sizes), *current)})
        offered_mb = [size for size in asked if size in offered]
        if len(offered_mb) < len(asked) and not facts.billed:
            offered_mb = sorted(offered)  # where sizes have to be predicted, all there are help, if they cost nothing
        is_full = search == "full" or not facts.billed
        decides = new_search(
            "full" if is_full else search,
            offered_mb,
            _bills(offered_mb, rates),
            choice,
            samples=samples,
            usual_samples=facts.default_samples,
            payload_weights=facts.payload_weights,
            cold_start_rate=rates.cold_start_rate,
            precision=precision,
            trim=options.get("trim", 0.0),
            seed=seed or 0,
        )
        runs = _measured(source, decides)
        facts = source_facts(source)
        invocations = with_environments(tuple(run for found in runs.values() for run in found), facts)
        expected = decides.expected(runs)
        measured = [size for size in offered_mb if is_full or size in runs or size in facts.unavailable]
        if facts.invocations_per_month and rates.invocations_per_month is None:  # a recording that tells it only now
            rates = replace(rates, invocations_per_month=Decimal(str(facts.invocations_per_month)))
    doubtful = any(warning.code in _DOUBTFUL for warning in facts.warnings)
    choice = replace(choice, calibrated=facts.calibrated and not doubtful)
    trim, limit_ms = options.get("trim", 0.0), choice.max_duration_ms
    profiles = profiles_of(measured, invocations, facts, rates, trim=trim, limit_ms=limit_ms)
    profiles = {size: replace(profile, expected=expected.get(size)) for size, profile in profiles.items()}
    profiles |= {
        size: SizeProfile(size, "unavailable", reason, "extrapolated")
        for size, reason in hopeless_sizes(asked, runs).items()
        if size not in profiles
    }
    unknown = [size for size in asked if size not in profiles]
    not_told = "never recorded, and one recorded size tells nothing about others"
    if not is_full:
        not_told = f"not tried: {facts.stopped or decides.why}"
    profiles |= predicted(unknown, profiles, rates, facts.duration_at_ms, expected, not_told)
    shown = [with_objection(profiles[size], choice) for size in asked]
    recommendation = recommend(shown, choice)
    return TuningRun(
        tool_version=__version__,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        source=_source_told(facts, decides, search),
        function=function,
        pricing=prices_used(rates),
        # After the choice: what is off in the same direction everywhere does not make sizes harder to tell apart.
        sizes=tuple(
            replace(
                profile.with_common_error(facts.common_error.get(profile.memory_mb, 0.0)),
                throttled=facts.throttled.get(profile.memory_mb),
            )
            for profile in shown
        ),
        recommendation=recommendation,
        choice=_choice_kept(choice, rates, options),
        spent=spent_on(invocations, rates_of_runs) if facts.billed else Spent(),
        warnings=(
            *price_warnings(refreshed),
            *facts.warnings,
            *doubts(
                shown,
                recommendation.memory_mb,
                calibrated=facts.calibrated,
                cold_start_rate=rates.cold_start_rate,
                missing_payloads=missing_payloads_of(invocations, facts),
                # In a recording, the order of runs need not be that of time.
                drift=find_drift(invocations) if facts.billed else None,
                timeout_s=function.timeout_s,
                is_recorded=not facts.billed,
            ),
        ),
        invocations=invocations,
    )


def load_libraries() -> None:
    """Load ahead what `tune` needs once there are runs."""
    load_numpy()


def _check_search(search: str, samples: int | None, precision: float | None) -> None:
    """Raise UsageError for a search that does not exist, or numbers that make no sense."""
    if search not in SEARCHES:
        near = nearest(search, SEARCHES) or f"choose from {', '.join(SEARCHES)}"
        raise UsageError(f"there is no search {printable(search, limit=40)!r}", hint=near)
    if samples is not None and samples < 1:
        raise UsageError(f"{samples} is no number of samples", hint="give 1 or more")
    if precision is not None and not _FINEST <= precision < 1:
        raise UsageError(f"a precision of {precision} is none", hint=f"0.02 is 2 %; give {_FINEST} or more, below 1")


def _bills(sizes_mb: Iterable[int], rates: Rates) -> dict[int, Bill]:
    return {size: Bill(float(rates.per_ms(size)), float(rates.per_invocation(size))) for size in sizes_mb}


def _measured(source: Source, search: Search) -> dict[int, list[Invocation]]:
    """Measure what the search asks for until it stops; return the runs by memory size in MB."""
    runs: dict[int, list[Invocation]] = defaultdict(list)
    while plan := search.next(runs):
        for run in source.measure(plan):
            runs[run.memory_mb].append(run)
    return dict(runs)


def _source_told(facts: SourceFacts, search: Search, name: str) -> dict[str, object]:
    """Return what the run file says of the source, and of how sizes were chosen for measuring if that was a choice."""
    told: dict[str, object] = {"kind": facts.kind, "calibrated": facts.calibrated}
    if facts.billed:
        told["search"] = {"name": name, "stopped": facts.stopped or search.why}
    return {**told, **facts.details}


def most_runs_searched(round_runs: int) -> int:
    """Return how many warm runs a search makes at most, before any for a precision, at `round_runs` a batch."""
    return MOST_ROUNDS * round_runs


def _choice(facts: SourceFacts, options: Options, current_memory_mb: int | None) -> Choice:
    default = Choice()
    return Choice(
        strategy=options.get("strategy", default.strategy),
        balanced_weight=options.get("balanced_weight", default.balanced_weight),
        tolerance=options.get("tolerance", default.tolerance),
        max_duration_ms=options.get("max_duration_ms"),
        max_cost_per_million=options.get("max_cost_per_million"),
        current_memory_mb=current_memory_mb,
        allow_unmeasured=not facts.billed,
        calibrated=facts.calibrated,
    )


def _choice_kept(choice: Choice, rates: Rates, options: Options) -> dict[str, float | None]:
    """Return what a reader needs to make the recommendation again."""
    return {
        "balanced_weight": choice.balanced_weight,
        "tolerance": choice.tolerance,
        "max_duration_ms": choice.max_duration_ms,
        "max_cost_per_million": choice.max_cost_per_million,
        "gb_seconds_per_month": options.get("gb_seconds_per_month"),
        "ephemeral_storage_mb": FREE_STORAGE_MB + rates.billed_storage_mb,
        "cold_start_rate": rates.cold_start_rate,
        "trim": options.get("trim", 0.0),
        **terms_kept(rates),
    }
