"""Every shape that durations are recorded in is told by its content, alone, compressed, and mixed with all others.

Shapes: reference pages of CloudWatch Logs, Logs Insights, Lambda Insights and AWS CLI, and tests/data.
"""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from powertune.cli.main import main

DATA = Path(__file__).parents[1] / "data"
STREAM = "2025/05/12/[$LATEST]5b1105a6c0ffee5b1105a6c0ffee0000"
SHARED_STREAM = "2025/05/12/orders[$LATEST]5b1105a6c0ffee5b1105a6c0ffee0000"
ARN = "arn:aws:lambda:eu-central-1:123456789012:function:"


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def run(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document

    def size(self, memory_mb: int) -> dict[str, Any]:
        [found] = [size for size in self.run["sizes"] if size["memory_mb"] == memory_mb]
        assert isinstance(found, dict)
        return found

    def means(self) -> dict[int, float]:
        return {size["memory_mb"]: size["duration_ms"]["mean"] for size in self.run["sizes"] if size["duration_ms"]}

    def warnings(self) -> dict[str, str]:
        return {warning["code"]: warning["message"] for warning in self.run["warnings"]}


Estimate = Callable[..., Done]
Write = Callable[..., str]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file and return its name."""

    def write_file(content: str | bytes, name: str = "input") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return name

    return write_file


@pytest.fixture
def estimate(capfd: pytest.CaptureFixture[str]) -> Estimate:
    """Run estimate in this process. The result is JSON unless another format is asked for."""

    def run(*arguments: str) -> Done:
        capfd.readouterr()
        code = main(["estimate", "--format", "json", "-q", *arguments])
        return Done(code, *capfd.readouterr())

    return run


def report(number: int, memory_mb: int, ms: float, more: str = "") -> str:
    return (
        f"REPORT RequestId: 00000000-0000-0000-0000-{number:012}\tDuration: {ms:.2f} ms\t"
        f"Billed Duration: {int(ms) + 1} ms\tMemory Size: {memory_mb} MB\tMax Memory Used: 60 MB\t{more}\n"
    )


def json_report(number: int, memory_mb: int, ms: float) -> str:
    metrics = {"durationMs": ms, "billedDurationMs": int(ms) + 1, "memorySizeMB": memory_mb, "maxMemoryUsedMB": 60}
    record = {"requestId": f"10000000-0000-0000-0000-{number:012}", "status": "success", "metrics": metrics}
    document = {"time": "2026-11-23T00:00:00.000Z", "type": "platform.report", "record": record}
    return json.dumps(document, separators=(",", ":"))


def event(message: str, number: int = 0, **more: object) -> dict[str, object]:
    return {
        "logStreamName": STREAM, "timestamp": 1747081446310 + number, "message": message,
        "ingestionTime": 1747081455176, "eventId": f"3896{number}", **more,
    }  # fmt: skip


def messages(first: int = 1) -> list[str]:
    """Return the events of three invocations, as text and JSON."""
    return [
        f"START RequestId: 00000000-0000-0000-0000-{first:012} Version: $LATEST\n",
        "some words of the program\n",
        report(first, 128, 5.5),
        report(first + 1, 128, 6.5) + "XRAY TraceId: 1-6a7a67c2-0701\tSegmentId: d002\tSampled: true\t\n",
        json_report(first, 256, 4.5) + "\n",
        '{"level":"INFO","memory":5,"ms":3,"message":"a line of the program"}\n',
    ]


EXPECTED = {128: 6.0, 256: 4.5}

TEXT_LOG = "".join(messages())
PRETTY_LOG = (
    report(1, 128, 5.5) + report(2, 128, 6.5) + json.dumps(json.loads(json_report(1, 256, 4.5)), indent=4) + "\n"
)
FILTERED = {
    "events": [event(message, number) for number, message in enumerate(messages())],
    "searchedLogStreams": [],
    "nextToken": "Bxkq6kVGFtq2y_MoigeqscPOdhXVbhiVtLoAmXb5jCqI7fSKGU",
}
SUBSCRIPTION = {
    "messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "/aws/lambda/orders", "logStream": STREAM,
    "subscriptionFilters": ["all"],
    "logEvents": [
        {"id": f"3{number}", "timestamp": 1747081446310 + number, "message": message}
        for number, message in enumerate(messages())
    ],
}  # fmt: skip
CONTROL = {"messageType": "CONTROL_MESSAGE", "logGroup": "", "logStream": "", "logEvents": [
    {"id": "", "timestamp": 1747081446310, "message": "CWL CONTROL MESSAGE: Checking health of destination Firehose."}
]}  # fmt: skip


def tailed(form: str) -> str:
    """Return what `aws logs tail` prints."""
    lines = []
    for number, message in enumerate(messages()):
        text = message.rstrip()
        if form == "detailed":
            lines.append(f"2025-05-12T20:24:0{number}.310000+00:00 {STREAM} {text}")
        elif form == "short":
            lines.append(f"2025-05-12T20:24:0{number} {text}")
        elif form == "json":
            text = "\n" + json.dumps(json.loads(text), indent=4) if text.startswith("{") else text
            lines.append(f"2025-05-12T20:24:0{number}.310000+00:00 {STREAM} {text}")
        elif form == "coloured":
            lines.append(f"\x1b[32m2025-05-12T20:24:0{number}.310000+00:00\x1b[0m \x1b[36m{STREAM}\x1b[0m {text}")
        else:
            lines.append(json.dumps(event(message, number)))
    return "\n".join(lines) + "\n"


def exported(stamp: str = "iso") -> str:
    """Return an export to S3: one event a line, the time before it."""
    times = (
        f"2025-05-12T20:24:0{number}.310Z" if stamp == "iso" else str(1747081446310 + number) for number in range(9)
    )
    return "".join(f"{time} {message}" for time, message in zip(times, messages(), strict=False))


def from_sam() -> str:
    return "".join(
        f"{STREAM} 2025-05-12T20:24:0{number}.310000 {message.rstrip()}\n" for number, message in enumerate(messages())
    ).replace("\t", "  ")


def insights_row(number: int, memory_mb: int, ms: float) -> list[dict[str, str]]:
    fields = {
        "@timestamp": "2025-05-12 20:24:06.310", "@type": "REPORT", "@requestId": f"20-{number}", "@duration": f"{ms}",
        "@billedDuration": f"{int(ms) + 1}.0", "@memorySize": f"{memory_mb / 100}E8", "@maxMemoryUsed": "7.9E7",
        "@ptr": "CmEKJgoiNjA",
    }  # fmt: skip
    return [{"field": name, "value": value} for name, value in fields.items()]


RESULTS = {
    "results": [insights_row(1, 128, 5.5), insights_row(2, 128, 6.5), insights_row(3, 256, 4.5)],
    "statistics": {"recordsMatched": 3.0, "recordsScanned": 9.0, "bytesScanned": 999.0},
    "status": "Complete",
}
RESULTS_OF_MESSAGES = {
    "results": [
        [{"field": "@timestamp", "value": "2025-05-12 20:24:06.310"}, {"field": "@message", "value": message}]
        for message in messages()
    ],
    "status": "Complete",
}
INSIGHTS_CSV = (
    "@timestamp,@requestId,@duration,@billedDuration,@memorySize,@maxMemoryUsed\n"
    "2025-05-12 20:24:06.310,20-1,5.5,6.0,1.28E8,7.9E7\n"
    "2025-05-12 20:24:07.310,20-2,6.5,7.0,128000000,7.9E7\n"
    "2025-05-12 20:24:08.310,20-3,4.5,5.0,2.56E8,7.9E7\n"
    "2025-05-12 20:24:09.310,20-4,,,,\n"
)
INSIGHTS_MESSAGES_CSV = "@timestamp,@message,@log\n" + "".join(
    '2025-05-12 20:24:06.310,"{}",123456789012:/aws/lambda/orders\n'.format(message.replace('"', '""'))
    for message in messages()
)

FORMATS: dict[str, str | bytes] = {
    "text": TEXT_LOG,
    "pretty": PRETTY_LOG,
    "CRLF": TEXT_LOG.replace("\n", "\r\n"),
    "filtered": json.dumps(FILTERED, indent=4),
    "filtered on one line": json.dumps(FILTERED),
    "filtered, output of one key": json.dumps(FILTERED["events"], indent=4),
    "tailed": tailed("detailed"),
    "tailed short": tailed("short"),
    "tailed json": tailed("json"),
    "tailed none": tailed("none"),
    "tailed in colour": tailed("coloured"),
    "sam": from_sam(),
    "exported": exported(),
    "exported with ms": exported("ms"),
    "exported in gzip": gzip.compress(exported().encode()),
    "subscription": json.dumps(SUBSCRIPTION),
    "subscription in gzip": gzip.compress(json.dumps(SUBSCRIPTION).encode()),
    "subscription, sorted": json.dumps(SUBSCRIPTION, sort_keys=True, indent=1),
    "Firehose": json.dumps(CONTROL) + json.dumps(SUBSCRIPTION) + json.dumps(CONTROL),
    "Firehose in gzip members": gzip.compress(json.dumps(CONTROL).encode())
    + gzip.compress(json.dumps(SUBSCRIPTION).encode()),
    "live tail": json.dumps(
        {"sessionResults": [event(m, logGroupIdentifier="123456789012:/aws/lambda/orders") for m in messages()]}
    ),
    "Insights results": json.dumps(RESULTS, indent=4),
    "Insights results on one line": json.dumps(RESULTS),
    "Insights results alone": json.dumps(RESULTS["results"]),
    "Insights results of messages": json.dumps(RESULTS_OF_MESSAGES, indent=4),
    "Insights CSV": INSIGHTS_CSV,
    "Insights CSV of messages": INSIGHTS_MESSAGES_CSV,
    "CSV": "memory_mb,duration_ms\n128,5.5\n128,6.5\n256,4.5\n",
    "JSON lines": '{"memory_mb":128,"duration_ms":5.5}\n{"memory_mb":128,"duration_ms":6.5}\n'
    '{"memory_mb":256,"duration_ms":4.5}\n',
    "JSON lines with what was billed": '{"memory_size":128,"duration":5.5,"billed_duration":6}\n'
    '{"memory_size":128,"duration":6.5,"billed_duration":7}\n{"memory_size":256,"duration":4.5,"billed_duration":5}\n',
    "JSON lines of another tool": '{"memorySizeMB":128,"durationMs":5.5}\n{"memorySizeMB":128,"durationMs":6.5}\n'
    '{"memorySizeMB":256,"durationMs":4.5}\n',
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_told_by_its_content(estimate: Estimate, write: Write, name: str) -> None:
    done = estimate(write(FORMATS[name]))
    assert done.code == 0, done.err
    assert done.means() == EXPECTED
    assert done.size(128)["invocations"] == {"warm": 2, "cold": 0, "failed": 0}
    assert "damaged-records" not in done.warnings()


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_told_by_its_content_among_all_others(estimate: Estimate, write: Write, name: str) -> None:
    """Each of the others holds other sizes, so that what is missing or too much shows."""
    content = FORMATS[name]
    text = (gzip.decompress(content) if isinstance(content, bytes) else content.encode()).decode()
    others = "".join(report(900 + number, 1024, 2.5) for number in range(3)) + "a line of a program\n"
    table = "memory_mb,duration_ms\n2048,1.5\n"
    for mixed in (others + text + "\n" + others, table + text + "\n" + others, others + text + "\n" + table):
        done = estimate(write(mixed))
        assert done.code == 0, done.err
        means = done.means()
        assert {size: means.get(size) for size in EXPECTED} == EXPECTED
        assert means[1024] == 2.5
        assert set(means) <= {*EXPECTED, 1024, 2048}
        assert "damaged-records" not in done.warnings()


def test_a_file_that_mixes_all_formats_is_read(estimate: Estimate, write: Write) -> None:
    texts = [
        (gzip.decompress(content) if isinstance(content, bytes) else content.encode()).decode().rstrip("\n")
        for content in FORMATS.values()
    ]
    done = estimate(write("\n".join(texts) + "\n"), "--function", "orders")
    assert done.code == 0, done.err
    assert set(done.means()) == {128, 256}
    assert done.means()[256] == 4.5
    # Each request id counts once; rows without one count each time they stand there.
    assert "damaged-records" not in done.warnings()


def test_lines_that_are_damaged_are_counted_and_shown(estimate: Estimate, write: Write) -> None:
    damaged = (
        report(7, 128, 9.5)[:70] + "\n"
        + json_report(8, 128, 9.5)[:150] + "\n"
        + json.dumps(event(report(9, 128, 9.5)[:90])) + "\n"
        + "https://lambda-power-tuning.show/#gAAAAQAC;AAAA;AAAA\n"
    )  # fmt: skip
    done = estimate(write(TEXT_LOG + damaged + TEXT_LOG.replace("0000-0000-0000", "0000-0000-0001")))
    assert done.means() == EXPECTED
    assert done.size(128)["invocations"]["warm"] == 4
    assert "4 REPORT records" in done.warnings()["damaged-records"]


# --- which function ---


def test_a_log_group_tells_functions_apart(estimate: Estimate, write: Write) -> None:
    other = {**SUBSCRIPTION, "logGroup": "/aws/lambda/billing"}
    name = write(json.dumps(SUBSCRIPTION) + json.dumps(other))
    for function in ("orders", "billing"):
        done = estimate(name, "--function", function)
        assert done.means() == EXPECTED
        assert done.run["function"]["name"] == function


@pytest.mark.parametrize(
    "content",
    [
        tailed("detailed").replace(STREAM, SHARED_STREAM),
        tailed("none").replace(STREAM, SHARED_STREAM),
        json.dumps(FILTERED).replace(STREAM, SHARED_STREAM),
        from_sam().replace(STREAM, SHARED_STREAM),
    ],
)
def test_a_stream_of_a_shared_log_group_tells_the_function(estimate: Estimate, write: Write, content: str) -> None:
    done = estimate(write(content + tailed("detailed").replace(STREAM, SHARED_STREAM.replace("orders", "billing"))),
                    "--function", "orders")  # fmt: skip
    assert done.code == 0, done.err
    assert done.run["function"]["name"] == "orders"
    assert done.size(128)["invocations"]["warm"] == 2


def start(number: int, function: str) -> str:
    record = {"requestId": f"10000000-0000-0000-0000-{number:012}", "functionArn": ARN + function, "version": "1"}
    return json.dumps({"time": "2026-11-23T00:00:00.000Z", "type": "platform.start", "record": record},
                      separators=(",", ":"))  # fmt: skip


def test_the_function_of_a_json_log_is_the_one_that_was_started(estimate: Estimate, write: Write) -> None:
    lines = [json_report(1, 128, 5.5), start(2, "orders:7"), json_report(2, 128, 6.5), json_report(3, 256, 4.5)]
    done = estimate(write("\n".join(lines)))
    assert done.means() == EXPECTED
    assert done.run["function"]["name"] == "orders"
    assert done.run["function"]["region"] == done.run["pricing"]["region"] == "eu-central-1"


def test_json_logs_of_several_functions_are_told_apart_by_request(estimate: Estimate, write: Write) -> None:
    lines = []
    for number in range(20):
        lines += [start(2 * number, "orders"), start(2 * number + 1, "billing")]
        lines += [json_report(2 * number + 1, 256, 4.5), json_report(2 * number, 128, 6.5)]
    name = write("\n".join(lines))
    assert estimate(name, "--function", "orders").means() == {128: 6.5}
    assert estimate(name, "--function", "billing").means() == {256: 4.5}


# --- what was measured elsewhere ---

ALPT_OUTPUT = {
    "power": 512, "cost": 2.7e-05, "duration": 3194.9,
    "stateMachine": {"executionCost": 0.0006, "lambdaCost": 0.01, "visualization": "https://lambda-power-tuning.show/#"},
    "stats": [
        {"value": 128, "averagePrice": 2.45e-05, "averageDuration": 11722.9},
        {"value": "512", "averagePrice": 2.7e-05, "averageDuration": 3194.9},
    ],
}  # fmt: skip
CHART = "gAAAAQACAAQABsAL;ZooQR4yvkUa/pQRGRC5zRaADHUVjOftE;QdWhOEMkoziDT5Q4xhiIOMYYiDi6RNc4"
COMPARED = (
    "gAEAAgAEAAYACA==;Go9qRqDLVUbymEpGgC0jRn/iMkY=;41bGOHAK8Th8bWQ5mvyJObyvyTk=;"
    "gAEAAgAEAAYACA==;0+hrRh7TR0YDoxBG/mQCRjclCkY=;sX2hOBZhtji8AgQ5ZIcyOV8vfDk=;JS%20x86;JS%20ARM64"
)


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("indent", [None, 4])
def test_alpts_output_is_read(estimate: Estimate, write: Write, wrapped: bool, indent: int | None) -> None:  # noqa: FBT001
    document = {"results": ALPT_OUTPUT} if wrapped else ALPT_OUTPUT
    assert estimate(write(json.dumps(document, indent=indent))).means() == {128: 11722.9, 512: 3194.9}


def test_alpts_output_without_statistics_is_read_from_its_chart(estimate: Estimate, write: Write) -> None:
    machine = {"visualization": f"https://lambda-power-tuning.show/#{CHART}"}
    document = {key: value for key, value in ALPT_OUTPUT.items() if key != "stats"} | {"stateMachine": machine}
    assert set(estimate(write(json.dumps(document))).means()) == {128, 256, 512, 1024, 1536, 3008}
    del document["stateMachine"]
    assert estimate(write(json.dumps(document))).means() == {512: 3194.9}


@pytest.mark.parametrize("before", ["", "Result: ", '{"visualization": "', "TEXT", "TABLE"])
def test_links_to_alpts_chart_are_read(estimate: Estimate, write: Write, before: str) -> None:
    before = {"TEXT": TEXT_LOG, "TABLE": "memory_mb,duration_ms\n128,5.5\n"}.get(before, before)
    done = estimate(write(f"{before}https://lambda-power-tuning.show/#{CHART}\n"))
    assert done.means()[1536] == pytest.approx(2512.2265625)
    assert done.means()[3008] == pytest.approx(2009.7933349609375)


def test_a_link_that_compares_two_results_holds_two_functions(estimate: Estimate, write: Write) -> None:
    name = write(f"https://lambda-power-tuning.show/#{COMPARED}")
    first = estimate(name, "--function", "JS x86").means()
    second = estimate(name, "--function", "JS ARM64").means()
    assert first[384] == pytest.approx(15011.775390625)
    assert set(first) == set(second) == {384, 512, 1024, 1536, 2048}
    assert first != second


def performance(number: int, memory_mb: int, duration: float, cpu: float, **more: object) -> dict[str, object]:
    return {
        "_aws": {"Timestamp": 1605034324256 + number, "CloudWatchMetrics": [{"Namespace": "LambdaInsights"}]},
        "event_type": "performance", "function_name": "cpu-intensive", "version": "Blue",
        "request_id": f"12345678-8bcc-42f7-b1de-{number:012}", "duration": duration, "billed_duration": duration + 1,
        "cold_start": False, "threads_max": 11, "used_memory_max": 63, "total_memory": memory_mb,
        "memory_utilization": 24, "cpu_user_time": cpu - 50, "cpu_system_time": 50, "cpu_total_time": cpu,
        "agent_version": "1.0.72.0", **more,
    }  # fmt: skip


@pytest.mark.parametrize("wrapped", [False, True])
def test_with_cpu_time_one_memory_size_is_enough(estimate: Estimate, write: Write, wrapped: bool) -> None:  # noqa: FBT001
    # All of it computing: at 256 MB it gets 256/1769 of a CPU.
    documents = [performance(number, 256, 6690 * 1769 / 256, 6690) for number in range(30)]
    lines = [json.dumps(event(json.dumps(document)) if wrapped else document) for document in documents]
    done = estimate(write("\n".join(lines)), "-m", "256,512,1024,1769,3008")
    assert done.code == 0, done.err
    assert done.run["function"]["name"] == "cpu-intensive"
    assert done.size(256)["basis"] == "measured"
    for memory_mb in (512, 1024, 1769, 3008):
        size = done.size(memory_mb)
        assert size["basis"] == "scaled"
        # Smaller sizes stop more often, and each stop costs some CPU: at 256 MB that is 3.5 % more than at one vCPU.
        assert size["duration_ms"]["mean"] == pytest.approx(6690 * 1769 / min(memory_mb, 1769), rel=0.04)
    assert "scaled-by-cpu-time" in done.warnings()


def test_what_a_function_waits_is_not_scaled(estimate: Estimate, write: Write) -> None:
    lines = [json.dumps(performance(number, 1769, 1100, 100)) for number in range(30)]
    done = estimate(write("\n".join(lines)), "-m", "256,1769")
    assert done.size(256)["duration_ms"]["mean"] == pytest.approx(1000 + 100 * 1769 / 256, rel=0.05)


def test_the_usual_sizes_are_estimated_from_cpu_time(estimate: Estimate, write: Write) -> None:
    done = estimate(write("\n".join(json.dumps(performance(number, 256, 700, 90)) for number in range(30))))
    assert {128, 256, 512, 1024, 1769, 3008} <= set(done.means())


def test_a_timeout_seen_by_lambda_insights_is_a_failure(estimate: Estimate, write: Write) -> None:
    lines = [json.dumps(performance(number, 256, 700, 90)) for number in range(3)]
    lines.append(json.dumps(performance(9, 256, 3000, 400, timeout=True, shutdown_reason="Timeout")))
    assert estimate(write("\n".join(lines))).size(256)["invocations"] == {"warm": 3, "cold": 0, "failed": 1}


def test_an_invocation_that_lambda_insights_saw_counts_once_beside_its_record(estimate: Estimate, write: Write) -> None:
    both = json.dumps(performance(1, 128, 5, 3)).replace("12345678-8bcc-42f7-b1de", "00000000-0000-0000-0000")
    done = estimate(write(both + "\n" + report(1, 128, 5.5)))
    assert done.size(128)["invocations"]["warm"] == 1
    assert done.means()[128] == 5.5


# --- real data ---


def test_all_records_that_were_met_in_public_are_read(estimate: Estimate) -> None:
    done = estimate(str(DATA / "report_lines.txt"))
    assert done.code == 0
    runs = [sum(size["invocations"].values()) for size in done.run["sizes"]]
    assert sum(runs) == 37
    assert "damaged-records" not in done.warnings()


# --- where files lie ---


def test_folders_are_read_with_all_that_lies_below(estimate: Estimate, write: Write, tmp_path: Path) -> None:
    write(report(1, 128, 5.5), "logs/a.log")
    write(gzip.compress(report(2, 128, 6.5).encode()), "logs/deep/er/b.gz")
    write("memory_mb,duration_ms\n256,4.5\n", "logs/deep/c.csv")
    write("Permission Check Successful", "logs/aws-logs-write-test")
    write(b"\x89PNG\r\n\x1a\n\0\0", "logs/picture.png")
    write("not meant", "logs/.hidden")
    os.mkfifo(tmp_path / "logs" / "pipe")
    (tmp_path / "logs" / "deep" / "loop").symlink_to(tmp_path / "logs")
    (tmp_path / "logs" / "again.log").symlink_to(tmp_path / "logs" / "a.log")
    (tmp_path / "logs" / "nowhere").symlink_to(tmp_path / "gone")
    done = estimate("logs")
    assert done.code == 0, done.err
    assert done.means() == EXPECTED
    assert done.size(128)["invocations"]["warm"] == 2
    assert "2 files in folders left out" in done.warnings()["silent-files"]


def test_a_folder_in_which_nothing_is_recorded_is_bad_input(estimate: Estimate, write: Write) -> None:
    write("Permission Check Successful", "logs/aws-logs-write-test")
    done = estimate("logs")
    assert done.code == 3
    assert "aws-logs-write-test" in done.err


def test_patterns_are_expanded_where_the_shell_did_not(estimate: Estimate, write: Write) -> None:
    write(report(1, 128, 5.5), "a1.log")
    write(report(2, 128, 6.5), "deep/a2.log")
    write(report(3, 256, 4.5), "[a].log")
    assert estimate("**/a?.log").means() == {128: 6.0}
    assert estimate("[a].log").means() == {256: 4.5}
    done = estimate("b*.log")
    assert done.code == 3
    assert "b*.log" in done.err


def test_standard_input_may_stand_beside_files(write: Write) -> None:
    name = write(report(1, 128, 5.5))
    done = subprocess.run(
        [sys.executable, "-m", "powertune", "estimate", name, "-", "-f", "json"],
        input=report(2, 128, 6.5) + report(3, 256, 4.5),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert Done(done.returncode, done.stdout, done.stderr).means() == EXPECTED


# --- files that are not as they should be ---


def test_a_packed_file_that_breaks_off_says_how_far_it_goes(estimate: Estimate, write: Write) -> None:
    text = "".join(report(number, 128 if number % 2 else 256, 4.5) for number in range(20_000))
    name = write(gzip.compress(text.encode())[:-5000], "cut.gz")
    done = estimate(name)
    assert done.code == 3
    assert "cut.gz is compressed and damaged behind" in done.err
    assert "--skip-invalid" in done.err
    kept = estimate(name, "--skip-invalid")
    assert kept.code == 0
    assert kept.means() == {128: 4.5, 256: 4.5}
    assert "damaged behind" in kept.warnings()["damaged-file"]


def test_a_file_with_a_hole_of_ten_gigabytes_is_read_at_once(estimate: Estimate, tmp_path: Path) -> None:
    with (tmp_path / "sparse.log").open("wb") as stream:
        stream.write(TEXT_LOG.encode())
        stream.seek(10 << 30)
        stream.write(report(77, 512, 3.5).encode())
    done = estimate("sparse.log")
    assert done.code == 0, done.err
    assert done.means() == {**EXPECTED, 512: 3.5}
    assert "10,737 MB" in done.warnings()["damaged-file"]


def test_a_file_that_is_nothing_but_a_hole_is_empty(estimate: Estimate, tmp_path: Path) -> None:
    with (tmp_path / "sparse.log").open("wb") as stream:
        stream.truncate(10 << 30)
    done = estimate("sparse.log")
    assert done.code == 3
    assert "is empty" in done.err
    assert "10,737 MB where nothing was ever written" in done.err


def test_a_file_that_cannot_be_read_is_named(estimate: Estimate, write: Write, tmp_path: Path) -> None:
    name = write(TEXT_LOG)
    (tmp_path / name).chmod(0)
    if os.access(tmp_path / name, os.R_OK):
        pytest.skip("this user may read everything")
    assert name in estimate(name).err
