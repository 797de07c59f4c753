"""What durations rest on decides how work is scaled, and how far it may be off."""

import pytest

from powertune.aws_lambda.calibration import Calibration, Work
from powertune.aws_lambda.host_speed import HostSpeed, KernelSpeed
from powertune.aws_lambda.scale import Scale

WORK = Work(cpu_ms=100.0, wait_ms=0.0)
HOST = HostSpeed("a CPU", "3.11.7", "x86_64", "2026-11-26", [KernelSpeed("a", 10, 20), KernelSpeed("b", 10, 45)])


def test_this_machine_alone_changes_nothing() -> None:
    assert Scale().fit([WORK]) == Calibration()
    assert Scale().common_error(WORK, 1769, Calibration(), 0.0) == 0


def test_kernels_scale_cpu_time_by_the_middle_of_their_ratios() -> None:
    scale = Scale(host=HOST)
    fit = scale.fit([WORK])
    assert fit.cpu_scale == pytest.approx(3.0)
    assert fit.wait_shift_ms == 0


def test_the_spread_of_kernels_and_the_load_of_this_machine_are_in_the_error() -> None:
    scale = Scale(host=HOST)
    fit = scale.fit([WORK])
    alone = scale.common_error(WORK, 1769, fit, 0.0)
    assert alone == pytest.approx(0.5, abs=0.01)  # 4.5 and 2 are a factor of 1.5 from 3
    assert scale.common_error(WORK, 1769, fit, 0.3) > alone
    assert scale.common_error(Work(0.1, 300.0), 1769, fit, 0.0) < 0.01  # waiting is not scaled


def test_known_durations_take_the_error_away() -> None:
    scale = Scale({1769: 150.0}, HOST)
    fit = scale.fit([WORK])
    assert WORK.duration_at_ms(1769, fit) == pytest.approx(150, rel=0.01)
    assert scale.common_error(WORK, 1769, fit, 0.3) == 0
    assert scale.rests_on == "known-durations"


def test_a_speed_ratio_divides_cpu_time_whatever_it_rests_on() -> None:
    assert Scale(speed_ratio=2.0).fit([WORK]).cpu_scale == pytest.approx(0.5)
    assert Scale(host=HOST, speed_ratio=2.0).fit([WORK]).cpu_scale == pytest.approx(1.5)


def test_the_run_file_says_what_it_rests_on_and_how_it_was_measured() -> None:
    details = Scale(host=HOST).details()
    assert details["rests_on"] == "calibrated-kernels"
    assert details["host_speed"] == {
        "cpu": "a CPU",
        "python": "3.11.7",
        "architecture": "x86_64",
        "measured_on": "2026-11-26",
        "ratio": pytest.approx(3.0),
        "spread": pytest.approx(1.5),
        "kernels": [{"name": "a", "here_ms": 10, "lambda_ms": 20}, {"name": "b", "here_ms": 10, "lambda_ms": 45}],
    }
    assert Scale().details() == {"rests_on": "this-machine", "known_durations_ms": {}}


def test_kernels_that_differ_widely_are_a_doubt() -> None:
    assert [warning.code for warning in Scale(host=HOST).doubts()] == ["wide-calibration"]
    assert not list(Scale({512: 100.0}, HOST).doubts())
    assert not list(Scale().doubts())
