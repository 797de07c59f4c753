"""Options of `powertune gate` alone: what is configured, what fails, and how functions are run here."""

from dataclasses import dataclass
from typing import Annotated

import typer

from powertune.cli.completion import function_names

_CONFIGURED, _JUDGING, _RUNNING = "What is configured", "Judging", "Running functions here"


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
            metavar="NAME",
            help="Judge only these; * stands for anything. Repeatable.",
            rich_help_panel=_CONFIGURED,
            autocompletion=function_names,
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


@dataclass(frozen=True, kw_only=True)
class Judging:
    """What fails the gate."""

    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULES",
            help="Rules, size, budgets, regression, error, warning, note, or never. \\[default: error]",
            rich_help_panel=_JUDGING,
        ),
    ] = None
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION",
            help="As 'p95>800ms', 'memory!=recommended', or against the baseline 'cost>+5%'. Repeatable.",
            rich_help_panel=_JUDGING,
        ),
    ] = None
    soft_fail: Annotated[
        bool, typer.Option("--soft-fail", help="Report only: --fail-on never.", rich_help_panel=_JUDGING)
    ] = False
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Runs to compare with. \\[default: .powertune/baseline.json of the main branch]",
            rich_help_panel=_JUDGING,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Running:
    """How functions are run here, where no RUN is given."""

    payload: Annotated[
        str | None,
        typer.Option(
            "-p",
            "--payload",
            metavar="FILE|JSON|-|@SAMPLE",
            help="The event, of functions without one in the settings.",
            rich_help_panel=_RUNNING,
        ),
    ] = None
    samples: Annotated[
        int | None,
        typer.Option(
            "-n",
            "--samples",
            min=1,
            max=10_000,
            help="Calls after the first. \\[default: what fits in 3 s]",
            rich_help_panel=_RUNNING,
        ),
    ] = None
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate", help="Compare this machine with Lambda by kernels, once.", rich_help_panel=_RUNNING
        ),
    ] = False
