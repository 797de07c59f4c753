"""A dry run as a source: one set of calls in this process, scaled to every memory size by the CPU law."""

import hashlib
import math
import os
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from powertune.aws_lambda.memory import DEFAULT_SIZES_MB, MAX_MEMORY_MB, MAX_TIMEOUT_S, RUNTIME_SHARE_MB
from powertune.aws_lambda.pricing import FREE_STORAGE_MB
from powertune.aws_lambda.scale import Scale
from powertune.errors import BadInputError, FunctionFailedError, PowertuneError, UsageError
from powertune.model.function_facts import FunctionFacts
from powertune.model.invocation import Invocation
from powertune.model.run_warning import RunWarning
from powertune.model.source import SourceFacts
from powertune.progress import NoProgress, Progress
from powertune.sources.aside import aside, nothing
from powertune.sources.calls import Calls
from powertune.sources.containment import OutputTrap
from powertune.sources.deployment import Deployment, lambda_environment, log_stream_name, process_environment
from powertune.sources.events import Counter, Event, Events, OneEvent
from powertune.sources.handler import split_handler
from powertune.sources.in_process import InProcessHandler
from powertune.sources.isolated import Init, IsolatedHandler, Launch, memory_limit_mb
from powertune.sources.throttle import Way
from powertune.sources.verification import Verification, doubts_of
from powertune.sources.yardstick import MOST_CALLS, Yardstick

if TYPE_CHECKING:
    from powertune.model.size_profile import Throttled

_BARE_RUNTIME_MB = 37.0
"""With a bare interpreter in it, where that could not be measured."""

_INIT_RUNS = 3
_INIT_BUDGET_MS = 600.0
_LEAST_LIMIT_MB = 512
"""What a process may take even where only smaller sizes are asked for: then the rows can say what it needs."""

_MOST_PROCESSES_ENDED = 3
"""How many processes a handler may end, after its first call, before it is not called any more."""


class LocalSource:
    """Calls a Python handler here and offers every memory size, with durations scaled from what the calls took.

    `handler` is `package.module:function` or a callable, `events` what it is called with ({} if None). `scale` says
    what durations rest on. Sizes of `verify_mb` are also run for real under a quota, set by `throttle`. `timeout_s`
    bounds each call here and each scaled duration. `region` is what the handler finds in its environment; without one,
    what is there stays. `preload` loads what will be needed after the calls: it is
    called while other processes are waited for, and never beside a handler in this one.
    """

    def __init__(
        self,
        handler: str | Callable[..., Any],
        *,
        events: Events | None = None,
        sizes: Sequence[int] = DEFAULT_SIZES_MB,
        scale: Scale | None = None,
        verify_mb: Sequence[int] = (),
        throttle: Way | None = None,
        timeout_s: float = MAX_TIMEOUT_S,
        memory_limit_mb: int | None = None,
        region: str | None = None,
        deployment: Deployment | None = None,
        progress: Progress | None = None,
        output: OutputTrap | None = None,
        end_process_if_stuck: bool = False,
        preload: Callable[[], object] = nothing,
    ) -> None:
        self.sizes = tuple(sizes)
        self.handler_name = handler if isinstance(handler, str) else _name_of(handler)
        self._target = handler
        self._events = events or OneEvent("{}")
        self._calls = Calls(scale or Scale(), timeout_s)
        self._timeout_s = timeout_s
        self._region = region
        self._memory_limit_mb = memory_limit_mb or max(self.sizes)
        self._deployment = deployment or Deployment()
        if self._deployment.is_isolated and not isinstance(handler, str):
            raise UsageError(
                "a function object cannot be called in a process of its own", hint="name it: package.module:function"
            )
        self._progress = progress or NoProgress()
        self._output = output or OutputTrap()
        self._end_process_if_stuck = end_process_if_stuck
        self._preload = preload
        self._function_name = _function_name(handler) if isinstance(handler, str) else "handler"
        self._log_stream = log_stream_name()
        self._counter = Counter()
        self._inits: list[Init] = []
        self._processes_ended = 0
        # In this process kernels would add to what the handler is seen to take.
        self._yardstick = Yardstick() if self._deployment.is_isolated else None
        self._handler: InProcessHandler | IsolatedHandler | None = None
        self._is_fresh = True
        self._verify_mb = sorted(set(verify_mb)) if throttle else []
        self._throttle = throttle
        self._throttled: dict[int, Throttled] = {}

    def __enter__(self) -> Self:
        """Import the handler and call it once: on Lambda, too, the first call after init is apart from the rest."""
        try:
            self._folder = os.getcwd()  # noqa: PTH109 - import paths are text
        except FileNotFoundError:
            raise BadInputError("the working directory is gone", hint="change to a folder that exists") from None
        self._launch = self._launching()
        with ExitStack() as stack:
            self._progress.begin(f"importing {self.handler_name}")
            stack.push(self._leave)
            with aside(self._preload) if self._deployment.is_isolated else nullcontext(), self._masked():
                self._handler = self._open()
            self._calls.begin()
            self._progress.begin(f"calling {self.handler_name} for the first time")
            event = self._events.hand(0, self._events.fewest).deal()
            self._first_payload = event.payload if event else "{}"
            self._payload_sha256 = hashlib.sha256(event.payload.encode()).hexdigest() if event else None
            self._call(event)
            stack.pop_all()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Put environment variables, working directory and import path back; end what was started."""
        self._leave(exc_type, exc, traceback)
        self._progress.end()

    @property
    def facts(self) -> SourceFacts:
        """What this machine and the calls have shown so far."""
        python = self._inits[0].python if self._deployment.is_isolated else sys.version.split()[0]
        weights = self._events.weights
        details: dict[str, object] = {
            "handler": self.handler_name,
            "payload_sha256": None if weights else self._payload_sha256,
            "python": python,
            "isolated": self._deployment.is_isolated,
            **self._calls.details(),
            **(self._yardstick.details(self._calls.all, self._calls.first_settled) if self._yardstick else {}),
            "init_runs_ms": [init.init_ms for init in self._inits],
            "memory_needed_mb": round(self._memory_needed_mb(), 1),
        }
        return SourceFacts(
            kind="local",
            basis="scaled",
            calibrated=self._calls.are_calibrated,
            billed=False,
            default_samples=self._default_samples(),
            function=FunctionFacts(name=self.handler_name, runtime=f"python{'.'.join(python.split('.')[:2])}"),
            details=details,
            warnings=(
                *self._calls.warnings(self.sizes),
                *self._doubts_of_storage(),
                *doubts_of(self._throttled),
            ),
            payload_weights=weights,
            throttled=self._throttled,
            common_error=self._calls.common_error,
        )

    def measure(self, plan: Mapping[int, int]) -> Iterator[Invocation]:
        """Call the handler as often as the largest count asks, once for all sizes, and yield the calls at each size.

        Each size gets the first call as its cold start, then its count of warm ones.
        """
        wanted = max(plan.values(), default=0)
        made = len(self._calls.all)  # the first, and those of earlier batches
        self._events.check(wanted + 1, wanted)
        hand = self._events.hand(0, max(wanted, self._events.fewest))
        self._progress.begin(f"calling {self.handler_name}", total=wanted)
        while len(self._calls.all) < made + wanted and self._calls.begin_well:
            if self._is_fresh:  # the last call has ended the process
                if self._processes_ended >= _MOST_PROCESSES_ENDED:
                    break
                self._processes_ended += 1
                self._leave(None, None, None)
                self._handler = self._open()
            self._call(hand.deal())
            self._progress.step()
        self._calls.end()
        self._calls.settle(made)
        with self._elsewhere() as launch:
            with aside(self._preload, lambda: self._calls.scale_to(plan)):
                if isinstance(self._target, str) and self._calls.begin_well:
                    self._measure_inits(launch)
            if self._calls.begin_well:
                self._verify(launch, wanted)
        needed_mb = self._memory_needed_mb()
        init_ms = statistics.median(init.init_ms for init in self._inits) if self._inits else None
        for memory_mb, count in sorted(plan.items()):
            yield from self._calls.at_size(memory_mb, count, needed_mb=needed_mb, init_ms=init_ms)

    def _launching(self) -> Launch:
        deployment = self._deployment
        of_lambda = lambda_environment(
            self._function_name, self.handler_name, self._memory_limit_mb, self._log_stream, self._region
        )
        isolated = deployment.is_isolated
        return Launch(
            handler=self.handler_name,
            python=deployment.python,
            folder=self._folder,
            environment=process_environment(os.environ, of_lambda, deployment)
            if isolated
            else {**of_lambda, **deployment.environment},
            layers=deployment.layers,
            context={
                "function_name": self._function_name,
                "memory_limit_in_mb": str(self._memory_limit_mb),
                "region": self._region or "us-east-1",
                "log_stream_name": self._log_stream,
            },
            memory_mb=memory_limit_mb(max(*self.sizes, _LEAST_LIMIT_MB)),
            file_mb=deployment.storage_mb or FREE_STORAGE_MB,
            tmp_mb=deployment.storage_mb if isolated else None,
        )

    def _open(self) -> InProcessHandler | IsolatedHandler:
        if not self._deployment.is_isolated:
            return InProcessHandler(
                self._target, self._launch, output=self._output, end_process_if_stuck=self._end_process_if_stuck
            ).__enter__()
        with self._output:
            handler = IsolatedHandler(self._launch).__enter__()
        if not self._inits:
            self._inits.append(handler.init)
        return handler

    def _default_samples(self) -> int:
        fewest = self._events.fewest
        return (
            self._calls.default_samples(fewest, MOST_CALLS) if self._yardstick else self._calls.default_samples(fewest)
        )

    def _leave(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        handler, self._handler = self._handler, None
        if handler:
            handler.__exit__(exc_type, exc, traceback)

    def _call(self, event: Event | None) -> None:
        if event is None or self._handler is None:
            raise ValueError("no event, or no handler")  # there are as many as were checked for
        is_first = self._is_fresh
        call = self._handler.call(self._counter.filled(event.payload), timeout_s=self._timeout_s)
        error = None if call.error is None else self._deployment.masked(call.error)
        name = event.name if self._events.weights else None
        self._calls.all.append(replace(call, error=error, cold=is_first, payload=name))
        self._is_fresh = not self._handler.alive
        if self._yardstick and isinstance(self._handler, IsolatedHandler):
            self._yardstick.lay(self._handler.pid)

    @contextmanager
    def _elsewhere(self) -> Iterator[Launch]:
        """Say how to start the handler in other processes as it is now; in this one it is in nobody's way meanwhile."""
        launch = replace(self._launch, memory_mb=memory_limit_mb(MAX_MEMORY_MB))
        if isinstance(self._handler, InProcessHandler):
            with self._handler.suspended() as inside:
                yield replace(launch, environment=inside.environment, path=inside.path)
        else:
            yield launch

    @contextmanager
    def _masked(self) -> Iterator[None]:
        """Keep what environment variables hold out of what is told of an import that fails."""
        try:
            yield
        except PowertuneError as error:
            raise type(error)(self._deployment.masked(error.message), hint=error.hint) from None

    def _measure_inits(self, launch: Launch) -> None:
        """Import the handler in fresh interpreters, one after the other, as far as time allows."""
        self._progress.begin(f"importing {self.handler_name} in a fresh interpreter")
        launch = replace(launch, silent=True)
        while len(self._inits) < _INIT_RUNS and sum(init.init_ms for init in self._inits) < _INIT_BUDGET_MS:
            try:
                with self._masked(), IsolatedHandler(launch) as fresh:
                    self._inits.append(fresh.init)
            except PowertuneError as error:
                if self._inits:  # it may have changed what it is imported from
                    return
                module, _ = split_handler(self.handler_name)
                raise FunctionFailedError(
                    f"{module} was imported once but not in a fresh interpreter: {error.message}",
                    hint=f"it may need what this process has set up; try: python -c 'import {module}'",
                ) from error

    def _verify(self, launch: Launch, most_calls: int) -> None:
        """Run the handler under the quota of each size that is to be verified."""
        if self._throttle is None:
            return
        hand = self._events.hand(1, max(most_calls, self._events.fewest))

        def payload() -> str:
            event = hand.deal()
            return self._counter.filled(event.payload if event else self._first_payload)  # a sequence may be used up

        verification = Verification(self._throttle, launch, self._calls.works(), payload, self._timeout_s, most_calls)
        for memory_mb in self._verify_mb:
            self._progress.begin(f"calling {self.handler_name} under the quota of {memory_mb} MB")
            self._throttled[memory_mb] = verification.at(memory_mb)

    def _memory_needed_mb(self) -> float:
        bare_mb = max((init.memory_mb + RUNTIME_SHARE_MB for init in self._inits), default=_BARE_RUNTIME_MB)
        return bare_mb + max(call.memory_growth_mb for call in self._calls.all)

    def _doubts_of_storage(self) -> Iterator[RunWarning]:
        wanted_mb = self._deployment.storage_mb
        if self._deployment.is_isolated and wanted_mb and not _is_about(self._inits[0].tmp_mb, wanted_mb):
            yield RunWarning(
                "tmp-not-held",
                f"the size of /tmp is not held: only that of each file is, to {wanted_mb} MB",
                "it takes the rights to mount on Linux, and code and interpreter outside /tmp",
            )


def _is_about(size_mb: float | None, wanted_mb: int) -> bool:
    return size_mb is not None and math.isclose(size_mb, wanted_mb, rel_tol=0.05)


def _name_of(handler: Callable[..., Any]) -> str:
    module = getattr(handler, "__module__", None) or "handler"
    return f"{module}:{getattr(handler, '__qualname__', type(handler).__name__)}"


def _function_name(handler: str) -> str:
    """Return a name that Lambda would take, from the handler's module: `orders` of `shop.orders:handler`."""
    module, _ = split_handler(handler)
    return module.rpartition(".")[2][:64]
