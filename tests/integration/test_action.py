"""The GitHub action, the pre-commit hook and the jobs in the docs: valid, pinned, and nothing that is put in is run."""

import json
import os
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from gate_results import mixed, passing, run
from jsonschema.validators import validator_for
from ruamel.yaml import YAML

from powertune.cli.main import main
from powertune.report import GATE_FORMATS, format_of, render_gate

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
ACTION = YAML(typ="safe").load((ROOT / "action.yml").read_text(encoding="utf-8"))
HOOKS = YAML(typ="safe").load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
WORKFLOW, GITLAB, PRE_COMMIT = (
    YAML(typ="safe").load(block) for block in re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)
)
STEP = next(step for step in ACTION["runs"]["steps"] if step.get("id") == "gate")
HOSTILE = (
    "$(touch pwned)", "`touch pwned`", "; touch pwned #", '"; touch pwned; "', "' ; touch pwned '", "${HOME}",
    "--save=pwned", "a b\tc", "*", "\\", "%0A::error::x", "-",
)  # fmt: skip


def assert_valid(schema_name: str, document: object) -> None:
    """Check a document by a schema that schemastore publishes, as check-jsonschema carries it."""
    vendored = resources.files("check_jsonschema.builtin_schemas.vendor")
    schema = json.loads(vendored.joinpath(f"{schema_name}.json").read_text(encoding="utf-8"))
    validator_for(schema)(schema).validate(document)


def options_of(command: str, capfd: pytest.CaptureFixture[str]) -> set[str]:
    capfd.readouterr()
    assert main([command, "--help"]) == 0
    return set(re.findall(r"(?<![\w-])(--?[a-z][\w-]*)", capfd.readouterr().out))


# --- what is written down ---


def test_the_action_and_the_jobs_are_valid_by_their_published_schemas() -> None:
    assert_valid("github-actions", ACTION)
    assert_valid("github-workflows", WORKFLOW)
    assert_valid("gitlab-ci", GITLAB)


def test_no_input_is_part_of_a_script() -> None:
    for step in (*ACTION["runs"]["steps"], *WORKFLOW["jobs"]["gate"]["steps"]):
        assert "${{" not in step.get("run", ""), step


def test_other_actions_are_pinned_by_commit() -> None:
    used = [step["uses"] for step in ACTION["runs"]["steps"] if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", name) for name in used)


def test_each_input_reaches_the_step_and_the_command_has_its_option(capfd: pytest.CaptureFixture[str]) -> None:
    wired = set(re.findall(r"inputs\.([\w-]+)", json.dumps(ACTION["runs"])))
    assert wired == set(ACTION["inputs"])
    named = set(re.findall(r"each (--[\w-]+)", STEP["run"])) | {"--format"}
    assert named <= options_of("gate", capfd)


def test_each_input_of_the_job_in_the_docs_is_one_of_the_action() -> None:
    given = next(step["with"] for step in WORKFLOW["jobs"]["gate"]["steps"] if step.get("id") == "powertune")
    assert set(given) <= set(ACTION["inputs"])


def test_the_outputs_of_the_action_are_those_that_the_command_writes() -> None:
    assert set(ACTION["outputs"]) == {"recommended-memory", "finding", "savings-pct", "report-path"}


def test_the_hook_is_whole_and_runs_a_command_that_exists(capfd: pytest.CaptureFixture[str]) -> None:
    (hook,) = HOOKS
    assert {"id", "name", "entry", "language"} <= set(hook)
    assert hook["entry"].split()[0] == "powertune"
    assert "--template" in options_of(hook["entry"].split()[1], capfd)
    assert [one["id"] for repo in PRE_COMMIT["repos"] for one in repo["hooks"]] == [hook["id"]]
    for name in ("template.yaml", "deploy/serverless.yml", "src/app.py", "pyproject.toml"):
        assert re.search(hook["files"], name)
    assert not re.search(hook["files"], "README.md")


def test_every_command_in_the_docs_has_its_options(capfd: pytest.CaptureFixture[str]) -> None:
    blocks = "\n".join(re.findall(r"```\w+\n(.*?)```", DOCS, re.DOTALL))
    commands = re.findall(r"^ *(?:- )?powertune (\w+) (.*)$", blocks, re.MULTILINE)
    assert len(commands) >= 5
    for name, rest in commands:
        given = set(re.findall(r"(?<!\S)--?[a-z][\w-]*", rest))
        assert given <= options_of(name, capfd), (name, rest)


def test_the_docs_list_every_format_of_a_gate_with_its_suffix() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (?:`(\.[\w.]+)`)? ?\|", DOCS, re.MULTILINE))
    assert set(rows) == set(GATE_FORMATS)
    for name, suffix in rows.items():
        assert not suffix or format_of(f"x{suffix}", GATE_FORMATS) == name


# --- what is run ---


def run_step(folder: Path, inputs: dict[str, str], *, python: str) -> subprocess.CompletedProcess[str]:
    """Run the action's step as GitHub does, with `python` in its place on the path."""
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    (bin_folder / "python").write_text(python, encoding="utf-8")
    (bin_folder / "python").chmod(0o755)
    given = {name: inputs.get(name, spec.get("default", "")) for name, spec in ACTION["inputs"].items()}
    env = {
        name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda match: given[match[1]], value)
        for name, value in STEP["env"].items()
    }
    (folder / "step.sh").write_text(STEP["run"], encoding="utf-8")
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(folder / "step.sh")],  # noqa: S607 - as GitHub does
        cwd=folder,
        env={"PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder), **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


STUB = f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n"
REAL = f'#!/bin/sh\nexec {sys.executable} "$@"\n'


def arguments_for(folder: Path, inputs: dict[str, str]) -> list[str]:
    done = run_step(folder, inputs, python=STUB)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


def test_without_inputs_the_gate_runs_with_its_defaults(tmp_path: Path) -> None:
    assert arguments_for(tmp_path, {}) == ["-m", "powertune", "gate", "--format=github", "--"]


def test_inputs_of_several_lines_become_repeated_options(tmp_path: Path) -> None:
    inputs = {"template": "a.yaml\nb.yaml\n", "fail-if": "cost>+5%\n\np95>800ms", "runs": "one.json\ntwo.json\n"}
    assert arguments_for(tmp_path, inputs)[3:] == [
        "--format=github", "--template=a.yaml", "--template=b.yaml", "--fail-if=cost>+5%", "--fail-if=p95>800ms",
        "--", "one.json", "two.json",
    ]  # fmt: skip


def test_no_input_is_run_split_or_taken_for_an_option(tmp_path: Path) -> None:
    names = [name for name in ACTION["inputs"] if name not in ("working-directory", "python-version", "runs")]
    inputs = dict.fromkeys([*names, "runs"], "\n".join(HOSTILE))
    found = arguments_for(tmp_path, inputs)
    for name in names:
        assert [one.removeprefix(f"--{name}=") for one in found if one.startswith(f"--{name}=")][
            : len(HOSTILE)
        ] == list(HOSTILE)
    assert found[found.index("--") + 1 :] == list(HOSTILE)
    assert not (tmp_path / "pwned").exists()


def test_the_step_judges_a_saved_run_and_fails_the_job_only_for_a_finding(tmp_path: Path) -> None:
    (tmp_path / "orders.json").write_text(run("Orders", {256: 822.4, 512: 409.3, 1024: 204.6}, 1024).to_json())
    done = run_step(tmp_path, {"runs": "orders.json", "output": "gate.md"}, python=REAL)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "The function passes"
    assert (tmp_path / "gate.md").read_text("utf-8").startswith("<!-- powertune:gate -->")
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "orders.json").write_text(run("Orders", {256: 822.4, 512: 409.3, 1024: 204.6}, 256).to_json())
    found = run_step(tmp_path / "again", {"runs": "orders.json"}, python=REAL)
    assert (found.returncode, found.stdout.startswith("::error ")) == (1, True), found.stderr


def test_the_comment_of_the_docs_is_found_again_by_its_mark() -> None:
    scripts: list[Any] = [step.get("run", "") for step in WORKFLOW["jobs"]["gate"]["steps"]]
    marks = re.findall(r"<!-- powertune:\w+ -->", "\n".join(scripts))
    assert marks == ["<!-- powertune:gate -->"]
    for result in (passing(), mixed()):
        assert render_gate(result, "markdown").startswith(marks[0] + "\n")
