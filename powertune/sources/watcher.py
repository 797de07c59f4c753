"""Runs by itself: watches the processes of a handler from outside, so that watching costs the handler nothing.

It reads the clocks of a whole process tree every millisecond or so while a call runs. It may also be the parent of that
tree (then it is the keeper): it starts the handler's process, stops it where it takes more memory or processes than it
is given, and leaves nothing of it behind, orphans included, whatever becomes of powertune. Standard library only, for a
quick start.

Protocol, a JSON value a line. First line in: `{"watch": pid}`, or `{"keep": {...}}` with what `_Keeper` and `_become`
read, which is answered by `{"pid"}`. Then in: `"begin"`, answered by `"ready"`; `"end"`, answered by what was seen
since. Out, by itself, once: `{"died": wait status, "why": null | "memory" | "processes"}`. At `"over"`, or the end of
its orders, it kills what it keeps and ends.
"""

import json
import os
import resource
import select
import signal
import sys
import time
from contextlib import suppress
from typing import Any, NoReturn

_STEP_S = 0.001
_DUTY = 0.1
"""Largest share of the time that reading the clocks may take."""
_LONGEST_PAUSE_S = 0.02
_AT_ONCE_S = 0.0003
_MEMORY_EVERY_S = 0.01
_IDLE_STEP_S = 0.02
_END_WITHIN_S = 5.0
_MOST_SAMPLES = 200_000
_SHORTEST_QUEUE_NS = 20_000
_FILES_ON_LAMBDA = 1024
"""Descriptors that a process may have open (AWS Lambda quotas page, 2026-11-23)."""
_PR_SET_CHILD_SUBREAPER, _PR_SET_PDEATHSIG = 36, 1
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)
"""powertune decides when it is over."""
_CLONE_NEWNS = 0x20000
_MS_NOSUID, _MS_NODEV, _MS_REC, _MS_PRIVATE = 0x2, 0x4, 0x4000, 0x40000
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PAGE_MB = _PAGE / 1024**2


def children_of(pid: int) -> list[int]:
    """Return the live children of all threads of a process, on Linux; else nothing."""
    found: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as children:
                found += [int(child) for child in children.read().split()]
    return found


def descendants_of(pid: int) -> list[int]:
    """Return all processes below one, on Linux; else nothing."""
    found = [pid]
    for each in found:
        found += [child for child in children_of(each) if child not in found]
    return found[1:]


def _whole(fd: int) -> bytes:
    """Return all of an open file of /proc, which gives no more than a page at a time."""
    data = part = os.pread(fd, _PAGE, 0)
    while len(part) > _PAGE // 2:
        part = os.pread(fd, _PAGE, len(data))
        data += part
    return data


def cpu_time_ns(pid: int) -> int:
    """Return the CPU time of a process in ns, ended threads included, on Linux. Raises OSError for one that is gone."""
    return time.clock_gettime_ns((~pid << 3) | 2)  # the clock whose id clock_getcpuclockid returns


def resident_mb(pid: int, parent: int | None, *, shared: bool) -> float:
    """Return the resident memory of a process in MB, on Linux; else 0.

    Of pages that processes share it has its part only, where `shared` says that there are several; that takes longer
    to tell. A child that is about to become another program lives in the memory of its parent (vfork, posix_spawn):
    it has none of its own, or all of the parent's would count twice.
    """
    pages = _pages(pid)
    if parent is not None and pages == _pages(parent):
        return 0.0
    if shared:
        with suppress(OSError), open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
            for line in rollup:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) / 1024
    return int(pages[1]) * _PAGE_MB if pages else 0.0


def _pages(pid: int) -> list[str]:
    with suppress(OSError), open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return statm.read().split()
    return []


class _Process:
    """The clocks of one process of the tree; the files they are in are kept open, which makes reading them cheap."""

    def __init__(self, pid: int, parent: int | None = None) -> None:
        self.pid = pid
        self.parent = parent
        self.cpu_ns = 0
        self.queued_ns: dict[int, int] = {}
        self.queues: list[tuple[float, float]] = []
        self.threads = 1
        self.gone = False
        self._files: dict[int, tuple[int, int]] = {}

    def find(self) -> list[int]:
        """Find the threads and return the children."""
        try:
            threads = {int(name) for name in os.listdir(f"/proc/{self.pid}/task")}
        except (FileNotFoundError, ProcessLookupError):
            self.close()
            return []
        except OSError:  # too many files are open: it cannot be told now
            return []
        self.threads = len(threads)
        for thread in threads - self._files.keys():
            with suppress(OSError):
                folder = f"/proc/{self.pid}/task/{thread}"
                queue = os.open(f"{folder}/schedstat", os.O_RDONLY)
                try:
                    self._files[thread] = queue, os.open(f"{folder}/children", os.O_RDONLY)
                except OSError:
                    os.close(queue)
        children: list[int] = []
        for _, fd in self._files.values():
            with suppress(OSError):
                children += [int(child) for child in _whole(fd).split()]
        return children

    def read(self) -> None:
        """Read the clocks: CPU time of the whole process, and how long each thread has queued for a core."""
        try:
            self.cpu_ns = max(self.cpu_ns, cpu_time_ns(self.pid))
        except OSError:
            self.close()
            return
        for thread, files in list(self._files.items()):
            try:
                queued_ns = int(os.pread(files[0], 64, 0).split()[1])
                longer_ns = queued_ns - self.queued_ns.get(thread, 0)
                self.queued_ns[thread] = queued_ns
                if longer_ns >= _SHORTEST_QUEUE_NS:  # it is told when it is over
                    self.queues.append((time.perf_counter() * 1000, longer_ns / 1e6))
            except (OSError, IndexError, ValueError):
                del self._files[thread]
                for fd in files:
                    os.close(fd)

    def close(self) -> None:
        self.gone = True
        for files in self._files.values():
            for fd in files:
                os.close(fd)
        self._files.clear()


class Tree:
    """A process and all below it; where this process is its keeper, orphans that came to be its own children, too."""

    def __init__(self, root: int, *, is_kept: bool = False) -> None:
        self._is_kept = is_kept
        self._processes: dict[int, _Process] = {root: _Process(root)}
        self._past_cpu_ns = 0
        self.queues: list[tuple[float, float]] = []
        self.peak_mb = 0.0

    def start_anew(self) -> None:
        """Forget what was seen."""
        self.queues = []
        self.peak_mb = 0.0

    def sample(self) -> tuple[float, float]:
        """Return the time now and the CPU time of the tree, in ms; keep when its threads have queued for a core."""
        self.find()
        when_ms = self._read()
        cpu_ns = self._past_cpu_ns
        for process in list(self._processes.values()):
            cpu_ns += process.cpu_ns
            self.queues += process.queues
            process.queues.clear()
            if process.gone:
                self._past_cpu_ns += process.cpu_ns
                del self._processes[process.pid]
        return when_ms, cpu_ns / 1e6

    def _read(self) -> float:
        """Read all clocks and return when, in ms: once more if it took so long that they are of different moments."""
        began = 0.0
        for _ in range(2):
            began = time.perf_counter()
            for process in self._processes.values():
                process.read()
            if time.perf_counter() - began < _AT_ONCE_S:
                break
        return began * 1000

    def find(self) -> None:
        """Find new threads and processes."""
        found: list[tuple[int, int | None]] = [
            (child, process.pid) for process in list(self._processes.values()) for child in process.find()
        ]
        if self._is_kept:
            found += [(orphan, None) for orphan in children_of(os.getpid())]
        for child, parent in found:
            if child not in self._processes and child != os.getpid():
                self._processes[child] = _Process(child, parent)
                self._processes[child].find()

    def weigh(self) -> None:
        """Measure memory."""
        shared = len(self._processes) > 1
        now_mb = sum(resident_mb(each.pid, each.parent, shared=shared) for each in self._processes.values())
        self.peak_mb = max(self.peak_mb, now_mb)

    @property
    def size(self) -> int:
        """Threads in all processes."""
        return sum(process.threads for process in self._processes.values())


class _Keeper:
    """The parent of the handler's process."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._memory_mb: float = order["memory_mb"]
        self._processes: int = order["processes"]
        self.why: str | None = None
        self.status: int | None = None
        adopt_orphans(True)  # noqa: FBT003 - on
        self.pid = os.fork()
        if not self.pid:
            _become(order)

    def reap(self) -> bool:
        """Collect processes that ended; tell whether the handler's was among them."""
        died = False
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    break
                if pid == self.pid:
                    self.status, died = status, True
        return died

    def enforce(self, tree: Tree) -> None:
        """End everything where the tree has grown beyond what it is given."""
        if self.why is None and self.status is None:
            if tree.peak_mb > self._memory_mb:
                self.why = "memory"
            elif tree.size > self._processes:
                self.why = "processes"
            if self.why:
                _signal(self.pid, signal.SIGSTOP)
                self.end_all()

    def end_all(self) -> None:
        """Kill all that descends from this process, until nothing is left."""
        until = time.monotonic() + _END_WITHIN_S
        while time.monotonic() < until:
            found = descendants_of(os.getpid())
            if self.status is None and self.pid not in found:
                found.append(self.pid)
                with suppress(OSError):  # elsewhere than on Linux, what has not left its group
                    os.killpg(self.pid, signal.SIGKILL)
            for kind in (signal.SIGSTOP, signal.SIGKILL):  # stopped first, so that none forks while others are killed
                for pid in found:
                    _signal(pid, kind)
            self.reap()
            if not found:
                return
            time.sleep(_STEP_S)


def _signal(pid: int, kind: signal.Signals) -> None:
    with suppress(OSError):
        os.kill(pid, kind)


def adopt_orphans(value: bool) -> None:  # noqa: FBT001 - on or off
    """Let processes whose parent ended become children of this one, on Linux, or no longer."""
    _process_control(_PR_SET_CHILD_SUBREAPER, int(value))


def _process_control(option: int, value: int) -> None:
    if sys.platform == "linux":
        with suppress(ImportError, OSError, AttributeError):
            import ctypes  # noqa: PLC0415 - only a keeper needs it

            ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _private_tmp(size_mb: int) -> None:
    """Give this process an empty /tmp of that size, which others do not see, where the system allows it."""
    with suppress(ImportError, OSError, AttributeError):
        import ctypes  # noqa: PLC0415 - few need it

        libc = ctypes.CDLL(None)
        if not libc.unshare(_CLONE_NEWNS) and not libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None):
            options = f"size={size_mb}m,mode=1777".encode()
            libc.mount(b"tmpfs", b"/tmp", b"tmpfs", _MS_NOSUID | _MS_NODEV, options)


def _become(order: dict[str, Any]) -> NoReturn:
    """Turn this fork into the handler's process."""
    try:
        os.setsid()
        _process_control(_PR_SET_PDEATHSIG, signal.SIGKILL)
        for kind in _IGNORED:
            signal.signal(kind, signal.SIG_DFL)
        for file in order["join"]:
            with open(file, "w", encoding="ascii") as group:
                group.write("0")
        # First in line where the machine itself runs out of memory.
        with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
            score.write("1000")
        if order["file_mb"] is not None:
            with suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_mb"] * 1024**2,) * 2)
        if order["tmp_mb"] is not None:
            _private_tmp(order["tmp_mb"])
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES_ON_LAMBDA,) * 2)
        sink = os.open(os.devnull, os.O_RDWR)
        os.dup2(sink, 0)
        if order["silent"]:
            os.dup2(sink, 2)
        os.dup2(2, 1)
        os.set_inheritable(order["fd"], True)  # noqa: FBT003 - that is how it is called
        os.chdir(order["folder"])
        os.execvpe(order["command"][0], order["command"], order["environment"])  # noqa: S606 - the user's own handler
    except BaseException as error:  # noqa: BLE001 - a fork must never go on as its parent
        with suppress(OSError):
            os.write(2, f"{type(error).__name__}: {error}\n".encode(errors="replace"))
    finally:
        os._exit(127)


class _Orders:
    """Lines from standard input."""

    def __init__(self) -> None:
        self._data = b""
        self.over = False

    def next(self, seconds: float | None) -> Any:
        """Return the next order, or None where none comes in that time."""
        if b"\n" not in self._data and select.select([0], [], [], seconds)[0]:
            part = os.read(0, 1 << 16)
            self.over = not part
            self._data += part
        line, end, rest = self._data.partition(b"\n")
        if not end:
            return None
        self._data = rest
        order = json.loads(line)
        self.over = self.over or order == "over"
        return order

    def first(self) -> Any:
        """Return the first order, which says what to do."""
        while not self.over:
            order = self.next(None)
            if order is not None:
                return order
        sys.exit()


def _say(message: object) -> None:
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(1, data) :]


def _detach() -> None:
    """Go on as nobody's child: a handler may wait for all children of its process."""
    if os.fork():
        os._exit(0)
    os.setsid()


def serve(orders: _Orders, tree: Tree, keeper: _Keeper | None) -> None:
    """Follow orders until there are no more."""
    samples: list[tuple[float, float]] | None = None
    step_s = pause_s = _STEP_S
    weigh_at, told = 0.0, False
    while not orders.over:
        order = orders.next(pause_s if samples is not None else _IDLE_STEP_S if keeper else None)
        if order == "begin":
            samples, step_s, weigh_at = [tree.sample()], _STEP_S, 0.0
            tree.start_anew()
            _say("ready")
        elif order == "end":
            seen = [*(samples or []), tree.sample()]
            tree.weigh()
            _say({"samples": seen, "queues": tree.queues, "peak_mb": tree.peak_mb})
            samples = None
        began = time.perf_counter()
        if samples is not None:
            samples.append(tree.sample())
            if len(samples) > _MOST_SAMPLES:  # of a long call: half as many, half as often
                del samples[1::2]
                step_s *= 2
        elif keeper:
            tree.find()
        if began >= weigh_at:
            tree.weigh()
            now = time.perf_counter()
            weigh_at = now + max(_MEMORY_EVERY_S, (now - began) / _DUTY)
        if keeper:
            keeper.enforce(tree)
            keeper.reap()
            if keeper.status is not None and not told:
                told = True
                _say({"died": keeper.status, "why": keeper.why})
        # What this round took may be the fault of a busy machine, so it lengthens only the next pause, and not by much.
        pause_s = max(step_s, min((time.perf_counter() - began) / _DUTY, _LONGEST_PAUSE_S))


def main() -> None:
    """Watch or keep, as the first line says."""
    for kind in _IGNORED:
        signal.signal(kind, signal.SIG_IGN)
    with suppress(OSError, ValueError):  # two files for each thread that is watched
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    orders = _Orders()
    first = orders.first()
    keeper = _Keeper(first["keep"]) if "keep" in first else None
    if keeper is None and first["watch"] == os.getppid():
        _detach()
    if keeper:
        with suppress(OSError):
            os.close(first["keep"]["fd"])
        _say({"pid": keeper.pid})
    try:
        serve(orders, Tree(keeper.pid if keeper else first["watch"], is_kept=keeper is not None), keeper)
    except (BrokenPipeError, ConnectionResetError):
        pass  # powertune is gone
    finally:
        if keeper:
            keeper.end_all()


if __name__ == "__main__":
    main()
