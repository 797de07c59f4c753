"""Limits on duration: how likely one is kept, from a sample, and the timeout to give a function."""

import math
import operator
from collections.abc import Sequence
from statistics import NormalDist

from powertune.aws_lambda.memory import MAX_TIMEOUT_S
from powertune.model.size_profile import SizeProfile

_PERCENTILE = 0.95
_ENOUGH_TO_COUNT = 59
"""Runs from which counting alone can be 95 % sure: 0.95 to the power of 59 is below 0.05."""
_REACH, _STEPS = 6.0, 300
"""Of the sum in place of an integral: standard deviations to either side, and the number of its parts."""
_TIMEOUT_ROOM = 1.3


def odds_of_keeping(durations_ms: Sequence[float], weights: Sequence[float], limit_ms: float) -> float | None:
    """Return the probability that the 95th percentile of duration is at most `limit_ms`; None for fewer than two runs.

    `weights` say how much each run stands for. Many runs are counted: with k of n within the limit, and nothing known
    beforehand, the share within it has a Beta distribution, of which the part above 0.95 is the chance of at most k
    successes in n + 1 trials at 0.95 (Gelman et al., Bayesian Data Analysis, 2013, 2.4). Few runs cannot be: their
    logarithms are taken for normal, which makes it a tolerance limit (Hahn and Meeker, Statistical Intervals, 1991,
    4.6).
    """
    if len(durations_ms) < 2:  # noqa: PLR2004 - one run has no spread
        return None
    whole = math.fsum(weights)
    count = whole**2 / math.fsum(weight**2 for weight in weights)  # Kish's effective number of runs
    if count >= _ENOUGH_TO_COUNT:
        within = math.fsum(weight for value, weight in zip(durations_ms, weights, strict=True) if value <= limit_ms)
        return _binomial_cdf(math.floor(within / whole * count + 1e-9), round(count) + 1)
    logs = [math.log(max(value, 0.001)) for value in durations_ms]
    mean = math.fsum(log * weight for log, weight in zip(logs, weights, strict=True)) / whole
    squares = math.fsum(weight * (log - mean) ** 2 for log, weight in zip(logs, weights, strict=True)) / whole
    stddev = math.sqrt(squares * count / (count - 1)) if count > 1 else 0.0
    room = math.log(max(limit_ms, 0.001)) - mean
    z = NormalDist().inv_cdf(_PERCENTILE)
    return _noncentral_t_cdf(room / stddev, z, count) if stddev else float(room >= 0)


def _noncentral_t_cdf(factor: float, z: float, count: float) -> float:
    """Return the probability that mean + `factor` spreads of a normal sample lie above its true mean + `z` spreads.

    The integral over the spread, which has a chi distribution with `count` - 1 degrees of freedom, is a sum.
    """
    degrees = count - 1
    start = max(0.0, math.sqrt(degrees) - _REACH)
    step = (math.sqrt(degrees) + _REACH - start) / _STEPS
    spreads = [start + (place + 0.5) * step for place in range(_STEPS)]
    logs = [(degrees - 1) * math.log(spread) - spread**2 / 2 for spread in spreads]
    highest = max(logs)
    weights = [math.exp(log - highest) for log in logs]
    root = math.sqrt(count)
    chances = (NormalDist().cdf(root * (factor * spread / math.sqrt(degrees) - z)) for spread in spreads)
    return math.fsum(map(operator.mul, weights, chances)) / math.fsum(weights)


def _binomial_cdf(successes: int, trials: int) -> float:
    """Return the probability of at most `successes` in `trials` at the percentile's chance each."""
    if successes >= trials:
        return 1.0
    logs = [
        math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        + k * math.log(_PERCENTILE) + (trials - k) * math.log(1 - _PERCENTILE)
        for k in range(successes + 1)
    ]  # fmt: skip
    return min(1.0, math.fsum(map(math.exp, logs)))


def needed_timeout_ms(profile: SizeProfile) -> float | None:
    """Return what a run needs at this size with some room, in ms; None where that is not known of Lambda.

    It is 30 % above the slowest that was seen or is expected there, as a test rarely sees the slowest: AWS advises to
    test for the longest and not to set the timeout close to the mean (Lambda operator guide, read 2026-11-23).
    """
    duration = profile.duration_ms
    if duration is None or profile.basis != "measured":
        return None
    slowest_ms = duration.p99 or duration.p95
    if slowest_ms is None:
        return None
    expected_ms = profile.expected.duration_ms if profile.expected else 0.0
    return _TIMEOUT_ROOM * max(slowest_ms, duration.mean, expected_ms)


def timeout_for(profile: SizeProfile) -> int | None:
    """Return the timeout in whole seconds, as Lambda has them, that gives runs at this size what they need."""
    needed_ms = needed_timeout_ms(profile)
    return None if needed_ms is None else min(MAX_TIMEOUT_S, max(1, math.ceil(needed_ms / 1000)))
