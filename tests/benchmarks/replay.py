"""Recorded functions that a search can be tried on: a source that only hands out draws of what was recorded.

What is replayed and how (which functions, with what noise, at which prices) is that of baselines.md beside the data.
"""

import csv
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import NormalDist
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from powertune.model.function_facts import FunctionFacts
from powertune.model.invocation import Invocation
from powertune.model.source import SourceFacts

DATA = Path(__file__).parents[3] / "shared" / "data"
USD_PER_GB_SECOND = {"x86_64": 1.66667e-5, "arm64": 1.33334e-5}
USD_PER_REQUEST = 0.2e-6
ASSUMED_SPREAD = 0.08
"""Of aggregates without a 99th percentile, as in baselines.md."""

_FEWEST_RUNS, _FEWEST_SIZES_OF_RUNS = 5, 4
_FEWEST_SIZES, _LEAST_SPAN = 5, 6
_QUANTILES = 20_001

Draw = Callable[[np.random.Generator], float]


@dataclass(frozen=True)
class Recorded:
    """A function of which it is known how long it takes at each of its sizes."""

    source: str
    name: str
    architecture: str
    draws: Mapping[int, Draw]
    """By memory size in MB: one duration in ms."""
    durations_ms: Mapping[int, float]
    """Mean over everything recorded."""
    billed_ms: Mapping[int, float]

    @property
    def sizes_mb(self) -> Sequence[int]:
        return sorted(self.draws)

    @property
    def usd_per_gb_second(self) -> float:
        return USD_PER_GB_SECOND[self.architecture]

    def cost(self, memory_mb: int, billed_ms: float) -> float:
        """Return what an invocation costs in US dollars."""
        return memory_mb / 1024 * billed_ms / 1000 * self.usd_per_gb_second + USD_PER_REQUEST

    @property
    def costs(self) -> dict[int, float]:
        return {size: self.cost(size, self.billed_ms[size]) for size in self.sizes_mb}

    @property
    def scores(self) -> dict[int, float]:
        """Balanced score of each size, half cost and half duration."""
        costs, highest_cost = self.costs, max(self.costs.values())
        slowest_ms = max(self.durations_ms.values())
        return {
            size: costs[size] / highest_cost / 2 + self.durations_ms[size] / slowest_ms / 2 for size in self.sizes_mb
        }

    def regrets(self, cost_mb: int, speed_mb: int, balanced_mb: int) -> tuple[float, float, float]:
        """Return by which share the three picks are worse than the best there is."""
        return tuple(  # type: ignore[return-value] # three of them
            values[pick] / min(values.values()) - 1
            for values, pick in ((self.costs, cost_mb), (self.durations_ms, speed_mb), (self.scores, balanced_mb))
        )


@dataclass
class ReplaySource:
    """A source of `Recorded` runs. A size's first run is a cold start beside those that were asked for."""

    function: Recorded
    random: np.random.Generator
    cold_first: bool = True
    calls: int = 0
    usd: float = 0.0
    opened: set[int] = field(default_factory=set)

    @property
    def sizes(self) -> Sequence[int]:
        return self.function.sizes_mb

    @property
    def facts(self) -> SourceFacts:
        return SourceFacts(kind="replay", function=FunctionFacts(architecture=self.function.architecture))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def measure(self, plan: Mapping[int, int]) -> Iterator[Invocation]:
        for size, count in plan.items():
            if self.cold_first and size not in self.opened:
                self.opened.add(size)
                yield self._run(size, cold=True)
            for _ in range(count):
                yield self._run(size, cold=False)

    def _run(self, memory_mb: int, *, cold: bool) -> Invocation:
        duration_ms = self.function.draws[memory_mb](self.random)
        self.calls += 1
        self.usd += self.function.cost(memory_mb, max(1, math.ceil(duration_ms)))
        return Invocation(memory_mb, duration_ms, cold=cold)


def recorded_functions(data: Path = DATA) -> list[Recorded]:
    """Return the functions that can be replayed, in the order of their files."""
    return [
        *_from_runs(data / "samples_s3writes.csv"),
        *_from_runs(data / "samples_rust_hello.csv"),
        *_from_aggregates(data / "aggregates_nov2025.csv"),
        *_from_aggregates(data / "aggregates_workflows.csv"),
        _from_sweep(data / "cpu_sweep_aws.csv"),
    ]


def _rows(path: Path) -> dict[tuple[str, str, str], list[dict[str, str]]]:
    found: dict[tuple[str, str, str], list[dict[str, str]]] = defaultdict(list)
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["duration_ms"]:
                found[row["source"], row["function"], row["arch"]].append(row)
    return found


def _from_runs(path: Path) -> Iterator[Recorded]:
    for (source, name, architecture), rows in _rows(path).items():
        by_size: dict[int, list[float]] = defaultdict(list)
        for row in rows:
            by_size[int(row["memory_mb"])].append(float(row["duration_ms"]))
        kept = {size: np.array(found) for size, found in by_size.items() if len(found) >= _FEWEST_RUNS}
        if len(kept) >= _FEWEST_SIZES_OF_RUNS:
            yield _function(source, name, architecture, kept)


def _from_aggregates(path: Path) -> Iterator[Recorded]:
    for (source, name, architecture), rows in _rows(path).items():
        kept: dict[int, NDArray[np.float64]] = {}
        for row in rows:
            size = int(row["memory_mb"])
            if row["kind"] == "cold" or size in kept:
                continue
            mean_ms = float(row["duration_ms"])
            spread = _lognormal_spread(float(row["p99_ms"]) / mean_ms) if row["p99_ms"] else ASSUMED_SPREAD
            kept[size] = mean_ms * _lognormal(spread)
        if len(kept) >= _FEWEST_SIZES and max(kept) >= _LEAST_SPAN * min(kept):
            yield _function(source, name, architecture, kept)


def _lognormal_spread(p99_to_mean: float) -> float:
    """Return the sigma of the lognormal distribution whose 99th percentile is so many times its mean."""
    z99 = 2.3263478740408408
    return z99 - math.sqrt(max(0.0, z99**2 - 2 * math.log(max(1.0, p99_to_mean))))


def _lognormal(spread: float) -> NDArray[np.float64]:
    """Return a lognormal distribution of mean 1 as values at even ranks."""
    values = np.exp(spread * _normal_quantiles())
    return values / values.mean()  # type: ignore[no-any-return] # an array


@cache
def _normal_quantiles() -> NDArray[np.float64]:
    normal = NormalDist()
    return np.array([normal.inv_cdf((rank + 0.5) / _QUANTILES) for rank in range(_QUANTILES)])


def _from_sweep(path: Path) -> Recorded:
    """Return the function of the sweep, its durations drawn between the recorded percentiles."""
    kept = {}
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            p5, p50, p95, mean = (float(row[name]) for name in ("p5_ms", "p50_ms", "p95_ms", "mean_ms"))
            ranks = np.linspace(0, 1, 2001)
            values = np.interp(ranks, [0, 0.05, 0.5, 0.95, 1], [p5, p5, p50, p95, p95])
            kept[int(row["memory_mb"])] = values + (mean - values.mean())
    return _function("cpu-sweep", "cpu-sweep", "x86_64", kept)


def _function(source: str, name: str, architecture: str, durations: Mapping[int, NDArray[np.float64]]) -> Recorded:
    def draw(values: NDArray[np.float64]) -> Draw:
        return lambda random: float(values[random.integers(len(values))])

    return Recorded(
        source,
        name,
        architecture,
        {size: draw(values) for size, values in durations.items()},
        {size: float(values.mean()) for size, values in durations.items()},
        {size: float(np.ceil(values).clip(min=1).mean()) for size, values in durations.items()},
    )
