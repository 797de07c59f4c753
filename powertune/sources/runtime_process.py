"""One execution environment: a process that speaks the Runtime API, started, given events, measured, killed.

Phases and limits: AWS Lambda developer guide, "Understand the Lambda execution environment lifecycle", read 2026-11-26.
Init ends when the runtime first asks for an event, and has 10 s; where it fails, it is tried once more together with
the invocation, in the function's timeout. An invocation ends when the runtime asks for the next event. A runtime that
exits, or runs out of time, is killed with all it has started; the next invocation begins with a new init.
"""

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from powertune import text
from powertune.aws_lambda.calibration import Work
from powertune.errors import BadInputError
from powertune.model.invocation import Status
from powertune.sources.isolated import MOST_PROCESSES
from powertune.sources.process_tree import ProcessTree, work_of
from powertune.sources.runtime_api import RuntimeApi, Task
from powertune.sources.watching import ProcessWatch

INIT_TIMEOUT_S = 10.0
_API = "AWS_LAMBDA_RUNTIME_API"
_FORM = "give an executable that speaks Lambda's Runtime API, as in: --runtime-api -- ./bootstrap"
_WATCHING_S = 0.05
"""How long it may take to notice that the process has ended."""
_LAST_WORDS_S = 0.25
"""How long what a process sent before it ended may take to be read."""

_Wait = Literal["done", "exited", "late", "memory", "processes"]
"""What came first: what was waited for, the end of the process, of its time, or of what it may take."""


@dataclass(frozen=True, slots=True)
class Run:
    """One invocation: what it took from being handed out until the runtime asked for the next, or how it failed."""

    work: Work
    wall_ms: float
    is_first: bool = False
    """Whether it was the first of its process."""
    status: Status = "ok"
    error: str | None = None


@dataclass(slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    tree: ProcessTree
    watch: ProcessWatch
    is_fresh: bool = True
    """Until its first invocation."""


class RuntimeProcess:
    """Starts `command` when there is something to run and none is running. To be used within one event loop.

    Together its processes may have `memory_limit_mb`.
    """

    def __init__(
        self,
        command: Sequence[str],
        api: RuntimeApi,
        environment: Mapping[str, str],
        *,
        arn: str,
        timeout_s: float,
        memory_limit_mb: float,
    ) -> None:
        self._command = list(command)
        self._api = api
        self._environment = {**environment, _API: f"127.0.0.1:{api.port}"}
        self._arn = arn
        self._timeout_s = timeout_s
        self._memory_limit_mb = memory_limit_mb
        self._running: _Running | None = None
        self.peak_memory_mb = 0.0
        """The most memory that was in use at a time."""
        self.inits_ms: list[float] = []
        """How long each init took that ended well."""
        self.init_failures: list[str] = []
        """How the others ended."""
        self.leaves_processes = False
        """Whether something that was started could not be ended."""

    async def begin(self) -> None:
        """Go through the init phase. Where it fails nothing runs, and the first invocation tries again."""
        await self._init(time.monotonic() + INIT_TIMEOUT_S, INIT_TIMEOUT_S)

    async def invoke(self, payload: str) -> Run:
        """Have an event handled, by a new process where there is none."""
        began_s = time.monotonic()
        until_s = began_s + self._timeout_s
        running = self._running
        if running is None:
            found = await self._init(until_s, self._timeout_s)
            if not isinstance(found, _Running):
                wall_ms = (time.monotonic() - began_s) * 1000
                return Run(Work(0.0, 0.0), wall_ms, is_first=True, status=found, error=self.init_failures[-1])
            running = found
        return await self._run(running, payload, until_s)

    def kill(self) -> None:
        """End the process and all that came of it."""
        if self._running is None:
            return
        self._note_memory(self._running)
        self._running.watch.close()
        if not self._running.tree.kill():
            self.leaves_processes = True
        self._running.process.wait()
        self._running = None
        self._api.forget()

    async def _init(self, until_s: float, limit_s: float) -> "_Running | Status":
        """Start the process and wait until it asks for an event. Return it, or how it failed, which is noted."""
        began_s = time.perf_counter()
        running = self._running = self._started()
        ended = await self._until(running, lambda: self._api.is_asked or self._api.init_error is not None, until_s)
        self._note_memory(running)
        status: Status = "failed"
        if self._api.init_error is not None:
            why = str(self._api.init_error)
        elif ended == "done":
            self.inits_ms.append((self._api.asked_at_s - began_s) * 1000)
            return running
        elif ended != "late":
            status, why = self._failure(running, ended, "before it asked for an event")
        else:
            status = "timed-out"
            why = f"init did not end within {text.duration(limit_s * 1000)}: it never asked for an event"
        self.init_failures.append(why)
        self.kill()
        return status

    def _started(self) -> _Running:
        name = text.printable(self._command[0], limit=120)
        try:
            process = subprocess.Popen(  # noqa: S603 - running it is what the user asked for
                self._command, stdin=subprocess.DEVNULL, env=self._environment, start_new_session=True
            )
        except FileNotFoundError:
            raise BadInputError(f"there is no command {name}", hint=_FORM) from None
        except (OSError, ValueError) as error:
            why = text.printable(error.strerror if isinstance(error, OSError) else error)
            raise BadInputError(f"{name} cannot be run: {why}", hint=_FORM) from error
        tree = ProcessTree(process.pid, f"{_API}={self._environment[_API]}")
        return _Running(process, tree, ProcessWatch(process.pid))

    async def _run(self, running: _Running, payload: str, until_s: float) -> Run:
        is_first, running.is_fresh = running.is_fresh, False
        running.watch.begin()
        before = running.tree.usage()
        deadline_ms = int((time.time() + until_s - time.monotonic()) * 1000)
        handed_s = time.perf_counter()
        self._api.hand_out(Task(payload.encode("utf-8", "surrogatepass"), self._arn, deadline_ms))
        ended = await self._until(running, lambda: self._api.answer is not None and self._api.is_asked, until_s)
        over_s = self._api.asked_at_s if ended == "done" else time.perf_counter()
        after = running.tree.usage()
        seen = running.watch.end()
        self._note_memory(running)
        self.peak_memory_mb = max(self.peak_memory_mb, seen.peak_mb or 0.0)
        wall_ms = (over_s - handed_s) * 1000
        status, error = self._outcome(running, ended)
        if ended != "done":
            self.kill()
        work = work_of(before, after, handed_s * 1000, wall_ms, seen)
        return Run(work, wall_ms, is_first=is_first, status=status, error=error)

    def _outcome(self, running: _Running, ended: _Wait) -> tuple[Status, str | None]:
        answer = self._api.answer
        if ended == "late":
            said = "no answer" if answer is None else "an answer, but it did not ask for the next event"
            return "timed-out", f"{said} within {text.duration(self._timeout_s * 1000)}"
        if ended != "done":
            return self._failure(running, ended, "before its answer" if answer is None else "after its answer")
        if answer is None or answer.error is None:
            return "ok", None
        return "out-of-memory" if answer.error.kind == "MemoryError" else "failed", str(answer.error)

    def _failure(self, running: _Running, ended: _Wait, when: str) -> tuple[Status, str]:
        """Return what a process died of, or was killed for, in the words of handlers in their own process."""
        if ended == "memory":
            return "out-of-memory", f"took more than the {self._memory_limit_mb:.0f} MB it may have"
        if ended == "processes":
            return "failed", f"it started more than {MOST_PROCESSES:,} processes, which is Lambda's limit"
        return "failed", _exit_error(running.process, when)

    async def _until(self, running: _Running, is_done: Callable[[], bool], until_s: float) -> _Wait:
        """Wait for what the runtime says, for its end, or until it is late; watch its processes meanwhile."""
        while not is_done():
            if running.process.poll() is not None:
                await self._hear_last_words(is_done)
                return "done" if is_done() else "exited"
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                return "late"
            running.tree.sample()
            if running.tree.peak_memory_mb > self._memory_limit_mb:
                return "memory"
            if running.tree.size > MOST_PROCESSES:
                return "processes"
            await self._api.change(min(_WATCHING_S, left_s))
        return "done"

    async def _hear_last_words(self, is_done: Callable[[], bool]) -> None:
        """Take in what a process sent before it ended."""
        until_s = time.monotonic() + _LAST_WORDS_S
        while not is_done() and self._api.is_talking and time.monotonic() < until_s:
            await self._api.change(until_s - time.monotonic())

    def _note_memory(self, running: _Running) -> None:
        self.peak_memory_mb = max(self.peak_memory_mb, running.tree.peak_memory_mb)


def _exit_error(process: subprocess.Popen[bytes], when: str) -> str:
    """Return in Lambda's words how a process ended."""
    code = process.returncode or 0
    if code < 0:
        with suppress(ValueError):
            return f"Runtime.ExitError: it was killed by {signal.Signals(-code).name} {when}"
    return f"Runtime.ExitError: it ended with exit status {code} {when}"
