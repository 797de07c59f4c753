"""The sample service in every kind of template: one command finds the two badly sized; mended, they pass."""

import difflib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from powertune.templates import edit_memory

pytestmark = pytest.mark.benchmark

SERVICE = Path(__file__).parents[1] / "data" / "sample_service"
COMMAND = str(Path(sys.executable).with_name("powertune"))
LONGEST_S = 60


def gate(template: str) -> tuple[int, Any, float]:
    began = time.monotonic()
    done = subprocess.run(
        [COMMAND, "gate", "--template", template, "-f", "json", "-q"], capture_output=True, text=True, check=False
    )
    return done.returncode, json.loads(done.stdout), time.monotonic() - began


@pytest.mark.parametrize("template", ["template.yaml", "serverless.yml", "plan.json", "cdk.out/Sample.template.json"])
def test_the_sample_service(template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(SERVICE, tmp_path / "service", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path / "service")
    code, result, took_s = gate(template)
    outcomes = {one["function"].split(".")[-1].title(): one for one in result["judgements"]}
    print()
    print(f"{template}: {took_s:.1f} s,", *(f"{name} {one['outcome']}" for name, one in outcomes.items()))
    assert code == 1
    assert took_s < LONGEST_S
    assert {name: one["outcome"] for name, one in outcomes.items() if one["fails"]} == {
        "Thumbnails": "under-provisioned",
        "Audit": "over-provisioned",
    }
    sizes = {one["function"]: one["recommended_memory_mb"] for one in outcomes.values() if one["fails"]}
    (edit,) = edit_memory(template, sizes)
    lines = list(difflib.unified_diff(edit.before.decode().splitlines(), edit.after.decode().splitlines(), n=0))
    assert len([line for line in lines[2:] if line.startswith("+")]) == len(sizes)
    Path(edit.file).write_bytes(edit.after)
    if template == "plan.json":  # which says what Terraform has read: another plan is Terraform's to make
        return
    code, result, took_s = gate(template)
    print(f"{template}, mended: {took_s:.1f} s")
    assert code == 0, [one for one in result["judgements"] if one["fails"]]
