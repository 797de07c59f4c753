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
MOST_CALLS = 60
"""Twice as many as a dry run of short work makes for itself: two of these then tell 20 % apart nine times of ten, even
on a machine whose neighbours slow it down by a factor of two, for seconds at a time."""
_OF_MEDIAN = 1.2533
"""Standard error of a normal sample's median, in that of its mean."""
_NORMAL = 1.4826
"""Standard deviation of a normal sample, in its median distance from the median."""


class Yardstick:
    """Kernels run after each call.

    Not before it, too: the system likes to wake a process up on the core that it was not on, where neighbours are
    others. On a machine with two cores nine calls of ten ran on the other core than the kernels before them, and CPU
    time in kernels on both sides scattered by 8 % from one run to the next, in those after the call by 2.5 %.
    """

    def __init__(self) -> None:
        self._took_ms: list[dict[str, float]] = []

    def lay(self, pid: int | None) -> None:
        """Run the kernels once, where process `pid` last ran; nothing after as many calls as are enough."""
        if len(self._took_ms) > MOST_CALLS:
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

        `calls` are all calls. Empty where too few calls succeeded.
        """
        pairs = [
            (call, took)
            for call, took in zip(calls[first:], self._took_ms[first:], strict=False)
            if call.status == "ok" and not call.cold and call.work.cpu_ms > 0 and min(took.values()) > 0
        ]
        if len(pairs) < 2:  # noqa: PLR2004 - one has no spread
            return {}
        payloads = [call.payload for call, _ in pairs]
        told = {}
        for name in _KERNELS:
            units, _ = _typical([call.work.cpu_ms / took[name] for call, took in pairs], payloads)
            kernel_ms = statistics.median(took[name] for _, took in pairs)
            told[name] = {"kernel_ms": round(kernel_ms, 4), "calls": round(units, 5)}
        _, error = _typical(
            [call.work.cpu_ms / statistics.geometric_mean(took.values()) for call, took in pairs], payloads
        )
        waited_ms, wait_error = _typical([call.work.wait_ms for call, _ in pairs], payloads)
        return {
            "yardstick": {
                "cpu": cpu_name(),
                "pairs": len(pairs),
                "kernels": told,
                "error": round(error, 5),  # of the kernels together: what scatters is the same calls in each
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
