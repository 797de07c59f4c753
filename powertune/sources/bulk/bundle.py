"""Records that were read in bulk, kept as arrays until it is known whether they are kept at all or only counted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from powertune.model.invocation import Invocation
from powertune.sources.bulk.block import Block, Ints
from powertune.sources.bulk.reports import ID_LENGTH, Reports
from powertune.sources.digest import BUCKET_BITS, ROUNDING_US, Digest, Spread
from powertune.sources.log_prefix import Prefix
from powertune.sources.repeats import FIRST_FACTOR, LAST_FACTOR, MIXING_SHIFT

_LOW_BITS = 20
"""Squares are summed in halves of this many bits: then sums of 2^23 of them fit into 64 bits."""
_MEMORY_RANGE = 1 << 14


@dataclass(slots=True)
class Bundle:
    """Records of one function, or of several that their prefixes tell apart."""

    reports: Reports
    ids: npt.NDArray[np.bytes_] | None
    """Request ids; None where nobody will ask for them."""
    prefixes: Sequence[Prefix]

    @classmethod
    def of(cls, block: Block, reports: Reports, prefixes: Sequence[Prefix], *, with_ids: bool) -> Self:
        """Return records found in a block, which may then be filled anew."""
        ids = None
        if with_ids:
            every = np.ndarray(len(block.data) - ID_LENGTH + 1, f"S{ID_LENGTH}", block.data, 0, (1,))
            ids = every[reports.ids]
        return cls(reports, ids, prefixes)

    def __len__(self) -> int:
        return len(self.reports)

    def runs(self) -> Iterator[tuple[Prefix, Invocation]]:
        """Yield the runs one by one, in order, each with what is known beside its record."""
        found = self.reports
        columns = (
            found.memory_mb, found.duration_us, found.billed_us, found.init_us, found.used_mb, found.at_ms,
            found.prefixes,
        )  # fmt: skip
        ids = self.ids.tolist() if self.ids is not None else [b""] * len(found)
        for request_id, memory_mb, duration_us, billed_us, init_us, used_mb, at_ms, number in zip(
            ids, *(column.tolist() for column in columns), strict=True
        ):
            prefix = self.prefixes[number] if number >= 0 else Prefix()
            yield (
                Prefix(at_ms if at_ms >= 0 else None, prefix.function, prefix.stream),
                Invocation(
                    memory_mb,
                    duration_us / 1000,
                    billed_ms=billed_us / 1000,
                    init_ms=init_us / 1000 if init_us >= 0 else None,
                    max_memory_used_mb=float(used_mb),
                    cold=init_us >= 0,
                    request_id=request_id.decode("ascii"),
                    environment=prefix.stream,
                ),
            )


def id_numbers(block: Block, reports: Reports) -> npt.NDArray[np.uint64]:
    """Return a number for each request id, as `repeats.number_of` does."""
    first, last = block.words[reports.ids], block.words[reports.ids + ID_LENGTH - 8]
    mixed = (first * np.uint64(FIRST_FACTOR)) ^ (last * np.uint64(LAST_FACTOR))
    numbers: npt.NDArray[np.uint64] = (mixed ^ (mixed >> np.uint64(MIXING_SHIFT))) * np.uint64(FIRST_FACTOR)
    return numbers


def digests(bundles: Sequence[Bundle]) -> Iterator[tuple[str | None, int, bool, Digest]]:
    """Yield what bundles come to: function if their prefixes tell, memory size in MB, whether cold, and the digest."""
    numbers: dict[str | None, int] = {None: 0}
    keys = np.concatenate([_keys(bundle, numbers) for bundle in bundles])
    functions = list(numbers)
    # Few keys fit into 16 bits, and sorting these counts digits instead of comparing.
    few = keys.max(initial=0) < np.iinfo(np.int16).max
    order = np.argsort(keys.astype(np.int16) if few else keys, kind="stable")
    keys = keys[order]

    def column(name: str) -> Ints:
        found: Ints = np.concatenate([getattr(bundle.reports, name) for bundle in bundles])[order]
        return found

    begins = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1]))) if len(keys) else keys
    ends = np.append(begins[1:], len(keys))
    duration_us, at_ms = column("duration_us"), column("at_ms")
    billed_us = np.add.reduceat(_handler_billed_us(duration_us, column("billed_us")), begins)
    used_mb = np.maximum.reduceat(column("used_mb"), begins)
    last_ms = np.maximum.reduceat(at_ms, begins)
    first_ms = np.minimum.reduceat(np.where(at_ms < 0, np.iinfo(np.int64).max, at_ms), begins)
    durations, init_us = _spreads(duration_us, begins), column("init_us")
    for row, key in enumerate(keys[begins].tolist()):
        cold = bool(key & 1)
        digest = Digest(durations=durations[row], billed_us=int(billed_us[row]))
        if cold:
            digest.inits = _spreads(init_us[begins[row] : ends[row]], np.zeros(1, np.int64))[0]
        known = last_ms[row] >= 0
        digest.saw(float(used_mb[row]), int(first_ms[row]) if known else None, int(last_ms[row]) if known else None)
        function, memory_mb = divmod(key >> 1, _MEMORY_RANGE)
        yield functions[function], memory_mb, cold, digest


def _keys(bundle: Bundle, numbers: dict[str | None, int]) -> Ints:
    """Return a number for each record: of its function, its memory size, and whether it was cold.

    `numbers` of functions are added to.
    """
    reports = bundle.reports
    keys = (reports.memory_mb << 1) + (reports.init_us >= 0)
    if any(prefix.function for prefix in bundle.prefixes):
        known = [0, *(numbers.setdefault(prefix.function, len(numbers)) for prefix in bundle.prefixes)]
        keys += np.array(known)[reports.prefixes + 1] * (2 * _MEMORY_RANGE)
    return keys


def _handler_billed_us(duration_us: Ints, billed_us: Ints) -> Ints:
    """Return what is billed for each handler alone: as `digest.handler_billed_us`."""
    over = billed_us - duration_us
    other = np.flatnonzero((over < 0) | (over >= ROUNDING_US))
    billed_us[other] = np.maximum(1, -(-duration_us[other] // 1000)) * 1000
    return billed_us


def _spreads(times_us: Ints, begins: Ints) -> list[Spread]:
    """Return the spread of each run of times, which begin at `begins`."""
    ends = np.append(begins[1:], len(times_us))
    high, low = times_us >> _LOW_BITS, times_us & ((1 << _LOW_BITS) - 1)
    totals = np.add.reduceat(times_us, begins)
    squares = [np.add.reduceat(part, begins).tolist() for part in (high * high, high * low, low * low)]
    least, most = np.minimum.reduceat(times_us, begins), np.maximum.reduceat(times_us, begins)
    shift = np.maximum(np.frexp(times_us.astype(np.float64))[1] - BUCKET_BITS, 0)
    buckets = (shift << (BUCKET_BITS - 1)) + (times_us >> shift)
    found = []
    for row, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
        counts = np.bincount(buckets[begin:end])
        filled = np.flatnonzero(counts)
        top, middle, bottom = (int(part[row]) for part in squares)
        found.append(
            Spread(
                end - begin,
                int(totals[row]),
                (top << 2 * _LOW_BITS) + (middle << _LOW_BITS + 1) + bottom,
                int(least[row]),
                int(most[row]),
                dict(zip(filled.tolist(), counts[filled].tolist(), strict=True)),
            )
        )
    return found
