"""Reads lines of any format, one after the other: tables, JSON, logs, links, and where one ends and the next begins."""

import json
import re
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from powertune.aws_lambda.report_record import JSON_MARK, MARK, DamagedRecordError, ReportReader, ReportRecord
from powertune.model.run_file import RunFileError
from powertune.sources.alpt_output import DamagedChartError, has_chart, read_charts
from powertune.sources.json_stream import STREAMED, BrokenDocumentError, DocumentReader
from powertune.sources.json_values import JsonValues, is_field_list
from powertune.sources.log_prefix import NOTHING, Prefix, read_prefix
from powertune.sources.recorded_rows import (
    InvalidRowError,
    TableReader,
    delimiter_of,
    has_figures,
    header_of,
    is_row,
    missing_columns,
)
from powertune.sources.recording import Origin, Recording
from powertune.sources.row_intake import WITH_MESSAGE, RowIntake
from powertune.sources.started import Started

FORMS = (
    "powertune reads logs with REPORT records (text or JSON, as any AWS tool prints or packs them), results of Logs"
    " Insights, events of Lambda Insights, output of AWS Lambda Power Tuning, CSV or JSON lines with memory_mb and"
    " duration_ms, and its own saved runs"
)

SYNC = re.compile(
    r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]{1,9})?Z? )?REPORT RequestId: |\{\"time\":\"[0-9-]{10}T"
)
"""A line of a log with which whatever stood open before it is over: where a file may be parted."""

SYNC_ANYWHERE = re.compile(rf"^(?:{SYNC.pattern})", re.MULTILINE)
_LINE = re.compile(r"[^\n]*\n|[^\n]+")

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_COLOURED = (MARK, "{", "/[")
"""Of these one stands in each line that matters of `aws logs tail` on a terminal, which colours it."""
_PLATFORM = re.compile(r"(?:\S{1,200} ){0,2}(?:START|END|REPORT|INIT_START|INIT_REPORT|RESTORE_START|XRAY TraceId)\b")
_HEADER = re.compile(r"memory|power|\bmb\b|size|@message", re.IGNORECASE)
_LONGEST_HEADER = 20_000
_LONGEST_PREFIX = 400
_MOST_AGAIN = 100
_NEVER_IN_ROWS = {"type", "message", "schema_version", "event_type"}
_DECODER = json.JSONDecoder()


class LineReader:
    """Puts what lines hold into a recording. `shown` names the file in complaints."""

    def __init__(
        self,
        recording: Recording,
        shown: str,
        *,
        skip_invalid: bool,
        add_event: Callable[[Origin, Prefix, str], None],
        origin: Origin = Origin(),  # noqa: B008 - frozen
    ) -> None:
        self.origin = origin
        """What is known of all records that do not say better."""
        self._recording = recording
        self.started = Started(recording)
        self._rows = RowIntake(
            recording,
            shown,
            skip_invalid=skip_invalid,
            origin=origin,
            read_message=lambda row: self._values.read_message_row(row, origin),
        )
        self._values = JsonValues(
            recording,
            self.started,
            add_row=lambda row: self._rows.add(row, self._number),
            add_event=add_event,
        )
        self._reports = ReportReader()
        self._prefix = NOTHING
        """What stood before the record that is being read."""
        self._table: TableReader | None = None
        self._document: DocumentReader | None = None
        self._document_lines: list[tuple[str, int]] = []
        self._number = 0
        """Of the line that is being read."""
        self._goes_on = False
        """Whether the line was too long and comes in pieces."""
        self._again: deque[tuple[str, int]] = deque()
        """Lines to be read anew, as they were taken for something else."""
        self._items = 0
        """Of the document that is being read."""
        self._json_prefix = NOTHING
        """What stood before the JSON that is being read, on its line or alone on the line before."""
        self._clearly = False
        """Whether objects have to say clearly that they are rows."""
        self._is_first = True
        """Whether nothing was read yet but blank lines."""
        self._are_rows = False
        """Whether lines are JSON rows, so that one which is not is a damaged one."""
        self.nothing = "is empty"
        """What to say of the file if nothing was found in it."""

    @property
    def is_open(self) -> bool:
        """Whether lines to come may belong to what was read."""
        return bool(
            self._table
            or self._document
            or self._reports.is_open
            or self._are_rows
            or self._is_first
            or self._json_prefix is not NOTHING
        )

    @property
    def takes_many(self) -> bool:
        """Whether it is worth giving many lines at once: those of a long document."""
        return self._document is not None and not self._goes_on

    def feed_many(self, lines: str, number: int) -> None:
        """Read many lines, each with its end; as `feed` does."""
        if self.takes_many and SYNC_ANYWHERE.search(lines) is None:
            self.feed(lines, number)
            return
        for line in _LINE.findall(lines):
            self.feed(line, number)
            number += number > 0

    def feed(self, line: str, number: int) -> None:
        """Read a line with its end. Raises BadInputError.

        `number` is that of the line in its file, or where that is not known how many bytes lie before it, below 0.
        """
        self._again.append((line, number))
        while self._again:
            self._feed_one(*self._again.popleft())

    def _feed_one(self, line: str, number: int) -> None:
        self._number = number
        goes_on, self._goes_on = self._goes_on, not line.endswith("\n")
        if "\x1b" in line and any(word in line for word in _COLOURED):
            line = _ANSI.sub("", line)
        if self._document or self._table:
            if not goes_on and SYNC.match(line):
                self._again.appendleft((line, number))
                self._end_what_is_open()
                return
            if self._document:
                self._feed_document(self._document, line)
                return
            if self._table and (self._table.is_open or not self._ends_table(line)):
                self._add_rows(self._table, line)
                return
            self._table = None
        self._read(line)

    def interrupt(self) -> None:
        """End what stands open: a record begins that has nothing to do with it. Raises BadInputError."""
        self._end_what_is_open()
        while self._again:
            self._feed_one(*self._again.popleft())
            if not self._again:
                self._end_what_is_open()

    def close(self) -> None:
        """Read what was waiting for more: nothing comes. Raises BadInputError."""
        document = self._document
        if document:
            with suppress(BrokenDocumentError):
                document.close()
                self._end_document(document)
        self.interrupt()

    def _end_what_is_open(self) -> None:
        self._end_reports()
        if self._table:
            for number, row in self._table.close():
                self._rows.add(row, number)
            self._table = None
        if self._document:
            self._break_document(self._document)
        self._are_rows = self._is_first = False

    # --- one line ---

    def _read(self, line: str) -> None:
        start = line.lstrip()
        if not start:
            self._feed_reports(line)
            return
        was_first, self._is_first = self._is_first, False
        if was_first:
            self.nothing = "holds no REPORT record and is no table of durations"
        self._clearly = not (was_first or self._are_rows)
        if self._read_json_line(line, start):
            return
        if has_chart(line):
            self._add_charts(line)
        elif self._begin_table(line, is_first=was_first):
            self._end_reports()
        elif self._are_rows and not (MARK in line or JSON_MARK in line):
            self._rows.complain(InvalidRowError("is no JSON object"), self._number)
        else:
            self._are_rows = False
            self._feed_reports(line)

    def _feed_reports(self, line: str) -> None:
        place = line.find(MARK)
        json_place = line.find("{") if place < 0 and JSON_MARK in line else -1
        found = list(self._reports.feed(line))
        if place < 0 and json_place < 0:
            self._add_reports(found, self._prefix)
            return
        prefix = read_prefix(line[: max(place, json_place)].encode("utf-8", "replace"))
        if json_place >= 0:
            self._add_reports(found, prefix or NOTHING)
            return
        self._add_reports(found, self._prefix)
        self._prefix = prefix or NOTHING

    def _end_reports(self) -> None:
        self._add_reports(list(self._reports.close()), self._prefix)
        self._prefix = NOTHING

    def _add_reports(self, found: list[ReportRecord | DamagedRecordError], prefix: Prefix) -> None:
        for record in found:
            if isinstance(record, DamagedRecordError):
                self._recording.damaged += 1
            else:
                self._values.add_report(record, self.origin, prefix)

    def _add_charts(self, line: str) -> None:
        try:
            for label, aggregates in read_charts(line):
                for aggregate in aggregates:
                    self._recording.add_aggregate(Origin(label) if label else self.origin, aggregate)
        except DamagedChartError:
            self._recording.damaged += 1

    # --- JSON ---

    def _read_json_line(self, line: str, start: str) -> bool:
        """Read JSON that a line begins with, or holds behind a prefix; tell whether there was any."""
        before, self._json_prefix = self._json_prefix, NOTHING
        if start[0] in "{[":
            # `aws logs tail --format json` breaks the line between prefix and object.
            self._json_prefix = before
            return self._read_json(line, start)
        if len(line) < _LONGEST_PREFIX and line.rstrip().endswith("]") | ("/[" in line):
            alone = read_prefix(line.strip().encode("utf-8", "replace"))
            if alone is not None and alone.stream is not None:
                self._end_reports()
                self._json_prefix = alone
                return True
        place = line.find("{", 0, _LONGEST_PREFIX)
        if place > 0 and (prefix := read_prefix(line[:place].encode("utf-8", "replace"))) is not None:
            self._json_prefix = prefix
            return self._read_json(line, line[place:])
        return False

    def _read_json(self, line: str, start: str) -> bool:
        """Read the JSON values that stand one behind the other, and begin a document that goes on."""
        if start[0] == "[" and start[1:].lstrip()[:1] not in ("", "{", "[", "]"):
            return False
        has_any = False
        while start and start[0] in "{[":
            try:
                value, end = _DECODER.raw_decode(start)
            except (ValueError, RecursionError):
                if self._begin_document(start, line):
                    return True
                break
            self._end_reports()
            self._add_value(value)
            start, has_any = start[end:].lstrip(), True
        if has_any and start:
            self._feed_reports(start)
        return has_any

    def _add_value(self, value: Any) -> None:
        """Read a value that stands by itself."""
        if isinstance(value, list) and not is_field_list(value) and not self._are_rows:
            self._items = 0
            for item in value:
                self._add_item("", item, {})
            return
        if not self._read_value(value, clearly=self._clearly) and self._are_rows:
            self._rows.complain(InvalidRowError("is no JSON object"), self._number)

    def _read_value(self, value: Any, *, clearly: bool) -> bool:
        try:
            known = self._values.read(value, self.origin, clearly=clearly, prefix=self._json_prefix)
        except RunFileError as error:
            self._rows.refuse(f"{error}", hint="save the run again, or read it with the powertune that wrote it")
            return True
        if known:
            self._are_rows = self._values.was_row
        return known

    def _add_item(self, key: str | None, value: Any, before: Mapping[str, Any]) -> None:
        """Read an item of a list, or a document whose streamed lists were given out before."""
        if key is None:
            if not self._items:
                self._read_value(value, clearly=self._clearly)
            return
        self._items += 1
        if key in STREAMED and self._values.read_item(key, value, before, self.origin):
            return
        if isinstance(value, dict) and is_row(value) and not value.keys() & _NEVER_IN_ROWS and not self._clearly:
            self._rows.add(value, self._items, unit="row")
        else:
            self._read_value(value, clearly=self._clearly)

    def _begin_document(self, start: str, line: str) -> bool:
        document = DocumentReader(self._add_item)
        try:
            document.feed(start)
        except BrokenDocumentError:
            return False
        self._end_reports()
        self._items = 0
        self._document = document
        self._document_lines = [(line, self._number)]
        return True

    def _feed_document(self, document: DocumentReader, line: str) -> None:
        self._document_lines.append((line, self._number))
        if document.emitted:
            del self._document_lines[:-1]
        try:
            document.feed(line)
        except BrokenDocumentError:
            self._break_document(document)
            return
        if document.is_done:
            self._end_document(document)

    def _end_document(self, document: DocumentReader) -> None:
        """Go on with what stands behind a document."""
        self._document, self._document_lines = None, []
        if document.rest.strip():
            lines = _LINE.findall(document.rest)
            self._again.extendleft((line, self._number) for line in reversed(lines))

    def _break_document(self, document: DocumentReader) -> None:
        """Read a document that turned out to be none as lines, and complain where it was meant as one."""
        lines = [(line, number) for text, number in self._document_lines for line in _LINE.findall(text)]
        self._document, self._document_lines = None, []
        if self._are_rows:
            self._rows.complain(InvalidRowError("is no JSON object"), lines[0][1])
            self._again.extendleft(lines[:0:-1])
            return
        before = self._recording.count + self._recording.damaged + len(self._recording.aggregates)
        # What began inside of it is looked for anew, unless that would take long.
        few = len(lines) <= _MOST_AGAIN
        for line, number in lines[:1] if few else lines:
            self._number = number
            if has_chart(line):
                self._add_charts(line)
            else:
                self._feed_reports(line)
        if few:
            self._again.extendleft(lines[:0:-1])
        self._end_reports()
        found = self._recording.count + self._recording.damaged + len(self._recording.aggregates)
        if found == before:
            self._refuse_document(lines, emitted=document.emitted)

    def _refuse_document(self, lines: list[tuple[str, int]], *, emitted: int) -> None:
        content = "".join(line for line, _ in lines)
        what = "breaks off or is not JSON"
        try:
            json.loads(content)
        except json.JSONDecodeError as error:
            what += f" at line {lines[0][1] + error.lineno - 1}, column {error.colno}"
        except (ValueError, RecursionError):
            pass
        if emitted or '"schema_version"' in content:
            self._rows.refuse(what, hint="save or copy it again")
        elif self.nothing.startswith("holds no"):
            self.nothing = what

    # --- rows ---

    def _begin_table(self, line: str, *, is_first: bool) -> bool:
        """Begin a table if the line is the header of one."""
        if not is_first and (MARK in line or len(line) > _LONGEST_HEADER or not _HEADER.search(line)):
            return False
        delimiter = delimiter_of(line)
        names = header_of(line, delimiter)
        good = has_figures(names, clearly=self._clearly) or WITH_MESSAGE in names
        if not good or MARK in line:
            if is_first and MARK not in line:
                self.nothing = missing_columns(names) or self.nothing
            return False
        self._table = TableReader(line, delimiter)
        self.nothing = "has no rows"
        return True

    def _ends_table(self, line: str) -> bool:
        start = line.lstrip()
        if not start:
            return False
        if start[0] in "{[" or has_chart(line):
            return True
        assert self._table is not None  # noqa: S101 - for the type checker
        if MARK in line or JSON_MARK in line or _PLATFORM.match(start):
            return WITH_MESSAGE not in self._table.names
        if not _HEADER.search(line):
            return False
        names = header_of(line, delimiter_of(line))
        return has_figures(names, clearly=True) or WITH_MESSAGE in names

    def _add_rows(self, table: TableReader, line: str) -> None:
        for number, row in table.feed(line, self._number):
            self._rows.add(row, number)
