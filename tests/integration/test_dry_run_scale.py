"""From this machine to Lambda, as users see it: anchors, kernels, arm64, and the proof under a quota."""

import json
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from powertune.aws_lambda.host_speed import NUMBERS
from powertune.cli.main import main
from powertune.model import run_file
from powertune.sources import host_speeds, throttle
from powertune.sources.throttle import RoomError, ThrottleUnavailableError, Way, cgroup, systemd

SCHEMA = json.loads(Path(run_file.__file__).with_name("run-1.schema.json").read_text(encoding="utf-8"))
HANDLERS = """
import hashlib, time

def computes(event, context):
    data = b"x"
    for _ in range(event.get("rounds", 40_000)):
        data = hashlib.sha256(data).digest()

def hungry(event, context):
    return len(bytearray(b"x") * (200 * 1024 * 1024))

def fails(event, context):
    raise ValueError("no such order")

def for_ever(event, context):
    open(event["file"], "a").write("called\\n")
    if len(open(event["file"]).readlines()) > 3:
        time.sleep(60)
"""
REPORT = (
    "REPORT RequestId: 16783458-47d8-43bb-8648-{number:012d}\tDuration: {ms} ms\tBilled Duration: {ms} ms\t"
    "Memory Size: {mb} MB\tMax Memory Used: 40 MB\t\n"
)


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def run(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        jsonschema.Draft202012Validator(SCHEMA).validate(document)
        return document

    def size(self, memory_mb: int) -> dict[str, Any]:
        return next(size for size in self.run["sizes"] if size["memory_mb"] == memory_mb)


DryRun = Callable[..., Done]


@pytest.fixture
def dry_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> DryRun:
    """Run `powertune dry-run` on a handler of a fresh module."""
    name = f"scaled_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(HANDLERS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("POWERTUNE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "100")

    def run(handler: str, *options: str) -> Done:
        capfd.readouterr()
        code = main(["dry-run", f"{name}:{handler}", "-n", "3", "-m", "128,512,1024", *options])
        return Done(code, *capfd.readouterr())

    return run


@pytest.fixture
def quick_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kernels have run before, on a machine that is as fast as Lambda at one and half as fast at another."""
    answer = {
        "python": "3.11.7",
        "machine": "x86_64",
        "digests": 1_000_000,
        "numbers": NUMBERS,
        "cpu_ms": {"digests": [340.4], "draw": [5210.0], "sort": [20000.0], "words": [20.0]},
    }
    monkeypatch.setattr(host_speeds, "_answer", lambda *_: answer)


def report(path: Path, durations_ms: dict[int, list[float]]) -> str:
    lines = [
        REPORT.format(number=number, mb=memory_mb, ms=duration_ms)
        for memory_mb, found in durations_ms.items()
        for number, duration_ms in enumerate(found)
    ]
    path.write_text("".join(lines))
    return str(path)


# --- what the answer rests on ---


def test_without_anything_it_rests_on_this_machine_alone_and_says_so(dry_run: DryRun) -> None:
    assert dry_run("computes", "-f", "json").run["source"]["rests_on"] == "this-machine"
    assert "rest on this machine alone" in " ".join(dry_run("computes").out.split())
    assert "rest on this machine alone" in dry_run("computes", "-f", "markdown").out


@pytest.mark.usefixtures("quick_kernels")
def test_kernels_scale_the_answer_and_their_spread_is_its_interval(dry_run: DryRun) -> None:
    plain, calibrated = dry_run("computes", "-f", "json"), dry_run("computes", "--calibrate", "-f", "json")
    source = calibrated.run["source"]
    assert source["rests_on"] == "calibrated-kernels"
    # Lambda takes 1 and 0.5 times as long: 0.71 in the middle, a factor of 1.41 from each.
    assert source["cpu_scale"] == pytest.approx(0.5**0.5, rel=0.001)
    low, high = calibrated.size(1024)["duration_ms"]["ci95"]
    mean = calibrated.size(1024)["duration_ms"]["mean"]
    assert high / mean > 1.2
    assert (high - low) / mean > 0.4
    assert plain.run["source"]["cpu_scale"] == 1.0
    assert "wide-calibration" in {warning["code"] for warning in calibrated.run["warnings"]}
    assert calibrated.run["recommendation"]["confidence"] == "low"
    told = " ".join(dry_run("computes", "--calibrate").out.split())
    assert "for SHA-256 1.00, for a large sort 0.50 times as long as here (interpreted code: not known there)" in told


def test_an_anchor_of_recorded_durations_makes_the_answer_absolute(dry_run: DryRun, tmp_path: Path) -> None:
    log = report(tmp_path / "report.log", {512: [250.0, 254.0, 246.0]})
    done = dry_run("computes", "--anchor", log, "-f", "json")
    assert done.run["source"]["rests_on"] == "known-durations"
    assert done.run["source"]["known_durations_ms"] == {"512": 250.0}
    assert done.size(512)["duration_ms"]["mean"] == pytest.approx(250, rel=0.05)
    assert "durations known from production" in " ".join(dry_run("computes", "--anchor", log).out.split())


def test_several_anchors_are_met_together(dry_run: DryRun, tmp_path: Path) -> None:
    first = report(tmp_path / "one.log", {128: [1000.0] * 3, 1024: [130.0] * 3})
    done = dry_run("computes", "--anchor", first, "--duration-at", "512=260", "-f", "json")
    for memory_mb, known_ms in {128: 1000, 512: 260, 1024: 130}.items():
        assert done.size(memory_mb)["duration_ms"]["mean"] == pytest.approx(known_ms, rel=0.08)


@pytest.mark.usefixtures("quick_kernels")
def test_what_is_known_from_production_replaces_the_kernels(dry_run: DryRun) -> None:
    done = dry_run("computes", "--calibrate", "--duration-at", "512=100", "-f", "json")
    assert done.run["source"]["rests_on"] == "known-durations"
    assert "host_speed" not in done.run["source"]


def test_two_durations_for_a_size_are_refused(dry_run: DryRun, tmp_path: Path) -> None:
    one, two = (report(tmp_path / f"{name}.log", {512: [100.0]}) for name in ("one", "two"))
    done = dry_run("computes", "--anchor", one, "--anchor", two)
    assert done.code == 2
    assert "two anchors hold 512 MB" in done.err
    assert dry_run("computes", "--anchor", one, "--duration-at", "512=90").code == 2


@pytest.mark.parametrize("content", ["", "no log at all\n"])
def test_an_anchor_without_durations_is_bad_input(dry_run: DryRun, tmp_path: Path, content: str) -> None:
    (tmp_path / "empty.log").write_text(content)
    assert dry_run("computes", "--anchor", str(tmp_path / "empty.log")).code == 3


# --- arm64 ---


@pytest.fixture
def on_x86_64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


@pytest.mark.usefixtures("on_x86_64")
def test_arm64_is_never_guessed(dry_run: DryRun) -> None:
    done = dry_run("computes", "--arch", "arm64")
    assert done.code == 2
    assert done.out == ""
    assert "how fast the handler is on arm64 is unknown: this machine is x86_64" in done.err
    assert "--speed-ratio" in done.err


@pytest.mark.usefixtures("on_x86_64")
def test_a_speed_ratio_gives_arm64_a_duration_and_its_price(dry_run: DryRun) -> None:
    arm = dry_run("computes", "--arch", "arm64", "--speed-ratio", "2", "-f", "json")
    assert arm.run["function"]["architecture"] == "arm64"
    assert arm.run["pricing"]["per_gb_second"] == 0.0000133334
    assert arm.run["source"]["speed_ratio"] == 2
    assert arm.run["source"]["cpu_scale"] == pytest.approx(0.5)
    told = " ".join(dry_run("computes", "--arch", "arm64", "--speed-ratio", "2").out.split())
    assert "arm64 taken to be 2 times as fast as x86_64, as was said" in told


# --- the proof ---


@pytest.fixture(scope="module")
def way() -> Way:
    try:
        return throttle.find_way()
    except ThrottleUnavailableError as error:
        pytest.skip(error.message)


def test_verified_sizes_have_what_was_measured_beside_what_was_predicted(dry_run: DryRun, way: Way) -> None:
    done = dry_run("computes", "--verify", "128,512", "-f", "json")
    assert done.code == 0
    for memory_mb in (128, 512):
        found = done.size(memory_mb)["throttled"]
        assert found["way"] == way.name
        assert found["status"] == "ok"
        assert found["calls"] == 3
        assert found["throttled_periods"] > 0
        assert 0.5 < found["p50_ms"] / found["predicted_at_cpu_ms"] < 2  # how near it is, a benchmark tells
    assert "throttled" not in done.size(1024)
    table = dry_run("computes", "--verify", "128")
    assert "Under quota" in table.out
    assert way.name in table.out


def test_a_size_to_verify_is_a_row_even_if_nobody_asked_for_it(dry_run: DryRun, way: Way) -> None:
    done = dry_run("computes", "--verify", "300", "-f", "json")
    assert done.size(300)["throttled"]["way"] == way.name


def test_running_out_of_memory_under_the_limit_is_a_row_with_a_reason(dry_run: DryRun, way: Way) -> None:
    done = dry_run("hungry", "--verify", "128", "-f", "json")
    assert done.code == 0  # 512 MB are enough
    found = done.size(128)["throttled"]
    assert (found["way"], found["status"]) == (way.name, "out-of-memory")
    assert "128 MB" in found["reason"]


@pytest.mark.usefixtures("way")
def test_a_handler_that_fails_everywhere_is_not_run_under_a_quota(dry_run: DryRun) -> None:
    done = dry_run("fails", "--verify", "128", "-f", "json")
    assert done.code == 5
    assert all("throttled" not in size for size in done.run["sizes"])


def test_without_a_way_to_throttle_nothing_runs_and_the_reason_is_told(
    dry_run: DryRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> Way:
        raise RoomError("cgroup v2: no cpu controller", hint="")

    for finder in ("find_version_1", "find_version_2"):
        monkeypatch.setattr(cgroup, finder, none)
    monkeypatch.setattr(systemd, "find_scopes", none)
    done = dry_run("computes", "--verify", "128")
    assert done.code == 2
    assert "no CPU quota can be set here (cgroup v2: no cpu controller" in done.err
    assert done.out == ""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=lambda sent: sent.name)
def test_a_signal_during_the_proof_leaves_no_group_and_no_process(
    tmp_path: Path, way: Way, sent: signal.Signals
) -> None:
    (tmp_path / "stuck.py").write_text(HANDLERS)
    calls = tmp_path / "calls"
    event = json.dumps({"file": str(calls)})
    process = subprocess.Popen(
        [sys.executable, "-m", "powertune", "dry-run", "stuck:for_ever", "-p", event, "-n", "2", "--verify", "128"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 40
    while not (calls.exists() and len(calls.read_text().splitlines()) > 3):
        assert time.monotonic() < until, "never under the quota"
        time.sleep(0.02)
    process.send_signal(sent)
    assert process.wait(40) == 130
    mine = f"-{process.pid}-"
    left = [path for top in Path("/sys/fs/cgroup").glob("*") for path in top.rglob("powertune-*") if mine in path.name]
    assert not left, way
    assert tmp_path not in {folder_of(entry) for entry in Path("/proc").iterdir() if entry.name.isdecimal()}


def folder_of(process: Path) -> Path | None:
    try:
        return (process / "cwd").readlink()
    except OSError:
        return None
