"""The one loop, whatever the source: measure sizes, make profiles of them, recommend, and build the run."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from powertune import __version__
from powertune.analysis.doubts import doubts
from powertune.analysis.duration_model import predict_duration_ms
from powertune.analysis.recommendation import Choice, objection, recommend
from powertune.analysis.statistics import missing_payloads, profile_prediction, profile_size
from powertune.aws_lambda.memory import DEFAULT_SIZES_MB, MAX_TIMEOUT_S, checked_size
from powertune.aws_lambda.pricing import (
    ARCHITECTURES,
    FREE_STORAGE_MB,
    Rates,
    UnknownPlaceError,
    billed_duration_ms,
    find_prices,
    rates_for,
)
from powertune.errors import BadInputError, PowertuneError, UsageError
from powertune.model.function_facts import FunctionFacts
from powertune.model.invocation import Aggregate, Invocation
from powertune.model.recommendation import Strategy
from powertune.model.run_file import RunFileError, from_dict
from powertune.model.size_profile import SizeProfile
from powertune.model.source import Source, SourceFacts
from powertune.model.tuning_run import PricesUsed, Spent, TuningRun
from powertune.progress import NoProgress, Progress
from powertune.text import nearest, printable

if TYPE_CHECKING:
    from powertune.sources.containment import OutputTrap

DEFAULT_REGION = "us-east-1"
_FEWEST_TO_PREDICT = 2


class Options(TypedDict, total=False):
    """How to choose and what to charge: the options that every way of tuning shares."""

    strategy: Strategy
    balanced_weight: float
    tolerance: float
    max_duration_ms: float
    max_cost_per_million: float
    current_memory_mb: int
    region: str
    """Counts before the source's own region; `default_region` counts after it."""
    default_region: str
    architecture: str
    price_gb_second: float | str | Decimal
    price_request: float | str | Decimal
    gb_seconds_per_month: float
    ephemeral_storage_mb: int
    cold_start_rate: float
    trim: float
    """Share of the warm runs to leave out at each end, per payload."""


def tune(
    source: Source, *, sizes: Iterable[int] | None = None, samples: int | None = None, **options: Unpack[Options]
) -> TuningRun:
    """Measure memory sizes with `source` and recommend one.

    `sizes` are in MB; without them, all that the source offers. `samples` is the number of warm runs per size; without
    it the source decides. Sizes that the source cannot measure are read off between and beyond those it can, and
    marked so. Raises PowertuneError for options that make no sense and for what stops the source.
    """
    if samples is not None and samples < 1:
        raise UsageError(f"{samples} is no number of samples", hint="give 1 or more")
    _check_names(options)
    with source:
        facts = _facts(source)
        rates, function = _rates(facts, options)
        if hasattr(source, "rates"):  # one that has to know what its runs cost
            source.rates = rates
        choice = _choice(facts, options, function.current_memory_mb)
        current = [] if function.current_memory_mb is None else [function.current_memory_mb]
        offered = set(source.sizes)
        asked = sorted({checked_size(size) for size in (*(offered if sizes is None else sizes), *current)})
        measured = [size for size in asked if size in offered]
        if len(measured) < len(asked) and not facts.billed:
            measured = sorted(offered)  # where sizes have to be predicted, all there are help, if they cost nothing
        plan = dict.fromkeys(measured, samples or facts.default_samples)
        invocations = tuple(source.measure(plan))
        facts = _facts(source)
        invocations = _with_environments(invocations, facts)
    doubtful = any(warning.code in ("poor-anchor", "stretched-anchor") for warning in facts.warnings)
    choice = replace(choice, calibrated=facts.calibrated and not doubtful)
    profiles = _profiles(measured, invocations, facts, rates, trim=options.get("trim", 0.0))
    profiles |= {size: _predicted(size, profiles, rates) for size in asked if size not in profiles}
    shown = [_with_objection(profiles[size], choice) for size in asked]
    recommendation = recommend(shown, choice)
    return TuningRun(
        tool_version=__version__,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        source={"kind": facts.kind, "calibrated": facts.calibrated, **facts.details},
        function=function,
        pricing=_prices_used(rates),
        sizes=tuple(shown),
        recommendation=recommendation,
        choice=_choice_kept(choice, rates, options),
        spent=_spent(invocations, rates) if facts.billed else Spent(),
        warnings=(
            *facts.warnings,
            *doubts(
                shown,
                recommendation.memory_mb,
                calibrated=facts.calibrated,
                cold_start_rate=rates.cold_start_rate,
                missing_payloads=_missing_payloads(invocations, facts),
            ),
        ),
        invocations=invocations,
    )


def dry_run(
    handler: str | Callable[..., Any],
    *,
    payload: object = None,
    sizes: Iterable[int] | None = None,
    samples: int | None = None,
    known_durations_ms: Mapping[int, float] | None = None,
    timeout_s: float = MAX_TIMEOUT_S,
    progress: Progress | None = None,
    output: "OutputTrap | None" = None,
    end_process_if_stuck: bool = False,
    **options: Unpack[Options],
) -> TuningRun:
    """Call a Python handler in this process and scale what it takes to every memory size by Lambda's CPU law.

    `handler` is `package.module:function` or a callable, `payload` any JSON value ({} if None), `known_durations_ms`
    durations from production by memory size in MB, which anchor the scale. `output` takes what the handler prints,
    which is dropped without it. `end_process_if_stuck` ends this process where the handler outlives its timeout in
    code that cannot be interrupted: nothing else can. Raises PowertuneError.
    """
    from powertune.sources.local import LocalSource  # noqa: PLC0415 - a recording needs none of it
    from powertune.sources.payloads import json_text  # noqa: PLC0415

    _check_names(options)
    _rates(SourceFacts(), options)  # what is wrong with the options is told before anything runs
    current_mb = options.get("current_memory_mb")
    asked = sorted(
        {checked_size(size) for size in (*(sizes or DEFAULT_SIZES_MB), *([current_mb] if current_mb else []))}
    )
    source = LocalSource(
        handler,
        payload=json_text(payload),
        sizes=asked,
        known_durations_ms=known_durations_ms,
        timeout_s=timeout_s,
        memory_limit_mb=current_mb,
        region=options.get("region") or options.get("default_region"),
        progress=progress,
        output=output,
        end_process_if_stuck=end_process_if_stuck,
    )
    return tune(source, sizes=asked, samples=samples, **options)


def estimate(
    recordings: str | Path | Sequence[str | Path] | Sequence[Invocation | Aggregate],
    *,
    sizes: Iterable[int] | None = None,
    function: str | None = None,
    skip_invalid: bool = False,
    progress: Progress | None = None,
    **options: Unpack[Options],
) -> TuningRun:
    """Recommend a memory size from recorded durations: files of any format that powertune reads, or records.

    `sizes` may name sizes that were never recorded: they are interpolated. `function` chooses where files hold
    several. Raises PowertuneError.
    """
    from powertune.sources.recorded import RecordedSource  # noqa: PLC0415 - a dry run needs none of it

    given = [recordings] if isinstance(recordings, str | Path) else list(recordings)
    source = RecordedSource(
        [item for item in given if isinstance(item, str | Path)],
        records=[item for item in given if not isinstance(item, str | Path)],
        function=function,
        architecture=options.get("architecture"),
        region=options.get("region"),
        skip_invalid=skip_invalid,
        progress=progress or NoProgress(),
    )
    return tune(source, sizes=sizes, **options)


def load(path: str | Path) -> TuningRun:
    """Return the saved run at `path`. Raises BadInputError."""
    shown = printable(path)
    try:
        return from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
    except OSError as error:
        raise BadInputError(f"{shown} cannot be read: {error.strerror}", hint="check its name") from error
    except RunFileError as error:
        raise BadInputError(f"{shown}: {error}", hint="give a file made with --save") from error
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{shown} is no run file", hint="give a file made with --save") from error


def rates_for_source(source: Source, options: Options) -> Rates:
    """Return what the runs of a source will be charged. Raises PowertuneError where a price is not known."""
    return _rates(_facts(source), options)[0]


def _facts(source: Source) -> SourceFacts:
    facts = getattr(source, "facts", None)
    return facts if isinstance(facts, SourceFacts) else SourceFacts()


def _rates(facts: SourceFacts, options: Options) -> tuple[Rates, FunctionFacts]:
    """Return what to charge, and the function with region and architecture settled."""
    known = facts.function
    region = options.get("region") or known.region or options.get("default_region") or DEFAULT_REGION
    architecture = options.get("architecture") or known.architecture or ARCHITECTURES[0]
    try:
        prices = find_prices(
            region,
            architecture,
            per_gb_second=options.get("price_gb_second"),
            per_request=options.get("price_request"),
        )
    except UnknownPlaceError as error:
        raise _by_origin(error, options, known) from None
    rates = rates_for(
        prices,
        gb_seconds_per_month=options.get("gb_seconds_per_month"),
        ephemeral_storage_mb=options.get("ephemeral_storage_mb") or known.ephemeral_storage_mb or FREE_STORAGE_MB,
        cold_start_rate=options.get("cold_start_rate", 0.0),
    )
    function = FunctionFacts(
        known.name,
        known.runtime,
        prices.architecture,
        region,
        options.get("current_memory_mb") or known.current_memory_mb,
        known.ephemeral_storage_mb,
    )
    return rates, function


def _by_origin(error: UnknownPlaceError, options: Options, known: FunctionFacts) -> PowertuneError:
    """Return what to say of a region or architecture that does not exist, by where it came from."""
    asked, found = (
        (options.get("region"), known.region) if error.is_region else (options.get("architecture"), known.architecture)
    )
    if asked:
        return error
    if found:
        option = "--region" if error.is_region else "--arch"
        return BadInputError(f"{error.message}, and the input names it", hint=f"{error.hint}; {option} overrules it")
    return UsageError(f"{error.message}, and AWS_REGION or AWS_DEFAULT_REGION names it", hint=error.hint)


def _check_names(options: Options) -> None:
    """Raise UsageError for an option that does not exist: a misspelt one must not be ignored."""
    for name in options:
        if name not in Options.__annotations__:
            near = nearest(name, Options.__annotations__) or f"there are: {', '.join(Options.__annotations__)}"
            raise UsageError(f"there is no option {printable(name, limit=40)!r}", hint=near)


def _with_objection(profile: SizeProfile, choice: Choice) -> SizeProfile:
    """Return the profile with the reason why it is not recommended, where there is one."""
    return replace(profile, reason=objection(profile, choice)) if profile.status == "ok" else profile


def _choice(facts: SourceFacts, options: Options, current_memory_mb: int | None) -> Choice:
    default = Choice()
    return Choice(
        strategy=options.get("strategy", default.strategy),
        balanced_weight=options.get("balanced_weight", default.balanced_weight),
        tolerance=options.get("tolerance", default.tolerance),
        max_duration_ms=options.get("max_duration_ms"),
        max_cost_per_million=options.get("max_cost_per_million"),
        current_memory_mb=current_memory_mb,
        allow_unmeasured=facts.kind != "aws",
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
    }


def _profiles(
    sizes: Iterable[int], invocations: Iterable[Invocation], facts: SourceFacts, rates: Rates, *, trim: float
) -> dict[int, SizeProfile]:
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
        )
        for size in sizes
    }


def _missing_payloads(invocations: Iterable[Invocation], facts: SourceFacts) -> dict[int, list[str]]:
    """Return the payloads that have a weight but no run that counts, by memory size in MB."""
    runs: dict[int, list[Invocation]] = defaultdict(list)
    for invocation in invocations if facts.payload_weights else ():
        runs[invocation.memory_mb].append(invocation)
    return {size: missing_payloads(found, facts.payload_weights) for size, found in runs.items()}


def _with_environments(invocations: tuple[Invocation, ...], facts: SourceFacts) -> tuple[Invocation, ...]:
    """Return the runs with the environments that became known after they ended."""
    if not facts.environments:
        return invocations
    return tuple(
        replace(invocation, environment=invocation.environment or facts.environments.get(invocation.request_id or ""))
        for invocation in invocations
    )


def _predicted(memory_mb: int, profiles: Mapping[int, SizeProfile], rates: Rates) -> SizeProfile:
    """Return the profile of a size that was never measured, or why there can be none."""
    known = {size: profile for size, profile in profiles.items() if profile.status == "ok" and profile.duration_ms}
    if len(known) < _FEWEST_TO_PREDICT:
        reason = "never recorded, and one recorded size tells nothing about others"
        return SizeProfile(memory_mb, "unavailable", reason, "extrapolated")
    nearest = known[min(known, key=lambda size: (abs(size - memory_mb), size))]
    used_mb = nearest.max_memory_used_mb
    if used_mb is not None and used_mb > memory_mb:
        reason = f"never recorded, and {nearest.memory_mb} MB used {used_mb:.0f} MB"
        return SizeProfile(memory_mb, "unavailable", reason, "extrapolated", max_memory_used_mb=used_mb)
    means_ms = {size: profile.duration_ms.mean for size, profile in known.items() if profile.duration_ms}
    duration_ms, basis = predict_duration_ms(means_ms, memory_mb)
    return profile_prediction(memory_mb, duration_ms, basis, nearest, rates=rates)


def _prices_used(rates: Rates) -> PricesUsed:
    prices = rates.prices
    return PricesUsed(
        region=prices.region,
        architecture=prices.architecture,
        currency=prices.currency,
        as_of=prices.as_of,
        per_gb_second=float(rates.per_gb_second),
        per_request=float(prices.per_request),
        basis=prices.basis,
    )


def _spent(invocations: Sequence[Invocation], rates: Rates) -> Spent:
    """Return what the runs cost, failed ones included: they are billed, too. What never ran costs nothing."""
    ran = [invocation for invocation in invocations if invocation.billed_ms != 0]
    bills = (
        rates.bill(
            invocation.memory_mb,
            billed_duration_ms(invocation.duration_ms, invocation.init_ms or 0.0)
            if invocation.billed_ms is None
            else invocation.billed_ms,
        )
        for invocation in ran
    )
    return Spent(len(ran), float(sum(bills)))
