"""`powertune completion`: the script that makes a shell complete, and what is completed beyond commands and options."""

import re
import sys
from typing import Annotated, Any, Literal

import typer

from powertune.cli.deliver import write_out

EXAMPLES = """
Examples: eval "$(powertune completion bash)"

powertune completion fish > ~/.config/fish/completions/powertune.fish
"""

_HARMLESS = re.compile(r"[A-Za-z0-9_.-]+")
"""Names that no shell finds anything in to expand or to run. Typer hands names to zsh in text that zsh evaluates."""


def completion(
    shell: Annotated[
        Literal["bash", "zsh", "fish"],
        typer.Argument(metavar="bash|zsh|fish", help="The shell that the script is for."),
    ],
) -> None:
    """Print the script with which a shell completes commands, options, and the functions of a template.

    In bash and zsh, put eval "$(powertune completion zsh)" into ~/.zshrc, after compinit, or the like into ~/.bashrc;
    fish takes it as a file in its folder for completions. Nothing is asked over the network.
    """
    # Typer's own --show-completion ignores the name of a shell; what it prints is made here.
    from typer.completion import get_completion_script  # type: ignore[attr-defined] # noqa: PLC0415 - only this needs it

    script = get_completion_script(prog_name="powertune", complete_var="_POWERTUNE_COMPLETE", shell=shell)
    write_out(f"{script}\n", sys.stdout)


def function_names(context: typer.Context, incomplete: str) -> list[str]:
    """Return the functions that `--function` may mean, by what is typed of it: of the template, and of settings.

    The template is that of the line, else that of settings. Whatever is wrong with one of them, the command will tell.
    """
    from contextlib import suppress  # noqa: PLC0415 - not for other commands

    from powertune.cli.configured import command_of, settings_of  # noqa: PLC0415 - likewise
    from powertune.templates import read_template  # noqa: PLC0415 - likewise

    names: set[str] = set()
    templates = context.params.get("template")
    with suppress(Exception):
        settings = settings_of(context)
        names.update(settings.function_names)
        templates = templates or settings.defaults_for(command_of(context))["template"].value
    for template in [templates] if isinstance(templates, str) else templates or ():
        with suppress(Exception):
            names.update(function.name for function in read_template(template))
    return sorted(name for name in names if name.startswith(incomplete) and _HARMLESS.fullmatch(name))


def command_names(context: typer.Context, incomplete: str) -> list[str]:
    """Return the commands that settings may be about, by what is typed of one."""
    from powertune.cli.configured import schema_of  # noqa: PLC0415 - not for other commands

    root: Any = context.find_root().command
    return [name for name in schema_of(root).options if name.startswith(incomplete)]
