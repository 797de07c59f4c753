"""Runs to compare with: the baseline that the user named, or as the main branch of git has it."""

import json
from pathlib import Path

from powertune.errors import BadInputError
from powertune.model.tuning_run import TuningRun
from powertune.sources import saved_results
from powertune.text import printable

DEFAULT_BASELINE = ".powertune/baseline.json"
_MAIN_BRANCHES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
"""Where the main branch may be found, the nearest to what others have first."""
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
    if not saved_results.is_saved(document):
        return None
    return saved_results.runs_of(saved_results.saved_in(document, printable(path), hint=_HINT))


def read_baseline(path: str) -> list[TuningRun]:
    """Return the runs of the baseline that the user named. Raises BadInputError."""
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "that is no file name"
        raise BadInputError(f"the baseline {printable(path)} cannot be read: {why}", hint=_HINT) from error
    return _runs_in(content, f"the baseline {printable(path)}")


def baseline_on_main(path: str) -> tuple[list[TuningRun], str] | None:
    """Return the runs in a file as it is on the main branch, and which branch that is; None where git has no such file.

    `path` is relative to the working directory. Raises BadInputError for a file that is there and cannot be used.
    """
    for branch in _MAIN_BRANCHES:
        content = saved_results.file_in_git(branch, path)
        if content is not None:
            return _runs_in(content, f"the baseline {printable(path)} on {branch}"), branch
    return None


def _runs_in(content: bytes, shown: str) -> list[TuningRun]:
    return saved_results.runs_of(saved_results.parsed(content, shown, hint=_HINT))
