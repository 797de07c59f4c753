"""How sure a mean is: its 95 % interval, where runs share hosts, payloads have weights, or the ends were trimmed."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

from powertune.analysis.strata import Stratum

# Two-sided 95 % quantiles of Student's t for 1, 2, ... degrees of freedom (standard tables); beyond them 1.96 plus the
# first term of its expansion in 1/degrees is right to 0.003.
_T95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
_FEWEST_REPEATS = 2
"""Runs beyond the first of each environment without which nothing is known of the spread inside environments."""
_ENOUGH_FOR_SKEWNESS = 10
"""Runs below which the skewness of a sample is noise, and correcting for it widens intervals to no avail."""


def t95(degrees: float) -> float:
    """Return the two-sided 95 % quantile of Student's t distribution with `degrees` >= 1 degrees of freedom.

    Between whole degrees it is on the straight line, which is a little too high.
    """
    if degrees > len(_T95):
        return 1.96 + 2.4 / degrees
    whole = int(degrees)
    here, following = _T95[whole - 1], _T95[min(whole, len(_T95) - 1)]
    return here + (degrees - whole) * (following - here)


def interval(mean_ms: float, error_ms: float, degrees: float, skewness: float = 0.0) -> tuple[float, float]:
    """Return the 95 % interval in ms of a mean with this standard error, not reaching below 0.

    `skewness` is that of the mean itself: of n runs, their skewness over √n. It turns Student's interval into Hall's
    (On the removal of skewness by transformation, J. R. Stat. Soc. B 54, 1992), which is what the bootstrap of
    Student's t comes to, in closed form and without drawing lots. tests/benchmarks/test_intervals.py has the
    figures of both and of other intervals.
    """
    t = t95(degrees)
    below, above = _unskewed(t, skewness), -_unskewed(-t, skewness)
    return max(0.0, mean_ms - max(0.0, below) * error_ms), mean_ms + max(0.0, above) * error_ms


def _unskewed(t: float, skewness: float) -> float:
    """Return the quantile of a skewed mean, in standard errors, that answers to the quantile `t` of Student's."""
    if abs(skewness) < 1e-6:  # noqa: PLR2004 - where the formula divides nothing by nothing
        return t
    return 3 / skewness * (math.cbrt(1 + skewness * (t - skewness / 6)) - 1)


def mean_interval(mean_ms: float, strata: Sequence[Stratum]) -> tuple[float, float] | None:
    """Return the 95 % interval in ms of the mean of `strata`; None where no stratum kept two runs.

    Each stratum adds share² s² / n to the variance (stratified sampling: Cochran, Sampling Techniques, 1977, 5.4), with
    degrees of freedom after Welch and Satterthwaite. s is of all durations, dropped ones drawn in to the nearest kept
    one, and scaled up for the runs dropped (Tukey and McLaughlin, 1963): the spread of the kept ones alone would make
    an interval far too narrow. The design effect of environments then widens the whole.
    """
    import numpy as np  # noqa: PLC0415 - late: what it takes in memory would hide what a dry run's handler imports

    spreads = spreads_ms(
        [
            float(np.std(np.sort(stratum.drawn_in_ms), ddof=1)) * math.sqrt(len(stratum.runs) / len(stratum.kept))
            if len(stratum.kept) > 1
            else None
            for stratum in strata
        ],
        strata,
    )
    if spreads is None:
        return None
    errors = [
        stratum.share * spread / math.sqrt(len(stratum.kept)) for stratum, spread in zip(strata, spreads, strict=True)
    ]
    error = math.hypot(*errors)
    repeats = [len(stratum.kept) - 1 for stratum in strata]
    degrees = float(sum(repeats))
    if len(strata) > 1 and error > 0:
        # A spread that was pooled from the other strata has the degrees of all of them.
        parts = ((part / error) ** 4 / (own or degrees) for part, own in zip(errors, repeats, strict=True))
        degrees = 1 / math.fsum(parts)
    effect = design_effect(strata)
    if effect > 1:
        hosts = {run.environment for stratum in strata for run in stratum.runs if run.environment is not None}
        # Environments without a say leave n - 1 degrees of freedom, and where they say everything their number - 1.
        # Between these, Kish's effective sample size n / effect is the usual measure. The effect is squared, as it is
        # an estimate itself: by simulation with 4 environments, n / effect covers the mean in 91 to 92 % of samples if
        # hosts vary by 3 % and runs by 2 %, and n / effect² in 94 %, with intervals hardly wider if hosts do not vary.
        degrees = max(min(degrees, len(hosts) - 1), (degrees + 1) / effect**2 - 1)
    skewness = skewness_of_mean([(stratum.share, stratum.drawn_in_ms) for stratum in strata])
    return interval(mean_ms, math.sqrt(effect) * error, max(1.0, degrees), skewness)


def skewness_of_mean(samples: Sequence[tuple[float, Sequence[float]]]) -> float:
    """Return the skewness of a mean of samples, each with its share of the whole; 0 where there are too few runs."""
    import numpy as np  # noqa: PLC0415 - see mean_interval

    if sum(len(values) for _, values in samples) < _ENOUGH_FOR_SKEWNESS:
        return 0.0
    variance = third = 0.0
    for share, values in samples:
        count = len(values)
        if count < 3:  # noqa: PLR2004 - two runs lie even
            continue
        ordered = np.sort(np.asarray(values, dtype=np.float64))  # so that the order of runs cannot matter
        away = ordered - ordered.mean()
        variance += share**2 * float((away**2).sum()) / (count - 1) / count
        # The unbiased estimates of the second and third moment, of which the mean has the n-th and the n²-th part.
        third += share**3 * float((away**3).sum()) / ((count - 1) * (count - 2)) / count
    return third / variance**1.5 if variance > 0 else 0.0


def spreads_ms(known_ms: Sequence[float | None], strata: Sequence[Stratum]) -> list[float] | None:
    """Return the standard deviations of strata in ms, with one in place of None, which stands for a single run.

    A single run is taken to spread by the same share of its duration as the other strata do together, since a host
    that is slower by some per cent is so for every payload. Returns None where no stratum has a spread of its own.
    """
    found = [(stratum, spread) for stratum, spread in zip(strata, known_ms, strict=True) if spread is not None]
    if not found:
        return None
    repeats = sum(len(stratum.kept) - 1 for stratum, _ in found)
    squares = math.fsum(
        (len(stratum.kept) - 1) * (spread / stratum.mean_ms) ** 2 for stratum, spread in found if stratum.mean_ms
    )
    relative = math.sqrt(squares / repeats)
    return [
        relative * stratum.mean_ms if spread is None else spread
        for stratum, spread in zip(strata, known_ms, strict=True)
    ]


def design_effect(strata: Sequence[Stratum]) -> float:
    """Return how many times the variance of the mean is what independent runs would give, at least 1.

    Runs of one execution environment share its host, and hosts differ in speed by -20 % to +15 %. Runs without a known
    environment are left out, and 1 is returned where too few runs share an environment to tell. The variances between
    and within environments are those of a one-way random-effects model, from the usual sums of squares (Searle, Casella
    and McCulloch, Variance Components, 1992, 3.6) of residuals relative to the mean of the stratum.
    """
    cells: Counter[tuple[str, int]] = Counter()
    residuals: dict[str, list[float]] = defaultdict(list)
    loads: dict[str, list[float]] = defaultdict(list)
    for number, stratum in enumerate(strata):
        known = [
            (run.environment, duration_ms)
            for run, duration_ms in zip(stratum.runs, stratum.drawn_in_ms, strict=True)
            if run.environment is not None
        ]
        mean_ms = math.fsum(duration_ms for _, duration_ms in known) / max(1, len(known))
        for environment, duration_ms in known:
            cells[environment, number] += 1
            residuals[environment].append(duration_ms / mean_ms - 1 if mean_ms else 0.0)
            # What a host that is slower by a share adds to the mean through this run, per share.
            loads[environment].append(stratum.share * mean_ms / len(stratum.runs))
    sizes = {environment: len(values) for environment, values in residuals.items()}
    runs, environments = sum(sizes.values()), len(sizes)
    squares = math.fsum(value**2 for values in residuals.values() for value in values)
    if environments < 2 or runs - environments < _FEWEST_REPEATS or squares == 0:  # noqa: PLR2004 - one has no other
        return 1.0

    # Every mean of a stratum takes a degree of freedom from the residuals: from those between environments the part
    # that lies between environments, which adds up to 1 where each environment ran the same mixture.
    per_stratum: Counter[int] = Counter()
    for (_, number), count in cells.items():
        per_stratum[number] += count
    taken = math.fsum(count**2 / (sizes[place] * per_stratum[number]) for (place, number), count in cells.items())
    degrees_between = environments - taken
    degrees_within = runs - len(per_stratum) - degrees_between
    if round(min(degrees_between, degrees_within), 9) < 1:
        return 1.0
    squares_between = math.fsum(math.fsum(values) ** 2 / len(values) for values in residuals.values())
    within = max(0.0, squares - squares_between) / degrees_within
    typical_size = (runs - math.fsum(size**2 for size in sizes.values()) / runs) / (environments - 1)
    between = (squares_between / degrees_between - within) / typical_size
    if between <= 0:
        return 1.0
    # Of a mean with equal loads this is the sum of squared sizes over the runs, the size that an average run sees.
    crowding = math.fsum(math.fsum(values) ** 2 for values in loads.values()) / math.fsum(
        value**2 for values in loads.values() for value in values
    )
    return max(1.0, (within + crowding * between) * (runs - len(per_stratum)) / squares)
