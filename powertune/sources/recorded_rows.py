"""Tables of recorded durations: CSV and JSON rows, their columns found by the names that people use."""

import csv
import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from powertune import text
from powertune.aws_lambda.memory import MAX_MEMORY_MB, MAX_TIMEOUT_S, MIN_MEMORY_MB
from powertune.errors import BadInputError
from powertune.model.invocation import Aggregate, Invocation, Status
from powertune.model.size_profile import Basis

_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d+$)")
_UNIT = re.compile(r"\s*(?:ms|MB)$")
_MOST_INVOCATIONS = 10**15
_LONGEST_MS = MAX_TIMEOUT_S * 1000 * 1.1
"""Timeouts are logged a little late; anything longer is in another unit."""

FORMS = (
    "powertune reads CSV with memory_mb and duration_ms, JSON lines with the same names, REPORT logs (text or JSON)"
    " and its own saved runs"
)

# What columns are called in files that people have, in lower case without marks. The first found counts.
_COLUMNS: dict[str, tuple[str, ...]] = {
    "memory": ("memorymb", "memorysizemb", "memorysize", "memory", "power", "mb", "size"),
    "duration": (
        "durationms",
        "meanms",
        "meandurationms",
        "avgms",
        "averageduration",
        "meanduration",
        "duration",
        "ms",
    ),
    "billed": ("billedms", "billeddurationms", "billedduration"),
    "init": ("initms", "initdurationms", "initduration"),
    "used": ("maxmemoryusedmb", "maxmemoryused"),
    "count": ("n", "count", "invocations", "warm"),
    "stddev": ("stddevms", "stddev", "stdms", "std"),
    "p50": ("p50ms", "p50", "medianms", "median"),
    "p95": ("p95ms", "p95"),
    "p99": ("p99ms", "p99"),
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

_ARCHITECTURE_WORDS = {"x86": "x86_64", "amd64": "x86_64", "x86_64": "x86_64", "arm": "arm64", "aarch64": "arm64"}
_COLD_WORDS = frozenset({"cold", "true", "1", "yes"})
_STATUS_WORDS: dict[str, Status] = {
    "": "ok", "ok": "ok", "success": "ok", "timeout": "timed-out", "timed-out": "timed-out",
    "out-of-memory": "out-of-memory", "throttled": "throttled",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Origin:
    """What a record says about the function it belongs to."""

    function: str | None = None
    architecture: str | None = None
    region: str | None = None
    runtime: str | None = None


NO_ORIGIN = Origin()


@dataclass(slots=True)
class Recording:
    """What a file holds."""

    records: list[tuple[Origin, Invocation | Aggregate]] = field(default_factory=list)
    damaged: int = 0
    """Log records that start well but do not hold their figures."""
    invalid_rows: list[str] = field(default_factory=list)
    """Rows that were left out on request, with the reason."""
    basis: Basis = "measured"
    calibrated: bool = True
    """False for a saved dry run without an anchor."""
    current_memory_mb: int | None = None
    """As a saved run has it."""
    whole_ms: bool = False
    """Whether the runs were recorded without fractions of a millisecond."""


class InvalidRowError(ValueError):
    """A row of a table that cannot be a measurement; the text says why."""


Row = Mapping[str, object]


def _plain(column: str) -> str:
    return "".join(char for char in column.lower() if char.isalnum())


def _find_columns(names: Iterable[str]) -> dict[str, str]:
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


def has_figures(names: Iterable[str]) -> bool:
    """Tell whether columns of these names are enough for a table of durations."""
    return {"memory", "duration"} <= _find_columns(names).keys()


def missing_columns(names: list[str]) -> str | None:
    """Return what a CSV header lacks, or None if it does not look like one."""
    if len(names) < 2 or any(len(name) > 60 for name in names):  # noqa: PLR2004 - prose, not columns
        return None
    found = _find_columns(names)
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


def csv_rows(lines: Iterator[str], delimiter: str, header_line: int) -> Iterator[tuple[int, Row | InvalidRowError]]:
    """Yield line number and row of a CSV table whose header is on line `header_line`."""
    header = header_of(list(itertools.islice(lines, header_line))[-1], delimiter)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield header_line + reader.line_num, InvalidRowError(text.printable(error, limit=80))
            continue
        if any(cell.strip() for cell in cells):
            # Where commas do not part columns they part decimals, as spreadsheets of half the world write them.
            texts = (cell.strip() if delimiter == "," else _DECIMAL_COMMA.sub(".", cell.strip()) for cell in cells)
            row = dict(zip(header, texts, strict=False))
            yield header_line + reader.line_num, row


def json_rows(lines: Iterable[str]) -> Iterator[tuple[int, Row | InvalidRowError]]:
    """Yield line number and row of JSON lines."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            row = json_or_none(line)
            yield number, row if isinstance(row, dict) else InvalidRowError("is no JSON object")


def read_rows(
    rows: Iterable[tuple[int, Row | InvalidRowError]], shown: str, *, skip_invalid: bool, unit: str = "line"
) -> Recording:
    """Return the records of a table from line numbers and rows. `shown` names the file, `unit` what is numbered.

    Raises BadInputError for the first invalid row, unless `skip_invalid` is set, and where there is no valid one.
    """
    recording = Recording()
    for number, row in rows:
        try:
            if isinstance(row, InvalidRowError):
                raise row
            basis = str(row.get("basis") or "measured")
            if basis in ("interpolated", "extrapolated"):  # powertune's own CSV has such sizes; nothing ran there
                continue
            if basis == "scaled":
                recording.basis, recording.calibrated = "scaled", False
            recording.records.append(_read_row(row))
        except InvalidRowError as error:
            problem = f"{shown}, {unit} {number}: {error}"
            if not skip_invalid:
                raise BadInputError(
                    problem, hint="mend or remove that row, or leave such rows out with --skip-invalid"
                ) from None
            recording.invalid_rows.append(problem)
    if not recording.records:
        found = recording.invalid_rows
        what = f"has only invalid rows; the first: {found[0]}" if found else "has no rows"
        raise BadInputError(f"{shown} {what}", hint=FORMS)
    return _billed_up(recording)


def _billed_up(recording: Recording) -> Recording:
    """Add what was billed to runs that were recorded in whole milliseconds.

    Lambda's clock is finer, so whole milliseconds throughout have lost their fractions, and billing rounds those up.
    """
    runs = [record for _, record in recording.records if isinstance(record, Invocation)]
    if any(run.billed_ms is not None or not run.duration_ms.is_integer() for run in runs):
        return recording
    recording.records = [
        (origin, replace(record, billed_ms=record.duration_ms + 1))
        if isinstance(record, Invocation) and not record.cold
        else (origin, record)
        for origin, record in recording.records
    ]
    recording.whole_ms = bool(runs)
    return recording


def _read_row(row: Row) -> tuple[Origin, Invocation | Aggregate]:
    columns = _find_columns(row)
    cells = {meaning: row[name] for meaning, name in columns.items() if row[name] not in (None, "")}
    taken = set(columns.values())
    extra = {name: str(value) for name, value in row.items() if name not in taken and value not in (None, "")}
    summary = any(name in cells for name in _SUMMARY_COLUMNS) or _is_mean(columns.get("duration", ""))
    if summary and _status(cells) == "ok":
        return _read_origin(cells), _read_aggregate(cells, extra)
    return _read_origin(cells), _read_invocation(cells, extra)


def _is_mean(column: str) -> bool:
    return column.lower().startswith(("mean", "avg", "average"))


def _read_origin(cells: Row) -> Origin:
    architecture = _text(cells.get("architecture"))
    return Origin(
        _text(cells.get("function")),
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
        max_memory_used_mb=_optional(cells, "used"),
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
        max_memory_used_mb=_optional(cells, "used"),
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
    memory_mb = _number(cells["memory"], "memory size")
    if not memory_mb.is_integer() or not MIN_MEMORY_MB <= memory_mb <= MAX_MEMORY_MB:
        raise InvalidRowError(f"{_shown(cells['memory'])} is no memory size from {MIN_MEMORY_MB} to {MAX_MEMORY_MB} MB")
    return int(memory_mb)


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
        number = float(_UNIT.sub("", value) if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidRowError(f"the {what} {_shown(value)} is no number") from None
    if not math.isfinite(number):
        raise InvalidRowError(f"the {what} {_shown(value)} is no finite number")
    return number


def _shown(value: object) -> str:
    return repr(text.printable(value, limit=30)) if isinstance(value, str) else text.printable(value, limit=30)


def json_or_none(line: str) -> Any:
    """Return the JSON value of a text, or None where it is none."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
