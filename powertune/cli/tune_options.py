"""Options of `powertune tune` alone: how to measure, and what to touch on AWS."""

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

_MEASURING, _AWS = "Measuring", "AWS"


def _share(text: str) -> float:
    """Return the share that `2%` or `2` stands for. Raises ValueError, which Typer tells the user."""
    return float(text.removesuffix("%")) / 100


@dataclass(frozen=True, kw_only=True)
class Measuring:
    """How to measure."""

    payloads: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help='A mix, [{"payload": ..., "weight": 3}, ...], or a sequence, one payload a line.',
            rich_help_panel=_MEASURING,
        ),
    ] = None
    samples: Annotated[
        int | None,
        typer.Option(
            "-n",
            "--samples",
            min=1,
            max=100_000,
            metavar="N",
            help="Warm runs at each size with --search full, at most so many otherwise. \\[default: 10]",
            rich_help_panel=_MEASURING,
        ),
    ] = None
    search: Annotated[
        Literal["adaptive", "frugal", "full"],
        typer.Option(
            help="Measure where it tells most, with even fewer runs for --strategy alone, or every size alike.",
            rich_help_panel=_MEASURING,
        ),
    ] = "adaptive"
    precision: Annotated[
        float | None,
        typer.Option(
            parser=_share,
            metavar="PCT",
            help="Go on until the mean at the recommended size is known to PCT per cent.",
            rich_help_panel=_MEASURING,
        ),
    ] = None
    parallel: Annotated[
        int,
        typer.Option(min=1, max=1000, metavar="N", help="Runs side by side at one size.", rich_help_panel=_MEASURING),
    ] = 4
    max_concurrency: Annotated[
        int,
        typer.Option(
            min=1, max=1000, metavar="N", help="Runs side by side over all sizes.", rich_help_panel=_MEASURING
        ),
    ] = 24
    serial: Annotated[
        bool, typer.Option("--serial", help="One size after another, to spare databases.", rich_help_panel=_MEASURING)
    ] = False
    cold_starts: Annotated[
        int,
        typer.Option(min=0, max=1000, metavar="N", help="Force N cold starts per size.", rich_help_panel=_MEASURING),
    ] = 0
    max_spend: Annotated[
        float | None,
        typer.Option(min=0, metavar="USD", help="Never spend more on invocations.", rich_help_panel=_MEASURING),
    ] = None
    allow_error: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TYPE", help="An errorType that counts as success. Repeatable.", rich_help_panel=_MEASURING
        ),
    ] = None
    idempotent: Annotated[
        bool,
        typer.Option(
            "--idempotent",
            help="The event may be sent again where it is open whether it ran.",
            rich_help_panel=_MEASURING,
        ),
    ] = False
    trim: Annotated[
        float,
        typer.Option(
            min=0,
            max=49,
            metavar="PCT",
            help="Leave out the slowest and fastest PCT of runs.",
            rich_help_panel=_MEASURING,
        ),
    ] = 0.0
    pre_processor: Annotated[
        str | None,
        typer.Option(
            metavar="ARN|MODULE:FUNCTION", help="Makes each payload; not measured.", rich_help_panel=_MEASURING
        ),
    ] = None
    post_processor: Annotated[
        str | None,
        typer.Option(
            metavar="ARN|MODULE:FUNCTION", help="Gets each response; not measured.", rich_help_panel=_MEASURING
        ),
    ] = None
    include_payloads: Annotated[
        bool, typer.Option("--include-payloads", help="Keep payloads in the saved run.", rich_help_panel=_MEASURING)
    ] = False
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="Makes search and order of payloads repeatable.", rich_help_panel=_MEASURING),
    ] = None


@dataclass(frozen=True, kw_only=True)
class OnAws:
    """What to touch, and how far to go."""

    qualifier: Annotated[
        str | None, typer.Option(help="Version or alias whose code is meant.", rich_help_panel=_AWS)
    ] = None
    latest: Annotated[
        bool,
        typer.Option("--latest", help="Tune $LATEST even where it differs from that version.", rich_help_panel=_AWS),
    ] = False
    tenant_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Tenant, where the function isolates them.", rich_help_panel=_AWS)
    ] = None
    profile: Annotated[str | None, typer.Option(help="Profile of the AWS configuration.", rich_help_panel=_AWS)] = None
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what would be done and spent, and stop.", rich_help_panel=_AWS)
    ] = False
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.", rich_help_panel=_AWS)] = False
    no_input: Annotated[
        bool, typer.Option("--no-input", help="Never ask; stop where a question is needed.", rich_help_panel=_AWS)
    ] = False
    apply: Annotated[
        bool, typer.Option("--apply", help="Set the recommended memory afterwards.", rich_help_panel=_AWS)
    ] = False
    alias: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With --apply: publish, and point this alias at it.", rich_help_panel=_AWS),
    ] = None
    alpt_input: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|JSON|-", help="Input of AWS Lambda Power Tuning, with its meaning.", rich_help_panel=_AWS
        ),
    ] = None
