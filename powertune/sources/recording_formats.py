"""Recorded durations in every format that powertune reads, told apart by content: CSV, JSON lines, logs, saved runs."""

import gzip
import io
import itertools
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, cast

from powertune import text
from powertune.aws_lambda.memory import MAX_MEMORY_MB, MIN_MEMORY_MB
from powertune.aws_lambda.report_record import DamagedRecordError, iter_reports
from powertune.errors import BadInputError
from powertune.model.invocation import Aggregate, Invocation
from powertune.model.run_file import RunFileError, from_dict
from powertune.model.size_profile import Basis, Distribution, SizeProfile
from powertune.model.tuning_run import TuningRun
from powertune.sources.recorded_rows import (
    FORMS,
    NO_ORIGIN,
    InvalidRowError,
    Origin,
    Recording,
    csv_rows,
    has_figures,
    header_of,
    json_or_none,
    json_rows,
    missing_columns,
    read_rows,
)

_LONGEST_LINE = 1_000_000
_SNIFF_BYTES = 65_536
_LONGEST_LOG_OBJECT = 80


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
        raise BadInputError(f"{shown} is a binary file", hint=FORMS)
    # Logs may hold anything, so bytes that are no text stay visible as such instead of ending the run.
    return io.TextIOWrapper(stream, encoding=encoding, errors="backslashreplace", newline=None)


def _lines(stream: IO[str]) -> Iterator[str]:
    """Yield lines; those that are too long to be held come in pieces."""
    return iter(lambda: stream.readline(_LONGEST_LINE), "")


def _read(stream: IO[str], shown: str, *, skip_invalid: bool) -> Recording:
    lines = _lines(stream)
    # Up to the first line that is not blank; blank ones count in the line numbers of complaints.
    head = list(_through_first(lambda line: bool(line.strip()), lines))
    if not head or not head[-1].strip():
        raise BadInputError(f"{shown} is empty", hint=FORMS)
    first, rest = head[-1], itertools.chain(head, lines)
    start = first.lstrip()
    if start[0] == "[" and start[1:].lstrip()[:1] in ("", "{", "[", "]"):
        return _read_document("".join(rest), shown, skip_invalid=skip_invalid)
    if start[0] == "{":
        return _read_objects(first, rest, shown, skip_invalid=skip_invalid)
    delimiter = max((",", ";", "\t"), key=first.count)
    names = header_of(first, delimiter)
    if has_figures(names) and "REPORT RequestId:" not in first:
        return read_rows(csv_rows(rest, delimiter, len(head)), shown, skip_invalid=skip_invalid)
    return _read_log(rest, shown, missing_columns(names))


def _through_first(wanted: Callable[[str], bool], lines: Iterable[str]) -> Iterator[str]:
    """Yield lines up to the first that is wanted, and that one."""
    for line in lines:
        yield line
        if wanted(line):
            return


def _read_objects(first: str, lines: Iterator[str], shown: str, *, skip_invalid: bool) -> Recording:
    """Return what a file holds that starts with a JSON object: rows, a saved run, or a log."""
    document = json_or_none(first)
    if isinstance(document, dict):  # one object a line
        if "schema_version" in document:
            return _read_document("".join(lines), shown, skip_invalid=skip_invalid)
        if has_figures(document):
            return read_rows(json_rows(lines), shown, skip_invalid=skip_invalid)
        return _read_log(lines, shown)
    # An object over many lines: log records say so early, and a whole document is one object to its end.
    head = list(itertools.islice(lines, _LONGEST_LOG_OBJECT))
    if any('"platform.' in line or '"record"' in line or "REPORT RequestId:" in line for line in head):
        return _read_log(itertools.chain(head, lines), shown)
    return _read_whole("".join(itertools.chain(head, lines)), first, shown, skip_invalid=skip_invalid)


def _read_whole(content: str, first: str, shown: str, *, skip_invalid: bool) -> Recording:
    document = json_or_none(content)
    if '"schema_version"' in content or (isinstance(document, dict) and has_figures(document)):
        return _read_document(content, shown, skip_invalid=skip_invalid)
    if has_figures(re.findall(r'"([^"]{1,40})"\s*:', first)):  # rows, the first of which is damaged
        return read_rows(json_rows(io.StringIO(content)), shown, skip_invalid=skip_invalid)
    return _read_log(io.StringIO(content), shown)


# --- whole documents: saved runs and JSON arrays ---


def _read_document(content: str, shown: str, *, skip_invalid: bool) -> Recording:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        where = f" at line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise BadInputError(f"{shown} breaks off or is not JSON{where}", hint="save or copy it again") from None
    if isinstance(document, dict) and "schema_version" not in document:
        document = [document]
    if isinstance(document, list):
        rows = (
            (number, row if isinstance(row, dict) else InvalidRowError("is no JSON object"))
            for number, row in enumerate(document, start=1)
        )
        return read_rows(rows, shown, skip_invalid=skip_invalid, unit="row")
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
    with_runs = {invocation.memory_mb for invocation in run.invocations}
    records += [
        _as_aggregate(size, size.duration_ms) for size in seen if size.duration_ms and size.memory_mb not in with_runs
    ]
    basis: Basis = "scaled" if any(size.basis == "scaled" for size in seen) else "measured"
    return Recording(
        [(origin, record) for record in records],
        basis=basis,
        calibrated=run.source.get("calibrated") is not False,
        current_memory_mb=function.current_memory_mb,
    )


def _as_aggregate(size: SizeProfile, duration: Distribution) -> Aggregate:
    return Aggregate(
        size.memory_mb,
        duration.mean,
        count=max(1, size.invocations.warm or size.invocations.cold),
        stddev_ms=duration.stddev,
        p50_ms=duration.p50,
        p95_ms=duration.p95,
        p99_ms=duration.p99,
        init_ms=size.init_ms.mean if size.init_ms else None,
        max_memory_used_mb=size.max_memory_used_mb,
        cold=not size.invocations.warm and bool(size.invocations.cold),
    )


# --- logs ---


def _read_log(lines: Iterable[str], shown: str, missing: str | None = None) -> Recording:
    """Return the REPORT records of a log. `missing` is what to say of a file that has none."""
    recording = Recording()
    for record in iter_reports(lines):
        if isinstance(record, DamagedRecordError) or not MIN_MEMORY_MB <= record.memory_mb <= MAX_MEMORY_MB:
            recording.damaged += 1
        else:
            recording.records.append((NO_ORIGIN, record.to_invocation()))
    if recording.records:
        return recording
    what = missing or "holds no REPORT record and is no table of durations"
    if recording.damaged:
        what = f"holds {text.count(recording.damaged, 'REPORT record')}, none of them whole"
    raise BadInputError(f"{shown} {what}", hint=FORMS)
