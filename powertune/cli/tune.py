"""`powertune tune`: the function re-invoked on AWS across memory sizes, and put back as it was."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from powertune import text
from powertune.aws_lambda.memory import parse_sizes
from powertune.cli import options
from powertune.cli.applying import apply_live, check_live
from powertune.cli.asking import ask
from powertune.cli.deliver import check, deliver
from powertune.cli.template_options import OneDeployed, name_on_aws
from powertune.cli.tune_options import Measuring, OnAws
from powertune.cli.tune_plan import plan_in_words
from powertune.errors import FunctionFailedError, InterruptedRunError, UsageError

if TYPE_CHECKING:
    from powertune.aws_lambda.pricing import Rates
    from powertune.model.recommendation import SearchName
    from powertune.sources.alpt_input import AlptInput
    from powertune.sources.aws.clients import Aws
    from powertune.sources.aws.source import AwsSource, Plan
    from powertune.sources.events import Events

EXAMPLES = """
Examples: powertune tune orders -p @sqs-batch --plan

powertune tune orders:live -p event.json -m 256,512,1024 --yes --save run.json

powertune tune --template template.yaml --function Checkout --stack shop-prod -p event.json

powertune tune orders --payloads mix.json --max-spend 0.50 --apply --alias live
"""


def tune(
    context: typer.Context,
    named: Annotated[
        str | None,
        typer.Argument(
            metavar="FUNCTION",
            help="Name or ARN, with :ALIAS or :VERSION if need be; or a function of the --template.",
        ),
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
    configured: OneDeployed,
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
    function = _function(context, named, configured, on_aws, pricing.region)
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
    search: SearchName = "full" if alpt else measuring.search  # ALPT's input says how often to run each size
    plan = _plan(source, search, samples, charging.rates_for_source(source, wanted))
    apply, alias = (alpt.apply or on_aws.apply, alpt.alias or on_aws.alias) if alpt else (on_aws.apply, on_aws.alias)
    if apply:
        check_live(source, alias)
    shown = plan_in_words(plan, measuring, is_full=search == "full", apply=apply, alias=alias, asks=not on_aws.yes)
    if on_aws.plan:
        print(shown)
        return
    if not delivery.quiet or not on_aws.yes:
        print(shown, file=sys.stderr)
    asking = {"yes": on_aws.yes, "no_input": on_aws.no_input}
    if not ask("Go on?", **asking, otherwise="this changes and invokes the function"):
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
    if not apply:
        return
    if run.recommendation.memory_mb is None or run.recommendation.confidence == "inconclusive":
        print(f"{text.printable(plan.target.name)}: nothing applied, as the answer is inconclusive", file=sys.stderr)
        return
    apply_live(source, run.recommendation.memory_mb, alias, **asking)


def _function(
    context: typer.Context, named: str | None, configured: OneDeployed, on_aws: OnAws, region: str | None
) -> str | None:
    """Return what AWS calls the function; None where the line does not say. Raises PowertuneError.

    A template that the settings name is asked only where nothing else says what to tune.
    """
    from powertune.cli.configured import given_on_line  # noqa: PLC0415 - not for --help and usage errors

    is_named = named is not None or on_aws.alpt_input is not None
    is_meant = not is_named or "template" in given_on_line(context)
    if configured.template is None or not is_meant or (named is not None and configured.function is not None):
        return named
    return name_on_aws(configured, configured.function or named, region=region, profile=on_aws.profile)


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
