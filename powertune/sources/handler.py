"""Finds a Python handler and calls it in this process: what it prints is kept away, what it takes is measured.

Calling in-process keeps debuggers, mocks and monkeypatches working, and has its price: a handler that ends the process
with `os._exit` or a crash takes powertune with it.
"""

import importlib
import json
import math
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from powertune import text
from powertune.aws_lambda.calibration import Work
from powertune.aws_lambda.memory import MAX_PAYLOAD_BYTES
from powertune.errors import BadInputError, ExitCode, FunctionFailedError, UsageError
from powertune.model.invocation import Status
from powertune.sources.worker import peak_memory_mb

Handler = Callable[[Any, Any], Any]

_FORMS = "write package.module:function, as in powertune.examples.primes:handler"
_STUCK_GRACE_S = 5.0
# CPU over wall time that one thread cannot reach, so that a second must have been running.
_SECOND_THREAD_SHARE = 0.2
_SHORTEST_PARALLEL_MS = 5.0
"""CPU time below which clocks are too coarse to tell threads apart."""


class HandlerTimeoutError(BaseException):
    """The handler ran out of time. No Exception, so that the handler's own `except Exception` lets it pass."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the handler: what it took, or how it failed."""

    work: Work
    wall_ms: float
    memory_growth_mb: float
    """Peak resident memory during the call above what was resident before it."""
    status: Status = "ok"
    error: str | None = None


def split_handler(spec: str) -> tuple[str, str]:
    """Return module and function of `package.module:function`, `module.function` or `folder/module.function`.

    Raises UsageError where `spec` has neither form.
    """
    module, colon, function = spec.partition(":")
    if not colon:
        module, _, function = spec.rpartition(".")
    module = module.removesuffix(".py").removeprefix("./").replace("/", ".")
    if not all(part.isidentifier() for part in (*module.split("."), *function.split("."))):
        raise UsageError(f"{text.printable(spec, limit=80)!r} does not name a handler", hint=_FORMS)
    return module, function


def load_handler(module_name: str, function: str) -> Handler:
    """Import the handler, with the working directory first on the path, as Lambda does with the task root.

    Raises BadInputError where there is no such handler, FunctionFailedError where its module fails to import.
    """
    here = os.getcwd()  # noqa: PTH109 - sys.path holds text
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise BadInputError(
                f"there is no module {error.name!r}",
                hint=f"run powertune from the folder that holds it, or put that on PYTHONPATH; {_FORMS}",
            ) from None
        raise FunctionFailedError(
            f"{module_name} cannot be imported: {text.printable(error)}",
            hint="install the handler's dependencies into the environment that powertune runs in",
        ) from error
    except (KeyboardInterrupt, HandlerTimeoutError):
        raise
    except BaseException as error:
        raise FunctionFailedError(
            f"{module_name} fails while it is imported: {describe_error(error)}",
            hint="on Lambda this is an init error: mend it first; -v shows what it printed",
        ) from error
    for name in function.split("."):
        found = _attribute(found, name, module_name)
    if not callable(found):
        raise BadInputError(f"{module_name}:{function} is not a function", hint=_FORMS)
    handler: Handler = found
    return handler


def _attribute(owner: Any, name: str, module_name: str) -> Any:
    if hasattr(owner, name):
        return getattr(owner, name)
    functions = [known for known, value in vars(owner).items() if callable(value) and not known.startswith("_")]
    raise BadInputError(
        f"{module_name} has no function {name!r}",
        hint=text.nearest(name, functions) or f"it has: {', '.join(sorted(functions)[:8]) or 'no functions'}",
    )


def describe_error(error: BaseException) -> str:
    """Return `ValueError: no such order` for an exception of the handler, safe to show."""
    if isinstance(error, SystemExit):
        return f"Runtime.ExitError: it called sys.exit({text.printable(error.code, limit=40)})"
    message = text.printable(error)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def call_handler(handler: Handler, payload: str, context: object, timeout_s: float) -> Call:
    """Call `handler` once with a fresh copy of the JSON `payload` and return what it took.

    A handler that raises, exits, hangs or returns what JSON cannot hold gives a failed call, not an exception.
    """
    event = json.loads(payload)
    meter = _Meter()
    status: Status = "ok"
    problem: str | None = None
    result: object = None
    try:
        with deadline(timeout_s):
            meter.start()
            try:
                result = handler(event, context)
            finally:
                meter.stop()
    except HandlerTimeoutError:
        status, problem = "timed-out", f"no answer within {text.duration(timeout_s * 1000)}"
    except MemoryError as error:
        status, problem = "out-of-memory", describe_error(error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a handler raises is a result
        status, problem = "failed", describe_error(error)
    else:
        problem = _marshal_problem(result)
        status = "failed" if problem else "ok"
    return Call(meter.work(), meter.wall_ms, meter.memory_growth_mb, status, problem)


def _marshal_problem(result: object) -> str | None:
    """Return why Lambda could not send `result` back, or None."""
    kind = type(result).__name__
    if hasattr(result, "__await__"):
        close = getattr(result, "close", None)
        if close:
            close()
        return f"Runtime.MarshalError: it returned a {kind}; Lambda does not await Python handlers"
    try:
        size = len(json.dumps(result, default=_decimal_as_number).encode("utf-8", "surrogatepass"))
    except (TypeError, ValueError, RecursionError) as error:
        return f"Runtime.MarshalError: it returned a {kind} that JSON cannot hold ({text.printable(error, limit=80)})"
    if size > MAX_PAYLOAD_BYTES:
        return f"Function.ResponseSizeTooLarge: it returned {size / 1e6:.1f} MB; Lambda takes 6 MB"
    return None


def _decimal_as_number(value: object) -> float:
    if isinstance(value, Decimal):  # the Python runtime takes decimals
        return float(value)
    raise TypeError(f"{type(value).__name__} is not JSON serializable")


class _Meter:
    """Clocks around one call: wall time, CPU of all threads and children, time ready but not running, peak memory."""

    def __init__(self) -> None:
        self.wall_ms = 0.0
        self.memory_growth_mb = 0.0
        self._cpu_ms = 0.0
        self._delay_ms = 0.0
        self._blocked = True

    def start(self) -> None:
        self._resident_mb = _restart_peak_memory()
        self._before = (*_thread_state(), _cpu_ms(), time.perf_counter() * 1000)

    def stop(self) -> None:
        wall_ms, cpu_ms, (switches, delay_ms) = time.perf_counter() * 1000, _cpu_ms(), _thread_state()
        switches_before, delay_before, cpu_before, wall_before = self._before
        self.wall_ms = wall_ms - wall_before
        self._cpu_ms = cpu_ms - cpu_before
        self._delay_ms = delay_ms - delay_before
        self._blocked = switches is None or switches != switches_before
        self.memory_growth_mb = max(0.0, peak_memory_mb() - self._resident_mb)

    def work(self) -> Work:
        """Part the wall time into computing and waiting.

        Waiting is wall time without CPU time, less the time this host let the handler queue for a core. A thread that
        never gave up its core of its own accord has not waited at all, whatever the clocks say.
        """
        ready_ms = max(0.0, self.wall_ms - self._delay_ms)
        threads = 1
        if self._cpu_ms > _SHORTEST_PARALLEL_MS:
            threads = max(1, math.ceil(self._cpu_ms / max(ready_ms, self.wall_ms / 2) - _SECOND_THREAD_SHARE))
        wait_ms = max(0.0, ready_ms - self._cpu_ms / threads) if self._blocked else 0.0
        return Work(self._cpu_ms, wait_ms, threads)


def _cpu_ms() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (time.process_time() + children.ru_utime + children.ru_stime) * 1000


def _thread_state() -> tuple[int | None, float]:
    """Return how often this thread has given up its core by itself, and how many ms it has queued for one, on Linux."""
    who = getattr(resource, "RUSAGE_THREAD", None)
    if who is None:
        return None, 0.0
    try:
        delay_ns = int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        delay_ns = 0
    return resource.getrusage(who).ru_nvcsw, delay_ns / 1e6


def _restart_peak_memory() -> float:
    """Let the peak start anew from what is resident now (Linux; elsewhere it stays), and return it in MB."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return peak_memory_mb()


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise HandlerTimeoutError in the main thread after `seconds`, and again each second if that is swallowed.

    Outside the main thread no signal can be set, and the block may run for ever.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise HandlerTimeoutError

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def last_resort(seconds: float, handler_name: str) -> Iterator[None]:
    """End the process with a word on standard error if the block still runs some time after `seconds`.

    For the command line: a handler stuck in C code or swallowing every exception can be stopped in no other way.
    """
    out = os.dup(2)

    def give_up() -> None:
        message = (
            f"Error: {text.printable(handler_name)} did not stop when its {text.duration(seconds * 1000)} were over\n"
            "  it cannot be interrupted, so powertune ends with it; look for a loop that catches every exception\n"
        )
        os.write(out, message.encode("utf-8", "replace"))
        os._exit(ExitCode.FUNCTION_FAILED)

    timer = threading.Timer(seconds + _STUCK_GRACE_S, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        os.close(out)


class OutputTrap:
    """Keeps what a handler prints, by any way, off standard output and error, and its hands off standard input.

    The result alone belongs on standard output, and text from outside is not to reach a terminal as it is. With
    `keep` the end of it can be read afterwards; else it is gone.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self._fd = _temporary_fd() if keep else _sink_fd()
        self._writer = open(self._fd, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115 - see _sink_fd
        self._keeps = keep

    def __enter__(self) -> Self:
        self._streams = (sys.stdin, sys.stdout, sys.stderr)
        for stream in self._streams[1:]:
            stream.flush()
        self._fds = [os.dup(fd) for fd in (0, 1, 2)]
        self._nothing = open(os.devnull, encoding="ascii")  # noqa: PTH123 - closed on exit
        os.dup2(self._nothing.fileno(), 0)
        for fd in (1, 2):
            os.dup2(self._fd, fd)
        sys.stdin, sys.stdout, sys.stderr = self._nothing, self._writer, self._writer
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for stream in {sys.stdout, sys.stderr, self._writer}:
            with suppress(OSError, ValueError):  # a handler may have closed or replaced them
                stream.flush()
        sys.stdin, sys.stdout, sys.stderr = self._streams
        for fd, saved in zip((0, 1, 2), self._fds, strict=True):
            os.dup2(saved, fd)
            os.close(saved)
        self._nothing.close()

    def tail(self, *, lines: int = 20) -> list[str]:
        """Return the last lines that were caught, safe to show; none without `keep`."""
        if not self._keeps:
            return []
        size = os.fstat(self._fd).st_size
        start = max(0, size - 200 * lines)
        caught = os.pread(self._fd, size - start, start).decode("utf-8", "replace").splitlines()[-lines:]
        return [text.printable(line) for line in caught]


@cache
def _sink_fd() -> int:
    """Return a descriptor of nowhere that is never closed: logging set up by a handler's module holds on to it."""
    return os.open(os.devnull, os.O_RDWR)


def _temporary_fd() -> int:
    """Return a descriptor of a file that is gone when the process ends."""
    import tempfile  # noqa: PLC0415 - only -v needs it

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
