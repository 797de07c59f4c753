"""Whatever functions, files and errors are called, no report steers a terminal, page, log or parser."""

import csv
import io
import json
import re
import unicodedata
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from gate_results import HOSTILE, run
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from published_schemas import validate

from powertune.comparing import compare_runs
from powertune.model.budgets import Waiver
from powertune.model.configured import Place
from powertune.model.gate_file import from_dict
from powertune.model.gate_rules import SEVERITIES
from powertune.model.judgement import CHECK_RESULTS, OUTCOMES, Check, GateResult, Judgement
from powertune.model.run_warning import RunWarning
from powertune.model.tuning_run import TuningRun
from powertune.report import Style, github, render, render_comparison, render_gate

FRAGMENTS = (
    "::error::x", "%0A::stop-commands::t", "\n::set-output name=a::b", "\r", "##[group]x", "##vso[task.x]",
    "\x1b[31m", "\x9b2J", "\x00", "\x07", "\u202e", "\u2028", "\u200b", "\ud800", "\udcff", "\ufffe", "\uffff",
    "</details>", "<details open>", "<script>", "<!--", "-->", "]]>", "<a href=x>", "&lt;", "&#64;", "&",
    "[x](javascript:alert(1))", "![i](//e)", "[r]: http://e", "http://e.example", "www.e.example", "<http://e>",
    "a@b.c", "@everyone", "#1", "!2", "~3", "GH-4", "`", "```", "~~~", "*", "**", "_", "~~", "\\", "|", "\\|", "# h",
    "- i", "1. l", "> q", "---", "===", "    c", "\t", '"', "'", ",", ":", ";", "%", "=1+1", "../", "/", "C:\\x", " ",
    "é", "日本",
)  # fmt: skip
UNSAFE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Categories of characters that steer a terminal, or hide or turn text."""
texts = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=8), max_size=12).map("".join) | st.just("x" * 3000)
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
RUN = replace(run("Reports", {1024: 690.1, 1769: 402.0, 3008: 400.0}, 3008), invocations=())
judgements = st.builds(
    Judgement,
    function=texts,
    outcome=st.sampled_from(OUTCOMES),
    current_memory_mb=st.sampled_from([None, 1024, 3008]),
    recommended_memory_mb=st.sampled_from([None, 1769]),
    checks=st.lists(checks, max_size=3).map(lambda found: tuple(map(failing, found))),
    place=st.none() | st.builds(Place, texts.filter(bool), st.integers(1, 10_000)),
    run=texts.map(lambda name: replace(RUN, function=replace(RUN.function, name=name), source={"kind": name})),
)
results = st.builds(
    GateResult,
    judgements=st.lists(judgements, max_size=4).map(tuple),
    warnings=st.lists(st.builds(RunWarning, texts, texts, texts), max_size=2).map(tuple),
    next_command=texts,
)
PLAIN = Check("max-p95", "fail", "error", HOSTILE, fails_gate=True, hint=HOSTILE, unit=HOSTILE)
WORST = GateResult((Judgement(HOSTILE, "inconclusive", None, 1769, (PLAIN,), Place(HOSTILE, 1)),), (), HOSTILE)


runs = st.builds(
    lambda name, words, warning: replace(
        RUN,
        function=replace(RUN.function, name=name, architecture=words),
        source={"kind": words, "qualifier": name},
        created_at=words,
        pricing=replace(RUN.pricing, region=name, as_of=words),
        recommendation=replace(RUN.recommendation, reasons=(words,), alternatives=(name,)),
        sizes=(replace(RUN.sizes[0], status="failed", reason=words), *RUN.sizes[1:]),
        warnings=(RunWarning(*warning),),
    ),
    texts,
    texts,
    st.tuples(texts, texts, texts),
)


def failing(check: Check) -> Check:
    """Return the check with the mark that the gate would give it."""
    return replace(check, fails_gate=check.result == "fail" and check.severity == "error" and not check.waiver)


def assert_inert(rendered: str) -> None:
    """Assert that neither a terminal nor the log of a CI job would obey anything but colours and line breaks."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", rendered)
    for line in plain.split("\n"):
        assert not {unicodedata.category(char) for char in line} & UNSAFE, line
        assert not line.lstrip().startswith("::"), line
        assert not re.search(r"##\w*\[", line), line


def tags_of(markdown: str) -> list[str]:
    """Return the tags of the page that markdown makes, after a look for those that we never make."""
    assert not re.search(r"https?://|www\.\w", markdown)
    assert not re.search(r"[@#!~]\w|\bGH-\d", re.sub(r"\\(\W)", r"\1", markdown))
    page = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown)
    tags: list[str] = re.findall(r"<(/?[a-z0-9]+)", re.sub(r"<!--.*?-->", "", page, flags=re.DOTALL))
    own = {"p", "strong", "em", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "blockquote", "details"}
    assert {tag.lstrip("/") for tag in tags} <= own | {"summary"}
    return tags


@pytest.mark.parametrize("style", [Style(80), Style(56, color=True), Style(80, ascii_only=True)])
@settings(max_examples=25)
@given(result=results)
@example(result=WORST)
def test_the_table_steers_neither_terminal_nor_log(style: Style, result: GateResult) -> None:
    assert_inert(render_gate(result, "table", style))


@settings(max_examples=25)
@given(result=results)
@example(result=WORST)
def test_markdown_holds_no_tag_link_or_mention_but_its_own(result: GateResult) -> None:
    rendered = render_gate(result, "markdown")
    assert len(rendered.encode()) <= Style().most_bytes
    tags = tags_of(rendered)
    assert tags.count("details") == tags.count("/details") <= 1
    assert tags.count("tr") == (len(result.judgements) + 1 if result.judgements else 0)
    assert rendered.startswith("<!-- powertune:gate -->\n**")


@settings(max_examples=25)
@given(result=results)
@example(result=WORST)
def test_junit_is_valid_and_has_a_case_for_each_check(result: GateResult) -> None:
    rendered = render_gate(result, "junit")
    validate("junit", rendered)
    root = ET.fromstring(rendered)  # noqa: S314 - made by us just now
    assert len(root.findall(".//testcase")) == sum(len(judgement.checks) for judgement in result.judgements)


@settings(max_examples=25)
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


@settings(max_examples=25)
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
        assert not {unicodedata.category(char) for char in line} & UNSAFE, line


@settings(max_examples=25)
@given(result=results, report_path=texts)
def test_outputs_for_github_are_the_four_that_are_documented(result: GateResult, report_path: str) -> None:
    lines = github.outputs(result, report_path).split("\n")
    names = []
    while lines != [""]:
        name, end = lines.pop(0).split("<<")
        names.append(name)
        del lines[: lines.index(end) + 1]
    assert names == ["recommended-memory", "finding", "savings-pct", "report-path"]


@settings(max_examples=25)
@given(result=results)
@example(result=WORST)
def test_csv_has_a_row_for_each_check_and_no_formula(result: GateResult) -> None:
    head, *rows = csv.reader(io.StringIO(render_gate(result, "csv")))
    assert len(rows) == sum(len(judgement.checks) for judgement in result.judgements)
    words = [head.index(name) for name in ("function", "rule", "unit", "message", "hint", "waiver_reason", "file")]
    assert not any(row[column].startswith(("=", "+", "-", "@", "::")) for row in rows for column in words)
    assert all(len(row) == len(head) for row in rows)


@settings(max_examples=25)
@given(result=results)
def test_a_gate_file_is_read_back_as_it_was_written(result: GateResult) -> None:
    kept = [
        replace(judgement, run=judgement.run and replace(judgement.run, invocations=()))
        for judgement in result.judgements
    ]
    assert from_dict(json.loads(render_gate(result, "json"))) == replace(result, judgements=tuple(kept))


@settings(max_examples=25)
@given(one=runs)
def test_a_page_holds_no_tag_or_attribute_but_its_own(one: TuningRun) -> None:
    page = render(one, "html")
    own, found = Tags(), Tags()
    own.feed(render(RUN, "html"))
    found.feed(page)
    assert set(found.tags) <= set(own.tags) | {"strong"}
    assert found.attributes <= own.attributes
    assert found.tags.count("title") == 1 + 2 * (len(RUN.sizes) - 1)
    assert not {unicodedata.category(char) for char in page.replace("\n", "")} & UNSAFE


class Tags(HTMLParser):
    """Collects the tags of a page, and the names of their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}


@settings(max_examples=25)
@given(before=st.lists(runs, min_size=1, max_size=3), after=st.lists(runs, min_size=1, max_size=3))
def test_a_comparison_steers_neither_terminal_nor_log_nor_page(before: list[TuningRun], after: list[TuningRun]) -> None:
    found = compare_runs(before, after)
    assert_inert(render_comparison(found, "table"))
    tags = tags_of(render_comparison(found, "markdown"))
    assert tags.count("table") == len(found.functions)
    assert json.loads(render_comparison(found, "json"))["kind"] == "comparison"
