"""Times in ISO 8601 at many places of a block at once, as ms of Unix time."""

from dataclasses import dataclass

import numpy as np

from powertune.sources.bulk.block import Block, Flags, Ints
from powertune.sources.log_prefix import midnight_ms


def _word(text: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(text, "little"))


@dataclass(frozen=True, slots=True)
class _Part:
    """Eight bytes of a form: digits in some places, certain bytes in the others."""

    offset: int
    mask: np.uint64
    wanted: np.uint64
    six: np.uint64
    """Six in the places of digits: added to a digit it leaves the high half alone, to what is beyond 9 it does not."""


class TimeForm:
    """How a time is written: `d` stands for a digit, anything else for itself."""

    def __init__(self, form: str) -> None:
        self.length = len(form)
        self._has_fraction = form[19:20] == "."
        last = len(form) - 8
        self._parts = [_part(form, offset) for offset in (*range(0, last, 8), last)]

    def stands_at(self, block: Block, places: Ints) -> Flags:
        """Tell at which places a time of this form stands."""
        found: Flags = np.ones(len(places), np.bool_)
        for part in self._parts:
            word = block.words[places + part.offset]
            found &= ((word & part.mask) == part.wanted) & (((word + part.six) & part.mask) == part.wanted)
        return found

    def read(self, block: Block, places: Ints) -> Ints:
        """Return the times at places where one stands, in ms of Unix time; -1 for days that do not exist."""

        def digit(offset: int) -> Ints:
            return (block.bytes[places + offset] & 15).astype(np.int64)

        def pair(offset: int) -> Ints:
            return digit(offset) * 10 + digit(offset + 1)

        seconds = (pair(11) * 60 + pair(14)) * 60 + pair(17)
        times = seconds * 1000
        if self._has_fraction:
            times += pair(20) * 10 + digit(22)
        days = pair(0) * 1_000_000 + pair(2) * 10_000 + pair(5) * 100 + pair(8)
        for day in np.unique(days):
            begin = midnight_ms(b"%04d-%02d-%02d" % (day // 10_000, day // 100 % 100, day % 100))
            same = days == day
            if begin is None:
                times[same] = -1
            else:
                times[same] += begin
        return times


def _part(form: str, offset: int) -> _Part:
    text = form[offset : offset + 8]
    return _Part(
        offset,
        _word(bytes(0xF0 if char == "d" else 0xFF for char in text)),
        _word(text.replace("d", "0").encode()),
        _word(bytes(6 if char == "d" else 0 for char in text)),
    )
