"""Duration at any memory size from a few measured ones, with what stays unknown about it.

A handler waits, computes on one core, computes on several, and may thrash where memory is tight. With u = MB / 1769,
the share of a vCPU, its mean duration is a sum of four curves with weights that are not negative:

    b0 + b1 / min(u, 1) + b2 / u + b3 * 0.1 / u²

Which of the four a handler has is not known, so every subset of them is fitted and counts by how well it explains what
was measured: where subsets disagree, that is the uncertainty. Handlers of a few tens of ms take steps instead, because
CPU is handed out every 20 ms; for those the CPU law joins as further curves, one for each amount of CPU time.

No real function lies on such a curve. What is left over is taken to wander with memory (its own part of cost at each
size, hosts, caches, the clock rate) as a Gaussian process on log duration: universal kriging (Cressie, Statistics for
Spatial Data, 1993, 3.4) with the subsets as trends, averaged as in Bayesian model averaging (Hoeting et al., 1999).

How far it wanders differs from function to function, too: most keep close to a sum of the four curves, some are
erratic. Each amount counts by how likely it makes what was measured, as the subsets do, so that intervals are narrow
where sizes agree with each other and wide where they do not.

The answer is a few hundred equally likely curves rather than one with error bars, so that any question (which size is
cheapest, how sure is that) is asked of each curve and answered by counting.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from powertune.aws_lambda.cpu import MB_PER_VCPU, PERIOD_MS, TICK_MS, longest_cpu_time_ms, wall_times_ms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.floating[Any]]

CURVES = 256
"""How many equally likely curves stand for what is known. A share counted among them is right to about 2 points."""

# How far a function lies from a sum of the four curves, as standard deviations of log duration. Fine sweeps recorded
# with AWS Lambda Power Tuning scatter around a smooth curve by 4 % with 10 runs a size, 2 to 3 % of it from the runs.
_OF_ONE_SIZE_SD = 0.03
_WANDERING_SD = 0.08
_WANDERING_OCTAVES = 2.0
"""Over how many doublings of memory the wandering part keeps a correlation of 1/e: 7 % between neighbours on the usual
grid of doublings, in line with the 6.5 % by which the four curves alone miss sizes left out of recorded sweeps."""
_LOG_ODDS_PER_CURVE = 0.7
"""What each further curve of a subset has to gain in log likelihood: about ln 2, so it is at even odds without data."""

_LOG_ODDS_BY_SCALE = {3.0**step: -_LOG_ODDS_PER_CURVE * step for step in range(3)}
"""How many times further from such a sum a function may lie, and the odds: being erratic is one more thing to assume,
at the same price. Fine sweeps measured in parallel scatter by 9 to 15 %, three times as much as those measured one run
after the other; the third scale is for what no sweep should do, and some do. In between, one scale stands for the
other, as each is right to within half a step."""

_SUBSETS = tuple(itertools.product((False, True), repeat=4))[1:]
"""Which of the four terms are in, for each subset that has any."""

_SHORTEST_STEPPED_MS, _LONGEST_STEPPED_MS = TICK_MS, 3 * PERIOD_MS
"""CPU time below which nothing is throttled, and above which steps of 20 ms are a small share of most durations."""
_CPU_TIMES = 48
_LEAST_OF_MOST = 0.25
"""The least CPU time among stepped curves, as a share of the most that the durations leave room for."""
_GRANTED = (1.0, 0.975, 0.95)
"""Shares of the nominal CPU whose stepped curves are averaged, as hosts differ. At 128 MB 0.99 was measured (arXiv
2506.01283v2); the steps of the recorded sweep are spread over sizes 0 to 5 % above those of the law."""
_STEPPED_LOG_ODDS = 3.0
"""Twenty to one that CPU work this short takes steps; the smooth curves stay for what the law does not know."""
_SAME_TERMS = 1e-4
"""Relative singular value below which two terms are the same one at the sizes measured."""
_TELLS_OF_SECOND_VCPU = 1.1
_MOST_EVIDENCE = 200
"""Sizes that a prediction rests on at most: the work grows with the third power of their number."""
_SHORTEST_MS = 0.001
"""What a duration recorded as 0 is taken for: logarithms need something."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What runs at one memory size tell: their mean, and how far off it may be."""

    memory_mb: int
    mean_ms: float
    variance: float
    """Of that mean, relative to its square: spread² / number of runs."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A duration that was never measured."""

    duration_ms: float
    """The mean over runs, as likely to be longer as to be shorter."""
    duration_ci95_ms: tuple[float, float]


class DurationModel:
    """What can be known of durations at `sizes_mb`; `given` adds what was measured.

    Curves are drawn with the `seed`, so that the same evidence gives the same answer.
    """

    def __init__(self, sizes_mb: Sequence[int], *, seed: int = 0) -> None:
        import numpy as np  # noqa: PLC0415 - late, as in all of this package: a start without numpy is a fast one

        self.sizes_mb = tuple(sorted(set(sizes_mb)))
        self._place = {size: index for index, size in enumerate(self.sizes_mb)}
        self._memory = np.array(self.sizes_mb, dtype=np.float64)
        octaves = np.log2(self._memory)
        wandering = _WANDERING_SD**2 * np.exp(-abs(octaves[:, None] - octaves) / _WANDERING_OCTAVES)
        self._covariance = wandering + _OF_ONE_SIZE_SD**2 * np.eye(len(octaves))
        self._terms = _terms(self._memory)
        random = np.random.default_rng(seed)
        shape = (CURVES, len(octaves))
        self._residuals = _wandering(octaves, random.standard_normal(shape))
        self._residuals += _OF_ONE_SIZE_SD * random.standard_normal(shape)
        self._noise = random.standard_normal(shape)
        self._weights_noise = random.standard_normal((CURVES, 4))
        self._ranks = (random.permutation(CURVES) + 0.5) / CURVES
        self._tables: dict[int, Array] = {}

    def given(self, evidence: Sequence[Evidence]) -> "Array":
        """Return equally likely curves, durations in ms: `CURVES` rows, one column for each of `sizes_mb`.

        The order of `evidence` does not matter. Raises ValueError for none, for a size that is not among `sizes_mb`,
        and for two of one size.
        """
        import numpy as np  # noqa: PLC0415

        known = sorted(evidence, key=lambda item: item.memory_mb)
        if not known or len({item.memory_mb for item in known}) < len(known):
            raise ValueError("evidence of one size or more is needed, each size once")
        if any(item.memory_mb not in self._place for item in known):
            raise ValueError("evidence of a size that the model was not made for")
        places = np.array([self._place[item.memory_mb] for item in known])
        means_ms = np.array([max(item.mean_ms, _SHORTEST_MS) for item in known])
        variances = np.array([item.variance for item in known])
        covariances = {scale: scale**2 * self._covariance[:, places] for scale in _LOG_ODDS_BY_SCALE}
        of_means = {scale: covariance[places] + np.diag(variances) for scale, covariance in covariances.items()}
        trends, scales = self._trends(places, means_ms, of_means)
        # Conditioning by kriging of simulations (Journel and Huijbregts, Mining Geostatistics, 1978, 7.1): a curve
        # drawn without the evidence is moved by what the evidence says of its error.
        logs = trends + scales[:, None] * self._residuals
        errors = np.log(means_ms) - logs[:, places] - self._noise[:, places] * np.sqrt(variances)
        for scale, covariance in covariances.items():
            rows = scales == scale
            logs[rows] += errors[rows] @ np.linalg.solve(of_means[scale], covariance.T)
        curves: Array = np.exp(logs)
        return curves

    def _trends(
        self, places: "NDArray[np.intp]", means_ms: "Array", covariances: "Mapping[float, Array]"
    ) -> "tuple[Array, Array]":
        """Return the logarithm of a trend for each curve, and by how much the curve wanders around it: its scale.

        A trend is a subset of the four terms or a stepped curve. `covariances`, of the logarithms of `means_ms`, are by
        scale. Trends and scales are drawn by how well they explain the means.
        """
        import numpy as np  # noqa: PLC0415

        stepped = self._stepped(places, means_ms)
        steps = np.zeros((len(self.sizes_mb), 1)) if stepped is None else stepped
        relative_terms, relative_steps = self._terms[places] / means_ms[:, None], steps[places] / means_ms[:, None]
        found: list[_Fits] = []
        scores: list[Array] = []
        scales: list[Array] = []
        usual_log_error = None
        for scale, log_odds in _LOG_ODDS_BY_SCALE.items():
            factor = np.linalg.cholesky(covariances[scale])
            # Whitened, and relative to the measured means: a perfect fit is all ones.
            terms: Array = np.linalg.solve(factor, relative_terms)
            ones: Array = np.linalg.solve(factor, np.ones(len(places)))
            kinds = [_fit_subsets(terms, ones)]
            if stepped is not None:
                kinds.append(_fit_stepped(np.linalg.solve(factor, relative_steps), terms[:, 0], ones))
            # The larger the errors that a scale expects, the less likely any that are met: the determinant of a normal
            # density, by the sizes that are left to tell once the parameters are fitted (as in restricted likelihood).
            log_error = np.log(factor.diagonal()).mean()
            usual_log_error = log_error if usual_log_error is None else usual_log_error
            for fits in kinds:
                telling = (len(places) - fits.parameters).clip(min=0)
                scores.append(fits.scores + log_odds - telling * (log_error - usual_log_error))
                scales.append(np.full(len(fits.scores), scale))
            found += kinds
        all_scores = np.concatenate(scores)
        odds = np.exp(all_scores - all_scores.max())
        chosen = np.searchsorted(np.cumsum(odds) / odds.sum(), self._ranks).clip(max=len(odds) - 1)
        weights = np.concatenate([fits.weights for fits in found])[chosen]
        spreads = np.concatenate([fits.spreads for fits in found])[chosen]
        columns = np.concatenate([fits.columns for fits in found])[chosen]
        drawn = weights + (spreads @ self._weights_noise[:, :, None])[:, :, 0]
        drawn = np.where(drawn.max(axis=1, keepdims=True) > 0, drawn.clip(min=0), weights)
        durations_ms = drawn @ self._terms.T
        takes_steps = columns >= 0
        durations_ms[takes_steps] += steps[:, columns[takes_steps]].T
        return np.log(durations_ms), np.concatenate(scales)[chosen]

    def _stepped(self, places: "NDArray[np.intp]", means_ms: "Array") -> "Array | None":
        """Return durations in ms by the CPU law, sizes by CPU times, where the handler is short enough for steps."""
        memory_mb = [self.sizes_mb[place] for place in places]
        most_cpu_ms = min(
            longest_cpu_time_ms(float(mean_ms), size) for size, mean_ms in zip(memory_mb, means_ms, strict=True)
        )
        if not _SHORTEST_STEPPED_MS < most_cpu_ms < _LONGEST_STEPPED_MS:
            return None
        # Tables for CPU times up to a power of 2 ** (1/4), so that little more evidence does not need another one.
        top = math.ceil(4 * math.log2(most_cpu_ms))
        if top not in self._tables:
            self._tables[top] = _step_table(top, self.sizes_mb)
        return self._tables[top]


def predict(evidence: Sequence[Evidence], sizes_mb: Sequence[int], *, seed: int = 0) -> dict[int, Prediction]:
    """Return what durations to expect at sizes that were not measured, by size in MB.

    Raises ValueError for no evidence.
    """
    import numpy as np  # noqa: PLC0415

    if not sizes_mb:
        return {}
    evidence = _thinned(evidence)
    measured = [item.memory_mb for item in evidence]
    model = DurationModel([*measured, *sizes_mb], seed=seed)
    curves = model.given(evidence)
    low, middle, high = np.quantile(curves, (0.025, 0.5, 0.975), axis=0)
    found = {}
    for size in sizes_mb:
        place = model.sizes_mb.index(size)
        interval = float(low[place]), float(high[place])
        found[size] = Prediction(float(middle[place]), interval)
    return found


def _thinned(evidence: Sequence[Evidence]) -> Sequence[Evidence]:
    """Return evidence of no more sizes than tell anything new, at even steps through memory."""
    if len(evidence) <= _MOST_EVIDENCE:
        return evidence
    known = sorted(evidence, key=lambda item: item.memory_mb)
    last = len(known) - 1
    return [known[round(step * last / (_MOST_EVIDENCE - 1))] for step in range(_MOST_EVIDENCE)]


def knows_parallel_speed(measured_mb: Sequence[int], memory_mb: int) -> bool:
    """Tell whether the sizes measured can say if more than one vCPU makes a handler faster at `memory_mb`.

    Below one vCPU a handler with two busy threads and one with a single thread behave alike.
    """
    return memory_mb <= MB_PER_VCPU or max(measured_mb, default=0) > _TELLS_OF_SECOND_VCPU * MB_PER_VCPU


@dataclass(frozen=True, slots=True)
class _Fits:
    """Trends fitted to the evidence, each a sum of the four terms by weight and perhaps a stepped curve; one a row."""

    weights: "Array"
    """Of the four terms, in ms."""
    spreads: "Array"
    """Square roots of the weights' covariances."""
    columns: "NDArray[np.intp]"
    """Of the stepped curve in its table; -1 for none."""
    parameters: "NDArray[np.intp]"
    """How many were fitted."""
    scores: "Array"
    """Log likelihood, less the price of the parameters."""


def _wandering(octaves: "Array", noise: "Array") -> "Array":
    """Return a wandering part for each row of standard `noise`, column by column of ascending `octaves`.

    With a correlation that is an exponential of the distance, all that a size knows of smaller ones is the next one
    (Doob, 1942): no factor of the covariance is needed, which costs the cube of the number of sizes.
    """
    import numpy as np  # noqa: PLC0415

    kept = np.exp(-np.diff(octaves) / _WANDERING_OCTAVES)
    found = _WANDERING_SD * noise
    for place, share in enumerate(kept, start=1):
        found[:, place] = share * found[:, place - 1] + math.sqrt(1 - share**2) * found[:, place]
    return found


def _terms(memory_mb: "Array") -> "Array":
    """Return the four curves of the model, sizes by terms: waiting, serial CPU, parallel CPU, thrash."""
    import numpy as np  # noqa: PLC0415

    share = memory_mb / MB_PER_VCPU
    return np.stack([np.ones_like(share), 1 / share.clip(max=1), 1 / share, 0.1 / share**2], axis=1)


def _fit_subsets(terms: "Array", ones: "Array") -> _Fits:
    """Return the least-squares fits of all subsets of the whitened `terms` that are fits: no weight is below zero.

    Where a weight would be below zero, the subset without that term is the better one and is among the others.
    """
    import numpy as np  # noqa: PLC0415

    subsets = np.array([subset for subset in _SUBSETS if sum(subset) <= len(ones)])
    norms = np.sqrt((terms**2).sum(axis=0))  # terms differ by orders of magnitude, and rank is told on one scale
    unit = terms / norms
    # Normal equations of all subsets at once; a term that is left out has an equation of its own, weight = 0.
    both = subsets[:, :, None] & subsets[:, None, :]
    products = np.where(both, unit.T @ unit, np.eye(len(norms)))
    lowest, *_, highest = np.moveaxis(np.linalg.eigvalsh(products), 1, 0)
    told_apart = lowest > highest * _SAME_TERMS**2
    subsets, products = subsets[told_apart], products[told_apart]
    weights = np.linalg.solve(products, (subsets * (unit.T @ ones))[:, :, None])[:, :, 0]
    fit = (weights >= 0).all(axis=1)
    subsets, products, weights = subsets[fit], products[fit], weights[fit]
    roots = np.linalg.inv(np.linalg.cholesky(products)).transpose(0, 2, 1)
    counts = subsets.sum(axis=1)
    misfits = ((weights @ unit.T - ones) ** 2).sum(axis=1)
    return _Fits(
        weights=weights / norms,
        spreads=roots * subsets[:, None, :] / norms[:, None],
        columns=np.full(len(counts), -1),
        parameters=counts,
        scores=-0.5 * misfits - _LOG_ODDS_PER_CURVE * counts,
    )


def _fit_stepped(steps: "Array", waiting: "Array", ones: "Array") -> _Fits:
    """Return a fit for each CPU time, with the waiting that fits best beside it.

    `steps` and `waiting` are whitened, sizes by CPU times and sizes. All CPU times together weigh as one subset of two
    terms, CPU and waiting, does, and more by the odds that so short a handler takes steps.
    """
    import numpy as np  # noqa: PLC0415

    left = ones[:, None] - steps
    waits_ms: Array = (waiting @ left / (waiting @ waiting)).clip(min=0)
    misfits = ((left - waiting[:, None] * waits_ms) ** 2).sum(axis=0)
    likelihoods = np.exp(-0.5 * (misfits - misfits.min()))
    prior = _STEPPED_LOG_ODDS - 2 * _LOG_ODDS_PER_CURVE - math.log(likelihoods.sum())
    count = len(misfits)
    return _Fits(
        weights=waits_ms[:, None] * np.array([1.0, 0.0, 0.0, 0.0]),
        spreads=np.zeros((count, 4, 4)),
        columns=np.arange(count),
        parameters=np.full(count, 2),
        scores=prior - 0.5 * misfits,
    )


def _step_table(top: int, sizes_mb: Sequence[int]) -> "Array":
    """Return durations in ms by the CPU law: sizes by CPU times below 2 ** (top / 4) ms, for each share granted."""
    import numpy as np  # noqa: PLC0415

    return np.array([np.mean([_steps_at(top, size, share) for share in _GRANTED], axis=0) for size in sizes_mb])


@lru_cache(maxsize=10_000)  # of a few microseconds' worth of floats each
def _steps_at(top: int, memory_mb: int, granted: float) -> tuple[float, ...]:
    step = math.log(_LEAST_OF_MOST) / (_CPU_TIMES - 1)
    cpu_times_ms = [2 ** (top / 4) * math.exp(step * index) for index in reversed(range(_CPU_TIMES))]
    return tuple(wall_times_ms(cpu_times_ms, memory_mb * granted))
