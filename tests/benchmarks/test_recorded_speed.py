"""How fast recordings are read, side by side with others in one run: medians of whole commands, start-up included.

By hand: `python -m pytest -m benchmark -s tests/benchmarks/test_recorded_speed.py`. POWERTUNE_BENCHMARK_INVOCATIONS
sets the size, a million by default. A contender that is not installed is left out, and said so.
"""

import gzip
import importlib.util
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import pytest
from logs import LINES_PER_INVOCATION, write_log

from powertune.sources.recorded_files import Engine, read_files

INVOCATIONS = int(os.environ.get("POWERTUNE_BENCHMARK_INVOCATIONS", "1000000"))
LARGER = 4
ROUNDS = int(os.environ.get("POWERTUNE_BENCHMARK_ROUNDS", "7"))
MOST_MEMORY_MB = 80
CONTENDERS, LAUNCHER = Path(__file__).with_name("log_contenders.py"), Path(__file__).with_name("launcher.py")
FIELDS = r"Duration: ([0-9.]+) ms\tBilled Duration: ([0-9]+) ms\tMemory Size: ([0-9]+) MB\tMax Memory Used: ([0-9]+) MB"

pytestmark = pytest.mark.benchmark


@dataclass
class Result:
    """What a command took, each time."""

    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)

    @property
    def median_s(self) -> float:
        return median(self.seconds)


def timed(command: Sequence[str], into: Result) -> None:
    """Run a command, and note what it and the largest of its processes took."""
    # Modules are compiled once, as in an installation, even where the environment says to write nothing down.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-S", "-E", str(LAUNCHER), *command], capture_output=True, text=True, check=False, env=env
    )
    assert done.returncode == 0, command
    seconds, cpu_seconds, memory_mb = map(float, done.stdout.split())
    into.seconds.append(seconds)
    into.cpu_seconds.append(cpu_seconds)
    into.memory_mb.append(memory_mb)


def race(commands: Mapping[str, Sequence[str]]) -> dict[str, Result]:
    """Run all commands in turn, several times, after each ran once untimed."""
    results = {name: Result() for name in commands}
    for number in range(ROUNDS + 1):
        for name, command in commands.items():
            timed(command, results[name] if number else Result())
    return results


def show(title: str, results: dict[str, Result]) -> None:
    print(f"\n\n{title}; median of {ROUNDS}\n")
    print(f"{'':<32} {'wall':>8} {'CPU':>8} {'memory':>9}")
    for name, result in sorted(results.items(), key=lambda item: item[1].median_s):
        cpu, memory = median(result.cpu_seconds), max(result.memory_mb)
        print(f"{name:<32} {result.median_s:>6.2f} s {cpu:>6.2f} s {memory:>6.0f} MB")


def powertune(path: Path, jobs: int) -> list[str]:
    return [sys.executable, "-m", "powertune", "estimate", str(path), "-q", "-f", "csv", "--jobs", str(jobs)]


@pytest.fixture(scope="module", autouse=True)
def _compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep compiled modules in a folder of the test's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("compiled")))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("logs")
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def log(folder: Path) -> Path:
    path = folder / "a.log"
    write_log(path, INVOCATIONS)
    return path


def others(log: Path, threads: int) -> dict[str, Sequence[str]]:
    found: dict[str, Sequence[str]] = {}
    for name in ("duckdb", "polars"):
        if importlib.util.find_spec(name) is None:
            print(f"\n{name} is not installed and left out")
            continue
        for way in ("fields", "tabs"):
            label = f"{name}, {threads} thread{'s' * (threads > 1)}, by {way}"
            found[label] = [sys.executable, str(CONTENDERS), name, str(log), str(threads), way]
    return found


def test_a_large_log_is_read_no_slower_than_by_duckdb_and_polars(log: Path) -> None:
    commands: dict[str, Sequence[str]] = {
        "powertune, 1 core": powertune(log, 1),
        "powertune, 2 cores": powertune(log, 2),
        **others(log, 1),
        **others(log, 2),
    }
    if shutil.which("rg"):
        commands["rg -o"] = ["rg", "--no-config", "-o", FIELDS, "-r", "$1,$2,$3,$4", str(log)]
    commands["wc -l"] = ["wc", "-l", str(log)]
    results = race(commands)
    lines = INVOCATIONS * LINES_PER_INVOCATION
    show(f"{INVOCATIONS:,} REPORT lines among {lines:,}, {log.stat().st_size / 1e6:.0f} MB", results)
    alike = [result.median_s for name, result in results.items() if name.endswith("1 thread, by fields")]
    assert not alike or results["powertune, 1 core"].median_s <= min(alike)
    assert max(results["powertune, 1 core"].memory_mb) < MOST_MEMORY_MB
    assert max(results["powertune, 2 cores"].memory_mb) < MOST_MEMORY_MB


def test_two_cores_are_faster_than_one_and_memory_does_not_grow(log: Path, folder: Path) -> None:
    larger = folder / "larger.log"
    with larger.open("wb") as stream:
        for _ in range(LARGER):
            with log.open("rb") as source:
                shutil.copyfileobj(source, stream, 1 << 20)
    results = race({"powertune, 1 core": powertune(larger, 1), "powertune, 2 cores": powertune(larger, 2)})
    show(f"{LARGER * INVOCATIONS:,} REPORT lines, {larger.stat().st_size / 1e6:.0f} MB", results)
    larger.unlink()
    times = results["powertune, 1 core"].median_s / results["powertune, 2 cores"].median_s
    print(f"\ntwo cores are {times:.2f} times as fast as one")
    assert all(max(result.memory_mb) < MOST_MEMORY_MB for result in results.values())
    if len(os.sched_getaffinity(0)) > 1:
        assert times >= 1.7


def test_a_packed_log_is_read_as_fast_as_it_is_unpacked(log: Path, folder: Path) -> None:
    packed = folder / "a.log.gz"
    with log.open("rb") as source, gzip.open(packed, "wb", compresslevel=6) as target:
        shutil.copyfileobj(source, target, 1 << 20)
    results = race(
        {
            "powertune": powertune(packed, 1),
            "gzip -dc | wc -l": ["/bin/sh", "-c", 'gzip -dc "$0" | wc -l', str(packed)],
        }
    )
    show(f"{INVOCATIONS:,} REPORT lines in {packed.stat().st_size / 1e6:.0f} MB of gzip", results)
    times = results["powertune"].median_s / results["gzip -dc | wc -l"].median_s
    print(f"\n{times:.2f} times as long as gzip -dc | wc -l")
    assert times <= 1.3
    assert max(results["powertune"].memory_mb) < MOST_MEMORY_MB


def test_the_interpreter_and_numpy_leave_room_for_the_rest() -> None:
    results = race(
        {
            "python": [sys.executable, "-c", "pass"],
            "python, numpy": [sys.executable, "-c", "import numpy"],
            "powertune --version": [sys.executable, "-m", "powertune", "--version"],
        }
    )
    show("start-up", results)
    assert max(results["python, numpy"].memory_mb) < MOST_MEMORY_MB / 2


def test_a_dask_cluster_of_two_workers_gives_the_same_figures(log: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    began = time.perf_counter()
    alone = read_files([str(log)], engine=Engine(jobs=1))
    alone_s = time.perf_counter() - began
    with (
        warnings.catch_warnings(action="ignore"),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
    ):
        engine = Engine("dask", scheduler=str(cluster.scheduler_address))
        read_files([str(log)], engine=engine)
        began = time.perf_counter()
        found = read_files([str(log)], engine=engine)
        seconds = time.perf_counter() - began
    print(f"\n\none process {alone_s:.2f} s, Dask with two workers {seconds:.2f} s, once each")
    assert found == alone
