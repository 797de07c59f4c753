"""The ways to tune: the functions of the Python API, each of them a source for the one loop."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from powertune.aws_lambda.memory import DEFAULT_SIZES_MB, MAX_TIMEOUT_S, checked_size
from powertune.aws_lambda.pricing import ARCHITECTURES
from powertune.charging import Options, check_names, settled_rates
from powertune.errors import BadInputError, UsageError
from powertune.model.invocation import Aggregate, Invocation
from powertune.model.source import SourceFacts
from powertune.model.tuning_run import TuningRun
from powertune.progress import NoProgress, Progress
from powertune.sources.price_refresh import refreshed_prices
from powertune.text import printable
from powertune.tuning import tune

if TYPE_CHECKING:
    from powertune.sources.containment import OutputTrap
    from powertune.sources.engines import EngineName
    from powertune.sources.events import Events
    from powertune.sources.insights import InsightsSource


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
    check_names(options)
    settled_rates(SourceFacts(), options, refreshed_prices())
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

    check_names(options)
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


def load(path: str | Path) -> TuningRun:
    """Return the saved run at `path`. Raises BadInputError."""
    from powertune.sources.saved_results import read_saved  # noqa: PLC0415 - loads the nouns of the gate, too

    runs = read_saved(path)
    if not isinstance(runs, list) or len(runs) != 1:
        raise BadInputError(f"{printable(path)} is not one run", hint="give a file made with --save")
    return runs[0]
