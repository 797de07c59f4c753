"""Where parts of recordings are read: in this process, in others beside it, or on a Dask cluster. All are executors."""

import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pkgutil import resolve_name
from typing import Any, Literal, TypeVar

from powertune import __version__
from powertune.errors import BadInputError, UsageError
from powertune.text import printable

EngineName = Literal["local", "dask"]
ENGINES: tuple[EngineName, ...] = ("local", "dask")

_AHEAD = 4
"""Parts that are handed out before they are needed, for each worker."""
_PATIENCE_S = 30
"""How long a cluster may take to start work: one that grows with its work begins with no worker."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Here(Executor):
    """Does what is submitted at once, in this process."""

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> "Future[Result]":
        """Call a function, and return what it returned."""
        future: Future[Result] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def in_order(submit: "Callable[[Item], Future[Result]]", items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Have items worked on and yield the results in the order of the items, with only so many under way at once."""
    waiting: deque[Future[Result]] = deque()
    for item in items:
        waiting.append(submit(item))
        while waiting and (len(waiting) > _AHEAD * workers or waiting[0].done()):
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def executor_for(engine: EngineName, *, workers: int, scheduler: str | None = None) -> Iterator[tuple[Executor, int]]:
    """Give an executor, and how many workers it has. Raises PowertuneError where there is none to be had."""
    if engine not in ENGINES:
        shown = printable(engine, limit=40)
        raise UsageError(f"there is no engine {shown!r}", hint=f"choose from {', '.join(ENGINES)}")
    if engine == "dask":
        with _dask_client(scheduler) as client:
            yield client.get_executor(), max(1, sum(client.nthreads().values()))
    elif scheduler is not None:
        raise UsageError("--scheduler is for another engine", hint="add --engine dask, or leave it out")
    elif workers < 2:  # noqa: PLR2004 - one works here
        yield Here(), 1
    else:
        # A copy of this process is there at once. Where that is not safe, as on macOS, workers are started anew.
        method = "fork" if sys.platform == "linux" else "spawn"
        try:
            with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(method)) as pool:
                yield pool, workers
        except BrokenProcessPool as error:
            raise BadInputError(
                "a process that was reading was ended from outside", hint="read in one process, with --jobs 1"
            ) from error


def usable_processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _dask_client(scheduler: str | None) -> Iterator[Any]:
    """Give a client of a cluster whose workers can do what they are asked. Raises PowertuneError."""
    if scheduler is None:
        raise UsageError("Dask needs to know where its scheduler is", hint="add --scheduler tcp://HOST:8786")
    try:
        from distributed import Client, KilledWorker  # noqa: PLC0415 - an extra that few install
    except ImportError as error:
        raise UsageError("Dask is not installed", hint="pip install 'powertune[dask]'") from error
    shown = printable(scheduler, limit=80)
    try:
        client: Any = Client(scheduler, timeout=10)  # type: ignore[no-untyped-call] # Dask has no types
    except (OSError, ValueError) as error:
        raise BadInputError(
            f"there is no Dask scheduler at {shown}: {printable(error, limit=80)}",
            hint="check --scheduler, and that its version of Dask is this one's",
        ) from error
    with client:
        _check_workers(client, shown)
        try:
            yield client
        except (CancelledError, KilledWorker) as error:
            raise BadInputError(
                f"the Dask cluster at {shown} gave up: {printable(str(error) or 'its scheduler is gone', limit=200)}",
                hint="see the log of its workers, or leave out --engine dask",
            ) from error


def _check_workers(client: Any, shown: str) -> None:
    """Raise BadInputError unless a cluster works, with this powertune: else it would try again for ever."""
    version = "powertune:__version__"
    try:
        client.submit(resolve_name, version, pure=False).result(timeout=_PATIENCE_S)
    except TimeoutError as error:
        raise BadInputError(
            f"no worker of the Dask scheduler at {shown} took up work within {_PATIENCE_S} s", hint="start some"
        ) from error
    except ImportError:
        pass  # told below, with the worker's name
    for worker, found in client.run(resolve_name, version, on_error="return").items():
        if found != __version__:
            has = "no powertune" if isinstance(found, Exception) else f"powertune {printable(found, limit=40)}"
            raise BadInputError(
                f"the Dask worker {printable(worker, limit=80)} has {has}, and this is {__version__}",
                hint=f"install powertune {__version__} on each worker",
            )
