"""Calls a handler in this process.

That keeps debuggers, mocks and monkeypatching working, and has its price: a crash in C code takes powertune with it.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast
from uuid import uuid4

from powertune.errors import FunctionFailedError
from powertune.sources import worker
from powertune.sources.containment import (
    HandlerTimeoutError,
    OutputTrap,
    Surroundings,
    deadline,
    last_resort,
    own_garbage,
    own_process,
    own_surroundings,
)
from powertune.sources.handler import Call, Handler, describe, load_handler, no_answer, split_handler
from powertune.sources.isolated import IMPORT_TIMEOUT_S, Launch
from powertune.sources.meter import peak_together_mb, work_between
from powertune.sources.watching import ProcessWatch
from powertune.sources.worker import Clocks, LambdaContext, peak_memory_mb, resident_memory_mb

if TYPE_CHECKING:
    from powertune.model.invocation import Status


class InProcessHandler:
    """A handler in this process, contained as far as that goes: output, time, environment, import path.

    `target` is `package.module:function` or a callable. Of `launch`, what concerns the start of a process is left out.
    """

    alive = True

    def __init__(
        self,
        target: str | Callable[..., Any],
        launch: Launch,
        *,
        output: OutputTrap,
        end_process_if_stuck: bool = False,
    ) -> None:
        self._target = target
        self._launch = launch
        self._output = output
        self._end_process_if_stuck = end_process_if_stuck

    def __enter__(self) -> Self:
        """Import the handler."""
        with ExitStack() as stack:
            self._outside = stack.enter_context(own_surroundings())
            stack.enter_context(own_garbage())
            self._watch = ProcessWatch(os.getpid())
            stack.callback(self._watch.close)
            os.environ.update(self._launch.environment)
            if self._launch.layers:
                worker.set_import_path(self._launch.folder, self._launch.layers)
            self._handler = self._load()
            self._resident_mb = resident_memory_mb()
            self._surroundings = stack.pop_all()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Put environment variables, working directory and import path back."""
        self._surroundings.close()

    def call(self, payload: str, *, timeout_s: float) -> Call:
        """Call the handler once with a fresh copy of the JSON `payload` and return what it took.

        A handler that raises, exits, hangs or returns what JSON cannot hold gives a failed call, not an exception.
        """
        context = LambdaContext(timeout_s=timeout_s, aws_request_id=str(uuid4()), **self._launch.context)
        event = json.loads(payload)
        with self._output, self._guard(timeout_s), own_process():
            self._watch.begin()
            began = Clocks.read()
            try:
                with deadline(timeout_s):
                    outcome = worker.invoke(self._handler, event, context, (KeyboardInterrupt, HandlerTimeoutError))
            except HandlerTimeoutError:
                outcome = worker.Outcome("timed-out", None, began, Clocks.read())
            seen = self._watch.end()
        before, after = outcome.before, outcome.after
        peak_mb = peak_together_mb(peak_memory_mb(), seen.peak_mb, before, after)
        problem = describe(outcome.failure) if outcome.failure else None
        return Call(
            work_between(before, after, seen),
            after.wall_ms - before.wall_ms,
            max(0.0, peak_mb - self._resident_mb),
            cast("Status", outcome.status),
            no_answer(timeout_s) if outcome.status == "timed-out" else problem,
        )

    @contextmanager
    def suspended(self) -> Iterator[Surroundings]:
        """Put powertune's surroundings back for the length of the block, which gets to know the handler's."""
        try:
            inside = Surroundings.now()
        except FileNotFoundError:
            inside = replace(self._outside, environment=dict(os.environ), path=list(sys.path))
        self._outside.put_back()
        try:
            yield inside
        finally:
            inside.put_back()

    def _load(self) -> Handler:
        if not isinstance(self._target, str):
            return self._target
        module, function = split_handler(self._target)
        try:
            with self._output, self._guard(IMPORT_TIMEOUT_S), own_process(), deadline(IMPORT_TIMEOUT_S):
                return load_handler(module, function)
        except HandlerTimeoutError:
            raise FunctionFailedError(
                f"{module} was not imported within {IMPORT_TIMEOUT_S:g} s",
                hint="on Lambda, too, init has to end: 10 s, or the timeout where that is longer",
            ) from None

    def _guard(self, timeout_s: float) -> AbstractContextManager[None]:
        if not self._end_process_if_stuck:
            return nullcontext()
        return last_resort(timeout_s, self._launch.handler, self._output.stderr)
