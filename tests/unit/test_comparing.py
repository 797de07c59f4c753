"""Runs against runs: differences are told from noise, sizes and functions are matched, nothing is made up."""

import json
from dataclasses import replace
from random import Random

import pytest
from gate_results import run

import powertune
from powertune.comparing import compare_runs
from powertune.model.invocation import Invocation
from powertune.model.run_comparison import SizeComparison
from powertune.model.tuning_run import TuningRun
from powertune.report import Style, render_comparison

BEFORE = {256: 822.4, 512: 409.3, 1024: 204.6}


def noisy(seed: int, *, times: float = 1.0, count: int = 20, sizes: tuple[int, ...] = (256, 1024)) -> TuningRun:
    """Return a run whose invocations scatter by 8 %, on hosts that differ by 3 %."""
    chance = Random(seed)  # noqa: S311 - noise, and the same each time
    hosts = {(size, host): chance.lognormvariate(0, 0.03) for size in sizes for host in range(4)}
    records = [
        Invocation(
            size,
            times * 100 * 1024 / size * hosts[size, call % 4] * chance.lognormvariate(0, 0.08),
            environment=f"{size}/{call % 4}",
        )
        for size in sizes
        for call in range(count)
    ]
    found = powertune.estimate(records, current_memory_mb=256)
    return replace(found, function=replace(found.function, name="orders"))


def at_sizes(before: TuningRun, after: TuningRun) -> dict[int, SizeComparison]:
    compared = compare_runs([before], [after]).functions[0]
    return {size.after_mb: size for size in compared.sizes}


def test_what_lies_inside_the_noise_is_no_difference() -> None:
    found = [size.duration_ms for seed in range(40) for size in at_sizes(noisy(2 * seed), noisy(2 * seed + 1)).values()]
    assert len(found) == 80
    assert sum(delta is not None and delta.is_significant for delta in found) <= 2


def test_a_change_of_half_is_a_difference_in_time_and_in_cost() -> None:
    for seed in range(5):
        for size in at_sizes(noisy(2 * seed), noisy(2 * seed + 1, times=1.5)).values():
            assert size.duration_ms
            assert size.cost_per_million
            assert size.duration_ms.is_significant
            assert size.cost_per_million.is_significant
            assert size.duration_ms.change_pct == pytest.approx(50, abs=15)


def test_a_single_run_at_a_size_is_not_judged() -> None:
    size = at_sizes(noisy(1, count=1), noisy(2))[256]
    assert size.not_judged == "n = 1"
    assert size.duration_ms
    assert size.duration_ms.ci95_pct is None
    assert not size.duration_ms.is_significant


def test_the_same_run_against_itself_has_not_changed() -> None:
    one = run("Orders", BEFORE, 512)
    for size in at_sizes(one, one).values():
        assert size.duration_ms
        assert size.duration_ms.change_pct == 0
        assert not size.duration_ms.is_significant


def test_the_more_is_compared_the_more_it_takes_to_be_called_different() -> None:
    few, many = (
        compare_runs([one], [one]).functions[0].sizes[0].duration_ms
        for one in (
            run("Orders", {256: 822.4, 512: 409.3}, 256),
            run("Orders", {**BEFORE, 2048: 110.0, 3008: 99.0}, 256),
        )
    )
    assert few
    assert many
    assert few.ci95_pct
    assert many.ci95_pct
    assert many.ci95_pct[1] - many.ci95_pct[0] > few.ci95_pct[1] - few.ci95_pct[0]


def test_only_sizes_that_ran_in_both_are_compared() -> None:
    assert list(at_sizes(run("Orders", BEFORE, 512), run("Orders", {512: 400.0, 2048: 100.0}, 512))) == [512]


def test_a_size_that_failed_in_one_says_so_instead_of_figures() -> None:
    after = run("Orders", BEFORE, 512)
    broken = replace(after.size(256), status="out-of-memory", duration_ms=None, cost=None)
    found = at_sizes(run("Orders", BEFORE, 512), replace(after, sizes=(broken, *after.sizes[1:])))
    assert (found[256].not_judged, found[256].duration_ms) == ("out of memory in B", None)


def test_current_and_recommended_sizes_are_compared_although_they_differ() -> None:
    compared = compare_runs([run("Orders", BEFORE, 512)], [run("Orders", BEFORE, 1024)]).functions[0]
    current = compared.at["current"]
    assert (current.before_mb, current.after_mb) == (512, 1024)
    assert current.duration_ms
    assert current.duration_ms.change_pct == pytest.approx(-50, abs=1)
    assert current.duration_ms.is_significant


def test_architectures_are_compared_each_at_its_own_price() -> None:
    x86, arm = (noisy(seed) for seed in (1, 2))
    arm = powertune.estimate(list(arm.invocations), architecture="arm64", current_memory_mb=256)
    compared = compare_runs([x86], [arm]).functions[0]
    size = compared.sizes[0]
    assert size.cost_per_million
    assert size.duration_ms
    assert size.cost_per_million.change_pct == pytest.approx(size.duration_ms.change_pct - 20, abs=2)
    assert "Architecture: x86_64 in A, arm64 in B" in compared.notes


def test_functions_are_matched_by_name_and_the_others_are_listed() -> None:
    before = [run(name, BEFORE, 512) for name in ("a", "b", "gone")]
    after = [run(name, BEFORE, 512) for name in ("b", "new", "a")]
    found = compare_runs(before, after)
    assert [compared.name for compared in found.functions] == ["b", "a"]
    assert (found.only_before, found.only_after) == (("gone",), ("new",))


def test_namesakes_are_matched_by_architecture() -> None:
    x86 = run("orders", BEFORE, 512)
    arm = replace(x86, function=replace(x86.function, architecture="arm64"))
    found = compare_runs([x86, arm], [arm, x86])
    assert [compared.before.function.architecture for compared in found.functions] == ["arm64", "x86_64"]


def test_two_single_runs_are_compared_whatever_they_are_called() -> None:
    compared = compare_runs([run("orders", BEFORE, 512)], [run("orders-v2", BEFORE, 512)]).functions[0]
    assert "A is orders, B is orders-v2" in compared.notes


def test_the_geometric_mean_is_that_of_the_changes_of_all_functions() -> None:
    before = [run(name, BEFORE, 512) for name in ("a", "b")]
    after = [
        run("a", {size: 2 * ms for size, ms in BEFORE.items()}, 512),
        run("b", {size: ms / 2 for size, ms in BEFORE.items()}, 512),
    ]
    mean = compare_runs(before, after).means["current"]
    assert mean.functions == 2
    assert mean.duration.change_pct == pytest.approx(0, abs=1e-9)
    assert not mean.duration.is_significant


def test_one_function_has_no_mean() -> None:
    assert not compare_runs([run("a", BEFORE, 512)], [run("a", BEFORE, 512)]).means


def test_costs_in_unlike_currencies_are_not_compared() -> None:
    one = run("Orders", BEFORE, 512)
    other = replace(one, pricing=replace(one.pricing, currency="CNY"))
    size = compare_runs([one], [other]).functions[0].sizes[0]
    assert size.cost_per_million is None
    assert "not judged: other currency" in render_comparison(compare_runs([one], [other]), "markdown")


def test_what_costs_nothing_is_compared_by_time_alone() -> None:
    records = [Invocation(512, 100.0 + call) for call in range(10)]
    free = powertune.estimate(records, price_gb_second="0", price_request="0", current_memory_mb=512)
    found = compare_runs([free, free], [free, free])
    size = found.functions[0].sizes[0]
    assert size.duration_ms
    assert size.duration_ms.ci95_pct
    assert size.cost_per_million
    assert size.cost_per_million.ci95_pct is None
    assert not found.means
    assert "currency" not in render_comparison(found, "table")


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
def test_no_line_of_a_comparison_is_wider_than_the_screen(width: int) -> None:
    found = compare_runs([noisy(1, count=1), run("b", BEFORE, 512)], [noisy(2), run("b", BEFORE, 1024)])
    assert max(map(len, render_comparison(found, "table", Style(width)).splitlines())) <= width


def test_json_says_for_each_figure_whether_its_change_is_more_than_noise() -> None:
    found = json.loads(render_comparison(compare_runs([noisy(1)], [noisy(2, times=1.5)]), "json"))
    size = found["functions"][0]["sizes"][0]
    assert size["memory_mb"] == {"a": 256, "b": 256}
    assert size["duration_ms"]["is_significant"] is True
    assert size["duration_ms"]["ci95_pct"][0] > 0
    assert found["functions"][0]["current"]["runs"] == {"a": 20, "b": 20}


def test_runs_without_a_function_in_common_say_so() -> None:
    found = compare_runs([run("a", BEFORE, 512), run("b", BEFORE, 512)], [run("c", BEFORE, 512)])
    assert "no function in common" in render_comparison(found, "table")
    assert "no function in common" in render_comparison(found, "markdown")
