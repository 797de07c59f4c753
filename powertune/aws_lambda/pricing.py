"""What Lambda charges: the dated price table, and the bill of an invocation. Exact decimals; GB = 1,024 MB."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib import resources
from typing import Any, Literal, get_args

from powertune.errors import PriceUnknownError, UsageError
from powertune.text import nearest, printable

Architecture = Literal["x86_64", "arm64"]
ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)

FREE_STORAGE_MB = 512
"""Ephemeral storage (/tmp) that costs nothing. Source: AWS Lambda pricing page, 2026."""

_MB_PER_GB = 1024
_MS_PER_S = 1000
_HIGHEST_PRICE = 1_000_000


Tiers = Sequence[tuple[Decimal | None, Decimal]]
"""Monthly GB-seconds up to which a price holds (None for the last tier), and the price of a GB-second."""


@dataclass(frozen=True, slots=True)
class RegionPrices:
    """What the table says of a region; None, or no tiers, where no trustworthy price was found."""

    region: str
    currency: str
    as_of: str | None
    tiers: Mapping[Architecture, Tiers]
    tiers_derived: bool
    """Whether tiers 2 and 3 follow the usual ratio and were not found in a list."""
    per_request: Decimal | None
    storage_gb_second: Decimal | None


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

    def per_gb_second(self, gb_seconds_per_month: Decimal | None = None) -> Decimal:
        """Return the average price of a GB-second in a month with that usage; without one, the first tier's.

        Tiers apply to the part of the month's usage that falls into each (AWS Lambda pricing page, 2026).
        """
        if not gb_seconds_per_month:
            return self.tiers[0][1]
        bill, begin = Decimal(0), Decimal(0)
        for limit, price in self.tiers:
            end = gb_seconds_per_month if limit is None else min(gb_seconds_per_month, limit)
            bill += max(Decimal(0), end - begin) * price
            begin = max(begin, end)
        return bill / gb_seconds_per_month


@dataclass(frozen=True, slots=True)
class Rates:
    """Prices resolved for one function: what each millisecond and each request of it costs."""

    prices: Prices
    per_gb_second: Decimal
    storage_gb_second: Decimal = Decimal(0)
    billed_storage_mb: int = 0
    cold_start_rate: float = 0.0
    """Share of invocations that are cold and pay for init, 0 to 1."""

    def per_ms(self, memory_mb: int) -> Decimal:
        """Return the price of one billed millisecond at a memory size, ephemeral storage included."""
        per_second = (
            self.per_gb_second * memory_mb / _MB_PER_GB + self.storage_gb_second * self.billed_storage_mb / _MB_PER_GB
        )
        return per_second / _MS_PER_S

    def bill(self, memory_mb: int, billed_duration_ms: float) -> Decimal:
        """Return the cost of one invocation: its billed milliseconds and the request fee."""
        return self.per_ms(memory_mb) * Decimal(str(billed_duration_ms)) + self.prices.per_request


def billed_duration_ms(duration_ms: float, init_ms: float = 0.0) -> int:
    """Return the milliseconds billed for a run: duration and init rounded up together to 1 ms, at least one.

    1 ms granularity since 2020-12; init billed for all functions since 2025-08-01 (AWS Compute Blog, 2025-04-29).
    """
    # The subtraction keeps binary dust such as 2338.6600000000003 + ... from costing a millisecond.
    return max(1, math.ceil(duration_ms + init_ms - 1e-9))


def rates_for(
    prices: Prices,
    *,
    gb_seconds_per_month: float | None = None,
    ephemeral_storage_mb: int = FREE_STORAGE_MB,
    cold_start_rate: float = 0.0,
) -> Rates:
    """Return the rates of a function with that /tmp size and share of cold starts, in an account with that usage.

    Raises UsageError for a negative usage or a share outside 0 to 1, PriceUnknownError where storage above 512 MB has
    no known price.
    """
    if not 0 <= (gb_seconds_per_month or 0) < math.inf:
        raise UsageError(f"{gb_seconds_per_month} GB-seconds a month are no usage", hint="give a number from 0 on")
    if not 0 <= cold_start_rate <= 1:
        raise UsageError(f"a cold-start rate of {cold_start_rate} is no share", hint="give a number from 0 to 1")
    usage = Decimal(str(gb_seconds_per_month)) if gb_seconds_per_month else None
    rates = Rates(prices, prices.per_gb_second(usage), cold_start_rate=cold_start_rate)
    extra_mb = max(0, ephemeral_storage_mb - FREE_STORAGE_MB)
    if not extra_mb:
        return rates
    if prices.storage_gb_second is None:
        raise PriceUnknownError(
            f"the price of /tmp above {FREE_STORAGE_MB} MB in {prices.region} is not known",
            hint="leave out --ephemeral-storage, or choose a --region with a known price (powertune prices)",
        )
    return replace(rates, storage_gb_second=prices.storage_gb_second, billed_storage_mb=extra_mb)


def regions() -> tuple[str, ...]:
    """Return the names of all regions that the table knows, with or without a price."""
    return tuple(_table()["regions"])


class UnknownPlaceError(UsageError):
    """There is no such region, or no such architecture."""

    def __init__(self, message: str, *, hint: str, is_region: bool) -> None:
        super().__init__(message, hint=hint)
        self.is_region = is_region


def find_prices(
    region: str,
    architecture: str,
    *,
    per_gb_second: float | str | Decimal | None = None,
    per_request: float | str | Decimal | None = None,
) -> Prices:
    """Return the prices of a region and architecture; a given `per_gb_second` or `per_request` takes the list's place.

    Raises UnknownPlaceError for a region or architecture that does not exist, PriceUnknownError for a price that the
    table does not know.
    """
    known_architecture = next((name for name in ARCHITECTURES if name == architecture), None)
    if known_architecture is None:
        raise UnknownPlaceError(
            f"{printable(architecture, limit=40)!r} is no architecture of Lambda",
            hint=f"choose {' or '.join(ARCHITECTURES)}",
            is_region=False,
        )
    if per_gb_second is not None and per_request is not None and region not in regions():
        row = RegionPrices(
            region, "USD", None, {}, tiers_derived=False, per_request=None, storage_gb_second=None
        )  # newer than this table, priced by the user
    else:
        row = region_prices(region)
    tiers = row.tiers.get(known_architecture, ())
    if per_gb_second is not None:
        tiers = [(None, _given(per_gb_second, "--price-gb-second"))]
    if not tiers:
        raise PriceUnknownError(
            f"the price of {architecture} functions in {region} is not known",
            hint="give it with --price-gb-second USD; powertune prices lists what is known",
        )
    request = row.per_request if per_request is None else _given(per_request, "--price-request")
    if request is None:
        raise PriceUnknownError(
            f"the price of a request in {region} is not known", hint="give it with --price-request USD"
        )
    return Prices(
        region=region,
        architecture=known_architecture,
        currency=row.currency,
        as_of=None if per_gb_second is not None else row.as_of,
        tiers=tiers,
        per_request=request,
        storage_gb_second=row.storage_gb_second,
        basis="list" if per_gb_second is None and per_request is None else "override",
    )


def region_prices(region: str) -> RegionPrices:
    """Return what the table says of a region. Raises UnknownPlaceError for a region that does not exist."""
    row = _table()["regions"].get(region)
    if row is None:
        raise UnknownPlaceError(
            f"there is no AWS region {printable(region, limit=40)!r} in the price table",
            hint=nearest(region, regions())
            or "powertune prices lists them; a newer region takes --price-gb-second and --price-request",
            is_region=True,
        )
    limits: dict[str, list[str]] = _table()["tier_limits_gb_seconds"]
    return RegionPrices(
        region=region,
        currency=row["currency"],
        as_of=row["as_of"],
        tiers={
            name: [
                (Decimal(limit) if limit else None, Decimal(price))
                for limit, price in zip([*limits[name], None], row[name] or [], strict=bool(row[name]))
            ]
            for name in ARCHITECTURES
        },
        tiers_derived=row["tiers_derived"],
        per_request=Decimal(row["per_request"]) if row["per_request"] else None,
        storage_gb_second=Decimal(row["storage_gb_second"]) if row["storage_gb_second"] else None,
    )


def _given(price: float | str | Decimal, option: str) -> Decimal:
    try:
        value = Decimal(str(price))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or not 0 <= value <= _HIGHEST_PRICE:
        raise UsageError(
            f"{option} {printable(price, limit=40)} is not a price", hint=f"give a number from 0 to {_HIGHEST_PRICE}"
        )
    return value


@cache
def _table() -> dict[str, Any]:
    table = resources.files("powertune.aws_lambda").joinpath("prices.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(table)
    return document
