"""Commands that speak the Runtime API, in several languages, well-behaved and not: each gives an answer, none stays."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import powertune
from powertune.cli.main import main
from powertune.errors import UsageError
from powertune.model import run_file
from powertune.sources.event_loop import EventLoop
from powertune.sources.process_tree import adopting_orphans
from powertune.sources.runtime_api import RuntimeApi
from powertune.sources.runtime_process import RuntimeProcess
from powertune.sources.watcher import children_of

SCHEMA = json.loads(Path(run_file.__file__).with_name("run-1.schema.json").read_text(encoding="utf-8"))
SERVERS = Path(__file__).parents[1] / "servers"
BOOTSTRAP = SERVERS / "bootstrap.py"
ENOUGH_S = 60


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

    def statuses(self) -> set[str]:
        return {size["status"] for size in self.run["sizes"]}

    def reasons(self) -> set[str | None]:
        return {size["reason"] for size in self.run["sizes"]}

    def warnings(self) -> dict[str, str]:
        return {warning["code"]: warning["message"] for warning in self.run["warnings"]}


Command = Callable[..., Done]


@pytest.fixture
def pids(tmp_path: Path) -> Iterator[Path]:
    """Give a file for process ids, and hold that none of those in it is alive afterwards."""
    file = tmp_path / "pids"
    yield file
    for pid in file.read_text(encoding="ascii").split() if file.exists() else ():
        assert not is_alive(int(pid)), f"process {pid} was left behind"


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture
def dry_run(capfd: pytest.CaptureFixture[str]) -> Command:
    """Run any command from this process. The result is JSON unless another format is asked for."""

    def run(*command: str, options: tuple[str, ...] = ()) -> Done:
        capfd.readouterr()
        code = main(["dry-run", "--runtime-api", "-n", "2", "-m", "128,1769", "-f", "json", *options, "--", *command])
        return Done(code, *capfd.readouterr())

    return run


@pytest.fixture
def mode(dry_run: Command, pids: Path) -> Command:
    """Run the bootstrap of the tests in one of its modes."""

    def run(name: str, *options: str) -> Done:
        return dry_run(sys.executable, "-S", str(BOOTSTRAP), name, str(pids), options=options)

    return run


# --- what a run gives ---


def test_the_run_file_is_valid_and_says_what_it_rests_on(mode: Command) -> None:
    done = mode("echo", "--current", "512")
    assert done.code == 0, done.err
    jsonschema.Draft202012Validator(SCHEMA).validate(done.run)
    source = done.run["source"]
    assert source["kind"] == "local"
    assert (source["called_through"], source["rests_on"]) == ("runtime-api", "this-machine")
    assert source["command"].endswith(f"bootstrap.py echo {source['command'].rpartition(' ')[2]}")
    assert [size["memory_mb"] for size in done.run["sizes"]] == [128, 512, 1769]
    assert {size["basis"] for size in done.run["sizes"]} == {"scaled"}


def test_each_size_has_a_cold_start_with_its_init_and_warm_calls(mode: Command) -> None:
    run = mode("echo", "-n", "4").run
    for size in run["sizes"]:
        assert size["invocations"] == {"warm": 4, "cold": 1, "failed": 0}
        assert size["init_ms"]["mean"] > 0
    assert (run["source"]["calls"], run["source"]["inits"]) == (5, 1)


def test_the_event_and_what_belongs_to_it_reach_the_runtime(tmp_path: Path) -> None:
    told_to = tmp_path / "told"
    event = {"orders": [1, 2.5, "é\U0001f600"]}
    options = ["-p", json.dumps(event), "--timeout", "30", "--region", "eu-west-1", "--current", "512"]
    options += ["--env", "STAGE=test", "--layer", str(tmp_path)]
    main(["dry-run", "--runtime-api", "-n", "1", *options, "--", sys.executable, str(BOOTSTRAP), "tells", str(told_to)])
    told = json.loads(told_to.read_text(encoding="utf-8"))
    assert json.loads(told["body"]) == event
    headers = told["headers"]
    assert headers["lambda-runtime-invoked-function-arn"].startswith("arn:aws:lambda:eu-west-1:123456789012:function:")
    assert 10_000 < int(headers["lambda-runtime-deadline-ms"]) - told["now_ms"] <= 30_000
    environment = told["environment"]
    assert environment["AWS_LAMBDA_RUNTIME_API"].startswith("127.0.0.1:")
    assert environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "512"
    assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert environment["AWS_LAMBDA_INITIALIZATION_TYPE"] == "on-demand"
    assert environment["LAMBDA_TASK_ROOT"] == str(Path.cwd())
    assert environment["_HANDLER"] == "bootstrap"
    assert environment["TZ"] == ":UTC"
    assert environment["STAGE"] == "test"
    assert environment["PATH"].startswith(f"{tmp_path}/bin:")
    assert "AWS_EXECUTION_ENV" not in environment


def test_a_proxy_for_the_rest_of_the_world_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told_to = tmp_path / "told"
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "example.com")
    main(["dry-run", "--runtime-api", "-n", "1", "--", sys.executable, str(BOOTSTRAP), "tells", str(told_to)])
    assert json.loads(told_to.read_text(encoding="utf-8"))["environment"]["no_proxy"] == "example.com,127.0.0.1"


def test_computing_is_scaled_with_memory_and_waiting_is_not(mode: Command) -> None:
    computing = mode("computes", "-p", '{"cpu_ms": 60}').run["sizes"]
    waiting = mode("waits", "-p", '{"wait_ms": 60}').run["sizes"]
    assert computing[0]["duration_ms"]["mean"] > 5 * computing[1]["duration_ms"]["mean"]
    assert waiting[0]["duration_ms"]["mean"] == pytest.approx(waiting[1]["duration_ms"]["mean"], rel=0.8)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are watched on Linux only")
def test_computing_and_waiting_are_seen_in_their_order(pids: Path) -> None:
    children = children_of(os.getpid())
    with adopting_orphans(), EventLoop() as loop:
        api = RuntimeApi()
        loop.run(api.__aenter__())
        process = RuntimeProcess(
            [sys.executable, "-S", str(BOOTSTRAP), "alternates", str(pids)],
            api,
            dict(os.environ),
            arn="arn:aws:lambda:us-east-1:123456789012:function:f",
            timeout_s=ENOUGH_S,
            memory_limit_mb=512,
        )
        loop.run(process.begin())
        run = loop.run(process.invoke("{}"))
        process.kill()
        loop.run(api.__aexit__(None, None, None))
    assert children_of(os.getpid()) == children  # neither it nor who watched it, nor a zombie of one
    assert run.status == "ok"
    seen, computed_ms = [], 0.0
    for segment in run.work.segments:  # a busy machine puts short waits between
        computed_ms += segment.cpu_ms
        if segment.wait_ms > 10:
            seen.append((computed_ms, segment.wait_ms))
            computed_ms = 0.0
    (first_ms, long_wait_ms), (second_ms, short_wait_ms) = seen
    assert 10 < first_ms < 40 < second_ms < 80
    assert short_wait_ms < 45 < long_wait_ms


def test_cpu_time_is_that_of_the_call_by_the_clock_of_the_process(mode: Command) -> None:
    # The bootstrap counts the same CPU time by itself, so a slow machine does not matter; 1.3 ms are the runtime's.
    assert mode("computes", "-p", '{"cpu_ms": 80}').run["source"]["cpu_ms"] >= 78


def test_cpu_time_of_children_that_have_ended_counts(mode: Command) -> None:
    # The kernel counts theirs in steps of 10 ms.
    assert mode("computes_in_a_child").run["source"]["cpu_ms"] >= 85


def test_memory_is_that_of_all_processes_and_of_what_runs_beside_them(mode: Command) -> None:
    small, large = mode("holds", "-p", '{"mb": 1}').run, mode("holds", "-p", '{"mb": 150}').run
    grown_mb = large["source"]["memory_needed_mb"] - small["source"]["memory_needed_mb"]
    assert 145 < grown_mb < 160
    assert [size["status"] for size in large["sizes"]] == ["out-of-memory", "ok"]


def test_memory_of_a_child_counts(mode: Command) -> None:
    alone = mode("echo").run["source"]["memory_needed_mb"]
    assert mode("holds_in_a_child").run["source"]["memory_needed_mb"] > alone + 95


def test_a_known_duration_anchors_the_answer(mode: Command) -> None:
    done = mode("computes", "--duration-at", "1769=500")
    assert done.run["sizes"][1]["duration_ms"]["mean"] == pytest.approx(500, rel=0.02)
    assert done.run["source"]["calibrated"] is True


def test_several_payloads_are_dealt_by_weight_and_weighed(mode: Command, tmp_path: Path) -> None:
    mix = tmp_path / "mix.json"
    mix.write_text(
        json.dumps(
            [
                {"name": "usual", "payload": {"cpu_ms": 10}, "weight": 3},
                {"name": "large", "payload": {"cpu_ms": 60}, "weight": 1},
            ]
        ),
        encoding="utf-8",
    )
    run = mode("computes", "-n", "8", "--payloads", str(mix)).run
    warm = [call["payload"] for call in run["invocations"] if call["memory_mb"] == 1769 and not call["cold"]]
    assert (warm.count("usual"), warm.count("large")) == (6, 2)


def test_a_sequence_of_payloads_is_used_line_by_line(mode: Command, tmp_path: Path) -> None:
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"cpu_ms": 1}\n{"cpu_ms": 2}\n{"cpu_ms": 3}\n', encoding="utf-8")
    assert mode("computes", "-n", "2", "--payloads", str(lines)).run["source"]["calls"] == 3
    done = mode("computes", "-n", "9", "--payloads", str(lines))
    assert done.code == 3
    assert "the sequence has 3 lines" in done.err


# --- what goes wrong: a clear row, the right exit code, and nothing left behind ---


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("raises", "failed", "ValueError: no such \\x1b[31morder"),
        ("memory_error", "out-of-memory", "MemoryError"),
        ("exits", "failed", "Runtime.ExitError: it ended with exit status 3 before its answer"),
        ("exits_after_its_answer", "failed", "Runtime.ExitError: it ended with exit status 0 after its answer"),
        ("kills_itself", "failed", "Runtime.ExitError: it was killed by SIGKILL before its answer"),
        ("hangs", "timed-out", "no answer within 400 ms"),
        ("hangs_after_its_answer", "timed-out", "an answer, but it did not ask for the next event within 3.000 s"),
        ("ignores_signals", "timed-out", "no answer within 400 ms"),
        ("sends_nothing_but_garbage", "timed-out", "no answer within 400 ms"),
        (
            "answers_too_much",
            "failed",
            "Function.ResponseSizeTooLarge: it returned 6.3 MB; Lambda takes 6 MB",
        ),
        ("breaks_off_its_stream", "failed", "Broken: midway"),
        ("fails_in_init", "failed", "Runtime.ImportModuleError: No module named 'shop'"),
        ("exits_in_init", "failed", "Runtime.ExitError: it ended with exit status 7 before it asked for an event"),
        (
            "leaves_its_work_to_a_child",
            "failed",
            "Runtime.ExitError: it ended with exit status 0 before it asked for an event",
        ),
    ],
)
def test_a_runtime_that_fails_is_a_row_with_its_reason(mode: Command, name: str, status: str, reason: str) -> None:
    # Time enough for a busy machine in the modes that have to do something in it.
    timeout = "3" if name == "hangs_after_its_answer" else "0.4" if status == "timed-out" else "30"
    done = mode(name, "--timeout", timeout)
    assert done.code == 5, done
    assert done.statuses() == {status}
    assert done.reasons() == {reason}
    jsonschema.Draft202012Validator(SCHEMA).validate(done.run)


def test_a_runtime_that_takes_more_memory_than_the_largest_size_is_stopped(mode: Command) -> None:
    done = mode("eats_memory", "-m", "128,256")
    assert done.code == 5
    assert done.statuses() == {"out-of-memory"}
    assert done.reasons() == {"took more than the 256 MB it may have"}


def test_a_runtime_that_starts_more_processes_than_lambda_has_is_stopped(mode: Command) -> None:
    done = mode("starts_too_much")
    assert done.code == 5
    assert done.reasons() == {"it started more than 1,024 processes, which is Lambda's limit"}


def test_a_runtime_that_never_asks_for_an_event_is_started_once_more_in_the_time_of_the_call(
    mode: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("powertune.sources.runtime_process.INIT_TIMEOUT_S", 0.5)
    done = mode("never_asks", "--timeout", "2")
    assert done.code == 5
    assert done.statuses() == {"timed-out"}
    assert done.reasons() == {"init did not end within 2.000 s: it never asked for an event"}
    assert done.run["source"]["failed_inits"] == 2


def test_an_init_that_fails_is_tried_once_more_with_the_invocation(mode: Command) -> None:
    done = mode("exits_in_the_first_init")
    assert done.code == 0, done
    assert (done.run["source"]["inits"], done.run["source"]["failed_inits"]) == (1, 1)
    assert done.warnings()["init-failed"] == (
        "1 init of 2 failed: Runtime.ExitError: it ended with exit status 7 before it asked for an event"
    )


def test_a_runtime_that_ends_is_started_again_and_the_next_call_is_a_cold_one(mode: Command) -> None:
    done = mode("exits_in_the_second_call", "-n", "5")
    assert done.code == 0
    # Calls: cold, crash, cold, crash, cold, crash.
    assert done.run["source"]["calls"] == 6
    assert done.run["source"]["inits"] == 3
    calls = [(call["cold"], call["status"]) for call in done.run["invocations"] if call["memory_mb"] == 128]
    assert sorted(calls) == [(False, "failed")] * 3 + [(True, "ok")] * 3
    assert "3 calls of 6 failed: Runtime.ExitError: it ended with exit status 4" in done.warnings()["failed-calls"]
    assert done.warnings()["restarted"] == "the command had to be started 3 times"


def test_an_error_in_one_call_leaves_the_runtime_running(mode: Command) -> None:
    done = mode("raises_sometimes", "-n", "5")
    assert done.code == 0
    assert done.run["source"]["inits"] == 1
    assert done.warnings()["failed-calls"] == "1 call of 6 failed: KeyError: once"


@pytest.mark.parametrize(
    ("name", "misuse"),
    [
        ("answers_twice", "it answered an invocation that was over"),
        ("answers_another", "it answered an invocation that there never was"),
        ("asks_before_it_answers", "it asked for an event before it had answered the last"),
        ("sends_garbage", "it sent what is no HTTP request"),
    ],
)
def test_a_runtime_that_does_not_keep_to_the_protocol_is_measured_and_told(
    mode: Command, name: str, misuse: str
) -> None:
    done = mode(name)
    assert done.code == 0, done
    assert done.warnings()["runtime-protocol"] == f"the command does not keep to the Runtime API: {misuse} (3 times)"


@pytest.mark.parametrize(("name", "started"), [("leaves_a_daemon", 3), ("forks", 60)])
def test_processes_that_a_runtime_starts_end_with_it(mode: Command, pids: Path, name: str, started: int) -> None:
    assert mode(name).code == 0
    assert len(pids.read_text(encoding="ascii").split()) == 1 + started  # the fixture looks whether they are alive


def test_a_streamed_response_of_more_than_6_mb_is_no_error(mode: Command) -> None:
    done = mode("streams")
    assert done.code == 0
    assert not done.warnings().keys() & {"failed-calls", "runtime-protocol"}


def test_what_a_runtime_prints_stays_off_the_screen(mode: Command) -> None:
    done = mode("prints", "-f", "table")
    assert "red" not in done.out + done.err
    done = mode("prints", "-f", "table", "-v")
    assert "red" not in done.out
    assert "  | \\x1b[31mred on standard output\n" in done.err
    assert "  | and on standard error\n" in done.err


# --- the command line ---


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--runtime-api"], 2, "HANDLER"),
        (["shop.orders:handler", "more"], 2, "a handler takes no arguments"),
        (["--runtime-api", "--isolate", "--", "x"], 2, "--isolate and --python are for Python handlers"),
        (["--runtime-api", "--python", ".venv", "--", "x"], 2, "--isolate and --python are for Python handlers"),
        (["--runtime-api", "--verify", "128", "--", "x"], 2, "--verify is for Python handlers"),
        (["--runtime-api", "-p", "{}", "--payloads", "[]", "--", "x"], 2, "exclude each other"),
        (["--runtime-api", "--", ""], 2, "there is no command to run"),
        (["--runtime-api", "--", "./no-such-command"], 3, "there is no command ./no-such-command"),
        (["--runtime-api", "--", "./folder"], 3, "./folder cannot be run: Permission denied"),
        (["--runtime-api", "--", "./text"], 3, "./text cannot be run: Exec format error"),
        (["--runtime-api", "--payloads", "no-such-file", "--", "./text"], 3, "there is no payloads file no-such-file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_command_line_that_cannot_work_says_why(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("no program", encoding="ascii")
    (tmp_path / "text").chmod(0o755)
    assert main(["dry-run", *arguments]) == code
    out, err = capfd.readouterr()
    assert not out
    assert message in err


def test_a_working_directory_that_is_gone_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["dry-run", "--runtime-api", "--", "true"]) == 3
    assert "Error: the working directory is gone\n" in capfd.readouterr().err


def test_options_of_the_command_are_its_own(dry_run: Command, pids: Path) -> None:
    done = dry_run(sys.executable, "-S", "-X", "utf8", str(BOOTSTRAP), "echo", str(pids), "-v", "--help", "-n", "7")
    assert done.code == 0
    assert done.run["source"]["calls"] == 3


def test_a_word_that_may_hold_a_secret_is_not_shown(dry_run: Command, pids: Path) -> None:
    done = dry_run("env", "TOKEN=hunter2", sys.executable, str(BOOTSTRAP), "echo", str(pids))
    assert done.code == 0
    assert "hunter2" not in done.out + done.err
    assert done.run["function"]["name"].startswith("env ... ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_all_it_started(pids: Path, number: int) -> None:
    process = begun("hangs", pids)
    process.send_signal(number)
    assert process.wait(ENOUGH_S) == 130


def test_a_runtime_notices_that_powertune_was_killed(pids: Path) -> None:
    process = begun("waits", pids, "-n", "10000", "-p", '{"wait_ms": 1}')
    process.kill()
    process.wait(ENOUGH_S)
    (pid,) = pids.read_text(encoding="ascii").split()
    until = time.monotonic() + ENOUGH_S
    while is_alive(int(pid)):
        assert time.monotonic() < until
        time.sleep(0.01)


def begun(name: str, pids: Path, *options: str) -> "subprocess.Popen[bytes]":
    """Start powertune in a process of its own and wait until the runtime runs."""
    command = [sys.executable, "-m", "powertune", "dry-run", "--runtime-api", *options, "--"]
    process = subprocess.Popen(
        [*command, sys.executable, "-S", str(BOOTSTRAP), name, str(pids)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + ENOUGH_S
    while not pids.exists() or not pids.read_text(encoding="ascii").endswith("\n"):
        assert time.monotonic() < until
        time.sleep(0.01)
    return process


def test_the_python_api_runs_a_command_too(pids: Path) -> None:
    command = [sys.executable, "-S", str(BOOTSTRAP), "echo", str(pids)]
    run = powertune.dry_run_command(command, payload={"orders": 3}, sizes=[128, 1769], samples=2)
    assert [size.status for size in run.sizes] == ["ok", "ok"]
    with pytest.raises(UsageError, match="there is no option 'pice'"):
        powertune.dry_run_command(command, pice=1)  # type: ignore[call-arg] # that is the test


# --- other people's runtimes ---

HANDLER = """
import hashlib, os

def handler(event, context):
    digest = b""
    for _ in range(event["rounds"]):
        digest = hashlib.sha256(digest).digest()
    return {"digest": digest.hex(), "left": context.get_remaining_time_in_millis() > 0, "name": context.function_name}

def raises(event, context):
    raise ValueError("no such order")

def exits(event, context):
    os._exit(1)
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write a module with handlers to the working directory, and give its name."""
    name = f"shop_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(HANDLER, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return name


def test_the_runtime_client_for_python_gives_what_a_call_in_process_gives(
    dry_run: Command, shop: str, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("awslambdaric", reason="the runtime client is not installed")
    event = '{"rounds": 1000}'
    there = dry_run(sys.executable, "-m", "awslambdaric", f"{shop}.handler", options=("-p", event)).run
    assert main(["dry-run", f"{shop}:handler", "-n", "2", "-m", "128,1769", "-f", "json", "-p", event]) == 0
    here = json.loads(capfd.readouterr().out)
    for run in (there, here):
        jsonschema.Draft202012Validator(SCHEMA).validate(run)
        assert {size["status"] for size in run["sizes"]} == {"ok"}
        assert [size["invocations"] for size in run["sizes"]] == [{"warm": 2, "cold": 1, "failed": 0}] * 2
        assert all(size["init_ms"]["mean"] > 0 for size in run["sizes"])
        assert "runtime-protocol" not in {warning["code"] for warning in run["warnings"]}
    assert there["source"]["payload_sha256"] == here["source"]["payload_sha256"]


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("raises", "ValueError: no such order"),
        ("exits", "Runtime.ExitError: it ended with exit status 1 before its answer"),
        ("missing", "Runtime.HandlerNotFound: Handler 'missing' missing on module '{shop}'"),
    ],
)
def test_errors_through_the_runtime_client_for_python_are_those_of_the_function(
    dry_run: Command, shop: str, function: str, reason: str
) -> None:
    pytest.importorskip("awslambdaric", reason="the runtime client is not installed")
    done = dry_run(sys.executable, "-m", "awslambdaric", f"{shop}.{function}", options=("-p", '{"rounds": 1}'))
    assert done.code == 5
    assert done.reasons() == {reason.format(shop=shop)}


def run_elsewhere(dry_run: Command, *command: str) -> None:
    """Run a bootstrap in another language: it chains digests, fails for `{"fail": 1}`, exits for `{"exit": 1}`."""
    done = dry_run(*command, options=("-p", '{"rounds": 1000}'))
    assert done.code == 0, done.err
    jsonschema.Draft202012Validator(SCHEMA).validate(done.run)
    assert done.statuses() == {"ok"}
    assert "runtime-protocol" not in done.warnings()
    done = dry_run(*command, options=("-p", '{"fail": 1}'))
    assert (done.code, done.reasons()) == (5, {"Error: no such order"})
    done = dry_run(*command, options=("-p", '{"exit": 1}'))
    assert (done.code, done.reasons()) == (5, {"Runtime.ExitError: it ended with exit status 9 before its answer"})


def test_a_bootstrap_in_node_is_run_and_measured(dry_run: Command) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node")
    run_elsewhere(dry_run, node, str(SERVERS / "bootstrap.mjs"))


def test_a_bootstrap_in_shell_that_asks_with_curl_is_run_and_measured(dry_run: Command) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    run_elsewhere(dry_run, "/bin/sh", str(SERVERS / "bootstrap.sh"))


def test_a_compiled_bootstrap_is_run_and_measured(dry_run: Command, tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    program = tmp_path / "bootstrap"
    subprocess.run([compiler, "-O1", "-o", str(program), str(SERVERS / "bootstrap.c")], check=True, timeout=ENOUGH_S)
    run_elsewhere(dry_run, str(program))


def test_the_environment_of_this_process_is_left_alone(mode: Command) -> None:
    before = dict(os.environ)
    mode("echo")
    assert dict(os.environ) == before
