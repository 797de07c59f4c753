"""The entry point: runs the application, and turns whatever stops it into a message and an exit code."""

import os
import sys
import traceback
from collections.abc import Sequence

import typer

from powertune import __version__
from powertune.errors import ExitCode, PowertuneError
from powertune.text import printable

_LONGEST_MESSAGE = 1000


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (that of the process if None) and return the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets its code, not an error.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        # Imported here, so that an interrupt while loading, too, ends without a traceback.
        from powertune.cli.app import app  # noqa: PLC0415

        code = app(args or ["--help"], prog_name="powertune", standalone_mode=False)
        sys.stdout.flush()
        return int(code or 0)
    except PowertuneError as error:
        _debug(args)
        return _complain(error.message, error.hint, error.exit_code)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "powertune"
        return _complain(error.format_message(), f"powertune's options are listed by: {path} --help", error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        print("Interrupted.", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has had enough of it; nothing is wrong. Python must not try to flush the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except Exception as error:  # noqa: BLE001 - the last resort of the whole program
        _debug(args)
        return _complain(
            f"this is a bug in powertune {__version__}: {type(error).__name__}: {error}",
            "run it again with --debug and report what it prints, without payloads and names you keep to yourself",
            ExitCode.BUG,
        )


def _complain(message: str, hint: str, code: int) -> int:
    print(f"Error: {printable(message, limit=_LONGEST_MESSAGE)}", file=sys.stderr)
    print(f"  {printable(hint, limit=_LONGEST_MESSAGE)}", file=sys.stderr)
    return int(code)


def _debug(args: Sequence[str]) -> None:
    if "--debug" in args:
        traceback.print_exc()
