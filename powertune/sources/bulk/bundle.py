"""Records that were read in bulk, kept as arrays until it is known whether they are kept at all or only counted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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
    functions: list[str | None] = [None]
    numbers: dict[str | None, int] = {None: 0}
    parts = []
    for bundle in bundles:
        places = [0]
        for prefix in bundle.prefixes:
            if prefix.function not in numbers:
                numbers[prefix.function] = len(functions)
                functions.append(prefix.function)
            places.append(numbers[prefix.function])
        parts.append(replace(bundle.reports, prefixes=np.array(places)[bundle.reports.prefixes + 1]))
    for number, memory_mb, cold, digest in _digests(Reports.joined(parts)):
        yield functions[number], memory_mb, cold, digest


def _digests(reports: Reports) -> Iterator[tuple[int, int, bool, Digest]]:
    is_cold = reports.init_us >= 0
    keys = ((reports.prefixes * _MEMORY_RANGE + reports.memory_mb) << 1) + is_cold
    if keys.max(initial=0) < np.iinfo(np.int16).max:
        order = np.argsort(keys.astype(np.int16), kind="stable")  # which counts digits instead of comparing
    else:
        order = np.argsort(keys, kind="stable")
    keys, rows = keys[order], reports[order]
    begins = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1]))) if len(keys) else keys
    billed_us = np.add.reduceat(_handler_billed_us(rows), begins)
    used_mb = np.maximum.reduceat(rows.used_mb, begins)
    last_ms = np.maximum.reduceat(rows.at_ms, begins)
    first_ms = np.minimum.reduceat(np.where(rows.at_ms < 0, np.iinfo(np.int64).max, rows.at_ms), begins)
    durations = _spreads(rows.duration_us, begins)
    ends = np.append(begins[1:], len(keys))
    for row, key in enumerate(keys[begins].tolist()):
        cold = bool(key & 1)
        digest = Digest(durations=durations[row], billed_us=int(billed_us[row]))
        if cold:
            digest.inits = _spreads(rows.init_us[begins[row] : ends[row]], np.zeros(1, np.int64))[0]
        known = last_ms[row] >= 0
        digest.saw(float(used_mb[row]), int(first_ms[row]) if known else None, int(last_ms[row]) if known else None)
        yield (*divmod(key >> 1, _MEMORY_RANGE), cold, digest)


def _handler_billed_us(rows: Reports) -> Ints:
    """Return what is billed for each handler alone: as `digest.handler_billed_us`."""
    over = rows.billed_us - rows.duration_us
    billed = rows.billed_us.copy()
    other = np.flatnonzero((over < 0) | (over >= ROUNDING_US))
    billed[other] = np.maximum(1, -(-rows.duration_us[other] // 1000)) * 1000
    return billed


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
