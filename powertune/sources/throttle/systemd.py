"""Rooms made of transient scopes, for users that systemd lets limit their own processes (systemd.resource-control)."""

import itertools
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from powertune import text
from powertune.sources.throttle import PERIOD_US, Room, RoomError, Usage, Way, quota_us
from powertune.sources.throttle.cgroup import read_usage_of_version_2

_ANSWER_S = 10.0
_STARTING_STEP_S = 0.02
_numbers = itertools.count(1)


def find_scopes(control_groups: Path = Path("/sys/fs/cgroup")) -> Way:
    """Return the way by scopes. Raises RoomError where there is no systemd that answers this user."""
    if not shutil.which("systemd-run") or not shutil.which("systemctl"):
        raise RoomError("systemd scope: not installed", hint="")
    user = [] if os.geteuid() == 0 else ["--user"]
    answer = _run(["systemctl", *user, "is-system-running"], check=False)
    if answer not in ("running", "degraded", "starting"):
        raise RoomError(f"systemd scope: systemd is {text.printable(answer, limit=40) or 'silent'}", hint="")
    return _Scopes("systemd scope", user, control_groups)


@dataclass(frozen=True, slots=True)
class _Scopes:
    name: str
    user: list[str]
    control_groups: Path

    def room(self, memory_limit_mb: float) -> Room:
        return _Scope(self.user, memory_limit_mb, self.control_groups)


class _Scope:
    """A scope that exists while a process runs in it."""

    def __init__(self, user: list[str], memory_limit_mb: float, control_groups: Path) -> None:
        self._user = user
        self._unit = f"powertune-{os.getpid()}-{next(_numbers)}.scope"
        self._memory_bytes = round(memory_limit_mb * 1024 * 1024)
        self._control_groups = control_groups

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(RoomError):
            _run(["systemctl", *self._user, "kill", "--signal=SIGKILL", self._unit], check=False)

    @property
    def prefix(self) -> Sequence[str]:
        limits = (
            f"MemoryMax={self._memory_bytes}",
            "MemorySwapMax=0",
            f"CPUQuotaPeriodSec={PERIOD_US}us",
            "CPUWeight=10000",
        )
        properties = [part for limit in limits for part in ("-p", limit)]
        scope = ["--scope", "--quiet", "--collect", f"--unit={self._unit}"]
        return ["systemd-run", *self._user, *scope, *properties, "--"]

    @property
    def join(self) -> Sequence[str]:
        return ()

    def limit_cpu(self, memory_mb: int | None) -> None:
        """Set the quota, as soon as the scope is there: it comes with its first process."""
        percent = "" if memory_mb is None else f"{100 * quota_us(memory_mb) / PERIOD_US:.2f}%"
        until = time.monotonic() + _ANSWER_S
        while True:
            try:
                _run(["systemctl", *self._user, "set-property", "--runtime", self._unit, f"CPUQuota={percent}"])
            except RoomError:
                if time.monotonic() > until:
                    raise
                time.sleep(_STARTING_STEP_S)
            else:
                return

    def usage(self) -> Usage:
        group = _run(["systemctl", *self._user, "show", "--property=ControlGroup", "--value", self._unit], check=False)
        return read_usage_of_version_2(self._control_groups / group.lstrip("/")) if group else Usage()


def _run(arguments: list[str], *, check: bool = True) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - programs of the system, found on PATH as a shell would
            arguments, capture_output=True, text=True, errors="replace", timeout=_ANSWER_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise RoomError(f"{arguments[0]} does not answer", hint="") from error
    if check and done.returncode:
        raise RoomError(f"{arguments[0]}: {text.printable(done.stderr.strip(), limit=120)}", hint="")
    return done.stdout.strip()
