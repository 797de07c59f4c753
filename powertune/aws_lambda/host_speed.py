"""How fast one machine runs work against Lambda, from kernels whose durations on Lambda are known.

Lambda's figures: means of 500 warm invocations each at 1769 MB and more, where one thread has a whole vCPU, us-east-2,
November 2025 (aws-lambda-performance-benchmarks of C. Ebert at c8c9c66). Those of arm64 are of two generations of
hosts, and one size's mean may be 25 to 30 % off. One core here is not one there, and how far apart they are depends on
the work: so the answer is the middle of the kernels' ratios, and as uncertain as they differ.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

DIGESTS = 1_000_000
NUMBERS = 13_107_200

_KNOWN_MS: Mapping[str, Mapping[str, Mapping[str, float]]] = {
    "digests": {  # a chain of 1,000,000 SHA-256 digests
        "x86_64": {"3.11": 340.4, "3.12": 379.3, "3.13": 372.9, "3.14": 370.7},
        "arm64": {"3.11": 299.8, "3.12": 322.1, "3.13": 313.6, "3.14": 305.4},
    },
    "sort": {  # 13,107,200 random integers of 30 bits drawn into an array and sorted
        "x86_64": {"3.11": 12605, "3.12": 14236, "3.13": 14788, "3.14": 14890},
        "arm64": {"3.11": 10570, "3.12": 15124, "3.13": 14297, "3.14": 12345},
    },
}
_MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
_LEAST_SPREAD = 1.15
"""Lambda's own hosts differ by -20 to +15 % from their mean (AWS sweep, 2025-04-25: four CPU models)."""


@dataclass(frozen=True, slots=True)
class KernelSpeed:
    """One kernel here and on Lambda, in ms of one core."""

    name: str
    here_ms: float
    lambda_ms: float | None
    """None where Lambda's figure is not known: then it tells nothing, and is kept for comparing machines."""

    @property
    def ratio(self) -> float | None:
        """How much longer it takes on Lambda."""
        return self.lambda_ms / self.here_ms if self.lambda_ms else None


@dataclass(frozen=True, slots=True)
class HostSpeed:
    """One machine and interpreter against Lambda."""

    cpu: str
    python: str
    architecture: str
    """Of the functions on Lambda that it is held against."""
    measured_on: str
    """ISO date."""
    kernels: Sequence[KernelSpeed]

    @property
    def ratios(self) -> list[float]:
        """The ratios that are known, the smallest first."""
        return sorted(kernel.ratio for kernel in self.kernels if kernel.ratio)

    @property
    def ratio(self) -> float:
        """How much longer one core takes on Lambda: the geometric mean. Raises ValueError where nothing is known."""
        if not self.ratios:
            raise ValueError("no kernel with a figure of Lambda")
        return math.exp(math.fsum(map(math.log, self.ratios)) / len(self.ratios))

    @property
    def spread(self) -> float:
        """Factor by which the ratio may be too small or too large."""
        ratios = self.ratios
        return max(_LEAST_SPREAD, ratios[-1] / self.ratio, self.ratio / ratios[0])


def architecture_of(machine: str) -> str | None:
    """Return Lambda's word for what `platform.machine` says, or None."""
    return _MACHINES.get(machine.lower())


def host_speed(cpu: str, answer: Mapping[str, Any], day: str, architecture: str = "x86_64") -> HostSpeed:
    """Return the speed of a machine, against functions of an architecture, from what sources/kernels.py printed there.

    Its counts are brought to those of Lambda's figures: drawing grows with the count of numbers, sorting with the count
    times its logarithm. Raises KeyError, TypeError or ValueError for what is no such answer.
    """
    python = str(answer["python"])
    cpu_ms = {name: median(map(float, runs)) for name, runs in answer["cpu_ms"].items()}
    numbers = int(answer["numbers"])
    more = NUMBERS / numbers
    here_ms = {
        "digests": cpu_ms["digests"] * DIGESTS / int(answer["digests"]),
        "sort": cpu_ms["draw"] * more + cpu_ms["sort"] * more * math.log(NUMBERS) / math.log(numbers),
        "words": cpu_ms["words"],
    }
    if not all(0 < value < math.inf for value in here_ms.values()):
        raise ValueError("a kernel that took no time")
    kernels = [KernelSpeed(name, value, _known_ms(name, architecture, python)) for name, value in here_ms.items()]
    return HostSpeed(cpu, python, architecture, day, kernels)


def _known_ms(kernel: str, architecture: str, python: str) -> float | None:
    """Return Lambda's figure for the same Python, or for the nearest version that there is one of."""
    by_version = _KNOWN_MS.get(kernel, {}).get(architecture, {})
    minor = int(python.split(".")[1])
    nearest = min(by_version, key=lambda version: abs(int(version.split(".")[1]) - minor), default=None)
    return None if nearest is None else by_version[nearest]
