"""What docs/settings.md says holds: its tables name every key there is, and its examples are read without complaint."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer

from powertune.cli.app import app
from powertune.cli.configured import REFUSED, commands, options_of, schema_of
from powertune.cli.main import main
from powertune.model.budgets import Budgets
from powertune.settings import load
from powertune.settings.environment import OTHER_VARIABLES
from powertune.settings.reading import FUNCTION_KEYS

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"
README = DOCS.parents[1] / "README.md"
ROOT = typer.main.get_command(app)
SCHEMA = schema_of(ROOT)


def kind_of(parameter: Any) -> str:
    """Return in words what an option takes."""
    name, metavar = parameter.type.name, (parameter.metavar or "").split("|")
    if name == "boolean":
        return "true or false"
    if name == "choice":
        return " or ".join(f"`{choice}`" for choice in parameter.type.choices)
    kind = "whole number" if name.startswith("int") else "number" if name.startswith("float") else "text"
    kind = "sizes" if "SIZES" in metavar else "file" if {"FILE", "DIR", "PATH"} & set(metavar) else kind
    return f"list of {kind}s".replace("texts", "text") if parameter.multiple else kind


def options_table() -> Iterator[str]:
    by_key: dict[str, list[tuple[str, Any]]] = {}
    for command, found in commands(ROOT):
        for key, parameter in options_of(found) if command in SCHEMA.options else ():
            hidden = key in SCHEMA.hidden.get(command, ())
            by_key.setdefault(key, []).append((f"{command} (own table only)" if hidden else command, parameter))
    yield "| key | value | of | meaning |"
    yield "|---|---|---|---|"
    for key, found in sorted(by_key.items()):
        kinds = " or ".join(dict.fromkeys(kind_of(parameter) for _, parameter in found))
        meaning = found[0][1].help.replace("\\[", "[").replace("|", "\\|")
        yield f"| `{key}` | {kinds} | {', '.join(command for command, _ in found)} | {meaning} |"


def refused_table() -> Iterator[str]:
    yield "| option | why |"
    yield "|---|---|"
    for key, why in sorted(REFUSED.items()):
        yield f"| `--{key.replace('_', '-')}` | {why} |"


def variables_table() -> Iterator[str]:
    yield "| variable | what it is for |"
    yield "|---|---|"
    for name, what in OTHER_VARIABLES.items():
        yield f"| `{name}` | {what} |"


@pytest.mark.parametrize(
    ("name", "table"),
    [("options", options_table()), ("refused", refused_table()), ("variables", variables_table())],
    ids=["options", "refused", "variables"],
)
def test_a_table_is_what_the_commands_really_take(name: str, table: Iterator[str], *, update_golden: bool) -> None:
    text = DOCS.read_text(encoding="utf-8")
    begin = f"<!-- {name}: written by the tests with --update-golden -->\n"
    before, _, rest = text.partition(begin)
    shown, _, after = rest.partition(f"<!-- end of {name} -->")
    wanted = "\n" + "\n".join(table) + "\n\n"
    if update_golden:
        DOCS.write_text(f"{before}{begin}{wanted}<!-- end of {name} -->{after}", encoding="utf-8")
    else:
        assert shown == wanted


def test_every_key_of_functions_and_budgets_is_explained() -> None:
    rows = re.findall(r"^\| (`[^|]*) \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    listed = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    assert FUNCTION_KEYS | {"budgets"} | {item.name for item in fields(Budgets)} <= listed


def test_every_variable_of_powertune_s_own_is_in_the_readme() -> None:
    listed = re.findall(r"`(POWERTUNE_\w+)`", README.read_text(encoding="utf-8"))
    assert OTHER_VARIABLES.keys() <= set(listed)


def toml_blocks() -> list[str]:
    text = README.read_text(encoding="utf-8") + DOCS.read_text(encoding="utf-8")
    return re.findall(r"```toml\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("block", toml_blocks())
def test_the_examples_are_read_without_complaint(block: str, tmp_path: Path) -> None:
    assert "[tool.powertune" in block
    (tmp_path / "pyproject.toml").write_text(block, encoding="utf-8")
    settings = load(tmp_path, {"POWERTUNE_CONFIG_DIR": "none"}, lambda: SCHEMA)
    assert settings.layers[1].file == "pyproject.toml"


def test_the_variables_of_the_examples_mean_something(tmp_path: Path) -> None:
    found = re.findall(r"`(POWERTUNE_\w+)=(.*?)`", DOCS.read_text(encoding="utf-8"))
    assert len(found) >= 3
    variables = {name: shlex.split(value)[0] for name, value in found}
    assert not load(tmp_path, variables | {"POWERTUNE_CONFIG": ""}, lambda: SCHEMA).warnings


def test_the_commands_of_the_text_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pyproject.toml").write_text(toml_blocks()[-1], encoding="utf-8")
    text = re.sub(r"\s+", " ", DOCS.read_text(encoding="utf-8"))
    found = re.findall(r"`powertune ([^`]*(?:config|prices)[^`]*)`", text)
    assert len(found) >= 4
    for command in found:
        assert main(shlex.split(command)) == 0, command
    assert capsys.readouterr().err == ""
