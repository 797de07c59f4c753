"""A dry run as a source: one set of calls in this process, scaled to every memory size by the CPU law."""

import hashlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from powertune.aws_lambda.memory import DEFAULT_SIZES_MB, MAX_TIMEOUT_S
from powertune.errors import BadInputError, FunctionFailedError
from powertune.model.function_facts import FunctionFacts
from powertune.model.invocation import Invocation
from powertune.model.source import SourceFacts
from powertune.progress import NoProgress, Progress
from powertune.sources.calls import Calls
from powertune.sources.containment import (
    HandlerTimeoutError,
    OutputTrap,
    deadline,
    last_resort,
    own_garbage,
    own_process,
    own_surroundings,
)
from powertune.sources.handler import Handler, call_handler, load_handler, split_handler
from powertune.sources.lambda_context import LambdaContext, lambda_environment, log_stream_name
from powertune.sources.meter import resident_memory_mb

# Lambda's own runtime keeps more in memory than a bare interpreter: functions that do nothing log 36 to 40 MB used
# (REPORT lines of 2021 to 2023), a bare Python 10 to 14 MB.
_RUNTIME_SHARE_MB = 25.0
_BARE_RUNTIME_MB = 37.0

_IMPORT_TIMEOUT_S = 60.0
"""Lambda gives init 10 s and then tries once more within the function's timeout."""

_INIT_RUNS = 3
_INIT_BUDGET_MS = 600.0


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
        self._calls = Calls(known_durations_ms or {}, timeout_s)
        self._calibrated = bool(known_durations_ms)
        self._timeout_s = timeout_s
        self._region = region
        self._memory_limit_mb = memory_limit_mb or max(self.sizes)
        self._progress = progress or NoProgress()
        self._output = output or OutputTrap()
        self._end_process_if_stuck = end_process_if_stuck
        self._function_name = _function_name(handler) if isinstance(handler, str) else "handler"
        self._log_stream = log_stream_name()
        self._base_memory_mb = _BARE_RUNTIME_MB

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
        details = {
            "handler": self.handler_name,
            "payload_sha256": hashlib.sha256(self._payload.encode()).hexdigest(),
            "python": sys.version.split()[0],
            **self._calls.details(),
            "memory_needed_mb": round(self._memory_needed_mb(), 1),
        }
        return SourceFacts(
            kind="local",
            basis="scaled",
            calibrated=self._calibrated,
            billed=False,
            default_samples=self._calls.default_samples(),
            function=FunctionFacts(
                name=self.handler_name, runtime=f"python{sys.version_info.major}.{sys.version_info.minor}"
            ),
            details=details,
            warnings=tuple(self._calls.warnings(self.sizes)),
        )

    def measure(self, plan: Mapping[int, int]) -> Iterator[Invocation]:
        """Call the handler as often as the largest count asks, once for all sizes, and yield the calls at each size.

        Each size gets the first call as its cold start, then its count of warm ones.
        """
        wanted = max(plan.values(), default=0)
        self._progress.begin(f"calling {self.handler_name}", total=wanted)
        while len(self._calls.all) <= wanted and self._calls.begin_well:
            self._call()
            self._progress.step()
        first = self._calls.all[0]
        if first.init_ms is None and isinstance(self._target, str) and self._calls.begin_well:
            self._progress.begin(f"importing {self.handler_name} in a fresh interpreter")
            init_ms, memory_mb = self._measure_init()
            self._calls.all[0] = replace(first, init_ms=init_ms)
            self._base_memory_mb = memory_mb + _RUNTIME_SHARE_MB
        self._calls.calibrate()
        for memory_mb, count in sorted(plan.items()):
            yield from self._calls.at_size(memory_mb, count, self._memory_needed_mb())

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
        self._calls.all.append(replace(call, cold=not self._calls.all))

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

    def _memory_needed_mb(self) -> float:
        return self._base_memory_mb + max(call.memory_growth_mb for call in self._calls.all)


def _name_of(handler: Callable[..., Any]) -> str:
    module = getattr(handler, "__module__", None) or "handler"
    return f"{module}:{getattr(handler, '__qualname__', type(handler).__name__)}"


def _function_name(handler: str) -> str:
    """Return a name that Lambda would take, from the handler's module: `orders` of `shop.orders:handler`."""
    module, _ = split_handler(handler)
    return module.rpartition(".")[2][:64]
