"""Prices and bills against figures worked out by hand; the whole table against its published sources."""

from decimal import Decimal
from typing import NamedTuple

import pytest

from powertune.aws_lambda.price_book import is_older, read_row, row_document, sources
from powertune.aws_lambda.pricing import (
    ARCHITECTURES,
    Architecture,
    Rates,
    UnknownPlaceError,
    billed_duration_ms,
    find_prices,
    rates_for,
    region_prices,
    regions,
)
from powertune.errors import ExitCode, PriceUnknownError, UsageError


class Row(NamedTuple):
    """First-tier prices of a region: GB-seconds on both architectures, a million requests, storage GB-seconds."""

    region: str
    x86: str | None
    arm: str | None
    per_million_requests: str | None
    storage: str | None
    currency: str = "USD"


LIST_X86, LIST_ARM = "0.0000166667", "0.0000133334"

# Read from the AWS calculator's table (2024-08 or later) and, for us-east-1, the price list of 2026-09-19; None where
# no source gives a price.
ROWS = (
    Row("us-east-1", LIST_X86, LIST_ARM, "0.20", "3.09e-8"),
    Row("us-east-2", LIST_X86, LIST_ARM, "0.20", "3.09e-8"),
    Row("us-west-2", LIST_X86, LIST_ARM, "0.20", "3.09e-8"),
    Row("us-west-1", LIST_X86, LIST_ARM, "0.20", "3.70e-8"),
    Row("ca-central-1", LIST_X86, LIST_ARM, "0.20", "3.40e-8"),
    Row("eu-west-1", LIST_X86, LIST_ARM, "0.20", "3.40e-8"),
    Row("ca-west-1", LIST_X86, LIST_ARM, "0.20", "3.40e-8"),
    Row("eu-south-2", LIST_X86, LIST_ARM, "0.20", "3.40e-8"),
    Row("eu-central-1", LIST_X86, LIST_ARM, "0.20", "3.67e-8"),
    Row("eu-west-2", LIST_X86, LIST_ARM, "0.20", "3.58e-8"),
    Row("eu-west-3", LIST_X86, LIST_ARM, "0.20", "3.58e-8"),
    Row("eu-north-1", LIST_X86, LIST_ARM, "0.20", "3.23e-8"),
    Row("ap-south-1", LIST_X86, LIST_ARM, "0.20", "3.52e-8"),
    Row("ap-south-2", LIST_X86, LIST_ARM, "0.20", "3.52e-8"),
    Row("ap-northeast-1", LIST_X86, LIST_ARM, "0.20", "3.70e-8"),
    Row("ap-northeast-3", LIST_X86, LIST_ARM, "0.20", "3.70e-8"),
    Row("ap-northeast-2", LIST_X86, LIST_ARM, "0.20", "3.52e-8"),
    Row("ap-southeast-1", LIST_X86, LIST_ARM, "0.20", "3.70e-8"),
    Row("ap-southeast-2", LIST_X86, LIST_ARM, "0.20", "3.70e-8"),
    Row("ap-southeast-4", LIST_X86, LIST_ARM, "0.20", "3.70e-8"),
    Row("ap-southeast-3", LIST_X86, None, "0.20", None),
    Row("sa-east-1", LIST_X86, LIST_ARM, "0.20", "5.86e-8"),
    Row("ap-southeast-5", "0.0000150000", "0.0000120000", "0.18", "3.33e-8"),
    Row("af-south-1", "0.0000221000", "0.0000176800", "0.27", "4.04e-8"),
    Row("ap-east-1", "0.0000229200", "0.0000183000", "0.28", "4.07e-8"),
    Row("eu-south-1", "0.0000195172", "0.0000156138", "0.23", "3.57e-8"),
    Row("eu-central-2", "0.0000183334", "0.0000146667", "0.22", "4.41e-8"),
    Row("me-south-1", "0.0000206667", "0.0000165334", "0.25", "3.74e-8"),
    Row("me-central-1", "0.0000206667", "0.0000165334", "0.25", None),
    Row("il-central-1", "0.0000175000", None, "0.21", "4.08e-8"),
    Row("us-gov-east-1", LIST_X86, None, None, None),
    Row("us-gov-west-1", LIST_X86, None, None, None),
    Row("ap-east-2", None, None, None, None),
    Row("ap-southeast-6", None, None, None, None),
    Row("ap-southeast-7", None, None, None, None),
    Row("mx-central-1", None, None, None, None),
    Row("eusc-de-east-1", None, None, None, None),
    Row("cn-north-1", "0.000113477", None, "1.36", None, "CNY"),
    Row("cn-northwest-1", "0.000113477", None, "1.36", None, "CNY"),
)
every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.region)


def decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


# The table.


def test_the_table_has_every_known_region_and_no_other() -> None:
    assert sorted(regions()) == sorted(row.region for row in ROWS)
    assert len(regions()) == 39


@every_row
def test_a_region_has_its_published_prices(row: Row) -> None:
    found = region_prices(row.region)
    assert found.currency == row.currency
    assert {name: tiers[0][1] if tiers else None for name, tiers in found.tiers.items()} == {
        "x86_64": decimal(row.x86),
        "arm64": decimal(row.arm),
    }
    assert found.storage_gb_second == decimal(row.storage)
    per_million = decimal(row.per_million_requests)
    assert found.per_request == (None if per_million is None else per_million / 1_000_000)


@every_row
def test_a_price_has_a_date_and_no_price_has_none(row: Row) -> None:
    assert (region_prices(row.region).as_of is None) == (row.x86 is None)


def test_the_price_list_of_us_east_1_is_the_newest_source() -> None:
    assert region_prices("us-east-1").as_of == "2026-09-19"


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        (
            "x86_64",
            [("6e9", "0.0000166667"), ("15e9", "0.000015"), (None, "0.0000133334")],
        ),
        (
            "arm64",
            [("7.5e9", "0.0000133334"), ("18.75e9", "0.0000120001"), (None, "0.0000106667")],
        ),
    ],
)
def test_us_east_1_has_the_three_published_tiers(
    architecture: Architecture, expected: list[tuple[str | None, str]]
) -> None:
    tiers = region_prices("us-east-1").tiers[architecture]
    assert list(tiers) == [(decimal(limit), Decimal(price)) for limit, price in expected]


@every_row
def test_later_tiers_are_nine_and_eight_tenths_of_the_first(row: Row) -> None:
    for tiers in region_prices(row.region).tiers.values():
        prices = [price for _, price in tiers]
        assert len(prices) in {0, 3}
        for price, share in zip(prices[1:], (Decimal("0.9"), Decimal("0.8")), strict=False):
            assert abs(price / prices[0] / share - 1) < Decimal("0.0001")


# Capacity and duration in provisioned environments on x86_64, from the AWS calculator's table (2024-08 or later).
PROVISIONED = {
    "us-east-1": ("4.1667e-6", "9.7222e-6"),
    "us-east-2": ("4.1667e-6", "9.7222e-6"),
    "us-west-2": ("4.1667e-6", "9.7222e-6"),
    "us-west-1": ("4.9041e-6", "1.14430e-5"),
    "ca-central-1": ("4.6460e-6", "1.08407e-5"),
    "eu-west-1": ("4.6460e-6", "1.08407e-5"),
    "eu-central-1": ("5.0147e-6", "1.17011e-5"),
    "eu-west-2": ("4.8304e-6", "1.12709e-5"),
    "eu-west-3": ("4.8673e-6", "1.13569e-5"),
    "eu-north-1": ("4.4248e-6", "1.03245e-5"),
    "ap-south-1": ("4.4985e-6", "1.04966e-5"),
    "ap-northeast-1": ("5.3835e-6", "1.25615e-5"),
    "ap-northeast-3": ("5.3835e-6", "1.25615e-5"),
    "ap-northeast-2": ("5.1254e-6", "1.19592e-5"),
    "ap-southeast-1": ("5.1991e-6", "1.21313e-5"),
    "ap-southeast-2": ("5.2360e-6", "1.22173e-5"),
    "ap-southeast-4": ("5.2360e-6", "1.22173e-5"),
    "sa-east-1": ("6.6372e-6", "1.54867e-5"),
    "ap-southeast-5": ("4.6791e-6", "1.09181e-5"),
    "af-south-1": ("5.5300e-6", "1.29000e-5"),
    "ap-east-1": ("5.7153e-6", "1.33358e-5"),
    "eu-south-1": ("4.8783e-6", "1.13827e-5"),
    "eu-central-2": ("5.5162e-6", "1.28712e-5"),
    "me-south-1": ("5.1108e-6", "1.19251e-5"),
}


@every_row
def test_a_region_has_its_published_prices_of_provisioned_concurrency(row: Row) -> None:
    found = region_prices(row.region).provisioned
    known = {name: (str(prices.capacity_gb_second), str(prices.duration_gb_second)) for name, prices in found.items()}
    expected = {"x86_64": PROVISIONED[row.region]} if row.region in PROVISIONED else {}
    if row.region == "us-east-1":
        expected["arm64"] = ("3.3334e-6", "7.7778e-6")  # the price list of 2026-09-19
    assert {name: tuple(map(Decimal, prices)) for name, prices in known.items()} == {
        name: tuple(map(Decimal, prices)) for name, prices in expected.items()
    }


@every_row
def test_snapstart_and_edge_have_prices_only_where_some_source_gives_them(row: Row) -> None:
    found = region_prices(row.region)
    snapstart = {
        "us-east-1": ("0.0000015046", "0.0001397998"),
        "ap-northeast-1": ("0.0000015046", "0.0001397998"),
        "ap-northeast-2": ("0.0000018383", "0.0001674588"),
    }.get(row.region)
    assert (found.snapstart and (str(found.snapstart.cache_gb_second), str(found.snapstart.restore_gb))) == snapstart
    edge = ("0.00005001", "6E-7") if row.region == "us-east-1" else None
    assert (found.edge and (str(found.edge.per_gb_second), str(found.edge.per_request))) == edge


@every_row
def test_a_row_names_its_source_and_says_which_tiers_it_derived(row: Row) -> None:
    found = region_prices(row.region)
    assert found.source in sources()
    assert (found.source == "none") == (found.as_of is None)
    assert found.basis == "list"
    assert found.tiers_derived == (row.x86 is not None and row.region != "us-east-1")


@every_row
def test_a_row_is_written_and_read_back_as_it_is(row: Row) -> None:
    found = region_prices(row.region)
    assert read_row(row.region, row_document(found)) == found


@pytest.mark.parametrize(
    ("date", "other", "older"),
    [
        ("2024-08", "2024-09", True),
        ("2024-08-31", "2024-08", False),
        ("2024-08", "2024-08-31", False),
        ("2022", "2024-08", True),
        ("2026-09-19", "2026-09-18", False),
        (None, "2022", True),
        ("2022", None, False),
        (None, None, False),
    ],
)
def test_a_date_is_older_as_far_as_it_is_precise(date: str | None, other: str | None, older: bool) -> None:  # noqa: FBT001 - a parameter
    assert is_older(date, other) == older


# Bills.


@pytest.mark.parametrize(
    ("memory_mb", "duration_ms", "usd_per_thousand"),
    [
        # ceil(ms)/1000 x MB/1024 x 0.00001667 + 0.0000002, times 1,000:
        (128, 11722.965, "0.024628"),  # 11.723 x 0.125 x 0.01667 + 0.0002
        (256, 6678.945, "0.028035"),  # 6.679 x 0.25 x 0.01667 + 0.0002
        (512, 3194.954, "0.026830"),  # 3.195 x 0.5 x 0.01667 + 0.0002
        (1024, 1465.984, "0.024638"),  # 1.466 x 1 x 0.01667 + 0.0002
    ],
)
def test_the_worked_example_of_aws_comes_out_to_the_printed_digit(
    memory_mb: int, duration_ms: float, usd_per_thousand: str
) -> None:
    rates = rates_for(find_prices("us-east-1", "x86_64", per_gb_second="0.00001667"))
    bill = rates.bill(memory_mb, billed_duration_ms(duration_ms))
    assert (1000 * bill).quantize(Decimal("0.000001")) == Decimal(usd_per_thousand)


def test_a_bill_is_exact() -> None:
    rates = rates_for(find_prices("us-east-1", "x86_64"))
    # 3 ms at 128 MB: 0.003 s x 0.125 GB = 0.000375 GB-s.
    assert rates.bill(128, 3) == Decimal("0.000375") * Decimal("0.0000166667") + Decimal("0.0000002")
    assert rates.bill(128, 0.1) == Decimal("0.0000125") * Decimal("0.0000166667") + Decimal("0.0000002")


def test_one_request_costs_as_much_as_96_ms_at_128_mb() -> None:
    rates = rates_for(find_prices("us-east-1", "x86_64"))
    assert rates.prices.per_request / rates.per_ms(128) == pytest.approx(Decimal(96), abs=Decimal("0.1"))


def test_arm_costs_its_own_price() -> None:
    rates = rates_for(find_prices("eu-west-1", "arm64"))
    assert rates.bill(1024, 1000) == Decimal("0.0000133334") + Decimal("0.0000002")


def test_a_bill_in_china_is_in_yuan() -> None:
    prices = find_prices("cn-north-1", "x86_64")
    assert prices.currency == "CNY"
    assert rates_for(prices).bill(1024, 1000) == Decimal("0.000113477") + Decimal("0.00000136")
    # Another tool's table has 1.42e-8 CNY per ms at 128 MB.
    assert rates_for(prices).per_ms(128) == pytest.approx(Decimal("1.42e-8"), rel=Decimal("0.002"))


@pytest.mark.parametrize(
    ("duration_ms", "init_ms", "billed_ms"),
    [
        (2715.86, 370.72, 3087),  # a real record of 2026: init is billed, and both are rounded up together
        (38020.68, 681.96, 38703),  # likewise: 38702.64
        (1233.96, 463.512, 1698),  # likewise: 1697.472; each rounded on its own would be the same
        (0.6, 0.3, 1),  # 0.9: rounded up together, not each
        (2.37, 423.98, 427),  # 426.35
        (127.10, 26, 154),  # a restore: 153.10
        (2338.66, 182, 2521),
        (250.06, 0.0, 251),
        (3000.0, 0.0, 3000),
        (0.01, 0.0, 1),
        (0.0, 0.0, 1),
        (1.0, 0.0, 1),
        (1.0001, 0.0, 2),
        (4.35 * 100, 0.0, 435),  # 434.99999999999994 in binary
        (1.1 * 1.1 * 100, 0.0, 121),  # 121.00000000000001
    ],
)
def test_duration_and_init_are_rounded_up_together_to_a_millisecond(
    duration_ms: float, init_ms: float, billed_ms: int
) -> None:
    assert billed_duration_ms(duration_ms, init_ms) == billed_ms


# Tiers.


@pytest.mark.parametrize(
    ("architecture", "usage", "total"),
    [
        ("x86_64", "1", Decimal("0.0000166667")),
        ("x86_64", "6e9", 6 * Decimal("16666.7")),
        ("x86_64", "7e9", 6 * Decimal("16666.7") + 1 * Decimal(15000)),
        ("x86_64", "15e9", 6 * Decimal("16666.7") + 9 * Decimal(15000)),
        ("x86_64", "20e9", 6 * Decimal("16666.7") + 9 * Decimal(15000) + 5 * Decimal("13333.4")),
        ("arm64", "7.5e9", Decimal("7.5") * Decimal("13333.4")),
        ("arm64", "10e9", Decimal("7.5") * Decimal("13333.4") + Decimal("2.5") * Decimal("12000.1")),
        ("arm64", "18.75e9", Decimal("7.5") * Decimal("13333.4") + Decimal("11.25") * Decimal("12000.1")),
        (
            "arm64",
            "28.75e9",
            Decimal("7.5") * Decimal("13333.4") + Decimal("11.25") * Decimal("12000.1") + 10 * Decimal("10666.7"),
        ),
    ],
)
def test_a_months_usage_is_billed_part_by_part_in_the_tiers(
    architecture: Architecture, usage: str, total: Decimal
) -> None:
    # Totals in dollars: billions of GB-seconds times the price of a billion.
    per_gb_second = find_prices("us-east-1", architecture).per_gb_second(Decimal(usage))
    assert per_gb_second * Decimal(usage) == pytest.approx(total, rel=Decimal("1e-20"))


@pytest.mark.parametrize("usage", [None, Decimal(0)])
def test_without_usage_the_first_tier_counts(usage: Decimal | None) -> None:
    assert find_prices("us-east-1", "x86_64").per_gb_second(usage) == Decimal("0.0000166667")


def test_rates_take_the_blended_price_of_the_month() -> None:
    rates = rates_for(find_prices("us-east-1", "x86_64"), gb_seconds_per_month=12e9)
    # Half at 16,666.7 and half at 15,000 dollars a billion.
    assert rates.per_gb_second == (Decimal("0.0000166667") + Decimal("0.000015")) / 2


def test_a_price_given_by_the_user_has_no_tiers() -> None:
    prices = find_prices("us-east-1", "x86_64", per_gb_second="0.00001")
    assert prices.per_gb_second(Decimal("100e9")) == Decimal("0.00001")


@pytest.mark.parametrize("usage", [-1.0, float("inf"), float("nan")])
def test_a_usage_that_is_none_is_refused(usage: float) -> None:
    with pytest.raises(UsageError, match="GB-seconds a month"):
        rates_for(find_prices("us-east-1", "x86_64"), gb_seconds_per_month=usage)


@pytest.mark.parametrize("rate", [-0.01, 1.01, float("nan")])
def test_a_cold_start_rate_that_is_no_share_is_refused(rate: float) -> None:
    with pytest.raises(UsageError, match="cold-start rate"):
        rates_for(find_prices("us-east-1", "x86_64"), cold_start_rate=rate)


# Ephemeral storage.


@pytest.mark.parametrize("storage_mb", [512, 100, 0])
def test_storage_up_to_512_mb_is_free(storage_mb: int) -> None:
    prices = find_prices("us-east-1", "x86_64")
    assert rates_for(prices, ephemeral_storage_mb=storage_mb) == Rates(prices, Decimal("0.0000166667"))


def test_storage_above_512_mb_is_billed_by_gb_second_of_duration() -> None:
    rates = rates_for(find_prices("us-east-1", "x86_64"), ephemeral_storage_mb=2560)
    # 2560 - 512 = 2048 MB = 2 GB, and 128 MB = 1/8 GB of memory, over 4 s.
    compute = Decimal("0.0000166667") / 8 * 4
    storage = 2 * Decimal("0.0000000309") * 4
    assert rates.bill(128, 4000) == compute + storage + Decimal("0.0000002")


def test_storage_is_billed_at_the_price_of_the_region() -> None:
    rates = rates_for(find_prices("sa-east-1", "x86_64"), ephemeral_storage_mb=1536)
    assert rates.per_ms(1024) == (Decimal("0.0000166667") + Decimal("0.0000000586")) / 1000


def test_storage_without_a_known_price_is_refused_only_above_512_mb() -> None:
    prices = find_prices("me-central-1", "x86_64")
    assert rates_for(prices, ephemeral_storage_mb=512).storage_gb_second == 0
    with pytest.raises(PriceUnknownError, match="above 512 MB in me-central-1") as caught:
        rates_for(prices, ephemeral_storage_mb=513)
    assert "--ephemeral-storage" in caught.value.hint


# What is unknown, and what the user gives instead.


@every_row
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_price_is_found_or_its_absence_names_the_option(row: Row, architecture: Architecture) -> None:
    first = row.x86 if architecture == "x86_64" else row.arm
    if first is None:
        with pytest.raises(PriceUnknownError, match=f"{architecture} functions in {row.region}") as caught:
            find_prices(row.region, architecture)
        assert "--price-gb-second" in caught.value.hint
    elif row.per_million_requests is None:
        with pytest.raises(PriceUnknownError, match=f"a request in {row.region}") as caught:
            find_prices(row.region, architecture)
        assert "--price-request" in caught.value.hint
    else:
        prices = find_prices(row.region, architecture)
        assert prices.per_gb_second() == Decimal(first)
        assert prices.basis == "list"


def test_an_unknown_price_is_a_matter_of_usage() -> None:
    with pytest.raises(PriceUnknownError) as caught:
        find_prices("mx-central-1", "arm64")
    assert caught.value.exit_code == ExitCode.USAGE


def test_a_given_price_takes_the_place_of_an_unknown_one() -> None:
    prices = find_prices("us-gov-west-1", "x86_64", per_request="0.0000003")
    assert (prices.per_request, prices.per_gb_second()) == (Decimal("0.0000003"), Decimal("0.0000166667"))
    assert (prices.basis, prices.as_of) == ("override", "2022")
    with pytest.raises(PriceUnknownError, match="a request in mx-central-1"):
        find_prices("mx-central-1", "x86_64", per_gb_second="0.00002")
    both = find_prices("mx-central-1", "arm64", per_gb_second="0.00002", per_request="0.0000003")
    assert (both.per_gb_second(), both.per_request) == (Decimal("0.00002"), Decimal("0.0000003"))


def test_a_given_price_takes_the_place_of_a_known_one_and_has_no_date() -> None:
    prices = find_prices("us-east-1", "arm64", per_gb_second=0.00001)
    assert prices.per_gb_second() == Decimal("0.00001")
    assert (prices.basis, prices.as_of, prices.per_request) == ("override", None, Decimal("0.0000002"))


def test_a_price_of_nothing_is_a_price() -> None:
    prices = find_prices("us-east-1", "x86_64", per_gb_second=0, per_request=0)
    assert rates_for(prices).bill(10_240, 900_000) == 0


def test_an_architecture_that_lambda_does_not_have_is_refused_with_those_it_has() -> None:
    with pytest.raises(UnknownPlaceError, match="'x86' is no architecture of Lambda") as caught:
        find_prices("us-east-1", "x86")
    assert caught.value.hint == "choose x86_64 or arm64"
    assert not caught.value.is_region


@pytest.mark.parametrize("price", ["nan", "inf", "-0.00001", -1.0, Decimal("Infinity"), "1e7", "much", ""])
@pytest.mark.parametrize("name", ["per_gb_second", "per_request"])
def test_a_price_that_is_none_is_refused_by_the_name_of_its_option(name: str, price: float | str | Decimal) -> None:
    option = {"per_gb_second": "--price-gb-second", "per_request": "--price-request"}[name]
    with pytest.raises(UsageError, match=option):
        find_prices(
            "us-east-1",
            "x86_64",
            per_gb_second=price if name == "per_gb_second" else None,
            per_request=price if name == "per_request" else None,
        )


@pytest.mark.parametrize(
    ("region", "near"),
    [
        ("us-eest-1", "us-east-1"),
        ("eu-central", "eu-central-1"),
        ("US-EAST-1", "us-east-1"),
        ("useast1", "us-east-1"),
        ("cn-north", "cn-north-1"),
    ],
)
def test_an_unknown_region_names_near_ones(region: str, near: str) -> None:
    with pytest.raises(UnknownPlaceError, match=f"no AWS region '{region}'") as caught:
        find_prices(region, "x86_64")
    assert near in caught.value.hint
    assert caught.value.is_region
    assert caught.value.exit_code == ExitCode.USAGE


def test_a_region_like_none_sends_to_the_list() -> None:
    with pytest.raises(UsageError) as caught:
        region_prices("zzzzzzzzzz")
    assert (
        caught.value.hint == "powertune prices lists them; a newer region takes --price-gb-second and --price-request"
    )


def test_a_hostile_region_name_is_shown_harmless_and_short() -> None:
    with pytest.raises(UsageError) as caught:
        region_prices("\x1b[31m" + "x" * 500)
    assert "\x1b" not in caught.value.message
    assert len(caught.value.message) < 120


def test_a_region_newer_than_the_table_works_with_both_prices_given() -> None:
    prices = find_prices("xx-new-1", "x86_64", per_gb_second="0.00002", per_request="0.0000003")
    assert (prices.region, prices.currency, prices.storage_gb_second) == ("xx-new-1", "USD", None)
    with pytest.raises(UsageError, match="no AWS region"):
        find_prices("xx-new-1", "x86_64", per_gb_second="0.00002")
