"""The CPU law: the reference simulator's figures, and what must hold for any work."""

import math
from statistics import mean

import pytest

from powertune.aws_lambda.cpu import (
    MB_PER_VCPU,
    PERIOD_MS,
    mean_wall_time_ms,
    vcpu_share,
    visible_vcpus,
    wall_time_ms,
)

# Wall time in ms of C ms of CPU, by memory size. Source: the reference simulator that was checked against AWS data.
REFERENCE_MS = {
    128: {1: 1, 5: 41, 20: 224, 100: 1324, 1000: 13764},
    256: {1: 1, 5: 21, 20: 104, 100: 664, 1000: 6884},
    512: {1: 1, 5: 5, 20: 48, 100: 324, 1000: 3444},
    1024: {1: 1, 5: 5, 20: 28, 100: 164, 1000: 1724},
    1769: {1: 1, 5: 5, 20: 20, 100: 100, 1000: 1000},
}
SIZES_BELOW_ONE_VCPU = (128, 256, 384, 512, 768, 1024, 1536)


@pytest.mark.parametrize(
    ("memory_mb", "cpu_ms", "expected_ms"),
    [(memory_mb, cpu_ms, wall_ms) for memory_mb, row in REFERENCE_MS.items() for cpu_ms, wall_ms in row.items()],
)
def test_one_computation_takes_as_long_as_in_the_reference(memory_mb: int, cpu_ms: float, expected_ms: float) -> None:
    assert wall_time_ms([(cpu_ms, 0)], memory_mb) == pytest.approx(expected_ms, abs=1e-6)


@pytest.mark.parametrize(("memory_mb", "expected_ms"), [(512, 3424), (1769, 988), (3538, 500)])
def test_two_threads_take_as_long_as_in_the_reference(memory_mb: int, expected_ms: float) -> None:
    assert wall_time_ms([(1000, 0)], memory_mb, threads=2) == pytest.approx(expected_ms, abs=1e-6)


def test_waits_between_short_computations_hide_throttling_as_in_the_reference() -> None:
    assert wall_time_ms([(2, 10)] * 10, 128) == pytest.approx(120, abs=1e-6)


@pytest.mark.parametrize(
    ("memory_mb", "vcpus"),
    [
        (128, 2),
        (1769, 2),
        (3008, 2),
        (3009, 3),
        (5307, 3),
        (5308, 4),
        (7076, 4),
        (7077, 5),
        (8845, 5),
        (8846, 6),
        (10240, 6),
    ],
)
def test_a_function_sees_the_vcpus_that_were_measured_at_its_size(memory_mb: int, vcpus: int) -> None:
    assert visible_vcpus(memory_mb) == vcpus


def test_the_cpu_share_is_one_at_1769_mb_and_proportional_to_memory() -> None:
    assert vcpu_share(1769) == 1.0
    assert vcpu_share(3538) == 2.0
    assert vcpu_share(10_240) == pytest.approx(5.79, abs=0.005)


@pytest.mark.parametrize("memory_mb", SIZES_BELOW_ONE_VCPU)
@pytest.mark.parametrize("cpu_ms", [0.0, 0.1, 1.3, 2.5, 3.99])
def test_work_shorter_than_a_tick_is_not_slowed_at_any_size(memory_mb: int, cpu_ms: float) -> None:
    assert wall_time_ms([(cpu_ms, 0)], memory_mb) == pytest.approx(cpu_ms)


@pytest.mark.parametrize("memory_mb", SIZES_BELOW_ONE_VCPU)
def test_work_longer_than_a_tick_is_slowed_below_one_vcpu(memory_mb: int) -> None:
    assert wall_time_ms([(500, 0)], memory_mb) > 500


@pytest.mark.parametrize("memory_mb", SIZES_BELOW_ONE_VCPU)
@pytest.mark.parametrize("cpu_ms", [1_000.0, 5_000.0, 60_000.0])
def test_long_work_takes_the_fluid_limit_of_cpu_time_over_share(memory_mb: int, cpu_ms: float) -> None:
    assert wall_time_ms([(cpu_ms, 0)], memory_mb) == pytest.approx(cpu_ms * MB_PER_VCPU / memory_mb, rel=0.01)


@pytest.mark.parametrize(("memory_mb", "threads"), [(512, 2), (1769, 2), (3008, 4), (5000, 3), (7000, 6)])
def test_long_work_on_several_threads_takes_the_fluid_limit_too(memory_mb: int, threads: int) -> None:
    assert wall_time_ms([(60_000, 0)], memory_mb, threads=threads) == pytest.approx(
        60_000 * MB_PER_VCPU / memory_mb, rel=0.01
    )


def test_days_of_work_are_averaged_rather_than_simulated() -> None:
    ten_days_ms = 864_000_000.0
    assert wall_time_ms([(ten_days_ms, 0)], 128) == pytest.approx(ten_days_ms * MB_PER_VCPU / 128, rel=1e-6)


@pytest.mark.parametrize(("memory_mb", "running"), [(10_240, 4), (5_308, 3), (3_538, 2), (1_769, 1)])
def test_a_size_with_enough_vcpus_runs_all_threads_at_full_speed(memory_mb: int, running: int) -> None:
    assert wall_time_ms([(1200, 7), (600, 0)], memory_mb, threads=running) == pytest.approx(1800 / running + 7)


def test_more_threads_than_visible_vcpus_are_no_faster() -> None:
    at_two, at_eight = (wall_time_ms([(1000, 0)], 3008, threads=threads) for threads in (2, 8))
    assert at_eight == at_two


def test_threads_below_one_count_as_one() -> None:
    assert wall_time_ms([(50, 0)], 512, threads=0) == wall_time_ms([(50, 0)], 512, threads=1)


@pytest.mark.parametrize("memory_mb", [128, 512, 1024, 1769, 10_240])
@pytest.mark.parametrize("threads", [1, 3])
def test_waiting_never_shrinks(memory_mb: int, threads: int) -> None:
    assert wall_time_ms([(0, 250)], memory_mb, threads=threads) == pytest.approx(250)
    assert wall_time_ms([(1, 99.5), (0, 0.5), (2, 400)], memory_mb, threads=threads) >= 500


def test_a_wait_longer_than_the_debt_repays_all_of_it() -> None:
    alone_ms = wall_time_ms([(30, 0)], 512)
    # The second computation begins a whole number of periods later, with everything repaid.
    pause_ms = math.ceil((alone_ms + 500) / PERIOD_MS) * PERIOD_MS - alone_ms
    assert wall_time_ms([(30, pause_ms), (30, 0)], 512) == pytest.approx(2 * alone_ms + pause_ms)


def test_a_wait_that_ends_with_the_period_is_followed_by_a_new_quota() -> None:
    # A hair later the refill has come without doubt.
    just_ms, later_ms = (wall_time_ms([(9, pause_ms), (30, 0)], 1024) for pause_ms in (11.0, 11.001))
    assert later_ms - just_ms == pytest.approx(0.001, abs=1e-6)


def test_a_short_wait_leaves_the_debt_to_the_next_computation() -> None:
    alone_ms = wall_time_ms([(4.5, 0)], 128)
    assert wall_time_ms([(4.5, 0.5), (4.5, 0)], 128) > 2 * alone_ms + 0.5


def test_no_work_takes_no_time() -> None:
    assert wall_time_ms([], 128) == 0
    assert wall_time_ms([(0, 0)], 128) == 0


def test_cutting_a_computation_in_pieces_without_waits_changes_nothing() -> None:
    whole_ms = wall_time_ms([(40.3, 0)], 128)
    assert wall_time_ms([(10.1, 0), (10.1, 0), (20.1, 0)], 128) == pytest.approx(whole_ms)


@pytest.mark.parametrize("piece_ms", [4.0, 8.0, 20.0])
def test_cutting_a_computation_at_the_ticks_changes_nothing_either(piece_ms: float) -> None:
    whole_ms = wall_time_ms([(40, 0)], 128)
    assert wall_time_ms([(piece_ms, 0)] * round(40 / piece_ms), 128) == pytest.approx(whole_ms)


@pytest.mark.parametrize("phase_ms", [0.0, 1.5, 4.0, 13.0])
def test_a_phase_of_whole_periods_changes_nothing(phase_ms: float) -> None:
    shifted_ms = wall_time_ms([(37, 11), (3, 0)], 256, phase_ms=phase_ms + 3 * PERIOD_MS)
    assert shifted_ms == pytest.approx(wall_time_ms([(37, 11), (3, 0)], 256, phase_ms=phase_ms))


def test_the_phase_decides_when_a_tick_sees_the_overuse() -> None:
    # 3 ms from the start of a period end before the first tick. From 2 ms on, the tick at 4 ms sees 2 ms used of a
    # quota of 20 x 128 / 1769 = 1.45 ms and stops the function until the refill at 20 ms; then 1 ms is left: 21 - 2.
    assert wall_time_ms([(3, 0)], 128) == pytest.approx(3)
    assert wall_time_ms([(3, 0)], 128, phase_ms=2) == pytest.approx(19)


def test_a_phase_near_the_end_of_a_period_gets_two_quotas_quickly() -> None:
    # At 512 MB the quota is 5.79 ms. From 18 ms on: 2 ms to the refill, then 8 ms to the tick at 28 ms that sees 8 ms
    # drawn against 5.79 left, so 10 ms of work fit without a stop; from 0 ms on the stop comes at 8 ms.
    assert wall_time_ms([(10, 0)], 512, phase_ms=18) == pytest.approx(10)
    assert wall_time_ms([(10, 0)], 512) == pytest.approx(22)


@pytest.mark.parametrize("phase_ms", [0.0, 3.0, 19.0])
def test_the_phase_is_nothing_to_a_function_with_a_whole_vcpu(phase_ms: float) -> None:
    assert wall_time_ms([(123, 45)], 1769, phase_ms=phase_ms) == pytest.approx(168)


# --- many runs, in a kernel that minds sleeping and waking ---


@pytest.mark.parametrize("memory_mb", [1769, 3008])
def test_the_mean_of_many_runs_is_one_run_where_nothing_is_throttled(memory_mb: int) -> None:
    assert mean_wall_time_ms([(50, 7), (20, 0)], memory_mb) == pytest.approx(77)


# Medians under a control group of Linux 6.18: so many times computing and waiting, ms at 128 MB and at 512 MB.
@pytest.mark.parametrize(
    ("segments", "memory_mb", "measured_ms"),
    [
        ([(2, 10)] * 10, 128, 269),
        ([(3, 30)] * 10, 128, 435),
        ([(10, 10)] * 10, 128, 1378),
        ([(1, 2)] * 60, 128, 830),
        ([(2, 10)] * 10, 512, 121),
        ([(3, 30)] * 10, 512, 331),
        ([(10, 10)] * 10, 512, 337),
        ([(1, 2)] * 60, 512, 208),
        ([(100, 0)], 512, 333),
        ([(300, 0)], 1024, 509),
    ],
)
def test_work_that_sleeps_and_wakes_takes_about_as_long_as_in_a_control_group(
    segments: list[tuple[float, float]], memory_mb: int, measured_ms: float
) -> None:
    found_ms = mean_wall_time_ms(segments, memory_mb, in_step=0.0, resume_ms=0.0)  # in the CPU time measured there
    assert found_ms == pytest.approx(measured_ms, rel=0.1)


@pytest.mark.parametrize("waits", [1, 20, 200])
def test_waits_never_grant_more_than_the_quota(waits: int) -> None:
    # 200 ms at 0.0724 of a vCPU are 2,764 ms; one tick, one period and what a core keeps may be owed at the end.
    assert mean_wall_time_ms([(200 / waits, 800 / waits)] * waits, 128) >= (200 - 4 - 1) / (128 / 1769) - PERIOD_MS


@pytest.mark.parametrize("cpu_ms", [200.0, 800.0, 3000.0])
@pytest.mark.parametrize("memory_mb", [128, 512, 1024])
def test_skipped_periods_are_worth_what_simulated_ones_are(cpu_ms: float, memory_mb: int) -> None:
    skipped_ms = mean_wall_time_ms([(cpu_ms, 0)], memory_mb, resume_ms=0.0)
    whole_ms = mean(wall_time_ms([(cpu_ms, 0)], memory_mb, phase_ms=phase_ms) for phase_ms in range(20))
    assert skipped_ms == pytest.approx(whole_ms, rel=0.03)


def test_each_stop_costs_what_going_on_costs() -> None:
    free_ms, dear_ms = (mean_wall_time_ms([(500, 0)], 256, resume_ms=resume_ms) for resume_ms in (0.0, 0.15))
    # The quota of 2.9 ms is overdrawn by runs of 4 ms: some 125 stops at 0.15 ms, paid for at the share of 256 MB.
    assert dear_ms - free_ms == pytest.approx(125 * 0.15 / (256 / 1769), rel=0.15)


def test_each_segment_may_have_threads_of_its_own() -> None:
    alone = wall_time_ms([(100, 50)], 1769)
    together = wall_time_ms([(100, 0)], 3538, threads=2)
    assert wall_time_ms([(100, 50), (100, 0)], 3538, threads=[1, 2]) == pytest.approx(alone + together)


@pytest.mark.parametrize("memory_mb", [128, 512, 1024, 1769, 3008])
def test_one_number_of_threads_is_that_of_every_segment(memory_mb: int) -> None:
    segments = [(30.0, 10.0), (50.0, 0.0), (70.0, 5.0)]
    assert wall_time_ms(segments, memory_mb, threads=[2, 2, 2]) == wall_time_ms(segments, memory_mb, threads=2)


def test_one_thread_is_not_throttled_by_a_quota_of_more_than_one_core() -> None:
    assert wall_time_ms([(100, 0), (500, 0)], 2048, threads=[2, 1]) == pytest.approx(550, rel=0.1)
    assert wall_time_ms([(500, 0), (10, 0)], 2048, threads=[1, 2]) == pytest.approx(505, rel=0.02)
