"""The work behind `powertune gate`: from what was asked on the command line to the result."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from powertune.cli import options
from powertune.cli.configured import given_on_line, settings_of
from powertune.cli.gate_demands import Asked, Baseline, find_baseline
from powertune.cli.gate_functions import GatedFunction, configured_functions, doubts_of, matched, wanted, with_current
from powertune.cli.gate_runs import Measuring, Recordings, dry_runs
from powertune.cli.interrupts import ended_by_signals
from powertune.cli.template_options import parameters_of
from powertune.errors import UsageError
from powertune.gate.conditions import parse_condition
from powertune.gate.figures import with_hosts
from powertune.gate.rules import NEVER, parse_fail_on
from powertune.gate.verdict import Demands, gate, judge
from powertune.gate.waivers import Waivers
from powertune.model.judgement import GateResult, Judgement
from powertune.progress import progress_for
from powertune.sources.baseline import DEFAULT_BASELINE

if TYPE_CHECKING:
    from powertune.charging import Options
    from powertune.cli.gate_options import Judging, Running
    from powertune.cli.reading import Reading
    from powertune.cli.template_options import WhatIsConfigured
    from powertune.model.tuning_run import TuningRun


def judged(
    context: typer.Context,
    files: Sequence[str],
    *,
    configured: "WhatIsConfigured",
    judging: "Judging",
    running: "Running",
    reading: "Reading",
    choosing: options.Choosing,
    pricing: options.Pricing,
    delivery: options.Delivery,
) -> GateResult:
    """Return the result of the gate. Raises PowertuneError for what cannot be judged at all."""
    settings, given = settings_of(context), given_on_line(context)
    templates, patterns = configured.template or [], configured.function or []
    asked = Asked(
        settings=settings,
        given=given,
        options=options.tuning_options(choosing, pricing),
        said=_said(choosing, pricing),
        fail_on=parse_fail_on([NEVER] if judging.soft_fail else judging.fail_on or ["error"]),
        conditions=[parse_condition(condition) for condition in judging.fail_if or []],
    )
    current_mb = choosing.current if "current" in given else None
    baseline_file = judging.baseline if "baseline" in given else None
    default_baseline = judging.baseline or DEFAULT_BASELINE
    known = configured_functions(templates, parameters_of(configured.parameter or []), configured.stage, settings)
    found: list[tuple[GatedFunction, TuningRun | Judgement]]
    with progress_for(quiet=delivery.quiet, color=not delivery.no_color) as progress, ended_by_signals():
        if files:
            recordings = Recordings(files, asked, {**asdict(reading), "progress": progress})
            pairs, warnings = matched(recordings.runs, known, settings, patterns, from_templates=bool(templates))
            functions = with_current([function for function, _ in pairs], current_mb)
            demands, baseline = _held_against(functions, asked, baseline_file, default_baseline)
            found = [
                (function, recordings.for_function(run, function))
                for function, (_, run) in zip(functions, pairs, strict=True)
            ]
        else:
            chosen, warnings = wanted(known, patterns)
            functions = with_current(chosen, current_mb)
            warnings += [warning for function in functions for warning in doubts_of(function)]
            demands, baseline = _held_against(functions, asked, baseline_file, default_baseline)
            measuring = Measuring(samples=running.samples, calibrate=running.calibrate, payload=running.payload)
            found = list(dry_runs(functions, measuring, demands, baseline, asked, progress))
    judgements = [
        outcome
        if isinstance(outcome, Judgement)
        else judge(
            function.subject, with_hosts(outcome), demands[function.subject.name], baseline.of(function.subject.name)
        )
        for function, outcome in found
    ]
    waivers = Waivers(settings.waivers, datetime.now(UTC).date())
    result = gate(judgements, waivers, (*warnings, *baseline.warnings))
    return replace(result, next_command=_next_command(result, templates, patterns, delivery.save))


def _held_against(
    functions: Sequence[GatedFunction], asked: Asked, baseline_file: str | None, default_baseline: str
) -> tuple[Mapping[str, Demands], Baseline]:
    """Return what is demanded of each function, and the baseline. Raises UsageError for no function."""
    if not functions:
        raise UsageError(
            "there is nothing to judge",
            hint="name a run or a --template, or set `handler` for functions in the settings",
        )
    demands = asked.demands_of_all([function.subject.name for function in functions])
    return demands, find_baseline(baseline_file, default_baseline, demands)


def _said(choosing: options.Choosing, pricing: options.Pricing) -> "Options":
    """Return what is said of how to choose and what to charge, by line or settings; the size is another matter."""
    usual = options.tuning_options(options.Choosing(), options.Pricing())
    wanted_options = options.tuning_options(replace(choosing, current=None), pricing)
    said: Options = {name: value for name, value in wanted_options.items() if usual.get(name) != value}  # type: ignore[assignment] # a part of Options
    return said


def _next_command(result: GateResult, templates: Sequence[str], patterns: Sequence[str], saved: str | None) -> str:
    """Return the next command to mend what is badly sized; empty where nothing is, or no template is known."""
    badly_sized = [one for one in result.judgements if one.outcome in ("over-provisioned", "under-provisioned")]
    if not badly_sized or not templates:
        return ""
    named = [word for template in templates for word in ("--template", template)]
    if saved:
        return shlex.join(["powertune", "apply", saved, *named])
    chosen = [word for pattern in patterns for word in ("--function", pattern)]
    return shlex.join(["powertune", "gate", *named, *chosen, "--save", "gate.json"])
