"""What watching a handler costs it, what a whole dry run costs beyond the calls, and what a busy machine does to it."""

import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from powertune.sources.watching import ProcessWatch

pytestmark = pytest.mark.benchmark

ROUNDS = 400
MOST_OVERHEAD = 0.02
HANDLER = """
import time

def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(1000))

def handler(event, context):
    began = time.monotonic()
    burn(0.05)
    time.sleep(0.05)
    with open("took", "a") as stream:
        print(time.monotonic() - began, file=stream)
"""
CALLS = 21


def arithmetic() -> None:
    total = 0
    for number in range(200_000):
        total += number * number


def copies() -> None:
    data = bytes(40_000_000)
    data = bytes(bytearray(data))


def sorts() -> None:
    sorted((number * 7919) % 1_000_003 for number in range(40_000))


def calls_a_lot() -> None:
    for _ in range(10_000):
        time.time_ns()
        Path("x").name  # noqa: B018 - the work is the point


class Nobody:
    """Takes no samples, and does to the caches and to the scheduler what a watcher does before it begins."""

    def __init__(self, watch: ProcessWatch) -> None:
        self._watch = watch

    def begin(self) -> None:
        self._watch.begin()
        self._watch.end()

    def end(self) -> None:
        pass


def took_ms(work: Callable[[], None], watch: ProcessWatch | Nobody) -> tuple[float, float]:
    """Return CPU time of this thread, and wall time."""
    watch.begin()
    wall, cpu = time.perf_counter(), time.thread_time()
    work()
    cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
    watch.end()
    return cpu * 1000, wall * 1000


def median_with_interval(values: list[float]) -> tuple[float, float, float]:
    """Return the median and its 95 % interval between order statistics, whatever the distribution."""
    ordered = sorted(values)
    half = 0.98 * len(ordered) ** 0.5
    low, high = math.floor(len(ordered) / 2 - half), math.ceil(len(ordered) / 2 + half)
    return statistics.median(ordered), ordered[low], ordered[high]


@pytest.mark.parametrize("work", [arithmetic, copies, sorts, calls_a_lot])
def test_watching_costs_the_handler_less_than_two_percent(work: Callable[[], None]) -> None:
    watch = ProcessWatch(os.getpid())
    nobody = Nobody(watch)
    work()
    ratios: dict[str, list[float]] = {"CPU": [], "wall": []}
    for number in range(ROUNDS):
        # Side by side, and each first as often as the other: what the machine does meanwhile hits both.
        if number % 2:
            watched, alone = took_ms(work, watch), took_ms(work, nobody)
        else:
            alone, watched = took_ms(work, nobody), took_ms(work, watch)
        for kind, with_watch, without in zip(ratios, watched, alone, strict=True):
            ratios[kind].append(with_watch / without - 1)
    watch.close()
    found = {kind: median_with_interval(values) for kind, values in ratios.items()}
    for kind, (overhead, low, high) in found.items():
        print(f"{work.__name__}: overhead of watching {overhead:+.2%} of {kind} time ({low:+.2%} to {high:+.2%})")
    # Of wall time a busy machine takes its part: the watcher competes with others for a core.
    assert found["CPU"][1] < MOST_OVERHEAD


@pytest.mark.parametrize("sizes", [[], ["-m", "all"]], ids=["usual-sizes", "160-sizes"])
@pytest.mark.parametrize("options", [[], ["--isolate"]], ids=["in-process", "isolated"])
def test_a_dry_run_over_all_sizes_takes_its_calls_and_a_second(
    tmp_path: Path, options: list[str], sizes: list[str]
) -> None:
    (tmp_path / "handler.py").write_text(HANDLER, encoding="utf-8")
    command = [sys.executable, "-m", "powertune", "dry-run", "handler:handler", "-n", str(CALLS - 1), "-q", *sizes]
    beyond, own = [], []
    for _ in range(5):
        (tmp_path / "took").unlink(missing_ok=True)
        used, began = cpu_of_children_s(), time.monotonic()
        done = subprocess.run([*command, "-f", "json", *options], cwd=tmp_path, capture_output=True, check=True)
        wall_s, cpu_s = time.monotonic() - began, cpu_of_children_s() - used
        took = [float(line) for line in (tmp_path / "took").read_text(encoding="ascii").split()]
        assert len(took) == json.loads(done.stdout)["source"]["calls"] == CALLS
        beyond.append(wall_s - sum(took))
        own.append(cpu_s - CALLS * 0.05)
    print(
        f"{' '.join(options) or 'in-process'}: {CALLS} calls of 100 ms, {'160' if sizes else '11'} sizes:"
        f" {statistics.median(beyond):.2f} s beyond the calls, {min(beyond):.2f} s at least"
        f" (CPU time of powertune's own: {statistics.median(own):.2f} s)"
    )
    # Other load only adds to it, so the least of several is the tool's own.
    assert min(beyond) < 1.0


def cpu_of_children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("work", [arithmetic, copies, sorts])
@pytest.mark.parametrize("neighbour", ["while True: pass", "a = bytearray(60_000_000)\nwhile True: a = bytes(a)"])
def test_what_neighbours_on_every_core_do_to_cpu_time(work: Callable[[], None], neighbour: str) -> None:
    ratios = []
    watch = ProcessWatch(os.getpid())
    nobody = Nobody(watch)
    for _ in range(7):
        alone = statistics.median(took_ms(work, nobody)[0] for _ in range(15))
        neighbours = [subprocess.Popen([sys.executable, "-c", neighbour]) for _ in range(2)]
        time.sleep(0.2)
        crowded = statistics.median(took_ms(work, nobody)[0] for _ in range(15))
        for process in neighbours:
            process.kill()
            process.wait()
        ratios.append(crowded / alone)
    watch.close()
    kind = "spinning" if "pass" in neighbour else "copying"
    print(f"{work.__name__} beside {kind} neighbours: {statistics.median(ratios) - 1:+.1%} CPU time")
