"""What in the data should make a reader careful, each with what would cure it."""

from collections.abc import Iterator, Mapping, Sequence

from powertune import text
from powertune.analysis.drift import Drift
from powertune.analysis.duration_model import knows_parallel_speed
from powertune.analysis.limits import needed_timeout_ms, timeout_for
from powertune.aws_lambda.cpu import MB_PER_VCPU
from powertune.aws_lambda.memory import MEMORY_HEADROOM
from powertune.model.run_warning import RunWarning
from powertune.model.size_profile import SizeProfile

_FEW_RUNS = 5
_NOISY_SPREAD = 0.25
_PAYLOADS_NAMED = 3
_COST_SHARE_TOLD = 0.01
"""Share of the cost at a size that outliers may make without a word."""


def doubts(
    sizes: Sequence[SizeProfile],
    recommended_mb: int | None,
    *,
    calibrated: bool = True,
    cold_start_rate: float = 0.0,
    missing_payloads: Mapping[int, Sequence[str]] = {},
    drift: Drift | None = None,
    timeout_s: float | None = None,
    is_recorded: bool = True,
) -> Iterator[RunWarning]:
    """Yield warnings about the sizes as measured: a group of sizes with the same doubt gives one warning.

    `missing_payloads` are names of weighted payloads without a run that counts, by memory size in MB; `drift` is that
    of all runs, and `timeout_s` the function's timeout. `is_recorded` is False where sizes could have been measured.
    """
    ok = [size for size in sizes if size.status == "ok"]
    if ok and not calibrated:
        yield RunWarning(
            "scaled-from-this-machine",
            "durations are scaled from one machine's CPU, which is not Lambda's: the shape holds, the scale may not",
            "give durations known from production with --duration-at MB=MS or --anchor FILE, or add --calibrate",
        )
    if ok and cold_start_rate and not any(size.init_ms for size in ok):
        yield RunWarning(
            "no-init-time",
            "no init time was recorded, so the cold-start rate adds nothing to the costs",
            "add cold starts to the recording, or leave out --cold-start-rate",
        )
    yield from _about_runs([size for size in ok if size.basis == "measured"])
    yield from _about_payloads([size for size in ok if missing_payloads.get(size.memory_mb)], missing_payloads)
    scaled = [size for size in ok if size.basis == "scaled"]
    if scaled and len(scaled) < len(ok):
        yield RunWarning(
            "scaled-by-cpu-time",
            f"{_names(scaled)} never recorded: {_were(scaled)} scaled from CPU time at other sizes by Lambda's CPU law",
            "the law was checked on single-threaded code; record the size before relying on it",
            _only(scaled),
        )
    unmeasured = [size for size in ok if size.basis in ("interpolated", "extrapolated")]
    if unmeasured:
        known = "recorded" if is_recorded else "measured"
        yield RunWarning(
            f"not-{known}",
            f"{_names(unmeasured)} never {known}: {_were(unmeasured)} read off between or beyond {known} sizes",
            "record the size before relying on it" if is_recorded else "measure every size alike with --search full",
            _only(unmeasured),
        )
    measured_mb = [size.memory_mb for size in ok if size.basis == "measured"]
    unknown = [size for size in unmeasured if not knows_parallel_speed(measured_mb, size.memory_mb)]
    if unknown:
        yield RunWarning(
            "parallel-speed-unknown",
            f"whether more than one vCPU helps at {', '.join(str(size.memory_mb) for size in unknown[:6])} MB cannot be"
            f" known from sizes up to {max(measured_mb, default=MB_PER_VCPU)} MB",
            "measure a size of 2048 MB or more",
            _only(unknown),
        )
    tight = [size for size in ok if _headroom(size) < MEMORY_HEADROOM]
    if tight:
        yield RunWarning(
            "low-memory-headroom",
            f"{_names(tight)} left with less than {MEMORY_HEADROOM:.0%} free memory and not recommended",
            "a larger input may not fit; choose larger sizes with --memory",
            _only(tight),
        )
    failed = [size for size in ok if size.invocations.failed]
    if failed:
        yield RunWarning(
            "failed-runs",
            f"some runs failed at {', '.join(str(size.memory_mb) for size in failed)} MB and give no duration",
            "find out why before trusting these sizes",
            _only(failed),
        )
    yield from _about_steadiness(ok, drift)
    yield from _about_recommended([size for size in ok if size.memory_mb == recommended_mb], timeout_s)


def _about_runs(measured: Sequence[SizeProfile]) -> Iterator[RunWarning]:
    cold_only = [size for size in measured if not size.invocations.warm]
    if cold_only:
        yield RunWarning(
            "cold-only",
            f"{_names(cold_only)} recorded in cold starts only; their durations exclude init, but first calls are slow",
            "add warm runs to the recording",
            _only(cold_only),
        )
    # Where a model was fitted to all sizes, a size does not stand for itself.
    few = [size for size in measured if 0 < size.invocations.warm < _FEW_RUNS and size.expected is None]
    if few:
        once = all(size.invocations.warm == 1 for size in few)
        yield RunWarning(
            "few-runs",
            f"{_names(few)} recorded {'only once' if once else f'fewer than {_FEW_RUNS} times'}",
            "differences of a few per cent mean nothing; add runs",
            _only(few),
        )


def _about_steadiness(ok: Sequence[SizeProfile], drift: Drift | None) -> Iterator[RunWarning]:
    if drift:
        low, high = sorted(abs(end) for end in drift.ci95)
        yield RunWarning(
            "drift",
            f"runs became {abs(drift.change) * 100:.0f} % {'faster' if drift.change < 0 else 'slower'} from their first"
            f" half to their second (95 % interval: {low * 100:.0f} to {high * 100:.0f} %)",
            "caches or a compiler were still warming, or a service was busier: measure longer, or once more",
        )
    odd = [size for size in ok if size.outliers and size.outliers.cost_share >= _COST_SHARE_TOLD]
    if odd:
        count = sum(size.outliers.count for size in odd if size.outliers)
        runs = sum(size.invocations.warm or size.invocations.cold for size in odd)
        most = max(size.outliers.cost_share for size in odd if size.outliers)
        lie, make = ("lies", "makes") if count == 1 else ("lie", "make")
        up_to = "up to " if len(odd) > 1 else ""
        yield RunWarning(
            "outliers",
            f"{count} of {text.count(runs, 'run')} at {_listed(odd)} {lie} far from the usual duration,"
            f" and {make} {up_to}{most * 100:.0f} % of the cost there",
            "they are billed, so they count: look for retries and rare inputs, or leave them out with --trim",
            _only(odd),
        )


def _about_payloads(
    partial: Sequence[SizeProfile], missing_payloads: Mapping[int, Sequence[str]]
) -> Iterator[RunWarning]:
    if partial:
        names = sorted({name for size in partial for name in missing_payloads[size.memory_mb]})
        shown = ", ".join(repr(text.printable(name, limit=40)) for name in names[:_PAYLOADS_NAMED])
        more = f" and {len(names) - _PAYLOADS_NAMED} more" if len(names) > _PAYLOADS_NAMED else ""
        yield RunWarning(
            "missing-payloads",
            f"{_names(partial)} measured without a run of {shown}{more} that counts: figures are of the other payloads",
            "do not compare them with sizes at which every payload ran; add runs with --samples",
            _only(partial),
        )


def _about_recommended(recommended: Sequence[SizeProfile], timeout_s: float | None) -> Iterator[RunWarning]:
    for size in recommended:
        needed_ms = needed_timeout_ms(size)
        if timeout_s is not None and needed_ms is not None and timeout_s * 1000 < needed_ms:
            yield RunWarning(
                "timeout-too-tight",
                f"the function's timeout of {timeout_s:g} s leaves runs at {size.memory_mb} MB less than 30 % more than"
                " the slowest that was seen",
                f"set it to {timeout_for(size)} s: a test rarely sees the slowest",
                size.memory_mb,
            )
        duration = size.duration_ms
        if (
            duration
            and duration.stddev
            and duration.stddev > _NOISY_SPREAD * duration.mean
            and size.basis == "measured"
        ):
            yield RunWarning(
                "wide-spread",
                f"durations at {size.memory_mb} MB spread by {duration.stddev / duration.mean:.0%} of their mean",
                "different inputs may need different work: look at p95, or set --max-duration",
                size.memory_mb,
            )


def _headroom(size: SizeProfile) -> float:
    return 1 - (size.max_memory_used_mb or 0) / size.memory_mb


def _listed(sizes: Sequence[SizeProfile]) -> str:
    listed = ", ".join(str(size.memory_mb) for size in sizes[:6])
    more = f" and {text.count(len(sizes) - 6, 'more size')}" if len(sizes) > 6 else ""  # noqa: PLR2004 - the six listed
    return f"{listed} MB{more}"


def _names(sizes: Sequence[SizeProfile]) -> str:
    return f"{_listed(sizes)} {'was' if len(sizes) == 1 else 'were'}"


def _were(sizes: Sequence[SizeProfile]) -> str:
    return "its duration is" if len(sizes) == 1 else "their durations are"


def _only(sizes: Sequence[SizeProfile]) -> int | None:
    return sizes[0].memory_mb if len(sizes) == 1 else None
