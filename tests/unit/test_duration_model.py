"""Durations at sizes that were never measured."""

import math

import pytest

from powertune.analysis.duration_model import predict_duration_ms
from powertune.model.size_profile import Basis


@pytest.mark.parametrize(
    ("known_ms", "memory_mb", "expected_ms"),
    [
        ({256: 400.0, 1024: 100.0}, 512, 200.0),  # computing: half the memory, twice the time
        ({256: 400.0, 1024: 100.0}, 640, 160.0),
        ({256: 100.0, 1024: 100.0}, 512, 100.0),  # waiting
        ({256: 400.0, 1024: 200.0}, 512, math.sqrt(400 * 200)),  # half way on both logarithmic axes
        ({256: 100.0, 1024: 400.0}, 512, 200.0),  # between measurements even a rise is believed
        ({128: 999.0, 256: 400.0, 1024: 100.0, 3008: 1.0}, 512, 200.0),  # only the neighbours count
        ({1024: 100.0, 3008: 1.0, 128: 999.0, 256: 400.0}, 512, 200.0),  # in any order
        ({512: 800.0, 2048: 50.0}, 1024, 200.0),  # between measurements even a fall faster than 1/memory
    ],
)
def test_between_measured_sizes_the_line_on_logarithmic_axes_is_read(
    known_ms: dict[int, float], memory_mb: int, expected_ms: float
) -> None:
    duration_ms, basis = predict_duration_ms(known_ms, memory_mb)
    assert duration_ms == pytest.approx(expected_ms)
    assert basis == "interpolated"


@pytest.mark.parametrize(
    ("known_ms", "memory_mb", "expected_ms"),
    [
        ({512: 200.0, 1024: 100.0}, 256, 400.0),
        ({512: 200.0, 1024: 100.0, 2048: 99.0}, 128, 800.0),  # the two smallest make the trend
        ({512: 100.0, 1024: 100.0}, 128, 100.0),
        ({512: 400.0, 1024: 100.0}, 256, 800.0),  # a fall by four is held to a fall by two
        ({512: 100.0, 1024: 150.0}, 256, 100.0),  # a rise is held to nothing
    ],
)
def test_below_the_smallest_size_its_trend_goes_on(
    known_ms: dict[int, float], memory_mb: int, expected_ms: float
) -> None:
    duration_ms, basis = predict_duration_ms(known_ms, memory_mb)
    assert duration_ms == pytest.approx(expected_ms)
    assert basis == "extrapolated"


@pytest.mark.parametrize(
    ("known_ms", "memory_mb", "expected_ms"),
    [
        ({256: 400.0, 512: 200.0}, 1024, 100.0),
        ({256: 400.0, 512: 200.0}, 1769, 400 * 256 / 1769),
        ({256: 400.0, 512: 200.0}, 3008, 400 * 256 / 1769),  # nothing tells of a second vCPU
        ({256: 400.0, 512: 200.0}, 10_240, 400 * 256 / 1769),
        ({1024: 100.0, 3008: 60.0}, 10_240, 60.0),  # half of the trend lies below one vCPU
        ({1769: 100.0, 3538: 50.0}, 7076, 25.0),  # the handler was seen to use more than one
        ({1769: 100.0, 3538: 50.0}, 10_240, 50 * 3538 / 10_240),
        ({512: 400.0, 1024: 100.0}, 1536, 100 * 1024 / 1536),  # a fall by four is held to one by the share
        ({512: 100.0, 1024: 150.0}, 1536, 150.0),  # a rise is held to nothing
        ({128: 9e9, 256: 400.0, 512: 200.0}, 1024, 100.0),  # the two largest make the trend
    ],
)
def test_above_the_largest_size_its_trend_goes_on_up_to_one_vcpu(
    known_ms: dict[int, float], memory_mb: int, expected_ms: float
) -> None:
    duration_ms, basis = predict_duration_ms(known_ms, memory_mb)
    assert duration_ms == pytest.approx(expected_ms)
    assert basis == "extrapolated"


def test_at_a_measured_size_its_measurement_is_read() -> None:
    known_ms = {256: 410.0, 777: 123.0, 1024: 95.0}
    for memory_mb, measured_ms in known_ms.items():
        assert predict_duration_ms(known_ms, memory_mb)[0] == pytest.approx(measured_ms)


@pytest.mark.parametrize("known_ms", [{}, {512: 100.0}])
def test_fewer_than_two_sizes_predict_nothing(known_ms: dict[int, float]) -> None:
    with pytest.raises(ValueError, match="two measured sizes"):
        predict_duration_ms(known_ms, 1024)


@pytest.mark.parametrize("known_ms", [{128: 0.0, 512: 10.0}, {128: 10.0, 512: 0.0}, {128: 0.0, 512: 0.0}])
@pytest.mark.parametrize(("memory_mb", "basis"), [(256, "interpolated"), (1024, "extrapolated")])
def test_a_recorded_duration_of_nothing_still_gives_a_duration(
    known_ms: dict[int, float], memory_mb: int, basis: Basis
) -> None:
    # Recordings in whole milliseconds have them.
    duration_ms, found = predict_duration_ms(known_ms, memory_mb)
    assert 0 <= duration_ms <= 10
    assert found == basis
