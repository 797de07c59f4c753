"""`powertune dry-run`: a handler called on this machine, scaled to every memory size."""

import re
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from powertune import text
from powertune.aws_lambda.memory import MAX_TIMEOUT_S, checked_size, parse_sizes
from powertune.cli import options
from powertune.cli.completion import function_names
from powertune.cli.deliver import check, deliver
from powertune.cli.interrupts import ended_by_signals
from powertune.cli.template_options import OneConfigured, configured_function
from powertune.errors import BadInputError, UsageError
from powertune.report import load_renderer

if TYPE_CHECKING:
    from powertune.cli.from_template import FromTemplate
    from powertune.sources.events import Events

_DEPLOYED, _SCALE = "As it is deployed", "From this machine to Lambda"
_MB_MS = re.compile(r"\s*(?P<mb>[0-9]+)\s*=(?P<ms>.*)", re.DOTALL)

EXAMPLES = """
Examples: powertune dry-run shop.orders:handler -p @sqs-batch --current 512

powertune dry-run shop.orders:handler -p event.json --duration-at 512=143 -m 128..3008:64

powertune dry-run shop.orders:handler --anchor report.log --verify 128,512,1024

powertune dry-run shop.orders:handler --python .venv-orders --env-file .env --layer build/layer

powertune dry-run --template template.yaml Checkout -p event.json

powertune dry-run --runtime-api -p event.json -- ./bootstrap
"""


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """How the handler is deployed."""

    isolate: Annotated[
        bool,
        typer.Option(
            "--isolate",
            help="Run it in a process of its own, which may crash and is killed in the end.",
            rich_help_panel=_DEPLOYED,
        ),
    ] = False
    python: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="Its interpreter or virtual environment; implies --isolate.", rich_help_panel=_DEPLOYED
        ),
    ] = None
    env: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="An environment variable of the function. Repeatable.", rich_help_panel=_DEPLOYED
        ),
    ] = None
    env_file: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="A file of NAME=VALUE lines. Repeatable.", rich_help_panel=_DEPLOYED),
    ] = None
    layer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DIR", help="A layer, unpacked: what becomes /opt. Repeatable, in order.", rich_help_panel=_DEPLOYED
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """What durations rest on, and how to check them."""

    duration_at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MB=MS|FILE",
            help="A duration known from production, or a file of recorded ones. Repeatable.",
            rich_help_panel=_SCALE,
        ),
    ] = None
    anchor: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Recorded durations, in any form that estimate reads, to scale to. Repeatable.",
            rich_help_panel=_SCALE,
        ),
    ] = None
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Compare this machine with Lambda by kernels known there, once.",
            rich_help_panel=_SCALE,
        ),
    ] = False
    recalibrate: Annotated[
        bool, typer.Option("--recalibrate", help="The same, measured anew.", rich_help_panel=_SCALE)
    ] = False
    speed_ratio: Annotated[
        float | None,
        typer.Option(metavar="N", help="How many times as fast arm64 runs this as x86_64.", rich_help_panel=_SCALE),
    ] = None
    verify: Annotated[
        str | None,
        typer.Option(
            metavar="SIZES",
            help="Also run it under the CPU quota and memory limit of these sizes.",
            rich_help_panel=_SCALE,
        ),
    ] = None


def dry_run(
    context: typer.Context,
    handler: Annotated[
        str | None,
        typer.Argument(
            metavar="HANDLER",
            help="package.module:function, a function of the --template, or a command, with --runtime-api before it.",
            autocompletion=function_names,
        ),
    ] = None,
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[ARGUMENT]...", help="Of the command.")] = None,
    runtime_api: Annotated[
        bool,
        typer.Option(
            "--runtime-api",
            help="Run a command that speaks Lambda's Runtime API, in any language: --runtime-api -- COMMAND...",
        ),
    ] = False,
    payload: Annotated[
        str | None,
        typer.Option(
            "-p", "--payload", metavar="FILE|JSON|-|@SAMPLE", help="The event: a file, JSON, stdin, or such as @s3-put."
        ),
    ] = None,
    payloads: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help='A mix, [{"payload": ..., "weight": 3}, ...], or a sequence, one payload a line.'
        ),
    ] = None,
    memory: options.Memory = None,
    samples: Annotated[
        int | None,
        typer.Option("-n", "--samples", min=1, max=10_000, help="Calls after the first. \\[default: what fits in 3 s]"),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.001, max=MAX_TIMEOUT_S, metavar="S", help="The function's timeout, for each call.")
    ] = MAX_TIMEOUT_S,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Makes the order of payloads repeatable.")] = None,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Show the end of what the handler printed.")] = False,
    *,
    configured: OneConfigured,
    deployed: Deployed,
    scaling: Scaling,
    choosing: options.Choosing,
    pricing: options.Pricing,
    delivery: options.Delivery,
) -> None:
    """Run a handler here and see which memory size it should get.

    A Python handler is called in this process, or with --isolate in its own; a command is fed with events as Lambda
    does it. No container, no network of powertune's own. CPU time is scaled to every memory size by Lambda's CPU law;
    waiting is not scaled. From a template it takes handler, folder of the code, environment, layers, memory, timeout
    and the rest, but what is given here.
    """
    _check_combination(arguments, payload, payloads, deployed, scaling, runtime_api=runtime_api)
    check(delivery, inputs=[name for name in (payload, payloads, *(deployed.env_file or [])) if name])
    options.check_finite("timeout", timeout)
    template = _from_template(context, handler, configured)
    if template is None and handler is None:
        raise UsageError("no HANDLER is named", hint="name one, or a --template; see powertune dry-run --help")
    if template is not None and runtime_api:
        raise UsageError("--runtime-api runs a command, and a template names handlers", hint="leave one of them out")
    wanted = options.tuning_options(choosing, pricing)
    sizes = parse_sizes(memory) if memory is not None else None
    verified = [] if scaling.verify is None else parse_sizes(scaling.verify)
    known_durations_ms = _known_durations(scaling.duration_at or [], scaling.anchor or [])
    # Imported here: what a dry run needs must not slow down --help and usage errors.
    from powertune import api  # noqa: PLC0415
    from powertune.cli.from_template import where_it_runs  # noqa: PLC0415
    from powertune.progress import progress_for  # noqa: PLC0415
    from powertune.sources.containment import OutputTrap  # noqa: PLC0415
    from powertune.sources.deployment import environment_from  # noqa: PLC0415

    events = _events(payload, payloads, seed)
    environment = environment_from(deployed.env_file or [], deployed.env or [])
    layers, python = [str(Path(layer).absolute()) for layer in deployed.layer or []], deployed.python
    if template is not None:
        wanted = {**template.known, **wanted}
        environment, layers = {**template.environment, **environment}, layers or list(template.layers)
        handler = template.handler
        timeout = timeout if timeout != MAX_TIMEOUT_S else template.timeout_s or timeout
        if python is not None and Path(python).exists():  # else a name to look for on PATH
            python = str(Path(python).absolute())
    # A thread that the handler left behind may go on printing, also after the result.
    with (
        OutputTrap(keep=verbose, for_good=bool(context.obj)) as trap,
        ended_by_signals() if verified else nullcontext(),
    ):
        try:
            with progress_for(trap.stderr, quiet=delivery.quiet, color=not delivery.no_color) as progress:
                measuring: dict[str, Any] = {
                    "events": events,
                    "sizes": sizes,
                    "samples": samples,
                    "known_durations_ms": known_durations_ms,
                    "calibrate": scaling.calibrate,
                    "recalibrate": scaling.recalibrate,
                    "speed_ratio": scaling.speed_ratio,
                    "timeout_s": timeout,
                    "env": environment,
                    "layers": layers,
                    "progress": progress,
                    "output": trap,
                    "preload": lambda: load_renderer(delivery.format_name),
                    **wanted,
                }
                if runtime_api:
                    with ended_by_signals():
                        run = api.dry_run_command([handler or "", *(arguments or [])], **measuring)
                else:
                    with nullcontext() if template is None else where_it_runs(template.code):
                        run = api.dry_run(
                            handler or "",
                            isolate=deployed.isolate,
                            python=python,
                            verify=verified,
                            end_process_if_stuck=True,
                            **measuring,
                        )
        finally:
            if verbose:
                for line in trap.tail() or ["(the handler printed nothing)"]:
                    print(text.inert(f"  | {line}"), file=trap.stderr)
        if template is not None:
            run = replace(run, function=replace(run.function, name=template.name))
        deliver(run, delivery, out=trap.stdout, errors=trap.stderr)


def _from_template(context: typer.Context, handler: str | None, configured: OneConfigured) -> "FromTemplate | None":
    """Return what a template says of the function; None where no template is meant.

    One that the settings name is meant only where nothing else says what to run.
    """
    from powertune.cli.configured import given_on_line  # noqa: PLC0415 - not for --help and usage errors

    is_meant = handler is None or configured.function is not None or "template" in given_on_line(context)
    if configured.template is None or not is_meant:
        return None
    from powertune.cli.from_template import from_template  # noqa: PLC0415 - loads the nouns

    if configured.function is None:
        return from_template(configured_function(configured, handler))
    return from_template(configured_function(configured, configured.function), handler=handler)


def _check_combination(
    arguments: list[str] | None,
    payload: str | None,
    payloads: str | None,
    deployed: Deployed,
    scaling: Scaling,
    *,
    runtime_api: bool,
) -> None:
    """Raise UsageError for what does not go together."""
    if arguments and not runtime_api:
        raise UsageError(
            f"a handler takes no arguments, and there is {text.printable(arguments[0], limit=40)!r}",
            hint="for a command: powertune dry-run --runtime-api -- COMMAND...",
        )
    if runtime_api and (deployed.isolate or deployed.python):
        raise UsageError(
            "--isolate and --python are for Python handlers", hint="a command has a process and an interpreter anyway"
        )
    if runtime_api and scaling.verify is not None:
        raise UsageError("--verify is for Python handlers", hint="leave it out, or verify the size on AWS")
    if payload is not None and payloads is not None:
        raise UsageError("--payload and --payloads exclude each other", hint="give one of them")


def _events(payload: str | None, payloads: str | None, seed: int | None) -> "Events":
    from powertune.sources.events import OneEvent, read_events  # noqa: PLC0415 - as above
    from powertune.sources.payloads import read_payload  # noqa: PLC0415

    if payloads is not None:
        return read_events(payloads, seed)
    return OneEvent("{}" if payload is None else read_payload(payload))


def _known_durations(specs: list[str], anchors: list[str]) -> dict[int, float]:
    """Return durations in ms by memory size in MB, from `512=143` and from recordings."""
    known: dict[int, float] = {}
    for anchor in anchors:
        for memory_mb, duration_ms in _recorded_durations(anchor).items():
            if memory_mb in known:
                raise UsageError(f"two anchors hold {memory_mb} MB", hint="join the files, or give one of them")
            known[memory_mb] = duration_ms
    for spec in specs:
        written = _MB_MS.fullmatch(spec)
        if written and not _exists(spec):
            found = {checked_size(int(written["mb"][:9])): _positive(written["ms"], spec)}
        elif _exists(spec):
            found = _recorded_durations(spec)
        else:
            raise UsageError(
                f"--duration-at {text.printable(spec, limit=60)!r} is neither MB=MS nor a file",
                hint="write --duration-at 512=143, or name a file with REPORT lines",
            )
        twice = known.keys() & found.keys()
        if twice:
            raise UsageError(
                f"--duration-at gives {min(twice)} MB two durations", hint="give each size one, the mean of several"
            )
        known |= found
    return known


def _exists(spec: str) -> bool:
    try:
        return bool(spec.strip()) and Path(spec).exists()
    except (OSError, ValueError):  # too long for a name
        return False


def _positive(milliseconds: str, spec: str) -> float:
    try:
        value = float(milliseconds)
    except ValueError:
        value = 0.0
    if not 0 < value <= MAX_TIMEOUT_S * 1000:
        raise UsageError(
            f"--duration-at {text.printable(spec, limit=60)!r} has no duration in it",
            hint="write MB=MS with more than 0 ms, as in --duration-at 512=143",
        )
    return value


def _recorded_durations(path: str) -> dict[int, float]:
    """Return the mean duration of warm runs at each size that a file has records of."""
    from powertune import api  # noqa: PLC0415 - only this form needs it

    run = api.estimate(path, price_gb_second=0, price_request=0)  # whatever region it is from, prices do not matter
    if any(size.basis != "measured" for size in run.sizes):
        raise BadInputError(
            f"{text.printable(path)} holds a dry run, which is no duration known from production",
            hint="give a file with REPORT lines, or MB=MS",
        )
    known = {size.memory_mb: size.duration_ms.mean for size in run.sizes if size.duration_ms and size.duration_ms.mean}
    if not known:
        raise BadInputError(
            f"{text.printable(path)} holds no successful run that took any time", hint="give a file with REPORT lines"
        )
    return known
