"""JSON values that recordings are made of, told apart by what is in them, and put where they belong.

Sources of the layouts: CloudWatch Logs API (FilterLogEvents, GetQueryResults, StartLiveTail) and user guide
(subscription filters, Lambda Insights), Lambda developer guide (JSON log format), ALPT 4.4.0; read 2026-11-25.
"""

from collections.abc import Callable, Mapping
from typing import Any

from powertune.aws_lambda.memory import MAX_MEMORY_MB, MIN_MEMORY_MB
from powertune.aws_lambda.report_record import (
    JSON_MARK,
    MARK,
    DamagedRecordError,
    ReportRecord,
    parse_report_json,
)
from powertune.model.run_file import from_dict
from powertune.sources.alpt_output import DamagedChartError, is_alpt_output, read_alpt_output
from powertune.sources.cpu_times import CpuTimes, is_performance_event, read_performance_event
from powertune.sources.log_group import function_of_log_group
from powertune.sources.log_prefix import NOTHING, Prefix, read_stream, read_time
from powertune.sources.recorded_rows import has_figures, is_blank, is_row
from powertune.sources.recording import Origin, Recording
from powertune.sources.saved_runs import add_saved_run
from powertune.sources.started import Started

_MOST_NESTED = 4
_EVENT_KEYS = ("logStreamName", "ingestionTime", "eventId", "logGroupIdentifier")
_WORTH_READING = (MARK, JSON_MARK, "platform.start", '"performance"', "platform.report")

AddRow = Callable[[Mapping[str, Any]], None]
AddEvent = Callable[[Origin, Prefix, str], None]


class JsonValues:
    """Puts what JSON values hold into a recording; rows and log events go to those who can read them."""

    def __init__(self, recording: Recording, started: Started, *, add_row: AddRow, add_event: AddEvent) -> None:
        self._recording = recording
        self._started = started
        self._add_row = add_row
        self._add_event = add_event
        self.was_row = False
        """Whether the last value was a row."""

    def read(self, value: Any, origin: Origin, *, clearly: bool, prefix: Prefix = NOTHING, depth: int = 0) -> bool:
        """Read a value, and tell whether it was anything known.

        `clearly` demands of rows that the names of their columns say so by themselves; `prefix` is what stood before
        the value on its line. Raises RunFileError, and what `add_row` raises.
        """
        self.was_row = False
        if isinstance(value, list):
            return self._read_fields(value, origin)
        if not isinstance(value, dict) or depth > _MOST_NESTED:
            return False
        if "schema_version" in value:
            add_saved_run(self._recording, from_dict(value))
            return True
        try:
            known = self._read_record(value, origin, prefix)
        except (DamagedRecordError, DamagedChartError):
            self._recording.damaged += 1
            return True
        known = known or self._read_wrapper(value, origin, clearly=clearly, depth=depth)
        if not known and has_figures(value, clearly=clearly):
            self.was_row = known = True
            self._add_row(value)
        return known

    def read_item(self, key: str | None, value: Any, before: Mapping[str, Any], origin: Origin) -> bool:
        """Read an item of a list named `key` in a document, of which `before` is known; tell whether it was known."""
        if key == "events" and isinstance(value, dict):
            return self._read_event(value, _group_of(before, origin), NOTHING)
        if key == "results":
            return self._read_fields(value, origin)
        return False

    # --- single records ---

    def _read_record(self, value: Mapping[str, Any], origin: Origin, prefix: Prefix) -> bool:
        kind = value.get("type")
        if kind == "platform.report":
            time = value.get("time")
            at_ms = read_time(time) if isinstance(time, str) else None
            self.add_report(
                parse_report_json(value),
                origin,
                prefix if at_ms is None else Prefix(at_ms, prefix.function, prefix.stream),
            )
        elif isinstance(kind, str) and kind.startswith("platform."):
            if kind == "platform.start" and origin.function is None:
                self._started.note(value)
        elif is_performance_event(value):
            self._add_performance(value, origin, prefix)
        elif is_alpt_output(value):
            for aggregate in read_alpt_output(value):
                self._recording.add_aggregate(origin, aggregate)
        else:
            return False
        return True

    def add_report(self, record: ReportRecord, origin: Origin, prefix: Prefix) -> None:
        """Add the run that a REPORT record tells of."""
        if not MIN_MEMORY_MB <= record.memory_mb <= MAX_MEMORY_MB:
            self._recording.damaged += 1
            return
        if prefix.function is not None:
            origin = Origin(prefix.function, origin.architecture, origin.region, origin.runtime)
        self._recording.add_run(
            self._started.origin_of(record.request_id, origin), record.to_invocation(prefix.stream), prefix.at_ms
        )

    def _add_performance(self, value: Mapping[str, Any], origin: Origin, prefix: Prefix) -> None:
        function, run, cpu_ms, threads = read_performance_event(value)
        named = Origin(function, origin.architecture, origin.region, origin.runtime)
        metrics = value.get("_aws")
        at_ms = metrics.get("Timestamp") if isinstance(metrics, dict) else None
        self._recording.add_run(named, run, at_ms if isinstance(at_ms, int) else prefix.at_ms)
        if cpu_ms is not None and run.status == "ok" and not run.cold:
            times = self._recording.cpu_times.setdefault((named, run.memory_mb), CpuTimes())
            times.add(cpu_ms, run.duration_ms, threads)

    # --- what wraps log events and results ---

    def _read_wrapper(self, value: Mapping[str, Any], origin: Origin, *, clearly: bool, depth: int) -> bool:
        group = _group_of(value, origin)
        if value.get("messageType") == "CONTROL_MESSAGE":
            return True
        for key, stream in (("logEvents", value.get("logStream")), ("events", None), ("sessionResults", None)):
            events = value.get(key)
            if isinstance(events, list) and events and all(_is_event(event) for event in events):
                shared = read_stream(stream) if isinstance(stream, str) else NOTHING
                for event in events:
                    self._read_event(event, group, shared)
                return True
        if any(key in value for key in _EVENT_KEYS) or _holds_record(value.get("message")):
            return self._read_event(value, group, NOTHING)
        results = value.get("results", value.get("sessionUpdate"))
        if isinstance(results, list):
            known = [self.read(item, origin, clearly=False, depth=depth + 1) for item in results]
            return any(known)
        if isinstance(results, dict):
            return self.read(results, origin, clearly=clearly, depth=depth + 1)
        return False

    def _read_event(self, event: Mapping[str, Any], origin: Origin, shared: Prefix) -> bool:
        """Hand on the text of a log event, if there is anything in it."""
        message = event.get("message")
        if not isinstance(message, str):
            return False
        if not any(word in message for word in _WORTH_READING):
            return True
        stream = event.get("logStreamName")
        prefix = read_stream(stream) if isinstance(stream, str) else shared
        moment = event.get("timestamp")
        at_ms = moment if isinstance(moment, int) else read_time(moment) if isinstance(moment, str) else None
        self._add_event(_group_of(event, origin), Prefix(at_ms, prefix.function, prefix.stream), message)
        return True

    def _read_fields(self, value: Any, origin: Origin) -> bool:
        """Read a result of Logs Insights: a list of fields, each with its value as text."""
        if not is_field_list(value):
            return False
        row = {item["field"]: item.get("value") for item in value if item["field"] != "@ptr"}
        if not self.read_message_row(row, origin) and not is_blank(row):
            self._add_row(row)
        return True

    def read_message_row(self, row: Mapping[str, Any], origin: Origin) -> bool:
        """Read a row that has a log event in it, as queries of Logs Insights give them; tell whether it was one."""
        message = row.get("@message")
        if not isinstance(message, str):
            return False
        if not _holds_record(message):
            return not is_row(row) or is_blank(row)
        event = {
            "message": message,
            "logStreamName": row.get("@logStream"),
            "timestamp": row.get("@timestamp"),
            "logGroup": row.get("@log"),
        }
        return self._read_event(event, origin, NOTHING)


def is_field_list(value: object) -> bool:
    """Tell whether a value is a result of Logs Insights."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and isinstance(item.get("field"), str) for item in value)
    )


def _is_event(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("message"), str)


def _holds_record(message: object) -> bool:
    return isinstance(message, str) and any(word in message for word in _WORTH_READING)


def _group_of(value: Mapping[str, Any], origin: Origin) -> Origin:
    """Return the origin of log events as the log group tells it, which a document names in one of several ways."""
    for key in ("logGroup", "logGroupName", "logGroupIdentifier"):
        name = value.get(key)
        if isinstance(name, str) and (function := function_of_log_group(name)):
            region = name.split(":")[3] if name.startswith("arn:") and name.count(":") > 4 else None  # noqa: PLR2004
            return Origin(function, origin.architecture, region or origin.region, origin.runtime)
    return origin
