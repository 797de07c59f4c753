"""What a run tells of a memory size, and all that may be off: hosts that differ, a machine that is not Lambda.

A run's own intervals say how far the mean of more runs on the same hosts could lie. A verdict has to hold on other
hosts, and for a dry run on Lambda's cores instead of this machine's, so intervals here allow for both.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from powertune.analysis.candidates import Candidate, candidates
from powertune.analysis.limits import odds_of_keeping
from powertune.aws_lambda.calibration import Calibration, Work
from powertune.model.judgement import CheckResult
from powertune.model.size_profile import SizeProfile
from powertune.model.tuning_run import TuningRun

HOST_SD = 0.04
"""How far one host's speed lies from the mean of all, as a standard deviation: by recorded sweeps 1 to 5 %."""
_HOSTS_ASSUMED = 4
"""Where a recording names no environments: means of such recordings repeat to about 2 %, as if of four hosts."""
_FACTOR_OF_MACHINE, _FACTOR_OF_KNOWN = 2.0, 1.05
"""By what factor CPU time may be off on Lambda: scaled from this machine alone, and to durations known from production.
Between one test host and Lambda, kernels ran 1.3 times slower to 1.6 times faster."""
_Z95 = 1.96
_ENOUGH_TO_COUNT = 59
"""Runs from which a percentile's interval is read off the runs in order; see `odds_of_keeping`."""
_HALVINGS = 30
_P95, _P95_ERROR = 0.95, 2.11
"""Of a normal sample, the standard error of its 95th percentile is 2.11 times that of its mean."""
_MOST_WAITS = 60
"""Stops of a call that are told apart when its CPU time is scaled; finer ones change the ratio by nothing."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with the interval that it lies in, 95 times of a hundred; None where nothing is known of its spread."""

    value: float
    ci95: tuple[float, float] | None = None

    def above(self, limit: float) -> CheckResult:
        """Return `fail` where all of the interval lies above a limit, `pass` where none of it does, else `unknown`."""
        if self.ci95 is None:
            return "unknown"
        low, high = self.ci95
        if low > limit:
            return "fail"
        return "pass" if high <= limit else "unknown"


def profile_at(run: TuningRun, memory_mb: int | None) -> SizeProfile | None:
    """Return the profile of a size, None where the run has none."""
    return next((profile for profile in run.sizes if profile.memory_mb == memory_mb), None)


def runs_at(profile: SizeProfile) -> int:
    """Return how many runs the figures of a size rest on: cold ones where there are no warm ones."""
    return profile.invocations.warm or profile.invocations.cold


def is_scaled(run: TuningRun) -> bool:
    """Tell whether durations are scaled from this machine: all sizes share the same calls then."""
    return any(profile.basis == "scaled" for profile in run.sizes)


def host_error(run: TuningRun, profile: SizeProfile) -> float:
    """Return the standard error, as a share, that the choice of hosts adds to the mean at a size."""
    return HOST_SD / math.sqrt(hosts_at(run, profile))


def hosts_at(run: TuningRun, profile: SizeProfile) -> int:
    """Return how many hosts the figures of a size may be taken to rest on: its environments, where they are known."""
    kept = run.source.get("hosts")
    counted = kept.get(str(profile.memory_mb)) if isinstance(kept, dict) else None
    if isinstance(counted, int):
        return max(1, counted)
    known = {
        invocation.environment
        for invocation in run.invocations
        if invocation.memory_mb == profile.memory_mb and invocation.status == "ok" and invocation.environment
    }
    return len(known) or max(1, min(_HOSTS_ASSUMED, runs_at(profile)))


def with_hosts(run: TuningRun) -> TuningRun:
    """Return the run with the number of hosts kept beside it, for when its single runs are not: in a gate file."""
    hosts = {str(profile.memory_mb): hosts_at(run, profile) for profile in run.sizes if profile.basis == "measured"}
    return replace(run, source={**run.source, "hosts": hosts}) if hosts else run


def for_any_host(run: TuningRun, profile: SizeProfile) -> SizeProfile:
    """Return the profile of a measured size with intervals that hold for other hosts, too."""
    if profile.basis != "measured":
        return profile
    return profile.with_common_error(_Z95 * host_error(run, profile))


def cpu_factor(run: TuningRun) -> float:
    """Return the factor by which the CPU time of a dry run may be off on Lambda, either way."""
    rests_on, host = run.source.get("rests_on"), run.source.get("host_speed")
    if rests_on == "known-durations":
        return _FACTOR_OF_KNOWN
    if rests_on == "calibrated-kernels" and isinstance(host, dict) and isinstance(host.get("spread"), int | float):
        return max(1.0, float(host["spread"]))
    return _FACTOR_OF_MACHINE


def work_of(run: TuningRun) -> tuple[Work, Calibration] | None:
    """Return the typical work of a dry run and what scales it; None where the run does not keep them."""
    source = run.source
    known = [source.get(name) for name in ("cpu_ms", "wait_ms", "threads", "waits", "cpu_scale", "wait_shift_ms")]
    numbers = [float(value) for value in known if isinstance(value, int | float)]
    if len(numbers) < len(known) or not all(map(math.isfinite, numbers)) or numbers[4] <= 0:
        return None
    cpu_ms, wait_ms, threads, waits, cpu_scale, shift_ms = numbers
    work = Work(max(0.0, cpu_ms), max(0.0, wait_ms), max(1, int(threads)), max(1, min(_MOST_WAITS, int(waits))))
    return work, Calibration(cpu_scale, shift_ms)


def stretched(run: TuningRun, factor: float) -> TuningRun:
    """Return a dry run as it would be if computing took `factor` times as long on Lambda as it says.

    Waiting stays. Where the run does not keep how much of its work was which, all of it counts as computing.
    """
    known = work_of(run)

    def share(memory_mb: int) -> float:
        if known is None:
            return factor
        work, fit = known
        before_ms = work.duration_at_ms(memory_mb, fit)
        after_ms = work.duration_at_ms(memory_mb, replace(fit, cpu_scale=fit.cpu_scale * factor))
        return after_ms / before_ms if before_ms else 1.0

    per_ms = run.pricing.per_gb_second / 1024 / 1000
    sizes = []
    for profile in run.sizes:
        duration, cost = profile.duration_ms, profile.cost
        if profile.basis == "scaled" and duration and cost and factor != 1:
            times = share(profile.memory_mb)
            more = duration.mean * (times - 1) * per_ms * profile.memory_mb
            per_million = max(0.0, cost.per_million + more * 1e6)
            profile = replace(  # noqa: PLW2901 - the same size, stretched
                profile,
                duration_ms=replace(duration, mean=duration.mean * times, p95=duration.p95 and duration.p95 * times),
                cost=replace(cost, per_invocation=per_million / 1e6, per_million=per_million),
            )
        sizes.append(profile)
    return replace(run, sizes=tuple(sizes))


def views(run: TuningRun) -> Iterator[TuningRun]:
    """Yield a dry run as it is, and as it would be on cores that are slower and faster, as far as Lambda's may be."""
    factor = cpu_factor(run)
    yield run
    yield from (stretched(run, factor**share) for share in (-1.0, -0.5, 0.5, 1.0))


def p95_at(run: TuningRun, profile: SizeProfile) -> Figure | None:
    """Return the 95th percentile of duration at a size in ms; None where it is not known."""
    duration = profile.duration_ms
    if duration is None or duration.p95 is None:
        return None
    if profile.basis == "scaled":
        return _over_views(run, profile.memory_mb, lambda option: option.duration.p95 or option.duration.mean)
    known = [one for one in run.invocations if one.memory_mb == profile.memory_mb and one.status == "ok"]
    durations = sorted(one.duration_ms for one in [one for one in known if not one.cold] or known)
    interval: tuple[float, float] | None = None
    if len(durations) > 1:
        interval = _interval_of_p95(durations)
    elif runs_at(profile) > 1:
        spread = duration.stddev if duration.stddev is not None else (duration.p95 - duration.mean) / 1.645
        half = _Z95 * _P95_ERROR * max(0.0, spread) / math.sqrt(runs_at(profile))
        interval = (max(0.0, duration.p95 - half), duration.p95 + half)
    if interval is None:
        return Figure(duration.p95)
    share = _Z95 * host_error(run, profile)
    below = math.hypot(duration.p95 - interval[0], share * duration.p95)
    above = math.hypot(interval[1] - duration.p95, share * duration.p95)
    return Figure(duration.p95, (max(0.0, duration.p95 - below), duration.p95 + above))


def _interval_of_p95(durations_ms: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the 95th percentile of runs, of which there are two at least, in order."""
    count = len(durations_ms)
    if count >= _ENOUGH_TO_COUNT:
        middle, half = count * _P95, _Z95 * math.sqrt(count * _P95 * (1 - _P95))
        low, high = math.floor(middle - half), math.ceil(middle + half)
        return durations_ms[max(0, low - 1)], durations_ms[min(count, high) - 1]
    if durations_ms[0] <= 0 or durations_ms[0] == durations_ms[-1]:
        return durations_ms[0], durations_ms[-1]
    return _limit_at_odds(durations_ms, 0.025), _limit_at_odds(durations_ms, 0.975)


def _limit_at_odds(durations_ms: Sequence[float], odds: float) -> float:
    """Return the limit that the 95th percentile keeps with these odds, by halving."""
    low, high = math.log(durations_ms[0]), math.log(durations_ms[-1] * 1000)
    weights = [1.0] * len(durations_ms)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if (odds_of_keeping(durations_ms, weights, math.exp(middle)) or 0.0) < odds:
            low = middle
        else:
            high = middle
    return math.exp(high)


def duration_at(run: TuningRun, profile: SizeProfile) -> Figure | None:
    """Return the mean duration at a size in ms; None where it is not known."""
    if profile.basis == "scaled":
        return _over_views(run, profile.memory_mb, lambda option: option.duration.mean)
    duration = for_any_host(run, profile).duration_ms
    return Figure(duration.mean, duration.ci95) if duration else None


def per_million_at(run: TuningRun, profile: SizeProfile) -> Figure | None:
    """Return what a million invocations cost at a size, in the run's currency; None where it is not known."""
    if profile.basis == "scaled":
        return _over_views(run, profile.memory_mb, lambda option: option.cost.per_million)
    cost = for_any_host(run, profile).cost
    return Figure(cost.per_million, cost.ci95_per_million) if cost else None


def _over_views(run: TuningRun, memory_mb: int, value: Callable[[Candidate], float]) -> Figure | None:
    """Return a figure of a dry run, with the values that it has between the slowest and the fastest cores."""
    found = [value(option) for view in views(run) for option in candidates(view.sizes) if option.memory_mb == memory_mb]
    return Figure(found[0], (min(found), max(found))) if found else None
