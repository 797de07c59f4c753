"""Logs as large as wanted: REPORT lines among START, END and a program's own, as one function writes them."""

import random
from pathlib import Path

SIZES_MB = (128, 256, 512, 1024, 1769, 2048)
LINES_PER_INVOCATION = 4
_BATCH = 10_000


def write_log(path: Path, invocations: int, *, seed: int = 1) -> None:
    """Write the log of so many invocations, four lines each, 2 % of them cold; the same for the same seed."""
    rnd = random.Random(seed)  # noqa: S311 - no secret hangs on it
    with path.open("w", encoding="ascii") as stream:
        for first in range(0, invocations, _BATCH):
            stream.write("".join(_invocation(rnd, number) for number in range(first, min(first + _BATCH, invocations))))


def _invocation(rnd: random.Random, number: int) -> str:
    bits = f"{rnd.getrandbits(128):032x}"
    request = f"{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-a{bits[17:20]}-{bits[20:]}"
    memory_mb = rnd.choice(SIZES_MB)
    duration_ms = rnd.lognormvariate(5, 0.5) * 512 / memory_mb + 3
    init_ms = rnd.lognormvariate(5.5, 0.3) if rnd.random() < 0.02 else 0.0
    cold = f"Init Duration: {init_ms:.2f} ms\t" if init_ms else ""
    time = f"2026-11-23T10:{number // 60 % 60:02}:{number % 60:02}.{number % 1000:03}Z"
    return (
        f"START RequestId: {request} Version: $LATEST\n"
        f"{time}\t{request}\tINFO\tprocessed order {number * 7919} for customer {number % 9973} in state PAID\n"
        f"END RequestId: {request}\n"
        f"REPORT RequestId: {request}\tDuration: {duration_ms:.2f} ms\t"
        f"Billed Duration: {int(duration_ms + init_ms) + 1} ms\t"
        f"Memory Size: {memory_mb} MB\tMax Memory Used: {rnd.randint(60, 89)} MB\t{cold}\n"
    )
