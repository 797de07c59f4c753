"""What the duration model makes of runs on the three axes: which size would be taken, and where a run is worth it."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING

from powertune.analysis.duration_model import Evidence
from powertune.analysis.recommendation import Choice
from powertune.analysis.strata import Stratum
from powertune.model.size_profile import Expected, SizeProfile

if TYPE_CHECKING:
    from powertune.analysis.duration_model import Array
    from powertune.model.recommendation import Strategy

LEAST_GAIN = 0.0065
"""Expected improvement, as a share of cost, duration or score, below which a size is left alone: a third of the
default tolerance, within which two sizes pass for equal anyway."""
_SPEED_SLACK = 0.05
"""How much faster a size has to be to be worth looking for: people do not feel less, and large sizes are dear. Sizes
within 5 % of the fastest are commonly taken for as fast."""
_RUNS_OF_NEW_SIZE = 2.0
"""A run at a size that was never tried opens an environment first: a cold run, which tells nothing of warm ones."""

_SPREAD, _SPREAD_RUNS, _OWN_SPREAD_RUNS = 0.08, 2.0, 4.0
"""Relative spread of runs before any is known, and for how many runs that counts; then for how many runs of its own
the spread of all sizes counts at each. Recorded functions: 1 to 60 %, half of them below 8 %."""
_LOST_TO_TAILS = 2.0
"""Student's t with n degrees of freedom has n / (n - 2) times the variance of a normal distribution."""
_OVER_LIMIT = 10.0
"""By how many times its excess a size that breaks a limit counts as worse, so that the search looks elsewhere."""
_P95_DEVIATIONS, _P95_TWO_SIDED = 1.645, 1.96


@dataclass(frozen=True, slots=True)
class Bill:
    """What one invocation costs at a memory size: a price per billed millisecond, and one for being invoked."""

    per_ms: float
    per_invocation: float


class Beliefs:
    """What the model's curves say of the three axes, and which size would be taken on each."""

    def __init__(
        self,
        sizes_mb: Sequence[int],
        curves_ms: "Array",
        added_ms: Sequence[float],
        bills: Sequence[Bill],
        choice: Choice,
        *,
        measured: Sequence[int],
        hopeless: AbstractSet[int],
        weights: "Mapping[Strategy, float]",
        spread: float,
    ) -> None:
        import numpy as np  # noqa: PLC0415

        self._sizes_mb, self._choice, self._curves_ms, self._hopeless = sizes_mb, choice, curves_ms, hopeless
        per_ms = np.array([bill.per_ms for bill in bills])
        self._cost = per_ms * (curves_ms + np.array(added_ms)).clip(min=1) + np.array(
            [bill.per_invocation for bill in bills]
        )
        self._places = [sizes_mb.index(size) for size in measured]
        excess = np.zeros_like(curves_ms)
        if choice.max_duration_ms:
            excess += np.log(curves_ms * (1 + _P95_DEVIATIONS * spread) / choice.max_duration_ms).clip(min=0)
        if choice.max_cost_per_million:
            excess += np.log(self._cost * 1e6 / choice.max_cost_per_million).clip(min=0)
        penalty = 1 + _OVER_LIMIT * excess
        weight = choice.balanced_weight
        score = weight * self._relative(self._cost) + (1 - weight) * self._relative(curves_ms)
        self._axes: dict[Strategy, Array] = {
            "cost": self._cost * penalty,
            "speed": curves_ms * penalty,
            "balanced": score * penalty,
        }
        self._weights = weights
        self._picks = {axis: self._best(values) for axis, values in self._axes.items()}

    def _relative(self, values: "Array") -> "Array":
        highest: Array = values[:, self._places].max(axis=1, keepdims=True)
        return values / highest

    def _best(self, values: "Array") -> int:
        means = values[:, self._places].mean(axis=0)
        return self._places[int(means.argmin())]

    def worth_measuring(self, least_gain_per_run: float) -> Iterator[tuple[int, int]]:
        """Yield sizes that are worth a run, best first, each with the pick that it might beat."""
        import numpy as np  # noqa: PLC0415

        gains = {}
        for axis, values in self._axes.items():
            pick = values[:, [self._picks[axis]]]
            slack = _SPEED_SLACK if axis == "speed" else 0.0
            gains[axis] = self._weights[axis] * (1 - values / pick - slack).clip(min=0).mean(axis=0)
            gains[axis][self._picks[axis]] = 0.0
        gain = sum(gains.values())
        mean_cost = self._cost.mean(axis=0)
        runs = np.full(len(self._sizes_mb), _RUNS_OF_NEW_SIZE)
        runs[self._places] = 1.0
        price = runs * (1 + mean_cost / mean_cost[self._places].min())
        for place in np.argsort(-gain / price, kind="stable"):
            if gain[place] < max(LEAST_GAIN, least_gain_per_run * price[place]):
                continue
            axis = max(gains, key=lambda name: gains[name][place])
            yield self._sizes_mb[place], self._sizes_mb[self._picks[axis]]

    def picks(self) -> list[int]:
        """Return the sizes that would be taken on the axes that count in full."""
        return [self._sizes_mb[self._picks[axis]] for axis, weight in self._weights.items() if weight >= 1]

    def pick(self, axis: "Strategy") -> int:
        """Return the size in MB that would be taken on one axis."""
        return self._sizes_mb[self._picks[axis]]

    def certainty(self) -> str:
        """Return how sure it is that no other size is better, in words."""
        axis, tolerance = self._choice.strategy, self._choice.tolerance
        values = self._axes[axis]
        better = values < values[:, [self._picks[axis]]] * (1 - tolerance)
        better[:, [self._sizes_mb.index(size) for size in self._hopeless]] = False
        sure = 1 - float(better.any(axis=1).mean())
        words = {"cost": "cheaper", "speed": "faster", "balanced": "better balanced"}[axis]
        return f"{sure:.0%} sure that no size is {words} by over {tolerance:.0%}"

    def expected(self) -> dict[int, Expected]:
        """Return mean and 95 % interval of duration and cost at each size."""
        import numpy as np  # noqa: PLC0415

        ends_ms = np.quantile(self._curves_ms, (0.025, 0.975), axis=0)
        ends_cost = np.quantile(self._cost, (0.025, 0.975), axis=0)
        means_ms, mean_costs = self._curves_ms.mean(axis=0), self._cost.mean(axis=0)
        return {
            size: Expected(
                float(means_ms[place]),
                (float(ends_ms[0, place]), float(ends_ms[1, place])),
                float(mean_costs[place]),
                (float(ends_cost[0, place]), float(ends_cost[1, place])),
            )
            for place, size in enumerate(self._sizes_mb)
            if size not in self._hopeless
        }


def evidence_of(known: Mapping[int, Sequence[Stratum]]) -> list[Evidence]:
    """Return what the runs at each size tell the duration model.

    The spread at a size is its own, drawn to that of all sizes together, and that to what is usual: with one or two
    runs a size has no spread of its own to speak of. (An inverse gamma distribution as prior: Gelman et al., Bayesian
    Data Analysis, 2013, 2.6 and 5.) As that spread is uncertain, a mean is off by Student's t, with tails that are
    heavier than those of a normal distribution; the model takes a normal one of the same variance.
    """
    pooled = pooled_spread(known) ** 2
    found = []
    for size, strata in sorted(known.items()):
        squares, repeats = _scatter(strata)
        variance = (_OWN_SPREAD_RUNS * pooled + squares) / (_OWN_SPREAD_RUNS + repeats - _LOST_TO_TAILS)
        mean_ms = math.fsum(stratum.share * stratum.mean_ms for stratum in strata)
        errors = math.fsum((stratum.share * stratum.mean_ms) ** 2 / len(stratum.runs) for stratum in strata)
        relative = errors / mean_ms**2 if mean_ms else 1.0
        found.append(Evidence(size, mean_ms, variance * relative))
    return found


def evidence_of_profiles(profiles: Iterable[SizeProfile]) -> list[Evidence]:
    """Return what the figures of measured sizes tell the duration model, where runs are not at hand.

    How far off a mean is comes from its interval; where it has none, from its runs at the usual spread.
    """
    found = []
    for profile in profiles:
        duration = profile.duration_ms
        if duration is None:
            continue
        runs = profile.invocations.warm or profile.invocations.cold
        error = _SPREAD / math.sqrt(max(1, runs))
        if duration.ci95 and duration.mean:
            error = (duration.ci95[1] - duration.ci95[0]) / 2 / _P95_TWO_SIDED / duration.mean
        found.append(Evidence(profile.memory_mb, duration.mean, error**2))
    return found


def pooled_spread(known: Mapping[int, Sequence[Stratum]]) -> float:
    """Return the spread of runs, relative to their mean, over all sizes."""
    scatters = [_scatter(strata) for strata in known.values()]
    squares = math.fsum(part for part, _ in scatters) + _SPREAD_RUNS * _SPREAD**2
    return math.sqrt(squares / (_SPREAD_RUNS + sum(repeats for _, repeats in scatters)))


def _scatter(strata: Sequence[Stratum]) -> tuple[float, int]:
    """Return the sum of squares of runs around the means of their payloads, relative, and its degrees of freedom."""
    squares = math.fsum(
        (run.duration_ms / stratum.mean_ms - 1) ** 2 for stratum in strata if stratum.mean_ms for run in stratum.runs
    )
    return squares, sum(len(stratum.runs) - 1 for stratum in strata)
