"""Formats of a gate result: valid by their published schemas, findings at their lines, worst first, within limits."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import xmlschema
from gate_results import RESULTS, hostile, large, mixed, passing
from published_schemas import validate

from powertune.errors import UsageError
from powertune.model.configured import Place
from powertune.model.gate_rules import SEVERITY_OF
from powertune.model.judgement import Check, GateResult, Judgement
from powertune.report import FORMATS, GATE_FORMATS, Style, check_format, format_of, github, render_gate
from powertune.report.gate_markdown import mark
from powertune.report.rules import RULES
from powertune.report.verdicts import findings

PUBLISHED = ("sarif", "gitlab", "junit")
ALL: dict[str, Callable[[], GateResult]] = {**RESULTS, "hostile": hostile, "large": partial(large, 50)}


@pytest.mark.parametrize("format_name", PUBLISHED)
@pytest.mark.parametrize("result", ALL)
def test_a_report_is_valid_by_the_published_schema_of_its_format(result: str, format_name: str) -> None:
    validate(format_name, render_gate(ALL[result](), format_name))


@pytest.mark.parametrize(
    ("format_name", "broken"),
    [
        ("sarif", lambda rendered: rendered.replace('"startLine": 12', '"startLine": 0')),
        ("gitlab", lambda rendered: rendered.replace('"begin": 12', '"begin": 0')),
        ("junit", lambda rendered: rendered.replace('name="Orders" tests="4"', 'name="Orders"')),
    ],
)
def test_the_published_schemas_refuse_what_is_wrong(format_name: str, broken: Callable[[str], str]) -> None:
    rendered = render_gate(mixed(), format_name)
    damaged = broken(rendered)
    assert damaged != rendered
    with pytest.raises((jsonschema.ValidationError, xmlschema.XMLSchemaValidationError)):
        validate(format_name, damaged)


# --- SARIF ---


def test_sarif_shows_each_finding_at_the_line_of_the_memory_size() -> None:
    results = json.loads(render_gate(mixed(), "sarif"))["runs"][0]["results"]
    places = [
        (one["ruleId"], location["artifactLocation"]["uri"], location["region"]["startLine"])
        for one in results
        for location in [one["locations"][0]["physicalLocation"]]
    ]
    assert places == [
        ("under-provisioned", "services/orders/template.yaml", 12),
        ("max-p95", "services/orders/template.yaml", 12),
        ("over-provisioned", "services/reports/template.yaml", 40),
        ("max-usd-per-million", "services/reports/template.yaml", 40),
    ]


def test_sarif_says_which_findings_have_no_line_to_show() -> None:
    run = json.loads(render_gate(mixed(), "sarif"))["runs"][0]
    told = [note["message"]["text"] for note in run["invocations"][0]["toolExecutionNotifications"]]
    assert told[0].startswith("Imports: KeyError")
    assert "--template" in told[0]
    assert [words.split(";")[0] for words in told[1:]] == ["the waiver of max-memory for Legacy waives nothing"]


def test_sarif_has_every_rule_with_help_and_each_result_points_at_its_own() -> None:
    run = json.loads(render_gate(mixed(), "sarif"))["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert [one["id"] for one in rules] == list(RULES)
    assert all(one["help"]["text"] for one in rules)
    assert all(rules[one["ruleIndex"]]["id"] == one["ruleId"] for one in run["results"])


def test_every_rule_of_the_gate_is_explained_and_no_other() -> None:
    assert set(RULES) == set(SEVERITY_OF)


def test_a_waived_finding_is_suppressed_in_sarif_with_the_reason_given() -> None:
    results = json.loads(render_gate(mixed(), "sarif"))["runs"][0]["results"]
    suppressed = {one["ruleId"]: one["suppressions"] for one in results if "suppressions" in one}
    assert list(suppressed) == ["max-usd-per-million"]
    assert "ticket 1204" in suppressed["max-usd-per-million"][0]["justification"]


def test_a_path_with_blanks_and_other_letters_is_a_valid_uri_in_sarif() -> None:
    result = at(Place("my stacks/täglich: 100%.yaml", 3))
    location = json.loads(render_gate(result, "sarif"))["runs"][0]["results"][0]["locations"][0]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "my%20stacks/t%C3%A4glich%3A%20100%25.yaml"


# --- fingerprints ---


def at(place: Place | None, *rules: str, message: str = "too small", function: str = "Orders") -> GateResult:
    """Return a result of one function with a failed check for each rule."""
    checks = tuple(Check(rule, "fail", "error", message, fails_gate=True) for rule in rules or ("under-provisioned",))
    return GateResult((Judgement(function, "under-provisioned", 256, 512, checks, place),))


def test_a_finding_keeps_its_fingerprint_when_its_line_and_its_figures_change() -> None:
    before = findings(at(Place("a.yaml", 3), message="512 MB is 40 % faster"))
    after = findings(at(Place("a.yaml", 90), message="512 MB is 41 % faster"))
    assert before[0].fingerprint == after[0].fingerprint


def test_other_files_functions_and_rules_have_other_fingerprints() -> None:
    results = (
        at(Place("a.yaml", 3)),
        at(Place("b.yaml", 3)),
        at(Place("a.yaml", 3), "max-p95"),
        at(Place("a.yaml", 3), function="Reports"),
    )
    assert len({findings(result)[0].fingerprint for result in results}) == len(results)


def test_findings_of_the_same_rule_have_fingerprints_of_their_own() -> None:
    found = findings(at(Place("a.yaml", 3), "fail-if", "fail-if", "fail-if"))
    assert len({one.fingerprint for one in found}) == 3


# --- GitHub ---


def test_github_shows_ten_errors_and_counts_the_others() -> None:
    lines = render_gate(large(60), "github").splitlines()
    assert sum(line.startswith("::error ") for line in lines) == 10
    assert "10 more errors in the summary of the job" in lines


def test_an_annotation_is_at_its_line_with_its_severity() -> None:
    lines = render_gate(mixed(), "github").splitlines()
    assert [re.match(r"::(\w+) (?:file=([^,]*),line=(\d+),)?", line).groups() for line in lines[:-1]] == [  # type: ignore[union-attr] # each matches
        ("error", "services/orders/template.yaml", "12"),
        ("error", "services/orders/template.yaml", "12"),
        ("error", None, None),
        ("warning", "services/reports/template.yaml", "40"),
        ("warning", None, None),
        ("notice", "services/reports/template.yaml", "40"),
    ]


def parsed_outputs(written: str) -> dict[str, str]:
    """Return outputs as GitHub reads them: `name<<end`, lines of the value, the end."""
    lines = written.split("\n")
    found: dict[str, str] = {}
    while lines and lines[0]:
        name, end = lines.pop(0).split("<<", 1)
        until = lines.index(end)
        found[name] = "\n".join(lines[:until])
        del lines[: until + 1]
    return found


def test_the_outputs_of_one_function_are_plain_values() -> None:
    assert parsed_outputs(github.outputs(passing(), "gate.md")) == {
        "recommended-memory": "512",
        "finding": "",
        "savings-pct": "0",
        "report-path": "gate.md",
    }


def test_the_outputs_of_several_functions_are_objects_and_name_the_worst_finding() -> None:
    found = parsed_outputs(github.outputs(mixed()))
    assert json.loads(found["recommended-memory"]) == {
        "Reports": 1769, "Orders": 1024, "Thumbnails": 512, "Imports": None,
    }  # fmt: skip
    assert found["finding"] == "under-provisioned"
    assert json.loads(found["savings-pct"])["Reports"] == pytest.approx(40, abs=1)


def test_a_value_of_many_lines_cannot_end_an_output_early_or_add_another() -> None:
    evil = "x\nend-0\nEOF\nfinding<<EOF\npwned\nEOF"
    assert parsed_outputs(github.outputs(passing(), evil))["report-path"] == evil
    assert parsed_outputs(github.outputs(passing(), evil))["finding"] == ""


# --- GitLab ---


def test_gitlab_gets_each_finding_once_with_a_severity_by_what_it_does_to_the_gate() -> None:
    found = json.loads(render_gate(mixed(), "gitlab"))
    assert [(one["check_name"], one["severity"], one["location"]["lines"]["begin"]) for one in found] == [
        ("under-provisioned", "major", 12),
        ("max-p95", "major", 12),
        ("over-provisioned", "minor", 40),
        ("max-usd-per-million", "info", 40),
    ]


# --- JUnit ---


def test_junit_has_a_suite_for_each_function_and_a_case_for_each_check() -> None:
    root = ET.fromstring(render_gate(mixed(), "junit"))  # noqa: S314 - made by us just now
    assert {suite.get("name"): len(suite.findall("testcase")) for suite in root} == {
        "Reports": 2, "Orders": 4, "Thumbnails": 2, "Imports": 1,
    }  # fmt: skip
    assert [root.get(name) for name in ("tests", "failures")] == ["9", "3"]
    assert len(root.findall(".//failure")) == 3
    assert len(root.findall(".//skipped")) == 3


def test_what_does_not_fail_the_gate_does_not_fail_in_junit_and_says_why() -> None:
    root = ET.fromstring(render_gate(mixed(), "junit"))  # noqa: S314 - made by us just now
    reasons = [skipped.get("message", "").split(":")[0] for skipped in root.findall(".//skipped")]
    assert reasons == ["does not fail the gate", "waived until 2027-01-31", "undecided"]


# --- markdown ---


@pytest.mark.parametrize("count", [1, 700, 5000])
@pytest.mark.parametrize("most_bytes", [60_000, 1_000_000])
def test_markdown_stays_within_its_limit_and_says_how_many_functions_it_left_out(count: int, most_bytes: int) -> None:
    result = large(count)
    rendered = render_gate(result, "markdown", Style(most_bytes=most_bytes))
    shown = len(re.findall(r"^\| (?:\*\*fails\*\*|passes) \|", rendered, re.MULTILINE))
    left_out = re.search(r"^([\d,]+) functions more are not shown here\.$", rendered, re.MULTILINE)
    assert len(rendered.encode()) <= most_bytes
    assert shown + (int(left_out[1].replace(",", "")) if left_out else 0) == count
    assert shown > 250 or shown == count
    assert f"**{(count + 2) // 3:,} of {count:,} functions" in rendered or count == 1


def test_markdown_keeps_its_mark_and_its_headline_however_little_room_there_is() -> None:
    rendered = render_gate(mixed(), "markdown", Style(most_bytes=0, name="checkout"))
    assert rendered.startswith("<!-- powertune:checkout -->\n**2 of 4 functions fail**\n")
    assert "4 functions more are not shown here." in rendered
    assert "|" not in rendered


def test_functions_that_fail_stand_first_and_are_left_out_last() -> None:
    rendered = render_gate(large(3000), "markdown")
    states = re.findall(r"^\| (\*\*fails\*\*|passes) \|", rendered, re.MULTILINE)
    assert set(states) == {"**fails**"}


def test_details_are_folded_and_there_are_some_of_them_even_where_the_table_is_cut() -> None:
    rendered = render_gate(large(3000), "markdown")
    details = rendered.split("<details>")[1].split("</details>")[0]
    shown = len(re.findall(r"^- fails", details, re.MULTILINE))
    assert shown > 50
    assert f"Details of {3000 - shown:,} functions more are left out here." in details


@pytest.mark.parametrize("name", ["a--b", "--> <script>", "-", "", "x" * 1000, "a\nb", "ä"])
def test_no_name_ends_the_hidden_mark_early(name: str) -> None:
    assert re.fullmatch(r"<!-- powertune:[A-Za-z0-9_.]+(?:-[A-Za-z0-9_.]+)* -->", mark(name))


# --- the table ---


def test_the_table_ends_in_the_command_to_run_next() -> None:
    assert render_gate(mixed(), "table").splitlines()[-1] == "Next: powertune apply gate.json"


def test_a_function_whose_size_is_unknown_has_no_figures_and_is_still_shown() -> None:
    unresolved = Judgement("Orders", "inconclusive", None, 512, (), Place("a.yaml", 2))
    assert "? -> 512 MB" in render_gate(GateResult((unresolved,)), "table")


def test_the_change_is_worked_out_where_the_run_recommends_another_size_than_the_gate() -> None:
    orders = mixed().judgements[1]
    judgement = replace(orders, recommended_memory_mb=512, checks=orders.checks[1:])
    assert "256 -> 512 MB: 821 ms -> 409 ms (-50 %)" in render_gate(GateResult((judgement,)), "table")


def test_what_a_finding_tells_of_the_size_is_not_told_twice() -> None:
    rendered = render_gate(mixed(), "table")
    assert rendered.count("821") == 1
    assert rendered.count("3008 → 1769 MB: 399 → 401 ms") == 1


def test_in_ascii_arrows_and_signs_have_their_usual_stand_ins_and_no_line_is_wider_for_it() -> None:
    lines = render_gate(mixed(), "table", Style(80, ascii_only=True)).splitlines()
    assert any("3008 -> 1769 MB: 399 -> 401 ms" in line for line in lines)
    assert any("(+-4.0 %)" in line for line in lines)
    assert max(map(len, lines)) <= 80


# --- the registry ---


@pytest.mark.parametrize(
    ("path", "format_name"),
    [
        ("gate.json", "json"),
        ("gl-code-quality-report.gitlab.json", "gitlab"),
        ("gate.sarif", "sarif"),
        ("gate.sarif.json", "sarif"),
        ("JUNIT.XML", "junit"),
        ("comment.md", "markdown"),
        ("gate.txt", "table"),
    ],
)
def test_the_suffix_of_a_file_stands_for_a_format_of_the_gate(path: str, format_name: str) -> None:
    assert format_of(path, GATE_FORMATS) == format_name


def test_a_format_of_the_other_kind_says_what_it_is_a_format_of() -> None:
    with pytest.raises(UsageError, match="sarif is a format of other results"):
        check_format("sarif")
    with pytest.raises(UsageError, match="alpt is a format of other results"):
        check_format("alpt", GATE_FORMATS)


@pytest.mark.parametrize("path", ["gate.sarif", "gate.gitlab.json", "gate.xml"])
def test_a_run_is_not_written_in_a_format_of_the_gate(path: str) -> None:
    if path.endswith(".json"):
        assert format_of(path, FORMATS) == "json"
        return
    with pytest.raises(UsageError, match="does not end in a format"):
        format_of(path, FORMATS)


def _told(function: str, *results: Literal["pass", "unknown"]) -> Judgement:
    checks = [Check("max-p95", result, "error", "as measured") for result in results]
    return Judgement(function, "insufficient-data", None, None, tuple(checks))


@pytest.mark.parametrize(
    ("judgements", "headline"),
    [
        ([_told("a", "unknown")], "The function could not be judged"),
        ([_told("a", "unknown"), _told("b", "unknown")], "None of 2 functions could be judged"),
        ([_told("a", "pass", "unknown"), _told("b", "unknown")], "1 of 2 functions passes, 1 could not be judged"),
        ([_told("a", "pass"), _told("b", "pass", "unknown")], "All 2 functions pass"),
    ],
)
def test_what_could_not_be_judged_is_not_said_to_pass(judgements: list[Judgement], headline: str) -> None:
    result = GateResult(tuple(judgements))
    for format_name in ("table", "markdown", "github"):
        assert headline in render_gate(result, format_name, Style(width=80))
