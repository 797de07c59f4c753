"""Reading in bulk gives what reading line by line gives, whatever the text: nothing is lost, and nothing guessed."""

import json
from typing import Any
from unittest import mock

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from powertune.aws_lambda.report_record import ReportRecord, format_report
from powertune.sources.bulk import log_reader
from powertune.sources.bulk.block import Block
from powertune.sources.bulk.log_reader import LogReader
from powertune.sources.bulk.reports import Found, Reports, find_reports
from powertune.sources.line_reader import LineReader
from powertune.sources.log_events import LogEvents
from powertune.sources.recording import Recording, Run

ID = "94f4a28a-dbe3-4114-9f2b-0b3ae40f4dbc"
XRAY = "XRAY TraceId: 1-6a7a67c2-0701d869329bf462748bc57c\tSegmentId: d0025b207c551fde\tSampled: true\t"
STREAM = "2025/05/12/[$LATEST]5b1105a6c0ffee"
START = (
    f'{{"time":"2026-10-08T07:30:29.470Z","type":"platform.start","record":{{"requestId":"{ID}",'
    '"functionArn":"arn:aws:lambda:eu-central-1:123456789012:function:orders","version":"1"}}'
)


def nothing_found(block: Block, begin: int, end: int, *, has_json: bool) -> Found:
    """Find what bulk reading finds, and leave all of it to the careful parser."""
    found = find_reports(block, begin, end, has_json=has_json)
    reports = found.reports
    places = (reports.ids - len("REPORT RequestId: ")).tolist() if len(reports) else []
    none = np.zeros(0, np.int64)
    return Found(Reports(*([none] * 10)), [], sorted([*found.missed, *places]))


def read(text: bytes, *, in_bulk: bool) -> tuple[list[Run], int]:
    recording = Recording()
    events = LogEvents(recording, "a log")
    lines = LineReader(recording, "a log", skip_invalid=True, add_event=events.add)
    block = Block.of(text)
    with mock.patch.object(log_reader, "find_reports", find_reports if in_bulk else nothing_found):
        LogReader(recording, lines).read(block, block.end)
        lines.close()
        events.flush()
    return list(recording.kept_runs()), recording.damaged


def assert_same(text: str | bytes) -> list[Run]:
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    bulk, careful = read(data, in_bulk=True), read(data, in_bulk=False)
    assert bulk == careful
    return bulk[0]


# --- records as Lambda and the tools write them ---

hundredths = st.integers(0, 90_000_000).map(lambda hundredth: hundredth / 100)
request_ids = st.uuids().map(str) | st.sampled_from([ID, "1", "x" * 36, ID.replace("4", "\\"), ID[:-1] + " "])
sizes_mb = st.integers(128, 10_240) | st.sampled_from([0, 64, 127, 128, 10_240, 10_241, 99_999])


@st.composite
def reports(draw: st.DrawFn) -> str:
    record = ReportRecord(
        request_id=draw(request_ids),
        duration_ms=draw(hundredths | st.sampled_from([0.0, 0.01, 9_999_999.99, 12_345_678.25])),
        billed_ms=draw(st.integers(0, 1_000_000)),
        memory_mb=draw(sizes_mb),
        max_memory_used_mb=draw(st.integers(0, 12_000)),
        init_ms=draw(st.none() | hundredths),
        restore_ms=draw(st.none() | st.none() | hundredths),
        status=draw(st.sampled_from(["success", "success", "success", "timeout", "error"])),
        error_type=draw(st.sampled_from([None, None, "Runtime.ExitError"])),
    )
    line = format_report(record)
    if draw(st.booleans()):
        line = line.rstrip("\t")
    return line + draw(st.sampled_from(["", "", "", "\n" + XRAY, "\nStatus: timeout", "\n  Duration: 7 ms"]))


@st.composite
def json_reports(draw: st.DrawFn) -> str:
    metrics: dict[str, Any] = {
        "durationMs": draw(st.integers(0, 900_000_000).map(lambda us: us / 1000) | st.integers(0, 900_000)),
        "billedDurationMs": draw(st.integers(0, 900_000)),
        "memorySizeMB": draw(sizes_mb),
        "maxMemoryUsedMB": draw(st.integers(0, 10_240)),
    }
    if draw(st.booleans()):
        metrics["initDurationMs"] = draw(st.integers(0, 9_000_000)) / 1000
    status = draw(st.sampled_from(["success", "success", "timeout", "error"]))
    record = {"requestId": draw(request_ids), "metrics": metrics, "status": status}
    if draw(st.booleans()):
        record = {"requestId": record["requestId"], "status": status, "metrics": metrics}
    document = {
        "time": draw(st.sampled_from(["2026-10-08T07:30:29.470Z", "2026-13-08T07:30:29.470Z", "2026-10-08", 5])),
        "type": "platform.report",
        "record": record,
    }
    return json.dumps(document, separators=draw(st.sampled_from([(",", ":"), (",", ":"), (", ", ": ")])))


prefixes = st.sampled_from(
    [
        "", "", "", "2025-05-12T20:24:06.310Z ", "2025-05-12T20:24:06 ", "2025-13-12T20:24:06 ", "1747081446310 ",
        f"2025-05-12T20:24:06.310000+00:00 {STREAM} ", f"{STREAM} 2023-07-05T10:16:34.686000 ",
        "2025-05-12T20:24:06.310000+00:00 2025/05/12/orders[3]5b11 ", "[Thu Apr 06 2017] ", "\t", "said ", "Status: ",
        "2025-05-12T20:24:0: ", "XRAY TraceId: ", "{", '"',
    ]
)  # fmt: skip
other_lines = st.sampled_from(
    [
        f"START RequestId: {ID} Version: $LATEST", f"END RequestId: {ID}", "", "  ", XRAY, "{", "}", "[", "P", "REP",
        "REPORT RequestId:", "REPORT RequestId: ", "a user's line", '{"level":"INFO","message":"P"}', "Billed", "In",
        "INIT_START Runtime Version: python:3.12", '{"type":"platform.report"', "\x0b", "\u00a0Status: timeout",
        START,
    ]
)  # fmt: skip
records = st.tuples(prefixes, reports() | json_reports()).map("".join)
log_lines = st.one_of(records, records, other_lines)


@settings(max_examples=300)
@given(st.lists(log_lines, max_size=8), st.sampled_from(["\n", ""]))
def test_a_log_is_read_in_bulk_as_it_is_read_line_by_line(lines: list[str], end: str) -> None:
    assert_same("\n".join(lines) + end)


@settings(max_examples=300)
@given(st.lists(log_lines, min_size=1, max_size=4), st.data())
def test_a_damaged_log_is_read_in_bulk_as_it_is_read_line_by_line(lines: list[str], data: st.DataObject) -> None:
    text = bytearray("\n".join(lines).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text)))
        length = data.draw(st.sampled_from([0, 0, 1, 1, 2, 5, 40]))
        new = data.draw(
            st.binary(max_size=2)
            | st.sampled_from([b"\n", b"\t", b" ", b"0", b"9", b".", b"-", b"{", b'"', b"\\t", b"\xc2\xa0", b"REPORT "])
        )
        text[place : place + length] = new
    assert_same(bytes(text))


def test_records_in_their_usual_forms_are_read_in_bulk_all_of_them() -> None:
    warm = format_report(ReportRecord(ID, 155.51, 156, 512, 40))
    cold = format_report(ReportRecord(ID, 155.51, 512, 512, 40, init_ms=355.5))
    in_json = (
        f'{{"time":"2026-10-08T07:30:29.470Z","type":"platform.report","record":{{"requestId":"{ID}","metrics":'
        '{"durationMs":1233.96,"billedDurationMs":1698,"memorySizeMB":256,"maxMemoryUsedMB":123,'
        '"initDurationMs":463.512},"status":"success"}}'
    )
    text = "".join(
        f"{prefix}{record}\n{behind}"
        for prefix in ("", "2025-05-12T20:24:06.310Z ", "2025-05-12T20:24:06 ", f"2025-05-12T20:24:06.310Z {STREAM} ")
        for record in (warm, warm.rstrip(), cold, cold.rstrip(), in_json)
        for behind in ("", f"{XRAY}\n", "START RequestId: 1\n")
    )
    block = Block.of(text.encode())
    found = find_reports(block, 0, block.end, has_json=True)
    assert found.missed == []
    assert len(found.reports) == 60
    assert len(assert_same(text)) == 60
