"""CPU time of calls in units of kernels that run between them, so that runs on unlike machines compare.

Another machine, a lower clock and busy neighbours slow calls and kernels down alike, within limits: the more a handler
is like them, the better. One kernel computes, the other does what interpreters mostly do.
"""

import math
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from powertune.sources import kernels
from powertune.sources.host_speeds import cpu_name

if TYPE_CHECKING:
    from powertune.sources.handler import Call

_KERNELS: Mapping[str, Callable[[], None]] = {
    "digests": lambda: kernels.chain_digests(5_000),
    "words": lambda: kernels.count_words(1_500),
}
"""A few ms each: short beside the times at which machines change their mind, long beside the resolution of clocks."""
_MOST_PAIRS = 60
_LOUD, _FEWEST_QUIET = 1.15, 8
"""By what factor kernels may take longer than at best for a call to count, and how many such calls it takes."""
_OF_MEDIAN = 1.2533
"""Standard error of a normal sample's median, in that of its mean."""
_NORMAL = 1.4826
"""Standard deviation of a normal sample, in its median distance from the median."""


_Pair = tuple["Call", dict[str, float]]
"""A call, and what each kernel took around it in ms."""


class Yardstick:
    """Kernels run before the first call that counts and after each one."""

    def __init__(self) -> None:
        self._took_ms: list[dict[str, float]] = []

    def lay(self, pid: int | None) -> None:
        """Run the kernels once, where process `pid` last ran; nothing after as many calls as are enough."""
        if len(self._took_ms) > _MOST_PAIRS:
            return
        took = {}
        with _on_core_of(pid):
            for name, kernel in _KERNELS.items():
                began = time.thread_time()
                kernel()
                took[name] = (time.thread_time() - began) * 1000
        self._took_ms.append(took)

    def details(self, calls: Sequence["Call"], first: int) -> dict[str, object]:
        """Return what the run file keeps: of the calls from number `first` on, CPU time in each kernel's.

        `calls` are all calls; the kernels were laid after each of them. Empty where too few calls succeeded.
        """
        pairs = [
            (call, {name: (before[name] + after[name]) / 2 for name in _KERNELS})
            for call, before, after in zip(
                calls[first:], self._took_ms[first - 1 :], self._took_ms[first:], strict=False
            )
            if call.status == "ok"
            and not call.cold
            and call.work.cpu_ms > 0
            and min((*before.values(), *after.values())) > 0
        ]
        if len(pairs) < 2:  # noqa: PLR2004 - one has no spread
            return {}
        pairs = _quiet(pairs)
        payloads = [call.payload for call, _ in pairs]
        told = {}
        for name in _KERNELS:
            units, error = _typical([call.work.cpu_ms / took[name] for call, took in pairs], payloads)
            kernel_ms = statistics.median(took[name] for _, took in pairs)
            told[name] = {"kernel_ms": round(kernel_ms, 4), "calls": units, "error": round(error, 5)}
        waited_ms, wait_error = _typical([call.work.wait_ms for call, _ in pairs], payloads)
        return {
            "yardstick": {
                "cpu": cpu_name(),
                "pairs": len(pairs),
                "kernels": told,
                "wait_ms": round(waited_ms, 4),
                "wait_error_ms": round(wait_error * waited_ms, 4),
            }
        }


@contextmanager
def _on_core_of(pid: int | None) -> Iterator[None]:
    """Keep this thread on the core that a process last ran on, where the system tells and lets it.

    Neighbours slow down one core more than another: on a busy machine with two cores, one run in forty was off by a
    third without this.
    """
    if pid is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    with suppress(OSError, ValueError, IndexError):
        # After the name, which may hold anything, the core is the 37th field (proc_pid_stat(5)).
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        os.sched_setaffinity(0, {int(stat.rpartition(")")[2].split()[36])})
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setaffinity(0, before)


def _quiet(pairs: "list[_Pair]") -> "list[_Pair]":
    """Return the pairs during which kernels ran about as fast as they ever did; all where these are few.

    A neighbour on the same core may slow kernels down twofold and a handler by half: such calls tell little.
    """
    speeds = [math.prod(took.values()) ** (1 / len(took)) for _, took in pairs]
    limit = _LOUD * sorted(speeds)[len(speeds) // 10]
    found = [pair for pair, took_ms in zip(pairs, speeds, strict=True) if took_ms <= limit]
    return found if len(found) >= _FEWEST_QUIET else pairs


def _typical(values: Sequence[float], payloads: Sequence[str | None]) -> tuple[float, float]:
    """Return the mean of the payloads' medians, each as often as it ran, and its standard error as a share.

    Medians, because what disturbs a call only ever adds to it, and that seldom.
    """
    by_payload: dict[str | None, list[float]] = defaultdict(list)
    for value, payload in zip(values, payloads, strict=True):
        by_payload[payload].append(value)
    total, squares = 0.0, 0.0
    for found in by_payload.values():
        middle = statistics.median(found)
        spread = _NORMAL * statistics.median(abs(value - middle) for value in found)
        share = len(found) / len(values)
        total += share * middle
        squares += (share * _OF_MEDIAN * spread) ** 2 / len(found)
    return total, math.sqrt(squares) / total if total else 0.0
