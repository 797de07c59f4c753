"""Files that powertune wrote: a run, a list of runs, or what a gate found. Told apart by what is in them.

From disk, from standard input, or as a commit of git has them.
"""

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from powertune.errors import BadInputError
from powertune.model import gate_file, run_file
from powertune.model.json_node import RunFileError
from powertune.model.judgement import GateResult
from powertune.model.tuning_run import TuningRun
from powertune.text import printable

_GIT_TIMEOUT_S = 30.0
_HINT = "give a file made with --save or -f json"

Saved = list[TuningRun] | GateResult


def read_saved(path: str | Path) -> Saved:
    """Return the runs in a file, one at least, or the gate result. Raises BadInputError.

    `-` is standard input; `REVISION:FILE`, where no file is called so, is a file as git has it, seen from the working
    directory.
    """
    if str(path) == "-":
        return parsed(sys.stdin.read(), "standard input")
    shown = printable(path)
    try:
        content: str | bytes = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        revision, colon, file = str(path).partition(":")
        committed = file_in_git(revision, file) if colon else None
        if committed is None:
            why = error.strerror if isinstance(error, OSError) else "that is no file name"
            raise BadInputError(f"{shown} cannot be read: {why}", hint="check its name") from error
        content = committed
    return parsed(content, shown)


def file_in_git(revision: str, path: str) -> bytes | None:
    """Return a file as it is in a revision, seen from the working directory; None where git has no such file."""
    if revision.startswith("-"):  # git would take it for an option
        return None
    with suppress(OSError, ValueError, subprocess.SubprocessError):
        done = subprocess.run(  # noqa: S603 - no shell, and no option
            ["git", "show", f"{revision}:./{Path(path).as_posix()}"],  # noqa: S607 - the user's own git
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_GIT_TIMEOUT_S,
            check=True,
        )
        return done.stdout
    return None


def parsed(content: str | bytes, shown: str, *, hint: str = _HINT) -> Saved:
    """Return the runs, one at least, or the gate result that `content` holds; `shown` names it in BadInputError."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{shown} is no JSON", hint=hint) from error
    return saved_in(document, shown, hint=hint)


def saved_in(document: Any, shown: str, *, hint: str = _HINT) -> Saved:
    """Return the same of a JSON value."""
    try:
        if isinstance(document, dict) and document.get("kind") == gate_file.KIND:
            return gate_file.from_dict(document)
        runs = [run_file.from_dict(item) for item in (document if isinstance(document, list) else [document])]
    except RunFileError as error:
        raise BadInputError(f"{shown}: {error}", hint=hint) from error
    if not runs:
        raise BadInputError(f"{shown} holds no run", hint=hint)
    return runs


def is_saved(document: Any) -> bool:
    """Tell whether a JSON value says that powertune wrote it."""
    first = document[0] if isinstance(document, list) and document else document
    return isinstance(first, dict) and "schema_version" in first and ("sizes" in first or "judgements" in first)


def runs_of(saved: Saved) -> list[TuningRun]:
    """Return the runs; those of a gate's judgements named and configured as these say."""
    if isinstance(saved, list):
        return saved
    return [named(one.run, one.function, one.current_memory_mb) for one in saved.judgements if one.run is not None]


def named(run: TuningRun, name: str, memory_mb: int | None) -> TuningRun:
    """Return a run as one of the function of that name, with the memory that is configured for it in MB, if known."""
    current_mb = run.function.current_memory_mb if memory_mb is None else memory_mb
    return replace(run, function=replace(run.function, name=name, current_memory_mb=current_mb))
