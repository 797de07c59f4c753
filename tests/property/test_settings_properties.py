"""Settings files of any content: where keys stand, and that whatever a file says is taken or refused."""

import json
import re
import tempfile
import tomllib
from collections.abc import Iterator
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import typer
from hypothesis import given
from hypothesis import strategies as st

from powertune.cli.app import app
from powertune.cli.configured import commands, options_of, schema_of
from powertune.errors import BadInputError
from powertune.settings import load
from powertune.settings.lines import lines_of_keys
from powertune.settings.values import RIVALS

KEYS = st.sampled_from(
    ["plain", "with-dash_1", '"quoted key"', "'single # quoted'", r'"esc\"aped"', "a . b", "c.'d'.e"]
)
FILLERS = st.sampled_from(
    [
        "# a comment with ] }} = 'quotes",
        "",
        "\t",
        '{key} = """\n[not.a.table]\nx = 1 \\""" # "\n"""',
        "{key} = '''\nit''s\n'''",
        '{key} = "text with # ] and \\" in it"  # comment = 1',
        "{key} = 'C:\\'",
        "{key} = 1979-05-27 07:32:00",
        "{key} = [ 'x', # ]\n\n 1.5, ]",
    ]
)
NUMBERED = st.sampled_from(
    [
        "{key} = {line}",
        "{key} = {{ x = {line}, 'y y' = {{ z.z = {line} }} }} # comment",
        "{key} = [{line},{line},\n # comment ]\n [ {line2} ], {{ a = {line2} }},\n]",
        "[{key}]\nx = {line1}",
        "[[{key}]]\nx = {line1}\n[[ {key} ]]\ny = {line3}\n[{key}.inner]\nz = {line5}",
    ]
)


# Documents in which each number is the line it stands on.


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, key))
    else:
        yield path, value


@given(st.lists(st.one_of(st.tuples(FILLERS, KEYS), st.tuples(NUMBERED, KEYS)), max_size=12))
def test_each_key_is_found_on_its_line(statements: list[tuple[str, str]]) -> None:
    numbers, lines = count(), [""]  # of each key a different one, so that any may follow any
    for template, key in statements:
        here = len("\n".join(lines).split("\n")) + 1
        own = f"k{next(numbers)}.{key}"
        lines.append(template.format(key=own, line=here, **{f"line{more}": here + more for more in range(1, 6)}))
    document = "\n".join(lines)
    found = lines_of_keys(document)
    numbered = [(path, value) for path, value in leaves(tomllib.loads(document)) if type(value) is int]
    assert [(path, found[path]) for path, _ in numbered] == numbered


ROOT = typer.main.get_command(app)
SCHEMA = schema_of(ROOT)
PARAMETERS = {key: option for _, command in commands(ROOT) for key, option in options_of(command)}
KEYS_TO_SET = st.sampled_from([*PARAMETERS, *PARAMETERS, "yes", "tool", "x", "budgets", "functions", "waivers", "tune"])
WILD: list[Any] = [
    -1,
    2**70,
    1e300,
    float("nan"),
    date(2027, 1, 31),
    "",
    "\x00",
    "a" * 300,
    [],
    ["{}", 1],
    {},
    {"x": 1},
]
USUAL: dict[str, list[Any]] = {"boolean": [True, False], "int": [1, 512], "float": [1, 0.5, 99], "": ["128", "-", "{}"]}


def values_for(key: str) -> st.SearchStrategy[Any]:
    """Return values that the option most often takes, and now and then anything."""
    kind = PARAMETERS[key].type.name.split(" ")[0] if key in PARAMETERS else ""
    choices = PARAMETERS[key].type.choices if kind == "choice" else USUAL.get(kind, USUAL[""])
    usual = st.sampled_from(choices)
    return st.integers(0, 4).flatmap(lambda chance: st.sampled_from(WILD) if chance == 0 else usual)


ENTRIES = KEYS_TO_SET.flatmap(lambda key: st.tuples(st.just(key), values_for(key)))


def as_toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {as_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if isinstance(value, bool | str):
        return json.dumps(value)
    return value.isoformat() if isinstance(value, date) else str(value)


def complaint_about(document: str, folder: str) -> str | None:
    Path(folder, "powertune.toml").write_text(document, encoding="utf-8")
    try:
        settings = load(Path(folder), {"POWERTUNE_CONFIG": "powertune.toml"}, lambda: SCHEMA)
    except BadInputError as error:
        return error.message
    for command in SCHEMA.options:
        for setting in settings.defaults_for(command, "f").values():
            assert re.fullmatch(r"powertune\.toml:\d+", setting.origin)
    assert settings.function("f").name == "f"
    return None


@given(st.lists(ENTRIES, max_size=4, unique_by=lambda entry: entry[0]))
def test_a_file_is_refused_for_an_entry_that_is_refused_alone_and_at_its_line(entries: list[tuple[str, Any]]) -> None:
    lines = [f"{key} = {as_toml(value)}" for key, value in entries]
    with tempfile.TemporaryDirectory() as folder:
        alone = [complaint_about(line, folder) for line in lines]
        together = complaint_about("\n".join(lines), folder)
    expected = {
        complaint.replace("powertune.toml:1:", f"powertune.toml:{number}:")
        for number, complaint in enumerate(alone, 1)
        if complaint
    }
    if any(RIVALS.get(key, frozenset()) & {other for other, _ in entries} for key, _ in entries):
        assert together is not None
    else:
        assert together in expected if expected else together is None
