"""What the gate says of a memory size and of budgets: a verdict needs the whole interval, and each has its evidence."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import cache
from random import Random
from typing import Any

import pytest

from powertune import api
from powertune.errors import UsageError
from powertune.gate.rules import FailOn, parse_fail_on
from powertune.gate.verdict import (
    Demands,
    Subject,
    failed,
    gate,
    is_open,
    judge,
    only_functions_fail,
    unresolved,
)
from powertune.gate.waivers import Waivers
from powertune.model.budgets import Budgets, Waiver
from powertune.model.configured import Place
from powertune.model.invocation import Aggregate, Invocation, Status
from powertune.model.judgement import Check, Judgement
from powertune.model.tuning_run import TuningRun

TODAY = date(2026, 11, 26)
COMPUTES_MS = {256: 700.0, 512: 350.0, 1024: 176.0, 1769: 102.0, 3008: 102.0}
"""100 ms of CPU: balanced is best at 1769 MB, and 3008 MB is as fast and much dearer."""


def recorded(means_ms: Mapping[int, float], **options: Any) -> TuningRun:
    """A recording with 20 `runs` at each size on 10 `hosts`, scattered by a `noise` of 3 %; the rest for estimate."""
    return _recorded(tuple(means_ms.items()), tuple(options.items()))


@cache
def _recorded(means_ms: Sequence[tuple[int, float]], given: Sequence[tuple[str, Any]]) -> TuningRun:
    options = dict(given)
    runs, hosts, noise = options.pop("runs", 20), options.pop("hosts", 10), options.pop("noise", 0.03)
    used_mb = options.pop("used_mb", 70.0)
    chance = Random(1)  # noqa: S311 - noise, and the same each time
    return api.estimate(
        [
            Invocation(
                size,
                mean_ms * chance.lognormvariate(0, noise),
                max_memory_used_mb=used_mb,
                environment=f"{size}/{run % hosts}",
            )
            for size, mean_ms in means_ms
            for run in range(runs)
        ],
        **options,
    )


def judged(run: TuningRun, memory_mb: int | None, **demands: object) -> Judgement:
    return judge(Subject("orders", memory_mb), run, Demands(**demands))  # type: ignore[arg-type] # likewise


def check_of(judgement: Judgement, rule: str) -> Check:
    (found,) = [check for check in judgement.checks if check.rule == rule]
    return found


def test_too_little_memory_is_under_provisioned_with_the_figures_that_show_it() -> None:
    found = judged(recorded(COMPUTES_MS, invocations_per_month=1e6), 256)
    assert (found.outcome, found.recommended_memory_mb, found.fails) == ("under-provisioned", 1769, True)
    check = check_of(found, "under-provisioned")
    assert check.message.startswith("256 → 1769 MB: 70")
    assert " ms (-85." in check.message
    assert " per million (" in check.message
    assert " per month" in check.message
    assert "margin 5 %" in check.message
    assert check.unit == "%"
    assert check.limit == 5.0
    assert check.measured is not None
    assert check.ci95 is not None
    assert 5 < check.ci95[0] < check.measured < check.ci95[1]
    assert check.hint.startswith("set it to 1769 MB: powertune apply")


def test_too_much_memory_is_over_provisioned() -> None:
    found = judged(recorded(COMPUTES_MS), 3008)
    assert (found.outcome, found.recommended_memory_mb) == ("over-provisioned", 1769)
    assert check_of(found, "over-provisioned").fails_gate


def test_the_recommended_size_is_optimized_and_passes_both_rules() -> None:
    found = judged(recorded(COMPUTES_MS), 1769)
    assert (found.outcome, found.fails) == ("optimized", False)
    assert [(check.rule, check.result) for check in found.checks] == [
        ("over-provisioned", "pass"),
        ("under-provisioned", "pass"),
    ]


def test_a_size_that_is_worse_by_less_than_the_margin_is_optimized() -> None:
    run = recorded({512: 102.0, 1024: 100.0, 2048: 99.0}, strategy="speed", tolerance=0.0, noise=0.01)
    assert judged(run, 512).outcome == "optimized"
    assert judged(run, 512, budgets=Budgets(min_saving_pct=0.1)).outcome == "inconclusive"


def test_a_margin_of_the_budgets_takes_the_place_of_the_usual_one() -> None:
    run = recorded(COMPUTES_MS)
    worse_pct = check_of(judged(run, 3008), "over-provisioned").measured
    assert worse_pct is not None
    found = judged(run, 3008, budgets=Budgets(min_saving_pct=2 * worse_pct))
    assert (found.outcome, found.fails) == ("optimized", False)


def test_a_difference_inside_the_noise_is_inconclusive_and_passes() -> None:
    found = judged(recorded({1024: 112.0, 2048: 100.0}, strategy="speed", runs=6, noise=0.1), 1024)
    assert (found.outcome, found.fails) == ("inconclusive", False)
    check = check_of(found, "inconclusive")
    assert check.result == "unknown"
    assert check.ci95 is not None
    assert check.ci95[0] < 5 < check.ci95[1]


def test_hosts_that_may_differ_count_as_noise() -> None:
    means_ms = {512: 110.0, 1024: 100.0}
    on_many = judged(recorded(means_ms, strategy="speed", runs=100, hosts=100, noise=0.02), 512)
    on_one_each = judged(recorded(means_ms, strategy="speed", runs=100, hosts=1, noise=0.02), 512)
    assert on_many.outcome == "under-provisioned"
    assert on_one_each.outcome == "inconclusive"


def test_one_run_is_never_judged() -> None:
    found = judged(recorded(COMPUTES_MS, runs=1), 256)
    assert (found.outcome, found.fails) == ("insufficient-data", False)
    assert check_of(found, "insufficient-data").message == "1 run cannot be told from chance at 256 MB"


def test_a_size_beyond_all_that_was_recorded_is_not_judged() -> None:
    run = recorded({512: 350.0, 1024: 176.0}, current_memory_mb=4096)
    assert judged(run, 4096).outcome == "insufficient-data"
    assert judged(run, 2048).outcome == "insufficient-data"
    assert "no figures at 2048 MB" in judged(run, 2048).checks[0].message


def test_a_single_size_tells_nothing_of_others_but_of_its_budgets() -> None:
    found = judged(recorded({512: 350.0}), 512, budgets=Budgets(max_p95_ms=200))
    assert found.outcome == "insufficient-data"
    assert "nothing is known of other sizes than 512 MB" in check_of(found, "insufficient-data").message
    assert check_of(found, "max-p95").fails_gate


def test_a_size_between_recorded_ones_is_judged_by_what_is_read_off_between_them() -> None:
    run = recorded(COMPUTES_MS, current_memory_mb=384, strategy="speed")
    assert run.size(384).basis == "interpolated"
    assert judged(run, 384).outcome == "under-provisioned"


def test_means_without_any_spread_are_inconclusive() -> None:
    run = api.estimate([Aggregate(512, 350.0, 50), Aggregate(1024, 170.0, 50), Aggregate(2048, 90.0, 50)])
    assert judged(run, 512).outcome == "inconclusive"


@pytest.mark.parametrize("status", ["out-of-memory", "timed-out"])
def test_a_size_that_the_function_fails_at_for_want_of_memory_or_time_is_under_provisioned(status: Status) -> None:
    broken = [Invocation(128, 900.0, status=status, error="it did not fit") for _ in range(3)]
    fine = [
        Invocation(size, COMPUTES_MS[size] + call, max_memory_used_mb=100) for size in (512, 1024) for call in range(9)
    ]
    found = judged(api.estimate([*broken, *fine]), 128)
    assert found.outcome == "under-provisioned"
    assert "it did not fit" in check_of(found, "under-provisioned").message


def test_memory_that_leaves_no_headroom_is_under_provisioned_however_fast_it_is() -> None:
    run = recorded({128: 50.0, 256: 50.0, 512: 50.0}, strategy="cost", used_mb=120.0)
    found = judged(run, 128)
    assert (found.outcome, found.recommended_memory_mb) == ("under-provisioned", 256)
    assert "120 MB are used, which leaves less than 10% free" in check_of(found, "under-provisioned").message


def test_a_function_that_fails_at_its_own_size_is_a_finding_of_its_own() -> None:
    runs = [Invocation(512, 80.0 + call, status="failed", error="PartnerError: no answer") for call in range(5)]
    found = judged(api.estimate(runs), 512)
    assert check_of(found, "function-failed").fails_gate
    assert "PartnerError" in check_of(found, "function-failed").message


def test_some_failed_runs_are_a_finding_too() -> None:
    runs = [Invocation(512, 80.0 + call, max_memory_used_mb=50) for call in range(18)]
    bad = [Invocation(512, 80.0, status="failed", error="oops") for _ in range(2)]
    found = judged(api.estimate([*runs, *bad]), 512)
    assert check_of(found, "function-failed").message == "2 of 20 runs failed at 512 MB"


def test_memory_that_nobody_could_resolve_is_unresolved_and_passes_unless_asked_for() -> None:
    run = recorded(COMPUTES_MS)
    subject = Subject("orders", None, unresolved="Fn::ImportValue shared-memory")
    found = judge(subject, run, Demands())
    assert (found.outcome, found.recommended_memory_mb, found.fails) == ("insufficient-data", 1769, False)
    assert "Fn::ImportValue shared-memory" in check_of(found, "unresolved").message
    assert judge(subject, run, Demands(fail_on=parse_fail_on(["unresolved"]))).fails


def test_the_place_run_and_name_go_along_with_the_judgement() -> None:
    place, run = Place("template.yaml", 12), recorded(COMPUTES_MS)
    found = judge(Subject("orders", 512, place), run, Demands())
    assert (found.function, found.place, found.run, found.current_memory_mb) == ("orders", place, run, 512)


@pytest.mark.parametrize(
    ("budgets", "rule", "results"),
    [
        (Budgets(max_p95_ms=400), "max-p95", "pass"),
        (Budgets(max_p95_ms=300), "max-p95", "fail"),
        (Budgets(max_p95_ms=366), "max-p95", "unknown"),
        (Budgets(max_usd_per_million=4), "max-usd-per-million", "pass"),
        (Budgets(max_usd_per_million=2), "max-usd-per-million", "fail"),
        (Budgets(max_usd_per_million=3.12), "max-usd-per-million", "unknown"),
        (Budgets(max_memory_mb=512), "max-memory", "pass"),
        (Budgets(max_memory_mb=511), "max-memory", "fail"),
    ],
)
def test_a_budget_fails_where_all_of_the_interval_is_over_it(budgets: Budgets, rule: str, results: str) -> None:
    check = check_of(judged(recorded(COMPUTES_MS), 512, budgets=budgets), rule)
    assert check.result == results, check.message
    assert check.fails_gate == (results == "fail")
    assert check.ci95 is not None
    assert check.measured is not None
    assert check.limit is not None
    assert check.unit in ("ms", "USD per million", "MB")


def test_p95_of_a_summary_is_as_sure_as_its_runs_are_many() -> None:
    def check(count: int) -> Check:
        run = api.estimate([Aggregate(512, 100.0, count, stddev_ms=20.0, p95_ms=140.0), Aggregate(1024, 50.0, count)])
        return check_of(judged(run, 512, budgets=Budgets(max_p95_ms=160)), "max-p95")

    assert check(5).result == "unknown"
    assert check(5000).result == "pass"
    no_p95 = api.estimate([Aggregate(512, 100.0, 50, stddev_ms=20.0)])
    assert check_of(judged(no_p95, 512, budgets=Budgets(max_p95_ms=160)), "max-p95").result == "unknown"


def test_a_cost_in_another_currency_is_not_held_against_dollars() -> None:
    run = recorded(COMPUTES_MS, region="cn-north-1")
    check = check_of(judged(run, 512, budgets=Budgets(max_usd_per_million=1)), "max-usd-per-million")
    assert check.result == "unknown"


def test_a_size_over_the_memory_budget_is_never_recommended() -> None:
    run = recorded(COMPUTES_MS)
    assert judged(run, 256).recommended_memory_mb == 1769
    found = judged(run, 256, budgets=Budgets(max_memory_mb=1024))
    assert (found.outcome, found.recommended_memory_mb) == ("under-provisioned", 1024)


def test_limits_of_the_run_itself_make_a_size_that_breaks_them_badly_sized() -> None:
    run = recorded(COMPUTES_MS, strategy="cost", max_duration_ms=200.0)
    found = judged(run, 512)
    assert found.outcome == "under-provisioned"
    assert "200 ms is the limit" in check_of(found, "under-provisioned").message
    dear = recorded(COMPUTES_MS, strategy="speed", max_cost_per_million=3.6)
    assert judged(dear, 3008).outcome == "over-provisioned"


@pytest.mark.parametrize(
    ("words", "rules"),
    [
        (["error"], FailOn().rules),
        (["under-provisioned"], {"under-provisioned"}),
        (["size,budgets"], {"over-provisioned", "under-provisioned", "max-p95", "max-usd-per-million", "max-memory"}),
        (["regression", "fail-if"], {"regression-duration", "regression-cost", "fail-if"}),
        (["warning"], FailOn().rules | {"insufficient-data", "unresolved"}),
        (["note"], FailOn().rules | {"insufficient-data", "unresolved", "inconclusive"}),
    ],
)
def test_rules_groups_and_severities_say_what_fails(words: list[str], rules: set[str]) -> None:
    assert parse_fail_on(words).rules == rules


def test_never_fails_nothing_and_goes_with_no_other_word() -> None:
    run = recorded(COMPUTES_MS)
    found = judged(run, 256, fail_on=parse_fail_on(["never"]))
    assert not found.fails
    assert [check.result for check in found.findings] == ["fail"]
    with pytest.raises(UsageError, match="exclude"):
        parse_fail_on(["never,error"])


def test_an_unknown_rule_names_what_is_near() -> None:
    with pytest.raises(UsageError) as caught:
        parse_fail_on(["under-provisoned"])
    assert "under-provisioned" in caught.value.hint


def test_only_rules_that_are_named_fail() -> None:
    found = judged(recorded(COMPUTES_MS), 256, fail_on=parse_fail_on(["budgets"]))
    assert (found.outcome, found.fails) == ("under-provisioned", False)


@pytest.mark.parametrize("rule", ["insufficient-data", "inconclusive"])
def test_what_cannot_be_told_fails_only_where_that_is_asked_for(rule: str) -> None:
    run = recorded({1024: 112.0, 2048: 100.0}, strategy="speed", runs=6, noise=0.1)
    if rule == "insufficient-data":
        run = recorded(COMPUTES_MS, runs=1)
    assert not judged(run, 1024).fails
    found = judged(run, 1024, fail_on=parse_fail_on([rule]))
    assert check_of(found, rule).result == "fail"
    assert found.fails


def waiver(function: str = "orders", rule: str = "under-provisioned", until: date = TODAY) -> Waiver:
    return Waiver(function, rule, "moves to another account", until)


def test_a_waived_finding_is_shown_and_does_not_fail_until_its_last_day() -> None:
    judgement = judged(recorded(COMPUTES_MS), 256)
    for one in (waiver(), waiver("or*", "*")):
        result = gate([judgement], Waivers([one], TODAY))
        (check,) = result.judgements[0].findings
        assert (check.waiver, check.fails_gate, result.fails, result.warnings) == (one, False, False, ())


def test_an_expired_waiver_has_no_effect_but_a_warning() -> None:
    judgement = judged(recorded(COMPUTES_MS), 256)
    result = gate([judgement], Waivers([waiver(until=date(2026, 11, 25))], TODAY))
    assert result.fails
    assert [warning.code for warning in result.warnings] == ["expired-waiver"]
    assert "2026-11-25" in result.warnings[0].message


@pytest.mark.parametrize("other", [waiver("refunds"), waiver(rule="max-p95")])
def test_a_waiver_that_nothing_needs_is_a_warning(other: Waiver) -> None:
    result = gate([judged(recorded(COMPUTES_MS), 256)], Waivers([other], TODAY))
    assert result.fails
    assert [warning.code for warning in result.warnings] == ["unused-waiver"]


def test_a_function_that_could_not_be_run_is_judged_without_a_run() -> None:
    subject = Subject("orders", 512)
    broken = failed(subject, "its module fails to import", "mend it", Demands())
    unknown = unresolved(subject, "it is a container image", "give a RUN", Demands())
    assert (broken.outcome, broken.run, broken.fails) == ("insufficient-data", None, True)
    assert (unknown.outcome, unknown.checks[0].rule, unknown.fails) == ("insufficient-data", "unresolved", False)
    assert only_functions_fail(gate([broken, unknown], Waivers([], TODAY)))
    badly_sized = judged(recorded(COMPUTES_MS), 256)
    assert not only_functions_fail(gate([broken, badly_sized], Waivers([], TODAY)))
    assert not only_functions_fail(gate([unknown], Waivers([], TODAY)))


def test_a_result_is_open_where_anything_could_not_be_told() -> None:
    run = recorded(COMPUTES_MS)
    assert not is_open(gate([judged(run, 1769)], Waivers([], TODAY)))
    assert not is_open(gate([judged(run, 256)], Waivers([], TODAY)))
    assert is_open(gate([judged(recorded(COMPUTES_MS, runs=1), 256)], Waivers([], TODAY)))
    assert is_open(gate([judged(run, 512, budgets=Budgets(max_p95_ms=366))], Waivers([], TODAY)))


def test_a_function_that_fits_into_no_size_fails() -> None:
    runs = [Invocation(size, 900.0, status="out-of-memory", error="killed") for size in (128, 256) for _ in range(3)]
    found = judged(api.estimate(runs), 128)
    assert (found.outcome, check_of(found, "function-failed").fails_gate) == ("insufficient-data", True)


def test_what_a_run_says_of_other_strategies_is_left_alone() -> None:
    run = recorded(COMPUTES_MS, strategy="cost")
    assert judged(run, run.recommendation.memory_mb).outcome == "optimized"
    assert judged(replace(run, invocations=()), 3008).outcome == "over-provisioned"
