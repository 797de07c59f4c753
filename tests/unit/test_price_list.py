"""AWS's own price list: what is taken from it, and what makes it unbelievable."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from price_lists import ARM_TIERS, X86_TIERS, ListedProduct, PriceList, flat

from powertune.aws_lambda.price_book import RegionPrices, region_prices
from powertune.aws_lambda.price_list import (
    PriceListError,
    price_names,
    read_api_products,
    read_offer_file,
    region_row,
)
from powertune.errors import ExitCode

TODAY = date(2026, 11, 23)


def row_of(price_list: PriceList, known: RegionPrices | None = None, today: date = TODAY) -> RegionPrices:
    known = known or region_prices(price_list.region)
    return region_row(read_offer_file(price_list.offer_file()), price_list.region, known=known, today=today)


def decimals(bands: Any) -> list[tuple[Decimal | None, Decimal]]:
    return [(None if end == "Inf" else Decimal(end), Decimal(price)) for _, end, price in bands]


# What is read.


def test_every_price_of_the_list_is_found_under_its_group() -> None:
    row = row_of(PriceList())
    assert row.tiers == {"x86_64": decimals(X86_TIERS), "arm64": decimals(ARM_TIERS)}
    assert not row.tiers_derived
    assert row.per_request == Decimal("0.0000002")
    assert row.storage_gb_second == Decimal("0.0000000309")
    x86, arm = row.provisioned["x86_64"], row.provisioned["arm64"]
    assert (x86.capacity_gb_second, x86.duration_gb_second) == (Decimal("0.0000041667"), Decimal("0.0000097222"))
    assert (arm.capacity_gb_second, arm.duration_gb_second) == (Decimal("0.0000033334"), Decimal("0.0000077778"))
    assert row.snapstart is not None
    assert (row.snapstart.cache_gb_second, row.snapstart.restore_gb) == (
        Decimal("0.0000015046"),
        Decimal("0.0001397998"),
    )
    assert row.edge is not None
    assert (row.edge.per_gb_second, row.edge.per_request) == (Decimal("0.00005001"), Decimal("0.0000006"))


def test_the_list_of_today_says_what_the_shipped_table_says() -> None:
    assert price_names(row_of(PriceList())) == price_names(region_prices("us-east-1"))


def test_a_row_has_the_day_of_publication_and_says_that_it_was_refreshed() -> None:
    row = row_of(PriceList(published="2026-10-30T18:00:00Z"))
    assert (row.as_of, row.basis, row.source, row.currency) == ("2026-10-30", "refreshed", "refreshed", "USD")
    assert row.edge is not None
    assert row.edge.as_of == "2026-10-30"


def test_the_api_and_the_offer_file_say_the_same() -> None:
    price_list = PriceList()
    known = region_prices("us-east-1")
    from_api = region_row(read_api_products(price_list.api_items()), "us-east-1", known=known, today=TODAY)
    assert from_api == row_of(price_list)


def test_usage_types_carry_a_prefix_outside_us_east_1() -> None:
    price_list = PriceList(region="eu-west-1", prefix="EU-")
    price_list.set_bands("AWS-Lambda-Storage-Duration", flat("0.000000034"))
    price_list.set_bands("AWS-Lambda-Storage-Duration-ARM", flat("0.000000034"))
    row = row_of(price_list)
    assert row.storage_gb_second == Decimal("0.000000034")
    assert row.per_request == Decimal("0.0000002")


def test_the_free_tier_is_no_price() -> None:
    price_list = PriceList()
    price_list.products = [*price_list.products[-4:-2], *price_list.products]  # first in the list, as it may be
    assert row_of(price_list).per_request == Decimal("0.0000002")


def test_china_is_in_yuan() -> None:
    price_list = PriceList(region="cn-north-1", currency="CNY", prefix="CNN1-")
    price_list.products = [
        ListedProduct("AWS-Lambda-Duration", "Lambda-GB-Second", flat("0.0001134770")),
        ListedProduct("AWS-Lambda-Requests", "Request", flat("0.0000013600"), "Requests"),
    ]
    row = row_of(price_list)
    assert (row.currency, row.per_request) == ("CNY", Decimal("0.00000136"))
    assert row.tiers == {"x86_64": [(None, Decimal("0.000113477"))], "arm64": []}


@pytest.mark.parametrize("currency", ["EUR", "USD"])
def test_the_sovereign_cloud_may_be_in_euro_or_dollars_but_in_one_of_them(currency: str) -> None:
    price_list = PriceList(region="eusc-de-east-1", currency=currency)
    assert row_of(price_list).currency == currency
    document = price_list.offer_file()
    other = {"EUR": "USD", "USD": "EUR"}[currency]
    last = list(document["terms"]["OnDemand"].values())[3]
    for dimension in next(iter(last.values()))["priceDimensions"].values():
        dimension["pricePerUnit"] = {other: next(iter(dimension["pricePerUnit"].values()))}
    with pytest.raises(PriceListError, match=f"prices are in {other}, not in {currency}"):
        region_row(read_offer_file(document), "eusc-de-east-1", known=None, today=TODAY)


def test_a_region_that_is_newer_than_the_table_is_read() -> None:
    price_list = PriceList(region="xx-new-1")
    row = region_row(read_offer_file(price_list.offer_file()), "xx-new-1", known=None, today=TODAY)
    assert row.region == "xx-new-1"
    assert row.tiers["x86_64"] == decimals(X86_TIERS)


def test_snapstart_that_is_not_found_keeps_its_own_date() -> None:
    price_list = PriceList()
    price_list.leave_out("AWS-Lambda-SnapStart")
    row = row_of(price_list)
    assert row.snapstart == region_prices("us-east-1").snapstart
    assert row.snapstart is not None
    assert row.snapstart.as_of == "2026-09-19"


def test_snapstart_at_two_prices_is_not_taken() -> None:
    price_list = PriceList()
    price_list.products.append(
        ListedProduct("AWS-Lambda-SnapStart-ARM", "Lambda-SnapStart-Cached-GB-S-ARM", flat("0.0000012"), "GB-Seconds")
    )
    assert row_of(price_list).snapstart == region_prices("us-east-1").snapstart


def test_of_terms_the_latest_that_has_begun_counts() -> None:
    document = PriceList().offer_file()
    terms = document["terms"]["OnDemand"]["SKU0000000000002"]  # requests
    (usual,) = terms.values()
    old, future = json.loads(json.dumps(usual)), json.loads(json.dumps(usual))
    old["effectiveDate"], future["effectiveDate"] = "2024-01-01T00:00:00Z", "2027-01-01T00:00:00Z"
    for term, price in ((old, "0.0000003"), (future, "0.0000001")):
        next(iter(term["priceDimensions"].values()))["pricePerUnit"] = {"USD": price}
    terms |= {"old": old, "future": future}
    row = region_row(read_offer_file(document), "us-east-1", known=None, today=TODAY)
    assert row.per_request == Decimal("0.0000002")
    del terms[next(iter(terms))], terms["old"]
    with pytest.raises(PriceListError, match="no price for AWS-Lambda-Requests that is in force"):
        region_row(read_offer_file(document), "us-east-1", known=None, today=TODAY)


def test_where_a_group_has_more_products_than_usual_the_usage_type_decides() -> None:
    price_list = PriceList()
    price_list.products.insert(
        0, ListedProduct("AWS-Lambda-Requests", "Managed-Request", flat("0.0000007"), "Requests")
    )
    assert row_of(price_list).per_request == Decimal("0.0000002")


# What is not believed.


def refused(price_list: PriceList, match: str, known: RegionPrices | None = None) -> None:
    with pytest.raises(PriceListError, match=match) as caught:
        row_of(price_list, known)
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert "stay in force" in caught.value.hint
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(
    "group",
    [
        "AWS-Lambda-Duration",
        "AWS-Lambda-Duration-ARM",
        "AWS-Lambda-Provisioned-Concurrency",
        "AWS-Lambda-Duration-Provisioned-ARM",
    ],
)
def test_a_list_without_a_price_that_was_known_is_not_believed(group: str) -> None:
    price_list = PriceList()
    price_list.leave_out(group)
    refused(price_list, "no price of")


@pytest.mark.parametrize("stem", ["AWS-Lambda-Requests", "AWS-Lambda-Storage-Duration"])
def test_a_list_without_a_price_of_both_architectures_is_not_believed(stem: str) -> None:
    price_list = PriceList()
    price_list.leave_out(stem, f"{stem}-ARM")
    refused(price_list, "no price of")


def test_a_region_of_which_nothing_was_known_needs_durations_and_requests_and_no_more() -> None:
    price_list = PriceList(region="mx-central-1", prefix="MXC1-")
    price_list.products = price_list.products[:1] + price_list.products[2:3]
    row = row_of(price_list)
    assert row.storage_gb_second is None
    assert not row.provisioned
    price_list.leave_out("AWS-Lambda-Requests")
    refused(price_list, "no price of a request")


def test_a_list_in_another_currency_is_not_believed() -> None:
    refused(PriceList(currency="CNY"), "prices are in CNY, not in USD")
    refused(PriceList(region="cn-north-1"), "prices are in USD, not in CNY")


@pytest.mark.parametrize(
    ("price", "match"),
    [
        ("0.0000000000", "for nothing"),
        ("-0.0000002", "no amount"),
        ("NaN", "no amount"),
        ("Infinity", "no amount"),
        ("0.2", "far from 0.0000002 before"),
        ("0.00000006", "far from"),
        ("", "no amount"),
        ("free", "no amount"),
        ("\x1b[31m", "no amount"),
        ("0." + "0" * 50 + "2", "no amount"),
    ],
)
def test_a_price_that_cannot_be_true_is_not_believed(price: str, match: str) -> None:
    price_list = PriceList()
    for group in ("AWS-Lambda-Requests", "AWS-Lambda-Requests-ARM"):
        price_list.set_bands(group, flat(price))
    refused(price_list, match)


@pytest.mark.parametrize("price", ["0.0000001", "1e-7", "0.0000006"])
def test_a_price_that_has_halved_or_trebled_is_believed(price: str) -> None:
    price_list = PriceList()
    for group in ("AWS-Lambda-Requests", "AWS-Lambda-Requests-ARM"):
        price_list.set_bands(group, flat(price))
    assert row_of(price_list).per_request == Decimal(price)


@pytest.mark.parametrize("price", [2e-7, None, ["0.0000002"], {}, True])
def test_a_price_that_is_no_text_is_not_believed(price: object) -> None:
    document = PriceList().offer_file()
    (term,) = document["terms"]["OnDemand"]["SKU0000000000002"].values()
    next(iter(term["priceDimensions"].values()))["pricePerUnit"] = {"USD": price}
    with pytest.raises(PriceListError, match="no amount"):
        region_row(read_offer_file(document), "us-east-1", known=None, today=TODAY)


def test_an_unknown_price_is_held_against_that_of_us_east_1() -> None:
    price_list = PriceList(region="mx-central-1")
    row_of(price_list)
    price_list.set_bands("AWS-Lambda-Duration", flat("0.001"))
    refused(price_list, "far from 0.0000166667 in us-east-1")


@pytest.mark.parametrize(
    ("bands", "match"),
    [
        (X86_TIERS[:2], "gap"),  # cut off
        (X86_TIERS[1:], "gap"),
        ([X86_TIERS[0], X86_TIERS[2]], "gap"),
        ([*X86_TIERS, ("20000000000", "Inf", "0.00001")], "gap"),
        ([("0", "6000000000", "0.00001"), ("5000000000", "Inf", "0.000009")], "gap"),
        ([("0", "6000000000", "0.000015"), ("6000000000", "Inf", "0.0000166667")], "dearer"),
        ([("0", "many", "0.0000166667")], "no amount"),
        ([], "no price for"),
        ([("0", "Inf", "0.0000166667")], "tier 2"),  # there were three
    ],
)
def test_tiers_that_do_not_fit_together_are_not_believed(bands: Any, match: str) -> None:
    price_list = PriceList()
    price_list.set_bands("AWS-Lambda-Duration", bands)
    refused(price_list, match)


def test_fewer_tiers_are_believed_where_those_known_were_derived() -> None:
    assert region_prices("af-south-1").tiers_derived
    price_list = PriceList(region="af-south-1", prefix="AFS1-")
    price_list.set_bands("AWS-Lambda-Duration", flat("0.0000221000"))
    row = row_of(price_list)
    assert row.tiers["x86_64"] == [(None, Decimal("0.0000221"))]


def test_tiers_where_there_are_none_are_not_believed() -> None:
    price_list = PriceList()
    price_list.set_bands("AWS-Lambda-Requests", [("0", "1000000", "0.0000002"), ("1000000", "Inf", "0.0000001")])
    refused(price_list, "tiers for AWS-Lambda-Requests")


def test_two_prices_for_one_thing_are_not_believed() -> None:
    price_list = PriceList()
    price_list.products.append(ListedProduct("AWS-Lambda-Requests", "Request", flat("0.0000003"), "Requests"))
    refused(price_list, "two prices for AWS-Lambda-Requests")


def test_requests_at_a_price_for_each_architecture_have_no_place_and_are_refused() -> None:
    price_list = PriceList()
    price_list.set_bands("AWS-Lambda-Requests-ARM", flat("0.00000018"))
    refused(price_list, "a request has a price for each architecture")


@pytest.mark.parametrize(
    ("published", "match"),
    [
        ("2026-09-18T23:59:59Z", "older than the prices in force, of 2026-09-19"),
        ("2019-01-01T00:00:00Z", "cannot be now"),
        ("2026-11-26T00:00:00Z", "cannot be now: it is 2026-11-23"),
        ("2026-13-01T00:00:00Z", "no day"),
        ("yesterday", "does not say when"),
        ("", "does not say when"),
    ],
)
def test_a_date_that_cannot_be_is_not_believed(published: str, match: str) -> None:
    price_list = PriceList()
    document = price_list.offer_file() | {"publicationDate": published}
    with pytest.raises(PriceListError, match=match):
        region_row(read_offer_file(document), "us-east-1", known=region_prices("us-east-1"), today=TODAY)


def test_a_list_of_the_same_day_and_one_of_tomorrow_by_this_clock_are_believed() -> None:
    row_of(PriceList(published="2026-09-19T00:00:00Z"))
    row_of(PriceList(published="2026-11-24T12:00:00Z"))


def test_the_list_of_another_service_or_another_region_is_refused() -> None:
    with pytest.raises(PriceListError, match="the price list of AmazonEC2"):
        read_offer_file(PriceList().offer_file() | {"offerCode": "AmazonEC2"})
    with pytest.raises(PriceListError, match="no prices of eu-west-1"):
        region_row(read_offer_file(PriceList().offer_file()), "eu-west-1", known=None, today=TODAY)


@pytest.mark.parametrize(
    "document",
    [None, [], {}, "", 3, {"products": {}, "terms": {}}, {"products": [1], "terms": {"OnDemand": "x"}}],
    ids=str,
)
def test_what_is_no_price_list_is_refused(document: object) -> None:
    with pytest.raises(PriceListError):
        read_offer_file(document)


@pytest.mark.parametrize(
    "items", [[], ["{"], ["[]"], ["3"], ['{"product": 3}'], ["[" * 100_000]], ids=lambda item: str(item)[:20]
)
def test_what_is_no_answer_of_the_api_is_refused(items: list[str]) -> None:
    with pytest.raises(PriceListError):
        read_api_products(items)


def test_what_has_no_place_in_a_list_is_passed_over() -> None:
    document = PriceList().offer_file()
    document["products"] |= {"A": 3, "B": {"attributes": []}, "C": {"attributes": {"regionCode": 3, "group": None}}}
    document["terms"]["OnDemand"] |= {"A": [], "B": {"x": 1}}
    assert region_row(read_offer_file(document), "us-east-1", known=None, today=TODAY).per_request == Decimal(
        "0.0000002"
    )
