"""Handlers of every kind run in this process, and neither they nor their output get in the way."""

import decimal
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import powertune
from powertune.cli.main import main
from powertune.model import run_file
from powertune.sources.local import LocalSource

SCHEMA = json.loads(Path(run_file.__file__).with_name("run-1.schema.json").read_text(encoding="utf-8"))
HANDLERS = Path(__file__).with_name("handlers.py")
# Generous: the slowest of these processes ends by itself in about six seconds.
ENOUGH_S = 40


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

    def statuses(self) -> dict[int, str]:
        return {size["memory_mb"]: size["status"] for size in self.run["sizes"]}

    def reasons(self) -> set[str | None]:
        return {size["reason"] for size in self.run["sizes"]}

    def warnings(self) -> set[str]:
        return {warning["code"] for warning in self.run["warnings"]}


Command = Callable[..., Done]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give the name of a fresh copy of the handlers, in the working directory."""
    name = f"handlers_{uuid.uuid4().hex}"
    shutil.copy(HANDLERS, tmp_path / f"{name}.py")
    monkeypatch.chdir(tmp_path)
    path, environment = list(sys.path), dict(os.environ)
    yield name
    sys.path[:] = path
    sys.modules.pop(name, None)
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture
def dry_run(module: str, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run a handler in this process: fast. The result is JSON unless another format is asked for."""

    def run(handler: str, *options: str) -> Done:
        capfd.readouterr()
        code = main(["dry-run", f"{module}:{handler}", "-n", "2", "-f", "json", *options])
        return Done(code, *capfd.readouterr())

    return run


@pytest.fixture
def process(module: str) -> Command:
    """Run a handler in a process of its own, where the process is what matters."""

    def run(handler: str, *options: str) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "powertune", "dry-run", f"{module}:{handler}", "-n", "2", "-f", "json", *options],
            capture_output=True,
            text=True,
            timeout=ENOUGH_S,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


def shell(script: str, *arguments: str) -> Done:
    """Run a line of shell in which `powertune` stands for the tool, without a window for its exit code to hide in."""
    done = subprocess.run(
        ["/bin/sh", "-c", f'powertune() {{ "$PYTHON" -m powertune "$@"; }}; {script}', "sh", *arguments],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=ENOUGH_S,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def assert_complains(done: Done, code: int) -> None:
    """Assert one line that says what is wrong, one that says what to do, and the exit code."""
    assert done.code == code, done
    lines = done.err.splitlines()
    wrong = [index for index, line in enumerate(lines) if line.startswith("Error: ")]
    assert len(wrong) == 1, done.err
    hint = lines[wrong[0] + 1]
    assert hint.startswith("  ")
    assert hint.strip()
    assert "Traceback" not in done.err
    assert "bug" not in lines[wrong[0]]


def wait_for(path: Path) -> None:
    until = time.monotonic() + ENOUGH_S
    while not path.exists():
        assert time.monotonic() < until, f"{path.name} never appeared"
        time.sleep(0.02)


# --- what a run gives ---


def test_the_run_file_of_a_dry_run_is_valid(dry_run: Command) -> None:
    done = dry_run("waits_and_computes", "--current", "512", "--duration-at", "512=143")
    assert done.code == 0
    jsonschema.Draft202012Validator(SCHEMA).validate(done.run)


@pytest.mark.parametrize("handler", ["raises", "runs_out_of_memory", "returns_set"])
def test_the_run_file_of_a_failed_dry_run_is_valid(dry_run: Command, handler: str) -> None:
    done = dry_run(handler)
    assert done.code == 5
    jsonschema.Draft202012Validator(SCHEMA).validate(done.run)


def test_every_size_asked_for_is_a_row_in_ascending_order(dry_run: Command) -> None:
    done = dry_run("answers", "-m", "1024,128..256:64", "--current", "700")
    assert [size["memory_mb"] for size in done.run["sizes"]] == [128, 192, 256, 700, 1024]
    assert {size["basis"] for size in done.run["sizes"]} == {"scaled"}


def test_computing_is_scaled_with_memory_and_waiting_is_not(dry_run: Command) -> None:
    computing = dry_run("computes", "-m", "128,1769").run["sizes"]
    waiting = dry_run("waits", "-m", "128,1769").run["sizes"]
    assert computing[0]["duration_ms"]["mean"] > 5 * computing[1]["duration_ms"]["mean"]
    assert waiting[0]["duration_ms"]["mean"] == pytest.approx(waiting[1]["duration_ms"]["mean"], rel=0.8)


def test_the_number_of_calls_is_that_of_samples_and_one_before_them(dry_run: Command, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    done = dry_run("counts_calls", "-n", "4", "-p", json.dumps({"to": str(calls)}))
    assert calls.read_text(encoding="ascii").count("called") == 5
    assert done.run["source"]["calls"] == 5
    assert done.run["sizes"][0]["invocations"] == {"warm": 4, "cold": 1, "failed": 0}


def test_a_handler_that_does_next_to_nothing_is_not_said_to_keep_several_cores_busy(dry_run: Command) -> None:
    done = dry_run("answers", "-n", "20")
    assert "parallel" not in done.warnings()
    assert done.run["source"]["threads"] == 1


@pytest.mark.parametrize(
    "spelling", ["{module}:answers", "{module}.answers", "{module}.py:answers", "./{module}.py:answers"]
)
def test_a_handler_may_be_named_as_module_or_file(
    module: str, capfd: pytest.CaptureFixture[str], spelling: str
) -> None:
    assert main(["dry-run", spelling.format(module=module), "-n", "1", "-m", "128"]) == 0
    assert "128 MB" in capfd.readouterr().out


def test_a_handler_in_a_folder_may_be_named_with_slashes(
    module: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / f"folder_{module}"
    package.mkdir()
    shutil.move(tmp_path / f"{module}.py", package / f"{module}.py")
    assert main(["dry-run", f"{package.name}/{module}.answers", "-n", "1", "-m", "128"]) == 0
    assert "128 MB" in capfd.readouterr().out


@pytest.mark.parametrize("name", ["py", "handler", "lambda_function"])
def test_a_module_may_have_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / f"{name}.py").write_text("def handler(event, context): return 1\n", encoding="utf-8")
    try:
        assert main(["dry-run", f"{name}:handler", "-n", "1", "-m", "128"]) == 0, capfd.readouterr().err
    finally:
        sys.modules.pop(name, None)


# --- known durations ---


@pytest.mark.parametrize("handler", ["computes", "waits", "waits_and_computes"])
@pytest.mark.parametrize(("size", "known_ms"), [(128, 650), (512, 143), (1024, 55.5)])
def test_a_known_duration_is_met_in_the_answer(dry_run: Command, handler: str, size: int, known_ms: float) -> None:
    done = dry_run(handler, "-m", str(size), "--duration-at", f"{size}={known_ms}")
    # Calls on a busy machine differ, and each falls on one of Lambda's 20 ms steps; unanchored they are far off.
    assert done.run["sizes"][0]["duration_ms"]["mean"] == pytest.approx(known_ms, rel=0.15)
    assert "scaled-from-this-machine" not in done.warnings()


def test_two_known_durations_that_fit_the_work_are_both_met(dry_run: Command) -> None:
    done = dry_run("computes", "-m", "256,1024", "--duration-at", "256=800", "--duration-at", "1024=200")
    means = [size["duration_ms"]["mean"] for size in done.run["sizes"]]
    assert means == pytest.approx([800, 200], rel=0.1)


def test_known_durations_that_cannot_be_met_are_warned_of(dry_run: Command) -> None:
    done = dry_run("computes", "--duration-at", "256=100", "--duration-at", "1024=5000")
    assert done.code == 0
    assert "poor-anchor" in done.warnings()


def test_an_anchor_far_from_what_was_seen_is_warned_of_and_lowers_confidence(dry_run: Command) -> None:
    done = dry_run("computes", "--duration-at", "512=30000")
    assert "stretched-anchor" in done.warnings()
    assert done.run["recommendation"]["confidence"] == "low"


def test_a_dry_run_is_no_anchor(dry_run: Command) -> None:
    assert dry_run("computes", "--save", "run.json").code == 0
    done = dry_run("computes", "--duration-at", "run.json")
    assert_complains(done, 3)
    assert "dry run" in done.err


def test_a_file_of_report_lines_anchors_every_size_it_has(dry_run: Command, tmp_path: Path) -> None:
    log = tmp_path / "production.log"
    log.write_text(
        "".join(
            f"REPORT RequestId: {number}\tDuration: {ms} ms\tBilled Duration: {ms + 1} ms\t"
            f"Memory Size: {size} MB\tMax Memory Used: 60 MB\t\n"
            for number, (size, ms) in enumerate([(256, 800.5), (256, 799.5), (1024, 200.25)])
        ),
        encoding="utf-8",
    )
    done = dry_run("computes", "-m", "256,1024", "--duration-at", str(log))
    assert done.run["source"]["known_durations_ms"] == {"256": 800.0, "1024": 200.25}
    assert done.run["sizes"][0]["duration_ms"]["mean"] == pytest.approx(800, rel=0.1)


def test_a_file_whose_name_looks_like_a_duration_is_read(dry_run: Command, tmp_path: Path) -> None:
    (tmp_path / "512=9").write_text("memory_mb,duration_ms\n1024,200.5\n", encoding="utf-8")
    assert dry_run("computes", "--duration-at", "512=9").run["source"]["known_durations_ms"] == {"1024": 200.5}


def test_an_out_of_reach_anchor_still_gives_an_answer(dry_run: Command) -> None:
    for known in ("128=0.001", "10240=900000"):
        done = dry_run("waits_and_computes", "--duration-at", known)
        assert done.code in (0, 5)
        assert done.run["sizes"]


# --- handlers that fail ---


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        ("raises", "ValueError: no such order"),
        ("raises_nothing_to_say", "LookupError"),
        ("raises_stop_iteration", "StopIteration"),
        ("raises_generator_exit", "GeneratorExit"),
        ("raises_group", "ExceptionGroup: two problems"),
        ("raises_broken_pipe", "BrokenPipeError: the database hung up"),
        ("raises_unspeakable", "UnspeakableError"),
        ("recurses_for_ever", "RecursionError"),
        ("exits", "Runtime.ExitError: it called sys.exit(3)"),
        ("takes_no_arguments", "TypeError: takes_no_arguments() takes 0 positional arguments"),
        ("asks", "EOFError"),
        ("returns_set", "Runtime.MarshalError: it returned a set"),
        ("returns_bytes", "Runtime.MarshalError: it returned a bytes"),
        ("returns_circular", "Runtime.MarshalError: it returned a list"),
        ("returns_coroutine", "Runtime.MarshalError: it returned a coroutine"),
        ("returns_generator", "Runtime.MarshalError: it returned a generator"),
        ("returns_deep_list", "Runtime.MarshalError: it returned a list"),
        ("returns_tuple_keys", "Runtime.MarshalError: it returned a dict"),
        ("returns_signalling_nan", "Runtime.MarshalError: it returned a Decimal"),
        ("returns_haunted_object", "Runtime.MarshalError: it returned a Haunted"),
        ("returns_haunted_mapping", "Runtime.MarshalError: it returned a HauntedMapping"),
        ("returns_undisposable", "Runtime.MarshalError: it returned a Undisposable"),
        ("returns_seven_megabytes", "Function.ResponseSizeTooLarge: it returned 7.0 MB"),
    ],
)
def test_a_handler_that_fails_gives_rows_with_the_reason_and_exit_code_5(
    dry_run: Command, handler: str, reason: str
) -> None:
    done = dry_run(handler, "-m", "128,1024")
    assert_complains(done, 5)
    assert done.statuses() == {128: "failed", 1024: "failed"}
    assert [size["reason"][: len(reason)] for size in done.run["sizes"]] == [reason, reason]
    assert done.run["recommendation"]["memory_mb"] is None


def test_a_failure_is_told_on_standard_error_with_its_reason(dry_run: Command) -> None:
    done = dry_run("raises")
    assert_complains(done, 5)
    assert "no such order" in done.err


def test_a_failing_handler_is_not_called_again(dry_run: Command) -> None:
    assert dry_run("raises", "-n", "20").run["source"]["calls"] == 1


def test_a_memory_error_is_a_size_out_of_memory(dry_run: Command) -> None:
    done = dry_run("runs_out_of_memory", "-m", "128")
    assert done.code == 5
    assert done.statuses() == {128: "out-of-memory"}


@pytest.mark.parametrize("handler", ["returns_decimal", "returns_a_megabyte_beyond_ascii", "answers"])
def test_a_result_that_lambda_would_send_is_fine(dry_run: Command, handler: str) -> None:
    assert dry_run(handler, "-m", "128").statuses() == {128: "ok"}


def test_calls_that_fail_now_and_then_are_counted_and_warned_of(dry_run: Command) -> None:
    done = dry_run("raises_keyerror_in_third_call", "-n", "5", "-m", "128,1024")
    assert done.code == 0
    assert done.statuses() == {128: "ok", 1024: "ok"}
    assert done.run["sizes"][0]["invocations"] == {"warm": 4, "cold": 1, "failed": 1}
    assert "failed-calls" in done.warnings()
    assert "KeyError" in done.err


def test_a_handler_that_only_succeeds_once_is_a_row_that_rests_on_its_cold_start(dry_run: Command) -> None:
    done = dry_run("raises_after_first_call", "-n", "3", "-m", "1024")
    assert done.code == 0
    assert done.run["sizes"][0]["invocations"] == {"warm": 0, "cold": 1, "failed": 3}
    assert "failed-calls" in done.warnings()


# --- the event and what is around the handler ---


def test_each_call_gets_a_fresh_event(dry_run: Command) -> None:
    done = dry_run("mutates_event", "-n", "5", "-p", '{"items": [1, {"deep": true}]}')
    assert done.code == 0
    assert done.run["sizes"][0]["invocations"]["failed"] == 0


@pytest.mark.parametrize("options", [{}, {"isolate": True}], ids=["in-process", "isolated"])
def test_placeholders_in_a_payload_become_something_new_in_each_call(
    module: str, tmp_path: Path, options: dict[str, Any]
) -> None:
    (tmp_path / f"notes_{module}.py").write_text(
        "def handler(event, context):\n    with open('noted', 'a') as file:\n        print(event['id'], file=file)\n",
        encoding="utf-8",
    )
    powertune.dry_run(f"notes_{module}:handler", payload={"id": "{{powertune.uuid}}"}, samples=3, **options)
    noted = (tmp_path / "noted").read_text(encoding="ascii").split()
    assert len(noted) == len({uuid.UUID(each) for each in noted}) == 4


def test_each_batch_of_runs_is_of_new_calls() -> None:
    calls = []
    with LocalSource(lambda event, _context: calls.append(event)) as source:
        first, second = list(source.measure({512: 3, 1769: 2})), list(source.measure({512: 2}))
    assert len(calls) == 1 + 3 + 2
    assert [run.memory_mb for run in first if run.cold] == [512, 1769]
    assert [run.memory_mb for run in first if not run.cold] == [512, 512, 512, 1769, 1769]
    assert [(run.memory_mb, run.cold) for run in second] == [(512, False), (512, False)]


def test_without_a_payload_the_event_is_an_empty_object(module: str, tmp_path: Path) -> None:
    extra = "\ndef empty(event, context):\n    assert event == {} and type(event) is dict\n"
    with (tmp_path / f"{module}.py").open("a", encoding="utf-8") as stream:
        stream.write(extra)
    assert main(["dry-run", f"{module}:empty", "-n", "1", "-m", "128", "-q"]) == 0


def test_the_context_has_what_the_python_runtime_gives(dry_run: Command, module: str, tmp_path: Path) -> None:
    answers = tmp_path / "answers"
    done = dry_run("tells", "--timeout", "30", "--current", "512", "-p", json.dumps({"to": str(answers)}))
    assert done.code == 0, done.err
    told = [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]
    assert len(told) == 3
    assert len({call["aws_request_id"] for call in told}) == 3
    assert len({call["log_stream_name"] for call in told}) == 1
    for call in told:
        uuid.UUID(call["aws_request_id"])
        assert 0 < call["later_ms"] <= call["first_ms"] <= 30_000
        assert isinstance(call["first_ms"], int)
        assert int(call["memory_limit_in_mb"]) == 512
        assert call["function_name"] in module
        assert call["function_version"] == "$LATEST"
        assert call["invoked_function_arn"].startswith("arn:aws:lambda:us-east-1:")
        assert call["invoked_function_arn"].endswith(f":function:{call['function_name']}")
        assert call["log_group_name"] == f"/aws/lambda/{call['function_name']}"
        assert "[$LATEST]" in call["log_stream_name"]


def test_the_environment_is_that_of_lambda_during_calls_and_put_back_after(dry_run: Command, tmp_path: Path) -> None:
    answers = tmp_path / "answers"
    os.environ["AWS_LAMBDA_FUNCTION_NAME"] = "mine"
    before = dict(os.environ)
    options = ["--current", "512", "--region", "eu-central-1"]
    assert dry_run("tells", *options, "-p", json.dumps({"to": str(answers)})).code == 0
    assert dict(os.environ) == before
    inside = json.loads(answers.read_text(encoding="utf-8").splitlines()[0])["environment"]
    assert inside["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "512"
    assert inside["AWS_LAMBDA_FUNCTION_NAME"] != "mine"
    assert inside["AWS_REGION"] == "eu-central-1"


def test_without_a_region_the_handler_finds_none_so_that_its_own_settings_count(
    dry_run: Command, tmp_path: Path
) -> None:
    answers = tmp_path / "answers"
    assert dry_run("tells", "-p", json.dumps({"to": str(answers)})).code == 0
    inside = json.loads(answers.read_text(encoding="utf-8").splitlines()[0])["environment"]
    assert "AWS_REGION" not in inside


@pytest.mark.parametrize("handler", ["clears_environment", "changes_environment", "raises"])
def test_the_environment_is_put_back_whatever_the_handler_did_to_it(dry_run: Command, handler: str) -> None:
    before = dict(os.environ)
    done = dry_run(handler)
    assert done.code == (5 if handler == "raises" else 0), done.err
    assert dict(os.environ) == before


def test_a_handler_that_changes_the_region_does_not_change_the_prices(dry_run: Command) -> None:
    assert dry_run("changes_environment").run["pricing"]["region"] == "us-east-1"


def test_a_handler_that_changes_the_folder_does_not_move_the_output(dry_run: Command, tmp_path: Path) -> None:
    done = dry_run("changes_folder", "-o", "out.csv", "--save", "run.json")
    assert done.code == 0, done.err
    assert (tmp_path / "out.csv").is_file()
    assert (tmp_path / "run.json").is_file()


@pytest.mark.parametrize("handler", ["changes_decimal_context", "traps_inexact_decimals"])
def test_a_handler_that_changes_decimal_arithmetic_does_not_change_the_costs(dry_run: Command, handler: str) -> None:
    with decimal.localcontext():
        done = dry_run(handler, "-m", "512", "--duration-at", "512=143.21", "--price-gb-second", "0.0000166667")
    assert done.code == 0, done.err
    [size] = done.run["sizes"]
    billed_ms = statistics.fmean(
        run["billed_ms"] or -(-run["duration_ms"] // 1) for run in done.run["invocations"] if not run["cold"]
    )
    expected = billed_ms / 1000 * 0.5 * 0.0000166667 + 0.0000002
    assert size["cost"]["usd_per_invocation"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("format_name", ["table", "json"])
def test_a_handler_that_lowers_the_recursion_limit_does_not_stop_powertune(process: Command, format_name: str) -> None:
    done = process("lowers_the_recursion_limit", "-f", format_name)
    assert done.code == 0, done.err
    assert "1024" in done.out


def test_the_search_path_is_put_back(dry_run: Command) -> None:
    before = list(sys.path)
    dry_run("answers")
    assert sys.path == before


def test_files_beside_the_handler_do_not_stand_in_for_libraries_of_powertune(module: str, tmp_path: Path) -> None:
    for name in ("rich", "csv", "tempfile", "numpy", "statistics"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('not the library')\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "powertune", "dry-run", f"{module}:answers", "-n", "1", "-o", "out.csv"],
        capture_output=True,
        text=True,
        timeout=ENOUGH_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "128 MB" in done.stdout


# --- time ---


@pytest.mark.parametrize("handler", ["sleeps", "spins", "catches_every_exception"])
def test_a_handler_that_hangs_is_stopped_when_its_time_is_over(dry_run: Command, handler: str) -> None:
    began = time.monotonic()
    done = dry_run(handler, "--timeout", "0.3", "-m", "128,1024")
    assert time.monotonic() - began < 20
    assert_complains(done, 5)
    assert done.statuses() == {128: "timed-out", 1024: "timed-out"}
    assert done.reasons() == {"no answer within 300 ms"}


def test_later_calls_that_hang_are_failures_among_others(dry_run: Command) -> None:
    done = dry_run("hangs_when_called_again", "--timeout", "0.3", "-m", "1024")
    assert done.code == 0
    assert done.run["sizes"][0]["invocations"] == {"warm": 0, "cold": 1, "failed": 2}


def test_handlers_that_cannot_be_interrupted_end_the_process_after_some_grace(module: str) -> None:
    began = time.monotonic()
    names = ("swallows_everything", "sets_an_alarm_of_its_own")
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "powertune", "dry-run", f"{module}:{name}", "--timeout", "0.3"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    try:
        for name, process in zip(names, processes, strict=True):
            out, err = process.communicate(timeout=ENOUGH_S)
            assert_complains(Done(process.returncode, out, err), 5)
            assert out == ""
            assert name in err
    finally:
        for process in processes:
            process.kill()
    assert time.monotonic() - began < 20


def test_a_timeout_shorter_than_the_start_of_an_interpreter_does_not_fail_a_fast_handler(dry_run: Command) -> None:
    done = dry_run("answers", "--timeout", "0.02", "-m", "1769")
    assert done.statuses() == {1769: "ok"}


def test_the_timeout_of_calls_does_not_bound_the_import(module: str, tmp_path: Path, dry_run: Command) -> None:
    with (tmp_path / f"{module}.py").open("a", encoding="utf-8") as stream:
        stream.write("\ntime.sleep(0.5)\n")
    assert dry_run("answers", "--timeout", "0.3", "-m", "1769").statuses() == {1769: "ok"}


def test_durations_that_scale_beyond_the_timeout_are_timed_out_at_the_sizes_they_hit(dry_run: Command) -> None:
    done = dry_run("computes", "-m", "128,1769", "--timeout", "1", "--duration-at", "1769=200")
    assert done.statuses() == {128: "timed-out", 1769: "ok"}
    assert done.run["recommendation"]["memory_mb"] == 1769


# --- output and input ---


@pytest.mark.parametrize("format_name", ["table", "json", "csv", "markdown"])
def test_standard_output_carries_only_the_result_whatever_the_handler_prints(
    process: Command, format_name: str
) -> None:
    done = process("prints_megabytes", "-n", "1", "-m", "128,1024", "-f", format_name)
    assert done.code == 0, done.err[:500]
    assert "to " + "stdout" not in done.out
    assert "to the first" not in done.out + done.err
    assert "descriptor" not in done.out + done.err
    assert "from a child" not in done.out + done.err
    assert "to the log" not in done.out + done.err
    assert len(done.out) < 10_000
    assert len(done.err) < 10_000


@pytest.mark.parametrize(
    "handler",
    [
        "prints_through_c",
        "prints_in_the_background",
        "prints_at_exit",
        "prints_at_last_flush",
        "prints_to_unflushed_descriptor_1",
    ],
)
def test_what_a_handler_prints_late_does_not_reach_standard_output(process: Command, handler: str) -> None:
    done = process(handler, "-n", "5", "-q")
    assert done.code == 0, done.err[:500]
    assert done.statuses()  # standard output is one JSON document, with nothing before or after it
    assert done.err == ""


@pytest.mark.parametrize(
    "handler",
    [
        "closes_stdout",
        "closes_the_first_stdout",
        "closes_descriptors",
        "takes_stdout_away",
        "wraps_stdout",
        "reads_stdin",
    ],
)
def test_a_handler_may_do_to_the_standard_streams_what_it_likes(process: Command, handler: str) -> None:
    done = process(handler)
    assert done.code == 0, done.err[:500]
    assert set(done.statuses().values()) == {"ok"}


def test_output_that_a_module_wraps_when_it_is_imported_stays_usable_in_calls(
    process: Command, module: str, tmp_path: Path
) -> None:
    with (tmp_path / f"{module}.py").open("a", encoding="utf-8") as stream:
        stream.write(
            "\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8')\n"
            "def prints(event, context):\n    print('fine')\n"
        )
    done = process("prints", "-m", "1024")
    assert done.code == 0
    assert done.statuses() == {1024: "ok"}
    assert done.run["sizes"][0]["invocations"]["failed"] == 0


def test_a_log_handler_set_up_at_import_works_in_every_call(process: Command, module: str, tmp_path: Path) -> None:
    with (tmp_path / f"{module}.py").open("a", encoding="utf-8") as stream:
        stream.write(
            "\nimport logging\nlogging.basicConfig(stream=sys.stdout, level=logging.INFO)\n"
            "def logs(event, context):\n    logging.info('called')\n"
        )
    done = process("logs", "-m", "1024", "-v")
    assert done.code == 0
    assert done.err.count("INFO:root:called") == 3
    assert "Logging error" not in done.err


def test_verbose_shows_the_end_of_what_was_printed_on_standard_error(
    dry_run: Command, module: str, tmp_path: Path
) -> None:
    with (tmp_path / f"{module}.py").open("a", encoding="utf-8") as stream:
        stream.write("\ndef counts(event, context):\n    for n in range(5000): print('line', n)\n")
    done = dry_run("counts", "-v", "-m", "128")
    assert done.code == 0
    assert "  | line 4999" in done.err
    assert "line 4000\n" not in done.err
    assert "line" not in done.out


def test_verbose_shows_what_was_printed_before_a_failure(dry_run: Command, module: str, tmp_path: Path) -> None:
    with (tmp_path / f"{module}.py").open("a", encoding="utf-8") as stream:
        stream.write("\ndef fails(event, context):\n    print('about to fail')\n    raise ValueError('it failed')\n")
    done = dry_run("fails", "-v", "-m", "128")
    assert done.code == 5
    assert "  | about to fail" in done.err


def test_quiet_leaves_standard_error_empty(dry_run: Command) -> None:
    done = dry_run("prints_hostile_text", "-q")
    assert done.code == 0
    assert done.err == ""


# --- threads, children, memory ---


def test_cpu_time_of_threads_counts(dry_run: Command) -> None:
    assert dry_run("computes_in_threads", "-n", "1").run["source"]["cpu_ms"] > 150


def test_cpu_time_of_child_processes_counts(dry_run: Command) -> None:
    done = dry_run("computes_in_child", "-n", "1", "-m", "128,1769")
    assert done.run["source"]["cpu_ms"] > 250
    small, large = (size["duration_ms"]["mean"] for size in done.run["sizes"])
    assert small > 4 * large


def test_memory_that_forks_share_with_the_handler_counts_once(dry_run: Command) -> None:
    held = bytearray(100 * 1024 * 1024)  # stands for what powertune itself takes, which is not the handler's
    needed_mb = dry_run("works_in_four_forks", "-n", "1", "-m", "128,512").run["source"]["memory_needed_mb"]
    assert needed_mb < 120
    del held


def test_a_handler_may_fork(process: Command) -> None:
    assert process("forks").code == 0


def test_a_child_that_goes_on_from_a_fork_does_not_print_the_result_again(process: Command) -> None:
    done = process("forks_and_lets_the_child_go_on", "-f", "csv")
    assert done.code == 0, done.err
    assert done.out.count("memory_mb,") == 1
    assert done.err.count("Warning: durations are scaled") <= 1


def test_a_handler_that_ends_the_process_does_not_make_it_look_like_success(process: Command) -> None:
    assert process("ends_the_process").code not in (0, 1)


def test_a_thread_left_behind_does_not_keep_the_process(process: Command) -> None:
    assert set(process("leaves_a_thread_behind").statuses().values()) == {"ok"}


def test_a_thread_started_at_import_does_not_keep_the_process(process: Command, module: str, tmp_path: Path) -> None:
    with (tmp_path / f"{module}.py").open("a", encoding="utf-8") as stream:
        stream.write("\nthreading.Thread(target=time.sleep, args=(600,)).start()\n")
    assert process("answers", "-m", "128").statuses() == {128: "ok"}


def test_a_child_left_behind_does_not_keep_the_process_or_its_output(process: Command, tmp_path: Path) -> None:
    children = tmp_path / "children"
    try:
        done = process("leaves_a_child_behind", "-p", json.dumps({"children": str(children)}))
    finally:
        for pid in children.read_text(encoding="ascii").split():
            os.kill(int(pid), signal.SIGKILL)
    assert done.code == 0, done.err


def test_sizes_below_the_memory_a_handler_needs_are_infeasible_rows(dry_run: Command) -> None:
    done = dry_run("needs_300_mb", "-m", "128,256,1024")
    assert done.code == 0
    assert done.statuses() == {128: "out-of-memory", 256: "out-of-memory", 1024: "ok"}
    assert done.run["recommendation"]["memory_mb"] == 1024
    assert 300 <= done.run["sizes"][2]["max_memory_used_mb"] < 500


def test_memory_that_a_child_process_needs_counts(process: Command) -> None:
    assert process("needs_300_mb_in_a_child", "-n", "1", "-m", "128,256,1024").statuses() == {
        128: "out-of-memory",
        256: "out-of-memory",
        1024: "ok",
    }


def test_memory_that_a_handler_keeps_from_call_to_call_counts(dry_run: Command) -> None:
    done = dry_run("leaks", "-n", "7", "-m", "128,1024")
    assert done.statuses() == {128: "out-of-memory", 1024: "ok"}


def test_a_handler_that_needs_more_than_every_size_has_exit_code_5(dry_run: Command) -> None:
    done = dry_run("needs_300_mb", "-m", "128,192")
    assert_complains(done, 5)
    assert done.statuses() == {128: "out-of-memory", 192: "out-of-memory"}


# --- the process itself ---


@pytest.mark.parametrize("handler", ["starts_and_sleeps"])
def test_an_interrupt_ends_the_run_with_exit_code_130(module: str, tmp_path: Path, handler: str) -> None:
    started = tmp_path / "started"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "powertune",
            "dry-run",
            f"{module}:{handler}",
            "-p",
            json.dumps({"started": str(started)}),
            "--save",
            "run.json",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(started)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=ENOUGH_S)
    finally:
        process.kill()
    assert process.returncode == 130
    assert out == ""
    assert "Interrupted" in err
    assert "Traceback" not in err
    assert not (tmp_path / "run.json").exists()


def test_a_second_or_third_interrupt_ends_even_a_handler_that_swallows_them(module: str, tmp_path: Path) -> None:
    started = tmp_path / "started"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "powertune",
            "dry-run",
            f"{module}:swallows_everything",
            "-p",
            json.dumps({"started": str(started)}),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(started)
        for _ in range(3):
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
        out, err = process.communicate(timeout=10)
    finally:
        process.kill()
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err


def test_a_reader_that_has_had_enough_is_no_error(module: str) -> None:
    done = shell('{ powertune dry-run "$1" -m all -n 1 -f csv; echo "exit $?" >&2; } | head -1', f"{module}:answers")
    assert done.out.startswith("memory_mb,")
    assert done.err.splitlines()[-1] == "exit 0"
    assert "Error" not in done.err
    assert "Broken" not in done.err


@pytest.mark.parametrize("format_name", ["table", "json"])
def test_a_reader_that_is_gone_before_the_result_is_no_error(module: str, format_name: str) -> None:
    done = shell(
        '{ powertune dry-run "$1" -n 1 -f "$2" -q; echo "exit $?" >&2; } | true', f"{module}:answers", format_name
    )
    assert done.err == "exit 0\n"


def test_a_reader_of_both_streams_that_goes_away_is_no_error(module: str) -> None:
    done = shell(
        'exec 3>&1; { powertune dry-run "$1" -m all -n 1; echo "exit $?" >&3; } 2>&1 | true', f"{module}:answers"
    )
    assert done.out == "exit 0\n"
    assert done.err == ""


@pytest.mark.parametrize("closed", ["<&-", "<&- 2>&-"])
def test_closed_standard_streams_do_not_stop_a_run(module: str, closed: str) -> None:
    done = shell(f'powertune dry-run "$1" -n 1 -m 128 -f json {closed}', f"{module}:answers")
    assert done.code == 0, done.err
    assert done.statuses() == {128: "ok"}


def test_with_standard_error_closed_complaints_do_not_go_to_standard_output(module: str) -> None:
    for handler in (f"{module}:nowhere", f"{module}:raises"):
        done = shell('powertune dry-run "$1" -f json -m 128 2>&-', handler)
        assert done.code in (3, 5)
        assert "Error:" not in "".join(line for line in done.out.splitlines() if not line.startswith(" "))
        assert "Warning" not in done.out


def test_with_standard_output_closed_files_are_still_written(module: str, tmp_path: Path) -> None:
    done = shell('powertune dry-run "$1" -n 1 --save run.json >&-', f"{module}:answers")
    assert "Traceback" not in done.err
    assert "bug" not in done.err
    assert (tmp_path / "run.json").is_file()


def test_a_full_disk_under_standard_output_is_told_as_what_it_is(module: str) -> None:
    done = shell('ulimit -f 0; powertune dry-run "$1" -n 1 -f json > result.json', f"{module}:answers")
    assert_complains(done, 3)
    assert "too large" in done.err  # a file size limit stands in for the full disk
    assert "Exception ignored" not in done.err


def test_a_working_directory_that_is_gone_is_told_as_what_it_is(module: str) -> None:
    done = shell('mkdir gone && cd gone && rmdir ../gone && powertune dry-run "$1" -n 1', f"{module}:answers")
    assert_complains(done, 3)


def test_a_payload_comes_from_standard_input(module: str, tmp_path: Path) -> None:
    answers = tmp_path / "answers"
    done = shell(
        'printf %s "$2" | powertune dry-run "$1" -n 1 -m 128 -f json -p -',
        f"{module}:tells",
        json.dumps({"to": str(answers), "text": "\N{SNOWMAN}"}),
    )
    assert done.code == 0, done.err
    assert json.loads(answers.read_text(encoding="utf-8").splitlines()[0])["event"]["text"] == "\N{SNOWMAN}"


def test_progress_goes_to_standard_error_once_a_call_takes_its_time(module: str) -> None:
    done = shell('powertune dry-run "$1" -n 30 --format json', f"{module}:waits")
    assert done.statuses()
    assert f"calling {module}:waits" in done.err
