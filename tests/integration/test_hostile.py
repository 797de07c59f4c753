"""Handlers that attack their process: a clear row each, the right exit code, and nothing left behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ENOUGH_S = 120
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="process trees can be followed on Linux only")
COMMAND = Path(sys.executable).with_name("powertune")
MARK = "POWERTUNE_TEST_MARK"

# Handler, how it ends, and how the reason of its row begins.
FAILING = [
    ("exits", "failed", "Runtime.ExitError: it called sys.exit(3)"),
    ("ends_the_process", "failed", "Runtime.ExitError: exit status 7"),
    ("kills_itself", "failed", "Runtime.ExitError: signal: killed"),
    ("crashes_in_c", "failed", "Runtime.ExitError: signal: segmentation fault"),
    ("kills_its_parent", "failed", "it closed or used a descriptor that belongs to the runtime"),
    ("stops_itself", "timed-out", "no answer within 500 ms"),
    ("starts_two_thousand_processes", "failed", "it started more than 1,024 processes and threads"),
    ("takes_two_gigabytes", "out-of-memory", "took more than the "),
    ("takes_a_gigabyte_in_children", "out-of-memory", "took more than the "),
    ("takes_a_gigabyte_in_a_daemon", "out-of-memory", "took more than the "),
    ("writes_a_file_larger_than_tmp", "failed", "OSError: [Errno 27] File too large"),
    ("spins", "timed-out", "no answer within 500 ms"),
    ("deadlocks", "timed-out", "no answer within 500 ms"),
    ("ignores_every_signal", "timed-out", "no answer within 500 ms"),
    ("swallows_everything", "timed-out", "no answer within 500 ms"),
    ("hangs_with_children", "timed-out", "no answer within 500 ms"),
    ("closes_every_descriptor", "failed", "it closed or used a descriptor that belongs to the runtime"),
    ("writes_to_every_descriptor", "failed", "it closed or used a descriptor that belongs to the runtime"),
    ("raises_base_exception", "failed", "EndOfTheWorld: now (hostile.py:"),
    ("returns_generator", "failed", "Runtime.MarshalError: it returned a generator"),
    ("returns_seven_megabytes", "failed", "Function.ResponseSizeTooLarge: it returned 7.0 MB"),
    ("returns_a_lock", "failed", "Runtime.MarshalError: it returned a lock"),
    ("recurses_for_ever", "failed", "RecursionError: maximum recursion depth exceeded"),
]
HARMLESS = [
    "closes_standard_streams",
    "prints_binary",
    "reads_stdin",
    "leaves_threads_behind",
    "leaves_a_daemon_behind",
    "comes_back_twice",
    "changes_time",
    "takes_builtins_away",
    "empties_import_state",
    "deletes_its_module",
    "changes_folder",
]


def marked(mark: str) -> list[str]:
    """Return the command lines of all processes that have the mark in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text(encoding="utf-8", errors="replace").replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.fixture
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Copy the handlers, give a mark that only their processes have, and see that none of them is left."""
    shutil.copy(Path(__file__).with_name("hostile.py"), tmp_path)
    monkeypatch.chdir(tmp_path)
    mark = uuid.uuid4().hex
    yield mark
    until = time.monotonic() + 5  # what was killed may take a moment to go
    while marked(mark) and time.monotonic() < until:
        time.sleep(0.05)
    assert marked(mark) == []


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def dry_run(mark: str) -> Run:
    """Run a handler through the installed command, in a process of its own."""

    def run(handler: str, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, "dry-run", f"hostile:{handler}", "--isolate", "--env", f"{MARK}={mark}", "-n", "2", *options],
            capture_output=True,
            text=True,
            timeout=ENOUGH_S,
            check=False,
        )

    return run


def rows(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """Return the sizes of a run in JSON."""
    sizes: list[dict[str, Any]] = json.loads(done.stdout)["sizes"]
    return sizes


@ON_LINUX
@pytest.mark.parametrize(("handler", "status", "reason"), FAILING, ids=[name for name, *_ in FAILING])
def test_a_handler_that_fails_is_a_row_with_its_reason_and_exit_code_5(
    dry_run: Run, handler: str, status: str, reason: str
) -> None:
    # So many processes take more than 512 MB, too, and which limit they meet first is not the question.
    sizes = "128,10240" if handler == "starts_two_thousand_processes" else "128,512"
    done = dry_run(handler, "-m", sizes, "-f", "json", "--timeout", "0.5" if status == "timed-out" else "30")
    assert done.returncode == 5, done.stderr
    assert [row["status"] for row in rows(done)] == [status, status]
    assert all(row["reason"].startswith(reason) for row in rows(done)), rows(done)
    assert sum(line.startswith("Error: ") for line in done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr


@ON_LINUX
@pytest.mark.parametrize("handler", HARMLESS)
def test_a_handler_that_does_no_more_than_odd_things_is_measured(dry_run: Run, handler: str) -> None:
    done = dry_run(handler, "-m", "128,512", "-f", "json", "--timeout", "60")
    assert done.returncode == 0, done.stderr
    assert [row["status"] for row in rows(done)] == ["ok", "ok"]
    assert all(0 < row["duration_ms"]["mean"] < 60_000 for row in rows(done))


@ON_LINUX
def test_a_call_that_ends_the_process_is_a_failure_among_others(dry_run: Run) -> None:
    done = dry_run("ends_the_process_in_its_third_call", "-n", "5", "-m", "512", "-f", "json")
    assert done.returncode == 0, done.stderr
    assert rows(done)[0]["invocations"] == {"warm": 2, "cold": 2, "failed": 2}
    assert "exit status 7" in done.stderr


@ON_LINUX
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("raise ValueError('no config')", "fails while it is imported: ValueError: no config"),
        ("import nothing_like_it", "cannot be imported: ModuleNotFoundError"),
        ("import os; os._exit(4)", "ended its process while it was imported: Runtime.ExitError: exit status 4"),
        ("def broken(:", "fails while it is imported: SyntaxError"),
    ],
)
def test_a_module_that_cannot_be_imported_is_told_as_what_it_is(
    dry_run: Run, tmp_path: Path, line: str, told: str
) -> None:
    (tmp_path / "hostile.py").write_text(line + "\n", encoding="utf-8")
    done = dry_run("answers", "-m", "512")
    assert done.returncode == 5
    assert done.stdout == ""
    assert f"Error: hostile {told}" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("  ")


@ON_LINUX
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_behind_when_powertune_itself_is_ended(mark: str, kind: signal.Signals) -> None:
    process = subprocess.Popen(
        [COMMAND, "dry-run", "hostile:hangs_with_children", "--isolate", "--env", f"{MARK}={mark}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + ENOUGH_S
        while len(marked(mark)) < 6:  # the handler's process and its five children
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(kind)
        assert process.wait(timeout=ENOUGH_S) != 0
    finally:
        process.kill()
    # That nothing is left is asserted where the mark was made.


@ON_LINUX
def test_values_of_environment_variables_are_never_shown(dry_run: Run, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("API_KEY=hunter2\nthis line is no variable hunter2\n", encoding="utf-8")
    for options in (["--env-file", "env"], ["--env", "hunter2"], ["--env", "A-B=hunter2"]):
        done = dry_run("answers", "-v", "--debug", *options)
        assert done.returncode in (2, 3)
        assert "hunter2" not in done.stdout + done.stderr
    (tmp_path / "env").write_text("API_KEY=hunter2\n", encoding="utf-8")
    done = dry_run("answers", "-v", "--debug", "--env-file", "env", "-f", "json", "--save", "run.json")
    assert done.returncode == 0, done.stderr
    assert "hunter2" not in done.stdout + done.stderr + (tmp_path / "run.json").read_text(encoding="utf-8")
    assert os.environ.get("API_KEY") is None
