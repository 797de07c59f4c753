"""Which functions a gate is about, what is configured for each, and which runs are theirs."""

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from powertune import text
from powertune.aws_lambda.host_speed import architecture_of
from powertune.cli.from_template import why_not_run
from powertune.errors import BadInputError, UsageError
from powertune.gate.verdict import Subject
from powertune.model.configured import ConfiguredFunction
from powertune.model.run_warning import RunWarning
from powertune.model.tuning_run import TuningRun

if TYPE_CHECKING:
    from powertune.settings import FunctionSettings, Settings

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class GatedFunction:
    """One function: what is configured, and what is set for it."""

    subject: Subject
    settings: "FunctionSettings"
    configured: ConfiguredFunction | None = None
    """What a template says; None for functions that no template is known of."""
    template: str | None = None
    """The file to read it from."""

    @property
    def names(self) -> Sequence[str]:
        """What it may be called: by the template, and by AWS."""
        on_aws = self.configured.function_name.value if self.configured else None
        return [self.subject.name, *([on_aws] if on_aws else [])]

    def is_called(self, name: str | None) -> bool:
        """Tell whether a recording means this function by `name`.

        CloudFormation makes `stack-LogicalId-A1B2C3D4E5F6` of a function that has no name of its own.
        """
        parts = (name or "").split("-")
        return name in self.names or (len(parts) > 2 and parts[-2] == self.subject.name)  # noqa: PLR2004 - as above

    def is_wanted(self, patterns: Sequence[str]) -> bool:
        """Tell whether one of the patterns means this function; none means all."""
        return not patterns or any(fnmatchcase(name, pattern) for name in self.names for pattern in patterns)


def configured_functions(
    templates: Sequence[str], parameters: Mapping[str, str], stage: str | None, settings: "Settings"
) -> list[GatedFunction]:
    """Return the functions of templates, or without any those for which the settings have a handler.

    Raises PowertuneError for templates that cannot be read or hold no function.
    """
    if not templates:
        return [_of_settings(name, settings) for name in settings.function_names if settings.function(name).handler]
    from powertune.templates import read_template  # noqa: PLC0415 - loads what reads YAML

    found = [
        _of_template(function, settings, path)
        for path in templates
        for function in read_template(path, parameters=parameters, stage=stage)
    ]
    if not found:
        shown = ", ".join(map(text.printable, templates))
        raise BadInputError(f"there is no Lambda function in {shown}", hint="name the template that holds it")
    return found


def wanted(functions: Sequence[GatedFunction], patterns: Sequence[str]) -> tuple[list[GatedFunction], list[RunWarning]]:
    """Return the functions that are wanted and not to be skipped, and warnings of those that are.

    Raises UsageError for a pattern that means none.
    """
    for pattern in patterns:
        if not any(function.is_wanted([pattern]) for function in functions):
            known = [function.subject.name for function in functions]
            near = text.nearest(pattern, known) or f"there are: {', '.join(known[:20]) or 'none'}"
            raise UsageError(f"there is no function {text.printable(pattern, limit=80)!r}", hint=text.printable(near))
    chosen = [function for function in functions if function.is_wanted(patterns)]
    warnings = [
        RunWarning(
            "skipped",
            f"{text.printable(function.subject.name)} is left out: {text.printable(function.settings.skip)}",
            "the setting `skip` says so",
        )
        for function in chosen
        if function.settings.skip is not None
    ]
    return [function for function in chosen if function.settings.skip is None], warnings


def with_current(functions: Sequence[GatedFunction], current_mb: int | None) -> list[GatedFunction]:
    """Return functions with the size in place of what is configured, if one is given. Raises UsageError for several."""
    if current_mb is None:
        return list(functions)
    if len(functions) > 1:
        count = text.count(len(functions), "function")
        raise UsageError(f"--current is for one function, and there are {count}", hint="choose one with --function")
    return [replace(one, subject=replace(one.subject, memory_mb=current_mb)) for one in functions]


def matched(
    runs: Sequence[TuningRun],
    known: Sequence[GatedFunction],
    settings: "Settings",
    patterns: Sequence[str],
    *,
    from_templates: bool,
) -> tuple[list[tuple[GatedFunction, TuningRun]], list[RunWarning]]:
    """Return each run with its function, in the order of the functions, and warnings of what is left over.

    `patterns` say which functions are wanted. Without templates every run is of a function of its own, configured as
    the run says. Raises PowertuneError for a pattern that means none, and where no run is of any function.
    """
    if not from_templates:
        of_runs = [_of_run(run, known, settings) for run in runs]
        functions, warnings = wanted(of_runs, patterns)
        of_each = zip(of_runs, runs, strict=True)
        return [(own, run) for own, run in of_each if any(own is one for one in functions)], warnings
    functions, warnings = wanted(known, patterns)
    if len(runs) == len(functions) == 1:
        return [(functions[0], runs[0])], warnings
    pairs = [(function, run) for function in functions for run in runs if function.is_called(run.function.name)]
    met = [run for _, run in pairs]
    missing = [function.subject.name for function in functions if not any(function is one for one, _ in pairs)]
    strangers = [run.function.name or "(unnamed)" for run in runs if not any(run is one for one in met)]
    if not pairs:
        raise BadInputError(
            f"the runs are of {_some(strangers)}, and the template has {_some(missing)}",
            hint="choose one of each with --function and one RUN, or leave out --template",
        )
    if missing:
        message = f"not judged, as no run is theirs: {_some(missing)}"
        warnings.append(RunWarning("no-run", message, "give more runs, or choose functions with --function"))
    if strangers and not patterns:
        message = f"runs of functions that the template does not have are left out: {_some(strangers)}"
        warnings.append(RunWarning("no-function", message, "name their --template, too"))
    return pairs, warnings


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(text.printable(name, limit=80) for name in names[:_MOST_NAMED])
    return shown + (f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else "")


def _of_template(configured: ConfiguredFunction, settings: "Settings", path: str) -> GatedFunction:
    own, memory = settings.function(configured.name, "gate"), configured.memory_mb
    subject = Subject(
        configured.name,
        own.current if memory.value is None else memory.value,
        memory.place or configured.place,
        text.printable(memory.unresolved or "the template does not say"),
    )
    return GatedFunction(subject, own, configured, path)


def _of_settings(name: str, settings: "Settings") -> GatedFunction:
    own = settings.function(name, "gate")
    origin = own.origins.get("current") or own.origins.get("handler")
    return GatedFunction(Subject(name, own.current, origin.place if origin else None), own)


def _of_run(run: TuningRun, functions: Sequence[GatedFunction], settings: "Settings") -> GatedFunction:
    name = run.function.name or "function"
    own = next((one for one in functions if one.is_called(name)), _of_settings(name, settings))
    if own.subject.memory_mb is not None:
        return own
    return replace(own, subject=replace(own.subject, memory_mb=run.function.current_memory_mb))


def doubts_of(function: GatedFunction) -> Iterator[RunWarning]:
    """Yield what a function has when it is deployed and not when it runs here."""
    configured, name = function.configured, text.printable(function.subject.name, limit=80)
    if configured is None or (function.settings.handler is None and why_not_run(configured) is not None):
        return
    unset = [
        text.printable(variable, limit=40) for variable, value in configured.environment.items() if value.value is None
    ]
    if unset and not function.settings.env_file:
        message = (
            f"{name} runs without {', '.join(unset[:_MOST_NAMED])}, whose values are known only when it is deployed"
        )
        yield RunWarning("unset-variables", message, "give it values to run with by `env_file` in the settings")
    if any(layer.value is None for layer in configured.layers):
        message = f"{name} runs without a layer that is not on this machine"
        yield RunWarning("absent-layer", message, "install what is in it here, or name an interpreter by `python`")
    if configured.architecture.value == "arm64" and architecture_of(platform.machine()) != "arm64":
        message = f"{name} is for arm64 and runs on another architecture here: verdicts allow for a factor of two"
        yield RunWarning("other-architecture", message, "run the gate on arm64 for absolute durations")
