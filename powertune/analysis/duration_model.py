"""Duration at sizes that were never measured, read off between and beyond those that were."""

import math
from collections.abc import Mapping

from powertune.aws_lambda.cpu import MB_PER_VCPU
from powertune.model.size_profile import Basis

_SHORTEST_MS = 0.001
"""What a duration recorded as 0 is taken for: logarithms need something."""


def predict_duration_ms(known_ms: Mapping[int, float], memory_mb: int) -> tuple[float, Basis]:
    """Return the duration in ms at a memory size, and whether it was interpolated or extrapolated.

    `known_ms` maps two or more measured sizes in MB to durations. Between two of them the line through both on
    logarithmic axes is read: CPU-bound work is a straight line of slope -1 there, waiting one of slope 0. Beyond them
    the line of the two nearest goes on, held to slopes from -1 (work cannot shrink faster than the CPU share grows) to
    0; above one vCPU it goes on flat, because sizes below cannot tell whether the handler would use a second. Raises
    ValueError for fewer than two sizes.
    """
    if len(known_ms) < 2:  # noqa: PLR2004 - a line takes two points
        raise ValueError("two measured sizes are needed to predict a third")
    sizes = sorted(known_ms)
    known_ms = {size: max(known, _SHORTEST_MS) for size, known in known_ms.items()}
    above = next((index for index, size in enumerate(sizes) if size >= memory_mb), len(sizes))
    inside = 0 < above < len(sizes)
    upper = min(max(above, 1), len(sizes) - 1)
    left, right = sizes[upper - 1], sizes[upper]
    slope = math.log(known_ms[right] / known_ms[left]) / math.log(right / left)
    if inside:
        return known_ms[left] * (memory_mb / left) ** slope, "interpolated"
    slope = min(0.0, max(-1.0, slope))
    if memory_mb <= left:
        return known_ms[left] * (memory_mb / left) ** slope, "extrapolated"
    # Up to one vCPU the trend holds; what lies above is known only if both sizes of the trend do.
    reach = memory_mb if left >= MB_PER_VCPU else max(right, min(memory_mb, MB_PER_VCPU))
    return known_ms[right] * (reach / right) ** slope, "extrapolated"
