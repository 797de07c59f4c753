"""The calls of a dry run, however they were made, and what they mean at each memory size."""

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from powertune import text
from powertune.aws_lambda.calibration import Calibration, Work
from powertune.aws_lambda.cpu import MB_PER_VCPU, visible_vcpus
from powertune.aws_lambda.memory import MAX_TIMEOUT_S
from powertune.aws_lambda.scale import Scale
from powertune.errors import UsageError
from powertune.model.invocation import Invocation
from powertune.model.run_warning import RunWarning
from powertune.sources.host_load import HostLoad, cpu_time_error
from powertune.sources.warm_up import calls_to_warm_up

if TYPE_CHECKING:
    from powertune.sources.handler import Call

_FEWEST_CALLS, _MOST_CALLS = 3, 30
_CALLING_BUDGET_MS = 3000.0
"""How long the calls together may take before they are cut to fewer, when the user gives no number."""

_NOISY_SPREAD = 0.10
_SHORT_CPU_MS = 5.0
"""Less CPU time than this is a small part of any bill, and always noisy."""
_POOR_FIT = 0.05
_FAR_SCALE, _FAR_SHIFT = 4.0, 0.2
"""CPU scale, and change of waiting as a share of the known duration, beyond which the calls here are other work."""


class Calls:
    """Calls in order, the first of them cold, and their scaling by the CPU law.

    `scale` says what durations on Lambda rest on, `timeout_s` bounds them.
    """

    def __init__(self, scale: Scale, timeout_s: float) -> None:
        if any(not 0 < known <= MAX_TIMEOUT_S * 1000 for known in scale.known_ms.values()):
            raise UsageError("a known duration is not above 0 ms, or beyond Lambda's timeout", hint="give milliseconds")
        self.all: list[Call] = []
        self._scale = scale
        self._timeout_s = timeout_s
        self._warm_ups = 0
        self._calibration = Calibration()
        self._batch: list[Call] = []
        self._durations_ms: dict[int, list[float]] = {}
        self.common_error: dict[int, float] = {}
        """By what share the durations at each size that was scaled to may all be off in the same direction."""
        self._load_before = self._load_after = HostLoad.read()

    @property
    def are_calibrated(self) -> bool:
        """Whether durations rest on more than this machine."""
        return self._scale.rests_on != "this-machine"

    @property
    def begin_well(self) -> bool:
        """Whether the first call succeeded: else there is no use in others."""
        return self.all[0].status == "ok"

    @property
    def first_settled(self) -> int:
        """Number, from 0, of the first call that counts: after the cold one and those that warm up."""
        return 1 + self._warm_ups

    def begin(self) -> None:
        """Note how busy the machine is: calls follow."""
        self._load_before = self._load_after = HostLoad.read()

    def end(self) -> None:
        """Note how busy the machine was: there are no more calls."""
        self._load_after = HostLoad.read()

    def settle(self, since: int) -> None:
        """Tell warm-up from the rest, and fit the scale of this machine to what is known of Lambda.

        The batch that is asked for next holds the calls from the number `since` on, and the first one if that is 1.
        """
        self._warm_ups = self._count_warm_ups()
        self._calibration = self._scale.fit(self.works())
        self._batch = [*self.all[: since == 1], *self.all[max(since, 1 + self._warm_ups) :]]

    def scale_to(self, sizes: Iterable[int]) -> None:
        """Work out what the calls of the batch take at memory sizes in MB. They must have been settled."""
        typical, cpu_error = self.typical_work(), self._cpu_error()
        for size in sizes:
            self._durations_ms[size] = [call.work.duration_at_ms(size, self._calibration) for call in self._batch]
            self.common_error[size] = self._scale.common_error(typical, size, self._calibration, cpu_error)

    def default_samples(self, fewest: int, most: int = _MOST_CALLS) -> int:
        """Return how many calls after the first fit in a few seconds: `fewest` at least, and no more than `most`."""
        fitting = int(_CALLING_BUDGET_MS / max(self.all[0].wall_ms, 0.1))
        return max(min(max(fitting, _FEWEST_CALLS), most), fewest)

    def at_size(self, memory_mb: int, count: int, *, needed_mb: float, init_ms: float | None) -> Iterator[Invocation]:
        """Yield the batch at a memory size that it was scaled to: the first call, if it is in it, and `count` others.

        `needed_mb` is the memory that they need, `init_ms` how long it takes to get ready for a cold one.
        """
        if self.begin_well and needed_mb > memory_mb:
            why = f"needs about {needed_mb:.0f} MB"
            yield Invocation(memory_mb, 0.0, max_memory_used_mb=needed_mb, error=why, status="out-of-memory")
            return
        firsts = sum(call is self.all[0] for call in self._batch)
        for call, duration_ms in zip(self._batch[: firsts + count], self._durations_ms[memory_mb], strict=False):
            status, error = call.status, call.error
            if status == "ok" and duration_ms > self._timeout_s * 1000:
                status, error = "timed-out", f"would take longer than {text.duration(self._timeout_s * 1000)}"
            yield Invocation(
                memory_mb,
                duration_ms,
                init_ms=init_ms if call.cold and status == "ok" else None,
                max_memory_used_mb=needed_mb,
                cold=call.cold,
                payload=call.payload,
                error=error,
                status=status,
            )

    def typical_work(self) -> Work:
        """Return the mean work of a warm call."""
        works = self.works()
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
            "warm_up_calls": self._warm_ups,
            "first_call_extra_ms": self._first_call_extra_ms(),
            "cpu_ms": typical.cpu_ms,
            "wait_ms": typical.wait_ms,
            "threads": typical.threads,
            "waits": typical.waits,
            "cpu_error": round(self._cpu_error(), 4),
            "cpu_scale": self._calibration.cpu_scale,
            "wait_shift_ms": self._calibration.wait_shift_ms,
            **self._scale.details(),
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
        if self._warm_ups:
            yield RunWarning(
                "warming-up",
                f"the first {text.count(self._warm_ups, 'call')} after the cold one took more CPU time than the later"
                " ones and are left out",
                "they still filled caches or imported modules; --samples takes more of the later ones",
            )
        cpu_ms = [work.cpu_ms for work in self.works()]
        if len(cpu_ms) >= _FEWEST_CALLS and statistics.fmean(cpu_ms) > _SHORT_CPU_MS:
            spread = statistics.stdev(cpu_ms) / statistics.fmean(cpu_ms)
            if spread > _NOISY_SPREAD:
                yield RunWarning(
                    "noisy-host",
                    f"CPU time varied by {spread:.0%} from call to call",
                    "close other programs, or average over more calls with --samples",
                )
        yield from self._doubts_of_anchor()
        yield from self._scale.doubts()
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
        scale, shift_ms = self._calibration.cpu_scale * self._scale.speed_ratio, self._calibration.wait_shift_ms
        known_ms = max(self._scale.known_ms.values(), default=0.0)
        is_far = not 1 / _FAR_SCALE <= scale <= _FAR_SCALE or abs(shift_ms) > _FAR_SHIFT * known_ms
        if known_ms and is_far:
            yield RunWarning(
                "stretched-anchor",
                f"to meet the known duration, CPU time is taken {scale:.3g} times and waiting is changed by"
                f" {shift_ms:+.0f} ms from what was seen here",
                "check that --payload is the same work, or give a second size with --duration-at",
            )

    def _count_warm_ups(self) -> int:
        """Return how many calls after the first still took more, each against those with the same payload."""
        warm = self.all[1:]
        if any(call.status != "ok" or call.cold for call in warm):
            return 0
        usual_ms = {
            payload: statistics.median([call.work.cpu_ms for call in warm if call.payload == payload])
            for payload in {call.payload for call in warm}
        }
        if not all(usual_ms.values()):
            return 0
        overall_ms = statistics.fmean(usual_ms.values()) if usual_ms else 0.0
        return calls_to_warm_up([call.work.cpu_ms / usual_ms[call.payload] * overall_ms for call in warm])

    def _first_call_extra_ms(self) -> float:
        """Return how much longer the first call took than the later ones usually do."""
        first, *warm = self.all
        later = [call.wall_ms for call in warm if call.status == "ok" and not call.cold]
        return max(0.0, first.wall_ms - statistics.median(later)) if later else 0.0

    def works(self) -> list[Work]:
        """Return the work of each warm call that counts; of the first call where there is no other."""
        settled = [call for call in self.all[self.first_settled :] if call.status == "ok" and not call.cold]
        return [call.work for call in settled] or [self.all[0].work]

    def _cpu_error(self) -> float:
        own_s = math.fsum(call.work.cpu_ms for call in self.all) / 1000
        return cpu_time_error(self._load_before, self._load_after, own_s)
