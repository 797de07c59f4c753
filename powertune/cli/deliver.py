"""What every command does with its run: the result to standard output, files, warnings to standard error, exit code."""

import json
import os
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

import typer

from powertune.cli import files
from powertune.cli.options import Delivery
from powertune.errors import AwsError, BadInputError, ExitCode, FunctionFailedError, UsageError
from powertune.report import FORMATS, Style, check_format, format_of, render
from powertune.text import inert, printable

if TYPE_CHECKING:  # the nouns take longer to load than --version may take
    from powertune.model.run_warning import RunWarning
    from powertune.model.tuning_run import TuningRun

_USUAL_WIDTH = 80
_MOST_TOLD = 3
"""Functions up to which each is told the same warning by name."""
_OF_FILES = frozenset({"damaged-file", "damaged-records", "invalid-rows", "price-cache", "silent-files"})
"""Warnings that are about no function."""


def check(delivery: Delivery, *, inputs: Sequence[str] = ()) -> None:
    """Raise PowertuneError for an output that could not be written later, before any work is done.

    `inputs` are files that must not be written over.
    """
    check_format(delivery.format_name)
    check_outputs(delivery, FORMATS, inputs)


def check_outputs(delivery: Delivery, formats: Sequence[str], inputs: Sequence[str]) -> None:
    """Raise PowertuneError for a file that is in none of `formats`, cannot be written, or is among `inputs`."""
    for path in delivery.output or ():
        format_of(path, formats)
    for path in _files(delivery):
        if os.path.realpath(path) in map(os.path.realpath, inputs):
            raise UsageError(f"{printable(path)} is both read and written", hint="name another file to write")
        files.check_writable(path)


def _files(delivery: Delivery) -> list[str]:
    return [*(delivery.output or ()), *([] if delivery.save is None else [delivery.save])]


def deliver(run: "TuningRun", delivery: Delivery, *, out: TextIO | None = None, errors: TextIO | None = None) -> None:
    """Write the run everywhere it was asked for, and raise typer.Exit where the exit code is not 0.

    `out` and `errors` are standard output and standard error, where these are not sys.stdout and sys.stderr.
    """
    _write(run, delivery, out or sys.stdout, errors or sys.stderr)
    if run.source.get("kind") == "aws" and all(size.status in ("unavailable", "throttled") for size in run.sizes):
        raise AwsError(
            f"no size could be measured: {run.sizes[0].reason}",
            hint="mend that, and see whether powertune doctor finds more",
        )
    if all(size.status == "unavailable" for size in run.sizes):
        raise BadInputError(
            f"there is no size with a duration: {run.sizes[0].reason}",
            hint="record at least two sizes to have others read off between them",
        )
    tried = [size for size in run.sizes if size.status != "unavailable"]
    if all(size.status == "out-of-memory" for size in tried):
        raise FunctionFailedError(
            f"the function fits into none of these sizes: {tried[0].reason}", hint="name larger ones with --memory"
        )
    if not any(size.status == "ok" for size in run.sizes):
        raise FunctionFailedError(
            f"the function failed at every size: {tried[0].reason or tried[0].status}",
            hint="mend the function or its payload first; powertune dry-run -v shows what a handler prints",
        )
    _exit_if_open([run], delivery)


def _write(run: "TuningRun", delivery: Delivery, out: TextIO, errors: TextIO) -> None:
    write_out(render(run, delivery.format_name, screen_style(out, no_color=delivery.no_color)), out)
    for path in delivery.output or ():
        files.write(path, render(run, format_of(path), Style(width=120)))
    if delivery.save is not None:
        files.write(delivery.save, run.to_json())
    if not delivery.quiet:
        # The table itself says what its durations rest on.
        said = {"scaled-from-this-machine"} if delivery.format_name == "table" else set()
        with suppress(OSError):  # warnings that nobody can read are no reason to fail
            show_warnings((warning for warning in run.warnings if warning.code not in said), errors)


def deliver_runs(runs: Sequence["TuningRun"], delivery: Delivery) -> None:
    """Write runs of several functions as `write_runs` does, and a single one as `deliver` does."""
    if len(runs) == 1:
        deliver(runs[0], delivery)
    else:
        write_runs(runs, delivery)


def write_runs(runs: Sequence["TuningRun"], delivery: Delivery) -> None:
    """Write runs of several functions, the one that saves most first.

    Table, CSV, markdown and HTML are one ranking of all then, JSON is a list, and --save writes a file for each
    function: `run.json` becomes `run-orders.json`. What became of the functions is no reason for an error; only under
    --strict it is one for another exit code.
    """
    if len(runs) == 1:
        _write(runs[0], delivery, sys.stdout, sys.stderr)
        _exit_if_open(runs, delivery)
        return
    from powertune.report.ranking import name_of, ranked  # noqa: PLC0415 - loads the nouns

    runs = ranked(runs)
    write_out(_rendered(runs, delivery.format_name, screen_style(sys.stdout, no_color=delivery.no_color)), sys.stdout)
    for path in delivery.output or ():
        files.write(path, _rendered(runs, format_of(path), Style(width=120)))
    for run in runs if delivery.save is not None else ():
        stem, suffix = os.path.splitext(str(delivery.save))  # noqa: PTH122 - Path would take a folder for the stem's own
        files.write(f"{stem}-{_as_file_name(name_of(run, runs))}{suffix}", run.to_json())
    if not delivery.quiet:
        with suppress(OSError):  # see deliver
            show_warnings(_of_all(runs), sys.stderr)
    _exit_if_open(runs, delivery)


def _exit_if_open(runs: Sequence["TuningRun"], delivery: Delivery) -> None:
    if delivery.strict and any(run.recommendation.confidence == "inconclusive" for run in runs):
        raise typer.Exit(ExitCode.INCONCLUSIVE)


def _of_all(runs: Sequence["TuningRun"]) -> Iterator["RunWarning"]:
    """Yield the warnings of runs, those that many functions share once."""
    from powertune.report.ranking import name_of  # noqa: PLC0415 - see deliver_runs

    alike: dict[str, list[tuple[str, RunWarning]]] = {}
    for run in runs:
        for warning in run.warnings:
            alike.setdefault(warning.code, []).append((name_of(run, runs), warning))
    for code, found in alike.items():
        functions = len({name for name, _ in found})
        if code in _OF_FILES:
            yield from dict.fromkeys(warning for _, warning in found)
        elif functions <= _MOST_TOLD:
            yield from (replace(warning, message=f"{name}: {warning.message}") for name, warning in found)
        else:
            name, warning = found[0]
            yield replace(
                warning, message=f"{name} and {functions - 1:,} functions more, in their way: {warning.message}"
            )


def _rendered(runs: Sequence["TuningRun"], format_name: str, style: Style) -> str:
    if format_name == "json":
        return json.dumps([run.to_dict() for run in runs], indent=1, allow_nan=False) + "\n"
    from powertune.report import ranking  # noqa: PLC0415 - see deliver_runs

    if format_name in ranking.FORMATS:
        return ranking.render(runs, format_name, style)
    return "\n".join(render(run, format_name, style) for run in runs)


def _as_file_name(name: str) -> str:
    return "".join(char if char.isalnum() or char in "._-" else "_" for char in name).strip(".") or "function"


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
    width = _width_of(out)
    plain = no_color or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    color = not plain and (out.isatty() or bool(os.environ.get("FORCE_COLOR")))
    encoding = (out.encoding or "ascii").lower().replace("-", "")
    return Style(width=max(40, width), color=color, ascii_only=not encoding.startswith("utf"))


def _width_of(stream: TextIO) -> int:
    """Return the width of the terminal behind a stream, COLUMNS where that is set, 80 where there is neither."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or _USUAL_WIDTH
    except (OSError, ValueError):
        return _USUAL_WIDTH


def show_warnings(warnings: Iterable["RunWarning"], errors: TextIO) -> None:
    """Print warnings to standard error, each with what would cure it, in lines that fit a terminal."""
    # One warning stays one line where a program may be reading.
    width = _width_of(errors) if errors.isatty() else sys.maxsize
    for warning in warnings:
        message = f"Warning: {printable(warning.message, limit=400)}"
        print(inert(textwrap.fill(message, width, subsequent_indent="  ")), file=errors)
        hint = printable(warning.hint, limit=400)
        print(inert(textwrap.fill(hint, width, initial_indent="  ", subsequent_indent="  ")), file=errors)
