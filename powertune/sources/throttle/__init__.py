"""Real throttling: processes under the CPU quota and the memory limit of a memory size, by whatever the host has.

A `Room` is one such limit. Ways to make rooms, in the order they are tried: control groups of version 2, of version 1,
and scopes of systemd. A quota that is accepted but not kept is none, so each way is tried on a busy process first.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol, Self

from powertune.aws_lambda.cpu import PERIOD_MS, vcpu_share
from powertune.errors import PowertuneError, UsageError

PERIOD_US = round(PERIOD_MS * 1000)

_PROBE_MEMORY_MB = 128
_PROBE_TIMEOUT_S = 30.0
# By the clock on the wall: at a question for CPU time the kernel looks at the quota, which it else does at ticks.
_PROBE = "import time\nend = time.monotonic() + 0.2\nwhile time.monotonic() < end: pass"


class ThrottleUnavailableError(UsageError):
    """This host lets no CPU quota be set, or not by this user."""


class RoomError(PowertuneError):
    """A room cannot be made or does not take a limit."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a room has seen so far."""

    throttled_periods: int = 0
    """Periods of the quota in which its processes were made to wait."""
    peak_memory_mb: float | None = None
    out_of_memory: bool = False
    """Whether the kernel has ended a process of it for want of memory."""


class Room(Protocol):
    """A limit that processes can be put under. Leaving it as a context ends what still runs in it, and removes it."""

    def __enter__(self) -> Self:
        """Make it."""

    def __exit__(self, *_: object) -> None:
        """Remove it, and what is left running in it."""

    @property
    def prefix(self) -> Sequence[str]:
        """A command that becomes its arguments, in this room."""

    @property
    def join(self) -> Sequence[str]:
        """Files to which a process writes 0 to enter this room, with all that it starts from then on."""

    def limit_cpu(self, memory_mb: int | None) -> None:
        """Set the quota of a memory size; None takes it away. Raises RoomError."""

    def usage(self) -> Usage:
        """Return what was seen so far."""


class Way(Protocol):
    """A way to make rooms on this host."""

    @property
    def name(self) -> str:
        """What people call it."""

    def room(self, memory_limit_mb: float) -> Room:
        """Return a room, made on entering, with a memory limit and as yet no CPU quota."""


def quota_us(memory_mb: int) -> int:
    """Return the CPU time in microseconds that a memory size has in each period, as Lambda grants it."""
    return round(PERIOD_US * vcpu_share(memory_mb))


def find_way() -> Way:
    """Return the first way that really throttles here. Raises ThrottleUnavailableError, which says what was tried."""
    problems: list[str] = []
    for way in _ways(problems):
        try:
            if _throttles(way):
                return way
            problems.append(f"{way.name}: the quota is not kept")
        except (RoomError, OSError, subprocess.SubprocessError) as error:
            problems.append(f"{way.name}: {_reason(error)}")
    raise ThrottleUnavailableError(
        f"no CPU quota can be set here ({'; '.join(problems) or 'this needs Linux'})",
        hint="run --verify on Linux as root, in a session of systemd, or in a container started with --privileged;"
        " or leave it out",
    )


def _ways(problems: list[str]) -> Iterator[Way]:
    """Yield the ways there may be, and note why the others are not."""
    if sys.platform != "linux":
        return
    from powertune.sources.throttle import cgroup, systemd  # noqa: PLC0415 - they know this module

    for find in (cgroup.find_version_2, cgroup.find_version_1, systemd.find_scopes):
        try:
            yield find()
        except RoomError as error:
            problems.append(error.message)


def _throttles(way: Way) -> bool:
    """Tell whether a busy process is made to wait in a room of this way."""
    with way.room(_PROBE_MEMORY_MB) as room, in_room(room, [sys.executable, "-I", "-S", "-c", _PROBE]) as process:
        room.limit_cpu(_PROBE_MEMORY_MB)
        process.wait(_PROBE_TIMEOUT_S)
        return process.returncode == 0 and room.usage().throttled_periods > 1


@contextmanager
def in_room(room: Room, arguments: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a room, with nothing to read and nowhere to print."""
    enter = 'while [ "$1" != -- ]; do echo 0 > "$1" || exit 1; shift; done; shift; exec "$@"'
    process = subprocess.Popen(  # noqa: S603 - commands of ours
        ["/bin/sh", "-c", enter, "sh", *room.join, "--", *room.prefix, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()


def _reason(error: Exception) -> str:
    if isinstance(error, PowertuneError):
        return error.message
    return getattr(error, "strerror", None) or type(error).__name__
