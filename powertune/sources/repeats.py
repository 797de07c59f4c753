"""Records that stand twice: how many, estimated from a fixed few of all request ids that ever were.

Of all ids those with the smallest numbers are kept with the times they were met (a bottom-k sample: Cohen and Kaplan,
"Summarizing data using bottom-k sketches", PODC 2007). What is kept of any part of the records is enough for the
whole, so samples merge, and to the same one however the records were parted.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b

_KEPT = 1024
_WORD = (1 << 64) - 1

ID_LENGTH = 36
"""Of request ids as Lambda makes them, which are random: their first and last eight bytes are enough."""

FIRST_FACTOR, LAST_FACTOR = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F
"""Odd numbers with bits in no order (those of xxHash), which scatter the numbers of ids."""
MIXING_SHIFT = 32


def number_of(request_id: str) -> int:
    """Return the number of a request id, from 0 to 2^64 - 1: the same everywhere, and as good as random."""
    data = request_id.encode("utf-8", "replace")
    if len(data) != ID_LENGTH:
        return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")
    first, last = int.from_bytes(data[:8], "little"), int.from_bytes(data[-8:], "little")
    mixed = ((first * FIRST_FACTOR) ^ (last * LAST_FACTOR)) & _WORD
    return ((mixed ^ (mixed >> MIXING_SHIFT)) * FIRST_FACTOR) & _WORD


@dataclass(slots=True)
class Repeats:
    """The smallest numbers of all that were met, and how often each was."""

    times: dict[int, int] = field(default_factory=dict)
    limit: int = _WORD + 1
    """Numbers from here on need not be told: as many smaller ones are known as are kept."""

    def add(self, numbers: Iterable[int]) -> None:
        """Count numbers."""
        times, limit = self.times, self.limit
        for number in numbers:
            if number < limit:
                times[number] = times.get(number, 0) + 1
        if len(times) > 2 * _KEPT:  # not each time: it takes longer than to count
            self.shorten()

    def merge(self, other: "Repeats") -> None:
        """Count what another sample has met."""
        for number, times in other.times.items():
            self.times[number] = self.times.get(number, 0) + times
        self.shorten()

    def shorten(self) -> None:
        """Forget what need not be kept."""
        if len(self.times) >= _KEPT:
            kept = sorted(self.times)[:_KEPT]
            self.times = {number: self.times[number] for number in kept}
            self.limit = kept[-1] + 1

    @property
    def share(self) -> float:
        """Which share of all records stood somewhere before: exact where there are few, else an estimate."""
        self.shorten()
        met = sum(self.times.values())
        return 1 - len(self.times) / met if met else 0.0
