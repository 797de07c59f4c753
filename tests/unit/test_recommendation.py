"""Which size is picked, which sizes do not qualify, and the reasons in words."""

from dataclasses import replace
from typing import Any

import pytest

from powertune.analysis.recommendation import Choice, objection, recommend
from powertune.errors import ExitCode, UsageError
from powertune.model.recommendation import Change, Strategy
from powertune.model.size_profile import Basis, Cost, Counts, Distribution, Expected, SizeProfile


def row(
    memory_mb: int,
    mean_ms: float,
    usd_per_million: float,
    *,
    p95_ms: float | None = None,
    used_mb: float | None = None,
    basis: Basis = "measured",
    warm: int = 1,
    half_ms: float | None = None,
    half_usd: float | None = None,
) -> SizeProfile:
    return SizeProfile(
        memory_mb=memory_mb,
        basis=basis,
        invocations=Counts(warm=warm),
        duration_ms=Distribution(
            mean_ms, p95=p95_ms, ci95=None if half_ms is None else (mean_ms - half_ms, mean_ms + half_ms)
        ),
        max_memory_used_mb=used_mb,
        cost=Cost(
            usd_per_million / 1e6,
            usd_per_million,
            None if half_usd is None else (usd_per_million - half_usd, usd_per_million + half_usd),
        ),
    )


# 512 MB is the cheapest, 2048 MB the fastest. Balanced scores at weight 0.5:
# 512: (2.0/4 + 200/200)/2 = 0.75, 1024: (2.1/4 + 100/200)/2 = 0.5125, 2048: (4/4 + 90/200)/2 = 0.725.
THREE = (row(512, 200.0, 2.0), row(1024, 100.0, 2.1), row(2048, 90.0, 4.0))


def pick(sizes: tuple[SizeProfile, ...], choice: Choice) -> int | None:
    return recommend(sizes, choice).memory_mb


def reasons(sizes: tuple[SizeProfile, ...], choice: Choice) -> str:
    return " ".join(recommend(sizes, choice).reasons)


# The three picks.


def test_the_cheapest_the_fastest_and_the_best_balanced_size_are_picked() -> None:
    found = recommend(THREE, Choice(tolerance=0))
    assert (found.cost_memory_mb, found.speed_memory_mb, found.balanced_memory_mb) == (512, 2048, 1024)


@pytest.mark.parametrize(("strategy", "memory_mb"), [("cost", 512), ("speed", 2048), ("balanced", 1024)])
def test_the_strategy_chooses_among_the_picks(strategy: Strategy, memory_mb: int) -> None:
    found = recommend(THREE, Choice(strategy, tolerance=0))
    assert (found.strategy, found.memory_mb) == (strategy, memory_mb)
    assert found.pick(strategy) == memory_mb


@pytest.mark.parametrize(
    ("weight", "memory_mb"),
    [
        (1.0, 512),  # all cost
        (0.0, 2048),  # all duration
        (0.5, 1024),
        # 1024 against 512 at 0.95: 0.49875 + 0.025 = 0.52375 against 0.475 + 0.05 = 0.525; at 0.96 it turns.
        (0.95, 1024),
        (0.96, 512),
    ],
)
def test_the_weight_of_balanced_moves_from_speed_to_cost(weight: float, memory_mb: int) -> None:
    assert pick(THREE, Choice("balanced", balanced_weight=weight)) == memory_mb


@pytest.mark.parametrize(
    ("strategy", "tolerance", "memory_mb"),
    [
        ("cost", 0.02, 512),  # up to 2.04
        ("cost", 0.06, 1024),  # up to 2.12: 1024 MB is the faster of the two
        ("cost", 1.5, 2048),  # up to 5: the fastest of all
        ("speed", 0.1, 2048),  # up to 99 ms
        ("speed", 0.12, 1024),  # up to 100.8 ms: the cheaper of the two
        ("speed", 1.5, 512),  # up to 225 ms: the cheapest of all
        ("balanced", 1.5, 1024),  # both axes are in it already
    ],
)
def test_within_the_tolerance_the_other_axis_decides(strategy: Strategy, tolerance: float, memory_mb: int) -> None:
    assert pick(THREE, Choice(strategy, tolerance=tolerance)) == memory_mb


@pytest.mark.parametrize("tolerance", [0.0, 0.02])
def test_ties_go_to_the_other_axis_and_then_to_the_smaller_size(tolerance: float) -> None:
    same_cost = (row(512, 200.0, 2.0), row(1024, 100.0, 2.0))
    assert pick(same_cost, Choice("cost", tolerance=tolerance)) == 1024
    same_speed = (row(512, 100.0, 3.0), row(1024, 100.0, 2.0))
    assert pick(same_speed, Choice("speed", tolerance=tolerance)) == 1024
    alike = (row(1024, 100.0, 2.0), row(512, 100.0, 2.0))
    for strategy in ("cost", "speed", "balanced"):
        assert recommend(alike, Choice(tolerance=tolerance)).pick(strategy) == 512


def test_costs_of_nothing_leave_the_choice_to_duration() -> None:
    free = (row(512, 200.0, 0.0), row(1024, 100.0, 0.0))
    found = recommend(free, Choice())
    assert (found.cost_memory_mb, found.speed_memory_mb, found.balanced_memory_mb) == (1024, 1024, 1024)


# Sizes that cannot be told apart.


def measured(memory_mb: int, mean_ms: float, usd: float, *, warm: int = 10) -> SizeProfile:
    return row(memory_mb, mean_ms, usd, warm=warm, half_ms=3.0, half_usd=0.056)


def test_sizes_whose_intervals_leave_it_open_are_equals() -> None:
    # The interval of the difference is the root of 3² + 3² = 4.24 ms, less by 2.101 / 2.262 as 18 degrees of freedom
    # have gone into it and not 9: 3.94 ms, and 0.0735 dollars.
    near = (measured(512, 103.9, 2.0), measured(1024, 100.0, 2.07))
    assert pick(near, Choice("speed")) == 512
    assert pick(near, Choice("cost")) == 1024
    apart = (measured(512, 104.0, 2.0), measured(1024, 100.0, 2.08))
    assert pick(apart, Choice("speed")) == 1024
    assert pick(apart, Choice("cost")) == 512


def test_sizes_of_which_the_samples_know_little_are_no_equals_and_the_reason_says_what_would_tell() -> None:
    # 8 % dearer, give or take 15 %: a tie is no more shown than a difference.
    open_question = (
        row(512, 200.0, 2.0, warm=10, half_ms=3.0, half_usd=0.2),
        row(1024, 100.0, 2.16, warm=10, half_ms=3.0, half_usd=0.25),
    )
    found = recommend(open_question, Choice("cost"))
    assert (found.memory_mb, found.confidence) == (512, "medium")
    assert found.verdict is not None
    assert found.verdict.kind == "inconclusive"
    more = sum(found.verdict.more_invocations.values())
    assert f"inconclusive: {more} more invocations of 512 and 1024 MB would tell" in found.reasons[0]


def test_a_size_that_another_beats_on_both_axes_is_never_an_equal() -> None:
    # 512 MB cannot be told from the cheapest, and would be the faster of the two; 768 MB is better than it on both.
    vague = row(512, 100.0, 2.06, warm=10, half_ms=3.0, half_usd=0.07)
    sharp = row(768, 99.0, 2.05, warm=10, half_ms=0.1, half_usd=0.001)
    best = row(1024, 120.0, 2.0, warm=10, half_ms=3.0, half_usd=0.001)
    assert pick((vague, best), Choice("cost")) == 512
    assert pick((vague, sharp, best), Choice("cost")) == pick((sharp, best), Choice("cost")) == 1024


def test_a_tolerance_of_nothing_takes_the_plain_best_whatever_the_samples() -> None:
    near = (measured(512, 103.9, 2.0), measured(1024, 100.0, 2.07))
    assert pick(near, Choice("speed", tolerance=0)) == 1024
    assert pick(near, Choice("cost", tolerance=0)) == 512


def test_a_few_runs_cannot_call_two_sizes_alike() -> None:
    near = (measured(512, 103.0, 2.0, warm=4), measured(1024, 100.0, 2.07))
    assert pick(near, Choice("speed")) == 1024


@pytest.mark.parametrize("basis", ["scaled", "interpolated"])
def test_sizes_that_share_their_samples_are_not_called_alike(basis: Basis) -> None:
    near = tuple(replace(size, basis=basis) for size in (measured(512, 103.9, 2.0), measured(1024, 100.0, 2.07)))
    assert pick(near, Choice("speed")) == 1024


def test_sizes_without_intervals_are_not_called_alike() -> None:
    near = (row(512, 103.9, 2.0, warm=10), row(1024, 100.0, 2.07, warm=10))
    assert pick(near, Choice("speed")) == 1024


# Sizes that do not qualify.


def test_a_size_that_failed_is_never_picked() -> None:
    failed = SizeProfile(256, "out-of-memory", "Runtime.OutOfMemory")
    found = recommend((failed, *THREE), Choice(tolerance=0))
    assert found.cost_memory_mb == 512
    assert objection(failed, Choice()) == "Runtime.OutOfMemory"
    assert objection(SizeProfile(256, "timed-out"), Choice()) == "timed-out"


def test_a_size_needs_a_tenth_of_its_memory_free() -> None:
    assert objection(row(1000, 1.0, 1.0, used_mb=900), Choice()) is None
    assert objection(row(1000, 1.0, 1.0, used_mb=901), Choice()) == "only 10% memory free"
    assert objection(row(1000, 1.0, 1.0, used_mb=1035), Choice()) == "only 0% memory free"
    assert pick((row(512, 200.0, 2.0, used_mb=480), *THREE[1:]), Choice("cost")) == 1024


def test_unknown_memory_use_is_no_objection() -> None:
    assert objection(row(512, 1.0, 1.0), Choice()) is None


def test_the_longest_duration_is_held_against_the_95th_percentile_or_else_the_mean() -> None:
    choice = Choice(max_duration_ms=100)
    assert objection(row(512, 90.0, 1.0), choice) is None
    assert objection(row(512, 100.0, 1.0), choice) is None
    assert objection(row(512, 110.0, 1.0), choice) == "mean 110 ms > 100 ms"
    assert objection(row(512, 90.0, 1.0, p95_ms=110.0), choice) == "p95 110 ms > 100 ms"
    assert objection(row(512, 101.0, 1.0, p95_ms=100.0), choice) is None
    assert pick(THREE, Choice("cost", max_duration_ms=100)) == 1024


def test_the_highest_cost_is_held_against_the_cost_of_a_million() -> None:
    choice = Choice(max_cost_per_million=2.5)
    assert objection(row(512, 1.0, 2.5), choice) is None
    assert objection(row(512, 1.0, 2.51), choice) == "over $2.50"
    assert pick(THREE, Choice("speed", max_cost_per_million=2.5)) == 1024


def test_a_size_that_does_not_qualify_has_no_part_in_the_balance() -> None:
    # With 128 MB in it, the others would differ by a hair in duration, and the cheapest would balance best.
    slow = row(128, 90_000.0, 1.0, used_mb=127)
    assert pick((slow, *THREE), Choice("balanced", tolerance=0)) == 1024


def test_nobody_is_sent_to_a_size_beyond_all_that_were_recorded() -> None:
    sizes = (*THREE, row(3008, 50.0, 1.0, basis="extrapolated"))
    found = recommend(sizes, Choice(tolerance=0))
    assert (found.cost_memory_mb, found.speed_memory_mb, found.balanced_memory_mb) == (512, 2048, 1024)


@pytest.mark.parametrize(("failed", "qualifies"), [(1, True), (2, False)])
def test_a_size_at_which_more_than_a_twentieth_of_the_runs_failed_is_not_recommended(
    failed: int, *, qualifies: bool
) -> None:
    shaky = replace(row(512, 1.0, 1.0), invocations=Counts(warm=20, failed=failed))
    assert (objection(shaky, Choice()) is None) == qualifies
    assert (pick((shaky, *THREE[1:]), Choice("cost")) == 512) == qualifies


@pytest.mark.parametrize("basis", ["interpolated", "scaled"])
def test_live_tuning_recommends_only_measured_sizes(basis: Basis) -> None:
    sizes = (*THREE, row(3008, 50.0, 1.0, basis=basis))
    live = recommend(sizes, Choice(tolerance=0, allow_unmeasured=False))
    assert (live.cost_memory_mb, live.speed_memory_mb, live.balanced_memory_mb) == (512, 2048, 1024)
    offline = recommend(sizes, Choice(tolerance=0))
    assert (offline.speed_memory_mb, offline.balanced_memory_mb) == (3008, 3008)


# Where nothing qualifies.


def test_without_a_size_that_qualifies_nothing_is_recommended_and_the_reason_names_the_best() -> None:
    found = recommend(THREE, Choice("speed", max_duration_ms=50))
    assert (found.memory_mb, found.confidence, found.versus_current) == (None, "inconclusive", None)
    assert (found.cost_memory_mb, found.speed_memory_mb, found.balanced_memory_mb) == (None, None, None)
    assert found.reasons == (
        (
            "No size qualifies. The fastest, 2048 MB, takes 90.0 ms (mean 90.0 ms > 50.0 ms);"
            " the cheapest, 512 MB, costs $2.00 per million (mean 200 ms > 50.0 ms)."
        ),
    )


def test_sizes_that_are_all_extrapolated_are_not_refused_for_none() -> None:
    guesses = (row(2048, 30.0, 1.2, basis="extrapolated"), row(3008, 30.0, 1.7, basis="extrapolated"))
    found = recommend(guesses, Choice("speed"))
    assert (found.memory_mb, found.cost_memory_mb) == (None, None)
    assert "None" not in found.reasons[0]


def test_without_any_result_the_first_failure_is_the_reason() -> None:
    found = recommend((SizeProfile(256, "failed", "boom\x1b[2J"), SizeProfile(512, "timed-out")), Choice())
    assert found.reasons == ("No size gave a result: boom\\x1b[2J.",)
    assert recommend((SizeProfile(512, "timed-out"),), Choice()).reasons == ("No size gave a result: timed-out.",)


def test_without_sizes_nothing_is_recommended() -> None:
    found = recommend((), Choice())
    assert (found.memory_mb, found.confidence, found.reasons) == (None, "inconclusive", ("No sizes.",))


# Confidence.


@pytest.mark.parametrize(
    ("warm", "basis", "calibrated", "confidence"),
    [
        (20, "measured", True, "high"),
        (19, "measured", True, "medium"),
        (2, "measured", True, "medium"),
        (1, "measured", True, "inconclusive"),
        (50, "scaled", True, "medium"),
        (50, "scaled", False, "low"),
        (0, "interpolated", True, "low"),
    ],
)
def test_confidence_follows_what_the_size_rests_on(
    warm: int, basis: Basis, *, calibrated: bool, confidence: str
) -> None:
    sizes = (row(512, 200.0, 2.0, warm=warm, basis=basis), row(1024, 100.0, 9.0, warm=50))
    assert recommend(sizes, Choice("cost", calibrated=calibrated)).confidence == confidence


def test_an_interpolated_size_is_recommended_with_low_confidence_and_says_so() -> None:
    sizes = (row(512, 200.0, 2.0, basis="interpolated"), row(1024, 100.0, 9.0, warm=50))
    found = recommend(sizes, Choice("cost"))
    assert (found.memory_mb, found.confidence) == (512, "low")
    assert found.reasons[-1] == "512 MB was never recorded: its figures are interpolated."


@pytest.mark.parametrize(("half_ms", "confidence"), [(4.9, "high"), (19.0, "medium"), (21.0, "low")])
def test_noise_lowers_confidence(half_ms: float, confidence: str) -> None:
    sizes = (row(512, 200.0, 2.0, warm=50, half_ms=half_ms), row(1024, 100.0, 9.0, warm=50))
    assert recommend(sizes, Choice("cost")).confidence == confidence


def test_cold_runs_count_for_confidence_where_there_are_no_warm_ones() -> None:
    cold = replace(row(512, 200.0, 2.0), invocations=Counts(cold=20))
    assert recommend((cold, row(1024, 100.0, 9.0)), Choice("cost")).confidence == "high"


def test_one_size_alone_decides_nothing() -> None:
    found = recommend((row(512, 200.0, 2.0, warm=50),), Choice())
    assert (found.memory_mb, found.confidence) == (512, "inconclusive")
    assert "say nothing about other sizes" in found.reasons[0]


def test_the_only_size_that_qualifies_is_recommended_with_low_confidence() -> None:
    sizes = (row(512, 200.0, 2.0, warm=50), row(1024, 100.0, 3.0, warm=50))
    found = recommend(sizes, Choice(max_duration_ms=150))
    assert (found.memory_mb, found.confidence) == (1024, "low")
    assert found.reasons == ("1024 MB is the only size that qualifies.",)


# Against the current size.


def test_the_recommended_size_is_compared_with_the_current_one() -> None:
    # 100 ms instead of 200 is -50 %, 2.1 dollars instead of 2.0 is +5 %.
    change = recommend(THREE, Choice(current_memory_mb=512)).versus_current
    assert change is not None
    assert (change.duration_pct, change.cost_pct) == pytest.approx((-50, 5))


def test_a_current_size_that_does_not_qualify_is_compared_all_the_same() -> None:
    sizes = (row(512, 200.0, 2.0, used_mb=511), *THREE[1:])
    found = recommend(sizes, Choice("cost", current_memory_mb=512))
    assert found.memory_mb == 1024
    assert found.versus_current is not None
    assert (found.versus_current.duration_pct, found.versus_current.cost_pct) == pytest.approx((-50, 5))


@pytest.mark.parametrize("current_mb", [None, 3008])
def test_without_figures_of_the_current_size_nothing_is_compared(current_mb: int | None) -> None:
    assert recommend(THREE, Choice(current_memory_mb=current_mb)).versus_current is None


def test_staying_at_the_current_size_changes_nothing() -> None:
    change = recommend(THREE, Choice(current_memory_mb=1024)).versus_current
    assert change == Change(0.0, 0.0)


# Reasons.


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (
            Choice("cost", tolerance=0),
            "512 MB is the cheapest: 4.8 % cheaper and 2 times slower than the next cheapest, 1024 MB.",
        ),
        (
            Choice("speed", tolerance=0),
            "2048 MB is the fastest: 10 % faster and 90 % dearer than the next fastest, 1024 MB.",
        ),
        (
            Choice("balanced"),
            "1024 MB balances best: 5.0 % dearer and 2 times faster than the pick for cost, 512 MB.",
        ),
        (
            Choice("cost", tolerance=0.06),
            (
                "1024 MB is 5.0 % dearer and 2 times faster than the cheapest, 512 MB:"
                " within 6 % of the best, the faster size wins."
            ),
        ),
        (
            Choice("speed", tolerance=0.12),
            (
                "1024 MB is 11 % slower and 47 % cheaper than the fastest, 2048 MB:"
                " within 12 % of the best, the cheaper size wins."
            ),
        ),
    ],
)
def test_the_reason_says_what_the_pick_is_better_than(choice: Choice, expected: str) -> None:
    assert reasons(THREE, choice) == expected


def test_the_reason_names_samples_that_cannot_tell_two_sizes_apart() -> None:
    near = (measured(512, 103.9, 2.0), measured(1024, 100.0, 2.07))
    assert "the runs cannot tell two apart" in reasons(near, Choice("speed"))


def test_the_reason_says_where_one_size_is_best_on_both_axes() -> None:
    sizes = (row(512, 200.0, 2.0), row(1024, 100.0, 1.5))
    assert reasons(sizes, Choice("balanced")) == "1024 MB is both the cheapest and the fastest."


def test_the_reason_says_where_the_tolerance_makes_one_size_the_pick_on_both_axes() -> None:
    # 1024 MB is 1 % dearer than the cheapest and 1 % slower than the fastest.
    sizes = (row(512, 200.0, 2.0), row(1024, 101.0, 2.02), row(2048, 100.0, 4.0))
    assert reasons(sizes, Choice("balanced")) == "1024 MB is the pick for cost and for speed, too."


def test_a_balanced_pick_that_is_the_cheapest_is_compared_with_the_fastest() -> None:
    sizes = (row(512, 100.0, 2.0), row(1024, 95.0, 4.0))
    assert reasons(sizes, Choice("balanced")) == (
        "512 MB balances best: 2 times cheaper and 5.3 % slower than the pick for speed, 1024 MB."
    )


# Wishes that make no sense.


@pytest.mark.parametrize(
    "wrong",
    [
        {"strategy": "cheap"},
        {"balanced_weight": -0.1},
        {"balanced_weight": 1.1},
        {"balanced_weight": float("nan")},
        {"tolerance": -0.01},
        {"tolerance": float("inf")},
        {"tolerance": float("nan")},
    ],
    ids=str,
)
def test_a_wish_that_makes_no_sense_is_refused_with_a_hint(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        Choice(**wrong)
    assert caught.value.exit_code == ExitCode.USAGE
    assert caught.value.hint


# What all sizes together say.


def expecting(size: SizeProfile, duration_ms: float, usd_per_million: float) -> SizeProfile:
    return replace(size, expected=Expected(duration_ms, None, usd_per_million / 1e6, None))


def test_sizes_are_compared_by_what_all_of_them_together_say() -> None:
    # By its own single run 1024 MB would be the cheapest and the fastest.
    lucky = (
        expecting(row(512, 200.0, 2.0), 198.0, 1.9),
        expecting(row(1024, 100.0, 1.8), 130.0, 2.2),
        expecting(row(2048, 110.0, 4.0), 108.0, 3.9),
    )
    found = recommend(lucky, Choice(tolerance=0))
    assert (found.cost_memory_mb, found.speed_memory_mb) == (512, 2048)


def test_a_pick_that_the_means_in_the_table_would_not_give_says_why() -> None:
    # Means stray from what is expected by 1 %, -25 % and 2 %: the root of their mean square is 14 %.
    lucky = (
        expecting(row(512, 202.0, 2.0), 200.0, 1.9),
        expecting(row(1024, 90.0, 1.8), 120.0, 2.2),
        expecting(row(2048, 112.2, 4.0), 110.0, 3.9),
    )
    found = recommend(lucky, Choice("speed", tolerance=0))
    assert found.memory_mb == 2048
    assert found.reasons[-1] == (
        "By the means in the table 1024 MB would be the pick for speed, but they stray by 14 % from what all sizes"
        " together say, which decides."
    )
    agreed = (expecting(row(512, 202.0, 2.0), 200.0, 1.9), expecting(row(1024, 90.0, 4.0), 92.0, 4.2))
    assert len(recommend(agreed, Choice("speed", tolerance=0)).reasons) == 1


def test_confidence_counts_the_runs_of_all_sizes_where_these_speak_together() -> None:
    def fitted(memory_mb: int, mean_ms: float, usd: float, warm: int) -> SizeProfile:
        expected = Expected(mean_ms, (mean_ms * 0.99, mean_ms * 1.01), usd / 1e6, (usd * 0.99e-6, usd * 1.01e-6))
        return replace(row(memory_mb, mean_ms, usd, warm=warm), expected=expected)

    assert recommend([fitted(512, 200.0, 2.0, 1), fitted(1024, 100.0, 4.0, 19)], Choice("cost")).confidence == "high"
    assert recommend([fitted(512, 200.0, 2.0, 1), fitted(1024, 100.0, 4.0, 5)], Choice("cost")).confidence == "medium"


# What else there is.


def test_sizes_that_none_beats_are_named_with_what_they_cost_and_gain() -> None:
    beaten = row(3008, 95.0, 6.0)
    found = recommend((*THREE, beaten), Choice("balanced"))
    assert found.pareto == (512, 1024, 2048)
    assert found.alternatives == (
        "512 MB: 4.8 % cheaper and 2 times slower",
        "2048 MB: 90 % dearer and 10 % faster",
    )


def test_of_very_many_sizes_that_none_beats_only_the_picks_are_named() -> None:
    many = [row(128 * step, 1000.0 / step, 1.0 + step / 10) for step in range(1, 20)]
    found = recommend(many, Choice("balanced", tolerance=0))
    assert len(found.pareto) == 19
    picked = {found.cost_memory_mb, found.speed_memory_mb} - {found.memory_mb}
    assert len(found.alternatives) == len(picked)


@pytest.mark.parametrize(
    ("odds", "words", "confidence"),
    [(0.97, "97 %", "high"), (0.999, "over 99 %", "high"), (0.6, "60 %", "low"), (0.001, "under 1 %", "low")],
)
def test_a_limit_is_told_with_the_probability_that_it_is_kept(odds: float, words: str, confidence: str) -> None:
    kept = replace(row(512, 200.0, 2.0, warm=50, half_ms=1.0), limit_odds=odds)
    found = recommend((kept, row(1024, 100.0, 9.0, warm=50)), Choice("cost", max_duration_ms=300))
    assert found.reasons[-1] == f"Its p95 keeps to 300 ms with a probability of {words} (50 runs)."
    assert found.confidence == confidence


def test_the_lead_over_the_next_best_is_judged() -> None:
    def near(mean_ms: float) -> tuple[SizeProfile, ...]:
        # The cheapest and the best balanced; twice as dear and hardly faster; and slowest of all.
        return (
            row(512, 100.0, 2.0, warm=20, half_ms=1.0, half_usd=0.02),
            row(1024, mean_ms, 2.0 * mean_ms / 100, warm=20, half_ms=1.0, half_usd=0.02),
        )

    assert reasons(near(120.0), Choice("balanced")).endswith("Its lead over the next best, 1024 MB, is significant.")
    assert reasons(near(100.1), Choice("balanced", tolerance=0.05)).endswith("It ties with the next best, 1024 MB.")
    assert "is inconclusive: " in reasons(near(101.0), Choice("balanced"))
