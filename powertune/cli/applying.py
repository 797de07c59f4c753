"""Sets a memory size on a live function: what `tune --apply` and `apply --live` share."""

import sys
from typing import TYPE_CHECKING

from powertune import text
from powertune.cli.asking import ask
from powertune.errors import UsageError

if TYPE_CHECKING:
    from powertune.sources.aws.source import AwsSource


def check_live(source: "AwsSource", alias: str | None) -> None:
    """Raise PowertuneError where the function of the source could not be given a size, before anything is done."""
    from powertune.aws_lambda.function_name import checked_alias  # noqa: PLC0415 - needed here alone
    from powertune.sources.aws.apply import check_alias  # noqa: PLC0415 - loads boto3

    target = source.inspect()
    if alias:
        check_alias(source.aws, target, checked_alias(alias))
    elif target.qualifier:
        raise UsageError(
            f"applying to {target.qualifier} means publishing a version and pointing an alias at it",
            hint="name the alias with --alias NAME",
        )


def apply_live(source: "AwsSource", memory_mb: int, alias: str | None, *, yes: bool, no_input: bool) -> None:
    """Set the size, after a question, and say so on standard error. Raises PowertuneError."""
    from powertune.sources.aws.apply import apply_memory  # noqa: PLC0415 - loads boto3

    target = source.inspect()
    name = text.printable(target.name)
    if memory_mb == target.memory_mb and not alias:
        print(f"{name}: nothing to apply, it has {memory_mb} MB already", file=sys.stderr)
        return
    question = f"Set {name} to {memory_mb} MB{f' and point {alias} at it' if alias else ''}?"
    if not ask(question, yes=yes, no_input=no_input, otherwise="this changes the function"):
        print(f"{name}: nothing applied", file=sys.stderr)
        return
    applied = apply_memory(source.aws, target, memory_mb, alias=alias)
    where = f"; {alias} points at version {applied.version}" if applied.version else ""
    print(f"{name}: $LATEST has {memory_mb} MB now, it had {target.memory_mb} MB{where}", file=sys.stderr)
