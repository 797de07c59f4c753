"""Reads blocks of lines: what is a record in a usual form in bulk, and what may be anything else line by line.

Lines between two records that lie less than `LONG_STRETCH` apart are taken for that log's own lines. Longer stretches,
and the first `SEARCHED_IN_FULL` bytes of a file, are searched for other formats. These limits are counted from the
beginning of the file and from records, so that it does not matter how a file is parted.
"""

import re
from collections.abc import Iterator, Mapping

import numpy as np

from powertune.aws_lambda.report_record import MARK
from powertune.sources.bulk.block import Block, Ints
from powertune.sources.bulk.bundle import Bundle, id_numbers
from powertune.sources.bulk.reports import Found, find_reports
from powertune.sources.line_reader import LineReader
from powertune.sources.recording import Recording

LONG_STRETCH = 65_536
SEARCHED_IN_FULL = 4 << 20

_MARK = MARK.encode()
_OTHER_FORMATS = (
    b'"logEvents"', b'"logStreamName"', b'"events"', b'"results"', b'"schema_version"', b'"averageDuration"',
    b'"stateMachine"', b'"performance"', b"lambda-power-tuning", b"emory_", b"emorySize", b"emory M", b"emory (",
    b"@message", b"uration_ms",
)  # fmt: skip
"""Of these at least one stands in anything that is no log: a table, a document, a link."""
_LONGEST_LINE = 1_000_000
_MANY_LINES = 65_536
"""Bytes of lines that are read at once where that is possible."""
_ARN = re.compile(rb'"functionArn": ?"([^"]{1,300})"')


class LogReader:
    """Puts what a text holds into a recording, given block by block."""

    def __init__(self, recording: Recording, lines: LineReader, *, offset: int = 0) -> None:
        """Take where the text begins in its file."""
        self._recording = recording
        self._lines = lines
        self.offset = offset
        """Where in the file the block at hand begins."""
        self._line = 1 if offset == 0 else 0
        """Number of the next line; 0 where it is not known, as lines were passed over uncounted."""
        self._stretch = 0
        """Bytes since the last record, up to the block at hand."""
        self._is_in_line = False
        """Whether the block begins within a line that was too long for the one before."""

    def read(self, block: Block, end: int) -> int:
        """Read the lines of a block up to `end`, and return up to where they are done with. Raises BadInputError."""
        begin = block.data.find(b"\n", 0, end) + 1 or end if self._is_in_line else 0
        has_json = block.data.find(b"{", 0, end) >= 0
        is_joined = has_json and self._has_several_functions(block, end)
        found = find_reports(block, begin, end, has_json=has_json and not is_joined)
        missed = found.missed
        if is_joined:
            missed = sorted({*missed, *_places(block, b'"platform.', end)})
        if begin and block.data.find(_MARK, 0, begin) >= 0:
            missed.insert(0, 0)
        # A stretch lies before each record, and one behind the last.
        starts = np.concatenate(([0], found.reports.ends))
        stops = np.concatenate((found.reports.begins, [end]))
        walked = self._to_be_walked(block, starts, stops, missed)
        last = len(found.reports)
        length = end - int(starts[last]) + (0 if last else self._stretch)
        is_undecided = bool(last) and last not in walked and length <= LONG_STRETCH and not block.is_last
        done = int(starts[last]) if is_undecided else end
        self._walk(block, found, starts, stops, walked, done)
        self._stretch = 0 if is_undecided else length
        self._is_in_line = not block.is_last and done == end and block.data[end - 1] != ord("\n")
        self.offset += done
        return done

    def _to_be_walked(self, block: Block, starts: Ints, stops: Ints, missed: list[int]) -> dict[int, bool]:
        """Return which stretches are to be read line by line, and whether to their ends, in order."""
        lengths = stops - starts
        lengths[0] += self._stretch
        walked = dict.fromkeys(self._with_other_formats(block, starts, stops, lengths), True)
        if missed:
            walked |= dict.fromkeys((np.searchsorted(starts, missed, side="right") - 1).tolist(), True)
        if self._lines.is_open:
            walked.setdefault(0, False)
        return dict(sorted(walked.items()))

    def _with_other_formats(self, block: Block, starts: Ints, stops: Ints, lengths: Ints) -> set[int]:
        """Return the stretches in which something may stand that is no log."""

        def may_hold_others(begin: int, end: int) -> bool:
            return any(block.data.find(word, begin, end) >= 0 for word in _OTHER_FORMATS)

        if self.offset < SEARCHED_IN_FULL:
            every = may_hold_others(0, int(stops[-1]))
            return set(np.flatnonzero(stops > starts).tolist()) if every else set()
        long = np.flatnonzero(lengths > LONG_STRETCH).tolist()
        return {number for number in long if may_hold_others(int(starts[number]), int(stops[number]))}

    def _walk(
        self, block: Block, found: Found, starts: Ints, stops: Ints, walked: Mapping[int, bool], done: int
    ) -> None:
        """Add the records, and read some of the stretches between them line by line, all in order."""
        taken = place = 0
        for number, is_to_its_end in walked.items():
            begin, end = int(starts[number]), int(stops[number])
            if number > taken:
                self._take(block, found, taken, number)
                taken = number
            self._pass_lines(block, place, begin)
            place = begin
            while place < end and (is_to_its_end or self._lines.is_open):
                stop = self._stop(block, place, end)
                # Logs may hold anything, so bytes that are no text stay visible as such instead of ending the run.
                text = block.take(place, stop).decode("utf-8", "backslashreplace")
                self._lines.feed_many(text, self._line or -(self.offset + place))
                self._line += text.count("\n") if self._line else 0
                place = stop
        if taken < len(found.reports):
            self._take(block, found, taken, len(found.reports))
        self._pass_lines(block, place, done)

    def _stop(self, block: Block, place: int, end: int) -> int:
        """Return where the text ends that is to be read next: a line, or many of a document; part of one too long."""
        if self._lines.takes_many and end - place > _MANY_LINES:
            stop = block.data.rfind(b"\n", place, place + _MANY_LINES) + 1
            if stop:
                return stop
        return min(block.data.find(b"\n", place, end) + 1 or end, place + _LONGEST_LINE)

    def _pass_lines(self, block: Block, begin: int, end: int) -> None:
        """Count lines that are not read; beyond the first bytes of a file that is not worth the time."""
        if self._line and begin < end:
            if self.offset < SEARCHED_IN_FULL:
                self._line += block.data.count(b"\n", begin, end)
            else:
                self._line = 0

    def _take(self, block: Block, found: Found, first: int, last: int) -> None:
        """Add records from `first` to before `last`."""
        self._lines.interrupt()
        reports = found.reports[first:last]
        numbers = id_numbers(block, reports)
        numbers = numbers[numbers < np.uint64(min(self._recording.repeats.limit, 2**64 - 1))]
        self._recording.add_bundle(
            self._lines.origin,
            Bundle.of(block, reports, found.prefixes, with_ids=self._recording.runs is not None),
            numbers.tolist(),
        )

    def _has_several_functions(self, block: Block, end: int) -> bool:
        """Note the functions that JSON records name in the block, and tell whether the file has several by now."""
        started = self._lines.started
        if self._lines.origin.function is not None:
            return False
        total = 0 if started.are_several else block.data.count(b'"functionArn"', 0, end)
        if total:
            first = _ARN.search(block.data, 0, end)
            if first and block.data.count(first[0], 0, end) == total:
                started.name(first[1].decode("utf-8", "replace"))
            else:
                for matched in _ARN.finditer(block.data, 0, end):
                    started.name(matched[1].decode("utf-8", "replace"))
        return started.are_several


def _places(block: Block, word: bytes, end: int) -> Iterator[int]:
    place = block.data.find(word, 0, end)
    while place >= 0:
        yield place
        place = block.data.find(word, place + 1, end)
