"""Bills of each kind of function against figures worked out by hand, AWS's own worked examples among them.

Prices are those of us-east-1 (AWS Price List, 2026-09-19) unless a test says otherwise. AWS's examples are those of its
pricing page, 2026; the test has AWS's figures in the dollars and cents that AWS prints.
"""

from decimal import Decimal
from typing import Any

import pytest

from powertune.aws_lambda.bill import (
    HOURS_PER_MONTH,
    Line,
    break_even_utilization,
    explain,
    figure,
    month_lines,
    provisioned_month,
    total,
)
from powertune.aws_lambda.pricing import Rates, find_prices, rates_for
from powertune.errors import PriceUnknownError, UsageError

CENT = Decimal("0.01")


def usual(architecture: str = "x86_64", region: str = "us-east-1", **charges: Any) -> Rates:
    return rates_for(find_prices(region, architecture), **charges)


def month(rates: Rates, memory_mb: int, billed_ms: float) -> dict[str, Decimal]:
    """Return a month's charges by name, and their sum."""
    lines = month_lines(rates, memory_mb, billed_ms)
    return {line.name: line.amount for line in lines} | {"sum": total(lines)}


def cents(amount: Decimal) -> str:
    return str(amount.quantize(CENT))


# AWS's own examples: on demand.


def test_aws_example_of_a_mobile_backend() -> None:
    """3 million x 120 ms at 1,536 MB, with the free tier.

    360,000 s x 1.5 GB = 540,000 GB-s, less 400,000 = 140,000 x 0.0000166667 = 2.333338; 2 million requests = 0.40.
    """
    found = month(usual(invocations_per_month=3_000_000, free_tier=True), 1536, 120)
    assert found == {
        "Duration": Decimal("2.333338"),
        "Requests": Decimal("0.4"),
        "sum": Decimal("2.733338"),
    }
    assert (cents(found["Duration"]), cents(found["Requests"]), cents(found["sum"])) == ("2.33", "0.40", "2.73")


def test_aws_example_of_streaming_telemetry() -> None:
    """10,000 x 24 x 31 = 7.44 million x 2 s at 1,024 MB, without the free tier.

    14.88 million GB-s x 0.0000166667 = 248.000496; 7.44 x 0.20 = 1.488.
    """
    found = month(usual(invocations_per_month=7_440_000), 1024, 2000)
    assert found == {"Duration": Decimal("248.000496"), "Requests": Decimal("1.488"), "sum": Decimal("249.488496")}
    assert cents(found["Duration"]) == "248.00"


def test_aws_example_of_support_tickets_with_ephemeral_storage() -> None:
    """6 million x 280 ms at 4,096 MB with 2,048 MB of /tmp, with the free tier.

    1,680,000 s x 4 GB = 6,720,000, less 400,000 = 6,320,000 GB-s x 0.0000166667 = 105.333544; 5 million requests = 1;
    storage 1,680,000 s x 1.5 GB = 2,520,000 GB-s x 0.0000000309 = 0.077868.
    """
    rates = usual(invocations_per_month=6_000_000, free_tier=True, ephemeral_storage_mb=2048)
    found = month(rates, 4096, 280)
    assert found == {
        "Duration": Decimal("105.333544"),
        "Storage": Decimal("0.077868"),
        "Requests": Decimal(1),
        "sum": Decimal("106.411412"),
    }
    assert (cents(found["Duration"]), cents(found["Storage"]), cents(found["sum"])) == ("105.33", "0.08", "106.41")


def test_aws_example_of_a_tenant_isolated_function_without_its_isolation() -> None:
    """10 million x 2 s at 1,024 MB: 20 million GB-s = 333.334; requests 2. Tenant isolation itself is not covered."""
    found = month(usual(invocations_per_month=10_000_000), 1024, 2000)
    assert (found["Duration"], found["Requests"]) == (Decimal("333.334"), Decimal(2))


def test_aws_example_of_claims_on_arm64_without_the_durable_functions() -> None:
    """1 million x 32 s in two invocations each, 1 GB, arm64, with the free tier.

    32,000,000 - 400,000 = 31,600,000 GB-s x 0.0000133334 = 421.33544; 2 million requests less 1 million = 0.20.
    """
    found = month(usual("arm64", invocations_per_month=2_000_000, free_tier=True), 1024, 16_000)
    assert found["Duration"] == Decimal("421.33544")
    assert (cents(found["Duration"]), found["Requests"]) == ("421.34", Decimal("0.2"))


# Provisioned concurrency.


def test_aws_example_of_provisioned_concurrency_at_a_launch() -> None:
    """100 environments of 1,536 MB for 8 hours, in which 500,000 invocations take 100 ms.

    100 x 1.5 GB x 28,800 s = 4,320,000 GB-s x 0.0000041667 = 18.000144; busy 50,000 s x 1.5 GB = 75,000 GB-s
    x 0.0000097222 = 0.729165. They are busy for 50,000 of 2,880,000 s.
    """
    rates = usual(provisioned=100, utilization=Decimal(50_000) / 2_880_000)
    found = provisioned_month(rates, 1536, 100, seconds=28_800)
    capacity, duration = found.lines
    assert (capacity.quantity, capacity.amount) == (Decimal(4_320_000), Decimal("18.000144"))
    assert round(duration.quantity, 9) == Decimal(75_000)
    assert round(duration.amount, 9) == Decimal("0.729165")
    assert round(found.invocations, 6) == 500_000
    assert (cents(capacity.amount), cents(duration.amount)) == ("18.00", "0.73")
    # What AWS's example has beside it: 2.5 million of 120 ms on demand, with the free tier.
    rest = month(usual(invocations_per_month=2_500_000, free_tier=True), 1536, 120)
    assert rest["Duration"] == Decimal("0.833335")


def test_aws_example_of_provisioned_concurrency_at_a_sale() -> None:
    """7 environments of 4,096 MB for 24 hours, in which 2 million invocations take 280 ms.

    7 x 4 GB x 86,400 s = 2,419,200 GB-s x 0.0000041667 = 10.08008064; 560,000 s x 4 GB = 2,240,000 GB-s
    x 0.0000097222 = 21.777728. They are busy for 560,000 of 604,800 s.
    """
    rates = usual(provisioned=7, utilization=Decimal(560_000) / 604_800)
    capacity, duration = provisioned_month(rates, 4096, 280, seconds=86_400).lines
    assert capacity.amount == Decimal("10.08008064")
    assert round(duration.amount, 9) == Decimal("21.777728")
    assert (cents(capacity.amount), cents(duration.amount)) == ("10.08", "21.78")


def test_a_provisioned_environment_breaks_even_where_it_is_busy_for_60_per_cent() -> None:
    """0.0000041667 / (0.0000166667 - 0.0000097222) = 0.0000041667 / 0.0000069445 = 0.6; arm64 likewise.

    arm64: 0.0000033334 / (0.0000133334 - 0.0000077778) = 0.0000033334 / 0.0000055556 = 0.60000720...
    """
    assert break_even_utilization(usual()) == Decimal("0.6")
    assert break_even_utilization(usual("arm64")) == pytest.approx(Decimal("0.60000720"), abs=Decimal("1e-7"))


def test_at_the_break_even_a_provisioned_month_costs_what_it_costs_on_demand() -> None:
    """10 x 0.5 GB x 2,628,000 s = 13,140,000 GB-s ready = 54.750438; 60 % of it busy = 7,884,000 GB-s.

    Busy x 0.0000097222 = 76.6498248, together 131.4002628; on demand x 0.0000166667 = 131.4002628.
    """
    found = provisioned_month(usual(provisioned=10, utilization="0.6"), 512, 143)
    assert total(found.lines) == total(found.on_demand) == Decimal("131.4002628")
    assert found.break_even == Decimal("0.6")
    dearer = provisioned_month(usual(provisioned=10, utilization="0.59"), 512, 143)
    assert total(dearer.lines) > total(dearer.on_demand)


def test_an_invocation_in_a_provisioned_environment_pays_for_the_time_in_which_it_stood_ready() -> None:
    """1 s at 1,024 MB, 40 % busy: 1 GB-s x 0.0000097222, and 2.5 GB-s ready x 0.0000041667 = 0.00001041675."""
    rates = usual(provisioned=3, utilization="0.4")
    bill = explain(rates, 1024, 1000)
    assert {line.name: line.amount for line in bill.lines} == {
        "Duration": Decimal("0.0000097222"),
        "Capacity": Decimal("0.00001041675"),
        "Requests": Decimal("0.0000002"),
    }
    assert total(bill.lines) == rates.bill(1024, 1000) == Decimal("0.00002033895")


def test_a_provisioned_month_of_a_known_number_of_invocations() -> None:
    """A million of 100 ms at 1,024 MB, half busy: 100,000 GB-s busy = 0.97222, 200,000 ready = 0.83334."""
    found = month(usual(provisioned=1, utilization="0.5", invocations_per_month=1_000_000), 1024, 100)
    assert found == {
        "Duration": Decimal("0.97222"),
        "Capacity": Decimal("0.83334"),
        "Requests": Decimal("0.2"),
        "sum": Decimal("2.00556"),
    }


@pytest.mark.parametrize(
    "charges",
    [
        {"provisioned": 3},
        {"utilization": "0.5"},
        {"provisioned": 0, "utilization": "0.5"},
        {"provisioned": 3, "utilization": 0},
        {"provisioned": 3, "utilization": "1.01"},
        {"provisioned": 3, "utilization": "nan"},
        {"provisioned": 3, "utilization": "0.5", "cold_start_rate": 0.1},
        {"provisioned": 3, "utilization": "0.5", "free_tier": True},
        {"provisioned": 3, "utilization": "0.5", "snapstart_versions": 1},
    ],
    ids=str,
)
def test_provisioned_concurrency_that_makes_no_sense_is_refused(charges: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        usual(**charges)
    assert caught.value.hint


def test_provisioned_concurrency_without_a_known_price_is_refused() -> None:
    with pytest.raises(PriceUnknownError, match="provisioned concurrency for arm64 functions in eu-west-1"):
        usual("arm64", "eu-west-1", provisioned=1, utilization="0.5")
    assert break_even_utilization(usual("arm64", "eu-west-1")) is None


def test_init_in_a_provisioned_environment_is_not_paid_by_the_invocation() -> None:
    with pytest.raises(UsageError, match="init of provisioned"):
        explain(usual(provisioned=1, utilization="0.5"), 512, 100, 400)


# SnapStart.


def test_aws_example_of_snapstart() -> None:
    """The telemetry of above with 1 % restores: 74,400 x 1 GB x 0.0001397998 = 10.40110512.

    The cache of one version: AWS's month has 31 x 24 = 744 hours, 2,678,400 GB-s x 0.0000015046 = 4.02992064; here one
    has 730 hours, 2,628,000 GB-s = 3.9540888.
    """
    rates = usual(invocations_per_month=7_440_000, snapstart_versions=1, cold_start_rate=0.01)
    found = month(rates, 1024, 2000)
    assert found["Restores"] == Decimal("10.40110512")
    assert found["Snapshots"] == Decimal("3.9540888")
    assert found["Snapshots"] * 744 / HOURS_PER_MONTH == Decimal("4.02992064")
    assert cents(found["Duration"] + found["Requests"] + found["Restores"] + Decimal("4.02992064")) == "263.92"


def test_each_version_with_a_snapshot_is_paid_for() -> None:
    rates = usual(invocations_per_month=1, snapstart_versions=33, cold_start_rate=0)
    # 33 x 0.5 GB x 2,628,000 s = 43,362,000 GB-s x 0.0000015046 = 65.2424652.
    assert month(rates, 512, 1)["Snapshots"] == Decimal("65.2424652")


def test_an_invocation_pays_its_share_of_restores_by_memory() -> None:
    """2.5 % of 2 GB = 0.05 GB x 0.0001397998 = 0.00000698999."""
    rates = usual(snapstart_versions=1, cold_start_rate=0.025)
    assert rates.per_invocation(2048) == Decimal("0.0000002") + Decimal("0.00000698999")
    assert usual(cold_start_rate=0.025).per_invocation(2048) == Decimal("0.0000002")


def test_seoul_has_a_price_of_its_own_for_snapstart() -> None:
    rates = usual(region="ap-northeast-2", snapstart_versions=1, cold_start_rate=1)
    assert rates.per_invocation(1024) == Decimal("0.0000002") + Decimal("0.0001674588")


def test_snapstart_without_a_known_price_is_refused() -> None:
    with pytest.raises(PriceUnknownError, match="SnapStart in eu-west-1"):
        usual(region="eu-west-1", snapstart_versions=1)
    with pytest.raises(UsageError, match="versions"):
        usual(snapstart_versions=-1)


# Lambda@Edge.


def test_aws_example_of_lambda_at_edge() -> None:
    """10 million x 10 ms at 128 MB: 100,000 s x 0.00000625125 = 0.625125, 10 million requests = 6. No free tier."""
    rates = rates_for(find_prices("us-east-1", "x86_64", edge=True), invocations_per_month=10_000_000)
    found = month(rates, 128, 10)
    assert found == {"Duration": Decimal("0.625125"), "Requests": Decimal(6), "sum": Decimal("6.625125")}
    assert rates.per_ms(128) * 1000 == Decimal("0.00000625125")


@pytest.mark.parametrize(
    "charges",
    [
        {"free_tier": True, "invocations_per_month": 1},
        {"discount": "0.1"},
        {"provisioned": 1, "utilization": "0.5"},
        {"snapstart_versions": 1},
        {"ephemeral_storage_mb": 1024},
        {"event_kb": 300},
    ],
    ids=str,
)
def test_what_lambda_at_edge_does_not_have_is_refused_by_name(charges: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="does not apply to Lambda@Edge"):
        rates_for(find_prices("us-east-1", "x86_64", edge=True), **charges)


def test_lambda_at_edge_has_no_arm64_and_a_price_in_one_region() -> None:
    with pytest.raises(UsageError, match="Lambda@Edge does not run on arm64"):
        find_prices("us-east-1", "arm64", edge=True)
    with pytest.raises(PriceUnknownError, match="Lambda@Edge in eu-west-1"):
        find_prices("eu-west-1", "x86_64", edge=True)


# Tiers over a month.


@pytest.mark.parametrize(
    ("gb_seconds", "amounts"),
    [
        (5_999_999_999, {"Duration": "100000.1999833333"}),  # 6e9 x 0.0000166667 = 100,000.2, less one GB-s
        (6_000_000_000, {"Duration": "100000.2"}),
        (6_000_000_001, {"Tier 1": "100000.2", "Tier 2": "0.000015"}),
        (15_000_000_000, {"Tier 1": "100000.2", "Tier 2": "135000"}),  # 9e9 x 0.000015
        (15_000_000_001, {"Tier 1": "100000.2", "Tier 2": "135000", "Tier 3": "0.0000133334"}),
        (20_000_000_000, {"Tier 1": "100000.2", "Tier 2": "135000", "Tier 3": "66667"}),  # 5e9 x 0.0000133334
    ],
)
def test_a_month_is_billed_tier_by_tier(gb_seconds: int, amounts: dict[str, str]) -> None:
    """As many invocations of 1 s at 1,024 MB as there are GB-seconds."""
    lines = month_lines(usual(invocations_per_month=gb_seconds), 1024, 1000)
    found = {line.name: line.amount for line in lines if line.name != "Requests"}
    assert found == {name: Decimal(amount) for name, amount in amounts.items()}


@pytest.mark.parametrize(
    ("gb_seconds", "duration"),
    [
        (7_500_000_000, "100000.5"),  # x 0.0000133334
        (7_500_000_001, "100000.5000120001"),
        (18_750_000_000, "235001.625"),  # and 11.25e9 x 0.0000120001 = 135,001.125
        (18_750_000_001, "235001.6250106667"),
    ],
)
def test_arm64_has_tiers_of_its_own(gb_seconds: int, duration: str) -> None:
    lines = month_lines(usual("arm64", invocations_per_month=gb_seconds), 1024, 1000)
    assert total(line for line in lines if line.name != "Requests") == Decimal(duration)


def test_the_accounts_usage_counts_before_the_functions_own() -> None:
    """12e9 GB-s in the account: half at 0.0000166667, half at 0.000015, 0.00001583335 on average."""
    found = month(usual(invocations_per_month=1_000_000, gb_seconds_per_month=12e9), 1024, 1000)
    assert found["Duration"] == Decimal("15.83335")


def test_the_free_tier_never_makes_a_month_negative() -> None:
    found = month(usual(invocations_per_month=1000, free_tier=True), 128, 1)
    assert found["sum"] == 0
    # 400,001 GB-s and 1,000,001 requests: one of each is left.
    lines = month_lines(usual(invocations_per_month=1_000_001, free_tier=True), 1024, 399.9999999)
    assert lines[-1].amount == Decimal("0.0000002")


def test_a_month_needs_a_number_of_invocations_and_a_comparison_provisioned_concurrency() -> None:
    with pytest.raises(ValueError, match="number of invocations"):
        month_lines(usual(), 512, 100)
    with pytest.raises(ValueError, match="no provisioned"):
        provisioned_month(usual(), 512, 100)


# Discounts, events, cold starts, China.


def test_a_savings_plan_takes_off_duration_and_provisioned_capacity_and_nothing_else() -> None:
    """12 % off 0.0000166667 is 0.000014666696 (AWS's offer of 2026-09-25: 0.0000147); requests and /tmp stay."""
    rates = usual(discount="0.12", ephemeral_storage_mb=1536)
    assert rates.per_gb_second == Decimal("0.000014666696")
    assert rates.bill(1024, 1000) == Decimal("0.000014666696") + Decimal("0.0000000309") + Decimal("0.0000002")
    # Provisioned: 0.88 x (0.0000097222 + 0.0000041667), AWS's offer: 0.00000856 and 0.00000367.
    assert usual(discount="0.12", provisioned=1, utilization=1).per_gb_second == Decimal("0.000012222232")


@pytest.mark.parametrize("discount", [-0.1, 1, 1.5, "nan", "much"])
def test_a_discount_that_is_none_is_refused(discount: float | str) -> None:
    with pytest.raises(UsageError, match="discount"):
        usual(discount=discount)


@pytest.mark.parametrize(
    ("event_kb", "requests"),
    [(0, 1), (1, 1), (256, 1), (257, 2), (320, 2), (321, 3), (512, 5), (1000, 13), (1024, 13)],
)
def test_an_asynchronous_event_counts_once_for_256_kb_and_once_for_each_64_kb_begun(
    event_kb: int, requests: int
) -> None:
    """1,000 KB: 744 KB beyond the first 256, 11.625 chunks of 64, so 12 more; 1,024 KB: 768, exactly 12."""
    rates = usual(event_kb=event_kb)
    assert rates.requests_per_invocation == requests
    assert rates.per_invocation(512) == requests * Decimal("0.0000002")


def test_the_free_tier_counts_requests_and_not_events() -> None:
    """A million events of 300 KB are 2 million requests, a million of them free."""
    found = month(usual(event_kb=300, invocations_per_month=1_000_000, free_tier=True), 128, 1)
    assert found["Requests"] == Decimal("0.2")


@pytest.mark.parametrize("event_kb", [-1, 1025])
def test_an_event_that_lambda_does_not_take_is_refused(event_kb: int) -> None:
    with pytest.raises(UsageError, match="KB"):
        usual(event_kb=event_kb)


def test_a_cold_start_is_billed_with_its_init_rounded_up_together() -> None:
    """142.3 + 400.4 = 542.7, so 543 ms at 512 MB: 0.2715 GB-s x 0.0000166667 = 0.00000452500905, and a request."""
    bill = explain(usual(), 512, 142.3, 400.4)
    assert bill.billed_ms == 543
    assert total(bill.lines) == Decimal("0.00000472500905")


def test_a_share_of_cold_starts_is_billed_by_that_share() -> None:
    """143 ms and 2.5 % of 400 ms = 10 ms at 512 MB on arm64: 0.0715 and 0.005 GB-s x 0.0000133334."""
    bill = explain(usual("arm64", cold_start_rate=0.025), 512, 142.3, 400)
    assert {line.name: line.amount for line in bill.lines} == {
        "Duration": Decimal("0.0000009533381"),
        "Init": Decimal("0.000000066667"),
        "Requests": Decimal("0.0000002"),
    }
    with pytest.raises(UsageError, match="how long it takes") as caught:
        explain(usual(cold_start_rate=0.025), 512, 142.3)
    assert "--init" in caught.value.hint


def test_a_month_in_china_is_in_yuan_and_in_its_tiers() -> None:
    """7e9 x 1 s at 1,024 MB: 6e9 GB-s x 0.000113477 = 680,862; 1e9 x 0.0001021293 = 102,129.3; requests 9,520."""
    rates = usual(region="cn-north-1", invocations_per_month=7_000_000_000)
    assert rates.prices.currency == "CNY"
    assert month(rates, 1024, 1000) == {
        "Tier 1": Decimal(680_862),
        "Tier 2": Decimal("102129.3"),
        "Requests": Decimal(9_520),
        "sum": Decimal("792511.3"),
    }


def test_what_a_function_costs_in_a_dearer_region_on_both_architectures() -> None:
    """100 ms at 2,048 MB in af-south-1: 0.2 GB-s x 0.0000221 = 0.00000442, on arm64 x 0.00001768 = 0.000003536.

    A request is 0.00000027.
    """
    assert usual("x86_64", "af-south-1").bill(2048, 100) == Decimal("0.00000469")
    assert usual("arm64", "af-south-1").bill(2048, 100) == Decimal("0.000003806")


# Lines.


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0", "0"), ("1", "1"), ("100", "100"), ("1234567.50", "1,234,567.5"), ("0.0000166667", "0.0000166667"),
        ("1E+10", "10,000,000,000"), ("1e-20", "0.00000000000000000001"), ("0.123456789012345678", "0.123456789012346"),
    ],
)  # fmt: skip
def test_a_figure_has_all_its_digits_and_never_an_exponent(value: str, shown: str) -> None:
    assert figure(Decimal(value)) == shown


def test_a_line_is_its_quantity_at_its_price() -> None:
    assert Line("Requests", "", Decimal(3), "requests", Decimal("0.0000002")).amount == Decimal("0.0000006")
    assert total([]) == 0
