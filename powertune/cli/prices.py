"""`powertune prices`: what every cost rests on; a bill line by line; and `prices refresh`."""

import re
import sys
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated

import typer

from powertune import text
from powertune.cli import options
from powertune.cli.deliver import screen_style, write_out
from powertune.errors import AwsError, BadInputError, PowertuneError, UsageError
from powertune.report import check_format

if TYPE_CHECKING:
    from powertune.aws_lambda.price_book import RegionPrices
    from powertune.aws_lambda.pricing import Rates
    from powertune.sources.price_refresh import Outcome

EXAMPLES = """
Examples: powertune prices --region eu-central-1

powertune prices --explain 512:143 --invocations-per-month 3000000 --free-tier
"""

_MB_MS = re.compile(
    r"\s*(?P<mb>[0-9]{1,9})\s*(?:MB)?\s*[:=]\s*(?P<ms>[0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(?:ms)?\s*", re.IGNORECASE
)
_MOST_NAMED = 8


def prices(
    context: typer.Context,
    explain: Annotated[
        str | None, typer.Option(metavar="MB:MS", help="The bill of an invocation, line by line: 512:143.")
    ] = None,
    init: Annotated[
        float | None,
        typer.Option(min=0, metavar="MS", help="Init time of a cold start, for --explain; see --cold-start-rate."),
    ] = None,
    format_name: Annotated[str, typer.Option("-f", "--format", metavar="FORMAT", help="table, json or csv.")] = "table",
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,  # noqa: ARG001 - main() looks for it
    *,
    pricing: options.Pricing,
) -> None:
    """Show the prices in force, each row with its date, or with --explain what an invocation costs by them.

    --region shows all that is known of one region. The other options of prices go with --explain, which prints the
    arithmetic so that it can be checked with a calculator: one invocation, a million, and with --invocations-per-month
    a month.
    """
    if context.invoked_subcommand is not None:
        context.obj = pricing.region
        return
    # Imported here: the prices must not slow down other commands.
    from powertune.report import bill_format, price_table  # noqa: PLC0415

    check_format(format_name, price_table.FORMATS)
    style = screen_style(sys.stdout, no_color=True)
    if explain is not None:
        from powertune.aws_lambda.bill import explain as bill_of  # noqa: PLC0415

        memory_mb, duration_ms = _invocation(explain)
        options.check_finite("init", init)
        bill = bill_of(_rates(pricing), memory_mb, duration_ms, init)
        write_out(bill_format.render(bill, format_name, style), sys.stdout)
        return
    _check_no_bill(context)
    from powertune.aws_lambda.price_book import region_prices, regions  # noqa: PLC0415

    refreshed = _refreshed()
    names = [pricing.region] if pricing.region else regions(refreshed)
    rows = [region_prices(name, refreshed) for name in names]
    write_out(price_table.render(rows, format_name, style), sys.stdout)


def _refreshed() -> "dict[str, RegionPrices]":
    """Return the refreshed prices, and tell of those that cannot be read."""
    from powertune.sources.price_refresh import refreshed_prices  # noqa: PLC0415 - as above

    found = refreshed_prices()
    if found.problem:
        _warn(found.problem, "powertune prices refresh writes them anew")
    return dict(found.rows)


def _rates(pricing: options.Pricing) -> "Rates":
    """Return the rates that the options ask for, as a tuning run would have them. Raises PowertuneError."""
    from powertune import charging  # noqa: PLC0415 - as above

    _refreshed()
    return charging.rates_of(options.tuning_options(options.Choosing(), pricing))


def _invocation(spec: str) -> tuple[int, float]:
    """Return memory in MB and duration in ms from `512:143`. Raises UsageError."""
    from powertune.aws_lambda.memory import MAX_TIMEOUT_S, checked_size  # noqa: PLC0415 - as above

    matched = _MB_MS.fullmatch(spec)
    if matched is None or float(matched["ms"]) > MAX_TIMEOUT_S * 1000:
        raise UsageError(
            f"--explain {text.printable(spec, limit=40)!r} is no invocation",
            hint=f"write MB:MS, as in --explain 512:143, with at most {MAX_TIMEOUT_S * 1000:,} ms",
        )
    return checked_size(int(matched["mb"])), float(matched["ms"])


def _check_no_bill(context: typer.Context) -> None:
    """Raise UsageError for options that say what to charge where there is nothing to charge."""
    from powertune.cli.configured import given_on_line  # noqa: PLC0415 - as above

    about_bills = {"init", *(field.name for field in fields(options.Pricing))} - {"region"}
    given = sorted(about_bills & given_on_line(context))
    if given:
        raise UsageError(
            f"--{given[0].replace('_', '-')} is for the bill of an invocation",
            hint="add --explain MB:MS, such as 512:143",
        )


def refresh(
    context: typer.Context,
    region: Annotated[
        list[str] | None, typer.Option(help="Only this region. Repeatable. [default: all with a public list]")
    ] = None,
    from_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Read an index.json of AWS's price list that was downloaded elsewhere."),
    ] = None,
    profile: Annotated[str | None, typer.Option(help="Profile of the AWS configuration.")] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Tell of failures only.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,  # noqa: ARG001 - main() looks for it
) -> None:
    """Read the AWS Price List, check it, and keep it in the user's cache folder.

    With credentials the Price List API is asked, which needs pricing:GetProducts; without them the price lists that AWS
    publishes. A list that cannot be true is refused, and the prices of before stay in force. What is kept counts
    wherever powertune needs a price, until a newer version of powertune ships newer ones.
    """
    # Imported here: what talks to AWS must not slow down --help and usage errors.
    from powertune.report import price_table  # noqa: PLC0415
    from powertune.sources import price_refresh  # noqa: PLC0415

    asked = region or ([context.obj] if context.obj else None)
    if from_file is not None:
        outcomes = price_refresh.refresh_from_file(from_file, asked)
    else:
        outcomes = price_refresh.refresh(asked, profile=profile, notice=lambda what: _warn(what, ""))
    good = [outcome for outcome in outcomes if outcome.after is not None]
    lines = []
    for outcome in good:
        if outcome.after is None:
            continue
        found = price_table.changes(outcome.before, outcome.after)
        lines.append(
            f"{outcome.region:<15} {outcome.after.as_of}  {text.count(len(found), 'change') if found else 'as before'}"
        )
        lines += [f"  {change}" for change in found]
    if good:
        lines.append(f"Kept in {text.printable(price_refresh.cache_path())}")
    if lines and not quiet:
        write_out("\n".join(lines) + "\n", sys.stdout)
    _tell_failures(outcomes, asked, is_file=from_file is not None)


def _tell_failures(outcomes: "list[Outcome]", asked: list[str] | None, *, is_file: bool) -> None:
    """Tell which regions keep their prices and why. Raises PowertuneError if one that was asked for is among them."""
    names_of: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.problem is not None:
            names_of.setdefault(outcome.problem, []).append(outcome.region)
    if not names_of:
        return
    hint = "the prices of before stay in force; powertune prices shows them"
    messages = []
    for problem, names in sorted(names_of.items(), key=lambda item: len(item[1])):  # the one that matters most last
        listed = ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
        messages.append(f"{listed}: {problem}")
    if asked is None and any(outcome.after for outcome in outcomes):
        for message in messages:
            _warn(message, hint)
        return
    *others, last = messages
    for message in others:
        _warn(message, hint)
    error: type[PowertuneError] = BadInputError if is_file else AwsError
    raise error(f"not refreshed: {last}", hint=hint)


def _warn(message: str, hint: str) -> None:
    print(f"Warning: {text.printable(message, limit=400)}", file=sys.stderr)
    if hint:
        print(f"  {hint}", file=sys.stderr)


SUBCOMMANDS = {"refresh": (refresh, "Example: powertune prices refresh --region eu-central-1")}
"""Function and examples of each command of this command's own."""
