"""The function's own process: imports a handler as Lambda's Python runtime does, calls it, and says what a call took.

One file of the standard library alone, for Python 3.9 and newer: `dry-run --isolate` runs it in a fresh interpreter,
`--python` in the function's own, where powertune is not installed. In-process calls import the same code from here.

Protocol: the number of a stream socket is the only argument. Messages are JSON in UTF-8 behind their length as four
bytes, big-endian. The worker greets with `{"python", "pid", "tmp_mb"}`, then answers each message with one:

    {"init": {"module", "function", "folder", "layers", "path": null | [...], "context"}}
        -> {"init_ms", "memory_mb", "problem": null | {"kind", "name", "known", "failure", "missing"}}
    {"call": {"payload", "timeout_s", "request_id"}}
        -> {"status", "failure": null | [type, message, file, line], "before", "after", "peak_mb"}

`before` and `after` are the fields of `Clocks`. At the end of the stream it exits. What the handler prints goes to
descriptors 1 and 2 and never meets the socket, which is moved out of the way and closed in programs it starts.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import time
import traceback
import types
from contextlib import suppress

try:
    import resource
except ImportError:  # pragma: no cover - not on Windows, where powertune does not measure
    resource = None  # type: ignore[assignment] # there is no such module there

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing would take as long as the rest
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, NoReturn

# Taken now: the handler may put anything in their place.
_wall, _process_cpu, _thread_cpu = time.perf_counter, time.process_time, time.thread_time
_monotonic, _gmtime = time.monotonic, time.gmtime
_read, _write, _exit, _getpid = os.read, os.write, os._exit, os.getpid
_dumps, _loads, _open = json.dumps, json.loads, open

MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
"""Largest request and response (AWS Lambda quotas page, 2026-11-23)."""

LINE_LOST = 121
"""Exit status of a worker whose socket the handler has closed."""

_MESSAGE_LIMIT = 2000
_OUT_OF_THE_WAY_FD = 900  # below 1,024, the most that Lambda allows and many machines by default


# --- clocks ---


class Clocks:
    """Readings at one moment, in ms; memory in MB. On Linux, `wall_ms` of all processes count from the same moment."""

    FIELDS = ("wall_ms", "cpu_ms", "queued_ms", "blocked", "largest_child_mb", "thread_ms")

    def __init__(
        self,
        wall_ms: float,
        cpu_ms: float,
        queued_ms: float,
        blocked: int | None,
        largest_child_mb: float,
        thread_ms: float,
    ) -> None:
        self.wall_ms = wall_ms
        # CPU time of all threads of this process and of the children it has waited for.
        self.cpu_ms = cpu_ms
        # Time this thread was ready to run and had no core, on Linux; else 0.
        self.queued_ms = queued_ms
        # How often this thread has given up its core by itself, on Linux; else None.
        self.blocked = blocked
        self.largest_child_mb = largest_child_mb
        # CPU time of this thread alone.
        self.thread_ms = thread_ms

    @classmethod
    def read(cls) -> Clocks:
        """Return the readings of now."""
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        blocked = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw if hasattr(resource, "RUSAGE_THREAD") else None
        return cls(
            _wall() * 1000,
            (_process_cpu() + children.ru_utime + children.ru_stime) * 1000,
            _queued_ms(),
            blocked,
            children.ru_maxrss / _RUSAGE_PER_MB,
            _thread_cpu() * 1000,
        )

    def as_list(self) -> list[float | None]:
        """Return the readings in the order of FIELDS."""
        return [getattr(self, name) for name in self.FIELDS]


_RUSAGE_PER_MB = 1024 * 1024 if sys.platform == "darwin" else 1024


def _queued_ms() -> float:
    try:
        with _open("/proc/thread-self/schedstat", encoding="ascii") as stat:
            return int(stat.read().split()[1]) / 1e6
    except (OSError, IndexError, ValueError):
        return 0.0


def peak_memory_mb() -> float:
    """Return the highest resident memory of this process in MB."""
    try:
        with _open("/proc/self/status", encoding="ascii", errors="replace") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    # Not the first choice on Linux: there it starts from the memory of the process that started this one.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _RUSAGE_PER_MB


def resident_memory_mb() -> float:
    """Return the memory of this process that is resident now, in MB; elsewhere than on Linux its peak."""
    try:
        with _open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024**2
    except OSError:
        return peak_memory_mb()


def restart_peak_memory() -> None:
    """Let the peak of resident memory start anew from what is resident now, on Linux; elsewhere it stays."""
    try:
        with _open("/proc/self/clear_refs", "w", encoding="ascii") as refs:
            refs.write("5")
    except OSError:
        pass


# --- finding and calling the handler ---


class LoadError(Exception):
    """The handler was not found, or its module failed. `kind`: no-module, not-imported, no-function, not-callable."""

    def __init__(
        self, kind: str, name: str = "", known: Sequence[str] = (), error: BaseException | None = None
    ) -> None:
        super().__init__(kind)
        self.kind = kind
        self.name = name
        self.known = [_words(each, 80) for each in known][:100]
        self.error = error


def load_handler(module_name: str, function: str, passing: tuple[type[BaseException], ...] = ()) -> Any:
    """Import a module and return a function of it. Raises LoadError, and what of `passing` the import raises."""
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise LoadError("no-module", error.name) from None
        raise LoadError("not-imported", error=error) from error
    except BaseException as error:
        if isinstance(error, passing):
            raise
        raise LoadError("not-imported", error=error) from error
    for name in function.split("."):
        found = _attribute(found, name)
    if not callable(found):
        raise LoadError("not-callable")
    return found


def _attribute(owner: Any, name: str) -> Any:
    try:
        return getattr(owner, name)
    except Exception:  # noqa: BLE001 - a module may have a __getattr__ of its own
        known = [found for found in dir(owner) if not found.startswith("_") and callable(getattr(owner, found, None))]
    raise LoadError("no-function", name, known)


class Failure:
    """How a call failed, in the handler's own words: unsafe to show as they are."""

    def __init__(self, kind: str, message: str = "", file: str = "", line: int = 0) -> None:
        self.kind = kind
        self.message = message
        self.file = file
        self.line = line

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Return what an exception says, and the last place it went through, unless that is ours."""
        if isinstance(error, SystemExit):
            return cls("Runtime.ExitError", f"it called sys.exit({_words(error.code, 40)})")
        frames = traceback.extract_tb(error.__traceback__)
        if not frames or frames[-1].filename == __file__:
            return cls(type(error).__name__, _words(error))
        return cls(type(error).__name__, _words(error), os.path.basename(frames[-1].filename), frames[-1].lineno or 0)


def _words(value: object, limit: int = _MESSAGE_LIMIT) -> str:
    """Return `value` as text that can be sent, nothing where its own code fails at that."""
    try:
        return str(value)[:limit].encode("utf-8", "backslashreplace").decode()
    except Exception:  # noqa: BLE001 - __str__ of a stranger may do anything
        return ""


class Outcome:
    """One call: `status` as in a run file, why it failed, and the clocks around it."""

    def __init__(self, status: str, failure: Failure | None, before: Clocks, after: Clocks) -> None:
        self.status = status
        self.failure = failure
        self.before = before
        self.after = after


def invoke(
    handler: Callable[[Any, Any], Any], event: Any, context: Any, passing: tuple[type[BaseException], ...] = ()
) -> Outcome:
    """Call the handler once. Whatever it raises is a result, but for `passing`."""
    restart_peak_memory()
    before = Clocks.read()
    try:
        result = handler(event, context)
    except MemoryError as error:
        return Outcome("out-of-memory", Failure.of(error), before, Clocks.read())
    except BaseException as error:
        if isinstance(error, passing):
            raise
        return Outcome("failed", Failure.of(error), before, Clocks.read())
    after = Clocks.read()
    failure = marshal_failure(result)
    return Outcome("failed" if failure else "ok", failure, before, after)


def marshal_failure(result: Any) -> Failure | None:
    """Return why Lambda could not send `result` back, or None."""
    kind = _words(type(result).__name__, 80)
    if isinstance(result, types.CoroutineType):
        result.close()
        return Failure("Runtime.MarshalError", f"it returned a {kind}; Lambda does not await Python handlers")
    try:
        size = len(_dumps(result, default=_decimal_as_number, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    except Exception as error:  # noqa: BLE001 - a result may bring methods of its own
        return Failure("Runtime.MarshalError", f"it returned a {kind} that JSON cannot hold ({_words(error, 80)})")
    if size > MAX_PAYLOAD_BYTES:
        return Failure("Function.ResponseSizeTooLarge", f"it returned {size / 1e6:.1f} MB; Lambda takes 6 MB")
    return None


def _decimal_as_number(value: object) -> float:
    decimal = sys.modules.get("decimal")  # the Python runtime takes decimals
    if decimal is not None and isinstance(value, decimal.Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} is not JSON serializable")


# --- what the handler finds around it ---


class LambdaContext:
    """The second argument of a handler, as the Python runtime gives it (AWS Lambda developer guide, "context")."""

    def __init__(
        self,
        *,
        function_name: str,
        memory_limit_in_mb: str,
        timeout_s: float,
        region: str,
        log_stream_name: str,
        aws_request_id: str,
    ) -> None:
        self.function_name = function_name
        self.function_version = "$LATEST"
        self.invoked_function_arn = f"arn:aws:lambda:{region}:123456789012:function:{function_name}"
        self.memory_limit_in_mb = memory_limit_in_mb  # text, as in the runtime, which passes the variable on
        self.aws_request_id = aws_request_id
        self.log_group_name = f"/aws/lambda/{function_name}"
        self.log_stream_name = log_stream_name
        self.identity = None
        self.client_context = None
        self.tenant_id = None
        self._ends = _monotonic() + timeout_s

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left before the function's timeout."""
        return max(0, int((self._ends - _monotonic()) * 1000))

    def log(self, message: object) -> None:
        """Write to the function's log, as the runtime's own method does."""
        sys.stdout.write(str(message))


class _RequestFilter(logging.Filter):
    """Gives log records the id of the request, which the runtime's format shows."""

    request_id = ""

    def filter(self, record: logging.LogRecord) -> bool:
        record.aws_request_id = self.request_id
        return True


def set_up_logging() -> _RequestFilter:
    """Give the root logger a handler, as the Python runtime does: `logging.basicConfig` has no effect after it."""
    to_output = logging.StreamHandler(sys.stdout)
    formatter = logging.Formatter(
        "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = _gmtime
    to_output.setFormatter(formatter)
    request_filter = _RequestFilter()
    to_output.addFilter(request_filter)
    logging.getLogger().addHandler(to_output)
    return request_filter


def set_import_path(folder: str, layers: Sequence[str]) -> None:
    """Put the task root first on `sys.path`, then what layers bring as under /opt; a later layer covers an earlier."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    wanted = [folder]
    for layer in reversed(layers):
        inside = os.path.join(layer, "python")
        wanted += [os.path.join(inside, "lib", version, "site-packages"), inside]
    sys.path[:] = wanted + [entry for entry in sys.path if entry not in wanted]


# --- the process ---


class _Line:
    """The socket to powertune, out of the handler's way."""

    def __init__(self, fd: int) -> None:
        import fcntl  # noqa: PLC0415 - calls in powertune's own process do without

        try:
            self._fd = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY_FD)
        except OSError:  # a lower limit on descriptors
            self._fd = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
        os.close(fd)

    def receive(self) -> dict[str, Any] | None:
        """Return the next message, or None at the end."""
        head = self._exactly(4)
        body = self._exactly(int.from_bytes(head, "big")) if head else None
        return _loads(body) if body else None

    def send(self, message: Mapping[str, Any]) -> None:
        body = _dumps(message).encode()
        data = len(body).to_bytes(4, "big") + body
        while data:
            data = data[_write(self._fd, data) :]

    def _exactly(self, size: int) -> bytes | None:
        data = b""
        while len(data) < size:
            part = _read(self._fd, min(size - len(data), 1 << 20))
            if not part:
                return None
            data += part
        return data


def _tmp_mb() -> float | None:
    """Return the size of the file system that /tmp is on, in MB."""
    try:
        found = os.statvfs("/tmp")  # noqa: S108 - that is its name
    except OSError:
        return None
    return found.f_blocks * found.f_frsize / 1024**2


def _initialise(order: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Import the handler and return it, or None, with the answer."""
    if order["path"] is None:
        set_import_path(order["folder"], order["layers"])
    else:
        sys.path[:] = order["path"]
    os.environ["AWS_EXECUTION_ENV"] = f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}"
    began = _wall()
    handler: Any = None
    problem: dict[str, Any] | None = None
    try:
        handler = load_handler(order["module"], order["function"])
    except LoadError as error:
        failure = Failure.of(error.error) if error.error else None
        problem = {
            "kind": error.kind,
            "name": error.name,
            "known": error.known,
            "failure": list(vars(failure).values()) if failure else None,
            "missing": isinstance(error.error, ModuleNotFoundError),
        }
    return handler, {"init_ms": (_wall() - began) * 1000, "memory_mb": peak_memory_mb(), "problem": problem}


def _call(handler: Any, order: Mapping[str, Any], context: Mapping[str, str]) -> dict[str, Any]:
    lambda_context = LambdaContext(timeout_s=order["timeout_s"], aws_request_id=order["request_id"], **context)
    outcome = invoke(handler, _loads(order["payload"]), lambda_context)
    failure = outcome.failure
    return {
        "status": outcome.status,
        "failure": list(vars(failure).values()) if failure else None,
        "before": outcome.before.as_list(),
        "after": outcome.after.as_list(),
        "peak_mb": peak_memory_mb(),
    }


def main() -> NoReturn:
    """Serve one handler until the socket is closed."""
    own_folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if entry != own_folder]
    line = _Line(int(sys.argv[1]))
    pid = _getpid()
    del sys.argv[1:]
    streams: Any = (sys.stdout, sys.stderr)
    for stream in streams:
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    requests = set_up_logging()
    line.send({"python": sys.version.split()[0], "pid": pid, "tmp_mb": _tmp_mb()})
    handler: Any = None
    context: dict[str, str] = {}
    while True:
        try:
            message = line.receive()
        except OSError:
            _exit(LINE_LOST)
        if message is None:
            _exit(0)  # at once: the handler may have left threads behind
        if "init" in message:
            context = message["init"]["context"]
            handler, answer = _initialise(message["init"])
        else:
            requests.request_id = message["call"]["request_id"]
            answer = _call(handler, message["call"], context)
        if _getpid() != pid:  # a fork of the handler's that came back in its place
            _exit(0)
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # the handler may have closed them, or put anything in their place
                stream.flush()
        try:
            line.send(answer)
        except OSError:
            _exit(LINE_LOST)


if __name__ == "__main__":
    main()
