"""Runs that were saved before: run files, lists of these, gate files; from disk, or as a branch of git has them."""

import json
import subprocess
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from powertune.errors import BadInputError
from powertune.model import gate_file
from powertune.model.run_file import RunFileError, from_dict
from powertune.model.tuning_run import TuningRun
from powertune.text import printable

DEFAULT_BASELINE = ".powertune/baseline.json"
_MAIN_BRANCHES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
"""Where the main branch may be found, the nearest to what others have first."""
_GIT_TIMEOUT_S = 30.0
_HINT = "give a file made with powertune gate --save, or with --save of another command"


def read_saved(path: str) -> list[TuningRun] | None:
    """Return the runs in a file of powertune's own; None where it is none, but maybe a recording of another kind.

    A file that says that it is powertune's and cannot be read as such raises BadInputError.
    """
    try:
        with Path(path).open("rb") as stream:
            if not stream.read(64).lstrip().startswith((b"{", b"[")):
                return None
            stream.seek(0)
            document = json.loads(stream.read())
    except (OSError, ValueError, RecursionError):  # whoever reads recordings says it better
        return None
    return _runs_in(document, printable(path)) if _is_ours(document) else None


def read_baseline(path: str) -> list[TuningRun]:
    """Return the runs of the baseline that the user named. Raises BadInputError."""
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "that is no file name"
        raise BadInputError(f"the baseline {printable(path)} cannot be read: {why}", hint=_HINT) from error
    return _parsed(content, f"the baseline {printable(path)}")


def baseline_on_main(path: str) -> tuple[list[TuningRun], str] | None:
    """Return the runs in a file as it is on the main branch, and which branch that is; None where git has no such file.

    `path` is relative to the working directory. Raises BadInputError for a file that is there and cannot be used.
    """
    for branch in _MAIN_BRANCHES:
        with suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run(  # noqa: S603 - likewise
                ["git", "show", f"{branch}:./{Path(path).as_posix()}"],  # noqa: S607 - the user's own git
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=_GIT_TIMEOUT_S,
                check=True,
            )
            return _parsed(done.stdout, f"the baseline {printable(path)} on {branch}"), branch
    return None


def _parsed(content: bytes, shown: str) -> list[TuningRun]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{shown} is no JSON", hint=_HINT) from error
    if not _is_ours(document):
        raise BadInputError(f"{shown} holds no runs of powertune", hint=_HINT)
    return _runs_in(document, shown)


def _is_ours(document: Any) -> bool:
    first = document[0] if isinstance(document, list) and document else document
    return isinstance(first, dict) and "schema_version" in first and ("sizes" in first or "judgements" in first)


def _runs_in(document: Any, shown: str) -> list[TuningRun]:
    try:
        if isinstance(document, dict) and document.get("kind") == gate_file.KIND:
            judged = gate_file.from_dict(document).judgements
            return [named(one.run, one.function, one.current_memory_mb) for one in judged if one.run is not None]
        return [from_dict(one) for one in (document if isinstance(document, list) else [document])]
    except RunFileError as error:
        raise BadInputError(f"{shown}: {error}", hint=_HINT) from error


def named(run: TuningRun, name: str, memory_mb: int | None) -> TuningRun:
    """Return a run as one of the function of that name, with the memory that is configured for it in MB, if known."""
    current_mb = run.function.current_memory_mb if memory_mb is None else memory_mb
    return replace(run, function=replace(run.function, name=name, current_memory_mb=current_mb))
