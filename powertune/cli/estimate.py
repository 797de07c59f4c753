"""`powertune estimate`: from durations that were recorded before."""

import os
from typing import Annotated

import typer

from powertune.aws_lambda.memory import parse_sizes
from powertune.cli import options
from powertune.cli.deliver import check, deliver
from powertune.errors import UsageError

EXAMPLES = """
Examples: powertune estimate durations.csv --strategy cost

aws logs tail /aws/lambda/orders --since 1d | powertune estimate - --current 512
"""


def estimate(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILES...", help="CSV, JSON lines, REPORT logs or saved runs; gzip too; - for stdin."),
    ],
    memory: options.Memory = None,
    function: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which function, where the files hold several.")
    ] = None,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Leave out rows that cannot be read, and count them.")
    ] = False,
    *,
    choosing: options.Choosing,
    pricing: options.Pricing,
    delivery: options.Delivery,
) -> None:
    """Recommend a memory size from recorded durations, without running anything.

    The format is told by content: CSV with memory_mb and duration_ms (single runs, or means with n and percentiles),
    JSON lines with the same names, logs with REPORT lines as text or JSON, and powertune's own saved runs. Sizes named
    with --memory that were never recorded are interpolated.
    """
    check(delivery, inputs=[file for file in files if file != "-"])
    real = [file if file == "-" else os.path.realpath(file) for file in files]
    if len(set(real)) < len(real):
        raise UsageError("a file is named twice, and its runs would count twice", hint="name each file once")
    wanted = options.tuning_options(choosing, pricing)
    sizes = parse_sizes(memory) if memory is not None else None
    # Imported here: numpy must not slow down --help and usage errors.
    from powertune import tuning  # noqa: PLC0415
    from powertune.progress import progress_for  # noqa: PLC0415

    with progress_for(quiet=delivery.quiet, color=not delivery.no_color) as progress:
        run = tuning.estimate(
            files, sizes=sizes, function=function, skip_invalid=skip_invalid, progress=progress, **wanted
        )
    deliver(run, delivery)
