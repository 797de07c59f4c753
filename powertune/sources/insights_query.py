"""What powertune asks CloudWatch Logs Insights, and what its answers say: query text, time windows, result rows. Pure.

Sources: query syntax, discovered fields and log classes in the CloudWatch Logs User Guide, StartQuery and
GetQueryResults in its API reference, and names of log streams in the Lambda Developer Guide, all read 2026-11-25.
Discovered fields give memory in bytes of 10^6 to the MB (`1.28E8` for 128 MB), as seen in public records.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from powertune.aws_lambda.memory import MAX_MEMORY_MB, MIN_MEMORY_MB
from powertune.errors import UsageError
from powertune.model.invocation import Status
from powertune.text import printable

MOST_GROUPS = 50
"""Log groups that one query may go over (StartQuery)."""

PERCENTILES = (0, 5, 25, 50, 75, 90, 95, 99, 100)
"""What is asked of durations, 0 for the shortest and 100 for the longest: enough to pool several distributions."""

_BYTES_PER_MB = 1_000_000
_LARGEST_FIGURE = 1e9
"""In ms or MB: no function runs for eleven days or has a petabyte of memory."""
_MOST_RUNS = 10**15

# Log groups of the class Standard have the figures as fields already: `@...` for text, the JSON's own names for JSON.
_DISCOVERED_FIGURES = r"""
filter @type = "REPORT" or type = "platform.report"
| parse @message /\sRestore Duration: (?<textRestoreMs>[0-9.]+)/
| parse @message /\sBilled Restore Duration: (?<textBilledRestoreMs>[0-9.]+)/
| parse @message /\sStatus: (?<textStatus>[a-z]+)/
| parse @message /\sError Type: (?<textError>[^\s]+)/
| fields coalesce(@duration, record.metrics.durationMs) as durationMs,
    coalesce(@billedDuration, record.metrics.billedDurationMs) as billedMs,
    coalesce(@initDuration, record.metrics.initDurationMs) as initMs,
    coalesce(textRestoreMs, record.metrics.restoreDurationMs) as restoreMs,
    coalesce(textBilledRestoreMs, record.metrics.billedRestoreDurationMs) as billedRestoreMs,
    coalesce(@memorySize, record.metrics.memorySizeMB) as memory,
    coalesce(@maxMemoryUsed, record.metrics.maxMemoryUsedMB) as memoryUsed,
    coalesce(textStatus, record.status) as status,
    coalesce(textError, record.errorType) as errorType
"""
# In those of the class Infrequent Access nothing is discovered: the same figures are read off the records themselves.
_PARSED_FIGURES = r"""
filter @message like /^REPORT RequestId: / or @message like /"type": ?"platform.report"/
| parse @message /(?:RequestId: [^\s]+\s+Duration: |"durationMs": ?)(?<durationMs>[0-9.]+)/
| parse @message /(?:\sBilled Duration: |"billedDurationMs": ?)(?<billedMs>[0-9.]+)/
| parse @message /(?:\sInit Duration: |"initDurationMs": ?)(?<initMs>[0-9.]+)/
| parse @message /(?:\sRestore Duration: |"restoreDurationMs": ?)(?<restoreMs>[0-9.]+)/
| parse @message /(?:\sBilled Restore Duration: |"billedRestoreDurationMs": ?)(?<billedRestoreMs>[0-9.]+)/
| parse @message /(?:\sMemory Size: |"memorySizeMB": ?)(?<memory>[0-9]+)/
| parse @message /(?:\sMax Memory Used: |"maxMemoryUsedMB": ?)(?<memoryUsed>[0-9]+)/
| parse @message /(?:\sStatus: |"status": ?")(?<status>[a-z]+)/
| parse @message /(?:\sError Type: |"errorType": ?")(?<errorType>[^\s"]+)/
"""
# Extremes are percentiles, which are numbers: max and min would compare what was parsed as text.
# A restore from a snapshot is a cold start whose billed part stands as init, as everywhere in powertune. Streams of
# log groups that functions share begin with the date and the function's name, those of its own group lack the name.
_GROUPS = r"""
| parse @logStream /^[0-9]+\/[0-9]+\/[0-9]+\/(?<streamFunction>[^\[\]\/]+)\[/
| fields coalesce(initMs, restoreMs) as startMs, coalesce(initMs, billedRestoreMs) as billedStartMs
| stats count(*) as runs, avg(durationMs) as meanMs, stddev(durationMs) as stddevMs,
    {percentiles},
    avg(billedMs) as meanBilledMs, avg(billedStartMs) as meanInitMs, pct(memoryUsed, 100) as mostMemoryUsed
  by @log, streamFunction, memory, bin(7d) as week, ispresent(startMs) as cold, status, errorType
"""

_MOMENT = re.compile(r"(?P<count>[0-9]{1,6})(?P<unit>[mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_FORMS = "give 90m, 12h, 14d or 2w ago, or a date such as 2026-11-01 or 2026-11-01T09:30Z (UTC without a zone)"


def query_text(*, discovered: bool = True) -> str:
    """Return the query: durations of all runs by function, memory size, week, cold or warm, and how they ended.

    `discovered` is for log groups of the class Standard; without it for Infrequent Access, where the service discovers
    no fields. Weeks are bins of seven days from 1970-01-01 on, which begin on Thursdays at 00:00 UTC.
    """
    percentiles = ", ".join(f"pct(durationMs, {rank}) as p{rank}" for rank in PERCENTILES)
    figures = _DISCOVERED_FIGURES if discovered else _PARSED_FIGURES
    return figures.strip() + _GROUPS.replace("{percentiles}", percentiles).rstrip()


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when, in whole seconds since the epoch, both included."""

    since: int
    until: int

    @property
    def in_words(self) -> str:
        """Both ends in UTC, to the minute."""
        return f"{_utc(self.since)} to {_utc(self.until)} UTC"


def parse_window(since: str, until: str | None, now: datetime) -> Window:
    """Return the window that `--since` and `--until` mean at `now`. Raises UsageError."""
    first = _moment(since, "--since", now)
    last = now if until is None else _moment(until, "--until", now)
    if first >= last:
        raise UsageError(
            f"--since {printable(since, limit=40)} is not before {'now' if until is None else '--until'}", hint=_FORMS
        )
    return Window(int(first.timestamp()), int(last.timestamp()))


def _moment(written: str, option: str, now: datetime) -> datetime:
    try:
        if matched := _MOMENT.fullmatch(written):
            return now - timedelta(**{_UNITS[matched["unit"]]: int(matched["count"])})
        moment = datetime.fromisoformat(written)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if moment.timestamp() >= 0:
            return moment
    except (ValueError, OverflowError):
        pass
    raise UsageError(f"{option} {printable(written, limit=40)!r} is no time", hint=_FORMS)


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


@dataclass(frozen=True, slots=True)
class Row:
    """Runs of one function that have memory size, week, start and end in common. Durations in ms, memory in MB."""

    log_group: str
    function: str
    """As the log stream names it, else the log group; the group's own name where that is not one function's."""
    memory_mb: int
    week: str
    """Its first day, `2026-11-19`; empty where the answer does not say."""
    cold: bool
    status: Status
    error: str | None
    runs: int
    mean_ms: float
    stddev_ms: float | None = None
    ranks: Mapping[int, float] | None = None
    """Durations by percentile, 0 for the shortest and 100 for the longest; None unless all are known."""
    billed_ms: float | None = None
    """Mean; holds init in a cold start."""
    init_ms: float | None = None
    max_memory_used_mb: float | None = None


class DamagedRowError(ValueError):
    """A row without the figures that were asked for, or with some that no function can have."""


def read_rows(results: Iterable[Sequence[Mapping[str, str]]]) -> tuple[list[Row], int]:
    """Return the rows of an answer as GetQueryResults gives it, and how many could not be read: none is guessed."""
    rows, damaged = [], 0
    for result in results:
        try:
            rows.append(_row({str(item.get("field")): str(item.get("value", "")) for item in result}))
        except DamagedRowError:
            damaged += 1
    return rows, damaged


def _row(values: Mapping[str, str]) -> Row:
    def figure(name: str) -> float | None:
        written = values.get(name, "")
        return _figure(written) if written else None

    def needed(name: str) -> float:
        value = figure(name)
        if value is None:
            raise DamagedRowError(name)
        return value

    runs = needed("runs")
    if not 1 <= runs <= _MOST_RUNS or runs != int(runs):
        raise DamagedRowError("runs")
    memory_mb = _megabytes(needed("memory"))
    if not MIN_MEMORY_MB <= memory_mb <= MAX_MEMORY_MB or memory_mb != int(memory_mb):
        raise DamagedRowError("memory")
    ranks = {rank: figure(f"p{rank}") for rank in PERCENTILES}
    known = {rank: value for rank, value in ranks.items() if value is not None}
    _, _, log_group = values.get("@log", "").partition(":")  # before it stands the account
    if not log_group:
        raise DamagedRowError("@log")
    used = figure("mostMemoryUsed")
    used_mb = None if used is None else _megabytes(used)
    status, error = _ending(values.get("status", ""), values.get("errorType", ""), used_mb, memory_mb)
    return Row(
        log_group=log_group,
        function=values.get("streamFunction") or function_of(log_group) or log_group,
        memory_mb=int(memory_mb),
        week=values.get("week", "")[:10],
        cold=values.get("cold", "").lower() in ("1", "true"),
        status=status,
        error=error,
        runs=int(runs),
        mean_ms=_bounded(needed("meanMs")),
        stddev_ms=figure("stddevMs") if runs > 1 else None,
        ranks=known if len(known) == len(ranks) and list(known.values()) == sorted(known.values()) else None,
        billed_ms=figure("meanBilledMs"),
        init_ms=figure("meanInitMs"),
        max_memory_used_mb=used_mb,
    )


def function_of(log_group: str) -> str | None:
    """Return the function whose own log group this is, by its name; None for any other group."""
    prefix, _, name = log_group.partition("/aws/lambda/")
    return name if name and not prefix else None


def _figure(written: str) -> float:
    try:
        value = float(written)
    except ValueError:
        raise DamagedRowError(written[:40]) from None
    if not math.isfinite(value) or value < 0:
        raise DamagedRowError(written[:40])
    return value


def _bounded(value: float) -> float:
    if value > _LARGEST_FIGURE:
        raise DamagedRowError(f"{value:g}")
    return value


def _megabytes(value: float) -> float:
    """Return an amount of memory in MB: discovered fields have it in bytes, records in MB."""
    return _bounded(value / _BYTES_PER_MB if value >= _BYTES_PER_MB else value)


def _ending(status: str, error: str, used_mb: float | None, memory_mb: float) -> tuple[Status, str | None]:
    """Return how runs ended, and the error. A text record without a status is that of a success."""
    if status in ("", "success"):
        return "ok", None
    if status == "timeout":
        return "timed-out", error or status
    # The kernel's kill shows as a plain exit, with memory used up to the last MB.
    killed_at_limit = error == "Runtime.ExitError" and used_mb is not None and used_mb >= memory_mb
    return "out-of-memory" if error == "Runtime.OutOfMemory" or killed_at_limit else "failed", error or status
