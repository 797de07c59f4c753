"""What is found under a quota, and what it says against the prediction; rooms stand for those that a host has."""

import sys
from pathlib import Path
from typing import Self

import pytest

from powertune.aws_lambda.calibration import Work
from powertune.model.size_profile import Throttled
from powertune.sources.isolated import Launch
from powertune.sources.throttle import Room, RoomError, Usage
from powertune.sources.verification import Verification, doubts_of

HANDLER = """
def answers(event, context):
    return sum(number * number for number in range(event["count"]))

def fails(event, context):
    raise ValueError("no such order")
"""


class OpenRoom:
    """A room without limits that says what it is told to."""

    prefix: tuple[str, ...] = ()
    join: tuple[str, ...] = ()

    def __init__(self, usage: Usage, *, problem: str | None = None) -> None:
        self._usage, self._problem = usage, problem
        self.limits: list[int | None] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def limit_cpu(self, memory_mb: int | None) -> None:
        if self._problem:
            raise RoomError(self._problem, hint="")
        self.limits.append(memory_mb)

    def usage(self) -> Usage:
        return self._usage


class OneWay:
    name = "open"

    def __init__(self, room: OpenRoom) -> None:
        self._room = room
        self.limits_mb: list[float] = []

    def room(self, memory_limit_mb: float) -> Room:
        self.limits_mb.append(memory_limit_mb)
        return self._room


def verification(folder: Path, way: OneWay, function: str = "answers") -> Verification:
    (folder / "checked.py").write_text(HANDLER)
    launch = Launch(
        handler=f"checked:{function}",
        folder=str(folder),
        environment={},
        context={
            "function_name": "checked",
            "memory_limit_in_mb": "128",
            "region": "us-east-1",
            "log_stream_name": "stream",
        },
        memory_mb=10_000,
        path=[str(folder), *sys.path],
    )
    works = [Work(cpu_ms=5.0, wait_ms=0.0)] * 4
    return Verification(way, launch, works, lambda: '{"count": 30000}', timeout_s=30, most_calls=3)


def test_calls_under_a_quota_are_told_beside_what_was_predicted_for_them(tmp_path: Path) -> None:
    way = OneWay(room := OpenRoom(Usage(7, 31.0)))
    found = verification(tmp_path, way).at(512)
    assert (found.way, found.status, found.calls) == ("open", "ok", 3)
    assert (found.throttled_periods, found.peak_memory_mb) == (7, 31.0)
    assert found.p50_ms is not None
    assert found.predicted_ms == Work(5.0, 0.0).throttled_here_ms(512)
    assert found.predicted_at_cpu_ms == pytest.approx(Work(5.0, 0.0).throttled_here_ms(512, found.cpu_ratio or 0))
    assert room.limits == [512]
    assert way.limits_mb == [512 - 25]  # Lambda's runtime takes its part


def test_a_handler_that_fails_under_a_quota_is_a_row_with_its_reason(tmp_path: Path) -> None:
    found = verification(tmp_path, OneWay(OpenRoom(Usage())), "fails").at(512)
    assert found.status == "failed"
    assert "ValueError: no such order" in (found.reason or "")


def test_one_that_was_ended_for_its_memory_says_that_and_nothing_else(tmp_path: Path) -> None:
    found = verification(tmp_path, OneWay(OpenRoom(Usage(out_of_memory=True))), "fails").at(128)
    assert (found.status, found.reason) == ("out-of-memory", "took more memory than 128 MB leave it")


def test_a_room_that_takes_no_quota_loses_nothing_that_was_measured(tmp_path: Path) -> None:
    found = verification(tmp_path, OneWay(OpenRoom(Usage(), problem="cpu.max does not take 1447"))).at(128)
    assert (found.status, found.reason) == ("unavailable", "cpu.max does not take 1447")


def found(**more: object) -> Throttled:
    values: dict[str, object] = {
        "p50_ms": 100.0,
        "predicted_at_cpu_ms": 100.0,
        "cpu_ratio": 1.0,
        "throttled_periods": 9,
    }
    return Throttled("open", 5, **{**values, **more})  # type: ignore[arg-type] # fields by name


@pytest.mark.parametrize(
    ("one", "codes"),
    [
        (found(), []),
        (found(p50_ms=104.0), []),
        (found(p50_ms=150.0), ["verification-differs"]),
        (found(cpu_ratio=1.3), ["verification-cpu"]),
        (found(throttled_periods=0), ["verification-unfelt"]),
        (found(p50_ms=None, predicted_at_cpu_ms=None, cpu_ratio=None, status="failed"), []),
    ],
)
def test_what_was_found_gives_doubts_where_it_should(one: Throttled, codes: list[str]) -> None:
    assert [warning.code for warning in doubts_of({512: one})] == codes


def test_a_whole_vcpu_is_never_felt_and_that_is_no_doubt() -> None:
    assert not list(doubts_of({1769: found(throttled_periods=0)}))
