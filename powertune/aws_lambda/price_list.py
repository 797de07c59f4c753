"""AWS's own price list, from its files or its API: read, and doubted before it takes the place of what is known. Pure.

The layout is that of the AWS Price List for the offer AWSLambda (Price List API, botocore's model of 2026-11, and offer
files, 2026-09). Prices are told by their group: usage types carry a prefix that differs by region.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any, NoReturn

from powertune.aws_lambda.price_book import (
    ARCHITECTURES,
    Architecture,
    EdgePrices,
    ProvisionedPrices,
    RegionPrices,
    SnapStartPrices,
    Tiers,
    is_older,
    shipped_prices,
)
from powertune.errors import BadInputError
from powertune.text import printable

_OFFER = "AWSLambda"
_DURATION, _REQUESTS, _STORAGE = "AWS-Lambda-Duration", "AWS-Lambda-Requests", "AWS-Lambda-Storage-Duration"
_CAPACITY, _PROVISIONED_DURATION = "AWS-Lambda-Provisioned-Concurrency", "AWS-Lambda-Duration-Provisioned"
_EDGE_DURATION, _EDGE_REQUESTS = "AWS-Lambda-Edge-Duration", "AWS-Lambda-Edge-Requests"
# Should a group ever hold more than it does now, the usage type says which product is meant.
_USAGE_TYPES = {
    _DURATION: "Lambda-GB-Second",
    _REQUESTS: "Request",
    _STORAGE: "Lambda-Storage-GB-Second",
    _CAPACITY: "Lambda-Provisioned-Concurrency",
    _PROVISIONED_DURATION: "Lambda-Provisioned-GB-Second",
    _EDGE_DURATION: "Lambda-Edge-GB-Second",
    _EDGE_REQUESTS: "Lambda-Edge-Request",
}
# The groups of SnapStart are not known; its usage types are, from bills (third party, 2026).
_SNAPSTART_CACHE, _SNAPSTART_RESTORE = "Lambda-SnapStart-Cached-GB-S", "Lambda-SnapStart-Restored-GB"

_FIRST_DATE = date(2020, 12, 1)
"""When the millisecond became the unit: nothing older is of use."""
_CLOCKS = timedelta(days=2)
"""How far ahead of this machine's clock a list may be published."""
_FACTOR, _FACTOR_UNKNOWN = 3, 10
"""How many times a price may differ from the one known before; where none was, from that of us-east-1."""
_CNY_PER_USD = 7
_REGION_CODE = re.compile(r"[a-z]{2,4}(?:-[a-z0-9]+)+-[0-9]")
_USAGE_PREFIX = re.compile(r"[A-Z0-9]+-")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?=T|\Z)")


class PriceListError(BadInputError):
    """The price list cannot be read, or says what cannot be true."""

    def __init__(self, message: str) -> None:
        super().__init__(message, hint="the prices known before stay in force; powertune prices shows them")


@dataclass(frozen=True, slots=True)
class Offer:
    """A price list: products with their terms, as they were found."""

    published: str
    """YYYY-MM-DD."""
    products: tuple["Product", ...]

    def regions(self) -> tuple[str, ...]:
        """Return the regions it has prices for, sorted."""
        return tuple(sorted({product.region for product in self.products}))


@dataclass(frozen=True, slots=True)
class Product:
    """One product of a list: which it is, and its on-demand terms, not looked into yet."""

    region: str
    group: str
    usage_type: str
    terms: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Band:
    """A price and the monthly quantity from which up to which it holds; None for no end."""

    begin: Decimal
    end: Decimal | None
    price: Decimal


def read_offer_file(document: object) -> Offer:
    """Return the price list in the JSON value of an offer file, `index.json`. Raises PriceListError."""
    top = _mapping(document)
    products, terms = _mapping(top.get("products")), _mapping(_mapping(top.get("terms")).get("OnDemand"))
    if not products or not terms:
        raise PriceListError("there are no products with prices in the price list")
    _check_offer(top.get("offerCode"))
    found = (_product(_mapping(product), _mapping(terms.get(sku))) for sku, product in products.items())
    return Offer(_published(top.get("publicationDate")), tuple(product for product in found if product))


def read_api_products(items: Iterable[str]) -> Offer:
    """Return the price list in what GetProducts answers: JSON texts, one a product. Raises PriceListError."""
    products, dates = [], set()
    for item in items:
        try:
            document = _mapping(json.loads(item))
        except (ValueError, TypeError, RecursionError) as error:
            raise PriceListError("the price list API answered with what is no JSON") from error
        _check_offer(document.get("serviceCode"))
        product = _product(_mapping(document.get("product")), _mapping(_mapping(document.get("terms")).get("OnDemand")))
        if product:
            products.append(product)
            dates.add(_published(document.get("publicationDate")))
    if not products:
        raise PriceListError("the price list API knows no products there")
    return Offer(max(dates), tuple(products))


def region_row(offer: Offer, region: str, *, known: RegionPrices | None, today: date) -> RegionPrices:
    """Return a region's prices from the list, doubted first; `known` is what was in force, None if nothing.

    Raises PriceListError, which says what is wrong: prices that were known before are missing, in another currency, no
    amounts, or far from what they were; tiers that leave gaps or get dearer; a date that is older than before, or lies
    in the future.
    """
    _check_date(offer.published, known, today)
    found = _Found(offer, region)
    tiers = {name: found.tiers(_of(_DURATION, name)) for name in ARCHITECTURES}
    snapstart, edge = found.snapstart(), found.edge()
    row = RegionPrices(
        region=region,
        currency=found.currency,
        as_of=offer.published,
        tiers=tiers,
        tiers_derived=False,
        per_request=found.same_price(_REQUESTS, "a request"),
        storage_gb_second=found.same_price(_STORAGE, "ephemeral storage"),
        provisioned={name: prices for name in ARCHITECTURES if (prices := found.provisioned(name)) is not None},
        # What is not told by a group and was not found keeps its own date.
        snapstart=snapstart or (known.snapstart if known else None),
        edge=edge or (known.edge if known else None),
        source="refreshed",
        basis="refreshed",
    )
    if not row.tiers["x86_64"] or row.per_request is None:
        raise PriceListError(f"the price list has no price of {'a GB-second' if row.per_request else 'a request'}")
    _check_against(row, known)
    return row


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _check_offer(code: object) -> None:
    if code not in (None, _OFFER):
        raise PriceListError(f"this is the price list of {printable(code, limit=40)}, not of {_OFFER}")


def _published(value: object) -> str:
    matched = _DATE.match(value) if isinstance(value, str) else None
    if matched is None:
        raise PriceListError("the price list does not say when it was published")
    return matched[0]


def _product(product: Mapping[str, Any], terms: Mapping[str, Any]) -> Product | None:
    """Return a product of a region; None for others, such as the free tier, whose place is any."""
    attributes = _mapping(product.get("attributes"))
    region, group, usage_type = (attributes.get(name) for name in ("regionCode", "group", "usagetype"))
    if not isinstance(region, str) or not _REGION_CODE.fullmatch(region) or attributes.get("location") == "Any":
        return None
    return Product(
        region, group if isinstance(group, str) else "", usage_type if isinstance(usage_type, str) else "", terms
    )


def _of(name: str, architecture: Architecture) -> str:
    return name if architecture == "x86_64" else f"{name}-ARM"


class _Found:
    """The products of one region, and what they say of prices."""

    def __init__(self, offer: Offer, region: str) -> None:
        self._published = offer.published
        self._products = [product for product in offer.products if product.region == region]
        if not self._products:
            raise PriceListError(f"the price list has no prices of {region}")
        self._currencies = _currencies_of(region)

    @property
    def currency(self) -> str:
        """The currency of the prices read so far."""
        return self._currencies[0]

    def tiers(self, group: str) -> Tiers:
        """Return the tiers of a group, none where the list does not have it."""
        bands = self._bands(group)
        return [(band.end, band.price) for band in bands]

    def price(self, group: str) -> Decimal | None:
        """Return the price of a group that has no tiers."""
        bands = self._bands(group)
        if len(bands) > 1:
            raise PriceListError(f"the price list has tiers for {group}, where none were expected")
        return bands[0].price if bands else None

    def same_price(self, group: str, what: str) -> Decimal | None:
        """Return a price that holds for both architectures."""
        prices = {price for name in ARCHITECTURES if (price := self.price(_of(group, name))) is not None}
        if len(prices) > 1:
            raise PriceListError(f"{what} has a price for each architecture now, for which there is no place here")
        return prices.pop() if prices else None

    def provisioned(self, architecture: Architecture) -> ProvisionedPrices | None:
        capacity = self.price(_of(_CAPACITY, architecture))
        duration = self.price(_of(_PROVISIONED_DURATION, architecture))
        return ProvisionedPrices(capacity, duration) if capacity and duration else None

    def edge(self) -> EdgePrices | None:
        duration, request = self.price(_EDGE_DURATION), self.price(_EDGE_REQUESTS)
        return EdgePrices(duration, request, self._published) if duration and request else None

    def snapstart(self) -> SnapStartPrices | None:
        """Return SnapStart's prices; None unless the list has the usage types that are known, at one price each."""
        try:
            cache, restore = (
                self._agreed([product for product in self._products if usage_type in product.usage_type], usage_type)
                for usage_type in (_SNAPSTART_CACHE, _SNAPSTART_RESTORE)
            )
        except PriceListError:
            return None
        if len(cache) != 1 or len(restore) != 1:
            return None
        return SnapStartPrices(cache[0].price, restore[0].price, self._published)

    def _bands(self, group: str) -> list[_Band]:
        products = [product for product in self._products if product.group == group]
        usage_type = _USAGE_TYPES[group.removesuffix("-ARM")] + ("-ARM" if group.endswith("-ARM") else "")
        usual = [product for product in products if _is_usage_type(product.usage_type, usage_type)]
        return self._agreed(usual or products, group)

    def _agreed(self, products: Iterable[Product], what: str) -> list[_Band]:
        """Return the bands that all of these products have."""
        found = [self._bands_of(product, what) for product in products]
        if any(bands != found[0] for bands in found):
            raise PriceListError(f"the price list has two prices for {what}")
        return found[0] if found else []

    def _bands_of(self, product: Product, what: str) -> list[_Band]:
        terms = [_mapping(term) for term in product.terms.values()]
        begun = [term for term in terms if str(term.get("effectiveDate", ""))[:10] <= self._published]
        if not begun:
            raise PriceListError(f"the price list has no price for {what} that is in force")
        term = max(begun, key=lambda term: str(term.get("effectiveDate", "")))
        dimensions = [_mapping(dimension) for dimension in _mapping(term.get("priceDimensions")).values()]
        bands = sorted((self._band(dimension, what) for dimension in dimensions), key=lambda band: band.begin)
        _check_bands(bands, what)
        return bands

    def _band(self, dimension: Mapping[str, Any], what: str) -> _Band:
        prices = _mapping(dimension.get("pricePerUnit"))
        self._currencies = tuple(code for code in self._currencies if set(prices) == {code}) or self._unexpected(prices)
        end = dimension.get("endRange")
        return _Band(
            _number(dimension.get("beginRange"), what),
            None if end == "Inf" else _number(end, what),
            _number(prices[self.currency], what),
        )

    def _unexpected(self, prices: Mapping[str, Any]) -> NoReturn:
        found = printable(", ".join(sorted(map(str, prices))) or "no currency", limit=40)
        raise PriceListError(f"prices are in {found}, not in {' or '.join(self._currencies)}")


def _currencies_of(region: str) -> tuple[str, ...]:
    """Return the currencies that prices may be in, by partition. That of the European sovereign cloud is not known."""
    return ("CNY",) if region.startswith("cn-") else ("EUR", "USD") if region.startswith("eusc-") else ("USD",)


def _is_usage_type(found: str, usual: str) -> bool:
    """Tell whether a usage type is the usual one, with a region's prefix such as APN1 or, as in us-east-1, without."""
    prefix = found.removesuffix(usual)
    return found == usual or (prefix != found and _USAGE_PREFIX.fullmatch(prefix) is not None)


def _number(value: object, what: str) -> Decimal:
    try:
        number = Decimal(value) if isinstance(value, str) and len(value) < 40 else Decimal("NaN")  # noqa: PLR2004 - none is
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number < 0:
        raise PriceListError(f"the price list has {printable(value, limit=40)!r} for {what}, which is no amount")
    return number


def _check_bands(bands: list[_Band], what: str) -> None:
    if not bands:
        raise PriceListError(f"the price list has no price for {what}")
    if any(band.price <= 0 for band in bands):
        raise PriceListError(f"the price list has {what} for nothing")
    ends = [band.end for band in bands]
    if [Decimal(0), *ends] != [*(band.begin for band in bands), None]:
        raise PriceListError(f"the tiers of {what} leave a gap or overlap")
    if any(later.price > earlier.price for earlier, later in pairwise(bands)):
        raise PriceListError(f"{what} gets dearer with use")


def _check_date(published: str, known: RegionPrices | None, today: date) -> None:
    try:
        day = date.fromisoformat(published)
    except ValueError as error:
        raise PriceListError(f"the price list was published on {published}, which is no day") from error
    if not _FIRST_DATE <= day <= today + _CLOCKS:
        raise PriceListError(f"the price list was published on {published}, which cannot be now: it is {today}")
    if known is not None and is_older(published, known.as_of):
        raise PriceListError(f"the price list of {published} is older than the prices in force, of {known.as_of}")


def _check_against(row: RegionPrices, known: RegionPrices | None) -> None:
    """Raise PriceListError where prices went missing or are too far from what they were."""
    before = price_names(known) if known else {}
    now = price_names(row)
    for name in before:
        if name not in now and not (known and known.tiers_derived and "tier" in name):
            raise PriceListError(f"the price list has no price of {name}, and there was one before")
    like = shipped_prices("us-east-1")
    elsewhere = price_names(like) if like else {}
    exchange = _CNY_PER_USD if row.currency == "CNY" else 1
    for name, price in now.items():
        reference = before.get(name) or elsewhere.get(name, price) * exchange
        factor = _FACTOR if name in before else _FACTOR_UNKNOWN
        if not reference / factor <= price <= reference * factor:
            whose = "before" if name in before else "in us-east-1"
            raise PriceListError(
                f"the price list has {price:f} {row.currency} for {name}, far from {reference.normalize():f} {whose}"
            )


def price_names(row: RegionPrices) -> dict[str, Decimal]:
    """Return all prices of a region that are known, each under a name that a person understands."""
    found: dict[str, Decimal | None] = {"a request": row.per_request, "a GB-second of /tmp": row.storage_gb_second}
    for architecture in ARCHITECTURES:
        for number, (_, price) in enumerate(row.tiers.get(architecture, ()), 1):
            found[f"a GB-second on {architecture}" + (f", tier {number}" if number > 1 else "")] = price
        prices = row.provisioned.get(architecture)
        if prices is not None:
            found[f"provisioned capacity on {architecture}"] = prices.capacity_gb_second
            found[f"provisioned duration on {architecture}"] = prices.duration_gb_second
    if row.snapstart is not None:
        found["a cached snapshot"] = row.snapstart.cache_gb_second
        found["a restored snapshot"] = row.snapstart.restore_gb
    if row.edge is not None:
        found["a GB-second of Lambda@Edge"] = row.edge.per_gb_second
        found["a request of Lambda@Edge"] = row.edge.per_request
    return {name: price for name, price in found.items() if price is not None}
