"""`powertune gate`: the configured memory, budgets and speed of functions, checked in CI."""

from typing import Annotated

import typer

from powertune.cli import options
from powertune.cli.deliver_gate import check_gate, deliver_gate
from powertune.cli.gate_options import Judging, Running, WhatIsConfigured
from powertune.cli.reading import Reading, check_engine
from powertune.errors import ExitCode, UsageError

EXAMPLES = """
Examples: powertune gate --template template.yaml

powertune gate --template template.yaml --fail-if 'cost>+5%' --fail-if 'p95>800ms' -f github

powertune gate run.json --current 512 --fail-on under-provisioned,budgets

powertune gate --template template.yaml --save .powertune/baseline.json --soft-fail
"""


def gate(
    context: typer.Context,
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN...]", help="Saved runs, or recorded durations in any form that estimate reads."),
    ] = None,
    *,
    configured: WhatIsConfigured,
    judging: Judging,
    running: Running,
    reading: Reading,
    choosing: options.Choosing,
    pricing: options.Pricing,
    delivery: options.GateDelivery,
) -> None:
    """Check in CI that functions have the memory they should have, keep to their budgets, and got no slower.

    Without a RUN, each Python function of --template runs here, in a process of its own, with payloads from the
    settings. What is badly sized, over a budget, or slower than the baseline is a finding, and exits with 1: only where
    all of the interval of a figure lies beyond its limit. A difference inside the noise never fails a build. --save
    writes what the next gate may take for its baseline.
    """
    from powertune.cli.configured import given_on_line  # noqa: PLC0415 - loads settings, which --help does not need

    files, given = runs or [], given_on_line(context)
    check_engine(reading)
    if judging.soft_fail and "fail_on" in given:
        raise UsageError("--soft-fail and --fail-on exclude each other", hint="give one of them")
    read = [*files, *(configured.template or [])]
    if judging.baseline and "baseline" in given:  # the default one is read as the main branch has it
        read.append(judging.baseline)
    check_gate(delivery, inputs=[file for file in read if file != "-"])
    # Imported here: what judges must not slow down --help and usage errors.
    from powertune.cli.gate_judging import judged  # noqa: PLC0415
    from powertune.gate.verdict import is_open, only_functions_fail  # noqa: PLC0415

    result = judged(
        context,
        files,
        configured=configured,
        judging=judging,
        running=running,
        reading=reading,
        choosing=choosing,
        pricing=pricing,
        delivery=delivery,
    )
    deliver_gate(result, delivery)
    if result.fails:
        raise typer.Exit(ExitCode.FUNCTION_FAILED if only_functions_fail(result) else ExitCode.FINDING)
    if delivery.strict and is_open(result):
        raise typer.Exit(ExitCode.INCONCLUSIVE)
