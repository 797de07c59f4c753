"""A bill line by line, so that a person can check it with a calculator: of one invocation, of a month. Exact decimals.

The rules are those of the AWS Lambda pricing page, 2026; its worked examples are among the tests.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Context, Decimal

from powertune.aws_lambda.pricing import Rates, billed_duration_ms
from powertune.errors import UsageError

HOURS_PER_MONTH = 730
"""Hours of a month where something is paid for by its time. Source: AWS Pricing Calculator, 2026."""

FREE_REQUESTS, FREE_GB_SECONDS = 1_000_000, 400_000
"""A month's free tier, of both architectures together. Source: AWS Lambda pricing page, 2026."""

_SECONDS_PER_MONTH = HOURS_PER_MONTH * 3600
_MB_PER_GB, _MS_PER_S = 1024, 1000
_SHOWN = Context(prec=15)


@dataclass(frozen=True, slots=True)
class Line:
    """One charge: `quantity` of `unit`, for which `how` is the arithmetic, at `price` each."""

    name: str
    how: str
    quantity: Decimal
    unit: str
    price: Decimal

    @property
    def amount(self) -> Decimal:
        """What the line comes to."""
        return self.quantity * self.price


@dataclass(frozen=True, slots=True)
class ProvisionedMonth:
    """A month of provisioned concurrency against the same invocations on demand. Requests, the same, are left out."""

    lines: tuple[Line, ...]
    on_demand: tuple[Line, ...]
    invocations: Decimal
    """As many as keep the environments as busy as was said."""
    break_even: Decimal | None
    """Utilization from which on it costs less than on demand; None where it never does."""


@dataclass(frozen=True, slots=True)
class Bill:
    """The bill of one invocation, or of the average one where some are cold; and of a month, where it was asked for."""

    rates: Rates
    memory_mb: int
    duration_ms: float
    init_ms: float | None
    billed_ms: int
    """Of the handler, and of init where this one invocation is a cold start."""
    lines: tuple[Line, ...]
    month: tuple[Line, ...] = ()
    provisioned: ProvisionedMonth | None = None


def explain(rates: Rates, memory_mb: int, duration_ms: float, init_ms: float | None = None) -> Bill:
    """Return the bill of an invocation with these times in ms.

    With a cold-start rate `init_ms` counts by that share; without one the invocation itself is a cold start. Raises
    UsageError for a cold-start rate without an init time, a month of an init time without a rate, and an init time in
    provisioned environments.
    """
    if rates.cold_start_rate and init_ms is None:
        raise UsageError("how much of init is billed depends on how long it takes", hint="add --init MS")
    if init_ms and rates.invocations_per_month and not rates.cold_start_rate:
        raise UsageError(
            "in a month some invocations are cold, not each", hint="add --cold-start-rate PCT, 100 for all"
        )
    if rates.provisioned and init_ms:
        raise UsageError("init of provisioned environments is not paid by the invocation", hint="leave out --init")
    shared_init_ms = _decimal(init_ms or 0) * _decimal(rates.cold_start_rate)
    billed_ms = billed_duration_ms(duration_ms, 0.0 if rates.cold_start_rate else init_ms or 0.0)
    mean_ms = billed_ms + shared_init_ms
    return Bill(
        rates=rates,
        memory_mb=memory_mb,
        duration_ms=duration_ms,
        init_ms=init_ms,
        billed_ms=billed_ms,
        lines=_invocation_lines(rates, memory_mb, Decimal(billed_ms), _decimal(init_ms or 0)),
        month=month_lines(rates, memory_mb, mean_ms) if rates.invocations_per_month else (),
        provisioned=provisioned_month(rates, memory_mb, mean_ms) if rates.provisioned else None,
    )


def total(lines: Iterable[Line]) -> Decimal:
    """Return what lines come to together."""
    return sum((line.amount for line in lines), Decimal(0))


def month_lines(rates: Rates, memory_mb: int, mean_billed_ms: Decimal | float) -> tuple[Line, ...]:
    """Return the bill of a month of `rates.invocations_per_month`, each with that many billed ms on average.

    Tiers apply to the function's own GB-seconds, or at their average price in the account's where these are known. The
    free tier, where asked for, is taken off as if no other function used it. Raises ValueError without a number of
    invocations.
    """
    invocations = rates.invocations_per_month
    if invocations is None:
        raise ValueError("a month's bill needs the number of invocations")
    gb = _gb(memory_mb)
    seconds = invocations * _decimal(mean_billed_ms) / _MS_PER_S
    used = seconds * gb
    how = f"{figure(seconds)} s x {figure(gb)} GB"
    if rates.provisioned:
        lines = [_duration(rates, how, used), *_capacity(rates, used)]
    elif rates.free_tier:
        lines = _on_demand(rates, f"{how} - {FREE_GB_SECONDS:,} free", max(Decimal(0), used - FREE_GB_SECONDS))
    else:
        lines = _on_demand(rates, how, used)
    return (
        *lines,
        *_discount(rates, lines),
        *_storage(rates, seconds),
        _requests(rates, invocations, free=FREE_REQUESTS if rates.free_tier else 0),
        *_restore(rates, gb, invocations),
        *_cache(rates, gb),
    )


def provisioned_month(
    rates: Rates, memory_mb: int, billed_ms: Decimal | float, *, seconds: int = _SECONDS_PER_MONTH
) -> ProvisionedMonth:
    """Return what the provisioned environments cost in a month, and the same invocations on demand.

    Assumes that no invocation finds all environments busy, which would be billed as on demand, and leaves out the init
    of environments, which AWS runs and bills when it provisions and recycles them. Raises ValueError for rates without
    provisioned concurrency.
    """
    use = rates.provisioned
    if use is None:
        raise ValueError("these rates have no provisioned concurrency")
    gb = _gb(memory_mb)
    ready_seconds = Decimal(use.environments) * seconds
    busy_seconds = ready_seconds * use.utilization
    how = f"{use.environments:,} x {seconds:,} s x {figure(gb)} GB"
    busy_how = f"{_percent(use.utilization)} of that"
    lines = [
        *_capacity(rates, busy_seconds * gb, how=how, ready=ready_seconds * gb),
        _duration(rates, busy_how, busy_seconds * gb),
    ]
    on_demand = _on_demand(rates, f"{figure(busy_seconds)} s x {figure(gb)} GB", busy_seconds * gb)
    return ProvisionedMonth(
        lines=(*lines, *_discount(rates, lines)),
        on_demand=(*on_demand, *_discount(rates, on_demand)),
        invocations=busy_seconds * _MS_PER_S / _decimal(billed_ms),
        break_even=break_even_utilization(rates),
    )


def break_even_utilization(rates: Rates) -> Decimal | None:
    """Return how busy provisioned environments have to be, 0 to 1, to cost no more than the same time on demand.

    From capacity + u x duration = u x on demand for a GB-second; the memory size and a discount cancel out. None where
    it costs more however busy they are, and where its prices are not known.
    """
    found = rates.prices.provisioned
    if found is None:
        return None
    saved = rates.prices.per_gb_second(rates.gb_seconds_per_month) - found.duration_gb_second
    if saved <= 0 or found.capacity_gb_second > saved:
        return None
    return found.capacity_gb_second / saved


def figure(value: Decimal) -> str:
    """Return a number with all its digits, up to 15 that count."""
    return f"{_SHOWN.plus(value).normalize():,f}"


def _invocation_lines(rates: Rates, memory_mb: int, billed_ms: Decimal, init_ms: Decimal) -> tuple[Line, ...]:
    gb, seconds = _gb(memory_mb), billed_ms / _MS_PER_S
    lines = [_duration(rates, f"{figure(seconds)} s x {figure(gb)} GB", seconds * gb)]
    rate = _decimal(rates.cold_start_rate)
    cold_seconds = rate * init_ms / _MS_PER_S
    if cold_seconds:
        how = f"{_percent(rate)} of {figure(init_ms / _MS_PER_S)} s x {figure(gb)} GB"
        lines.append(_duration(rates, how, cold_seconds * gb, name="Init"))
    lines += _capacity(rates, seconds * gb)
    return (
        *lines,
        *_discount(rates, lines),
        *_storage(rates, seconds + cold_seconds),
        _requests(rates, Decimal(1)),
        *_restore(rates, gb, Decimal(1)),
    )


def _duration(rates: Rates, how: str, gb_seconds: Decimal, *, name: str = "Duration") -> Line:
    found = rates.prices.provisioned if rates.provisioned else None
    price = found.duration_gb_second if found else rates.prices.per_gb_second(rates.gb_seconds_per_month)
    return Line(name, how, gb_seconds, "GB-s", price)


def _on_demand(rates: Rates, how: str, gb_seconds: Decimal) -> list[Line]:
    """Return a month's duration on demand, a line for each tier that it reaches."""
    usage = rates.gb_seconds_per_month
    if usage is not None:
        return [Line("Duration", how, gb_seconds, "GB-s", rates.prices.per_gb_second(usage))]
    parts = rates.prices.tier_parts(gb_seconds) or [(gb_seconds, rates.prices.per_gb_second())]
    if len(parts) == 1:
        return [Line("Duration", how, *_of(parts[0]))]
    hows = [f"{how}, first part", *["next part"] * (len(parts) - 1)]
    return [Line(f"Tier {number}", hows[number - 1], *_of(part)) for number, part in enumerate(parts, 1)]


def _of(part: tuple[Decimal, Decimal]) -> tuple[Decimal, str, Decimal]:
    return part[0], "GB-s", part[1]


def _capacity(rates: Rates, busy: Decimal, *, how: str | None = None, ready: Decimal | None = None) -> list[Line]:
    """Return what stood ready for `busy` GB-seconds of duration, or for `ready` of them in all."""
    found, use = rates.prices.provisioned, rates.provisioned
    if found is None or use is None:
        return []
    how = how or f"{figure(busy)} GB-s / {_percent(use.utilization)} busy"
    return [Line("Capacity", how, busy / use.utilization if ready is None else ready, "GB-s", found.capacity_gb_second)]


def _discount(rates: Rates, lines: Iterable[Line]) -> list[Line]:
    if not rates.discount:
        return []
    return [Line("Discount", f"{_percent(rates.discount)} off", -rates.discount, "", total(lines))]


def _storage(rates: Rates, seconds: Decimal) -> list[Line]:
    if not rates.billed_storage_mb:
        return []
    gb = _gb(rates.billed_storage_mb)
    return [
        Line("Storage", f"{figure(seconds)} s x {figure(gb)} GB of /tmp", seconds * gb, "GB-s", rates.storage_gb_second)
    ]


def _requests(rates: Rates, invocations: Decimal, *, free: int = 0) -> Line:
    requests = invocations * rates.requests_per_invocation
    how = f"{figure(invocations)} x {rates.requests_per_invocation}" if rates.requests_per_invocation > 1 else ""
    if free:
        how = f"{how or figure(invocations)} - {free:,} free"
        requests = max(Decimal(0), requests - free)
    return Line("Requests", how, requests, "requests", rates.prices.per_request)


def _restore(rates: Rates, gb: Decimal, invocations: Decimal) -> list[Line]:
    found = rates.prices.snapstart
    if found is None or not rates.snapstart_versions:
        return []
    rate = _decimal(rates.cold_start_rate)
    share = f"{_percent(rate)} of {figure(invocations)} x {figure(gb)} GB"
    return [Line("Restores", share, rate * invocations * gb, "GB", found.restore_gb)]


def _cache(rates: Rates, gb: Decimal) -> list[Line]:
    found, versions = rates.prices.snapstart, rates.snapstart_versions
    if found is None or not versions:
        return []
    how = f"{versions:,} x {HOURS_PER_MONTH} h x {figure(gb)} GB"
    return [Line("Snapshots", how, versions * _SECONDS_PER_MONTH * gb, "GB-s", found.cache_gb_second)]


def _decimal(value: Decimal | float) -> Decimal:
    return Decimal(str(value))


def _gb(memory_mb: int) -> Decimal:
    return Decimal(memory_mb) / _MB_PER_GB


def _percent(share: Decimal) -> str:
    return f"{figure(share * 100)} %"
