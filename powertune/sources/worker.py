"""Runs by itself in a fresh interpreter: imports one module and says how long that took and what memory it left in use.

Standard library only, and nothing of powertune: its own imports must not count as the handler's. Reads a JSON object
(`module`, `sys_path`) from standard input and writes one to the real standard output, which prints cannot reach.
"""

import importlib
import json
import os
import resource
import sys
import time


def peak_memory_mb() -> float:
    """Return the highest resident memory of this process in MB."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - pathlib would be one more import
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    # Not the first choice on Linux: there it starts from the memory of the process that started this one.
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main() -> None:
    """Import the module that was asked for and report on it."""
    request = json.load(sys.stdin)
    answer_fd = os.dup(1)
    sink = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(sink, fd)
    sys.path[:] = request["sys_path"]
    began = time.perf_counter()
    importlib.import_module(request["module"])
    init_ms = (time.perf_counter() - began) * 1000
    with os.fdopen(answer_fd, "w") as answer:
        json.dump({"init_ms": init_ms, "memory_mb": peak_memory_mb()}, answer)
    os._exit(0)  # at once: the module may have left threads behind


if __name__ == "__main__":
    main()
