"""Where parts of recordings are read: in this process, in others beside it, or on a Dask cluster. All are executors."""

import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

from powertune.errors import BadInputError, UsageError
from powertune.text import printable

EngineName = Literal["local", "dask"]
ENGINES: tuple[EngineName, ...] = ("local", "dask")

_AHEAD = 4
"""Parts that are handed out before they are needed, for each worker."""

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
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(method)) as pool:
            yield pool, workers


def usable_processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _dask_client(scheduler: str | None) -> Iterator[Any]:
    if scheduler is None:
        raise UsageError("Dask needs to know where its scheduler is", hint="add --scheduler tcp://HOST:8786")
    try:
        from distributed import Client  # noqa: PLC0415 - an extra that few install
    except ImportError as error:
        raise UsageError("Dask is not installed", hint="pip install 'powertune[dask]'") from error
    try:
        client: Any = Client(scheduler, timeout=10)  # type: ignore[no-untyped-call] # Dask has no types
    except (OSError, ValueError) as error:
        raise BadInputError(
            f"there is no Dask scheduler at {printable(scheduler, limit=80)}: {printable(error, limit=80)}",
            hint="check --scheduler, and that its versions of Python and powertune are these",
        ) from error
    with client:
        yield client
