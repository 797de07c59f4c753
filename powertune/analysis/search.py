"""Which memory sizes to measure next, and when that is enough.

`full` measures every size equally often. `adaptive` and `frugal` begin with a few sizes far apart and go on one batch
at a time: the duration model says what each size may cost and take, and the next runs go where they promise most for
what they cost. The promise is the expected improvement (Jones, Schonlau and Welch, 1998) over the best measured size,
counted over the model's equally likely curves.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from powertune.analysis.beliefs import Beliefs, Bill, evidence_of, pooled_spread
from powertune.analysis.duration_model import DurationModel
from powertune.analysis.intervals import mean_interval
from powertune.analysis.recommendation import Choice
from powertune.analysis.statistics import MEAN_ROUNDING_MS, mean_billed_ms
from powertune.analysis.strata import Stratum, stratify
from powertune.aws_lambda.cpu import MB_PER_VCPU
from powertune.aws_lambda.memory import MEMORY_HEADROOM
from powertune.model.invocation import Invocation, Status
from powertune.model.recommendation import SearchName, Strategy
from powertune.model.size_profile import Expected

_FIRST_SIZES_MB = {"adaptive": (128, 1024, MB_PER_VCPU), "frugal": (128, 1024)}
"""Where a search begins: the smallest size shows waiting and thrash, one vCPU serial work at its fastest, and 1024 MB
the bend between them; what lies above one vCPU is dear and can only help several threads, so it is asked for later."""

_ENOUGH_FAILURES = 3
"""Sizes at which a function fails, with memory and time enough, after which it is given up."""
_LEAST_GAIN_PER_RUN = {"adaptive": 0.0013, "frugal": 0.004}
"""What an invocation has to promise, counting twice what costs as much as one at the cheapest size: a fifth of the
least gain, and three times that where few invocations are asked for."""
_WEIGHTS: Mapping[str, Mapping[Strategy, float]] = {
    "adaptive": {"cost": 1.0, "speed": 0.5, "balanced": 0.5},
    "frugal": {"cost": 0.0, "speed": 0.0, "balanced": 0.0},
}
_WEIGHT_OF_ASKED = {"adaptive": 0.5, "frugal": 1.0}
"""How much an improvement counts on each axis, as all three picks are shown, and how much more on the one asked for.
Cost counts twice, as it is the axis on which sizes are hardest to tell apart."""
_FEWEST_RUNS_OF_PICK = 2
"""A single run may be one of the rare ones that ended early or met a bad host."""
MOST_ROUNDS, _MOST_ROUNDS_PER_SIZE = 29, 10
"""How many runs of each payload are made at most: in all, and at one size where the user does not say. In all they stay
within 30, as a new size takes a cold run, too; on recorded functions 34 or 40 of them made no pick better."""
_OUT_OF: Mapping[Status, str] = {"out-of-memory": "memory", "timed-out": "time"}
_MOST_RUNS_FOR_PRECISION = 1000
"""At one size: 1000 runs tell a mean to 3 % even where runs spread by half of it."""
_GROWTH = 4.0
"""By how many times the runs of a size grow at most in one batch, since the spread is not well known at first."""


class Search(Protocol):
    """Decides what to measure."""

    def next(self, runs: Mapping[int, Sequence[Invocation]]) -> Mapping[int, int]:
        """Return the next batch, memory size in MB to warm runs, given all runs so far by size; empty to stop.

        The order of runs does not matter.
        """

    def expected(self, runs: Mapping[int, Sequence[Invocation]]) -> Mapping[int, Expected]:
        """Return what the search believes of sizes; nothing where each stands for itself."""

    def decisive(self, runs: Mapping[int, Sequence[Invocation]]) -> Sequence[int]:
        """Return the sizes in MB whose figures the answer rests on."""

    @property
    def why(self) -> str:
        """Why it stopped, in words; empty before."""


@dataclass(slots=True)
class FullSearch:
    """Every size equally often, in one batch."""

    sizes_mb: Sequence[int]
    samples: int
    why: str = ""

    def next(self, runs: Mapping[int, Sequence[Invocation]]) -> Mapping[int, int]:  # noqa: ARG002 - decided beforehand
        """Return everything at first, then nothing."""
        if self.why:
            return {}
        self.why = "every size was measured"
        return dict.fromkeys(self.sizes_mb, self.samples)

    def expected(self, runs: Mapping[int, Sequence[Invocation]]) -> Mapping[int, Expected]:  # noqa: ARG002 - see above
        """Each size stands for itself."""
        return {}

    def decisive(self, runs: Mapping[int, Sequence[Invocation]]) -> Sequence[int]:
        """Return all that gave a run."""
        return [size for size in self.sizes_mb if _counted(runs.get(size, ()))]


class AdaptiveSearch:
    """A few sizes first, then where the next run promises most.

    `sizes_mb` are the candidates, `bills` what each costs, `choice` what is asked for. Where payloads have weights, a
    batch is a whole round of them at a size. `samples` is the most rounds at one size. `cold_start_rate` is the share
    of invocations that pay for init, too.
    """

    def __init__(
        self,
        sizes_mb: Sequence[int],
        bills: Mapping[int, Bill],
        choice: Choice,
        *,
        name: Literal["adaptive", "frugal"] = "adaptive",
        payload_weights: Mapping[str, float] = {},
        samples: int | None = None,
        cold_start_rate: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._model = DurationModel(sizes_mb, seed=seed)
        self._bills = [bills[size] for size in self._model.sizes_mb]
        self._choice = choice
        self._name = name
        self._weights = payload_weights
        self._round = max(1, len(payload_weights))
        self._most_per_size = (samples or _MOST_ROUNDS_PER_SIZE) * self._round
        self._cold_start_rate = cold_start_rate
        asked = choice.strategy
        self._axis_weights = {**_WEIGHTS[name], asked: _WEIGHTS[name][asked] + _WEIGHT_OF_ASKED[name]}
        self._asked: dict[int, int] = {}
        self._used_up: set[int] = set()
        self.why = ""

    def next(self, runs: Mapping[int, Sequence[Invocation]]) -> Mapping[int, int]:
        """Return the next batch; empty to stop."""
        counts = {size: len(runs.get(size, ())) for size in self._model.sizes_mb}
        self._used_up |= {size for size, count in self._asked.items() if counts[size] <= count}
        batch = dict.fromkeys(self._batch(runs), self._round)
        self._asked = {size: counts[size] for size in batch}
        return batch

    def expected(self, runs: Mapping[int, Sequence[Invocation]]) -> Mapping[int, Expected]:
        """Return what the duration model expects at each size that may still succeed."""
        known = self._known(runs)
        return self._beliefs(known, runs, hopeless_sizes(self._model.sizes_mb, runs)).expected() if known else {}

    def decisive(self, runs: Mapping[int, Sequence[Invocation]]) -> Sequence[int]:
        """Return the size that would be taken."""
        known = self._known(runs)
        if not known:
            return []
        return [self._beliefs(known, runs, hopeless_sizes(self._model.sizes_mb, runs)).pick(self._choice.strategy)]

    def _batch(self, runs: Mapping[int, Sequence[Invocation]]) -> Sequence[int]:
        """Return the sizes to measure next; none, with the reason in `why`, to stop."""
        hopeless = hopeless_sizes(self._model.sizes_mb, runs)
        left = [size for size in self._model.sizes_mb if size not in hopeless]
        known = self._known(runs)
        broken = [found for found in runs.values() if found and _short_of(found) is None]
        if not left or (not known and len(broken) >= _ENOUGH_FAILURES):
            self.why = "the function succeeded at no size that was tried"
            return []
        first = [size for size in self._first(left) if size not in known and size not in self._used_up]
        if first:
            return first
        open_sizes = [size for size in left if size not in self._used_up]
        if not known or not open_sizes:
            self.why = "no size gives further runs"
            return []
        beliefs = self._beliefs(known, runs, hopeless)
        if sum(len(runs[size]) for size in known) >= MOST_ROUNDS * self._round:
            each = " of each payload" if self._weights else ""
            self.why = f"{MOST_ROUNDS} runs{each} were made: {beliefs.certainty()}"
            return []
        return self._where_it_pays(beliefs, runs, open_sizes)

    def _where_it_pays(
        self, beliefs: Beliefs, runs: Mapping[int, Sequence[Invocation]], open_sizes: Sequence[int]
    ) -> Sequence[int]:
        counts = {size: len(_counted(runs[size])) if size in runs else 0 for size in open_sizes}
        for pair in beliefs.worth_measuring(_LEAST_GAIN_PER_RUN[self._name]):
            # Of two sizes that are hard to tell apart, the one with fewer runs is the one known less of.
            for size in sorted((size for size in pair if size in counts), key=counts.__getitem__):
                if counts[size] < self._most_per_size:
                    return [size]
        for pick in beliefs.picks():
            if pick in counts and counts[pick] < min(_FEWEST_RUNS_OF_PICK * self._round, self._most_per_size):
                return [pick]
        self.why = f"further runs promise less than they cost: {beliefs.certainty()}"
        return []

    def _first(self, left: Sequence[int]) -> Sequence[int]:
        """Return where to begin, and the current size, with which people compare."""
        nearest = set()
        for first in _FIRST_SIZES_MB[self._name]:
            place = bisect_left(left, first)
            around = left[max(0, place - 1) : place + 1]
            nearest.add(min(around, key=lambda size: (abs(math.log(size / first)), size)))
        current_mb = self._choice.current_memory_mb
        return sorted({*nearest, *(size for size in left if size == current_mb)})

    def _known(self, runs: Mapping[int, Sequence[Invocation]]) -> dict[int, list[Stratum]]:
        counted = {size: _counted(runs[size]) for size in self._model.sizes_mb if size in runs}
        return {size: stratify(found, self._weights, 0.0) for size, found in counted.items() if found}

    def _beliefs(
        self,
        known: Mapping[int, Sequence[Stratum]],
        runs: Mapping[int, Sequence[Invocation]],
        hopeless: Mapping[int, str],
    ) -> Beliefs:
        evidence = evidence_of(known)
        rounding_ms = dict.fromkeys(self._model.sizes_mb, MEAN_ROUNDING_MS)
        for item in evidence:
            rounding_ms[item.memory_mb] = mean_billed_ms(known[item.memory_mb]) - item.mean_ms
        inits_ms = [run.init_ms for found in runs.values() for run in found if run.status == "ok" and run.init_ms]
        init_ms = self._cold_start_rate * math.fsum(inits_ms) / max(1, len(inits_ms))
        return Beliefs(
            self._model.sizes_mb,
            self._model.given(evidence),
            [rounding_ms[size] + init_ms for size in self._model.sizes_mb],
            self._bills,
            self._choice,
            measured=[item.memory_mb for item in evidence if item.memory_mb not in hopeless],
            hopeless=hopeless.keys(),
            weights=self._axis_weights,
            spread=pooled_spread(known),
        )


class PreciseSearch:
    """Another search, and then as many runs at the sizes that decide as narrow their intervals to `precision`.

    `precision` is half the width of the 95 % interval of a mean, as a share of that mean.
    """

    def __init__(
        self, search: Search, precision: float, *, payload_weights: Mapping[str, float] = {}, trim: float = 0.0
    ) -> None:
        self._search = search
        self._precision = precision
        self._weights = payload_weights
        self._trim = trim
        self._asked: dict[int, int] = {}
        self.why = ""

    def next(self, runs: Mapping[int, Sequence[Invocation]]) -> Mapping[int, int]:
        """Return the other search's batch while it has one; then what is missing to the precision."""
        if not self.why and (batch := self._search.next(runs)):
            return batch
        widths = {size: self._half_width(runs[size]) for size in self._search.decisive(runs)}
        wide = {size: width for size, width in widths.items() if width > self._precision}
        more = {size: self._missing(len(_counted(runs[size])), width) for size, width in wide.items()}
        # A size that gave nothing when it was asked last has nothing more to give.
        more = {size: count for size, count in more.items() if count and self._asked.get(size) != len(runs[size])}
        self._asked = {size: len(runs[size]) for size in more}
        self.why = f"{self._search.why}; the mean is {'not ' if wide else ''}known to {self._precision:.3g}"
        return more

    def expected(self, runs: Mapping[int, Sequence[Invocation]]) -> Mapping[int, Expected]:
        """Return what the other search believes."""
        return self._search.expected(runs)

    def decisive(self, runs: Mapping[int, Sequence[Invocation]]) -> Sequence[int]:
        """Return the sizes that the other search rests on."""
        return self._search.decisive(runs)

    def _half_width(self, runs: Sequence[Invocation]) -> float:
        """Return half the width of the interval of the mean as a share of it; infinite where it is not known."""
        strata = stratify(_counted(runs), self._weights, self._trim)
        mean_ms = math.fsum(stratum.share * stratum.mean_ms for stratum in strata)
        interval = mean_interval(mean_ms, strata)
        if interval is None:
            return math.inf
        return (interval[1] - interval[0]) / 2 / mean_ms if mean_ms else 0.0

    def _missing(self, count: int, half_width: float) -> int:
        """Return how many more runs to make at a size that has `count`, as far as can be told now."""
        if half_width == math.inf:
            return max(1, len(self._weights))
        wanted = math.ceil(count * min(_GROWTH, (half_width / self._precision) ** 2))
        return max(0, min(wanted, _MOST_RUNS_FOR_PRECISION) - count)


def new_search(
    name: SearchName,
    sizes_mb: Sequence[int],
    bills: Mapping[int, Bill],
    choice: Choice,
    *,
    samples: int | None,
    usual_samples: int,
    payload_weights: Mapping[str, float] = {},
    cold_start_rate: float = 0.0,
    precision: float | None = None,
    trim: float = 0.0,
    seed: int = 0,
) -> Search:
    """Return the search of that name over `sizes_mb`.

    `samples` is the number of runs per size for `full`, which takes `usual_samples` without it, and the most that a
    size may have for the others.
    """
    search: Search
    if name == "full" or not sizes_mb:
        search = FullSearch(sizes_mb, samples or usual_samples)
    else:
        search = AdaptiveSearch(
            sizes_mb,
            bills,
            choice,
            name=name,
            payload_weights=payload_weights,
            samples=samples,
            cold_start_rate=cold_start_rate,
            seed=seed,
        )
    return search if precision is None else PreciseSearch(search, precision, payload_weights=payload_weights, trim=trim)


def _counted(runs: Sequence[Invocation]) -> Sequence[Invocation]:
    """Return the runs that tell how long the handler takes: warm ones, or cold ones where there are no others."""
    succeeded = [run for run in runs if run.status == "ok"]
    return [run for run in succeeded if not run.cold] or succeeded


def hopeless_sizes(sizes_mb: Sequence[int], runs: Mapping[int, Sequence[Invocation]]) -> dict[int, str]:
    """Return the sizes that cannot be recommended, measured or not, each with the reason.

    Where a function ran out of memory or of time it would do so at any smaller size, too; where it failed otherwise,
    only that size is out. A size has to keep some memory free over what was used at it, and a smaller one that never
    ran needs at least what was used at a larger one.
    """
    hopeless: dict[int, str] = {}
    least_mb, why = 0, ""
    for tried, found in sorted(runs.items()):
        used_mb = max((run.max_memory_used_mb or 0.0 for run in found), default=0.0)
        if used_mb > (1 - MEMORY_HEADROOM) * tried:
            hopeless[tried] = "too little memory is left free"
        if found and all(run.status != "ok" for run in found):
            hopeless[tried] = "no run succeeded"
            if short := _short_of(found):
                least_mb, why = tried, f"{tried} MB ran out of {short}"
        if min(tried, used_mb) > least_mb:
            least_mb, why = math.ceil(min(tried, used_mb)), f"{tried} MB used {used_mb:.0f} MB"
    return {size: why for size in sizes_mb if size < least_mb} | hopeless


def _short_of(runs: Sequence[Invocation]) -> str | None:
    """Return what a size without a success had too little of, where all its runs ended alike for want of it."""
    ends = {run.status for run in runs}
    return _OUT_OF.get(ends.pop()) if len(ends) == 1 else None
