"""What deciding costs: CPU time of one decision of a search, and of a whole search.

`python -m pytest -m benchmark -s tests/benchmarks/test_deciding.py` prints medians.
"""

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import pytest

from powertune.analysis.beliefs import Bill
from powertune.analysis.recommendation import Choice
from powertune.analysis.search import AdaptiveSearch
from powertune.aws_lambda.cpu import MB_PER_VCPU, wall_time_ms
from powertune.model.invocation import Invocation
from powertune.model.recommendation import STRATEGIES, Strategy

Duration = Callable[[int], float]
"""In ms, by memory size in MB."""

pytestmark = pytest.mark.benchmark

FEW_MB = (128, 256, 384, 512, 768, 1024, 1280, 1536, 1769, 2048, 3008)
MANY_MB = tuple(range(128, 128 + 9 * 195, 9))
ROUNDS = 5
SPREAD = 0.05


def long_ms(memory_mb: int) -> float:
    return 100 + 1500 / min(1.0, memory_mb / MB_PER_VCPU)


def short_ms(memory_mb: int) -> float:
    """Short enough for steps of 20 ms, which the model then has to work out for every size."""
    return wall_time_ms([(16.0, 0.0)], memory_mb)


@pytest.mark.parametrize(("handler", "duration_ms"), [("long", long_ms), ("short", short_ms)])
@pytest.mark.parametrize("sizes_mb", [FEW_MB, MANY_MB], ids=["11 sizes", "195 sizes"])
def test_deciding_is_free(sizes_mb: tuple[int, ...], handler: str, duration_ms: Duration) -> None:
    decisions_ms, searches_ms, counts = [], [], []
    for round_ in range(ROUNDS):
        for strategy in STRATEGIES:
            taken_ms, count = one_search(sizes_mb, duration_ms, strategy, np.random.default_rng(round_))
            decisions_ms += taken_ms
            searches_ms.append(sum(taken_ms))
            counts.append(count)
    print(
        f"\n{len(sizes_mb)} sizes, a {handler} handler: {median(decisions_ms):.2f} ms of CPU a decision,"
        f" {median(searches_ms):.0f} ms a search of {median(counts):.0f} runs (the first, with tables to make:"
        f" {searches_ms[0]:.0f} ms)"
    )
    # The figures are judged by eye, as machines differ; this only tells a search that has become another kind of slow.
    assert median(decisions_ms) < 50
    assert median(searches_ms) < 2000


def one_search(
    sizes_mb: tuple[int, ...], duration_ms: Duration, strategy: Strategy, random: np.random.Generator
) -> tuple[list[float], int]:
    """Return the CPU time in ms of each decision of a search, the making of the search counted in, and its runs."""
    bills = {size: Bill(size / 1024 / 1000 * 0.0000166667, 0.0000002) for size in sizes_mb}
    runs: dict[int, list[Invocation]] = {}
    start = time.process_time()
    search = AdaptiveSearch(sizes_mb, bills, Choice(strategy=strategy))
    taken_ms = []
    while True:
        plan = search.next(runs)
        taken_ms.append((time.process_time() - start) * 1000)
        if not plan:
            return taken_ms, sum(map(len, runs.values()))
        for size, count in plan.items():
            spread = random.lognormal(0, SPREAD, count)
            runs.setdefault(size, []).extend(Invocation(size, duration_ms(size) * one) for one in spread)
        start = time.process_time()
