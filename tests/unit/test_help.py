"""`--help` of every command: by example first, and with examples that the command understands."""

import re
import shlex

import pytest
import typer.main

from powertune.cli.app import app
from powertune.cli.configured import commands
from powertune.cli.main import main

NAMES = [
    name.replace("-", " ") if name.startswith("prices-") else name for name, _ in commands(typer.main.get_command(app))
]


def help_of(name: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "200")  # where no example is wrapped
    assert main([*name.split(), "--help"]) == 0
    return capfd.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_examples_before_options(
    name: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = help_of(name, capfd, monkeypatch)
    assert f"powertune {name}" in shown.split("Example", 1)[1].split("─ Options", 1)[0]


@pytest.mark.parametrize("name", NAMES)
def test_every_option_in_an_example_exists(
    name: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = help_of(name, capfd, monkeypatch)
    summary, listed = shown.split("─ Options", 1)
    told = [re.sub(r"^Examples?: ", "", line.strip()) for line in summary.splitlines()]
    lines = [
        line.split("powertune ", 1)[1] for line in told if line.startswith((f"powertune {name}", 'eval "$(powertune'))
    ]
    assert lines
    for line in lines:
        words = shlex.split(line.rstrip().removesuffix(')"'))  # of what is in eval "$(...)"
        own = words[: words.index("--")] if "--" in words else words
        for option in [word for word in own if re.match(r"--?[a-z]", word)]:
            assert re.search(rf"(?<![\w-]){option}(?![\w-])", listed), f"{option} in: {line}"
