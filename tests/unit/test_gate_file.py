"""The gate file: written and read back, valid by the schema that ships, refused where it is off."""

import json
from dataclasses import replace
from importlib import resources

import pytest
from gate_results import RESULTS, hostile, mixed
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from powertune.model.gate_file import from_dict, to_dict
from powertune.model.gate_rules import SEVERITIES
from powertune.model.json_node import RunFileError
from powertune.model.judgement import CHECK_RESULTS, OUTCOMES, GateResult
from powertune.report import render_gate

MODEL = resources.files("powertune.model")
RUN, SCHEMA = (
    json.loads(MODEL.joinpath(name).read_text(encoding="utf-8")) for name in ("run-1.schema.json", "gate-1.schema.json")
)
VALIDATOR = Draft202012Validator(
    SCHEMA, registry=Registry().with_resource("run-1.schema.json", Resource.from_contents(RUN))
)
ALL = {**RESULTS, "hostile": hostile}


def without_invocations(result: GateResult) -> GateResult:
    judgements = (
        replace(judgement, run=judgement.run and replace(judgement.run, invocations=()))
        for judgement in result.judgements
    )
    return replace(result, judgements=tuple(judgements))


@pytest.mark.parametrize("result", ALL)
def test_a_gate_file_is_valid_against_the_schema_that_ships(result: str) -> None:
    VALIDATOR.validate(json.loads(render_gate(ALL[result](), "json")))


def test_the_schema_itself_is_valid() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_knows_the_same_words_as_the_nouns() -> None:
    check = SCHEMA["$defs"]["check"]["properties"]
    assert tuple(SCHEMA["$defs"]["judgement"]["properties"]["outcome"]["enum"]) == OUTCOMES
    assert (tuple(check["result"]["enum"]), tuple(check["severity"]["enum"])) == (CHECK_RESULTS, SEVERITIES)


@pytest.mark.parametrize("result", ALL)
def test_what_was_written_is_read_back(result: str) -> None:
    written = json.loads(render_gate(ALL[result](), "json"))
    assert from_dict(written) == without_invocations(ALL[result]())


@pytest.mark.parametrize("format_name", ["table", "markdown", "junit", "sarif", "github", "gitlab", "csv"])
def test_a_saved_result_reads_the_same_in_every_format(format_name: str) -> None:
    saved = from_dict(json.loads(render_gate(mixed(), "json")))
    assert render_gate(saved, format_name) == render_gate(mixed(), format_name)


def test_keys_that_a_later_version_adds_are_passed_over() -> None:
    document = to_dict(mixed())
    document["added"] = document["judgements"][0]["added"] = document["judgements"][0]["checks"][0]["added"] = 1
    assert from_dict(document) == without_invocations(mixed())


def test_a_file_of_a_newer_layout_is_refused() -> None:
    with pytest.raises(RunFileError, match=r"schema_version 2; this powertune reads version 1.*newer"):
        from_dict({**to_dict(mixed()), "schema_version": 2})


@pytest.mark.parametrize(
    ("keys", "value", "complaint"),
    [
        (("judgements", 0, "outcome"), "fine", "'outcome' should be one of optimized"),
        (("judgements", 0, "checks", 0, "result"), "passed", "'result' should be one of pass"),
        (("judgements", 0, "checks", 0, "fails_gate"), "no", "'fails_gate' should be true or false"),
        (("judgements", 0, "checks", 1, "waiver", "until"), "soon", "'until' should be a date"),
        (("judgements", 0, "place", "line"), -1, "'line' should be a count"),
        (("judgements", 0, "run", "sizes"), None, "'sizes' should be a list"),
        (("warnings",), {}, "'warnings' should be a list"),
    ],
)
def test_what_is_off_is_named_with_its_place(keys: tuple[str | int, ...], value: object, complaint: str) -> None:
    document = json.loads(render_gate(mixed(), "json"))
    node = document
    for key in keys[:-1]:
        node = node[key]
    node[keys[-1]] = value
    with pytest.raises(RunFileError, match=complaint):
        from_dict(document)
