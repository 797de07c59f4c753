"""What Lambda charges: prices of one region and architecture, and what an invocation of one function costs by them.

Exact decimals; GB = 1,024 MB. Where the prices come from is in price_book, a bill line by line in bill.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Literal

from powertune.aws_lambda.price_book import (
    ARCHITECTURES,
    Architecture,
    ProvisionedPrices,
    RegionPrices,
    SnapStartPrices,
    Tiers,
    UnknownPlaceError,
    region_prices,
    regions,
)
from powertune.errors import PriceUnknownError, UsageError
from powertune.text import printable

__all__ = [
    "ARCHITECTURES",
    "EDGE_REGION",
    "FREE_STORAGE_MB",
    "Architecture",
    "Prices",
    "Provisioned",
    "Rates",
    "RegionPrices",
    "Tiers",
    "UnknownPlaceError",
    "billed_duration_ms",
    "find_prices",
    "rates_for",
    "region_prices",
    "regions",
]

FREE_STORAGE_MB = 512
"""Ephemeral storage (/tmp) that costs nothing. Source: AWS Lambda pricing page, 2026."""

EDGE_REGION = "us-east-1"
"""Where Lambda@Edge functions live, and under which the table has their prices."""

FIRST_EVENT_KB, FURTHER_EVENT_KB, LARGEST_EVENT_KB = 256, 64, 1024
"""An asynchronous event counts as one request up to 256 KB and one more for each further 64 KB begun, up to 1 MB.

Source: AWS Lambda pricing page, 2026.
"""

_MB_PER_GB = 1024
_MS_PER_S = 1000
_HIGHEST_PRICE, _HIGHEST_USAGE = 1_000_000, 10**18
_TRY_REFRESH = "powertune prices refresh asks AWS"

Number = float | str | Decimal


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of one region and architecture, in `currency`."""

    region: str
    architecture: Architecture
    currency: str
    as_of: str | None
    """Date of the source, as precisely as it is known; None where the user gave the duration price."""
    tiers: Tiers
    per_request: Decimal
    storage_gb_second: Decimal | None
    """Ephemeral storage above 512 MB; None where unknown."""
    basis: Literal["list", "override", "refreshed"] = "list"
    source: str = "none"
    """A key of price_book.sources()."""
    provisioned: ProvisionedPrices | None = None
    snapstart: SnapStartPrices | None = None
    is_edge: bool = False
    """Whether these are the prices of Lambda@Edge."""

    def tier_parts(self, gb_seconds: Decimal) -> list[tuple[Decimal, Decimal]]:
        """Return a month's GB-seconds split by tier: each part and its price, no empty ones.

        Tiers apply to the part of the month's usage that falls into each (AWS Lambda pricing page, 2026).
        """
        parts, begin = [], Decimal(0)
        for limit, price in self.tiers:
            end = gb_seconds if limit is None else min(gb_seconds, limit)
            if end > begin:
                parts.append((end - begin, price))
                begin = end
        return parts

    def per_gb_second(self, gb_seconds_per_month: Decimal | None = None) -> Decimal:
        """Return the average price of a GB-second in a month with that usage; without one, the first tier's."""
        if not gb_seconds_per_month:
            return self.tiers[0][1]
        bill = sum((part * price for part, price in self.tier_parts(gb_seconds_per_month)), Decimal(0))
        return bill / gb_seconds_per_month


@dataclass(frozen=True, slots=True)
class Provisioned:
    """Provisioned concurrency: environments that are kept ready all month, and how busy they are."""

    environments: int
    utilization: Decimal
    """Share of their time in which they run an invocation, above 0, up to 1."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Prices resolved for one function: what each millisecond and each request of it costs."""

    prices: Prices
    per_gb_second: Decimal
    """What a GB-second of duration costs, all told: averaged over tiers and discounted.

    With provisioned concurrency it is that of duration there plus that of the capacity that stood ready for it.
    """
    storage_gb_second: Decimal = Decimal(0)
    billed_storage_mb: int = 0
    cold_start_rate: float = 0.0
    """Share of invocations that are cold and pay for init, 0 to 1."""
    discount: Decimal = Decimal(0)
    """Share taken off duration and provisioned capacity, 0 to 1."""
    requests_per_invocation: int = 1
    """More than one where events are asynchronous and large."""
    provisioned: Provisioned | None = None
    snapstart_versions: int = 0
    """Active versions with a snapshot that is paid for."""
    gb_seconds_per_month: Decimal | None = None
    """The account's; None where the function's own usage decides on tiers."""
    invocations_per_month: Decimal | None = None
    free_tier: bool = False
    """Whether the month's bill has the free tier taken off."""

    def per_ms(self, memory_mb: int) -> Decimal:
        """Return the price of one billed millisecond at a memory size, ephemeral storage included."""
        per_second = (
            self.per_gb_second * memory_mb / _MB_PER_GB + self.storage_gb_second * self.billed_storage_mb / _MB_PER_GB
        )
        return per_second / _MS_PER_S

    def per_invocation(self, memory_mb: int) -> Decimal:
        """Return what an invocation costs however long it takes: requests, and its share of SnapStart's restores."""
        fee = self.prices.per_request * self.requests_per_invocation
        if self.snapstart_versions and self.prices.snapstart is not None:
            restored_gb = Decimal(str(self.cold_start_rate)) * memory_mb / _MB_PER_GB
            fee += restored_gb * self.prices.snapstart.restore_gb
        return fee

    def bill(self, memory_mb: int, billed_duration_ms: float | Decimal) -> Decimal:
        """Return the cost of one invocation: its billed milliseconds and what it costs however long it takes."""
        return self.per_ms(memory_mb) * Decimal(str(billed_duration_ms)) + self.per_invocation(memory_mb)


def billed_duration_ms(duration_ms: float, init_ms: float = 0.0) -> int:
    """Return the milliseconds billed for a run: duration and init rounded up together to 1 ms, at least one.

    1 ms granularity since 2020-12; init billed for all functions since 2025-08-01 (AWS Compute Blog, 2025-04-29).
    """
    # The subtraction keeps binary dust such as 2338.6600000000003 + ... from costing a millisecond.
    return max(1, math.ceil(duration_ms + init_ms - 1e-9))


def requests_of_event(event_kb: int) -> int:
    """Return how many requests an asynchronous event of that size counts as. Raises UsageError."""
    if not 0 <= event_kb <= LARGEST_EVENT_KB:
        raise UsageError(f"an event of {event_kb} KB is none", hint=f"give a size up to {LARGEST_EVENT_KB} KB")
    return 1 + max(0, math.ceil((event_kb - FIRST_EVENT_KB) / FURTHER_EVENT_KB))


def rates_for(
    prices: Prices,
    *,
    gb_seconds_per_month: Number | None = None,
    ephemeral_storage_mb: int = FREE_STORAGE_MB,
    cold_start_rate: float = 0.0,
    discount: Number = 0,
    event_kb: int = 0,
    provisioned: int | None = None,
    utilization: Number | None = None,
    snapstart_versions: int = 0,
    invocations_per_month: Number | None = None,
    free_tier: bool = False,
) -> Rates:
    """Return the rates of a function with that /tmp size and share of cold starts, in an account with that usage.

    `discount`, `cold_start_rate` and `utilization` are shares, 0 to 1. A discount is that of a Compute Savings Plan,
    off duration and provisioned concurrency and nothing else. `event_kb` is the size of asynchronous events;
    `provisioned` environments are busy for `utilization` of a month; `snapstart_versions` is the number of active
    versions with a snapshot. Raises UsageError for figures that make no sense and charges that exclude each other,
    PriceUnknownError where a price that is needed is not known.
    """
    if prices.is_edge:
        _check_edge(
            {
                "--ephemeral-storage": ephemeral_storage_mb > FREE_STORAGE_MB,
                "--provisioned": provisioned is not None or utilization is not None,
                "--snapstart": snapstart_versions,
                "--event-kb": event_kb,
                "--discount": discount,
                "--free-tier": free_tier,
            }
        )
    usage = _usage(gb_seconds_per_month, "GB-seconds")
    _check_share(cold_start_rate, "a cold-start rate")
    off = _decimal(discount)
    if not off.is_finite() or not 0 <= off < 1:
        raise UsageError(f"a discount of {discount} is no share", hint="give a number from 0 to below 1")
    if snapstart_versions < 0:
        raise UsageError(f"{snapstart_versions} versions with a snapshot are none", hint="give 0 or more")
    rates = Rates(
        prices,
        prices.per_gb_second(usage) * (1 - off),
        cold_start_rate=cold_start_rate,
        discount=off,
        requests_per_invocation=requests_of_event(event_kb),
        snapstart_versions=snapstart_versions,
        gb_seconds_per_month=usage,
        invocations_per_month=_usage(invocations_per_month, "invocations"),
        free_tier=free_tier,
    )
    rates = _with_storage(rates, ephemeral_storage_mb)
    if provisioned is not None or utilization is not None:
        rates = _with_provisioned(rates, provisioned, utilization)
    if snapstart_versions and prices.snapstart is None:
        raise PriceUnknownError(
            f"the price of SnapStart in {prices.region} is not known", hint=f"leave out --snapstart; {_TRY_REFRESH}"
        )
    return rates


def _decimal(value: Number) -> Decimal:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return Decimal("NaN")


def _usage(value: Number | None, what: str) -> Decimal | None:
    """Return a month's usage; None for none. Raises UsageError."""
    amount = _decimal(value or 0)
    if not amount.is_finite() or not 0 <= amount <= _HIGHEST_USAGE:
        raise UsageError(f"{value} {what} a month are no usage", hint="give a number from 0 on")
    return amount or None


def _check_share(value: float, what: str) -> None:
    if not 0 <= value <= 1:
        raise UsageError(f"{what} of {value} is no share", hint="give a number from 0 to 1")


def _with_storage(rates: Rates, ephemeral_storage_mb: int) -> Rates:
    extra_mb = max(0, ephemeral_storage_mb - FREE_STORAGE_MB)
    price = rates.prices.storage_gb_second
    if not extra_mb:
        return rates
    if price is None:
        raise PriceUnknownError(
            f"the price of /tmp above {FREE_STORAGE_MB} MB in {rates.prices.region} is not known",
            hint=f"leave out --ephemeral-storage, or choose a --region with a known price; {_TRY_REFRESH}",
        )
    return replace(rates, storage_gb_second=price, billed_storage_mb=extra_mb)


def _with_provisioned(rates: Rates, environments: int | None, utilization: Number | None) -> Rates:
    """Return the rates in environments that are kept ready, which also pay for the time in which they are not busy."""
    if environments is None or utilization is None:
        raise UsageError(
            "what provisioned concurrency costs depends on how many environments there are and how busy they are",
            hint="give both --provisioned N and --utilization PCT",
        )
    busy = _decimal(utilization)
    if environments < 1:
        raise UsageError(f"{environments} provisioned environments are none", hint="give 1 or more")
    if not busy.is_finite() or not 0 < busy <= 1:
        raise UsageError(f"a utilization of {utilization} is no share", hint="give more than 0 and up to 1, all of it")
    excluded = {"--cold-start-rate": rates.cold_start_rate, "--snapstart": rates.snapstart_versions}
    for option, is_given in (excluded | {"--free-tier": rates.free_tier}).items():
        if is_given:
            # Cold starts are what it is there to avoid; the rest after the AWS Lambda pricing page and guide, 2026.
            raise UsageError(
                f"{option} does not apply to provisioned concurrency", hint=f"leave out {option} or --provisioned"
            )
    prices = rates.prices.provisioned
    if prices is None:
        raise PriceUnknownError(
            f"the price of provisioned concurrency for {rates.prices.architecture} functions in"
            f" {rates.prices.region} is not known",
            hint=f"leave out --provisioned; {_TRY_REFRESH}",
        )
    per_gb_second = (prices.duration_gb_second + prices.capacity_gb_second / busy) * (1 - rates.discount)
    return replace(rates, per_gb_second=per_gb_second, provisioned=Provisioned(environments, busy))


def _check_edge(absent: Mapping[str, object]) -> None:
    """Raise UsageError for what Lambda@Edge does not have, or is not known to have, if it was asked for.

    Source: restrictions on Lambda@Edge in the CloudFront developer guide, 2026; its example on the pricing page, 2026,
    takes no free tier off.
    """
    for option, is_given in absent.items():
        if is_given:
            raise UsageError(f"{option} does not apply to Lambda@Edge", hint=f"leave out {option} or --edge")


def find_prices(
    region: str,
    architecture: str,
    *,
    per_gb_second: Number | None = None,
    per_request: Number | None = None,
    refreshed: Mapping[str, RegionPrices] = {},
    edge: bool = False,
) -> Prices:
    """Return the prices of a region and architecture; a given `per_gb_second` or `per_request` takes the list's place.

    `refreshed` has rows that are newer than the table that ships; `edge` asks for Lambda@Edge. Raises
    UnknownPlaceError for a region or architecture that does not exist, PriceUnknownError for a price that is not known.
    """
    known_architecture = next((name for name in ARCHITECTURES if name == architecture), None)
    if known_architecture is None:
        raise UnknownPlaceError(
            f"{printable(architecture, limit=40)!r} is no architecture of Lambda",
            hint=f"choose {' or '.join(ARCHITECTURES)}",
            is_region=False,
        )
    if per_gb_second is not None and per_request is not None and region not in regions(refreshed):
        row = RegionPrices(
            region, "USD", None, {}, tiers_derived=False, per_request=None, storage_gb_second=None
        )  # newer than this table, priced by the user
    else:
        row = region_prices(region, refreshed)
    if edge:
        row = _edge_row(row, known_architecture)
    tiers = row.tiers.get(known_architecture, ())
    if per_gb_second is not None:
        tiers = [(None, _given(per_gb_second, "--price-gb-second"))]
    if not tiers:
        what = "Lambda@Edge" if edge else f"{architecture} functions"
        raise PriceUnknownError(
            f"the price of {what} in {row.region} is not known",
            hint=f"give it with --price-gb-second USD; powertune prices lists what is known, {_TRY_REFRESH}",
        )
    request = row.per_request if per_request is None else _given(per_request, "--price-request")
    if request is None:
        raise PriceUnknownError(
            f"the price of a request in {row.region} is not known",
            hint=f"give it with --price-request USD; {_TRY_REFRESH}",
        )
    return Prices(
        region=region,
        architecture=known_architecture,
        currency=row.currency,
        as_of=None if per_gb_second is not None else row.as_of,
        tiers=tiers,
        per_request=request,
        storage_gb_second=row.storage_gb_second,
        basis=row.basis if per_gb_second is None and per_request is None else "override",
        source=row.source,
        provisioned=row.provisioned.get(known_architecture),
        snapstart=row.snapstart,
        is_edge=edge,
    )


def _edge_row(row: RegionPrices, architecture: Architecture) -> RegionPrices:
    """Return a region's row with the prices of Lambda@Edge in place of the usual ones. Raises UsageError."""
    if architecture != "x86_64":
        raise UsageError(f"Lambda@Edge does not run on {architecture}", hint="leave out --arch or --edge")
    found = row.edge
    tiers: Mapping[Architecture, Sequence[tuple[None, Decimal]]] = (
        {architecture: [(None, found.per_gb_second)]} if found else {}
    )
    return replace(
        row,
        as_of=found.as_of if found else None,
        tiers=tiers,
        per_request=found.per_request if found else None,
        storage_gb_second=None,
        provisioned={},
        snapstart=None,
    )


def _given(price: Number, option: str) -> Decimal:
    value = _decimal(price)
    if not value.is_finite() or not 0 <= value <= _HIGHEST_PRICE:
        raise UsageError(
            f"{option} {printable(price, limit=40)} is not a price", hint=f"give a number from 0 to {_HIGHEST_PRICE}"
        )
    return value
