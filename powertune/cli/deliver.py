"""What every command does with its run: the result to standard output, files, warnings to standard error, exit code."""

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import typer

from powertune.cli.options import Delivery
from powertune.errors import BadInputError, ExitCode, FunctionFailedError, UsageError
from powertune.report import FORMATS, Style, format_of, render
from powertune.text import nearest, printable

if TYPE_CHECKING:  # the nouns take longer to load than --version may take
    from powertune.model.run_warning import RunWarning
    from powertune.model.tuning_run import TuningRun


def check(delivery: Delivery) -> None:
    """Raise UsageError for an output that could not be written later, before any work is done."""
    check_format(delivery.format_name, FORMATS)
    for path in delivery.output or ():
        format_of(path)
    for path in (*(delivery.output or ()), *([delivery.save] if delivery.save else [])):
        folder = Path(path).parent
        if not folder.is_dir():
            raise UsageError(f"there is no folder {printable(folder)}", hint="make it first, or name another file")


def check_format(name: str, formats: Sequence[str]) -> None:
    """Raise UsageError for a format that is not among `formats`."""
    if name not in formats:
        raise UsageError(
            f"there is no format {printable(name, limit=40)!r}",
            hint=nearest(name, formats) or f"choose from {', '.join(formats)}",
        )


def deliver(run: "TuningRun", delivery: Delivery, *, out: TextIO | None = None, errors: TextIO | None = None) -> None:
    """Write the run everywhere it was asked for, and raise typer.Exit where the exit code is not 0.

    `out` and `errors` are standard output and standard error, where these are not sys.stdout and sys.stderr.
    """
    out, errors = out or sys.stdout, errors or sys.stderr
    for path in delivery.output or ():
        write_file(path, render(run, format_of(path), Style(width=120)))
    if delivery.save:
        write_file(delivery.save, run.to_json())
    write_out(render(run, delivery.format_name, screen_style(out, no_color=delivery.no_color)), out)
    if not delivery.quiet:
        # The table itself says what its durations rest on.
        said = {"scaled-from-this-machine"} if delivery.format_name == "table" else set()
        with suppress(OSError):  # warnings that nobody can read are no reason to fail
            show_warnings((warning for warning in run.warnings if warning.code not in said), errors)
    if not any(size.status == "ok" for size in run.sizes):
        raise FunctionFailedError(
            f"the function failed at every size: {run.sizes[0].reason or run.sizes[0].status}",
            hint="mend the function or its payload first; powertune dry-run -v shows what it printed",
        )
    if delivery.strict and run.recommendation.confidence == "inconclusive":
        raise typer.Exit(ExitCode.INCONCLUSIVE)


def write_out(result: str, out: TextIO) -> None:
    """Write the result to standard output. Raises BadInputError where that is full."""
    try:
        out.write(result)
        out.flush()
    except BrokenPipeError:
        # Whoever read our output has had enough of it; nothing is wrong. What is left to flush goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
    except OSError as error:
        raise BadInputError(
            f"standard output cannot be written: {error.strerror}", hint="make room, or write to another place"
        ) from error


def screen_style(out: TextIO, *, no_color: bool) -> Style:
    """Return how to draw on standard output: its width, whether it takes colour, whether it can show bars."""
    width = shutil.get_terminal_size((80, 24)).columns
    plain = no_color or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    color = not plain and (out.isatty() or bool(os.environ.get("FORCE_COLOR")))
    encoding = (out.encoding or "ascii").lower().replace("-", "")
    return Style(width=max(40, width), color=color, ascii_only=not encoding.startswith("utf"))


def show_warnings(warnings: Iterable["RunWarning"], errors: TextIO) -> None:
    """Print warnings to standard error, each with what would cure it, in lines that fit a terminal."""
    # One warning stays one line where a program may be reading.
    width = shutil.get_terminal_size((80, 24)).columns if errors.isatty() else sys.maxsize
    for warning in warnings:
        message = f"Warning: {printable(warning.message, limit=400)}"
        print(textwrap.fill(message, width, subsequent_indent="  "), file=errors)
        hint = printable(warning.hint, limit=400)
        print(textwrap.fill(hint, width, initial_indent="  ", subsequent_indent="  "), file=errors)


def write_file(path: str, content: str) -> None:
    """Write a file as a whole or not at all: to a temporary name in the same folder, then renamed."""
    import tempfile  # noqa: PLC0415 - slow to load, and only files need it

    target = Path(path)
    temporary: str | None = None
    try:
        fd, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(fd, "w", encoding="utf-8", newline="") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        _as_new_file(temporary, target)
        Path(temporary).replace(target)
    except OSError as error:
        if temporary:
            with suppress(OSError):
                Path(temporary).unlink()
        raise BadInputError(
            f"{printable(path)} cannot be written: {error.strerror}", hint="name a file in a folder you can write to"
        ) from error


def _as_new_file(temporary: str, target: Path) -> None:
    """Give a temporary file the permissions of the file it replaces, or of any new file."""
    if target.exists():
        mode = target.stat().st_mode & 0o777
    else:
        umask = os.umask(0)
        os.umask(umask)
        mode = 0o666 & ~umask
    Path(temporary).chmod(mode)
