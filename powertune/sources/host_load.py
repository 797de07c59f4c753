"""How busy others kept this machine while a handler ran, and what that does to CPU time."""

import math
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_CONTENTION = 0.09
"""How much more CPU time the same work takes where others keep every core busy, by shared caches and memory: 2 to 9 %
for arithmetic, copying and sorting in Python beside spinning and copying neighbours, on a virtual machine with two
cores (tests/benchmarks/test_watching.py)."""


@dataclass(frozen=True, slots=True)
class HostLoad:
    """Readings at one moment, in seconds since the start of the machine, over all cores."""

    wall_s: float
    busy_s: float
    stolen_s: float
    """Time that the hypervisor gave to other machines."""

    @classmethod
    def read(cls) -> "HostLoad":
        """Return the readings of now; of nothing where the system does not tell."""
        with suppress(OSError, ValueError, IndexError):
            ticks = [
                int(field) for field in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
            ]
            user, nice, system, _idle, _iowait, irq, softirq, steal = ticks
            per_s = os.sysconf("SC_CLK_TCK")
            return cls(time.monotonic(), (user + nice + system + irq + softirq) / per_s, steal / per_s)
        return cls(time.monotonic(), 0.0, 0.0)


def cpu_time_error(before: HostLoad, after: HostLoad, own_cpu_s: float) -> float:
    """Return by what share CPU time between two readings may be off, at the edge of a 95 % interval.

    Time that was stolen counts as CPU time of whoever was running, and neighbours slow caches and memory down in
    proportion to the share of the machine that they used. `own_cpu_s` is what the handler itself used.
    """
    capacity_s = (after.wall_s - before.wall_s) * (os.cpu_count() or 1)
    if capacity_s <= 0:
        return 0.0
    others = min(1.0, max(0.0, (after.busy_s - before.busy_s - own_cpu_s) / capacity_s))
    stolen = min(1.0, max(0.0, (after.stolen_s - before.stolen_s) / capacity_s))
    return math.hypot(_CONTENTION * others, stolen)
