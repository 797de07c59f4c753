"""How often a gate on dry runs fails unchanged code, and finds code that became 20 % slower, on this very machine."""

import statistics
import time
from functools import partial
from pathlib import Path

import pytest

from powertune import api
from powertune.cli.gate_runs import run_that_tells
from powertune.gate.regression import compare
from powertune.gate.verdict import Demands, Subject, judge
from powertune.model.tuning_run import TuningRun

pytestmark = pytest.mark.benchmark

GATES = 100
ROUNDS = 20_000
MEMORY_MB = 1024


def dry_run(rounds: int, monkeypatch: pytest.MonkeyPatch) -> TuningRun:
    monkeypatch.chdir(Path(__file__).parent)
    return api.dry_run(
        "gated_handlers:handler",
        isolate=True,
        env={"ROUNDS": str(rounds)},
        samples=30,  # the default, for work as short as this
        sizes=[512, MEMORY_MB],
        current_memory_mb=MEMORY_MB,
    )


def test_gates_on_real_dry_runs_of_the_same_and_of_slower_code(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes: dict[str, list[str]] = {"unchanged": [], "20 % slower": []}
    changes: dict[str, list[float]] = {"unchanged": [], "20 % slower": []}
    raw_ms, took_s = [], []
    subject, runs_made = Subject("orders", MEMORY_MB), 0
    baseline = dry_run(ROUNDS, monkeypatch)

    def measure(rounds: int) -> TuningRun:
        nonlocal runs_made
        runs_made += 1
        return dry_run(rounds, monkeypatch)

    for _ in range(GATES):
        began = time.monotonic()
        unchanged, slower = (
            run_that_tells(partial(measure, rounds), subject, Demands(), baseline)
            for rounds in (ROUNDS, round(1.2 * ROUNDS))
        )
        took_s.append((time.monotonic() - began) / 2)
        raw_ms.append(float(str(unchanged.source["cpu_ms"])))
        for name, run in (("unchanged", unchanged), ("20 % slower", slower)):
            checks = judge(subject, run, Demands(), baseline).checks
            outcomes[name] += [check.result for check in checks if check.rule == "regression-duration"]
            found = compare(run, MEMORY_MB, baseline)
            assert not isinstance(found, str)
            changes[name].append(found.duration_pct().value)
        # Each is held against another, so that noise of both counts; as in CI, where nobody looks twice at a baseline.
        baseline = dry_run(ROUNDS, monkeypatch)
    print()
    print(f"plain CPU time of the same code: median {statistics.median(raw_ms):.1f} ms, {min(raw_ms):.1f} to", end=" ")
    print(f"{max(raw_ms):.1f} ms; a gate takes {statistics.median(took_s):.1f} s, {runs_made / 2 / GATES:.2f} runs")
    for name, found_results in outcomes.items():
        counts = {result: found_results.count(result) for result in ("fail", "unknown", "pass")}
        change = sorted(changes[name])
        print(
            f"{name}: {counts}; change median {statistics.median(change):+.1f} %,"
            f" {change[0]:+.1f} to {change[-1]:+.1f} %, spread {statistics.stdev(change):.1f} %"
        )
    assert outcomes["unchanged"].count("fail") == 0
    assert outcomes["20 % slower"].count("fail") >= 0.95 * GATES
