"""`powertune report`: saved runs and gate results, in any format."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from powertune.cli import options
from powertune.cli.deliver import check, write_runs
from powertune.cli.deliver_gate import check_gate, deliver_gate
from powertune.errors import UsageError
from powertune.report import FORMATS, GATE_FORMATS, check_format
from powertune.text import nearest, printable

if TYPE_CHECKING:
    from powertune.model.judgement import GateResult
    from powertune.model.tuning_run import TuningRun

_OUTPUT = "Output"

EXAMPLES = """
Examples: powertune report run.json

powertune report run.json -o run.html -o run.md

powertune report orders.json reports.json -f csv

powertune report gate.json -f github
"""


@dataclass(frozen=True, kw_only=True)
class ReportDelivery(options.GateDelivery):
    """Where the report goes and in which form."""

    format_name: Annotated[
        str,
        options.format_option(
            "table, json, csv, markdown; of runs html, alpt, alpt-url; of a gate junit, sarif, github, gitlab."
        ),
    ] = "table"
    output: Annotated[
        list[str] | None,
        options.output_option("Also write a file in the format that its suffix stands for, .html say. Repeatable."),
    ] = None


def report(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Saved runs, or saved results of a gate; - for stdin.")
    ],
    function: Annotated[
        str | None, typer.Option(metavar="NAME", help="This one alone, where there are several.")
    ] = None,
    *,
    delivery: ReportDelivery,
) -> None:
    """Show saved runs, or what a gate found, in any format.

    Several functions are one table, the one that saves most first. Nothing is measured or judged anew: the exit code is
    0 whatever the file says, but for --strict.
    """
    check_format(delivery.format_name, tuple(dict.fromkeys((*FORMATS, *GATE_FORMATS))))
    found, gates = _read(runs)
    if function is not None:
        found, gates = _only(function, found, gates)
    inputs = [path for path in runs if path != "-"]
    if gates:
        check_gate(delivery, inputs=inputs)
        deliver_gate(_merged(gates), delivery)
    else:
        check(delivery, inputs=inputs)
        write_runs(found, delivery)


def _read(paths: list[str]) -> tuple[list["TuningRun"], list["GateResult"]]:
    # Imported here: the nouns must not slow down --help and usage errors.
    from powertune.sources.saved_results import read_saved  # noqa: PLC0415

    runs: list[TuningRun] = []
    gates: list[GateResult] = []
    for path in paths:
        saved = read_saved(path)
        if isinstance(saved, list):
            runs += saved
        else:
            gates.append(saved)
    if runs and gates:
        raise UsageError("runs and results of a gate do not go into one report", hint="report them one by one")
    return runs, gates


def _only(
    function: str, runs: list["TuningRun"], gates: list["GateResult"]
) -> tuple[list["TuningRun"], list["GateResult"]]:
    """Return what is about one function. Raises UsageError where nothing is."""
    judged = [judgement.function for gate in gates for judgement in gate.judgements]
    names = [run.function.name or "" for run in runs] + judged
    if function not in names:
        near = nearest(function, names) or f"choose from {', '.join(sorted(set(names)))}"
        raise UsageError(f"there is no function {printable(function, limit=80)!r} in what is reported", hint=near)
    return [run for run in runs if run.function.name == function], [
        replace(gate, judgements=tuple(one for one in gate.judgements if one.function == function)) for gate in gates
    ]


def _merged(gates: list["GateResult"]) -> "GateResult":
    """Return the results of several gates as one, such as those of the jobs of a matrix."""
    return replace(
        gates[0],
        judgements=tuple(judgement for gate in gates for judgement in gate.judgements),
        warnings=tuple(warning for gate in gates for warning in gate.warnings),
        next_command=next((gate.next_command for gate in gates if gate.next_command), ""),
    )
