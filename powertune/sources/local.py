"""A dry run as a source: one set of calls in this process, scaled to every memory size by the CPU law."""

import hashlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from powertune import text
from powertune.aws_lambda.calibration import Calibration, Work, calibrate
from powertune.aws_lambda.cpu import MB_PER_VCPU, visible_vcpus
from powertune.aws_lambda.memory import DEFAULT_SIZES_MB, MAX_TIMEOUT_S
from powertune.errors import BadInputError, FunctionFailedError, UsageError
from powertune.model.function_facts import FunctionFacts
from powertune.model.invocation import Invocation
from powertune.model.run_warning import RunWarning
from powertune.model.source import SourceFacts
from powertune.progress import NoProgress, Progress
from powertune.sources.containment import (
    HandlerTimeoutError,
    OutputTrap,
    deadline,
    last_resort,
    own_garbage,
    own_process,
    own_surroundings,
)
from powertune.sources.handler import Call, Handler, call_handler, load_handler, split_handler
from powertune.sources.lambda_context import LambdaContext, lambda_environment, log_stream_name
from powertune.sources.meter import resident_memory_mb

# Lambda's own runtime keeps more in memory than a bare interpreter: functions that do nothing log 36 to 40 MB used
# (REPORT lines of 2021 to 2023), a bare Python 10 to 14 MB.
_RUNTIME_SHARE_MB = 25.0
_BARE_RUNTIME_MB = 37.0

_FEWEST_CALLS, _MOST_CALLS = 3, 30
_CALLING_BUDGET_MS = 3000.0
"""How long the calls together may take before they are cut to fewer, when the user gives no number."""

_IMPORT_TIMEOUT_S = 60.0
"""Lambda gives init 10 s and then tries once more within the function's timeout."""

_INIT_RUNS = 3
_INIT_BUDGET_MS = 600.0
_NOISY_SPREAD = 0.10
_SHORT_CPU_MS = 5.0
"""Less CPU time than this is a small part of any bill, and always noisy."""
_POOR_FIT = 0.05
_FAR_SCALE, _FAR_SHIFT = 4.0, 0.2
"""CPU scale, and change of waiting as a share of the known duration, beyond which the calls here are other work."""


class LocalSource:
    """Calls a Python handler here and offers every memory size, with durations scaled from what the calls took.

    `handler` is `package.module:function` or a callable. `known_durations_ms` maps memory sizes in MB to durations
    known from production and anchors the scale. `timeout_s` bounds each call here and each scaled duration. `region`
    is what the handler finds in its environment; without one, what is there stays.
    """

    def __init__(
        self,
        handler: str | Callable[..., Any],
        *,
        payload: str = "{}",
        sizes: Sequence[int] = DEFAULT_SIZES_MB,
        known_durations_ms: Mapping[int, float] | None = None,
        timeout_s: float = MAX_TIMEOUT_S,
        memory_limit_mb: int | None = None,
        region: str | None = None,
        progress: Progress | None = None,
        output: OutputTrap | None = None,
        end_process_if_stuck: bool = False,
    ) -> None:
        self.sizes = tuple(sizes)
        self.handler_name = handler if isinstance(handler, str) else _name_of(handler)
        self._target = handler
        self._payload = payload
        self._known_ms = dict(known_durations_ms or {})
        if any(not 0 < known <= MAX_TIMEOUT_S * 1000 for known in self._known_ms.values()):
            raise UsageError("a known duration is not above 0 ms, or beyond Lambda's timeout", hint="give milliseconds")
        self._timeout_s = timeout_s
        self._region = region
        self._memory_limit_mb = memory_limit_mb or max(self.sizes)
        self._progress = progress or NoProgress()
        self._output = output or OutputTrap()
        self._end_process_if_stuck = end_process_if_stuck
        self._function_name = _function_name(handler) if isinstance(handler, str) else "handler"
        self._log_stream = log_stream_name()
        self._calls: list[Call] = []
        self._init_ms: float | None = None
        self._base_memory_mb = _BARE_RUNTIME_MB
        self._calibration = Calibration()

    def __enter__(self) -> Self:
        """Import the handler and call it once: on Lambda, too, the first call after init is apart from the rest."""
        try:
            self._folder = os.getcwd()  # noqa: PTH109 - import paths are text
        except FileNotFoundError:
            raise BadInputError("the working directory is gone", hint="change to a folder that exists") from None
        with ExitStack() as stack:
            stack.enter_context(own_surroundings())
            stack.enter_context(own_garbage())
            variables = lambda_environment(
                self._function_name, self.handler_name, self._memory_limit_mb, self._log_stream, self._region
            )
            os.environ.update(variables)
            self._progress.begin(f"importing {self.handler_name}")
            self._handler = self._load()
            self._import_path = list(sys.path)
            self._resident_mb = resident_memory_mb()
            self._progress.begin(f"calling {self.handler_name} for the first time")
            self._call()
            self._surroundings = stack.pop_all()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Put environment variables, working directory and import path back."""
        self._surroundings.close()
        self._progress.end()

    @property
    def facts(self) -> SourceFacts:
        """What this machine and the calls have shown so far."""
        typical = self._typical_work()
        details: dict[str, object] = {
            "handler": self.handler_name,
            "payload_sha256": hashlib.sha256(self._payload.encode()).hexdigest(),
            "python": sys.version.split()[0],
            "calls": len(self._calls),
            "cpu_ms": typical.cpu_ms,
            "wait_ms": typical.wait_ms,
            "threads": typical.threads,
            "waits": typical.waits,
            "memory_needed_mb": round(self._memory_needed_mb(), 1),
            "cpu_scale": self._calibration.cpu_scale,
            "wait_shift_ms": self._calibration.wait_shift_ms,
            "known_durations_ms": {str(size): known for size, known in sorted(self._known_ms.items())},
        }
        return SourceFacts(
            kind="local",
            basis="scaled",
            calibrated=bool(self._known_ms),
            billed=False,
            default_samples=self._default_samples(),
            function=FunctionFacts(
                name=self.handler_name, runtime=f"python{sys.version_info.major}.{sys.version_info.minor}"
            ),
            details=details,
            warnings=tuple(self._warnings(typical)),
        )

    def measure(self, plan: Mapping[int, int]) -> Iterator[Invocation]:
        """Call the handler as often as the largest count asks, once for all sizes, and yield the calls at each size.

        Each size gets the first call as its cold start, then its count of warm ones.
        """
        wanted = max(plan.values(), default=0)
        self._progress.begin(f"calling {self.handler_name}", total=wanted)
        while len(self._calls) <= wanted and self._calls[0].status == "ok":
            self._call()
            self._progress.step()
        if self._init_ms is None and isinstance(self._target, str) and self._calls[0].status == "ok":
            self._progress.begin(f"importing {self.handler_name} in a fresh interpreter")
            self._init_ms, memory_mb = self._measure_init()
            self._base_memory_mb = memory_mb + _RUNTIME_SHARE_MB
        self._calibration = calibrate(self._works(), self._known_ms)
        for memory_mb, count in sorted(plan.items()):
            yield from self._at_size(memory_mb, count)

    def _load(self) -> Handler:
        if not isinstance(self._target, str):
            return self._target
        module, function = split_handler(self._target)
        try:
            with self._output, self._guard(_IMPORT_TIMEOUT_S), own_process(), deadline(_IMPORT_TIMEOUT_S):
                return load_handler(module, function)
        except HandlerTimeoutError:
            raise FunctionFailedError(
                f"{module} was not imported within {_IMPORT_TIMEOUT_S:g} s",
                hint="on Lambda, too, init has to end: 10 s, or the timeout where that is longer",
            ) from None

    def _guard(self, timeout_s: float) -> AbstractContextManager[None]:
        if not self._end_process_if_stuck:
            return nullcontext()
        return last_resort(timeout_s, self.handler_name, self._output.stderr)

    def _call(self) -> None:
        context = LambdaContext(
            function_name=self._function_name,
            memory_limit_in_mb=str(self._memory_limit_mb),
            timeout_s=self._timeout_s,
            region=self._region or "us-east-1",
            log_stream_name=self._log_stream,
        )
        with self._output, self._guard(self._timeout_s), own_process():
            call = call_handler(self._handler, self._payload, context, self._timeout_s, self._resident_mb)
        self._calls.append(call)

    def _default_samples(self) -> int:
        fitting = int(_CALLING_BUDGET_MS / max(self._calls[0].wall_ms, 0.1))
        return min(max(fitting, _FEWEST_CALLS), _MOST_CALLS)

    def _measure_init(self) -> tuple[float, float]:
        """Return import time in ms and memory in MB after it, of the handler's module in fresh interpreters."""
        answers = [self._probe_import()]
        while len(answers) < _INIT_RUNS and sum(answer["init_ms"] for answer in answers) < _INIT_BUDGET_MS:
            answers.append(self._probe_import())
        return (
            statistics.median(answer["init_ms"] for answer in answers),
            max(answer["memory_mb"] for answer in answers),
        )

    def _probe_import(self) -> dict[str, float]:
        module, _ = split_handler(self.handler_name)
        worker = Path(__file__).with_name("worker.py")
        try:
            done = subprocess.run(  # noqa: S603 - this interpreter and a file of ours
                [sys.executable, str(worker)],
                input=json.dumps({"module": module, "sys_path": self._import_path}),
                capture_output=True,
                text=True,
                timeout=_IMPORT_TIMEOUT_S,
                cwd=self._folder,
                check=True,
            )
            answer: dict[str, float] = json.loads(done.stdout)
        except (subprocess.SubprocessError, ValueError) as error:
            raise FunctionFailedError(
                f"{module} was imported here but not in a fresh interpreter",
                hint=f"it may need what this process has set up; try: {Path(sys.executable).name} -c 'import {module}'",
            ) from error
        return answer

    def _works(self) -> list[Work]:
        """Return the work of each warm call that succeeded; of the first call where there is no other."""
        return [call.work for call in self._calls[1:] if call.status == "ok"] or [self._calls[0].work]

    def _typical_work(self) -> Work:
        works = self._works()
        return Work(
            statistics.fmean(work.cpu_ms for work in works),
            statistics.fmean(work.wait_ms for work in works),
            statistics.median_low(sorted(work.threads for work in works)),
            statistics.median_low(sorted(work.waits for work in works)),
        )

    def _memory_needed_mb(self) -> float:
        return self._base_memory_mb + max(call.memory_growth_mb for call in self._calls)

    def _at_size(self, memory_mb: int, count: int) -> Iterator[Invocation]:
        first, *rest = self._calls
        needed_mb = self._memory_needed_mb()
        if first.status == "ok" and needed_mb > memory_mb:
            error = f"needs about {needed_mb:.0f} MB"
            yield Invocation(memory_mb, 0.0, max_memory_used_mb=needed_mb, error=error, status="out-of-memory")
            return
        yield self._scaled(first, memory_mb, needed_mb, cold=True)
        for call in rest[:count]:
            yield self._scaled(call, memory_mb, needed_mb, cold=False)

    def _scaled(self, call: Call, memory_mb: int, needed_mb: float, *, cold: bool) -> Invocation:
        duration_ms = call.work.duration_at_ms(memory_mb, self._calibration)
        status, error = call.status, call.error
        if status == "ok" and duration_ms > self._timeout_s * 1000:
            status, error = "timed-out", f"would take longer than {text.duration(self._timeout_s * 1000)}"
        return Invocation(
            memory_mb,
            duration_ms,
            init_ms=self._init_ms if cold and status == "ok" else None,
            max_memory_used_mb=needed_mb,
            cold=cold,
            error=error,
            status=status,
        )

    def _warnings(self, typical: Work) -> Iterator[RunWarning]:
        failed = [call for call in self._calls[1:] if call.status != "ok"]
        if failed:
            yield RunWarning(
                "failed-calls",
                f"{text.count(len(failed), 'call')} of {len(self._calls)} failed: {failed[0].error}",
                "the figures rest on the others; -v shows what the handler printed",
            )
        cpu_ms = [call.work.cpu_ms for call in self._calls[1:] if call.status == "ok"]
        if len(cpu_ms) >= _FEWEST_CALLS and statistics.fmean(cpu_ms) > _SHORT_CPU_MS:
            spread = statistics.stdev(cpu_ms) / statistics.fmean(cpu_ms)
            if spread > _NOISY_SPREAD:
                yield RunWarning(
                    "noisy-host",
                    f"CPU time varied by {spread:.0%} from call to call",
                    "close other programs, or average over more calls with --samples",
                )
        if self._calibration.worst_error > _POOR_FIT:
            yield RunWarning(
                "poor-anchor",
                f"the calls here cannot be brought nearer than {self._calibration.worst_error:.0%} to the known"
                " durations",
                "check that --duration-at and --payload belong to the same work",
            )
        scale, shift_ms = self._calibration.cpu_scale, self._calibration.wait_shift_ms
        known_ms = max(self._known_ms.values(), default=0.0)
        if not 1 / _FAR_SCALE <= scale <= _FAR_SCALE or abs(shift_ms) > _FAR_SHIFT * known_ms:
            yield RunWarning(
                "stretched-anchor",
                f"to meet the known duration, CPU time is taken {scale:.3g} times and waiting is changed by"
                f" {shift_ms:+.0f} ms from what was seen here",
                "check that --payload is the same work, or give a second size with --duration-at",
            )
        if typical.threads > 1:
            largest_mb = max(self.sizes)
            yield RunWarning(
                "parallel",
                f"the handler kept about {typical.threads} cores busy; sizes above {MB_PER_VCPU} MB assume that its"
                f" threads share the work evenly, on up to {visible_vcpus(largest_mb)} vCPUs",
                "measure the chosen size on AWS before relying on it",
            )


def _name_of(handler: Callable[..., Any]) -> str:
    module = getattr(handler, "__module__", None) or "handler"
    return f"{module}:{getattr(handler, '__qualname__', type(handler).__name__)}"


def _function_name(handler: str) -> str:
    """Return a name that Lambda would take, from the handler's module: `orders` of `shop.orders:handler`."""
    module, _ = split_handler(handler)
    return module.rpartition(".")[2][:64]
