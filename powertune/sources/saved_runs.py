"""Saved runs as recordings: their single runs, or where only figures were kept, those."""

from collections.abc import Iterator
from dataclasses import replace

from powertune.model.invocation import Aggregate
from powertune.model.size_profile import SizeProfile
from powertune.model.tuning_run import TuningRun
from powertune.sources.recording import Origin, Recording


def add_saved_run(recording: Recording, run: TuningRun) -> None:
    """Add the runs of a saved run; of sizes whose runs were not kept their figures, except what was never measured."""
    function = run.function
    origin = Origin(function.name, function.architecture, function.region, function.runtime)
    for invocation in run.invocations:
        recording.add_run(origin, invocation)
    seen = [size for size in run.sizes if size.basis in ("measured", "scaled")]
    with_runs = {invocation.memory_mb for invocation in run.invocations}
    for size in seen:
        if size.memory_mb not in with_runs:
            for aggregate in _as_aggregates(size):
                recording.add_aggregate(origin, aggregate)
    hint = recording.hint(function.name)
    hint.scaled |= any(size.basis == "scaled" for size in seen)
    hint.calibrated &= run.source.get("calibrated") is not False
    if function.current_memory_mb is not None:
        hint.current_mb.add(function.current_memory_mb)
    recording.has_fractions = True


def _as_aggregates(size: SizeProfile) -> Iterator[Aggregate]:
    """Yield what a size's figures say of its runs: of the warm ones, the cold ones, and those that failed."""
    counts, duration, init = size.invocations, size.duration_ms, size.init_ms
    if duration:
        is_cold = not counts.warm and bool(counts.cold)
        summary = Aggregate(
            size.memory_mb,
            duration.mean,
            count=max(1, counts.warm or counts.cold),
            stddev_ms=duration.stddev,
            p50_ms=duration.p50,
            p95_ms=duration.p95,
            p99_ms=duration.p99,
            max_memory_used_mb=size.max_memory_used_mb,
            cold=is_cold,
        )
        started = replace(summary, init_ms=init.mean, init_p95_ms=init.p95) if init else summary
        if is_cold or not counts.cold:
            yield started
        else:
            yield summary
            yield replace(started, count=counts.cold, cold=True)
    if counts.failed:
        status = "failed" if size.status == "ok" else size.status
        yield Aggregate(
            size.memory_mb,
            0.0,
            count=counts.failed,
            max_memory_used_mb=size.max_memory_used_mb,
            status=status,
            error=size.reason if size.status != "ok" else None,
        )
