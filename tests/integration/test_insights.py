"""`powertune estimate` without files asks Logs Insights: within its limits and prices, and whatever it answers."""

import json
import math
import os
import random
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import jsonschema
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from insights_server import Event, Fault, InsightsServer

from powertune.cli.main import main
from powertune.model import run_file
from powertune.sources.aws import log_queries

SCHEMA = json.loads(Path(run_file.__file__).with_name("run-1.schema.json").read_text(encoding="utf-8"))
RUN_FILE = jsonschema.validators.validator_for(SCHEMA)(SCHEMA)
DAY_S = 86_400.0
GIGABYTE = 10**9


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @cached_property
    def runs(self) -> list[dict[str, Any]]:
        document = json.loads(self.out)
        runs: list[dict[str, Any]] = document if isinstance(document, list) else [document]
        for run in runs:
            RUN_FILE.validate(run)
        return runs

    @property
    def run(self) -> dict[str, Any]:
        (run,) = self.runs
        return run

    def size(self, memory_mb: int) -> dict[str, Any]:
        (size,) = [size for size in self.run["sizes"] if size["memory_mb"] == memory_mb]
        return dict(size)

    def warnings(self) -> dict[str, str]:
        return {warning["code"]: warning["message"] for run in self.runs for warning in run["warnings"]}


Command = Callable[..., Done]


@pytest.fixture(scope="session")
def insights_server() -> Iterator[InsightsServer]:
    with InsightsServer() as server:
        yield server


@pytest.fixture
def server(insights_server: InsightsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> InsightsServer:
    """An empty account that the command line talks to, where nobody waits long."""
    insights_server.reset()
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    settings = {
        "AWS_ENDPOINT_URL": insights_server.endpoint_url,
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(log_queries, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(log_queries, "LONGEST_PAUSE_S", 0.05)
    monkeypatch.chdir(tmp_path)
    return insights_server


@pytest.fixture
def estimate(server: InsightsServer, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run estimate in this process. The result is JSON unless another format is asked for."""
    assert server.endpoint_url

    def run(*arguments: str) -> Done:
        form = () if "-f" in arguments else ("-f", "json")
        code = main(["estimate", *arguments, *form])
        return Done(code, *capfd.readouterr())

    return run


# Events as Lambda logs them.


def text_report(
    duration_ms: float, memory_mb: int = 512, *, init_ms: float | None = None, used_mb: int = 80, ending: str = ""
) -> str:
    billed = math.ceil(round(duration_ms, 2) + (init_ms or 0.0))
    init = f"Init Duration: {init_ms:.2f} ms\t" if init_ms is not None else ""
    return (
        f"REPORT RequestId: 94f4a28a\tDuration: {duration_ms:.2f} ms\tBilled Duration: {billed} ms\t"
        f"Memory Size: {memory_mb} MB\tMax Memory Used: {used_mb} MB\t{init}{ending}\n"
    )


def json_report(duration_ms: float, memory_mb: int = 512, *, used_mb: int = 80) -> str:
    metrics = {
        "durationMs": duration_ms,
        "billedDurationMs": math.ceil(duration_ms),
        "memorySizeMB": memory_mb,
        "maxMemoryUsedMB": used_mb,
    }
    record = {"requestId": "79b5e81f", "metrics": metrics, "status": "success"}
    return json.dumps({"time": "2026-10-08T07:30:29.470Z", "type": "platform.report", "record": record})


def durations(count: int, mean_ms: float, *, spread: float = 0.1, seed: int = 1) -> list[float]:
    draw = random.Random(seed)  # noqa: S311 - the same numbers every time
    return [round(max(1.0, draw.gauss(mean_ms, spread * mean_ms)), 2) for _ in range(count)]


def events(messages: Sequence[str], *, days_ago: float = 1.0, stream: str = "2026/11/20/[$LATEST]5b11") -> list[Event]:
    """Return events of that day, each between a line before and a line after that are nobody's business."""
    at = time.time() - days_ago * DAY_S
    found = []
    for place, message in enumerate(messages):
        moment = at + place * 0.001
        found += [Event(moment, f"START RequestId: {place} Version: $LATEST\n", stream), Event(moment, message, stream)]
        found.append(Event(moment, '{"level":"INFO","message":"nothing of interest"}', stream))
    return found


def add_orders(server: InsightsServer, **more: Any) -> dict[int, list[float]]:
    """Add a function that ran at two sizes, and return its warm durations in ms by memory size in MB."""
    warm = {512: durations(60, 400), 1024: durations(40, 210, seed=2)}
    messages = [text_report(duration, memory_mb) for memory_mb, found in warm.items() for duration in found]
    server.add("/aws/lambda/orders", *events(messages), **more)
    server.add_function("orders", MemorySize=512)
    return warm


# What comes back.


def test_sizes_have_the_figures_of_the_logged_runs(server: InsightsServer, estimate: Command) -> None:
    warm = add_orders(server)
    server.add("/aws/lambda/orders", *events([text_report(900, init_ms=250.0), text_report(800, init_ms=350.0)]))
    done = estimate("--function", "orders")
    assert done.code == 0
    for memory_mb, found in warm.items():
        size = done.size(memory_mb)
        assert size["invocations"]["warm"] == len(found)
        assert size["duration_ms"]["mean"] == pytest.approx(statistics.fmean(found), rel=1e-5)
        assert size["duration_ms"]["stddev"] == pytest.approx(statistics.stdev(found), rel=1e-4)
        assert size["duration_ms"]["p95"] == pytest.approx(statistics.quantiles(found, n=20, method="inclusive")[-1])
        assert size["max_memory_used_mb"] == 80
        billed_ms = statistics.fmean(math.ceil(duration) for duration in found)
        expected = 1e6 * (billed_ms / 1000 * memory_mb / 1024 * 0.0000166667 + 0.0000002)
        assert size["cost"]["usd_per_million"] == pytest.approx(expected, rel=1e-6)
    assert done.size(512)["invocations"] == {"warm": 60, "cold": 2, "failed": 0}
    assert done.size(512)["init_ms"]["mean"] == pytest.approx(300)
    assert done.run["source"]["kind"] == "insights"
    assert done.run["source"]["log_groups"] == ["/aws/lambda/orders"]
    assert done.run["invocations"] == []
    assert done.run["spent"]["invocations"] == 0


def test_text_and_json_are_read_in_one_query(server: InsightsServer, estimate: Command) -> None:
    found = durations(40, 100)
    messages = [text_report(duration) if place % 2 else json_report(duration) for place, duration in enumerate(found)]
    server.add("/aws/lambda/orders", *events(messages))
    done = estimate("--function", "orders")
    assert done.size(512)["invocations"]["warm"] == 40
    assert done.size(512)["duration_ms"]["mean"] == pytest.approx(statistics.fmean(found), rel=1e-5)
    assert len(server.called("StartQuery")) == 1


def test_failed_runs_are_counted_and_give_no_duration(server: InsightsServer, estimate: Command) -> None:
    messages = [text_report(duration) for duration in durations(90, 100)]
    messages += [text_report(3000, ending="Status: timeout")] * 8
    messages += [
        text_report(10, used_mb=256, memory_mb=256, ending="Status: error\tError Type: Runtime.OutOfMemory")
    ] * 3
    server.add("/aws/lambda/orders", *events(messages))
    done = estimate("--function", "orders")
    assert done.size(512)["invocations"] == {"warm": 90, "cold": 0, "failed": 8}
    assert done.size(512)["duration_ms"]["p99"] < 200
    assert done.size(512)["reason"] == "8 of 98 runs failed"
    assert done.size(256)["status"] == "out-of-memory"
    assert done.size(256)["invocations"]["failed"] == 3


def test_weeks_are_pooled_and_told_where_they_differ(server: InsightsServer, estimate: Command) -> None:
    first, second, third = durations(300, 100), durations(200, 140, seed=2), durations(100, 101, seed=3)
    for days_ago, found in ((22, first), (15, second), (1, third)):
        server.add("/aws/lambda/orders", *events([text_report(duration) for duration in found], days_ago=days_ago))
    done = estimate("--function", "orders", "--since", "30d")
    everything = sorted([*first, *second, *third])
    found = done.size(512)["duration_ms"]
    assert found["mean"] == pytest.approx(statistics.fmean(everything), rel=1e-5)
    assert found["stddev"] == pytest.approx(statistics.stdev(everything), rel=1e-3)
    assert found["p50"] == pytest.approx(everything[300], rel=0.05)
    assert found["p95"] == pytest.approx(everything[570], rel=0.05)
    assert "differ between weeks" in done.warnings()["weeks-differ"]
    assert "differ between weeks" in done.err


def test_a_size_that_was_changed_for_good_is_told(server: InsightsServer, estimate: Command) -> None:
    server.add("/aws/lambda/orders", *events([text_report(400, 512)] * 30, days_ago=20))
    server.add("/aws/lambda/orders", *events([text_report(200, 1024)] * 30, days_ago=1))
    done = estimate("--function", "orders", "--since", "2026-01-01")
    assert {size["memory_mb"] for size in done.run["sizes"]} == {512, 1024}
    assert "sizes-in-different-weeks" in done.warnings()


def test_architecture_and_current_size_are_those_of_the_function(server: InsightsServer, estimate: Command) -> None:
    add_orders(server)
    server.add_function("orders", MemorySize=1024, Architectures=["arm64"], Runtime="nodejs24.x")
    done = estimate("--function", "orders")
    function = done.run["function"]
    assert (function["name"], function["architecture"], function["runtime"]) == ("orders", "arm64", "nodejs24.x")
    assert (function["current_memory_mb"], function["region"]) == (1024, "us-east-1")
    assert done.run["pricing"]["architecture"] == "arm64"


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException"])
def test_a_function_that_cannot_be_read_is_taken_for_x86_and_told(
    server: InsightsServer, estimate: Command, code: str
) -> None:
    add_orders(server)
    server.faults = [Fault("GetFunctionConfiguration", code, status=403, times=None)]
    done = estimate("--function", "orders")
    assert done.run["function"]["architecture"] == "x86_64"
    assert done.run["function"]["current_memory_mb"] is None
    assert "taken to run on x86_64" in done.warnings()["function-unknown"]
    told = estimate("--function", "orders", "--arch", "arm64", "--current", "512")
    assert told.run["function"]["architecture"] == "arm64"
    assert "function-unknown" not in told.warnings()


def test_the_recorded_rate_makes_a_month(server: InsightsServer, estimate: Command) -> None:
    add_orders(server)
    done = estimate("--function", "orders", "--since", "10d")
    assert done.run["choice"]["invocations_per_month"] == pytest.approx(100 * 730 / 240, rel=0.001)


# Which log groups.


def test_a_function_with_a_log_group_of_its_choice_is_found_there(server: InsightsServer, estimate: Command) -> None:
    server.add_function("orders", LoggingConfig={"LogFormat": "Text", "LogGroup": "/shop/all"})
    mine, others = "2026/11/20/orders[$LATEST][5b11]", "2026/11/20/invoices[$LATEST][77aa]"
    server.add(
        "/shop/all", *events([text_report(100)] * 30, stream=mine), *events([text_report(9)] * 50, stream=others)
    )
    done = estimate("--function", "orders")
    assert done.run["function"]["name"] == "orders"
    assert done.size(512)["invocations"]["warm"] == 30
    assert done.size(512)["duration_ms"]["mean"] == pytest.approx(100)


def test_functions_of_a_shared_log_group_get_a_run_each(server: InsightsServer, estimate: Command) -> None:
    for name, duration in (("orders", 100), ("invoices", 9)):
        server.add("/shop/all", *events([text_report(duration)] * 30, stream=f"2026/11/20/{name}[7][5b11]"))
        server.add_function(name)
    done = estimate("--log-group", "/shop/all")
    assert [run["function"]["name"] for run in done.runs] == ["invoices", "orders"]
    chosen = estimate("--log-group", "/shop/all", "--function", "orders")
    assert chosen.run["function"]["name"] == "orders"


def test_a_log_group_may_be_named_by_its_arn(server: InsightsServer, estimate: Command) -> None:
    add_orders(server)
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/orders:*"
    assert estimate("--log-group", arn).run["function"]["name"] == "orders"
    elsewhere = estimate("--log-group", arn.replace("us-east-1", "eu-west-1"))
    assert elsewhere.code == 2
    assert "--region" in elsewhere.err


def test_any_number_of_log_groups_is_asked_fifty_at_a_time_and_a_few_at_once(
    server: InsightsServer, estimate: Command
) -> None:
    for number in range(330):
        server.add(f"/aws/lambda/f{number:03}", *events([text_report(100 + number)] * 3))
        server.add_function(f"f{number:03}", MemorySize=512)
    server.add("/aws/other", *events([text_report(1)]))
    server.query_s = 0.5
    done = estimate("--prefix", "/aws/lambda/")
    assert done.code == 0
    assert [run["function"]["name"] for run in done.runs] == [f"f{number:03}" for number in range(330)]
    assert all(run["sizes"][0]["invocations"]["warm"] == 3 for run in done.runs)
    assert all(run["sizes"][0]["duration_ms"]["mean"] == pytest.approx(100 + n) for n, run in enumerate(done.runs))
    asked = [len(request["logGroupNames"]) for request in server.called("StartQuery")]
    assert asked == [50] * 6 + [30]
    assert server.most_at_once_seen == 4
    assert len(server.called("DescribeLogGroups")) == 7


def test_more_rows_than_fit_on_a_page_are_read_page_by_page(server: InsightsServer, estimate: Command) -> None:
    for number in range(10_200):
        server.add("/shop/all", Event(time.time() - DAY_S, text_report(50), f"2026/11/20/f{number}[7][5b11]"))
    server.add("/shop/all", *events([text_report(100)] * 3, stream="2026/11/21/last[7][5b11]"))
    done = estimate("--log-group", "/shop/all", "--function", "last")
    assert done.size(512)["invocations"]["warm"] == 3
    assert [request.get("nextToken") for request in server.called("GetQueryResults")] == [None, "10000"]


@pytest.mark.parametrize("page_size", [1, 2, 3, 100])
def test_the_size_of_pages_does_not_matter(server: InsightsServer, estimate: Command, page_size: int) -> None:
    server.page_size = page_size
    warm = add_orders(server)
    done = estimate("--function", "orders")
    assert {size["memory_mb"]: size["invocations"]["warm"] for size in done.run["sizes"]} == {512: 60, 1024: 40}
    assert done.size(512)["duration_ms"]["mean"] == pytest.approx(statistics.fmean(warm[512]), rel=1e-5)


@pytest.mark.parametrize("tells", [True, False])
def test_an_answer_that_the_service_cut_is_told(server: InsightsServer, estimate: Command, *, tells: bool) -> None:
    add_orders(server)
    server.most_rows, server.tells_result_count = 1, tells
    done = estimate("--function", "orders")
    assert ("answer-cut" in done.warnings()) is tells, "without the count a short answer looks complete"


def test_log_groups_of_other_classes_are_asked_apart_or_not_at_all(server: InsightsServer, estimate: Command) -> None:
    for name, log_class in (("a", "STANDARD"), ("b", "INFREQUENT_ACCESS"), ("c", "DELIVERY")):
        messages = [text_report(100)] * 10 + [json_report(100)] * 10
        server.add(f"/aws/lambda/{name}", *events(messages), log_class=log_class)
    done = estimate("--prefix", "/aws/lambda/")
    assert [run["function"]["name"] for run in done.runs] == ["a", "b"]
    for run in done.runs:
        (size,) = run["sizes"]
        assert (size["invocations"]["warm"], size["memory_mb"], size["max_memory_used_mb"]) == (20, 512, 80)
    assert "/aws/lambda/c left out" in done.err
    assert "Delivery" in done.err


def test_log_groups_that_hold_nothing_of_that_time_are_left_out(server: InsightsServer, estimate: Command) -> None:
    now = time.time()
    server.add("/aws/lambda/new", created_at=now - 2 * DAY_S)
    server.add("/aws/lambda/brief", created_at=now - 90 * DAY_S, retention_days=3)
    server.add("/aws/lambda/old", *events([text_report(100)] * 9, days_ago=12), created_at=now - 90 * DAY_S)
    done = estimate("--prefix", "/aws/lambda/", "--since", "14d", "--until", "10d")
    assert done.run["function"]["name"] == "old"
    (request,) = server.called("StartQuery")
    assert request["logGroupNames"] == ["/aws/lambda/old"]
    assert "/aws/lambda/brief, /aws/lambda/new left out: it holds nothing that old" in done.err
    none = estimate("--function", "new", "--since", "14d", "--until", "10d")
    assert none.code == 3
    assert "nothing that old" in none.err


def test_times_are_sent_in_seconds_and_not_from_before_there_were_logs(
    server: InsightsServer, estimate: Command
) -> None:
    created_at = time.time() - 5 * DAY_S
    add_orders(server, created_at=created_at)
    assert estimate("--function", "orders", "--since", "52w", "--until", "1m").code == 0
    (request,) = server.called("StartQuery")
    assert request["startTime"] == int(created_at)
    assert request["endTime"] == pytest.approx(time.time() - 60, abs=30)
    assert request["limit"] == 100_000


def test_edge_functions_are_told_to_have_other_prices(server: InsightsServer, estimate: Command) -> None:
    server.add("/aws/lambda/us-east-1.headers", *events([text_report(5, 128, used_mb=40)] * 30))
    done = estimate("--log-group", "/aws/lambda/us-east-1.headers")
    assert "Lambda@Edge" in done.warnings()["edge-function"]


# What it costs.


def test_the_cost_is_told_before_and_after_and_standard_output_has_the_result_alone(
    server: InsightsServer, estimate: Command
) -> None:
    add_orders(server, stored_bytes=2 * GIGABYTE, retention_days=28)
    done = estimate("--function", "orders", "--since", "14d")
    before, _, after = done.err.partition("Scanned ")
    assert "1 GB to 6.67 GB" in before
    assert "$0.0050 to $0.033 ($0.005 a GB in us-east-1" in before
    assert "other regions differ" in before
    assert "MB, about $0.0000" in after
    assert done.run["source"]["bytes_scanned"] == server.queries[0].bytes_scanned
    quiet = estimate("--function", "orders", "-q")
    assert quiet.err == ""


def test_a_scan_that_costs_is_not_started_where_nobody_can_be_asked(server: InsightsServer, estimate: Command) -> None:
    add_orders(server, stored_bytes=200 * GIGABYTE, created_at=time.time() - 7 * DAY_S)
    refused = estimate("--function", "orders")
    assert refused.code == 2
    assert "may cost up to $6.67" in refused.err
    assert "--yes" in refused.err
    assert server.called("StartQuery") == []
    assert estimate("--function", "orders", "--yes").code == 0


@pytest.mark.parametrize(("answer", "code", "asked"), [(True, 0, 1), (False, 130, 0)])
def test_a_scan_that_costs_is_asked_for_on_a_terminal(
    server: InsightsServer, estimate: Command, monkeypatch: pytest.MonkeyPatch, *, answer: bool, code: int, asked: int
) -> None:
    add_orders(server, stored_bytes=200 * GIGABYTE, created_at=time.time() - 30 * DAY_S)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: answer)
    assert estimate("--function", "orders").code == code
    assert len(server.called("StartQuery")) == asked
    assert estimate("--function", "orders", "--no-input").code == 2


def test_where_the_size_of_logs_may_not_be_read_it_is_asked(server: InsightsServer, estimate: Command) -> None:
    add_orders(server)
    server.faults = [Fault("DescribeLogGroups", "AccessDeniedException", times=None)]
    refused = estimate("--function", "orders")
    assert refused.code == 2
    assert "an unknown amount" in refused.err
    assert estimate("--function", "orders", "-y").code == 0
    assert estimate("--prefix", "/aws/", "-y").code == 4


# What goes wrong.


def test_throttled_starts_are_repeated_after_a_pause(server: InsightsServer, estimate: Command) -> None:
    add_orders(server)
    server.faults = [
        Fault("StartQuery", "ThrottlingException", times=3),
        Fault("StartQuery", "LimitExceededException", times=2),
        Fault("StartQuery", "ServiceUnavailableException", status=503),
        Fault("GetQueryResults", "ThrottlingException", times=3),
        Fault("GetQueryResults", "ServiceUnavailableException", status=503),
    ]
    assert estimate("--function", "orders").code == 0
    assert len(server.queries) == 1


def test_the_services_own_limits_are_lived_with(server: InsightsServer, estimate: Command) -> None:
    for number in range(330):
        server.add(f"/aws/lambda/f{number:03}", *events([text_report(100)]))
    server.starts_per_second, server.most_at_once, server.query_s = 5, 2, 0.05
    done = estimate("--prefix", "/aws/lambda/")
    assert len(done.runs) == 330
    assert server.most_at_once_seen == 2
    assert len(server.queries) == 7


@pytest.mark.parametrize("operation", ["StartQuery", "GetQueryResults"])
def test_a_lost_connection_is_made_again(server: InsightsServer, estimate: Command, operation: str) -> None:
    add_orders(server)
    server.faults = [Fault(operation, "", drop=True, times=2)]
    assert estimate("--function", "orders").code == 0


def test_a_page_that_is_throttled_is_asked_for_again(server: InsightsServer, estimate: Command) -> None:
    add_orders(server)
    server.page_size = 1
    server.faults = [Fault("GetQueryResults", "ThrottlingException", times=2, after=1)]
    done = estimate("--function", "orders")
    assert {size["memory_mb"] for size in done.run["sizes"]} == {512, 1024}


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ("Failed", "failed in Logs Insights"),
        ("Cancelled", "cancelled by somebody else"),
        ("Timeout", "after 60 minutes"),
        ("Unknown", "does not know what became"),
        ("Paused", "status Paused"),
    ],
)
def test_a_query_that_ends_badly_says_how(server: InsightsServer, estimate: Command, ending: str, said: str) -> None:
    add_orders(server)
    server.endings.append(ending)
    done = estimate("--function", "orders")
    assert done.code == 4
    assert done.out == ""
    assert said in done.err


def test_a_query_whose_status_is_unknown_for_a_while_is_waited_for(server: InsightsServer, estimate: Command) -> None:
    add_orders(server)
    server.endings.append("Unknown")

    def mend() -> None:
        while len(server.called("GetQueryResults")) < 4:
            time.sleep(0.005)
        server.queries[0].ending = "Complete"

    mending = threading.Thread(target=mend)
    mending.start()
    assert estimate("--function", "orders").code == 0
    mending.join()


def test_one_failed_query_does_not_lose_the_others(server: InsightsServer, estimate: Command) -> None:
    for number in range(60):
        server.add(f"/aws/lambda/f{number:02}", *events([text_report(100)] * 3))
    server.endings.append("Failed")
    done = estimate("--prefix", "/aws/lambda/")
    assert done.code == 0
    assert [run["function"]["name"] for run in done.runs] == [f"f{number}" for number in range(50, 60)]
    assert "/aws/lambda/f00, /aws/lambda/f01, /aws/lambda/f02 and 47 log groups more left out" in done.err


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("AccessDeniedException", "querying the logs is not allowed"),
        ("ExpiredTokenException", "does not accept these credentials"),
    ],
)
@pytest.mark.parametrize("operation", ["StartQuery", "GetQueryResults"])
def test_what_aws_refuses_is_told_and_nothing_is_left_running(
    server: InsightsServer, estimate: Command, operation: str, code: str, said: str
) -> None:
    add_orders(server)
    server.query_s = 30
    server.faults = [Fault(operation, code, times=None)]
    done = estimate("--function", "orders")
    assert done.code == 4
    assert said in done.err
    assert all(query.stopped for query in server.queries)
    assert len(server.queries) == (operation == "GetQueryResults")


def test_a_query_that_the_service_does_not_take_is_no_bug(server: InsightsServer, estimate: Command) -> None:
    add_orders(server)
    server.faults = [Fault("StartQuery", "MalformedQueryException", "exceeds the log groups log retention settings")]
    done = estimate("--function", "orders")
    assert done.code == 4
    assert "retention settings" in done.err


@pytest.fixture
def _heeds_signals() -> Iterator[None]:
    """Programs that are started in the background ignore Ctrl-C, and so would powertune in one of them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_heeds_signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_queries_that_run(server: InsightsServer, estimate: Command, number: signal.Signals) -> None:
    for place in range(120):
        server.add(f"/aws/lambda/f{place:03}", *events([text_report(100)]))
    server.query_s = 60

    def interrupt() -> None:
        while len(server.called("GetQueryResults")) < 3:
            time.sleep(0.005)
        os.kill(os.getpid(), number)

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    done = estimate("--prefix", "/aws/lambda/")
    interrupting.join()
    assert done.code == 130
    assert done.out == ""
    assert "Scanned" in done.err
    assert len(server.queries) == 3
    assert all(query.stopped for query in server.queries)


def test_a_log_group_that_does_not_exist_is_told(server: InsightsServer, estimate: Command) -> None:
    server.add("/aws/lambda/orders-2")
    done = estimate("--function", "orders")
    assert done.code == 4
    assert "there is no log group /aws/lambda/orders in us-east-1" in done.err
    none = estimate("--prefix", "/aws/lambda/x")
    assert none.code == 3
    assert "/aws/lambda/x*" in none.err


def test_logs_without_runs_are_told(server: InsightsServer, estimate: Command) -> None:
    server.add("/aws/lambda/quiet", *events(["nothing but words"]))
    done = estimate("--log-group", "/aws/lambda/quiet")
    assert done.code == 3
    assert "there are no runs from" in done.err
    add_orders(server)
    both = estimate("--prefix", "/aws/lambda/")
    assert both.code == 0
    assert "/aws/lambda/quiet without a run in that time" in both.err


def test_partial_answers_are_not_taken_for_the_whole(server: InsightsServer, estimate: Command) -> None:
    add_orders(server)
    server.query_s = 0.2
    done = estimate("--function", "orders")
    assert {size["memory_mb"] for size in done.run["sizes"]} == {512, 1024}


# The command line.


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to estimate from"),
        (["--since", "3d"], "nothing to estimate from"),
        (["runs.csv", "--log-group", "/aws/lambda/orders"], "--log-group is for querying CloudWatch"),
        (["runs.csv", "--since", "3d"], "--since is for querying CloudWatch"),
        (["--function", "orders", "--since", "soon"], "--since 'soon' is no time"),
        (["--function", "orders", "--since", "1d", "--until", "2d"], "is not before --until"),
        (["--function", "or ders"], "does not name a Lambda function"),
        (["--log-group", "a b"], "not the name of a log group"),
        (["--prefix", "/aws/*"], "not the name of a log group"),
        (["--function", "arn:aws:lambda:eu-west-1:123456789012:function:orders", "--region", "us-east-1"], "eu-west-1"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_asked(
    server: InsightsServer, estimate: Command, arguments: list[str], said: str
) -> None:
    Path("runs.csv").write_text("memory_mb,duration_ms\n128,100\n", encoding="utf-8")
    done = estimate(*arguments)
    assert done.code == 2
    assert said in done.err
    assert server.called("StartQuery") == []


def test_with_files_function_still_chooses_among_them(server: InsightsServer, estimate: Command) -> None:
    Path("runs.csv").write_text("function,memory_mb,duration_ms\na,128,100\nb,256,50\n", encoding="utf-8")
    assert estimate("runs.csv", "--function", "b").run["function"]["name"] == "b"
    assert server.calls == []


def test_the_table_and_the_saved_run_are_as_of_any_other_source(server: InsightsServer, estimate: Command) -> None:
    add_orders(server)
    done = estimate("--function", "orders", "-f", "table", "--save", "run.json", "-m", "512,768,1024")
    assert "orders, x86_64, us-east-1" in done.out
    assert "Recommended for balanced:" in done.out
    saved = json.loads(Path("run.json").read_text(encoding="utf-8"))
    RUN_FILE.validate(saved)
    assert {size["memory_mb"]: size["basis"] for size in saved["sizes"]}[768] == "interpolated"


# The double itself, seen through boto3.


def refusal(**request: Any) -> str:
    """Return the code with which a query is refused."""
    now = int(time.time())
    usual = {"logGroupNames": ["/a"], "startTime": now - 60, "endTime": now, "queryString": "stats count(*) as runs"}
    logs = boto3.client("logs", config=Config(retries={"total_max_attempts": 1}))
    with pytest.raises(ClientError) as caught:
        logs.start_query(**{**usual, **request})
    response: Any = caught.value.response
    return str(response["Error"]["Code"])


def test_the_double_refuses_what_the_service_refuses(server: InsightsServer) -> None:
    for place in range(60):
        server.add(f"/{place}")
    server.add("/a", created_at=time.time() - DAY_S)
    server.add("/b", log_class="INFREQUENT_ACCESS")
    server.add("/c", log_class="DELIVERY")
    now = int(time.time())
    assert refusal(logGroupNames=[f"/{place}" for place in range(51)]) == "InvalidParameterException"
    assert refusal(logGroupNames=["/a", "/b"]) == "InvalidParameterException"
    assert refusal(logGroupNames=["/c"]) == "InvalidParameterException"
    assert refusal(logGroupNames=["/nowhere"]) == "ResourceNotFoundException"
    assert refusal(limit=100_001) == "InvalidParameterException"
    assert refusal(startTime=(now - 60) * 1000, endTime=now * 1000) == "InvalidParameterException"
    assert refusal(endTime=now - 3 * int(DAY_S), startTime=0) == "MalformedQueryException"
    server.most_at_once = 0
    assert refusal() == "LimitExceededException"


@pytest.mark.parametrize(
    "query",
    [
        "stats median(x) as y",
        "fields max(x) as y",
        "dedupe x",
        "parse @message /(.*)/",
        "filter @message like /(/",
        "stats count(*) as",
        "fields a b",
        "fields x as y |",
        "filter x = 'y'",
    ],
)
def test_the_double_refuses_queries_that_are_none(server: InsightsServer, query: str) -> None:
    server.add("/a")
    assert refusal(queryString=query) == "MalformedQueryException"


def test_the_double_answers_in_text(server: InsightsServer) -> None:
    server.add("/a", Event(time.time() - 30, text_report(155.51, 128)), Event(time.time() - 30, "words"))
    logs = boto3.client("logs")
    query = "stats count(*) as n, max(@memorySize) as memory, avg(@duration) as ms by ispresent(@type) as report"
    now = int(time.time())
    begun = logs.start_query(logGroupName="/a", startTime=now - 60, endTime=now, queryString=query)
    answer = logs.get_query_results(queryId=begun["queryId"])
    assert answer["status"] == "Complete"
    assert [{item["field"]: item["value"] for item in row} for row in answer["results"]] == [
        {"report": "1", "n": "1", "memory": "1.28E8", "ms": "155.51"},
        {"report": "0", "n": "1"},
    ]
    assert answer["statistics"]["recordsScanned"] == 2
    with pytest.raises(ClientError, match="already ended"):
        logs.stop_query(queryId=begun["queryId"])
