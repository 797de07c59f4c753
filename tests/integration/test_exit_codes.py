"""Every exit code, reached by the installed command: scripts rely on them, and 1 means a finding of the gate alone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from powertune.errors import ExitCode

COMMAND = str(Path(sys.executable).with_name("powertune"))
ENOUGH_S = 60
SIZED_WELL = "memory_mb,duration_ms\n" + "".join(
    f"{size},{mean_ms + call % 3}\n" for size, mean_ms in ((512, 350), (1769, 102), (3008, 102)) for call in range(30)
)
HANDLERS = """
import pathlib, time

def breaks(event, context):
    raise ValueError("no such order")

def sleeps(event, context):
    pathlib.Path("started").touch()
    time.sleep(60)
"""
TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Breaks:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.13, CodeUri: ., Handler: app.breaks, MemorySize: 512}
  Sleeps:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.13, CodeUri: ., Handler: app.sleeps, MemorySize: 512, Timeout: 90}
"""
BUG = """
import powertune.report

def broken(*_, **__):
    raise RuntimeError("injected")

powertune.report.render = powertune.report.render_gate = broken
"""
GATE = ["gate", "sized.csv", "--current"]
DRY = ["dry-run", "-n", "2"]
OUTCOMES: list[tuple[list[str], ExitCode]] = [
    (["estimate", "sized.csv"], ExitCode.DONE),
    ([*GATE, "1769"], ExitCode.DONE),
    ([*GATE, "512"], ExitCode.FINDING),
    (["gate"], ExitCode.USAGE),
    ([*GATE, "lots"], ExitCode.USAGE),
    (["gate", "broken.json"], ExitCode.BAD_INPUT),
    ([*GATE, "1769", "--baseline", "missing.json"], ExitCode.BAD_INPUT),
    (["estimate", "missing.csv"], ExitCode.BAD_INPUT),
    ([*DRY, "no_such_module:handler"], ExitCode.BAD_INPUT),
    (["gate", "--template", "template.yaml", "--function", "Breaks"], ExitCode.FUNCTION_FAILED),
    ([*DRY, "app:breaks"], ExitCode.FUNCTION_FAILED),
    (["gate", "once.csv", "--current", "512", "--strict"], ExitCode.INCONCLUSIVE),
    (["estimate", "once.csv", "--strict"], ExitCode.INCONCLUSIVE),
]
"""Those that take nothing but a command line and the files of `environment`."""


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """A folder with something to judge, and an environment that knows of nothing outside."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sized.csv").write_text(SIZED_WELL, encoding="utf-8")
    (tmp_path / "once.csv").write_text("memory_mb,duration_ms\n512,350\n1024,180\n", encoding="utf-8")
    (tmp_path / "broken.json").write_text('{"schema_version": 1, "sizes": []}', encoding="utf-8")
    (tmp_path / "app.py").write_text(HANDLERS, encoding="utf-8")
    (tmp_path / "template.yaml").write_text(TEMPLATE, encoding="utf-8")
    (tmp_path / "bug").mkdir()
    (tmp_path / "bug" / "sitecustomize.py").write_text(BUG, encoding="utf-8")
    nowhere = {"AWS_CONFIG_FILE": "no-config", "AWS_SHARED_CREDENTIALS_FILE": "no-credentials"}
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {**own, **nowhere, "POWERTUNE_STATE_DIR": str(tmp_path / "state")}


def powertune(arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the installed command."""
    return subprocess.run(
        [COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=ENOUGH_S, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "code"), OUTCOMES, ids=[f"{' '.join(arguments)} is {code:d}" for arguments, code in OUTCOMES]
)
def test_each_outcome_has_its_exit_code(
    environment: Mapping[str, str], arguments: Sequence[str], code: ExitCode
) -> None:
    done = powertune(arguments, environment)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert bool(done.stdout) == (code not in (ExitCode.USAGE, ExitCode.BAD_INPUT)) or code == ExitCode.FUNCTION_FAILED


@pytest.mark.parametrize("arguments", [["tune", "orders"], ["gate", "s3://logs/orders.log"]], ids=" ".join)
def test_an_aws_that_lets_nobody_in_is_4(environment: Mapping[str, str], arguments: Sequence[str]) -> None:
    done = powertune(arguments, {**environment, "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"})
    assert done.returncode == ExitCode.AWS, done.stderr
    assert "credentials" in done.stderr


@pytest.mark.parametrize("arguments", [[*GATE, "512"], ["estimate", "sized.csv"]], ids=" ".join)
def test_a_bug_of_powertune_is_70_and_never_passes_for_a_finding(
    environment: Mapping[str, str], arguments: Sequence[str]
) -> None:
    done = powertune(arguments, {**environment, "PYTHONPATH": "bug"})
    assert done.returncode == ExitCode.BUG, done.stderr
    assert "this is a bug in powertune" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["gate", "--template", "template.yaml", "--function", "Sleeps"], [*DRY, "app:sleeps"]],
    ids=" ".join,
)
def test_an_interrupt_is_130_and_leaves_no_process_behind(
    environment: Mapping[str, str], arguments: Sequence[str], tmp_path: Path
) -> None:
    with subprocess.Popen(
        [COMMAND, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            until = time.monotonic() + ENOUGH_S
            while not (tmp_path / "started").exists():
                assert time.monotonic() < until
                assert process.poll() is None
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=ENOUGH_S)
        finally:
            process.kill()
    assert process.returncode == ExitCode.INTERRUPTED
    assert out == ""
    assert "Interrupted" in err


def test_every_exit_code_is_among_these() -> None:
    elsewhere = {ExitCode.AWS, ExitCode.BUG, ExitCode.INTERRUPTED}
    assert {code for _, code in OUTCOMES} | elsewhere == set(ExitCode)
