"""The entry point: runs the application, and turns whatever stops it into a message and an exit code."""

import os
import sys
import traceback
from collections.abc import Sequence
from typing import TextIO

import typer

from powertune import __version__
from powertune.errors import ExitCode, PowertuneError
from powertune.text import inert, printable

_LONGEST_MESSAGE = 1000


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` and return the exit code.

    Without it that of the process is run, which is to end then: standard output and error may be left closed to it.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    _open_standard_streams()
    errors = _own_errors() if argv is None else sys.stderr
    try:
        return _run(args, process_ends=argv is None)
    except PowertuneError as error:
        _debug(args, errors)
        return _complain(error.message, error.hint, error.exit_code, errors)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "powertune"
        hint = f"powertune's options are listed by: {path} --help"
        return _complain(error.format_message(), hint, error.exit_code, errors)
    except (KeyboardInterrupt, typer.Abort):
        print("Interrupted.", file=errors, flush=True)
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort of the whole program
        _debug(args, errors)
        return _complain(
            f"this is a bug in powertune {__version__}: {type(error).__name__}: {error}",
            "run it again with --debug and report what it prints, without payloads and names you keep to yourself",
            ExitCode.BUG,
            errors,
        )


def _run(args: Sequence[str], *, process_ends: bool) -> int:
    # Imported here, so that an interrupt while loading, too, ends without a traceback.
    from powertune.cli.app import app  # noqa: PLC0415

    try:
        code = int(app(args or ["--help"], prog_name="powertune", standalone_mode=False, obj=process_ends) or 0)
    except SystemExit as end:  # shell completion ends this way, with 1 where it was asked nonsense
        code = ExitCode.USAGE if end.code else ExitCode.DONE
    if code == ExitCode.INTERRUPTED:  # Typer makes a number of the exception
        raise KeyboardInterrupt
    return code


def _open_standard_streams() -> None:
    """Make sure there are three standard streams that take any character.

    One that was closed is opened on nothing: else the next file to be opened would take its place.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, this one
    sys.stdin = sys.stdin or os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _own_errors() -> TextIO:
    """Return standard error for what is said last: descriptor 2 may be kept from a handler's threads by then."""
    return os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding=sys.stderr.encoding, errors="backslashreplace")


def _complain(message: str, hint: str, code: int, errors: TextIO) -> int:
    print(inert(f"Error: {printable(message, limit=_LONGEST_MESSAGE)}"), file=errors)
    print(inert(f"  {printable(hint, limit=_LONGEST_MESSAGE)}"), file=errors, flush=True)
    return int(code)


def _debug(args: Sequence[str], errors: TextIO) -> None:
    if "--debug" in args:
        for line in traceback.format_exc().splitlines():
            print(f"{line[: len(line) - len(line.lstrip())]}{printable(line, limit=_LONGEST_MESSAGE)}", file=errors)
