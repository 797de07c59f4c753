"""Options that say where it is written what functions are configured with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from powertune import text
from powertune.cli.completion import function_names
from powertune.errors import UsageError

if TYPE_CHECKING:
    from powertune.model.configured import ConfiguredFunction

_CONFIGURED = "What is configured"


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a template is given."""

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


@dataclass(frozen=True, kw_only=True)
class WhatIsConfigured(Inputs):
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
            metavar="NAME",
            help="Only these; * stands for anything. Repeatable.",
            rich_help_panel=_CONFIGURED,
            autocompletion=function_names,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class OneConfigured(Inputs):
    """Where it is written what one function is configured with."""

    template: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="SAM, CloudFormation, CDK, Serverless or Terraform.", rich_help_panel=_CONFIGURED
        ),
    ] = None
    function: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The one in it.", rich_help_panel=_CONFIGURED, autocompletion=function_names),
    ] = None


@dataclass(frozen=True, kw_only=True)
class OneDeployed(OneConfigured):
    """Where it is written what one function is configured with, and what was made from it."""

    stack: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="CloudFormation's, to ask what it calls the function.", rich_help_panel=_CONFIGURED
        ),
    ] = None


def configured_function(configured: OneConfigured, name: str | None) -> "ConfiguredFunction":
    """Return the function of the template that is called `name`, the only one if None. Raises PowertuneError."""
    from powertune.templates import function_named, read_template  # noqa: PLC0415 - loads what reads YAML

    path = configured.template
    if path is None:
        raise UsageError("no template is named", hint="add --template FILE")
    found = read_template(path, parameters=parameters_of(configured.parameter or []), stage=configured.stage)
    return function_named(found, name, path=path)


def name_on_aws(configured: OneDeployed, name: str | None, *, region: str | None, profile: str | None) -> str:
    """Return what AWS calls the function that the template calls `name`, the only one if None. Raises PowertuneError.

    A template seldom says; the stack that was made from it does.
    """
    function = configured_function(configured, name)
    if function.function_name.value is not None:
        return function.function_name.value
    if configured.stack is None:
        shown = text.printable(function.name, limit=80)
        raise UsageError(
            f"the template does not say what AWS calls {shown}",
            hint="name the stack that was made from it with --stack, or the function itself: powertune tune FUNCTION",
        )
    from powertune.sources.aws.clients import Aws  # noqa: PLC0415 - loads boto3
    from powertune.sources.aws.stacks import name_in_stack  # noqa: PLC0415 - likewise

    return name_in_stack(Aws(region, profile=profile), configured.stack, function.name)


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
