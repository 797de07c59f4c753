"""`powertune estimate`: from durations that were recorded before."""

import os
from dataclasses import asdict
from typing import Annotated

import typer

from powertune.aws_lambda.memory import parse_sizes
from powertune.cli import insights, options
from powertune.cli.completion import function_names
from powertune.cli.deliver import check, deliver_runs
from powertune.cli.reading import Reading, check_engine
from powertune.errors import UsageError

EXAMPLES = """
Examples: powertune estimate durations.csv --strategy cost

aws logs tail /aws/lambda/orders --since 1d | powertune estimate - --current 512

powertune estimate s3://my-logs/exported/ --invocations-per-month 2e6

powertune estimate --function orders --since 14d
"""


def estimate(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILES...]", help="Logs, tables or saved runs; folders; gzip too; - for stdin; s3://..."
        ),
    ] = None,
    memory: options.Memory = None,
    function: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Which one, where files hold several; without FILES, in CloudWatch.",
            autocompletion=function_names,
        ),
    ] = None,
    *,
    reading: Reading,
    cloudwatch: insights.CloudWatch,
    choosing: options.Choosing,
    pricing: options.Pricing,
    delivery: options.Delivery,
) -> None:
    """Recommend a memory size from recorded durations, without running anything.

    The format is told by content: CSV with memory_mb and duration_ms (single runs, or means with n and percentiles),
    JSON lines with the same names, logs with REPORT lines as text or JSON in whatever CloudWatch and its tools wrap
    them in, results of Logs Insights, events of Lambda Insights, output of AWS Lambda Power Tuning, and powertune's own
    saved runs. FILES may be folders, patterns and s3://bucket/prefix. Sizes named with --memory that were never
    recorded are interpolated. Where files hold several functions, the answer is a ranking of all of them.

    Without files, CloudWatch Logs Insights adds up the runs of --function, or of all functions in --log-group or
    --prefix. AWS charges for what it scans: powertune says how much that may be, and asks before it costs $0.10.
    """
    files = files or []
    check(delivery, inputs=[file for file in files if file != "-"])
    check_engine(reading)
    real = [file if file == "-" or "://" in file else os.path.realpath(file) for file in files]
    if len(set(real)) < len(real):
        raise UsageError("a file is named twice, and its runs would count twice", hint="name each file once")
    wanted = options.tuning_options(choosing, pricing)
    sizes = parse_sizes(memory) if memory is not None else None
    if insights.is_asked(cloudwatch, function, files):
        deliver_runs(insights.estimate_from_cloudwatch(cloudwatch, function, sizes, delivery, wanted), delivery)
        return
    # Imported here: numpy must not slow down --help and usage errors.
    from powertune import api  # noqa: PLC0415
    from powertune.progress import progress_for  # noqa: PLC0415

    with progress_for(quiet=delivery.quiet, color=not delivery.no_color) as progress:
        how = asdict(reading) | {"progress": progress}
        if function is None:
            runs = api.estimate_all(files, sizes=sizes, **how, **wanted)
        else:
            runs = [api.estimate(files, sizes=sizes, function=function, **how, **wanted)]
    deliver_runs(runs, delivery)
