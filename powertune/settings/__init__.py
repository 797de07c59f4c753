"""What a project, its user and the environment have set, and where each value comes from."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from powertune.settings.environment import layer_of_environment, variables_set
from powertune.settings.files import files_of
from powertune.settings.reading import layer_of
from powertune.settings.values import FunctionSettings, Layer, Option, Schema, Setting, Settings

if TYPE_CHECKING:
    from powertune.model.run_warning import RunWarning

__all__ = ["FunctionSettings", "Layer", "Option", "Schema", "Setting", "Settings", "load"]


def load(
    folder: Path, environ: Mapping[str, str], schema_of: Callable[[], Schema], *, config: str | None = None
) -> Settings:
    """Return what is set for commands that run in `folder`.

    `config`, else POWERTUNE_CONFIG, names the only file to read, relative to `folder`; an empty name stands for none.
    `schema_of` is called where anything is set: what all commands take has to be loaded for it.
    Raises BadInputError for a file that cannot be read, and for anything in it or in the environment that powertune
    does not know or take.
    """
    warnings: list[RunWarning] = []
    named = config if config is not None else environ.get("POWERTUNE_CONFIG")
    files = list(files_of(folder, environ, named, warnings))
    variables = variables_set(environ)
    if not files and not variables:
        return Settings((), tuple(warnings))
    schema = schema_of()
    environment = layer_of_environment(variables, schema, warnings)
    return Settings((environment, *(layer_of(file, schema) for file in files)), tuple(warnings))
