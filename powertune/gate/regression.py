"""Whether the function itself got slower or dearer than it was: a run against a baseline run.

Two runs of unchanged code differ: runs scatter, hosts differ in speed, and dry runs may come from unlike machines. A
regression is what exceeds the limit over the whole interval of the change, and the interval allows for all three.

- Measured runs: the change of the mean at the configured size. Other sizes that both runs have speak for it too, as
  long as their changes agree: each was measured on hosts of its own, so that together they tell more.
- Dry runs: CPU time in units of kernels that ran between the calls on the same machine (`sources/yardstick.py`), so
  that a faster machine or a busy hour takes both the same; waiting is compared as it is. What became of both is put
  together by the CPU law at the configured size. Without kernels, CPU times of different machines say nothing.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist

from powertune.analysis.intervals import t95
from powertune.aws_lambda.calibration import Calibration, Work
from powertune.gate.figures import Figure, host_error, is_scaled, profile_at, runs_at, work_of
from powertune.model.size_profile import SizeProfile
from powertune.model.tuning_run import TuningRun

LIMIT_PCT = 5.0
"""How much slower or dearer a function may get, unless `max_regression_pct` says otherwise."""
_Z95 = 1.96
_DAY_SD = 0.01
"""How far two means of the same code on many hosts lie apart from one day to another, each, as a share."""
_KERNEL_SD, _OTHER_CPU_SD = 0.015, 0.03
"""How far CPU time in units of kernels may be off on one model of CPU, and from one to another, as a share, beside what
calls scatter and how far kernels disagree: the runs in `tests/data/restless_machine.json` differ by 1.3 % beyond their
errors, and the former is set by them."""
_WAIT_SD, _WAKING_MS = 0.02, 0.1
"""How far what is waited for may be off from one run to another, as a share, and how late timers wake up."""
_ABOUT = tuple(1.025**step for step in range(-12, 13))
"""Factors of CPU speed, from three quarters to four thirds."""
_LONG_MS = 250.0
"""CPU time beside which a step does not matter."""
_USUAL_SPREAD = 0.15
_ENOUGH_WITHOUT_SPREAD = 20
"""Runs from which a mean counts although its recording does not say how runs spread: as if by this share."""
_FEWEST_REPEATS, _OWN_REPEATS = 3, 4
"""Runs beyond the first at each size, over all sizes, from which their spread is known; and for how many of its own at
a size the spread of all sizes counts there."""
_AGREE = 3.84
"""Squared standard deviations, for each size beyond the first, by which changes may differ and still agree."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The function now and in the baseline, each at the size it is configured with or the same one."""

    before_ms: float
    after_ms: float
    error: float
    """Standard error of the logarithm of their ratio."""
    before_cost: float
    after_cost: float
    """Of one invocation, both at today's prices."""
    cost_error: float

    def duration_pct(self, family: int = 1) -> Figure:
        """Return the change of duration in per cent; the interval holds for `family` comparisons at once."""
        return _change(self.before_ms, self.after_ms, self.error, family)

    def cost_pct(self, family: int = 1) -> Figure:
        """Return the change of cost likewise."""
        return _change(self.before_cost, self.after_cost, self.cost_error, family)


def _change(before: float, after: float, error: float, family: int) -> Figure:
    ratio = after / before
    reach = NormalDist().inv_cdf(1 - 0.025 / max(1, family)) * error
    return Figure((ratio - 1) * 100, ((ratio * math.exp(-reach) - 1) * 100, (ratio * math.exp(reach) - 1) * 100))


def compare(run: TuningRun, memory_mb: int, baseline: TuningRun, baseline_mb: int | None = None) -> Comparison | str:
    """Return how a run compares with a baseline, or why it cannot be told.

    `memory_mb` is the size to compare at, `baseline_mb` that of the baseline, where it is another.
    """
    baseline_mb = baseline_mb or memory_mb
    if is_scaled(run) != is_scaled(baseline):
        kinds = "a dry run" if is_scaled(run) else "measured", "a dry run" if is_scaled(baseline) else "measured"
        return f"this run is {kinds[0]} and the baseline {kinds[1]}"
    if (run.function.architecture or "x86_64") != (baseline.function.architecture or "x86_64"):
        return "the baseline is of another architecture"
    own = profile_at(run, memory_mb)
    if own is None or own.status != "ok" or not (own.duration_ms and own.cost and own.duration_ms.mean > 0):
        return f"this run has no duration at {memory_mb} MB"
    found = (
        _of_dry_runs(run, own, baseline, baseline_mb) if is_scaled(run) else _measured(run, own, baseline, baseline_mb)
    )
    if isinstance(found, str):
        return found
    before_ms, error = found
    return _with_cost(run, own, before_ms, baseline_mb, error)


def _with_cost(run: TuningRun, own: SizeProfile, before_ms: float, baseline_mb: int, error: float) -> Comparison | str:
    """Return the comparison with costs at today's prices: what is not billed by time stays what it is."""
    if not (own.duration_ms and own.cost):
        return f"this run has no cost at {own.memory_mb} MB"
    per_ms_mb = run.pricing.per_gb_second / 1024 / 1000
    timed = min(own.cost.per_invocation, own.duration_ms.mean * per_ms_mb * own.memory_mb)
    fixed = own.cost.per_invocation - timed
    before_timed = before_ms * per_ms_mb * baseline_mb
    share = timed / own.cost.per_invocation if own.cost.per_invocation else 0.0
    after_cost, before_cost = own.cost.per_invocation, fixed + before_timed
    if before_cost <= 0:  # nothing is charged
        after_cost = before_cost = 1.0
    return Comparison(before_ms, own.duration_ms.mean, error, before_cost, after_cost, error * share)


def _measured(run: TuningRun, own: SizeProfile, baseline: TuningRun, baseline_mb: int) -> tuple[float, float] | str:
    """Return the baseline's duration in ms, as the change of all sizes together has it, and the error of the change."""
    before = profile_at(baseline, baseline_mb)
    if before is None or before.duration_ms is None or not before.duration_ms.mean or before.basis != "measured":
        return f"the baseline has no measured duration at {baseline_mb} MB"
    if own.basis != "measured" or own.duration_ms is None:
        return f"{own.memory_mb} MB was not measured in this run"
    if own.memory_mb != baseline_mb:
        error = math.hypot(_error(run, own), _error(baseline, before), _DAY_SD, _DAY_SD)
        return _known(before.duration_ms.mean, error)
    changes = {}
    for size in run.sizes:
        other = profile_at(baseline, size.memory_mb)
        if other is None or {size.basis, other.basis} != {"measured"} or not (size.duration_ms and other.duration_ms):
            continue
        error = math.hypot(_error(run, size), _error(baseline, other))
        if math.isfinite(error) and size.duration_ms.mean > 0 and other.duration_ms.mean > 0:
            changes[size.memory_mb] = math.log(size.duration_ms.mean / other.duration_ms.mean), error
    if own.memory_mb not in changes:
        return f"too few runs at {own.memory_mb} MB, now or in the baseline"
    change, error = _together(changes, own.memory_mb)
    return own.duration_ms.mean / math.exp(change), math.hypot(error, _DAY_SD, _DAY_SD)


def _known(before_ms: float, error: float) -> tuple[float, float] | str:
    return (before_ms, error) if math.isfinite(error) else "too few runs, now or in the baseline"


def _together(changes: Mapping[int, tuple[float, float]], memory_mb: int) -> tuple[float, float]:
    """Return the change at a size and its error: that of all sizes where they agree, weighted by how sure each is."""
    weights = {size: error**-2 for size, (_, error) in changes.items()}
    whole = math.fsum(weights.values())
    mean = math.fsum(weights[size] * change for size, (change, _) in changes.items()) / whole
    scatter = math.fsum(weights[size] * (change - mean) ** 2 for size, (change, _) in changes.items())
    if scatter > _AGREE * (len(changes) - 1):
        return changes[memory_mb]
    return mean, whole**-0.5


def _error(run: TuningRun, profile: SizeProfile) -> float:
    """Return the standard error of a measured mean as a share, for any host; infinite where too little is known.

    Not from the mean's own interval: where that knows hosts, it has to estimate from a few how much they differ, and
    is three times as wide as what is known of hosts makes it. Few runs are taken to spread as those at other sizes do.
    """
    duration, runs = profile.duration_ms, runs_at(profile)
    if duration is None or not duration.mean or not runs:
        return math.inf
    spreads = [
        (runs_at(size) - 1, size.duration_ms.stddev / size.duration_ms.mean)
        for size in run.sizes
        if size.basis == "measured"
        and size.duration_ms
        and size.duration_ms.stddev is not None
        and size.duration_ms.mean
    ]
    repeats = sum(count for count, _ in spreads)
    if repeats < _FEWEST_REPEATS:
        spread = _USUAL_SPREAD if runs >= _ENOUGH_WITHOUT_SPREAD else math.inf
        return math.hypot(spread / math.sqrt(runs), host_error(run, profile))
    pooled = math.fsum(count * spread**2 for count, spread in spreads) / repeats
    own = 0.0 if duration.stddev is None else (runs - 1) * (duration.stddev / duration.mean) ** 2
    counted = 0 if duration.stddev is None else runs - 1
    variance = (own + _OWN_REPEATS * pooled) / (counted + _OWN_REPEATS)
    inflated = t95(repeats) / _Z95
    return math.hypot(inflated * math.sqrt(variance / runs), host_error(run, profile))


def _of_dry_runs(run: TuningRun, own: SizeProfile, baseline: TuningRun, baseline_mb: int) -> tuple[float, float] | str:
    """Return what the baseline's calls would take here and now at its size in ms, and the error of the change."""
    now, before = work_of(run), work_of(baseline)
    if now is None or before is None:
        return "this run or the baseline does not say how much of its calls was computing"
    for name, what in (("payload_sha256", "another payload"), ("python", "another version of Python")):
        if _minor(run.source.get(name)) != _minor(baseline.source.get(name)):
            return f"the baseline was made with {what}"
    if runs_at(own) < 2:  # noqa: PLR2004 - one call cannot be told from chance
        return "one call cannot be told from chance"
    (work, fit), (work_before, _) = now, before
    ratio = _cpu_ratio(run, baseline)
    if isinstance(ratio, str):
        return ratio
    times, cpu_error = ratio
    waited, waited_before = _waiting(run, work.wait_ms), _waiting(baseline, work_before.wait_ms)
    work, work_before = replace(work, wait_ms=waited.value), replace(work_before, wait_ms=waited_before.value)
    # How often calls stop to wait is told by luck where it is once or twice, and matters much at small sizes.
    then = replace(work_before, cpu_ms=work.cpu_ms / times, waits=work.waits)
    before_ms, after_ms = _smooth_ms(then, baseline_mb, fit), _smooth_ms(work, own.memory_mb, fit)
    if not before_ms or not after_ms or own.duration_ms is None:
        return "the calls took no time"
    # Each part of the duration carries its own error; waiting's is that of its mean.
    slower = replace(work, cpu_ms=work.cpu_ms * (1 + cpu_error))
    wait_error_ms = math.hypot(waited.error, waited_before.error)
    error = math.hypot(_smooth_ms(slower, own.memory_mb, fit) / after_ms - 1, wait_error_ms / after_ms)
    return own.duration_ms.mean * before_ms / after_ms, error


def _smooth_ms(work: Work, memory_mb: int, fit: Calibration) -> float:
    """Return the duration of work in ms, evened out over cores of about the speed that is assumed.

    CPU is handed out every 20 ms, so that durations of short work rise in steps: a change of 1 % may look like none or
    like 20 %. Where the steps lie depends on the core.
    """
    factors = _ABOUT if work.cpu_ms * fit.cpu_scale < _LONG_MS else (1.0,)
    durations = [work.duration_at_ms(memory_mb, replace(fit, cpu_scale=fit.cpu_scale * factor)) for factor in factors]
    return math.fsum(durations) / len(durations)


def _minor(value: object) -> str:
    """Return a version without its last part; anything else as it is."""
    text = str(value)
    return text.rpartition(".")[0] if text.count(".") > 1 else text


def _cpu_ratio(run: TuningRun, baseline: TuningRun) -> tuple[float, float] | str:
    """Return CPU time now against that of the baseline, machines taken out, and its standard error as a share."""
    now, before = _in_kernels(run), _in_kernels(baseline)
    common = sorted(now.units.keys() & before.units.keys())
    if not common:
        return "nothing says how the machine of the baseline compares with this one"
    same_cpu = _cpu(run) is not None and _cpu(run) == _cpu(baseline)
    logs = [math.log(now.units[name] / before.units[name]) for name in common]
    # Another machine, or a neighbour on the same core, slows each kind of work down in its own way: how far kernels
    # disagree is how far that goes.
    apart = (max(logs) - min(logs)) / 2
    floor = (_KERNEL_SD if same_cpu else _OTHER_CPU_SD) * math.sqrt(2)
    return math.exp(math.fsum(logs) / len(logs)), math.hypot(now.error, before.error, floor, apart)


@dataclass(frozen=True, slots=True)
class _InKernels:
    """CPU time of a call in units of each kernel, by its name, and the standard error of their mean as a share."""

    units: Mapping[str, float]
    error: float


def _in_kernels(run: TuningRun) -> _InKernels:
    """Return what the kernels that ran beside the calls tell; nothing where none did."""
    yardstick = run.source.get("yardstick")
    known = yardstick if isinstance(yardstick, dict) else {}
    kernels, error = known.get("kernels"), known.get("error")
    if not isinstance(kernels, dict) or not isinstance(error, int | float) or error < 0:
        return _InKernels({}, math.inf)
    units = {str(name): kernel.get("calls") for name, kernel in kernels.items() if isinstance(kernel, dict)}
    positive = {name: float(value) for name, value in units.items() if isinstance(value, int | float) and value > 0}
    return _InKernels(positive, float(error))


def _cpu(run: TuningRun) -> object:
    yardstick = run.source.get("yardstick")
    return yardstick.get("cpu") if isinstance(yardstick, dict) else None


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What calls waited, in ms, with its standard error."""

    value: float
    error: float


def _waiting(run: TuningRun, mean_ms: float) -> _Waiting:
    """Return what a call usually waits; `mean_ms` is the mean, for runs that keep nothing else.

    Whoever is late to wake up on a busy machine adds to the mean, so that medians count where they are known.
    """
    yardstick = run.source.get("yardstick")
    known = yardstick if isinstance(yardstick, dict) else {}
    usual_ms, error_ms = known.get("wait_ms"), known.get("wait_error_ms")
    value = float(usual_ms) if isinstance(usual_ms, int | float) and usual_ms >= 0 else mean_ms
    error = float(error_ms) if isinstance(error_ms, int | float) and error_ms >= 0 else 0.0
    return _Waiting(value, math.hypot(error, _WAIT_SD * value, _WAKING_MS))
