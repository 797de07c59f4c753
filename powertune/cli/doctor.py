"""`powertune doctor`: whether tuning would work, before anything is changed or spent."""

import sys
from typing import Annotated

import typer

from powertune import text
from powertune.errors import ExitCode

EXAMPLES = "Example: powertune doctor orders -p event.json"


def doctor(
    function: Annotated[str, typer.Argument(metavar="FUNCTION", help="Name or ARN, with :ALIAS or :VERSION.")],
    payload: Annotated[
        str | None,
        typer.Option("-p", "--payload", metavar="FILE|JSON|-|@SAMPLE|s3://", help="The event to check, too."),
    ] = None,
    alias: Annotated[str | None, typer.Option(metavar="NAME", help="An alias that --apply shall move.")] = None,
    region: Annotated[str | None, typer.Option(help="Its region. \\[default: AWS_REGION]")] = None,
    profile: Annotated[str | None, typer.Option(help="Profile of the AWS configuration.")] = None,
    tenant_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Tenant, where the function isolates them.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,  # noqa: ARG001 - main() looks for it
) -> None:
    """Check credentials, each permission, the function's state and log format, and the payload.

    Changes nothing and runs nothing: permissions to change are tried with calls that AWS has to refuse for another
    reason. Exits with 4 if something that tuning needs is missing.
    """
    # Imported here: what talks to AWS must not slow down --help and usage errors.
    from powertune.aws_lambda.pricing import find_prices  # noqa: PLC0415
    from powertune.sources.aws.doctor import examine  # noqa: PLC0415
    from powertune.sources.aws.s3 import is_s3_url, read_s3_payload  # noqa: PLC0415
    from powertune.sources.aws.source import AwsSource  # noqa: PLC0415
    from powertune.sources.payloads import read_payload  # noqa: PLC0415
    from powertune.sources.price_refresh import refreshed_prices  # noqa: PLC0415

    source = AwsSource(function, region=region, profile=profile, tenant_id=tenant_id)
    good = True
    for check in examine(source, alias=alias):
        good = good and (check.is_good or not check.is_needed)
        sign = "ok  " if check.is_good else "FAIL" if check.is_needed else "note"
        print(f"{sign}  {check.name}: {text.printable(check.detail, limit=300)}")
        if not check.is_good and check.hint:
            print(f"      {text.printable(check.hint, limit=300)}")
    if payload is not None:
        content = read_s3_payload(source.aws, payload) if is_s3_url(payload) else read_payload(payload)
        print(f"ok    payload: JSON of {len(content.encode('utf-8', 'surrogatepass')):,} bytes")
    if good:
        found = refreshed_prices()
        prices = find_prices(source.aws.region, source.inspect().architecture, refreshed=found.rows)
        if found.problem:
            print(f"note  prices: {text.printable(found.problem, limit=300)}")
        print(f"ok    prices: {prices.region}, {prices.architecture}, of {prices.as_of}")
    sys.stdout.flush()
    if not good:
        raise typer.Exit(ExitCode.AWS)
