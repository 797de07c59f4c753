"""REPORT records: the line (or JSON object) in which Lambda tells how long a run took and what it used.

Formats: AWS Lambda developer guide ("Lambda log formats", JSON `platform.report` of the Telemetry API) and lines met
in public logs from 2014 to 2026, which tests/unit/test_report_record.py lists one by one.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from powertune.model.invocation import Invocation, Status

MARK = "REPORT RequestId:"
"""What every record in the text format begins with."""

JSON_MARK = '"platform.report"'
"""What every record in the JSON format holds."""

_MARKS = re.compile(re.escape(MARK))
_LAMBDAS_OWN = re.compile(re.escape(MARK) + r"\s*[0-9a-f]{8}-[0-9a-f]{4}-")

# A field starts the text, or follows white space, and is not the tail of a longer name: "Billed Duration", "Max Memory
# Used" and "Init Duration" are tried before what they end in. Tools turn the tabs between fields into spaces.
_FIELD = re.compile(
    r"(?:^|(?<=\s))"
    r"(?P<key>RequestId|Billed Restore Duration|Billed Duration|Init Duration|Restore Duration|Duration"
    r"|Memory Size|Max Memory Used|Status|Error Type)"
    r":[ \t]*(?P<value>[^\s]+)(?:[ \t]+(?P<unit>ms|MB)\b)?"
)
_CONTINUES = re.compile(
    r"\s*(?:(?:Billed Duration|Duration|Memory Size|Max Memory Used|Init Duration|Restore Duration"
    r"|Billed Restore Duration|Error Type|XRAY TraceId):"
    r"|Status: *(?:success|failure|error|timeout)(?=\s*$|\s+Error Type:))"
)
_LARGEST_FIGURE = 1e9
"""In ms or MB: no function runs for eleven days or has a petabyte of memory."""
_NUMBER = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")
_LONGEST_RECORD_LINES = 12
_LONGEST_JSON_LINES = 60
_LONGEST_LINE = 100_000
_MOST_BRACES = 50
_DECODER = json.JSONDecoder()

_JSON_FIELDS = {
    "duration_ms": "durationMs",
    "billed_ms": "billedDurationMs",
    "memory_mb": "memorySizeMB",
    "max_memory_used_mb": "maxMemoryUsedMB",
    "init_ms": "initDurationMs",
    "restore_ms": "restoreDurationMs",
    "billed_restore_ms": "billedRestoreDurationMs",
}
_TEXT_FIELDS = {
    "Duration": "duration_ms",
    "Billed Duration": "billed_ms",
    "Memory Size": "memory_mb",
    "Max Memory Used": "max_memory_used_mb",
    "Init Duration": "init_ms",
    "Restore Duration": "restore_ms",
    "Billed Restore Duration": "billed_restore_ms",
}
_REQUIRED = ("duration_ms", "billed_ms", "memory_mb", "max_memory_used_mb")


class DamagedRecordError(ValueError):
    """The text starts like a REPORT record but does not hold its figures; nothing is guessed."""


@dataclass(frozen=True, slots=True)
class ReportRecord:
    """What one REPORT record says. Durations in ms, memory in MB (of 1,024 KB), as logged."""

    request_id: str
    duration_ms: float
    billed_ms: float
    memory_mb: int
    max_memory_used_mb: float
    init_ms: float | None = None
    restore_ms: float | None = None
    billed_restore_ms: float | None = None
    status: str = "success"
    error_type: str | None = None

    def to_invocation(self, environment: str | None = None) -> Invocation:
        """Return the run that the record tells of, in the execution environment of that name, where it is known.

        A restore from a snapshot is a cold start, and the part of it that is billed stands as init.
        """
        status = self._status()
        return Invocation(
            memory_mb=self.memory_mb,
            duration_ms=self.duration_ms,
            billed_ms=self.billed_ms,
            init_ms=self.init_ms if self.restore_ms is None else self._billed_restore_ms(),
            max_memory_used_mb=self.max_memory_used_mb,
            cold=self.init_ms is not None or self.restore_ms is not None,
            request_id=self.request_id,
            error=None if status == "ok" else self.error_type or self.status,
            status=status,
            environment=environment,
        )

    def _billed_restore_ms(self) -> float:
        if self.billed_restore_ms is not None:
            return self.billed_restore_ms
        return max(0.0, self.billed_ms - math.ceil(self.duration_ms))  # early records say it only so

    def _status(self) -> Status:
        if self.status == "success":
            return "ok"
        if self.status == "timeout":
            return "timed-out"
        # The kernel's kill shows as a plain exit, with memory used up to the last MB.
        killed_at_limit = self.error_type == "Runtime.ExitError" and self.max_memory_used_mb >= self.memory_mb
        return "out-of-memory" if self.error_type == "Runtime.OutOfMemory" or killed_at_limit else "failed"


def format_report(record: ReportRecord) -> str:
    """Return the record as Lambda's text log format prints it, tab separated, on one line. The inverse of parsing."""
    fields = [
        f"REPORT RequestId: {record.request_id}",
        f"Duration: {record.duration_ms:.2f} ms",
        f"Billed Duration: {record.billed_ms:.0f} ms",
        f"Memory Size: {record.memory_mb} MB",
        f"Max Memory Used: {record.max_memory_used_mb:.0f} MB",
    ]
    if record.init_ms is not None:
        fields.append(f"Init Duration: {record.init_ms:.2f} ms")
    if record.restore_ms is not None:
        fields.append(f"Restore Duration: {record.restore_ms:.2f} ms")
    if record.billed_restore_ms is not None:
        fields.append(f"Billed Restore Duration: {record.billed_restore_ms:.0f} ms")
    if record.status != "success":
        fields.append(f"Status: {record.status}")
    if record.error_type is not None:
        fields.append(f"Error Type: {record.error_type}")
    return "\t".join(fields) + "\t"


def parse_report_text(text: str) -> ReportRecord:
    """Return the record in `text`, one line or several: the last one, as an earlier one may be a program's own words.

    Fields may come in any order, parted by tabs, spaces or line breaks. Raises DamagedRecordError.
    """
    # Python and JSON literals of a log line carry their tabs and line breaks as two characters, one in the other as
    # three.
    tail = text[text.rfind(MARK) + len("REPORT ") :].replace("\\\\", "\\")
    tail = tail.replace("\\t", "\t").replace("\\n", "\n")
    fields: dict[str, re.Match[str]] = {}
    for found in _FIELD.finditer(tail):
        fields.setdefault(found["key"], found)
    figures = {}
    for key, name in _TEXT_FIELDS.items():
        if key in fields:
            if not fields[key]["unit"]:  # cut off within the number, for all one can know
                raise DamagedRecordError(f"no unit after {key}")
            figures[name] = checked_number(fields[key]["value"])
    words = {key: field["value"] for key, field in fields.items()}
    return _record(words.get("RequestId", ""), figures, words.get("Status"), words.get("Error Type"))


def parse_report_json(document: Mapping[str, object]) -> ReportRecord:
    """Return the record in a JSON `platform.report` object. Raises DamagedRecordError."""
    record = document.get("record")
    metrics = record.get("metrics") if isinstance(record, dict) else None
    if not isinstance(record, dict) or not isinstance(metrics, dict):
        raise DamagedRecordError("a platform.report object without record.metrics")
    figures = {name: checked_number(metrics[key]) for name, key in _JSON_FIELDS.items() if metrics.get(key) is not None}
    status, error_type = record.get("status"), record.get("errorType")
    request_id = record.get("requestId")
    return _record(
        request_id if isinstance(request_id, str) else "",
        figures,
        str(status) if status is not None else None,
        str(error_type) if error_type is not None else None,
    )


def checked_number(value: object) -> float:
    """Return a figure of a record, in ms or MB. Raises DamagedRecordError for what cannot be one."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LARGEST_FIGURE:
        return float(value)
    raise DamagedRecordError("a figure that is none")


def _record(request_id: str, figures: Mapping[str, float], status: str | None, error_type: str | None) -> ReportRecord:
    missing = [name for name in _REQUIRED if name not in figures]
    if missing or not request_id:
        raise DamagedRecordError(f"no {missing[0] if missing else 'request id'}")
    memory_mb = figures["memory_mb"]
    if memory_mb < 1 or not memory_mb.is_integer():
        raise DamagedRecordError("a memory size that is none")
    return ReportRecord(
        request_id=request_id,
        duration_ms=figures["duration_ms"],
        billed_ms=figures["billed_ms"],
        memory_mb=int(memory_mb),
        max_memory_used_mb=figures["max_memory_used_mb"],
        init_ms=figures.get("init_ms"),
        restore_ms=figures.get("restore_ms"),
        billed_restore_ms=figures.get("billed_restore_ms"),
        status="success" if status in (None, "success") else str(status),
        error_type=error_type,
    )


def iter_reports(lines: Iterable[str]) -> Iterator[ReportRecord | DamagedRecordError]:
    """Yield the REPORT records of a log, and a DamagedRecordError for each that cannot be read, in order.

    Takes text and JSON log formats, mixed, with anything before a record on its line, records wrapped over lines, and
    JSON objects pretty-printed over lines. Holds one record at a time.
    """
    reader = ReportReader()
    for line in lines:
        yield from reader.feed(line)
    yield from reader.close()


class ReportReader:
    """Takes a log line by line and gives the records in it, each as soon as its end is known."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._json: list[str] = []

    @property
    def is_open(self) -> bool:
        """Whether lines to come may belong to what was read."""
        return bool(self._text or self._json)

    def feed(self, raw_line: str) -> Iterator[ReportRecord | DamagedRecordError]:
        """Read a line, and yield the records that ended with it or before it."""
        line = raw_line[:_LONGEST_LINE]
        if self._json:
            # An object opened alone on its line closes on a line of its own, under its beginning.
            indent = self._json[0].partition("{")[0]
            breaks_off = MARK in line or line.startswith((indent + "{", '{"'))
            if not breaks_off:
                self._json.append(line)
            if breaks_off or line.startswith(indent + "}") or len(self._json) > _LONGEST_JSON_LINES:
                yield from self._end_json()
            if not breaks_off:
                return
        if self._text and len(self._text) < _LONGEST_RECORD_LINES and _CONTINUES.match(line):
            before, mark, after = line.partition(MARK)  # another record begins where a line end was lost
            self._text.append(before)
            if not mark:
                return
            line = mark + after
        yield from self._end_text()
        if JSON_MARK in line:
            yield from _read_json(line)
        elif MARK in line:
            *joined, last = _MARKS.split(line)
            for part in joined[1:]:
                yield from _read_joined(MARK + part)
            self._text = [MARK + last]
        elif line.strip() == "{":
            self._json = [line]

    def close(self) -> Iterator[ReportRecord | DamagedRecordError]:
        """Yield what was waiting for its end."""
        yield from self._end_text()
        if self._json:
            yield from self._end_json()

    def _end_text(self) -> Iterator[ReportRecord | DamagedRecordError]:
        if self._text:
            text, self._text = "\n".join(self._text), []
            yield _read_text(text)

    def _end_json(self) -> Iterator[ReportRecord | DamagedRecordError]:
        text, self._json = "".join(self._json), []
        yield from _read_json(text)


def _read_joined(text: str) -> Iterator[ReportRecord | DamagedRecordError]:
    """Yield the record in a part of a line that another one ends.

    What is not whole there may be a program's own words on the record to come; those of Lambda have an id of its form.
    """
    found = _read_text(text)
    if isinstance(found, ReportRecord) or _LAMBDAS_OWN.match(text):
        yield found


def _read_text(text: str) -> ReportRecord | DamagedRecordError:
    try:
        return parse_report_text(text)
    except DamagedRecordError as error:
        return error


def _read_json(text: str) -> Iterator[ReportRecord | DamagedRecordError]:
    """Yield the records of all `platform.report` objects in a text, which may stand one behind the other."""
    position, mark = 0, text.find(JSON_MARK)
    while mark >= 0:
        document, position = _object_around(text, position, mark)
        if document is None:
            yield DamagedRecordError("a platform.report object that is no JSON")
        elif document.get("type") == "platform.report":
            try:
                yield parse_report_json(document)
            except DamagedRecordError as error:
                yield error
        mark = text.find(JSON_MARK, position)


def _object_around(text: str, position: int, mark: int) -> tuple[dict[str, object] | None, int]:
    """Return the first JSON object that begins at `position` or behind it and reaches beyond `mark`, and its end.

    None, and the end of the mark, where there is none.
    """
    for _ in range(_MOST_BRACES):
        position = text.find("{", position, mark)
        if position < 0:
            break
        try:
            document, end = _DECODER.raw_decode(text, position)
        except (ValueError, RecursionError):
            position += 1  # an open brace in what stands before the record
            continue
        if end > mark:
            return document, end
        position = end
    return None, mark + len(JSON_MARK)
