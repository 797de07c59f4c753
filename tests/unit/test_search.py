"""Which sizes a search measures next, and when it stops."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from random import Random

import pytest

from powertune.analysis.beliefs import Bill
from powertune.analysis.recommendation import Choice
from powertune.analysis.search import AdaptiveSearch, PreciseSearch, Search, hopeless_sizes, new_search
from powertune.aws_lambda.cpu import MB_PER_VCPU
from powertune.model.invocation import Invocation, Status

SIZES_MB = (128, 256, 384, 512, 768, 1024, 1280, 1536, 1769, 2048, 3008)
NOISE = (0.0, 0.02, -0.015, 0.01, -0.02, 0.005, -0.01, 0.015)

Runs = dict[int, list[Invocation]]


def bills(sizes_mb: Sequence[int] = SIZES_MB) -> dict[int, Bill]:
    return {size: Bill(size / 1024 / 1000 * 0.0000166667, 0.0000002) for size in sizes_mb}


def computing_ms(memory_mb: int) -> float:
    return 20 + 500 / min(1.0, memory_mb / MB_PER_VCPU)


def waiting_ms(memory_mb: int) -> float:
    return 200 + 2 * MB_PER_VCPU / memory_mb


def adaptive(choice: Choice | None = None, sizes_mb: Sequence[int] = SIZES_MB, **options: object) -> AdaptiveSearch:
    return AdaptiveSearch(sizes_mb, bills(sizes_mb), choice or Choice(), **options)  # type: ignore[arg-type] # by name


def played(
    search: Search, duration_ms: Callable[[int], float], most_batches: int = 500
) -> tuple[Runs, list[Mapping[int, int]]]:
    """Let a search measure a function that takes `duration_ms` at a size, give or take 2 %."""
    runs: Runs = defaultdict(list)
    plans = []
    while plan := search.next(runs):
        plans.append(plan)
        assert len(plans) < most_batches
        for size, count in plan.items():
            for _ in range(count):
                noise = NOISE[len(runs[size]) % len(NOISE)]
                runs[size].append(Invocation(size, duration_ms(size) * (1 + noise)))
    return dict(runs), plans


def count(runs: Runs) -> int:
    return sum(map(len, runs.values()))


def test_the_first_batch_is_far_apart_and_holds_the_current_size() -> None:
    search = adaptive(Choice(current_memory_mb=640), (*SIZES_MB, 640))
    assert search.next({}) == {128: 1, 640: 1, 1024: 1, 1769: 1}


@pytest.mark.parametrize("name", ["adaptive", "frugal"])
@pytest.mark.parametrize("strategy", ["cost", "speed", "balanced"])
@pytest.mark.parametrize("duration_ms", [computing_ms, waiting_ms])
def test_a_quiet_function_is_settled_in_a_few_runs_and_the_pick_is_close_to_the_best(
    name: str, strategy: str, duration_ms: Callable[[int], float]
) -> None:
    choice = Choice(strategy=strategy, tolerance=0)  # type: ignore[arg-type] # the names above
    search = adaptive(choice, name=name)
    runs, _ = played(search, duration_ms)
    assert count(runs) <= 32
    (pick,) = search.decisive(runs)
    costs = {size: bill.per_ms * duration_ms(size) + bill.per_invocation for size, bill in bills().items()}
    durations = {size: duration_ms(size) for size in SIZES_MB}
    highest, slowest = max(costs.values()), max(durations.values())
    scores = {size: costs[size] / highest + durations[size] / slowest for size in SIZES_MB}
    values = {"cost": costs, "speed": durations, "balanced": scores}[strategy]
    assert values[pick] <= min(values.values()) * 1.04
    assert len(runs[pick]) >= 2
    assert "sure" in search.why


def test_a_frugal_search_takes_fewer_runs_than_an_adaptive_one() -> None:
    assert count(played(adaptive(name="frugal"), computing_ms)[0]) < count(played(adaptive(), computing_ms)[0])


def test_a_size_is_measured_no_more_often_than_asked() -> None:
    for most in (1, 2):
        noisy = played(adaptive(samples=most), lambda size: waiting_ms(size) * (1 + 0.3 * (size % 3)))[0]
        assert max(map(len, noisy.values())) <= most


def test_a_whole_round_of_weighted_payloads_is_run_at_a_time() -> None:
    search = adaptive(payload_weights={"small": 3.0, "large": 1.0})
    assert search.next({}) == {128: 2, 1024: 2, 1769: 2}


def test_a_size_without_enough_memory_rules_out_all_smaller_ones() -> None:
    search = adaptive()
    runs: Runs = {size: [Invocation(size, computing_ms(size))] for size in search.next({})}
    runs[128] = [Invocation(128, 0.0, status="out-of-memory")]
    assert search.next(runs) == {256: 1}
    runs[256] = [Invocation(256, 0.0, status="timed-out")]
    assert search.next(runs) == {384: 1}
    assert hopeless_sizes((*SIZES_MB, 192), runs) == {
        128: "no run succeeded",
        192: "256 MB ran out of time",
        256: "no run succeeded",
    }


@pytest.mark.parametrize("status", ["out-of-memory", "timed-out"])
def test_a_function_that_needs_more_at_each_size_is_tried_at_the_largest_before_it_is_given_up(status: Status) -> None:
    search = adaptive(Choice(current_memory_mb=512))
    runs: Runs = {}
    while plan := search.next(runs):
        runs |= {size: [Invocation(size, 1.0, max_memory_used_mb=size, status=status)] for size in plan}
    assert sorted(runs) == [128, 512, 1024, 1769, 2048, 3008]
    assert search.why == "the function succeeded at no size that was tried"
    short = {"out-of-memory": "memory", "timed-out": "time"}[status]
    assert hopeless_sizes(SIZES_MB, runs)[1280] == f"3008 MB ran out of {short}"


def test_a_function_that_fails_for_another_reason_is_given_up_after_the_first_sizes() -> None:
    search = adaptive()
    assert not search.next({size: [Invocation(size, 1.0, status="failed")] for size in search.next({})})
    assert search.why == "the function succeeded at no size that was tried"


def test_a_size_that_failed_for_another_reason_rules_out_itself_alone() -> None:
    runs = {512: [Invocation(512, 1.0, status="failed")], 1024: [Invocation(1024, 1.0)]}
    assert hopeless_sizes(SIZES_MB, runs) == {512: "no run succeeded"}


def test_a_size_smaller_than_the_memory_used_is_not_tried_and_one_that_it_fills_not_taken() -> None:
    runs = {
        1024: [Invocation(1024, 1.0, max_memory_used_mb=400.0)],
        512: [Invocation(512, 1.0, max_memory_used_mb=500)],
    }
    found = hopeless_sizes(SIZES_MB, runs)
    assert set(found) == {128, 256, 384, 512}
    assert found[512] == "too little memory is left free"
    assert found[256] == "512 MB used 500 MB"


def test_a_function_that_always_fails_is_given_up_after_three_sizes() -> None:
    search, batches = adaptive(), 0
    runs: Runs = {}
    while plan := search.next(runs):
        batches += 1
        runs |= {size: [Invocation(size, 5.0, status="failed", error="ValueError")] for size in plan}
    assert len(runs) == 3
    assert batches == 1
    assert search.why == "the function succeeded at no size that was tried"


def test_a_source_that_gives_nothing_more_ends_the_search() -> None:
    search = adaptive()
    assert search.next({}) != {}
    assert search.next({}) == {}
    assert search.why == "no size gives further runs"

    stingy = adaptive()
    runs: Runs = {size: [Invocation(size, computing_ms(size))] for size in stingy.next({})}
    for _ in range(60):
        if not (plan := stingy.next(runs)):
            break
        runs |= {size: [Invocation(size, computing_ms(size))] for size in plan if size not in runs}
    assert stingy.why


def test_cold_runs_stand_in_only_where_there_are_no_others() -> None:
    search = adaptive()
    runs: Runs = {
        size: [Invocation(size, 9 * computing_ms(size), cold=True), Invocation(size, computing_ms(size))]
        for size in search.next({})
    }
    search.next(runs)
    assert search.expected(runs)[1024].duration_ms == pytest.approx(computing_ms(1024), rel=0.1)


def test_a_limit_sends_the_search_to_sizes_that_keep_it() -> None:
    choice = Choice(strategy="cost", max_duration_ms=700, tolerance=0)
    search = adaptive(choice)
    runs, _ = played(search, computing_ms)
    (pick,) = search.decisive(runs)
    assert computing_ms(pick) <= 700
    assert pick <= 2048


def test_the_order_of_runs_does_not_matter() -> None:
    runs, _ = played(adaptive(), computing_ms)
    turned = {size: found[::-1] for size, found in reversed(runs.items())}
    one, other = adaptive(), adaptive()
    assert one.next(runs) == other.next(turned)
    assert one.expected(runs) == other.expected(turned)


def test_the_same_seed_gives_the_same_search() -> None:
    assert played(adaptive(seed=5), waiting_ms)[1] == played(adaptive(seed=5), waiting_ms)[1]


def test_full_search_measures_every_size_equally_often_in_one_batch() -> None:
    search = new_search("full", SIZES_MB, bills(), Choice(), samples=4, usual_samples=10)
    runs, plans = played(search, computing_ms)
    assert plans == [dict.fromkeys(SIZES_MB, 4)]
    assert search.expected(runs) == {}


def test_precision_goes_on_at_the_size_to_be_taken_until_its_interval_is_narrow() -> None:
    search = new_search("adaptive", SIZES_MB, bills(), Choice(), samples=None, usual_samples=10, precision=0.004)
    runs, plans = played(search, computing_ms)
    (pick,) = search.decisive(runs)
    assert len(runs[pick]) == max(map(len, runs.values()))
    assert len(runs[pick]) > 20
    assert list(plans[-1]) == [pick]
    assert search.why.endswith("the mean is known to 0.004")


def test_precision_with_a_full_search_is_of_every_size() -> None:
    inner = new_search("full", (128, 1024), bills(), Choice(), samples=2, usual_samples=10)
    runs, _ = played(PreciseSearch(inner, 0.01), computing_ms)
    assert min(map(len, runs.values())) > 8


def test_precision_that_cannot_be_reached_is_told() -> None:
    inner = new_search("full", (128,), bills(), Choice(), samples=2, usual_samples=10)
    search = PreciseSearch(inner, 0.001)
    runs: Runs = {128: []}
    while plan := search.next(runs):
        runs[128] += [Invocation(128, 100.0 + 50 * (number % 2)) for number in range(plan[128])]
    assert len(runs[128]) == 1000
    assert search.why.endswith("the mean is not known to 0.001")


STATUSES: tuple[Status, ...] = ("ok", "ok", "ok", "out-of-memory", "timed-out", "failed")


def test_more_runs_that_agree_never_bring_back_a_size_that_was_ruled_out() -> None:
    random = Random(7)  # noqa: S311 - repeatable
    for _ in range(100):
        runs: Runs = {}
        for size in random.sample(SIZES_MB, random.randint(1, 6)):
            status = random.choice(STATUSES)
            used_mb = random.choice([None, 60.0, 0.8 * size, 0.97 * size])
            runs[size] = [Invocation(size, computing_ms(size), status=status, max_memory_used_mb=used_mb)]
        out = hopeless_sizes(SIZES_MB, runs).keys()
        for _ in range(3):
            agreeing = {size: found * random.randint(1, 4) for size, found in runs.items()}
            assert out <= hopeless_sizes(SIZES_MB, agreeing).keys()
            assert not out & adaptive().next(agreeing).keys()


def test_a_search_that_goes_on_never_asks_for_a_size_that_was_ruled_out() -> None:
    search, out, runs = adaptive(), set[int](), defaultdict[int, list[Invocation]](list)
    while plan := search.next(runs):
        assert not out & plan.keys()
        for size, count in plan.items():
            status: Status = "ok" if size > 256 else "out-of-memory"
            runs[size] += [Invocation(size, computing_ms(size), status=status, max_memory_used_mb=300.0)] * count
        assert out <= hopeless_sizes(SIZES_MB, runs).keys()
        out |= hopeless_sizes(SIZES_MB, runs).keys()
    assert out == {128, 256}
