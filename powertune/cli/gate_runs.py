"""The runs that a gate judges: saved ones, recordings, and dry runs made on the spot."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from powertune import text
from powertune.aws_lambda.memory import MAX_TIMEOUT_S
from powertune.cli.gate_functions import GatedFunction, why_not_run
from powertune.errors import BadInputError, FunctionFailedError
from powertune.gate.verdict import Demands, failed, unresolved
from powertune.model.judgement import Judgement
from powertune.model.tuning_run import TuningRun

if TYPE_CHECKING:
    from powertune.charging import Options
    from powertune.progress import Progress

_LEAST_SAMPLES = 10
"""Calls of a dry run that a gate makes at least: fewer tell little about a change of some per cent."""


def recorded_runs(
    files: Sequence[str], sizes_mb: Mapping[str, int], wanted: "Options", *, anew: bool, reading: Mapping[str, Any]
) -> list[TuningRun]:
    """Return the runs in saved files as they were saved, and those that recordings give.

    `sizes_mb` are configured sizes by the function's name. A run without one of these, or any with `anew`, is worked
    out again by what is `wanted` now. Raises PowertuneError.
    """
    from powertune import api  # noqa: PLC0415 - a usage error needs none of it
    from powertune.sources.baseline import read_saved  # noqa: PLC0415

    found: list[TuningRun] = []
    recordings = []
    for file in files:
        saved = read_saved(file)
        if saved is None or (anew and all(run.source.get("kind") != "local" for run in saved)):
            recordings.append(file)
        else:
            found += saved
    if recordings:
        found += api.estimate_all(recordings, **reading, **wanted)
    return [_with_size(run, sizes_mb, files, wanted, reading) for run in found]


def _with_size(
    run: TuningRun, sizes_mb: Mapping[str, int], files: Sequence[str], wanted: "Options", reading: Mapping[str, Any]
) -> TuningRun:
    """Return a run that has the configured size, which is read off between others if it was not recorded."""
    from powertune import api  # noqa: PLC0415 - as above

    memory_mb = sizes_mb.get(run.function.name or "", wanted.get("current_memory_mb"))
    if memory_mb is None or any(size.memory_mb == memory_mb for size in run.sizes) or run.source.get("kind") == "local":
        return run
    options: Options = {**wanted, "current_memory_mb": memory_mb}
    return api.estimate(list(files), function=run.function.name, **reading, **options)


@dataclass(frozen=True, kw_only=True)
class Measuring:
    """How dry runs are made."""

    samples: int | None
    calibrate: bool
    speed_ratio: float | None
    payload: str | None
    wanted: "Options"
    """What holds for all functions."""


def dry_runs(
    functions: Sequence[GatedFunction], measuring: Measuring, demands: Mapping[str, Demands], progress: "Progress"
) -> Iterator[tuple[GatedFunction, TuningRun | Judgement]]:
    """Run each function here, one after the other, and yield its run, or the judgement that it could not be run.

    Each runs in a process of its own, in the folder of its code. Raises PowertuneError for what is wrong with options,
    payloads and settings: what is wrong with a function is for its judgement.
    """
    events = [_events(function, measuring.payload) for function in functions]
    for function, its_events in zip(functions, events, strict=True):
        own = demands[function.subject.name]
        why = why_not_run(function)
        if why is not None:
            yield function, unresolved(function.subject, *why, own)
            continue
        try:
            yield function, _dry_run(function, its_events, measuring, progress)
        except (FunctionFailedError, BadInputError) as error:
            yield function, failed(function.subject, error.message, error.hint, own)


def _events(function: GatedFunction, payload: str | None) -> Any:
    from powertune.sources.events import OneEvent, read_events  # noqa: PLC0415 - as above
    from powertune.sources.payloads import read_payload  # noqa: PLC0415

    if payload is None and function.settings.payloads is not None:
        return read_events(function.settings.payloads)
    spec = payload or function.settings.payload
    return OneEvent("{}" if spec is None else read_payload(spec))


def _dry_run(function: GatedFunction, events: Any, measuring: Measuring, progress: "Progress") -> TuningRun:
    from powertune import api  # noqa: PLC0415 - as above
    from powertune.sources.deployment import environment_from  # noqa: PLC0415

    subject, own, configured = function.subject, function.settings, function.configured
    options: Options = {**measuring.wanted}
    environment = environment_from(own.env_file, [])
    layers: list[Path] = []
    folder, timeout_s, handler = Path(), float(MAX_TIMEOUT_S), own.handler
    if configured is not None:
        environment = {name: value.value for name, value in configured.environment.items() if value.value is not None} | environment
        layers = [Path(layer.value).resolve() for layer in configured.layers if layer.value is not None]
        folder = Path(configured.code_path.value or ".") if own.handler is None else folder
        timeout_s = min(configured.timeout_s.value or timeout_s, timeout_s)
        handler = own.handler or configured.handler.value
        if configured.ephemeral_storage_mb.value is not None:
            options.setdefault("ephemeral_storage_mb", configured.ephemeral_storage_mb.value)
        if configured.architecture.value is not None:
            options.setdefault("architecture", configured.architecture.value)
    if subject.memory_mb is not None:
        options["current_memory_mb"] = subject.memory_mb
    if handler is None:
        raise BadInputError("no handler is known", hint="set `handler` for it in the settings")
    if not folder.is_dir():
        raise BadInputError(
            f"its code is not a folder: {text.printable(folder)}", hint="unpack it, or build it in place first"
        )
    progress.note(f"running {text.printable(subject.name)}")
    with contextlib.chdir(folder):
        run = api.dry_run(
            handler,
            events=events,
            samples=measuring.samples,
            calibrate=measuring.calibrate,
            speed_ratio=measuring.speed_ratio,
            timeout_s=timeout_s,
            isolate=True,
            python=own.python,
            env=environment,
            layers=layers,
            progress=progress,
            **options,
        )
    return replace(run, function=replace(run.function, name=subject.name))
