"""What a pull request may name at will, functions, templates and errors, harms no reader of a gate."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from gate_results import HOSTILE, run
from markdown_it import MarkdownIt
from published_schemas import validate

from powertune.cli.main import main

FORMATS = ("table", "markdown", "github", "junit", "sarif", "gitlab", "csv")
FILE = "t%0A::error::x,line=1\n::warning::y [x](javascript:alert(1)) <script>@everyone ##[group]\x1b[31m.yaml"
TEMPLATE = """
Resources:
  Orders:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      Handler: app.handler
      CodeUri: .
      MemorySize: 256
"""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)


def assert_harmless(rendered: str, format_name: str) -> None:
    if format_name in ("junit", "sarif", "gitlab"):
        validate(format_name, rendered)
    elif format_name == "markdown":
        page = MarkdownIt("commonmark").enable("table").render(rendered)
        assert not re.search(r"<(?:script|img|a|code)\b|</table>\s*</table>", page)
        assert page.count("<details>") == page.count("</details>") == 1
        assert not re.search(r"@\w", rendered)
    elif format_name == "github":
        commands = [line for line in rendered.splitlines() if line.lstrip().startswith("::")]
        assert commands
        assert all(
            re.match(r"::(?:error|warning|notice) (?:file=[^:,]*,line=\d+,)?title=[^:,]*::", line) for line in commands
        )
        assert len(commands) == len(rendered.splitlines()) - 1
    else:
        assert not re.search(r"^\s*::|\x1b", rendered, re.MULTILINE)
    if format_name == "table":
        assert not re.search(r"##\w*\[", rendered)


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_hostile_name_of_a_template_is_harmless(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], format_name: str
) -> None:
    (tmp_path / FILE).write_text(TEMPLATE, encoding="utf-8")
    (tmp_path / "orders.json").write_text(run("Orders", {256: 822.4, 512: 409.3, 1024: 204.6}, 256).to_json())
    assert main(["gate", "orders.json", "--template", FILE, "-f", format_name]) == 1
    rendered = capfd.readouterr().out
    assert_harmless(rendered, format_name)
    if format_name == "gitlab":  # a name that is shown to no one as text stays what it is
        assert {one["location"]["path"] for one in json.loads(rendered)} == {FILE}


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("what", ["function", "error"])
def test_a_hostile_name_of_a_function_or_an_error_is_harmless(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], format_name: str, what: str
) -> None:
    words = HOSTILE.replace("\x00", "").encode("utf-8", "ignore").decode("utf-8")
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["memory_mb", "duration_ms", what])
    writer.writerows([[size, 100_000 / size + call / 10, words] for size in (128, 256, 512) for call in range(8)])
    (tmp_path / "runs.csv").write_text(out.getvalue(), encoding="utf-8", newline="")
    code = main(["gate", "runs.csv", "--current", "128", "-f", format_name])
    assert code == {"function": 1, "error": 5}[what]
    told = capfd.readouterr()
    assert_harmless(told.out, format_name)
    assert not re.search(r"^\s*::|\x1b|##\w*\[", told.err, re.MULTILINE)
