"""How long the command takes to answer at all, as a multiple of the bare interpreter, side by side in one run."""

import os
import subprocess
import sys
import time
from statistics import median

import pytest

ROUNDS = 15
COMMANDS: dict[str, tuple[list[str], dict[str, str], float]] = {
    "--version": (["--version"], {}, 10),
    "usage error": (["dry-run", "a:b", "--bogus"], {}, 10),
    "completion": ([], {"_POWERTUNE_COMPLETE": "complete_bash", "COMP_WORDS": "powertune dr", "COMP_CWORD": "1"}, 10),
    "--help": (["--help"], {}, 25),
    "dry-run --help": (["dry-run", "--help"], {}, 25),
}


def seconds(arguments: list[str], environment: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments], env={**os.environ, **environment}, capture_output=True, check=False, timeout=60
    )
    return time.perf_counter() - began


@pytest.mark.benchmark
def test_version_usage_errors_and_completion_take_ten_bare_interpreters_and_help_twenty_five() -> None:
    bare: list[float] = []
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        bare.append(seconds(["-c", "pass"], {}))
        for name, (arguments, environment, _) in COMMANDS.items():
            taken[name].append(seconds(["-m", "powertune", *arguments], environment))
    print(f"\npython -c pass: {median(bare) * 1000:.0f} ms, median of {ROUNDS}")
    for name, times in taken.items():
        print(f"{name}: {median(times) * 1000:.0f} ms, {median(times) / median(bare):.1f} times")
    for name, (_, _, limit) in COMMANDS.items():
        assert median(taken[name]) <= limit * median(bare), name
