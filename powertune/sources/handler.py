"""Finds a Python handler and calls it in this process.

Calling in-process keeps debuggers, mocks and monkeypatches working, and has its price: a crash in C code takes
powertune with it.
"""

import importlib
import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from powertune import text
from powertune.aws_lambda.memory import MAX_PAYLOAD_BYTES
from powertune.errors import BadInputError, FunctionFailedError, UsageError
from powertune.sources.calls import Call
from powertune.sources.containment import HandlerTimeoutError, deadline
from powertune.sources.meter import Clocks, children_growth_mb, restart_peak_memory, work_between
from powertune.sources.worker import peak_memory_mb

if TYPE_CHECKING:
    from powertune.model.invocation import Status

Handler = Callable[[Any, Any], Any]

_FORMS = "write package.module:function, as in powertune.examples.primes:handler"


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
            f"{module_name} cannot be imported: {describe_error(error)}",
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
    try:
        return getattr(owner, name)
    except Exception:  # noqa: BLE001 - a module may have a __getattr__ of its own
        known = [found for found in dir(owner) if not found.startswith("_") and callable(getattr(owner, found, None))]
    raise BadInputError(
        f"{module_name} has no function {name!r}",
        hint=text.nearest(name, known) or f"it has: {', '.join(known[:8]) or 'no functions'}",
    )


def describe_error(error: BaseException) -> str:
    """Return `ValueError: no such order` for an exception of the handler, safe to show."""
    if isinstance(error, SystemExit):
        return f"Runtime.ExitError: it called sys.exit({_shown(error.code, limit=40)})"
    name, message = text.printable(type(error).__name__, limit=80), _shown(error)
    return (f"{name}: {message}" if message else name) + _place(error)


def _place(error: BaseException) -> str:
    """Return ` (orders.py:12)`, where an exception was raised; nothing for one raised in our own call."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or frames[-1].filename == __file__:
        return ""
    return f" ({text.printable(os.path.basename(frames[-1].filename), limit=60)}:{frames[-1].lineno})"  # noqa: PTH119 - any text


def _shown(value: object, limit: int = 200) -> str:
    """Return `value` as text, nothing where its own code fails at that."""
    try:
        return text.printable(value, limit=limit)
    except Exception:  # noqa: BLE001 - __str__ of a stranger may do anything
        return ""


def call_handler(handler: Handler, payload: str, context: object, timeout_s: float, resident_mb: float) -> Call:
    """Call `handler` once with a fresh copy of the JSON `payload` and return what it took.

    `resident_mb` is what this process held before the first call. A handler that raises, exits, hangs or returns what
    JSON cannot hold gives a failed call, not an exception.
    """
    event = json.loads(payload)
    status: Status = "ok"
    problem: str | None = None
    result: object = None
    restart_peak_memory()
    before = after = Clocks.read()
    try:
        with deadline(timeout_s):
            before = Clocks.read()
            try:
                result = handler(event, context)
            finally:
                after = Clocks.read()
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
    growth_mb = max(0.0, peak_memory_mb() - resident_mb) + children_growth_mb(before, after)
    return Call(work_between(before, after), after.wall_ms - before.wall_ms, growth_mb, status, problem)


def _marshal_problem(result: object) -> str | None:
    """Return why Lambda could not send `result` back, or None."""
    kind = text.printable(type(result).__name__, limit=80)
    if inspect.iscoroutine(result):
        result.close()
        return f"Runtime.MarshalError: it returned a {kind}; Lambda does not await Python handlers"
    try:
        size = len(json.dumps(result, default=_decimal_as_number, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    except Exception as error:  # noqa: BLE001 - a result may bring methods of its own
        return f"Runtime.MarshalError: it returned a {kind} that JSON cannot hold ({_shown(error, limit=80)})"
    if size > MAX_PAYLOAD_BYTES:
        return f"Function.ResponseSizeTooLarge: it returned {size / 1e6:.1f} MB; Lambda takes 6 MB"
    return None


def _decimal_as_number(value: object) -> float:
    if isinstance(value, Decimal):  # the Python runtime takes decimals
        return float(value)
    raise TypeError(f"{type(value).__name__} is not JSON serializable")
