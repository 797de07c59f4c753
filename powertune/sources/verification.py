"""Proof of a prediction: calls made for real, under the CPU quota and the memory limit of a memory size.

Lambda's period of 20 ms and its quota, on this machine's kernel and at this machine's speed. So what is held against
each other is what the handler takes here with the quota and what the CPU law says it should take here.
"""

import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from powertune.aws_lambda.calibration import Work, representatives
from powertune.aws_lambda.cpu import MB_PER_VCPU
from powertune.aws_lambda.memory import RUNTIME_SHARE_MB
from powertune.errors import PowertuneError
from powertune.model.run_warning import RunWarning
from powertune.model.size_profile import Throttled
from powertune.sources.handler import Call
from powertune.sources.isolated import IsolatedHandler, Launch
from powertune.sources.throttle import Room, RoomError, Way

_FEWEST_CALLS, _MOST_CALLS = 3, 30
_BUDGET_S = 10.0
"""How long the calls at one size together may take, once there are the fewest."""
_PAUSE_S = (0.02, 0.06)
"""Between calls: a period and more, so that each begins with a new quota and at any moment of its period."""
_LEAST_CPU_MS = 1.0
"""CPU time below which a ratio says nothing."""
_FAR = 0.10


@dataclass(frozen=True, slots=True)
class Verification:
    """Runs a handler under quotas. `works` are what its calls took without one, `payload` gives the next event."""

    way: Way
    launch: Launch
    works: Sequence[Work]
    payload: Callable[[], str]
    timeout_s: float
    most_calls: int = _MOST_CALLS

    def at(self, memory_mb: int) -> Throttled:
        """Return what calls at a memory size really take. Whatever the handler does is a result."""
        try:
            with self.way.room(memory_mb - RUNTIME_SHARE_MB) as room:
                return self._in(room, memory_mb)
        except RoomError as error:
            return Throttled(self.way.name, status="unavailable", reason=error.message)

    def _in(self, room: Room, memory_mb: int) -> Throttled:
        launch = replace(self.launch, prefix=room.prefix, join=room.join, watched=False, silent=True)
        calls: list[Call] = []
        problem = None
        try:
            with IsolatedHandler(launch) as handler:
                room.limit_cpu(memory_mb)  # only now: init runs at full speed, on Lambda, too
                self._call(handler, calls)
        except RoomError:
            raise
        except PowertuneError as error:
            problem = error.message
        return self._found(memory_mb, calls, problem, room)

    def _call(self, handler: IsolatedHandler, calls: list[Call]) -> None:
        pauses = random.Random(len(self.works))  # noqa: S311 - no secrets, and the same each time
        began = time.monotonic()
        while handler.alive and len(calls) <= self.most_calls:
            calls.append(handler.call(self.payload(), timeout_s=self.timeout_s))
            if len(calls) > _FEWEST_CALLS and time.monotonic() - began > _BUDGET_S:
                return
            time.sleep(pauses.uniform(*_PAUSE_S))

    def _found(self, memory_mb: int, calls: Sequence[Call], problem: str | None, room: Room) -> Throttled:
        usage = room.usage()
        failed = next((call for call in calls if call.status != "ok"), None)
        result = Throttled(
            way=self.way.name,
            calls=max(0, len(calls) - 1),
            throttled_periods=usage.throttled_periods,
            peak_memory_mb=usage.peak_memory_mb,
        )
        if usage.out_of_memory:
            return replace(result, status="out-of-memory", reason=f"took more memory than {memory_mb} MB leave it")
        if failed:
            return replace(result, status=failed.status, reason=failed.error)
        warm = calls[1:]
        if problem or not warm:
            return replace(result, status="failed", reason=problem or "it was called only once")
        some = representatives(self.works)
        cpu_ms = statistics.median(call.work.cpu_ms for call in warm)
        usual_ms = statistics.fmean(work.cpu_ms for work in self.works)
        ratio = cpu_ms / usual_ms if min(cpu_ms, usual_ms) > _LEAST_CPU_MS else 1.0
        return replace(
            result,
            p50_ms=statistics.median(call.wall_ms for call in warm),
            predicted_ms=statistics.fmean(work.throttled_here_ms(memory_mb) for work in some),
            cpu_ratio=ratio,
            predicted_at_cpu_ms=statistics.fmean(work.throttled_here_ms(memory_mb, ratio) for work in some),
        )


def doubts_of(found: Mapping[int, Throttled]) -> Iterator[RunWarning]:
    """Yield what calls under quotas say against the prediction, and against themselves."""
    far = {size: one for size, one in found.items() if abs(_difference(one)) > _FAR}
    if far:
        worst = max(far, key=lambda size: abs(_difference(far[size])))
        yield RunWarning(
            "verification-differs",
            f"under the quota of {worst} MB the handler took {_difference(far[worst]):+.0%} against the prediction",
            "its threads or waits may depend on speed; rely on the measured figures, or measure on AWS",
        )
    changed = [one.cpu_ratio for one in found.values() if one.cpu_ratio and abs(one.cpu_ratio - 1) > _FAR]
    if changed:
        worst_ratio = max(changed, key=lambda ratio: abs(ratio - 1))
        yield RunWarning(
            "verification-cpu",
            f"calls under a quota took {worst_ratio:.2f} times the CPU time of those without",
            "close other programs and run again; what is compared allows for it",
        )
    unfelt = [size for size, one in found.items() if one.p50_ms and one.throttled_periods == 0 and size < MB_PER_VCPU]
    if unfelt:
        yield RunWarning(
            "verification-unfelt",
            f"the quota of {unfelt[0]} MB never made the handler wait",
            "it computes too little at a time for a quota to matter",
        )


def _difference(one: Throttled) -> float:
    """Return by what share the calls took more than predicted for the CPU time that they took."""
    return one.p50_ms / one.predicted_at_cpu_ms - 1 if one.p50_ms and one.predicted_at_cpu_ms else 0.0
