"""From runs to the profile of a size, against figures worked out by hand."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from powertune.analysis.intervals import t95
from powertune.analysis.statistics import (
    missing_payloads,
    profile_prediction,
    profile_size,
    summarise,
    weighted_percentiles,
)
from powertune.aws_lambda.pricing import Rates, find_prices, rates_for
from powertune.model.invocation import Aggregate, Invocation, Status
from powertune.model.size_profile import Cost, Counts, Distribution, InitTime, SizeProfile

PER_GB_SECOND, PER_REQUEST = 0.0000166667, 0.0000002
RATES = rates_for(find_prices("us-east-1", "x86_64"))


def run(
    duration_ms: float, *, billed_ms: float | None = None, init_ms: float | None = None, used_mb: float | None = None
) -> Invocation:
    return Invocation(1024, duration_ms, billed_ms, init_ms, used_mb, cold=init_ms is not None)


def failure(status: Status, error: str | None = None, used_mb: float | None = None) -> Invocation:
    return Invocation(1024, 5.0, max_memory_used_mb=used_mb, status=status, error=error)


def profile(*invocations: Invocation, aggregates: tuple[Aggregate, ...] = (), rates: Rates = RATES) -> SizeProfile:
    return profile_size(1024, invocations, aggregates, rates=rates)


def duration_of(size: SizeProfile) -> Distribution:
    assert size.duration_ms is not None
    return size.duration_ms


def cost_of(size: SizeProfile) -> Cost:
    assert size.cost is not None
    return size.cost


def usd_at_1_gb(billed_ms: float) -> float:
    return billed_ms / 1000 * PER_GB_SECOND + PER_REQUEST


# Distributions.


def test_a_distribution_is_what_a_textbook_gives() -> None:
    summary = summarise([40.0, 10.0, 30.0, 20.0])
    assert summary.mean == 25
    assert summary.p50 == 25  # half way from 20 to 30
    assert summary.p95 == pytest.approx(38.5)  # rank 0.95 x 3 = 2.85: 30 + 0.85 x 10
    assert summary.p99 == pytest.approx(39.7)  # rank 2.97
    spread = math.sqrt((15**2 + 5**2 + 5**2 + 15**2) / 3)
    assert summary.stddev == pytest.approx(spread)
    half = 3.182 * spread / 2  # t of 3 degrees of freedom, over the root of 4
    assert summary.ci95 == pytest.approx((25 - half, 25 + half))


def test_one_duration_has_a_middle_but_no_tail_and_no_spread() -> None:
    assert summarise([12.5]) == Distribution(12.5, p50=12.5)


def test_equal_durations_have_no_spread_and_an_interval_without_width() -> None:
    assert summarise([7.0, 7.0, 7.0]) == Distribution(7.0, 7.0, 7.0, 7.0, 0.0, (7.0, 7.0), 0.0)


def test_an_interval_does_not_reach_below_nothing() -> None:
    low, high = summarise([1.0, 99.0]).ci95 or (-1.0, -1.0)
    assert low == 0
    assert high == pytest.approx(50 + 12.706 * statistics.stdev([1, 99]) / math.sqrt(2))


def test_no_durations_cannot_be_summarised() -> None:
    with pytest.raises(ValueError, match="no durations"):
        summarise([])


def test_the_order_of_durations_does_not_matter_to_the_last_bit() -> None:
    durations_ms = [0.1 * 1.7**exponent for exponent in range(30)]
    assert summarise(durations_ms) == summarise(durations_ms[::-1])


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    [(1, 12.706), (2, 4.303), (4, 2.776), (9, 2.262), (29, 2.045), (30, 2.042)],
)
def test_small_samples_have_the_quantiles_of_the_tables(degrees: int, quantile: float) -> None:
    assert t95(degrees) == quantile


@pytest.mark.parametrize(
    ("degrees", "quantile"), [(31, 2.040), (40, 2.021), (60, 2.000), (120, 1.980), (1000, 1.962), (10**9, 1.960)]
)
def test_large_samples_have_the_quantiles_of_the_tables_within_two_thousandths(degrees: int, quantile: float) -> None:
    assert t95(degrees) == pytest.approx(quantile, abs=0.0026)


def test_quantiles_only_fall_with_more_samples() -> None:
    quantiles = [t95(degrees) for degrees in range(1, 200)]
    assert quantiles == sorted(quantiles, reverse=True)
    assert len(set(quantiles)) == len(quantiles)


def test_a_quantile_of_part_of_a_degree_lies_between_its_neighbours() -> None:
    assert t95(1.5) == pytest.approx((12.706 + 4.303) / 2)
    assert t95(29.5) == pytest.approx((2.045 + 2.042) / 2)
    quantiles = [t95(degrees / 10) for degrees in range(10, 400)]
    assert quantiles == sorted(quantiles, reverse=True)


# Profiles of runs.


def test_warm_runs_make_the_duration_and_the_cost() -> None:
    size = profile(run(100.2), run(200.4))
    assert (size.memory_mb, size.status, size.basis, size.reason) == (1024, "ok", "measured", None)
    assert size.invocations == Counts(warm=2)
    assert duration_of(size) == summarise([100.2, 200.4])
    # 101 and 201 ms are billed: 151 on average.
    assert cost_of(size).per_invocation == pytest.approx(usd_at_1_gb(151))
    assert cost_of(size).per_million == pytest.approx(usd_at_1_gb(151) * 1e6)
    assert cost_of(size).currency == "USD"


def test_the_interval_of_the_cost_is_that_of_the_duration_in_money() -> None:
    size = profile(run(100.0), run(110.0), run(120.0))
    low_ms, high_ms = duration_of(size).ci95 or (0.0, 0.0)
    low, high = cost_of(size).ci95_per_million or (0.0, 0.0)
    assert low == pytest.approx((usd_at_1_gb(110) - (110 - low_ms) / 1000 * PER_GB_SECOND) * 1e6)
    assert high == pytest.approx((usd_at_1_gb(110) + (high_ms - 110) / 1000 * PER_GB_SECOND) * 1e6)


def test_cold_runs_do_not_count_beside_warm_ones_but_tell_of_init() -> None:
    size = profile(run(100.0), run(900.0, init_ms=200.0), run(800.0, init_ms=300.0))
    assert size.invocations == Counts(warm=1, cold=2)
    assert duration_of(size).mean == 100
    assert size.init_ms is not None
    assert size.init_ms.mean == 250
    assert size.init_ms.p95 == pytest.approx(295)  # rank 0.95 between 200 and 300
    assert cost_of(size).per_invocation == pytest.approx(usd_at_1_gb(100))


def test_cold_runs_alone_stand_in_without_the_init_that_was_billed() -> None:
    size = profile(run(2715.86, billed_ms=3087, init_ms=370.72))
    assert size.invocations == Counts(cold=1)
    assert duration_of(size).mean == 2715.86
    assert cost_of(size).per_invocation == pytest.approx(usd_at_1_gb(2716))


def test_a_logged_billed_duration_is_believed_where_it_only_rounds_up() -> None:
    # 22.00 is printed for 22.00x: AWS bills 23.
    assert cost_of(profile(run(22.00, billed_ms=23))).per_invocation == pytest.approx(usd_at_1_gb(23))


def test_a_billed_duration_in_steps_of_100_ms_is_of_another_time() -> None:
    assert cost_of(profile(run(3.89, billed_ms=100))).per_invocation == pytest.approx(usd_at_1_gb(4))


def test_a_billed_duration_below_the_duration_is_not_believed() -> None:
    assert cost_of(profile(run(103.4, billed_ms=3))).per_invocation == pytest.approx(usd_at_1_gb(104))


@pytest.mark.parametrize("cold_start_rate", [0.0, 0.01, 1.0])
def test_cold_starts_cost_their_share_of_init(cold_start_rate: float) -> None:
    rates = rates_for(find_prices("us-east-1", "x86_64"), cold_start_rate=cold_start_rate)
    size = profile(run(100.0), run(400.0, init_ms=500.0), rates=rates)
    assert cost_of(size).per_invocation == pytest.approx(usd_at_1_gb(100 + cold_start_rate * 500))


def test_a_cold_start_rate_without_known_init_costs_nothing() -> None:
    assert profile(run(100.0), rates=replace(RATES, cold_start_rate=0.5)) == profile(run(100.0))


def test_a_cost_is_in_the_currency_of_its_prices() -> None:
    rates = rates_for(find_prices("cn-north-1", "x86_64"))
    cost = cost_of(profile(run(1000.0), rates=rates))
    assert cost.currency == "CNY"
    assert cost.per_invocation == pytest.approx(0.000113477 + 0.00000136)
    with pytest.raises(ValueError, match="CNY"):
        _ = cost.usd_per_million


def test_a_cost_in_dollars_can_be_asked_for_by_that_name() -> None:
    cost = cost_of(profile(run(1000.0)))
    assert cost.usd_per_invocation == cost.per_invocation
    assert cost.usd_per_million == cost.per_million


def test_storage_is_part_of_the_cost() -> None:
    rates = rates_for(find_prices("us-east-1", "x86_64"), ephemeral_storage_mb=1536)
    cost = cost_of(profile(run(1000.0), rates=rates))
    assert cost.per_invocation == pytest.approx(float(Decimal("0.0000166667") + Decimal("3.09e-8")) + PER_REQUEST)


def test_the_most_memory_used_counts_over_all_runs_failed_ones_too() -> None:
    size = profile(run(10.0, used_mb=60), run(10.0, used_mb=80), failure("failed", used_mb=90), run(10.0))
    assert size.max_memory_used_mb == 90
    assert profile(run(10.0)).max_memory_used_mb is None


def test_the_order_of_runs_does_not_matter() -> None:
    runs = [run(0.1 * 1.3**step, init_ms=step * 0.7 if step % 5 == 0 else None) for step in range(20)]
    forwards, backwards = profile(*runs), profile(*runs[::-1])
    assert duration_of(forwards) == duration_of(backwards)
    assert cost_of(forwards).per_million == pytest.approx(cost_of(backwards).per_million, rel=1e-14)


# Execution environments.


def runs_by_host(**durations_ms: Sequence[float]) -> list[Invocation]:
    return [
        Invocation(1024, duration_ms, environment=host)
        for host, values in durations_ms.items()
        for duration_ms in values
    ]


def half_width_ms(runs: Iterable[Invocation]) -> float:
    duration = duration_of(profile(*runs))
    assert duration.ci95 is not None
    return duration.ci95[1] - duration.mean


def unknown(runs: Iterable[Invocation]) -> list[Invocation]:
    return [replace(run, environment=None) for run in runs]


def test_runs_that_share_a_host_tell_no_more_than_the_host() -> None:
    runs = runs_by_host(a=[88, 92], b=[98, 102], c=[108, 112])
    # Between hosts 2 x (10² + 0 + 10²) of 2 degrees: 200 is the variance of a run as far as the mean is concerned.
    assert half_width_ms(runs) == pytest.approx(4.303 * math.sqrt(200 / 6))
    assert half_width_ms(unknown(runs)) == pytest.approx(2.571 * math.sqrt(424 / 5 / 6))


def test_the_interval_alone_knows_of_environments() -> None:
    runs = runs_by_host(a=[88, 92], b=[98, 102], c=[108, 112])
    assert replace(duration_of(profile(*runs)), ci95=None) == replace(duration_of(profile(*unknown(runs))), ci95=None)


def test_hosts_that_hardly_differ_cost_few_degrees_of_freedom() -> None:
    runs = runs_by_host(a=[97.5, 97.5, 100.5, 100.5], b=[98.5, 98.5, 101.5, 101.5], c=[99.5, 99.5, 102.5, 102.5])
    # Between hosts 8 of 2 degrees, within 27 of 9, in all 35 of 11: the effect is 4 / (35 / 11).
    degrees = 12 / (4 / (35 / 11)) ** 2 - 1
    assert 6 < degrees < 7
    assert half_width_ms(runs) == pytest.approx((2.447 + (degrees - 6) * (2.365 - 2.447)) * math.sqrt(4 / 12))


def test_hosts_that_do_not_differ_leave_the_interval_alone() -> None:
    runs = runs_by_host(a=[98, 102], b=[99, 101], c=[97, 103])
    assert profile(*runs) == profile(*unknown(runs))


def test_a_host_that_ran_most_of_the_runs_counts_for_most() -> None:
    runs = runs_by_host(a=[97, 99, 99, 101], b=[101, 103])
    # Between hosts 12 of 1 degree, within 10 of 4; a host has (6 - 20 / 6) / 1 runs, an average run 20 / 6 beside it.
    between = (12 - 2.5) / (6 - 20 / 6)
    assert half_width_ms(runs) == pytest.approx(12.706 * math.sqrt((2.5 + between * 20 / 6) / 6))


@pytest.mark.parametrize(
    "hosts",
    [
        {"a": [90], "b": [100], "c": [110], "d": [120]},  # one run each: independent as they are
        {"a": [90, 100, 110, 120]},  # nothing to compare the host with
        {"a": [90, 100], "b": [110], "c": [120]},  # one repeat does not tell what a host repeats
    ],
)
def test_environments_that_cannot_be_told_apart_from_chance_leave_the_interval_alone(
    hosts: dict[str, list[float]],
) -> None:
    runs = runs_by_host(**hosts)
    assert profile(*runs) == profile(*unknown(runs))


def test_runs_of_unknown_environment_widen_as_the_known_ones() -> None:
    known = runs_by_host(a=[88, 92], b=[98, 102], c=[108, 112])
    others = unknown(runs_by_host(a=[88, 92], b=[98, 102], c=[108, 112]))
    effect = 200 / (424 / 5)
    assert 12 / effect**2 - 1 < 2  # so that the 2 degrees of three hosts are left
    assert half_width_ms([*known, *others]) == pytest.approx(4.303 * math.sqrt(effect * 848 / 11 / 12))


def test_equal_durations_have_an_interval_without_width_on_any_hosts() -> None:
    assert half_width_ms(runs_by_host(a=[7, 7], b=[7, 7], c=[7, 7])) == 0
    assert half_width_ms(runs_by_host(a=[0, 0], b=[0, 0], c=[0, 0])) == 0


# Weighted payloads.


def runs_of(**durations_ms: Sequence[float]) -> list[Invocation]:
    return [
        Invocation(1024, duration_ms, payload=payload)
        for payload, values in durations_ms.items()
        for duration_ms in values
    ]


def mixture(runs: Sequence[Invocation], weights: Mapping[str, float], trim: float = 0.0) -> SizeProfile:
    return profile_size(1024, runs, rates=RATES, payload_weights=weights, trim=trim)


def test_payloads_count_by_their_weights_and_not_by_their_runs() -> None:
    size = mixture(runs_of(small=[10, 12], large=[100, 110, 120]), {"small": 3, "large": 1})
    duration = duration_of(size)
    assert duration.mean == pytest.approx(0.75 * 11 + 0.25 * 110)
    assert duration.stddev == pytest.approx(math.sqrt(0.75 * (2 + 24.75**2) + 0.25 * (100 + 74.25**2)))
    small, large = 0.75**2 * 2 / 2, 0.25**2 * 100 / 3
    degrees = (small + large) ** 2 / (small**2 / 1 + large**2 / 2)
    assert 2 < degrees < 3
    half_ms = (4.303 + (degrees - 2) * (3.182 - 4.303)) * math.sqrt(small + large)
    assert duration.ci95 == pytest.approx((35.75 - half_ms, 35.75 + half_ms))
    assert size.invocations == Counts(warm=5)
    assert cost_of(size).per_invocation == pytest.approx(usd_at_1_gb(35.75))


def test_weighted_percentiles_are_means_over_a_window_as_wide_as_a_typical_value() -> None:
    # Shares 36, 36, 8, 8, 8 of 96 are worth 96 / 29 values. The window at one half starts at (96 / 29 - 1) / 2 of them
    # and is one wide; the first value ends at 36 / 29.
    first = 36 / 29 - (96 / 29 - 1) / 2
    (middle,) = weighted_percentiles([100, 10, 120, 12, 110], [8, 36, 8, 36, 8], [0.5])
    assert middle == pytest.approx(first * 10 + (1 - first) * 12)
    assert weighted_percentiles([3, 1, 2], [1, 5, 1], [0.0, 1.0]) != [1, 3]  # a value is less than a typical one
    assert weighted_percentiles([7, 1, 9], [1, 0, 0], [0.0, 0.5, 1.0]) == [7, 7, 7]


def test_percentiles_of_a_mixture_are_weighted() -> None:
    duration = duration_of(mixture(runs_of(small=[10, 12], large=[100, 110, 120]), {"small": 3, "large": 1}))
    expected = weighted_percentiles([10, 12, 100, 110, 120], [36, 36, 8, 8, 8], [0.5, 0.95, 0.99])
    assert [duration.p50, duration.p95, duration.p99] == pytest.approx(expected)


def test_a_payload_that_ran_once_spreads_like_the_others_in_proportion() -> None:
    duration = duration_of(mixture(runs_of(small=[10, 12], large=[110]), {"small": 1, "large": 1}))
    small, large = 0.5**2 * 2 / 2, 0.5**2 * 200  # the variance of ten times as long a run is a hundred times as large
    degrees = (small + large) ** 2 / (small**2 + large**2)
    half_ms = (12.706 + (degrees - 1) * (4.303 - 12.706)) * math.sqrt(small + large)
    assert duration.ci95 == pytest.approx((0, 60.5 + half_ms))
    assert duration.stddev == pytest.approx(math.sqrt(0.5 * 2 + 0.5 * 200 + 49.5**2))


def test_payloads_that_all_ran_once_have_a_mean_and_no_spread() -> None:
    duration = duration_of(mixture(runs_of(small=[10], large=[110]), {"small": 3, "large": 1}))
    assert (duration.mean, duration.stddev, duration.ci95) == (35, None, None)


def test_a_payload_without_runs_leaves_its_weight_to_the_others() -> None:
    weights = {"small": 2, "large": 2, "huge": 6}
    assert duration_of(mixture(runs_of(small=[10, 12], large=[100, 110]), weights)).mean == 58
    alone = duration_of(mixture(runs_of(small=[10, 12], other=[1000]), weights))
    assert alone == summarise([10, 12])


@pytest.mark.parametrize("weights", [{}, {"small": 1}, {"small": 1, "large": 0}, {"elsewhere": 1, "nowhere": 1}])
def test_weights_that_weigh_nothing_against_each_other_change_nothing(weights: dict[str, float]) -> None:
    runs = runs_of(small=[10, 12], large=[110])
    assert mixture(runs, weights) == mixture(runs, {})


def test_hosts_widen_the_interval_of_a_mixture_too() -> None:
    slow = {"a": 0.9, "b": 1.0, "c": 1.1}
    runs = [
        Invocation(1024, base_ms * share * factor, payload=payload, environment=host)
        for payload, base_ms in (("small", 10), ("large", 100))
        for host, share in slow.items()
        for factor in (0.99, 1.01)
    ]
    weights = {"small": 0.9, "large": 0.1}
    low, high = duration_of(mixture(runs, weights)).ci95 or (0.0, 0.0)
    # Hosts are slower for both payloads alike: it is as if three means of 0.9, 1 and 1.1 times 19 ms were known.
    assert (high - low) / 2 == pytest.approx(4.303 * 1.9 / math.sqrt(3), rel=0.01)
    assert duration_of(mixture(unknown(runs), weights)).mean == duration_of(mixture(runs, weights)).mean


def test_weighted_payloads_without_a_run_that_counts_are_named() -> None:
    weights = {"small": 1, "large": 1, "huge": 2, "never": 0}
    failed = Invocation(1024, 5.0, payload="huge", status="failed")
    cold = Invocation(1024, 5.0, payload="large", cold=True)
    runs = runs_of(small=[10])
    assert missing_payloads([*runs, cold, failed], weights) == ["huge", "large"]
    assert missing_payloads([*runs_of(small=[10], large=[20]), failed], weights) == ["huge"]
    assert missing_payloads([cold, failed], weights) == ["huge", "small"]


def test_no_payload_is_missing_where_none_has_a_run_or_a_rival() -> None:
    assert missing_payloads(runs_of(other=[10]), {"small": 1, "large": 1}) == []
    assert missing_payloads(runs_of(small=[10]), {"small": 1}) == []
    assert missing_payloads(runs_of(small=[10], large=[10]), {"small": 1, "large": 1}) == []


# Trimming.


def test_trimming_drops_the_same_runs_from_duration_and_cost() -> None:
    runs = [run(duration_ms) for duration_ms in range(2, 10)]
    size = mixture([run(1.0, billed_ms=2.0, used_mb=90), *runs, run(1000.0, init_ms=None)], {}, trim=0.1)
    duration = duration_of(size)
    assert duration.mean == 5.5
    assert duration.stddev == pytest.approx(math.sqrt(6))
    assert duration.p50 == 5.5
    assert size.invocations == Counts(warm=10)
    assert size.max_memory_used_mb == 90
    assert cost_of(size).per_invocation == pytest.approx(usd_at_1_gb(5.5))


def test_the_interval_of_a_trimmed_mean_draws_the_dropped_runs_in() -> None:
    duration = duration_of(mixture([run(duration_ms) for duration_ms in range(1, 11)], {}, trim=0.1))
    # 2, 2, 3 ... 8, 9, 9 have squares of 66.5 around 5.5; 10 runs of which 8 are left have 7 degrees of freedom.
    half_ms = 2.365 * math.sqrt(66.5 / 9 * 10) / 8
    assert duration.ci95 == pytest.approx((5.5 - half_ms, 5.5 + half_ms))


def test_as_many_runs_are_dropped_at_each_end_as_are_whole_in_the_share() -> None:
    runs = [run(duration_ms) for duration_ms in (1, 2, 3, 4, 500)]
    assert duration_of(mixture(runs, {}, trim=0.19)).mean == 102
    assert duration_of(mixture(runs, {}, trim=0.2)).mean == 3
    assert duration_of(mixture(runs, {}, trim=0.49)) == Distribution(3.0, p50=3.0)
    assert duration_of(mixture(runs[:2], {}, trim=0.49)).mean == 1.5


@pytest.mark.parametrize("weights", [{}, {"small": 1, "large": 1}])
def test_each_payload_is_trimmed_by_itself(weights: dict[str, float]) -> None:
    runs = runs_of(small=[1, 10, 10, 10, 30], large=[100, 200, 200, 200, 900])
    assert duration_of(mixture(runs, weights, trim=0.2)).mean == pytest.approx(105)


@pytest.mark.parametrize("trim", [-0.1, 0.5, 1.0, math.nan])
def test_a_share_that_leaves_nothing_cannot_be_trimmed(trim: float) -> None:
    with pytest.raises(ValueError, match="no share to trim"):
        mixture([run(1.0)], {}, trim=trim)


# Failures.


def test_failed_runs_are_counted_and_give_no_duration() -> None:
    size = profile(run(100.0), failure("timed-out"), failure("failed"))
    assert size.status == "ok"
    assert size.invocations == Counts(warm=1, failed=2)
    assert duration_of(size).mean == 100


def test_a_size_at_which_nothing_succeeded_has_its_most_frequent_failure() -> None:
    size = profile(
        failure("timed-out", "timeout"),
        failure("out-of-memory", "Runtime.OutOfMemory", used_mb=1024),
        failure("out-of-memory", "Runtime.OutOfMemory"),
    )
    assert (size.status, size.reason) == ("out-of-memory", "Runtime.OutOfMemory")
    assert size.invocations == Counts(failed=3)
    assert (size.duration_ms, size.cost, size.max_memory_used_mb) == (None, None, 1024)


def test_a_size_without_runs_is_unavailable() -> None:
    size = profile()
    assert (size.status, size.reason) == ("unavailable", "nothing was recorded at this size")
    assert size.invocations == Counts()


# Recorded summaries.


def test_a_single_summary_keeps_its_percentiles() -> None:
    size = profile(aggregates=(Aggregate(1024, 100.0, 50, 10.0, 98.0, 130.0, 150.0),))
    half = t95(49) * 10 / math.sqrt(50)
    assert duration_of(size) == Distribution(100.0, 98.0, 130.0, 150.0, 10.0, (100 - half, 100 + half))
    assert size.invocations == Counts(warm=50)


def test_a_summary_without_spread_has_no_interval() -> None:
    size = profile(aggregates=(Aggregate(1024, 100.0, 50),))
    assert duration_of(size) == Distribution(100.0)
    assert cost_of(size).ci95_per_million is None


def test_two_summaries_are_pooled_as_if_their_runs_were_there() -> None:
    one, two = [10.0, 20.0], [30.0, 45.0, 60.0]
    aggregates = tuple(
        Aggregate(1024, statistics.mean(runs), len(runs), statistics.stdev(runs), p95_ms=59.0) for runs in (one, two)
    )
    pooled, expected = duration_of(profile(aggregates=aggregates)), summarise([*one, *two])
    assert pooled.mean == pytest.approx(expected.mean)
    assert pooled.stddev == pytest.approx(expected.stddev)
    assert pooled.ci95 == pytest.approx(expected.ci95)
    assert (pooled.p50, pooled.p95, pooled.p99) == (None, None, None)


def test_a_summary_and_runs_are_pooled_likewise() -> None:
    one, two = [10.0, 20.0], [30.0, 45.0, 60.0]
    aggregate = Aggregate(1024, statistics.mean(one), len(one), statistics.stdev(one))
    size = profile(*(run(duration_ms) for duration_ms in two), aggregates=(aggregate,))
    assert duration_of(size).stddev == pytest.approx(statistics.stdev([*one, *two]))
    assert size.invocations == Counts(warm=5)


def test_pooling_weighs_by_the_number_of_runs_and_needs_every_spread() -> None:
    size = profile(aggregates=(Aggregate(1024, 100.0, 9, 5.0), Aggregate(1024, 200.0, 1)))
    assert duration_of(size) == Distribution(110.0)


def test_a_mean_is_billed_with_the_half_millisecond_that_rounding_adds() -> None:
    assert cost_of(profile(aggregates=(Aggregate(1024, 100.2, 50),))).per_invocation == pytest.approx(
        usd_at_1_gb(100.7)
    )
    assert cost_of(profile(aggregates=(Aggregate(1024, 0.2, 50),))).per_invocation == pytest.approx(usd_at_1_gb(1))


def test_a_summary_of_one_run_is_rounded_up_like_a_run() -> None:
    assert cost_of(profile(aggregates=(Aggregate(1024, 100.2),))).per_invocation == pytest.approx(usd_at_1_gb(101))


def test_summaries_of_cold_runs_stand_in_only_where_nothing_was_warm() -> None:
    cold = Aggregate(1024, 900.0, 4, init_ms=300.0, cold=True)
    beside = profile(run(100.0), aggregates=(cold,))
    assert (duration_of(beside).mean, beside.invocations) == (100, Counts(warm=1, cold=4))
    assert beside.init_ms == InitTime(300.0)
    alone = profile(aggregates=(cold,))
    assert (duration_of(alone).mean, alone.invocations) == (900, Counts(cold=4))


def test_cold_runs_do_not_count_beside_warm_summaries() -> None:
    size = profile(run(900.0, init_ms=300.0), aggregates=(Aggregate(1024, 100.0, 10),))
    assert (duration_of(size).mean, size.invocations) == (100, Counts(warm=10, cold=1))


# Predictions.


def test_a_prediction_has_a_mean_and_the_init_and_memory_of_its_neighbour() -> None:
    neighbour = profile(run(100.0, used_mb=80), run(300.0, init_ms=200.0))
    size = profile_prediction(2048, Distribution(60.0), "interpolated", neighbour, rates=RATES)
    assert (size.memory_mb, size.status, size.basis) == (2048, "ok", "interpolated")
    assert size.duration_ms == Distribution(60.0)
    assert (size.init_ms, size.max_memory_used_mb) == (neighbour.init_ms, 80)
    assert size.invocations == Counts()
    assert cost_of(size).per_invocation == pytest.approx(60.5 / 1000 * 2 * PER_GB_SECOND + PER_REQUEST)
    assert cost_of(size).ci95_per_million is None


def test_a_prediction_is_billed_at_least_a_millisecond() -> None:
    size = profile_prediction(1024, Distribution(0.1), "extrapolated", profile(run(0.2)), rates=RATES)
    assert cost_of(size).per_invocation == pytest.approx(usd_at_1_gb(1))


def test_summaries_of_failed_runs_are_counted_by_their_runs_and_give_no_duration() -> None:
    failed = Aggregate(1024, 9000.0, count=7, status="timed-out", error="timeout", max_memory_used_mb=300.0)
    size = profile(aggregates=(Aggregate(1024, 10.0, count=40, max_memory_used_mb=90.0), failed))
    assert size.invocations == Counts(40, 0, 7)
    assert duration_of(size).mean == 10
    assert size.max_memory_used_mb == 300


def test_a_size_of_failed_summaries_has_the_status_of_most_runs() -> None:
    rare = Aggregate(1024, 10.0, count=2, status="timed-out", error="timeout")
    usual = Aggregate(1024, 20.0, count=30, status="out-of-memory", error="Runtime.OutOfMemory")
    size = profile(failure("timed-out", "timeout"), aggregates=(rare, usual))
    assert (size.status, size.reason) == ("out-of-memory", "Runtime.OutOfMemory")
    assert size.invocations == Counts(0, 0, 33)


@pytest.mark.parametrize(
    ("billed_ms", "expected_ms"),
    [
        (10.9, 10.9),  # known to the last millisecond
        (None, 10.75),  # half a millisecond for rounding up
        (110.25, 10.75),  # holds init, or comes from the time of 100 ms steps
        (9.0, 10.75),  # cannot be
    ],
)
def test_what_a_summary_says_was_billed_counts_where_it_only_rounds_up(
    billed_ms: float | None, expected_ms: float
) -> None:
    size = profile(aggregates=(Aggregate(1024, 10.25, count=8, billed_ms=billed_ms),))
    assert cost_of(size).usd_per_invocation == pytest.approx(usd_at_1_gb(expected_ms))


# How often intervals hold the mean.


@pytest.mark.parametrize(("spread", "counts"), [(0.08, (2, 5, 10, 40)), (0.6, (10, 40))])
def test_intervals_hold_the_mean_about_as_often_as_they_say(spread: float, counts: tuple[int, ...]) -> None:
    rng = np.random.default_rng(2)
    for count in counts:
        samples = np.exp(spread * rng.standard_normal((1500, count)) - spread**2 / 2)
        ends = [summarise(sample.tolist()).ci95 or (0.0, 0.0) for sample in samples]
        covered = sum(low <= 1 <= high for low, high in ends) / len(ends)
        assert 0.925 <= covered <= 0.975, count  # 93 to 97 %, and a standard error of the simulation


def test_the_interval_of_a_skewed_sample_reaches_further_to_the_side_of_its_tail() -> None:
    low, high = summarise([100.0] * 12 + [400.0]).ci95 or (0.0, 0.0)
    mean = (12 * 100 + 400) / 13
    assert high - mean > 2 * (mean - low)
    mirrored = summarise([400.0] * 12 + [100.0]).ci95 or (0.0, 0.0)
    assert (500 - mirrored[1], 500 - mirrored[0]) == pytest.approx((low, high))


def test_a_small_sample_is_not_asked_for_its_skewness() -> None:
    low, high = summarise([100.0] * 8 + [400.0]).ci95 or (0.0, 0.0)
    assert (low + high) / 2 == pytest.approx((8 * 100 + 400) / 9)


def test_outliers_and_the_odds_of_a_limit_are_in_the_profile() -> None:
    runs = [Invocation(1024, value) for value in [100.0] * 19 + [900.0]]
    profile = profile_size(1024, runs, rates=RATES, limit_ms=500)
    assert profile.outliers is not None
    assert profile.outliers.count == 1
    assert profile.limit_odds is not None
    assert profile_size(1024, runs, rates=RATES).limit_odds is None
