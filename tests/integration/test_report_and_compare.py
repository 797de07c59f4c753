"""`powertune report` and `powertune compare`: saved files in, any format out, nothing measured or judged anew."""

import base64
import csv
import hashlib
import io
import json
import re
import subprocess
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from gate_results import HOSTILE, hostile, mixed, passing, run
from published_schemas import validate

from powertune.cli.main import main
from powertune.errors import ExitCode
from powertune.report import render_gate

BEFORE = {256: 822.4, 512: 409.3, 1024: 204.6}
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def powertune(capfd: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process and return its exit code, standard output and standard error."""

    def command(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(arguments)
        return (code, *capfd.readouterr())

    return command


@cache
def contents() -> dict[str, str]:
    """Return files with runs and gate results."""
    orders, reports = run("Orders", BEFORE, 512), run("Reports", BEFORE, 256)
    return {
        "orders.json": orders.to_json(),
        "reports.json": reports.to_json(),
        "both.json": json.dumps([orders.to_dict(), reports.to_dict()]),
        "slower.json": run("Orders", {size: 1.5 * ms for size, ms in BEFORE.items()}, 512).to_json(),
        "gate.json": render_gate(mixed(), "json"),
        "passing.json": render_gate(passing(), "json"),
        "hostile.json": render_gate(hostile(), "json"),
        "hostile-run.json": run(HOSTILE, BEFORE, 512).to_json(),
    }


@pytest.fixture
def saved(tmp_path: Path) -> dict[str, str]:
    """Save runs and gate results, and return their names."""
    files = contents()
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    return {name.removesuffix(".json"): name for name in files}


# --- runs ---


def test_a_saved_run_reads_as_it_did_when_it_was_made(powertune: Command, saved: dict[str, str]) -> None:
    code, out, err = powertune("report", saved["orders"])
    assert (code, err) == (0, "")
    assert "Orders, x86_64, eu-west-1" in out
    assert "Recommended for balanced: 1024 MB" in out


def test_json_of_a_saved_run_is_the_saved_run(powertune: Command, saved: dict[str, str], tmp_path: Path) -> None:
    shown = powertune("report", saved["orders"], "-f", "json")[1]
    assert json.loads(shown) == json.loads((tmp_path / saved["orders"]).read_text("utf-8"))


@pytest.mark.parametrize("files", [["orders", "reports"], ["both"]])
def test_several_functions_are_one_table_the_one_that_saves_most_first(
    powertune: Command, saved: dict[str, str], files: list[str]
) -> None:
    out = powertune("report", *(saved[name] for name in files), "-f", "csv")[1]
    assert [row["function"] for row in csv.DictReader(io.StringIO(out))] == ["Reports", "Orders"]


def test_one_function_is_chosen_by_name(powertune: Command, saved: dict[str, str]) -> None:
    assert "Reports, x86_64" in powertune("report", saved["both"], "--function", "Reports")[1]
    code, _, err = powertune("report", saved["both"], "--function", "Report")
    assert code == ExitCode.USAGE
    assert "did you mean Reports?" in err


def test_files_are_written_in_the_format_of_their_suffix(
    powertune: Command, saved: dict[str, str], tmp_path: Path
) -> None:
    assert powertune("report", saved["orders"], "-o", "r.html", "-o", "r.md", "-o", "r.csv")[0] == 0
    assert (tmp_path / "r.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    assert (tmp_path / "r.md").read_text("utf-8").startswith("**Recommended")
    assert (tmp_path / "r.csv").read_text("utf-8").startswith("memory_mb,")


def test_a_file_that_is_read_is_not_written_over(powertune: Command, saved: dict[str, str]) -> None:
    code, _, err = powertune("report", saved["orders"], "-o", saved["orders"])
    assert code == ExitCode.USAGE
    assert "both read and written" in err


def test_a_run_from_standard_input_is_reported(
    powertune: Command, saved: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO((tmp_path / saved["orders"]).read_text("utf-8")))
    assert "Recommended for balanced" in powertune("report", "-")[1]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "is no JSON"),
        ("\x00\x01", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "holds no run"),
        ("3", "should be an object"),
        ('{"kind": "gate", "schema_version": 9}', "a newer powertune wrote it"),
        ('{"kind": "gate", "schema_version": 1}', "has no 'judgements'"),
    ],
)
def test_what_is_no_saved_file_is_bad_input(powertune: Command, tmp_path: Path, content: str, complaint: str) -> None:
    (tmp_path / "x.json").write_text(content, encoding="utf-8")
    code, out, err = powertune("report", "x.json")
    assert (code, out) == (ExitCode.BAD_INPUT, "")
    assert complaint in err


def test_a_file_that_is_not_there_is_bad_input(powertune: Command) -> None:
    assert powertune("report", "nowhere.json")[0] == ExitCode.BAD_INPUT


def test_runs_and_gate_results_do_not_mix(powertune: Command, saved: dict[str, str]) -> None:
    assert powertune("report", saved["orders"], saved["gate"])[0] == ExitCode.USAGE


@pytest.mark.parametrize(("file", "format_name"), [("orders", "sarif"), ("gate", "html"), ("gate", "alpt")])
def test_a_format_of_other_results_is_a_usage_error(
    powertune: Command, saved: dict[str, str], file: str, format_name: str
) -> None:
    code, out, err = powertune("report", saved[file], "-f", format_name)
    assert (code, out) == (ExitCode.USAGE, "")
    assert f"{format_name} is a format of other results" in err


# --- gate results ---


@pytest.mark.parametrize("format_name", ["sarif", "gitlab", "junit"])
@pytest.mark.parametrize("file", ["gate", "hostile"])
def test_a_saved_gate_result_is_valid_in_the_formats_of_pipelines(
    powertune: Command, saved: dict[str, str], file: str, format_name: str
) -> None:
    code, out, _ = powertune("report", saved[file], "-f", format_name)
    assert code == 0
    validate(format_name, out)


def test_reporting_a_gate_that_failed_is_no_failure(powertune: Command, saved: dict[str, str]) -> None:
    code, out, err = powertune("report", saved["gate"])
    assert (code, err) == (0, "")
    assert out.startswith("2 of 4 functions fail\n")


def test_results_of_several_jobs_are_one(powertune: Command, saved: dict[str, str]) -> None:
    out = powertune("report", saved["gate"], saved["passing"])[1]
    assert out.startswith("2 of 5 functions fail\n")


@pytest.mark.parametrize("format_name", ["sarif", "gitlab"])
def test_findings_that_a_format_cannot_show_are_told_of(
    powertune: Command, saved: dict[str, str], format_name: str
) -> None:
    err = powertune("report", saved["gate"], "-f", format_name)[2]
    assert f"{format_name} cannot show findings of Imports" in err
    assert powertune("report", saved["gate"], "-f", format_name, "-q")[2] == ""


# --- GitHub ---


def test_github_gets_annotations_the_summary_of_the_job_and_outputs(
    powertune: Command, saved: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    monkeypatch.setenv("GITHUB_OUTPUT", "outputs.txt")
    (tmp_path / "summary.md").write_text("# before\n")
    out = powertune("report", saved["passing"], "-f", "github", "-o", "gate.sarif", "--comment-name", "shop")[1]
    assert out == "The function passes\n"
    summary = (tmp_path / "summary.md").read_text("utf-8")
    assert summary.startswith("# before\n<!-- powertune:shop -->\n**The function passes**\n")
    assert re.search(r"^recommended-memory<<(\S+)\n512\n\1$", (tmp_path / "outputs.txt").read_text(), re.MULTILINE)
    assert re.search(r"^report-path<<(\S+)\ngate.sarif\n\1$", (tmp_path / "outputs.txt").read_text(), re.MULTILINE)


@pytest.mark.parametrize("format_name", ["table", "markdown", "sarif"])
def test_other_formats_leave_the_files_of_github_alone(
    powertune: Command, saved: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_name: str
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    monkeypatch.setenv("GITHUB_OUTPUT", "outputs.txt")
    powertune("report", saved["gate"], "-f", format_name)
    assert not (tmp_path / "summary.md").exists()
    assert not (tmp_path / "outputs.txt").exists()


def test_what_is_in_the_summary_already_takes_room_of_it(
    powertune: Command, saved: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    (tmp_path / "summary.md").write_text("x" * 999_900 + "\n")
    powertune("report", saved["gate"], "-f", "github")
    assert (tmp_path / "summary.md").stat().st_size < 1024 * 1000
    assert "**2 of 4 functions fail**" in (tmp_path / "summary.md").read_text("utf-8")


def test_a_summary_that_cannot_be_written_is_bad_input_and_no_finding(
    powertune: Command, saved: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "no/such/folder.md")
    assert powertune("report", saved["gate"], "-f", "github")[0] == ExitCode.BAD_INPUT


@pytest.mark.parametrize("variable", ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"])
def test_files_are_named_from_the_root_of_the_repository(
    powertune: Command, saved: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "gate.json").write_text((tmp_path / saved["passing"]).read_text("utf-8"))
    content = (tmp_path / saved["gate"]).read_text("utf-8").replace("services/orders/template.yaml", "../a/./t.yaml")
    (tmp_path / "deploy" / "gate.json").write_text(content, encoding="utf-8")
    monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.chdir(tmp_path / "deploy")
    gitlab = json.loads(powertune("report", "gate.json", "-f", "gitlab")[1])
    assert {one["location"]["path"] for one in gitlab} == {"a/t.yaml", "deploy/services/reports/template.yaml"}
    assert "file=a/t.yaml,line=12" in powertune("report", "gate.json", "-f", "github")[1]
    assert "../a/./t.yaml:12" in powertune("report", "gate.json")[1]


# --- HTML ---


class Page(HTMLParser):
    """Collects tags and attributes of a page."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: dict[str, set[str]] = {}
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, set()).add(value or "")


@pytest.mark.parametrize("files", [["orders"], ["hostile-run"], ["hostile-run", "both"]])
def test_a_page_stands_alone_and_runs_nothing(powertune: Command, saved: dict[str, str], files: list[str]) -> None:
    out = powertune("report", *(saved[name] for name in files), "-f", "html")[1]
    page = Page(out)
    allowed = {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div", "table", "thead", "tbody", "tr", "th",
        "td", "figure", "figcaption", "svg", "line", "text", "path", "g", "circle", "strong", "details", "summary",
    }  # fmt: skip
    assert set(page.tags) <= allowed
    assert not {name for name in page.attributes if name.startswith("on") or name in {"src", "href", "style"}}
    assert "url(" not in out
    assert "@import" not in out
    assert any("default-src 'none'" in value for value in page.attributes["content"])
    sheet = out.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in out
    assert "prefers-color-scheme: dark" in out


def test_a_page_has_a_chart_of_duration_and_one_of_cost_with_a_tip_for_each_size(
    powertune: Command, saved: dict[str, str]
) -> None:
    page = Page(powertune("report", saved["orders"], "-f", "html")[1])
    assert page.tags.count("svg") == 2
    assert page.tags.count("title") == 1 + 2 * len(BEFORE)
    assert "pick" in page.attributes["class"]


def test_a_page_on_several_functions_ranks_them_and_folds_each(powertune: Command, saved: dict[str, str]) -> None:
    out = powertune("report", saved["both"], "-f", "html")[1]
    assert Page(out).tags.count("details") == 2
    assert out.index("<td>Reports</td>") < out.index("<td>Orders</td>")


# --- compare ---


def test_a_slower_run_is_slower_in_words(powertune: Command, saved: dict[str, str]) -> None:
    code, out, err = powertune("compare", saved["orders"], saved["slower"])
    assert (code, err) == (0, "")
    assert re.search(r"^ *512 MB +409 ms +613 ms +1\.50 x slower", out, re.MULTILINE)


def test_a_run_against_itself_has_no_difference(powertune: Command, saved: dict[str, str]) -> None:
    out = powertune("compare", saved["orders"], saved["orders"])[1]
    assert out.count("not significant") == 2 * (len(BEFORE) + 2)
    assert " x " not in out


def test_a_comparison_is_written_to_files_and_saved(powertune: Command, saved: dict[str, str], tmp_path: Path) -> None:
    powertune("compare", saved["both"], saved["slower"], "-f", "json", "-o", "c.md", "--save", "c.json")
    assert "x slower" in (tmp_path / "c.md").read_text("utf-8")
    assert json.loads((tmp_path / "c.json").read_text("utf-8"))["only_in_a"] == ["Reports"]


def test_runs_inside_gate_results_are_compared(powertune: Command, saved: dict[str, str]) -> None:
    out = powertune("compare", saved["gate"], saved["gate"])[1]
    assert "Geometric mean of 3 functions at their current sizes" in out


def test_a_file_as_a_commit_has_it_is_compared_with_that_on_disk(
    powertune: Command, saved: dict[str, str], tmp_path: Path
) -> None:
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "-q"], ["add", saved["orders"]], ["commit", "-qm", "before"]):
        subprocess.run([*git, *arguments], check=True, cwd=tmp_path)
    (tmp_path / saved["orders"]).write_text((tmp_path / saved["slower"]).read_text("utf-8"), encoding="utf-8")
    code, out, _ = powertune("compare", f"HEAD:{saved['orders']}", saved["orders"])
    assert code == 0
    assert "1.50 x slower" in out


@pytest.mark.parametrize("name", ["HEAD:orders.json", "--output=pwned:orders.json", "nowhere:x", ":", "a\0b"])
def test_what_neither_disk_nor_git_has_is_bad_input(
    powertune: Command, saved: dict[str, str], tmp_path: Path, name: str
) -> None:
    assert powertune("compare", "--", name, saved["orders"])[0] == ExitCode.BAD_INPUT
    assert not (tmp_path / "pwned").exists()


def test_runs_that_cannot_tell_exit_with_6_where_that_is_asked(
    powertune: Command, saved: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "d.csv").write_text("memory_mb,duration_ms\n256,800\n512,400\n")
    assert powertune("estimate", "d.csv", "--save", "once.json")[0] == 0
    code, out, _ = powertune("compare", "once.json", "once.json", "--strict")
    assert code == ExitCode.INCONCLUSIVE
    assert "not judged: n = 1" in out
    assert powertune("compare", saved["orders"], saved["orders"], "--strict")[0] == 0


def test_hostile_names_are_harmless_in_a_comparison(powertune: Command, saved: dict[str, str]) -> None:
    obeyed = {"table": r"^\s*::|##\w*\[|\x1b", "markdown": r"(?<!\\)<script|@everyone|\x1b"}
    for format_name, pattern in obeyed.items():
        out = powertune("compare", saved["hostile-run"], saved["hostile-run"], "-f", format_name)[1]
        assert out
        assert not re.search(pattern, out, re.MULTILINE)


@pytest.mark.parametrize("arguments", [["orders"], ["orders", "orders", "-f", "csv"], ["orders", "nowhere"]])
def test_a_comparison_that_makes_no_sense_is_refused(
    powertune: Command, saved: dict[str, str], arguments: list[str]
) -> None:
    code, out, err = powertune("compare", *(saved.get(one, one) for one in arguments))
    assert code in (ExitCode.USAGE, ExitCode.BAD_INPUT)
    assert out == ""
    assert err
