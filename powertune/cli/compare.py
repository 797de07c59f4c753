"""`powertune compare`: two saved runs side by side."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from powertune.cli import files, options
from powertune.cli.deliver import check_outputs, screen_style, write_out
from powertune.errors import ExitCode, UsageError
from powertune.report import COMPARISON_FORMATS, Style, check_format, format_of, render_comparison
from powertune.text import printable

if TYPE_CHECKING:
    from powertune.model.tuning_run import TuningRun

_OUTPUT = "Output"

EXAMPLES = """
Examples: powertune compare main.json branch.json

powertune compare main:.powertune/baseline.json gate.json

powertune compare x86.json arm.json -f markdown
"""


@dataclass(frozen=True, kw_only=True)
class CompareDelivery(options.Delivery):
    """Where the comparison goes and in which form."""

    format_name: Annotated[
        str,
        options.format_option("table, json or markdown."),
    ] = "table"
    output: Annotated[
        list[str] | None,
        options.output_option("Also write a .json, .md or .txt file. Repeatable."),
    ] = None
    save: Annotated[
        str | None, typer.Option(metavar="FILE", help="Save the comparison as JSON.", rich_help_panel=_OUTPUT)
    ] = None
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit with 6 if the runs can tell no difference.", rich_help_panel=_OUTPUT),
    ] = False


def compare(
    before: Annotated[
        str, typer.Argument(metavar="A", help="A saved run, a file with several, or either as REVISION:FILE of git.")
    ],
    after: Annotated[str, typer.Argument(metavar="B", help="Another one, of later code say, or of arm64.")],
    *,
    delivery: CompareDelivery,
) -> None:
    """Put two saved runs side by side: time and cost at each memory size, and whether they really differ.

    What lies inside the noise is not called a difference, and a single run at a size is not judged. Functions are
    matched by name; over several there is a geometric mean. The exit code is 0 whatever is found, but for --strict.
    """
    check_format(delivery.format_name, COMPARISON_FORMATS)
    check_outputs(delivery, COMPARISON_FORMATS, [before, after])
    # Imported here: what compares takes numpy, which must not slow down --help and usage errors.
    from powertune.comparing import compare_runs  # noqa: PLC0415

    comparison = compare_runs(_read(before), _read(after))
    style = screen_style(sys.stdout, no_color=delivery.no_color)
    write_out(render_comparison(comparison, delivery.format_name, style), sys.stdout)
    for path in delivery.output or ():
        files.write(path, render_comparison(comparison, format_of(path, COMPARISON_FORMATS), Style(width=120)))
    if delivery.save is not None:
        files.write(delivery.save, render_comparison(comparison, "json"))
    sizes = [size for compared in comparison.functions for size in (*compared.sizes, *compared.at.values())]
    if delivery.strict and all(size.not_judged for size in sizes):
        raise typer.Exit(ExitCode.INCONCLUSIVE)


def _read(path: str) -> list["TuningRun"]:
    from powertune.sources.saved_results import read_saved, runs_of  # noqa: PLC0415 - loads the nouns

    runs = runs_of(read_saved(path))
    if not runs:
        raise UsageError(f"{printable(path)} holds no run to compare", hint="name a file made with --save")
    return runs
