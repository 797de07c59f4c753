"""REPORT records from CloudWatch Logs: for runs whose answer brought none, and to learn which environment ran what."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from powertune.aws_lambda.report_record import DamagedRecordError, ReportRecord, iter_reports
from powertune.sources.aws.clients import Aws, NotFoundError, told
from powertune.sources.aws.invoker import Answer

# What finds REPORT records: one pattern per log format, as patterns for text and for JSON do not mix.
_TEXT_PATTERN = '"REPORT RequestId"'
_JSON_PATTERN = '{ $.type = "platform.report" }'
_MOST_PAGES = 200
_CLOCK_SKEW_S = 5.0
"""How far this machine's clock may be off from the log's."""
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 4.0


@dataclass(frozen=True, slots=True)
class LoggedReport:
    """A REPORT record and where it stood."""

    record: ReportRecord
    stream: str
    """Log stream: one per execution environment."""
    at: float
    """Seconds since the epoch, close to the end of the run."""


class LogReader:
    """Reads one function's log group."""

    def __init__(self, aws: Aws, log_group: str, *, is_json: bool = False, time_scale: float = 1.0) -> None:
        self._aws = aws
        self._log_group = log_group
        self._pattern = _JSON_PATTERN if is_json else _TEXT_PATTERN
        self._time_scale = time_scale

    def reports(self, since: float, until: float, *, most_pages: int = _MOST_PAGES) -> list[LoggedReport]:
        """Return the records logged between two moments, in seconds since the epoch. Raises PowertuneError."""
        found: list[LoggedReport] = []
        request: dict[str, Any] = {
            "logGroupName": self._log_group,
            "startTime": int((since - _CLOCK_SKEW_S) * 1000),
            "endTime": int((until + _CLOCK_SKEW_S) * 1000),
            "filterPattern": self._pattern,
        }
        with told("reading the function's logs"):
            for _ in range(most_pages):
                page = self._aws.logs.filter_log_events(**request)
                for event in page.get("events", []):
                    found.extend(
                        LoggedReport(record, str(event.get("logStreamName", "")), event["timestamp"] / 1000)
                        for record in iter_reports(event["message"].splitlines())
                        if not isinstance(record, DamagedRecordError)
                    )
                if not page.get("nextToken"):  # an empty page with a token is nothing odd
                    break
                request["nextToken"] = page["nextToken"]
        return found

    def find(
        self,
        answers: Sequence[Answer],
        *,
        taken: Collection[str],
        patience_s: float,
        lost_patience_s: float,
        is_stopped: Callable[[], bool],
    ) -> dict[int, LoggedReport]:
        """Return the records that belong to `answers`, by their place in it; wait for what may still arrive.

        `taken` are request ids that are known to belong to other runs. Ends when all are found, or after
        `patience_s`, or after `lost_patience_s` where only those are left of which nobody knows whether they ran.
        Raises PowertuneError where the logs may not be read.
        """
        began = time.monotonic()
        pause_s = _FIRST_PAUSE_S
        found: dict[int, LoggedReport] = {}
        while True:
            since = min(answer.sent_at for answer in answers)
            try:
                reports = self.reports(since, time.time())
            except NotFoundError:
                reports = []  # the group comes into being with the first event
            found = match(answers, reports, taken)
            missing = [answer for place, answer in enumerate(answers) if place not in found]
            waited_s = (time.monotonic() - began) / (self._time_scale or 1.0)
            limit_s = lost_patience_s if all(answer.is_lost for answer in missing) else patience_s
            if not missing or waited_s > limit_s or is_stopped():
                return found
            time.sleep(pause_s * self._time_scale)
            pause_s = min(_LONGEST_PAUSE_S, 1.5 * pause_s)


def match(
    answers: Sequence[Answer], reports: Sequence[LoggedReport], taken: Collection[str] = ()
) -> dict[int, LoggedReport]:
    """Return which record belongs to which answer, by its place: by request id, else by version, size and time.

    Every version here is one of powertune's own, which nobody else calls, so that what its streams hold beyond the
    known request ids can only be runs of this tuning. Where request ids are those of the log, a run with an id waits
    for its own record, and only what never got an answer is found in this way.
    """
    # A program can print such records, too; that of another size is none of Lambda's.
    by_id = {(report.record.request_id, report.record.memory_mb): report for report in reports}
    found: dict[int, LoggedReport] = {}
    for place, answer in enumerate(answers):
        request_id, memory_mb = answer.invocation.request_id, answer.invocation.memory_mb
        own = by_id.pop((request_id, memory_mb), None) if request_id else None
        if own is not None:
            found[place] = own
    used = {report.record.request_id for report in found.values()} | set(taken)
    free = sorted((report for (name, _), report in by_id.items() if name not in used), key=lambda report: report.at)
    ids_match = bool(found)
    waiting = sorted(
        (answer.ended_at, place)
        for place, answer in enumerate(answers)
        if place not in found and (answer.is_lost or not ids_match)
    )
    for _, place in waiting:
        chosen = next((report for report in free if _could_be(answers[place], report)), None)
        if chosen is not None:
            free.remove(chosen)
            found[place] = chosen
    return found


def _could_be(answer: Answer, report: LoggedReport) -> bool:
    if report.record.memory_mb != answer.invocation.memory_mb:
        return False
    if "[" in report.stream and f"[{answer.version}]" not in report.stream:
        return False
    if report.at < answer.sent_at - _CLOCK_SKEW_S:
        return False
    # One whose answer never came may have run on after the connection was lost.
    return answer.is_lost or report.at <= answer.ended_at + _CLOCK_SKEW_S


def environments(reports: Sequence[LoggedReport]) -> Mapping[str, str]:
    """Return the execution environment (its log stream) of each request id."""
    return {report.record.request_id: report.stream for report in reports if report.stream}
