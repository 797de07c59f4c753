"""The CPU law against real AWS: durations of one handler at 195 memory sizes, 5,000 runs each (tests/data/README.md).

Fast and free of clocks, so it runs with every test; `-s` prints its figures.
"""

import csv
from pathlib import Path
from statistics import fmean

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
