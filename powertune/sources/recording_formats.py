"""Recorded durations in every format that powertune reads, told apart by content: CSV, JSON lines, logs, saved runs."""

import csv
import gzip
import io
import itertools
import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import IO, Any, cast

from powertune import text
from powertune.aws_lambda.memory import MAX_MEMORY_MB, MAX_TIMEOUT_S, MIN_MEMORY_MB
from powertune.aws_lambda.report_record import DamagedRecordError, iter_reports
from powertune.errors import BadInputError
from powertune.model.invocation import Aggregate, Invocation, Status
from powertune.model.run_file import RunFileError, from_dict
from powertune.model.size_profile import Basis, Distribution, SizeProfile
from powertune.model.tuning_run import TuningRun

_LONGEST_LINE = 1_000_000
_SNIFF_BYTES = 65_536
_LONGEST_MS = MAX_TIMEOUT_S * 1000 * 1.1
"""Timeouts are logged a little late; anything longer is in another unit."""

_FORMS = (
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
    "count": ("n", "count", "invocations"),
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
_OF_SUMMARIES = ("mean", "avg", "average")

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
    whole_ms: bool = False
    """Whether the runs were recorded without fractions of a millisecond."""


class InvalidRowError(ValueError):
    """A row of a table that cannot be a measurement; the text says why."""


def read_recording(stream: "io.BufferedReader[Any]", name: str, *, skip_invalid: bool = False) -> Recording:
    """Return what a file holds, whatever its format; gzip is unpacked. `name` is for messages.

    Raises BadInputError where nothing can be made of it, or a row is invalid and `skip_invalid` is not set.
    """
    shown = text.printable(name, limit=80)
    try:
        return _read(_as_text(stream, shown), shown, skip_invalid=skip_invalid)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise BadInputError(
            f"{shown} is compressed and damaged: {text.printable(error, limit=80)}", hint="compress or copy it again"
        ) from error


def _as_text(stream: "io.BufferedReader[Any]", shown: str) -> io.TextIOWrapper:
    """Return the file as text: unpacked, and in the encoding that its first bytes tell."""
    if stream.peek(_SNIFF_BYTES).startswith(b"\x1f\x8b"):
        # A gzip stream is a reader that decompresses as it goes; the buffer gives it `peek`.
        stream = io.BufferedReader(cast("io.RawIOBase", gzip.GzipFile(fileobj=stream)), _SNIFF_BYTES)
    head = stream.peek(_SNIFF_BYTES)[:_SNIFF_BYTES]
    encoding = "utf-8-sig"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):  # what PowerShell writes when output is redirected
        encoding = "utf-16"
    elif b"\0" in head:
        raise BadInputError(f"{shown} is a binary file", hint=_FORMS)
    # Logs may hold anything, so bytes that are no text stay visible as such instead of ending the run.
    return io.TextIOWrapper(stream, encoding=encoding, errors="backslashreplace", newline=None)


def _lines(stream: IO[str]) -> Iterator[str]:
    """Yield lines, cutting those that would not fit into memory."""
    return iter(lambda: stream.readline(_LONGEST_LINE), "")


def _read(stream: IO[str], shown: str, *, skip_invalid: bool) -> Recording:
    lines = _lines(stream)
    head = list(itertools.islice((line for line in lines if line.strip()), 2))
    if not head:
        raise BadInputError(f"{shown} is empty", hint=_FORMS)
    rest = itertools.chain(head, lines)
    first = _json_or_none(head[0])
    if isinstance(first, list) or head[0].strip() == "[" or _starts_saved_run(head):
        return _read_document(rest, shown, skip_invalid=skip_invalid)
    if isinstance(first, dict) and _has_figures(first):
        return _read_rows(_json_rows(rest), shown, skip_invalid=skip_invalid)
    delimiter = max((",", ";", "\t"), key=head[0].count)
    names = [name.strip() for name in next(csv.reader([head[0]], delimiter=delimiter))]
    if _has_figures(names) and "REPORT RequestId:" not in head[0]:
        return _read_rows(_csv_rows(rest, delimiter), shown, skip_invalid=skip_invalid)
    recording = _read_log(rest)
    if recording.records:
        return recording
    if recording.damaged:
        what = f"holds {text.count(recording.damaged, 'REPORT record')}, none of them whole"
    else:
        what = _missing_columns(names) or "holds no REPORT record and is no table of durations"
    raise BadInputError(f"{shown} {what}", hint=_FORMS)


# --- tables: CSV and JSON lines ---

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
    return found


def _has_figures(names: Iterable[str]) -> bool:
    return {"memory", "duration"} <= _find_columns(names).keys()


def _missing_columns(names: list[str]) -> str | None:
    """Return what a CSV header lacks, or None if it does not look like one."""
    if len(names) < 2 or any(len(name) > 60 for name in names):  # noqa: PLR2004 - prose, not columns
        return None
    found = _find_columns(names)
    missing = [
        label for meaning, label in (("memory", "memory_mb"), ("duration", "duration_ms")) if meaning not in found
    ]
    has = ", ".join(text.printable(name, limit=30) for name in names[:6])
    return f"has no column {' and no column '.join(missing)}; it has: {has}"


def _csv_rows(lines: Iterable[str], delimiter: str) -> Iterator[tuple[int, Row | InvalidRowError]]:
    """Yield line number and row of a CSV table, its header being the first line."""
    reader = csv.reader(lines, delimiter=delimiter)
    header = [name.strip() for name in next(reader)]
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, InvalidRowError(text.printable(error, limit=80))
            continue
        if any(cell.strip() for cell in cells):
            yield reader.line_num, dict(zip(header, (cell.strip() for cell in cells), strict=False))


def _json_rows(lines: Iterable[str]) -> Iterator[tuple[int, Row | InvalidRowError]]:
    """Yield line number and row of JSON lines."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            row = _json_or_none(line)
            yield number, row if isinstance(row, dict) else InvalidRowError("is no JSON object")


def _read_rows(rows: Iterable[tuple[int, Row | InvalidRowError]], shown: str, *, skip_invalid: bool) -> Recording:
    recording = Recording()
    for number, row in rows:
        try:
            if isinstance(row, InvalidRowError):
                raise row
            recording.records.append(_read_row(row))
        except InvalidRowError as error:
            problem = f"{shown}, line {number}: {error}"
            if not skip_invalid:
                raise BadInputError(
                    problem, hint="mend or remove that row, or leave such rows out with --skip-invalid"
                ) from None
            recording.invalid_rows.append(problem)
    if not recording.records:
        what = (
            f"has only invalid rows; the first: {recording.invalid_rows[0]}"
            if recording.invalid_rows
            else "has no rows"
        )
        raise BadInputError(f"{shown} {what}", hint=_FORMS)
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
    architecture = _text(cells.get("architecture"))
    origin = Origin(
        _text(cells.get("function")),
        _ARCHITECTURE_WORDS.get((architecture or "").lower(), architecture),
        _text(cells.get("region")),
        _text(cells.get("runtime")),
    )
    memory_mb = _memory(cells)
    status = _status(cells)
    duration_ms = 0.0 if status != "ok" and "duration" not in cells else _milliseconds(cells, "duration")
    init_ms = _optional(cells, "init")
    kind = str(cells.get("kind", "")).lower()
    cold = kind in _COLD_WORDS if kind else bool(init_ms)
    if any(name in cells for name in _SUMMARY_COLUMNS) or columns.get("duration", "").lower().startswith(_OF_SUMMARIES):
        return origin, Aggregate(
            memory_mb,
            duration_ms,
            count=_count(cells),
            stddev_ms=_optional(cells, "stddev"),
            p50_ms=_optional(cells, "p50"),
            p95_ms=_optional(cells, "p95"),
            p99_ms=_optional(cells, "p99"),
            init_ms=init_ms,
            max_memory_used_mb=_optional(cells, "used"),
            cold=cold,
            extra=extra,
        )
    return origin, Invocation(
        memory_mb,
        duration_ms,
        billed_ms=_optional(cells, "billed"),
        init_ms=init_ms,
        max_memory_used_mb=_optional(cells, "used"),
        cold=cold,
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
    if number < 1 or not number.is_integer():
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
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidRowError(f"the {what} {_shown(value)} is no number") from None
    if not math.isfinite(number):
        raise InvalidRowError(f"the {what} {_shown(value)} is no finite number")
    return number


def _shown(value: object) -> str:
    return repr(text.printable(value, limit=30)) if isinstance(value, str) else text.printable(value, limit=30)


# --- whole documents: saved runs and JSON arrays ---


def _json_or_none(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _starts_saved_run(head: list[str]) -> bool:
    return any('"schema_version"' in line[:200] for line in head)


def _read_document(lines: Iterable[str], shown: str, *, skip_invalid: bool) -> Recording:
    try:
        document = json.loads("".join(lines))
    except (ValueError, RecursionError) as error:
        where = f" at line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise BadInputError(f"{shown} breaks off or is not JSON{where}", hint="save or copy it again") from None
    if isinstance(document, list):
        rows = (
            (number, row if isinstance(row, dict) else InvalidRowError("is no JSON object"))
            for number, row in enumerate(document, start=1)
        )
        return _read_rows(rows, shown, skip_invalid=skip_invalid)
    try:
        return _from_run(from_dict(document))
    except RunFileError as error:
        raise BadInputError(
            f"{shown}: {error}", hint="save the run again, or read it with the powertune that wrote it"
        ) from None


def _from_run(run: TuningRun) -> Recording:
    """Return the runs of a saved run; where only its figures were kept, those, except what was never measured."""
    function = run.function
    origin = Origin(function.name, function.architecture, function.region, function.runtime)
    records: list[Invocation | Aggregate] = list(run.invocations)
    seen = [size for size in run.sizes if size.basis in ("measured", "scaled")]
    if not records:
        records = [_as_aggregate(size, size.duration_ms) for size in seen if size.duration_ms]
    basis: Basis = "scaled" if any(size.basis == "scaled" for size in seen) else "measured"
    return Recording(
        [(origin, record) for record in records], basis=basis, calibrated=run.source.get("calibrated") is not False
    )


def _as_aggregate(size: SizeProfile, duration: Distribution) -> Aggregate:
    return Aggregate(
        size.memory_mb,
        duration.mean,
        count=max(1, size.invocations.warm),
        stddev_ms=duration.stddev,
        p50_ms=duration.p50,
        p95_ms=duration.p95,
        p99_ms=duration.p99,
        init_ms=size.init_ms.mean if size.init_ms else None,
        max_memory_used_mb=size.max_memory_used_mb,
    )


# --- logs ---


def _read_log(lines: Iterable[str]) -> Recording:
    recording = Recording()
    for record in iter_reports(lines):
        if isinstance(record, DamagedRecordError) or not MIN_MEMORY_MB <= record.memory_mb <= MAX_MEMORY_MB:
            recording.damaged += 1
        else:
            recording.records.append((NO_ORIGIN, record.to_invocation()))
    return recording
