"""What the commands take from settings: which options may be set is read off the commands themselves."""

import math
import os
import re
import shlex
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from powertune import text
from powertune.errors import PowertuneError
from powertune.settings.values import Option, Schema, kind_of

if TYPE_CHECKING:
    from powertune.settings import Setting, Settings

_CONSENT = "it is consent, which whoever runs the command gives"
_ONE_RUN = "it is about one run"
REFUSED: Mapping[str, str] = {
    "alias": "it belongs to --apply",
    "alpt_input": _ONE_RUN,
    "apply": _CONSENT,
    "check": _ONE_RUN,
    "debug": "it counts before settings are read",
    "diff": _ONE_RUN,
    "explain": _ONE_RUN,
    "force": _CONSENT,
    "from_file": _ONE_RUN,
    "init": _ONE_RUN,
    "insights": _ONE_RUN,
    "latest": _CONSENT,
    "live": _CONSENT,
    "pick": _ONE_RUN,
    "plan": _ONE_RUN,
    "recalibrate": _ONE_RUN,
    "runtime_api": "it goes with the command behind it",
    "shared": _CONSENT,
    "yes": _CONSENT,
}
"""Options that neither a file nor the environment may give, and why."""

_HIDDEN = {
    "policy": frozenset({"log_group", "payload", "pre_processor", "post_processor"}),
}
"""A policy is for what its own line says: permissions that nobody asked for are none of the project's habits."""
_WITHOUT_SETTINGS = frozenset({"config", "completion"})
_KEPT = "powertune.settings"


def commands(root: Any) -> Iterator[tuple[str, Any]]:
    """Yield name and command of all that Typer made; `prices refresh` is named `prices-refresh`."""
    for name, command in root.commands.items():
        yield name, command
        for inner_name, inner in commands(command) if hasattr(command, "commands") else ():
            yield f"{name}-{inner_name}", inner


def options_of(command: Any) -> Iterator[tuple[str, Any]]:
    """Yield key and parameter of each option with a long name that settings may hold."""
    for parameter in command.params:
        long = [name for name in parameter.opts if name.startswith("--")]
        if parameter.param_type_name == "option" and long:
            key = long[0].removeprefix("--").replace("-", "_")
            if key not in REFUSED and key != "help":
                yield key, parameter


def schema_of(root: Any) -> Schema:
    """Return what may be set for the commands of the application."""
    return Schema(
        {
            name: {key: _option(parameter) for key, parameter in options_of(command)}
            for name, command in commands(root)
            if name not in _WITHOUT_SETTINGS
        },
        REFUSED,
        _HIDDEN,
    )


def settings_of(context: typer.Context) -> "Settings":
    """Return the settings in force where the command runs, read once. Raises BadInputError."""
    if _KEPT not in context.meta:
        from powertune.settings import load  # noqa: PLC0415 - only commands that run need it

        root = context.find_root()
        settings = load(_here(), os.environ, lambda: schema_of(root.command), config=root.params["_config"])
        context.meta[_KEPT] = settings
    kept: Settings = context.meta[_KEPT]
    return kept


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError:  # somebody removed the folder: there is no project around it, and that is no reason to fail
        return Path("/")


def command_of(context: typer.Context) -> str:
    """Return the name under which settings know the command that runs."""
    return context.command_path.split(" ", 1)[-1].replace(" ", "-")


def given_on_line(context: typer.Context) -> frozenset[str]:
    """Return keys of the options, and names of the arguments, that the command line itself gives."""
    given = {name for name in context.params if _source(context, name) == "COMMANDLINE"}
    return frozenset(given | {key for key, parameter in options_of(context.command) if parameter.name in given})


def from_settings(context: typer.Context) -> "dict[str, Setting]":
    """Return what stands in for options that the command line does not give, by name of the parameter."""
    command = command_of(context)
    is_first = _KEPT not in context.meta
    settings, given = settings_of(context), given_on_line(context)
    if is_first and not context.params.get("quiet"):
        for warning in settings.warnings:
            print(f"Warning: {warning.message}\n  {warning.hint}", file=sys.stderr)
    names = {name: name for name in context.params}  # of arguments, too: a function's handler
    names |= {key: parameter.name for key, parameter in options_of(context.command)}
    found = settings.defaults_for(command, given=given)
    naming = ["function", "named", *(["handler"] if "template" in given else [])]
    function = next((name for key in naming if (name := name_of_function(context.params.get(key)))), None)
    if function is None and "function" in found:
        function = name_of_function(found["function"].value)
    if function is not None:
        found = settings.defaults_for(command, function, given)
    return {names[key]: setting for key, setting in found.items() if key in names}


def tell_origins(error: PowertuneError, context: typer.Context, taken: "Mapping[str, Setting]") -> None:
    """Add to the hint of an error where the values come from that it is about, if not from the command line."""
    free = {parameter.name for parameter in context.command.params if parameter.type.name != "choice"}
    about = {
        setting.origin
        for name, setting in taken.items()
        if _names(error.message, f"--{name.replace('_', '-')}")
        or (name in free and any(_names(error.message, value) for value in _texts(setting.value)))
    }
    if about:
        error.hint += f"; it was set in {' and '.join(sorted(about))}"


def _texts(value: object) -> list[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str) and one]


def _names(message: str, what: str) -> bool:
    """Tell whether a message names a word, a path or an option, and not just part of one."""
    return re.search(rf"(?<![\w-]){re.escape(text.printable(what))}(?![\w-])", message) is not None


def name_of_function(named: object) -> str | None:
    """Return a function's name, by which settings know it: without account and qualifier.

    None where a command is about several, each with settings of its own.
    """
    if not isinstance(named, str):
        return None
    from powertune.aws_lambda.function_name import parse_function  # noqa: PLC0415 - few lines name one

    try:
        return parse_function(named).name
    except PowertuneError:  # a name in a template; if it is one on AWS that is meant, the command says what is wrong
        return named


def _source(context: typer.Context, name: str) -> str:
    source = context.get_parameter_source(name)
    return source.name if source else ""


def _option(parameter: Any) -> Option:
    def from_toml(value: object, folder: str) -> object:
        if parameter.multiple:
            items = value if isinstance(value, list) else [value]
            return [_converted(parameter, _plain(parameter, item, folder)) for item in items]
        return _converted(parameter, _plain(parameter, value, folder))

    def from_text(value: str) -> object:
        if parameter.multiple:
            return [_converted(parameter, item) for item in shlex.split(value)]
        return _converted(parameter, value)

    return Option(from_toml, from_text)


def _converted(parameter: Any, value: object) -> object:
    """Return a value as the command takes it. Raises ValueError, as the command line would complain."""
    try:
        converted = parameter.type.convert(value, parameter, None)
    except typer.BadParameter as error:
        # A parser of our own leaves nothing but the value as a message.
        complaint = error.message if " " in error.message else f"{error.message!r} is not what this takes"
        raise ValueError(complaint.removesuffix(".")) from error
    if isinstance(converted, float) and not math.isfinite(converted):
        raise ValueError(f"{converted} is no number to work with")
    return converted


def _plain(parameter: Any, value: object, folder: str) -> object:
    """Return a TOML value of the kind that the option takes, ready to convert. Raises ValueError.

    TOML has kinds, and a `tolerance = "5"` is a slip more often than not. Where an option has a notation of its own,
    lists of sizes or per cent, plain numbers do, too.
    """
    kind, is_number = parameter.type.name, isinstance(value, int | float) and not isinstance(value, bool)
    metavar = (parameter.metavar or "").split("|")
    if "SIZES" in metavar:
        sizes = value if isinstance(value, list) else [value]
        if sizes and all(isinstance(size, str | int) and not isinstance(size, bool) for size in sizes):
            return _checked_sizes(",".join(map(str, sizes)))
        raise ValueError(f"takes sizes, such as [128, 512, 1024] or '128..3008:64', and has {kind_of(value)}")
    if kind == "boolean":
        if not isinstance(value, bool):
            raise ValueError(f"takes true or false, and has {kind_of(value)}")
    elif kind.startswith("int"):
        if not is_number or isinstance(value, float):
            raise ValueError(f"takes a whole number, and has {kind_of(value)}")
    elif kind.startswith("float"):
        if not is_number:
            raise ValueError(f"takes a number, and has {kind_of(value)}")
    elif kind in ("str", "choice"):
        if not isinstance(value, str):
            raise ValueError(f"takes text in quotes, and has {kind_of(value)}")
        return _from_folder(value, metavar, folder)
    elif isinstance(value, str) or is_number:
        return str(value)  # for a parser of our own
    else:
        raise ValueError(f"takes a number or text in quotes, and has {kind_of(value)}")
    return value


def _checked_sizes(sizes: str) -> str:
    from powertune.aws_lambda.memory import parse_sizes  # noqa: PLC0415 - few files have sizes

    try:
        parse_sizes(sizes)
    except PowertuneError as error:
        raise ValueError(error.message) from error
    return sizes


def _from_folder(value: str, metavar: Collection[str], folder: str) -> str:
    """Return a path in a settings file as it can be opened from here; what is no path stays as it is.

    An option that takes nothing but paths gets one even if there is no such file yet; others only where there is.
    """
    here = os.path.relpath(folder)
    is_no_path = not {"FILE", "DIR", "PATH"} & set(metavar) or value in ("", "-") or "://" in value
    if here == "." or is_no_path or Path(value).is_absolute():
        return value
    path = f"{here}/{value}"
    takes_paths_only = {"FILE", "DIR"} >= set(metavar)
    return path if takes_paths_only or (not value.startswith("@") and _is_there(path)) else value


def _is_there(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # too long for a name: JSON
        return False
