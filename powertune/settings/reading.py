"""What a settings file says, checked: unknown keys and values of a wrong kind are errors that name the line."""

import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from datetime import date, datetime
from typing import Any, get_args, get_type_hints

from powertune import text
from powertune.errors import BadInputError
from powertune.model.budgets import Budgets, Waiver
from powertune.model.gate_rules import SEVERITY_OF
from powertune.settings.files import SettingsFile
from powertune.settings.values import RIVALS, Layer, Option, Schema, Setting, kind_of

FUNCTION_KEYS = frozenset(
    {
        "payload",
        "payloads",
        "handler",
        "env_file",
        "python",
        "strategy",
        "tolerance",
        "invocations_per_month",
        "current",
        "skip",
    }
)
"""What may be said of one function, besides its budgets. Most are options of commands, and are checked as such."""

BUDGET_KEYS: Mapping[str, type] = {
    name: int if int in get_args(hint) else float for name, hint in get_type_hints(Budgets).items()
}
"""The budgets and the kind of number each takes."""

WAIVER_KEYS = tuple(item.name for item in fields(Waiver) if item.name != "place")
_TABLES = frozenset({"budgets", "functions", "waivers"})
_MOST_PERCENT = 100


def layer_of(file: SettingsFile, schema: Schema) -> Layer:
    """Return what a file says. Raises BadInputError, with the line, for what powertune does not know or take."""
    general_keys = {key for options in schema.options.values() for key in options}
    general: dict[str, Any] = {}
    own: dict[str, Mapping[str, Any]] = {}
    for key, value in file.table.items():
        if key in _TABLES:
            continue
        if key in schema.options and (isinstance(value, dict) or key not in general_keys | schema.refused.keys()):
            own[key] = _table(file, (key,), value)
            _check_keys(file, (key,), value, schema.options[key], schema)
        else:
            _check_keys(file, (), [key], general_keys | _TABLES | schema.options.keys(), schema)
            general[key] = value
    _check_rivals(file, general)
    options: dict[str, dict[str, Setting]] = {command: {} for command in schema.options}
    for command, said in own.items():
        _check_rivals(file, said, command)
        options[command] = {
            key: _setting(file, (command, key), value, schema.options[command][key], schema.help_of(command))
            for key, value in said.items()
        }
    for key, value in general.items():
        for command in schema.reached_by(key):
            said = own.get(command, {})
            if key not in said and not any(key in RIVALS.get(one, ()) for one in said):
                options[command][key] = _setting(
                    file, (key,), value, schema.options[command][key], schema.help_of(command)
                )
    functions, function_budgets = _functions(file, schema)
    return Layer(
        file.kind,
        file.shown,
        options,
        functions,
        _budgets(file, ("budgets",), file.table.get("budgets", {})),
        function_budgets,
        tuple(_waivers(file)),
    )


def _setting(
    file: SettingsFile, path: tuple[str | int, ...], value: object, option: Option, hint: str = "mend it"
) -> Setting:
    place = file.place(*path)
    try:
        return Setting(option.from_toml(value, str(file.path.parent)), file.origin(*path), place)
    except ValueError as error:
        raise _wrong(file, path, str(error), hint) from error


def _functions(
    file: SettingsFile, schema: Schema
) -> tuple[Mapping[str, Mapping[str, Setting]], Mapping[str, Mapping[str, Setting]]]:
    """Return the settings and the budgets of each function."""
    settings, budgets = {}, {}
    for name, table in _table(file, ("functions",), file.table.get("functions", {})).items():
        path = ("functions", name)
        _check_keys(file, path, _table(file, path, table), FUNCTION_KEYS | {"budgets"}, schema)
        _check_rivals(file, table, *path)
        settings[name] = {
            key: _setting(file, (*path, key), value, _function_option(key, schema))
            for key, value in table.items()
            if key != "budgets"
        }
        budgets[name] = _budgets(file, (*path, "budgets"), table.get("budgets", {}))
    return settings, budgets


def _function_option(key: str, schema: Schema) -> Option:
    """Return the option that a key of a function stands for; one that takes words where no command has it."""
    return next((options[key] for options in schema.options.values() if key in options), _WORDS)


def _words(value: object, _folder: str = "") -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"takes words in quotes, and has {kind_of(value)}")
    return value


def _rule(value: object, _folder: str = "") -> str:
    name = _words(value)
    if name not in ("*", *SEVERITY_OF):
        near = text.nearest(name, SEVERITY_OF) or f'there are: "*" for all, {", ".join(SEVERITY_OF)}'
        raise ValueError(f"{text.printable(name, limit=40)} is no rule of the gate; {near}")
    return name


_WORDS, _RULE = Option(_words, _words), Option(_rule, _rule)


def _budgets(file: SettingsFile, path: tuple[str, ...], table: object) -> Mapping[str, Setting]:
    checked = _table(file, path, table)
    _check_keys(file, path, checked, BUDGET_KEYS)
    return {key: _setting(file, (*path, key), value, _budget_option(key)) for key, value in checked.items()}


def _budget_option(key: str) -> Option:
    whole = BUDGET_KEYS[key] is int

    def limit(value: object, _folder: str = "") -> float:
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            what = "a whole number" if whole else "a number"
            raise ValueError(f"takes {what}, and has {kind_of(value)}")  # noqa: TRY004 - as an Option does
        if not 0 <= value <= (_MOST_PERCENT if key == "min_saving_pct" else sys.float_info.max):
            raise ValueError(f"{value} is out of range")
        return value

    return Option(limit, limit)


def _waivers(file: SettingsFile) -> Iterable[Waiver]:
    tables = file.table.get("waivers", [])
    if not isinstance(tables, list):
        raise _wrong(file, ("waivers",), f"takes tables, and has {kind_of(tables)}", "write [[waivers]] for each")
    for position, entry in enumerate(tables):
        path = ("waivers", position)
        table = _table(file, path, entry)
        _check_keys(file, path, table, WAIVER_KEYS)
        for key in WAIVER_KEYS:
            if key not in table:
                raise _wrong(file, path, f"this waiver has no {key}", _WAIVER_HINT)
            if key != "until":
                _setting(file, (*path, key), table[key], _RULE if key == "rule" else _WORDS)
        until = table["until"]
        if not isinstance(until, date) or isinstance(until, datetime):
            raise _wrong(
                file, (*path, "until"), f"takes a date, and has {kind_of(until)}", "write it as 2027-01-31, no quotes"
            )
        yield Waiver(table["function"], table["rule"], table["reason"].strip(), until, file.place(*path))


_ALL = "powertune config lists what can be set"
_WAIVER_HINT = "say function, rule, reason, and until when, such as until = 2027-01-31"


def _table(file: SettingsFile, path: tuple[str | int, ...], value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(file, path, f"takes a table, and has {kind_of(value)}", "see: powertune config --help")
    return value


def _check_keys(
    file: SettingsFile,
    path: tuple[str | int, ...],
    keys: Iterable[str],
    known: Collection[str],
    schema: Schema | None = None,
) -> None:
    """Raise BadInputError for a key that is not known, or that is left to the command line."""
    for key in keys:
        if schema is not None and key in schema.refused:
            raise _wrong(
                file, (*path, key), f"this is not for a file: {schema.refused[key]}", "give it on the command line"
            )
        if key == "tool" and not path and not file.prefix:
            raise _wrong(file, (key,), "keys stand at the top of this file", "leave out [tool.powertune]")
        if key not in known:
            where = f" in {'.'.join(map(str, path))}" if path else ""
            raise _wrong(
                file,
                (*path, key),
                f"there is no such setting{where}",
                text.nearest(key, known) or (f"there are: {', '.join(sorted(known))}" if path else _ALL),
            )


def _check_rivals(file: SettingsFile, table: Mapping[str, Any], *path: str) -> None:
    for key in table:
        for rival in RIVALS.get(key, frozenset()) & table.keys():
            raise _wrong(file, (*path, key), f"{key} and {rival} exclude each other", "keep one of them")


def _wrong(file: SettingsFile, path: tuple[str | int, ...], what: str, hint: str) -> BadInputError:
    key = text.printable(path[-1] if isinstance(path[-1], str) else path[-2], limit=60)
    return BadInputError(f"{file.origin(*path)}: {key}: {what}", hint=hint)
