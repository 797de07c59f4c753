"""Options that say where it is written what functions are configured with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from powertune import text
from powertune.errors import UsageError

_CONFIGURED = "What is configured"


@dataclass(frozen=True, kw_only=True)
class WhatIsConfigured:
    """Where it is written what functions are configured with."""

    template: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="SAM, CloudFormation, CDK, Serverless or Terraform. Repeatable.",
            rich_help_panel=_CONFIGURED,
        ),
    ] = None
    function: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Only these; * stands for anything. Repeatable.", rich_help_panel=_CONFIGURED
        ),
    ] = None
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Of the template, or a variable. Repeatable.", rich_help_panel=_CONFIGURED
        ),
    ] = None
    stage: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of a template that has stages.", rich_help_panel=_CONFIGURED),
    ] = None


def parameters_of(pairs: Sequence[str]) -> dict[str, str]:
    """Return the parameters of a template by name. Raises UsageError."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise UsageError(
                f"--parameter {text.printable(pair, limit=40)!r} is no NAME=VALUE", hint="write --parameter Memory=512"
            )
        found[name.strip()] = value
    return found
