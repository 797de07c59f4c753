"""Handlers by name, and what a call of one gave, in whatever process it ran."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from powertune import text
from powertune.aws_lambda.calibration import Work
from powertune.errors import BadInputError, FunctionFailedError, PowertuneError, UsageError
from powertune.model.invocation import Status
from powertune.sources import worker
from powertune.sources.containment import HandlerTimeoutError
from powertune.sources.worker import Failure, LoadError

Handler = Callable[[Any, Any], Any]

_FORMS = "write package.module:function, as in powertune.examples.primes:handler"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the handler: what it took, or how it failed."""

    work: Work
    wall_ms: float
    memory_growth_mb: float
    """Peak memory of its process, and of all it started, above what was resident before the first call."""
    status: Status = "ok"
    error: str | None = None
    cold: bool = False
    """Whether it was the first of its process."""
    payload: str | None = None
    """Name of the payload, where there are several."""


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
        return cast("Handler", worker.load_handler(module_name, function, (KeyboardInterrupt, HandlerTimeoutError)))
    except LoadError as error:
        failure = Failure.of(error.error) if error.error else None
        missing = isinstance(error.error, ModuleNotFoundError)
        raise load_problem(module_name, function, error, failure, missing=missing) from error.error


def load_problem(
    module_name: str, function: str, error: LoadError, failure: Failure | None, *, missing: bool
) -> PowertuneError:
    """Return what to tell of a handler that cannot be loaded. `missing`: it imports what is not installed."""
    if error.kind == "no-module":
        return BadInputError(
            f"there is no module {text.printable(error.name, limit=80)!r}",
            hint=f"run powertune from the folder that holds it, or put that on PYTHONPATH; {_FORMS}",
        )
    if error.kind == "no-function":
        name, known = text.printable(error.name, limit=80), [text.printable(found, limit=80) for found in error.known]
        return BadInputError(
            f"{module_name} has no function {name!r}",
            hint=text.nearest(name, known) or f"it has: {', '.join(known[:8]) or 'no functions'}",
        )
    if error.kind == "not-callable":
        return BadInputError(f"{module_name}:{function} is not a function", hint=_FORMS)
    words = describe(failure) if failure else error.kind
    if missing:
        return FunctionFailedError(
            f"{module_name} cannot be imported: {words}",
            hint="install the handler's dependencies into the environment that powertune runs in, or name the"
            " handler's own interpreter with --python",
        )
    return FunctionFailedError(
        f"{module_name} fails while it is imported: {words}",
        hint="on Lambda this is an init error: mend it first; -v shows what it printed",
    )


def describe(failure: Failure) -> str:
    """Return `ValueError: no such order (orders.py:12)` for a failure in the handler's words, safe to show."""
    kind, message = text.printable(failure.kind, limit=80), text.printable(failure.message)
    place = f" ({text.printable(failure.file, limit=60)}:{failure.line})" if failure.file else ""
    return (f"{kind}: {message}" if message else kind) + place


def no_answer(timeout_s: float) -> str:
    """Return the reason of a call that timed out."""
    return f"no answer within {text.duration(timeout_s * 1000)}"
