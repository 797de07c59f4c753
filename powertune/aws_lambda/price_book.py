"""What is known of Lambda's prices in each region: the table that ships, and rows refreshed over it. Exact decimals."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib import resources
from typing import Any, Literal, get_args

from powertune.errors import UsageError
from powertune.text import nearest, printable

Architecture = Literal["x86_64", "arm64"]
ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)

Tiers = Sequence[tuple[Decimal | None, Decimal]]
"""Monthly GB-seconds up to which a price holds (None for the last tier), and the price of a GB-second."""


@dataclass(frozen=True, slots=True)
class ProvisionedPrices:
    """Provisioned concurrency: a GB-second that is kept ready, and one of duration in such an environment."""

    capacity_gb_second: Decimal
    duration_gb_second: Decimal


@dataclass(frozen=True, slots=True)
class SnapStartPrices:
    """SnapStart: a GB-second of a cached snapshot, and a GB restored. Java managed runtimes pay neither."""

    cache_gb_second: Decimal
    restore_gb: Decimal
    as_of: str


@dataclass(frozen=True, slots=True)
class EdgePrices:
    """Lambda@Edge: on x86_64 only, without tiers."""

    per_gb_second: Decimal
    per_request: Decimal
    as_of: str


@dataclass(frozen=True, slots=True)
class RegionPrices:
    """What is known of a region; None, or no tiers, where no trustworthy price was found."""

    region: str
    currency: str
    as_of: str | None
    """Date of the source, as precisely as it is known."""
    tiers: Mapping[Architecture, Tiers]
    tiers_derived: bool
    """Whether tiers 2 and 3 follow the usual ratio and were not found in a list."""
    per_request: Decimal | None
    storage_gb_second: Decimal | None
    """Ephemeral storage above 512 MB."""
    provisioned: Mapping[Architecture, ProvisionedPrices] = field(default_factory=dict)
    snapstart: SnapStartPrices | None = None
    edge: EdgePrices | None = None
    source: str = "none"
    """A key of sources()."""
    basis: Literal["list", "refreshed"] = "list"


class UnknownPlaceError(UsageError):
    """There is no such region, or no such architecture."""

    def __init__(self, message: str, *, hint: str, is_region: bool) -> None:
        super().__init__(message, hint=hint)
        self.is_region = is_region


def regions(refreshed: Mapping[str, RegionPrices] = {}) -> tuple[str, ...]:
    """Return the names of all regions that are known, with or without a price."""
    return tuple(sorted({*_table()["regions"], *refreshed}))


def region_prices(region: str, refreshed: Mapping[str, RegionPrices] = {}) -> RegionPrices:
    """Return the prices in force in a region: the refreshed row, or the shipped one where that is newer or alone.

    Raises UnknownPlaceError for a region that does not exist.
    """
    shipped = shipped_prices(region)
    newer = refreshed.get(region)
    if newer is not None and (shipped is None or not is_older(newer.as_of, shipped.as_of)):
        return newer
    if shipped is None:
        raise UnknownPlaceError(
            f"there is no AWS region {printable(region, limit=40)!r} in the price table",
            hint=nearest(region, regions(refreshed))
            or "powertune prices lists them; a newer region takes --price-gb-second and --price-request",
            is_region=True,
        )
    return shipped


def shipped_prices(region: str) -> RegionPrices | None:
    """Return what the table that ships says of a region; None for one that it does not know."""
    row = _table()["regions"].get(region)
    return None if row is None else read_row(region, row)


def sources() -> Mapping[str, str]:
    """Return what each source of prices is, by the tag that rows carry."""
    found: Mapping[str, str] = _table()["sources"]
    return found


def is_older(date: str | None, other: str | None) -> bool:
    """Tell whether a date is before another, as far as the less precise of them says: `2024-08` is not `2024-08-31`."""
    if date is None or other is None:
        return date is None and other is not None
    digits = min(len(date), len(other))
    return date[:digits] < other[:digits]


def read_row(region: str, row: Any, *, basis: Literal["list", "refreshed"] = "list") -> RegionPrices:
    """Return a region's prices from the JSON value that stands for them in the table and in the cache.

    Raises ValueError, KeyError or TypeError for a value that is no such row: see row_document.
    """
    snapstart, edge = row["snapstart"], row["edge"]
    return RegionPrices(
        region=region,
        currency=_text(row["currency"]),
        as_of=None if row["as_of"] is None else _text(row["as_of"]),
        tiers={name: _read_tiers(row[name]) for name in ARCHITECTURES},
        tiers_derived=bool(row["tiers_derived"]),
        per_request=_optional_price(row["per_request"]),
        storage_gb_second=_optional_price(row["storage_gb_second"]),
        provisioned={
            name: ProvisionedPrices(*map(_price, row["provisioned"][name]))
            for name in ARCHITECTURES
            if row["provisioned"][name] is not None
        },
        snapstart=snapstart
        and SnapStartPrices(
            _price(snapstart["cache_gb_second"]), _price(snapstart["restore_gb"]), _text(snapstart["as_of"])
        ),
        edge=edge and EdgePrices(_price(edge["per_gb_second"]), _price(edge["per_request"]), _text(edge["as_of"])),
        source=_text(row["source"]),
        basis=basis,
    )


def row_document(row: RegionPrices) -> dict[str, Any]:
    """Return the JSON value that read_row reads: prices as text, so that not a digit is lost."""

    def plain(price: Decimal | None) -> str | None:
        return None if price is None else f"{price:f}"

    provisioned = {name: row.provisioned.get(name) for name in ARCHITECTURES}
    return {
        "currency": row.currency,
        "as_of": row.as_of,
        "source": row.source,
        **{
            name: [[plain(limit), plain(price)] for limit, price in row.tiers.get(name, ())] or None
            for name in ARCHITECTURES
        },
        "tiers_derived": row.tiers_derived,
        "per_request": plain(row.per_request),
        "storage_gb_second": plain(row.storage_gb_second),
        "provisioned": {
            name: found and [plain(found.capacity_gb_second), plain(found.duration_gb_second)]
            for name, found in provisioned.items()
        },
        "snapstart": row.snapstart
        and {
            "cache_gb_second": plain(row.snapstart.cache_gb_second),
            "restore_gb": plain(row.snapstart.restore_gb),
            "as_of": row.snapstart.as_of,
        },
        "edge": row.edge
        and {
            "per_gb_second": plain(row.edge.per_gb_second),
            "per_request": plain(row.edge.per_request),
            "as_of": row.edge.as_of,
        },
    }


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("text is missing")
    return value


def _price(value: object) -> Decimal:
    try:
        price = Decimal(_text(value))
    except InvalidOperation as error:
        raise ValueError("a price is no number") from error
    if not price.is_finite() or price <= 0:
        raise ValueError("a price is not above 0")
    return price


def _optional_price(value: object) -> Decimal | None:
    return None if value is None else _price(value)


def _read_tiers(value: Any) -> Tiers:
    tiers = [(_optional_price(limit), _price(price)) for limit, price in value or ()]
    limits = [limit for limit, _ in tiers]
    known = [limit for limit in limits if limit is not None]
    if tiers and (limits[-1] is not None or len(known) != len(tiers) - 1 or known != sorted(set(known))):
        raise ValueError("tiers do not follow on one another")
    return tiers


@cache
def _table() -> dict[str, Any]:
    table = resources.files("powertune.aws_lambda").joinpath("prices.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(table)
    return document
