"""What in the data should make a reader careful, each with what would cure it."""

from collections.abc import Iterator, Mapping, Sequence

from powertune import text
from powertune.aws_lambda.memory import MEMORY_HEADROOM
from powertune.model.run_warning import RunWarning
from powertune.model.size_profile import SizeProfile

_FEW_RUNS = 5
_NOISY_SPREAD = 0.25
_PAYLOADS_NAMED = 3


def doubts(
    sizes: Sequence[SizeProfile],
    recommended_mb: int | None,
    *,
    calibrated: bool = True,
    cold_start_rate: float = 0.0,
    missing_payloads: Mapping[int, Sequence[str]] = {},
) -> Iterator[RunWarning]:
    """Yield warnings about the sizes as measured: a group of sizes with the same doubt gives one warning.

    `missing_payloads` are names of weighted payloads without a run that counts, by memory size in MB.
    """
    ok = [size for size in sizes if size.status == "ok"]
    if ok and not calibrated:
        yield RunWarning(
            "scaled-from-this-machine",
            "durations are scaled from one machine's CPU, which is not Lambda's: the shape holds, the scale may not",
            "give a duration known from production with --duration-at MB=MS",
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
        yield RunWarning(
            "not-recorded",
            f"{_names(unmeasured)} never recorded: {_were(unmeasured)} read off between or beyond recorded sizes",
            "record the size before relying on it",
            _only(unmeasured),
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
    yield from _about_recommended([size for size in ok if size.memory_mb == recommended_mb])


def _about_runs(measured: Sequence[SizeProfile]) -> Iterator[RunWarning]:
    cold_only = [size for size in measured if not size.invocations.warm]
    if cold_only:
        yield RunWarning(
            "cold-only",
            f"{_names(cold_only)} recorded in cold starts only; their durations exclude init, but first calls are slow",
            "add warm runs to the recording",
            _only(cold_only),
        )
    few = [size for size in measured if 0 < size.invocations.warm < _FEW_RUNS]
    if few:
        once = all(size.invocations.warm == 1 for size in few)
        yield RunWarning(
            "few-runs",
            f"{_names(few)} recorded {'only once' if once else f'fewer than {_FEW_RUNS} times'}",
            "differences of a few per cent mean nothing; add runs",
            _only(few),
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


def _about_recommended(recommended: Sequence[SizeProfile]) -> Iterator[RunWarning]:
    for size in recommended:
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


def _names(sizes: Sequence[SizeProfile]) -> str:
    listed = ", ".join(str(size.memory_mb) for size in sizes[:6])
    more = f" and {len(sizes) - 6} more sizes" if len(sizes) > 6 else ""  # noqa: PLR2004 - the six listed
    return f"{listed} MB{more} {'was' if len(sizes) == 1 else 'were'}"


def _were(sizes: Sequence[SizeProfile]) -> str:
    return "its duration is" if len(sizes) == 1 else "their durations are"


def _only(sizes: Sequence[SizeProfile]) -> int | None:
    return sizes[0].memory_mb if len(sizes) == 1 else None
