"""What watching a handler costs it, what a whole dry run costs beyond the calls, and what a busy machine does to it."""

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from powertune.sources.watching import SelfWatch, Watch

pytestmark = pytest.mark.benchmark

ROUNDS = 40
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
    for number in range(600_000):
        total += number * number


def copies() -> None:
    data = bytes(40_000_000)
    for _ in range(3):
        data = bytes(bytearray(data))


def sorts() -> None:
    sorted((number * 7919) % 1_000_003 for number in range(150_000))


def calls_a_lot() -> None:
    for _ in range(30_000):
        time.time_ns()
        Path("x").name  # noqa: B018 - the work is the point


class Nobody:
    def begin(self) -> None:
        time.sleep(0.0005)  # as long as a watcher takes to answer: after a pause the caches are another's

    def end(self) -> None:
        pass


def cpu_ms(work: Callable[[], None], watch: Watch | Nobody) -> float:
    watch.begin()
    began = time.process_time()
    work()
    took = time.process_time() - began
    watch.end()
    return took * 1000


@pytest.mark.parametrize("work", [arithmetic, copies, sorts, calls_a_lot])
def test_watching_costs_the_handler_less_than_two_percent_of_its_cpu_time(work: Callable[[], None]) -> None:
    watch = SelfWatch()
    work()
    ratios = []
    for number in range(ROUNDS):
        # Side by side, and each first as often as the other: what the machine does meanwhile hits both.
        if number % 2:
            watched, alone = cpu_ms(work, watch), cpu_ms(work, Nobody())
        else:
            alone, watched = cpu_ms(work, Nobody()), cpu_ms(work, watch)
        ratios.append(watched / alone)
    watch.close()
    overhead = statistics.median(ratios) - 1
    error = 1.25 * statistics.stdev(ratios) / len(ratios) ** 0.5
    print(f"{work.__name__}: overhead of watching {overhead:+.2%} of CPU time (standard error {error:.2%})")
    assert overhead < 0.02 + 2 * error


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
        f" {statistics.median(beyond):.2f} s beyond the calls"
        f" (CPU time of powertune's own: {statistics.median(own):.2f} s)"
    )
    # Its CPU time, which other load does not stretch as it does wall time; the watcher's passes beside the calls.
    assert statistics.median(own) < 1.5


def cpu_of_children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("work", [arithmetic, copies, sorts])
@pytest.mark.parametrize("neighbour", ["while True: pass", "a = bytearray(60_000_000)\nwhile True: a = bytes(a)"])
def test_what_neighbours_on_every_core_do_to_cpu_time(work: Callable[[], None], neighbour: str) -> None:
    ratios = []
    for _ in range(7):
        alone = statistics.median(cpu_ms(work, Nobody()) for _ in range(5))
        neighbours = [subprocess.Popen([sys.executable, "-c", neighbour]) for _ in range(2)]
        time.sleep(0.2)
        crowded = statistics.median(cpu_ms(work, Nobody()) for _ in range(5))
        for process in neighbours:
            process.kill()
            process.wait()
        ratios.append(crowded / alone)
    kind = "spinning" if "pass" in neighbour else "copying"
    print(f"{work.__name__} beside {kind} neighbours: {statistics.median(ratios) - 1:+.1%} CPU time")
