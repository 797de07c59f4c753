"""Whether one size really differs from another: a tie, significant, or how many more runs would tell."""

import math
from collections.abc import Mapping
from dataclasses import replace
from statistics import NormalDist
from typing import Literal

from powertune.analysis.candidates import Candidate, Figure, Interval, Yardstick
from powertune.analysis.intervals import t95
from powertune.model.recommendation import Verdict, VerdictKind
from powertune.model.size_profile import SizeProfile

WORTHWHILE_RUNS = 1000
"""More runs than this are not worth asking for. With the usual spread of 8 %, 500 runs at each of two sizes tell apart
what differs by 1 %, and hosts differ by more."""
_Z95 = 1.96
_ENOUGH_TO_SPREAD = 10
"""Runs below which a sample may by luck lie close together, and hardly be spread at all."""


def compare(
    one: SizeProfile, other: SizeProfile, axis: Literal["cost", "speed"], *, tolerance: float = 0.02, rivals: int = 1
) -> Verdict:
    """Return whether `one` differs from `other` in `cost` or `speed`, as far as their runs can tell.

    It is a tie where the 95 % interval of the relative difference lies within `tolerance`, significant where it
    excludes 0, and else inconclusive. `rivals` is the number of sizes that `one` was picked from for its figures, if
    `other` was not: the best of many looks better than it is, and the interval is widened for it (Bonferroni).
    Raises ValueError for a size without figures.
    """
    if not (one.duration_ms and one.cost and other.duration_ms and other.cost):
        raise ValueError("both sizes need figures to be compared")
    yardstick = Yardstick(axis)
    pair = Candidate(one, one.duration_ms, one.cost), Candidate(other, other.duration_ms, other.cost)
    return judge(*pair, yardstick, tolerance=tolerance, rivals=rivals)


def judge(one: Candidate, other: Candidate, yardstick: Yardstick, *, tolerance: float, rivals: int = 1) -> Verdict:
    """Return the verdict on two sizes that have figures; `compare` says how it is found."""
    figures = yardstick.figure(one), yardstick.figure(other)
    reference = figures[1].value
    share = (figures[0].value - reference) / reference if reference else 0.0
    ci95 = difference_interval(*figures, rivals=rivals) if reference else None
    kind: VerdictKind = "inconclusive"
    if ci95 and -tolerance <= ci95[0] and ci95[1] <= tolerance:
        kind = "tie"
    elif ci95 and not ci95[0] <= 0 <= ci95[1]:
        kind = "significant"
    more = _more_runs(one, other, figures, tolerance) if kind == "inconclusive" and reference else {}
    percent = ci95 and (ci95[0] * 100, ci95[1] * 100)
    return Verdict(one.memory_mb, other.memory_mb, yardstick.axis, kind, share * 100, percent, more)


def are_comparable(one: Candidate, other: Candidate) -> bool:
    """Tell whether the figures of two sizes come from runs of their own, so that their intervals say something."""
    return one is not other and one.has_own_samples and other.has_own_samples


def difference_interval(one: Figure, other: Figure, *, rivals: int = 1) -> Interval | None:
    """Return the 95 % interval of the difference of two means, as a share of the other; None where one has none.

    It is put together from the intervals of both (Zou and Donner, Construction of confidence limits about effect
    measures, Statistics in Medicine 27, 2008), so that whatever widened or skewed those is in it: shared hosts,
    payloads, the duration model. Intervals of means of few runs are first narrowed to the degrees of freedom of the
    difference, which makes it Welch's where runs are independent. Few runs against many are taken to spread by at least
    the same share as these.
    """
    if not (one.value and other.value):
        return None
    one, other = _spread_as(one, other), _spread_as(other, one)
    if not (one.ci95 and other.ci95):
        return None
    narrow_one, narrow_other = _to_degrees_of_difference(one, other)
    low_one, high_one = ((end - one.value) * narrow_one for end in one.ci95)
    low_other, high_other = ((end - other.value) * narrow_other for end in other.ci95)
    wide = _widening(rivals, _degrees_of_difference(one, other))
    difference = one.value - other.value
    below, above = wide * math.hypot(low_one, high_other), wide * math.hypot(high_one, low_other)
    return (difference - below) / other.value, (difference + above) / other.value


def _spread_as(few: Figure, many: Figure) -> Figure:
    """Return `few` with an interval that would fit the spread of `many`, where that is wider and `few` are few."""
    may_be_luck = _is_of_runs(few) and _is_of_runs(many) and few.runs < min(many.runs, _ENOUGH_TO_SPREAD)
    if not (may_be_luck and few.ci95 and many.ci95):
        return few
    error = few.value / many.value * _error(many) * math.sqrt(many.runs / few.runs)
    if error <= _error(few):
        return few
    half = t95(few.runs - 1) * error
    return replace(few, ci95=(few.value - half, few.value + half))


def _error(figure: Figure) -> float:
    """Return the standard error of a mean that has an interval."""
    low, high = figure.ci95 or (0.0, 0.0)
    return (high - low) / 2 / (t95(figure.runs - 1) if _is_of_runs(figure) else _Z95)


def _is_of_runs(figure: Figure) -> bool:
    return figure.runs > 1 and not figure.is_modelled


def _degrees_of_difference(one: Figure, other: Figure) -> float:
    """Return Welch's degrees of freedom; infinite where a model gave the intervals."""
    if not (_is_of_runs(one) and _is_of_runs(other)):
        return math.inf
    squares = [(_error(figure) ** 2, figure.runs - 1) for figure in (one, other)]
    parts = math.fsum(square**2 / degrees for square, degrees in squares)
    return math.fsum(square for square, _ in squares) ** 2 / parts if parts else math.inf


def _to_degrees_of_difference(one: Figure, other: Figure) -> tuple[float, float]:
    degrees = _degrees_of_difference(one, other)
    if math.isinf(degrees):
        return 1.0, 1.0
    quantile = t95(max(1.0, degrees))
    return quantile / t95(one.runs - 1), quantile / t95(other.runs - 1)


def _widening(rivals: int, degrees: float) -> float:
    """Return by how much a 95 % interval grows to hold for each of `rivals` at once."""
    if rivals <= 1:
        return 1.0
    z = NormalDist().inv_cdf(1 - 0.025 / rivals)
    return _student(z, degrees) / _student(_Z95, degrees)


def _student(z: float, degrees: float) -> float:
    """Return the quantile of Student's t that answers to the normal one, for three degrees or more.

    The first terms of its Cornish-Fisher expansion (Abramowitz and Stegun, 1964, 26.7.5).
    """
    degrees = max(3.0, degrees)
    return z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)


def _more_runs(one: Candidate, other: Candidate, figures: tuple[Figure, Figure], tolerance: float) -> Mapping[int, int]:
    """Return how many more runs at either size would make the interval narrow enough to be no longer inconclusive.

    That is narrower than the difference, or so narrow that all of it lies within the tolerance, whichever takes fewer.
    They are split so that the least are needed in all: in proportion to the spread (Neyman, 1934).
    """
    variances = _variances_of_a_run(*figures)
    difference = abs(figures[0].value - figures[1].value)
    margin = max(difference, tolerance * figures[1].value - difference)
    if variances is None or margin <= 0:
        return {}
    aim = (margin / _Z95) ** 2
    spreads = [math.sqrt(variance) for variance in variances]
    wanted = [spread * sum(spreads) / aim for spread in spreads]
    for this, that in ((0, 1), (1, 0)):
        if wanted[this] < figures[this].runs:  # one has had more than its share: the rest is for the other
            left = aim - variances[this] / figures[this].runs
            wanted = [float(figure.runs) for figure in figures]
            wanted[that] = variances[that] / left if left > 0 else math.inf
            break
    if not all(map(math.isfinite, wanted)):
        return {}
    more = {
        option.memory_mb: math.ceil(runs - figure.runs - 1e-9)
        for option, runs, figure in zip((one, other), wanted, figures, strict=True)
    }
    found = {memory_mb: count for memory_mb, count in sorted(more.items()) if count > 0}
    # Few runs have long tails of Student's t, of which one more run takes much away.
    return found or dict.fromkeys(sorted(more), 1)


def _variances_of_a_run(one: Figure, other: Figure) -> tuple[float, float] | None:
    """Return the variances of single runs at two sizes; a size without one spreads by the same share as the other."""
    known = [_error(figure) ** 2 * figure.runs if figure.ci95 else None for figure in (one, other)]
    match known:
        case [float(first), float(second)]:
            return first, second
        case [float(first), None] if one.value:
            return first, first * (other.value / one.value) ** 2
        case [None, float(second)] if other.value:
            return second * (one.value / other.value) ** 2, second
    return None
