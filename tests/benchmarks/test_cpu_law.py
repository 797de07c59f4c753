"""The CPU law against real AWS: durations of one handler at 195 memory sizes, 5,000 runs each (tests/data/README.md).

Fast and free of clocks, so it runs with every test; `-s` prints its figures.
"""

import csv
import random
from pathlib import Path
from statistics import fmean

from powertune.aws_lambda.calibration import Work, calibrate
from powertune.aws_lambda.cpu import MB_PER_VCPU, wall_time_ms

SWEEP = Path(__file__).parents[1] / "data" / "cpu_sweep_aws.csv"


def test_the_cpu_law_predicts_185_sizes_measured_on_aws_from_the_duration_at_one_vcpu() -> None:
    with SWEEP.open(encoding="utf-8") as rows:
        measured = {int(row["memory_mb"]): float(row["mean_ms"]) for row in csv.DictReader(rows)}
    at_full_speed_ms = fmean(duration for memory_mb, duration in measured.items() if memory_mb >= MB_PER_VCPU)
    smaller = {memory_mb: duration for memory_mb, duration in measured.items() if memory_mb < MB_PER_VCPU}

    def mean_error(predicted: dict[int, float]) -> float:
        return fmean(abs(predicted[memory_mb] / duration - 1) for memory_mb, duration in smaller.items())

    law = mean_error({memory_mb: wall_time_ms([(at_full_speed_ms, 0)], memory_mb) for memory_mb in smaller})
    fluid = mean_error({memory_mb: at_full_speed_ms * MB_PER_VCPU / memory_mb for memory_mb in smaller})
    print(f"\n{len(smaller)} sizes: CPU law {law:.2%} mean absolute error, C x 1769 / MB {fluid:.2%}")

    assert len(smaller) == 185
    assert law <= 0.065
    assert fluid > 0.25


def calibrated_error(known_ms: dict[int, float], measured: dict[int, float]) -> float:
    """Return the mean error at all measured sizes of a dry run of the handler that is told some of the durations."""
    work = Work(cpu_ms=16.0, wait_ms=0.0)
    fit = calibrate([work], known_ms)
    return fmean(abs(work.duration_at_ms(size, fit) / duration - 1) for size, duration in measured.items())


def test_a_dry_run_predicts_the_185_sizes_from_the_duration_at_one_and_better_from_six() -> None:
    with SWEEP.open(encoding="utf-8") as rows:
        measured = {int(row["memory_mb"]): float(row["mean_ms"]) for row in csv.DictReader(rows)}
    smaller = {memory_mb: duration for memory_mb, duration in measured.items() if memory_mb < MB_PER_VCPU}
    sizes = sorted(smaller)
    full_speed = {1805: fmean(duration for memory_mb, duration in measured.items() if memory_mb >= MB_PER_VCPU)}
    one = calibrated_error(full_speed, smaller)
    print(f"\nfrom the mean duration at 1769 MB and more: {one:.2%}")
    singly = {
        size: calibrated_error({size: measured[size]}, smaller)
        for size in (128, 257, 513, 770, 1027, 1540, 1770)
        if size in measured
    }
    print("from the duration at one size:", ", ".join(f"{size} MB {error:.2%}" for size, error in singly.items()))
    middles = [sizes[(2 * part + 1) * len(sizes) // 12] for part in range(6)]
    six = calibrated_error({size: smaller[size] for size in middles}, smaller)
    print(f"from six, at the middle of each sixth of the sizes ({', '.join(map(str, middles))} MB): {six:.2%}")
    drawn = random.Random(7)  # noqa: S311 - a choice of sizes, no secret
    others = [calibrated_error({size: smaller[size] for size in drawn.sample(sizes, 6)}, smaller) for _ in range(10)]
    print(f"from six drawn at random, ten times: mean {fmean(others):.2%}, worst {max(others):.2%}")

    assert one <= 0.06
    assert six <= 0.04
