"""The runs that a gate judges: saved ones, recordings, and dry runs made on the spot."""

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from powertune.aws_lambda.host_speed import architecture_of
from powertune.aws_lambda.memory import MAX_TIMEOUT_S
from powertune.cli.from_template import from_template, where_it_runs, why_not_run
from powertune.cli.gate_functions import GatedFunction
from powertune.errors import BadInputError, FunctionFailedError
from powertune.gate.verdict import Demands, Subject, failed, regression_result, regression_width, unresolved
from powertune.model.judgement import Judgement
from powertune.model.tuning_run import TuningRun

if TYPE_CHECKING:
    from powertune.cli.gate_demands import Asked, Baseline
    from powertune.progress import Progress
    from powertune.sources.events import Events


_MORE_LOOKS = 5
"""How often a function runs again whose comparison with the baseline is left open."""
_AGREEING = 2
"""How many runs it takes to show that a function got slower."""


class Recordings:
    """Runs in files: saved ones as they were saved, and those that recordings give.

    Saved ones that were made otherwise than is asked for now are worked out again; but dry runs, which would lose how
    much of their work was computing. `reading` is how to read recordings. Raises PowertuneError.
    """

    def __init__(self, files: Sequence[str], asked: "Asked", reading: Mapping[str, Any]) -> None:
        from powertune import api  # noqa: PLC0415 - a usage error needs none of it
        from powertune.sources.baseline import read_saved  # noqa: PLC0415

        self._files, self._asked, self._reading = files, asked, reading
        self.runs: list[TuningRun] = []
        self._recordings = []
        for file in files:
            saved = read_saved(file)
            if saved is None or any(asked.otherwise(run) for run in saved if not _is_dry(run)):
                self._recordings.append(file)
            else:
                self.runs += saved
        self._estimated = api.estimate_all(self._recordings, **reading, **asked.options) if self._recordings else []
        self.runs += self._estimated

    def for_function(self, run: TuningRun, function: GatedFunction) -> TuningRun:
        """Return a run worked out as is asked for its function, with the configured size: read off if not recorded."""
        from powertune import api  # noqa: PLC0415 - as above

        memory_mb, options = function.subject.memory_mb, self._asked.options_of(function.subject.name)
        has_size = memory_mb is None or any(size.memory_mb == memory_mb for size in run.sizes)
        is_estimated = any(run is one for one in self._estimated)
        is_as_asked = not is_estimated or options == self._asked.options
        if _is_dry(run) or (has_size and is_as_asked):
            return run
        if memory_mb is not None:
            options["current_memory_mb"] = memory_mb
        files = self._recordings if is_estimated else self._files
        return api.estimate(list(files), function=run.function.name, **self._reading, **options)


def _is_dry(run: TuningRun) -> bool:
    return run.source.get("kind") == "local"


@dataclass(frozen=True, kw_only=True)
class Measuring:
    """How dry runs are made."""

    samples: int | None
    calibrate: bool
    payload: str | None
    """For functions that have none in the settings."""


def dry_runs(
    functions: Sequence[GatedFunction],
    measuring: Measuring,
    demands: Mapping[str, Demands],
    baseline: "Baseline",
    asked: "Asked",
    progress: "Progress",
) -> Iterator[tuple[GatedFunction, TuningRun | Judgement]]:
    """Run each function here, one after the other, and yield its run, or the judgement that it could not be run.

    Each runs in a process of its own, in the folder of its code; again where it looks slower than in the baseline.
    Raises PowertuneError for what is wrong with options, payloads and settings: what is wrong with a function is for
    its judgement.
    """
    events = [_events(function, measuring.payload) for function in functions]
    for function, its_events in zip(functions, events, strict=True):
        own = demands[function.subject.name]
        if function.configured is not None and function.settings.handler is None:
            why = why_not_run(function.configured)
            if why is not None:
                yield function, unresolved(function.subject, f"it {why[0]}", why[1], own)
                continue
        try:
            measure = partial(_dry_run, function, its_events, measuring, asked, progress)
            yield function, run_that_tells(measure, function.subject, own, baseline.of(function.subject.name))
        except (FunctionFailedError, BadInputError) as error:
            yield function, failed(function.subject, error.message, error.hint, own)


def run_that_tells(
    measure: Callable[[], TuningRun], subject: Subject, demands: Demands, baseline: TuningRun | None
) -> TuningRun:
    """Return a run; where it does not show that the function is as fast as before, one of a few that tells more.

    A machine may be in a mood for the length of a run, so that slower code counts once a second run agrees. Of those
    that say the same the one with the narrowest interval counts. Raises what `measure` raises.
    """
    slower: list[TuningRun] = []
    left_open: list[TuningRun] = []
    while len(slower) < _AGREEING and len(slower) + len(left_open) <= _MORE_LOOKS:
        run = measure()
        result = regression_result(subject, run, demands, baseline)
        if result not in ("fail", "unknown"):
            return run
        (slower if result == "fail" else left_open).append(run)
    return min(
        slower if len(slower) == _AGREEING else left_open, key=lambda run: regression_width(subject, run, baseline)
    )


def _events(function: GatedFunction, payload: str | None) -> "Events":
    from powertune.sources.events import OneEvent, read_events  # noqa: PLC0415 - as above
    from powertune.sources.payloads import read_payload  # noqa: PLC0415

    if payload is None and function.settings.payloads is not None:
        return read_events(function.settings.payloads)
    spec = payload or function.settings.payload
    return OneEvent("{}" if spec is None else read_payload(spec))


def _dry_run(
    function: GatedFunction, events: "Events", measuring: Measuring, asked: "Asked", progress: "Progress"
) -> TuningRun:
    from powertune import api  # noqa: PLC0415 - as above
    from powertune.sources.deployment import environment_from  # noqa: PLC0415

    name, own, configured = function.subject.name, function.settings, function.configured
    options = asked.options_of(name)
    environment = environment_from(own.env_file, [])
    layers: Sequence[str] = ()
    code, timeout_s, handler = Path(), float(MAX_TIMEOUT_S), own.handler
    if configured is not None:
        found = from_template(configured, handler=own.handler)
        code, handler, layers = found.code, found.handler, found.layers
        environment = {**found.environment, **environment}
        timeout_s = found.timeout_s or timeout_s
        options = {**found.known, **options}
    if function.subject.memory_mb is not None:
        options["current_memory_mb"] = function.subject.memory_mb
    if handler is None:
        raise BadInputError("its handler is not known", hint="set `handler` for it in the settings")
    python = own.python  # a name to look for on PATH, or a file
    if python is not None and Path(python).exists():
        python = str(Path(python).absolute())
    progress.note(f"{name}: running {handler}")
    with where_it_runs(code):
        run = api.dry_run(
            handler,
            events=events,
            samples=measuring.samples,
            calibrate=measuring.calibrate,
            speed_ratio=_speed_ratio(options.get("architecture")),
            timeout_s=timeout_s,
            isolate=True,
            python=python,
            env=environment,
            layers=layers,
            progress=progress,
            **options,
        )
    return replace(run, function=replace(run.function, name=name))


def _speed_ratio(architecture: str | None) -> float | None:
    """Return 1 for a function of arm64 on another machine: verdicts allow for cores half and twice as fast anyway."""
    return 1.0 if architecture == "arm64" and architecture_of(platform.machine()) != "arm64" else None
