"""Runs a command and prints what it took: seconds, seconds of CPU, and MB of the largest of its processes.

A program of its own, as small as may be: the memory of a process counts from before it became another.
"""

import os
import resource
import subprocess
import sys
import time

if __name__ == "__main__":
    began = time.perf_counter()
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - pathlib would make this process larger
        done = subprocess.run(sys.argv[1:], stdout=nowhere, stderr=nowhere, check=False)
    seconds = time.perf_counter() - began
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    memory_mb = usage.ru_maxrss / (1024 if sys.platform == "linux" else 1 << 20)
    print(seconds, usage.ru_utime + usage.ru_stime, memory_mb)
    sys.exit(done.returncode)
