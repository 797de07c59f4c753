"""Recordings in every form people have them are read, priced and delivered."""

import gzip
import json
import os
import shutil
import stat
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from powertune.cli.main import main
from powertune.model import run_file

SCHEMA = json.loads(Path(run_file.__file__).with_name("run-1.schema.json").read_text(encoding="utf-8"))
HANDLERS = Path(__file__).with_name("handlers.py")
ENOUGH_S = 40

WORKED_EXAMPLE = {128: 11722.965, 256: 6678.945, 512: 3194.954, 1024: 1465.984}
COST_PER_THOUSAND = {128: 0.024628, 256: 0.028035, 512: 0.026830, 1024: 0.024638}
PRICE = ("--price-gb-second", "0.00001667")


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


Command = Callable[..., Done]
Write = Callable[..., str]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file and return its name."""

    def write_file(content: str | bytes, name: str = "input.csv") -> str:
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return name

    return write_file


@pytest.fixture
def estimate(capfd: pytest.CaptureFixture[str]) -> Command:
    """Run estimate in this process. The result is JSON unless another format is asked for."""

    def run(*arguments: str) -> Done:
        capfd.readouterr()
        code = main(["estimate", "--format", "json", *arguments])
        return Done(code, *capfd.readouterr())

    return run


@pytest.fixture
def handlers(tmp_path: Path) -> Iterator[str]:
    """Give the name of a fresh copy of the handlers, in the working directory."""
    name = f"handlers_{uuid.uuid4().hex}"
    shutil.copy(HANDLERS, tmp_path / f"{name}.py")
    path = list(sys.path)
    yield name
    sys.path[:] = path
    sys.modules.pop(name, None)


def example(durations_ms: dict[int, float], delimiter: str = ",") -> str:
    rows = [f"{size}{delimiter}{ms}" for size, ms in durations_ms.items()]
    return "\n".join([f"memory_mb{delimiter}duration_ms", *rows]) + "\n"


def report(number: int, memory_mb: int, ms: float, *, used: int = 60, more: str = "") -> str:
    return (
        f"REPORT RequestId: 00000000-0000-0000-0000-{number:012}\tDuration: {ms:.2f} ms\t"
        f"Billed Duration: {int(ms) + 1} ms\tMemory Size: {memory_mb} MB\tMax Memory Used: {used} MB\t{more}\n"
    )


def json_report(number: int, memory_mb: int, ms: float, **more: object) -> str:
    metrics = {
        "durationMs": ms, "billedDurationMs": int(ms) + 1, "memorySizeMB": memory_mb, "maxMemoryUsedMB": 60
    }  # fmt: skip
    record = {"requestId": f"json-{number}", "status": "success", "metrics": metrics} | more
    return json.dumps({"time": "2026-11-23T00:00:00.000Z", "type": "platform.report", "record": record}) + "\n"


# --- the worked example ---


@pytest.mark.parametrize("whole_ms", [False, True], ids=["fractions", "whole-milliseconds"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_worked_example_costs_what_it_should(
    estimate: Command,
    write: Write,
    whole_ms: bool,  # noqa: FBT001 - pytest passes it
    delimiter: str,
) -> None:
    durations: dict[int, float] = {size: int(ms) if whole_ms else ms for size, ms in WORKED_EXAMPLE.items()}
    done = estimate(write(example(durations, delimiter)), *PRICE)
    assert done.code == 0
    for size, cost in COST_PER_THOUSAND.items():
        assert done.size(size)["cost"]["usd_per_million"] / 1000 == pytest.approx(cost, rel=0.001)


@pytest.mark.parametrize("whole_ms", [False, True], ids=["fractions", "whole-milliseconds"])
def test_the_worked_example_is_decided_as_it_should(
    estimate: Command,
    write: Write,
    whole_ms: bool,  # noqa: FBT001 - pytest passes it
) -> None:
    durations: dict[int, float] = {size: int(ms) if whole_ms else ms for size, ms in WORKED_EXAMPLE.items()}
    name = write(example(durations))
    exact = estimate(name, *PRICE, "--strategy", "cost", "--tolerance", "0").run["recommendation"]
    assert exact["memory_mb"] == exact["cost"]["memory_mb"] == 128
    assert exact["speed"]["memory_mb"] == 1024
    tolerant = estimate(name, *PRICE, "--strategy", "cost").run["recommendation"]
    assert tolerant["memory_mb"] == tolerant["cost"]["memory_mb"] == 1024
    assert "0.04 % dearer and 8 times faster" in " ".join(tolerant["reasons"])


def test_the_table_of_the_worked_example_says_why(estimate: Command, write: Write) -> None:
    done = estimate(write(example(WORKED_EXAMPLE)), *PRICE, "--strategy", "cost", "--format", "table")
    assert "0.04 % dearer and 8 times faster" in " ".join(done.out.split())
    assert "Recommended for cost: 1024 MB" in done.out


def test_whole_milliseconds_are_warned_of(estimate: Command, write: Write) -> None:
    assert "whole-milliseconds" in estimate(write("memory_mb,duration_ms\n128,5\n256,4\n")).warnings()
    assert "whole-milliseconds" not in estimate(write("memory_mb,duration_ms\n128,5.5\n256,4\n")).warnings()


# --- tables of durations ---


@pytest.mark.parametrize(
    "content",
    [
        "memory_mb,duration_ms\n128,5.5\n256,4.5\n",
        "memory_mb;duration_ms\n128;5.5\n256;4.5\n",
        "memory_mb\tduration_ms\n128\t5.5\n256\t4.5\n",
        "Memory MB,Duration (ms)\n128,5.5\n256,4.5\n",
        '"memory_mb","duration_ms"\n"128","5.5"\n"256","4.5"\n',
        " memory_mb , duration_ms \n 128 , 5.5 \n 256 , 4.5 \n",
        "memory_mb,duration_ms\r\n128,5.5\r\n256,4.5\r\n",
        "memory_mb,duration_ms\r128,5.5\r256,4.5\r",
        "memory_mb,duration_ms\n128,5.5\n256,4.5",
        "\n\nmemory_mb,duration_ms\n\n128,5.5\n\n\n256,4.5\n\n",
        "duration_ms,memory_mb\n5.5,128\n4.5,256\n",
        "memory_mb,duration_ms\n128.0,5.5e0\n2.56e2,+4.5\n",
        "memory_mb,duration_ms,note\n128,5.5\n256,4.5,here\n",
        "\N{ZERO WIDTH NO-BREAK SPACE}memory_mb,duration_ms\n128,5.5\n256,4.5\n",
        'memory_mb,duration_ms,note\n128,5.5,"two\nlines, ""quoted"""\n256,4.5,\n',
        '{"memory_mb": 128, "duration_ms": 5.5}\n{"memory_mb": 256, "duration_ms": 4.5}\n',
        '{"memory_mb": "128", "duration_ms": "5.5"}\r\n\r\n{"duration_ms": 4.5, "memory_mb": 256.0}',
        '[{"memory_mb": 128, "duration_ms": 5.5}, {"memory_mb": 256, "duration_ms": 4.5}]',
        '[\n  {"memory_mb": 128, "duration_ms": 5.5},\n  {"memory_mb": 256, "duration_ms": 4.5}\n]\n',
        '[\n  {\n    "memory_mb": 128,\n    "duration_ms": 5.5\n  },\n  {"memory_mb": 256, "duration_ms": 4.5}\n]\n',
        '[{"memory_mb": 128, "duration_ms": 5.5},\n {"memory_mb": 256, "duration_ms": 4.5}]\n',
        '[{"memory_mb": 128,\n  "duration_ms": 5.5},\n {"memory_mb": 256, "duration_ms": 4.5}]\n',
        '[ {"memory_mb": 128, "duration_ms": 5.5}\n, {"memory_mb": 256, "duration_ms": 4.5}\n]\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gzip"])
def test_durations_are_read_whatever_their_form(estimate: Command, write: Write, content: str, encoding: str) -> None:
    data = gzip.compress(content.encode()) if encoding == "gzip" else content.removeprefix("\ufeff").encode(encoding)
    done = estimate(write(data, "recording"))
    assert done.code == 0, done.err
    assert done.means() == {128: 5.5, 256: 4.5}


def test_bytes_that_are_no_utf8_do_not_matter_where_no_figure_is(estimate: Command, write: Write) -> None:
    done = estimate(write(b"memory_mb,duration_ms,caf\xe9\n128,5.5,\xe9t\xe9\n"))
    assert done.means() == {128: 5.5}


def test_a_very_long_line_that_means_nothing_is_left_alone_in_a_log(estimate: Command, write: Write) -> None:
    log = "x" * 1_000_000 + "\n" + report(1, 128, 5.5) + "y" * 3_000_000 + "\n" + report(2, 256, 4.5)
    assert estimate(write(log)).means() == {128: 5.5, 256: 4.5}


def test_a_row_of_more_than_a_megabyte_is_read(estimate: Command, write: Write) -> None:
    row = json.dumps({"memory_mb": 128, "duration_ms": 5.5, "note": "x" * 1_000_001})
    assert estimate(write(f'{row}\n{{"memory_mb": 256, "duration_ms": 4.5}}\n')).means() == {128: 5.5, 256: 4.5}


def test_further_columns_are_kept_in_the_saved_run(estimate: Command, write: Write, tmp_path: Path) -> None:
    name = write("memory_mb,duration_ms,commit,note,request_id\n128,5.5,abc,=1+1,id-1\n128,6.5,,,id-2\n")
    done = estimate(name, "--save", "run.json")
    saved = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert saved["invocations"] == done.run["invocations"]
    assert saved["invocations"][0]["extra"] == {"commit": "abc", "note": "=1+1"}
    assert saved["invocations"][0]["request_id"] == "id-1"
    assert "extra" not in saved["invocations"][1]
    assert estimate("run.json").run["invocations"][0]["extra"] == {"commit": "abc", "note": "=1+1"}


def test_invalid_rows_are_left_out_and_counted_on_request(estimate: Command, write: Write) -> None:
    name = write("memory_mb,duration_ms\n128,5.5\n128,oops\n64,5.5\n256,-4\n256,4.5\n")
    done = estimate(name, "--skip-invalid")
    assert done.code == 0
    assert done.means() == {128: 5.5, 256: 4.5}
    assert "3 invalid rows" in done.warnings()["invalid-rows"]
    assert "line 3" in done.warnings()["invalid-rows"]
    assert "3 invalid rows" in done.err


def test_broken_json_lines_are_left_out_on_request(estimate: Command, write: Write) -> None:
    name = write(
        '{"memory_mb": 128, "duration_ms": 5.5}\n{"memory_mb": 12\n[]\n{"memory_mb": 256, "duration_ms": 4.5}\n'
    )
    done = estimate(name, "--skip-invalid")
    assert done.means() == {128: 5.5, 256: 4.5}
    assert "2 invalid rows" in done.warnings()["invalid-rows"]


def test_one_of_several_functions_can_be_chosen(estimate: Command, write: Write) -> None:
    name = write("function,memory_mb,duration_ms\norders,128,5.5\nbilling,128,6.5\n")
    for function, mean in (("orders", 5.5), ("billing", 6.5)):
        done = estimate(name, "--function", function)
        assert done.means() == {128: mean}
        assert done.run["function"]["name"] == function


def test_the_architecture_in_the_file_is_the_one_that_is_priced(estimate: Command, write: Write) -> None:
    name = write("memory_mb,duration_ms,arch,region\n1024,500.5,arm64,eu-central-1\n")
    done = estimate(name)
    assert done.run["function"]["architecture"] == done.run["pricing"]["architecture"] == "arm64"
    assert done.run["pricing"]["region"] == "eu-central-1"


def test_summaries_keep_their_percentiles_and_count(estimate: Command, write: Write) -> None:
    name = write("memory_mb,mean_ms,n,stddev_ms,p50_ms,p95_ms,p99_ms\n128,10.5,100,2,10,15,20\n256,6,100,1,6,7,8\n")
    size = estimate(name).size(128)
    assert size["invocations"] == {"warm": 100, "cold": 0, "failed": 0}
    assert (size["duration_ms"]["p50"], size["duration_ms"]["p95"], size["duration_ms"]["p99"]) == (10, 15, 20)
    assert size["duration_ms"]["ci95"][0] < 10.5 < size["duration_ms"]["ci95"][1]


def test_several_files_are_read_as_one(estimate: Command, write: Write) -> None:
    first = write("memory_mb,duration_ms\n128,5.5\n", "a.csv")
    second = write(report(1, 256, 4.5), "b.log")
    third = write('{"memory_mb": 512, "duration_ms": 3.5}\n', "c.jsonl")
    assert estimate(first, second, third).means() == {128: 5.5, 256: 4.5, 512: 3.5}


def test_a_large_recording_is_read_in_reasonable_time(estimate: Command, write: Write) -> None:
    rows = "".join(f"{128 * (1 + number % 4)},{100 + number % 7}.5\n" for number in range(20_000))
    done = estimate(write("memory_mb,duration_ms\n" + rows), "-q")
    assert done.size(128)["invocations"]["warm"] == 5_000


# --- logs ---


def test_a_text_log_is_read_with_all_that_stands_between_records(estimate: Command, write: Write) -> None:
    log = "".join(
        f"START RequestId: {number} Version: $LATEST\n[INFO] some, thing; else\tREPORT is near\n"
        f"2026-11-23T00:00:00 {report(number, 128, 5.5 + number)}END RequestId: {number}\n"
        for number in range(3)
    )
    done = estimate(write(log))
    assert done.means() == {128: 6.5}
    assert done.size(128)["max_memory_used_mb"] == 60


def test_text_and_json_records_may_be_mixed(estimate: Command, write: Write) -> None:
    log = (
        report(1, 128, 5.5)
        + json_report(2, 128, 6.5)
        + '{"level": "INFO", "message": "hello"}\n'
        + json.dumps(json.loads(json_report(3, 256, 4.5)), indent=2)
        + "\n"
        + json.dumps({"timestamp": 1, "message": report(4, 256, 5.5)})
        + "\n"
    )
    assert estimate(write(log)).means() == {128: 6.0, 256: 5.0}


def test_cut_records_are_left_out_and_counted(estimate: Command, write: Write) -> None:
    log = (
        report(1, 128, 5.5)
        + report(2, 128, 9.5)[:60]
        + "\n"
        + json_report(3, 128, 9.5)[:90]
        + "\n"
        + report(4, 256, 4.5)
    )
    done = estimate(write(log))
    assert done.code == 0
    assert done.means() == {128: 5.5, 256: 4.5}
    assert "2 REPORT records" in done.warnings()["damaged-records"]
    assert "2 REPORT records" in done.err


def test_cold_starts_stand_apart_from_warm_runs(estimate: Command, write: Write) -> None:
    log = report(1, 128, 50.5, more="Init Duration: 300.25 ms\t") + report(2, 128, 5.5) + report(3, 128, 6.5)
    size = estimate(write(log)).size(128)
    assert size["invocations"] == {"warm": 2, "cold": 1, "failed": 0}
    assert size["duration_ms"]["mean"] == 6.0
    assert size["init_ms"]["mean"] == 300.25


def test_failures_at_every_size_have_exit_code_5_and_rows(estimate: Command, write: Write) -> None:
    log = report(1, 128, 3000, more="Status: timeout\t") + report(
        2, 256, 50.5, used=256, more="Status: error\tError Type: Runtime.OutOfMemory\t"
    )
    done = estimate(write(log))
    assert done.code == 5
    assert {size["memory_mb"]: size["status"] for size in done.run["sizes"]} == {
        128: "timed-out",
        256: "out-of-memory",
    }
    assert done.run["recommendation"]["memory_mb"] is None
    jsonschema.Draft202012Validator(SCHEMA).validate(done.run)
    lines = done.err.splitlines()
    assert [line.startswith("Error: ") for line in lines].count(True) == 1
    assert lines[[line.startswith("Error: ") for line in lines].index(True) + 1].startswith("  ")


def test_failures_at_one_size_leave_the_others(estimate: Command, write: Write) -> None:
    log = (
        report(1, 128, 3000, more="Status: timeout\t")
        + report(2, 256, 50.5)
        + report(3, 256, 50.5, more="Status: error\t")
        + report(4, 512, 30.5)
    )
    done = estimate(write(log))
    assert done.code == 0
    assert done.size(128)["status"] == "timed-out"
    assert done.size(256)["invocations"] == {"warm": 1, "cold": 0, "failed": 1}
    assert done.size(256)["reason"] == "1 of 2 runs failed"
    assert done.run["recommendation"]["memory_mb"] == 512


# --- tables as people have them ---


def test_units_behind_numbers_and_decimal_commas_are_read(estimate: Command, write: Write) -> None:
    assert estimate(write("memory_mb,duration_ms\n128 MB,5.5 ms\n256MB,4.5ms\n")).means() == {128: 5.5, 256: 4.5}
    assert estimate(write("Memory (MB);Duration (ms)\n128;1500,25\n256;4,5\n")).means() == {128: 1500.25, 256: 4.5}


def test_failed_rows_of_summaries_are_failures_and_not_fast(estimate: Command, write: Write) -> None:
    done = estimate(write("memory_mb,n,mean_ms,status\n128,50,,failed\n256,50,4.5,ok\n512,50,4.0,ok\n"))
    assert done.size(128)["status"] == "failed"
    assert done.size(256)["invocations"]["warm"] == 50


def test_the_csv_of_a_run_is_read_back_with_its_counts_and_its_basis(estimate: Command, write: Write) -> None:
    scaled = {"memory_mb": "128", "status": "ok", "basis": "scaled", "warm": "30", "cold": "1", "mean_ms": "5.5"}
    guessed = {**scaled, "memory_mb": "256", "basis": "interpolated"}
    rows = [scaled, guessed, {**scaled, "memory_mb": "512", "mean_ms": "4.5"}]
    done = estimate(write("\n".join([",".join(scaled), *(",".join(row.values()) for row in rows)])))
    assert done.means() == {128: 5.5, 512: 4.5}
    assert {size["basis"] for size in done.run["sizes"]} == {"scaled"}
    assert done.size(128)["invocations"] == {"warm": 30, "cold": 0, "failed": 0}
    assert done.run["source"]["calibrated"] is False


def test_runs_that_stand_twice_count_once(estimate: Command, write: Write) -> None:
    log = report(1, 128, 5.5) * 20 + report(2, 128, 6.5) + report(3, 256, 4.5)
    done = estimate(write(log))
    assert done.size(128)["invocations"]["warm"] == 2
    assert "repeated-records" in {warning["code"] for warning in done.run["warnings"]}


def test_a_run_recorded_on_x86_can_be_priced_on_arm(estimate: Command, write: Write) -> None:
    done = estimate(write("arch,memory_mb,duration_ms\nx86_64,128,5.5\nx86_64,256,4.5\n"), "--arch", "arm64")
    assert done.run["pricing"]["architecture"] == "arm64"
    assert "other-architecture" in {warning["code"] for warning in done.run["warnings"]}


def test_a_saved_run_keeps_the_current_size(estimate: Command, write: Write) -> None:
    estimate(write("memory_mb,duration_ms\n128,9.5\n256,4.5\n512,4.5\n"), "--current", "512", "--save", "run.json")
    assert estimate("run.json").run["recommendation"]["versus_current"] is not None


def test_one_run_or_one_size_is_inconclusive_under_strict(estimate: Command, write: Write) -> None:
    once = write("memory_mb,duration_ms\n128,9.5\n256,4.5\n", "once.csv")
    alone = write("memory_mb,duration_ms\n" + "128,9.5\n" * 30, "alone.csv")
    assert estimate(once).code == estimate(alone).code == 0
    assert estimate(once, "--strict").code == estimate(alone, "--strict").code == 6


# --- sizes that were never recorded ---


def test_sizes_never_recorded_are_marked_as_such(estimate: Command, write: Write) -> None:
    name = write("memory_mb,duration_ms\n256,400.5\n512,200.5\n1024,100.5\n")
    done = estimate(name, "-m", "128,256,384,1024,2048")
    assert {size["memory_mb"]: size["basis"] for size in done.run["sizes"]} == {
        128: "extrapolated",
        256: "measured",
        384: "interpolated",
        1024: "measured",
        2048: "extrapolated",
    }
    assert 200.5 < done.size(384)["duration_ms"]["mean"] < 400.5
    assert "not-recorded" in done.warnings()
    for format_name in ("table", "csv", "markdown"):
        shown = estimate(name, "-m", "128,384", "-f", format_name).out
        assert "interpolated" in shown
        assert "extrapolated" in shown


def test_one_recorded_size_says_nothing_of_others(estimate: Command, write: Write) -> None:
    done = estimate(write("memory_mb,duration_ms\n256,400.5\n"), "-m", "256,512")
    assert done.code == 0
    assert done.size(512)["status"] == "unavailable"
    assert done.run["recommendation"]["memory_mb"] == 256


def test_only_sizes_that_cannot_be_told_are_bad_input(estimate: Command, write: Write) -> None:
    done = estimate(write("memory_mb,duration_ms\n256,400.5\n"), "-m", "512,1024")
    assert done.code == 3
    assert done.size(512)["status"] == "unavailable"


def test_all_sizes_can_be_asked_for(estimate: Command, write: Write) -> None:
    name = write(example(WORKED_EXAMPLE))
    for format_name in ("table", "json", "csv", "markdown"):
        done = estimate(name, "-m", "all", "-f", format_name)
        assert done.code == 0
        assert done.out.count("\n") > 150


@pytest.mark.parametrize("options", [["--max-duration", "0"], ["--max-cost", "0"], ["--max-duration", "1e-300"]])
def test_limits_that_no_size_keeps_give_no_recommendation_and_say_why(
    estimate: Command, write: Write, options: list[str]
) -> None:
    done = estimate(write(example(WORKED_EXAMPLE)), *options)
    assert done.code == 0
    assert done.run["recommendation"]["memory_mb"] is None
    assert done.run["recommendation"]["confidence"] == "inconclusive"
    assert "No size qualifies" in done.run["recommendation"]["reasons"][0]
    assert estimate(write(example(WORKED_EXAMPLE)), *options, "--strict").code == 6


@pytest.mark.parametrize("format_name", ["table", "json", "csv", "markdown"])
def test_prices_of_nothing_are_no_problem(estimate: Command, write: Write, format_name: str) -> None:
    options = ("--price-gb-second", "0", "--price-request", "0", "--current", "256", "-m", "128,200,1024")
    for strategy in ("cost", "speed", "balanced"):
        done = estimate(write(example(WORKED_EXAMPLE)), *options, "-s", strategy, "-f", format_name)
        assert done.code == 0, done.err


# --- saved runs ---


@pytest.mark.parametrize(
    ("handler", "strategy"),
    [("computes", "cost"), ("computes", "speed"), ("waits_and_computes", "balanced"), ("needs_300_mb", "cost")],
)
def test_a_saved_dry_run_gives_the_same_recommendation_again(
    estimate: Command, handlers: str, strategy: str, handler: str
) -> None:
    options = ("--strategy", strategy, "--current", "512")
    assert main(["dry-run", f"{handlers}:{handler}", "-n", "3", "-q", *options, "--save", "run.json"]) == 0
    first = json.loads(Path("run.json").read_text(encoding="utf-8"))
    again = estimate("run.json", *options).run
    assert again["recommendation"]["memory_mb"] is not None
    for key in ("memory_mb", "cost", "speed", "balanced", "confidence", "reasons"):
        assert again["recommendation"][key] == first["recommendation"][key], key
    assert {size["memory_mb"]: size["status"] for size in again["sizes"]} == {
        size["memory_mb"]: size["status"] for size in first["sizes"]
    }


def test_a_saved_dry_run_without_known_durations_does_not_claim_to_have_them(estimate: Command, handlers: str) -> None:
    assert main(["dry-run", f"{handlers}:computes", "-n", "3", "-q", "--save", "run.json"]) == 0
    done = estimate("run.json", "-f", "table")
    assert "compare them, do not quote them" in done.out
    assert "(confidence: low)" in done.out


def test_an_estimate_of_a_saved_estimate_is_the_same(estimate: Command, write: Write) -> None:
    name = write(
        "function,memory_mb,duration_ms\n" + "".join(f"f,{mb},{ms}.5\n" for mb in (128, 512) for ms in (5, 6, 7))
    )
    first = estimate(name, "--save", "run.json").run
    again = estimate("run.json").run
    assert again["sizes"] == first["sizes"]
    assert again["recommendation"] == first["recommendation"]
    assert again["function"] == first["function"]
    assert again["invocations"] == first["invocations"]


def test_a_saved_run_may_be_compressed_reformatted_or_sorted(estimate: Command, write: Write) -> None:
    first = estimate(write(example(WORKED_EXAMPLE)), "--save", "run.json").run
    document = json.loads(Path("run.json").read_text(encoding="utf-8"))
    for text in (
        json.dumps(document),
        json.dumps(document, indent=4),
        json.dumps(document, indent="\t", ensure_ascii=False),
        json.dumps(document, separators=(",", ":")),
        json.dumps(document, indent=2, sort_keys=True),
        json.dumps(document, sort_keys=True),
    ):
        assert estimate(write(text, "other.json")).run["sizes"] == first["sizes"]
    assert estimate(write(gzip.compress(json.dumps(document).encode()), "run.json.gz")).run["sizes"] == first["sizes"]


def test_a_saved_run_with_keys_of_a_later_version_is_read(estimate: Command, write: Write) -> None:
    first = estimate(write(example(WORKED_EXAMPLE)), "--save", "run.json").run
    document = json.loads(Path("run.json").read_text(encoding="utf-8"))
    document["later"] = {"a": 1}
    document["sizes"][0]["later"] = [1]
    document["invocations"][0]["later"] = None
    assert estimate(write(json.dumps(document, indent=1), "other.json")).run["sizes"] == first["sizes"]


# --- delivery ---


def test_every_run_file_is_valid(estimate: Command, write: Write) -> None:
    recordings = [
        example(WORKED_EXAMPLE),
        report(1, 128, 50.5, more="Init Duration: 300.25 ms\t") + report(2, 128, 5.5),
        "memory_mb,mean_ms,n\n128,5.5,10\n256,4,10\n",
    ]
    for content in recordings:
        done = estimate(write(content), "--current", "200", "-m", "128..1024:256")
        jsonschema.Draft202012Validator(SCHEMA).validate(done.run)


def test_each_output_is_in_the_format_of_its_suffix(estimate: Command, write: Write, tmp_path: Path) -> None:
    outputs = ("a.json", "a.csv", "a.md", "a.markdown", "a.txt", "A.JSON")
    done = estimate(write(example(WORKED_EXAMPLE)), *(word for name in outputs for word in ("-o", name)))
    assert done.code == 0
    texts = {name: (tmp_path / name).read_text(encoding="utf-8") for name in outputs}
    assert json.loads(texts["a.json"])["schema_version"] == json.loads(texts["A.JSON"])["schema_version"] == 1
    assert texts["a.csv"].startswith("memory_mb,status,")
    assert texts["a.md"] == texts["a.markdown"]
    assert "| ---" in texts["a.md"] or "|---" in texts["a.md"]
    assert "Recommended for balanced" in texts["a.txt"]
    assert all("\x1b" not in text for text in texts.values())
    assert json.loads(done.out)


def test_files_are_in_place_whole_with_nothing_beside_them(estimate: Command, write: Write, tmp_path: Path) -> None:
    estimate(write(example(WORKED_EXAMPLE)), "-o", "a.csv", "--save", "run.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "input.csv", "run.json"]


def test_an_existing_file_keeps_its_mode(estimate: Command, write: Write, tmp_path: Path) -> None:
    for mode in (0o640, 0o600, 0o664):
        path = tmp_path / "a.csv"
        path.write_text("old", encoding="utf-8")
        path.chmod(mode)
        assert estimate(write(example(WORKED_EXAMPLE)), "-o", "a.csv").code == 0
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert path.read_text(encoding="utf-8").startswith("memory_mb")


def test_a_new_file_has_the_mode_of_any_new_file(estimate: Command, write: Write, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        estimate(write(example(WORKED_EXAMPLE)), "-o", "a.csv")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.csv").stat().st_mode) == 0o640


def test_a_file_with_the_longest_name_there_can_be_is_written(estimate: Command, write: Write, tmp_path: Path) -> None:
    name = "x" * 251 + ".csv"
    assert estimate(write(example(WORKED_EXAMPLE)), "-o", name).code == 0
    assert (tmp_path / name).is_file()


def test_a_link_is_written_through(estimate: Command, write: Write, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "latest.csv").symlink_to("runs/today.csv")
    (tmp_path / "runs" / "today.csv").write_text("old", encoding="utf-8")
    assert estimate(write(example(WORKED_EXAMPLE)), "-o", "latest.csv").code == 0
    assert (tmp_path / "latest.csv").is_symlink()
    assert (tmp_path / "runs" / "today.csv").read_text(encoding="utf-8").startswith("memory_mb")


def test_the_result_is_on_standard_output_even_where_a_file_cannot_be_written(
    estimate: Command, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    done = estimate(write(example(WORKED_EXAMPLE)), "-o", "a.csv")
    assert done.code == 3
    assert "No space left on device" in done.err
    assert done.run["recommendation"]["memory_mb"] == 1024
    assert not [path for path in Path().iterdir() if path.name != "input.csv"]


def test_the_files_of_two_runs_of_the_same_recording_differ_only_in_when(estimate: Command, write: Write) -> None:
    name = write(example(WORKED_EXAMPLE))
    first, second = estimate(name).run, estimate(name).run
    del first["created_at"], second["created_at"]
    assert first == second


def test_the_order_of_rows_does_not_matter(estimate: Command, write: Write) -> None:
    rows = [f"{mb},{ms}.25\n" for mb in (128, 256, 512) for ms in (5, 6, 7, 9, 30)]
    forward = estimate(write("memory_mb,duration_ms\n" + "".join(rows))).run
    backward = estimate(write("memory_mb,duration_ms\n" + "".join(reversed(rows)))).run
    assert forward["sizes"] == backward["sizes"]
    assert forward["recommendation"] == backward["recommendation"]


def test_quiet_leaves_standard_error_empty(estimate: Command, write: Write) -> None:
    assert estimate(write(example(WORKED_EXAMPLE)), "-q").err == ""


def test_warnings_come_with_what_would_cure_them(estimate: Command, write: Write) -> None:
    lines = estimate(write(example(WORKED_EXAMPLE))).err.splitlines()
    assert lines
    assert len(lines) % 2 == 0
    assert all(line.startswith("Warning: ") for line in lines[::2])
    assert all(line.startswith("  ") and line.strip() for line in lines[1::2])


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_a_recording_comes_from_standard_input(compressed: bool) -> None:  # noqa: FBT001 - pytest passes it
    data = example(WORKED_EXAMPLE).encode()
    done = subprocess.run(
        [sys.executable, "-m", "powertune", "estimate", "-", "-f", "json"],
        input=gzip.compress(data) if compressed else data,
        capture_output=True,
        timeout=ENOUGH_S,
        check=False,
    )
    assert Done(done.returncode, done.stdout.decode(), done.stderr.decode()).means() == WORKED_EXAMPLE


@pytest.mark.parametrize("gone", ["| head -1", "| true", "2>&1 | true"])
def test_a_reader_that_goes_away_is_no_error(write: Write, gone: str) -> None:
    name = write("memory_mb,duration_ms\n" + "".join(f"{mb},{mb}.5\n" for mb in range(128, 4000)))
    done = subprocess.run(
        [
            "/bin/sh",
            "-c",
            f'exec 3>&2; {{ "$@"; echo "exit $?" >&3; }} {gone}',
            "sh",
            sys.executable,
            "-m",
            "powertune",
            "estimate",
            name,
            "-q",
            "-f",
            "json",
        ],
        capture_output=True,
        text=True,
        timeout=ENOUGH_S,
        check=False,
    )
    assert done.stderr == "exit 0\n"


def test_several_complaints_of_one_size_are_told_once(estimate: Command, write: Write) -> None:
    done = estimate(write(example(WORKED_EXAMPLE)))
    codes = [warning["code"] for warning in done.run["warnings"]]
    assert len(codes) == len(set(codes))
