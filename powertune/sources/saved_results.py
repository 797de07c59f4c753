"""Files that powertune wrote: a run, a list of runs, or what a gate found. Told apart by what is in them."""

import json
import sys
from pathlib import Path

from powertune.errors import BadInputError
from powertune.model import gate_file, run_file
from powertune.model.json_node import RunFileError
from powertune.model.judgement import GateResult
from powertune.model.tuning_run import TuningRun
from powertune.text import printable

_HINT = "give a file made with --save or -f json"


def read_saved(path: str | Path) -> list[TuningRun] | GateResult:
    """Return the runs in a file, one at least, or the gate result; `-` is standard input. Raises BadInputError."""
    shown = "standard input" if str(path) == "-" else printable(path)
    try:
        document = json.loads(sys.stdin.read() if str(path) == "-" else Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(f"{shown} cannot be read: {error.strerror}", hint="check its name") from error
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{shown} is no file of powertune's: it is not JSON", hint=_HINT) from error
    try:
        if isinstance(document, dict) and document.get("kind") == gate_file.KIND:
            return gate_file.from_dict(document)
        runs = [run_file.from_dict(item) for item in (document if isinstance(document, list) else [document])]
    except RunFileError as error:
        raise BadInputError(f"{shown}: {error}", hint=_HINT) from error
    if not runs:
        raise BadInputError(f"{shown} holds no run", hint=_HINT)
    return runs
