"""`powertune tune`: the function re-invoked on AWS across memory sizes, and put back as it was."""

import sys
import textwrap
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from powertune import text
from powertune.aws_lambda.memory import parse_sizes
from powertune.cli import options
from powertune.cli.deliver import check, deliver
from powertune.errors import FunctionFailedError, InterruptedRunError, UsageError

if TYPE_CHECKING:
    from powertune.aws_lambda.pricing import Rates
    from powertune.model.recommendation import SearchName
    from powertune.model.tuning_run import TuningRun
    from powertune.sources.alpt_input import AlptInput
    from powertune.sources.aws.clients import Aws
    from powertune.sources.aws.source import AwsSource, Plan
    from powertune.sources.events import Events

_MEASURING, _AWS = "Measuring", "AWS"
_MOST_SIZES_NAMED = 12
_PLAN_WIDTH = 80

EXAMPLES = """
Examples: powertune tune orders -p @sqs-batch --plan

powertune tune orders:live -p event.json -m 256,512,1024 --yes --save run.json

powertune tune orders --payloads mix.json --max-spend 0.50 --apply --alias live
"""


def _share(text: str) -> float:
    """Return the share that `2%` or `2` stands for. Raises ValueError, which Typer tells the user."""
    return float(text.removesuffix("%")) / 100


class SearchOption(StrEnum):
    """Names of the searches."""

    adaptive = "adaptive"
    frugal = "frugal"
    full = "full"


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
        SearchOption,
        typer.Option(
            help="Measure where it tells most, with even fewer runs for --strategy alone, or every size alike.",
            rich_help_panel=_MEASURING,
        ),
    ] = SearchOption.adaptive
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


def tune(
    function: Annotated[
        str | None, typer.Argument(metavar="FUNCTION", help="Name or ARN, with :ALIAS or :VERSION if need be.")
    ] = None,
    payload: Annotated[
        str | None,
        typer.Option(
            "-p", "--payload", metavar="FILE|JSON|-|@SAMPLE|s3://", help="The event: a file, JSON, stdin, or in S3."
        ),
    ] = None,
    memory: options.Memory = None,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Tell of each run as it ends.")] = False,
    *,
    measuring: Measuring,
    on_aws: OnAws,
    choosing: options.Choosing,
    pricing: options.Pricing,
    delivery: options.Delivery,
) -> None:
    """Re-invoke a function on AWS across memory sizes, and recommend one.

    A few sizes are measured first, then, batch by batch, those where a run tells most. Each becomes a temporary version
    of the function and is measured while the next one is prepared. $LATEST has its memory back as soon as the last size
    of a batch is published; the versions are deleted at the end, whatever happens.
    Shows its plan and asks before it changes or spends anything.
    """
    inputs = [name for name in (payload, measuring.payloads, on_aws.alpt_input) if name]
    check(delivery, inputs=inputs)
    wanted = options.tuning_options(choosing, pricing)
    sizes = parse_sizes(memory) if memory is not None else None
    for name, value in (("max_spend", measuring.max_spend), ("trim", measuring.trim)):
        options.check_finite(name, value)
    _check_combination(function, payload, measuring, on_aws)
    # Imported here: what talks to AWS must not slow down --help and usage errors.
    from powertune import charging, tuning  # noqa: PLC0415
    from powertune.cli.interrupts import interruptible  # noqa: PLC0415
    from powertune.progress import progress_for  # noqa: PLC0415

    wanted["trim"] = measuring.trim / 100
    alpt = _read_alpt(on_aws.alpt_input)
    if alpt is not None:
        wanted |= {"strategy": alpt.strategy, "balanced_weight": alpt.balanced_weight, "trim": alpt.trim}
        if alpt.only_cold_starts:
            wanted["cold_start_rate"] = 1.0  # ALPT's durations and costs hold the init phase then
        sizes = sizes or alpt.sizes
    source = _source(function, payload, sizes, measuring, on_aws, alpt, pricing.region)
    samples = measuring.samples or (alpt.samples if alpt else None)
    search: SearchName = "full" if alpt else measuring.search.value  # ALPT's input says how often to run each size
    plan = _plan(source, search, samples, charging.rates_for_source(source, wanted))
    apply, alias = (alpt.apply or on_aws.apply, alpt.alias or on_aws.alias) if alpt else (on_aws.apply, on_aws.alias)
    if apply:
        _check_apply(source, alias)
    shown = _plan_in_words(plan, measuring, is_full=search == "full", apply=apply, alias=alias, asks=not on_aws.yes)
    if on_aws.plan:
        print(shown)
        return
    if not delivery.quiet or not on_aws.yes:
        print(shown, file=sys.stderr)
    if not _ask("Go on?", on_aws):
        raise InterruptedRunError("stopped before anything was changed", hint="answer y, or give --yes")
    source.keep_recording, source.verbose = True, verbose
    with progress_for(quiet=delivery.quiet, color=not delivery.no_color) as progress, interruptible(source):
        source.progress = progress
        run = tuning.tune(
            source, search=search, samples=samples, precision=measuring.precision, seed=measuring.seed, **wanted
        )
    if not delivery.quiet:
        spent = text.money(run.spent.amount, run.pricing.currency)
        print(
            f"{text.printable(plan.target.name)}: {text.count(run.spent.invocations, 'invocation')}, {spent} spent",
            file=sys.stderr,
        )
    try:
        deliver(run, delivery)
    except (FunctionFailedError, typer.Exit):  # said after everything was written
        source.forget_recording()
        raise
    source.forget_recording()
    if apply:
        _apply(run, source, alias, on_aws)


def _plan(source: "AwsSource", search: "SearchName", samples: int | None, rates: "Rates") -> "Plan":
    """Return what is going to be done. Raises PowertuneError."""
    from powertune.tuning import most_runs_searched  # noqa: PLC0415 - late, as all that measures

    if search == "full":
        return source.plan(rates, samples)
    return source.plan(rates, source.round_runs, at_most=most_runs_searched(source.round_runs))


def _check_combination(function: str | None, payload: str | None, measuring: Measuring, on_aws: OnAws) -> None:
    """Raise UsageError for options that do not go together."""
    if function is None and on_aws.alpt_input is None:
        raise UsageError("no function is named", hint="powertune tune FUNCTION; powertune tune --help")
    if payload is not None and measuring.payloads is not None:
        raise UsageError("--payload and --payloads exclude each other", hint="give one of them")
    if on_aws.alias and not on_aws.apply:
        raise UsageError("--alias says where to apply the size, and --apply is missing", hint="add --apply")
    if on_aws.alpt_input and (payload or measuring.payloads):
        raise UsageError("the ALPT input has a payload of its own", hint="leave out --payload and --payloads")


def _read_alpt(spec: str | None) -> "AlptInput | None":
    if spec is None:
        return None
    from powertune.sources.alpt_input import read_alpt_input  # noqa: PLC0415 - few need it

    alpt = read_alpt_input(spec)
    if alpt.ignored_keys:
        keys = ", ".join(text.printable(key, limit=40) for key in alpt.ignored_keys)
        print(f"Warning: ALPT does not know these keys of its input, which are ignored: {keys}", file=sys.stderr)
    return alpt


def _source(
    function: str | None,
    payload: str | None,
    sizes: tuple[int, ...] | None,
    measuring: Measuring,
    on_aws: OnAws,
    alpt: "AlptInput | None",
    region: str | None,
) -> "AwsSource":
    """Return the source that the options describe. Reads payloads; touches nothing but S3 on AWS."""
    from powertune.sources.aws.measuring import Pace  # noqa: PLC0415 - late, as all that loads boto3
    from powertune.sources.aws.processors import processors  # noqa: PLC0415
    from powertune.sources.aws.source import AwsSource  # noqa: PLC0415
    from powertune.sources.aws.target import connect  # noqa: PLC0415

    named = function or (alpt.function_arn if alpt else "")
    aws, _ = connect(named, region=region, profile=on_aws.profile)
    pace: dict[str, Any] = {
        "parallel": measuring.parallel,
        "max_concurrency": measuring.max_concurrency,
        "serial": measuring.serial,
        "cold_starts": measuring.cold_starts,
    }
    pre, post = measuring.pre_processor, measuring.post_processor
    allowed = measuring.allow_error or []
    if alpt is not None:
        pace |= {
            "parallel": alpt.samples if alpt.parallel else 1,
            "pause_ms": max(100.0, float(alpt.pause_ms)),
            "only_cold": alpt.only_cold_starts,
        }
        pre, post = pre or alpt.pre_processor, post or alpt.post_processor
        allowed = [*allowed, *alpt.allowed_errors]
    return AwsSource(
        named,
        sizes=sizes,
        events=_events(payload, measuring, alpt, aws),
        region=region,
        profile=on_aws.profile,
        qualifier=on_aws.qualifier,
        tune_latest=on_aws.latest,
        tenant_id=on_aws.tenant_id,
        pace=Pace(**pace),
        max_spend=measuring.max_spend,
        allowed_errors=allowed,
        repeat_lost=measuring.idempotent,
        include_payloads=measuring.include_payloads,
        processors=processors(pre, post, profile=on_aws.profile),
    )


def _events(payload: str | None, measuring: Measuring, alpt: "AlptInput | None", aws: "Aws") -> "Events":
    from powertune.sources.aws.s3 import is_s3_url, read_s3_payload, read_s3_text  # noqa: PLC0415 - loads boto3
    from powertune.sources.events import OneEvent, read_events, weighted_events  # noqa: PLC0415
    from powertune.sources.payloads import read_payload  # noqa: PLC0415

    if alpt is not None:
        single, weighted = alpt.payload, alpt.weighted_payloads
        if alpt.payload_s3:
            from powertune.sources.alpt_input import payloads_in_text  # noqa: PLC0415 - few need it

            single, weighted = payloads_in_text(read_s3_text(aws, alpt.payload_s3))
        return weighted_events(weighted, measuring.seed) if weighted else OneEvent(single or "null")
    if measuring.payloads is not None:
        return read_events(measuring.payloads, measuring.seed)
    if payload is None:
        return OneEvent("{}")
    return OneEvent(read_s3_payload(aws, payload) if is_s3_url(payload) else read_payload(payload))


def _plan_in_words(
    plan: "Plan", measuring: Measuring, *, is_full: bool, apply: bool, alias: str | None, asks: bool
) -> str:
    target, facts = plan.target, plan.target.facts
    sizes = ", ".join(map(str, plan.sizes_mb))
    if len(plan.sizes_mb) > _MOST_SIZES_NAMED:
        sizes = f"{len(plan.sizes_mb)} from {plan.sizes_mb[0]} to {plan.sizes_mb[-1]}"
    if is_full:
        parts = [f"{plan.openers} that open environments"] if plan.openers else []
        parts += [f"{plan.samples} warm"] if plan.samples else []
        usual = f"{' + '.join(parts)} at each size"
    else:
        usual = "some 20 of each payload, at the sizes where they tell most"
    money = text.money(plan.most_cost, plan.currency)
    limit = (
        ""
        if measuring.max_spend is None
        else (f", and stops before {text.money(measuring.max_spend, plan.currency)} (--max-spend)")
    )
    platform = f"{facts.runtime or 'custom runtime'}, {facts.architecture}, {target.region}"
    versions = f"{'' if is_full else 'up to '}{text.count(plan.versions, 'temporary version')}"
    most = "" if measuring.precision else f", {plan.most_runs:,} invocations at most"
    more = ", and what --precision adds" if measuring.precision else ""
    runs = f"{usual}{most}"
    told = [
        ("Sizes", f"{sizes} MB"),
        ("Runs", f"{runs}: real ones, with all that the function does to databases, queues and people"),
        ("Costs", f"{money} at most, if each run took its whole timeout{more}{limit}"),
    ]
    if set(plan.sizes_mb) == {target.memory_mb}:
        told.append(("Changes", f"nothing but {versions}, deleted at the end"))
    else:
        when = f"put back as soon as the last size {'' if is_full else 'of a batch '}is published"
        told.append(("Changes", f"the memory of $LATEST, {when}, and {versions}, deleted at the end"))
        told.append(("Callers", "of $LATEST meet those sizes meanwhile; those of an alias or a version do not"))
    if apply:
        where = f" and points the alias {text.printable(alias)} at it" if alias else ""
        told.append(("Then", f"sets the recommended memory{where}{', after a question' if asks else ''}"))
    told += [("Note", text.printable(warning.message, limit=400)) for warning in target.warnings]
    asked = f"{target.name}:{target.qualifier}" if target.qualifier else target.name
    memory = f"{target.current_memory_mb} MB"
    if target.current_memory_mb != target.memory_mb:
        memory += f" (and $LATEST {target.memory_mb} MB)"
    lines = [f"{asked}: {memory}, timeout {target.timeout_s} s, {platform}"]
    for name, words in told:
        indent = f"  {name:<9}"
        lines += textwrap.wrap(words, _PLAN_WIDTH, initial_indent=indent, subsequent_indent=" " * len(indent))
    return "\n".join(lines)


def _ask(question: str, on_aws: OnAws) -> bool:
    """Return the answer of whoever sits at the terminal, True with --yes. Raises UsageError where nobody can answer."""
    if on_aws.yes:
        return True
    if on_aws.no_input or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("this changes and invokes the function, and nobody can be asked", hint="add --yes")
    # Typer's own question would leave a blank on standard output, which is for the result alone.
    print(f"{question} [y/N]: ", end="", file=sys.stderr, flush=True)
    answer = ""
    try:
        answer = sys.stdin.readline()
    finally:
        if not answer.endswith("\n"):  # at Ctrl-C and at Ctrl-D the cursor is still behind the question
            print(file=sys.stderr)
    return answer.strip().lower() in ("y", "yes")


def _check_apply(source: "AwsSource", alias: str | None) -> None:
    from powertune.aws_lambda.function_name import checked_alias  # noqa: PLC0415 - needed here alone
    from powertune.sources.aws.apply import check_alias  # noqa: PLC0415 - loads boto3

    target = source.inspect()
    if alias:
        check_alias(source.aws, target, checked_alias(alias))
    elif target.qualifier:
        raise UsageError(
            f"applying to {target.qualifier} means publishing a version and pointing an alias at it",
            hint="name the alias: --apply --alias NAME",
        )


def _apply(run: "TuningRun", source: "AwsSource", alias: str | None, on_aws: OnAws) -> None:
    """Set what was recommended on the live function, after a question."""
    from powertune.sources.aws.apply import apply_memory  # noqa: PLC0415 - loads boto3

    target, memory_mb = source.inspect(), run.recommendation.memory_mb
    name = text.printable(target.name)
    if memory_mb is None or run.recommendation.confidence == "inconclusive":
        print(f"{name}: nothing applied, as the answer is inconclusive", file=sys.stderr)
        return
    if memory_mb == target.memory_mb and not alias:
        print(f"{name}: nothing to apply, it has {memory_mb} MB already", file=sys.stderr)
        return
    if not _ask(f"Set {name} to {memory_mb} MB{f' and point {alias} at it' if alias else ''}?", on_aws):
        print(f"{name}: nothing applied", file=sys.stderr)
        return
    applied = apply_memory(source.aws, target, memory_mb, alias=alias)
    where = f"; {alias} points at version {applied.version}" if applied.version else ""
    print(f"{name}: $LATEST has {memory_mb} MB now, it had {target.memory_mb} MB{where}", file=sys.stderr)
