"""Which 95 % interval of a mean holds it in 95 % of samples: Student's, Hall's, the bootstrap's, by simulation.

Run by hand with `-m benchmark -s`: it prints, for each distribution and number of runs, the share of samples whose
interval holds the true mean, and the interval's half-width as a share of the mean. `summarise` uses Student's interval
for fewer than ten runs and Hall's from there on.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from powertune.analysis.intervals import t95
from powertune.analysis.statistics import summarise

Values = NDArray[np.float64]
Method = Callable[[Values, np.random.Generator], tuple[Values, Values]]

TRIALS = 1000
DRAWS = 999
RUNS = (2, 3, 5, 10, 20, 30, 100)


def lognormal(spread: float) -> Callable[[np.random.Generator, int], Values]:
    return lambda rng, count: np.exp(spread * rng.standard_normal((TRIALS, count)) - spread**2 / 2)


def two_modes(share: float, ratio: float) -> Callable[[np.random.Generator, int], Values]:
    mean = 1 + share * (ratio - 1)

    def draw(rng: np.random.Generator, count: int) -> Values:
        slow = rng.random((TRIALS, count)) < share
        return np.where(slow, ratio, 1.0) * (1 + 0.05 * rng.standard_normal((TRIALS, count))) / mean

    return draw


# All of mean 1.
DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, int], Values]] = {
    "normal, 8 %": lambda rng, count: 1 + 0.08 * rng.standard_normal((TRIALS, count)),
    "lognormal, 8 %": lognormal(0.08),
    "lognormal, 25 %": lognormal(0.25),
    "lognormal, 60 %": lognormal(0.6),
    "30 % twice as slow": two_modes(0.3, 2),
    "10 % five times as slow": two_modes(0.1, 5),
}


def ours(samples: Values, _rng: np.random.Generator) -> tuple[Values, Values]:
    found = np.array([summarise(sample.tolist()).ci95 for sample in samples])
    return found[:, 0], found[:, 1]


def student(samples: Values, _rng: np.random.Generator) -> tuple[Values, Values]:
    count = samples.shape[1]
    mean, half = samples.mean(axis=1), t95(count - 1) * samples.std(axis=1, ddof=1) / math.sqrt(count)
    return mean - half, mean + half


def of_logarithms(samples: Values, _rng: np.random.Generator) -> tuple[Values, Values]:
    """Cox's interval with Student's t: that of a lognormal mean."""
    count, logs = samples.shape[1], np.log(np.maximum(samples, 1e-9))
    variance = np.minimum(logs.var(axis=1, ddof=1), 100)
    centre = logs.mean(axis=1) + variance / 2
    half = np.minimum(t95(count - 1) * np.sqrt(variance / count + variance**2 / (2 * (count - 1))), 50)
    return np.exp(centre - half), np.exp(centre + half)


def bootstrap_percentiles(samples: Values, rng: np.random.Generator) -> tuple[Values, Values]:
    places = rng.integers(0, samples.shape[1], (DRAWS, samples.shape[1]))
    ends = np.array([np.quantile(sample[places].mean(axis=1), [0.025, 0.975]) for sample in samples])
    return ends[:, 0], ends[:, 1]


def bootstrap_t(samples: Values, rng: np.random.Generator) -> tuple[Values, Values]:
    count = samples.shape[1]
    places = rng.integers(0, count, (DRAWS, count))
    low, high = np.empty(len(samples)), np.empty(len(samples))
    for row, sample in enumerate(samples):
        drawn = sample[places]
        errors = drawn.std(axis=1, ddof=1) / math.sqrt(count)
        spread = errors > 0
        mean, error = sample.mean(), sample.std(ddof=1) / math.sqrt(count)
        if not spread.any():
            low[row] = high[row] = mean
            continue
        few, many = np.quantile((drawn.mean(axis=1)[spread] - mean) / errors[spread], [0.025, 0.975])
        low[row], high[row] = mean - many * error, mean - few * error
    return low, high


METHODS: dict[str, Method] = {
    "powertune": ours,
    "Student": student,
    "logarithms": of_logarithms,
    "bootstrap %": bootstrap_percentiles,
    "bootstrap t": bootstrap_t,
}


@pytest.mark.benchmark
def test_no_other_interval_holds_the_mean_as_often_as_it_says_over_all_distributions() -> None:
    print(f"\n{'':26}{'runs':>5}" + "".join(f"{name:>18}" for name in METHODS))
    worst = dict.fromkeys(METHODS, 0.0)
    for name, draw in DISTRIBUTIONS.items():
        for count in RUNS:
            cells = []
            for method, interval in METHODS.items():
                rng = np.random.default_rng(count)
                samples = draw(rng, count)
                low, high = interval(samples, rng)
                covered = float(np.mean((low <= 1) & (high >= 1)))
                cells.append(f"{covered:>9.1%} ±{min(9.99, float(np.median(high - low)) / 2):6.1%}")
                if "slow" not in name:  # modes that small samples have not seen are beyond any interval
                    worst[method] = max(worst[method], abs(covered - 0.95))
            print(f"{name:26}{count:5}" + "".join(f"{cell:>18}" for cell in cells))
    print(f"{'worst without modes':31}" + "".join(f"{value:>17.1%} " for value in worst.values()))
    assert worst["powertune"] <= min(worst["Student"], worst["bootstrap %"], worst["bootstrap t"]) + 0.01
