"""REPORT records as met in public logs from 2014 to 2026, and what is no record at all."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from powertune.aws_lambda.report_record import (
    DamagedRecordError,
    ReportRecord,
    format_report,
    iter_reports,
    parse_report_json,
    parse_report_text,
)

REPORT_LINES = Path(__file__).parents[1] / "data" / "report_lines.txt"


class Row(NamedTuple):
    """What one record of the file says, as read by a person."""

    id_prefix: str
    duration_ms: float
    billed_ms: float
    memory_mb: int
    used_mb: float
    init_ms: float | None = None
    restore_ms: float | None = None
    billed_restore_ms: float | None = None
    status: str = "success"
    error_type: str | None = None


# In the order of the file.
ROWS = (
    Row("3e21d80e", 3.89, 100, 128, 9),
    Row("d176c2f7", 55.91, 100, 512, 12),
    Row("55cef719", 10.81, 100, 128, 16),
    Row("23f39528", 5484.17, 5500, 128, 65),
    Row("beda210d", 8064.64, 8100, 128, 83, init_ms=160.41),
    Row("21bafabc", 32.80, 100, 1024, 40, init_ms=128.16),
    Row("4ee13858", 1.27, 2, 128, 36, init_ms=107.95),
    Row("2d0b1579", 1.42, 2, 128, 39, init_ms=123.74),
    Row("115e1242", 1948.24, 1949, 128, 75, init_ms=265.47),
    Row("71ddca67", 19178.04, 19179, 1769, 719),
    Row("0fdb2630", 2715.86, 3087, 128, 89, init_ms=370.72),
    Row("0f8e2db4", 38020.68, 38703, 256, 157, init_ms=681.96),
    Row("b92a770e", 3.10, 546, 2048, 95, init_ms=542.01),
    Row("70b4cbee", 1028.49, 1029, 256, 93, init_ms=615.62),
    Row("8fc6f963", 201.67, 202, 2048, 81, init_ms=480.25),
    Row("b771fecc", 306.34, 610, 3009, 155, restore_ms=511.25, billed_restore_ms=303),
    Row("5b321b10", 149.53, 313, 3538, 163, restore_ms=789.64, billed_restore_ms=163),
    Row("bf46dfe0", 333.03, 566, 2048, 154, restore_ms=527.20, billed_restore_ms=232),
    Row("24addd09", 127.10, 154, 2048, 212, restore_ms=325.93, billed_restore_ms=26),
    Row("2f98d5aa", 13.82, 129, 512, 71, restore_ms=204.27),
    Row("13222b1e", 3000.00, 3000, 1024, 64, status="timeout"),
    Row("069c8528", 300000.00, 300000, 128, 127, status="timeout"),
    Row("d602a1ed", 600000.00, 600477, 1536, 1035, init_ms=476.75, status="timeout"),
    Row("054d8776", 600000.00, 600000, 1024, 1024, status="timeout"),
    Row("fa4e6a1f", 6954.19, 6955, 1024, 1023, status="error", error_type="Runtime.OutOfMemory"),
    Row("5b3aa800", 1248.31, 1542, 128, 94, init_ms=293.05, status="error", error_type="Runtime.ExitError"),
    Row("25a27ba9", 97.30, 98, 1024, 43, status="error", error_type="Runtime.ImportModuleError"),
    Row("dde1acb5", 35.50, 36, 512, 3),
    Row("79b5e81f", 1233.96, 1698, 256, 123, init_ms=463.512),
    Row("f0c9f58b", 1072.145, 1073, 256, 125),
    Row("06e8554f", 329.177, 330, 1792, 125, init_ms=503.083),
    Row("459921b5", 2599.4, 2600, 128, 94, init_ms=549.04),
    Row("d661f7cf", 147.156, 201, 512, 91, restore_ms=500.795, billed_restore_ms=53),
    Row("6f7f0961", 101.51, 300, 512, 33, init_ms=116.67),
    Row("req-1", 3000, 3000, 128, 40, status="timeout"),
    Row("55bc566d", 469.40, 500, 1024, 21, restore_ms=474.16, billed_restore_ms=75),
    Row("03d92713", 18179.84, 18180, 512, 506),
)

WARM = (
    "REPORT RequestId: warm-1\tDuration: 155.51 ms\tBilled Duration: 156 ms"
    "\tMemory Size: 512 MB\tMax Memory Used: 40 MB\t"
)
WARM_RECORD = ReportRecord("warm-1", 155.51, 156, 512, 40)


def report_object(metrics: dict[str, Any] | None = None, **record: Any) -> dict[str, Any]:
    figures = {"durationMs": 155.51, "billedDurationMs": 156, "memorySizeMB": 512, "maxMemoryUsedMB": 40}
    return {
        "time": "2026-10-08T07:30:42.149Z",
        "type": "platform.report",
        "record": {"requestId": "warm-1", "metrics": {**figures, **(metrics or {})}, "status": "success", **record},
    }


def read(*lines: str) -> list[ReportRecord | DamagedRecordError]:
    return list(iter_reports(lines))


def read_good(*lines: str) -> list[ReportRecord]:
    found = read(*lines)
    assert not [item for item in found if isinstance(item, DamagedRecordError)]
    return [item for item in found if isinstance(item, ReportRecord)]


def read_one_damaged(*lines: str) -> DamagedRecordError:
    (found,) = read(*lines)
    assert isinstance(found, DamagedRecordError), found
    return found


# The file of real records.


def file_records() -> list[ReportRecord]:
    with REPORT_LINES.open(encoding="utf-8") as lines:
        return read_good(*lines)


def test_every_record_of_the_file_is_found_and_nothing_else() -> None:
    found = [record.request_id for record in file_records()]
    assert len(found) == len(ROWS)
    assert all(request_id.startswith(row.id_prefix) for request_id, row in zip(found, ROWS, strict=True))


def test_lines_without_their_ends_hold_the_same_records() -> None:
    assert read_good(*REPORT_LINES.read_text(encoding="utf-8").split("\n")) == file_records()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id_prefix)
def test_a_record_of_the_file_says_what_a_person_reads(row: Row) -> None:
    (record,) = [record for record in file_records() if record.request_id.startswith(row.id_prefix)]
    assert record == ReportRecord(
        record.request_id,
        row.duration_ms,
        row.billed_ms,
        row.memory_mb,
        row.used_mb,
        row.init_ms,
        row.restore_ms,
        row.billed_restore_ms,
        row.status,
        row.error_type,
    )


def test_request_ids_are_kept_whole() -> None:
    found = {record.request_id for record in file_records()}
    assert "3e21d80e-7e31-11e4-912c-2f870de05098" in found
    assert "03d92713-a4b2-4b07-a07a-653087817262" in found  # followed by a literal backslash and t
    assert "6f7f0961f83442118a7af6fe80b88d56" in found


# What is no record, and what surrounds one.


@pytest.mark.parametrize(
    "line",
    [
        "INIT_REPORT Init Duration: 10009.13 ms\tPhase: init\tStatus: timeout",
        "INIT_REPORT Init Duration: 87.28 ms\tPhase: invoke\tStatus: error\tError Type: Runtime.ImportModuleError",
        "INIT_REPORT Init Duration: 13316.04 ms",
        "RESTORE_REPORT Restore Duration: 511.25 ms",
        "RESTORE_START Runtime Version: java:17.v10",
        "START RequestId: 94f4a28a-dbe3-4114-9f2b-0b3ae40f4dbc Version: $LATEST",
        "END RequestId: 94f4a28a-dbe3-4114-9f2b-0b3ae40f4dbc",
        "2021-12-26T13:15:48.760Z 5b252591-51c6-5d15-87a9-7fd33ce32be4 Task timed out after 15.01 seconds",
        "XRAY TraceId: 1-6a507b87-0cc4438344b48ef127ab1931\tSegmentId: d0025b207c551fde\tSampled: true\t",
        "REPORT of the day: Duration: 3 ms",
        '{"type":"platform.runtimeDone","record":{"requestId":"a","status":"success","metrics":{"durationMs":5.1}}}',
        '{"type":"platform.start","record":{"requestId":"f0c9","version":"$LATEST"}}',
        '{"level":"INFO","message":"platform.report"}',
        '{"level":"INFO","message":"a user\'s words on \\"platform.report\\""}',
        "",
    ],
)
def test_a_line_that_is_no_record_yields_nothing_and_hides_nothing(line: str) -> None:
    assert read(line) == []
    assert read_good(line, WARM, line, WARM, line) == [WARM_RECORD, WARM_RECORD]


def test_a_companion_after_a_record_adds_nothing_to_it() -> None:
    companion = "INIT_REPORT Init Duration: 87.28 ms\tPhase: invoke\tStatus: error\tError Type: Runtime.ExitError"
    assert read_good(WARM, companion) == [WARM_RECORD]


@pytest.mark.parametrize(
    "prefix",
    [
        "2025-05-12T20:24:06.310Z ",
        "2025-05-12T20:24:06.310000+00:00 2025/05/12/[$LATEST]5b1105a6 ",
        "\t",
        "# [2024-11-20 01:07:53.229000] ",
        "17:53:27 ",
        "1747081446310\t",
        "a user who prints no line end",
    ],
)
def test_anything_may_stand_before_a_record(prefix: str) -> None:
    assert read_good(prefix + WARM) == [WARM_RECORD]


def test_a_users_words_on_the_same_line_do_not_shadow_the_record() -> None:
    words = "I expect REPORT RequestId: none\tDuration: 1 ms\tMemory Size: 128 MB soon: "
    assert read_good(words + WARM) == [WARM_RECORD]


def test_a_users_words_on_a_line_of_their_own_do_not_shadow_the_record() -> None:
    found = read("waiting for REPORT RequestId: what else", WARM)
    assert [item for item in found if isinstance(item, ReportRecord)] == [WARM_RECORD]


def test_a_users_line_after_a_whole_record_does_not_change_it() -> None:
    assert read_good(WARM, "Status: shipped") == [WARM_RECORD]
    assert read_good(WARM, "Duration: 7 ms", "Memory Size: 3 MB") == [WARM_RECORD]


@pytest.mark.parametrize(
    "lines",
    [[WARM], [json.dumps(report_object())], json.dumps(report_object(), indent=2).split("\n")],
    ids=["text", "compact", "pretty"],
)
def test_a_users_open_brace_does_not_swallow_the_records_after_it(lines: list[str]) -> None:
    assert read_good("{", "  printed by hand", "  }", *lines, *lines) == [WARM_RECORD, WARM_RECORD]


# The ways in which a text record is written.


@pytest.mark.parametrize("parting", ["\t", "  ", " ", "\n", "\n  ", "\r\n", "\\t", "\\n"])
def test_fields_may_be_parted_by_tabs_spaces_or_line_breaks(parting: str) -> None:
    assert parse_report_text(WARM.replace("\t", parting)) == WARM_RECORD


def test_a_record_wrapped_over_lines_is_read_whole() -> None:
    lines = WARM.replace("\t", "\n").split("\n")
    assert read_good(*lines, *lines) == [WARM_RECORD, WARM_RECORD]


def test_local_emulators_put_init_first() -> None:
    line = (
        "REPORT RequestId: 4ee89dcd\tInit Duration: 0.29 ms\tDuration: 92.75 ms\tBilled Duration: 93 ms"
        "\tMemory Size: 256 MB\tMax Memory Used: 256 MB\t"
    )
    assert parse_report_text(line) == ReportRecord("4ee89dcd", 92.75, 93, 256, 256, init_ms=0.29)


def test_whole_milliseconds_and_no_memory_used_are_figures_like_others() -> None:
    line = (
        "REPORT RequestId: 76c0\tDuration: 206 ms\tBilled Duration: 206 ms\tMemory Size: 128 MB\tMax Memory Used: 0 MB"
    )
    assert parse_report_text(line) == ReportRecord("76c0", 206, 206, 128, 0)


def test_formatting_is_the_inverse_of_parsing() -> None:
    record = ReportRecord("a-1", 12.34, 513, 1769, 91, 100.5, 400.25, 1, "error", "Runtime.ExitError")
    text = format_report(record)
    assert text == (
        "REPORT RequestId: a-1\tDuration: 12.34 ms\tBilled Duration: 513 ms"
        "\tMemory Size: 1769 MB\tMax Memory Used: 91 MB"
        "\tInit Duration: 100.50 ms\tRestore Duration: 400.25 ms\tBilled Restore Duration: 1 ms\tStatus: error"
        "\tError Type: Runtime.ExitError\t"
    )
    assert parse_report_text(text) == record
    assert format_report(WARM_RECORD) == WARM


# JSON.


@pytest.mark.parametrize("indent", [1, 2, 4])
def test_pretty_printed_objects_are_read_one_after_the_other(indent: int) -> None:
    lines = json.dumps(report_object(), indent=indent).split("\n")
    assert read_good(*lines, *lines, WARM, *lines) == [WARM_RECORD] * 4


def test_pretty_printed_objects_may_stand_indented() -> None:
    lines = ["  " + line for line in json.dumps(report_object(), indent=2).split("\n")]
    assert read_good(*lines, *lines) == [WARM_RECORD, WARM_RECORD]


def test_pretty_printed_objects_of_other_types_are_passed_over() -> None:
    start = json.dumps({"type": "platform.start", "record": {"requestId": "a"}}, indent=2).split("\n")
    assert read_good(*start, *json.dumps(report_object(), indent=2).split("\n"), *start) == [WARM_RECORD]


def test_text_and_json_records_may_alternate() -> None:
    compact = json.dumps(report_object())
    lines = ["START RequestId: a Version: 3", compact, WARM, "a user's line", "prefix " + compact, WARM]
    assert read_good(*lines) == [WARM_RECORD] * 4


def test_a_json_record_keeps_three_decimals_and_its_order_of_keys_is_free() -> None:
    record = parse_report_json(
        report_object({"durationMs": 147.156, "restoreDurationMs": 500.795, "billedRestoreDurationMs": 53})
    )
    assert record == ReportRecord("warm-1", 147.156, 156, 512, 40, restore_ms=500.795, billed_restore_ms=53)
    turned = json.loads(json.dumps(report_object(), sort_keys=True))
    assert parse_report_json(turned) == WARM_RECORD


def test_a_json_record_without_status_is_a_success() -> None:
    document = report_object()
    del document["record"]["status"]
    assert parse_report_json(document) == WARM_RECORD


def test_a_json_error_names_its_type() -> None:
    record = parse_report_json(report_object(status="error", errorType="Runtime.ExitError"))
    assert (record.status, record.error_type) == ("error", "Runtime.ExitError")


@pytest.mark.parametrize("key", ["durationMs", "billedDurationMs", "memorySizeMB", "maxMemoryUsedMB"])
@pytest.mark.parametrize("gone", [True, False])
def test_a_json_record_without_a_figure_is_damaged(key: str, *, gone: bool) -> None:
    document = report_object({key: None})
    if gone:
        del document["record"]["metrics"][key]
    with pytest.raises(DamagedRecordError):
        parse_report_json(document)


@pytest.mark.parametrize("document", [{}, {"record": []}, {"record": {"metrics": 3}}, {"record": {"requestId": "a"}}])
def test_an_object_without_metrics_is_damaged(document: dict[str, object]) -> None:
    with pytest.raises(DamagedRecordError):
        parse_report_json(document)


@pytest.mark.parametrize("request_id", [None, "", {"x": 1}, ["a"]])
def test_a_json_record_whose_request_id_is_no_text_is_damaged(request_id: object) -> None:
    with pytest.raises(DamagedRecordError):
        parse_report_json(report_object(requestId=request_id))


def test_a_json_line_that_breaks_off_is_damaged_and_the_next_is_read() -> None:
    compact = json.dumps(report_object())
    found = read(compact[:-30], compact)
    assert isinstance(found[0], DamagedRecordError)
    assert found[1:] == [WARM_RECORD]


def test_a_pretty_printed_object_that_breaks_off_is_damaged() -> None:
    lines = json.dumps(report_object(), indent=2).split("\n")
    read_one_damaged(*lines[:-4])


def test_a_pretty_printed_object_that_breaks_off_before_another_record_is_damaged() -> None:
    lines = json.dumps(report_object(), indent=2).split("\n")
    found = read(*lines[:-4], WARM)
    assert isinstance(found[0], DamagedRecordError)
    assert found[1:] == [WARM_RECORD]


def test_json_nested_without_end_is_damaged() -> None:
    read_one_damaged('{"type":"platform.report","record":' + "[" * 90_000)


# Damage.


@pytest.mark.parametrize("field", ["Duration", "Billed Duration", "Memory Size", "Max Memory Used"])
def test_a_record_without_one_of_its_figures_is_damaged(field: str) -> None:
    kept = [part for part in WARM.split("\t") if not part.startswith(f"{field}:")]
    assert len(kept) == len(WARM.split("\t")) - 1
    with pytest.raises(DamagedRecordError):
        parse_report_text("\t".join(kept))


def test_a_record_without_a_request_id_is_damaged() -> None:
    with pytest.raises(DamagedRecordError):
        parse_report_text(WARM.replace("warm-1", ""))


@pytest.mark.parametrize("end", range(len("REPORT RequestId:"), len(WARM)))
def test_a_record_cut_anywhere_is_damaged_or_whole(end: int) -> None:
    (found,) = read(WARM[:end])
    assert isinstance(found, DamagedRecordError) or found == WARM_RECORD


@pytest.mark.parametrize("unit", ["", " m", " M", " seconds", " GB"])
def test_a_figure_without_its_unit_is_damaged(unit: str) -> None:
    read_one_damaged(WARM.replace("155.51 ms", f"155.51{unit}"))
    read_one_damaged(WARM.replace("40 MB", f"40{unit}"))


def test_a_damaged_record_does_not_spoil_its_neighbours() -> None:
    found = read(WARM, WARM[:60], WARM)
    assert found[0] == found[2] == WARM_RECORD
    assert isinstance(found[1], DamagedRecordError)


@pytest.mark.parametrize("figure", ["NaN", "nan", "inf", "-1.00", "1e999", "1e3", "", "--", "0x10", "1,5", "9" * 40])
@pytest.mark.parametrize("field", ["Duration: 155.51", "Billed Duration: 156", "Memory Size: 512", "Memory Used: 40"])
def test_a_hostile_number_in_text_is_damage_and_not_guessed(field: str, figure: str) -> None:
    name, _, _ = field.partition(":")
    assert field in WARM
    read_one_damaged(WARM.replace(field, f"{name}: {figure}"))


@pytest.mark.parametrize("figure", ["0", "0.5", "512.5", "999999999999"])
def test_a_memory_size_that_cannot_be_one_is_damaged(figure: str) -> None:
    read_one_damaged(WARM.replace("Memory Size: 512", f"Memory Size: {figure}"))


@pytest.mark.parametrize(
    "figure",
    ["NaN", "Infinity", "-Infinity", "1e999", "-1", "true", '"many"', "[1]", "{}", "1e300", "1" + "0" * 400],
    ids=lambda figure: figure[:12],
)
@pytest.mark.parametrize("key", ["durationMs", "memorySizeMB", "maxMemoryUsedMB"])
def test_a_hostile_number_in_json_is_damage_and_not_guessed(key: str, figure: str) -> None:
    text = json.dumps(report_object({key: "HERE"})).replace('"HERE"', figure)
    assert figure in text
    read_one_damaged(text)


# What became of the run.


def invocation_status(status: str, error_type: str | None = None, used_mb: float = 40) -> tuple[str, str | None]:
    record = ReportRecord("a", 10.0, 10, 512, used_mb, status=status, error_type=error_type)
    invocation = record.to_invocation()
    return invocation.status, invocation.error


def test_a_record_without_status_is_a_run_that_ended_well() -> None:
    assert invocation_status("success") == ("ok", None)


def test_a_run_that_used_all_memory_and_ended_well_is_fine() -> None:
    assert invocation_status("success", used_mb=512) == ("ok", None)


@pytest.mark.parametrize("used_mb", [40, 512])
def test_a_timeout_is_a_timeout_even_with_all_memory_used(used_mb: float) -> None:
    assert invocation_status("timeout", used_mb=used_mb) == ("timed-out", "timeout")


@pytest.mark.parametrize("used_mb", [40, 511, 512])
def test_the_runtimes_own_word_for_out_of_memory_is_believed(used_mb: float) -> None:
    assert invocation_status("error", "Runtime.OutOfMemory", used_mb) == ("out-of-memory", "Runtime.OutOfMemory")


def test_an_exit_with_memory_at_the_limit_is_out_of_memory() -> None:
    assert invocation_status("error", "Runtime.ExitError", 512) == ("out-of-memory", "Runtime.ExitError")


def test_an_exit_with_memory_to_spare_is_a_failure() -> None:
    assert invocation_status("error", "Runtime.ExitError", 511) == ("failed", "Runtime.ExitError")


def test_another_error_with_memory_at_the_limit_is_a_failure() -> None:
    assert invocation_status("error", "Runtime.ImportModuleError", 512) == ("failed", "Runtime.ImportModuleError")


@pytest.mark.parametrize("status", ["error", "failure", "something new"])
def test_a_status_without_error_type_is_a_failure_that_names_the_status(status: str) -> None:
    assert invocation_status(status) == ("failed", status)


def test_the_invocation_carries_the_figures_of_the_record() -> None:
    invocation = ReportRecord("a-1", 12.5, 114, 1769, 91.5, init_ms=100.5).to_invocation()
    assert (invocation.request_id, invocation.memory_mb, invocation.max_memory_used_mb) == ("a-1", 1769, 91.5)
    assert (invocation.duration_ms, invocation.billed_ms, invocation.init_ms) == (12.5, 114, 100.5)
    assert invocation.cold


def test_a_run_without_init_and_restore_is_warm() -> None:
    invocation = WARM_RECORD.to_invocation()
    assert not invocation.cold
    assert invocation.init_ms is None


def test_a_restore_is_a_cold_start_and_the_billed_part_of_it_stands_as_init() -> None:
    invocation = ReportRecord("a", 149.53, 313, 3538, 163, restore_ms=789.64, billed_restore_ms=163).to_invocation()
    assert invocation.cold
    assert invocation.init_ms == 163
    assert invocation.billed_ms == 313  # the restore is in it already
    early = ReportRecord("a", 13.82, 129, 512, 71, restore_ms=204.27).to_invocation()
    assert early.init_ms == 129 - 14  # before the billed part was logged, it was what stood above the handler's own
