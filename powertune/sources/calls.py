"""The calls of a dry run, however they were made, and what they mean at each memory size."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from powertune import text
from powertune.aws_lambda.calibration import Calibration, Work, calibrate
from powertune.aws_lambda.cpu import MB_PER_VCPU, visible_vcpus
from powertune.aws_lambda.memory import MAX_TIMEOUT_S
from powertune.errors import UsageError
from powertune.model.invocation import Invocation, Status
from powertune.model.run_warning import RunWarning

_FEWEST_CALLS, _MOST_CALLS = 3, 30
_CALLING_BUDGET_MS = 3000.0
"""How long the calls together may take before they are cut to fewer, when the user gives no number."""

_NOISY_SPREAD = 0.10
_SHORT_CPU_MS = 5.0
"""Less CPU time than this is a small part of any bill, and always noisy."""
_POOR_FIT = 0.05
_FAR_SCALE, _FAR_SHIFT = 4.0, 0.2
"""CPU scale, and change of waiting as a share of the known duration, beyond which the calls here are other work."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the handler: what it took, or how it failed."""

    work: Work
    wall_ms: float
    memory_growth_mb: float = 0.0
    """Peak memory of this process, and of the largest child, above what was resident before the first call."""
    status: Status = "ok"
    error: str | None = None
    cold: bool = False
    """Whether it was the first after an init."""
    init_ms: float | None = None
    """How long that init took, where it is known."""
    payload: str | None = None
    """Name of its payload, where there are several."""


class Calls:
    """Calls in order, the first of them cold, and their scaling by the CPU law.

    `known_ms` maps memory sizes in MB to durations known from production, `timeout_s` bounds scaled durations.
    """

    def __init__(self, known_ms: Mapping[int, float], timeout_s: float) -> None:
        if any(not 0 < known <= MAX_TIMEOUT_S * 1000 for known in known_ms.values()):
            raise UsageError("a known duration is not above 0 ms, or beyond Lambda's timeout", hint="give milliseconds")
        self.all: list[Call] = []
        self._known_ms = dict(known_ms)
        self._timeout_s = timeout_s
        self._calibration = Calibration()

    @property
    def begin_well(self) -> bool:
        """Whether the first call succeeded: else there is no use in others."""
        return self.all[0].status == "ok"

    def default_samples(self) -> int:
        """Return how many calls after the first fit in a few seconds."""
        fitting = int(_CALLING_BUDGET_MS / max(self.all[0].wall_ms, 0.1))
        return min(max(fitting, _FEWEST_CALLS), _MOST_CALLS)

    def calibrate(self) -> None:
        """Fit the scale of this machine to the known durations, with all calls there are."""
        self._calibration = calibrate(self._works(), self._known_ms)

    def at_size(self, memory_mb: int, count: int, needed_mb: float) -> Iterator[Invocation]:
        """Yield the cold calls and up to `count` warm ones at a memory size, of which they need `needed_mb`."""
        if self.begin_well and needed_mb > memory_mb:
            error = f"needs about {needed_mb:.0f} MB"
            yield Invocation(memory_mb, 0.0, max_memory_used_mb=needed_mb, error=error, status="out-of-memory")
            return
        warm = [call for call in self.all if not call.cold]
        for call in (*(call for call in self.all if call.cold), *warm[:count]):
            yield self._scaled(call, memory_mb, needed_mb)

    def typical_work(self) -> Work:
        """Return the mean work of a warm call."""
        works = self._works()
        return Work(
            statistics.fmean(work.cpu_ms for work in works),
            statistics.fmean(work.wait_ms for work in works),
            statistics.median_low(sorted(work.threads for work in works)),
            statistics.median_low(sorted(work.waits for work in works)),
        )

    def details(self) -> dict[str, object]:
        """Return what the run file keeps of the calls."""
        typical = self.typical_work()
        return {
            "calls": len(self.all),
            "cpu_ms": typical.cpu_ms,
            "wait_ms": typical.wait_ms,
            "threads": typical.threads,
            "waits": typical.waits,
            "cpu_scale": self._calibration.cpu_scale,
            "wait_shift_ms": self._calibration.wait_shift_ms,
            "known_durations_ms": {str(size): known for size, known in sorted(self._known_ms.items())},
        }

    def warnings(self, sizes: Sequence[int]) -> Iterator[RunWarning]:
        """Yield what there is to doubt in the calls and in their scaling to `sizes`."""
        failed = [call for call in self.all[1:] if call.status != "ok"]
        if failed:
            yield RunWarning(
                "failed-calls",
                f"{text.count(len(failed), 'call')} of {len(self.all)} failed: {failed[0].error}",
                "the figures rest on the others; -v shows what the handler printed",
            )
        cpu_ms = [call.work.cpu_ms for call in self._warm()]
        if len(cpu_ms) >= _FEWEST_CALLS and statistics.fmean(cpu_ms) > _SHORT_CPU_MS:
            spread = statistics.stdev(cpu_ms) / statistics.fmean(cpu_ms)
            if spread > _NOISY_SPREAD:
                yield RunWarning(
                    "noisy-host",
                    f"CPU time varied by {spread:.0%} from call to call",
                    "close other programs, or average over more calls with --samples",
                )
        yield from self._doubts_of_anchor()
        threads = self.typical_work().threads
        if threads > 1:
            yield RunWarning(
                "parallel",
                f"the handler kept about {threads} cores busy; sizes above {MB_PER_VCPU} MB assume that its"
                f" threads share the work evenly, on up to {visible_vcpus(max(sizes))} vCPUs",
                "measure the chosen size on AWS before relying on it",
            )

    def _doubts_of_anchor(self) -> Iterator[RunWarning]:
        if self._calibration.worst_error > _POOR_FIT:
            yield RunWarning(
                "poor-anchor",
                f"the calls here cannot be brought nearer than {self._calibration.worst_error:.0%} to the known"
                " durations",
                "check that --duration-at and --payload belong to the same work",
            )
        scale, shift_ms = self._calibration.cpu_scale, self._calibration.wait_shift_ms
        known_ms = max(self._known_ms.values(), default=0.0)
        if not 1 / _FAR_SCALE <= scale <= _FAR_SCALE or abs(shift_ms) > _FAR_SHIFT * known_ms:
            yield RunWarning(
                "stretched-anchor",
                f"to meet the known duration, CPU time is taken {scale:.3g} times and waiting is changed by"
                f" {shift_ms:+.0f} ms from what was seen here",
                "check that --payload is the same work, or give a second size with --duration-at",
            )

    def _warm(self) -> list[Call]:
        return [call for call in self.all if call.status == "ok" and not call.cold]

    def _works(self) -> list[Work]:
        """Return the work of each warm call that succeeded; of the first call where there is no other."""
        return [call.work for call in self._warm()] or [self.all[0].work]

    def _scaled(self, call: Call, memory_mb: int, needed_mb: float) -> Invocation:
        duration_ms = call.work.duration_at_ms(memory_mb, self._calibration)
        status, error = call.status, call.error
        if status == "ok" and duration_ms > self._timeout_s * 1000:
            status, error = "timed-out", f"would take longer than {text.duration(self._timeout_s * 1000)}"
        return Invocation(
            memory_mb,
            duration_ms,
            init_ms=call.init_ms if status == "ok" else None,
            max_memory_used_mb=needed_mb,
            cold=call.cold,
            payload=call.payload,
            error=error,
            status=status,
        )
