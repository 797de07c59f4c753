"""CPU time in units of kernels: the same whatever neighbours do, as long as they do it to call and kernel alike."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import cycle, islice

import pytest

from powertune.aws_lambda.calibration import Work
from powertune.model.invocation import Status
from powertune.sources import yardstick
from powertune.sources.handler import Call
from powertune.sources.yardstick import Yardstick

KERNELS_MS = {"digests": 2.4, "words": 1.6}


class Machine:
    """Cores of some speed each, one of which runs at a time, and a clock of CPU time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.slow, self._now_ms = 1.0, 0.0
        kernels = {name: self._kernel(kernel_ms) for name, kernel_ms in KERNELS_MS.items()}
        monkeypatch.setattr(yardstick, "_KERNELS", kernels)
        monkeypatch.setattr("time.thread_time", lambda: self._now_ms / 1000)

        @contextmanager
        def on_core_of(_pid: int | None) -> Iterator[None]:
            yield

        monkeypatch.setattr(yardstick, "_on_core_of", on_core_of)

    def _kernel(self, kernel_ms: float) -> Callable[[], None]:
        def run() -> None:
            self._now_ms += kernel_ms * self.slow

        return run

    def call(self, cpu_ms: float, status: Status = "ok", payload: str | None = None) -> Call:
        """Return a call that runs on the core that runs now."""
        return Call(Work(cpu_ms * self.slow, 1.0), cpu_ms * self.slow + 1.0, 0.0, status, payload=payload)


def units_of(details: Mapping[str, object]) -> dict[str, float]:
    found = details["yardstick"]
    assert isinstance(found, dict)
    return {name: kernel["calls"] for name, kernel in found["kernels"].items()}


def test_calls_that_take_turns_on_a_free_and_a_busy_core_count_as_on_a_free_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine, laid, calls = Machine(monkeypatch), Yardstick(), []
    for machine.slow in islice(cycle([1.0, 1.8]), 31):
        calls.append(machine.call(18.0))
        laid.lay(1)
    assert units_of(laid.details(calls, 1)) == pytest.approx({"digests": 18 / 2.4, "words": 18 / 1.6})


def test_failed_calls_and_those_before_the_first_that_counts_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, laid, calls = Machine(monkeypatch), Yardstick(), []
    for number in range(20):
        is_odd = number < 5 or number % 4 == 0
        calls.append(machine.call(500.0 if is_odd else 24.0, "failed" if number >= 5 and is_odd else "ok"))
        laid.lay(1)
    assert units_of(laid.details(calls, 5)) == pytest.approx({"digests": 10.0, "words": 15.0})


def test_payloads_count_as_often_as_they_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, laid, calls = Machine(monkeypatch), Yardstick(), [Machine(monkeypatch).call(9.0)]
    laid.lay(1)
    for number in range(30):
        calls.append(machine.call(*((24.0, "ok", "small") if number % 3 else (96.0, "ok", "large"))))
        laid.lay(1)
    assert units_of(laid.details(calls, 1)) == pytest.approx({"digests": 20.0, "words": 30.0})


def test_a_single_call_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, laid = Machine(monkeypatch), Yardstick()
    laid.lay(1)
    laid.lay(1)
    assert laid.details([machine.call(9.0), machine.call(9.0)], 1) == {}


def test_after_enough_calls_no_kernel_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, laid, calls = Machine(monkeypatch), Yardstick(), []
    for number in range(100):
        machine.slow = 1.0 if number <= 60 else 50.0
        calls.append(machine.call(24.0))
        laid.lay(1)
    assert units_of(laid.details(calls, 1)) == pytest.approx({"digests": 10.0, "words": 15.0})
