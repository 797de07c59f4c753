"""What must hold for any bill and any price list, whatever the function, its use, and what the network makes of it."""

import csv
import io
import json
import re
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from price_lists import PriceList

import powertune
from powertune.aws_lambda.bill import explain, figure, month_lines, provisioned_month, total
from powertune.aws_lambda.price_book import read_row, region_prices, regions, row_document
from powertune.aws_lambda.price_list import PriceListError, read_api_products, read_offer_file, region_row
from powertune.aws_lambda.pricing import ARCHITECTURES, Prices, Rates, find_prices, rates_for
from powertune.model.invocation import Invocation
from powertune.report import FORMATS, Style, bill_format, ranking, render

TODAY = date(2026, 11, 23)
DUST = Decimal("1e-20")

memory_sizes = st.integers(128, 10_240)
durations = st.floats(0.01, 900_000)
invocations = st.integers(1, 10**12)
priced = [
    find_prices(region, name)
    for region in regions()
    for name in ARCHITECTURES
    if region_prices(region).tiers[name] and region_prices(region).per_request is not None
]


@st.composite
def charges(draw: st.DrawFn) -> dict[str, Any]:
    """Return arguments of rates_for that go together with each other."""
    prices = draw(st.sampled_from(priced))
    found: dict[str, Any] = {
        "prices": prices,
        "gb_seconds_per_month": draw(st.none() | st.floats(1, 1e12)),
        "discount": draw(st.sampled_from([0, "0.12", "0.17", "0.9"])),
        "event_kb": draw(st.integers(0, 1024)),
        "invocations_per_month": draw(invocations),
    }
    if prices.storage_gb_second:
        found["ephemeral_storage_mb"] = draw(st.sampled_from([512, 513, 2048, 10_240]))
    if prices.provisioned and draw(st.booleans()):
        return found | {"provisioned": draw(st.integers(1, 1000)), "utilization": draw(st.floats(0.001, 1))}
    found["cold_start_rate"] = draw(st.sampled_from([0.0, 0.01, 0.5, 1.0]))
    if prices.snapstart:
        found["snapstart_versions"] = draw(st.integers(0, 3))
    return found


@st.composite
def rates(draw: st.DrawFn) -> Rates:
    return rates_for(**draw(charges()))


def month_of(found: Rates, memory_mb: int, billed_ms: float) -> Decimal:
    return total(month_lines(found, memory_mb, billed_ms))


@given(rates(), memory_sizes, durations, st.floats(0, 10_000))
def test_the_lines_of_an_invocation_add_up_to_what_tuning_reckons_with(
    found: Rates, memory_mb: int, duration_ms: float, init_ms: float
) -> None:
    bill = explain(found, memory_mb, duration_ms, init_ms if found.cold_start_rate else None)
    share_ms = Decimal(str(init_ms)) * Decimal(str(found.cold_start_rate)) if found.cold_start_rate else 0
    expected = found.bill(memory_mb, bill.billed_ms + Decimal(share_ms))
    assert total(bill.lines) == pytest.approx(expected, rel=DUST)


@given(rates(), memory_sizes, st.integers(1, 900_000))
def test_a_month_within_the_first_tier_is_its_invocations_and_its_snapshots(
    found: Rates, memory_mb: int, billed_ms: int
) -> None:
    count = found.invocations_per_month
    assert count is not None
    assume(found.gb_seconds_per_month or count * billed_ms / 1000 * memory_mb / 1024 < 6 * 10**9)
    snapshots = [line for line in month_lines(found, memory_mb, billed_ms) if line.name == "Snapshots"]
    assert month_of(found, memory_mb, billed_ms) == pytest.approx(
        count * found.bill(memory_mb, billed_ms) + total(snapshots), rel=DUST
    )


@given(rates(), memory_sizes, memory_sizes, st.integers(1, 900_000), st.integers(1, 900_000))
def test_a_month_never_gets_cheaper_with_time_or_memory(
    found: Rates, one_mb: int, other_mb: int, one_ms: int, other_ms: int
) -> None:
    small, large = sorted((one_mb, other_mb))
    short, long = sorted((one_ms, other_ms))
    least = month_of(found, small, short)
    assert least <= month_of(found, small, long) * (1 + DUST)
    assert least <= month_of(found, large, short) * (1 + DUST)


@given(charges(), memory_sizes, st.integers(1, 900_000), invocations)
def test_a_month_never_gets_cheaper_with_more_invocations(
    given_charges: dict[str, Any], memory_mb: int, billed_ms: int, count: int
) -> None:
    less, more = sorted((count, given_charges["invocations_per_month"]))
    amounts = [
        month_of(rates_for(**given_charges | {"invocations_per_month": number}), memory_mb, billed_ms)
        for number in (less, more)
    ]
    assert amounts[0] <= amounts[1] * (1 + DUST)


@given(charges(), memory_sizes, st.integers(1, 900_000))
def test_the_free_tier_and_a_discount_only_take_off(
    given_charges: dict[str, Any], memory_mb: int, billed_ms: int
) -> None:
    plain = month_of(rates_for(**given_charges | {"discount": 0}), memory_mb, billed_ms)
    assert 0 <= month_of(rates_for(**given_charges), memory_mb, billed_ms) <= plain * (1 + DUST)
    if "provisioned" not in given_charges:
        free = month_of(rates_for(**given_charges | {"discount": 0, "free_tier": True}), memory_mb, billed_ms)
        assert 0 <= free <= plain
        most = Decimal(400_000) * given_charges["prices"].tiers[0][1] + 1_000_000 * given_charges["prices"].per_request
        assert plain - free <= most * (1 + DUST)


@given(
    st.sampled_from([prices for prices in priced if prices.provisioned]),
    memory_sizes,
    st.floats(0.01, 1),
    st.sampled_from([0, "0.17"]),
)
def test_provisioned_environments_pay_off_exactly_from_the_break_even_on(
    prices: Prices, memory_mb: int, utilization: float, discount: str | int
) -> None:
    use = rates_for(prices, provisioned=1, utilization=utilization, discount=discount)
    found = provisioned_month(use, memory_mb, 100)
    pays_from = 2.0 if found.break_even is None else float(found.break_even)  # 2: never, as in Tokyo
    assume(abs(pays_from - utilization) > 1e-9)
    assert (total(found.lines) < total(found.on_demand)) == (utilization > pays_from)


@settings(max_examples=150)
@given(rates(), memory_sizes, durations)
def test_no_charge_is_ever_shown_as_nothing(found: Rates, memory_mb: int, duration_ms: float) -> None:
    init_ms = 100.0 if found.cold_start_rate else None
    shown = bill_format.render(explain(found, memory_mb, duration_ms, init_ms), "table", Style())
    for line in shown.splitlines():
        amount = line.rsplit("= ", 1)[-1] if "= " in line else ""
        if amount.startswith(("$", "¥", "-$", "-¥")):
            assert set(amount) & set("123456789"), line
    assert "$0.00\n" not in shown


prices = st.floats(-25, 0).map(lambda power: 10.0**power)
NOTHING = re.compile(r"[$¥]0(?:\.0*)?(?![0-9.])")


@settings(max_examples=100)
@given(prices, st.just(0) | prices, st.floats(0.01, 900_000), st.none() | st.floats(1, 1e9), st.sampled_from(FORMATS))
def test_no_format_shows_a_cost_as_nothing(
    per_gb_second: float, per_request: float, duration_ms: float, invocations_per_month: float | None, form: str
) -> None:
    options: Any = {} if invocations_per_month is None else {"invocations_per_month": invocations_per_month}
    runs = [Invocation(size, duration_ms / share) for size, share in ((128, 1), (512, 2.5), (1024, 3)) for _ in "12"]
    run = powertune.estimate(
        runs, price_gb_second=per_gb_second, price_request=per_request, current_memory_mb=512, **options
    )
    # That two sizes may cost the same is no cost.
    shown = re.sub(r"\(95 % interval: [^)]*\)", "", render(run, form, Style(200)))
    assert not NOTHING.search(shown)
    if form == "csv":
        costs = [float(row["usd_per_million"]) for row in csv.DictReader(io.StringIO(render(run, form)))]
        assert all(costs)
    if form in ranking.FORMATS and ranking.saving_of(run) and ranking.saving_of(run).amount:  # type: ignore[union-attr] # there is one
        assert not NOTHING.search(ranking.render([run], form, Style(200)))


@given(st.decimals("1e-25", "1e15", allow_nan=False, allow_infinity=False))
def test_a_figure_is_read_back_as_the_number(value: Decimal) -> None:
    assert Decimal(figure(value).replace(",", "")) == pytest.approx(value, rel=Decimal("1e-14"))


# Price lists.


def shuffled(value: Any, random: Random) -> Any:
    """Return a JSON value with the keys of every object in another order."""
    if isinstance(value, dict):
        keys = list(value)
        random.shuffle(keys)
        return {key: shuffled(value[key], random) for key in keys}
    return [shuffled(item, random) for item in value] if isinstance(value, list) else value


@settings(max_examples=20)
@given(st.randoms(use_true_random=False))
def test_the_order_of_a_price_list_does_not_matter(random: Random) -> None:
    price_list, known = PriceList(), region_prices("us-east-1")
    straight = region_row(read_offer_file(price_list.offer_file()), "us-east-1", known=known, today=TODAY)
    document = shuffled(price_list.offer_file(), random)
    assert region_row(read_offer_file(document), "us-east-1", known=known, today=TODAY) == straight
    items = [json.dumps(shuffled(json.loads(item), random)) for item in price_list.api_items()]
    random.shuffle(items)
    assert region_row(read_api_products(items), "us-east-1", known=known, today=TODAY) == straight


junk: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.just([]) | st.just({})
    | st.sampled_from(["Inf", "0", "1e999", "-1", "NaN", "USD", "2026-10-30T00:00:00Z", "AWS-Lambda-Duration", "Any"])
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths to everything in a JSON value."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(inner for key, part in parts for inner in places(part, (*path, key)))]


PLACES = places(PriceList().offer_file())


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(PLACES), st.none() | junk, st.booleans()), min_size=1, max_size=3))
def test_no_damage_to_a_price_list_gives_more_than_a_refusal_or_believable_prices(
    damages: list[tuple[tuple[Any, ...], Any, bool]],
) -> None:
    document: Any = json.loads(json.dumps(PriceList().offer_file()))
    for path, value, removes in damages:
        part = document
        for key in path[:-1]:
            part = part.get(key) if isinstance(part, dict) else None
        if isinstance(part, dict) and path and path[-1] in part:
            if removes:
                del part[path[-1]]
            else:
                part[path[-1]] = value
    known = region_prices("us-east-1")
    try:
        row = region_row(read_offer_file(document), "us-east-1", known=known, today=TODAY)
    except PriceListError:
        return
    assert read_row("us-east-1", json.loads(json.dumps(row_document(row))), basis="refreshed") == row
    for name in ARCHITECTURES:
        (_, first), (_, old) = row.tiers[name][0], known.tiers[name][0]
        assert old / 3 <= first <= old * 3
