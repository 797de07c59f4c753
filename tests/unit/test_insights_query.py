"""The query that powertune sends to Logs Insights, and what it makes of the rows that come back."""

import math
import random
import statistics
from datetime import UTC, datetime
from typing import Any

import pytest
from insights_language import Query, Record, discovered, written
from insights_server import ACCOUNT

from powertune.errors import UsageError
from powertune.sources.insights_query import (
    PERCENTILES,
    Row,
    Window,
    function_of,
    parse_window,
    query_text,
    read_rows,
)
from powertune.sources.insights_weeks import pool, pooled_percentiles, weekly_doubts

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
LONGEST_QUERY = 10_000
both_classes = pytest.mark.parametrize("is_standard", [True, False], ids=["standard", "infrequent access"])


def text_record(duration_ms: str, billed_ms: int, memory_mb: int, used_mb: int, *more: str) -> str:
    """Return a record as Lambda's text format has it."""
    return "\t".join(
        [
            "REPORT RequestId: 94f4a28a-dbe3-4114-9f2b-0b3ae40f4dbc",
            f"Duration: {duration_ms} ms",
            f"Billed Duration: {billed_ms} ms",
            f"Memory Size: {memory_mb} MB",
            f"Max Memory Used: {used_mb} MB",
            *more,
        ]
    )


def json_record(metrics: str, ending: str = '"status":"success"') -> str:
    """Return a record as Lambda's JSON format has it."""
    record = f'{{"requestId":"79b5e81f-9cdd-4145-b1f6-7c50ef8a2a36","metrics":{{{metrics}}},{ending}}}'
    return f'{{"time":"2026-10-08T07:30:29.470Z","type":"platform.report","record":{record}}}'


XRAY = "\nXRAY TraceId: 1-6a7a67c2-0701d869329bf462748bc57c\tSegmentId: 5c329dc27d8c8ba1\tSampled: true\t\n"
TEXT = text_record("155.51", 156, 1769, 40, "\n")
COLD = text_record("1655.10", 1978, 256, 97, "Init Duration: 322.04 ms", XRAY)
RESTORED = ("Restore Duration: 789.64 ms", "Billed Restore Duration: 163 ms", "\n")
SNAPSTART = text_record("149.53", 313, 3538, 163, *RESTORED)
TIMEOUT = text_record("3000.00", 3000, 1024, 64, "Status: timeout\n")
MEMORY = text_record("10935.70", 10936, 1024, 1024, "Status: error", "Error Type: Runtime.OutOfMemory\n")
WARM_FIGURES = '"durationMs":1233.96,"billedDurationMs":1234,"memorySizeMB":1769,"maxMemoryUsedMB":123'
JSON = json_record(WARM_FIGURES)
JSON_COLD = json_record(
    '"durationMs":1233.96,"billedDurationMs":1698,"memorySizeMB":256,"maxMemoryUsedMB":123,"initDurationMs":463.512'
)
JSON_RESTORED = json_record(
    '"durationMs":147.156,"billedDurationMs":201,"memorySizeMB":512,"maxMemoryUsedMB":91,'
    '"restoreDurationMs":500.795,"billedRestoreDurationMs":53'
)
JSON_TIMEOUT = json_record(
    '"durationMs":5000.0,"billedDurationMs":5000,"memorySizeMB":128,"maxMemoryUsedMB":94', '"status":"timeout"'
)
OTHERS = [
    "START RequestId: 94f4a28a-dbe3-4114-9f2b-0b3ae40f4dbc Version: $LATEST\n",
    "END RequestId: 94f4a28a-dbe3-4114-9f2b-0b3ae40f4dbc\n",
    "INIT_REPORT Init Duration: 10009.13 ms\tPhase: init\tStatus: timeout\n",
    '{"time":"2026-10-08T07:30:41.076Z","type":"platform.start","record":{"requestId":"f0c9","version":"$LATEST"}}',
    '{"time":"2026-07-09T06:05:50.581Z","type":"platform.runtimeDone","record":{"status":"timeout","metrics":{"durationMs":5001.182}}}',
    '{"level":"INFO","message":"a report of 128 MB","type":"report"}',
    "user said: the report is ready",
]


def answered(
    messages: list[str],
    *,
    is_standard: bool = True,
    stream: str = "2026/11/20/[$LATEST]5b11",
    group: str = "/aws/lambda/orders",
) -> list[Row]:
    """Return the rows that the service would answer with over events of these messages."""
    records: list[Record] = [
        (discovered(message) if is_standard else {})
        | {
            "@timestamp": NOW.timestamp() * 1000,
            "@message": message,
            "@logStream": stream,
            "@log": f"{ACCOUNT}:{group}",
        }
        for message in messages
    ]
    rows, damaged = read_rows([written(row) for row in Query(query_text(discovered=is_standard)).run(records)])
    assert damaged == 0
    return rows


@both_classes
def test_a_text_record_and_a_json_record_give_the_same_row(*, is_standard: bool) -> None:
    (text,) = answered([TEXT], is_standard=is_standard)
    (json,) = answered([JSON], is_standard=is_standard)
    assert (text.memory_mb, text.mean_ms, text.billed_ms, text.max_memory_used_mb) == (1769, 155.51, 156, 40)
    assert (json.memory_mb, json.mean_ms, json.billed_ms, json.max_memory_used_mb) == (1769, 1233.96, 1234, 123)
    for row in (text, json):
        assert (row.function, row.log_group, row.week) == ("orders", "/aws/lambda/orders", "2026-11-19")
        assert (row.cold, row.status, row.error, row.runs, row.init_ms) == (False, "ok", None, 1, None)


@both_classes
def test_text_and_json_in_one_group_are_counted_once_each(*, is_standard: bool) -> None:
    rows = answered([*OTHERS, TEXT, JSON, TEXT, *OTHERS], is_standard=is_standard)
    (summary,) = pool(rows)
    assert summary.count == 3
    assert summary.mean_ms == pytest.approx((155.51 * 2 + 1233.96) / 3)
    assert summary.billed_ms == pytest.approx((156 * 2 + 1234) / 3)
    assert summary.max_memory_used_mb == 123


@both_classes
@pytest.mark.parametrize(
    ("message", "memory_mb", "duration_ms", "init_ms"),
    [
        (COLD, 256, 1655.10, 322.04),
        (SNAPSTART, 3538, 149.53, 163),
        (JSON_COLD, 256, 1233.96, 463.512),
        (JSON_RESTORED, 512, 147.156, 53),
    ],
    ids=["text", "text restored", "json", "json restored"],
)
def test_cold_starts_stand_apart_with_what_is_billed_for_them(
    message: str, memory_mb: int, duration_ms: float, init_ms: float, *, is_standard: bool
) -> None:
    (row,) = answered([message], is_standard=is_standard)
    assert row.cold
    assert row.memory_mb == memory_mb
    assert (row.mean_ms, row.init_ms) == pytest.approx((duration_ms, init_ms))
    (summary,) = pool([row])
    assert summary.billed_ms is None, "it holds init"


@both_classes
@pytest.mark.parametrize(
    ("message", "status", "error"),
    [
        (TIMEOUT, "timed-out", "timeout"),
        (MEMORY, "out-of-memory", "Runtime.OutOfMemory"),
        (MEMORY.replace("OutOfMemory", "ExitError"), "out-of-memory", "Runtime.ExitError"),
        (MEMORY.replace("OutOfMemory", "ExitError").replace("Used: 1024", "Used: 99"), "failed", "Runtime.ExitError"),
        (JSON_TIMEOUT, "timed-out", "timeout"),
        (
            json_record(WARM_FIGURES, '"status":"error","errorType":"Runtime.OutOfMemory"'),
            "out-of-memory",
            "Runtime.OutOfMemory",
        ),
        (JSON.replace('"success"', '"failure"'), "failed", "failure"),
    ],
)
def test_runs_that_failed_stand_apart_by_how(message: str, status: str, error: str, *, is_standard: bool) -> None:
    rows = answered([message, TEXT], is_standard=is_standard)
    (failed,) = [row for row in rows if row.status != "ok"]
    assert (failed.status, failed.error, failed.runs) == (status, error, 1)


def test_streams_of_a_shared_log_group_tell_functions_apart() -> None:
    (row,) = answered([TEXT], group="/shop/all", stream="2026/11/20/orders[$LATEST][5b1105a6d1f24c7c9e3b2b9e2a6f1d00]")
    assert (row.function, row.log_group) == ("orders", "/shop/all")
    (nameless,) = answered([TEXT], group="/shop/all", stream="worker-7")
    assert nameless.function == "/shop/all"


@both_classes
def test_the_query_is_short_enough_and_has_no_line_that_is_not_ascii(*, is_standard: bool) -> None:
    text = query_text(discovered=is_standard)
    assert len(text) < LONGEST_QUERY
    assert text.isascii()
    assert ("@duration" in text) is is_standard


# Rows as the service writes them.


def row(**values: str) -> list[dict[str, str]]:
    """Return a row in the documented shape, all values text; given ones replace the usual ones, empty ones go."""
    usual = {
        "@log": "123456789012:/aws/lambda/orders",
        "memory": "1.28E8",
        "week": "2026-11-19 00:00:00.000",
        "cold": "0",
        "runs": "1200",
        "meanMs": "101.5512",
        "stddevMs": "12.25",
        "p0": "80.1", "p5": "85", "p25": "95", "p50": "100", "p75": "110", "p90": "120", "p95": "130", "p99": "150",
        "p100": "400.25",
        "meanBilledMs": "102.05",
        "mostMemoryUsed": "7.9E7",
    }  # fmt: skip
    names = {"log": "@log", "stream_function": "streamFunction"}
    usual |= {names.get(name, name): value for name, value in values.items()}
    return [{"field": name, "value": value} for name, value in usual.items() if value]


def read(**values: str) -> Row:
    (found,), damaged = read_rows([row(**values)])
    assert damaged == 0
    return found


def test_memory_is_in_bytes_of_ten_to_the_sixth() -> None:
    found = read()
    assert (found.memory_mb, found.max_memory_used_mb) == (128, 79)
    assert read(memory="128000000").memory_mb == 128
    assert read(memory="1.0240E10", mostMemoryUsed="").memory_mb == 10_240
    assert read(memory="10240", mostMemoryUsed="4096").max_memory_used_mb == 4096


def test_all_figures_of_a_row_are_read() -> None:
    found = read()
    assert (found.runs, found.mean_ms, found.stddev_ms, found.billed_ms) == (1200, 101.5512, 12.25, 102.05)
    assert found.ranks == dict(zip(PERCENTILES, (80.1, 85, 95, 100, 110, 120, 130, 150, 400.25), strict=True))
    assert (found.week, found.function, found.log_group) == ("2026-11-19", "orders", "/aws/lambda/orders")


@pytest.mark.parametrize(
    ("written", "cold"), [("1", True), ("true", True), ("0", False), ("false", False), ("", False)]
)
def test_cold_is_told_however_a_boolean_is_written(written: str, *, cold: bool) -> None:
    assert read(cold=written).cold is cold


def test_an_empty_field_is_like_a_missing_one() -> None:
    values = [
        *row(),
        *({"field": name, "value": ""} for name in ("streamFunction", "status", "errorType", "meanInitMs")),
    ]
    (found,), damaged = read_rows([values])
    assert damaged == 0
    assert found == read()


@pytest.mark.parametrize(
    "values",
    [
        {"runs": ""},
        {"runs": "0"},
        {"runs": "1.5"},
        {"runs": "1e30"},
        {"meanMs": ""},
        {"meanMs": "NaN"},
        {"meanMs": "-1"},
        {"meanMs": "1e10"},
        {"meanMs": "fast"},
        {"memory": ""},
        {"memory": "64"},
        {"memory": "20480"},
        {"memory": "1.285E8"},
        {"memory": "Infinity"},
        {"stddevMs": "Infinity"},
        {"mostMemoryUsed": "1e300"},
        {"log": ""},
        {"log": "123456789012:"},
    ],
    ids=str,
)
def test_a_row_that_cannot_be_true_is_counted_and_left_out(values: dict[str, str]) -> None:
    rows, damaged = read_rows([row(), row(**values)])
    assert (len(rows), damaged) == (1, 1)


def test_percentiles_out_of_order_are_not_believed() -> None:
    assert read(p5="99999").ranks is None
    assert read(p99="").ranks is None


def test_the_spread_of_a_single_run_is_not_known() -> None:
    assert read(runs="1", stddevMs="0").stddev_ms is None


@pytest.mark.parametrize(
    ("log_group", "function"),
    [("/aws/lambda/orders", "orders"), ("/aws/lambda/", None), ("/shop/aws/lambda/x", None), ("/shop", None)],
)
def test_a_log_group_names_its_function(log_group: str, function: str | None) -> None:
    assert function_of(log_group) == function


# Weeks.


def weekly(durations_ms: list[float], *, week: str, memory_mb: int = 512, **more: Any) -> Row:
    values = sorted(durations_ms)
    cuts = [values[min(len(values) - 1, math.ceil(rank / 100 * (len(values) - 1)))] for rank in PERCENTILES]
    return Row(
        log_group="/aws/lambda/orders",
        function="orders",
        memory_mb=memory_mb,
        week=week,
        cold=False,
        status="ok",
        error=None,
        runs=len(values),
        mean_ms=statistics.fmean(values),
        stddev_ms=statistics.stdev(values) if len(values) > 1 else None,
        ranks=dict(zip(PERCENTILES, cuts, strict=True)),
        **more,
    )


def drawn(count: int, mean_ms: float, spread: float = 0.1, seed: int = 1) -> list[float]:
    draw = random.Random(seed)  # noqa: S311 - the same numbers every time
    return [max(1.0, draw.gauss(mean_ms, spread * mean_ms)) for _ in range(count)]


def test_pooled_weeks_have_the_mean_and_the_spread_of_all_runs() -> None:
    first, second, third = drawn(400, 100), drawn(37, 180, seed=2), [250.0]
    (summary,) = pool([weekly(first, week="a"), weekly(second, week="b"), weekly(third, week="c")])
    everything = [*first, *second, *third]
    assert summary.count == 438
    assert summary.mean_ms == pytest.approx(statistics.fmean(everything))
    assert summary.stddev_ms == pytest.approx(statistics.stdev(everything))


def test_a_single_week_keeps_its_percentiles() -> None:
    one = weekly(drawn(100, 50), week="a")
    (summary,) = pool([one])
    assert one.ranks is not None
    assert (summary.p50_ms, summary.p95_ms, summary.p99_ms) == (one.ranks[50], one.ranks[95], one.ranks[99])


def test_pooled_percentiles_are_close_to_those_of_all_runs_and_within_the_weeks_own() -> None:
    weeks = [drawn(3000, 100), drawn(1000, 140, seed=2), drawn(500, 90, 0.3, seed=3)]
    rows = [weekly(durations, week=str(place)) for place, durations in enumerate(weeks)]
    everything = sorted(duration for week in weeks for duration in week)
    pooled = pooled_percentiles(rows, (50, 95, 99))
    assert pooled is not None
    for rank, found in zip((50, 95, 99), pooled, strict=True):
        assert found == pytest.approx(everything[int(rank / 100 * len(everything))], rel=0.05)
        own = [week.ranks[rank] for week in rows if week.ranks]
        assert min(own) <= found <= max(own)


def test_without_the_percentiles_of_one_week_there_are_none_of_all() -> None:
    rows = [read(), read(p5="", week="2026-11-12 00:00:00.000")]
    (summary,) = pool(rows)
    assert (summary.p50_ms, summary.p95_ms) == (None, None)
    assert summary.mean_ms == pytest.approx(101.5512)


def test_weeks_that_differ_are_told_with_their_durations() -> None:
    rows = [weekly(drawn(200, 120), week="2026-11-12"), weekly(drawn(200, 160, seed=2), week="2026-11-19")]
    (warning,) = weekly_doubts(rows)
    assert (warning.code, warning.memory_mb) == ("weeks-differ", 512)
    assert "2026-11-12" in warning.message
    assert "2026-11-19" in warning.message


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (drawn(200, 120), drawn(200, 125, seed=2)),  # within 10 %
        (drawn(10, 120), drawn(200, 240, seed=2)),  # too few runs to tell
        (drawn(20, 120, 0.8), drawn(20, 140, 0.8, seed=2)),  # within the noise
    ],
)
def test_weeks_that_do_not_differ_beyond_noise_are_not_told(first: list[float], second: list[float]) -> None:
    assert not list(weekly_doubts([weekly(first, week="2026-11-12"), weekly(second, week="2026-11-19")]))


def test_cold_and_failed_runs_do_not_make_weeks_differ() -> None:
    row = weekly(drawn(200, 120), week="2026-11-12")
    assert not list(weekly_doubts([row]))


def test_sizes_that_never_ran_in_the_same_week_are_told() -> None:
    rows = [weekly(drawn(50, 120), week="2026-11-12"), weekly(drawn(50, 60), week="2026-11-19", memory_mb=1024)]
    assert [warning.code for warning in weekly_doubts(rows)] == ["sizes-in-different-weeks"]
    rows.append(weekly(drawn(50, 61), week="2026-11-12", memory_mb=1024))
    assert not list(weekly_doubts(rows))


# Times.


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        ("14d", None, ("2026-11-11T12:00", "2026-11-25T12:00")),
        ("12h", None, ("2026-11-25T00:00", "2026-11-25T12:00")),
        ("90m", None, ("2026-11-25T10:30", "2026-11-25T12:00")),
        ("2w", "1w", ("2026-11-11T12:00", "2026-11-18T12:00")),
        ("2026-11-01", "2026-11-02", ("2026-11-01T00:00", "2026-11-02T00:00")),
        ("2026-11-01T09:30Z", "1d", ("2026-11-01T09:30", "2026-11-24T12:00")),
        ("2026-11-01T09:30+02:00", None, ("2026-11-01T07:30", "2026-11-25T12:00")),
    ],
)
def test_times_are_ago_or_dates_in_utc(since: str, until: str | None, expected: tuple[str, str]) -> None:
    first, last = (int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()) for moment in expected)
    assert parse_window(since, until, NOW) == Window(first, last)


@pytest.mark.parametrize(
    "since", ["", "14", "14 days", "-1d", "yesterday", "2026-13-01", "999999w", "1066-10-14", "1d2h"]
)
def test_what_is_no_time_is_refused_with_the_forms_there_are(since: str) -> None:
    with pytest.raises(UsageError, match="is no time") as caught:
        parse_window(since, None, NOW)
    assert "14d" in caught.value.hint


@pytest.mark.parametrize(("since", "until"), [("1d", "2d"), ("1d", "1d"), ("2027-01-01", None)])
def test_a_window_that_ends_before_it_begins_is_refused(since: str, until: str | None) -> None:
    with pytest.raises(UsageError, match="is not before"):
        parse_window(since, until, NOW)


def test_a_window_is_told_in_utc() -> None:
    assert parse_window("1d", None, NOW).in_words == "2026-11-24 12:00 to 2026-11-25 12:00 UTC"
