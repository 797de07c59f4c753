"""`powertune gate` as a pipeline runs it: a service's own template, saved runs, recordings, and a baseline."""

import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from powertune import api
from powertune.cli import gate_runs
from powertune.cli.main import main
from powertune.templates import edit_memory, read_template

SERVICE = Path(__file__).parents[1] / "data" / "sample_service"
REPORT = (
    "REPORT RequestId: {id}\tDuration: {ms:.2f} ms\tBilled Duration: {ms:.0f} ms\t"
    "Memory Size: {mb} MB\tMax Memory Used: 60 MB\t\n"
)


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> Any:
        """The gate result, from the format `json`."""
        return json.loads(self.out)

    def function(self, name: str) -> Any:
        """The judgement on one function."""
        return next(one for one in self.result["judgements"] if one["function"] == name)

    def check(self, rule: str, function: str | None = None) -> Any:
        """The check of a rule, which there is one of."""
        judgements = [one for one in self.result["judgements"] if function in (None, one["function"])]
        (found,) = [check for one in judgements for check in one["checks"] if check["rule"] == rule]
        return found


Gate = Callable[..., Done]


@pytest.fixture
def gate(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Run the gate in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, json_format: bool = True) -> Done:
        capfd.readouterr()
        code = main(["gate", *arguments, *(["-f", "json"] if json_format else [])])
        captured = capfd.readouterr()
        return Done(code, captured.out, captured.err)

    return run


def log(path: Path, means_ms: dict[int, float], *, runs: int = 40) -> str:
    """A log with REPORT lines at each size, which scatter by 4 %."""
    lines = [
        REPORT.format(id=f"{mb:08d}-0000-4000-8000-{run:012d}", ms=mean_ms * (0.96 + 0.08 * (run * 7 % 11) / 10), mb=mb)
        for mb, mean_ms in means_ms.items()
        for run in range(runs)
    ]
    path.write_text("".join(lines), encoding="utf-8")
    return path.name


COMPUTES_MS = {256: 700.0, 512: 350.0, 1024: 176.0, 1769: 102.0, 3008: 102.0}


def service(folder: Path, functions: dict[str, str], *, properties: str = "MemorySize: 512") -> str:
    """A template with a function for each handler, whose bodies are given."""
    code = "import os, time\n" + "".join(
        f"def {name}(event, context):\n    {body}\n" for name, body in functions.items()
    )
    (folder / "app.py").write_text(code, encoding="utf-8")
    resources = "".join(
        f"  {name.title()}:\n    Type: AWS::Serverless::Function\n    Properties:\n"
        f"      Runtime: python3.13\n      CodeUri: .\n      Handler: app.{name}\n      {properties}\n"
        for name in functions
    )
    template = f"Transform: AWS::Serverless-2016-10-31\nResources:\n{resources}"
    (folder / "template.yaml").write_text(template, encoding="utf-8")
    return "template.yaml"


QUICK = "return sum(range(20_000))"


def test_the_sample_service_has_two_badly_sized_functions_which_apply_mends(
    gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(SERVICE, tmp_path / "service")
    monkeypatch.chdir(tmp_path / "service")
    done = gate("--template", "template.yaml", "-n", "6")
    assert done.code == 1
    outcomes = {one["function"]: one["outcome"] for one in done.result["judgements"]}
    assert outcomes.pop("Thumbnails") == "under-provisioned"
    assert outcomes.pop("Audit") == "over-provisioned"
    assert outcomes.keys() == {"Orders", "Reports", "Invoices", "Search"}
    assert set(outcomes.values()) <= {"optimized", "inconclusive"}
    lines = (tmp_path / "service" / "template.yaml").read_text(encoding="utf-8").splitlines()
    for name, comment in (("Thumbnails", "far too little"), ("Audit", "far too much")):
        place = done.function(name)["place"]
        assert place["file"] == "template.yaml"
        assert comment in lines[place["line"] - 1]
    assert [one["function"] for one in done.result["judgements"] if one["fails"]] == ["Thumbnails", "Audit"]
    assert done.result["next_command"] == "powertune gate --template template.yaml --save gate.json"

    sizes = {name: done.function(name)["recommended_memory_mb"] for name in ("Thumbnails", "Audit")}
    (edit,) = edit_memory("template.yaml", sizes)
    Path("template.yaml").write_bytes(edit.after)
    assert gate("--template", "template.yaml", "-n", "6", "--function", "Thumbnails", "--function", "A*").code == 0


@pytest.mark.parametrize("template", ["serverless.yml", "plan.json", "cdk.out/Sample.template.json"])
def test_the_sample_service_is_the_same_in_every_kind_of_template(
    template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def configured(path: str) -> dict[str, tuple[object, ...]]:
        return {
            function.name.removeprefix("aws_lambda_function.").title(): (
                function.memory_mb.value,
                function.timeout_s.value,
                function.runtime.value,
                Path(str(function.code_path.value), str(function.handler.value)),
            )
            for function in read_template(path)
        }

    monkeypatch.chdir(SERVICE)
    assert configured(template) == configured("template.yaml")


def test_code_in_an_archive_is_unpacked_and_code_that_is_missing_fails(gate: Gate, tmp_path: Path) -> None:
    template = service(tmp_path, {"orders": QUICK})
    path = tmp_path / template
    path.write_text(path.read_text(encoding="utf-8").replace("CodeUri: .", "CodeUri: code.zip"), encoding="utf-8")
    missing = gate("--template", template, "-n", "3")
    assert missing.code == 5
    assert "neither a folder nor a zip archive" in missing.check("function-failed")["message"]
    with zipfile.ZipFile("code.zip", "w") as archive:
        archive.write("app.py")
    (tmp_path / "app.py").unlink()
    assert gate("--template", template, "-n", "3", "--soft-fail").function("Orders")["run"] is not None


def test_findings_can_be_reported_without_failing(gate: Gate, tmp_path: Path) -> None:
    recording = log(tmp_path / "orders.log", COMPUTES_MS)
    assert gate(recording, "--current", "256").code == 1
    for soft in (["--soft-fail"], ["--fail-on", "never"], ["--fail-on", "budgets,max-p95"]):
        done = gate(recording, "--current", "256", *soft)
        assert done.code == 0
        assert done.check("under-provisioned")["result"] == "fail"
    assert gate(recording, "--soft-fail", "--fail-on", "error").code == 2


def test_a_recording_is_judged_at_the_current_size_though_nothing_ran_there(gate: Gate, tmp_path: Path) -> None:
    recording = log(tmp_path / "orders.log", COMPUTES_MS)
    done = gate(recording, "--current", "384")
    assert done.code == 1
    (judgement,) = done.result["judgements"]
    assert (judgement["current_memory_mb"], judgement["outcome"]) == (384, "under-provisioned")


def test_a_recording_of_several_functions_is_read_once_and_judged_by_the_template(
    gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = service(tmp_path, {"orders": QUICK, "refunds": QUICK, "others": QUICK})
    rows = [
        f"{name},{size},{mean_ms + call % 5},60"
        for name in ("shop-Orders-A1B2C3", "Refunds", "Elsewhere")
        for size, mean_ms in COMPUTES_MS.items()
        for call in range(20)
    ]
    text = "\n".join(["function,memory_mb,duration_ms,max_memory_used_mb", *rows])
    (tmp_path / "all.csv").write_text(text, encoding="utf-8")
    monkeypatch.setattr(api, "estimate", None)
    done = gate("all.csv", "--template", template)
    assert done.code == 1
    assert [one["function"] for one in done.result["judgements"]] == ["Orders", "Refunds"]
    assert {one["current_memory_mb"] for one in done.result["judgements"]} == {512}
    told = {warning["code"]: warning["message"] for warning in done.result["warnings"]}
    assert "Others" in told["no-run"]
    assert "Elsewhere" in told["no-function"]


def test_without_a_size_there_is_nothing_to_judge_a_recording_by(gate: Gate, tmp_path: Path) -> None:
    recording = log(tmp_path / "orders.log", COMPUTES_MS)
    done = gate(recording)
    assert done.code == 0
    assert done.check("unresolved")["result"] == "unknown"
    assert gate(recording, "--strict").code == 6
    assert gate(recording, "--fail-on", "unresolved").code == 1


def test_a_saved_run_is_judged_as_it_was_saved_or_by_what_is_asked_for_now(gate: Gate, tmp_path: Path) -> None:
    recording = log(tmp_path / "orders.log", COMPUTES_MS)
    saving = ["--current", "3008", "-s", "speed", "--save", "run.json", "-q"]
    assert main(["estimate", recording, *saving]) == 0
    assert gate("run.json").function("function")["current_memory_mb"] == 3008
    assert gate("run.json", "-s", "cost").code == 1
    assert gate("run.json", "--current", "256").code == 1


def test_conditions_fail_the_gate_where_they_hold(gate: Gate, tmp_path: Path) -> None:
    recording = log(tmp_path / "orders.log", COMPUTES_MS)
    held = ["--current", "1769", "--fail-if"]
    assert gate(recording, *held, "p95>200ms", "--fail-if", "usd_per_million>20").code == 0
    done = gate(recording, *held, "p95>0.05s")
    assert done.code == 1
    assert done.check("fail-if")["message"].startswith("p95>0.05s holds: 10")
    wrong = gate(recording, *held, "latency>5", json_format=False)
    assert wrong.code == 2
    assert "the fields are cost" in wrong.err


def test_a_baseline_finds_what_got_slower(gate: Gate, tmp_path: Path) -> None:
    log(tmp_path / "before.log", COMPUTES_MS)
    log(tmp_path / "same.log", {size: 1.01 * mean_ms for size, mean_ms in COMPUTES_MS.items()})
    log(tmp_path / "slower.log", {size: 1.2 * mean_ms for size, mean_ms in COMPUTES_MS.items()})
    assert gate("before.log", "--current", "1769", "--save", "base.json").code == 0
    same = gate("same.log", "--current", "1769", "--baseline", "base.json")
    assert same.code == 0
    assert same.check("regression-duration")["result"] == "pass"
    slower = gate("slower.log", "--current", "1769", "--baseline", "base.json", "--fail-if", "cost>+5%")
    assert slower.code == 1
    assert {check["rule"] for check in slower.result["judgements"][0]["checks"] if check["fails_gate"]} == {
        "regression-duration",
        "regression-cost",
        "fail-if",
    }


@pytest.mark.parametrize(
    "demand",
    [
        ["--fail-if", "cost>+5%"],
        ["--fail-on", "regression"],
        ["--baseline", "nowhere.json"],
        ["--baseline", "orders.log"],
    ],
)
def test_a_baseline_that_is_needed_and_missing_never_passes(gate: Gate, tmp_path: Path, demand: list[str]) -> None:
    recording = log(tmp_path / "orders.log", COMPUTES_MS)
    done = gate(recording, "--current", "1769", *demand)
    assert (done.code, done.out) == (3, "")
    assert "baseline" in done.err


def test_a_baseline_that_nobody_asked_for_is_missed_in_a_warning(gate: Gate, tmp_path: Path) -> None:
    done = gate(log(tmp_path / "orders.log", COMPUTES_MS), "--current", "1769")
    assert done.code == 0
    (warning,) = done.result["warnings"]
    assert warning["code"] == "no-baseline"
    assert "--baseline FILE" in warning["hint"]


@pytest.mark.skipif(shutil.which("git") is None, reason="takes git")
def test_the_usual_baseline_is_the_one_on_the_main_branch(gate: Gate, tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"]
        subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)  # noqa: S607 - as users do

    log(tmp_path / "before.log", COMPUTES_MS)
    log(tmp_path / "slower.log", {size: 1.3 * mean_ms for size, mean_ms in COMPUTES_MS.items()})
    (tmp_path / ".powertune").mkdir()
    assert gate("before.log", "--current", "1769", "--save", ".powertune/baseline.json").code == 0
    git("init", "-q", "-b", "main")
    git("add", ".powertune")
    git("commit", "-qm", "baseline")
    git("checkout", "-qb", "change")
    # What the branch itself makes of the file does not count.
    assert gate("slower.log", "--current", "1769", "--save", ".powertune/baseline.json").code == 1
    again = gate("slower.log", "--current", "1769")
    assert again.code == 1
    assert again.check("regression-duration")["fails_gate"]
    git("checkout", "-qB", "main")
    (tmp_path / ".powertune" / "baseline.json").write_text("{", encoding="utf-8")
    git("commit", "-qam", "broken")
    broken = gate("slower.log", "--current", "1769")
    assert broken.code == 3
    assert "on main is no JSON" in broken.err


def test_a_function_that_fails_is_a_finding_and_others_go_on(gate: Gate, tmp_path: Path) -> None:
    template = service(
        tmp_path, {"breaks": "raise ValueError('no such order')", "works": QUICK}, properties="MemorySize: 1769"
    )
    done = gate("--template", template, "-n", "3")
    assert done.check("function-failed", "Breaks")["fails_gate"]
    assert "no such order" in done.check("function-failed", "Breaks")["message"]
    assert done.function("Works")["outcome"] != "insufficient-data"
    assert done.code in (1, 5)
    assert gate("--template", template, "-n", "3", "--function", "Breaks").code == 5
    assert gate("--template", template, "-n", "3", "--function", "Breaks", "--fail-on", "size").code == 0


def test_a_function_runs_again_where_noise_leaves_open_whether_it_got_slower(
    gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ["--template", service(tmp_path, {"orders": "open('calls', 'a').write('.'); " + QUICK}), "-n", "3"]
    run += ["--soft-fail", "--baseline", "base.json"]
    assert gate(*run[:4], "--soft-fail", "--save", "base.json").code == 0
    calls = (tmp_path / "calls").stat().st_size
    for result, times in (("pass", 1), ("fail", 2), ("unknown", 6)):
        monkeypatch.setattr(gate_runs, "regression_result", lambda *_, result=result: result)
        (tmp_path / "calls").unlink()
        assert gate(*run).check("regression-duration")["measured"] is not None
        assert (tmp_path / "calls").stat().st_size == times * calls


def test_what_cannot_be_run_here_is_unresolved_and_says_how_to_judge_it(gate: Gate, tmp_path: Path) -> None:
    template = service(tmp_path, {"orders": QUICK})
    path = tmp_path / template
    path.write_text(path.read_text(encoding="utf-8").replace("python3.13", "nodejs22.x"), encoding="utf-8")
    done = gate("--template", template)
    assert done.code == 0
    check = done.check("unresolved")
    assert "its runtime is nodejs22.x" in check["message"]
    assert "powertune gate RUN" in check["hint"]
    recording = log(tmp_path / "orders.log", COMPUTES_MS)
    judged = gate(recording, "--template", template)
    assert judged.code == 1
    assert judged.function("Orders")["place"]["line"] == 9


def test_environment_timeout_and_payload_reach_the_function(gate: Gate, tmp_path: Path) -> None:
    body = "assert os.environ['TABLE'] == 'orders' and event == {'id': 7}; return sum(range(1000))"
    properties = "MemorySize: 128\n      Environment: {Variables: {TABLE: orders}}\n      Timeout: 3"
    run = ["--template", service(tmp_path, {"reads": body}, properties=properties), "-n", "3"]
    run += ["--fail-on", "function-failed"]
    assert gate(*run, "-p", '{"id": 7}').code == 0
    assert gate(*run, "-p", '{"id": 8}').code == 5
    (tmp_path / "powertune.toml").write_text('[functions.Reads]\npayload = "event.json"\n', encoding="utf-8")
    (tmp_path / "event.json").write_text('{"id": 7}', encoding="utf-8")
    assert gate(*run).code == 0


def test_settings_give_budgets_waivers_and_functions_without_a_template(gate: Gate, tmp_path: Path) -> None:
    service(tmp_path, {"orders": QUICK, "skipped": QUICK})
    settings = """
[functions.Orders]
handler = "app:orders"
current = 1769
budgets.max_memory_mb = 512
[functions.Skipped]
handler = "app:skipped"
skip = "it needs a database"
"""
    (tmp_path / "powertune.toml").write_text(settings, encoding="utf-8")
    done = gate("-n", "3", "--fail-on", "budgets")
    assert done.code == 1
    assert done.check("max-memory")["fails_gate"]
    assert done.function("Orders")["place"]["file"] == "powertune.toml"
    assert [warning["code"] for warning in done.result["warnings"]] == ["skipped", "no-baseline"]
    waiver = (
        '[[waivers]]\nfunction = "Ord*"\nrule = "max-memory"\nreason = "until the cache is gone"\nuntil = 9999-12-31\n'
    )
    (tmp_path / "powertune.toml").write_text(settings + waiver, encoding="utf-8")
    waived = gate("-n", "3", "--fail-on", "budgets")
    assert waived.code == 0
    assert waived.check("max-memory")["waiver"]["reason"] == "until the cache is gone"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "nothing to judge"),
        (["--template", "missing.yaml"], 3, "missing.yaml"),
        (["--template", "template.yaml", "--function", "Ordesr"], 2, "did you mean Orders?"),
        (["--template", "template.yaml", "--parameter", "Memory"], 2, "--parameter"),
        (["--template", "template.yaml", "--current", "512"], 2, "--current is for one function"),
        (["--template", "template.yaml", "--fail-on", "everything"], 2, "is no rule"),
        (["--template", "template.yaml", "-p", "missing.json"], 3, "missing.json"),
        (["missing.log", "--current", "512"], 3, "missing.log"),
        (["app.py", "--current", "512"], 3, "app.py"),
        (["broken.json"], 3, "broken.json"),
        (["--template", "template.yaml", "-o", "gate.pdf"], 2, "gate.pdf"),
        (["--template", "template.yaml", "-f", "pdf"], 2, "pdf"),
        (["--template", "template.yaml", "--save", "template.yaml"], 2, "both read and written"),
    ],
)
def test_what_cannot_be_judged_at_all_never_passes(
    gate: Gate, tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    service(tmp_path, {"orders": QUICK, "refunds": QUICK})
    (tmp_path / "broken.json").write_text('{"schema_version": 1, "sizes": []}', encoding="utf-8")
    done = gate(*arguments, json_format="-f" not in arguments)
    assert (done.code, done.out) == (code, "")
    assert says in done.err
    assert "Traceback" not in done.err
