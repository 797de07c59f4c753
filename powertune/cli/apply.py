"""`powertune apply`: the recommended memory written into the template, or set on the live function."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from powertune import text
from powertune.cli import files
from powertune.cli.deliver import write_out
from powertune.cli.template_options import WhatIsConfigured, parameters_of
from powertune.errors import BadInputError, ExitCode, UsageError

if TYPE_CHECKING:
    from powertune.gate.verdict import Subject
    from powertune.model.configured import Edit
    from powertune.model.recommendation import Strategy
    from powertune.model.tuning_run import TuningRun

EXAMPLES = """
Examples: powertune apply gate.json --template template.yaml --diff

powertune apply run.json --template template.yaml --function Checkout

powertune apply run.json --live --yes
"""
_LIVE = "With --live"
_INCONCLUSIVE = "as the answer is inconclusive"


@dataclass(frozen=True, kw_only=True)
class OnLive:
    """How to change the function on AWS."""

    live: Annotated[
        bool, typer.Option("--live", help="Set it on the function itself, no template.", rich_help_panel=_LIVE)
    ] = False
    alias: Annotated[
        str | None, typer.Option(metavar="NAME", help="Publish, and point this alias at it.", rich_help_panel=_LIVE)
    ] = None
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.", rich_help_panel=_LIVE)] = False
    no_input: Annotated[
        bool, typer.Option("--no-input", help="Never ask; stop where a question is needed.", rich_help_panel=_LIVE)
    ] = False
    region: Annotated[
        str | None, typer.Option(help="Of the function. \\[default: the run's]", rich_help_panel=_LIVE)
    ] = None
    profile: Annotated[str | None, typer.Option(help="Profile of the AWS configuration.", rich_help_panel=_LIVE)] = None


@dataclass(frozen=True, slots=True)
class Pick:
    """What a run has to say of its function's memory."""

    run: "TuningRun"
    memory_mb: int | None
    """None where there is nothing to apply."""
    why_not: str = ""
    """Why there is not."""


def apply(
    context: typer.Context,
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Saved runs, or what gate --save wrote.")],
    pick: Annotated[
        Literal["cost", "speed", "balanced"] | None,
        typer.Option(help="Which of the run's three. \\[default: the recommended one]"),
    ] = None,
    diff: Annotated[bool, typer.Option("--diff", help="Print the patch, and write nothing.")] = False,
    shared: Annotated[
        bool, typer.Option("--shared", help="Also where other functions share the value, and change with it.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 6 if an answer is inconclusive.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only the result.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,  # noqa: ARG001 - main() looks for it
    *,
    configured: WhatIsConfigured,
    on_live: OnLive,
) -> None:
    """Write the recommended memory into the template, one line a function, and leave every other byte as it is.

    A size is changed where it is decided: at MemorySize, at the default of a parameter, at a Terraform variable. Of a
    saved gate only what it found badly sized is changed. What is inconclusive is left alone. With --live the function
    on AWS gets the size in place of a template, after a question.
    """
    _check_combination(on_live, configured, diff=diff)
    picks = [found for file in runs for found in _picks(file, pick)]
    if on_live.live:
        left_out = _apply_live(picks, configured, on_live)
    else:
        left_out = _apply_to_templates(context, picks, configured, diff=diff, shared=shared, quiet=quiet)
    if not quiet:
        for name, why_not in left_out:
            print(f"{text.printable(name, limit=80)}: nothing applied, {why_not}", file=sys.stderr)
    if strict and any(why_not == _INCONCLUSIVE for _, why_not in left_out):
        raise typer.Exit(ExitCode.INCONCLUSIVE)


_MADE_ANEW: Mapping[str, str] = {
    "cdk": "cdk synth writes the template anew\n"
    "  set memorySize in the app's code, too: this deploys once, with cdk deploy --app cdk.out",
    "terraform-plan": "the plan still holds the sizes of before\n"
    "  make it anew before the next gate: terraform plan -out=tfplan; terraform show -json tfplan > plan.json",
}
"""What to say of templates that are made from others."""


def _check_combination(on_live: OnLive, configured: WhatIsConfigured, *, diff: bool) -> None:
    """Raise UsageError for options that do not go together."""
    if not on_live.live:
        if on_live.alias:
            raise UsageError("--alias is for the live function, and --live is missing", hint="add --live")
        if not configured.template:
            raise UsageError(
                "nobody says where to write the memory", hint="name the --template, or add --live for the function"
            )
        return
    if diff:
        raise UsageError("--diff is for templates, and --live has none", hint="leave one of them out")
    if len(configured.function or []) > 1:
        raise UsageError("--live sets one function", hint="give one --function, or none and let the run say")


def _picks(file: str, strategy: "Strategy | None") -> list[Pick]:
    """Return what the runs in a file say. Raises BadInputError."""
    from powertune.sources.saved_results import named, read_saved  # noqa: PLC0415 - loads the nouns

    saved = read_saved(file)
    if isinstance(saved, list):
        return [_pick(run, strategy) for run in saved]
    picks = []
    for one in saved.judgements:
        if one.run is None:
            continue
        run = named(one.run, one.function, one.current_memory_mb)
        if one.outcome in ("over-provisioned", "under-provisioned"):
            memory_mb = one.recommended_memory_mb if strategy is None else run.recommendation.pick(strategy)
            picks.append(Pick(run, memory_mb, "as no size qualifies"))
        else:
            why_not = _INCONCLUSIVE if one.outcome == "inconclusive" else f"as the gate says {one.outcome}"
            picks.append(Pick(run, None, why_not))
    return picks


def _pick(run: "TuningRun", strategy: "Strategy | None") -> Pick:
    recommendation = run.recommendation
    memory_mb = recommendation.memory_mb if strategy is None else recommendation.pick(strategy)
    if memory_mb is None:
        return Pick(run, None, "as no size qualifies")
    if recommendation.confidence == "inconclusive":
        return Pick(run, None, _INCONCLUSIVE)
    return Pick(run, memory_mb)


def _apply_to_templates(
    context: typer.Context,
    picks: Sequence[Pick],
    configured: WhatIsConfigured,
    *,
    diff: bool,
    shared: bool,
    quiet: bool,
) -> list[tuple[str, str]]:
    """Edit templates, and return names of functions that were left alone, and why. Raises PowertuneError."""
    from powertune.cli.configured import settings_of  # noqa: PLC0415 - not for --help and usage errors
    from powertune.cli.gate_functions import configured_functions, matched  # noqa: PLC0415 - loads the nouns
    from powertune.templates import edit_memory  # noqa: PLC0415 - loads what reads YAML
    from powertune.templates.patch import unified_diff  # noqa: PLC0415 - likewise

    templates, settings = configured.template or [], settings_of(context)
    parameters, stage = parameters_of(configured.parameter or []), configured.stage
    known = configured_functions(templates, parameters, stage, settings)
    runs, patterns = [pick.run for pick in picks], configured.function or []
    pairs, warnings = matched(runs, known, settings, patterns, from_templates=True)
    found = [(function, next(pick for pick in picks if pick.run is run)) for function, run in pairs]
    sizes: dict[str, int] = {}
    left_out = []
    for function, pick in found:
        name = function.subject.name
        if pick.memory_mb is None:
            left_out.append((name, pick.why_not))
        elif function.subject.memory_mb == pick.memory_mb:
            left_out.append((name, f"it has {pick.memory_mb} MB already"))
        elif sizes.setdefault(name, pick.memory_mb) != pick.memory_mb:
            raise BadInputError(
                f"two runs recommend {sizes[name]} and {pick.memory_mb} MB for {text.printable(name, limit=80)}",
                hint="give one of them",
            )
    edits = []
    for template in templates:
        own = {
            function.subject.name: sizes[function.subject.name]
            for function, _ in found
            if function.template == template and function.subject.name in sizes
        }
        edits += list(edit_memory(template, own, parameters=parameters, stage=stage)) if own else []
    _check_shared(edits, sizes, shared=shared)
    if diff:
        write_out("".join(unified_diff(edit) for edit in edits), sys.stdout)
    else:
        _write(edits)
        changed = [function.subject for function, _ in found if function.subject.name in sizes]
        write_out("".join(f"{_in_words(subject, sizes[subject.name])}\n" for subject in changed), sys.stdout)
    if not quiet:
        for warning in (warning for warning in warnings if warning.code != "no-run"):
            print(f"Warning: {warning.message}\n  {warning.hint}", file=sys.stderr)
        kinds = {one.configured.kind for one, _ in found if one.configured} if edits else set()
        for kind in sorted(kinds & _MADE_ANEW.keys()):
            print(f"Warning: {_MADE_ANEW[kind]}", file=sys.stderr)
        if edits and not diff:
            again = [word for template in templates for word in ("--template", template)]
            print(f"Next: {shlex.join(['powertune', 'gate', *again])}", file=sys.stderr)
    return left_out


def _check_shared(edits: Sequence["Edit"], sizes: Mapping[str, int], *, shared: bool) -> None:
    """Raise BadInputError where functions would change that nobody asked for."""
    others = sorted({name for edit in edits for name in edit.changed} - sizes.keys())
    if others and not shared:
        names = ", ".join(text.printable(name, limit=80) for name in others)
        raise BadInputError(
            f"{names} would change as well: the template gives them the same value",
            hint="give each function a value of its own, or add --shared to change them all",
        )


def _write(edits: Sequence["Edit"]) -> None:
    """Write all files, or none where one of them cannot be written or is not any more what was read."""
    for edit in edits:
        files.check_writable(edit.file)
        if Path(edit.file).read_bytes() != edit.before:
            raise BadInputError(
                f"{text.printable(edit.file)} has changed while powertune worked on it", hint="run this once more"
            )
    for edit in edits:
        files.write(edit.file, edit.after)


def _in_words(subject: "Subject", memory_mb: int) -> str:
    before = "unknown" if subject.memory_mb is None else str(subject.memory_mb)
    place = f"  ({text.printable(subject.place.file)}:{subject.place.line})" if subject.place else ""
    return f"{text.printable(subject.name, limit=80)}: {before} to {memory_mb} MB{place}"


def _apply_live(picks: Sequence[Pick], configured: WhatIsConfigured, on_live: OnLive) -> list[tuple[str, str]]:
    """Set sizes on AWS, and return names of functions that were left alone, and why. Raises PowertuneError."""
    from powertune.cli.applying import apply_live, check_live  # noqa: PLC0415 - loads boto3 where it is used
    from powertune.sources.aws.source import AwsSource  # noqa: PLC0415 - loads boto3

    given = next(iter(configured.function or []), None)
    if given and len(picks) > 1:
        raise UsageError(f"--function names one, and there are {len(picks)} runs", hint="give its run alone")
    left_out = []
    for pick in picks:
        facts = pick.run.function
        name = given or facts.name
        if name is None or (given is None and pick.run.source.get("kind") == "local"):
            raise UsageError(
                "the run does not say what AWS calls the function", hint="name it: --live --function FUNCTION"
            )
        if pick.memory_mb is None:
            left_out.append((name, pick.why_not))
            continue
        source = AwsSource(name, region=on_live.region or facts.region, profile=on_live.profile)
        architecture = source.inspect().architecture
        if facts.architecture is not None and facts.architecture != architecture:
            raise BadInputError(
                f"{text.printable(name, limit=80)} runs on {architecture}, and the run was made for"
                f" {text.printable(facts.architecture, limit=20)}",
                hint="measure it as it is",
            )
        check_live(source, on_live.alias)
        apply_live(source, pick.memory_mb, on_live.alias, yes=on_live.yes, no_input=on_live.no_input)
    return left_out
