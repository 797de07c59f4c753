"""Options that commands share: declared once, as dataclasses whose fields are options of the command line."""

import inspect
import math
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from powertune.errors import PowertuneError, UsageError

if TYPE_CHECKING:
    from powertune.charging import Options

_CHOOSING, _PRICES, _OUTPUT = "Choosing", "Prices", "Output"
_NO_FORMATS = frozenset({"a", "gate", "of", "or", "runs"})
"""Words between the names of formats."""

Memory = Annotated[
    str | None,
    typer.Option("-m", "--memory", metavar="SIZES", help="128,256,1024 or 128..3008:64 or all, in MB."),
]


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Make a Typer command of `function`: a parameter whose type is a dataclass stands for all fields of it.

    What the command line does not give comes from settings, where they have it.
    """
    signature = inspect.signature(function)
    groups: dict[str, Any] = {
        name: item.annotation for name, item in signature.parameters.items() if is_dataclass(item.annotation)
    }
    own = [item for name, item in signature.parameters.items() if name not in groups]
    shared = [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
        for group in groups.values()
        for field in fields(group)
    ]

    if "context" not in signature.parameters:
        own.insert(0, inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context))

    @wraps(function)
    def run(**values: Any) -> None:
        from powertune.cli.configured import from_settings, tell_origins  # noqa: PLC0415 - not for --help

        context = values["context"]
        taken = from_settings(context)
        values |= {name: setting.value for name, setting in taken.items()}
        if "context" not in signature.parameters:
            del values["context"]
        for name, group in groups.items():
            values[name] = group(**{field.name: values.pop(field.name) for field in fields(group)})
        try:
            function(**values)
        except PowertuneError as error:
            tell_origins(error, context, taken)
            raise

    keyword_only = [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in own]
    run.__signature__ = inspect.Signature([*keyword_only, *shared])  # type: ignore[attr-defined] # as inspect documents
    return run


@dataclass(frozen=True, kw_only=True)
class Pricing:
    """What to charge."""

    region: Annotated[
        str | None,
        typer.Option(
            help="AWS region of function and prices. \\[default: AWS_REGION, else us-east-1]", rich_help_panel=_PRICES
        ),
    ] = None
    arch: Annotated[
        Literal["x86_64", "arm64"] | None, typer.Option(help="Architecture of the prices.", rich_help_panel=_PRICES)
    ] = None
    price_gb_second: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="USD", help="Price of a GB-second, in place of the list's.", rich_help_panel=_PRICES
        ),
    ] = None
    price_request: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="USD", help="Price of one request, in place of the list's.", rich_help_panel=_PRICES
        ),
    ] = None
    gb_seconds_per_month: Annotated[
        float | None,
        typer.Option(min=0, metavar="N", help="The account's monthly GB-seconds, for tiers.", rich_help_panel=_PRICES),
    ] = None
    ephemeral_storage: Annotated[
        int | None,
        typer.Option(
            min=512,
            max=10_240,
            metavar="MB",
            help="Size of /tmp. \\[default: the function's where known, else 512]",
            rich_help_panel=_PRICES,
        ),
    ] = None
    cold_start_rate: Annotated[
        float,
        typer.Option(
            min=0, max=100, metavar="PCT", help="Share of invocations that pay for init.", rich_help_panel=_PRICES
        ),
    ] = 0.0
    invocations_per_month: Annotated[
        float | None,
        typer.Option(min=0, metavar="N", help="Shows what a month costs, tiers applied.", rich_help_panel=_PRICES),
    ] = None
    free_tier: Annotated[
        bool,
        typer.Option("--free-tier", help="Take the free tier off the month, all of it.", rich_help_panel=_PRICES),
    ] = False
    discount: Annotated[
        float,
        typer.Option(
            min=0, max=99, metavar="PCT", help="A Savings Plan's: off duration, not requests.", rich_help_panel=_PRICES
        ),
    ] = 0.0
    provisioned: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Environments of provisioned concurrency.", rich_help_panel=_PRICES),
    ] = None
    utilization: Annotated[
        float | None,
        typer.Option(min=0, max=100, metavar="PCT", help="How busy these are kept.", rich_help_panel=_PRICES),
    ] = None
    snapstart: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="VERSIONS",
            help="Active versions with a SnapStart snapshot; free for Java.",
            rich_help_panel=_PRICES,
        ),
    ] = 0
    event_kb: Annotated[
        int,
        typer.Option(
            min=0, max=1024, metavar="KB", help="Size of asynchronous events, for requests.", rich_help_panel=_PRICES
        ),
    ] = 0
    edge: Annotated[bool, typer.Option("--edge", help="Charge what Lambda@Edge costs.", rich_help_panel=_PRICES)] = (
        False
    )


@dataclass(frozen=True, kw_only=True)
class Choosing:
    """What to recommend for."""

    strategy: Annotated[
        Literal["cost", "speed", "balanced"],
        typer.Option("-s", "--strategy", help="What counts; all three picks are shown.", rich_help_panel=_CHOOSING),
    ] = "balanced"
    balanced_weight: Annotated[
        float,
        typer.Option(
            min=0, max=1, metavar="W", help="Weight of cost against speed under balanced.", rich_help_panel=_CHOOSING
        ),
    ] = 0.5
    tolerance: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="PCT",
            help="Take a faster size that is dearer by no more than this, and for speed a cheaper one.",
            rich_help_panel=_CHOOSING,
        ),
    ] = 2.0
    max_duration: Annotated[
        float | None,
        typer.Option(min=0, metavar="MS", help="Leave out sizes with a slower p95.", rich_help_panel=_CHOOSING),
    ] = None
    max_cost: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="USD_PER_MILLION", help="Leave out sizes that cost more.", rich_help_panel=_CHOOSING
        ),
    ] = None
    current: Annotated[
        int | None,
        typer.Option(
            min=128, max=10_240, metavar="MB", help="The size set now, to compare.", rich_help_panel=_CHOOSING
        ),
    ] = None


def format_option(names: str) -> Any:
    """Return the option -f, with the formats that the command has, in words; shells complete these."""
    formats = [word for word in re.findall(r"[a-z]+(?:-[a-z]+)*", names) if word not in _NO_FORMATS]

    def starting_with(incomplete: str) -> list[str]:
        return [name for name in formats if name.startswith(incomplete)]

    return typer.Option(
        "-f", "--format", metavar="FORMAT", help=names, rich_help_panel=_OUTPUT, autocompletion=starting_with
    )


def output_option(suffixes: str) -> Any:
    """Return the option -o, with the files that the command writes, in words."""
    return typer.Option("-o", "--output", metavar="FILE", help=suffixes, rich_help_panel=_OUTPUT)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """Where the result goes and in which form."""

    format_name: Annotated[
        str,
        format_option("table, json, csv, markdown, html, alpt or alpt-url."),
    ] = "table"
    output: Annotated[
        list[str] | None,
        output_option("Also write a .json, .csv, .md, .html or .txt file. Repeatable."),
    ] = None
    save: Annotated[
        str | None, typer.Option(metavar="FILE", help="Save the whole run as JSON.", rich_help_panel=_OUTPUT)
    ] = None
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 6 if the answer is inconclusive.", rich_help_panel=_OUTPUT)
    ] = False
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="No progress and no warnings.", rich_help_panel=_OUTPUT)
    ] = False
    no_color: Annotated[
        bool, typer.Option("--no-color", help="No colour; NO_COLOR does the same.", rich_help_panel=_OUTPUT)
    ] = False
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.", rich_help_panel=_OUTPUT)] = False


@dataclass(frozen=True, kw_only=True)
class GateDelivery(Delivery):
    """Where the result of a gate goes and in which form."""

    format_name: Annotated[
        str,
        format_option("table, json, csv, markdown, junit, sarif, github or gitlab."),
    ] = "table"
    output: Annotated[
        list[str] | None,
        output_option("Also write a .json, .csv, .md, .txt, .xml (JUnit), .sarif or .gitlab.json file. Repeatable."),
    ] = None
    comment_name: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Of the hidden mark in markdown, one for each gate that comments.",
            rich_help_panel=_OUTPUT,
        ),
    ] = "gate"


def tuning_options(choosing: Choosing, pricing: Pricing) -> "Options":
    """Return what the command line asked for as options of the Python API. Raises UsageError for NaN and infinity."""
    for name, value in (asdict(choosing) | asdict(pricing)).items():
        check_finite(name, value)
    wanted = {
        "strategy": choosing.strategy,
        "balanced_weight": choosing.balanced_weight,
        "tolerance": choosing.tolerance / 100,
        "max_duration_ms": choosing.max_duration,
        "max_cost_per_million": choosing.max_cost,
        "current_memory_mb": choosing.current,
        "region": pricing.region,
        "default_region": os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None,
        "architecture": pricing.arch,
        "price_gb_second": pricing.price_gb_second,
        "price_request": pricing.price_request,
        "edge": pricing.edge,
        **charges(pricing),
    }
    given: Options = {name: value for name, value in wanted.items() if value is not None}  # type: ignore[assignment] # the keys are those of Options
    return given


def charges(pricing: Pricing) -> dict[str, Any]:
    """Return how the function is paid for, in the names of the Python API; None for what was not said."""
    return {
        "gb_seconds_per_month": pricing.gb_seconds_per_month,
        "ephemeral_storage_mb": pricing.ephemeral_storage,
        "cold_start_rate": _share(pricing.cold_start_rate),
        "discount": _share(pricing.discount),
        "event_kb": pricing.event_kb,
        "provisioned": pricing.provisioned,
        "utilization": None if pricing.utilization is None else _share(pricing.utilization),
        "snapstart_versions": pricing.snapstart,
        "invocations_per_month": pricing.invocations_per_month,
        "free_tier": pricing.free_tier,
    }


def _share(percentage: float) -> float:
    """Return a percentage as a share with the digits that it was given with, and no binary dust."""
    return float(f"{percentage / 100:.12g}")


def check_finite(name: str, value: object) -> None:
    """Raise UsageError if the value of an option is NaN or infinite: Typer's limits let NaN pass."""
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"--{name.replace('_', '-')} {value} is no number to work with", hint="give a finite number")
