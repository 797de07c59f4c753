"""The monthly view: dollars a month at each size, what the recommendation saves, and how sure that is."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import resources
from types import TracebackType
from typing import Any

import jsonschema
import pytest

import powertune
from powertune.errors import PriceUnknownError, UsageError
from powertune.model.function_facts import FunctionFacts
from powertune.model.invocation import Invocation
from powertune.model.run_file import from_dict
from powertune.model.source import SourceFacts
from powertune.model.tuning_run import Spent
from powertune.report import Style, render, words

SCHEMA = json.loads(resources.files("powertune.model").joinpath("run-1.schema.json").read_text(encoding="utf-8"))
SAMPLES: dict[int, list[float]] = {512: [400.2, 410.2, 420.2, 405.2, 415.2, 410.2], 1024: [204.2, 200.2, 202.2, 206.2]}


def runs(samples: Mapping[int, Sequence[float]] = SAMPLES) -> list[Invocation]:
    return [Invocation(size, value, billed_ms=math.ceil(value)) for size, values in samples.items() for value in values]


def estimate(samples: Mapping[int, Sequence[float]] = SAMPLES, **options: Any) -> powertune.TuningRun:
    given: dict[str, Any] = {"current_memory_mb": 512, "strategy": "cost"} | options
    return powertune.estimate(runs(samples), **given)


def per_month(run: powertune.TuningRun, memory_mb: int) -> float:
    cost = run.size(memory_mb).cost
    assert cost is not None
    assert cost.per_month is not None
    return cost.per_month


def change_of(run: powertune.TuningRun) -> Any:
    assert run.recommendation.versus_current is not None
    return run.recommendation.versus_current


def test_a_size_costs_its_invocations_in_a_month() -> None:
    """Mean billed 411 ms at 0.5 GB: 0.2055 GB-s x 0.0000166667 + 0.0000002 = 0.00000362500685, 30 million times."""
    run = estimate(invocations_per_month=30_000_000)
    assert per_month(run, 512) == pytest.approx(108.7502055)
    # 1,024 MB: mean billed 204 ms, 0.204 x 0.0000166667 + 0.0000002 = 0.0000036000068.
    assert per_month(run, 1024) == pytest.approx(108.000204)
    assert change_of(run).per_month == pytest.approx(108.000204 - 108.7502055)


def test_without_a_number_of_invocations_nothing_is_said_of_months() -> None:
    run = estimate()
    assert change_of(run).per_month is None
    assert "month" not in run.to_json().replace("gb_seconds_per_month", "")
    assert words.saving(run) is None
    for name in ("table", "csv", "markdown"):
        assert "month" not in render(run, name).lower()


def test_the_interval_of_a_month_follows_that_of_the_duration() -> None:
    run = estimate(invocations_per_month=30_000_000)
    for size in run.sizes:
        assert size.cost is not None
        assert size.cost.ci95_per_month is not None
        assert size.cost.ci95_per_million is not None
        assert size.cost.ci95_per_month == pytest.approx([30 * end for end in size.cost.ci95_per_million])


def test_a_difference_of_measured_sizes_has_the_interval_of_a_difference_of_independent_means() -> None:
    run = estimate(invocations_per_month=30_000_000)
    change, halves = change_of(run), []
    for size in run.sizes:
        assert size.cost is not None
        assert size.cost.ci95_per_month is not None
        low, high = size.cost.ci95_per_month
        halves.append((high - low) / 2)
    low, high = change.ci95_per_month
    assert (low + high) / 2 == pytest.approx(change.per_month)
    assert (high - low) / 2 == pytest.approx(math.hypot(*halves))


def test_scaled_and_predicted_sizes_give_no_interval_of_their_difference() -> None:
    run = estimate({256: [800.0] * 5, 1024: [200.0, 201.0, 202.0]}, invocations_per_month=1e6, sizes=[512, 1024])
    assert run.size(512).basis == "interpolated"
    change = change_of(run)
    assert change.per_month is not None
    assert change.ci95_per_month is None


def test_tiers_apply_to_the_functions_own_usage_or_to_the_accounts() -> None:
    """1e11 x 0.204 GB-s = 20.4e9 GB-s: 100,000.2 + 135,000 + 5.4e9 x 0.0000133334 = 72,000.36, and 20,000 requests."""
    assert per_month(estimate(invocations_per_month=1e11), 1024) == pytest.approx(
        100_000.2 + 135_000 + 72_000.36 + 20_000
    )
    account = estimate(invocations_per_month=1e6, gb_seconds_per_month=12e9)
    assert per_month(account, 1024) == pytest.approx(204_000 * 0.00001583335 + 0.2)


def test_the_free_tier_is_taken_off_where_it_is_asked_for() -> None:
    run = estimate(invocations_per_month=3_000_000, free_tier=True)
    # 3 million x 0.204 = 612,000 GB-s, less 400,000; 2 million requests.
    assert per_month(run, 1024) == pytest.approx(212_000 * 0.0000166667 + 0.4)
    assert run.choice["free_tier"] == 1
    assert "less the free tier" in words.price_note(run)
    with pytest.raises(UsageError, match="free tier") as caught:
        estimate(free_tier=True)
    assert "--invocations-per-month" in caught.value.hint


@pytest.mark.parametrize("count", [-1, float("nan"), float("inf"), 1e30])
def test_a_number_of_invocations_that_is_none_is_refused(count: float) -> None:
    with pytest.raises(UsageError, match="invocations a month"):
        estimate(invocations_per_month=count)


class WithARate:
    """A recording that knows how often the function was called, once it has been read."""

    sizes: Sequence[int] = (512, 1024)

    def __init__(self, *, at_once: bool = True, runtime: str = "python3.13", kind: str = "recorded") -> None:
        rate = 2_000_000.0 if at_once else None
        self.facts = SourceFacts(
            kind=kind,
            billed=kind == "aws",
            function=FunctionFacts("orders", runtime, region="us-east-1"),
            invocations_per_month=rate,
        )

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def measure(self, plan: Mapping[int, int]) -> Iterator[Invocation]:
        assert plan
        yield from runs()
        self.facts = SourceFacts(
            kind=self.facts.kind,
            billed=self.facts.billed,
            function=self.facts.function,
            invocations_per_month=2_000_000.0,
        )


@pytest.mark.parametrize("at_once", [True, False])
def test_a_recorded_rate_counts_until_the_user_says_another(at_once: bool) -> None:  # noqa: FBT001 - a parameter
    run = powertune.tune(WithARate(at_once=at_once), current_memory_mb=512)
    assert run.choice["invocations_per_month"] == 2_000_000
    assert per_month(run, 1024) == pytest.approx(2 * 3.6000068)
    said = powertune.tune(WithARate(at_once=at_once), current_memory_mb=512, invocations_per_month=1_000_000)
    assert per_month(said, 1024) == pytest.approx(3.6000068)


# What is said.


def test_a_saving_is_told_with_its_interval_and_the_change_in_time() -> None:
    run = estimate({512: SAMPLES[512], 1024: [152.2, 150.2, 151.2, 153.2]}, invocations_per_month=30_000_000)
    said = words.saving(run)
    assert said is not None
    assert said.startswith("At 30,000,000 invocations a month it saves $")
    assert "(95 % interval: $" in said
    assert said.endswith("and is 63 % faster.")
    assert said in render(run, "table", Style(200))
    assert "it saves $" in render(run, "markdown")


def test_a_dearer_recommendation_says_what_it_costs_more() -> None:
    run = estimate({512: [400.2], 1024: [250.2]}, invocations_per_month=1_000_000, strategy="speed")
    # 0.251 against 0.2005 GB-s: 0.0505 x 16.6667.
    assert words.saving(run) == "At 1,000,000 invocations a month it costs $0.84 a month more and is 37 % faster."


CHEAPER = {512: SAMPLES[512], 1024: [152.2, 150.2, 151.2, 153.2]}  # 0.2055 against 0.1522 GB-s: $0.89 per million


@pytest.mark.parametrize(
    ("invocations", "when"),
    [
        (1_000_000_000, "within the hour"),
        (100_000, "in 8 hours"),
        (2_000, "in 17 days"),
        (5, "in over a year"),
    ],
)
def test_a_saving_says_when_it_has_earned_what_measuring_cost(invocations: int, when: str) -> None:
    run = replace(estimate(CHEAPER, invocations_per_month=invocations), spent=Spent(10, 0.001))
    assert (words.saving(run) or "").endswith(f"; the $0.0010 that measuring cost is earned back {when}.")


def test_what_is_never_earned_back_or_may_be_chance_is_not_promised() -> None:
    by_chance = replace(estimate(invocations_per_month=1000), spent=Spent(10, 0.001))
    said = words.saving(by_chance)
    assert said is not None
    assert "measuring" not in said
    never = estimate({512: [400.2], 1024: [250.2]}, invocations_per_month=1000, strategy="speed")
    said = words.saving(replace(never, spent=Spent(10, 0.001)))
    assert (said or "").endswith("; the $0.0010 that measuring cost is never earned back.")


def test_where_nothing_changes_nothing_is_claimed() -> None:
    same = estimate({512: [400.2], 1024: [200.2, 200.2]}, invocations_per_month=1000, free_tier=True)
    assert words.saving(same) == "At 1,000 invocations a month it costs the same and is 50 % faster."
    assert words.saving(estimate(current_memory_mb=1024, invocations_per_month=1000)) is None


def test_a_month_of_next_to_nothing_is_not_shown_as_nothing() -> None:
    run = estimate(invocations_per_month=1)
    shown = render(run, "table", Style(120))
    assert "$0.0000036" in shown
    assert "$0.00 " not in shown
    assert "$0.00\n" not in shown


@pytest.mark.parametrize(("width", "has_column"), [(120, True), (80, True), (72, True), (71, False), (56, False)])
def test_the_table_has_a_column_of_months_only_where_there_is_room(width: int, has_column: bool) -> None:  # noqa: FBT001 - a parameter
    shown = render(estimate(invocations_per_month=30_000_000), "table", Style(width))
    assert ("Per month" in shown) == has_column
    assert max(map(len, shown.splitlines())) <= width


def test_csv_and_markdown_have_a_column_of_months() -> None:
    run = estimate(invocations_per_month=30_000_000)
    head, first, *_ = render(run, "csv").splitlines()
    assert dict(zip(head.split(","), first.split(","), strict=True))["usd_per_month"] == "108.7502055"
    assert "| Cost per 1M | Per month | |" in render(run, "markdown")
    assert "| $108.75 |" in render(run, "markdown")


def test_the_run_file_has_months_in_its_currency_and_is_read_back() -> None:
    run = estimate(invocations_per_month=30_000_000, region="cn-north-1")
    document = run.to_dict()
    jsonschema.validate(document, SCHEMA)
    assert document["sizes"][0]["cost"]["cny_per_month"] == per_month(run, 512)
    change = document["recommendation"]["versus_current"]
    assert change["cny_per_month"] == change_of(run).per_month
    assert len(change["ci95_cny_per_month"]) == 2
    assert from_dict(json.loads(run.to_json())) == run


# How the function is paid for.


def test_a_discount_is_in_the_price_and_named() -> None:
    run = estimate(discount="0.17")
    assert run.pricing.per_gb_second == pytest.approx(0.0000166667 * 0.83)
    assert "a discount of 17 % in it" in words.price_note(run)


def test_provisioned_concurrency_is_in_the_price_and_its_break_even_is_named() -> None:
    run = estimate(provisioned=10, utilization=0.4)
    assert run.pricing.per_gb_second == pytest.approx(0.0000097222 + 0.0000041667 / 0.4)
    note = words.price_note(run)
    assert "10 provisioned environments in it, 40 % busy; cheaper than on demand from 60 % on" in note
    tokyo = estimate(provisioned=10, utilization=0.4, region="ap-northeast-1")
    assert "always dearer than on demand" in words.price_note(tokyo)


def test_large_events_and_the_edge_are_named() -> None:
    assert "3 requests an event" in words.price_note(estimate(event_kb=350))
    edge = estimate(edge=True, default_region="eu-west-1")
    assert (edge.pricing.region, edge.pricing.per_request) == ("us-east-1", 0.0000006)
    assert "Lambda@Edge" in words.price_note(edge)
    with pytest.raises(PriceUnknownError):
        estimate(edge=True, region="eu-west-1")


def test_the_output_of_alpt_has_no_request_fees_in_it_however_many_there_are() -> None:
    plain, large = (json.loads(render(estimate(event_kb=size), "alpt")) for size in (1, 1024))
    assert large["stats"] == plain["stats"]


def test_java_does_not_pay_for_snapshots() -> None:
    charged: dict[str, Any] = {"snapstart_versions": 1, "cold_start_rate": 0.1, "current_memory_mb": 512}
    python, java = (powertune.tune(WithARate(runtime=name), **charged) for name in ("python3.13", "java21"))
    # 10 % of 1 GB restored, 2 million times, and a snapshot kept for 2,628,000 s.
    difference = 2_000_000 * 0.1 * 0.0001397998 + 2_628_000 * 0.0000015046
    assert per_month(python, 1024) - per_month(java, 1024) == pytest.approx(difference)


def test_runs_are_paid_for_as_they_are_made_and_not_as_production_is() -> None:
    plain = powertune.tune(WithARate(kind="aws"), search="full")
    assert plain.spent.amount > 0
    ways: list[dict[str, Any]] = [
        {"edge": True},
        {"provisioned": 3, "utilization": 0.1},
        {"event_kb": 1024},
        {"snapstart_versions": 1, "cold_start_rate": 1.0},
        {"free_tier": True},
    ]
    for production in ways:
        run = powertune.tune(WithARate(kind="aws"), search="full", **production)
        assert run.spent == plain.spent
        assert run.size(512).cost != plain.size(512).cost
    cheaper = powertune.tune(WithARate(kind="aws"), search="full", discount=0.5)
    assert cheaper.spent.amount < plain.spent.amount
