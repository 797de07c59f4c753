"""Clock readings parted into computing and waiting."""

import pytest

from powertune.aws_lambda.calibration import Work
from powertune.sources.meter import children_growth_mb, work_between
from powertune.sources.worker import Clocks

START = Clocks(wall_ms=1000.0, cpu_ms=50.0, queued_ms=7.0, blocked=3, largest_child_mb=0.0)


def after(
    wall_ms: float, cpu_ms: float, *, queued_ms: float = 0.0, blocked: int | None = 0, child_mb: float = 0.0
) -> Clocks:
    return Clocks(
        START.wall_ms + wall_ms,
        START.cpu_ms + cpu_ms,
        START.queued_ms + queued_ms,
        None if blocked is None else (START.blocked or 0) + blocked,
        child_mb,
    )


def test_wall_time_without_cpu_time_is_waiting() -> None:
    assert work_between(START, after(100, 30, blocked=1)) == Work(30, 70)


def test_a_thread_that_never_gave_up_its_core_has_not_waited() -> None:
    assert work_between(START, after(150, 100)) == Work(100, 0)


def test_queueing_for_a_core_of_a_busy_host_is_no_waiting() -> None:
    assert work_between(START, after(150, 100, queued_ms=20, blocked=1)) == Work(100, 30)


def test_each_stop_is_a_wait_between_computations() -> None:
    assert work_between(START, after(240, 40, blocked=20)) == Work(40, 200, waits=20)


def test_stops_too_short_to_be_waits_do_not_count() -> None:
    assert work_between(START, after(102, 100, blocked=1000)).waits == 4


def test_more_cpu_than_wall_time_is_the_work_of_several_threads() -> None:
    assert work_between(START, after(100, 190, blocked=1)) == Work(190, 5, threads=2)


def test_clocks_are_too_coarse_to_tell_threads_apart_in_short_work() -> None:
    assert work_between(START, after(1, 4, blocked=1)).threads == 1


def test_where_stops_cannot_be_counted_one_wait_is_assumed() -> None:
    before = Clocks(START.wall_ms, START.cpu_ms, START.queued_ms, None, START.largest_child_mb)
    assert work_between(before, after(240, 40, blocked=None)) == Work(40, 200)


@pytest.mark.parametrize(("child_mb", "seen_mb"), [(0.0, 0.0), (1.0, 0.0), (1e6, 1e6)])
def test_a_child_counts_only_where_it_is_larger_than_this_process(child_mb: float, seen_mb: float) -> None:
    assert children_growth_mb(START, after(1, 1, child_mb=child_mb)) == seen_mb


def test_readings_go_forward() -> None:
    first, second = Clocks.read(), Clocks.read()
    assert second.wall_ms >= first.wall_ms
    assert second.cpu_ms >= first.cpu_ms
