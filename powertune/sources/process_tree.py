"""A command and all processes that come of it: the CPU time and memory they use, and their certain end.

On Linux the tree is read from /proc: CPU time from each process's own CPU clock (nanoseconds, ended threads included),
that of children which ended from what their parent was told of them (steps of 10 ms), queueing and waiting from the
kernel's scheduler statistics. Where there is no /proc, `ps` is asked: CPU time in its steps (10 ms on macOS, 1 s
elsewhere), nothing of children that ended unseen, and no queueing.
"""

import os
import signal
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from powertune.aws_lambda.calibration import Work
from powertune.sources.meter import NOTHING_SEEN, Seen, work_between
from powertune.sources.watcher import adopt_orphans, cpu_time_ns, resident_mb
from powertune.sources.worker import Clocks

_PROC = Path("/proc")
_KILLING_S = 5.0
_KILLING_STEP_S = 0.005
_DUTY = 0.01
"""Largest share of the time that sampling may take."""
_LONGEST_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class Thread:
    """What the scheduler knows of a thread; times in ms."""

    cpu_ms: float
    queued_ms: float
    """Time in which it was ready to run and had no core."""
    stops: int
    """How often it gave up its core by itself."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the processes of a tree have used up to a moment."""

    cpu_ms: Mapping[int, float]
    """Of each process alive, by its id, over all its threads."""
    ended_ms: Mapping[int, float]
    """CPU time of the children that each process has waited for, by its id."""
    seen_ms: Mapping[int, float]
    """The last CPU time that was seen of each process, of those that are gone, too."""
    threads: Mapping[int, Thread] = field(default_factory=dict)
    """By thread id; empty where the system does not tell."""


def work_of(before: Usage, after: Usage, began_ms: float, wall_ms: float, seen: Seen = NOTHING_SEEN) -> Work:
    """Return the work of a tree in `wall_ms` between two moments.

    Waiting is told from computing by its busiest thread, and by what was `seen` of all, in the time of `began_ms`.
    """
    cpu_ms = max(0.0, cpu_between_ms(before, after))
    lived = {number: _between(before.threads.get(number), thread) for number, thread in after.threads.items()}
    busiest = max(lived.values(), key=lambda thread: thread.cpu_ms, default=None)
    queued_ms, stops, thread_ms = (busiest.queued_ms, busiest.stops, busiest.cpu_ms) if busiest else (0.0, None, 0.0)
    start = Clocks(began_ms, 0.0, 0.0, None if stops is None else 0, 0.0, 0.0)
    return work_between(start, Clocks(began_ms + wall_ms, cpu_ms, queued_ms, stops, 0.0, thread_ms), seen)


def cpu_between_ms(before: Usage, after: Usage) -> float:
    """Return the CPU time in ms that a tree used between two moments, processes that came or went included.

    Of a process that is gone there are two accounts, both too small at times: what was last seen of it, and what its
    parent was told when it waited for it, with what it had used before and with its own children's.
    """
    alive_ms = sum(now - before.cpu_ms.get(pid, 0.0) for pid, now in after.cpu_ms.items())
    gone = {*before.cpu_ms, *after.seen_ms} - after.cpu_ms.keys()
    seen_ms = sum(after.seen_ms.get(pid, 0.0) - before.seen_ms.get(pid, 0.0) for pid in gone)
    told_ms = sum(now - before.ended_ms.get(pid, 0.0) for pid, now in after.ended_ms.items())
    told_ms -= sum(before.cpu_ms.get(pid, 0.0) + before.ended_ms.get(pid, 0.0) for pid in gone)
    return alive_ms + max(seen_ms, told_ms)


def _between(before: Thread | None, after: Thread) -> Thread:
    if before is None:
        return after
    return Thread(after.cpu_ms - before.cpu_ms, after.queued_ms - before.queued_ms, after.stops - before.stops)


@contextmanager
def adopting_orphans() -> Iterator[None]:
    """Let processes whose parent ended become children of this one, on Linux: then none can slip out of its tree."""
    adopt_orphans(True)  # noqa: FBT003 - on
    try:
        yield
    finally:
        adopt_orphans(False)  # noqa: FBT003 - off


class _System(Protocol):
    """Where the figures come from."""

    sampling_s: float
    """How often it is worth while to ask for them."""

    def parents(self) -> Mapping[int, int]:
        """Return the parent of each process there is."""

    def is_marked(self, pid: int, mark: bytes) -> bool:
        """Tell whether a process has `mark` in its environment, as far as this can be seen."""

    def cpu_ms(self, pid: int) -> float:
        """Return the CPU time of a process, ended threads included. Raises OSError for one that is gone."""

    def ended_ms(self, pid: int) -> float:
        """Return the CPU time of the children that it has waited for. Raises OSError."""

    def threads(self, pid: int) -> Iterator[tuple[int, Thread]]:
        """Yield the threads of a process. Raises OSError."""

    def resident_mb(self, pid: int) -> float:
        """Return the memory of a process that is resident now. Raises OSError."""

    def peak_mb(self, pids: Collection[int]) -> float:
        """Return the memory that processes need together: at their peak where it is one, else now."""


class ProcessTree:
    """The process `root`, what descends from it, and what has `mark` in its environment though its parent is gone."""

    def __init__(self, root: int, mark: str, system: _System | None = None) -> None:
        self._root = root
        self._mark = mark.encode() + b"\0"  # which ends each variable
        self._system: _System = system or (LinuxProcesses() if (_PROC / "self/stat").exists() else PsProcesses())
        self._members = {root}
        self._strangers: set[int] = set()
        self._seen_ms: dict[int, float] = {}
        self._largest_mb = 0.0
        self._next_sample_s = 0.0
        self.size = 1
        """How many processes were seen last."""
        self.peak_memory_mb = 0.0
        """The most memory seen in use: what processes share is counted once."""

    def pids(self) -> set[int]:
        """Return the processes of the tree that exist now."""
        parents = self._system.parents()
        self._members &= parents.keys()
        self._strangers &= parents.keys()
        unknown = parents.keys() - self._members - self._strangers
        found = unknown
        while found:
            found = {pid for pid in unknown if parents[pid] in self._members or self._is_orphan(pid, parents[pid])}
            self._members |= found
            unknown -= found
        # A child of ours may be about to become another program, and show its mark then.
        self._strangers |= {pid for pid in unknown if parents[pid] != os.getpid()}
        return set(self._members)

    def sample(self) -> None:
        """Take note of what is in use now: processes and memory come and go between two readings.

        May be called at any time, and looks only so often that it does not get in the way.
        """
        if time.perf_counter() < self._next_sample_s:
            return
        # CPU time, as a busy machine may keep this one waiting.
        began_s = time.thread_time()
        self._take_sample()
        took_s = time.thread_time() - began_s
        pause_s = min(max(self._system.sampling_s, took_s / _DUTY), _LONGEST_PAUSE_S)
        self._next_sample_s = time.perf_counter() + pause_s

    def _take_sample(self) -> None:
        resident_mb = 0.0
        pids = self.pids()
        self.size = len(pids)
        for pid in pids:
            with suppress(OSError, ValueError, IndexError):
                self._seen_ms[pid] = self._system.cpu_ms(pid)
                resident_mb += self._system.resident_mb(pid)
        if resident_mb > self._largest_mb:  # only then is the exact figure, which takes longer, worth asking for
            self._largest_mb = resident_mb
            self.peak_memory_mb = max(self.peak_memory_mb, self._system.peak_mb(pids))

    def usage(self) -> Usage:
        """Return what has been used up to now."""
        self._take_sample()
        cpu_ms: dict[int, float] = {}
        ended_ms: dict[int, float] = {}
        threads: dict[int, Thread] = {}
        for pid in self.pids():
            with suppress(OSError, ValueError, IndexError):
                cpu_ms[pid] = self._system.cpu_ms(pid)
                ended_ms[pid] = self._system.ended_ms(pid)
                threads |= dict(self._system.threads(pid))
        self._seen_ms |= cpu_ms
        alone = [[pid] for pid in cpu_ms]  # each has a peak of its own, which sampling may have missed
        self.peak_memory_mb = max([self.peak_memory_mb, *map(self._system.peak_mb, alone)])
        return Usage(cpu_ms, ended_ms, dict(self._seen_ms), threads)

    def kill(self) -> bool:
        """Kill all of the tree and return whether none is left. Whoever started the root has to wait for it."""
        until = time.monotonic() + _KILLING_S
        while True:
            with suppress(OSError):
                os.killpg(self._root, signal.SIGKILL)  # at one blow: nothing can fork between a look and this
            pids = self.pids()
            for pid in pids:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
                if pid != self._root:
                    with suppress(OSError):  # not ours, or not yet
                        os.waitpid(pid, os.WNOHANG)
            if not pids - {self._root}:
                return True
            if time.monotonic() > until:
                return False
            time.sleep(_KILLING_STEP_S)

    def _is_orphan(self, pid: int, parent: int) -> bool:
        return parent in (1, os.getpid()) and self._system.is_marked(pid, self._mark)


class LinuxProcesses:
    """Processes as /proc and the CPU clocks show them."""

    sampling_s = 0.05
    _TICKS_PER_S = os.sysconf("SC_CLK_TCK")

    def __init__(self) -> None:
        self._parents: dict[int, int] = {}

    def parents(self) -> Mapping[int, int]:
        """Return the parent of each process, as it was when the process was first seen."""
        pids = {int(name) for name in os.listdir(_PROC) if name.isdigit()}  # noqa: PTH208 - faster, and often called
        for pid in self._parents.keys() - pids:
            del self._parents[pid]
        for pid in pids - self._parents.keys():
            with suppress(OSError, ValueError, IndexError):
                self._parents[pid] = int(self._stat(pid)[1])
        return self._parents

    def is_marked(self, pid: int, mark: bytes) -> bool:
        """Tell whether a process was started with `mark` in its environment; False where it may not be looked at."""
        with suppress(OSError):
            return mark in (_PROC / f"{pid}/environ").read_bytes()
        return False

    def cpu_ms(self, pid: int) -> float:
        """Return the reading of the process's CPU clock."""
        return cpu_time_ns(pid) / 1e6

    def ended_ms(self, pid: int) -> float:
        """Return cutime and cstime of its stat, which count in steps of 10 ms."""
        fields = self._stat(pid)
        return (int(fields[13]) + int(fields[14])) / self._TICKS_PER_S * 1000

    def threads(self, pid: int) -> Iterator[tuple[int, Thread]]:
        """Yield what schedstat and status tell of each thread."""
        for folder in (_PROC / f"{pid}/task").iterdir():
            with suppress(OSError, ValueError, IndexError):  # one that has just ended
                cpu_ns, queued_ns, _ = (folder / "schedstat").read_bytes().split()
                stops = (folder / "status").read_bytes().rpartition(b"\nvoluntary_ctxt_switches:")[2].split()[0]
                yield int(folder.name), Thread(int(cpu_ns) / 1e6, int(queued_ns) / 1e6, int(stops))

    def resident_mb(self, pid: int) -> float:
        """Return the resident pages of its statm, shared ones included."""
        return resident_mb(pid, self._parents.get(pid), shared=False)

    def peak_mb(self, pids: Collection[int]) -> float:
        """Return VmHWM of one; of several what is proportionally theirs now, so that shared pages count once."""
        if len(pids) == 1:
            return sum(map(self._largest_mb, pids))
        return sum(resident_mb(pid, self._parents.get(pid), shared=True) for pid in pids)

    def _stat(self, pid: int) -> list[bytes]:
        """Return the fields of its stat from the state on: what stands before it may hold anything."""
        return (_PROC / f"{pid}/stat").read_bytes().rpartition(b")")[2].split()

    @staticmethod
    def _largest_mb(pid: int) -> float:
        with suppress(OSError, ValueError, IndexError):
            status = (_PROC / f"{pid}/status").read_bytes()
            return int(status.partition(b"\nVmHWM:")[2].split(maxsplit=1)[0]) / 1024
        return 0.0


class PsProcesses:
    """Processes as `ps` shows them, for systems without /proc."""

    sampling_s = 0.5

    def __init__(self) -> None:
        self._rows: dict[int, tuple[int, float, float]] = {}
        """Parent, MB resident, ms of CPU time."""

    def parents(self) -> Mapping[int, int]:
        """Ask `ps` and return the parent of each process."""
        listed = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,rss=,time="],  # noqa: S607 - where it is depends on the system
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        ).stdout
        self._rows = dict(map(_ps_row, listed.splitlines()))
        return {pid: parent for pid, (parent, _, _) in self._rows.items()}

    def is_marked(self, pid: int, mark: bytes) -> bool:  # noqa: ARG002 - see below
        """Environments of others are not to be seen."""
        return False

    def cpu_ms(self, pid: int) -> float:
        """Return what the last `ps` showed, or the first one."""
        return self._row(pid)[2]

    def ended_ms(self, pid: int) -> float:  # noqa: ARG002 - see below
        """`ps` does not tell."""
        return 0.0

    def threads(self, pid: int) -> Iterator[tuple[int, Thread]]:  # noqa: ARG002 - see below
        """`ps` does not tell."""
        return iter(())

    def resident_mb(self, pid: int) -> float:
        """Return what the last `ps` showed."""
        return self._row(pid)[1]

    def peak_mb(self, pids: Collection[int]) -> float:
        """Return the sum of what is resident: what they share counts several times."""
        return sum(self._row(pid)[1] for pid in pids if pid in self._rows)

    def _row(self, pid: int) -> tuple[int, float, float]:
        if pid not in self._rows:
            raise ProcessLookupError
        return self._rows[pid]


def _ps_row(line: str) -> tuple[int, tuple[int, float, float]]:
    """Return process id, parent, MB and CPU ms of a line such as `  71    70  2048   0:01.05`, or `... 1-02:03:04`."""
    pid, parent, kilobytes, cpu = line.split()
    days, _, clock = cpu.rpartition("-")
    seconds = 0.0
    for part in clock.split(":"):
        seconds = seconds * 60 + float(part)
    return int(pid), (int(parent), int(kilobytes) / 1024, (int(days or 0) * 86_400 + seconds) * 1000)
