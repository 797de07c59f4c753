"""The loop over any source: what it measures, what it predicts, what it refuses."""

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

import pytest

import powertune
from powertune.errors import BadInputError, UsageError
from powertune.model.invocation import Invocation
from powertune.model.source import SourceFacts


class Minimal:
    """No more than the protocol asks for."""

    sizes: Sequence[int] = (128, 256, 512, 1024)

    def __init__(self) -> None:
        self.plans: list[dict[int, int]] = []
        self.open = False

    def __enter__(self) -> None:
        self.open = True

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.open = False

    def measure(self, plan: Mapping[int, int]) -> Iterator[Invocation]:
        assert self.open
        self.plans.append(dict(plan))
        for size, count in plan.items():
            yield from (Invocation(size, 51_200 / size + number % 2) for number in range(count))


class Recorded(Minimal):
    facts = SourceFacts(kind="recorded", billed=False, default_samples=3)


def test_a_source_needs_no_more_than_the_protocol() -> None:
    source = Minimal()
    run = powertune.tune(source, search="full")
    assert source.plans == [dict.fromkeys((128, 256, 512, 1024), 10)]
    assert not source.open
    search = {"name": "full", "stopped": "every size was measured"}
    assert run.source == {"kind": "custom", "calibrated": True, "search": search}
    assert run.recommendation.memory_mb == 1024


def test_what_runs_cost_is_counted_where_they_are_billed() -> None:
    run = powertune.tune(Minimal(), sizes=[1024], search="full", samples=2)
    # 50 ms and 51 ms at 1 GB, and two requests.
    assert run.spent.invocations == 2
    assert run.spent.amount == pytest.approx(0.101 * 0.0000166667 + 2 * 0.0000002)
    assert powertune.tune(Recorded(), sizes=[1024]).spent.invocations == 0


def test_only_sizes_that_were_asked_for_are_measured_where_runs_cost_money() -> None:
    source = Minimal()
    run = powertune.tune(source, sizes=[256, 1024, 2048], search="full", samples=5)
    assert source.plans == [{256: 5, 1024: 5}]
    assert [size.basis for size in run.sizes] == ["measured", "measured", "extrapolated"]


def test_all_recorded_sizes_help_to_predict_others() -> None:
    source = Recorded()
    run = powertune.tune(source, sizes=[384])
    assert set(source.plans[0]) == {128, 256, 512, 1024}
    assert [(size.memory_mb, size.basis) for size in run.sizes] == [(384, "interpolated")]


def test_the_current_size_is_always_shown() -> None:
    run = powertune.tune(Recorded(), sizes=[1024], current_memory_mb=512)
    assert [size.memory_mb for size in run.sizes] == [512, 1024]
    assert run.recommendation.versus_current is not None


def test_the_run_keeps_what_it_was_asked_to_weigh() -> None:
    run = powertune.tune(Recorded(), tolerance=0.1, max_duration_ms=400, ephemeral_storage_mb=1024)
    assert run.choice["tolerance"] == 0.1
    assert run.choice["max_duration_ms"] == 400
    assert run.choice["ephemeral_storage_mb"] == 1024


@pytest.mark.parametrize(
    "wrong",
    [
        {"tolerence": 0},
        {"strategy": "cheap"},
        {"tolerance": -0.1},
        {"balanced_weight": 2},
        {"cold_start_rate": 5},
        {"gb_seconds_per_month": -5},
        {"region": "mars-1"},
        {"architecture": "sparc"},
        {"samples": 0},
        {"search": "fast"},
        {"precision": 0},
        {"precision": 1},
        {"sizes": [64]},
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused_before_anything_runs(wrong: dict[str, Any]) -> None:
    source = Minimal()
    with pytest.raises(UsageError):
        powertune.tune(source, **wrong)
    assert source.plans == []


def test_a_payload_that_json_cannot_hold_is_bad_input() -> None:
    with pytest.raises(BadInputError, match="cannot be JSON"):
        powertune.dry_run("powertune.examples.waiting:handler", payload={1, 2})


def test_a_callable_can_be_dry_run() -> None:
    run = powertune.dry_run(lambda event, _context: {"got": event}, payload=[1], sizes=[128, 1769], samples=2)
    assert [size.status for size in run.sizes] == ["ok", "ok"]
    assert run.source["kind"] == "local"


def test_a_saved_run_is_loaded_as_it_was(tmp_path: Any) -> None:
    run = powertune.tune(Recorded())
    (tmp_path / "run.json").write_text(run.to_json(), encoding="utf-8")
    assert powertune.load(tmp_path / "run.json") == run
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BadInputError, match="schema_version"):
        powertune.load(tmp_path / "run.json")
    with pytest.raises(BadInputError, match="cannot be read"):
        powertune.load(tmp_path / "nowhere.json")
