"""The one loop, whatever the source: measure sizes, make profiles of them, recommend, and build the run."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from powertune import __version__
from powertune.analysis.beliefs import Bill, evidence_of_profiles
from powertune.analysis.doubts import doubts
from powertune.analysis.drift import find_drift
from powertune.analysis.duration_model import Prediction, predict
from powertune.analysis.recommendation import Choice, objection, recommend
from powertune.analysis.search import MOST_ROUNDS, Search, hopeless_sizes, new_search
from powertune.analysis.statistics import missing_payloads, profile_prediction, profile_size
from powertune.aws_lambda.bill import break_even_utilization
from powertune.aws_lambda.memory import DEFAULT_SIZES_MB, MAX_TIMEOUT_S, checked_size
from powertune.aws_lambda.pricing import (
    ARCHITECTURES,
    EDGE_REGION,
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
from powertune.model.recommendation import SEARCHES, SearchName, Strategy
from powertune.model.run_file import RunFileError, from_dict
from powertune.model.run_warning import RunWarning
from powertune.model.size_profile import Basis, Distribution, Expected, SizeProfile
from powertune.model.source import Source, SourceFacts
from powertune.model.tuning_run import PricesUsed, Spent, TuningRun
from powertune.progress import NoProgress, Progress
from powertune.sources.price_refresh import Refreshed, refreshed_prices
from powertune.text import nearest, printable

if TYPE_CHECKING:
    from powertune.sources.containment import OutputTrap
    from powertune.sources.engines import EngineName
    from powertune.sources.events import Events
    from powertune.sources.insights import InsightsSource

DEFAULT_REGION = "us-east-1"
_FEWEST_TO_PREDICT = 2
_FINEST = 0.001
"""The narrowest precision that can be asked for: hosts differ by more than that from day to day."""
_DOUBTFUL = ("poor-anchor", "stretched-anchor", "wide-calibration")
"""Warnings under which durations may be off in scale, whatever they rest on."""
_ARITHMETIC = Context(prec=28, traps=[DivisionByZero, InvalidOperation, Overflow])
# What says how the function is called in production: the runs that measure it are synchronous, warm or paid in full.
_OF_PRODUCTION = (
    "cold_start_rate",
    "edge",
    "event_kb",
    "free_tier",
    "invocations_per_month",
    "provisioned",
    "snapstart_versions",
    "utilization",
)


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
    discount: float
    """Share that a Compute Savings Plan takes off duration and provisioned concurrency."""
    event_kb: int
    """Size of asynchronous events."""
    provisioned: int
    """Environments of provisioned concurrency, which are busy for the share `utilization` of the time."""
    utilization: float
    snapstart_versions: int
    """Active versions with a snapshot of SnapStart; Java functions do not pay for them."""
    edge: bool
    """Whether the function runs as Lambda@Edge."""
    invocations_per_month: float
    free_tier: bool
    """Whether the month has the free tier taken off, as if no other function used it."""
    trim: float
    """Share of the warm runs to leave out at each end, per payload."""


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
    _check_names(options)
    refreshed = refreshed_prices()  # before a handler can change where they are
    with source:
        facts = _facts(source)
        rates, function = _rates(facts, options, refreshed)
        run_rates = _run_rates(facts, options, refreshed)
        if hasattr(source, "rates"):  # one that has to know what its runs cost
            source.rates = run_rates
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
        facts = _facts(source)
        invocations = _with_environments(tuple(run for found in runs.values() for run in found), facts)
        expected = decides.expected(runs)
        measured = [size for size in offered_mb if is_full or size in runs or size in facts.unavailable]
        if facts.invocations_per_month and rates.invocations_per_month is None:  # a recording that tells it only now
            rates = replace(rates, invocations_per_month=Decimal(str(facts.invocations_per_month)))
    doubtful = any(warning.code in _DOUBTFUL for warning in facts.warnings)
    choice = replace(choice, calibrated=facts.calibrated and not doubtful)
    trim, limit_ms = options.get("trim", 0.0), choice.max_duration_ms
    profiles = _profiles(measured, invocations, facts, rates, trim=trim, limit_ms=limit_ms)
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
    profiles |= _predicted(unknown, profiles, rates, facts.duration_at_ms, expected, not_told)
    shown = [_with_objection(profiles[size], choice) for size in asked]
    recommendation = recommend(shown, choice)
    return TuningRun(
        tool_version=__version__,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        source=_source_told(facts, decides, search),
        function=function,
        pricing=_prices_used(rates),
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
        spent=_spent(invocations, run_rates) if facts.billed else Spent(),
        warnings=(
            *_price_warnings(refreshed),
            *facts.warnings,
            *doubts(
                shown,
                recommendation.memory_mb,
                calibrated=facts.calibrated,
                cold_start_rate=rates.cold_start_rate,
                missing_payloads=_missing_payloads(invocations, facts),
                # In a recording, the order of runs need not be that of time.
                drift=find_drift(invocations) if facts.billed else None,
                timeout_s=function.timeout_s,
                is_recorded=not facts.billed,
            ),
        ),
        invocations=invocations,
    )


def dry_run(
    handler: str | Callable[..., Any],
    *,
    payload: object = None,
    events: "Events | None" = None,
    sizes: Iterable[int] | None = None,
    samples: int | None = None,
    known_durations_ms: Mapping[int, float] | None = None,
    calibrate: bool = False,
    recalibrate: bool = False,
    speed_ratio: float | None = None,
    verify: Iterable[int] = (),
    timeout_s: float = MAX_TIMEOUT_S,
    isolate: bool = False,
    python: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    layers: Sequence[str | Path] = (),
    progress: Progress | None = None,
    output: "OutputTrap | None" = None,
    end_process_if_stuck: bool = False,
    **options: Unpack[Options],
) -> TuningRun:
    """Call a Python handler in this process and scale what it takes to every memory size by Lambda's CPU law.

    `handler` is `package.module:function` or a callable, `payload` any JSON value ({} if None), or `events` a mix of
    payloads (`powertune.sources.events`). `known_durations_ms` are durations from production by memory size in MB,
    which anchor the scale. Without them, `calibrate` has kernels whose durations on Lambda are known say how this
    machine compares (`recalibrate` measures them anew), and the intervals hold how far these differ. `speed_ratio` is
    how many times as fast one core of arm64 is at this work as one of x86_64: arm64 is never guessed. Sizes of
    `verify` are also run for real under their CPU quota and memory limit on this machine.

    With `isolate` the handler runs in a process of its own, with `python` in that of the interpreter or virtual
    environment at that path; `env` are its environment variables and `layers` folders that stand for /opt. `output`
    takes what the handler prints, which is dropped without it. `end_process_if_stuck` ends this process where the
    handler outlives its timeout in code that cannot be interrupted: nothing else can. Raises PowertuneError.
    """
    from powertune.sources.deployment import Deployment, checked_layers  # noqa: PLC0415 - a recording needs none of it
    from powertune.sources.events import OneEvent  # noqa: PLC0415
    from powertune.sources.host_speeds import scale_of  # noqa: PLC0415
    from powertune.sources.local import LocalSource  # noqa: PLC0415
    from powertune.sources.payloads import json_text  # noqa: PLC0415
    from powertune.sources.throttle import find_way  # noqa: PLC0415

    verified = [checked_size(size) for size in verify]
    asked = _sizes_of_dry_run([*(sizes or DEFAULT_SIZES_MB), *verified], options)
    if verified and not isinstance(handler, str):
        raise UsageError("a function object cannot be run under a quota", hint="name it: package.module:function")
    scale = scale_of(
        known_durations_ms or {},
        architecture=options.get("architecture") or ARCHITECTURES[0],
        speed_ratio=speed_ratio,
        calibrate=calibrate or recalibrate,
        anew=recalibrate,
        python=None if python is None else str(python),
        progress=progress,
    )
    source = LocalSource(
        handler,
        events=events or OneEvent(json_text(payload)),
        sizes=asked,
        scale=scale,
        verify_mb=verified,
        throttle=find_way() if verified else None,
        timeout_s=timeout_s,
        memory_limit_mb=options.get("current_memory_mb"),
        region=options.get("region") or options.get("default_region"),
        deployment=Deployment(
            isolate=isolate,
            python=None if python is None else str(python),
            environment=dict(env or {}),
            layers=checked_layers([str(layer) for layer in layers]),
            storage_mb=options.get("ephemeral_storage_mb"),
        ),
        progress=progress,
        output=output,
        end_process_if_stuck=end_process_if_stuck,
    )
    return tune(source, sizes=asked, samples=samples, **options)


def dry_run_command(
    command: Sequence[str],
    *,
    payload: object = None,
    events: "Events | None" = None,
    sizes: Iterable[int] | None = None,
    samples: int | None = None,
    known_durations_ms: Mapping[int, float] | None = None,
    calibrate: bool = False,
    recalibrate: bool = False,
    speed_ratio: float | None = None,
    timeout_s: float = MAX_TIMEOUT_S,
    env: Mapping[str, str] | None = None,
    layers: Iterable[str | Path] = (),
    progress: Progress | None = None,
    output: "OutputTrap | None" = None,
    **options: Unpack[Options],
) -> TuningRun:
    """Run a command that speaks Lambda's Runtime API here and scale what its calls take to every memory size.

    `command` is the program and its arguments. The rest is as for `dry_run`. Raises PowertuneError.
    """
    from powertune.sources.command import CommandSource  # noqa: PLC0415 - nothing else needs it
    from powertune.sources.deployment import Deployment, checked_layers  # noqa: PLC0415
    from powertune.sources.events import OneEvent  # noqa: PLC0415
    from powertune.sources.host_speeds import scale_of  # noqa: PLC0415
    from powertune.sources.payloads import json_text  # noqa: PLC0415

    asked = _sizes_of_dry_run(sizes or DEFAULT_SIZES_MB, options)
    scale = scale_of(
        known_durations_ms or {},
        architecture=options.get("architecture") or ARCHITECTURES[0],
        speed_ratio=speed_ratio,
        calibrate=calibrate or recalibrate,
        anew=recalibrate,
        python=None,
        progress=progress,
    )
    source = CommandSource(
        command,
        events=events or OneEvent(json_text(payload)),
        sizes=asked,
        scale=scale,
        timeout_s=timeout_s,
        memory_limit_mb=options.get("current_memory_mb"),
        region=options.get("region") or options.get("default_region"),
        deployment=Deployment(environment=dict(env or {}), layers=checked_layers([str(layer) for layer in layers])),
        progress=progress,
        output=output,
    )
    return tune(source, sizes=asked, samples=samples, **options)


def _sizes_of_dry_run(sizes: Iterable[int], options: Options) -> list[int]:
    """Return the sizes to scale to. What is wrong with the options is told here, before anything runs."""
    _check_names(options)
    _rates(SourceFacts(), options, refreshed_prices())
    current_mb = options.get("current_memory_mb")
    return sorted({checked_size(size) for size in (*sizes, *([current_mb] if current_mb else []))})


def estimate(
    recordings: str | Path | Sequence[str | Path] | Sequence[Invocation | Aggregate],
    *,
    sizes: Iterable[int] | None = None,
    function: str | None = None,
    skip_invalid: bool = False,
    engine: "EngineName" = "local",
    jobs: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
    **options: Unpack[Options],
) -> TuningRun:
    """Recommend a memory size from recorded durations: files of any format that powertune reads, or records.

    Files may be folders, patterns, `-` for standard input and `s3://bucket/prefix`. `sizes` may name sizes that were
    never recorded: they are interpolated. `function` chooses where files hold several. `jobs` processes read side by
    side (one for each processor where there is much to read), or with the engine `dask` the cluster of the `scheduler`
    at that address: the figures are the same. Raises PowertuneError.
    """
    from powertune.sources.recorded import RecordedSource  # noqa: PLC0415 - a dry run needs none of it
    from powertune.sources.recorded_files import Engine  # noqa: PLC0415 - likewise

    given = [recordings] if isinstance(recordings, str | Path) else list(recordings)
    source = RecordedSource(
        [item for item in given if isinstance(item, str | Path)],
        records=[item for item in given if not isinstance(item, str | Path)],
        function=function,
        architecture=options.get("architecture"),
        region=options.get("region"),
        skip_invalid=skip_invalid,
        engine=Engine(engine, jobs, scheduler),
        progress=progress or NoProgress(),
    )
    return tune(source, sizes=sizes, **options)


def estimate_all(
    recordings: str | Path | Sequence[str | Path],
    *,
    sizes: Iterable[int] | None = None,
    skip_invalid: bool = False,
    engine: "EngineName" = "local",
    jobs: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
    **options: Unpack[Options],
) -> list[TuningRun]:
    """Recommend a memory size for each function in files, in the order of names; `estimate` says what may be given.

    Functions are told apart by log group, log stream, ARN or a column. Raises PowertuneError.
    """
    from powertune.sources.by_function import sources_of  # noqa: PLC0415 - a dry run needs none of it
    from powertune.sources.recorded_files import Engine, read_files  # noqa: PLC0415 - likewise

    _check_names(options)
    files = [str(recordings)] if isinstance(recordings, str | Path) else [str(file) for file in recordings]
    asked = None if sizes is None else tuple(sizes)
    told = progress or NoProgress()
    recording = read_files(files, skip_invalid=skip_invalid, engine=Engine(engine, jobs, scheduler), progress=told)
    sources = sources_of(recording, files, architecture=options.get("architecture"), region=options.get("region"))
    told.end()
    return [tune(source, sizes=asked, **options) for source in sources]


def insights_runs(
    sources: Iterable["InsightsSource"], *, sizes: Iterable[int] | None = None, **options: Unpack[Options]
) -> list[TuningRun]:
    """Recommend a memory size for each function that a scan of CloudWatch Logs found, in the order of `sources`.

    `sizes` may name sizes that never ran: they are interpolated. Raises PowertuneError.
    """
    asked = None if sizes is None else tuple(sizes)
    return [tune(source, sizes=asked, **options) for source in sources]


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


def most_runs_searched(round_runs: int) -> int:
    """Return how many warm runs a search makes at most, before any for a precision, at `round_runs` a batch."""
    return MOST_ROUNDS * round_runs


def rates_of(options: Options) -> Rates:
    """Return what the options say an invocation in production costs, in whatever way it is measured.

    Raises PowertuneError for options that make no sense, and where a price is not known.
    """
    _check_names(options)
    return _rates(SourceFacts(), options, refreshed_prices())[0]


def rates_for_source(source: Source, options: Options) -> Rates:
    """Return what the runs of a source will be charged. Raises PowertuneError where a price is not known."""
    facts, refreshed = _facts(source), refreshed_prices()
    _rates(facts, options, refreshed)  # what is wrong with the options is told before anything runs
    return _run_rates(facts, options, refreshed)


def _facts(source: Source) -> SourceFacts:
    facts = getattr(source, "facts", None)
    return facts if isinstance(facts, SourceFacts) else SourceFacts()


def _run_rates(facts: SourceFacts, options: Options, refreshed: Refreshed) -> Rates:
    """Return what the runs that measure the function cost, however it is called in production."""
    of_runs: Options = {name: value for name, value in options.items() if name not in _OF_PRODUCTION}  # type: ignore[assignment] # a part of Options
    return _rates(facts, of_runs, refreshed)[0]


def _price_warnings(refreshed: Refreshed) -> tuple[RunWarning, ...]:
    problem = refreshed.problem
    hint = "powertune prices refresh writes them anew; until then the prices that ship with powertune count"
    return (RunWarning("price-cache", problem, hint),) if problem else ()


def _rates(facts: SourceFacts, options: Options, refreshed: Refreshed) -> tuple[Rates, FunctionFacts]:
    """Return what to charge, and the function with region and architecture settled."""
    known = facts.function
    edge = options.get("edge", False)
    usual_region = EDGE_REGION if edge else options.get("default_region") or DEFAULT_REGION
    region = options.get("region") or known.region or usual_region
    invocations = options.get("invocations_per_month") or facts.invocations_per_month
    if options.get("free_tier") and not invocations:
        raise UsageError("the free tier is one of a month's bill", hint="add --invocations-per-month N")
    is_java = (known.runtime or "").startswith("java")  # whose snapshots are free
    architecture = options.get("architecture") or known.architecture or ARCHITECTURES[0]
    try:
        prices = find_prices(
            region,
            architecture,
            per_gb_second=options.get("price_gb_second"),
            per_request=options.get("price_request"),
            refreshed=refreshed.rows,
            edge=edge,
        )
    except UnknownPlaceError as error:
        raise _by_origin(error, options, known) from None
    with localcontext(_ARITHMETIC):  # a handler of a dry run may have changed that of the process
        rates = rates_for(
            prices,
            gb_seconds_per_month=options.get("gb_seconds_per_month"),
            ephemeral_storage_mb=options.get("ephemeral_storage_mb") or known.ephemeral_storage_mb or FREE_STORAGE_MB,
            cold_start_rate=options.get("cold_start_rate", 0.0),
            discount=options.get("discount", 0),
            event_kb=options.get("event_kb", 0),
            provisioned=options.get("provisioned"),
            utilization=options.get("utilization"),
            snapstart_versions=0 if is_java else options.get("snapstart_versions", 0),
            invocations_per_month=invocations,
            free_tier=options.get("free_tier", False),
        )
    function = FunctionFacts(
        known.name,
        known.runtime,
        prices.architecture,
        region,
        options.get("current_memory_mb") or known.current_memory_mb,
        known.ephemeral_storage_mb,
        known.timeout_s,
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
        **_terms_kept(rates),
    }


def _terms_kept(rates: Rates) -> dict[str, float]:
    """Return how the function is paid for, as far as that is not as usual."""
    use, requests = rates.provisioned, rates.requests_per_invocation
    kept = {
        "invocations_per_month": rates.invocations_per_month,
        "free_tier": rates.free_tier,
        "discount": rates.discount,
        "requests_per_invocation": requests if requests > 1 else 0,
        "provisioned_environments": use.environments if use else 0,
        "utilization": use.utilization if use else 0,
        "break_even_utilization": break_even_utilization(rates) if use else 0,
        "snapstart_versions": rates.snapstart_versions,
        "edge": rates.prices.is_edge,
    }
    return {name: float(value) for name, value in kept.items() if value}


def _profiles(
    sizes: Iterable[int],
    invocations: Iterable[Invocation],
    facts: SourceFacts,
    rates: Rates,
    *,
    trim: float,
    limit_ms: float | None,
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
            limit_ms=limit_ms,
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


def _predicted(
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
