"""What settings are: values with their origin, and which of them holds. Pure data."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from powertune.model.budgets import Budgets, Waiver
from powertune.model.configured import Place
from powertune.model.run_warning import RunWarning

DEFAULT = "default"
"""Origin of what nobody has set."""

RIVALS: Mapping[str, frozenset[str]] = {
    "payload": frozenset({"payloads"}),
    "payloads": frozenset({"payload"}),
    "alpt_input": frozenset({"payload", "payloads"}),
    "runtime_api": frozenset({"isolate", "python", "verify"}),
    "fail_on": frozenset({"soft_fail"}),
    "soft_fail": frozenset({"fail_on"}),
    "files": frozenset({"log_group", "prefix", "since", "until", "profile"}),
}
"""What is given for the one silences weaker settings for the others, with which it could not stand together."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One value, checked, and where it comes from."""

    value: Any
    origin: str
    """`powertune.toml:12`, `POWERTUNE_TOLERANCE`."""
    place: Place | None = None
    """None where no file says it."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a command that may be set. Both functions raise ValueError that says in words what is wrong."""

    from_toml: Callable[[object, str], object]
    """The command's value for one of a file, given the folder that paths in that file are relative to."""
    from_text: Callable[[str], object]
    """The same for the text of an environment variable."""


@dataclass(frozen=True, slots=True)
class Schema:
    """What may be set, as the command line has it."""

    options: Mapping[str, Mapping[str, Option]]
    """By command and by key: the option's long name, with `_` for `-`."""
    refused: Mapping[str, str]
    """Why an option is left to the command line, by key."""
    hidden: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Keys whose general setting does not reach a command, which takes something else under the same name."""

    def help_of(self, command: str) -> str:
        """Return where the options of a command are explained: `see: powertune prices refresh --help`."""
        group, _, inner = command.partition("-")
        return f"see: powertune {f'{group} {inner}' if group in self.options and inner else command} --help"

    def reached_by(self, key: str) -> Iterator[str]:
        """Yield the commands for which a general setting holds."""
        for command, options in self.options.items():
            if key in options and key not in self.hidden.get(command, ()):
                yield command


@dataclass(frozen=True, slots=True)
class Layer:
    """What one place says: the environment, the project's file, or the user's."""

    kind: Literal["environment", "project", "user"]
    file: str | None = None
    options: Mapping[str, Mapping[str, Setting]] = field(default_factory=dict)
    """By command; what is said for all commands stands with each that has the option."""
    functions: Mapping[str, Mapping[str, Setting]] = field(default_factory=dict)
    budgets: Mapping[str, Setting] = field(default_factory=dict)
    function_budgets: Mapping[str, Mapping[str, Setting]] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()


@dataclass(frozen=True, slots=True)
class FunctionSettings:
    """All that is set for one function: its own settings, and general ones where it has none. None for not set."""

    name: str
    payload: str | None = None
    payloads: str | None = None
    handler: str | None = None
    env_file: tuple[str, ...] = ()
    python: str | None = None
    strategy: Literal["cost", "speed", "balanced"] | None = None
    tolerance: float | None = None
    """In per cent."""
    invocations_per_month: float | None = None
    current: int | None = None
    """Its memory size in MB."""
    skip: str | None = None
    """Why it is left out."""
    budgets: Budgets = field(default_factory=Budgets)
    origins: Mapping[str, Setting] = field(default_factory=dict)
    """Each of the above that is set, by name, budgets as `budgets.max_p95_ms`."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is set, strongest layer first."""

    layers: tuple[Layer, ...] = ()
    warnings: tuple[RunWarning, ...] = ()
    """Files and variables that were left out."""

    def defaults_for(
        self, command: str, function: str | None = None, given: Collection[str] = ()
    ) -> Mapping[str, Setting]:
        """Return what stands in for the options of `command` that are not given on its line, by key.

        With the name of a function its own settings count, too: before those of the file they stand in, after stronger
        layers. `given` are keys and names of arguments that the line has: these and their rivals are left out.
        """
        silenced = set(given).union(*(RIVALS.get(key, ()) for key in given))
        found: dict[str, Setting] = {}
        for layer in self.layers:
            for said in (layer.functions.get(function or "", {}), layer.options.get(command, {})):
                new = {key: setting for key, setting in said.items() if key not in silenced}
                found |= new
                silenced |= set(new).union(*(RIVALS.get(key, ()) for key in new))
        return found

    def function(self, name: str, command: str = "gate") -> FunctionSettings:
        """Return what is set for a function, with what is general for `command` where the function has nothing."""
        found = dict(self.defaults_for(command, name))
        origins = {key: found[key] for key in found if key in _FUNCTION_FIELDS}
        values: dict[str, Any] = {
            key: tuple(setting.value) if key == "env_file" else setting.value for key, setting in origins.items()
        }
        budgets: dict[str, Setting] = {}
        for layer in self.layers:
            for said in (layer.function_budgets.get(name, {}), layer.budgets):
                budgets = {**said, **budgets}
        return FunctionSettings(
            name,
            **values,
            budgets=Budgets(**{key: setting.value for key, setting in budgets.items()}),
            origins=origins | {f"budgets.{key}": setting for key, setting in budgets.items()},
        )

    @property
    def function_names(self) -> tuple[str, ...]:
        """Functions that have settings of their own, sorted."""
        return tuple(sorted({name for layer in self.layers for name in (*layer.functions, *layer.function_budgets)}))

    @property
    def waivers(self) -> tuple[Waiver, ...]:
        """All waivers, those of the project first."""
        return tuple(waiver for layer in self.layers for waiver in layer.waivers)


_FUNCTION_FIELDS = frozenset(item.name for item in fields(FunctionSettings)) - {"name", "budgets", "origins"}


def kind_of(value: object) -> str:
    """Return what kind of TOML value this is, in words, without the value: it may be a secret."""
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "true or false"),
        (int, "a whole number"),
        (float, "a number"),
        (str, "text" if value else "an empty text"),
        (list, "a list"),
        (dict, "a table"),
    )
    return next((words for kind, words in kinds if isinstance(value, kind)), "a date or time")
