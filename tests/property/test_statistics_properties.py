"""What must hold for the figures of any runs, whatever their hosts, payloads and outliers."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from powertune.analysis.statistics import missing_payloads, profile_size, summarise, weighted_percentiles
from powertune.analysis.strata import stratify
from powertune.aws_lambda.pricing import find_prices, rates_for
from powertune.model.invocation import Invocation
from powertune.model.size_profile import Distribution

RATES = rates_for(find_prices("us-east-1", "x86_64"))
NAMES = ["a", "b", "c"]

durations = st.floats(0.01, 900_000)
weights = st.dictionaries(st.sampled_from(NAMES), st.just(0.0) | st.floats(1e-6, 100), max_size=3)
shares_to_trim = st.sampled_from([0.0, 0.05, 0.1, 0.25, 0.4, 0.49])


@st.composite
def invocations(draw: st.DrawFn) -> Invocation:
    return Invocation(
        1024,
        draw(durations),
        payload=draw(st.sampled_from([*NAMES, None])),
        environment=draw(st.sampled_from(["host 1", "host 2", "host 3", "host 4", None])),
    )


samples = st.lists(invocations(), min_size=1, max_size=25)


def measured(
    runs: Sequence[Invocation], payload_weights: dict[str, float] | None = None, trim: float = 0.0
) -> Distribution:
    profile = profile_size(1024, runs, rates=RATES, payload_weights=payload_weights or {}, trim=trim)
    assert profile.duration_ms is not None
    return profile.duration_ms


def half_width_ms(duration: Distribution) -> float:
    assert duration.ci95 is not None
    return duration.ci95[1] - duration.mean


def unknown(runs: Sequence[Invocation]) -> list[Invocation]:
    return [replace(run, environment=None) for run in runs]


@given(samples, weights, shares_to_trim, st.randoms(use_true_random=False))
def test_the_order_of_runs_does_not_matter(
    runs: list[Invocation], payload_weights: dict[str, float], trim: float, random: Random
) -> None:
    shuffled = list(runs)
    random.shuffle(shuffled)
    one, other = (
        profile_size(1024, order, rates=RATES, payload_weights=payload_weights, trim=trim) for order in (runs, shuffled)
    )
    assert one == other


@given(samples, weights, shares_to_trim)
def test_figures_lie_among_the_durations_and_the_interval_around_the_mean(
    runs: list[Invocation], payload_weights: dict[str, float], trim: float
) -> None:
    duration = measured(runs, payload_weights, trim)
    smallest = min(run.duration_ms for run in runs) * (1 - 1e-12)
    largest = max(run.duration_ms for run in runs) * (1 + 1e-12)
    known = [value for value in (duration.p50, duration.p95, duration.p99) if value is not None]
    assert all(smallest <= value <= largest for value in [duration.mean, *known])
    assert all(known[place] <= known[place + 1] * (1 + 1e-12) for place in range(len(known) - 1))
    if duration.ci95:
        assert 0 <= duration.ci95[0] <= duration.mean <= duration.ci95[1]


@given(st.lists(st.lists(durations, min_size=4, max_size=4), min_size=2, max_size=3), st.floats(0.01, 100))
def test_equal_weights_of_equally_many_runs_give_the_plain_mean_and_percentiles(
    payloads: list[list[float]], weight: float
) -> None:
    runs = [
        Invocation(1024, value, payload=name) for name, values in zip(NAMES, payloads, strict=False) for value in values
    ]
    weighted, plain = measured(runs, dict.fromkeys(NAMES, weight)), measured(runs)
    assert weighted.mean == pytest.approx(plain.mean)
    assert (weighted.p50, weighted.p95, weighted.p99) == pytest.approx((plain.p50, plain.p95, plain.p99))


@given(st.lists(durations, min_size=1, max_size=30), st.floats(0.01, 100), st.floats(0, 1))
def test_weighted_percentiles_with_equal_weights_are_the_linear_ones(
    values: list[float], weight: float, rank: float
) -> None:
    (found,) = weighted_percentiles(values, [weight] * len(values), [rank])
    assert found == pytest.approx(float(np.percentile(values, 100 * rank)), rel=1e-6, abs=1e-6)


@given(samples, weights)
def test_known_environments_never_narrow_the_interval_and_change_nothing_else(
    runs: list[Invocation], payload_weights: dict[str, float]
) -> None:
    known, plain = measured(runs, payload_weights), measured(unknown(runs), payload_weights)
    assert replace(known, ci95=None) == replace(plain, ci95=None)
    assert (known.ci95 is None) == (plain.ci95 is None)
    if known.ci95:
        assert half_width_ms(known) >= half_width_ms(plain) * (1 - 1e-12)


@given(st.lists(durations, min_size=1, max_size=25), weights)
def test_an_environment_of_its_own_for_each_run_is_as_if_none_were_known(
    durations_ms: list[float], payload_weights: dict[str, float]
) -> None:
    runs = [
        Invocation(1024, duration_ms, payload=NAMES[number % 3], environment=f"host {number}")
        for number, duration_ms in enumerate(durations_ms)
    ]
    assert measured(runs, payload_weights) == measured(unknown(runs), payload_weights)
    assert measured(runs) == measured(unknown(runs))


@given(
    st.lists(st.lists(st.floats(-1, 1), min_size=3, max_size=3), min_size=3, max_size=6),
    st.lists(st.floats(-1, 1), min_size=3, max_size=6),
    st.floats(1, 5),
)
def test_the_interval_only_widens_as_hosts_differ_more(
    noise: list[list[float]], speeds: list[float], factor: float
) -> None:
    centred = [[value - float(np.mean(values)) for value in values] for values in noise]
    offsets = [speeds[number % len(speeds)] for number in range(len(centred))]
    assume(max(offsets) - min(offsets) > 0.01)

    def half_width(spread: float) -> float:
        # Each host has its mirror image, so that nothing is skewed.
        runs = [
            Invocation(1024, 1000 + side * (value + spread * offset), environment=f"host {number} {side}")
            for number, (values, offset) in enumerate(zip(centred, offsets, strict=True))
            for value in values
            for side in (-1, 1)
        ]
        return half_width_ms(measured(runs))

    assert half_width(factor) >= half_width(1.0) * (1 - 1e-9)


@given(samples, weights)
def test_trimming_nothing_changes_nothing(runs: list[Invocation], payload_weights: dict[str, float]) -> None:
    for stratum in stratify(runs, payload_weights, 0.0):
        assert sorted(run.duration_ms for run in stratum.kept) == sorted(stratum.drawn_in_ms)
    plain = measured(runs)
    expected = summarise([run.duration_ms for run in runs])
    assert replace(plain, ci95=None) == replace(expected, ci95=None)
    alone = measured(unknown(runs)).ci95
    assert alone == (None if expected.ci95 is None else pytest.approx(expected.ci95))


@given(samples, weights, shares_to_trim)
def test_trimming_drops_no_payload_and_equally_many_at_both_ends(
    runs: list[Invocation], payload_weights: dict[str, float], trim: float
) -> None:
    strata, trimmed = stratify(runs, payload_weights, 0.0), stratify(runs, payload_weights, trim)
    for whole, rest in zip(strata, trimmed, strict=True):
        assert {run.payload for run in rest.kept} == {run.payload for run in whole.kept}
        for payload in {run.payload for run in whole.kept}:
            before = [run for run in whole.kept if run.payload == payload]
            after = [run for run in rest.kept if run.payload == payload]
            dropped = min(int(len(before) * trim), (len(before) - 1) // 2)
            assert after == before[dropped : len(before) - dropped]
    assert sum(stratum.share for stratum in trimmed) == pytest.approx(1)


@given(samples, weights)
def test_payloads_are_missing_or_counted_or_without_a_rival(
    runs: list[Invocation], payload_weights: dict[str, float]
) -> None:
    missing = missing_payloads(runs, payload_weights)
    ran = {run.payload for run in runs}
    weighted = {name for name, weight in payload_weights.items() if weight > 0}
    expected = weighted - ran if len(weighted) > 1 and weighted & ran else set()
    assert missing == sorted(expected)
