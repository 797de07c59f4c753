"""Drift over the runs, outliers among them, and the odds that a limit on duration is kept."""

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from powertune.analysis.drift import find_drift
from powertune.analysis.limits import needed_timeout_ms, odds_of_keeping, timeout_for
from powertune.analysis.outliers import find_outliers, robust_stddev
from powertune.model.invocation import Invocation
from powertune.model.size_profile import Counts, Distribution, Expected, SizeProfile


def runs(durations_ms: list[float], memory_mb: int = 512, payload: str | None = None) -> list[Invocation]:
    return [Invocation(memory_mb, duration_ms, payload=payload) for duration_ms in durations_ms]


# Drift.


def noisy(count: int, seed: int, spread: float = 0.02) -> list[float]:
    return list(100 * np.exp(spread * np.random.default_rng(seed).standard_normal(count)))


def test_runs_that_become_faster_are_told_with_how_much() -> None:
    slow, fast = noisy(10, 1), [0.9 * value for value in noisy(10, 2)]
    found = find_drift(runs([*slow, *fast]))
    assert found is not None
    assert found.change == pytest.approx(-0.1, abs=0.02)
    assert found.ci95[0] < found.change < found.ci95[1] < 0
    slower = find_drift(runs([*fast, *slow]))
    assert slower is not None
    assert slower.change > 0


def test_sizes_with_few_runs_each_are_told_together() -> None:
    together = [
        run for size in (128, 256, 512, 1024) for run in runs([*noisy(4, size), *(80 + 0 * x for x in range(4))], size)
    ]
    found = find_drift(together)
    assert found is not None
    assert found.change == pytest.approx(-0.2, abs=0.03)
    assert find_drift(together[:4]) is None


def test_a_single_stuck_run_neither_hides_a_drift_nor_feigns_one() -> None:
    slow, fast = noisy(12, 1), [0.9 * value for value in noisy(12, 2)]
    found = find_drift(runs([*slow, 5000.0, *fast]))
    assert found is not None
    assert found.change == pytest.approx(-0.1, abs=0.02)
    assert find_drift(runs([*noisy(12, 1), *noisy(12, 2), 5000.0])) is None


def test_steady_runs_hosts_and_payloads_in_turn_are_no_drift() -> None:
    assert find_drift(runs(noisy(40, 3))) is None
    first = [replace(run, environment="a") for run in runs(noisy(20, 4))]
    second = [replace(run, environment="b", duration_ms=1.2 * run.duration_ms) for run in runs(noisy(20, 5))]
    assert find_drift([*first, *second]) is None
    assert find_drift([*runs(noisy(20, 6), payload="a"), *runs([300.0] * 20, payload="b")]) is None


def test_cold_and_failed_runs_have_no_part_in_drift() -> None:
    cold = [Invocation(512, 900.0, cold=True) for _ in range(20)]
    failed = [Invocation(512, 1.0, status="failed") for _ in range(20)]
    assert find_drift([*cold, *runs(noisy(40, 3)), *failed]) is None


def test_a_drift_too_small_to_matter_is_not_told() -> None:
    tiny = [*noisy(200, 1, 0.001), *(0.99 * value for value in noisy(200, 2, 0.001))]
    assert find_drift(runs(tiny)) is None


def test_noise_is_seldom_taken_for_drift() -> None:
    told = sum(find_drift(runs(noisy(24, seed, 0.08))) is not None for seed in range(300))
    assert told <= 300 * 0.05 + 2 * (300 * 0.05 * 0.95) ** 0.5


# Outliers.


def test_runs_far_from_the_median_are_counted_with_their_share_of_the_cost() -> None:
    found = find_outliers(runs([100.0, 101.0, 99.0, 100.0, 102.0, 98.0, 100.0, 100.0, 100.0, 900.0]))
    assert found is not None
    assert found.count == 1
    assert found.cost_share == pytest.approx(0.5)


def test_a_slow_host_is_no_outlier_and_neither_is_a_payload_of_its_own_length() -> None:
    assert find_outliers(runs([100.0] * 9 + [120.0])) == find_outliers(runs([100.0] * 10))
    mixed = [*runs(noisy(20, 1), payload="small"), *runs([9 * value for value in noisy(8, 2)], payload="large")]
    found = find_outliers(mixed)
    assert found is not None
    assert found.count == 0


def test_of_a_few_runs_nobody_can_say_which_are_usual() -> None:
    assert find_outliers(runs([100.0, 100.0, 900.0])) is None
    assert find_outliers([]) is None


def test_wide_spread_makes_no_outliers() -> None:
    durations = list(np.exp(0.6 * np.random.default_rng(1).standard_normal(300)))
    found = find_outliers(runs(durations))
    assert found is not None
    assert found.count == 0


def test_the_robust_spread_is_that_of_the_bulk() -> None:
    values = noisy(1000, 1)
    assert robust_stddev(values) == pytest.approx(2, rel=0.1)
    assert robust_stddev([*values, *[1e6] * 20]) == pytest.approx(2, rel=0.1)


# The odds of a limit.


def test_many_runs_are_counted() -> None:
    durations, weights = [100.0] * 58 + [200.0] * 2, [1.0] * 60
    # 58 of 60 within: the chance of at most 58 successes in 61 trials at 0.95.
    chance = 1 - sum(math.comb(61, k) * 0.95**k * 0.05 ** (61 - k) for k in (59, 60, 61))
    assert odds_of_keeping(durations, weights, 150.0) == pytest.approx(chance)
    assert odds_of_keeping(durations, weights, 250.0) == pytest.approx(1 - 0.95**61)
    assert odds_of_keeping(durations, weights, 50.0) == pytest.approx(0, abs=1e-12)


def test_of_few_runs_the_logarithms_are_taken_for_normal() -> None:
    durations = [95.0, 100.0, 105.0, 98.0, 103.0]
    far, near, below = (odds_of_keeping(durations, [1.0] * 5, limit) or 0.0 for limit in (1000.0, 108.0, 90.0))
    assert far > 0.999
    assert 0.2 < near < 0.8
    assert below < 0.01
    # Hahn and Meeker's table of one-sided tolerance limits: with 5 runs, 95 % sure at 4.203 standard deviations.
    stddev = float(np.std(np.log(durations), ddof=1))
    limit = math.exp(float(np.mean(np.log(durations))) + 4.203 * stddev)
    assert odds_of_keeping(durations, [1.0] * 5, limit) == pytest.approx(0.95, abs=0.0005)
    assert odds_of_keeping([100.0], [1.0], 200.0) is None
    assert odds_of_keeping([100.0, 100.0], [1.0, 1.0], 100.0) == 1.0


def test_the_odds_are_right_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    truth = 100 * math.exp(0.1 * NormalDist().inv_cdf(0.95))
    for count in (5, 10, 100):
        # Over many samples with a limit that their true percentile just keeps, the odds spread evenly around a half.
        odds = [
            odds_of_keeping(list(100 * np.exp(0.1 * rng.standard_normal(count))), [1.0] * count, truth) or 0.0
            for _ in range(400)
        ]
        assert np.mean([value > 0.95 for value in odds]) < 0.08
        assert 0.35 < float(np.median(odds)) < 0.65


# The timeout.


def sized(p99: float | None, mean: float = 900.0) -> SizeProfile:
    return SizeProfile(512, invocations=Counts(10), duration_ms=Distribution(mean, p95=p99, p99=p99))


def test_the_timeout_has_room_above_the_slowest_run() -> None:
    assert needed_timeout_ms(sized(2000.0)) == pytest.approx(2600)
    assert timeout_for(sized(2000.0)) == 3
    assert timeout_for(sized(10.0, 8.0)) == 1
    assert timeout_for(sized(1e9)) == 900
    assert timeout_for(replace(sized(2000.0), expected=Expected(4000.0, None, 1e-6, None))) == 6


def test_without_a_tail_that_was_measured_no_timeout_is_suggested() -> None:
    assert timeout_for(sized(None)) is None
    assert timeout_for(replace(sized(2000.0), basis="scaled")) is None
    assert timeout_for(SizeProfile(512, "failed")) is None
