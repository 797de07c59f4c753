"""Logs Insights queries on AWS: started within its limits, waited for, read page by page, and stopped if need be.

Limits (API reference and quotas of CloudWatch Logs, read 2026-11-25): 100 queries at once and a few starts a second for
all of an account, 60 minutes a query, 10,000 rows a page, 100,000 rows a query.
"""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from powertune.errors import AwsError, PowertuneError
from powertune.progress import NoProgress, Progress
from powertune.sources.aws.clients import (
    Aws,
    CredentialsError,
    error_code,
    error_message,
    explained,
    is_busy,
    is_unreachable,
)

MOST_ROWS = 100_000
_ROWS_PER_PAGE = 10_000
_LONGEST_QUERY_S = 65 * 60
"""A little more than the 60 minutes after which the service itself gives up."""
_LONGEST_SILENCE_S = 300
"""How long AWS may be unreachable or throttle before powertune gives up."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 5.0
_LONGEST_BACKOFF_S = 30.0
_MOST_UNKNOWN = 10
"""How often in a row a query's status may be unknown."""

_PASSING_CODES = frozenset(
    {"ServiceUnavailableException", "InternalFailure", "InternalServerError", "ServiceUnavailable"}
)
_DOING = "querying the logs"
_UNFINISHED = frozenset({"Scheduled", "Running"})

Result = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class LogQuery:
    """One query: its text, log groups of one class, and from when to when, in seconds since the epoch."""

    text: str
    log_groups: tuple[str, ...]
    since: int
    until: int


@dataclass(slots=True)
class LogAnswer:
    """What became of a query."""

    query: LogQuery
    results: list[Result] = field(default_factory=list)
    """As GetQueryResults gives them; empty unless the query is complete."""
    error: PowertuneError | None = None
    """Why there are no results."""
    is_cut: bool = False
    """Whether the service left out rows."""
    bytes_scanned: float = 0.0
    records_scanned: float = 0.0


@dataclass(slots=True)
class _Running:
    answer: LogAnswer
    began_at: float
    """Of `time.monotonic()`."""
    heard_at: float
    unknown: int = 0


class _LaterError(Exception):
    """Nothing is wrong with the request: it may be repeated after a pause. `meaning` says what there is to say."""

    def __init__(self, error: ClientError | BotoCoreError) -> None:
        super().__init__()
        self.meaning = explained(error, _DOING)


class QueryRunner:
    """Runs any number of queries, a few at a time."""

    def __init__(self, aws: Aws, *, concurrency: int = 4, progress: Progress | None = None) -> None:
        self._aws = aws
        self._concurrency = concurrency
        self._progress = progress or NoProgress()
        self._running: dict[str, _Running] = {}
        self._started_at = 0.0
        """When a query was last started or running, of `time.monotonic()`."""
        self._backoff_s = 0.0
        self._start_again_at = 0.0
        self.bytes_scanned = 0.0
        """By all queries so far, those that run or have failed included."""

    def run(self, queries: Sequence[LogQuery]) -> list[LogAnswer]:
        """Return the answers to all queries, in their order; those of failed ones say why.

        Whatever ends this early stops the queries that run. Raises CredentialsError, and AwsError where AWS throttles
        or cannot be reached for minutes.
        """
        answers = [LogAnswer(query) for query in queries]
        waiting = deque(answers)
        pause_s, self._started_at = FIRST_PAUSE_S, time.monotonic()
        self._progress.begin("waiting for Logs Insights, in queries", total=len(queries))
        try:
            while waiting or self._running:
                started = self._start(waiting)
                if started or self._running:
                    self._started_at = time.monotonic()
                time.sleep(pause_s)
                finished = self._look()
                self._progress.step(finished)
                pause_s = FIRST_PAUSE_S if started or finished else min(LONGEST_PAUSE_S, 1.5 * pause_s)
        finally:
            self._stop()
            self._progress.end()
        return answers

    def _start(self, waiting: deque[LogAnswer]) -> int:
        """Start what may be started, and return how many queries that were."""
        started = 0
        while waiting and len(self._running) < self._concurrency and time.monotonic() >= self._start_again_at:
            answer = waiting[0]
            query = answer.query
            try:
                begun = self._ask(
                    "start_query",
                    logGroupNames=list(query.log_groups),
                    startTime=query.since,
                    endTime=query.until,
                    queryString=query.text,
                    limit=MOST_ROWS,
                )
            except _LaterError as error:
                if not self._running and time.monotonic() - self._started_at > _LONGEST_SILENCE_S:
                    raise error.meaning from None
                self._backoff_s = min(_LONGEST_BACKOFF_S, 2 * self._backoff_s or FIRST_PAUSE_S)
                self._start_again_at = time.monotonic() + self._backoff_s
                break
            except CredentialsError:
                raise
            except PowertuneError as error:
                answer.error = error
                self._progress.step()
            else:
                now = time.monotonic()
                self._running[begun["queryId"]] = _Running(answer, now, now)
                self._backoff_s = 0.0
                started += 1
            waiting.popleft()
        return started

    def _look(self) -> int:
        """Look at all queries that run, and return how many have ended."""
        ended = 0
        for query_id, running in list(self._running.items()):
            now = time.monotonic()
            try:
                page = self._ask("get_query_results", queryId=query_id)
            except _LaterError as error:
                if now - running.heard_at > _LONGEST_SILENCE_S:
                    raise error.meaning from None
                continue
            except CredentialsError:
                raise
            except PowertuneError as error:
                self._stop_one(query_id)
                running.answer.error = error
            else:
                running.heard_at = now
                if not self._has_ended(query_id, running, page, now):
                    continue
            ended += 1
            self._running.pop(query_id, None)
        return ended

    def _has_ended(self, query_id: str, running: _Running, page: Mapping[str, Any], now: float) -> bool:
        answer, status = running.answer, str(page.get("status", "Unknown"))
        self._count(answer, page.get("statistics") or {})
        running.unknown = running.unknown + 1 if status == "Unknown" else 0
        if status == "Complete":
            self._read(query_id, answer, page)
            return True
        is_open = status in _UNFINISHED or status == "Unknown"
        too_long = now - running.began_at > _LONGEST_QUERY_S
        if is_open and not too_long and running.unknown <= _MOST_UNKNOWN:
            return False
        if is_open:
            self._stop_one(query_id)
        answer.error = _unanswered("Timeout" if too_long else status)
        return True

    def _read(self, query_id: str, answer: LogAnswer, page: Mapping[str, Any]) -> None:
        """Read all pages of a complete answer."""
        results, token = list(page.get("results", [])), page.get("nextToken")
        last = len(results)
        while token:
            page = self._ask_patiently("get_query_results", queryId=query_id, nextToken=token)
            last = len(page.get("results", []))
            results += page.get("results", [])
            token = page.get("nextToken")
        answer.results = results
        count = (page.get("statistics") or {}).get("resultCount")
        # A full last page is the end of what an SDK without pages can see.
        answer.is_cut = len(results) >= MOST_ROWS or (last >= _ROWS_PER_PAGE if count is None else count > len(results))

    def _ask_patiently(self, operation: str, **parameters: Any) -> dict[str, Any]:
        began, pause_s = time.monotonic(), FIRST_PAUSE_S
        while True:
            try:
                return self._ask(operation, **parameters)
            except _LaterError as error:
                if time.monotonic() - began > _LONGEST_SILENCE_S:
                    raise error.meaning from None
            time.sleep(pause_s)
            pause_s = min(LONGEST_PAUSE_S, 1.5 * pause_s)

    def _count(self, answer: LogAnswer, statistics: Mapping[str, Any]) -> None:
        before = answer.bytes_scanned
        answer.bytes_scanned = max(before, float(statistics.get("bytesScanned") or 0.0))
        answer.records_scanned = max(answer.records_scanned, float(statistics.get("recordsScanned") or 0.0))
        self.bytes_scanned += answer.bytes_scanned - before

    def _ask(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Return AWS's answer. Raises _LaterError where asking again may help, else PowertuneError."""
        try:
            answer: dict[str, Any] = getattr(self._aws.log_queries, operation)(**parameters)
        except ClientError as error:
            if is_busy(error) or error_code(error) in _PASSING_CODES:
                raise _LaterError(error) from error
            if error_code(error) == "MalformedQueryException":
                raise AwsError(
                    f"Logs Insights does not take the query: {error_message(error)}",
                    hint="choose --since and --until within the time that the log groups keep their events",
                ) from error
            raise explained(error, _DOING) from error
        except BotoCoreError as error:
            # A start whose answer was lost may have taken place: its query then runs, and is billed, beside the next.
            if is_unreachable(error):
                raise _LaterError(error) from error
            raise explained(error, _DOING) from error
        return answer

    def _stop(self) -> None:
        for query_id in list(self._running):
            self._stop_one(query_id)
        self._running.clear()

    def _stop_one(self, query_id: str) -> None:
        with suppress(ClientError, BotoCoreError):  # it may have ended by itself
            self._aws.log_queries.stop_query(queryId=query_id)


def _unanswered(status: str) -> PowertuneError:
    if status == "Timeout":
        return AwsError(
            "Logs Insights gave up on a query after 60 minutes",
            hint="ask for less: a later --since, or fewer log groups",
        )
    if status == "Cancelled":
        return AwsError("a query was cancelled by somebody else", hint="run it again")
    if status == "Failed":
        return AwsError("a query failed in Logs Insights", hint="run it again, with a later --since if it fails again")
    return AwsError(f"Logs Insights does not know what became of a query (status {status})", hint="run it again")
