"""Durations at any memory size from a few measured ones."""

import math
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from powertune.analysis.duration_model import DurationModel, Evidence, knows_parallel_speed, predict
from powertune.aws_lambda.cpu import MB_PER_VCPU, wall_time_ms

GRID = (128, 256, 512, 1024, 1769, 3008)


def computing_ms(memory_mb: int, cpu_ms: float = 1000.0, wait_ms: float = 0.0) -> float:
    return wait_ms + cpu_ms / min(1.0, memory_mb / MB_PER_VCPU)


def evidence(durations_ms: dict[int, float], variance: float = 1e-4) -> list[Evidence]:
    return [Evidence(size, duration_ms, variance) for size, duration_ms in durations_ms.items()]


@pytest.mark.parametrize(("cpu_ms", "wait_ms"), [(1000.0, 0.0), (0.001, 300.0), (500.0, 200.0), (100.0, 900.0)])
def test_work_and_waiting_are_predicted_from_three_sizes(cpu_ms: float, wait_ms: float) -> None:
    known = {size: computing_ms(size, cpu_ms, wait_ms) for size in (128, 512, 1769)}
    for size, found in predict(evidence(known), [256, 384, 768, 1024, 1536]).items():
        assert found.duration_ms == pytest.approx(computing_ms(size, cpu_ms, wait_ms), rel=0.06)
        low_ms, high_ms = found.duration_ci95_ms
        assert low_ms < computing_ms(size, cpu_ms, wait_ms) < high_ms


def test_thrash_at_small_sizes_is_told_from_work() -> None:
    def thrashing_ms(memory_mb: int) -> float:
        return 100 + 20 * (MB_PER_VCPU / memory_mb) ** 2 / 10

    known = {size: thrashing_ms(size) for size in (128, 256, 512, 1769)}
    found = predict(evidence(known), [192])[192]
    assert found.duration_ms == pytest.approx(thrashing_ms(192), rel=0.1)


def test_what_lies_above_one_vcpu_is_unknown_until_it_is_measured() -> None:
    below = {size: computing_ms(size) for size in (128, 512, 1769)}
    unsure = predict(evidence(below), [3008])[3008].duration_ci95_ms
    # It may be as fast as with a single thread, or faster by all that a second one can do.
    assert unsure[0] < 1000 * MB_PER_VCPU / 3008 * 1.1
    assert unsure[1] > 1000 * 0.9
    assert not knows_parallel_speed(list(below), 3008)

    above = below | {3008: 590.0}
    parallel = predict(evidence(above), [2048])[2048]
    assert parallel.duration_ms == pytest.approx(1000 * MB_PER_VCPU / 2048, rel=0.08)
    assert knows_parallel_speed(list(above), 2048)
    assert knows_parallel_speed(list(below), 1024)


def test_a_short_handler_takes_steps_rather_than_a_curve() -> None:
    known = {size: wall_time_ms([(15.0, 0.0)], size) for size in (128, 300, 600, 1200, 1769)}
    for size, found in predict(evidence(known), [450, 800, 1300]).items():
        assert found.duration_ms == pytest.approx(wall_time_ms([(15.0, 0.0)], size), rel=0.12)
    # A smooth curve through the same points would put the plateau's left edge well above its middle.
    model = DurationModel([*known, 620, 680])
    curves = model.given(evidence(known))
    left, right = (float(curves[:, model.sizes_mb.index(size)].mean()) for size in (620, 680))
    assert left == pytest.approx(right, rel=0.05)


def test_uncertainty_grows_with_the_distance_from_what_was_measured() -> None:
    known = {size: computing_ms(size) for size in (128, 1769)}
    found = predict(evidence(known), [150, 500])

    def width(size: int) -> float:
        low, high = found[size].duration_ci95_ms
        return math.log(high / low)

    assert width(150) < width(500)


def test_precise_evidence_is_met_and_noisy_evidence_gives_way_to_its_neighbours() -> None:
    truth = {size: computing_ms(size) for size in GRID if size <= 1769}
    off = truth | {512: truth[512] * 1.2}
    precise = predict([Evidence(size, ms, 1e-6) for size, ms in off.items()], [512])[512]
    noisy = predict([Evidence(size, ms, 0.2**2 if size == 512 else 1e-6) for size, ms in off.items()], [512])[512]
    assert precise.duration_ms == pytest.approx(off[512], rel=0.01)
    assert noisy.duration_ms < (truth[512] + off[512]) / 2


def test_the_order_of_evidence_does_not_matter_and_the_seed_decides_the_curves() -> None:
    items = evidence({128: 9000.0, 512: 2500.0, 1769: 900.0})
    model = DurationModel(GRID, seed=3)
    first = model.given(items)
    for order in permutations(items):
        assert np.array_equal(model.given(order), first)
    assert np.array_equal(DurationModel(GRID, seed=3).given(items), first)
    assert not np.array_equal(DurationModel(GRID, seed=4).given(items), first)


def test_twice_the_durations_give_twice_the_curves() -> None:
    items = evidence({128: 9000.0, 512: 2500.0, 1769: 900.0})
    twice = [Evidence(item.memory_mb, 2 * item.mean_ms, item.variance) for item in items]
    model = DurationModel(GRID)
    assert model.given(twice) == pytest.approx(2 * model.given(items))


def test_durations_of_zero_and_single_sizes_are_taken() -> None:
    assert predict([Evidence(128, 0.0, 0.01)], [128, 1024])[1024].duration_ms < 0.01
    only = predict([Evidence(512, 100.0, 0.01)], [256])[256]
    low_ms, high_ms = only.duration_ci95_ms
    assert low_ms < 110  # it may have waited
    assert high_ms > 180  # or computed


@pytest.mark.parametrize("wrong", [[], [Evidence(128, 1.0, 0.1)] * 2, [Evidence(130, 1.0, 0.1)]])
def test_evidence_has_to_be_of_sizes_of_the_model_each_once(wrong: list[Evidence]) -> None:
    with pytest.raises(ValueError, match="evidence"):
        DurationModel(GRID).given(wrong)


def scattered(random: np.random.Generator, spread: float, sizes_mb: Sequence[int] = GRID) -> dict[int, float]:
    return {size: computing_ms(size, 500, 100) * math.exp(spread * random.standard_normal()) for size in sizes_mb}


def width(curves: NDArray[np.floating[Any]], place: int) -> float:
    """Return how many times the upper end of the 95 % interval at a size is its lower end, as a logarithm."""
    low_ms, high_ms = np.quantile(curves[:, place], (0.025, 0.975))
    return math.log(high_ms / low_ms)


@pytest.mark.parametrize("spread", [0.01, 0.05, 0.1, 0.2])
def test_what_an_interval_says_holds_for_quiet_functions_and_for_erratic_ones(spread: float) -> None:
    random = np.random.default_rng(5)
    sizes_mb = (128, 192, 256, 384, 512, 768, 1024, 1280, 1536, 1769)
    model = DurationModel(sizes_mb)
    held = []
    for _ in range(60):
        truth_ms = scattered(random, spread, sizes_mb)
        curves = model.given(evidence({size: truth_ms[size] for size in sizes_mb[::2]}))
        for place, size in enumerate(sizes_mb):
            if place % 2:
                low_ms, high_ms = np.quantile(curves[:, place], (0.025, 0.975))
                held.append(low_ms <= truth_ms[size] <= high_ms)
    assert np.mean(held) >= 0.85


def test_sizes_that_disagree_make_it_less_sure_of_all_the_others() -> None:
    model = DurationModel([*GRID, 768])
    smooth = {size: computing_ms(size, 500, 100) for size in GRID}
    erratic = {size: ms * (1.4 if place % 2 else 0.7) for place, (size, ms) in enumerate(smooth.items())}
    place = model.sizes_mb.index(768)
    assert width(model.given(evidence(erratic)), place) > 2 * width(model.given(evidence(smooth)), place)


def test_more_runs_that_agree_make_it_no_less_sure_of_their_size() -> None:
    """Their size, as it may be less sure of others: what was noise may turn out to be the function."""
    random = np.random.default_rng(6)
    model = DurationModel(GRID)
    for _ in range(200):
        means_ms = scattered(
            random, random.choice([0.02, 0.1, 0.3]), random.permutation(GRID)[: random.integers(1, 7)].tolist()
        )
        variances = {size: random.choice([1e-4, 3e-3, 3e-2]) for size in means_ms}
        more = random.choice(list(means_ms))
        before, after = (
            model.given(
                [Evidence(size, ms, variances[size] / (runs if size == more else 1)) for size, ms in means_ms.items()]
            )
            for runs in (1, 4)
        )
        place = model.sizes_mb.index(more)
        assert width(after, place) <= 1.02 * width(before, place)
