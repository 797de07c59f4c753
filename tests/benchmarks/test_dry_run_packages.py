"""A dry run of other people's work: benchmarks of pyperformance and packages from PyPI, installed when this runs.

By hand: `pytest -m benchmark -s -o faulthandler_timeout=0 tests/benchmarks/test_dry_run_packages.py`. Each is run,
answered, and held against its real durations under a CPU quota, where one can be set.
"""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from powertune.sources import throttle
from powertune.sources.throttle import ThrottleUnavailableError

pytestmark = pytest.mark.benchmark

PACKAGES = ("pyperformance", "sqlglot", "jinja2", "numpy", "regex", "pyyaml", "joblib", "requests")
HANDLERS = (
    "pure_nbody",
    "pure_richards",
    "pure_deltablue",
    "pure_sqlglot",
    "pure_jinja2",
    "extension_numpy",
    "extension_regex",
    "extension_yaml",
    "database_sqlite",
    "processes_joblib",
    "network_requests",
)
SIZES = (256, 1024)
FAR = 0.35
"""Further off than this is no noise of the machine. The farthest is work that threads hand to and fro thousands of
times: each core that runs a moment keeps a part of the quota, which the law, with one account for all cores, does not
know."""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of an environment with the packages."""
    given = os.environ.get("POWERTUNE_TEST_PACKAGES")
    folder = Path(given) if given else tmp_path_factory.mktemp("packages") / "venv"
    found = folder / "bin" / "python"
    if not found.exists():
        venv.create(folder, with_pip=True)
        done = subprocess.run([found, "-m", "pip", "install", "-q", *PACKAGES], capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"the packages cannot be installed: {done.stderr.decode()[-200:]}")
    print(
        f"\n{'handler':18} {'MB':>5} {'predicted':>10} {'throttled':>10} {'plain':>7} {'CPU x':>6} {'at that CPU':>12}"
    )
    return found


@pytest.fixture(scope="module")
def verify() -> tuple[str, ...]:
    try:
        throttle.find_way()
    except ThrottleUnavailableError as error:
        print(f"\nnot held against a quota: {error.message}")
        return ()
    return ("--verify", ",".join(map(str, SIZES)))


@pytest.mark.parametrize("handler", HANDLERS)
def test_other_peoples_work_is_run_answered_and_predicted(
    python: Path, verify: tuple[str, ...], handler: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["-m", "powertune", "dry-run", f"package_handlers:{handler}", "--python", str(python), "-f", "json"]
    done = subprocess.run(
        [sys.executable, *command, "-m", ",".join(map(str, SIZES)), "-n", "7", *verify],
        cwd=Path(__file__).parent,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    run: dict[str, Any] = json.loads(done.stdout)
    assert run["recommendation"]["memory_mb"] in SIZES
    for size in run["sizes"]:
        assert size["status"] == "ok"
        found = size.get("throttled")
        if not found:
            continue
        assert found["status"] == "ok", found
        error = found["predicted_at_cpu_ms"] / found["p50_ms"] - 1
        plain = found["predicted_ms"] / found["p50_ms"] - 1
        with capsys.disabled():
            print(
                f"{handler:18} {size['memory_mb']:5} {found['predicted_ms']:7.0f} ms {found['p50_ms']:7.0f} ms"
                f" {plain:+7.1%} {found['cpu_ratio']:6.2f} {error:+12.1%}"
            )
        assert abs(error) < FAR
