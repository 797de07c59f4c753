"""A dry run of any runtime as a source: a command that speaks the Runtime API, called here, scaled to every size."""

import hashlib
import os
import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import PurePath
from types import TracebackType
from typing import Self

from powertune import text
from powertune.aws_lambda.memory import DEFAULT_SIZES_MB, MAX_TIMEOUT_S
from powertune.aws_lambda.scale import Scale
from powertune.errors import BadInputError, UsageError
from powertune.model.function_facts import FunctionFacts
from powertune.model.invocation import Invocation
from powertune.model.run_warning import RunWarning
from powertune.model.source import SourceFacts
from powertune.progress import NoProgress, Progress
from powertune.sources.aside import aside, nothing
from powertune.sources.calls import Calls
from powertune.sources.containment import OutputTrap
from powertune.sources.deployment import Deployment, lambda_environment, log_stream_name, process_environment
from powertune.sources.event_loop import EventLoop
from powertune.sources.events import Counter, Event, Events, OneEvent
from powertune.sources.handler import Call
from powertune.sources.isolated import memory_limit_mb
from powertune.sources.process_tree import adopting_orphans
from powertune.sources.runtime_api import RuntimeApi
from powertune.sources.runtime_process import RuntimeProcess

# What runs beside the runtime in its environment and counts there, in MB. Functions that do nothing log some 14 MB used
# in Rust and 64 MB in Node (REPORT lines published in 2024 to 2026), where such a process alone holds 5 and 45 MB.
_ENVIRONMENT_SHARE_MB = 15.0


class CommandSource:
    """Runs `command` as Lambda runs a runtime and offers every memory size, with durations scaled from its calls.

    `scale` says what durations rest on. `timeout_s` bounds each invocation here and each scaled duration. `region` is
    what the function finds in its environment; without one, what is there stays. What the command prints goes to
    `output`. `preload` loads what will be needed after the calls, while the command gets ready.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        events: Events | None = None,
        sizes: Sequence[int] = DEFAULT_SIZES_MB,
        scale: Scale | None = None,
        timeout_s: float = MAX_TIMEOUT_S,
        memory_limit_mb: int | None = None,
        region: str | None = None,
        deployment: Deployment | None = None,
        progress: Progress | None = None,
        output: OutputTrap | None = None,
        preload: Callable[[], object] = nothing,
    ) -> None:
        if not command or not command[0]:
            raise UsageError("there is no command to run", hint="powertune dry-run --runtime-api -- ./bootstrap")
        self.sizes = tuple(sizes)
        self.name = text.printable(" ".join("..." if "=" in word else word for word in command))  # secrets, perhaps
        self._command = [str(word) for word in command]
        self._events: Events = OneEvent("{}") if events is None else events
        self._counter = Counter()
        self._calls = Calls(scale or Scale(), timeout_s)
        self._timeout_s = timeout_s
        self._memory_limit_mb = memory_limit_mb or max(self.sizes)
        self._region = region
        self._deployment = deployment or Deployment()
        self._progress = progress or NoProgress()
        self._output = output or OutputTrap()
        self._preload = preload
        self._payload_sha256: str | None = None

    def __enter__(self) -> Self:
        """Start the command, let it initialize, and call it once: the first call after init is apart from the rest."""
        with ExitStack() as stack:
            self._loop = stack.enter_context(EventLoop())
            stack.enter_context(adopting_orphans())
            self._api = RuntimeApi()
            self._loop.run(self._api.__aenter__())
            stack.callback(lambda: self._loop.run(self._api.__aexit__(None, None, None)))
            self._process = RuntimeProcess(
                self._command,
                self._api,
                self._environment(),
                arn=self._arn(),
                timeout_s=self._timeout_s,
                memory_limit_mb=memory_limit_mb(max(self.sizes)),
            )
            stack.callback(self._process.kill)
            self._progress.begin(f"starting {self.name}")
            with self._output, aside(self._preload):
                self._loop.run(self._process.begin())
            self._progress.begin(f"calling {self.name} for the first time")
            self._calls.begin()
            first = self._events.hand(0, self._events.fewest).deal()
            if first is None:
                raise BadInputError("there is no payload", hint="give one with --payload")
            if not self._events.weights:
                self._payload_sha256 = hashlib.sha256(first.payload.encode("utf-8", "surrogatepass")).hexdigest()
            self._call(first)
            self._surroundings = stack.pop_all()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Kill all that was started."""
        self._surroundings.close()
        self._progress.end()

    @property
    def facts(self) -> SourceFacts:
        """What this machine and the calls have shown so far."""
        details = {
            "called_through": "runtime-api",
            "command": self.name,
            **({"payload_sha256": self._payload_sha256} if self._payload_sha256 else {}),
            **self._calls.details(),
            "memory_needed_mb": round(self._memory_needed_mb(), 1),
            "inits": len(self._process.inits_ms),
            "failed_inits": len(self._process.init_failures),
        }
        return SourceFacts(
            kind="local",
            basis="scaled",
            calibrated=self._calls.are_calibrated,
            billed=False,
            default_samples=self._calls.default_samples(self._events.fewest),
            function=FunctionFacts(name=self.name),
            details=details,
            warnings=(*self._calls.warnings(self.sizes), *self._warnings()),
            payload_weights=self._events.weights,
            common_error=self._calls.common_error,
        )

    def measure(self, plan: Mapping[int, int]) -> Iterator[Invocation]:
        """Call the function as often as the largest count asks, once for all sizes; yield the calls at each size."""
        wanted = max(plan.values(), default=0)
        made = len(self._calls.all)  # the first, and those of earlier batches
        self._events.check(wanted + 1, wanted)
        hand = self._events.hand(0, max(wanted, self._events.fewest))
        self._progress.begin(f"calling {self.name}", total=wanted)
        while len(self._calls.all) < made + wanted and self._calls.begin_well and (event := hand.deal()):
            self._call(event)
            self._progress.step()
        self._calls.end()
        self._process.kill()
        self._calls.settle(made)
        self._calls.scale_to(plan)
        inits_ms = self._process.inits_ms
        init_ms = statistics.median(inits_ms) if inits_ms else None
        for memory_mb, count in sorted(plan.items()):
            yield from self._calls.at_size(memory_mb, count, needed_mb=self._memory_needed_mb(), init_ms=init_ms)

    def _call(self, event: Event) -> None:
        with self._output:
            run = self._loop.run(self._process.invoke(self._counter.filled(event.payload)))
        self._calls.all.append(
            Call(
                run.work.without_runtime(),  # it is in what was measured, and is added again where work is scaled
                run.wall_ms,
                memory_growth_mb=0.0,
                status=run.status,
                error=None if run.error is None else self._deployment.masked(run.error),
                cold=run.is_first or not self._calls.all,
                payload=event.name if self._events.weights else None,
            )
        )

    def _memory_needed_mb(self) -> float:
        return self._process.peak_memory_mb + _ENVIRONMENT_SHARE_MB

    def _environment(self) -> dict[str, str]:
        """Return the environment of an OS-only runtime (provided.al2023), on top of what is set here."""
        handler = os.environ.get("_HANDLER", "bootstrap")
        try:
            variables = lambda_environment(
                self._function_name(), handler, self._memory_limit_mb, log_stream_name(), self._region
            )
        except FileNotFoundError:
            raise BadInputError("the working directory is gone", hint="change to a folder that exists") from None
        del variables["AWS_EXECUTION_ENV"]  # which these runtimes do not get
        if any(name.lower() in ("http_proxy", "all_proxy") for name in os.environ):
            for name in ("no_proxy", "NO_PROXY"):  # the Runtime API is here, and nowhere behind a proxy
                variables[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1")))
        return process_environment(os.environ, variables, self._deployment)

    def _function_name(self) -> str:
        """Return a name that Lambda would take: that of the program."""
        return re.sub(r"[^a-zA-Z0-9_-]", "-", PurePath(self._command[0]).stem)[:64] or "function"

    def _arn(self) -> str:
        return f"arn:aws:lambda:{self._region or 'us-east-1'}:123456789012:function:{self._function_name()}"

    def _warnings(self) -> Iterator[RunWarning]:
        failures, inits_ms = self._process.init_failures, self._process.inits_ms
        if failures and inits_ms:
            yield RunWarning(
                "init-failed",
                f"{text.count(len(failures), 'init')} of {len(failures) + len(inits_ms)} failed: {failures[0]}",
                "on Lambda, too, init is tried again with the invocation, which then takes longer; -v shows what it"
                " printed",
            )
        if len(inits_ms) > 1 and not failures:
            yield RunWarning(
                "restarted",
                f"the command had to be started {len(inits_ms)} times",
                "on Lambda, too, a runtime that ends or runs out of time begins with a new init",
            )
        for misuse, times in self._api.misuse.items():
            yield RunWarning(
                "runtime-protocol",
                f"the command does not keep to the Runtime API: {misuse} ({text.count(times, 'time')})",
                "Lambda refuses that, too; see its developer guide, Runtime API",
            )
        if self._process.leaves_processes:
            yield RunWarning(
                "processes-left",
                "some of what the command started could not be ended",
                "look for processes that are not yours to kill, or that wait for a disk",
            )
