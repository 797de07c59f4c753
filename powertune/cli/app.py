"""The Typer application: its commands and `--version`. A command is loaded when it is run or asked about.

All of them together take a tenth of a second to load, which an answer such as `--version` need not wait for.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from powertune import __version__

_COMMANDS = (
    "tune",
    "dry-run",
    "estimate",
    "gate",
    "apply",
    "report",
    "compare",
    "prices",
    "restore",
    "policy",
    "doctor",
    "config",
    "completion",
)
"""In the order of --help. The module and the function of each have its name, with `_` for `-`."""
_CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"]}


class _OnDemand(Mapping[str, Any]):
    """Commands by name, each made when it is first asked for."""

    def __getitem__(self, name: str) -> Any:
        if name not in _COMMANDS:
            raise KeyError(name)
        return _make(name)

    def __iter__(self) -> Iterator[str]:
        return iter(_COMMANDS)

    def __len__(self) -> int:
        return len(_COMMANDS)


class _Root(TyperGroup):
    """The group of all commands."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _OnDemand()  # type: ignore[assignment] # nothing is ever added

    def list_commands(self, ctx: object) -> list[str]:  # noqa: ARG002 - as Typer calls it
        return list(self.commands)


app = typer.Typer(
    name="powertune",
    cls=_Root,
    help="Pick the memory size of an AWS Lambda function from measurements: for cost, for speed, or balanced.",
    epilog="Start with: powertune dry-run powertune.examples.primes:handler -p @primes",
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings=_CONTEXT_SETTINGS,
)


def _show_version(asked: bool) -> None:  # noqa: FBT001 - Typer passes the option's value
    if asked:
        print(f"powertune {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", "-V", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
    _config: Annotated[
        str | None, typer.Option("--config", metavar="FILE", help="The only settings file to read; '' for none.")
    ] = None,
) -> None:
    pass


@cache
def _make(name: str) -> Any:
    """Return a command as Typer makes it, from the function that its module has."""
    from powertune.cli import options  # noqa: PLC0415 - not for --version

    module_name = name.replace("-", "_")
    module = import_module(f"powertune.cli.{module_name}")
    function = getattr(module, module_name)
    own = typer.Typer(
        name=name, add_completion=False, rich_markup_mode=app.rich_markup_mode, context_settings=_CONTEXT_SETTINGS
    )
    # A shell that starts evaluates what `completion` prints: broken settings must not stand in its way.
    callback = function if name == "completion" else options.command(function)
    inner = getattr(module, "SUBCOMMANDS", {})
    if inner:
        own.callback(invoke_without_command=True, help=_help(function, module.EXAMPLES))(callback)
        for inner_name, (inner_function, examples) in inner.items():
            own.command(inner_name, help=_help(inner_function, examples))(options.command(inner_function))
    else:
        own.command(name, help=_help(function, module.EXAMPLES))(callback)
    return get_command(own)


def _help(function: Callable[..., None], examples: str) -> str:
    """Return what --help says of a command: in a sentence, then by example, then at length.

    That is its docstring, whose paragraphs the terminal's width wraps anew, with examples behind the first.
    """
    paragraphs = [*inspect.cleandoc(function.__doc__ or "").split("\n\n")]
    summary, *rest = (" ".join(paragraph.split()) for paragraph in paragraphs)
    return "\n\n".join([summary, *inspect.cleandoc(examples).split("\n\n"), *rest])
