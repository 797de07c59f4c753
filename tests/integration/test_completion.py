"""Completion: in-process, and in real shells where they are installed."""

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from powertune.cli.app import app as powertune_app
from powertune.cli.completion import function_names
from powertune.cli.main import main
from powertune.report import COMPARISON_FORMATS, FORMATS, GATE_FORMATS

TEMPLATE = """
Resources:
  OrdersFunction: &function
    Type: AWS::Serverless::Function
    Properties: {Handler: app.handler, Runtime: python3.12, CodeUri: .}
  OrdersZebra: *function
  PaymentsFunction: *function
Transform: AWS::Serverless-2016-10-31
"""
HOSTILE = r"""
[functions.'Evil`touch pwned`']
skip = "x"
[functions.'Evil\$(touch pwned)']
skip = "x"
[functions.'Evil$(touch pwned)"']
skip = "x"
[functions."Evil'; touch pwned; '"]
skip = "x"
[functions.EvilAndHarmless]
skip = "x"
"""
SCRIPTS = Path(sys.executable).parent
needs = {
    shell: pytest.mark.skipif(not shutil.which(shell), reason=f"{shell} is not installed")
    for shell in ("bash", "zsh", "fish")
}

# The options that commands with a template have.
app = typer.Typer()


@app.callback()
def _root(_config: Annotated[str | None, typer.Option("--config")] = None) -> None:
    pass


@app.command()
def judge(
    template: list[str] | None = None,
    function: Annotated[str | None, typer.Option(autocompletion=function_names)] = None,
) -> None:
    raise AssertionError((template, function))


@app.command()
def run(
    template: str | None = None,
    function: Annotated[str | None, typer.Option(autocompletion=function_names)] = None,
) -> None:
    raise AssertionError((template, function))


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "template.yaml").write_text(TEMPLATE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def completed(line: str, of: typer.Typer = app) -> list[str]:
    """Return what bash would offer for the last word of `line`, of a command that has a template or several."""
    words = ["powertune", *line.split(" ")]
    done = CliRunner().invoke(
        of,
        prog_name="powertune",
        env={"_POWERTUNE_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)},
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_functions_of_the_template_on_the_line_are_completed() -> None:
    assert completed("judge --template template.yaml --function ") == [
        "OrdersFunction",
        "OrdersZebra",
        "PaymentsFunction",
    ]
    assert completed("run --template template.yaml --function OrdersZ") == ["OrdersZebra"]
    Path("more.yaml").write_text(TEMPLATE.replace("OrdersZebra", "OrdersZoo"), encoding="utf-8")
    several = "judge --template template.yaml --template more.yaml --function OrdersZ"
    assert completed(several) == ["OrdersZebra", "OrdersZoo"]


def test_the_function_that_a_dry_run_takes_by_its_name_is_completed() -> None:
    assert completed("dry-run --template template.yaml OrdersZ", powertune_app) == ["OrdersZebra"]


@pytest.mark.parametrize(
    ("command", "formats"),
    [
        ("tune", FORMATS),
        ("dry-run", FORMATS),
        ("estimate", FORMATS),
        ("gate", GATE_FORMATS),
        ("report", {*FORMATS, *GATE_FORMATS}),
        ("compare", COMPARISON_FORMATS),
    ],
)
def test_formats_are_completed(command: str, formats: Collection[str]) -> None:
    assert sorted(completed(f"{command} -f ", powertune_app)) == sorted(formats)
    assert completed(f"{command} --format js", powertune_app) == ["json"]


def test_functions_of_the_template_in_settings_are_completed() -> None:
    Path("powertune.toml").write_text(
        'template = "template.yaml"\n[functions.OrdersMore]\nskip = "x"', encoding="utf-8"
    )
    assert completed("judge --function Or") == ["OrdersFunction", "OrdersMore", "OrdersZebra"]


@pytest.mark.parametrize("content", ["", "Resources: [", "- just\n- a list\n"])
def test_a_template_that_cannot_be_read_completes_nothing_and_says_nothing(content: str) -> None:
    Path("template.yaml").write_text(content, encoding="utf-8")
    assert completed("judge --template template.yaml --function ") == []
    assert completed("judge --template none.yaml --function ") == []
    Path("powertune.toml").write_text("nonsense = [", encoding="utf-8")
    assert completed("judge --function ") == []


def test_names_in_which_a_shell_would_find_something_to_do_are_left_out() -> None:
    Path("powertune.toml").write_text(HOSTILE, encoding="utf-8")
    assert completed("judge --function Ev") == ["EvilAndHarmless"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_that_of_the_shell_that_was_named(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    out, err = capsys.readouterr()
    assert f"complete_{shell}" in out
    assert out.startswith({"bash": "_powertune", "zsh": "#compdef powertune", "fish": "complete --command"}[shell])
    assert err == ""


def test_a_shell_that_is_not_known_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "csh"]) == 2
    assert "'csh' is not one of 'bash', 'zsh', 'fish'" in capsys.readouterr().err


def environment(project: Path) -> Mapping[str, str]:
    return {**os.environ, "PATH": f"{SCRIPTS}:{os.environ['PATH']}", "HOME": str(project), "TERM": "dumb", "PS1": "> "}


def typed(argv: list[str], setup: str, line: str, wanted: str, project: Path) -> str:
    """Type `line` and a tab into an interactive shell, and return what it shows until `wanted`, or for 20 s."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(argv[0], argv, dict(environment(project)))  # noqa: S606 - a shell is what is tested
    try:
        os.write(terminal, f"{setup}; echo read''y\n".encode())
        shown_until(terminal, "ready")
        os.write(terminal, f"{line}\t".encode())
        return shown_until(terminal, wanted)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def shown_until(terminal: int, wanted: str) -> str:
    shown, deadline = "", time.monotonic() + 20
    while wanted not in shown and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            shown += os.read(terminal, 4096).decode(errors="replace")
    return shown


BASH = (["bash", "--norc", "--noprofile", "-i"], 'eval "$(powertune completion bash)"')
ZSH = (["zsh", "-f", "-i"], 'autoload -Uz compinit; compinit -u -D; eval "$(powertune completion zsh)"')


@pytest.mark.parametrize(
    "shell", [pytest.param(BASH, id="bash", marks=needs["bash"]), pytest.param(ZSH, id="zsh", marks=needs["zsh"])]
)
def test_a_tab_completes_in_a_real_shell(shell: tuple[list[str], str], project: Path) -> None:
    Path("powertune.toml").write_text(HOSTILE, encoding="utf-8")
    assert "AndHarmless" in typed(*shell, "powertune config --function Evil", "AndHarmless", project)
    assert not Path("pwned").exists()
    assert "ate" in typed(*shell, "powertune estim", "ate", project)


@needs["fish"]
def test_fish_completes(project: Path) -> None:
    Path("powertune.toml").write_text(HOSTILE, encoding="utf-8")

    def offered(line: str) -> list[str]:
        script = 'powertune completion fish | source; complete -C "$argv[1]"'
        done = subprocess.run(
            ["fish", "--no-config", "-c", script, line],  # noqa: S607 - whichever fish is installed
            env=environment(project),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert done.stderr == ""
        return [line.split("\t")[0] for line in done.stdout.splitlines()]

    assert offered("powertune config --function Ev") == ["EvilAndHarmless"]
    assert offered("powertune estim") == ["estimate"]
    assert not Path("pwned").exists()
