"""Tables of recorded durations: CSV and JSON rows, their columns found by the names that people use."""

import csv
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from powertune import text
from powertune.aws_lambda.memory import MAX_MEMORY_MB, MAX_TIMEOUT_S, MIN_MEMORY_MB
from powertune.model.invocation import Aggregate, Invocation, Status
from powertune.sources.log_group import function_of_log_group
from powertune.sources.log_prefix import read_time
from powertune.sources.recording import Origin

_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d+$)")
_UNIT = re.compile(r"\s*(?:ms|MB)$")
_FIGURE = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_MOST_INVOCATIONS = 10**15
_LONGEST_MS = MAX_TIMEOUT_S * 1000 * 1.1
"""Timeouts are logged a little late; anything longer is in another unit."""
_BYTES_PER_MB = (1_000_000, 1 << 20)
"""Logs Insights gives memory in bytes, of which a MB has 10^6. No size from 128 to 10,240 MB is a whole one of both."""
_LONGEST_ROW = 1_000_000

# What columns are called in files that people have, in lower case without marks. The first found counts.
_COLUMNS: dict[str, tuple[str, ...]] = {
    "memory": ("memorymb", "memorysizemb", "memorysize", "memorysize1000000", "memory", "power", "mb", "size"),
    "duration": (
        "durationms",
        "meanms",
        "meandurationms",
        "avgdurationms",
        "avgms",
        "avgduration",
        "averageduration",
        "meanduration",
        "duration",
        "mean",
        "avg",
        "ms",
    ),
    "billed": ("billedms", "billeddurationms", "billedduration"),
    "init": ("initms", "initdurationms", "initduration"),
    "used": ("maxmemoryusedmb", "maxmemoryused", "maxmaxmemoryused", "maxmaxmemoryused1000000", "maxmb"),
    "count": ("n", "count", "invocations", "warm"),
    "stddev": ("stddevms", "stddev", "stdms", "std", "sd", "stddevduration"),
    "p50": ("p50ms", "p50", "medianms", "median", "pctduration50"),
    "p95": ("p95ms", "p95", "pctduration95"),
    "p99": ("p99ms", "p99", "pctduration99"),
    "kind": ("kind", "cold"),
    "status": ("status",),
    "error": ("error", "errortype"),
    "request_id": ("requestid",),
    "function": ("function", "functionname"),
    "architecture": ("arch", "architecture"),
    "region": ("region", "awsregion"),
    "runtime": ("runtime",),
}
_SUMMARY_COLUMNS = ("count", "stddev", "p50", "p95", "p99")
_CLEAR_NAMES = {
    "memory": {"memorymb", "memorysizemb"},
    "duration": {"durationms", "meanms", "meandurationms", "avgdurationms"},
}
"""Names that no other program's log line has by chance; nor has it what was billed beside a memory size."""
_TIME_COLUMNS = ("timestamp", "timestampms", "time", "endtime", "loggedat")

_ARCHITECTURE_WORDS = {"x86": "x86_64", "amd64": "x86_64", "x86_64": "x86_64", "arm": "arm64", "aarch64": "arm64"}
_COLD_WORDS = frozenset({"cold", "true", "1", "yes"})
_STATUS_WORDS: dict[str, Status] = {
    "": "ok", "ok": "ok", "success": "ok", "timeout": "timed-out", "timed-out": "timed-out",
    "out-of-memory": "out-of-memory", "throttled": "throttled",
}  # fmt: skip


class InvalidRowError(ValueError):
    """A row of a table that cannot be a measurement; the text says why."""


Row = Mapping[str, object]


def _plain(column: str) -> str:
    return "".join(char for char in column.lower() if char.isalnum())


@lru_cache(maxsize=256)
def _find_columns(names: tuple[str, ...]) -> Mapping[str, str]:
    """Return for each meaning that powertune knows the column that has it: the first of the spellings found."""
    by_plain_name: dict[str, str] = {}
    for name in names:
        by_plain_name.setdefault(_plain(name), name)
    found = {}
    for meaning, spellings in _COLUMNS.items():
        spelling = next((spelling for spelling in spellings if spelling in by_plain_name), None)
        if spelling is not None:
            found[meaning] = by_plain_name[spelling]
    if found.get("count") and found.get("kind", "").lower() == "cold":
        del found["kind"]  # beside a count of warm runs it is one of cold ones, as in powertune's own CSV
    return found


def has_figures(names: Iterable[str], *, clearly: bool = False) -> bool:
    """Tell whether columns of these names are enough for a table of durations.

    `clearly` demands names that say so by themselves: with a unit, those of Logs Insights, or with what was billed.
    """
    found = _find_columns(tuple(names))
    if not {"memory", "duration"} <= found.keys():
        return False
    return (
        not clearly
        or "billed" in found
        or all(
            _plain(found[meaning]) in clear or found[meaning].startswith("@") for meaning, clear in _CLEAR_NAMES.items()
        )
    )


def is_row(names: Iterable[str]) -> bool:
    """Tell whether an object with these names is meant as a row, if only a part of one."""
    found = _find_columns(tuple(names))
    return "memory" in found or _plain(found.get("duration", "")) in _CLEAR_NAMES["duration"]


def missing_columns(names: list[str]) -> str | None:
    """Return what a CSV header lacks, or None if it does not look like one."""
    if len(names) < 2 or any(len(name) > 60 for name in names):  # noqa: PLR2004 - prose, not columns
        return None
    found = _find_columns(tuple(names))
    missing = [
        label for meaning, label in (("memory", "memory_mb"), ("duration", "duration_ms")) if meaning not in found
    ]
    has = ", ".join(text.printable(name, limit=30) for name in names[:6])
    return f"has no column {' and no column '.join(missing)}; it has: {has}"


def header_of(line: str, delimiter: str) -> list[str]:
    """Return the columns of a CSV header; none where the line cannot be one."""
    try:
        return [name.strip() for name in next(csv.reader([line], delimiter=delimiter))]
    except csv.Error:  # a field beyond all measure
        return []


class TableReader:
    """Takes a CSV table line by line, from the line behind its header on."""

    def __init__(self, header: str, delimiter: str) -> None:
        self.names = header_of(header, delimiter)
        self._delimiter = delimiter
        self._pending = ""
        self._first_number = 0

    @property
    def is_open(self) -> bool:
        """Whether a cell in quotes goes on in the next line."""
        return bool(self._pending)

    def feed(self, line: str, number: int) -> Iterator[tuple[int, Row | InvalidRowError]]:
        """Read a line, and yield the row that ended with it and its line number."""
        if not self._pending:
            self._first_number = number
        self._pending += line
        if self._pending.count('"') % 2 and len(self._pending) < _LONGEST_ROW:
            return
        yield from self.close()

    def close(self) -> Iterator[tuple[int, Row | InvalidRowError]]:
        """Yield the row that was waiting for its end."""
        record, self._pending = self._pending, ""
        if not record.strip():
            return
        if '"' in record:
            try:
                [cells] = csv.reader(record.splitlines(keepends=True), delimiter=self._delimiter, strict=True)
            except (csv.Error, ValueError) as error:
                yield self._first_number, InvalidRowError(text.printable(error, limit=80))
                return
        else:
            cells = record.split(self._delimiter)
        cells = [cell.strip() for cell in cells]
        if any(cells):
            if self._delimiter != ",":
                # Where commas do not part columns they part decimals, as spreadsheets of half the world write them.
                cells = [_DECIMAL_COMMA.sub(".", cell) for cell in cells]
            yield self._first_number, dict(zip(self.names, cells, strict=False))


def delimiter_of(line: str) -> str:
    """Return what parts the columns of a CSV header."""
    return max((",", ";", "\t"), key=line.count)


def read_row(row: Row) -> tuple[Origin, Invocation | Aggregate, int | None]:
    """Return what a row says: of which function, the run or the summary of runs, and when it was, in ms of Unix time.

    Raises InvalidRowError.
    """
    columns = _find_columns(tuple(row))
    cells = {meaning: row[name] for meaning, name in columns.items() if row[name] not in (None, "")}
    taken = set(columns.values())
    extra = {name: str(value) for name, value in row.items() if name not in taken and value not in (None, "")}
    summary = any(name in cells for name in _SUMMARY_COLUMNS) or _is_mean(columns.get("duration", ""))
    if summary and _status(cells) == "ok":
        return _read_origin(cells, row), _read_aggregate(cells, extra), _read_time(row)
    return _read_origin(cells, row), _read_invocation(cells, extra), _read_time(row)


def is_blank(row: Row) -> bool:
    """Tell whether neither memory nor duration is there: a row of a query over events of every kind."""
    columns = _find_columns(tuple(row))
    return all(row.get(columns.get(meaning, "")) in (None, "") for meaning in ("memory", "duration"))


@lru_cache(maxsize=256)
def _time_column(names: tuple[str, ...]) -> str | None:
    return next((name for name in names if _plain(name) in _TIME_COLUMNS), None)


def _read_time(row: Row) -> int | None:
    value = row.get(_time_column(tuple(row)) or "")
    return read_time(str(value)[:40]) if isinstance(value, str | int) and value != "" else None


def _is_mean(column: str) -> bool:
    return column.lower().startswith(("mean", "avg", "average"))


def _read_origin(cells: Row, row: Row) -> Origin:
    architecture = _text(cells.get("architecture"))
    return Origin(
        _text(cells.get("function")) or function_of_log_group(_text(row.get("@log"))),
        _ARCHITECTURE_WORDS.get((architecture or "").lower(), architecture),
        _text(cells.get("region")),
        _text(cells.get("runtime")),
    )


def _read_aggregate(cells: Row, extra: Mapping[str, str]) -> Aggregate:
    return Aggregate(
        _memory(cells),
        _milliseconds(cells, "duration"),
        count=_count(cells),
        stddev_ms=_optional(cells, "stddev"),
        p50_ms=_optional(cells, "p50"),
        p95_ms=_optional(cells, "p95"),
        p99_ms=_optional(cells, "p99"),
        init_ms=_optional(cells, "init"),
        max_memory_used_mb=_used(cells),
        cold=str(cells.get("kind", "")).lower() in _COLD_WORDS,
        extra=extra,
    )


def _read_invocation(cells: Row, extra: Mapping[str, str]) -> Invocation:
    status = _status(cells)
    init_ms = _optional(cells, "init")
    kind = str(cells.get("kind", "")).lower()
    return Invocation(
        _memory(cells),
        0.0 if status != "ok" and "duration" not in cells else _milliseconds(cells, "duration"),
        billed_ms=_optional(cells, "billed"),
        init_ms=init_ms,
        max_memory_used_mb=_used(cells),
        cold=kind in _COLD_WORDS if kind else bool(init_ms),
        request_id=_text(cells.get("request_id")),
        error=_text(cells.get("error")),
        status=status,
        extra=extra,
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _status(cells: Row) -> Status:
    word = str(cells.get("status", "")).lower()
    if word in ("", "ok", "success") and "error" in cells:
        return "failed"
    return _STATUS_WORDS.get(word, "failed")


def _memory(cells: Row) -> int:
    if "memory" not in cells:
        raise InvalidRowError("has no memory size")
    memory_mb = _in_mb(_number(cells["memory"], "memory size"))
    if not memory_mb.is_integer() or not MIN_MEMORY_MB <= memory_mb <= MAX_MEMORY_MB:
        raise InvalidRowError(f"{_shown(cells['memory'])} is no memory size from {MIN_MEMORY_MB} to {MAX_MEMORY_MB} MB")
    return int(memory_mb)


def _used(cells: Row) -> float | None:
    if "used" not in cells:
        return None
    used_mb = _number(cells["used"], "memory used")
    if used_mb > _BYTES_PER_MB[0]:
        used_mb /= next((size for size in _BYTES_PER_MB if (used_mb / size).is_integer()), _BYTES_PER_MB[0])
    if not 0 <= used_mb <= _LONGEST_MS:
        raise InvalidRowError(f"{_shown(cells['used'])} is no amount of memory in MB")
    return used_mb


def _in_mb(memory: float) -> float:
    """Return a memory size in MB, which may be given in bytes."""
    in_mb = (memory / size for size in _BYTES_PER_MB if memory >= size * MIN_MEMORY_MB)
    return next((size_mb for size_mb in in_mb if size_mb.is_integer()), memory)


def _count(cells: Row) -> int:
    number = _number(cells.get("count", 1), "number of invocations")
    if not 1 <= number <= _MOST_INVOCATIONS or not number.is_integer():
        raise InvalidRowError(f"{_shown(cells['count'])} is no number of invocations")
    return int(number)


def _milliseconds(cells: Row, meaning: str) -> float:
    if meaning not in cells:
        raise InvalidRowError(f"has no {meaning}")
    value = _number(cells[meaning], meaning)
    if value < 0:
        raise InvalidRowError(f"the {meaning} {_shown(cells[meaning])} is below 0")
    if value > _LONGEST_MS:
        raise InvalidRowError(
            f"the {meaning} {_shown(cells[meaning])} ms is longer than Lambda's {MAX_TIMEOUT_S} s;"
            " is it in milliseconds?"
        )
    return value


def _optional(cells: Row, meaning: str) -> float | None:
    return _milliseconds(cells, meaning) if meaning in cells else None


def _number(value: object, what: str) -> float:
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise TypeError  # noqa: TRY301 - one complaint for all
        number = float(_plain_number(value) if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidRowError(f"the {what} {_shown(value)} is no number") from None
    if not math.isfinite(number):
        raise InvalidRowError(f"the {what} {_shown(value)} is no finite number")
    return number


def _plain_number(written: str) -> str:
    """Return a number as it is written, without its unit. Raises ValueError for what only Python takes for one."""
    number = _UNIT.sub("", written).strip()
    if _FIGURE.fullmatch(number) is None:
        raise ValueError(number)
    return number


def _shown(value: object) -> str:
    return repr(text.printable(value, limit=30)) if isinstance(value, str) else text.printable(value, limit=30)
