"""A busy machine makes CPU time less certain."""

import os

import pytest

from powertune.sources.host_load import HostLoad, cpu_time_error

CORES = os.cpu_count() or 1
START = HostLoad(100.0, 50.0, 1.0)


def later(*, busy_s: float = 0.0, stolen_s: float = 0.0) -> HostLoad:
    return HostLoad(START.wall_s + 10, START.busy_s + busy_s, START.stolen_s + stolen_s)


def test_a_machine_that_others_leave_alone_gives_exact_cpu_times() -> None:
    assert cpu_time_error(START, later(busy_s=4), 4) == 0


def test_neighbours_count_by_the_share_of_the_machine_that_they_use() -> None:
    half, whole = (cpu_time_error(START, later(busy_s=share * 10 * CORES), 0) for share in (0.5, 1.0))
    assert 0 < half == pytest.approx(whole / 2)


def test_stolen_time_counts_in_full() -> None:
    assert cpu_time_error(START, later(stolen_s=0.2 * 10 * CORES), 0) == pytest.approx(0.2)


@pytest.mark.parametrize("after", [START, later(busy_s=1e9, stolen_s=1e9)])
def test_readings_that_make_no_sense_give_an_error_that_does(after: HostLoad) -> None:
    assert 0 <= cpu_time_error(START, after, 0) < 1.1


def test_readings_go_forward() -> None:
    first, second = HostLoad.read(), HostLoad.read()
    assert second.wall_s >= first.wall_s
    assert second.busy_s >= first.busy_s
