"""The Typer application: its commands and `--version`."""

import inspect
from collections.abc import Callable
from typing import Annotated

import typer

from powertune import __version__
from powertune.cli import (
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


def _help(function: Callable[..., None]) -> str:
    """Return a command's docstring with its paragraphs unwrapped: the terminal's width wraps them anew."""
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


app.command("tune", help=_help(tune.tune), epilog=tune.EXAMPLES)(options.command(tune.tune))
app.command("dry-run", help=_help(dry_run.dry_run), epilog=dry_run.EXAMPLES)(options.command(dry_run.dry_run))
app.command("estimate", help=_help(estimate.estimate), epilog=estimate.EXAMPLES)(options.command(estimate.estimate))
app.command("gate", help=_help(gate.gate), epilog=gate.EXAMPLES)(options.command(gate.gate))
prices_app = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]})
prices_app.callback(invoke_without_command=True)(options.command(prices.prices))
prices_app.command("refresh", help=_help(prices.refresh), epilog=prices.REFRESH_EXAMPLES)(
    options.command(prices.refresh)
)
app.add_typer(prices_app, name="prices", help=_help(prices.prices), epilog=prices.EXAMPLES)
app.command("compare", help=_help(compare.compare), epilog=compare.EXAMPLES)(options.command(compare.compare))
app.command("report", help=_help(report.report), epilog=report.EXAMPLES)(options.command(report.report))
app.command("restore", help=_help(restore.restore), epilog=restore.EXAMPLES)(options.command(restore.restore))
app.command("policy", help=_help(policy.policy), epilog=policy.EXAMPLES)(options.command(policy.policy))
app.command("doctor", help=_help(doctor.doctor), epilog=doctor.EXAMPLES)(options.command(doctor.doctor))
app.command("config", help=_help(config.config), epilog=config.EXAMPLES)(options.command(config.config))
app.command("completion", help=_help(completion.completion), epilog=completion.EXAMPLES)(completion.completion)
