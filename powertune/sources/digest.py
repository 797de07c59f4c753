"""Many runs in little memory: counts, exact sums and a sketch of percentiles, which merge bit for bit in any order.

Times are whole microseconds, so that sums are exact whatever the order and however the runs were parted. A percentile
is off by `RELATIVE_ERROR` at most: durations are counted in buckets that are no wider than 1/128 of what they hold, as
in HDR Histogram (Gil Tene, 2012) and with the guarantee of DDSketch (Masson, Rim and Lee, VLDB 2019), but found by
shifts of integers, which gives the same bucket on every machine.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from powertune.aws_lambda.pricing import billed_duration_ms
from powertune.model.invocation import Aggregate, Invocation, Status

RELATIVE_ERROR = 1 / 256
"""Largest relative error of a percentile."""

BUCKET_BITS = 8
"""Leading bits of a time that choose its bucket; times below 2 to this power have one each."""

_US_PER_MS = 1000
ROUNDING_US = 1020
"""What is billed exceeds a warm duration by less than 1 ms and the 0.02 that printing two decimals can add."""


def bucket_of(time_us: int) -> int:
    """Return the bucket of a time in whole microseconds, 0 or more."""
    shift = max(0, time_us.bit_length() - BUCKET_BITS)
    return (shift << (BUCKET_BITS - 1)) + (time_us >> shift)


def middle_of(bucket: int) -> float:
    """Return the time in microseconds that stands for all times in a bucket."""
    shift = max(0, (bucket >> (BUCKET_BITS - 1)) - 1)
    first = (bucket - (shift << (BUCKET_BITS - 1))) << shift
    return first + ((1 << shift) - 1) / 2


def microseconds(milliseconds: float) -> int:
    """Return a time in whole microseconds."""
    return round(milliseconds * _US_PER_MS)


@dataclass(slots=True)
class Spread:
    """How times are spread, in microseconds."""

    count: int = 0
    total_us: int = 0
    squares: int = 0
    """Sum of the squares of the times."""
    least_us: int | None = None
    most_us: int | None = None
    buckets: dict[int, int] = field(default_factory=dict)
    """How many times lie in each bucket."""

    def add(self, time_us: int) -> None:
        """Count a time."""
        self.count += 1
        self.total_us += time_us
        self.squares += time_us * time_us
        if self.least_us is None or time_us < self.least_us:
            self.least_us = time_us
        if self.most_us is None or time_us > self.most_us:
            self.most_us = time_us
        bucket = bucket_of(time_us)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1

    def add_many(
        self, count: int, total_us: int, squares: int, least_us: int, most_us: int, buckets: Mapping[int, int]
    ) -> None:
        """Count times of which the sums are known."""
        self.count += count
        self.total_us += total_us
        self.squares += squares
        self.least_us = least_us if self.least_us is None else min(self.least_us, least_us)
        self.most_us = most_us if self.most_us is None else max(self.most_us, most_us)
        for bucket, number in buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + number

    def merge(self, other: "Spread") -> None:
        """Count all times of another spread."""
        if other.least_us is not None and other.most_us is not None:
            self.add_many(other.count, other.total_us, other.squares, other.least_us, other.most_us, other.buckets)

    @property
    def mean_ms(self) -> float:
        """The mean in ms, exact but for the last bit. Raises ZeroDivisionError where nothing was counted."""
        return self.total_us / (_US_PER_MS * self.count)

    @property
    def stddev_ms(self) -> float | None:
        """The standard deviation of the sample in ms; None for fewer than two times."""
        if self.count < 2:  # noqa: PLR2004 - one time has no spread
            return None
        # Integers, in which nothing cancels out.
        deviations = self.count * self.squares - self.total_us**2
        return math.sqrt(deviations / (self.count * (self.count - 1))) / _US_PER_MS

    def percentiles_ms(self, shares: Sequence[float]) -> list[float]:
        """Return the percentiles at `shares` (0 to 1) in ms, off by `RELATIVE_ERROR` at most.

        Linear between order statistics, each of which is the middle of its bucket, held to the extremes.
        """
        ordered = sorted(self.buckets.items())
        return [self._percentile_us(ordered, share) / _US_PER_MS for share in shares]

    def _percentile_us(self, ordered: Sequence[tuple[int, int]], share: float) -> float:
        position = share * (self.count - 1)
        below = math.floor(position)
        lower = self._order_statistic_us(ordered, below)
        if position == below:
            return lower
        return lower + (self._order_statistic_us(ordered, below + 1) - lower) * (position - below)

    def _order_statistic_us(self, ordered: Sequence[tuple[int, int]], rank: int) -> float:
        passed = 0
        for bucket, number in ordered:
            passed += number
            if rank < passed:
                return min(max(middle_of(bucket), self.least_us or 0), self.most_us or 0)
        return self.most_us or 0


@dataclass(slots=True)
class Digest:
    """What runs of one memory size that ended alike come to: all warm and fine, all cold, all timed out ..."""

    durations: Spread = field(default_factory=Spread)
    inits: Spread = field(default_factory=Spread)
    billed_us: int = 0
    """Sum of what is billed for the handlers alone under today's rules."""
    max_memory_used_mb: float | None = None
    first_ms: int | None = None
    """When the first run ended, in ms of Unix time; None where no record says."""
    last_ms: int | None = None

    def add(self, run: Invocation, at_ms: int | None = None) -> None:
        """Count a run, of which it may be known when it ended, in ms of Unix time."""
        self.durations.add(microseconds(run.duration_ms))
        if run.init_ms is not None:
            self.inits.add(microseconds(run.init_ms))
        self.billed_us += handler_billed_us(run)
        self.saw(run.max_memory_used_mb, at_ms, at_ms)

    def saw(self, used_mb: float | None, first_ms: int | None, last_ms: int | None) -> None:
        """Note memory used and when runs ended, of runs that are counted otherwise."""
        if used_mb is not None:
            self.max_memory_used_mb = max(used_mb, self.max_memory_used_mb or 0.0)
        if first_ms is not None:
            self.first_ms = first_ms if self.first_ms is None else min(self.first_ms, first_ms)
        if last_ms is not None:
            self.last_ms = last_ms if self.last_ms is None else max(self.last_ms, last_ms)

    def merge(self, other: "Digest") -> None:
        """Count all runs of another digest."""
        self.durations.merge(other.durations)
        self.inits.merge(other.inits)
        self.billed_us += other.billed_us
        self.saw(other.max_memory_used_mb, other.first_ms, other.last_ms)

    def bill_one_ms_more(self) -> None:
        """Bill a ms more for each run, all of which were recorded in whole ms: for the fraction that was cut off."""
        # Less than a ms is billed as one already.
        self.billed_us += (self.durations.count - self.durations.buckets.get(0, 0)) * _US_PER_MS

    def to_aggregate(self, memory_mb: int, *, cold: bool, status: Status, error: str | None) -> Aggregate:
        """Return the digest as the summary of its runs."""
        p50, p95, p99 = self.durations.percentiles_ms([0.5, 0.95, 0.99])
        inits = self.inits
        return Aggregate(
            memory_mb,
            self.durations.mean_ms,
            count=self.durations.count,
            stddev_ms=self.durations.stddev_ms,
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            init_ms=inits.mean_ms if inits.count else None,
            init_p95_ms=inits.percentiles_ms([0.95])[0] if inits.count > 1 else None,
            max_memory_used_mb=self.max_memory_used_mb,
            cold=cold,
            billed_ms=self.billed_us / (_US_PER_MS * self.durations.count),
            status=status,
            error=error,
        )


def handler_billed_us(run: Invocation) -> int:
    """Return the microseconds billed for the handler alone: the logged figure where it only rounds Duration up."""
    if run.billed_ms is not None:
        billed_us = microseconds(run.billed_ms)
        if 0 <= billed_us - microseconds(run.duration_ms) < ROUNDING_US:
            return billed_us
    return billed_duration_ms(run.duration_ms) * _US_PER_MS
