"""Rooms throttle for real, end what runs in them, and are gone afterwards, whatever happened in between."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from powertune.aws_lambda.cpu import PERIOD_MS, TICK_MS, vcpu_share
from powertune.sources import throttle
from powertune.sources.throttle import RoomError, ThrottleUnavailableError, Way, cgroup, in_room, systemd

PYTHON = [sys.executable, "-I", "-S", "-c"]
FOR_EVER = "while True: pass"


@pytest.fixture(scope="module")
def way() -> Way:
    try:
        return throttle.find_way()
    except ThrottleUnavailableError as error:
        pytest.skip(error.message)


def groups() -> set[Path]:
    """Return the groups of powertune that there are, in any hierarchy."""
    return {path for top in Path("/sys/fs/cgroup").glob("*") for path in top.rglob("powertune-*") if path.is_dir()}


def children_cpu_ms() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1000


@pytest.mark.parametrize("memory_mb", [128, 512])
def test_a_busy_process_gets_no_more_than_the_quota(way: Way, memory_mb: int) -> None:
    before_ms = children_cpu_ms()
    with way.room(400) as room, in_room(room, [*PYTHON, "import sys; sys.stdin.read()\n" + FOR_EVER]):
        room.limit_cpu(memory_mb)
        began = time.monotonic()
        time.sleep(0.4)
        usage = room.usage()
    elapsed_ms = (time.monotonic() - began) * 1000
    quota_ms = PERIOD_MS * vcpu_share(memory_mb)
    starting_ms = 60.0  # of the interpreter, before the quota was there
    assert children_cpu_ms() - before_ms <= (elapsed_ms / PERIOD_MS + 2) * quota_ms + TICK_MS + starting_ms
    assert usage.throttled_periods > 1
    assert not usage.out_of_memory


def test_the_quota_is_that_of_lambda() -> None:
    # 128 MB are 0.0724 of a vCPU: 1.447 ms in 20 ms.
    assert throttle.quota_us(128) == 1447
    assert throttle.quota_us(1769) == throttle.PERIOD_US == 20_000


def test_a_process_that_eats_too_much_memory_is_ended_and_the_room_says_so(way: Way) -> None:
    eats = "import time; held = bytearray(b'x') * (300 * 1024 * 1024); time.sleep(60)"
    with way.room(64) as room, in_room(room, [*PYTHON, f"import time; time.sleep(0.3); {eats}"]) as process:
        assert process.wait(30) == -signal.SIGKILL
        usage = room.usage()
    assert usage.out_of_memory
    assert usage.peak_memory_mb is None or 50 < usage.peak_memory_mb <= 65


def test_leaving_a_room_ends_what_its_processes_have_started(way: Way, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    starts = (
        "import pathlib, subprocess, sys, time; time.sleep(0.3);"
        f"child = subprocess.Popen([sys.executable, '-S', '-c', {FOR_EVER!r}], start_new_session=True);"
        f"pathlib.Path({str(pid_file)!r}).write_text(str(child.pid)); time.sleep(60)"
    )
    before = groups()
    with way.room(200) as room, in_room(room, [*PYTHON, starts]):
        until = time.monotonic() + 30
        while not (pid_file.exists() and pid_file.read_text()):
            assert time.monotonic() < until
            time.sleep(0.02)
    assert is_gone(int(pid_file.read_text()))
    assert groups() == before


def is_gone(pid: int) -> bool:
    """Tell whether a process runs no more; one that nobody has waited for does not."""
    try:
        return "Z" in Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
    except FileNotFoundError:
        return True


def test_a_room_is_removed_when_something_fails_in_it(way: Way) -> None:
    before = groups()
    with pytest.raises(KeyboardInterrupt), way.room(100) as room, in_room(room, [*PYTHON, FOR_EVER]):
        raise KeyboardInterrupt
    assert groups() == before


def test_what_a_killed_process_left_behind_is_removed_by_the_next_room(way: Way) -> None:
    if way.name == "systemd scope":
        pytest.skip("a scope goes with its processes")
    before = groups()
    leaves = (
        "import os, signal, sys\n"
        "from powertune.sources import throttle\n"
        "way = throttle.find_way()\n"
        "with way.room(100) as room, throttle.in_room(room, [sys.executable, '-S', '-c', 'while True: pass']):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", leaves], check=False, timeout=60)
    assert groups() > before
    with way.room(100):
        pass
    assert groups() == before


def test_a_host_without_any_way_says_what_was_tried_and_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> Way:
        raise RoomError("cgroup v9: not mounted", hint="")

    for finder in ("find_version_1", "find_version_2"):
        monkeypatch.setattr(cgroup, finder, none)
    monkeypatch.setattr(systemd, "find_scopes", none)
    with pytest.raises(
        ThrottleUnavailableError, match=r"no CPU quota can be set here \(cgroup v9: not mounted"
    ) as told:
        throttle.find_way()
    assert "root" in told.value.hint
    assert told.value.exit_code == 2


def test_a_quota_that_is_accepted_but_not_kept_is_no_quota(monkeypatch: pytest.MonkeyPatch, way: Way) -> None:
    class Lax:
        name = "lax"

        def room(self, memory_limit_mb: float) -> throttle.Room:
            room = way.room(memory_limit_mb)
            monkeypatch.setattr(type(room), "limit_cpu", lambda *_: None)
            return room

    monkeypatch.setattr(throttle, "_ways", lambda _: iter([Lax()]))
    with pytest.raises(ThrottleUnavailableError, match="lax: the quota is not kept"):
        throttle.find_way()


# --- version 2, on a tree of plain files: what is written where ---


def tree_of_version_2(folder: Path, own: str = "user/app/mine", enabled: str = "cpu memory") -> Path:
    """Make a tree of version 2 and return the folder that stands for /proc/self."""
    proc, top = folder / "proc", folder / "cgroup"
    (top / own).mkdir(parents=True)
    proc.mkdir()
    (proc / "cgroup").write_text(f"0::/{own}\n")
    (proc / "mountinfo").write_text(f"30 24 0:26 / {top} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n")
    (top / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    for group in (top, (top / own).parent):
        (group / "cgroup.subtree_control").write_text(enabled)
    return proc


def test_a_group_of_version_2_lies_beside_our_own_and_takes_quota_and_memory_limit(tmp_path: Path) -> None:
    found = cgroup.find_version_2(tree_of_version_2(tmp_path))
    assert found.name == "cgroup v2"
    room = found.room(200)
    with room:
        (group,) = (tmp_path / "cgroup" / "user" / "app").glob("powertune-*")
        assert (group / "memory.max").read_text() == f"{200 * 1024 * 1024}"
        assert (group / "memory.swap.max").read_text() == "0"
        room.limit_cpu(128)
        assert (group / "cpu.max").read_text() == "1447 20000"
        assert room.join == [f"{group}/cgroup.procs"]
        room.limit_cpu(None)
        assert (group / "cpu.max").read_text() == "max 20000"
        (group / "cpu.stat").write_text("nr_periods 9\nnr_throttled 7\nthrottled_usec 5\n")
        (group / "memory.events").write_text("low 0\noom 1\noom_kill 1\n")
        (group / "memory.peak").write_text(f"{30 * 1024 * 1024}\n")
        assert room.usage() == throttle.Usage(7, 30.0, out_of_memory=True)
        for path in group.iterdir():  # the kernel's files go with their folder; these are real
            path.unlink()
    assert not group.exists()


def test_version_2_is_no_way_without_the_controllers(tmp_path: Path) -> None:
    proc = tree_of_version_2(tmp_path)
    (tmp_path / "cgroup" / "cgroup.controllers").write_text("hugetlb\n")
    with pytest.raises(RoomError, match="cgroup v2: no cpu and no memory controller"):
        cgroup.find_version_2(proc)


def test_version_1_is_no_way_where_only_version_2_is_mounted(tmp_path: Path) -> None:
    with pytest.raises(RoomError, match="cgroup v1: no cpu and no memory hierarchy"):
        cgroup.find_version_1(tree_of_version_2(tmp_path))


# --- scopes, with programs that stand for systemd's ---


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_scope_is_no_way_where_systemd_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "systemd-run", "exit 1")
    program(tmp_path, "systemctl", "echo offline; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(RoomError, match="systemd is offline"):
        systemd.find_scopes()


def test_a_scope_is_asked_for_with_quota_period_and_memory_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "systemd-run", "exit 1")
    program(tmp_path, "systemctl", f'echo "$@" >> {tmp_path}/asked; echo running')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    room = systemd.find_scopes().room(100)
    with room:
        prefix = room.prefix
        room.limit_cpu(128)
    assert prefix[0] == "systemd-run"
    assert prefix[-1] == "--"
    assert {"--scope", "MemoryMax=104857600", "MemorySwapMax=0", "CPUQuotaPeriodSec=20000us"} <= set(prefix)
    asked = (tmp_path / "asked").read_text().splitlines()
    assert any("set-property --runtime" in line and line.endswith("CPUQuota=7.24%") for line in asked)
    assert "kill --signal=SIGKILL" in asked[-1]
