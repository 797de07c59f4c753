"""The believable Lambda in a process of its own, so that what it takes of a CPU is not taken from those who talk to it.

All times are of `time.monotonic()`, which the processes of a machine share on Linux and macOS.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any, Literal, ParamSpec, Self, TypeVar

from believable_lambda import ACCOUNT, BelievableLambda, Call, Execution, Work

NAME = "thumbnails"

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Scene:
    """A function, and how fast its Lambda is. `time_scale` multiplies all times, latencies too."""

    work: Work
    memory_mb: int = 512
    time_scale: float = 1.0
    latency_s: float = 0.0
    """Of every call."""
    updates_s: Sequence[float] = ()
    """How long each update takes, in the order in which they come; no time if there are none."""
    publishes_s: Sequence[float] = ()
    """The same for publishing."""
    tail: Literal["normal", "absent"] = "normal"
    response: bytes = b'{"ok": true}'
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What the server has seen so far."""

    calls: list[Call]
    invocations: list[Execution]
    memory_history: list[tuple[float, int]]
    """Since when `$LATEST` has had which memory in MB."""
    before: dict[str, Any]
    """The function when it was created."""
    now: dict[str, Any]


class LambdaProcess:
    """A process with the server and one function, `NAME`. It starts at once; `endpoint_url` waits until it is there."""

    def __init__(self, scene: Scene) -> None:
        self._pool = ProcessPoolExecutor(1, get_context("spawn"))
        self._started = self._pool.submit(_start, scene)

    @property
    def endpoint_url(self) -> str:
        return self._started.result()

    def seen(self) -> Seen:
        return self._pool.submit(_seen).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.submit(_stop).result()
        self._pool.shutdown()


class ClientProcess:
    """A process whose AWS SDK talks to a server. Functions are sent there by name, so they stand in modules."""

    def __init__(self, endpoint_url: str) -> None:
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), _talk_to, (endpoint_url,))

    def submit(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> "Future[R]":
        return self._pool.submit(function, *args, **kwargs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()


class _Server:
    """The one server of this process."""

    running: BelievableLambda
    before: dict[str, Any]


def _start(scene: Scene) -> str:
    server = _Server.running = BelievableLambda(seed=scene.seed).__enter__()
    server.create_function(NAME, memory_mb=scene.memory_mb)
    server.work = scene.work
    server.time_scale = scene.time_scale
    server.tail = scene.tail
    server.response = scene.response
    server.latency_s = scene.latency_s * scene.time_scale
    if scene.updates_s:
        server.update_s = iter(scene.updates_s).__next__
    for n, takes_s in enumerate(scene.publishes_s, start=1):
        server.on_call("PublishVersion", n, partial(setattr, server, "publish_s", takes_s))
    _Server.before = server.snapshot(NAME)
    return server.endpoint_url


def _seen() -> Seen:
    server = _Server.running
    return Seen(
        server.calls, server.invocations, server.memory_history(NAME), _Server.before, now=server.snapshot(NAME)
    )


def _stop() -> None:
    _Server.running.__exit__()


def _talk_to(endpoint_url: str) -> None:
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_RETRY_MODE", "AWS_MAX_ATTEMPTS"):
        os.environ.pop(name, None)
    os.environ |= {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
