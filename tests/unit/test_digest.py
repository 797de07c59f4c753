"""Digests merge exactly, in any order, and say how far off they may be."""

import random
from itertools import pairwise
from statistics import fmean, stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from powertune.model.invocation import Invocation
from powertune.sources.digest import RELATIVE_ERROR, Digest, Spread, bucket_of, middle_of
from powertune.sources.recording import MOST_KEPT, NO_ORIGIN, Key, Recording
from powertune.sources.repeats import Repeats, number_of

times_us = st.integers(0, 900_000_000) | st.integers(0, 5_000)


@given(times_us)
def test_a_bucket_stands_for_its_times_within_the_error_that_is_stated(time_us: int) -> None:
    assert abs(middle_of(bucket_of(time_us)) - time_us) <= RELATIVE_ERROR * time_us


@given(times_us)
def test_buckets_are_in_the_order_of_times(time_us: int) -> None:
    assert bucket_of(time_us) <= bucket_of(time_us + 1) <= bucket_of(time_us) + 1


def spread_of(times: list[int]) -> Spread:
    spread = Spread()
    for time in times:
        spread.add(time)
    return spread


@given(st.lists(st.lists(times_us, max_size=8), max_size=6), st.randoms(use_true_random=False))
def test_spreads_are_the_same_however_they_were_parted(parts: list[list[int]], shuffle: random.Random) -> None:
    whole = spread_of([time for part in parts for time in part])
    merged = Spread()
    shuffled = [spread_of(part) for part in parts]
    shuffle.shuffle(shuffled)
    for part in shuffled:
        merged.merge(part)
    assert merged == whole


@given(st.lists(times_us, min_size=2, max_size=60))
def test_a_spread_says_what_its_times_say(times: list[int]) -> None:
    spread = spread_of(times)
    in_ms = [time / 1000 for time in times]
    assert spread.mean_ms == pytest.approx(fmean(in_ms), rel=1e-12)
    assert spread.stddev_ms == pytest.approx(stdev(in_ms), rel=1e-9, abs=1e-12)
    shares = [0.0, 0.5, 0.95, 0.99, 1.0]
    for found, exact in zip(spread.percentiles_ms(shares), np.quantile(in_ms, shares), strict=True):
        assert abs(found - exact) <= RELATIVE_ERROR * exact + 1e-9


def test_a_mean_of_many_nearly_equal_times_loses_no_digit() -> None:
    spread = spread_of([900_000_000, 900_000_001] * 5_000)
    assert spread.mean_ms == 900_000.0005
    assert spread.stddev_ms == pytest.approx(0.0005, rel=1e-3)


# --- recordings ---


def run(number: int, **more: object) -> Invocation:
    values: dict[str, object] = {"memory_mb": 128 if number % 2 else 256, "duration_ms": number % 1000 + 0.25}
    return Invocation(**{**values, "request_id": f"id-{number}", **more})  # type: ignore[arg-type] # values of a test


def recorded(numbers: range, **more: object) -> Recording:
    recording = Recording()
    for number in numbers:
        recording.add_run(NO_ORIGIN, run(number, **more))
    recording.pack()
    return recording


def merged(parts: list[range]) -> Recording:
    whole = Recording()
    for part in parts:
        whole.merge(recorded(part))
    whole.pack()
    return whole


def test_few_runs_are_kept_one_by_one_and_many_are_not() -> None:
    assert recorded(range(MOST_KEPT)).runs is not None
    many = recorded(range(MOST_KEPT + 1))
    assert many.runs is None
    assert sum(digest.durations.count for digest in many.digests.values()) == MOST_KEPT + 1


@pytest.mark.parametrize("count", [MOST_KEPT, MOST_KEPT + 1, 3 * MOST_KEPT])
def test_a_recording_is_the_same_however_it_was_parted(count: int) -> None:
    whole = recorded(range(count))
    for cuts in ([1], [count - 1], [count // 3, count // 2], list(range(1000, count, 7000))):
        places = [0, *cuts, count]
        parts = [range(first, last) for first, last in pairwise(places)]
        assert merged(parts) == whole


def test_what_is_billed_is_the_same_of_runs_kept_and_digested() -> None:
    runs = [
        Invocation(128, 1.27, billed_ms=2), Invocation(128, 101.51, billed_ms=300), Invocation(128, 5.0),
        Invocation(128, 2715.86, billed_ms=3087, init_ms=370.72, cold=True), Invocation(128, 0.0),
    ]  # fmt: skip
    digest = Digest()
    for item in runs:
        digest.add(item)
    assert digest.billed_us == 1000 * (2 + 102 + 5 + 2716 + 1)


def test_whole_milliseconds_are_billed_as_one_more_whether_kept_or_digested() -> None:
    whole = recorded(range(10), duration_ms=5.0)
    whole.settle()
    assert [item.invocation.billed_ms for item in whole.kept_runs()] == [6.0] * 10
    many = recorded(range(MOST_KEPT + 2), duration_ms=5.0)
    many.settle()
    for key, digest in many.digests.items():
        assert digest.to_aggregate(key.memory_mb, cold=False, status="ok", error=None).billed_ms == 6.0


def test_names_of_errors_beyond_a_number_are_counted_together_whatever_their_order() -> None:
    numbers = list(range(MOST_KEPT + 1000))
    found = []
    shuffled = random.Random(1).sample(numbers, len(numbers))  # noqa: S311 - no secret hangs on it
    for order in (numbers, numbers[::-1], shuffled):
        recording = Recording()
        for number in order:
            recording.add_run(NO_ORIGIN, run(number, memory_mb=128, status="failed", error=f"E{number % 300:03}"))
        recording.pack()
        found.append(recording)
    assert found[0].digests == found[1].digests == found[2].digests
    assert len(found[0].digests) == 51
    first = Key(NO_ORIGIN, 128, status="failed", error="E000")
    assert found[0].digests[first].durations.count == 70


# --- repeats ---


def test_the_share_of_repeated_records_is_exact_for_few_and_estimated_for_many() -> None:
    few = Repeats()
    few.add(number_of(f"id-{number % 75}") for number in range(100))
    assert few.share == 0.25
    parts = [Repeats() for _ in range(7)]
    for number in range(150_000):
        parts[number % 7].add([number_of(f"id-{number % 100_000}")])
    whole = Repeats()
    for part in parts:
        whole.merge(part)
    assert whole.share == pytest.approx(1 / 3, abs=0.03)


def test_a_sample_of_repeats_is_the_same_however_it_was_parted() -> None:
    numbers = [number_of(f"{number % 9_000:036}") for number in range(20_000)]
    whole = Repeats()
    whole.add(numbers)
    whole.shorten()
    merged_ = Repeats()
    for first in range(0, 20_000, 777):
        part = Repeats()
        part.add(numbers[first : first + 777])
        merged_.merge(part)
    assert merged_ == whole
