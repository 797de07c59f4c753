"""Searches on recorded functions, beside AWS Lambda Power Tuning, a Parrotfish-like search and measuring everything.

`python -m pytest -m benchmark -s tests/benchmarks/test_replay.py` prints the tables; POWERTUNE_BENCHMARK_ROUNDS says
how often each strategy is run on each function (5 if not given).
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from replay import DATA, Recorded, ReplaySource, recorded_functions

import powertune
from powertune.model.recommendation import STRATEGIES, Strategy

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.skipif(not DATA.is_dir(), reason="the recorded functions are not there"),
]

ROUNDS = int(os.environ.get("POWERTUNE_BENCHMARK_ROUNDS", "5"))
ALPT_SIZES_MB = (128, 256, 512, 1024, 1536, 3008)

Picks = tuple[int, int, int]
"""Memory sizes in MB picked for cost, speed and balanced."""


@dataclass(frozen=True)
class Trial:
    """What came of a strategy on one function."""

    function: Recorded
    picks: Picks
    calls: int
    sizes: int
    usd: float

    @property
    def regrets(self) -> tuple[float, float, float]:
        return self.function.regrets(*self.picks)


StrategyRun = Callable[[ReplaySource, int], tuple[Picks, int]]
"""Takes a source and a seed; returns the picks and the number of sizes measured."""


def powertune_search(search: str, strategy: Strategy, tolerance: float = 0.0, seed_of_model: int = 0) -> StrategyRun:
    def run(source: ReplaySource, seed: int) -> tuple[Picks, int]:  # noqa: ARG001 - the source has the randomness
        function = source.function
        found = powertune.tune(
            source,
            search=search,  # type: ignore[arg-type] # the names come from the table below
            strategy=strategy,
            tolerance=tolerance,
            seed=seed_of_model,
            region="us-east-1",
            price_gb_second=function.usd_per_gb_second,
            price_request=0.0000002,
        )
        picks = found.recommendation
        cost, speed, balanced = (picks.pick(axis) for axis in ("cost", "speed", "balanced"))
        assert cost is not None
        assert speed is not None
        assert balanced is not None
        return (cost, speed, balanced), len(source.opened)

    return run


def alpt(runs: int) -> StrategyRun:
    """AWS Lambda Power Tuning: so many runs at each of its sizes, means without the outer fifths."""

    def run(source: ReplaySource, seed: int) -> tuple[Picks, int]:  # noqa: ARG001 - as above
        source.cold_first = False  # it counts whatever comes
        grid = {min(source.sizes, key=lambda size: abs(size - wanted)) for wanted in ALPT_SIZES_MB}
        return _picks(source, _means(source, dict.fromkeys(sorted(grid), runs))), len(grid)

    return run


def exhaustive(runs: int) -> StrategyRun:
    """Every recorded size, so many runs each."""

    def run(source: ReplaySource, seed: int) -> tuple[Picks, int]:  # noqa: ARG001 - as above
        source.cold_first = False
        return _picks(source, _means(source, dict.fromkeys(source.sizes, runs), trim=0.0)), len(source.sizes)

    return run


def parrotfish_like(knowledge: float, runs: int) -> StrategyRun:
    """Fit a0 + a1 exp(-m / a2) to mean durations, and measure where predicted cost is low, until that is known enough.

    After what search.md says of its published code, on the recorded sizes only.
    """

    def run(source: ReplaySource, seed: int) -> tuple[Picks, int]:  # noqa: ARG001 - as above
        sizes = np.array(source.sizes, dtype=float)
        third = sizes[np.abs(sizes - (sizes[0] + (sizes[-1] - sizes[0]) / 3)).argmin()]
        means: dict[int, float] = {}
        calls = 0
        known = np.zeros_like(sizes)
        queue = [int(sizes[0]), int(third), int(sizes[-1])]
        while True:
            for size in queue:
                means |= _means(source, {size: runs}, trim=0.0)
                calls += runs
                known += np.exp(-((sizes - size) ** 2) / (2 * 200**2))
            cost = _exponential(means, sizes) * sizes
            best = int(cost.argmin())
            if 1 + known[best] > knowledge or calls > 20 or len(means) == len(sizes):
                break
            weighted = np.where([int(size) in means for size in sizes], np.inf, cost * (1 + known))
            queue = [int(sizes[int(weighted.argmin())])]
        predicted = dict(zip(map(int, sizes), _exponential(means, sizes), strict=True))
        return _picks(source, {size: max(0.001, float(value)) for size, value in predicted.items()}), len(means)

    return run


def _exponential(means: dict[int, float], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    measured, durations = np.array(sorted(means), dtype=float), np.array([means[size] for size in sorted(means)])
    best, fitted = np.inf, np.full_like(sizes, durations.mean())
    for scale in np.geomspace(30, 20_000, 60):
        terms = np.stack([np.ones_like(measured), np.exp(-measured / scale)], axis=1)
        weights, *_ = np.linalg.lstsq(terms, durations, rcond=None)
        misfit = float(((terms @ weights - durations) ** 2).sum())
        if misfit < best:
            best, fitted = misfit, weights[0] + weights[1] * np.exp(-sizes / scale)
    return fitted


def _means(source: ReplaySource, plan: dict[int, int], trim: float = 0.2) -> dict[int, float]:
    durations: dict[int, list[float]] = {}
    for run in source.measure(plan):
        durations.setdefault(run.memory_mb, []).append(run.duration_ms)
    found = {}
    for size, values in durations.items():
        dropped = int(len(values) * trim)
        found[size] = float(np.mean(sorted(values)[dropped : len(values) - dropped]))
    return found


def _picks(source: ReplaySource, means: dict[int, float]) -> Picks:
    costs = {size: source.function.cost(size, max(1.0, float(np.ceil(ms)))) for size, ms in means.items()}
    highest, slowest = max(costs.values()), max(means.values())
    scores = {size: costs[size] / highest + means[size] / slowest for size in means}
    return min(costs, key=costs.__getitem__), min(means, key=means.__getitem__), min(scores, key=scores.__getitem__)


@cache
def functions() -> list[Recorded]:
    return recorded_functions()


def trials(run: StrategyRun, chosen: Sequence[Recorded], rounds: int = ROUNDS) -> list[Trial]:
    found = []
    for number, function in enumerate(chosen):
        for round_ in range(rounds):
            source = ReplaySource(function, np.random.default_rng([number, round_]))
            picks, sizes = run(source, round_)
            found.append(Trial(function, picks, source.calls, sizes, source.usd))
    return found


def line(name: str, found: Sequence[Trial]) -> str:
    regrets = np.array([trial.regrets for trial in found]) * 100
    cost = regrets[:, 0]
    return (
        f"{name:<28} {np.mean([trial.calls for trial in found]):7.1f} {np.mean([trial.sizes for trial in found]):5.1f}"
        f" {np.mean([trial.usd for trial in found]):9.2e} {cost.mean():6.2f} {np.percentile(cost, 90):6.2f}"
        f" {cost.max():6.1f} {(cost <= 5).mean() * 100:6.1f} {regrets[:, 1].mean():6.2f} {regrets[:, 2].mean():6.2f}"
    )


HEAD = (
    f"{'strategy':<28} {'calls':>7} {'sizes':>5} {'USD':>9} {'cost%':>6} {'p90':>6} {'max':>6} {'<=5%':>6}"
    f" {'speed%':>6} {'bal.%':>6}"
)
STRATEGY_RUNS: dict[str, StrategyRun] = {
    "ALPT num=50": alpt(50),
    "ALPT num=10": alpt(10),
    "ALPT num=5": alpt(5),
    "Parrotfish-like, default": parrotfish_like(3, 4),
    "Parrotfish-like, paper": parrotfish_like(2, 2),
    "exhaustive, 10 a size": exhaustive(10),
    **{f"adaptive, {strategy}": powertune_search("adaptive", strategy) for strategy in STRATEGIES},
    "adaptive, tolerance 2 %": powertune_search("adaptive", "balanced", 0.02),
    **{f"frugal, {strategy}": powertune_search("frugal", strategy) for strategy in STRATEGIES},
}


def test_adaptive_search_is_as_accurate_as_ten_times_its_invocations() -> None:
    chosen = functions()
    results = {name: trials(run, chosen) for name, run in STRATEGY_RUNS.items()}
    print(f"\n{len(chosen)} functions, {ROUNDS} rounds each\n{HEAD}")
    for name, found in results.items():
        print(line(name, found))
    for source in dict.fromkeys(function.source for function in chosen):
        print(f"\n{source}\n{HEAD}")
        for name, found in results.items():
            print(line(name, [trial for trial in found if trial.function.source == source]))
        print(f"without {source}")
        for name, found in results.items():
            print(line(name, [trial for trial in found if trial.function.source != source]))

    def mean(name: str, value: Callable[[Trial], float]) -> float:
        return float(np.mean([value(trial) for trial in results[name]]))

    for strategy in STRATEGIES:
        assert mean(f"adaptive, {strategy}", lambda trial: trial.calls) <= 22
    assert mean("adaptive, cost", lambda trial: trial.regrets[0]) <= 0.0045
    assert mean("adaptive, speed", lambda trial: trial.regrets[1]) <= 0.03
    assert mean("adaptive, balanced", lambda trial: trial.regrets[2]) <= 0.015
    assert mean("adaptive, cost", lambda trial: trial.usd) < mean("ALPT num=5", lambda trial: trial.usd)
    assert mean("frugal, cost", lambda trial: trial.calls) <= 15
    assert mean("frugal, cost", lambda trial: trial.regrets[0]) <= 0.008
    assert mean("frugal, cost", lambda trial: trial.usd) <= mean("ALPT num=5", lambda trial: trial.usd) / 2


def test_adaptive_search_finds_the_left_edge_of_a_plateau_that_fixed_grids_miss() -> None:
    sweep = [function for function in functions() if function.source == "cpu-sweep"]
    results = {name: trials(run, sweep, 4 * ROUNDS) for name, run in STRATEGY_RUNS.items() if "exhaustive" not in name}
    print(f"\nthe CPU sweep, {4 * ROUNDS} rounds\n{HEAD}")
    for name, found in results.items():
        print(line(name, found))
    for strategy in STRATEGIES:
        found = results[f"adaptive, {strategy}"]
        assert np.mean([trial.regrets[0] for trial in found]) <= 0.03
        assert np.mean([trial.calls for trial in found]) <= 30
