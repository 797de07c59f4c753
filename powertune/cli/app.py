"""The Typer application: its commands and `--version`."""

import inspect
from collections.abc import Callable
from typing import Annotated

import typer

from powertune import __version__
from powertune.cli import (
    apply,
    compare,
    completion,
    config,
    doctor,
    dry_run,
    estimate,
    gate,
    options,
    policy,
    prices,
    report,
    restore,
    tune,
)

app = typer.Typer(
    name="powertune",
    help="Pick the memory size of an AWS Lambda function from measurements: for cost, for speed, or balanced.",
    epilog="Start with: powertune dry-run powertune.examples.primes:handler -p @primes",
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
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


def _help(function: Callable[..., None], examples: str) -> str:
    """Return what --help says of a command: in a sentence, then by example, then at length.

    That is its docstring, whose paragraphs the terminal's width wraps anew, with examples behind the first.
    """
    paragraphs = [*inspect.cleandoc(function.__doc__ or "").split("\n\n")]
    summary, *rest = (" ".join(paragraph.split()) for paragraph in paragraphs)
    return "\n\n".join([summary, *inspect.cleandoc(examples).split("\n\n"), *rest])


def _add(group: typer.Typer, name: str, function: Callable[..., None], examples: str) -> None:
    group.command(name, help=_help(function, examples))(options.command(function))


_add(app, "tune", tune.tune, tune.EXAMPLES)
_add(app, "dry-run", dry_run.dry_run, dry_run.EXAMPLES)
_add(app, "estimate", estimate.estimate, estimate.EXAMPLES)
_add(app, "gate", gate.gate, gate.EXAMPLES)
_add(app, "apply", apply.apply, apply.EXAMPLES)
_add(app, "report", report.report, report.EXAMPLES)
_add(app, "compare", compare.compare, compare.EXAMPLES)
prices_app = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]})
prices_app.callback(invoke_without_command=True)(options.command(prices.prices))
_add(prices_app, "refresh", prices.refresh, prices.REFRESH_EXAMPLES)
app.add_typer(prices_app, name="prices", help=_help(prices.prices, prices.EXAMPLES))
_add(app, "restore", restore.restore, restore.EXAMPLES)
_add(app, "policy", policy.policy, policy.EXAMPLES)
_add(app, "doctor", doctor.doctor, doctor.EXAMPLES)
_add(app, "config", config.config, config.EXAMPLES)
app.command("completion", help=_help(completion.completion, completion.EXAMPLES))(completion.completion)
