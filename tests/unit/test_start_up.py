"""What the quick answers must not load, told by modules and not by milliseconds."""

import os
import subprocess
import sys

import pytest
from typer.main import get_command

from powertune.cli.app import app

HEAVY = (
    "boto3",
    "botocore",
    "numpy",
    "rich",
    "yaml",
    "hcl2",
    "lark",
    "pygments",
    "pydantic",
    "asyncio",
    "powertune.tuning",
)
SCRIPT = """
import sys
from powertune.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print(*sys.modules, file=sys.stderr)
"""


def modules_after(arguments: list[str], environment: dict[str, str] | None = None) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["--version"], {}),
        (["--bogus"], {}),
        (["dry-run"], {}),
        (["dry-run", "a:b", "--memory", "12"], {}),
        (["dry-run", "a:b", "--strategy", "fastest"], {}),
        (["estimate", "x.csv", "--format", "pdf"], {}),
        (["tune"], {}),
        (["tune", "orders", "--alias", "live"], {}),
        (["tune", "orders", "--memory", "64"], {}),
        (["tune", "orders", "--max-spend", "nan"], {}),
        (["restore", "--bogus"], {}),
        (["doctor"], {}),
        (["policy", "orders"], {}),
        ([], {"_POWERTUNE_COMPLETE": "complete_bash", "COMP_WORDS": "powertune dr", "COMP_CWORD": "1"}),
        ([], {"_POWERTUNE_COMPLETE": "source_zsh"}),
    ],
    ids=str,
)
def test_quick_answers_load_nothing_heavy(arguments: list[str], environment: dict[str, str]) -> None:
    assert modules_after(arguments, environment).isdisjoint(HEAVY)


@pytest.mark.parametrize(
    ("arguments", "environment", "loaded"),
    [
        (["--version"], {}, []),
        (["--bogus"], {}, []),
        (["doctor", "--bogus"], {}, ["doctor"]),
        (["prices", "refresh", "--bogus"], {}, ["prices"]),
        (["dry-run", "a:b", "--samples", "none"], {}, ["completion", "dry_run"]),
        (["dry-run", "powertune.examples.waiting:handler", "-m", "128", "-q"], {}, ["completion", "dry_run"]),
        ([], {"_POWERTUNE_COMPLETE": "complete_bash", "COMP_WORDS": "powertune po", "COMP_CWORD": "1"}, ["policy"]),
    ],
    ids=str,
)
def test_a_command_is_loaded_when_it_is_asked_about(
    arguments: list[str], environment: dict[str, str], loaded: list[str]
) -> None:
    # Without settings: what may be set is what all commands take.
    environment |= {"POWERTUNE_CONFIG": "", "POWERTUNE_CONFIG_DIR": "none"}
    commands = {name.replace("-", "_") for name in get_command(app).commands}  # type: ignore[attr-defined] # it is a group
    found = {name.removeprefix("powertune.cli.") for name in modules_after(arguments, environment)}
    assert sorted(found & commands) == loaded


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["--version"], {}),
        (["tune", "--bogus"], {}),
        (["completion", "zsh"], {}),
        ([], {"_POWERTUNE_COMPLETE": "complete_bash", "COMP_WORDS": "powertune tune --sam", "COMP_CWORD": "2"}),
    ],
    ids=str,
)
def test_settings_are_read_only_by_commands_that_run(arguments: list[str], environment: dict[str, str]) -> None:
    assert modules_after(arguments, environment).isdisjoint({"tomllib", "powertune.settings"})


@pytest.mark.parametrize("command", [[], ["tune"], ["restore"], ["doctor"], ["policy"]], ids=str)
def test_help_loads_rich_and_nothing_else_that_is_heavy(command: list[str]) -> None:
    assert modules_after([*command, "--help"]).isdisjoint(set(HEAVY) - {"rich", "pygments"})


def test_the_package_itself_loads_none_of_its_rooms() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, powertune; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = [name for name in done.stdout.split() if name.startswith("powertune")]
    assert loaded == ["powertune"]
