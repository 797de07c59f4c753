"""Calls that still warm up are told from those that do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powertune.sources.warm_up import calls_to_warm_up


@pytest.mark.parametrize(
    ("cpu_ms", "expected"),
    [
        ([], 0),
        ([100.0, 20.0, 20.0], 0),  # too few to tell
        ([20.0] * 10, 0),
        ([60.0, 20.0, 20.1, 20.0, 19.9, 20.0], 1),
        ([60.0, 40.0, 30.0, 20.0, 20.1, 20.0, 19.9, 20.0], 3),
        ([20.0, 60.0, 20.0, 20.0, 20.0, 20.0], 0),  # one that stands out later is none of warming up
        ([21.0, 20.0, 20.0, 20.0, 20.0, 20.0], 0),
        ([0.9, 0.1, 0.1, 0.1, 0.1, 0.1], 0),  # less than a millisecond is no bill
        ([60.0, 50.0, 40.0, 30.0, 20.0, 10.0], 0),  # ever faster: it has not settled, so there is nothing to hold it to
        ([30.0, 20.0, 29.0, 15.0, 31.0, 20.0, 28.0, 14.0], 0),
    ],
)
def test_calls_are_held_against_the_second_half(cpu_ms: list[float], expected: int) -> None:
    assert calls_to_warm_up(cpu_ms) == expected


@given(st.lists(st.floats(0, 1e6), max_size=40))
def test_no_more_than_half_of_the_calls_warm_up(cpu_ms: list[float]) -> None:
    assert 0 <= calls_to_warm_up(cpu_ms) <= len(cpu_ms) // 2


@given(st.floats(1, 1e5), st.integers(6, 40))
def test_calls_that_are_alike_are_all_warm(cpu_ms: float, count: int) -> None:
    assert calls_to_warm_up([cpu_ms] * count) == 0
