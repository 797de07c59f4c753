"""Whatever functions, files and errors are called, a gate result steers no terminal, page, log or parser."""

import csv
import io
import json
import re
import unicodedata
from dataclasses import replace
from datetime import date
from xml.etree import ElementTree as ET

import pytest
from gate_results import HOSTILE, mixed
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from published_schemas import validate

from powertune.model.budgets import Waiver
from powertune.model.configured import Place
from powertune.model.gate_file import from_dict
from powertune.model.judgement import CHECK_RESULTS, OUTCOMES, SEVERITIES, Check, GateResult, Judgement
from powertune.model.run_warning import RunWarning
from powertune.report import Style, github, render_gate

FRAGMENTS = (
    "::error::x", "%0A::stop-commands::t", "\n::set-output name=a::b", "\r", "##[group]x", "##vso[task.x]",
    "\x1b[31m", "\x9b2J", "\x00", "\x07", "\u202e", "\u2028", "\u200b", "\ud800", "\udcff", "\ufffe", "\uffff",
    "</details>", "<details open>", "<script>", "<!--", "-->", "]]>", "<a href=x>", "&lt;", "&#64;", "&",
    "[x](javascript:alert(1))", "![i](//e)", "[r]: http://e", "http://e.example", "www.e.example", "<http://e>",
    "a@b.c", "@everyone", "#1", "!2", "~3", "GH-4", "`", "```", "~~~", "*", "**", "_", "~~", "\\", "|", "\\|", "# h",
    "- i", "1. l", "> q", "---", "===", "    c", "\t", '"', "'", ",", ":", ";", "%", "=1+1", "../", "/", "C:\\x", " ",
    "é", "日本",
)  # fmt: skip
texts = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=8), max_size=12).map("".join) | st.just("x" * 70_000)
waivers = st.builds(Waiver, texts, texts, texts, st.dates(date(2026, 1, 1), date(2030, 1, 1)))
checks = st.builds(
    Check,
    rule=texts | st.sampled_from(["over-provisioned", "max-p95"]),
    result=st.sampled_from(CHECK_RESULTS),
    severity=st.sampled_from(SEVERITIES),
    message=texts,
    measured=st.none() | st.floats(-1e6, 1e6),
    unit=texts,
    hint=texts,
    waiver=st.none() | waivers,
)
RUN = mixed().judgements[0].run
judgements = st.builds(
    Judgement,
    function=texts,
    outcome=st.sampled_from(OUTCOMES),
    current_memory_mb=st.sampled_from([None, 1024, 3008]),
    recommended_memory_mb=st.sampled_from([None, 1769]),
    checks=st.lists(checks, max_size=3).map(lambda found: tuple(map(failing, found))),
    place=st.none() | st.builds(Place, texts.filter(bool), st.integers(1, 10_000)),
    run=texts.map(lambda name: RUN and replace(RUN, function=replace(RUN.function, name=name), source={"kind": name})),
)
results = st.builds(
    GateResult,
    judgements=st.lists(judgements, max_size=4).map(tuple),
    warnings=st.lists(st.builds(RunWarning, texts, texts, texts), max_size=2).map(tuple),
    next_command=texts,
)
PLAIN = Check("max-p95", "fail", "error", HOSTILE, fails_gate=True, hint=HOSTILE, unit=HOSTILE)
WORST = GateResult((Judgement(HOSTILE, "inconclusive", None, 1769, (PLAIN,), Place(HOSTILE, 1)),), (), HOSTILE)


def failing(check: Check) -> Check:
    """Return the check with the mark that the gate would give it."""
    return replace(check, fails_gate=check.result == "fail" and check.severity == "error" and not check.waiver)


def assert_inert(rendered: str) -> None:
    """Assert that neither a terminal nor the log of a CI job would obey anything but colours and line breaks."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", rendered)
    for line in plain.split("\n"):
        assert not {unicodedata.category(char) for char in line} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}, line
        assert not line.lstrip().startswith("::"), line
        assert not re.search(r"##\w*\[", line), line


@pytest.mark.parametrize("style", [Style(80), Style(56, color=True), Style(80, ascii_only=True)])
@given(result=results)
@example(result=WORST)
def test_the_table_steers_neither_terminal_nor_log(style: Style, result: GateResult) -> None:
    assert_inert(render_gate(result, "table", style))


@given(result=results)
@example(result=WORST)
def test_markdown_holds_no_tag_link_or_mention_but_its_own(result: GateResult) -> None:
    rendered = render_gate(result, "markdown")
    assert len(rendered.encode()) <= Style().most_bytes
    page = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(rendered)
    tags = re.findall(r"<(/?[a-z0-9]+)", re.sub(r"<!--.*?-->", "", page, flags=re.DOTALL))
    own = {"p", "strong", "em", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "blockquote", "details"}
    assert {tag.lstrip("/") for tag in tags} <= own | {"summary"}
    assert tags.count("details") == tags.count("/details") <= 1
    assert tags.count("tr") == (len(result.judgements) + 1 if result.judgements else 0)
    assert not re.search(r"https?://|www\.\w", rendered)
    assert not re.search(r"[@#!~]\w|\bGH-\d", re.sub(r"\\(\W)", r"\1", rendered))
    assert rendered.startswith("<!-- powertune:gate -->\n**")


@given(result=results)
@example(result=WORST)
def test_junit_is_valid_and_has_a_case_for_each_check(result: GateResult) -> None:
    rendered = render_gate(result, "junit")
    validate("junit", rendered)
    root = ET.fromstring(rendered)  # noqa: S314 - made by us just now
    assert len(root.findall(".//testcase")) == sum(len(judgement.checks) for judgement in result.judgements)


@given(result=results)
@example(result=WORST)
def test_sarif_and_gitlab_are_valid_and_show_each_finding_that_has_a_place(result: GateResult) -> None:
    shown = sum(len(judgement.findings) for judgement in result.judgements if judgement.place)
    for format_name in ("sarif", "gitlab"):
        rendered = render_gate(result, format_name)
        assert rendered.isascii()
        validate(format_name, rendered)
    found = json.loads(render_gate(result, "gitlab"))
    assert len(found) == len({one["fingerprint"] for one in found}) == shown
    assert len(json.loads(render_gate(result, "sarif"))["runs"][0]["results"]) == shown


@given(result=results)
@example(result=WORST)
def test_github_gets_one_command_a_line_and_none_but_its_own(result: GateResult) -> None:
    rendered = render_gate(result, "github")
    *annotations, headline = rendered.removesuffix("\n").split("\n")
    assert re.match(r"\d|All|The|No", headline)
    for line in annotations:
        command = re.fullmatch(r"::(error|warning|notice) ([^:]*)::(.*)", line)
        assert command, line
        named = dict(part.split("=", 1) for part in command[2].split(","))
        assert set(named) <= {"file", "line", "title"}
        assert not {unicodedata.category(char) for char in line} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}, line


@given(result=results, report_path=texts)
def test_outputs_for_github_are_the_four_that_are_documented(result: GateResult, report_path: str) -> None:
    lines = github.outputs(result, report_path).split("\n")
    names = []
    while lines != [""]:
        name, end = lines.pop(0).split("<<")
        names.append(name)
        del lines[: lines.index(end) + 1]
    assert names == ["recommended-memory", "finding", "savings-pct", "report-path"]


@given(result=results)
@example(result=WORST)
def test_csv_has_a_row_for_each_check_and_no_formula(result: GateResult) -> None:
    head, *rows = csv.reader(io.StringIO(render_gate(result, "csv")))
    assert len(rows) == sum(len(judgement.checks) for judgement in result.judgements)
    words = [head.index(name) for name in ("function", "rule", "unit", "message", "hint", "waiver_reason", "file")]
    assert not any(row[column].startswith(("=", "+", "-", "@", "::")) for row in rows for column in words)
    assert all(len(row) == len(head) for row in rows)


@given(result=results)
def test_a_gate_file_is_read_back_as_it_was_written(result: GateResult) -> None:
    kept = [
        replace(judgement, run=judgement.run and replace(judgement.run, invocations=()))
        for judgement in result.judgements
    ]
    assert from_dict(json.loads(render_gate(result, "json"))) == replace(result, judgements=tuple(kept))
