"""What invocations cost by what the user says of the function's use, and what measuring has cost."""

from collections.abc import Sequence
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext
from typing import TypedDict

from powertune.aws_lambda.bill import break_even_utilization
from powertune.aws_lambda.pricing import (
    ARCHITECTURES,
    EDGE_REGION,
    FREE_STORAGE_MB,
    Rates,
    UnknownPlaceError,
    billed_duration_ms,
    find_prices,
    rates_for,
)
from powertune.errors import BadInputError, PowertuneError, UsageError
from powertune.model.function_facts import FunctionFacts
from powertune.model.invocation import Invocation
from powertune.model.recommendation import Strategy
from powertune.model.run_warning import RunWarning
from powertune.model.source import Source, SourceFacts
from powertune.model.tuning_run import PricesUsed, Spent
from powertune.sources.price_refresh import Refreshed, refreshed_prices
from powertune.text import nearest, printable

DEFAULT_REGION = "us-east-1"

_ARITHMETIC = Context(prec=28, traps=[DivisionByZero, InvalidOperation, Overflow])

# What says how the function is called in production: the runs that measure it are synchronous, warm or paid in full.
_OF_PRODUCTION = (
    "cold_start_rate",
    "edge",
    "event_kb",
    "free_tier",
    "invocations_per_month",
    "provisioned",
    "snapstart_versions",
    "utilization",
)


class Options(TypedDict, total=False):
    """How to choose and what to charge: the options that every way of tuning shares."""

    strategy: Strategy
    balanced_weight: float
    tolerance: float
    max_duration_ms: float
    max_cost_per_million: float
    current_memory_mb: int
    region: str
    """Counts before the source's own region; `default_region` counts after it."""
    default_region: str
    architecture: str
    price_gb_second: float | str | Decimal
    price_request: float | str | Decimal
    gb_seconds_per_month: float
    ephemeral_storage_mb: int
    cold_start_rate: float
    discount: float
    """Share that a Compute Savings Plan takes off duration and provisioned concurrency."""
    event_kb: int
    """Size of asynchronous events."""
    provisioned: int
    """Environments of provisioned concurrency, which are busy for the share `utilization` of the time."""
    utilization: float
    snapstart_versions: int
    """Active versions with a snapshot of SnapStart; Java functions do not pay for them."""
    edge: bool
    """Whether the function runs as Lambda@Edge."""
    invocations_per_month: float
    free_tier: bool
    """Whether the month has the free tier taken off, as if no other function used it."""
    trim: float
    """Share of the warm runs to leave out at each end, per payload."""


def check_names(options: Options) -> None:
    """Raise UsageError for an option that does not exist: a misspelt one must not be ignored."""
    for name in options:
        if name not in Options.__annotations__:
            near = nearest(name, Options.__annotations__) or f"there are: {', '.join(Options.__annotations__)}"
            raise UsageError(f"there is no option {printable(name, limit=40)!r}", hint=near)


def rates_of(options: Options) -> Rates:
    """Return what the options say an invocation in production costs, in whatever way it is measured.

    Raises PowertuneError for options that make no sense, and where a price is not known.
    """
    check_names(options)
    return settled_rates(SourceFacts(), options, refreshed_prices())[0]


def rates_for_source(source: Source, options: Options) -> Rates:
    """Return what the runs of a source will be charged. Raises PowertuneError where a price is not known."""
    facts, refreshed = source_facts(source), refreshed_prices()
    settled_rates(facts, options, refreshed)  # what is wrong with the options is told before anything runs
    return run_rates(facts, options, refreshed)


def source_facts(source: Source) -> SourceFacts:
    """Return what the source tells beyond its runs, or what is assumed where it tells nothing."""
    facts = getattr(source, "facts", None)
    return facts if isinstance(facts, SourceFacts) else SourceFacts()


def run_rates(facts: SourceFacts, options: Options, refreshed: Refreshed) -> Rates:
    """Return what the runs that measure the function cost, however it is called in production."""
    of_runs: Options = {name: value for name, value in options.items() if name not in _OF_PRODUCTION}  # type: ignore[assignment] # a part of Options
    return settled_rates(facts, of_runs, refreshed)[0]


def price_warnings(refreshed: Refreshed) -> tuple[RunWarning, ...]:
    """Return what is wrong with the refreshed prices, if anything is."""
    problem = refreshed.problem
    hint = "powertune prices refresh writes them anew; until then the prices that ship with powertune count"
    return (RunWarning("price-cache", problem, hint),) if problem else ()


def settled_rates(facts: SourceFacts, options: Options, refreshed: Refreshed) -> tuple[Rates, FunctionFacts]:
    """Return what to charge, and the function with region and architecture settled."""
    known = facts.function
    edge = options.get("edge", False)
    usual_region = EDGE_REGION if edge else options.get("default_region") or DEFAULT_REGION
    region = options.get("region") or known.region or usual_region
    invocations = options.get("invocations_per_month") or facts.invocations_per_month
    if options.get("free_tier") and not invocations:
        raise UsageError("the free tier is one of a month's bill", hint="add --invocations-per-month N")
    is_java = (known.runtime or "").startswith("java")  # whose snapshots are free
    architecture = options.get("architecture") or known.architecture or ARCHITECTURES[0]
    try:
        prices = find_prices(
            region,
            architecture,
            per_gb_second=options.get("price_gb_second"),
            per_request=options.get("price_request"),
            refreshed=refreshed.rows,
            edge=edge,
        )
    except UnknownPlaceError as error:
        raise _by_origin(error, options, known) from None
    with localcontext(_ARITHMETIC):  # a handler of a dry run may have changed that of the process
        rates = rates_for(
            prices,
            gb_seconds_per_month=options.get("gb_seconds_per_month"),
            ephemeral_storage_mb=options.get("ephemeral_storage_mb") or known.ephemeral_storage_mb or FREE_STORAGE_MB,
            cold_start_rate=options.get("cold_start_rate", 0.0),
            discount=options.get("discount", 0),
            event_kb=options.get("event_kb", 0),
            provisioned=options.get("provisioned"),
            utilization=options.get("utilization"),
            snapstart_versions=0 if is_java else options.get("snapstart_versions", 0),
            invocations_per_month=invocations,
            free_tier=options.get("free_tier", False),
        )
    function = FunctionFacts(
        known.name,
        known.runtime,
        prices.architecture,
        region,
        options.get("current_memory_mb") or known.current_memory_mb,
        known.ephemeral_storage_mb,
        known.timeout_s,
    )
    return rates, function


def _by_origin(error: UnknownPlaceError, options: Options, known: FunctionFacts) -> PowertuneError:
    """Return what to say of a region or architecture that does not exist, by where it came from."""
    asked, found = (
        (options.get("region"), known.region) if error.is_region else (options.get("architecture"), known.architecture)
    )
    if asked:
        return error
    if found:
        option = "--region" if error.is_region else "--arch"
        return BadInputError(f"{error.message}, and the input names it", hint=f"{error.hint}; {option} overrules it")
    return UsageError(f"{error.message}, and AWS_REGION or AWS_DEFAULT_REGION names it", hint=error.hint)


def terms_kept(rates: Rates) -> dict[str, float]:
    """Return how the function is paid for, as far as that is not as usual."""
    use, requests = rates.provisioned, rates.requests_per_invocation
    kept = {
        "invocations_per_month": rates.invocations_per_month,
        "free_tier": rates.free_tier,
        "discount": rates.discount,
        "requests_per_invocation": requests if requests > 1 else 0,
        "provisioned_environments": use.environments if use else 0,
        "utilization": use.utilization if use else 0,
        "break_even_utilization": break_even_utilization(rates) if use else 0,
        "snapstart_versions": rates.snapstart_versions,
        "edge": rates.prices.is_edge,
    }
    return {name: float(value) for name, value in kept.items() if value}


def prices_used(rates: Rates) -> PricesUsed:
    """Return the prices that every cost of a run rests on, as the run file tells them."""
    prices = rates.prices
    return PricesUsed(
        region=prices.region,
        architecture=prices.architecture,
        currency=prices.currency,
        as_of=prices.as_of,
        per_gb_second=float(rates.per_gb_second),
        per_request=float(prices.per_request),
        basis=prices.basis,
    )


def spent_on(invocations: Sequence[Invocation], rates: Rates) -> Spent:
    """Return what the runs cost, failed ones included: they are billed, too. What never ran costs nothing."""
    ran = [invocation for invocation in invocations if invocation.billed_ms != 0]
    bills = (
        rates.bill(
            invocation.memory_mb,
            billed_duration_ms(invocation.duration_ms, invocation.init_ms or 0.0)
            if invocation.billed_ms is None
            else invocation.billed_ms,
        )
        for invocation in ran
    )
    return Spent(len(ran), float(sum(bills)))
