"""The run file: what is saved is read again, and every complaint names its place."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from typing import Any

import jsonschema
import pytest

from powertune.model.function_facts import FunctionFacts
from powertune.model.invocation import Invocation
from powertune.model.recommendation import Change, Recommendation, Verdict
from powertune.model.run_file import RunFileError, from_dict, to_dict
from powertune.model.run_warning import RunWarning
from powertune.model.size_profile import Cost, Counts, Distribution, Expected, InitTime, Outliers, SizeProfile
from powertune.model.tuning_run import PricesUsed, Spent, TuningRun

SCHEMA = json.loads(resources.files("powertune.model").joinpath("run-1.schema.json").read_text(encoding="utf-8"))

FULL = TuningRun(
    tool_version="1.2.3",
    created_at="2026-11-23T20:50:30+00:00",
    source={"kind": "recorded", "files": 2, "skipped": None},
    function=FunctionFacts("orders", "python3.13", "arm64", "eu-west-1", 512),
    pricing=PricesUsed("eu-west-1", "arm64", "USD", "2024-08", 0.0000133334, 0.0000002, "list"),
    sizes=(
        SizeProfile(128, "out-of-memory", "Runtime.OutOfMemory", invocations=Counts(failed=3), max_memory_used_mb=128),
        SizeProfile(
            512,
            basis="scaled",
            invocations=Counts(warm=12, cold=1, failed=1),
            duration_ms=Distribution(100.5, 99.0, 120.0, 130.0, 8.0, (96.0, 105.0)),
            init_ms=InitTime(200.0, 240.0),
            max_memory_used_mb=80.5,
            cost=Cost(8.7e-7, 0.87, (0.8, 0.94)),
        ),
        SizeProfile(
            1024, basis="interpolated", duration_ms=Distribution(60.0), init_ms=InitTime(200.0), cost=Cost(1e-6, 1.0)
        ),
    ),
    recommendation=Recommendation("speed", 512, "medium", 512, 512, None, ("a reason", "another"), Change(-49.5, 0.9)),
    choice={"tolerance": 0.02, "balanced_weight": 0.5, "max_duration_ms": None},
    spent=Spent(16, 0.0013),
    warnings=(RunWarning("few-runs", "a message", "a hint", 512), RunWarning("noted", "on all sizes", "none")),
    invocations=(
        Invocation(512, 100.5, 101.0, 200.0, 80.5, cold=True, request_id="a-1", payload="order.json", status="ok"),
        Invocation(128, 3.0, error="Runtime.OutOfMemory", status="out-of-memory", extra={"column": "value"}),
    ),
)
BARE = TuningRun(
    tool_version="0",
    created_at="2026-11-23T20:50:30Z",
    source={"kind": "custom"},
    function=FunctionFacts(architecture="x86_64"),
    pricing=PricesUsed("us-east-1", "x86_64", "USD", None, 0.0, 0.0, "override"),
    sizes=(),
    recommendation=Recommendation("balanced", None, "inconclusive", None, None, None),
)
IN_YUAN = TuningRun(
    tool_version="1.2.3",
    created_at="2026-11-23T20:50:30Z",
    source={"kind": "local"},
    function=FunctionFacts(architecture="x86_64", region="cn-north-1"),
    pricing=PricesUsed("cn-north-1", "x86_64", "CNY", "2026-04", 0.000113477, 0.00000136, "list"),
    sizes=(
        SizeProfile(512, duration_ms=Distribution(100.0), cost=Cost(7e-6, 7.0, (6.0, 8.0), "CNY")),
        SizeProfile(1024, "throttled", "TooManyRequests"),
    ),
    recommendation=Recommendation("cost", 512, "low", 512, 512, 512),
    spent=Spent(3, 0.5),
)
every_run = pytest.mark.parametrize("run", [FULL, BARE, IN_YUAN], ids=["full", "bare", "in-yuan"])


@every_run
def test_what_is_saved_is_read_again(run: TuningRun) -> None:
    assert from_dict(json.loads(run.to_json())) == run
    assert from_dict(run.to_dict()) == run


@every_run
def test_a_saved_run_is_valid_against_the_schema_that_ships(run: TuningRun) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(run.to_json()))


def test_the_schema_itself_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@every_run
def test_a_run_file_is_ascii_and_ends_in_a_line_end(run: TuningRun) -> None:
    text = run.to_json()
    assert text.isascii()
    assert text.endswith("}\n")


@pytest.mark.parametrize("amount", [math.nan, math.inf])
def test_a_number_that_json_does_not_have_is_never_written(amount: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        replace(FULL, spent=Spent(1, amount)).to_json()


def test_the_keys_that_others_rely_on_are_there() -> None:
    document = to_dict(FULL)
    assert document["schema_version"] == 1
    assert document["tool"] == {"name": "powertune", "version": "1.2.3"}
    assert document["source"] == {"kind": "recorded", "files": 2, "skipped": None}
    assert document["function"] == {
        "name": "orders",
        "runtime": "python3.13",
        "architecture": "arm64",
        "region": "eu-west-1",
        "current_memory_mb": 512,
    }
    assert document["sizes"][1] == {
        "memory_mb": 512,
        "status": "ok",
        "reason": None,
        "basis": "scaled",
        "invocations": {"warm": 12, "cold": 1, "failed": 1},
        "duration_ms": {"mean": 100.5, "p50": 99.0, "p95": 120.0, "p99": 130.0, "stddev": 8.0, "ci95": [96.0, 105.0]},
        "init_ms": {"mean": 200.0, "p95": 240.0},
        "max_memory_used_mb": 80.5,
        "cost": {"usd_per_invocation": 8.7e-7, "usd_per_million": 0.87, "ci95_usd_per_million": [0.8, 0.94]},
    }
    assert document["recommendation"] == {
        "strategy": "speed",
        "memory_mb": 512,
        "confidence": "medium",
        "cost": {"memory_mb": 512},
        "speed": {"memory_mb": 512},
        "balanced": {"memory_mb": None},
        "reasons": ["a reason", "another"],
        "versus_current": {"duration_pct": -49.5, "cost_pct": 0.9},
        "pareto": [],
        "alternatives": [],
    }
    assert document["spent"] == {"invocations": 16, "usd": 0.0013}
    assert document["warnings"][0] == {
        "code": "few-runs",
        "memory_mb": 512,
        "message": "a message",
        "hint": "a hint",
    }
    assert document["invocations"][0]["request_id"] == "a-1"


def test_money_keys_carry_the_code_of_the_currency() -> None:
    document = to_dict(IN_YUAN)
    assert document["pricing"]["currency"] == "CNY"
    assert document["sizes"][0]["cost"] == {
        "cny_per_invocation": 7e-6,
        "cny_per_million": 7.0,
        "ci95_cny_per_million": [6.0, 8.0],
    }
    assert document["spent"] == {"invocations": 3, "cny": 0.5}


def test_columns_of_a_recording_are_kept_only_where_there_are_any() -> None:
    documents = to_dict(FULL)["invocations"]
    assert "extra" not in documents[0]
    assert documents[1]["extra"] == {"column": "value"}


def test_keys_that_a_later_version_may_add_are_passed_over() -> None:
    document = to_dict(FULL)
    document["new"] = {"at": "the top"}
    document["sizes"][1]["new"] = 1
    document["invocations"][0]["new"] = [1]
    assert from_dict(document) == FULL


def test_optional_keys_may_be_left_out() -> None:
    document = to_dict(FULL)
    del document["function"]["name"]
    del document["sizes"][0]["reason"]
    del document["sizes"][1]["duration_ms"]["p95"]
    del document["recommendation"]["versus_current"]
    run = from_dict(document)
    assert (run.function.name, run.sizes[0].reason, run.recommendation.versus_current) == (None, None, None)
    duration = run.sizes[1].duration_ms
    assert duration is not None
    assert (duration.p95, duration.p99) == (None, 130.0)


@pytest.mark.parametrize(("error", "status"), [(None, "ok"), ("boom", "failed")])
def test_an_invocation_without_status_failed_if_it_has_an_error(error: str | None, status: str) -> None:
    document = to_dict(FULL)
    del document["invocations"][0]["status"]
    document["invocations"][0]["error"] = error
    assert from_dict(document).invocations[0].status == status


def test_whole_numbers_may_be_written_with_a_point() -> None:
    document = to_dict(FULL)
    document["sizes"][1]["memory_mb"] = 512.0
    assert from_dict(document) == FULL


# Complaints.


@pytest.mark.parametrize("pick", ["memory_mb", "cost", "speed", "balanced"])
def test_a_recommended_size_is_one_of_the_sizes(pick: str) -> None:
    document = to_dict(FULL)
    document["recommendation"][pick] = 777 if pick == "memory_mb" else {"memory_mb": 777}
    with pytest.raises(RunFileError, match="'recommendation' names 777 MB, which is none of its 'sizes'"):
        from_dict(document)


@pytest.mark.parametrize("version", [2, 99])
def test_a_newer_run_file_is_refused_with_both_versions(version: int) -> None:
    document = {**to_dict(FULL), "schema_version": version}
    with pytest.raises(RunFileError, match=f"schema_version {version}; this powertune reads version 1.*newer"):
        from_dict(document)


def test_the_version_is_looked_at_before_anything_else() -> None:
    with pytest.raises(RunFileError, match="newer powertune"):
        from_dict({"schema_version": 2})


Edit = Callable[[dict[str, Any]], object]


def put(value: object, *path: str | int) -> Edit:
    def edit(document: dict[str, Any]) -> None:
        node: Any = document
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = value

    return edit


def remove(*path: str | int) -> Edit:
    def edit(document: dict[str, Any]) -> None:
        node: Any = document
        for step in path[:-1]:
            node = node[step]
        del node[path[-1]]

    return edit


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (remove("schema_version"), "the run file has no 'schema_version'"),
        (remove("sizes"), "the run file has no 'sizes'"),
        (remove("spent", "usd"), "the run file, 'spent' has no 'usd'"),
        (remove("function", "architecture"), "the run file, 'function' has no 'architecture'"),
        (remove("sizes", 1, "memory_mb"), "the run file, 'sizes'[1] has no 'memory_mb'"),
        (remove("sizes", 1, "invocations", "warm"), "the run file, 'sizes'[1], 'invocations' has no 'warm'"),
        (remove("sizes", 1, "duration_ms", "mean"), "the run file, 'sizes'[1], 'duration_ms' has no 'mean'"),
        (
            remove("sizes", 1, "cost", "usd_per_million"),
            "the run file, 'sizes'[1], 'cost' has no 'usd_per_million'",
        ),
        (remove("recommendation", "speed"), "the run file, 'recommendation' has no 'speed'"),
        (remove("warnings", 1, "hint"), "the run file, 'warnings'[1] has no 'hint'"),
        (remove("invocations", 1, "duration_ms"), "the run file, 'invocations'[1] has no 'duration_ms'"),
        (put("1", "schema_version"), "the run file, 'schema_version' should be a number, not str"),
        (put(bool(1), "schema_version"), "the run file, 'schema_version' should be a number, not bool"),
        (put([], "tool"), "the run file, 'tool' should be an object, not list"),
        (put(3, "tool", "version"), "the run file, 'tool', 'version' should be text, not int"),
        (put("x", "source"), "the run file, 'source' should be an object, not str"),
        (put({}, "sizes"), "the run file, 'sizes' should be a list, not dict"),
        (put("512", "sizes", 1, "memory_mb"), "the run file, 'sizes'[1], 'memory_mb' should be a number, not str"),
        (
            put(512.5, "sizes", 1, "memory_mb"),
            "the run file, 'sizes'[1], 'memory_mb' should be a whole number, not 512.5",
        ),
        (
            put("fine", "sizes", 1, "status"),
            (
                "the run file, 'sizes'[1], 'status' should be one of ok, out-of-memory, timed-out, failed, throttled,"
                " unavailable, not str"
            ),
        ),
        (
            put(["ok"], "sizes", 1, "basis"),
            "the run file, 'sizes'[1], 'basis' should be one of measured, scaled, interpolated, extrapolated, not list",
        ),
        (
            put([1.0], "sizes", 1, "duration_ms", "ci95"),
            "the run file, 'sizes'[1], 'duration_ms', 'ci95' should be two numbers, not list",
        ),
        (
            put([1.0, "2"], "sizes", 1, "duration_ms", "ci95"),
            "the run file, 'sizes'[1], 'duration_ms', 'ci95'[1] should be a number, not str",
        ),
        (
            put(math.inf, "sizes", 1, "cost", "usd_per_million"),
            "the run file, 'sizes'[1], 'cost', 'usd_per_million' should be a number, not inf",
        ),
        (
            put(math.nan, "pricing", "per_request"),
            "the run file, 'pricing', 'per_request' should be a number, not nan",
        ),
        (
            put("cheap", "recommendation", "strategy"),
            "the run file, 'recommendation', 'strategy' should be one of cost, speed, balanced, not str",
        ),
        (
            put(None, "recommendation", "confidence"),
            (
                "the run file, 'recommendation', 'confidence' should be one of high, medium, low, inconclusive,"
                " not NoneType"
            ),
        ),
        (put([3], "recommendation", "reasons"), "the run file, 'recommendation', 'reasons'[0] should be text, not int"),
        (put(0, "invocations", 0, "cold"), "the run file, 'invocations'[0], 'cold' should be true or false, not int"),
        (put([], "invocations", 1, "extra"), "the run file, 'invocations'[1], 'extra' should be an object, not list"),
    ],
)
def test_a_complaint_names_the_place_and_what_belongs_there(edit: Edit, complaint: str) -> None:
    document = to_dict(FULL)
    edit(document)
    with pytest.raises(RunFileError) as caught:
        from_dict(document)
    assert str(caught.value) == complaint


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("sizes", 1, "memory_mb"), -512),
        (("sizes", 1, "memory_mb"), 127),
        (("recommendation", "memory_mb"), 10_241),
        (("recommendation", "cost", "memory_mb"), 0),
        (("function", "current_memory_mb"), 64),
        (("warnings", 0, "memory_mb"), 99_999),
        (("invocations", 0, "memory_mb"), 1),
        (("sizes", 1, "invocations", "warm"), -1),
        (("spent", "invocations"), -1),
        (("sizes", 1, "duration_ms", "mean"), -0.1),
        (("invocations", 0, "duration_ms"), -3.0),
    ],
    ids=str,
)
def test_a_figure_that_the_schema_forbids_is_refused_by_its_place(path: tuple[str | int, ...], value: float) -> None:
    document = to_dict(FULL)
    put(value, *path)(document)
    assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(document)
    with pytest.raises(RunFileError, match=f"{path[-1]}' should be "):
        from_dict(document)


@pytest.mark.parametrize("document", [None, [], "run", 1, True])
def test_a_document_that_is_no_object_is_refused(document: object) -> None:
    with pytest.raises(RunFileError, match="the run file should be an object, not"):
        from_dict(document)


def test_an_empty_list_of_columns_is_not_mistaken_for_none() -> None:
    document = to_dict(FULL)
    document["invocations"][1]["extra"] = {}
    assert from_dict(document).invocations[1].extra == {}


@pytest.mark.parametrize("path", [("schema_version",), ("spent", "invocations"), ("sizes", 1, "memory_mb")], ids=str)
def test_a_whole_number_beyond_all_numbers_is_refused(path: tuple[str | int, ...]) -> None:
    document = to_dict(FULL)
    put(10**400, *path)(document)
    with pytest.raises(RunFileError):
        from_dict(document)


# The run itself.


def test_a_run_finds_a_size_by_its_memory() -> None:
    assert FULL.size(512) is FULL.sizes[1]
    with pytest.raises(KeyError):
        FULL.size(513)


def test_a_file_from_before_the_choice_was_kept_is_read() -> None:
    document = to_dict(FULL)
    del document["choice"]
    assert from_dict(document) == replace(FULL, choice={})


def test_what_statistics_say_beyond_means_is_saved_with_units_and_read_again() -> None:
    verdict = Verdict(512, 1024, "cost", "inconclusive", -3.5, (-8.0, 1.0), {512: 12, 1024: 30})
    size = replace(
        FULL.sizes[1],
        expected=Expected(98.5, (95.0, 102.0), 8.5e-7, (8.2e-7, 8.8e-7)),
        outliers=Outliers(2, 0.25),
        limit_odds=0.97,
    )
    run = replace(
        FULL,
        sizes=(size,),
        function=replace(FULL.function, timeout_s=3),
        recommendation=replace(
            FULL.recommendation,
            versus_current=Change(-49.5, 0.9, -2.0, duration_verdict=verdict),
            verdict=verdict,
            pareto=(512, 1024),
            alternatives=("1024 MB: 5.0 % dearer and 40 % faster",),
            timeout_s=2,
        ),
    )
    document = json.loads(run.to_json())
    (saved,) = document["sizes"]
    assert saved["expected"] == {
        "duration_ms": 98.5,
        "ci95_duration_ms": [95.0, 102.0],
        "usd_per_invocation": 8.5e-7,
        "ci95_usd_per_invocation": [8.2e-7, 8.8e-7],
        "usd_per_million": pytest.approx(0.85),
        "ci95_usd_per_million": pytest.approx([0.82, 0.88]),
    }
    assert (saved["outliers"], saved["limit_odds"]) == ({"count": 2, "cost_share": 0.25}, 0.97)
    assert document["function"]["timeout_s"] == 3
    assert document["recommendation"]["verdict"] == {
        "memory_mb": 512,
        "other_memory_mb": 1024,
        "axis": "cost",
        "kind": "inconclusive",
        "difference_pct": -3.5,
        "ci95_pct": [-8.0, 1.0],
        "more_invocations": {"512": 12, "1024": 30},
    }
    # $0.0013 of measuring, $2 a month of 730 hours.
    assert document["spent"]["payback_days"] == pytest.approx(0.0013 / 2 * 730 / 24)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert from_dict(document) == run


@pytest.mark.parametrize("key", ["64", "20480", "1e3", "many", "9" * 5000])
def test_more_invocations_of_what_is_no_memory_size_are_refused(key: str) -> None:
    verdict = Verdict(512, 1024, "cost", "inconclusive", -3.5)
    document = json.loads(replace(FULL, recommendation=replace(FULL.recommendation, verdict=verdict)).to_json())
    document["recommendation"]["verdict"]["more_invocations"] = {key: 1}
    with pytest.raises(RunFileError, match="more_invocations"):
        from_dict(document)


@pytest.mark.parametrize("per_month", [None, 0.0, 2.0])
def test_what_saves_nothing_pays_nothing_back(per_month: float | None) -> None:
    change = Change(-10.0, 0.0, per_month)
    assert replace(FULL, recommendation=replace(FULL.recommendation, versus_current=change)).payback_days is None
    saving = replace(FULL.recommendation, versus_current=Change(-10.0, 0.0, -2.0))
    assert replace(FULL, recommendation=saving, spent=Spent()).payback_days is None
