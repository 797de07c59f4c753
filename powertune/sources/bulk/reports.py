"""REPORT records in bulk: many lines of the usual forms at once, each read exactly as the careful parser reads it.

A form is a template of literals and numbers, and all places where a record begins are held against it side by side.
What differs from its template in any byte, and what may go on in the next line, is left to the careful parser
(`aws_lambda.report_record`): nothing is guessed here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from powertune.aws_lambda.memory import MAX_MEMORY_MB, MIN_MEMORY_MB
from powertune.aws_lambda.report_record import JSON_MARK, MARK
from powertune.sources.bulk.block import Block, Flags, Ints
from powertune.sources.bulk.timestamps import TimeForm
from powertune.sources.log_prefix import Prefix, read_prefix

ID_LENGTH = 36
_LONGEST_PREFIX = 400
_JSON_MARK = JSON_MARK.encode()
_NEWLINE = ord("\n")
_TAB = ord("\t")

_EXPORTED, _TAILED = TimeForm("dddd-dd-ddTdd:dd:dd.dddZ "), TimeForm("dddd-dd-ddTdd:dd:dd ")
_IN_JSON = TimeForm("dddd-dd-ddTdd:dd:dd.dddZ")

# What may follow a record on the next line and belong to it, by the first two bytes. White space, and anything beyond
# ASCII, which may be white space, is left to the careful parser, too.
_MAY_GO_ON = np.zeros(1 << 16, np.bool_)
for _byte in (*b"\t\x0b\x0c\r \x1c\x1d\x1e\x1f", *range(0x80, 0x100)):
    _MAY_GO_ON[_byte :: 1 << 8] = True
for _token in (b"Bi", b"Du", b"Me", b"Ma", b"In", b"Re", b"Er", b"St", b"XR"):
    _MAY_GO_ON[int.from_bytes(_token, "little")] = True
_XRAY = int.from_bytes(b"XR", "little")


@dataclass(slots=True)
class Reports:
    """Records in the order of the text: arrays of equal length. Times in microseconds, memory in MB."""

    begins: Ints
    """Where the line of the record begins in the block."""
    ends: Ints
    """Where the first line begins that does not belong to it."""
    ids: Ints
    """Where its request id stands, `ID_LENGTH` bytes long."""
    duration_us: Ints
    billed_us: Ints
    memory_mb: Ints
    used_mb: Ints
    init_us: Ints
    """-1 for a warm run."""
    at_ms: Ints
    """When it was logged, in ms of Unix time; -1 where that is not known."""
    prefixes: Ints
    """Which of the prefixes found stands before it on its line; -1 for one that tells nothing but the time."""

    def __len__(self) -> int:
        return len(self.begins)

    def __getitem__(self, which: "Ints | Flags | slice") -> "Reports":
        return Reports(*(getattr(self, item.name)[which] for item in fields(self)))

    def where(self, good: Flags) -> "Reports":
        """Return the records that are good."""
        return self if good.all() else self[good]

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> "Reports":
        """Return the records of all parts, one part after the other."""
        return Reports(*(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(cls)))

    def in_order(self) -> "Reports":
        """Return the records ordered by where they begin."""
        return self[np.argsort(self.begins, kind="stable")]


@dataclass(slots=True)
class Found:
    """What bulk reading makes of a text."""

    reports: Reports
    prefixes: list[Prefix]
    missed: list[int]
    """Where records begin that are left to the careful parser, ascending."""


def find_reports(block: Block, begin: int, end: int, *, has_json: bool) -> Found:
    """Return the records that begin in a part of the block; the part begins and ends with a line.

    `has_json` tells whether JSON records are to be looked for at all.
    """
    prefixes: list[Prefix] = []
    marks = _text_marks(block, begin, end)
    texts, good = _match_text(block, marks)
    texts, good = _with_prefixes(block, texts, good, begin, end, prefixes)
    missed = marks[~good]
    parts = [texts.where(good)]
    if has_json:
        marks = _json_marks(block, begin, end)
        objects, good = _match_json(block, marks, begin)
        objects, good = _with_prefixes(block, objects, good, begin, end, prefixes)
        missed = np.sort(np.concatenate([missed, marks[~good]]))
        parts.append(objects.where(good))
    reports = parts[0] if not has_json or not len(parts[1]) else Reports.joined(parts).in_order()
    return Found(reports, prefixes, missed.tolist())


def _text_marks(block: Block, begin: int, end: int) -> Ints:
    # Of the letters of the mark P is the rarest in logs.
    places = block.where(b"P", begin, end) - MARK.index("P")
    if len(places) and places[0] < begin:
        places = places[places >= begin]
    return places[block.has(places, MARK.encode())]


def _json_marks(block: Block, begin: int, end: int) -> Ints:
    places = []
    place = block.data.find(_JSON_MARK, begin, end)
    while place >= 0:
        places.append(place)
        place = block.data.find(_JSON_MARK, place + len(_JSON_MARK), end)
    return np.array(places, np.int64)


# --- the text format ---


def _match_text(block: Block, marks: Ints) -> tuple[Reports, Flags]:
    """Hold records against the template of text, which they begin at: `REPORT RequestId: ... Duration: ... ms` ..."""
    ids = marks + len(MARK) + 1
    good = block.bytes[ids - 1] == ord(" ")
    good &= block.are_ids(ids, ID_LENGTH)
    good_one, duration_us, place = block.decimals_behind(ids + ID_LENGTH, b"\tDuration: ")
    good &= good_one
    billed_ms, place, good = _labelled(block, place, b" ms\tBilled Duration: ", good)
    memory_mb, place, good = _labelled(block, place, b" ms\tMemory Size: ", good)
    used_mb, place, good = _labelled(block, place, b" MB\tMax Memory Used: ", good)
    good &= block.has(place, b" MB")
    place += 3
    init_us = np.full(len(marks), -1, np.int64)
    cold = np.flatnonzero(good & block.has(place, b"\tInit Duration: "))
    if len(cold):
        good_one, init_us[cold], behind = block.decimals_behind(place[cold], b"\tInit Duration: ")
        good[cold] &= good_one & block.has(behind, b" ms")
        place[cold] = behind + 3
    place += block.bytes[place] == _TAB
    good &= block.bytes[place] == _NEWLINE
    place += 1
    place, good = _behind_xray(block, place, good)
    good &= ~_MAY_GO_ON[block.pairs[place]]
    if not block.is_last:
        good &= place + 2 <= block.end  # what follows is not known yet
    good &= (memory_mb >= MIN_MEMORY_MB) & (memory_mb <= MAX_MEMORY_MB)
    nothing = np.full(len(marks), -1, np.int64)
    return (
        Reports(marks, place, ids, duration_us, billed_ms * 1000, memory_mb, used_mb, init_us, nothing, nothing.copy()),
        good,
    )


def _labelled(block: Block, place: Ints, label: bytes, good: Flags) -> tuple[Ints, Ints, Flags]:
    """Return the whole numbers behind a label at places, where they end, and which are good still."""
    has_one, number, behind = block.numbers_behind(place, label)
    return number, behind, good & has_one


def _behind_xray(block: Block, place: Ints, good: Flags) -> tuple[Ints, Flags]:
    """Return the places behind lines `XRAY TraceId: ...`, where such a line stands there, in its usual form."""
    traced = np.flatnonzero(good & (block.pairs[place] == _XRAY))
    if not len(traced):
        return place, good
    lines = place[traced]
    same = block.has(lines, b"XRAY TraceId: ") & block.are_ids(lines + 14, 35)
    same &= block.has(lines + 49, b"\tSegmentId: ") & block.are_ids(lines + 61, 16)
    was_sampled = block.has(lines + 77, b"\tSampled: true")
    same &= was_sampled | block.has(lines + 77, b"\tSampled: false")
    ends = lines + np.where(was_sampled, 91, 92)
    ends += block.bytes[ends] == _TAB
    same &= block.bytes[ends] == _NEWLINE
    good[traced] &= same
    place = place.copy()
    place[traced] = ends + 1
    return place, good


# --- the JSON format ---


def _match_json(block: Block, marks: Ints, begin: int) -> tuple[Reports, Flags]:
    """Hold records against the templates of JSON, `{"time":"...","type":"platform.report","record":{` ..."""
    head, middle = b'{"time":"', b'","type":'
    begins = marks - len(head) - _IN_JSON.length - len(middle)
    good = begins >= begin
    begins = np.maximum(begins, begin)
    times = begins + len(head)
    good &= block.has(begins, head) & _IN_JSON.stands_at(block, times) & block.has(times + _IN_JSON.length, middle)
    place = marks + len(_JSON_MARK)
    good &= block.has(place, b',"record":{"requestId":"')
    ids = place + len(b',"record":{"requestId":"')
    good &= block.are_ids(ids, ID_LENGTH)
    place = ids + ID_LENGTH
    # The status stands before the figures or behind them.
    status_first, figures_first = b'","status":"success","metrics":{"durationMs":', b'","metrics":{"durationMs":'
    is_first = block.has(place, status_first)
    good &= is_first | block.has(place, figures_first)
    place += np.where(is_first, len(status_first), len(figures_first))
    good_one, duration_us, behind = block.decimals_behind(place, b"")
    good &= good_one & _is_number(block, place, behind)
    billed_ms, place, good = _json_number(block, behind, b',"billedDurationMs":', good)
    memory_mb, place, good = _json_number(block, place, b',"memorySizeMB":', good)
    used_mb, place, good = _json_number(block, place, b',"maxMemoryUsedMB":', good)
    init_us = np.full(len(marks), -1, np.int64)
    cold = np.flatnonzero(good & block.has(place, b',"initDurationMs":'))
    if len(cold):
        label = b',"initDurationMs":'
        good_one, init_us[cold], behind = block.decimals_behind(place[cold], label)
        good[cold] &= good_one & _is_number(block, place[cold] + len(label), behind)
        place[cold] = behind
    good &= np.where(is_first, block.has(place, b"}}}"), block.has(place, b'},"status":"success"}}'))
    place += np.where(is_first, 3, len(b'},"status":"success"}}'))
    good &= block.bytes[place] == _NEWLINE
    good &= (memory_mb >= MIN_MEMORY_MB) & (memory_mb <= MAX_MEMORY_MB)
    at_ms = np.full(len(marks), -1, np.int64)
    at_ms[good] = _IN_JSON.read(block, times[good])
    nothing = np.full(len(marks), -1, np.int64)
    return (
        Reports(begins, place + 1, ids, duration_us, billed_ms * 1000, memory_mb, used_mb, init_us, at_ms, nothing),
        good,
    )


def _json_number(block: Block, place: Ints, label: bytes, good: Flags) -> tuple[Ints, Ints, Flags]:
    number, behind, good = _labelled(block, place, label, good)
    return number, behind, good & _is_number(block, place + len(label), behind)


def _is_number(block: Block, begins: Ints, ends: Ints) -> Flags:
    """Tell where digits are a number of JSON: one that begins with 0 goes on with a point or not at all."""
    begins_with_0 = (block.bytes[begins] == ord("0")) & (ends - begins > 1)
    good: Flags = ~(begins_with_0 & (block.bytes[begins + 1] != ord(".")))
    return good


# --- what stands before a record on its line ---


def _with_prefixes(
    block: Block, reports: Reports, good: Flags, begin: int, end: int, prefixes: list[Prefix]
) -> tuple[Reports, Flags]:
    """Move the beginnings of records to those of their lines, and note what stands between."""
    marks = reports.begins
    open_ = np.flatnonzero(good & (marks != begin) & (block.bytes[marks - 1] != _NEWLINE))
    for form in (_EXPORTED, _TAILED):
        if not len(open_):
            break
        starts = marks[open_] - form.length
        is_line = (starts == begin) | ((starts > begin) & (block.bytes[starts - 1] == _NEWLINE))
        same = is_line & form.stands_at(block, np.maximum(starts, begin))
        rows = open_[same]
        if len(rows):
            reports.begins[rows] = starts[same]
            known = reports.at_ms[rows]
            reports.at_ms[rows] = np.where(known < 0, form.read(block, starts[same]), known)
            open_ = open_[~same]
    if len(open_):
        _read_prefixes(block, reports, good, open_, begin, prefixes)
    good &= reports.ends <= end
    return reports, good


def _read_prefixes(block: Block, reports: Reports, good: Flags, rows: Ints, begin: int, prefixes: list[Prefix]) -> None:
    """Read prefixes one by one: those of `aws logs tail` and `sam logs`, whose length differs."""
    numbers: dict[tuple[str | None, str | None], int] = {
        (prefix.function, prefix.stream): number for number, prefix in enumerate(prefixes)
    }
    for row in rows.tolist():
        mark = int(reports.begins[row])
        start = block.data.rfind(b"\n", max(begin, mark - _LONGEST_PREFIX), mark) + 1 or begin
        prefix = read_prefix(bytes(block.data[start:mark])) if mark - start < _LONGEST_PREFIX else None
        if prefix is None:
            good[row] = False
            continue
        reports.begins[row] = start
        if reports.at_ms[row] < 0 and prefix.at_ms is not None:
            reports.at_ms[row] = prefix.at_ms
        if prefix.stream is not None:
            key = (prefix.function, prefix.stream)
            if key not in numbers:
                numbers[key] = len(prefixes)
                prefixes.append(Prefix(None, *key))
            reports.prefixes[row] = numbers[key]
