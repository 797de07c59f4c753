"""Rooms made of control groups, version 2 and version 1, below the group this process is in or at the top.

Kernel documentation: admin-guide/cgroup-v2 and scheduler/sched-bwc, 6.18. Groups are named after the process that made
them, so that what one left behind when it was killed is found and removed by the next.
"""

import itertools
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

from powertune.sources.throttle import PERIOD_US, Room, RoomError, Usage, Way, quota_us

_MB = 1024 * 1024
_PREFIX = "powertune-"
_ENDING_S, _ENDING_STEP_S = 5.0, 0.01
"""How long the kernel may take to be rid of the processes of a group."""
_MOST_WEIGHT_V2, _MOST_SHARES_V1 = 10_000, 262_144
"""So that what else runs on this host takes as little of the quota's time as can be."""
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Mount:
    """Where a hierarchy of control groups is mounted, and the group of this process in it."""

    folder: Path
    own: Path


def find_version_2(proc: Path = Path("/proc/self")) -> Way:
    """Return the way by version 2. Raises RoomError where it lacks a controller or we may make no group."""
    mounts = _mounts(proc)
    if "" not in mounts:
        raise RoomError("cgroup v2: not mounted", hint="")
    mount = mounts[""]
    missing = {"cpu", "memory"} - set(_read(mount.folder / "cgroup.controllers").split())
    if missing:
        raise RoomError(f"cgroup v2: no {' and no '.join(sorted(missing))} controller", hint="")
    # Beside our own group first: where a user was given a part of the tree, that is in it. No group but the topmost
    # may hold both processes and limits for others, so our own is no place.
    for parent in dict.fromkeys((mount.own.parent if mount.own != mount.folder else mount.own, mount.folder)):
        if _enabled(parent, mount.folder) and os.access(parent, os.W_OK):
            return _Groups("cgroup v2", (parent,), _Version2)
    raise RoomError("cgroup v2: no group may be made by this user", hint="")


def find_version_1(proc: Path = Path("/proc/self")) -> Way:
    """Return the way by version 1. Raises RoomError where there is none, or we may make no group."""
    mounts = _mounts(proc)
    missing = {"cpu", "memory"} - mounts.keys()
    if missing:
        raise RoomError(f"cgroup v1: no {' and no '.join(sorted(missing))} hierarchy", hint="")
    parents = (mounts["cpu"].own, mounts["memory"].own)
    if not all(os.access(parent, os.W_OK) for parent in parents):
        raise RoomError("cgroup v1: no group may be made by this user", hint="")
    return _Groups("cgroup v1", parents, _Version1)


def _mounts(proc: Path) -> dict[str, Mount]:
    """Return the hierarchies by controller, version 2 under the empty name."""
    own_of: dict[str, str] = {}
    for line in _read(proc / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        own_of |= dict.fromkeys(controllers.split(","), path)
    found = {}
    for line in _read(proc / "mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        root, folder = before.split()[3:5]
        kind, _, options = after.split(maxsplit=2)
        names = [""] if kind == "cgroup2" else options.split(",") if kind == "cgroup" else []
        for name in own_of.keys() & set(names):
            own = PurePosixPath(own_of[name])
            inside = own.relative_to(root) if own.is_relative_to(root) else PurePosixPath()
            found[name] = Mount(Path(folder), Path(folder) / inside)
    return found


def _enabled(parent: Path, top: Path) -> bool:
    """Tell whether groups in `parent` have a quota and a memory limit; at the top they can be given them."""
    control = parent / "cgroup.subtree_control"
    if parent == top and os.access(control, os.W_OK):
        with suppress(OSError):
            control.write_text("+cpu +memory", encoding="ascii")
    return {"cpu", "memory"} <= set(_read(control).split())


@dataclass(frozen=True, slots=True)
class _Groups:
    """A way: groups below `parents`, one in each hierarchy."""

    name: str
    parents: tuple[Path, ...]
    kind: "type[_Group]"

    def room(self, memory_limit_mb: float) -> Room:
        for parent in self.parents:
            _remove_leftovers(parent)
        name = _fresh_name()
        return self.kind(tuple(parent / name for parent in self.parents), memory_limit_mb)


class _Group:
    """What both versions do alike."""

    def __init__(self, folders: tuple[Path, ...], memory_limit_mb: float) -> None:
        self._folders = folders
        self._memory_limit_mb = memory_limit_mb

    def __enter__(self) -> Self:
        try:
            for folder in self._folders:
                folder.mkdir()
            self.limit_memory(round(self._memory_limit_mb * _MB))
        except BaseException as error:
            self.__exit__()
            if isinstance(error, OSError):
                raise RoomError(f"no group can be made: {error.strerror}", hint="run as root") from error
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for folder in self._folders:
            _remove(folder)

    @property
    def prefix(self) -> Sequence[str]:
        return ()

    @property
    def join(self) -> Sequence[str]:
        return [str(folder / "cgroup.procs") for folder in self._folders]

    def limit_memory(self, limit_bytes: int) -> None:
        raise NotImplementedError

    def limit_cpu(self, memory_mb: int | None) -> None:
        raise NotImplementedError

    def usage(self) -> Usage:
        raise NotImplementedError


class _Version2(_Group):
    def limit_memory(self, limit_bytes: int) -> None:
        (folder,) = self._folders
        _write(folder / "memory.max", limit_bytes)
        for name, value in (("memory.swap.max", 0), ("memory.oom.group", 1), ("cpu.weight", _MOST_WEIGHT_V2)):
            with suppress(RoomError):  # a kernel without swap accounting, or older than these
                _write(folder / name, value)

    def limit_cpu(self, memory_mb: int | None) -> None:
        quota = "max" if memory_mb is None else quota_us(memory_mb)
        _write(self._folders[0] / "cpu.max", f"{quota} {PERIOD_US}")

    def usage(self) -> Usage:
        return read_usage_of_version_2(self._folders[0])


class _Version1(_Group):
    def limit_memory(self, limit_bytes: int) -> None:
        cpu, memory = self._folders
        _write(memory / "memory.limit_in_bytes", limit_bytes)
        for path, value in (
            (memory / "memory.memsw.limit_in_bytes", limit_bytes),
            (cpu / "cpu.shares", _MOST_SHARES_V1),
        ):
            with suppress(RoomError):  # a kernel without swap accounting
                _write(path, value)

    def limit_cpu(self, memory_mb: int | None) -> None:
        cpu, _ = self._folders
        _write(cpu / "cpu.cfs_period_us", PERIOD_US)
        _write(cpu / "cpu.cfs_quota_us", -1 if memory_mb is None else quota_us(memory_mb))

    def usage(self) -> Usage:
        cpu, memory = self._folders
        return Usage(
            _counts(cpu / "cpu.stat").get("nr_throttled", 0),
            int(_read(memory / "memory.max_usage_in_bytes", "0")) / _MB,
            _counts(memory / "memory.oom_control").get("oom_kill", 0) > 0,
        )


def read_usage_of_version_2(folder: Path) -> Usage:
    """Return what a group of version 2 has seen; zeros where it is gone."""
    peak = _read(folder / "memory.peak", "")  # since Linux 5.19
    return Usage(
        _counts(folder / "cpu.stat").get("nr_throttled", 0),
        int(peak) / _MB if peak else None,
        _counts(folder / "memory.events").get("oom_kill", 0) > 0,
    )


def _fresh_name() -> str:
    return f"{_PREFIX}{_namespace():x}-{os.getpid()}-{next(_numbers)}"


def _namespace() -> int:
    """Return what tells our process ids from those of other containers."""
    return Path("/proc/self/ns/pid").stat().st_ino


def _remove_leftovers(parent: Path) -> None:
    """Remove the groups that processes of powertune have left behind when they were killed."""
    prefix = f"{_PREFIX}{_namespace():x}-"
    for folder in parent.glob(f"{prefix}*"):
        pid = folder.name.removeprefix(prefix).partition("-")[0]
        if pid.isdecimal() and not Path(f"/proc/{pid}").exists():
            _remove(folder)


def _remove(folder: Path) -> None:
    """End what runs in a group and remove it. What cannot be removed in time is left to the next run."""
    until = time.monotonic() + _ENDING_S
    while folder.exists():
        for pid in _members(folder):
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        with suppress(OSError):
            folder.rmdir()
            return
        if time.monotonic() > until:
            return
        time.sleep(_ENDING_STEP_S)


def _members(folder: Path) -> Iterator[int]:
    with suppress(OSError):
        yield from map(int, (folder / "cgroup.procs").read_text(encoding="ascii").split())


def _counts(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in _read(path, "").splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}  # noqa: PLR2004 - a name and a count


def _read(path: Path, otherwise: str | None = None) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError as error:
        if otherwise is not None:
            return otherwise
        raise RoomError(f"{path.name} cannot be read: {error.strerror}", hint="") from error


def _write(path: Path, value: object) -> None:
    try:
        path.write_text(f"{value}", encoding="ascii")
    except OSError as error:
        raise RoomError(f"{path.name} does not take {value}: {error.strerror}", hint="run as root") from error
