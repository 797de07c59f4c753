"""`powertune prices`: what every cost rests on."""

import sys
from typing import Annotated

import typer

from powertune.cli.deliver import screen_style, write_out
from powertune.report import check_format

EXAMPLES = "Example: powertune prices --region eu-central-1"


def prices(
    region: Annotated[str | None, typer.Option(help="One region, with its tiers.")] = None,
    format_name: Annotated[str, typer.Option("-f", "--format", metavar="FORMAT", help="table, json or csv.")] = "table",
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,  # noqa: ARG001 - main() looks for it
) -> None:
    """Show the price table in force: on-demand prices by region and architecture, each row with its date."""
    # Imported here: the price table must not slow down other commands.
    from powertune.aws_lambda.pricing import region_prices, regions  # noqa: PLC0415
    from powertune.report import price_table  # noqa: PLC0415

    check_format(format_name, price_table.FORMATS)
    rows = [region_prices(name) for name in ([region] if region else regions())]
    write_out(price_table.render(rows, format_name, screen_style(sys.stdout, no_color=True)), sys.stdout)
