"""Which functions a gate is about, what is configured for each, and how each can be run here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from powertune import text
from powertune.errors import BadInputError, UsageError
from powertune.gate.verdict import Subject
from powertune.model.configured import Configured, ConfiguredFunction
from powertune.model.run_warning import RunWarning

if TYPE_CHECKING:
    from powertune.settings import FunctionSettings, Settings


@dataclass(frozen=True, slots=True)
class GatedFunction:
    """One function: what is configured, and what is set for it."""

    subject: Subject
    settings: "FunctionSettings"
    configured: ConfiguredFunction | None = None
    """What a template says; None for functions of the settings alone."""
    names: Sequence[str] = field(default_factory=tuple)
    """What recordings may call it."""

    def is_called(self, name: str | None) -> bool:
        """Tell whether a recording means this function by `name`.

        CloudFormation makes `stack-LogicalId-A1B2C3D4E5F6` of a function that has no name of its own.
        """
        if name is None:
            return False
        parts = name.split("-")
        return name in self.names or (len(parts) > 2 and parts[-2] == self.subject.name)  # noqa: PLR2004 - as above


def from_templates(
    templates: Sequence[str],
    parameters: Mapping[str, str],
    stage: str | None,
    settings: "Settings",
    wanted: Sequence[str],
    current_mb: int | None,
) -> tuple[list[GatedFunction], list[RunWarning]]:
    """Return the functions of templates, or of the settings without any, and warnings about those left out.

    `wanted` are names or patterns; none means all. `current_mb` takes the place of what is configured for the only
    function there is. Raises PowertuneError for templates that cannot be read and names that do not exist.
    """
    from powertune.templates import read_template  # noqa: PLC0415 - loads what reads YAML

    configured = [
        function for path in templates for function in read_template(path, parameters=parameters, stage=stage)
    ]
    found = [_of_template(function, settings) for function in configured]
    if not templates:
        found = [_of_settings(name, settings) for name in settings.function_names if settings.function(name).handler]
    chosen = [function for function in found if _is_wanted(function, wanted)]
    for pattern in wanted:
        if not any(_is_wanted(function, [pattern]) for function in found):
            known = [function.subject.name for function in found]
            raise UsageError(
                f"there is no function {text.printable(pattern, limit=80)!r}",
                hint=text.printable(text.nearest(pattern, known) or f"there are: {', '.join(known) or 'none'}"),
            )
    if templates and not found:
        raise BadInputError(
            f"there is no Lambda function in {', '.join(map(text.printable, templates))}",
            hint="name the template that holds it",
        )
    kept = [function for function in chosen if function.settings.skip is None]
    warnings = [
        RunWarning(
            "skipped",
            f"{text.printable(function.subject.name)} is left out: {text.printable(function.settings.skip)}",
            "the setting `skip` says so",
        )
        for function in chosen
        if function.settings.skip is not None
    ]
    if current_mb is not None:
        if len(kept) > 1:
            raise UsageError(
                f"--current is for one function, and there are {len(kept)}", hint="choose one with --function"
            )
        kept = [replace(one, subject=replace(one.subject, memory_mb=current_mb)) for one in kept]
    return kept, warnings


def _is_wanted(function: GatedFunction, wanted: Sequence[str]) -> bool:
    return not wanted or any(fnmatchcase(name, pattern) for name in function.names for pattern in wanted)


def _of_template(configured: ConfiguredFunction, settings: "Settings") -> GatedFunction:
    own = settings.function(configured.name, "gate")
    memory = configured.memory_mb
    subject = Subject(
        configured.name,
        memory.value if memory.value is not None else own.current,
        memory.place or configured.place,
        text.printable(memory.unresolved or "the template does not say"),
    )
    aliases = [configured.function_name.value] if configured.function_name.value else []
    return GatedFunction(subject, own, configured, [configured.name, *aliases])


def _of_settings(name: str, settings: "Settings") -> GatedFunction:
    own = settings.function(name, "gate")
    origin = own.origins.get("current") or own.origins.get("handler")
    return GatedFunction(Subject(name, own.current, origin.place if origin else None), own, None, [name])


def why_not_run(function: GatedFunction) -> tuple[str, str] | None:
    """Return why a function cannot be run here, and what to do; None where it can."""
    hint = f"judge it by durations: powertune gate RUN --function {text.printable(function.subject.name, limit=80)}"
    configured = function.configured
    if configured is None or function.settings.handler is not None:
        return None
    if configured.package_type == "Image":
        return "it is a container image", hint
    runtime = configured.runtime.value
    if runtime is not None and not runtime.startswith("python"):
        return f"its runtime is {text.printable(runtime, limit=40)}, and only Python handlers are run here", hint
    for what, value in (("handler", configured.handler), ("code", configured.code_path)):
        if value.value is None:
            why = text.printable(value.unresolved or "the template does not say")
            return f"its {what} is not known: {why}", f"set `handler` for it in the settings, or {hint}"
    return None


def known_value(value: Configured[str]) -> str:
    """Return a value that `why_not_run` has found to be there."""
    if value.value is None:
        raise ValueError("a value that is not known")
    return value.value
