"""Settings from environment variables: POWERTUNE_TOLERANCE for all commands, POWERTUNE_TUNE_TOLERANCE for one."""

from collections.abc import Mapping

from powertune import text
from powertune.errors import BadInputError
from powertune.model.run_warning import RunWarning
from powertune.settings.values import Layer, Schema, Setting

PREFIX = "POWERTUNE_"
OTHER_VARIABLES: Mapping[str, str] = {
    "POWERTUNE_CONFIG": "The only settings file to read; empty for none. As --config.",
    "POWERTUNE_CONFIG_DIR": "Folder of the user's config.toml.",
    "POWERTUNE_CACHE_DIR": "Folder of refreshed prices.",
    "POWERTUNE_STATE_DIR": "Folder of journals of runs.",
    "POWERTUNE_PRICE_LIST_URL": "A mirror of AWS's price lists.",
}
"""Variables that stand for no option, and what they are for."""


def variables_of(schema: Schema) -> Mapping[str, tuple[str | None, str]]:
    """Return command and key of each variable; no command where it holds for all that have the option."""
    own = {
        f"{PREFIX}{command}_{key}".upper().replace("-", "_"): (command, key)
        for command, options in schema.options.items()
        for key in options
    }
    return own | {f"{PREFIX}{key}".upper(): (None, key) for options in schema.options.values() for key in options}


def variables_set(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the variables that are about settings; an empty one is as good as none."""
    return {
        name: value
        for name, value in environ.items()
        if name.startswith(PREFIX) and value and name not in OTHER_VARIABLES
    }


def layer_of_environment(variables: Mapping[str, str], schema: Schema, warnings: list[RunWarning]) -> Layer:
    """Return what the variables that are set say. Adds to `warnings` those that mean nothing here.

    Raises BadInputError for a value that the option does not take, and for what is left to the command line.
    """
    known = variables_of(schema)
    refused = {f"{PREFIX}{key}".upper(): why for key, why in schema.refused.items()}
    options: dict[str, dict[str, Setting]] = {command: {} for command in schema.options}
    # General variables first: those of one command outrank them.
    for name, value in sorted(variables.items(), key=lambda item: known.get(item[0], ("",))[0] is not None):
        if name in refused:
            raise BadInputError(
                f"{name} is not for the environment: {refused[name]}", hint="unset it, and give it on the command line"
            )
        if name not in known:
            near = text.nearest(name, [*known, *OTHER_VARIABLES])
            warnings.append(
                RunWarning(
                    "unknown-variable",
                    f"powertune does not know the environment variable {text.printable(name, limit=80)}",
                    near or "powertune config lists what can be set",
                )
            )
            continue
        command, key = known[name]
        for one in [command] if command else schema.reached_by(key):
            options[one][key] = _setting(name, value, schema, one, key)
    return Layer("environment", options=options)


def _setting(name: str, value: str, schema: Schema, command: str, key: str) -> Setting:
    try:
        return Setting(schema.options[command][key].from_text(value), name)
    except ValueError as error:
        raise BadInputError(f"{name}: {error}", hint=schema.help_of(command)) from error
