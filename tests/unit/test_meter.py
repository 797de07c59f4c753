"""Clock readings parted into computing and waiting."""

import os
import sys
import time

import pytest

from powertune.aws_lambda.calibration import Work
from powertune.sources.meter import Seen, peak_together_mb, work_between
from powertune.sources.watching import ProcessWatch
from powertune.sources.worker import Clocks

START = Clocks(wall_ms=1000.0, cpu_ms=50.0, queued_ms=7.0, blocked=3, largest_child_mb=0.0, thread_ms=40.0)


def after(
    wall_ms: float,
    cpu_ms: float,
    *,
    queued_ms: float = 0.0,
    blocked: int | None = 0,
    child_mb: float = 0.0,
    thread_ms: float = 0.0,
) -> Clocks:
    return Clocks(
        START.wall_ms + wall_ms,
        START.cpu_ms + cpu_ms,
        START.queued_ms + queued_ms,
        None if blocked is None else (START.blocked or 0) + blocked,
        child_mb,
        START.thread_ms + thread_ms,
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
    before = Clocks(START.wall_ms, START.cpu_ms, START.queued_ms, None, START.largest_child_mb, 0.0)
    assert work_between(before, after(240, 40, blocked=None)) == Work(40, 200)


@pytest.mark.parametrize(
    ("own_mb", "seen_mb", "child_mb", "peak_mb"),
    [
        (40.0, 60.0, 0.0, 60.0),
        (40.0, 350.0, 310.0, 350.0),  # seen, and what it shares counted once
        (40.0, 45.0, 310.0, 310.0),  # missed, or seen before it grew
        (40.0, None, 310.0, 350.0),  # nobody looked: rather too much than too little
        (40.0, None, 40.0, 40.0),
        (40.0, None, 12.0, 40.0),
    ],
)
def test_a_child_that_was_missed_counts_with_the_peak_it_left(
    own_mb: float, seen_mb: float | None, child_mb: float, peak_mb: float
) -> None:
    assert peak_together_mb(own_mb, seen_mb, START, after(1, 1, child_mb=child_mb)) == peak_mb


def test_an_earlier_child_does_not_count() -> None:
    before = after(1, 1, child_mb=310.0)
    assert peak_together_mb(40.0, None, before, after(2, 2, child_mb=310.0)) == 40


def test_readings_go_forward() -> None:
    first, second = Clocks.read(), Clocks.read()
    assert second.wall_ms >= first.wall_ms
    assert second.cpu_ms >= first.cpu_ms


# --- in order, from samples ---


def samples(*stretches: tuple[float, float], queues: tuple[tuple[float, float], ...] = ()) -> Seen:
    """Return samples at every ms of stretches of (wall ms, cores busy), which begin at START.

    `queues` are (until, ms) from START on.
    """
    when, cpu = START.wall_ms, START.cpu_ms
    seen = [(when - 1, cpu), (when, cpu)]
    for wall_ms, cores in stretches:
        for _ in range(round(wall_ms)):
            when += 1
            cpu += cores
            seen.append((when, cpu))
    return Seen(tuple(seen), tuple((START.wall_ms + until, ms) for until, ms in queues))


def rounded(work: Work) -> list[tuple[float, float, int]]:
    return [(round(one.cpu_ms, 1), round(one.wait_ms, 1), one.threads) for one in work.segments]


def test_computing_and_waiting_keep_their_order() -> None:
    work = work_between(START, after(100, 50, blocked=2), samples((30, 1), (40, 0), (20, 1), (10, 0)))
    assert rounded(work) == [(30, 40, 1), (20, 10, 1)]
    assert (round(work.cpu_ms, 1), round(work.wait_ms, 1)) == (50, 50)


def test_a_wait_before_any_computing_comes_first() -> None:
    work = work_between(START, after(60, 20, blocked=1), samples((40, 0), (20, 1)))
    assert rounded(work) == [(0, 40, 1), (20, 0, 1)]


def test_threads_count_where_they_ran_and_not_elsewhere() -> None:
    work = work_between(START, after(80, 100, blocked=2), samples((20, 1), (20, 0), (40, 2)))
    assert [one.threads for one in work.segments if one.cpu_ms > 1] == [1, 2]
    assert [one.cpu_ms for one in work.segments if one.cpu_ms > 1] == pytest.approx([20, 80], abs=1)
    assert work.wait_ms == pytest.approx(20, abs=2)  # a step at either end
    assert work.threads == 2


def test_threads_that_share_a_core_of_a_busy_host_are_told_by_how_long_they_queue() -> None:
    queues = tuple((until, 4.0) for until in range(4, 101, 4))
    work = work_between(START, after(100, 100, blocked=1), samples((100, 1), queues=queues))
    assert [one.threads for one in work.segments] == [2]
    assert work.wait_ms == 0


def test_time_in_the_queue_is_no_wait_however_late_it_is_told() -> None:
    seen = samples((20, 1), (30, 0), (10, 1), (40, 0), queues=((50, 30.0),))
    work = work_between(START, after(100, 30, blocked=2), seen)
    assert rounded(work) == [(30, 40, 1)]


def test_time_in_the_queue_before_the_call_is_none_of_it() -> None:
    work = work_between(START, after(40, 20, blocked=2), samples((20, 0), (20, 1), queues=((5, 30.0),)))
    assert rounded(work) == [(0, 15, 1), (20, 0, 1)]


def test_the_clocks_of_a_thread_that_did_everything_itself_say_how_long_it_waited() -> None:
    seen = samples((20, 1), (2, 0), (20, 1), (50, 0), (8, 1))
    work = work_between(START, after(100, 48, queued_ms=5, blocked=1, thread_ms=48), seen)
    assert rounded(work) == [(20, 0, 1), (20, 47, 1), (8, 0, 1)]
    longer = work_between(START, after(103, 48, blocked=1, thread_ms=48), samples((48, 1), (52, 0)))
    assert rounded(longer) == [(48, 55, 1)]


def test_children_too_short_to_be_sampled_ran_while_the_handler_waited() -> None:
    work = work_between(START, after(60, 50, blocked=1), samples((20, 1), (40, 0)))
    assert work.cpu_ms == pytest.approx(50)
    assert work.wait_ms == pytest.approx(10)


def test_children_that_nobody_waited_for_count_although_the_clocks_leave_them_out() -> None:
    work = work_between(START, after(60, 20, blocked=1), samples((20, 1), (40, 1)))
    assert work.cpu_ms == pytest.approx(60)


def test_what_ran_before_and_after_the_call_is_cut_off() -> None:
    seen = [(START.wall_ms - 50, 0.0), *((START.wall_ms + step, 50.0 + step) for step in range(31))]
    work = work_between(START, after(20, 20, blocked=1), Seen(tuple(seen)))
    assert work.cpu_ms == pytest.approx(20)


def test_a_few_samples_tell_no_order() -> None:
    assert not work_between(START, after(2, 1, blocked=1), samples((2, 0.5))).segments


def test_where_the_processes_cannot_be_seen_the_clocks_are_all_there_is() -> None:
    blind = Seen(tuple((when, 0.0) for when, _ in samples((100, 1)).samples))
    work = work_between(START, after(100, 50, blocked=1, thread_ms=50), blind)
    assert (work.cpu_ms, work.wait_ms, work.segments) == (50, 50, ())


def test_long_calls_have_no_more_segments_than_can_be_simulated_quickly() -> None:
    work = work_between(START, after(20_000, 10_000, blocked=5000), samples(*[(1, 1), (1, 0)] * 10_000))
    assert len(work.segments) <= 500
    assert [work.cpu_ms, work.wait_ms] == pytest.approx([10_000, 10_000])


def test_the_work_of_this_process_is_seen_in_order_from_outside() -> None:
    if sys.platform != "linux":
        pytest.skip("processes are watched on Linux only")
    watch = ProcessWatch(os.getpid())
    watch.begin()
    before = Clocks.read()
    end = time.thread_time() + 0.1
    while time.thread_time() < end:
        pass
    time.sleep(0.3)
    work = work_between(before, Clocks.read(), watch.end())
    watch.close()
    assert work.cpu_ms >= 100
    longest = max(range(len(work.segments)), key=lambda place: work.segments[place].wait_ms)
    assert work.wait_ms == pytest.approx(300, rel=0.1)
    assert sum(one.cpu_ms for one in work.segments[: longest + 1]) > 80
    assert sum(one.cpu_ms for one in work.segments) == pytest.approx(work.cpu_ms)


def test_a_fork_of_the_watched_process_does_not_ask_its_watcher(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform != "linux":
        pytest.skip("processes are watched on Linux only")
    watch = ProcessWatch(os.getpid())
    watch.begin()
    with monkeypatch.context() as forked:
        forked.setattr("powertune.sources.watching.os.getpid", lambda: 0)
        assert watch.end() == Seen()
        watch.begin()
    seen = watch.end()
    watch.close()
    assert seen.samples
