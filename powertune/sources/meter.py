"""What one call took: clocks around it, and samples taken from outside while it ran, parted into computing and waiting.

The samples give the order of computing and waiting, and how many threads wanted to run at once; the clocks around the
call give the totals.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from powertune.aws_lambda.calibration import Segment, Work
from powertune.sources.worker import Clocks

# CPU over wall time that one thread cannot reach, so that a second must have been running.
_SECOND_THREAD_SHARE = 0.2
_SHORTEST_WAIT_MS = 0.5
_MOST_WAITS = 500
_SHORTEST_PARALLEL_MS = 5.0
"""CPU time below which clocks are too coarse to tell threads apart."""

_FEWEST_SAMPLES = 4
_LATE_MS, _MOST_LATE = 4.0, 8
"""Milliseconds, and steps: how much later than it passed CPU time of a new child, or a queue, may show up."""
_IDLE_NOISE = (0.1, 0.05)
"""Idle time in ms, and as a share of a step, that may come from reading two clocks at two moments."""
_ALONE = 0.98
"""Share of the CPU time that the calling thread has where it did everything itself."""
_TRUSTED_DIFFERENCE = 0.03
"""Of CPU time between samples and clocks, which comes from the step's length and not from processes missed."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a handler's processes from outside during a call."""

    samples: tuple[tuple[float, float], ...] = ()
    """Time, and CPU time of all processes, in ms."""
    queues: tuple[tuple[float, float], ...] = ()
    """Until when, and for how long, a thread was ready to run and had no core, in ms."""
    peak_mb: float | None = None
    """Highest memory of all processes together; None where that cannot be told."""


NOTHING_SEEN = Seen()


def work_between(before: Clocks, after: Clocks, seen: Seen = NOTHING_SEEN) -> Work:
    """Part the wall time between two readings into computing and waiting.

    Waiting is wall time without CPU time, less the time this host let the thread queue for a core. A thread that never
    gave up its core of its own accord has not waited at all, whatever the clocks say.
    """
    work = _totals(before, after)
    if before.blocked is not None and after.blocked == before.blocked:
        return work
    steps = _steps(before.wall_ms, after.wall_ms, seen)
    if len(steps) < _FEWEST_SAMPLES:
        return work
    work = _with_timeline(work, _segments(_settled(steps)))
    alone = after.thread_ms - before.thread_ms >= _ALONE * work.cpu_ms
    if not work.segments or not alone:
        return work
    # All by one thread, whose clocks tell exactly what was neither computing nor queueing.
    wait_ms = (after.wall_ms - before.wall_ms) - work.cpu_ms - (after.queued_ms - before.queued_ms)
    return _with_wait(work, max(0.0, wait_ms))


def _totals(before: Clocks, after: Clocks) -> Work:
    cpu_ms, wall_ms = after.cpu_ms - before.cpu_ms, after.wall_ms - before.wall_ms
    ready_ms = max(0.0, wall_ms - (after.queued_ms - before.queued_ms))
    threads = 1
    if cpu_ms > _SHORTEST_PARALLEL_MS:
        threads = _threads(cpu_ms, max(ready_ms, wall_ms / 2))
    if before.blocked is None or after.blocked is None:  # elsewhere than on Linux: one wait, as far as one can tell
        return Work(cpu_ms, max(0.0, ready_ms - cpu_ms / threads), threads)
    stops = after.blocked - before.blocked
    if not stops:
        return Work(cpu_ms, 0.0, threads)
    wait_ms = max(0.0, ready_ms - cpu_ms / threads)
    # A stop shorter than this was a lock or a page, no wait worth the name.
    waits = max(1, min(stops, int(wait_ms / _SHORTEST_WAIT_MS), _MOST_WAITS))
    return Work(cpu_ms, wait_ms, threads, waits)


def _threads(running_ms: float, wall_ms: float) -> int:
    return max(1, math.ceil(running_ms / wall_ms - _SECOND_THREAD_SHARE)) if wall_ms > 0 else 1


@dataclass(slots=True)
class _Step:
    """What happened between two samples."""

    wall_ms: float
    cpu_ms: float
    queued_ms: float

    @property
    def excess_ms(self) -> float:
        """How much more its threads ran, or wanted to, than one of them could have."""
        return self.cpu_ms + self.queued_ms - self.wall_ms

    @property
    def idle_ms(self) -> float:
        """Wall time in which nothing ran or wanted to; none where it may be noise."""
        idle_ms = -self.excess_ms
        least_ms, least_share = _IDLE_NOISE
        return idle_ms if idle_ms > max(least_ms, least_share * self.wall_ms) else 0.0


def _steps(began_ms: float, ended_ms: float, seen: Seen) -> list[_Step]:
    """Return the steps between samples, cut to the call."""
    steps, starts = [], []
    for (start, cpu), (end, later_cpu) in pairwise(seen.samples):
        wall_ms = min(end, ended_ms) - max(start, began_ms)
        if wall_ms > 0 and end > start:
            starts.append(max(start, began_ms))
            steps.append(_Step(wall_ms, (later_cpu - cpu) * wall_ms / (end - start), 0.0))
    for until_ms, queued_ms in seen.queues:
        place = bisect_right(starts, until_ms) - 1
        since_ms = until_ms - queued_ms
        while place >= 0:
            start = starts[place]
            steps[place].queued_ms += max(0.0, min(until_ms, start + steps[place].wall_ms) - max(since_ms, start))
            if start <= since_ms:
                break
            place -= 1
    return steps


def _settled(steps: list[_Step]) -> list[_Step]:
    """Put what was told a little too late, or too early, where it belongs: in the idle steps right before or after."""
    for place, step in enumerate(steps):
        for neighbours in (reversed(steps[max(0, place - _MOST_LATE) : place]), steps[place + 1 : place + 2]):
            since_ms = 0.0
            for other in neighbours:
                if step.excess_ms <= 0 or other.idle_ms <= 0 or since_ms > _LATE_MS:
                    break
                moved_ms = min(step.excess_ms, other.idle_ms)
                queued_ms = min(moved_ms, step.queued_ms)
                step.queued_ms -= queued_ms
                other.queued_ms += queued_ms
                step.cpu_ms -= moved_ms - queued_ms
                other.cpu_ms += moved_ms - queued_ms
                since_ms += other.wall_ms
    return steps


def _segments(steps: Sequence[_Step]) -> list[Segment]:
    """Join steps to stretches of computing, each with the wait that ends it."""
    segments: list[Segment] = []
    cpu_ms = running_ms = busy_ms = wait_ms = 0.0

    def close() -> None:
        nonlocal cpu_ms, running_ms, busy_ms, wait_ms
        threads = _threads(running_ms, busy_ms) if cpu_ms > _SHORTEST_PARALLEL_MS else 1
        segments.append(Segment(cpu_ms, wait_ms, threads))
        cpu_ms = running_ms = busy_ms = wait_ms = 0.0

    for place, step in enumerate(steps):
        idle_ms = step.idle_ms
        # In a step that did both, the wait comes first if what comes next is busier than what was before.
        waits_first = 0 < place < len(steps) - 1 and steps[place - 1].idle_ms > steps[place + 1].idle_ms
        if waits_first:
            wait_ms += idle_ms
        if wait_ms and step.cpu_ms > 0:
            close()
        cpu_ms += max(0.0, step.cpu_ms)
        running_ms += max(0.0, step.cpu_ms) + max(0.0, step.queued_ms)
        busy_ms += step.wall_ms - idle_ms
        if not waits_first:
            wait_ms += idle_ms
    close()
    return _fewer(segments)


def _fewer(segments: list[Segment]) -> list[Segment]:
    """Join neighbours evenly until there are no more than can be simulated quickly at all sizes."""
    at_once = math.ceil(len(segments) / _MOST_WAITS)
    if at_once <= 1:
        return segments
    groups = [segments[start : start + at_once] for start in range(0, len(segments), at_once)]
    return [
        Segment(
            math.fsum(one.cpu_ms for one in group),
            math.fsum(one.wait_ms for one in group),
            max(one.threads for one in group),
        )
        for group in groups
    ]


def _with_timeline(work: Work, segments: Sequence[Segment]) -> Work:
    """Return the work with its order, and the totals of the clocks: but for processes that only one of them has seen.

    Children too short to be sampled ran while the handler waited; those that nobody waited for are not in its clocks.
    """
    seen_ms = math.fsum(one.cpu_ms for one in segments)
    wait_ms = math.fsum(one.wait_ms for one in segments)
    missed_ms = work.cpu_ms - seen_ms
    if seen_ms <= 0 or work.cpu_ms <= 0:
        return work
    if missed_ms > _TRUSTED_DIFFERENCE * work.cpu_ms and wait_ms > missed_ms:
        share = missed_ms / wait_ms
        segments = [
            replace(one, cpu_ms=one.cpu_ms + share * one.wait_ms, wait_ms=(1 - share) * one.wait_ms) for one in segments
        ]
    elif -missed_ms <= max(1.0, _TRUSTED_DIFFERENCE * work.cpu_ms):
        segments = [replace(one, cpu_ms=one.cpu_ms * work.cpu_ms / seen_ms) for one in segments]
    cpu_ms = math.fsum(one.cpu_ms for one in segments)
    wait_ms = math.fsum(one.wait_ms for one in segments)
    # Threads that were idle for most of the time do not count: weighed by what they did.
    threads = round(math.fsum(one.cpu_ms * one.threads for one in segments) / cpu_ms)
    return Work(cpu_ms, wait_ms, threads, max(1, sum(one.wait_ms > 0 for one in segments)), tuple(segments))


def _with_wait(work: Work, wait_ms: float) -> Work:
    """Return the work with so much waiting in all: the shortest waits are the likeliest to be none."""
    waits_ms = [one.wait_ms for one in work.segments]
    surplus_ms = math.fsum(waits_ms) - wait_ms
    for place in sorted(range(len(waits_ms)), key=waits_ms.__getitem__):
        taken_ms = max(0.0, min(surplus_ms, waits_ms[place]))
        waits_ms[place] -= taken_ms
        surplus_ms -= taken_ms
    waits_ms[max(range(len(waits_ms)), key=waits_ms.__getitem__)] += max(0.0, -surplus_ms)
    segments = [replace(one, wait_ms=wait) for one, wait in zip(work.segments, waits_ms, strict=True)]
    return replace(work, wait_ms=wait_ms, waits=max(1, sum(wait > 0 for wait in waits_ms)), segments=tuple(segments))


def peak_together_mb(own_mb: float, seen_mb: float | None, before: Clocks, after: Clocks) -> float:
    """Return the peak memory of a process and its children in MB, from what was seen of them together, if anything.

    A child that came and went between two looks left its own peak, unless an earlier one was larger. The kernel starts
    that from the memory of the process that forked it, so that where children were looked at it stands alone; where
    nobody looked, it is taken to need this process beside it.
    """
    child_mb = after.largest_child_mb if after.largest_child_mb > before.largest_child_mb else 0.0
    if seen_mb is None:
        return own_mb + child_mb if child_mb > own_mb else own_mb
    return max(own_mb, seen_mb, child_mb)
