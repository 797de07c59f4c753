"""`powertune estimate` without files: durations from CloudWatch Logs, added up by Logs Insights."""

import sys
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from powertune import text
from powertune.errors import InterruptedRunError, UsageError

if TYPE_CHECKING:
    from powertune.charging import Options
    from powertune.cli.options import Delivery
    from powertune.model.tuning_run import TuningRun
    from powertune.sources.insights import Survey

_CLOUDWATCH = "CloudWatch, in place of FILES"
_DEFAULT_SINCE = "14d"
_ASK_FROM_USD = 0.10
"""Cost of a scan from which it is not started without asking."""


@dataclass(frozen=True, kw_only=True)
class CloudWatch:
    """Which logs to query, and how far to go."""

    log_group: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Log group to query. Repeatable.", rich_help_panel=_CLOUDWATCH),
    ] = None
    prefix: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PREFIX",
            help="All log groups that begin so, such as /aws/lambda/. Repeatable.",
            rich_help_panel=_CLOUDWATCH,
        ),
    ] = None
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="14d, 12h or 2w ago, or a date; 14d by default.", rich_help_panel=_CLOUDWATCH
        ),
    ] = None
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Likewise; now by default.", rich_help_panel=_CLOUDWATCH)
    ] = None
    profile: Annotated[
        str | None, typer.Option(help="Profile of the AWS configuration.", rich_help_panel=_CLOUDWATCH)
    ] = None
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask before a scan that costs.", rich_help_panel=_CLOUDWATCH)
    ] = False
    no_input: Annotated[
        bool,
        typer.Option("--no-input", help="Never ask; stop where a question is needed.", rich_help_panel=_CLOUDWATCH),
    ] = False


def is_asked(cloudwatch: CloudWatch, function: str | None, files: list[str]) -> bool:
    """Tell whether CloudWatch is meant and not files. Raises UsageError where it is both or neither."""
    given = [item.name for item in fields(cloudwatch) if getattr(cloudwatch, item.name)]
    if files and given:
        raise UsageError(
            f"--{given[0].replace('_', '-')} is for querying CloudWatch, and files are named",
            hint="leave out one of the two",
        )
    if not files and not (function or cloudwatch.log_group or cloudwatch.prefix):
        raise UsageError(
            "there is nothing to estimate from",
            hint="name FILES, or --function, --log-group or --prefix in CloudWatch; see powertune estimate --help",
        )
    return not files


def estimate_from_cloudwatch(
    cloudwatch: CloudWatch,
    function: str | None,
    sizes: tuple[int, ...] | None,
    delivery: "Delivery",
    wanted: "Options",
) -> "list[TuningRun]":
    """Return a run for each function that the logs tell of. Asks before it costs more than a little."""
    # Imported here: what talks to AWS must not slow down --help and usage errors.
    from powertune import api  # noqa: PLC0415
    from powertune.aws_lambda.function_name import parse_function  # noqa: PLC0415
    from powertune.cli.deliver import show_warnings  # noqa: PLC0415
    from powertune.cli.interrupts import ended_by_signals  # noqa: PLC0415
    from powertune.progress import progress_for  # noqa: PLC0415
    from powertune.sources.aws.clients import Aws  # noqa: PLC0415
    from powertune.sources.aws.target import connect  # noqa: PLC0415
    from powertune.sources.insights import scan, survey  # noqa: PLC0415
    from powertune.sources.insights_query import parse_window  # noqa: PLC0415

    now = datetime.now(UTC)
    window = parse_window(cloudwatch.since or _DEFAULT_SINCE, cloudwatch.until, now)
    named = None if function is None else parse_function(function)
    region, profile = wanted.get("region"), cloudwatch.profile
    aws = connect(function, region=region, profile=profile)[0] if function else Aws(region, profile=profile)
    surveyed = survey(
        aws,
        window,
        function=named,
        log_groups=cloudwatch.log_group or (),
        prefixes=cloudwatch.prefix or (),
        now=now,
    )
    if not delivery.quiet:
        print(_in_words(surveyed), file=sys.stderr)
    _ask(surveyed, cloudwatch)
    with progress_for(quiet=delivery.quiet, color=not delivery.no_color) as progress, ended_by_signals():
        found = scan(surveyed, architecture=wanted.get("architecture"), progress=progress)
        runs = api.insights_runs(found.sources, sizes=sizes, **wanted)
    if not delivery.quiet:
        show_warnings(found.warnings, sys.stderr)
    return runs


def _in_words(surveyed: "Survey") -> str:
    from powertune.sources.aws.log_groups import PRICED_IN, USD_PER_GB, scan_cost  # noqa: PLC0415 - loads boto3
    from powertune.sources.insights import in_bytes  # noqa: PLC0415 - likewise

    low, high = surveyed.bytes_expected
    unknown = len(surveyed.of_unknown_size)
    amount, cost = (
        f"{in_bytes(low)} to {in_bytes(high)}",
        f"{text.money(scan_cost(low))} to {text.money(scan_cost(high))}",
    )
    if not high:
        amount, cost = "next to nothing", "next to nothing"
    if unknown:
        beside = "" if unknown == len(surveyed.groups) else f"{amount}, and "
        amount = f"{beside}{text.count(unknown, 'log group')} whose size could not be read"
        cost = "not known" if unknown == len(surveyed.groups) else f"more than {cost}"
    groups = text.count(len(surveyed.groups), "log group")
    return "\n".join(
        [
            f"Logs Insights in {surveyed.aws.region}: {groups}, {surveyed.window.in_words}",
            f"  Scans    {amount}",
            f"  Costs    {cost} (${USD_PER_GB} a GB in {PRICED_IN}; other regions differ)",
        ]
    )


def _ask(surveyed: "Survey", cloudwatch: CloudWatch) -> None:
    """Ask on a terminal before a scan that costs, unless --yes; elsewhere --yes is needed. Raises PowertuneError."""
    from powertune.sources.aws.log_groups import scan_cost  # noqa: PLC0415 - loads boto3

    _, most_bytes = surveyed.bytes_expected
    most = scan_cost(most_bytes)
    if cloudwatch.yes or (most < _ASK_FROM_USD and not surveyed.of_unknown_size):
        return
    if cloudwatch.no_input or not sys.stdin.isatty():
        cost = "an unknown amount" if surveyed.of_unknown_size else f"up to {text.money(most)}"
        raise UsageError(f"this scan may cost {cost}, and nobody can be asked", hint="add --yes, or a later --since")
    if not typer.confirm("Go on?", err=True):
        raise InterruptedRunError("stopped before anything was scanned", hint="answer y, or give --yes")
