"""Starts powertune in milliseconds, and crashes it at any call to AWS that a test names.

`zygote_process` has imported everything and forks a child for each command line: imports take a second, a fork none.
This is the tests' side of it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Self

Moment = Literal["before", "after"]
How = Literal["SIGKILL", "SIGINT", "SIGTERM", "SIGHUP", "two signals", "closed", "refused", "denied", "500", "bug"]

CRASHED = "crashed"
"""Stands among the calls that a process writes down, at the one at which it was to crash."""

_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",  # no threads of numpy's, which a fork would lose
    "AWS_ACCESS_KEY_ID": "none",  # so that nobody looks for credentials elsewhere
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


@dataclass(frozen=True, slots=True)
class Crash:
    """What happens at the `at`th call of a process to AWS, counted from 1, before it is sent or after its answer."""

    at: int
    moment: Moment
    how: How


@dataclass(frozen=True, slots=True)
class Ended:
    """What a process left behind. `code` is negative for the signal that ended it, as in subprocess."""

    code: int
    out: str
    err: str
    calls: tuple[str, ...]
    """What it asked of AWS, in order: method and path."""
    crashed: bool
    """Whether it got as far as the call at which it was to crash."""


class Zygote:
    """Runs command lines one after the other; several of it run several at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", Path(__file__).with_name("zygote_process.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env=_ENVIRONMENT | {name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.communicate()  # its standard input closes, and it ends

    def run(self, *argv: str, env: Mapping[str, str], crash: Crash | None = None) -> Ended:
        """Run `powertune` with these arguments, and with `env` for all that the environment says of AWS."""
        if self._process is None or self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("the zygote is not running")
        paths = {name: self._folder / name for name in ("out", "err", "calls")}
        for path in paths.values():
            path.write_bytes(b"")
        files = {name: str(path) for name, path in paths.items()}
        order = {"argv": argv, "env": dict(env), "crash": crash and asdict(crash), **files}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        out, err, calls = (path.read_text(encoding="utf-8") for path in paths.values())
        told = calls.splitlines()
        return Ended(code, out, err, tuple(line for line in told if line != CRASHED), CRASHED in told)
