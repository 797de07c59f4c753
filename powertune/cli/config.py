"""`powertune config`: what is set, and where each value comes from."""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any

import typer

from powertune import text
from powertune.cli.completion import command_names, function_names
from powertune.cli.deliver import write_out
from powertune.errors import UsageError
from powertune.report import check_format

if TYPE_CHECKING:
    from powertune.model.budgets import Waiver
    from powertune.settings import Setting, Settings

EXAMPLES = """
Examples: powertune config

powertune config dry-run --function Orders

powertune config --check
"""

_FORMATS = ("table", "json")
_SECRET = "***"  # noqa: S105 - what stands in place of one


@dataclass(frozen=True, slots=True)
class _Row:
    """One value in force."""

    name: str
    """As a settings file has it, tables and all: `tolerance`, `tune.samples`, `functions.Orders.payload`."""
    value: Any
    origin: str


def config(
    context: typer.Context,
    command: Annotated[
        str | None,
        typer.Argument(
            metavar="[COMMAND]", help="One command, such as dry-run; all by default.", autocompletion=command_names
        ),
    ] = None,
    function: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What holds for this function, its own settings included.",
            autocompletion=function_names,
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only check the files and variables.")] = False,
    format_name: Annotated[str, typer.Option("-f", "--format", metavar="FORMAT", help="table or json.")] = "table",
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,  # noqa: ARG001 - main() looks for it
) -> None:
    """Show each setting in force and where it comes from.

    The command line outranks the environment (POWERTUNE_TOLERANCE, POWERTUNE_TUNE_TOLERANCE), which outranks the
    project's powertune.toml or the table tool.powertune of its pyproject.toml, which outranks the user's config.toml.
    Files of environment variables are named and not read. Exits with 3 where a file or a variable says what powertune
    does not know or take.
    """
    # Imported here: settings must not slow down --help and usage errors.
    from powertune.cli.configured import commands, name_of_function, schema_of, settings_of  # noqa: PLC0415

    check_format(format_name, _FORMATS)
    root = context.find_root().command
    known = {name: found for name, found in commands(root) if name in schema_of(root).options}
    if command is not None:
        if command not in known:
            hint = text.nearest(command, known) or f"there are: {', '.join(known)}"
            raise UsageError(f"{text.printable(command, limit=60)!r} is no command that takes settings", hint=hint)
        known = {command: known[command]}
    settings, function = settings_of(context), name_of_function(function)
    if check:
        write_out(
            "".join(f"{text.printable(file)}: good\n" for file in _files(settings)) or "There is no settings file.\n",
            sys.stdout,
        )
        return
    if function is not None and function not in settings.function_names:
        near = text.nearest(function, settings.function_names)
        name = text.printable(function, limit=60)
        print(f"{name} has no settings of its own{f'; {near}' if near else ''}", file=sys.stderr)
    rows = [*_option_rows(settings, known, function), *_function_rows(settings, function)]
    today = datetime.now(UTC).date()
    waivers = [
        (waiver, waiver.until < today)
        for waiver in settings.waivers
        if function is None or fnmatchcase(function, waiver.function)
    ]
    write_out(_as_json(settings, rows, waivers) if format_name == "json" else _as_table(rows, waivers), sys.stdout)


def _files(settings: "Settings") -> list[str]:
    return [layer.file for layer in settings.layers if layer.file is not None]


def _option_rows(settings: "Settings", known: Mapping[str, Any], function: str | None) -> list[_Row]:
    """Return the options, those that are set first: in one row where all commands agree, else one for each command."""
    from powertune.cli.configured import options_of  # noqa: PLC0415 - as above
    from powertune.settings.values import DEFAULT  # noqa: PLC0415 - likewise

    by_key: dict[str, dict[str, _Row]] = {}
    for command, found in known.items():
        said = settings.defaults_for(command, function)
        for key, parameter in options_of(found):
            row = _row(key, said[key]) if key in said else _Row(key, parameter.default, DEFAULT)
            by_key.setdefault(key, {})[command] = row
    found_rows: list[_Row] = []
    for key, rows in sorted(by_key.items()):
        first = next(iter(rows.values()))
        if all((_in_words(row.value), row.origin) == (_in_words(first.value), first.origin) for row in rows.values()):
            found_rows.append(first)
        else:
            found_rows += [_Row(f"{command}.{key}", row.value, row.origin) for command, row in rows.items()]
    return sorted(found_rows, key=lambda row: row.origin == DEFAULT)


def _function_rows(settings: "Settings", function: str | None) -> Iterator[_Row]:
    """Yield what is said of functions: of all, each with its own; or of one, merged with what is said of all."""
    if function is not None:
        yield from (
            _row(name, setting)
            for name, setting in settings.function(function).origins.items()
            if name in ("skip", "handler") or name.startswith("budgets.")
        )
        return
    seen = set()
    for layer in settings.layers:
        tables = {"budgets": layer.budgets}
        tables |= {f"functions.{name}": said for name, said in layer.functions.items()}
        tables |= {f"functions.{name}.budgets": said for name, said in layer.function_budgets.items()}
        for table, said in tables.items():
            for key, setting in said.items():
                name = f"{table}.{key}"
                if name not in seen:
                    seen.add(name)
                    yield _row(name, setting)


def _row(name: str, setting: "Setting") -> _Row:
    return _Row(name, _without_secrets(name.rpartition(".")[2], setting.value), setting.origin)


def _without_secrets(key: str, value: Any) -> Any:
    """Return a value as it may be shown: neither values of environment variables and parameters nor payloads."""
    if key in ("env", "parameter"):
        return [f"{pair.partition('=')[0]}={_SECRET}" for pair in value]
    if key == "payload" and value.lstrip()[:1] in ("{", "[", '"'):
        return f"JSON, {text.count(len(value), 'character')}"
    return value


def _as_table(rows: list[_Row], waivers: "list[tuple[Waiver, bool]]") -> str:
    cells = [(text.printable(row.name, limit=60), _in_words(row.value), text.printable(row.origin)) for row in rows]
    cells += [
        (
            "waivers",
            text.printable(f"{waiver.function} {waiver.rule} until {waiver.until}{' (expired)' if expired else ''}"),
            f"{_place(waiver)}  {text.printable(waiver.reason)}",
        )
        for waiver, expired in waivers
    ]
    name_width, value_width = (max(len(row[column]) for row in cells) for column in (0, 1))
    return "".join(f"{name:<{name_width}}  {value:<{value_width}}  {origin}\n" for name, value, origin in cells)


def _place(waiver: "Waiver") -> str:
    return f"{text.printable(waiver.place.file)}:{waiver.place.line}" if waiver.place else ""


def _in_words(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.12g}"
    return text.printable(", ".join(map(str, value)) if isinstance(value, list) else value, limit=60)


def _as_json(settings: "Settings", rows: list[_Row], waivers: "list[tuple[Waiver, bool]]") -> str:
    document = {
        "schema_version": 1,
        "files": _files(settings),
        "settings": [{"name": row.name, "value": row.value, "origin": row.origin} for row in rows],
        "waivers": [
            {
                "function": waiver.function,
                "rule": waiver.rule,
                "reason": waiver.reason,
                "until": waiver.until.isoformat(),
                "expired": expired,
                "origin": _place(waiver),
            }
            for waiver, expired in waivers
        ],
    }
    return json.dumps(document, indent=2) + "\n"
