"""Predictions of a dry run against the handlers' real durations under a CPU quota, at 128, 512 and 1024 MB.

By hand, ten minutes: `pytest -m benchmark -s -o faulthandler_timeout=0 tests/benchmarks/test_dry_run_verify.py`. What
is held against the throttled median is the prediction for the CPU time that those calls took: on a machine that others
use, too, the same work takes more of it at one time than at another, which says nothing of the CPU law. The plain
figure is beside it.
"""

import os
import platform
import statistics
import sys
from pathlib import Path

import pytest

import powertune
from powertune.sources import throttle
from powertune.sources.throttle import ThrottleUnavailableError, Way

pytestmark = pytest.mark.benchmark

SIZES = (128, 512, 1024)
HANDLERS = (
    "computes_50_ms",
    "computes_300_ms",
    "computes_2_s",
    "waits_60_ms",
    "waits_1_s",
    "mixes_often",
    "mixes_seldom",
    "two_threads",
    "starts_a_process",
)
TARGET = 0.05


@pytest.fixture(scope="module")
def way() -> Way:
    try:
        found = throttle.find_way()
    except ThrottleUnavailableError as error:
        pytest.skip(error.message)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(
        f"\n{found.name} on Linux {platform.release()}, Python {platform.python_version()},"
        f" {os.cpu_count()} cores, load {load}"
    )
    print(f"{'handler':18} {'MB':>5} {'predicted':>10} {'throttled':>10} {'plain':>7} {'CPU x':>6} {'at that CPU':>12}")
    return found


def test_predictions_are_within_five_percent_of_what_the_quota_does(
    way: Way, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(Path(__file__).parent)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [folder, *sys.path])
    errors: dict[tuple[str, int], float] = {}
    for handler in HANDLERS:
        run = powertune.dry_run(f"throttled_handlers:{handler}", sizes=SIZES, verify=SIZES, samples=9, isolate=True)
        for size in run.sizes:
            found = size.throttled
            assert found is not None
            assert found.way == way.name
            assert found.status == "ok", found.reason
            assert found.p50_ms is not None
            assert found.predicted_ms is not None
            assert found.predicted_at_cpu_ms is not None
            error = found.predicted_at_cpu_ms / found.p50_ms - 1
            errors[handler, size.memory_mb] = error
            with capsys.disabled():
                print(
                    f"{handler:18} {size.memory_mb:5} {found.predicted_ms:7.0f} ms {found.p50_ms:7.0f} ms"
                    f" {found.predicted_ms / found.p50_ms - 1:+7.1%} {found.cpu_ratio or 0:6.2f} {error:+12.1%}"
                )
    within = [key for key, error in errors.items() if abs(error) <= TARGET]
    middle = statistics.median(map(abs, errors.values()))
    with capsys.disabled():
        print(f"{len(within)} of {len(errors)} within {TARGET:.0%}, median error {middle:.1%}")
    assert middle <= TARGET
    assert len(within) >= 0.8 * len(errors)
