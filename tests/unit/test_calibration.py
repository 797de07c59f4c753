"""Calibration: durations known from production are met, or what is left is told."""

from statistics import fmean

import pytest

from powertune.aws_lambda.calibration import Calibration, Segment, Work, calibrate
from powertune.aws_lambda.cpu import RUNTIME_OVERHEAD_MS

COMPUTING = Work(cpu_ms=100.0, wait_ms=0.0)
WAITING = Work(cpu_ms=2.0, wait_ms=100.0)


def test_a_duration_holds_the_handler_and_the_overhead_of_the_runtime() -> None:
    assert COMPUTING.duration_at_ms(1769) == pytest.approx(100 + RUNTIME_OVERHEAD_MS)
    assert WAITING.duration_at_ms(1769) == pytest.approx(102 + RUNTIME_OVERHEAD_MS)


@pytest.mark.parametrize(
    "work",
    [Work(40.0, 70.0), Work(40.0, 70.0, segments=(Segment(10.0, 50.0), Segment(30.0, 20.0))), Work(1.0, 5.0)],
    ids=["sums", "order", "less than that"],
)
def test_what_a_runtime_computes_around_the_work_can_be_taken_off(work: Work) -> None:
    alone = work.without_runtime()
    assert alone.cpu_ms == pytest.approx(max(0.0, work.cpu_ms - RUNTIME_OVERHEAD_MS))
    assert alone.wait_ms == work.wait_ms
    assert sum(segment.cpu_ms for segment in alone.segments) == pytest.approx(alone.cpu_ms if work.segments else 0)


def test_threads_share_the_work_where_there_are_vcpus_for_them() -> None:
    shared = Work(cpu_ms=100.0, wait_ms=0.0, threads=2)
    assert shared.duration_at_ms(3538) == pytest.approx((100 + RUNTIME_OVERHEAD_MS) / 2)


def test_a_calibration_scales_computing_and_shifts_waiting() -> None:
    fit = Calibration(cpu_scale=1.5, wait_shift_ms=-30.0)
    work = Work(cpu_ms=40.0, wait_ms=70.0)
    assert work.duration_at_ms(1769, fit) == pytest.approx(1.5 * 40 + RUNTIME_OVERHEAD_MS + 40)


def test_waiting_cannot_be_shifted_below_nothing() -> None:
    fit = Calibration(wait_shift_ms=-500.0)
    assert WAITING.duration_at_ms(1769, fit) == pytest.approx(2 + RUNTIME_OVERHEAD_MS)


def test_without_known_durations_nothing_changes() -> None:
    assert calibrate([COMPUTING], {}) == Calibration()
    assert Calibration() == Calibration(cpu_scale=1.0, wait_shift_ms=0.0, worst_error=0.0)


@pytest.mark.parametrize("work", [COMPUTING, WAITING, Work(60.0, 60.0), Work(200.0, 5.0, threads=2)])
@pytest.mark.parametrize("memory_mb", [128, 512, 1769, 3008])
@pytest.mark.parametrize("factor", [0.7, 1.0, 1.6])
def test_a_single_known_duration_is_met(work: Work, memory_mb: int, factor: float) -> None:
    known_ms = factor * work.duration_at_ms(memory_mb)
    fit = calibrate([work], {memory_mb: known_ms})
    assert work.duration_at_ms(memory_mb, fit) == pytest.approx(known_ms, rel=0.005)
    assert fit.worst_error == pytest.approx(abs(work.duration_at_ms(memory_mb, fit) / known_ms - 1))


@pytest.mark.parametrize("works", [(COMPUTING, WAITING), tuple(Work(5.0 * step, 40.0 / step) for step in range(1, 41))])
@pytest.mark.parametrize("memory_mb", [256, 1769])
def test_the_mean_of_many_runs_is_met(works: tuple[Work, ...], memory_mb: int) -> None:
    known_ms = 1.4 * fmean(work.duration_at_ms(memory_mb) for work in works)
    fit = calibrate(works, {memory_mb: known_ms})
    met_ms = fmean(work.duration_at_ms(memory_mb, fit) for work in works)
    assert met_ms == pytest.approx(known_ms, rel=0.05)
    assert fit.worst_error == pytest.approx(abs(met_ms / known_ms - 1))


@pytest.mark.parametrize("factor", [0.9, 1.5])
def test_a_known_duration_is_met_where_the_work_waits_often(factor: float) -> None:
    # Some waiting passes while the function would stand still anyway, and adds nothing.
    work = Work(cpu_ms=150.0, wait_ms=90.0, waits=7)
    known_ms = factor * work.duration_at_ms(256)
    fit = calibrate([work], {256: known_ms})
    assert work.duration_at_ms(256, fit) == pytest.approx(known_ms, rel=0.02)


def test_waiting_often_hides_throttling() -> None:
    once, often = (Work(cpu_ms=40.0, wait_ms=200.0, waits=waits) for waits in (1, 5))
    assert often.duration_at_ms(256) < once.duration_at_ms(256)
    assert often.duration_at_ms(1769) == pytest.approx(once.duration_at_ms(1769))


def test_no_runs_cannot_be_calibrated() -> None:
    with pytest.raises(ValueError, match="no work"):
        calibrate([], {512: 100.0})


def test_a_known_duration_that_was_predicted_changes_next_to_nothing() -> None:
    fit = calibrate([COMPUTING], {1769: COMPUTING.duration_at_ms(1769)})
    assert fit.cpu_scale == pytest.approx(1.0, abs=0.01)
    assert fit.wait_shift_ms == pytest.approx(0.0, abs=1.0)


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.8])
def test_a_handler_that_waits_goes_on_waiting(factor: float) -> None:
    known_ms = factor * WAITING.duration_at_ms(512)
    fit = calibrate([WAITING], {512: known_ms})
    # The difference is waiting: memory hardly changes the duration, as before.
    assert WAITING.wait_ms + fit.wait_shift_ms == pytest.approx(known_ms, rel=0.1)
    assert WAITING.duration_at_ms(3008, fit) > 0.95 * known_ms


def test_a_slower_duration_of_a_handler_that_computes_is_a_slower_core_and_not_waiting() -> None:
    known_ms = 1.5 * COMPUTING.duration_at_ms(1769)
    fit = calibrate([COMPUTING], {1769: known_ms})
    assert fit.cpu_scale == pytest.approx(1.5, abs=0.05)
    assert fit.wait_shift_ms < 0.05 * known_ms


@pytest.mark.parametrize("truth", [Calibration(1.5, 40.0), Calibration(0.8, 120.0), Calibration(2.5, 0.0)])
def test_two_known_durations_tell_a_slower_core_from_longer_waiting(truth: Calibration) -> None:
    work = Work(cpu_ms=400.0, wait_ms=50.0)
    known_ms = {size: work.duration_at_ms(size, truth) for size in (256, 1769)}
    fit = calibrate([work], known_ms)
    assert fit.cpu_scale == pytest.approx(truth.cpu_scale, rel=0.03)
    assert fit.wait_shift_ms == pytest.approx(truth.wait_shift_ms, abs=10.0)
    assert fit.worst_error < 0.01
    # A third size, which the calibration never saw.
    assert work.duration_at_ms(768, fit) == pytest.approx(work.duration_at_ms(768, truth), rel=0.03)


def test_the_order_of_known_durations_does_not_matter() -> None:
    assert calibrate([WAITING], {512: 140.0, 1769: 120.0}) == calibrate([WAITING], {1769: 120.0, 512: 140.0})


def test_durations_that_no_calibration_explains_leave_an_error_that_is_told() -> None:
    # Ten times slower with fourteen times the memory: no CPU law does that.
    fit = calibrate([COMPUTING], {128: 100.0, 1769: 1000.0})
    errors = [
        abs(COMPUTING.duration_at_ms(size, fit) / known_ms - 1) for size, known_ms in {128: 100.0, 1769: 1000.0}.items()
    ]
    assert fit.worst_error == pytest.approx(max(errors))
    assert fit.worst_error > 0.5


def test_a_duration_shorter_than_the_runtime_overhead_is_told_as_unmet() -> None:
    fit = calibrate([Work(cpu_ms=0.001, wait_ms=0.0)], {512: RUNTIME_OVERHEAD_MS / 2})
    assert fit.worst_error == pytest.approx(1.0, abs=0.01)


def test_calibrated_waiting_is_never_negative() -> None:
    fit = calibrate([Work(cpu_ms=10.0, wait_ms=30.0)], {1769: 5.0})
    assert 30.0 + fit.wait_shift_ms >= 0


@pytest.mark.parametrize("waits", [1, 2, 10, 100, 500])
@pytest.mark.parametrize("wait_ms", [50.0, 800.0, 1000.0])
def test_waiting_hides_throttling_but_never_grants_more_than_the_quota(waits: int, wait_ms: float) -> None:
    # 200 ms of CPU at 128 MB, 0.0724 of a vCPU, take 2,764 ms; one tick and one period may be owed at the end.
    duration_ms = Work(200.0, wait_ms, waits=waits).duration_at_ms(128)
    assert duration_ms >= (200 - 4) / (128 / 1769) - 20
    assert Work(200.0, wait_ms, waits=waits).duration_at_ms(3008) == pytest.approx(200 + wait_ms + 1.3)


def test_waits_between_computations_let_quotas_catch_up() -> None:
    together, parted = Work(40.0, 400.0).duration_at_ms(256), Work(40.0, 400.0, waits=20).duration_at_ms(256)
    assert parted < together


def test_what_a_fit_of_several_durations_leaves_holds_for_the_sizes_around_them() -> None:
    truth = {256: 430.0, 512: 215.0, 1024: 125.0}  # 1024 MB is slower than any CPU law says
    fit = calibrate([COMPUTING], truth)
    for size, known_ms in truth.items():
        assert COMPUTING.duration_at_ms(size, fit) == pytest.approx(known_ms)
    assert fit.worst_error > 0.01
    assert fit.factor_at(128) == fit.factor_at(256)
    assert fit.factor_at(3008) == fit.factor_at(1024)
    between = sorted((fit.factor_at(512), fit.factor_at(1024)))
    assert between[0] < fit.factor_at(724) < between[1]


def test_throttled_here_nothing_of_lambda_is_in_it() -> None:
    assert COMPUTING.throttled_here_ms(1769) == pytest.approx(100)
    assert COMPUTING.throttled_here_ms(1769, 1.2) == pytest.approx(120)
    assert WAITING.throttled_here_ms(128) == pytest.approx(102, rel=0.15)
    assert COMPUTING.throttled_here_ms(512) == pytest.approx(100 * 1769 / 512, rel=0.06)


def test_work_that_was_seen_in_order_is_taken_in_that_order() -> None:
    waits_between = Work(40, 40, 1, 2, (Segment(20, 40), Segment(20, 0)))
    waits_first = Work(40, 40, 1, 2, (Segment(0, 40), Segment(40, 0)))
    assert waits_between.duration_at_ms(512) < waits_first.duration_at_ms(512)
    assert waits_between.duration_at_ms(1769) == pytest.approx(waits_first.duration_at_ms(1769))


def test_waiting_that_a_known_duration_adds_goes_where_the_work_waited() -> None:
    work = Work(40, 40, 1, 2, (Segment(20, 40), Segment(20, 0)))
    longer = work.duration_at_ms(1769, Calibration(1.0, 20.0))
    assert longer == pytest.approx(work.duration_at_ms(1769) + 20)
    never_waited = Work(40, 0, 1, 1, (Segment(40, 0),))
    assert never_waited.duration_at_ms(1769, Calibration(1.0, 20.0)) == pytest.approx(
        never_waited.duration_at_ms(1769) + 20
    )


def test_known_durations_are_met_by_work_that_was_seen_in_order() -> None:
    works = [Work(60, 50, 1, 2, (Segment(30, 50), Segment(30, 0)))] * 3
    fit = calibrate(works, {512: 300.0})
    assert works[0].duration_at_ms(512, fit) == pytest.approx(300, rel=0.05)
