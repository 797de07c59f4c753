"""Whether two sizes really differ: verdicts that are right as often as they say, and how many more runs would tell."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from powertune.analysis.comparison import compare
from powertune.analysis.reasons import in_words
from powertune.analysis.recommendation import Choice, recommend
from powertune.analysis.statistics import summarise
from powertune.model.recommendation import Verdict
from powertune.model.size_profile import Cost, Counts, Distribution, Expected, SizeProfile

Draw = Callable[[np.random.Generator, int], list[float]]


def profile(memory_mb: int, durations_ms: list[float]) -> SizeProfile:
    duration = summarise(durations_ms)
    per_ms = memory_mb / 1e6
    interval = duration.ci95 and (duration.ci95[0] * per_ms, duration.ci95[1] * per_ms)
    cost = Cost(duration.mean * per_ms / 1e6, duration.mean * per_ms, interval)
    return SizeProfile(memory_mb, invocations=Counts(len(durations_ms)), duration_ms=duration, cost=cost)


def known(memory_mb: int, mean_ms: float, half_ms: float | None, runs: int = 10) -> SizeProfile:
    ci95 = None if half_ms is None else (mean_ms - half_ms, mean_ms + half_ms)
    return SizeProfile(
        memory_mb,
        invocations=Counts(runs),
        duration_ms=Distribution(mean_ms, ci95=ci95),
        cost=Cost(mean_ms / 1e6, mean_ms, ci95),
    )


def test_a_difference_that_the_interval_does_not_reach_around_is_significant() -> None:
    found = compare(known(512, 110.0, 3.0), known(1024, 100.0, 3.0), "speed")
    assert (found.kind, found.memory_mb, found.other_memory_mb, found.axis) == ("significant", 512, 1024, "speed")
    assert found.difference_pct == pytest.approx(10)
    # Welch: both have 9 degrees of freedom (2.262), their difference 18 (2.101): 3 * sqrt(2) * 2.101 / 2.262 = 3.94.
    assert found.ci95_pct == pytest.approx((10 - 3.94, 10 + 3.94), abs=0.01)
    assert found.more_invocations == {}
    assert in_words(found) == "significant"


def test_an_interval_within_the_tolerance_is_a_tie_even_if_it_excludes_nothing() -> None:
    near, far = known(512, 101.0, 0.3), known(1024, 100.0, 0.3)
    assert compare(near, far, "cost").kind == "tie"
    assert compare(near, far, "cost", tolerance=0.0).kind == "significant"
    assert in_words(compare(near, far, "cost")) == "a tie"


def test_an_open_question_says_how_many_more_runs_would_settle_it() -> None:
    # A run spreads by 10 / 2.262 * sqrt(10) = 13.98 ms. For an interval of 6 ms either way each size needs
    # 2 * (13.98 * 1.96 / 6)² = 41.7 runs: 32 more.
    found = compare(known(512, 106.0, 10.0), known(1024, 100.0, 10.0), "speed")
    assert found.kind == "inconclusive"
    assert found.more_invocations == {512: 32, 1024: 32}
    assert in_words(found) == "inconclusive: 64 more invocations of 512 and 1024 MB would tell"


def test_more_runs_go_where_runs_spread_more_and_to_one_size_alone_if_the_other_has_had_its_share() -> None:
    steady, wild = known(512, 106.0, 2.0), known(1024, 100.0, 10.0)
    uneven = compare(steady, wild, "speed").more_invocations
    assert set(uneven) == {1024}
    both = compare(known(512, 103.0, 5.0), wild, "speed").more_invocations
    assert both[1024] > 2 * both[512] > 0


def test_runs_beyond_all_reason_are_not_asked_for() -> None:
    found = compare(known(512, 100.0, 40.0), known(1024, 101.0, 40.0), "speed")
    assert sum(found.more_invocations.values()) > 1000
    assert in_words(found) == "inconclusive, and over 1,000 more invocations of 512 and 1024 MB would be needed to tell"


def test_as_many_more_runs_as_were_asked_for_usually_settle_it() -> None:
    rng = np.random.default_rng(11)
    settled = asked = 0
    for _ in range(60):
        first, second = (list(mean_ms * (1 + 0.08 * rng.standard_normal(10))) for mean_ms in (104.0, 100.0))
        verdict = compare(profile(512, first), profile(1024, second), "speed")
        if verdict.kind != "inconclusive" or sum(verdict.more_invocations.values()) > 1000:
            continue
        asked += 1
        first += list(104.0 * (1 + 0.08 * rng.standard_normal(verdict.more_invocations.get(512, 0))))
        second += list(100.0 * (1 + 0.08 * rng.standard_normal(verdict.more_invocations.get(1024, 0))))
        settled += compare(profile(512, first), profile(1024, second), "speed").kind != "inconclusive"
    assert asked > 20
    assert settled > asked / 2


def test_single_runs_say_nothing_and_are_taken_to_spread_as_those_of_the_other_size() -> None:
    nothing = compare(known(512, 106.0, None, 1), known(1024, 100.0, None, 1), "speed")
    assert (nothing.kind, nothing.ci95_pct, nothing.more_invocations) == ("inconclusive", None, {})
    assert in_words(nothing) == "inconclusive: more invocations would tell"
    half_known = compare(known(512, 106.0, None, 1), known(1024, 100.0, 10.0), "speed")
    assert half_known.ci95_pct is None
    assert half_known.more_invocations[512] > half_known.more_invocations[1024] > 0


def test_what_all_sizes_together_say_is_compared_where_it_is_known() -> None:
    one = replace(known(512, 90.0, None, 1), expected=Expected(110.0, (109.0, 111.0), 1.1e-4, (1.09e-4, 1.11e-4)))
    other = replace(known(1024, 95.0, None, 1), expected=Expected(100.0, (99.0, 101.0), 1e-4, (0.99e-4, 1.01e-4)))
    for found in (compare(one, other, "speed"), compare(one, other, "cost")):
        assert found.kind == "significant"
        assert found.difference_pct == pytest.approx(10)
        assert found.ci95_pct == pytest.approx((10 - 2**0.5, 10 + 2**0.5))


def test_the_best_of_many_needs_a_wider_gap_than_one_of_two() -> None:
    pair = known(512, 104.3, 3.0), known(1024, 100.0, 3.0)
    assert compare(*pair, "speed").kind == "significant"
    assert compare(*pair, "speed", rivals=5).kind == "inconclusive"


def test_sizes_without_figures_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="need figures"):
        compare(SizeProfile(512, "failed"), known(1024, 100.0, 3.0), "cost")


def normal(rng: np.random.Generator, count: int) -> list[float]:
    return list(100 * (1 + 0.08 * rng.standard_normal(count)))


def lognormal(rng: np.random.Generator, count: int) -> list[float]:
    return list(100 * np.exp(0.6 * rng.standard_normal(count) - 0.18))


@pytest.mark.parametrize("draw", [normal, lognormal])
@pytest.mark.parametrize("counts", [(2, 2), (5, 5), (5, 30), (20, 20)], ids=str)
def test_equal_sizes_are_called_significantly_different_in_no_more_than_a_twentieth_of_cases(
    draw: Draw, counts: tuple[int, int]
) -> None:
    rng = np.random.default_rng(7)
    trials = 500
    wrong = sum(
        compare(profile(512, draw(rng, counts[0])), profile(1024, draw(rng, counts[1])), "speed").kind == "significant"
        for _ in range(trials)
    )
    assert wrong <= trials * 0.05 + 2 * (trials * 0.05 * 0.95) ** 0.5  # two standard errors of the simulation


def verdicts_among_equals(draw: Draw, sizes: int, runs: int) -> list[tuple[Verdict | None, Verdict | None]]:
    rng = np.random.default_rng(3)
    found = []
    for _ in range(200):
        profiles = [profile(128 * (place + 1), draw(rng, runs)) for place in range(sizes)]
        answer = recommend(profiles, Choice("speed", tolerance=0, current_memory_mb=128))
        change = answer.versus_current
        found.append((answer.verdict, change.duration_verdict if change else None))
    return found


@pytest.mark.parametrize("draw", [normal, lognormal])
def test_the_best_of_six_equals_seldom_beats_the_next_or_the_current_one(draw: Draw) -> None:
    found = verdicts_among_equals(draw, sizes=6, runs=8)
    for verdicts in zip(*found, strict=True):
        wrong = sum(verdict is not None and verdict.kind == "significant" for verdict in verdicts)
        assert wrong <= len(verdicts) * 0.05
