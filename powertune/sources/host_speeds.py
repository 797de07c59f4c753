"""Measures how fast this machine is against Lambda, once for each CPU and Python version, and remembers it."""

import json
import math
import platform
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from powertune import text
from powertune.aws_lambda.host_speed import HostSpeed, architecture_of, host_speed
from powertune.aws_lambda.scale import Scale
from powertune.errors import UsageError
from powertune.progress import NoProgress, Progress
from powertune.sources.cache import cache_folder, keep
from powertune.sources.isolated import interpreter

_FORMAT = 1
_NAME = "host-speeds.json"
_MOST_BYTES = 1 << 20
_TIMEOUT_S = 600.0
_SHORT_TIMEOUT_S = 30.0


def speed_of_this_host(
    python: str | None = None,
    *,
    architecture: str = "x86_64",
    anew: bool = False,
    progress: Progress | None = None,
) -> HostSpeed:
    """Return how fast this machine runs work in an interpreter (this one if None) against Lambda's architecture.

    What was measured before on a CPU of that name with that Python counts, unless it is to be measured `anew`: that
    takes some ten seconds. Raises UsageError where the interpreter does not run, BadInputError where the cache cannot
    be written.
    """
    path = interpreter(python)
    cpu = cpu_name()
    key = f"{cpu}, Python {_version(path)}"
    known = _remembered()
    if not anew and key in known:
        with suppress(KeyError, TypeError, ValueError, AttributeError, IndexError):  # of another version, or damaged
            return host_speed(cpu, known[key]["answer"], str(known[key]["day"]), architecture)
    (progress or NoProgress()).begin("measuring how fast this machine is, once")
    answer = _answer([path, "-I", str(Path(__file__).with_name("kernels.py"))], _TIMEOUT_S)
    day = datetime.now(UTC).date().isoformat()
    try:
        measured = host_speed(cpu, answer, day, architecture)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise _no_interpreter(path) from error
    hosts = {**_remembered(), key: {"day": day, "answer": answer}}
    keep(cache_folder() / _NAME, json.dumps({"format": _FORMAT, "hosts": hosts}, indent=1, allow_nan=False) + "\n")
    return measured


def scale_of(
    known_ms: Mapping[int, float],
    *,
    architecture: str,
    speed_ratio: float | None = None,
    calibrate: bool = False,
    anew: bool = False,
    python: str | None = None,
    progress: Progress | None = None,
) -> Scale:
    """Return what durations of a function of that architecture rest on, measuring kernels where asked to.

    Raises UsageError for arm64 where nothing says how fast that is: it is never guessed.
    """
    here = architecture_of(platform.machine())
    if speed_ratio is not None and (architecture != "arm64" or not 0 < speed_ratio < math.inf):
        raise UsageError(
            "--speed-ratio says how many times as fast arm64 is, as a number above 0",
            hint="add --arch arm64, or leave it out",
        )
    if architecture == "arm64" and here != "arm64" and not known_ms and speed_ratio is None:
        raise UsageError(
            "how fast the handler is on arm64 is unknown: this machine is"
            f" {here or text.printable(platform.machine(), limit=40)}",
            hint="run on arm64, or give --speed-ratio from measurements of your own, or with --duration-at or --anchor"
            " durations of the function on arm64; at list prices arm64 costs less up to 1.25 times the duration",
        )
    # With a ratio the rest speaks of x86_64, unless it was measured on arm64 in the first place.
    against = "x86_64" if speed_ratio is not None and here != "arm64" else architecture
    host = None
    if calibrate and not known_ms:
        host = speed_of_this_host(python, architecture=against, anew=anew, progress=progress)
    return Scale(dict(known_ms), host, speed_ratio or 1.0)


def cpu_name() -> str:
    """Return what the CPU of this machine calls itself."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Model") and value.strip():
                return text.printable(value.strip(), limit=100)
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"],
            capture_output=True,
            text=True,
            timeout=_SHORT_TIMEOUT_S,
            check=True,
        )
        return text.printable(done.stdout.strip(), limit=100)
    return text.printable(platform.processor() or platform.machine(), limit=100)


def _version(python: str) -> str:
    if python == sys.executable:
        return platform.python_version()
    code = "import json, platform; print(json.dumps({'python': platform.python_version()}))"
    return text.printable(_answer([python, "-I", "-S", "-c", code], _SHORT_TIMEOUT_S).get("python"), limit=20)


def _answer(command: list[str], timeout_s: float) -> dict[str, Any]:
    """Return the JSON object that a command prints. Raises UsageError."""
    try:
        done = subprocess.run(  # noqa: S603 - the interpreter that the user named, and a file of ours
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout_s, check=True
        )
        answer = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise _no_interpreter(command[0]) from error
    if not isinstance(answer, dict):
        raise _no_interpreter(command[0])
    return answer


def _no_interpreter(python: str) -> UsageError:
    return UsageError(
        f"{text.printable(python)} did not run the kernels to calibrate with",
        hint="--python takes Python 3.9 or newer; without --calibrate nothing is measured",
    )


def _remembered() -> dict[str, Any]:
    """Return what was kept, nothing where that is damaged: it can be measured again."""
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        with (cache_folder() / _NAME).open("rb") as stream:
            document = json.loads(stream.read(_MOST_BYTES))
        if document["format"] == _FORMAT and isinstance(document["hosts"], dict):
            return document["hosts"]
    return {}
