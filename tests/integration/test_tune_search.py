"""The searches on a Lambda that behaves like one: few runs, the right size, and nothing left behind."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import boto3
import jsonschema
import pytest
from believable_lambda import BelievableLambda, Failure, Fault, Work
from quick_botocore import make_quick

import powertune
from powertune.aws_lambda.memory import DEFAULT_SIZES_MB
from powertune.charging import rates_for_source
from powertune.cli.main import main
from powertune.model import run_file
from powertune.model.invocation import Invocation
from powertune.sources.aws import measuring, source
from powertune.sources.aws.measuring import Pace

SCHEMA = json.loads(Path(run_file.__file__).with_name("run-1.schema.json").read_text(encoding="utf-8"))
NAME = "orders"
OWN_MB = 512
FIRST_MB = {128, OWN_MB, 1024, 1769}
COMPUTING, WAITING = Work(cpu_ms=200), Work(cpu_ms=4, wait_ms=200)
PACE = partial(Pace, time_scale=0, poll_s=0.002)


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def run(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        jsonschema.Draft202012Validator(SCHEMA).validate(document)
        return document

    @property
    def rows(self) -> dict[int, dict[str, Any]]:
        return {size["memory_mb"]: size for size in self.run["sizes"]}

    @property
    def recommended_mb(self) -> int:
        chosen: int = self.run["recommendation"]["memory_mb"]
        return chosen

    @property
    def stopped(self) -> str:
        """Why the search stopped."""
        why: str = self.run["source"]["search"]["stopped"]
        return why

    @property
    def warm(self) -> Counter[int]:
        """Warm runs by memory size."""
        return Counter(run["memory_mb"] for run in self.run["invocations"] if not run["cold"] and run["status"] == "ok")


Tune = Callable[..., Done]


@pytest.fixture
def aws(believable: BelievableLambda, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> BelievableLambda:
    """An account where no time passes, with a function of 512 MB that computes, on hosts that are all alike."""
    monkeypatch.setenv("POWERTUNE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    assert source.__name__, "what takes Pace for a type has to be loaded by now"
    monkeypatch.setattr(measuring, "Pace", partial(PACE, lost_patience_s=5))
    make_quick(monkeypatch.setattr)
    believable.time_scale = 0
    believable.work = COMPUTING
    believable.host_spread = believable.noise = 0
    believable.create_function(NAME, memory_mb=OWN_MB)
    return believable


@pytest.fixture
def tune(capfd: pytest.CaptureFixture[str]) -> Tune:
    """Tune the function as the command does without further options."""

    def run(*arguments: str) -> Done:
        capfd.readouterr()
        code = main(("tune", NAME, "--yes", "-f", "json", *arguments))
        return Done(code, *capfd.readouterr())

    return run


def foreign_stretches(aws: BelievableLambda) -> int:
    """Return how often `$LATEST` went from its own memory to another."""
    history = [memory_mb for _, memory_mb in aws.memory_history(NAME)]
    assert history[-1] == OWN_MB
    return sum(before == OWN_MB != after for before, after in pairwise(history))


@pytest.mark.parametrize("strategy", ["cost", "speed", "balanced"])
@pytest.mark.parametrize("work", [COMPUTING, WAITING], ids=["computing", "waiting"])
def test_a_search_finds_what_measuring_every_size_finds_with_far_fewer_runs(
    aws: BelievableLambda, tune: Tune, work: Work, strategy: str
) -> None:
    aws.work = work
    # A function that only computes is the hardest: up to one vCPU all sizes cost about the same.
    most, times_fewer = (40, 3) if work is COMPUTING else (24, 5)
    before = aws.snapshot(NAME)
    found = tune("-s", strategy)
    assert found.code == 0, found.err
    assert len(aws.invocations) == len(found.run["invocations"]) == found.run["spent"]["invocations"] <= most
    assert aws.snapshot(NAME) == before
    assert not list(Path("state").iterdir())

    full = tune("-s", strategy, "--search", "full")
    assert len(full.run["invocations"]) >= times_fewer * len(found.run["invocations"])
    assert full.run["spent"]["usd"] >= times_fewer * found.run["spent"]["usd"]
    ours, best = full.rows[found.recommended_mb], full.rows[full.recommended_mb]
    if strategy != "speed":
        assert ours["cost"]["usd_per_invocation"] <= 1.03 * best["cost"]["usd_per_invocation"]
    if strategy != "cost":
        assert ours["duration_ms"]["mean"] <= 1.05 * best["duration_ms"]["mean"]


def test_every_asked_size_has_a_row_and_what_was_not_measured_is_marked(aws: BelievableLambda, tune: Tune) -> None:
    done = tune("--save", "run.json")
    assert list(done.rows) == [*DEFAULT_SIZES_MB]
    invoked = {execution.memory_mb for execution in aws.invocations}
    assert invoked < {*DEFAULT_SIZES_MB}
    for size, row in done.rows.items():
        assert row["status"] == "ok"
        assert (row["basis"] == "measured") == (size in invoked)
        assert row["expected"] if size in invoked else row["basis"] in ("interpolated", "extrapolated")
    assert done.warm[done.recommended_mb] >= 2
    assert "sure that no size" in done.stopped
    assert json.loads(Path("run.json").read_text(encoding="utf-8"))["source"]["search"] == {
        "name": "adaptive",
        "stopped": done.stopped,
    }
    (warning,) = (warning for warning in done.run["warnings"] if warning["code"] == "not-measured")
    assert "--search full" in warning["hint"]


def test_a_frugal_search_takes_fewer_runs_and_less_money(aws: BelievableLambda, tune: Tune) -> None:
    for work in (COMPUTING, WAITING):
        aws.work = work
        adaptive, frugal = tune("-s", "cost").run, tune("-s", "cost", "--search", "frugal").run
        assert frugal["spent"]["invocations"] < adaptive["spent"]["invocations"]
        assert frugal["spent"]["usd"] < adaptive["spent"]["usd"]


class NotingSource(powertune.AwsSource):
    """Keeps the batches that were asked for."""

    batches: list[dict[int, int]]

    def measure(self, plan: Mapping[int, int]) -> Iterator[Invocation]:
        self.batches = [*getattr(self, "batches", ()), dict(plan)]
        return super().measure(plan)


def batches(seed: int) -> list[dict[int, int]]:
    noting = NotingSource(NAME, pace=PACE())
    powertune.tune(noting, seed=seed)
    return noting.batches


def test_the_same_seed_and_durations_lead_to_the_same_batches(aws: BelievableLambda) -> None:
    first = batches(7)
    assert first[0] == dict.fromkeys(FIRST_MB, 1)
    assert len(first) > 1
    assert batches(7) == first
    aws.work = WAITING
    assert batches(7) != first


def test_latest_has_its_memory_back_after_each_batch(aws: BelievableLambda, tune: Tune) -> None:
    assert tune().code == 0
    new = {execution.memory_mb for execution in aws.invocations} - FIRST_MB
    assert 2 <= foreign_stretches(aws) <= 1 + len(new)


def test_the_memory_that_a_function_used_rules_out_smaller_sizes_without_a_run(
    aws: BelievableLambda, tune: Tune
) -> None:
    aws.work = Work(cpu_ms=200, memory_used_mb=300)
    done = tune()
    assert done.code == 0, done.err
    assert done.rows[128]["status"] == "out-of-memory"
    assert done.rows[256]["status"] == "unavailable"
    assert "used 300 MB" in done.rows[256]["reason"]
    assert 256 not in {execution.memory_mb for execution in aws.invocations}
    assert sum(execution.memory_mb == 128 for execution in aws.invocations) == 1


def test_a_size_that_ran_out_of_memory_rules_out_smaller_ones_without_a_run(aws: BelievableLambda, tune: Tune) -> None:
    aws.failures = {size: Failure("killed") for size in (128, 256, 384, 512)}
    done = tune("-m", "128,256,384,512,768,1024,1769")
    assert done.code == 0, done.err
    assert {done.rows[size]["status"] for size in (128, 512)} == {"out-of-memory"}
    assert {size: done.rows[size]["reason"] for size in (256, 384)} == dict.fromkeys(
        (256, 384), "512 MB ran out of memory"
    )
    assert not {execution.memory_mb for execution in aws.invocations} & {256, 384}
    assert done.recommended_mb >= 768


@pytest.mark.parametrize(
    ("kind", "tried", "status", "told"),
    [
        ("killed", FIRST_MB | {2048, 3008}, "out-of-memory", "fits into none of these sizes"),
        ("exception", FIRST_MB, "failed", "the function failed at every size: ValueError"),
    ],
)
def test_a_function_that_fails_everywhere_costs_a_few_runs_and_has_a_row_for_each_size(
    aws: BelievableLambda, tune: Tune, kind: Any, tried: set[int], status: str, told: str
) -> None:
    aws.failures = {size: Failure(kind) for size in DEFAULT_SIZES_MB}
    before = aws.snapshot(NAME)
    done = tune()
    assert done.code == 5
    assert told in done.err
    assert {size: row["status"] for size, row in done.rows.items()} == {
        size: status if size in tried else "unavailable" for size in DEFAULT_SIZES_MB
    }
    assert all(row["reason"] for row in done.rows.values())
    assert done.stopped == "the function succeeded at no size that was tried"
    assert len(aws.invocations) <= 12
    assert aws.snapshot(NAME) == before


def test_a_precision_leads_to_more_runs_at_the_size_to_be_taken(aws: BelievableLambda, tune: Tune) -> None:
    aws.noise = 0.05
    usual, precise = tune("--seed", "1"), tune("--seed", "1", "--precision", "1%")
    assert precise.code == 0, precise.err
    assert max(precise.warm.values()) > 3 * max(usual.warm.values())
    assert precise.stopped.endswith("the mean is known to 0.01")


def test_cold_starts_are_forced_at_each_size_that_is_measured(aws: BelievableLambda, tune: Tune) -> None:
    aws.time_scale = 0.02
    aws.work = Work(cpu_ms=200, init_ms=10_000)
    done = tune("--cold-starts", "3")
    assert done.code == 0, done.err
    cold = Counter(execution.memory_mb for execution in aws.invocations if execution.cold)
    assert set(cold) > FIRST_MB
    assert min(cold.values()) >= 3
    assert "few-cold-starts" not in {warning["code"] for warning in done.run["warnings"]}


def test_each_line_of_a_sequence_is_sent_once_over_all_batches(aws: BelievableLambda, tune: Tune) -> None:
    Path("events.jsonl").write_text("".join(f'{{"line": {number}}}\n' for number in range(200)), encoding="utf-8")
    assert tune("--payloads", "events.jsonl").code == 0
    sent = [json.loads(execution.payload)["line"] for execution in aws.invocations]
    assert sorted(sent) == list(range(len(sent)))
    most = int(re.findall(r"([\d,]+)\s+invocations at most", tune("--plan").out)[0])
    assert len(sent) <= most
    Path("events.jsonl").write_text('{"line": 1}\n' * (most - 1), encoding="utf-8")
    refused = tune("--payloads", "events.jsonl")
    assert refused.code == 3
    assert f"this run may take {most}" in refused.err


def test_each_batch_of_a_mix_is_a_whole_round_of_payloads(aws: BelievableLambda, tune: Tune) -> None:
    aws.work = lambda payload: Work(cpu_ms=400 if b"large" in payload else 100)
    mix = [{"payload": {"kind": kind}, "weight": weight, "name": kind} for kind, weight in (("small", 3), ("large", 1))]
    Path("mix.json").write_text(json.dumps(mix), encoding="utf-8")
    done = tune("--payloads", "mix.json")
    assert done.code == 0, done.err
    warm = Counter((run["memory_mb"], run["payload"]) for run in done.run["invocations"] if not run["cold"])
    for size in done.warm:
        assert min(warm[size, "small"], warm[size, "large"]) >= 1


# Money.


def most_usd(memory_mb: int) -> float:
    """Return what a run can cost with a timeout of 30 s."""
    return memory_mb / 1024 * 0.0000166667 * (30 + 10) + 2e-7


def test_a_spending_limit_that_is_reached_stops_the_search_and_is_told(aws: BelievableLambda, tune: Tune) -> None:
    before = aws.snapshot(NAME)
    done = tune("--max-spend", str(most_usd(1024) * 1.3))
    assert done.code == 0, done.err
    assert done.stopped == "the spending limit was reached"
    assert "spending-limit" in {warning["code"] for warning in done.run["warnings"]}
    assert done.rows[1769]["status"] == "unavailable"
    assert {done.rows[size]["status"] for size in FIRST_MB - {1769}} == {"ok"}
    assert len(aws.invocations) <= 8
    assert aws.snapshot(NAME) == before


def test_a_limit_reached_in_a_later_batch_leaves_what_was_measured_before(aws: BelievableLambda, tune: Tune) -> None:
    aws.deploy(NAME, memory_mb=1769)
    sizes = ("-m", "128,1769", "--parallel", "1")
    first = tune(*sizes, "-n", "1").run
    cheapest = min(run["billed_ms"] * run["memory_mb"] for run in first["invocations"]) / 1024 / 1000 * 0.0000166667
    done = tune(*sizes, "--max-spend", str(first["spent"]["usd"] + most_usd(1769) - cheapest / 2))
    assert done.code == 0, done.err
    assert done.stopped == "the spending limit was reached"
    assert {row["status"] for row in done.rows.values()} == {"ok"}
    assert done.warm == {128: 1, 1769: 1}


# What goes wrong in a later batch.


@pytest.mark.parametrize("fault", [{"execute": True, "drop": True}, {"execute": True}, {"drop": True}], ids=str)
def test_an_answer_that_is_lost_in_a_later_batch_costs_one_run(
    aws: BelievableLambda, tune: Tune, fault: dict[str, Any]
) -> None:
    aws.faults = [Fault("Invoke", after=9, **fault)]
    before = aws.snapshot(NAME)
    done = tune("--parallel", "1")
    assert done.code == 0, done.err
    lost = [run for run in done.run["invocations"] if run["status"] == "unavailable"]
    assert len(lost) == (0 if "execute" in fault else 1)
    assert len(aws.invocations) == len(done.run["invocations"]) - len(lost)
    assert aws.snapshot(NAME) == before


@pytest.mark.parametrize(
    "deploy", [{"memory_mb": 4096}, {"code": b"release 2"}, {"code": b"release 2", "memory_mb": 4096}], ids=str
)
def test_a_deploy_between_two_batches_stops_the_run_and_stays(
    aws: BelievableLambda, tune: Tune, deploy: dict[str, Any]
) -> None:
    seen: dict[str, Any] = {}

    def deployed() -> None:
        aws.deploy(NAME, **deploy)
        seen.update(aws.snapshot(NAME)["latest"])

    # Three updates and one to put it back make the first batch: this one is of the second.
    aws.on_call("UpdateFunctionConfiguration", 5, deployed)
    done = tune()
    assert (done.code, done.out) == (4, "")
    assert "somebody else changed the function" in done.err
    assert aws.snapshot(NAME)["latest"] == seen
    assert aws.snapshot(NAME)["versions"] == []
    (recording,) = Path("state").iterdir()
    assert str(recording) in done.err
    assert len(recording.read_text(encoding="utf-8").splitlines()) >= 8


def test_without_the_journal_restore_knows_each_of_very_many_sizes_by_the_marks(
    aws: BelievableLambda, tune: Tune
) -> None:
    # The first size of the second batch is set, and nobody hears of it; from then on nothing can be changed.
    aws.faults = [
        Fault("UpdateFunctionConfiguration", 500, execute=True, after=4),
        Fault("UpdateFunctionConfiguration", 500, times=None, after=4),
        Fault("DeleteFunction", 403, "AccessDeniedException", "not authorized", times=None),
    ]
    before = aws.snapshot(NAME)
    assert tune("-m", "all").code == 4
    left = aws.snapshot(NAME)
    assert left["latest"]["MemorySize"] not in FIRST_MB
    marks = [description for _, description, _, _ in left["versions"]]
    assert max(map(len, marks)) <= 256
    aws.faults = []
    for journal in Path("state").glob("*.json"):
        journal.unlink()
    assert main(("restore", NAME)) == 0
    assert aws.snapshot(NAME) == before


def test_the_versions_of_a_run_are_never_invoked_after_they_were_deleted(aws: BelievableLambda) -> None:
    with powertune.AwsSource(NAME, pace=PACE()) as live:
        live.rates = rates_for_source(live, {})
        first = list(live.measure({128: 1, OWN_MB: 1}))
        published = len(aws.snapshot(NAME)["versions"])
        again = list(live.measure({128: 2, OWN_MB: 1}))
        assert len(aws.snapshot(NAME)["versions"]) == published == 2
    assert {run.memory_mb for run in first} == {run.memory_mb for run in again} == {128, OWN_MB}
    assert not any(run.cold for run in again)
    assert boto3.client("lambda").list_versions_by_function(FunctionName=NAME)["Versions"][0]["Version"] == "$LATEST"
    assert aws.snapshot(NAME)["versions"] == []
