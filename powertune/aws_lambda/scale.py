"""What durations of a dry run rest on: this machine alone, kernels known on Lambda, or durations from production."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from powertune.aws_lambda.calibration import Calibration, Work, calibrate
from powertune.aws_lambda.host_speed import HostSpeed
from powertune.model.run_warning import RunWarning

_WIDE = 1.25
"""Factor from which on a calibration leaves much open."""

Basis = Literal["this-machine", "calibrated-kernels", "known-durations"]


@dataclass(frozen=True, slots=True)
class Scale:
    """How work seen here becomes durations on Lambda. What is known from production replaces what kernels say."""

    known_ms: Mapping[int, float] = field(default_factory=dict)
    """REPORT's Duration by memory size in MB."""
    host: HostSpeed | None = None
    speed_ratio: float = 1.0
    """How many times as fast as the cores that the rest speaks of those of the function's architecture are."""

    @property
    def rests_on(self) -> Basis:
        """Which of the three it is."""
        if self.known_ms:
            return "known-durations"
        return "calibrated-kernels" if self.host else "this-machine"

    def fit(self, works: Sequence[Work]) -> Calibration:
        """Return the calibration of the works of a handler. Raises ValueError for no works."""
        if self.known_ms:
            fit = calibrate(works, self.known_ms)
        else:
            fit = Calibration(self.host.ratio) if self.host else Calibration()
        return replace(fit, cpu_scale=fit.cpu_scale / self.speed_ratio)

    def common_error(self, work: Work, memory_mb: int, fit: Calibration, cpu_error: float) -> float:
        """Return by what share durations at a size may all be off in the same direction.

        `cpu_error` is that share of the CPU time seen here. Known durations take it away: it would have stretched them,
        too. The spread between kernels adds to it; where nothing is known of Lambda's cores, only the shape counts.
        """
        duration_ms = work.duration_at_ms(memory_mb, fit)
        if self.known_ms or duration_ms <= 0:
            return 0.0
        share = math.hypot(cpu_error, self.host.spread - 1 if self.host else 0.0)
        slower = replace(fit, cpu_scale=fit.cpu_scale * (1 + share))
        return abs(work.duration_at_ms(memory_mb, slower) / duration_ms - 1)

    def doubts(self) -> Iterator[RunWarning]:
        """Yield what should make a reader careful."""
        if self.rests_on == "calibrated-kernels" and self.host and self.host.spread > _WIDE:
            yield RunWarning(
                "wide-calibration",
                "kernels whose durations on Lambda are known differ on this machine: durations may be off by a"
                f" factor of {self.host.spread:.2g}",
                "give a duration known from production with --duration-at or --anchor",
            )

    def details(self) -> dict[str, object]:
        """Return what the run file keeps of it."""
        host = self.host
        return {
            "rests_on": self.rests_on,
            "known_durations_ms": {str(size): known for size, known in sorted(self.known_ms.items())},
            **({"speed_ratio": self.speed_ratio} if self.speed_ratio != 1 else {}),
            **({"host_speed": _told(host)} if host else {}),
        }


def _told(host: HostSpeed) -> dict[str, object]:
    return {
        "cpu": host.cpu,
        "python": host.python,
        "architecture": host.architecture,
        "measured_on": host.measured_on,
        "ratio": host.ratio,
        "spread": host.spread,
        "kernels": [
            {"name": kernel.name, "here_ms": kernel.here_ms, "lambda_ms": kernel.lambda_ms} for kernel in host.kernels
        ],
    }
