"""The CPU time and memory of a command and all that comes of it, and its certain end; with real processes."""

import os
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pytest

from powertune.sources import process_tree
from powertune.sources.process_tree import (
    LinuxProcesses,
    ProcessTree,
    PsProcesses,
    Thread,
    Usage,
    adopting_orphans,
    cpu_between_ms,
    work_of,
)
from powertune.sources.watcher import Tree

MARK = "POWERTUNE_TEST_MARK=1"
ENOUGH_S = 30.0
needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")


def usage(
    cpu_ms: Mapping[int, float],
    ended_ms: Mapping[int, float] | None = None,
    seen_ms: Mapping[int, float] | None = None,
    threads: Mapping[int, Thread] | None = None,
) -> Usage:
    return Usage(cpu_ms, ended_ms or dict.fromkeys(cpu_ms, 0.0), {**(seen_ms or {}), **cpu_ms}, threads or {})


# --- arithmetic ---


@pytest.mark.parametrize(
    ("before", "after", "expected_ms"),
    [
        (usage({1: 5.0}), usage({1: 8.0}), 3.0),
        (usage({1: 5.0, 2: 1.0}), usage({1: 6.0, 2: 4.0}), 4.0),
        (usage({1: 5.0}), usage({1: 6.0, 2: 4.0}), 5.0),  # 2 was born
        (usage({1: 5.0}), usage({1: 6.0}, {1: 30.0}), 31.0),  # a child came and went unseen
        (usage({1: 5.0}), usage({1: 6.0}, {1: 30.0}, {2: 25.0}), 31.0),  # and was seen before its end
        (usage({1: 5.0}), usage({1: 6.0}, {1: 0.0}, {2: 25.0}), 26.0),  # nobody waited for it
        (usage({1: 5.0, 2: 10.0}), usage({1: 6.0}, {1: 30.0}, {2: 28.0}), 21.0),  # it had worked before
        (usage({1: 5.0, 2: 10.0}, {1: 0.0, 2: 40.0}), usage({1: 6.0}, {1: 70.0}, {2: 28.0}), 21.0),  # so had its child
        (usage({1: 5.0}), usage({}, {}, {1: 9.0}), 4.0),  # the root itself is gone
        (usage({}), usage({}), 0.0),
    ],
)
def test_cpu_time_between_two_moments_counts_those_that_came_and_went_once(
    before: Usage, after: Usage, expected_ms: float
) -> None:
    assert cpu_between_ms(before, after) == pytest.approx(expected_ms)


def test_waiting_is_told_by_the_thread_that_worked_most() -> None:
    before = usage({1: 0.0}, threads={1: Thread(0.0, 0.0, 10), 2: Thread(0.0, 0.0, 10)})
    after = usage({1: 42.0}, threads={1: Thread(2.0, 0.0, 11), 2: Thread(40.0, 20.0, 14), 3: Thread(0.0, 0.0, 1)})
    work = work_of(before, after, 0.0, 100.0)
    assert (work.cpu_ms, work.wait_ms, work.threads, work.waits) == (42.0, 38.0, 1, 4)


def test_without_threads_to_look_at_there_is_one_wait() -> None:
    work = work_of(usage({1: 0.0}), usage({1: 40.0}), 0.0, 100.0)
    assert (work.cpu_ms, work.wait_ms, work.threads, work.waits) == (40.0, 60.0, 1, 1)


def test_clocks_that_went_backwards_are_no_work() -> None:
    assert work_of(usage({1: 5.0}), usage({1: 4.0}), 0.0, 1.0).cpu_ms == 0.0


# --- real processes ---


@pytest.fixture
def tree_of() -> Iterator[type[ProcessTree]]:
    """Clean up after tests that fail."""
    started: list[ProcessTree] = []

    class Noted(ProcessTree):
        def __init__(self, root: int, mark: str = MARK) -> None:
            super().__init__(root, mark)
            started.append(self)

    with adopting_orphans():
        yield Noted
        for tree in started:
            tree.kill()


def run_python(code: str) -> "subprocess.Popen[str]":
    """Start Python code that prints a line when it is ready, and wait for that."""
    name, _, value = MARK.partition("=")
    return subprocess.Popen(
        [sys.executable, "-S", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, name: value},
    )


def line_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: "subprocess.Popen[str]") -> None:
    process.communicate()


# Each computes for 200 ms by its own account when it gets a line.
COMPUTES = """
import sys, time
sys.stdin.readline()
until = time.process_time() + 0.2
while time.process_time() < until: pass
print('done', flush=True); sys.stdin.read()
"""
COMPUTES_IN_THREADS = """
import sys, threading, time
def work():
    while time.thread_time() < 0.1: pass
sys.stdin.readline()
threads = [threading.Thread(target=work) for _ in range(2)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
print('done', flush=True); sys.stdin.read()
"""
COMPUTES_IN_A_CHILD = """
import subprocess, sys
sys.stdin.readline()
subprocess.run([sys.executable, "-S", "-c", "import time\\nwhile time.process_time() < 0.2: pass"])
print('done', flush=True); sys.stdin.read()
"""
DAEMON = """
import os, sys, time
if not os.fork():
    os.setsid()
    daemon = os.fork()
    if daemon:
        print(daemon, flush=True)
        os._exit(0)
    time.sleep(600)
os.wait()
sys.stdin.read()
"""


@needs_proc
@pytest.mark.parametrize("code", [COMPUTES, COMPUTES_IN_THREADS, COMPUTES_IN_A_CHILD], ids=["self", "threads", "child"])
def test_cpu_time_counts_threads_and_children_that_have_ended(tree_of: type[ProcessTree], code: str) -> None:
    process = run_python(code)
    tree = tree_of(process.pid, MARK)
    before = tree.usage()
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert line_of(process) == "done"
    # That of children is told in steps of 10 ms.
    assert cpu_between_ms(before, tree.usage()) >= 185
    tree.kill()
    end(process)


@needs_proc
def test_a_process_that_has_cut_all_ties_is_found_by_its_mark_and_killed(tree_of: type[ProcessTree]) -> None:
    process = run_python(DAEMON)
    daemon = int(line_of(process))
    tree = tree_of(process.pid, MARK)
    assert tree.pids() >= {process.pid, daemon}
    assert tree.kill()
    end(process)
    assert not Path(f"/proc/{daemon}").exists()


@needs_proc
def test_processes_of_others_are_let_alone(tree_of: type[ProcessTree]) -> None:
    mine, other = run_python("input()"), run_python("input()")
    tree = tree_of(mine.pid, "POWERTUNE_TEST_MARK=other")
    assert tree.pids() == {mine.pid}
    tree.kill()
    end(mine)
    assert other.poll() is None
    other.kill()
    end(other)


@needs_proc
def test_memory_that_processes_share_counts_once(tree_of: type[ProcessTree]) -> None:
    process = run_python(
        "import os, sys, time\nheld = b'x' * (100 * 1024 * 1024)\n"
        "forked = [os.fork() or time.sleep(600) for _ in range(4)]\nprint('ready', flush=True); sys.stdin.read()"
    )
    tree = tree_of(process.pid, MARK)
    line_of(process)
    tree.sample()
    assert 100 < tree.peak_memory_mb < 200
    tree.kill()
    end(process)


@needs_proc
def test_a_child_that_is_about_to_become_a_program_takes_no_memory(tree_of: type[ProcessTree], tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # posix_spawn's child lives in its parent's memory until it becomes the program: here, until the pipe has a writer.
    process = run_python(
        "import os\nheld = b'x' * (100 * 1024 * 1024)\nprint('ready', flush=True)\n"
        f"os.posix_spawn('/bin/true', ['true'], {{}}, file_actions=[(os.POSIX_SPAWN_OPEN, 0, {str(fifo)!r}, 0, 0)])"
    )
    line_of(process)
    tree, watched = tree_of(process.pid, MARK), Tree(process.pid)
    until = time.monotonic() + ENOUGH_S
    while len(tree.pids()) < 2:
        assert time.monotonic() < until
    tree.sample()
    watched.sample()
    watched.weigh()
    assert watched.size == 2
    assert 100 < tree.peak_memory_mb < 190
    assert 100 < watched.peak_mb < 190
    fifo.write_bytes(b"")
    end(process)


@needs_proc
def test_memory_that_was_given_back_counts_at_its_peak(tree_of: type[ProcessTree]) -> None:
    process = run_python(
        "import sys\nheld = b'x' * (100 * 1024 * 1024)\ndel held\nprint(1, flush=True); sys.stdin.read()"
    )
    tree = tree_of(process.pid, MARK)
    line_of(process)
    tree.usage()
    assert tree.peak_memory_mb > 100
    tree.kill()
    end(process)


def test_a_tree_that_is_gone_has_nothing(tree_of: type[ProcessTree]) -> None:
    process = run_python("pass")
    end(process)
    tree = tree_of(process.pid, MARK)
    tree.sample()
    assert tree.pids() == set()
    assert tree.usage().cpu_ms == {}
    assert tree.kill()


def test_what_cannot_be_killed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_tree, "_KILLING_S", 0.0)

    class Undead(LinuxProcesses):
        def parents(self) -> Mapping[int, int]:
            return {999_999_998: 1, 999_999_999: 999_999_998}  # no system has so many

    assert not ProcessTree(999_999_998, MARK, Undead()).kill()


# --- systems without /proc ---


@pytest.mark.parametrize(
    ("time_written", "cpu_ms"),
    [("0:00.05", 50.0), ("12:01.50", 721_500.0), ("00:00:07", 7000.0), ("1-02:03:04", 93_784_000.0)],
    ids=["macOS", "macOS minutes", "others", "days"],
)
def test_ps_is_read_in_the_forms_it_has(monkeypatch: pytest.MonkeyPatch, time_written: str, cpu_ms: float) -> None:
    listed = f"    1     0   9000   0:09.00\n  71    1  20480   {time_written}\n  72   71  10240   0:00.00\n"

    def run(command: Collection[str], **_: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.CompletedProcess(list(command), 0, listed, "")

    monkeypatch.setattr(subprocess, "run", run)
    tree = ProcessTree(71, MARK, PsProcesses())
    tree.sample()
    seen = tree.usage()
    assert seen.cpu_ms == {71: cpu_ms, 72: 0.0}
    assert not seen.threads
    assert tree.peak_memory_mb == 30.0


def test_ps_finds_the_children_of_a_process() -> None:
    try:
        subprocess.run(["ps", "-A", "-o", "pid=,ppid=,rss=,time="], check=True, capture_output=True)  # noqa: S607 - on the path
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("there is no ps that takes these options")
    process = run_python(
        "import subprocess, sys\nsubprocess.Popen(['sleep', '600'])\nprint(1, flush=True); sys.stdin.read()"
    )
    line_of(process)
    tree = ProcessTree(process.pid, MARK, PsProcesses())
    tree.sample()
    assert len(tree.pids()) == 2
    assert tree.peak_memory_mb > 1
    assert tree.kill()
    end(process)
    until = time.monotonic() + ENOUGH_S
    while len(ProcessTree(process.pid, MARK, PsProcesses()).pids()):
        assert time.monotonic() < until
