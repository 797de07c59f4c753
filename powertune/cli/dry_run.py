"""`powertune dry-run`: a handler called on this machine, scaled to every memory size."""

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from powertune import text
from powertune.aws_lambda.memory import MAX_TIMEOUT_S, checked_size, parse_sizes
from powertune.cli import options
from powertune.cli.deliver import check, deliver
from powertune.errors import BadInputError, UsageError

_MB_MS = re.compile(r"\s*(?P<mb>[0-9]+)\s*=(?P<ms>.*)", re.DOTALL)

EXAMPLES = """
Examples: powertune dry-run shop.orders:handler -p @sqs-batch --current 512

powertune dry-run shop.orders:handler -p event.json --duration-at 512=143 -m 128..3008:64
"""


def dry_run(
    handler: Annotated[str, typer.Argument(metavar="HANDLER", help="package.module:function, or module.function.")],
    payload: Annotated[
        str | None,
        typer.Option(
            "-p", "--payload", metavar="FILE|JSON|-|@SAMPLE", help="The event: a file, JSON, stdin, or such as @s3-put."
        ),
    ] = None,
    memory: options.Memory = None,
    samples: Annotated[
        int | None,
        typer.Option("-n", "--samples", min=1, max=10_000, help="Calls after the first. \\[default: what fits in 3 s]"),
    ] = None,
    duration_at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MB=MS|FILE",
            help="A duration known from production, or a file with REPORT lines, to scale to. Repeatable.",
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.001, max=MAX_TIMEOUT_S, metavar="S", help="The function's timeout, for each call.")
    ] = MAX_TIMEOUT_S,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Show the end of what the handler printed.")] = False,
    *,
    choosing: options.Choosing,
    pricing: options.Pricing,
    delivery: options.Delivery,
) -> None:
    """Run a Python handler here and see which memory size it should get.

    The handler is called in this process: no container, no network of powertune's own. Its CPU time is scaled to every
    memory size by Lambda's CPU law; waiting is not scaled.
    """
    check(delivery, inputs=[payload] if payload else [])
    options.check_finite("timeout", timeout)
    wanted = options.tuning_options(choosing, pricing)
    sizes = parse_sizes(memory) if memory is not None else None
    known_durations_ms = _known_durations(duration_at or [])
    # Imported here: what a dry run needs must not slow down --help and usage errors.
    from powertune import tuning  # noqa: PLC0415
    from powertune.progress import progress_for  # noqa: PLC0415
    from powertune.sources.containment import OutputTrap  # noqa: PLC0415
    from powertune.sources.payloads import read_payload  # noqa: PLC0415

    event = json.loads(read_payload(payload)) if payload is not None else {}
    # Until the result is out: a thread that the handler left behind may go on printing.
    with OutputTrap(keep=verbose) as trap:
        try:
            with progress_for(trap.stderr, quiet=delivery.quiet, color=not delivery.no_color) as progress:
                run = tuning.dry_run(
                    handler,
                    payload=event,
                    sizes=sizes,
                    samples=samples,
                    known_durations_ms=known_durations_ms,
                    timeout_s=timeout,
                    progress=progress,
                    output=trap,
                    end_process_if_stuck=True,
                    **wanted,
                )
        finally:
            if verbose:
                for line in trap.tail() or ["(the handler printed nothing)"]:
                    print(f"  | {line}", file=trap.stderr)
        deliver(run, delivery, out=trap.stdout, errors=trap.stderr)


def _known_durations(specs: list[str]) -> dict[int, float]:
    """Return durations in ms by memory size in MB, from `512=143` and from files with REPORT lines."""
    known: dict[int, float] = {}
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
    from powertune import tuning  # noqa: PLC0415 - only this form needs it

    run = tuning.estimate(path, price_gb_second=0, price_request=0)  # whatever region it is from, prices do not matter
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
