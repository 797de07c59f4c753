"""Options of reading recordings: where, and by how many."""

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from powertune.errors import UsageError

_READING = "Reading FILES"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How to read files."""

    skip_invalid: Annotated[
        bool,
        typer.Option("--skip-invalid", help="Leave out what cannot be read, and count it.", rich_help_panel=_READING),
    ] = False
    jobs: Annotated[
        int | None,
        typer.Option(
            "-j",
            "--jobs",
            min=1,
            max=1024,
            metavar="N",
            help="Processes that read side by side. [default: one a processor, if there is much to read]",
            rich_help_panel=_READING,
        ),
    ] = None
    engine: Annotated[
        Literal["local", "dask"],
        typer.Option(help="Read here, or on a Dask cluster; the figures are the same.", rich_help_panel=_READING),
    ] = "local"
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Of Dask, such as tcp://host:8786.", rich_help_panel=_READING),
    ] = None


def check_engine(reading: Reading) -> None:
    """Raise UsageError for options that contradict each other."""
    if reading.engine == "dask" and not reading.scheduler:
        raise UsageError("Dask needs to know where its scheduler is", hint="add --scheduler tcp://HOST:8786")
    if reading.engine != "dask" and reading.scheduler:
        raise UsageError("--scheduler is for another engine", hint="add --engine dask, or leave it out")
