"""What the README says holds: its commands, its samples, its tables."""

import re
import shlex
from pathlib import Path

import pytest

from powertune.cli.main import main
from powertune.errors import ExitCode
from powertune.report import FORMATS
from powertune.sources.payloads import sample_names

TOP = Path(__file__).parents[2]
README = (TOP / "README.md").read_text(encoding="utf-8")
PAGES = [README, *(page.read_text(encoding="utf-8") for page in sorted((TOP / "docs").glob("*.md")))]
EXAMPLE_INPUTS = {"primes", "waiting", "mixed"}


def commands() -> list[list[str]]:
    """Return the arguments of each powertune command in the shell blocks of README and docs."""
    blocks = [block for page in PAGES for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)]
    lines = [line for block in blocks for line in block.splitlines()]
    found = [re.split(r"(?:^|[|&] *)(?:\S*/)?powertune ", line)[-1] for line in lines if "powertune " in line]
    return [shlex.split(command) for command in found]


def test_the_readme_shows_commands() -> None:
    assert len(commands()) >= 5


@pytest.mark.parametrize("arguments", commands(), ids=" ".join)
def test_every_option_in_the_readme_exists(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    command, *rest = arguments
    assert main([command, "--help"]) == 0
    listed = capfd.readouterr().out
    for option in [argument for argument in rest if re.match(r"--?[a-z]", argument)]:
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", listed), option


def test_the_first_command_recommends_a_size(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["dry-run", "powertune.examples.primes:handler", "-p", "@primes", "-n", "1"]) == 0
    assert re.search(r"Recommended for balanced: \d+ MB", capfd.readouterr().out)


def test_every_sample_payload_is_listed_and_exists() -> None:
    listed = set(re.findall(r"`@([a-z0-9-]+)`", README))
    assert listed == set(sample_names()) - EXAMPLE_INPUTS


def test_every_exit_code_is_listed() -> None:
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    assert listed == {int(code) for code in ExitCode}


def test_every_format_is_listed() -> None:
    assert f"`-f {'|'.join(FORMATS)}`" in README


def test_the_readme_has_one_line_that_runs_the_tests_and_the_gate_runs_that_line() -> None:
    lines = [line for line in README.splitlines() if "-m pytest" in line]
    assert len(lines) == 1
    gate = (TOP / ".ci" / "run").read_text(encoding="utf-8")
    assert "grep -m1 -- '-m pytest' README.md" in gate
