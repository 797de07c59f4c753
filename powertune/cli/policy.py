"""`powertune policy`: what tuning a function must be allowed to do, and nothing more."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from powertune.cli.deliver import write_out
from powertune.errors import UsageError

if TYPE_CHECKING:
    from powertune.aws_lambda.iam_policy import Feature

EXAMPLES = "Example: powertune policy arn:aws:lambda:eu-west-1:123456789012:function:orders > policy.json"


def policy(
    function: Annotated[str, typer.Argument(metavar="FUNCTION", help="Its name, ARN, or ACCOUNT:function:NAME.")],
    region: Annotated[
        str | None, typer.Option(help="Its region, where its name does not say. \\[default: any]")
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Also set the chosen size; needs no more than tuning.")
    ] = False,
    alias: Annotated[
        str | None, typer.Option(metavar="NAME", help="Also point an alias at a version with the chosen size.")
    ] = None,
    logs: Annotated[
        bool, typer.Option("--logs/--no-logs", help="Look up in CloudWatch Logs what a run does not report itself.")
    ] = True,
    log_group: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its log group. \\[default: /aws/lambda/ and its name]")
    ] = None,
    payload: Annotated[
        str | None, typer.Option("-p", "--payload", metavar="s3://BUCKET/KEY", help="Where the payload is, if in S3.")
    ] = None,
    insights: Annotated[
        bool,
        typer.Option(
            "--insights", help="Only what powertune estimate --function needs: it reads, and invokes nothing."
        ),
    ] = False,
    pre_processor: Annotated[
        str | None, typer.Option(metavar="FUNCTION", help="Function invoked before each run.")
    ] = None,
    post_processor: Annotated[
        str | None, typer.Option(metavar="FUNCTION", help="Function invoked after each run.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,  # noqa: ARG001 - main() looks for it
) -> None:
    """Print the IAM policy that tuning a function needs, and no more.

    Nothing is looked up: the policy follows from the name and the options. Name the function by its ARN to have region
    and account in it. The function itself cannot be deleted with it, only versions can.
    """
    # Imported here: the policy must not slow down other commands.
    from powertune.aws_lambda.function_name import checked_alias, checked_region  # noqa: PLC0415
    from powertune.aws_lambda.iam_policy import policy_document  # noqa: PLC0415

    if region is not None:
        checked_region(region)
    features: set[Feature] = {"tune"}
    if insights:
        if apply or alias or payload or pre_processor or post_processor:
            raise UsageError("--insights is for estimating, which invokes and changes nothing", hint="leave it out")
        _print(policy_document(function, region=region, features={"insights"}, log_group=log_group))
        return
    if apply:
        features.add("apply")
    if alias is not None:
        checked_alias(alias)
        features.add("alias")
    if logs or log_group is not None:
        features.add("logs")
    _print(
        policy_document(
            function,
            region=region,
            features=features,
            log_group=log_group,
            payload_s3=payload,
            processors=[spec for spec in (pre_processor, post_processor) if spec is not None],
        )
    )


def _print(document: dict[str, Any]) -> None:
    write_out(json.dumps(document, indent=2) + "\n", sys.stdout)
