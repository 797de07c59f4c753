"""Calls a handler in a process of its own, which may do what it likes: powertune goes on, and nothing stays behind."""

import json
import os
import select
import shutil
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from powertune import text
from powertune.aws_lambda.calibration import Work
from powertune.errors import FunctionFailedError, UsageError
from powertune.model.invocation import Status
from powertune.sources.handler import Call, describe, load_problem, no_answer, split_handler
from powertune.sources.meter import Seen, peak_together_mb, work_between
from powertune.sources.watching import Watcher, WatcherError, seen_by
from powertune.sources.worker import LINE_LOST, Clocks, Failure, LoadError

IMPORT_TIMEOUT_S = 60.0
"""Lambda gives init 10 s and then tries once more within the function's timeout."""

_START_WITHIN_S = 30.0
_LARGEST_MESSAGE = 1 << 20
_HEAD = 4
"""Bytes of a message that say how long it is."""
MOST_PROCESSES = 1024
"""Processes and threads together (AWS Lambda quotas page, 2026-11-23)."""
_SHARE_OF_FREE_MEMORY = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How the handler's process is started."""

    handler: str
    """`package.module:function`."""
    python: str | None = None
    """Interpreter, or folder of a virtual environment; None for this one."""
    folder: str
    """Working directory, and the first place that modules are looked for."""
    environment: Mapping[str, str] = field(repr=False)
    """All of its environment variables."""
    layers: Sequence[str] = ()
    """Folders that stand for /opt."""
    path: Sequence[str] | None = None
    """`sys.path` in place of Lambda's."""
    context: Mapping[str, str]
    """Fields of the context object: function_name, memory_limit_in_mb, region, log_stream_name."""
    memory_mb: float
    """What it is stopped beyond, as Lambda would."""
    file_mb: int | None = None
    """Largest file that it may write."""
    tmp_mb: int | None = None
    """Size of a /tmp of its own, which takes a Linux that allows it, and code that does not lie in /tmp itself."""
    prefix: Sequence[str] = ()
    """A command to start it with, such as one that sets limits and then becomes its arguments."""
    silent: bool = False
    """Whether what it prints is dropped."""
    join: Sequence[str] = ()
    """Files of control groups (`cgroup.procs`, `tasks`) that it enters before it starts."""
    watched: bool = True
    """Whether its clocks are read while it runs: under a quota that has the kernel look at the quota, too."""


@dataclass(frozen=True, slots=True)
class Init:
    """What importing the handler took."""

    init_ms: float
    memory_mb: float
    """Peak memory of the process after it, the bare interpreter included."""
    python: str
    tmp_mb: float | None = None
    """Size of the file system that /tmp is on."""


@dataclass(frozen=True, slots=True)
class _Death:
    status: int | None
    """As `os.waitpid` gives it; None where it lives and has closed the line."""
    why: str | None


class IsolatedHandler:
    """A handler in a process of its own.

    `with IsolatedHandler(launch) as handler: handler.call('{"id": 1}', timeout_s=3)`. Entering starts the process and
    imports the handler; leaving kills it and everything it has started. What it prints goes to standard error.
    """

    def __init__(self, launch: Launch, *, start_within_s: float = _START_WITHIN_S) -> None:
        self._launch = launch
        self._start_within_s = start_within_s
        self._line: socket.socket | None = None
        self._watcher: Watcher | None = None
        self._pid: int | None = None

    def __enter__(self) -> Self:
        try:
            self.init = self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """Whether it can be called."""
        return self._line is not None

    @property
    def pid(self) -> int | None:
        """Its process, while that lives."""
        return self._pid

    def start(self) -> Init:
        """Start the process and import the handler. Raises PowertuneError where that does not work."""
        launch = self._launch
        module, function = split_handler(launch.handler)
        python = interpreter(launch.python)
        here, there = socket.socketpair()
        with there:
            worker = str(Path(__file__).with_name("worker.py"))
            keep = {
                "command": [*launch.prefix, python, worker, str(there.fileno())],
                "environment": dict(launch.environment),
                "fd": there.fileno(),
                "file_mb": launch.file_mb,
                "folder": launch.folder,
                "join": list(launch.join),
                "memory_mb": launch.memory_mb,
                "processes": MOST_PROCESSES,
                "silent": launch.silent,
                "tmp_mb": None if self._lies_in_tmp(python, worker) else launch.tmp_mb,
            }
            self._line = here
            try:
                self._watcher = Watcher({"keep": keep}, pass_fds=[there.fileno()])
                self._pid = self._watcher.hear()["pid"]
            except (OSError, WatcherError) as cause:
                why = f": {cause.strerror}" if isinstance(cause, OSError) else ""
                raise FunctionFailedError(
                    f"no process could be started for the handler{why}",
                    hint="look for what keeps this machine from starting processes: memory, limits, other programs",
                ) from None
        greeting = self._receive(self._start_within_s)
        if not isinstance(greeting, dict) or "python" not in greeting:
            raise UsageError(
                f"{text.printable(python)} did not start as a Python interpreter",
                hint="--python takes Python 3.9 or newer, or a virtual environment; -v shows what it said",
            )
        order = {
            "module": module,
            "function": function,
            "folder": launch.folder,
            "layers": list(launch.layers),
            "path": None if launch.path is None else list(launch.path),
            "context": dict(launch.context),
        }
        self._send({"init": order}, IMPORT_TIMEOUT_S)
        answer = self._receive(IMPORT_TIMEOUT_S)
        if answer is None:
            raise FunctionFailedError(
                f"{module} was not imported within {IMPORT_TIMEOUT_S:g} s",
                hint="on Lambda, too, init has to end: 10 s, or the timeout where that is longer",
            )
        if isinstance(answer, _Death):
            raise FunctionFailedError(
                f"{module} ended its process while it was imported: {self._last_words(answer)[1]}",
                hint="on Lambda this is an init error: mend it first; -v shows what it printed",
            )
        problem = answer["problem"]
        if problem:
            failure = Failure(*problem["failure"]) if problem["failure"] else None
            error = LoadError(problem["kind"], problem["name"], problem["known"])
            raise load_problem(module, function, error, failure, missing=problem["missing"])
        self._init_memory_mb = answer["memory_mb"]
        return Init(
            answer["init_ms"],
            answer["memory_mb"],
            text.printable(greeting["python"], limit=20),
            greeting.get("tmp_mb"),
        )

    def call(self, payload: str, *, timeout_s: float) -> Call:
        """Call the handler with a JSON text and return what it took.

        Whatever it does is a result. After a call that timed out, or ended the process, it is not `alive` any more.
        """
        if self._watcher is None or self._line is None:
            raise ValueError("not started")
        began = Clocks.read()
        try:
            if self._launch.watched:
                self._ask_watcher("begin")
            began = Clocks.read()
            order = {"payload": payload, "timeout_s": timeout_s, "request_id": str(uuid4())}
            self._send({"call": order}, timeout_s)
            answer = self._receive(timeout_s)
            if isinstance(answer, dict):
                return self._answered(answer, seen_by(self._ask_watcher("end")) if self._launch.watched else Seen())
        except (WatcherError, LookupError, TypeError, ValueError):
            answer = _Death(None, None)
        wall_ms = Clocks.read().wall_ms - began.wall_ms
        self.kill()
        if answer is None:
            return Call(Work(0.0, wall_ms), wall_ms, 0.0, "timed-out", no_answer(timeout_s))
        return Call(Work(0.0, wall_ms), wall_ms, 0.0, *self._last_words(answer))

    def kill(self) -> None:
        """Kill the process and everything it has started."""
        self.close()

    def close(self) -> None:
        """Leave nothing behind."""
        watcher, line, self._watcher, self._line = self._watcher, self._line, None, None
        if line:
            line.close()
        if watcher:
            watcher.close()
        if self._pid is not None:
            with suppress(OSError):  # its keeper has done so, unless somebody has killed that
                os.killpg(self._pid, signal.SIGKILL)
            self._pid = None

    def _lies_in_tmp(self, *needed: str) -> bool:
        launch = self._launch
        paths = [launch.folder, *needed, *launch.layers, *(launch.path or ())]
        paths += launch.environment.get("PYTHONPATH", "").split(os.pathsep)
        return any(Path(path).resolve().is_relative_to("/tmp") for path in paths if path)  # noqa: S108 - that is its name

    def _answered(self, answer: Mapping[str, Any], seen: Seen) -> Call:
        before, after = Clocks(*answer["before"]), Clocks(*answer["after"])
        failure = Failure(*answer["failure"]) if answer["failure"] else None
        peak_mb = peak_together_mb(answer["peak_mb"], seen.peak_mb, before, after)
        status: Status = answer["status"]
        return Call(
            work_between(before, after, seen),
            after.wall_ms - before.wall_ms,
            max(0.0, peak_mb - self._init_memory_mb),
            status,
            describe(failure) if failure else None,
        )

    def _last_words(self, death: _Death) -> tuple[Status, str]:
        """Return status and reason for a process that is gone."""
        if death.why == "memory":
            return "out-of-memory", f"took more than the {self._launch.memory_mb:.0f} MB it may have"
        if death.why == "processes":
            return "failed", f"it started more than {MOST_PROCESSES:,} processes and threads, which is Lambda's limit"
        lost = death.status is not None and os.WIFEXITED(death.status) and os.WEXITSTATUS(death.status) == LINE_LOST
        if death.status is None or lost:
            return "failed", "it closed or used a descriptor that belongs to the runtime, and cannot be called any more"
        if os.WIFSIGNALED(death.status):
            name = signal.strsignal(os.WTERMSIG(death.status)) or str(os.WTERMSIG(death.status))
            return "failed", f"Runtime.ExitError: signal: {name.lower()}"
        return "failed", f"Runtime.ExitError: exit status {os.WEXITSTATUS(death.status)}"

    def _ask_watcher(self, order: str) -> Any:
        assert self._watcher is not None  # noqa: S101 - those who call have looked
        self._watcher.tell(order)
        while True:
            answer = self._watcher.hear()
            if not isinstance(answer, dict) or "died" not in answer:
                return answer

    def _send(self, message: Mapping[str, Any], seconds: float) -> None:
        body = json.dumps(message).encode()
        assert self._line is not None  # noqa: S101 - likewise
        self._line.settimeout(seconds)
        with suppress(OSError):  # what became of it is found out when nothing comes back
            self._line.sendall(len(body).to_bytes(4, "big") + body)

    def _receive(self, seconds: float) -> dict[str, Any] | _Death | None:
        """Return the next message, what became of the process instead, or None when the time is over."""
        assert self._line is not None  # noqa: S101 - likewise
        assert self._watcher is not None  # noqa: S101 - likewise
        until = time.monotonic() + seconds
        data = b""
        closed = False
        while True:
            left_s = until - time.monotonic()
            if left_s <= 0:
                return _Death(None, None) if closed else None
            asked: list[socket.socket | Watcher] = [self._watcher] if closed else [self._line, self._watcher]
            ready = select.select(asked, [], [], left_s)[0]
            if self._line in ready:
                part = b""
                with suppress(OSError):  # it ended without reading what it was sent
                    part = self._line.recv(1 << 16)
                closed = not part
                if closed:  # how it ended comes from its keeper, if it has
                    until = min(until, time.monotonic() + 1.0)
                data += part
                size = int.from_bytes(data[:_HEAD], "big") if len(data) >= _HEAD else _LARGEST_MESSAGE
                if len(data) >= _HEAD + size:
                    with suppress(ValueError):
                        message = json.loads(data[_HEAD : _HEAD + size])
                        if isinstance(message, dict):
                            return message
                    return _Death(None, None)
                if size > _LARGEST_MESSAGE:
                    return _Death(None, None)
            elif self._watcher in ready:
                try:
                    answer = self._watcher.hear()
                except WatcherError:
                    return _Death(None, None)
                if isinstance(answer, dict) and "died" in answer:
                    return _Death(answer["died"], answer["why"])


def interpreter(python: str | None) -> str:
    """Return the path of an interpreter that is named by path, by name, or by its virtual environment.

    Raises UsageError where there is none.
    """
    if python is None:
        return sys.executable
    inside = Path(python) / "bin" / "python"
    found = str(inside) if inside.exists() else shutil.which(python)
    if found is None:
        raise UsageError(
            f"there is no interpreter {text.printable(python, limit=120)}",
            hint="--python takes the path of a Python interpreter, or of a virtual environment",
        )
    return os.path.abspath(found)  # noqa: PTH100 - resolving the link would leave the virtual environment


def memory_limit_mb(largest_mb: float) -> float:
    """Return what a handler's process may take: the largest memory size, unless this machine has less to give."""
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free_mb = int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]) / 1024
        return min(largest_mb, _SHARE_OF_FREE_MEMORY * free_mb)
    return largest_mb
